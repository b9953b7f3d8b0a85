"""Run pymsprog on the stored cohorts and options of this case (see SOURCE.md; not with our code).

Usage: python make.py [FOLDER]   reads options.json, visits.csv.gz, relapses.csv.gz, defects.toml;
                                 writes expected.csv.gz, milestones.csv.gz, defects.csv, ties.csv,
                                 deltas.csv and, given the folder of the toy data, toy.csv
       python make.py --input    draws options, visits and relapses anew first
"""

from __future__ import annotations

import gzip
import json
import signal
import sys
import tomllib
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from options import draw_options
from patients import draw_patients
from pymsprog import MSprog, compute_delta, is_event, value_milestone

HERE = Path(__file__).resolve().parent
SEED = 20240911
N_PROGRESSION, N_MILESTONE, N_SUBJECTS = 600, 80, 40
MAX_SECONDS = 60  # for one call: an endless loop of theirs is recorded, too
N_WINDOWS = 3
VISITS = ["set", "subject", "day", "value", "delta_value", "scheduled"]

# How much change counts, from a baseline.
DELTAS: dict[str, Callable[[float], float]] = {
    "steps_5.5": lambda baseline: 1.0 if baseline <= 5.5 else 0.5,
    "steps_5.0": lambda baseline: 1.0 if baseline <= 5.0 else 0.5,
    "one": lambda baseline: 1.0,
    "half": lambda baseline: 0.5,
    "three": lambda baseline: 3.0,
    "four": lambda baseline: 4.0,
    "tenth": lambda baseline: baseline / 10,
    "quarter": lambda baseline: baseline / 4,
    "fifth_or_2": lambda baseline: min(baseline / 5, 2.0),
    "fifth_and_2": lambda baseline: max(baseline / 5, 2.0),
}


def draw_input() -> None:
    """Draw every set of options, and a cohort for each that has visits at its edges."""
    sets, visits, relapses = [], [], []
    for number in range(N_PROGRESSION + N_MILESTONE):
        rng = np.random.default_rng([SEED, number])
        options = draw_options(rng, milestone=number >= N_PROGRESSION)
        frames = draw_patients(rng, options, N_SUBJECTS)
        sets.append({"set": number, **options})
        visits.append(frames[0].assign(set=number))
        relapses.append(frames[1].assign(set=number))
    lines = ",\n".join(json.dumps(options) for options in sets)
    (HERE / "options.json").write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    write(pd.concat(visits)[VISITS], "visits.csv.gz")
    write(pd.concat(relapses)[["set", "subject", "day"]], "relapses.csv.gz")


def write(frame: pd.DataFrame, name: str) -> None:
    """Write a table, the same bytes for the same rows."""
    text = frame.to_csv(index=False, lineterminator="\n")
    (HERE / name).write_bytes(gzip.compress(text.encode(), mtime=0))


def read(name: str) -> pd.DataFrame:
    """Read a table."""
    return pd.read_csv(HERE / name)


def plain(value: object) -> object:
    """Turn the text "inf" to infinity, wherever it stands in an option."""
    if isinstance(value, list):
        return [plain(v) for v in value]
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    return float("inf") if value == "inf" else value


def arguments(options: dict, visits: pd.DataFrame, relapses: pd.DataFrame) -> dict:
    """Turn stored options to the arguments of a call."""
    given = {key: plain(value) for key, value in options.items() if key not in ("set", "function")}
    if given.get("delta_fun"):
        given["delta_fun"] = DELTAS[given["delta_fun"]]
    elif "delta_fun" in given:
        del given["delta_fun"]
    if isinstance(given.get("conf_tol_days"), dict):
        given["conf_tol_days"] = {int(days): v for days, v in given["conf_tol_days"].items()}
    return {
        "data": visits.copy(),
        "relapse": relapses.copy(),
        "subj_col": "subject",
        "value_col": "value",
        "date_col": "day",
        "date_format": "day",
        "verbose": 0,
        **given,
    }


class EndlessError(RuntimeError):
    """A call that took too long."""


def stop(signum: int, frame: object) -> None:
    """Stop a call that does not end."""
    del signum, frame
    raise EndlessError


