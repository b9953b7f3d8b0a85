"""Make input.csv: 14 trials of two continuous endpoints, with a seed."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20140101)
D = np.array(  # mT, mS, a, b
    [
        [0.20, 0.10, 0.00, 0.05],
        [0.10, 0.25, 0.05, 0.08],
        [0.00, 0.05, 0.30, 0.28],
        [0.05, 0.08, 0.28, 0.36],
    ]
)
sigma = np.array([[1.0, 0.7], [0.7, 1.6]])
parts = []
for i in range(14):
    n = int(rng.integers(30, 120))
    mt, ms, a, b = rng.multivariate_normal(np.zeros(4), D)
    z = rng.integers(0, 2, n)
    e = rng.multivariate_normal([0, 0], sigma, n)
    parts.append(
        pd.DataFrame(
            {
                "trial_id": f"T{i + 1:02d}",
                "subject_id": [f"T{i + 1:02d}-{j + 1:03d}" for j in range(n)],
                "arm": np.where(z == 1, "active", "placebo"),
                "slope": np.round(-0.7 + ms + (0.4 + a) * z + e[:, 0], 4),
                "worsening": np.round(0.9 + mt + (-0.3 + b) * z + e[:, 1], 4),
            }
        )
    )
pd.concat(parts).to_csv(Path(__file__).parent / "input.csv", index=False)
