"""Maximum likelihood of joint models from arrays: published fit, known truths, bad data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from joint_cases import Truth, aids_arrays, draw_arrays, rich_arrays, rich_theta
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.joint.arrays import HazardPoints, JointArrays, no_points
from pmsstats.models.joint.climb import newton_step
from pmsstats.models.joint.maximise import JointMaximum, default_nodes, maximise
from pmsstats.models.joint.posterior import log_hazard, posterior_nodes
from pmsstats.models.kernels.joint_likelihood import evaluate, joint_problem

SAME = 1e-8  # relative: one likelihood, computed twice
TOP = 1e-5  # standard errors: the climb stops when a step is 1e-6 long
SEPARATE = 1e-6  # relative: two likelihoods that share no parameter, maximised together and alone
N_REPLICATES = 120
MCSE = 4


@pytest.fixture(scope="module")
def drawn() -> JointArrays:
    return draw_arrays(Truth(), 250, np.random.default_rng(11))


@pytest.fixture(scope="module")
def fitted(drawn: JointArrays) -> JointMaximum:
    return maximise(drawn)


# --- the published fit ------------------------------------------------------------------------


def test_aids_agrees_with_the_published_fit() -> None:
    case = load_case("joint_aids")
    cuts = case.rows("cut")["value"].to_numpy(float)
    found = maximise(aids_arrays(case.input, cuts))
    errors = np.sqrt(np.diag(found.covariance))
    ours = {
        "log_likelihood": [found.log_likelihood],
        "estimate": [found.alpha[0, 0], found.psi[0][-1], found.beta[1]],
        "std_error": [errors[-1], errors[-2], errors[1]],
    }
    assert found.certificate.is_valid
    for quantity, values in ours.items():
        rows = case.rows(quantity)
        assert len(rows) == len(values)
        for value, row in zip(values, rows.itertuples(), strict=True):
            assert value == pytest.approx(float(row.value), rel=float(row.rtol)), row.term


def test_aids_needs_few_nodes() -> None:
    case = load_case("joint_aids")
    arrays = aids_arrays(case.input, case.rows("cut")["value"].to_numpy(float))
    few, many = (maximise(arrays, n_nodes=n, check_nodes=False) for n in (default_nodes(2), 31))
    assert few.log_likelihood == pytest.approx(many.log_likelihood, abs=1e-4)
    shift = np.abs(few.theta - many.theta) / np.sqrt(np.diag(many.covariance))
    assert shift.max() < 1e-3  # standard errors; 4e-5 when written
    assert few.certificate.nodes is None  # not asked for
    assert maximise(arrays, n_nodes=3).certificate.nodes.estimates > 10 * shift.max()


# --- what a maximum is ------------------------------------------------------------------------


def test_no_neighbour_is_better(drawn: JointArrays, fitted: JointMaximum) -> None:
    problem, errors = joint_problem(drawn), np.sqrt(np.diag(fitted.covariance))
    best = evaluate(problem, fitted.theta, 21).value
    for j, error in enumerate(errors):
        for side in (-0.2, 0.2):
            beside = fitted.theta.copy()
            beside[j] += side * error
            assert evaluate(problem, beside, 21).value < best


def test_start_does_not_matter(drawn: JointArrays, fitted: JointMaximum) -> None:
    far = fitted.start + np.array([0.5, -0.5, 0.7, -0.6, 0.3, 0.6, -0.8, 1.0])
    other = maximise(drawn, start=far)
    shift = np.abs(other.theta - fitted.theta) / np.sqrt(np.diag(fitted.covariance))
    assert shift.max() < TOP


def test_covariance_is_the_inverse_curvature(drawn: JointArrays, fitted: JointMaximum) -> None:
    """Differences of the adaptive value itself, with many nodes: no derivative of ours in it."""
    problem, n = joint_problem(drawn), len(fitted.theta)
    steps = 0.1 * np.diag(np.sqrt(np.diag(fitted.covariance)))

    def value(move) -> float:
        return evaluate(problem, fitted.theta + move, 25).value

    curvature = np.empty((n, n))
    for i in range(n):
        for j in range(i + 1):
            a, b = steps[i], steps[j]
            corners = value(a + b) - value(a - b) - value(b - a) + value(-a - b)
            curvature[i, j] = curvature[j, i] = -corners / 4
    scaled = np.outer(np.diag(steps), np.diag(steps)) * np.linalg.inv(curvature)
    expected = np.sqrt(np.diag(scaled))
    # 1e-2: differences over a fifth of a standard error see third and fourth derivatives
    np.testing.assert_allclose(np.sqrt(np.diag(fitted.covariance)), expected, rtol=1e-2)


def test_markers_scale_carries_over(drawn: JointArrays, fitted: JointMaximum) -> None:
    marker = drawn.markers[0]
    tenfold = replace(drawn, markers=(replace(marker, y=10 * marker.y),))
    found = maximise(tenfold)
    assert found.alpha[0, 0] == pytest.approx(fitted.alpha[0, 0] / 10, rel=1e-6)
    np.testing.assert_allclose(found.beta, 10 * fitted.beta, rtol=1e-6)
    np.testing.assert_allclose(found.D, 100 * fitted.D, rtol=1e-5)
    lost = len(marker.y) * np.log(10)
    assert found.log_likelihood == pytest.approx(fitted.log_likelihood - lost, abs=1e-6)


def test_two_causes_without_links_are_two_models() -> None:
    arrays = draw_arrays(Truth(alpha=0.0), 120, np.random.default_rng(5))

    def unlinked(points: HazardPoints, n_causes: int) -> HazardPoints:
        return replace(
            points, basis=points.basis * n_causes, fixed=points.fixed[:0], random=points.random[:0]
        )

    cause = np.arange(len(arrays.event.subject)) % 3 // 2
    none = no_points(unlinked(arrays.at_risk, 2))
    both = JointArrays(
        n_subjects=120, markers=arrays.markers, at_risk=unlinked(arrays.at_risk, 2),
        event=unlinked(arrays.event, 2), event_cause=cause, interval=none, entry=none,
    )  # fmt: skip
    found = maximise(both)
    time = arrays.at_risk.weight.sum()
    for c in range(2):  # constant hazards: events over time at risk
        assert found.psi[c][0] == pytest.approx(np.log((cause == c).sum() / time), rel=SEPARATE)
        error = np.sqrt(found.covariance[found.shape.psi[c], found.shape.psi[c]])
        assert float(error[0, 0]) == pytest.approx((cause == c).sum() ** -0.5, rel=SEPARATE)


def test_start_is_the_two_stage_fit(drawn: JointArrays, fitted: JointMaximum) -> None:
    """Markers by dense normal densities, then a Poisson likelihood of the events, from scratch."""
    shape, marker = fitted.shape, drawn.markers[0]
    parts = shape.unpack(fitted.start)

    def log_likelihood(beta, D, sigma) -> tuple[float, np.ndarray]:
        total, means = 0.0, np.empty((drawn.n_subjects, 2))
        for i in range(drawn.n_subjects):
            rows = marker.subject == i
            Z, r = marker.Z[rows], marker.y[rows] - marker.X[rows] @ beta
            V = Z @ D @ Z.T + sigma**2 * np.eye(len(r))
            total += stats.multivariate_normal(np.zeros(len(r)), V).logpdf(r)
            means[i] = D @ Z.T @ np.linalg.solve(V, r)
        return total, means

    best, means = log_likelihood(parts.beta, parts.D, parts.sigma[0])
    for factor in (0.999, 1.001):
        assert log_likelihood(factor * parts.beta, parts.D, parts.sigma[0])[0] < best
        assert log_likelihood(parts.beta, factor * parts.D, parts.sigma[0])[0] < best
        assert log_likelihood(parts.beta, parts.D, factor * parts.sigma[0])[0] < best

    def slopes(points: HazardPoints) -> np.ndarray:
        value = points.fixed[0] @ parts.beta + (points.random[0] * means[points.subject]).sum(1)
        return np.column_stack([points.basis[0], value])

    at_risk, event = slopes(drawn.at_risk), slopes(drawn.event)
    gamma = np.array([parts.psi[0][0], parts.alpha[0, 0]])
    expected = (drawn.at_risk.weight * np.exp(at_risk @ gamma)) @ at_risk
    np.testing.assert_allclose(event.sum(0), expected, rtol=1e-5)


# --- known truths -----------------------------------------------------------------------------


def replicates(truth: Truth, n_subjects: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return estimates, standard errors and two-stage starts of the association."""
    rows = []
    for seed in range(N_REPLICATES):
        arrays = draw_arrays(truth, n_subjects, np.random.default_rng([seed, 7]))
        fit = maximise(arrays, check_nodes=False)
        assert fit.certificate.is_valid, (seed, fit.certificate.problems)
        rows.append((fit.alpha[0, 0], fit.covariance[-1, -1] ** 0.5, fit.start[-1]))
    return tuple(np.array(rows).T)


