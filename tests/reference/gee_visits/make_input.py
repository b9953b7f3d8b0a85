"""Make input.csv: 48 patients at up to six visits, with gaps; a score, a yes/no, and a count."""

from __future__ import annotations

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261124)
n, visits = 48, 6
subject, visit = np.repeat(np.arange(n), visits), np.tile(np.arange(visits), n)
arm = np.where(np.arange(n) % 2, "active", "placebo")
noise = np.empty((n, visits))
noise[:, 0] = rng.normal(size=n)
for j in range(1, visits):
    noise[:, j] = 0.6 * noise[:, j - 1] + 0.8 * rng.normal(size=n)
level = rng.normal(0, 0.6, n)[subject] + noise.ravel()
active = arm[subject] == "active"
frame = pd.DataFrame(
    {
        "subject_id": [f"S{i:03d}" for i in subject],
        "visit": visit,
        "arm": arm[subject],
        "sdmt": np.round(45 - 0.9 * visit + 0.5 * visit * active + 6 * level, 1),
        "relapsed": (
            level + 0.4 - 0.15 * visit * active + rng.logistic(0, 0.7, len(visit)) > 0.6
        ).astype(int),
        "new_lesions": rng.poisson(np.exp(0.3 + 0.45 * level - 0.12 * visit * active)),
    }
)
frame[rng.random(len(frame)) > 0.15].to_csv("input.csv", index=False)
