"""Review of surrogacy: what no other test would have noticed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.surrogacy import MediationSpec, mediation
from pmsstats.surrogacy.effect_regression import WeightedRegression

EXACT = 1e-9  # the same sums in another order


@pytest.mark.parametrize("outcome", [{"outcome": "change"}, {"duration": "year", "event": "event"}])
def test_reliability_divides_the_indirect_effect_and_its_error(outcome) -> None:
    rng = np.random.default_rng(6)
    arm = np.repeat(["placebo", "active"], 150)
    slope = 0.4 * (arm == "active") + rng.normal(size=300)
    year = rng.exponential(4.0, 300)
    trial = pd.DataFrame({"arm": arm, "slope": slope, "change": rng.normal(size=300) - slope})
    trial = trial.assign(year=np.minimum(year, 3.0), event=year < 3.0)
    rows = [
        mediation(
            trial,
            MediationSpec(
                surrogate="slope", reference="placebo", reliability=share, n_replicates=0, **outcome
            ),
            seed=1,
        ).table().set_index("term")
        for share in (1.0, 0.8)
    ]  # fmt: skip
    for column in ("estimate", "std_error"):
        found = [r.loc["natural indirect effect", column] for r in rows]
        assert found[1] == pytest.approx(found[0] / 0.8, rel=EXACT)
        total = [r.loc["total effect", column] for r in rows]
        assert total[1] == pytest.approx(total[0], rel=EXACT)


def test_line_of_the_full_model_stands_at_the_mean_of_the_reference_arms() -> None:
    """Its intercept and error are those of least squares with that mean taken off."""
    rng = np.random.default_rng(9)
    effect, extra = rng.normal(size=(2, 12))
    weights, outcome = rng.uniform(1, 5, 12), rng.normal(size=12)
    extra = extra + 3.0
    model = WeightedRegression(
        surrogate=effect[:, None], outcome=outcome, weights=weights, extra=extra
    )
    line = model.fits(np.ones((1, 12)))[0].line
    X = np.column_stack([np.ones(12), effect, extra - np.average(extra, weights=weights)])
    inverse = np.linalg.inv((X * weights[:, None]).T @ X)
    beta = inverse @ (X.T @ (weights * outcome))
    variance = (weights * (outcome - X @ beta) ** 2).sum() / 9
    assert line.intercept == pytest.approx(beta[0], rel=EXACT)
    assert line.slopes[0] == pytest.approx(beta[1], rel=EXACT)
    np.testing.assert_allclose(line.covariance, variance * inverse[:2, :2], rtol=EXACT)
