"""What is asked beside a formula; likelihood criteria and comparisons as lme4 counts them."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from reference_cases import load_case

from pmsstats.errors import DesignError
from pmsstats.models import LMMResult, LMMSpec, fit_lmm
from pmsstats.models.mixed.lmm_bootstrap import bootstrap_lmm, bootstrap_variance_test
from pmsstats.models.mixed.variance_tests import compare_fixed, compare_variances

CASE = load_case("lmm_criteria")
MODELS = {
    "slopes": "thalamus_ml ~ year * arm + (year | site_id:subject_no)",
    "sites": "thalamus_ml ~ year * arm + (year | site_id:subject_no) + (1 | site_id)",
    "uncorrelated": "thalamus_ml ~ year * arm + (year || site_id:subject_no)",
    "intercepts": "thalamus_ml ~ year + (1 | site_id:subject_no)",
}
CRITERIA = ["log_likelihood", "n_parameters", "aic", "bic"]


def visits() -> pd.DataFrame:
    arms = pd.Categorical(CASE.input["arm"], ["placebo", "active"])
    half = np.where(CASE.input["subject_no"] % 2, "odd", "even")
    return CASE.input.assign(arm=arms, half=half, weight=1.0 + (CASE.input["year"] > 1))


def fit(model: str, **options) -> LMMResult:
    return fit_lmm(visits(), MODELS[model], **options)


@pytest.mark.parametrize("how", ["reml", "ml"])
@pytest.mark.parametrize("model", MODELS)
def test_criteria_are_those_of_lme4(model, how):
    found = fit(model, method=how.upper())
    rows = CASE.rows(f"{model}.{how}")
    assert rows["term"].tolist() == CRITERIA
    for row in rows.itertuples():
        assert getattr(found, row.term) == pytest.approx(row.value, rel=row.rtol), row.term


def test_columns_that_were_dropped_are_no_parameters():
    twice = visits().assign(months=lambda d: 12 * d["year"])
    found = fit_lmm(twice, "thalamus_ml ~ year + months + (1 | site_id:subject_no)")
    assert found.n_parameters == 4
    assert found.aic == pytest.approx(fit("intercepts").aic, rel=1e-9)


@pytest.mark.parametrize("how", ["reml", "ml"])
def test_variance_between_sites_has_the_ratio_of_lme4_and_half_its_p_value(how):
    test = compare_variances(fit("sites", method=how.upper()), fit("slopes", method=how.upper()))
    expected = CASE.rows(f"site_variance.{how}").set_index("term")
    assert test.statistic == pytest.approx(expected.loc["statistic", "value"], rel=1e-6)
    naive = expected.loc["naive_p_value", "value"]
    assert test.naive_p_value == pytest.approx(naive, rel=1e-5)
    assert test.p_value == pytest.approx(naive / 2, rel=1e-5)  # 0.5 chi2(0) + 0.5 chi2(1)
    assert test.n_parameters == 1


def test_slopes_of_subjects_are_tested_in_the_presence_of_sites():
    smaller = fit_lmm(
        visits(), "thalamus_ml ~ year * arm + (1 | site_id) + (1 | site_id:subject_no)"
    )
    test = compare_variances(fit("sites"), smaller)
    assert test.n_parameters == 2  # the variance of slopes, and their covariance with intercepts
    assert test.statistic == pytest.approx(50.194, abs=5e-4)  # lmerTest::ranova of the same model


def test_fixed_effects_are_compared_in_the_presence_of_sites():
    small = MODELS["sites"].replace("year * arm", "year")
    test = compare_fixed(fit("sites", method="ML"), fit_lmm(visits(), small, method="ML"))
    assert test.n_parameters == 2


BAD = {
    "nothing to compare with": (("sites", None), "one grouping factor"),
    "two at once": (("sites", "thalamus_ml ~ year * arm + (1 | site_id)"), "one random effect can"),
    "not nested": (
        ("slopes", "thalamus_ml ~ year * arm + (1 | site_id)"),
        "Only the smaller model has random effects of site_id",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_comparisons_that_cannot_be_made_are_refused(case):
    (full, reduced), match = BAD[case]
    smaller = None if reduced is None else fit_lmm(visits(), reduced)
    with pytest.raises(DesignError, match=match):
        compare_variances(fit(full), smaller)


def test_bootstrap_with_several_grouping_factors_is_refused():
    with pytest.raises(DesignError, match="one grouping factor"):
        bootstrap_variance_test(fit("sites"), fit("slopes"), n_replicates=19, seed=1)


OPTIONS = {
    "method": "ML",
    "conf_level": 0.9,
    "df_method": "between-within",
    "weights": "weight",
}


@pytest.mark.parametrize("name", OPTIONS)
def test_a_formula_takes_options_beside_it(name):
    asked = {name: OPTIONS[name]}
    spec = LMMSpec.from_formula(MODELS["slopes"], **asked)
    pd.testing.assert_frame_equal(
        fit("slopes", **asked).table(), fit_lmm(visits(), spec).table(), check_exact=True
    )


@pytest.mark.parametrize("name", OPTIONS)
def test_a_request_has_its_own_options(name):
    spec = LMMSpec.from_formula(MODELS["slopes"])
    with pytest.raises(DesignError, match=rf"Put it in the request: LMMSpec\(\.\.\., {name}="):
        fit_lmm(visits(), spec, **{name: OPTIONS[name]})
    with pytest.raises(DesignError, match="must be a formula or an LMMSpec, got dict"):
        fit_lmm(visits(), {})


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("kr", "kenward-roger"),
        ("KR", "kenward-roger"),
        ("Kenward-Roger", "kenward-roger"),
        ("satterth", "satterthwaite"),
        ("lmerTest", "satterthwaite"),
        ("bw", "between-within"),
        ("asymptotic", "normal"),
    ],
)
def test_words_of_other_programs_for_degrees_of_freedom_get_a_hint(word, meant):
    with pytest.raises(DesignError, match=f"Did you mean '{meant}'"):
        fit("slopes", df_method=word)


def test_bootstrap_is_a_method_of_the_fit():
    found = fit("intercepts")
    mine = found.bootstrap(contrasts={"rise": {"year": 2.0}}, n_replicates=20, seed=3)
    other = bootstrap_lmm(found, contrasts={"rise": {"year": 2.0}}, n_replicates=20, seed=3)
    pd.testing.assert_frame_equal(mine.table(), other.table(), check_exact=True)
    assert "rise" in set(mine.table()["term"])


def test_without_an_intercept_means_are_averaged_over_other_factors():
    found = fit_lmm(visits(), "thalamus_ml ~ 0 + arm + year:arm + half + (1 | site_id:subject_no)")
    row = found.anova().table().set_index("term").loc["arm"]
    expected = CASE.rows("arm_averaged").set_index("term")
    for name in ("statistic", "df_denominator"):
        wanted = expected.loc[name]
        assert row[name] == pytest.approx(wanted["value"], rel=wanted["rtol"])
    by_coefficients = found.f_test(np.eye(5)[:2])  # what lmerTest's table has
    printed = CASE.rows("arm_at_reference").set_index("term")["value"]
    assert by_coefficients.statistic == pytest.approx(printed["statistic"], rel=1e-5)


def test_a_fit_without_log_likelihood_has_no_criteria():
    found = fit("intercepts")
    log = dataclasses.replace(found.fit_log, log_likelihood=None)
    assert np.isnan(dataclasses.replace(found, fit_log=log).aic)
