"""Trial-level surrogacy: R and metafor, hand-worked cases, recovery of a known truth, bad input."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from reference_cases import load_case

from pmsstats.errors import DesignError
from pmsstats.surrogacy import EffectTableSpec, TrialSurrogacySpec, surrogacy_trial
from pmsstats.surrogacy.effect_covariation import errors_in_variables, mixed_model
from pmsstats.surrogacy.subject_data import prepare_subjects
from pmsstats.surrogacy.threshold import PredictionLine, prediction_band, threshold_effect
from pmsstats.surrogacy.trial_effects import effects_from_subjects, effects_from_table

EXACT = 1e-9  # the same least squares in another order
BAND_TOLERANCE = 1e-9  # a root of a quadratic against a root by bisection
UNIT_TOLERANCE = 1e-6  # Newton's method stops at 1e-10 squared standard errors
MCSE_TOLERANCE = 4.0  # Monte Carlo standard errors


def bcg_spec(**options):
    return EffectTableSpec(
        **{
            "surrogate_effect": "control",
            "outcome_effect": "vaccinated",
            "surrogate_error": "control_error",
            "outcome_error": "vaccinated_error",
            "size": "n",
            "n_replicates": 0,
            **options,
        }
    )


@pytest.fixture(scope="module")
def bcg():
    return load_case("surrogacy_bcg")


def check(case, quantity, values):
    rows = case.rows(quantity)
    np.testing.assert_allclose(values, rows["value"].astype(float), rtol=float(rows["rtol"].max()))


@pytest.mark.parametrize(("weights", "name"), [("size", "n"), ("equal", "equal"),
                                               ("precision", "precision")])  # fmt: skip
def test_weighted_regression_is_that_of_lm(bcg, weights, name):
    found = surrogacy_trial(bcg.input, bcg_spec(weights=weights), seed=1).table()
    row = found.set_index("term").loc["reduced"]
    check(bcg, f"wls.{name}.estimate", row[["intercept", "slope"]].astype(float))
    check(bcg, f"wls.{name}.slope_error", row["slope_error"])
    check(bcg, f"wls.{name}.r2", row["estimate"])


def test_meta_regression_is_that_of_metafor(bcg):
    found = surrogacy_trial(bcg.input, bcg_spec(model="meta_regression"), seed=1)
    line = found.fit.line
    check(bcg, "regression.estimate", [line.intercept, line.slopes[0]])
    check(bcg, "regression.std_error", np.sqrt(np.diag(line.covariance)))
    check(bcg, "regression.r2", found.r2_trial)
    band = found.line(np.array([-5.0, -3.0, 0.0]))
    check(bcg, "regression.predicted", band["estimate"])
    check(bcg, "regression.band_low", band["conf_low"])
    check(bcg, "regression.band_high", band["conf_high"])
    rest = found.heterogeneity.iloc[::-1]
    check(bcg, "regression.tau2", rest["tau2"])
    check(bcg, "regression.Q", rest["statistic"])


@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_errors_in_variables_is_that_of_metafor(bcg, correlation):
    spec = bcg_spec(model="errors_in_variables", correlation=correlation)
    found = surrogacy_trial(bcg.input, spec, seed=1)
    check(bcg, f"bivariate.REML.{correlation:g}.r2", found.r2_trial)
    check(bcg, f"bivariate.REML.{correlation:g}.slope", found.fit.line.slopes[0])
    check(bcg, f"bivariate.REML.{correlation:g}.mean", found.fit.mean)


SUBJECTS = TrialSurrogacySpec(
    surrogate="slope", outcome="worsening", reference="placebo", n_replicates=0
)


@pytest.fixture(scope="module")
def trials():
    return load_case("surrogacy_trials")


def test_two_stage_models_are_those_of_lm(trials):
    found = surrogacy_trial(trials.input, SUBJECTS, seed=1)
    rows = found.table().set_index("term")
    np.testing.assert_array_equal(found.effects.trials, trials.rows("effect.slope")["term"])
    check(trials, "effect.slope", found.effects.surrogate[:, 0])
    check(trials, "effect.worsening", found.effects.outcome)
    for name in ("reduced", "full"):
        check(trials, f"{name}.r2", rows.loc[name, "estimate"])
        check(trials, f"{name}.slope", rows.loc[name, "slope"])
    check(trials, "r2_individual", found.r2_individual[0])


@pytest.mark.parametrize("name", ["mixed_full", "mixed_reduced"])
def test_mixed_models_are_those_of_nlme(trials, name):
    prepared = prepare_subjects(trials.input, SUBJECTS, "test")
    effects = effects_from_subjects(prepared, SUBJECTS)
    model = mixed_model(effects.moments, full=name == "mixed_full")
    fit = model.fits(np.ones((1, effects.n_trials)))[0]
    rows = trials.rows(f"{name}.mean")["value"].astype(float).to_numpy()
    np.testing.assert_allclose(fit.mean, rows[2:], rtol=1e-4)
    between = fit.between[np.tril_indices(2)]
    check(trials, f"{name}.D", between)
    check(trials, f"{name}.r2", fit.r2)
    check(trials, f"{name}.slope", fit.line.slopes[0])


def line_frame(n=8, intercept=0.1, slope=-1.5):
    s = np.linspace(-0.2, 0.6, n)
    return pd.DataFrame(
        {
            "trial_id": [f"trial {i}" for i in range(n)],
            "atrophy": s,
            "log_hr": intercept + slope * s,
            "atrophy_se": 0.05,
            "log_hr_se": 0.1,
            "n": 100,
        }
    )


def test_effects_exactly_on_a_line_have_an_r2_of_one():
    spec = EffectTableSpec(
        surrogate_effect="atrophy",
        outcome_effect="log_hr",
        surrogate_error="atrophy_se",
        outcome_error="log_hr_se",
        n_replicates=50,
    )
    rows = surrogacy_trial(line_frame(), spec, seed=1).table().set_index("term")
    assert rows.loc["reduced", "estimate"] == pytest.approx(1.0, abs=EXACT)
    assert rows.loc["reduced", "ste"] == pytest.approx(0.1 / 1.5, abs=1e-6)
    assert rows.loc["meta_regression", "estimate"] == pytest.approx(1.0, abs=1e-6)
    assert rows.loc["errors_in_variables", "estimate"] == pytest.approx(1.0, abs=1e-6)
    assert "boundary" in rows.loc["errors_in_variables", "note"]
    assert rows.loc["errors_in_variables", "slope_error"] > 0.05  # sampling errors remain
    assert rows.loc["reduced", "boot_low"] == pytest.approx(1.0, abs=EXACT)


def bisection(line, benefit, low, high):
    """Find where the harmful limit of the band is zero, from the band itself."""
    column = 2 if benefit == "lower" else 1
    value = [float(prediction_band(line, np.array([[x]]), 0.95)[column][0]) for x in (low, high)]
    assert value[0] * value[1] < 0
    for _ in range(200):
        middle = (low + high) / 2
        inside = float(prediction_band(line, np.array([[middle]]), 0.95)[column][0])
        low, high = (middle, high) if inside * value[0] > 0 else (low, middle)
    return (low + high) / 2


@pytest.mark.parametrize(
    ("slope", "benefit", "ends"),
    [(-1.5, "lower", (0.0, 50.0)), (1.5, "lower", (-50.0, 0.0)), (-1.5, "higher", (-50.0, 0.0))],
)
def test_threshold_is_where_the_band_crosses_zero(slope, benefit, ends):
    line = PredictionLine(
        intercept=0.02,
        slopes=np.array([slope]),
        covariance=np.array([[0.004, -0.006], [-0.006, 0.05]]),
        residual_variance=0.01,
        df=9.0,
    )
    found, note = threshold_effect(line, 0.95, benefit)
    assert note == ""
    assert found == pytest.approx(bisection(line, benefit, *ends), abs=BAND_TOLERANCE)


def test_no_threshold_where_the_slope_may_be_zero():
    line = PredictionLine(
        intercept=-5.0,  # even though effects near zero do predict a benefit
        slopes=np.array([0.1]),
        covariance=np.diag([0.01, 1.0]),
        residual_variance=0.1,
        df=5.0,
    )
    found, note = threshold_effect(line, 0.95, "lower")
    assert np.isnan(found)
    assert "slope" in note


def test_leaving_a_trial_out_by_hand():
    """Eight effects: refit without each, predict it; written with polyfit and its covariance."""
    rng = np.random.default_rng(8)
    frame = line_frame()
    frame["log_hr"] += rng.normal(0, 0.1, 8)
    spec = EffectTableSpec(surrogate_effect="atrophy", outcome_effect="log_hr", n_replicates=0)
    found = surrogacy_trial(frame, spec, seed=1).left_out
    for i in range(8):
        rest = frame.drop(index=i)
        slope, intercept = np.polyfit(rest["atrophy"], rest["log_hr"], 1)
        assert found["predicted"][i] == pytest.approx(intercept + slope * frame["atrophy"][i])
        r = np.corrcoef(rest["atrophy"], rest["log_hr"])[0, 1]
        assert found["r2_without"][i] == pytest.approx(r**2)
        centred = rest["atrophy"] - rest["atrophy"].mean()
        s2 = ((rest["log_hr"] - intercept - slope * rest["atrophy"]) ** 2).sum() / 5
        leverage = (frame["atrophy"][i] - rest["atrophy"].mean()) ** 2 / (centred**2).sum()
        half = 2.570581835636314 * np.sqrt(s2 * (1 + 1 / 7 + leverage))  # t, 5 df
        assert found["conf_high"][i] - found["predicted"][i] == pytest.approx(half)


def test_two_surrogates_tell_more_than_either():
    rng = np.random.default_rng(11)
    n = 13
    atrophy, lesions = rng.normal(0, 1, (2, n))
    frame = pd.DataFrame({"trial_id": range(n), "atrophy": atrophy, "lesions": lesions})
    frame["log_hr"] = -0.3 * atrophy - 0.4 * lesions + rng.normal(0, 0.2, n)
    X = np.column_stack([np.ones(n), atrophy, lesions])
    beta, squares, *_ = np.linalg.lstsq(X, frame["log_hr"], rcond=None)
    spec = EffectTableSpec(
        surrogate_effect=("atrophy", "lesions"), outcome_effect="log_hr", n_replicates=100
    )
    both = surrogacy_trial(frame, spec, seed=1)
    centred = frame["log_hr"] - frame["log_hr"].mean()
    assert both.r2_trial == pytest.approx(1 - squares[0] / (centred**2).sum())
    np.testing.assert_allclose(both.fit.line.slopes, beta[1:])
    one = surrogacy_trial(
        frame, EffectTableSpec(surrogate_effect="atrophy", outcome_effect="log_hr"), seed=1
    )
    assert one.r2_trial < both.r2_trial
    assert "single threshold" in both.headline()
    assert_result_contract(both)
    assert_result_contract(one)


def simulate_effects(rng, n, r2, *, error):
    """Draw true and estimated effects of trials with given R2, unit variances."""
    r = np.sqrt(r2)
    true = rng.multivariate_normal([0.5, -0.4], [[1, r], [r, 1]], n)
    sd = rng.uniform(0.5, 1.5, (n, 2)) * error
    return true + rng.normal(0, sd), sd


@pytest.mark.parametrize("r2", [0.25, 0.7])
def test_known_r2_is_recovered_with_errors_modelled_and_diluted_without(r2):
    """Many trials, repeated: the naive R2 is that of observed effects, the other the true one."""
    rng = np.random.default_rng(2024)
    n_trials, n_repeats = 150, 60
    naive, modelled, slopes, errors = [], [], [], []
    for _ in range(n_repeats):
        effects, sd = simulate_effects(rng, n_trials, r2, error=0.5)
        frame = pd.DataFrame(
            {
                "trial_id": range(n_trials),
                "s": effects[:, 0],
                "t": effects[:, 1],
                "s_se": sd[:, 0],
                "t_se": sd[:, 1],
            }
        )
        spec = EffectTableSpec(
            surrogate_effect="s",
            outcome_effect="t",
            surrogate_error="s_se",
            outcome_error="t_se",
            n_replicates=0,
        )
        effects = effects_from_table(frame, spec)
        fit = errors_in_variables(effects).fits(np.ones((1, n_trials)))[0]
        modelled.append(fit.r2)
        slopes.append(fit.line.slopes[0])
        errors.append(np.sqrt(fit.line.covariance[1, 1]))
        naive.append(np.corrcoef(frame["s"], frame["t"])[0, 1] ** 2)
    mcse = np.std(modelled, ddof=1) / np.sqrt(n_repeats)
    bias = 2 * (1 - r2) ** 2 / n_trials  # order of the bias of a squared correlation
    assert abs(np.mean(modelled) - r2) < MCSE_TOLERANCE * mcse + bias
    assert np.mean(naive) < r2 - MCSE_TOLERANCE * mcse
    spread = np.std(slopes, ddof=1)
    assert abs(np.mean(slopes) - np.sqrt(r2)) < MCSE_TOLERANCE * spread / np.sqrt(n_repeats)
    # an SD of 60 values has a relative error of 1 / sqrt(2 x 59)
    assert abs(np.mean(errors) / spread - 1) < MCSE_TOLERANCE / np.sqrt(2 * (n_repeats - 1))


def simulate_subjects(rng, n_trials, *, kind="continuous", size=120, slope=-1.2, spread=0.4):
    """Draw trials whose true effect on the outcome is `slope` times that on the surrogate."""
    parts = []
    for i in range(n_trials):
        effect = rng.normal(0.4, spread)
        z = rng.permutation(np.repeat([0, 1], size // 2))
        s = -0.8 + effect * z + rng.normal(0, 0.5, size)
        direct = s - effect * z
        if kind == "continuous":
            t = 1 + slope * effect * z - 0.5 * direct + rng.normal(0, 0.5, size)
            columns = {"outcome": t}
        elif kind == "binary":
            eta = -0.2 + slope * effect * z - 0.5 * (direct + 0.8)
            columns = {"outcome": (rng.uniform(size=size) < 1 / (1 + np.exp(-eta))).astype(int)}
        else:
            hazard = 0.3 * np.exp(slope * effect * z - 0.5 * (direct + 0.8))
            t = rng.exponential(1 / hazard)
            columns = {"year": np.minimum(t, 3.0), "event": t <= 3.0}
        frame = pd.DataFrame({"trial_id": i, "arm": np.where(z, "b active", "a placebo"), "s": s})
        parts.append(frame.assign(**columns))
    data = pd.concat(parts, ignore_index=True)
    data["subject_id"] = np.arange(len(data))
    return data


@pytest.mark.parametrize("kind", ["continuous", "binary", "survival"])
def test_effects_of_one_mechanism_are_related_by_its_slope(kind):
    """With every effect running through the marker, the line goes through zero with that slope."""
    data = simulate_subjects(np.random.default_rng(5), 30, kind=kind, size=300)
    columns = {"duration": "year", "event": "event"} if kind == "survival" else {
        "outcome": "outcome"
    }  # fmt: skip
    spec = TrialSurrogacySpec(surrogate="s", n_replicates=100, **columns)
    found = surrogacy_trial(data, spec, seed=3)
    line = found.fit.line
    error = np.sqrt(np.diag(line.covariance))
    assert found.r2_trial > 0.8
    assert abs(line.intercept) < MCSE_TOLERANCE * error[0]
    # Odds and hazard ratios shrink a little where other causes of the outcome are left out.
    shrinkage = {"continuous": 0.0, "binary": 0.06, "survival": 0.06}[kind]
    assert abs(line.slopes[0] + 1.2) < MCSE_TOLERANCE * error[1] + shrinkage * 1.2
    assert found.ste > 0
    assert 0.005 < found.r2_individual[0] < 0.6
    assert found.left_out["inside"].mean() > 0.8
    assert_result_contract(found)


@pytest.mark.slow
def test_bootstrap_over_trials_covers_the_truth():
    """Nominal 95 % of R2, 50 sets of 30 trials; percentile intervals over trials."""
    rng = np.random.default_rng(77)
    r2, hits, n_repeats, n = 0.6, 0, 50, 30
    spec = EffectTableSpec(
        surrogate_effect="s", outcome_effect="t", surrogate_error="s_se", outcome_error="t_se"
    )
    for _ in range(n_repeats):
        effects, sd = simulate_effects(rng, n, r2, error=0.3)
        frame = pd.DataFrame(np.column_stack([effects, sd]), columns=["s", "t", "s_se", "t_se"])
        model = errors_in_variables(effects_from_table(frame.assign(trial_id=range(n)), spec))
        counts = rng.multinomial(n, np.full(n, 1 / n), 120).astype(float)
        low, high = np.nanquantile(model.squared(counts), [0.025, 0.975])
        hits += low <= r2 <= high
    mcse = np.sqrt(0.95 * 0.05 / n_repeats)
    assert hits / n_repeats > 0.95 - MCSE_TOLERANCE * mcse


def test_same_seed_same_interval_and_row_order_changes_nothing():
    data = simulate_subjects(np.random.default_rng(1), 8, kind="survival")
    spec = TrialSurrogacySpec(surrogate="s", duration="year", event="event", n_replicates=60)
    first, again = (surrogacy_trial(data, spec, seed=4).table() for _ in range(2))
    pd.testing.assert_frame_equal(first, again)
    shuffled = surrogacy_trial(data.sample(frac=1, random_state=2), spec, seed=4).table()
    pd.testing.assert_frame_equal(first, shuffled, rtol=UNIT_TOLERANCE)
    other = surrogacy_trial(data, spec, seed=5).table()
    assert (first["boot_low"] != other["boot_low"]).any()


def test_units_scale_the_line_and_leave_r2():
    data = simulate_subjects(np.random.default_rng(2), 9)
    spec = TrialSurrogacySpec(surrogate="s", outcome="outcome", n_replicates=0)
    first = surrogacy_trial(data, spec, seed=1).table()
    scaled = data.assign(s=data["s"] * 1000, outcome=data["outcome"] / 50)
    second = surrogacy_trial(scaled, spec, seed=1).table()
    np.testing.assert_allclose(second["estimate"], first["estimate"], rtol=1e-5)
    np.testing.assert_allclose(second["slope"], first["slope"] / 50_000, rtol=1e-5)
    np.testing.assert_allclose(second["ste"], first["ste"] * 1000, rtol=1e-5)


def test_swapping_arms_turns_both_effects():
    data = simulate_subjects(np.random.default_rng(2), 9)
    spec = TrialSurrogacySpec(surrogate="s", outcome="outcome", n_replicates=0)
    swapped = TrialSurrogacySpec(
        surrogate="s",
        outcome="outcome",
        n_replicates=0,
        reference="b active",
        treated="a placebo",
        benefit="higher",
    )
    first, second = (surrogacy_trial(data, s, seed=1).table() for s in (spec, swapped))
    # The full two-stage model takes the other arm's mean; the line of all others only turns.
    keep = first["term"] != "full"
    for column in ("estimate", "slope"):
        np.testing.assert_allclose(second[column][keep], first[column][keep], rtol=1e-5)
    for column in ("intercept", "ste"):
        np.testing.assert_allclose(second[column][keep], -first[column][keep], rtol=1e-4)


def test_trials_that_cannot_be_used_are_counted():
    data = simulate_subjects(np.random.default_rng(3), 8, kind="survival")
    data.loc[(data["trial_id"] == 0) & (data["arm"] == "a placebo"), "arm"] = "b active"
    data.loc[data["trial_id"] == 1, "event"] = False
    data = data.drop(data.index[(data["trial_id"] == 2)][4:])
    data.loc[data.index[-3:], "s"] = np.nan
    spec = TrialSurrogacySpec(surrogate="s", duration="year", event="event", n_replicates=0)
    found = surrogacy_trial(data, spec, seed=1)
    reasons = {e.reason: e.n for e in found.exclusions}
    assert found.effects.n_trials == 5
    assert reasons["s missing"] == 3
    assert reasons["trial 0: arm a placebo has no subjects"] == 120
    assert reasons["trial 1: no events"] == 120
    assert sum("trial 2" in reason for reason in reasons) == 1


def test_missing_effects_of_a_table_are_counted():
    frame = line_frame()
    frame.loc[2, "atrophy"] = np.nan
    spec = EffectTableSpec(surrogate_effect="atrophy", outcome_effect="log_hr", n_replicates=0)
    found = surrogacy_trial(frame, spec, seed=1)
    assert found.effects.n_trials == 7
    assert [(e.n, e.unit, e.subject_ids) for e in found.exclusions] == [(1, "row", ("trial 2",))]


TABLE = {"surrogate_effect": "atrophy", "outcome_effect": "log_hr", "n_replicates": 0}


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        (lambda d: d.head(2), {}, "at least 3 trials, found 2: two points"),
        (lambda d: d.head(1), {}, "at least 3 trials, found 1"),
        (lambda d: d.assign(atrophy=0.2), {}, "effect on atrophy is the same"),
        (lambda d: d.assign(log_hr=0.0), {}, "effect on the outcome is the same"),
        (lambda d: d.assign(trial_id="A"), {}, "More than one row per `trial_id`"),
        (lambda d: d.assign(atrophy="x"), {}, "must hold numbers"),
        (lambda d: d.assign(atrophy_se=0.0), {"surrogate_error": "atrophy_se"}, "not above 0"),
        (lambda d: d.assign(atrophy=np.inf), {}, "Infinite `atrophy`"),
        (lambda d: d, {"surrogate_effect": "atropy"}, "Did you mean 'atrophy'"),
    ],
)
def test_bad_tables_are_refused(change, options, message):
    spec = EffectTableSpec(**(TABLE | options))
    with pytest.raises(DesignError, match=message):
        surrogacy_trial(change(line_frame()), spec, seed=1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "mixed_full"}, "needs the data of subjects"),
        ({"model": "errors_in_variables"}, "surrogate_error"),
        ({"model": "meta_regression"}, "outcome_error"),
        ({"model": "best"}, "`model` must be one of"),
        ({"weights": "size"}, "needs the column `size`"),
        ({"weights": "precision"}, "needs the column `outcome_error`"),
        ({"correlation": 1.0}, "between -1 and 1"),
        ({"n_replicates": 10}, "at least 50"),
        ({"surrogate_effect": ()}, "at least one column"),
        ({"surrogate_effect": ("a", "a")}, "twice"),
        ({"surrogate_effect": ("a", "b"), "surrogate_error": "c"}, "one column per surrogate"),
        ({"conf_level": 95}, "`conf_level`"),
    ],
)
def test_bad_requests_are_refused(options, message):
    with pytest.raises(DesignError, match=message):
        EffectTableSpec(**(TABLE | options))


def test_subjects_that_cannot_be_analysed_are_refused():
    data = simulate_subjects(np.random.default_rng(3), 4)
    spec = TrialSurrogacySpec(surrogate="s", outcome="outcome", n_replicates=0)
    with pytest.raises(DesignError, match="More than one row per subject and trial"):
        surrogacy_trial(pd.concat([data, data.head(2)]), spec, seed=1)
    with pytest.raises(DesignError, match="found 1"):
        surrogacy_trial(data[data["trial_id"] == 0], spec, seed=1)
    three = data.assign(arm=np.where(data.index % 3 == 0, "c other", data["arm"]))
    with pytest.raises(DesignError, match="has 3 arms"):
        surrogacy_trial(three, spec, seed=1)
    with pytest.raises(DesignError, match="`model='mixed_full'` cannot be fitted to 4 trials"):
        surrogacy_trial(
            data, TrialSurrogacySpec(surrogate="s", outcome="outcome", model="mixed_full"), seed=1
        )
    with pytest.raises(DesignError, match="`spec` must be"):
        surrogacy_trial(data, "s ~ t", seed=1)


def test_effects_without_heterogeneity_say_so():
    rng = np.random.default_rng(4)
    frame = line_frame(6).assign(atrophy_se=1.0, log_hr_se=1.0)
    frame[["atrophy", "log_hr"]] = rng.normal(0, 0.1, (6, 2))  # far less than their errors
    spec = EffectTableSpec(
        surrogate_effect="atrophy", outcome_effect="log_hr", surrogate_error="atrophy_se",
        outcome_error="log_hr_se", model="errors_in_variables", n_replicates=0,
    )  # fmt: skip
    found = surrogacy_trial(frame, spec, seed=1)
    assert np.isnan(found.r2_trial)
    assert "do not vary between trials" in found.headline()
    assert_result_contract(found)


def test_figure_shows_trials_line_band_and_threshold():
    data = simulate_subjects(np.random.default_rng(5), 12, size=200)
    spec = TrialSurrogacySpec(surrogate="s", outcome="outcome", n_replicates=0)
    found = surrogacy_trial(data, spec, seed=1, origin="synthetic")
    _, ax = plt.subplots()
    found.plot(ax=ax)
    artists = {a.get_gid(): a for a in ax.get_children() if a.get_gid()}
    offsets = np.asarray(artists["trials"].get_offsets())
    np.testing.assert_allclose(offsets[:, 0], found.effects.surrogate[:, 0])
    np.testing.assert_allclose(offsets[:, 1], found.effects.outcome)
    assert artists["ste"].get_xdata()[0] == pytest.approx(found.ste)
    assert ax.get_title(loc="right") == "synthetic data"
    assert "12 trials, 2400 subjects" in [t.get_text() for t in ax.get_legend().get_texts()]
    plt.close("all")


def test_quick_enough_to_bootstrap():
    """No loop over replicates: 1,000 replicates of 13 trials, in at most as many likelihoods as
    Newton's method has steps, not 1,000 times that."""
    frame = line_frame(13)
    frame["log_hr"] += np.random.default_rng(1).normal(0, 0.2, 13)
    spec = EffectTableSpec(**(TABLE | {"surrogate_error": "atrophy_se",
                                       "outcome_error": "log_hr_se"}))  # fmt: skip
    model = errors_in_variables(effects_from_table(frame, spec))
    counts = np.random.default_rng(2).multinomial(13, np.full(13, 1 / 13), 300).astype(float)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        together = model.squared(counts)
    alone = np.array([model.squared(row[None])[0] for row in counts[:20]])
    np.testing.assert_allclose(together[:20], alone, rtol=1e-4, equal_nan=True)
