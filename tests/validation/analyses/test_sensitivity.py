"""Responsiveness, sample sizes and reliability, study by study, beside their formulas."""

from __future__ import annotations

import numpy as np
from studies_by_hand import EXACT, slopes, third

from pmsstats.validation.analyses import Reliability, Responsiveness, SampleSize, SampleSizeRatio


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
