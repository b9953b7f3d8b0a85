"""Efron's partial likelihood against brute force written from the paper."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import optimize

from pmsstats.models.backends.lifelines_cox import maximise_partial_likelihood
from pmsstats.models.events.cox_diagnostics import (
    baseline_hazard,
    concordance,
    proportional_hazards_test,
    score_residuals,
)
from pmsstats.models.events.partial_likelihood import (
    CountingProcess,
    climb,
    efron_terms,
    monotone_terms,
    polish,
)

SUMS = 1e-9  # relative: the same sums in another order
MAXIMUM = 1e-5  # relative: BFGS without gradients against Newton
DIFFERENCE = 1e-5  # relative: central differences of a log-likelihood

SHAPES = [(False, 1), (False, 3), (True, 1), (True, 3)]


def make(
    *, entry: bool, n_strata: int, n: int = 60, n_terms: int = 2, seed: int = 7
) -> CountingProcess:
    """Draw rows with many ties; a third enter late."""
    rng = np.random.default_rng([seed, n_strata, entry])
    X = rng.normal(size=(n, n_terms))
    stop = np.ceil(rng.exponential(8 * np.exp(-0.4 * X[:, 0])))
    start = np.floor(stop * rng.uniform(0, 1.2, n)).clip(0, stop - 1) * (rng.random(n) < 0.33)
    return CountingProcess(
        start=start if entry else np.full(n, -np.inf),
        stop=stop,
        event=rng.random(n) < 0.7,
        X=X,
        stratum=rng.integers(0, n_strata, n),
    )


def tied_sets(process: CountingProcess):
    """Yield, for each stratum and event time, who is at risk and who has the event."""
    for stratum in np.unique(process.stratum):
        mine = process.stratum == stratum
        for time in np.unique(process.stop[mine & process.event]):
            at_risk = mine & (process.start < time) & (time <= process.stop)
            yield time, at_risk, at_risk & process.event & (process.stop == time)


def brute_log_likelihood(beta: np.ndarray, process: CountingProcess) -> float:
    """Efron (1977), eq. for tied data: one loop per set of tied events, no shared sums."""
    hazard = np.exp(process.X @ beta)
    total = 0.0
    for _, at_risk, dying in tied_sets(process):
        d = dying.sum()
        total += (process.X[dying] @ beta).sum()
        for j in range(d):
            total -= math.log(hazard[at_risk].sum() - j / d * hazard[dying].sum())
    return total


@pytest.mark.parametrize(("entry", "n_strata"), SHAPES)
def test_log_likelihood_is_efrons(entry: bool, n_strata: int) -> None:
    """Witness: the formula of the paper, looped over."""
    process = make(entry=entry, n_strata=n_strata)
    for beta in ([0.0, 0.0], [0.7, -0.3], [-2.0, 1.0]):
        assert efron_terms(process, np.array(beta)).log_likelihood == pytest.approx(
            brute_log_likelihood(np.array(beta), process), rel=SUMS
        )


@pytest.mark.parametrize(("entry", "n_strata"), SHAPES)
def test_engine_finds_the_maximum(entry: bool, n_strata: int) -> None:
    """Witness: BFGS on the looped formula; curvature by central differences."""
    process = make(entry=entry, n_strata=n_strata)
    fit = maximise_partial_likelihood(process)
    terms = polish(process, fit.beta)
    brute = optimize.minimize(
        lambda b: -brute_log_likelihood(b, process), np.zeros(2), options={"gtol": 1e-8}
    )
    np.testing.assert_allclose(terms.beta, brute.x, rtol=MAXIMUM, atol=1e-6)
    assert terms.log_likelihood == pytest.approx(-brute.fun, rel=SUMS)
    assert terms.decrement() < 1e-20
    # the engine's own last point and value
    np.testing.assert_allclose(fit.beta, brute.x, atol=1e-3)
    assert fit.log_likelihood == pytest.approx(-brute.fun, rel=1e-6)


@pytest.mark.parametrize(("entry", "n_strata"), SHAPES)
def test_score_and_information_are_derivatives(entry: bool, n_strata: int) -> None:
    """Witness: central differences of the looped formula."""
    process = make(entry=entry, n_strata=n_strata)
    beta, h = np.array([0.4, -0.2]), 1e-4
    terms = efron_terms(process, beta)
    steps = h * np.eye(2)

    def at(b: np.ndarray) -> float:
        return brute_log_likelihood(b, process)

    gradient = [(at(beta + e) - at(beta - e)) / (2 * h) for e in steps]
    hessian = [
        [
            (at(beta + e + f) - at(beta + e - f) - at(beta - e + f) + at(beta - e - f)) / (4 * h**2)
            for e in steps
        ]
        for f in steps
    ]
    np.testing.assert_allclose(terms.score, gradient, rtol=DIFFERENCE, atol=1e-6)
    np.testing.assert_allclose(terms.information, -np.array(hessian), rtol=DIFFERENCE, atol=1e-5)


@pytest.mark.parametrize(("entry", "n_strata"), SHAPES)
def test_score_residuals_are_the_influence_of_a_weight(entry: bool, n_strata: int) -> None:
    """Witness: in the weighted likelihood a row's residual is its part of the score.

    Worked per row from the definition: its own covariate minus the means at its event, less its
    share of the hazard at every tied set that it is at risk in.
    """
    process = make(entry=entry, n_strata=n_strata)
    beta = np.array([0.5, 0.2])
    hazard = np.exp(process.X @ beta)
    expected = np.zeros_like(process.X)
    for _, at_risk, dying in tied_sets(process):
        d = dying.sum()
        for j in range(d):
            weight = hazard * (at_risk - j / d * dying)
            mean = weight @ process.X / weight.sum()
            expected[dying] += (process.X[dying] - mean) / d
            expected -= (weight / weight.sum())[:, None] * (process.X - mean)
    terms = efron_terms(process, beta)
    found = score_residuals(process, terms)
    np.testing.assert_allclose(found, expected, rtol=SUMS, atol=1e-9)
    np.testing.assert_allclose(found.sum(axis=0), terms.score, rtol=SUMS, atol=1e-9)


@pytest.mark.parametrize(("entry", "n_strata"), SHAPES)
def test_baseline_hazard_is_a_sum_of_shares(entry: bool, n_strata: int) -> None:
    """Witness: Efron's estimator looped over the tied sets, at the covariate means."""
    process = make(entry=entry, n_strata=n_strata)
    beta = np.array([0.5, 0.2])
    hazard = np.exp((process.X - process.X.mean(axis=0)) @ beta)
    expected = [
        sum(
            1 / (hazard[at_risk].sum() - j / dying.sum() * hazard[dying].sum())
            for j in range(dying.sum())
        )
        for _, at_risk, dying in tied_sets(process)
    ]
    steps = baseline_hazard(process, efron_terms(process, beta))
    np.testing.assert_allclose(steps.increment, expected, rtol=SUMS)
    assert steps.n_events.sum() == process.event.sum()
    np.testing.assert_allclose(
        (steps.n_events).sum(), score_free_total(process, hazard, steps), rtol=SUMS
    )


