"""Free of an event at a day. Witnesses: patients worked by hand, every combination of days that
the parts allow, scipy's interval."""

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
from matplotlib.figure import Figure
from properties import assert_result_contract
from scipy import stats

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.composite_rule import CompositeRule
from pmsstats.endpoints.definitions.event_rules import (
    ExitEventRule,
    LesionEventRule,
    RecordedEventRule,
    RelapseEventRule,
)
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import AbsoluteThreshold
from pmsstats.endpoints.derivation.status import derive_status, wilson_interval
from pmsstats.errors import DesignError, SchemaError

NAN = math.nan
INTERVAL_TOLERANCE = 1e-12  # the same formula in another order of operations
EDSS = ProgressionRule(
    name="edss", outcome="edss", threshold=AbsoluteThreshold(change=1.0), direction="increase",
    confirm_weeks=12,
)  # fmt: skip
RELAPSE, LESION = RelapseEventRule(), LesionEventRule(measures="gd_lesion_count")
NEDA = CompositeRule(name="neda3", parts=(EDSS, RELAPSE, LESION), absence_label="NEDA-3")
DAYS = (0, 168, 336, 504, 672)
STEADY = dict.fromkeys(DAYS, 4.0)
CLEAN = dict.fromkeys(DAYS, 0.0)


def visits_of(subject: str, edss: dict, lesions: dict) -> list[tuple]:
    """Put EDSS and lesions by day into rows."""
    days = sorted({*edss, *lesions})
    return [(subject, day, edss.get(day, NAN), lesions.get(day, NAN)) for day in days]


def cohort_of(
    edss: dict,
    lesions: dict,
    *,
    relapses: tuple[int, ...] = (),
    exits: tuple[tuple[int, str], ...] = (),
) -> Cohort:
    """One subject (A), and one (Z) who is free of everything to day 672."""
    rows = [*visits_of("A", edss, lesions), *visits_of("Z", STEADY, CLEAN)]
    return Cohort(
        pd.DataFrame({"subject_id": ["A", "Z"], "arm": ["Active", "Placebo"]}),
        pd.DataFrame(rows, columns=["subject_id", "day", "edss", "gd_lesion_count"]),
        relapses=pd.DataFrame([("A", d) for d in relapses], columns=["subject_id", "day"]),
        exits=pd.DataFrame(
            [("A", *e) for e in exits], columns=["subject_id", "day", "reason"]
        ),
    )  # fmt: skip


def status_of(cohort: Cohort, day: int, rule: Any = NEDA, **kws: Any) -> tuple[str, str]:
    """Return status and reason of subject A."""
    found = derive_status(cohort, rule, day, **kws).statuses.set_index("subject_id").loc["A"]
    return found["status"], found["reason"]


WORSE = {0: 4.0, 168: 4.0, 336: 5.0, 504: 5.0, 672: 5.0}
SHORT = dict.fromkeys(DAYS[:3], 0.0)  # scans to day 336
LATE = {0: 0.0, 336: 0.0, 672: 1.0}  # a lesion that came between days 336 and 672
EVIDENCE, FREE = ("evidence", ""), ("no evidence", "")


