"""Draws by subject id: uniform, independent of the others, the same for the same seed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from pmsstats.endpoints import PRESETS
from pmsstats.endpoints.engine.imputation import imputes_last_visit, uniforms_by_id
from pmsstats.errors import DesignError

IDS = np.array([f"S{i:05d}" for i in range(20_000)], dtype=object)
HALF = dataclasses.replace(PRESETS["cdp12"], impute_last_visit=0.5)


@pytest.mark.parametrize("seed", [0, 1, 20_261_122])
def test_draws_are_uniform(seed: int) -> None:
    """Witness: Kolmogorov and Smirnov's test; at 1 in 1,000 it fails for no seed here."""
    draws = uniforms_by_id(IDS, seed)
    assert ((draws >= 0) & (draws < 1)).all()
    assert stats.kstest(draws, "uniform").pvalue > 0.001
    assert len(np.unique(draws)) == len(draws)


def test_neighbours_and_seeds_are_independent() -> None:
    """Correlations of 20,000 independent draws lie within 4 standard errors, 4 / sqrt(n)."""
    one, two = uniforms_by_id(IDS, 1), uniforms_by_id(IDS, 2)
    limit = 4 / np.sqrt(len(IDS))
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < limit
    assert abs(np.corrcoef(one, two)[0, 1]) < limit


def test_a_draw_depends_on_its_subject_alone() -> None:
    everybody = uniforms_by_id(IDS, 7)
    some = np.random.default_rng(3).permutation(len(IDS))[:50]
    np.testing.assert_array_equal(uniforms_by_id(IDS[some], 7), everybody[some])


def test_every_kind_of_seed() -> None:
    root = np.random.SeedSequence(5)
    np.testing.assert_array_equal(uniforms_by_id(IDS[:9], 5), uniforms_by_id(IDS[:9], root))
    generators = [uniforms_by_id(IDS[:9], np.random.default_rng(5)) for _ in range(2)]
    np.testing.assert_array_equal(*generators)


def test_a_higher_probability_keeps_those_of_a_lower_one() -> None:
    drawn = [
        imputes_last_visit(dataclasses.replace(HALF, impute_last_visit=p), IDS, 3)
        for p in (0, 0.2, 0.5, 1)
    ]
    assert not drawn[0].any()
    assert drawn[3].all()
    assert not (drawn[1] & ~drawn[2]).any()
    n, p = len(IDS), 0.2
    assert abs(drawn[1].mean() - p) < 4 * np.sqrt(p * (1 - p) / n)


@pytest.mark.parametrize("chance", [0, 1])
def test_certainty_needs_no_seed(chance: int) -> None:
    rule = dataclasses.replace(HALF, impute_last_visit=chance)
    assert imputes_last_visit(rule, IDS[:3], None).tolist() == [chance == 1] * 3


def test_a_seed_is_needed() -> None:
    with pytest.raises(DesignError, match=r"`impute_last_visit` of rule 'cdp12' is 0\.5.*a `seed`"):
        imputes_last_visit(HALF, IDS, None)


def test_nobody_to_draw_for() -> None:
    assert uniforms_by_id(np.array([], dtype=object), 1).tolist() == []
