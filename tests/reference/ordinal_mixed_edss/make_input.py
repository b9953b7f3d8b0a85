"""python make_input.py, in the folder of this case; writes input.csv (drawn once, then stored)."""

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261123)
n, v = 100, 5
b = rng.multivariate_normal([0, 0], [[4.0, 0.3], [0.3, 0.25]], n)
who, year = np.repeat(np.arange(n), v), np.tile(np.arange(v) * 0.75, n)
arm = np.where(who % 2, "active", "placebo")
latent = b[who, 0] + (b[who, 1] + 0.6 - 0.4 * (arm == "active")) * year + rng.logistic(size=n * v)
values = np.array([3.5, 4.0, 5.0, 5.5, 6.0, 6.5, 7.0])
edss = values[np.searchsorted([-3.0, -1.5, 0.0, 1.0, 2.5, 4.0], latent)]
frame = pd.DataFrame(
    {"subject_id": [f"S{i:03d}" for i in who], "arm": arm, "year": year, "edss": edss}
)
frame[rng.random(n * v) > 0.12].to_csv("input.csv", index=False)
