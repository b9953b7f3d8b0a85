"""Finished blocks on disk: a run that was killed goes on, and gives the same bytes."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from toy_trials import ENGINE, GENERATOR, ToyGenerator, toy_block, toy_scenario

import pmsstats.trials.checkpoint as module
from pmsstats.errors import DesignError
from pmsstats.trials.blocks import TrialEngine, check_outcome
from pmsstats.trials.checkpoint import Checkpoint, CheckpointError, generator_identity
from pmsstats.trials.result import SimulationResult
from pmsstats.trials.scenario import Accrual, TrialAnalysis
from pmsstats.trials.simulate import SimulationRequest, simulate_with

SCENARIO = toy_scenario()
ROOT = np.random.SeedSequence(7)
ROOM = Path(__file__).resolve().parents[1]


def simulate(folder: Path | None, n: int = 200, *, size: int = 20, seed=7, **how):
    engine = how.pop("engine", ENGINE)
    scenario, generator = how.pop("scenario", SCENARIO), how.pop("generator", GENERATOR)
    request = SimulationRequest(
        n_replicates=n, block_size=size, checkpoint=folder, truth=how.pop("truth", False), **how
    )
    return simulate_with(engine, scenario, generator, seed, request)


def written(result: SimulationResult, folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in result.write(folder) if p.suffix == ".parquet"}


@dataclasses.dataclass(frozen=True)
class Counting:
    """Notes which blocks are computed."""

    seen: list

    def __call__(self, scenario, generator, root, first, last):
        self.seen.append((first, last))
        return toy_block(scenario, generator, root, first, last)


@dataclasses.dataclass(frozen=True)
class Interrupted:
    """Is interrupted when it comes to a replicate."""

    at: int

    def __call__(self, scenario, generator, root, first, last):
        if last > self.at:
            raise KeyboardInterrupt
        return toy_block(scenario, generator, root, first, last)


def counting() -> tuple[TrialEngine, list[tuple[int, int]]]:
    seen: list[tuple[int, int]] = []
    return TrialEngine(run_block=Counting(seen), analyse=ENGINE.analyse), seen


@pytest.fixture
def half_done(tmp_path: Path) -> Path:
    """A checkpoint of a run that was interrupted after 100 of 200 replicates."""
    folder = tmp_path / "half"
    engine = TrialEngine(run_block=Interrupted(100), analyse=ENGINE.analyse)
    with pytest.raises(KeyboardInterrupt):
        simulate(folder, engine=engine)
    return folder


def test_block_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path / "c", scenario=SCENARIO, generator=GENERATOR, root=ROOT)
    block = check_outcome(toy_block(SCENARIO, GENERATOR, ROOT, 20, 60), 20, 60)
    block.estimates.loc[3, ["estimate", "df"]] = [np.nan, np.inf]
    kept.write(block, 20, 60)
    back = kept.read(20, 60)
    assert kept.blocks() == [(20, 60)]
    for name in ("estimates", "trials", "arms"):
        expected = getattr(block, name)
        pd.testing.assert_frame_equal(getattr(back, name), expected, check_exact=True)


def test_block_that_another_process_stored_first_is_left_as_it_is(tmp_path: Path) -> None:
    kept = Checkpoint(tmp_path / "c", scenario=SCENARIO, generator=GENERATOR, root=ROOT)
    block = check_outcome(toy_block(SCENARIO, GENERATOR, ROOT, 20, 60), 20, 60)
    kept.write(block, 20, 60)
    stored = sorted((p, p.stat().st_mtime_ns) for p in kept.folder.rglob("*.parquet"))
    kept.write(block, 20, 60)
    assert sorted((p, p.stat().st_mtime_ns) for p in kept.folder.rglob("*.parquet")) == stored
    assert sorted(p.name for p in kept.folder.iterdir()) == [
        "block-00000020-00000060",
        "manifest.json",
    ]


@pytest.mark.parametrize("size", [20, 33, 200])
def test_resumed_run_computes_the_rest_and_gives_the_same_bytes(
    half_done: Path, tmp_path: Path, size: int
) -> None:
    engine, seen = counting()
    resumed = simulate(half_done, size=size, engine=engine)
    assert min(first for first, _ in seen) == 100
    assert sum(last - first for first, last in seen) == 100
    whole = simulate(None)
    assert written(resumed, tmp_path / "a") == written(whole, tmp_path / "b")


def test_finished_run_computes_nothing_and_more_replicates_only_what_is_new(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "c"
    simulate(folder, 100)
    engine, seen = counting()
    simulate(folder, 100, engine=engine)
    assert seen == []
    more = simulate(folder, 150, engine=engine, size=50)
    assert seen == [(100, 150)]
    fewer = simulate(folder, 70, engine=engine)
    assert len(seen) == 1
    assert fewer.trials["replicate"].tolist() == list(range(70))
    pd.testing.assert_frame_equal(more.trials.head(70), fewer.trials)


def damage(path: Path, kind: str) -> None:
    data = path.read_bytes()
    match kind:
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case "empty":
            path.write_bytes(b"")
        case "flipped":  # a bit inside the first column
            path.write_bytes(data[:40] + bytes([data[40] ^ 1]) + data[41:])
        case "gone":
            path.unlink()
        case _:  # one replicate less, in a file that reads well
            pd.read_parquet(path).iloc[:-1].to_parquet(path)


@pytest.mark.parametrize("kind", ["cut", "empty", "flipped", "gone", "shorter"])
def test_damaged_block_is_computed_again(half_done: Path, tmp_path: Path, kind: str) -> None:
    damage(half_done / "block-00000020-00000040" / "trials.parquet", kind)
    engine, seen = counting()
    resumed = simulate(half_done, engine=engine)
    assert (20, 40) in seen
    assert (0, 20) not in seen
    assert written(resumed, tmp_path / "a") == written(simulate(None), tmp_path / "b")


def test_what_a_killed_writer_left_is_cleared(half_done: Path) -> None:
    left = half_done / ".unfinished-123-block-00000100-00000120"
    left.mkdir()
    (left / "trials.parquet").write_bytes(b"PAR1")
    engine, seen = counting()
    simulate(half_done, engine=engine)
    assert not left.exists()
    assert (100, 120) in seen


SCRIPT = """
import sys
from pathlib import Path
from toy_trials import GENERATOR, ENGINE, SlowBlock, toy_scenario
from pmsstats.trials.blocks import TrialEngine
from pmsstats.trials.simulate import SimulationRequest, simulate_with

