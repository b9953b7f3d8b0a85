"""The findings of the review against two independent entries.

Witnesses: the first entry (the shared table) and the second (``tests/reference/review_findings``,
made from the review's text without sight of the first). Where they agree, the catalogue must say
the same; where they differ, ``decisions.csv`` says which stands and why. Number, section,
technique, compartment, measure and population were given to the second entry, so they are
compared with the first entry alone.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest

from pmsstats import evidence
from pmsstats.cohort.schema import default_dictionary
from pmsstats.errors import SchemaError
from pmsstats.evidence import Finding
from pmsstats.evidence.finding_registry import parse_findings

FOLDER = Path(__file__).parents[1] / "reference" / "review_findings"
FINDINGS = {f.id: f for f in evidence.findings()}
FIELDS = ("kind", "direction", "magnitude", "references", "simulable")
GIVEN = ("section", "technique", "compartment", "population")
POPULATION_CORRECTED = {"lme-prevalence-progressive-vs-rrms"}
"""The review prints the 33 % as of SPMS; its source counts all progressive MS."""

FINDING = Finding(
    id="nawm-low",
    statement="NAWM MTR is low.",
    section="wm",
    technique="mtr",
    compartment="brain_wm",
    measures=("nawm_mtr_pu",),
    population="PPMS vs HC",
    kind="cross_sectional_difference",
    direction="lower",
    status="simulable",
)


def _read(name):
    with (FOLDER / name).open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def _references(cell):
    """Read reference numbers, ranges written out; words in brackets hold none."""
    pairs = re.findall(r"(\d+)(?:-(\d+))?", cell.split("(")[0])
    return tuple(n for low, high in pairs for n in range(int(low), int(high or low) + 1))


def _magnitude(cell):
    """Keep the numbers of a magnitude: the two entries word them differently."""
    return tuple(re.findall(r"\d+(?:\.\d+)?", cell))


READ_AS = {"magnitude": _magnitude, "references": _references}


def _said(field, cell):
    return READ_AS.get(field, str)(cell)


def _in_catalogue(finding, field):
    values = {
        "magnitude": _magnitude(finding.magnitude),
        "simulable": "yes" if finding.is_simulable else "no",
    }
    return values[field] if field in values else getattr(finding, field)


SECOND = _read("second_entry.csv")
DECIDED = {(row["id"], row["field"]): row for row in _read("decisions.csv")}
ID_OF = {row["number"]: row["id"] for row in _read("ids.csv")}
"""Ids of the numbered rows, joined to the second entry after it was made."""


@pytest.fixture(scope="module")
def first(shared_file):
    path = shared_file("evidence/review_findings.csv")
    with path.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row in rows:
        row["simulable"] = row["simulable"].split(":")[0]
        row["references"] = row["refs"]
        row["magnitude"] = row["magnitude_in_review"]
    return rows


def test_all_findings_are_there():
    assert len(FINDINGS) == len(SECOND) == 143
    assert Counter(f.status for f in FINDINGS.values()) == {"simulable": 126, "method_only": 17}
    assert all(f.entered_twice for f in FINDINGS.values())


def test_catalogue_has_the_first_entrys_ids_and_what_was_given(first):
    assert [row["id"] for row in first] == list(ID_OF.values())
    assert set(ID_OF.values()) == set(FINDINGS)
    differ = {
        row["id"]
        for row in first
        if any(getattr(FINDINGS[row["id"]], name) != row[name] for name in GIVEN)
    }
    assert differ == POPULATION_CORRECTED


@pytest.mark.parametrize("field", FIELDS)
def test_catalogue_says_what_both_entries_say_or_what_was_decided(field, first):
    for one, two in zip(first, SECOND, strict=True):
        key = (one["id"], field)
        agree = _said(field, one[field]) == _said(field, two[field])
        assert agree == (key not in DECIDED), key
        settled = DECIDED[key]["decided"] if key in DECIDED else two[field]
        assert _in_catalogue(FINDINGS[one["id"]], field) == _said(field, settled), key


def test_decisions_quote_both_entries(first):
    entries = {one["id"]: (one, two) for one, two in zip(first, SECOND, strict=True)}
    assert len(DECIDED) > 40
    for (finding_id, field), row in DECIDED.items():
        one, two = entries[finding_id]
        assert _said(field, row["first_entry"]) == _said(field, one[field])
        assert (row["number"], row["second_entry"]) == (two["number"], two[field])
        assert row["why"]


@pytest.mark.parametrize("row", SECOND, ids=lambda row: ID_OF[row["number"]])
def test_catalogue_keeps_undisputed_second_entries(row):
    finding_id = ID_OF[row["number"]]
    undisputed = [field for field in FIELDS if (finding_id, field) not in DECIDED]
    assert undisputed
    for field in undisputed:
        assert _in_catalogue(FINDINGS[finding_id], field) == _said(field, row[field]), field


def test_measures_are_in_the_data_dictionary_and_carry_technique_and_compartment():
    dictionary = default_dictionary()
    for finding in FINDINGS.values():
        places = {(dictionary[m].technique, dictionary[m].compartment) for m in finding.measures}
        assert (finding.technique, finding.compartment) in places, finding.id


@pytest.mark.parametrize(
    ("finding_id", "error"),
    [
        ("lme-prevalence-progressive-vs-rrms", "counts all progressive MS"),
        ("thalamus-baseline-predicts-progression", "deep grey matter as a whole"),
        ("nawm-mtr-no-difference-spms-ppms", "Table 1 credits 24 and 25"),
    ],
)
def test_known_errors_of_the_review_are_noted(finding_id, error):
    assert error in FINDINGS[finding_id].note


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "correlaton"}, "Did you mean 'correlation'"),
        ({"direction": "up"}, "must be one of"),
        ({"status": "maybe"}, "must be one of"),
        ({"statement": ""}, "must say what was found"),
        ({"measures": ["nawm_mtr_pu"]}, "must be a tuple"),
        ({"references": [1]}, "must be a tuple"),
        ({"reason": "none"}, "must say why"),
        ({"status": "method_only"}, "must say why"),
    ],
)
def test_impossible_findings_are_refused(change, message):
    with pytest.raises(SchemaError, match=message):
        dataclasses.replace(FINDING, **change)


def test_unknown_finding_suggests_the_nearest():
    with pytest.raises(SchemaError, match="Did you mean 'nawm-mtr-below-hc-ppms'"):
        evidence.finding("nawm-mtr-below-hc-pmps")


def test_unknown_field_suggests_the_nearest():
    with pytest.raises(SchemaError, match="Did you mean 'statement'"):
        parse_findings('[x]\nstatemnt = "y"\n')


def test_table_has_one_row_per_finding():
    table = evidence.findings_table()
    assert list(table["id"]) == list(FINDINGS)
    cord = evidence.findings(section="cord")
    assert len(evidence.findings_table(cord)) == len(cord) == 34


def test_filters_combine():
    found = evidence.findings(section="cord", kind="correlation", status="method_only")
    assert {f.id for f in found} == {
        "cord-pd-signal-inverse-myelination-postmortem",
        "cord-mr-signal-demyelination-postmortem",
    }


@pytest.mark.parametrize("folder", ["review_findings", "published_figures"])
def test_second_entries_are_as_they_were_made(folder):
    case = FOLDER.parent / folder
    made = hashlib.sha256((case / "second_entry.csv").read_bytes()).hexdigest()
    assert f"SHA-256 of `second_entry.csv`: `{made}`" in (case / "SOURCE.md").read_text("utf-8")
