"""Random streams are reproducible, independent, and named by purpose."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.seeds import as_seed_sequence, stream

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
