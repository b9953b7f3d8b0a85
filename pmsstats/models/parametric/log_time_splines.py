"""Natural cubic splines of log time, as Royston and Parmar write them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError

__all__ = ["LogTimeSpline", "choose_knots"]


@dataclass(frozen=True, kw_only=True)
class LogTimeSpline:
    """Basis of a natural cubic spline of log time, linear beyond its boundary knots.

    Parameters
    ----------
    knots : tuple of float
        Log times in ascending order, boundary knots first and last; at least two.

    Notes
    -----
    Columns are ``1, x, v_1(x), ..., v_k(x)`` with ``v_j(x) = (x - k_j)^3_+ - l_j (x - k_min)^3_+
    - (1 - l_j) (x - k_max)^3_+`` and ``l_j = (k_max - k_j) / (k_max - k_min)`` [1]_.

    References
    ----------
    .. [1] Royston P, Parmar MKB. Flexible parametric proportional-hazards and proportional-odds
       models for censored survival data. Stat Med 2002;21:2175-2197. doi:10.1002/sim.1203

    Examples
    --------
    >>> spline = LogTimeSpline(knots=(0.0, 0.5, 1.0))
    >>> spline.columns(np.array([1.0]))
    array([[ 1.   ,  1.   , -0.375]])
    """

    knots: tuple[float, ...]

    @property
    def n_columns(self) -> int:
        """Return the number of columns, the constant included."""
        return len(self.knots)

    def columns(self, x: np.ndarray) -> np.ndarray:
        """Evaluate the basis.

        Parameters
        ----------
        x : ndarray, shape (n,)
            Log times.

        Returns
        -------
        ndarray, shape (n, n_columns)
            Constant, linear and cubic columns.
        """
        return np.column_stack([np.ones(len(x)), x, self._cubic(x, 3, 1.0)])

    def slopes(self, x: np.ndarray) -> np.ndarray:
        """Differentiate the basis.

        Parameters
        ----------
        x : ndarray, shape (n,)
            Log times.

        Returns
        -------
        ndarray, shape (n, n_columns)
            With respect to log time.
        """
        return np.column_stack([np.zeros(len(x)), np.ones(len(x)), self._cubic(x, 2, 3.0)])

    def _cubic(self, x: np.ndarray, power: int, factor: float) -> np.ndarray:
        """Return factor times the truncated powers, combined to be linear beyond the knots."""
        low, high = self.knots[0], self.knots[-1]
        inner = np.asarray(self.knots[1:-1])
        share = (high - inner) / (high - low)
        above = [factor * np.maximum(x[:, None] - k, 0.0) ** power for k in (inner, low, high)]
        return above[0] - share * above[1] - (1 - share) * above[2]


def choose_knots(log_times: np.ndarray, df: int) -> tuple[float, ...]:
    """Place knots at even quantiles of the log times of events.

    Parameters
    ----------
    log_times : ndarray, shape (n_events,)
        Of events; of the middle of intervals.
    df : int
        Degrees of freedom of the spline, without its constant: one more than the knots inside.

    Returns
    -------
    tuple of float
        ``df + 1`` knots, the boundary ones at the first and last event.

    Raises
    ------
    DesignError
        If events fall on too few distinct times.
    """
    knots = np.quantile(log_times, np.linspace(0, 1, df + 1))
    if not (np.diff(knots) > 0).all():
        raise DesignError(
            f"`df={df}` needs {df + 1} knots at distinct times, but the {len(log_times)} events "
            f"fall on {len(np.unique(log_times))} distinct time(s), some on many. Use fewer."
        )
    return tuple(float(k) for k in knots)
