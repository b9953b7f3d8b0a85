"""Review of curves: what no other test would have noticed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from pmsstats.models.curves.turnbull import TurnbullSpec, fit_turnbull

MCSE_TOLERANCE = 4.0  # Monte Carlo standard errors


def test_bootstrap_of_disjoint_intervals_is_binomial() -> None:
    """Where all know their interval, survival is a share: its resampled values are binomial."""
    n, n_replicates = 200, 2000
    late = np.repeat([0.0, 1.0], [120, 80])
    data = pd.DataFrame({"lower": late, "upper": late + 1.0})
    found = fit_turnbull(data, TurnbullSpec(n_replicates=n_replicates), seed=4).curves().iloc[0]
    share = stats.binom(n, 0.4)
    error = np.sqrt(0.025 * 0.975 / n_replicates)  # of the tail probability of a percentile
    for column, tail in (("conf_low", 0.025), ("conf_high", 0.975)):
        ends = share.ppf([tail - MCSE_TOLERANCE * error, tail + MCSE_TOLERANCE * error]) / n
        assert ends[0] <= found[column] <= ends[1]
    assert found["survival"] == pytest.approx(0.4)
