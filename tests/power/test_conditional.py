"""Conditional power and adapted sample sizes: rpact, formulas of the papers and simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from reference_cases import load_case
from scipy import integrate, stats

from pmsstats.errors import DesignError
from pmsstats.power.boundaries import boundaries
from pmsstats.power.conditional import (
    combination_test,
    conditional_power,
    conditional_power_at_looks,
    predictive_power,
)
from pmsstats.power.group_sequential import GroupSequentialDesign
from pmsstats.power.reestimation import blinded_sample_size, promising_zone_sample_size

CRITICAL = stats.norm.isf(0.025)


def test_power_at_looks_to_come_agrees_with_rpact() -> None:
    """Witness: rpact's getConditionalPower."""
    case = load_case("power_rpact_sequential")
    solved = boundaries(GroupSequentialDesign.equally_spaced(4))
    # 5000 per arm and look, an effect of 0.03 SD: the drift is that of 20,000 per arm.
    found = conditional_power_at_looks(
        float(case.rows("conditional.z")["value"].iloc[0]),
        0.25,
        fractions=(0.5, 0.75, 1.0),
        efficacy=tuple(solved.efficacy_z[1:]),
        drift=0.03 * math.sqrt(20_000 / 2),
    )
    rows = case.rows("conditional.power")
    np.testing.assert_allclose(found, rows["value"], rtol=rows["rtol"].iloc[0])


@pytest.mark.parametrize("drift", ["observed", 0.0, 3.2])
def test_one_look_to_come_is_the_formula(drift: float | str) -> None:
    """Witness: the normal tail of what is left, by hand, and the recursion of several looks."""
    z, t = 1.2, 0.45
    mean = z / math.sqrt(t) if drift == "observed" else drift
    need = (CRITICAL - z * math.sqrt(t) - mean * (1 - t)) / math.sqrt(1 - t)
    assert conditional_power(z, t, drift=drift) == pytest.approx(stats.norm.sf(need), rel=1e-12)
    looks = conditional_power_at_looks(z, t, fractions=(1.0,), efficacy=(CRITICAL,), drift=drift)
    assert looks[0] == pytest.approx(stats.norm.sf(need), rel=1e-12)


@pytest.mark.parametrize("prior", [(0.0, 0.0), (2.5, 0.4)])
def test_predictive_power_is_the_average_of_conditional_power(prior) -> None:
    """Witness: adaptive quadrature over the posterior."""
    z, t = 1.1, 0.35
    known = t + prior[1]
    centre = (z * math.sqrt(t) + prior[0] * prior[1]) / known
    average = integrate.quad(
        lambda drift: (
            stats.norm.pdf(drift, centre, known**-0.5) * float(conditional_power(z, t, drift=drift))
        ),
        centre - 20,
        centre + 20,
        points=[centre],
    )[0]
    found = predictive_power(z, t, prior_drift=prior[0], prior_information=prior[1])
    assert found == pytest.approx(average, abs=1e-7)


def test_conditional_power_by_simulation() -> None:
    """Witness: the rest of the trial drawn from the trend."""
    z, t, n = 1.4, 0.6, 200_000
    mean = z / math.sqrt(t) * (1 - t)
    rest = np.random.default_rng(3).normal(mean, math.sqrt(1 - t), n)
    share = np.mean(z * math.sqrt(t) + rest >= CRITICAL)
    expected = float(conditional_power(z, t))
    assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


def test_promising_zone_reaches_its_target() -> None:
    """Witness: eq. 7 of Mehta and Pocock, solved by hand for the combination of stages."""
    z = np.linspace(0.2, 3.0, 200)
    found = promising_zone_sample_size(z, first_n=2080, planned_n=4420, largest_n=8840)
    promising = found.zone == "promising"
    assert promising.any()
    assert np.all(found.n[~promising] == 4420)
    reached = promising & (found.n < 8840)
    assert np.all(found.new_conditional_power[reached] >= 0.9 - 1e-12)
    assert np.all(found.new_conditional_power[reached] < 0.9005)
    capped = promising & (found.n == 8840)
    assert np.all(found.new_conditional_power[capped] <= 0.9 + 1e-12)
    w = 2080 / 4420
    rng = np.random.default_rng(8)
    i = int(np.flatnonzero(reached)[0])
    second = rng.normal(z[i] * math.sqrt((found.n[i] - 2080) / 2080), 1.0, 100_000)
    share = np.mean(combination_test(z[i], second, weight=w) >= CRITICAL)
    assert abs(share - 0.9) < 4 * math.sqrt(0.09 / 100_000) + 5e-4


