"""Make input.csv: artificial subjects at risk with tied times, two markers and competing deaths."""

import numpy as np
import pandas as pd

rng = np.random.default_rng(20181)
n = 240
first, second = rng.normal(size=(2, n))
rate = 0.25 * np.exp(0.7 * first + 0.3 * second)
time = np.round(rng.exponential(1 / rate), 1) + 0.1
censored = np.round(rng.uniform(0.5, 6, n), 1)
duration = np.round(np.minimum(time, censored), 1)
event = time <= censored
cause = np.where(event, np.where(rng.uniform(size=n) < 0.75, "progression", "death"), "censored")
expit = lambda eta: 1 / (1 + np.exp(-eta))  # noqa: E731
pd.DataFrame(
    {
        "subject_id": [f"S{i + 1:03d}" for i in range(n)],
        "duration": duration,
        "event": event.astype(int),
        "cause": cause,
        "good": expit(-0.5 + 0.9 * first).round(4),
        "poor": expit(0.2 + 0.3 * first - 0.6 * second).round(2),
    }
).to_csv("input.csv", index=False)
