"""Intercurrent events applied to data: what counts, what is set to missing, what is imputed how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids, nearest
from pmsstats.models.missing.estimands import DROPOUT, EstimandStrategy
from pmsstats.models.missing.layout import WideVisits, distinct_subjects

if TYPE_CHECKING:
    from pmsstats.models.missing.spec import MissingSpec

__all__ = ["Plan", "plan_events"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """What is done to each value.

    Parameters
    ----------
    wide : WideVisits
        The trial; subjects in an order that neither rows nor names of the input change.
    n_before : ndarray of int, shape (n_subjects,)
        Visits before the event that governs a subject; all of them where there is none.
    rule : ndarray of int, shape (n_subjects,)
        Which of `rules` governs; the last one is dropout. -1 where nothing happened.
    rules : tuple of EstimandStrategy
        Those of the request, and dropout.
    y_model : ndarray, shape (n_subjects, n_visits)
        Values that inform the imputation model.
    y_kept : ndarray, shape (n_subjects, n_visits)
        Values that count in the analysis as they are; the others are imputed or replaced.
    replaced : ndarray of bool, shape (n_subjects, n_visits)
        Values after an event under ``composite`` or ``while_on_treatment``.
    """

    wide: WideVisits
    n_before: np.ndarray
    rule: np.ndarray
    rules: tuple[EstimandStrategy, ...]
    y_model: np.ndarray
    y_kept: np.ndarray
    replaced: np.ndarray

    @property
    def imputed(self) -> np.ndarray:
        """Return which values are imputed, bool, shape (n_subjects, n_visits)."""
        return np.isnan(self.y_kept) & ~self.replaced

    @property
    def set_aside(self) -> np.ndarray:
        """Return which observed values do not count, bool, shape (n_subjects, n_visits)."""
        return np.isnan(self.y_kept) & ~np.isnan(self.wide.y)

    @property
    def after(self) -> np.ndarray:
        """Return which visits lie after the governing event, bool, (n_subjects, n_visits)."""
        return np.arange(self.wide.n_visits) >= self.n_before[:, None]

    @property
    def strategy(self) -> np.ndarray:
        """Return the imputation strategy of each subject after its event."""
        names = np.array([*(rule.imputation for rule in self.rules), "MAR"], dtype=object)
        return names[self.rule]


def plan_events(
    wide: WideVisits, spec: MissingSpec, intercurrent: pd.DataFrame | None = None
) -> Plan:
    """Find the event that governs each subject, and apply its strategy.

    Parameters
    ----------
    wide : WideVisits
        The trial.
    spec : MissingSpec
        What each event means.
    intercurrent : pandas.DataFrame, optional
        ``subject_id event day``, or ``visit`` (the first one that is affected) instead of the day.

    Returns
    -------
    Plan
        What is done to each value.

    Raises
    ------
    DesignError
        If an event has no strategy, an unknown subject or visit, lies before baseline, or asks
        for a value that is not there.

    Notes
    -----
    A visit is affected if it took place (or was due) after the day of the event; a visit on that
    day is not. Where several events happen to a subject, the earliest recorded one governs whose
    strategy changes anything. Not to be seen again counts as an event, dropout, at the first visit
    without value, which governs where no such event was recorded: who leaves and then dies has
    died. Visits missed before the governing event are imputed.
    """
    rules = (*spec.strategies, EstimandStrategy(event=DROPOUT, imputation=spec.dropout))
    first = _first_affected(wide, spec, intercurrent, len(rules))
    rule, n_before = _governing(first, rules, wide.n_visits)
    plan = _applied(_sorted(wide, rule, n_before), spec, rules)
    _check_usable(plan)
    return plan


def _first_affected(
    wide: WideVisits, spec: MissingSpec, intercurrent: pd.DataFrame | None, n_rules: int
) -> np.ndarray:
    """Return the first visit that each rule's event affects, shape (n_subjects, n_rules)."""
    T = wide.n_visits
    first = np.full((wide.n_subjects, n_rules), T)
    seen = ~np.isnan(wide.y)
    first[:, -1] = np.where(seen.any(axis=1), T - np.argmax(seen[:, ::-1], axis=1), 0)
    if intercurrent is None or not len(intercurrent):
        return first
    subject, event = _check_events(wide, spec, intercurrent)
    if spec.visit in intercurrent:
        at = _by_visit(wide, intercurrent[spec.visit].astype(str))
    else:
        at = _by_day(wide, spec, intercurrent, subject)
    known = subject >= 0
    np.minimum.at(first, (subject[known], event[known]), at[known])
    return first


