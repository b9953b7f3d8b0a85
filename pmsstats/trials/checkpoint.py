"""Finished blocks on disk, so that an interrupted simulation goes on where it stopped."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import inspect
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, PMSStatsError
from pmsstats.provenance import library_versions, package_version
from pmsstats.results import to_plain
from pmsstats.trials.blocks import COLUMNS, check_outcome
from pmsstats.trials.outcomes import BlockOutcome
from pmsstats.trials.scenario import Scenario

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "generator_identity",
    "scenario_identity",
    "write_frame",
]

_SCHEMA = "simulation_checkpoint/1"
_MANIFEST = "manifest.json"
_TRUTH = "truth.parquet"
_BLOCK = re.compile(r"block-(\d{8})-(\d{8})")
_UNFINISHED = ".unfinished-"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_DIFFERENCES_SHOWN = 3


class CheckpointError(PMSStatsError, RuntimeError):
    """A checkpoint cannot be written; what it holds already is kept."""


def scenario_identity(scenario: Scenario) -> dict[str, Any]:
    """Return what the numbers of a scenario depend on, as plain types.

    Parameters
    ----------
    scenario : Scenario
        The trial.

    Returns
    -------
    dict
        Without title, citation, the failure rate at which the run stops, and given true values:
        these may be changed before a run is resumed.
    """
    plain: dict[str, Any] = to_plain(scenario)
    for name in ("name", "citation", "max_failure_rate"):
        del plain[name]
    for analysis in plain["analyses"]:
        del analysis["true_value"]
    return plain


def generator_identity(generator: Any) -> str:
    """Return words that tell a generator from others.

    Parameters
    ----------
    generator : callable
        With an attribute ``fingerprint``, or a function or object whose source can be read.

    Returns
    -------
    str
        Its fingerprint, or its name with the first digits of the hash of its source.
    """
    fingerprint = getattr(generator, "fingerprint", None)
    if fingerprint is not None:
        return str(fingerprint() if callable(fingerprint) else fingerprint)
    kind = generator if inspect.isroutine(generator) else type(generator)
    name = f"{kind.__module__}.{kind.__qualname__}"
    with contextlib.suppress(OSError, TypeError):
        source = inspect.getsource(kind).encode("utf-8")
        name += f" {hashlib.sha256(source).hexdigest()[:16]}"
    return name if kind is generator else f"{name} {_without_address(repr(generator))}"


def _without_address(text: str) -> str:
    """Leave out where in memory an object lies."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


