"""Declared checks of the spinal cord section.

Witnesses: generators of which the truth is known. The review preset; one without any effect, which
must reproduce nothing that has a direction; one with most cord lesions below the neck; one with a
single process behind every measure, which must reproduce no finding of no relation.
"""

from __future__ import annotations

import dataclasses
import functools

import pytest
import review_checks

from pmsstats.validation import check_evidence
from pmsstats.validation.checks import cord, cord_atrophy
from synthetic import generate_cohort, preset
from synthetic.values import PerPhenotype

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning"),
]

CHECKS = (*cord.CHECKS, *cord_atrophy.CHECKS)
IDS = tuple(check.finding for check in CHECKS)
CERVICAL = "cervical-cord-highest-lesion-load"
RELIABLE = "cord-active-surface-reproducible"
SPMS_NO_LOSS = "cord-csa-1y-no-difference-spms-hc"
RELATED = 0.9  # loading of every measure on one process: correlations far above every margin
UNRELATED = [
    check.finding
    for check in CHECKS
    if {"Correlation", "ChangeCorrelation"} >= {type(c.analysis).__name__ for c in check.claims}
    and review_checks.expectations(check) == {"none"}
]
assert UNRELATED
A_QUARTER = 0.25  # of all cord lesions lie in the neck: clearly under one half


def few_cervical_lesions():
    """The review preset with a quarter of the cord lesions in the neck."""
    base = preset("review")
    models = {model.measure: model for model in base.imaging}
    total = models["cord_lesion_count"].mean
    models["cord_lesion_cervical_count"] = dataclasses.replace(
        models["cord_lesion_cervical_count"],
        mean=PerPhenotype(**{name: A_QUARTER * total[name] for name in total}),
    )
    return dataclasses.replace(base, imaging=tuple(models.values()))


@pytest.mark.parametrize("name", [name for name in IDS if name != SPMS_NO_LOSS])
def test_finding_is_reproduced_on_the_review_preset(name):
    assert review_checks.review_verdicts(IDS, name) == {"reproduced"}


def test_cord_loss_of_spms_is_contradicted_by_design():
    # SPMS lose cord that controls do not; 18 of them could not show it.
    assert review_checks.review_verdicts(IDS, SPMS_NO_LOSS) == {"contradicted"}


@pytest.mark.parametrize(("name", "claim"), review_checks.directional(CHECKS, (CERVICAL, RELIABLE)))
def test_nothing_is_reproduced_without_effects(name, claim):
    assert review_checks.null_verdict(IDS, name, claim) != "reproduced"


def test_nothing_is_reliable_in_noise():
    assert review_checks.null_verdict((RELIABLE,), RELIABLE, 0, noise=True) == "contradicted"


def test_cervical_lesions_are_not_the_most_where_they_are_a_quarter():
    table = check_evidence(
        generate_cohort, few_cervical_lesions(), review_checks.SEED,
        n=review_checks.N_NULL, findings=(CERVICAL,),
    ).table()  # fmt: skip
    assert review_checks.verdict_of(table, CERVICAL) == ["contradicted"]


def one_process():
    """The review preset with one process behind every measure."""
    base = preset("review")
    models = tuple(
        dataclasses.replace(
            model,
            level_loadings=(("neurodegeneration_level", RELATED),),
            rate_loadings=(("neurodegeneration_rate", RELATED),),
        )
        for model in base.imaging
    )
    return dataclasses.replace(base, imaging=models)


def spared_ppms():
    """The review preset with the cord MTR of controls in PPMS."""
    base = preset("review")
    models = {model.measure: model for model in base.imaging}
    mean = models["cord_mtr_pu"].mean
    models["cord_mtr_pu"] = dataclasses.replace(
        models["cord_mtr_pu"], mean=PerPhenotype(**(dict(mean.items()) | {"PPMS": mean["HC"]}))
    )
    return dataclasses.replace(base, imaging=tuple(models.values()))


def noisy(times):
    """The review preset with so many times the error of every measure."""
    base = preset("review")
    models = tuple(
        dataclasses.replace(model, error_sd=times * model.error_sd) for model in base.imaging
    )
    return dataclasses.replace(base, imaging=models)


@functools.cache
def verdicts_with_one_process():
    """Verdicts of the findings of no relation where everything is related."""
    return check_evidence(
        generate_cohort, one_process(), review_checks.SEED,
        n=review_checks.N_NULL, findings=UNRELATED,
    ).table()  # fmt: skip


@pytest.mark.parametrize("name", UNRELATED)
def test_no_relation_is_not_reproduced_where_everything_is_related(name):
    verdicts = review_checks.verdict_of(verdicts_with_one_process(), name)
    assert "reproduced" not in verdicts


def test_equal_cords_are_contradicted_where_ppms_is_spared():
    name = "cord-mtr-no-difference-ppms-spms"
    table = check_evidence(
        generate_cohort, spared_ppms(), review_checks.SEED,
        n=review_checks.N_NULL, findings=(name,),
    ).table()  # fmt: skip
    assert review_checks.verdict_of(table, name) == ["contradicted"]


def test_57_per_arm_are_not_enough_with_three_times_the_error():
    # Witness: 2 (1.96 + 0.84)^2 (SD / (0.5 mean))^2 of a change with error SD 3 x 0.83 mm2 in
    # 71 mm2 at both ends and slopes of 0.94 around 2 % a year: SD 5.1, n about 400.
    name = "cord-csa-sample-size-ppms"
    table = check_evidence(
        generate_cohort, noisy(3.0), review_checks.SEED, n=review_checks.N_NULL, findings=(name,)
    ).table()
    assert review_checks.verdict_of(table, name) == ["contradicted"]
