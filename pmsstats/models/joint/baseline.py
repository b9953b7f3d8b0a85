"""Log baseline hazards as linear functions of few coefficients.

References
----------
.. [1] Rizopoulos D. Joint Models for Longitudinal and Time-to-Event Data. Chapman & Hall/CRC, 2012:
   section 4.3. doi:10.1201/b12208.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.interpolate import BSpline

from pmsstats.errors import DesignError

if TYPE_CHECKING:
    from pmsstats.models.joint.event_data import EventData
    from pmsstats.models.joint.spec import Baseline, JointSpec

__all__ = ["BaselineHazard", "baseline_hazards"]

_DEGREE = 3
_EVENTS_PER_INTERVAL = 10
_MOST_INTERVALS = 5
_PARTS = 10  # of an interval that holds an event
_SUPPORT = 1e-3  # sum over events below which a spline coefficient is not determined


@dataclass(frozen=True, kw_only=True, eq=False)
class BaselineHazard:
    """The log baseline hazard of one cause.

    Parameters
    ----------
    kind : {"weibull", "piecewise", "bspline"}
        Its form.
    cuts : ndarray, shape (k,)
        Inner cuts or knots.
    end : float
        Longest follow-up; a spline stays at its last value after that.
    unit : float
        Time in whose logarithm a Weibull baseline is linear, so that its coefficients do not
        depend on the unit: ``log h = psi_1 + psi_2 log(t / unit)``.
    """

    kind: Baseline
    cuts: np.ndarray
    end: float
    unit: float

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the coefficients."""
        if self.kind == "weibull":
            return ("intercept", "log(time)")
        if self.kind == "bspline":
            return tuple(f"B{j + 1}" for j in range(len(self.cuts) + _DEGREE + 1))
        ends = ["0", *(f"{cut:.4g}" for cut in self.cuts), f"{self.end:.4g}"]
        return tuple(f"({a}, {b}]" for a, b in pairwise(ends))

    @property
    def constant(self) -> np.ndarray:
        """Return the coefficients of a hazard of 1: shape (n_coefficients,)."""
        return np.array([1.0, 0.0]) if self.kind == "weibull" else np.ones(len(self.names))

    @property
    def edges(self) -> np.ndarray:
        """Return the times between which the hazard is smooth."""
        return self.cuts

    def basis(self, time: np.ndarray) -> np.ndarray:
        """Evaluate the functions whose sum is the log hazard.

        Parameters
        ----------
        time : ndarray, shape (n,)
            Positive.

        Returns
        -------
        ndarray, shape (n, n_coefficients)
            One column per coefficient.
        """
        if self.kind == "weibull":
            return np.column_stack([np.ones(len(time)), np.log(time / self.unit)])
        if self.kind == "piecewise":
            piece = np.searchsorted(self.cuts, time, side="left")
            return np.eye(len(self.cuts) + 1)[piece]
        ends = np.repeat([0.0, self.end], _DEGREE + 1)
        knots = np.concatenate([ends[: _DEGREE + 1], self.cuts, ends[_DEGREE + 1 :]])
        inside = np.clip(time, 0.0, self.end)
        return np.asarray(BSpline.design_matrix(inside, knots, _DEGREE).toarray())


