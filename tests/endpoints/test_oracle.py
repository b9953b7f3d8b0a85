"""The engine against the oracle: the same definitions, by loops in exact fractions (oracle.py)."""

from __future__ import annotations

import math
import os
from collections import Counter
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from endpoints.oracle import Answer, derive
from endpoints.oracle_cases import FIELDS, OUTCOMES, random_cohort, random_rule

from pmsstats.cohort import Cohort
from pmsstats.endpoints import EndpointResult, ProgressionRule, derive_progression, edss_threshold
from pmsstats.endpoints.derivation.time_to_event import UNCONFIRMED
from pmsstats.errors import DesignError
from pmsstats.seeds import stream

DEEP = os.environ.get("HYPOTHESIS_PROFILE") == "deep"
N_RULES, N_SUBJECTS, N_COMPARED = (10_000 if DEEP else 800), 300, 12
BLOCKS = 8
EPISODE = (
    "change", "relapse_class", "day_reference", "reference_value", "day_onset", "onset_value",
    "day_last_unchanged", "day_confirmed", "confirmed_value", "day_sustained_to",
    "sustained_to_end", "imputed",
)  # fmt: skip


@cache
def cohort_of(block: int) -> Cohort:
    return random_cohort(100 + block, N_SUBJECTS)


@cache
def rules_of(block: int) -> list[ProgressionRule]:
    return [random_rule(seed) for seed in range(block, N_RULES, BLOCKS)]


def some_subjects(block: int, rule: ProgressionRule) -> list[str]:
    ids = cohort_of(block).subjects["subject_id"].to_numpy()
    return sorted(stream(int(rule.name[4:]), "subjects").choice(ids, N_COMPARED, replace=False))


def of_engine(
    result: EndpointResult | None, some: list[str], columns: tuple[str, ...]
) -> dict[str, dict]:
    """Write the answers of some subjects as plain values; without those that are not at risk."""
    if result is None:
        return {}
    rows = result.events[result.events["subject_id"].isin(some)]
    found = {row["subject_id"]: plain(row) for row in rows.to_dict("records")}
    episodes = result.episodes[result.episodes["subject_id"].isin(some)]
    for row in episodes.astype(object).where(episodes.notna(), None).to_dict("records"):
        found[row["subject_id"]]["episodes"].append({name: row[name] for name in columns})
    return found


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """Write a row of events as plain values."""
    names = ("duration", "event", "day_baseline", "baseline_value", "relapse_class")
    days = {n: None if pd.isna(row[n]) else row[n] for n in ("day_onset", "day_confirmed")}
    return {
        **{name: row[name] for name in names},
        **days,
        "interval": (row["interval_left"], row["interval_right"]),
        "unconfirmed": row["censor_reason"] == UNCONFIRMED,
        "episodes": [],
    }


def of_oracle(answer: Answer, columns: tuple[str, ...]) -> dict:
    """Write an answer of the oracle in the same way."""
    wanted = answer.wanted or {}
    return {
        "duration": answer.duration,
        "event": answer.event,
        "interval": tuple(float(day) for day in answer.interval),
        "day_baseline": answer.day_baseline,
        "baseline_value": answer.baseline_value,
        "unconfirmed": answer.unconfirmed,
        "day_onset": wanted.get("day_onset"),
        "day_confirmed": wanted.get("day_confirmed"),
        "relapse_class": wanted.get("relapse_class", ""),
        "episodes": [{name: e[name] for name in columns} for e in answer.episodes],
    }


def derived(cohort: Cohort, rule: ProgressionRule) -> EndpointResult | None:
    """Derive; None where nobody is at risk, which is an error."""
    try:
        return derive_progression(cohort, rule)
    except DesignError as error:
        assert "No subject can be assessed" in str(error)  # noqa: PT017
        return None


def columns_of(rule: ProgressionRule) -> tuple[str, ...]:
    weeks = [w.weeks for w in rule.windows]
    return (
        *EPISODE,
        *(f"day_confirmed_{w}w" for w in weeks),
        *(f"day_pira_confirmed_{w}w" for w in weeks),
    )


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
def test_engine_answers_as_the_oracle(block: int) -> None:
    cohort, n_at_risk = cohort_of(block), 0
    for rule in rules_of(block):
        columns, some = columns_of(rule), some_subjects(block, rule)
        answers = derive(cohort.select(subjects=some), rule)
        expected = {s: of_oracle(a, columns) for s, a in answers.items() if not a.why_not}
        assert of_engine(derived(cohort, rule), some, columns) == expected, rule
        n_at_risk += len(expected)
    assert n_at_risk >= N_RULES / BLOCKS * N_COMPARED / 2


