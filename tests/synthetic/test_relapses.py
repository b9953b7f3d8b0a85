"""Relapses. Witnesses: negative binomial moments, hand-worked recoveries."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from synthetic import CohortConfig, PerPhenotype, RelapseModel, defaults, generate_tables
from synthetic.relapses import Relapses, relapse_impairment

N = 30_000
MONTE_CARLO_ERRORS = 4
YEARS = 144 * 7 / 365.25

RRMS_ONLY = dataclasses.replace(defaults.POPULATION, mix=PerPhenotype(RRMS=1.0))


def _counts(dispersion):
    """Count relapses in the planned follow-up of a cohort from which nobody goes missing."""
    relapses = dataclasses.replace(defaults.RELAPSES, dispersion=dispersion)
    config = CohortConfig(n_subjects=N, population=RRMS_ONLY, relapses=relapses).complete()
    tables = generate_tables(dataclasses.replace(config, measures=("edss",)), seed=4)
    counts = tables.relapses["subject_id"].value_counts()
    return counts.reindex(tables.subjects["subject_id"], fill_value=0).to_numpy()


@pytest.mark.parametrize("dispersion", [0.0, 0.5, 1.0])
def test_counts_have_negative_binomial_moments(dispersion):
    counts = _counts(dispersion)
    mean = defaults.RELAPSES.rate["RRMS"] * YEARS
    variance = mean + dispersion * mean**2
    # follow-up ends up to a week around its planned end, and two relapses of one day are one
    allowance = 0.003 * mean
    assert abs(counts.mean() - mean) < MONTE_CARLO_ERRORS * np.sqrt(variance / N) + allowance
    fourth = ((counts - counts.mean()) ** 4).mean()
    variance_error = np.sqrt((fourth - variance**2) / N)
    assert abs(counts.var() - variance) < MONTE_CARLO_ERRORS * variance_error + 0.01 * variance


def test_relapses_per_phenotype():
    tables = generate_tables(CohortConfig(n_subjects=20_000).complete(), seed=6)
    counts = tables.relapses["subject_id"].value_counts()
    n = counts.reindex(tables.subjects["subject_id"], fill_value=0).to_numpy()
    phenotype = tables.subjects["phenotype"].to_numpy()
    assert n[phenotype == "HC"].sum() == 0
    means = {name: n[phenotype == name].mean() for name in ("RRMS", "SPMS", "PPMS")}
    assert means["RRMS"] > means["SPMS"] > means["PPMS"] > 0


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
    tables = generate_tables(CohortConfig(population=RRMS_ONLY, relapses=busy), seed=1)
    assert len(tables.relapses) > 10_000
    assert not tables.relapses.duplicated().any()
    last = tables.relapses["subject_id"].map(tables.exits.set_index("subject_id")["day"])
    assert (tables.relapses["day"] <= last).all()
    assert (tables.relapses["day"] >= 1).all()
