"""Negative binomial models: glm.nb as stored witness, brute force, recovery, bad input."""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, FormulaError
from pmsstats.models.responses.counts import CountsResult, CountsSpec, fit_counts
from pmsstats.models.responses.negative_binomial import dispersion_slope, negative_binomial

SPEC = CountsSpec(
    outcome="relapses", fixed="arm + prior_relapses", exposure="years_observed", empirical=None
)
EPIL = CountsSpec(outcome="seizures", fixed="trt + log(base) + V4")
SAME_FIT = 1e-7  # relative: two fits of numbers that differ by rounding


def input_rows() -> pd.DataFrame:
    frame = load_case("counts_relapses").input
    return frame.assign(arm=pd.Categorical(frame["arm"], categories=["placebo", "active"]))


@cache
def fitted(empirical: str | None = None) -> CountsResult:
    return fit_counts(input_rows(), dataclasses.replace(SPEC, empirical=empirical))


# --- another implementation -------------------------------------------------------------------


@pytest.mark.parametrize(("empirical", "quantity"), [(None, "std_error"), ("CR0", "cr0")])
def test_fit_equals_glm_nb(empirical, quantity):
    case, table = load_case("counts_relapses"), fitted(empirical).table()
    for name, column in (("estimate", "estimate"), (quantity, "std_error")):
        expected = case.rows(name)
        assert table["term"].tolist() == expected["term"].tolist()
        assert (np.abs(table[column].to_numpy() / expected["value"] - 1) <= expected["rtol"]).all()


def test_dispersion_and_likelihood_equal_those_of_glm_nb():
    case, fit = load_case("counts_relapses"), fitted()
    assert fit.dispersion == pytest.approx(case.rows("dispersion")["value"].iloc[0], rel=1e-5)
    assert fit.fit_log.log_likelihood == pytest.approx(
        case.rows("log_likelihood")["value"].iloc[0], rel=1e-10
    )
    assert fit.dispersion_interval[0] < fit.dispersion < fit.dispersion_interval[1]


def test_error_of_theta_equals_that_of_glm_nb():
    frame, fit = input_rows(), fitted()
    X = np.column_stack([np.ones(len(frame)), frame["arm"] == "active", frame["prior_relapses"]])
    theta = 1 / fit.dispersion
    parameters = np.append(fit.table()["estimate"], np.log(theta))
    terms = negative_binomial(
        parameters, X.astype(float), frame["relapses"].to_numpy(float),
        np.log(frame["years_observed"].to_numpy()),
    )  # fmt: skip
    expected = load_case("counts_relapses").rows("theta_std_error")["value"].iloc[0]
    assert theta / np.sqrt(terms.information[-1, -1]) == pytest.approx(expected, rel=1e-5)
    assert np.abs(terms.scores.sum(axis=0)).max() < 1e-6


def test_predicted_rates_equal_those_of_r():
    new = pd.DataFrame({"arm": ["placebo", "active"], "prior_relapses": [1, 1]})
    expected = load_case("counts_relapses").rows("rate")["value"].to_numpy()
    assert fitted().predict(new)["estimate"].to_numpy() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("empirical", "quantity"), [("auto", "cr0"), ("CR1", "cr1"), (None, "std_error")]
)
def test_errors_by_subject_equal_those_of_sandwich(empirical, quantity):
    case = load_case("counts_epil")
    fit = fit_counts(case.input, dataclasses.replace(EPIL, empirical=empirical))
    expected = case.rows(quantity)
    assert fit.table()["term"].tolist() == expected["term"].tolist()
    assert (
        np.abs(fit.table()["std_error"].to_numpy() / expected["value"] - 1) <= expected["rtol"]
    ).all()
    assert fit.dispersion == pytest.approx(case.rows("dispersion")["value"].iloc[0], rel=1e-5)


# --- brute force ------------------------------------------------------------------------------


