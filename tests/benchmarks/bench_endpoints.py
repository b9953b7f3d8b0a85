"""Confirmed progression of 5,000 subjects with 14 visits each, beside pymsprog in the same run.

Ours is all of `derive_progression` on a cohort that is ready: result, exclusions and tables.
pymsprog loops over subjects; it is timed on some of them, inside of its own environment after
import and a first run, and scaled by their number (its times at several sizes are shown, so that
one sees that they grow in proportion). Every time is the median of several runs. Asked is a ratio
of at least 200 for CDP24, and of 100 for multiple events with a roving baseline and PIRA.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from timing import machine, median_seconds

from pmsstats.cohort import Cohort
from pmsstats.endpoints import ProgressionRule, derive_progression, edss_threshold
from pmsstats.seeds import stream

ROOT = Path(__file__).resolve().parents[2]
PYTHON = Path(os.environ.get("PMSSTATS_PYMSPROG", ROOT / ".venv/pymsprog/bin/python"))
N_SUBJECTS, N_VISITS = 5_000, 14
SIZES = (50, 100, 200)  # subjects that pymsprog is timed on
RUNS = 9  # of ours
COMMON: dict[str, Any] = {
    "outcome": "edss",
    "threshold": edss_threshold(),
    "direction": "increase",
    "confirm_weeks": 24,
    "baseline_visit": "first",
}
RULES = {
    "CDP24": ProgressionRule(name="cdp24", **COMMON),
    "multiple, roving, PIRA": ProgressionRule(
        name="multiple",
        events="multiple",
        baseline="roving",
        classify_relapses=True,
        relapse_to_baseline_days=30,
        relapse_to_confirmation_days=30,
        **COMMON,
    ),
}
OPTIONS = {
    "CDP24": {"event": "firstCDW", "relapse_to_bl": 0, "relapse_to_conf": 0},
    "multiple, roving, PIRA": {
        "event": "multiple", "baseline": "roving", "RAW_PIRA": True, "relapse_to_bl": 30,
        "relapse_to_conf": 30,
    },
}  # fmt: skip
ASKED = {"CDP24": 200, "multiple, roving, PIRA": 100}
TIME_PYMSPROG = """
import json, statistics, sys, time
import pandas as pd
from pymsprog import MSprog
folder, sizes, all_options = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
visits, relapses = (pd.read_csv(f"{folder}/{name}.csv") for name in ("visits", "relapses"))
ids = visits["subject_id"].unique()
def run(n, options):
    some = set(ids[:n])
    start = time.perf_counter()
    summary, results = MSprog(
        visits[visits["subject_id"].isin(some)], "subject_id", "edss", "day", "edss",
        relapse=relapses[relapses["subject_id"].isin(some)], date_format="day", conf_days=168,
        conf_tol_days=[0, float("inf")], verbose=0,
        delta_fun=lambda baseline: 1.0 if baseline <= 5.5 else 0.5, **options,
    )
    return time.perf_counter() - start, int((results["nevent"] > 0).sum())
run(5, {})
print(json.dumps({
    name: [[n, *map(statistics.median, zip(*(run(n, options) for _ in range(3))))] for n in sizes]
    for name, options in all_options.items()
}))
"""


def make_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw visits every 12 weeks or so, and half a relapse for each subject."""
    rng = stream(1, "endpoints")
    ids = np.array([f"S{i:05d}" for i in range(N_SUBJECTS)])
    visit = np.tile(np.arange(N_VISITS), N_SUBJECTS)
    jitter = np.where(visit > 0, rng.integers(-7, 8, len(visit)), 0)
    steps = rng.choice([-1, 0, 0, 0, 1], (N_SUBJECTS, N_VISITS))
    halves = rng.integers(4, 13, (N_SUBJECTS, 1)) + np.cumsum(steps, axis=1)
    visits = pd.DataFrame(
        {
            "subject_id": np.repeat(ids, N_VISITS),
            "day": visit * 84 + jitter,
            "edss": np.clip(halves, 2, 19).ravel() / 2,
        }
    )
    relapses = pd.DataFrame(
        {
            "subject_id": rng.choice(ids, N_SUBJECTS // 2),
            "day": rng.integers(0, N_VISITS * 84, N_SUBJECTS // 2),
        }
    )
    return visits, relapses.drop_duplicates().sort_values(["subject_id", "day"])


def time_pymsprog(visits: pd.DataFrame, relapses: pd.DataFrame) -> dict[str, list[list[float]]]:
    """Time pymsprog: for each definition rows of subjects, seconds and events; empty without it."""
    if not PYTHON.is_file():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        visits.to_csv(Path(folder) / "visits.csv", index=False)
        relapses.to_csv(Path(folder) / "relapses.csv", index=False)
        arguments = [folder, json.dumps(SIZES), json.dumps(OPTIONS)]
        command = [str(PYTHON), "-c", TIME_PYMSPROG, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def compare(cohort: Cohort, theirs: dict[str, list[list[float]]]) -> pd.DataFrame:
    """Time ours, and set theirs beside it, scaled to all subjects."""
    ids = list(cohort.subjects["subject_id"])
    rows = []
    for name, rule in RULES.items():
        seconds = median_seconds(lambda rule=rule: derive_progression(cohort, rule), RUNS)
        episodes = derive_progression(cohort, rule).episodes
        for n, peer, n_events in theirs.get(name, []):
            ours = episodes["subject_id"].isin(ids[: int(n)])
            wanted = (
                ours if rule.events == "multiple" else ours & (episodes["change"] == "worsening")
            )
            per_subject = peer / n
            rows.append(
                {
                    "definition": name,
                    "ours_s": seconds,
                    "pymsprog_on": int(n),
                    "pymsprog_s": peer,
                    "ms_per_subject": 1000 * per_subject,
                    "ratio": per_subject * N_SUBJECTS / seconds,
                    "asked": ASKED[name],
                    "events": f"{wanted.sum()} / {n_events:.0f}",
                }
            )
        if name not in theirs:
            rows.append({"definition": name, "ours_s": seconds, "asked": ASKED[name]})
    return pd.DataFrame(rows)


def main() -> None:
    """Measure and print."""
    visits, relapses = make_tables()
    subjects = pd.DataFrame({"subject_id": visits["subject_id"].unique()})
    cohort = Cohort(subjects, visits, relapses)
    theirs = time_pymsprog(visits, relapses)
    print(f"{N_SUBJECTS:,} subjects with {N_VISITS} visits; {machine()}")
    print(compare(cohort, theirs).round(4).to_string(index=False))
    print("events: found by us / by pymsprog in the subjects that it was timed on")
    if not theirs:
        print("pymsprog is not there: .ci/reference --setup makes .venv/pymsprog with it, or set")
        print("PMSSTATS_PYMSPROG to the Python of an environment that has it")


if __name__ == "__main__":
    main()
