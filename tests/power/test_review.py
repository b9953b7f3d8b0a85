"""Second look at the closed forms: formulas written again from the papers, and true sentences."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

from pmsstats.errors import DesignError
from pmsstats.models.repeated.mmrm import fit_mmrm
from pmsstats.power import (
    ClusterDesign,
    GroupSequentialDesign,
    SlopeModel,
    VisitCovariance,
    VisitSchedule,
    boundaries,
    design_effect,
    power_change,
    power_combination,
    power_counts,
    power_log_rank,
    power_mmrm,
    power_multiple,
    power_proportion,
    power_slope,
    sample_size_combination,
    sample_size_from_pilot,
    sample_size_mmrm,
    update_boundaries,
)
from pmsstats.power.looks import sequential_bounds
from pmsstats.power.stopping import estimate_at_stopping

EXACT = 1e-10  # the same formula in another hand: rounding only
PAIR, YEARS = (30, 50), (0.0, 0.5, 1.0, 1.25, 2.0)
SCHEDULE = VisitSchedule(years=YEARS)
MODEL = SlopeModel(slope_sd=0.5, residual_sd=0.6, intercept_sd=1.0, correlation=0.3)
COVARIANCE = VisitCovariance.cs(sd=1.0, correlation=0.5, n_visits=3)
SITES = ClusterDesign(site_size=12, icc=0.08, randomised="by_site", size_cv=0.4)


def detail(result, name):
    return {quantity: value for quantity, value, _ in result.details}[name]


def t_power(effect, std_error, df):
    """Two-sided 5 % power of a t-test, by the noncentral t distribution."""
    bound, shift = stats.t.isf(0.025, df), abs(effect) / std_error
    return stats.nct.sf(bound, df, shift) + stats.nct.cdf(-bound, df, shift)


# --- sites ----------------------------------------------------------------------------------


@pytest.mark.parametrize("ratio", [0.5, 1.0, 3.0])
def test_effect_that_varies_between_sites_by_hand(ratio):
    """Sites of m subjects give the mean effect with variance effect_sd^2 / (n / m).

    Against that of n independent subjects, (1 + ratio)^2 / (ratio n).
    """
    n, m, spread = 600.0, 10.0, 0.5
    independent = (1 + ratio) ** 2 / (ratio * n)
    expected = 0.9 + spread**2 / (n / m) / independent
    found = design_effect(
        site_size=m, icc=0.1, randomised="within_sites", effect_sd=spread, ratio=ratio
    )
    assert found == pytest.approx(expected, rel=EXACT)


def test_sites_shrink_by_those_who_are_lost():
    """Eldridge 2006 with the subjects per site who are analysed, 12 x 0.9; df are sites less 2."""
    result = power_change(n=(200, 100), effect=0.4, sd=1.0, cluster=SITES, dropout=0.1)
    inflation = 1 + ((1 + 0.4**2) * 12 * 0.9 - 1) * 0.08
    std_error = math.sqrt((1 / 180 + 1 / 90) * inflation)
    assert result.power == pytest.approx(t_power(0.4, std_error, 300 / 12 - 2), abs=EXACT)


def test_sites_multiply_the_variance_of_shares():
    result = power_proportion(
        n=(200, 100), reference=0.3, treated=0.5, cluster=SITES, dropout=0.1, method="unpooled"
    )
    inflation = 1 + ((1 + 0.4**2) * 12 * 0.9 - 1) * 0.08
    shift = 0.2 / math.sqrt((0.3 * 0.7 / 180 + 0.25 / 90) * inflation)
    bound = stats.norm.isf(0.025)
    expected = stats.norm.sf(bound - shift) + stats.norm.cdf(-bound - shift)
    assert result.power == pytest.approx(expected, abs=EXACT)


# --- slopes ---------------------------------------------------------------------------------


def marginal_variance(weights, dropout):
    """Variance of an arm's mean slope times its subjects: a sandwich, Liu and Liang 1997."""
    t = np.array(YEARS)
    V = 1.0 + 0.15 * (t[:, None] + t) + 0.25 * np.outer(t, t) + 0.36 * np.eye(len(t))
    stay = np.append((1 - dropout) ** t, 0.0)
    bread, meat = np.zeros((2, 2)), np.zeros((2, 2))
    for k in range(1, len(t) + 1):
        X = np.column_stack([np.ones(k), t[:k]])
        G = np.linalg.solve(weights(V, k), X)
        bread += (stay[k - 1] - stay[k]) * X.T @ G
        meat += (stay[k - 1] - stay[k]) * G.T @ V[:k, :k] @ G
    inverse = np.linalg.inv(bread)
    return (inverse @ meat @ inverse)[1, 1]


