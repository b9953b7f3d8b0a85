"""Flexible parametric models: Weibull inside, R's optim, Cox nearby, truth, bad input."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from reference_cases import load_case
from scipy import integrate

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.events.survival import CoxSpec, fit_cox
from pmsstats.models.parametric.aft import AFTSpec, fit_aft
from pmsstats.models.parametric.flexible import FlexibleSpec, fit_flexible
from pmsstats.models.parametric.log_time_splines import LogTimeSpline, choose_knots

SAME_MAXIMUM = 1e-7  # relative: the same likelihood in other parameters
NEAR_COX = 0.25  # in standard errors: 6 df follow the bumps nearly, but not quite
COVARIATES = "age_years + active"
INTERVAL = {"lower": "lower", "upper": "upper", "entry": "entry"}


@pytest.fixture(scope="module")
def data() -> pd.DataFrame:
    return load_case("parametric_survreg").input


@pytest.mark.parametrize(
    ("scale", "distribution"),
    [("hazard", "weibull"), ("odds", "loglogistic"), ("normal", "lognormal")],
)
@pytest.mark.parametrize("options", [{}, INTERVAL])
def test_one_df_is_an_accelerated_failure_time_model(data, scale, distribution, options) -> None:
    """Witness: fit_aft, itself checked against survreg; effects differ by the factor -1 / scale."""
    spec = FlexibleSpec(covariates=COVARIATES, df=1, scale=scale, **options)
    aft = fit_aft(data, AFTSpec(covariates=COVARIATES, distribution=distribution, **options))
    fit = fit_flexible(data, spec)
    assert fit.log_likelihood == pytest.approx(aft.log_likelihood, rel=1e-12)
    np.testing.assert_allclose(fit.table()["estimate"], -aft.working[2:], rtol=SAME_MAXIMUM)
    errors = np.sqrt(np.diag(aft.working_covariance)[2:])
    np.testing.assert_allclose(fit.table()["std_error"], errors, rtol=SAME_MAXIMUM)
    new = pd.DataFrame({"age_years": [50.0], "active": [1]})
    curves = [f.predict_survival(new, [0.0, 1.0, 3.0]) for f in (fit, aft)]
    np.testing.assert_allclose(*(c.to_numpy(dtype=float) for c in curves), rtol=SAME_MAXIMUM)


MODELS = [(f"right.df{df}", {"df": df}) for df in (1, 2, 3, 4)]
MODELS += [("interval.df2", {"df": 2, **INTERVAL})]


@pytest.mark.parametrize(("name", "options"), MODELS)
def test_agrees_with_the_likelihood_written_out_in_r(name: str, options: dict) -> None:
    """Witness: Royston and Parmar's likelihood in R, maximised by optim (stored)."""
    case = load_case("flexible_spline")
    fit = fit_flexible(case.input, FlexibleSpec(covariates=COVARIATES, **options))
    likelihood = case.rows(f"{name}.log_likelihood").iloc[0]
    assert fit.log_likelihood == pytest.approx(likelihood["value"], rel=likelihood["rtol"])
    table = fit.table().set_index("term")["estimate"]
    for row in case.rows(f"{name}.estimate").itertuples():
        assert table[row.term] == pytest.approx(row.value, rel=row.rtol)


def bumpy(seed: int, n: int) -> pd.DataFrame:
    """Draw times whose hazard rises, falls and rises: a mixture of three log-normals."""
    rng = np.random.default_rng(seed)
    base = -np.log(rng.uniform(size=n))
    x = rng.normal(size=n)
    arm = rng.choice(["active", "placebo"], n)
    wanted = base * np.exp(-0.5 * x - 0.4 * (arm == "placebo"))
    grid = np.linspace(1e-4, 12, 20000)
    hazard = 0.05 + 0.5 * np.exp(-((grid - 1) ** 2) / 0.3) + 0.15 * (grid > 4)
    time = np.interp(wanted, integrate.cumulative_trapezoid(hazard, grid, initial=0), grid)
    end = rng.uniform(2, 10, n)
    return pd.DataFrame(
        {"x": x, "arm": arm, "duration": np.minimum(time, end), "event": time <= end}
    )


def test_effects_come_near_cox_whatever_the_baseline() -> None:
    """Witness: the Cox model, which needs no baseline; Weibull is far off on the same data."""
    data = bumpy(1, 3000)
    cox = fit_cox(data, CoxSpec(covariates="x + arm")).table()
    flexible = fit_flexible(data, FlexibleSpec(covariates="x + arm", df=6)).table()
    distance = np.abs(flexible["estimate"] - cox["estimate"]) / cox["std_error"]
    assert distance.max() < NEAR_COX
    np.testing.assert_allclose(flexible["std_error"], cox["std_error"], rtol=0.01)
    likelihoods = [
        fit_flexible(data, FlexibleSpec(covariates="x + arm", df=df)).log_likelihood
        for df in (1, 6)
    ]
    assert likelihoods[1] - likelihoods[0] > 20


