"""Make input.csv: exact, right-, left- and interval-censored times with two covariates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20188)
n = 180
age = np.round(rng.normal(48, 8, n), 1)
active = rng.integers(0, 2, n)
time = np.exp(1.4 - 0.02 * (age - 48) + 0.35 * active + 0.6 * np.log(rng.exponential(size=n)))
censored = rng.uniform(1, 9, n)
duration = np.round(np.minimum(time, censored), 4)
event = (time <= censored).astype(int)
# visits every half year, some missed
visit = 0.5 * rng.integers(1, 4, n)
lower = np.round(np.floor(duration / visit) * visit, 4)
upper = np.where(event == 1, lower + visit, np.nan)
known = (rng.random(n) < 0.25) & (event == 1)
lower, upper = np.where(known, duration, lower), np.where(known, duration, upper)
lower = np.where((event == 0) & (lower == 0), duration, lower)
pd.DataFrame(
    {
        "subject_id": [f"S{i:03d}" for i in range(1, n + 1)],
        "age_years": age,
        "active": active,
        "duration": duration,
        "event": event,
        "lower": lower,
        "upper": upper,
        "entry": np.round(0.6 * duration * rng.random(n) * (rng.random(n) < 0.5), 4),
    }
).to_csv(Path(__file__).with_name("input.csv"), index=False)
