"""Make input.csv: right-censored times in whole quarters, so that most events tie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20181)
n = 90
arm = rng.choice(["placebo", "active"], n)
age = np.round(rng.normal(48, 8, n), 1)
nfl = np.round(rng.lognormal(2.5, 0.5, n), 2)
hazard = 0.16 * np.exp(-0.5 * (arm == "active") + 0.03 * (age - 48) + 0.6 * (np.log(nfl) - 2.5))
time = np.ceil(rng.exponential(1 / hazard)).astype(int)
censor = rng.integers(4, 13, n)
pd.DataFrame(
    {
        "subject_id": [f"S{i:03d}" for i in range(1, n + 1)],
        "centre": rng.choice([f"C{i:02d}" for i in range(1, 13)], n),
        "phenotype": rng.choice(["PPMS", "RRMS", "SPMS"], n, p=[0.3, 0.4, 0.3]),
        "arm": arm,
        "age_years": age,
        "snfl_pg_ml": nfl,
        "duration": np.minimum(time, censor),
        "event": (time <= censor).astype(int),
    }
).to_csv(Path(__file__).with_name("input.csv"), index=False)
