"""Simulated trials made by hand, for the tests of their analyses: numpy alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    IntercurrentEvent,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
)

__all__ = [
    "allocation", "analysis_of", "cut", "event_trials", "measured", "permuted", "scenario_of",
    "slope_trials",
]  # fmt: skip

WEEKS = (0, 24, 48, 72, 96)


def scenario_of(
    analysis: TrialAnalysis,
    *,
    arms: tuple[TrialArm, ...] = (TrialArm(name="placebo"), TrialArm(name="active")),
    endpoints: tuple[TrialEndpoint, ...] = (TrialEndpoint(name="volume", measure="volume"),),
    weeks: tuple[int, ...] = WEEKS,
    n: int = 60,
    events: tuple[str, ...] = (),
) -> Scenario:
    """A scenario around one analysis."""
    return Scenario(
        name="test",
        population=TrialPopulation(model="by_hand"),
        arms=arms,
        accrual=Accrual(n_subjects=n),
        schedule=TrialSchedule(weeks=weeks),
        endpoints=endpoints,
        analyses=(analysis,),
        decision=DecisionRule(analysis=analysis.name),
        intercurrent=tuple(IntercurrentEvent(name=name, rate=0.1) for name in events),
    )


def analysis_of(method: str, **fields: Any) -> TrialAnalysis:
    """An analysis of the endpoint ``volume`` unless said otherwise."""
    fields = {"name": "main", "endpoint": "volume", **fields}
    return TrialAnalysis(method=method, **fields)  # type: ignore[arg-type]


def allocation(rng: np.random.Generator, R: int, sizes: tuple[int, ...]) -> np.ndarray:
    """Arms in random order, with fixed sizes."""
    row = np.repeat(np.arange(len(sizes)), sizes)
    return rng.permuted(np.tile(row, (R, 1)), axis=1)


def slope_trials(
    seed: int,
    R: int,
    sizes: tuple[int, ...] = (30, 30),
    *,
    slopes: tuple[float, ...] = (-1.0, -1.0),
    names: tuple[str, ...] = ("placebo", "active", "second", "third"),
    measures: tuple[str, ...] = ("volume",),
    weeks: tuple[int, ...] = WEEKS,
    dropout: float = 0.1,
    shared: float = 0.5,
) -> TrialArrays:
    """Random intercepts and slopes; outcomes share a part of them; each visit may be the last."""
    rng = np.random.default_rng(seed)
    arm = allocation(rng, R, sizes)
    N, V = arm.shape[1], len(weeks)
    year = np.array(weeks) * 7 / 365.25
    common = rng.normal(size=(R, N, 2))
    gone = rng.random((R, N, V)) < dropout
    gone[..., 0] = False
    gone = np.maximum.accumulate(gone, axis=2)
    values = {}
    for name in measures:
        own = np.sqrt(shared) * common + np.sqrt(1 - shared) * rng.normal(size=(R, N, 2))
        slope = np.array(slopes)[arm] + 0.8 * own[..., 1]
        value = 20 + 2 * own[..., :1] + slope[..., None] * year + rng.normal(size=(R, N, V)) * 0.7
        values[name] = np.where(gone, np.nan, value)
    last = V - 1 - np.argmax(~gone[..., ::-1], axis=-1)
    return TrialArrays(
        arms=names[: len(sizes)],
        arm=arm,
        weeks=weeks,
        day=7.0 * np.array(weeks)[None, None, :],
        values=values,
        exit_day=7.0 * np.array(weeks)[last],
        exit_reason=np.where(last == V - 1, 0, 1),
        stop_day=np.full((R, N), np.inf),
        baseline={
            "age_years": rng.uniform(30, 60, (R, N)),
            "sex": rng.integers(0, 2, (R, N)).astype(float),
        },
    )


def event_trials(
    seed: int,
    R: int,
    sizes: tuple[int, ...] = (60, 60),
    *,
    rates: tuple[float, ...] = (0.3, 0.3),
    names: tuple[str, ...] = ("placebo", "active", "second", "third"),
) -> TrialArrays:
    """Exponential events seen over two years, with some who leave."""
    rng = np.random.default_rng(seed)
    arm = allocation(rng, R, sizes)
    day = 365.25 * rng.exponential(size=arm.shape) / np.array(rates)[arm]
    exit_day = np.minimum(672.0, 365.25 * rng.exponential(5.0, arm.shape))
    weeks = tuple(range(0, 97, 12))
    edss = np.where(np.array(weeks) * 7 >= day[..., None], 5.0, 4.0)
    seen = np.array(weeks) * 7 <= exit_day[..., None]
    return TrialArrays(
        arms=names[: len(sizes)],
        arm=arm,
        weeks=weeks,
        day=7.0 * np.array(weeks)[None, None, :],
        values={"edss": np.where(seen, edss, np.nan)},
        exit_day=exit_day,
        exit_reason=np.where(exit_day < 672, 1, 0),
        stop_day=np.full(arm.shape, np.inf),
        baseline={
            "event_day": day,
            "age_years": rng.uniform(30, 60, arm.shape),
            "sex": rng.integers(0, 2, arm.shape).astype(float),
        },
    )


def cut(data: TrialArrays, rows: slice | np.ndarray) -> TrialArrays:
    """Some of the replicates; relapses are left out."""
    return data.replace(
        arm=data.arm[rows],
        values={k: v[rows] for k, v in data.values.items()},
        baseline={k: v[rows] for k, v in data.baseline.items()},
        intercurrent={k: v[rows] for k, v in data.intercurrent.items()},
        exit_day=data.exit_day[rows],
        exit_reason=data.exit_reason[rows],
        stop_day=data.stop_day[rows],
    )


def permuted(data: TrialArrays, seed: int) -> TrialArrays:
    """Subjects in another order in each replicate."""
    order = np.random.default_rng(seed).permuted(
        np.tile(np.arange(data.n_subjects), (data.n_replicates, 1)), axis=1
    )

    def move(x: np.ndarray) -> np.ndarray:
        return np.take_along_axis(x, order if x.ndim == 2 else order[..., None], axis=1)

    return data.replace(
        arm=move(data.arm),
        values={k: move(v) for k, v in data.values.items()},
        baseline={k: move(v) for k, v in data.baseline.items()},
        exit_day=move(data.exit_day),
        exit_reason=move(data.exit_reason),
        stop_day=move(data.stop_day),
    )


def measured(data: TrialArrays, measure: str) -> np.ndarray:
    """Values of a measure."""
    return data.values[measure]
