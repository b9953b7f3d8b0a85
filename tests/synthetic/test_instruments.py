"""What the clinician writes down. Witnesses: hand-worked scores, normal tail areas, R's algebra."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from clinical_draws import changed, draw, only
from scipy.stats import norm

from pmsstats.errors import DesignError
from synthetic import PerPhenotype, defaults
from synthetic.instruments import COGNITIVE, measure_instruments, rate_edss
from synthetic.processes import FACTORS

LEGAL = {0.0, *np.arange(1.0, 10.0, 0.5)}
MONTE_CARLO_ERRORS = 4
NO_RELAPSES = dataclasses.replace(
    defaults.RELAPSES, rate=PerPhenotype(RRMS=0.0, SPMS=0.0, PPMS=0.0)
)
TO_LINE = {"log": np.log, "linear": np.asarray}
QUIET = {
    "own_sd": 0.0, "noise_sd": 0.0, "drift": 0.0, "drift_sd": 0.0, "practice": 0.0
}  # fmt: skip


def _measure(config, n_subjects=3000, seed=7):
    """Take every test and the rating: arrays of shape (n_subjects, n_visits) by measure."""
    draws = draw(config, seed=seed, n_subjects=n_subjects)
    population, calendar, streams = draws.population, draws.calendar, draws.streams
    edss = rate_edss(config.disability, population, draws.course, calendar.weeks, streams)
    tests = measure_instruments(draws.config, population, draws.course, calendar, streams)
    return draws, {"edss": edss, **tests}


def _at(edss, instruments=defaults.INSTRUMENTS, n_subjects=20, **disability):
    """Measure people who all stay at one true EDSS."""
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
    config = changed(
        population=only("PPMS"), disability=fixed, relapses=NO_RELAPSES, instruments=instruments
    )
    return _measure(config, n_subjects)


def _instrument(measure, **fields):
    model = next(m for m in defaults.INSTRUMENTS if m.measure == measure)
    return dataclasses.replace(model, **fields)


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
    _, tests = _at(edss, quiet)
    assert set(tests[measure][~np.isnan(tests[measure])]) == {expected}


def test_walking_is_not_possible_from_a_wheelchair():
    _, tests = _at(7.5)
    assert np.isnan(tests["t25fw_s"]).all()
    assert not np.isnan(tests["nhpt_s"]).any()


def test_times_end_at_the_ceiling():
    slow = _instrument("nhpt_s", intercept=math.log(290.0), slope=0.0)
    _, tests = _at(4.0, (slow,), n_subjects=500)
    assert tests["nhpt_s"].max() == slow.high
    assert (tests["nhpt_s"] == slow.high).mean() > 0.1


@pytest.mark.parametrize("measure", ["t25fw_s", "nhpt_s"])
def test_times_are_skewed_as_log_normal_ones_are(measure):
    """The log of a log-normal variable with SD s is symmetric; its mean is exp(s^2 / 2) medians."""
    model = _instrument(measure, drift=0.0, drift_sd=0.0, decimals=6)
    _, tests = _at(4.0, (model,), n_subjects=20_000)
    times = tests[measure][:, 0]
    variance = model.own_sd**2 + model.noise_sd**2
    found = times.mean() / np.median(times)
    # a median errs pi / 2 times as much in variance as a mean
    error = np.sqrt((1 + np.pi / 2) * variance / len(times))
    assert abs(found - math.exp(variance / 2)) < MONTE_CARLO_ERRORS * error


def test_practice_halves_what_is_left():
    practised = _instrument("sdmt", **{**QUIET, "practice": 8.0}, intercept=50.0, slope=0.0)
    draws, tests = _at(4.0, (practised,))
    tested = draws.calendar.columns(draws.config.schedule.cognition_weeks)[:4]
    np.testing.assert_array_equal(
        tests["sdmt"][:, tested], np.tile([50.0, 54.0, 56.0, 57.0], (20, 1))
    )


def test_cognition_is_tested_at_its_own_visits():
    draws, tests = _at(4.0)
    weeks = np.array(draws.calendar.weeks)
    assert weeks[~np.isnan(tests["sdmt"][0])].tolist() == [0, 24, 48, 72, 96, 120, 144]
    assert not np.isnan(tests["t25fw_s"]).any()
    assert set(COGNITIVE) == {"sdmt", "pasat3"}


@pytest.mark.parametrize(
    ("edss", "sd"), [(4.0, defaults.DISABILITY.rater_sd), (6.5, defaults.DISABILITY.late_rater_sd)]
)
def test_rater_error_has_the_normal_tail(edss, sd):
    """A rating is wrong when its error passes a quarter of a point."""
    _, tests = _at(edss, n_subjects=4000)
    expected = 2 * norm.sf(0.25 / sd)
    found = (tests["edss"] != edss).mean()
    error = math.sqrt(expected * (1 - expected) / tests["edss"].size)
    assert abs(found - expected) < MONTE_CARLO_ERRORS * error


def test_a_perfect_rater_sees_the_true_score():
    perfect = dataclasses.replace(defaults.DISABILITY, rater_sd=0.0, late_rater_sd=0.0)
    draws, tests = _measure(changed(disability=perfect, relapses=NO_RELAPSES), 500)
    patients = draws.population.is_patient
    np.testing.assert_array_equal(tests["edss"][patients], draws.course[patients])
    assert len(np.unique(draws.course)) > 10


def test_scores_are_legal_and_controls_are_not_rated():
    draws, tests = _measure(changed())
    patients = draws.population.is_patient
    assert set(tests["edss"][patients].ravel()) <= LEGAL
    assert np.isnan(tests["edss"][~patients]).all()


@pytest.mark.parametrize("model", defaults.INSTRUMENTS, ids=lambda m: m.measure)
def test_scores_stay_on_their_scale_and_worsen_with_the_edss(model):
    draws, tests = _measure(changed())
    seen = ~np.isnan(tests[model.measure]) & draws.population.is_patient[:, None]
    scores, course = tests[model.measure][seen], draws.course[seen]
    assert ((scores >= model.low) & (scores <= model.high)).all()
    assert (scores == scores.round(model.decimals)).all()
    direction = np.corrcoef(course, scores)[0, 1]
    assert math.copysign(1, direction) == math.copysign(1, model.slope)
    assert abs(direction) > 0.15


@pytest.mark.parametrize("model", defaults.INSTRUMENTS, ids=lambda m: m.measure)
def test_persons_of_one_impairment_differ_as_the_loadings_say(model):
    """Correlation of the score with every factor: R times the loadings, in the worse direction."""
    free = dataclasses.replace(
        model, **{**QUIET, "own_sd": model.own_sd}, low=-1e6, high=1e6, decimals=6
    )
    draws, tests = _at(4.0, (free,), n_subjects=20_000)
    values = tests[model.measure][:, 0]
    values = TO_LINE[model.scale](values)
    worse = math.copysign(1, model.slope)
    found = worse * np.corrcoef(draws.population.factors, values)[-1, :-1]
    matrix = defaults.POPULATION.correlation_matrix()
    loadings = np.array([dict(model.level_loadings).get(name, 0.0) for name in FACTORS])
    assert loadings.any()
    assert (np.abs(found - matrix @ loadings) < MONTE_CARLO_ERRORS / np.sqrt(20_000)).all()


@pytest.mark.parametrize("model", defaults.INSTRUMENTS, ids=lambda m: m.measure)
def test_drift_has_its_mean_spread_and_loadings(model):
    free = dataclasses.replace(
        model, own_sd=0.0, noise_sd=0.0, practice=0.0, low=-1e6, high=1e6, decimals=6
    )
    n = 20_000
    draws, tests = _at(4.0, (free,), n_subjects=n)
    tested = [0, draws.calendar.columns(draws.config.schedule.cognition_weeks)[-1]]
    values = tests[model.measure][:, tested]
    values = TO_LINE[model.scale](values)
    drift = (values[:, 1] - values[:, 0]) / draws.calendar.year[:, tested[1]]
    assert abs(drift.mean() - model.drift) < MONTE_CARLO_ERRORS * model.drift_sd / np.sqrt(n)
    assert abs(drift.std() / model.drift_sd - 1) < MONTE_CARLO_ERRORS / np.sqrt(2 * n)
    found = math.copysign(1, model.slope) * np.corrcoef(draws.population.factors, drift)[-1, :-1]
    matrix = defaults.POPULATION.correlation_matrix()
    loadings = np.array([dict(model.rate_loadings).get(name, 0.0) for name in FACTORS])
    assert loadings.any()
    assert (np.abs(found - matrix @ loadings) < MONTE_CARLO_ERRORS / np.sqrt(n)).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"noise_sd": -1.0}, "`noise_sd` of instrument 'sdmt' must be at least 0"),
        ({"low": 95.0}, "`low` of instrument 'sdmt' must be below `high`"),
        ({"rate_loadings": (("cord_level", 0.2),)}, "`rate_loadings` of instrument 'sdmt' names"),
        ({"level_loadings": (("agee", 0.2),)}, "Did you mean 'age'"),
    ],
)
def test_impossible_instruments_are_refused(fields, message):
    with pytest.raises(DesignError, match=message):
        _instrument("sdmt", **fields)
