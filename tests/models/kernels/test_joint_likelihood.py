"""The joint likelihood: its plain definition on a dense grid, differences, closed forms."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from joint_cases import Truth, draw_arrays, rich_arrays, rich_theta
from scipy import stats

from pmsstats.models.joint.arrays import HazardPoints, JointArrays, MarkerArrays, no_points
from pmsstats.models.kernels import joint_pass
from pmsstats.models.kernels.joint_likelihood import evaluate, joint_problem, product_nodes
from pmsstats.models.kernels.joint_modes import find_peaks
from pmsstats.models.kernels.joint_sums import segment_sums
from pmsstats.models.kernels.joint_terms import joint_terms
from pmsstats.models.kernels.joint_theta import JointShape

DENSE = 2e-6  # log-likelihood units: what 41 adaptive and a dense grid's nodes leave
ROUNDING = 1e-10  # relative: the same numbers added up in another order
EXACT = 1e-9  # log-likelihood units: normal integrals, which the nodes do exactly
SLOPE = 1e-6  # relative to the largest: central differences with steps of 1e-5
STEP = 1e-5
N_NODES = 5


# --- the plain definition ---------------------------------------------------------------------


def of_subject(points: HazardPoints, i: int) -> np.ndarray:
    return np.flatnonzero(points.subject == i)


def cumulative(points, i, theta, B) -> np.ndarray:
    """Integrate one subject's hazards over all causes, at random effects of shape (n, q)."""
    total = np.zeros(len(B))
    for t in of_subject(points, i):
        total += points.weight[t] * np.exp(log_hazards(points, t, theta, B)).sum(0)
    return total


def log_hazards(points, t, theta, B) -> np.ndarray:
    """Return the log hazards of all causes at one point, shape (C, n)."""
    rows = []
    for c, (psi, alpha) in enumerate(zip(theta.psi, theta.alpha, strict=True)):
        value = np.full(len(B), points.basis[c][t] @ psi)
        for m, a in enumerate(alpha):
            value += a * (points.fixed[m, t] @ theta.beta + B @ points.random[m, t])
        rows.append(value)
    return np.stack(rows)


def log_markers(arrays, i, theta, shape, B) -> np.ndarray:
    total = np.zeros(len(B))
    for k, marker in enumerate(arrays.markers):
        rows = marker.subject == i
        beta = theta.beta[shape.marker_of_fixed == k]
        mean = (marker.X[rows] @ beta)[None] + B[:, shape.marker_of_random == k] @ marker.Z[rows].T
        total += stats.norm.logpdf(marker.y[rows][None], mean, theta.sigma[k]).sum(1)
    return total


def plain_log_likelihood(arrays: JointArrays, vector: np.ndarray, i: int, grid) -> float:
    """Integrate the definition over a wide grid of the random effects, by the midpoint rule."""
    shape = JointShape(arrays.n_fixed, arrays.n_random, arrays.n_psi, arrays.n_links)
    theta = shape.unpack(vector)
    B, cell = grid
    prior = stats.multivariate_normal(np.zeros(shape.q), theta.D).pdf(B) * cell
    log = log_markers(arrays, i, theta, shape, B) - cumulative(arrays.at_risk, i, theta, B)
    for t in of_subject(arrays.event, i):
        log += log_hazards(arrays.event, t, theta, B)[arrays.event_cause[t]]
    value = np.exp(log)
    if len(of_subject(arrays.interval, i)):
        value *= 1 - np.exp(-cumulative(arrays.interval, i, theta, B))
    entered = np.exp(-cumulative(arrays.entry, i, theta, B)) @ prior
    return float(np.log(value @ prior) - np.log(entered / prior.sum()) - np.log(prior.sum()))


def midpoints(q: int, half: float, n: int) -> tuple[np.ndarray, float]:
    axis = -half + (np.arange(n) + 0.5) * 2 * half / n
    mesh = np.meshgrid(*([axis] * q), indexing="ij")
    return np.stack([m.ravel() for m in mesh], axis=1), (2 * half / n) ** q


@pytest.mark.parametrize("i", range(6))
def test_value_is_the_plain_definition(i: int) -> None:
    arrays = rich_arrays()
    found = evaluate(joint_problem(arrays), rich_theta(), 21)
    expected = plain_log_likelihood(arrays, rich_theta(), i, midpoints(3, 5.5, 56))
    assert found.values[i] == pytest.approx(expected, abs=DENSE)


