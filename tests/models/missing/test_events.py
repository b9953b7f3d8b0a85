"""Intercurrent events: one small table of subjects per strategy, worked by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from missing_trials import long_frame, small_trial

from pmsstats.errors import DesignError
from pmsstats.models.missing import (
    DeltaAdjustment,
    EstimandStrategy,
    MissingSpec,
    estimate_with_missing,
    impute,
)

N = 24
FIRST = "S000"  # on placebo; S001 on active
PLAIN = MissingSpec(outcome="y", reference="placebo", method="conditional_mean")


def outcomes() -> np.ndarray:
    rng = np.random.default_rng(6)
    y = rng.normal(size=(N, 1)) + rng.normal(size=(N, 3))
    y[10, 2] = y[11, 1] = y[11, 2] = np.nan
    return y


def completed(y: np.ndarray, spec: MissingSpec, events=None, **baseline) -> pd.DataFrame:
    table = long_frame(y, np.arange(N) % 2, **baseline)
    frame = impute(table, spec, intercurrent=events, seed=1).frame(0)
    return frame.pivot_table(index="subject_id", columns="visit", values="y", observed=True)


def event(subject: str, day: int, name: str = "rescue") -> pd.DataFrame:
    return pd.DataFrame({"subject_id": [subject], "event": [name], "day": [day]})


def with_strategies(**options) -> MissingSpec:
    return MissingSpec(outcome="y", reference="placebo", method="conditional_mean", **options)


def test_treatment_policy_keeps_values_and_uses_them():
    y = outcomes()
    spec = with_strategies(strategies={"rescue": "treatment_policy"})
    found = completed(y, spec, event("S001", 100))
    pd.testing.assert_frame_equal(found, completed(y, PLAIN))
    assert found.loc["S001"].tolist() == pytest.approx(y[1].tolist(), abs=0)


@pytest.mark.parametrize("strategy", ["JR", "CIR"])
def test_values_after_a_reference_based_event_count_but_inform_no_model(strategy):
    y = outcomes()
    spec = with_strategies(strategies={"rescue": strategy})
    one = completed(y, spec, event("S001", 100))
    other = y.copy()
    other[1, 1:] += 50.0
    two = completed(other, spec, event("S001", 100))
    assert two.loc["S001"].tolist() == pytest.approx(other[1].tolist(), abs=0)
    pd.testing.assert_frame_equal(one.drop("S001"), two.drop("S001"))


def test_hypothetical_values_are_as_if_never_seen():
    y, gone = outcomes(), outcomes()
    gone[1, 1:] = np.nan
    spec = with_strategies(strategies={"rescue": "hypothetical"})
    found = impute(long_frame(y, np.arange(N) % 2), spec, intercurrent=event("S001", 100), seed=1)
    alone = impute(long_frame(gone, np.arange(N) % 2), PLAIN, seed=1)
    pd.testing.assert_frame_equal(found.frame(0), alone.frame(0))
    counts = found.counts().set_index("event")
    assert counts.loc["rescue", ["n_subjects", "n_imputed", "n_set_aside"]].tolist() == [1, 2, 2]


def test_composite_values_are_the_failure_value():
    rule = EstimandStrategy(event="rescue", strategy="composite", failure_value=-9.0)
    found = completed(outcomes(), with_strategies(strategies=(rule,)), event("S001", 100))
    assert found.loc["S001"].tolist()[1:] == [-9.0, -9.0]
    assert found.drop("S001").to_numpy().min() > -9


def test_while_on_treatment_the_last_value_stays():
    y = outcomes()
    spec = with_strategies(strategies={"rescue": "while_on_treatment"}, before_first=0.25)
    found = completed(y, spec, event("S001", 100))
    assert found.loc["S001"].tolist() == [y[1, 0]] * 3
    assert completed(y, spec, event("S001", 10)).loc["S001"].tolist() == [0.25] * 3
    by_column = with_strategies(strategies={"rescue": "while_on_treatment"}, before_first="b")
    start = np.arange(N) / 10
    found = completed(y, by_column, event("S001", 10), b=start)
    assert found.loc["S001"].tolist() == [0.1] * 3


def test_a_principal_stratum_is_told_at_baseline():
    rule = EstimandStrategy(event="rescue", strategy="principal_stratum", stratum="never")
    table = long_frame(outcomes(), np.arange(N) % 2, never=np.arange(N) > 3)
    found = impute(table, with_strategies(strategies=(rule,)), seed=1)
    assert found.wide.n_subjects == N - 4
    only = found.wide.exclusions
    assert [(e.n, e.reason) for e in only] == [
        (4, "outside of the principal stratum never of rescue")
    ]


BOUNDARY = [  # day of the event, first visit that is set aside, and why
    (83, 0, "the visit of day 84 comes after"),
    (84, 1, "a visit on the day itself is not affected"),
    (85, 1, "the next one is"),
    (335, 2, "only the last"),
    (336, 3, "nothing is left to affect"),
    (900, 3, "after the end"),
]


@pytest.mark.parametrize(("day", "first", "why"), BOUNDARY)
def test_visits_after_the_day_are_affected(day, first, why):
    rule = EstimandStrategy(event="rescue", strategy="composite", failure_value=-9.0)
    found = completed(outcomes(), with_strategies(strategies=(rule,)), event("S001", day))
    assert (found.loc["S001"] == -9).to_numpy().tolist() == [v >= first for v in range(3)], why


def test_a_missed_visit_is_placed_at_the_median_day():
    y = outcomes()
    y[1, 1] = np.nan
    table = long_frame(y, np.arange(N) % 2).dropna(subset="y")
    rule = EstimandStrategy(event="rescue", strategy="composite", failure_value=-9.0)
    found = impute(
        table, with_strategies(strategies=(rule,)), intercurrent=event("S001", 167), seed=1
    )
    assert found.frame(0).query("subject_id == 'S001'")["y"].tolist()[1:] == [-9.0, -9.0]


def test_the_earliest_event_that_changes_anything_governs():
    rules = (
        EstimandStrategy(event="relapse"),
        EstimandStrategy(event="rescue", strategy="composite", failure_value=-9.0),
        EstimandStrategy(event="stop", strategy="hypothetical"),
    )
    rows = [("S001", 10, "relapse"), ("S001", 300, "rescue"), ("S001", 100, "stop")]
    rows += [("S003", 300, "rescue"), ("S003", 310, "stop")]
    events = pd.concat([event(*row) for row in rows])
    table = long_frame(outcomes(), np.arange(N) % 2)
    plan = impute(table, with_strategies(strategies=rules), intercurrent=events, seed=1).plan
    governed = dict(zip(plan.wide.subject_ids, plan.rule.tolist(), strict=True))
    assert [governed[i] for i in ("S001", "S003", "S010", "S000")] == [2, 1, 3, -1]


@pytest.mark.parametrize("dropout", ["MAR", "JR"])
def test_who_leaves_and_then_dies_has_died(dropout):
    y = outcomes()  # S011 is last seen at W12
    rule = EstimandStrategy(event="death", strategy="composite", failure_value=-9.0)
    spec = with_strategies(strategies=(rule,), dropout=dropout)
    found = completed(y, spec, event("S011", 200, "death"))
    assert (found.loc["S011"] == -9).tolist() == [False, False, True]


def test_dropout_governs_where_no_recorded_event_changes_anything():
    y = outcomes()
    table = long_frame(y, np.arange(N) % 2)
    spec = with_strategies(strategies={"relapse": "treatment_policy"}, dropout="CIR")
    plan = impute(table, spec, intercurrent=event("S011", 10, "relapse"), seed=1).plan
    at = plan.wide.subject_ids.index("S011")
    assert (plan.strategy[at], plan.n_before[at]) == ("CIR", 1)


def test_events_can_name_the_first_affected_visit():
    events = pd.DataFrame({"subject_id": ["S001"], "event": ["rescue"], "visit": ["W24"]})
    rule = EstimandStrategy(event="rescue", strategy="composite", failure_value=-9.0)
    found = completed(outcomes(), with_strategies(strategies=(rule,)), events)
    assert found.loc["S001"].tolist()[1:] == [-9.0, -9.0]


# --- delta ---------------------------------------------------------------------------------------

DELTAS = [  # adjustment, added to S011 (active; seen at W12 only): by hand
    (DeltaAdjustment(arm="active", values=0.5), [0.0, 0.5, 0.5]),
    (DeltaAdjustment(arm="active", values={"W24": 1.0}), [0.0, 1.0, 0.0]),
    (DeltaAdjustment(arm="active", values=1.0, lag=(1.0, 0.5)), [0.0, 1.0, 1.5]),
    (
        DeltaAdjustment(arm="active", values={"W24": 2.0, "W48": 4.0}, lag=(1, 1, 1)),
        [0.0, 2.0, 6.0],
    ),
    (DeltaAdjustment(arm="placebo", values=0.5), [0.0, 0.0, 0.0]),
]


@pytest.mark.parametrize(("rule", "added"), DELTAS)
def test_delta_is_added_after_the_event(rule, added):
    y = outcomes()
    shifted = completed(y, with_strategies(delta=(rule,))) - completed(y, PLAIN)
    np.testing.assert_allclose(shifted.loc["S011"], added, atol=1e-12)
    np.testing.assert_allclose(shifted.loc["S001"], 0.0, atol=0)


@pytest.mark.parametrize(("scope", "added"), [("after_event", 0.0), ("imputed", 0.5)])
def test_values_missed_in_between_are_shifted_on_request(scope, added):
    y = outcomes()
    y[1, 1] = np.nan
    spec = with_strategies(delta=(DeltaAdjustment(arm="active", values=0.5, scope=scope),))
    shifted = completed(y, spec) - completed(y, PLAIN)
    np.testing.assert_allclose(shifted.loc["S001"], [0.0, added, 0.0], atol=1e-12)


# --- refusals ------------------------------------------------------------------------------------

REFUSED_SPECS = [
    ({"dropout": "J2R"}, "`dropout` must be one of MAR, JR, CR, CIR, LMCF, got 'J2R'"),
    ({"strategies": {"rescue": "hypotetical"}}, "got 'hypotetical'. Did you mean 'hypothetical'"),
    ({"strategies": {"rescue": "composite"}}, "`failure_value` of event 'rescue'"),
    ({"strategies": {"rescue": "principal_stratum"}}, "is identified only by a baseline column"),
    ({"strategies": {"dropout": "JR"}}, "none 'dropout'"),
    ({"n_imputations": 1}, "`n_imputations` must be a whole number >= 2, got 1"),
    ({"conf_level": 95}, "`conf_level` must be at least 0.5 and below 1, got 95"),
    ({"covariates": "x"}, r"`covariates` must be a tuple of columns, got 'x'"),
    ({"covariates": ("arm",)}, "must not hold"),
    ({"interval": "percentile"}, "needs bootstrap estimates"),
    ({"delta": (1.0,)}, "`delta` must hold DeltaAdjustment"),
    ({"analysis": "anova"}, "Did you mean 'ancova'"),
]


@pytest.mark.parametrize(("options", "message"), REFUSED_SPECS)
def test_bad_requests_are_refused(options, message):
    with pytest.raises(DesignError, match=message):
        MissingSpec(**{"outcome": "y", **options})


def test_a_delta_that_is_no_number_is_refused():
    with pytest.raises(DesignError, match="must be finite"):
        DeltaAdjustment(arm="active", values=np.inf)


RESCUE = {"strategies": {"rescue": "JR"}}
REFUSED_EVENTS = [
    (event("S001", -3), RESCUE, "lie before it or have none"),
    (event("S001", 100, "death"), RESCUE, "`strategies` says nothing of event 'death'"),
    (event("X", 100), RESCUE, "names 1 subjects who have no visits"),
    (event("S001", 100).drop(columns="day"), RESCUE, "`intercurrent` needs a column 'day'"),
    (event("S001", 100).drop(columns="event"), RESCUE, "`intercurrent` has no column 'event'"),
    (event("S001", 100).assign(visit="W60"), RESCUE, "has a visit 'W60' that `visits` has not"),
    (event("S001", 3), {"strategies": {"rescue": "while_on_treatment"}}, "`before_first` is nee"),
    (event("S001", 3), {"strategies": {
        "rescue": EstimandStrategy(event="rescue", strategy="hypothetical", imputation="LMCF")
    }}, "LMCF needs a visit before the event"),
]  # fmt: skip


@pytest.mark.parametrize(("events", "options", "message"), REFUSED_EVENTS)
def test_bad_events_are_refused(events, options, message):
    with pytest.raises(DesignError, match=message):
        completed(outcomes(), with_strategies(**options), events)


def _change(name, value, where):
    def change(table):
        table.loc[where(table), name] = value
        return table

    return change


REFUSED_FRAMES = [
    (_change("y", np.nan, lambda t: t["visit"] == "W48"), {}, "no usable value at W48"),
    (_change("y", 0.0, lambda t: t["visit"] == "W12"), {}, "does not vary at W12"),
    (
        _change("y", np.nan, lambda t: (t["visit"] == "W48") & (t["arm"] == "active")), {},
        "Arm 'active' has no usable value at W48",
    ),
    (_change("arm", "placebo", lambda t: t["arm"] != ""), {}, "needs two arms to compare"),
    (
        _change("arm", "placebo", lambda t: (t["subject_id"] == "S001") & (t["visit"] == "W12")),
        {}, "must have one 'arm' per subject, but 1 subjects have several",
    ),
    (_change("visit", "W12", lambda t: t["subject_id"] == "S001"), {}, "2 rows repeat one"),
    (_change("y", np.inf, lambda t: t.index == 4), {}, "infinite values"),
    (lambda t: t, {"reference": "sham"}, "`reference` must be an arm of column 'arm', got 'sham'"),
    (lambda t: t, {"reference": None}, "`reference` must name the arm"),
    (lambda t: t, {"covariates": ("age",)}, "`visits` has no column 'age'"),
    (lambda t: t.drop(columns="day"), {"analysis": "slope"}, "needs two visits and a column"),
    (lambda t: t.replace({"W48": "later"}), {}, "does not tell the order"),
    (lambda t: t.iloc[:0], {}, "has no rows"),
    (lambda t: t.assign(y="a"), {}, "must be a number"),
    (lambda t: t[t["subject_id"] < "S006"], {}, "needs more than 5 values at each visit"),
    (lambda t: t, {"delta": (DeltaAdjustment(arm="verum", values=1.0),)}, "names arm 'verum'"),
    (
        lambda t: t, {"delta": (DeltaAdjustment(arm="active", values={"W36": 1.0}),)},
        "names visit 'W36'",
    ),
    (
        lambda t: t, {"delta": (DeltaAdjustment(arm="active", values=1.0, lag=(1.0,) * 4),)},
        "at most 3 entries",
    ),
    (
        lambda t: t, {"analysis": lambda frame: (frame["y"].mean(), 1.0)},
        "must give .estimate, standard error",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "options", "message"), REFUSED_FRAMES)
def test_bad_data_are_refused(change, options, message):
    spec = MissingSpec(**{"outcome": "y", "reference": "placebo", "n_imputations": 2, **options})
    with pytest.raises(DesignError, match=message):
        estimate_with_missing(change(small_trial()), spec, seed=1)


@pytest.mark.parametrize("seed", [None, "1", 1.5])
def test_a_seed_is_required(seed):
    with pytest.raises(TypeError, match="`seed` must be"):
        impute(small_trial(), PLAIN, seed=seed)
