"""Subjects who are scanned on different scanners from visit to visit. Stored in input.csv."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261123)
n_subjects, n_visits, n_scanners = 30, 6, 5
subject = np.repeat(np.arange(n_subjects), n_visits)
year = np.tile(np.arange(n_visits) * 0.5, n_subjects)
scanner = rng.integers(0, n_scanners, len(subject))
reader = rng.integers(0, 3, len(subject))
age = rng.normal(48, 9, n_subjects).round(1)[subject]
level = rng.normal(0, 0.05, n_subjects)
slope = rng.normal(0, 0.006, n_subjects)
mtr = (
    0.42
    + level[subject]
    + (-0.004 + slope[subject]) * year
    - 0.0004 * (age - 48)
    + rng.normal(0, 0.02, n_scanners)[scanner]
    + rng.normal(0, 0.004, 3)[reader]
    + rng.normal(0, 0.008, len(subject))
)
frame = pd.DataFrame(
    {
        "subject_id": [f"P{i + 1:02d}" for i in subject],
        "year": year,
        "age_years": age,
        "scanner": [f"scanner {'ABCDE'[k]}" for k in scanner],
        "reader": [f"R{k + 1}" for k in reader],
        "mtr": mtr.round(5),
    }
)
frame[rng.uniform(size=len(frame)) > 0.1].to_csv(Path(__file__).with_name("input.csv"), index=False)
