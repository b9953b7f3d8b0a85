"""Make input.csv: recurrent events in whole days with a frailty; start-stop rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20189)
n = 80
active, age = rng.integers(0, 2, n), np.round(rng.normal(48, 8, n), 1)
end = np.round(rng.uniform(200, 1100, n))
rate = 0.003 * rng.gamma(2, 0.5, n) * np.exp(-0.4 * active + 0.02 * (age - 48))
rows = []
for i in range(n):
    days = np.unique(np.ceil(rng.uniform(0, end[i] - 1, rng.poisson(rate[i] * end[i]))))
    stops = np.append(days, end[i])
    starts = np.append(0, days)
    for j, (a, b) in enumerate(zip(starts, stops, strict=True)):
        rows.append((f"S{i:03d}", active[i], age[i], int(a), int(b), int(j < len(days)), j + 1))
columns = ["subject_id", "active", "age_years", "start", "stop", "event", "event_number"]
pd.DataFrame(rows, columns=columns).to_csv(Path(__file__).with_name("input.csv"), index=False)
