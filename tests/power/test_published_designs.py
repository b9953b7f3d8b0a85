"""Published numbers of subjects, given back by the standard deviations that they imply.

The abstracts print numbers of subjects, but not the standard deviations behind them. The catalogue
holds those that follow by hand from the normal formula for two equal arms at 80 % power and a
two-sided 5 % test, rounded. Here the functions of ``pmsstats.power`` take them the other way.

What can fail: our formulas (of slopes, of changes, by duration, slowing and test), and the values
derived in the catalogue. What cannot: the papers. Each has as many figures as unknowns, so that
nothing here shows that its figures agree with each other, or are right.
"""

from __future__ import annotations

import math

import pytest
from scipy import stats

from pmsstats.evidence import record
from pmsstats.power.change import power_change, sample_size_change
from pmsstats.power.schedule import VisitSchedule
from pmsstats.power.slope import sample_size_slope
from pmsstats.power.slope_variance import SlopeModel

ROUNDED = 0.03  # SDs of two digits or more: up to 1.5 % of an SD, 3 % of a number of subjects
WHOLE = 0.5  # subjects per arm
HALF_A_PERCENT = 0.005  # reductions are printed in whole percent
SAME = 1e-6  # one formula in two hands
FAR_TAIL = 1e-5  # relative: a formula by hand leaves out the other side, a power of 1e-6

ALTMANN = {
    "pbvc": ("altmann2009_pbvc_slope_sd", "altmann2009_pbvc_error_sd"),
    "ccv": ("altmann2009_ccv_slope_sd_spms", "altmann2009_ccv_error_sd_spms"),
    "nbv": ("altmann2009_nbv_slope_sd_spms", "altmann2009_nbv_error_sd"),
}
HALF = {"slowing": 0.5, "rate": -1.0}  # SDs are multiples of the mean change


def published(name):
    return float(record(name).value)


def altmann_model(measure):
    """Return the variances of the catalogue: of slopes, and of each scan of a change."""
    slope_sd, change_error_sd = map(published, ALTMANN[measure])
    return SlopeModel(slope_sd=slope_sd, residual_sd=change_error_sd / math.sqrt(2))


def per_arm_by_two_scans(measure, years):
    """Return subjects per arm for the change from first to last scan, before rounding."""
    found = sample_size_slope(
        schedule=VisitSchedule(years=(0, years)),
        model=altmann_model(measure),
        method="two_scans",
        df="normal",
        **HALF,
    )
    return found.value / 2


@pytest.mark.parametrize("measure", ALTMANN)
def test_altmann_2009_by_slopes_at_both_durations(measure):
    """Two SDs, derived from the number at 2 years and the reduction from 1 year, give both back.

    Fails if duration, slopes or errors enter our variance wrongly, or the catalogue's SDs are not
    those of its numbers.
    """
    printed = published(f"altmann2009_{measure}_n_per_arm_spms")
    reduction = published(f"altmann2009_{measure}_n_reduction_spms") / 100
    two, one = (per_arm_by_two_scans(measure, years) for years in (2, 1))
    assert abs(two - printed) < WHOLE + ROUNDED * printed
    assert 1 - two / one == pytest.approx(reduction, abs=HALF_A_PERCENT + ROUNDED * (1 - reduction))


@pytest.mark.parametrize("measure", ALTMANN)
def test_altmann_2009_scans_between_help_by_their_spread(measure):
    """No published figure: scans every 6 months against two, of the same variances, by hand."""
    every = sample_size_slope(
        schedule=VisitSchedule.every(months=6, duration=2),
        model=altmann_model(measure),
        df="normal",
        **HALF,
    )
    slope_sd, change_error_sd = map(published, ALTMANN[measure])
    # Sums of squares about the mean year: 2.5 against 2, for the part of the variance by scans.
    errors = change_error_sd**2 / 2
    expected = (slope_sd**2 + errors / 2.5) / (slope_sd**2 + errors / 2)
    assert every.value / 2 / per_arm_by_two_scans(measure, 2) == pytest.approx(expected, rel=SAME)


IMPLIED = {
    "altmann2009_pbvc_n_per_arm_spms": "altmann2009_pbvc_sd_over_mean_spms",
    "altmann2009_ccv_n_per_arm_spms": "altmann2009_ccv_sd_over_mean_spms",
    "altmann2009_nbv_n_per_arm_spms": "altmann2009_nbv_sd_over_mean_spms",
    "cawley2018_cord_n_per_arm_ppms": "cawley2018_cord_sd_over_mean_ppms",
    "cawley2018_cord_n_per_arm_spms": "cawley2018_cord_sd_over_mean_spms",
}


@pytest.mark.parametrize("number", IMPLIED)
def test_number_for_half_the_change_by_its_implied_sd(number):
    """The SD of change over its mean, derived from the number, gives it back by another function.

    Fails if our formula of changes or the catalogue's derived value is wrong.
    """
    printed = published(number)
    found = sample_size_change(sd=published(IMPLIED[number]), method="normal", **HALF)
    assert abs(found.value / 2 - printed) < WHOLE + ROUNDED * printed


@pytest.mark.parametrize("number", IMPLIED)
def test_power_of_the_printed_number_by_a_t_test(number):
    """The test that a trial would do, with the printed number, by the noncentral t distribution."""
    n, ratio = published(number), published(IMPLIED[number])
    bound, shift = stats.t.isf(0.025, 2 * n - 2), 0.5 / (ratio * math.sqrt(2 / n))
    expected = stats.nct.sf(bound, 2 * n - 2, shift) + stats.nct.cdf(-bound, 2 * n - 2, shift)
    found = power_change(n=2 * round(n), sd=ratio, **HALF).power
    assert found == pytest.approx(expected, rel=SAME)
    assert 0.77 < found < 0.81  # the normal formula promises 0.80; arms of 32 lose 0.02


@pytest.mark.parametrize("measure", ["pbvc", "bbsi", "ventricles", "seg_difference"])
def test_anderson_2007_at_other_slowings(measure):
    """30 % slowing over 2 years. The SD is implied here, by hand: only our functions can fail.

    Solved for the effect, the number gives 30 % back; a slowing of 60 % takes a quarter of it.
    """
    printed = published(f"anderson2007_{measure}_n_per_arm_rrms")
    z = stats.norm.isf(0.025) + stats.norm.isf(0.2)
    plan = {"sd": 0.3 * math.sqrt(printed / 2) / z, "rate": -1.0, "method": "normal"}
    found = sample_size_change(solve="effect", n=2 * round(printed), **plan)
    assert found.effect == pytest.approx(0.3, rel=FAR_TAIL)
    double = sample_size_change(slowing=0.6, **plan)
    assert double.value / 2 == pytest.approx(printed / 4, rel=FAR_TAIL)
