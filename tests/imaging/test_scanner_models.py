"""Four ways to deal with scanners, side by side."""

from __future__ import annotations

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pytest
from properties import assert_result_contract
from scanner_cases import GAP, SLOPE, scans

from pmsstats.errors import DesignError
from pmsstats.imaging import HarmonisationSpec, compare_scanner_models, random_scanner_model
from pmsstats.imaging.yearly_slope_weights import slope_unit, yearly_slope_weights
from pmsstats.models import fit_lmm

SPEC = HarmonisationSpec(
    features=("feature1", "feature2"), model="year * arm + (1 | subject_id)", by="arm",
    residual_scale="MSR",
)  # fmt: skip
NEAR = 4.0  # standard errors
SAME = 1e-5  # two fits of one likelihood, in other units


@pytest.fixture(scope="module")
def data():
    return scans(seed=21, n_subjects=200)


@pytest.fixture(scope="module")
def found(data):
    return compare_scanner_models(data, SPEC, engine="native")


def test_all_methods_answer_the_same_questions_from_the_same_rows(found):
    table = found.table()
    assert table["method"].drop_duplicates().tolist() == ["none", "fixed", "random", "combat"]
    assert table["term"].drop_duplicates().tolist() == ["placebo", "active", "active - placebo"]
    assert (table["note"] == "").all()
    assert {fit.n_obs for fit in found.fits.values()} == {found.n_obs} == {1000}


def test_methods_are_the_models_that_they_say(data, found):
    raw = fit_lmm(data, "feature1 ~ year * arm + (1 | subject_id)")
    fixed = fit_lmm(data, "feature1 ~ year * arm + scanner_id + (1 | subject_id)")
    table = found.table().set_index(["method", "term"])["estimate"]
    for name, fit in (("none", raw), ("fixed", fixed)):
        slope = fit.table().set_index("term")["estimate"]
        assert table[name, "placebo"] == pytest.approx(slope["year"], rel=1e-6)
        assert table[name, "active - placebo"] == pytest.approx(
            slope["year:arm[T.active]"], rel=1e-6
        )


def test_only_the_raw_slope_is_off(found):
    table = found.table().set_index(["method", "term"])
    for method in ("fixed", "random", "combat"):
        for term, truth in (("placebo", SLOPE), ("active - placebo", GAP)):
            row = table.loc[method, term]
            assert abs(row["estimate"] - truth) < NEAR * row["std_error"]
    raw = table.loc["none", "placebo"]
    assert raw["estimate"] - SLOPE > NEAR * raw["std_error"]


def test_few_scanners_are_no_sample_of_scanners(found):
    table = found.table()
    assert table.loc[table["method"] == "random", "caution"].str.contains("3 scanners").all()
    assert (table.loc[table["method"] != "random", "caution"] == "").all()


def test_a_method_without_answer_says_why(data):
    found = compare_scanner_models(data, SPEC, engine="statsmodels")
    rows = found.table().query("method == 'random'")
    assert rows["estimate"].isna().all()
    assert rows["note"].str.startswith("not estimable").all()
    assert_result_contract(found)


def test_random_scanner_model_is_written_for_lmer():
    model = random_scanner_model(SPEC, feature="feature2")
    expected = "feature2 ~ year * arm + (1 | subject_id) + (1 | scanner_id)"
    assert model.formula() == expected


def test_unknown_feature_is_refused(data):
    with pytest.raises(DesignError, match="feature9"):
        compare_scanner_models(data, SPEC, feature="feature9")


def test_result_keeps_the_contract(found):
    assert_result_contract(found)
    assert np.isfinite(found.table()["std_error"]).all()


def test_days_give_slopes_per_year_and_say_so(data, found):
    days = data.assign(day=365.25 * data["year"]).drop(columns="year")
    spec = dataclasses.replace(SPEC, model="day * arm + (1 | subject_id)", time="day")
    made = compare_scanner_models(days, spec)
    np.testing.assert_allclose(made.table()["estimate"], found.table()["estimate"], rtol=SAME)
    assert made.headline().startswith("Slope of feature1 per year (active - placebo) in 200")
    assert made.headline() == found.headline()
    _, ax = plt.subplots()
    made.plot(ax=ax)
    assert ax.get_xlabel().startswith("Slope of feature1 per year")
    plt.close("all")


def test_labels_that_look_like_differences_are_arms(data, found):
    names = {"placebo": "drug - 0 mg", "active": "drug - 10 mg"}
    renamed = data.assign(arm=data["arm"].cat.rename_categories(names))
    table = compare_scanner_models(renamed, SPEC).table()
    assert table["quantity"].tolist() == ["slope", "slope", "difference"] * 4
    np.testing.assert_allclose(table["estimate"], found.table()["estimate"], rtol=SAME)


def test_slopes_over_other_columns_name_them():
    assert slope_unit("month") == "unit of month"
    assert slope_unit("day") == slope_unit("year") == "year"


def test_weights_are_per_year_and_say_what_they_are(data):
    fit = fit_lmm(data, "feature1 ~ year * arm + (1 | subject_id)")
    asked = yearly_slope_weights(fit, by="arm")
    assert asked.quantity == ("slope", "slope", "difference")
    names = list(fit.design.fixed_names)
    slope = np.array([name == "year" for name in names], dtype=float)
    more = np.array([name == "year:arm[T.active]" for name in names], dtype=float)
    np.testing.assert_allclose(asked.weights, [slope, slope + more, more], atol=1e-12)
    days = fit_lmm(
        data.assign(day=365.25 * data["year"]), "feature1 ~ day * arm + (1 | subject_id)"
    )
    per_day = yearly_slope_weights(days, by="arm", time="day").weights
    np.testing.assert_allclose(per_day, 365.25 * asked.weights, atol=1e-9)