def test_the_six_subjects_have_every_feature() -> None:
    arrays = rich_arrays()
    for points in (arrays.event, arrays.interval, arrays.entry):
        assert set(points.subject) & set(range(6))
    assert set(range(6)) - set(arrays.event.subject) - set(arrays.interval.subject)
    assert set(arrays.event_cause) == {0, 1}


def test_few_nodes_come_close() -> None:
    problem = joint_problem(rich_arrays())
    errors = [
        abs(evaluate(problem, rich_theta(), n).value - evaluate(problem, rich_theta(), 21).value)
        for n in (3, 5, 9)
    ]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-4  # log-likelihood units for twelve subjects


# --- derivatives ------------------------------------------------------------------------------


def test_score_and_information_are_derivatives_of_the_sum() -> None:
    problem, theta = joint_problem(rich_arrays()), rich_theta()
    at = evaluate(problem, theta, N_NODES)

    def beside(step):
        return evaluate(problem, theta + step, N_NODES, near=at, frozen=True)

    sides = [(beside(step), beside(-step)) for step in STEP * np.eye(len(theta))]
    score = np.array([(up.value - down.value) / (2 * STEP) for up, down in sides])
    curvature = np.array([(down.score - up.score) / (2 * STEP) for up, down in sides])
    np.testing.assert_allclose(at.score, score, atol=SLOPE * np.abs(score).max(), rtol=0)
    np.testing.assert_allclose(
        at.information, curvature, atol=SLOPE * np.abs(curvature).max(), rtol=0
    )


def test_scores_of_subjects_are_their_own() -> None:
    problem, theta = joint_problem(rich_arrays()), rich_theta()
    at = evaluate(problem, theta, N_NODES)
    for j in (0, 7, 10, 15, 20):
        step = STEP * np.eye(len(theta))[j]
        up = evaluate(problem, theta + step, N_NODES, near=at, frozen=True)
        down = evaluate(problem, theta - step, N_NODES, near=at, frozen=True)
        expected = (up.values - down.values) / (2 * STEP)
        np.testing.assert_allclose(at.scores[:, j], expected, atol=1e-7)


# --- closed forms -----------------------------------------------------------------------------


def test_without_association_markers_and_events_are_apart() -> None:
    arrays = draw_arrays(Truth(), 40, np.random.default_rng(3))
    shape = JointShape((2,), (2,), (1,), 1)
    theta = np.array([0.1, 0.2, -0.5, -0.2, 0.1, -0.9, -1.3, 0.0])
    parts = shape.unpack(theta)
    marker, expected = arrays.markers[0], 0.0
    for i in range(40):
        rows = marker.subject == i
        V = marker.Z[rows] @ parts.D @ marker.Z[rows].T + parts.sigma[0] ** 2 * np.eye(rows.sum())
        expected += stats.multivariate_normal(marker.X[rows] @ parts.beta, V).logpdf(marker.y[rows])
    expected += len(arrays.event.subject) * -1.3 - np.exp(-1.3) * arrays.at_risk.weight.sum()
    problem = joint_problem(arrays)
    found = evaluate(problem, theta, 3)
    assert found.value == pytest.approx(expected, abs=EXACT)
    again = evaluate(problem, theta, 3, near=evaluate(problem, theta + 0.3, 3))
    assert again.value == pytest.approx(expected, abs=EXACT)


