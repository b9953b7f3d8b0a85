"""The formula layer: what it reads, what it makes of data, and that it evaluates nothing else."""

from __future__ import annotations

import contextlib
import time

import formulaic
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from reference_cases import load_case

from pmsstats.errors import DesignError, FormulaError
from pmsstats.models.formulas.formula import (
    TRANSFORMS,
    RandomTerm,
    complete_rows,
    design_matrices,
    formula_variables,
    parse_formula,
)

EXACT = 1e-12  # relative: one arithmetic operation in double precision
R_BASIS = 1e-12  # of the largest entry: the same basis by other arithmetic
PATIENCE = 2.0  # seconds that refusing any formula may take; without guards some take hours


@pytest.fixture
def visits() -> pd.DataFrame:
    n = 24
    rng = np.random.default_rng(1)
    return pd.DataFrame(
        {
            "subject_id": np.repeat([f"S{i}" for i in range(6)], 4),
            "year": np.tile([0.0, 1.0, 2.0, 3.5], 6),
            "phenotype": pd.Categorical(
                np.repeat(["PPMS", "SPMS", "RRMS"], 8),
                categories=["SPMS", "RRMS", "PPMS", "CIS"],
                ordered=True,
            ),
            "sex": np.tile(["M", "F"], 12),
            "smoker": np.tile([True, False, False], 8),
            "grade": np.tile([2, 1, 3], 8),
            "age_years": rng.normal(50, 9, n),
            "my column": rng.uniform(1, 2, n),
            "log": rng.uniform(1, 2, n),
            "y": rng.normal(size=n),
        }
    )


PARSED = [
    ("y ~ year", "y", "year", ()),
    ("y~year*phenotype+(year|subject_id)", "y", "year * phenotype", ("(year | subject_id)",)),
    ("y ~ (1|g) + year", "y", "year", ("(1 | g)",)),
    ("y ~ (1|g)", "y", "1", ("(1 | g)",)),
    ("y ~ year + (0 + year | g)", "y", "year", ("(0 + year | g)",)),
    ("y ~ year + (year || g)", "y", "year", ("(year || g)",)),
    ("y ~ year + (1|g) + (0+year|g)", "y", "year", ("(1 | g)", "(0 + year | g)")),
    ("y ~ year + (1 + year + age | g) - 1", "y", "year - 1", ("(year + age | g)",)),
    ("`a b` ~ `c d` + (1 | `e f`)", "`a b`", "`c d`", ("(1 | `e f`)",)),
    ("log(y) ~ bs(year, df=4) + (1|g)", "log(y)", "bs(year, df=4)", ("(1 | g)",)),
    ("y ~ (a + b)**2 + (1|g)", "y", "(a + b) ** 2", ("(1 | g)",)),
    ("y ~ year\n  + age\n  + (1|g)", "y", "year + age", ("(1 | g)",)),
    ("y ~ x + (1|a/b)", "y", "x", ("(1 | a:b)", "(1 | a)")),
    ("y ~ x + (x|a:b)", "y", "x", ("(x | a:b)",)),
    ("y ~ x + (x||a/b:c)", "y", "x", ("(x || a:b:c)", "(x || a)")),
    ("y ~ x + (1|a/b/c)", "y", "x", ("(1 | a:b:c)", "(1 | a:b)", "(1 | a)")),
    ("y ~ x + (1|`e f`:b)", "y", "x", ("(1 | `e f`:b)",)),
    ("y ~ x + (1|`a:b`)", "y", "x", ("(1 | `a:b`)",)),
    (
        "y ~ x + (x|s) + (1|site) + (1|scanner)",
        "y",
        "x",
        ("(x | s)", "(1 | site)", "(1 | scanner)"),
    ),
]


@pytest.mark.parametrize(("formula", "outcome", "fixed", "random"), PARSED)
def test_formula_is_split_into_outcome_fixed_and_random(formula, outcome, fixed, random):
    parsed = parse_formula(formula)
    assert (parsed.outcome, parsed.fixed) == (outcome, fixed)
    assert tuple(term.formula() for term in parsed.random_terms) == random


@pytest.mark.parametrize(("formula", "outcome", "fixed", "random"), PARSED)
def test_canonical_spelling_parses_to_itself(formula, outcome, fixed, random):
    again = " + ".join([f"{outcome} ~ {fixed}", *random])
    assert parse_formula(again) == parse_formula(formula)


