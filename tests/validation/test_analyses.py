"""Each analysis gives, study by study, what a user would get from an independent program."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from fake_studies import FakeConfig, fake_cohort
from lifelines import CoxPHFitter
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models import LMMSpec, fit_lmm
from pmsstats.validation.analyses import (
    ChangeCorrelation,
    CommonestValue,
    ConversionPrediction,
    Correlation,
    CorrelationContrast,
    Difference,
    DifferenceContrast,
    OutcomeSensitivity,
    PairedDifference,
    PairedRateDifference,
    Prediction,
    Prevalence,
    Rate,
    RateByOutcome,
    RateDifference,
    Reliability,
    Responsiveness,
    SampleSize,
    SampleSizeRatio,
    Share,
    TreatmentEffect,
)
from pmsstats.validation.cohort_arrays import cohort_arrays
from pmsstats.validation.studies import cut_studies

EXACT = 1e-9  # the same arithmetic, another order
OPTIMISED = 1e-5  # optimisers stop at tolerances of their own
CONVERGED = {"precision": 1e-13, "r_precision": 1e-15}
"""lifelines stops at a relative change of 1e-9 in the likelihood: four digits of the estimate."""
N_STUDIES = 3
YEARS = (0.0, 0.5, 1.0, 2.0)
WEEKS = (0, 26, 52, 104)
CONTROLS = (("HC", 30), ("SPMS", 35), ("PPMS", 40))
THIRD = 2
"""The study that is computed by hand."""


def make(groups=CONTROLS, weeks=WEEKS, years=YEARS, treatments=(), conversion=False, seed=5):
    """Cut studies from a fake cohort; return them, with one of them as frames."""
    total = sum(n for _, n in groups)
    config = FakeConfig(
        n_subjects=total * N_STUDIES * 3,
        mix=tuple((name, n / total) for name, n in groups),
        weeks=weeks,
        imaging_weeks=weeks,
        treatments=treatments,
        conversion=conversion,
    )
    tables = fake_cohort(config, seed)
    cohort = cohort_arrays(tables, years=years, planned_weeks=weeks, arm_names=treatments)
    studies = cut_studies([cohort], groups, N_STUDIES)
    ids = tables.subjects["subject_id"].to_numpy()[studies.rows[THIRD]]
    subjects = tables.subjects.set_index("subject_id").loc[ids].reset_index()
    visits = tables.visits[tables.visits["subject_id"].isin(ids)]
    long = visits.merge(subjects, on="subject_id")
    long["year"] = long["day"] / 365.25
    return studies, subjects, long


@pytest.fixture(scope="module")
def three_groups():
    return make()


@pytest.fixture(scope="module")
def trial():
    return make(groups=(("PPMS", 60),), treatments=("placebo", "active"))


@pytest.fixture(scope="module")
def rated():
    weeks = tuple(range(0, 105, 12))
    years = tuple(w * 7 / 365.25 for w in weeks)
    return make(groups=(("SPMS", 70), ("PPMS", 60)), weeks=weeks, years=years, conversion=True)


def baseline(long, *groups):
    """Return the baseline rows of some phenotypes."""
    return long[(long["day"] == 0) & long["phenotype"].isin(groups)]


def slopes(long, measure, *groups):
    """Return the least-squares slope of every subject, by numpy.polyfit."""
    chosen = long[long["phenotype"].isin(groups)]
    return chosen.groupby("subject_id", sort=True).apply(
        lambda one: np.polyfit(one["year"], one[measure], 1)[0], include_groups=False
    )


def third(found):
    """Return estimate, standard error and p value of the third study."""
    return found.estimate[THIRD], found.std_error[THIRD], found.p_value()[THIRD]


def test_difference_in_native_units_is_that_of_statsmodels(three_groups):
    studies, _, long = three_groups
    found = Difference(
        measure="thalamus_ml", groups=("PPMS", "SPMS"), versus=("HC",), standardise=False
    ).estimate(studies)
    data = baseline(long, "PPMS", "SPMS", "HC")
    data = data.assign(patient=(data["phenotype"] != "HC").astype(float))
    fit = smf.ols("thalamus_ml ~ patient + age_years + sex", data).fit()
    expected = [fit.params["patient"], fit.bse["patient"], fit.pvalues["patient"]]
    np.testing.assert_allclose(third(found), expected, rtol=EXACT)


def test_standardised_difference_divides_by_the_pooled_sd_and_keeps_the_test(three_groups):
    studies, _, long = three_groups
    analysis = Difference(measure="thalamus_ml", groups=("PPMS",), versus=("HC",), adjust=())
    a, b = (baseline(long, name)["thalamus_ml"] for name in ("PPMS", "HC"))
    pooled = np.sqrt(((len(a) - 1) * a.var() + (len(b) - 1) * b.var()) / (len(a) + len(b) - 2))
    d = (a.mean() - b.mean()) / pooled
    # Hedges and Olkin's large-sample variance of a standardised difference
    variance = 1 / len(a) + 1 / len(b) + d**2 / (2 * (len(a) + len(b) - 2))
    expected = [d, np.sqrt(variance), stats.ttest_ind(a, b).pvalue]
    np.testing.assert_allclose(third(analysis.estimate(studies)), expected, rtol=EXACT)


def test_split_compares_those_below_the_cut_with_the_others(three_groups):
    studies, _, long = three_groups
    found = Difference(
        measure="thalamus_ml", groups=("PPMS",), split=("duration", 7.0), adjust=(),
        standardise=False,
    ).estimate(studies)  # fmt: skip
    data = baseline(long, "PPMS")
    early = data["disease_duration_years"] < 7
    a, b = data.loc[early, "thalamus_ml"], data.loc[~early, "thalamus_ml"]
    np.testing.assert_allclose(third(found)[0], a.mean() - b.mean(), rtol=EXACT)
    np.testing.assert_allclose(third(found)[2], stats.ttest_ind(a, b).pvalue, rtol=EXACT)


def test_covariate_that_does_not_vary_takes_no_part(three_groups):
    studies, _, long = three_groups
    found = Difference(
        measure="edss", groups=("PPMS",), versus=("SPMS",), adjust=("age", "gd_lesion_presence"),
        standardise=False,
    )  # fmt: skip
    constant = baseline(long, "PPMS", "SPMS").assign(one=1.0)
    fit = smf.ols("edss ~ I(phenotype == 'PPMS') + age_years + gd_lesion_presence", constant).fit()
    np.testing.assert_allclose(third(found.estimate(studies))[0], fit.params.iloc[1], rtol=EXACT)
    doubled = Difference(
        measure="edss", groups=("PPMS",), versus=("SPMS",), adjust=("age", "age"),
        standardise=False,
    ).estimate(studies)  # fmt: skip
    once = smf.ols("edss ~ I(phenotype == 'PPMS') + age_years", constant).fit()
    np.testing.assert_allclose(third(doubled)[:2], [once.params.iloc[1], once.bse.iloc[1]],
                               rtol=EXACT)  # fmt: skip


def test_contrast_of_differences_is_the_difference_of_the_two(three_groups):
    studies, _, long = three_groups
    found = DifferenceContrast(
        first="thalamus_ml", second="brain_ml", groups=("PPMS",), versus=("HC",), adjust=()
    ).estimate(studies)
    d = [
        _cohen(baseline(long, "PPMS")[name], baseline(long, "HC")[name])
        for name in ("thalamus_ml", "brain_ml")
    ]
    np.testing.assert_allclose(third(found)[0], d[0] - d[1], rtol=EXACT)


def _cohen(a, b):
    """Return Cohen's d."""
    pooled = ((len(a) - 1) * a.var() + (len(b) - 1) * b.var()) / (len(a) + len(b) - 2)
    return (a.mean() - b.mean()) / np.sqrt(pooled)


