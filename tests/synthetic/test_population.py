"""Who is in the cohort. Witnesses: scipy distributions and binomial errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from synthetic import FACTORS, Arm, CohortConfig, PerPhenotype, defaults, generate_tables

N = 20_000
MONTE_CARLO_ERRORS = 4


@pytest.fixture(scope="module")
def tables():
    return generate_tables("progressive", seed=11, n_subjects=N)


def _only(**mix):
    return dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(**mix))


@pytest.mark.parametrize(("phenotype", "share"), list(defaults.POPULATION.mix.items()))
def test_phenotypes_have_their_shares(tables, phenotype, share):
    found = (tables.subjects["phenotype"] == phenotype).mean()
    assert abs(found - share) < MONTE_CARLO_ERRORS * np.sqrt(share * (1 - share) / N)


@pytest.mark.parametrize("phenotype", ["HC", "RRMS", "SPMS", "PPMS"])
def test_age_follows_a_truncated_normal_distribution(tables, phenotype):
    model = defaults.POPULATION
    subjects = tables.subjects[tables.subjects["phenotype"] == phenotype]
    mean, sd = model.age_mean[phenotype], model.age_sd[phenotype]
    low, high = ((end - mean) / sd for end in model.age_range)
    reference = stats.truncnorm(low, high, loc=mean, scale=sd)
    error = reference.std() / np.sqrt(len(subjects))
    assert abs(subjects["age_years"].mean() - reference.mean()) < MONTE_CARLO_ERRORS * error
    assert subjects["age_years"].between(*model.age_range).all()


@pytest.mark.parametrize("phenotype", ["HC", "RRMS", "SPMS", "PPMS"])
def test_share_of_women(tables, phenotype):
    subjects = tables.subjects[tables.subjects["phenotype"] == phenotype]
    share = defaults.POPULATION.female[phenotype]
    error = np.sqrt(share * (1 - share) / len(subjects))
    assert abs((subjects["sex"] == "F").mean() - share) < MONTE_CARLO_ERRORS * error


def test_only_patients_have_a_duration_and_fell_ill_after_childhood(tables):
    subjects = tables.subjects
    is_control = subjects["phenotype"] == "HC"
    assert subjects.loc[is_control, "disease_duration_years"].isna().all()
    patients = subjects[~is_control]
    onset = patients["age_years"] - patients["disease_duration_years"]
    assert onset.min() >= 14.9  # 15, each of the two rounded to a decimal


def test_duration_is_gamma_distributed_where_age_does_not_cut():
    model = dataclasses.replace(
        _only(PPMS=1.0), duration_mean=PerPhenotype(PPMS=4.0), duration_sd=PerPhenotype(PPMS=2.0)
    )
    found = generate_tables(
        CohortConfig(n_subjects=N, population=model, measures=("edss",)), seed=3
    ).subjects
    duration = found["disease_duration_years"]
    assert abs(duration.mean() - 4.0) < MONTE_CARLO_ERRORS * 2.0 / np.sqrt(N)
    reference = stats.gamma(4.0, scale=1.0)  # shape (4 / 2)^2, mean 4
    tail = reference.sf(8.0)
    error = np.sqrt(tail * (1 - tail) / N)
    assert abs((duration > 8.0).mean() - tail) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize(("first", "second", "expected"), defaults.CORRELATIONS)
def test_person_factors_correlate_as_configured(tables, first, second, expected):
    latent = tables.truth.subjects
    found = np.corrcoef(latent[first], latent[second])[0, 1]
    assert abs(np.arctanh(found) - np.arctanh(expected)) < MONTE_CARLO_ERRORS / np.sqrt(N - 3)


@pytest.mark.parametrize("factor", [*FACTORS, "age_score", "duration_score"])
def test_person_factors_are_standard_normal(tables, factor):
    assert stats.kstest(tables.truth.subjects[factor], "norm").pvalue > 1e-4


def test_arms_have_their_shares_and_order():
    arms = (Arm(name="placebo", share=0.4), Arm(name="a", share=0.35), Arm(name="b", share=0.25))
    config = CohortConfig(n_subjects=N, population=_only(PPMS=1.0), arms=arms, measures=("edss",))
    arm = generate_tables(config, seed=2).subjects["arm"]
    assert list(arm.cat.categories) == ["placebo", "a", "b"]
    assert arm.cat.ordered
    for item in arms:
        error = np.sqrt(item.share * (1 - item.share) / N)
        assert abs((arm == item.name).mean() - item.share) < MONTE_CARLO_ERRORS * error


def test_allocation_depends_on_nothing_else():
    """The same subjects, with and without arms."""
    without = generate_tables(CohortConfig(n_subjects=200, population=_only(PPMS=1.0)), seed=2)
    arms = (Arm(name="placebo", share=0.5), Arm(name="active", share=0.5))
    with_arms = generate_tables(
        CohortConfig(n_subjects=200, population=_only(PPMS=1.0), arms=arms), seed=2
    )
    assert without.subjects.equals(with_arms.subjects.drop(columns="arm"))
    assert without.visits.equals(with_arms.visits)


def _people(**changes):
    model = dataclasses.replace(_only(PPMS=1.0), **changes)
    return generate_tables(CohortConfig(n_subjects=N, population=model, measures=("edss",)), seed=7)


def test_an_age_range_of_inclusion_takes_part_of_the_people():
    """Ages 30 to 45 of the truncated normal distribution from 18 to 70, and their scores."""
    found = _people(age_included=(30.0, 45.0))
    model = defaults.POPULATION
    mean, sd = model.age_mean["PPMS"], model.age_sd["PPMS"]
    reference = stats.truncnorm((30 - mean) / sd, (45 - mean) / sd, loc=mean, scale=sd)
    age = found.subjects["age_years"]
    assert age.between(30, 45).all()
    assert abs(age.mean() - reference.mean()) < MONTE_CARLO_ERRORS * reference.std() / np.sqrt(N)
    whole = stats.truncnorm(*((end - mean) / sd for end in model.age_range), loc=mean, scale=sd)
    ends = stats.norm.ppf([whole.cdf(30), whole.cdf(45)])
    score = stats.truncnorm(*ends)
    error = score.std() / np.sqrt(N)
    gap = found.truth.subjects["age_score"].mean() - score.mean()
    assert abs(gap) < MONTE_CARLO_ERRORS * error


def test_a_duration_range_of_inclusion_takes_part_of_the_people():
    found = _people(duration_included=(2.0, 10.0))
    model = defaults.POPULATION
    mean, sd = model.duration_mean["PPMS"], model.duration_sd["PPMS"]
    gamma = stats.gamma((mean / sd) ** 2, scale=sd**2 / mean)
    duration = found.subjects["disease_duration_years"]
    assert duration.between(2, 10).all()
    ends = gamma.cdf([2.0, 10.0])
    expected = (gamma.cdf(5.0) - ends[0]) / (ends[1] - ends[0])
    error = np.sqrt(expected * (1 - expected) / N)
    rounding = 0.05 * gamma.pdf(5.0) / (ends[1] - ends[0])
    assert abs((duration < 5.0).mean() - expected) < MONTE_CARLO_ERRORS * error + rounding
    score = stats.truncnorm(*stats.norm.ppf(ends))
    gap = found.truth.subjects["duration_score"].mean() - score.mean()
    assert abs(gap) < MONTE_CARLO_ERRORS * score.std() / np.sqrt(N)


@pytest.mark.parametrize(("sex", "ratio"), [("F", 0.9), ("M", 1.0)])
def test_head_size_depends_on_sex(tables, sex, ratio):
    found = tables.subjects.loc[tables.subjects["sex"] == sex, "head_size_ml"]
    model = defaults.POPULATION
    error = model.head_size_sd / np.sqrt(len(found))
    assert abs(found.mean() - ratio * model.head_size_mean) < MONTE_CARLO_ERRORS * error
    spread = model.head_size_sd / np.sqrt(2 * len(found))
    assert abs(found.std() - model.head_size_sd) < MONTE_CARLO_ERRORS * spread


@pytest.mark.parametrize("phenotype", ["HC", "RRMS", "SPMS", "PPMS"])
def test_head_scores_have_mean_0_and_variance_1(tables, phenotype):
    score = tables.truth.subjects.loc[tables.subjects["phenotype"] == phenotype, "head_size_score"]
    assert abs(score.mean()) < MONTE_CARLO_ERRORS / np.sqrt(len(score))
    assert abs(score.var() - 1) < MONTE_CARLO_ERRORS * np.sqrt(2 / len(score))
