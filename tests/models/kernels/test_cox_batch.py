"""Batched Cox models, against lifelines, fit_cox, a general optimiser and simulation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines import CoxPHFitter
from reference_cases import load_case
from scipy.optimize import minimize

from pmsstats.models.events.survival import CoxSpec, fit_cox
from pmsstats.models.kernels import cox_batch as module
from pmsstats.models.kernels.cox_batch import cox_batch

SAME = 1e-8  # relative: maxima to machine precision
SLOPPY = 1e-4  # relative: lifelines stops where a step gains little
seeds = st.integers(0, 2**32 - 1)


def trials(seed: int, n_trials: int = 3, n: int = 40) -> tuple[np.ndarray, ...]:
    """Draw trials with ties, strata and two covariates."""
    rng = np.random.default_rng(seed)
    shape = (n_trials, n)
    x = np.stack([rng.integers(0, 2, shape), rng.normal(3, 2, shape)], axis=2)
    time = rng.exponential(np.exp(-0.5 * x[:, :, 0] - 0.1 * x[:, :, 1]))
    return np.ceil(time * 20) / 2, rng.random(shape) < 0.7, x, rng.integers(0, 3, shape)


def test_reference_trial_agrees_with_r() -> None:
    """Witness: coxph of R's survival, with heavy ties, plain and stratified (stored)."""
    case = load_case("survival_ties")
    data = case.input
    x = np.column_stack(
        [data["arm"] == "placebo", data["age_years"], np.log(data["snfl_pg_ml"])]
    ).astype(float)
    phenotype = pd.factorize(data["phenotype"])[0]
    terms = ["arm[T.placebo]", "age_years", "log(snfl_pg_ml)"]
    for name, strata in (("plain", None), ("strata", phenotype)):
        fit = cox_batch(
            data["duration"].to_numpy()[None], data["event"].to_numpy()[None], x[None], strata
        )
        for quantity, found in (("estimate", fit.estimate), ("std_error", fit.std_error)):
            rows = case.rows(f"{name}.{quantity}").set_index("term").loc[terms]
            np.testing.assert_allclose(found[0], rows["value"], rtol=rows["rtol"].iloc[0])
        likelihood = case.rows(f"{name}.log_likelihood").set_index("term")["value"]
        assert fit.log_likelihood[0] == pytest.approx(likelihood["model"], rel=1e-10)
        assert fit.log_likelihood_null[0] == pytest.approx(likelihood["null"], rel=1e-10)


