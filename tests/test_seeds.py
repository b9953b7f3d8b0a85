"""Random streams are reproducible, independent, and named by purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.seeds import REPLICATES_PER_CELL, as_seed_sequence, replicate_cells, stream

N_DRAWS = 20_000
# |correlation| of independent streams stays below 4 standard errors (1 / sqrt(n)).
CORRELATION_LIMIT = 4 / np.sqrt(N_DRAWS)


@given(st.integers(min_value=0, max_value=2**64), st.text(max_size=20), st.integers(0, 10_000))
def test_same_seed_and_purpose_give_the_same_stream(seed, name, index):
    first = stream(seed, name, index).normal(size=5)
    stream(seed, "something else").normal(size=100)
    assert np.array_equal(first, stream(seed, name, index).normal(size=5))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("imaging",), ("relapses",)),
        (("a", 1), ("a", 2)),
        (("a", 1), ("a",)),
        (("a", "b"), ("b", "a")),
    ],
)
def test_purposes_give_uncorrelated_streams(one, other):
    x = stream(7, *one).normal(size=N_DRAWS)
    y = stream(7, *other).normal(size=N_DRAWS)
    assert abs(np.corrcoef(x, y)[0, 1]) < CORRELATION_LIMIT


def test_seed_sequence_children_stay_distinct():
    first, second = np.random.SeedSequence(5).spawn(2)
    assert stream(first, "x").integers(2**60) != stream(second, "x").integers(2**60)


def test_generator_as_seed_is_reproducible():
    one, other = np.random.default_rng(3), np.random.default_rng(3)
    assert stream(one, "x").integers(2**60) == stream(other, "x").integers(2**60)


@pytest.mark.parametrize("seed", [None, "1", 1.5, True])
def test_nothing_is_random_by_accident(seed):
    with pytest.raises(TypeError, match="`seed` must be an int"):
        as_seed_sequence(seed)


def test_negative_seed_is_refused():
    with pytest.raises(ValueError, match="at least 0, got -1"):
        as_seed_sequence(-1)


@given(
    seed=st.integers(0, 2**32), first=st.integers(0, 90), middle=st.integers(0, 90),
    last=st.integers(0, 90),
)  # fmt: skip
def test_replicates_do_not_depend_on_how_they_are_cut(seed, first, middle, last):
    first, middle, last = sorted((first, middle, last))

    def heights(start, stop):
        drawn = np.full(stop - start, np.nan)
        for generator, kept, place in replicate_cells(seed, start, stop, "heights"):
            drawn[place] = generator.normal(size=REPLICATES_PER_CELL)[kept]
        return drawn

    parts = np.concatenate([heights(first, middle), heights(middle, last)])
    assert np.array_equal(parts, heights(first, last))
    assert not np.isnan(parts).any()


def test_cells_of_one_purpose_are_different_and_those_of_two_purposes_too():
    def first_of_each(purpose):
        return [g.normal() for g, _, _ in replicate_cells(1, 0, 10 * REPLICATES_PER_CELL, purpose)]

    both = first_of_each("a") + first_of_each("b")
    assert len(set(both)) == 20
