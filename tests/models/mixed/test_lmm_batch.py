"""Batches of mixed models: each row is a single fit, lme4's values, properties, failures."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache

import numpy as np
import pandas as pd
import pytest
from lmm_cases import MODELS
from properties import assert_result_contract

from pmsstats.errors import DesignError, FormulaError
from pmsstats.models import LMMBatchResult, LMMResult, LMMSpec, fit_lmm, fit_lmm_batch
from pmsstats.models.mixed import lmm_batch
from pmsstats.models.mixed.lmm_refit import fit_with_care

SAME_FIT = 1e-6  # relative: two climbs to one maximum, on scales that differ
ROUNDING = 1e-9  # relative: the same numbers added up in another order
TOP = 1e-7  # log-likelihood units
LME4 = 1e-6  # relative: what is asked of estimates and standard errors
DF = 1e-3  # relative: lmerTest's finite differences
N_SUBJECTS, N_VISITS = 30, 5


def design(n_subjects: int = N_SUBJECTS, n_visits: int = N_VISITS) -> pd.DataFrame:
    rng = np.random.default_rng(4)
    subject = np.repeat(np.arange(n_subjects), n_visits)
    return pd.DataFrame(
        {
            "subject_id": [f"S{i:03d}" for i in subject],
            "year": np.tile(np.arange(n_visits) / 2, n_subjects),
            "arm": pd.Categorical(
                np.where(subject % 2, "active", "placebo"), ["placebo", "active"]
            ),
            "age_years": rng.normal(50, 8, n_subjects)[subject],
            "scans": rng.integers(1, 4, n_subjects * n_visits).astype(float),
        }
    )


def responses(
    data: pd.DataFrame, n: int, *, seed: int = 1, slope_sd: float = 0.4, dropout: float = 0.3
) -> np.ndarray:
    """Draw levels, slopes and residuals; subjects drop out, and some visits are missed."""
    rng = np.random.default_rng(seed)
    codes, ids = pd.factorize(data["subject_id"])
    year = data["year"].to_numpy()
    level, slope = rng.normal(0, 1, (n, len(ids))), rng.normal(0, slope_sd, (n, len(ids)))
    y = 15 + level[:, codes] + (slope[:, codes] - 0.3) * year + rng.normal(0, 0.4, (n, len(data)))
    exit_year = np.where(rng.random((n, len(ids))) < dropout, rng.uniform(0, 2, level.shape), 99)
    missed = (year > exit_year[:, codes]) | (rng.random(y.shape) < 0.05)
    return np.where(missed, np.nan, y)


def single(data: pd.DataFrame, formula: str | LMMSpec, y: np.ndarray) -> LMMResult:
    seen = ~np.isnan(y)
    return fit_lmm(data[seen].assign(y=y[seen]), formula, engine="native")


FORMULAS = {
    "intercept": "y ~ year * arm + (1 | subject_id)",
    "slope": "y ~ year * arm + (year | subject_id)",
    "uncorrelated": "y ~ year * arm + (year || subject_id)",
    "own covariate": "y ~ year * arm + age_years + (year | subject_id)",
    "slope alone": "y ~ year + (0 + year | subject_id)",
    "curved": "y ~ year + {year**2} + arm + (year | subject_id)",
}


def components(fit: LMMResult) -> np.ndarray:
    table = fit.variance_components
    return table.loc[table["kind"] != "correlation", "estimate"].to_numpy()


# --- each row is the single fit, which lme4 witnesses -----------------------------------------


def assert_row_is(batch: LMMBatchResult, r: int, fit: LMMResult) -> None:
    table = fit.table()
    size = table["std_error"].to_numpy()
    error = (batch.estimates[r] - table["estimate"].to_numpy()) / size
    np.testing.assert_allclose(error, 0.0, atol=SAME_FIT)
    np.testing.assert_allclose(batch.std_errors[r], size, rtol=SAME_FIT)
    np.testing.assert_allclose(batch.df[r], table["df"], rtol=1e-4)
    np.testing.assert_allclose(batch.p_values[r], table["p_value"], rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(batch.statistic[r], table["statistic"], rtol=10 * SAME_FIT)
    assert batch.log_likelihood[r] == pytest.approx(fit.fit_log.log_likelihood, abs=TOP)
    assert batch.residual_sd[r] == pytest.approx(fit.residual_sd, rel=1e2 * SAME_FIT)
    assert batch.singular[r] == fit.fit_log.singular
    assert batch.converged[r]
    assert (batch.n_obs[r], batch.n_subjects[r]) == (fit.n_obs, fit.n_subjects)


@pytest.mark.parametrize("formula", FORMULAS.values(), ids=FORMULAS)
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_each_row_is_the_single_fit_of_that_replicate(formula, method):
    data = design()
    y = responses(data, 6)
    spec = LMMSpec.from_formula(formula, method=method)
    batch = fit_lmm_batch(data, spec, y)
    for r, row in enumerate(y):
        fit = single(data, spec, row)
        assert_row_is(batch, r, fit)
        found = batch.random_covariances[r]
        size = max(np.abs(found).max(), fit.residual_sd**2)
        q = len(found)
        kept = [found[i, i] for i in range(q)]
        kept += [found[i, j] for i in range(q) for j in range(i + 1, q) if "||" not in formula]
        np.testing.assert_allclose(kept, components(fit), rtol=0, atol=1e-5 * size)
    assert batch.n_replicates == len(y)


@pytest.mark.parametrize("slope_sd", [0.0, 0.05])
def test_singular_rows_are_the_single_fits_too(slope_sd):
    data = design(16)
    y = responses(data, 12, seed=3, slope_sd=slope_sd)
    batch = fit_lmm_batch(data, FORMULAS["slope"], y)
    assert 2 <= batch.singular.sum() < 12
    for r, row in enumerate(y):
        assert_row_is(batch, r, single(data, FORMULAS["slope"], row))


def test_weights_are_those_of_the_single_fit():
    data = design()
    y = responses(data, 3)
    spec = LMMSpec(
        outcome="y", fixed="year * arm", weights="scans",
        random=LMMSpec.from_formula(FORMULAS["slope"]).random,
    )  # fmt: skip
    batch = fit_lmm_batch(data, spec, y)
    for r, row in enumerate(y):
        assert_row_is(batch, r, single(data, spec, row))
    unweighted = fit_lmm_batch(data, FORMULAS["slope"], y)
    assert np.abs(unweighted.estimates / batch.estimates - 1).max() > 1e-3


STORED = [m for m in MODELS if m.name in {"reml", "ml", "correlated", "uncorrelated", "intercept"}]
PLAIN = [m for m in STORED if m.case in {"lmm_sleepstudy", "lmm_singular", "lmm_scales"}]


@pytest.mark.parametrize("model", PLAIN, ids=lambda m: m.id)
def test_batch_equals_lme4_and_lmertest(model):
    case = model.load()
    spec = LMMSpec.from_formula(model.formula, method=model.method)
    y = case.input[spec.outcome].to_numpy(dtype=float)
    batch = fit_lmm_batch(case.input.drop(columns=spec.outcome), spec, np.stack([y, y + 3.0]))
    for quantity, found, rtol in (
        ("estimate", batch.estimates[0], LME4),
        ("std_error", batch.std_errors[0], LME4),
        ("df", batch.df[0], DF),
        ("residual_sd", [batch.residual_sd[0]], LME4),
        ("log_likelihood", [batch.log_likelihood[0]], LME4),
    ):
        expected = case.rows(f"{model.name}.{quantity}")["value"]
        np.testing.assert_allclose(found, expected, rtol=rtol, err_msg=quantity)
    shift = batch.estimates[1] - batch.estimates[0]
    np.testing.assert_allclose(shift, [3.0, *[0.0] * (len(shift) - 1)], atol=1e-6)


def test_more_visits_than_bits_are_told_apart():
    data = design(n_subjects=12, n_visits=70)
    y = responses(data, 2, dropout=0.5)
    batch = fit_lmm_batch(data, FORMULAS["slope"], y)
    for r, row in enumerate(y):
        assert_row_is(batch, r, single(data, FORMULAS["slope"], row))


def test_replicates_that_need_care_get_the_same_answer():
    data = design()
    y = responses(data, 4)
    spec = LMMSpec.from_formula(FORMULAS["slope"])
    built = lmm_batch._design_of_one_factor(data, spec)
    standard, back = lmm_batch.standardise(built.arrays)
    schedule = lmm_batch._schedule(standard, np.linalg.inv(back.R), is_reml=True)
    fast = lmm_batch._fit_all(schedule, y, 1)
    careful = lmm_batch._room_for_answers(len(y), 4, 2)
    for r, row in enumerate(y):
        fit_with_care(schedule, row, careful, r)
    for name in ("estimates", "variances", "df", "psi", "sigma2", "log_likelihood"):
        expected = getattr(fast, name)
        size = np.abs(expected).max()
        np.testing.assert_allclose(
            getattr(careful, name), expected, atol=10 * SAME_FIT * size, err_msg=name
        )


# --- properties -------------------------------------------------------------------------------

ARRAYS = (
    "estimates", "std_errors", "df", "statistic", "p_values", "random_covariances", "residual_sd",
    "log_likelihood", "converged", "singular", "n_obs", "n_subjects",
)  # fmt: skip


@cache
def batch_of(n_jobs: int = 1) -> LMMBatchResult:
    data = design()
    return fit_lmm_batch(data, FORMULAS["slope"], responses(data, 25), n_jobs=n_jobs)


@pytest.mark.parametrize("n_jobs", [2, 3, 7])
def test_number_of_threads_changes_no_byte(n_jobs):
    for name in ARRAYS:
        found, expected = getattr(batch_of(n_jobs), name), getattr(batch_of(), name)
        assert found.tobytes() == expected.tobytes(), name


def test_other_replicates_change_no_byte():
    data = design()
    y = responses(data, 25)[10:12]
    alone = fit_lmm_batch(data, FORMULAS["slope"], y)
    for name in ARRAYS:
        assert getattr(alone, name).tobytes() == getattr(batch_of(), name)[10:12].tobytes(), name


def test_order_of_rows_and_names_of_subjects_change_nothing():
    data, expected = design(), batch_of()
    order = np.random.default_rng(6).permutation(len(data))
    renamed = data.iloc[order].assign(subject_id=lambda d: "x" + d["subject_id"].str[::-1])
    found = fit_lmm_batch(
        renamed.reset_index(drop=True), FORMULAS["slope"], responses(data, 25)[:, order]
    )
    np.testing.assert_allclose(found.estimates, expected.estimates, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.p_values, expected.p_values, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-4, 365.25, 1e6])
def test_units_scale_estimates_and_leave_p_values(unit):
    data, expected = design(), batch_of()
    found = fit_lmm_batch(data, FORMULAS["slope"], unit * responses(data, 25))
    np.testing.assert_allclose(found.estimates, unit * expected.estimates, rtol=1e-7)
    np.testing.assert_allclose(found.std_errors, unit * expected.std_errors, rtol=1e-7)
    np.testing.assert_allclose(found.p_values, expected.p_values, rtol=1e-5, atol=1e-12)


def test_days_for_years_change_nothing_but_the_slope():
    data, expected = design(), batch_of()
    found = fit_lmm_batch(
        data.assign(day=data["year"] * 365.25), "y ~ day * arm + (day | subject_id)",
        responses(data, 25),
    )  # fmt: skip
    np.testing.assert_allclose(found.estimates[:, 1] * 365.25, expected.estimates[:, 1], rtol=1e-6)
    np.testing.assert_allclose(found.df, expected.df, rtol=1e-4)


def test_outcome_in_the_data_is_not_looked_at():
    data = design()
    found = fit_lmm_batch(data.assign(y=1.0), FORMULAS["slope"], responses(data, 25))
    assert found.estimates.tobytes() == batch_of().estimates.tobytes()


def test_tests_are_nominal_without_an_effect():
    data = design(24)
    y = responses(data, 1000, seed=9)
    batch = fit_lmm_batch(data, FORMULAS["slope"], y, n_jobs=2)
    table = batch.table().set_index("term")
    mcse = np.sqrt(0.05 * 0.95 / 1000)
    for term in ("arm[T.active]", "year:arm[T.active]"):
        assert abs(table.loc[term, "rejected"] - 0.05) < 4 * mcse
        assert abs(table.loc[term, "estimate"]) < 4 * table.loc[term, "mcse_estimate"]
    assert abs(table.loc["year", "estimate"] + 0.3) < 4 * table.loc["year", "mcse_estimate"]
    ratio = table["std_error"] / table["empirical_sd"]
    assert (abs(ratio - 1) < 4 * table["mcse_empirical_sd"] / table["empirical_sd"] + 0.03).all()


def test_batch_says_the_same_without_numba():
    script = """