@pytest.mark.slow
@pytest.mark.parametrize(
    "truth",
    [Truth(), Truth(link="slope", alpha=1.0, sd=(0.8, 0.6)), Truth(gap=0.5)],
    ids=["value", "slope", "interval-censored"],
)
def test_truth_is_found_and_covered(truth: Truth) -> None:
    estimate, error, naive = replicates(truth, 200)
    mcse = estimate.std(ddof=1) / N_REPLICATES**0.5
    assert abs(estimate.mean() - truth.alpha) < MCSE * mcse
    covered = (np.abs(estimate - truth.alpha) < stats.norm.ppf(0.975) * error).mean()
    assert abs(covered - 0.95) < MCSE * (0.95 * 0.05 / N_REPLICATES) ** 0.5
    # the error of a standard deviation of n normal numbers is 1 / sqrt(2 n) of it
    assert error.mean() / estimate.std(ddof=1) == pytest.approx(
        1, abs=MCSE / (2 * N_REPLICATES) ** 0.5
    )
    naive_mcse = (naive - estimate).std(ddof=1) / N_REPLICATES**0.5
    assert abs(naive.mean() - truth.alpha) > MCSE * naive_mcse


# --- the certificate --------------------------------------------------------------------------


def test_certificate_of_a_good_fit(drawn: JointArrays, fitted: JointMaximum) -> None:
    sheet = fitted.certificate
    assert sheet.is_valid
    assert sheet.rank == sheet.n_theta == len(fitted.theta)
    assert sheet.decrement < TOP
    assert sheet.time is None
    assert sheet.nodes.n_nodes == 2 * default_nodes(2)
    assert abs(sheet.nodes.log_likelihood) < 1e-3


