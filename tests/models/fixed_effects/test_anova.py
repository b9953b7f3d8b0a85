"""Type III tests: lmerTest as stored witness, sum-to-zero coding, empty cells, display."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from reference_cases import load_case
from small_sample_cases import CASE, METHODS, SMALL, Small, fitted

from pmsstats.models import LMMResult, fit_lmm
from pmsstats.models.fixed_effects.anova import AnovaResult, anova
from pmsstats.models.fixed_effects.degrees_of_freedom import NormalInference
from pmsstats.models.formulas.design_terms import design_terms
from pmsstats.models.formulas.fixed_design import build_fixed_design

ROUNDING = 1e-6  # relative: two codings of the factors, each fitted by itself
NOT_COMPARED = ("empty.arm", "empty.visit")  # averages over cells without data
TESTED = [(model, short) for model in SMALL for short in model.methods]
IDS = [f"{model.name}-{short}" for model, short in TESTED]


@cache
def result(model: Small, short: str) -> AnovaResult:
    """Test the terms of a model at a maximum that no engine's tolerance blurs."""
    exact = fitted(model, METHODS[short])
    fit = fit_lmm(model.rows(), model.spec)
    coefficients = fit.coefficients.assign(estimate=exact.fixed)
    return anova(replace(fit, coefficients=coefficients, inference=exact.inference))


