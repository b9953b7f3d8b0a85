"""Cumulative incidence of competing causes, by group, compared by Gray's test."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.curves.aalen_johansen import Incidence, aalen_johansen, gray_test
from pmsstats.models.curves.cumulative_incidence_result import CumulativeIncidenceResult
from pmsstats.models.curves.product_limit import log_log_interval
from pmsstats.models.events.rows import (
    Rows,
    as_subjects,
    check_cause,
    check_conf_level,
    check_duration,
    check_entry,
    check_one_row,
    groups_of,
    require_columns,
)
from pmsstats.results import Exclusion

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["CumulativeIncidenceResult", "CumulativeIncidenceSpec", "fit_cumulative_incidence"]


@dataclass(frozen=True, kw_only=True)
class CumulativeIncidenceSpec:
    """Request for the cumulative incidence of competing causes.

    Parameters
    ----------
    cause : str
        Column that says how follow-up ended: one value for censored, one for each cause.
    censored : str or int, optional
        The value of `cause` that means "no event until then"; by default 0 among numbers,
        ``"censored"`` among text.
    expected : tuple of str, optional
        Causes that must occur; without them a cause that nobody had goes unnoticed.
    duration : str, default "duration"
        Column of the time to the first event of any cause, or to censoring.
    entry : str, optional
        Column of the time from which a subject is observed (delayed entry): at risk over (entry,
        duration]. Gray's test is then left out.
    by : str, optional
        Column of groups.
    strata : str, optional
        Column within whose values Gray's test compares the groups.
    rho : float, default 0.0
        Gray's test weights times by ``(1 - F(t-))^rho``.
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

    cause: str
    censored: str | int | None = None
    expected: tuple[str, ...] = ()
    duration: str = "duration"
    entry: str | None = None
    by: str | None = None
    strata: str | None = None
    rho: float = 0.0
    subject: str = "subject_id"
    duration_unit: Literal["day", "year"] = "day"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        if not self.rho >= 0:
            raise DesignError(f"`rho` must be at least 0, got {self.rho!r}.")
        if self.strata is not None and self.by is None:
            raise DesignError(
                f"`strata` is for Gray's test of groups, got {self.strata!r} without `by`."
            )
        if self.duration_unit not in ("day", "year"):
            raise DesignError(
                f"`duration_unit` must be 'day' or 'year', got {self.duration_unit!r}."
            )
        check_conf_level(self.conf_level)


def fit_cumulative_incidence(
    data: pd.DataFrame,
    spec: CumulativeIncidenceSpec,
    *,
    prior_exclusions: Iterable[Exclusion] = (),
    origin: Origin = "real",
) -> CumulativeIncidenceResult:
    """Estimate the cumulative incidence of each cause, by group (Aalen-Johansen).

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : CumulativeIncidenceSpec
        Which columns are what.
    prior_exclusions : iterable of Exclusion
        What was left out before; listed first in the result.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    CumulativeIncidenceResult
        Curves, and Gray's test of each cause.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind, times are negative, infinite or end before
        entry, no cause occurs, only one does, or an expected one does not.

    Notes
    -----
    R: ``cmprsk::cuminc``, ``survival::survfit`` with a factor of states; SAS: ``PROC LIFETEST``
    with ``EVENTCODE=``.

    The estimand is the probability of an event of the cause up to a time, in a world where the
    other causes remain [1]_. One minus Kaplan-Meier with the other causes taken for censoring
    answers for a world without them, which needs them to be independent, and is always larger;
    :meth:`CumulativeIncidenceResult.table` shows both. Intervals are pointwise and symmetric on
    the log(-log) scale.

    References
    ----------
    .. [1] Putter H, Fiocco M, Geskus RB. Tutorial in biostatistics: competing risks and
       multi-state models. Stat Med 2007;26:2389-2430. doi:10.1002/sim.2712

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame(
    ...     {
    ...         "duration": [1, 2, 3, 4, 5],
    ...         "cause": ["death", "progression", "censored", "progression", "death"],
    ...     }
    ... )
    >>> fit = fit_cumulative_incidence(data, CumulativeIncidenceSpec(cause="cause"))
    >>> fit.table()[["cause", "n_events", "estimate", "one_minus_km"]]
             cause  n_events  estimate  one_minus_km
    0        death         2       0.5         1.000
    1  progression         2       0.5         0.625
    """
    rows, causes = _prepare(data, spec)
    frame = rows.frame
    groups = groups_of(frame, spec.by)
    group = np.asarray(groups.codes, dtype=np.int64)
    incidence = aalen_johansen(
        frame[spec.duration].to_numpy(),
        frame[spec.cause].to_numpy(),
        n_causes=len(causes),
        group=group,
        entry=frame[spec.entry].to_numpy() if spec.entry else None,
    )
    labels = tuple(groups.categories)
    return CumulativeIncidenceResult(
        spec=spec,
        causes=causes,
        curve_frame=_curves(incidence, labels, causes, spec.conf_level),
        tests=_tests(frame, group, causes, spec),
        groups=_groups_frame(frame, group, labels, spec),
        n_subjects=len(frame),
        n_events=int((frame[spec.cause] > 0).sum()),
        exclusions=(*prior_exclusions, *as_subjects(rows.exclusions)),
        origin=origin,
    )


