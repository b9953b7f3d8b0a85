"""Dynamic predictions, checked again: other hazards and associations, draws, boundaries."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dynamic_draws import draw_joint

from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.joint.result import JointResult
from pmsstats.models.prediction.inverse_censoring import censoring_weights
from pmsstats.models.prediction.joint_prediction import predict_survival
from pmsstats.models.prediction.joint_survival import draw_posterior, lay_out_futures

FORMULA = "marker ~ year + (year | subject_id)"
LANDMARK, HORIZONS, CUT = 2.0, (2.5, 4.0, 5.5), 3.0
N_DRAWS = 40_000  # of the witness
MCSE = 4.0
QUADRATURE = 1e-5  # of a probability: 9 adaptive nodes per effect, 64 Gauss points of the witness


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    visits, survival = draw_joint(np.random.default_rng(7), 260)
    rng = np.random.default_rng(3)
    n = len(survival)
    why = np.where(rng.uniform(size=n) < 0.35, "death", "worse")
    late = (rng.uniform(size=n) < 0.3) * rng.uniform(0, 0.9, n)
    return visits, survival.assign(
        treated=(survival["arm"] == "treated").astype(float),
        why=np.where(survival["event"], why, None),
        entry=np.where(late < survival["duration"], late, 0.0),
    )


@pytest.fixture(scope="module")
def fit(tables) -> JointResult:
    return fit_joint(
        *tables,
        FORMULA,
        association="area + slope",
        interaction="treated",
        hazard="treated",
        cause="why",
        entry="entry",
        baseline="piecewise",
        cuts=(CUT,),
        n_nodes=9,
        on_failure="raise",
    )


def cumulative(fit: JointResult, b: np.ndarray, treated: float, end: float) -> np.ndarray:
    """Integrate the hazards of both causes, as the tables print them, from 0 to a time."""
    table = fit.estimates
    beta = table.loc[table["part"] == "longitudinal", "estimate"].to_numpy()
    x, w = np.polynomial.legendre.leggauss(64)
    total = np.zeros(len(b))
    for low, high, piece in ((0.0, min(end, CUT), 0), (CUT, max(end, CUT), 1)):
        time = (low + (high - low) * (x + 1) / 2)[:, None]
        level, slope = beta[0] + b[:, 0], beta[1] + b[:, 1]
        area = level * time + slope * time**2 / 2
        for cause in ("death", "worse"):
            mine = table[table["cause"] == cause].set_index("term")["estimate"]
            rows = table[(table["cause"] == cause) & (table["part"] == "baseline")]["estimate"]
            a = mine["area(marker)"] + mine["area(marker):treated"] * treated
            s = mine["slope(marker)"] + mine["slope(marker):treated"] * treated
            log_hazard = rows.iloc[piece] + mine["treated"] * treated + a * area + s * slope
            total += (high - low) / 2 * (w @ np.exp(log_hazard))
    return total


@pytest.mark.parametrize("k", [0, 3])
def test_no_event_of_any_cause_is_predicted_by_its_definition(fit, tables, k) -> None:
    """Witness: draws from the normal posterior given measurements, weighted by S(t | b)."""
    visits, survival = tables
    person = survival[survival["duration"] > LANDMARK].iloc[k]
    mine = visits[(visits["subject_id"] == person["subject_id"]) & (visits["year"] <= LANDMARK)]
    beta = fit.estimates.loc[fit.estimates["part"] == "longitudinal", "estimate"].to_numpy()
    spread = fit.variance_components.set_index("kind")["estimate"]
    sd, rho, sigma = spread["sd"].to_numpy(), spread["correlation"], spread["residual sd"]
    D = np.outer(sd, sd) * np.array([[1, rho], [rho, 1]])
    Z = np.column_stack([np.ones(len(mine)), mine["year"]])
    V = np.linalg.inv(np.linalg.inv(D) + Z.T @ Z / sigma**2)
    mean = V @ Z.T @ (mine["marker"].to_numpy() - Z @ beta) / sigma**2
    b = np.random.default_rng(k).multivariate_normal(mean, V, N_DRAWS)
    before = cumulative(fit, b, person["treated"], LANDMARK)
    weight = np.exp(-before)
    weight /= weight.sum()
    ratio = np.column_stack(
        [np.exp(before - cumulative(fit, b, person["treated"], u)) for u in HORIZONS]
    )
    expected = weight @ ratio
    error = np.sqrt((weight[:, None] ** 2 * (ratio - expected) ** 2).sum(axis=0))
    result = predict_survival(
        fit, mine, landmark=LANDMARK, horizons=HORIZONS, seed=1, n_draws=0,
        survival=survival[survival["subject_id"] == person["subject_id"]],
    )  # fmt: skip
    found = result.frame["survival"].to_numpy()
    assert (np.abs(found - expected) < MCSE * error + QUADRATURE).all()
    assert error.max() < 0.005


def test_weighted_draws_have_the_spread_of_the_posterior(tables) -> None:
    """Proposals are wider than the posterior, here a normal one; their weights make up for it."""
    unlinked = fit_joint(*tables, FORMULA, association="none", baseline="weibull")
    result = predict_survival(
        unlinked, tables[0], landmark=LANDMARK, horizons=4.0, seed=1, n_draws=0
    )
    futures = lay_out_futures(unlinked.design, result.history, np.array([4.0]))
    theta = unlinked.maximum.theta
    none = np.zeros((len(theta), len(theta)))
    rng = np.random.default_rng(2)
    draws = draw_posterior(futures, theta, none, n_draws=300, rng=rng)
    parts = futures.sums.shape.unpack(theta)
    precision = np.linalg.inv(parts.D) + futures.sums.ZZ / parts.sigma[0] ** 2
    off = draws.effects - result.effects
    squares = np.einsum("dnq,nqr,dnr->dn", off, precision, off) / 2  # mean 1 in two dimensions
    per_subject = (draws.weight * squares).sum(axis=0)
    error = per_subject.std() / np.sqrt(len(per_subject))
    assert abs(per_subject.mean() - 1) < MCSE * error + 1 / 300  # ratio estimates are biased by 1/n
    assert squares.mean() > 1.1


def test_parameters_are_drawn_with_their_covariance(fit, tables) -> None:
    first = tables[0]["subject_id"].isin([tables[1].query("duration > 2")["subject_id"].iloc[0]])
    result = predict_survival(
        fit, tables[0][first], landmark=LANDMARK, horizons=4.0, seed=5, n_draws=400
    )
    drawn = result.draws.theta
    sd = np.sqrt(np.diag(fit.maximum.covariance))
    z = (drawn - fit.maximum.theta) / sd
    n, p = z.shape
    assert abs(z.std(axis=0).mean() - 1) < MCSE / np.sqrt(2 * n)  # errors of SDs are correlated
    assert np.abs(z.mean(axis=0)).max() < (MCSE + 1) / np.sqrt(n)
    pair = np.unravel_index(
        np.argmax(np.abs(fit.maximum.covariance / np.outer(sd, sd) - np.eye(p))), (p, p)
    )
    wanted = fit.maximum.covariance[pair] / (sd[pair[0]] * sd[pair[1]])
    found = np.corrcoef(z[:, pair[0]], z[:, pair[1]])[0, 1]
    assert abs(np.arctanh(found) - np.arctanh(wanted)) < MCSE / np.sqrt(n - 3)


def test_ends_at_the_landmark_horizon_and_event_are_read_as_they_are_defined() -> None:
    """By hand: an event comes before censoring at its time; censored at the horizon is unknown."""
    duration = np.array([1.0, 1.0, 2.0, 3.0, 4.0])
    cause = np.array([1, 0, 0, 0, 1])
    weights = censoring_weights(duration, cause, 3.0)
    # at 1, after the event, 4 at risk of whom one is censored: 3 / 4; then 2 / 3 and 1 / 2
    expected = [1.0, 0.0, 0.0, 0.0, 1 / (3 / 4 * 2 / 3 * 1 / 2)]
    assert weights.weight == pytest.approx(expected)
    assert weights.case.tolist() == [True, False, False, False, False]