def trial(seed: int = 3, n_subjects: int = 45) -> pd.DataFrame:
    """Draw three unequal arms, two sexes, three sites, four visits with gaps."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_subjects), 4)
    who = pd.DataFrame(
        {
            "arm": rng.choice(["a", "b", "c"], n_subjects, p=[0.5, 0.3, 0.2]),
            "sex": rng.choice(["F", "M"], n_subjects),
            "site": rng.choice(["x", "y", "z"], n_subjects),
            "age_years": rng.normal(50, 9, n_subjects),
        }
    ).loc[subject]
    year = np.tile(np.arange(4.0), n_subjects)
    y = rng.normal(0, 1, n_subjects)[subject] - 0.3 * year * (who["arm"] == "a").to_numpy()
    data = who.assign(
        subject_id=subject, year=year, visit=[f"V{t:.0f}" for t in year],
        y=y + rng.normal(0, 0.4, len(y)),
    )  # fmt: skip
    return data.reset_index(drop=True).loc[rng.uniform(size=len(data)) > 0.15]


@cache
def by_lmm(rhs: str) -> LMMResult:
    fit = fit_lmm(trial(), f"y ~ {rhs} + (1 | subject_id)")
    return replace(fit, inference=NormalInference(covariance=fit.covariance))


# --- another implementation -------------------------------------------------------------------


@pytest.mark.parametrize(("model", "short"), TESTED, ids=IDS)
def test_type_3_tests_equal_lmertest(model: Small, short: str):
    found = result(model, short).table().set_index("term")
    rows = load_case(CASE).rows(f"{model.name}.{short}_type3")
    split = rows["term"].str.split(" | ", regex=False, expand=True)
    rows = rows.assign(of=split[0], field=split[1])
    compared = rows[~(model.name + "." + rows["of"]).isin(NOT_COMPARED)]
    assert len(compared)
    assert set(found.index) == set(rows["of"])
    for _, row in compared.iterrows():
        value = found.loc[row["of"], row["field"]]
        assert value == pytest.approx(row["value"], rel=row["rtol"]), row["term"]


# --- sum-to-zero coding -----------------------------------------------------------------------


SUMMED = {name: f"C({name}, contr.sum())" for name in ("arm", "sex", "site", "visit")}
FORMULAS = (
    "arm * visit + sex",
    "arm * sex * visit",
    "year * arm + sex * arm + age_years",
    "age_years * arm * sex + year",
    "bs(year, df=3) * arm + sex",
    "poly(age_years, 2) * sex + year:arm + arm + year",
    "arm + sex + arm:sex + site",
)


def in_sums(rhs: str) -> str:
    """Write the factors of a formula as sum-to-zero coded."""
    for name, summed in SUMMED.items():
        rhs = rhs.replace(name, summed)
    return rhs


def coefficient_rows(fit: LMMResult) -> dict[str, np.ndarray]:
    """Return, of each term, the rows that pick its coefficients."""
    terms = design_terms(fit.design.fixed).terms
    return {term.name: np.eye(len(fit.coefficients))[list(term.columns)] for term in terms}


@pytest.mark.parametrize("rhs", FORMULAS)
def test_type_3_tests_are_those_of_the_coefficients_of_sum_to_zero_coding(rhs):
    summed = by_lmm(in_sums(rhs))
    rows = {name: L for name, L in coefficient_rows(summed).items() if name != "1"}
    found = anova(by_lmm(rhs)).table()
    assert len(found) == len(rows)
    for (_, row), L in zip(found.iterrows(), rows.values(), strict=True):
        expected = summed.f_test(L)
        assert row["statistic"] == pytest.approx(expected.statistic, rel=ROUNDING), row["term"]
        assert row["df_numerator"] == expected.df_numerator


@pytest.mark.parametrize("rhs", FORMULAS)
def test_coding_and_reference_do_not_matter(rhs):
    expected = anova(by_lmm(rhs)).table()
    found = anova(by_lmm(in_sums(rhs))).table()
    np.testing.assert_allclose(found["statistic"], expected["statistic"], rtol=ROUNDING)
    other = rhs.replace("arm", "C(arm, contr.treatment('c'))")
    found = anova(by_lmm(other)).table()
    np.testing.assert_allclose(found["statistic"], expected["statistic"], rtol=ROUNDING)


# --- other codings: terms without their margins ------------------------------------------------


@pytest.mark.parametrize(
    ("rhs", "term", "n_rows", "reduced"),
    [
        # Nested effects, cell means, slopes per arm: what has to vanish to leave the second model.
        ("arm / sex", "arm:sex", 3, "arm"),
        ("1 + arm:visit", "arm:visit", 11, "1"),
        ("arm + arm:year", "arm:year", 3, "arm"),
        ("0 + arm + arm:sex", "arm:sex", 3, "0 + arm"),
    ],
)
def test_terms_without_margins_test_the_whole_term(rhs, term, n_rows, reduced):
    data = trial()
    found = anova(by_lmm(rhs)).table().set_index("term").loc[term]
    assert found["df_numerator"] == n_rows
    # The F of a hypothesis is the rise in generalised least squares that it costs; here of OLS.
    X, design = build_fixed_design(rhs, data)
    smaller, _ = build_fixed_design(reduced, data)
    L = design_terms(design.fixed).type3_contrasts(
        next(t for t in design_terms(design.fixed).terms if t.name == term)
    )
    y = data["y"].to_numpy()
    rise = _rss(smaller, y) - _rss(X, y)
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    test = NormalInference(covariance=np.linalg.inv(X.T @ X)).f_test(L, beta)
    assert test.statistic * test.df_numerator == pytest.approx(rise, rel=ROUNDING)


def _rss(X: np.ndarray, y: np.ndarray) -> float:
    return float(((y - X @ np.linalg.lstsq(X, y, rcond=None)[0]) ** 2).sum())


# --- what cannot be tested --------------------------------------------------------------------


def test_averages_over_empty_cells_are_not_tested_and_what_is_left_of_an_interaction_is():
    model = next(m for m in SMALL if m.name == "empty")
    found = result(model, "kr")
    table = found.table().set_index("term")
    assert table.loc[["arm", "visit"]].isna().all(axis=None)
    assert table.loc["arm:visit", "df_numerator"] == 5
    assert "arm:visit is tested in 5 of 6 combinations" in found.notes
    assert "arm not tested" in found.headline()


def test_a_column_that_repeats_another_term_is_not_tested_as_that_one():
    data = trial().assign(age_months=lambda d: 12 * d["age_years"])
    found = anova(fit_lmm(data, "y ~ year + age_years + age_months + (1 | subject_id)"))
    table = found.table().set_index("term")
    assert table.loc["year", "df_numerator"] == 1
    assert table.loc[["age_years", "age_months"], "statistic"].isna().all()
    assert sum("needs combinations that the data do not have" in note for note in found.notes) == 2


def test_a_factor_with_one_level_has_nothing_to_test():
    found = anova(fit_lmm(trial().assign(centre="one"), "y ~ year + centre + (1 | subject_id)"))
    row = found.table().set_index("term").loc["centre"]
    assert row["df_numerator"] == 0
    assert np.isnan(row["p_value"])
    assert "centre has no column of its own" in found.notes


def test_tests_at_zero_are_noted():
    assert anova(by_lmm("year * arm + sex")).notes == ("arm is tested at year = 0",)
    notes = anova(by_lmm("year * age_years + sex")).notes
    assert notes == ("year is tested at age_years = 0", "age_years is tested at year = 0")
    assert anova(by_lmm("arm * visit + sex")).notes == ()


def test_a_model_of_a_mean_has_no_term():
    found = anova(fit_lmm(trial(), "y ~ 1 + (1 | subject_id)"))
    assert len(found.table()) == 0
    assert "no term to test" in found.headline()


# --- display ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["visits", "empty", "small"])
def test_result_keeps_the_contract(name):
    assert_result_contract(result(next(m for m in SMALL if m.name == name), "kr"))


def test_result_names_method_and_counts():
    found = result(SMALL[0], "kr")
    assert "Kenward-Roger" in found.headline()
    assert "20 subjects" in found.headline()
    assert found.table().columns.tolist() == [
        "term", "statistic", "df_numerator", "df_denominator", "p_value",
    ]  # fmt: skip
    assert found.display()["df_numerator"].tolist() == ["1", "1", "1"]


def test_plot_shows_statistics_and_critical_values():
    found = result(next(m for m in SMALL if m.name == "empty"), "kr")
    _, ax = plt.subplots()
    found.plot(ax=ax)
    lines = {kind: [line for line in ax.lines if line.get_gid() == kind]
             for kind in ("statistic", "critical")}  # fmt: skip
    row = found.table().iloc[2]
    assert [line.get_xdata()[0] for line in lines["statistic"]] == [row["statistic"]]
    # 2.36 in R: the 95 % quantile of F with 5 and 62.19 degrees of freedom
    assert lines["critical"][0].get_xdata()[0] == pytest.approx(2.36, abs=0.01)
    assert [text.get_text() for text in ax.texts][:2] == ["not tested", "not tested"]
    plt.close("all")


def test_known_variances_are_drawn_too():
    _, ax = plt.subplots()
    anova(by_lmm("year * arm + sex")).plot(ax=ax)
    critical = [line.get_xdata()[0] for line in ax.lines if line.get_gid() == "critical"]
    # Chi-squared over its degrees of freedom: 3.841 / 1, 5.991 / 2 (any table).
    np.testing.assert_allclose(critical, [3.841, 2.996, 3.841, 2.996], atol=1e-3)
    plt.close("all")
