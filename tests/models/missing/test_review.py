"""Second look at missing data: pooled answers, forms of a shift, three arms, centred covariates."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.errors import DesignError
from pmsstats.models.missing import (
    DeltaAdjustment,
    MissingSpec,
    estimate_with_missing,
    impute_batch,
    tipping_point,
)
from pmsstats.models.missing.pooling import pool_rubin

ROUNDING = 1e-12


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


@pytest.mark.parametrize("value", [1, 1.0, np.int64(1), np.float32(1)])
def test_a_shift_may_be_any_number(value):
    assert DeltaAdjustment(arm="active", values=value) == DeltaAdjustment(arm="active", values=1.0)


@pytest.mark.parametrize("values", [{"W48": 2}, (("W48", 2),), [("W48", np.int64(2))]])
def test_shifts_by_visit_may_come_in_any_form(values):
    """All are pairs in the end, so that a request can be told apart and hashed."""
    found = DeltaAdjustment(arm="active", values=values)
    assert found == DeltaAdjustment(arm="active", values=(("W48", 2.0),))
    assert isinstance(hash(found), int)


@pytest.mark.parametrize("values", ["1", "W48", None, (1.0, 2.0), {"W48": "much"}])
def test_shifts_that_are_none_are_refused(values):
    with pytest.raises(DesignError, match="must be one number, or a mapping of visit to number"):
        DeltaAdjustment(arm="active", values=values)


def three_arms(n=90, seed=11):
    """Arms of very different size, and one of four without the last visit."""
    rng = np.random.default_rng(seed)
    arm = np.repeat(["placebo", "low", "high"], [n // 2, n // 3, n - n // 2 - n // 3])
    y = rng.normal(size=(n, 1)) + rng.normal(size=(n, 2))
    table = pd.DataFrame(
        {
            "subject_id": np.repeat(np.arange(n), 2),
            "arm": np.repeat(arm, 2),
            "visit": np.tile(["W24", "W48"], n),
            "y": y.ravel(),
        }
    )
    return table[(table["visit"] == "W24") | (table["subject_id"] % 4 > 0)]


@pytest.mark.parametrize("arm", ["low", "high"])
def test_no_shift_is_the_analysis_itself_in_every_arm(arm):
    """The tipping search has sums of squares of its own, and must find the same error."""
    spec = MissingSpec(outcome="y", reference="placebo", n_imputations=5, burn_in=5)
    table = three_arms()
    found = tipping_point(table, spec, deltas=[0.0], arm=arm, seed=3).table().iloc[0]
    pooled = estimate_with_missing(table, spec, seed=3).table().set_index(["visit", "term"])
    expected = pooled.loc[("W48", f"{arm} - placebo")]
    for name in ("estimate", "std_error", "df", "conf_low", "conf_high"):
        assert found[name] == pytest.approx(expected[name], rel=1e-9), name


def test_means_of_a_batch_are_those_of_average_subjects():
    """Covariates are centred: where they are counted from changes no mean and no value."""
    rng = np.random.default_rng(2)
    y, x = rng.normal(size=(3, 40, 2)), rng.normal(size=(40, 1))
    y[:, :5, 1] = np.nan
    arm = np.arange(40) % 2
    here, there = (impute_batch(y, arm, strategy="JR", covariates=x + c) for c in (0.0, 100.0))
    np.testing.assert_allclose(there.coefs, here.coefs, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(there.completed, here.completed, rtol=1e-6, atol=1e-8)
    # Complete at the first visit: arm means there, adjusted by the common regression.
    X = np.column_stack([arm == 0, arm == 1, x - x.mean()]).astype(float)
    expected = np.linalg.lstsq(X, y[0, :, 0], rcond=None)[0]
    assert here.coefs[0, :, 0] == pytest.approx(expected, abs=1e-6)
