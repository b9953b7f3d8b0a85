"""Options of progression rules, on patients worked by hand.

Witness: tests/reference/endpoints/options, worked by the authors from the definition of each
option before any derivation was run on them (see SOURCE.md beside).
"""

from __future__ import annotations

import tomllib
from functools import cache

import numpy as np
import pandas as pd
import pytest
from reference_cases import REFERENCE

from pmsstats.cohort import Cohort
from pmsstats.endpoints import EndpointResult, derive_progression, rule_from_dict

FOLDER = REFERENCE / "endpoints" / "options"
RULES = {
    name: rule_from_dict({**table, "name": name})
    for name, table in tomllib.loads((FOLDER / "rules.toml").read_text(encoding="utf-8")).items()
}
EVENTS = pd.read_csv(FOLDER / "expected_events.csv", dtype={"death_duration": "Int64"})
EPISODES = pd.read_csv(FOLDER / "expected_episodes.csv")
TEXTS = ["relapse_class", "censored_with"]
EVENTS[TEXTS] = EVENTS[TEXTS].fillna("")
EPISODES["relapse_class"] = EPISODES["relapse_class"].fillna("")
TRUTH = {"yes": True, "no": False}
CENSORING = {
    "": "",
    "unconfirmed": "change at the last visit not confirmed",
    "no event": "no event up to the last visit",
}
EPISODE_COLUMNS = [
    "episode", "change", "relapse_class", "day_reference", "reference_value", "day_onset",
    "onset_value", "day_last_unchanged", "day_confirmed", "confirmed_value", "day_sustained_to",
]  # fmt: skip
WINDOW_COLUMNS = [
    "day_confirmed_12w", "day_confirmed_24w", "day_pira_confirmed_12w", "day_pira_confirmed_24w",
]  # fmt: skip


@cache
def cohort() -> Cohort:
    visits = pd.read_csv(FOLDER / "visits.csv")
    scans = pd.read_csv(FOLDER / "scans.csv")
    visits = visits.merge(scans, on=["subject_id", "day"], how="outer")
    visits["scheduled"] = visits["scheduled"].eq(True)
    return Cohort(
        pd.DataFrame({"subject_id": visits["subject_id"].unique()}),
        visits,
        relapses=pd.read_csv(FOLDER / "relapses.csv"),
        exits=pd.read_csv(FOLDER / "exits.csv"),
    )


@cache
def result(rule: str) -> EndpointResult:
    return derive_progression(cohort(), RULES[rule])


def ids(frame: pd.DataFrame) -> list[str]:
    return [f"{row.rule}-{row.subject_id}" for row in frame.itertuples()]


def same(found: object, expected: object) -> bool:
    """Compare two values of which both may be missing."""
    return bool(pd.isna(found) and pd.isna(expected)) or bool(np.equal(found, expected))


AT_RISK = EVENTS[EVENTS["at_risk"] == "yes"]
NOT_AT_RISK = EVENTS[EVENTS["at_risk"] == "no"]
SEQUENCES = list(EPISODES.groupby(["rule", "subject_id"], sort=False))


def test_there_are_enough_patients() -> None:
    subjects = set(cohort().subjects["subject_id"])
    assert len(subjects) == 147
    assert set(EVENTS["subject_id"]) | set(EPISODES["subject_id"]) == subjects
    assert set(EVENTS["rule"]) | set(EPISODES["rule"]) == set(RULES)
    assert (len(AT_RISK), len(NOT_AT_RISK), len(EPISODES)) == (189, 5, 68)


@pytest.mark.parametrize("expected", list(AT_RISK.itertuples()), ids=ids(AT_RISK))
def test_event(expected: tuple) -> None:
    found = result(expected.rule).table().set_index("subject_id").loc[expected.subject_id]
    assert found["event"] == TRUTH[expected.event], expected.why
    for column in ("day_onset", "day_confirmed", "duration", "death_duration"):
        assert same(found[column], getattr(expected, column)), f"{column}: {expected.why}"
    assert found["status"] == expected.status, expected.why
    assert found["relapse_class"] == expected.relapse_class, expected.why
    interval = (found["interval_left"], found["interval_right"])
    assert interval == (expected.interval_left, expected.interval_right), expected.why
    assert found["censor_reason"] == CENSORING[expected.censored_with], expected.why


@pytest.mark.parametrize("expected", list(NOT_AT_RISK.itertuples()), ids=ids(NOT_AT_RISK))
def test_not_at_risk(expected: tuple) -> None:
    found = result(expected.rule)
    assert expected.subject_id not in set(found.table()["subject_id"]), expected.why
    reasons = [
        e.reason
        for e in found.exclusions
        if e.unit == "subject" and expected.subject_id in e.subject_ids
    ]
    assert len(reasons) == 1


@pytest.mark.parametrize(
    ("key", "expected"), SEQUENCES, ids=[f"{rule}-{subject}" for (rule, subject), _ in SEQUENCES]
)
def test_episodes(key: tuple[str, str], expected: pd.DataFrame) -> None:
    rule, subject_id = key
    frame = result(rule).episodes
    found = frame[frame["subject_id"] == subject_id].reset_index(drop=True)
    columns = EPISODE_COLUMNS + [c for c in WINDOW_COLUMNS if c in frame.columns]
    assert found["day_onset"].tolist() == expected["day_onset"].tolist(), list(expected["why"])
    for seen, wanted in zip(found.itertuples(), expected.itertuples(), strict=True):
        for column in columns:
            assert same(getattr(seen, column), getattr(wanted, column)), f"{column}: {wanted.why}"
        assert seen.sustained_to_end == TRUTH[wanted.sustained_to_end], wanted.why
        assert seen.imputed == TRUTH[wanted.imputed], wanted.why


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_order_of_rows_changes_nothing(rule: str) -> None:
    whole = cohort()
    shuffled = Cohort(
        whole.subjects,
        whole.visits.drop(columns="year").sample(frac=1, random_state=7),
        relapses=whole.relapses.iloc[::-1],
        exits=whole.exits,
    )
    found = derive_progression(shuffled, RULES[rule])
    pd.testing.assert_frame_equal(found.table(), result(rule).table())
    pd.testing.assert_frame_equal(found.episodes, result(rule).episodes)
