"""Batched log-rank and Cox score tests, against tests of one trial, enumeration and simulation."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lifelines.statistics import logrank_test
from reference_cases import load_case

from pmsstats.errors import DesignError
from pmsstats.models.curves.log_rank import LogRankSpec, compare_survival
from pmsstats.models.kernels import log_rank_batch as module
from pmsstats.models.kernels.log_rank_batch import cox_score_batch, log_rank_batch

SAME = 1e-9  # relative: the same sums in another order
seeds = st.integers(0, 2**32 - 1)


def trials(seed: int, n_trials: int = 4, n: int = 30) -> tuple[np.ndarray, ...]:
    """Draw trials with ties, strata and a covariate."""
    rng = np.random.default_rng(seed)
    shape = (n_trials, n)
    return (
        rng.integers(1, 12, shape).astype(float),
        rng.random(shape) < 0.6,
        rng.permuted(np.tile([0, 1], (n_trials, n // 2)), axis=1),
        rng.integers(0, 3, shape),
        rng.normal(3, 2, shape),
    )


@settings(max_examples=20)
@given(seed=seeds)
def test_each_trial_is_that_of_compare_survival(seed: int) -> None:
    duration, event, group, strata, _ = trials(seed)
    plain = log_rank_batch(duration, event, group)
    within = log_rank_batch(duration, event, group, strata)
    for i in range(len(duration)):
        frame = pd.DataFrame(
            {"duration": duration[i], "event": event[i], "arm": group[i], "s": strata[i]}
        )
        for batch, columns in ((plain, ()), (within, ("s",))):
            one = compare_survival(frame, LogRankSpec(by="arm", strata=columns))
            assert batch.z[i] ** 2 == pytest.approx(one.test.statistic, rel=1e-7, abs=1e-12)
            assert batch.variance[i] == pytest.approx(one.covariance[1, 1], rel=SAME)
            assert batch.p_value[i] == pytest.approx(one.test.p_value, rel=1e-7)
        ratio = compare_survival(frame, LogRankSpec(by="arm")).estimate_ratio().iloc[0]
        assert plain.log_hazard_ratio[i] == pytest.approx(ratio["estimate"], rel=SAME, abs=1e-12)
        assert plain.std_error[i] == pytest.approx(ratio["std_error"], rel=SAME)
    np.testing.assert_array_equal(plain.n_events, event.sum(axis=1))


def test_trials_agree_with_lifelines() -> None:
    """Witness: logrank_test of lifelines, run here, on heavy ties."""
    duration, event, group, _, _ = trials(1, n_trials=20)
    batch = log_rank_batch(duration, event, group)
    for i in range(20):
        a = group[i] == 0
        one = logrank_test(duration[i][a], duration[i][~a], event[i][a], event[i][~a])
        assert batch.z[i] ** 2 == pytest.approx(one.test_statistic, rel=SAME)


def test_reference_trial_agrees_with_r() -> None:
    """Witness: survdiff of R's survival on each pair of arms (stored)."""
    case = load_case("survival_curves")
    for row in case.rows("pairs.statistic").itertuples():
        first, second = row.term.split("/")
        part = case.input[case.input["arm"].isin([first, second])]
        arm = (part["arm"] == second).to_numpy(dtype=int)
        batch = log_rank_batch(part["duration"].to_numpy()[None], part["event"].to_numpy()[None],
                               arm)  # fmt: skip
        assert batch.z[0] ** 2 == pytest.approx(row.value, rel=row.rtol)


