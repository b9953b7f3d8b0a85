"""Sample size and power for slopes: published tables, lme4, brute force, simulation."""

from __future__ import annotations

import json
import math
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from reference_cases import load_case
from scipy import stats
from slope_trials import draw_trial, trial_frame

from pmsstats.errors import DesignError
from pmsstats.models.mixed.lmm_batch import fit_lmm_batch
from pmsstats.power.schedule import VisitSchedule
from pmsstats.power.slope import power_slope, sample_size_slope
from pmsstats.power.slope_design import SlopeDesign
from pmsstats.power.slope_variance import SlopeModel, score_information

HALF_YEARLY = VisitSchedule.every(months=6, duration=2)
PLAIN = SlopeModel(slope_sd=0.5, residual_sd=0.4)
WITH_BASELINE = SlopeModel(slope_sd=0.5, residual_sd=0.4, intercept_sd=1.2, correlation=0.3)
METHODS = ["gls", "hu_mackey_thomas", "edland", "two_scans", "diggle", "liu_liang"]
MONTE_CARLO = 4  # standard errors
ROOT = 1e-6  # what remains of the power where the number is solved for


def numbers(text):
    return tuple(float(part) for part in str(text).split(" "))


def near(share, expected, n_replicates):
    error = math.sqrt(expected * (1 - expected) / n_replicates)
    assert abs(share - expected) < MONTE_CARLO * error, (share, expected, error)


# --- stored values --------------------------------------------------------------------------


def published_plan(row):
    covariance = row.correlation
    return sample_size_slope(
        schedule=VisitSchedule(years=numbers(row.years)),
        model=SlopeModel(
            slope_sd=math.sqrt(row.slope_variance),
            residual_sd=math.sqrt(row.residual_variance),
            intercept_sd=math.sqrt(row.intercept_variance),
            correlation=covariance,
        ),
        effect=row.difference,
        method=row.method,
        df="normal",
        sides=row.sides,
    )


def test_published_numbers():
    case = load_case("power_slope_published")
    plans = {row.term: published_plan(row) for row in case.input.itertuples()}
    for row in case.rows("n_per_arm").itertuples():
        assert plans[row.term].n == (row.value, row.value)
    for row in case.rows("n_unrounded").itertuples():
        assert plans[row.term].value / 2 == pytest.approx(row.value, rel=row.rtol)


def reference_design(row, df):
    return SlopeDesign(
        schedule=VisitSchedule(years=numbers(row.years)),
        models=(
            SlopeModel(
                slope_sd=row.slope_sd,
                residual_sd=row.residual_sd,
                intercept_sd=row.intercept_sd,
                correlation=row.correlation,
            ),
        )
        * 2,
        retention=(numbers(row.retention_reference), numbers(row.retention_treated)),
        method="hu_mackey_thomas" if row.common_baseline else "gls",
        df=df,
    )


def test_lme4_at_known_variances():
    case = load_case("power_slope_variance")
    designs = {row.scenario: row for row in case.input.itertuples()}
    for expected in case.rows("std_error").itertuples():
        row = designs[expected.term]
        sizes = (row.n_reference, row.n_treated)
        variance, _ = reference_design(row, "normal").precision(sizes)
        assert math.sqrt(variance) == pytest.approx(expected.value, rel=expected.rtol)


@pytest.mark.parametrize(("quantity", "df"), [("power_normal", "normal"), ("power_t", "subjects")])
def test_power_from_r(quantity, df):
    case = load_case("power_slope_variance")
    designs = {row.scenario: row for row in case.input.itertuples()}
    checked = 0
    for expected in case.rows(quantity).itertuples():
        row = designs[expected.term]
        sizes = (row.n_reference, row.n_treated)
        design = reference_design(row, df)
        followed = df == "normal" or min(r[1] for r in design.retentions) == 1
        power = design.power_of()(sizes, row.effect)
        # Who has one scan is no subject for the t-test here, so that only some cases compare.
        checked += followed
        assert power == pytest.approx(expected.value, rel=expected.rtol if followed else 0.02)
    assert checked >= 2


# --- brute force ----------------------------------------------------------------------------


