"""What a generator of trials asks of a scenario, and what the arms of a trial do.

A scenario is whatever has the attributes of :class:`TrialScenario`; the class in `pmsstats.trials`
has them. Unknown settings, effects and measures are refused with all those known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from pmsstats.errors import DesignError, nearest

__all__ = [
    "ABOVE_ZERO",
    "TrialScenario",
    "arm_values",
    "check_measures",
    "check_names",
    "choose_arms",
    "event_rates",
    "flat_effects",
    "real",
]

ABOVE_ZERO = float(np.finfo(float).tiny)
"""Lowest value of what must be above 0: its inverse is finite."""
_MOST_NAMES = 12
"""Measures that an error message lists."""


class TrialScenario(Protocol):
    """What is read of a scenario.

    ``population`` has ``model`` and ``settings``; every one of ``arms`` has ``name``, ``ratio``,
    ``treatment`` and ``effects``; ``accrual`` has ``n_subjects``; ``schedule`` has ``weeks``,
    ``imaging_weeks`` and ``window_days``; ``dropout`` has ``share``, ``mechanism``,
    ``log_hazard``, ``missed_visit``, ``missed_scan`` and ``death_rate``; every one of
    ``intercurrent`` has ``name``, ``rate``, ``rates``, ``effect_after`` and ``seen_after``.
    """

    @property
    def population(self) -> Any:
        """Who."""

    @property
    def arms(self) -> Sequence[Any]:
        """Under what, reference first."""

    @property
    def accrual(self) -> Any:
        """How many."""

    @property
    def schedule(self) -> Any:
        """Seen when."""

    @property
    def dropout(self) -> Any:
        """What is not seen."""

    @property
    def intercurrent(self) -> Sequence[Any]:
        """What happens to treatment."""

    @property
    def measures(self) -> tuple[str, ...]:
        """What is measured."""

    @property
    def analyses(self) -> Sequence[Any]:
        """How it is analysed: read by ``truth`` alone."""


def check_names(what: str, given: Iterable[str], known: Iterable[str], model: str) -> None:
    """Refuse names that a model does not know.

    Parameters
    ----------
    what : str
        Kind of name, as ``"setting"``.
    given, known : iterable of str
        Names.
    model : str
        Whose.

    Raises
    ------
    DesignError
        With the nearest name, and all of them.
    """
    names = sorted(known)
    for name in given:
        if name not in names:
            listed = ", ".join(names) or "none"
            raise DesignError(
                f"The model {model!r} knows no {what} {name!r}.{nearest(str(name), names)} "
                f"It knows: {listed}."
            )


def check_measures(wanted: Iterable[str], offered: Iterable[str], model: str) -> None:
    """Refuse endpoints on measures that the generator does not produce.

    Parameters
    ----------
    wanted, offered : iterable of str
        Measures.
    model : str
        Which model.

    Raises
    ------
    DesignError
        With the nearest name, and the first of them.
    """
    names = tuple(offered)
    more = len(names) - _MOST_NAMES
    rest = f" and {more} more (`pmsstats measures` lists them)" if more > 0 else ""
    for name in wanted:
        if name not in names:
            raise DesignError(
                f"An endpoint needs the measure {name!r}, which the model {model!r} does not "
                f"produce.{nearest(str(name), names)} It produces: "
                f"{', '.join(names[:_MOST_NAMES])}{rest}."
            )


def real(name: str, value: object, low: float = -math.inf, high: float = math.inf) -> float:
    """Check that a setting or effect is a number in its range.

    Parameters
    ----------
    name : str
        For the message.
    value : object
        What was given.
    low, high : float
        Ends, both included; with `low` :data:`ABOVE_ZERO` the number must be above 0.

    Returns
    -------
    float
        The number.

    Raises
    ------
    DesignError
        If it is none, or outside.
    """
    is_number = isinstance(value, int | float | np.integer | np.floating)
    if isinstance(value, bool) or not is_number or not low <= float(value) <= high:  # type: ignore[arg-type]
        raise DesignError(f"`{name}` must be a number{_between(low, high)}, got {value!r}.")
    if math.isinf(float(value)) and not math.isinf(high):  # type: ignore[arg-type]
        raise DesignError(f"`{name}` must be finite, got {value!r}.")
    return float(value)  # type: ignore[arg-type]


def _between(low: float, high: float) -> str:
    """Say in words which numbers are allowed."""
    if math.isinf(low):
        return "" if math.isinf(high) else f" of {high:g} or less"
    if low == ABOVE_ZERO:
        return " above 0" + ("" if math.isinf(high) else f" and at most {high:g}")
    return f" of {low:g} or more" if math.isinf(high) else f" from {low:g} to {high:g}"


def arm_values(
    scenario: TrialScenario, known: Mapping[str, tuple[float | None, float, float]], model: str
) -> dict[str, list[float | None]]:
    """Read the effects of all arms.

    Parameters
    ----------
    scenario : TrialScenario
        With the arms.
    known : mapping of str to (float or None, float, float)
        Effects that the model knows: default, lowest and highest value.
    model : str
        Which model.

    Returns
    -------
    dict of str to list
        By effect, one number per arm: the default where an arm does not name it.

    Raises
    ------
    DesignError
        If an arm names another effect, a value out of range, or a treatment (which plain models do
        not know).
    """
    given = [flat_effects(arm) for arm in scenario.arms]
    for arm, effects in zip(scenario.arms, given, strict=True):
        check_names(f"effect (of arm {arm.name!r})", effects, known, model)
        if arm.treatment is not None:
            raise DesignError(
                f"Arm {arm.name!r} names the treatment {arm.treatment!r}, which only the presets "
                f"know; for the model {model!r} give `effects` instead: {', '.join(known)}."
            )
    return {
        name: [
            real(f"{name} of arm {arm.name}", effects[name], low, high)
            if name in effects
            else default
            for arm, effects in zip(scenario.arms, given, strict=True)
        ]
        for name, (default, low, high) in known.items()
    }


def flat_effects(arm: Any) -> dict[str, Any]:
    """Name effects that are given by process or outcome as those that are not.

    Parameters
    ----------
    arm : object
        With ``effects``; ``{"slowing": {"cord": 0.4}}`` is ``{"slowing_cord": 0.4}``.

    Returns
    -------
    dict of str to object
        Values by name.
    """
    flat: dict[str, Any] = {}
    for name, value in arm.effects.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}_{part}": entry for part, entry in value.items()}
        else:
            flat[name] = value
    return flat


def event_rates(scenario: TrialScenario, event: Any) -> np.ndarray:
    """Return the rate of an intercurrent event in every arm.

    Parameters
    ----------
    scenario : TrialScenario
        With the arms.
    event : object
        With ``rate`` and ``rates``.

    Returns
    -------
    ndarray, shape (n_arms,)
        Per year.
    """
    return np.array([float(event.rates.get(arm.name, event.rate)) for arm in scenario.arms])


def choose_arms(scenario: TrialScenario, uniform: np.ndarray) -> np.ndarray:
    """Allocate by chance, in the ratio of the arms.

    Parameters
    ----------
    scenario : TrialScenario
        With the arms.
    uniform : ndarray
        In [0, 1).

    Returns
    -------
    ndarray of int
        Positions of the arms, in the shape of `uniform`.
    """
    ratios = np.array([float(arm.ratio) for arm in scenario.arms])
    edges = np.cumsum(ratios) / ratios.sum()
    return np.minimum(np.searchsorted(edges, uniform, side="right"), len(ratios) - 1)
