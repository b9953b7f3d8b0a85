"""Changed definitions do not bear the words of the original."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pmsstats.endpoints import PRESETS, edss_threshold, preset, progression_rule
from pmsstats.endpoints.definitions.modified import definition_name, honest_words
from pmsstats.errors import DesignError


def test_modified_rule_says_so_and_drops_label_and_source() -> None:
    rule = progression_rule("cdp12").modified(confirm_weeks=24)
    assert (rule.name, rule.label, rule.citation) == ("cdp12_modified", "", "")
    assert rule.title() == "24-week confirmed worsening of EDSS"
    text = rule.describe()
    assert "Modified from the definition cdp12 (source of that: Hawker" in text
    assert "Source:" not in text
    assert "12-week" not in text


def test_words_that_are_given_are_kept() -> None:
    rule = progression_rule("cdp12").modified(confirm_weeks=48, name="cdp48", label="late EDSS")
    assert (rule.name, rule.title()) == ("cdp48", "late EDSS")


def test_modified_without_changes_is_the_rule_itself() -> None:
    assert preset("neda3").modified() is preset("neda3")


def test_modified_composite_says_so() -> None:
    rule = preset("neda3").modified(require=2)
    assert (rule.name, rule.label, rule.absence_label) == ("neda3_modified", "", "")
    assert rule.title.startswith("2 of: ")
    assert "Modified from the definition neda3" in rule.describe()


@pytest.mark.parametrize("name", ["cdp12", "neda3"])
def test_unknown_field_is_refused(name: str) -> None:
    with pytest.raises(DesignError, match="has no field 'confirm_week' to modify"):
        preset(name).modified(confirm_week=24)


def test_a_preset_with_a_field_replaced_does_not_bear_its_words() -> None:
    rule = replace(progression_rule("cdp12"), confirm_weeks=24)
    assert rule.label == "12-week confirmed EDSS progression"
    assert rule.title() == "24-week confirmed worsening of EDSS"
    assert "Modified from the definition cdp12" in rule.describe()
    assert "OLYMPUS also counted" not in rule.describe()


def test_a_composite_with_a_field_replaced_does_not_bear_its_words() -> None:
    rule = replace(preset("neda3"), require="all")
    assert "NEDA-3" not in rule.describe()
    assert "Modified from the definition neda3" in rule.describe()


def test_own_words_on_a_replaced_preset_are_kept() -> None:
    threshold = edss_threshold(5.0)
    rule = replace(
        progression_rule("cdp12"), threshold=threshold, label="mine", citation="Me 2020."
    )
    assert rule.title() == "mine"
    assert "Source: Me 2020." in rule.describe()


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_keep_their_words(name: str) -> None:
    rule = PRESETS[name]
    assert honest_words(rule) is rule
    assert honest_words(replace(rule, note="", citation="")).label == rule.label


def test_repr_shows_what_differs_from_the_defaults() -> None:
    rule = progression_rule("cdp12").modified(confirm_weeks=24)
    assert repr(rule).startswith(
        "ProgressionRule(name='cdp12_modified', outcome='edss', threshold="
    )
    assert "confirm_weeks=24" in repr(rule)
    assert "relapse_free" not in repr(rule)
    assert "classify_relapses" not in repr(rule)


@pytest.mark.parametrize("name", ["cdp12", "neda3"])
def test_rules_show_themselves_in_notebooks(name: str) -> None:
    html = preset(name)._repr_html_()
    assert "<strong>" in html
    assert "Gd-enhancing &lt;" not in html
    assert preset(name).describe()[:40].replace(">", "&gt;") in html


def test_a_result_does_not_cite_a_preset_that_it_is_not() -> None:
    assert definition_name(progression_rule("cdp12")) == "cdp12"
    assert definition_name(replace(progression_rule("cdp12"), confirm_weeks=24)) == "cdp12_modified"
    assert definition_name(replace(preset("neda3"), require="all")) == "neda3_modified"
