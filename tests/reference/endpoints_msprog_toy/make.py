"""Compute the expected values of this case with pymsprog (see SOURCE.md; not with our code).

Usage: python make.py FOLDER     folder of msprog_toy_visits.csv and msprog_toy_relapses.csv
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from pymsprog import MSprog

HERE = Path(__file__).resolve().parent
INF = float("inf")


def pivotal(baseline: float) -> float:
    """EDSS step with a whole point up to 5.5."""
    return 1.0 if baseline <= 5.5 else 0.5


def four(baseline: float) -> float:
    """Four points from any baseline."""
    del baseline
    return 4.0


EDSS = {"value_col": "EDSS", "outcome": "edss", "conf_tol_days": [0, INF]}
RUNS = {
    "cdp12": {**EDSS, "delta_fun": pivotal, "conf_days": 84},
    "cdp24": {**EDSS, "delta_fun": pivotal, "conf_days": 168},
    "msprog12": {**EDSS, "conf_days": 84},
    "relapse30": {
        **EDSS,
        "delta_fun": pivotal,
        "conf_days": 84,
        "relapse_to_event": 30,
        "relapse_to_conf": 30,
    },
    "sdmt4": {
        "value_col": "SDMT",
        "outcome": "sdmt",
        "delta_fun": four,
        "conf_days": 168,
        "conf_tol_days": [0, INF],
    },
}


def main() -> None:
    """Write expected.csv: one row per run, quantity and subject."""
    folder = Path(sys.argv[1])
    visits = pd.read_csv(folder / "msprog_toy_visits.csv", dtype={"id": str})
    relapses = pd.read_csv(folder / "msprog_toy_relapses.csv", dtype={"id": str})
    parts = []
    for name, options in RUNS.items():
        settings = {"relapse_to_event": 0, "relapse_to_conf": 0, **options}
        _, results = MSprog(
            visits,
            subj_col="id",
            date_col="visit_day",
            date_format="day",
            relapse=relapses,
            relapse_to_bl=0,
            baseline="fixed",
            event="firstCDW",
            include_dates=True,
            verbose=0,
            **settings,
        )
        event = results["nevent"] > 0
        confirmed = results[f"conf{options['conf_days']}_date"]
        wide = pd.DataFrame(
            {
                "term": results["id"],
                "event": event.astype(int),
                "duration": results["time2event"].astype(int),
                "day_onset": results["date"].where(event),
                "day_confirmed": confirmed.where(event),
            }
        )
        long = wide.melt(id_vars="term", var_name="quantity")
        parts.append(long.assign(quantity=name + " " + long["quantity"]))
    expected = pd.concat(parts).assign(rtol=0, why="")
    expected["value"] = expected["value"].astype("Int64")
    columns = ["quantity", "term", "value", "rtol", "why"]
    expected[columns].to_csv(HERE / "expected.csv", index=False, na_rep="NA")


if __name__ == "__main__":
    main()
