"""Slopes and means per group: emmeans as stored witness, arithmetic by hand, bad input."""

from __future__ import annotations

import dataclasses
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from lmm_cases import MODELS, SLOPES, Model, compare
from properties import assert_result_contract
from reference_cases import load_case
from scipy import stats

from pmsstats.cohort.schema import DataDictionary, Measure
from pmsstats.errors import DesignError
from pmsstats.models import LMMResult, estimate_slopes, fit_lmm
from pmsstats.models.fixed_effects.degrees_of_freedom import Satterthwaite
from pmsstats.models.fixed_effects.margins import DAYS_PER_YEAR

ROUNDING = 1e-8  # relative: the same numbers by other arithmetic
WITH_SLOPES = [model for model in MODELS if model.time]


def trial() -> pd.DataFrame:
    data = load_case("lmm_trial").input
    arms = ["placebo", "low", "high"]
    return data.assign(arm=pd.Categorical(data["arm"], categories=arms, ordered=True))


@cache
def fitted(rhs: str = "year * arm + sex + age_years", outcome: str = "thalamus_ml") -> LMMResult:
    return fit_lmm(trial(), f"{outcome} ~ {rhs} + (year | subject_id)")


@cache
def reference_fit(model: Model) -> LMMResult:
    return model.fit(model.load(), "statsmodels")


# --- another implementation -------------------------------------------------------------------


def quantities(model: Model) -> list[str]:
    return [q for q in SLOPES if model.by is not None or not q.startswith("difference")]


@pytest.mark.parametrize(
    ("model", "quantity"),
    [pytest.param(m, q, id=f"{m.id}-{q}") for m in WITH_SLOPES for q in quantities(m)],
)
def test_slopes_equal_those_of_emmeans(model, quantity):
    compared = compare(reference_fit(model), model, model.load(), quantity)
    assert (compared["error"] <= compared["allowed"]).all(), compared.to_string()


# --- arithmetic by hand -----------------------------------------------------------------------


def test_slope_of_a_group_is_its_coefficients_added_up():
    beta = fitted().table().set_index("term")["estimate"]
    slopes = fitted().slopes("arm").table().set_index("term")["estimate"]
    assert slopes["placebo"] == pytest.approx(beta["year"], rel=ROUNDING)
    assert slopes["high"] == pytest.approx(beta["year"] + beta["year:arm[T.high]"], rel=ROUNDING)


def test_overall_slope_gives_groups_equal_weight():
    groups = fitted().slopes("arm").table()["estimate"]
    overall = fitted().slopes().table()
    assert overall["term"].tolist() == ["all"]
    assert overall["estimate"].item() == pytest.approx(groups.mean(), rel=ROUNDING)


def test_baseline_mean_is_at_mean_age_and_halfway_between_the_sexes():
    beta = fitted().table().set_index("term")["estimate"]
    age = fitted().data["age_years"].mean()
    expected = beta["Intercept"] + 0.5 * beta["sex[T.M]"] + age * beta["age_years"]
    found = fitted().slopes("arm").table().set_index("term")
    assert found.loc["placebo", "baseline"] == pytest.approx(expected, rel=ROUNDING)


def test_interval_of_the_percentage_covers_as_a_parametric_bootstrap_does():
    # Witness: the ratio itself, drawn from the estimated distribution of the fixed effects.
    fit = fitted()
    rng = np.random.default_rng(4)
    beta = fit.table()["estimate"].to_numpy()
    draws = rng.multivariate_normal(beta, fit.covariance, size=200_000)
    names = fit.table()["term"].tolist()
    age = fit.data["age_years"].mean()
    baseline = draws @ [
        {"Intercept": 1, "sex[T.M]": 0.5, "age_years": age}.get(n, 0) for n in names
    ]
    ratio = 100 * draws[:, names.index("year")] / baseline
    row = fit.slopes("arm").table().set_index("term").loc["placebo"]
    mcse = ratio.std() / np.sqrt(2 * len(ratio))
    assert abs(row["percent_std_error"] - ratio.std()) < 4 * mcse + 0.01 * ratio.std()
    low, high = np.quantile(ratio, [0.025, 0.975])
    assert row["percent_conf_low"] == pytest.approx(low, abs=0.05 * ratio.std())
    assert row["percent_conf_high"] == pytest.approx(high, abs=0.05 * ratio.std())


