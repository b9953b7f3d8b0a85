"""How an early effect of treatment develops with time, as columns for a model."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from pmsstats.errors import DesignError, nearest

__all__ = ["EarlyShape", "early_course"]

EarlyShape = Literal["step", "ramp", "exponential"]


def early_course(year: np.ndarray, shape: EarlyShape, duration: float) -> np.ndarray:
    """Return the share of an early effect that has happened by each time.

    Parameters
    ----------
    year : ndarray
        Years since the start of treatment; nothing has happened at or before 0.
    shape : {"step", "ramp", "exponential"}
        All of it at once at `duration`; in a straight line until `duration`; or
        ``1 - exp(-year / duration)``.
    duration : float
        Years; above 0 (a step may be at 0: complete at every visit after baseline).

    Returns
    -------
    ndarray
        Between 0 and 1.

    Raises
    ------
    DesignError
        If the shape is unknown, or the duration is not positive.

    Examples
    --------
    >>> early_course(np.array([0.0, 0.25, 0.5, 1.0]), "ramp", 0.5).tolist()
    [0.0, 0.5, 1.0, 1.0]
    """
    if shape not in get_args(EarlyShape):
        raise DesignError(
            f"`shape` must be one of {', '.join(get_args(EarlyShape))}, got {shape!r}."
            f"{nearest(str(shape), get_args(EarlyShape))}"
        )
    if not duration > 0 and not (shape == "step" and duration == 0):
        raise DesignError(f"`duration` must be above 0 years, got {duration!r}.")
    since = np.maximum(np.asarray(year, dtype=float), 0.0)
    if shape == "step":
        return ((since > 0) & (since >= duration)).astype(float)
    if shape == "ramp":
        return np.minimum(since / duration, 1.0)
    made: np.ndarray = -np.expm1(-since / duration)
    return made
