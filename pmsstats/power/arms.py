"""Subjects of two arms: dividing them, rounding them to whole ones, and those who are analysed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.solving import check_real

__all__ = ["analysed_arms", "arm_sizes", "integer_arms", "smallest_arms", "split_arms"]

_ROUNDING = 1e-9  # of a subject: so that 64.0000000001 subjects are 64
_FEW_STEPS = 10_000  # a smaller arm that grows by more than this has lost its way


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


def analysed_arms(arms: tuple[float, float], dropout: tuple[float, float]) -> tuple[float, float]:
    """Return how many subjects of each arm are analysed, on average.

    Parameters
    ----------
    arms : pair of float
        Subjects randomised, reference first.
    dropout : pair of float
        Share of each arm that is lost and not analysed.

    Returns
    -------
    tuple of float
        Reference and treated.

    Examples
    --------
    >>> analysed_arms((40, 80), (0.25, 0.5))
    (30.0, 40.0)
    """
    return arms[0] * (1 - dropout[0]), arms[1] * (1 - dropout[1])


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
