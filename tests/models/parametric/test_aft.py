"""Accelerated failure time models: R and lifelines as witnesses, closed forms, truth, bad input."""

from __future__ import annotations

import math
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case
from scipy import optimize, stats

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError
from pmsstats.models.backends.lifelines_aft import maximise_aft
from pmsstats.models.parametric.aft import AFTSpec, fit_aft
from pmsstats.models.parametric.censored_times import prepare_times

SAME_MAXIMUM = 1e-6  # relative: Newton in other parameters, both within 1e-8 standard errors
LOOSE_PEER = 2e-3  # in standard errors: lifelines stops where scipy's optimiser does
LOOSE_STOP = 2e-2  # likewise, for log-logistic models; its square is log-likelihood units
DISTRIBUTIONS = ("weibull", "exponential", "lognormal", "loglogistic")
COVARIATES = "age_years + active"
INTERVAL = {"lower": "lower", "upper": "upper"}

each_distribution = pytest.mark.parametrize("distribution", DISTRIBUTIONS)


@each_distribution
@pytest.mark.parametrize("kind", ["right", "interval"])
def test_agrees_with_survreg(kind: str, distribution: str) -> None:
    """Witness: survreg of R's survival (stored); intervals hold all four kinds of rows."""
    case = load_case("parametric_survreg")
    limits = INTERVAL if kind == "interval" else {}
    fit = fit_aft(case.input, AFTSpec(covariates=COVARIATES, distribution=distribution, **limits))
    table = fit.table().set_index("term")
    new = pd.DataFrame({"age_years": [50], "active": [1]})
    quantiles = fit.quantiles(new, (0.25, 0.5))
    found = {
        "estimate": table["estimate"].to_dict(),
        "std_error": table["std_error"].to_dict(),
        "log_likelihood": {"model": fit.log_likelihood},
        "quantile": dict(zip(("0.25", "0.5"), quantiles["duration"], strict=True)),
    }
    rows = case.expected[case.expected["quantity"].str.startswith(f"{kind}.{distribution}.")]
    assert len(rows) >= 9
    for row in rows.itertuples():
        value = found[row.quantity.rpartition(".")[2]][row.term]
        assert value == pytest.approx(row.value, rel=row.rtol), row


def test_robust_errors_agree_with_survreg() -> None:
    """Witness: survreg with cluster() (stored)."""
    case = load_case("parametric_survreg")
    fit = fit_aft(case.input, AFTSpec(covariates=COVARIATES, cluster="subject_id"))
    errors = fit.table().set_index("term")["std_error"]
    for row in case.rows("robust.weibull.std_error").itertuples():
        assert errors[row.term] == pytest.approx(row.value, rel=row.rtol)


def test_delayed_entry_agrees_with_lifelines() -> None:
    """Witness: WeibullAFTFitter with entry_col, which survreg lacks."""
    from lifelines import WeibullAFTFitter

    data = load_case("parametric_survreg").input
    fit = fit_aft(data, AFTSpec(covariates=COVARIATES, entry="entry"))
    columns = ["age_years", "active", "duration", "event", "entry"]
    peer = WeibullAFTFitter().fit(data[columns], "duration", "event", entry_col="entry")
    mine = fit.table().set_index("term")
    theirs = peer.params_["lambda_"]
    for name in ("age_years", "active", "Intercept"):
        distance = abs(mine.loc[name, "estimate"] - theirs[name]) / mine.loc[name, "std_error"]
        assert distance < LOOSE_PEER
    assert fit.log_likelihood == pytest.approx(peer.log_likelihood_, abs=1e-5)
    assert fit.log_likelihood >= peer.log_likelihood_ - 1e-9


SECOND_OPINIONS = [
    (distribution, options)
    for distribution in ("weibull", "lognormal", "loglogistic")
    for options in ({}, {"entry": "entry"}, {"cluster": "subject_id"})
] + [("weibull", INTERVAL), ("loglogistic", INTERVAL | {"entry": "entry"})]


