"""Visits whose measurements have known relative precision. Stored in input.csv."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261124)
n_subjects, n_visits = 24, 5
subject = np.repeat(np.arange(n_subjects), n_visits)
year = np.tile(np.arange(n_visits) * 1.0, n_subjects)
slices = rng.integers(1, 9, len(subject)) * 2.5
scanner = rng.integers(0, 3, len(subject))
score = (
    55.0
    + rng.normal(0, 6, n_subjects)[subject]
    + (-1.5 + rng.normal(0, 0.8, n_subjects)[subject]) * year
    + rng.normal(0, 2.0, 3)[scanner]
    + rng.normal(0, 5, len(subject)) / np.sqrt(slices)
)
frame = pd.DataFrame(
    {
        "subject_id": [f"P{i + 1:02d}" for i in subject],
        "year": year,
        "scanner": [f"scanner {'ABC'[k]}" for k in scanner],
        "n_slices": slices,
        "score": score.round(3),
    }
)
frame[rng.uniform(size=len(frame)) > 0.12].to_csv(
    Path(__file__).with_name("input.csv"), index=False
)