def baseline_hazards(
    events: EventData, spec: JointSpec, stratum: np.ndarray
) -> tuple[BaselineHazard, ...]:
    """Place the knots or cuts of the baseline hazard of each cause.

    Parameters
    ----------
    events : EventData
        Of all subjects.
    spec : JointSpec
        The request.
    stratum : ndarray of int, shape (n,)
        Stratum of each subject; each has coefficients of its own.

    Returns
    -------
    tuple of BaselineHazard
        One per cause.

    Raises
    ------
    DesignError
        If cuts lie outside of the follow-up, or events do not determine a coefficient.
    """
    end = float(events.end.max())
    if spec.cuts is not None and spec.cuts[-1] >= end:
        raise DesignError(
            f"`cuts` must lie inside of the follow-up, which ends at {end:g}, got "
            f"{spec.cuts[-1]:g}. Leave out later ones; have both the same unit?"
        )
    unit = float(np.median(events.end))
    made = []
    for cause, label in enumerate(events.causes):
        time = _event_times(events, cause)
        n = spec.n_intervals or _number(events, cause)
        cuts = np.asarray(spec.cuts if spec.cuts is not None else _quantiles(time, n, spec))
        baseline = BaselineHazard(kind=spec.baseline, cuts=cuts[cuts < end], end=end, unit=unit)
        for code in range(int(stratum.max()) + 1):
            _check_support(baseline, events.take(stratum == code), cause, label)
        made.append(baseline)
    return tuple(made)


def _event_times(events: EventData, cause: int) -> np.ndarray:
    """Return the times of the events of one cause, shape (n_events, m).

    Known times have one column. Intervals are spread over the middles of equal parts, as if an
    event could have happened anywhere in them: their own middles are tied where visits are common.
    """
    seen = events.cause == cause
    lower, upper = events.lower[seen][:, None], events.upper[seen][:, None]
    if (lower == upper).all():
        return np.asarray(lower)
    return np.asarray(lower + (upper - lower) * (np.arange(_PARTS) + 0.5) / _PARTS)


def _number(events: EventData, cause: int) -> int:
    """Choose the number of intervals between knots or cuts.

    Where events are known by intervals, the data tell of the hazard's integrals between visits
    only: there are about two such intervals to a coefficient.
    """
    seen = events.cause == cause
    n = int(np.clip(seen.sum() // _EVENTS_PER_INTERVAL, 1, _MOST_INTERVALS))
    width = np.median(events.upper[seen] - events.lower[seen]) if seen.any() else 0.0
    if width > 0:
        n_visits = (events.upper[seen].max() - events.lower[seen].min()) / width
        n = int(np.clip((n_visits - _DEGREE) // 2, 1, n))
    return n


def _quantiles(time: np.ndarray, n: int, spec: JointSpec) -> Sequence[float] | np.ndarray:
    """Place cuts at quantiles of the event times."""
    if spec.baseline == "weibull":
        return ()
    return np.unique(np.quantile(time, np.linspace(0, 1, n + 1)[1:-1]))


def _check_support(baseline: BaselineHazard, events: EventData, cause: int, label: str) -> None:
    """Refuse coefficients that no event determines."""
    time = _event_times(events, cause)
    if not len(time):
        raise DesignError(
            f"A level of `strata` has no event of {label!r}, so that its baseline hazard would be "
            "0. Leave its subjects out, or merge levels."
        )
    if baseline.kind == "weibull":
        if len(np.unique(time[:, 0])) < 2:
            raise DesignError(
                f"A Weibull baseline of {label!r} needs events at two times at least, found "
                f"{len(np.unique(time[:, 0]))}. Use baseline='piecewise' with n_intervals=1."
            )
        return
    support = baseline.basis(time.ravel()).sum(axis=0) / time.shape[1]
    widely = events.cause == cause
    if baseline.kind == "piecewise":  # an interval that overlaps a piece speaks for it
        bounds = np.concatenate([[0.0], baseline.cuts, [np.inf]])
        lower, upper = events.lower[widely][:, None], events.upper[widely][:, None]
        exact = (lower == upper) & (lower > bounds[:-1]) & (lower <= bounds[1:])
        support = (exact | ((lower < bounds[1:]) & (upper > bounds[:-1]))).sum(axis=0)
    if support.min() < _SUPPORT:
        name = baseline.names[int(np.argmin(support))]
        raise DesignError(
            f"No event of {label!r} determines the baseline hazard at {name}: its logarithm would "
            "be minus infinity. Use fewer or other `cuts`, or a smaller `n_intervals`."
        )
