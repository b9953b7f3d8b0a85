"""Bootstrap over subjects of statistics of change, for all measures together.

Nothing here loops over replicates or subjects: a replicate is a vector of how often each subject
was drawn, and every statistic comes from weighted sums, which are matrix products.

References
----------
.. [1] Efron B. Better bootstrap confidence intervals. J Am Stat Assoc 1987;82:171-185.
   doi:10.1080/01621459.1987.10478410.
.. [2] Davison AC, Hinkley DV. Bootstrap methods and their application. Cambridge University Press
   1997, sections 2.7.3 and 5.3.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import stats

__all__ = [
    "STATISTICS",
    "ChangeData",
    "acceleration",
    "bca_interval",
    "change_statistics",
    "draw_counts",
    "jackknife",
    "percentile_interval",
    "resample",
]

STATISTICS = ("srm", "effect_size", "guyatt", "standardised_difference")
"""Statistics of responsiveness, in the order of their arrays."""

_CHUNK = 250  # replicates drawn at a time; part of the definition of the stream


@dataclass(frozen=True, eq=False, kw_only=True)
class ChangeData:
    """Change of every subject in every measure; a positive sign is what the measure is meant for.

    Parameters
    ----------
    change : ndarray, shape (n_subjects, n_measures)
        Missing where a subject has none.
    baseline : ndarray, shape (n_subjects, n_measures)
        First values; missing where there is no change.
    stable : ndarray of bool, shape (n_subjects,)
        Subjects whose change is noise (controls); all False where there are none.
    """

    change: np.ndarray
    baseline: np.ndarray
    stable: np.ndarray

    @property
    def strata(self) -> list[np.ndarray]:
        """Return the positions of the subjects of each group, stable ones last."""
        groups = [np.flatnonzero(~self.stable), np.flatnonzero(self.stable)]
        return [group for group in groups if len(group)]


def draw_counts(data: ChangeData, rng: np.random.Generator, n_replicates: int) -> np.ndarray:
    """Draw subjects with replacement within their group.

    Parameters
    ----------
    data : ChangeData
        Says who belongs to which group.
    rng : numpy.random.Generator
        The stream.
    n_replicates : int
        How many replicates.

    Returns
    -------
    ndarray, shape (n_replicates, n_subjects)
        How often each subject was drawn. Draws are ``rng.integers(0, size, (n_replicates, size))``
        for each group in turn.
    """
    counts = np.zeros((n_replicates, len(data.stable)))
    for members in data.strata:
        size = len(members)
        drawn = rng.integers(0, size, size=(n_replicates, size))
        flat = drawn + size * np.arange(n_replicates)[:, None]
        counts[:, members] = np.bincount(flat.ravel(), minlength=n_replicates * size).reshape(
            n_replicates, size
        )
    return counts


def change_statistics(weights: np.ndarray, data: ChangeData) -> np.ndarray:
    """Compute every statistic of every measure, for many weightings of the subjects.

    Parameters
    ----------
    weights : ndarray, shape (n_replicates, n_subjects)
        How often each subject counts.
    data : ChangeData
        The changes.

    Returns
    -------
    ndarray, shape (4, n_replicates, n_measures)
        In the order of :data:`STATISTICS`; missing where one cannot be computed.

    Notes
    -----
    Of the subjects who are not stable: mean change over SD of change (``srm``), over SD of the
    first value (``effect_size``), over SD of change of the stable subjects (``guyatt``); and the
    difference in mean change from the stable subjects over the pooled SD of change
    (``standardised_difference``).
    """
    moving, stable = weights[:, ~data.stable], weights[:, data.stable]
    n, mean, variance = _moments(moving, data.change[~data.stable])
    _, _, first = _moments(moving, data.baseline[~data.stable])
    n0, mean0, variance0 = _moments(stable, data.change[data.stable])
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = ((n - 1) * variance + (n0 - 1) * variance0) / (n + n0 - 2)
        made = np.stack(
            [
                mean / np.sqrt(variance),
                mean / np.sqrt(first),
                mean / np.sqrt(variance0),
                (mean - mean0) / np.sqrt(pooled),
            ]
        )
    return np.where(np.isfinite(made), made, np.nan)


def _moments(weights: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weighted number, mean and variance of each column, missing values left out."""
    seen = ~np.isnan(values)
    n = weights @ seen.astype(float)
    if not len(values):
        empty = np.full(n.shape, np.nan)
        return n, empty, empty
    count = np.maximum(seen.sum(axis=0), 1)
    centre = np.where(seen, values, 0.0).sum(axis=0) / count  # against cancellation
    x = np.where(seen, values - centre, 0.0)
    total, squares = weights @ x, weights @ (x * x)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / n
        variance = (squares - total * mean) / (n - 1)
    # What is left of a constant column is rounding.
    floor = 1e-24 * np.maximum((x * x).max(axis=0), 1e-300)
    variance = np.where((variance > floor) & (n > 1), variance, np.nan)
    return n, np.where(n > 0, mean, np.nan) + centre, variance


