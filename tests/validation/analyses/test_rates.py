"""Annual changes, study by study, beside the mixed model, Welch's test and the jackknife."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from studies_by_hand import EXACT, OPTIMISED, baseline, slopes, survival, third

from pmsstats.models import LMMSpec, fit_lmm
from pmsstats.validation.analyses import PairedRateDifference, Rate, RateByOutcome, RateDifference


@pytest.mark.slow  # the kernels of the mixed model are compiled where no cache has them
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


def test_rates_are_compared_by_outcome(rated):
    studies, _, long = rated
    data = survival(studies, long, "cdp12").set_index("subject_id").sort_index()
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
