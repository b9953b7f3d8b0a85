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
from pmsstats.models.curves.log_rank_engine import (
    Engine,
    check_engine,
    compare_curves,
    record_engine,
)
from pmsstats.models.curves.product_limit import log_log_interval, product_limit
from pmsstats.models.curves.rank_scores import LogRankTest, weighted_scores
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

_OWN_CURVE = (
    "curve of {group} by the package's own product limit: lifelines refuses curves at whose "
    "beginning nobody is at risk for a while"
)


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
    engine: Engine = "lifelines",
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
    engine : {"lifelines", "native"}, default "lifelines"
        Which program computes: lifelines, or the package's own sums, which give the same numbers
        in a fifth of the time (for loops).
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
        after the end of follow-up, nobody is left, or the engine is not known.

    Notes
    -----
    R: ``survival::survfit(Surv(...) ~ group)``, ``survdiff``; SAS: ``PROC LIFETEST``.

    The curve is the probability of no event up to and including a time, were nobody censored; it
    assumes that those censored would have fared as those still followed. Intervals are pointwise,
    by Greenwood's variance of log(-log S) [1]_. Subjects without follow-up (duration 0) are left
    out, counted.

    Curves and test are computed by lifelines [2]_. The package's own sums stand in where it
    refuses a curve (late entry that leaves nobody at risk early on) and where it has no test (late
    entry) or counts too many degrees of freedom (a group that left before the first event);
    ``fit_log.message`` then says so.

    References
    ----------
    .. [1] Kalbfleisch JD, Prentice RL. The Statistical Analysis of Failure Time Data. 2nd ed.
       Wiley 2002, section 1.4. doi:10.1002/9781118032985
    .. [2] Davidson-Pilon C. lifelines: survival analysis in Python. J Open Source Softw
       2019;4:1317. doi:10.21105/joss.01317

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [90, 180, 365, 400], "event": [True, False, True, False]})
    >>> fit_km(data).table()
      group  n_subjects  n_events  median  conf_low  conf_high
    0   all           4         2   365.0      90.0        NaN
    """
    spec = KMSpec() if spec is None else spec
    check_engine(engine)
    prepared = prepare_km(data, spec)
    curves, notes = _curves(prepared.frame, spec.conf_level, engine)
    log_rank, note = _log_rank(prepared.frame, engine)
    return KMResult(
        spec=spec,
        fit_log=record_engine(engine, *notes, note),
        curve_frame=curves,
        follow_up=prepared.frame,
        log_rank=log_rank,
        n_subjects=len(prepared.frame),
        n_events=int(prepared.frame["event"].sum()),
        exclusions=(*prior_exclusions, *prepared.exclusions),
        origin=origin,
    )


def _curves(
    frame: pd.DataFrame, conf_level: float, engine: Engine
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Estimate each group's curve, from a row at time 0; say which ones lifelines refused."""
    parts, notes = [], []
    for group, rows in frame.groupby("group", observed=True, sort=True):
        duration, event = rows["duration"].to_numpy(), rows["event"].to_numpy()
        entry = rows["entry"].to_numpy() if "entry" in rows else None
        curve = _their_curve(duration, event, entry, conf_level) if engine == "lifelines" else None
        if curve is None:
            curve = _own_curve(duration, event, entry, conf_level)
            notes += [_OWN_CURVE.format(group=group)] if engine == "lifelines" else []
        from_start = len(rows) if entry is None else int(np.count_nonzero(entry == 0))
        parts.append(pd.concat([_start(from_start), curve]).assign(group=group))
    curves = pd.concat(parts, ignore_index=True)
    levels = frame["group"].cat.categories
    curves.insert(0, "group", pd.Categorical(curves.pop("group"), levels, ordered=True))
    return curves, tuple(notes)


def _their_curve(
    duration: np.ndarray, event: np.ndarray, entry: np.ndarray | None, conf_level: float
) -> pd.DataFrame | None:
    """Estimate one curve by lifelines; None where it refuses."""
    # loaded here because lifelines takes a second to import
    from pmsstats.models.backends.lifelines_km import estimate_curve

    return estimate_curve(duration, event, entry, conf_level=conf_level)


def _start(n_at_risk: int) -> pd.DataFrame:
    """Return the row at time 0."""
    return pd.DataFrame(
        {
            "duration": [0.0],
            "survival": [1.0],
            "conf_low": [1.0],
            "conf_high": [1.0],
            "n_at_risk": [n_at_risk],
            "n_events": [0],
            "n_censored": [0],
        }
    )


def _own_curve(
    duration: np.ndarray, event: np.ndarray, entry: np.ndarray | None, conf_level: float
) -> pd.DataFrame:
    """Estimate one curve by the package's own product limit."""
    curve = product_limit(duration, event, entry=entry)
    low, high = log_log_interval(curve.survival, np.sqrt(curve.variance_log), conf_level)
    return pd.DataFrame(
        {
            "duration": curve.table.time,
            "survival": curve.survival,
            "conf_low": low,
            "conf_high": high,
            "n_at_risk": curve.table.n_at_risk[0],
            "n_events": curve.table.n_events[0, 0],
            "n_censored": curve.table.n_censored[0],
        }
    )


def _log_rank(frame: pd.DataFrame, engine: Engine) -> tuple[LogRankTest | None, str]:
    """Compare the groups, if there are two and any event; say why not by lifelines."""
    group = frame["group"].cat.codes.to_numpy(dtype=np.int64)
    if group.max() == 0 or not frame["event"].any():
        return None, ""
    duration, event = frame["duration"].to_numpy(), frame["event"].to_numpy()
    entry = frame["entry"].to_numpy() if "entry" in frame else None
    scores = weighted_scores(tabulate_at_risk(duration, event, group=group, entry=entry))
    beyond = "late entry" if entry is not None and (entry > 0).any() else ""
    return compare_curves(scores, duration, event, group, engine=engine, beyond=beyond)
