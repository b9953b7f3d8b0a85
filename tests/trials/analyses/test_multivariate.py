"""The joint model of several outcomes against its likelihood written out, and its combinations."""

from __future__ import annotations

import numpy as np
import pytest
from trial_cases import analysis_of, scenario_of, slope_trials

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.trials.analyses import analyse
from pmsstats.trials.analyses.joint_slopes import fit_joint_slopes
from pmsstats.trials.analyses.joint_sums import joint_sums
from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.scenario import TrialEndpoint
from tests.trials.analyses.small_trials import CLOSED
from tests.trials.analyses.small_trials import run as run_two_arms

NAMES = ("volume", "edss_like", "walk", "hand")
ENDPOINTS = tuple(TrialEndpoint(name=name, measure=name) for name in NAMES)
TIME = np.array([0.0, 0.5, 1.0])


def small(seed: int = 1) -> tuple[list[np.ndarray], np.ndarray]:
    """Two outcomes of unit size, some values missing, two arms."""
    rng = np.random.default_rng(seed)
    code = np.repeat([0, 1], [14, 12])[None]
    root = np.linalg.cholesky(
        [[1.0, 0.1, 0.5, 0.0], [0.1, 0.4, 0.0, 0.2], [0.5, 0.0, 1.0, 0.1], [0.0, 0.2, 0.1, 0.5]]
    )
    b = rng.normal(size=(1, 26, 4)) @ root.T
    values = []
    for k in range(2):
        y = b[..., 2 * k, None] + b[..., 2 * k + 1, None] * TIME + rng.normal(0, 0.4, (1, 26, 3))
        y[rng.random(y.shape) < 0.1] = np.nan
        values.append(y)
    return values, code


def means() -> np.ndarray:
    """Intercept, slope and effect on the slope, for each outcome and arm."""
    out = np.zeros((2, 4, 6))
    for k in range(2):
        out[:, 2 * k, 3 * k] = 1.0
        out[:, 2 * k + 1, 3 * k + 1] = 1.0
        out[1, 2 * k + 1, 3 * k + 2] = 1.0
    return out


def dense(values: list[np.ndarray], code: np.ndarray, D: np.ndarray, s2: np.ndarray):
    """Restricted log-likelihood, generalised least squares and covariance, subject by subject."""
    H, right, quadratic, log_det = np.zeros((6, 6)), np.zeros(6), 0.0, 0.0
    for i in range(code.shape[1]):
        rows = [(k, t) for k in range(2) for t in range(3) if not np.isnan(values[k][0, i, t])]
        Z = np.zeros((len(rows), 4))
        for r, (k, t) in enumerate(rows):
            Z[r, 2 * k : 2 * k + 2] = 1.0, TIME[t]
        y = np.array([values[k][0, i, t] for k, t in rows])
        X = Z @ means()[code[0, i]]
        V = Z @ D @ Z.T + np.diag([s2[k] for k, _ in rows])
        W = np.linalg.inv(V)
        H, right = H + X.T @ W @ X, right + X.T @ W @ y
        quadratic += y @ W @ y
        log_det += np.linalg.slogdet(V)[1]
    beta = np.linalg.solve(H, right)
    total = log_det + np.linalg.slogdet(H)[1] + quadratic - beta @ right
    return -total / 2, beta, np.linalg.inv(H)