def test_curves_come_near_the_truth() -> None:
    """Witness: the hazard that the data were drawn from, integrated."""
    data = bumpy(2, 4000)
    fit = fit_flexible(data, FlexibleSpec(covariates="x + arm", df=6))
    at = np.array([0.5, 1.0, 2.0, 4.0, 6.0])
    new = pd.DataFrame({"x": [0.0], "arm": ["active"]})
    curve = fit.predict_survival(new, at)
    grid = np.linspace(0, 6, 60001)
    hazard = 0.05 + 0.5 * np.exp(-((grid - 1) ** 2) / 0.3) + 0.15 * (grid > 4)
    truth = np.exp(-np.interp(at, grid, integrate.cumulative_trapezoid(hazard, grid, initial=0)))
    width = (curve["conf_high"] - curve["conf_low"]) / (2 * 1.96)
    assert (np.abs(curve["survival"] - truth) < 4 * width + 0.005).all()


def test_hazard_is_the_slope_of_the_cumulative_hazard(data) -> None:
    """Witness: central differences of -log S; the ratio of two hazards is the hazard ratio."""
    spec = FlexibleSpec(covariates=COVARIATES, df=3, time_varying=("active",), time_varying_df=2)
    fit = fit_flexible(data, spec)
    new = pd.DataFrame({"age_years": [50.0, 50.0], "active": [1, 0]})
    at, step = np.array([0.8, 2.0, 4.0]), 1e-5
    hazards = fit.hazards(new, at)["hazard"].to_numpy().reshape(2, 3)
    ends = [
        -np.log(fit.predict_survival(new, at + s)["survival"].to_numpy()) for s in (step, -step)
    ]
    np.testing.assert_allclose(hazards, ((ends[0] - ends[1]) / (2 * step)).reshape(2, 3), rtol=1e-6)
    ratio = fit.hazard_ratio(new.iloc[[0]], new.iloc[[1]], at)
    np.testing.assert_allclose(ratio["hazard_ratio"], hazards[0] / hazards[1], rtol=1e-9)
    assert (ratio["conf_low"] < ratio["hazard_ratio"]).all()
    assert np.ptp(np.log(ratio["hazard_ratio"])) > 0.01
    assert list(fit.table()["term"]) == ["age_years"]


def test_constant_effect_has_a_constant_ratio_with_its_own_interval(data) -> None:
    fit = fit_flexible(data, FlexibleSpec(covariates=COVARIATES, df=3))
    new = pd.DataFrame({"age_years": [50.0, 50.0], "active": [1, 0]})
    ratio = fit.hazard_ratio(new.iloc[[0]], new.iloc[[1]], [0.5, 5.0])
    row = fit.table().set_index("term").loc["active"]
    for column, source in (("hazard_ratio", "hazard_ratio"), ("conf_low", "hazard_ratio_low"),
                           ("conf_high", "hazard_ratio_high")):  # fmt: skip
        np.testing.assert_allclose(ratio[column], row[source], rtol=1e-8)


def simulate(rng: np.random.Generator, n: int = 250) -> pd.DataFrame:
    """Draw times of proportional hazards seen at visits 0.75 apart, with late entry."""
    x = rng.normal(size=n)
    time = (rng.exponential(size=n) / (0.15 * np.exp(0.5 * x))) ** 0.8
    entry = rng.uniform(0, 1.0, n) * (rng.random(n) < 0.5)
    end = entry + rng.uniform(1.5, 6, n)
    lower = np.maximum(0.75 * np.floor(np.minimum(time, end) / 0.75), entry)
    upper = np.where(time < 0.75 * np.floor(end / 0.75), 0.75 * (np.floor(time / 0.75) + 1), np.inf)
    frame = pd.DataFrame({"x": x, "lower": lower, "upper": upper, "entry": entry})
    return frame[(time > entry) & ((frame["lower"] > frame["entry"]) | np.isfinite(upper))]


def test_truth_is_recovered_from_truncated_intervals() -> None:
    """Witness: the simulation's own truth, within 4 Monte Carlo errors; so is the coverage."""
    rng, n_replicates, truth = np.random.default_rng(2020), 200, 0.5
    spec = FlexibleSpec(covariates="x", df=2, **INTERVAL)
    rows = pd.DataFrame(
        [fit_flexible(simulate(rng), spec).table().iloc[0] for _ in range(n_replicates)]
    )
    estimate = rows["estimate"].astype(float)
    assert abs(estimate.mean() - truth) < 4 * estimate.std() / math.sqrt(n_replicates) + 0.005
    covered = ((rows["conf_low"] <= truth) & (truth <= rows["conf_high"])).mean()
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n_replicates)