def test_differences_are_against_the_first_group():
    slopes = fitted().slopes("arm")
    table = slopes.table().set_index("term")
    differences = slopes.differences()
    assert differences["term"].tolist() == ["low - placebo", "high - placebo"]
    for column in ("estimate", "percent_estimate"):
        expected = table[column].iloc[1:] - table[column].iloc[0]
        np.testing.assert_allclose(differences[column], expected, rtol=ROUNDING)


def test_subjects_are_counted_per_group():
    table = fitted().slopes("arm").table().set_index("term")
    expected = fitted().data.groupby("arm", observed=True)["subject_id"].nunique()
    assert table["n_subjects"].to_dict() == expected.to_dict()
    assert table["n_subjects"].sum() == fitted().n_subjects


def test_days_are_annualised():
    data = trial().assign(day=lambda f: f["year"] * DAYS_PER_YEAR)
    days = fit_lmm(data, "thalamus_ml ~ day * arm + sex + age_years + (day | subject_id)")
    ours, theirs = fitted().slopes("arm").table(), days.slopes("arm", time="day").table()
    numeric = [c for c in ours.columns if c != "term"]
    np.testing.assert_allclose(theirs[numeric], ours[numeric], rtol=1e-5)
    mine, other = fitted().individual_slopes(), days.individual_slopes("day")
    np.testing.assert_allclose(other["slope"], mine["slope"], rtol=1e-5)
    assert days.slopes(time="day").headline().count("per year") == 1


def test_individual_slope_is_the_group_slope_plus_the_subject_s_deviation():
    fit = fitted()
    slopes = fit.individual_slopes().set_index("subject_id")
    blups = fit.blups().set_index("subject_id")
    arms = fit.data.groupby("subject_id")["arm"].first()
    groups = fit.slopes("arm").table().set_index("term")["estimate"]
    expected = arms.astype(str).map(groups) + blups["year"]
    np.testing.assert_allclose(slopes["slope"], expected[slopes.index], rtol=ROUNDING)
    first = fit.data.drop_duplicates("subject_id").assign(year=0.0)
    start = fit.predict(first).set_index("subject_id")["estimate"] + blups["intercept"]
    np.testing.assert_allclose(slopes["intercept"], start[slopes.index], rtol=ROUNDING)


def test_individual_slopes_without_a_random_slope_are_the_mean_one():
    fit = fit_lmm(trial(), "thalamus_ml ~ year + (1 | subject_id)")
    slopes = fit.individual_slopes()["slope"]
    np.testing.assert_allclose(slopes, fit.slopes().table()["estimate"].item(), rtol=ROUNDING)


def test_model_through_the_origin_has_slopes_but_no_percentage():
    data = trial().dropna()
    data["pbvc_pct"] = 100 * (
        data["thalamus_ml"] / data.groupby("subject_id")["thalamus_ml"].transform("first") - 1
    )
    data = data[data["year"] > 0]
    fit = fit_lmm(data, "pbvc_pct ~ 0 + year + year:arm + (0 + year | subject_id)")
    table = fit.slopes("arm").table()
    beta = fit.table().set_index("term")["estimate"]
    assert table["estimate"].iloc[2] == pytest.approx(beta["year"] + beta["year:arm[T.high]"])
    assert table["percent_estimate"].isna().all()
    assert "% of baseline" not in fit.slopes("arm").headline()
    start = fit.individual_slopes()["intercept"]
    assert (start != 0).all()  # the first time observed, because nobody was measured at time 0