def test_two_stage_variance_by_hand():
    # Scans at 0, 1, 2: sum of squares about the mean 2; at 0, 1 (who leave): 1/2.
    model = SlopeModel(slope_sd=0.3, residual_sd=0.2)
    years = VisitSchedule(years=(0, 1, 2))
    design = SlopeDesign(schedule=years, models=(model, model), method="edland")
    each = 0.09 + 0.04 / 2
    assert design.precision((10, 10))[0] == pytest.approx(2 * each / 10, rel=1e-12)
    left = SlopeDesign(
        schedule=years, models=(model, model), method="edland", retention=(1, 0.75, 0.5)
    )
    each = (0.25 * (0.09 + 0.04 / 0.5) + 0.5 * (0.09 + 0.04 / 2)) / 0.75
    assert left.precision((40, 40))[0] == pytest.approx(2 * each / 30, rel=1e-12)
    assert left.precision((40, 40))[1] == pytest.approx(58)


def test_two_scan_variance_by_hand():
    model = SlopeModel(slope_sd=0.3, residual_sd=0.2, serial_correlation=0.5)
    design = SlopeDesign(
        schedule=VisitSchedule(years=(0, 1, 2)), models=(model, model), method="two_scans"
    )
    each = 0.09 + 2 * 0.04 * (1 - 0.25) / 4
    assert design.precision((10, 20))[0] == pytest.approx(each / 10 + each / 20, rel=1e-12)


def full_data_variance(design, n, *, common):
    """Build the whole matrices of all subjects, and invert them."""
    t = np.asarray(design.schedule.years)
    X, blocks = [], []
    for arm in (0, 1):
        r = np.array(design.retentions[arm])
        counts = np.rint(n[arm] * (r - np.append(r[1:], 0))).astype(int)
        for last, count in enumerate(counts):
            for _ in range(count):
                s = t[: last + 1]
                rows = [np.ones_like(s), s, arm * s]
                rows += [] if common else [arm * np.ones_like(s)]
                X.append(np.column_stack(rows))
                blocks.append(design.models[arm].covariance(s))
    information = sum(x.T @ np.linalg.inv(v) @ x for x, v in zip(X, blocks, strict=True))
    return np.linalg.inv(information)[2, 2]


@pytest.mark.parametrize("method", ["gls", "hu_mackey_thomas"])
def test_unequal_arms_by_full_matrices(method):
    noisy = SlopeModel(
        slope_sd=0.8, residual_sd=0.3, intercept_sd=0.9, correlation=-0.2, serial_correlation=0.4
    )
    design = SlopeDesign(
        schedule=VisitSchedule(years=(0, 0.5, 1.5, 2)),
        models=(WITH_BASELINE, noisy),
        retention=((1, 0.9, 0.8, 0.7), (1, 1, 0.75, 0.5)),
        method=method,
    )
    expected = full_data_variance(design, (20, 40), common=method == "hu_mackey_thomas")
    assert design.precision((20, 40))[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("method", ["gls", "hu_mackey_thomas"])
def test_free_intercepts_are_the_limit_of_large_ones(method):
    shares = (1, 0.9, 0.8, 0.7, 0.6)
    found = []
    for intercept_sd in (1e3, math.inf):
        model = SlopeModel(
            slope_sd=0.5, residual_sd=0.4, intercept_sd=intercept_sd, serial_correlation=0.2
        )
        design = SlopeDesign(
            schedule=HALF_YEARLY, models=(model, model), retention=shares, method=method
        )
        found.append(design.precision((30, 50)))
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)


@pytest.mark.parametrize("model", [PLAIN, WITH_BASELINE])
@pytest.mark.parametrize("n", [(5, 5), (20, 60)])
def test_complete_data_have_two_df_less_than_subjects(model, n):
    design = SlopeDesign(schedule=HALF_YEARLY, models=(model, model))
    assert design.precision(n)[1] == pytest.approx(sum(n) - 2, rel=1e-8)


