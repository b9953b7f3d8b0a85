"""Least-squares means: emmeans as stored witness, arithmetic by hand, bad requests."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.marginal_means import estimate_means
from pmsstats.models.fixed_effects.means_result import MeansResult
from pmsstats.models.fixed_effects.multiplicity import (
    ADJUSTMENTS,
    adjust_p_values,
    simultaneous_level,
    tukey_half_widths,
    tukey_p_values,
)
from pmsstats.models.fixed_effects.reference_grid import is_level
from pmsstats.models.mixed.lmm import LMMResult, fit_lmm
from pmsstats.models.repeated.mmrm import MMRMResult, MMRMSpec, fit_mmrm

ROUNDING = 1e-9  # relative: the same numbers by other arithmetic
UNDERFLOW = 1e-12  # absolute: where 1 - (1 - p)^m of other programs loses its digits
STUDENTIZED = 5e-11  # absolute: what R's ptukey promises (eps = 1e-10 of its quadrature)
QUADRATURE = 1e-6  # relative: the studentized range by sums over a grid
FORMULA = "FEV1 ~ RACE + SEX + FEV1_BL + ARMCD * AVISIT + us(AVISIT | USUBJID)"
CELLS = ("ARMCD", "AVISIT")


@cache
def fitted(formula: str = FORMULA) -> MMRMResult:
    spec = MMRMSpec.from_formula(formula, df_method="normal")
    return fit_mmrm(load_case("mmrm_fev").input, spec)


def compare(found: pd.Series, quantity: str, atol: float = 0.0) -> None:
    expected = load_case("mmrm_fev").rows(quantity).set_index("term")
    np.testing.assert_allclose(
        found.loc[expected.index], expected["value"], rtol=expected["rtol"].max(), atol=atol
    )


# --- another implementation -------------------------------------------------------------------

MEANS = {
    "us": (CELLS, {}),
    "us_proportional": (CELLS, {"weights": "proportional"}),
    "us_at": (CELLS, {"at": {"FEV1_BL": 30}}),
    "us_arm": ("ARMCD", {}),
    "us_race_proportional": ("RACE", {"weights": "proportional"}),
}


@pytest.mark.parametrize("name", MEANS)
def test_means_are_those_of_emmeans(name):
    by, options = MEANS[name]
    table = estimate_means(fitted(), by, **options).table().set_index("term")
    compare(table["estimate"], f"{name}.mean")
    compare(table["std_error"], f"{name}.mean_std_error")


COLUMNS = {
    "difference": "estimate",
    "difference_std_error": "std_error",
    "difference_p_value": "p_value",
    "difference_conf_low": "conf_low",
    "difference_conf_high": "conf_high",
}


@pytest.mark.parametrize("quantity", COLUMNS)
def test_differences_from_the_reference_are_those_of_emmeans(quantity):
    table = estimate_means(fitted(), CELLS).differences("ARMCD", "AVISIT")
    found = table.set_index(table["term"] + ", " + table["AVISIT"].astype(str))
    compare(found[COLUMNS[quantity]], f"us.{quantity}")


@pytest.mark.parametrize("quantity", COLUMNS)
def test_differences_between_consecutive_visits_are_those_of_emmeans(quantity):
    table = estimate_means(fitted(), CELLS).differences("AVISIT", method="consecutive")
    found = table.set_index(table["term"] + ", " + table["ARMCD"].astype(str))
    compare(found[COLUMNS[quantity]], f"us_consecutive.{quantity}")


@pytest.mark.parametrize("quantity", COLUMNS)
@pytest.mark.parametrize("adjust", ADJUSTMENTS)
def test_adjusted_pairwise_differences_are_those_of_emmeans(adjust, quantity):
    table = estimate_means(fitted(), "RACE").differences(method="pairwise", adjust=adjust)
    column = COLUMNS[quantity]
    adjusted = {name: f"{name}_adjusted" for name in ("p_value", "conf_low", "conf_high")}
    found = table.set_index("term")[adjusted.get(column, column)]
    compare(found, f"us_race_{adjust}.{quantity}", atol=UNDERFLOW)


@pytest.mark.parametrize("quantity", COLUMNS)
@pytest.mark.parametrize("model", ["us", "lmm"])
def test_tukeys_comparisons_are_those_of_emmeans(model, quantity):
    fit = {"us": fitted, "lmm": fitted_lmm}[model]()
    table = estimate_means(fit, "RACE").differences(method="pairwise", adjust="tukey")
    adjusted = {name: f"{name}_adjusted" for name in ("p_value", "conf_low", "conf_high")}
    column = COLUMNS[quantity]
    found = table.set_index("term")[adjusted.get(column, column)]
    compare(found, f"{model}_race_tukey.{quantity}", atol=STUDENTIZED)


@cache
def fitted_lmm() -> LMMResult:
    data = load_case("mmrm_fev").input
    return fit_lmm(data, "FEV1 ~ ARMCD * VISITN + RACE + SEX + (1 | USUBJID)")


@cache
def lmm() -> MeansResult:
    return estimate_means(fitted_lmm(), "ARMCD", at={"VISITN": 2.5})


def test_means_of_a_mixed_model_at_a_time_are_those_of_emmeans():
    table = lmm().table().set_index("term")
    compare(table["estimate"], "lmm_at.mean")
    compare(table["std_error"], "lmm_at.mean_std_error")
    compare(table["df"], "lmm_at.mean_df")  # Satterthwaite's, by lmerTest
    differences = lmm().differences().set_index("term")
    for quantity, column in COLUMNS.items():
        compare(differences[column], f"lmm_at.{quantity}")
    assert lmm().notes == ("levels of RACE, SEX weighted equally", "at VISITN = 2.5")


# --- arithmetic by hand -----------------------------------------------------------------------


def means_by_hand(weights: dict[str, float]) -> float:
    """Average the coefficients for PBO at VIS1, by sex."""
    beta = fitted().table().set_index("term")["estimate"]
    data = fitted().data
    races = {"Black or African American": 1 / 3, "White": 1 / 3}
    return (
        beta["Intercept"]
        + sum(share * beta[f"RACE[T.{race}]"] for race, share in races.items())
        + weights["Male"] * beta["SEX[T.Male]"]
        + data["FEV1_BL"].mean() * beta["FEV1_BL"]
    )


def test_mean_is_at_average_covariates_and_halfway_between_the_sexes():
    found = estimate_means(fitted(), CELLS).table()["estimate"][0]
    assert found == pytest.approx(means_by_hand({"Male": 0.5}), rel=ROUNDING)
    held = estimate_means(fitted(), CELLS, at={"SEX": "Male"}).table()["estimate"][0]
    assert held == pytest.approx(means_by_hand({"Male": 1.0}), rel=ROUNDING)


def test_several_values_of_a_covariate_are_told_apart():
    beta = fitted().table().set_index("term")["estimate"]
    means = estimate_means(fitted(), ("ARMCD", "FEV1_BL"), at={"FEV1_BL": [30, 40]})
    assert means.table()["term"].tolist() == ["PBO, 30", "PBO, 40", "TRT, 30", "TRT, 40"]
    steps = means.differences("FEV1_BL")
    np.testing.assert_allclose(steps["estimate"], 10 * beta["FEV1_BL"], rtol=ROUNDING)
    assert steps["term"].unique().tolist() == ["40 - 30"]
    assert_result_contract(means)


def test_subjects_of_each_mean_are_counted():
    table = estimate_means(fitted(), CELLS).table().set_index(list(CELLS))["n_subjects"]
    counted = fitted().data.groupby(list(CELLS))["USUBJID"].nunique()
    assert table.to_dict() == counted.to_dict()


def test_reference_and_pairs_are_differences_of_the_means():
    means = estimate_means(fitted(), "RACE")
    estimate = means.table().set_index("term")["estimate"]
    for method, reference in (("reference", "White"), ("pairwise", None), ("consecutive", None)):
        for row in means.differences(method=method, reference=reference).itertuples():
            after, before = row.term.split(" - ")
            assert row.estimate == pytest.approx(estimate[after] - estimate[before], rel=1e-7)
    assert means.differences(reference="White")["term"].tolist() == [
        "Asian - White",
        "Black or African American - White",
    ]


def test_tests_use_the_degrees_of_freedom_of_each_difference():
    fit = fit_mmrm(load_case("mmrm_fev").input, FORMULA)
    table = fit.differences()
    p = 2 * stats.t.sf(table["statistic"].abs(), table["df"])
    np.testing.assert_allclose(table["p_value"], p)
    adjusted = fit.means("RACE").differences(method="pairwise", adjust="bonferroni")
    half = stats.t.ppf(1 - 0.025 / 3, adjusted["df"]) * adjusted["std_error"]
    np.testing.assert_allclose(adjusted["conf_high_adjusted"], adjusted["estimate"] + half)
    np.testing.assert_allclose(
        adjusted["p_value_adjusted"], (3 * adjusted["p_value"]).clip(upper=1)
    )


def test_means_that_the_data_cannot_tell_are_missing_and_named():
    data = load_case("mmrm_fev").input
    data = data[~((data["ARMCD"] == "TRT") & (data["AVISIT"] == "VIS4"))]
    fit = fit_mmrm(data, "FEV1 ~ ARMCD * AVISIT + cs(AVISIT | USUBJID)")
    means = fit.means()
    row = means.table().set_index("term").loc["TRT, VIS4"]
    assert row[["estimate", "std_error", "df", "p_value", "conf_low"]].isna().all()
    assert row["n_subjects"] == 0
    assert means.notes[-1] == "cannot be estimated: TRT, VIS4"
    assert "cannot be estimated" in means.headline()
    assert fit.differences()["estimate"].isna().tolist() == [False, False, False, True]
    assert "cannot be compared between TRT and PBO" in fit.headline()
    assert_result_contract(means)
    assert_result_contract(fit)
    adjusted = means.differences("AVISIT", method="pairwise", adjust="holm")
    assert adjusted["p_value_adjusted"].isna().sum() == 3


# --- the result -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "options"),
    [
        ("RACE", {}),
        (CELLS, {"weights": "proportional"}),
        (("AVISIT", "RACE", "SEX"), {}),
        ("SEX", {"at": {"FEV1_BL": 40.0, "ARMCD": "TRT"}}),
    ],
)
def test_result_keeps_the_contract(by, options):
    means = estimate_means(fitted(), by, **options)
    assert_result_contract(means)
    assert means.to_dict()["schema"] == "means_result/1"
    assert len(means.by) == np.atleast_1d(by).size


def test_headline_lists_few_means_and_counts_many():
    row = estimate_means(fitted(), "SEX").table().iloc[0]
    words = estimate_means(fitted(), "SEX").headline()
    assert words.startswith(f"Mean FEV1 by SEX: {row['estimate']:.1f} (95 % CI ")
    mean = fitted().data["FEV1_BL"].mean()
    assert words.endswith(
        "in 197 subjects; levels of RACE, ARMCD, AVISIT weighted equally; FEV1_BL held at its mean "
        f"{mean:.2f}."
    )
    assert "8 means from 33.24 to 52.84" in estimate_means(fitted(), CELLS).headline()


def test_values_at_which_numbers_are_held_are_said_unless_they_were_chosen():
    mean = float(fitted().data["FEV1_BL"].mean())
    plain = estimate_means(fitted(), CELLS)
    assert plain.held == {"FEV1_BL": pytest.approx(mean)}
    assert f"FEV1_BL held at its mean {mean:.2f}" in plain.headline()
    assert plain.to_dict()["held"] == plain.held
    chosen = estimate_means(fitted(), CELLS, at={"FEV1_BL": 30})
    assert chosen.held == {}
    assert "at FEV1_BL = 30" in chosen.notes
    assert estimate_means(fitted(), "FEV1_BL", at={"FEV1_BL": [30, 40]}).held == {}


def test_groups_keep_their_order():
    data = load_case("mmrm_fev").input
    arms = pd.Categorical(data["ARMCD"], categories=["TRT", "PBO"], ordered=True)
    fit = fit_mmrm(data.assign(ARMCD=arms), FORMULA)
    assert fit.means().table()["ARMCD"].cat.categories.tolist() == ["TRT", "PBO"]
    assert fit.differences()["term"].unique().tolist() == ["PBO - TRT"]


# --- bad requests -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "options", "message"),
    [
        ((), {}, "must name columns"),
        (("SEX", "SEX"), {}, "each once"),
        ("ARM", {}, "Did you mean 'ARMCD'"),
        ("FEV1_BL", {}, "is a number with"),
        ("SEX", {"at": {"AGE": 3}}, "`at` must name columns"),
        ("SEX", {"at": {"FEV1_BL": [30, 40]}}, "at one value"),
        ("SEX", {"at": {"FEV1_BL": float("nan")}}, "at a number"),
        ("SEX", {"at": {"FEV1_BL": "high"}}, "at a number"),
        ("SEX", {"at": {"ARMCD": "ACT"}}, "one of its levels"),
        ("SEX", {"weights": "cells"}, "`weights` must be one of"),
    ],
)
def test_means_that_make_no_sense_are_refused(by, options, message):
    with pytest.raises(DesignError, match=message):
        estimate_means(fitted(), by, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"of": "SEX"}, "`of` must be one of"),
        ({"within": "SEX"}, "`within` must name every other"),
        ({"reference": "ACT"}, "`reference` must be one of PBO, TRT"),
        ({"reference": "PBO", "method": "pairwise"}, "has no meaning"),
        ({"method": "dunnett"}, "`method` must be one of"),
        ({"adjust": "dunnett"}, "`adjust` must be None or one of"),
        ({"adjust": "tukey"}, "all pairs of groups: method='pairwise', got 'reference'"),
        ({"adjust": "tuky", "method": "pairwise"}, "Did you mean 'tukey'"),
    ],
)
def test_differences_that_make_no_sense_are_refused(options, message):
    with pytest.raises(DesignError, match=message):
        estimate_means(fitted(), CELLS).differences(**options)


def test_one_group_has_no_difference():
    means = estimate_means(fitted(), "SEX", at={"SEX": ["Male"]})
    with pytest.raises(DesignError, match="one group only"):
        means.differences()


def test_axis_of_the_figure_must_be_a_column():
    with pytest.raises(DesignError, match="`x` must be one of"):
        estimate_means(fitted(), "SEX").plot(x="RACE")


# --- several comparisons ----------------------------------------------------------------------


def test_holm_rejects_what_the_step_down_rule_rejects():
    p = np.array([0.012, 0.001, 0.02, 0.3, np.nan])
    # by hand: 4 x 0.001, 3 x 0.012, 2 x 0.02 (not below the one before), 1 x 0.3
    np.testing.assert_allclose(adjust_p_values(p, "holm"), [0.036, 0.004, 0.04, 0.3, np.nan])


@pytest.mark.parametrize("method", ADJUSTMENTS)
def test_adjusting_keeps_order_and_bounds(method):
    p = np.array([1e-300, 1e-9, 0.2, 0.9, 1.0])
    adjusted = adjust_p_values(p, method)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    assert (np.diff(adjusted) >= 0).all()
    assert adjust_p_values(p[:1], method)[0] == pytest.approx(p[0])
    assert (adjusted <= adjust_p_values(p, "bonferroni") + ROUNDING).all()


def test_levels_of_simultaneous_intervals():
    assert simultaneous_level(0.95, 1, "sidak") == pytest.approx(0.95)
    assert simultaneous_level(0.95, 4, "sidak") ** 4 == pytest.approx(0.95)
    assert simultaneous_level(0.9, 4, "holm") == pytest.approx(1 - 0.1 / 4)


def range_of_normals(q: float, n_groups: int, df: float) -> float:
    """Integrate P(range of k normals < q s) over s, where df s^2 is chi-squared."""
    x, dx = np.linspace(-9, 9, 4001, retstep=True)
    s, ds = np.linspace(1e-6, 4, 2001, retstep=True)
    density = 2 * df * s * stats.chi2.pdf(df * s**2, df)
    inside = stats.norm.cdf(x[None, :]) - stats.norm.cdf(x[None, :] - q * s[:, None])
    below = n_groups * (stats.norm.pdf(x)[None, :] * inside ** (n_groups - 1)).sum(axis=1) * dx
    return float((density * below).sum() * ds)


@pytest.mark.parametrize(("t", "n_groups", "df"), [(1.0, 3, 20.0), (2.5, 4, 7.5), (3.1, 5, 55.3)])
def test_tukeys_p_value_is_the_tail_of_the_studentized_range(t, n_groups, df):
    found = tukey_p_values(np.array([-t]), np.array([df]), n_groups)[0]
    assert found == pytest.approx(
        1 - range_of_normals(np.sqrt(2) * t, n_groups, df), rel=QUADRATURE
    )


def test_tukeys_p_value_keeps_its_digits_far_out():
    t = np.array([5.0, 6.0, 7.0, 9.0, 20.0])
    found, single = tukey_p_values(t, None, 4), 2 * stats.norm.sf(t)
    assert (np.diff(found) < 0).all()
    assert (found > single).all()
    assert (found <= 6 * single * (1 + ROUNDING)).all()
    assert found[-1] == pytest.approx(6 * single[-1])


def test_tukey_with_two_groups_is_the_plain_test():
    t, df = np.array([0.5, -2.0, np.nan]), np.array([6.0, 11.5, np.nan])
    found = tukey_p_values(t, df, 2)
    np.testing.assert_allclose(found, 2 * stats.t.sf(np.abs(t), df), rtol=QUADRATURE)
    half = tukey_half_widths(np.array([2.0, np.nan]), None, 2, 0.95)
    np.testing.assert_allclose(half, [2 * stats.norm.ppf(0.975), np.nan], rtol=QUADRATURE)


def test_tukey_tests_and_intervals_agree():
    means = estimate_means(fitted(), "AVISIT")
    table = means.differences(method="pairwise", adjust="tukey")
    assert len(table) == 6
    excludes = (table["conf_low_adjusted"] > 0) | (table["conf_high_adjusted"] < 0)
    assert (excludes == (table["p_value_adjusted"] < 0.05)).all()
    assert (table["p_value_adjusted"] >= table["p_value"]).all()


# --- groups -----------------------------------------------------------------------------------


def test_levels_are_found_among_text_and_numbers():
    values = pd.Series([0.25, "n/a", 0.5, None, "W12"], dtype=object)
    assert is_level(values, 0.25).tolist() == [True, False, False, False, False]
    assert is_level(values, "n/a").tolist() == [False, True, False, False, False]
    assert is_level(pd.Series([1, 2], dtype="category"), 2.0).tolist() == [False, True]
