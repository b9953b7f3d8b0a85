"""The likelihood of censored times against the distributions of scipy, and its derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pmsstats.models.parametric.censored_likelihood import CensoredRows, censored_terms
from pmsstats.models.parametric.error_laws import EXTREME_VALUE, LOGISTIC, NORMAL, ErrorLaw

SUMS = 1e-10  # relative: the same sums, through another formula
DIFFERENCE = 1e-6  # relative to the largest entry: central differences of step 1e-5

LAWS = {
    "extreme": (EXTREME_VALUE, stats.gumbel_l),
    "logistic": (LOGISTIC, stats.logistic),
    "normal": (NORMAL, stats.norm),
}
each_law = pytest.mark.parametrize("name", LAWS)
Z = np.linspace(-6, 3, 41)


@each_law
def test_laws_are_those_of_scipy(name: str) -> None:
    """Witness: scipy.stats."""
    law, peer = LAWS[name]
    np.testing.assert_allclose(law.log_survival(Z), peer.logsf(Z), rtol=1e-9)
    np.testing.assert_allclose(law.log_density(Z), peer.logpdf(Z), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(law.quantile(peer.sf(Z)), Z, rtol=1e-8, atol=1e-9)


@each_law
def test_derivatives_of_laws_are_differences(name: str) -> None:
    law, step = LAWS[name][0], 1e-4
    for value, slopes in (
        (law.log_density, law.density_slopes), (law.log_survival, law.survival_slopes)
    ):  # fmt: skip
        first, second = slopes(Z)
        up, here, down = value(Z + step), value(Z), value(Z - step)
        np.testing.assert_allclose(first, (up - down) / (2 * step), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(second, (up - 2 * here + down) / step**2, rtol=1e-4, atol=1e-5)


def rows(seed: int = 3, n: int = 30) -> CensoredRows:
    """Draw rows of every kind, with design (log t, -1, -x)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    low, high = np.sort(rng.uniform(0.5, 4, (2, n)), axis=0)
    entry = 0.3 * low
    kind = np.arange(n) % 4
    at = [np.flatnonzero(kind == k) for k in range(4)]
    late = np.flatnonzero(np.arange(n) % 3 == 0)

    def point(time: np.ndarray, of: np.ndarray) -> np.ndarray:
        return np.column_stack([np.log(time), -np.ones(len(of)), -x[of]])

    return CensoredRows(
        n_rows=n, exact=at[0], right=at[1], left=at[2], between=at[3], late=late,
        exact_point=point(low[at[0]], at[0]),
        exact_slope=np.column_stack([np.ones(len(at[0])), np.zeros((len(at[0]), 2))]),
        exact_log_time=np.log(low[at[0]]),
        right_point=point(low[at[1]], at[1]),
        left_point=point(high[at[2]], at[2]),
        lower_point=point(low[at[3]], at[3]),
        upper_point=point(high[at[3]], at[3]),
        late_point=point(entry[late], late),
    )  # fmt: skip


def brute(theta: np.ndarray, data: CensoredRows, peer) -> float:
    """Sum the contributions of the docstring with scipy's distribution of log time."""
    gamma = theta[0]
    total = (peer.logpdf(data.exact_point @ theta) + np.log(gamma) - data.exact_log_time).sum()
    total += peer.logsf(data.right_point @ theta).sum()
    total += np.log(peer.cdf(data.left_point @ theta)).sum()
    total += np.log(peer.sf(data.lower_point @ theta) - peer.sf(data.upper_point @ theta)).sum()
    return total - peer.logsf(data.late_point @ theta).sum()


THETA = np.array([1.3, 0.6, -0.4])


@each_law
def test_value_is_the_sum_of_probabilities(name: str) -> None:
    """Witness: scipy's densities and survival functions, one contribution per kind of row."""
    law, peer = LAWS[name]
    found = censored_terms(THETA, rows(), law).log_likelihood
    assert found == pytest.approx(brute(THETA, rows(), peer), rel=SUMS)


@each_law
def test_derivatives_are_differences(name: str) -> None:
    law, data, step = LAWS[name][0], rows(), 1e-5
    terms = censored_terms(THETA, data, law)
    shifts = step * np.eye(3)
    ends = [(censored_terms(THETA + e, data, law), censored_terms(THETA - e, data, law))
            for e in shifts]  # fmt: skip
    gradient = [(a.log_likelihood - b.log_likelihood) / (2 * step) for a, b in ends]
    hessian = [(a.scores - b.scores).sum(axis=0) / (2 * step) for a, b in ends]
    scale = np.abs(terms.information).max()
    np.testing.assert_allclose(terms.scores.sum(axis=0), gradient, atol=DIFFERENCE * scale)
    np.testing.assert_allclose(terms.information, -np.array(hessian), atol=DIFFERENCE * scale)


def test_falling_spline_has_no_likelihood() -> None:
    terms = censored_terms(np.array([-1.0, 0.6, -0.4]), rows(), EXTREME_VALUE)
    assert not np.isfinite(terms.log_likelihood)


def law_is_concave(law: ErrorLaw) -> bool:
    """Say whether both second derivatives are never positive."""
    return bool((law.density_slopes(Z)[1] <= 0).all() and (law.survival_slopes(Z)[1] <= 0).all())


@each_law
def test_laws_are_log_concave(name: str) -> None:
    """What makes Newton's method safe (Pratt 1981)."""
    assert law_is_concave(LAWS[name][0])
