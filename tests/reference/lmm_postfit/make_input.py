"""Draw the small, unbalanced trial of this case (run once; the file is what counts)."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261122)
n = 24
arm = np.array(["placebo", "active"])[np.arange(n) % 2]
age = rng.normal(48, 9, n).round(1)
visits = rng.integers(3, 7, n)
rows = []
for i in range(n):
    times = np.r_[0.0, np.sort(rng.uniform(0.2, 4.0, visits[i] - 1))].round(3)
    slope = {"placebo": -0.30, "active": -0.18}[arm[i]] + rng.normal(0, 0.25)
    level = 15.0 - 0.03 * (age[i] - 48) + rng.normal(0, 0.7)
    values = level + slope * times + rng.normal(0, 0.15, len(times))
    rows += [
        (f"S{i:02d}", arm[i], age[i], t, round(v, 4)) for t, v in zip(times, values, strict=True)
    ]
frame = pd.DataFrame(rows, columns=["subject_id", "arm", "age_years", "year", "thalamus_ml"])
frame.to_csv(Path(__file__).with_name("input.csv"), index=False)
