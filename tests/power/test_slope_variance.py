"""Variance of a slope by its weights: a sandwich written again from the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pmsstats.power.schedule import VisitSchedule
from pmsstats.power.slope import power_slope
from pmsstats.power.slope_variance import SlopeModel

EXACT = 1e-10  # the same formula in another hand: rounding only
PAIR, YEARS = (30, 50), (0.0, 0.5, 1.0, 1.25, 2.0)
SCHEDULE = VisitSchedule(years=YEARS)
MODEL = SlopeModel(slope_sd=0.5, residual_sd=0.6, intercept_sd=1.0, correlation=0.3)


def marginal_variance(weights, dropout):
    """Variance of an arm's mean slope times its subjects: a sandwich, Liu and Liang 1997."""
    t = np.array(YEARS)
    V = 1.0 + 0.15 * (t[:, None] + t) + 0.25 * np.outer(t, t) + 0.36 * np.eye(len(t))
    stay = np.append((1 - dropout) ** t, 0.0)
    bread, meat = np.zeros((2, 2)), np.zeros((2, 2))
    for k in range(1, len(t) + 1):
        X = np.column_stack([np.ones(k), t[:k]])
        G = np.linalg.solve(weights(V, k), X)
        bread += (stay[k - 1] - stay[k]) * X.T @ G
        meat += (stay[k - 1] - stay[k]) * G.T @ V[:k, :k] @ G
    inverse = np.linalg.inv(bread)
    return (inverse @ meat @ inverse)[1, 1]


def alike(V, k):
    """Exchangeable weights with the mean correlation of two different visits."""
    R = V / np.sqrt(np.outer(np.diag(V), np.diag(V)))
    mean = R[np.triu_indices(len(V), 1)].mean()
    return np.full((k, k), mean) + (1 - mean) * np.eye(k)


WEIGHTS = {
    "independence": lambda V, k: np.eye(len(V))[:k, :k],
    "exchangeable": alike,
    "true": lambda V, k: V[:k, :k],
}


@pytest.mark.parametrize("working", WEIGHTS)
def test_estimating_equation_with_dropout_by_hand(working):
    result = power_slope(
        n=PAIR, schedule=SCHEDULE, model=MODEL, effect=0.3, method="liu_liang", working=working,
        dropout=(0.1, 0.3),
    )  # fmt: skip
    parts = [marginal_variance(WEIGHTS[working], d) for d in (0.1, 0.3)]
    expected = math.sqrt(parts[0] / PAIR[0] + parts[1] / PAIR[1])
    found = result.table().set_index("quantity").loc["std_error", "value"]
    assert found == pytest.approx(expected, rel=EXACT)
