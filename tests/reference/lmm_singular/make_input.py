"""Draw artificial data whose fit is singular (run once; the file is what counts)."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(11)
n, visits = 24, 5
subject = np.repeat(np.arange(n), visits)
year = np.tile(np.arange(visits, dtype=float), n)
y = 4.0 + 0.3 * year + rng.normal(0, 1.0, n)[subject] + rng.normal(0, 0.8, n * visits)
frame = pd.DataFrame(
    {"subject_id": [f"P{i:02d}" for i in subject], "year": year, "score": y.round(5)}
)
frame.to_csv(Path(__file__).with_name("input.csv"), index=False)
