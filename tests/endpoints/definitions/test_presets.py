"""Named definitions: each field against a table typed from its source, not from the code."""

from __future__ import annotations

import dataclasses
import math
import re
from itertools import product

import numpy as np
import pytest

from pmsstats.endpoints.definitions.composite_rule import CompositeRule
from pmsstats.endpoints.definitions.presets import (
    PRESETS,
    preset,
    presets_table,
    progression_rule,
)
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.scores.edss import EDSS_SCORES
from pmsstats.errors import DesignError

PROGRESSION = [name for name, rule in PRESETS.items() if isinstance(rule, ProgressionRule)]
COMPOSITES = [name for name in PRESETS if name not in PROGRESSION]
RAISE, FALL = "increase", "decrease"
ROUNDING = 1e-12  # 20 % of 25 in binary

# Smallest EDSS change that counts from each baseline, as the sources write it.
OLYMPUS = {0: 1.0, 2: 1.0, 5: 1.0, 5.5: 1.0, 6: 0.5, 6.5: 0.5}
EXPAND = {3: 1.0, 5: 1.0, 5.5: 0.5, 6.5: 0.5}
AFFIRM = {0: 1.5, 1: 1.0, 3: 1.0, 5: 1.0}
ENSEMBLE = {0: 1.5, 1: 1.0, 5: 1.0, 5.5: 0.5, 6: 0.5}
MSOUTCOMES = {0: 1.5, 1: 1.0, 5: 1.0, 5.5: 1.0, 6: 0.5}  # "bEDSS < 6.0"
OPERA_IMPROVEMENT = {2: 1.0, 5.5: 1.0, 6: 0.5}
MSBASE_IMPROVEMENT = {1: 1.5, 1.5: 1.5, 2: 1.0, 6: 1.0, 6.5: 0.5}  # R/CDI.R
TWENTY = {5: 1.0, 10: 2.0, 25: 5.0}

