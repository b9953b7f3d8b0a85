"""Sections: counts of the flow, and one order of groups throughout."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from report.fake_study import make_study

from pmsstats.association.spec import AssociationSpec
from pmsstats.report import tables
from pmsstats.report.methods import adjustment_words, optimum_words
from pmsstats.report.sections import build_sections, flow_stages, key_facts
from pmsstats.results import FitLog

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


LOG = FitLog(engine="statsmodels", optimiser="bfgs", converged=True)


@pytest.mark.parametrize(
    ("message", "attempts", "reml", "expected"),
    [
        ("", (), True, ""),
        (
            "log-likelihood could rise by 1e-14",
            ("bfgs",),
            True,
            "and needed no further step",
        ),
        (
            "log-likelihood could rise by 1e-14; added 2.3e-02 after it stopped",
            ("bfgs", "lbfgs"),
            False,
            "and finished there, by steps that added 2.3e-02 to the log-likelihood after",
        ),
    ],
)
def test_methods_tell_who_finished_the_climb(message, attempts, reml, expected):
    log = dataclasses.replace(LOG, message=message, attempts=attempts)
    words = optimum_words(log, reml=reml)
    assert expected in words
    assert bool(words) is bool(message)
    assert ("the restricted likelihood" in words) is (reml and bool(message))
    assert ("of 2 attempts the best was kept" in words) is (len(attempts) == 2)


@pytest.mark.parametrize(
    ("options", "group", "expected"),
    [
        ({}, None, ""),
        ({}, "arm", "not adjusted for arm"),
        ({"covariates": ("arm", "age")}, "arm", "adjusted for arm + age"),
        ({"covariates": "np.log(age) + C(arm)"}, "arm", "adjusted for np.log(age) + C(arm)"),
        (
            {"covariates": "arm_2"},
            "arm",
            "adjusted for arm_2, not adjusted for arm",
        ),
        (
            {"covariates": ("age",), "strata": ("arm",)},
            "arm",
            "adjusted for age, stratified by arm (each group has its own baseline hazard)",
        ),
    ],
)
def test_what_the_group_is_to_the_hazard_is_said(options, group, expected):
    assert adjustment_words(AssociationSpec(measure="edss", **options), group) == expected


def test_a_table_of_many_numbers_gets_more_room():
    few, many = (
        tables.ReportTable(caption="", columns=tuple("abcdef"[:n]), rows=()) for n in (5, 6)
    )
    assert (few.is_broad, many.is_broad) == (False, True)
    assert not dataclasses.replace(many, text_columns=(1,)).is_broad
