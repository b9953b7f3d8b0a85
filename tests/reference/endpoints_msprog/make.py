"""Compute the expected values of this case with pymsprog (see SOURCE.md; not with our code).

Usage: python make.py            reads input.csv and relapses.csv, writes expected.csv
       python make.py --input    draws input.csv and relapses.csv anew first
"""

from __future__ import annotations

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
from pymsprog import MSprog

HERE = Path(__file__).resolve().parent
INF = float("inf")
SCORES = np.array([0.0, *np.arange(1.0, 10.5, 0.5)])


def pivotal(baseline: float) -> float:
    """EDSS step with a whole point up to 5.5."""
    return 1.0 if baseline <= 5.5 else 0.5


def fifth_with_ties(baseline: float) -> float:
    """20 % of baseline, less a hair, so that exact decimal ties count in binary too."""
    return baseline / 5 - 1e-6


RUNS = {
    "cdp12": {
        "value_col": "edss",
        "delta_fun": pivotal,
        "conf_days": 84,
        "conf_tol_days": [0, INF],
    },
    "cdp24": {
        "value_col": "edss",
        "delta_fun": pivotal,
        "conf_days": 168,
        "conf_tol_days": [0, INF],
    },
    "tol7": {"value_col": "edss", "delta_fun": pivotal, "conf_days": 84, "conf_tol_days": [7, INF]},
    "msprog12": {"value_col": "edss", "conf_days": 84, "conf_tol_days": [0, INF]},
    "cdi12": {
        "value_col": "edss",
        "delta_fun": lambda baseline: 1.0,
        "conf_days": 84,
        "conf_tol_days": [0, INF],
        "event": "firstCDI",
    },
    "relapse30": {
        "value_col": "edss",
        "delta_fun": pivotal,
        "conf_days": 84,
        "conf_tol_days": [0, INF],
        "use_relapses": True,
    },
    "t25fw20": {
        "value_col": "t25fw_s",
        "outcome": "t25fw",
        "conf_days": 84,
        "conf_tol_days": [0, INF],
    },
    "t25fw20_ties": {
        "value_col": "t25fw_s",
        "outcome": "t25fw",
        "delta_fun": fifth_with_ties,
        "conf_days": 84,
        "conf_tol_days": [0, INF],
    },
}


def draw_input(seed: int = 20240607, n_subjects: int = 200) -> None:
    """Draw irregular courses with gaps, screening visits, missing baselines and relapses."""
    rng = np.random.default_rng(seed)
    visits, relapses = [], []
    for i in range(n_subjects):
        subject_id = f"R{i + 1:03d}"
        n = int(rng.integers(1, 13))
        gaps = rng.choice([28, 77, 83, 84, 85, 91, 98, 168, 182], n - 1) if n > 1 else []
        start = int(rng.choice([0, 0, 0, 0, 0, 0, 0, 0, -14]))
        days = start + np.concatenate([[0], np.cumsum(gaps)]).astype(int)
        drift = [[-1, 0, 0, 0, 1, 1, 2, 3], [-2, -1, -1, 0, 0, 0, 1, 1]][i % 3 == 2]
        steps = rng.choice(drift, n)
        index = np.clip(rng.integers(0, 14) + np.cumsum(steps) - steps[0], 0, len(SCORES) - 1)
        first = rng.integers(40, 120) / 10
        walk = np.round(first * rng.choice([0.9, 1.0, 1.1, 1.2, 1.2, 1.3], n), 2)
        walk[0] = first
        edss = np.where(rng.random(n) < 0.08, np.nan, SCORES[index])
        walk = np.where(rng.random(n) < 0.08, np.nan, walk)
        visits += [(subject_id, d, e, w) for d, e, w in zip(days, edss, walk, strict=True)]
        for day in rng.integers(-60, max(days[-1], 1) + 30, rng.poisson(0.8)):
            relapses.append((subject_id, int(day)))
    columns = ["subject_id", "day", "edss", "t25fw_s"]
    pd.DataFrame(visits, columns=columns).to_csv(HERE / "input.csv", index=False)
    frame = pd.DataFrame(relapses, columns=columns[:2]).drop_duplicates()
    frame.sort_values(columns[:2]).to_csv(HERE / "relapses.csv", index=False)


def run(visits: pd.DataFrame, relapses: pd.DataFrame | None, **options: object) -> pd.DataFrame:
    """Run MSprog with a fixed baseline; relapses count for event and confirmation only."""
    with_relapses = options.pop("use_relapses", False)
    conf_days = options["conf_days"]
    _, results = MSprog(
        visits,
        subj_col="subject_id",
        date_col="day",
        date_format="day",
        relapse=relapses if with_relapses else None,
        relapse_to_bl=0,
        relapse_to_event=30 if with_relapses else 0,
        relapse_to_conf=30 if with_relapses else 0,
        baseline="fixed",
        include_dates=True,
        include_value=True,
        verbose=0,
        **{"outcome": "edss", "event": "firstCDW", **options},
    )
    event = results["nevent"] > 0
    return pd.DataFrame(
        {
            "term": results["subject_id"],
            "event": event.astype(int),
            "duration": results["time2event"].astype(int),
            "day_onset": results["date"].where(event),
            "day_confirmed": results[f"conf{conf_days}_date"].where(event),
        }
    )


def known_differences(visits: pd.DataFrame, column: str, *, binary: bool) -> dict[str, str]:
    """Say, per subject, why pymsprog differs from the definition, from the data alone."""
    why = {}
    for term, rows in visits.groupby("subject_id"):
        values = rows.loc[rows[column].notna(), ["day", column]].to_numpy()
        if len(values) < 2:
            why[term] = "pymsprog keeps a subject without a second value, at time 0 without event"
            continue
        baseline = values[0, 1]
        for day, value in values[1:]:
            exact = Fraction(str(value)) == Fraction(6, 5) * Fraction(str(baseline))
            if binary and exact and not value - baseline >= baseline / 5:
                why[term] = (
                    f"day {day:.0f}: {value:g} s is 1.2 x {baseline:g} s exactly, but in binary "
                    f"{value:g} - {baseline:g} < {baseline:g} / 5, so pymsprog misses it"
                )
                break
    return why


def main() -> None:
    """Write expected.csv: one row per run, quantity and subject."""
    if "--input" in sys.argv:
        draw_input()
    visits = pd.read_csv(HERE / "input.csv")
    relapses = pd.read_csv(HERE / "relapses.csv")
    parts = []
    for name, options in RUNS.items():
        long = run(visits, relapses, **options).melt(id_vars="term", var_name="quantity")
        why = known_differences(visits, options["value_col"], binary=name == "t25fw20")
        long = long.assign(quantity=name + " " + long["quantity"], why=long["term"].map(why))
        parts.append(long.fillna({"why": ""}))
    expected = pd.concat(parts).assign(rtol=0)
    expected["value"] = expected["value"].astype("Int64")
    expected = expected.sort_values(["quantity", "term"], kind="stable")
    expected[["quantity", "term", "value", "rtol", "why"]].to_csv(
        HERE / "expected.csv", index=False, na_rep="NA"
    )


if __name__ == "__main__":
    main()
