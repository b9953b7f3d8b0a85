"""Models with an early effect, against nlme, dense likelihoods, and a known truth."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.imaging import EarlyEffectSpec, fit_early_effect
from pmsstats.imaging.early_effect import early_course
from pmsstats.imaging.tau_profile import profile_tau
from pmsstats.models import fit_lmm

YEARS = np.array([0, 0.1, 0.25, 0.5, 1, 1.5, 2])
EXPONENTIAL = EarlyEffectSpec(outcome="brain_ml", by="arm", shape="exponential")
PIECEWISE = EarlyEffectSpec(outcome="brain_ml", by="arm", shape="piecewise", knot=0.5)
PROFILE = 2e-3  # ends of the interval are found to 1e-4 of the logarithm


def ordered(data: pd.DataFrame) -> pd.DataFrame:
    return data.assign(arm=pd.Categorical(data["arm"], ["placebo", "active"]))


def trial(seed: int, n: int = 80, *, early=-6.0, tau=0.3, noise=1.5) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n), len(YEARS))
    year, active = np.tile(YEARS, n), subject % 2 == 1
    mean = 1500 + (-8 + 3 * active) * year + early * active * (1 - np.exp(-year / tau))
    own = rng.normal(0, 30, n)[subject] + rng.normal(0, 2, n)[subject] * year
    value = mean + own + rng.normal(0, noise, len(year))
    arm = np.where(active, "active", "placebo")
    return ordered(
        pd.DataFrame({"subject_id": subject, "year": year, "arm": arm, "brain_ml": value})
    )


@pytest.fixture(scope="module")
def case():
    return load_case("early_effect")


@pytest.fixture(scope="module")
def found(case):
    return fit_early_effect(ordered(case.input), EXPONENTIAL)


@pytest.mark.parametrize("column", ["estimate", "std_error"])
def test_exponential_fit_is_that_of_nlme(case, found, column):
    table = found.table()
    table.index = table["quantity"] + " | " + table["term"]
    for row in case.rows(column).to_dict("records"):
        assert table.loc[row["term"], column] == pytest.approx(row["value"], rel=row["rtol"])


def test_tau_and_likelihood_are_those_of_nlme(case, found):
    row = case.rows("tau").iloc[0]
    assert found.tau == pytest.approx(row["value"], rel=row["rtol"])
    row = case.rows("log_likelihood").iloc[0]
    assert found.fit.fit_log.log_likelihood == pytest.approx(row["value"], rel=row["rtol"])


def test_derivative_in_tau_has_no_coefficient_at_the_maximum(found):
    row = found.fit.table().set_index("term").loc["tau_part"]
    assert abs(row["estimate"]) < 1e-3 * row["std_error"]


def test_interval_of_tau_is_where_the_likelihood_of_plain_fits_has_fallen_enough(case, found):
    data = ordered(case.input)
    active = (data["arm"] == "active").to_numpy()

    def log_likelihood(tau):
        early = np.where(active, 1 - np.exp(-data["year"] / tau), 0.0)
        from pmsstats.models import LMMSpec

        spec = LMMSpec.from_formula(
            "brain_ml ~ year * arm + early + (year | subject_id)", method="ML"
        )
        return fit_lmm(data.assign(early=early), spec).fit_log.log_likelihood

    best = log_likelihood(found.tau)
    fall = stats.chi2.ppf(0.95, 1) / 2
    for end in found.tau_interval:
        assert best - log_likelihood(end) == pytest.approx(fall, rel=PROFILE)


def test_profile_of_a_parabola_is_known():
    table, best, (low, high) = profile_tau(lambda x: -((x - np.log(0.3)) ** 2) / 0.02,
                                           (0.05, 1.5), 0.95)  # fmt: skip
    half = 0.1 * stats.norm.ppf(0.975)
    assert best == pytest.approx(0.3, rel=1e-5)
    assert np.log([low, high]) == pytest.approx(np.log(0.3) + np.array([-half, half]), abs=1e-3)
    assert table["tau"].is_monotonic_increasing


def test_interval_is_open_where_the_likelihood_stays_flat():
    _, _, interval = profile_tau(lambda x: -(x**2) / 1e4, (0.05, 1.5), 0.95)
    assert interval == (0.0, np.inf)


def test_piecewise_fit_is_the_formula_in_lmer_language():
    data = trial(1)
    made = fit_early_effect(data, PIECEWISE).table().set_index(["quantity", "term"])["estimate"]
    parts = data.assign(e=data["year"].clip(upper=0.5), l=(data["year"] - 0.5).clip(lower=0))
    fit = fit_lmm(parts, "brain_ml ~ (e + l) * arm + (year | subject_id)").table()
    expected = fit.set_index("term")["estimate"]
    assert made["late slope", "placebo"] == pytest.approx(expected["l"], rel=1e-6)
    assert made["late slope", "active - placebo"] == pytest.approx(
        expected["l:arm[T.active]"], rel=1e-5
    )
    assert made["early slope", "active"] == pytest.approx(
        expected["e"] + expected["e:arm[T.active]"], rel=1e-6
    )


def test_truth_is_recovered():
    made = fit_early_effect(trial(2, n=400), EXPONENTIAL)
    table = made.table().set_index(["quantity", "term"])
    for key, truth in {
        ("slope", "placebo"): -8.0,
        ("slope", "active - placebo"): 3.0,
        ("early effect", "active"): -6.0,
    }.items():
        assert abs(table.loc[key, "estimate"] - truth) < 4 * table.loc[key, "std_error"]
    assert made.tau_interval[0] < 0.3 < made.tau_interval[1]


def test_known_tau_makes_estimates_more_precise():
    data = trial(3)
    free = fit_early_effect(data, EXPONENTIAL)
    given = fit_early_effect(
        data, EarlyEffectSpec(outcome="brain_ml", by="arm", shape="exponential", tau=free.tau)
    )
    both = [r.table().set_index(["quantity", "term"])["std_error"] for r in (given, free)]
    assert both[0]["slope", "active - placebo"] < 0.99 * both[1]["slope", "active - placebo"]
    assert given.tau_interval is None
    assert len(given.profile) == 0
    assert_result_contract(given)


def test_reference_arm_may_have_an_early_effect_too():
    spec = EarlyEffectSpec(
        outcome="brain_ml", by="arm", shape="exponential", tau=0.3, early_in="all"
    )
    table = fit_early_effect(trial(4), spec).table()
    terms = table.loc[table["quantity"] == "early effect", "term"].tolist()
    assert terms == ["placebo", "active", "active - placebo"]
    row = table[(table["quantity"] == "early effect") & (table["term"] == "placebo")].iloc[0]
    assert abs(row["estimate"]) < 4 * row["std_error"]


def test_early_courses_start_at_zero_and_end_at_one():
    year = np.array([-0.1, 0.0, 0.25, 0.5, 50.0])
    for shape in ("step", "ramp", "exponential"):
        course = early_course(year, shape, 0.5)
        assert course[:2].tolist() == [0.0, 0.0]
        assert (np.diff(course) >= 0).all()
        assert course[-1] == 1.0
    assert early_course(year, "step", 0)[2] == 1.0
    assert early_course(year, "exponential", 0.5)[3] == pytest.approx(1 - np.exp(-1))


WRONG = (
    {"shape": "spline"},
    {"shape": "piecewise"},
    {"shape": "piecewise", "knot": -1.0},
    {"shape": "piecewise", "knot": 0.5, "tau": 0.3},
    {"shape": "exponential", "knot": 0.5},
    {"shape": "exponential", "tau": 0.0},
    {"shape": "exponential", "tau_range": (1.0, 0.5)},
)


@pytest.mark.parametrize("fields", WRONG)
def test_wrong_requests_are_refused(fields):
    with pytest.raises(DesignError):
        EarlyEffectSpec(outcome="brain_ml", by="arm", **fields)


def test_data_that_cannot_tell_are_refused():
    data = trial(5, n=20)
    with pytest.raises(DesignError, match="both sides"):
        fit_early_effect(
            data, EarlyEffectSpec(outcome="brain_ml", by="arm", shape="piecewise", knot=3.0)
        )
    with pytest.raises(DesignError, match="several arms"):
        fit_early_effect(data[data["arm"] == "active"], PIECEWISE)
    with pytest.raises(DesignError, match="`shape`"):
        early_course(YEARS, "sudden", 1.0)


@pytest.mark.parametrize("spec", [PIECEWISE, EXPONENTIAL], ids=["piecewise", "exponential"])
def test_result_keeps_the_contract(spec):
    assert_result_contract(fit_early_effect(trial(6, n=30), spec))


@pytest.mark.parametrize("spec", [PIECEWISE, EXPONENTIAL], ids=["piecewise", "exponential"])
def test_labels_that_look_like_differences_are_arms(spec):
    data = trial(6, n=30)
    names = {"placebo": "drug - 0 mg", "active": "drug - 10 mg"}
    renamed = data.assign(arm=data["arm"].cat.rename_categories(names))
    made, plain = fit_early_effect(renamed, spec), fit_early_effect(data, spec)
    table = made.table()
    is_pair = table["term"] == "drug - 10 mg - drug - 0 mg"
    assert table["is_difference"].tolist() == is_pair.tolist()
    assert is_pair.sum() == 2
    assert made.headline().count("difference in") == plain.headline().count("difference in") == 2