@pytest.mark.parametrize(
    ("edss", "lesions", "options", "day", "expected", "why"),
    [
        (STEADY, CLEAN, {}, 672, FREE, "assessed for all to the day"),
        (STEADY, CLEAN, {}, 673, ("unknown", "; ".join(
            f"{part}: assessment ended before" for part in ("edss", "relapse", "lesion")
        )), "a day more"),
        (WORSE, CLEAN, {}, 672, EVIDENCE, "progression"),
        (WORSE, CLEAN, {}, 336, EVIDENCE, "seen on the day"),
        (WORSE, CLEAN, {}, 168, FREE, "the last visit before it"),
        (WORSE, CLEAN, {}, 335, ("unknown", "edss: seen only later, not assessed in between"),
         "it came on days 169 to 336"),
        (STEADY, LATE, {}, 300, FREE, "a clean scan after the day"),
        (STEADY, LATE, {}, 504, ("unknown", "lesion: seen only later, not assessed in between"),
         "the lesion came on days 337 to 672"),
        (STEADY, LATE, {}, 672, EVIDENCE, "seen on the day"),
        (WORSE, LATE, {"relapses": (400,)}, 400, EVIDENCE, "whatever else was seen later"),
        (STEADY, CLEAN, {"relapses": (401,)}, 400, FREE, "a relapse has its day"),
        (STEADY, CLEAN, {"relapses": (600,)}, 672, EVIDENCE, "relapse"),
        (STEADY, SHORT, {"relapses": (600,)}, 672, EVIDENCE, "evidence needs no scan"),
        (STEADY, SHORT, {}, 672, ("unknown", "lesion: assessment ended before"), "not scanned"),
        (STEADY, SHORT, {}, 336, FREE, "scanned to the day"),
        (STEADY, {}, {}, 336, ("unknown", "lesion: no gd_lesion_count at any visit"), "never"),
        (STEADY, {}, {"relapses": (100,)}, 336, EVIDENCE, "never scanned, but relapsed"),
        ({0: NAN, **dict.fromkeys(DAYS[1:], 4.0)}, {0: 0.0, 168: 1.0}, {}, 336, EVIDENCE,
         "no baseline EDSS, but lesions"),
        (WORSE, CLEAN, {"exits": ((700, "death"),)}, 672, EVIDENCE, "died later"),
        ({0: 4.0, 168: 4.0}, {0: 0.0, 168: 0.0}, {"exits": ((200, "death"),)}, 672,
         ("unknown", "died before"), "died without evidence"),
        ({0: 4.0, 168: 4.0}, {0: 0.0, 168: 0.0}, {"exits": ((200, "dropout"),)}, 672,
         ("unknown", "left before: dropout"), "left without evidence"),
        ({0: 4.0, 84: 4.0, 168: 5.0}, CLEAN, {}, 168,
         ("unknown", "edss: change at the last visit not confirmed"), "an open change"),
        ({0: 4.0, 84: 4.0, 168: 5.0}, CLEAN, {}, 84, FREE, "before the open change"),
        ({0: 4.0, 84: 4.0, 168: 5.0}, CLEAN, {}, 169,
         ("unknown", "edss: assessment ended before"), "after the open change"),
    ],
)  # fmt: skip
def test_status_by_hand(
    edss: dict, lesions: dict, options: dict, day: int, expected: tuple, why: str
) -> None:
    assert status_of(cohort_of(edss, lesions, **options), day) == expected, why


@pytest.mark.parametrize(
    ("last", "window", "expected", "why"),
    [
        (665, 0, "unknown", "a week early"),
        (665, 7, "no evidence", "within the window"),
        (664, 7, "unknown", "a day too early for the window"),
    ],
)
def test_window_before_the_day(last: int, window: int, expected: str, why: str) -> None:
    edss, lesions = {0: 4.0, last: 4.0}, {0: 0.0, last: 0.0}
    assert status_of(cohort_of(edss, lesions), 672, window_days=window)[0] == expected, why


@pytest.mark.parametrize(("scan", "expected"), [(679, "evidence"), (680, "no evidence")])
def test_window_after_the_day(scan: int, expected: str) -> None:
    """The scan of day 672 came late and shows a lesion; one later still is another visit's."""
    edss = {**STEADY, scan: 4.0}
    lesions = {0: 0.0, 665: 0.0, scan: 1.0}
    assert status_of(cohort_of(edss, lesions), 672, window_days=7)[0] == expected


def test_exits_that_count_as_evidence() -> None:
    """As OPERA counted those who discontinued for lack of efficacy, and those who died."""
    cohort = cohort_of({0: 4.0, 168: 4.0}, {0: 0.0, 168: 0.0}, exits=((200, "lack of efficacy"),))
    assert status_of(cohort, 672)[0] == "unknown"
    counted = status_of(cohort, 672, exits_as_evidence=("death", "lack of efficacy"))
    assert counted == ("evidence", "left the study: lack of efficacy")
    assert status_of(cohort, 168, exits_as_evidence="lack of efficacy") == FREE