def _check_events(
    wide: WideVisits, spec: MissingSpec, events: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray]:
    """Return subject and rule of each event; -1 for subjects that were left out."""
    timed = [name for name in (spec.day, spec.visit) if name in events]
    for name in (spec.subject, "event"):
        if name not in events:
            raise DesignError(
                f"`intercurrent` has no column {name!r}: it needs subject, event, day."
            )
    if not timed:
        raise DesignError(
            f"`intercurrent` needs a column {spec.day!r}, or {spec.visit!r} for the first visit "
            "that is affected."
        )
    names = [rule.event for rule in spec.strategies]
    for name in dict.fromkeys(events["event"].astype(str)):
        if name not in names:
            raise DesignError(
                f"`strategies` says nothing of event {name!r}.{nearest(name, names)} Give it one: "
                f"strategies={{{name!r}: 'treatment_policy'}}, or leave these events out."
            )
    out = {i for e in wide.exclusions for i in e.subject_ids}
    ids = events[spec.subject].astype(str)
    unknown = ids[~ids.isin([*wide.subject_ids, *out])].unique().tolist()
    if unknown:
        raise DesignError(
            f"`intercurrent` names {len(unknown)} subjects who have no visits "
            f"({first_ids(unknown)}). Add their rows to `visits`, or leave their events out."
        )
    subject = pd.Index(wide.subject_ids).get_indexer(ids)
    return subject, pd.Index(names).get_indexer(events["event"].astype(str))


def _by_visit(wide: WideVisits, named: pd.Series) -> np.ndarray:
    """Return the first affected visit where events name it."""
    at = pd.Index(wide.visits).get_indexer(named)
    if (at < 0).any():
        bad = str(named[at < 0].iloc[0])
        raise DesignError(
            f"`intercurrent` has a visit {bad!r} that `visits` has not."
            f"{nearest(bad, wide.visits)} Visits are {', '.join(wide.visits)}."
        )
    return at


def _by_day(
    wide: WideVisits, spec: MissingSpec, events: pd.DataFrame, subject: np.ndarray
) -> np.ndarray:
    """Return the first visit after the day of each event."""
    day = events[spec.day].to_numpy(dtype=float, na_value=np.nan)
    bad = ~(day >= 0)
    if bad.any():
        ids = first_ids(events.loc[bad, spec.subject].astype(str).tolist())
        raise DesignError(
            f"`intercurrent` must have days from baseline on (0 or later), but {int(bad.sum())} "
            f"events lie before it or have none ({ids}). An intercurrent event happens after the "
            "start of treatment; correct the day, or leave it out."
        )
    if np.isnan(wide.day).any():
        raise DesignError(
            f"`visits` needs days in column {spec.day!r} at every visit to be compared with those "
            f"of the events. Add them, or give the first affected {spec.visit!r} in `intercurrent`."
        )
    return (wide.day[subject] <= day[:, None]).sum(axis=1)