def score_free_total(process: CountingProcess, hazard: np.ndarray, steps) -> float:
    """Sum every row's cumulative hazard; with Efron's shares it is the number of events."""
    total = 0.0
    for (_, at_risk, dying), increment in zip(tied_sets(process), steps.increment, strict=True):
        d = dying.sum()
        spared = sum(
            j / d * hazard[dying].sum()
            / (hazard[at_risk].sum() - j / d * hazard[dying].sum())
            for j in range(d)
        )  # fmt: skip
        total += hazard[at_risk].sum() * increment - spared
    return total


@pytest.mark.parametrize(("entry", "n_strata"), SHAPES)
def test_concordance_counts_pairs(entry: bool, n_strata: int) -> None:
    """Witness: a double loop over pairs; covariates rounded so that some predictions tie."""
    drawn = make(entry=entry, n_strata=n_strata)
    process = CountingProcess(
        start=drawn.start, stop=drawn.stop, event=drawn.event, stratum=drawn.stratum,
        X=np.round(drawn.X),
    )  # fmt: skip
    beta = np.array([1.0, 0.5])
    risk = process.X @ beta
    points, pairs = 0.0, 0
    for time, at_risk, dying in tied_sets(process):
        for i in np.flatnonzero(dying):
            for j in np.flatnonzero(at_risk & ~dying):
                assert process.stop[j] >= time
                pairs += 1
                points += (risk[i] > risk[j]) + 0.5 * (risk[i] == risk[j])
    assert pairs > 100
    found = concordance(process, efron_terms(process, beta))
    assert found == pytest.approx(points / pairs, rel=SUMS)