def test_means_are_predictions_in_the_reference_population():
    means = fitted().means("arm", at=[0.0, 2.0])
    table = fitted().slopes("arm").table().set_index("term")
    assert means.columns.tolist() == [
        "group", "year", "estimate", "std_error", "df", "conf_low", "conf_high",
    ]  # fmt: skip
    wide = means.pivot_table(index="group", columns="year", values="estimate", sort=False)
    np.testing.assert_allclose(wide[0.0], table.loc[wide.index, "baseline"], rtol=ROUNDING)
    slopes = (wide[2.0] - wide[0.0]) / 2
    np.testing.assert_allclose(slopes, table.loc[wide.index, "estimate"], rtol=ROUNDING)


def test_means_of_a_group_stay_within_its_own_times():
    data = trial()
    data = data[(data["arm"] != "high") | (data["year"] < 1.5)]
    fit = fit_lmm(data, "thalamus_ml ~ year * arm + (1 | subject_id)")
    means = fit.means("arm").groupby("group")["year"]
    observed = fit.data.groupby(fit.data["arm"].astype(str))["year"]
    pd.testing.assert_series_equal(means.max(), observed.max(), check_names=False)
    pd.testing.assert_series_equal(means.min(), observed.min(), check_names=False)


def test_numeric_groups_and_factors_of_numbers_are_told_apart():
    data = trial().assign(
        dose=lambda f: f["arm"].map({"placebo": 0, "low": 1, "high": 2}).astype(int)
    )
    linear = fit_lmm(data, "thalamus_ml ~ year * dose + (1 | subject_id)").slopes("dose")
    factor = fit_lmm(data, "thalamus_ml ~ year * C(dose) + (1 | subject_id)").slopes("dose")
    arms = fit_lmm(data, "thalamus_ml ~ year * arm + (1 | subject_id)").slopes("arm")
    steps = np.diff(linear.table()["estimate"])
    assert steps[0] == pytest.approx(steps[1], rel=1e-6)
    assert linear.table()["n_subjects"].tolist() == arms.table()["n_subjects"].tolist()
    np.testing.assert_allclose(factor.table()["estimate"], arms.table()["estimate"], rtol=1e-6)


# --- degrees of freedom of the percentage -----------------------------------------------------


@cache
def fit_near_zero() -> LMMResult:
    """Fit with baseline means so near to zero that their error weighs in the percentage."""
    data = trial().assign(thalamus_ml=lambda f: f["thalamus_ml"] - 12)
    return fit_lmm(data, "thalamus_ml ~ year * arm + sex + age_years + (year | subject_id)")


def with_degrees_of_freedom(fit: LMMResult) -> LMMResult:
    """Add what an engine with degrees of freedom gives: few for means, many for slopes."""
    names = fit.table()["term"].tolist()
    is_slope = np.array([name.startswith("year") for name in names])
    between = np.where(np.outer(is_slope, is_slope), 0.0, fit.covariance)
    parts = np.stack([between, fit.covariance])
    spread = np.array([[0.9, 0.01], [0.01, 0.03]])
    made = Satterthwaite(covariance=fit.covariance, jacobian=parts, parameter_covariance=spread)
    return dataclasses.replace(fit, inference=made)


def share_of_baseline(fit: LMMResult, group: str, beta: np.ndarray) -> float:
    """Return 100 * slope / baseline mean of an arm, from named coefficients."""
    b = dict(zip(fit.table()["term"], beta, strict=True))
    slope = b["year"] + b.get(f"year:arm[T.{group}]", 0)
    age = fit.data["age_years"].mean()
    start = b["Intercept"] + b.get(f"arm[T.{group}]", 0) + b["sex[T.M]"] / 2
    return 100 * slope / (start + age * b["age_years"])