def test_unequal_variances_have_welch_df():
    # Complete data: the slopes of each arm are a sample with variance slope_sd^2 + s^2 / 2.5.
    other = SlopeModel(slope_sd=1.0, residual_sd=0.8)
    parts = [(0.25 + 0.16 / 2.5) / 12, (1 + 0.64 / 2.5) / 30]
    welch = sum(parts) ** 2 / (parts[0] ** 2 / 11 + parts[1] ** 2 / 29)
    for method in ("gls", "edland"):
        design = SlopeDesign(
            schedule=HALF_YEARLY, models=(PLAIN, other), method=method, df="satterthwaite"
        )
        variance, df = design.precision((12, 30))
        assert (variance, df) == pytest.approx((sum(parts), welch), rel=1e-8)


def test_mean_difference_by_the_score_formula():
    # Diggle et al., section 2.4: n = 2 z^2 (1 + (m - 1) rho) / (m d^2) per arm.
    m, rho = 3, 0.5
    V = np.full((m, m), rho) + (1 - rho) * np.eye(m)
    ones, zeros = np.ones((m, 1)), np.zeros((m, 1))
    found = score_information([ones, zeros], [ones, ones], [V, V], [0.5, 0.5])
    assert found[0, 0] == pytest.approx(m / (4 * (1 + (m - 1) * rho)), rel=1e-12)
    z = stats.norm.isf(0.05) + stats.norm.isf(0.2)
    assert math.ceil(z**2 / (found[0, 0] * 0.2**2) / 2) == 207  # printed on page 30


def test_score_formula_agrees_with_the_estimating_equation():
    t = np.asarray(HALF_YEARLY.years)
    V, ones = WITH_BASELINE.covariance(t), np.ones_like(t)
    tested = [0 * t[:, None], t[:, None]]
    nuisance = [np.column_stack([ones, arm * ones, t]) for arm in (0, 1)]
    found = score_information(tested, nuisance, [V, V], [0.25, 0.75])
    design = SlopeDesign(
        schedule=HALF_YEARLY, models=(WITH_BASELINE,) * 2, method="liu_liang", ratio=3
    )
    assert 1 / (40 * found[0, 0]) == pytest.approx(design.precision((10, 30))[0], rel=1e-10)


def test_best_weights_are_the_true_ones():
    shares = (1, 0.8, 0.7, 0.6, 0.5)
    variances = {
        working: SlopeDesign(
            schedule=HALF_YEARLY,
            models=(WITH_BASELINE,) * 2,
            retention=shares,
            method="liu_liang",
            working=working,
        ).precision((50, 50))[0]
        for working in ("true", "exchangeable", "independence")
    }
    gls = SlopeDesign(schedule=HALF_YEARLY, models=(WITH_BASELINE,) * 2, retention=shares)
    assert variances["true"] == pytest.approx(gls.precision((50, 50))[0], rel=1e-12)
    assert variances["true"] < variances["exchangeable"] < variances["independence"]


# --- simulation -----------------------------------------------------------------------------

SIMULATED = [  # method, fixed effects fitted, effect, n
    ("gls", "year * treated", 0.45, (20, 20)),
    ("gls", "year * treated", 0.0, (20, 20)),
    ("hu_mackey_thomas", "year + year:treated", 0.45, (14, 28)),
    ("hu_mackey_thomas", "year + year:treated", 0.0, (14, 28)),
]


@pytest.mark.parametrize(("method", "fixed", "effect", "n"), SIMULATED)
def test_mixed_model_simulated(method, fixed, effect, n):
    n_replicates = 3000
    design = SlopeDesign(
        schedule=HALF_YEARLY, models=(WITH_BASELINE,) * 2, dropout=0.1, method=method
    )
    y = draw_trial(np.random.default_rng(20), design, n, effect, n_replicates)
    fits = fit_lmm_batch(
        trial_frame(HALF_YEARLY.years, n),
        f"y ~ {fixed} + (year | subject_id)",
        y.reshape(n_replicates, -1),
    )
    assert fits.converged.all()
    last = fits.terms.index("year:treated")
    near((fits.p_values[:, last] < 0.05).mean(), design.power_of()(n, effect), n_replicates)
    spread = fits.estimates[:, last].std() / math.sqrt(design.precision(n)[0])
    # Patterns vary from trial to trial, which costs up to 1 % beside the Monte Carlo error.
    assert abs(spread - 1) < MONTE_CARLO / math.sqrt(2 * n_replicates) + 0.01


