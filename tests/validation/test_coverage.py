"""Intervals of the analyses cover the truth of a large cohort as often as they say."""

from __future__ import annotations

import numpy as np
import pytest
from fake_studies import FakeConfig, fake_cohort

from pmsstats.validation.analyses import (
    Correlation,
    CorrelationContrast,
    Difference,
    DifferenceContrast,
    PairedDifference,
    Prediction,
    Prevalence,
    Rate,
    RateDifference,
    Reliability,
    Responsiveness,
    SampleSize,
    SampleSizeRatio,
)
from pmsstats.validation.cohort_arrays import cohort_arrays
from pmsstats.validation.studies import cut_studies

COVERED = [
    Difference(measure="thalamus_ml", groups=("PPMS",), versus=("HC",)),
    DifferenceContrast(first="thalamus_ml", second="brain_ml", groups=("PPMS",), versus=("HC",)),
    PairedDifference(first="sdmt", second="pasat3", groups=("PPMS",)),
    Rate(measure="thalamus_ml", groups=("PPMS",)),
    RateDifference(measure="thalamus_ml", groups=("PPMS",), versus=("HC",)),
    Correlation(first="thalamus_ml", second="brain_ml", groups=("PPMS",)),
    CorrelationContrast(first="thalamus_ml", second="sdmt", other="brain_ml", groups=("PPMS",)),
    Responsiveness(first="thalamus_ml", second="brain_ml", groups=("PPMS",)),
    SampleSize(measure="thalamus_ml", groups=("PPMS",), versus_hc=True),
    SampleSizeRatio(first="thalamus_ml", second="brain_ml", groups=("PPMS",), versus_hc=True),
    Reliability(measure="sdmt", groups=("PPMS",)),
    Reliability(measure="sdmt", groups=("PPMS",), kind="cv"),
    Prediction(measure="thalamus_ml", outcome="edss_change", groups=("PPMS",)),
    Prevalence(measure="gd_lesion_presence", groups=("PPMS",), versus=("HC",)),
]
COVERAGE_STUDIES = 400
COVERAGE_BIAS = 0.025  # intervals from large-sample errors, at 60 subjects a group


@pytest.fixture(scope="module")
def many_studies():
    groups = (("HC", 60), ("PPMS", 60))
    n = 120 * COVERAGE_STUDIES
    config = FakeConfig(
        n_subjects=n + 2000, mix=(("HC", 0.5), ("PPMS", 0.5)), weeks=(0, 52, 104),
        imaging_weeks=(0, 52, 104),
    )  # fmt: skip
    cohort = cohort_arrays(
        fake_cohort(config, 11), years=(0.0, 1.0, 2.0), planned_weeks=config.weeks
    )
    large = cut_studies([cohort], (("HC", 23_000), ("PPMS", 23_000)), 1)
    return cut_studies([cohort], groups, COVERAGE_STUDIES), large


@pytest.mark.parametrize("analysis", COVERED, ids=lambda a: f"{type(a).__name__} {a.units}")
def test_intervals_cover_the_truth(many_studies, analysis):
    studies, large = many_studies
    truth = analysis.estimate(large).estimate[0]
    low, high = analysis.estimate(studies).interval()
    covered = ((low <= truth) & (truth <= high)).mean()
    tolerance = 4 * np.sqrt(0.95 * 0.05 / COVERAGE_STUDIES) + COVERAGE_BIAS
    assert abs(covered - 0.95) < tolerance


def test_studies_share_no_subject(many_studies):
    studies, _ = many_studies
    assert len(np.unique(studies.rows)) == studies.rows.size
