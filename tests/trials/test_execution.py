"""Where blocks are computed: the same numbers everywhere, also when workers die."""

from __future__ import annotations

import dataclasses
import sys
import time
from concurrent.futures import Future
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from toy_trials import GENERATOR, DeadlyBlock, toy_block, toy_scenario

import pmsstats.trials.execution as module
from pmsstats.errors import BackendUnavailableError, DesignError
from pmsstats.provenance import package_version
from pmsstats.trials.blocks import BlockTask, join_outcomes
from pmsstats.trials.execution import chosen_backend, execute
from pmsstats.trials.outcomes import BlockOutcome

ROOT = np.random.SeedSequence(11)
SCENARIO = toy_scenario()
N = 400
SIZE = 40
has_dask = pytest.mark.skipif(
    __import__("importlib.util").util.find_spec("distributed") is None, reason="needs Dask"
)


def tasks(run_block: object = toy_block) -> list[BlockTask]:
    return [
        BlockTask(
            position=0, scenario=SCENARIO, generator=GENERATOR, root=ROOT, first=first,
            last=first + SIZE, run_block=run_block, version=package_version(),
        )
        for first in range(0, N, SIZE)
    ]  # fmt: skip


def collected(run_block: object, **how: object) -> BlockOutcome:
    done = {task.first: outcome for task, outcome in execute(tasks(run_block), **how)}
    return join_outcomes([done[first] for first in sorted(done)])


EXPECTED = collected(toy_block, backend="serial")


def assert_expected(found: BlockOutcome) -> None:
    pd.testing.assert_frame_equal(found.estimates, EXPECTED.estimates, check_exact=True)
    pd.testing.assert_frame_equal(found.trials, EXPECTED.trials, check_exact=True)
    assert len(found.trials) == N


@pytest.mark.parametrize(
    ("backend", "n_workers"),
    [("processes", 1), ("processes", 2), pytest.param("dask", 2, marks=has_dask)],
)
def test_backends_agree(backend: str, n_workers: int) -> None:
    assert_expected(collected(toy_block, backend=backend, n_workers=n_workers))


@pytest.mark.parametrize("backend", ["processes", pytest.param("dask", marks=has_dask)])
def test_killed_worker_loses_nothing(backend: str, tmp_path: Path) -> None:
    deadly = DeadlyBlock(folder=str(tmp_path), first=3 * SIZE)
    assert_expected(collected(deadly, backend=backend, n_workers=2))
    assert [path.name for path in tmp_path.iterdir()] == ["died-0"]


@pytest.mark.slow  # four new pools
def test_block_that_kills_every_worker_is_given_up(tmp_path: Path) -> None:
    deadly = DeadlyBlock(folder=str(tmp_path), first=3 * SIZE, times=99)
    with pytest.raises(BackendUnavailableError, match=r"lost 4 times .*smaller `block_size`"):
        collected(deadly, backend="processes", n_workers=2)
    assert len(list(tmp_path.iterdir())) == 4


@pytest.mark.parametrize("backend", ["serial", "processes"])
def test_error_of_a_block_reaches_the_caller(backend: str) -> None:
    done = execute(
        [BlockTask(**{**vars(tasks()[0]), "version": "9.9"})], backend=backend, n_workers=None
    )
    with pytest.raises(DesignError, match="same version on every machine"):
        list(done)


class PoolHere:
    """A pool without processes, which notes its parcels and loses the fourth."""

    n_at_once = 2
    lost = 4
    losses = (OSError,)

    def __init__(self) -> None:
        self.parcels: list[tuple[tuple[int, int], ...]] = []

    def submit(self, shared, ranges):
        future: Future = Future()
        self.parcels.append(ranges)
        if len(self.parcels) == self.lost:
            future.set_exception(OSError("lost"))
        else:
            future.set_result(module._compute_parcel(shared, ranges))
        return future

    def first_done(self, futures):
        return list(futures)

    def close(self, futures):
        assert not list(futures)


