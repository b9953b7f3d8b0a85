"""Mean number of events per subject over time, without a model."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import DesignError
from pmsstats.models.events.partial_likelihood import sum_at_risk
from pmsstats.models.events.rows import (
    Rows,
    check_conf_level,
    check_event,
    check_intervals,
    groups_of,
    require_columns,
)
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["MeanFunctionResult", "MeanFunctionSpec", "estimate_mean_function", "mean_function"]

_CELLS_PER_BLOCK = 2_000_000


@dataclass(frozen=True, kw_only=True)
class MeanFunctionSpec:
    """Request for the mean cumulative number of events.

    Parameters
    ----------
    start, stop : str, default "start", "stop"
        Columns of the interval (start, stop] over which a row is at risk.
    event : str, default "event"
        Column that is true where an event ends the row.
    by : str, optional
        Column of groups; one curve each.
    subject : str, default "subject_id"
        Column of subjects.
    duration_unit : {"day", "year"}, default "day"
        Unit of the times; figures are drawn in years.
    conf_level : float, default 0.95
        Of the pointwise intervals.

    Raises
    ------
    DesignError
        If an option is outside of its range.
    """

    start: str = "start"
    stop: str = "stop"
    event: str = "event"
    by: str | None = None
    subject: str = "subject_id"
    duration_unit: Literal["day", "year"] = "day"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        if self.duration_unit not in ("day", "year"):
            raise DesignError(
                f"`duration_unit` must be 'day' or 'year', got {self.duration_unit!r}."
            )
        check_conf_level(self.conf_level)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MeanFunctionResult(Result):
    """Mean cumulative number of events by group.

    Parameters
    ----------
    spec : MeanFunctionSpec
        The request.
    curve_frame : pandas.DataFrame
        ``group duration mean_events std_error conf_low conf_high n_at_risk n_events``: a row at 0
        and one at each distinct time of an event of the group.
    sizes : pandas.DataFrame
        ``group n_subjects n_events follow_up``: the last is the longest of the group.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows left out.
    """

    spec: MeanFunctionSpec
    curve_frame: pd.DataFrame
    sizes: pd.DataFrame
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how many events a subject has on average by the end of follow-up.

        Returns
        -------
        str
            One sentence.
        """
        unit = "years" if self.spec.duration_unit == "year" else "days"
        shown = [
            f"{row.group} {format_number(row.mean_events, 3)} by {format_number(row.duration, 3)} "
            f"{unit}"
            for row in self.table().itertuples()
        ]
        return (
            f"{int(self.sizes['n_events'].sum())} events of "
            f"{int(self.sizes['n_subjects'].sum())} subjects; mean number of events per subject: "
            f"{', '.join(shown)}."
        )

    def table(self) -> pd.DataFrame:
        """Return the mean number of events at the last event of each group.

        Returns
        -------
        pandas.DataFrame
            ``group n_subjects n_events duration mean_events std_error conf_low conf_high``.
        """
        last = self.curve_frame.groupby("group", observed=True, sort=True).tail(1)
        columns = ["group", "duration", "mean_events", "std_error", "conf_low", "conf_high"]
        frame = self.sizes.drop(columns="follow_up").merge(last[columns], on="group")
        return frame.assign(group=frame["group"].astype(str))

    def curves(self) -> pd.DataFrame:
        """Return the curves (a copy).

        Returns
        -------
        pandas.DataFrame
            As `curve_frame`.
        """
        return self.curve_frame.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the curves in years.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.mean_events.plot_mean_events`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots.mean_events import plot_mean_events

        sizes = self.sizes.set_index(self.sizes["group"].astype(str))
        curves = self.curves()
        names = curves["group"].astype(str)
        curves["n"] = sizes.loc[names, "n_subjects"].to_numpy()
        curves["until"] = sizes.loc[names, "follow_up"].to_numpy()
        per_year = DAYS_PER_YEAR if self.spec.duration_unit == "day" else 1.0
        curves[["duration", "until"]] /= per_year
        return plot_mean_events(curves, ax=ax, **({"origin": self.origin} | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields.
        """
        return {
            "schema": "mean_function_result/1",
            "spec": to_plain(self.spec),
            "sizes": to_plain(self.sizes),
            "curves": to_plain(self.curve_frame),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def estimate_mean_function(
    data: pd.DataFrame, spec: MeanFunctionSpec | None = None, *, origin: Origin = "real"
) -> MeanFunctionResult:
    """Estimate the mean cumulative number of events per subject, by group.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject and interval; see
        :func:`~pmsstats.models.recurrent.intervals.recurrent_intervals`.
    spec : MeanFunctionSpec, optional
        Which columns are what.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    MeanFunctionResult
        Curves with robust standard errors.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind, intervals are reversed or overlap, or there is
        no event.

    Notes
    -----
    R: ``survival::survfit(Surv(start, stop, event) ~ group, id = subject)``, ``$cumhaz``; SAS:
    ``PROC RELIABILITY`` with ``MCFPLOT``.

    The number of events that a subject would have had on average by a time, were all followed
    until then; censoring must not depend on the events. Its estimate is Nelson and Aalen's; the
    variance needs no Poisson process: the events of a subject may depend on each other [1]_.
    Intervals are symmetric on the log scale. Death is not accounted for: where it stops events,
    the mean is that of a world without it.

    References
    ----------
    .. [1] Lawless JF, Nadeau C. Some simple robust methods for the analysis of recurrent events.
       Technometrics 1995;37:158-168. doi:10.1080/00401706.1995.10484300

    Examples
    --------
    >>> data = pd.DataFrame(
    ...     {
    ...         "subject_id": ["S1", "S1", "S2", "S3"],
    ...         "start": [0, 90, 0, 0],
    ...         "stop": [90, 365, 365, 200],
    ...         "event": [True, False, False, True],
    ...     }
    ... )
    >>> estimate_mean_function(data).curves()[["duration", "mean_events", "n_at_risk"]]
       duration  mean_events  n_at_risk
    0       0.0     0.000000          3
    1      90.0     0.333333          3
    2     200.0     0.666667          3
    """
    spec = MeanFunctionSpec() if spec is None else spec
    named = [(name, getattr(spec, name)) for name in ("start", "stop", "event", "subject")]
    require_columns(data, named + ([("by", spec.by)] if spec.by else []))
    rows = Rows(data, "mean number of events", spec.subject)
    check_event(rows, spec.event)
    check_intervals(rows, spec.start, spec.stop)
    if spec.by:
        rows.drop(rows.frame[spec.by].isna(), f"no {spec.by}")
    if not rows.frame[spec.event].any():
        raise DesignError(
            f"No event among {len(rows.frame)} row(s): there is no curve to draw. Check `event`."
        )
    group = groups_of(rows.frame, spec.by)
    parts = [
        _curve(rows.frame[group == level], rows.subject[group == level], spec).assign(group=level)
        for level in group.categories
    ]
    curves = pd.concat(parts, ignore_index=True)
    curves["group"] = pd.Categorical(curves["group"], categories=group.categories, ordered=True)
    return MeanFunctionResult(
        spec=spec,
        curve_frame=curves[["group", *[c for c in curves if c != "group"]]],
        sizes=_sizes(rows, group, spec),
        origin=origin,
        exclusions=rows.exclusions,
    )


def _sizes(rows: Rows, group: pd.Categorical, spec: MeanFunctionSpec) -> pd.DataFrame:
    """Count subjects and events per group."""
    frame = pd.DataFrame(
        {"group": group, "subject": rows.subject.to_numpy(),
         "event": rows.frame[spec.event].to_numpy(), "stop": rows.frame[spec.stop].to_numpy()}
    )  # fmt: skip
    grouped = frame.groupby("group", observed=True)
    return grouped.agg(
        n_subjects=("subject", "nunique"), n_events=("event", "sum"), follow_up=("stop", "max")
    ).reset_index()


def _curve(frame: pd.DataFrame, subject: pd.Series, spec: MeanFunctionSpec) -> pd.DataFrame:
    """Estimate the curve of one group."""
    codes = pd.factorize(subject)[0]
    time, mean, std_error, at_risk, n_events = mean_function(
        frame[spec.start].to_numpy(), frame[spec.stop].to_numpy(),
        frame[spec.event].to_numpy(dtype=bool), codes,
    )  # fmt: skip
    with np.errstate(all="ignore"):
        spread = np.exp(stats.norm.ppf((1 + spec.conf_level) / 2) * std_error / mean)
    begin = float(frame[spec.start].min())
    return pd.DataFrame(
        {
            "duration": np.append(begin, time),
            "mean_events": np.append(0.0, mean),
            "std_error": np.append(0.0, std_error),
            "conf_low": np.append(0.0, mean / spread),
            "conf_high": np.append(0.0, mean * spread),
            "n_at_risk": np.append(int((frame[spec.start] == begin).sum()), at_risk),
            "n_events": np.append(0, n_events),
        }
    )


def mean_function(
    start: np.ndarray, stop: np.ndarray, event: np.ndarray, subject: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Compute the mean function and its robust standard error.

    Parameters
    ----------
    start, stop : ndarray, shape (n_rows,)
        A row is at risk over (start, stop].
    event : ndarray of bool, shape (n_rows,)
        Whether an event ends it.
    subject : ndarray of int, shape (n_rows,)
        Codes 0, 1, ... of subjects.

    Returns
    -------
    time : ndarray, shape (n_times,)
        Distinct times of events.
    mean : ndarray, shape (n_times,)
        ``sum dN / Y``.
    std_error : ndarray, shape (n_times,)
        Root of ``sum_i {int Y_i / Y (dN_i - dN / Y)}^2``.
    at_risk, n_events : ndarray of int, shape (n_times,)
        Y and dN.
    """
    time, n_events = np.unique(stop[event], return_counts=True)
    if not len(time):  # nobody had an event: the curve stays at 0
        none = np.zeros(0)
        return none, none, none, none.astype(int), none.astype(int)
    at_risk = sum_at_risk(start, stop, np.ones(len(stop)), time)
    order = np.argsort(subject, kind="stable")
    start, stop, event = start[order], stop[order], event[order]
    first = np.searchsorted(subject[order], np.arange(int(subject.max()) + 1))
    lost = np.concatenate([[0.0], np.cumsum(n_events / at_risk**2)])
    # steps of the sums that lie in a row: from after its start to its stop
    low, high = (np.searchsorted(time, t, side="right") for t in (start, stop))
    gained = np.where(event, 1.0 / at_risk[np.maximum(high - 1, 0)], 0.0)
    position = np.arange(1, len(time) + 1)
    variance = np.zeros(len(time))
    block = max(1, _CELLS_PER_BLOCK // len(time))
    bounds = np.unique(
        np.append(np.searchsorted(first, np.arange(0, len(stop), block)), len(first))
    )
    for begin, end in pairwise(bounds):
        rows = slice(first[begin], first[end] if end < len(first) else len(stop))
        until = np.minimum(position, high[rows, None])
        own = lost[np.minimum(position, low[rows, None])] - lost[until]
        own += np.where(position >= high[rows, None], gained[rows, None], 0.0)
        summed = np.add.reduceat(own, first[begin:end] - first[begin], axis=0)
        variance += (summed**2).sum(axis=0)
    mean = np.cumsum(n_events / at_risk)
    return time, mean, np.sqrt(variance), at_risk.astype(int), n_events
