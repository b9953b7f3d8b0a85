"""What the oracle works with: exact rows of one patient, and what can be said of them alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import pandas as pd

from pmsstats.endpoints.definitions.conditions import LevelCondition
from pmsstats.endpoints.definitions.thresholds import (
    AbsoluteThreshold,
    CombinedThreshold,
    LevelThreshold,
    RelativeThreshold,
    StepThreshold,
    Threshold,
)

Number = Fraction | float


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Rows of one subject that have a value, from the first baseline on."""

    days: Sequence[int]
    scores: Sequence[Fraction]
    columns: Mapping[str, Sequence[Fraction | None]]
    may_confirm: Sequence[bool]
    relapses: Sequence[int]
    scans: Sequence[tuple[int, bool]]

    @property
    def last(self) -> int:
        return len(self.days) - 1


@dataclass(frozen=True, kw_only=True)
class Base:
    """What changes are counted from: a row, its value, and the change needed in each sense."""

    row: int
    value: Fraction
    need: Mapping[int, Number | None]


@dataclass(frozen=True, kw_only=True)
class Found:
    """An event, in rows; sense +1 is the rule's direction."""

    sense: int
    relapse_class: str
    base: Base
    onset: int
    onset_value: Fraction
    first_confirmation: int | None
    confirmed: tuple[int | None, ...]
    pira_confirmed: tuple[int | None, ...]
    last_unchanged: int
    sustained_to: int
    imputed: bool


def exact(number: object) -> Fraction | None:
    """Return the fraction that a decimal number stands for; None for a missing one."""
    return None if pd.isna(number) else Fraction(repr(float(number)))


def required(threshold: Threshold, value: Fraction | None, sign: int) -> Number | None:
    """Return the change that counts from a value in one direction; None if none can."""
    if value is None:
        return None
    match threshold:
        case AbsoluteThreshold():
            return exact(threshold.change)
        case RelativeThreshold():
            return value * exact(threshold.fraction) if value > 0 else None
        case StepThreshold():
            within = (c for to, c in threshold.steps if to == math.inf or value <= exact(to))
            return exact(next(within))
        case LevelThreshold():
            missing = sign * (exact(threshold.level) - value)
            return missing if missing > 0 else None
        case CombinedThreshold():
            parts = [required(part, value, sign) for part in threshold.parts]
            if threshold.take == "smallest":
                return min((part for part in parts if part is not None), default=None)
            return None if None in parts else max(parts)
    raise TypeError(threshold)


def intervals(
    pairs: Sequence[tuple[float | None, float | None]], days: Sequence[int]
) -> list[tuple[float, float]]:
    """Return first and last days; None joins the end of one interval to the next."""
    spans, start = [], 0.0
    for (before, after), day in zip(pairs, days, strict=True):
        if (before, after) == (0, 0):
            continue
        if before is not None:
            start = day - before
        if after is not None:
            spans.append((start, day + after))
    return spans


def first_in(rows: Sequence[int], allowed: Sequence[int]) -> int | None:
    """Return the first row that is allowed."""
    return next((x for x in rows if x in allowed), None)


def is_met(condition: LevelCondition, value: Fraction | None) -> bool:
    """Say whether a measure has the level asked for."""
    low, high = condition.at_least, condition.at_most
    return (
        value is not None
        and (low is None or value >= exact(low))
        and (high is None or value <= exact(high))
    )
