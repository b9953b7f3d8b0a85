"""What holds for every rule and cohort: order, names and units, stricter rules, later visits."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
from endpoints.engine.drawn_cohorts import cohort_of, drawn_cohort, drawn_tables
from endpoints.rule_strategies import progression_rules, relapse_free
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.cohort import Cohort
from pmsstats.endpoints import (
    PRESETS,
    AbsoluteThreshold,
    CombinedThreshold,
    EndpointResult,
    LevelThreshold,
    ProgressionRule,
    StepThreshold,
    Threshold,
    derive_progression,
)
from pmsstats.errors import DesignError

seeds, sizes = st.integers(0, 10_000), st.integers(3, 10)
rules = progression_rules()
SEED = 6


def derived(cohort: Cohort, rule: ProgressionRule) -> EndpointResult | None:
    """Derive the endpoint; None where nobody is at risk."""
    try:
        return derive_progression(cohort, rule, seed=SEED)
    except DesignError as error:
        assert "No subject can be assessed" in str(error)  # noqa: PT017
        return None


def plain(frame: pd.DataFrame) -> list[tuple]:
    """Return the rows with None for what is missing."""
    found = frame.astype(object)
    return list(found.where(found.notna(), None).itertuples(index=False, name=None))


def rows_of(result: EndpointResult | None) -> tuple[list[tuple], list[tuple]]:
    """Return the events and the episodes."""
    return (plain(result.events), plain(result.episodes)) if result else ([], [])


def onsets(result: EndpointResult | None) -> dict[str, int]:
    """Return the time to the event, of those who had it."""
    found = result.events if result else pd.DataFrame({"event": [], "subject_id": []})
    happened = found[found["event"].astype(bool)].set_index("subject_id")
    return happened["duration"].to_dict() if len(happened) else {}


# --- order, names, units ------------------------------------------------------------------------


@given(seed=seeds, n=sizes, rule=rules)
def test_the_order_of_rows_changes_nothing(seed: int, n: int, rule: ProgressionRule) -> None:
    tables = drawn_tables(seed, n)
    mixed = [frame.sample(frac=1, random_state=seed) for frame in tables]
    found = [derived(cohort_of(*frames), rule) for frames in (tables, mixed)]
    assert rows_of(found[0]) == rows_of(found[1])


@given(seed=seeds, n=sizes, rule=rules.filter(lambda r: r.impute_last_visit in (0, 1)))
def test_names_change_nothing(seed: int, n: int, rule: ProgressionRule) -> None:
    """But for what is drawn, which depends on the name."""
    tables, numbers = drawn_tables(seed, n), np.random.default_rng(seed).permutation(n)
    new = {f"S{i:02d}": f"X{number}" for i, number in enumerate(numbers)}
    named = [frame.assign(subject_id=frame["subject_id"].map(new)) for frame in tables]
    before, after = (rows_of(derived(cohort_of(*frames), rule)) for frames in (tables, named))
    for one, other in zip(before, after, strict=True):
        assert sorted((new[row[0]], *map(str, row[1:])) for row in one) == sorted(
            (row[0], *map(str, row[1:])) for row in other
        )


def scaled(threshold: Threshold | None, factor: float) -> Threshold | None:
    """Write a threshold in another unit."""
    match threshold:
        case AbsoluteThreshold(change=change):
            return AbsoluteThreshold(change=factor * change)
        case StepThreshold(steps=steps):
            return StepThreshold(steps=tuple((factor * b, factor * c) for b, c in steps))
        case LevelThreshold(level=level):
            return LevelThreshold(level=factor * level)
        case CombinedThreshold(parts=parts, take=take):
            return CombinedThreshold(parts=tuple(scaled(p, factor) for p in parts), take=take)
        case _:
            return threshold


own_rules = progression_rules(outcomes=("own_score",)).filter(lambda rule: not rule.threshold_from)


@given(seed=seeds, n=sizes, rule=own_rules, factor=st.sampled_from([0.1, 2, 1000]))
def test_units_change_nothing(seed: int, n: int, rule: ProgressionRule, factor: float) -> None:
    visits, *others = drawn_tables(seed, n)
    rescaled = visits.assign(own_score=factor * visits["own_score"])
    low, high = rule.baseline_range
    same = dataclasses.replace(
        rule,
        threshold=scaled(rule.threshold, factor),
        opposite_threshold=scaled(rule.opposite_threshold, factor),
        baseline_range=(factor * low, factor * high),
    )
    before = derived(cohort_of(visits, *others), rule)
    after = derived(cohort_of(rescaled, *others), same)
    values = ["baseline_value", "reference_value", "onset_value", "confirmed_value"]
    found = [
        [plain(frame.drop(columns=values, errors="ignore")) for frame in (r.events, r.episodes)]
        for r in (before, after)
        if r
    ]
    assert found[:1] == found[1:]


# --- stricter rules -----------------------------------------------------------------------------


def is_monotone(rule: ProgressionRule) -> bool:
    """Say whether a rule has a fixed baseline, whatever the threshold, and asks for the first."""
    return (
        (rule.events, rule.baseline) == ("first", "fixed")
        and not rule.rebaseline_after_relapse
        and rule.skip_local_extrema != "strict"
        and not (rule.threshold_from or rule.opposite_threshold)
    )


fixed_rules = progression_rules(milestones=False).filter(is_monotone)
CHANGES = {"edss": (1.0, 1.5), "t25fw_s": (0.6, 1.0), "sdmt": (3.0, 4.0), "own_score": (2.0, 3.0)}


@given(seed=seeds, n=sizes, rule=fixed_rules)
def test_a_higher_threshold_never_adds_an_event(seed: int, n: int, rule: ProgressionRule) -> None:
    cohort = drawn_cohort(seed, n)
    low, high = (
        onsets(derived(cohort, dataclasses.replace(rule, threshold=AbsoluteThreshold(change=c))))
        for c in CHANGES[rule.outcome]
    )
    assert all(low.get(subject, np.inf) <= day for subject, day in high.items())


@given(seed=seeds, n=sizes, rule=fixed_rules, weeks=st.sampled_from([(4, 8), (12, 24), (8, 48)]))
def test_a_longer_confirmation_never_brings_the_event_earlier(
    seed: int, n: int, rule: ProgressionRule, weeks: tuple[int, int]
) -> None:
    cohort = drawn_cohort(seed, n)
    until_then = {"confirm_late_days": np.inf, "confirm_intermediate": True, "sustain_days": 0}
    single = {"confirm_tolerance_days": 0, "opposite_confirm_weeks": None}
    none = dataclasses.replace(
        rule,
        **{f.name: f.default for f in dataclasses.fields(rule) if f.name in ONLY_CONFIRMED},
        confirm_weeks=None,
        lesion_free=None,
    )
    changes = [{"confirm_weeks": w, **until_then, **single} for w in weeks]
    found = [none, *(dataclasses.replace(rule, **change) for change in changes)]
    shortest, short, long = (onsets(derived(cohort, r)) for r in found)
    assert all(short.get(subject, np.inf) <= day for subject, day in long.items())
    imputed = rule.impute_last_visit > 0
    kept = {} if imputed or rule.condition_visits == "confirmation" else short
    assert all(shortest.get(subject, np.inf) <= day for subject, day in kept.items())


ONLY_CONFIRMED = (
    "confirm_tolerance_days", "confirm_late_days", "confirm_intermediate", "confirm_level",
    "confirmation_visits", "sustain_days", "impute_last_visit", "impute_within_days",
    "impute_reasons", "relapse_to_confirmation_days", "opposite_confirm_weeks", "continue_from",
    "subthreshold_rebaseline", "moved_baseline_value", "condition_visits",
)  # fmt: skip
"""Options that need a confirmation."""


# --- later visits -------------------------------------------------------------------------------


def is_settled(rule: ProgressionRule) -> bool:
    """Say whether nothing after the confirming visit can matter to the first event."""
    return (
        rule.events == "first"
        and len(rule.windows) < 2
        and rule.opposite_windows == rule.windows
        and (rule.sustain_days, rule.impute_last_visit) == (0, 0)
        and rule.skip_local_extrema == "none"
    )


@given(seed=seeds, n=sizes, rule=rules.filter(is_settled), gap=st.integers(1, 400))
def test_a_visit_after_the_confirmed_event_changes_nothing(
    seed: int, n: int, rule: ProgressionRule, gap: int
) -> None:
    visits, relapses, exits = drawn_tables(seed, n)
    late = exits.assign(day=exits["day"] + 500)
    more = visits.groupby("subject_id").last().reset_index()
    more["day"] = visits.groupby("subject_id")["day"].max().to_numpy() + gap
    more[rule.outcome] = np.random.default_rng(seed).permutation(more[rule.outcome].to_numpy())
    before = derived(cohort_of(visits, relapses, late), rule)
    after = derived(cohort_of(pd.concat([visits, more]), relapses, late), rule)
    events = events_of(before)
    later = [row for row in events_of(after) if row[0] in {e[0] for e in events}]
    assert later == events


@given(seed=seeds, n=sizes, rule=rules.filter(is_settled))
def test_visits_after_the_confirming_one_may_be_left_out(
    seed: int, n: int, rule: ProgressionRule
) -> None:
    visits, relapses, exits = drawn_tables(seed, n)
    late = exits.assign(day=exits["day"] + 500)
    events = events_of(derived(cohort_of(visits, relapses, late), rule))
    ends = {row[0]: row[3] if row[4] is None else row[4] for row in events}
    needed = visits[visits["day"] <= visits["subject_id"].map(ends).fillna(np.inf)]
    assert events_of(derived(cohort_of(needed, relapses, late), rule)) == events


def events_of(result: EndpointResult | None) -> list[tuple]:
    """Return the rows of those with the event; how it relates to relapses may still change."""
    keys = ["subject_id", "duration", "interval_left", "day_onset", "day_confirmed"]
    frame = result.events if result else pd.DataFrame(columns=[*keys, "event"])
    return plain(frame.loc[frame["event"].astype(bool), keys])


# --- one event after the other ------------------------------------------------------------------


FIRST_PIRA = dataclasses.replace(PRESETS["cdp12"], events="first_pira", baseline="roving")
pira_rules = st.builds(
    dataclasses.replace,
    st.just(FIRST_PIRA),
    confirm_weeks=st.sampled_from([4, 12, (4, 24)]),
    confirm_intermediate=st.booleans(),
    continue_from=st.sampled_from(["confirmation", "onset"]),
    subthreshold_rebaseline=st.sampled_from(["none", "any", "improvement"]),
    moved_baseline_value=st.sampled_from(["visit", "least_changed"]),
    skip_local_extrema=st.sampled_from(["none", "strict", "all"]),
    relapse_to_baseline_days=st.sampled_from([(0, 0), (30, 0)]),
    relapse_to_onset_days=st.sampled_from([(0, 0), (0, 30)]),
    raw_days=st.sampled_from([(30, 0), (90, 30)]),
    relapse_free=relapse_free(),
)


@given(seed=seeds, n=sizes, rule=pira_rules)
def test_the_first_pira_is_the_first_among_all_events(
    seed: int, n: int, rule: ProgressionRule
) -> None:
    """A baseline that follows every change gives the same events up to the first PIRA."""
    cohort = drawn_cohort(seed, n)
    multiple = dataclasses.replace(rule, events="multiple", classify_relapses=True)
    first, every = (rows_of(derived(cohort, r))[1] for r in (rule, multiple))
    is_pira = [row[3] == "PIRA" for row in every]
    ended = {row[:2] for row, pira in zip(every, is_pira, strict=True) if pira}
    until_then = [row for row in every if not any((row[0], i) in ended for i in range(1, row[1]))]
    assert first == until_then


# --- one result ---------------------------------------------------------------------------------


@given(seed=seeds, n=sizes, rule=rules)
def test_the_result_is_consistent(seed: int, n: int, rule: ProgressionRule) -> None:
    cohort = drawn_cohort(seed, n)
    result = derived(cohort, rule)
    checks = (check_events, check_intervals, check_episodes, check_exclusions)
    for check in checks[: len(checks) * bool(result)]:
        check(result, cohort)


def check_events(result: EndpointResult, cohort: Cohort) -> None:
    events = result.events
    happened = events["event"]
    assert result.n_events == happened.sum()
    assert (events["duration"] > 0).all()
    assert (events["day_onset"].notna() == happened).all()
    assert ((events["censor_reason"] == "") == happened).all()
    assert ((events["status"] == "event") == happened).all()
    died = cohort.exits.set_index("subject_id")["reason"].astype(str) == "death"
    assert ((events["status"] == "death") == (~happened & events["subject_id"].map(died))).all()
    assert (events["death_duration"].notna() == (events["status"] == "death")).all()
    days = events["day_onset"][happened] - events["day_baseline"][happened]
    assert days.tolist() == events["duration"][happened].tolist()


def check_intervals(result: EndpointResult, cohort: Cohort) -> None:
    """Both ends are visits; an event is within them, and the last visit is the end of time."""
    events, happened = result.events, result.events["event"]
    assert (events["interval_left"] < events["interval_right"]).all()
    assert (events["interval_left"] >= 0).all()
    assert events["interval_right"][happened].tolist() == events["duration"][happened].tolist()
    assert np.isinf(events["interval_right"][~happened]).all()
    assert (events["interval_left"] <= events["duration"]).all()
    visits = set(cohort.visits[["subject_id", "day"]].itertuples(index=False, name=None))
    left = (events["day_baseline"] + events["interval_left"]).astype(int)
    assert set(zip(events["subject_id"], left, strict=True)) <= visits


def check_episodes(result: EndpointResult, cohort: Cohort) -> None:
    """Every event is one of the episodes; these rise in time and number."""
    episodes = result.episodes
    assert set(episodes["subject_id"]) <= set(cohort.subjects["subject_id"])
    for _, own in episodes.groupby("subject_id"):
        assert own["episode"].tolist() == list(range(1, len(own) + 1))
        assert own["day_onset"].is_monotonic_increasing
    assert (episodes["day_reference"] < episodes["day_onset"]).all()
    assert (episodes["day_last_unchanged"] < episodes["day_onset"]).all()
    assert (episodes["day_sustained_to"] >= episodes["day_onset"]).all()
    keys = ["subject_id", "day_onset", "day_confirmed", "relapse_class"]
    events = result.events[result.events["event"]]
    assert set(plain(events[keys])) <= set(plain(episodes[keys]))


def check_exclusions(result: EndpointResult, cohort: Cohort) -> None:
    """Everybody is at risk or excluded once, and no visit is counted twice."""
    excluded = [e for e in result.exclusions if e.unit == "subject"]
    ids = [*result.events["subject_id"], *(s for e in excluded for s in e.subject_ids)]
    assert sorted(ids) == sorted(cohort.subjects["subject_id"])
    assert all(e.n == len(e.subject_ids) for e in excluded)
    unused = sum(e.n for e in result.exclusions if e.unit == "visit")
    assert unused <= cohort.n_visits - result.n_subjects  # each baseline is used


@given(seed=seeds, rule=rules, keep=st.sets(st.integers(0, 9), min_size=3))
def test_a_subject_does_not_depend_on_the_others(
    seed: int, rule: ProgressionRule, keep: set[int]
) -> None:
    """Also where it is drawn at random whether a last change counts."""
    cohort = drawn_cohort(seed, 10)
    ids = [f"S{i:02d}" for i in keep]
    everybody, some = derived(cohort, rule), derived(cohort.select(subjects=ids), rule)
    for mine, theirs in zip(rows_of(some), rows_of(everybody), strict=True):
        assert mine == [row for row in theirs if row[0] in ids]
