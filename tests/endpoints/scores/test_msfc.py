"""The MSFC; witnesses: hand-computed patients, a plain loop over the formulas, R (scores_trial)."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case

from pmsstats.endpoints.scores.msfc import MSFC_VARIANTS, derive_msfc
from pmsstats.endpoints.scores.reference_population import (
    NMSS_TASK_FORCE,
    ReferencePopulation,
    reference_from_baseline,
    reference_from_table,
)
from pmsstats.endpoints.scores.timed_test_spec import TimedTestSpec
from pmsstats.endpoints.scores.timed_tests import derive_timed_tests
from pmsstats.errors import DesignError

ABSOLUTE = 1e-12  # z-scores are of size one: a few roundings of doubles
ROUNDED = 5e-7  # hand computation printed with six decimals
SCALED = 1e-9  # units changed by a factor, then standardised


def trial(n=12, seed=3):
    """Return baseline and two later visits of some patients."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {"subject_id": np.repeat([f"S{k:02d}" for k in range(n)], 3), "day": [0, 90, 180] * n}
    )
    size = len(frame)
    return frame.assign(
        t25fw_s=rng.lognormal(2, 0.4, size).round(1),
        nhpt_dominant_s=rng.lognormal(3.1, 0.2, size).round(1),
        nhpt_nondominant_s=rng.lognormal(3.2, 0.2, size).round(1),
        pasat3=rng.integers(20, 61, size).astype(float),
        sdmt=rng.integers(20, 70, size).astype(float),
        lcla_letters=rng.integers(5, 60, size).astype(float),
    )


def one(**values):
    """Return one visit of an average patient, but for what is named."""
    row = {"subject_id": "S1", "day": 0, "t25fw_s": 5.2, "nhpt_dominant_s": 20.0,
           "nhpt_nondominant_s": 25.0, "pasat3": 52.0}  # fmt: skip
    return pd.DataFrame([row | values])


def test_a_patient_worked_by_hand_against_the_task_force():
    made = derive_msfc(one(), "task_force").visits.iloc[0]
    # leg -(5.2 - 9.5353) / 11.4058; arm ((1/20 + 1/25) / 2 - 0.0439) / 0.0101 = 0.0011 / 0.0101;
    # cognition (52 - 45.0311) / 12.0771; mean of the three
    assert made["leg_z"] == pytest.approx(0.380096, abs=ROUNDED)
    assert made["arm_z"] == pytest.approx(0.108911, abs=ROUNDED)
    assert made["cognition_z"] == pytest.approx(0.577034, abs=ROUNDED)
    assert made["msfc_z"] == pytest.approx(0.355347, abs=ROUNDED)


def test_the_mean_of_times_is_another_arm():
    made = derive_msfc(one(), "task_force", hands="mean_of_times").visits.iloc[0]
    # (1 / 22.5 - 0.0439) / 0.0101 = 0.000544 / 0.0101
    assert made["arm_z"] == pytest.approx(0.053905, abs=ROUNDED)


@pytest.mark.parametrize("convention", ["time_limit", "msfc_manual"])
@pytest.mark.parametrize(
    ("quantity", "reference", "variant", "column"),
    [
        ("baseline_leg_z", "baseline", "msfc3", "leg_z"),
        ("baseline_arm_z", "baseline", "msfc3", "arm_z"),
        ("baseline_msfc3", "baseline", "msfc3", "msfc_z"),
        ("baseline_msfc4_sdmt", "baseline", "msfc4_sdmt", "msfc_z"),
        ("task_force_msfc3", "task_force", "msfc3", "msfc_z"),
    ],
)
def test_agrees_with_r(convention, quantity, reference, variant, column):
    case = load_case("scores_trial")
    tests = derive_timed_tests(case.input, TimedTestSpec(failure=convention)).visits
    made = derive_msfc(tests, reference, variant=variant).visits
    expected = case.rows(f"{convention}_{quantity}").set_index("term")["value"]
    found = made.set_index(made["subject_id"] + "/" + made["day"].astype(str))[column]
    np.testing.assert_allclose(found[expected.index], expected, rtol=1e-10, atol=ABSOLUTE)
    assert expected.notna().sum() > 60


