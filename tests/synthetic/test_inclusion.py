"""Inclusion ranges of age and disease duration.

Witness: the joint density of age and duration, written from its definition (age normal and cut to
its range, duration given age gamma distributed and cut at age - 15, both cut to inclusion) and
summed over a fine grid.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from scipy import stats

from pmsstats.errors import DesignError
from synthetic import CohortConfig, PerPhenotype, defaults, generate_tables, preset

N = 20_000
MONTE_CARLO_ERRORS = 4
ANY = (0.0, math.inf)
ROUNDED = 0.05
"""Ages and durations are written down with one decimal."""

STUDIES = [
    ("long disease of the young", "SPMS", (18.0, 50.0), (20.0, 30.0)),
    ("young people", "SPMS", (18.0, 30.0), ANY),
    ("early disease", "RRMS", ANY, (0.0, 2.0)),
    ("late disease", "PPMS", ANY, (15.0, math.inf)),
]


def _population(age, duration, **mix):
    return dataclasses.replace(
        defaults.POPULATION, mix=PerPhenotype(**mix), age_included=age, duration_included=duration
    )


def _people(population, n=N):
    config = CohortConfig(n_subjects=n, population=population, measures=("edss",))
    return generate_tables(config, seed=7)


def _density(phenotype, age_included, duration_included):
    """Ages, durations, and the probability of every cell of a grid of them."""
    model = defaults.POPULATION
    mean, sd = model.duration_mean[phenotype], model.duration_sd[phenotype]
    gamma = stats.gamma((mean / sd) ** 2, scale=sd**2 / mean)
    edges = np.linspace(*model.age_range, 1041)
    age = (edges[:-1] + edges[1:]) / 2
    years = np.linspace(0.0, 55.0, 5501)
    duration = (years[:-1] + years[1:]) / 2
    of_age = stats.norm(model.age_mean[phenotype], model.age_sd[phenotype]).pdf(age)
    of_duration = np.diff(gamma.cdf(years)) / gamma.cdf(age - 15.0)[:, None]
    possible = duration <= age[:, None] - 15.0
    low, high = duration_included
    inside = (duration >= low) & (duration <= high)
    young, old = age_included
    chosen = ((age >= young) & (age <= old))[:, None] & inside & possible
    density = of_age[:, None] * of_duration * chosen
    return age, duration, density / density.sum()


@pytest.fixture(scope="module", params=STUDIES, ids=[study[0] for study in STUDIES])
def study(request):
    _, phenotype, age, duration = request.param
    subjects = _people(_population(age, duration, **{phenotype: 1.0})).subjects
    return subjects, _density(phenotype, age, duration), (age, duration)


def _error(values, weights):
    mean = (values * weights).sum()
    return mean, np.sqrt((values**2 * weights).sum() - mean**2) / np.sqrt(N)


def test_mean_age_and_duration_are_those_of_the_joint_distribution(study):
    subjects, (age, duration, density), _ = study
    step = 0.05  # of the grid, which cuts cells at the ends of the ranges
    mean, error = _error(age, density.sum(axis=1))
    assert abs(subjects["age_years"].mean() - mean) < MONTE_CARLO_ERRORS * error + step / 2
    mean, error = _error(duration, density.sum(axis=0))
    found = subjects["disease_duration_years"].mean()
    assert abs(found - mean) < MONTE_CARLO_ERRORS * error + step / 2


def test_durations_are_spread_as_the_joint_distribution_says(study):
    """Tenths of the durations: none of them, and neither end, has more than its share."""
    subjects, (_, duration, density), _ = study
    share = np.cumsum(density.sum(axis=0))
    found = subjects["disease_duration_years"].to_numpy()
    edges = [duration[np.searchsorted(share, tenth)] for tenth in np.arange(0.1, 0.95, 0.1)]
    assert len(edges) == 9
    for edge in edges:
        below = np.interp(edge, duration, share)
        rounding = np.interp(edge + ROUNDED, duration, share) - below
        error = np.sqrt(below * (1 - below) / N)
        assert abs((found < edge).mean() - below) < MONTE_CARLO_ERRORS * error + 2 * rounding


def test_nobody_fell_ill_as_a_child_or_is_outside_the_ranges(study):
    subjects, _, (age, duration) = study
    years, ill_for = subjects["age_years"], subjects["disease_duration_years"]
    assert (years - ill_for).min() >= 15 - 2 * ROUNDED - 1e-9
    assert years.between(*age).all()
    assert ill_for.between(*duration).all()


def test_nobody_is_piled_up_at_the_end_of_a_range(study):
    """Where a density is finite, a tenth of a year holds few: not the moved of all ages."""
    subjects, (age, duration, density), _ = study
    margin = subjects["age_years"] - 15.0 - subjects["disease_duration_years"]
    gap = age[:, None] - 15.0 - duration
    expected = density[gap < 3 * ROUNDED].sum()
    error = np.sqrt(expected * (1 - expected) / N)
    assert (margin < ROUNDED).mean() <= expected + MONTE_CARLO_ERRORS * error


def test_scores_are_those_among_all_of_the_phenotype():
    """A duration of 20 years is long for SPMS whoever else is included."""
    model = defaults.POPULATION
    found = _people(_population((18.0, 50.0), (20.0, 30.0), SPMS=1.0), n=2000)
    data = found.truth.subjects.merge(found.subjects, on="subject_id")
    mean, sd = model.duration_mean["SPMS"], model.duration_sd["SPMS"]
    gamma = stats.gamma((mean / sd) ** 2, scale=sd**2 / mean)
    duration = data["disease_duration_years"]
    lower, upper = (stats.norm.ppf(gamma.cdf(duration + d)) for d in (-ROUNDED, ROUNDED))
    assert data["duration_score"].between(lower - 1e-9, upper + 1e-9).all()
    low, high = ((end - model.age_mean["SPMS"]) / model.age_sd["SPMS"] for end in model.age_range)
    whole = stats.truncnorm(low, high, loc=model.age_mean["SPMS"], scale=model.age_sd["SPMS"])
    lower, upper = (stats.norm.ppf(whole.cdf(data["age_years"] + d)) for d in (-ROUNDED, ROUNDED))
    assert data["age_score"].between(lower - 1e-9, upper + 1e-9).all()


def test_controls_have_no_duration_that_could_bind_their_age():
    subjects = _people(_population(ANY, (20.0, 30.0), HC=0.5, SPMS=0.5)).subjects
    model = defaults.POPULATION
    mean, sd = model.age_mean["HC"], model.age_sd["HC"]
    whole = stats.truncnorm(*((end - mean) / sd for end in model.age_range), loc=mean, scale=sd)
    age = subjects.loc[subjects["phenotype"] == "HC", "age_years"]
    assert abs(age.mean() - whole.mean()) < MONTE_CARLO_ERRORS * whole.std() / np.sqrt(len(age))
    assert age.min() < 35 <= subjects.loc[subjects["phenotype"] == "SPMS", "age_years"].min()


def test_a_subject_is_the_same_in_any_cohort_of_the_study():
    population = _population((18.0, 50.0), (20.0, 30.0), HC=0.5, SPMS=0.5)
    small, large = (_people(population, n).subjects for n in (7, 200))
    assert small.equals(large.iloc[:7])


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"age": (18, 25), "duration": (20, 30)}, "contradict each other.*PPMS.*35 or older"),
        ({"age": (18, 35), "duration": (20, 30)}, "contradict each other"),
        ({"duration": (55, 60)}, "ages of the population up to 70 contradict"),
        ({"mix": {"CIS": 1}, "duration": (10, 20)}, "nobody of CIS.*take CIS out of `mix`"),
        ({"age": (18, 25), "duration": (20, 20)}, r"`duration` must be \(low, high\)"),
    ],
)
def test_ranges_that_include_nobody_are_refused(asked, message):
    with pytest.raises(DesignError, match=message):
        preset("review").for_study(**{"mix": {"PPMS": 1}, **asked})


def test_controls_alone_may_be_young_whatever_the_duration():
    config = preset("review").for_study(mix={"HC": 1}, age=(18, 25), duration=(20, 30))
    assert config.population.phenotypes == ("HC",)