@settings(max_examples=20)
@given(seed=seeds)
def test_each_trial_is_that_of_fit_cox(seed: int) -> None:
    duration, event, x, strata = trials(seed)
    batch = cox_batch(duration, event, x, strata)
    for i in np.flatnonzero(batch.converged):
        frame = pd.DataFrame({"duration": duration[i], "event": event[i], "s": strata[i],
                              "a": x[i, :, 0], "b": x[i, :, 1]})  # fmt: skip
        one = fit_cox(frame, CoxSpec(covariates=("a", "b"), strata="s"))
        table = one.table()
        np.testing.assert_allclose(batch.estimate[i], table["estimate"], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(batch.std_error[i], table["std_error"], rtol=1e-6)
        np.testing.assert_allclose(batch.p_value[i], table["p_value"], rtol=1e-5, atol=1e-12)
        assert batch.log_likelihood[i] == pytest.approx(one.log_likelihood, rel=SAME)


def test_trials_agree_with_lifelines() -> None:
    """Witness: CoxPHFitter of lifelines, run here."""
    duration, event, x, _ = trials(1, n_trials=6, n=80)
    batch = cox_batch(duration, event, x)
    assert batch.converged.all()
    for i in range(6):
        frame = pd.DataFrame({"t": duration[i], "e": event[i], "a": x[i, :, 0], "b": x[i, :, 1]})
        one = CoxPHFitter().fit(frame, "t", "e")
        np.testing.assert_allclose(batch.estimate[i], one.params_, rtol=SLOPPY, atol=SLOPPY)
        np.testing.assert_allclose(batch.std_error[i], one.standard_errors_, rtol=SLOPPY)


def test_likelihood_and_maximum_by_brute_force() -> None:
    """Witness: Efron's likelihood written as a double loop, maximised by scipy."""
    duration, event, x, _ = trials(2, n_trials=1, n=25)
    duration, event, x = duration[0], event[0], x[0]

    def loss(beta: np.ndarray) -> float:
        hazard = np.exp(x @ beta)
        total = 0.0
        for t in np.unique(duration[event]):
            tied = event & (duration == t)
            for r in range(tied.sum()):
                at_risk = hazard[duration >= t].sum() - r / tied.sum() * hazard[tied].sum()
                total += math.log(at_risk)
            total -= (x[tied] @ beta).sum()
        return total

    batch = cox_batch(duration[None], event[None], x[None])
    best = minimize(
        loss, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
    )
    np.testing.assert_allclose(batch.estimate[0], best.x, atol=1e-5)
    assert batch.log_likelihood[0] == pytest.approx(-loss(batch.estimate[0]), rel=1e-10)
    assert batch.log_likelihood_null[0] == pytest.approx(-loss(np.zeros(2)), rel=1e-10)


@given(seed=seeds, factor=st.floats(1e-3, 1e3), shift=st.floats(-100, 100))
def test_units_scale_the_estimate_and_leave_the_test(
    seed: int, factor: float, shift: float
) -> None:
    duration, event, x, strata = trials(seed)
    before = cox_batch(duration, event, x, strata)
    after = cox_batch(duration * 3, event, x * factor + shift, strata)
    np.testing.assert_array_equal(after.converged, before.converged)
    tolerance = 1e-6 * max(1.0, abs(shift) / factor * 1e-3)
    np.testing.assert_allclose(after.estimate * factor, before.estimate, rtol=tolerance, atol=1e-7)
    np.testing.assert_allclose(after.z, before.z, rtol=tolerance, atol=1e-7)


def test_blocks_and_neighbours_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    duration, event, x, strata = trials(3, n_trials=8)
    whole = cox_batch(duration, event, x, strata)
    monkeypatch.setattr(module, "_CELLS", 100)
    parts = cox_batch(duration, event, x, strata)
    np.testing.assert_allclose(parts.estimate, whole.estimate, rtol=1e-12)
    alone = cox_batch(duration[5:6], event[5:6], x[5:6], strata[5:6])
    np.testing.assert_allclose(alone.estimate[0], whole.estimate[5], rtol=1e-12)


def test_known_hazard_ratio_is_recovered_and_covered() -> None:
    """Witness: the simulation's own truth; bias within 4 Monte Carlo errors, 95 % coverage."""
    rng = np.random.default_rng(30)
    n_trials, n, truth = 1500, 200, 0.6
    x = rng.normal(size=(n_trials, n))
    time = rng.exponential(np.exp(-truth * x))
    batch = cox_batch(np.minimum(time, 1.5), time <= 1.5, x)
    assert batch.converged.all()
    estimate = batch.estimate[:, 0]
    # the bias of a maximum is of order 1/n: for one normal covariate about beta / events
    small_sample = truth / batch.n_events.mean()
    mcse = estimate.std(ddof=1) / math.sqrt(n_trials)
    assert abs(estimate.mean() - truth) < 4 * mcse + small_sample
    covered = np.mean(np.abs(estimate - truth) < 1.959963985 * batch.std_error[:, 0])
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n_trials)


def test_what_has_no_maximum_is_flagged_and_missing() -> None:
    duration = np.tile(np.arange(1.0, 9), (6, 1))
    event = np.ones((6, 8))
    event[1] = 0
    mixed = np.array([0.3, 1.0, -0.4, 0.2, 2.0, 0.1, -1.0, 0.5])
    x = np.tile(mixed, (6, 1))
    x[2] = -np.arange(8)  # highest at every event
    x[3] = np.arange(8)  # lowest
    x[4] = 7.0  # constant
    event[5] = [0] * 7 + [1]  # the last one at risk has the only event
    batch = cox_batch(duration, event, x)
    assert batch.converged.tolist() == [True, False, False, False, False, False]
    assert batch.monotone[:4, 0].tolist() == [False, False, True, True]
    assert np.isnan(batch.estimate[1:]).all()
    assert np.isnan(batch.std_error[1:]).all()
    assert np.isfinite(batch.estimate[0]).all()
    assert batch.n_events.tolist() == [8, 0, 8, 8, 8, 1]


def test_separation_by_a_combination_does_not_converge() -> None:
    """Neither covariate is monotone, but their sum is: it falls with every event."""
    duration = np.arange(1.0, 13)[None]
    wave = np.tile([0.0, 9, -9], 4)
    x = np.stack([wave, -duration[0] - wave], axis=1)[None]
    batch = cox_batch(duration, np.ones((1, 12)), x)
    assert not batch.monotone.any()
    assert not batch.converged[0]
    assert np.isnan(batch.estimate).all()


def test_monotone_is_judged_within_strata() -> None:
    """In each stratum the covariate falls with time, though overall it does not."""
    duration = np.array([[1.0, 2, 3, 1.5, 2.5, 3.5]])
    x = np.array([[3.0, 2, 1, 30, 20, 10]])
    strata = np.array([0, 0, 0, 1, 1, 1])
    event = np.ones((1, 6))
    assert cox_batch(duration, event, x, strata).monotone[0, 0]
    assert not cox_batch(duration, event, x).monotone[0, 0]
    assert cox_batch(duration, event, x, 1 - strata).monotone[0, 0]
