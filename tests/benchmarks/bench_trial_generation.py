"""Generator of trials: 10,000 trials of 300, against drawing their normals alone.

Run: ``python tests/benchmarks/bench_trial_generation.py [n_trials]``. Targets: a random-slope trial
of five visits with dropout at most twice its own normals (two and five per subject), in blocks of
500; EDSS visits every 12 weeks over two and three years in under 25 s on one core.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from timing import machine, median_seconds

from pmsstats.trials.scenario import IntercurrentEvent, TrialDropout
from synthetic import generate_trials

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from plain_trials import LINE, halves, scenario

N, BLOCK, REPEATS = 300, 500, 3
DROPOUT = TrialDropout(share=0.2)
STOPS = (IntercurrentEvent(rate=0.1),)
EDSS = {"worsening_hazard_ratio": 0.7}


def generate(trial, n_trials: int) -> None:
    arm = halves(BLOCK, N)
    for first in range(0, n_trials, BLOCK):
        generate_trials(trial, 1, first=first, last=first + BLOCK, arm=arm)


def normals(n_trials: int, per_subject: int) -> None:
    generator = np.random.default_rng(1)
    for _ in range(0, n_trials, BLOCK):
        generator.standard_normal((BLOCK, N, per_subject))


def slopes(n_trials: int) -> None:
    alone = median_seconds(lambda: normals(n_trials, 7), REPEATS)
    print(f"normals alone, 7 per subject: {alone:.2f} s")
    effects = ({}, {"slowing": 0.3})
    for name, stops in (("random slope, dropout", ()), ("and stopping of treatment", STOPS)):
        trial = scenario(settings=LINE, effects=effects, n=N, dropout=DROPOUT, intercurrent=stops)
        took = median_seconds(lambda trial=trial: generate(trial, n_trials), REPEATS)
        print(f"  {name}: {took:.2f} s, {took / alone:.2f} x the normals")


def visits(n_trials: int) -> None:
    for weeks in (96, 144):
        trial = scenario(
            "ppms_trial", {}, ({}, EDSS), n=N, weeks=tuple(range(0, weeks + 1, 12)),
            measures=("edss",), dropout=DROPOUT,
        )  # fmt: skip
        took = median_seconds(lambda trial=trial: generate(trial, n_trials), 1)
        rate = 1e6 * took / (n_trials * N)
        print(f"EDSS every 12 weeks over {weeks}: {took:.2f} s, {rate:.2f} us a subject")


def main() -> None:
    n_trials = int(sys.argv[1]) if sys.argv[1:] else 10_000
    print(f"{n_trials:,} trials x {N} subjects; {machine()}")
    slopes(n_trials)
    visits(n_trials)


if __name__ == "__main__":
    main()
