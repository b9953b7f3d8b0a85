"""Inference at stopping: rpact, and coverage and median bias by simulation."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from reference_cases import load_case
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.power.boundaries import boundaries
from pmsstats.power.group_sequential import GroupSequentialDesign
from pmsstats.power.looks import sequential_bounds
from pmsstats.power.sequential import crossing_probabilities
from pmsstats.power.stopping import estimate_at_stopping, repeated_intervals

STAGE = 50  # subjects per arm and look of the stored trials
FOUR = GroupSequentialDesign.equally_spaced(4)
RPACT = load_case("power_rpact_sequential")


def stored(quantity: str, term: str) -> float:
    return float(RPACT.rows(f"stop.{quantity}").set_index("term").loc[term, "value"])


@pytest.mark.parametrize("trial", ["1", "2", "3"])
def test_inference_agrees_with_rpact(trial: str) -> None:
    """Witness: rpact's final p value and interval, median-unbiased estimate, repeated interval."""
    k = int(stored("looks", trial))
    std_error = stored("sd", trial) * math.sqrt(2 / (STAGE * k))
    found = estimate_at_stopping(
        stored("z", trial),
        design=FOUR,
        information_fractions=FOUR.looks[:k],
        std_error=std_error,
    )
    assert found.look == k == stored("final_look", trial)
    for quantity, value in (
        ("p", found.p_value),
        ("estimate", found.estimate),
        ("low", found.conf_low),
        ("high", found.conf_high),
    ):
        row = RPACT.rows(f"stop.{quantity}").set_index("term").loc[trial]
        assert value == pytest.approx(row["value"], rel=row["rtol"]), quantity
    z, se = np.zeros(4), np.ones(4)
    z[k - 1], se[k - 1] = stored("z", trial), std_error
    limits = repeated_intervals(
        z, design=FOUR, information_fractions=np.array(FOUR.looks), std_error=se
    )[k - 1]
    low, high = stored("repeated_low", trial), stored("repeated_high", trial)
    assert limits == pytest.approx([low, high], rel=1e-4)


def test_one_look_gives_the_usual_inference() -> None:
    """Witness: the normal distribution."""
    design = GroupSequentialDesign(looks=(1.0,))
    found = estimate_at_stopping(2.4, design=design, information_fractions=(1.0,), std_error=0.5)
    assert found.p_value == pytest.approx(stats.norm.sf(2.4), rel=1e-10)
    assert found.estimate == pytest.approx(1.2, abs=1e-9)
    half = stats.norm.isf(0.025) * 0.5
    assert (found.conf_low, found.conf_high) == pytest.approx((1.2 - half, 1.2 + half), abs=1e-9)


def test_p_value_on_the_bound_is_the_error_spent() -> None:
    solved = boundaries(FOUR)
    for k in range(1, 5):
        found = estimate_at_stopping(
            float(solved.efficacy_z[k - 1]),
            design=FOUR,
            information_fractions=FOUR.looks[:k],
            std_error=1.0,
        )
        assert found.claimed
        assert found.p_value == pytest.approx(solved.alpha_spent[k - 1], rel=1e-9)


@pytest.mark.parametrize(
    "options", [{}, {"futility": "ld_pocock", "binding": True}], ids=["plain", "binding"]
)
def test_coverage_and_median_by_simulation(options: dict) -> None:
    """Witness: simulated trials with an effect; half of the estimates exceed it."""
    design = GroupSequentialDesign(looks=(0.4, 0.7, 1.0), **options)
    solved = boundaries(design)
    t, truth, n = solved.information, 2.2, 40_000
    rng = np.random.default_rng(21)
    step = np.diff(t, prepend=0.0)
    z = np.cumsum(rng.standard_normal((n, 3)) * np.sqrt(step) + truth * step, axis=1) / np.sqrt(t)
    stops = (z >= solved.efficacy_z) | (z < solved.futility_z)
    look = np.where(stops.any(axis=1), stops.argmax(axis=1), 2)
    above, covered = 0.0, 0.0
    for k in range(3):
        # Estimates rise with the statistic: they are worked out on a grid and interpolated.
        grid = np.linspace(-4.0, 8.0, 49)
        found = [
            estimate_at_stopping(
                float(value),
                design=design,
                information_fractions=tuple(t[: k + 1]),
                std_error=1 / math.sqrt(t[k]),
            )
            for value in grid
        ]
        here = z[look == k, k]
        estimate, low, high = (
            np.interp(here, grid, [getattr(one, name) for one in found])
            for name in ("estimate", "conf_low", "conf_high")
        )
        above += np.sum(estimate > truth) / n
        covered += np.sum((low <= truth) & (truth <= high)) / n
    for share, expected in ((above, 0.5), (covered, 0.95)):
        assert abs(share - expected) < 4 * math.sqrt(expected * (1 - expected) / n)


