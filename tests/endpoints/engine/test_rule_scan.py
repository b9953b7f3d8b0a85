"""One rule on one table: threads, tables that rules share, and plain code give the same."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from endpoints.engine.drawn_cohorts import cohorts, drawn_cohort
from endpoints.rule_strategies import progression_rules
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.cohort import Cohort
from pmsstats.endpoints import PRESETS, ProgressionRule, derive_progression
from pmsstats.endpoints.engine.imputation import imputes_last_visit
from pmsstats.endpoints.engine.rule_scan import progression_arrays, scan_rule
from pmsstats.endpoints.engine.visit_table import prepare
from pmsstats.errors import DesignError

ROOT = Path(__file__).parents[3]
rules_on_edss = progression_rules(outcomes=("edss",))


@given(cohort=cohorts(), drawn=st.lists(rules_on_edss, min_size=2, max_size=4))
def test_rules_on_one_table_do_not_disturb_each_other(
    cohort: Cohort, drawn: list[ProgressionRule]
) -> None:
    table = prepare(cohort, "edss")
    for rule in (*drawn, *drawn):
        imputes = imputes_last_visit(rule, table.subject_ids, 1, exit_reason=table.exit_reason)
        shared = progression_arrays(table, rule, imputes=imputes)
        fresh = progression_arrays(prepare(cohort, "edss"), rule, imputes=imputes)
        for field in dataclasses.fields(shared):
            np.testing.assert_array_equal(getattr(shared, field.name), getattr(fresh, field.name))


@given(cohort=cohorts(), rule=progression_rules())
def test_arrays_say_what_the_result_says(cohort: Cohort, rule: ProgressionRule) -> None:
    table = prepare(cohort, rule.outcome)
    imputes = imputes_last_visit(rule, table.subject_ids, 1, exit_reason=table.exit_reason)
    arrays = progression_arrays(table, rule, imputes=imputes)
    keep = arrays.at_risk
    events = {"duration": [], "event": [], "interval_left": [], "interval_right": []}
    ids: list[str] = []
    try:
        frame = derive_progression(cohort, rule, seed=1).events
        events, ids = {name: frame[name].tolist() for name in events}, list(frame["subject_id"])
    except DesignError as error:
        assert "No subject can be assessed" in str(error)  # noqa: PT017
    assert table.subject_ids[keep].tolist() == ids
    assert {name: getattr(arrays, name)[keep].tolist() for name in events} == events


@given(cohort=cohorts(), rule=progression_rules(), n_jobs=st.sampled_from([2, 3, 40]))
def test_threads_change_nothing(cohort: Cohort, rule: ProgressionRule, n_jobs: int) -> None:
    table = prepare(cohort, rule.outcome)
    imputes = np.arange(table.n_subjects) % 2 == 0
    one, more = (scan_rule(table, rule, imputes=imputes, n_jobs=n) for n in (1, n_jobs))
    assert one.status.tolist() == more.status.tolist()
    onset = np.flatnonzero(one.found.place >= 0)
    assert np.flatnonzero(more.found.place >= 0).tolist() == onset.tolist()
    assert one.events_at(onset).tolist() == more.events_at(onset).tolist()
    at_risk = one.at_risk
    subjects = one.found.subjects[at_risk].tolist()
    assert more.found.subjects[at_risk].tolist() == subjects


PLAIN = """
import json, sys
import pmsstats.compiling
from endpoints.engine.test_rule_scan import some_answers
assert not pmsstats.compiling.IS_COMPILED
json.dump(some_answers(), sys.stdout)
"""


def some_answers() -> dict[str, list]:
    """Derive a cohort under some rules that take every turn of the scan."""
    cdp12 = PRESETS["cdp12"]
    several = dataclasses.replace(
        cdp12, events="multiple", baseline="roving", classify_relapses=True, confirm_weeks=(12, 24)
    )
    moved = dataclasses.replace(
        cdp12,
        events="first_pira",
        baseline="roving",
        rebaseline_after_relapse=True,
        subthreshold_rebaseline="any",
        skip_local_extrema="strict",
        confirm_intermediate=False,
        sustain_days=200,
    )
    cohort = drawn_cohort(5, 60)
    answers = {}
    for name, rule in {"cdp12": cdp12, "several": several, "moved": moved}.items():
        result = derive_progression(cohort, rule)
        answers[f"{name} events"] = result.to_dict()["events"]
        answers[f"{name} episodes"] = result.to_dict()["episodes"]
    return answers


def test_without_numba_the_answers_are_the_same() -> None:
    environment = {**os.environ, "PMSSTATS_NO_NUMBA": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PLAIN],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = some_answers()
    assert json.loads(done.stdout) == json.loads(json.dumps(answers))
    assert min(len(rows) for rows in answers.values()) >= 5


def test_a_class_of_worsening_is_not_asked_of_an_improvement() -> None:
    """The package does not know the measure, but the cohort's own dictionary does."""
    cohort = drawn_cohort(1, 5)
    lower = dataclasses.replace(cohort.dictionary["own_score"], worsening="lower")
    own = Cohort(
        cohort.subjects,
        cohort.visits.drop(columns="year"),
        dictionary=cohort.dictionary.extend(lower),
    )
    rule = dataclasses.replace(PRESETS["cdp12"], outcome="own_score", events="first_pira")
    with pytest.raises(DesignError, match=r"'first_pira'.* increase of Own score is an impr"):
        derive_progression(own, rule)