def _governing(
    first: np.ndarray, rules: tuple[EstimandStrategy, ...], n_visits: int
) -> tuple[np.ndarray, np.ndarray]:
    """Choose the earliest recorded event that changes anything, else dropout, else the earliest."""
    trivial = np.array([rule.changes_nothing for rule in rules])
    acts = np.array([rule.strategy != "principal_stratum" for rule in rules])
    happened = (first < n_visits) & acts
    rank = np.where(trivial, 2, np.arange(len(rules)) == len(rules) - 1)  # the last is dropout
    order = np.where(happened, first + n_visits * rank, 4 * n_visits)
    rule = np.argmin(order, axis=1)  # at equal times: the recorded one, in the order of the spec
    rows = np.arange(len(first))
    none = ~happened.any(axis=1)
    return np.where(none, -1, rule), np.where(none, n_visits, first[rows, rule])


def _sorted(
    wide: WideVisits, rule: np.ndarray, n_before: np.ndarray
) -> tuple[WideVisits, np.ndarray, np.ndarray]:
    """Order subjects by their data, so that random numbers do not depend on rows or names."""
    keys = np.column_stack([wide.arm, wide.covariates, np.nan_to_num(wide.y, nan=np.inf)])
    order = np.lexsort([rule, n_before, *keys.T[::-1]])
    return wide.take(order), rule[order], n_before[order]


def _applied(
    of: tuple[WideVisits, np.ndarray, np.ndarray],
    spec: MissingSpec,
    rules: tuple[EstimandStrategy, ...],
) -> Plan:
    """Set values aside as the strategies say."""
    wide, rule, n_before = of
    after = np.arange(wide.n_visits) >= n_before[:, None]
    named = np.array([*(r.strategy for r in rules), ""], dtype=object)[rule]
    imputation = np.array([*(r.imputation for r in rules), "MAR"], dtype=object)[rule]
    replaced = after & np.isin(named, ["composite", "while_on_treatment"])[:, None]
    removed = replaced | (after & (named == "hypothetical")[:, None])
    other_law = after & (imputation != "MAR")[:, None]
    _check_carried(wide, spec, named, n_before)
    return Plan(
        wide=wide,
        n_before=n_before,
        rule=rule,
        rules=rules,
        y_model=np.where(removed | other_law, np.nan, wide.y),
        y_kept=np.where(removed, np.nan, wide.y),
        replaced=replaced,
    )


def _check_carried(
    wide: WideVisits, spec: MissingSpec, named: np.ndarray, n_before: np.ndarray
) -> None:
    """Refuse to carry a value where no visit lies before the event."""
    none = (named == "while_on_treatment") & (n_before == 0)
    if none.any() and spec.before_first is None:
        raise DesignError(
            f"`before_first` is needed: {int(none.sum())} subjects "
            f"({distinct_subjects(none, wide)}) have their event before the first visit, so no "
            "value on treatment can be carried. Give 0 for a change from baseline, or the column "
            "of baseline values."
        )


def _check_usable(plan: Plan) -> None:
    """Refuse visits at which an arm has nothing that informs the model, and LMCF from nowhere."""
    wide = plan.wide
    for v, visit in enumerate(wide.visits):
        seen = plan.y_model[:, v][~np.isnan(plan.y_model[:, v])]
        if not len(seen):
            raise DesignError(
                f"`visits` has no usable value at {visit}: all are missing or lie after events. "
                "Leave this visit out."
            )
        if np.ptp(seen) == 0:
            raise DesignError(
                f"The outcome does not vary at {visit}: all values are {seen[0]:g}. Leave this "
                "visit out (the change at baseline is zero by definition)."
            )
        counts = np.bincount(wide.arm[~np.isnan(plan.y_model[:, v])], minlength=len(wide.arms))
        if (counts == 0).any():
            arm = wide.arms[int(np.argmin(counts))]
            raise DesignError(
                f"Arm {arm!r} has no usable value at {visit}, so its mean there is not known. "
                "Leave this visit out, or choose strategies that keep values."
            )
    stuck = (plan.strategy == "LMCF") & (plan.n_before == 0) & plan.imputed.any(axis=1)
    if stuck.any():
        raise DesignError(
            f"LMCF needs a visit before the event, but {int(stuck.sum())} subjects have none "
            f"({distinct_subjects(stuck, wide)}). Use MAR, JR, CR or CIR for them."
        )
