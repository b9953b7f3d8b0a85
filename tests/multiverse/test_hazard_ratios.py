"""One Cox model per definition: what cannot be estimated says why."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.models import CoxSpec, fit_cox
from pmsstats.multiverse import hazard_ratios
from pmsstats.multiverse.comparison import Comparison
from pmsstats.multiverse.hazard_ratios import fit_ratios, wald_table
from pmsstats.seeds import stream

MAXIMUM = 1e-7


def two_arms(n: int, **kws) -> Comparison:
    """The first half placebo, the second active."""
    group = (np.arange(n) >= n / 2).astype(np.int64)
    fields = {
        "subject_ids": np.array([f"S{i}" for i in range(n)], dtype=object),
        "X": (group == 1).astype(float)[:, None],
        "columns": ("active vs placebo",),
        "terms": ("active vs placebo",),
        "group": group,
        "groups": ("placebo", "active"),
        "stratum": np.zeros(n, dtype=np.int64),
    }
    return Comparison(**(fields | kws))


def fitted(duration, event, at_risk=None, comparison=None):
    duration, event = np.array(duration), np.array(event, dtype=bool)
    at_risk = np.ones(len(event), dtype=bool) if at_risk is None else np.array(at_risk, dtype=bool)
    return fit_ratios(duration, event, at_risk, comparison or two_arms(len(event)))


@pytest.mark.parametrize(
    ("event", "at_risk", "note"),
    [
        ([0, 0, 0, 0, 0, 0], [1] * 6, "no event"),
        ([1, 1, 0, 0, 0, 0], [1] * 6, "no event in active"),
        ([0, 0, 0, 1, 1, 0], [1] * 6, "no event in placebo"),
        ([1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0], "nobody at risk in active"),
        ([1, 1, 0, 1, 0, 0], [0] * 6, "no event"),
    ],
)
def test_counts_that_rule_a_ratio_out(event, at_risk, note):
    fit = fitted([5, 6, 7, 8, 9, 10], event, at_risk)
    assert fit.notes == (note,)
    assert np.isnan([*fit.estimate, *fit.std_error]).all()


def test_separation_is_said_in_words():
    # All placebo events come before, and the active one after everybody else has left.
    fit = fitted([1, 2, 3, 7, 8, 9], [1, 1, 1, 1, 0, 0])
    assert "separation" in fit.notes[0]
    assert "active vs placebo has its lowest value at risk" in fit.notes[0]
    assert np.isnan(fit.estimate).all()


def test_too_few_events_for_the_covariates():
    others = stream(1, "covariates").normal(size=(8, 3))
    base = two_arms(8)
    comparison = two_arms(
        8, X=np.column_stack([base.X, others]), columns=("active vs placebo", "a", "b", "c")
    )
    fit = fitted([3, 4, 5, 6, 7, 8, 9, 10], [0, 0, 0, 1, 1, 0, 0, 0], comparison=comparison)
    assert "2 event(s) cannot support 4 terms" in fit.notes[0]


def test_a_collinear_covariate_is_named():
    base = two_arms(8)
    comparison = two_arms(8, X=np.column_stack([base.X, 1 - base.X]), columns=("active", "other"))
    fit = fitted([3, 4, 5, 6, 7, 8, 9, 10], [1, 1, 0, 1, 1, 1, 0, 1], comparison=comparison)
    assert "collinear" in fit.notes[0]


@pytest.mark.parametrize("n_strata", [1, 3])
def test_both_ways_to_the_maximum_agree(monkeypatch, n_strata):
    rng = stream(4, "survival")
    n = 90
    age = rng.normal(size=n)
    base = two_arms(n)
    comparison = two_arms(
        n,
        X=np.column_stack([base.X, age]),
        columns=("active vs placebo", "age"),
        stratum=np.arange(n) % n_strata,
    )
    duration = rng.integers(1, 20, n)  # many ties
    event = rng.random(n) < 0.6
    ours = fitted(duration, event, comparison=comparison)
    monkeypatch.setattr(hazard_ratios, "_is_maximum", lambda terms: False)
    second = fitted(duration, event, comparison=comparison)
    assert abs(ours.estimate[0] - second.estimate[0]) < MAXIMUM * ours.std_error[0]
    frame = pd.DataFrame(
        {"duration": duration, "event": event, "active": base.X[:, 0], "age": age,
         "stratum": comparison.stratum}
    )  # fmt: skip
    spec = CoxSpec(covariates=("active", "age"), strata="stratum")
    theirs = fit_cox(frame, spec).coefficients.iloc[0]
    assert abs(ours.estimate[0] - theirs["estimate"]) < MAXIMUM * theirs["std_error"]
    assert ours.std_error[0] == pytest.approx(theirs["std_error"], rel=MAXIMUM)


def test_wald_table():
    table = wald_table(np.array([np.log(2.0), np.nan]), np.array([0.5, np.nan]), 0.9)
    # 1.6448536 standard errors to each side; p of 0.6931 / 0.5 = 1.3863 is 0.1657.
    assert table["conf_low"][0] == pytest.approx(np.log(2) - 1.6448536 * 0.5, abs=1e-7)
    assert table["hazard_ratio_high"][0] == pytest.approx(2 * np.exp(1.6448536 * 0.5), rel=1e-7)
    assert table["p_value"][0] == pytest.approx(0.1657, abs=5e-5)
    assert table.iloc[1].isna().all()


@pytest.mark.parametrize(
    ("event", "n", "note"),
    [
        ([1, 0, 0, 0, 1, 0, 0, 0], 2, "only 2 events"),
        ([1, 1, 0, 0, 1, 1, 0, 0], 4, "only 4 events"),
        ([1, 1, 1, 0, 1, 1, 0, 0], 5, ""),
    ],
)
def test_few_events_are_estimated_with_a_note(event, n, note):
    # Days interleave, so that neither arm has all of its events before the other's.
    fit = fitted([2, 5, 8, 11, 3, 6, 9, 12], event)
    assert sum(event) == n
    assert np.isfinite(fit.estimate).all()
    assert (fit.notes, fit.few_events.tolist()) == ((note,), [n < 5])


def test_events_are_those_of_the_two_groups_of_a_term():
    group = np.repeat([0, 1, 2], 6)
    comparison = two_arms(
        18,
        X=(group[:, None] == [1, 2]).astype(float),
        columns=("b vs a", "c vs a"), terms=("b vs a", "c vs a"),
        group=group, groups=("a", "b", "c"),
    )  # fmt: skip
    event = [1, 1, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 1, 0, 0, 0]
    days = np.array([1, 4, 7, 10, 13, 16])
    fit = fitted(np.concatenate([days, days + 1, days + 2]), event, comparison=comparison)
    assert fit.notes == ("only 4 events", "")
    assert fit.few_events.tolist() == [True, False]


def test_what_cannot_be_estimated_does_not_rest_on_few_events():
    assert fitted([5, 6, 7, 8, 9, 10], [1, 1, 0, 0, 0, 0]).few_events.tolist() == [False]