def resample(data: ChangeData, rng: np.random.Generator, n_replicates: int) -> np.ndarray:
    """Bootstrap all statistics of all measures with the same subjects.

    Parameters
    ----------
    data : ChangeData
        The changes.
    rng : numpy.random.Generator
        The stream.
    n_replicates : int
        How many replicates; drawn 250 at a time.

    Returns
    -------
    ndarray, shape (4, n_replicates, n_measures)
        As from :func:`change_statistics`.
    """
    sizes = [min(_CHUNK, n_replicates - i) for i in range(0, n_replicates, _CHUNK)]
    made = [change_statistics(draw_counts(data, rng, size), data) for size in sizes]
    return np.concatenate(made, axis=1)


def jackknife(data: ChangeData) -> np.ndarray:
    """Compute all statistics with each subject left out in turn.

    Parameters
    ----------
    data : ChangeData
        The changes.

    Returns
    -------
    ndarray, shape (4, n_subjects, n_measures)
        As from :func:`change_statistics`.
    """
    n = len(data.stable)
    return np.concatenate([change_statistics(w, data) for w in _left_out(n)], axis=1)


def _left_out(n: int) -> Iterator[np.ndarray]:
    """Yield weights that leave one subject out, some rows at a time."""
    for start in range(0, n, _CHUNK):
        rows = np.arange(start, min(start + _CHUNK, n))
        weights = np.ones((len(rows), n))
        weights[np.arange(len(rows)), rows] = 0.0
        yield weights


def acceleration(left_out: np.ndarray, data: ChangeData) -> np.ndarray:
    """Estimate how the error of a statistic changes with its value, for BCa intervals.

    Parameters
    ----------
    left_out : ndarray, shape (n_subjects, ...)
        The statistic with each subject left out.
    data : ChangeData
        Says who belongs to which group.

    Returns
    -------
    ndarray
        ``sum u^3 / (6 (sum u^2)^1.5)`` with the empirical influences ``u`` of [1]_; over groups
        as in section 5.3.2 of [2]_. Subjects without a value have no influence.
    """
    cubes = squares = 0.0
    for members in data.strata:
        part = left_out[members]
        size = len(members)
        seen = np.isfinite(part)
        mean = np.where(seen, part, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        u = np.where(seen, (size - 1) / size * (mean - part), 0.0)
        cubes = cubes + (u**3).sum(axis=0)
        squares = squares + (u**2).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        made = cubes / (6 * np.asarray(squares) ** 1.5)
    return np.nan_to_num(made)


def percentile_interval(replicates: np.ndarray, conf_level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the plain percentiles of the replicates.

    Parameters
    ----------
    replicates : ndarray, shape (n_replicates, ...)
        Missing ones are left out.
    conf_level : float
        For example 0.95.

    Returns
    -------
    low, high : ndarray
        Of the shape of one replicate.
    """
    tail = (1 - conf_level) / 2
    return tuple(_quantiles(replicates, np.full(replicates.shape[1:], p)) for p in (tail, 1 - tail))


def bca_interval(
    replicates: np.ndarray, estimate: np.ndarray, accelerations: np.ndarray, conf_level: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return bias-corrected and accelerated percentiles [1]_.

    Parameters
    ----------
    replicates : ndarray, shape (n_replicates, ...)
        Missing ones are left out.
    estimate, accelerations : ndarray
        Of the shape of one replicate.
    conf_level : float
        For example 0.95.

    Returns
    -------
    low, high : ndarray
        Of the same shape.

    Notes
    -----
    R: ``boot::boot.ci(..., type = "bca")``, up to the rule of interpolation between replicates.
    """
    seen = np.isfinite(replicates)
    n = np.maximum(seen.sum(axis=0), 1)
    below = ((replicates < estimate) & seen).sum(axis=0)
    ties = ((replicates == estimate) & seen).sum(axis=0)
    share = np.clip((below + ties / 2) / n, 0.5 / n, 1 - 0.5 / n)
    z0, tail = stats.norm.ppf(share), (1 - conf_level) / 2
    ends = []
    for p in (tail, 1 - tail):
        z = z0 + stats.norm.ppf(p)
        ends.append(_quantiles(replicates, stats.norm.cdf(z0 + z / (1 - accelerations * z))))
    return ends[0], ends[1]


def _quantiles(replicates: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return a quantile of its own for every column, missing replicates left out."""
    flat = np.sort(replicates.reshape(len(replicates), -1), axis=0)  # missing ones go last
    n = np.isfinite(flat).sum(axis=0)
    at = shares.ravel() * np.maximum(n - 1, 0)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, np.maximum(n - 1, 0))
    columns = np.arange(flat.shape[1])
    made = flat[low, columns] + (at - low) * (flat[high, columns] - flat[low, columns])
    return np.where(n > 1, made, np.nan).reshape(shares.shape)