def test_paired_difference_is_a_paired_t_test(three_groups):
    studies, _, long = three_groups
    found = PairedDifference(first="sdmt", second="pasat3", groups=("PPMS", "SPMS")).estimate(
        studies
    )
    data = baseline(long, "PPMS", "SPMS")
    difference = data["sdmt"] - data["pasat3"]
    expected = stats.ttest_rel(data["sdmt"], data["pasat3"])
    np.testing.assert_allclose(third(found)[0], difference.mean() / difference.std(), rtol=EXACT)
    np.testing.assert_allclose(third(found)[2], expected.pvalue, rtol=EXACT)


def test_prevalence_is_tested_by_pearsons_chi_squared(three_groups):
    studies, _, long = three_groups
    found = Prevalence(measure="gd_lesion_presence", groups=("PPMS",), versus=("HC",)).estimate(
        studies
    )
    data = baseline(long, "PPMS", "HC")
    table = pd.crosstab(data["phenotype"] == "PPMS", data["gd_lesion_presence"])
    share = table[1.0] / table.sum(axis=1)
    np.testing.assert_allclose(third(found)[0], 100 * (share[True] - share[False]), rtol=EXACT)
    expected = stats.chi2_contingency(table, correction=False).pvalue
    np.testing.assert_allclose(third(found)[2], expected, rtol=EXACT)


