"""Kaplan-Meier curves by group, compared by the log-rank test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.curves.at_risk import tabulate_at_risk
from pmsstats.models.curves.kaplan_meier_result import KMResult
from pmsstats.models.curves.product_limit import log_log_interval, product_limit
from pmsstats.models.curves.rank_scores import LogRankTest, judge_scores, weighted_scores
from pmsstats.models.events.rows import (
    Rows,
    as_subjects,
    check_conf_level,
    check_duration,
    check_entry,
    check_event,
    check_one_row,
    groups_of,
    require_columns,
)
from pmsstats.results import Exclusion

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["KMData", "KMResult", "KMSpec", "LogRankTest", "fit_km", "prepare_km"]


@dataclass(frozen=True, kw_only=True)
class KMSpec:
    """Request for Kaplan-Meier curves.

    Parameters
    ----------
    duration : str, default "duration"
        Column of the time to event or censoring.
    event : str, default "event"
        Column that is true where the event happened.
    entry : str, optional
        Column of the time from which a subject is observed (delayed entry, left truncation): at
        risk over (entry, duration].
    by : str, optional
        Column of groups; one curve each.
    subject : str, default "subject_id"
        Column of subjects, if there is one.
    duration_unit : {"day", "year"}, default "day"
        Unit of `duration`; figures are drawn in years.
    conf_level : float, default 0.95
        Of the pointwise intervals.

    Raises
    ------
    DesignError
        If an option is outside of its range.
    """

    duration: str = "duration"
    event: str = "event"
    entry: str | None = None
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


@dataclass(frozen=True, kw_only=True, eq=False)
class KMData:
    """Durations by group, checked.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``duration event group``, with `entry` also ``entry``; group an ordered categorical.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    frame: pd.DataFrame
    exclusions: tuple[Exclusion, ...]


def prepare_km(data: pd.DataFrame, spec: KMSpec) -> KMData:
    """Check the data of Kaplan-Meier curves.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : KMSpec
        Which columns are what.

    Returns
    -------
    KMData
        Durations, events, groups and exclusions.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind, times are negative or infinite, or nobody is
        left.
    """
    named = [("duration", spec.duration), ("event", spec.event)]
    optional = [("entry", spec.entry), ("by", spec.by)]
    require_columns(data, named + [(name, column) for name, column in optional if column])
    rows = Rows(data, "Kaplan-Meier", spec.subject)
    check_event(rows, spec.event)
    check_duration(rows, spec.duration, spec.event)
    check_one_row(rows)
    if spec.entry:
        check_entry(rows, spec.entry, spec.duration)
    if spec.by:
        rows.drop(rows.frame[spec.by].isna(), f"no {spec.by}")
    if rows.frame.empty:
        reasons = "; ".join(f"{e.n}: {e.reason}" for e in rows.exclusions)
        raise DesignError(
            f"Kaplan-Meier curves need at least one subject, found none. {reasons}".rstrip()
        )
    frame = pd.DataFrame(
        {
            "duration": rows.frame[spec.duration],
            "event": rows.frame[spec.event],
            "group": groups_of(rows.frame, spec.by),
        }
    )
    if spec.entry:
        frame["entry"] = rows.frame[spec.entry]
    frame = frame.reset_index(drop=True)
    return KMData(frame=frame, exclusions=as_subjects(rows.exclusions))


def fit_km(
    data: pd.DataFrame,
    spec: KMSpec | None = None,
    *,
    prior_exclusions: Iterable[Exclusion] = (),
    origin: Origin = "real",
) -> KMResult:
    """Estimate Kaplan-Meier curves, one per group, and compare them by the log-rank test.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : KMSpec, optional
        Which columns are what; ``duration`` and ``event``, one curve, by default.
    prior_exclusions : iterable of Exclusion
        What was left out before; listed first in the result.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    KMResult
        Curves, medians, numbers at risk and the log-rank test.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind, times are negative or infinite, an entry lies
        after the end of follow-up, or nobody is left.

    Notes
    -----
    R: ``survival::survfit(Surv(...) ~ group)``, ``survdiff``; SAS: ``PROC LIFETEST``.

    The curve is the probability of no event up to and including a time, were nobody censored; it
    assumes that those censored would have fared as those still followed. Intervals are pointwise,
    by Greenwood's variance of log(-log S) [1]_. Subjects without follow-up (duration 0) are left
    out, counted.

    References
    ----------
    .. [1] Kalbfleisch JD, Prentice RL. The Statistical Analysis of Failure Time Data. 2nd ed.
       Wiley 2002, section 1.4. doi:10.1002/9781118032985

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [90, 180, 365, 400], "event": [True, False, True, False]})
    >>> fit_km(data).table()
      group  n_subjects  n_events  median  conf_low  conf_high
    0   all           4         2   365.0      90.0        NaN
    """
    spec = KMSpec() if spec is None else spec
    prepared = prepare_km(data, spec)
    return KMResult(
        spec=spec,
        curve_frame=_curves(prepared.frame, spec.conf_level),
        follow_up=prepared.frame,
        log_rank=_log_rank(prepared.frame),
        n_subjects=len(prepared.frame),
        n_events=int(prepared.frame["event"].sum()),
        exclusions=(*prior_exclusions, *prepared.exclusions),
        origin=origin,
    )


def _curves(frame: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Estimate each group's curve, from a row at time 0."""
    group = frame["group"].cat.codes.to_numpy(dtype=np.int64)
    entry = frame["entry"].to_numpy() if "entry" in frame else None
    curve = product_limit(frame["duration"].to_numpy(), frame["event"].to_numpy(), group, entry)
    low, high = log_log_interval(curve.survival, np.sqrt(curve.variance_log), conf_level)
    counted = curve.table
    estimated = pd.DataFrame(
        {
            "group": counted.stratum,
            "duration": counted.time,
            "survival": curve.survival,
            "conf_low": low,
            "conf_high": high,
            "n_at_risk": counted.n_at_risk[0],
            "n_events": counted.n_events[0, 0],
            "n_censored": counted.n_censored[0],
        }
    )
    from_start = group if entry is None else group[entry == 0]
    levels = frame["group"].cat.categories
    start = pd.DataFrame(
        {
            "group": np.arange(len(levels)),
            "duration": 0.0,
            "survival": 1.0,
            "conf_low": 1.0,
            "conf_high": 1.0,
            "n_at_risk": np.bincount(from_start, minlength=len(levels)),
            "n_events": 0,
            "n_censored": 0,
        }
    )
    curves = pd.concat([start, estimated]).sort_values(["group", "duration"], ignore_index=True)
    curves["group"] = pd.Categorical.from_codes(curves["group"], levels, ordered=True)
    return curves


def _log_rank(frame: pd.DataFrame) -> LogRankTest | None:
    """Compare the groups, if there are two and any event."""
    group = frame["group"].cat.codes.to_numpy(dtype=np.int64)
    if group.max() == 0 or not frame["event"].any():
        return None
    entry = frame["entry"].to_numpy() if "entry" in frame else None
    scores = weighted_scores(
        tabulate_at_risk(
            frame["duration"].to_numpy(), frame["event"].to_numpy(), group=group, entry=entry
        )
    )
    return judge_scores(scores)
