"""Times to progression in many replicates: derived from visits by a rule, or drawn as such."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmsstats.cohort import default_dictionary
from pmsstats.endpoints.definitions.composite_rule import CompositeRule, PartRule
from pmsstats.endpoints.definitions.presets import preset
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.engine.batch import derive_progression_batch
from pmsstats.endpoints.engine.kth_event import PartTimes, kth_event
from pmsstats.errors import DesignError
from pmsstats.trials.analyses.endpoint_kinds import LATENT, refuse
from pmsstats.trials.analyses.windows import TrialWindow

__all__ = ["EventTimes", "event_times", "relapses_seen", "rules_of"]


@dataclass(frozen=True, kw_only=True, eq=False)
class EventTimes:
    """Time to event of all subjects.

    Parameters
    ----------
    duration : ndarray, shape (n_replicates, n_subjects)
        Days from the start of the window (or the first value in it) to event or last visit; 0 for
        those who are not at risk.
    event : ndarray of bool, shape (n_replicates, n_subjects)
        Whether the event was seen.
    at_risk : ndarray of bool, shape (n_replicates, n_subjects)
        Who is analysed and was seen after the baseline.
    truth_sign : int
        1 where an event is the patient's gain (a rule of improvement), else -1.
    """

    duration: np.ndarray
    event: np.ndarray
    at_risk: np.ndarray
    truth_sign: int


def event_times(window: TrialWindow) -> EventTimes:
    """Find the time to progression of all subjects.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.

    Returns
    -------
    EventTimes
        Days.

    Raises
    ------
    DesignError
        If the endpoint has no rule and the data no ``event_day``, or the rule is none of
        progression.

    Notes
    -----
    With a rule, events and censoring are those of
    :func:`~pmsstats.endpoints.engine.batch.derive_progression_batch` on the visits of the window:
    the follow-up of those without an event ends at their last visit. Without one, the event is
    seen if it happens before the subject leaves, and those whose event came before the window are
    not at risk. Under the strategies ``hypothetical`` and ``while_on_treatment``, follow-up ends
    with the intercurrent event (visits after it confirm nothing); under ``composite`` it is an
    event, and who had it before the window is not at risk.
    """
    if window.endpoint.rule is not None:
        times = _derived(window)
    else:
        if LATENT not in window.data.baseline:
            refuse(window, window.endpoint, is_event=False)
        times = _drawn(window)
    duration, event = times.duration, times.event
    if window.strategy.failure is not None:
        stop = window.strategy.failure - 7 * window.weeks[0]
        comes_first = (stop > 0) & (stop <= _end(window)) & (~event | (stop < duration))
        duration, event = np.where(comes_first, stop, duration), event | comes_first
        times = dataclasses.replace(times, at_risk=times.at_risk & (stop > 0))
    at_risk = times.at_risk & (window.code >= 0)
    return EventTimes(
        duration=np.where(at_risk, duration, 0.0),
        event=event & at_risk,
        at_risk=at_risk,
        truth_sign=times.truth_sign,
    )


def _end(window: TrialWindow) -> np.ndarray:
    """Return the day, from the start of the window, on which follow-up ends at the latest."""
    last = min(window.analysis.to_week * 7, np.inf) - 7 * window.weeks[0]
    return np.minimum(window.data.exit_day - 7 * window.weeks[0], last)


def _drawn(window: TrialWindow) -> EventTimes:
    """Take the day of the event as it was drawn."""
    day = window.data.baseline[LATENT] - 7 * window.weeks[0]
    end = _end(window)
    if window.strategy.cut is not None:
        end = np.minimum(end, window.strategy.cut - 7 * window.weeks[0])
    at_risk = (day > 0) & (end > 0)
    event = at_risk & (day <= end)
    return EventTimes(
        duration=np.where(event, day, end), event=event, at_risk=at_risk, truth_sign=-1
    )


def rules_of(window: TrialWindow) -> tuple[tuple[ProgressionRule, ...], int]:
    """Return the rules of progression of the endpoint, and how many of them make an event.

    Parameters
    ----------
    window : TrialWindow
        Its endpoint has a rule.

    Returns
    -------
    tuple
        Rules, and a number.

    Raises
    ------
    DesignError
        If some part is no rule of progression, or none is about the measure of the endpoint.
    """
    rule = preset(str(window.endpoint.rule))
    if isinstance(rule, ProgressionRule):
        _check_measure(window, (rule,))
        return (rule,), 1
    parts = rule.parts if isinstance(rule, CompositeRule) else (rule,)
    rules = tuple(part for part in parts if isinstance(part, ProgressionRule))
    if len(rules) < len(parts):
        other = next(part.name for part in parts if not isinstance(part, ProgressionRule))
        raise DesignError(
            f"Rule {rule.name!r} of endpoint {window.endpoint.name!r} has {other!r}, which cannot "
            "be derived from simulated visits. Take a definition of progression, or a composite of "
            "such."
        )
    _check_measure(window, rules)
    return rules, getattr(rule, "n_required", 1)


def _check_measure(window: TrialWindow, rules: tuple[ProgressionRule, ...]) -> None:
    """Refuse a rule that does not look at the measure of its endpoint."""
    looked_at = tuple(dict.fromkeys(rule.outcome for rule in rules))
    if window.endpoint.measure not in looked_at:
        raise DesignError(
            f"Endpoint {window.endpoint.name!r} has the measure {window.endpoint.measure!r}, but "
            f"its rule {window.endpoint.rule!r} is about {', '.join(looked_at)}. Set `measure` to "
            f"{looked_at[0]!r}, or take another rule."
        )


def _derived(window: TrialWindow) -> EventTimes:
    """Derive events from visits."""
    rule = preset(str(window.endpoint.rule))
    parts, n_required = rules_of(window)
    found = [_one_rule(window, part) for part in parts]
    batches = {name: np.column_stack([f[name] for f in found]) for name in found[0]}
    at_risk, zero = batches["at_risk"], np.where(batches["at_risk"], batches["zero"], -np.inf)
    kth = kth_event(
        PartTimes(
            at_risk=at_risk,
            event=batches["event"],
            day=batches["day"],
            left=batches["left"],
            right=batches["right"],
        ),
        n_required,
    )
    is_last = isinstance(rule, CompositeRule) and rule.censor_at == "last_of_any"
    end = kth.last_end if is_last or len(parts) == 1 else kth.first_end
    end = np.where(kth.event, kth.day, end)
    enough = at_risk.all(axis=1) if _excludes(rule) else at_risk.sum(axis=1) >= n_required
    start = zero.max(axis=1)
    enough &= np.isfinite(end) & (end >= start)
    shape = window.code.shape
    with np.errstate(invalid="ignore"):
        duration = np.where(enough, end - start, 0.0)
    return EventTimes(
        duration=duration.reshape(shape),
        event=(kth.event & enough).reshape(shape),
        at_risk=enough.reshape(shape),
        truth_sign=_sign(parts[0]),
    )


def _excludes(rule: PartRule) -> bool:
    """Say whether subjects who lack a part are left out."""
    return isinstance(rule, CompositeRule) and rule.missing_part == "exclude"


def _one_rule(window: TrialWindow, rule: ProgressionRule) -> dict[str, np.ndarray]:
    """Derive one rule; all arrays are flat, of one entry per subject, in days from the window."""
    if rule.impute_last_visit not in {0, 1}:
        raise DesignError(
            f"Rule {rule.name!r} draws whether a change at the last visit is confirmed, which "
            "simulated trials do not. Take `impute_last_visit` 0 or 1."
        )
    days = np.rint(window.days).astype(np.int64)
    first = days[..., 0]
    batch = derive_progression_batch(
        window.values(rule.outcome),
        rule,
        day=days - first[..., None],
        relapses=relapses_seen(window, first),
        n_jobs=window.n_jobs,
    )
    zero = batch.day_baseline.astype(float)
    return {
        "at_risk": batch.at_risk,
        "event": batch.event,
        "zero": zero,
        "day": zero + batch.duration,
        "left": zero + batch.interval_left,
        "right": zero + batch.interval_right,
    }


def relapses_seen(window: TrialWindow, first: np.ndarray) -> pd.DataFrame | None:
    """Return relapses that were seen, in days from the first visit of the window.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.
    first : ndarray of int
        Day of the first visit; broadcasts to (n_replicates, n_subjects).

    Returns
    -------
    pandas.DataFrame or None
        ``trial``, ``subject_id``, ``day``; None where there are no relapses.
    """
    replicate, subject, day = window.data.relapses
    if not len(replicate):
        return None
    first = np.broadcast_to(first, window.code.shape)
    seen = day <= window.data.exit_day[replicate, subject]
    return pd.DataFrame(
        {
            "trial": replicate[seen],
            "subject_id": subject[seen],
            "day": np.rint(day[seen]).astype(np.int64) - first[replicate[seen], subject[seen]],
        }
    )


def _sign(rule: ProgressionRule) -> int:
    """Return 1 where a rule is about improvement, else -1."""
    known = default_dictionary().get(rule.outcome)
    better = {"higher": "decrease", "lower": "increase"}.get(known.worsening if known else "")
    return 1 if rule.direction == better else -1