import sys
sys.path.insert(0, "tests")
sys.path.insert(0, "tests/models/mixed")
from test_lmm_batch import FORMULAS, design, responses
from pmsstats.models import fit_lmm_batch
from pmsstats.compiling import IS_COMPILED
assert not IS_COMPILED
data = design()
batch = fit_lmm_batch(data, FORMULAS["slope"], responses(data, 25)[:6])
print(batch.std_errors.tolist(), batch.df.tolist(), sep="\\n")
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PMSSTATS_NO_NUMBA": "1"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    errors, df = map(json.loads, done.stdout.strip().splitlines())
    np.testing.assert_allclose(errors, batch_of().std_errors[:6], rtol=SAME_FIT)
    np.testing.assert_allclose(df, batch_of().df[:6], rtol=1e-4)


# --- contrasts and tests ----------------------------------------------------------------------


def test_contrasts_are_those_of_the_single_fit():
    data = design()
    y = responses(data, 3)
    wanted = {
        "active slope": {"year": 1.0, "year:arm[T.active]": 1.0},
        "at two years": {"arm[T.active]": 1.0, "year:arm[T.active]": 2.0},
    }
    batch = fit_lmm_batch(data, FORMULAS["slope"], y, contrasts=wanted)
    assert batch.terms == tuple(wanted)
    for r, row in enumerate(y):
        expected = single(data, FORMULAS["slope"], row).contrast(wanted)
        np.testing.assert_allclose(batch.estimates[r], expected["estimate"], rtol=1e-6)
        np.testing.assert_allclose(batch.std_errors[r], expected["std_error"], rtol=1e-6)
        np.testing.assert_allclose(batch.df[r], expected["df"], rtol=1e-2)


