"""Correlations, study by study, beside those of scipy and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.formula.api as smf
from scipy import stats
from studies_by_hand import EXACT, baseline, slopes, third

from pmsstats.validation.analyses import ChangeCorrelation, Correlation, CorrelationContrast


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
