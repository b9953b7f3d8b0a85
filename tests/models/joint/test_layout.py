"""The arrays of joint models: the log-likelihood written out, subject by subject, in raw units."""

from __future__ import annotations

from functools import cache, partial
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from joint_tables import posterior_grid, simulate
from scipy.interpolate import BSpline

from pmsstats.errors import DesignError
from pmsstats.models.joint.data import prepare_joint
from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.joint.layout import build_joint_design, lay_out
from pmsstats.models.joint.result import JointResult
from pmsstats.models.joint.spec import JointSpec

SAME_INTEGRAL = 2e-5  # of the log-likelihood of 60 subjects: 15 x 15 adaptive nodes against 41 x 41
FORMULA = "nfl ~ year + year:arm + (year | subject_id)"
LAG = 0.7

QUANTITIES = {
    "value": lambda t, level, slope: level + slope * t,
    "slope": lambda t, level, slope: slope + 0 * t,
    "area": lambda t, level, slope: level * t + slope * t**2 / 2,
    "lagged": lambda t, level, slope: level + slope * np.maximum(t - LAG, 0.0),
}
MODELS = {
    "value": {"association": "value"},
    "slope": {"association": "slope"},
    "both": {"association": "value + slope"},
    "area": {"association": "area"},
    "lagged": {"association": "lagged", "lag": LAG},
    "effects": {"association": "random_effects"},
    "treated": {"association": "value", "interaction": "arm"},
    "piecewise": {"association": "value", "baseline": "piecewise", "cuts": (1.0, 2.5)},
    "bspline": {"association": "value", "baseline": "bspline", "cuts": (1.5, 3.0)},
    "strata": {"association": "value", "strata": "arm", "hazard": "age"},
    "entry": {"association": "value", "entry": "entry"},
    "interval": {"association": "value", "lower": "lower", "upper": "upper"},
    "late": {"association": "slope", "lower": "lower", "upper": "upper", "entry": "entry"},
    "causes": {"association": "value", "cause": "cause"},
}