def own_slopes(y, years):
    """Return least-squares slopes, and missing where there are fewer than two scans."""
    t, seen = np.asarray(years), ~np.isnan(y)
    k = seen.sum(axis=-1)
    mean = (seen * t).sum(axis=-1) / k
    left = np.where(seen, t - mean[..., None], 0.0)
    size = np.where(k >= 2, (left**2).sum(axis=-1), np.nan)
    return (left * np.nan_to_num(y)).sum(axis=-1) / size


def changes(y, years):
    return (y[..., -1] - y[..., 0]) / (years[-1] - years[0])


@pytest.mark.parametrize(("method", "each"), [("edland", own_slopes), ("two_scans", changes)])
@pytest.mark.parametrize("effect", [0.0, 0.45])
def test_two_stage_simulated(method, each, effect):
    n_replicates, n = 5000, (25, 25)
    serial = SlopeModel(slope_sd=0.5, residual_sd=0.4, serial_correlation=0.3)
    design = SlopeDesign(
        schedule=HALF_YEARLY,
        models=(serial, serial),
        retention=(1, 1, 0.96, 0.92, 0.88),
        method=method,
    )
    y = draw_trial(np.random.default_rng(5), design, n, effect, n_replicates)
    slopes = each(y, HALF_YEARLY.years)
    arms = [slopes[:, : n[0]], slopes[:, n[0] :]]
    counts = [(~np.isnan(arm)).sum(axis=1) for arm in arms]
    df = sum(counts) - 2
    within = sum(np.nanvar(arm, axis=1) * k for arm, k in zip(arms, counts, strict=True)) / df
    difference = np.nanmean(arms[1], axis=1) - np.nanmean(arms[0], axis=1)
    t = difference / np.sqrt(within * (1 / counts[0] + 1 / counts[1]))
    near((np.abs(t) > stats.t.isf(0.025, df)).mean(), design.power_of()(n, effect), n_replicates)


@pytest.mark.parametrize("effect", [0.0, 0.4])
def test_known_covariance_simulated(effect):
    n_replicates, n = 5000, (20, 30)
    t = np.asarray(HALF_YEARLY.years)
    design = SlopeDesign(schedule=HALF_YEARLY, models=(WITH_BASELINE,) * 2, method="diggle")
    y = draw_trial(np.random.default_rng(11), design, n, effect, n_replicates)
    X, V = np.column_stack([np.ones_like(t), t]), WITH_BASELINE.covariance(t)
    covariance = np.linalg.inv(X.T @ np.linalg.solve(V, X))
    slopes = y @ (covariance @ X.T @ np.linalg.inv(V))[1]
    difference = slopes[:, n[0] :].mean(axis=1) - slopes[:, : n[0]].mean(axis=1)
    z = difference / math.sqrt(covariance[1, 1] * (1 / n[0] + 1 / n[1]))
    found = (np.abs(z) > stats.norm.isf(0.025)).mean()
    near(found, design.power_of()(n, effect), n_replicates)


def test_estimating_equation_simulated():
    n_replicates, n = 4000, (40, 40)
    design = SlopeDesign(
        schedule=HALF_YEARLY,
        models=(WITH_BASELINE,) * 2,
        retention=(1, 0.9, 0.8, 0.7, 0.6),
        method="liu_liang",
        working="independence",
    )
    y = draw_trial(np.random.default_rng(6), design, n, 0.3, n_replicates)
    t, seen = np.asarray(HALF_YEARLY.years), ~np.isnan(y)

    def slope(arm):
        y_arm, w = np.nan_to_num(y[:, arm]), seen[:, arm]
        total = w.sum(axis=(1, 2))
        t_mean = (w * t).sum(axis=(1, 2)) / total
        left = w * (t - t_mean[:, None, None])
        return (left * y_arm).sum(axis=(1, 2)) / (left**2).sum(axis=(1, 2))

    difference = slope(slice(n[0], None)) - slope(slice(n[0]))
    expected = math.sqrt(design.precision(n)[0])
    mcse = expected / math.sqrt(2 * n_replicates)
    # To first order in 1/n; the numbers with each pattern vary, which 2 % allow for.
    assert abs(difference.std() - expected) < MONTE_CARLO * mcse + 0.02 * expected


