"""Draw the artificial trials of this case (run once; the file is what counts)."""

from pathlib import Path

import numpy as np
import pandas as pd

rng = np.random.default_rng(20261122)
LOSS = {"placebo": 0.25, "low": 0.2, "high": 0.15}  # share of those left that drop out per visit
CHANGE = {"placebo": -0.3, "low": -0.22, "high": -0.15}  # ml per year


def subject(number: int, data_set: str, arm: str, visits: np.ndarray) -> list[tuple]:
    sex = "FM"[rng.integers(0, 2)]
    age = round(rng.normal(47, 9), 1)
    level = 15.0 + (0.4 if sex == "M" else 0.0) - 0.02 * (age - 47) + rng.normal(0, 0.9)
    slope = CHANGE[arm] + rng.normal(0, 0.12)
    rows = []
    for k, planned in enumerate(visits):
        if k > 1 and rng.uniform() < LOSS[arm]:
            break
        year = planned if k == 0 else round(planned + rng.uniform(-0.08, 0.08), 3)
        value = level + slope * year + rng.normal(0, 0.15)
        rows.append((data_set, f"S{number:03d}", arm, f"V{k + 1}", year, sex, age, round(value, 4)))
    return rows


rows = []
for i in range(20):  # ten per arm, six visits, much dropout
    rows += subject(i, "small", ["placebo", "high"][i % 2], np.arange(6) * 0.5)
for i in range(36):  # three unequal arms, four visits
    rows += subject(100 + i, "visits", ["placebo", "placebo", "low", "high"][i % 4], np.arange(4.0))
columns = ["data_set", "subject_id", "arm", "visit", "year", "sex", "age_years", "thalamus_ml"]
frame = pd.DataFrame(rows, columns=columns)
gaps = rng.choice(
    np.flatnonzero((frame["data_set"] == "visits") & (frame["visit"] != "V1")), 6, False
)
frame.drop(index=gaps).to_csv(Path(__file__).with_name("input.csv"), index=False)
