"""What holds for every default of imaging. Witnesses: the data dictionary, matrix algebra."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from pmsstats.cohort.schema import PHENOTYPES
from synthetic.defaults import (
    cerebellum,
    cord,
    cortex,
    deep_grey,
    diffusion,
    lesions,
    magnetisation,
    metabolism,
    population,
    volumes,
)
from synthetic.observation import known_measures
from synthetic.processes import FACTORS, LEVELS
from synthetic.values import ASSUMPTION, PerPhenotype, Sourced

MODULES = (
    volumes,
    deep_grey,
    cerebellum,
    cord,
    lesions,
    magnetisation,
    diffusion,
    metabolism,
    cortex,
)
MODELS = [model for module in MODULES for model in module.MODELS]
IDS = [model.measure for model in MODELS]
LEVELLED = [model for model in MODELS if model.scale != "change"]
EVENTS = {
    "new_t2_count",
    "gd_lesion_count",
    "gd_lesion_presence",
    "gd_lesion_ml",
    "active_lesion_count",
}
"""Measures of the event model, which counts lesions as they form."""

FIXED = {"spinal_onset"}
"""A fact of the past, which does not change: its rates are 0 and need no loadings."""

SCORES = {"age", "duration", "head_size"}
SPREADS = 3
"""Spreads from the mean that must still be plausible: 0.3 % of persons lie beyond."""


def _is_ours(measure):
    return measure.technique != "clinical" or measure.name in FIXED


def _range(model, mean):
    """Lowest and highest baseline within so many spreads, native units."""
    if model.scale == "presence":
        return 0.0, 1.0
    reach = np.array([-SPREADS, SPREADS]) * model.sd
    if model.scale == "linear":
        return tuple(mean + reach)
    return tuple(np.exp(math.log(mean) - model.sd**2 / 2 + reach))


def test_every_measure_of_these_families_has_one_model():
    dictionary = known_measures()
    wanted = {name for name in dictionary if _is_ours(dictionary[name])}
    assert len(wanted) > 150
    assert sorted(IDS) == sorted(wanted - EVENTS)
    assert wanted >= EVENTS


@pytest.mark.parametrize("model", LEVELLED, ids=[model.measure for model in LEVELLED])
def test_baselines_are_plausible_in_every_phenotype(model):
    low, high = known_measures()[model.measure].plausible
    assert tuple(model.mean) == tuple(model.rate_pct) == PHENOTYPES
    ranges = np.array([_range(model, mean) for mean in model.mean.values()])
    assert (ranges >= low).all()
    assert (ranges <= high).all()


@pytest.mark.parametrize("model", MODELS, ids=IDS)
@pytest.mark.parametrize("field", ["level_loadings", "rate_loadings"])
def test_the_processes_explain_no_more_than_all_of_the_variance(model, field):
    """Variance of a weighted sum: squares, and twice every product with its correlation."""
    pairs = {frozenset(pair[:2]): float(pair[2]) for pair in population.CORRELATIONS}
    weights = [(name, float(weight)) for name, weight in getattr(model, field)]
    variance = sum(
        first * second * (1.0 if a == b else pairs.get(frozenset((a, b)), 0.0))
        for a, first in weights
        for b, second in weights
    )
    assert variance <= 1
    assert variance > 0 or model.scale == "change" or model.measure in FIXED
    assert {name for name, _ in weights} <= {*FACTORS, *SCORES}


@pytest.mark.parametrize("model", MODELS, ids=IDS)
def test_levels_load_on_levels_and_rates_on_rates(model):
    assert {name for name, _ in model.level_loadings} <= {*LEVELS, *SCORES}
    assert all(name.endswith("_rate") for name, _ in model.rate_loadings)
    assert model.drivers or model.measure in FIXED


def _numbers(value):
    if isinstance(value, PerPhenotype):
        yield from value.values()
    elif isinstance(value, tuple):
        for item in value:
            yield from _numbers(item)
    elif isinstance(value, float):
        yield value


def _sources(model):
    defaults = {field.name: field.default for field in dataclasses.fields(model)}
    for field, value in ((f.name, getattr(model, f.name)) for f in dataclasses.fields(model)):
        if value is not defaults[field]:
            yield from _numbers(value)


@pytest.mark.parametrize("model", [*MODELS, lesions.LESIONS], ids=[*IDS, "new lesions"])
def test_every_number_names_its_source_and_says_why(model):
    numbers = [number for number in _sources(model) if number != 0 or isinstance(number, Sourced)]
    assert len(numbers) > 5
    assert all(isinstance(number, Sourced) for number in numbers)
    assert all(number.why for number in numbers if number.source == ASSUMPTION)