class Checkpoint:
    """A folder with one scenario's finished blocks.

    Parameters
    ----------
    folder : pathlib.Path
        Made if it is not there. Each block is a folder of three Parquet files, which appears under
        its name when it is complete.
    scenario : Scenario
        The trial.
    generator : callable
        Makes the data.
    root : numpy.random.SeedSequence
        From which every stream is spawned.

    Raises
    ------
    DesignError
        If the folder holds something else, or the blocks of another version, scenario, generator
        or seed.
    CheckpointError
        If it cannot be written.
    """

    def __init__(
        self, folder: Path, *, scenario: Scenario, generator: Any, root: np.random.SeedSequence
    ) -> None:
        self.folder = folder
        identity = {
            "schema": _SCHEMA,
            "package_version": package_version(),
            "scenario": scenario_identity(scenario),
            "generator": generator_identity(generator),
            "seed": {"entropy": to_plain(root.entropy), "spawn_key": list(root.spawn_key)},
        }
        with _disk(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for left in folder.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(left, ignore_errors=True) if left.is_dir() else left.unlink()
            self._open(identity)

    def _open(self, identity: Mapping[str, Any]) -> None:
        """Write the manifest of a new checkpoint, or compare that of an old one."""
        path = self.folder / _MANIFEST
        canonical = json.loads(json.dumps(identity))
        if path.is_file():
            _refuse_another(self.folder, _read_manifest(path), canonical)
            return
        if any(self.folder.iterdir()):
            raise DesignError(
                f"`checkpoint` {str(self.folder)!r} holds files, but no {_MANIFEST} of a "
                "simulation. Choose a new or an empty folder."
            )
        text = json.dumps(canonical, sort_keys=True).encode()
        manifest = {
            **canonical,
            "fingerprint": hashlib.sha256(text).hexdigest(),
            "versions": library_versions(),
        }
        written = json.dumps(manifest, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        self._publish(_MANIFEST, lambda new: new.write_text(written, encoding="utf-8"))

    def blocks(self) -> list[tuple[int, int]]:
        """Return first and last replicate (the one after it) of stored blocks, without overlap."""
        named = (_BLOCK.fullmatch(path.name) for path in self.folder.iterdir() if path.is_dir())
        found = sorted((int(name[1]), int(name[2])) for name in named if name)
        apart: list[tuple[int, int]] = []
        for first, last in found:
            if not apart or first >= apart[-1][1]:
                apart.append((first, last))
        return apart

    def read(self, first: int, last: int) -> BlockOutcome | None:
        """Read a block; remove it where it is damaged.

        Parameters
        ----------
        first, last : int
            Its replicates, as its name says.

        Returns
        -------
        BlockOutcome or None
            None where it must be computed anew.
        """
        folder = self._block(first, last)
        try:
            frames = {name: _read_frame(folder / f"{name}.parquet") for name in COLUMNS}
            return check_outcome(BlockOutcome(**frames), first, last)
        except (OSError, ValueError, TypeError):  # those of pyarrow are among them
            shutil.rmtree(folder, ignore_errors=True)
            return None

    def write(self, outcome: BlockOutcome, first: int, last: int) -> None:
        """Store a finished block.

        Parameters
        ----------
        outcome : BlockOutcome
            As :func:`check_outcome` returns it.
        first, last : int
            Its replicates.

        Raises
        ------
        CheckpointError
            If the disk is full or does not let itself be written.
        """

        def fill(folder: Path) -> None:
            folder.mkdir()
            for name in COLUMNS:
                write_frame(getattr(outcome, name), folder / f"{name}.parquet")
                _flush(folder / f"{name}.parquet")

        with _disk(self.folder):
            self._publish(self._block(first, last).name, fill)

    def truth(self, compute: Callable[[], pd.DataFrame], key: str) -> pd.DataFrame:
        """Return the true values that are stored, or compute and store them.

        Parameters
        ----------
        compute : callable
            Gives the frame.
        key : str
            What it was computed with; another key computes anew.

        Returns
        -------
        pandas.DataFrame
            As computed.
        """
        path = self.folder / _TRUTH
        with contextlib.suppress(OSError, ValueError, KeyError):
            kept = _read_frame(path)
            if kept.attrs.pop("key", None) == key:
                return kept
        values = compute()
        with _disk(self.folder):
            stored = values.copy()
            stored.attrs["key"] = key
            self._publish(_TRUTH, lambda new: write_frame(stored, new))
        return values

    def _block(self, first: int, last: int) -> Path:
        """Return the folder of a block."""
        return self.folder / f"block-{first:08d}-{last:08d}"

    def _publish(self, name: str, fill: Callable[[Path], object]) -> None:
        """Write beside, then rename: a name stands for something complete."""
        new = self.folder / f"{_UNFINISHED}{os.getpid()}-{name}"
        try:
            fill(new)
            _flush(new)
            if new.is_dir() and (self.folder / name).exists():  # another process was faster
                shutil.rmtree(new)
            else:
                new.replace(self.folder / name)
            _flush(self.folder)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            new.unlink(missing_ok=True) if new.is_file() else None
            raise


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as Parquet with check sums.

    Parameters
    ----------
    frame : pandas.DataFrame
        Tidy.
    path : pathlib.Path
        File to write; the same frame gives the same bytes.
    """
    frame.to_parquet(path, index=False, compression="zstd", write_page_checksum=True)


def _read_frame(path: Path) -> pd.DataFrame:
    """Read a frame, verifying its check sums."""
    return pd.read_parquet(path, engine="pyarrow", page_checksum_verification=True)


def _flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _disk(folder: Path) -> Any:
    """Say in plain words that a folder cannot be written."""
    try:
        yield
    except OSError as exc:
        full = exc.errno in _FULL
        why = "The disk is full" if full else f"Writing failed ({exc.strerror or exc})"
        what = "Make room" if full else "Check the folder"
        raise CheckpointError(
            f"{why}: `checkpoint` {str(folder)!r} could not be written. The blocks that are "
            f"finished are kept. {what} and run the same call again: it goes on from there."
        ) from exc


def _read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest of ours."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("schema") != _SCHEMA:
        raise DesignError(
            f"`checkpoint` {str(path.parent)!r} holds a {_MANIFEST} that is not of a simulation "
            f"({_SCHEMA}). Choose another folder."
        )
    return manifest


def _refuse_another(folder: Path, found: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """Say in what a checkpoint differs from what is asked."""
    differing = _differences({key: found.get(key) for key in asked}, asked)
    if not differing:
        return
    shown = "; ".join(differing[:_DIFFERENCES_SHOWN])
    more = f"; and {len(differing) - _DIFFERENCES_SHOWN} more"
    raise DesignError(
        f"`checkpoint` {str(folder)!r} is of another run: {shown}"
        f"{more if len(differing) > _DIFFERENCES_SHOWN else ''}. Choose another folder, or ask "
        "for what it holds."
    )


def _differences(found: Any, asked: Any, where: str = "") -> list[str]:
    """List the leaves in which two trees of plain types differ."""
    if isinstance(found, dict) and isinstance(asked, dict):
        keys = dict.fromkeys([*asked, *found])
        pairs = [(f"{where}.{k}".lstrip("."), found.get(k), asked.get(k)) for k in keys]
    elif isinstance(found, list) and isinstance(asked, list) and len(found) == len(asked):
        pairs = [(f"{where}[{i}]", *pair) for i, pair in enumerate(zip(found, asked, strict=True))]
    else:
        return [] if found == asked else [f"{where} is {found!r} there and {asked!r} here"]
    return [text for name, old, new in pairs for text in _differences(old, new, name)]
