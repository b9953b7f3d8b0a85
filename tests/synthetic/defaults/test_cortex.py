"""Cortical lesions, meninges, T2*. Witnesses: normal quantiles, printed shares, the findings."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import lognorm

from pmsstats import evidence
from pmsstats.cohort.schema import PHENOTYPES
from synthetic import generate_tables, preset
from synthetic.defaults import population
from synthetic.defaults.cortex import DETECTION, MODELS, TRUE_LOAD
from synthetic.processes import correlation_matrix, shared_variance

BY_MEASURE = {model.measure: model for model in MODELS}
ONE_FOCUS = 0.5
"""Above it a count rounds to one or more."""
STABLE = 0.002
"""Share of patients a year that may turn to enhancement: 1 % in 5.5 years of follow-up."""
RARE = 0.01
"""Share of scans in which reading error alone may turn an order round."""
NEARLY_ONE_LOAD = 0.85
"""Correlation of the counts of two techniques that see the same lesions."""


@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_foci_are_counted_in_the_share_with_enhancement(phenotype):
    presence, foci = (BY_MEASURE[f"leptomeningeal_{w}"] for w in ("presence", "foci_count"))
    median = foci.mean[phenotype] * np.exp(-(foci.sd**2) / 2)
    share = lognorm.sf(ONE_FOCUS, s=foci.sd, scale=median)
    assert share == pytest.approx(presence.mean[phenotype])


PREVALENCE = [("HC", 1 / 37), ("RRMS", 35 / 181), ("SPMS", 39 / 118), ("PPMS", 39 / 118)]


@pytest.mark.parametrize(("phenotype", "share"), PREVALENCE)
def test_enhancement_is_as_common_as_printed(phenotype, share):
    """Absinta 2015, counts; finding lme-prevalence-progressive-vs-rrms. To the printed percent."""
    found = BY_MEASURE["leptomeningeal_presence"].mean[phenotype]
    assert found == pytest.approx(share, abs=0.006)


def test_foci_persist():
    """Finding lme-stable-over-time: share a year, at the height of the density at zero."""
    model = BY_MEASURE["leptomeningeal_presence"]
    assert evidence.finding("lme-stable-over-time").direction == "no_difference"
    assert max(model.rate_pct.values()) / 100 / np.sqrt(2 * np.pi) <= STABLE
    assert model.error_sd == 0


@pytest.mark.parametrize("measure", list(DETECTION))
def test_counts_are_one_load_times_what_is_seen(measure):
    """Findings psir-more-sensitive-than-dir, gm-demyelination-more-frequent-pms."""
    shares = [BY_MEASURE[measure].mean[name] / load for name, load in TRUE_LOAD.items()]
    assert shares == pytest.approx([DETECTION[measure]] * len(shares))
    assert 0 < DETECTION[measure] < 1
    counts = BY_MEASURE[measure].mean
    assert min(counts["SPMS"], counts["PPMS"]) > 1.4 * counts["RRMS"]


def test_techniques_differ_in_what_they_see():
    order = ["cortical_lesion_dir_count", "cortical_lesion_psir_count", "cortical_lesion_7t_count"]
    seen = [DETECTION[name] for name in order]
    assert seen[0] < 0.75 * seen[1] < 0.75 * seen[2]


def test_techniques_see_the_same_lesions():
    """Shared variance of the log counts is their correlation, since they load alike."""
    matrix = correlation_matrix(population.CORRELATIONS)
    shared = {shared_variance(BY_MEASURE[name].level_loadings, matrix) for name in DETECTION}
    assert len(shared) == 1
    assert NEARLY_ONE_LOAD < shared.pop() <= 1


def test_outer_layers_go_first_and_inner_ones_follow():
    """Finding t2star-gradient-superficial-early-deep-late."""
    depths = [BY_MEASURE[f"cortical_t2star_depth{d}_ms"] for d in (25, 50, 75)]
    excess = {p: [m.mean[p] - m.mean["HC"] for m in depths] for p in PHENOTYPES}
    assert excess["RRMS"][0] > 1.0 > 4 * excess["RRMS"][2] - 0.5
    assert min(excess["SPMS"] + excess["PPMS"]) > 1.5
    early, late = ([m.rate_pct[p] for m in depths] for p in ("RRMS", "SPMS"))
    assert early == sorted(early, reverse=True)
    assert late == sorted(late)


@pytest.mark.parametrize("phenotype", PHENOTYPES)
def test_whole_cortex_is_the_mean_of_its_depths(phenotype):
    depths = [BY_MEASURE[f"cortical_t2star_depth{d}_ms"] for d in (25, 50, 75)]
    whole = BY_MEASURE["cortical_t2star_ms"]
    assert whole.mean[phenotype] == pytest.approx(np.mean([m.mean[phenotype] for m in depths]))
    change = np.mean([m.mean[phenotype] * m.rate_pct[phenotype] for m in depths])
    assert whole.mean[phenotype] * whole.rate_pct[phenotype] == pytest.approx(change)


@pytest.fixture(scope="module")
def review():
    """Describe all phenotypes, nobody missing, with the measures that must fit each other."""
    measures = (
        "leptomeningeal_presence", "leptomeningeal_foci_count", "t1_lesion_ml", "t2_lesion_ml",
        "cortical_lesion_dir_count", "cortical_lesion_psir_count", "cortical_lesion_7t_count",
    )  # fmt: skip
    config = dataclasses.replace(preset("review"), n_subjects=3000, measures=("edss", *measures))
    return generate_tables(config, seed=21).visits


@pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning")
def test_measures_of_one_thing_agree_in_every_scan(review):
    """Foci and enhancement never contradict; black holes are no larger than the T2 lesions."""
    assert len(review) > 10_000
    with_foci = review["leptomeningeal_foci_count"] > 0
    assert (with_foci == (review["leptomeningeal_presence"] > 0)).all()
    assert 0.1 < with_foci.mean() < 0.5
    assert (review["t1_lesion_ml"] > review["t2_lesion_ml"]).mean() < RARE


@pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning")
def test_a_weaker_technique_rarely_sees_more(review):
    names = ("dir", "psir", "7t")
    dir_, psir, seven = (review[f"cortical_lesion_{name}_count"] for name in names)
    assert (dir_ > psir).mean() < RARE
    assert (psir > seven).mean() < RARE
