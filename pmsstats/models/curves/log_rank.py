"""Comparison of survival curves: log-rank and its weighted, stratified and trend forms."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.curves.at_risk import RiskTable, tabulate_at_risk
from pmsstats.models.curves.kaplan_meier import KMSpec, fit_km
from pmsstats.models.curves.log_rank_engine import (
    Engine,
    check_engine,
    compare_curves,
    record_engine,
)
from pmsstats.models.curves.log_rank_result import LogRankResult
from pmsstats.models.curves.rank_scores import (
    LogRankTest,
    RankScores,
    RankWeights,
    judge_contrast,
    judge_scores,
    weighted_scores,
)
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

__all__ = ["LogRankResult", "LogRankSpec", "compare_survival"]

_NAMED = ("log_rank", "gehan", "tarone_ware", "peto")


@dataclass(frozen=True, kw_only=True)
class LogRankSpec:
    """Request for a comparison of survival curves.

    Parameters
    ----------
    by : str
        Column of the groups that are compared; the first is the reference.
    duration : str, default "duration"
        Column of the time to event or censoring.
    event : str, default "event"
        Column that is true where the event happened.
    entry : str, optional
        Column of the time from which a subject is observed (delayed entry): at risk over (entry,
        duration].
    strata : str or tuple of str, optional
        Columns within whose combinations groups are compared.
    weights : {"log_rank", "gehan", "tarone_ware", "peto"} or tuple
        Which times count how much: all alike, or the early ones more. ``("fleming_harrington", p,
        q)`` weights by ``S(t-)^p (1 - S(t-))^q``: (0, 1) for late differences, (1, 0) for early.
    trend : tuple of float, optional
        A value for each group, in their order; adds the test for a trend along it.
    pairwise : bool, default False
        Whether each pair of groups is compared too, with p values adjusted by Holm's method.
    subject : str, default "subject_id"
        Column of subjects, if there is one.
    duration_unit : {"day", "year"}, default "day"
        Unit of `duration`; figures are drawn in years.
    conf_level : float, default 0.95
        Of the intervals.

    Raises
    ------
    DesignError
        If an option is outside of its range.
    """

    by: str
    duration: str = "duration"
    event: str = "event"
    entry: str | None = None
    strata: str | tuple[str, ...] = ()
    weights: RankWeights = "log_rank"
    trend: tuple[float, ...] | None = None
    pairwise: bool = False
    subject: str = "subject_id"
    duration_unit: Literal["day", "year"] = "day"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        if self.weights not in _NAMED and not _is_fleming_harrington(self.weights):
            raise DesignError(
                f"`weights` must be one of {', '.join(map(repr, _NAMED))} or "
                f"('fleming_harrington', p, q) with p, q at least 0, got {self.weights!r}."
            )
        if self.trend is not None and len(set(self.trend)) < 2:
            raise DesignError(
                f"`trend` must hold a value per group, not all alike, got {self.trend!r}."
            )
        if self.duration_unit not in ("day", "year"):
            raise DesignError(
                f"`duration_unit` must be 'day' or 'year', got {self.duration_unit!r}."
            )
        check_conf_level(self.conf_level)

    def strata_columns(self) -> tuple[str, ...]:
        """Return the strata as columns.

        Returns
        -------
        tuple of str
            Empty where there are none.
        """
        return (self.strata,) if isinstance(self.strata, str) else self.strata


def _is_fleming_harrington(weights: object) -> bool:
    """Say whether weights are ("fleming_harrington", p, q)."""
    return (
        isinstance(weights, tuple)
        and len(weights) == 3
        and weights[0] == "fleming_harrington"
        and all(isinstance(power, int | float) and power >= 0 for power in weights[1:])
    )


def compare_survival(
    data: pd.DataFrame,
    spec: LogRankSpec,
    *,
    engine: Engine = "lifelines",
    prior_exclusions: Iterable[Exclusion] = (),
    origin: Origin = "real",
) -> LogRankResult:
    """Compare the survival of two or more groups.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : LogRankSpec
        Which columns are what.
    engine : {"lifelines", "native"}, default "lifelines"
        Which program computes: lifelines, or the package's own sums, which give the same numbers
        in a fifth of the time (for loops).
    prior_exclusions : iterable of Exclusion
        What was left out before; listed first in the result.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    LogRankResult
        Test, observed and expected events, the one-step hazard ratio where there are two groups.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind, times are negative, infinite or end before
        entry, there are fewer than two groups or no events, groups are never at risk together, or
        the engine is not known.

    Notes
    -----
    R: ``survival::survdiff``; SAS: ``PROC LIFETEST`` (``TEST=``, ``STRATA``, ``TREND``).

    The hypothesis is that all groups have the same hazard at all times, within strata. With equal
    weights the test is the best one where hazards are proportional [1]_; it says nothing about
    curves that cross. The variance is hypergeometric, so that ties need no correction. Weights
    are computed within strata.

    The test is lifelines' [3]_ where there are no strata and no late entry, which it does not
    know, and each group has somebody at risk at an event. Otherwise, and for observed and expected
    events, their covariance, the trend and pairs, which lifelines does not give, it is computed
    from the package's own scores; ``fit_log`` says which.

    References
    ----------
    .. [1] Peto R, Peto J. Asymptotically efficient rank invariant test procedures. J R Stat Soc A
       1972;135:185-207. doi:10.2307/2344317
    .. [2] Fleming TR, Harrington DP. A class of hypothesis tests for one and two sample censored
       survival data. Commun Stat Theory Methods 1981;10:763-794. doi:10.1080/03610928108828073
    .. [3] Davidson-Pilon C. lifelines: survival analysis in Python. J Open Source Softw
       2019;4:1317. doi:10.21105/joss.01317

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame(
    ...     {
    ...         "duration": [6, 7, 10, 15, 19, 25, 1, 2, 4, 8, 11, 15],
    ...         "event": [1, 0, 1, 0, 1, 0, 1, 1, 1, 1, 0, 1],
    ...         "arm": ["active"] * 6 + ["placebo"] * 6,
    ...     }
    ... )
    >>> result = compare_survival(data, LogRankSpec(by="arm"))
    >>> result.headline()
    'Log-rank test of 12 subjects with 8 events in 2 groups: chi-square 3.28 on 1 df, p = 0.070.'
    """
    check_engine(engine)
    rows = _prepare(data, spec)
    frame = rows.frame
    groups = groups_of(frame, spec.by)
    group = np.asarray(groups.codes, dtype=np.int64)
    stratum = _strata(frame, spec.strata_columns())
    duration, event = frame[spec.duration].to_numpy(), frame[spec.event].to_numpy()
    entry = frame[spec.entry].to_numpy() if spec.entry else None
    table = tabulate_at_risk(duration, event, group=group, stratum=stratum, entry=entry)
    labels = tuple(groups.categories)
    scores = weighted_scores(table, spec.weights)
    test, note = compare_curves(
        scores, duration, event, group,
        weights=spec.weights, engine=engine, beyond=_beyond(stratum, entry),
    )  # fmt: skip
    if not test.df:
        raise DesignError(
            f"The groups of {spec.by!r} are never at risk together at an event"
            f"{' within a stratum' if spec.strata_columns() else ''}: they cannot be compared."
        )
    return LogRankResult(
        spec=spec,
        fit_log=record_engine("native" if note else engine, note),
        test=test,
        groups=_groups_frame(labels, group, table, scores),
        covariance=scores.covariance,
        trend=_trend(scores, labels, spec),
        pairs=_pairs(table, labels, spec) if spec.pairwise else None,
        n_strata=len(np.unique(stratum)),
        curves=fit_km(frame, _km_spec(spec), engine=engine, origin=origin),
        exclusions=(*prior_exclusions, *as_subjects(rows.exclusions)),
        origin=origin,
    )


def _prepare(data: pd.DataFrame, spec: LogRankSpec) -> Rows:
    """Check the rows."""
    named = [("by", spec.by), ("duration", spec.duration), ("event", spec.event)]
    named += [("strata", column) for column in spec.strata_columns()]
    named += [("entry", spec.entry)] if spec.entry else []
    require_columns(data, named)
    rows = Rows(data, "log-rank test", spec.subject)
    check_event(rows, spec.event)
    check_duration(rows, spec.duration, spec.event)
    check_one_row(rows)
    if spec.entry:
        check_entry(rows, spec.entry, spec.duration)
    for column in (spec.by, *spec.strata_columns()):
        rows.drop(rows.frame[column].isna(), f"no {column}")
    found = rows.frame[spec.by].nunique()
    if found < 2:
        raise DesignError(
            f"`by` must give at least two groups to compare, found {found} in {spec.by!r} among "
            f"{len(rows.frame)} subject(s). Describe a single group with fit_km."
        )
    if not rows.frame[spec.event].any():
        raise DesignError(
            f"No event among {len(rows.frame)} subject(s): curves without events cannot be "
            "compared. Check the outcome."
        )
    return rows


def _beyond(stratum: np.ndarray, entry: np.ndarray | None) -> str:
    """Name what lifelines' test does not know."""
    found = ["strata"] if len(np.unique(stratum)) > 1 else []
    found += ["late entry"] if entry is not None and (entry > 0).any() else []
    return " and ".join(found)


