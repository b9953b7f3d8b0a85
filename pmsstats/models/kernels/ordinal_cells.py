"""Log probabilities of ordered levels between two cut points, with exact derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

__all__ = ["LINK_FUNCTIONS", "Cells", "logit_cells", "probit_cells"]

_LOG_ROOT_2_PI = 0.5 * float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False, kw_only=True)
class Cells:
    """Log probabilities ``log(F(u) - F(l))`` and their derivatives, all of one shape.

    Parameters
    ----------
    log_probability : ndarray
        Of the level between the cut points.
    slope_u, slope_l : ndarray
        Derivatives in the upper and lower cut point.
    curve_u, curve_l, curve_ul : ndarray
        Minus the second derivatives.
    """

    log_probability: np.ndarray
    slope_u: np.ndarray
    slope_l: np.ndarray
    curve_u: np.ndarray
    curve_l: np.ndarray
    curve_ul: np.ndarray


def logit_cells(upper: np.ndarray, lower: np.ndarray, eta: np.ndarray) -> Cells:
    """Evaluate cells of the logistic distribution.

    Parameters
    ----------
    upper, lower : ndarray
        Cut points around the level, infinite at the ends of the scale; they broadcast to `eta`.
    eta : ndarray
        Linear predictors.

    Returns
    -------
    Cells
        No digits are lost in the tails: ``P = F(u) F(-l) (1 - exp(l - u))`` for the cut points u
        and l less the linear predictor. Some fields may have the shape of the cut points.
    """
    wide = upper - lower
    with np.errstate(over="ignore"):
        g = 1 / np.expm1(wide)  # zero beside the outer levels
    h = g * (1 + g)
    above, log_below_u = _tail(upper - eta)
    below, log_above_l = _tail(eta - lower)
    return Cells(
        log_probability=log_below_u + log_above_l + np.log1p(-np.exp(-wide)),
        slope_u=above + g,
        slope_l=-below - g,
        curve_u=above * (1 - above) + h,
        curve_l=below * (1 - below) + h,
        curve_ul=-h,
    )


def _tail(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return ``F(-x)`` and ``log F(x)`` of the logistic distribution, with one exponential."""
    small = np.exp(-np.abs(x))
    share = 1 / (1 + small)
    return np.where(x >= 0, small * share, share), np.minimum(x, 0.0) - np.log1p(small)


def probit_cells(upper: np.ndarray, lower: np.ndarray, eta: np.ndarray) -> Cells:
    """Evaluate cells of the normal distribution.

    Parameters
    ----------
    upper, lower : ndarray
        Cut points around the level, infinite at the ends of the scale; they broadcast to `eta`.
    eta : ndarray
        Linear predictors.

    Returns
    -------
    Cells
        Worked out in the lower tail, where no digits are lost.
    """
    u, low = upper - eta, lower - eta
    flip = low > 0
    high = log_ndtr(np.where(flip, -low, u))
    rest = log_ndtr(np.where(flip, -u, low))
    log_p = high + np.log1p(-np.exp(np.minimum(rest - high, -1e-300)))
    du, du_u = _density_ratio(u, log_p)
    dl, dl_l = _density_ratio(low, log_p)
    return Cells(
        log_probability=log_p,
        slope_u=du,
        slope_l=-dl,
        curve_u=du * du + du_u,
        curve_l=dl * dl - dl_l,
        curve_ul=-du * dl,
    )


def _density_ratio(x: np.ndarray, log_p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the normal density over a probability, and that times its place; zero at the ends."""
    finite = np.where(np.isfinite(x), x, 0.0)
    ratio = np.exp(-0.5 * finite**2 - _LOG_ROOT_2_PI - log_p) * np.isfinite(x)
    return ratio, ratio * finite


LINK_FUNCTIONS = {"logit": logit_cells, "probit": probit_cells}
"""Cells by the name of the link."""
