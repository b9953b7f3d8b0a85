"""Compilation: with or without numba, and kept code that is too old."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from pmsstats import compiling


def twice(value: float) -> float:
    return 2.0 * value


def test_function_stays_as_it_is_without_numba(monkeypatch):
    monkeypatch.setattr(compiling, "numba", None)
    assert compiling.compiled(twice) is twice


class NowhereToWrite:
    """Stands in for numba where no folder could keep compiled code."""

    def __init__(self) -> None:
        self.asked: list[bool] = []

    def njit(self, *, cache: bool = False, **options):
        self.asked.append(cache)
        refusals = {True: RuntimeError("cannot cache function: no locator available")}
        return {True: self._refuse(refusals.get(cache)), False: lambda function: function}[cache]

    @staticmethod
    def _refuse(error: Exception | None):
        def refuse(function):
            raise error or AssertionError

        return refuse


def test_code_that_cannot_be_kept_is_compiled_all_the_same(monkeypatch):
    numba = NowhereToWrite()
    monkeypatch.setattr(compiling, "numba", numba)
    assert compiling.compiled(twice)(3.0) == 6.0
    assert numba.asked == [True, False]


KERNELS = Path(compiling.__file__).parent / "models" / "kernels"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Return a copy of the sources with code that was kept: one older, one newer than they are."""
    (tmp_path / "__pycache__").mkdir()
    monkeypatch.setattr(compiling, "__file__", str(tmp_path / "lmm_climb.py"))
    for name in ("lmm_kernel", "lmm_climb", "small_matrices"):
        shutil.copy(KERNELS / f"{name}.py", tmp_path)
        os.utime(tmp_path / f"{name}.py", (2_000, 2_000))
    for name, age in (("old", 1_000), ("new", 3_000)):
        kept = tmp_path / "__pycache__" / f"lmm_kernel.{name}.nbi"
        kept.write_bytes(b"")
        os.utime(kept, (age, age))
    return tmp_path


def kept_code(folder: Path) -> list[str]:
    return [p.name for p in (folder / "__pycache__").iterdir()]


def test_code_older_than_any_source_is_forgotten(folder):
    compiling._forget_stale(folder / "lmm_kernel.py")
    assert kept_code(folder) == ["lmm_kernel.new.nbi"]


@pytest.mark.parametrize("changed", ["small_matrices.py", "lmm_climb.py"])
def test_code_older_than_a_neighbour_or_the_compiler_is_forgotten(folder, changed):
    os.utime(folder / changed, (4_000, 4_000))
    compiling._forget_stale(folder / "lmm_kernel.py")
    assert kept_code(folder) == []


def test_forgetting_needs_no_sources(tmp_path):
    compiling._forget_stale(tmp_path / "lmm_kernel.py")
