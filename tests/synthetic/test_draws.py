"""Random numbers by purpose and subject. Witnesses: scipy, and drawing again."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from synthetic.draws import BLOCK, SubjectStreams, event_times, truncated_normal

ROOT = np.random.SeedSequence(20240501)
KINDS = ["uniform", "normal", "exponential"]
MONTE_CARLO_ERRORS = 4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 50, BLOCK, BLOCK + 1, 2 * BLOCK + 7])
def test_a_subject_draws_the_same_in_any_cohort(kind, n):
    large = getattr(SubjectStreams(ROOT, 50_000), kind)("purpose", 24)
    small = getattr(SubjectStreams(ROOT, n), kind)("purpose", 24)
    np.testing.assert_array_equal(small, large[:n])


@pytest.mark.parametrize("kind", KINDS)
def test_streams_of_a_later_block_are_that_block(kind):
    """Whoever draws block 1 alone draws what subjects 4,096 and on have in the whole."""
    whole = getattr(SubjectStreams(ROOT, 3 * BLOCK), kind)("purpose", 24)
    second = getattr(SubjectStreams(ROOT, BLOCK + 5, 1), kind)("purpose", 24)
    np.testing.assert_array_equal(second, whole[BLOCK : 2 * BLOCK + 5])


def test_weekly_streams_of_a_later_block_are_that_block():
    whole = SubjectStreams(ROOT, 2 * BLOCK).weekly_normal(("scan",), (0, 52))
    second = SubjectStreams(ROOT, BLOCK, 1).weekly_normal(("scan",), (0, 52))
    np.testing.assert_array_equal(second, whole[:, BLOCK:])
    assert (whole[:, BLOCK:] != whole[:, :BLOCK]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_purposes_seeds_and_blocks_differ(kind):
    streams = SubjectStreams(ROOT, 2 * BLOCK)
    one = getattr(streams, kind)("purpose", 24)
    assert (one != getattr(streams, kind)("purpose", 48)).all()
    assert (one != getattr(streams, kind)("other", 24)).all()
    other_root = SubjectStreams(np.random.SeedSequence(1), 2 * BLOCK)
    assert (one != getattr(other_root, kind)("purpose", 24)).all()
    assert (one[:BLOCK] != one[BLOCK:]).all()


@pytest.mark.parametrize(
    ("kind", "distribution"),
    [("uniform", stats.uniform), ("normal", stats.norm), ("exponential", stats.expon)],
)
def test_distribution(kind, distribution):
    drawn = getattr(SubjectStreams(ROOT, 50_000), kind)("shape")
    assert stats.kstest(drawn, distribution.cdf).pvalue > 1e-4


def test_event_counts_are_poisson():
    n, rate, horizon = 40_000, 0.7, 3.0
    times = event_times(SubjectStreams(ROOT, n), "events", np.full(n, rate), horizon)
    counts = np.isfinite(times).sum(axis=1)
    mean = rate * horizon
    assert abs(counts.mean() - mean) < MONTE_CARLO_ERRORS * np.sqrt(mean / n)
    variance_error = np.sqrt((mean + 2 * mean**2) / n)
    assert abs(counts.var() - mean) < MONTE_CARLO_ERRORS * variance_error


def test_event_times_ascend_and_stay_inside():
    n = 1000
    times = event_times(SubjectStreams(ROOT, n), "events", np.full(n, 2.0), 3.0)
    known = np.isfinite(times)
    assert (times[known] < 3.0).all()
    assert (known[:, :-1] >= known[:, 1:]).all()
    later = known[:, 1:]
    assert (times[:, 1:][later] > times[:, :-1][later]).all()


def test_a_longer_horizon_extends_the_process():
    n = 500
    rate = np.full(n, 1.0)
    short = event_times(SubjectStreams(ROOT, n), "events", rate, 2.0)
    long = event_times(SubjectStreams(ROOT, n), "events", rate, 4.0)[:, : short.shape[1]]
    np.testing.assert_array_equal(short, np.where(long < 2.0, long, np.inf))


def test_nothing_happens_at_rate_zero():
    assert event_times(SubjectStreams(ROOT, 10), "events", np.zeros(10), 5.0).shape == (10, 0)


def test_truncated_normal_against_scipy():
    n, mean, sd, low, high = 40_000, 4.7, 1.2, 3.0, 6.5
    score = SubjectStreams(ROOT, n).normal("score")
    full = np.full(n, 1.0)
    drawn = truncated_normal(score, mean * full, sd * full, low * full, high * full)
    reference = stats.truncnorm((low - mean) / sd, (high - mean) / sd, loc=mean, scale=sd)
    assert stats.kstest(drawn, reference.cdf).pvalue > 1e-4
    assert (np.argsort(score) == np.argsort(drawn)).all()
