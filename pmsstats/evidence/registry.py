"""The catalogue of published values: look up, list, and warn about what was not checked."""

from __future__ import annotations

import functools
import tomllib
import warnings
from collections.abc import Iterable, Mapping
from importlib import resources
from types import MappingProxyType

import pandas as pd

from pmsstats.errors import EvidenceUncheckedWarning, SchemaError, first_ids, nearest
from pmsstats.evidence.citation import Citation
from pmsstats.evidence.entries import build_entry
from pmsstats.evidence.record import EvidenceRecord

__all__ = ["catalog", "citation", "evidence_table", "record", "records", "value", "warn_unchecked"]

_CITATIONS = "citations.toml"
_WARNED: set[tuple[str, frozenset[str]]] = set()
"""What was already said, and to which use: a simulation loop asks for the same values again."""


def parse_citations(text: str) -> dict[str, Citation]:
    """Read citations from TOML.

    Parameters
    ----------
    text : str
        One table per citation, named by its key.

    Returns
    -------
    dict of str to Citation
        By key.

    Raises
    ------
    SchemaError
        If an entry has an unknown field, or lacks one.
    """
    entries = tomllib.loads(text)
    return {key: build_entry(Citation, key, entry, key=key) for key, entry in entries.items()}


def parse_records(text: str, citations: Mapping[str, Citation]) -> dict[str, EvidenceRecord]:
    """Read evidence records from TOML.

    Parameters
    ----------
    text : str
        One table per record, named by its id; `citation` is the key of a citation.
    citations : mapping of str to Citation
        Known citations.

    Returns
    -------
    dict of str to EvidenceRecord
        By id.

    Raises
    ------
    SchemaError
        If an entry has an unknown field, lacks one, or names an unknown citation.
    """
    found: dict[str, EvidenceRecord] = {}
    for name, entry in tomllib.loads(text).items():
        key = str(entry.get("citation", ""))
        if key not in citations:
            raise SchemaError(
                f"Catalogue entry {name!r} names the unknown citation {key!r}."
                f"{nearest(key, citations)}"
            )
        found[name] = build_entry(EvidenceRecord, name, entry, id=name, citation=citations[key])
    return found


@functools.cache
def catalog() -> Mapping[str, EvidenceRecord]:
    """Return the whole catalogue.

    Returns
    -------
    mapping of str to EvidenceRecord
        By id, read-only, in the order of the files.
    """
    folder = resources.files("pmsstats.evidence").joinpath("catalog")
    files = sorted(
        (item for item in folder.iterdir() if item.name.endswith(".toml")), key=lambda f: f.name
    )
    texts = {item.name: item.read_text("utf-8") for item in files}
    citations = parse_citations(texts.pop(_CITATIONS))
    found: dict[str, EvidenceRecord] = {}
    for text in texts.values():
        found |= parse_records(text, citations)
    return MappingProxyType(found)


def record(record_id: str) -> EvidenceRecord:
    """Look up one record; looking is not using, so this does not warn.

    Parameters
    ----------
    record_id : str
        Its id.

    Returns
    -------
    EvidenceRecord
        The entry.

    Raises
    ------
    SchemaError
        If there is no such record.

    Examples
    --------
    >>> found = record("azevedo2018_thalamus_rate_ms")
    >>> found.value, found.units, found.citation.short
    (-0.71, '%/yr', 'Azevedo 2018')
    """
    if record_id not in catalog():
        raise SchemaError(
            f"No evidence record {record_id!r}.{nearest(record_id, catalog())} "
            "List them with `evidence_table()`."
        )
    return catalog()[record_id]


def records(
    *,
    measure: str | None = None,
    population: str | None = None,
    quantity: str | None = None,
    verified: str | Iterable[str] | None = None,
) -> tuple[EvidenceRecord, ...]:
    """List the records that fit.

    Parameters
    ----------
    measure, population, quantity : str, optional
        Exactly this.
    verified : str or iterable of str, optional
        One of these.

    Returns
    -------
    tuple of EvidenceRecord
        In catalogue order.
    """
    words = None if verified is None else {verified} if isinstance(verified, str) else set(verified)
    wanted = {"measure": measure, "population": population, "quantity": quantity}
    asked = {name: word for name, word in wanted.items() if word is not None}
    return tuple(
        r
        for r in catalog().values()
        if all(getattr(r, name) == word for name, word in asked.items())
        and (words is None or r.verified in words)
    )


def citation(key: str) -> Citation:
    """Look up the citation of some record.

    Parameters
    ----------
    key : str
        For example ``"azevedo2018"``.

    Returns
    -------
    Citation
        The entry.

    Raises
    ------
    SchemaError
        If no record cites it.
    """
    cited = {r.citation.key: r.citation for r in catalog().values()}
    if key not in cited:
        raise SchemaError(f"No record cites {key!r}.{nearest(key, cited)}")
    return cited[key]


def evidence_table(chosen: Iterable[EvidenceRecord] | None = None) -> pd.DataFrame:
    """Tabulate records.

    Parameters
    ----------
    chosen : iterable of EvidenceRecord, optional
        Which; all by default.

    Returns
    -------
    pandas.DataFrame
        Columns ``id measure population quantity value text sd se ci_low ci_high n units followup
        verified entered_twice citation``; `text` stands where there is no number.
    """
    names = (
        "id", "measure", "population", "quantity", "value", "text", "sd", "se", "ci_low",
        "ci_high", "n", "units", "followup", "verified", "entered_twice",
    )  # fmt: skip
    rows = [
        {**{name: getattr(r, name) for name in names}, "citation": r.citation.short}
        for r in (catalog().values() if chosen is None else chosen)
    ]
    return pd.DataFrame(rows, columns=[*names, "citation"])


def value(record_id: str) -> float:
    """Return a published value for use, and warn where it was not yet entered twice.

    Parameters
    ----------
    record_id : str
        Its id.

    Returns
    -------
    float
        In the units of the record.

    Raises
    ------
    SchemaError
        If there is no such record, or its source prints no single number.

    Warns
    -----
    EvidenceUncheckedWarning
        If the value was not entered twice.
    """
    found = record(record_id)
    if found.value is None:
        raise SchemaError(
            f"Evidence record {found.id!r} has no number: its source says {found.text!r}. "
            "Read it with `record`."
        )
    warn_unchecked([found.id], used_by="a look-up", stacklevel=2)
    return found.value


def warn_unchecked(
    record_ids: Iterable[str], *, used_by: str, stacklevel: int = 2
) -> tuple[str, ...]:
    """Warn about those of some used records that were not yet entered twice.

    The warning is given once per process for the same records and the same use.

    Parameters
    ----------
    record_ids : iterable of str
        Records that a computation rests on; repeats are dropped.
    used_by : str
        What rests on them, for the message.
    stacklevel : int, default 2
        As for :func:`warnings.warn`, seen from here.

    Returns
    -------
    tuple of str
        The unchecked ids.

    Warns
    -----
    EvidenceUncheckedWarning
        If there are any, and this process has not said so before.
    """
    unchecked = tuple(i for i in dict.fromkeys(record_ids) if not record(i).entered_twice)
    if unchecked and (used_by, frozenset(unchecked)) not in _WARNED:
        _WARNED.add((used_by, frozenset(unchecked)))
        plural = "values" if len(unchecked) > 1 else "value"
        warnings.warn(
            f"{len(unchecked)} published {plural} used by {used_by} not yet entered twice: "
            f"{first_ids(unchecked)}. See `pmsstats.evidence.evidence_table()`.",
            EvidenceUncheckedWarning,
            stacklevel=stacklevel + 1,
        )
    return unchecked