# preset, measure, direction, change by baseline, weeks to confirmation, where it is written
SOURCES = [
    ("cdp12", "edss", RAISE, OLYMPUS, 12, "OLYMPUS: ClinicalTrials.gov NCT00087529"),
    ("cdp12_olympus", "edss", RAISE, OLYMPUS, 12, "OLYMPUS: ClinicalTrials.gov NCT00087529"),
    ("cdp24", "edss", RAISE, OLYMPUS, 24, "ORATORIO: doi:10.1056/NEJMoa1606468"),
    ("cdp12_expand", "edss", RAISE, EXPAND, 12, "EXPAND: doi:10.1016/S0140-6736(18)30475-6"),
    ("cdp24_expand", "edss", RAISE, EXPAND, 24, "HERCULES: doi:10.1056/NEJMoa2415988"),
    ("cdp12_from_zero", "edss", RAISE, AFFIRM, 12, "AFFIRM: doi:10.1155/2011/195831"),
    ("cdp24_from_zero", "edss", RAISE, AFFIRM, 24, "CARE-MS II: doi:10.1212/WNL.0000000000004354"),
    ("cdp24_ensemble", "edss", RAISE, ENSEMBLE, 24, "ENSEMBLE: ClinicalTrials.gov NCT03085810"),
    ("edss4", "edss", RAISE, {0: 4.0, 3.5: 0.5}, 24, "TOP: doi:10.1016/j.msard.2018.04.020"),
    ("edss6", "edss", RAISE, {0: 6.0, 5.5: 0.5}, 24, "OPERA: doi:10.1111/ene.14823"),
    ("edss7", "edss", RAISE, {3: 4.0, 6.5: 0.5}, 24, "ORATORIO: doi:10.1111/ene.14824"),
    ("t25fw20", "t25fw_s", RAISE, TWENTY, 12, "Wolinsky 2018: doi:10.1002/ana.25313"),
    ("t25fw20_24", "t25fw_s", RAISE, TWENTY, 24, "Wolinsky 2020"),
    ("nhpt20", "nhpt_s", RAISE, TWENTY, 12, "Wolinsky 2018: doi:10.1002/ana.25313"),
    ("nhpt20_24", "nhpt_s", RAISE, TWENTY, 24, "Wolinsky 2020"),
    ("nhpt20_dominant", "nhpt_dominant_s", RAISE, TWENTY, 12, "EDSS-Plus, shorter"),
    ("nhpt20_dominant_24", "nhpt_dominant_s", RAISE, TWENTY, 24, "EDSS-Plus, Cadavid 2017"),
    ("nhpt20_nondominant", "nhpt_nondominant_s", RAISE, TWENTY, 12, "EDSS-Plus, shorter"),
    ("nhpt20_nondominant_24", "nhpt_nondominant_s", RAISE, TWENTY, 24, "EDSS-Plus"),
    ("sdmt4", "sdmt", FALL, {20: 4.0, 60: 4.0}, 24, "EXPAND: eScholarship 80s5904x"),
    ("sdmt8", "sdmt", FALL, {20: 8.0, 60: 8.0}, 24, "Weinstock 2022"),
    ("sdmt10", "sdmt", FALL, {20: 2.0, 60: 6.0}, 24, "in use; no primary source"),
    ("cdi12", "edss", FALL, OPERA_IMPROVEMENT, 12, "OPERA, shorter"),
    ("cdi24", "edss", FALL, OPERA_IMPROVEMENT, 24, "OPERA: CMSC 2018 DX64"),
    ("srd24", "edss", FALL, {2: 1.0, 6: 1.0}, 24, "CARE-MS II"),
    ("cdi_msbase", "edss", FALL, MSBASE_IMPROVEMENT, 13, "MSoutcomes 0.2.1: CDI"),
    ("pira_kappos2020_edss", "edss", RAISE, OLYMPUS, 12, "OPERA: +0.5 if baseline > 5.5"),
    ("pira_kappos2020_edss_24", "edss", RAISE, OLYMPUS, 24, "OPERA: +0.5 if baseline > 5.5"),
    ("pira_mueller2023", "edss", RAISE, ENSEMBLE, (12, 24), "msprog, vignette PIRA"),
    ("pira_mueller2023_specific", "edss", RAISE, ENSEMBLE, (12, 24), "msprog, vignette PIRA"),
    ("pira_mueller2025", "edss", RAISE, MSOUTCOMES, 26, "MSoutcomes 0.2.1: PIRA"),
    ("pira_portaccio2025", "edss", RAISE, ENSEMBLE, 24, "steps as msprog; 24 weeks: abstract"),
    ("raw_kappos2020_edss", "edss", RAISE, OLYMPUS, 12, "OPERA: +0.5 if baseline > 5.5"),
    ("spms_lorscheider2016", "edss", RAISE, MSOUTCOMES, 13, "MSoutcomes 0.2.1: spmsDx"),
]


@pytest.mark.parametrize(
    ("name", "measure", "direction", "changes", "weeks"),
    [row[:5] for row in SOURCES],
    ids=[f"{row[0]} ({row[5]})" for row in SOURCES],
)
def test_changes_that_count_are_those_of_the_source(
    name: str, measure: str, direction: str, changes: dict, weeks: object
) -> None:
    rule = progression_rule(name)
    assert (rule.outcome, rule.direction, rule.confirm_weeks) == (measure, direction, weeks)
    required = rule.threshold.required(list(changes), rule.direction)
    np.testing.assert_allclose(required, list(changes.values()), rtol=ROUNDING)


def test_the_table_of_sources_has_every_progression_rule() -> None:
    assert sorted(row[0] for row in SOURCES) == sorted(PROGRESSION)