def test_lower_bounds_that_do_not_bind_change_no_inference() -> None:
    """Witness: a trial may go on below such a bound, so that its law is the one without."""
    looks, seen = (0.4, 0.7, 1.0), (0.4, 0.7)
    plain, beside, binding = (
        estimate_at_stopping(
            2.6,
            design=GroupSequentialDesign(looks=looks, **options),
            information_fractions=seen,
            std_error=1.0,
        )
        for options in ({}, {"futility": "ld_pocock"}, {"futility": "ld_pocock", "binding": True})
    )
    assert beside == plain
    assert binding.p_value < plain.p_value
    assert binding.estimate != pytest.approx(plain.estimate, rel=1e-6)


def test_repeated_intervals_hold_at_all_looks_together_by_simulation() -> None:
    """Witness: simulated trials that never stop."""
    t, truth, n = np.array(FOUR.looks), 1.3, 40_000
    draws = np.random.default_rng(4).standard_normal((n, 4))
    z = np.cumsum(draws * 0.5 + truth * 0.25, axis=1) / np.sqrt(t)
    limits = repeated_intervals(
        z,
        design=FOUR,
        information_fractions=np.broadcast_to(t, z.shape),
        std_error=np.broadcast_to(1 / np.sqrt(t), z.shape),
    )
    low, high = limits[..., 0].max(axis=1), limits[..., 1].min(axis=1)
    for missed in (np.mean(low > truth), np.mean(high < truth)):
        assert abs(missed - 0.025) < 4 * math.sqrt(0.025 * 0.975 / n)


def test_swapping_arms_swaps_the_bounds() -> None:
    """Witness: symmetry of the normal distribution."""
    t = np.array([0.3, 0.8, 1.0])
    upper, lower = np.array([2.5, 2.2, 2.0]), np.array([-1.0, 0.1, 0.5])
    one = crossing_probabilities(fractions=t, efficacy=upper, futility=lower, drift=1.1)
    other = crossing_probabilities(fractions=t, efficacy=-lower, futility=-upper, drift=-1.1)
    np.testing.assert_allclose(one.efficacy, other.futility, atol=1e-12)
    np.testing.assert_allclose(one.futility, other.efficacy, atol=1e-12)


NEIGHBOURS = {
    "spending": {"spending": "ld_obrien_fleming"},
    "both": {"spending": "ld_pocock", "futility": "ld_obrien_fleming", "binding": True},
    "conditional": {
        "spending": "pocock", "futility": "conditional_power", "futility_parameter": 0.2
    },
}  # fmt: skip


@pytest.mark.parametrize("options", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_numbers_of_a_trial_do_not_depend_on_its_neighbours(options: dict) -> None:
    """To the bit: else a simulated trial would depend on how the work is cut."""
    rng = np.random.default_rng(5)
    design = GroupSequentialDesign(looks=(1 / 3, 2 / 3, 1.0), **options)
    edges = [(0.2, 0.45), (0.5, 0.8), (0.81, 1.2)]
    t = np.stack([rng.uniform(*edge, 400) for edge in edges], axis=1)
    t[::9, 0] = np.nan
    t[0] = 0.3, 0.301, 1.0  # takes ten times as many nodes as the others
    together = sequential_bounds(design, t)
    crossing = crossing_probabilities(fractions=t, efficacy=together.efficacy, drift=2.0)
    for rows in (np.arange(400)[::-1], np.arange(1), np.arange(7, 44), np.array([250])):
        apart = sequential_bounds(design, t[rows])
        np.testing.assert_array_equal(apart.efficacy, together.efficacy[rows])
        np.testing.assert_array_equal(apart.futility, together.futility[rows])
        again = crossing_probabilities(fractions=t[rows], efficacy=apart.efficacy, drift=2.0)
        np.testing.assert_array_equal(again.efficacy, crossing.efficacy[rows])


def test_bad_input_is_refused() -> None:
    def stopped(**changes):
        given = {"design": FOUR, "information_fractions": (0.25,), "std_error": 1.0} | changes
        return estimate_at_stopping(2.0, **given)

    with pytest.raises(DesignError, match="`std_error` above 0"):
        stopped(std_error=0.0)
    with pytest.raises(DesignError, match="must rise"):
        stopped(information_fractions=(0.5, 0.4))
    with pytest.raises(DesignError, match="same shape"):
        repeated_intervals(
            np.zeros(2), design=FOUR, information_fractions=np.ones(3), std_error=np.ones(2)
        )
    with pytest.raises(DesignError, match=re.escape("must have the shape (1, 2)")):
        crossing_probabilities(fractions=np.array([0.5, 1.0]), efficacy=np.array([2.0]))
