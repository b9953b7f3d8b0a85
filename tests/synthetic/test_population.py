"""Who is in the cohort. Witnesses: scipy distributions and binomial errors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from synthetic import Arm, CohortConfig, PerPhenotype, defaults, generate_tables

N = 20_000
MONTE_CARLO_ERRORS = 4


@pytest.fixture(scope="module")
def tables():
    return generate_tables(CohortConfig(n_subjects=N), seed=11)


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
    found = generate_tables(CohortConfig(n_subjects=N, population=model), seed=3).subjects
    duration = found["disease_duration_years"]
    assert abs(duration.mean() - 4.0) < MONTE_CARLO_ERRORS * 2.0 / np.sqrt(N)
    reference = stats.gamma(4.0, scale=1.0)  # shape (4 / 2)^2, mean 4
    tail = reference.sf(8.0)
    error = np.sqrt(tail * (1 - tail) / N)
    assert abs((duration > 8.0).mean() - tail) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("damage", "rate", 0.3), ("damage", "disability", 0.4), ("rate", "disability", 0.2)],
)
def test_person_factors_correlate_as_configured(tables, first, second, expected):
    latent = tables.truth.subjects
    found = np.corrcoef(latent[first], latent[second])[0, 1]
    assert abs(np.arctanh(found) - np.arctanh(expected)) < MONTE_CARLO_ERRORS / np.sqrt(N - 3)


@pytest.mark.parametrize("factor", ["damage", "rate", "disability"])
def test_person_factors_are_standard_normal(tables, factor):
    assert stats.kstest(tables.truth.subjects[factor], "norm").pvalue > 1e-4


def test_arms_have_their_shares_and_order():
    arms = (Arm(name="placebo", share=0.4), Arm(name="a", share=0.35), Arm(name="b", share=0.25))
    config = CohortConfig(n_subjects=N, population=_only(PPMS=1.0), arms=arms)
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