def interval_by_differences(fit: LMMResult, quantity) -> tuple[np.ndarray, float]:
    """Return the interval of a function of the fixed effects, and its degrees of freedom.

    Satterthwaite's ``2 v^2 / var(v)``: all derivatives are differences, term by term.
    """
    beta = fit.table()["estimate"].to_numpy()
    step = 1e-5
    ends = [(beta + step * e, beta - step * e) for e in np.eye(len(beta))]
    gradient = np.array([(quantity(up) - quantity(down)) / (2 * step) for up, down in ends])

    def variance(theta: np.ndarray) -> float:
        moved = fit.covariance + sum(
            t * part for t, part in zip(theta, fit.inference.jacobian, strict=True)
        )
        return float(gradient @ moved @ gradient)

    moves = step * np.eye(len(fit.inference.jacobian))
    change = np.array([(variance(m) - variance(-m)) / (2 * step) for m in moves])
    v = variance(np.zeros(len(moves)))
    df = 2 * v**2 / float(change @ fit.inference.parameter_covariance @ change)
    half = stats.t.ppf(0.975, df) * np.sqrt(v)
    return np.array([quantity(beta) - half, quantity(beta) + half]), df


def test_interval_of_the_percentage_has_its_own_degrees_of_freedom():
    fit = with_degrees_of_freedom(fit_near_zero())
    table = fit.slopes("arm").table().set_index("term")
    for group, row in table.iterrows():
        expected, df = interval_by_differences(
            fit, lambda beta, group=group: share_of_baseline(fit, group, beta)
        )
        found = row[["percent_conf_low", "percent_conf_high"]].astype(float)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert abs(df / row["df"] - 1) > 0.01  # otherwise this test could not tell them apart


def test_interval_of_the_percentage_difference_has_its_own_degrees_of_freedom():
    fit = with_degrees_of_freedom(fit_near_zero())
    differences = fit.slopes("arm").differences().set_index("term")
    for group in ("low", "high"):
        expected, df = interval_by_differences(
            fit,
            lambda beta, group=group: (
                share_of_baseline(fit, group, beta) - share_of_baseline(fit, "placebo", beta)
            ),
        )
        row = differences.loc[f"{group} - placebo"]
        found = row[["percent_conf_low", "percent_conf_high"]].astype(float)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
        assert abs(df / row["df"] - 1) > 0.01


def test_degrees_of_freedom_in_the_table_are_the_slope_s():
    fit = with_degrees_of_freedom(fit_near_zero())
    coefficients = fit.estimate(fit.table()["term"].tolist(), np.eye(len(fit.table())))
    expected = coefficients.set_index("term").loc["year", "df"]
    found = fit.slopes("arm").table().set_index("term").loc["placebo", "df"]
    assert found == pytest.approx(expected, rel=ROUNDING)


@pytest.mark.filterwarnings("error")
def test_percentage_without_a_baseline_leaves_the_others_their_degrees_of_freedom():
    data = trial()
    data = data[(data["arm"] != "high") | (data["year"] == 0)]
    fit = fit_lmm(data, "thalamus_ml ~ year * arm + sex + age_years + (1 | subject_id)")
    table = with_degrees_of_freedom(fit).slopes("arm").table().set_index("term")
    columns = ["percent_estimate", "percent_std_error", "percent_conf_low", "percent_conf_high"]
    assert table.loc["high", columns].isna().all()
    assert table.loc[["placebo", "low"], columns].notna().all(axis=None)


# --- what the model does not tell apart, or does not make straight ----------------------------


def test_one_slope_for_all_groups_is_said_and_not_compared():
    slopes = fitted("year + arm + age_years").slopes("arm")
    table = slopes.table()
    assert len(set(table["estimate"])) == 1
    assert len(set(table["baseline"])) == 3
    assert len(slopes.differences()) == 0
    assert (
        "the same in all groups: the model has no interaction of year and arm" in slopes.headline()
    )


def test_curve_has_no_one_slope():
    fit = fit_lmm(trial(), "thalamus_ml ~ {year**2} + year * arm + (1 | subject_id)")
    with pytest.raises(DesignError, match=r"not a straight line in 'year'.*over=\(0, "):
        fit.slopes("arm")
    with pytest.raises(DesignError, match="not a straight line"):
        fit.individual_slopes()


