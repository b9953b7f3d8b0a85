"""Composite events. Witnesses: patients worked by hand, and the parts taken one by one."""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_result_contract

from pmsstats.cohort import Cohort
from pmsstats.endpoints import EndpointResult, derive_endpoint
from pmsstats.endpoints.definitions.composite_rule import CompositeRule
from pmsstats.endpoints.definitions.event_rules import (
    ExitEventRule,
    LesionEventRule,
    RecordedEventRule,
    RelapseEventRule,
)
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import AbsoluteThreshold, RelativeThreshold
from pmsstats.endpoints.derivation.composite import derive_composite, derive_part
from pmsstats.endpoints.derivation.time_to_event import UNCONFIRMED
from pmsstats.errors import DesignError, SchemaError

NAN = math.nan
EDSS = ProgressionRule(
    name="edss", outcome="edss", threshold=AbsoluteThreshold(change=1.0), direction="increase",
    confirm_weeks=12,
)  # fmt: skip
WALK = ProgressionRule(
    name="walk", outcome="t25fw_s", threshold=RelativeThreshold(fraction=0.2),
    direction="increase", confirm_weeks=12,
)  # fmt: skip
HAND = ProgressionRule(
    name="hand", outcome="nhpt_s", threshold=RelativeThreshold(fraction=0.2),
    direction="increase", confirm_weeks=12,
)  # fmt: skip
DEATH = ExitEventRule(reasons=("death",), name="death")
RELAPSE, LESION = RelapseEventRule(), LesionEventRule(measures="gd_lesion_count")
THREE = CompositeRule(name="three", parts=(EDSS, WALK, HAND))
CLINICAL = CompositeRule(name="clinical", parts=(EDSS, RELAPSE, DEATH))
STILL = (4.0, 5.0, 20.0)
WORSE = {"edss": (5.0, 5.0, 20.0), "walk": (4.0, 6.0, 20.0), "hand": (4.0, 5.0, 24.0)}


def visit_days(n: int) -> range:
    """Return the days of n visits, twelve weeks apart."""
    return range(0, 84 * n, 84)


def patient(*values: tuple[float, float, float], first: int = 0) -> list[tuple]:
    """Give EDSS, walk and hand of successive visits the days on which they were."""
    return [(first + day, *v) for day, v in zip(visit_days(len(values)), values, strict=True)]


def cohort_of(
    visits: list[tuple],
    *,
    relapse: int | None = None,
    exit_day: int | None = None,
    reason: str = "dropout",
) -> Cohort:
    """One subject (A), and one (Z) who is followed for two visits without any event."""
    rows = [("A", *v) for v in visits] + [("Z", *v) for v in patient(STILL, STILL)]
    frame = pd.DataFrame(rows, columns=["subject_id", "day", "edss", "t25fw_s", "nhpt_s"])
    relapses = [] if relapse is None else [("A", relapse)]
    exits = [] if exit_day is None else [("A", exit_day, reason)]
    return Cohort(
        pd.DataFrame({"subject_id": ["A", "Z"]}),
        frame,
        relapses=pd.DataFrame(relapses, columns=["subject_id", "day"]),
        exits=pd.DataFrame(exits, columns=["subject_id", "day", "reason"]),
    )  # fmt: skip


def one(result: EndpointResult) -> dict[str, Any]:
    """Return the row of subject A."""
    return result.table().set_index("subject_id").loc["A"].to_dict()


def require(rule: CompositeRule, **changes: Any) -> CompositeRule:
    """Change a rule."""
    return dataclasses.replace(rule, **changes)


