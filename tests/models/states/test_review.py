"""Review of multi-state models: what no other test would have noticed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.models.states.multistate import MultistateSpec, fit_multistate

EXACT = 1e-8  # a matrix exponential against exp


def test_expected_shares_use_the_covariates_of_each_subject() -> None:
    """With one transition the expected share of the first state is a mean of exponentials."""
    rng = np.random.default_rng(12)
    n = 120
    x = rng.normal(size=n).round(2)
    change = rng.exponential(1 / (0.4 * np.exp(0.9 * x)))
    rows = pd.DataFrame(
        {
            "subject_id": np.repeat([f"S{i:03d}" for i in range(n)], 4),
            "year": np.tile([0.0, 1.0, 2.0, 3.0], n),
            "x": np.repeat(x, 4),
        }
    )
    rows["state"] = np.where(rows["year"] < np.repeat(change, 4), "1", "2")
    fit = fit_multistate(
        rows, MultistateSpec(states=("1", "2"), transitions="progressive", covariates="x")
    )
    rate = [fit.intensities({"x": value})["estimate"].iloc[0] for value in x]
    found = fit.prevalence(times=(1.5,)).set_index("state")["expected_share"]
    assert found["1"] == pytest.approx(np.exp(-1.5 * np.array(rate)).mean(), rel=EXACT)
