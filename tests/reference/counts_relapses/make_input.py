"""Make input.csv: relapses of 160 patients over unequal follow-up, overdispersed."""

from __future__ import annotations

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261123)
n = 160
arm = np.where(np.arange(n) % 2, "active", "placebo")
prior = rng.poisson(1.3, n)
years = np.round(np.where(rng.random(n) < 0.7, 2.0, rng.uniform(0.1, 2.0, n)), 3)
rate = np.exp(-0.9 - 0.6 * (arm == "active") + 0.25 * prior) * rng.gamma(1 / 0.8, 0.8, n)
pd.DataFrame(
    {
        "subject_id": [f"S{i:03d}" for i in range(n)],
        "arm": arm,
        "prior_relapses": prior,
        "years_observed": years,
        "relapses": rng.poisson(rate * years),
    }
).to_csv("input.csv", index=False)