def test_random_term_keeps_its_parts():
    (term,) = parse_formula("y ~ year + (year || subject_id)").random_terms
    assert term == RandomTerm(group="subject_id", terms=("1", "year"), correlated=False)


# Expected columns: R's model.matrix for the same formula and contrasts, in this package's spelling.
DESIGNS = [
    ("year", ["Intercept", "year"]),
    ("0 + year", ["year"]),
    ("year - 1", ["year"]),
    ("1", ["Intercept"]),
    ("phenotype", ["Intercept", "phenotype[T.RRMS]", "phenotype[T.PPMS]"]),
    ("0 + phenotype", ["phenotype[SPMS]", "phenotype[RRMS]", "phenotype[PPMS]"]),
    ("sex", ["Intercept", "sex[T.M]"]),
    ("smoker", ["Intercept", "smoker[T.True]"]),
    ("year * sex", ["Intercept", "year", "sex[T.M]", "year:sex[T.M]"]),
    ("0 + year + year:sex", ["year", "year:sex[T.M]"]),
    ("C(grade)", ["Intercept", "C(grade)[T.2]", "C(grade)[T.3]"]),
    (
        "C(grade, contr.treatment(3))",
        ["Intercept", *(f"C(grade, contr.treatment(3))[T.{k}]" for k in (1, 2))],
    ),
    (
        "C(sex, contr.treatment('M'))",
        ["Intercept", "C(sex, contr.treatment('M'))[T.F]"],
    ),
    ("C(sex, contr.sum())", ["Intercept", "C(sex, contr.sum())[S.F]"]),
    ("log(log) + log", ["Intercept", "log(log)", "log"]),
    ("`my column`", ["Intercept", "my column"]),
    ("log(`my column`):year", ["Intercept", "log(`my column`):year"]),
    ("{year**2} + I(year*grade)", ["Intercept", "year ** 2", "I(year * grade)"]),
    ("poly(year, 2)", ["Intercept", "poly(year, 2)[1]", "poly(year, 2)[2]"]),
    ("bs(year, df=4)", ["Intercept", *(f"bs(year, df=4)[{k}]" for k in (1, 2, 3, 4))]),
    ("ns(year, df=3)", ["Intercept", *(f"ns(year, df=3)[{k}]" for k in (1, 2, 3))]),
    ("cr(year, df=3)", ["Intercept", *(f"cr(year, df=3)[{k}]" for k in (1, 2, 3))]),
]


@pytest.mark.parametrize(("rhs", "columns"), DESIGNS)
def test_design_has_the_columns_of_the_formula(visits, rhs, columns):
    matrix, spec = design_matrices(rhs, visits)
    assert list(matrix.columns) == columns == list(spec.columns)
    assert np.isfinite(matrix.to_numpy()).all()


@pytest.mark.parametrize(("rhs", "columns"), DESIGNS)
def test_design_is_made_again_from_some_of_the_rows(visits, rhs, columns):
    matrix, spec = design_matrices(rhs, visits)
    some = [5, 0, 17]
    again = spec.matrix(visits.iloc[some])
    np.testing.assert_allclose(again, matrix.iloc[some], rtol=EXACT, atol=EXACT)
    assert list(again.columns) == columns


BASES = load_case("formula_bases").expected["quantity"].unique()


@pytest.mark.parametrize("rhs", BASES)
def test_splines_and_polynomials_are_those_of_r(rhs):
    case = load_case("formula_bases")
    expected = case.rows(rhs).copy()
    expected[["row", "column"]] = expected["term"].str.split(" | ", regex=False, expand=True)
    places = expected.astype({"row": int, "column": int})
    wide = places.pivot_table(index="row", columns="column", values="value")
    x = case.input["x"].iloc[: len(wide)]  # beyond its range only natural splines are evaluated
    fit, new = case.input[case.input["part"] == "fit"], case.input.iloc[24 : len(x)]
    matrix, spec = design_matrices(f"0 + {rhs}", fit)
    found = np.vstack([matrix, spec.matrix(new)])
    np.testing.assert_allclose(found, wide, rtol=0, atol=R_BASIS * np.abs(wide).max().max())