def test_spline_is_smooth_and_linear_beyond_its_knots() -> None:
    """Witness: differences: slopes are those of the columns, and do not change outside."""
    spline = LogTimeSpline(knots=(-1.0, 0.0, 0.5, 2.0))
    x, step = np.array([-2.0, -0.5, 0.3, 1.0, 3.0, 4.0]), 1e-6
    differences = (spline.columns(x + step) - spline.columns(x - step)) / (2 * step)
    np.testing.assert_allclose(spline.slopes(x), differences, atol=1e-7)
    np.testing.assert_allclose(spline.slopes(x)[4], spline.slopes(x)[5], atol=1e-12)
    np.testing.assert_allclose(spline.columns(np.array([-3.0, -1.0]))[:, 2:], 0, atol=1e-12)


def test_row_order_and_time_unit_change_no_hazard_ratio(data) -> None:
    spec = FlexibleSpec(covariates=COVARIATES, df=3)
    a = fit_flexible(data, spec)
    b = fit_flexible(data.sample(frac=1, random_state=1), spec)
    c = fit_flexible(data.assign(duration=data["duration"] * 365.25), spec)
    for other in (b, c):
        np.testing.assert_allclose(
            a.table()[["estimate", "std_error"]], other.table()[["estimate", "std_error"]],
            rtol=1e-6,
        )  # fmt: skip
    np.testing.assert_allclose(np.array(c.knots) / 365.25, a.knots, rtol=1e-9)


SMALL = bumpy(3, 60)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({"event": False}, {}, DesignError, "No event among 60"),
        ({"duration": -1.0}, {}, DesignError, "Negative"),
        ({"duration": 3.0}, {"df": 3}, DesignError, "distinct time"),
        ({}, {"time_varying": ("arms",)}, DesignError, "no covariate column"),
        ({"x": SMALL["event"] * 1.0}, {}, ConvergenceError, "separates"),
    ],
)
def test_bad_input_is_refused(change, options, error, message) -> None:
    with pytest.raises(error, match=message):
        fit_flexible(SMALL.assign(**change), FlexibleSpec(covariates="x", **options))


@pytest.mark.parametrize(
    "options",
    [{"df": 0}, {"df": 11}, {"df": 2.0}, {"scale": "log"}, {"time_varying_df": 0},
     {"time_varying": "x"}],
)  # fmt: skip
def test_contradictory_specs_are_refused(options: dict) -> None:
    with pytest.raises(DesignError):
        FlexibleSpec(**options)


def test_curves_that_would_rise_are_refused() -> None:
    """Two clumps of intervals far apart leave a spline of 4 df nothing to hold on to between."""
    rng = np.random.default_rng(8)
    early, late = rng.uniform(1, 1.2, 40), rng.uniform(30, 40, 40)
    lower = np.concatenate([early, late])
    data = pd.DataFrame({"lower": lower, "upper": lower + 0.5})
    with pytest.raises(ConvergenceError):
        fit_flexible(data, FlexibleSpec(lower="lower", upper="upper", df=4))


def test_pairs_of_rows_only() -> None:
    fit = fit_flexible(SMALL, FlexibleSpec(covariates="x"))
    with pytest.raises(DesignError, match="one row each"):
        fit.hazard_ratio(SMALL, SMALL.head(1))
    with pytest.raises(DesignError, match="above 0"):
        fit.hazards(SMALL.head(1), [0.0])


def test_knots_stand_at_quantiles() -> None:
    """Witness: quantiles by hand of eleven even times."""
    assert choose_knots(np.arange(11.0), 2) == (0.0, 5.0, 10.0)


@pytest.mark.parametrize(
    "options",
    [{}, {"covariates": "x"}, {"covariates": "x + arm", "scale": "normal"},
     {"covariates": "x + arm", "time_varying": ("x",), "scale": "odds"}],
)  # fmt: skip
def test_result_honours_the_contract(options: dict) -> None:
    fit = fit_flexible(SMALL, FlexibleSpec(df=2, **options), origin="synthetic")
    assert_result_contract(fit)
    plt.close("all")


def test_a_changing_effect_alone_has_no_row() -> None:
    fit = fit_flexible(SMALL, FlexibleSpec(covariates="x", df=2, time_varying=("x",)))
    assert fit.table().empty
    assert "the effect of x changes with time" in fit.headline()
