"""Rubin's rules, jackknife and bootstrap, from their formulas."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pmsstats.models.missing.pooling import barnard_rubin, pool_resamples, pool_rubin

ROUNDING = 1e-12


def test_barnard_and_rubin_by_hand():
    # Barnard and Rubin 1999: gamma = (1 + 1/m) B / T, nu_m = (m - 1) / gamma^2,
    # nu_obs = (nu + 1) / (nu + 3) nu (1 - gamma), 1 / nu~ = 1 / nu_m + 1 / nu_obs.
    # W = 4, B = 1, m = 5, nu = 20: T = 5.2, gamma = 3/13, nu_m = 676/9, nu_obs = 4200/299.
    found = barnard_rubin(np.array([4.0]), np.array([1.0]), np.array([20.0]), 5)
    assert found[0] == pytest.approx(1 / (9 / 676 + 299 / 4200), rel=ROUNDING)


def test_large_complete_data_have_rubins_degrees_of_freedom():
    found = barnard_rubin(np.array([4.0]), np.array([1.0]), np.array([np.inf]), 5)
    assert found[0] == pytest.approx(676 / 9, rel=ROUNDING)


def test_equal_answers_keep_the_degrees_of_freedom_of_complete_data():
    found = pool_rubin(np.ones((4, 1)), np.full((4, 1), 0.25), np.full((4, 1), 17.0), ("x",))
    assert found.loc[0, ["std_error", "df", "fraction_missing", "mcse"]].tolist() == [0.5, 17, 0, 0]
    assert found.loc[0, "p_value"] == pytest.approx(2 * stats.t.sf(2.0, 17), rel=ROUNDING)


def test_the_jackknife_of_a_mean_is_its_standard_error():
    y = np.array([1.0, 4.0, 2.5, 7.0, 3.0])
    without = np.array([np.delete(y, i).mean() for i in range(5)])
    found = pool_resamples(np.r_[y.mean(), without][:, None], ("mean",))
    assert found.loc[0, "estimate"] == y.mean()
    assert found.loc[0, "std_error"] == pytest.approx(y.std(ddof=1) / np.sqrt(5), rel=ROUNDING)


def test_percentile_intervals_are_quantiles_and_p_counts_samples_beyond_zero():
    samples = np.arange(-10.0, 190.0)  # 200, of which 11 are zero or below
    found = pool_resamples(
        np.r_[80.0, samples][:, None], ("x",), variance="bootstrap", interval="percentile",
        conf_level=0.9,
    ).iloc[0]  # fmt: skip
    assert found["p_value"] == pytest.approx(2 * 12 / 201, rel=ROUNDING)
    assert [found["conf_low"], found["conf_high"]] == pytest.approx([-0.05, 179.05], rel=1e-9)
    assert found["std_error"] == pytest.approx(np.sqrt(200 * 201 / 12), rel=ROUNDING)
    assert "statistic" not in found


def test_error_and_missing_information_of_a_pooled_answer_by_hand():
    """Rubin 1987: T = W + (1 + 1 / m) B, (r + 2 / (nu + 3)) / (1 + r); mean of m draws: B / m."""
    answers = np.array([[1.0], [2.0], [4.0], [5.0]])
    found = pool_rubin(answers, np.full((4, 1), 0.5), np.full((4, 1), 30.0), ("x",)).iloc[0]
    between, within = 10 / 3, 0.5
    total = within + 1.25 * between
    missing = 1.25 * between / total
    nu = 1 / (missing**2 / 3 + 1 / (31 / 33 * 30 * (1 - missing)))
    increase = 1.25 * between / within
    assert found["estimate"] == 3.0
    assert found["mcse"] == pytest.approx(np.sqrt(between / 4), rel=ROUNDING)
    assert found["std_error"] == pytest.approx(np.sqrt(total), rel=ROUNDING)
    assert found["df"] == pytest.approx(nu, rel=ROUNDING)
    expected = (increase + 2 / (nu + 3)) / (1 + increase)
    assert found["fraction_missing"] == pytest.approx(expected, rel=ROUNDING)
