"""Turnbull curves: R as witness, conditions of the maximum, Kaplan-Meier as limit, bad input."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case
from scipy.optimize import minimize

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError
from pmsstats.models.curves import turnbull
from pmsstats.models.curves.kaplan_meier import fit_km
from pmsstats.models.curves.log_rank import LogRankSpec, compare_survival
from pmsstats.models.curves.npmle import innermost_intervals, maximise_npmle
from pmsstats.models.curves.turnbull import TurnbullSpec, fit_turnbull

SAME = 1e-9  # relative: the same sums in another order
MAXIMUM = 1e-6  # absolute, of masses: a log-likelihood within 1e-9 of its maximum, curved
INF = math.inf


def test_masses_agree_with_npsurv() -> None:
    """Witness: npsurv of R, a constrained Newton method (stored)."""
    case = load_case("survival_curves")
    fit = fit_turnbull(case.input, TurnbullSpec(by="arm"))
    for group, curve in fit.curves().groupby("group", observed=True):
        for quantity in ("lower", "upper", "mass"):
            rows = case.rows(f"turnbull.{quantity}")
            mine = rows[rows["term"].str.startswith(f"{group}@")]
            np.testing.assert_allclose(curve[quantity], mine["value"], rtol=mine["rtol"].iloc[0])
    total = case.rows("turnbull.log_likelihood")["value"].sum()
    assert fit.log_likelihood == pytest.approx(total, rel=SAME)


def test_innermost_intervals_by_hand() -> None:
    """Witness: by hand, with a tie of every kind at 3.

    (0, 3], (1, 2], exact 3, (3, 5], (4, inf): left ends followed directly by right ends are
    (1, 2], [3, 3] (an exact time begins before right ends close), (4, 5].
    """
    found = innermost_intervals(np.array([0.0, 1, 3, 3, 4]), np.array([3.0, 2, 3, 5, INF]))
    assert found.lower.tolist() == [1, 3, 4]
    assert found.upper.tolist() == [2, 3, 5]
    covers = [(int(found.first[k]), int(found.last[k])) for k in found.of_subject]
    assert covers == [(0, 1), (0, 0), (1, 1), (2, 2), (2, 2)]


def draw(seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Draw exact, interval-, left- and right-censored times."""
    rng = np.random.default_rng(seed)
    lower = rng.integers(0, 8, n).astype(float)
    upper = lower + rng.integers(0, 4, n)
    upper = np.where(rng.random(n) < 0.25, INF, upper)
    keep = (upper > 0) & ~((lower == 0) & np.isinf(upper))
    return np.append(lower[keep], 2.0), np.append(upper[keep], 4.0)


@given(seed=st.integers(0, 2**32 - 1))
def test_maximum_satisfies_its_conditions(seed: int) -> None:
    """Witness: the conditions of Gentleman & Geyer (1994), from every subject's own interval."""
    lower, upper = draw(seed)
    intervals = innermost_intervals(lower, upper)
    fit = maximise_npmle(intervals)
    inside = (intervals.lower >= lower[:, None]) & (intervals.upper <= upper[:, None])
    inside &= ~((intervals.lower == intervals.upper) & (intervals.lower == lower[:, None])
                & (lower < upper)[:, None])  # fmt: skip
    gradient = (inside / (inside @ fit.mass)[:, None]).sum(axis=0)
    assert (gradient <= len(lower) + 1e-6).all()
    np.testing.assert_allclose(gradient[fit.mass > 1e-6], len(lower), rtol=1e-5)
    assert fit.mass.sum() == pytest.approx(1, rel=SAME)
    assert fit.shortfall < 1e-9


