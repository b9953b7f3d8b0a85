"""Loader of reference cases: external values with their origin, read from files."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parent
REFERENCE = ROOT / "reference"
_SHA = re.compile(r"SHA-256 of `?(?P<name>[\w.\-]+)`?: `?(?P<sha>[0-9a-f]{64})`?")
_INPUT = re.compile(r"input_file\s*[=:]\s*`?(?P<name>[\w.\-]+)`?")


def data_folder() -> Path:
    """Return the folder of real inputs: $PMSSTATS_DATA, else shared/data beside the checkout."""
    default = ROOT.parent.parent / "shared" / "data"
    return Path(os.environ.get("PMSSTATS_DATA", default)).resolve()


@dataclass(frozen=True, kw_only=True)
class ReferenceCase:
    """Input and expected values of one case."""

    name: str
    input: pd.DataFrame
    expected: pd.DataFrame

    def rows(self, quantity: str) -> pd.DataFrame:
        """Return the expected rows of one quantity; fail if there are none."""
        rows = self.expected[self.expected["quantity"] == quantity]
        assert len(rows), f"reference case {self.name} has no quantity {quantity!r}"
        return rows


def load_case(name: str) -> ReferenceCase:
    """Load a reference case after checking that its input is the one that was used.

    The input is ``input.csv`` in the case's folder, or the file that SOURCE.md names as
    ``input_file``, looked up among the real inputs (the test is skipped where it is absent).
    """
    folder = REFERENCE / name
    source = (folder / "SOURCE.md").read_text(encoding="utf-8")
    named = _INPUT.search(source)
    path = data_folder() / named["name"] if named else folder / "input.csv"
    if named and not path.is_file():
        pytest.skip(f"no real input {path.name} in {path.parent}")
    stated = {m["name"]: m["sha"] for m in _SHA.finditer(source)}
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    assert stated.get(path.name) == found, (
        f"{path.name} of reference case {name} is not the file its values were made from"
    )
    return ReferenceCase(
        name=name,
        input=pd.read_csv(path),
        expected=pd.read_csv(folder / "expected.csv", keep_default_na=False, na_values=["NA"]),
    )
