"""The stored runs of pymsprog (tests/reference/pymsprog), and its options as our rules."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import pandas as pd
from endpoints.oracle import Answer
from reference_cases import REFERENCE

from pmsstats.cohort import Cohort
from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.endpoints.definitions.conditions import RelapseFree
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import (
    AbsoluteThreshold,
    CombinedThreshold,
    LevelThreshold,
    RelativeThreshold,
    StepThreshold,
    Threshold,
)
from pmsstats.endpoints.derivation.time_to_event import EndpointResult

FOLDER = REFERENCE / "pymsprog"
MEASURES = {"edss": "edss", "t25fw": "t25fw_s", "nhpt": "nhpt_s", "sdmt": "sdmt"}
WORSENING = {"edss": "increase", "t25fw": "increase", "nhpt": "increase", "sdmt": "decrease"}
OPPOSITE = {"increase": "decrease", "decrease": "increase"}
FIFTH = RelativeThreshold(fraction=0.2)
THRESHOLDS: dict[str, Threshold] = {
    "edss": StepThreshold(steps=((0, 1.5), (5.0, 1.0), (math.inf, 0.5))),
    "t25fw": FIFTH,
    "nhpt": FIFTH,
    "sdmt": CombinedThreshold(parts=(FIFTH, AbsoluteThreshold(change=4)), take="smallest"),
    "steps_5.5": StepThreshold(steps=((5.5, 1.0), (math.inf, 0.5))),
    "steps_5.0": StepThreshold(steps=((5.0, 1.0), (math.inf, 0.5))),
    "one": AbsoluteThreshold(change=1),
    "half": AbsoluteThreshold(change=0.5),
    "three": AbsoluteThreshold(change=3),
    "four": AbsoluteThreshold(change=4),
    "tenth": RelativeThreshold(fraction=0.1),
    "quarter": RelativeThreshold(fraction=0.25),
    "fifth_or_2": CombinedThreshold(parts=(FIFTH, AbsoluteThreshold(change=2)), take="smallest"),
    "fifth_and_2": CombinedThreshold(parts=(FIFTH, AbsoluteThreshold(change=2)), take="largest"),
}
EVENTS = {
    "firstCDW": "first", "firstCDI": "first", "first": "first_either", "firstPIRA": "first_pira",
    "firstRAW": "first_raw", "multiple": "multiple",
}  # fmt: skip
BASELINES = {
    "fixed": "fixed", "roving": "roving", "roving_impr": "roving_improvement",
    "roving_wors": "roving_worsening",
}  # fmt: skip
SUBTHRESHOLD = {
    "none": "none", "event": "any", "improvement": "improvement", "worsening": "worsening",
}  # fmt: skip
REFERENCES = {"baseline": "baseline", "last": "last", "last_delta": "last_unchanged"}
CLASSES = {"PIRA": "PIRA", "RAW": "RAW", "undefined": "undetermined"}


def load_sets(function: str) -> list[dict[str, Any]]:
    """Return the stored option sets of one of its functions."""
    sets = json.loads((FOLDER / "options.json").read_text(encoding="utf-8"))
    return [_plain(options) for options in sets if options["function"] == function]


def _plain(value: Any) -> Any:
    """Turn the text "inf" to infinity, wherever it stands in an option."""
    if isinstance(value, list):
        return [_plain(v) for v in value]
    if isinstance(value, dict):
        return {key: _plain(v) for key, v in value.items()}
    return math.inf if value == "inf" else value


@cache
def table(name: str) -> dict[int, pd.DataFrame]:
    """Read a stored table, set by set; subjects are named by set and number."""
    frame = pd.read_csv(FOLDER / f"{name}.csv.gz")
    number, subject = frame["set"].astype(str), frame.pop("subject").astype(str)
    frame["subject_id"] = number.str.zfill(3) + "-" + subject.str.zfill(2)
    return dict(tuple(frame.groupby("set")))


NO_RELAPSES = pd.DataFrame({"subject_id": [], "day": []})


def subjects_of(options: dict[str, Any]) -> list[str]:
    """List the subjects of a set."""
    return sorted(table("visits")[options["set"]]["subject_id"].unique())


def cohort_of(sets: Sequence[dict[str, Any]]) -> Cohort:
    """Make one cohort of the subjects of some sets, which have different subjects."""
    visits = pd.concat(
        [table("visits")[o["set"]].rename(columns={"value": MEASURES[o["outcome"]]}) for o in sets]
    ).drop(columns="set")
    visits["scheduled"] = visits["scheduled"].astype(bool)
    subjects = pd.DataFrame({"subject_id": visits["subject_id"].unique()})
    relapses = pd.concat([table("relapses").get(o["set"], NO_RELAPSES) for o in sets])
    dictionary = default_dictionary().extend(Measure(name="delta_value", label="whole score"))
    return Cohort(subjects, visits, relapses[["subject_id", "day"]], dictionary=dictionary)


# --- options ---


def windows_of(options: dict[str, Any]) -> list[int]:
    """List the days of its confirmation windows."""
    days = options["conf_days"]
    return days if isinstance(days, list) else [days]


def tolerances(options: dict[str, Any]) -> list[tuple[int, float]]:
    """List how many days early and late, for each window."""
    given = options["conf_tol_days"]
    per_window = [given[str(d)] if isinstance(given, dict) else given for d in windows_of(options)]
    return [tuple(t) if isinstance(t, list) else (t, t) for t in per_window]


def pair(value: Any) -> tuple[float, float]:
    """One number is for the last relapse, none for the next."""
    return tuple(value) if isinstance(value, list) else (value, 0)


def confirmation(options: dict[str, Any]) -> dict[str, Any]:
    """Translate what confirms, sustains and imputes."""
    edges = tolerances(options)
    chance = options["impute_last_visit"]
    within = {"impute_within_days": chance} if chance > 1 else {}
    return within | {
        "confirm_weeks": tuple(days // 7 for days in windows_of(options)),
        "confirm_tolerance_days": tuple(early for early, _ in edges),
        "confirm_late_days": tuple(late for _, late in edges),
        "confirmation_visits": options.get("validconf_col", ""),
        "sustain_days": options["require_sust_days"],
        "impute_last_visit": min(chance, 1),
        "relapse_to_onset_days": pair(options["relapse_to_event"]),
        "relapse_to_confirmation_days": pair(options["relapse_to_conf"]),
        "baseline_visit": "first",
    }


def relapse_free(options: dict[str, Any]) -> RelapseFree:
    """Translate the intervals of PIRA."""
    given = options.get("relapse_indep")
    if given is None:
        return RelapseFree()
    fields = {"reference": "prec", "onset": "event", "confirmation": "conf"}
    pairs = {field: tuple(given[key]) for field, key in fields.items()}
    kind = given.get("prec_type", "baseline") if any(d != 0 for d in given["prec"]) else "baseline"
    return RelapseFree(**pairs, reference_visit=REFERENCES[kind])


def rule_of(options: dict[str, Any]) -> ProgressionRule:
    """Translate the options of `MSprog`; those that do nothing there are left out."""
    outcome, event = options["outcome"], options["event"]
    worse = WORSENING[outcome]
    improves = event == "firstCDI"
    fields = confirmation(options) | {
        "name": f"set{options['set']}",
        "outcome": MEASURES[outcome],
        "threshold": THRESHOLDS[options.get("delta_fun", outcome)],
        "threshold_from": options.get("valuedelta_col", ""),
        "direction": OPPOSITE[worse] if improves else worse,
        "events": EVENTS[event],
        "rebaseline_after_relapse": options["relapse_rebl"],
        "skip_local_extrema": options["skip_local_extrema"],
        "confirm_intermediate": options["check_intermediate"],
        "relapse_to_baseline_days": pair(options["relapse_to_bl"]),
    }
    if improves:  # theirs imputes worsenings only
        fields |= {"impute_last_visit": 0, "impute_within_days": math.inf}
    return ProgressionRule(**fields, **moving(options), **classification(options))


def moving(options: dict[str, Any]) -> dict[str, Any]:
    """Translate what moves the baseline, and where the search goes on."""
    baseline = "fixed" if is_end(options) else options["baseline"]
    moves = baseline != "fixed"
    fields: dict[str, Any] = {"baseline": BASELINES[baseline]}
    if moves or options["event"] == "multiple":
        where = {"firstconf": "confirmation", "event": "onset"}
        fields["continue_from"] = where[options["proceed_from"]]
    if moves and has_subthreshold(options):
        fields["subthreshold_rebaseline"] = SUBTHRESHOLD[options["sub_threshold_rebl"]]
    if options["bl_geq"] and baseline != "roving_impr" and (moves or options["relapse_rebl"]):
        fields["baseline_never_better"] = True
    return fields


def has_subthreshold(options: dict[str, Any]) -> bool:
    """Say whether the baseline may move to changes below the threshold."""
    pair = (options["baseline"], options["sub_threshold_rebl"])
    return pair[1] != "none" and pair not in (
        ("roving_impr", "worsening"),
        ("roving_wors", "improvement"),
    )


def is_end(options: dict[str, Any]) -> bool:
    """Say whether the events that the baseline follows are all that is looked for."""
    follows = {"firstCDW": ["roving_wors"], "firstCDI": ["roving_impr"]}
    follows["first"] = ["roving", "roving_wors", "roving_impr"]
    unsustained = options["require_sust_days"] == 0 and not has_subthreshold(options)
    return unsustained and options["baseline"] in follows.get(options["event"], [])


def classification(options: dict[str, Any]) -> dict[str, Any]:
    """Translate what is RAW and what PIRA; days of RAW also delay a baseline after a relapse."""
    event = options["event"]
    fields: dict[str, Any] = {}
    if event != "firstCDI":
        fields["classify_relapses"] = True
    if event != "firstCDI" or options["relapse_rebl"]:
        fields["raw_days"] = pair(options["relapse_assoc"])
    passes = event == "firstRAW" and options["baseline"] in ("fixed", "roving_impr")
    if event != "firstCDI" and not passes:
        fields["relapse_free"] = relapse_free(options)
    return fields


def milestone_rule(options: dict[str, Any]) -> ProgressionRule:
    """Translate the options of `value_milestone`."""
    outcome = options["outcome"]
    return ProgressionRule(
        name=f"set{options['set']}",
        outcome=MEASURES[outcome],
        threshold=LevelThreshold(level=options["milestone"]),
        direction=WORSENING[outcome],
        **confirmation(options),
    )


# --- answers ---


@dataclass(frozen=True, kw_only=True)
class Theirs:
    """What pymsprog found for one subject; `error` is "crash" where it did not."""

    events: tuple[tuple, ...] = ()
    error: str = ""


def is_classified(options: dict[str, Any]) -> bool:
    """Say whether its worsenings are told apart."""
    if options["event"] in ("firstCDW", "multiple", "first"):
        return options["RAW_PIRA"]
    return options["event"] != "firstCDI"


def theirs(options: dict[str, Any]) -> dict[str, Theirs]:
    """Return what `MSprog` found for every subject of a set."""
    found: dict[str, Theirs] = dict.fromkeys(subjects_of(options), Theirs())
    rows = table("expected").get(options["set"])
    return found if rows is None else found | their_events(rows, options)


def their_events(rows: pd.DataFrame, options: dict[str, Any]) -> dict[str, Theirs]:
    """Return what `MSprog` found for every subject with an event or a crash."""
    found: dict[str, Theirs] = {}
    for row in rows.sort_values(["subject_id", "episode"]).to_dict("records"):
        subject = row["subject_id"]
        before = found.get(subject, Theirs()).events
        crash = not pd.isna(row["error"])
        found[subject] = (
            Theirs(error="crash") if crash else Theirs(events=(*before, _their_event(row, options)))
        )
    return found


def their_milestones(options: dict[str, Any]) -> dict[str, Theirs]:
    """Return what `value_milestone` found for every subject of a set: the days of reaching it."""
    rows = table("milestones")[options["set"]]
    return {
        row.subject_id: Theirs(events=((int(row.day),),) if row.observed == 1 else ())
        if pd.isna(row.error)
        else Theirs(error="crash")
        for row in rows.itertuples()
    }


def _their_event(row: dict[str, Any], options: dict[str, Any]) -> tuple:
    windows = range(1, len(windows_of(options)) + 1)
    worsening = row["change"] == "CDW"
    known = worsening and is_classified(options)
    return (
        "worsening" if worsening else "improvement",
        CLASSES[row["class"]] if known else "",
        *(_day(row[c]) for c in ("day_onset", "day_reference", "day_last_delta")),
        float(row["reference_value"]),
        float(row["onset_value"]),
        tuple(_day(row[f"confirmed_{i}"]) for i in windows),
        tuple(_day(row[f"pira_{i}"]) if known else None for i in windows),
        int(row["sustained_days"]),
        bool(row["sustained_to_end"]),
    )


def _day(value: float) -> int | None:
    return None if pd.isna(value) else int(value)


def ours(episodes: Iterable[dict[str, Any]], options: dict[str, Any]) -> Theirs:
    """Write episodes of ours in the same way."""
    if options["function"] == "value_milestone":
        return Theirs(events=tuple((int(e["day_onset"]),) for e in episodes))
    weeks = [days // 7 for days in windows_of(options)]
    known = is_classified(options)
    return Theirs(
        events=tuple(
            (
                e["change"],
                e["relapse_class"] if known else "",
                *(_day(e[c]) for c in ("day_onset", "day_reference", "day_last_unchanged")),
                float(e["reference_value"]),
                float(e["onset_value"]),
                tuple(_day(e[f"day_confirmed_{w}w"]) for w in weeks),
                tuple(_day(e[f"day_pira_confirmed_{w}w"]) if known else None for w in weeks),
                int(e["day_sustained_to"] - e["day_onset"]),
                bool(e["sustained_to_end"]),
            )
            for e in episodes
        )
    )


def of_oracle(answer: Answer, options: dict[str, Any]) -> Theirs:
    """Write an answer of the oracle in the same way."""
    wanted = [] if answer.wanted is None else [answer.wanted]
    return ours(answer.episodes if options.get("event") == "multiple" else wanted, options)


def of_result(result: EndpointResult, options: dict[str, Any]) -> dict[str, Theirs]:
    """Write the answers of the engine in the same way, for every subject at risk."""
    onset = result.events.set_index("subject_id")["day_onset"]
    episodes = result.episodes
    if options.get("event") != "multiple":
        episodes = episodes[episodes["day_onset"].eq(episodes["subject_id"].map(onset))]
    found: dict[str, list[dict[str, Any]]] = {subject: [] for subject in onset.index}
    for row in episodes.to_dict("records"):
        found[row["subject_id"]].append(row)
    return {subject: ours(rows, options) for subject, rows in found.items()}