def run(options: dict, visits: pd.DataFrame, relapses: pd.DataFrame) -> pd.DataFrame:
    """Run one set of options on some subjects."""
    signal.alarm(MAX_SECONDS)
    given = arguments(options, visits, relapses)
    try:
        if options["function"] == "value_milestone":
            return milestone_rows(value_milestone(**given))
        _, found = MSprog(**given, include_dates=True, include_value=True)
        return progression_rows(found[found["nevent"] > 0], given["conf_days"])
    finally:
        signal.alarm(0)


def run_all(options: dict, visits: pd.DataFrame, relapses: pd.DataFrame) -> pd.DataFrame:
    """Run one set; if it crashes, subject by subject, with the crashes recorded."""
    try:
        return run(options, visits, relapses).assign(error="")
    except Exception:  # noqa: BLE001  # whatever they raise is what is asked
        return pd.concat(list(run_each(options, visits, relapses)))


def run_each(options: dict, visits: pd.DataFrame, relapses: pd.DataFrame) -> Iterable[pd.DataFrame]:
    """Run one set on each subject alone."""
    for subject, rows in visits[visits["value"].notna()].groupby("subject"):
        own = relapses[relapses["subject"] == subject]
        try:
            yield run(options, rows, own).assign(error="")
        except Exception as error:  # noqa: BLE001
            yield pd.DataFrame({"subject": [subject], "error": [type(error).__name__]})


def progression_rows(found: pd.DataFrame, conf_days: object) -> pd.DataFrame:
    """Give the events of a set columns that do not depend on its windows."""
    windows = conf_days if isinstance(conf_days, list) else [conf_days]
    names = {
        "subject": "subject", "nevent": "episode", "event_type": "change", "CDW_type": "class",
        "bl_date": "day_reference", "bl_value": "reference_value", "date": "day_onset",
        "value": "onset_value", "last_delta_date": "day_last_delta",
        "last_delta_value": "last_delta_value", "sust_days": "sustained_days",
        "sust_last": "sustained_to_end",
    }  # fmt: skip
    for i, days in enumerate(windows):
        names |= {f"conf{days}_date": f"confirmed_{i + 1}", f"conf{days}_value": f"value_{i + 1}"}
        names |= {f"PIRA_conf{days}_date": f"pira_{i + 1}"}
    return found.rename(columns=names).reindex(columns=list(names.values()))


def milestone_rows(found: pd.DataFrame) -> pd.DataFrame:
    """Give the rows of a milestone plain columns."""
    columns = ["subject", "day", "value", "time2event", "observed"]
    return found.rename_axis("subject").reset_index()[columns]