def test_shares_count_subjects(three_groups):
    studies, subjects, long = three_groups
    found = Share(measure="gd_lesion_presence", groups=("PPMS",), against=10.0).estimate(studies)
    share = baseline(long, "PPMS")["gd_lesion_presence"].mean()
    np.testing.assert_allclose(third(found)[0], 100 * share - 10, rtol=EXACT)
    common = CommonestValue(variable="onset_syndrome", value="cord", groups=("PPMS",))
    counts = subjects.loc[subjects["phenotype"] == "PPMS", "onset_syndrome"].value_counts()
    expected = 100 * (counts["cord"] - counts["other"]) / counts.sum()
    np.testing.assert_allclose(third(common.estimate(studies))[0], expected, rtol=EXACT)


def test_rate_is_the_time_effect_of_the_mixed_model(three_groups):
    studies, _, long = three_groups
    found = Rate(measure="thalamus_ml", groups=("PPMS",), percent=False).estimate(studies)
    data = long[long["phenotype"] == "PPMS"]
    fit = fit_lmm(data, "thalamus_ml ~ year + (year | subject_id)")
    row = fit.table().set_index("term").loc["year"]
    assert isinstance(fit.spec, LMMSpec)
    np.testing.assert_allclose(
        third(found)[:2], [row["estimate"], row["std_error"]], rtol=OPTIMISED
    )


def test_rate_in_percent_is_the_ratio_of_two_means(three_groups):
    studies, _, long = three_groups
    found = Rate(measure="thalamus_ml", groups=("PPMS",)).estimate(studies)
    slope = slopes(long, "thalamus_ml", "PPMS")
    level = baseline(long, "PPMS").set_index("subject_id").sort_index()["thalamus_ml"]
    ratio = 100 * slope.mean() / level.mean()
    np.testing.assert_allclose(third(found)[0], ratio, rtol=EXACT)
    np.testing.assert_allclose(third(found)[2], stats.ttest_1samp(slope, 0).pvalue, rtol=1e-7)
    jack = [
        100 * slope.drop(i).mean() / level.drop(i).mean() for i in slope.index
    ]  # the jackknife, another way to the error of a ratio
    n = len(jack)
    error = np.sqrt((n - 1) / n * np.sum((np.array(jack) - np.mean(jack)) ** 2))
    np.testing.assert_allclose(third(found)[1], error, rtol=0.01)


def test_change_and_counts_have_slopes_of_their_own_kind(three_groups):
    studies, _, long = three_groups
    data = long[(long["phenotype"] == "PPMS") & (long["day"] > 0)]
    through_zero = data.groupby("subject_id")[["pbvc_pct", "year"]].apply(
        lambda one: sm.OLS(one["pbvc_pct"], one["year"]).fit().params.iloc[0]
    )
    found = Rate(measure="pbvc_pct", groups=("PPMS",)).estimate(studies)
    np.testing.assert_allclose(third(found)[0], through_zero.mean(), rtol=EXACT)
    counted = Rate(measure="new_t2_count", groups=("PPMS",), percent=False).estimate(studies)
    per_year = data.groupby("subject_id")["new_t2_count"].sum() / data["year"].max()
    np.testing.assert_allclose(third(counted)[0], per_year.mean(), rtol=EXACT)


def test_difference_of_rates_is_welchs_test(three_groups):
    studies, _, long = three_groups
    found = RateDifference(
        measure="thalamus_ml", groups=("PPMS",), versus=("HC",), percent=False
    ).estimate(studies)
    a, b = (slopes(long, "thalamus_ml", name) for name in ("PPMS", "HC"))
    expected = stats.ttest_ind(a, b, equal_var=False)
    np.testing.assert_allclose(third(found)[0], a.mean() - b.mean(), rtol=1e-7)
    np.testing.assert_allclose(third(found)[2], expected.pvalue, rtol=1e-6)