def test_natural_spline_is_straight_beyond_its_bounds_and_smooth_inside(visits):
    _, spec = design_matrices("0 + ns(year, df=3)", visits)
    at = np.array([-4.0, -3.0, -2.0, 5.0, 6.0, 7.0])
    made = spec.matrix(pd.DataFrame({"year": at})).to_numpy()
    np.testing.assert_allclose(made[0] - 2 * made[1] + made[2], 0, atol=R_BASIS)
    np.testing.assert_allclose(made[3] - 2 * made[4] + made[5], 0, atol=R_BASIS)


PLAIN = [
    "x * y * `z w`", "0 + y:x + x", "y:`z w` + x", "1", "(x + y + `z w`)**2 - 1", "`z w`:y:x + y:x",
]  # fmt: skip


@pytest.mark.parametrize("rhs", PLAIN)
def test_designs_of_plain_numbers_are_those_of_formulaic(rhs):
    data = pd.DataFrame(np.random.default_rng(3).normal(size=(7, 3)), columns=["x", "y", "z w"])
    matrix, spec = design_matrices(rhs, data)
    expected = formulaic.model_matrix(rhs, data)
    names = [str(name).replace("`", "") for name in expected.columns]
    assert list(matrix.columns) == names == list(spec.columns)
    np.testing.assert_allclose(matrix, expected, rtol=EXACT)
    np.testing.assert_allclose(spec.matrix(data.iloc[:2]), expected.iloc[:2], rtol=EXACT)


def test_transforms_compute_what_their_names_say(visits):
    x = visits["my column"].to_numpy()
    matrix, _ = design_matrices(
        "0 + log(`my column`) + log1p(`my column`) + log10(`my column`) + log2(`my column`)"
        " + exp(`my column`) + sqrt(`my column`) + center(`my column`) + scale(`my column`)",
        visits,
    )
    expected = [
        np.log(x), np.log1p(x), np.log10(x), np.log2(x), np.exp(x), np.sqrt(x), x - x.mean(),
        (x - x.mean()) / x.std(ddof=1),
    ]  # fmt: skip
    np.testing.assert_allclose(matrix.to_numpy().T, expected, rtol=EXACT, atol=EXACT)


def test_states_of_transforms_are_those_of_the_fit(visits):
    _, spec = design_matrices("0 + center(age_years)", visits)
    other = spec.matrix(visits.iloc[:1])
    expected = visits["age_years"].iloc[0] - visits["age_years"].mean()
    assert other.iloc[0, 0] == pytest.approx(expected, rel=EXACT)


def test_reference_is_the_first_level_that_occurs_and_unused_levels_are_named(visits):
    _, spec = design_matrices("phenotype + sex", visits)
    assert spec.levels == {"phenotype": ("SPMS", "RRMS", "PPMS"), "sex": ("F", "M")}
    assert spec.unused_levels == {"phenotype": ("CIS",)}


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("age", pd.array([50, 51, None, 53], dtype="Int64")),
        ("age", pd.array([50.5, None, 52.0, 53.0], dtype="Float64")),
        ("age", pd.array(["a", "b", None, "b"], dtype="string")),
        ("age", pd.array([True, None, False, True], dtype="boolean")),
    ],
)
def test_nullable_columns_are_used_after_dropping_missing_rows(column, values):
    data = pd.DataFrame({"subject_id": list("abcd"), column: values})
    rows, exclusions = complete_rows(data, [column], stage="test", subject="subject_id")
    matrix, _ = design_matrices(column, rows)
    assert matrix.shape == (3, 2)
    assert [(e.unit, e.reason, e.n) for e in exclusions] == [
        ("row", "no age", 1),
        ("subject", "no complete row", 1),
    ]


def test_every_incomplete_row_is_counted_once_with_its_first_reason():
    data = pd.DataFrame(
        {
            "subject_id": ["a", "a", "b", "b", None, "c"],
            "x": [1.0, np.nan, np.inf, 2.0, 1.0, np.nan],
            "y": [1.0, np.nan, 1.0, -np.inf, 1.0, 1.0],
        }
    )
    rows, exclusions = complete_rows(data, ["x", "y"], stage="s", subject="subject_id")
    assert len(rows) == 1
    assert [(e.unit, e.reason, e.n, e.subject_ids) for e in exclusions] == [
        ("row", "no subject_id", 1, ("no id",)),
        ("row", "no x", 2, ("a", "c")),
        ("row", "x is infinite", 1, ("b",)),
        ("row", "y is infinite", 1, ("b",)),
        ("subject", "no complete row", 2, ("b", "c")),
    ]


