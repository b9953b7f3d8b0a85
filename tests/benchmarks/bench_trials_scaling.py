"""Simulated trials on more workers: two local processes against one, Dask against joblib.

Trials of two arms with 150 subjects and 5 visits each, dropout included, random slopes with
Satterthwaite tests; blocks of 100, far smaller than the blocks that are the default. Measured is
the whole call of `simulate_trials`, from the scenario to the table, with warm workers: before each
measured run some trials start the processes and load the compiled code. Places take turns, and the
median of the rounds counts, by the clock and in seconds of processor (of this process and its
workers together, which others on the machine disturb less). Bars: two workers at least 1.7 times as
fast as one; Dask within 10 % of joblib. Ratios by the clock mean nothing while others use the
cores: the load is printed, too.

Run: ``python tests/benchmarks/bench_trials_scaling.py [n_trials]``.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from functools import partial

import psutil
from joblib.externals.loky import get_reusable_executor
from timing import machine

import synthetic
from pmsstats.trials.execution import _ONE_THREAD, _local_cluster
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

N_TRIALS = 40_000
N_WARM = 2000
BLOCK = 100
ROUNDS = 5
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


ONE, TWO, DASK = "joblib, 1 worker", "joblib, 2 workers", "Dask, 2 workers"


def processor_seconds() -> float:
    """Return what this process and its workers have used so far."""
    me = psutil.Process()
    times = [process.cpu_times() for process in (me, *me.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def begin(_: int) -> None:
    """Load what a simulation loads, and keep the worker until the others have begun, too."""
    simulate_trials(SCENARIO, synthetic.generate_trials, BLOCK, 1, truth=False)
    time.sleep(2.0)


def start_workers(n_workers: int) -> None:
    """Have all local processes running, with the compiled code loaded."""
    executor = get_reusable_executor(max_workers=n_workers, timeout=120, env=_ONE_THREAD)
    list(executor.map(begin, range(n_workers)))


def clocked(n_trials: int, how: dict[str, object]) -> tuple[float, float]:
    """Time a run with warm workers: seconds by the clock, and of processor."""
    run = partial(simulate_trials, SCENARIO, synthetic.generate_trials, truth=False, **how)
    if "n_workers" in how:
        start_workers(int(str(how["n_workers"])))
    run(n_replicates=N_WARM, seed=1)
    wall, processor = time.perf_counter(), processor_seconds()
    run(n_replicates=n_trials, seed=1)
    return time.perf_counter() - wall, processor_seconds() - processor


def medians(n_trials: int, places: dict[str, dict[str, object]]) -> dict[str, tuple[float, float]]:
    """Let places take turns; return the medians of both clocks."""
    rounds = [{name: clocked(n_trials, how) for name, how in places.items()} for _ in range(ROUNDS)]
    return {
        name: (
            statistics.median(each[name][0] for each in rounds),
            statistics.median(each[name][1] for each in rounds),
        )
        for name in places
    }


def main() -> None:
    """Measure and print."""
    n = int(sys.argv[1]) if sys.argv[1:] else N_TRIALS
    print(f"{machine()}; {n:,} trials, blocks of {BLOCK}; medians of {ROUNDS} rounds in turn")
    print(f"  load when it began: {os.getloadavg()[0]:.1f}")
    with _local_cluster(2) as scheduler:  # as `backend="dask"` starts it
        pool = {"backend": "processes", "block_size": BLOCK}
        places = {
            "this process": {"block_size": BLOCK},
            ONE: pool | {"n_workers": 1},
            TWO: pool | {"n_workers": 2},
            DASK: {"scheduler": scheduler, "block_size": BLOCK},
        }
        found = medians(n, places)
    for name, (wall, processor) in found.items():
        print(f"  {name:<18} {wall:7.2f} s by the clock, {processor:7.2f} s of processor")
    ratios = [found[ONE][i] / found[TWO][i] for i in (0, 1)]
    print(
        f"  two workers: {ratios[0]:.2f} x as fast as one, for {1 / ratios[1]:.2f} x the processor"
    )
    ratios = [found[DASK][i] / found[TWO][i] for i in (0, 1)]
    print(f"  Dask: {ratios[0]:.2f} x joblib by the clock, {ratios[1]:.2f} x of processor")
    print(f"  load when it ended: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
