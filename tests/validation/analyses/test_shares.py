"""Shares, study by study, beside counts and Pearson's test."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats
from studies_by_hand import EXACT, baseline, third

from pmsstats.validation.analyses import CommonestValue, Prevalence, Share


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
