"""Many trials at once: each is answered as if it were derived alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd
import pytest
from endpoints.engine.drawn_cohorts import DICTIONARY, cohort_of, drawn_tables
from endpoints.rule_strategies import progression_rules
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.endpoints import PRESETS, EndpointResult, ProgressionRule, derive_progression
from pmsstats.endpoints.engine import batch
from pmsstats.endpoints.engine.batch import (
    ProgressionBatch,
    derive_progression_batch,
    trial_seed,
)
from pmsstats.errors import DesignError, SchemaError

COLUMNS = ["subject_id", "duration", "event", "interval_left", "interval_right", "day_baseline"]
CLASSES = {"": 0, "RAW": 1, "PIRA": 2, "undetermined": 3}
# what a batch does not know: why subjects left
rules = progression_rules().filter(lambda rule: not rule.impute_reasons)


def trials_of(seed: int, sizes: list[int]) -> dict[str, tuple[pd.DataFrame, ...]]:
    """Draw some trials, by label."""
    return {f"T{9 - i}": drawn_tables(seed + i, n) for i, n in enumerate(sizes)}


def stacked(trials: dict[str, tuple[pd.DataFrame, ...]], table: int) -> pd.DataFrame:
    """Put one table of all trials into one, in disorder."""
    frames = [frames[table].assign(trial=label) for label, frames in trials.items()]
    return pd.concat(frames).sample(frac=1, random_state=4)


def alone(
    tables: tuple[pd.DataFrame, ...], rule: ProgressionRule, seed: Any
) -> EndpointResult | None:
    """Derive one trial; None where nobody is at risk."""
    try:
        return derive_progression(cohort_of(*tables), rule, seed=seed)
    except DesignError as error:
        assert "No subject can be assessed" in str(error)  # noqa: PT017
        return None


@given(
    seed=st.integers(0, 10_000),
    sizes=st.lists(st.integers(3, 6), min_size=1, max_size=3),
    rule=rules,
    n_rows=st.sampled_from([1, 20, 10_000]),
    n_jobs=st.sampled_from([1, 2]),
)
def test_each_trial_is_derived_as_if_alone(
    seed: int, sizes: list[int], rule: ProgressionRule, n_rows: int, n_jobs: int
) -> None:
    trials = trials_of(seed, sizes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "ROWS_AT_ONCE", n_rows)
        together = derive_progression_batch(
            stacked(trials, 0),
            rule,
            relapses=stacked(trials, 1),
            measure=DICTIONARY[rule.outcome],
            seed=8,
            n_jobs=n_jobs,
        )
    found = together.table()
    assert together.trial.tolist() == sorted(together.trial)
    for label, tables in trials.items():
        result = alone(tables, rule, trial_seed(8, label))
        rows = found[found["trial"] == label].reset_index(drop=True)
        expected = result.table() if result else pd.DataFrame(columns=[*COLUMNS, "relapse_class"])
        assert rows[COLUMNS].to_numpy().tolist() == expected[COLUMNS].to_numpy().tolist()
        assert rows["relapse_class"].tolist() == expected["relapse_class"].map(CLASSES).tolist()


@given(seed=st.integers(0, 10_000), rule=rules, n_rows=st.sampled_from([1, 30, 10_000]))
def test_arrays_and_frames_give_the_same(seed: int, rule: ProgressionRule, n_rows: int) -> None:
    """Three trials of four subjects with six visits each, and one relapse here and there."""
    rng, shape = np.random.default_rng(seed), (3, 4, 6)
    day = np.cumsum(rng.choice([28, 84, 90, 168], shape), axis=2) - 84
    tables = [drawn_tables(seed + i, 80)[0] for i in range(3)]
    names = [c for c in tables[0] if c not in ("subject_id", "day")]
    columns = {
        name: np.stack([t[name].to_numpy()[:24].reshape(4, 6) for t in tables]) for name in names
    }
    relapses = pd.DataFrame(rng.integers(0, [3, 4], (5, 2)), columns=["trial", "subject_id"])
    relapses["day"] = day[0, 0, 2]
    keys = dict(zip(("trial", "subject_id"), np.indices(shape), strict=False))
    arrays = {**keys, "day": day, **columns}
    frame = pd.DataFrame({name: array.ravel() for name, array in arrays.items()})
    kws = {"relapses": relapses, "measure": DICTIONARY[rule.outcome], "seed": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batch, "ROWS_AT_ONCE", n_rows)
        one = derive_progression_batch(frame, rule, **kws)
        values = columns.pop(rule.outcome)
        two = derive_progression_batch(values, rule, day=day, columns=columns, **kws)
    assert_same(one, two)


def assert_same(one: ProgressionBatch, two: ProgressionBatch) -> None:
    for field in dataclasses.fields(ProgressionBatch):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))


VALUES = np.array([[[4.0, 5.0, 5.0], [4.0, 5.0, np.nan]], [[6.0, 6.0, 6.5], [np.nan, 4.0, 4.0]]])
DAYS = np.array([0, 84, 168])


def test_two_trials_by_hand() -> None:
    """CDP12: one confirmed, one not, one half a point from 6.0 that none confirms, no baseline."""
    found = derive_progression_batch(VALUES, "cdp12", day=DAYS)
    assert found.trial.tolist() == [0, 0, 1, 1]
    assert found.subject.tolist() == [0, 1, 0, 1]
    assert found.at_risk.tolist() == [True, True, True, False]
    assert found.event.tolist() == [True, False, False, False]
    assert found.duration.tolist() == [84, 84, 168, 0]
    assert found.interval_left.tolist() == [0, 0, 84, 0]
    assert found.interval_right.tolist() == [84, np.inf, np.inf, 0]
    assert found.not_at_risk() == {"no baseline": 1}
    assert len(found.table()) == 3


@pytest.mark.parametrize("n_jobs", [2, 3, 8])
def test_threads_change_nothing(n_jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    values = rng.choice([3.0, 4.0, 5.0, 6.0], (30, 20, 8))
    monkeypatch.setattr(batch, "ROWS_AT_ONCE", 500)
    one, more = (
        derive_progression_batch(values, "cdp24", day=84 * np.arange(8), n_jobs=n)
        for n in (1, n_jobs)
    )
    assert one.event.sum() > 100
    assert_same(one, more)


def test_trials_draw_independently() -> None:
    """The same patient in 2,000 trials: imputed in half of them, within 4 standard errors."""
    rule = dataclasses.replace(PRESETS["cdp12"], impute_last_visit=0.5)
    values = np.tile([4.0, 5.0], (2_000, 1, 1))
    found = derive_progression_batch(values, rule, day=[0, 84], seed=1)
    assert abs(found.event.mean() - 0.5) < 4 * np.sqrt(0.25 / 2_000)
    again = derive_progression_batch(values[:70], rule, day=[0, 84], seed=1)
    assert again.event.tolist() == found.event[:70].tolist()


def frame_of(**changes: list) -> pd.DataFrame:
    columns = {"trial": [1, 1], "subject_id": ["A", "A"], "day": [0, 84], "edss": [4.0, 5.0]}
    return pd.DataFrame({**columns, **changes})


def relapse_of(**changes: list) -> pd.DataFrame:
    return pd.DataFrame({"trial": [1], "subject_id": ["A"], "day": [5], **changes})


DATES = pd.to_datetime(["2020-01-01", None])


@pytest.mark.parametrize(
    ("visits", "kws", "error", "message"),
    [
        (frame_of().drop(columns="trial"), {}, SchemaError, "`visits` needs a column 'trial'"),
        (frame_of().drop(columns="edss"), {}, SchemaError, "`visits` needs a column 'edss'"),
        (frame_of(day=[0, 0]), {}, DesignError, "one visit per day, but 1 row.*A in trial 1"),
        (frame_of(day=[0, 1.5]), {}, DesignError, "`day` of `visits` must be whole.*1.5"),
        (frame_of(day=[0, None]), {}, DesignError, "`day` of `visits` must be whole numbers"),
        (frame_of(trial=[1, None]), {}, DesignError, "`trial` of `visits` is missing in 1 row"),
        (frame_of(edss=["4", "x"]), {}, SchemaError, "`outcome` .*'edss'.* holds texts"),
        (frame_of().iloc[:0], {}, DesignError, "`visits` has no row"),
        (frame_of(day=["0", "x"]), {}, DesignError, "`day` of `visits` must be whole.*'x'"),
        (frame_of(day=DATES), {}, DesignError, "whole numbers of days, but is of type datetime64"),
        (frame_of(day=[False, True]), {}, DesignError, "whole numbers of days, .* type bool"),
        (frame_of(day=[0, 1e6]), {}, DesignError, "at most 36525 .100 years.* 1000000.0"),
        (frame_of(), {"day": DAYS}, DesignError, "`day` and `columns` belong to arrays"),
        (frame_of(), {"columns": {}}, DesignError, "`day` and `columns` belong to arrays"),
        (
            frame_of(),
            {"relapses": relapse_of(subject_id=["B"])},
            DesignError,
            r"`relapses` has 1 row\(s\) of subjects without any visit in their trial \(B\)",
        ),
        (frame_of(), {"relapses": relapse_of(trial=[2])}, DesignError, r"`relapses` has 1 row"),
        (frame_of(), {"relapses": relapse_of(day=["x"])}, DesignError, "`day` of `relapses`.*'x'"),
        (
            frame_of(),
            {"relapses": relapse_of().drop(columns="day")},
            SchemaError,
            "`relapses` needs a column 'day'",
        ),
        (frame_of(), {"n_jobs": 0}, DesignError, "`n_jobs` must be .* got 0"),
        (VALUES[0], {"day": DAYS}, DesignError, r"`visits` must be .*, got shape \(2, 3\)"),
        (VALUES, {}, DesignError, "`day` is needed"),
        (VALUES, {"day": [0, 84]}, DesignError, r"`day` of shape \(2,\) does not fit"),
        (VALUES, {"day": [0, 84, 84]}, DesignError, "`day` must ascend"),
        (
            VALUES,
            {"day": DAYS, "columns": {"sdmt": [1, 2]}},
            DesignError,
            r"`columns` has 'sdmt' of shape \(2,\)",
        ),
    ],
)
def test_bad_input(visits: Any, kws: dict[str, Any], error: type, message: str) -> None:
    with pytest.raises(error, match=message):
        derive_progression_batch(visits, "cdp12", **kws)


def test_why_subjects_left_is_not_known() -> None:
    rule = dataclasses.replace(PRESETS["cdp12"], impute_last_visit=1, impute_reasons=("dropout",))
    with pytest.raises(DesignError, match=r"`impute_reasons` of rule 'cdp12'.* no exits here"):
        derive_progression_batch(VALUES, rule, day=DAYS)


def test_draws_need_a_seed() -> None:
    rule = dataclasses.replace(PRESETS["cdp12"], impute_last_visit=0.5)
    with pytest.raises(DesignError, match="Give a `seed`"):
        derive_progression_batch(VALUES, rule, day=DAYS)


def test_days_may_be_texts_of_whole_numbers() -> None:
    found = derive_progression_batch(frame_of(day=["0", "84"]), "cdp12")
    assert found.duration.tolist() == [84]


def test_input_is_not_modified() -> None:
    frame, before = frame_of(), frame_of()
    derive_progression_batch(frame, "cdp12")
    pd.testing.assert_frame_equal(frame, before)


def test_a_measure_of_ones_own() -> None:
    """Without an entry in the dictionary the rule's direction is worse."""
    rule = dataclasses.replace(PRESETS["cdp12"], outcome="own", events="first_pira")
    visits = frame_of(trial=[1] * 3, subject_id=["A"] * 3, day=[0, 84, 168], edss=[4, 5, 5])
    found = derive_progression_batch(visits.rename(columns={"edss": "own"}), rule)
    assert (found.event.tolist(), found.relapse_class.tolist()) == ([True], [2])