@pytest.mark.slow
def test_random_rules_set_every_field_and_choice() -> None:
    rules = [rule for block in range(BLOCKS) for rule in rules_of(block)]
    for name, choices in FIELDS.items():
        values = [getattr(rule, name) for rule in rules]
        assert set(choices) <= set(values), name
        assert sum(value in choices for value in values) >= 10, name
    assert {rule.outcome for rule in rules} == set(OUTCOMES)
    assert {(type(rule.threshold), rule.direction) for rule in rules} == {
        (type(t), d) for ts in OUTCOMES.values() for t in ts for d in ("increase", "decrease")
    }


def test_random_courses_meet_every_kind_of_answer() -> None:
    kinds: Counter[str] = Counter()
    cohort = cohort_of(0).select(subjects=cohort_of(0).subjects["subject_id"][:60])
    for rule in rules_of(0)[:60]:
        for answer in derive(cohort, rule).values():
            kinds.update([answer.why_not or ("event" if answer.event else "censored")])
            kinds.update(e["relapse_class"] or e["change"] for e in answer.episodes)
            kinds.update("imputed" for e in answer.episodes if e["imputed"])
            kinds.update("unconfirmed" for _ in range(answer.unconfirmed))
    for kind in (
        "event", "censored", "no baseline", "no later value", "no threshold", "level reached",
        "baseline out of range", "no visit after a baseline that may be", "RAW", "PIRA",
        "undetermined", "worsening", "improvement", "imputed", "unconfirmed",
    ):  # fmt: skip
        assert kinds[kind] >= 3, kind


# --- imputation by chance ---------------------------------------------------------------------

CHANCE = 0.3
SOMETIMES = ProgressionRule(
    name="sometimes",
    outcome="edss",
    threshold=edss_threshold(),
    direction="increase",
    confirm_weeks=12,
    impute_last_visit=CHANCE,
)


@pytest.fixture(scope="module")
def open_changes() -> Cohort:
    """1,000 subjects whose change at the last visit none could confirm."""
    ids = [f"S{i:04d}" for i in range(1000)]
    visits = pd.DataFrame(
        {
            "subject_id": np.repeat(ids, 3),
            "day": np.tile([0, 84, 168], 1000),
            "edss": np.tile([4.0, 4.0, 5.0], 1000),
        }
    )
    return Cohort(pd.DataFrame({"subject_id": ids}), visits)


def test_share_imputed_is_the_chance(open_changes: Cohort) -> None:
    events = derive_progression(open_changes, SOMETIMES, seed=1).events["event"]
    mcse = math.sqrt(CHANCE * (1 - CHANCE) / len(events))
    assert abs(events.mean() - CHANCE) < 4 * mcse


def test_imputed_events_are_those_of_the_oracle_with_the_same_draw(open_changes: Cohort) -> None:
    events = derive_progression(open_changes, SOMETIMES, seed=1).events
    drawn = dict(zip(events["subject_id"], events["event"], strict=True))
    some = open_changes.select(subjects=list(drawn)[:50])
    answers = derive(some, SOMETIMES, imputes=lambda subject: bool(drawn[subject]))
    assert {s: a.event for s, a in answers.items()} == {s: drawn[s] for s in answers}


def test_draw_of_a_subject_does_not_depend_on_the_others(open_changes: Cohort) -> None:
    together = derive_progression(open_changes, SOMETIMES, seed=1).events
    some = open_changes.select(subjects=list(together["subject_id"])[::7])
    alone = derive_progression(some, SOMETIMES, seed=1).events
    pd.testing.assert_frame_equal(alone, together.iloc[::7].reset_index(drop=True))


def test_another_seed_draws_otherwise(open_changes: Cohort) -> None:
    one, two = (
        derive_progression(open_changes, SOMETIMES, seed=seed).events["event"] for seed in (1, 2)
    )
    assert (one != two).any()