# --- properties -----------------------------------------------------------------------------

models = st.builds(
    SlopeModel,
    slope_sd=st.floats(0.05, 1),
    residual_sd=st.floats(0.05, 1),
    intercept_sd=st.one_of(st.just(math.inf), st.floats(0.1, 3)),
    serial_correlation=st.sampled_from([0.0, 0.3]),
)
gaps = st.lists(st.floats(0.1, 1.5), min_size=2, max_size=5)


@given(model=models, gaps=gaps, where=st.floats(0.02, 0.98), dropout=st.sampled_from([0.0, 0.2]))
def test_more_scans_never_hurt(model, gaps, where, dropout):
    years = (0.0, *np.cumsum(gaps).tolist())
    extra = where * years[-1]
    assume(min(abs(extra - year) for year in years) > 1e-3)
    found = []
    for visits in (years, tuple(sorted((*years, extra)))):
        design = SlopeDesign(
            schedule=VisitSchedule(years=visits), models=(model, model), dropout=dropout
        )
        found.append(design.precision((30, 30))[0])
    assert found[1] <= found[0] * (1 + 1e-9)


@given(model=models, n_scans=st.integers(2, 12), method=st.sampled_from(["gls", "edland"]))
def test_more_equally_spaced_scans_never_hurt(model, n_scans, method):
    found = []
    for count in (n_scans, n_scans + 1):
        schedule = VisitSchedule.equally_spaced(n_scans=count, duration=2)
        plain = SlopeModel(slope_sd=model.slope_sd, residual_sd=model.residual_sd)
        design = SlopeDesign(schedule=schedule, models=(plain, plain), method=method)
        found.append(design.precision((30, 30))[0])
    assert found[1] <= found[0] * (1 + 1e-9)


@settings(max_examples=20)
@given(
    method=st.sampled_from(METHODS),
    effect=st.floats(0.1, 1),
    power=st.floats(0.3, 0.95),
    ratio=st.sampled_from([0.5, 1.0, 2.0]),
    sides=st.sampled_from([1, 2]),
)
def test_number_for_a_power_gives_it_back(method, effect, power, ratio, sides):
    plan = {"schedule": HALF_YEARLY, "model": WITH_BASELINE, "effect": effect, "method": method}
    plan |= {"sides": sides, "dropout": 0.0 if method == "diggle" else 0.05}
    found = sample_size_slope(power=power, ratio=ratio, **plan)
    assert found.power >= power - ROOT
    assert power_slope(n=found.n, **plan).power == pytest.approx(found.power, rel=1e-12)
    assert found.n_total >= found.value - ROOT
    least = min(found.n) - 1
    assume(least > 2)
    fewer = (round(max(1 / ratio, 1) * least), round(max(ratio, 1) * least))
    assert power_slope(n=fewer, **plan).power < power + ROOT


@given(n=st.integers(6, 200), effect=st.floats(0.05, 1), more=st.floats(1.05, 2))
def test_power_rises_with_subjects_and_effect(n, effect, more):
    plan = {"schedule": HALF_YEARLY, "model": PLAIN, "dropout": 0.1}
    start = power_slope(n=2 * n, effect=effect, **plan).power
    assume(start < 0.9999)
    assert power_slope(n=2 * n + 2, effect=effect, **plan).power > start
    assert power_slope(n=2 * n, effect=effect * more, **plan).power > start


@given(effect=st.floats(0.05, 1), method=st.sampled_from(["gls", "edland", "two_scans"]))
def test_swapped_arms_flip_the_sign(effect, method):
    other = SlopeModel(slope_sd=0.9, residual_sd=0.2)
    shares = ((1, 1, 0.9, 0.9, 0.8), (1, 0.9, 0.8, 0.7, 0.6))
    plan = {"schedule": HALF_YEARLY, "method": method}
    one = power_slope(n=(30, 50), model=(PLAIN, other), retention=shares, effect=effect, **plan)
    two = power_slope(
        n=(50, 30), model=(other, PLAIN), retention=shares[::-1], effect=-effect, **plan
    )
    assert two.power == pytest.approx(one.power, rel=1e-9)
    assert two.effect == -one.effect


