"""Sections: counts of the flow, and one order of groups throughout."""

from __future__ import annotations

import pandas as pd
import pytest
from report.fake_study import make_study

from pmsstats.report.sections import build_sections, flow_stages, key_facts

COLUMNS = ["stage", "unit", "n_in", "n_excluded", "reason", "n_out"]


@pytest.mark.parametrize(
    ("rows", "n_in", "n_out", "unit", "left_out"),
    [
        ([("Read", "visit", 5, 0, "", 5)], 5, 5, "visits", ()),
        ([("Read", "subject", 2, 1, "why", 1)], 2, 1, "subject", (("1 subject", "why"),)),
        (
            [("Read", "visit", 9, 3, "a", 6), ("Read", "visit", 6, 1, "b", 5)],
            9,
            5,
            "visits",
            (("3 visits", "a"), ("1 visit", "b")),
        ),
    ],
)
def test_flow_is_summed_up_by_step_and_unit(rows, n_in, n_out, unit, left_out):
    [(stage, [count])] = flow_stages(pd.DataFrame(rows, columns=COLUMNS))
    assert stage == "Read"
    assert (count.n_in, count.n_out, count.unit, count.left_out) == (n_in, n_out, unit, left_out)
    assert count.singular == rows[0][1]


@pytest.mark.parametrize(("n_in", "n_out", "percent"), [(8, 6, 75.0), (0, 0, 0.0)])
def test_the_bar_shows_what_is_left(n_in, n_out, percent):
    rows = pd.DataFrame([("Read", "visit", n_in, n_in - n_out, "x", n_out)], columns=COLUMNS)
    assert flow_stages(rows)[0][1][0].percent == percent


def test_key_facts_are_counts_of_the_study():
    study = make_study()
    facts = dict(key_facts(study))
    assert facts["Subjects"] == str(study.cohort.n_subjects)
    assert facts["Visits"] == str(study.cohort.n_visits)
    assert facts["Events / at risk"] == f"{study.endpoint.n_events} / {study.endpoint.n_subjects}"


def test_a_group_keeps_its_colour_across_figures():
    study = make_study(("A", "B", "C"))
    without_first = study.progression.curve_frame
    without_first = without_first[without_first["group"] != "A"]
    object.__setattr__(study.progression, "curve_frame", without_first)
    section = {s.id: s for s in build_sections(study)}["progression"]
    assert "--series-2" in section.content["figure"].wide
    assert "--series-1," not in section.content["figure"].wide
