"""Ratios of slopes: by dense matrices, in other units, and in words."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from dense_mixed import Dense, postfit, postfit_data
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.models import fit_lmm
from pmsstats.models.fixed_effects.degrees_of_freedom import FixedDf
from pmsstats.models.fixed_effects.fieller import fieller_set
from pmsstats.models.fixed_effects.slope_ratio import estimate_ratio, estimate_slowing

ROUNDING = 1e-9  # relative: the same numbers in another order


def test_slowing_is_the_ratio_of_slopes_by_dense_matrices():
    fit = postfit()
    dense = Dense.of(fit)
    beta, C = dense.gls()
    L = np.array([[0.0, 1, 0, 0, 1], [0, 1, 0, 0, 0]])  # active, placebo
    ratio = fieller_set(L @ beta, L @ C @ L.T)
    row = estimate_slowing(fit, by="arm").table().iloc[0]
    assert row["estimate"] == pytest.approx(100 * (1 - ratio.estimate), rel=1e-6)
    free = fit.inference.df(np.array([L[0] - ratio.estimate * L[1]]))
    df = None if free is None else float(free[0])
    again = fieller_set(L @ beta, L @ C @ L.T, df=df)
    assert row["conf_low"] == pytest.approx(100 * (1 - again.conf_high), rel=1e-6)
    assert row["conf_high"] == pytest.approx(100 * (1 - again.conf_low), rel=1e-6)
    assert row["p_value"] == pytest.approx(
        fit.slopes("arm").differences()["p_value"].iloc[0], rel=ROUNDING
    )


def with_df(fit, df):
    inference = FixedDf(covariance=fit.covariance, per_coefficient=np.full(5, df))
    return dataclasses.replace(fit, inference=inference)


def test_the_fits_degrees_of_freedom_widen_the_interval():
    few, many = (estimate_slowing(with_df(postfit(), df), by="arm") for df in (5.0, 500.0))
    assert few.table()["df"].tolist() == [5.0]
    assert few.table()["conf_low"].iloc[0] < many.table()["conf_low"].iloc[0]


def test_terms_or_weights_name_the_same_ratio():
    fit = postfit()
    named = estimate_ratio(fit, {"year": 1.0, "year:arm[T.active]": 1.0}, {"year": 1.0})
    by_weights = estimate_ratio(fit, np.array([0, 1.0, 0, 0, 1]), np.array([0, 1.0, 0, 0, 0]))
    assert named == by_weights


def test_days_and_years_have_one_slowing():
    data = postfit_data().assign(day=lambda f: f["year"] * 365.25)
    fit = fit_lmm(data, "thalamus_ml ~ day * arm + age_years + (day | subject_id)")
    found = estimate_slowing(fit, by="arm", time="day").table()
    years = estimate_slowing(postfit(), by="arm").table()
    columns = ["estimate", "std_error", "conf_low", "conf_high"]
    assert found[columns].to_numpy() == pytest.approx(years[columns].to_numpy(), rel=1e-5)


def test_contract_and_words():
    result = estimate_slowing(postfit(), by="arm")
    assert_result_contract(result)
    assert "% slower in active (95 % CI by Fieller" in result.headline()
    assert result.plot().get_xlabel() == "Thalamic volume: slowing against placebo (%)"


def test_an_unbounded_set_is_told_as_such():
    flat = postfit_data().assign(
        thalamus_ml=lambda f: f["thalamus_ml"] + 0.3426 * f["year"] * (f["arm"] == "placebo")
    )
    result = estimate_slowing(
        fit_lmm(flat, "thalamus_ml ~ year * arm + (year | subject_id)"), by="arm"
    )
    assert "the change of placebo is not clearly different from zero" in result.headline()
    assert "unbounded: all values but those between" in result.headline()
    assert_result_contract(result)


def test_bad_requests_say_what_to_do():
    with pytest.raises(DesignError, match=r"interaction year \* arm"):
        estimate_slowing(postfit(fixed="thalamus_ml ~ year + arm"), by="arm")
    with pytest.raises(DesignError, match="Did you mean 'year'"):
        estimate_ratio(postfit(), {"yeer": 1.0}, {"year": 1.0})
    with pytest.raises(DesignError, match="5 weights"):
        estimate_ratio(postfit(), np.ones(3), {"year": 1.0})
