"""Imputation in simulated trials, against the closed form for two visits."""

from __future__ import annotations

import numpy as np
import pytest
from trial_cases import analysis_of, measured, scenario_of, slope_trials

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.trials.analyses import analyse
from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.scenario import TrialAnalysis

INF = np.inf
FITTED = 1e-6  # a likelihood has to be climbed
GROUPS = 5


def run(analysis: TrialAnalysis, data: TrialArrays, **fields) -> AnalysisBatch:
    """The comparison of two arms."""
    scenario = scenario_of(analysis, weeks=data.weeks, n=data.n_subjects, **fields)
    return analyse(scenario, analysis, data, arms=("active",))


def imputed_by_hand(y, arm, event, strategy):
    """Two visits, the second missing in some: the model in closed form (Anderson 1957).

    Own and reference means of both visits, and the slope of the second on the first within arms,
    are those of the regression in who has both; then the change adjusted for the first visit.
    """
    seen = ~np.isnan(y[:, 1])
    means = {}
    x, v = y[seen, 0].copy(), y[seen, 1].copy()
    for a in (0, 1):
        here = arm[seen] == a
        means[a] = [y[arm == a, 0].mean(), x[here].mean(), v[here].mean()]
        x[here] -= means[a][1]
        v[here] -= means[a][2]
    slope = (x @ v) / (x @ x)
    first = {a: m[0] for a, m in means.items()}
    last = {a: m[2] + slope * (m[0] - m[1]) for a, m in means.items()}
    filled = y[:, 1].copy()
    for i in np.flatnonzero(~seen):
        a = arm[i]
        centre, mean = {
            "MAR": (first[a], last[a]),
            "JR": (first[a], last[0]),
            "CR": (first[0], last[0]),
            "CIR": (first[a], first[a] + last[0] - first[0]),
            "LMCF": (first[a], first[a]),
        }[strategy if event[i] else "MAR"]
        filled[i] = mean + slope * (y[i, 0] - centre)
    X = np.column_stack([np.ones(len(arm)), arm, y[:, 0]])
    return np.linalg.lstsq(X, filled, rcond=None)[0][1]


def jackknifed(y, arm, event, strategy):
    """Delete one group of subjects at a time: they are numbered within their arm."""
    number = np.zeros(len(arm), dtype=int)
    for a in (0, 1):
        number[arm == a] = np.arange((arm == a).sum()) % GROUPS
    parts = [
        imputed_by_hand(y[number != g], arm[number != g], event[number != g], strategy)
        for g in range(GROUPS)
    ]
    spread = np.sum((np.array(parts) - np.mean(parts)) ** 2)
    return imputed_by_hand(y, arm, event, strategy), np.sqrt((GROUPS - 1) / GROUPS * spread)


def two_visits(seed: int) -> TrialArrays:
    """Some stop for good after the first visit, others go on without being seen."""
    data = slope_trials(seed, 3, (21, 19), slopes=(-1.0, -0.3), weeks=(0, 96), dropout=0.0)
    rng = np.random.default_rng(seed + 1)
    kind = rng.random(data.arm.shape)
    y = measured(data, "volume").copy()
    y[..., 1] = np.where((kind > 0.25) & (kind < 0.4), np.nan, y[..., 1])
    stop = np.where(kind < 0.25, 100.0, INF)  # values after it are there, but to be left out
    return data.replace(
        values={"volume": y}, stop_day=stop, intercurrent={"discontinuation": stop}
    )  # fmt: skip


def left_out(data: TrialArrays, row: int) -> tuple[np.ndarray, np.ndarray]:
    """Values without those after stopping, and who stopped."""
    y, stopped = measured(data, "volume")[row].copy(), np.isfinite(data.stop_day[row])
    y[stopped, 1] = np.nan
    return y, stopped


@pytest.mark.parametrize("strategy", ["JR", "CR", "CIR", "LMCF"])
def test_values_after_an_event_are_imputed_by_its_strategy(strategy):
    data = two_visits(61)
    analysis = analysis_of(
        "imputation", strategies={"discontinuation": strategy}, options={"n_groups": GROUPS}
    )
    batch = run(analysis, data, events=("discontinuation",))
    for row in range(3):
        y, stopped = left_out(data, row)
        estimate, error = jackknifed(y, data.arm[row], stopped, strategy)
        assert batch.estimate[row, 0] == pytest.approx(estimate, rel=FITTED)
        assert batch.std_error[row, 0] == pytest.approx(error, rel=FITTED)
    assert (batch.df == GROUPS - 1).all()


@pytest.mark.parametrize("strategy", ["MAR", "JR", "CR", "CIR", "LMCF"])
def test_missing_values_are_imputed_by_the_option(strategy):
    data = two_visits(63)
    analysis = analysis_of("imputation", options={"n_groups": GROUPS, "strategy": strategy})
    batch = run(analysis, data)
    for row in range(3):
        y = measured(data, "volume")[row]
        estimate, error = jackknifed(y, data.arm[row], np.isnan(y[:, 1]), strategy)
        assert batch.estimate[row, 0] == pytest.approx(estimate, rel=FITTED)
        assert batch.std_error[row, 0] == pytest.approx(error, rel=FITTED)


def test_a_hypothetical_event_is_missing_at_random_beside_one_with_a_reference():
    data = two_visits(65)
    rescue = np.where(np.random.default_rng(660).random(data.arm.shape) < 0.2, 50.0, INF)
    rescue = np.where(np.isfinite(data.stop_day), INF, rescue)
    data = data.replace(intercurrent={**data.intercurrent, "rescue": rescue})
    analysis = analysis_of(
        "imputation",
        strategies={"discontinuation": "JR", "rescue": "hypothetical"},
        options={"n_groups": GROUPS},
    )
    batch = run(analysis, data, events=("discontinuation", "rescue"))
    for row in range(3):
        y, stopped = left_out(data, row)
        y[np.isfinite(rescue[row]), 1] = np.nan
        estimate = imputed_by_hand(y, data.arm[row], stopped, "JR")
        assert batch.estimate[row, 0] == pytest.approx(estimate, rel=FITTED)
