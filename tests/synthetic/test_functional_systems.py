"""Functional systems. Witnesses: the rules by which a reader derives the EDSS, the item responses.

`pmsstats.endpoints` and the generator wrote the scoring table down apart from each other.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit
from scipy.stats import norm

from pmsstats.endpoints.scores.edss_consistency import check_edss
from pmsstats.endpoints.scores.functional_systems import derive_edss
from pmsstats.errors import DesignError
from synthetic import CohortConfig, defaults, generate_tables
from synthetic.clinical import FunctionalSystem
from synthetic.draws import SubjectStreams
from synthetic.functional_systems import _logistic, grade_systems

MODEL = defaults.FUNCTIONAL_SYSTEMS
MONTE_CARLO_ERRORS = 4
N = 4000
LEGAL = np.array([0.0, *np.arange(1.0, 10.0, 0.5)])


def _grade(edss, seed=1, model=MODEL):
    """Grade people by their ratings, one column per visit."""
    edss = np.asarray(edss, dtype=float)
    streams = SubjectStreams(np.random.SeedSequence(seed), len(edss))
    return grade_systems(model, edss, tuple(range(edss.shape[1])), streams)


@pytest.fixture(scope="module")
def visits():
    """Everybody at every score of a living person."""
    grades = _grade(np.tile(LEGAL, (N, 1)))
    keys = {
        "subject_id": np.repeat(np.arange(N), len(LEGAL)),
        "day": np.tile(np.arange(len(LEGAL)), N),
        "edss": np.tile(LEGAL, N),
    }
    return pd.DataFrame({**keys, **{name: grade.ravel() for name, grade in grades.items()}})


def test_the_reader_derives_the_rating_from_the_systems(visits):
    derived = derive_edss(visits)["edss_derived"]
    assert len(visits) == N * len(LEGAL)
    assert (derived == visits["edss"]).all()


def test_the_reader_finds_no_disagreement(visits):
    assert check_edss(visits).empty


@pytest.mark.parametrize("item", MODEL.systems, ids=lambda item: item.measure)
def test_worse_ratings_have_worse_systems(visits, item):
    means = visits.groupby("edss")[item.measure].mean()
    assert means[0.0] == 0
    assert means[[2.0, 4.5, 6.5, 9.0]].is_monotonic_increasing


@pytest.mark.parametrize("name", ["fs_sensory", "fs_cerebral", "fs_visual"])
def test_where_walking_decides_grades_follow_the_item_response(visits, name):
    """At 7.0 no grade is changed unless it would exceed the EDSS: the mean is a sum of logits."""
    item = next(item for item in MODEL.systems if item.measure == name)
    impairment = (7.0 - MODEL.edss_mean) / MODEL.edss_sd
    expected = expit(item.discrimination * (impairment - np.array(item.thresholds))).sum()
    grades = visits.loc[visits["edss"] == 7.0, name]
    # recorded grades that count alike are told apart by the item response itself
    assert abs(grades.mean() - expected) < MONTE_CARLO_ERRORS * grades.std() / np.sqrt(N)


def test_deviations_stay_with_the_person():
    twice = np.full((N, 2), 5.5)
    kept, lost = (
        _grade(twice, model=dataclasses.replace(MODEL, persistence=share))["fs_sensory"]
        for share in (1.0, 0.0)
    )
    assert (kept[:, 0] == kept[:, 1]).all()
    assert abs(np.corrcoef(lost.T)[0, 1]) < MONTE_CARLO_ERRORS / np.sqrt(N)


def test_systems_change_no_other_measurement():
    """Recorded beside the others, they leave every one of them as it was."""
    measures = ("edss", "t25fw_s", "sdmt")
    plain = generate_tables(CohortConfig(measures=measures), seed=2).visits
    config = CohortConfig(functional_systems=MODEL, measures=(*measures, *MODEL.measures))
    both = generate_tables(config, seed=2).visits
    assert list(both.columns[-8:]) == list(MODEL.measures)
    assert both[plain.columns].equals(plain)
    unrated = both["edss"].isna()
    assert unrated.any()
    assert both.loc[unrated, list(MODEL.measures)].isna().all(axis=None)
    assert both.loc[~unrated, list(MODEL.measures)].notna().all(axis=None)


def test_deviations_are_logistic():
    """Against the exact distribution functions, far into the tails."""
    normal = np.linspace(-5, 5, 1001)
    found = expit(_logistic(normal))
    np.testing.assert_allclose(found, norm.cdf(normal), atol=2e-4)  # the accuracy that Page gives


def test_impossible_items_are_refused():
    with pytest.raises(DesignError, match="`thresholds` of functional system 'fs_visual'"):
        FunctionalSystem(measure="fs_visual", discrimination=1.0, thresholds=(1.0, 0.5))
    with pytest.raises(DesignError, match="`discrimination` of functional system 'fs_visual'"):
        FunctionalSystem(measure="fs_visual", discrimination=0.0, thresholds=(1.0,))
