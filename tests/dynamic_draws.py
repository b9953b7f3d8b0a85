"""Subjects whose marker drives a Weibull hazard, drawn from a joint model with known parameters."""

from __future__ import annotations

import numpy as np
import pandas as pd

BETA = (1.0, 0.3)
ROOT = np.array([[0.8, 0.0], [0.1, 0.25]])  # of the random effects' covariance
SIGMA = 0.4
LOG_SCALE, SHAPE, TREATED, ALPHA = -4.2, 1.4, -0.4, 0.9
END = 8.0
_GRID = np.linspace(0, END, 1601)


def draw_joint(rng: np.random.Generator, n: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw visits every half year and time to event, censored uniformly between 3 and 8 years."""
    b = rng.normal(size=(n, 2)) @ ROOT.T + BETA
    arm = rng.integers(0, 2, n)
    middle = (_GRID[1:] + _GRID[:-1]) / 2
    log_hazard = LOG_SCALE + np.log(SHAPE) + (SHAPE - 1) * np.log(middle) + TREATED * arm[:, None]
    log_hazard = log_hazard + ALPHA * (b[:, :1] + b[:, 1:] * middle)
    cumulative = np.cumsum(np.exp(log_hazard) * np.diff(_GRID), axis=1)
    cumulative = np.hstack([np.zeros((n, 1)), cumulative])
    target = rng.exponential(size=n)
    pairs = zip(target, cumulative, strict=True)
    time = np.array([np.interp(t, row, _GRID, right=np.inf) for t, row in pairs])
    censored = rng.uniform(3, END, n)
    survival = pd.DataFrame(
        {
            "subject_id": np.arange(n),
            "duration": np.minimum(time, censored),
            "event": time <= censored,
            "arm": np.where(arm == 1, "treated", "control"),
        }
    )
    year = np.arange(0, END, 0.5)
    visits = pd.DataFrame(
        {"subject_id": np.repeat(np.arange(n), len(year)), "year": np.tile(year, n)}
    )
    own = b[visits["subject_id"]]
    visits["marker"] = own[:, 0] + own[:, 1] * visits["year"] + rng.normal(0, SIGMA, len(visits))
    seen = visits["year"].to_numpy() <= survival["duration"].to_numpy()[visits["subject_id"]]
    return visits[seen].reset_index(drop=True), survival