@cache
def tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return visits and subjects with every kind of event column."""
    visits, subjects = simulate(60, seed=11)
    rng = np.random.default_rng(5)
    n = len(subjects)
    exact = rng.uniform(size=n) < 0.3
    lower = np.where(exact, subjects["duration"], np.floor(2 * subjects["duration"]) / 2)
    upper = np.where(exact, subjects["duration"], lower + 0.5)
    subjects = subjects.assign(
        age=rng.normal(50, 10, n),
        entry=np.where(rng.uniform(size=n) < 0.5, 0.4 * lower, 0.0),
        lower=np.where(subjects["event"], lower, subjects["duration"]),
        upper=np.where(subjects["event"], upper, np.nan),
        cause=np.where(subjects["event"], rng.choice(["death", "relapse"], n, p=[0.4, 0.6]), None),
    )
    return visits, subjects


@cache
def fitted(name: str) -> JointResult:
    """Fit one of the models."""
    visits, subjects = tables()
    options = {"hazard": "arm", "baseline": "weibull", "n_nodes": 15} | MODELS[name]
    return fit_joint(visits, subjects, FORMULA, **options)


def log_baseline(fit: JointResult, cause: int, stratum: int, t: np.ndarray) -> np.ndarray:
    """Write the log baseline hazard out."""
    natural = fit.design.scale.natural(fit.maximum.theta)
    baseline = fit.design.hazard.baselines[cause]
    n = len(baseline.names)
    psi = natural.psi[cause][stratum * n : (stratum + 1) * n]
    if fit.spec.baseline == "weibull":
        return psi[0] + psi[1] * np.log(t)
    if fit.spec.baseline == "piecewise":
        return psi[np.digitize(t, baseline.cuts, right=True)]
    end = float(np.where(fit.data.events.upper < np.inf, fit.data.events.upper, 0.0).max())
    end = max(end, float(fit.data.events.lower.max()))
    knots = np.concatenate([np.zeros(4), baseline.cuts, np.full(4, end)])
    return BSpline(knots, psi, 3)(t)


def integral(fit: JointResult, log_hazard, a: float, b: float) -> np.ndarray:
    """Integrate exp(log_hazard(t)) from a to b, by 60 Gauss points per piece."""
    inner = [c for base in fit.design.hazard.baselines for c in base.cuts] + [LAG]
    edges = sorted({a, b, *(c for c in inner if a < c < b)})
    x, w = np.polynomial.legendre.leggauss(60)
    u, w = (x + 1) / 2, w / 2
    total = 0.0
    for low, high in pairwise(edges):
        power = 4 if low == 0 else 1  # a Weibull hazard may be steep at 0
        t = low + (high - low) * u**power
        weight = (high - low) * w * power * u ** (power - 1)
        total = total + weight @ np.exp(log_hazard(t[:, None]))
    return total


def by_hand(fit: JointResult) -> float:
    """Add up the log-likelihood of all subjects from the definition, in the units of the data."""
    return sum(subject_by_hand(fit, i) for i in range(fit.n_subjects))


def subject_by_hand(fit: JointResult, i: int) -> float:
    """Integrate the likelihood of one subject over random effects and time."""
    natural = fit.design.scale.natural(fit.maximum.theta)
    beta, D, sigma = natural.beta, natural.D, float(natural.sigma[0])
    events, terms = fit.data.events, fit.spec.terms[0]
    n_base = len(fit.design.hazard.baselines[0].names) * len(fit.design.hazard.levels)
    row = events.frame.iloc[i]
    arm = float(row["arm"] == "active")
    visits = fit.data.rows[0][fit.data.codes[0] == i]
    t = visits["year"].to_numpy()
    y = visits["nfl"].to_numpy() - beta[0] - (beta[1] + beta[2] * arm) * t
    Z = np.column_stack([np.ones(len(t)), t])
    b, weights, log_p = posterior_grid(y, Z, D, sigma, 41)
    prior, prior_weights, _ = posterior_grid(np.zeros(0), np.zeros((0, 2)), D, sigma, 41)
    w = np.array([row["age"]]) if fit.spec.strata else np.array([arm])
    stratum = int(arm == 0.0) if fit.spec.strata else 0  # levels in alphabetical order

    def log_hazard(time: np.ndarray, cause: int, b: np.ndarray) -> np.ndarray:
        level, slope = beta[0] + b[:, 0], beta[1] + beta[2] * arm + b[:, 1]
        effects = [b[:, 0] + 0 * time, b[:, 1] + 0 * time]
        shared = terms == ("random_effects",)
        links = effects if shared else [QUANTITIES[term](time, level, slope) for term in terms]
        links = [*links, links[0] * arm] if fit.spec.interaction else links
        eta = log_baseline(fit, cause, stratum, time) + w @ natural.psi[cause][n_base:]
        return eta + sum(a * q for a, q in zip(natural.alpha[cause], links, strict=True))

    def survival(low: float, high: float, b: np.ndarray) -> np.ndarray:
        total = np.zeros(len(b))
        for cause in range(len(fit.design.causes) if high > low else 0):
            total += integral(fit, partial(log_hazard, cause=cause, b=b), low, high)
        return np.exp(-total)

    lower, upper = events.lower[i], events.upper[i]
    likelihood = survival(0.0, lower, b)
    if lower == upper:
        likelihood *= np.exp(log_hazard(np.array([[lower]]), events.cause[i], b)[0])
    elif np.isfinite(upper):
        likelihood *= 1 - survival(lower, upper, b)
    not_before = prior_weights @ survival(0.0, events.entry[i], prior)
    return log_p + np.log(weights @ likelihood) - np.log(not_before)


@pytest.mark.parametrize("name", MODELS)
def test_log_likelihood_is_that_of_the_definition(name: str) -> None:
    fit = fitted(name)
    finer = fit.log_likelihood + fit.certificate.time.log_likelihood
    assert finer == pytest.approx(by_hand(fit), abs=SAME_INTEGRAL)
    assert fit.certificate.is_valid


def test_kinds_of_events_are_all_there() -> None:
    events = fitted("late").data.events
    assert events.is_exact.any()
    assert events.is_interval.any()
    assert np.isinf(events.upper).any()
    assert (events.entry > 0).any()


def test_columns_of_the_fit_are_orthogonal_and_of_order_one() -> None:
    fit = fitted("both")
    marker = fit.arrays.markers[0]
    n = len(marker.y)
    np.testing.assert_allclose(marker.X.T @ marker.X / n, np.eye(3), atol=1e-10)
    np.testing.assert_allclose(marker.Z.T @ marker.Z / n, np.eye(2), atol=1e-10)
    assert marker.y.std() == pytest.approx(1.0)
    sizes = (fit.arrays.at_risk.random**2).sum(axis=2).mean(axis=1)
    np.testing.assert_allclose(sizes, 1.0)


def test_doubled_panels_double_the_points_and_keep_the_time() -> None:
    visits, subjects = tables()
    spec = JointSpec(longitudinal=FORMULA, hazard="arm", baseline="piecewise", cuts=(1.0, 2.0))
    data = prepare_joint(visits, subjects, spec)
    design, once = build_joint_design(spec, data)
    twice = lay_out(design, data, n_panels=2)
    assert len(twice.at_risk.weight) == 2 * len(once.at_risk.weight)
    for arrays in (once, twice):
        time = np.bincount(arrays.at_risk.subject, arrays.at_risk.weight) * design.scale.time
        np.testing.assert_allclose(time, subjects["duration"], rtol=1e-12)


def test_later_layouts_are_those_of_the_fit() -> None:
    fit = fitted("both")
    again = lay_out(fit.design, fit.data)
    np.testing.assert_allclose(again.at_risk.fixed, fit.arrays.at_risk.fixed, atol=1e-12)
    np.testing.assert_allclose(again.markers[0].X, fit.arrays.markers[0].X, atol=1e-12)
    np.testing.assert_allclose(again.markers[0].y, fit.arrays.markers[0].y, atol=1e-12)


def test_spline_without_bounds_is_refused_in_plain_words() -> None:
    visits, subjects = tables()
    with pytest.raises(DesignError, match=r"bounds that hold it, .* upper_bound=5\)"):
        fit_joint(visits, subjects, "nfl ~ bs(year, df=4) + (1 | subject_id)")


def test_slope_of_a_logarithm_of_time_is_refused() -> None:
    visits, subjects = tables()
    formula = "nfl ~ sqrt(year) + (sqrt(year) | subject_id)"
    with pytest.raises(DesignError, match="slope of nfl over year cannot be computed"):
        fit_joint(visits, subjects, formula, association="slope")