UNPARSABLE = [
    "", " ", "y", "y ~", "~ x", "y ~ x ~ z", "y + z ~ x", "1 ~ x", "C(y) ~ x", "bs(y) ~ x",
    "y ~ x +", "y ~ * x", "y ~ a b", "y ~ (a", "y ~ a)", "y ~ `a", "y ~ ``", "y ~ ` `",
    "y ~ log(a", "y ~ {a", "y ~ {}", "y ~ {1}", "y ~ 'a'", "y ~ a $ b", "y ~ a @ b",
    "y ~ x | g", "y ~ (| g)", "y ~ (x |)", "y ~ (1 | g | h)", "y ~ (1 | g + h)", "y ~ (1 | a*b)",
    "y ~ ((1 | g))", "y ~ x:(1 | g)", "y ~ (1 | g):x", "y ~ x - (1 | g)", "y ~ 0", "y ~ (0 | g)",
    "y ~ 2", "y ~ 2*x", "y ~ x**0", "y ~ x**9", "y ~ x**-1", "y ~ x**2.5", "y ~ x**z", "y ~ 1e3",
    "y ~ x ** 2 ** 2", "y ~ x^2^2", "y ~ x^1**1", "y ~ (a + b)**2^2", "y ~ (x ** 2 ** 2 | g)",
    "y ~ a * * b", "y ~ a * * 2", "y ~ a *\n* b", "y ~ a * *b", "y ~ (a * * b | g)",
    "y ~ x**`2`", "y ~ x**\u00b2", "y ~ x**02", "y ~ x**(2)",
    "y ~ log(`a`x)", "y ~ log(x`a`)", "y ~ log(`a``b`)",
    "y ~ .", "y ~ a %in% b", "y ~ a in b", "y ~ a == b", "y ~ x[0]", "y ~ \x00", "y ~ a\\b",
]  # fmt: skip


@pytest.mark.parametrize("formula", UNPARSABLE)
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(FormulaError):
        parse_formula(formula)


def test_formula_must_be_text():
    with pytest.raises(FormulaError, match="must be a text"):
        parse_formula(None)


ATTACKS = [
    '__import__("os").system("touch {sentinel}")',
    '{{__import__("os").system("touch {sentinel}")}}',
    'log(__import__("os").system("touch {sentinel}"))',
    '`__import__("os").system("touch {sentinel}")`(x)',
    'bs(x, df=__import__("os").system("touch {sentinel}"))',
    'bs(x, knots=[__import__("os").system("touch {sentinel}")])',
    'C(x, __import__("os").system("touch {sentinel}"))',
    'C(x, contr.treatment(__import__("os").system("touch {sentinel}")))',
    "eval(\"open('{sentinel}', 'w')\")",
    "open('{sentinel}', 'w')",
    "{{open('{sentinel}', 'w')}}",
    "I(open('{sentinel}', 'w'))",
    '(lambda: open("{sentinel}", "w"))()',
    "{{(lambda: open('{sentinel}', 'w'))()}}",
    "{{[open('{sentinel}', 'w') for i in (1,)]}}",
    "{{x if open('{sentinel}', 'w') else x}}",
    "{{f\"{{open('{sentinel}', 'w')}}\"}}",
    "f\"{{open('{sentinel}', 'w')}}\"",
    "().__class__.__base__.__subclasses__()",
    "{{().__class__}}",
    "x.__class__",
    "{{x.__class__}}",
    "log.__globals__",
    "log(x).real",
    "log(x)(x)",
    "x[0]",
    "{{x[0]}}",
    "{{x; open('{sentinel}', 'w')}}",
    "{{x := open('{sentinel}', 'w')}}",
    "{{yield_}} + {{await x}}",
    "np.log(x)",
    "os.system('touch {sentinel}')",
    "lag(x, 1)",
    "hashed(x)",
    "Q('x')",
    "Treatment('x')",
    "standardize(x)",
    "exp10(x)",
    "contr.treatment(x)",
    "C(x, contr.helmert())",
    "C(x, contr.__class__('a'))",
    "C(x, contr.treatment('a').x)",
    "C(x, levels=['a'])",
    "log(*x)",
    "log(**x)",
    "bs(x, **{{'df': 3}})",
    "log(x, out=x)",
    "log(log)",
    "log('x')",
    "log(True)",
    "log(None)",
    "log(...)",
    "log(b'x')",
    "log(1j * x)",
    "{{x @ x}}",
    "{{x % 2}}",
    "{{x // 2}}",
    "{{x << 99}}",
    "{{~x}}",
    "{{not x}}",
    "{{x and x}}",
    "{{x > 1}}",
    "log(C(x))",
    "{{2 * bs(x)}}",
    "{{\uff45\uff56\uff41\uff4c(x)}}",
    "log(gr\u00f6\u00dfe)",
    "{{__builtins__}}",
    "log(__name__)",
    "bs(x, extrapolation='clip')",
    "poly(x, raw=[[1]])",
    "bs(x, knots=range(9))",
]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("place", ["{} ~ x", "y ~ {}", "y ~ x + ({} | g)", "y ~ x:{}"])
def test_code_in_a_formula_is_refused_and_never_runs(tmp_path, attack, place):
    sentinel = tmp_path / "executed"
    formula = place.format(attack.format(sentinel=sentinel))
    data = pd.DataFrame({"x": [1.0, 2.0], "y": [1.0, 2.0], "g": ["a", "b"]})
    with pytest.raises(FormulaError):
        evaluate_all_of(formula, data)
    assert not sentinel.exists()


