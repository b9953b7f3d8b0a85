"""The hands of the peg test. Witnesses: their mean, and hand-worked times."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from synthetic import CohortConfig, HandModel, PerPhenotype, defaults, generate_tables

N = 4000
MONTE_CARLO_ERRORS = 4
PPMS_ONLY = dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(PPMS=1.0))
PEG_TEST = next(model for model in defaults.INSTRUMENTS if model.measure == "nhpt_s")
STILL = {"own_sd": 0.0, "noise_sd": 0.0, "drift": 0.0, "drift_sd": 0.0}
HALF_A_DIGIT = 0.05


@pytest.fixture(scope="module")
def tables():
    config = CohortConfig(n_subjects=N, hands=defaults.HANDS)
    return generate_tables(config, seed=12)


def test_the_peg_test_is_the_mean_of_the_hands(tables):
    visits = tables.visits
    both = (visits["nhpt_dominant_s"] + visits["nhpt_nondominant_s"]) / 2
    np.testing.assert_allclose(both, visits["nhpt_s"], rtol=1e-14)
    assert visits["nhpt_dominant_s"].notna().all()


@pytest.mark.parametrize("hand", ["nhpt_dominant_s", "nhpt_nondominant_s"])
def test_each_hand_stays_on_the_scale_with_its_digits(tables, hand):
    times = tables.visits[hand]
    assert times.between(PEG_TEST.low, PEG_TEST.high).all()
    assert (times == times.round(1)).all()
    assert (times != tables.visits["nhpt_s"]).mean() > 0.9


def _one_time(seconds, model):
    """Generate people who all need the same mean time."""
    test = dataclasses.replace(PEG_TEST, **STILL, intercept=math.log(seconds), slope=0.0)
    config = CohortConfig(
        n_subjects=5, population=PPMS_ONLY, instruments=(test,), hands=model
    ).complete()
    return generate_tables(config, seed=1).visits


HAND_WORKED = [
    ("a third longer: 3 to 4 with mean 28", 28.0, math.log(4 / 3), 24.0, 32.0),
    ("as fast", 28.0, 0.0, 28.0, 28.0),
    ("the dominant hand is worse", 28.0, -math.log(4 / 3), 32.0, 24.0),
    ("an odd tenth goes to one hand", 20.1, 0.001, 20.1, 20.1),
    ("cut at the lower end of the scale", 10.5, math.log(4 / 3), 10.0, 11.0),
    ("cut at the upper end of the scale", 299.0, math.log(4 / 3), 298.0, 300.0),
]


@pytest.mark.parametrize(
    ("why", "seconds", "log_ratio", "dominant", "other"),
    HAND_WORKED,
    ids=[r[0] for r in HAND_WORKED],
)
def test_hand_worked_times(why, seconds, log_ratio, dominant, other):
    visits = _one_time(seconds, HandModel(mean=log_ratio, own_sd=0, drift_sd=0, noise_sd=0))
    assert visits["nhpt_dominant_s"].unique().tolist() == [dominant]
    assert visits["nhpt_nondominant_s"].unique().tolist() == [other]


def test_the_ratio_varies_between_patients_and_tests_as_described():
    model = HandModel(mean=0.05, own_sd=0.2, drift_sd=0.06, noise_sd=0.03)
    test = dataclasses.replace(PEG_TEST, **STILL, intercept=math.log(100.0), slope=0.0)
    config = CohortConfig(
        n_subjects=N, population=PPMS_ONLY, instruments=(test,), hands=model
    ).complete()
    tables = generate_tables(config, seed=5)
    log_ratio = np.log(tables.visits["nhpt_nondominant_s"] / tables.visits["nhpt_dominant_s"])
    truth = tables.visits[["subject_id", "day"]].merge(tables.truth.subjects, on="subject_id")
    expected = truth["hand_log_ratio"] + truth["hand_log_ratio_slope"] * truth["day"] / 365.25
    noise = log_ratio.to_numpy() - expected.to_numpy()
    subjects = tables.truth.subjects
    spreads = [
        (subjects["hand_log_ratio"], 0.05, 0.2),
        (subjects["hand_log_ratio_slope"], 0.0, 0.06),
        (noise, 0.0, 0.03),
    ]
    for values, mean, sd in spreads:
        assert abs(values.mean() - mean) < MONTE_CARLO_ERRORS * sd / np.sqrt(len(values))
        error = sd / np.sqrt(2 * len(values))
        assert abs(values.std() - sd) < MONTE_CARLO_ERRORS * error + HALF_A_DIGIT / 100


def test_hands_of_controls_differ_by_the_mean_and_the_noise():
    hc = dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(HC=1.0))
    config = CohortConfig(n_subjects=200, population=hc, hands=defaults.HANDS)
    truth = generate_tables(config, seed=1).truth.subjects
    assert (truth["hand_log_ratio"] == defaults.HANDS.mean).all()
    assert (truth["hand_log_ratio_slope"] == 0).all()


def test_hands_need_no_emitted_mean():
    names = ("nhpt_dominant_s", "nhpt_nondominant_s")
    part = CohortConfig(n_subjects=50, hands=defaults.HANDS, measures=names)
    full = CohortConfig(n_subjects=50, hands=defaults.HANDS)
    found = generate_tables(part, seed=1).visits
    assert list(found)[3:] == list(names)
    assert found.equals(generate_tables(full, seed=1).visits[list(found)])