def test_options_of_the_rule_do_not_loosen_the_status() -> None:
    cohort = cohort_of(STEADY, SHORT)
    for rule in (
        dataclasses.replace(NEDA, censor_at="last_of_any"),
        dataclasses.replace(NEDA, censor_at="first_of_any", missing_part="exclude"),
    ):
        assert status_of(cohort, 672, rule)[0] == "unknown"


def test_composite_of_composites_says_what_is_missing() -> None:
    inner = CompositeRule(name="clinical", parts=(EDSS, RELAPSE))
    rule = CompositeRule(name="outer", parts=(inner, LESION))
    cohort = cohort_of({168: 4.0, 672: 4.0}, CLEAN)
    reason = "clinical: edss: no EDSS at or before day 0 (no baseline)"
    assert status_of(cohort, 672, rule) == ("unknown", reason)
    assert status_of(cohort_of(STEADY, CLEAN, relapses=(5,)), 672, rule) == EVIDENCE


def test_single_events_have_a_status_too() -> None:
    result = derive_status(cohort_of(STEADY, SHORT), LESION, 504)
    assert result.label == "no first scan with new or enhancing lesions"
    assert result.statuses["reason"].tolist() == ["assessment ended before", ""]
    assert status_of(cohort_of(STEADY, CLEAN), 672, {"measure": "edss", "change": 1.0}) == FREE


def test_evidence_before_time_zero_is_unknown() -> None:
    """The scan of day 20 is the baseline scan; a relapse came on day 10."""
    rule = CompositeRule(
        name="two", parts=(RELAPSE, dataclasses.replace(LESION, baseline_window_days=20))
    )
    cohort = cohort_of({0: 4.0, 672: 4.0}, {20: 0.0, 672: 0.0}, relapses=(10,))
    assert status_of(cohort, 336, rule) == ("unknown", "had the event before time zero")


# --- shares -------------------------------------------------------------------------------------


def shares_cohort() -> Cohort:
    """Two arms: 3 free, 1 relapse, 1 not scanned; 1 free, 3 relapses, 1 not scanned."""
    rows, relapses, subjects = [], [], []
    for arm, free, relapsed in (("Placebo", 1, 3), ("Active", 3, 1)):
        kinds = ["free"] * free + ["relapsed"] * relapsed + ["unknown"]
        for i, kind in enumerate(kinds):
            subject = f"{arm}{i}"
            subjects.append((subject, arm))
            rows += visits_of(subject, STEADY, SHORT if kind == "unknown" else CLEAN)
            relapses += [(subject, 100)] * (kind == "relapsed")
    return Cohort(
        pd.DataFrame(subjects, columns=["subject_id", "arm"]),
        pd.DataFrame(rows, columns=["subject_id", "day", "edss", "gd_lesion_count"]),
        relapses=pd.DataFrame(relapses, columns=["subject_id", "day"]),
    )


def test_shares_both_ways() -> None:
    """By hand: 4 of 8 judged, 4 of 10 if the unknown count as evidence."""
    table = derive_status(shares_cohort(), NEDA, 672).table()
    assert table["group"].tolist() == ["all subjects"] * 2
    assert table["unknown"].tolist() == ["left out", "counted as evidence"]
    counts = table[["n_subjects", "n_free", "n_evidence", "n_unknown"]].to_numpy().tolist()
    assert counts == [[8, 4, 4, 2], [10, 4, 4, 2]]
    assert table["estimate"].tolist() == [0.5, 0.4]


