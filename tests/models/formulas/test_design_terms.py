"""Terms of a design: what their columns are products of."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.models.formulas.design_terms import design_terms
from pmsstats.models.formulas.fixed_design import build_fixed_design

PRODUCT = 1e-12  # absolute: the same products of numbers of about one
FACTORS = ("arm", "sex", "visit")
FORMULAS = (
    "arm * visit + sex",
    "arm * sex * visit",
    "arm * C(sex, contr.sum()) * visit",
    "year * C(arm, contr.treatment('c')) + sex * C(arm, contr.treatment('c'))",
    "poly(age_years, 2) * C(sex, contr.sum()) + year:arm + arm + year",
    "1 + arm:visit",
    "year * age_years",
    "0 + arm:year + sex:year:poly(age_years, 2) + bs(year, df=4)",
)


def trial() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    year = np.tile(np.arange(4.0), 45)
    who = {"arm": list("abc"), "sex": ["F", "M"]}
    return pd.DataFrame(
        {
            **{name: rng.choice(levels, 45)[np.repeat(np.arange(45), 4)]
               for name, levels in who.items()},
            "visit": [f"V{t:.0f}" for t in year],
            "year": year,
            "age_years": rng.normal(50, 9, 180),
        }
    )  # fmt: skip


@pytest.mark.parametrize("rhs", FORMULAS)
def test_columns_are_the_products_that_the_terms_say(rhs):
    data = trial()
    _, design = build_fixed_design(rhs, data)
    X, terms = design.fixed.matrix(data).to_numpy(), design_terms(design.fixed)
    assert [c for term in terms.terms for c in term.columns] == list(range(X.shape[1]))
    coded = np.ones_like(X)
    for factor, coding in terms.codings.items():
        name = next(name for name in FACTORS if name in factor)
        coded *= coding[pd.factorize(data[name], sort=True)[0]]
    # What is left of two columns with the same numbers is the same.
    numbers = terms.numbers
    pairs = [(j, k) for j, k in np.ndindex(X.shape[1], X.shape[1]) if numbers[j] == numbers[k]]
    for j, k in pairs:
        left, right = X[:, j] * coded[:, k], X[:, k] * coded[:, j]
        np.testing.assert_allclose(left, right, rtol=PRODUCT, atol=PRODUCT)
    assert (X[coded == 0] == 0).all()


def test_terms_know_their_factors_and_numbers():
    _, design = build_fixed_design("year * arm + arm:visit + log(age_years)", trial())
    found = {term.name: (set(term.factors), set(term.numbers))
             for term in design_terms(design.fixed).terms}  # fmt: skip
    assert found == {
        "1": (set(), set()),
        "year": (set(), {"year"}),
        "arm": ({"arm"}, set()),
        "log(age_years)": (set(), {"log(age_years)"}),
        "year:arm": ({"arm"}, {"year"}),
        "arm:visit": ({"arm", "visit"}, set()),
    }


def test_a_term_is_within_one_with_more_factors_and_the_same_numbers():
    _, design = build_fixed_design("year * arm * visit", trial())
    terms = {term.name: term for term in design_terms(design.fixed).terms}
    assert terms["arm"].is_within(terms["arm:visit"])
    assert terms["year:arm"].is_within(terms["year:arm:visit"])
    assert not terms["arm"].is_within(terms["year:arm"])
    assert not terms["arm"].is_within(terms["arm"])


def test_type_3_rows_of_two_levels_and_two_levels_by_hand():
    # Coefficients: a mean of the first cell, two differences, a difference of differences. Averaged
    # over b, the levels of a differ by (a) + (a:b) / 2.
    data = pd.DataFrame({"a": ["x", "x", "z", "z"] * 2, "b": ["u", "v"] * 4})
    _, design = build_fixed_design("a * b", data)
    terms = design_terms(design.fixed)
    rows = {term.name: terms.type3_contrasts(term).tolist() for term in terms.terms}
    assert rows["a"] == [[0.0, 1.0, 0.0, 0.5]]
    assert rows["b"] == [[0.0, 0.0, 1.0, 0.5]]
    assert rows["a:b"] == [[0.0, 0.0, 0.0, 1.0]]
