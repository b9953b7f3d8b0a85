"""Citations and records refuse what is impossible. Witness: the rules, by hand."""

from __future__ import annotations

import dataclasses
import math

import pytest

from pmsstats.errors import SchemaError
from pmsstats.evidence import Citation, EvidenceRecord

PAPER = Citation(key="doe2001", authors="Doe J, et al.", year=2001, journal="J Neurol")
RECORD = EvidenceRecord(
    id="doe2001_rate",
    measure="thalamus_volume",
    population="SPMS",
    quantity="annual_pct_change",
    value=-1.0,
    units="%/yr",
    citation=PAPER,
    verified="abstract",
    ci_low=-1.2,
    ci_high=-0.8,
)

BROKEN = [
    ({"verified": "abstrct"}, "Did you mean 'abstract'"),
    ({"value": math.nan}, "must be finite"),
    ({"value": None}, "either a `value` or a `text`"),
    ({"text": "lower"}, "either a `value` or a `text`"),
    ({"value": "-1.0"}, "must be a number"),
    ({"value": True}, "must be a number"),
    ({"sd": -0.1}, "not negative"),
    ({"se": math.inf}, "must be finite"),
    ({"ci_low": -0.9}, "must hold its value"),
    ({"ci_high": -1.1}, "must hold its value"),
]


@pytest.mark.parametrize(("change", "message"), BROKEN)
def test_impossible_records_are_refused(change, message):
    with pytest.raises(SchemaError, match=message):
        dataclasses.replace(RECORD, **change)


@pytest.mark.parametrize(
    ("verified", "is_anchor"),
    [
        ("fulltext", True),
        ("abstract", True),
        ("secondary", False),
        ("memory", False),
        ("assumption", False),
    ],
)
def test_only_values_read_at_their_source_are_anchors(verified, is_anchor):
    assert dataclasses.replace(RECORD, verified=verified).is_anchor is is_anchor


def test_a_value_in_words_is_no_anchor():
    in_words = dataclasses.replace(RECORD, value=None, text="lower", ci_low=None, ci_high=None)
    assert not in_words.is_anchor
    assert in_words.shown == "lower %/yr"


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({}, "-1 %/yr (95 % CI -1.2 to -0.8)"),
        ({"ci_low": None, "sd": 0.5}, "-1 %/yr (SD 0.5, 95 % CI ? to -0.8)"),
        ({"ci_low": None, "ci_high": None, "se": 0.1}, "-1 %/yr (SE 0.1)"),
        ({"ci_low": None, "ci_high": None}, "-1 %/yr"),
    ],
)
def test_a_value_is_shown_with_unit_and_uncertainty(change, shown):
    assert dataclasses.replace(RECORD, **change).shown == shown


@pytest.mark.parametrize(
    ("authors", "short"),
    [
        ("Doe J, et al.", "Doe 2001"),
        ("Doe, et al.", "Doe 2001"),
        ("De Stefano N, et al.", "De Stefano 2001"),
        ("", "J Neurol 2001"),
    ],
)
def test_short_citation_is_surname_and_year(authors, short):
    assert dataclasses.replace(PAPER, authors=authors).short == short


@pytest.mark.parametrize(
    ("fields", "link"),
    [
        ({"doi": "10.1/x", "pmid": "1"}, "https://doi.org/10.1/x"),
        ({"pmid": "123", "url": "https://x.org"}, "https://pubmed.ncbi.nlm.nih.gov/123/"),
        ({"pmcid": "PMC7"}, "https://pmc.ncbi.nlm.nih.gov/articles/PMC7/"),
        ({"url": "https://x.org"}, "https://x.org"),
        ({}, ""),
    ],
)
def test_link_is_the_best_known_identifier(fields, link):
    assert dataclasses.replace(PAPER, **fields).link == link


@pytest.mark.parametrize(
    ("change", "message"),
    [({"year": "2001"}, "must be a year"), ({"doi": "https://doi.org/10.1/x"}, "start with '10.'")],
)
def test_impossible_citations_are_refused(change, message):
    with pytest.raises(SchemaError, match=message):
        dataclasses.replace(PAPER, **change)


def test_text_leaves_out_what_is_not_known():
    assert PAPER.text() == "Doe J, et al. J Neurol 2001"