@pytest.mark.parametrize("variant", MSFC_VARIANTS)
def test_agrees_with_a_loop_over_the_formulas(variant):
    frame = trial()
    cognition = {True: "sdmt", False: "pasat3"}[variant.endswith("sdmt")]
    names = [cognition, *["lcla_letters"] * variant.startswith("msfc4")]
    base = frame[frame["day"] == 0]
    arms = [(1 / d + 1 / n) / 2 for d, n in zip(base["nhpt_dominant_s"], base["nhpt_nondominant_s"],
                                                strict=True)]  # fmt: skip
    expected = []
    for row in frame.to_dict("records"):
        walk = base["t25fw_s"].tolist()
        arm = (1 / row["nhpt_dominant_s"] + 1 / row["nhpt_nondominant_s"]) / 2
        z = [-(row["t25fw_s"] - statistics.fmean(walk)) / statistics.stdev(walk),
             (arm - statistics.fmean(arms)) / statistics.stdev(arms)]  # fmt: skip
        z += [
            (row[c] - statistics.fmean(base[c])) / statistics.stdev(base[c].tolist()) for c in names
        ]
        expected.append(statistics.fmean(z))
    found = derive_msfc(frame, variant=variant).visits["msfc_z"]
    np.testing.assert_allclose(found, expected, atol=ABSOLUTE)


def test_the_baseline_itself_has_mean_zero_and_sd_one():
    made = derive_msfc(trial()).visits
    base = made[made["day"] == 0][["leg_z", "arm_z", "cognition_z"]]
    np.testing.assert_allclose(base.mean(), 0, atol=ABSOLUTE)
    np.testing.assert_allclose(base.std(ddof=1), 1, atol=ABSOLUTE)


@given(st.floats(0.01, 100), st.floats(0.01, 100))
def test_units_of_the_times_do_not_matter_against_the_own_baseline(walk, peg):
    frame = trial()
    scaled = frame.assign(
        t25fw_s=frame["t25fw_s"] * walk,
        nhpt_dominant_s=frame["nhpt_dominant_s"] * peg,
        nhpt_nondominant_s=frame["nhpt_nondominant_s"] * peg,
    )
    np.testing.assert_allclose(
        derive_msfc(scaled).visits["msfc_z"], derive_msfc(frame).visits["msfc_z"], atol=SCALED
    )


@given(st.floats(-5, 5))
def test_points_added_to_every_pasat_do_not_matter_against_the_own_baseline(points):
    frame = trial()
    shifted = frame.assign(pasat3=frame["pasat3"] + points)
    np.testing.assert_allclose(
        derive_msfc(shifted).visits["msfc_z"], derive_msfc(frame).visits["msfc_z"], atol=SCALED
    )


@given(
    st.sampled_from(["t25fw_s", "nhpt_dominant_s", "nhpt_nondominant_s"]), st.floats(0.1, 200),
    st.sampled_from(["mean_of_reciprocals", "mean_of_times"]),
)  # fmt: skip
def test_slower_never_raises_and_better_cognition_never_lowers_the_score(name, more, hands):
    frame = trial()
    score = derive_msfc(frame, "task_force", hands=hands).visits["msfc_z"]
    slower = derive_msfc(frame.assign(**{name: frame[name] + more}), "task_force", hands=hands)
    assert (slower.visits["msfc_z"] < score).all()
    better = derive_msfc(frame.assign(pasat3=frame["pasat3"] + 1), "task_force", hands=hands)
    assert (better.visits["msfc_z"] > score).all()


