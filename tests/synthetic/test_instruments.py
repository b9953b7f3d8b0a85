"""What the clinician writes down. Witnesses: hand-worked scores, normal tail areas."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy.stats import norm

from synthetic import CohortConfig, PerPhenotype, defaults, generate_tables

LEGAL = {0.0, *np.arange(1.0, 10.0, 0.5)}
MONTE_CARLO_ERRORS = 4
PPMS_ONLY = dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(PPMS=1.0))
NO_RELAPSES = dataclasses.replace(defaults.RELAPSES, rate=PerPhenotype(PPMS=0.0))
QUIET = {
    "own_sd": 0.0, "noise_sd": 0.0, "drift": 0.0, "drift_sd": 0.0, "practice": 0.0
}  # fmt: skip


def _at(edss, instruments=defaults.INSTRUMENTS, n_subjects=20, **disability):
    """Generate people who all stay at one true EDSS."""
    fixed = dataclasses.replace(
        defaults.DISABILITY,
        **{
            "edss_mean": PerPhenotype(PPMS=edss),
            "edss_sd": PerPhenotype(PPMS=0.01),
            "edss_low": PerPhenotype(PPMS=max(edss - 0.1, 0.0)),
            "edss_high": PerPhenotype(PPMS=edss + 0.1),
            "worsening_rate": PerPhenotype(PPMS=0.0),
            **disability,
        },
    )
    config = CohortConfig(
        n_subjects=n_subjects, population=PPMS_ONLY, disability=fixed, relapses=NO_RELAPSES,
        instruments=instruments,
    )  # fmt: skip
    return generate_tables(config.complete(), seed=7).visits


HAND_WORKED = [
    ("t25fw_s", 2.0, round(math.exp(1.40 + 0.10 * 2.0), 1)),
    ("t25fw_s", 6.0, round(math.exp(1.40 + 0.10 * 6.0 + 0.30 * (6.0 - 4.0)), 1)),
    ("nhpt_s", 6.0, 28.6),  # the published median
    ("sdmt", 5.0, 56.0 - 2.2 * 5.0),
    ("pasat3", 4.0, 51.0 - 1.5 * 4.0),
]


@pytest.mark.parametrize(("measure", "edss", "expected"), HAND_WORKED)
def test_hand_worked_scores(measure, edss, expected):
    quiet = tuple(dataclasses.replace(model, **QUIET) for model in defaults.INSTRUMENTS)
    values = _at(edss, quiet)[measure].dropna().unique()
    assert values.tolist() == [expected]


def test_walking_is_not_possible_from_a_wheelchair():
    visits = _at(7.5)
    assert visits["t25fw_s"].isna().all()
    assert visits["nhpt_s"].notna().all()


def test_practice_halves_what_is_left():
    practised = dataclasses.replace(
        defaults.INSTRUMENTS[2], **{**QUIET, "practice": 8.0}, intercept=50.0, slope=0.0
    )
    visits = _at(4.0, (practised,))
    scores = visits.dropna(subset=["sdmt"]).groupby("visit", observed=True)["sdmt"].first()
    assert scores.tolist()[:4] == [50.0, 54.0, 56.0, 57.0]


def test_cognition_is_tested_at_its_own_visits():
    visits = _at(4.0)
    tested = visits.loc[visits["sdmt"].notna(), "visit"].unique().tolist()
    assert tested == ["Baseline", "W24", "W48", "W72", "W96", "W120", "W144"]
    assert visits["t25fw_s"].notna().all()


@pytest.mark.parametrize(
    ("edss", "sd"), [(4.0, defaults.DISABILITY.rater_sd), (6.5, defaults.DISABILITY.late_rater_sd)]
)
def test_rater_error_has_the_normal_tail(edss, sd):
    """A rating is wrong when its error passes a quarter of a point."""
    visits = _at(edss, n_subjects=4000)
    expected = 2 * norm.sf(0.25 / sd)
    found = (visits["edss"] != edss).mean()
    error = math.sqrt(expected * (1 - expected) / len(visits))
    assert abs(found - expected) < MONTE_CARLO_ERRORS * error


def test_a_perfect_rater_sees_the_true_score():
    perfect = dataclasses.replace(defaults.DISABILITY, rater_sd=0.0, late_rater_sd=0.0)
    still = dataclasses.replace(defaults.RELAPSES, rate=PerPhenotype(RRMS=0.0, SPMS=0.0, PPMS=0.0))
    tables = generate_tables(CohortConfig(disability=perfect, relapses=still), seed=9)
    seen = tables.visits.merge(tables.truth.visits, on=["subject_id", "day"])
    rated = seen[seen["edss"].notna()]
    assert len(rated) > 2000
    assert (rated["edss"] == rated["true_edss"]).all()


def test_scores_are_legal_and_controls_are_not_rated():
    tables = generate_tables(CohortConfig(n_subjects=3000), seed=1)
    visits = tables.visits.merge(tables.subjects, on="subject_id")
    assert set(visits["edss"].dropna()) <= LEGAL
    assert visits.loc[visits["phenotype"] == "HC", "edss"].isna().all()
    assert visits.loc[visits["phenotype"] != "HC", "edss"].notna().all()


@pytest.mark.parametrize("model", defaults.INSTRUMENTS, ids=lambda m: m.measure)
def test_scores_stay_on_their_scale_and_worsen_with_the_edss(model):
    visits = generate_tables(CohortConfig(n_subjects=3000), seed=1).visits
    scores = visits[model.measure].dropna()
    assert scores.between(model.low, model.high).all()
    assert (scores == scores.round(model.decimals)).all()
    direction = visits[["edss", model.measure]].corr(method="spearman").iloc[0, 1]
    assert math.copysign(1, direction) == math.copysign(1, model.slope)
    assert abs(direction) > 0.15