def _strata(frame: pd.DataFrame, columns: tuple[str, ...]) -> np.ndarray:
    """Give each stratum a number."""
    if not columns:
        return np.zeros(len(frame), dtype=np.int64)
    return frame.groupby(list(columns), observed=True, sort=True).ngroup().to_numpy()


def _groups_frame(
    labels: tuple[str, ...], group: np.ndarray, table: RiskTable, scores: RankScores
) -> pd.DataFrame:
    """Tabulate what was observed and expected."""
    return pd.DataFrame(
        {
            "group": pd.Categorical(labels, categories=labels, ordered=True),
            "n_subjects": np.bincount(group, minlength=len(labels)),
            "n_events": table.n_events.sum(axis=(0, 2)),
            "observed": scores.observed,
            "expected": scores.expected,
        }
    )


def _trend(scores: RankScores, labels: tuple[str, ...], spec: LogRankSpec) -> LogRankTest | None:
    """Test for a trend, where asked for."""
    if spec.trend is None:
        return None
    if len(spec.trend) != len(labels):
        raise DesignError(
            f"`trend` must hold {len(labels)} values, one for each of the groups "
            f"{', '.join(labels)}, got {len(spec.trend)}."
        )
    return judge_contrast(scores, np.asarray(spec.trend, dtype=float))


