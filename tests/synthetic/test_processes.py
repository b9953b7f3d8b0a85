"""Factors and their correlations. Witness: matrix algebra written out."""

from __future__ import annotations

import pytest

from pmsstats.errors import DesignError
from synthetic import FACTORS, PROCESSES, defaults
from synthetic.processes import (
    LEVEL_DRIVERS,
    LEVELS,
    RATES,
    check_factor,
    correlation_matrix,
    shared_covariance,
    shared_variance,
    weights,
)


def test_every_process_has_a_level_and_a_rate():
    assert len(PROCESSES) == 6
    assert set(FACTORS) == {*LEVELS, *RATES}
    assert len(FACTORS) == 12
    assert set(LEVEL_DRIVERS) - set(LEVELS) == {"age", "duration", "head_size"}


def test_weights_stand_in_the_order_of_the_factors():
    found = weights((("cord_rate", 0.5), ("age", 0.9), ("iron_level", -0.2)))
    assert found[FACTORS.index("cord_rate")] == 0.5
    assert found[FACTORS.index("iron_level")] == -0.2
    assert abs(found).sum() == pytest.approx(0.7)


def test_shared_variance_by_hand():
    """0.6^2 + 0.5^2 + 2 x 0.6 x 0.5 x 0.3, and 0.2^2 of age."""
    matrix = correlation_matrix([("iron_level", "cord_level", 0.3)])
    loadings = (("iron_level", 0.6), ("cord_level", 0.5), ("age", 0.2))
    assert shared_variance(loadings, matrix) == pytest.approx(0.36 + 0.25 + 0.18 + 0.04)


def test_shared_covariance_by_hand():
    """0.6 x 0.5 x 0.3 over the factors, 0.2 x -0.4 over age."""
    matrix = correlation_matrix([("iron_level", "cord_level", 0.3)])
    first = (("iron_level", 0.6), ("age", 0.2))
    second = (("cord_level", 0.5), ("age", -0.4))
    assert shared_covariance(first, second, matrix) == pytest.approx(0.09 - 0.08)


def test_an_unknown_factor_suggests_the_nearest():
    with pytest.raises(DesignError, match="Did you mean 'cord_rate'"):
        check_factor("the model", "loadings", "cord_rat", FACTORS)


def test_default_correlations_hold_the_two_kinds_of_rates_apart():
    """Demyelination and focal inflammation progress independently of neurodegeneration."""
    pairs = {frozenset(pair[:2]) for pair in defaults.CORRELATIONS}
    assert frozenset(("demyelination_rate", "neurodegeneration_rate")) not in pairs
    assert frozenset(("inflammation_rate", "neurodegeneration_rate")) not in pairs
    assert frozenset(("neurodegeneration_rate", "meningeal_rate")) in pairs
