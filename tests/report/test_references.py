"""References: numbered as cited, and well-formed."""

from __future__ import annotations

import re

import pytest

from pmsstats.report.references import REFERENCES, Citations


def test_numbers_follow_the_order_of_citation():
    cite = Citations()
    assert 'href="#reference-1"' in cite("cox1972")
    assert 'href="#reference-2"' in cite("kaplan1958")
    assert cite("cox1972", "efron1977").count("<a") == 2
    assert [(n, r.text.split()[0]) for n, r in cite.cited()] == [
        (1, "Cox"),
        (2, "Kaplan"),
        (3, "Efron"),
    ]


def test_an_unknown_key_names_the_nearest():
    with pytest.raises(KeyError, match="cox1972"):
        Citations()("cox1792")


@pytest.mark.parametrize("key", REFERENCES)
def test_references_are_well_formed(key):
    reference = REFERENCES[key]
    assert re.search(r"\b(19|20)\d\d\b.*\.$", reference.text)
    assert re.fullmatch(r"(10\.\d{4,5}/\S+)?", reference.doi)
    assert re.search(r"\d{4}$", key) is None or key[-4:] in reference.text
