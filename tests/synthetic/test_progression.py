"""The latent course of disability.

Witnesses: lifelines on the true steps, counts over person-time, an integral over the linear
predictor, Poisson moments, hand-worked courses.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from clinical_draws import PATIENTS, changed, draw, only
from lifelines import CoxPHFitter

from pmsstats.cohort.schema import PHENOTYPES
from pmsstats.errors import DesignError
from synthetic import Arm, CohortConfig, ConversionModel, PerPhenotype, defaults
from synthetic.clock import Clock
from synthetic.processes import FACTORS
from synthetic.progression import Progression, legal_edss, true_edss

MONTE_CARLO_ERRORS = 4
N = 30_000
LEGAL = {0.0, *np.arange(1.0, 10.0, 0.5)}
FLAT = dataclasses.replace(defaults.DISABILITY, stages=((0.0, 1.0),))
"""The default without stages: the hazard of a subject is constant."""
EQUAL = dataclasses.replace(FLAT, loadings=())
"""The same, and equal for all of a phenotype."""


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        (-0.3, 0.0), (0.2, 0.0), (0.49, 0.0), (0.5, 1.0), (0.7, 1.0), (1.0, 1.0), (1.2, 1.0),
        (1.3, 1.5), (5.74, 5.5), (5.76, 6.0), (9.4, 9.5), (12.0, 9.5),
    ],
)  # fmt: skip
def test_scores_are_rounded_to_the_nearest_legal_one(score, expected):
    assert legal_edss(np.array([score]))[0] == expected


POINTS = dataclasses.replace(defaults.DISABILITY, step=1.0, late_step=0.5)
HALVES = dataclasses.replace(defaults.DISABILITY, step=0.5, late_step=0.5)
COURSES = [
    ("one point up to 5.5", POINTS, 4.0, [1.0], [4.0, 4.0, 5.0, 5.0]),
    ("half a point above 5.5", POINTS, 6.0, [1.0], [6.0, 6.0, 6.5, 6.5]),
    ("5.5 still counts as early", POINTS, 5.5, [1.0], [5.5, 5.5, 6.5, 6.5]),
    ("two steps, the second a late one", POINTS, 5.0, [0.2, 1.0], [5.0, 6.0, 6.5, 6.5]),
    ("a step on the day of the visit counts", POINTS, 4.0, [0.5], [4.0, 5.0, 5.0, 5.0]),
    ("nothing beyond the top of the scale", POINTS, 9.5, [0.2], [9.5, 9.5, 9.5, 9.5]),
    ("from 0, one point", POINTS, 0.0, [2.5], [0.0, 0.0, 0.0, 1.0]),
    ("half a point at a time", HALVES, 4.0, [0.2, 1.0], [4.0, 4.5, 5.0, 5.0]),
    ("from 0 to 1.0: there is no 0.5", HALVES, 0.0, [0.2, 1.0], [0.0, 1.0, 1.5, 1.5]),
]


@pytest.mark.parametrize(
    ("why", "model", "baseline", "steps", "expected"), COURSES, ids=[c[0] for c in COURSES]
)
def test_hand_worked_courses(why, model, baseline, steps, expected):
    progression = Progression(
        hazard=np.array([1.0]), baseline=np.array([baseline]), steps=np.array([[*steps, np.inf]])
    )
    year = np.array([[0.0, 0.5, 1.5, 3.0]])
    np.testing.assert_array_equal(true_edss(model, progression, year)[0], expected)


CLOCKS = [
    ("before the first break", 1.0, 0.5),
    ("at the first break", 2.0, 1.0),
    ("between the breaks, at half the rate", 2.5, 1.5),
    ("after the second break, at twice the rate", 5.0, 2.5),
]


@pytest.mark.parametrize(("why", "reading", "expected"), CLOCKS, ids=[c[0] for c in CLOCKS])
def test_hand_worked_clock(why, reading, expected):
    """Rates 2, 1 and 4 per year, with breaks after 1 and 2 years."""
    clock = Clock(
        breaks=(np.array([1.0]), np.array([2.0])),
        rates=(np.array([2.0]), np.array([1.0]), np.array([4.0])),
    )
    assert clock.year(np.array([reading]))[0] == pytest.approx(expected)


def test_a_clock_that_stands_still_never_shows_the_reading():
    still, one = np.array([0.0]), np.array([1.0])
    clock = Clock(breaks=(one, one), rates=(one, still, still))
    assert clock.year(np.array([1.5]))[0] == np.inf


@pytest.fixture(scope="module")
def flat():
    return draw(changed(disability=FLAT), seed=5, n_subjects=N)


@pytest.fixture(scope="module")
def default():
    return draw(changed(), seed=5, n_subjects=N)


def _first_steps(draws, horizon):
    """Censor the time to the first true step at a horizon; patients only."""
    first = draws.steps[:, 0]
    frame = pd.DataFrame(draws.population.factors.T, columns=list(FACTORS)).assign(
        phenotype=np.array(PHENOTYPES)[draws.population.phenotype],
        duration=np.minimum(first, horizon),
        event=first < horizon,
    )
    return frame[draws.population.is_patient]


def test_baseline_scores_are_legal_and_inside_the_inclusion_range(default):
    scores = default.progression.baseline
    assert set(scores) <= LEGAL
    for phenotype in PATIENTS:
        mine = scores[default.population.phenotype == PHENOTYPES.index(phenotype)]
        assert mine.min() == defaults.DISABILITY.edss_low[phenotype]
        assert mine.max() == defaults.DISABILITY.edss_high[phenotype]


@pytest.mark.parametrize("factor", ["cord_level", "neurodegeneration_level", "inflammation_level"])
def test_baseline_correlates_with_a_level_as_its_loadings_say(factor):
    """Before the range cuts and scores are rounded, it is the row of R times the loadings."""
    wide = dataclasses.replace(
        EQUAL,
        edss_mean=PerPhenotype(PPMS=5.0),
        edss_sd=PerPhenotype(PPMS=1.2),
        edss_low=PerPhenotype(PPMS=0.0),
        edss_high=PerPhenotype(PPMS=9.5),
    )
    draws = draw(changed(disability=wide, population=only("PPMS")), seed=6, n_subjects=N)
    matrix = defaults.POPULATION.correlation_matrix()
    expected = sum(
        weight * matrix[FACTORS.index(factor), FACTORS.index(name)]
        for name, weight in wide.level_loadings
        if name in FACTORS
    )
    found = np.corrcoef(draws.population.factor(factor), draws.progression.baseline)[0, 1]
    rounding = 1 / np.sqrt(1 + 0.5**2 / 12 / 1.2**2)  # half-point cells add their variance
    assert abs(found - expected * rounding) < MONTE_CARLO_ERRORS / np.sqrt(N)


def test_controls_never_worsen(default):
    control = ~default.population.is_patient
    assert control.sum() > 1000
    assert (default.progression.hazard[control] == 0).all()
    assert np.isinf(default.steps[control]).all()


def test_lifelines_recovers_the_hazard_ratio_of_every_factor(flat):
    data = _first_steps(flat, 2.7)
    fit = CoxPHFitter().fit(data, "duration", "event", strata="phenotype")
    expected = dict(defaults.DISABILITY.loadings)
    assert len(expected) == 7
    for factor in FACTORS:
        found, error = fit.params_[factor], fit.standard_errors_[factor]
        assert abs(found - expected.get(factor, 0.0)) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize("phenotype", PATIENTS)
def test_share_with_a_step_equals_the_integral_over_the_linear_predictor(flat, phenotype):
    horizon = 2.0
    data = _first_steps(flat, horizon)
    found = data.loc[data["phenotype"] == phenotype, "event"]
    loadings = np.array([dict(FLAT.loadings).get(name, 0.0) for name in FACTORS])
    variance = loadings @ defaults.POPULATION.correlation_matrix() @ loadings
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    hazard = FLAT.worsening_rate[phenotype] * np.exp(np.sqrt(variance) * nodes - variance / 2)
    expected = weights @ (1 - np.exp(-hazard * horizon)) / weights.sum()
    error = np.sqrt(expected * (1 - expected) / len(found))
    assert abs(found.mean() - expected) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize("phenotype", PATIENTS)
def test_mean_hazard_is_the_configured_one(flat, phenotype):
    hazard = flat.progression.hazard[flat.population.phenotype == PHENOTYPES.index(phenotype)]
    error = hazard.std() / np.sqrt(len(hazard))
    target = FLAT.worsening_rate[phenotype]
    assert abs(hazard.mean() - target) < MONTE_CARLO_ERRORS * error


def test_without_stages_and_loadings_steps_are_a_poisson_process():
    draws = draw(changed(disability=EQUAL, population=only("PPMS")), seed=7, n_subjects=N)
    horizon = 2.5
    counts = (draws.steps < horizon).sum(axis=1)
    mean = EQUAL.worsening_rate["PPMS"] * horizon
    assert abs(counts.mean() - mean) < MONTE_CARLO_ERRORS * np.sqrt(mean / N)
    # the variance of a sample variance of Poisson counts is (mu + 2 mu^2) / n
    error = np.sqrt((mean + 2 * mean**2) / N)
    assert abs(counts.var() - mean) < MONTE_CARLO_ERRORS * error


def _occurrence(draws, from_edss, to_edss, horizon=2.0):
    """Count steps, and the years at risk of them, at true scores in a half-open range."""
    starts = np.column_stack([np.zeros(len(draws.steps)), draws.steps])[:, :-1]
    level, events, years = draws.progression.baseline.copy(), 0, 0.0
    for k in range(draws.steps.shape[1]):
        here = (level >= from_edss) & (level < to_edss) & (starts[:, k] < horizon)
        begin, end = starts[here, k], draws.steps[here, k]
        events += int((end < horizon).sum())
        years += float((np.minimum(end, horizon) - begin).sum())
        level = np.where(np.isfinite(draws.steps[:, k]), legal_edss(level + 0.5), level)
    return events, years


@pytest.mark.parametrize(("low", "high"), [(3.0, 5.0), (5.0, 6.0), (6.0, 7.0), (7.0, 9.5)])
def test_steps_over_person_time_follow_the_stage(low, high):
    staged = dataclasses.replace(defaults.DISABILITY, loadings=())
    draws = draw(changed(disability=staged, population=only("PPMS")), seed=8, n_subjects=N)
    events, years = _occurrence(draws, low, high)
    expected = staged.worsening_rate["PPMS"] * dict(staged.stages)[low]
    assert events > 100
    assert abs(np.log(events / years / expected)) < MONTE_CARLO_ERRORS / np.sqrt(events)


def test_nobody_leaves_the_scale():
    fast = dataclasses.replace(defaults.DISABILITY, worsening_rate=PerPhenotype(PPMS=40.0))
    draws = draw(changed(disability=fast, population=only("PPMS")), seed=9, n_subjects=500)
    assert set(draws.course.ravel()) <= LEGAL
    assert (draws.course[:, -1] == 9.5).any()
    assert draws.steps.shape[1] <= 15  # from 3.0 to 9.5 there are 13 half points


TRIAL = (Arm(name="placebo", share=0.5), Arm(name="active", share=0.5, worsening_hazard_ratio=0.5))


def test_lifelines_recovers_the_treatment_effect():
    config = changed(disability=FLAT, population=only("PPMS"), arms=TRIAL)
    draws = draw(config, seed=8, n_subjects=20_000)
    data = _first_steps(draws, 2.0).drop(columns="phenotype").assign(active=draws.population.arm)
    fit = CoxPHFitter().fit(data, "duration", "event")
    error = fit.standard_errors_["active"]
    assert abs(fit.params_["active"] - np.log(0.5)) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize(("begin", "end", "ratio"), [(0.0, 1.0, 1.0), (1.0, 2.5, 0.5)])
def test_a_delayed_effect_begins_at_its_onset(begin, end, ratio):
    late = (TRIAL[0], dataclasses.replace(TRIAL[1], onset_years=1.0))
    config = changed(disability=EQUAL, population=only("PPMS"), arms=late)
    draws = draw(config, seed=10, n_subjects=N)
    active = draws.steps[draws.population.arm == 1]
    events = ((active >= begin) & (active < end)).sum()
    expected = EQUAL.worsening_rate["PPMS"] * ratio * (end - begin) * len(active)
    assert abs(events - expected) < MONTE_CARLO_ERRORS * np.sqrt(expected)


def test_a_treatment_goes_on_working_after_conversion():
    """Rates 0.4 before and 1.6 after, both halved: counts over person-time on either side."""
    steady = dataclasses.replace(EQUAL, worsening_rate=PerPhenotype(RRMS=0.4, SPMS=1.6))
    config = changed(
        disability=steady, population=only("RRMS"), conversion=ConversionModel(rrms_to_spms=0.6),
        arms=(Arm(name="active", share=1.0, worsening_hazard_ratio=0.5),),
    )  # fmt: skip
    draws = draw(config, seed=12, n_subjects=N)
    horizon = 2.5
    when = np.minimum(draws.conversion.year, horizon)
    steps = draws.steps
    before = (steps < when[:, None]).sum(), when.sum()
    after = ((steps >= when[:, None]) & (steps < horizon)).sum(), (horizon - when).sum()
    for (events, years), rate in ((before, 0.2), (after, 0.8)):
        assert events > 1000
        assert abs(np.log(events / years / rate)) < MONTE_CARLO_ERRORS / np.sqrt(events)


def test_a_longer_follow_up_changes_nothing_before():
    longer = dataclasses.replace(defaults.SCHEDULE, weeks=(*defaults.SCHEDULE.weeks, 240))
    one = draw(changed(), seed=3, n_subjects=500)
    two = draw(changed(schedule=longer), seed=3, n_subjects=500)
    seen = np.where(two.steps < one.config.schedule.horizon_years, two.steps, np.inf)
    seen = seen[:, : one.steps.shape[1]]
    np.testing.assert_array_equal(one.steps[:, : seen.shape[1]], seen)


def test_without_worsening_nobody_changes():
    still = dataclasses.replace(
        defaults.DISABILITY, worsening_rate=PerPhenotype(RRMS=0.0, SPMS=0.0, PPMS=0.0)
    )
    draws = draw(changed(disability=still), seed=1, n_subjects=300)
    assert (draws.course == draws.course[:, :1]).all()


BAD = [
    ({"stages": ((1.0, 1.0),)}, r"`stages` of the disability model must ascend from 0.0"),
    ({"stages": ((0.0, 1.0), (0.0, 2.0))}, "must ascend from 0.0"),
    ({"stages": ((0.0, -1.0),)}, "must be at least 0, got -1.0"),
    ({"loadings": (("cord_rat", 0.3),)}, "Did you mean 'cord_rate'"),
    ({"loadings": (("cord_rate", 0.3), ("cord_rate", 0.1))}, "names 'cord_rate' twice"),
    ({"level_loadings": (("cord_rate", 0.3),)}, "`level_loadings` of the disability model names"),
    ({"loadings": (("cord_rate", 9.0),)}, "must be from -5 to 5, got 9.0"),
]


@pytest.mark.parametrize(("fields", "message"), BAD)
def test_impossible_disability_is_refused(fields, message):
    with pytest.raises(DesignError, match=message):
        dataclasses.replace(defaults.DISABILITY, **fields)


def test_shared_parts_of_more_than_everything_are_refused():
    whole = dataclasses.replace(
        defaults.DISABILITY, level_loadings=(("cord_level", 0.9), ("iron_level", 0.9))
    )
    with pytest.raises(DesignError, match="`level_loadings` of the disability model must"):
        CohortConfig(disability=whole)
