"""Sample size from a pilot study: sleepstudy by another program, exact intervals, coverage."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from reference_cases import load_case
from scipy import optimize, stats
from slope_trials import draw_values

from pmsstats.errors import DesignError
from pmsstats.models.mixed.lmm import fit_lmm
from pmsstats.models.repeated.mmrm import fit_mmrm
from pmsstats.power.pilot import sample_size_from_pilot, slope_model_from_fit
from pmsstats.power.pilot_precision import (
    lmm_parameter_covariance,
    mmrm_parameter_covariance,
    ratio_interval,
)
from pmsstats.power.schedule import VisitSchedule
from pmsstats.power.slope import sample_size_slope
from pmsstats.power.slope_variance import SlopeModel

MONTE_CARLO = 4  # standard errors
YEARS = (0.0, 0.5, 1.0, 2.0)
TRUTH = SlopeModel(slope_sd=0.5, residual_sd=0.3, intercept_sd=1.0, correlation=0.2)
HALF_YEARLY = VisitSchedule.every(months=6, duration=2)


def pilot_data(seed, *, n=40, years=YEARS, slope=-0.7):
    y = draw_values(np.random.default_rng(seed), years, TRUTH, n, slope, 1)[0]
    return pd.DataFrame(
        {
            "subject_id": np.repeat(np.arange(n), len(years)),
            "year": np.tile(years, n),
            "visit": np.tile([f"v{k}" for k in range(len(years))], n),
            "y": y.ravel(),
        }
    )


@pytest.fixture(scope="module")
def fit():
    return fit_lmm(pilot_data(1), "y ~ year + (year | subject_id)")


@pytest.fixture(scope="module")
def visits_fit():
    return fit_mmrm(pilot_data(1), "y ~ visit + us(visit | subject_id)")


@pytest.fixture(scope="module")
def groups_fit():
    patients, healthy = pilot_data(1), pilot_data(2, n=20, slope=-0.2)
    healthy["subject_id"] += 1000
    both = pd.concat([patients.assign(group="PMS"), healthy.assign(group="HC")])
    return fit_lmm(both, "y ~ year * group + (year | subject_id)")


# --- stored values and brute force ----------------------------------------------------------

SLEEP = [("diggle", 68.4699), ("edland", 68.4699), ("hu_mackey_thomas", 67.1745)]
SLEEP_RTOL = 1e-5  # printed to 6 digits, from variances maximised to about 1e-6


@pytest.mark.parametrize(("method", "per_arm"), SLEEP)
def test_sleepstudy_as_printed(method, per_arm):
    """Numbers per group in the tests of the R package longpower 1.0.26 (lmmpower)."""
    data = load_case("lmm_sleepstudy").input.rename(columns={"Days": "year"})
    fit = fit_lmm(data, "Reaction ~ year + (year | Subject)")
    rate = fit.coefficients.set_index("term")["estimate"]["year"]
    found = sample_size_slope(
        schedule=VisitSchedule(years=tuple(range(10))),
        model=slope_model_from_fit(fit),
        slowing=0.3,
        rate=rate,
        method=method,
        df="normal",
    )
    assert found.value / 2 == pytest.approx(per_arm, rel=SLEEP_RTOL)


def test_number_is_that_of_its_variances(fit):
    found = sample_size_from_pilot(fit, schedule=HALF_YEARLY, slowing=0.5, dropout=0.1)
    slopes = fit.slopes().table()
    plain = sample_size_slope(
        schedule=HALF_YEARLY,
        model=slope_model_from_fit(fit),
        slowing=0.5,
        rate=slopes["estimate"].iloc[0],
        dropout=0.1,
    )
    assert (found.n, found.value) == (plain.n, plain.value)
    assert found.n_interval[0] < found.value < found.n_interval[1]


def test_excess_over_healthy_people(groups_fit):
    plan = {"schedule": HALF_YEARLY, "slowing": 0.5, "by": "group", "patients": "PMS"}
    total = sample_size_from_pilot(groups_fit, **plan)
    excess = sample_size_from_pilot(groups_fit, healthy="HC", **plan)
    rates = groups_fit.slopes(by="group").table().set_index("term")["estimate"]
    assert total.effect == pytest.approx(-0.5 * rates["PMS"])
    assert excess.effect == pytest.approx(-0.5 * (rates["PMS"] - rates["HC"]))
    shown = excess.table().set_index("quantity")["value"]
    by_hand = groups_fit.contrast({"d": {"year:group[T.PMS]": 1.0}})["std_error"].iloc[0]
    assert shown["pilot_change_std_error"] == pytest.approx(by_hand)
    assert excess.value > total.value


def noncentral_interval(m, conf_level):
    """Return the exact interval of (sd / mean)^2 from a sample, over its estimate.

    `m` is the observed t = sqrt(n) mean / sd of n = 30 values.
    """
    n, tails = 30, ((1 - conf_level) / 2, (1 + conf_level) / 2)
    limits = [
        optimize.brentq(lambda d, p=tail: stats.nct.cdf(m, n - 1, d) - p, -5, 60) for tail in tails
    ]
    return sorted((m / limit) ** 2 for limit in limits)


@pytest.mark.parametrize("t", [4.0, 9.0, 25.0])
def test_pivotal_interval_is_exact_for_one_sample(t):
    found = ratio_interval(df=29, relative_error=1 / t, conf_level=0.95)
    # The chi-squared distribution is replaced by 400 points.
    assert found == pytest.approx(noncentral_interval(t, 0.95), rel=3e-3)


def test_interval_of_a_known_effect_is_that_of_a_variance():
    low, high = ratio_interval(df=20, relative_error=0.0, conf_level=0.9)
    assert (low, high) == pytest.approx(
        (20 / stats.chi2.ppf(0.95, 20), 20 / stats.chi2.ppf(0.05, 20))
    )


def test_rate_that_may_be_none_has_no_upper_limit():
    low, high = ratio_interval(df=30, relative_error=0.7, conf_level=0.95)
    assert 0 < low < 1
    assert math.isinf(high)


def test_delta_interval_by_hand():
    low, high = ratio_interval(df=50, relative_error=0.1, conf_level=0.95, method="delta")
    spread = 1.959963984540054 * math.sqrt(2 / 50 + 4 * 0.01)
    assert (math.log(low), math.log(high)) == pytest.approx((-spread, spread))


def test_variances_of_variances_in_complete_data(fit):
    # The mean squares of a balanced design are independent: that between slopes has n - 1 df,
    # that within subjects n (m - 2).
    model, n = slope_model_from_fit(fit), 40
    t = np.array(YEARS)
    size = ((t - t.mean()) ** 2).sum()
    found = lmm_parameter_covariance(fit, model)
    within = 2 * model.residual_sd**4 / (n * 2)
    between = 2 * (model.slope_sd**2 + model.residual_sd**2 / size) ** 2 / (n - 1)
    assert found[0, 0] == pytest.approx(within, rel=1e-8)
    assert found[1, 1] == pytest.approx(between + within / size**2, rel=1e-8)


def test_variances_of_a_covariance_in_complete_data(visits_fit):
    # A Wishart matrix with n - 1 df: var(s_ij) = (s_ii s_jj + s_ij^2) / (n - 1).
    V = visits_fit.visit_covariance().to_numpy()
    found = np.diag(mmrm_parameter_covariance(visits_fit))
    i, j = np.tril_indices(4)
    expected = (V[i, i] * V[j, j] + V[i, j] ** 2) / 39
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_same_visits_have_the_df_of_a_sample(fit, visits_fit):
    slopes = sample_size_from_pilot(fit, schedule=VisitSchedule(years=YEARS), slowing=0.5)
    visits = sample_size_from_pilot(visits_fit, slowing=0.5, baseline="change")
    for found in (slopes, visits):
        shown = found.table().set_index("quantity")["value"]
        assert shown["pilot_df"] == pytest.approx(39, rel=1e-4)


def test_repeated_measures_by_hand(visits_fit):
    found = sample_size_from_pilot(visits_fit, slowing=0.5, baseline="change")
    V = visits_fit.visit_covariance().to_numpy()
    sd = math.sqrt(V[3, 3] + V[0, 0] - 2 * V[3, 0])
    y = pilot_data(1)["y"].to_numpy().reshape(40, 4)
    change = (y[:, 3] - y[:, 0]).mean()
    assert found.effect == pytest.approx(-0.5 * change, rel=1e-6)
    z = stats.norm.isf(0.025) + stats.norm.isf(0.2)
    # The normal formula is about two subjects short of the t-test.
    assert found.value == pytest.approx(4 * (z * sd / found.effect) ** 2, abs=2.5)
    known = sample_size_from_pilot(visits_fit, effect=found.effect, baseline="change")
    assert known.value == pytest.approx(found.value)
    assert known.n_interval[1] < found.n_interval[1]


# --- simulation -----------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(("interval", "least"), [("pivotal", 0.95), ("delta", 0.90)])
def test_coverage(interval, least):
    """Pilot studies of 40 patients with 4 scans, one of seven lost at the last two."""
    n_replicates, covered = 300, 0
    truth = sample_size_slope(schedule=HALF_YEARLY, model=TRUTH, slowing=0.5, rate=-0.7).value
    for seed in range(n_replicates):
        data = pilot_data(1000 + seed)
        lost = (data["subject_id"] % 7 == 0) & (data["year"] > 0.5)
        fit = fit_lmm(data[~lost], "y ~ year + (year | subject_id)")
        found = sample_size_from_pilot(fit, schedule=HALF_YEARLY, slowing=0.5, interval=interval)
        covered += found.n_interval[0] <= truth <= found.n_interval[1]
    share = covered / n_replicates
    assert share > least - MONTE_CARLO * math.sqrt(least * (1 - least) / n_replicates)
    # Not wide without need: an interval with 0.95 would rarely cover more than this.
    assert share < 0.95 + MONTE_CARLO * math.sqrt(0.95 * 0.05 / n_replicates)


# --- bad input ------------------------------------------------------------------------------

BAD = [
    ({"slowing": None}, "either `effect`"),
    ({"slowing": 0.0}, "no number of subjects"),
    ({"by": "group"}, "`by` and `patients`"),
    ({"patients": "PMS"}, "`by` and `patients`"),
    ({"healthy": "HC"}, "`by` and `patients`"),
    ({"by": "group", "patients": "RRMS"}, "must be one of"),
    ({"interval": "bootstrap"}, "`interval`"),
    ({"conf_level": 1.0}, "`conf_level`"),
    ({"method": "liu_liang"}, "`method`"),
    ({"baseline": "change"}, "for repeated measures"),
    ({"schedule": None}, "VisitSchedule"),
]


@pytest.mark.parametrize(("changed", "words"), BAD)
def test_refused(groups_fit, changed, words):
    with pytest.raises(DesignError, match=words):
        sample_size_from_pilot(groups_fit, **{"schedule": HALF_YEARLY, "slowing": 0.5, **changed})


def test_other_fits_refused(visits_fit):
    with pytest.raises(DesignError, match="fit_lmm or fit_mmrm"):
        sample_size_from_pilot({"slope": 1.0}, slowing=0.5)
    with pytest.raises(DesignError, match="leave `schedule`"):
        sample_size_from_pilot(visits_fit, schedule=HALF_YEARLY, slowing=0.5)
    fit = fit_lmm(pilot_data(1), "y ~ year + (1 | subject_id)")
    with pytest.raises(DesignError, match="random intercepts and slopes over year"):
        sample_size_from_pilot(fit, schedule=HALF_YEARLY, slowing=0.5)


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
    errors = [
        plan.table().set_index("quantity").loc["pilot_change_std_error", "value"]
        for plan in (total, excess)
    ]
    known = {"rel": 1e-6}  # of a maximised likelihood
    assert errors[0] == pytest.approx(math.sqrt(spread / 40), **known)
    error = math.sqrt(spread * (1 / 40 + 1 / 20))
    assert errors[1] == pytest.approx(error, **known)