def evaluate_all_of(formula, data):
    parsed = parse_formula(formula)
    for rhs in (parsed.fixed, parsed.outcome, *(term.rhs() for term in parsed.random_terms)):
        design_matrices(rhs, data)


def test_refusal_names_the_fragment_and_lists_what_is_allowed():
    with pytest.raises(FormulaError, match=r"__import__\(\"os\"\)") as caught:
        parse_formula('y ~ year + __import__("os").system("x") + (1 | g)')
    assert "Nothing was evaluated" in str(caught.value)
    assert all(name in str(caught.value) for name in TRANSFORMS)


def test_transform_that_is_nearly_allowed_is_suggested():
    with pytest.raises(FormulaError, match="Did you mean 'log10'"):
        parse_formula("y ~ log_10(x)")


def test_columns_named_like_code_are_only_columns(tmp_path):
    name = f"__import__('os').system('touch {tmp_path}/executed')"
    data = pd.DataFrame({name: [1.0, 2.0], "__builtins__": [3.0, 5.0], "eval": [1.0, 4.0]})
    matrix, _ = design_matrices(f"`{name}` + log(`{name}`) + `__builtins__`:eval", data)
    assert matrix.columns[1] == name
    assert matrix.iloc[1, -1] == 20.0
    assert not (tmp_path / "executed").exists()


HEAVY = [
    "y ~ " + "(" * 3000 + "x" + ")" * 3000,
    "y ~ " + "(" * 21 + "x" + ")" * 21,
    "y ~ {" + "-" * 3000 + "x}",
    "y ~ {" + "+".join(["x"] * 900) + "}",
    "y ~ " + "+".join(["x"] * 900),
    "y ~ " + "x" * 5000,
    "y ~ " + "*".join(f"x{i}" for i in range(40)),
    "y ~ (" + "+".join(f"x{i}" for i in range(30)) + ")**5",
    "y ~ (" + ":".join(f"x{i}" for i in range(30)) + ")",
    "y ~ x**1000000",
    "y ~ {x**1000000}",
    "y ~ {9**9**9*x}",
    "y ~ {(((9**9)**9)**9)**9*x}",
    "y ~ {1e999*x}",
    "y ~ {" + "9" * 400 + "*x}",
    "y ~ poly(x, 999999999)",
    "y ~ bs(x, df=10**9)",
    "y ~ bs(x, df=1000000000)",
    "y ~ bs(x, knots=[1,2]*1000000000)",
]


@pytest.mark.parametrize("formula", HEAVY)
def test_formulas_that_would_grow_without_bounds_are_refused_at_once(formula):
    start = time.perf_counter()
    with pytest.raises(FormulaError):
        parse_formula(formula)
    assert time.perf_counter() - start < PATIENCE


