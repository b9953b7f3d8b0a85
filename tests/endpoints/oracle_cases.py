"""Random courses and random rules for the oracle: every field, and days at every edge."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.cohort import Cohort
from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.endpoints.definitions.conditions import LesionFree, LevelCondition, RelapseFree
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import (
    AbsoluteThreshold,
    CombinedThreshold,
    LevelThreshold,
    RelativeThreshold,
    StepThreshold,
)
from pmsstats.errors import DesignError
from pmsstats.seeds import stream

SCORES = np.array([0.0, *np.arange(1.0, 10.5, 0.5)])
GAPS = (14, 28, 30, 56, 76, 77, 83, 84, 85, 91, 112, 161, 168, 175, 182, 336)
NEAR = (0, 0, 1, 29, 30, 31, 60, 89, 90, 91)
FACTORS = (0.8, 0.9, 1.0, 1.0, 1.1, 1.2, 1.2, 1.25, 1.44)
SYSTEMS = ("fs_pyramidal", "fs_cerebellar")
REASONS = ("completed", "dropout", "death", "adverse_event")
INF = math.inf


# --- courses ----------------------------------------------------------------------------------


def random_cohort(seed: int, n_subjects: int) -> Cohort:
    """Draw courses of several measures, with relapses and scans near the visits."""
    rng = stream(seed, "courses")
    ids = [f"C{i:04d}" for i in range(n_subjects)]
    visits, relapses, exits = [], [], []
    for subject in ids:
        days = visit_days(rng)
        visits.append(course(rng, days).assign(subject_id=subject))
        n = int(rng.choice([0, 0, 1, 1, 2, 3, 5]))
        near = rng.choice(days, n) + rng.choice([-1, 1], n) * rng.choice(NEAR, n)
        anywhere = rng.integers(days[0] - 150, days[-1] + 60, n)
        onsets = np.unique(np.where(rng.random(n) < 0.7, near, anywhere))
        relapses.append(pd.DataFrame({"subject_id": subject, "day": onsets}))
        reason = str(rng.choice(REASONS))
        exits.append({"subject_id": subject, "day": int(max(days[-1], 0)) + 100, "reason": reason})
    own = Measure(name="own_score", label="own score")
    return Cohort(
        pd.DataFrame({"subject_id": ids}),
        pd.concat(visits),
        pd.concat(relapses).astype({"day": int}),
        pd.DataFrame(exits),
        dictionary=default_dictionary().extend(own),
    )


def visit_days(rng: np.random.Generator) -> np.ndarray:
    """Draw the days of visits."""
    n = int(rng.choice([1, 2, 3, 4, 6, 8, 10, 12, 15, 20]))
    jitter = rng.integers(-2, 3, n) * (rng.random(n) < 0.2)
    first = int(rng.choice([0, 0, 0, -14, 30]))
    return first + np.cumsum([0, *rng.choice(GAPS, n - 1)]) + np.where(np.arange(n) > 0, jitter, 0)


def course(rng: np.random.Generator, days: np.ndarray) -> pd.DataFrame:
    """Draw the values of a subject, a few of them missing."""
    n = len(days)
    steps = rng.choice([[-1, 0, 0, 1, 1, 2], [-2, -1, -1, 0, 0, 1], [-2, 0, 0, 2]][n % 3], n)
    first = round(float(rng.uniform(4, 12)), 1)
    own = rng.choice([-0.3, -0.1, -0.05, 0, 0.05, 0.1, 0.15, 0.2, 0.3], n)
    frame = pd.DataFrame(
        {
            "day": days,
            "edss": SCORES[np.clip(rng.integers(0, 14) + np.cumsum(steps), 0, 19)],
            "t25fw_s": np.round(first * rng.choice(FACTORS, n), 2),
            "sdmt": np.clip(rng.integers(0, 60) + np.cumsum(rng.choice([-4, -2, 0, 3], n)), 0, 90),
            "own_score": np.round(np.cumsum(own), 2),
            **{name: np.clip(rng.integers(0, 3) + np.cumsum(steps > 0), 0, 5) for name in SYSTEMS},
            "new_t2_count": rng.choice([0, 0, 0, 1, 3], n),
            "gd_lesion_count": rng.choice([0, 0, 0, 0, 1], n),
        }
    ).astype(dict.fromkeys(("edss", "t25fw_s", "sdmt", *SYSTEMS), float))
    for name, share in {
        "edss": 0.05, "t25fw_s": 0.05, "sdmt": 0.05, "fs_pyramidal": 0.15, "fs_cerebellar": 0.3,
        "new_t2_count": 0.4, "gd_lesion_count": 0.5,
    }.items():  # fmt: skip
        frame[name] = frame[name].where(rng.random(n) >= share)
    return frame.assign(scheduled=rng.random(n) < 0.7)


# --- rules ------------------------------------------------------------------------------------

FIFTH, TENTH = RelativeThreshold(fraction=0.2), RelativeThreshold(fraction=0.1)
HALF, ONE, FOUR = (AbsoluteThreshold(change=c) for c in (0.5, 1.0, 4))
STEPS = StepThreshold(steps=((0, 1.5), (5.0, 1.0), (INF, 0.5)))
PIVOTAL = StepThreshold(steps=((5.5, 1.0), (INF, 0.5)))
SHARES = (
    FIFTH,
    TENTH,
    CombinedThreshold(parts=(FIFTH, AbsoluteThreshold(change=2)), take="smallest"),
    CombinedThreshold(parts=(FIFTH, AbsoluteThreshold(change=2)), take="largest"),
)
OUTCOMES: dict[str, tuple[Any, ...]] = {
    "edss": (STEPS, PIVOTAL, HALF, ONE, LevelThreshold(level=6), LevelThreshold(level=4)),
    "t25fw_s": (*SHARES, LevelThreshold(level=8.5)),
    "sdmt": (FOUR, TENTH, CombinedThreshold(parts=(FIFTH, FOUR)), LevelThreshold(level=30)),
    "own_score": (AbsoluteThreshold(change=0.1), AbsoluteThreshold(change=0.25)),
}
PAIRS = ((30, 0), (0, 30), (30, 30), (60, 7), (90, 0))
FREE = (
    RelapseFree(reference=(90, 30)),
    RelapseFree(reference=(0, None), onset=(None, 30), confirmation=(0, 0)),
    RelapseFree(reference=(30, None), onset=(None, None), confirmation=(None, 30)),
    RelapseFree(reference=(0, None), onset=(None, 0), reference_visit="last"),
    RelapseFree(reference=(30, 30), reference_visit="last_unchanged"),
    RelapseFree(reference=(0, None), onset=(None, 0), reference_visit="last_unchanged"),
    RelapseFree(onset=(90, None), confirmation=(None, 30)),
    RelapseFree(onset=(0, 0), confirmation=(60, 60)),
)
LESIONS = (
    LesionFree(),
    LesionFree(onset=(90, 90), scan_required=False),
    LesionFree(onset=(30, 30), confirmation=(60, 30)),
    LesionFree(measures=("new_t2_count",), onset=(180, 0)),
)
CONDITIONS = (
    (LevelCondition(outcome="fs_pyramidal", at_least=2),),
    (LevelCondition(outcome="edss", at_most=6), LevelCondition(outcome="sdmt", at_least=10)),
)
# What each field may be, beside its default.
FIELDS: dict[str, tuple[Any, ...]] = {
    "confirm_weeks": (12, 24, 8, (12, 24), (4, 12, 24)),
    "events": ("first_pira", "first_raw", "first_either", "multiple", "multiple"),
    "baseline": ("roving", "roving", "roving_improvement", "roving_worsening"),
    "opposite_threshold": (HALF, ONE, FOUR, FIFTH, AbsoluteThreshold(change=0.1)),
    "threshold_from": ("t25fw_s", "edss", "sdmt"),
    "baseline_visit": ("first",),
    "baseline_window_days": (30, 90),
    "baseline_range": ((2.0, 5.5), (5, 60), (-INF, 6.0)),
    "continue_from": ("onset",),
    "subthreshold_rebaseline": ("any", "any", "improvement", "worsening"),
    "rebaseline_after_relapse": (True,),
    "baseline_never_better": (True,),
    "moved_baseline_value": ("least_changed",),
    "skip_local_extrema": ("strict", "all"),
    "min_days_from_baseline": (84, 100),
    "confirm_tolerance_days": (7, 14),
    "confirm_late_days": (0, 28, 90),
    "confirm_intermediate": (False,),
    "confirm_level": ("onset",),
    "opposite_confirm_weeks": (8, 24),
    "confirmation_visits": ("scheduled",),
    "sustain_days": (168, 336, 500, INF),
    "impute_last_visit": (1,),
    "impute_within_days": (200, 600),
    "impute_reasons": (("dropout", "adverse_event"),),
    "relapse_to_baseline_days": PAIRS,
    "relapse_to_onset_days": PAIRS,
    "relapse_to_confirmation_days": PAIRS,
    "classify_relapses": (True, True),
    "raw_days": ((30, 0), (90, 30), (0, 0), (180, 7)),
    "relapse_free": FREE,
    "lesion_free": LESIONS,
    "onset_conditions": CONDITIONS,
    "condition_visits": ("confirmation",),
    "leading_systems": (SYSTEMS, ("fs_pyramidal",)),
    "leading_step": (2.0,),
}
USUAL = ("confirm_weeks", "events", "baseline", "classify_relapses")
"""Without these most of the others do nothing."""


def random_rule(seed: int) -> ProgressionRule:
    """Draw a rule: some fields, in a random order, each kept if it fits to those before."""
    rng = stream(seed, "rule")
    outcome = str(rng.choice(list(OUTCOMES)))
    rule = ProgressionRule(
        name=f"rule{seed}",
        outcome=outcome,
        threshold=pick(rng, OUTCOMES[outcome]),
        direction=str(rng.choice(["increase", "decrease"])),
    )
    for name in (n for n in USUAL if rng.random() < 0.75):
        rule = tried(rule, name, pick(rng, FIELDS[name]))
    others = [n for n in FIELDS if n not in USUAL]
    for name in rng.choice(others, int(rng.integers(3, 16)), replace=False):
        rule = tried(rule, str(name), pick(rng, FIELDS[str(name)]))
    return rule


def tried(rule: ProgressionRule, name: str, value: Any) -> ProgressionRule:
    """Set a field, or leave the rule as it is where the field does not fit."""
    try:
        return dataclasses.replace(rule, **{name: value})
    except DesignError:
        return rule


def pick(rng: np.random.Generator, choices: tuple[Any, ...]) -> Any:
    """Draw one."""
    return choices[int(rng.integers(len(choices)))]