def _prepare(data: pd.DataFrame, spec: CumulativeIncidenceSpec) -> tuple[Rows, tuple[str, ...]]:
    """Check the rows; the cause becomes a code."""
    named = [("cause", spec.cause), ("duration", spec.duration)]
    optional = [("by", spec.by), ("entry", spec.entry), ("strata", spec.strata)]
    require_columns(data, named + [(name, column) for name, column in optional if column])
    rows = Rows(data, "cumulative incidence", spec.subject)
    causes = check_cause(rows, spec.cause, spec.censored)
    check_duration(rows, spec.duration, spec.cause)
    check_one_row(rows)
    if spec.entry:
        check_entry(rows, spec.entry, spec.duration)
    for column in (spec.by, spec.strata):
        if column:
            rows.drop(rows.frame[column].isna(), f"no {column}")
    _check_occurring(rows.frame[spec.cause], causes, spec)
    return rows, causes


def _check_occurring(
    code: pd.Series, causes: tuple[str, ...], spec: CumulativeIncidenceSpec
) -> None:
    """Refuse data in which an expected cause, or all but one, never occurs."""
    counts = np.bincount(code, minlength=len(causes) + 1)[1:]
    never = [cause for cause in spec.expected if cause not in causes]
    never += [cause for cause, n in zip(causes, counts, strict=True) if n == 0]
    if never:
        raise DesignError(
            f"Cause {', '.join(map(repr, never))} of {spec.cause!r} was never observed among "
            f"{len(code)} subject(s) with follow-up; found "
            f"{', '.join(f'{n} x {c!r}' for c, n in zip(causes, counts, strict=True))}. "
            "Leave it out of `expected`, or correct the column."
        )
    if len(causes) == 1:
        raise DesignError(
            f"Column {spec.cause!r} names a single cause, {causes[0]!r}: nothing competes with it. "
            "Use fit_km."
        )


def _curves(
    found: Incidence, labels: tuple[str, ...], causes: tuple[str, ...], conf_level: float
) -> pd.DataFrame:
    """Tabulate one curve per group and cause, each from 0 at time 0."""
    parts = []
    for k in range(len(causes)):
        estimate, error = found.incidence[k], found.std_error[k]
        log_error = np.divide(error, estimate, out=np.zeros_like(error), where=estimate > 0)
        low, high = log_log_interval(estimate, log_error, conf_level)
        part = pd.DataFrame(
            {
                "group": found.table.stratum,
                "cause": k,
                "duration": found.table.time,
                "incidence": estimate,
                "std_error": error,
                "conf_low": np.where(estimate > 0, low, 0.0),
                "conf_high": np.where(estimate > 0, high, 0.0),
                "one_minus_km": found.one_minus_km[k],
                "event_free": found.event_free,
                "n_at_risk": found.table.n_at_risk[0],
                "n_events": found.table.n_events[k, 0],
            }
        )
        parts.append(part)
    first = parts[0].drop_duplicates("group").assign(duration=0.0, event_free=1.0, n_events=0)
    zero = ["incidence", "std_error", "conf_low", "conf_high", "one_minus_km"]
    starts = [first.assign(cause=k, **dict.fromkeys(zero, 0.0)) for k in range(len(causes))]
    curves = pd.concat([*starts, *parts]).sort_values(
        ["group", "cause", "duration"], ignore_index=True
    )
    for column, names in (("group", labels), ("cause", causes)):
        curves[column] = pd.Categorical.from_codes(curves[column], list(names), ordered=True)
    return curves


def _tests(
    frame: pd.DataFrame, group: np.ndarray, causes: tuple[str, ...], spec: CumulativeIncidenceSpec
) -> pd.DataFrame:
    """Compare the groups, cause by cause, where that is possible."""
    columns = ["cause", "statistic", "df", "p_value"]
    if spec.entry or group.max(initial=0) == 0:
        return pd.DataFrame(columns=columns)
    stratum = None
    if spec.strata:
        stratum = frame.groupby(spec.strata, observed=True, sort=True).ngroup().to_numpy()
    rows = []
    for code, cause in enumerate(causes, start=1):
        test = gray_test(
            frame[spec.duration].to_numpy(),
            frame[spec.cause].to_numpy(),
            group,
            of=code,
            stratum=stratum,
            rho=spec.rho,
        )
        rows.append((cause, test.statistic, test.df, test.p_value))
    return pd.DataFrame(rows, columns=columns)


def _groups_frame(
    frame: pd.DataFrame, group: np.ndarray, labels: tuple[str, ...], spec: CumulativeIncidenceSpec
) -> pd.DataFrame:
    """Tabulate size and end of follow-up of each group."""
    last = frame.groupby(group)[spec.duration].max()
    return pd.DataFrame(
        {
            "group": pd.Categorical(labels, categories=labels, ordered=True),
            "n_subjects": np.bincount(group, minlength=len(labels)),
            "last": last.to_numpy(),
        }
    )
