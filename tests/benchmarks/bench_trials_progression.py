"""10,000 trials of confirmed progression: EDSS visits, 24-week confirmation, log-rank test.

300 patients of the preset ``ppms_trial`` in two arms, a visit every 12 weeks over 96 weeks,
dropout. Two local processes simulate them from the first random number to the table of operating
characteristics; asked are 60 seconds. A first run starts the processes and loads the compiled code.
The shares of the stages are those of one process: generator, definition of progression, test.

Run: ``python tests/benchmarks/bench_trials_progression.py [n_trials]``.
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from timing import machine, median_seconds

from pmsstats.endpoints.engine.batch import derive_progression_batch
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
from pmsstats.trials.analyses import analyse
from pmsstats.trials.enrol import enrol
from synthetic import generate_trials

N_TRIALS, SEED, PART, ROUNDS = 10_000, 1, 500, 3
SCENARIO = Scenario(
    name="confirmed progression",
    population=TrialPopulation(model="ppms_trial"),
    arms=(
        TrialArm(name="placebo"),
        TrialArm(name="active", effects={"worsening_hazard_ratio": 0.7}),
    ),
    accrual=Accrual(n_subjects=300),
    schedule=TrialSchedule(weeks=tuple(range(0, 97, 12))),
    dropout=TrialDropout(share=0.2),
    endpoints=(TrialEndpoint(name="progression", measure="edss", rule="cdp24", better="lower"),),
    analyses=(TrialAnalysis(name="progression", endpoint="progression", method="log_rank"),),
    decision=DecisionRule(analysis="progression"),
)


def simulate(n_trials: int, n_workers: int) -> float:
    """Simulate; return the power."""
    result = simulate_trials(
        SCENARIO, generate_trials, n_trials, SEED, n_workers=n_workers, truth=False
    )
    return float(result.trials["success"].mean())


def stages() -> dict[str, float]:
    """Return the seconds of each stage for some trials, in this process, and of all together."""
    arm = enrol(SCENARIO, SEED, 0, PART).arm
    generate = partial(generate_trials, SCENARIO, SEED, first=0, last=PART, arm=arm)
    data = generate()
    day = np.rint(data.day).astype(np.int64)
    derive = partial(derive_progression_batch, data.values["edss"], "cdp24", day=day)
    test = partial(analyse, SCENARIO, SCENARIO.analyses[0], data, arms=("active",))
    calls = {
        "generator": generate, "definition": derive, "definition and test": test,
        "all": partial(simulate, PART, 1),
    }  # fmt: skip
    return {name: median_seconds(call, ROUNDS) for name, call in calls.items()}


def main() -> None:
    """Measure and print."""
    n_trials = int(sys.argv[1]) if sys.argv[1:] else N_TRIALS
    weeks = SCENARIO.schedule.weeks
    print(f"{n_trials:,} trials, 300 patients x {len(weeks)} EDSS visits, cdp24; {machine()}")
    for n_workers in (1, 2):
        simulate(200, n_workers)  # compiles, and starts the processes
    one = median_seconds(partial(simulate, n_trials, 1), 1)
    two = median_seconds(partial(simulate, n_trials, 2), ROUNDS)
    print(f"  two processes {two:6.1f} s")
    print(f"  one process   {one:6.1f} s, {one / two:.2f} x as long")
    took = stages()
    parts = {
        "generator": took["generator"],
        "definition": took["definition"],
        "log-rank test": took["definition and test"] - took["definition"],
        "the rest": took["all"] - took["generator"] - took["definition and test"],
    }
    for name, seconds in parts.items():
        print(f"    {name:<14} {seconds / took['all']:6.1%}")


if __name__ == "__main__":
    main()
