"""Make input.csv: one trial with a continuous, a binary and a survival outcome, with a seed."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(19891)
n = 360
z = rng.permutation(np.repeat([0, 1], n // 2))
age = rng.normal(45, 9, n)
slope = -0.8 + 0.25 * z - 0.01 * (age - 45) + rng.normal(0, 0.4, n)
change = 0.6 - 0.7 * slope - 0.15 * z + 0.01 * (age - 45) + rng.normal(0, 0.7, n)
hazard = np.exp(-1.7 - 0.9 * slope - 0.2 * z)
event_time = rng.exponential(1 / hazard)
censored = rng.uniform(1.5, 3.0, n)
time = np.ceil(np.minimum(event_time, censored) * 24) / 24  # visits every half month: ties
frame = pd.DataFrame(
    {
        "subject_id": [f"P{i:03d}" for i in range(n)],
        "arm": np.where(z == 1, "active", "placebo"),
        "age_years": age.round(1),
        "slope": slope.round(4),
        "change": change.round(3),
        "worse": (change > 1.3).astype(int),
        "year": time.round(6),
        "event": (event_time <= censored).astype(int),
        "exact_year": np.minimum(event_time, 1.5).round(9),  # no ties, all censored at the end
        "exact_event": (event_time <= 1.5).astype(int),
    }
)
frame.to_csv(Path(__file__).parent / "input.csv", index=False)