def test_blocks_that_take_no_time_travel_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS_PER_PARCEL", 1e9)  # each parcel twice as large
    pool, other = PoolHere(), toy_scenario(0.1, name="other")
    ours = tasks()
    theirs = [dataclasses.replace(task, scenario=other, position=1) for task in ours]
    done = list(module._pooled([*ours, *theirs], pool))
    for position in (0, 1):
        found = {task.first: outcome for task, outcome in done if task.position == position}
        assert sorted(found) == [task.first for task in ours]
    assert len(done) == len(ours) + len(theirs)
    first = {task.first: outcome for task, outcome in done if task.position == 0}
    assert_expected(join_outcomes([first[key] for key in sorted(first)]))
    # one block each at first, then four; those of the lost parcel one by one
    assert [len(parcel) for parcel in pool.parcels[:8]] == [1, 1, 4, 4, 1, 1, 1, 1]
    assert pool.parcels[4:8] == [(block,) for block in pool.parcels[3]]
    assert len(pool.parcels[8]) == 1  # another scenario may take longer


@has_dask
def test_unreachable_scheduler_is_said_in_seconds() -> None:
    started = time.monotonic()
    with pytest.raises(BackendUnavailableError, match=r"No Dask scheduler answers at .*tcp://127"):
        list(execute(tasks(), backend="dask", scheduler="tcp://127.0.0.1:9"))
    assert time.monotonic() - started < 20


@has_dask
@pytest.mark.parametrize(
    "address",
    ["nonsense", pytest.param("tcp://no.such.host.invalid:8786", marks=pytest.mark.slow)],
)
def test_strange_address_is_said(address: str) -> None:
    with pytest.raises(BackendUnavailableError, match="Check the address"):
        list(execute(tasks(), backend="dask", scheduler=address))


def test_missing_dask_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(BackendUnavailableError, match=r"pmsstats\[dask\]"):
        list(execute(tasks(), backend="dask"))


@has_dask
def test_any_cluster_will_do() -> None:
    import distributed

    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=2, dashboard_address=":0"
    ) as cluster:
        found = collected(toy_block, backend="dask", scheduler=cluster.scheduler_address)
    assert_expected(found)


@pytest.mark.parametrize(
    ("backend", "n_workers", "scheduler", "expected"),
    [
        (None, None, None, "serial"),
        (None, 1, None, "serial"),
        (None, 2, None, "processes"),
        (None, None, "tcp://a:1", "dask"),
        ("dask", 2, None, "dask"),
    ],
)
def test_backend_follows_from_the_arguments(backend, n_workers, scheduler, expected) -> None:
    assert chosen_backend(backend, n_workers, scheduler) == expected


@pytest.mark.parametrize(
    ("backend", "n_workers", "scheduler", "words"),
    [
        ("threads", None, None, "`backend` must be .* got 'threads'"),
        (None, 0, None, "`n_workers` must be 1 or more, got 0"),
        ("serial", 2, None, "`backend='serial'` has one process"),
        ("processes", None, "tcp://a:1", "`scheduler` is the address of a Dask cluster"),
        (None, 2, "tcp://a:1", "`n_workers` .* starts local processes"),
    ],
)
def test_contradictions_are_refused(backend, n_workers, scheduler, words) -> None:
    with pytest.raises(DesignError, match=words):
        chosen_backend(backend, n_workers, scheduler)


def test_processes_leave_those_of_joblib_as_they_were():
    """Both share joblib's pool; a pool that joblib cannot use would break the next caller."""
    assert_expected(collected(toy_block, backend="processes", n_workers=2))
    work = [delayed(np.sum)(np.ones(200_000)) for _ in range(3)]
    assert Parallel(n_jobs=2)(work) == [200_000.0] * 3
    assert_expected(collected(toy_block, backend="processes", n_workers=2))
