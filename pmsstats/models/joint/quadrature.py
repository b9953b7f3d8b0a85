"""Points and weights of integrals over time: Gauss-Kronrod on the smooth pieces of a hazard.

References
----------
.. [1] Piessens R, de Doncker-Kapenga E, Ueberhuber CW, Kahaner DK. QUADPACK: a subroutine package
   for automatic integration. Springer, 1983. doi:10.1007/978-3-642-61786-7.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

__all__ = ["TimePoints", "gauss_kronrod", "time_points"]

_POWER_AT_ZERO = 3  # t = b u^3: hazards as t^(shape - 1) become smooth or nearly so
_KRONROD = {
    7: (
        (0.960491268708020283, 0.774596669241483377, 0.434243749346802558, 0.0),
        (0.104656226026467265, 0.268488089868333441, 0.401397414775962223, 0.450916538658474142),
    ),
    15: (
        (
            0.991455371120812639,
            0.949107912342758525,
            0.864864423359769073,
            0.741531185599394440,
            0.586087235467691130,
            0.405845151377397167,
            0.207784955007898468,
            0.0,
        ),
        (
            0.0229353220105292250,
            0.0630920926299785533,
            0.104790010322250184,
            0.140653259715525919,
            0.169004726639267903,
            0.190350578064785410,
            0.204432940075298892,
            0.209482141084727828,
        ),
    ),
}  # nodes from 1 to 0 and their weights on (-1, 1) [1]


@dataclass(frozen=True, kw_only=True, eq=False)
class TimePoints:
    """Points over time of several subjects, sorted by subject and time.

    Parameters
    ----------
    subject : ndarray of int, shape (n_points,)
        Whose.
    time : ndarray, shape (n_points,)
        When.
    weight : ndarray, shape (n_points,)
        Of the integral, in the unit of time.
    """

    subject: np.ndarray
    time: np.ndarray
    weight: np.ndarray


@lru_cache(maxsize=8)
def gauss_kronrod(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the Gauss-Kronrod rule of 7 or 15 points on (0, 1).

    Parameters
    ----------
    n : {7, 15}
        Number of points.

    Returns
    -------
    nodes : ndarray, shape (n,)
        Ascending.
    weights : ndarray, shape (n,)
        They add up to 1.

    Notes
    -----
    Exact for polynomials of degree 11 (7 points) and 23 (15 points) [1]_.

    References
    ----------
    .. [1] Piessens R, de Doncker-Kapenga E, Ueberhuber CW, Kahaner DK. QUADPACK: a subroutine
       package for automatic integration. Springer, 1983. doi:10.1007/978-3-642-61786-7.

    Examples
    --------
    >>> nodes, weights = gauss_kronrod(7)
    >>> round(float(weights @ nodes**11) * 12, 12)
    1.0
    """
    upper, weight = (np.array(values) for values in _KRONROD[n])
    nodes = np.concatenate([-upper[:-1], upper[::-1]])
    weights = np.concatenate([weight[:-1], weight[::-1]])
    return 0.5 * (nodes + 1.0), 0.5 * weights


def time_points(
    lower: np.ndarray,
    upper: np.ndarray,
    *,
    edges: Sequence[float] | np.ndarray = (),
    n_points: int = 15,
    n_panels: int = 1,
    is_singular: bool = False,
) -> TimePoints:
    """Place points for the integral of each subject's hazard from one time to another.

    Parameters
    ----------
    lower, upper : ndarray, shape (n_subjects,)
        Ends of the integral; no points where they are equal.
    edges : sequence of float
        Times between which hazards are smooth.
    n_points : {7, 15}, default 15
        Points per panel.
    n_panels : int, default 1
        Panels per smooth piece.
    is_singular : bool, default False
        Whether the hazard may be infinite at time 0, as a power of time. Pieces that begin there
        are then integrated over the cube root of time.

    Returns
    -------
    TimePoints
        Sorted by subject and time.

    Examples
    --------
    >>> points = time_points(np.zeros(2), np.array([1.0, 2.0]), edges=[1.0], n_points=7)
    >>> float(points.weight @ points.time).__round__(12), np.bincount(points.subject).tolist()
    (2.5, [7, 14])
    """
    bounds = np.concatenate([[-np.inf], np.asarray(edges, dtype=float), [np.inf]])
    starts = np.maximum(lower[:, None], bounds[:-1])
    ends = np.minimum(upper[:, None], bounds[1:])
    subject, piece = np.nonzero(ends > starts)
    a, b = starts[subject, piece], ends[subject, piece]
    nodes, weights = _panels(n_points, n_panels)
    at_zero = is_singular & (a == 0)
    power = np.where(at_zero, _POWER_AT_ZERO, 1)[:, None]
    width = (b - a)[:, None]
    return TimePoints(
        subject=np.repeat(subject, len(nodes)),
        time=(a[:, None] + width * nodes**power).ravel(),
        weight=(width * weights * power * nodes ** (power - 1)).ravel(),
    )


def _panels(n_points: int, n_panels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a rule on (0, 1) that repeats itself on equal panels."""
    nodes, weights = gauss_kronrod(n_points)
    first = np.arange(n_panels)[:, None]
    return ((first + nodes) / n_panels).ravel(), np.tile(weights, n_panels) / n_panels