# What each composite is made of: names of its parts, weeks, what its absence is called.
_TESTS = ("cdp12", "t25fw20", "nhpt20")
_HANDS = ("nhpt20_dominant", "nhpt20_nondominant")
_HANDS_24 = ("nhpt20_dominant_24", "nhpt20_nondominant_24")
_PLUS = ("cdp24", "t25fw20_24", *_HANDS_24)
_KAPPOS = ("pira_kappos2020_edss", "pira_kappos2020_t25fw", "pira_kappos2020_nhpt")
_RAW = ("raw_kappos2020_edss", "raw_kappos2020_t25fw", "raw_kappos2020_nhpt")
PARTS = [
    ("ccdp12", _TESTS, ""),  # FENhance: at least one of EDSS, T25FW 20 %, 9HPT 20 %
    ("ccdp24", ("cdp24", "t25fw20_24", "nhpt20_24"), ""),  # Wolinsky 2020
    ("nhpt20_either", _HANDS, ""),  # EDSS-Plus, shorter
    ("nhpt20_either_24", _HANDS_24, ""),  # ASCEND: either hand, the same to confirm
    ("edss_plus", _PLUS, ""),  # Cadavid 2017: at least one of EDSS, T25FW, 9HPT of either hand
    ("edss_plus_ascend", _PLUS, ""),  # ASCEND
    ("nep", _TESTS, "NEP"),  # Wolinsky 2018
    ("nepad", (*_TESTS, "relapse", "lesion"), "NEPAD"),  # Wolinsky 2018
    ("neda3", ("cdp12", "relapse", "lesion"), "NEDA-3"),  # Havrdova 2018
    ("neda4", ("cdp12", "relapse", "lesion", "volume_loss"), "NEDA-4"),  # Guevara 2019
    ("pira_kappos2020", _KAPPOS, ""),  # Kappos 2020
    ("pira_kappos2020_24", tuple(f"{name}_24" for name in _KAPPOS), ""),
    ("raw_kappos2020", _RAW, ""),
]


@pytest.mark.parametrize(("name", "parts", "absence"), PARTS)
def test_composites_have_the_parts_of_the_source(name: str, parts: tuple, absence: str) -> None:
    rule = preset(name)
    assert isinstance(rule, CompositeRule)
    assert tuple(part.name for part in rule.parts) == parts
    assert (rule.n_required, rule.absence_label) == (1, absence)


def test_the_table_of_parts_has_every_composite() -> None:
    assert sorted(row[0] for row in PARTS) == sorted(COMPOSITES)


@pytest.mark.parametrize(
    ("composite", "name"),
    [
        (composite, name)
        for composite, parts, _ in PARTS[:9]
        for name in parts
        if name in PRESETS and composite != "edss_plus_ascend"
    ],
)
def test_parts_that_bear_the_name_of_a_preset_are_that_preset(composite: str, name: str) -> None:
    """But for the source and the caveats, which the composite states."""
    (part,) = [p for p in preset(composite).parts if p.name == name]
    plain = {"citation": "", "note": ""}
    assert dataclasses.replace(part, **plain) == dataclasses.replace(preset(name), **plain)


def test_ascend_asks_for_the_change_at_the_end_again() -> None:
    """NCT01416181: "confirmed at a second visit >= 6 months later and at Week 96"."""
    for part in preset("edss_plus_ascend").parts:
        assert (part.confirm_intermediate, part.sustain_days) == (False, math.inf)


def test_neda4_calls_a_loss_above_0_4_percent_per_year_evidence() -> None:
    """Guevara 2019: NEDA-4 is "NEDA-3 plus a brain volume loss of at most 0.4 %" a year."""
    volume = preset("neda4").parts[-1]
    assert (volume.outcome, volume.cutoff_pct_per_year, volume.since) == (
        "pbvc_pct",
        0.4,
        "baseline",
    )