def test_newtons_method_needs_few_steps(fitted: JointMaximum) -> None:
    assert fitted.n_iterations <= 6
    assert fitted.n_evaluations <= 16  # with those of the first stage


def test_too_few_points_over_time_are_found_out() -> None:
    steep = Truth(alpha=1.5, sd=(0.8, 0.6))
    rules = {n: np.polynomial.legendre.leggauss(n) for n in (2, 12)}
    coarse = coarse_arrays(steep, rules[2])
    found = maximise(coarse, refine=lambda: coarse_arrays(steep, rules[12]))
    assert not found.certificate.is_valid
    assert any("points over time" in text for text in found.certificate.problems)
    assert found.certificate.nodes.estimates < 0.05


def coarse_arrays(truth: Truth, rule) -> JointArrays:
    fine = draw_arrays(truth, 150, np.random.default_rng(4))
    T = np.bincount(fine.at_risk.subject, weights=fine.at_risk.weight)
    half = T[:, None] / 2
    time, subject = (half * (1 + rule[0])).ravel(), np.repeat(np.arange(150), len(rule[0]))
    link = np.column_stack([np.ones_like(time), time])[None]
    at_risk = HazardPoints(
        subject=subject, weight=(half * rule[1]).ravel(), basis=(link[0, :, :1],), fixed=link,
        random=link,
    )  # fmt: skip
    return replace(fine, at_risk=at_risk)


