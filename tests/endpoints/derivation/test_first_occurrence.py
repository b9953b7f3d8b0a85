"""First relapse, first lesions, first loss of volume. Witnesses: patients worked by hand, and a
search visit by visit."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.cohort import Cohort, Measure, default_dictionary
from pmsstats.endpoints import EndpointResult, derive_endpoint
from pmsstats.endpoints.definitions.event_rules import (
    LesionEventRule,
    RelapseEventRule,
    VolumeLossRule,
)
from pmsstats.errors import DesignError, SchemaError

NAN = math.nan
OWN = default_dictionary().extend(
    Measure(name="nodes", label="Nodes", worsening="higher"),
    Measure(name="size_change", label="Size", unit="ml", kind="change", worsening="lower"),
)


def one(events: EndpointResult, subject: str = "A") -> dict[str, Any]:
    """Return the row of one subject."""
    return events.table().set_index("subject_id").loc[subject].to_dict()


def outcome(result: EndpointResult) -> tuple[Any, ...]:
    """Return what the tables of patients below say."""
    row = one(result)
    return row["event"], row["duration"], row["interval_left"], row["interval_right"]


# --- relapses -----------------------------------------------------------------------------------


def relapse_cohort(
    relapses: list[tuple], *, exit_day: int | None = None, reason: str = "dropout"
) -> Cohort:
    """One subject (A) with visits on days 0, 84 and 168, and one (Z) who relapses on day 30."""
    visits = [("A", 0), ("A", 84), ("A", 168), ("Z", 0), ("Z", 84)]
    rows = [("A", *r) for r in relapses] + [("Z", 30, True, 3.0)]
    exits = None if exit_day is None else pd.DataFrame(
        {"subject_id": ["A"], "day": [exit_day], "reason": [reason]}
    )  # fmt: skip
    return Cohort(
        pd.DataFrame({"subject_id": ["A", "Z"]}),
        pd.DataFrame(visits, columns=["subject_id", "day"]).assign(edss=4.0),
        relapses=pd.DataFrame(rows, columns=["subject_id", "day", "confirmed", "grade"]),
        exits=exits,
    )


CONFIRMED = RelapseEventRule(confirmed_column="confirmed")
SEVERE = RelapseEventRule(severity_column="grade", min_severity=2)


@pytest.mark.parametrize(
    ("rule", "relapses", "exit_day", "expected", "why"),
    [
        (RelapseEventRule(), [(50, True, 1)], None, (True, 50, 50, 50), "exact day"),
        (RelapseEventRule(), [(90, True, 1), (50, True, 1)], None, (True, 50, 50, 50), "first"),
        (RelapseEventRule(), [(0, True, 1)], None, (False, 168, 168, np.inf), "day 0 is not after"),
        (RelapseEventRule(), [(-30, True, 1)], None, (False, 168, 168, np.inf), "before the study"),
        (RelapseEventRule(), [(1, True, 1)], None, (True, 1, 1, 1), "the day after day 0 is"),
        (RelapseEventRule(), [], None, (False, 168, 168, np.inf), "followed to the last visit"),
        (RelapseEventRule(), [], 300, (False, 300, 300, np.inf), "followed to the exit"),
        (RelapseEventRule(), [(300, True, 1)], 300, (True, 300, 300, 300), "on the day of exit"),
        (RelapseEventRule(), [(190, True, 1)], None, (False, 168, 168, np.inf), "after the end"),
        (RelapseEventRule(), [(190, True, 1)], 300, (True, 190, 190, 190), "before the exit"),
        (
            RelapseEventRule(from_day=50),
            [(50, True, 1)],
            None,
            (False, 168, 168, np.inf),
            "not yet",
        ),
        (RelapseEventRule(from_day=49), [(50, True, 1)], None, (True, 50, 50, 50), "from day 0"),
        (CONFIRMED, [(50, False, 1), (60, True, 1)], None, (True, 60, 60, 60), "confirmed one"),
        (CONFIRMED, [(50, None, 1)], None, (False, 168, 168, np.inf), "unknown is not confirmed"),
        (SEVERE, [(50, True, 1), (60, True, 2)], None, (True, 60, 60, 60), "severe enough"),
        (SEVERE, [(50, True, NAN)], None, (False, 168, 168, np.inf), "unknown is not severe"),
    ],
)
def test_relapse_by_hand(
    rule: RelapseEventRule, relapses: list, exit_day: int | None, expected: tuple, why: str
) -> None:
    cohort = relapse_cohort(relapses, exit_day=exit_day)
    assert outcome(derive_endpoint(cohort, rule)) == expected, why


def test_death_before_a_relapse_competes() -> None:
    row = one(derive_endpoint(relapse_cohort([], exit_day=200, reason="death"), RelapseEventRule()))
    assert (row["status"], row["duration"], row["death_duration"]) == ("death", 200, 200)


def test_relapses_that_do_not_count_are_counted() -> None:
    rule = RelapseEventRule(
        confirmed_column="confirmed", severity_column="grade", min_severity=2, from_day=20
    )
    relapses = [(10, True, 3), (30, True, 1), (40, True, NAN), (50, False, 3), (60, None, 1)]
    result = derive_endpoint(relapse_cohort(relapses), rule)
    assert {(e.unit, e.reason): e.n for e in result.exclusions} == {
        ("row", "relapse not after day 20"): 1,
        ("row", "relapse of severity below 2"): 1,
        ("row", "relapse without a value in `grade`"): 1,
        ("row", "relapse not confirmed (`confirmed`)"): 2,
    }


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (RelapseEventRule(confirmed_column="confrmed"), SchemaError, "Did you mean 'confirmed'"),
        (RelapseEventRule(confirmed_column="grade"), SchemaError, "true / false or 0 / 1.*'?3"),
        (
            RelapseEventRule(severity_column="confirmed", min_severity=1),
            SchemaError,
            "must hold numbers, but 2 relapse",
        ),
    ],
)
def test_columns_of_relapses_that_will_not_do(
    rule: RelapseEventRule, error: type, message: str
) -> None:
    cohort = relapse_cohort([(50, "maybe", 3.0)])
    with pytest.raises(error, match=message):
        derive_endpoint(cohort, rule)


def test_without_any_relapse_the_definition_says_so() -> None:
    visits = pd.DataFrame({"subject_id": ["A", "A", "B"], "day": [0, 84, 0], "edss": 4.0})
    cohort = Cohort(pd.DataFrame({"subject_id": ["A", "B"]}), visits)
    result = derive_endpoint(cohort, RelapseEventRule())
    assert result.definition.endswith("The data hold no relapse of anybody.")
    assert result.n_events == 0
    assert [(e.reason, e.subject_ids) for e in result.exclusions] == [
        ("no follow-up after day 0", ("B",))
    ]


# --- lesions ------------------------------------------------------------------------------------


def scan_cohort(scans: list[tuple], **columns: Any) -> Cohort:
    """One subject (A) with scans (day, new T2, Gd), and one (Z) with a clean one on day 168."""
    rows = [("A", *s) for s in scans] + [("Z", 0, NAN, 0), ("Z", 168, 0, 0), ("Z", 336, 0, 0)]
    visits = pd.DataFrame(rows, columns=["subject_id", "day", "new_t2_count", "gd_lesion_count"])
    return Cohort(pd.DataFrame({"subject_id": ["A", "Z"]}), visits.assign(edss=4.0), **columns)


REBASED = LesionEventRule(from_day=154)


@pytest.mark.parametrize(
    ("rule", "scans", "expected", "why"),
    [
        (LesionEventRule(), [(0, NAN, 0), (168, 0, 0), (336, 1, 0)],
         (True, 336, 168, 336), "after the last clean scan"),
        (LesionEventRule(), [(0, NAN, 0), (168, 1, 0)], (True, 168, 0, 168), "since baseline"),
        (LesionEventRule(), [(0, NAN, 3), (168, 0, 0)],
         (False, 168, 168, np.inf), "lesions at baseline are none"),
        (LesionEventRule(), [(0, NAN, 0), (168, NAN, 1)], (True, 168, 0, 168), "any of the counts"),
        (LesionEventRule(), [(0, NAN, 0), (168, NAN, NAN), (336, 1, 0)],
         (True, 336, 0, 336), "a visit without a scan is none"),
        (LesionEventRule(), [(-20, NAN, 0), (168, 1, 0)],
         (True, 188, 0, 188), "time runs from the scan at screening"),
        (LesionEventRule(), [(-20, NAN, 0), (0, NAN, 1), (168, 1, 0)],
         (True, 168, 0, 168), "the last scan before day 0 is baseline"),
        (LesionEventRule(), [(84, 1, 0)], (True, 84, 0, 84), "without a baseline scan, from day 0"),
        (LesionEventRule(), [(9, NAN, 2), (168, 0, 0)], (True, 9, 0, 9), "no window: an event"),
        (LesionEventRule(baseline_window_days=9), [(9, NAN, 2), (168, 0, 0)],
         (False, 159, 159, np.inf), "a late baseline scan"),
        (LesionEventRule(baseline_window_days=8), [(9, NAN, 2), (168, 0, 0)],
         (True, 9, 0, 9), "one day too late"),
        (LesionEventRule(threshold=1), [(0, NAN, 0), (168, 1, 0), (336, 2, 0)],
         (True, 336, 168, 336), "above the threshold, not at it"),
        (LesionEventRule(measures="gd_lesion_count"), [(0, NAN, 0), (168, 9, 0), (336, 9, 1)],
         (True, 336, 168, 336), "other counts do not matter"),
        (REBASED, [(0, NAN, 0), (84, 5, 0), (160, 3, 1), (336, 1, 0)],
         (True, 336, 160, 336), "the first scan from day 154 on is the new baseline"),
        (REBASED, [(0, NAN, 0), (84, 5, 0), (336, 2, 0), (500, 0, 0)],
         (False, 500, 500, np.inf), "missed at week 24: week 48 is the new baseline"),
        (REBASED, [(0, NAN, 0), (153, 5, 0), (154, 1, 0), (336, 0, 0)],
         (False, 336, 336, np.inf), "on the very day"),
    ],
)  # fmt: skip
def test_lesions_by_hand(rule: LesionEventRule, scans: list, expected: tuple, why: str) -> None:
    assert outcome(derive_endpoint(scan_cohort(scans), rule)) == expected, why


@pytest.mark.parametrize(
    ("rule", "scans", "reason"),
    [
        (LesionEventRule(), [(0, NAN, NAN), (168, NAN, NAN)],
         "no new_t2_count or gd_lesion_count at any visit"),
        (LesionEventRule(), [(0, NAN, 2)], "no scan after the baseline scan"),
        (REBASED, [(0, NAN, 0), (84, 5, 0)], "no scan at or after day 154 (no new baseline)"),
        (REBASED, [(0, NAN, 0), (160, 5, 0)], "no scan after the new baseline scan"),
    ],
)  # fmt: skip
def test_who_is_not_at_risk_of_lesions(rule: LesionEventRule, scans: list, reason: str) -> None:
    result = derive_endpoint(scan_cohort(scans), rule)
    assert result.table()["subject_id"].tolist() == ["Z"]
    assert [(e.unit, e.reason, e.subject_ids) for e in result.exclusions][:1] == [
        ("subject", reason, ("A",))
    ]


def test_scans_that_do_not_count_are_counted() -> None:
    result = derive_endpoint(scan_cohort([(-9, NAN, 0), (0, 1, 0), (84, 1, 0)]), LesionEventRule())
    assert [(e.unit, e.reason, e.n) for e in result.exclusions] == [
        ("visit", "scan before the baseline scan", 1)
    ]


def test_death_before_lesions_competes() -> None:
    exits = pd.DataFrame({"subject_id": ["A"], "day": [400], "reason": ["death"]})
    cohort = scan_cohort([(-20, NAN, 0), (168, 0, 0)], exits=exits)
    row = one(derive_endpoint(cohort, LesionEventRule()))
    assert (row["status"], row["duration"], row["death_duration"]) == ("death", 188, 420)


def test_lesion_measures_must_be_there() -> None:
    with pytest.raises(SchemaError, match="no measure 'active_lesion_count'"):
        derive_endpoint(scan_cohort([]), LesionEventRule(measures="active_lesion_count"))


def test_nobody_was_scanned() -> None:
    cohort = scan_cohort([]).select(subjects=["A"], measures=["edss", "gd_lesion_count"])
    with pytest.raises(DesignError, match="no gd_lesion_count at any visit: 1"):
        derive_endpoint(cohort, LesionEventRule(measures="gd_lesion_count"))


# --- loss of volume -----------------------------------------------------------------------------


def volume_cohort(scans: list[tuple], name: str = "brain_ml") -> Cohort:
    """One subject (A) with volumes, and one (Z) who loses nothing in two years."""
    steady = 1500.0 if name == "brain_ml" else 0.0
    rows = [("A", *s) for s in scans] + [("Z", day, steady) for day in (0, 365, 730)]
    visits = pd.DataFrame(rows, columns=["subject_id", "day", name]).assign(edss=4.0)
    return Cohort(pd.DataFrame({"subject_id": ["A", "Z"]}), visits, dictionary=OWN)


LEVEL = VolumeLossRule(outcome="brain_ml")
CHANGE = VolumeLossRule()
STEPS = VolumeLossRule(outcome="brain_ml", since="previous")
FAST = [(0, 1500.0), (365, 1493.0), (730, 1480.0)]  # 0.467 and 0.667 % per year from baseline


@pytest.mark.parametrize(
    ("rule", "scans", "expected", "why"),
    [
        (LEVEL, FAST, (True, 365, 0, 365), "0.467 % in 365 days is more than 0.4 % per year"),
        (LEVEL, [(0, 1000.0), (1461, 984.0)], (False, 1461, 1461, np.inf),
         "exactly 0.4 % per year is none: 1.6 % in four years"),
        (LEVEL, [(0, 1000.0), (1461, 983.9)], (True, 1461, 0, 1461), "a little more is"),
        (LEVEL, [(0, 1500.0), (365, 1498.0), (730, 1480.0)],
         (True, 730, 365, 730), "after the last scan that was judged"),
        (LEVEL, [(0, 1500.0), (90, 1480.0), (365, 1498.0)],
         (False, 365, 365, np.inf), "90 days are too short to be judged"),
        (VolumeLossRule(outcome="brain_ml", min_interval_days=90), [(0, 1500.0), (90, 1480.0)],
         (True, 90, 0, 90), "unless the rule allows it"),
        (VolumeLossRule(outcome="brain_ml", min_interval_days=700), FAST,
         (True, 730, 0, 730), "only the last scan is judged"),
        (LEVEL, [(-30, 1500.0), (335, 1493.0)], (True, 365, 0, 365), "from the screening scan"),
        (VolumeLossRule(outcome="brain_ml", baseline_window_days=30),
         [(30, 1500.0), (395, 1493.0)], (True, 365, 0, 365), "a late baseline scan"),
        (VolumeLossRule(outcome="brain_ml", from_day=160),
         [(0, 1520.0), (168, 1500.0), (533, 1493.0)],
         (True, 533, 168, 533), "pseudoatrophy before the new baseline does not count"),
        (VolumeLossRule(outcome="brain_ml", from_day=160),
         [(0, 1520.0), (168, 1500.0), (533, 1496.0)],
         (False, 533, 533, np.inf), "0.27 % in the year after it"),
        (STEPS, [(0, 1500.0), (365, 1495.0), (730, 1488.0)],
         (True, 730, 365, 730), "0.33 % in the first year, 0.47 % in the second"),
        (STEPS, [(0, 1500.0), (300, 1497.0), (365, 1485.0), (545, 1496.0)],
         (True, 365, 300, 365), "day 300 is too close to day 365: compared with day 0"),
        (STEPS, [(0, 1500.0), (90, 1500.0), (270, 1498.0)],
         (False, 270, 270, np.inf), "0.13 % in the 180 days since day 90 is 0.27 % per year"),
        (VolumeLossRule(outcome="brain_ml", method="compound"), [(0, 1000.0), (1461, 984.0)],
         (True, 1461, 0, 1461), "1.6 % in four years is 0.4024 % in each"),
        (CHANGE, [(0, 0.0), (365, -0.3), (730, -0.9)], (True, 730, 365, 730), "change in %"),
        (CHANGE, [(0, NAN), (365, -0.3), (730, -0.9)], (True, 730, 365, 730), "0 at day 0"),
        (CHANGE, [(-30, 0.0), (335, -0.5)], (True, 365, 0, 365), "0 at screening"),
        (VolumeLossRule(since="previous"), [(0, NAN), (365, -0.3), (730, -0.65), (1095, -1.1)],
         (True, 1095, 730, 1095), "0.30 %, 0.35 %, 0.45 %"),
        (VolumeLossRule(from_day=160), [(168, -1.0), (533, -1.3), (898, -2.0)],
         (True, 898, 533, 898), "from a later scan, in % of that"),
    ],
)  # fmt: skip
def test_volume_loss_by_hand(rule: VolumeLossRule, scans: list, expected: tuple, why: str) -> None:
    assert outcome(derive_endpoint(volume_cohort(scans, rule.outcome), rule)) == expected, why


@pytest.mark.parametrize(
    ("rule", "scans", "reason"),
    [
        (LEVEL, [(0, NAN)], "no Whole-brain volume at any visit"),
        (LEVEL, [(0, 1500.0)], "no scan after the baseline scan"),
        (LEVEL, [(30, 1500.0), (395, 1490.0)],
         "no Whole-brain volume at or before day 0 (no baseline)"),
        (VolumeLossRule(outcome="brain_ml", baseline_window_days=29),
         [(30, 1500.0), (395, 1490.0)],
         "no Whole-brain volume at or before day 0 nor in the 29 days after it (no baseline)"),
        (LEVEL, [(0, 1500.0), (179, 1400.0)],
         "no Whole-brain volume at least 180 days after another that counts"),
        (VolumeLossRule(outcome="brain_ml", from_day=160), [(0, 1500.0), (90, 1490.0)],
         "no scan at or after day 160 (no new baseline)"),
        (VolumeLossRule(outcome="brain_ml", from_day=160), [(0, 1500.0), (168, 1490.0)],
         "no scan after the new baseline scan"),
    ],
)  # fmt: skip
def test_whose_volume_cannot_be_judged(rule: VolumeLossRule, scans: list, reason: str) -> None:
    result = derive_endpoint(volume_cohort(scans), rule)
    assert result.table()["subject_id"].tolist() == ["Z"]
    assert [(e.reason, e.subject_ids) for e in result.exclusions if e.unit == "subject"] == [
        (reason, ("A",))
    ]


def test_scans_too_close_are_counted() -> None:
    scans = [(-20, 1500.0), (0, 1500.0), (90, 1400.0), (365, 1500.0)]
    result = derive_endpoint(volume_cohort(scans), LEVEL)
    assert [(e.unit, e.reason, e.n) for e in result.exclusions] == [
        ("visit", "scan before the baseline scan", 1),
        ("visit", "no scan 180 days before to compare with", 1),
    ]


def test_baseline_volume_is_shown() -> None:
    assert one(derive_endpoint(volume_cohort(FAST), LEVEL))["baseline_value"] == 1500.0


@pytest.mark.parametrize(
    ("name", "message"), [("nodes", "more is worse"), ("size_change", "a change in ml")]
)
def test_measures_whose_loss_means_nothing(name: str, message: str) -> None:
    cohort = volume_cohort([(0, 0.0), (365, 1.0)], name)
    with pytest.raises(DesignError, match=message):
        derive_endpoint(cohort, VolumeLossRule(outcome=name))


# --- brute force --------------------------------------------------------------------------------

DAYS = st.lists(st.integers(-60, 900), min_size=1, max_size=7, unique=True).map(sorted)


@st.composite
def scan_tables(draw: st.DrawFn) -> pd.DataFrame:
    """Draw scans of a few subjects: counts and volumes, some missing."""
    rows = []
    for i in range(draw(st.integers(1, 4))):
        for day in draw(DAYS):
            count = draw(st.sampled_from([NAN, 0.0, 0.0, 1.0, 3.0]))
            volume = draw(st.sampled_from([NAN, 1000.0, 998.0, 996.0, 992.0, 985.0]))
            rows.append((f"S{i}", day, count, volume))
    return pd.DataFrame(rows, columns=["subject_id", "day", "gd_lesion_count", "brain_ml"])


def tabulated(visits: pd.DataFrame, rule: object) -> dict[str, tuple] | str:
    """Derive, or say that nobody is at risk."""
    subjects = visits[["subject_id"]].drop_duplicates()
    try:
        events = derive_endpoint(Cohort(subjects, visits), rule).table()
    except DesignError:
        return {}
    columns = ["event", "duration", "interval_left", "interval_right", "day_baseline"]
    return {row[0]: tuple(row[1:]) for row in events[["subject_id", *columns]].to_numpy()}


def reference_scan(days: list[int], from_day: int, window: int) -> int | None:
    """Return the day of the baseline scan."""
    later = [day for day in days if day >= from_day]
    early, late = [d for d in days if d <= 0], [d for d in days if 0 < d <= window]
    choices = later[:1] if from_day else (early[-1:] or late[:1])
    return choices[0] if choices else None


def first_of(judged: list[tuple[int, bool]], zero: int, start: int) -> tuple | None:
    """Search scans one after the other; `judged` has the day and whether it shows the event."""
    left = start
    for day, active in judged:
        if active:
            return True, day - zero, left - zero, day - zero, zero
        left = day
    last = judged[-1][0] - zero if judged else 0
    return (False, last, last, np.inf, zero) if judged else None


def lesions_by_search(scans: list[tuple[int, float]], rule: LesionEventRule) -> tuple | None:
    """Work one subject out."""
    reference = reference_scan([d for d, _ in scans], rule.from_day, rule.baseline_window_days)
    unknown = reference is None
    zero = 0 if rule.from_day or unknown else reference
    start = zero if unknown else reference
    counted = [(d, c > 0) for d, c in scans if d > start and not (unknown and rule.from_day)]
    return first_of(counted, zero, start)


def losses_by_search(scans: list[tuple[int, float]], rule: VolumeLossRule) -> tuple | None:
    """Work one subject out."""
    reference = reference_scan([d for d, _ in scans], rule.from_day, rule.baseline_window_days)
    used = [(d, v) for d, v in scans if reference is not None and d >= reference]
    judged = []
    for day, volume in used[1:]:
        far = [(d, v) for d, v in used if day - d >= max(rule.min_interval_days, 1)]
        start = {"baseline": far[:1], "previous": far[-1:]}[rule.since]
        start = [s for s in start if rule.since == "previous" or s == used[0]]
        judged += [
            (day, 100 * (v - volume) / v / ((day - d) / 365.25) > 0.4 + 1e-9) for d, v in start
        ]
    zero = 0 if rule.from_day or reference is None else reference
    return first_of(judged, zero, reference)


@given(scan_tables(), st.sampled_from([0, 100]), st.sampled_from([0, 40]))
def test_lesions_agree_with_a_search(visits: pd.DataFrame, from_day: int, window: int) -> None:
    rule = LesionEventRule(
        measures="gd_lesion_count",
        from_day=from_day,
        baseline_window_days=0 if from_day else window,
    )
    scans = visits.dropna(subset="gd_lesion_count").groupby("subject_id")
    expected = {
        name: lesions_by_search([*zip(part["day"], part["gd_lesion_count"], strict=True)], rule)
        for name, part in scans
    }
    assert tabulated(visits, rule) == {k: v for k, v in expected.items() if v is not None}


@given(
    scan_tables(),
    st.sampled_from(["baseline", "previous"]),
    st.sampled_from([0, 100]),
    st.sampled_from([0, 90, 365]),
)
def test_losses_agree_with_a_search(
    visits: pd.DataFrame, since: str, from_day: int, days: int
) -> None:
    rule = VolumeLossRule(
        outcome="brain_ml", since=since, from_day=from_day, min_interval_days=days
    )
    scans = visits.dropna(subset="brain_ml").groupby("subject_id")
    expected = {
        name: losses_by_search([*zip(part["day"], part["brain_ml"], strict=True)], rule)
        for name, part in scans
    }
    assert tabulated(visits, rule) == {k: v for k, v in expected.items() if v is not None}
