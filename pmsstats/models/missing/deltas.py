"""Shifts of imputed values: what `delta` adds to whom at which visit."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pmsstats.errors import DesignError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pmsstats.models.missing.events import Plan
    from pmsstats.models.missing.spec import DeltaAdjustment

__all__ = ["shifts"]


def shifts(plan: Plan, rules: Sequence[DeltaAdjustment]) -> np.ndarray:
    """Add up the shifts of every value.

    Parameters
    ----------
    plan : Plan
        Which values are imputed, and when events happened.
    rules : sequence of DeltaAdjustment
        By how much.

    Returns
    -------
    ndarray, shape (n_subjects, n_visits)
        In units of the outcome; zero where nothing is imputed.

    Raises
    ------
    DesignError
        If an arm or a visit is unknown, or there are more lags than visits.
    """
    total = np.zeros(plan.y_kept.shape)
    for rule in rules:
        which = plan.imputed & (plan.wide.arm == _arm(plan, rule.arm))[:, None]
        if rule.scope == "after_event":
            which &= plan.after
        total += np.where(which, _by_subject(plan, rule), 0.0)
    return total


def _arm(plan: Plan, name: str) -> int:
    """Look up an arm."""
    if name not in plan.wide.arms:
        raise DesignError(
            f"`delta` names arm {name!r}, which is unknown.{nearest(name, plan.wide.arms)} Arms "
            f"are {', '.join(plan.wide.arms)}."
        )
    return plan.wide.arms.index(name)


def _by_subject(plan: Plan, rule: DeltaAdjustment) -> np.ndarray:
    """Return the shift at each visit had all values been imputed, (n_subjects, n_visits)."""
    T = plan.wide.n_visits
    values = np.full(T, rule.values if isinstance(rule.values, float) else 0.0)
    for visit, value in () if isinstance(rule.values, float) else rule.values:
        if visit not in plan.wide.visits:
            raise DesignError(
                f"`delta` names visit {visit!r}, which is unknown."
                f"{nearest(visit, plan.wide.visits)} Visits are {', '.join(plan.wide.visits)}."
            )
        values[plan.wide.visits.index(visit)] = value
    if rule.lag is None:
        return np.broadcast_to(values, plan.y_kept.shape)
    if len(rule.lag) > T:
        raise DesignError(
            f"`lag` of `delta` must have at most {T} entries, one per visit, got {len(rule.lag)}."
        )
    since = np.arange(T) - plan.n_before[:, None]
    lag = np.append(np.asarray(rule.lag, dtype=float), np.zeros(T - len(rule.lag) + 1))
    share = np.where(since >= 0, lag[np.maximum(since, 0)], 0.0)
    return np.cumsum(values * share, axis=1)