E, W, H = WORSE["edss"], WORSE["walk"], WORSE["hand"]
EW, WH = (5.0, 6.0, 20.0), (4.0, 6.0, 24.0)
EWH = (5.0, 6.0, 24.0)
PATIENTS = [
    # visits, require, event, duration, left, right, component, why
    ((STILL, STILL, STILL), "any", False, 168, 168, math.inf, "", "nothing happened"),
    ((STILL, E, E), "any", True, 84, 0, 84, "edss", "one of three is enough"),
    ((STILL, E, E), "all", False, 168, 168, math.inf, "", "walk and hand were free to day 168"),
    ((STILL, W, EW, EW), "any", True, 84, 0, 84, "walk", "the first counts"),
    ((STILL, EW, EW), "any", True, 84, 0, 84, "edss + walk", "both on the same day"),
    ((STILL, EW, EW), 2, True, 84, 0, 84, "edss + walk", "two on the same day are two"),
    ((STILL, W, EW, EW), 2, True, 168, 84, 168, "edss", "the second completes it"),
    ((STILL, W, WH, EWH, EWH), "all", True, 252, 168, 252, "edss", "the last completes it"),
    ((STILL, W, WH, EWH, EWH), 2, True, 168, 84, 168, "hand", "two of three"),
    ((STILL, W, STILL, E, E), "all", False, 336, 336, math.inf, "", "unconfirmed walk is none"),
    ((STILL, W, STILL, E, E), "any", True, 252, 168, 252, "edss", "unconfirmed walk is none"),
    ((STILL, E, E, E, E), 2, False, 336, 336, math.inf, "", "one of two: followed on"),
    ((STILL, STILL, E), "any", False, 168, 84, math.inf, "", "open change at the last visit"),
]


@pytest.mark.parametrize(
    ("visits", "number", "event", "duration", "left", "right", "component", "why"), PATIENTS
)
def test_by_hand(
    visits: tuple, number: object, event: bool, duration: int, left: float, right: float,
    component: str, why: str,
) -> None:  # fmt: skip
    row = one(derive_endpoint(cohort_of(patient(*visits)), require(THREE, require=number)))
    found = (row["event"], row["duration"], row["interval_left"], row["interval_right"])
    assert (*found, row["component"]) == (event, duration, left, right, component), why


def test_confirmation_is_that_of_the_part_that_completed_it() -> None:
    row = one(derive_endpoint(cohort_of(patient(STILL, W, EW, EW)), require(THREE, require=2)))
    assert (row["day_onset"], row["day_confirmed"]) == (168, 252)


def test_an_open_change_of_any_part_is_told() -> None:
    result = derive_endpoint(cohort_of(patient(STILL, STILL, W)), THREE)
    assert one(result)["censor_reason"] == UNCONFIRMED
    assert "1 more changed at their last visit, unconfirmed" in result.headline()


# --- relapses and death -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "options", "number", "expected", "why"),
    [
        (E, {"relapse": 50}, "any", ("event", 50, 0, 50, "relapse"),
         "progression, seen on day 84, may have come before the relapse"),
        (STILL, {"relapse": 50}, "any", ("event", 50, 50, 50, "relapse"), "exact"),
        (E, {"relapse": 120}, "any", ("event", 84, 0, 84, "edss"), "progression was first"),
        (E, {"relapse": 84}, "any", ("event", 84, 0, 84, "edss + relapse"), "a tie"),
        (E, {"relapse": 84}, 2, ("event", 84, 84, 84, "edss + relapse"),
         "whenever it progressed in (0, 84], the relapse on day 84 is the second"),
        (E, {"relapse": 50}, 2, ("event", 84, 49, 84, "edss"), "not before the relapse on day 50"),
        (E, {"exit_day": 300, "reason": "death"}, 2, ("event", 300, 300, 300, "death"), "a part"),
        (E, {"exit_day": 300}, 2, ("censored", 300, 300, math.inf, ""), "left alive"),
        (E, {"exit_day": 300, "reason": "death"}, "all", ("death", 300, 300, math.inf, ""),
         "died without a relapse"),
    ],
)  # fmt: skip
def test_relapses_and_death_by_hand(
    then: tuple, options: dict, number: object, expected: tuple, why: str
) -> None:
    cohort = cohort_of(patient(STILL, then, then), **options)
    row = one(derive_endpoint(cohort, require(CLINICAL, require=number)))
    columns = ("status", "duration", "interval_left", "interval_right", "component")
    assert tuple(row[c] for c in columns) == expected, why