@given(seed=st.integers(0, 2**32 - 1))
def test_general_optimiser_finds_nothing_higher(seed: int) -> None:
    """Witness: scipy's BFGS on softmax masses, and the bound on what may be missing."""
    lower, upper = draw(seed, 15)
    intervals = innermost_intervals(lower, upper)
    fit = maximise_npmle(intervals)
    j = np.arange(len(intervals.lower))
    inside = ((intervals.first[:, None] <= j) & (j <= intervals.last[:, None])).astype(float)

    def loss(x: np.ndarray) -> float:
        mass = np.exp(x - x.max())
        return -intervals.count @ np.log(inside @ mass / mass.sum())

    best = -minimize(loss, np.zeros(len(j)), method="BFGS").fun
    assert fit.log_likelihood >= best - 1e-8
    assert fit.log_likelihood <= best + 1e-3  # masses of 0 lie at infinity for the softmax


@given(seed=st.integers(0, 2**32 - 1))
def test_right_censored_data_give_kaplan_meier(seed: int) -> None:
    """Witness: fit_km, where every event is seen at its time."""
    rng = np.random.default_rng(seed)
    duration, event = rng.integers(1, 10, 25).astype(float), rng.random(25) < 0.6
    event[0] = True
    data = pd.DataFrame({"lower": duration, "upper": np.where(event, duration, INF)})
    fit = fit_turnbull(data)
    km = fit_km(pd.DataFrame({"duration": duration, "event": event})).curves()
    at = fit.at(km["duration"])
    within = km["duration"] <= duration[event].max()
    np.testing.assert_allclose(at["survival_low"][within], km["survival"][within], atol=1e-8)
    np.testing.assert_allclose(at["survival_high"][within], km["survival"][within], atol=1e-8)


def test_right_censored_scores_are_the_log_rank_ones() -> None:
    """Witness: observed less expected events of compare_survival, over the permutation variance."""
    rng = np.random.default_rng(17)
    duration, event = rng.integers(1, 15, 90).astype(float), rng.random(90) < 0.7
    arm = rng.permutation(["a", "b", "c"] * 30)
    data = pd.DataFrame({"duration": duration, "event": event, "arm": arm})
    data["lower"], data["upper"] = duration, np.where(event, duration, INF)
    table = compare_survival(data, LogRankSpec(by="arm")).table()
    score = (table["observed"] - table["expected"]).to_numpy()
    # scores of subjects: event less Nelson-Aalen
    times = np.unique(duration)
    hazard = np.array([event[duration == t].sum() / (duration >= t).sum() for t in times])
    subject = event - np.cumsum(hazard)[np.searchsorted(times, duration)]
    member = (arm[:, None] == np.array(["a", "b", "c"])).astype(float)
    np.testing.assert_allclose(member.T @ subject, score, atol=1e-10)
    centred = (member - member.mean(axis=0))[:, :2]
    covariance = subject.var(ddof=1) * centred.T @ centred
    by_hand = score[:2] @ np.linalg.solve(covariance, score[:2])
    found = fit_turnbull(data, TurnbullSpec(by="arm")).test
    assert found.statistic == pytest.approx(by_hand, rel=1e-7)
    assert found.df == 2


def visits(rng: np.random.Generator, n: int, rate: np.ndarray | float) -> pd.DataFrame:
    """Draw exponential events found at the next of four visits, some of which are missed."""
    time = rng.exponential(1 / np.broadcast_to(rate, n))
    attended = np.hstack([np.zeros((n, 1)), np.where(rng.random((n, 4)) < 0.8, [1, 2, 3, 4], 0.0)])
    before = attended < time[:, None]
    lower = np.where(before, attended, 0).max(axis=1)
    upper = np.where(before | (attended == 0), INF, attended).min(axis=1)
    return pd.DataFrame({"lower": lower, "upper": upper})


