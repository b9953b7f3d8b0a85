"""Group-sequential bounds: rpact, published constants, brute force and simulation as witnesses."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from properties import assert_result_contract
from reference_cases import load_case
from scipy import integrate, stats

from pmsstats.errors import DesignError
from pmsstats.power.boundaries import boundaries, update_boundaries
from pmsstats.power.group_sequential import GroupSequentialDesign
from pmsstats.power.looks import cumulative_alpha, efficacy_bounds, sequential_bounds
from pmsstats.power.sequential import crossing_probabilities
from pmsstats.power.spending import spend

CASE = "power_rpact_sequential"
FAMILIES = [
    ("obrien_fleming", None),
    ("pocock", None),
    ("wang_tsiatis", 0.25),
    ("ld_obrien_fleming", None),
    ("ld_pocock", None),
    ("kim_demets", 2.0),
    ("hwang_shih_decani", -4.0),
]
LOWER = [
    {"futility": "ld_obrien_fleming"},
    {"futility": "ld_pocock", "binding": True},
    {"futility": "z", "futility_z": (0.0, 0.5)},
    {"futility": "conditional_power", "futility_parameter": 0.2},
    {"futility": "conditional_power", "futility_parameter": 0.1, "futility_trend": "observed"},
]
PRINTED = 5e-4  # half of the last digit of the printed tables
SAME_BOUND = 1e-9  # bounds found twice by Newton's method
INTEGRAL = 1e-8  # adaptive quadrature of the brute force


def numbers(text: object) -> tuple[float, ...]:
    return tuple(float(x) for x in str(text).split())


def design_of(row: pd.Series) -> GroupSequentialDesign:
    """Return the design that a row of the reference case names."""
    given = {
        "spending_parameter": row["spending_parameter"],
        "futility": row["futility"],
        "futility_parameter": row["futility_parameter"],
        "futility_z": row["futility_z"],
    }
    options = {name: None if pd.isna(value) else value for name, value in given.items()}
    options["futility_z"] = options["futility_z"] and numbers(options["futility_z"])
    return GroupSequentialDesign(
        looks=(*numbers(row["looks"])[:-1], 1.0),
        alpha=row["alpha"],
        power=row["power"],
        spending=row["spending"],
        binding=bool(row["binding"]),
        **options,
    )


RPACT = load_case(CASE)


@pytest.mark.parametrize("name", list(RPACT.input["design"]))
def test_bounds_and_operating_characteristics_agree_with_rpact(name: str) -> None:
    """Witness: rpact (stored)."""
    solved = boundaries(design_of(RPACT.input.set_index("design").loc[name]))
    fixed = solved.inflation_factor
    found = {
        "drift_squared": [solved.drift**2],
        "inflation": [fixed],
        "expected_alternative": [solved.expected_information * fixed],
        "expected_null": [solved.expected_information_null * fixed],
    }
    for quantity in ("efficacy_z", "futility_z", "stop_efficacy", "stop_futility"):
        found[quantity] = list(getattr(solved, quantity))
    rows = RPACT.expected[RPACT.expected["quantity"].str.startswith(f"{name}.")]
    assert len(rows) >= 8
    for row in rows.itertuples():
        look = 0 if pd.isna(row.term) or row.term == "" else int(row.term) - 1
        value = found[row.quantity.split(".")[1]][look]
        assert value == pytest.approx(row.value, rel=row.rtol, abs=1e-6), row.quantity


# Jennison and Turnbull 2000, tables 2.1 and 2.3: constants of two-sided tests with type I error
# 0.05. Crossing both bounds is so rare that one-sided constants at 0.025 agree to three decimals.
CONSTANTS = [
    ("pocock", 2, 2.178),
    ("pocock", 3, 2.289),
    ("pocock", 4, 2.361),
    ("pocock", 5, 2.413),
    ("obrien_fleming", 2, 1.977),
    ("obrien_fleming", 3, 2.004),
    ("obrien_fleming", 4, 2.024),
    ("obrien_fleming", 5, 2.040),
]


@pytest.mark.parametrize(("family", "n_looks", "constant"), CONSTANTS)
def test_constants_are_those_of_the_printed_tables(
    family: str, n_looks: int, constant: float
) -> None:
    """Witness: Jennison and Turnbull 2000, tables 2.1 and 2.3."""
    solved = boundaries(GroupSequentialDesign.equally_spaced(n_looks, spending=family))
    assert solved.efficacy_z[-1] == pytest.approx(constant, abs=PRINTED)


@pytest.mark.parametrize(("family", "parameter"), FAMILIES)
def test_two_looks_by_brute_force(family: str, parameter: float | None) -> None:
    """Witness: the bivariate normal integral, with scipy's adaptive quadrature."""
    t = 0.4
    design = GroupSequentialDesign(
        looks=(t, 1.0), spending=family, spending_parameter=parameter, power=0.9
    )
    solved = boundaries(design)
    first, last = solved.efficacy_z

    def total(drift: float) -> float:
        def later(z: float) -> float:
            mean = z * math.sqrt(t) + drift * (1 - t)
            return stats.norm.pdf(z - drift * math.sqrt(t)) * stats.norm.sf(
                (last - mean) / math.sqrt(1 - t)
            )

        second = integrate.quad(later, -12, first, epsabs=1e-13)[0]
        return stats.norm.sf(first - drift * math.sqrt(t)) + second

    assert total(0.0) == pytest.approx(0.025, abs=INTEGRAL)
    assert total(solved.drift) == pytest.approx(0.9, abs=INTEGRAL)


