"""Hazards given back by lifelines, from large complete cohorts. Witness: `true_parameters`."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from lifelines import CoxPHFitter

from synthetic import PerPhenotype, defaults, generate_tables, preset

N = 20_000
MONTE_CARLO_ERRORS = 4


@pytest.fixture(scope="module")
def first_steps():
    """First true steps over two years, at a stage-free hazard, with everything behind them."""
    config = preset("review").for_study(
        n_subjects=N, mix={"PPMS": 1}, weeks=(0, 104), measures=("edss", "thalamus_ml"),
    )  # fmt: skip
    disability = dataclasses.replace(defaults.DISABILITY, stages=((0.0, 1.0),))
    tables = generate_tables(dataclasses.replace(config, disability=disability), 12)
    data = tables.truth.subjects.copy()
    data["duration"] = data["first_step_year"].fillna(2.0).clip(upper=2.0)
    data["event"] = data["first_step_year"] < 2.0
    return data, tables.truth.parameters


def test_cox_gives_back_the_log_hazards_of_all_factors(first_steps):
    data, parameters = first_steps
    wanted = dict(parameters["log_hazard_per_sd"])
    scores = {"age": "age_score", "duration": "duration_score"}
    columns = [
        name for name in data if name.endswith(("_level", "_rate")) and "relapse" not in name
    ]
    columns += [scores[name] for name in wanted if name in scores]
    frame = data[[*columns, "duration", "event"]].copy()
    fit = CoxPHFitter().fit(frame.rename(columns={"duration": "years"}), "years", "event")
    assert len(columns) >= 12
    for name in columns:
        target = wanted.get(name.removesuffix("_score"), wanted.get(name, 0.0))
        gap = fit.params_[name] - target
        assert abs(gap) < MONTE_CARLO_ERRORS * fit.standard_errors_[name]


def test_cox_on_early_events_gives_back_the_log_hazard_of_the_slope(first_steps):
    """In the first weeks hardly anybody at high risk has left: the ratio is that of time 0."""
    data, parameters = first_steps
    wanted = parameters["measures"]["thalamus_ml"]
    early = 0.25
    frame = data[["thalamus_ml_slope"]].div(-wanted["slope_sd"]["PPMS"])
    frame["years"] = data["duration"].clip(upper=early)
    frame["event"] = data["event"] & (data["first_step_year"] < early)
    fit = CoxPHFitter().fit(frame, "years", "event")
    gap = fit.params_["thalamus_ml_slope"] - wanted["initial_log_hazard_per_sd_slope"]
    # the ratio falls in time: by less than a tenth of it within a quarter of a year
    allowed = MONTE_CARLO_ERRORS * fit.standard_errors_["thalamus_ml_slope"]
    assert abs(gap) < allowed + 0.1 * wanted["initial_log_hazard_per_sd_slope"]


@pytest.mark.parametrize("treatment", ["siponimod", "natalizumab"])
def test_cox_gives_back_the_hazard_ratio_of_a_treatment(treatment):
    """Stratified by nothing, adjusted for the linear predictor, so that no frailty is left over."""
    config = preset("review").for_study(
        n_subjects=N, mix={"SPMS": 1}, weeks=(0, 104), measures=("edss",),
        treatments=("placebo", treatment),
    )  # fmt: skip
    disability = dataclasses.replace(
        defaults.DISABILITY, stages=((0.0, 1.0),), worsening_rate=PerPhenotype(SPMS=0.4)
    )
    config = dataclasses.replace(config, disability=disability)
    tables = generate_tables(config, 4)
    truth = tables.truth.subjects
    active = (tables.subjects["arm"] == treatment).astype(float)
    ratio = float(config.arms[1].worsening_hazard_ratio)
    frame = truth[["first_step_year"]].fillna(2.0).clip(upper=2.0)
    frame["event"] = truth["first_step_year"] < 2.0
    frame["active"] = active
    frame["lp"] = np.log(truth["worsening_hazard"]) - np.log(ratio) * active
    fit = CoxPHFitter().fit(frame, "first_step_year", "event")
    error = fit.standard_errors_["active"]
    assert abs(fit.params_["active"] - np.log(ratio)) < MONTE_CARLO_ERRORS * error
