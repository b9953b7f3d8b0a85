"""Small trials with missing values, for tests of their imputation."""

from __future__ import annotations

import numpy as np
import pandas as pd

VISITS = ("W12", "W24", "W48")
DAYS = np.array([84, 168, 336])


def long_frame(y: np.ndarray, arm: np.ndarray, **baseline: np.ndarray) -> pd.DataFrame:
    """Lay outcomes of shape (n_subjects, 3) out in rows; missed visits have a row without value."""
    n, T = y.shape
    table = pd.DataFrame(
        {
            "subject_id": np.repeat([f"S{i:03d}" for i in range(n)], T),
            "arm": np.repeat(np.where(arm == 1, "active", "placebo"), T),
            "visit": np.tile(VISITS, n),
            "day": np.tile(DAYS, n),
            "y": y.ravel(),
        }
    )
    return table.assign(**{name: np.repeat(values, T) for name, values in baseline.items()})


def draw_outcomes(rng: np.random.Generator, n: int, *, effect: float = 0.3) -> np.ndarray:
    """Draw complete outcomes, correlation 0.6; the effect grows by `effect` per visit."""
    y = rng.multivariate_normal(np.zeros(3), 0.6 + 0.4 * np.eye(3), n)
    return y + effect * (np.arange(n) % 2)[:, None] * np.arange(1, 4)


def drop_out(y: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Let those with low values leave more often: missing at random given the last value."""
    y, out = y.copy(), np.zeros(len(y), dtype=bool)
    for t in (1, 2):
        out |= rng.random(len(y)) < 1 / (1 + np.exp(1.2 + y[:, t - 1]))
        y[out, t] = np.nan
    return y


def small_trial(seed: int = 4, *, n: int = 60, complete: bool = False) -> pd.DataFrame:
    """Draw a trial with a baseline covariate, dropout and a missed visit in between."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    y = draw_outcomes(rng, n) + 0.5 * x[:, None]
    gaps = y if complete else drop_out(y, rng)
    gaps[[2, 3], 1] = y[[2, 3], 1] if complete else np.nan
    gaps[[2, 3], 2] = [0.1, 0.2]
    return long_frame(gaps, np.arange(n) % 2, x=x)
