"""Make input.csv: delayed entry, tied times in months, strata and clusters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20187)
n = 160
age = np.round(rng.normal(48, 8, n), 1)
active = rng.integers(0, 2, n)
sex = rng.choice(["F", "M"], n)
hazard = 0.02 * np.exp(0.03 * (age - 48) - 0.5 * active) * np.where(sex == "M", 1.5, 1.0)
time = np.ceil(rng.exponential(1 / hazard))
entry = np.floor(rng.uniform(0, 24, n)) * (rng.random(n) < 0.6)
censored = entry + rng.integers(12, 72, n)
keep = (time > entry) & (censored > entry)
pd.DataFrame(
    {
        "subject_id": [f"S{i:03d}" for i in range(1, n + 1)],
        "centre": rng.choice([f"C{i:02d}" for i in range(1, 13)], n),
        "sex": sex,
        "active": active,
        "age_years": age,
        "entry": entry.astype(int),
        "month": np.minimum(time, censored).astype(int),
        "event": (time <= censored).astype(int),
    }
)[keep].to_csv(Path(__file__).with_name("input.csv"), index=False)
