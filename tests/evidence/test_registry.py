"""Looking up, listing and warning. Witness: small catalogues written in the test."""

from __future__ import annotations

import warnings

import pytest

from pmsstats import evidence
from pmsstats.errors import EvidenceUncheckedWarning, SchemaError
from pmsstats.evidence import registry
from pmsstats.evidence.registry import parse_citations, parse_records

CITATIONS = parse_citations(
    '[doe2001]\nauthors = "Doe J, et al."\nyear = 2001\njournal = "J Neurol"\n'
)
ENTRY = """
[doe2001_rate]
citation = "doe2001"
measure = "thalamus_volume"
population = "SPMS"
quantity = "annual_pct_change"
value = -1.0
units = "%/yr"
verified = "abstract"
"""


@pytest.fixture(autouse=True)
def _as_in_a_new_process(monkeypatch):
    monkeypatch.setattr(registry, "_WARNED", set())


def test_a_record_carries_its_citation():
    record = parse_records(ENTRY, CITATIONS)["doe2001_rate"]
    assert (record.value, record.citation.short, record.entered_twice) == (-1.0, "Doe 2001", False)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('citation = "doe2001"', 'citation = "doe2011"', "Did you mean 'doe2001'"),
        ("value = -1.0", "valeu = -1.0", "Did you mean 'value'"),
        ("value = -1.0\n", "", "must have either"),
        ('units = "%/yr"\n', "", "incomplete"),
        ('verified = "abstract"', 'verified = "hearsay"', "must be one of"),
    ],
)
def test_broken_entries_are_refused(old, new, message):
    assert old in ENTRY
    with pytest.raises(SchemaError, match=message):
        parse_records(ENTRY.replace(old, new), CITATIONS)


def test_unknown_record_suggests_the_nearest():
    with pytest.raises(SchemaError, match="Did you mean 'azevedo2018_thalamus_rate_ms'"):
        evidence.record("azevedo2018_thalamus_rate_m")


def test_unknown_citation_suggests_the_nearest():
    with pytest.raises(SchemaError, match="Did you mean 'azevedo2018'"):
        evidence.citation("azevdo2018")


def test_records_filters_combine():
    found = evidence.records(measure="cervical_csa", quantity="baseline_mean", verified="abstract")
    assert {r.population for r in found} == {"MS (all)", "PMS", "HC", "RRMS", "SPMS", "PPMS"}
    assert evidence.records(population="nobody") == ()
    read = evidence.records(verified=("abstract", "fulltext"))
    other = evidence.records(verified=("secondary", "memory", "assumption"))
    assert len(read) + len(other) == len(evidence.catalog())


def test_table_has_one_row_per_record():
    table = evidence.evidence_table()
    assert list(table["id"]) == list(evidence.catalog())
    assert len(evidence.evidence_table(evidence.records(population="HC"))) < len(table)


def test_looking_up_does_not_warn_but_using_an_unchecked_value_does():
    record = evidence.record("lukas2015_cord_rate_spms")
    assert not record.entered_twice
    with pytest.warns(EvidenceUncheckedWarning, match="lukas2015_cord_rate_spms") as caught:
        assert evidence.value(record.id) == record.value
    assert caught[0].filename == __file__


def test_one_warning_for_many_records():
    ids = [r.id for r in evidence.records(verified="abstract") if not r.entered_twice]
    with pytest.warns(EvidenceUncheckedWarning) as caught:
        unchecked = evidence.warn_unchecked([*ids, *ids], used_by="a test")
    assert len(caught) == 1
    assert unchecked == tuple(ids)


def test_the_same_warning_is_given_once_in_a_process():
    ids = ["lukas2015_cord_rate_spms", "furby2010_cord_rate_spms"]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert evidence.warn_unchecked(ids, used_by="a test") == tuple(ids)
        assert evidence.warn_unchecked(ids[::-1], used_by="a test") == tuple(ids[::-1])
        evidence.warn_unchecked(ids, used_by="another use")
        evidence.warn_unchecked(ids[:1], used_by="a test")
    assert [w.category for w in caught] == [EvidenceUncheckedWarning] * 3


def test_a_record_without_number_cannot_be_used():
    assert evidence.record("cawley2018_cord_r_change_pms").text == "0 (none found)"
    with pytest.raises(SchemaError, match="has no number"):
        evidence.value("cawley2018_cord_r_change_pms")


def test_nothing_to_warn_about():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert evidence.warn_unchecked([], used_by="a test") == ()


def test_catalogue_cannot_be_changed():
    with pytest.raises(TypeError):
        evidence.catalog()["x"] = None
