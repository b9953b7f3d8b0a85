"""The latent course of disability.

Witnesses: lifelines on the true steps, an integral over the person factor, hand-worked courses.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lifelines import CoxPHFitter

from synthetic import CohortConfig, PerPhenotype, defaults, generate_tables, preset
from synthetic.progression import Progression, legal_edss, true_edss

MONTE_CARLO_ERRORS = 4
LEGAL = {0.0, *np.arange(1.0, 10.0, 0.5)}


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (-0.3, 0.0), (0.2, 0.0), (0.49, 0.0), (0.5, 1.0), (0.7, 1.0), (1.0, 1.0), (1.2, 1.0),
        (1.3, 1.5), (5.74, 5.5), (5.76, 6.0), (9.4, 9.5), (12.0, 9.5),
    ],
)  # fmt: skip
def test_scores_are_rounded_to_the_nearest_legal_one(score, expected):
    assert legal_edss(np.array([score]))[0] == expected


COURSES = [
    ("one point up to 5.5", 4.0, [1.0], [4.0, 4.0, 5.0, 5.0]),
    ("half a point above 5.5", 6.0, [1.0], [6.0, 6.0, 6.5, 6.5]),
    ("5.5 still counts as early", 5.5, [1.0], [5.5, 5.5, 6.5, 6.5]),
    ("two steps, the second a late one", 5.0, [0.2, 1.0], [5.0, 6.0, 6.5, 6.5]),
    ("a step on the day of the visit counts", 4.0, [0.5], [4.0, 5.0, 5.0, 5.0]),
    ("nothing beyond the top of the scale", 9.5, [0.2], [9.5, 9.5, 9.5, 9.5]),
    ("from 0, one point", 0.0, [2.5], [0.0, 0.0, 0.0, 1.0]),
]


@pytest.mark.parametrize(
    ("why", "baseline", "steps", "expected"), COURSES, ids=[c[0] for c in COURSES]
)
def test_hand_worked_courses(why, baseline, steps, expected):
    progression = Progression(
        hazard=np.array([1.0]), baseline=np.array([baseline]), steps=np.array([[*steps, np.inf]])
    )
    year = np.array([[0.0, 0.5, 1.5, 3.0]])
    found = true_edss(defaults.DISABILITY, progression, year)
    np.testing.assert_array_equal(found[0], expected)


@pytest.fixture(scope="module")
def truth():
    return generate_tables(CohortConfig(n_subjects=30_000), seed=5)


def _first_steps(tables, horizon):
    """Censor the time to the first true step at a horizon; patients only."""
    latent = tables.truth.subjects.merge(tables.subjects, on="subject_id")
    latent = latent[latent["phenotype"] != "HC"]
    event = latent["first_step_year"] < horizon
    duration = latent["first_step_year"].where(event, horizon)
    return latent.assign(duration=duration, event=event)


def test_baseline_scores_are_legal_and_inside_the_inclusion_range(truth):
    latent = truth.truth.subjects.merge(truth.subjects, on="subject_id")
    assert set(latent["baseline_edss"]) <= LEGAL
    for phenotype in ("RRMS", "SPMS", "PPMS"):
        scores = latent.loc[latent["phenotype"] == phenotype, "baseline_edss"]
        low = defaults.DISABILITY.edss_low[phenotype]
        assert scores.min() >= low
        assert scores.max() <= defaults.DISABILITY.edss_high[phenotype]


def test_controls_never_worsen(truth):
    latent = truth.truth.subjects.merge(truth.subjects, on="subject_id")
    controls = latent[latent["phenotype"] == "HC"]
    assert (controls["worsening_hazard"] == 0).all()
    assert controls["first_step_year"].isna().all()


def test_lifelines_recovers_the_hazard_ratio_of_the_rate(truth):
    data = _first_steps(truth, 2.7)
    fit = CoxPHFitter().fit(
        data[["duration", "event", "rate", "phenotype"]], "duration", "event", strata="phenotype"
    )
    target = truth.truth.parameters["log_hazard_per_sd_rate"]
    assert abs(fit.params_["rate"] - target) < MONTE_CARLO_ERRORS * fit.standard_errors_["rate"]


@pytest.mark.parametrize("measure", ["thalamus_ml", "cord_area_c2c3_mm2", "t2_lesion_ml"])
def test_initial_hazard_ratio_of_a_measures_slope(truth, measure):
    """Early on, before the frailest have left, it is the loading times the log hazard ratio."""
    data = _first_steps(truth, 0.5)
    model = next(m for m in defaults.IMAGING if m.measure == measure)
    slope = data[f"{measure}_slope"].groupby(data["phenotype"])
    worse = (data[f"{measure}_slope"] - slope.transform("mean")) / slope.transform("std")
    data["z"] = worse if measure == "t2_lesion_ml" else -worse
    fit = CoxPHFitter().fit(
        data[["duration", "event", "z", "phenotype"]], "duration", "event", strata="phenotype"
    )
    target = truth.truth.parameters["measures"][measure]["initial_log_hazard_per_sd_slope"]
    assert target == pytest.approx(0.75 * model.rate_loading)
    assert abs(fit.params_["z"] - target) < MONTE_CARLO_ERRORS * fit.standard_errors_["z"]


@pytest.mark.parametrize("phenotype", ["RRMS", "SPMS", "PPMS"])
def test_share_with_a_step_equals_the_integral_over_the_person_factor(truth, phenotype):
    horizon = 2.0
    data = _first_steps(truth, horizon)
    found = data.loc[data["phenotype"] == phenotype, "event"]
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    b = defaults.DISABILITY.log_hazard_per_sd
    hazard = defaults.DISABILITY.worsening_rate[phenotype] * np.exp(b * nodes - b**2 / 2)
    expected = weights @ (1 - np.exp(-hazard * horizon)) / weights.sum()
    error = np.sqrt(expected * (1 - expected) / len(found))
    assert abs(found.mean() - expected) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize("phenotype", ["RRMS", "SPMS", "PPMS"])
def test_mean_hazard_is_the_configured_one(truth, phenotype):
    latent = truth.truth.subjects.merge(truth.subjects, on="subject_id")
    hazard = latent.loc[latent["phenotype"] == phenotype, "worsening_hazard"]
    error = hazard.std() / np.sqrt(len(hazard))
    target = defaults.DISABILITY.worsening_rate[phenotype]
    assert abs(hazard.mean() - target) < MONTE_CARLO_ERRORS * error


def test_lifelines_recovers_the_treatment_effect():
    tables = generate_tables("ppms_trial", seed=8, n_subjects=20_000)
    data = _first_steps(tables, 2.0)
    data["active"] = (data["arm"] == "active").astype(float)
    fit = CoxPHFitter().fit(data[["duration", "event", "active", "rate"]], "duration", "event")
    target = np.log(preset("ppms_trial").arms[1].worsening_hazard_ratio)
    assert abs(fit.params_["active"] - target) < MONTE_CARLO_ERRORS * fit.standard_errors_["active"]


def test_without_worsening_nobody_changes():
    still = dataclasses.replace(
        defaults.DISABILITY, worsening_rate=PerPhenotype(RRMS=0.0, SPMS=0.0, PPMS=0.0)
    )
    visits = generate_tables(CohortConfig(disability=still), seed=1).truth.visits
    assert visits.groupby("subject_id")["true_edss"].nunique().eq(1).all()
