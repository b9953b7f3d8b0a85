"""Simulated scans with known scanner effects, for the tests of harmonisation."""

from __future__ import annotations

import numpy as np
import pandas as pd

SLOPE = -0.2
GAP = 0.1
SHIFTS = np.array([0.0, 1.5, -1.0])
NOISE = np.array([1.0, 1.6, 0.7])


def scans(
    *,
    seed: int,
    n_subjects: int = 120,
    n_visits: int = 5,
    n_features: int = 3,
    shifts: np.ndarray = SHIFTS,
    noise: np.ndarray = NOISE,
    slope_sd: float = 0.0,
    error_sd: float = 0.5,
) -> pd.DataFrame:
    """Two sites: at one everybody moves from A to B at a visit of their own, the other has C."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_subjects), n_visits)
    visit = np.tile(np.arange(n_visits), n_subjects)
    year = 0.5 * visit
    active = subject % 2 == 1
    upgrade = rng.integers(1, n_visits + 2, n_subjects)
    second_site = rng.random(n_subjects) < 0.4
    number = np.where(second_site[subject], 2, (visit >= upgrade[subject]).astype(int))
    frame = pd.DataFrame(
        {
            "subject_id": [f"S{i:03d}" for i in subject],
            "year": year,
            "arm": pd.Categorical(np.where(active, "active", "placebo"), ["placebo", "active"]),
            "scanner_id": np.array(["A", "B", "C"])[number],
        }
    )
    for k in range(n_features):
        level = rng.normal(20, 2, n_subjects)[subject]
        own = rng.normal(0, slope_sd, n_subjects)[subject]
        mean = level + (SLOPE + GAP * active + own) * year
        error = error_sd * noise[number] * rng.normal(size=len(frame))
        frame[f"feature{k + 1}"] = mean + shifts[number] + error
    return frame
