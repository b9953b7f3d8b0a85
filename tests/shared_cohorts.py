"""Cohorts whose hazard is exactly a joint model's, with a second measure beside the marker."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from pmsstats.cohort import Cohort
from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.seeds import stream
from synthetic import SharedEffectsConfig, generate_shared_effects

EVENT = {"kind": "recorded", "duration": "event_day", "event": "event_seen", "label": "worsening"}
MARKER = Measure(name="marker", label="Marker", unit="ml", worsening="lower")
SCORE = Measure(name="score", label="Score", worsening="higher")


def days(years) -> np.ndarray:
    """Turn years to whole days, upwards: nothing happens on day 0."""
    return np.ceil(np.asarray(years) * 365.25).astype(int)


def cohort_of(config: SharedEffectsConfig, seed) -> Cohort:
    """Make a cohort with a second measure, whose slope is the first's plus noise."""
    data = generate_shared_effects(config, seed=seed)
    survival = data.survival
    subjects = pd.DataFrame(
        {
            "subject_id": survival["subject_id"],
            "arm": survival["arm"],
            "sex": np.where(stream(seed, "sex").random(len(survival)) < 0.5, "F", "M"),
            "event_day": days(survival["duration"]),
            "event_seen": survival["event"],
        }
    )
    visits = data.longitudinal.merge(data.truth, on="subject_id")
    rng = stream(seed, "score")
    own = dict(zip(survival["subject_id"], rng.normal(0, 0.5, len(survival)), strict=True))
    slope = -visits["slope"] + visits["subject_id"].map(own)
    level = dict(zip(survival["subject_id"], rng.normal(3, 1, len(survival)), strict=True))
    score = (
        visits["subject_id"].map(level) + slope * visits["year"] + rng.normal(0, 0.5, len(visits))
    )
    visits = pd.DataFrame(
        {
            "subject_id": visits["subject_id"],
            "day": (visits["year"] * 365.25).round().astype(int),
            "marker": visits["marker"],
            "score": score,
        }
    )
    return Cohort(
        subjects,
        visits,
        dictionary=default_dictionary().extend(MARKER, SCORE),
        origin="synthetic",
    )


class CohortWithTruth(Cohort):
    """A cohort that knows its lines, as generators hand to evaluations."""

    __slots__ = ("truth",)


def generate(config: SharedEffectsConfig, seed, *, n_subjects: int) -> Cohort:
    """Make such a cohort as a generator does: config and seed in, tables and truth out."""
    sized = replace(config, n_subjects=n_subjects)
    plain = cohort_of(sized, seed)
    cohort = CohortWithTruth(
        plain.subjects, plain.visits, dictionary=plain.dictionary, origin="synthetic"
    )
    truth = generate_shared_effects(sized, seed=seed).truth
    cohort.truth = SimpleNamespace(
        subjects=pd.DataFrame(
            {
                "subject_id": truth["subject_id"],
                "marker_baseline": truth["level"],
                "marker_slope": truth["slope"],
            }
        )
    )
    return cohort
