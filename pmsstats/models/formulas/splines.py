"""Natural cubic splines for formulas, in R's parametrisation.

References
----------
.. [1] Hastie TJ. Generalized additive models. In: Chambers JM, Hastie TJ, eds. Statistical Models
   in S. Wadsworth & Brooks/Cole, 1992: chapter 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from formulaic.materializers.types import FactorValues
from formulaic.utils.stateful_transforms import stateful_transform
from scipy.interpolate import BSpline

__all__ = ["natural_spline", "natural_spline_basis"]

_DEGREE = 3


@stateful_transform
def natural_spline(  # noqa: PLR0917 - R's arguments may stand without their names
    x: Any,
    df: int | None = None,
    knots: Sequence[float] | float | None = None,
    include_intercept: bool = False,
    lower_bound: float | None = None,
    upper_bound: float | None = None,
    _state: dict[str, Any] | None = None,
) -> FactorValues[dict[int, np.ndarray]]:
    """Make the columns of a natural cubic spline: ``ns(x, df=...)`` in a formula.

    Parameters
    ----------
    x : array_like, shape (n,)
        Numbers.
    df : int, optional
        Number of columns: interior knots are placed at quantiles of `x`, one less than columns.
    knots : sequence of float or float, optional
        Interior knots, in place of `df`.
    include_intercept : bool, default False
        Whether the columns span the constant, so that no intercept is needed.
    lower_bound, upper_bound : float, optional
        Where the spline becomes a straight line; the range of `x` by default.
    _state : dict
        Knots and bounds of the fit, filled the first time.

    Returns
    -------
    formulaic.FactorValues
        Columns 1, 2, ...

    Notes
    -----
    The same columns as R's ``splines::ns(x, df, knots, intercept, Boundary.knots)`` [1]_ of the
    same values. A model places knots by the rows that it analyses; R's ``lmer`` does so by all
    rows, before those with missing values go, so that its columns (and a fit with few knots)
    differ where rows are left out. Give `knots` and both bounds to have the same.
    """
    state = {} if _state is None else _state
    values = np.asarray(x, dtype=float)
    if "knots" not in state:
        state["knots"], state["bounds"] = _place_knots(
            values, df, knots, (lower_bound, upper_bound), include_intercept=include_intercept
        )
    basis = natural_spline_basis(
        values, state["knots"], state["bounds"], include_intercept=bool(include_intercept)
    )
    return FactorValues(
        {k + 1: column for k, column in enumerate(basis.T)},
        kind="numerical",
        spans_intercept=bool(include_intercept),
        drop_field=1,
        format="{name}[{field}]",
        encoded=False,
    )


def _place_knots(
    x: np.ndarray,
    df: int | None,
    knots: Sequence[float] | float | None,
    bounds: tuple[float | None, float | None],
    *,
    include_intercept: bool,
) -> tuple[np.ndarray, tuple[float, float]]:
    """Place interior knots at quantiles, or check those that were given."""
    lower = float(np.min(x) if bounds[0] is None else bounds[0])
    upper = float(np.max(x) if bounds[1] is None else bounds[1])
    if not lower < upper:
        raise ValueError(f"a natural spline needs an interval, but has {lower:g} to {upper:g}")
    if df is not None and knots is not None:
        raise ValueError("give `df` or `knots` of a natural spline, not both")
    if df is not None:
        least = 1 + include_intercept
        if df != int(df) or df < least:
            raise ValueError(f"`df` of a natural spline must be a whole number from {least}")
        inside = x[(x >= lower) & (x <= upper)]
        shares = np.linspace(0, 1, int(df) - include_intercept + 1)[1:-1]
        found = np.quantile(inside, shares)
    else:
        found = np.sort(np.atleast_1d(np.asarray([] if knots is None else knots, dtype=float)))
    if len(found) and not (lower < found[0] and found[-1] < upper):
        raise ValueError(
            f"knots of a natural spline must lie between {lower:g} and {upper:g}, where it ends; "
            f"they are {', '.join(f'{k:g}' for k in found[:8])}. Use fewer, or give `knots`"
        )
    return found, (lower, upper)


def natural_spline_basis(
    x: np.ndarray,
    knots: np.ndarray,
    bounds: tuple[float, float],
    *,
    include_intercept: bool = False,
) -> np.ndarray:
    """Evaluate the basis of natural cubic splines with given knots.

    Parameters
    ----------
    x : ndarray, shape (n,)
        Where.
    knots : ndarray, shape (k,)
        Interior knots.
    bounds : tuple of float
        Boundary knots; beyond them every column is a straight line.
    include_intercept : bool, default False
        Whether the columns span the constant.

    Returns
    -------
    ndarray, shape (n, k + 1), or (n, k + 2) with the intercept
        Of the cubic B-splines, those combinations whose second derivative at both bounds is zero.
    """
    ends = np.repeat(bounds, _DEGREE + 1)
    t = np.concatenate([ends[: _DEGREE + 1], knots, ends[_DEGREE + 1 :]])
    spline = BSpline(t, np.eye(len(t) - _DEGREE - 1), _DEGREE)
    inside = np.clip(x, *bounds)
    basis = spline(inside) + (x - inside)[:, None] * spline.derivative(1)(inside)
    curvature = spline.derivative(2)(np.asarray(bounds))
    first = 0 if include_intercept else 1
    Q, _ = np.linalg.qr(curvature[:, first:].T, mode="complete")
    made: np.ndarray = basis[:, first:] @ Q[:, 2:]
    return made