def test_average_slope_of_a_parabola_is_its_chord():
    fit = fit_lmm(trial(), "thalamus_ml ~ {year**2} + year * arm + (1 | subject_id)")
    beta = fit.table().set_index("term")["estimate"]
    slopes = fit.slopes("arm", over=(1, 3))
    expected = beta["year"] + 4 * beta["year ** 2"]  # (9 - 1) / (3 - 1)
    assert slopes.table()["estimate"].iloc[0] == pytest.approx(expected, rel=ROUNDING)
    assert "average slope from year 1 to 3" in slopes.headline()
    individual = fit.individual_slopes(over=(1, 3)).set_index("subject_id")["slope"]
    placebo = fit.data.loc[fit.data["arm"] == "placebo", "subject_id"].unique()
    np.testing.assert_allclose(individual[placebo], expected, rtol=ROUNDING)


@pytest.mark.parametrize("basis", ["bs(year, df=4)", "poly(year, 2)", "cr(year, df=3)"])
def test_splines_and_polynomials_need_two_times(basis):
    fit = fit_lmm(trial(), f"thalamus_ml ~ {basis} * arm + (1 | subject_id)")
    with pytest.raises(DesignError, match="not a straight line"):
        fit.slopes("arm")
    means = fit.means("arm", at=[0.5, 2.5]).set_index(["group", "year"])["estimate"]
    chord = (means["low", 2.5] - means["low", 0.5]) / 2
    table = fit.slopes("arm", over=(0.5, 2.5)).table().set_index("term")
    assert table.loc["low", "estimate"] == pytest.approx(chord, rel=1e-6)


@pytest.mark.parametrize("rhs", ["center(year) * arm", "scale(year) * arm", "poly(year, 1) * arm"])
def test_straight_lines_in_other_coordinates_keep_their_slope(rhs):
    plain = fit_lmm(trial(), "thalamus_ml ~ year * arm + (1 | subject_id)").slopes("arm").table()
    other = fit_lmm(trial(), f"thalamus_ml ~ {rhs} + (1 | subject_id)").slopes("arm").table()
    np.testing.assert_allclose(other["estimate"], plain["estimate"], rtol=1e-6)
    np.testing.assert_allclose(other["baseline"], plain["baseline"], rtol=1e-6)


def test_baseline_can_be_taken_at_another_time():
    at_two = estimate_slopes(fitted(), by="arm", baseline_time=2.0)
    means = fitted().means("arm", at=[2.0])["estimate"]
    np.testing.assert_allclose(at_two.table()["baseline"], means, rtol=ROUNDING)
    assert at_two.baseline_time == 2.0


def test_percentage_is_left_out_where_it_makes_no_sense():
    level = Measure(name="thalamus_ml", label="Thalamus", unit="ml")
    change = Measure(name="thalamus_ml", label="Thalamus change", unit="ml", kind="change")
    formula = "thalamus_ml ~ year * arm + (1 | subject_id)"
    mean = fit_lmm(trial(), formula).slopes().table()["baseline"].item()
    from_zero = trial().assign(thalamus_ml=lambda f: f["thalamus_ml"] - mean)
    given = [
        fit_lmm(trial(), formula, dictionary=DataDictionary([level])),
        fit_lmm(trial(), formula, dictionary=DataDictionary([change])),
        fit_lmm(trial(), "log(thalamus_ml) ~ year * arm + (1 | subject_id)"),
        fit_lmm(from_zero, formula),
    ]
    tables = [fit.slopes().table() for fit in given]
    missing = [bool(table["percent_estimate"].isna().all()) for table in tables]
    assert missing == [False, True, True, True]
    assert all(table["estimate"].notna().all() for table in tables)


def test_slope_of_a_group_without_follow_up_is_missing_and_said():
    data = trial()
    data = data[(data["arm"] != "high") | (data["year"] == 0)]
    fit = fit_lmm(data, "thalamus_ml ~ year * arm + (1 | subject_id)")
    table = fit.slopes("arm").table().set_index("term")
    assert np.isnan(table.loc["high", "estimate"])
    assert table.loc[["placebo", "low"], "estimate"].notna().all()
    assert "cannot be estimated in high" in fit.slopes("arm").headline()


