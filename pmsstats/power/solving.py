"""Solve a power function for what it depends on, and check what every closed form is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import optimize

from pmsstats.errors import DesignError, nearest

__all__ = [
    "MOST_SUBJECTS",
    "check_choice",
    "check_dropout",
    "check_effect",
    "check_rates",
    "check_real",
    "check_solved",
    "power_curve",
    "solve_continuous",
    "solve_n",
]

MOST_SUBJECTS = 1e8
"""Where the search for a number of subjects gives up."""

_SOUGHT = {"n": "the number of subjects", "effect": "the effect", "duration": "the duration"}
_X_TOLERANCE = 1e-10  # relative, of a root


def check_real(
    name: str,
    value: float,
    *,
    low: float = -math.inf,
    high: float = math.inf,
    ends: str = "()",
    unit: str = "",
) -> float:
    """Refuse what is no number, or lies outside an interval.

    Parameters
    ----------
    name : str
        Of the argument.
    value : float
        As given.
    low, high : float
        Ends of the interval.
    ends : {"()", "[)", "(]", "[]"}
        Which ends belong to it.
    unit : str
        Said in the message, for example ``"years"``.

    Returns
    -------
    float
        The value.

    Raises
    ------
    DesignError
        If it is no finite number within the interval.
    """
    number = isinstance(value, int | float | np.integer | np.floating)
    if number and not isinstance(value, bool) and math.isfinite(value):
        above = value >= low if ends[0] == "[" else value > low
        below = value <= high if ends[1] == "]" else value < high
        if above and below:
            return float(value)
    raise DesignError(
        f"`{name}` must be a number{' of ' + unit if unit else ''} "
        f"{_interval_words(low, high, ends)}, got {value!r}."
        f"{_percent_words(value) if number and (low, high) == (0.0, 1.0) else ''}"
    )


def _interval_words(low: float, high: float, ends: str) -> str:
    """Say an interval in words."""
    words = []
    if math.isfinite(low):
        words.append(f"{'of at least' if ends[0] == '[' else 'above'} {low:g}")
    if math.isfinite(high):
        words.append(f"{'at most' if ends[1] == ']' else 'below'} {high:g}")
    return " and ".join(words) or "that is finite"


def _percent_words(value: float) -> str:
    """Explain how a share is written, to whom gave a number above 1."""
    if 2 <= value <= 100:
        return f" {value:g} % is {value / 100:g}."
    return " A share of 12 % is 0.12." if 1 < value < 2 else ""


def check_choice(name: str, value: str, options: Sequence[str]) -> None:
    """Refuse a word that is not among the options.

    Parameters
    ----------
    name : str
        Of the argument.
    value : str
        As given.
    options : sequence of str
        What is accepted.

    Raises
    ------
    DesignError
        If it is another word.
    """
    if value in options:
        return
    listed = ", ".join(repr(option) for option in options)
    raise DesignError(
        f"`{name}` must be one of {listed}, got {value!r}.{nearest(str(value), options)}"
    )


def check_rates(alpha: float, power: float | None = None, sides: int = 2) -> None:
    """Refuse error rates that no trial can have.

    Parameters
    ----------
    alpha : float
        Type I error, above 0 and below 1.
    power : float, optional
        Wanted power, above `alpha` and below 1.
    sides : int
        1 or 2.

    Raises
    ------
    DesignError
        If any is out of range, or the power is not above `alpha`.
    """
    check_real("alpha", alpha, low=0.0, high=1.0)
    if isinstance(sides, bool) or sides not in (1, 2):
        raise DesignError(f"`sides` must be 1 or 2, the sides of the test, got {sides!r}.")
    if power is None:
        return
    check_real("power", power, low=0.0, high=1.0)
    if power <= alpha:
        raise DesignError(
            f"`power={power!r}` is not above `alpha={alpha!r}`: a test that ignores the data has "
            "that power already. Ask for more power, usually 0.8 or 0.9."
        )


def check_dropout(dropout: float | Sequence[float], name: str = "dropout") -> tuple[float, float]:
    """Refuse a share of subjects lost that is negative, 1 or more.

    Parameters
    ----------
    dropout : float or pair of float
        Share without a final measurement, in both arms or per arm, reference first.
    name : str
        Of the argument.

    Returns
    -------
    tuple of float
        One share per arm.

    Raises
    ------
    DesignError
        If a share is not in [0, 1), or there is not one or two of them.
    """
    shares = (dropout, dropout) if np.ndim(dropout) == 0 else tuple(dropout)  # type: ignore[arg-type]
    if len(shares) != 2:
        raise DesignError(
            f"`{name}` must be one share, or one per arm (reference first), got {dropout!r}."
        )
    for share in shares:
        check_real(name, share, low=0.0, high=1.0, ends="[)")  # type: ignore[arg-type]
    return float(shares[0]), float(shares[1])  # type: ignore[arg-type]


def check_solved(solve: str, *, sought: Mapping[str, object], needed: Mapping[str, object]) -> None:
    """Refuse a request that gives what it asks for, or leaves out what that takes.

    Parameters
    ----------
    solve : {"n", "effect", "duration"}
        What is asked for.
    sought : mapping of str to object
        Arguments that say it: all of them None.
    needed : mapping of str to object
        Arguments that it depends on: none of them None.

    Raises
    ------
    DesignError
        If an argument is given that should not be, or the other way round.
    """
    for name, value in sought.items():
        if value is not None:
            raise DesignError(
                f"`{name}={value!r}` is what solve={solve!r} looks for: leave it out."
            )
    for name, value in needed.items():
        if value is None:
            raise DesignError(f"`{name}` is needed to find {_SOUGHT[solve]}. Give it.")


def check_effect(effect: float, name: str = "effect") -> float:
    """Refuse an effect of zero, where a number of subjects is asked for.

    Parameters
    ----------
    effect : float
        In its unit, zero under the null hypothesis.
    name : str
        Of the argument.

    Returns
    -------
    float
        The effect.

    Raises
    ------
    DesignError
        If it is zero or no finite number.
    """
    value = check_real(name, effect)
    if value == 0:
        raise DesignError(
            f"`{name}={effect!r}`: no number of subjects will do, because there is no difference "
            "to find. Give the smallest effect that the trial must not miss."
        )
    return value


def solve_n(
    power_of: Callable[[float], float],
    target: float,
    *,
    low: float = 4.0,
    high: float = MOST_SUBJECTS,
) -> float:
    """Find the number of subjects that gives a power, before rounding.

    Parameters
    ----------
    power_of : callable
        Power by the number of subjects in all arms, a float.
    target : float
        Wanted power.
    low : float
        Fewest subjects that the formula can be asked for.
    high : float
        Where to give up.

    Returns
    -------
    float
        Subjects in all arms; `low` where that gives the power already.

    Raises
    ------
    DesignError
        If no number up to `high` gives the power.
    """
    if power_of(low) >= target:
        return low
    upper = low
    while power_of(upper) < target:
        low, upper = upper, 2 * upper
        if upper > high:
            raise DesignError(
                f"No number of subjects will do: with {high:.0f} subjects the power is "
                f"{power_of(high):.4g}, below `power={target!r}`. Give a larger effect, or a "
                "design that measures it better."
            )
    return float(optimize.brentq(lambda n: power_of(n) - target, low, upper, rtol=_X_TOLERANCE))


def solve_continuous(
    power_of: Callable[[float], float],
    target: float,
    bracket: tuple[float, float],
    *,
    name: str = "effect",
) -> float:
    """Find the value of a continuous argument that gives a power.

    Parameters
    ----------
    power_of : callable
        Power by that argument; it rises or falls throughout the bracket.
    target : float
        Wanted power.
    bracket : tuple of float
        Where to look: from, to.
    name : str
        What is looked for, said in the message.

    Returns
    -------
    float
        The value.

    Raises
    ------
    DesignError
        If the power is on the same side of the target at both ends.
    """
    low, high = bracket
    at_low, at_high = power_of(low), power_of(high)
    if not (min(at_low, at_high) <= target <= max(at_low, at_high)):
        raise DesignError(
            f"No `{name}` from {low:.4g} to {high:.4g} gives `power={target!r}`: there the power "
            f"lies between {min(at_low, at_high):.4g} and {max(at_low, at_high):.4g}. "
            "Change the number of subjects or the wanted power."
        )
    scale = max(abs(low), abs(high))
    return float(
        optimize.brentq(
            lambda x: power_of(x) - target, low, high, xtol=1e-12 * scale, rtol=_X_TOLERANCE
        )
    )


def power_curve(
    power_of: Callable[[float, float], float],
    *,
    n_total: float,
    effect: float,
    smallest: float = 4.0,
    n_points: int = 17,
) -> pd.DataFrame:
    """Tabulate power around a solution.

    Parameters
    ----------
    power_of : callable
        Power by the number of subjects in all arms (a float) and the effect.
    n_total : float
        Subjects in all arms.
    effect : float
        In its unit; zero under the null hypothesis.
    smallest : float
        Fewest subjects that the formula can be asked for.
    n_points : int, default 17
        Numbers of subjects.

    Returns
    -------
    pandas.DataFrame
        ``n effect power``: from a quarter to twice the subjects, at three quarters, all and five
        quarters of the effect.
    """
    numbers = np.unique(
        np.linspace(max(smallest, n_total / 4), max(2 * n_total, 2 * smallest), n_points)
    )
    rows = [
        (n, size * effect, power_of(float(n), size * effect))
        for size in (0.75, 1.0, 1.25)
        for n in numbers
    ]
    return pd.DataFrame(rows, columns=["n", "effect", "power"])