def expected_columns() -> list[str]:
    """Return the columns of expected.csv.gz."""
    by_window = [f"{n}_{i + 1}" for n in ("confirmed", "value", "pira") for i in range(N_WINDOWS)]
    return [
        "set", "subject", "episode", "change", "class", "day_reference", "reference_value",
        "day_onset", "onset_value", "day_last_delta", "last_delta_value", *by_window,
        "sustained_days", "sustained_to_end", "error",
    ]  # fmt: skip


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Write whole numbers as such, and truth as 0 and 1."""
    flags = frame.select_dtypes("object").columns.intersection(["sustained_to_end", "observed"])
    frame = frame.astype(dict.fromkeys(flags, "boolean")).astype(dict.fromkeys(flags, "Int64"))
    for name in frame.select_dtypes(float):
        whole = frame[name].dropna()
        if (whole == whole.round()).all():
            frame[name] = frame[name].astype("Int64")
    return frame


# --- hand-worked patients, and single comparisons ---

MILESTONE_OPTIONS = (
    "outcome", "conf_days", "conf_tol_days", "require_sust_days", "impute_last_visit",
    "relapse_to_event", "relapse_to_conf",
)  # fmt: skip


def run_patients() -> pd.DataFrame:
    """Run the patients of defects.toml, each under its own options."""
    stored = tomllib.loads((HERE / "defects.toml").read_text(encoding="utf-8"))
    parts = []
    for number, patient in enumerate(stored["patient"]):
        function = patient.get("function", "MSprog")
        common = stored["options"]
        if function == "value_milestone":
            common = {key: common[key] for key in MILESTONE_OPTIONS}
        options = {**common, **patient["options"], "function": function, "set": number}
        visits = pd.DataFrame(patient["visits"], columns=["day", "value"]).assign(subject=0)
        relapses = pd.DataFrame({"subject": 0, "day": patient["relapses"]}).astype(int)
        found = run_all(options, visits, relapses).assign(patient=number, defect=patient["defect"])
        parts.append(found.rename(columns={"day": "day_onset"}))
    columns = [
        "patient", "defect", "observed", "change", "class", "day_onset", "day_reference",
        "confirmed_1", "error",
    ]  # fmt: skip
    return tidy(pd.concat(parts)[columns])


def compare_ties() -> pd.DataFrame:
    """Ask for 20 % more, exactly, of baselines of 3.0 to 30.0 s."""
    tenths = range(30, 301)
    rows = [(t / 10, float(f"{t * 12 // 100}.{t * 12 % 100:02d}")) for t in tenths]
    found = [is_event(value, baseline, "wors", "t25fw") for baseline, value in rows]
    frame = pd.DataFrame(rows, columns=["baseline", "value"])
    return frame.assign(is_worsening=np.array(found, dtype=int))


def tabulate_deltas() -> pd.DataFrame:
    """Ask for the smallest change that counts, of every EDSS and SDMT score."""
    scores = {"edss": [0.0, *np.arange(1.0, 10.5, 0.5)], "sdmt": np.arange(1.0, 111.0)}
    rows = [(o, b, compute_delta(b, o)) for o, baselines in scores.items() for b in baselines]
    return pd.DataFrame(rows, columns=["outcome", "baseline", "delta"])


def run_toy(folder: Path) -> pd.DataFrame:
    """Run the toy data under the default options, once for each outcome and kind of event."""
    parts = []
    visits = pd.read_csv(folder / "msprog_toy_visits.csv", dtype={"id": str})
    relapses = pd.read_csv(folder / "msprog_toy_relapses.csv", dtype={"id": str})
    columns = {"id": "subject", "visit_day": "day"}
    relapses = relapses.drop(columns="date").rename(columns=columns)
    for outcome in ("edss", "sdmt"):
        frame = visits.drop(columns="date").rename(columns={**columns, outcome.upper(): "value"})
        for event in ("firstCDW", "firstCDI", "first", "firstPIRA", "firstRAW", "multiple"):
            options = {"outcome": outcome, "event": event, "RAW_PIRA": True, "conf_days": 84}
            found = run({**options, "function": "MSprog"}, frame, relapses)
            parts.append(found.assign(set=f"{outcome} {event}", error=""))
    return tidy(pd.concat(parts).reindex(columns=expected_columns()))


def main() -> None:
    """Write what pymsprog finds."""
    folders = [Path(name) for name in sys.argv[1:] if not name.startswith("-")]
    if "--input" in sys.argv:
        draw_input()
    signal.signal(signal.SIGALRM, stop)
    warnings.simplefilter("ignore")  # walks above 180 s, and the like
    sets = json.loads((HERE / "options.json").read_text(encoding="utf-8"))
    visits, relapses = read("visits.csv.gz"), read("relapses.csv.gz")
    visits, relapses = (dict(tuple(frame.groupby("set"))) for frame in (visits, relapses))
    none = pd.DataFrame({"subject": [], "day": []})
    parts: dict[str, list[pd.DataFrame]] = {"MSprog": [], "value_milestone": []}
    for options in sets:
        number = options["set"]
        found = run_all(options, visits[number], relapses.get(number, none))
        parts[options["function"]].append(found.assign(set=number))
    progression = pd.concat(parts["MSprog"]).reindex(columns=expected_columns())
    write(tidy(progression), "expected.csv.gz")
    milestones = pd.concat(parts["value_milestone"])
    columns = ["set", "subject", "observed", "day", "value", "time2event", "error"]
    write(tidy(milestones[columns]), "milestones.csv.gz")
    run_patients().to_csv(HERE / "defects.csv", index=False)
    compare_ties().to_csv(HERE / "ties.csv", index=False)
    tabulate_deltas().to_csv(HERE / "deltas.csv", index=False)
    for folder in folders:
        run_toy(folder).to_csv(HERE / "toy.csv", index=False)


if __name__ == "__main__":
    main()