def alike(V, k):
    """Exchangeable weights with the mean correlation of two different visits."""
    R = V / np.sqrt(np.outer(np.diag(V), np.diag(V)))
    mean = R[np.triu_indices(len(V), 1)].mean()
    return np.full((k, k), mean) + (1 - mean) * np.eye(k)


WEIGHTS = {
    "independence": lambda V, k: np.eye(len(V))[:k, :k],
    "exchangeable": alike,
    "true": lambda V, k: V[:k, :k],
}


@pytest.mark.parametrize("working", WEIGHTS)
def test_estimating_equation_with_dropout_by_hand(working):
    result = power_slope(
        n=PAIR, schedule=SCHEDULE, model=MODEL, effect=0.3, method="liu_liang", working=working,
        dropout=(0.1, 0.3),
    )  # fmt: skip
    parts = [marginal_variance(WEIGHTS[working], d) for d in (0.1, 0.3)]
    expected = math.sqrt(parts[0] / PAIR[0] + parts[1] / PAIR[1])
    assert detail(result, "std_error") == pytest.approx(expected, rel=EXACT)


# --- sentences ------------------------------------------------------------------------------

ANY_DESIGN = [
    lambda n: power_change(n=n, effect=0.5, sd=1.0),
    lambda n: power_proportion(n=n, reference=0.3, treated=0.5),
    lambda n: power_slope(n=n, schedule=SCHEDULE, model=MODEL, effect=0.3),
    lambda n: power_mmrm(n=n, covariance=COVARIANCE, effect=0.5),
    lambda n: power_log_rank(n=n, hazard=0.2, hazard_ratio=0.5, follow_up=2.0),
    lambda n: power_counts(n=n, rate=1.0, rate_ratio=0.5, dispersion=1.0, follow_up=1.0),
    lambda n: power_multiple(n=n, effects=(0.4, 0.5)),
    lambda n: power_combination(n=n, effects=(0.4, 0.5)),
]


@pytest.mark.parametrize("design", ANY_DESIGN)
def test_arms_that_are_given_are_those_of_the_sentence(design):
    """Nobody is told of equal arms who gave 30 and 50."""
    assert "Two arms of 30 reference and 50 treated subjects" in design(PAIR).assumptions
    assert "Two arms of equal size" in design(80).assumptions
    assert "Two arms of equal size" in design(81).assumptions  # as equal as whole subjects are


@pytest.mark.parametrize("design", ANY_DESIGN)
def test_the_curve_goes_through_the_design(design):
    """Interpolated at its own number and effect, for arms that are not in the planned ratio."""
    result = design((20, 90))
    curve = result.curve[np.isclose(result.curve["effect"], result.effect)]
    found = np.interp(result.n_total, curve["n"], curve["power"])
    assert found == pytest.approx(result.power, abs=0.02)


def test_co_primary_outcomes_succeed_together():
    result = power_multiple(n=200, effects=(0.4, 0.5), procedure="co_primary")
    assert "success is a benefit in all outcomes" in result.assumptions
    assert result.power == pytest.approx(detail(result, "power_all"), abs=EXACT)


def test_changes_of_treatment_are_shares_of_an_arm_per_year():
    words = power_log_rank(
        n=400, hazard=0.2, hazard_ratio=0.5, follow_up=2.0, off_treatment=0.08, drop_in=0.03
    ).assumptions
    assert "8 % of the treated arm per year stop treatment" in words
    assert "3 % of the reference arm per year take it up" in words


# --- few subjects ---------------------------------------------------------------------------


def test_a_combination_needs_a_variance():
    """Two subjects leave no degree of freedom, and so no power at all."""
    with pytest.raises(DesignError, match="too few to estimate a variance"):
        power_combination(n=2, effects=(0.5, 0.5))
    found = sample_size_combination(effects=(5.0, 5.0), power=0.9)
    assert found.n == (2, 2)
    expected = t_power(10 / math.sqrt(2), 1.0, 2)
    assert found.power == pytest.approx(expected, abs=EXACT)