def test_death_before_the_composite_competes() -> None:
    row = one(
        derive_endpoint(cohort_of(patient(STILL, STILL), exit_day=120, reason="death"), THREE)
    )
    assert (row["status"], row["duration"], row["death_duration"]) == ("death", 84, 120)
    assert row["exit_reason"] == "death"


def test_death_may_be_a_part_though_nobody_died() -> None:
    rule = CompositeRule(name="progression_or_death", parts=(EDSS, DEATH))
    result = derive_endpoint(cohort_of(patient(STILL, STILL, STILL)), rule)
    assert result.n_events == 0
    with pytest.raises(DesignError, match="do not occur in the exits table"):
        derive_endpoint(cohort_of([]), DEATH)


# --- missing parts ------------------------------------------------------------------------------

NO_WALK = patient((4.0, NAN, 20.0), (4.0, 6.0, 20.0), (5.0, 6.0, 20.0), (5.0, 6.0, 20.0))
NO_TESTS = patient((4.0, NAN, NAN), (5.0, 6.0, 20.0), (5.0, 6.0, 20.0))
WALK_MISSING = "no Timed 25-foot walk at or before day 0 (no baseline)"
HAND_MISSING = "no Nine-hole peg test at or before day 0 (no baseline)"


@pytest.mark.parametrize(
    ("visits", "change", "followed", "told"),
    [
        (NO_WALK, {}, (True, 168), [("row", f"followed without walk: {WALK_MISSING}")]),
        (NO_WALK, {"require": 2}, (False, 252),
         [("row", f"followed without walk: {WALK_MISSING}")]),
        (NO_WALK, {"require": "all"}, None, [("subject", f"walk: {WALK_MISSING}")]),
        (NO_WALK, {"missing_part": "exclude"}, None, [("subject", f"walk: {WALK_MISSING}")]),
        (NO_TESTS, {"require": 2}, None,
         [("subject", f"walk: {WALK_MISSING}; hand: {HAND_MISSING}")]),
        (NO_TESTS, {}, (True, 84), [
            ("row", f"followed without walk: {WALK_MISSING}"),
            ("row", f"followed without hand: {HAND_MISSING}"),
        ]),
    ],
)  # fmt: skip
def test_missing_parts(visits: list, change: dict, followed: tuple | None, told: list) -> None:
    result = derive_endpoint(cohort_of(visits), require(THREE, **change))
    rows = result.table().set_index("subject_id")[["event", "duration"]]
    kept = {name: tuple(row) for name, row in zip(rows.index, rows.to_numpy(), strict=True)}
    assert kept.get("A") == followed
    own = [e for e in result.exclusions if e.stage == "endpoint three"]
    assert [(e.unit, e.reason) for e in own] == told
    assert all(e.subject_ids == ("A",) for e in own)


def test_visits_that_parts_do_not_use_are_told_by_part() -> None:
    result = derive_endpoint(cohort_of(NO_WALK), THREE)
    visits = [(e.stage, e.reason, e.n) for e in result.exclusions if e.unit == "visit"]
    assert visits == [("endpoint walk", "no Timed 25-foot walk", 1)]


def test_nobody_can_be_assessed_for_a_part() -> None:
    blank = [(day, edss, walk, NAN) for day, edss, walk, _ in patient(STILL, STILL)]
    cohort = Cohort(
        pd.DataFrame({"subject_id": ["A"]}),
        pd.DataFrame(blank, columns=["day", "edss", "t25fw_s", "nhpt_s"]).assign(subject_id="A"),
    )
    with pytest.raises(DesignError, match="no Nine-hole peg test at any visit"):
        derive_endpoint(cohort, THREE)
    with pytest.raises(SchemaError, match="no measure 'gd_lesion_count'"):
        derive_endpoint(cohort, require(THREE, parts=(EDSS, LESION)))


# --- time zero ----------------------------------------------------------------------------------

LATE_WALK = dataclasses.replace(WALK, baseline_window_days=30)


