"""What designs share whose estimate has a standard error and degrees of freedom."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from pmsstats.errors import DesignError
from pmsstats.power.effects import TreatmentEffect, resolve_effect
from pmsstats.power.rejection import rejection_probability
from pmsstats.power.solving import solve_continuous

__all__ = ["check_asked", "effect_to_find", "power_by_precision"]

_LARGEST = 60.0  # standard errors: an effect that any trial finds

Sizes = tuple[float, float]


def check_asked(given: Mapping[str, Any], *, asks_power: str) -> None:
    """Refuse that what is asked for is given, or what is needed is not.

    Parameters
    ----------
    given : mapping of str to object
        Arguments by name: `solve`, `n`, `effect` and `slowing`.
    asks_power : str
        Name of the function that says the power for given subjects.

    Raises
    ------
    DesignError
        If `n` is given where it is asked for or missing where it is not, or an effect is given
        where that is asked for.
    """
    solve, n = given["solve"], given["n"]
    if solve == "n" and n is not None:
        raise DesignError(
            f"solve='n' asks for the subjects, but `n={n!r}` is given. Leave it out, or ask "
            f"{asks_power} for the power."
        )
    if solve != "n" and n is None:
        raise DesignError(f"solve={solve!r} needs `n`, the subjects randomised.")
    if solve == "effect" and (given["effect"] is not None or given["slowing"] is not None):
        raise DesignError("solve='effect' asks for the effect: leave `effect` and `slowing` out.")


def power_by_precision(
    precision: Callable[[Sizes], tuple[float, float]],
    *,
    is_estimable: Callable[[Sizes], bool],
    alpha: float,
    sides: int,
) -> Callable[[Sizes, float], float]:
    """Return power by the subjects of both arms and the effect.

    Parameters
    ----------
    precision : callable
        Variance of the estimated effect and its degrees of freedom, by the subjects of the
        reference and the treated arm.
    is_estimable : callable
        Whether so many subjects are enough to estimate the variances that the test uses; where
        they are not, the power is `alpha`.
    alpha, sides : float, int
        Type I error, and sides of the test.

    Returns
    -------
    callable
        Of ``(n_reference, n_treated)`` and the effect. A one-sided test looks in the direction of
        the effect.
    """
    remembered = lru_cache(maxsize=256)(precision)

    def power(n: Sizes, effect: float) -> float:
        if not is_estimable(n):
            return alpha
        variance, df = remembered(n)
        shift = abs(effect) / math.sqrt(variance)
        return float(rejection_probability(shift, alpha=alpha, sides=sides, df=df))

    return power


def effect_to_find(
    power_of: Callable[[float], float],
    std_error: float,
    *,
    power: float,
    rate: float | None,
    ageing_rate: float | None,
) -> TreatmentEffect:
    """Find the effect that a trial finds with a given power.

    Parameters
    ----------
    power_of : callable
        Power by the size of the effect.
    std_error : float
        Of the estimated effect.
    power : float
        Wanted.
    rate, ageing_rate : float, optional
        Change of the reference arm and of healthy people: they tell the direction, which is
        against the change, and what a slowing is a share of.

    Returns
    -------
    TreatmentEffect
        Positive where no `rate` is given.

    Raises
    ------
    DesignError
        If no effect has this power, or the rates contradict each other.
    """
    size = solve_continuous(power_of, power, (0.0, _LARGEST * std_error))
    scale = resolve_effect(0.0, None, rate, ageing_rate).scale
    value = size if scale is None else -math.copysign(size, scale)
    return TreatmentEffect(value=value, scale=scale)
