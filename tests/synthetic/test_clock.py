"""Clocks and stopping. Witness: the hazard summed up in small steps, by hand-written rules."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from synthetic import Arm, CohortConfig
from synthetic.clock import Clock
from synthetic.conversion import Conversion
from synthetic.draws import SubjectStreams
from synthetic.population import draw_population
from synthetic.stopping import stopped_clock, treated_years

N, HORIZON, STEP = 60, 3.0, 1e-4
RATIOS, ONSETS = (0.9, 0.5), (1.2, 0.4)


@pytest.fixture(scope="module")
def people():
    config = CohortConfig().for_study(
        mix={"RRMS": 1, "SPMS": 1}, treatments=("placebo", "siponimod")
    )
    arms = tuple(
        Arm(name=f"a{k}", share=0.5, worsening_hazard_ratio=ratio, onset_years=onset)
        for k, (ratio, onset) in enumerate(zip(RATIOS, ONSETS, strict=True))
    )
    config = dataclasses.replace(config, arms=arms)
    drawn = draw_population(config, SubjectStreams(np.random.SeedSequence(4), N))
    chance = np.random.default_rng(4)
    stop = np.where(chance.random(N) < 0.7, 2.5 * chance.random(N), np.inf)
    conversion = Conversion(
        year=np.where(chance.random(N) < 0.5, 2 * chance.random(N), np.inf),
        phenotype=np.where(drawn.phenotype == 3, 4, drawn.phenotype),
    )
    return config, dataclasses.replace(drawn, stop_year=stop), conversion


def rates(arm, has_begun, phenotype):
    return (0.1 + 0.2 * phenotype) * np.where(has_begun, np.array(RATIOS)[arm], 1.0)


def hazard_at(year, population, conversion):
    """Hazard by hand: the arm until stopping, then the reference; each from its own onset on."""
    arm = np.where(year < population.stop_year, population.arm, 0)
    base = np.where(year < conversion.year, population.phenotype, conversion.phenotype)
    begun = year >= np.array(ONSETS)[arm]
    return (0.1 + 0.2 * base) * np.where(begun, np.array(RATIOS)[arm], 1.0)


def test_a_clock_with_stopping_shows_the_sum_of_the_hazard(people):
    config, population, conversion = people
    clock = stopped_clock(config, population, conversion, rates, HORIZON)
    middles = np.arange(STEP / 2, HORIZON, STEP)
    shown = STEP * np.cumsum([hazard_at(t, population, conversion) for t in middles], axis=0)
    for k in (1000, 9000, 15_000, 27_000):
        assert clock.year(shown[k - 1]) == pytest.approx(np.full(N, k * STEP), abs=10 * STEP)


def test_the_first_rate_is_that_after_all_breaks_at_zero():
    zero, one = np.array([0.0]), np.array([1.0])
    clock = Clock(breaks=(zero, zero, one), rates=(9 * one, 8 * one, 3 * one, 7 * one))
    assert clock.first_rate == [3.0]


def test_treated_years_are_those_before_stopping(people):
    population = people[1]
    start, end = np.full(N, 0.5), np.full(N, 2.0)
    by_hand = [min(max(stop, 0.5), 2.0) - 0.5 for stop in population.stop_year]
    assert treated_years(population, start, end) == pytest.approx(by_hand)
