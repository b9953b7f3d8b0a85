"""Random numbers by purpose and subject: subject 7 gets the same ones in any cohort.

Every purpose ("edss rater", week 24) has its own streams, one per block of :data:`BLOCK`
subjects, and subject ``i`` reads number ``i % BLOCK`` of block ``i // BLOCK``. So a subject's
numbers depend on the seed, the purpose and the subject's position alone: not on how many subjects
follow, on which other purposes are drawn (a dropout model, a further visit), or on who computes
the block. Only draws that read their stream one number per subject are offered; everything else
(gamma, truncated normal, counts) is a transform of those. What is drawn at every visit of a
measure shares one stream per block, in which every planned week has its own far-off place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from pmsstats.seeds import stream
from synthetic.clock import Clock

__all__ = ["BLOCK", "SubjectStreams", "event_times", "poisson_counts", "truncated_normal"]

BLOCK = 4096
"""Subjects per stream. Part of the definition of every synthetic cohort: never change it."""

_LARGEST_MEAN = 600.0

_JUMP = 210306068529402873165736369884012333109
"""How far apart in its stream the weeks of a purpose are: (golden ratio - 1) times the period, an
odd number, so that two weeks share none of the low bits of the generator."""


@dataclass(frozen=True)
class SubjectStreams:
    """Source of random numbers for `n_subjects` subjects.

    Parameters
    ----------
    root : numpy.random.SeedSequence
        From the user's seed.
    n_subjects : int
        How many numbers each draw has.
    first_block : int, default 0
        Block of the first of these subjects: number ``first_block * BLOCK`` of the cohort.
    """

    root: np.random.SeedSequence
    n_subjects: int
    first_block: int = 0

    def _blocks(self) -> Iterator[tuple[int, slice]]:
        """Iterate over the blocks, with the places of their subjects."""
        for k, start in enumerate(range(0, self.n_subjects, BLOCK)):
            yield self.first_block + k, slice(start, min(start + BLOCK, self.n_subjects))

    def _draw(self, purpose: tuple[str | int, ...], draw: Callable[..., np.ndarray]) -> np.ndarray:
        """Fill one number per subject, block by block."""
        out = np.empty(self.n_subjects)
        for block, places in self._blocks():
            draw(stream(self.root, "synthetic", *purpose, block), out=out[places])
        return out

    def weekly_normal(self, purpose: tuple[str | int, ...], weeks: Sequence[int]) -> np.ndarray:
        """Draw one standard normal number per subject and week.

        Parameters
        ----------
        purpose : tuple of str or int
            What for.
        weeks : sequence of int
            Planned weeks; the numbers of one do not depend on which others there are.

        Returns
        -------
        ndarray, shape (n_weeks, n_subjects)
            Mean 0, variance 1.
        """
        out = np.empty((len(weeks), self.n_subjects))
        for block, places in self._blocks():
            generator = stream(self.root, "synthetic", *purpose, block)
            bits = generator.bit_generator
            start = bits.state
            for row, week in zip(out, weeks, strict=True):
                bits.state = start
                bits.advance(int(week) * _JUMP)  # type: ignore[attr-defined]
                generator.standard_normal(out=row[places])
        return out

    def uniform(self, *purpose: str | int) -> np.ndarray:
        """Draw one uniform number per subject.

        Parameters
        ----------
        *purpose : str or int
            What for.

        Returns
        -------
        ndarray, shape (n_subjects,)
            In [0, 1).
        """
        return self._draw(purpose, np.random.Generator.random)

    def normal(self, *purpose: str | int) -> np.ndarray:
        """Draw one standard normal number per subject.

        Parameters
        ----------
        *purpose : str or int
            What for.

        Returns
        -------
        ndarray, shape (n_subjects,)
            Mean 0, variance 1.
        """
        return self._draw(purpose, np.random.Generator.standard_normal)

    def exponential(self, *purpose: str | int) -> np.ndarray:
        """Draw one standard exponential number per subject.

        Parameters
        ----------
        *purpose : str or int
            What for.

        Returns
        -------
        ndarray, shape (n_subjects,)
            Mean 1.
        """
        return self._draw(purpose, np.random.Generator.standard_exponential)


def event_times(
    streams: SubjectStreams,
    purpose: str,
    rate: np.ndarray,
    horizon: float,
    *,
    clock: Clock | None = None,
) -> np.ndarray:
    """Draw a Poisson process per subject, from 0 to a horizon.

    Parameters
    ----------
    streams : SubjectStreams
        Random numbers; the gap before event k is a purpose of its own, so that a longer horizon
        extends the process and changes nothing before.
    purpose : str
        Name of the process.
    rate : ndarray, shape (n_subjects,)
        Events per year, at least 0.
    horizon : float
        Years.
    clock : Clock, optional
        Rates that change, instead of `rate`.

    Returns
    -------
    ndarray, shape (n_subjects, n_most_events)
        Years of the events, ascending; infinite where a subject has no more.
    """
    with np.errstate(divide="ignore"):
        mean_gap = 1.0 / rate
    now, reading = np.zeros(len(rate)), np.zeros(len(rate))
    columns: list[np.ndarray] = []
    while True:
        gap = streams.exponential(purpose, len(columns))
        if clock is not None:
            reading = reading + gap
            now = clock.year(reading)
        else:
            now = now + np.where(rate > 0, gap * np.where(rate > 0, mean_gap, 0.0), np.inf)
        if not (now < horizon).any():
            return np.column_stack(columns) if columns else np.empty((len(rate), 0))
        columns.append(np.where(now < horizon, now, np.inf))


def truncated_normal(
    score: np.ndarray, mean: np.ndarray, sd: np.ndarray, low: np.ndarray, high: np.ndarray
) -> np.ndarray:
    """Map standard normal scores to a normal distribution cut off at both ends.

    Parameters
    ----------
    score : ndarray, shape (n,)
        Standard normal; its order is kept.
    mean, sd : ndarray, shape (n,)
        Of the distribution before it is cut.
    low, high : ndarray or float, shape (n,)
        Ends.

    Returns
    -------
    ndarray, shape (n,)
        Between `low` and `high`.
    """
    floor = ndtr((low - mean) / sd)
    ceiling = ndtr((high - mean) / sd)
    inside = ndtri(floor + ndtr(score) * (ceiling - floor))
    return np.clip(mean + sd * inside, low, high)


def poisson_counts(uniform: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Turn uniform numbers to Poisson counts by inversion: the higher, the more.

    Parameters
    ----------
    uniform : ndarray, shape (n,)
        In [0, 1).
    mean : ndarray, shape (n,)
        At least 0.

    Returns
    -------
    ndarray, shape (n,)
        Whole numbers as floats; 0 where the mean is 0. Exact for means up to 600, beyond which
        the normal distribution serves.
    """
    large = mean > _LARGEST_MEAN
    counts = np.where(large, np.rint(mean + np.sqrt(mean) * ndtri(uniform)), 0.0)
    mean = np.where(large, 0.0, mean)
    term = np.exp(-mean)
    who = np.flatnonzero(uniform >= term)
    term, below, mean = term[who], term[who], mean[who]
    k = 0
    while len(who):
        k += 1
        counts[who] = k
        term = term * mean / k
        below = below + term
        # a term that no longer adds to the sum ends the search: rounding may keep it below 1
        more = (uniform[who] >= below) & (below + term > below)
        who, term, below, mean = who[more], term[more], below[more], mean[more]
    return counts