@pytest.mark.parametrize(("distribution", "options"), SECOND_OPINIONS)
def test_lifelines_is_a_second_opinion(distribution: str, options: dict) -> None:
    """Witness: lifelines, from its own start; our Newton steps finish and certify its answer."""
    data = load_case("parametric_survreg").input
    spec = AFTSpec(covariates=COVARIATES, distribution=distribution, **options)
    own, second = fit_aft(data, spec), fit_aft(data, spec, engine="lifelines")
    columns = ["estimate", "std_error"]
    np.testing.assert_allclose(second.table()[columns], own.table()[columns], rtol=SAME_MAXIMUM)
    log = second.fit_log
    assert (log.engine, log.converged, own.fit_log.engine) == ("lifelines", True, "native")
    assert "AFTFitter, then Newton" in log.optimiser
    assert log.n_evaluations < own.fit_log.n_evaluations  # the ascent began where lifelines ended
    words = re.fullmatch(r"lifelines stopped (\S+) standard errors .* lower by (\S+)", log.message)
    assert 0 < float(words[1]) < LOOSE_STOP
    assert 0 <= float(words[2]) < LOOSE_STOP**2


def test_where_lifelines_gives_up_the_fit_is_ours() -> None:
    """lifelines fits no log-normal model to these intervals: should it, prefer it again."""
    data = load_case("parametric_survreg").input
    spec = AFTSpec(covariates=COVARIATES, distribution="lognormal", **INTERVAL)
    second = fit_aft(data, spec, engine="lifelines")
    assert second.fit_log.engine == "native"
    assert second.fit_log.message == "lifelines gave up: Fitting did not converge."
    pd.testing.assert_frame_equal(second.table(), fit_aft(data, spec).table())


def test_lifelines_estimates_are_its_own() -> None:
    """Witness: LogNormalAFTFitter, called here on the same columns."""
    from lifelines import LogNormalAFTFitter

    data = load_case("parametric_survreg").input
    times = prepare_times(data, AFTSpec(covariates=COVARIATES, entry="entry"), "A model")
    found = maximise_aft(times, times.X, "lognormal")
    columns = ["age_years", "active", "duration", "event", "entry"]
    peer = LogNormalAFTFitter().fit(data[columns], "duration", "event", entry_col="entry")
    assert found.intercept == pytest.approx(peer.params_["mu_", "Intercept"], rel=1e-6)
    np.testing.assert_allclose(found.beta, peer.params_["mu_"][["age_years", "active"]], rtol=1e-6)
    assert math.log(found.scale) == pytest.approx(peer.params_["sigma_", "Intercept"], rel=1e-6)
    assert found.log_likelihood == pytest.approx(peer.log_likelihood_, rel=1e-9)


PEERS = {
    "weibull": lambda mu, scale: stats.weibull_min(1 / scale, scale=math.exp(mu)),
    "lognormal": lambda mu, scale: stats.lognorm(scale, scale=math.exp(mu)),
    "loglogistic": lambda mu, scale: stats.fisk(1 / scale, scale=math.exp(mu)),
}


@pytest.mark.parametrize("distribution", PEERS)
def test_truncated_intervals_agree_with_brute_force(distribution: str) -> None:
    """Witness: probabilities of scipy's distribution of time, maximised without derivatives."""
    data = load_case("parametric_survreg").input
    fit = fit_aft(data, AFTSpec(distribution=distribution, entry="entry", **INTERVAL))
    low = np.maximum(data["lower"], data["entry"]).to_numpy()
    high = data["upper"].fillna(np.inf).to_numpy()

    def minus(theta: np.ndarray) -> float:
        law = PEERS[distribution](theta[0], math.exp(theta[1]))
        exact = low == high
        between = np.log(law.sf(low[~exact]) - law.sf(high[~exact])).sum()
        entered = law.logsf(data["entry"][data["entry"] > 0]).sum()
        return -(law.logpdf(low[exact]).sum() + between - entered)

    best = optimize.minimize(minus, [1.0, -0.5], method="Nelder-Mead",
                             options={"xatol": 1e-8, "fatol": 1e-10, "maxiter": 4000})  # fmt: skip
    assert fit.log_likelihood == pytest.approx(-best.fun, abs=1e-7)
    np.testing.assert_allclose(fit.table()["estimate"], best.x, rtol=1e-5)