def test_row_order_changes_nothing():
    frame = trial()
    shuffled = frame.sample(frac=1, random_state=1)
    again = derive_msfc(shuffled).visits.sort_index()["msfc_z"]
    np.testing.assert_allclose(again, derive_msfc(frame).visits["msfc_z"], atol=ABSOLUTE)


def test_a_missing_component_leaves_no_score_and_is_counted():
    frame = trial()
    frame.loc[[0, 4], "pasat3"] = np.nan
    frame.loc[[4, 7], "nhpt_dominant_s"] = np.nan
    made = derive_msfc(frame)
    assert made.visits["msfc_z"].isna().to_numpy().nonzero()[0].tolist() == [0, 4, 7]
    counts = {e.reason: (e.unit, e.n) for e in made.exclusions}
    assert counts == {
        "no pasat3 at baseline: not in the reference": ("subject", 1),
        "no pasat3": ("visit", 1),
        "no nhpt_per_s and no pasat3": ("visit", 1),
        "no nhpt_per_s": ("visit", 1),
    }
    assert made.n_visits == len(frame) - 3


def test_the_mean_of_what_is_available_is_an_option():
    frame = trial()
    frame.loc[4, "pasat3"] = np.nan
    made = derive_msfc(frame, missing="available").visits.loc[4]
    assert made["msfc_z"] == pytest.approx((made["leg_z"] + made["arm_z"]) / 2, abs=ABSOLUTE)


def test_a_walk_that_could_not_be_done_has_the_manuals_z():
    frame = one(t25fw_s=165.7948, t25fw_failed=True)
    by_value = derive_msfc(frame, "task_force").visits["leg_z"].item()
    assert by_value == pytest.approx(-13.7, abs=1e-5)  # 165.7948 s is rounded
    by_z = derive_msfc(frame, "task_force", failure_z={"leg_z": -13.7}).visits
    assert by_z["leg_z"].item() == -13.7


def test_a_z_for_failures_serves_also_where_no_time_is_given():
    tests = pd.DataFrame({"subject_id": ["S1"], "day": 0, "pasat3": 52.0,
                          "t25fw_trial1_s": "unable", "t25fw_trial2_s": "unable"})  # fmt: skip
    for hand in ("dominant", "nondominant"):
        tests = tests.assign(**{f"nhpt_{hand}_trial{k}_s": 20.0 for k in (1, 2)})
    made = derive_timed_tests(tests, TimedTestSpec(failure="missing")).visits
    made = made.assign(t25fw_failed=True)
    scored = derive_msfc(made, "task_force", failure_z={"leg_z": -13.7})
    assert scored.visits["leg_z"].item() == -13.7
    assert scored.n_visits == 1


def test_a_result_keeps_the_contract():
    made = derive_msfc(trial(), origin="synthetic")
    assert_result_contract(made)
    assert made.headline().startswith("In synthetic data, msfc3 z-scores of 36 of 36 visits of 12")
    assert "baseline (n = 12)" in made.headline()


# Reference populations


def test_the_task_force_table_holds_the_six_published_figures():
    # read in three programs that follow the manual (see the note of the reference)
    assert NMSS_TASK_FORCE.values == (
        ("t25fw_s", 9.5353, 11.4058), ("nhpt_per_s", 0.0439, 0.0101), ("pasat3", 45.0311, 12.0771),
    )  # fmt: skip


def test_a_table_of_the_user_is_a_reference():
    table = pd.DataFrame(
        {"component": ["t25fw_s", "nhpt_per_s", "pasat3"], "mean": [9.5353, 0.0439, 45.0311],
         "sd": [11.4058, 0.0101, 12.0771]}
    )  # fmt: skip
    own = derive_msfc(one(), table).visits["msfc_z"].item()
    assert own == derive_msfc(one(), "task_force").visits["msfc_z"].item()
    assert reference_from_table(table, name="own").components == tuple(table["component"])