def _pairs(table: RiskTable, labels: tuple[str, ...], spec: LogRankSpec) -> pd.DataFrame:
    """Compare each pair of groups on their own subjects; adjust by Holm's method."""
    rows = []
    for a, b in itertools.combinations(range(len(labels)), 2):
        events = table.n_events[:, [a, b]]
        some = events.sum(axis=(0, 1)) > 0
        pair = RiskTable(
            stratum=table.stratum[some],
            time=table.time[some],
            n_at_risk=table.n_at_risk[[a, b]][:, some],
            n_events=events[:, :, some],
            n_censored=table.n_censored[[a, b]][:, some],
        )
        test = judge_scores(weighted_scores(pair, spec.weights))
        rows.append((labels[a], labels[b], test.statistic, test.df, test.p_value))
    pairs = pd.DataFrame(rows, columns=["group", "other", "statistic", "df", "p_value"])
    return pairs.assign(p_value_holm=_holm(pairs["p_value"].to_numpy()))


def _holm(p_value: np.ndarray) -> np.ndarray:
    """Adjust p values by Holm's step-down method; missing ones stay missing and do not count."""
    known = np.flatnonzero(~np.isnan(p_value))
    order = known[np.argsort(p_value[known])]
    steps = np.maximum.accumulate(p_value[order] * np.arange(len(order), 0, -1))
    adjusted = np.full(len(p_value), np.nan)
    adjusted[order] = np.minimum(steps, 1.0)
    return adjusted


def _km_spec(spec: LogRankSpec) -> KMSpec:
    """Ask for the curves of the same subjects."""
    return KMSpec(
        duration=spec.duration,
        event=spec.event,
        entry=spec.entry,
        by=spec.by,
        subject=spec.subject,
        duration_unit=spec.duration_unit,
        conf_level=spec.conf_level,
    )