@pytest.mark.slow
def test_known_curve_is_recovered_and_covered_by_the_bootstrap() -> None:
    """Witness: exp(-rate t) at the visits, over replicates; 95 % percentile intervals."""
    rng = np.random.default_rng(4)
    n_replicates, rate, at = 60, 0.5, 2.0
    estimates, covered = [], []
    for replicate in range(n_replicates):
        fit = fit_turnbull(visits(rng, 150, rate), TurnbullSpec(n_replicates=60), seed=replicate)
        curve = fit.curves()
        row = curve[curve["upper"] == at].iloc[0]
        estimates.append(row["survival"])
        covered.append(row["conf_low"] <= math.exp(-rate * at) <= row["conf_high"])
    spread = np.std(estimates, ddof=1)
    assert abs(np.mean(estimates) - math.exp(-rate * at)) < 4 * spread / math.sqrt(n_replicates)
    few_samples = 0.03  # percentiles of 60 bootstrap samples are too narrow by about that
    error = 4 * math.sqrt(0.95 * 0.05 / n_replicates)
    assert abs(np.mean(covered) - 0.95) < error + few_samples


@pytest.mark.slow
def test_the_test_keeps_its_level_and_sees_a_difference() -> None:
    """Witness: simulation with equal visits in both groups."""
    rng = np.random.default_rng(6)
    n_replicates, arm = 200, np.repeat(["a", "b"], 60)
    for ratio, expected in ((1.0, 0.05), (3.0, None)):
        p_values = []
        for _ in range(n_replicates):
            data = visits(rng, 120, np.where(arm == "b", 0.3 * ratio, 0.3)).assign(arm=arm)
            p_values.append(fit_turnbull(data, TurnbullSpec(by="arm")).test.p_value)
        rejected = np.mean(np.array(p_values) < 0.05)
        low = 0.95 if expected is None else expected - 4 * math.sqrt(0.05 * 0.95 / n_replicates)
        high = 1.0 if expected is None else expected + 4 * math.sqrt(0.05 * 0.95 / n_replicates)
        assert low <= rejected <= high


def test_medians_are_bounds() -> None:
    data = pd.DataFrame(
        {
            "lower": [0, 2, 2, 5, 1, 4, 1, 1],
            "upper": [2, 5, 5, INF, 4, INF, INF, INF],
            "arm": [*"aaaa", "b", "b", "c", "c"],
        }
    )
    with pytest.raises(DesignError, match="No event among 2"):
        fit_turnbull(data[data["arm"] == "c"])
    table = fit_turnbull(data, TurnbullSpec(by="arm")).table().set_index("group")
    assert table.loc["a", ["median_low", "median_high"]].tolist() == [2, 5]
    # one half from 4 on, where the curve has fallen within (1, 4], to the end of follow-up
    assert table.loc["b", ["median_low", "median_high"]].tolist() == [1, 4]
    assert table.loc["c", ["median_low", "median_high"]].isna().all()
    assert table["n_left"].tolist() == [1, 0, 0]
    assert table["n_interval"].tolist() == [2, 1, 0]
    assert table["n_right"].tolist() == [1, 1, 2]


def test_survival_within_a_fall_is_a_range() -> None:
    data = pd.DataFrame({"lower": [0, 2, 2, 7], "upper": [2, 5, 5, INF]})
    at = fit_turnbull(data).at([0, 1, 2, 4, 5, 6])
    np.testing.assert_allclose(at["survival_high"], [1, 1, 0.75, 0.75, 0.25, 0.25], atol=MAXIMUM)
    np.testing.assert_allclose(at["survival_low"], [1, 0.75, 0.75, 0.25, 0.25, 0.25], atol=MAXIMUM)


@given(seed=st.integers(0, 2**32 - 1))
def test_masses_are_unique(seed: int) -> None:
    """Witness: who covers what has full column rank, so that the likelihood is strictly concave."""
    lower, upper = draw(seed)
    intervals = innermost_intervals(lower, upper)
    j = np.arange(len(intervals.lower))
    inside = (intervals.first[:, None] <= j) & (j <= intervals.last[:, None])
    assert np.linalg.matrix_rank(inside) == len(j)