STRONG = Truth(alpha=1.0, sd=(1.2, 0.6))  # skewed posteriors


def test_too_few_nodes_are_found_out() -> None:
    found = maximise(draw_arrays(STRONG, 150, np.random.default_rng(4)), n_nodes=2)
    assert found.n_nodes == 2
    assert any("nodes over the random effects" in text for text in found.certificate.problems)


def test_too_few_nodes_are_mended_where_none_were_asked_for(monkeypatch) -> None:
    arrays = draw_arrays(STRONG, 150, np.random.default_rng(4))
    good = maximise(arrays)
    monkeypatch.setattr("pmsstats.models.joint.maximise._NODES", {2: 2})
    found = maximise(arrays)
    assert found.n_nodes == 4
    assert found.certificate.is_valid
    shift = np.abs(found.theta - good.theta) / np.sqrt(np.diag(good.covariance))
    assert 1e-6 < shift.max() < 0.05  # standard errors; the latter is what is certified


def with_column(arrays: JointArrays, column: np.ndarray) -> JointArrays:
    """Add a baseline covariate of subjects."""

    def wider(points: HazardPoints) -> HazardPoints:
        basis = np.column_stack([points.basis[0], column[points.subject]])
        return replace(points, basis=(basis,))

    names = ("at_risk", "event", "interval", "entry")
    return replace(arrays, **{name: wider(getattr(arrays, name)) for name in names})


def test_separation_is_never_a_fit(drawn: JointArrays) -> None:
    column = np.zeros(drawn.n_subjects)
    column[np.setdiff1d(np.arange(drawn.n_subjects), drawn.event.subject)[::4]] = 1.0
    found = maximise(with_column(drawn, column))
    assert not found.certificate.is_valid
    assert found.certificate.vague == (found.shape.psi[0].start + 1,)


def test_collinear_covariates_are_never_a_fit(drawn: JointArrays) -> None:
    found = maximise(with_column(drawn, np.ones(drawn.n_subjects)))
    assert not found.certificate.is_valid
    assert found.certificate.rank == found.certificate.n_theta - 1
    assert np.isnan(found.covariance).all()


def test_no_event_at_all_is_never_a_fit(drawn: JointArrays) -> None:
    nobody = replace(drawn, event=no_points(drawn.event), event_cause=np.zeros(0, dtype=int))
    assert not maximise(nobody).certificate.is_valid


def test_variance_of_zero_is_never_a_fit() -> None:
    """Without slopes of their own, about half of all samples have no maximum inside."""
    truth = Truth(sd=(0.8, 1e-12), correlation=0.0, alpha=0.3)
    fits = [
        maximise(draw_arrays(truth, 60, np.random.default_rng(seed)), check_nodes=False)
        for seed in range(8)
    ]
    collapsed = [fit for fit in fits if fit.D[1, 1] - fit.D[0, 1] ** 2 / fit.D[0, 0] < 1e-6]
    assert 2 <= len(collapsed) <= 6
    for fit in fits:
        assert fit.certificate.is_valid != (fit in collapsed)
    for fit in collapsed:
        assert fit.shape.root.stop - 1 in fit.certificate.vague
        assert any("went to zero" in text for text in fit.certificate.problems)


def test_start_that_overflows_is_left_for_another(drawn: JointArrays, fitted: JointMaximum) -> None:
    found = maximise(drawn, start=np.full(8, 400.0))
    np.testing.assert_allclose(found.theta, fitted.theta, rtol=SAME)


def test_newton_step_leads_up_where_the_likelihood_bends_the_wrong_way() -> None:
    score, information = np.array([1.0, -2.0]), np.diag([-3.0, 5.0])
    step, decrement, is_peak = newton_step(score, information)
    np.testing.assert_allclose(step, [1 / 3, -2 / 5])
    assert decrement == pytest.approx((1 / 3 + 4 / 5) ** 0.5)
    assert not is_peak


# --- the posterior ----------------------------------------------------------------------------