engine = TrialEngine(run_block=SlowBlock(0.1), analyse=ENGINE.analyse)
request = SimulationRequest(
    n_replicates=200, block_size=20, checkpoint=Path(sys.argv[1]), truth=False
)
simulate_with(engine, toy_scenario(), GENERATOR, 7, request)
"""


def test_run_killed_by_the_system_is_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "c"
    path = os.pathsep.join([str(ROOM), str(ROOM.parent)])
    run = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(folder)], env={**os.environ, "PYTHONPATH": path}
    )
    deadline = time.monotonic() + 60
    while len(list(folder.glob("block-*"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    run.send_signal(signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    n_finished = len(list(folder.glob("block-*")))
    assert 3 <= n_finished < 10
    engine, seen = counting()
    resumed = simulate(folder, engine=engine)
    assert len(seen) == 10 - n_finished
    assert written(resumed, tmp_path / "a") == written(simulate(None), tmp_path / "b")


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A disk with room for so many files."""
    left = [9]
    write = module.write_frame

    def filling(frame: pd.DataFrame, path: Path) -> None:
        left[0] -= 1
        if left[0] < 0:
            path.write_bytes(b"PAR1")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(frame, path)

    monkeypatch.setattr(module, "write_frame", filling)
    return left


def test_true_values_that_did_not_fit_leave_nothing_behind(tmp_path: Path, room: list[int]) -> None:
    room[0] = 0
    with pytest.raises(CheckpointError, match="disk is full"):
        simulate(tmp_path / "c", truth=2000)
    assert [p.name for p in (tmp_path / "c").iterdir()] == ["manifest.json"]


