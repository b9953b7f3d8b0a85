"""Confirmed improvement of the EDSS."""

from __future__ import annotations

import math
from typing import Any

from pmsstats.endpoints.definitions.presets import sources
from pmsstats.endpoints.definitions.presets.sources import cite
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import AbsoluteThreshold, StepThreshold

__all__ = ["IMPROVEMENT_RULES"]

_OPERA: dict[str, Any] = {
    "threshold": StepThreshold(steps=((5.5, 1.0), (math.inf, 0.5))),
    "baseline_range": (2.0, math.inf),
    "citation": cite(sources.IMPROVEMENT),
}
_OTHERS = "TOP, CARE-MS II and HERCULES ask a whole point from every baseline (see srd24)."


def _improvement(name: str, weeks: int, **options: Any) -> ProgressionRule:
    """Make a rule of confirmed EDSS improvement."""
    fixed: dict[str, Any] = {
        "outcome": "edss", "direction": "decrease", "confirm_weeks": weeks,
        "label": f"{weeks}-week confirmed EDSS improvement",
    }  # fmt: skip
    return ProgressionRule(name=name, **{**fixed, **options})


IMPROVEMENT_RULES = (
    _improvement(
        "cdi12",
        12,
        **_OPERA,
        note=f"The source confirmed it after 24 weeks; 12 are the shorter variant. {_OTHERS}",
    ),
    _improvement("cdi24", 24, **_OPERA, note=_OTHERS),
    _improvement(
        "srd24",
        24,
        threshold=AbsoluteThreshold(change=1.0),
        baseline_range=(2.0, math.inf),
        label="sustained reduction in disability (EDSS, 24 weeks)",
        citation=cite(sources.CARE_MS),
        note=sources.SIX_MONTHS,
    ),
    _improvement(
        "cdi_msbase",
        13,
        threshold=StepThreshold(steps=((1.5, 1.5), (6.0, 1.0), (math.inf, 0.5))),
        baseline_visit="first",
        relapse_to_baseline_days=(31, 0),
        sustain_days=math.inf,
        label="EDSS improvement sustained to the end of follow-up",
        citation=cite(sources.MSBASE_IMPROVEMENT),
        note=(
            "Steps, baseline (more than 30 days after a relapse) and duration (3 months of 30.25 "
            "days: 91 days) are those of the authors' program MSoutcomes 0.2.1, function CDI."
        ),
    ),
)
"""Improvement from baseline."""