def test_units_do_not_matter():
    for scale in (0.01, 1000.0):
        model = SlopeModel(
            slope_sd=0.5 * scale,
            residual_sd=0.4 * scale,
            intercept_sd=1.2 * scale,
            correlation=0.3,
        )
        found = sample_size_slope(
            schedule=HALF_YEARLY, model=model, effect=0.3 * scale, dropout=0.1
        )
        same = sample_size_slope(schedule=HALF_YEARLY, model=WITH_BASELINE, effect=0.3, dropout=0.1)
        assert found.value == pytest.approx(same.value, rel=1e-7)


# --- what is asked for ----------------------------------------------------------------------

PLAN = {"schedule": HALF_YEARLY, "model": PLAIN, "slowing": 0.5, "rate": -0.7, "dropout": 0.05}


def test_effect_that_is_found():
    plan = {"schedule": HALF_YEARLY, "model": PLAIN, "rate": -0.7, "ageing_rate": -0.2}
    found = sample_size_slope(solve="effect", n=100, **plan)
    assert found.value > 0  # slows a loss
    assert power_slope(n=100, effect=found.value, schedule=HALF_YEARLY, model=PLAIN).power == (
        pytest.approx(0.8, abs=ROOT)
    )
    shown = found.table().set_index("quantity")["value"]
    assert shown["slowing"] == pytest.approx(found.value / 0.5)


@pytest.mark.parametrize("keep", ["n_scans", "interval"])
def test_duration_that_is_needed(keep):
    found = sample_size_slope(solve="duration", n=100, keep=keep, **PLAN)
    shown = found.table().set_index("quantity")["value"]
    assert shown["duration"] == pytest.approx(found.value)
    assert found.power >= 0.8 - ROOT
    count = {"n_scans": 5, "interval": round(2 * found.value) + 1}[keep]
    assert shown["n_scans"] == count
    shorter = {"n_scans": 0.98 * found.value, "interval": found.value - 0.5}[keep]
    before = VisitSchedule.equally_spaced(
        n_scans={"n_scans": 5, "interval": count - 1}[keep], duration=shorter
    )
    assert power_slope(n=100, **{**PLAN, "schedule": before}).power < 0.8


def test_scans_that_are_needed():
    found = sample_size_slope(
        solve="n_scans", n=84, schedule=HALF_YEARLY, model=PLAIN, slowing=0.5, rate=-0.7
    )
    fewer = VisitSchedule.equally_spaced(n_scans=int(found.value) - 1, duration=2)
    plan = {"model": PLAIN, "slowing": 0.5, "rate": -0.7}
    assert power_slope(n=84, schedule=fewer, **plan).power < 0.8 <= found.power
    assert found.value > 2


def test_clustered_scans_measure_slopes_better():
    model = SlopeModel(slope_sd=0.0, residual_sd=0.4)
    variances = [
        SlopeDesign(schedule=schedule, models=(model, model)).precision((20, 20))[0]
        for schedule in (
            VisitSchedule.equally_spaced(n_scans=4, duration=2),
            VisitSchedule.clustered(start=2, end=2, gap=1e-4, duration=2),
        )
    ]
    # Sums of squares of -1, -1/3, 1/3, 1 and of -1, -1, 1, 1.
    assert variances[0] / variances[1] == pytest.approx(4 / (20 / 9), rel=1e-3)


def test_assumptions_name_what_matters():
    found = sample_size_slope(**PLAN, unit="%", ratio=2)
    for words in (
        "2 treated per reference subject",
        "random slopes",
        "two-sided 5 % t-test",
        "0, 0.5, 1, 1.5 and 2 years",
        "SD 0.5 of slopes and 0.4 of a scan",
        "9.75 % lost before the last scan",
        "50 % slowing of the total change",
    ):
        assert words in found.assumptions
    assert found.assumptions in found.headline()
    assert set(found.curve["effect"].round(6)) == {0.2625, 0.35, 0.4375}


