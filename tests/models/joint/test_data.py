"""From two tables to subjects: who is left out, why, and in which order."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from joint_tables import simulate

from pmsstats.errors import DesignError
from pmsstats.models.joint.data import prepare_joint
from pmsstats.models.joint.layout import build_joint_design
from pmsstats.models.joint.spec import JointSpec

FORMULA = "nfl ~ year + (1 | id)"

VISITS = pd.DataFrame(
    {
        "id": ["a", "a", "a", "b", "b", "c", "c", "e", None, "f", "g", "g"],
        "year": [0.0, 1.0, 2.0, 0.0, 1.0, 0.0, 3.0, 0.0, 0.0, np.nan, -0.5, 1.0],
        "nfl": [1.0, 2.0, np.nan, 1.5, 2.5, 0.5, 9.0, 1.0, 1.0, 1.0, 1.2, 1.4],
    }
)
SUBJECTS = pd.DataFrame(
    {
        "id": ["g", "c", "b", "a", "d", "f", "h", "i", "j"],
        "duration": [1.0, 2.0, 3.0, 2.0, 4.0, 1.0, 0.0, 0.0, np.nan],
        "event": [True, True, False, True, False, True, False, True, True],
    }
)


def test_everything_left_out_is_counted_with_its_reason() -> None:
    data = prepare_joint(VISITS, SUBJECTS, JointSpec(longitudinal=FORMULA))
    assert data.events.ids == ("g", "c", "b", "a")
    found = {(e.unit, e.reason): (e.n, e.subject_ids) for e in data.exclusions}
    assert found == {
        ("subject", "duration missing"): (1, ("j",)),
        ("subject", "no follow-up (duration 0)"): (1, ("h",)),
        ("subject", "event at time 0, before any follow-up"): (1, ("i",)),
        ("row", "no id"): (1, ("no id",)),
        ("row", "no year"): (1, ("f",)),
        ("row", "subject has no follow-up in the survival table"): (1, ("e",)),
        ("subject", "measurements, but no follow-up in the survival table"): (1, ("e",)),
        ("row", "measured after the event or the end of follow-up"): (1, ("c",)),
        ("row", "no nfl, or no covariate of its model"): (1, ("a",)),
        ("subject", "follow-up, but no usable measurement"): (2, ("d", "f")),
    }
    assert data.notes == ("1 measurement(s) before time 0 are used as they are",)
    assert data.rows[0]["nfl"].tolist() == [1.2, 1.4, 0.5, 1.5, 2.5, 1.0, 2.0]
    assert data.codes[0].tolist() == [0, 0, 1, 2, 2, 3, 3]
    n_in = len(VISITS) - sum(e.n for e in data.exclusions if e.unit == "row")
    assert n_in == len(data.rows[0])


def test_events_are_intervals() -> None:
    events = prepare_joint(VISITS, SUBJECTS, JointSpec(longitudinal=FORMULA)).events
    assert events.lower.tolist() == [1.0, 2.0, 3.0, 2.0]
    assert events.upper.tolist() == [1.0, 2.0, np.inf, 2.0]
    assert events.cause.tolist() == [0, 0, -1, 0]
    assert events.end.tolist() == [1.0, 2.0, 3.0, 2.0]
    assert events.event_time.tolist() == [1.0, 2.0, 2.0]


def test_intervals_without_end_are_censored_and_equal_ends_exact() -> None:
    subjects = SUBJECTS.iloc[:4].assign(lower=[0.5, 1.0, 3.0, 2.0], upper=[1.0, 2.5, np.nan, 2.0])
    spec = JointSpec(longitudinal=FORMULA, lower="lower", upper="upper")
    events = prepare_joint(VISITS, subjects, spec).events
    assert events.is_interval.tolist() == [True, True, False, False]
    assert events.is_exact.tolist() == [False, False, False, True]
    assert events.end.tolist() == [1.0, 2.5, 3.0, 2.0]


def test_measurement_at_the_event_is_kept() -> None:
    data = prepare_joint(VISITS, SUBJECTS, JointSpec(longitudinal=FORMULA))
    at_event = data.rows[0]["year"].to_numpy() == data.events.end[data.codes[0]]
    assert at_event.sum() == 1


def test_values_that_a_transform_cannot_take_are_left_out() -> None:
    visits = VISITS.assign(nfl=VISITS["nfl"].where(VISITS["id"] != "b", [0.0] * len(VISITS)))
    spec = JointSpec(longitudinal="log(nfl) ~ year + (1 | id)")
    data = prepare_joint(visits, SUBJECTS, spec)
    assert "b" not in data.events.ids
    rows = [e for e in data.exclusions if e.reason.startswith("no log(nfl)")]
    assert rows[0].n == 3


def test_several_rows_per_subject_are_refused() -> None:
    twice = pd.concat([SUBJECTS, SUBJECTS.iloc[:1]])
    with pytest.raises(DesignError, match=r"More than one row per subject in `survival` in 2 row"):
        prepare_joint(VISITS, twice, JointSpec(longitudinal=FORMULA))


def test_ids_of_other_kinds_are_pointed_out() -> None:
    numbered = SUBJECTS.assign(id=range(len(SUBJECTS)))
    with pytest.raises(DesignError, match="Are the ids of the same kind"):
        prepare_joint(VISITS, numbered, JointSpec(longitudinal=FORMULA))


@pytest.mark.parametrize(
    ("visits", "message"),
    [
        (VISITS.drop(columns="nfl"), "names 'nfl', which is a column of neither table"),
        (VISITS.drop(columns="year"), "`time` names 'year'"),
        (VISITS.drop(columns="id"), "`longitudinal` has no column 'id'"),
        (VISITS.assign(year="early"), "must hold numbers (a time)"),
        (VISITS.iloc[:0], "`longitudinal` has no rows"),
    ],
)
def test_tables_without_what_is_needed_are_refused(visits: pd.DataFrame, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        prepare_joint(visits, SUBJECTS, JointSpec(longitudinal=FORMULA))


def test_duplicate_rows_are_said() -> None:
    visits, subjects = simulate(60, seed=1)
    spec = JointSpec(longitudinal="nfl ~ year + (1 | subject_id)")
    twice = pd.concat([visits, visits.iloc[:2]])
    data = prepare_joint(twice, subjects, spec)
    design, _ = build_joint_design(spec, data)
    assert "repeat another one" in " ".join(design.markers[0].mixed.notes)
