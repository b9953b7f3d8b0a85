"""Covariance structures: entries, derivatives, parameters without bounds."""

from __future__ import annotations

import numpy as np
import pytest
from repeated_cases import ENTRIES, N_VISITS, THETA, gradient_of

from pmsstats.models.repeated.mmrm_correlation import autocorrelations, partial_autocorrelations
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES

ROUNDING = 1e-12  # a few products of numbers of about one
DIFFERENCES = 1e-8  # fourth-order differences with steps of 1e-3
BY_VISIT = [name for name in COVARIANCES if name != "sp_exp"]
DISTANCES = np.abs(np.subtract.outer([0.0, 1.1, 2.7, 3.0], [0.0, 1.1, 2.7, 3.0]))


def entries(name: str, theta: np.ndarray) -> np.ndarray:
    """Write down the matrix entry by entry, distances as above."""
    made = [
        [ENTRIES[name](theta, i, j, DISTANCES[i, j]) for j in range(N_VISITS)]
        for i in range(N_VISITS)
    ]
    return np.array(made)


def test_every_structure_is_tested() -> None:
    assert set(COVARIANCES) == set(ENTRIES) == set(THETA)


@pytest.mark.parametrize("name", BY_VISIT)
def test_entries_are_those_of_the_definition(name: str) -> None:
    theta = np.array(THETA[name])
    found = COVARIANCES[name].matrix(theta, N_VISITS)
    np.testing.assert_allclose(found, entries(name, theta), rtol=ROUNDING)
    assert len(COVARIANCES[name].names(N_VISITS)) == len(theta)


def test_spatial_entries_are_those_of_the_definition() -> None:
    theta = np.array(THETA["sp_exp"])
    found = COVARIANCES["sp_exp"].at(theta, DISTANCES)
    np.testing.assert_allclose(found, entries("sp_exp", theta), rtol=ROUNDING)


@pytest.mark.parametrize("name", BY_VISIT)
def test_derivatives_are_those_of_the_entries(name: str) -> None:
    structure, theta = COVARIANCES[name], np.array(THETA[name])
    first = gradient_of(lambda t: entries(name, t), theta, 1e-3)
    np.testing.assert_allclose(structure.first(theta, N_VISITS), first, atol=DIFFERENCES)
    second = gradient_of(lambda t: structure.first(t, N_VISITS), theta, 1e-3)
    found = structure.second(theta, N_VISITS)
    zero = np.zeros_like(second)
    np.testing.assert_allclose(zero if found is None else found, second, atol=DIFFERENCES)


def test_spatial_derivatives_are_those_of_the_entries() -> None:
    structure, theta = COVARIANCES["sp_exp"], np.array(THETA["sp_exp"])
    first = gradient_of(lambda t: entries("sp_exp", t), theta, 1e-3)
    np.testing.assert_allclose(structure.first_at(theta, DISTANCES), first, atol=DIFFERENCES)
    second = gradient_of(lambda t: structure.first_at(t, DISTANCES), theta, 1e-3)
    np.testing.assert_allclose(structure.second_at(theta, DISTANCES), second, atol=DIFFERENCES)


@pytest.mark.parametrize("name", COVARIANCES)
def test_free_parameters_come_back(name: str) -> None:
    structure, theta = COVARIANCES[name], np.array(THETA[name])
    free = structure.free(theta, N_VISITS)
    np.testing.assert_allclose(structure.theta(free, N_VISITS), theta, rtol=1e-10)
    slopes = gradient_of(lambda f: structure.theta(f, N_VISITS), free, 1e-3).T
    np.testing.assert_allclose(structure.jacobian(free, N_VISITS), slopes, atol=1e-7)


@pytest.mark.parametrize("name", BY_VISIT)
@pytest.mark.parametrize("n_visits", [2, 3, 7])
def test_any_numbers_make_a_positive_definite_matrix(name: str, n_visits: int) -> None:
    structure = COVARIANCES[name]
    rng = np.random.default_rng(n_visits)
    for _ in range(50):
        free = rng.normal(0, 1.0, structure.n_parameters(n_visits))
        matrix = structure.matrix(structure.theta(free, n_visits), n_visits)
        np.testing.assert_allclose(matrix, matrix.T, rtol=ROUNDING)
        s = np.sqrt(np.diag(matrix))
        assert np.linalg.eigvalsh(matrix / np.outer(s, s)).min() > 0


@pytest.mark.parametrize("name", BY_VISIT)
def test_starting_values_are_inside(name: str) -> None:
    structure = COVARIANCES[name]
    rng = np.random.default_rng(3)
    for _ in range(20):
        half = rng.normal(0, 1, (5, 5))
        theta = structure.start(half @ half.T + 0.05 * np.eye(5))
        assert np.linalg.eigvalsh(structure.matrix(theta, 5)).min() > 0


def test_autocorrelations_of_an_autoregression_decay() -> None:
    # An AR(1) process has one partial autocorrelation.
    found = autocorrelations(np.array([0.6, 0.0, 0.0, 0.0]))
    np.testing.assert_allclose(found, 0.6 ** np.arange(1, 5), rtol=ROUNDING)
    np.testing.assert_allclose(partial_autocorrelations(found), [0.6, 0, 0, 0], atol=ROUNDING)
