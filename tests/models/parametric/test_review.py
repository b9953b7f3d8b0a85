"""Review of parametric models: what no other test would have noticed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.models.curves.turnbull import TurnbullSpec, fit_turnbull
from pmsstats.models.parametric.aft import AFTSpec, fit_aft
from pmsstats.models.parametric.flexible import FlexibleSpec, fit_flexible

SAME = 1e-6  # two maxima of the same likelihood, up to its scale


def trial(n: int = 90) -> pd.DataFrame:
    rng = np.random.default_rng(20)
    atrophy = rng.normal(size=n)
    time = rng.weibull(1.4, n) * np.exp(1.0 - 0.4 * atrophy)
    end = rng.uniform(0.5, 4, n)
    return pd.DataFrame(
        {
            "subject_id": [f"S{i}" for i in range(n)],
            "duration": np.minimum(time, end),
            "event": time <= end,
            "atrophy": atrophy,
            "lower": np.floor(2 * time) / 2,
            "upper": np.floor(2 * time) / 2 + 0.5,
        }
    )


def test_rows_of_one_cluster_add_up() -> None:
    """Every subject twice, in one cluster, says no more than every subject once."""
    once = trial()
    twice = pd.concat([once, once], ignore_index=True)
    request = AFTSpec(covariates="atrophy", cluster="subject_id")
    tables = [fit_aft(data, request).table() for data in (once, twice)]
    for column in ("estimate", "std_error"):
        np.testing.assert_allclose(tables[1][column], tables[0][column], rtol=SAME)


@pytest.mark.parametrize(
    ("fit", "spec"), [(fit_aft, AFTSpec), (fit_flexible, FlexibleSpec)], ids=["aft", "flexible"]
)
def test_a_missing_lower_end_is_zero_as_in_turnbull(fit, spec) -> None:
    data = trial()
    early = data["lower"] == 0
    assert early.sum() > 5
    missing = data.assign(lower=data["lower"].where(~early))
    request = spec(covariates="atrophy", lower="lower", upper="upper")
    given, left_out = fit(data, request), fit(missing, request)
    assert left_out.exclusions == ()
    assert left_out.log_likelihood == pytest.approx(given.log_likelihood, rel=SAME)
    curves = [fit_turnbull(d, TurnbullSpec()).curves() for d in (data, missing)]
    pd.testing.assert_frame_equal(*curves)