@pytest.mark.parametrize(
    ("days", "expected", "why"),
    [
        ((-7, 0, 84, 168), (0, 84, 0), "EDSS at screening, walk on day 0: time runs from day 0"),
        ((-7, 20, 84, 168), (20, 64, 0), "walk on day 20: time runs from there"),
    ],
)
def test_time_zero_is_the_latest_baseline(days: tuple, expected: tuple, why: str) -> None:
    values = [(4.0, NAN, NAN), (NAN, 5.0, NAN), (5.0, 5.0, NAN), (5.0, 5.0, NAN)]
    visits = [(day, *value) for day, value in zip(days, values, strict=True)]
    rule = CompositeRule(name="two", parts=(EDSS, LATE_WALK))
    row = one(derive_endpoint(cohort_of(visits), rule))
    assert row["event"], why
    assert (row["day_baseline"], row["duration"], row["interval_left"]) == expected, why


@pytest.mark.parametrize(
    ("walk_day", "duration", "reason"),
    [
        (10, 0, None),
        (9, 1, None),
        (11, None, "happened before the latest of the baselines of the parts"),
    ],
)
def test_event_around_time_zero(walk_day: int, duration: int | None, reason: str | None) -> None:
    """EDSS worsens on day 10; the baseline of the walk is on day 9, 10 or 11."""
    edss = {0: 4.0, 10: 5.0, 100: 5.0}
    days = sorted({*edss, walk_day, 100})
    visits = [(d, edss.get(d, NAN), 5.0 if d in (walk_day, 100) else NAN, NAN) for d in days]
    result = derive_endpoint(
        cohort_of(visits), CompositeRule(name="two", parts=(EDSS, LATE_WALK))
    )  # fmt: skip
    row = result.table().set_index("subject_id")["duration"].to_dict()
    assert row.get("A") == duration
    told = [e.reason for e in result.exclusions if e.unit == "subject"]
    assert told == ([] if reason is None else [reason])


def test_nothing_is_assessed_after_time_zero() -> None:
    """The walk has its baseline on day 30, when the EDSS was seen for the last time (day 20)."""
    visits = [(0, 4.0, NAN, NAN), (20, 4.0, NAN, NAN), (30, NAN, 5.0, NAN), (90, NAN, 5.0, NAN)]
    rule = CompositeRule(name="two", parts=(EDSS, LATE_WALK), censor_at="first_of_any")
    result = derive_endpoint(cohort_of(visits), rule)
    assert [(e.reason, e.subject_ids) for e in result.exclusions if e.unit == "subject"] == [
        ("no assessment after the latest of the baselines of the parts", ("A",))
    ]
    kept = derive_endpoint(cohort_of(visits), require(rule, censor_at="last_of_any"))
    assert one(kept)["duration"] == 60


# --- when subjects without the event are censored -----------------------------------------------


@pytest.mark.parametrize(
    ("number", "censor_at", "duration", "left"),
    [
        ("any", "last_of_any", 336, 84),
        ("any", "first_of_any", 84, 84),
        (2, "last_of_any", 336, 168),
        (2, "first_of_any", 168, 168),
        ("all", "last_of_any", 336, 336),
        ("all", "first_of_any", 336, 336),
    ],
)
def test_censoring(number: object, censor_at: str, duration: int, left: int) -> None:
    """EDSS to day 336, walk to day 168, hand to day 84, nothing happens."""
    ends = {"edss": 336, "walk": 168, "hand": 84}
    visits = [
        (d, *(v if d <= end else NAN for v, end in zip(STILL, ends.values(), strict=True)))
        for d in visit_days(5)
    ]
    rule = require(THREE, require=number, censor_at=censor_at)
    row = one(derive_endpoint(cohort_of(visits), rule))
    assert (row["duration"], row["interval_left"]) == (duration, left)


def test_a_seen_event_stays_one_though_a_part_was_not_assessed_any_more() -> None:
    """Hand only to day 84; EDSS worsens on day 252: some time from day 84 on."""
    visits = [(d, 4.0 if d < 252 else 5.0, 5.0, 20.0 if d <= 84 else NAN) for d in visit_days(5)]
    for censor_at in ("last_of_any", "first_of_any"):
        row = one(derive_endpoint(cohort_of(visits), require(THREE, censor_at=censor_at)))
        assert (row["event"], row["duration"]) == (True, 252)
        assert (row["interval_left"], row["interval_right"]) == (84, 252)