# --- words, plots, contract -------------------------------------------------------------------


def test_headline_names_every_group_with_its_slope():
    words = fitted().slopes("arm").headline()
    for row in fitted().slopes("arm").table().to_dict("records"):
        assert f"in {row['term']} (n = {row['n_subjects']})" in words
        assert f"fell by {-row['estimate']:.3f} ml per year" in words


def test_difference_of_two_groups_is_told():
    data = trial().query("arm != 'low'")
    slopes = fit_lmm(data, "thalamus_ml ~ year * arm + (year | subject_id)").slopes("arm")
    row = slopes.differences().iloc[0]
    assert f"difference high - placebo: {row['estimate']:.3f}" in slopes.headline()


@pytest.mark.parametrize("by", [None, "arm"])
def test_result_keeps_the_contract(by):
    slopes = fitted().slopes(by)
    assert_result_contract(slopes)
    assert slopes.to_dict()["schema"] == "slopes_result/1"
    assert slopes.exclusions == fitted().exclusions


def test_synthetic_data_are_named_as_such():
    fit = fit_lmm(trial(), "thalamus_ml ~ year * arm + (1 | subject_id)", origin="synthetic")
    assert "synthetic" in fit.slopes("arm").headline()
    assert "synthetic" in fit.slopes().headline()


@pytest.mark.parametrize("percent", [True, False])
def test_plot_shows_the_slopes_in_order(percent):
    _, ax = plt.subplots()
    fitted().slopes("arm").plot(ax=ax, percent=percent)
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert [label.split("\n")[0] for label in labels] == ["placebo", "low", "high"]
    assert ("% of baseline" in ax.get_xlabel()) is percent
    plt.close("all")


def test_trajectory_plot_finds_its_groups_itself():
    _, ax = plt.subplots()
    fitted().plot(ax=ax)
    individuals = [c for c in ax.collections if c.get_gid() == "individuals"]
    assert len(individuals) == 3
    plt.close("all")


# --- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "arms"}, "Did you mean 'arm'"),
        ({"by": "year"}, "must be a factor of the fixed part"),
        ({"by": "age_years"}, r"number with \d+ values"),
        ({"by": "subject_id"}, r"write year \* subject_id"),
        ({"time": "yaer"}, "Did you mean 'year'"),
        ({"time": "sex"}, "does not depend on a number 'sex'"),
        ({"over": (2, 1)}, "the earlier first"),
        ({"over": (0, np.inf)}, "the earlier first"),
    ],
)
def test_questions_that_the_model_cannot_answer_are_refused(options, message):
    with pytest.raises(DesignError, match=message):
        fitted().slopes(**options)


def test_too_many_combinations_of_levels_are_refused():
    data = trial().dropna().reset_index(drop=True)
    for k in range(3):
        data[f"f{k}"] = [f"L{i % 30}" for i in np.random.default_rng(k).integers(0, 30, len(data))]
    fit = fit_lmm(data, "thalamus_ml ~ year + f0 + f1 + f2 + (1 | subject_id)")
    with pytest.raises(DesignError, match="combinations of factor levels"):
        fit.slopes()


def test_intervals_are_estimate_plus_minus_a_t_quantile():
    table = fitted().slopes("arm").table()
    half = (table["conf_high"] - table["conf_low"]) / 2
    np.testing.assert_allclose(half / table["std_error"], stats.t.ppf(0.975, table["df"]))


def test_known_variances_give_normal_intervals():
    spec = dataclasses.replace(fitted().spec, df_method="normal")
    table = fit_lmm(trial(), spec).slopes("arm").table()
    half = (table["conf_high"] - table["conf_low"]) / 2
    np.testing.assert_allclose(half / table["std_error"], stats.norm.ppf(0.975))
    half = (table["percent_conf_high"] - table["percent_conf_low"]) / 2
    np.testing.assert_allclose(half / table["percent_std_error"], stats.norm.ppf(0.975))