# What relapses do, as the sources write it: events, whether the baseline moves with events and
# after relapses, days from a relapse to a baseline, RAW, relapse-free (reference, onset,
# confirmation; None joins two intervals), and the reference visit.
RELAPSES = [
    # ENCORE (OPERA), acemap 184440634: re-baselined at the first assessment 30 days or more after
    # each relapse; no relapse from baseline to 30 days after onset, nor 30 days around confirmation
    *(
        (name, "first_pira", "fixed", True, 30, (0, 0), (0, None), (None, 30), (30, 30), "baseline")
        for name in ("pira_kappos2020_edss", "pira_kappos2020_edss_24")
    ),
    # msprog, vignette PIRA: 90 before to 30 after onset, the same around confirmation; roving
    (
        "pira_mueller2023", "first_pira", "roving", False, 0, (90, 0), (0, 0), (90, 30), (90, 30),
        "baseline",
    ),
    # the same: "the whole period between reference and confirmation"
    (
        "pira_mueller2023_specific", "first_pira", "roving", False, 0, (0, 0), (0, None),
        (None, None), (None, 0), "baseline",
    ),
    # the same: "since the last visit preceding the event (up to the event), and during the 30
    # days before confirmation"; both roving and re-baselined after relapses
    (
        "pira_mueller2025", "first_pira", "roving", True, 30, (0, 0), (0, None), (None, 0), (30, 0),
        "last",
    ),
    # Portaccio 2025, abstract: roving, none 90 days before to 30 days after the event
    (
        "pira_portaccio2025", "first_pira", "roving", False, 0, (90, 0), (0, 0), (90, 30), (0, 0),
        "baseline",
    ),
    # MSoutcomes, spmsDx: no relapse since the visit before; the baseline follows improvements
    (
        "spms_lorscheider2016", "first_pira", "roving_improvement", True, 30, (0, 0), (0, None),
        (None, 0), (0, 0), "last",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    (
        "name", "events", "baseline", "rebaseline", "to_baseline", "raw", "reference", "onset",
        "confirmation", "visit",
    ),
    RELAPSES,
)  # fmt: skip
def test_relapses_are_handled_as_in_the_source(
    name: str,
    events: str,
    baseline: str,
    rebaseline: bool,
    to_baseline: int,
    raw: tuple,
    reference: tuple,
    onset: tuple,
    confirmation: tuple,
    visit: str,
) -> None:
    rule = progression_rule(name)
    free = rule.relapse_free
    assert (rule.events, rule.baseline) == (events, baseline)
    assert rule.rebaseline_after_relapse == rebaseline
    assert rule.relapse_to_baseline_days == (to_baseline, 0)
    assert rule.raw_days == raw
    assert (free.reference, free.onset, free.confirmation) == (reference, onset, confirmation)
    assert free.reference_visit == visit


@pytest.mark.parametrize("composite", ["pira_kappos2020", "pira_kappos2020_24"])
def test_walk_and_peg_test_count_relapses_as_the_edss_does(composite: str) -> None:
    edss, *others = preset(composite).parts
    fields = (
        "events", "baseline", "rebaseline_after_relapse", "relapse_to_baseline_days", "raw_days",
        "relapse_free", "confirm_weeks",
    )  # fmt: skip
    for part in others:
        assert [getattr(part, f) for f in fields] == [getattr(edss, f) for f in fields]
        np.testing.assert_allclose(part.threshold.required([5.0, 25.0]), [1.0, 5.0], rtol=ROUNDING)


def test_raw_is_an_onset_90_days_after_a_relapse_or_sooner() -> None:
    """OPERA (acemap 47620177): "<= 90 days after onset of a protocol-defined relapse"."""
    for rule in (progression_rule("raw_kappos2020_edss"), *preset("raw_kappos2020").parts):
        assert (rule.events, rule.raw_days) == ("first_raw", (90, 0))


NO_RELAPSES = [row[0] for row in SOURCES[:25]]


@pytest.mark.parametrize("name", NO_RELAPSES)
def test_trial_definitions_take_no_account_of_relapses_and_confirm_on_time(name: str) -> None:
    """But for ENSEMBLE, whose entry says "24 weeks (-2 weeks)"."""
    rule = progression_rule(name)
    assert not rule.classifies
    assert not rule.rebaseline_after_relapse
    distances = (
        rule.relapse_to_baseline_days,
        rule.relapse_to_onset_days,
        rule.relapse_to_confirmation_days,
    )
    assert distances == ((0, 0), (0, 0), (0, 0))
    early = {"cdp24_ensemble": 14}.get(name, 0)
    assert (rule.confirm_tolerance_days, rule.confirm_late_days) == (early, math.inf)
    assert (rule.baseline, rule.baseline_visit) == ("fixed", "day_0")


@pytest.mark.parametrize(
    ("name", "low"), [("cdi12", 2.0), ("cdi24", 2.0), ("srd24", 2.0), ("cdp12", -math.inf)]
)
def test_improvement_needs_room_to_improve(name: str, low: float) -> None:
    """OPERA and CARE-MS II: baseline EDSS of 2.0 or more."""
    assert progression_rule(name).baseline_range == (low, math.inf)


def test_secondary_progression_asks_for_edss_pyramidal_score_and_a_leading_system() -> None:
    """Lorscheider 2016: EDSS >= 4, pyramidal >= 2, confirmed within the leading system."""
    rule = progression_rule("spms_lorscheider2016")
    levels = {c.outcome: (c.at_least, c.at_most) for c in rule.onset_conditions}
    assert levels == {"edss": (4.0, None), "fs_pyramidal": (2.0, None)}
    assert len(rule.leading_systems) == 8  # the columns of MSoutcomes
    assert rule.leading_step == 1.0
    assert rule.relapse_to_confirmation_days == (30, 0)
    assert rule.condition_visits == "confirmation"  # spmsDx: confirmedEDSS >= minEDSS


def test_secondary_progression_lowers_the_baseline_after_9_months() -> None:
    """MSoutcomes 0.2.1, spmsDx: regression is dEDSS <= -0.5 for more than 9 * 30.25 days.

    The baseline is then that of the visit with which the regression began.
    """
    rule = progression_rule("spms_lorscheider2016")
    assert rule.opposite_threshold.required([1.0, 4.0, 6.5], "decrease").tolist() == [0.5] * 3
    (window,) = rule.opposite_windows
    assert window.first_day == math.floor(9 * 30.25) + 1
    assert rule.min_days == math.floor(3 * 30.25) + 1
    assert rule.continue_from == "onset"


def test_olympus_counts_a_change_before_early_discontinuation() -> None:
    """NCT00087529: those who left treatment early without a confirming EDSS had progressed.

    Those who completed treatment with an unconfirmed change were censored.
    """
    rule = progression_rule("cdp12_olympus")
    assert (rule.impute_last_visit, rule.impute_within_days) == (1, math.inf)
    assert rule.impute_reasons == ("dropout",)  # not "completed"
    texts = {name: getattr(rule, name) for name in ("name", "label", "citation", "note")}
    imputed = {"impute_last_visit": 1, "impute_reasons": ("dropout",)}
    assert dataclasses.replace(progression_rule("cdp12"), **texts, **imputed) == rule


def test_msbase_improvement_lasts_to_the_end() -> None:
    """MSoutcomes 0.2.1, CDI: sustained=TRUE, tRelapse=30 with ">", mconf = 3 * 30.25."""
    rule = progression_rule("cdi_msbase")
    assert rule.sustain_days == math.inf
    assert rule.relapse_to_baseline_days == (31, 0)
    assert rule.min_days == math.ceil(3 * 30.25)


# --- all presets ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_values(name: str) -> None:
    """A copy is equal and has the same hash: rules can be keys, and be compared."""
    rule = preset(name)
    copy = dataclasses.replace(rule)
    assert rule.name == name
    assert copy == rule
    assert hash(copy) == hash(rule)
    assert copy is not rule
    renamed = dataclasses.replace(rule, name="mine")
    assert renamed != rule
    assert len({rule, copy, renamed}) == 2


SOURCELESS = {"sdmt10"}  # its note says so


@pytest.mark.parametrize("name", [name for name in PRESETS if name not in SOURCELESS])
def test_presets_carry_their_source(name: str) -> None:
    rule = preset(name)
    assert re.search(r"doi:10\.\d{4}|NCT\d{8}|CMSC 20\d\d|20[12]\d", rule.citation)
    assert rule.citation.endswith(".")
    assert rule.citation in rule.describe()


def test_a_preset_without_a_source_says_so() -> None:
    for name in SOURCELESS:
        assert preset(name).citation == ""
        assert "no primary source was verified" in preset(name).note


@pytest.mark.parametrize("name", PRESETS)
def test_descriptions_are_sentences_of_clinical_words(name: str) -> None:
    text = preset(name).describe()
    assert text[0].isupper() or text[0].isdigit()
    assert text.endswith(".")
    assert "  " not in text
    assert ".." not in text
    assert not re.search(r"\b(None|nan|inf|True|False)\b", text)


def test_titles_tell_presets_apart() -> None:
    events = presets_table()["event"]
    assert events.is_unique


def test_the_5_5_boundary_is_where_sources_disagree() -> None:
    """From 5.5 to 6.0 is no event in ORATORIO, and one in EXPAND."""
    step = {name: progression_rule(name).threshold.required(5.5) for name in ("cdp12", "cdp24")}
    assert set(map(float, step.values())) == {1.0}
    assert float(progression_rule("cdp12_expand").threshold.required(5.5)) == 0.5


@pytest.mark.parametrize(
    ("name", "baseline"),
    list(product(["cdp12", "cdp12_expand", "cdp24_ensemble"], EDSS_SCORES[:-3])),
)
def test_changes_that_count_are_whole_steps_of_the_scale(name: str, baseline: float) -> None:
    """Property: adding the change to a score gives a score."""
    change = float(progression_rule(name).threshold.required(baseline))
    assert baseline + change in EDSS_SCORES


# --- look-up -------------------------------------------------------------------------------------


def test_unknown_preset_is_told_the_nearest() -> None:
    for look_up in (preset, progression_rule):
        with pytest.raises(DesignError, match="Did you mean 'cdp24'"):
            look_up("cpd24")


def test_a_composite_is_no_progression_rule() -> None:
    with pytest.raises(DesignError, match=r"composite of cdp12, t25fw20, nhpt20.*preset\('nep'\)"):
        progression_rule("nep")
    assert preset("cdp12") is progression_rule("cdp12")


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PRESETS["cdp12"] = preset("cdp24")


def test_the_table_says_what_each_preset_needs() -> None:
    table = presets_table()
    assert list(table) == ["name", "event", "outcome", "confirmation", "citation", "note"]
    assert list(table["name"]) == list(PRESETS)
    needs = table.set_index("name")["outcome"]
    assert needs["cdp12"] == "edss"
    assert needs["cdp12_olympus"] == "edss, exits"
    assert needs["neda4"] == "edss, relapses, new_t2_count, gd_lesion_count, pbvc_pct"
    assert needs["pira_kappos2020"] == "edss, relapses, t25fw_s, nhpt_s"
    assert needs["spms_lorscheider2016"].startswith("edss, fs_pyramidal, fs_cerebellar")
    weeks = table.set_index("name")["confirmation"]
    assert weeks["ccdp24"] == "24 weeks"
    assert weeks["pira_mueller2023"] == "12 or 24 weeks"


def test_the_table_is_a_copy() -> None:
    presets_table()["name"] = "changed"
    assert list(presets_table()["name"]) == list(PRESETS)
