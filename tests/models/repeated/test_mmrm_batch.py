"""Batches of marginal models: every replicate is what a fit of its own says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract

from pmsstats import compiling
from pmsstats.errors import DesignError
from pmsstats.models.repeated.mmrm import fit_mmrm
from pmsstats.models.repeated.mmrm_batch import MMRMBatchResult, fit_mmrm_batch
from pmsstats.models.repeated.mmrm_spec import MMRMSpec

SAME = 1e-6  # both stop within some 1e-7 standard errors of the maximum
VISITS = ["W04", "W12", "W24", "W48"]
COVARIANCES = ["us", "toep", "toeph", "ar1", "ar1h", "cs", "csh", "ad", "adh"]
COUNTED = ["between-within", "residual", "normal"]


def make_design(n_subjects: int) -> pd.DataFrame:
    """Lay out a trial of two arms, with a baseline that takes few values, and weights."""
    ids = np.repeat(np.arange(n_subjects), len(VISITS))
    design = pd.DataFrame({"subject_id": ids})
    visits = np.tile(VISITS, n_subjects)
    design["visit"] = pd.Categorical(visits, categories=VISITS, ordered=True)
    design["arm"] = pd.Categorical(np.where(ids % 2, "active", "placebo"), ["placebo", "active"])
    design["base"] = (ids % 5).astype(float)
    design["weight"] = 1.0 + (ids % 3) / 2
    design["week"] = np.tile([4.0, 12.0, 24.0, 48.0], n_subjects)
    return design.sample(frac=1, random_state=1).reset_index(drop=True)


def draw(design: pd.DataFrame, n: int, *, seed: int, effect: float = 0.0) -> np.ndarray:
    """Draw responses with variances that grow, and dropout."""
    rng = np.random.default_rng(seed)
    visit = design["visit"].cat.codes.to_numpy()
    subject = design["subject_id"].to_numpy()
    sigma = 0.5 * np.sqrt(np.outer([1, 1.2, 1.5, 2], [1, 1.2, 1.5, 2]))
    sigma[np.diag_indices(4)] *= 2
    errors = rng.multivariate_normal(np.zeros(4), sigma, (n, subject.max() + 1))
    y = errors[:, subject, visit] + effect * (design["arm"] == "active").to_numpy()
    last = rng.integers(1, 9, (n, subject.max() + 1))[:, subject]
    gap = rng.random(y.shape) < 0.03
    return np.where((visit >= last) | gap, np.nan, y)


@pytest.fixture(scope="module")
def design() -> pd.DataFrame:
    return make_design(60)


def make_spec(**fields: object) -> MMRMSpec:
    return MMRMSpec(**{"outcome": "pbvc_pct", "fixed": "arm * visit + base", **fields})


def assert_is_a_fit_of_its_own(
    design: pd.DataFrame, spec: MMRMSpec, y: np.ndarray, batch: MMRMBatchResult
) -> None:
    for row in range(len(y)):
        alone = fit_mmrm(design.assign(pbvc_pct=y[row]), spec)
        table = alone.coefficients
        errors = table["std_error"].to_numpy()
        assert (np.abs(batch.estimates[row] - table["estimate"]) < SAME * errors).all()
        np.testing.assert_allclose(batch.std_errors[row], errors, rtol=SAME)
        np.testing.assert_allclose(batch.p_values[row], table["p_value"], rtol=1e-4, atol=1e-12)
        df = table.get("df", pd.Series(np.full(len(table), np.inf)))
        np.testing.assert_allclose(batch.df[row], df, rtol=1e-5)
        assert batch.log_likelihood[row] == pytest.approx(alone.fit_log.log_likelihood, rel=1e-9)
        parameters = alone.covariance_parameters["estimate"]
        np.testing.assert_allclose(batch.parameters[row], parameters, rtol=1e-4, atol=1e-6)
        assert batch.n_obs[row] == alone.n_obs
        assert batch.n_subjects[row] == alone.n_subjects


@pytest.mark.parametrize("method", ["satterthwaite", "kenward-roger", "kenward-roger-linear"])
@pytest.mark.parametrize("covariance", COVARIANCES)
def test_every_replicate_is_a_fit_of_its_own(
    design: pd.DataFrame, covariance: str, method: str
) -> None:
    spec = make_spec(covariance=covariance, df_method=method)
    y = draw(design, 2, seed=1)
    batch = fit_mmrm_batch(design, spec, y)
    assert batch.converged.all()
    assert_is_a_fit_of_its_own(design, spec, y, batch)


@pytest.mark.parametrize("method", COUNTED)
def test_counted_degrees_of_freedom(design: pd.DataFrame, method: str) -> None:
    spec = make_spec(covariance="csh", df_method=method)
    y = draw(design, 2, seed=2)
    assert_is_a_fit_of_its_own(design, spec, y, fit_mmrm_batch(design, spec, y))


@pytest.mark.parametrize(
    "fields",
    [
        {"group": "arm", "covariance": "ar1h"},
        {"weights": "weight", "covariance": "us"},
        {"group": "arm", "weights": "weight", "covariance": "cs"},
        {"method": "ML", "df_method": "satterthwaite", "covariance": "toeph"},
        {"visit": "week", "fixed": "arm * week", "covariance": "sp_exp"},
    ],
)
def test_other_models(design: pd.DataFrame, fields: dict[str, object]) -> None:
    spec = make_spec(**fields)
    y = draw(design, 2, seed=3)
    batch = fit_mmrm_batch(design, spec, y)
    assert batch.converged.all()
    assert_is_a_fit_of_its_own(design, spec, y, batch)


def test_without_numba_the_answers_are_the_same(
    design: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, y = make_spec(covariance="toeph"), draw(design, 3, seed=4)
    compiled = fit_mmrm_batch(design, spec, y)
    monkeypatch.setattr(compiling, "IS_COMPILED", False)
    plain = fit_mmrm_batch(design, spec, y)
    np.testing.assert_allclose(plain.estimates, compiled.estimates, rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(plain.p_values, compiled.p_values, rtol=1e-4)
    np.testing.assert_allclose(plain.log_likelihood, compiled.log_likelihood, rtol=1e-10)
    np.testing.assert_array_equal(plain.n_obs, compiled.n_obs)
    np.testing.assert_array_equal(plain.n_subjects, compiled.n_subjects)


def test_neither_threads_nor_companions_matter(design: pd.DataFrame) -> None:
    spec, y = make_spec(), draw(design, 7, seed=5)
    batch = fit_mmrm_batch(design, spec, y)
    threads = fit_mmrm_batch(design, spec, y, n_jobs=3)
    alone = fit_mmrm_batch(design, spec, y[4:5])
    for field in ("estimates", "std_errors", "df", "p_values", "log_likelihood", "parameters"):
        np.testing.assert_array_equal(getattr(threads, field), getattr(batch, field))
        np.testing.assert_array_equal(getattr(alone, field)[0], getattr(batch, field)[4])


@pytest.mark.parametrize("scale", [1e-4, 1e5])
def test_units_do_not_matter(design: pd.DataFrame, scale: float) -> None:
    spec, y = make_spec(), draw(design, 2, seed=6)
    one, two = fit_mmrm_batch(design, spec, y), fit_mmrm_batch(design, spec, scale * (y + 50))
    np.testing.assert_allclose(two.estimates[:, 1:], scale * one.estimates[:, 1:], rtol=1e-5)
    np.testing.assert_allclose(two.p_values[:, 1:], one.p_values[:, 1:], rtol=1e-4)
    np.testing.assert_allclose(two.parameters, scale**2 * one.parameters, rtol=1e-5)


def test_contrasts(design: pd.DataFrame) -> None:
    spec, y = make_spec(), draw(design, 2, seed=7)
    last = {"arm[T.active]": 1.0, "arm[T.active]:visit[T.W48]": 1.0}
    batch = fit_mmrm_batch(design, spec, y, contrasts={"at W48": last})
    assert batch.terms == ("at W48",)
    for row in range(2):
        alone = fit_mmrm(design.assign(pbvc_pct=y[row]), spec).contrast(last).iloc[0]
        for column, found in (
            ("estimate", batch.estimates),
            ("std_error", batch.std_errors),
            ("df", batch.df),
            ("p_value", batch.p_values),
        ):
            assert found[row, 0] == pytest.approx(alone[column], rel=1e-5)


# --- replicates without an answer -------------------------------------------------------------


def test_replicates_without_an_answer_stay_in_place(design: pd.DataFrame) -> None:
    y = draw(design, 9, seed=8)
    arm = (design["arm"] == "active").to_numpy()
    visit = design["visit"].cat.codes.to_numpy()
    y[1, 3] = np.inf
    y[2, 8:] = np.nan
    y[3] = 0.1
    y[4] = np.where(arm, np.nan, y[4])
    y[5] = 0.3 + 0.2 * visit
    y[6] = np.where(visit == np.where(design["subject_id"] % 4 < 2, 1, 3), np.nan, y[6])
    y[7] = np.nan
    batch = fit_mmrm_batch(design, make_spec(fixed="arm + visit"), y)
    expected = [
        "",
        "infinite values",
        "too few rows or subjects",
        "constant response",
        "fixed effects cannot be told apart in the visits that are left",
        "the fixed effects describe the response exactly",
        "covariance cannot be estimated from the visits that are left",
        "too few rows or subjects",
        "",
    ]
    assert list(batch.reasons) == expected
    np.testing.assert_array_equal(batch.converged, [not words for words in expected])
    assert np.isnan(batch.p_values[~batch.converged]).all()
    assert np.isfinite(batch.p_values[batch.converged]).all()
    assert len(batch.failures) == 7
    assert "2 of 9 replicates converged" in batch.headline()
    assert batch.table()["n_failed"].iloc[0] == 7


def test_the_same_reasons_without_numba(
    design: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    y = draw(design, 6, seed=9)
    y[0, 3] = np.inf
    y[1, 8:] = np.nan
    y[2] = 0.1
    y[3] = np.where(design["arm"] == "active", np.nan, y[3])
    y[4] = 0.3 + 0.2 * design["base"]
    compiled = fit_mmrm_batch(design, make_spec(), y)
    monkeypatch.setattr(compiling, "IS_COMPILED", False)
    assert fit_mmrm_batch(design, make_spec(), y).reasons == compiled.reasons
    assert sum(bool(words) for words in compiled.reasons) == 5


def test_no_maximum_is_said() -> None:
    design = make_design(4)
    y = np.random.default_rng(10).normal(0, 1, (2, 16))
    batch = fit_mmrm_batch(design, make_spec(fixed="visit"), y)
    assert set(batch.reasons) == {"no maximum found"}
    assert not batch.converged.any()


# --- the request and the result ---------------------------------------------------------------


def test_result_contract(design: pd.DataFrame) -> None:
    y = draw(design, 5, seed=11)
    y[1] = 0.0
    batch = fit_mmrm_batch(design, make_spec(group="arm", covariance="cs"), y)
    assert_result_contract(batch)
    table = batch.table()
    np.testing.assert_allclose(table["estimate"], batch.estimates[batch.converged].mean(axis=0))
    assert len(batch.replicates()) == 5 * len(batch.terms)
    assert batch.parameter_names[0] == "covariance of group 1"


BAD_SPECS = [
    ({"empirical": "CR2", "df_method": "satterthwaite"}, "an empirical covariance"),
    ({"fallback": ("cs",)}, "a fall-back list"),
    ({"method": "ML", "df_method": "satterthwaite", "outcome": "log(pbvc_pct)"}, "plain name"),
]


@pytest.mark.parametrize(("fields", "words"), BAD_SPECS)
def test_requests_for_single_fits_are_refused(
    design: pd.DataFrame, fields: dict[str, object], words: str
) -> None:
    with pytest.raises(DesignError, match=words):
        fit_mmrm_batch(design, make_spec(**fields), draw(design, 1, seed=12))


def test_bad_arguments_are_refused(design: pd.DataFrame) -> None:
    y = draw(design, 2, seed=13)
    with pytest.raises(DesignError, match=r"shape \(n_replicates, 240\); got \(2, 239\)"):
        fit_mmrm_batch(design, make_spec(), y[:, 1:])
    incomplete = design.assign(base=design["base"].where(design.index > 0))
    with pytest.raises(DesignError, match="1 of 240 rows of the design are incomplete"):
        fit_mmrm_batch(incomplete, make_spec(), y)
    with pytest.raises(DesignError, match="pandas DataFrame"):
        fit_mmrm_batch(y, make_spec(), y)  # type: ignore[arg-type]
    with pytest.raises(DesignError, match="number of threads"):
        fit_mmrm_batch(design, make_spec(), y, n_jobs=0)


def test_spec_may_be_a_formula_and_no_input_is_changed(design: pd.DataFrame) -> None:
    y = draw(design, 1, seed=14)
    before, frame = y.copy(), design.copy(deep=True)
    batch = fit_mmrm_batch(design, "pbvc_pct ~ arm * visit + us(visit | subject_id)", y)
    assert batch.converged.all()
    np.testing.assert_array_equal(y, before)
    pd.testing.assert_frame_equal(design, frame)


# --- simulation -------------------------------------------------------------------------------


@pytest.mark.slow
def test_kenward_roger_holds_the_level_where_wald_does_not() -> None:
    # 10 subjects per arm, dropout, unstructured, no effect: rejections of arm at the last visit.
    design = make_design(20)
    n = 2000
    y = draw(design, n, seed=15)
    last = {"arm[T.active]": 1.0, "arm[T.active]:visit[T.W48]": 1.0}
    spec = make_spec(fixed="arm * visit")
    rejected, used = {}, {}
    for method in ("kenward-roger", "satterthwaite", "normal"):
        own = replace(spec, df_method=method)
        batch = fit_mmrm_batch(design, own, y, contrasts={"last": last}, n_jobs=2)
        p_values = batch.p_values[batch.converged, 0]
        rejected[method], used[method] = float((p_values < 0.05).mean()), len(p_values)
    assert used["kenward-roger"] > 0.95 * n
    mcse = np.sqrt(0.05 * 0.95 / used["kenward-roger"])
    assert abs(rejected["kenward-roger"] - 0.05) < 4 * mcse
    assert rejected["normal"] > 0.05 + 8 * mcse