def test_log_normal_frailty_has_the_known_laplace_transform_slope() -> None:
    """A marker that says nothing: events alone, with hazards ``exp(psi + b)`` and b normal.

    For one subject at risk until t the probability of no event is E exp(-t exp(psi + b)), by
    scipy's quadrature.
    """
    from scipy.integrate import quad

    one = np.ones((1, 1))
    marker = MarkerArrays(y=np.zeros(0), X=one[:0], Z=one[:0], subject=np.zeros(0, dtype=int))
    at_risk = HazardPoints(
        subject=np.zeros(1, dtype=int), weight=np.array([1.7]), basis=(one,), fixed=0 * one[None],
        random=one[None],
    )  # fmt: skip
    arrays = JointArrays(
        n_subjects=1, markers=(marker,), at_risk=at_risk, event=no_points(at_risk),
        event_cause=np.zeros(0, dtype=int), interval=no_points(at_risk), entry=no_points(at_risk),
    )  # fmt: skip
    theta = np.array([0.0, 0.0, np.log(0.9), -0.2, 1.0])
    expected = quad(
        lambda b: np.exp(-1.7 * np.exp(-0.2 + b)) * stats.norm.pdf(b, 0, 0.9), -9, 9, epsabs=1e-13
    )[0]
    found = evaluate(joint_problem(arrays), theta, 25)
    assert found.value == pytest.approx(np.log(expected), abs=1e-9)
    late = replace(arrays, at_risk=no_points(at_risk), entry=at_risk)
    assert evaluate(joint_problem(late), theta, 25).value == pytest.approx(
        -np.log(expected), abs=1e-9
    )
    unknown = replace(arrays, at_risk=no_points(at_risk), interval=at_risk)
    found = evaluate(joint_problem(unknown), theta, 25)
    assert found.value == pytest.approx(np.log1p(-expected), abs=1e-8)


# --- where the nodes are ----------------------------------------------------------------------


def test_nodes_are_centred_and_scaled_at_the_modes() -> None:
    arrays, vector = rich_arrays(), rich_theta()
    sums = joint_problem(arrays).sums
    terms = joint_terms(sums, sums.shape.unpack(vector))
    peaks = find_peaks(sums, terms, start=np.full((12, 3), 1.5))
    shape = JointShape(arrays.n_fixed, arrays.n_random, arrays.n_psi, arrays.n_links)
    theta = shape.unpack(vector)

    def log_integrand(i, b) -> float:
        B = np.atleast_2d(b)
        value = log_markers(arrays, i, theta, shape, B) - cumulative(arrays.at_risk, i, theta, B)
        value += stats.multivariate_normal(np.zeros(3), theta.D).logpdf(B)
        for t in of_subject(arrays.event, i):
            value += log_hazards(arrays.event, t, theta, B)[arrays.event_cause[t]]
        if len(of_subject(arrays.interval, i)):
            value += np.log(1 - np.exp(-cumulative(arrays.interval, i, theta, B)))
        return float(value[0])

    steps = 1e-3 * np.eye(3)
    for i in range(arrays.n_subjects):
        at = peaks.centre[i]
        bend = np.empty((3, 3))
        for j, k in np.ndindex(3, 3):
            a, b = steps[j], steps[k]
            signs = ((-1, -1), (-1, 1), (1, -1), (1, 1))
            corners = [log_integrand(i, at + x * a + y * b) * x * y for x, y in signs]
            bend[j, k] = -sum(corners) / 4e-6
        slope = [(log_integrand(i, at + s) - log_integrand(i, at - s)) / 2e-3 for s in steps]
        np.testing.assert_allclose(slope, 0, atol=1e-4)  # third derivatives times 1e-6
        expected = np.linalg.inv(bend)
        np.testing.assert_allclose(peaks.root[i] @ peaks.root[i].T, expected, atol=1e-4)


# --- invariances ------------------------------------------------------------------------------


def relabelled(points: HazardPoints, new: np.ndarray) -> tuple[HazardPoints, np.ndarray]:
    order = np.argsort(new[points.subject], kind="stable")
    moved = HazardPoints(
        subject=new[points.subject][order],
        weight=points.weight[order],
        basis=tuple(basis[order] for basis in points.basis),
        fixed=points.fixed[:, order],
        random=points.random[:, order],
    )
    return moved, order


def test_order_of_subjects_changes_nothing() -> None:
    arrays = rich_arrays()
    new = np.random.default_rng(2).permutation(arrays.n_subjects)
    moved = {name: relabelled(getattr(arrays, name), new) for name in POINTS}
    markers = []
    for marker in arrays.markers:
        order = np.argsort(new[marker.subject], kind="stable")[::1]
        rows = (marker.y[order], marker.X[order], marker.Z[order])
        markers.append(
            MarkerArrays(y=rows[0], X=rows[1], Z=rows[2], subject=new[marker.subject][order])
        )
    other = replace(
        arrays,
        markers=tuple(markers),
        event_cause=arrays.event_cause[moved["event"][1]],
        **{name: found[0] for name, found in moved.items()},
    )
    here = evaluate(joint_problem(arrays), rich_theta(), N_NODES)
    there = evaluate(joint_problem(other), rich_theta(), N_NODES)
    np.testing.assert_allclose(there.values[new], here.values, rtol=ROUNDING)
    np.testing.assert_allclose(there.scores[new], here.scores, rtol=1e-6, atol=1e-8)


