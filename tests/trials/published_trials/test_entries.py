"""The library of published trials: every file is whole, and its figures are the catalogue's."""

from __future__ import annotations

import math
import re

import pytest

from pmsstats import evidence
from pmsstats.errors import DesignError, SchemaError
from pmsstats.trials.published_trials import library_trial, trial_library
from pmsstats.trials.published_trials.entries import PublishedFinding, parse_trial
from synthetic import PRESETS, TREATMENTS, preset

NAMES = (
    "expand", "fluoxetine", "glatiramer", "ibudilast", "interferon_beta_1a_ppms",
    "interferon_beta_1b_spms", "lamotrigine", "mesenchymal_stem_cells", "ms_stat",
    "natalizumab_phase2a", "oratorio",
)  # fmt: skip
"""The trials of the review, and MS-STAT, ORATORIO, EXPAND."""


def test_library_holds_the_trials_of_the_review_and_the_three_later_ones():
    assert tuple(trial_library()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_trial_says_what_it_takes_and_what_it_assumes(name):
    trial = library_trial(name)
    text = str(trial)
    assert trial.takes
    assert trial.assumes
    assert trial.published
    assert trial.scenario.citation
    assert text.index("Taken from the paper") < text.index("Assumed")


@pytest.mark.parametrize("name", NAMES)
def test_generator_makes_what_every_trial_measures(name):
    scenario = library_trial(name).scenario
    assert scenario.population.model in PRESETS
    offered = preset(scenario.population.model).offered
    assert set(scenario.measures) <= set(offered)
    assert {arm.treatment for arm in scenario.arms} <= set(TREATMENTS)


@pytest.mark.parametrize("name", NAMES)
def test_arms_are_as_large_as_the_paper_says(name):
    """What `takes` says of subjects is what the scenario recruits."""
    trial = library_trial(name)
    stated = [int(n) for text in trial.takes for n in re.findall(r"(\d+) patients", text)]
    recruited = trial.scenario.accrual.n_subjects
    twice = [2 * n for n in stated]  # an open-label trial gets as many untreated beside it
    assert not stated or recruited in stated + twice


RATIOS = {
    "oratorio": ("montalban2017_cdp12_hr_arm_ppms", 0.76, 0.59, 0.98),
    "expand": ("cree2022_cdp24_hr_arm_spms", 0.78, 0.66, 0.92),
    "glatiramer": ("wolinsky2007_cdp12_hr_arm_ppms", 0.87, 0.71, 1.07),
}
"""As the papers' abstracts print them."""


@pytest.mark.parametrize("name", RATIOS)
def test_hazard_ratios_are_compared_as_logarithms(name):
    record, *printed = RATIOS[name]
    finding = library_trial(name).published[0]
    assert finding.record == record
    assert finding.interval == pytest.approx([math.log(value) for value in printed])
    assert evidence.record(record).verified in finding.source


PAPERS = {
    "expand": ("kappos2018", "cree2022"),
    "glatiramer": ("wolinsky2007",),
    "ibudilast": ("fox2018",),
    "interferon_beta_1a_ppms": ("leary2003",),
    "interferon_beta_1b_spms": ("kappos1998", "molyneux2000"),
    "lamotrigine": ("kapoor2010",),
    "ms_stat": ("chataway2014",),
    "natalizumab_phase2a": ("rommechristensen2014",),
    "oratorio": ("montalban2017",),
}
"""In the catalogue; the papers on fluoxetine and stem cells are not."""


@pytest.mark.parametrize("name", PAPERS)
def test_citation_is_that_of_the_catalogue(name):
    shown = library_trial(name).scenario.citation
    papers = [evidence.citation(key) for key in PAPERS[name]]
    assert [f"{p.journal} {p.year};{p.volume}:{p.pages}" in shown for p in papers] == [True] * len(
        papers
    )
    assert {p.doi for p in papers if p.doi} <= set(re.findall(r"doi:(\S+?)(?:;|$)", shown))


@pytest.mark.parametrize("name", NAMES)
def test_every_conclusion_has_a_source_or_a_note_and_no_number_is_from_memory(name):
    for finding in library_trial(name).published:
        assert finding.source or finding.note
        used = [evidence.record(r) for r in (finding.record, finding.minus) if r]
        assert "memory" not in {entry.verified for entry in used}


def test_statement_of_the_review_is_the_source_where_no_number_is_printed():
    finding = next(f for f in library_trial("lamotrigine").published if f.analysis == "cord")
    assert finding.source.startswith("Review, Neurol Ther 2018;7:265-285: ")
    assert evidence.finding("lamotrigine-no-effect-cord-area-spms").statement in finding.source


def test_spread_of_lamotrigines_trial_is_that_of_its_interval():
    """SD of an annual change over two years: slopes, and the errors of two scans."""
    scenario = library_trial("lamotrigine").scenario
    slope_pct = scenario.population.settings["imaging"]["central_brain_ml"]["rate_sd_pct"]
    model = next(m for m in preset("progressive").imaging if m.measure == "central_brain_ml")
    slope = slope_pct / 100 * model.mean["SPMS"]
    spread = math.hypot(slope, model.error_sd * math.sqrt(2) / 2)
    assert spread == pytest.approx(evidence.record("kapoor2010_ccv_change_sd_spms").value, rel=0.01)


def test_difference_of_two_printed_changes():
    volume = next(f for f in library_trial("oratorio").published if f.analysis == "volume")
    assert volume.value == pytest.approx(-0.90 + 1.09)
    assert all(math.isnan(v) for v in volume.interval[1:])


def test_finding_without_a_number():
    finding = PublishedFinding(what="x", analysis="a", comparison="b", found="better")
    assert math.isnan(finding.value)
    assert finding.source == ""


def test_sign_of_a_factor_turns_the_interval_round():
    finding = PublishedFinding(
        what="x", analysis="a", comparison="b", found="better", factor=-1.0,
        record="chataway2014_brain_arm_difference_spms",
    )  # fmt: skip
    assert finding.interval == pytest.approx((-0.254, -0.422, -0.087))


def test_unknown_trial():
    with pytest.raises(DesignError, match="Did you mean 'oratorio'"):
        library_trial("oratoria")


FILE = """
takes = ["a"]
assumes = ["b"]
[[published]]
what = "w"
analysis = "s"
comparison = "active"
found = "better"
[scenario]
name = "T"
[scenario.population]
[[scenario.arms]]
name = "placebo"
[[scenario.arms]]
name = "active"
[scenario.accrual]
n_subjects = 10
[scenario.schedule]
weeks = [0, 12]
[[scenario.endpoints]]
name = "e"
measure = "edss"
[[scenario.analyses]]
name = "s"
endpoint = "e"
method = "change"
[scenario.decision]
analysis = "s"
"""
BAD = {
    "unknown key": (FILE.replace("takes", "take"), "needs `takes`|no key 'take'"),
    "analysis that the scenario has not": (
        FILE.replace('analysis = "s"\ncomparison', 'analysis = "t"\ncomparison'),
        "by 't', which the scenario does not",
    ),
    "comparison that the scenario has not": (
        FILE.replace('comparison = "active"', 'comparison = "placebo"'),
        "compares 'placebo'",
    ),
}


def test_good_file_is_read():
    assert parse_trial("t", FILE).scenario.name == "T"


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused(case):
    text, message = BAD[case]
    with pytest.raises(SchemaError, match=message):
        parse_trial("t", text)
