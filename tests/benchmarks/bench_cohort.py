"""1,000,000 visit rows: read, validate, derive endpoints; beside a plain pandas pass over the file.

Prints seconds and the ratio to the peer, ``pandas.read_csv`` of the same file in the same run:
what is above 1 is the price of checking every value and deriving the endpoints.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.cohort import Cohort, read_cohort
from pmsstats.endpoints import derive_progression
from pmsstats.seeds import stream

N_SUBJECTS = 100_000
N_VISITS = 10
RULES = ("cdp12", "cdp24", "t25fw20", "nhpt20")


def make_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw legal, noisy visits: nothing clinical, only the right number of rows."""
    rng = stream(1, "benchmark")
    n_rows = N_SUBJECTS * N_VISITS
    ids = np.array([f"S{i:06d}" for i in range(N_SUBJECTS)])
    visit = np.tile(np.arange(N_VISITS), N_SUBJECTS)
    halves = 6 + np.cumsum(rng.integers(-1, 2, (N_SUBJECTS, N_VISITS)), axis=1).ravel()
    visits = pd.DataFrame(
        {
            "subject_id": np.repeat(ids, N_VISITS),
            "day": visit * 84 + np.where(visit > 0, rng.integers(-7, 8, n_rows), 0),
            "edss": np.clip(halves, 2, 18) / 2,
            "t25fw_s": rng.lognormal(2.2, 0.3, n_rows).round(1),
            "nhpt_s": rng.lognormal(3.3, 0.2, n_rows).round(1),
            "sdmt": rng.integers(20, 80, n_rows),
            "thalamus_ml": rng.normal(14, 1, n_rows).round(3),
        }
    )
    return pd.DataFrame(
        {"subject_id": ids, "phenotype": rng.choice(["SPMS", "PPMS"], N_SUBJECTS)}
    ), visits


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Run once; return seconds and the value."""
    start = time.perf_counter()
    value = call()
    return time.perf_counter() - start, value


def main() -> None:
    """Measure and print."""
    subjects, visits = make_tables()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subjects.to_csv(folder / "subjects.csv", index=False)
        visits.to_csv(folder / "visits.csv", index=False)
        rows = [
            ("pandas.read_csv alone (peer)", timed(lambda: pd.read_csv(folder / "visits.csv"))[0])
        ]
        rows.append(("read_cohort: read, convert, validate", timed(lambda: read_cohort(folder))[0]))
    seconds, cohort = timed(lambda: Cohort(subjects, visits))
    rows.append(("Cohort(...): validate frames", seconds))
    rows += [(f"derive {r}", timed(lambda r=r: derive_progression(cohort, r))[0]) for r in RULES]
    peer = rows[0][1]
    total = sum(seconds for name, seconds in rows[1:] if not name.startswith("Cohort"))
    rows.append(("read, validate and derive all", total))
    table = pd.DataFrame(rows, columns=["step", "seconds"])
    table["ratio_to_peer"] = table["seconds"] / peer
    print(f"{len(visits):,} visits of {N_SUBJECTS:,} subjects")
    print(table.round(2).to_string(index=False))


if __name__ == "__main__":
    main()
