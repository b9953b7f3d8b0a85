"""Intervals of published magnitudes.

Witnesses: numbers printed in the abstracts, worked by hand or by scipy and statsmodels.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.validation.checks.published import (
    correlation_interval,
    difference_interval,
    printed_interval,
    standardised_interval,
)

EXACT = 1e-9  # the same formula, written again
BY_HAND = 5e-3  # worked with three decimals


def test_printed_interval_is_the_one_of_the_abstract():
    # Chataway 2014: 0.254 % a year (95 % CI 0.087 to 0.422).
    assert printed_interval("chataway2014_brain_arm_difference_spms") == (0.087, 0.422)


def test_a_record_without_interval_is_refused():
    with pytest.raises(DesignError, match="has no interval"):
        printed_interval("furby2010_cord_rate_spms")


def test_correlation_interval_agrees_with_scipy():
    # Furby 2010: r = 0.34 in 56. Data with exactly that correlation, given to scipy.
    rng = np.random.default_rng(1)
    x, y = np.linalg.qr(np.column_stack([np.ones(56), rng.normal(size=(56, 2))]))[0][:, 1:].T
    y = 0.34 * x + np.sqrt(1 - 0.34**2) * y
    low, high = stats.pearsonr(x, y).confidence_interval(0.95)
    assert correlation_interval("furby2010_cord_r_msfc_change_spms") == pytest.approx(
        (low, high), abs=EXACT
    )


def test_difference_interval_of_two_printed_intervals():
    # Azevedo 2018: -0.71 (-0.77 to -0.64) and -0.28 (-0.58 to 0.02): -0.43, SE
    # sqrt(0.0332^2 + 0.1531^2) = 0.1566, times 1.96 = 0.307.
    interval = difference_interval("azevedo2018_thalamus_rate_ms", "azevedo2018_thalamus_rate_hc")
    assert interval == pytest.approx((-0.737, -0.123), abs=BY_HAND)


def test_difference_interval_of_two_printed_errors():
    # PubMed 19965849: 105.4 (2.2) and 113.2 (2.6): -7.8, SE 3.406, times 1.96 = 6.676.
    interval = difference_interval(
        "calabrese2010_cerebellar_cortex_mean_cis", "calabrese2010_cerebellar_cortex_mean_hc"
    )
    assert interval == pytest.approx((-14.476, -1.124), abs=BY_HAND)


def test_standardised_interval_by_hand():
    # Ruggieri 2015: 72.71 (7.89) in 26, 82.70 (7.83) in 20: pooled SD 7.864, d = -1.270,
    # variance 1/26 + 1/20 + 1.270^2 / 92 = 0.1060, times 1.96 = 0.638.
    interval = standardised_interval(
        "ruggieri2015_cord_c2c5_mean_ppms", "ruggieri2015_cord_c2c5_mean_hc"
    )
    assert interval == pytest.approx((-1.908, -0.632), abs=BY_HAND)


def test_a_record_without_spread_is_refused():
    with pytest.raises(DesignError, match="has no `sd`"):
        standardised_interval("furby2010_cord_rate_spms", "furby2010_gm_rate_spms")