BAD = [
    ({"slowing": 0.0}, "no number of subjects will do"),
    ({"power": 0.05}, "`power=0.05` is not above `alpha=0.05`"),
    ({"power": 0.01}, "is not above"),
    ({"power": 1.0}, "`power`"),
    ({"alpha": 0.0}, "`alpha`"),
    ({"sides": 3}, "`sides`"),
    ({"ratio": 0.0}, "`ratio`"),
    ({"dropout": 1.2}, "`dropout`"),
    ({"dropout": 0.0, "retention": (1, 0.9)}, "each of 5 visits"),
    ({"method": "glss"}, "Did you mean 'gls'"),
    ({"method": "diggle"}, "complete data"),
    ({"method": "liu_liang"}, "`intercept_sd`"),
    ({"df": "kenward"}, "`df`"),
    ({"working": "ar1"}, "`working`"),
    ({"model": 0.5}, "must be a SlopeModel"),
    ({"model": (PLAIN, PLAIN, PLAIN)}, "one per arm"),
    ({"model": (PLAIN, WITH_BASELINE)}, "both arms or for neither"),
    ({"schedule": (0, 1)}, "VisitSchedule"),
    ({"n": 100}, "asks for the subjects"),
    ({"solve": "effect", "n": 100}, "leave `effect` and `slowing` out"),
    ({"solve": "duration"}, "needs `n`"),
    ({"solve": "n_scan", "n": 100}, "Did you mean 'n_scans'"),
    ({"solve": "n_scans", "n": 20}, "No `n_scans` up to 60 scans"),
    ({"solve": "duration", "n": 10, "keep": "interval"}, "No `duration` up to 29.5 years"),
    ({"solve": "duration", "n": 10}, "No `duration` up to 30 years"),
    ({"solve": "duration", "n": 100, "keep": "visits"}, "`keep`"),
    (
        {"solve": "n_scans", "n": 100, "dropout": 0.0, "retention": (1, 1, 0.9, 0.8, 0.7)},
        "belongs to given visits",
    ),
    (
        {
            "solve": "duration",
            "n": 100,
            "keep": "interval",
            "schedule": VisitSchedule(years=(0, 1, 3)),
        },
        "equally spaced",
    ),
]


@pytest.mark.parametrize(("changed", "words"), BAD)
def test_refused(changed, words):
    with pytest.raises(DesignError, match=words):
        sample_size_slope(**{**PLAN, **changed})


def test_too_few_subjects():
    plan = {"schedule": HALF_YEARLY, "model": PLAIN}
    with pytest.raises(DesignError, match="too few to estimate a variance"):
        power_slope(n=(1, 1), effect=5.0, **plan)
    assert sum(sample_size_slope(effect=1e6, **plan).n) >= 3
    assert power_slope(n=(1, 1), effect=5.0, df="normal", **plan).power > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_result_keeps_the_contract(method):
    found = sample_size_slope(
        schedule=HALF_YEARLY, model=WITH_BASELINE, effect=0.5, method=method, retention=(1,) * 5
    )
    plain = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert plain["schema"] == "power_result/1"
    assert plain["inputs"]["model"]["slope_sd"] == 0.5
    assert set(found.table().columns) == {"quantity", "value", "unit"}
    assert found.curve.groupby("effect")["power"].apply(lambda p: p.is_monotonic_increasing).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        axes = found.plot(ax=plt.figure().gca())
    assert len(axes.get_lines()) >= 3
    plt.close("all")


BAD_MODELS = [
    ({"slope_sd": -0.1}, "`slope_sd`"),
    ({"residual_sd": 0.0}, "`residual_sd`"),
    ({"correlation": 0.5}, "needs intercepts and slopes that vary"),
    ({"intercept_sd": 1.0, "correlation": 1.2}, "`correlation`"),
    ({"serial_correlation": 1.0}, "`serial_correlation`"),
]


@pytest.mark.parametrize(("changed", "words"), BAD_MODELS)
def test_models_refused(changed, words):
    with pytest.raises(DesignError, match=words):
        SlopeModel(**{"slope_sd": 0.5, "residual_sd": 0.4, **changed})
