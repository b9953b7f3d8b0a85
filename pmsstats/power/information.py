"""How much of a trial's final information there is at a calendar time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.power.arms import arm_sizes
from pmsstats.power.lakatos import Accrual
from pmsstats.power.log_rank_trial import make_trial
from pmsstats.power.piecewise import PiecewiseHazard
from pmsstats.power.schedule import VisitSchedule, retention_of_arms
from pmsstats.power.slope_variance import SlopeModel

__all__ = ["information_time_events", "information_time_slope", "slope_information"]

_SINGULAR = 1e-10  # of a determinant scaled to correlations: below, slopes cannot be told apart
_HOUR = 1e-4  # years: about an hour
_ROUNDING = 1e-9  # of the final information
_MOMENT = 1e-9  # years, to which times of analysis are found


def slope_information(
    years: Sequence[float],
    models: tuple[SlopeModel, SlopeModel],
    seen: tuple[np.ndarray, np.ndarray],
    *,
    common_baseline: bool = False,
) -> np.ndarray:
    """Give the information on the difference of two mean slopes.

    Parameters
    ----------
    years : sequence of float, length n_visits
        Planned visits since baseline.
    models : pair of SlopeModel
        Variances of the reference and the treated arm.
    seen : pair of ndarray, shape (n_times, n_visits)
        Subjects of each arm whose visit there has been, at several times of analysis; falling
        from visit to visit, as nobody comes back.
    common_baseline : bool, default False
        Whether the arms share one mean at baseline.

    Returns
    -------
    ndarray, shape (n_times,)
        One over the variance of the generalised least squares estimate, with variances known; 0
        where slopes cannot be estimated yet.

    Raises
    ------
    DesignError
        If only one of both arms has free intercepts.

    Notes
    -----
    Information matrices ``X' V^-1 X`` of subjects are summed over the number of visits that they
    had [1]_. Free intercepts are projected out of each subject.

    References
    ----------
    .. [1] Diggle PJ, Heagerty P, Liang KY, Zeger SL. Analysis of longitudinal data. Oxford
       University Press, 2002: chapter 4.
    """
    t = np.asarray(years, dtype=float)
    if models[0].has_free_intercepts != models[1].has_free_intercepts:
        raise DesignError(
            "`models` must both have free intercepts, or neither, got intercept_sd of "
            f"{models[0].intercept_sd!r} and {models[1].intercept_sd!r}."
        )
    total = 0.0
    for arm, (model, subjects) in enumerate(zip(models, seen, strict=True)):
        matrices = np.stack(
            [_subject(t[: k + 1], model, arm, common=common_baseline) for k in range(len(t))]
        )
        last = subjects - np.append(subjects[:, 1:], np.zeros((len(subjects), 1)), axis=1)
        total = total + np.einsum("ck,kij->cij", last, matrices)
    return _of_last_term(total)


def _subject(t: np.ndarray, model: SlopeModel, arm: int, *, common: bool) -> np.ndarray:
    """Return the information matrix of a subject with some visits."""
    ones = np.ones_like(t)
    inverse = np.linalg.inv(model.covariance(t))
    if model.has_free_intercepts:
        weights = inverse @ ones
        inverse = inverse - np.outer(weights, weights) / weights.sum()
        columns = [t, arm * t]
    else:
        columns = [ones, *([] if common else [arm * ones]), t, arm * t]
    X = np.column_stack(columns)
    return X.T @ inverse @ X


def _of_last_term(total: np.ndarray) -> np.ndarray:
    """Return one over the last diagonal element of each inverse, 0 where there is none."""
    scale = np.sqrt(np.einsum("cii->ci", total))
    safe = np.where(scale > 0, scale, 1.0)
    scaled = total / (safe[:, :, None] * safe[:, None, :])
    regular = (scale > 0).all(axis=1) & (np.linalg.det(scaled) > _SINGULAR)
    scaled[~regular] = np.eye(total.shape[1])
    precision = 1.0 / np.linalg.inv(scaled)[:, -1, -1] * scale[:, -1] ** 2
    return np.where(regular, precision, 0.0)


def information_time_slope(
    *,
    n: int | tuple[int, int],
    schedule: VisitSchedule,
    model: SlopeModel | tuple[SlopeModel, SlopeModel],
    calendar_years: Sequence[float] | None = None,
    fractions: Sequence[float] | None = None,
    accrual: float = 0.0,
    accrual_weights: tuple[float, ...] = (1.0,),
    dropout: float | tuple[float, float] = 0.0,
    retention: Sequence[float] | Sequence[Sequence[float]] | None = None,
    common_baseline: bool = False,
    ratio: float = 1.0,
) -> pd.DataFrame:
    """Give the information on a difference of slopes at calendar times, of the final one.

    Parameters
    ----------
    n : int or pair of int
        Subjects randomised in both arms together, or per arm, reference first.
    schedule : VisitSchedule
        Planned visits of each subject.
    model : SlopeModel or pair of SlopeModel
        Variances, of both arms or per arm.
    calendar_years : sequence of float, optional
        Times of analysis, from the first entry.
    fractions : sequence of float, optional
        Or the information fractions for which the times are wanted, above 0 up to 1.
    accrual : float, default 0
        Years from the first entry to the last.
    accrual_weights : tuple of float, default (1.0,)
        Relative numbers that enter in equally long parts of it.
    dropout : float or pair of float, default 0
        Share lost per year, in both arms or per arm.
    retention : sequence of float, or a pair of such, optional
        Share still seen at each visit instead.
    common_baseline : bool, default False
        Whether the arms share one mean at baseline.
    ratio : float, default 1
        Treated per reference subject, where `n` is a total.

    Returns
    -------
    pandas.DataFrame
        ``calendar_year n_enrolled n_visits information std_error fraction``. The fraction is of
        the information after the last visit of the last subject; the standard error is in units
        of the outcome per year, infinite before slopes can be estimated.

    Raises
    ------
    DesignError
        If not exactly one of `calendar_years` and `fractions` is given, or an argument is out of
        range.

    Notes
    -----
    A visit at t years is seen at calendar time c for the share of subjects who entered by
    ``c - t`` and stayed. Slopes need time: half of the visits bring much less than half of the
    information.

    Examples
    --------
    >>> look = information_time_slope(
    ...     n=200,
    ...     schedule=VisitSchedule.every(months=6, duration=2),
    ...     model=SlopeModel(slope_sd=0.8, residual_sd=0.5),
    ...     calendar_years=[1.5, 2.5, 3.5],
    ...     accrual=1.5,
    ... )
    >>> look["fraction"].round(3).tolist()
    [0.31, 0.843, 1.0]
    """
    arms = arm_sizes(n, ratio)
    enter = Accrual(years=accrual, weights=accrual_weights)
    models = model if isinstance(model, tuple) else (model, model)
    t = np.asarray(schedule.years)
    stay = [np.asarray(r) for r in retention_of_arms(schedule.years, dropout, retention)]

    def at(years: np.ndarray) -> pd.DataFrame:
        entered = enter.share(years[:, None] - t)
        seen = (arms[0] * entered * stay[0], arms[1] * entered * stay[1])
        found = slope_information(t, models, seen, common_baseline=common_baseline)
        with np.errstate(divide="ignore"):
            std_error = 1.0 / np.sqrt(found)
        return pd.DataFrame(
            {
                "calendar_year": years,
                "n_enrolled": sum(arms) * enter.share(years),
                "n_visits": (seen[0] + seen[1]).sum(axis=1),
                "information": found,
                "std_error": std_error,
            }
        )

    return _with_fractions(at, "information", accrual + float(t[-1]), calendar_years, fractions)


def information_time_events(
    *,
    n: int | tuple[int, int],
    hazard: float | PiecewiseHazard,
    hazard_ratio: float | PiecewiseHazard,
    follow_up: float,
    calendar_years: Sequence[float] | None = None,
    fractions: Sequence[float] | None = None,
    accrual: float = 0.0,
    accrual_weights: tuple[float, ...] = (1.0,),
    delay: float = 0.0,
    dropout: float | tuple[float, float] = 0.0,
    ratio: float = 1.0,
) -> pd.DataFrame:
    """Give the expected events at calendar times, of those at the end.

    Parameters
    ----------
    n : int or pair of int
        Subjects randomised in both arms together, or per arm, reference first.
    hazard, hazard_ratio, follow_up : float or PiecewiseHazard
        As in :func:`pmsstats.power.log_rank.power_log_rank`.
    calendar_years : sequence of float, optional
        Times of analysis, from the first entry.
    fractions : sequence of float, optional
        Or the shares of the final events for which the times are wanted, above 0 up to 1.
    accrual, accrual_weights, delay, dropout, ratio : optional
        As there.

    Returns
    -------
    pandas.DataFrame
        ``calendar_year n_enrolled n_events n_events_reference n_events_treated fraction``.

    Raises
    ------
    DesignError
        If not exactly one of `calendar_years` and `fractions` is given, or an argument is out of
        range.

    Examples
    --------
    >>> information_time_events(
    ...     n=600, hazard=0.18, hazard_ratio=0.7, follow_up=2.5, accrual=1.0, fractions=[0.5, 1]
    ... )["calendar_year"].round(2).tolist()
    [1.83, 3.5]
    """
    arms = arm_sizes(n, ratio)
    trial = make_trial(
        hazard=hazard,
        hazard_ratio=hazard_ratio,
        follow_up=follow_up,
        accrual=accrual,
        accrual_weights=accrual_weights,
        delay=delay,
        off_treatment=0.0,
        drop_in=0.0,
        method="lakatos",
        alpha=0.05,
        sides=2,
        ratio=ratio,
        dropout=dropout,
    ).trial

    def at(years: np.ndarray) -> pd.DataFrame:
        counts = [
            [k * arm.events for k, arm in zip(arms, trial.arms(float(c)), strict=True)]
            for c in years
        ]
        events = np.array(counts).reshape(-1, 2)
        return pd.DataFrame(
            {
                "calendar_year": years,
                "n_enrolled": sum(arms) * trial.accrual.share(years),
                "n_events": events.sum(axis=1),
                "n_events_reference": events[:, 0],
                "n_events_treated": events[:, 1],
            }
        )

    return _with_fractions(at, "n_events", trial.duration, calendar_years, fractions)


def _with_fractions(
    at: Callable[[np.ndarray], pd.DataFrame],
    column: str,
    end: float,
    calendar_years: Sequence[float] | None,
    fractions: Sequence[float] | None,
) -> pd.DataFrame:
    """Tabulate at given times, or at those of given fractions, relative to the end."""
    if (calendar_years is None) == (fractions is None):
        raise DesignError(
            "Give exactly one of `calendar_years` and `fractions`, got "
            f"{calendar_years!r} and {fractions!r}."
        )
    whole = float(at(np.array([end]))[column].iloc[0])
    if fractions is None:
        years = np.asarray(calendar_years, dtype=float)
        if np.any(~((years >= 0) & (years <= end + _HOUR))):
            raise DesignError(
                f"`calendar_years` must lie between 0 and the end of the trial at {end:g} years, "
                f"got {calendar_years!r}."
            )
    else:
        targets = whole * np.array([_share(fraction) for fraction in fractions])
        years = _years_of(at, column, end, targets)
    table = at(np.minimum(years, end))
    return table.assign(fraction=table[column] / whole)


def _share(fraction: float) -> float:
    """Refuse an information fraction that no look can have."""
    if not 0.0 < fraction <= 1.0:
        raise DesignError(f"`fractions` must lie above 0 and up to 1, got {fraction!r}.")
    return float(fraction)


def _years_of(
    at: Callable[[np.ndarray], pd.DataFrame], column: str, end: float, targets: np.ndarray
) -> np.ndarray:
    """Find the first times at which a quantity is reached, by bisection of all together."""
    low, high = np.zeros(len(targets)), np.full(len(targets), end)
    high[at(np.zeros(1))[column].iloc[0] >= targets] = 0.0
    whole = float(at(np.array([end]))[column].iloc[0])
    low[targets >= whole * (1.0 - _ROUNDING)] = end
    while np.max(high - low, initial=0.0) > _MOMENT:
        middle = 0.5 * (low + high)
        reached = at(middle)[column].to_numpy() >= targets
        high = np.where(reached, middle, high)
        low = np.where(reached, low, middle)
    return high
