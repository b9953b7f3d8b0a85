"""Landmark models: R as witness, hand-worked rows, bias against the truth, bad input."""

from __future__ import annotations

import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from reference_cases import load_case

from pmsstats.errors import DesignError
from pmsstats.models.events.landmark import LandmarkSpec, build_landmark_rows, fit_landmark

PBC = {
    "measure": "bili", "landmarks": (1, 2, 3, 4), "horizon": 3, "covariates": "age",
    "duration": "years", "event": "died", "subject": "id",
}  # fmt: skip


def pbc() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return deaths, one row per subject, and log bilirubin, one per visit."""
    data = load_case("landmark_pbc2").input
    data = data.assign(bili=np.log(data["serBilir"]), died=data["status2"] == 1)
    return data.drop_duplicates("id")[["id", "years", "died", "age"]], data


@pytest.mark.parametrize("value", ["last", "slope", "mean"])
def test_super_model_agrees_with_r(value: str) -> None:
    """Witness: the stack built in R, coxph with strata and cluster (stored)."""
    case = load_case("landmark_pbc2")
    fit = fit_landmark(*pbc(), LandmarkSpec(**PBC, value=value))
    counts = case.rows(f"{value}.n").set_index("term")["value"]
    assert (len(fit.stacked), fit.cox.n_events) == (counts["rows"], counts["events"])
    table = fit.table().set_index("term")
    for column in ("estimate", "std_error"):
        for row in case.rows(f"{value}.{column}").itertuples():
            assert table.loc[row.term, column] == pytest.approx(row.value, rel=row.rtol)
    alone = fit.per_landmark().set_index("landmark").loc[2.0, "estimate"]
    assert alone == pytest.approx(case.rows(f"{value}.alone")["value"].item(), rel=1e-6)


def test_changing_effect_and_prediction_agree_with_r() -> None:
    """Witness: coxph with a product of landmark and marker; survfit (stored)."""
    case = load_case("landmark_pbc2")
    fit = fit_landmark(*pbc(), LandmarkSpec(**PBC, interaction=True))
    table = fit.table().set_index("term")
    for column in ("estimate", "std_error"):
        for row in case.rows(f"interaction.{column}").itertuples():
            assert table.loc[row.term, column] == pytest.approx(row.value, rel=row.rtol)
    curve = fit.predict_survival(pd.DataFrame({"bili": [1.0], "age": [50]}), landmark=2)
    expected = case.rows("interaction.survival")["value"].item()
    assert curve["survival"].item() == pytest.approx(expected, rel=1e-6)
    assert curve["duration"].item() == 5


EVENTS = pd.DataFrame(
    {
        "subject_id": ["A", "B", "C", "D", "E", "F", "G"],
        "duration": [1.0, 1.5, 4.0, 2.5, 5.0, 3.0, 6.0],
        "event": [True, True, True, False, True, False, True],
        "arm": ["a", "b", "a", "b", "a", "b", "a"],
    }
)
MARKS = pd.DataFrame(
    [
        ("A", 0.0, 9.0),
        ("B", 0.0, 1.0), ("B", 1.0, 3.0),
        ("C", 0.5, 2.0), ("C", 1.0, 4.0), ("C", 2.0, 8.0),
        ("D", 0.25, 5.0),
        ("E", 0.0, 1.0), ("E", 0.5, 1.0), ("E", 5.5, 7.0),
        ("F", 1.5, 6.0),
        ("H", 0.0, 1.0),
    ],
    columns=["subject_id", "year", "snfl"],
)  # fmt: skip
SPEC = {"measure": "snfl", "landmarks": (1.0,), "horizon": 2.0}


def rows_of(**options) -> pd.DataFrame:
    spec = LandmarkSpec(**(SPEC | options))
    return build_landmark_rows(EVENTS, MARKS, spec).frame.set_index("subject_id")


def test_rows_by_hand() -> None:
    """A has its event at the landmark; F is measured later only; G never; the rest by hand."""
    rows = rows_of()
    assert rows.index.tolist() == ["B", "C", "D", "E"]
    assert rows["snfl"].tolist() == [3.0, 4.0, 5.0, 1.0]
    assert rows["value_age"].tolist() == [0.0, 0.0, 0.75, 0.5]
    assert rows["stop"].tolist() == [1.5, 3.0, 2.5, 3.0]
    assert rows["event"].tolist() == [True, False, False, False]
    assert (rows["start"] == 1.0).all()


def test_an_event_at_the_horizon_counts() -> None:
    """B has its event half a year after the landmark; just below that horizon it is censored."""
    assert rows_of(horizon=0.5)["event"].to_dict() == {
        "B": True,
        "C": False,
        "D": False,
        "E": False,
    }
    assert not rows_of(horizon=0.49)["event"].any()


def test_slopes_and_means_by_hand() -> None:
    """B rose from 1 to 3 in one year; C from 2 to 4 in half of one; E not; D has one value."""
    assert rows_of(value="slope")["snfl"].to_dict() == pytest.approx({"B": 2, "C": 4, "E": 0})
    assert rows_of(value="mean")["snfl"].to_dict() == {"B": 2.0, "C": 3.0, "D": 5.0, "E": 1.0}


def test_what_is_left_out_is_counted() -> None:
    spec = LandmarkSpec(**SPEC, max_age=0.6)
    found = {
        (e.stage, e.reason): e.subject_ids
        for e in build_landmark_rows(EVENTS, MARKS, spec).exclusions
    }
    assert found == {
        ("landmark measurements", "subject without a row of events"): ("H",),
        ("landmark measurements", "measured after the end of follow-up"): ("E",),
        ("landmark", "no measurement of snfl"): ("G",),
        ("landmark 1", "followed no longer than that"): ("A",),
        ("landmark 1", "no snfl until then"): ("F",),
        ("landmark 1", "last snfl older than 0.6"): ("D",),
    }
    slopes = build_landmark_rows(EVENTS, MARKS, LandmarkSpec(**SPEC, value="slope")).exclusions
    few = [e.subject_ids for e in slopes if e.reason.startswith("fewer than two times")]
    assert few == [("D",)]


def test_every_subject_is_used_or_counted_at_each_landmark() -> None:
    events, marks = pbc()
    spec = LandmarkSpec(**PBC, value="slope", max_age=1.5)
    rows = build_landmark_rows(events, marks, spec)
    never = sum(e.n for e in rows.exclusions if e.stage == "landmark" and e.unit == "subject")
    for landmark in spec.landmarks:
        used = int((rows.frame["landmark"] == landmark).sum())
        stage = f"landmark {landmark:g}"
        assert used + sum(e.n for e in rows.exclusions if e.stage == stage) == len(events) - never


def simulate(rng: np.random.Generator, n: int, effect: float) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw a marker that stays as it is, seen without error: its landmark effect is known."""
    level = rng.normal(size=n)
    time = rng.exponential(1 / (0.2 * np.exp(effect * level)))
    end = rng.uniform(2, 8, n)
    ids = [f"S{i}" for i in range(n)]
    events = pd.DataFrame(
        {"subject_id": ids, "duration": np.minimum(time, end), "event": time <= end}
    )
    marks = pd.DataFrame(
        {"subject_id": ids * 3, "year": np.repeat([0.0, 1.0, 2.0], n), "marker": np.tile(level, 3)}
    )
    return events, marks


