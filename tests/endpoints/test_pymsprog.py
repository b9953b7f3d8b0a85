"""The engine against pymsprog: every option it has, on random cohorts with edges (SOURCE.md there).

Wherever the two differ, one or two of the named defects of pymsprog must be the whole difference:
the oracle with these defects, and no other, answers as pymsprog does. For each there are patients
worked by hand that show who is right.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from endpoints.pymsprog_cases import (
    CLASSES,
    FOLDER,
    NO_RELAPSES,
    THRESHOLDS,
    Theirs,
    cohort_of,
    load_sets,
    milestone_rule,
    of_result,
    rule_of,
    subjects_of,
    table,
    their_events,
    their_milestones,
    theirs,
)
from endpoints.pymsprog_defects import MILESTONE, PROGRESSION, Subject

from pmsstats.cohort import Cohort
from pmsstats.endpoints import derive_progression, is_reached

BLOCK = 40  # sets in one cohort: making it is what takes time

# How many subjects each defect explains at most, alone or with another (SOURCE.md has the counts).
MOST = {
    "empty_window": 391, "lower_is_improvement": 304, "binary_ties": 273, "old_relapses": 43,
    "never_better_ignored": 45, "never_lower": 15, "overwritten": 8, "unsorted_relapses": 7,
    "no_change_no_move": 6, "first_takes_two": 3, "hidden_onset": 0, "picked_by_place": 0,
    "milestone_skips": 59, "milestone_is_a_count": 40, "milestone_old_relapses": 0,
}  # fmt: skip
UNSORTED = "milestone_unsorted"  # has no oracle: it is about the order in which visits are read


@dataclass
class Comparison:
    """How many subjects were compared, and the defects that explain those that differ."""

    n_subjects: int = 0
    n_events: int = 0
    not_at_risk: dict[str, Theirs] = field(default_factory=dict)
    explained: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def counts(self) -> Counter[str]:
        return Counter(name for names in self.explained.values() for name in names)


def compare(function: str) -> Comparison:
    """Run every stored set of one function through the engine."""
    seen, sets = Comparison(), load_sets(function)
    for start in range(0, len(sets), BLOCK):
        block = sets[start : start + BLOCK]
        everybody = cohort_of(block)
        for options in block:
            compare_set(seen, everybody.select(subjects=subjects_of(options)), options)
    return seen


def compare_set(seen: Comparison, cohort: Cohort, options: dict[str, Any]) -> None:
    """Run one set."""
    milestone = options["function"] == "value_milestone"
    asked = (their_milestones if milestone else theirs)(options)
    rule = (milestone_rule if milestone else rule_of)(options)
    found = of_result(derive_progression(cohort, rule), options)
    relapses = table("relapses").get(options["set"], NO_RELAPSES)
    visits = cohort.visits
    for subject, answer in asked.items():
        if subject not in found:
            seen.not_at_risk[subject] = answer
            continue
        seen.n_subjects += 1
        seen.n_events += len(found[subject].events)
        if found[subject] != answer:
            own = visits[visits["subject_id"] == subject]
            filed = relapses.loc[relapses["subject_id"] == subject, "day"].astype(int)
            case = Subject(options=options, visits=own.to_dict("records"), relapses=list(filed))
            seen.explained[subject] = case.explain(answer)


@pytest.fixture(scope="module")
def progression() -> Comparison:
    return compare("MSprog")


@pytest.fixture(scope="module")
def milestones() -> Comparison:
    return compare("value_milestone")


# --- random cohorts ---------------------------------------------------------------------------


def test_every_option_is_there_in_many_sets() -> None:
    sets = pd.DataFrame(load_sets("MSprog")).astype(str)
    assert len(sets) >= 300
    for option in sets.columns.difference(["set", "function"]):
        counts = sets[option].value_counts()
        assert len(counts) >= (1 if option == "function" else 2), option
    for option in ("event", "baseline", "proceed_from", "sub_threshold_rebl", "outcome"):
        assert sets[option].value_counts().min() >= 25, option
    for option in ("RAW_PIRA", "relapse_rebl", "bl_geq", "check_intermediate"):
        assert sets[option].value_counts().min() >= 100, option
    for option in ("validconf_col", "valuedelta_col", "delta_fun", "relapse_indep"):
        assert 25 <= (sets[option] != "nan").sum() < len(sets), option


@pytest.mark.slow
def test_progression_agrees_but_for_named_defects(progression: Comparison) -> None:
    assert progression.n_subjects >= 20_000
    assert progression.n_events >= 5_000
    assert [s for s, names in progression.explained.items() if not names] == []


@pytest.mark.slow
def test_milestones_agree_but_for_named_defects(milestones: Comparison) -> None:
    assert milestones.n_subjects >= 1_500
    assert milestones.n_events >= 150
    assert [s for s, names in milestones.explained.items() if not names] == []


@pytest.mark.slow
@pytest.mark.parametrize("defect", PROGRESSION)
def test_few_subjects_are_explained_by_a_defect(defect: str, progression: Comparison) -> None:
    assert progression.counts()[defect] <= MOST[defect]


@pytest.mark.slow
@pytest.mark.parametrize("defect", MILESTONE)
def test_few_milestones_are_explained_by_a_defect(defect: str, milestones: Comparison) -> None:
    assert milestones.counts()[defect] <= MOST[defect]


@pytest.mark.slow
def test_subjects_not_at_risk_have_no_event_there_either(progression: Comparison) -> None:
    assert progression.not_at_risk
    assert {a for a in progression.not_at_risk.values() if a.error or a.events} == set()


@pytest.mark.slow
def test_not_at_risk_of_a_milestone_is_who_has_reached_it_or_has_one_value(
    milestones: Comparison,
) -> None:
    reached = {s for s, a in milestones.not_at_risk.items() if a.events}
    assert len(reached) >= 500
    for options in load_sets("value_milestone"):
        visits = table("visits")[options["set"]].dropna(subset="value").sort_values("day")
        first = visits.groupby("subject_id")["value"].first()
        sign = -1 if options["outcome"] == "sdmt" else 1
        there = set(first.index[sign * (first - options["milestone"]) >= 0])
        several = visits["subject_id"].value_counts() > 1
        alone = set(several.index[~several])
        absent = set(milestones.not_at_risk) & set(first.index)
        assert there <= absent <= there | alone


# --- hand-worked patients ---------------------------------------------------------------------

SOURCE = (FOLDER / "SOURCE.md").read_text(encoding="utf-8")
STORED = tomllib.loads((FOLDER / "defects.toml").read_text(encoding="utf-8"))
PATIENTS = STORED["patient"]
FOUND = pd.read_csv(FOLDER / "defects.csv")
each_patient = pytest.mark.parametrize(
    "number", range(len(PATIENTS)), ids=[f"{i}-{p['defect']}" for i, p in enumerate(PATIENTS)]
)


def hand_options(number: int) -> dict[str, Any]:
    """Complete the options of a patient."""
    given = {"function": "MSprog", **PATIENTS[number]}
    options = {**STORED["options"], **given["options"]}
    known = {k: v for k, v in options.items() if not (k == "delta_fun" and v == "")}
    return {**known, "function": given["function"], "set": number}


def hand_cohort(number: int) -> Cohort:
    """Make a cohort of one patient."""
    patient, outcome = PATIENTS[number], hand_options(number)["outcome"]
    column = {"edss": "edss", "sdmt": "sdmt", "t25fw": "t25fw_s"}[outcome]
    visits = pd.DataFrame(patient["visits"], columns=["day", column]).assign(subject_id="H")
    relapses = pd.DataFrame({"subject_id": "H", "day": patient["relapses"]})
    subjects = pd.DataFrame({"subject_id": ["H"]})
    return Cohort(subjects, visits, relapses if len(relapses) else None)


def hand_answer(number: int) -> list[tuple]:
    """Derive what is worked by hand."""
    options = hand_options(number)
    milestone = options["function"] == "value_milestone"
    rule = (milestone_rule if milestone else rule_of)(options)
    events = of_result(derive_progression(hand_cohort(number), rule), options)["H"].events
    return [(e[0],) if milestone else (e[2], e[3], e[7][0], e[1]) for e in events]


def stored_answer(number: int) -> list[tuple] | str:
    """Return what pymsprog found, in the same way."""
    rows = FOUND[FOUND["patient"] == number]
    if rows["error"].notna().any():
        return "crash"
    if hand_options(number)["function"] == "value_milestone":
        return [(int(d),) for d in rows.loc[rows["observed"] == 1, "day_onset"]]
    classes = rows["class"].fillna("").astype(str).map({**CLASSES, "": ""})
    days = (rows[c].astype(int) for c in ("day_onset", "day_reference", "confirmed_1"))
    return list(zip(*days, classes, strict=True))


@each_patient
def test_hand_worked_patient(number: int) -> None:
    patient = PATIENTS[number]
    keys = ("onset", "reference", "confirmed", "class")
    expected = [tuple(e[k] for k in keys if k in e) for e in patient["expected"]]
    assert hand_answer(number) == expected, patient["why"]
    assert stored_answer(number) != expected


@pytest.mark.parametrize("number", [i for i, p in enumerate(PATIENTS) if p["defect"] != UNSORTED])
def test_the_defect_is_the_whole_difference(number: int) -> None:
    cohort, options = hand_cohort(number), hand_options(number)
    relapses = PATIENTS[number]["relapses"]
    visits = cohort.visits.to_dict("records")
    case = Subject(options=options, visits=visits, relapses=relapses)
    answer = case.answer_with([PATIENTS[number]["defect"], *PATIENTS[number].get("also", [])])
    milestone = options["function"] == "value_milestone"
    shown = [(e[0],) if milestone else (e[2], e[3], e[7][0], e[1]) for e in answer.events]
    assert (answer.error or shown) == stored_answer(number)


def test_every_defect_has_a_patient_and_is_described() -> None:
    assert {p["defect"] for p in PATIENTS} == {*PROGRESSION, *MILESTONE, UNSORTED}
    described = re.findall(r"^\| `([a-z_]+)` \|", SOURCE, flags=re.MULTILINE)
    assert sorted(described) == sorted({*PROGRESSION, *MILESTONE, UNSORTED})


@pytest.mark.parametrize(
    "name", ["options.json", "visits.csv.gz", "relapses.csv.gz", "defects.toml"]
)
def test_inputs_are_those_that_were_run(name: str) -> None:
    found = hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()
    assert f"SHA-256 of `{name}`: `{found}`" in SOURCE


# --- thresholds, toy data ---------------------------------------------------------------------


def test_exact_fifths_are_worsenings_though_pymsprog_misses_106_of_271() -> None:
    ties = pd.read_csv(FOLDER / "ties.csv")
    ours = is_reached(ties["value"], ties["baseline"], THRESHOLDS["t25fw"], "increase")
    assert len(ties) == 271
    assert ours.all()
    assert (ties["is_worsening"] == 0).sum() == 106


@pytest.mark.parametrize(("outcome", "direction"), [("edss", "increase"), ("sdmt", "decrease")])
def test_default_thresholds_are_theirs(outcome: str, direction: str) -> None:
    deltas = pd.read_csv(FOLDER / "deltas.csv").query("outcome == @outcome")
    ours = THRESHOLDS[outcome].required(deltas["baseline"].to_numpy(), direction)
    np.testing.assert_allclose(ours, deltas["delta"], rtol=1e-15)


def test_default_of_sdmt_is_not_the_one_that_pymsprog_documents() -> None:
    deltas = pd.read_csv(FOLDER / "deltas.csv").query("outcome == 'sdmt'")
    documented = np.minimum(3.0, deltas["baseline"] / 10), np.maximum(3.0, deltas["baseline"] / 10)
    assert all((deltas["delta"] != either).any() for either in documented)


TOY = pd.read_csv(FOLDER / "toy.csv", dtype={"subject": str})
TOY_OPTIONS = {
    "function": "MSprog", "conf_days": 84, "conf_tol_days": [7, 730.5], "require_sust_days": 0,
    "impute_last_visit": 0, "relapse_to_event": 0, "relapse_to_conf": 30, "relapse_to_bl": 30,
    "baseline": "fixed", "proceed_from": "firstconf", "sub_threshold_rebl": "none",
    "relapse_rebl": False, "bl_geq": False, "skip_local_extrema": "none", "RAW_PIRA": True,
    "check_intermediate": True, "relapse_assoc": 90, "set": "toy",
}  # fmt: skip
"""The defaults of `MSprog`, with worsenings told apart."""
EVENTS = ("firstCDW", "firstCDI", "first", "firstPIRA", "firstRAW", "multiple")


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("outcome", ["edss", "sdmt"])
def test_toy_data_under_default_options(outcome: str, event: str, data_file: Any) -> None:
    columns = {"id": "subject_id", "visit_day": "day", "EDSS": "edss", "SDMT": "sdmt"}
    names = ("msprog_toy_visits.csv", "msprog_toy_relapses.csv")
    visits, relapses = (
        pd.read_csv(data_file(name), dtype={"id": str}).drop(columns="date").rename(columns=columns)
        for name in names
    )
    subjects = pd.DataFrame({"subject_id": visits["subject_id"].unique()})
    options = {**TOY_OPTIONS, "outcome": outcome, "event": event}
    result = derive_progression(Cohort(subjects, visits, relapses), rule_of(options))
    found = of_result(result, options)
    assert len(found) == 7
    assert {s: a for s, a in found.items() if a.events} == toy_answers(options)


def toy_answers(options: dict[str, Any]) -> dict[str, Theirs]:
    """Return what pymsprog found in the toy data."""
    rows = TOY[TOY["set"] == f"{options['outcome']} {options['event']}"]
    return their_events(rows.rename(columns={"subject": "subject_id"}), options)