def test_shares_by_arm_in_the_order_of_arms() -> None:
    cohort = shares_cohort()
    arm = pd.Categorical(cohort.subjects["arm"], ["Placebo", "Active"], ordered=True)
    ordered = Cohort(
        cohort.subjects.assign(arm=arm), cohort.visits, cohort.relapses, cohort.exits
    )  # fmt: skip
    table = derive_status(ordered, NEDA, 672, by="arm").table()
    assert table["group"].tolist() == ["Placebo", "Placebo", "Active", "Active"]
    assert table["group"].cat.ordered
    assert list(table["group"].cat.categories) == ["Placebo", "Active"]
    assert table["estimate"].tolist() == [0.25, 0.2, 0.75, 0.6]


def test_headline_and_contract() -> None:
    result = derive_status(shares_cohort(), NEDA, 672, window_days=28)
    assert result.headline() == (
        "4 of 8 subjects (50 %) had NEDA-3 up to day 672 (definition: neda3); 2 more could not be "
        "judged (40 % if they count as evidence)."
    )
    assert_result_contract(result)
    assert (result.n_subjects, result.n_free, result.n_evidence, result.n_unknown) == (10, 4, 4, 2)
    assert "(2) First relapse: time from day 0" in result.definition


def test_nobody_can_be_judged() -> None:
    result = derive_status(cohort_of(STEADY, SHORT), NEDA, 5000)
    table = result.table()
    assert table["n_subjects"].tolist() == [0, 2]
    assert table["estimate"].isna().tolist() == [True, False]
    assert_result_contract(result)


