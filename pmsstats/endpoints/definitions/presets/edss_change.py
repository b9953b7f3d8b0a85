"""Confirmed EDSS progression, as the trials defined it, and confirmed EDSS milestones."""

from __future__ import annotations

import math
from typing import Any

from pmsstats.endpoints.definitions.presets import sources
from pmsstats.endpoints.definitions.presets.sources import cite
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import LevelThreshold, StepThreshold
from pmsstats.endpoints.scores.edss import edss_threshold

__all__ = ["EDSS_RULES", "MILESTONE_RULES", "confirmed_edss", "confirmed_level"]

_UP_TO_5_5 = edss_threshold(5.5)
_UP_TO_5 = edss_threshold(5.0)
_FROM_ZERO = StepThreshold(steps=((0.0, 1.5), (math.inf, 1.0)))
_THREE_STEPS = edss_threshold(5.0, from_zero=1.5)
_BOUNDARY = (
    "Sources disagree at baseline 5.5: OLYMPUS, ORATORIO, OPERA and ASCEND ask a whole point, "
    "EXPAND and HERCULES half a point (see cdp12_expand)."
)
_OLYMPUS_CENSORED = (
    "OLYMPUS also counted subjects who left treatment early after an unconfirmed change as having "
    "progressed (see cdp12_olympus); here they are censored."
)
_OLYMPUS_IMPUTED = (
    "By the registry entry (ClinicalTrials.gov NCT00087529) subjects who left treatment early "
    "after an unconfirmed change had progressed, those who completed it were censored. Leaving "
    'treatment is taken as leaving the study, with the reason "dropout" in the exits table: if '
    "yours has other words, name them by `impute_reasons`. A change is taken as confirmed if it "
    "was there at the last visit, and is dated there. Whether OLYMPUS counted those who died could "
    "not be verified; here they are censored."
)
_NO_HALF_STEP = "No half point counts from high baselines: these trials enrolled up to EDSS 5.0."


def confirmed_edss(
    name: str, weeks: int, threshold: StepThreshold = _UP_TO_5_5, **options: Any
) -> ProgressionRule:
    """Make a rule of confirmed EDSS progression.

    Parameters
    ----------
    name : str
        Of the rule.
    weeks : int
        To confirmation.
    threshold : StepThreshold
        By baseline; a whole point up to 5.5 and half a point above by default.
    **options
        Further fields of the rule.

    Returns
    -------
    ProgressionRule
        The rule.
    """
    fixed: dict[str, Any] = {
        "outcome": "edss", "direction": "increase", "confirm_weeks": weeks,
        "label": f"{weeks}-week confirmed EDSS progression",
    }  # fmt: skip
    return ProgressionRule(name=name, threshold=threshold, **{**fixed, **options})


def confirmed_level(level: float, meaning: str, citation: str, note: str) -> ProgressionRule:
    """Make a rule of a confirmed EDSS milestone.

    Parameters
    ----------
    level : float
        EDSS.
    meaning : str
        In clinical words.
    citation, note : str
        Of the rule.

    Returns
    -------
    ProgressionRule
        The rule.
    """
    return ProgressionRule(
        name=f"edss{level:g}",
        outcome="edss",
        threshold=LevelThreshold(level=level),
        direction="increase",
        confirm_weeks=24,
        label=f"24-week confirmed EDSS of {level:.1f} or more ({meaning})",
        citation=citation,
        note=note,
    )


EDSS_RULES = (
    confirmed_edss(
        "cdp12",
        12,
        citation=cite(sources.OLYMPUS, sources.ORATORIO),
        note=f"{_BOUNDARY} {_OLYMPUS_CENSORED} {sources.SCHEDULED}",
    ),
    confirmed_edss(
        "cdp12_olympus",
        12,
        impute_last_visit=1,
        impute_reasons=("dropout",),
        label="12-week confirmed EDSS progression, or unconfirmed before early discontinuation",
        citation=cite(sources.OLYMPUS),
        note=f"{_OLYMPUS_IMPUTED} {sources.SCHEDULED}",
    ),
    confirmed_edss("cdp24", 24, citation=cite(sources.ORATORIO), note=_BOUNDARY),
    confirmed_edss(
        "cdp12_expand",
        12,
        _UP_TO_5,
        label="12-week confirmed EDSS progression (half a point from 5.5)",
        citation=cite(sources.EXPAND),
        note=f"{sources.THREE_MONTHS} {sources.SCHEDULED}",
    ),
    confirmed_edss(
        "cdp24_expand",
        24,
        _UP_TO_5,
        label="24-week confirmed EDSS progression (half a point from 5.5)",
        citation=cite(sources.HERCULES, sources.EXPAND),
        note=f"Primary endpoint of HERCULES, secondary of EXPAND. {sources.SIX_MONTHS}",
    ),
    confirmed_edss(
        "cdp12_from_zero",
        12,
        _FROM_ZERO,
        label="12-week confirmed EDSS progression (1.5 points from 0)",
        citation=cite(sources.AFFIRM),
        note=_NO_HALF_STEP,
    ),
    confirmed_edss(
        "cdp24_from_zero",
        24,
        _FROM_ZERO,
        label="24-week confirmed EDSS progression (1.5 points from 0)",
        citation=cite(sources.CARE_MS),
        note=f"{sources.SIX_MONTHS} {_NO_HALF_STEP}",
    ),
    confirmed_edss(
        "cdp24_ensemble",
        24,
        _THREE_STEPS,
        confirm_tolerance_days=14,
        label="24-week confirmed EDSS progression (1.5 points from 0, half a point from 5.5)",
        citation=cite(sources.ENSEMBLE),
        note="The registry entry allows the confirming visit to be 2 weeks early.",
    ),
)
"""Progression from baseline. None takes account of relapses."""

MILESTONE_RULES = (
    confirmed_level(
        4.0,
        "limited walking",
        cite(sources.MILESTONES),
        "The analysis asked for confirmation; that it took 24 weeks could not be verified.",
    ),
    confirmed_level(
        6.0,
        "a walking aid is needed",
        cite(sources.WALKING_AID, sources.MILESTONES),
        "OPERA confirmed it after 24 weeks, and after 48 weeks as well.",
    ),
    confirmed_level(7.0, "a wheelchair is needed", cite(sources.WHEELCHAIR), ""),
)
"""Levels: subjects whose baseline has reached them are not at risk."""