@given(seed=seeds)
def test_score_test_of_a_group_is_the_log_rank_test(seed: int) -> None:
    duration, event, group, strata, _ = trials(seed)
    batch = log_rank_batch(duration, event, group, strata)
    score = cox_score_batch(duration, event, group, strata)
    np.testing.assert_allclose(score.z[:, 0], batch.z, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(score.statistic, batch.z**2, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(
        score.log_hazard_ratio[:, 0], batch.log_hazard_ratio, rtol=1e-7, atol=1e-9
    )


def test_score_with_ties_is_that_of_drawing_the_events_at_random() -> None:
    """Witness: enumeration of the d of n at risk who have the tied events, two covariates."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(7, 2))
    sums = np.array([X[list(who)].sum(axis=0) for who in itertools.combinations(range(7), 3)])
    duration, event = np.array([[2.0] * 3 + [5.0] * 4]), np.array([[1] * 3 + [0] * 4])
    batch = cox_score_batch(duration, event, X[None])
    np.testing.assert_allclose(batch.information[0], np.cov(sums.T, bias=True), rtol=SAME)
    expected = X[:3].sum(axis=0) - sums.mean(axis=0)
    np.testing.assert_allclose(batch.score[0], expected, rtol=1e-8)
    by_hand = expected @ np.linalg.solve(np.cov(sums.T, bias=True), expected)
    assert batch.statistic[0] == pytest.approx(by_hand, rel=1e-8)


@given(seed=seeds, factor=st.floats(1e-3, 1e3), shift=st.floats(-1e3, 1e3))
def test_units_and_order_change_no_test(seed: int, factor: float, shift: float) -> None:
    duration, event, _, strata, x = trials(seed)
    before = cox_score_batch(duration, event, x, strata)
    order = np.random.default_rng(seed).permutation(duration.shape[1])
    after = cox_score_batch(
        duration[:, order] * factor, event[:, order], (x * factor + shift)[:, order],
        strata[:, order] * 7 + 1,
    )  # fmt: skip
    rounding = 1e-7 * max(1.0, abs(shift) / factor)  # digits that the shift cancels
    np.testing.assert_allclose(after.z, before.z, rtol=rounding, atol=rounding)
    np.testing.assert_allclose(
        after.log_hazard_ratio * factor, before.log_hazard_ratio, rtol=rounding, atol=rounding
    )


@given(seed=seeds)
def test_swapping_groups_flips_the_sign(seed: int) -> None:
    duration, event, group, strata, _ = trials(seed)
    before = log_rank_batch(duration, event, group, strata)
    after = log_rank_batch(duration, event, 1 - group, strata)
    np.testing.assert_allclose(after.score, -before.score, rtol=SAME, atol=1e-12)
    np.testing.assert_allclose(after.variance, before.variance, rtol=SAME)


def test_times_that_tie_across_strata_are_not_tied() -> None:
    """Witness: the sum over strata of tests of their own, where all times are the same."""
    _, event, group, strata, _ = trials(6)
    duration = np.full(event.shape, 2.0)
    batch = log_rank_batch(duration, event, group, strata)
    for i in range(len(event)):
        parts = [
            log_rank_batch(*(a[i : i + 1, strata[i] == s] for a in (duration, event, group)))
            for s in range(3)
        ]
        assert batch.score[i] == pytest.approx(sum(p.score[0] for p in parts), rel=SAME)
        assert batch.variance[i] == pytest.approx(sum(p.variance[0] for p in parts), rel=SAME)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    duration, event, group, strata, x = trials(3, n_trials=11)
    whole = log_rank_batch(duration, event, group, strata)
    score = cox_score_batch(duration, event, x, strata)
    monkeypatch.setattr(module, "_CELLS", 90)  # three trials at a time
    np.testing.assert_array_equal(log_rank_batch(duration, event, group, strata).z, whole.z)
    np.testing.assert_array_equal(cox_score_batch(duration, event, x, strata).z, score.z)


def test_codes_may_be_shared_by_all_trials() -> None:
    duration, event, group, strata, _ = trials(4)
    spread = log_rank_batch(duration, event, np.tile(group[0], (4, 1)), np.tile(strata[0], (4, 1)))
    shared = log_rank_batch(duration, event, group[0], strata[0])
    np.testing.assert_array_equal(shared.z, spread.z)


def test_level_and_power_are_those_of_theory() -> None:
    """Witness: 5 % without effect; Schoenfeld's power with one, at a small log hazard ratio."""
    rng = np.random.default_rng(12)
    n_trials, n, log_ratio = 2000, 300, 0.3
    group = np.tile([0, 1], n // 2)
    for effect in (0.0, log_ratio):
        time = rng.exponential(np.exp(-effect * group), (n_trials, n))
        event = time <= 1.2
        batch = log_rank_batch(np.minimum(time, 1.2), event, group)
        drift = effect * math.sqrt(event.sum(axis=1).mean() / 4)
        power = 0.5 * math.erfc((1.959963985 - drift) / math.sqrt(2))
        power += 0.5 * math.erfc((1.959963985 + drift) / math.sqrt(2))
        rejected = np.mean(batch.p_value < 0.05)
        approximation = 0.01 if effect else 0.0  # Schoenfeld's formula is of first order
        mcse = math.sqrt(power * (1 - power) / n_trials)
        assert abs(rejected - power) < 4 * mcse + approximation


def test_what_cannot_be_tested_is_missing() -> None:
    duration = np.tile([1.0, 2, 3, 4], (4, 1))
    event = np.array([[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 1], [1, 0, 0, 0]])
    group = np.array([[0, 1, 0, 1], [1, 1, 1, 1], [0, 1, 0, 1], [0, 1, 0, 1]])
    batch = log_rank_batch(duration, event, group)
    assert np.isnan(batch.z).tolist() == [True, True, True, False]
    assert np.isnan(batch.p_value).tolist() == [True, True, True, False]
    assert np.isnan(batch.log_hazard_ratio).tolist() == [True, True, True, False]
    score = cox_score_batch(duration, event, np.stack([group, 2 * group], axis=2))
    assert np.isnan(score.statistic).all()  # one covariate is twice the other
    assert np.isnan(score.z[:, 0]).tolist() == [True, True, True, False]


GOOD = trials(5)[:3]
BAD = [
    ({"duration": GOOD[0][0]}, "`duration` must have shape (n_trials, n_subjects), got (30,)"),
    ({"duration": np.where(GOOD[0] == 1, np.nan, GOOD[0])}, "missing, infinite or negative"),
    ({"duration": -GOOD[0]}, "found 120 value(s)"),
    ({"event": GOOD[1][:2]}, "`event` must hold True/False in the shape of `duration`"),
    ({"event": GOOD[1] * 2}, "`event` must hold True/False"),
    ({"group": GOOD[2] + 1}, "`group` must be 0 (reference) or 1 for every subject, got [1, 2]"),
    ({"group": GOOD[2][:, :5]}, "`group` must hold integer codes"),
    ({"group": GOOD[2] * 1.0}, "`group` must hold integer codes"),
    ({"strata": np.zeros(7, dtype=int)}, "`strata` must hold integer codes"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_arrays_are_refused(change: dict, message: str) -> None:
    arrays = dict(zip(("duration", "event", "group"), GOOD, strict=True)) | change
    with pytest.raises(DesignError, match=re.escape(message)):
        log_rank_batch(**arrays)


@pytest.mark.parametrize(
    ("X", "message"),
    [
        (GOOD[0][:, :3], "`X` must have shape (4, 30) or (4, 30, n_terms), got (4, 3)"),
        (np.empty((4, 30, 0)), "`X` must have shape"),
        (np.where(GOOD[0] == 1, np.inf, 0), "`X` must be finite"),
    ],
)
def test_bad_covariates_are_refused(X: np.ndarray, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        cox_score_batch(GOOD[0], GOOD[1], X)