@pytest.mark.parametrize(
    ("kws", "error", "message"),
    [
        ({"day": 0}, DesignError, "whole numbers of days"),
        ({"day": -1}, DesignError, "whole numbers of days"),
        ({"day": 1.5}, DesignError, "whole numbers of days"),
        ({"day": math.inf}, DesignError, "whole numbers of days"),
        ({"day": 10, "window_days": 10}, DesignError, "the window shorter than"),
        ({"day": 10, "window_days": -1}, DesignError, "the window shorter than"),
        ({"day": 10, "conf_level": 95}, DesignError, "between 0 and 1"),
        ({"day": 10, "by": "amr"}, SchemaError, "Did you mean 'arm'"),
        ({"day": 10, "rule": "neda33"}, DesignError, "Did you mean 'neda3'"),
    ],
)
def test_requests_that_cannot_be_met(kws: dict, error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        derive_status(cohort_of(STEADY, CLEAN), **{"rule": NEDA, **kws})


@pytest.mark.parametrize(("count", "n"), [(0, 7), (7, 7), (1, 3), (37, 120), (5000, 9999)])
@pytest.mark.parametrize("conf_level", [0.8, 0.95])
def test_interval_agrees_with_scipy(count: int, n: int, conf_level: float) -> None:
    expected = stats.binomtest(count, n).proportion_ci(conf_level, method="wilson")
    low, high = wilson_interval([count], [n], conf_level)
    np.testing.assert_allclose(
        [low[0], high[0]], [expected.low, expected.high], atol=INTERVAL_TOLERANCE
    )


# --- brute force --------------------------------------------------------------------------------

LAST = 6


@given(
    st.lists(
        st.tuples(st.sampled_from(["event", "censored", "missing"]), st.integers(1, LAST)),
        min_size=2, max_size=4,
    ),
    st.integers(1, 4),
    st.integers(1, LAST),
)  # fmt: skip
def test_status_is_what_the_parts_allow(parts: list[tuple[str, int]], k: int, day: int) -> None:
    """Recorded events: enumerate the days on which those that were not seen can have happened."""
    k = min(k, len(parts))
    columns = {"subject_id": ["A", "Z"]}
    for i, (kind, last) in enumerate(parts):
        columns[f"day{i}"] = [NAN if kind == "missing" else last, LAST]
        columns[f"event{i}"] = [kind == "event", False]
    visits = pd.DataFrame({"subject_id": ["A", "Z"], "day": 0, "edss": 4.0})
    rules = [
        RecordedEventRule(duration=f"day{i}", event=f"event{i}", name=f"part{i}")
        for i in range(len(parts))
    ]
    rule = CompositeRule(name="some", parts=tuple(rules), require=k)
    possible = {
        "event": lambda last: [last],
        "censored": lambda last: range(last + 1, LAST + 2),
        "missing": lambda _: range(LAST + 2),
    }
    seen = sorted([*(last for kind, last in parts if kind == "event"), *[LAST + 1] * k])[k - 1]
    kth = [
        sorted(days)[k - 1]
        for days in itertools.product(*(possible[kind](last) for kind, last in parts))
    ]
    expected = "evidence" if seen <= day else ("no evidence" if min(kth) > day else "unknown")
    cohort = Cohort(pd.DataFrame(columns), visits)
    assert status_of(cohort, day, rule)[0] == expected


VISIT_DAYS = (0, 84, 168, 252, 336)
OPEN_END = 1000  # after everything that is asked for


def days_of_progression(edss: list[float]) -> range:
    """On which days a point of progression, shown by two visits in a row, can have begun."""
    worse = [value - edss[0] >= 1 for value in edss]
    onset = next((i for i in range(1, 5) if all(worse[i : i + 2]) and i < 4), None)
    seen = range(len(VISIT_DAYS)) if onset is None else range(onset)
    last = max(i for i in seen if not worse[i])
    return range(VISIT_DAYS[last] + 1, OPEN_END if onset is None else VISIT_DAYS[onset] + 1)


def days_of_lesion(scans: list[float]) -> range:
    """On which days the first lesion after the baseline scan can have come; NaN: no scan."""
    active = next((i for i in range(1, 5) if scans[i] > 0), None)
    clean = [i for i in range(5 if active is None else active) if i == 0 or scans[i] == 0]
    return range(VISIT_DAYS[clean[-1]] + 1, OPEN_END if active is None else VISIT_DAYS[active] + 1)


@given(
    st.lists(st.sampled_from([4.0, 5.0]), min_size=4, max_size=4),
    st.lists(st.sampled_from([0.0, 1.0, NAN]), min_size=4, max_size=4),
    st.integers(1, 2),
    st.integers(1, 340),
)
def test_status_is_what_the_visits_allow(
    edss: list[float], scans: list[float], k: int, day: int
) -> None:
    """Go through every day on which progression and lesion can have happened."""
    edss, scans = [4.0, *edss], [0.0, *scans]
    scans[1] = np.nan_to_num(scans[1])  # one scan at least
    cohort = cohort_of(
        dict(zip(VISIT_DAYS, edss, strict=True)), dict(zip(VISIT_DAYS, scans, strict=True))
    )
    rule = CompositeRule(name="both", parts=(EDSS, LESION), require=k)
    parts = days_of_progression(edss), days_of_lesion(scans)
    # the earliest and latest days that the k-th can have
    earliest, latest = (sorted(pick(part) for part in parts)[k - 1] for pick in (min, max))
    expected = "evidence" if latest <= day else ("no evidence" if earliest > day else "unknown")
    assert status_of(cohort, day, rule)[0] == expected


def test_death_as_a_part_needs_nobody_to_die() -> None:
    rule = CompositeRule(name="two", parts=(EDSS, ExitEventRule(reasons="death", name="death")))
    assert status_of(cohort_of(STEADY, CLEAN), 672, rule) == FREE


def test_the_figure_is_in_percent() -> None:
    """The shares of the test above: 0.25 and 0.75 of those judged, 0.2 and 0.6 of all."""
    result = derive_status(shares_cohort(), NEDA, 672, by="arm")
    ax = result.plot(ax=Figure().subplots())
    figures = [text.get_text() for text in ax.texts if text.get_gid() == "figures"]
    assert sorted(text.split(" (")[0] for text in figures) == ["20 %", "25 %", "60 %", "75 %"]
    assert all(label.get_text().endswith("%") for label in ax.get_xticklabels())
    assert ax.get_xlabel() == "Subjects with NEDA-3 up to day 672"
