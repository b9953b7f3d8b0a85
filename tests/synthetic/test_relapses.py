"""Relapses. Witnesses: negative binomial moments, thinning by hand, hand-worked recoveries."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from clinical_draws import changed, draw, only
from scipy.stats import norm

from pmsstats.cohort.schema import PHENOTYPES
from pmsstats.errors import DesignError
from synthetic import Arm, CohortConfig, PerPhenotype, RelapseModel, defaults, generate_tables
from synthetic.processes import FACTORS
from synthetic.relapses import Relapses, relapse_activity, relapse_impairment

N = 30_000
MONTE_CARLO_ERRORS = 4
YEARS = 2.5


def _draw(seed=4, free=0.0, **fields):
    relapses = dataclasses.replace(defaults.RELAPSES, **fields)
    population = dataclasses.replace(only("RRMS"), relapse_free_years=free)
    return draw(changed(population=population, relapses=relapses), seed=seed, n_subjects=N)


@pytest.mark.parametrize("dispersion", [0.0, 0.5, 1.0])
def test_counts_have_negative_binomial_moments(dispersion):
    counts = (_draw(dispersion=dispersion).relapses.years < YEARS).sum(axis=1)
    mean = defaults.RELAPSES.rate["RRMS"] * YEARS
    variance = mean + dispersion * mean**2
    assert abs(counts.mean() - mean) < MONTE_CARLO_ERRORS * np.sqrt(variance / N)
    fourth = ((counts - counts.mean()) ** 4).mean()
    variance_error = np.sqrt((fourth - variance**2) / N)
    assert abs(counts.var() - variance) < MONTE_CARLO_ERRORS * variance_error


@pytest.mark.parametrize(("arm", "ratio"), [(0, 1.0), (1, 0.4)])
def test_a_treatment_multiplies_the_rate_of_relapses(arm, ratio):
    """Counts per arm have the mean rate times the ratio of the arm."""
    arms = (
        Arm(name="placebo", share=0.5),
        Arm(name="active", share=0.5, relapse_rate_ratio=0.4),
    )
    draws = draw(changed(population=only("RRMS"), arms=arms), seed=13, n_subjects=N)
    counts = (draws.relapses.years < YEARS).sum(axis=1)[draws.population.arm == arm]
    mean = defaults.RELAPSES.rate["RRMS"] * ratio * YEARS
    variance = mean + defaults.RELAPSES.dispersion * mean**2
    assert abs(counts.mean() - mean) < MONTE_CARLO_ERRORS * np.sqrt(variance / len(counts))


def test_rates_of_who_had_no_relapse_are_those_of_a_thinned_cohort():
    """Draw everybody, keep those without an event in the years before: brute force."""
    free, mean = 2.0, defaults.RELAPSES.rate["RRMS"]
    rng = np.random.default_rng(1)
    everybody = rng.gamma(1.0, mean, size=400_000)
    kept = everybody[rng.poisson(everybody * free) == 0]
    found = _draw(dispersion=1.0, free=free).relapses.rate
    error = np.sqrt(kept.var() / len(kept) + found.var() / N)
    assert abs(found.mean() - kept.mean()) < MONTE_CARLO_ERRORS * error
    for share in (0.25, 0.5, 0.9):
        cut = np.quantile(kept, share)
        error = np.sqrt(share * (1 - share) * (1 / len(kept) + 1 / N))
        assert abs((found < cut).mean() - share) < MONTE_CARLO_ERRORS * error


def test_without_dispersion_no_relapse_before_says_nothing():
    found = _draw(dispersion=0.0, free=5.0).relapses.rate
    assert set(found) == {float(defaults.RELAPSES.rate["RRMS"])}


def test_activity_is_uniform_and_correlates_with_the_factors_as_its_loadings_say():
    draws = _draw()
    activity = relapse_activity(draws.config, draws.population, draws.streams)
    for cut in (0.1, 0.5, 0.9):
        error = np.sqrt(cut * (1 - cut) / N)
        assert abs((activity < cut).mean() - cut) < MONTE_CARLO_ERRORS * error
    matrix = defaults.POPULATION.correlation_matrix()
    loadings = np.array([dict(defaults.RELAPSES.loadings).get(name, 0.0) for name in FACTORS])
    assert loadings.any()
    found = np.corrcoef(draws.population.factors, norm.ppf(activity))[-1, :-1]
    assert (np.abs(found - matrix @ loadings) < MONTE_CARLO_ERRORS / np.sqrt(N)).all()


def test_relapses_per_phenotype():
    draws = draw(changed(), seed=6, n_subjects=20_000)
    counts = (draws.relapses.years < YEARS).sum(axis=1)
    mine = {name: draws.population.phenotype == PHENOTYPES.index(name) for name in PHENOTYPES}
    assert counts[mine["HC"]].sum() == 0
    assert counts[mine["RRMS"]].mean() > counts[mine["SPMS"]].mean() > counts[mine["PPMS"]].mean()
    assert counts[mine["PPMS"]].sum() > 0


MODEL = RelapseModel(
    rate=PerPhenotype(RRMS=0.5), dispersion=1.0, severity=1.0, recovery_days=45, residual_share=0.1
)
RECOVERIES = [
    ("before onset", 0.0, 0.0),
    ("half a day before onset", 1.0 - 0.5 / 365.25, 0.0),
    ("on the day of onset, all of it", 1.0, 2.0),
    ("after 45 days, a tenth stays and 1/e of the rest", 1.0 + 45 / 365.25, 0.2 + 1.8 / np.e),
    ("after ten years, a tenth", 11.0, 0.2),
]


@pytest.mark.parametrize(("why", "year", "expected"), RECOVERIES, ids=[r[0] for r in RECOVERIES])
def test_hand_worked_recovery(why, year, expected):
    relapses = Relapses(
        rate=np.array([1.0]), years=np.array([[1.0, np.inf]]), severity=np.array([[2.0, 9.0]])
    )
    found = relapse_impairment(MODEL, relapses, np.array([[year]]))
    assert found[0, 0] == pytest.approx(expected, abs=1e-9)


def test_relapses_add_up():
    relapses = Relapses(
        rate=np.array([1.0]), years=np.array([[1.0, 2.0]]), severity=np.array([[2.0, 3.0]])
    )
    found = relapse_impairment(MODEL, relapses, np.array([[50.0]]))
    assert found[0, 0] == pytest.approx(0.1 * 5.0, abs=1e-9)


def test_no_two_relapses_on_one_day_and_none_after_exit():
    busy = dataclasses.replace(defaults.RELAPSES, rate=PerPhenotype(RRMS=40.0))
    config = CohortConfig(population=only("RRMS"), relapses=busy, measures=("edss",))
    tables = generate_tables(config, seed=1)
    assert len(tables.relapses) > 10_000
    assert not tables.relapses.duplicated().any()
    last = tables.relapses["subject_id"].map(tables.exits.set_index("subject_id")["day"])
    assert (tables.relapses["day"] <= last).all()
    assert (tables.relapses["day"] >= 1).all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"residual_share": 1.2}, "`residual_share` of the relapse model must be from 0 to 1"),
        ({"loadings": (("inflamation_rate", 0.5),)}, "Did you mean 'inflammation_rate'"),
    ],
)
def test_impossible_relapses_are_refused(fields, message):
    with pytest.raises(DesignError, match=message):
        dataclasses.replace(defaults.RELAPSES, **fields)
