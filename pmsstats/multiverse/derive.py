"""One analysis under every definition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort
from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.batch_request import check_n_jobs
from pmsstats.multiverse.agreement import median_kappa
from pmsstats.multiverse.choices import (
    as_rules,
    content,
    differing_options,
    first_twins,
    is_rule,
)
from pmsstats.multiverse.comparison import Comparison, comparison_of
from pmsstats.multiverse.curves import event_free_curve
from pmsstats.multiverse.direction import change_of
from pmsstats.multiverse.event_tables import EventTables, OnMissing, derive_event_tables
from pmsstats.multiverse.hazard_ratios import RatioFit, fit_ratios, wald_table
from pmsstats.multiverse.result import MultiverseResult
from pmsstats.multiverse.rule_grid import RuleGrid
from pmsstats.multiverse.spec import MultiverseSpec, Scale
from pmsstats.multiverse.threads import in_threads
from pmsstats.seeds import Seed, as_seed_sequence

__all__ = ["derive_multiverse"]

_DAYS_PER_YEAR = 365.25
_COUNTS = ["n_at_risk", "n_events", "event_share", "km_share", "median_years"]


def derive_multiverse(
    cohort: Cohort,
    rules: RuleGrid | Sequence[Any],
    *,
    by: str | None = "arm",
    adjust: str | tuple[str, ...] = (),
    strata: str | tuple[str, ...] = (),
    per: Scale = "sd",
    at_years: float = 2.0,
    primary: Any = None,
    on_missing: OnMissing = "raise",
    conf_level: float = 0.95,
    seed: Seed | None = None,
    n_jobs: int = 1,
) -> MultiverseResult:
    """Ask whether a result survives other definitions of its endpoint.

    Parameters
    ----------
    cohort : Cohort
        The data.
    rules : RuleGrid or sequence of rule
        The definitions: from :func:`~pmsstats.multiverse.rule_grid`, or any endpoint rules and
        names of presets. Of a sequence, the options are the fields in which its rules differ.
    by : str or None, default "arm"
        Column of the subjects table whose hazard ratio is asked for. Texts, true / false and
        columns of two values are groups, the first of which is the reference (of an ordered
        categorical such as ``arm`` its first category); other numbers enter as numbers. None asks
        for shares, times and agreement only.
    adjust : str or tuple of str
        Columns of the subjects table that the Cox models adjust for, or the right-hand side of a
        formula on them.
    strata : str or tuple of str
        Columns of the subjects table whose values have baseline hazards of their own.
    per : {"sd", "unit"}
        Whether the hazard ratio of a number is per standard deviation (over all subjects analysed,
        so that it is the same for every definition) or per unit.
    at_years : float, default 2.0
        When the Kaplan-Meier share is taken, in years from time zero.
    primary : rule or str, optional
        The published or planned definition, which is highlighted; by default the base rule of a
        grid, if it is in it.
    on_missing : {"raise", "leave_out"}
        What becomes of definitions that cannot be derived from these data, for want of a measure,
        say: an error, or ``left_out`` of the result lists them with the reason. See
        :func:`pmsstats.endpoints.presets_for` for which presets can.
    conf_level : float, default 0.95
        Of all intervals.
    seed : int, SeedSequence or Generator, optional
        Needed where a rule draws whether a change at the last visit is taken as confirmed.
    n_jobs : int, default 1
        Threads. Results do not depend on it.

    Returns
    -------
    MultiverseResult
        One row per definition (and per group that is compared with the reference).

    Raises
    ------
    SchemaError
        If the cohort lacks a measure or column that a definition names.
    DesignError
        If there is no definition, two have one name, a column is unknown, there is only one group,
        `primary` is none of the definitions, or nobody is at risk under any.

    Notes
    -----
    Every definition is applied to the same subjects: those who have the columns that `by`,
    `adjust` and `strata` name. **Hazard ratios** are those of a Cox model with Efron's ties, as
    :func:`pmsstats.models.fit_cox` gives them; subjects who die without the event are censored
    (the hazard ratio is cause-specific). Definitions that find the same events at the same times
    are fitted once. Where a group has no event there is no estimate, and a note says so; where
    there are fewer than five events, ``few_events`` and a note say so, and the estimate stays out
    of the stated range and of the influence of options. The intervals hold for each definition
    alone: that many of them exclude 1 is no test.

    A hazard ratio below 1 is good news where the event is a worsening, and bad news where it is
    an improvement: ``change`` says which, by the data dictionary. Definitions that are the same
    but for their names are derived once, and ``same_as`` says so.

    **Agreement** is Cohen's kappa between the event statuses of two definitions, over the
    subjects whom both can assess. **Influence** of an option is the mean absolute change of the
    log hazard ratio between definitions that differ in that option alone; for definitions that
    are no grid it is stated where at least half of them stand in such a pair. The whole is a
    specification-curve, or multiverse, analysis [1]_ [2]_.

    References
    ----------
    .. [1] Steegen S, Tuerlinckx F, Gelman A, Vanpaemel W. Increasing transparency through a
       multiverse analysis. Perspect Psychol Sci 2016;11:702-712. doi:10.1177/1745691616658637
    .. [2] Simonsohn U, Simmons JP, Nelson LD. Specification curve analysis. Nat Hum Behav
       2020;4:1208-1214. doi:10.1038/s41562-020-0912-z
    """
    check_n_jobs(n_jobs)
    if on_missing not in get_args(OnMissing):
        raise DesignError(f"`on_missing` must be 'raise' or 'leave_out', got {on_missing!r}.")
    asked = rules.rules if isinstance(rules, RuleGrid) else as_rules(rules)
    spec = MultiverseSpec(
        by=by,
        adjust=adjust,
        strata=strata,
        per=per,
        at_years=at_years,
        primary=_primary(primary, asked, rules),
        conf_level=conf_level,
    )
    comparison = comparison_of(cohort, spec)
    tables = derive_event_tables(
        cohort,
        asked,
        comparison.subject_ids,
        seed=None if seed is None else as_seed_sequence(seed),
        n_jobs=n_jobs,
        on_missing=on_missing,
    )
    found = _derived(asked, tables, rules)
    tables = tables.select(found.rows)
    frames = _frames(tables, comparison, spec, found.rules, n_jobs)
    changes = [change_of(rule, cohort) for rule in found.rules]
    return MultiverseResult(
        spec=_without_lost_primary(spec, found, stated=primary is not None),
        rules=found.rules,
        options=found.options,
        definitions=frames.definitions.assign(change=changes),
        groups=frames.groups,
        ratios=frames.ratios,
        tables=tables,
        n_subjects=len(comparison.subject_ids),
        left_out=found.left_out,
        is_grid=isinstance(rules, RuleGrid),
        origin=cohort.origin,
        exclusions=comparison.exclusions,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Derived:
    """The definitions that could be derived, what each chose, and what was left out and why."""

    rows: NDArray[np.int64]
    rules: tuple[Any, ...]
    options: pd.DataFrame
    left_out: pd.DataFrame


def _derived(
    asked: Sequence[Any], tables: EventTables, given: RuleGrid | Sequence[Any]
) -> _Derived:
    """Part the definitions by whether they could be derived."""
    problems = np.array(tables.problems, dtype=object)
    lost, rows = problems != "", np.flatnonzero(problems == "")
    rules = tuple(asked[i] for i in rows)
    if isinstance(given, RuleGrid):
        options = given.options[~lost].reset_index(drop=True)
        chosen = given.options[lost].assign(reason=problems[lost])
        contradictions = given.left_out.assign(rule="")
        left_out = pd.concat([chosen, contradictions], ignore_index=True)[list(chosen.columns)]
    else:
        options = differing_options(rules)
        names = [rule.name for rule, gone in zip(asked, lost, strict=True) if gone]
        left_out = pd.DataFrame({"rule": names, "reason": problems[lost]}, dtype=object)
    return _Derived(rows=rows, rules=rules, options=options, left_out=left_out)


def _without_lost_primary(spec: MultiverseSpec, found: _Derived, *, stated: bool) -> MultiverseSpec:
    """Forget the primary definition of a grid that could not be derived; refuse a stated one."""
    lost = found.left_out[found.left_out["rule"] == spec.primary]
    if not spec.primary or lost.empty:
        return spec
    if stated:
        raise DesignError(
            f"`primary` is {spec.primary!r}, which cannot be derived: {lost['reason'].iloc[0]}"
        )
    return replace(spec, primary="")


def _primary(primary: Any, rules: Sequence[Any], given: RuleGrid | Sequence[Any]) -> str:
    """Return the name of the definition to highlight; empty where there is none."""
    if primary is None:
        return given.primary if isinstance(given, RuleGrid) else ""
    names = [rule.name for rule in rules]
    if isinstance(primary, str):
        if primary not in names:
            raise DesignError(
                f"`primary` names {primary!r}, which is none of the {len(names)} definitions."
                f"{nearest(primary, names)}"
            )
        return primary
    if not is_rule(primary):
        raise DesignError(f"`primary` must be a rule or the name of one, got {primary!r}.")
    same = [rule.name for rule in rules if content(rule) == content(primary)]
    if not same:
        raise DesignError(
            f"`primary` is the rule {primary.name!r}, but none of the {len(names)} definitions "
            "asks for the same. Add it to them, or name one of them."
        )
    return str(same[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Answer:
    """What one table of events gives: counts overall and by group, and the Cox model."""

    overall: list[float]
    by_group: list[list[float]]
    fit: RatioFit | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frames:
    """The tables of a result."""

    definitions: pd.DataFrame
    groups: pd.DataFrame
    ratios: pd.DataFrame


def _frames(
    tables: EventTables,
    comparison: Comparison,
    spec: MultiverseSpec,
    rules: Sequence[Any],
    n_jobs: int,
) -> _Frames:
    """Answer each distinct table of events once, and give every definition its answer."""
    first = tables.first_equal()
    unequal = np.unique(first).tolist()

    def answer(i: int) -> _Answer:
        return _answer(tables, comparison, spec, i)

    found = dict(zip(unequal, in_threads(answer, unequal, n_jobs), strict=True))
    answers = [found[i] for i in first.tolist()]
    names = np.array([rule.name for rule in rules], dtype=object)
    definitions = _counts_frame([a.overall for a in answers])
    definitions.insert(0, "rule", names)
    distinct, twin = np.unique(first_twins(rules), return_inverse=True)
    kappa = median_kappa(tables.at_risk[distinct], tables.event[distinct])
    definitions["median_kappa"] = kappa[twin.ravel()]
    definitions["same_as"] = np.where(first == np.arange(len(first)), "", names[first])
    groups = _counts_frame([row for a in answers for row in a.by_group])
    codes = np.tile(np.arange(len(comparison.groups)), len(answers))
    order = pd.Categorical.from_codes(codes, categories=list(comparison.groups), ordered=True)
    groups.insert(0, "group", order)
    groups.insert(0, "rule", np.repeat(names, len(comparison.groups)))
    ratios = _ratios(names, [a.fit for a in answers if a.fit is not None], comparison, spec)
    return _Frames(definitions=definitions, groups=groups, ratios=ratios)


def _answer(tables: EventTables, comparison: Comparison, spec: MultiverseSpec, i: int) -> _Answer:
    """Count, draw the curves and fit the Cox model of one table of events."""
    at_risk, event, duration = tables.at_risk[i], tables.event[i], tables.duration[i]
    codes = range(len(comparison.groups))
    parts = [at_risk & (comparison.group == code) for code in codes]
    return _Answer(
        overall=_counts(duration[at_risk], event[at_risk], spec.at_years),
        by_group=[_counts(duration[part], event[part], spec.at_years) for part in parts],
        fit=fit_ratios(duration, event, at_risk, comparison) if spec.has_ratio else None,
    )


def _counts(duration: NDArray[np.int32], event: NDArray[np.bool_], at_years: float) -> list[float]:
    """Return the numbers of one curve, in the order of the columns."""
    curve = event_free_curve(duration, event)
    n_events = int(event.sum())
    return [
        len(event),
        n_events,
        n_events / len(event) if len(event) else float("nan"),
        curve.share_at(at_years * _DAYS_PER_YEAR),
        curve.median() / _DAYS_PER_YEAR,
    ]


def _counts_frame(rows: Sequence[Sequence[float]]) -> pd.DataFrame:
    """Tabulate the numbers of curves."""
    frame = pd.DataFrame(rows, columns=_COUNTS)
    return frame.astype({"n_at_risk": np.int64, "n_events": np.int64})


def _ratios(
    names: NDArray[np.object_],
    fits: Sequence[RatioFit],
    comparison: Comparison,
    spec: MultiverseSpec,
) -> pd.DataFrame:
    """Tabulate the hazard ratios, one row per definition and term."""
    n_terms = len(comparison.terms)
    nothing = [np.empty(0)]
    table = wald_table(
        np.concatenate([fit.estimate for fit in fits] or nothing),
        np.concatenate([fit.std_error for fit in fits] or nothing),
        spec.conf_level,
    )
    table.insert(0, "term", np.tile(np.array(comparison.terms, dtype=object), len(fits)))
    table.insert(0, "rule", np.repeat(names, n_terms))
    few = np.concatenate([fit.few_events for fit in fits] or [np.empty(0, dtype=bool)])
    return table.assign(few_events=few, note=[note for fit in fits for note in fit.notes])
