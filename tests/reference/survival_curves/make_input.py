"""Make input.csv: three arms, four centres, three causes, late entries, visits; heavy ties."""

from __future__ import annotations

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261123)
N = 240
arm = rng.permutation(np.repeat(["high", "low", "placebo"], N // 3))
centre = rng.choice(["A", "B", "C", "D"], N)
rate = np.select([arm == "high", arm == "low"], [0.06, 0.09], 0.12)
progression = rng.exponential(1 / rate)
death = rng.exponential(1 / np.where(centre == "A", 0.05, 0.03))
relapse = rng.exponential(1 / 0.02, N)
censored = rng.uniform(4, 18, N)
times = np.column_stack([censored, progression, death, relapse])
first = times.argmin(axis=1)
exact = times.min(axis=1)
duration = np.ceil(exact * 2) / 2  # half units: heavy ties
entry = np.where(rng.random(N) < 0.6, 0.0, np.floor(rng.uniform(0, 1, N) * duration * 2) / 2)
entry = np.minimum(entry, duration - 0.5)
# visits at jittered years: the event lies between two of them, some are seen exactly
gap = rng.choice([1.0, 2.0], N)
lower = np.floor(exact / gap) * gap
upper = np.where(first == 0, np.inf, lower + gap)
seen = (first > 0) & (rng.random(N) < 0.12)
lower, upper = np.where(seen, duration, lower), np.where(seen, duration, upper)
frame = pd.DataFrame(
    {
        "subject_id": [f"S{i:03d}" for i in range(N)],
        "arm": arm,
        "centre": centre,
        "duration": duration,
        "event": (first > 0).astype(int),
        "cause": np.array(["censored", "progression", "death", "relapse"])[first],
        "entry": entry,
        "lower": lower,
        "upper": upper,
    }
)
frame.to_csv("input.csv", index=False)
