"""Draw artificial data in awkward units (run once; the file is what counts)."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(5)
n, visits = 40, 4
subject = np.repeat(np.arange(n), visits)
day = (np.tile(np.arange(visits), n) * 365 + rng.integers(-30, 31, n * visits)).clip(0)
year = day / 365.25
slope = -4e-6 + rng.normal(0, 5e-6, n)
y = 7e-4 + rng.normal(0, 5e-5, n)[subject] + slope[subject] * year + rng.normal(0, 4e-6, n * visits)
frame = pd.DataFrame({"subject_id": [f"Q{i:02d}" for i in subject], "day": day, "mtr": y.round(10)})
frame.to_csv(Path(__file__).with_name("input.csv"), index=False)
