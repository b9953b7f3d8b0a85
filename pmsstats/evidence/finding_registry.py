"""The catalogue of the review's findings: look up and list."""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from types import MappingProxyType

import pandas as pd

from pmsstats.errors import SchemaError, nearest
from pmsstats.evidence.entries import build_entry
from pmsstats.evidence.finding import Finding

__all__ = ["finding", "findings", "findings_table"]

SECTIONS = ("wm", "cortex", "cord", "cerebellum", "dgm", "trials", "outlook")
"""Sections of the review in its order; each has a file."""


def parse_findings(text: str) -> dict[str, Finding]:
    """Read findings from TOML.

    Parameters
    ----------
    text : str
        One table per finding, named by its id.

    Returns
    -------
    dict of str to Finding
        By id.

    Raises
    ------
    SchemaError
        If an entry has an unknown field, lacks one, or breaks a rule.
    """
    found: dict[str, Finding] = {}
    for name, entry in tomllib.loads(text).items():
        lists = {key: tuple(val) for key, val in entry.items() if isinstance(val, list)}
        found[name] = build_entry(Finding, name, {**entry, **lists}, id=name)
    return found


@functools.cache
def _catalog() -> Mapping[str, Finding]:
    """Read every finding, by id, section by section."""
    folder = resources.files("pmsstats.evidence").joinpath("catalog", "findings")
    found: dict[str, Finding] = {}
    for section in SECTIONS:
        found |= parse_findings(folder.joinpath(f"{section}.toml").read_text("utf-8"))
    return MappingProxyType(found)


def findings(
    *, section: str | None = None, kind: str | None = None, status: str | None = None
) -> tuple[Finding, ...]:
    """List the findings of the review, or those that fit.

    Parameters
    ----------
    section, kind, status : str, optional
        Exactly this.

    Returns
    -------
    tuple of Finding
        Section by section.

    Examples
    --------
    >>> len(findings()), len(findings(status="simulable"))
    (143, 126)
    """
    wanted = {"section": section, "kind": kind, "status": status}
    asked = {name: word for name, word in wanted.items() if word is not None}
    return tuple(
        f
        for f in _catalog().values()
        if all(getattr(f, name) == word for name, word in asked.items())
    )


def finding(finding_id: str) -> Finding:
    """Look up one finding.

    Parameters
    ----------
    finding_id : str
        Its id.

    Returns
    -------
    Finding
        The entry.

    Raises
    ------
    SchemaError
        If there is no such finding.

    Examples
    --------
    >>> found = finding("nawm-mtr-below-hc-ppms")
    >>> found.direction, found.references
    ('lower', (22, 23))
    """
    if finding_id not in _catalog():
        raise SchemaError(
            f"No finding {finding_id!r}.{nearest(finding_id, _catalog())} "
            "List them with `findings_table()`."
        )
    return _catalog()[finding_id]


def findings_table(chosen: Iterable[Finding] | None = None) -> pd.DataFrame:
    """Tabulate findings.

    Parameters
    ----------
    chosen : iterable of Finding, optional
        Which; all by default.

    Returns
    -------
    pandas.DataFrame
        Columns ``id section technique compartment measures population kind direction magnitude
        references status entered_twice statement``; measures and references joined by commas.
    """
    names = (
        "id", "section", "technique", "compartment", "measures", "population", "kind",
        "direction", "magnitude", "references", "status", "entered_twice", "statement",
    )  # fmt: skip
    rows = [
        {name: getattr(f, name) for name in names}
        | {name: ", ".join(map(str, getattr(f, name))) for name in ("measures", "references")}
        for f in (_catalog().values() if chosen is None else chosen)
    ]
    return pd.DataFrame(rows, columns=list(names))