@pytest.mark.slow
def test_truth_is_recovered_with_its_coverage() -> None:
    """Witness: the simulation's own truth; stacked rows of a subject count once, by the cluster."""
    rng, n_replicates, truth = np.random.default_rng(2022), 80, 0.7
    spec = LandmarkSpec(measure="marker", landmarks=(0.0, 1.0, 2.0), horizon=2.0)
    rows = pd.DataFrame(
        [
            fit_landmark(*simulate(rng, 250, truth), spec).table().iloc[0]
            for _ in range(n_replicates)
        ]
    )
    estimate = rows["estimate"].astype(float)
    assert abs(estimate.mean() - truth) < 4 * estimate.std() / math.sqrt(n_replicates) + 0.01
    covered = ((rows["conf_low"] <= truth) & (truth <= rows["conf_high"])).mean()
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n_replicates)


def test_order_and_labels_change_nothing() -> None:
    events, marks = pbc()
    a = fit_landmark(events, marks, LandmarkSpec(**PBC))
    b = fit_landmark(
        events.sample(frac=1, random_state=1).assign(id=lambda d: d["id"].astype(str) + "x"),
        marks.sample(frac=1, random_state=2).assign(id=lambda d: d["id"].astype(str) + "x"),
        LandmarkSpec(**PBC),
    )
    columns = ["estimate", "std_error"]
    np.testing.assert_allclose(a.table()[columns], b.table()[columns], rtol=1e-7)