def test_likelihood_and_derivatives():
    rng = np.random.default_rng(3)
    X, y = np.column_stack([np.ones(30), rng.normal(size=30)]), rng.poisson(2.0, 30).astype(float)
    offset, point = rng.normal(0, 0.3, 30), np.array([0.4, -0.3, 0.7])

    def plain(p: np.ndarray) -> np.ndarray:
        theta, mu = np.exp(p[-1]), np.exp(X @ p[:-1] + offset)
        return stats.nbinom.logpmf(y, theta, theta / (theta + mu))

    terms = negative_binomial(point, X, y, offset)
    assert terms.log_likelihood == pytest.approx(plain(point).sum(), rel=1e-12)
    for j in range(3):
        step = np.zeros(3)
        step[j] = 1e-5
        assert np.allclose(
            terms.scores[:, j], (plain(point + step) - plain(point - step)) / 2e-5, atol=1e-8
        )
        ends = [
            negative_binomial(point + s * step, X, y, offset).scores.sum(axis=0) for s in (1, -1)
        ]
        assert np.allclose(terms.information[j], (ends[1] - ends[0]) / 2e-5, rtol=1e-6, atol=1e-6)


def test_slope_at_no_dispersion_is_the_limit_of_the_likelihood():
    rng = np.random.default_rng(6)
    X, y, mu = np.ones((50, 1)), rng.negative_binomial(2, 0.4, 50).astype(float), 3.0
    alpha = 1e-4
    near = negative_binomial(np.array([np.log(mu), -np.log(alpha)]), X, y, np.zeros(50))
    base = stats.poisson.logpmf(y, mu).sum()
    slope = dispersion_slope(y, np.full(50, mu))
    assert (near.log_likelihood - base) / alpha == pytest.approx(slope, rel=0.01)


def test_two_groups_have_closed_forms():
    # With equal times and one factor, fitted rates are the groups' own means whatever alpha.
    rng = np.random.default_rng(9)
    frame = pd.DataFrame({"subject_id": range(120), "arm": ["active", "placebo"] * 60})
    frame["lesions"] = rng.negative_binomial(1, 0.3, 120)
    fit = fit_counts(frame, "lesions ~ arm")
    means = frame.groupby("arm")["lesions"].mean()
    found = fit.means("arm").set_index("group")["estimate"]
    assert found["active"] == pytest.approx(means["active"], rel=1e-8)
    assert found["placebo"] == pytest.approx(means["placebo"], rel=1e-8)
    variance = sum((1 / m + fit.dispersion) / 60 for m in means)
    assert fit.table()["std_error"].iloc[1] == pytest.approx(np.sqrt(variance), rel=1e-7)


# --- recovery ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_intervals_cover_a_known_rate_ratio():
    rng, n, replicates, truth = np.random.default_rng(10), 300, 300, np.log(0.6)
    arm, covered = np.arange(n) % 2, 0
    for _ in range(replicates):
        years = rng.uniform(0.3, 2.0, n)
        rate = np.exp(0.3 + truth * arm) * rng.gamma(2, 0.5, n)
        frame = pd.DataFrame(
            {
                "subject_id": range(n),
                "arm": arm,
                "years": years,
                "events": rng.poisson(rate * years),
            }
        )
        row = fit_counts(frame, "events ~ arm", exposure="years").table().iloc[1]
        covered += row["conf_low"] <= truth <= row["conf_high"]
    assert abs(covered / replicates - 0.95) < 4 * np.sqrt(0.95 * 0.05 / replicates)


# --- the edge: no overdispersion ----------------------------------------------------------------


def test_without_overdispersion_this_is_poisson_and_says_so():
    frame = pd.DataFrame(
        {"subject_id": range(40), "arm": ["a", "b"] * 20, "n": [2, 3] * 10 + [3, 4] * 10}
    )
    fit = fit_counts(frame, "n ~ arm")
    assert fit.dispersion == 0
    assert fit.fit_log.singular
    assert fit.fit_log.converged
    assert "Poisson" in fit.headline()
    assert fit.table()["std_error"].iloc[1] == pytest.approx(np.sqrt(1 / 50 + 1 / 70), rel=1e-8)
    assert_result_contract(fit)


# --- properties -------------------------------------------------------------------------------


