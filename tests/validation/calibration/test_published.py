"""Intervals of published moments: from what is printed, or from the sampling distribution."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from pmsstats.evidence import Citation, EvidenceRecord
from pmsstats.validation.calibration.published import PublishedInterval, published_interval

N_SAMPLES = 20_000
FOUR_ERRORS = 4 * np.sqrt(0.95 * 0.05 / N_SAMPLES)
CLOSED_FORM = 1e-9  # two ways of the same arithmetic


def _record(**numbers):
    citation = Citation(key="doe2001", authors="Doe J", year=2001, journal="J")
    fields = {"value": -0.6, "units": "%/yr", **numbers}
    return EvidenceRecord(
        id="doe2001_x",
        measure="x",
        population="SPMS",
        quantity="annual_pct_change",
        citation=citation,
        verified="abstract",
        **fields,
    )


def _interval(record, kind="mean", value=-0.6, factor=1.0, n=64, spread=0.8):
    return published_interval(record, kind=kind, value=value, factor=factor, n=n, spread=spread)


def test_a_printed_interval_is_taken_as_it_is_and_rescaled():
    found = _interval(_record(ci_low=-0.9, ci_high=-0.2), factor=1e-3, value=-0.0006)
    assert (found.low, found.high) == pytest.approx((-0.0009, -0.0002), rel=CLOSED_FORM)
    assert found.basis == "printed 95 % interval"


def test_a_negative_factor_turns_the_interval():
    found = _interval(_record(ci_low=-0.9, ci_high=-0.2), factor=-1.0, value=0.6)
    assert (found.low, found.high) == pytest.approx((0.2, 0.9), rel=CLOSED_FORM)


@pytest.mark.parametrize(
    ("numbers", "half_width", "basis"),
    [
        ({"se": 0.1, "sd": 9.0}, 0.196, "printed standard error"),
        ({"sd": 0.8}, 0.196, "printed spread, n = 64"),
        ({}, 0.196, "the generator's own spread"),
    ],
)
def test_a_mean_has_the_normal_interval_of_the_best_error_known(numbers, half_width, basis):
    found = _interval(_record(**numbers))
    assert found.basis == basis
    # 1.96 x 0.8 / sqrt(64), and 1.96 x 0.1: three decimals by hand
    assert found.low == pytest.approx(-0.6 - half_width, abs=5e-5)
    assert found.high == pytest.approx(-0.6 + half_width, abs=5e-5)


def test_a_share_has_wilsons_interval():
    found = _interval(_record(value=38.5), kind="share", value=38.5, n=147)
    expected = proportion_confint(0.385 * 147, 147, method="wilson")
    assert (found.low, found.high) == pytest.approx(
        tuple(100 * e for e in expected), rel=CLOSED_FORM
    )


def test_a_correlation_has_fishers_interval():
    rng = np.random.default_rng(5)
    x = rng.normal(size=56)
    y = 0.4 * x + rng.normal(size=56)
    peer = stats.pearsonr(x, y)
    expected = peer.confidence_interval(0.95)
    found = _interval(_record(), kind="correlation", value=peer.statistic, n=56)
    assert (found.low, found.high) == pytest.approx(tuple(expected), rel=CLOSED_FORM)


def test_the_interval_of_a_spread_covers_it_in_95_percent_of_samples():
    samples = np.random.default_rng(8).normal(scale=2.0, size=(N_SAMPLES, 26)).std(axis=1, ddof=1)
    # The interval is proportional to the value: unit interval, times each sample's spread.
    unit = _interval(_record(), kind="spread", value=1.0, n=26)
    covered = np.mean((unit.low * samples <= 2.0) & (unit.high * samples >= 2.0))
    assert abs(covered - 0.95) < FOUR_ERRORS


def test_an_interval_holds_its_ends_and_no_missing_value():
    interval = PublishedInterval(low=-1.0, high=1.0, basis="")
    assert [interval.holds(v) for v in (-1.0, 1.0, 1.0001, float("nan"))] == [
        True,
        True,
        False,
        False,
    ]
