"""Tables from joint models with known parameters, and normal posteriors by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Line, random intercept and slope, Weibull hazard, association by value."""

    beta: tuple[float, float, float] = (2.0, 0.5, -0.3)  # intercept, year, year:arm
    sd: tuple[float, float] = (1.0, 0.4)
    correlation: float = 0.3
    sigma: float = 0.5
    shape: float = 1.4
    log_scale: float = -3.5
    arm: float = -0.4
    alpha: float = 0.6
    visits: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
    end: float = 5.0

    @property
    def D(self) -> np.ndarray:  # noqa: N802 - as the papers call it
        """Return the covariance of the random effects."""
        a, b = self.sd
        return np.array([[a * a, self.correlation * a * b], [self.correlation * a * b, b * b]])


def simulate(n: int, seed: int, truth: Truth | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw visits and subjects; events by inversion of the cumulative hazard on a fine grid.

    The hazard is ``shape t^(shape - 1) exp(log_scale + arm * active + alpha * true value)``.
    """
    truth = truth or Truth()
    rng = np.random.default_rng(seed)
    b = rng.multivariate_normal(np.zeros(2), truth.D, n)
    arm = np.arange(n) % 2
    level = truth.beta[0] + b[:, 0]
    slope = truth.beta[1] + truth.beta[2] * arm + b[:, 1]
    grid = truth.end * np.linspace(0, 1, 1001)
    middle = 0.5 * (grid[1:] + grid[:-1])
    log_hazard = (
        np.log(truth.shape)
        + (truth.shape - 1) * np.log(middle)
        + truth.log_scale
        + truth.arm * arm[:, None]
        + truth.alpha * (level[:, None] + slope[:, None] * middle)
    )
    cumulative = np.cumsum(np.exp(log_hazard) * np.diff(grid), axis=1)
    wanted = rng.exponential(size=n)
    cell = (cumulative < wanted[:, None]).sum(axis=1)
    happened = cell < len(middle)
    event_time = np.where(happened, middle[np.minimum(cell, len(middle) - 1)], truth.end)
    censoring = rng.uniform(1.0, 1.6 * truth.end, n)
    subjects = pd.DataFrame(
        {
            "subject_id": [f"S{i:04d}" for i in range(n)],
            "arm": pd.Categorical(np.where(arm == 1, "active", "placebo"), ["placebo", "active"]),
            "duration": np.minimum(event_time, censoring),
            "event": happened & (event_time <= censoring),
        }
    )
    times = np.asarray(truth.visits)
    who = np.repeat(np.arange(n), len(times))
    visits = subjects.iloc[who].reset_index(drop=True)
    visits["year"] = np.tile(times, n)
    true = level[who] + slope[who] * visits["year"]
    visits["nfl"] = true + rng.normal(0, truth.sigma, len(visits))
    visits = visits[visits["year"] <= visits["duration"]]
    return visits[["subject_id", "year", "arm", "nfl"]].reset_index(drop=True), subjects


def posterior_grid(
    y: np.ndarray, Z: np.ndarray, D: np.ndarray, sigma: float, n_nodes: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return nodes and weights of b given the residuals y of one subject, and log p(y).

    Gauss-Hermite for the normal posterior of a linear mixed model (Laird and Ware 1982).
    """
    q = len(D)
    V = Z @ D @ Z.T + sigma**2 * np.eye(len(y))
    log_p = -0.5 * (
        y @ np.linalg.solve(V, y) + np.linalg.slogdet(V)[1] + len(y) * np.log(2 * np.pi)
    )
    gain = D @ Z.T @ np.linalg.inv(V)
    root = np.linalg.cholesky(D - gain @ Z @ D)
    x, w = np.polynomial.hermite_e.hermegauss(n_nodes)
    grid = np.stack(np.meshgrid(*([x] * q), indexing="ij"), axis=-1).reshape(-1, q)
    weights = np.stack(np.meshgrid(*([w] * q), indexing="ij"), axis=-1).reshape(-1, q)
    return gain @ y + grid @ root.T, (weights / np.sqrt(2 * np.pi)).prod(axis=1), float(log_p)