def test_rates_of_two_measures_are_compared_within_persons(three_groups):
    studies, _, long = three_groups
    found = PairedRateDifference(
        first="thalamus_ml", second="brain_ml", groups=("PPMS",), percent=False, magnitude=True
    ).estimate(studies)
    a, b = (-slopes(long, name, "PPMS") for name in ("thalamus_ml", "brain_ml"))
    np.testing.assert_allclose(third(found)[2], stats.ttest_rel(a, b).pvalue, rtol=1e-6)
    np.testing.assert_allclose(third(found)[0], (a - b).mean(), rtol=1e-7)


@pytest.mark.parametrize(
    ("method", "witness"), [("spearman", stats.spearmanr), ("pearson", stats.pearsonr)]
)
def test_correlation_is_scipys(three_groups, method, witness):
    studies, _, long = three_groups
    found = Correlation(
        first="thalamus_ml", second="edss", groups=("PPMS",), method=method
    ).estimate(studies)
    data = baseline(long, "PPMS")
    expected = witness(data["thalamus_ml"], data["edss"])
    np.testing.assert_allclose(
        [third(found)[0], third(found)[2]], [expected.statistic, expected.pvalue], rtol=1e-7
    )


def test_partial_correlation_is_that_of_residuals_with_groups_removed(three_groups):
    studies, _, long = three_groups
    found = Correlation(
        first="thalamus_ml", second="brain_ml", groups=("PPMS", "SPMS"), partial=("age",),
        method="pearson",
    ).estimate(studies)  # fmt: skip
    data = baseline(long, "PPMS", "SPMS")
    fit = smf.ols("thalamus_ml ~ brain_ml + age_years + phenotype", data).fit()
    # the t statistic of a partial correlation is that of the regression coefficient
    np.testing.assert_allclose(third(found)[2], fit.pvalues["brain_ml"], rtol=1e-7)


def test_changes_are_correlated_across_persons(three_groups):
    studies, _, long = three_groups
    found = ChangeCorrelation(first="thalamus_ml", second="brain_ml", groups=("PPMS",)).estimate(
        studies
    )
    pair = [slopes(long, name, "PPMS") for name in ("thalamus_ml", "brain_ml")]
    np.testing.assert_allclose(third(found)[0], stats.spearmanr(*pair).statistic, rtol=EXACT)


def test_contrast_of_correlations_is_that_of_fishers_z(three_groups):
    studies, _, long = three_groups
    found = CorrelationContrast(
        first="thalamus_ml", second="brain_ml", other="edss", groups=("PPMS",), method="pearson"
    ).estimate(studies)
    data = baseline(long, "PPMS")
    z = [np.arctanh(abs(data[name].corr(data["edss"]))) for name in ("thalamus_ml", "brain_ml")]
    np.testing.assert_allclose(third(found)[0], z[0] - z[1], rtol=EXACT)


def _survival(studies, long, outcome):
    """Return duration and event of the third study, in table order."""
    events = studies.event(outcome)
    frame = long[long["day"] == 0].sort_values("subject_id")
    order = np.argsort(
        studies.cohorts[0].tables.subjects["subject_id"].to_numpy()[studies.rows[THIRD]]
    )
    return frame.assign(duration=events.duration[THIRD][order], event=events.happened[THIRD][order])


def test_prediction_of_an_event_is_lifelines_cox_model(rated):
    studies, _, long = rated
    found = Prediction(
        measure="thalamus_ml", outcome="cdp12", groups=("SPMS", "PPMS"), adjust=("age",)
    ).estimate(studies)
    data = _survival(studies, long, "cdp12").dropna(subset=["duration"])
    within = data["thalamus_ml"] - data.groupby("phenotype")["thalamus_ml"].transform("mean")
    data = data.assign(score=-within / within.std())
    fit = CoxPHFitter().fit(
        data[["score", "age_years", "phenotype", "duration", "event"]],
        "duration", "event", strata=["phenotype"], fit_options=CONVERGED,
    )  # fmt: skip
    assert data["event"].sum() > 10
    row = fit.summary.loc["score"]
    np.testing.assert_allclose(third(found), [row["coef"], row["se(coef)"], row["p"]], rtol=1e-6)