HINTS = {
    "factor(arm)": r"for a factor write C\(column\)",
    "as.factor(arm)": r"for a factor write C\(column\)",
    "I(year^2)": r"a power is written \*\*: year\*\*2",
    "offset(log(years))": "given as `exposure=`",
    "ln(snfl_pg_ml)": r"the natural logarithm is log\(\)",
}


@pytest.mark.parametrize("written", HINTS)
def test_words_of_other_programs_get_a_hint(written):
    with pytest.raises(FormulaError, match=HINTS[written]):
        parse_formula(f"y ~ {written}")


def test_design_of_thousands_of_columns_is_refused_before_it_is_made():
    n = 3000
    data = pd.DataFrame({"a": [f"{i} mg" for i in range(n)], "b": np.arange(n) % 50})
    with pytest.raises(DesignError, match=r"'a' has 3000 levels: is it a number stored as text"):
        design_matrices("a:C(b)", data)


@given(st.text(max_size=60))
def test_any_text_parses_or_is_refused(text):
    with contextlib.suppress(FormulaError):  # and no other error
        parse_formula(text)


@given(st.text(alphabet="xyg()|~+-*/:^{}`'\"[].,0129 \\", max_size=40))
def test_any_text_of_formula_characters_parses_or_is_refused(text):
    with contextlib.suppress(FormulaError):  # and no other error
        parse_formula(f"y ~ {text}")


PIECES = ["x", "y", "g", "0", "1", "2", "3", "`2`", "**", "^", "*", "+", "-", "/", ":", "(", ")"]


@given(st.lists(st.sampled_from([*PIECES, "|", "||", "{x**2}", "log(x)"]), max_size=9))
def test_any_row_of_formula_pieces_parses_or_is_refused(pieces):
    with contextlib.suppress(FormulaError):  # and no other error
        parse_formula(f"y ~ {' '.join(pieces)}")


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        ("y ~ x ** 2 ** 2", r"one whole number as its exponent, got 2 \*\*"),
        ("y ~ a * * b", r"\* twice in a row"),
        ("y ~ x**`2`", r"whole number from 1 to 5, got '`2`'"),
        ("y ~ log(`a`x)", "'`a`' runs into"),
    ],
)
def test_refusal_of_an_operator_out_of_place_says_why(formula, message):
    with pytest.raises(FormulaError, match=message):
        parse_formula(formula)


def test_power_of_a_power_in_brackets_is_a_power():
    assert formula_variables("((a + b)**2)**2") == ("a", "b")


INNER_NAMES = [
    "pmsstats_quoted_0_", "pmsstatsx_quoted_0_", "pmsstats_column_0_", "pmsstats_column_1_",
    "pmsstats_factor_0_",
]  # fmt: skip


