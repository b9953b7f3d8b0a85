"""Draw the artificial trial of this reference case; run once, the file is what counts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

N, VISITS = 90, ("W12", "W24", "W36", "W48")

rng = np.random.default_rng(20261123)
base = rng.normal(0, 1, N).round(3)
arm = np.arange(N) % 2
spread = np.array(
    [[1.0, 0.6, 0.5, 0.4], [0.6, 1.2, 0.7, 0.6], [0.5, 0.7, 1.4, 0.9], [0.4, 0.6, 0.9, 1.6]]
)
y = rng.multivariate_normal(np.zeros(4), spread, N)
y += 0.4 * base[:, None] - 0.5 * np.arange(1, 5) + 0.3 * arm[:, None] * np.arange(1, 5)
event = np.full(N, 4)
for i in range(N):
    hazard = 1 / (1 + np.exp(1.8 + 0.5 * y[i]))
    hit = np.flatnonzero(rng.random(4) < hazard)
    event[i] = hit[0] if len(hit) and hit[0] > 0 else 4
seen = np.ones((N, 4), dtype=bool)
for i in range(N):
    seen[i, event[i] :] = rng.random(4 - event[i]) < 0.35  # some are still seen after the event
seen &= (rng.random((N, 4)) > 0.04) | (np.arange(4) == 0)
rows = [
    (
        f"S{i + 1:03d}", ("placebo", "active")[arm[i]], VISITS[v], base[i],
        round(float(y[i, v]), 4) if seen[i, v] else np.nan,
        VISITS[event[i]] if event[i] < 4 else "",
    )
    for i in range(N)
    for v in range(4)
]  # fmt: skip
table = pd.DataFrame(
    rows, columns=["subject_id", "arm", "visit", "base", "change", "first_affected"]
)
table.to_csv(Path(__file__).with_name("input.csv"), index=False)
