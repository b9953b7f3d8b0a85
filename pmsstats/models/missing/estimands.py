"""Intercurrent events: what ICH E9 (R1) calls the ways to take them into the question."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from pmsstats.errors import DesignError, nearest

__all__ = ["DROPOUT", "EstimandStrategy", "as_strategies"]

Imputed = Literal["MAR", "JR", "CR", "CIR", "LMCF"]
Named = Literal[
    "treatment_policy", "hypothetical", "composite", "while_on_treatment", "principal_stratum"
]
DROPOUT = "dropout"
"""The event of those who are not seen again, where none was recorded."""


@dataclass(frozen=True, kw_only=True)
class EstimandStrategy:
    """What one kind of intercurrent event means for the question, and so for the data after it.

    Parameters
    ----------
    event : str
        As in the column ``event`` of the intercurrent events.
    strategy : str, default "treatment_policy"
        By the names of ICH E9 (R1) [1]_. ``treatment_policy``: values after the event count as
        they are. ``hypothetical``: what would have been without it; values after it are set to
        missing. ``composite``: the event is a failure; values after it become `failure_value`.
        ``while_on_treatment``: the last value before it stands for all after it.
        ``principal_stratum``: only subjects in whom it would not happen; see `stratum`.
    imputation : {"MAR", "JR", "CR", "CIR", "LMCF"}, default "MAR"
        How missing values after the event are imputed, under the first two strategies. With
        another one than MAR, observed values after the event stay in the analysis but do not
        inform the imputation model: after the event they follow another one.
    failure_value : float, optional
        In units of the outcome, for ``composite``.
    stratum : str, optional
        For ``principal_stratum``: boolean column known at baseline that tells who belongs to the
        stratum. Without it the stratum is not identified: whether the event would have happened
        under the other treatment is not seen in anyone.

    Raises
    ------
    DesignError
        If a strategy is unknown, or lacks what it needs.

    References
    ----------
    .. [1] International Council for Harmonisation. Addendum on estimands and sensitivity analysis
       in clinical trials to the guideline on statistical principles for clinical trials E9(R1).
       2019.

    Examples
    --------
    >>> EstimandStrategy(event="death", strategy="composite", failure_value=-5.0).strategy
    'composite'
    """

    event: str
    strategy: Named = "treatment_policy"
    imputation: Imputed = "MAR"
    failure_value: float | None = None
    stratum: str | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        _check("strategy", self.event, self.strategy, get_args(Named))
        _check("imputation", self.event, self.imputation, get_args(Imputed))
        value = self.failure_value
        if self.strategy == "composite" and (value is None or not math.isfinite(value)):
            raise DesignError(
                f"`failure_value` of event {self.event!r} must be a finite number under the "
                f"composite strategy, got {value!r}: the outcome that failure counts as."
            )
        if self.strategy == "principal_stratum" and self.stratum is None:
            raise DesignError(
                f"`stratum` of event {self.event!r} is missing. Who would not have the event under "
                "either arm is seen in nobody, so a principal stratum is identified only by a "
                "baseline column that tells it: give `stratum`, or choose another strategy."
            )

    @property
    def changes_nothing(self) -> bool:
        """Return whether data after the event are treated like all others."""
        return self.strategy == "treatment_policy" and self.imputation == "MAR"


def as_strategies(given: Any) -> tuple[EstimandStrategy, ...]:
    """Turn strategies and their short forms to strategies.

    Parameters
    ----------
    given : iterable of EstimandStrategy, or mapping of event to strategy
        Short forms are a name of ICH E9 (R1), or of an imputation (treatment policy, then).

    Returns
    -------
    tuple of EstimandStrategy
        One per event.

    Raises
    ------
    DesignError
        If a strategy is unknown, an event is named twice, or it is called ``dropout``.
    """
    if isinstance(given, Mapping):
        given = [_from_short(str(event), value) for event, value in given.items()]
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise DesignError(
            f"`strategies` must be EstimandStrategy objects or a mapping of events, got {given!r}."
        )
    found = tuple(given)
    if not all(isinstance(rule, EstimandStrategy) for rule in found):
        raise DesignError(f"`strategies` must hold EstimandStrategy objects, got {found!r}.")
    names = [rule.event for rule in found]
    if len(names) > len(set(names)) or DROPOUT in names:
        raise DesignError(
            f"`strategies` must name each event once, and none {DROPOUT!r} (which has a field of "
            f"its own: dropout='JR', say), got {names}."
        )
    return found


def _from_short(event: str, value: Any) -> EstimandStrategy:
    """Read one entry of a mapping."""
    if isinstance(value, EstimandStrategy):
        if value.event != event:
            raise DesignError(
                f"`strategies` has {value.event!r} under the name of event {event!r}; use one name."
            )
        return value
    if value in get_args(Imputed):
        return EstimandStrategy(event=event, imputation=value)
    _check("strategy", event, value, (*get_args(Named), *get_args(Imputed)))
    return EstimandStrategy(event=event, strategy=value)


def _check(name: str, event: str, value: object, options: tuple[str, ...]) -> None:
    """Refuse a value that is none of the options."""
    if value not in options:
        raise DesignError(
            f"`{name}` of event {event!r} must be one of {', '.join(options)}, got {value!r}."
            f"{nearest(str(value), options)}"
        )
