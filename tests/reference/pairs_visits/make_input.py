"""python make_input.py, in the folder of this case; writes input.csv (drawn once, then stored)."""

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261123)
n = 120
sd = np.array([1.2, 0.08, 0.7, 0.15])
C = np.array([[1, 0.2, 0.4, 0.1], [0.2, 1, 0.15, 0.6], [0.4, 0.15, 1, 0.3], [0.1, 0.6, 0.3, 1]])
b = rng.multivariate_normal(np.zeros(4), C * np.outer(sd, sd), n)
rows = []
for i in range(n):
    for year in np.round(np.arange(rng.integers(3, 8)) * 0.5 + rng.uniform(-0.08, 0.08), 3):
        e = rng.multivariate_normal([0, 0], [[0.0144, 0.009], [0.009, 0.0625]])
        rows.append(
            {
                "subject_id": f"S{i:03d}",
                "arm": ["placebo", "active"][i % 2],
                "year": float(year),
                "volume": 15 + b[i, 0] + (-0.12 + 0.03 * (i % 2) + b[i, 1]) * year + e[0],
                "score": b[i, 2] + (-0.1 + b[i, 3]) * year + e[1],
            }
        )
d = pd.DataFrame(rows)
d.loc[rng.random(len(d)) < 0.15, "volume"] = np.nan
d.loc[rng.random(len(d)) < 0.25, "score"] = np.nan
d.loc[d["subject_id"].isin(["S003", "S010"]), "score"] = np.nan
d.loc[d["subject_id"] == "S020", "volume"] = np.nan
d.to_csv("input.csv", index=False, float_format="%.6f")
