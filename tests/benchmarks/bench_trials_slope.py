"""10,000 trials of slopes with data and tests: beside drawing their normals, and beside lme4.

2 arms of 150 subjects, 5 visits over two years, dropout; random intercepts and slopes by REML with
Satterthwaite's test; data are generated, analysed and summed up by one process on one thread.
Compared are (1) the same count of normals from ``numpy.random.default_rng``, as one array and in
pieces as large as a block (whose memory is used again), in turn with the simulation; (2) a loop of
``lmerTest::lmer`` and ``summary`` over trials of the same scenario, whose data are made and read
beforehand, timed inside R after a first fit. Ratios of the rounds' medians are printed; asked is a
ratio of at most 5 to the normals, and of more than 300 to R. Without R its line is left out, and it
is said why.

Run: ``python tests/benchmarks/bench_trials_slope.py [n_trials]``.
"""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from timing import machine

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.trials import (
    Accrual,
    DecisionRule,
    Scenario,
    TrialAnalysis,
    TrialArm,
    TrialDropout,
    TrialEndpoint,
    TrialPopulation,
    TrialSchedule,
    simulate_trials,
)
from pmsstats.trials.blocks import default_block_size
from pmsstats.trials.enrol import enrol
from synthetic import generate_trials

N_TRIALS, N_SUBJECTS, SEED = 10_000, 300, 1
ROUNDS = 5
N_IN_R, ROUNDS_IN_R = 60, 3
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
    accrual=Accrual(n_subjects=N_SUBJECTS),
    schedule=TrialSchedule(weeks=(0, 26, 52, 78, 104)),
    dropout=TrialDropout(share=0.2),
    endpoints=(TrialEndpoint(name="brain", measure="brain_pct"),),
    analyses=(TrialAnalysis(name="slope", endpoint="brain", method="random_slope"),),
    decision=DecisionRule(analysis="slope"),
)  # fmt: skip
TIME_IN_R = """
suppressMessages(library(lmerTest))
arguments <- commandArgs(TRUE)
parts <- split(read.csv(arguments[1]), ~ replicate)
fit <- function(d) coef(summary(lmer(y ~ year + treated:year + (year | subject), data = d)))
invisible(suppressMessages(suppressWarnings(fit(parts[[1]]))))
seconds <- replicate(as.integer(arguments[2]), system.time(
  answers <<- lapply(parts, function(d) suppressMessages(suppressWarnings(fit(d))))
)[["elapsed"]])
cat(median(seconds) / length(parts), "\\n")
for (a in answers) cat(a["year:treated", c("Estimate", "df")], "\\n")
"""


def draw_normals(n_trials: int, block: int) -> None:
    """Draw a level, a slope and five errors per subject, some trials at a time."""
    rng = np.random.default_rng(SEED)
    for first in range(0, n_trials, block):
        size = min(block, n_trials - first)
        rng.standard_normal((size, N_SUBJECTS, 2 + len(SCENARIO.schedule.weeks)))


def simulate(n_trials: int) -> pd.DataFrame:
    """Simulate in this process; return the answer of each trial."""
    result = simulate_trials(
        SCENARIO, generate_trials, n_trials, SEED, backend="serial", truth=False
    )
    return result.estimates


def clocked(call: Callable[[], object]) -> tuple[float, float]:
    """Run once; return the seconds that passed, and those of the processor."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    return time.perf_counter() - wall, time.process_time() - cpu


def in_turn(*calls: Callable[[], object]) -> list[tuple[float, float]]:
    """Run the calls in turn, some rounds; return the median of both clocks for each."""
    rounds = [[clocked(call) for call in calls] for _ in range(ROUNDS)]
    return [
        (statistics.median(wall for wall, _ in one), statistics.median(cpu for _, cpu in one))
        for one in zip(*rounds, strict=True)
    ]


def first_trials() -> pd.DataFrame:
    """Return the data of the first trials, one row per visit that took place."""
    arm = enrol(SCENARIO, SEED, 0, N_IN_R).arm
    data = generate_trials(SCENARIO, SEED, first=0, last=N_IN_R, arm=arm)
    y = data.values["brain_pct"]  # noqa: PD011 (arrays by name, not a frame)
    replicate, subject, visit = np.nonzero(~np.isnan(y))
    year = 7 * np.array(data.weeks)[visit] / DAYS_PER_YEAR
    return pd.DataFrame(
        {
            "replicate": replicate, "subject": subject, "treated": arm[replicate, subject],
            "year": year, "y": y[replicate, subject, visit],
        }
    )  # fmt: skip


def seconds_in_r(ours: pd.DataFrame) -> float | None:
    """Return R's seconds per trial, and print how far its answers are from ours."""
    if shutil.which("Rscript") is None:
        print("Rscript is not on the path: the comparison with lme4 and lmerTest is left out")
        return None
    with tempfile.TemporaryDirectory() as folder:
        data, script = Path(folder) / "trials.csv", Path(folder) / "time.R"
        first_trials().to_csv(data, index=False)
        script.write_text(TIME_IN_R, encoding="utf-8")
        command = ["Rscript", str(script), str(data), str(ROUNDS_IN_R)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"R stopped with code {done.returncode}, its line is left out:\n{done.stderr}")
        return None
    seconds, *answers = done.stdout.split("\n", 1)
    theirs = np.array(answers[0].split(), dtype=float).reshape(-1, 2)
    first = ours.iloc[:N_IN_R]
    apart = (first["estimate"] - theirs[:, 0]).abs() / first["std_error"]
    df = (first["df"] / theirs[:, 1] - 1).abs()
    print(
        f"  the first {N_IN_R} trials in R: estimates differ by at most {apart.max():.0e} SE, "
        f"degrees of freedom by {df.max():.0e}"
    )
    return float(seconds)


def main() -> None:
    """Measure and print."""
    n_trials = int(sys.argv[1]) if sys.argv[1:] else N_TRIALS
    print(f"{n_trials:,} trials, 2 x 150 subjects x 5 visits, 20 % dropout; {machine()}")
    ours = simulate(n_trials)  # compiles, and its first rows are compared with R's
    block = default_block_size(SCENARIO, n_trials, 1)
    calls = {
        "normals, one array": partial(draw_normals, n_trials, n_trials),
        f"normals, {block} trials at a time": partial(draw_normals, n_trials, block),
        "simulated and analysed": partial(simulate, n_trials),
    }
    clocks = dict(zip(calls, in_turn(*calls.values()), strict=True))
    seconds, cpu = clocks["simulated and analysed"]
    for name, (wall, processor) in clocks.items():
        print(
            f"  {name:<32} {wall:6.2f} s ({processor:.2f} s of processor): "
            f"all of it takes {seconds / wall:.2f} x ({cpu / processor:.2f} x)"
        )
    in_r = seconds_in_r(ours)
    if in_r is not None:
        print(
            f"  lmerTest, {N_IN_R} trials  {1000 * in_r:8.1f} ms per trial, data not included: "
            f"{in_r / (seconds / n_trials):,.0f} x as long as ours, data included"
        )


if __name__ == "__main__":
    main()