def test_contrasts_may_be_an_array():
    data = design()
    found = fit_lmm_batch(
        data, FORMULAS["slope"], responses(data, 25), contrasts=np.array([0.0, 2.0, 0.0, 0.0])
    )
    np.testing.assert_allclose(found.estimates[:, 0], 2 * batch_of().estimates[:, 1], rtol=ROUNDING)


def test_normal_tests_take_the_variances_as_known():
    data = design()
    found = fit_lmm_batch(data, FORMULAS["slope"], responses(data, 25), df_method="normal")
    assert np.isinf(found.df).all()
    assert (found.p_values <= batch_of().p_values).all()
    assert found.statistic.tobytes() == batch_of().statistic.tobytes()


# --- replicates without an answer -------------------------------------------------------------


def with_values(change) -> np.ndarray:
    data = design()
    y = responses(data, 3, dropout=0.0)
    change(data, y)
    return y


def infinite(data, y):
    y[1, 7] = np.inf


def opposite_infinities(data, y):
    y[1, 7], y[1, 9] = np.inf, -np.inf


def nothing(data, y):
    y[1] = np.nan


def one_subject(data, y):
    y[1, N_VISITS:] = np.nan


def baseline_only(data, y):
    y[1, data["year"] > 0] = np.nan


def two_visits(data, y):
    y[1, data["year"] > 0.5] = np.nan