POINTS = ("at_risk", "event", "interval", "entry")


def test_late_entry_at_zero_is_no_late_entry() -> None:
    arrays = rich_arrays()
    none = replace(arrays, entry=no_points(arrays.entry))
    nothing = replace(arrays, entry=replace(arrays.entry, weight=0 * arrays.entry.weight))
    found = [evaluate(joint_problem(a), rich_theta(), N_NODES) for a in (none, nothing)]
    np.testing.assert_allclose(found[1].values, found[0].values, rtol=ROUNDING)
    np.testing.assert_allclose(found[1].information, found[0].information, atol=1e-7)


def test_more_time_at_risk_before_entry_raises_the_likelihood() -> None:
    arrays = rich_arrays()
    more = replace(arrays, entry=replace(arrays.entry, weight=2 * arrays.entry.weight))
    late = np.unique(arrays.entry.subject)
    before, after = (evaluate(joint_problem(a), rich_theta(), N_NODES) for a in (arrays, more))
    assert (after.values[late] > before.values[late]).all()


# --- parts ------------------------------------------------------------------------------------


def test_nodes_integrate_normal_moments() -> None:
    _, nodes, log_weight = product_nodes(2, 5)
    density = np.exp(log_weight + stats.norm.logpdf(nodes).sum(0))
    assert density.sum() == pytest.approx(1)
    assert density @ (nodes[0] ** 4 * nodes[1] ** 2) == pytest.approx(3)


@pytest.mark.parametrize("q", [1, 2, 3])
def test_hazards_on_a_grid_are_those_at_its_nodes(q: int) -> None:
    rng = np.random.default_rng(q)
    weight, base, centre = rng.random(4), rng.normal(size=4), rng.normal(size=4)
    slope = rng.normal(size=(4, q))
    grid, nodes, _ = product_nodes(q, 5)
    expected = weight[:, None] * np.exp((base + centre)[:, None] + slope @ nodes)
    for way in (
        joint_pass.hazards,
        joint_pass._hazards_at_once,
        joint_pass._hazards_point_by_point,
    ):
        np.testing.assert_allclose(way(weight, base, slope, centre, grid), expected, rtol=1e-12)


def test_sums_by_segment_leave_gaps_at_zero() -> None:
    found = segment_sums(np.array([[1.0], [2.0], [4.0]]), np.array([0, 0, 2]), 4)
    assert found.ravel().tolist() == [3, 0, 4, 0]


def test_pack_turns_unpack_back() -> None:
    shape = JointShape((3, 3), (2, 1), (3, 2), 3)
    assert shape.n_theta == len(rich_theta())
    np.testing.assert_allclose(shape.pack(shape.unpack(rich_theta())), rich_theta(), rtol=1e-14)


def test_overflow_is_no_value_and_no_exception() -> None:
    problem = joint_problem(rich_arrays())
    theta = rich_theta()
    theta[14] = np.inf
    assert evaluate(problem, theta, N_NODES).value == -np.inf
    theta[14], theta[8] = 0.0, -800.0  # a standard deviation of zero
    assert evaluate(problem, theta, N_NODES).value == -np.inf


def test_without_the_compiler_numbers_are_the_same() -> None:
    code = (
        "import numpy as np\n"
        "from joint_cases import rich_arrays, rich_theta\n"
        "from pmsstats.compiling import IS_COMPILED\n"
        "from pmsstats.models.kernels.joint_likelihood import evaluate, joint_problem\n"
        "at = evaluate(joint_problem(rich_arrays()), rich_theta(), 5)\n"
        "print(IS_COMPILED, repr(at.value), repr(at.score.sum()), repr(at.information.sum()))\n"
    )
    tests = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PMSSTATS_NO_NUMBA": "1", "PYTHONPATH": str(tests)},
        cwd=tests.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    is_compiled, *found = done.stdout.replace("np.float64(", "").replace(")", "").split()
    at = evaluate(joint_problem(rich_arrays()), rich_theta(), N_NODES)
    assert is_compiled == "False"
    expected = [at.value, at.score.sum(), at.information.sum()]
    np.testing.assert_allclose([float(x) for x in found], expected, rtol=1e-9)
