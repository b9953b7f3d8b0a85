"""Information at calendar times: expected and simulated trials by brute force."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pmsstats.errors import DesignError
from pmsstats.power.information import (
    information_time_events,
    information_time_slope,
    slope_information,
)
from pmsstats.power.schedule import VisitSchedule
from pmsstats.power.slope_variance import SlopeModel

SCHEDULE = VisitSchedule.every(months=6, duration=2)
FREE = SlopeModel(slope_sd=0.8, residual_sd=0.5)
MIXED = SlopeModel(slope_sd=0.8, residual_sd=0.5, intercept_sd=2.0, correlation=0.3)
TRIAL = {"n": 200, "schedule": SCHEDULE, "model": FREE, "accrual": 1.5}


@pytest.mark.parametrize("model", [FREE, MIXED], ids=["free", "mixed"])
@pytest.mark.parametrize("common", [False, True])
def test_complete_data_have_the_closed_form(model: SlopeModel, common: bool) -> None:
    """Witness: slope variance of a subject is slope_sd^2 + residual_sd^2 / sum((t - mean)^2).

    With free intercepts that is all. Of balanced complete data the generalised least squares
    estimate is that of ordinary least squares, whatever the covariance of intercepts; a baseline
    that arms share can but help.
    """
    t = np.array(SCHEDULE.years)
    seen = np.full((1, len(t)), 60.0)
    found = slope_information(t, (model, model), (seen, seen), common_baseline=common)[0]
    expected = 60 / (2 * (0.8**2 + 0.5**2 / np.sum((t - t.mean()) ** 2)))
    helps = common and model is MIXED
    assert found >= expected * (1 - 1e-10)
    assert (found == pytest.approx(expected, rel=1e-10)) == (not helps)


@pytest.mark.parametrize("model", [FREE, MIXED], ids=["free", "mixed"])
@pytest.mark.parametrize("common", [False, True])
def test_information_is_that_of_one_large_cohort(model: SlopeModel, common: bool) -> None:
    """Witness: one stacked regression over simulated subjects, with huge intercepts if free."""
    rng = np.random.default_rng(51)
    n, t, look = 4000, np.array(SCHEDULE.years), 2.1
    spread = model.intercept_sd if np.isfinite(model.intercept_sd) else 3000.0
    p = 3 if common else 4
    total = np.zeros((p, p))
    for arm, lost in ((0, 0.1), (1, 0.2)):
        entry = rng.uniform(0, 1.5, n)
        leave = rng.exponential(1 / -np.log1p(-lost), n)
        visits = ((entry[:, None] + t <= look) & (t <= leave[:, None])).sum(axis=1)
        for m, count in zip(*np.unique(visits[visits > 0], return_counts=True), strict=True):
            own, ones = t[:m], np.ones(m)
            Z = np.column_stack([ones, own])
            mixed = model.correlation * spread * 0.8
            G = np.array([[spread**2, mixed], [mixed, 0.64]])
            V = Z @ G @ Z.T + 0.25 * np.eye(m)
            columns = [ones, *([] if common else [arm * ones]), own, arm * own]
            X = np.column_stack(columns)
            total += count * X.T @ np.linalg.solve(V, X)
    expected = 1 / np.linalg.inv(total)[-1, -1]
    found = information_time_slope(
        n=2 * n,
        schedule=SCHEDULE,
        model=model,
        calendar_years=[look],
        accrual=1.5,
        dropout=(0.1, 0.2),
        common_baseline=common,
    )
    assert found["information"].iloc[0] == pytest.approx(expected, rel=0.03)
    assert found["std_error"].iloc[0] == pytest.approx(expected**-0.5, rel=0.015)


def test_visits_and_enrolment_by_hand() -> None:
    """Witness: sums by hand. After 1.75 years all have entered, at 1.5 years."""
    found = information_time_slope(calendar_years=[0.0, 0.75, 1.75, 3.5], **TRIAL)
    assert found["n_enrolled"].tolist() == pytest.approx([0, 100, 200, 200])
    # Entered by 0.75, 0.25 years ago; of 1.75, 1.25, 0.75, 0.25 and -0.25.
    by_hand = [0.0, 200 * (0.75 + 0.25) / 1.5, 200 * (1.5 + 1.25 + 0.75 + 0.25) / 1.5, 1000.0]
    assert found["n_visits"].tolist() == pytest.approx(by_hand)
    assert found["information"].iloc[0] == 0.0
    assert np.isinf(found["std_error"].iloc[0])
    assert found["fraction"].iloc[-1] == pytest.approx(1.0)


@settings(max_examples=25)
@given(st.floats(0.05, 1.0), st.floats(0.0, 2.0), st.floats(0.0, 0.3))
def test_times_of_fractions_lead_back(fraction: float, accrual: float, dropout: float) -> None:
    options = {**TRIAL, "accrual": accrual, "dropout": dropout}
    found = information_time_slope(fractions=[fraction], **options).iloc[0]
    assert found["fraction"] >= fraction - 1e-6
    just_before = max(found["calendar_year"] - 1e-6, 0.0)
    before = information_time_slope(calendar_years=[just_before], **options).iloc[0]
    assert before["fraction"] <= fraction + 1e-6
    assert found["calendar_year"] <= accrual + 2.0 + 1e-9


def test_information_never_falls_and_more_scans_never_hurt() -> None:
    years = np.linspace(0, 3.5, 36)
    few = information_time_slope(calendar_years=years, **TRIAL)
    assert np.all(np.diff(few["information"]) >= -1e-9)
    denser = {**TRIAL, "schedule": VisitSchedule.every(months=3, duration=2)}
    many = information_time_slope(calendar_years=years, **denser)
    assert np.all(many["information"] >= few["information"] - 1e-9)


EVENTS = {"hazard": 0.4, "hazard_ratio": 0.6, "accrual": 1.5, "follow_up": 2.0, "dropout": 0.1}


def test_events_by_simulation() -> None:
    """Witness: simulated subjects, counted at the look."""
    rng, n, look = np.random.default_rng(52), 400_000, 1.2
    found = information_time_events(n=2 * n, calendar_years=[look, 3.5], **EVENTS)
    for arm, hazard in (("reference", 0.4), ("treated", 0.24)):
        entry = rng.uniform(0, 1.5, n)
        time = rng.exponential(1 / hazard, n)
        lost = rng.exponential(1 / -np.log(0.9), n)
        for i, at in enumerate((look, 3.5)):
            share = np.mean((time <= lost) & (entry + time <= at))
            expected = found[f"n_events_{arm}"].iloc[i] / n
            assert abs(share - expected) < 4 * np.sqrt(expected * (1 - expected) / n)
    assert found["fraction"].tolist()[1] == pytest.approx(1.0)


def test_times_of_event_shares_lead_back() -> None:
    found = information_time_events(n=300, fractions=[0.25, 0.5, 1.0], **EVENTS)
    np.testing.assert_allclose(found["fraction"], [0.25, 0.5, 1.0], atol=1e-7)
    assert found["calendar_year"].iloc[-1] == 3.5
    assert information_time_events(n=300, calendar_years=[0.0], **EVENTS)["n_events"].iloc[0] < 1e-6


BAD = [
    ({}, "exactly one of"),
    ({"calendar_years": [1.0], "fractions": [0.5]}, "exactly one of"),
    ({"calendar_years": [4.0]}, "between 0 and the end of the trial at 3.5 years"),
    ({"calendar_years": [-1.0]}, "between 0 and the end"),
    ({"fractions": [1.5]}, "above 0 and up to 1"),
    ({"fractions": [0.5], "dropout": 1.1}, "`dropout`"),
    ({"fractions": [0.5], "model": (FREE, MIXED)}, "both have free intercepts"),
    ({"fractions": [0.5], "accrual": -1.0}, "`accrual`"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_refused(options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        information_time_slope(**{**TRIAL, **options})