def constant(data, y):
    y[1] = 7.25


def one_arm(data, y):
    y[1, data["arm"] == "active"] = np.nan


def a_line(data, y):
    y[1] = 3.0 - 0.5 * data["year"]


def lines(data, y):
    code = pd.factorize(data["subject_id"])[0]
    y[1] = 3.0 + np.sin(code) - 0.5 * np.cos(code) * data["year"]


FAILURES = {
    infinite: "infinite values",
    opposite_infinities: "infinite values",
    nothing: "too few rows or subjects",
    one_subject: "too few rows or subjects",
    baseline_only: "too few rows or subjects",
    two_visits: "too few rows or subjects",
    constant: "constant response",
    one_arm: "fixed effects cannot be told apart in the visits that are left",
    a_line: "the fixed effects describe the response exactly",
    lines: "residual variance of zero",
}


@pytest.mark.parametrize(
    ("change", "reason"), FAILURES.items(), ids=lambda x: getattr(x, "__name__", "")
)
def test_failure_is_flagged_with_its_reason_and_spares_the_others(change, reason):
    data, y = design(), with_values(change)
    batch = fit_lmm_batch(data, FORMULAS["slope"], y)
    assert batch.reasons == ("", reason, "")
    assert batch.converged.tolist() == [True, False, True]
    for name in ("estimates", "std_errors", "df", "p_values", "log_likelihood", "residual_sd"):
        assert np.isnan(getattr(batch, name)[1]).all(), name
        assert np.isfinite(getattr(batch, name)[[0, 2]]).all(), name
    assert batch.failures["replicate"].tolist() == [1]
    assert reason in batch.headline()
    assert batch.table()["n_failed"].eq(1).all()


def test_subjects_without_any_visit_are_left_out():
    data = design()
    y = responses(data, 2, dropout=0.0)
    y[:, : 3 * N_VISITS] = np.nan
    batch = fit_lmm_batch(data, FORMULAS["slope"], y)
    assert (batch.n_subjects == N_SUBJECTS - 3).all()
    assert_row_is(batch, 0, single(data, FORMULAS["slope"], y[0]))


# --- the result -------------------------------------------------------------------------------


def test_result_keeps_the_contract():
    assert_result_contract(batch_of())
    data, y = design(), with_values(constant)
    assert_result_contract(fit_lmm_batch(data, FORMULAS["slope"], y))