@pytest.mark.parametrize("name", INNER_NAMES)
@pytest.mark.parametrize("rhs", ["{{`my column` - {0}}}", "{{{0} * 0 + `my column` - {0}}}"])
def test_columns_named_like_inner_names_are_themselves_in_fragments(visits, name, rhs):
    data = visits.assign(**{name: np.arange(24.0)})
    matrix, spec = design_matrices(f"0 + {rhs.format(name)}", data)
    expected = data["my column"] - data[name]
    np.testing.assert_allclose(matrix.iloc[:, 0], expected, rtol=EXACT, atol=EXACT)
    np.testing.assert_allclose(spec.matrix(data), matrix, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("name", INNER_NAMES)
def test_columns_named_like_inner_names_keep_their_names(visits, name):
    data = visits.assign(**{name: np.arange(1.0, 25.0)})
    rhs = f"0 + year + {name} + log({name}) + log(`my column`)"
    matrix, spec = design_matrices(rhs, data)
    columns = ["year", name, f"log({name})", "log(`my column`)"]
    assert list(matrix.columns) == columns == list(spec.matrix(data).columns)
    np.testing.assert_allclose(matrix[f"log({name})"], np.log(data[name]), rtol=EXACT)


def test_inner_names_in_other_letters_are_not_taken_for_a_quoted_column(visits):
    # Python reads full-width letters in identifiers as plain ones.
    data = visits.assign(pmsstats_quoted_0_=1.0)
    with contextlib.suppress(FormulaError):
        matrix, _ = design_matrices("0 + {`my column` * 0 + \uff50msstats_quoted_0_}", data)
        assert (matrix.iloc[:, 0] == 1.0).all()


@pytest.mark.parametrize("name", INNER_NAMES)
def test_reference_level_may_be_named_like_an_inner_name(visits, name):
    data = visits.assign(sex=np.where(visits["sex"] == "M", name, "other"))
    matrix, _ = design_matrices(f"year + C(sex, contr.treatment('{name}'))", data)
    assert matrix.columns[-1] == f"C(sex, contr.treatment('{name}'))[T.other]"


@pytest.mark.parametrize(
    ("rhs", "message"),
    [
        ("yaer", r"no column of the data\. Did you mean 'year'\?"),
        ("log(yaer)", r"Did you mean 'year'\?"),
        ("`My Column`", r"Did you mean 'my column'\?"),
        ("bs(year, df=1)", "cannot be computed"),
        ("ns(year, df=0)", "whole number from 1"),
        ("ns(year, df=2.5)", "whole number from 1"),
        ("ns(year, df=3, knots=[1])", "not both"),
        ("ns(year, knots=[9])", "must lie between 0 and 3.5"),
        ("log(sex)", "cannot be computed"),
        ("C(grade, contr.treatment(9))", "cannot be computed"),
    ],
)
def test_what_the_data_do_not_have_is_named(visits, rhs, message):
    with pytest.raises(FormulaError, match=message):
        design_matrices(rhs, visits)


def test_error_messages_show_no_inner_names(visits):
    with pytest.raises(FormulaError) as caught:
        design_matrices("log(sex)", visits)
    assert "log(sex)" in str(caught.value)
    assert "pmsstats_" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phenotype": "ppms"}, "Did you mean 'PPMS'"),
        ({"phenotype": None}, "have no 'phenotype'"),
        ({"year": "late"}, "must hold numbers"),
        ({"year": np.nan}, "have no 'year'"),
    ],
)
def test_other_data_must_fit_the_design(visits, change, message):
    _, spec = design_matrices("year * phenotype", visits)
    with pytest.raises(DesignError, match=message):
        spec.matrix(visits.head(2).astype({"phenotype": object}).assign(**change))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pd.to_datetime(["2020-01-01", "2021-01-01"]), "holds dates"),
        (pd.to_timedelta([1, 2], unit="D"), "holds dates"),
        (np.array([1j, 2.0]), "complex"),
        ([1.0, np.nan], "no 'x'"),
    ],
)
def test_columns_that_no_model_can_use_are_refused(values, message):
    with pytest.raises(DesignError, match=message):
        design_matrices("x", pd.DataFrame({"x": values}))


def test_doubled_column_names_are_refused():
    data = pd.DataFrame([[1.0, 2.0], [3.0, 4.0]], columns=["x", "x"])
    with pytest.raises(DesignError, match="2 columns named 'x'"):
        design_matrices("x", data)


def test_input_is_not_modified(visits):
    before = visits.copy(deep=True)
    design_matrices("year * phenotype + log(`my column`) + C(grade)", visits)
    pd.testing.assert_frame_equal(visits, before)


def test_variables_are_listed_once_in_order():
    assert formula_variables("log(b) + a * `c d` + {a * b}") == ("b", "a", "c d")


@pytest.mark.parametrize("group", ["", "a:a", ":", None])
def test_random_term_checks_its_group(group):
    with pytest.raises(FormulaError, match="`group` of a random term"):
        RandomTerm(group=group)


@pytest.mark.parametrize(
    ("group", "columns"),
    [("g", ("g",)), ("a b", ("a b",)), ("a:b", ("a", "b")), ("`a:b`:c", ("a:b", "c"))],
)
def test_random_term_knows_the_columns_of_its_group(group, columns):
    term = RandomTerm(group=group)
    assert term.columns == columns
    (again,) = parse_formula(f"y ~ 1 + {term.formula()}").random_terms
    assert again == term


@pytest.mark.parametrize("terms", [(), "year", ("import os",), ("(1",)])
def test_random_term_checks_its_terms(terms):
    with pytest.raises(FormulaError):
        RandomTerm(group="subject_id", terms=terms)
