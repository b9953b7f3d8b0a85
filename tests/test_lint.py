"""ruff has nothing to say: the same two commands that `make lint` runs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from public_objects import ROOT


@pytest.mark.parametrize("options", [["check"], ["format", "--check"]], ids=" ".join)
def test_ruff_is_content(options: list[str]) -> None:
    command = [sys.executable, "-m", "ruff", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