def test_result_without_any_answer_still_speaks():
    batch = fit_lmm_batch(design(), FORMULAS["slope"], with_values(constant)[1:2])
    assert "0 of 1 replicates converged; 1 without an answer: constant response" in str(batch)
    assert batch.table()["estimate"].isna().all()
    assert json.dumps(batch.to_dict(), allow_nan=False)


def test_table_sums_up_the_replicates_that_converged():
    table = batch_of().table().set_index("term")
    slopes = batch_of().estimates[:, 1]
    p = batch_of().p_values[:, 1]
    assert table.loc["year", "estimate"] == pytest.approx(np.mean(slopes), rel=ROUNDING)
    assert table.loc["year", "empirical_sd"] == pytest.approx(np.std(slopes, ddof=1), rel=ROUNDING)
    assert table.loc["year", "mcse_estimate"] == pytest.approx(
        np.std(slopes, ddof=1) / 5, rel=ROUNDING
    )
    assert table.loc["year", "rejected"] == pytest.approx(np.mean(p < 0.05), rel=ROUNDING)


def test_replicates_are_one_row_each():
    rows = batch_of().replicates()
    assert len(rows) == 25 * 4
    picked = rows[(rows["replicate"] == 3) & (rows["term"] == "year")]
    assert picked["estimate"].item() == batch_of().estimates[3, 1]


# --- bad input --------------------------------------------------------------------------------

BAD = [
    ({"responses": np.zeros((2, 3))}, "shape \\(n_replicates, 150\\); got \\(2, 3\\)"),
    ({"responses": np.zeros(150)}, "got \\(150,\\)"),
    ({"n_jobs": 0}, "at least 1"),
    ({"n_jobs": True}, "at least 1"),
    ({"df_method": "kenward-roger"}, "in a batch"),
    ({"spec": "log(y) ~ year + (1 | subject_id)"}, "plain name"),
    ({"spec": "y ~ year + (1 | subject_id) + (1 | arm)"}, "one grouping factor"),
    ({"contrasts": {"yaer": 1.0}}, "no term 'yaer'"),
    ({"data": [1, 2]}, "pandas DataFrame"),
    ({"data": design().assign(age_years=np.nan)}, "incomplete|No row is left"),
    ({"data": design().assign(age_years=lambda d: d["age_years"].where(d["year"] > 0))},
     "30 of 150 rows of the design are incomplete"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_input_is_refused(change, message):
    data = design()
    asked = {
        "data": data, "spec": FORMULAS["own covariate"], "responses": responses(data, 2), **change,
    }  # fmt: skip
    with pytest.raises((DesignError, FormulaError), match=message):
        fit_lmm_batch(**asked)


def test_no_replicates_give_an_empty_answer():
    data = design()
    batch = fit_lmm_batch(data, FORMULAS["slope"], np.empty((0, len(data))))
    assert batch.n_replicates == 0
    assert batch.table()["n_replicates"].eq(0).all()


def test_few_visits_so_far_are_enough_where_some_subjects_have_three():
    """An early look: most have been seen once, so that rows are fewer than random effects."""
    rng = np.random.default_rng(8)
    n_visits = np.repeat([1, 2, 3, 4], [90, 20, 15, 15])
    subject = np.repeat(np.arange(140), 4)
    year = np.tile([0.0, 0.5, 1.0, 1.5], 140)
    design = pd.DataFrame({"subject_id": subject, "year": year, "treated": subject % 2})
    lines = rng.normal(size=(140, 2)) * [5.0, 2.0]
    y = lines[subject, 0] + (lines[subject, 1] - 2 + subject % 2) * year + rng.normal(size=560)
    y[np.tile(range(4), 140) >= np.repeat(n_visits, 4)] = np.nan
    seen = design.assign(y=y).dropna()
    assert len(seen) < 2 * 140
    formula = "y ~ year + treated:year + (year | subject_id)"
    batch = fit_lmm_batch(design, formula, y[None])
    other = fit_lmm(seen, formula, engine="statsmodels").table().set_index("term")
    alone = fit_lmm(seen, formula).table().set_index("term")
    assert batch.reasons == ("",)
    columns = ["estimate", "std_error"]
    assert alone[columns].to_numpy() == pytest.approx(other[columns].to_numpy(), rel=2e-3)
    assert batch.estimates[0] == pytest.approx(alone["estimate"].to_numpy(), rel=1e-5)
    assert batch.std_errors[0] == pytest.approx(alone["std_error"].to_numpy(), rel=1e-5)
