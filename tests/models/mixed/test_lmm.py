"""Linear mixed models: lme4 as stored witness, closed forms, recovery, properties, bad input."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import warnings
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lmm_cases import BASIC, MODELS, Model, compare
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.cohort.schema import DataDictionary, Measure
from pmsstats.errors import (
    ConvergenceError,
    ConvergenceWarning,
    DesignError,
    FormulaError,
    PMSStatsError,
)
from pmsstats.models import LMMResult, LMMSpec, RandomTerm, fit_lmm
from pmsstats.models.mixed import lmm
from pmsstats.results import Exclusion

CLOSED_FORM = 1e-5  # relative: the optimiser's distance from the maximum in a variance
SAME_FIT = 1e-6  # relative: two runs from numbers that differ by rounding
NOTHING = 1e-12  # absolute: what is zero but for rounding
ROUNDING = 1e-9  # relative: the same numbers added up in another order
MODEL = "thalamus_ml ~ year * phenotype + age_years + (year | subject_id)"


def cohort(
    n_subjects: int = 30, n_visits: int = 4, seed: int = 3, slope_sd: float = 0.2
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    year = np.tile(np.arange(float(n_visits)), n_subjects)
    subject = np.repeat(np.arange(n_subjects), n_visits)
    phenotype = np.where(subject % 2, "SPMS", "PPMS")
    slope = np.where(phenotype == "SPMS", -0.4, -0.2) + rng.normal(0, slope_sd, n_subjects)[subject]
    level = 15 + rng.normal(0, 1, n_subjects)[subject]
    return pd.DataFrame(
        {
            "subject_id": [f"S{i:03d}" for i in subject],
            "year": year,
            "phenotype": phenotype,
            "age_years": rng.normal(50, 8, n_subjects)[subject],
            "thalamus_ml": level + slope * year + rng.normal(0, 0.3, len(year)),
        }
    )


@cache
def fitted(formula: str = MODEL) -> LMMResult:
    return fit_lmm(cohort(), formula)


@cache
def reference_fit(model: Model, engine: str = "native") -> LMMResult:
    return model.fit(model.load(), engine)


# --- another implementation -------------------------------------------------------------------


WITHOUT_R = ("native", "statsmodels")


@pytest.mark.parametrize("quantity", [*BASIC, "df"])
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
@pytest.mark.parametrize("engine", WITHOUT_R)
def test_engine_equals_lme4_and_lmertest(engine, model, quantity):
    compared = compare(reference_fit(model, engine), model, model.load(), quantity)
    assert (compared["error"] <= compared["allowed"]).all(), compared.to_string()


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.id)
@pytest.mark.parametrize("engine", WITHOUT_R)
def test_singularity_is_flagged_where_lme4_flags_it(engine, model):
    log = reference_fit(model, engine).fit_log
    assert log.converged
    assert log.singular == (model.case == "lmm_singular")


def test_singular_fit_is_reported_and_not_refused():
    model = next(m for m in MODELS if m.id == "lmm_singular-correlated")
    assert "singular" in reference_fit(model).headline()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.fit(model.load(), "native")
    data = load_case("lmm_singular").input
    with pytest.warns(ConvergenceWarning, match="singular"):
        fit_lmm(data, model.formula, on_failure="warn")


# --- closed forms -----------------------------------------------------------------------------


def balanced(n_subjects: int = 25, n_visits: int = 4) -> pd.DataFrame:
    rng = np.random.default_rng(8)
    subject = np.repeat(np.arange(n_subjects), n_visits)
    year = np.tile(np.arange(float(n_visits)), n_subjects)
    y = 10 - 0.5 * year + rng.normal(0, 2, n_subjects)[subject] + rng.normal(0, 1, len(year))
    return pd.DataFrame({"subject_id": subject, "year": year, "y": y})


def anova(data: pd.DataFrame) -> dict[str, float]:
    """Two-way analysis of variance of balanced data (Searle, Casella, McCulloch 1992, ch. 4).

    With a common slope, subjects are compared by their means; the residual is what is left of the
    outcome after subject means and the slope.
    """
    n, k = data["subject_id"].nunique(), data["year"].nunique()
    mean = data.groupby("subject_id")["y"].transform("mean")
    t = data["year"] - data["year"].mean()
    slope = float((t * data["y"]).sum() / (t**2).sum())
    ms_between = k * float(((data.groupby("subject_id")["y"].mean() - data["y"].mean()) ** 2).sum())
    ms_between /= n - 1
    ms_within = float(((data["y"] - mean - slope * t) ** 2).sum()) / (n * (k - 1) - 1)
    return {
        "slope": slope,
        "slope_se": float(np.sqrt(ms_within / (t**2).sum())),
        "intercept": float(data["y"].mean() - slope * data["year"].mean()),
        "residual": ms_within,
        "between": (ms_between - ms_within) / k,
        "shrinkage": 1 - ms_within / ms_between,
    }


def test_balanced_random_intercept_equals_analysis_of_variance():
    data = balanced()
    expected = anova(data)
    fit = fit_lmm(data, "y ~ year + (1 | subject_id)")
    found = fit.table().set_index("term")
    assert found.loc["year", "estimate"] == pytest.approx(expected["slope"], rel=ROUNDING)
    assert found.loc["Intercept", "estimate"] == pytest.approx(expected["intercept"], rel=ROUNDING)
    assert found.loc["year", "std_error"] == pytest.approx(expected["slope_se"], rel=CLOSED_FORM)
    assert fit.residual_sd**2 == pytest.approx(expected["residual"], rel=CLOSED_FORM)
    variance = fit.variance_components["estimate"].item()
    assert variance == pytest.approx(expected["between"], rel=CLOSED_FORM)


def test_predicted_intercepts_are_subject_means_shrunk_by_their_reliability():
    data = balanced()
    shrunk = data.groupby("subject_id")["y"].mean() - data["y"].mean()
    shrunk = shrunk * anova(data)["shrinkage"]
    blups = fit_lmm(data, "y ~ year + (1 | subject_id)").blups().set_index("subject_id")
    np.testing.assert_allclose(
        blups["intercept"], shrunk, rtol=0, atol=CLOSED_FORM * shrunk.abs().max()
    )


def test_intervals_and_p_values_are_those_of_the_t_distribution():
    row = fitted().table().set_index("term").loc["year"]
    t = stats.t(row["df"])
    assert row["statistic"] == pytest.approx(row["estimate"] / row["std_error"])
    assert row["p_value"] == pytest.approx(2 * t.cdf(-abs(row["statistic"])))
    half = t.ppf(0.975) * row["std_error"]
    assert row["conf_low"] == pytest.approx(row["estimate"] - half)


def test_known_variances_give_the_normal_distribution():
    fit = fit_lmm(cohort(), LMMSpec.from_formula(MODEL, df_method="normal"))
    row = fit.table().set_index("term").loc["year"]
    z = row["estimate"] / row["std_error"]
    assert "df" not in fit.table()
    assert row["statistic"] == pytest.approx(z)
    assert row["p_value"] == pytest.approx(2 * stats.norm.cdf(-abs(z)))
    assert row["conf_low"] == pytest.approx(row["estimate"] - 1.959963984540054 * row["std_error"])


def test_conf_level_widens_intervals():
    spec = LMMSpec.from_formula(MODEL, conf_level=0.99)
    wide, narrow = fit_lmm(cohort(), spec).table(), fitted().table()
    half = [(t["conf_high"] - t["conf_low"]).to_numpy() / 2 for t in (wide, narrow)]
    df = narrow["df"]
    np.testing.assert_allclose(half[0] / half[1], stats.t.ppf(0.995, df) / stats.t.ppf(0.975, df))


# --- recovery of a known truth ----------------------------------------------------------------


def test_truth_is_recovered_within_monte_carlo_error():
    n_replicates, slope_sd = 25, 0.3
    estimates, covered, variances = [], [], []
    for seed in range(n_replicates):
        fit = fit_lmm(
            cohort(30, 4, seed, slope_sd), "thalamus_ml ~ year * phenotype + (year | subject_id)"
        )
        row = fit.table().set_index("term").loc["year:phenotype[T.SPMS]"]
        estimates.append(row["estimate"])
        covered.append(row["conf_low"] <= -0.2 <= row["conf_high"])
        parts = fit.variance_components.set_index(["term1", "term2", "kind"])["estimate"]
        variances.append(parts["year", "year", "variance"])
    for found, truth in ((estimates, -0.2), (variances, slope_sd**2)):
        mcse = np.std(found, ddof=1) / np.sqrt(n_replicates)
        assert abs(np.mean(found) - truth) < 4 * mcse
    assert abs(np.mean(covered) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / n_replicates)


# --- properties -------------------------------------------------------------------------------


def numbers(fit: LMMResult) -> np.ndarray:
    return np.r_[
        fit.table().drop(columns="term").to_numpy().ravel(),
        fit.covariance.ravel(),
        fit.variance_components["estimate"],
        fit.residual_sd,
        fit.fit_log.log_likelihood,
    ]


@settings(max_examples=5)
@given(st.integers(0, 2**32 - 1))
def test_order_of_rows_and_names_of_subjects_change_nothing(seed):
    data, rng = cohort(), np.random.default_rng(seed)
    names = data["subject_id"].unique()
    renamed = data["subject_id"].map(dict(zip(names, rng.permutation(names), strict=True)))
    order = rng.permutation(len(data))
    other = fit_lmm(data.assign(subject_id=renamed).iloc[order], MODEL)
    np.testing.assert_allclose(numbers(other), numbers(fitted()), rtol=SAME_FIT, atol=NOTHING)


@settings(max_examples=5)
@given(st.sampled_from([1e-6, 1e-3, 1000.0, 1e6]))
def test_unit_of_the_outcome_scales_estimates_and_leaves_tests(factor):
    data = cohort()
    other = fit_lmm(data.assign(thalamus_ml=data["thalamus_ml"] * factor), MODEL)
    mine, theirs = fitted().table(), other.table()
    for column in ("estimate", "std_error", "conf_low", "conf_high"):
        np.testing.assert_allclose(theirs[column], factor * mine[column], rtol=SAME_FIT)
    for column in ("statistic", "p_value"):
        np.testing.assert_allclose(theirs[column], mine[column], rtol=SAME_FIT)
    assert other.residual_sd == pytest.approx(factor * fitted().residual_sd, rel=SAME_FIT)
    assert_covariance_matrix(other.covariance)


@settings(max_examples=5)
@given(st.sampled_from([-1e4, -1.0, 100.0, 1e6]))
def test_constant_added_to_the_outcome_moves_only_the_intercept(shift):
    data = cohort()
    other = fit_lmm(data.assign(thalamus_ml=data["thalamus_ml"] + shift), MODEL)
    difference = other.table()["estimate"] - fitted().table()["estimate"]
    np.testing.assert_allclose(difference, [shift, 0, 0, 0, 0], atol=SAME_FIT * max(1, abs(shift)))
    lost = np.finfo(float).eps * abs(shift)  # of the outcome's digits, by adding the constant
    np.testing.assert_allclose(other.covariance, fitted().covariance, rtol=1e-5, atol=10 * lost)


def test_unit_of_time_scales_slopes_and_leaves_everything_else():
    data = cohort().assign(day=lambda f: f["year"] * 365.25)
    formula = "thalamus_ml ~ {time} + ({time} | subject_id)"
    years, days = (fit_lmm(data, formula.format(time=t)) for t in ("year", "day"))
    ratio = years.table()["estimate"].to_numpy() / days.table()["estimate"].to_numpy()
    np.testing.assert_allclose(ratio, [1.0, 365.25], rtol=SAME_FIT)
    slope = days.blups()["day"] * 365.25
    np.testing.assert_allclose(years.blups()["year"], slope, rtol=1e-4, atol=1e-8)


def test_swapping_groups_flips_the_sign_of_their_difference():
    data = cohort()
    swapped = data.assign(
        phenotype=pd.Categorical(data["phenotype"], categories=["SPMS", "PPMS"], ordered=True)
    )
    mine = fitted().table().set_index("term").loc["year:phenotype[T.SPMS]"]
    theirs = fit_lmm(swapped, MODEL).table().set_index("term").loc["year:phenotype[T.PPMS]"]
    assert theirs["estimate"] == pytest.approx(-mine["estimate"], rel=SAME_FIT)
    assert theirs["p_value"] == pytest.approx(mine["p_value"], rel=SAME_FIT)


def test_awkward_column_names_give_the_same_numbers():
    names = {"thalamus_ml": "Thal (ml)", "phenotype": "a:b*c", "subject_id": "", "year": "log"}
    names["subject_id"] = 'Subject\'s "id"'
    other = fit_lmm(
        cohort().rename(columns=names),
        '`Thal (ml)` ~ log * `a:b*c` + age_years + (log | `Subject\'s "id"`)',
    )
    np.testing.assert_allclose(numbers(other), numbers(fitted()), rtol=ROUNDING)
    assert list(other.blups().columns) == ['Subject\'s "id"', "intercept", "log"]


def test_input_is_not_modified():
    data = cohort()
    before = data.copy(deep=True)
    fit_lmm(data, MODEL)
    pd.testing.assert_frame_equal(data, before)


# --- the result -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula",
    [
        MODEL,
        "thalamus_ml ~ year + (1 | subject_id)",
        "thalamus_ml ~ year + (year || subject_id)",
        "log(thalamus_ml) ~ year + (1 | subject_id)",
        "thalamus_ml ~ bs(year, df=3) * phenotype + (1 | subject_id)",
    ],
)
def test_result_keeps_the_contract(formula):
    fit = fit_lmm(cohort(), formula, on_failure="raise")
    assert_result_contract(fit)
    assert_covariance_matrix(fit.covariance)
    assert fit.to_dict()["schema"] == "lmm_result/1"


def test_headline_says_what_how_much_in_whom_and_whether_it_converged():
    dictionary = DataDictionary(
        [Measure(name="thalamus_ml", label="Thalamus volume", unit="ml", worsening="lower")]
    )
    fit = fit_lmm(
        cohort().drop(index=[0]).assign(x=1.0), "thalamus_ml ~ year + (1 | subject_id)",
        dictionary=dictionary, origin="synthetic",
    )  # fmt: skip
    words = fit.headline()
    row = fit.table().set_index("term").loc["year"]
    assert words.startswith(f"Thalamus volume fell by {-row['estimate']:.3f} ml per year (95 % CI ")
    assert words.endswith("in 30 synthetic subjects (119 rows); REML converged, native.")


def test_headline_of_no_clear_change_does_not_claim_one():
    data = cohort().assign(thalamus_ml=lambda f: f["thalamus_ml"] + 0.3 * f["year"])
    words = fit_lmm(data, "thalamus_ml ~ year + (year | subject_id)").headline()
    assert "did not clearly change: " in words


def test_rows_that_cannot_be_used_are_counted_with_reasons():
    data = cohort()
    data.loc[[0, 1], "thalamus_ml"] = np.nan
    data.loc[[5], "thalamus_ml"] = np.inf
    data.loc[8:11, "age_years"] = np.nan
    before = (Exclusion(stage="earlier", unit="visit", reason="x", n=1),)
    fit = fit_lmm(data, MODEL, prior_exclusions=before)
    assert [(e.unit, e.reason, e.n) for e in fit.exclusions] == [
        ("visit", "x", 1),
        ("row", "no thalamus_ml", 2),
        ("row", "thalamus_ml is infinite", 1),
        ("row", "no age_years", 4),
        ("subject", "no complete row", 1),
    ]
    assert (fit.n_obs, fit.n_subjects) == (113, 29)
    assert "113 rows, 7 rows left out" in fit.headline()
    assert len(fit.data) == 113


def test_rows_where_a_transform_fails_are_counted():
    data = cohort()
    data.loc[0, "thalamus_ml"] = -1.0
    fit = fit_lmm(data, "log(thalamus_ml) ~ year + (1 | subject_id)")
    assert [(e.reason, e.n) for e in fit.exclusions] == [("log(thalamus_ml) is not finite", 1)]


def test_columns_that_repeat_others_are_dropped_and_named():
    data = cohort().assign(age_days=lambda f: f["age_years"] * 365.25)
    fit = fit_lmm(
        data, "thalamus_ml ~ year * phenotype + age_years + age_days + (year | subject_id)"
    )
    np.testing.assert_allclose(numbers(fit), numbers(fitted()), rtol=SAME_FIT)
    assert fit.notes == (
        "dropped from the fixed effects, as combinations of earlier ones: age_days",
    )
    assert "age_days" in fit.headline()


def test_levels_without_rows_are_dropped_and_named():
    data = cohort()
    data["phenotype"] = pd.Categorical(data["phenotype"], categories=["PPMS", "RRMS", "SPMS"])
    fit = fit_lmm(data, MODEL)
    np.testing.assert_allclose(numbers(fit), numbers(fitted()), rtol=ROUNDING)
    assert fit.notes == ("no row has phenotype = RRMS, so that is no level of the model",)


def test_one_group_is_fitted_and_said():
    fit = fit_lmm(cohort().query("phenotype == 'SPMS'"), MODEL)
    (note,) = fit.notes
    assert note.startswith("every row has phenotype = SPMS")


def test_prediction_is_the_mean_with_its_interval():
    new = pd.DataFrame({"year": [0, 2], "phenotype": ["SPMS", "PPMS"], "age_years": [40.0, 60.0]})
    found = fitted().predict(new)
    beta = fitted().table().set_index("term")["estimate"]
    rows = np.array([[1, 0, 1, 40, 0], [1, 2, 0, 60, 0]], dtype=float)
    np.testing.assert_allclose(found["estimate"], rows @ beta.to_numpy(), rtol=ROUNDING)
    variance = np.diag(rows @ fitted().covariance @ rows.T)
    np.testing.assert_allclose(found["std_error"] ** 2, variance, rtol=ROUNDING)
    half = (found["conf_high"] - found["conf_low"]) / 2
    np.testing.assert_allclose(half, stats.t.ppf(0.975, found["df"]) * np.sqrt(variance))
    assert list(found.columns[:3]) == list(new.columns)


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({"year": [0]}, "'phenotype'"),
        ({"year": [0], "phenotype": ["RRMS"], "age_years": [1.0]}, "does not know"),
        ({"year": ["x"], "phenotype": ["SPMS"], "age_years": [1.0]}, "must hold numbers"),
        ({"year": [np.nan], "phenotype": ["SPMS"], "age_years": [1.0]}, "no 'year'"),
    ],
)
def test_prediction_names_what_it_misses(new, message):
    with pytest.raises(DesignError, match=message):
        fitted().predict(pd.DataFrame(new))


def test_mean_that_the_data_cannot_tell_is_refused():
    data = cohort()
    data["sex"] = np.where(data["subject_id"].str[-1].astype(int) % 4 < 2, "F", "M")
    data = data.query("phenotype == 'PPMS' or sex == 'M'")
    fit = fit_lmm(data, "thalamus_ml ~ year + phenotype * sex + (1 | subject_id)")
    assert "phenotype[T.SPMS]:sex[T.M]" in fit.notes[0]
    cells = pd.DataFrame({"year": 1.0, "phenotype": ["PPMS", "PPMS", "SPMS"], "sex": list("FMM")})
    means = data.groupby(["phenotype", "sex"])["thalamus_ml"].mean().to_numpy()
    found = fit.predict(cells.assign(year=data["year"].mean()))["estimate"]
    np.testing.assert_allclose(found, means, rtol=ROUNDING)  # balanced visits: cell means
    with pytest.raises(DesignError, match=r"cannot be estimated for 1 of 1 row"):
        fit.predict(pd.DataFrame({"year": [1.0], "phenotype": ["SPMS"], "sex": ["F"]}))


def test_contrasts_by_array_by_term_and_by_label_agree():
    fit = fitted()
    weights = {"year": 1.0, "year:phenotype[T.SPMS]": 1.0}
    by_term = fit.contrast(weights)
    by_label = fit.contrast({"slope in SPMS": weights, "age": {"age_years": 10}})
    by_array = fit.contrast([[0, 1, 0, 0, 1]], labels=["slope in SPMS"])
    assert by_label["term"].tolist() == ["slope in SPMS", "age"]
    numeric = ["estimate", "std_error", "p_value", "conf_low", "conf_high"]
    np.testing.assert_array_equal(by_term[numeric], by_array[numeric])
    np.testing.assert_array_equal(by_label[numeric].iloc[[0]], by_array[numeric])
    beta = fit.table().set_index("term")["estimate"]
    expected = beta["year"] + beta["year:phenotype[T.SPMS]"]
    assert by_term["estimate"].item() == pytest.approx(expected)
    everything = fit.contrast(np.eye(5))
    np.testing.assert_allclose(everything[numeric], fit.table()[numeric], rtol=ROUNDING)


@pytest.mark.parametrize(
    ("contrasts", "labels", "message"),
    [
        ({"yaer": 1}, None, "Did you mean 'year'"),
        ([1, 2], None, "5 finite weights"),
        ([[np.nan] * 5], None, "5 finite weights"),
        (np.eye(5), ["a"], "1 name"),
    ],
)
def test_contrasts_that_do_not_fit_are_refused(contrasts, labels, message):
    with pytest.raises(DesignError, match=message):
        fitted().contrast(contrasts, labels=labels)


def test_tables_are_copies():
    fit = fitted()
    for made in (fit.table, fit.blups):
        mine = made()
        mine.iloc[:, 1:] = 0.0
        assert (made().iloc[:, 1] != 0).all()


def test_results_and_specs_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        fitted().n_obs = 1
    assert hash(fitted().spec) == hash(LMMSpec.from_formula(MODEL))
    assert fitted().spec == LMMSpec.from_formula(MODEL)


# --- bad input --------------------------------------------------------------------------------


def only(condition: str) -> pd.DataFrame:
    return cohort().query(condition)


REFUSED = [
    ("no row", cohort().iloc[:0], MODEL, "no rows"),
    ("no value", cohort().assign(thalamus_ml=np.nan), MODEL, r"no thalamus_ml: 120 row"),
    ("one subject", only("subject_id == 'S001'"), MODEL, r"needs several subjects.*S001"),
    ("one visit each", only("year == 0"), MODEL, "repeated visits"),
    ("too few visits", only("year < 2"), MODEL, r"Use \(1 \| subject_id\)"),
    (
        "too few rows",
        cohort().iloc[:8],
        "thalamus_ml ~ bs(year, df=4) * subject_id + (1 | subject_id)",
        "8 rows cannot determine",
    ),
    ("constant outcome", cohort().assign(thalamus_ml=5.0), MODEL, "is 5 in all 120 rows"),
    (
        "exact fit",
        cohort().assign(thalamus_ml=lambda f: 3 - 2 * f["year"]),
        MODEL,
        "describe thalamus_ml exactly",
    ),
    (
        "carried forward",
        cohort().assign(thalamus_ml=lambda f: f["age_years"]),
        "thalamus_ml ~ year + (1 | subject_id)",
        "carried forward",
    ),
    ("text outcome", cohort(), "phenotype ~ year + (1 | subject_id)", "column of numbers"),
    ("constant effect", cohort().assign(k=2.0), "thalamus_ml ~ year + (k | subject_id)", "'k'"),
    ("factor ||", cohort(), "thalamus_ml ~ year + (phenotype || subject_id)", "Use | instead"),
    (
        "no fixed effect",
        cohort().assign(k=0.0),
        "thalamus_ml ~ 0 + k + (1 | subject_id)",
        "no fixed",
    ),
]


@pytest.mark.parametrize(
    ("data", "formula", "message"),
    [pytest.param(*case[1:], id=case[0]) for case in REFUSED],
)
@pytest.mark.parametrize("engine", ["native", "statsmodels", "lme4"])
def test_data_that_cannot_answer_are_refused_before_any_engine_runs(
    data, formula, message, engine, monkeypatch
):
    monkeypatch.setattr(lmm, "run_lmm_engine", None)
    with pytest.raises(DesignError, match=message):
        fit_lmm(data, formula, engine=engine)


UNKNOWN = [
    ("thalamus_ml ~ yaer + (1 | subject_id)", "'yaer'.*Did you mean 'year'"),
    ("thalamus ~ year + (1 | subject_id)", "Did you mean 'thalamus_ml'"),
    ("thalamus_ml ~ year + (1 | subjectid)", "Did you mean 'subject_id'"),
    ("thalamus_ml ~ year", "needs a random term"),
    ("thalamus_ml ~ year + (1 | subject_id) + (year | subject_id)", "asked for twice"),
]


@pytest.mark.parametrize(("formula", "message"), UNKNOWN)
def test_formulas_that_do_not_fit_the_data_are_refused(formula, message):
    with pytest.raises(DesignError, match=message):
        fit_lmm(cohort(), formula)


ATTACK = '__import__("pathlib").Path({!r}).touch()'


@pytest.mark.parametrize("engine", ["native", "statsmodels", "lme4"])
@pytest.mark.parametrize(
    "formula",
    [
        "thalamus_ml ~ year + {} + (1 | subject_id)",
        "{} ~ year + (1 | subject_id)",
        "thalamus_ml ~ year + ({} | subject_id)",
        "thalamus_ml ~ year + (1 | {})",
        "thalamus_ml ~ bs(year, df={}) + (1 | subject_id)",
    ],
)
def test_code_in_a_model_never_runs(tmp_path, formula, engine):
    sentinel = tmp_path / "executed"
    with pytest.raises(FormulaError):
        fit_lmm(cohort(), formula.format(ATTACK.format(str(sentinel))), engine=engine)
    assert not sentinel.exists()


def test_code_in_the_data_never_runs(tmp_path):
    sentinel = tmp_path / "executed"
    code = ATTACK.format(str(sentinel))
    data = cohort().rename(columns={"age_years": code})
    data["phenotype"] = data["phenotype"].replace({"SPMS": code, "PPMS": "<b>`{x}`"})
    fit = fit_lmm(data, f"thalamus_ml ~ year * phenotype + `{code}` + (year | subject_id)")
    assert code in fit.table()["term"].tolist()
    assert fit.slopes("phenotype").table()["term"].tolist() == ["<b>`{x}`", code]
    assert not sentinel.exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "reml"}, "Did you mean 'REML'"),
        ({"conf_level": 95}, "Write 0.95"),
        ({"conf_level": 0.3}, "at least 0.5"),
        ({"random": ()}, "needs a random term"),
        ({"random": "subject_id"}, "tuple of RandomTerm"),
        ({"fixed": "year + (1 | subject_id)"}, "must not hold random terms"),
        ({"fixed": "import os"}, "does not parse"),
        ({"outcome": "a + b"}, "must be one column"),
    ],
)
def test_spec_checks_its_fields(change, message):
    fields = {"outcome": "y", "fixed": "year", "random": (RandomTerm(group="subject_id"),)}
    with pytest.raises(DesignError, match=message):
        LMMSpec(**{**fields, **change})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "lme5"}, "Did you mean 'lme4'"),
        ({"engine": "statmodels"}, "Did you mean 'statsmodels'"),
        ({"on_failure": "ignore"}, "must be one of raise, warn"),
    ],
)
def test_unknown_options_are_refused_with_the_nearest(options, message):
    with pytest.raises(DesignError, match=message):
        fit_lmm(cohort(), MODEL, **options)


def test_data_must_be_a_frame():
    with pytest.raises(DesignError, match="pandas DataFrame"):
        fit_lmm(cohort().to_dict(), MODEL)


# --- convergence ------------------------------------------------------------------------------


@pytest.fixture
def stuck_engine(monkeypatch):
    """Let the engine run, and then say that it found no maximum."""

    def run(engine, likelihood):
        found = original(engine, likelihood)
        log = dataclasses.replace(found.fit_log, converged=False, message="stuck")
        return dataclasses.replace(found, fit_log=log)

    original = lmm.run_lmm_engine
    monkeypatch.setattr(lmm, "run_lmm_engine", run)


@pytest.mark.usefixtures("stuck_engine")
def test_without_a_maximum_an_error_says_what_to_try():
    with pytest.raises(ConvergenceError, match="stuck") as caught:
        fit_lmm(cohort(), MODEL)
    for advice in ("(1 | subject_id)", "engine='lme4'", "on_failure='warn'"):
        assert advice in str(caught.value)


@pytest.mark.usefixtures("stuck_engine")
def test_without_a_maximum_a_result_is_flagged_if_asked_for():
    with pytest.warns(ConvergenceWarning, match="stuck"):
        fit = fit_lmm(cohort(), MODEL, on_failure="warn")
    assert not fit.fit_log.converged
    assert "did NOT converge" in fit.headline()
    assert "did NOT converge" in fit.slopes().headline()


def test_every_refusal_is_ours():
    assert issubclass(ConvergenceError, PMSStatsError)
    assert issubclass(FormulaError, DesignError)


def test_engines_are_imported_only_when_used():
    engines = {"statsmodels.regression.mixed_linear_model", "rpy2", "pymer4", "polars"}
    code = f"import sys, pmsstats.models; print(sorted({engines} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
