"""Degrees of freedom and F tests, against closed forms."""

from __future__ import annotations

import numpy as np

from pmsstats.models.degrees_of_freedom import Satterthwaite


def test_satterthwaite_of_independent_means_is_welch():
    # Two groups with their own variances: df = (a + b)^2 / (a^2/(n1-1) + b^2/(n2-1)), Welch 1947.
    n1, n2, v1, v2 = 12, 7, 3.0, 0.5
    covariance = np.diag([v1 / n1, v2 / n2])
    parts = Satterthwaite(
        covariance=covariance,
        jacobian=np.array([np.diag([1 / n1, 0.0]), np.diag([0.0, 1 / n2])]),
        parameter_covariance=np.diag([2 * v1**2 / (n1 - 1), 2 * v2**2 / (n2 - 1)]),
    )
    a, b = v1 / n1, v2 / n2
    welch = (a + b) ** 2 / (a**2 / (n1 - 1) + b**2 / (n2 - 1))
    contrasts = np.array([[1.0, -1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    found = parts.df(contrasts)
    np.testing.assert_allclose(found[:3], [welch, n1 - 1, n2 - 1])
    assert np.isnan(found[3])
