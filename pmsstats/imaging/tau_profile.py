"""Profile likelihood of a time constant."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy import optimize, stats

from pmsstats.errors import ConvergenceError

__all__ = ["profile_tau"]


def profile_tau(
    log_likelihood: Callable[[float], float],
    limits: tuple[float, float],
    conf_level: float,
    n_grid: int = 25,
) -> tuple[pd.DataFrame, float, tuple[float, float]]:
    """Maximise a profile likelihood in the logarithm of a time, and find its interval.

    Parameters
    ----------
    log_likelihood : callable
        Of the logarithm of `tau`.
    limits : tuple of float
        Between which to look.
    conf_level : float
        Of the interval.
    n_grid : int, default 25
        Values at which the profile is tabulated, equally spaced in the logarithm.

    Returns
    -------
    profile : pandas.DataFrame
        ``tau log_likelihood``, the best one included.
    best : float
        Where it is highest.
    interval : tuple of float
        0 or infinite at an end where the likelihood does not fall far enough within `limits`.
    """
    grid = np.linspace(math.log(limits[0]), math.log(limits[1]), n_grid)
    values = np.array([log_likelihood(x) for x in grid])
    if not np.isfinite(values).all():
        raise ConvergenceError("The likelihood could not be evaluated for every tau of the grid.")
    k = int(values.argmax())
    inside = optimize.minimize_scalar(
        lambda x: -log_likelihood(x), method="bounded", options={"xatol": 1e-6},
        bounds=(grid[max(k - 1, 0)], grid[min(k + 1, n_grid - 1)]),
    )  # fmt: skip
    at, top = (float(inside.x), -float(inside.fun))
    if values[k] >= top:
        at, top = float(grid[k]), float(values[k])
    floor = top - float(stats.chi2.ppf(conf_level, 1)) / 2

    def end(side: int, open_end: float) -> float:
        below = [x for x, v in zip(grid, values, strict=True) if v < floor and (x - at) * side > 0]
        if not below:
            return open_end
        outer = min(below, key=lambda x: abs(x - at))
        root = optimize.brentq(lambda x: log_likelihood(x) - floor, *sorted((at, outer)), xtol=1e-4)
        return math.exp(float(root))

    table = pd.DataFrame({"tau": np.exp(np.append(grid, at)),
                          "log_likelihood": np.append(values, top)})  # fmt: skip
    table = table.drop_duplicates().sort_values("tau", ignore_index=True)
    return table, math.exp(at), (end(-1, 0.0), end(1, math.inf))
