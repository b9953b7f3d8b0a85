"""Draw the artificial, unbalanced trial of this case (run once; the file is what counts)."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20260301)
n = 75
group = np.array(["placebo", "low", "high"])[rng.integers(0, 3, n)]
sex = np.array(["F", "M"])[rng.integers(0, 2, n)]
age = rng.normal(48, 9, n).round(1)
visits = rng.integers(1, 7, n)
rows = []
for i in range(n):
    times = np.r_[0.0, np.sort(rng.uniform(0.2, 4.0, visits[i] - 1))].round(3)
    slope = {"placebo": -0.25, "low": -0.18, "high": -0.1}[group[i]] + rng.normal(0, 0.12)
    level = 15.0 + (0.5 if sex[i] == "M" else 0.0) - 0.03 * (age[i] - 48) + rng.normal(0, 0.9)
    values = level + slope * times + rng.normal(0, 0.15, len(times))
    rows += [
        (f"S{i:03d}", group[i], sex[i], age[i], t, round(v, 4))
        for t, v in zip(times, values, strict=True)
    ]
frame = pd.DataFrame(rows, columns=["subject_id", "arm", "sex", "age_years", "year", "thalamus_ml"])
missing = rng.choice(len(frame), 9, replace=False)
frame.loc[missing, "thalamus_ml"] = np.nan
frame.loc[frame["subject_id"] == "S010", "age_years"] = np.nan
frame.to_csv(Path(__file__).with_name("input.csv"), index=False)
