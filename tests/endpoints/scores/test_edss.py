"""EDSS: witnesses are the scale (Kurtzke 1983) and the three published step tables."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.cohort import default_dictionary
from pmsstats.endpoints import EDSS_SCORES, edss_threshold, is_legal_edss
from pmsstats.errors import DesignError


def test_scale_has_twenty_scores_and_no_half() -> None:
    assert len(EDSS_SCORES) == 20
    assert EDSS_SCORES[:3] == (0.0, 1.0, 1.5)
    assert EDSS_SCORES[-1] == 10.0


def test_scale_is_the_data_dictionarys() -> None:
    assert default_dictionary()["edss"].values == EDSS_SCORES  # noqa: PD011 (a field of Measure)


@pytest.mark.parametrize("bad", [0.5, 4.3, 11, -1, 10.5, np.nan, np.inf])
def test_illegal_scores(bad: float) -> None:
    assert not is_legal_edss(bad)


def test_legal_scores() -> None:
    assert is_legal_edss(EDSS_SCORES).all()


@pytest.mark.parametrize("bad", ["4.0", "mild", None, pd.NA, True, np.True_, ""])
def test_what_is_no_number_is_no_score(bad: object) -> None:
    assert not is_legal_edss(bad)
    assert is_legal_edss([bad, 4.0]).tolist() == [False, True]


def test_nullable_columns_and_shapes_are_kept() -> None:
    assert is_legal_edss(pd.array([1, None, 0.5], dtype="Float64")).tolist() == [True, False, False]
    assert is_legal_edss(np.array([[0, 1], [11, 10]])).tolist() == [[True, True], [False, True]]
    assert is_legal_edss([]).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "baseline", "change"),
    [
        ((5.5,), 5.5, 1.0),  # ORATORIO
        ((5.5,), 6.0, 0.5),  # ORATORIO
        ((5.0,), 5.0, 1.0),  # EXPAND
        ((5.0,), 5.5, 0.5),  # EXPAND
        ((5.5,), 0.0, 1.0),
    ],
)
def test_published_steps(arguments: tuple[float], baseline: float, change: float) -> None:
    assert edss_threshold(*arguments).required(baseline) == change


@pytest.mark.parametrize(("baseline", "change"), [(0.0, 1.5), (1.0, 1.0), (5.5, 1.0), (6.0, 0.5)])
def test_steps_with_more_from_zero(baseline: float, change: float) -> None:
    assert edss_threshold(from_zero=1.5).required(baseline) == change


def test_bound_must_be_a_score() -> None:
    with pytest.raises(DesignError, match="EDSS score"):
        edss_threshold(5.25)