def test_looks_that_are_close_by_brute_force() -> None:
    """Witness: Simpson's rule on a fine grid of the partial sums, written from the definition."""
    solved = boundaries(GroupSequentialDesign(looks=(0.5, 0.9, 0.98, 1.0)))
    t, drift, n = solved.information, solved.drift, 2401
    points, mass, before = np.zeros(1), np.ones(1), 0.0
    for k, at in enumerate(t):
        sd, limit = math.sqrt(at - before), solved.efficacy_z[k] * math.sqrt(at)
        mean = points + drift * (at - before)
        claimed = float(mass @ stats.norm.sf((limit - mean) / sd))
        assert claimed == pytest.approx(solved.stop_efficacy[k], abs=INTEGRAL)
        grid = np.linspace(drift * at - 8 * math.sqrt(at), limit, n)
        simpson = np.r_[1.0, np.tile([4.0, 2.0], (n - 3) // 2), 4.0, 1.0] * (grid[1] - grid[0]) / 3
        density = stats.norm.pdf((grid[:, None] - mean) / sd) @ mass / sd
        points, mass, before = grid, density * simpson, at


@pytest.mark.parametrize(
    ("family", "parameter", "formula"),
    [
        ("ld_obrien_fleming", None, lambda t: 2 - 2 * stats.norm.cdf(2.241402727604947 / t**0.5)),
        ("ld_pocock", None, lambda t: 0.025 * math.log(1 + (math.e - 1) * t)),
        ("kim_demets", 1.5, lambda t: 0.025 * t**1.5),
        (
            "hwang_shih_decani",
            -4.0,
            lambda t: 0.025 * (1 - math.exp(4 * t)) / (1 - math.exp(4)),
        ),
        ("hwang_shih_decani", 0.0, lambda t: 0.025 * t),
    ],
)
def test_spending_functions_are_those_of_the_papers(family, parameter, formula) -> None:
    """Witness: formulas of Lan and DeMets, Kim and DeMets, and Hwang, Shih and De Cani."""
    for t in (0.1, 0.37, 0.8, 1.0):
        spent = spend(t, family=family, total=0.025, parameter=parameter)
        assert spent == pytest.approx(formula(t), rel=1e-12)
    assert spend(0.0, family=family, total=0.025, parameter=parameter) == 0.0
    assert spend(1.3, family=family, total=0.025, parameter=parameter) == pytest.approx(0.025)


def paths(looks: np.ndarray, n_trials: int, drift: float, seed: int) -> np.ndarray:
    """Return statistics of trials, made of independent increments."""
    step = np.diff(looks, prepend=0.0)
    draws = np.random.default_rng(seed).standard_normal((n_trials, len(looks)))
    return np.cumsum(draws * np.sqrt(step) + drift * step, axis=1) / np.sqrt(looks)


def first_stop(z: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, ...]:
    """Return the share of trials that stop at each look for either reason."""
    crossed = (z >= upper) | (z < lower)
    look = np.where(crossed.any(axis=1), crossed.argmax(axis=1), -1)
    up = np.take_along_axis(z >= upper, look[:, None], axis=1)[:, 0]
    looks = range(z.shape[1])
    return (
        np.array([np.mean((look == k) & up) for k in looks]),
        np.array([np.mean((look == k) & ~up) for k in looks]),
    )


def assert_shares(found: np.ndarray, expected: np.ndarray, n_trials: int) -> None:
    mcse = np.sqrt(expected * (1 - expected) / n_trials)
    assert np.all(np.abs(found - expected) <= 4 * mcse + 1e-12)


@pytest.mark.parametrize("binding", [False, True])
@pytest.mark.parametrize(("family", "parameter"), FAMILIES)
def test_type_one_error_by_simulation(family: str, parameter: float | None, binding: bool) -> None:
    """Witness: simulated trials without effect; lower bounds are obeyed only where they bind."""
    always_binding = family in {"obrien_fleming", "pocock", "wang_tsiatis"}
    lower = {"futility": "ld_pocock"} if binding else {}
    lower |= {"binding": True} if binding and not always_binding else {}
    design = GroupSequentialDesign(
        looks=(0.3, 0.55, 0.8, 1.0), spending=family, spending_parameter=parameter, **lower
    )
    solved = boundaries(design)
    z = paths(solved.information, 200_000, 0.0, seed=11)
    obeyed = solved.futility_z if design.binding else np.full(4, -np.inf)
    claimed = first_stop(z, solved.efficacy_z, obeyed)[0].sum()
    assert_shares(np.array([claimed]), np.array([0.025]), len(z))


@pytest.mark.parametrize("options", LOWER)
def test_stopping_probabilities_by_simulation(options: dict) -> None:
    """Witness: simulated trials with and without effect."""
    solved = boundaries(GroupSequentialDesign(looks=(0.35, 0.7, 1.0), **options))
    assert solved.power == pytest.approx(0.8, abs=1e-9)
    for drift, up, low in (
        (0.0, solved.stop_efficacy_null, solved.stop_futility_null),
        (solved.drift, solved.stop_efficacy, solved.stop_futility),
    ):
        z = paths(solved.information, 200_000, drift, seed=12)
        claimed, given_up = first_stop(z, solved.efficacy_z, solved.futility_z)
        assert_shares(claimed, up, len(z))
        assert_shares(given_up, low, len(z))
    assert solved.stop_efficacy_null.sum() <= 0.025 + 1e-9


@pytest.mark.parametrize("trend", ["design", "observed"])
def test_conditional_power_is_at_its_limit_on_the_bound(trend: str) -> None:
    """Witness: Brownian motion by hand."""
    design = GroupSequentialDesign(
        looks=(0.4, 1.0),
        futility="conditional_power",
        futility_parameter=0.15,
        futility_trend=trend,
    )
    solved = boundaries(design)
    z, t = solved.futility_z[0], 0.4
    drift = {"design": solved.drift, "observed": z / math.sqrt(t)}[trend]
    left = solved.efficacy_z[1] - z * math.sqrt(t) - drift * (1 - t)
    assert stats.norm.sf(left / math.sqrt(1 - t)) == pytest.approx(0.15, abs=1e-9)


@pytest.mark.parametrize(("family", "parameter"), FAMILIES)
def test_a_plan_that_is_kept_keeps_its_bounds(family: str, parameter: float | None) -> None:
    design = GroupSequentialDesign(
        looks=(0.3, 0.6, 1.0), spending=family, spending_parameter=parameter
    )
    plan = boundaries(design)
    for seen in ((0.3,), (0.3, 0.6)):
        np.testing.assert_allclose(
            update_boundaries(design, seen).efficacy_z, plan.efficacy_z, atol=SAME_BOUND
        )


def test_constants_of_a_plan_that_is_kept_are_in_proportion() -> None:
    """Witness: z is c t^(delta - 1/2), the definition of Wang and Tsiatis."""
    looks = np.array([0.3, 0.6, 1.0])
    design = GroupSequentialDesign(
        looks=tuple(looks), spending="wang_tsiatis", spending_parameter=0.1
    )
    z = boundaries(design).efficacy_z
    np.testing.assert_allclose(z * looks**0.4, z[-1], rtol=1e-9)


def test_type_one_error_with_other_looks_than_planned_by_simulation() -> None:
    """Witness: trials whose information at looks varies, with one look missed in some."""
    design = GroupSequentialDesign(looks=(0.4, 0.7, 1.0))
    rng = np.random.default_rng(5)
    kinds = np.column_stack(
        [rng.uniform(0.3, 0.5, 40), rng.uniform(0.6, 0.8, 40), rng.uniform(0.9, 1.2, 40)]
    )
    kinds[:10, 0] = np.nan
    bounds = efficacy_bounds(design, kinds)
    assert np.isinf(bounds[:10, 0]).all()
    n_each, claimed = 5000, 0.0
    for row, upper in zip(kinds, bounds, strict=True):
        took_place = ~np.isnan(row)
        z = paths(row[took_place], n_each, 0.0, seed=int(1e6 * row[2]))
        claimed += np.mean((z >= upper[took_place]).any(axis=1)) / len(kinds)
    assert_shares(np.array([claimed]), np.array([0.025]), n_each * len(kinds))


def test_rows_do_not_depend_on_their_company() -> None:
    design = GroupSequentialDesign(looks=(0.5, 0.8, 1.0), futility="ld_pocock")
    rng = np.random.default_rng(2)
    t = np.column_stack([rng.uniform(0.3, 0.6, 50), rng.uniform(0.7, 0.9, 50), np.ones(50)])
    t[7] = t[3]
    t[9, 1] = np.nan
    together = sequential_bounds(design, t)
    for i in (0, 3, 7, 9, 49):
        alone = sequential_bounds(design, t[i])
        np.testing.assert_allclose(together.efficacy[i], alone.efficacy, atol=SAME_BOUND)
        np.testing.assert_allclose(together.futility[i], alone.futility, atol=SAME_BOUND)


def test_all_that_is_left_is_spent_at_an_early_end() -> None:
    design = GroupSequentialDesign(looks=(0.5, 1.0))
    ended = update_boundaries(design, (0.5, 0.9), final=True)
    crossing = crossing_probabilities(fractions=ended.information, efficacy=ended.efficacy_z)
    assert crossing.efficacy.sum() == pytest.approx(0.025, abs=INTEGRAL)
    assert ended.alpha_spent[-1] == 0.025
    planned = update_boundaries(design, (0.5,))
    assert ended.power < planned.power
    assert cumulative_alpha(design, (0.5, 0.9))[0] == planned.alpha_spent[0]


def test_fewer_than_two_looks_are_the_fixed_design() -> None:
    solved = boundaries(GroupSequentialDesign(looks=(1.0,), power=0.9))
    assert solved.efficacy_z[0] == pytest.approx(stats.norm.isf(0.025), abs=1e-10)
    assert solved.inflation_factor == pytest.approx(1.0, abs=1e-10)
    assert solved.expected_information == 1.0


@settings(max_examples=40)
@given(
    st.lists(st.floats(0.05, 0.95), min_size=1, max_size=4, unique_by=lambda x: round(x, 2)),
    st.sampled_from(FAMILIES),
    st.floats(0.005, 0.1),
)
def test_more_power_needs_more_drift_and_alpha_is_spent(looks, family, alpha) -> None:
    t = (*sorted(round(x, 2) for x in looks), 1.0)
    name, parameter = family
    options = {"looks": t, "alpha": alpha, "spending": name, "spending_parameter": parameter}
    less, more = (boundaries(GroupSequentialDesign(power=p, **options)) for p in (0.7, 0.9))
    assert less.drift < more.drift
    np.testing.assert_allclose(less.efficacy_z, more.efficacy_z, atol=SAME_BOUND)
    assert less.stop_efficacy_null.sum() == pytest.approx(alpha, rel=1e-7)
    assert np.all(np.diff(less.alpha_spent) >= 0)
    assert less.inflation_factor >= 1.0 - 1e-9


@pytest.mark.parametrize("options", [{}, *LOWER])
def test_result_honours_the_contract(options: dict) -> None:
    result = boundaries(GroupSequentialDesign(looks=(0.35, 0.7, 1.0), **options))
    assert_result_contract(result)
    assert list(result.table()["look"]) == [1, 2, 3]


BAD = [
    ({"looks": (0.5, 1.2)}, "No look can come after the end (1.2)"),
    ({"looks": (0.5, 0.8)}, "must end with 1"),
    ({"looks": ()}, "must end with 1"),
    ({"looks": (0.6, 0.5, 1.0)}, "must rise"),
    ({"looks": (-0.1, 1.0)}, "must rise from above 0"),
    ({"looks": (1.0,), "alpha": 0.6}, "one-sided"),
    ({"looks": (1.0,), "power": 0.02}, "`power` must lie between"),
    ({"looks": (1.0,), "spending": "pococks"}, "Did you mean 'pocock'?"),
    ({"looks": (1.0,), "spending": "kim_demets"}, "needs its `spending_parameter`"),
    ({"looks": (1.0,), "spending": "pocock", "spending_parameter": 1.0}, "has no parameter"),
    (
        {"looks": (1.0,), "spending": "kim_demets", "spending_parameter": -1.0},
        "finite number above 0",
    ),
    ({"looks": (0.5, 1.0), "futility": "z"}, "goes with `futility='z'`"),
    ({"looks": (0.5, 1.0), "futility": "z", "futility_z": (0.0, 1.0)}, "each of the 1 look(s)"),
    ({"looks": (0.5, 1.0), "binding": True}, "`futility` is None"),
    ({"looks": (0.5, 1.0), "futility": "conditional_power"}, "between 0 and 1"),
    (
        {"looks": (0.5, 1.0), "spending": "pocock", "futility": "ld_pocock", "binding": True},
        "needs a spending function",
    ),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_designs_are_refused(options: dict, message: str) -> None:
    with pytest.raises(DesignError, match=re.escape(message)):
        GroupSequentialDesign(**options)


def test_lower_bounds_that_take_all_power_are_refused() -> None:
    design = GroupSequentialDesign(looks=(0.01, 1.0), futility="z", futility_z=(3.5,), power=0.99)
    with pytest.raises(DesignError, match="Lower them"):
        boundaries(design)


def test_looks_that_do_not_rise_are_refused() -> None:
    design = GroupSequentialDesign(looks=(0.5, 1.0))
    with pytest.raises(DesignError, match="must rise from look to look"):
        efficacy_bounds(design, [[0.5, 0.5]])
    with pytest.raises(DesignError, match="last look present"):
        efficacy_bounds(design, [[0.5, np.nan]])
    with pytest.raises(DesignError, match="final=True"):
        update_boundaries(design, (0.5, 1.0))
    with pytest.raises(DesignError, match="is empty"):
        update_boundaries(design, ())
