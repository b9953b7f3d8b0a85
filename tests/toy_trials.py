"""A trial simple enough to be worked out by hand, for tests of what repeats it.

Subjects' values at one visit are normal with variance 1; the treated have a higher mean. The
analysis is a z test. Nothing here uses the package's own trial, generator or analyses.
"""

from __future__ import annotations

import math
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import special

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.seeds import REPLICATES_PER_CELL, replicate_cells
from pmsstats.trials.blocks import TrialEngine
from pmsstats.trials.outcomes import AnalysisBatch, BlockOutcome
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    Interim,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
)

N_SUBJECTS = 40
EFFECT = 0.8
QUANTILE = float(special.ndtri(0.975))
STD_ERROR = math.sqrt(4 / N_SUBJECTS)


def toy_scenario(*effects: float, name: str = "toy", **changes: object) -> Scenario:
    """Return a trial with one treated arm per effect."""
    effects = effects or (EFFECT,)
    arms = tuple(TrialArm(name=f"dose{i}", effects={"shift": e}) for i, e in enumerate(effects, 1))
    parts = {
        "name": name,
        "population": TrialPopulation(model="toy"),
        "arms": (TrialArm(name="control"), *arms),
        "accrual": Accrual(n_subjects=N_SUBJECTS),
        "schedule": TrialSchedule(weeks=(0, 52)),
        "endpoints": (TrialEndpoint(name="score", measure="score"),),
        "analyses": (TrialAnalysis(name="test", endpoint="score", method="change"),),
        "decision": DecisionRule(analysis="test"),
    }
    return Scenario(**(parts | changes))


def with_interim(scenario: Scenario, **changes: object) -> Scenario:
    interim = {"name": "half", "at": "followed", "value": 0.5, "analysis": "test"}
    look = Interim(**({**interim, "rule": "group_sequential"} | changes))
    return Scenario(**{**vars(scenario), "interims": (look,)})


@dataclass(frozen=True)
class ToyGenerator:
    """Normal values with a shift in the treated."""

    fingerprint: str = "toy 1"

    def __call__(self, scenario, seed, *, first, last, arm=None):
        n = scenario.accrual.n_subjects
        shape = (last - first, n)
        noise = np.empty((*shape, 2))
        for rng, kept, place in replicate_cells(seed, first, last, "toy"):
            noise[place] = rng.standard_normal((REPLICATES_PER_CELL, n, 2))[kept]
        if arm is None:
            arm = np.broadcast_to(np.arange(n) % len(scenario.arms), shape)
        shifts = np.array([a.effects.get("shift", 0.0) for a in scenario.arms])
        values = noise.copy()
        values[..., 0] = 0.0
        values[..., 1] += shifts[arm]
        return TrialArrays(
            arms=scenario.arm_names, arm=np.asarray(arm), weeks=scenario.schedule.weeks,
            day=np.array([[[0.0, 364.0]]]), values={"score": values},
            exit_day=np.full(shape, 364.0), exit_reason=np.zeros(shape, int),
            stop_day=np.full(shape, np.inf),
        )  # fmt: skip


GENERATOR = ToyGenerator()


def toy_analyse(scenario, analysis, data, *, arms):
    """Compare the mean of each of `arms` with the reference by a z test with known variance."""
    del scenario, analysis
    y = data.values["score"][..., 1]  # noqa: PD011
    estimates, errors, sizes = [], [], []
    for name in arms:
        means, counts = [], []
        for code in (0, data.arms.index(name)):
            inside = data.arm == code
            counts.append(inside.sum(axis=1))
            means.append(np.where(inside, y, 0.0).sum(axis=1) / counts[-1])
        estimates.append(means[1] - means[0])
        errors.append(np.sqrt(1 / counts[0] + 1 / counts[1]))
        sizes.append(counts)
    estimate, error = np.stack(estimates, axis=1), np.stack(errors, axis=1)
    n = np.array(sizes)
    return AnalysisBatch(
        comparisons=tuple(arms), estimate=estimate, std_error=error,
        df=np.full(estimate.shape, np.inf), z=estimate / error, information=error**-2,
        n_reference=n[:, 0].T, n_treated=n[:, 1].T, n_events=np.zeros(estimate.shape, int),
        reason=np.full(estimate.shape, "", dtype=object),
    )  # fmt: skip