def test_missing_ends_are_censoring() -> None:
    explicit = pd.DataFrame({"lower": [0, 2, 5, 1], "upper": [2, 5, INF, 4]})
    missing = pd.DataFrame({"lower": [np.nan, 2, 5, 1], "upper": [2, 5, np.nan, 4]})
    pd.testing.assert_frame_equal(fit_turnbull(missing).curves(), fit_turnbull(explicit).curves())


def test_same_seed_same_intervals_and_order_changes_nothing() -> None:
    data = load_case("survival_curves").input
    spec = TurnbullSpec(by="arm", n_replicates=50)
    a = fit_turnbull(data, spec, seed=3).curves()
    pd.testing.assert_frame_equal(a, fit_turnbull(data, spec, seed=3).curves())
    assert not a["conf_low"].equals(fit_turnbull(data, spec, seed=4).curves()["conf_low"])
    shuffled = fit_turnbull(data.sample(frac=1, random_state=0), TurnbullSpec(by="arm")).curves()
    pd.testing.assert_frame_equal(a[shuffled.columns], shuffled, rtol=1e-6)


SMALL = pd.DataFrame({"lower": [0.0, 2, 5, 1], "upper": [2.0, 5, INF, 4], "arm": list("abab")})
BAD = [
    (SMALL.assign(lower=9.0, upper=[2, 5, INF, 4]), {}, "`lower` above `upper` in 3 row(s)"),
    (SMALL.assign(lower=-1), {}, "Negative `lower` in 4 row(s)"),
    (SMALL.assign(upper=-1), {}, "Negative `upper`"),
    (SMALL.assign(lower=INF), {}, "Infinite `lower`"),
    (SMALL.assign(upper=INF), {}, "No event among 3 subject(s): every `upper` is infinite"),
    (SMALL.assign(lower="a"), {}, "must hold numbers"),
    (SMALL.assign(lower=0, upper=INF), {}, "found none. 4: no follow-up (from 0 to infinity)"),
    (SMALL.assign(subject_id="S1"), {}, "More than one row per subject"),
    (SMALL, {"by": "army"}, "Did you mean 'arm'"),
    (SMALL, {"n_replicates": 50}, "`seed` must be given for `n_replicates=50`"),
]


@pytest.mark.parametrize(("data", "options", "message"), BAD)
def test_bad_input_is_refused(data: pd.DataFrame, options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        fit_turnbull(data, TurnbullSpec(**options))


@pytest.mark.parametrize(
    "options", [{"n_replicates": 10}, {"duration_unit": "week"}, {"conf_level": 2}]
)
def test_contradictory_specs_are_refused(options: dict) -> None:
    with pytest.raises(DesignError):
        TurnbullSpec(**options)


def test_what_is_left_out_is_counted() -> None:
    data = pd.DataFrame(
        {"lower": [0, 0, 0, 2, 3], "upper": [INF, 0, 2, 5, 4], "arm": [*"aaaa", None]}
    )
    fit = fit_turnbull(data, TurnbullSpec(by="arm"))
    assert [(e.unit, e.reason, e.subject_ids) for e in fit.exclusions] == [
        ("subject", "no follow-up (from 0 to infinity)", ("1",)),
        ("subject", "event at time 0, before any follow-up", ("2",)),
        ("subject", "no arm", ("5",)),
    ]


def test_what_is_not_certified_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnbull, "_SHORT", -1.0)
    with pytest.raises(ConvergenceError, match="did not converge"):
        fit_turnbull(SMALL)
    with pytest.warns(ConvergenceWarning, match="Round the times"):
        fit = fit_turnbull(SMALL, on_failure="warn")
    assert not fit.converged
    assert "did NOT converge" in fit.headline()


def test_result_contract() -> None:
    fit = fit_turnbull(SMALL, TurnbullSpec(by="arm", n_replicates=50), seed=1, origin="synthetic")
    assert_result_contract(fit)
    assert fit.to_dict()["schema"] == "turnbull_result/1"
    assert fit.headline().startswith("3 of 4 subjects had the event; median time to it: a ")
