"""Composite events, from a cohort by a composite rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.composite_rule import CompositeRule, PartRule
from pmsstats.endpoints.definitions.event_rules import ExitEventRule
from pmsstats.endpoints.derivation.recorded import derive_exit_event
from pmsstats.endpoints.derivation.time_to_event import (
    UNCONFIRMED,
    EndpointResult,
    endpoint_result,
    left_out,
)
from pmsstats.endpoints.engine.kth_event import KthEvent, PartTimes, kth_event
from pmsstats.results import Exclusion, exclude
from pmsstats.seeds import as_seed_sequence, stream

if TYPE_CHECKING:
    from pmsstats.seeds import Seed

__all__ = [
    "AssessedParts",
    "assess_parts",
    "derive_composite",
    "derive_part",
    "missing_reasons",
    "spread",
]

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
TextArray = NDArray[np.object_]

JOIN = " + "
"""Between the names of parts that completed a composite on the same day."""

# Of parts that happened on the same day, one associated with a relapse makes the event so.
_CLASSES = ("", "undetermined", "PIRA", "RAW")


@dataclass(frozen=True, kw_only=True, eq=False)
class AssessedParts:
    """The parts of a composite, for all subjects of a cohort.

    Parameters
    ----------
    results : tuple of EndpointResult
        One per part.
    times : PartTimes
        Study days; shapes (n_subjects, n_parts).
    baseline : ndarray of float, shape (n_subjects, n_parts)
        Day from which time runs for the part; NaN where the subject is not at risk.
    missing : ndarray of object, shape (n_subjects, n_parts)
        Why the subject is not at risk; empty where it is.
    """

    results: tuple[EndpointResult, ...]
    times: PartTimes
    baseline: FloatArray
    missing: TextArray


def derive_composite(
    cohort: Cohort, rule: CompositeRule, *, seed: Seed | None = None
) -> EndpointResult:
    """Derive time to a composite event.

    Parameters
    ----------
    cohort : Cohort
        With what the parts need.
    rule : CompositeRule
        The parts, and how many of them make the event.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator, optional
        For parts that draw at random; each has its own stream.

    Returns
    -------
    EndpointResult
        One row per subject at risk. ``component`` names the part that completed the composite;
        of several on the same day all, in the order of the parts. Subjects who are followed
        without some part are counted by row, with the reason.

    Raises
    ------
    SchemaError
        If the cohort lacks a measure or column.
    DesignError
        If nobody can be assessed for a part, or for the composite.

    Notes
    -----
    Parts may have their baselines on different days. Time zero is the latest of them among the
    parts that the subject is at risk for: from then on, all are assessed. Who had the composite
    event before is not at risk; who had it on that day has a duration of 0.

    An event that was seen stays one, whichever part was still assessed by then. Its
    interval (and that of subjects without it) allows for parts that were not, see
    :func:`pmsstats.endpoints.engine.kth_event.kth_event`; ``censor_at`` changes only the day on
    which subjects without the event are censored.
    """
    parts = assess_parts(cohort, rule, seed=seed)
    kth = kth_event(parts.times, rule.n_required)
    zero = _time_zero(parts)
    end = kth.last_end if rule.censor_at == "last_of_any" else kth.first_end
    end = np.where(kth.event, kth.day, end)
    ids = cohort.subjects["subject_id"]
    reason = _why_left_out(rule, parts, kth, end - zero)
    keep = reason == ""
    events = _tabulate(rule, parts, kth, zero=zero, end=end, keep=keep)
    events.insert(0, "subject_id", ids[keep].to_numpy())
    return endpoint_result(
        cohort,
        rule,
        label=rule.title,
        events=events,
        definition=rule.describe(tuple(r.definition for r in parts.results)),
        exclusions=(
            *left_out(rule.name, ids, pd.Series(reason, index=ids.index)),
            *_missing_parts(rule, parts, ids, keep),
            *(e for r in parts.results for e in r.exclusions if e.unit != "subject"),
        ),
    )


def assess_parts(cohort: Cohort, rule: CompositeRule, *, seed: Seed | None = None) -> AssessedParts:
    """Derive every part of a composite.

    Parameters
    ----------
    cohort : Cohort
        With what the parts need.
    rule : CompositeRule
        The parts.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator, optional
        For parts that draw at random.

    Returns
    -------
    AssessedParts
        In the order of the subjects table and of the parts.

    Raises
    ------
    SchemaError
        If the cohort lacks a measure or column.
    DesignError
        If nobody can be assessed for a part.
    """
    root = None if seed is None else as_seed_sequence(seed)
    results = tuple(
        derive_part(cohort, part, None if root is None else stream(root, "part", part.name))
        for part in rule.parts
    )
    ids = pd.Index(cohort.subjects["subject_id"])
    columns = [_columns(result, ids) for result in results]
    joined = {name: np.column_stack([c[name] for c in columns]) for name in columns[0]}
    at_risk = ~np.isnan(joined["baseline"])
    times = PartTimes(
        at_risk=at_risk,
        event=at_risk & (joined["event"] == 1),
        day=joined["day"],
        left=joined["left"],
        right=joined["right"],
    )
    missing = np.column_stack([missing_reasons(result, ids) for result in results])
    return AssessedParts(
        results=results, times=times, baseline=joined["baseline"], missing=missing
    )  # fmt: skip


def derive_part(cohort: Cohort, part: PartRule, seed: Seed | None) -> EndpointResult:
    """Derive a part; an exit for some reason need not occur to be one.

    Parameters
    ----------
    cohort : Cohort
        With what the part needs.
    part : rule
        Of any kind.
    seed : int, numpy.random.SeedSequence, numpy.random.Generator or None
        For parts that draw at random.

    Returns
    -------
    EndpointResult
        One row per subject at risk.
    """
    from pmsstats.endpoints.derivation.endpoint import derive_endpoint

    if isinstance(part, ExitEventRule):
        return derive_exit_event(cohort, part, may_be_absent=True)
    return derive_endpoint(cohort, part, seed=seed)


def _columns(result: EndpointResult, ids: pd.Index) -> dict[str, FloatArray]:
    """Return the study days of a part, one row per subject; NaN for those not at risk."""
    events = result.events
    baseline = events["day_baseline"].to_numpy(dtype=float)
    given = {
        "baseline": baseline,
        "event": events["event"].to_numpy(dtype=float),
        "day": baseline + events["duration"].to_numpy(dtype=float),
        "left": baseline + events["interval_left"].to_numpy(dtype=float),
        "right": baseline + events["interval_right"].to_numpy(dtype=float),
    }
    rows = ids.get_indexer(events["subject_id"])
    return {name: spread(values, rows, len(ids), np.nan) for name, values in given.items()}


def spread(values: FloatArray, rows: NDArray[np.intp], n: int, fill: float) -> FloatArray:
    """Put values into rows of a longer array.

    Parameters
    ----------
    values : ndarray of float
        One per row.
    rows : ndarray of int
        Where they go.
    n : int
        Length of the result.
    fill : float
        What the other rows hold.

    Returns
    -------
    ndarray of float, shape (n,)
        The array.
    """
    longer = np.full(n, fill)
    longer[rows] = values
    return longer


def missing_reasons(result: EndpointResult, ids: pd.Index) -> TextArray:
    """Return why subjects are not at risk for an endpoint.

    Parameters
    ----------
    result : EndpointResult
        Of a cohort.
    ids : pandas.Index
        All of its subjects.

    Returns
    -------
    ndarray of object, shape (n_subjects,)
        Empty for those at risk.
    """
    reason = np.full(len(ids), "", dtype=object)
    for entry in result.exclusions:
        if entry.unit == "subject":
            reason[ids.get_indexer(list(entry.subject_ids))] = entry.reason
    return reason


def _time_zero(parts: AssessedParts) -> FloatArray:
    """Return the latest baseline of the parts that a subject is at risk for; 0 without any."""
    latest = np.where(parts.times.at_risk, parts.baseline, -np.inf).max(axis=1)
    return np.where(np.isfinite(latest), latest, 0.0)


def _why_left_out(
    rule: CompositeRule, parts: AssessedParts, kth: KthEvent, duration: FloatArray
) -> TextArray:
    """Say why subjects are not at risk for the composite; empty for those who are."""
    n_at_risk = parts.times.at_risk.sum(axis=1)
    needed = len(rule.parts) if rule.missing_part == "exclude" else rule.n_required
    late = "no assessment after the latest of the baselines of the parts"
    reason = np.where(~kth.event & (duration <= 0), late, "").astype(object)
    reason[kth.event & (duration < 0)] = "happened before the latest of the baselines of the parts"
    return np.where(n_at_risk < needed, _missing_texts(rule, parts), reason)


def _missing_texts(rule: CompositeRule, parts: AssessedParts) -> TextArray:
    """Join why a subject is not at risk for each part."""
    text = np.full(len(parts.missing), "", dtype=object)
    for part, why in zip(rule.parts, parts.missing.T, strict=True):
        more = np.where(text == "", "", "; ") + f"{part.name}: " + why
        text = np.where(why == "", text, text + more)
    return text


def _missing_parts(
    rule: CompositeRule, parts: AssessedParts, ids: pd.Series, keep: BoolArray
) -> tuple[Exclusion, ...]:
    """Count the subjects who are followed without a part, part by part and reason by reason."""
    return tuple(
        entry
        for part, why in zip(rule.parts, parts.missing.T, strict=True)
        for reason in dict.fromkeys(why[keep & (why != "")])
        for entry in exclude(
            f"endpoint {rule.name}",
            "row",
            f"followed without {part.name}: {reason}",
            ids[keep & (why == reason)],
        )
    )


def _tabulate(
    rule: CompositeRule,
    parts: AssessedParts,
    kth: KthEvent,
    *,
    zero: FloatArray,
    end: FloatArray,
    keep: BoolArray,
) -> pd.DataFrame:
    """Tabulate the events of the subjects at risk."""
    completing = parts.times.event & (parts.times.day == kth.day[:, None])
    completing &= kth.event[:, None]
    table = {
        "duration": end - zero,
        "event": kth.event,
        "day_baseline": zero,
        "interval_left": np.maximum(kth.left - zero, 0),
        "interval_right": kth.right - zero,
        "day_confirmed": _day_confirmed(parts, completing),
        "relapse_class": _relapse_class(parts, completing),
        "component": _component(rule, completing),
        "censor_reason": _censor_reason(rule, parts),
    }
    frame = pd.DataFrame({name: values[keep] for name, values in table.items()})
    whole = {"duration": "int64", "day_baseline": "int64", "day_confirmed": "Int64"}
    return frame.astype({**whole, "event": bool})


def _part_column(parts: AssessedParts, name: str, fill: object, dtype: object) -> NDArray:
    """Return a column of the events of each part; shape (n_subjects, n_parts)."""
    filled = np.full(parts.times.at_risk.shape, fill, dtype=dtype)
    for j, result in enumerate(parts.results):
        values = result.events[name].to_numpy(dtype=dtype, na_value=fill)
        filled[parts.times.at_risk[:, j], j] = values
    return filled


def _component(rule: CompositeRule, completing: BoolArray) -> TextArray:
    """Name the parts that completed the composite."""
    text = np.full(len(completing), "", dtype=object)
    for part, done in zip(rule.parts, completing.T, strict=True):
        text = np.where(done, text + np.where(text == "", "", JOIN) + part.name, text)
    return text


def _day_confirmed(parts: AssessedParts, completing: BoolArray) -> FloatArray:
    """Return the earliest day that confirmed a part that completed the composite, else NaN."""
    days = _part_column(parts, "day_confirmed", np.nan, float)
    first = np.where(completing & ~np.isnan(days), days, np.inf).min(axis=1)
    return np.where(np.isfinite(first), first, np.nan)


def _relapse_class(parts: AssessedParts, completing: BoolArray) -> TextArray:
    """Return the class of the event that completed the composite."""
    given = _part_column(parts, "relapse_class", "", object)
    rank = sum(i * (given == name) for i, name in enumerate(_CLASSES))
    return np.array(_CLASSES, dtype=object)[np.where(completing, rank, 0).max(axis=1)]


def _censor_reason(rule: CompositeRule, parts: AssessedParts) -> TextArray:
    """Say why subjects without the event are censored."""
    reasons = _part_column(parts, "censor_reason", "", object)
    waiting = (reasons == UNCONFIRMED).any(axis=1)
    k = rule.n_required
    none = "no part happened" if k == 1 else f"fewer than {k} parts happened"
    return np.where(waiting, UNCONFIRMED, f"{none} while they were assessed")