def test_prediction_of_conversion_is_lifelines_cox_model(rated):
    studies, _, long = rated
    found = ConversionPrediction(
        measure="thalamus_ml", groups=("SPMS",), to="SPMS", horizon=1.5
    ).estimate(studies)
    data = _survival(studies.select(("SPMS",)), long[long["phenotype"] == "SPMS"], "conversion")
    end = 1.5 * 365.25
    data["event"] &= data["duration"] <= end
    data["duration"] = data["duration"].clip(upper=end)
    data["score"] = -(data["thalamus_ml"] - data["thalamus_ml"].mean()) / data["thalamus_ml"].std()
    fit = CoxPHFitter().fit(
        data[["score", "duration", "event"]], "duration", "event", fit_options=CONVERGED
    )
    row = fit.summary.loc["score"]
    np.testing.assert_allclose(third(found)[:2], [row["coef"], row["se(coef)"]], rtol=1e-6)


def test_cox_model_without_maximum_has_no_estimate():
    studies, _, _ = make(groups=(("HC", 12),))
    found = Prediction(measure="thalamus_ml", outcome="cdp12", groups=("HC",)).estimate(studies)
    assert np.isnan(found.estimate).all()  # nobody worsens from EDSS 0


def test_prediction_of_change_is_a_standardised_regression(rated):
    studies, _, long = rated
    found = Prediction(
        measure="thalamus_ml", outcome="edss_change", groups=("PPMS",), horizon=2.0
    ).estimate(studies)
    first, last = (
        long[(long["day"] == day) & (long["phenotype"] == "PPMS")]
        .set_index("subject_id")
        .sort_index()
        for day in (0, long["day"].max())
    )
    change = last["edss"] - first["edss"]
    expected = stats.linregress(-first["thalamus_ml"], change)
    np.testing.assert_allclose(third(found)[0], expected.rvalue, rtol=EXACT)
    np.testing.assert_allclose(third(found)[2], expected.pvalue, rtol=1e-7)


def test_rates_are_compared_by_outcome(rated):
    studies, _, long = rated
    data = _survival(studies, long, "cdp12").set_index("subject_id").sort_index()
    slope = slopes(long, "thalamus_ml", "SPMS", "PPMS").sort_index()
    had = data["event"] & data["duration"].notna()
    a, b = slope[had], slope[~data["event"] & data["duration"].notna()]
    analysis = RateByOutcome(
        measure="thalamus_ml", outcome="cdp12", groups=("SPMS", "PPMS"), percent=False
    )
    expected = stats.ttest_ind(a, b, equal_var=False).pvalue
    np.testing.assert_allclose(third(analysis.estimate(studies))[2], expected, rtol=1e-6)
    ratio = RateByOutcome(
        measure="thalamus_ml", outcome="cdp12", groups=("SPMS", "PPMS"), percent=False, ratio=True
    )
    np.testing.assert_allclose(
        third(ratio.estimate(studies))[0], np.log(a.mean() / b.mean()), rtol=1e-7
    )


def test_effect_on_rate_and_on_change(trial):
    studies, _, long = trial
    rate = TreatmentEffect(measure="thalamus_ml", groups=("PPMS",), percent=False)
    on = set(long.loc[long["arm"] == "active", "subject_id"])
    slope = slopes(long, "thalamus_ml", "PPMS")
    is_active = slope.index.isin(on)
    expected = stats.ttest_ind(slope[is_active], slope[~is_active], equal_var=False).pvalue
    np.testing.assert_allclose(third(rate.estimate(studies))[2], expected, rtol=1e-6)
    first, last = (long[long["day"] == d].set_index("subject_id") for d in (0, long["day"].max()))
    data = first.assign(change=last["thalamus_ml"] - first["thalamus_ml"])
    fit = smf.ols("change ~ I(arm == 'active') + thalamus_ml", data).fit()
    change = TreatmentEffect(
        measure="thalamus_ml", groups=("PPMS",), kind="change", percent=False
    ).estimate(studies)
    expected = [fit.params.iloc[1], fit.bse.iloc[1], fit.pvalues.iloc[1]]
    np.testing.assert_allclose(third(change), expected, rtol=EXACT)


def test_effect_on_counts_is_quasi_poisson_by_arm(trial):
    studies, _, long = trial
    found = TreatmentEffect(measure="new_t2_count", groups=("PPMS",), kind="count").estimate(
        studies
    )
    total = long[long["day"] > 0].groupby(["arm", "subject_id"])["new_t2_count"].sum().reset_index()
    active = (total["arm"] == "active").astype(float)
    fit = sm.GLM(total["new_t2_count"], sm.add_constant(active), sm.families.Poisson()).fit(
        cov_type="HC0"
    )
    np.testing.assert_allclose(third(found)[0], fit.params.iloc[1], rtol=1e-7)
    small_sample = 30 / 29  # n / (n - 1) in each arm, against the sandwich
    np.testing.assert_allclose(third(found)[1] ** 2, fit.bse.iloc[1] ** 2 * small_sample, rtol=1e-6)