def test_posterior_agrees_with_the_fit(drawn: JointArrays, fitted: JointMaximum) -> None:
    nodes, weights, log_likelihood = posterior_nodes(drawn, fitted.theta)
    assert nodes.shape == (250, default_nodes(2) ** 2, 2)
    np.testing.assert_allclose(weights.sum(1), 1.0)
    assert log_likelihood.sum() == pytest.approx(fitted.log_likelihood, rel=SAME)
    mean = np.einsum("nz,nzq->nq", weights, nodes)
    np.testing.assert_allclose(mean, fitted.posterior_mean, rtol=1e-6, atol=1e-8)
    spread = nodes - mean[:, None]
    covariance = np.einsum("nz,nzq,nzr->nqr", weights, spread, spread)
    np.testing.assert_allclose(covariance, fitted.posterior_covariance, rtol=1e-5, atol=1e-8)


def test_posterior_of_unknown_event_times_agrees_with_the_likelihood() -> None:
    arrays = replace(rich_arrays(), entry=no_points(rich_arrays().entry))
    _, _, log_likelihood = posterior_nodes(arrays, rich_theta(), 5)
    expected = evaluate(joint_problem(arrays), rich_theta(), 5).values  # noqa: PD011
    np.testing.assert_allclose(log_likelihood, expected, rtol=SAME)


def test_log_hazards_are_the_definition() -> None:
    arrays, theta = rich_arrays(), rich_theta()
    shape = joint_problem(arrays).sums.shape
    parts = shape.unpack(theta)
    nodes = np.random.default_rng(1).normal(size=(12, 4, 3))
    found = log_hazard(arrays.at_risk, parts, nodes)
    assert found.shape == (len(arrays.at_risk.subject), 4, 2)
    points, t, z = arrays.at_risk, 17, 2
    b = nodes[points.subject[t], z]
    for c in range(2):
        links = points.fixed[:, t] @ parts.beta + points.random[:, t] @ b
        expected = points.basis[c][t] @ parts.psi[c] + parts.alpha[c] @ links
        assert found[t, z, c] == pytest.approx(expected)


# --- arrays that contradict each other --------------------------------------------------------


def broken(name: str) -> dict:
    arrays = rich_arrays()
    points = arrays.at_risk
    return {
        "markers": {"markers": ()},
        "sorted": {"at_risk": replace(points, subject=points.subject[::-1])},
        "codes": {"at_risk": replace(points, subject=points.subject + 1)},
        "weight": {"at_risk": replace(points, weight=points.weight[1:])},
        "not finite": {"at_risk": replace(points, weight=points.weight * np.nan)},
        "basis": {"event": replace(arrays.event, basis=arrays.event.basis[:1])},
        "basis not finite": {
            "at_risk": replace(points, basis=(points.basis[0] * np.inf, points.basis[1]))
        },
        "cause": {"event_cause": arrays.event_cause + 5},
        "X": {"markers": (replace(arrays.markers[0], X=arrays.markers[0].X[1:]),)},
    }[name]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("markers", "`markers` must hold at least one"),
        ("sorted", "`at_risk.subject` must hold codes"),
        ("codes", "`at_risk.subject` must hold codes"),
        ("weight", "`at_risk.weight` must have shape"),
        ("not finite", "`at_risk.weight` must be finite"),
        ("basis", "`event.basis` must have"),
        ("basis not finite", "`at_risk.basis` must be finite"),
        ("cause", "`event_cause` must hold"),
        ("X", "`markers\\[0\\].X` must have shape"),
    ],
)
def test_contradictions_are_refused(name: str, message: str) -> None:
    with pytest.raises(DesignError, match=message), np.errstate(invalid="ignore"):
        replace(rich_arrays(), **broken(name))


def test_default_nodes_shrink_with_dimensions() -> None:
    assert [default_nodes(q) for q in (1, 2, 3, 4, 5, 8)] == [15, 9, 7, 5, 3, 3]


def test_frames_are_not_needed() -> None:
    """Arrays are all that a simulation loop fills."""
    assert not any(isinstance(value, pd.DataFrame) for value in vars(rich_arrays()).values())
