"""Make input.csv: EDSS of 90 patients over up to five visits, with dropout."""

from __future__ import annotations

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261122)
n, visits = 90, 5
subject = np.repeat(np.arange(n), visits)
year = np.tile(np.arange(float(visits)) / 2, n)
arm = np.where(np.arange(n) % 2, "active", "placebo")
age = np.round(rng.normal(48, 8, n), 1)
latent = rng.normal(0, 1.6, n)[subject] + rng.logistic(0, 1, n * visits)
latent += 0.5 * year - 0.4 * year * (arm[subject] == "active") + 0.05 * (age[subject] - 48)
steps = np.array([3.5, 4.0, 4.5, 5.5, 6.0, 6.5])  # nobody at 5.0
edss = steps[np.searchsorted([-2.2, -0.9, 0.2, 1.1, 2.6], latent)]
frame = pd.DataFrame(
    {
        "subject_id": [f"S{i:03d}" for i in subject],
        "year": year,
        "arm": arm[subject],
        "age_years": age[subject],
        "edss": edss,
    }
)
seen = (year <= np.repeat(rng.choice([0.5, 1.0, 1.5, 2.0], n, p=[0.1, 0.1, 0.1, 0.7]), visits)) & (
    rng.random(n * visits) > 0.06
)
frame[seen].to_csv("input.csv", index=False)
