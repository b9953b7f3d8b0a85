"""Differences of levels, study by study, beside those of statsmodels and scipy."""

from __future__ import annotations

import numpy as np
import statsmodels.formula.api as smf
from scipy import stats
from studies_by_hand import EXACT, baseline, third

from pmsstats.validation.analyses import Difference, DifferenceContrast, PairedDifference


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


def _cohen(a, b):
    """Return Cohen's d."""
    pooled = ((len(a) - 1) * a.var() + (len(b) - 1) * b.var()) / (len(a) + len(b) - 2)
    return (a.mean() - b.mean()) / np.sqrt(pooled)