def test_responsiveness_and_sample_sizes_follow_from_the_slopes(three_groups):
    studies, _, long = three_groups
    a, b = (-slopes(long, name, "PPMS") for name in ("thalamus_ml", "brain_ml"))
    control = -slopes(long, "thalamus_ml", "HC")
    found = Responsiveness(first="thalamus_ml", second="brain_ml", groups=("PPMS",))
    expected = a.mean() / a.std() - b.mean() / b.std()
    np.testing.assert_allclose(third(found.estimate(studies))[0], expected, rtol=1e-7)
    # the textbook formula, with 1.96 and 0.84 in full
    z = 1.959963984540054 + 0.8416212335729143
    size = SampleSize(measure="thalamus_ml", groups=("PPMS",), versus_hc=True, against=57.0)
    n = 2 * z**2 * a.var() / (0.5 * (a.mean() - control.mean())) ** 2
    np.testing.assert_allclose(third(size.estimate(studies))[0], np.log(n / 57), rtol=1e-7)
    ratio = SampleSizeRatio(first="thalamus_ml", second="brain_ml", groups=("PPMS",))
    expected = np.log((a.std() / a.mean()) ** 2 / (b.std() / b.mean()) ** 2)
    np.testing.assert_allclose(third(ratio.estimate(studies))[0], expected, rtol=1e-7)


def test_reliability_is_the_one_way_intraclass_correlation(three_groups):
    studies, _, long = three_groups
    found = Reliability(measure="sdmt", groups=("PPMS",)).estimate(studies)
    wide = long[(long["phenotype"] == "PPMS") & (long["day"] <= 182)].pivot_table(
        index="subject_id", columns="day", values="sdmt"
    )
    n = len(wide)
    between = 2 * ((wide.mean(axis=1) - wide.to_numpy().mean()) ** 2).sum() / (n - 1)
    within = wide.var(axis=1).mean()
    expected = (between - within) / (between + within)
    np.testing.assert_allclose(third(found)[0], expected, rtol=EXACT)
    cv = Reliability(measure="sdmt", groups=("PPMS",), kind="cv").estimate(studies)
    np.testing.assert_allclose(
        third(cv)[0], 100 * np.sqrt(within) / wide.to_numpy().mean(), rtol=EXACT
    )


def test_power_of_a_trial_on_events_is_schoenfelds(rated):
    studies, _, long = rated
    found = OutcomeSensitivity(outcome="cdp12", groups=("PPMS",), n_per_arm=50).estimate(studies)
    data = _survival(studies.select(("PPMS",)), long[long["phenotype"] == "PPMS"], "cdp12")
    share = data["event"].mean()
    events = 50 * share + 50 * (1 - (1 - share) ** 0.7)
    power = stats.norm.cdf(abs(np.log(0.7)) * np.sqrt(events / 4) - 1.959963984540054)
    np.testing.assert_allclose(third(found)[0], 100 * (power - 0.8), rtol=1e-7)


@pytest.mark.parametrize(
    ("analysis", "fields", "message"),
    [
        (Difference, {"measure": "edss", "groups": ("PPMS",)}, "either `versus`"),
        (Difference, {"measure": "edss", "groups": ("PPMS",), "versus": ("PPMS",)}, "stands in"),
        (Correlation, {"first": "a", "second": "b", "groups": ("PPMS",), "method": "spearmann"},
         "Did you mean 'spearman'"),
        (Prediction, {"measure": "a", "outcome": "cdp21", "groups": ("PPMS",)}, "Did you mean"),
        (SampleSize, {"measure": "a", "groups": ("PPMS",), "power": 1.2}, "`power` must lie"),
        (Reliability, {"measure": "a", "groups": ("PPMS",), "kind": "iccc"}, "Did you mean 'icc'"),
        (TreatmentEffect, {"measure": "a", "groups": ("PPMS",), "kind": "rates"}, "Did you mean"),
    ],
)  # fmt: skip
def test_impossible_analyses_are_refused(analysis, fields, message):
    with pytest.raises(DesignError, match=message):
        analysis(**fields)
