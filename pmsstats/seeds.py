"""Random streams: a seed argument in, independent generators by name out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TypeAlias

import numpy as np

__all__ = ["REPLICATES_PER_CELL", "Seed", "as_seed_sequence", "replicate_cells", "stream"]

REPLICATES_PER_CELL = 20
"""Replicates of a simulation that share a stream: a stream each would cost more than it gives."""

Seed: TypeAlias = int | np.random.SeedSequence | np.random.Generator


def as_seed_sequence(seed: Seed) -> np.random.SeedSequence:
    """Turn any accepted seed into a root seed sequence.

    Parameters
    ----------
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        A generator is asked for 128 bits, which advances it.

    Returns
    -------
    numpy.random.SeedSequence
        The root from which :func:`stream` derives generators.

    Raises
    ------
    TypeError
        If `seed` is None or of another type: nothing here is random by accident.
    ValueError
        If `seed` is a negative integer.
    """
    if isinstance(seed, np.random.SeedSequence):
        return seed
    if isinstance(seed, np.random.Generator):
        return np.random.SeedSequence([int(v) for v in seed.integers(0, 2**32, size=4)])
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer):
        raise TypeError(
            f"`seed` must be an int, SeedSequence or Generator, got {seed!r}. "
            "Give a number, so that the result can be reproduced."
        )
    if seed < 0:
        raise ValueError(f"`seed` must be at least 0, got {seed!r}.")
    return np.random.SeedSequence(int(seed))


def stream(seed: Seed, *purpose: str | int) -> np.random.Generator:
    """Derive an independent generator for a named purpose.

    Parameters
    ----------
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        The root.
    *purpose : str or int
        What the stream is for, for example ``"relapses", 7``. The same root and purpose give
        the same stream, whatever other streams were drawn before, in whichever process.

    Returns
    -------
    numpy.random.Generator
        PCG64 generator.

    Examples
    --------
    >>> float(stream(1, "imaging").normal()) == float(stream(1, "imaging").normal())
    True
    >>> float(stream(1, "imaging").normal()) == float(stream(1, "relapses").normal())
    False
    """
    root = as_seed_sequence(seed)
    key = tuple(
        word
        for part in purpose
        for word in (
            (int(part),)
            if isinstance(part, int | np.integer)
            else np.frombuffer(hashlib.sha256(part.encode()).digest()[:8], dtype="<u4").tolist()
        )
    )
    child = np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, *key))
    return np.random.default_rng(child)


def replicate_cells(
    seed: Seed, first: int, last: int, *purpose: str | int
) -> Iterator[tuple[np.random.Generator, slice, slice]]:
    """Iterate over the streams of some consecutive replicates of a simulation.

    A replicate has its place in a cell of :data:`REPLICATES_PER_CELL`, whoever computes it: draw
    for the whole cell and keep what was asked for, and the numbers depend on no block size.

    Parameters
    ----------
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        The root.
    first, last : int
        First replicate, and the one after the last.
    *purpose : str or int
        What the streams are for.

    Yields
    ------
    generator : numpy.random.Generator
        From which to draw for all replicates of the cell.
    kept : slice
        Which replicates of the cell were asked for.
    place : slice
        Where they stand among those from `first` to `last`.

    Examples
    --------
    >>> for generator, kept, place in replicate_cells(1, 5, 45, "heights"):
    ...     print(kept, place, generator.normal(size=REPLICATES_PER_CELL)[kept].shape)
    slice(5, 20, None) slice(0, 15, None) (15,)
    slice(0, 20, None) slice(15, 35, None) (20,)
    slice(0, 5, None) slice(35, 40, None) (5,)
    """
    root = as_seed_sequence(seed)
    size = REPLICATES_PER_CELL
    for cell in range(first // size, -(-last // size)):
        start, stop = max(first, cell * size), min(last, (cell + 1) * size)
        yield (
            stream(root, *purpose, cell),
            slice(start - cell * size, stop - cell * size),
            slice(start - first, stop - first),
        )
