"""One subject traced. Witnesses: patients worked by hand; on patients drawn at random, the events
of the result, and the rule's threshold applied to the table."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_result_contract

from pmsstats.cohort import Cohort
from pmsstats.endpoints import (
    AbsoluteThreshold,
    LevelCondition,
    ProgressionRule,
    derive_endpoint,
    derive_progression,
)
from pmsstats.endpoints.derivation.trace import TRACE_COLUMNS, SubjectTrace, trace_subject
from pmsstats.errors import DesignError

NAN = math.nan
POINT = ProgressionRule(
    name="point", outcome="edss", threshold=AbsoluteThreshold(change=1.0), direction="increase",
    confirm_weeks=12, label="progression",
)  # fmt: skip
AWAY = replace(POINT, relapse_to_onset_days=90, relapse_to_confirmation_days=90)
ALL = replace(POINT, events="multiple", baseline="roving", classify_relapses=True)


def cohort_of(
    values: list[float],
    *,
    relapses: tuple[int, ...] = (),
    first_day: int = 0,
    step: int = 100,
    exit_day: int = 0,
) -> Cohort:
    """Subject A, and Z who stays as she is; scans at every other visit, the third with lesions."""
    days = [first_day + step * i for i in range(len(values))]
    visits = {
        "subject_id": "A", "day": days, "visit": [f"V{i}" for i in range(len(days))],
        "edss": values, "new_t2_count": [(NAN, NAN, 2, NAN)[i % 4] for i in range(len(days))],
    }  # fmt: skip
    stays = {"subject_id": "Z", "day": [0, 100], "visit": ["V0", "V1"], "edss": 4.0,
             "new_t2_count": NAN}  # fmt: skip
    exits = pd.DataFrame([("A", exit_day, "dropout")], columns=["subject_id", "day", "reason"])
    return Cohort(
        pd.DataFrame({"subject_id": ["A", "Z"]}),
        pd.concat([pd.DataFrame(visits), pd.DataFrame(stays)]),
        relapses=pd.DataFrame([("A", d) for d in relapses], columns=["subject_id", "day"]),
        exits=exits.head(1 if exit_day else 0),
    )


def trace_of(values: list[float], rule: ProgressionRule = POINT, **kws: Any) -> SubjectTrace:
    cohort = cohort_of(values, **kws)
    return trace_subject(cohort, derive_progression(cohort, rule), "A")


# values, rule, options, roles, notes: each worked by hand; visits are 100 days apart
SHOWN = "onset of worsening", "12-week confirmation of worsening"
BY_HAND = [
    ([4, 4, 5, 5, 5], POINT, {}, ["baseline", "last without the event", *SHOWN, ""],
     ["", "", "", "", "after the event"]),
    ([4, 5, 5], POINT, {}, ["baseline", *SHOWN], ["", "", ""]),
    ([4, NAN, 4.5], POINT, {}, ["baseline", "", ""], ["", "no EDSS", ""]),
    ([4, 5, 4, 5], POINT, {}, ["baseline", "", "", ""],
     ["", "changed by 1, but no longer on day 200", "",
      "changed by 1, but no later visit that may confirm it"]),
    ([4, 4, 5, 5], POINT, {"first_day": -90, "step": 90}, ["", "baseline", *SHOWN],
     ["before the baseline", "", "", ""]),
    ([4, 5, 5, 5], AWAY, {"relapses": (90,)}, ["baseline", "", *SHOWN],
     ["", "no onset, no confirmation: 10 days after a relapse", "", ""]),
    ([4, 5, 5, 5], replace(AWAY, relapse_to_confirmation_days=0), {"relapses": (90,)},
     ["baseline", "", *SHOWN], ["", "no onset: 10 days after a relapse", "", ""]),
    ([4, 4, 5, 5], replace(POINT, relapse_to_baseline_days=30), {"relapses": (-5,)},
     ["time zero", "baseline", *SHOWN],
     ["may not serve as baseline: 5 days after a relapse", "", "", ""]),
    ([4, 5, 5, 3, 3], ALL, {},
     ["baseline", "onset of worsening 1 (PIRA)",
      "12-week confirmation of worsening 1; reference of improvement 2", "onset of improvement 2",
      "12-week confirmation of improvement 2"], [""] * 5),
    ([4, 5, 5], replace(POINT, confirm_weeks=(12, 24)), {},
     ["baseline", *SHOWN], ["", "", ""]),
    ([4, 5, 5, 5], replace(POINT, confirm_weeks=(12, 24)), {},
     ["baseline", *SHOWN, "24-week confirmation of worsening"], ["", "", "", ""]),
    ([4, 4, 5], replace(POINT, impute_last_visit=1), {},
     ["baseline", "last without the event", "onset of worsening, taken as confirmed"], [""] * 3),
    ([4, 5, 5], replace(POINT, onset_conditions=(LevelCondition(outcome="edss", at_least=6.0),)),
     {}, ["baseline", "", ""],
     ["", *["changed by 1, but a condition on another measure is not met"] * 2]),
    ([4, 5, 5], replace(POINT, min_days_from_baseline=150), {}, ["baseline", "", ""],
     ["", "changed by 1, but fewer than 150 days after the baseline",
      "changed by 1, but no later visit that may confirm it"]),
    ([4, 5, 5, 4], replace(POINT, sustain_days=math.inf), {}, ["baseline", "", "", ""],
     ["", "changed by 1, but not as the rule asks", "changed by 1, but no longer on day 300", ""]),
    ([4, 5], replace(POINT, confirm_weeks=None), {}, ["baseline", "onset of worsening"], ["", ""]),
]  # fmt: skip


@pytest.mark.parametrize(("values", "rule", "options", "roles", "notes"), BY_HAND)
def test_roles_and_notes_by_hand(
    values: list[float], rule: ProgressionRule, options: dict, roles: list[str], notes: list[str]
) -> None:
    table = trace_of(values, rule, **options).table()
    assert table["role"].tolist() == roles
    assert table["note"].tolist() == notes


def test_columns_by_hand() -> None:
    table = trace_of([4.0, NAN, 5.0, 5.5, 5.0], AWAY, relapses=(150,)).table()
    assert tuple(table.columns) == TRACE_COLUMNS
    assert table["visit"].tolist() == ["V0", "V1", "V2", "V3", "V4"]
    assert table["day"].tolist() == [0, 100, 200, 300, 400]
    expected = [(4.0, NAN, NAN), (NAN, NAN, NAN), (5.0, 4.0, 1.0), (5.5, 4.0, 1.5), (5.0, 4.0, 1.0)]
    found = table[["value", "reference_value", "change"]].to_numpy()
    np.testing.assert_array_equal(found, np.array(expected))
    assert table["since_relapse"].tolist() == [pd.NA, pd.NA, 50, 150, 250]
    assert table["until_relapse"].tolist() == [150, pd.NA, pd.NA, pd.NA, pd.NA]
    assert table["is_used"].tolist() == [True, False, False, True, True]


def test_a_moving_baseline_gives_the_reference() -> None:
    """From the confirmation (day 200) on, or from the onset, the worsening is the baseline."""
    table = trace_of([4, 5, 5.5, 5.5, 5.5], ALL).table()
    np.testing.assert_array_equal(table["reference_value"], [NAN, 4, 4, 5.5, 5.5])
    table = trace_of([4, 5, 5.5, 5.5, 5.5], replace(ALL, continue_from="onset")).table()
    np.testing.assert_array_equal(table["reference_value"], [NAN, 4, 5, 5, 5])


def test_a_reference_that_events_do_not_show_is_left_out() -> None:
    rule = replace(ALL, subthreshold_rebaseline="any")
    table = trace_of([4, 5, 5, 5.5, 5.5], rule).table()
    np.testing.assert_array_equal(table["reference_value"], [NAN, 4, NAN, NAN, NAN])


SENTENCES = [
    ([4, 4.5, 5, 5.5], POINT, {},
     ("A had progression: EDSS 5 on day 200 after 4 on day 0 (by 1, where 1 counts), confirmed on "
     "day 300 by 5.5; it came after day 100 and up to day 200.")),
    ([4, 4.5, 5], POINT, {"exit_day": 210},
     "A had no progression up to day 200: change at the last visit not confirmed; left: dropout."),
    ([4, 4, 4], POINT, {}, "A had no progression up to day 200: no event up to the last visit."),
    ([4, 5], replace(POINT, impute_last_visit=1), {},
     ("A had progression: EDSS 5 on day 100 after 4 on day 0 (by 1, where 1 counts), taken as "
     "confirmed at the last visit; it came after day 0 and up to day 100.")),
    ([4, 5, 5, 3, 3], ALL, {"relapses": (95,)},
     ("A had progression: EDSS 5 on day 100 after 4 on day 0 (by 1, where 1 counts) (RAW), "
     "confirmed on day 200 by 5; it came after day 0 and up to day 100; 1 other "
     "confirmed change.")),
    ([4, 3, 3, 3], ALL, {},
     "A had no progression up to day 300: no event up to the last visit; 1 confirmed change."),
    ([4, NAN], POINT, {}, "A is not at risk for progression: no visit with EDSS after baseline."),
]  # fmt: skip


@pytest.mark.parametrize(("values", "rule", "options", "expected"), SENTENCES)
def test_sentences(
    values: list[float], rule: ProgressionRule, options: dict, expected: str
) -> None:
    trace = trace_of(values, rule, **options)
    assert trace.headline() == expected
    assert_result_contract(trace)


def test_nobody_at_risk_has_roles() -> None:
    trace = trace_of([4])
    assert trace.table()["role"].tolist() == [""]
    assert trace.table()["is_used"].tolist() == [False]


def test_display_leaves_out_empty_columns() -> None:
    shown = trace_of([4, 4, 5, 5]).display()
    assert list(shown.columns) == ["visit", "day", "value", "reference_value", "change", "role"]
    assert shown.iloc[2].tolist() == ["V2", "200", "5", "4", "1", "onset of worsening"]


def test_the_figure_shows_relapses_and_scans() -> None:
    trace = trace_of([4, 5, 5, 5], relapses=(30, 130))
    assert trace.relapses == (30, 130)
    assert trace.scans.to_numpy().tolist() == [[200, True]]


def test_cohorts_without_scans_have_none() -> None:
    cohort = cohort_of([4, 5, 5])
    bare = Cohort(cohort.subjects, cohort.visits.drop(columns="new_t2_count"))
    trace = trace_subject(bare, derive_progression(bare, POINT), "A")
    assert trace.scans.empty


@pytest.mark.parametrize(
    ("rule", "subject", "message"),
    [
        ({"kind": "relapse", "name": "relapse"}, "A", "Trace its parts"),
        ("cdp12", "B", "'B' is not in the cohort"),
    ],
)
def test_requests_that_cannot_be_met(rule: Any, subject: str, message: str) -> None:
    cohort = cohort_of([4, 5, 5], relapses=(50,))
    with pytest.raises(DesignError, match=message):
        trace_subject(cohort, derive_endpoint(cohort, rule), subject)


RULES = [
    POINT, AWAY, ALL, replace(ALL, continue_from="onset"), replace(POINT, baseline="roving"),
    replace(POINT, baseline="roving_improvement", confirm_intermediate=False),
    replace(ALL, rebaseline_after_relapse=True), replace(POINT, rebaseline_after_relapse=True),
    replace(POINT, sustain_days=math.inf),
    replace(ALL, baseline_never_better=True), replace(POINT, events="first_pira"),
    replace(ALL, skip_local_extrema="strict", relapse_to_baseline_days=30),
]  # fmt: skip


@given(
    st.lists(st.sampled_from([3.0, 4.0, 4.5, 5.0, 6.0, NAN]), min_size=2, max_size=9),
    st.sampled_from(RULES),
    st.sets(st.integers(-50, 900), max_size=2),
    st.integers(-1, 0),
)
def test_the_table_tells_what_the_events_tell(
    values: list[float], rule: ProgressionRule, relapses: set[int], start: int
) -> None:
    cohort = cohort_of(values, relapses=tuple(relapses), first_day=90 * start, step=90)
    result = derive_progression(cohort, rule)
    trace = trace_subject(cohort, result, "A")
    table = trace.table().set_index("day")
    assert len(table) == len(values)
    for episode in result.episodes.query("subject_id == 'A'").to_dict("records"):
        onset, confirmed = table.loc[episode["day_onset"]], table.loc[episode["day_confirmed"]]
        assert f"onset of {episode['change']}" in onset["role"]
        assert "12-week confirmation" in confirmed["role"]
        assert onset["is_used"]
        assert onset["reference_value"] == episode["reference_value"]
        assert onset["change"] == episode["onset_value"] - episode["reference_value"]
    onsets = table["role"].str.contains("onset").sum()
    assert onsets == (result.episodes["subject_id"] == "A").sum()
    noted = table[table["note"].str.startswith("changed")]
    assert (noted["change"] >= 1).all()
    assert not noted["role"].str.contains("onset|confirmation").any()


def test_a_result_traces_its_subjects() -> None:
    cohort = cohort_of([4, 5, 5])
    trace = derive_progression(cohort, POINT).trace(cohort, "A")
    assert trace.headline() == trace_of([4, 5, 5]).headline()
