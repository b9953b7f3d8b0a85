"""What every closed form shares: solving, whole arms, checks, rejection of two tests."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from pmsstats.errors import DesignError
from pmsstats.power.rejection import critical_value, rejection_probability
from pmsstats.power.solving import (
    check_choice,
    check_dropout,
    check_effect,
    check_rates,
    check_real,
    check_solved,
    power_curve,
    solve_continuous,
    solve_n,
)


def rising(n: float) -> float:
    """A power that rises from 0 to 1, 0.8 at 50."""
    return 1 - 0.2 ** (n / 50)


@given(power=st.floats(0.1, 0.999))
def test_solution_gives_the_power_back(power):
    assert rising(solve_n(rising, power, low=1.0)) == pytest.approx(power, rel=1e-8)
    found = solve_continuous(lambda x: rising(1 / x), power, (1e-3, 1e2))
    assert rising(1 / found) == pytest.approx(power, rel=1e-6)


def test_fewest_subjects_may_be_enough():
    assert solve_n(rising, 0.8, low=60.0) == 60.0


@pytest.mark.parametrize("flat", [0.05, 0.4])
def test_no_number_will_do(flat):
    with pytest.raises(DesignError, match="No number of subjects will do: with 100000000 subj"):
        solve_n(lambda _: flat, 0.8)


def test_value_outside_the_bracket_is_told():
    with pytest.raises(DesignError, match=r"No `duration` from 1 to 2 gives `power=0.99`"):
        solve_continuous(rising, 0.99, (1.0, 2.0), name="duration")


@pytest.mark.parametrize(
    ("kws", "message"),
    [
        ({"alpha": 0.0}, "`alpha` must be a number above 0 and below 1, got 0.0"),
        ({"alpha": 1.0}, "`alpha` must be"),
        ({"alpha": None}, "`alpha` must be"),
        ({"sides": 0}, "`sides` must be 1 or 2"),
        ({"sides": True}, "`sides` must be 1 or 2"),
        ({"power": 0.05}, "is not above `alpha=0.05`"),
        ({"power": 1.0}, "`power` must be"),
        ({"power": float("nan")}, "`power` must be"),
    ],
)
def test_error_rates_that_cannot_be_are_refused(kws, message):
    with pytest.raises(DesignError, match=message):
        check_rates(**{"alpha": 0.05, "power": 0.8, "sides": 2} | kws)


@pytest.mark.parametrize("dropout", [1.0, -0.01, 1.2, (0.1,), (0.1, 2), float("nan"), "10 %"])
def test_dropout_that_cannot_be_is_refused(dropout):
    with pytest.raises(DesignError, match="`dropout` must be"):
        check_dropout(dropout)


def test_checks_hand_back_what_is_right():
    assert check_dropout(0.1) == (0.1, 0.1)
    assert check_dropout((0.1, 0)) == (0.1, 0.0)
    assert check_effect(-0.2) == -0.2
    assert check_real("x", 2, low=2, ends="[)") == 2.0
    check_choice("kind", "a", ("a", "b"))


@pytest.mark.parametrize(
    ("ends", "low", "high", "words"),
    [
        ("()", 0, 1, "above 0 and below 1"),
        ("[]", 0, 1, "of at least 0 and at most 1"),
        ("()", -math.inf, math.inf, "that is finite"),
    ],
)
def test_messages_say_the_interval(ends, low, high, words):
    with pytest.raises(DesignError, match=f"`x` must be a number of years {words}, got nan"):
        check_real("x", float("nan"), low=low, high=high, ends=ends, unit="years")


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (20, r"got 20\. 20 % is 0\.2\.$"),
        (2.5, r"got 2\.5\. 2\.5 % is 0\.025\.$"),
        (1.2, r"got 1\.2\. A share of 12 % is 0\.12\.$"),
        (120, r"got 120\.$"),
        (-0.1, r"got -0\.1\.$"),
    ],
)
def test_percent_are_explained_as_far_as_they_are_plain(share, words):
    with pytest.raises(DesignError, match=words):
        check_dropout(share)


def test_what_is_looked_for_is_not_given():
    check_solved("effect", sought={"effect": None}, needed={"n": 10})
    with pytest.raises(DesignError, match=r"`effect=0\.5` is what solve='effect' looks for: leave"):
        check_solved("effect", sought={"effect": 0.5}, needed={"n": 10})
    with pytest.raises(DesignError, match=r"`n` is needed to find the effect\. Give it\.$"):
        check_solved("effect", sought={"effect": None}, needed={"n": None})


def test_a_misspelt_option_gets_a_hint():
    with pytest.raises(DesignError, match=r"got 'pooledd'. Did you mean 'pooled'\?"):
        check_choice("method", "pooledd", ("pooled", "fisher"))
    with pytest.raises(DesignError, match="no number of subjects will do"):
        check_effect(0)


def test_curve_holds_three_effects():
    curve = power_curve(lambda n, effect: rising(n * effect), n_total=50, effect=1.0)
    assert sorted(curve["effect"].unique()) == [0.75, 1.0, 1.25]
    assert curve["n"].min() == 12.5
    assert curve["n"].max() == 100
    at_design = curve[(curve["effect"] == 1.0)]
    assert np.interp(50, at_design["n"], at_design["power"]) == pytest.approx(0.8, abs=0.01)


@pytest.mark.parametrize("df", [1, 2.5, 10, 300, 1e5])
@pytest.mark.parametrize("shift", [-6.0, 0.0, 0.3, 2.8, 30.0])
@pytest.mark.parametrize("sides", [1, 2])
def test_power_of_a_t_test_is_a_mean_over_its_standard_error(df, shift, sides):
    """Normal difference over a chi-distributed error, integrated out."""
    bound = stats.t.isf(0.05 / sides, df)

    def density(s: float) -> float:
        reject = stats.norm.sf(bound * s - shift)
        reject += stats.norm.cdf(-bound * s - shift) if sides == 2 else 0.0
        return float(reject * stats.chi.pdf(s * math.sqrt(df), df) * math.sqrt(df))

    low, high = stats.chi.ppf([1e-14, 1 - 1e-14], df) / math.sqrt(df)
    by_hand, _ = integrate.quad(density, low, high, epsabs=1e-13, limit=400)
    power = rejection_probability(shift, alpha=0.05, sides=sides, df=df)
    assert float(power) == pytest.approx(by_hand, abs=1e-9)


def test_many_degrees_of_freedom_are_a_z_test():
    assert critical_value(alpha=0.05) == pytest.approx(1.959964, abs=1e-6)
    shifts = np.array([0.0, 1.0, 2.8])
    z = rejection_probability(shifts, alpha=0.05)
    by_hand = stats.norm.sf(1.959964 - shifts) + stats.norm.cdf(-1.959964 - shifts)
    assert z == pytest.approx(by_hand, rel=1e-5)
    assert rejection_probability(shifts, alpha=0.05, df=9e6) == pytest.approx(z, abs=1e-6)