def test_the_fit_is_where_the_restricted_likelihood_is_flat():
    values, code = small()
    fit = fit_joint_slopes(joint_sums(values, TIME, code, 2), means())
    assert fit.converged.all()
    D, s2 = fit.random[0], fit.residual[0]
    at, beta, covariance = dense(values, code, D, s2)
    np.testing.assert_allclose(fit.effects[0], beta, rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(fit.covariance[0], covariance, rtol=1e-8, atol=1e-12)
    rng = np.random.default_rng(2)
    for _ in range(12):  # a step in any direction leads down
        change = rng.normal(size=(4, 4))
        change = (change + change.T) / 2 * 0.02
        scale = np.exp(rng.normal(0, 0.02, 2))
        assert np.linalg.eigvalsh(D + change)[0] > 0
        assert dense(values, code, D + change, s2 * scale)[0] < at
    for a in range(4):
        for b in range(a + 1):
            step = np.zeros((4, 4))
            step[a, b] = step[b, a] = 1e-3
            up, down = (dense(values, code, D + s * step, s2)[0] for s in (1, -1))
            slope, curvature = (up - down) / 2e-3, (2 * at - up - down) / 1e-6
            assert curvature > 0
            assert slope**2 / (2 * curvature) < 1e-5  # log-likelihood that is left to gain


def run(data: TrialArrays, **options) -> AnalysisBatch:
    """The combined effect."""
    analysis = analysis_of("multivariate", endpoints=NAMES, options=options)
    scenario = scenario_of(analysis, endpoints=ENDPOINTS, n=data.n_subjects)
    return analyse(scenario, analysis, data, arms=("active",))


def test_complete_data_give_each_outcome_the_estimate_that_it_has_alone():
    data = slope_trials(41, 4, (30, 30), measures=NAMES, dropout=0.0)
    for name in NAMES[:2]:
        analysis = analysis_of("random_slope", endpoint=name)
        scenario = scenario_of(analysis, endpoints=ENDPOINTS)
        alone = analyse(scenario, analysis, data, arms=("active",))
        joint = run(data, component=name)
        ratio = joint.std_error / alone.std_error
        assert np.abs(joint.estimate - alone.estimate).max() < 0.35 * alone.std_error.max()
        assert np.abs(ratio - 1).max() < 0.1


def test_weights_of_most_power_have_the_largest_statistic_for_what_was_assumed():
    data = slope_trials(42, 40, (60, 60), slopes=(-1.0, -0.6), measures=NAMES)
    values = {k: data.values[k] * s for k, s in zip(NAMES, (1.0, 5.0, 0.2, 1.0), strict=True)}
    data = data.replace(values=values)
    best = run(data, combine="optimal", effects=(0.4, 2.0, 0.08, 0.4))
    equal = run(data)
    single = run(data, component="volume")
    error = 4 * best.estimate.std() / np.sqrt(40)
    assert abs(best.estimate.mean() - 1.0) < error
    assert best.information.mean() > 0
    assert equal.z.mean() > single.z.mean()
    assert best.z.mean() == pytest.approx(equal.z.mean(), rel=0.05)  # all effects are alike


def test_weights_choose_an_outcome():
    data = slope_trials(43, 5, (30, 30), slopes=(-1.0, -0.5), measures=NAMES)
    one = run(data, weights=(0.0, 1.0, 0.0, 0.0))
    alone = run(data, component="edss_like")
    np.testing.assert_allclose(one.z, alone.z, rtol=1e-8)


def test_many_patterns_of_missing_values_are_fitted():
    data = slope_trials(44, 5, (30, 30), slopes=(-1.0, -0.5), measures=NAMES)
    rng = np.random.default_rng(45)
    holes = {k: np.where(rng.random(v.shape) < 0.15, np.nan, v) for k, v in data.values.items()}
    batch = run(data.replace(values=holes))
    assert (batch.reason == "").all()


BOTH = (
    TrialEndpoint(name="volume", measure="volume"),
    TrialEndpoint(name="walk", measure="walk", better="lower"),
)


def joint(data: TrialArrays, **options) -> AnalysisBatch:
    """A combination of two outcomes that correlate."""
    analysis = analysis_of("multivariate", endpoints=("volume", "walk"), options=options)
    return run_two_arms(analysis, data, endpoints=BOTH)


def test_combinations_are_made_of_the_components():
    """Gains over the standard deviation of slopes that their errors imply; by hand."""
    data = slope_trials(81, 3, (30, 20), slopes=(-1.0, -0.6), measures=("volume", "walk"))
    parts = [joint(data, component=name) for name in ("volume", "walk")]
    weights = np.array([1.0, 3.0])
    sd = [p.std_error * np.sqrt(p.n_reference * p.n_treated / 50) for p in parts]
    gains = [p.estimate / s for p, s in zip(parts, sd, strict=True)]
    found = joint(data, weights=weights.tolist())
    np.testing.assert_allclose(found.estimate, (gains[0] + 3 * gains[1]) / 4, rtol=CLOSED)
    one, other = (joint(data, weights=w).std_error for w in ((1.0, 0.0), (0.0, 1.0)))
    mixed = joint(data).std_error  # the covariance of both, from the variance of their mean
    shared = 4 * mixed**2 - one**2 - other**2
    expected = np.sqrt(one**2 + 9 * other**2 + 3 * shared) / 4
    np.testing.assert_allclose(found.std_error, expected, rtol=CLOSED)
    assert (shared < 0).all()  # gains: walk is turned, so what correlates goes apart
    assert (found.df == 48).all()


def test_the_share_of_assumed_effects_that_was_reached_by_hand():
    data = slope_trials(82, 2, (30, 30), slopes=(-1.0, -0.6), measures=("volume", "walk"))
    parts = [joint(data, component=name) for name in ("volume", "walk")]
    b = np.concatenate([p.estimate for p in parts], axis=1)
    se = np.concatenate([p.std_error for p in parts], axis=1)
    errors = [joint(data, weights=w).std_error for w in ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))]
    share = (4 * errors[2] ** 2 - errors[0] ** 2 - errors[1] ** 2) / 2 / (errors[0] * errors[1])
    assumed = np.array([0.4, 0.1])
    found = joint(data, combine="optimal", effects=assumed.tolist())
    for row in range(2):
        R = np.array([[1.0, share[row, 0]], [share[row, 0], 1.0]])
        W = np.linalg.inv(R * np.outer(se[row], se[row]))
        scale = assumed @ W @ assumed
        assert found.estimate[row, 0] == pytest.approx(assumed @ W @ b[row] / scale, rel=1e-7)
        assert found.std_error[row, 0] == pytest.approx(1 / np.sqrt(scale), rel=1e-7)


@pytest.mark.parametrize(
    "options",
    [{"combine": "gls", "weights": (1.0, 2.0)}, {"effects": (1.0, 1.0)},
     {"combine": "optimal", "effects": (1.0, 1.0), "weights": (1.0, 1.0)}],
)  # fmt: skip
def test_numbers_that_a_combination_does_not_use_are_refused(options):
    data = slope_trials(83, 1, (10, 10), measures=("volume", "walk"))
    with pytest.raises(DesignError, match="does not use"):
        joint(data, **options)