def test_an_unstructured_covariance_needs_subjects():
    """Its estimate is singular with fewer residual degrees of freedom than visits."""
    six = VisitCovariance.ar1(sd=1.0, correlation=0.7, n_visits=6)
    with pytest.raises(DesignError, match="too few to estimate a variance for each of 6 visits"):
        power_mmrm(n=7, covariance=six, effect=5.0)
    assert power_mmrm(n=8, covariance=six, effect=5.0).power > 0.9
    assert sample_size_mmrm(covariance=six, effect=50.0).n == (4, 4)
    other = VisitCovariance.ar1(sd=2.0, correlation=0.7, n_visits=6)
    assert sample_size_mmrm(covariance=(six, other), effect=50.0).n == (7, 7)


# --- baseline and pilot studies -------------------------------------------------------------


@pytest.mark.parametrize(("df", "less"), [("subjects", 3), ("normal", None)])
def test_baseline_as_covariate_by_hand(df, less):
    """Residual variance V22 - V20^2 / V00, a df less, and chance differences 1 + 1 / (n - 4)."""
    V = VisitCovariance.us([[4.0, 1.0, 1.5], [1.0, 3.0, 1.2], [1.5, 1.2, 2.5]])
    result = power_mmrm(n=(12, 20), covariance=V, effect=0.9, baseline="covariate", df=df)
    residual = 2.5 - 1.5**2 / 4.0
    expected = math.sqrt(residual * (1 / 12 + 1 / 20) * (1 + 1 / 28))
    assert detail(result, "std_error") == pytest.approx(expected, rel=EXACT)
    assert detail(result, "df") == (math.inf if less is None else 32 - less)
    assert ("three df less than subjects" in result.assumptions) == (df == "subjects")


def test_error_of_the_excess_of_a_pilot_study_by_visits():
    """Complete data: the standard error of the difference of two groups' mean changes."""
    rng = np.random.default_rng(5)
    sizes, visits = {"PMS": 40, "HC": 20}, ("v0", "v1", "v2")
    frames = []
    for group, size in sizes.items():
        y = rng.normal(size=(size, 1)) + rng.normal(size=(size, 3))
        y -= (1.5 if group == "PMS" else 0.2) * np.arange(3)
        frames.append(
            pd.DataFrame(
                {
                    "subject_id": np.repeat([f"{group}{i}" for i in range(size)], 3),
                    "group": group,
                    "visit": np.tile(visits, size),
                    "y": y.ravel(),
                }
            )
        )
    fit = fit_mmrm(pd.concat(frames), "y ~ group * visit + us(visit | subject_id)")
    plan = {"slowing": 0.5, "baseline": "change", "by": "group", "patients": "PMS"}
    V = fit.visit_covariance().to_numpy()
    spread = V[2, 2] + V[0, 0] - 2 * V[2, 0]
    total = sample_size_from_pilot(fit, **plan)
    excess = sample_size_from_pilot(fit, healthy="HC", **plan)
    known = {"rel": 1e-6}  # of a maximised likelihood
    assert detail(total, "pilot_change_std_error") == pytest.approx(math.sqrt(spread / 40), **known)
    error = math.sqrt(spread * (1 / 40 + 1 / 20))
    assert detail(excess, "pilot_change_std_error") == pytest.approx(error, **known)


# --- counts and bounds ----------------------------------------------------------------------


@pytest.mark.parametrize("method", ["separate", "pooled", "reference"])
def test_counts_with_unequal_dropout_by_quadrature(method):
    """Zhu and Lakkis 2014, with each subject's own time: rate t / (1 + k rate t), averaged."""
    n, rates, k, years = (60, 90), (0.8, 0.44), 0.7, 1.5
    hazards = [-math.log(1 - share) for share in (0.4, 0.05)]

    def known(rate, h):
        def information(t):
            return rate * t / (1 + k * rate * t)

        lost = integrate.quad(lambda t: h * math.exp(-h * t) * information(t), 0, years)[0]
        return lost + math.exp(-h * years) * information(years)

    def error(supposed):
        pairs = zip(n, supposed, hazards, strict=True)
        return math.sqrt(sum(1 / (size * known(rate, h)) for size, rate, h in pairs))

    seen = [size * (1 - math.exp(-h * years)) / h for size, h in zip(n, hazards, strict=True)]
    common = (seen[0] * rates[0] + seen[1] * rates[1]) / sum(seen)
    null = {"separate": rates, "pooled": (common, common), "reference": (0.8, 0.8)}[method]
    bound, gap = stats.norm.isf(0.025) * error(null), math.log(0.8 / 0.44)
    expected = stats.norm.cdf((gap - bound) / error(rates))
    expected += stats.norm.cdf((-gap - bound) / error(rates))
    found = power_counts(
        n=n, rate=0.8, rate_ratio=0.55, dispersion=k, follow_up=years, dropout=(0.4, 0.05),
        method=method,
    )  # fmt: skip
    assert found.power == pytest.approx(expected, abs=1e-8)  # quadrature


