"""Timed tests; witnesses are hand-worked visits and a recomputation in R (scores_trial)."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case

from pmsstats.endpoints.scores.task_failure import (
    TASK_FAILURES,
    TaskFailureConvention,
    task_failure_convention,
)
from pmsstats.endpoints.scores.timed_test_spec import TimedTestSpec
from pmsstats.endpoints.scores.timed_tests import derive_timed_tests, mean_of_hands
from pmsstats.errors import DesignError

WALKS = ["t25fw_trial1_s", "t25fw_trial2_s"]
RELATIVE = 1e-12  # sums and quotients of two or three doubles


def walks(*trials):
    """Return visits of one walk each."""
    frame = pd.DataFrame(trials, columns=WALKS, dtype=object)
    return frame.assign(subject_id=[f"S{n}" for n in range(len(frame))], day=0)


def reasons(made):
    """Return how often each decision was taken."""
    return dict(zip(made.table()["reason"], made.table()["n"], strict=True))


@pytest.mark.parametrize("convention", ["time_limit", "msfc_manual"])
@pytest.mark.parametrize("measure", ["t25fw_s", "nhpt_s"])
def test_agrees_with_r(convention, measure):
    case = load_case("scores_trial")
    made = derive_timed_tests(case.input, TimedTestSpec(failure=convention)).visits
    expected = case.rows(f"{convention}_{measure}").set_index("term")["value"]
    found = made.set_index(made["subject_id"] + "/" + made["day"].astype(str))[measure]
    np.testing.assert_allclose(found[expected.index], expected, rtol=RELATIVE)


@pytest.mark.parametrize(
    ("first", "second", "options", "value", "failed"),
    [
        (6.0, 6.4, {}, 6.2, False),
        ("6.0", " 6.4 ", {}, 6.2, False),  # text from a file
        (6.0, np.nan, {}, 6.0, False),  # the other trial stands for the test
        (6.0, np.nan, {"one_missing": "missing"}, np.nan, False),
        (np.nan, np.nan, {}, np.nan, False),
        ("Unable", "UNABLE ", {}, 180.0, True),
        ("unable", "unable", {"failure": "msfc_manual"}, 165.7948, True),
        ("unable", "unable", {"failure": "missing"}, np.nan, False),
        (20.0, "unable", {}, 100.0, True),  # (20 + 180) / 2
        (20.0, "unable", {"one_failed": "completed_trial"}, 20.0, False),
        (20.0, "unable", {"one_failed": "failed"}, 180.0, True),
        (20.0, "unable", {"failure": "missing"}, 20.0, False),
        (20.0, "unable", {"failure": "missing", "one_missing": "missing"}, 20.0, False),
        (np.nan, "unable", {}, 180.0, True),
        (np.nan, "unable", {"one_missing": "missing"}, np.nan, False),
        (777, 777, {"failure_codes": (777,)}, 180.0, True),
        (999, 6.0, {"missing_codes": (999,)}, 6.0, False),
        (-9, 6.0, {"missing_codes": (-9,)}, 6.0, False),
        ("not done", "6.0", {}, 6.0, False),  # missing for another reason
        (200.0, 200.0, {}, 200.0, False),  # above the limit: used, and told
    ],
)
def test_one_walk_worked_by_hand(first, second, options, value, failed):
    made = derive_timed_tests(walks((first, second)), TimedTestSpec(**options)).visits
    np.testing.assert_allclose(made["t25fw_s"], [value], rtol=RELATIVE)
    assert made["t25fw_failed"].tolist() == [failed]


def test_every_decision_is_counted_with_its_reason():
    frame = walks((6.0, 6.4), ("unable", "unable"), (20.0, "unable"), (6.0, ""), ("nd", 6.0),
                  (190.0, 6.0), (999, 6.0), (np.nan, np.nan))  # fmt: skip
    made = derive_timed_tests(frame)
    assert reasons(made) == {
        "could not be done: 180 s (convention time_limit)": 3,
        "given as a missing value": 1,  # nd; an empty cell is nothing that was given
        "longer than the limit of 180 s: used as it stands": 1,
        "777, 888 or 999, often a code: used as a time": 1,
        "one trial failed: mean of the time and the failure": 1,
        "one trial missing: the other counts": 2,
    }
    assert made.exclusions[0].reason == "no t25fw_s"
    assert made.exclusions[0].subject_ids == ("S7",)
    told = made.changes[made.changes["reason"].str.startswith("one trial failed")]
    assert told[["subject_id", "value"]].to_numpy().tolist() == [["S2", 100.0]]
    assert "3 stand for tests" not in made.headline()
    assert "2 stand for tests that could not be done (convention: time_limit)" in made.headline()
    assert_result_contract(made)


def test_hands_make_one_test_by_either_mean():
    frame = pd.DataFrame({"subject_id": ["S0", "S1"], "day": 0})
    for hand, times in (("dominant", [20.0, 20.0]), ("nondominant", [60.0, np.nan])):
        frame = frame.assign(**{f"nhpt_{hand}_trial{k}_s": times for k in (1, 2)})
    times = derive_timed_tests(frame)
    assert times.measures == ("nhpt_dominant_s", "nhpt_nondominant_s", "nhpt_s")
    np.testing.assert_array_equal(times.visits["nhpt_s"], [40.0, np.nan])
    assert "one hand missing: no nhpt_s" in [e.reason for e in times.exclusions]
    reciprocals = derive_timed_tests(frame, TimedTestSpec(hands="mean_of_reciprocals"))
    # 1 / mean(1/20, 1/60) = 1 / (4/120) = 30
    np.testing.assert_allclose(reciprocals.visits["nhpt_s"], [30.0, np.nan], rtol=RELATIVE)


@given(st.lists(st.tuples(st.floats(5, 300), st.floats(5, 300)), min_size=1, max_size=5))
def test_the_mean_of_reciprocals_lies_below_the_mean_of_times(hands):
    one, other = np.array(hands).T
    by_reciprocals = mean_of_hands(one, other, hands="mean_of_reciprocals")
    assert (by_reciprocals <= mean_of_hands(one, other) * (1 + RELATIVE)).all()
    assert (by_reciprocals >= np.minimum(one, other) * (1 - RELATIVE)).all()
    np.testing.assert_allclose(1 / by_reciprocals, (1 / one + 1 / other) / 2, rtol=RELATIVE)


def test_columns_and_number_of_trials_are_the_users():
    frame = pd.DataFrame({"subject_id": ["S0"], "day": 0, "a": 6.0, "b": 7.0, "c": 11.0})
    spec = TimedTestSpec(trials=(("t25fw_s", ("a", "b", "c")),))
    assert derive_timed_tests(frame, spec).visits["t25fw_s"].tolist() == [8.0]


def test_row_order_and_index_do_not_matter():
    frame = walks((6.0, 6.4), ("unable", 7.0), (8.0, np.nan)).set_axis([4, 4, 1])
    forward = derive_timed_tests(frame).visits["t25fw_s"].to_numpy()
    backward = derive_timed_tests(frame.iloc[::-1]).visits["t25fw_s"].to_numpy()
    np.testing.assert_array_equal(forward, backward[::-1])


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (walks((6.0, 0.0)), r"'t25fw_trial2_s' are no time above 0; if it is a code"),
        (walks((-1.0, 6.0)), r"no time above 0.*: -1.0 of S0"),
        (walks((np.inf, 6.0)), r"no time above 0"),
        (walks(("6,4", "6.0")), r"neither a time in seconds \(decimal point\).*'6,4' of S0"),
        (walks(("tired", "6.0")), r"`failure_texts` or `missing_texts` explains: 'tired'"),
        (walks((6.0, 6.4)).drop(columns="t25fw_trial2_s"), r"one column 't25fw_trial2_s'"),
        (walks((6.0, 6.4)).drop(columns=WALKS), r"none of the columns of trials"),
        (walks((6.0, 6.4)).assign(t25fw_s=6.2), r"already has the column 't25fw_s'"),
        (walks((6.0, 6.4)).assign(day=np.nan), r"no subject_id or no day"),
        ("visits", r"must be a data frame .* got str"),
    ],
)
def test_bad_visits_are_refused_in_words(frame, message):
    with pytest.raises(DesignError, match=message):
        derive_timed_tests(frame)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hands": "mean"}, r"`hands` must be one of mean_of_times, mean_of_reciprocals"),
        ({"one_missing": "both"}, r"`one_missing` must be one of"),
        ({"one_failed": "averaged"}, r"Did you mean 'average'"),
        ({"failure": "msfc_manuel"}, r"Did you mean 'msfc_manual'"),
        ({"failure_codes": (777,), "missing_codes": (777.0,)}, r"both name '777.0'"),
        ({"failure_texts": ("ND",)}, r"both name 'nd'"),
        ({"trials": ()}, r"`trials` must pair"),
        ({"trials": (("t25fw_s", ()),)}, r"`trials` must pair"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused(options, message):
    with pytest.raises(DesignError, match=message):
        TimedTestSpec(**options)


def test_the_manuals_walk_is_the_slowest_of_the_task_force():
    # z = -13.7 against mean 9.5353 s and SD 11.4058 s: 9.5353 + 13.7 x 11.4058
    manual = task_failure_convention("msfc_manual")
    assert manual.value("t25fw_s") == pytest.approx(9.5353 + 13.7 * 11.4058, abs=5e-5)
    assert manual.value("nhpt_dominant_s") == 777.0
    assert np.isnan(manual.value("sdmt"))


def test_conventions_are_named():
    assert all(name == convention.name for name, convention in TASK_FAILURES.items())


@pytest.mark.parametrize(
    "values", [(("t25fw_s", -1.0),), (("t25fw_s", np.nan),), (("t25fw_s", 1.0), ("t25fw_s", 2.0))]
)
def test_a_convention_must_be_sound(values):
    with pytest.raises(DesignError, match="`values` must"):
        TaskFailureConvention(name="own", values=values)
