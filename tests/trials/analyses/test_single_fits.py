"""Replicates analysed at once agree with the functions that fit one data set."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pandas as pd
import pytest
from trial_cases import analysis_of, cut, event_trials, measured, scenario_of, slope_trials

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.endpoints import derive_progression_batch
from pmsstats.models.curves.log_rank import LogRankSpec, compare_survival
from pmsstats.models.events.survival import fit_cox
from pmsstats.models.events.survival_specs import CoxSpec
from pmsstats.models.mixed.lmm import fit_lmm
from pmsstats.models.repeated.mmrm import fit_mmrm
from pmsstats.models.repeated.mmrm_spec import MMRMSpec
from pmsstats.models.responses.counts import fit_counts
from pmsstats.trials.analyses import analyse
from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.scenario import TrialAnalysis, TrialArm, TrialEndpoint

ITERATED = 2e-5  # two optimisers stop at slightly different points of a flat maximum
CLOSED = 1e-9  # the same formula in another order
EVENTS = (
    TrialEndpoint(name="latent", measure="edss"),
    TrialEndpoint(name="cdp", measure="edss", rule="cdp12", better="lower"),
)


@cache
def trials() -> TrialArrays:
    """Three trials with unequal arms."""
    return slope_trials(5, 3, (25, 20), slopes=(-1.0, -0.5))


def run(analysis: TrialAnalysis, data: TrialArrays, **fields) -> AnalysisBatch:
    """One comparison."""
    return analyse(scenario_of(analysis, **fields), analysis, data, arms=("active",))


def frame(data: TrialArrays, row: int, measure: str = "volume") -> pd.DataFrame:
    """The rows of one trial, with actual days."""
    N, V = data.arm.shape[1], len(data.weeks)
    day = np.broadcast_to(data.day, (*data.arm.shape, V))[row]
    table = pd.DataFrame(
        {
            "subject_id": np.repeat(np.arange(N), V),
            "treated": np.repeat(data.arm[row], V).astype(float),
            "age_years": np.repeat(data.baseline["age_years"][row], V),
            "year": day.ravel() / 365.25,
            "visit": pd.Categorical(np.tile([f"v{w:03d}" for w in data.weeks], N)),
            measure: measured(data, measure)[row].ravel(),
            "baseline": np.repeat(measured(data, measure)[row][:, 0], V),
        }
    )
    return table[table[measure].notna()].reset_index(drop=True)


def line(fit, term: str) -> np.ndarray:
    """Estimate, standard error and degrees of freedom of a term."""
    return fit.table().set_index("term").loc[term, ["estimate", "std_error", "df"]].to_numpy(float)


def ours(batch: AnalysisBatch, row: int) -> np.ndarray:
    """The same of a replicate."""
    return np.array([batch.estimate[row, 0], batch.std_error[row, 0], batch.df[row, 0]])


@pytest.mark.parametrize("row", range(3))
@pytest.mark.parametrize(
    ("fields", "extra"),
    [
        ({}, ""),
        ({"options": {"intercepts": "separate"}}, " + treated"),
        ({"covariates": ("age_years",)}, " + age_years"),
    ],
)
def test_slopes_are_those_of_one_fit(row, fields, extra):
    batch = run(analysis_of("random_slope", **fields), trials())
    formula = f"volume ~ year + treated:year{extra} + (year | subject_id)"
    fit = fit_lmm(frame(trials(), row), formula, df_method="satterthwaite")
    name = next(t for t in fit.table()["term"] if "treated" in t and "year" in t and ":" in t)
    np.testing.assert_allclose(ours(batch, row), line(fit, name), rtol=1e-4)


def test_actual_days_are_used_where_wanted():
    rng = np.random.default_rng(1)
    data = trials()
    moved = data.day + np.where(np.arange(5) > 0, rng.integers(-20, 21, (3, 45, 5)), 0)
    data = data.replace(day=moved)
    batch = run(analysis_of("random_slope", options={"times": "actual"}), data)
    planned = run(analysis_of("random_slope"), data)
    fit = fit_lmm(
        frame(data, 1),
        "volume ~ year + treated:year + (year | subject_id)",
        df_method="satterthwaite",
    )
    name = next(t for t in fit.table()["term"] if "treated" in t)
    np.testing.assert_allclose(ours(batch, 1), line(fit, name), rtol=1e-4)
    assert abs(planned.estimate[1, 0] - batch.estimate[1, 0]) > 1e-4


def test_formula_gives_the_coefficient_of_one_fit():
    analysis = analysis_of("model", formula="volume ~ arm * year + (1 | subject_id)",
                           options={"term": "arm[T.{arm}]:year"})  # fmt: skip
    batch = run(analysis, trials())
    fit = fit_lmm(
        frame(trials(), 2), "volume ~ treated * year + (1 | subject_id)", df_method="satterthwaite"
    )
    np.testing.assert_allclose(ours(batch, 2), line(fit, "treated:year"), rtol=1e-6)


def test_repeated_measures_with_baseline_are_those_of_one_fit():
    batch = run(analysis_of("mmrm", options={"baseline": "covariate"}), trials())
    for row in range(2):
        table = frame(trials(), row)
        table = table[table["visit"] != "v000"].assign(change=lambda t: t["volume"] - t["baseline"])
        table["visit"] = table["visit"].cat.remove_unused_categories()
        spec = "change ~ visit + treated:visit + baseline:visit + us(visit | subject_id)"
        spec = dataclasses.replace(MMRMSpec.from_formula(spec), df_method="satterthwaite")
        fit = fit_mmrm(table.reset_index(drop=True), spec)
        terms = fit.table()["term"]
        name = next(t for t in terms if "treated" in t and "v096" in t)
        np.testing.assert_allclose(ours(batch, row), line(fit, name), rtol=1e-4)


def test_counts_are_those_of_one_fit():
    rng = np.random.default_rng(3)
    data = slope_trials(7, 4, (40, 40), dropout=0.05)
    frailty = rng.gamma(1.0, 1.0, data.arm.shape)[..., None]
    y = rng.poisson(frailty * np.array([1.0, 0.6])[data.arm][..., None] * np.ones(5)).astype(float)
    y[np.isnan(measured(data, "volume"))] = np.nan
    y[..., 0] = np.nan
    data = data.replace(values={"t2": y})
    endpoints = (TrialEndpoint(name="volume", measure="t2", better="lower"),)
    batch = run(analysis_of("counts"), data, endpoints=endpoints)
    last = np.where(np.isnan(y), 0.0, data.day).max(axis=2) / 365.25
    for row in range(4):
        table = pd.DataFrame(
            {"subject_id": range(80), "n": np.nansum(y[row], axis=1).astype(int),
             "years": last[row], "treated": data.arm[row]}
        )  # fmt: skip
        fit = fit_counts(table[table["years"] > 0], "n ~ treated", exposure="years")
        expected = fit.table().set_index("term").loc["treated", ["estimate", "std_error"]]
        np.testing.assert_allclose(ours(batch, row)[:2], expected.to_numpy(float), rtol=ITERATED)
        assert batch.n_events[row, 0] == table["n"].sum()


@cache
def events() -> TrialArrays:
    """Four trials with events."""
    return event_trials(8, 4, (50, 45), rates=(0.5, 0.3))


def survival_frame(row: int) -> pd.DataFrame:
    """Follow-up to the drawn event."""
    data = events()
    day = data.baseline["event_day"][row]
    return pd.DataFrame(
        {
            "subject_id": range(95),
            "duration": np.minimum(day, data.exit_day[row]),
            "event": day <= data.exit_day[row],
            "arm": np.array(["placebo", "active"])[data.arm[row]],
            "treated": data.arm[row].astype(float),
            "age_years": data.baseline["age_years"][row],
            "sex": data.baseline["sex"][row],
        }
    )


@pytest.mark.parametrize("row", range(4))
def test_cox_models_are_those_of_one_fit(row):
    analysis = analysis_of("cox", endpoint="latent", covariates=("age_years",))
    batch = run(analysis, events(), endpoints=EVENTS, weeks=events().weeks)
    table = survival_frame(row)
    fit = fit_cox(
        table, CoxSpec(event="event", duration="duration", covariates="treated + age_years")
    )
    expected = fit.table().set_index("term").loc["treated", ["estimate", "std_error"]]
    np.testing.assert_allclose(ours(batch, row)[:2], expected.to_numpy(float), rtol=ITERATED)
    assert batch.n_events[row, 0] == table["event"].sum()


@pytest.mark.parametrize("strata", [(), ("sex",)])
def test_log_rank_tests_are_those_of_one_trial(strata):
    analysis = analysis_of("log_rank", endpoint="latent", options={"strata": strata})
    batch = run(analysis, events(), endpoints=EVENTS, weeks=events().weeks)
    for row in range(4):
        spec = LogRankSpec(by="arm", strata=strata)
        result = compare_survival(survival_frame(row), spec)
        assert batch.z[row, 0] ** 2 == pytest.approx(result.test.statistic, rel=CLOSED)


def test_derived_events_are_those_of_the_rule():
    analysis = analysis_of("log_rank", endpoint="cdp")
    batch = run(analysis, events(), endpoints=EVENTS, weeks=events().weeks)
    data = cut(events(), slice(1, 2))
    found = derive_progression_batch(measured(data, "edss"), "cdp12", day=data.day.astype(int))
    assert batch.n_events[1, 0] == found.event.sum()
    assert batch.n_reference[1, 0] + batch.n_treated[1, 0] == found.at_risk.sum()


def test_pairs_and_one_model_differ_by_the_variance_that_is_shared():
    data = slope_trials(9, 5, (20, 20, 20), slopes=(-1.0,) * 3)
    arms = tuple(TrialArm(name=name) for name in data.arms)
    pairs = analysis_of("change", options={"pairwise": True})
    both = analyse(scenario_of(pairs, arms=arms), pairs, data, arms=("active", "second"))
    alone = analyse(scenario_of(pairs, arms=arms), pairs, data, arms=("second",))
    one = analysis_of("change")
    shared = analyse(scenario_of(one, arms=arms), one, data, arms=("active", "second"))
    np.testing.assert_array_equal(both.std_error[:, 1:], alone.std_error)
    np.testing.assert_allclose(shared.estimate, both.estimate, rtol=CLOSED)
    assert (shared.df > both.df).all()
