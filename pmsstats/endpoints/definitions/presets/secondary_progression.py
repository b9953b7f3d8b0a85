"""Onset of secondary progression."""

from __future__ import annotations

from pmsstats.endpoints.definitions.conditions import LevelCondition, RelapseFree
from pmsstats.endpoints.definitions.presets import sources
from pmsstats.endpoints.definitions.presets.sources import cite
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import AbsoluteThreshold
from pmsstats.endpoints.scores.edss import edss_threshold

__all__ = ["SPMS_RULES"]

_SYSTEMS = (
    "fs_pyramidal", "fs_cerebellar", "fs_brainstem", "fs_sensory", "fs_bowel_bladder",
    "fs_visual", "fs_cerebral", "fs_ambulation",
)  # fmt: skip

SPMS_RULES = (
    ProgressionRule(
        name="spms_lorscheider2016",
        outcome="edss",
        threshold=edss_threshold(5.5, from_zero=1.5),
        direction="increase",
        opposite_threshold=AbsoluteThreshold(change=0.5),
        events="first_pira",
        baseline="roving_improvement",
        baseline_visit="first",
        continue_from="onset",
        rebaseline_after_relapse=True,
        relapse_to_baseline_days=(30, 0),
        confirm_weeks=13,
        opposite_confirm_weeks=39,
        relapse_to_confirmation_days=(30, 0),
        raw_days=(0, 0),
        relapse_free=RelapseFree(
            reference=(0, None), onset=(None, 0), confirmation=(0, 0), reference_visit="last"
        ),
        onset_conditions=(
            LevelCondition(outcome="edss", at_least=4.0),
            LevelCondition(outcome="fs_pyramidal", at_least=2.0),
        ),
        condition_visits="confirmation",
        leading_systems=_SYSTEMS,
        label="onset of secondary progression",
        citation=cite(sources.LORSCHEIDER),
        note=(
            "Details are those of MSoutcomes 0.2.1, the authors' program (the paper could not be "
            "read): steps, 30 days, 13 and 39 weeks (3 and 9 months of 30.25 days), and that an "
            "improvement of half a point lowers the baseline. The program differs in that it asks "
            "for the pyramidal score at onset alone, and from EDSS 5.5 not at all (here it must be "
            "2.0 or more, and known, up to confirmation); takes a missing score of the system that "
            "leads as still higher; takes a new baseline only after a relapse that raised the "
            "EDSS, from a level that lasts 6 months (here after every relapse, 30 days or more "
            "later); and asks that progression lasts to the end of follow-up."
        ),
    ),
)
"""The definition by EDSS, pyramidal score and the leading functional system."""