def toy_block(scenario, generator, root, first, last):
    """Run the replicates of a toy trial, all to the end."""
    data = generator(scenario, root, first=first, last=last)
    batch = toy_analyse(scenario, scenario.analyses[0], data, arms=scenario.arm_names[1:])
    return outcome_of(batch, scenario, first)


def outcome_of(batch: AnalysisBatch, scenario: Scenario, first: int) -> BlockOutcome:
    """Turn an analysis at the end of trials to frames."""
    n, k = batch.estimate.shape
    replicate = np.arange(first, first + n)
    rejected = batch.z > QUANTILE
    half = QUANTILE * batch.std_error
    estimates = pd.DataFrame({
        "replicate": np.repeat(replicate, k), "look": 1, "analysis": scenario.analyses[0].name,
        "comparison": np.tile(np.array(batch.comparisons, dtype=object), n),
        "estimate": batch.estimate.ravel(), "std_error": batch.std_error.ravel(),
        "df": batch.df.ravel(), "z": batch.z.ravel(),
        "conf_low": (batch.estimate - half).ravel(), "conf_high": (batch.estimate + half).ravel(),
        "information": batch.information.ravel(), "n_reference": batch.n_reference.ravel(),
        "n_treated": batch.n_treated.ravel(), "n_events": batch.n_events.ravel(),
        "calendar_year": 1.0, "boundary": QUANTILE, "rejected": rejected.ravel(),
        "reason": batch.reason.ravel(),
    })  # fmt: skip
    trials = pd.DataFrame({
        "replicate": replicate, "n_enrolled": N_SUBJECTS, "duration_years": 1.0, "n_looks": 1,
        "stopped_for": "end", "success": rejected.any(axis=1), "failed": False, "reason": "",
    })  # fmt: skip
    arms = pd.DataFrame({
        "replicate": np.repeat(replicate, k + 1), "arm": np.tile(scenario.arm_names, n),
        "n_enrolled": N_SUBJECTS // (k + 1), "dropped_at": 0,
        "rejected": np.hstack([np.zeros((n, 1), bool), rejected]).ravel(),
    })  # fmt: skip
    return BlockOutcome(estimates=estimates, trials=trials, arms=arms)


ENGINE = TrialEngine(run_block=toy_block, analyse=toy_analyse)


def fail_every(outcome: BlockOutcome, k: int) -> BlockOutcome:
    """Let the analysis of each k-th replicate fail."""
    estimates, trials = outcome.estimates.copy(), outcome.trials.copy()
    rows = estimates["replicate"] % k == 0
    estimates.loc[rows, ["estimate", "std_error", "z", "conf_low", "conf_high"]] = np.nan
    estimates.loc[rows, "rejected"] = False
    estimates.loc[rows, "reason"] = "no maximum"
    failed = trials["replicate"] % k == 0
    trials.loc[failed, "success"] = False
    trials.loc[failed, "failed"] = True
    trials.loc[failed, "reason"] = "no maximum"
    return BlockOutcome(estimates=estimates, trials=trials, arms=outcome.arms)


@dataclass(frozen=True)
class FailingBlock:
    """A toy trial whose analysis fails in each k-th replicate."""

    k: int

    def __call__(self, *args):
        return fail_every(toy_block(*args), self.k)


@dataclass(frozen=True)
class DeadlyBlock:
    """A toy trial that kills its own process with SIGKILL, once per marker file.

    `times` more processes die in the block that begins with `first`.
    """

    folder: str
    first: int
    times: int = 1

    def __call__(self, scenario, generator, root, first, last):
        if first == self.first:
            for i in range(self.times):
                marker = Path(self.folder, f"died-{i}")
                if not marker.exists():
                    marker.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
        return toy_block(scenario, generator, root, first, last)


@dataclass(frozen=True)
class SlowBlock:
    """A toy trial that takes a while."""

    seconds: float

    def __call__(self, *args):
        time.sleep(self.seconds)
        return toy_block(*args)