def test_a_landmark_that_fails_alone_says_why() -> None:
    events, marks = pbc()
    fit = fit_landmark(events, marks, LandmarkSpec(**(PBC | {"landmarks": (2, 13.9)})))
    last = fit.per_landmark().iloc[-1]
    assert math.isnan(last["estimate"])
    assert last["note"]


BAD = [
    (EVENTS.assign(event=False), MARKS, {}, "No event among"),
    (EVENTS, MARKS.assign(snfl="high"), {}, "must hold numbers"),
    (EVENTS, MARKS.drop(columns="year"), {}, "`time` names 'year'"),
    (EVENTS.assign(duration=-1.0), MARKS, {}, "Negative `duration`"),
    (pd.concat([EVENTS, EVENTS]), MARKS, {}, "More than one row per subject"),
    (EVENTS, MARKS, {"landmarks": (50.0,)}, "Nobody is at risk at any"),
    (EVENTS, MARKS, {"covariates": "sex"}, "`covariates` names 'sex'"),
    (EVENTS.assign(stop=1), MARKS, {"covariates": "stop"}, "cannot have the name 'stop'"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "marks", "options", "message"), BAD)
def test_bad_input_is_refused(events, marks, options, message) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        fit_landmark(events, marks, LandmarkSpec(**(SPEC | options)))


@pytest.mark.parametrize(
    "options",
    [{"landmarks": ()}, {"landmarks": (2.0, 1.0)}, {"landmarks": (-1.0,)}, {"horizon": 0},
     {"value": "first"}, {"max_age": -1}, {"interaction": True}, {"conf_level": 1}],
)  # fmt: skip
def test_contradictory_specs_are_refused(options: dict) -> None:
    with pytest.raises(DesignError):
        LandmarkSpec(**(SPEC | options))


def test_predictions_stay_within_the_horizon() -> None:
    fit = fit_landmark(*pbc(), LandmarkSpec(**PBC))
    new = pd.DataFrame({"bili": [1.0], "age": [50]})
    with pytest.raises(DesignError, match="one of"):
        fit.predict_survival(new, landmark=2.5)
    with pytest.raises(DesignError, match="between 2 and 5"):
        fit.predict_survival(new, landmark=2, times=[6.0])
    curve = fit.predict_survival(new, landmark=2.0, times=[2.0, 3.5, 5.0])
    assert curve["survival"].iloc[0] == 1
    assert (np.diff(curve["survival"]) < 0).all()


@pytest.mark.parametrize("landmarks", [(2.0,), (1.0, 3.0)])
def test_result_honours_the_contract(landmarks) -> None:
    events, marks = pbc()
    before = events.copy(), marks.copy()
    fit = fit_landmark(
        events, marks, LandmarkSpec(**(PBC | {"landmarks": landmarks})), origin="synthetic"
    )
    assert_result_contract(fit)
    pd.testing.assert_frame_equal(events, before[0])
    pd.testing.assert_frame_equal(marks, before[1])
    plt.close("all")
