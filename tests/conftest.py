"""Fixtures and hypothesis profiles that every test shares."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pytest
from hypothesis import HealthCheck, settings
from reference_cases import data_folder

mpl.use("Agg")

settings.register_profile(
    "ci",
    derandomize=True,
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("deep", parent=settings.get_profile("ci"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of the real inputs (see README, "Contributing"); skip where it is absent."""
    folder = data_folder()
    if not folder.is_dir():
        pytest.skip(f"no real inputs: {folder} is absent (set PMSSTATS_DATA to their folder)")
    return folder


@pytest.fixture(scope="session")
def data_file(data_dir: Path) -> Callable[[str], Path]:
    """Look up one real input by name; skip where it is absent."""

    def find(name: str) -> Path:
        path = data_dir / name
        if not path.is_file():
            pytest.skip(f"no real input {name} in {data_dir}")
        return path

    return find


@pytest.fixture(scope="session")
def shared_file(data_dir: Path) -> Callable[[str], Path]:
    """Look up a file beside the data folder (``evidence/review_findings.csv``); skip if absent."""

    def find(name: str) -> Path:
        path = data_dir.parent / name
        if not path.is_file():
            pytest.skip(f"no shared file {name} in {data_dir.parent}")
        return path

    return find


def _has_r() -> bool:
    """Say whether R runs and has lme4 and lmerTest."""
    rscript = shutil.which("Rscript")
    if rscript is None:
        return False
    probe = "stopifnot(requireNamespace('lme4'), requireNamespace('lmerTest'))"
    done = subprocess.run([rscript, "-e", probe], capture_output=True, timeout=120, check=False)
    return done.returncode == 0


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip tests marked `r` where R is absent, unless PMSSTATS_REQUIRE_R=1 forbids it."""
    del config
    needing = [item for item in items if item.get_closest_marker("r")]
    if not needing or os.environ.get("PMSSTATS_REQUIRE_R") == "1" or _has_r():
        return
    for item in needing:
        item.add_marker(pytest.mark.skip(reason="needs R with lme4 and lmerTest"))
