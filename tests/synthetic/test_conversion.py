"""Conversion. Witnesses: lifelines, exponential shares, counts over person-time."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from clinical_draws import changed, draw, only
from lifelines import CoxPHFitter

from pmsstats.cohort.schema import PHENOTYPES
from pmsstats.errors import DesignError
from synthetic import PerPhenotype, defaults, generate_tables
from synthetic.clinical import ConversionModel
from synthetic.processes import FACTORS

N = 30_000
HORIZON = 2.7
MONTE_CARLO_ERRORS = 4
RATES = dataclasses.replace(defaults.CONVERSION, ris_to_ppms=0.2, rrms_to_spms=0.3)
EQUAL = ConversionModel(ris_to_ppms=0.2, rrms_to_spms=0.3)
RIS, RRMS, SPMS, PPMS = (PHENOTYPES.index(name) for name in ("RIS", "RRMS", "SPMS", "PPMS"))


def _draw(model, *phenotypes, **fields):
    return draw(
        changed(conversion=model, population=only(*phenotypes), **fields), seed=21, n_subjects=N
    )


def test_nobody_converts_by_default():
    assert draw(changed(), seed=1, n_subjects=100).conversion is None


@pytest.mark.parametrize(
    ("phenotype", "becomes", "rate"), [("RIS", PPMS, 0.2), ("RRMS", SPMS, 0.3)]
)
def test_without_loadings_time_to_conversion_is_exponential(phenotype, becomes, rate):
    conversion = _draw(EQUAL, phenotype).conversion
    expected = 1 - np.exp(-rate * HORIZON)
    error = np.sqrt(expected * (1 - expected) / N)
    assert abs((conversion.year < HORIZON).mean() - expected) < MONTE_CARLO_ERRORS * error
    assert (conversion.phenotype == becomes).all()


def test_other_phenotypes_never_convert():
    draws = _draw(EQUAL, "CIS", "SPMS", "PPMS")
    assert np.isinf(draws.conversion.year).all()
    assert (draws.conversion.phenotype == draws.population.phenotype).all()


@pytest.mark.parametrize(
    ("phenotype", "loadings"), [("RIS", RATES.ris_loadings), ("RRMS", RATES.rrms_loadings)]
)
def test_lifelines_recovers_the_hazard_ratios(phenotype, loadings):
    draws = _draw(RATES, phenotype)
    data = pd.DataFrame(draws.population.factors.T, columns=list(FACTORS)).assign(
        age=draws.population.age_score,
        duration=np.minimum(draws.conversion.year, HORIZON),
        event=draws.conversion.year < HORIZON,
    )
    fit = CoxPHFitter().fit(data, "duration", "event")
    assert len(loadings) >= 3
    for name in (*FACTORS, "age"):
        expected, error = dict(loadings).get(name, 0.0), fit.standard_errors_[name]
        assert abs(fit.params_[name] - expected) < MONTE_CARLO_ERRORS * error


@pytest.mark.parametrize(
    ("when", "rate"), [("before", 0.2), ("after", 1.5)], ids=["before", "after"]
)
def test_worsening_is_that_of_the_phenotype_of_the_moment(when, rate):
    steady = dataclasses.replace(
        defaults.DISABILITY,
        worsening_rate=PerPhenotype(RRMS=0.2, SPMS=1.5, PPMS=0.0),
        stages=((0.0, 1.0),),
        loadings=(),
    )
    draws = _draw(EQUAL, "RRMS", disability=steady)
    converts = np.minimum(draws.conversion.year, HORIZON)[:, None]
    steps = draws.steps
    counts = {
        "before": (steps < converts).sum(),
        "after": ((steps >= converts) & (steps < HORIZON)).sum(),
    }
    years = {"before": converts.sum(), "after": (HORIZON - converts).sum()}
    events = counts[when]
    assert events > 1000
    assert abs(np.log(events / years[when] / rate)) < MONTE_CARLO_ERRORS / np.sqrt(events)


def test_a_conversion_after_the_subject_has_left_is_not_known():
    """Nobody sees who converts after exit; the truth keeps when they do."""
    leaving = dataclasses.replace(defaults.MISSINGNESS, dropout_rate=0.5)
    config = changed(
        conversion=EQUAL, population=only("RRMS"), missingness=leaving, measures=("edss",)
    )
    tables = generate_tables(config, seed=22, n_subjects=2000)
    known = tables.subjects.merge(tables.exits, on="subject_id")
    day = np.ceil(365.25 * tables.truth.subjects["conversion_year"])
    told = known["converted_to"].notna()
    assert (day <= 7 * config.schedule.weeks[-1])[~told].any()
    np.testing.assert_array_equal(told, day <= known["day"])
    assert (known["conversion_day"] <= known["day"])[told].all()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"ris_to_ppms": -0.1}, "`ris_to_ppms` of the conversion model must be at least 0"),
        ({"ris_loadings": (("cord_leve", 0.1),)}, "Did you mean 'cord_level'"),
    ],
)
def test_impossible_conversions_are_refused(fields, message):
    with pytest.raises(DesignError, match=message):
        ConversionModel(**fields)
