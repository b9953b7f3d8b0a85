"""Hypothesis strategies: small cohorts with all that a progression rule may ask for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from endpoints.rule_strategies import SYSTEMS
from hypothesis import strategies as st

from pmsstats.cohort import Cohort, Measure, default_dictionary

DICTIONARY = default_dictionary().extend(Measure(name="own_score", label="Own score"))
GAPS = (1, 14, 28, 56, 77, 83, 84, 85, 90, 112, 168, 169, 250)
"""Days between visits: around the borders of confirmation windows and intervals."""

SCORES = {
    "edss": (3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5),
    "t25fw_s": (5.0, 5.5, 6.0, 6.6, 7.2, 8.0),
    "sdmt": (36.0, 40.0, 43.0, 44.0, 47.0, 50.0),
    "own_score": (-1.0, 0.0, 2.0, 3.0, 4.0, 6.0),
}


def _column(rng: np.random.Generator, values: tuple[float, ...], n: int, missing: float) -> Any:
    """Draw a column, with some of it missing."""
    drawn = rng.choice(np.array(values, dtype=float), n)
    return np.where(rng.random(n) < missing, np.nan, drawn)


def _visits(rng: np.random.Generator, subject_id: str) -> pd.DataFrame:
    """Draw the visits of one subject."""
    n = int(rng.integers(1, 11))
    start = int(rng.choice([-60, -14, 0, 0, 0, 5, 40]))
    days = start + np.concatenate([[0], np.cumsum(rng.choice(GAPS, n - 1))])
    columns = {name: _column(rng, scores, n, 0.08) for name, scores in SCORES.items()}
    columns |= {name: _column(rng, (1.0, 2.0, 3.0), n, 0.1) for name in SYSTEMS}
    columns["nhpt_s"] = _column(rng, (20.0, 25.0, 30.0), n, 0.1)
    columns["pasat3"] = _column(rng, (2.0, 3.0, 5.0, 50.0), n, 0.1)
    columns["new_t2_count"] = _column(rng, (0.0, 0.0, 0.0, 2.0), n, 0.5)
    columns["gd_lesion_count"] = _column(rng, (0.0, 0.0, 1.0), n, 0.6)
    frame = pd.DataFrame({"subject_id": subject_id, "day": days.astype(int), **columns})
    return frame.assign(scheduled=rng.random(n) < 0.8)


def drawn_tables(seed: int, n_subjects: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Draw visits, relapses and exits; the same for the same numbers."""
    rng = np.random.default_rng(seed)
    ids = [f"S{i:02d}" for i in range(n_subjects)]
    visits = pd.concat([_visits(rng, i) for i in ids], ignore_index=True)
    last = visits.groupby("subject_id")["day"].max()
    n = rng.integers(0, 4, n_subjects)
    relapses = pd.DataFrame({"subject_id": np.repeat(ids, n)})
    until = np.maximum(last.reindex(relapses["subject_id"]).to_numpy(), 1)
    relapses["day"] = rng.integers(-100, until, len(relapses))
    exits = pd.DataFrame({"subject_id": ids, "day": np.maximum(last.reindex(ids).to_numpy(), 0)})
    exits["reason"] = rng.choice(["completed", "death", "dropout"], n_subjects)
    return visits, relapses.drop_duplicates(), exits


def cohort_of(visits: pd.DataFrame, relapses: pd.DataFrame, exits: pd.DataFrame) -> Cohort:
    """Make a cohort of tables."""
    subjects = pd.DataFrame({"subject_id": visits["subject_id"].unique()})
    return Cohort(subjects, visits, relapses, exits, dictionary=DICTIONARY)


def drawn_cohort(seed: int, n_subjects: int) -> Cohort:
    """Draw a cohort; the same for the same numbers."""
    return cohort_of(*drawn_tables(seed, n_subjects))


def cohorts(max_subjects: int = 12) -> st.SearchStrategy[Cohort]:
    """Draw a cohort."""
    return st.builds(drawn_cohort, st.integers(0, 10_000), st.integers(3, max_subjects))
