"""What analyses say that they need, and which ones are refused."""

from __future__ import annotations

import pytest

from pmsstats.errors import DesignError
from pmsstats.validation.analyses import (
    ChangeCorrelation,
    CommonestValue,
    ConversionPrediction,
    Correlation,
    Difference,
    OutcomeSensitivity,
    Prediction,
    Reliability,
    SampleSize,
    SampleSizeRatio,
    TreatmentEffect,
)

PPMS = ("PPMS",)
NEEDS = [  # analysis; measures, phenotypes, outcomes, whether follow-up, how many arms
    (Difference(measure="edss", groups=PPMS, versus=("HC",), adjust=("age", "brain_ml")),
     (("edss", "brain_ml"), ("PPMS", "HC"), (), False, 0)),
    (Difference(measure="edss", groups=PPMS, split=("duration", 5.0), adjust=("duration",), at=1.0),
     (("edss",), PPMS, (), True, 0)),
    (Correlation(first="brain_ml", second="msfc_z", groups=PPMS, partial=("age",), arm="placebo"),
     (("brain_ml", "t25fw_s", "nhpt_s", "pasat3"), PPMS, (), False, 1)),
    (Correlation(first="brain_ml", second="edss", groups=PPMS, at_second=1.0),
     (("brain_ml", "edss"), PPMS, (), True, 0)),
    (ChangeCorrelation(first="brain_ml", second="cdp12", groups=PPMS),
     (("brain_ml",), PPMS, ("cdp12",), True, 0)),
    (Prediction(measure="brain_ml", outcome="sdmt_change", groups=PPMS, adjust=("edss",)),
     (("brain_ml", "sdmt", "edss"), PPMS, (), True, 0)),
    (Prediction(measure="brain_ml", outcome="cdp12", groups=PPMS),
     (("brain_ml",), PPMS, ("cdp12",), True, 0)),
    (ConversionPrediction(measure="brain_ml", groups=("RIS",)),
     (("brain_ml",), ("RIS",), ("conversion",), True, 0)),
    (OutcomeSensitivity(outcome="cdp12", groups=PPMS), ((), PPMS, ("cdp12",), True, 0)),
    (CommonestValue(variable="onset_syndrome", value="cord", groups=PPMS),
     ((), PPMS, (), False, 0)),
    (TreatmentEffect(measure="brain_ml", groups=PPMS), (("brain_ml",), PPMS, (), True, 2)),
    (SampleSize(measure="brain_ml", groups=PPMS, versus_hc=True),
     (("brain_ml",), ("PPMS", "HC"), (), True, 0)),
    (SampleSizeRatio(first="brain_ml", second="edss", groups=PPMS, second_groups=("SPMS", "PPMS")),
     (("brain_ml", "edss"), ("PPMS", "SPMS"), (), True, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("analysis", "expected"), NEEDS)
def test_analyses_say_what_they_need(analysis, expected):
    needs = (analysis.measures, analysis.phenotypes, analysis.outcomes)
    assert (*needs, analysis.needs_followup, analysis.needs_arms) == expected


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