@pytest.mark.parametrize("trend", ["design", "observed"])
@pytest.mark.parametrize("last", [0.8, 1.0, 1.3])
def test_conditional_power_is_at_its_limit_whatever_the_end(trend, last):
    """Also where the trial ends with less or more information than planned."""
    design = GroupSequentialDesign(
        looks=(0.4, 1.0), futility="conditional_power", futility_parameter=0.2, futility_trend=trend
    )
    t = 0.5
    bounds = sequential_bounds(design, (t, last))
    z, critical = bounds.futility[0], bounds.efficacy[1]
    drift = boundaries(design).drift if trend == "design" else z / math.sqrt(t)
    mean = z * math.sqrt(t) + drift * (last - t)
    chance = stats.norm.sf((critical * math.sqrt(last) - mean) / math.sqrt(last - t))
    assert chance == pytest.approx(0.2, abs=1e-9)


def test_interval_at_stopping_has_the_level_it_names():
    """Each limit leaves alpha, by the bivariate normal law of two looks."""
    design, fractions, z, error = (
        GroupSequentialDesign(looks=(0.4, 0.7, 1.0)),
        (0.4, 0.75),
        2.6,
        0.2,
    )
    found = estimate_at_stopping(z, design=design, information_fractions=fractions, std_error=error)
    bound = update_boundaries(design, fractions).efficacy_z[0]
    t, rho = np.array(fractions), math.sqrt(0.4 / 0.75)

    def as_extreme(effect):
        mean = effect / (error * math.sqrt(0.75)) * np.sqrt(t)
        law = stats.multivariate_normal(cov=[[1, -rho], [-rho, 1]])
        later = law.cdf([bound - mean[0], mean[1] - z])
        return stats.norm.sf(bound - mean[0]) + later

    assert found.conf_level == pytest.approx(0.95)
    limits = (found.conf_low, found.estimate, found.conf_high)
    chances = [as_extreme(effect) for effect in limits]
    assert chances == pytest.approx([0.025, 0.5, 0.975], abs=1e-6)
    assert found.p_value == pytest.approx(as_extreme(0.0), abs=1e-6)


# --- means ----------------------------------------------------------------------------------


def z_power(effect, std_error):
    """Two-sided 5 % power of a z-test."""
    bound, shift = stats.norm.isf(0.025), abs(effect) / std_error
    return stats.norm.sf(bound - shift) + stats.norm.cdf(-bound - shift)


def test_each_arm_has_its_own_variance_and_its_own_losses():
    result = power_change(
        n=(20, 80), effect=0.8, sd=(1.0, 3.0), method="normal", dropout=(0.1, 0.25)
    )
    std_error = math.sqrt(1.0 / 18 + 9.0 / 60)
    assert detail(result, "std_error") == pytest.approx(std_error, rel=EXACT)
    assert result.power == pytest.approx(z_power(0.8, std_error), abs=EXACT)


@pytest.mark.parametrize("outcome", [0, 1])
def test_outcomes_of_those_who_are_lost_do_not_count(outcome):
    """Co-primary outcomes, each at its full level: only the tail of benefit counts."""
    result = power_multiple(
        n=(50, 100), effects=(0.4, 0.5), procedure="co_primary", dropout=(0.1, 0.4)
    )
    shift = (0.4, 0.5)[outcome] / math.sqrt(1 / 45 + 1 / 60)
    expected = stats.norm.sf(stats.norm.isf(0.025) - shift)
    found = detail(result, f"power_outcome_{outcome + 1}")
    assert found == pytest.approx(expected, abs=1e-8)  # one integral by nodes
