"""Fine-Gray models: cmprsk and survival as witnesses, brute force, truth, bad input."""

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

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError
from pmsstats.models.events.fine_gray import FineGraySpec, fit_fine_gray
from pmsstats.models.events.subdistribution import (
    CompetingTimes,
    cumulative_incidence_influence,
    subdistribution_terms,
)
from pmsstats.models.events.survival import CoxSpec, fit_cox

SUMS = 1e-9  # relative: the same sums in another order
DIFFERENCE = 1e-5  # relative: central differences of step 1e-5
JACKKNIFE = 0.03  # relative: leaving out one of 240 against the derivative
LEAVING_OUT = 0.15  # of the largest: few are left at risk when these are taken out
COVARIATES = "active + atrophy"


@pytest.mark.parametrize("duration", ["duration", "half_years"])
def test_agrees_with_crr(duration: str) -> None:
    """Witness: cmprsk::crr and its predictions (stored), on distinct and on tied times."""
    case = load_case("fine_gray_mixed")
    fit = fit_fine_gray(
        case.input, FineGraySpec(covariates=COVARIATES, of="progression", duration=duration)
    )
    table = fit.table().set_index("term")
    for column in ("estimate", "std_error"):
        for row in case.rows(f"{duration}.{column}").itertuples():
            assert table.loc[row.term, column] == pytest.approx(row.value, rel=row.rtol)
    rows = case.rows(f"{duration}.incidence")
    new = pd.DataFrame({"active": [1], "atrophy": [0.5]})
    curve = fit.predict_incidence(new, rows["term"].astype(float))
    np.testing.assert_allclose(curve["incidence"], rows["value"], rtol=1e-6)
    assert (
        (curve["conf_low"] < curve["incidence"]) & (curve["incidence"] < curve["conf_high"])
    ).all()


def test_other_cause_agrees_with_crr() -> None:
    """Witness: cmprsk::crr with failcode = 2 (stored)."""
    case = load_case("fine_gray_mixed")
    table = fit_fine_gray(case.input, FineGraySpec(covariates=COVARIATES, of="death")).table()
    for column in ("estimate", "std_error"):
        for row in case.rows(f"death.{column}").itertuples():
            found = table.set_index("term").loc[row.term, column]
            assert found == pytest.approx(row.value, rel=row.rtol)


def test_finegray_and_coxph_give_the_same_and_cause_specific_hazards_do_not() -> None:
    """Witness: survival::finegray with coxph, and coxph with death as censoring (stored)."""
    case = load_case("fine_gray_mixed")
    table = fit_fine_gray(case.input, FineGraySpec(covariates=COVARIATES, of="progression")).table()
    same = case.rows("finegray.estimate")["value"].to_numpy()
    np.testing.assert_allclose(table["estimate"], same, rtol=1e-7)
    specific = case.rows("cause_specific.estimate")["value"].to_numpy()
    data = case.input.assign(event=case.input["cause"] == "progression")
    np.testing.assert_allclose(
        fit_cox(data, CoxSpec(covariates=COVARIATES)).table()["estimate"], specific, rtol=1e-7
    )
    assert (np.abs(table["estimate"]) < np.abs(specific)).all()