# --- composites of composites, and what they carry ----------------------------------------------


def test_composite_of_composites() -> None:
    inner = CompositeRule(name="tests", parts=(WALK, HAND), require="all")
    rule = CompositeRule(name="outer", parts=(EDSS, inner))
    row = one(derive_endpoint(cohort_of(patient(STILL, W, WH, EWH, EWH)), rule))
    assert (row["duration"], row["component"]) == (168, "tests")


def test_relapse_class_is_that_of_the_part() -> None:
    """EDSS worsens on day 84 twenty days after a relapse (RAW), the walk on the same day."""
    edss = dataclasses.replace(EDSS, classify_relapses=True)
    cohort = cohort_of(patient(STILL, EW, EW), relapse=64)
    for parts in ((edss, WALK), (WALK, edss)):
        row = one(derive_endpoint(cohort, CompositeRule(name="two", parts=parts)))
        assert (row["relapse_class"], row["component"].count("+")) == ("RAW", 1)


def test_recorded_events_may_be_parts() -> None:
    cohort = Cohort(
        pd.DataFrame({"subject_id": ["A", "B"], "days": [100, 100], "happened": [1, 0]}),
        pd.DataFrame({"subject_id": ["A", "A", "B", "B"], "day": [0, 168] * 2, "edss": 4.0}),
    )
    recorded = RecordedEventRule(duration="days", event="happened", name="transplant")
    table = derive_endpoint(cohort, CompositeRule(name="two", parts=(EDSS, recorded))).table()
    assert table["duration"].tolist() == [100, 168]
    assert table["component"].tolist() == ["transplant", ""]


def test_random_parts_need_a_seed_and_have_their_own_streams() -> None:
    half = [
        dataclasses.replace(rule, impute_last_visit=0.5, confirm_weeks=24) for rule in (EDSS, WALK)
    ]
    ids = [f"S{i:03d}" for i in range(60)]
    rows = [(i, day, *v[:2]) for i in ids for day, v in ((0, STILL), (84, EW))]
    cohort = Cohort(
        pd.DataFrame({"subject_id": ids}),
        pd.DataFrame(rows, columns=["subject_id", "day", "edss", "t25fw_s"]),
    )
    rule = CompositeRule(name="two", parts=tuple(half))
    with pytest.raises(DesignError, match="seed"):
        derive_endpoint(cohort, rule)
    table = derive_endpoint(cohort, rule, seed=1).table()
    assert set(table["component"]) == {"", "edss", "walk", "edss + walk"}
    pd.testing.assert_frame_equal(table, derive_composite(cohort, rule, seed=1).table())


def test_result_contract_and_definition() -> None:
    result = derive_endpoint(cohort_of(patient(STILL, E, E)), require(THREE, label="worsening"))
    assert_result_contract(result)
    assert result.definition.startswith("Worsening: the first of 3 events. (1) ")
    assert result.label == "worsening"
    assert result.to_dict()["rule"]["parts"][1]["name"] == "walk"


# --- properties ---------------------------------------------------------------------------------


@st.composite
def cohorts(draw: st.DrawFn) -> Cohort:
    """Draw subjects with visits at unequal intervals, gaps, relapses, scans and exits."""
    values = {
        "edss": [NAN, 3.0, 4.0, 5.0],
        "t25fw_s": [NAN, 5.0, 6.0],
        "gd_lesion_count": [NAN, 0.0, 1.0],
    }
    visits, relapses, exits = [("Z", 0, 3.0, 5.0, 0.0), ("Z", 99, 3.0, 5.0, 0.0)], [], []
    for i in range(draw(st.integers(1, 5))):
        days = draw(st.lists(st.integers(-30, 700), min_size=1, max_size=6, unique=True))
        visits += [
            (f"S{i}", day, *(draw(st.sampled_from(v)) for v in values.values())) for day in days
        ]
        last = max(*days, 0)
        relapses += [(f"S{i}", draw(st.integers(-90, last)))] * draw(st.integers(0, 1))
        reason = draw(st.sampled_from(["death", "completed"]))
        exits += [(f"S{i}", last + draw(st.integers(0, 90)), reason)] * draw(st.integers(0, 1))
    frame = pd.DataFrame(visits, columns=["subject_id", "day", *values])
    return Cohort(
        frame[["subject_id"]].drop_duplicates(),
        frame,
        relapses=pd.DataFrame(relapses, columns=["subject_id", "day"]),
        exits=pd.DataFrame(exits, columns=["subject_id", "day", "reason"]),
    )


