"""Make input.csv: progression, death and censoring; distinct times, and the same in half years."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20186)
n = 240
active = rng.integers(0, 2, n)
atrophy = np.round(rng.normal(0, 1, n), 3)
progression = rng.exponential(1 / (0.22 * np.exp(-0.5 * active + 0.4 * atrophy)))
death = rng.exponential(1 / (0.10 * np.exp(0.3 * atrophy)))
censored = rng.uniform(0.5, 9, n)
time = np.minimum(np.minimum(progression, death), censored)
cause = np.where(time == progression, "progression", np.where(time == death, "death", "censored"))
time = np.round(time, 6)
pd.DataFrame(
    {
        "subject_id": [f"S{i:03d}" for i in range(1, n + 1)],
        "active": active,
        "atrophy": atrophy,
        "duration": time,
        "half_years": np.ceil(2 * time) / 2,
        "cause": cause,
    }
).to_csv(Path(__file__).with_name("input.csv"), index=False)
