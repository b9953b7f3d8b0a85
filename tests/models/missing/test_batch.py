"""Batches of simulated trials: the same as one trial at a time."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.errors import DesignError
from pmsstats.models.missing import MissingSpec, estimate_with_missing, impute_batch

SAME_MAXIMUM = 1e-8


def trials(n_replicates: int = 6, n: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(9)
    arm, x = np.arange(n) % 2, rng.normal(size=n)
    y = rng.normal(size=(n_replicates, n, 1)) + rng.normal(size=(n_replicates, n, 3))
    y += x[:, None] + arm[:, None] * np.array([0.2, 0.5, 0.8])
    last = rng.integers(1, 7, (n_replicates, n))
    y[np.arange(3) >= last[:, :, None]] = np.nan
    y[:, 5] = [np.nan, 1.0, 0.5]  # a gap before others
    return y, arm, x


@pytest.mark.parametrize("strategy", ["MAR", "JR", "CR", "CIR", "LMCF"])
def test_each_replicate_is_the_analysis_of_its_frame(strategy):
    y, arm, x = trials()
    batch = impute_batch(y, arm, strategy=strategy, covariates=x[:, None])
    n = len(arm)
    spec = MissingSpec(
        outcome="y", reference="0", covariates=("x",), dropout=strategy, method="conditional_mean"
    )
    table = pd.DataFrame({"subject_id": np.repeat(range(n), 3), "visit": np.tile(range(3), n)})
    table = table.assign(arm=np.repeat(arm, 3).astype(str), x=np.repeat(x, 3))
    for row in (0, 4):
        alone = estimate_with_missing(table.assign(y=y[row].ravel()), spec, seed=1).table()
        found = batch.differences[row, 0]
        np.testing.assert_allclose(found, alone["estimate"], atol=SAME_MAXIMUM)
    assert batch.converged.all()


def test_values_after_an_event_stay_but_inform_no_model():
    y, arm, _ = trials()
    full = np.nan_to_num(y, nan=0.3)
    before = np.where(arm == 1, 2, 3) * np.ones((6, 1), dtype=int)
    before[:, 1] = 3  # one stays on treatment, so that its mean at the end is known
    before[:, 3:40] = 3
    one = impute_batch(full, arm, strategy="JR", n_before=before)
    other = full.copy()
    other[:, 41::2, 2] += 100.0
    two = impute_batch(other, arm, strategy="JR", n_before=before)
    np.testing.assert_array_equal(one.coefs, two.coefs)
    np.testing.assert_array_equal(two.completed, other)


def test_a_replicate_without_a_fit_is_flagged():
    y, arm, _ = trials()
    y[2][arm == 1, 2] = np.nan
    batch = impute_batch(y, arm)
    assert batch.converged.tolist() == [True, True, False, True, True, True]
    assert np.isnan(batch.completed[2]).all()


BAD = [
    ({"arm": np.full(60, 2)}, "`arm` must be 60 whole numbers from 0"),
    ({"strategy": "J2R"}, "`strategy` must be one of MAR, JR, CR, CIR, LMCF, got 'J2R'"),
    ({"n_before": np.full((6, 60), 7)}, "`n_before` must be whole numbers from 0 to 3"),
    ({"covariates": np.full((60, 1), np.nan)}, "`covariates` must be finite"),
    ({"strategy": "LMCF", "n_before": np.zeros((6, 60), int)}, "LMCF needs a visit before"),
    ({"y": np.zeros((60, 3))}, "`y` must have shape"),
]


@pytest.mark.parametrize(("change", "message"), BAD)
def test_bad_input_is_refused(change, message):
    y, arm, _ = trials()
    given = {"y": y, "arm": arm, **change}
    with pytest.raises(DesignError, match=message):
        impute_batch(given.pop("y"), given.pop("arm"), **given)


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