UNCONFIRMED_EDSS = dataclasses.replace(EDSS, confirm_weeks=None)
UNCONFIRMED_WALK = dataclasses.replace(WALK, confirm_weeks=None, baseline_window_days=60)
PARTS = (UNCONFIRMED_EDSS, UNCONFIRMED_WALK, RELAPSE, LESION, DEATH)


def part_days(cohort: Cohort, rule: CompositeRule) -> dict[str, list[tuple]]:
    """Return day of event (or infinity), last day, and baseline, of the parts of each subject."""
    found: dict[str, list[tuple]] = {}
    for part in rule.parts:
        for row in derive_part(cohort, part, None).table().itertuples():
            day = row.day_baseline + row.duration
            happened = day if row.event else math.inf
            found.setdefault(row.subject_id, []).append((happened, day, row.day_baseline))
    return found


@given(cohorts(), st.lists(st.sampled_from(PARTS), min_size=2, max_size=5, unique=True), st.data())
def test_composite_is_the_kth_of_its_parts(
    cohort: Cohort, parts: list, data: st.DataObject
) -> None:
    """Sort the days of each subject's parts."""
    k = data.draw(st.integers(1, len(parts)))
    rule = CompositeRule(name="some", parts=tuple(parts), require=k)
    expected = {}
    for subject, days in part_days(cohort, rule).items():
        zero = max(baseline for _, _, baseline in days)
        kth = [*sorted(happened for happened, _, _ in days), *[math.inf] * k][k - 1]
        end = kth if math.isfinite(kth) else max(day for _, day, _ in days)
        if len(days) >= k and (end > zero or (end == zero and math.isfinite(kth))):
            expected[subject] = (math.isfinite(kth), end - zero, zero)
    table = derive_endpoint(cohort, rule).table() if expected else pd.DataFrame()
    columns = ["event", "duration", "day_baseline"]
    rows = table[["subject_id", *columns]].to_numpy() if expected else []
    assert {subject: tuple(row) for subject, *row in rows} == expected


@given(cohorts(), st.permutations(PARTS), st.integers(1, 5))
def test_order_of_parts_changes_only_how_ties_are_written(
    cohort: Cohort, parts: list, k: int
) -> None:
    tables = [
        derive_or_empty(cohort, CompositeRule(name="some", parts=tuple(p), require=k))
        for p in (PARTS, parts)
    ]
    for table in tables:
        table["component"] = [" + ".join(sorted(c.split(" + "))) for c in table["component"]]
    pd.testing.assert_frame_equal(*tables)


@given(cohorts())
def test_more_parts_required_never_means_more_or_earlier_events(cohort: Cohort) -> None:
    """Of subjects at risk under both; who had one part before time zero is so for two parts."""
    tables = [
        derive_or_empty(cohort, CompositeRule(name="some", parts=PARTS, require=k)) for k in (1, 3)
    ]
    days = [
        t["duration"].astype(float).where(t["event"], np.inf).set_axis(t["subject_id"])
        for t in tables
    ]
    for fewer, more in itertools.pairwise(days):
        both = fewer.index.intersection(more.index)
        assert (fewer[both] <= more[both]).all()


def derive_or_empty(cohort: Cohort, rule: CompositeRule) -> pd.DataFrame:
    """Return the events; none if nobody can be assessed for the composite."""
    try:
        return derive_endpoint(cohort, rule).table()
    except DesignError:
        nobody = {"subject_id": object, "event": bool, "duration": float, "component": object}
        return pd.DataFrame({name: pd.Series(dtype=dtype) for name, dtype in nobody.items()})