@pytest.mark.parametrize("transform", ["identity", "log"])
def test_proportional_hazards_test_is_a_score_test(transform: str) -> None:
    """Witness: score and information of the model with time interactions, by differences.

    The interactions x g(t) are evaluated at each tied set, at theta = 0 and the estimate of beta.
    """
    process = make(entry=True, n_strata=2)
    beta = polish(process, np.zeros(2)).beta
    g = {"identity": float, "log": math.log}[transform]

    def extended(parameters: np.ndarray) -> float:
        total = 0.0
        for time, at_risk, dying in tied_sets(process):
            lp = process.X @ (parameters[:2] + g(time) * parameters[2:])
            hazard, d = np.exp(lp), dying.sum()
            total += lp[dying].sum() - sum(
                math.log(hazard[at_risk].sum() - j / d * hazard[dying].sum()) for j in range(d)
            )
        return total

    at, h = np.append(beta, [0.0, 0.0]), 1e-4
    steps = h * np.eye(4)
    score = np.array([(extended(at + e) - extended(at - e)) / (2 * h) for e in steps])
    information = -np.array(
        [
            [
                extended(at + e + f) - extended(at + e - f)
                - extended(at - e + f) + extended(at - e - f)
                for e in steps
            ]
            for f in steps
        ]
    ) / (4 * h**2)  # fmt: skip
    efficient = information[2:, 2:] - information[2:, :2] @ np.linalg.solve(
        information[:2, :2], information[:2, 2:]
    )
    expected = [
        *(score[2:] ** 2 / np.diag(efficient)),
        score[2:] @ np.linalg.solve(efficient, score[2:]),
    ]
    found = proportional_hazards_test(process, efron_terms(process, beta), transform)
    np.testing.assert_allclose(found.statistic, expected, rtol=1e-3)
    assert found.df.tolist() == [1, 1, 2]


def test_monotone_covariates_are_found() -> None:
    """Witness: by construction; the first falls with time, the second rises, the third does not."""
    stop = np.arange(1.0, 9.0)
    process = CountingProcess(
        start=np.full(8, -np.inf),
        stop=stop,
        event=np.ones(8, dtype=bool),
        X=np.column_stack([-stop, stop**2, stop % 3]),
        stratum=np.zeros(8, dtype=int),
    )
    assert monotone_terms(process).tolist() == [1, -1, 0]


def test_strata_never_share_a_risk_set() -> None:
    """Two strata of one event each, both last at risk: the likelihood has nothing to say."""
    process = CountingProcess(
        start=np.full(2, -np.inf),
        stop=np.array([3.0, 5.0]),
        event=np.ones(2, dtype=bool),
        X=np.array([[1.0], [2.0]]),
        stratum=np.array([0, 1]),
    )
    terms = efron_terms(process, np.array([0.9]))
    assert terms.log_likelihood == pytest.approx(0.0, abs=1e-12)
    assert math.isnan(concordance(process, terms))


def test_climb_halves_steps_that_overshoot() -> None:
    """Witness: by hand: one of 20 is exposed and the second to have the event, nobody is censored.

    The score is 1 - r / (19 + r) - r / (18 + r), with r the hazard ratio: zero at r^2 = 19 * 18.
    The first Newton step leads below where it started.
    """
    exposed = (np.arange(20) == 1).astype(float)[:, None]
    process = CountingProcess(
        start=np.full(20, -np.inf), stop=np.arange(1.0, 21.0), event=np.ones(20, dtype=bool),
        X=exposed, stratum=np.zeros(20, dtype=int),
    )  # fmt: skip
    null, last = climb(process)
    full = efron_terms(process, np.linalg.solve(null.information, null.score))
    assert full.log_likelihood < null.log_likelihood
    assert last.beta.item() == pytest.approx(math.log(19 * 18) / 2, rel=SUMS)


@pytest.mark.parametrize(("entry", "n_strata"), SHAPES)
def test_climb_ends_where_lifelines_does(entry: bool, n_strata: int) -> None:
    """Witness: lifelines, which stops within 1e-3 standard errors of the maximum."""
    process = make(entry=entry, n_strata=n_strata)
    null, last = climb(process)
    peer = maximise_partial_likelihood(process)
    distance = (last.beta - peer.beta) * np.sqrt(np.diag(last.information))
    assert np.abs(distance).max() < 1e-2
    assert last.decrement() < 1e-18
    assert null.log_likelihood < peer.log_likelihood <= last.log_likelihood + 1e-9


@pytest.mark.parametrize(("entry", "n_strata"), SHAPES)
def test_lifelines_stays_at_the_maximum(entry: bool, n_strata: int) -> None:
    """Started at our maximum, lifelines' own evaluation finds nothing better."""
    process = make(entry=entry, n_strata=n_strata)
    _, last = climb(process)
    peer = maximise_partial_likelihood(process, last.beta)
    np.testing.assert_allclose(peer.beta, last.beta, rtol=1e-6, atol=1e-8)