def test_lowest_conditional_power_is_that_of_the_paper() -> None:
    """Witness: Mehta and Pocock, table I: 0.36 at half of the trial with at most twice the number.

    Above it the critical value of the combined test, on the scale of the usual one, is not above
    1.96 (their eq. 6).
    """
    z = np.linspace(0.3, 3.0, 20_001)
    found = promising_zone_sample_size(
        z, first_n=5000, planned_n=10_000, largest_n=20_000, lowest=0.0
    )
    later = found.n - 5000
    bound = np.sqrt(later / 5000) * (CRITICAL * 100 - z * math.sqrt(5000)) + z * math.sqrt(5000)
    inflates = (bound / np.sqrt(found.n) > CRITICAL + 1e-9) & (found.zone == "promising")
    assert found.conditional_power[inflates].max() == pytest.approx(0.36, abs=0.005)


def test_type_one_error_of_the_promising_zone_by_simulation() -> None:
    """Witness: simulated trials without effect; weights hold, whatever the rule."""
    n, first, planned = 400_000, 100, 200
    rng = np.random.default_rng(17)
    z1 = rng.standard_normal(n)
    found = promising_zone_sample_size(
        z1, first_n=first, planned_n=planned, largest_n=800, lowest=0.05
    )
    z2 = rng.standard_normal(n)
    limit = 4 * math.sqrt(0.025 * 0.975 / n)
    weighted = np.mean(combination_test(z1, z2, weight=first / planned) >= CRITICAL)
    assert abs(weighted - 0.025) < limit
    assert np.mean(found.n > planned) > 0.2, "the rule must have had something to do"


def test_blinded_size_keeps_the_type_one_error_and_finds_the_variance() -> None:
    """Witness: simulated t tests whose size follows the pooled variance of the first half."""
    n_trials, planned, largest = 20_000, 80, 200
    rng = np.random.default_rng(9)
    y = rng.normal(0.0, 1.25, (n_trials, 2, largest // 2))
    pooled = y[:, :, : planned // 4].reshape(n_trials, -1).var(axis=1, ddof=1)
    size = blinded_sample_size(pooled, planned_variance=1.0, planned_n=planned, largest_n=largest)
    assert np.mean(size) == pytest.approx(planned * 1.25**2, rel=0.03)
    half = (size + 1) // 2
    used = np.arange(largest // 2) < half[:, None, None]
    mean = np.where(used, y, 0).sum(axis=2) / half[:, None]
    square = np.where(used, (y - mean[:, :, None]) ** 2, 0).sum(axis=(1, 2))
    t = (mean[:, 1] - mean[:, 0]) / np.sqrt(square / (2 * half - 2) * 2 / half)
    share = np.mean(stats.t.sf(t, 2 * half - 2) <= 0.025)
    assert abs(share - 0.025) < 4 * math.sqrt(0.025 * 0.975 / n_trials)


def test_blinded_size_stays_within_its_limits() -> None:
    size = blinded_sample_size(
        np.array([0.2, 1.0, 9.0]),
        planned_variance=1.0,
        planned_n=100,
        smallest_n=60,
        largest_n=180,
    )
    assert size.tolist() == [60, 100, 180]


BAD = [
    (lambda: conditional_power(1.0, 1.0), "between 0 and 1"),
    (lambda: conditional_power(1.0, 0.5, drift="trend"), "'observed' or a number"),
    (lambda: predictive_power(1.0, 0.5, prior_information=-1.0), "must not be below 0"),
    (lambda: combination_test(1.0, 1.0, weight=1.0), "between 0 and 1"),
    (
        lambda: conditional_power_at_looks(1.0, 0.5, fractions=(0.4,), efficacy=(2.0,)),
        "must rise from",
    ),
    (
        lambda: blinded_sample_size(1.0, planned_variance=1.0, planned_n=10, largest_n=5),
        "in this order",
    ),
    (
        lambda: blinded_sample_size(-1.0, planned_variance=1.0, planned_n=10, largest_n=50),
        "must be above 0",
    ),
    (
        lambda: promising_zone_sample_size(1.0, first_n=10, planned_n=10, largest_n=20),
        "above 0 and rise",
    ),
    (
        lambda: promising_zone_sample_size(
            1.0, first_n=10, planned_n=20, largest_n=20, lowest=0.95
        ),
        "below `target`",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD)
def test_bad_input_is_refused(call, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        call()