def test_full_disk_keeps_what_is_finished(tmp_path: Path, room: list[int]) -> None:
    folder = tmp_path / "c"
    with pytest.raises(CheckpointError, match=r"disk is full.*finished are kept.*goes on"):
        simulate(folder)
    assert sorted(p.name for p in folder.iterdir()) == [
        "block-00000000-00000020",
        "block-00000020-00000040",
        "block-00000040-00000060",
        "manifest.json",
    ]
    room[0] = 1000
    engine, seen = counting()
    resumed = simulate(folder, engine=engine)
    assert seen[0] == (60, 80)
    assert written(resumed, tmp_path / "a") == written(simulate(None), tmp_path / "b")


def test_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match="Writing failed"):
        simulate(tmp_path / "file" / "c")


LARGER = toy_scenario(accrual=Accrual(n_subjects=60))
OTHERS = [
    ({"seed": 8}, "seed.entropy is 7 there and 8 here"),
    ({"seed": np.random.SeedSequence(7, spawn_key=(1,))}, r"seed.spawn_key is \[\] there"),
    ({"scenario": LARGER}, "scenario.accrual.n_subjects is 40 there and 60 here"),
    ({"scenario": toy_scenario(0.1)}, r"scenario.arms\[1\].effects.shift is 0.8 there and 0.1"),
    ({"generator": ToyGenerator("toy 2")}, "generator is 'toy 1' there and 'toy 2' here"),
    ({"scenario": toy_scenario(0.1, 0.2)}, "scenario.arms"),
]


@pytest.mark.parametrize(("changed", "words"), OTHERS)
def test_checkpoint_of_another_run_is_refused(half_done: Path, changed: dict, words: str) -> None:
    before = sorted(half_done.iterdir())
    with pytest.raises(DesignError, match=f"is of another run: .*{words}"):
        simulate(half_done, **changed)
    assert sorted(half_done.iterdir()) == before


def test_checkpoint_of_another_version_is_refused(half_done: Path) -> None:
    path = half_done / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(manifest | {"package_version": "0.0.1"}), encoding="utf-8")
    with pytest.raises(DesignError, match=r"package_version is '0\.0\.1' there and '"):
        simulate(half_done)


@pytest.mark.parametrize("text", ["{}", "not json", '{"schema": "manifest/1"}', "[1]"])
def test_manifest_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(DesignError, match="not of a simulation"):
        simulate(tmp_path)


def test_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").touch()
    with pytest.raises(DesignError, match=r"holds files, but no manifest\.json"):
        simulate(tmp_path)


def test_words_and_limits_may_change_before_a_run_is_resumed(half_done: Path) -> None:
    analyses = (TrialAnalysis(name="test", endpoint="score", method="change", true_value=0.8),)
    renamed = toy_scenario(name="new", citation="a paper", max_failure_rate=0.2, analyses=analyses)
    engine, seen = counting()
    result = simulate(half_done, scenario=renamed, engine=engine, truth=True)
    assert len(seen) == 5
    assert result.value("truth") == (0.8, 0.0)


def test_truth_is_computed_once(tmp_path: Path) -> None:
    def refuse(*args: object, **kws: object) -> None:
        raise AssertionError

    first = simulate(tmp_path / "c", truth=2000)
    engine = TrialEngine(run_block=toy_block, analyse=refuse)
    again = simulate(tmp_path / "c", truth=2000, engine=engine)
    pd.testing.assert_frame_equal(again.truth, first.truth, check_exact=True)
    with pytest.raises(AssertionError):  # another size is another value
        simulate(tmp_path / "c", truth=4000, engine=engine)


def test_overlapping_blocks_are_read_once(half_done: Path) -> None:
    simulate(half_done, 100, size=100)
    (half_done / "block-00000010-00000050").mkdir()
    kept = Checkpoint(half_done, scenario=SCENARIO, generator=GENERATOR, root=ROOT)
    assert kept.blocks()[:3] == [(0, 20), (20, 40), (40, 60)]
    assert len(simulate(half_done).trials) == 200


def test_generators_are_told_apart() -> None:
    def other() -> None: ...

    identities = [generator_identity(g) for g in (GENERATOR, toy_block, other, Interrupted(3))]
    assert len(set(identities)) == 4
    assert identities[0] == "toy 1"
    assert generator_identity(Interrupted(3)) == identities[3]
    assert generator_identity(Interrupted(4)) != identities[3]
    assert generator_identity(object()) == generator_identity(object())  # no address