def test_exponential_is_events_over_time() -> None:
    """Witness: closed form: rate = events / time at risk, error of its log 1 / sqrt(events)."""
    data = pd.DataFrame(
        {"duration": [2.0, 3.0, 5.0, 7.0], "event": [1, 1, 0, 1], "entry": [0.0, 1.0, 2.0, 0.0]}
    )
    fit = fit_aft(data, AFTSpec(distribution="exponential", entry="entry"))
    first = fit.table().iloc[0]
    assert first["estimate"] == pytest.approx(math.log((17 - 3) / 3), rel=1e-12)
    assert first["std_error"] == pytest.approx(1 / math.sqrt(3), rel=1e-9)
    assert math.isnan(fit.table()["std_error"].iloc[1])
    survival = fit.predict_survival(times=[0, 2])
    np.testing.assert_allclose(survival["survival"], [1, math.exp(-2 * 3 / 14)], rtol=1e-12)


def simulate(rng: np.random.Generator, n: int) -> pd.DataFrame:
    """Draw Weibull times seen at yearly visits by subjects who entered late."""
    x = rng.normal(size=n)
    time = np.exp(1.2 + 0.3 * x + 0.7 * np.log(rng.exponential(size=n)))
    entry = rng.uniform(0, 1.5, n)
    end = entry + rng.uniform(1, 6, n)
    seen = time > entry
    lower = np.maximum(np.floor(np.minimum(time, end)), entry)
    upper = np.where(time < np.floor(end), np.floor(time) + 1, np.inf)
    lower = np.where(np.isinf(upper), np.maximum(np.floor(end), entry), lower)
    frame = pd.DataFrame({"x": x, "lower": lower, "upper": upper, "entry": entry})
    return frame[seen & ((frame["lower"] > frame["entry"]) | np.isfinite(frame["upper"]))]


def test_truth_is_recovered_from_truncated_intervals() -> None:
    """Witness: the simulation's own truth, within 4 Monte Carlo errors; so is the coverage."""
    rng, n_replicates = np.random.default_rng(2019), 200
    tables = [
        fit_aft(simulate(rng, 200), AFTSpec(covariates="x", entry="entry", **INTERVAL)).table()
        for _ in range(n_replicates)
    ]
    for position, truth in ((0, 0.3), (1, 1.2), (2, math.log(0.7))):
        rows = pd.DataFrame([table.iloc[position] for table in tables])
        estimate = rows["estimate"].astype(float)
        assert abs(estimate.mean() - truth) < 4 * estimate.std() / math.sqrt(n_replicates) + 0.01
        covered = ((rows["conf_low"] <= truth) & (truth <= rows["conf_high"])).mean()
        assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / n_replicates)


# ---------------------------------------------------------------------------- properties

seeds = st.integers(0, 2**32 - 1)


