"""Closed forms: milliseconds per call, two of them beside R's rpact, whose answers are compared.

Each call solves a sample size anew (a bound, a grid); nothing is remembered from the call before.
Milliseconds are those of the processor, which other work on the machine hardly changes: the mean of
some calls after a first one, for rpact inside R. Its rows are left out where it is absent, and it
is said why.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from collections.abc import Callable
from functools import partial

from timing import machine

import pmsstats as pms

ROUNDS = 15
SCHEDULE = pms.VisitSchedule(years=(0, 0.5, 1, 1.5, 2))
MODEL = pms.SlopeModel(intercept_sd=8.0, slope_sd=0.7, residual_sd=0.8)
LOOKS = (0.25, 0.5, 0.75, 1.0)
BOUNDS, SURVIVAL = "bounds of four looks", "log-rank, Schoenfeld, accrual"
TIME_IN_R = """
suppressMessages(library(rpact))
measured <- function(name, run, answer) {
  found <- answer(run())
  clock <- system.time(for (k in 1:15) run())
  took <- 1000 * (clock[["user.self"]] + clock[["sys.self"]]) / 15
  cat(name, took, format(found, digits = 10), sep = ";")
  cat("\\n")
}
measured("bounds of four looks", function() getDesignGroupSequential(
  alpha = 0.025, informationRates = c(0.25, 0.5, 0.75, 1), typeOfDesign = "asOF"
), function(found) found$criticalValues[1])
measured("log-rank, Schoenfeld, accrual", function() getSampleSizeSurvival(
  alpha = 0.05, sided = 2, beta = 0.2, lambda2 = 0.2, hazardRatio = 0.7, accrualTime = c(0, 1.5),
  followUpTime = 2
), function(found) found$numberOfSubjects1[1] + found$numberOfSubjects2[1])
"""


def calls() -> dict[str, Callable[[], float]]:
    """Return what is solved, by name; each gives one number of its answer."""
    slope = {"schedule": SCHEDULE, "model": MODEL, "slowing": 0.5, "rate": -1.4, "dropout": 0.1}
    covariance = pms.VisitCovariance.cs(sd=1.2, correlation=0.6, n_visits=4)
    grid = {"n": range(20, 201, 20), "slowing": (0.2, 0.3, 0.4, 0.5, 0.6)}
    kept = {"schedule": SCHEDULE, "model": MODEL, "rate": -1.4}
    events = {"hazard": 0.2, "hazard_ratio": 0.7, "accrual": 1.5, "follow_up": 2.0}
    alphas = (0.025 + 1e-12 * k for k in itertools.count())  # designs are remembered by value

    def bounds() -> float:
        design = pms.GroupSequentialDesign(
            looks=LOOKS, spending="ld_obrien_fleming", alpha=next(alphas)
        )
        return float(pms.boundaries(design).efficacy_z[0])

    return {
        "two-sample change": lambda: pms.sample_size_change(effect=0.5, sd=1.2).value,
        "slope, 5 scans, dropout": lambda: pms.sample_size_slope(**slope).value,
        "slope, how many scans": lambda: (
            pms.sample_size_slope(**slope, n=90, solve="n_scans").value
        ),
        "slope, how long": lambda: pms.sample_size_slope(**slope, n=90, solve="duration").value,
        "MMRM, 4 visits": lambda: pms.sample_size_mmrm(covariance=covariance, effect=0.5).value,
        "two shares, exact test": lambda: (
            pms.sample_size_proportion(reference=0.3, treated=0.15, method="fisher").value
        ),
        "negative-binomial counts": lambda: (
            pms.sample_size_counts(rate=1.5, rate_ratio=0.6, dispersion=1.0, follow_up=2.0).value
        ),
        "log-rank, Lakatos, delay": lambda: pms.sample_size_log_rank(**events, delay=0.5).value,
        SURVIVAL: lambda: pms.sample_size_log_rank(**events, method="schoenfeld").value,
        BOUNDS: bounds,
        "a grid of 50 designs": lambda: len(
            partial(pms.power_grid, pms.power_slope, along=grid)(**kept).table()
        ),
    }


def in_r() -> dict[str, tuple[float, float]]:
    """Return rpact's milliseconds and answers; nothing where it cannot be asked."""
    if shutil.which("Rscript") is None:
        print("Rscript is not on the path: rpact's times are left out")
        return {}
    command = ["Rscript", "-e", TIME_IN_R]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"R stopped with code {done.returncode}, rpact is left out:\n{done.stderr}")
        return {}
    lines = [line.split(";") for line in done.stdout.splitlines() if line.count(";") == 2]
    return {name: (float(took), float(answer)) for name, took, answer in lines}


def milliseconds(call: Callable[[], float]) -> float:
    """Return the processor's milliseconds per call."""
    start = time.process_time()
    for _ in range(ROUNDS):
        call()
    return 1000 * (time.process_time() - start) / ROUNDS


def main() -> None:
    """Measure and print."""
    print(f"Processor milliseconds per closed form, means of {ROUNDS}; {machine()}")
    theirs = in_r()
    for name, call in calls().items():
        answer = call()
        took = milliseconds(call)
        beside = ""
        if name in theirs:
            their_time, their_answer = theirs[name]
            beside = (
                f"   rpact {their_time:6.1f} ms, {their_time / took:.1f} x; "
                f"answers {answer:.4f} and {their_answer:.4f}"
            )
        print(f"  {name:<30} {took:8.1f}{beside}")


if __name__ == "__main__":
    main()
