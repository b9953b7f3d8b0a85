"""New sample sizes at an interim look: by the variance, blinded, or by the effect, unblinded."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from pmsstats.errors import DesignError
from pmsstats.power.conditional import CRITICAL, conditional_power

__all__ = ["PromisingZone", "blinded_sample_size", "promising_zone_sample_size"]

_ROUNDING = 1e-9  # of a subject


@dataclass(frozen=True, kw_only=True, eq=False)
class PromisingZone:
    """Sample sizes after an unblinded look.

    Parameters
    ----------
    n : ndarray of int
        Subjects in all arms at the end.
    zone : ndarray of str
        ``"unfavourable"``, ``"promising"`` or ``"favourable"``.
    conditional_power : ndarray
        With the planned number, at the trend seen.
    new_conditional_power : ndarray
        With `n`, for the combination of stages with planned weights.
    """

    n: np.ndarray
    zone: np.ndarray
    conditional_power: np.ndarray
    new_conditional_power: np.ndarray


def blinded_sample_size(
    variance: float | np.ndarray,
    *,
    planned_variance: float,
    planned_n: int,
    largest_n: int,
    smallest_n: int | None = None,
) -> np.ndarray:
    """Adapt the sample size to the variance that is seen without unblinding.

    Parameters
    ----------
    variance : float or ndarray
        Of all subjects of the interim look together, as one sample: it includes a little of the
        effect, so that the number errs to the safe side.
    planned_variance : float
        Within an arm, that the plan supposed.
    planned_n : int
        Subjects in all arms.
    largest_n : int
        Not to be exceeded.
    smallest_n : int, optional
        By default `planned_n`: the number is not reduced.

    Returns
    -------
    ndarray of int
        Subjects in all arms.

    Raises
    ------
    DesignError
        If variances are not above 0, or the numbers are not ordered.

    Notes
    -----
    Requirements are in proportion to the variance [1]_, whose type I error is close to the nominal
    one without adjustment.

    References
    ----------
    .. [1] Kieser M, Friede T. Simple procedures for blinded sample size adjustment that do not
       affect the type I error rate. Stat Med 2003;22:3571-3581. doi:10.1002/sim.1585

    Examples
    --------
    >>> blinded_sample_size([0.9, 1.3], planned_variance=1.0, planned_n=100, largest_n=200)
    array([100, 130])
    """
    seen = np.asarray(variance, dtype=float)
    smallest = planned_n if smallest_n is None else smallest_n
    if np.any(~(seen > 0)) or not planned_variance > 0:
        raise DesignError(
            "`variance` and `planned_variance` must be above 0, got "
            f"{variance!r} and {planned_variance!r}."
        )
    if not 0 < smallest <= planned_n <= largest_n:
        raise DesignError(
            "`smallest_n`, `planned_n` and `largest_n` must be above 0 and in this order, got "
            f"{smallest!r}, {planned_n!r} and {largest_n!r}."
        )
    needed = np.ceil(planned_n * seen / planned_variance - _ROUNDING)
    return np.clip(needed, smallest, largest_n).astype(int)


def promising_zone_sample_size(
    z: float | np.ndarray,
    *,
    first_n: int,
    planned_n: int,
    largest_n: int,
    target: float = 0.9,
    lowest: float = 0.36,
    critical: float = CRITICAL,
) -> PromisingZone:
    """Raise the sample size where the interim result is promising.

    Parameters
    ----------
    z : float or ndarray
        Statistic at the interim look; above 0 favours treatment.
    first_n : int
        Subjects that it is based on, all arms.
    planned_n : int
        Subjects at the end as planned.
    largest_n : int
        Not to be exceeded.
    target : float, default 0.9
        Conditional power to raise the number for; from there on the result is favourable.
    lowest : float, default 0.36
        Conditional power below which it is unfavourable and the number stays. That of the paper
        depends on the plan: 0.36 is the one for a look at half the planned number and at most twice
        that; above it, the usual test without weights keeps its type I error as well.
    critical : float, default 1.96
        Bound of the final statistic.

    Returns
    -------
    PromisingZone
        Arrays in the shape of `z`.

    Raises
    ------
    DesignError
        If numbers are not ordered, or not ``0 <= lowest < target < 1``.

    Notes
    -----
    With the trend seen so far, the second stage needs
    ``n2 = n1 / z1^2 ((critical sqrt(N) - z1 sqrt(n1)) / sqrt(N - n1) + z_target)^2`` subjects, for
    which the stages, combined with the weights of the plan, reach the conditional power
    (eq. 7 to 9 of [1]_). Test with :func:`~pmsstats.power.conditional.combination_test` and
    ``weight = first_n / planned_n``, which keeps the type I error for any rule.

    References
    ----------
    .. [1] Mehta CR, Pocock SJ. Adaptive increase in sample size when interim results are
       promising: a practical guide with examples. Stat Med 2011;30:3267-3284.
       doi:10.1002/sim.4102

    Examples
    --------
    >>> found = promising_zone_sample_size(
    ...     np.array([0.5, 1.6, 2.5]), first_n=208, planned_n=442, largest_n=884
    ... )
    >>> found.zone.tolist(), found.n.tolist()
    (['unfavourable', 'promising', 'favourable'], [442, 703, 442])
    """
    if not 0 < first_n < planned_n <= largest_n:
        raise DesignError(
            "`first_n`, `planned_n` and `largest_n` must be above 0 and rise, got "
            f"{first_n!r}, {planned_n!r} and {largest_n!r}."
        )
    if not 0.0 <= lowest < target < 1.0:
        raise DesignError(
            f"`lowest` must be below `target`, both from 0 to 1, got {lowest!r} and {target!r}."
        )
    statistic = np.asarray(z, dtype=float)
    share = first_n / planned_n
    chance = conditional_power(statistic, share, critical=critical)
    # What the second stage's own statistic must exceed.
    hurdle = (critical - statistic * np.sqrt(share)) / np.sqrt(1.0 - share)
    promising = (chance >= lowest) & (chance < target) & (statistic > 0)
    safe = np.where(promising, statistic, 1.0)
    second = first_n / safe**2 * np.maximum(hurdle + ndtri(target), 0.0) ** 2
    needed = np.clip(np.ceil(first_n + second - _ROUNDING), planned_n, largest_n)
    n = np.where(promising, needed, planned_n).astype(int)
    trend = statistic * np.sqrt((n - first_n) / first_n)
    zone = np.where(
        promising, "promising", np.where(chance >= target, "favourable", "unfavourable")
    )
    return PromisingZone(
        n=n, zone=zone, conditional_power=chance, new_conditional_power=ndtr(trend - hurdle)
    )