def trial(seed: int, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "subject_id": [f"S{i}" for i in range(n)],
            "arm": rng.permutation(["placebo", "active"] * (n // 2)),
            "nfl": rng.normal(10, 3, n),
            "duration": rng.gamma(2, 3, n) + 0.1,
            "event": rng.permutation([True, True, False, True] * (n // 4)),
        }
    )


@given(seed=seeds, factor=st.floats(1e-3, 1e3))
def test_unit_of_time_moves_only_the_intercept(seed: int, factor: float) -> None:
    data, spec = trial(seed), AFTSpec(covariates="nfl + arm")
    a = fit_aft(data, spec).table()
    b = fit_aft(data.assign(duration=data["duration"] * factor), spec).table()
    shift = np.array([0, 0, math.log(factor), 0])
    np.testing.assert_allclose(b["estimate"] - shift, a["estimate"], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(
        b["std_error"].iloc[[0, 1, 3]], a["std_error"].iloc[[0, 1, 3]], rtol=1e-6
    )


@given(seed=seeds)
def test_swapping_arms_flips_the_sign(seed: int) -> None:
    data, spec = trial(seed), AFTSpec(covariates="arm", distribution="lognormal")
    other = data.assign(arm=data["arm"].map({"placebo": "active", "active": "placebo"}))
    a, b = (fit_aft(d, spec).table().iloc[0] for d in (data, other))
    assert b["estimate"] == pytest.approx(-a["estimate"], rel=1e-6, abs=1e-9)
    assert b["std_error"] == pytest.approx(a["std_error"], rel=1e-6)


@given(seed=seeds)
def test_row_order_changes_nothing(seed: int) -> None:
    data, spec = trial(seed), AFTSpec(covariates="nfl", distribution="loglogistic")
    other = data.sample(frac=1, random_state=seed % 1000)
    a, b = (fit_aft(d, spec).table()[["estimate", "std_error"]] for d in (data, other))
    np.testing.assert_allclose(a, b, rtol=SAME_MAXIMUM, atol=1e-9)


@given(seed=seeds)
def test_median_is_where_survival_is_one_half(seed: int) -> None:
    fit = fit_aft(trial(seed), AFTSpec(covariates="nfl"))
    new = pd.DataFrame({"nfl": [8.0, 14.0]})
    for row, median in enumerate(fit.quantiles(new)["duration"]):
        at = fit.predict_survival(new.iloc[[row]], [median]).iloc[0]
        assert at["survival"] == pytest.approx(0.5, rel=1e-9)
        assert at["conf_low"] < 0.5 < at["conf_high"]


def test_hazard_ratio_is_that_of_weibull_hazards() -> None:
    """Witness: log H at one time differs by the log hazard ratio between covariates one apart."""
    fit = fit_aft(trial(5), AFTSpec(covariates="nfl"))
    curve = fit.predict_survival(pd.DataFrame({"nfl": [8.0, 9.0]}), [4.0])["survival"]
    difference = np.diff(np.log(-np.log(curve))).item()
    assert fit.hazard_ratios()["estimate"].item() == pytest.approx(difference, rel=1e-9)
    with pytest.raises(DesignError, match="not proportional"):
        fit_aft(trial(5), AFTSpec(covariates="nfl", distribution="lognormal")).hazard_ratios()


# ---------------------------------------------------------------------------- what is left out

SMALL = pd.DataFrame(
    {
        "subject_id": [f"S{i}" for i in range(1, 9)],
        "lower": [0.0, 0.5, 1.0, 1.0, 1.5, 2.0, 2.5, 3.0],
        "upper": [0.5, 1.0, 1.5, 2.0, 2.0, None, 3.0, None],
        "duration": [0.4, 0.8, 1.2, 1.9, 2.0, 2.0, 2.7, 3.0],
        "event": [1, 1, 1, 1, 1, 0, 1, 0],
        "atrophy": [1.8, 0.9, 1.2, 1.6, 0.4, 0.8, 0.7, 0.6],
    }
)


@pytest.mark.parametrize(
    ("change", "options", "reason", "ids"),
    [
        ({"lower": [0.0, 0.0, 1, 1, 1.5, 0.0, 2.5, 3.0]}, INTERVAL, "no follow-up", ("S6",)),
        ({"upper": [0.0, 1, 1.5, 2, 2, None, 3, None]}, INTERVAL, "event at time 0", ("S1",)),
        ({"atrophy": [1.8, 0.9, 1.2, 1.6, 0.4, 0.8, 0.7, np.nan]}, {}, "no atrophy", ("S8",)),
        ({"duration": [0.0, 0.8, 1.2, 1.9, 2, 2, 2.7, 3]}, {}, "event at time 0", ("S1",)),
        ({"duration": [0.4, 0.8, 1.2, 1.9, 2, 0, 2.7, 3]}, {}, "no follow-up (d", ("S6",)),
        ({"entry": [0, 0, 0, 0, 0, 2.0, 0, 0]}, {"entry": "entry"}, "no follow-up after", ("S6",)),
    ],
)
def test_what_is_left_out_is_counted(change, options, reason, ids) -> None:
    fit = fit_aft(SMALL.assign(**change), AFTSpec(covariates="atrophy", **options))
    assert [(e.unit, e.n, e.subject_ids) for e in fit.exclusions] == [("subject", len(ids), ids)]
    assert fit.exclusions[0].reason.startswith(reason)
    assert fit.n_subjects == 7


BAD = [
    (SMALL.assign(event=0), {}, DesignError, "No event among 8"),
    (SMALL.assign(lower=SMALL["lower"] + 5), INTERVAL, DesignError, "`lower` above `upper` in 6"),
    (SMALL.assign(lower=-1.0), INTERVAL, DesignError, "Negative `lower`"),
    (SMALL.assign(duration=-1.0), {}, DesignError, "Negative `duration`"),
    (SMALL.assign(entry=2.5), {"entry": "entry"}, DesignError, "End of follow-up before `entry`"),
    (SMALL.assign(entry=-1.0), {"entry": "entry"}, DesignError, "Negative `entry`"),
    (SMALL.assign(event=[1] + [0] * 7), {}, DesignError, "1 event(s) cannot support 2"),
    (SMALL.head(1), {}, DesignError, "at least two subjects"),
    (SMALL.assign(atrophy=1.0), {}, DesignError, "same value in all rows"),
    (SMALL.assign(subject_id="S1"), {}, DesignError, "More than one row per subject"),
    (SMALL.drop(columns="upper"), INTERVAL, DesignError, "`upper` names 'upper'"),
    (SMALL.assign(atrophy=SMALL["event"] * 1.0), {}, ConvergenceError, "separates"),
    (SMALL.assign(duration=2.0), {}, ConvergenceError, "one time"),
]  # fmt: skip


@pytest.mark.parametrize("engine", ["native", "lifelines"])
@pytest.mark.parametrize(("data", "options", "error", "message"), BAD)
def test_bad_input_is_refused(data, options, error, message, engine) -> None:
    with pytest.raises(error, match=re.escape(message)):
        fit_aft(data, AFTSpec(covariates="atrophy", **options), engine=engine)


def test_engines_that_do_not_know_the_model_are_refused() -> None:
    with pytest.raises(DesignError, match="`engine` must be 'native' or 'lifelines', got 'sas'"):
        fit_aft(SMALL, AFTSpec(), engine="sas")
    with pytest.raises(DesignError, match="no exponential regression"):
        fit_aft(SMALL, AFTSpec(distribution="exponential"), engine="lifelines")


@pytest.mark.parametrize(
    "options", [{"lower": "lower"}, {"upper": "upper"}, {"distribution": "gamma"},
                {"conf_level": 95}]
)  # fmt: skip
def test_contradictory_specs_are_refused(options: dict) -> None:
    with pytest.raises(DesignError):
        AFTSpec(**options)


@pytest.mark.parametrize("engine", ["native", "lifelines"])
def test_separation_can_be_returned_with_a_warning(engine: str) -> None:
    data = SMALL.assign(atrophy=SMALL["event"] * 1.0)
    with pytest.warns(ConvergenceWarning, match="separates"):
        fit = fit_aft(data, AFTSpec(covariates="atrophy"), engine=engine, on_failure="warn")
    assert not fit.fit_log.converged
    assert "NOT converge" in fit.headline()


def test_predictions_refuse_what_they_cannot_answer() -> None:
    fit = fit_aft(SMALL, AFTSpec(covariates="atrophy"))
    with pytest.raises(DesignError, match="`data` must give"):
        fit.quantiles()
    with pytest.raises(DesignError, match="between 0 and 1"):
        fit.quantiles(SMALL, (1.0,))
    with pytest.raises(DesignError, match="at least 0"):
        fit.predict_survival(SMALL, [-1.0])
    with pytest.raises(DesignError, match="on_failure"):
        fit_aft(SMALL, AFTSpec(), on_failure="ignore")


@pytest.mark.parametrize("covariates", ["atrophy", ()])
def test_result_honours_the_contract(covariates) -> None:
    data = SMALL.copy()
    fit = fit_aft(data, AFTSpec(covariates=covariates, **INTERVAL), origin="synthetic")
    assert_result_contract(fit)
    assert_covariance_matrix(fit.estimates()[1])
    pd.testing.assert_frame_equal(data, SMALL)
    assert fit.to_dict()["n_events"] == 6
    plt.close("all")
