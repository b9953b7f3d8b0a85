"""Simulated trials on more workers: two local processes against one, Dask against joblib.

10,000 trials of two arms with 150 subjects and 5 visits each, dropout included, random slopes with
Satterthwaite tests; blocks of 100. Pools are warm: a first run starts the processes and loads the
compiled code. The median of some runs. Bars: two workers at least 1.7 times as fast as one; Dask
within 10 % of joblib. Ratios mean little while others use the cores.
"""

from __future__ import annotations

import sys
from functools import partial

import distributed
import numpy as np
from timing import machine, median_seconds

import synthetic
from pmsstats.trials.scenario import (
    Accrual,
    DecisionRule,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialDropout,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
)
from pmsstats.trials.simulate import simulate_trials

N_REPLICATES = 10_000
BLOCK = 100
REPEATS = 3
SCENARIO = Scenario(
    name="random slopes",
    population=TrialPopulation(
        model="random_slope",
        settings={
            "measure": "brain_pct", "intercept": 0.0, "rate": -0.6, "intercept_sd": 1.0,
            "slope_sd": 0.5, "correlation": 0.0, "residual_sd": 0.3,
        },
    ),
    arms=(TrialArm(name="placebo"), TrialArm(name="active", effects={"slowing": 0.3})),
    accrual=Accrual(n_subjects=300),
    schedule=TrialSchedule(weeks=(0, 26, 52, 78, 104)),
    dropout=TrialDropout(share=0.2),
    endpoints=(TrialEndpoint(name="brain", measure="brain_pct"),),
    analyses=(TrialAnalysis(name="slope", endpoint="brain", method="random_slope"),),
    decision=DecisionRule(analysis="slope"),
)  # fmt: skip


def seconds(n_replicates: int, **how: object) -> float:
    """Time a warm run."""
    call = partial(
        simulate_trials, SCENARIO, synthetic.generate_trials, n_replicates, 1, truth=False, **how
    )
    call()
    return median_seconds(call, REPEATS)


def main() -> None:
    n = int(sys.argv[1]) if len(sys.argv) > 1 else N_REPLICATES
    print(f"{machine()}; {n} trials, blocks of {BLOCK}")
    normals = median_seconds(lambda: np.random.default_rng(1).standard_normal((n, 300, 7)), REPEATS)
    print(f"  normals alone, as many as are drawn   {normals:7.2f} s")
    serial = seconds(n)
    print(f"  this process, blocks by default       {serial:7.2f} s = {serial / normals:.1f} x")
    blocks = {"block_size": BLOCK}
    one = seconds(n, backend="processes", n_workers=1, **blocks)
    two = seconds(n, backend="processes", n_workers=2, **blocks)
    print(f"  joblib, 1 worker                      {one:7.2f} s")
    print(f"  joblib, 2 workers                     {two:7.2f} s; speed-up {one / two:.2f}")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as cluster:
        dask = seconds(n, scheduler=cluster.scheduler_address, **blocks)
    print(f"  Dask, 2 workers                       {dask:7.2f} s; {dask / two:.2f} x joblib")


if __name__ == "__main__":
    main()
