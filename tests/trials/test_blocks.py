"""How a simulation is cut into tasks, and what a task may hand back."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_trials import GENERATOR, toy_block, toy_scenario

from pmsstats.errors import DesignError
from pmsstats.provenance import package_version
from pmsstats.trials.blocks import (
    COLUMNS,
    BlockTask,
    check_outcome,
    compute_block,
    cut_blocks,
    default_block_size,
    join_outcomes,
    missing_ranges,
    until,
)
from pmsstats.trials.scenario import Accrual, TrialEndpoint

ROOT = np.random.SeedSequence(3)
SCENARIO = toy_scenario()


def task(first: int, last: int, version: str = package_version()) -> BlockTask:
    return BlockTask(
        position=0, scenario=SCENARIO, generator=GENERATOR, root=ROOT, first=first, last=last,
        run_block=toy_block, version=version,
    )  # fmt: skip


@given(
    n=st.integers(1, 400),
    size=st.integers(1, 90),
    edges=st.lists(st.integers(0, 500), unique=True, max_size=8),
)
def test_done_and_cut_blocks_are_all_replicates_once(n: int, size: int, edges: list[int]) -> None:
    edges = sorted(edges)[: len(edges) // 2 * 2]
    done = list(zip(edges[::2], edges[1::2], strict=True))
    cut = cut_blocks(missing_ranges(n, done), size)
    counts = np.zeros(max([n, *edges]), dtype=int)
    for first, last in [*done, *cut]:
        counts[first:last] += 1
    assert (counts[:n] == 1).all()
    assert all(0 < last - first <= size and last <= n for first, last in cut)
    assert all(first // size == (last - 1) // size for first, last in cut)


@pytest.mark.parametrize("size", [20, 37, 100])
def test_blocks_joined_are_one_block(size: int) -> None:
    whole = compute_block(task(0, 130))
    parts = [compute_block(task(a, b)) for a, b in cut_blocks([(0, 130)], size)]
    joined = join_outcomes(parts)
    assert len(parts) > 1
    for name in COLUMNS:
        pd.testing.assert_frame_equal(getattr(joined, name), getattr(whole, name), check_exact=True)


def test_what_a_worker_hands_back_is_checked() -> None:
    def shuffled(*args):
        block = toy_block(*args)
        return dataclasses.replace(block, trials=block.trials.sample(frac=1, random_state=1))

    def lacking(*args):
        block = toy_block(*args)
        return dataclasses.replace(block, trials=block.trials.iloc[:-1])

    expected = compute_block(task(20, 60)).trials
    found = compute_block(dataclasses.replace(task(20, 60), run_block=shuffled)).trials
    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    with pytest.raises(DesignError, match="each of the replicates 20 to 59 once, found 39"):
        compute_block(dataclasses.replace(task(20, 60), run_block=lacking))


def test_until_leaves_the_later_replicates_out() -> None:
    outcome = until(compute_block(task(0, 60)), 45)
    assert outcome.trials["replicate"].tolist() == list(range(45))
    assert set(outcome.arms["replicate"]) == set(range(45))


def test_rows_in_any_order_come_out_sorted() -> None:
    block = toy_block(SCENARIO, GENERATOR, ROOT, 20, 60)
    mixed = dataclasses.replace(
        block,
        **{n: getattr(block, n).sample(frac=1, random_state=1) for n in COLUMNS},
    )
    expected, found = check_outcome(block, 20, 60), check_outcome(mixed, 20, 60)
    pd.testing.assert_frame_equal(found.trials, expected.trials)
    pd.testing.assert_frame_equal(found.estimates, expected.estimates)


def test_types_are_those_declared_and_missing_texts_are_empty() -> None:
    block = toy_block(SCENARIO, GENERATOR, ROOT, 0, 20)
    trials = block.trials.assign(
        reason=None, stopped_for=pd.Categorical(block.trials["stopped_for"]), n_looks=1.0
    )
    found = check_outcome(dataclasses.replace(block, trials=trials), 0, 20).trials
    assert found.dtypes.astype(str).to_dict() == COLUMNS["trials"]
    assert set(found["reason"]) == {""}
    assert set(found["stopped_for"]) == {"end"}


def broken(kind: str):
    block = toy_block(SCENARIO, GENERATOR, ROOT, 0, 20)
    changes = {
        "lost replicate": {"trials": block.trials.iloc[1:]},
        "repeated replicate": {"trials": pd.concat([block.trials, block.trials.iloc[:1]])},
        "lacking column": {"estimates": block.estimates.drop(columns="z")},
        "repeated row": {"estimates": pd.concat([block.estimates, block.estimates.iloc[:1]])},
        "foreign replicate": {"arms": block.arms.assign(replicate=block.arms["replicate"] + 1)},
    }
    return dataclasses.replace(block, **changes[kind])


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("lost replicate", "each of the replicates 0 to 19 once, found 19 rows"),
        ("repeated replicate", "repeats a replicate"),
        ("lacking column", "lacks the column 'z'"),
        ("repeated row", "repeats a replicate and look"),
        ("foreign replicate", "replicates outside 0 to 20"),
    ],
)
def test_bad_block_is_refused(kind: str, words: str) -> None:
    with pytest.raises(DesignError, match=words):
        check_outcome(broken(kind), 0, 20)


def test_worker_of_another_version_refuses() -> None:
    with pytest.raises(DesignError, match=r"version 9\.9 asks"):
        compute_block(task(0, 20, version="9.9"))


@pytest.mark.parametrize(
    ("n_subjects", "n_replicates", "n_workers", "expected"),
    [
        (40, 10_000, 1, 1000),  # the largest
        (40, 400, 2, 40),  # eight tasks for two workers: 50, cut to a multiple of 20
        (40, 10, 4, 20),  # never below those that share a stream
        (20_000, 10_000, 1, 40),  # 2^21 values / (20000 x 2 visits) = 52
    ],
)
def test_default_block_size(
    n_subjects: int, n_replicates: int, n_workers: int, expected: int
) -> None:
    scenario = toy_scenario(accrual=Accrual(n_subjects=n_subjects))
    assert default_block_size(scenario, n_replicates, n_workers) == expected


def test_a_block_is_as_large_in_memory_with_more_measures() -> None:
    endpoints = tuple(TrialEndpoint(name=name, measure=name) for name in ("score", "walk", "hand"))
    sizes = [
        default_block_size(
            toy_scenario(accrual=Accrual(n_subjects=5000), endpoints=endpoints[:k]), 10_000, 1
        )
        for k in (1, 3)
    ]
    # 2^21 values / (5,000 subjects x 2 visits) = 209 trials, and a third of it: whole streams of 20
    assert sizes == [200, 60]