def test_result_contract():
    assert_result_contract(fitted())
    assert_covariance_matrix(fitted().covariance)
    table = fitted().table()
    assert np.isnan(table["rate_ratio"].iloc[0])  # an intercept is no ratio
    assert table["rate_ratio"].iloc[1] == pytest.approx(np.exp(table["estimate"].iloc[1]))
    made = fitted().contrast({"arm[T.active]": 1.0})
    assert made["rate_ratio_low"].iloc[0] == pytest.approx(table["rate_ratio_low"].iloc[1])


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.floats(0.01, 1000))
def test_order_of_rows_and_unit_of_time(seed, factor):
    frame = input_rows().sample(frac=1, random_state=seed)
    frame["years_observed"] *= factor
    table = fit_counts(frame, SPEC).table()
    expected = fitted().table()
    shift = np.array([-np.log(factor), 0, 0])
    assert table["estimate"].to_numpy() == pytest.approx(
        expected["estimate"].to_numpy() + shift, abs=1e-6
    )
    assert table["std_error"].to_numpy() == pytest.approx(
        expected["std_error"].to_numpy(), rel=SAME_FIT
    )


def test_swapping_arms_inverts_the_ratio():
    frame = input_rows()
    frame["arm"] = frame["arm"].cat.reorder_categories(["active", "placebo"])
    swapped = fit_counts(frame, SPEC).table()["rate_ratio"].iloc[1]
    assert swapped == pytest.approx(1 / fitted().table()["rate_ratio"].iloc[1], rel=SAME_FIT)


@pytest.mark.parametrize("kind", [str, bool, int, "category"])
def test_standardised_rates_for_factors_of_every_kind(kind):
    frame = input_rows().assign(treated=lambda f: (f["arm"] == "active").astype(int).astype(kind))
    formula = {int: "C(treated)"}.get(kind, "treated") + " + prior_relapses"
    made = fit_counts(frame, dataclasses.replace(SPEC, fixed=formula)).means("treated")
    expected = fitted().means("arm")
    assert made["n_subjects"].tolist() == [80, 80]
    for column in ("estimate", "std_error", "conf_low"):
        assert made[column].to_numpy() == pytest.approx(expected[column].to_numpy(), rel=SAME_FIT)


# --- bad input --------------------------------------------------------------------------------


def test_rows_without_time_are_counted_and_left_out():
    frame = input_rows()
    frame.loc[:1, "years_observed"] = 0.0
    frame.loc[2, "relapses"] = np.nan
    fit = fit_counts(frame, SPEC)
    assert fit.n_obs == len(frame) - 3
    reasons = fit.excluded().set_index("reason")["n"]
    assert reasons["years_observed is 0: no time observed"] == 2
    assert reasons["no relapses"] == 1


def test_group_without_events_is_told():
    frame = input_rows().assign(relapses=lambda f: np.where(f["arm"] == "active", 0, f["relapses"]))
    with pytest.raises(ConvergenceError, match=r"arm\[T.active\] separates"):
        fit_counts(frame, SPEC)
    with pytest.warns(ConvergenceWarning, match="a group has none"):
        fit_counts(frame, SPEC, on_failure="warn")


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"relapses": -1}, "whole numbers"),
        ({"relapses": 0.5}, "is 0.5 in 160 row"),
        ({"relapses": 0}, "No relapses in 160 rows"),
        ({"relapses": "many"}, "holds text"),
        ({"years_observed": -1.0}, "must not be negative"),
        ({"years_observed": "two"}, "column of numbers"),
        ({"years_observed": 0.0}, "no rows|No row"),
        ({"subject_id": "S1"}, "the data have one"),
    ],
)
def test_bad_data_are_refused(change, match):
    with pytest.raises(DesignError, match=match):
        fit_counts(input_rows().assign(**change), SPEC)


def test_bad_requests_are_refused():
    with pytest.raises(FormulaError, match="no random terms"):
        fit_counts(input_rows(), "relapses ~ arm + (1 | subject_id)")
    with pytest.raises(FormulaError, match="years_obs"):
        fit_counts(input_rows(), "relapses ~ arm", exposure="years_obs")
    with pytest.raises(DesignError, match="inside of the CountsSpec"):
        fit_counts(input_rows(), SPEC, exposure="years_observed")
    with pytest.raises(DesignError, match="cannot determine"):
        fit_counts(input_rows().head(3), SPEC)


def test_repeated_columns_are_dropped_and_named():
    frame = input_rows().assign(double=lambda f: 2 * f["prior_relapses"])
    fit = fit_counts(frame, dataclasses.replace(SPEC, fixed="arm + prior_relapses + double"))
    assert any("double" in note for note in fit.notes)
    assert len(fit.table()) == 3
