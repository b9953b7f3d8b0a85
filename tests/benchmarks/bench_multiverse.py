"""1,440 definitions on 3,500 subjects: derivation, hazard ratios, agreement, influence.

Prints the seconds of each step; what a loop over definitions would take with derive_progression and
with Cox models by lifelines, from a few of them; and, where `.venv/pymsprog` holds pymsprog, the
ratio to its time per subject and definition in the same run.
"""

from __future__ import annotations

import math
import subprocess
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from lifelines import CoxPHFitter
from timing import machine, median_seconds

from pmsstats.cohort import Cohort
from pmsstats.endpoints import derive_progression, edss_threshold
from pmsstats.multiverse import RuleGrid, derive_multiverse, rule_grid
from pmsstats.multiverse.comparison import comparison_of
from pmsstats.multiverse.event_tables import derive_event_tables
from pmsstats.multiverse.spec import MultiverseSpec
from pmsstats.seeds import stream

N_SUBJECTS, N_VISITS = 3500, 14
N_LOOPED, N_LIFELINES, N_FOR_PYMSPROG = 12, 12, 200
PYMSPROG = Path(__file__).resolve().parents[2] / ".venv/pymsprog/bin/python"
TIME_PYMSPROG = """
import sys, time
import pandas as pd
from pymsprog import MSprog
visits, relapses = (pd.read_csv(path) for path in sys.argv[1:3])
start = time.perf_counter()
MSprog(visits, "subject_id", "edss", "day", "edss", relapse=relapses, conf_days=[84],
       conf_tol_days=[0, float("inf")], date_format="day", verbose=0)
print(time.perf_counter() - start)
"""


def make_cohort() -> Cohort:
    """Draw a trial of two arms in which EDSS rises, is noisy, and relapses occur."""
    rng = stream(1, "multiverse benchmark")
    ids = np.array([f"S{i:04d}" for i in range(N_SUBJECTS)])
    arm = np.where(rng.random(N_SUBJECTS) < 0.5, "active", "placebo")
    rate = np.where(arm == "active", 0.07, 0.1)[:, None]
    rises = np.cumsum(rng.random((N_SUBJECTS, N_VISITS)) < rate, axis=1)
    noise = rng.choice([-1, 0, 1], p=[0.1, 0.8, 0.1], size=rises.shape)
    halves = np.clip(rng.integers(4, 13, N_SUBJECTS)[:, None] + rises + noise, 2, 20)
    day = 84 * np.arange(N_VISITS) + rng.integers(-7, 8, rises.shape)
    day[:, 0] = 0
    visits = pd.DataFrame(
        {"subject_id": np.repeat(ids, N_VISITS), "day": day.ravel(), "edss": halves.ravel() / 2}
    )
    n_relapses = rng.poisson(0.8, N_SUBJECTS)
    relapses = pd.DataFrame(
        {"subject_id": np.repeat(ids, n_relapses), "day": rng.integers(1, 900, n_relapses.sum())}
    )
    subjects = pd.DataFrame({"subject_id": ids, "arm": arm})
    return Cohort(subjects, visits, relapses.drop_duplicates(), origin="synthetic")


def make_grid() -> RuleGrid:
    """Combine seven options to 1,440 definitions."""
    return rule_grid(
        "cdp12",
        confirm_weeks=[12, 24, (12, 24)],
        baseline=["fixed", "roving", "roving_improvement"],
        threshold={"5.5": edss_threshold(5.5), "5.0": edss_threshold(5.0)},
        relapse_to_onset_days=[0, 30, 60, 90, (90, 30)],
        confirm_tolerance_days=[0, 7, 14, 28],
        confirm_intermediate=[True, False],
        sustain_days=[0, math.inf],
    )


def lifelines_seconds(cohort: Cohort, grid: RuleGrid) -> float:
    """Return the seconds of one Cox model by lifelines, its data frame ready."""
    arm = cohort.subjects.set_index("subject_id")["arm"].astype(str)
    seconds = []
    for rule in grid.rules[:: len(grid) // N_LIFELINES]:
        events = derive_progression(cohort, rule).table()
        frame = events[["duration", "event"]].assign(
            active=(events["subject_id"].map(arm) == "active").astype(float)
        )
        seconds.append(median_seconds(lambda f=frame: CoxPHFitter().fit(f, "duration", "event"), 3))
    return float(np.median(seconds))


def pymsprog_seconds(cohort: Cohort) -> float | None:
    """Return pymsprog's seconds per subject and definition; None where it is absent."""
    if not PYMSPROG.exists():
        print("pymsprog is absent (`make reference` installs it): its row is left out")
        return None
    some = cohort.select(subjects=cohort.subjects["subject_id"].head(N_FOR_PYMSPROG))
    with tempfile.TemporaryDirectory() as name:
        paths = [Path(name) / file for file in ("visits.csv", "relapses.csv")]
        some.visits[["subject_id", "day", "edss"]].to_csv(paths[0], index=False)
        some.relapses[["subject_id", "day"]].to_csv(paths[1], index=False)
        command = [str(PYMSPROG), "-W", "ignore", "-c", TIME_PYMSPROG, *map(str, paths)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"pymsprog stopped with code {done.returncode}:\n{done.stderr}")
        return None
    return float(done.stdout.split()[-1]) / N_FOR_PYMSPROG


def timed(call) -> tuple[float, object]:
    """Run once; return seconds and the value."""
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    cohort = make_cohort()
    derive_multiverse(cohort, ["cdp12"])  # compiles
    in_grid, grid = timed(make_grid)
    print(f"{machine()}; {len(grid):,} definitions x {N_SUBJECTS:,} subjects x {N_VISITS} visits")
    rows = [("rule_grid", in_grid)]
    ids = comparison_of(cohort, MultiverseSpec()).subject_ids
    deriving = timed(lambda: derive_event_tables(cohort, grid.rules, ids))[0]
    rows.append(("  of which derivation, n_jobs=1", deriving))
    for n_jobs in (1, 2):
        seconds, result = timed(lambda n=n_jobs: derive_multiverse(cohort, grid, n_jobs=n))
        rows.append((f"derive_multiverse, n_jobs={n_jobs}", seconds))
    rows.append(("kappa matrix", timed(result.kappa)[0]))
    rows.append(("influence of the options", timed(result.influence)[0]))
    some = grid.rules[:: len(grid) // N_LOOPED]
    looped = timed(lambda: [derive_progression(cohort, rule) for rule in some])[0] / len(some)
    rows.append(("derive_progression in a loop (extrapolated)", looped * len(grid)))
    rows.append(
        ("lifelines Cox models (extrapolated)", lifelines_seconds(cohort, grid) * len(grid))
    )
    table = pd.DataFrame(rows, columns=["step", "seconds"])
    table["ms_per_definition"] = 1000 * table["seconds"] / len(grid)
    print(table.round(2).to_string(index=False))
    print(f"distinct tables of events: {(result.definitions['same_as'] == '').sum():,}")
    theirs = pymsprog_seconds(cohort)
    if theirs is not None:
        ours = deriving / len(grid) / N_SUBJECTS
        print(f"per subject and definition: pymsprog {1e3 * theirs:.2f} ms, derivation here "
              f"{1e6 * ours:.2f} us: {theirs / ours:,.0f} x faster")  # fmt: skip


if __name__ == "__main__":
    main()