def test_the_baseline_is_the_last_value_at_or_before_day_zero():
    frame = pd.DataFrame(
        {
            "subject_id": ["a", "a", "a", "b", "b", "c", "d"],
            "day": [-30, -1, 5, 0, 90, 10, -5],
            "pasat3": [10.0, 20.0, 99.0, 40.0, 99.0, 60.0, np.nan],
        }
    )
    made = reference_from_baseline(frame, ["pasat3"])
    # a: 20 (day -1), b: 40; c has none before day 0, d's is missing
    assert made.reference.mean("pasat3") == 30.0
    assert made.reference.sd("pasat3") == pytest.approx(math.sqrt(200), abs=ABSOLUTE)
    assert made.reference.n_subjects == 2
    assert made.is_baseline[:, 0].tolist() == [False, True, False, True, False, False, False]
    assert made.exclusions[0].subject_ids == ("c", "d")
    wider = reference_from_baseline(frame, ["pasat3"], window_days=10).reference
    assert wider.mean("pasat3") == 40.0  # 20, 40 and c's 60 on day 10


def test_only_complete_subjects_on_request():
    frame = pd.DataFrame(
        {"subject_id": ["a", "b", "c"], "day": 0, "pasat3": [10.0, 20.0, 60.0],
         "sdmt": [30.0, 50.0, np.nan]}
    )  # fmt: skip
    each = reference_from_baseline(frame, ["pasat3", "sdmt"]).reference
    every = reference_from_baseline(frame, ["pasat3", "sdmt"], complete=True).reference
    assert (each.mean("pasat3"), every.mean("pasat3")) == (30.0, 15.0)


@pytest.mark.parametrize(
    ("frame", "options", "message"),
    [
        (one(), {"reference": "taskforce"}, r"Did you mean 'task_force'"),
        (one(), {"reference": "task_force", "variant": "msfc5"}, r"`variant` must be one of msfc3"),
        (one(sdmt=50.0), {"reference": "task_force", "variant": "msfc3_sdmt"}, r"has no sdmt"),
        (one(), {}, r"needs t25fw_s of two subjects or more that differ"),
        (pd.concat([one(), one(subject_id="S2")]), {}, r"the same value in all"),
        (one(t25fw_s=0.0), {"reference": "task_force"}, r"t25fw_s must be a time above 0"),
        (one(nhpt_dominant_s=-2.0), {"reference": "task_force"}, r"nhpt_dominant_s must be a time"),
        (one().drop(columns="pasat3"), {}, r"one column 'pasat3'"),
        (one(pasat3="high"), {}, r"'pasat3' of `visits` must hold numbers"),
        (one(msfc_z=0.1), {"reference": "task_force"}, r"already has the column 'msfc_z'"),
        (one(), {"reference": "task_force", "hands": "best"}, r"`hands` must be"),
        (one(), {"reference": "task_force", "missing": "drop"}, r"`missing` must be"),
        (one(), {"reference": "task_force", "failure_z": {"walk": -5}}, r"none of leg_z, arm_z"),
        (one(), {"reference": "task_force", "failure_z": {"leg_z": -5}}, r"'t25fw_failed'"),
        (one(), {"reference": pd.DataFrame({"component": []})}, r"has no 'mean'"),
    ],
)
def test_bad_requests_are_refused_in_words(frame, options, message):
    with pytest.raises(DesignError, match=message):
        derive_msfc(frame, **options)


@pytest.mark.parametrize(
    "values",
    [(), (("pasat", 45.0, 12.0),), (("pasat3", 45.0, 0.0),), (("pasat3", np.nan, 12.0),),
     (("pasat3", 45.0, 12.0), ("pasat3", 40.0, 12.0))],
)  # fmt: skip
def test_a_reference_must_be_sound(values):
    with pytest.raises(DesignError, match="The reference"):
        ReferencePopulation(name="own", values=values)


def test_a_reference_can_be_changed_by_name():
    own = replace(NMSS_TASK_FORCE, name="own", n_subjects=100)
    assert "own (n = 100)" in derive_msfc(one(), own).headline()