def competing(seed: int, n: int = 40, n_terms: int = 2) -> CompetingTimes:
    """Draw times with ties between events, competing events and censoring."""
    rng = np.random.default_rng(seed)
    time = np.sort(rng.integers(1, 12, n)).astype(float)
    kind = rng.permutation([0, 1, 2, 1] * (n // 4))
    return CompetingTimes(
        time=time, is_event=kind == 1, is_competing=kind == 2, X=rng.normal(size=(n, n_terms))
    )


def brute(beta: np.ndarray, times: CompetingTimes) -> float:
    """Fine and Gray (1999), section 3: a loop over events and over all at risk, with weights."""
    censored = ~(times.is_event | times.is_competing)

    def not_censored_before(t: float) -> float:
        product = 1.0
        for s in np.unique(times.time[censored]):
            if s < t:
                product *= 1 - (censored & (times.time == s)).sum() / (times.time >= s).sum()
        return product

    total = 0.0
    for i in np.flatnonzero(times.is_event):
        t, at_risk = times.time[i], 0.0
        for j in range(len(times.time)):
            share = math.exp(times.X[j] @ beta)
            if times.time[j] >= t:
                at_risk += share
            elif times.is_competing[j]:
                at_risk += share * not_censored_before(t) / not_censored_before(times.time[j])
        total += times.X[i] @ beta - math.log(at_risk)
    return total


@pytest.mark.parametrize("beta", [(0.0, 0.0), (0.6, -0.4)])
def test_likelihood_is_that_of_the_paper(beta: tuple[float, float]) -> None:
    """Witness: the weighted partial likelihood, looped over; its differences."""
    times, at, step = competing(1), np.array(beta), 1e-5
    terms = subdistribution_terms(times, at)
    assert terms.log_likelihood == pytest.approx(brute(at, times), rel=SUMS)
    for j in range(2):
        shift = step * np.eye(2)[j]
        up, down = (subdistribution_terms(times, at + s) for s in (shift, -shift))
        assert terms.score[j] == pytest.approx(
            (up.log_likelihood - down.log_likelihood) / (2 * step), rel=DIFFERENCE, abs=1e-7
        )
        np.testing.assert_allclose(
            terms.information[j], -(up.score - down.score) / (2 * step), rtol=DIFFERENCE, atol=1e-6
        )


def test_influence_on_incidence_is_that_of_leaving_one_out() -> None:
    """Witness: the jackknife: the fit repeated without each subject, weights estimated anew."""
    data = load_case("fine_gray_mixed").input
    spec = FineGraySpec(covariates="active", of="progression")
    new, at = pd.DataFrame({"active": [1]}), [1.0, 4.0]

    def log_hazard(frame: pd.DataFrame) -> np.ndarray:
        return np.log(
            -np.log(1 - fit_fine_gray(frame, spec).predict_incidence(new, at)["incidence"])
        )

    left_out = np.array([log_hazard(data.drop(index=i)) for i in data.index])
    n = len(data)
    jackknife = np.sqrt((n - 1) / n * ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0))
    curve = fit_fine_gray(data, spec).predict_incidence(new, at)
    low, high = (np.log(-np.log(1 - curve[c])) for c in ("conf_low", "conf_high"))
    np.testing.assert_allclose((high - low) / (2 * 1.959964), jackknife, rtol=JACKKNIFE)


def test_each_influence_is_that_of_leaving_the_subject_out() -> None:
    """Witness: fits without each subject; the part through the censoring weights shows in those
    who were censored late, when many with a competing event are counted through them."""
    data = load_case("fine_gray_mixed").input.sort_values("duration", ignore_index=True)
    spec = FineGraySpec(covariates="active", of="progression")
    fit = fit_fine_gray(data, spec)
    x, at = np.array([1.0]) - fit.centre, np.array([7.0])
    terms = subdistribution_terms(fit.times, fit.beta)
    found = cumulative_incidence_influence(fit.times, terms, fit.influence, x, at)[:, 0]

    def log_hazard(frame: pd.DataFrame) -> float:
        curve = fit_fine_gray(frame, spec).predict_incidence(pd.DataFrame({"active": [1]}), at)
        return math.log(-math.log(1 - curve["incidence"].item()))

    whole = log_hazard(data)
    late = np.flatnonzero((data["cause"] == "censored") & (data["duration"] > 4))
    assert len(late) > 10
    removed = np.array([whole - log_hazard(data.drop(index=i)) for i in late])
    error = found[late] - removed
    assert np.abs(error).max() < LEAVING_OUT * np.abs(removed).max()


def simulate(rng: np.random.Generator, n: int, beta: float) -> pd.DataFrame:
    """Draw from F1(t | x) = 1 - {1 - p (1 - exp(-t))}^exp(beta x), by Fine and Gray (1999), 5."""
    x, p = rng.integers(0, 2, n), 0.5
    never = (1 - p) ** np.exp(beta * x)
    u = rng.uniform(size=n)
    first = u < 1 - never
    v = np.where(first, u, 0.0)
    time = -np.log(1 - (1 - (1 - v) ** np.exp(-beta * x)) / p)
    time = np.where(first, time, rng.exponential(1 / np.exp(0.3 * x)))
    end = rng.uniform(0.5, 4, n)
    cause = np.where(time > end, 0, np.where(first, 1, 2))
    return pd.DataFrame({"x": x, "duration": np.minimum(time, end), "cause": cause})


def test_truth_is_recovered() -> None:
    """Witness: the simulation's own truth, for the ratio and the incidence at 1; coverage too."""
    rng, n_replicates, truth = np.random.default_rng(2021), 250, -0.6
    spec = FineGraySpec(covariates="x", of=1)
    rows, curves = [], []
    for _ in range(n_replicates):
        fit = fit_fine_gray(simulate(rng, 200, truth), spec)
        rows.append(fit.table().iloc[0])
        curves.append(fit.predict_incidence(pd.DataFrame({"x": [1]}), [1.0]).iloc[0])
    table, curve = pd.DataFrame(rows), pd.DataFrame(curves)
    estimate = table["estimate"].astype(float)
    assert abs(estimate.mean() - truth) < 4 * estimate.std() / math.sqrt(n_replicates) + 0.01
    incidence = 1 - (1 - 0.5 * (1 - math.exp(-1))) ** math.exp(truth)
    assert abs(curve["incidence"].mean() - incidence) < 4 * curve["incidence"].std() / math.sqrt(
        n_replicates
    )
    margin = 4 * math.sqrt(0.95 * 0.05 / n_replicates)
    for frame, value in ((table, truth), (curve, incidence)):
        covered = ((frame["conf_low"] <= value) & (value <= frame["conf_high"])).mean()
        assert abs(covered - 0.95) < margin


# ---------------------------------------------------------------------------- properties

seeds = st.integers(0, 2**32 - 1)


def trial(seed: int, n: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "subject_id": [f"S{i}" for i in range(n)],
            "arm": rng.permutation(["placebo", "active"] * (n // 2)),
            "nfl": rng.normal(10, 3, n),
            "duration": rng.integers(1, 20, n),
            "cause": rng.permutation(
                ["progression", "death", "censored", "progression"] * (n // 4)
            ),
        }
    )


@given(seed=seeds)
def test_row_order_changes_nothing_and_units_scale(seed: int) -> None:
    data, spec = trial(seed), FineGraySpec(covariates="nfl + arm", of="progression")
    a = fit_fine_gray(data, spec).table()[["estimate", "std_error"]]
    shuffled = data.sample(frac=1, random_state=seed % 1000)
    b = fit_fine_gray(shuffled.assign(nfl=shuffled["nfl"] * 100), spec).table()
    factor = np.where(a.index == list(b["term"]).index("nfl"), 100, 1)
    np.testing.assert_allclose(
        b[["estimate", "std_error"]] * factor[:, None], a, rtol=1e-6, atol=1e-9
    )


@given(seed=seeds)
def test_without_censoring_competing_subjects_never_leave(seed: int) -> None:
    """Witness: a Cox model in which those with a competing event are followed to the end."""
    data = trial(seed)
    data["cause"] = data["cause"].replace("censored", "death")
    event = data["cause"] == "progression"
    # distinct times, as the two treat ties differently
    data["duration"] = data["duration"] + np.linspace(0, 0.5, len(data))
    spec = FineGraySpec(covariates="nfl", of="progression", censored="censored")
    fine_gray = fit_fine_gray(data, spec)
    cox = fit_cox(
        data.assign(event=event, duration=data["duration"].where(event, 1000.0)),
        CoxSpec(covariates="nfl"),
    )
    np.testing.assert_allclose(
        fine_gray.table()["estimate"], cox.table()["estimate"], rtol=1e-6, atol=1e-9
    )


# ---------------------------------------------------------------------------- bad input

SMALL = trial(4, 40)
SPEC = {"covariates": "nfl", "of": "progression"}
BAD = [
    (SMALL, {"of": "relapse"}, DesignError, "`of='relapse'` is no cause"),
    (SMALL[SMALL["cause"] != "death"], {}, DesignError, "No event competes with 'progression'"),
    (SMALL.assign(cause="censored"), {}, DesignError, "names no cause"),
    (SMALL.assign(cause="death"), {}, DesignError, "has no level 'censored'"),
    (SMALL.assign(duration=-1), {}, DesignError, "Negative `duration`"),
    (SMALL.assign(subject_id="S1"), {}, DesignError, "More than one row per subject"),
    (SMALL.assign(nfl=1.0), {}, DesignError, "same value in all rows"),
    (SMALL.drop(columns="cause"), {}, DesignError, "`cause` names 'cause'"),
    (SMALL.assign(nfl=(SMALL["cause"] == "progression") * 1.0), {}, ConvergenceError, "separat"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "options", "error", "message"), BAD)
def test_bad_input_is_refused(data, options, error, message) -> None:
    with pytest.raises(error, match=re.escape(message)):
        fit_fine_gray(data, FineGraySpec(**(SPEC | options)))


@pytest.mark.parametrize("options", [{"covariates": ()}, {"conf_level": 0}])
def test_contradictory_specs_are_refused(options: dict) -> None:
    with pytest.raises(DesignError):
        FineGraySpec(**(SPEC | options))


def test_what_is_left_out_is_counted() -> None:
    data = SMALL.copy()
    data.loc[0, "nfl"], data.loc[1, "cause"], data.loc[2, "duration"] = np.nan, None, 0
    fit = fit_fine_gray(data, FineGraySpec(**SPEC))
    assert {e.subject_ids for e in fit.exclusions} == {("S0",), ("S1",), ("S2",)}
    assert fit.n_subjects == 37


def test_separation_can_be_returned_with_a_warning() -> None:
    data = SMALL.assign(nfl=(SMALL["cause"] == "progression") * 1.0)
    with pytest.warns(ConvergenceWarning, match="separat"):
        fit = fit_fine_gray(data, FineGraySpec(**SPEC), on_failure="warn")
    assert "NOT converge" in fit.headline()


def test_result_honours_the_contract() -> None:
    data = SMALL.copy()
    fit = fit_fine_gray(data, FineGraySpec(**SPEC), origin="synthetic")
    assert_result_contract(fit)
    assert_covariance_matrix(fit.covariance)
    pd.testing.assert_frame_equal(data, SMALL)
    plt.close("all")
