"""Lakatos's method: his chain in small steps by brute force, and simulated log-rank tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pmsstats.models.kernels.log_rank_batch import log_rank_batch
from pmsstats.power.log_rank import power_log_rank
from pmsstats.power.piecewise import PiecewiseHazard

HAZARD = PiecewiseHazard(breaks=(1.0,), rates=(0.25, 0.4))
DESIGNS = {
    "proportional": {"hazard": 0.3, "hazard_ratio": 0.65, "accrual": 1.0, "follow_up": 2.0},
    "all at once": {"hazard": 0.3, "hazard_ratio": 0.65, "follow_up": 2.0, "ratio": 2.0},
    "delayed": {
        "hazard": HAZARD,
        "hazard_ratio": 0.5,
        "delay": 0.75,
        "accrual": 1.5,
        "accrual_weights": (1.0, 3.0, 2.0),
        "follow_up": 1.5,
        "dropout": (0.05, 0.15),
    },
    "crossing over": {
        "hazard": HAZARD,
        "hazard_ratio": 0.55,
        "accrual": 1.0,
        "follow_up": 2.0,
        "dropout": 0.08,
        "off_treatment": 0.25,
        "drop_in": 0.15,
    },
    "fading": {
        "hazard": 0.35,
        "hazard_ratio": PiecewiseHazard(breaks=(0.8, 1.6), rates=(0.4, 0.7, 1.1)),
        "accrual": 0.5,
        "follow_up": 2.5,
    },
}
STEPS = 4000  # of the chain: its error falls with the step
CHAIN = 2e-3  # of a first-order chain with so many steps


def parts(design: dict) -> dict:
    """Return a design with every argument, hazards as functions of time."""
    full = {
        "accrual": 0.0,
        "accrual_weights": (1.0,),
        "delay": 0.0,
        "dropout": 0.0,
        "off_treatment": 0.0,
        "drop_in": 0.0,
        "ratio": 1.0,
        **design,
    }
    for name in ("hazard", "hazard_ratio"):
        if not isinstance(full[name], PiecewiseHazard):
            full[name] = PiecewiseHazard(rates=(full[name],))
    if full["delay"]:
        full["hazard_ratio"] = PiecewiseHazard(
            breaks=(full["delay"],), rates=(1.0, *full["hazard_ratio"].rates)
        )
    lost = full["dropout"]
    full["dropout"] = lost if isinstance(lost, tuple) else (lost, lost)
    return full


def chain_statistic(design: dict, n: tuple[float, float]) -> float:
    """Return the mean statistic by multiplying transition matrices, as the paper does."""
    d = parts(design)
    end = d["accrual"] + d["follow_up"]
    dt = end / STEPS
    alive = np.array([[1.0, 0.0], [1.0, 0.0]])  # arm by (as randomised, changed)
    change = -np.log1p([-d["drop_in"], -d["off_treatment"]])
    lost = -np.log1p(-np.array(d["dropout"]))
    weights = np.array(d["accrual_weights"]) / sum(d["accrual_weights"])
    score, variance = 0.0, 0.0
    for step in range(STEPS):
        t = (step + 0.5) * dt
        base = float(d["hazard"].at(t))
        rates = np.array([base, base * float(d["hazard_ratio"].at(t))])
        own = np.stack([rates, rates[::-1]], axis=1)  # hazard as randomised and changed
        entered = 1.0
        if d["accrual"]:
            done = np.clip((end - t) / d["accrual"] * len(weights), 0, len(weights))
            entered = float(np.sum(weights * np.clip(done - np.arange(len(weights)), 0, 1)))
        at_risk = np.array(n) * alive.sum(axis=1) * entered
        died = np.array(n) * (alive * -np.expm1(-own * dt)).sum(axis=1) * entered
        phi, theta = at_risk[1] / at_risk[0], (died[1] / at_risk[1]) / (died[0] / at_risk[0])
        score += died.sum() * (phi * theta / (1 + phi * theta) - phi / (1 + phi))
        variance += died.sum() * phi / (1 + phi) ** 2
        stay = alive * np.exp(-own * dt) * np.exp(-lost * dt)[:, None]
        moved = stay[:, 0] * -np.expm1(-change * dt)
        alive = np.stack([stay[:, 0] - moved, stay[:, 1] + moved], axis=1)
    return score / math.sqrt(variance)


@pytest.mark.parametrize("name", DESIGNS)
def test_statistic_is_that_of_the_chain(name: str) -> None:
    """Witness: Lakatos 1988, transition matrices in small steps."""
    design = DESIGNS[name]
    found = power_log_rank(n=(150, 210), **design)
    expected = next(value for quantity, value, _ in found.details if quantity == "expected_z")
    assert expected == pytest.approx(chain_statistic(design, (150, 210)), rel=CHAIN)


def event_times(rng, shape, own, other, change) -> np.ndarray:
    """Return times to event of subjects who may change to the other hazard."""
    cumulative = rng.exponential(size=shape)
    when = rng.exponential(size=shape) / change if change else np.full(shape, np.inf)
    reached = np.where(np.isinf(when), np.inf, own.cumulative(np.minimum(when, 1e6)))
    before = own.years_at(np.minimum(cumulative, reached))
    rest = np.maximum(cumulative - reached, 0.0) + other.cumulative(np.minimum(when, 1e6))
    return np.where(cumulative <= reached, before, other.years_at(rest))


def simulated_power(design: dict, n: tuple[int, int], n_trials: int, seed: int) -> float:
    """Return the share of simulated log-rank tests that reject."""
    d = parts(design)
    rng = np.random.default_rng(seed)
    treated = d["hazard"].times(d["hazard_ratio"])
    change = -np.log1p([-d["drop_in"], -d["off_treatment"]])
    courses = [(d["hazard"], treated), (treated, d["hazard"])]
    weights = np.array(d["accrual_weights"]) / sum(d["accrual_weights"])
    durations, events = [], []
    for arm in (0, 1):
        shape = (n_trials, n[arm])
        time = event_times(rng, shape, *courses[arm], change[arm])
        part = rng.choice(len(weights), size=shape, p=weights)
        entry = (part + rng.uniform(size=shape)) / len(weights) * d["accrual"]
        leaving = -math.log1p(-d["dropout"][arm])
        gone = rng.exponential(size=shape) / leaving if leaving else np.full(shape, np.inf)
        censored = np.minimum(d["accrual"] + d["follow_up"] - entry, gone)
        durations.append(np.minimum(time, censored))
        events.append(time <= censored)
    group = np.repeat([0, 1], n)
    tests = log_rank_batch(np.hstack(durations), np.hstack(events), group)
    return float(np.mean(np.abs(tests.z) >= stats.norm.isf(0.025)))


@pytest.mark.parametrize("name", DESIGNS)
def test_power_by_simulation(name: str) -> None:
    """Witness: simulated trials, analysed by the log-rank test."""
    design, n, n_trials = DESIGNS[name], (180, 180), 4000
    design = {key: value for key, value in design.items() if key != "ratio"}
    expected = power_log_rank(n=n, **design).power
    share = simulated_power(design, n, n_trials, seed=31)
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / n_trials)


def test_type_one_error_by_simulation() -> None:
    """Witness: simulated trials without effect."""
    design = {"hazard": HAZARD, "hazard_ratio": 1.0, "accrual": 1.0, "follow_up": 2.0}
    assert power_log_rank(n=200, **design).power == pytest.approx(0.05, abs=1e-9)
    share = simulated_power(design, (150, 150), 6000, seed=32)
    assert abs(share - 0.05) < 4 * math.sqrt(0.05 * 0.95 / 6000)
