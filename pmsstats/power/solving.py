"""Solve a power function for what it depends on, and check what every closed form is given."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy import optimize

from pmsstats.errors import DesignError, nearest

__all__ = [
    "MOST_SUBJECTS",
    "arm_sizes",
    "check_choice",
    "check_dropout",
    "check_effect",
    "check_rates",
    "check_real",
    "integer_arms",
    "power_curve",
    "smallest_arms",
    "solve_continuous",
    "solve_n",
    "split_arms",
]

MOST_SUBJECTS = 1e8
"""Where the search for a number of subjects gives up."""

_ROUNDING = 1e-9  # of a subject: so that 64.0000000001 subjects are 64
_X_TOLERANCE = 1e-10  # relative, of a root
_FEW_STEPS = 10_000  # a smaller arm that grows by more than this has lost its way


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
    percent = number and (low, high) == (0.0, 1.0) and 1 < value <= 100
    raise DesignError(
        f"`{name}` must be a number{' of ' + unit if unit else ''} "
        f"{_interval_words(low, high, ends)}, got {value!r}."
        f"{f' {value:g} % is {value / 100:g}.' if percent else ''}"
    )


def _interval_words(low: float, high: float, ends: str) -> str:
    """Say an interval in words."""
    words = []
    if math.isfinite(low):
        words.append(f"{'of at least' if ends[0] == '[' else 'above'} {low:g}")
    if math.isfinite(high):
        words.append(f"{'at most' if ends[1] == ']' else 'below'} {high:g}")
    return " and ".join(words) or "that is finite"


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


def split_arms(n_total: float, ratio: float = 1.0) -> tuple[float, float]:
    """Divide subjects over two arms, without rounding.

    Parameters
    ----------
    n_total : float
        Subjects in both arms.
    ratio : float
        Treated per reference subject.

    Returns
    -------
    tuple of float
        Reference and treated.
    """
    reference = n_total / (1 + ratio)
    return reference, n_total - reference


def integer_arms(n_total: float, ratio: float = 1.0) -> tuple[int, int]:
    """Divide subjects over two arms, rounding up so that the ratio is kept.

    Parameters
    ----------
    n_total : float
        Subjects in both arms.
    ratio : float
        Treated per reference subject.

    Returns
    -------
    tuple of int
        Reference and treated: the smaller arm is rounded up, and the larger is `ratio` (or its
        inverse) times that, rounded up.

    Raises
    ------
    DesignError
        If the ratio is not above 0.

    Examples
    --------
    >>> integer_arms(85.03), integer_arms(85.03, ratio=2), integer_arms(85.03, ratio=0.5)
    ((43, 43), (29, 58), (58, 29))
    """
    check_real("ratio", ratio, low=0.0)
    smaller = max(math.ceil(min(split_arms(n_total, ratio)) - _ROUNDING), 1)
    return _arms_of(smaller, ratio)


def _arms_of(smaller: int, ratio: float) -> tuple[int, int]:
    """Return both arms, by the smaller one."""
    if ratio >= 1:
        return smaller, math.ceil(ratio * smaller - _ROUNDING)
    return math.ceil(smaller / ratio - _ROUNDING), smaller


def arm_sizes(n: int | Sequence[int], ratio: float = 1.0) -> tuple[int, int]:
    """Return the subjects of both arms, as a caller gave them.

    Parameters
    ----------
    n : int or pair of int
        Subjects in both arms together, or per arm, reference first.
    ratio : float
        Treated per reference subject, where `n` is a total. What cannot be divided exactly is
        rounded to the nearest, and the total is kept.

    Returns
    -------
    tuple of int
        Reference and treated.

    Raises
    ------
    DesignError
        If a number is no whole one, or an arm is left without subjects.
    """
    check_real("ratio", ratio, low=0.0)
    given = (n,) if np.ndim(n) == 0 else tuple(n)  # type: ignore[arg-type]
    whole = all(_is_whole(value) for value in given)
    if not whole or len(given) > 2:
        raise DesignError(
            "`n` must be the whole number of subjects in both arms, or one such number per arm "
            f"(reference first), got {n!r}."
        )
    if len(given) == 1:
        total = int(given[0])  # type: ignore[call-overload]
        reference = round(split_arms(total, ratio)[0])
        given = (reference, total - reference)
    reference, treated = (int(value) for value in given)  # type: ignore[call-overload]
    if reference < 1 or treated < 1:
        raise DesignError(
            f"`n={n!r}` with `ratio={ratio!r}` leaves an arm without subjects "
            f"({reference} reference, {treated} treated). Give at least one to each."
        )
    return reference, treated


def _is_whole(value: object) -> bool:
    """Say whether a value is a whole number, though perhaps written as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return False
    return math.isfinite(value) and float(value).is_integer()


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


def smallest_arms(
    power_of: Callable[[tuple[int, int]], float], n_total: float, target: float, ratio: float = 1.0
) -> tuple[int, int]:
    """Find the smallest whole arms that reach a power.

    Parameters
    ----------
    power_of : callable
        Power by the subjects in the reference and the treated arm.
    n_total : float
        Solution without rounding, from :func:`solve_n`: where the search starts.
    target : float
        Wanted power.
    ratio : float
        Treated per reference subject, kept as in :func:`integer_arms`.

    Returns
    -------
    tuple of int
        Reference and treated.

    Raises
    ------
    DesignError
        If the power is not reached near the start.
    """
    smaller = min(integer_arms(n_total, ratio))
    reached = target - 1e-12
    while smaller > 1 and power_of(_arms_of(smaller - 1, ratio)) >= reached:
        smaller -= 1
    for step in range(_FEW_STEPS):
        arms = _arms_of(smaller + step, ratio)
        if power_of(arms) >= reached:
            return arms
    raise DesignError(
        f"No whole number of subjects near {n_total:.1f} reaches `power={target!r}`. "
        "Give a larger effect or a lower power."
    )


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
