"""Tipping points: the same as an analysis with that delta, and crossings where they should be."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from missing_trials import small_trial
from properties import assert_result_contract

from pmsstats.errors import DesignError
from pmsstats.models.missing import (
    DeltaAdjustment,
    MissingSpec,
    estimate_with_missing,
    tipping_point,
)

ROUNDING = 1e-9
METHODS = [
    {"method": "bayes"},
    {"method": "bootstrap"},
    {"method": "conditional_mean"},
    {"method": "conditional_mean", "variance": "bootstrap", "n_imputations": 30},
    {"method": "bayes", "analysis": "slope"},
]


def spec_of(**options) -> MissingSpec:
    start = {"outcome": "y", "reference": "placebo", "n_imputations": 6, "burn_in": 5}
    return MissingSpec(**{**start, "covariates": ("x",), **options})


@pytest.mark.parametrize("options", METHODS)
@pytest.mark.parametrize("scope", ["after_event", "imputed"])
def test_each_point_of_the_grid_is_the_analysis_with_that_delta(options, scope):
    table = small_trial()
    found = tipping_point(
        table, spec_of(**options), deltas=[-1.0, 0.5], reference_deltas=[0.0, 0.3], scope=scope,
        seed=3,
    )  # fmt: skip
    assert len(found.table()) == 4
    for row in found.table().to_dict("records"):
        delta = (
            DeltaAdjustment(arm="active", values=row["delta"], scope=scope),
            DeltaAdjustment(arm="placebo", values=row["delta_reference"], scope=scope),
        )
        alone = estimate_with_missing(table, spec_of(delta=delta, **options), seed=3).table()
        for name in ("estimate", "std_error", "p_value", "conf_low"):
            assert row[name] == pytest.approx(alone[name].iloc[-1], rel=ROUNDING, abs=ROUNDING)


def test_at_the_tip_p_is_alpha():
    table = small_trial()
    spec = spec_of(conf_level=0.9)
    found = tipping_point(table, spec, deltas=[-5.0, 5.0], seed=3)
    assert found.tips
    for tip in found.tips:
        delta = (DeltaAdjustment(arm="active", values=tip),)
        alone = estimate_with_missing(table, spec_of(conf_level=0.9, delta=delta), seed=3).table()
        assert alone["p_value"].iloc[-1] == pytest.approx(0.1, abs=1e-7)


def test_the_tip_is_where_a_straight_line_crosses_by_hand():
    """Conditional means: estimate and every resample are lines in delta, so p is known."""
    table = small_trial()
    spec = spec_of(method="conditional_mean", covariates=())
    at = tipping_point(table, spec, deltas=[0.0, 1.0], seed=1).table()["estimate"].to_numpy()
    active = table[table["arm"] == "active"]
    last = active[active["visit"] == "W48"]
    share = last["y"].isna().mean()  # of the active arm is shifted, all after dropout
    assert at[1] - at[0] == pytest.approx(share, rel=ROUNDING)


WORDS = [
    ([-0.001, 0.001], "whatever shift from -0.001000 to 0.001000 is added to imputed values"),
    ([-9.0, 9.0], "is added to imputed values of"),
]


@pytest.mark.parametrize(("deltas", "words"), WORDS)
@pytest.mark.parametrize("reference_deltas", [[0.0], [-1.0, 0.0, 1.0]])
def test_results_honour_the_contract(deltas, words, reference_deltas):
    found = tipping_point(
        small_trial(), spec_of(), deltas=deltas, reference_deltas=reference_deltas, seed=3
    )
    assert_result_contract(found)
    assert words in found.headline()
    assert bool(found.tips) == (deltas[1] > 1)


def test_an_earlier_visit_can_be_looked_at():
    table = small_trial()
    found = tipping_point(table, spec_of(), deltas=[0.0], visit="W24", seed=3)
    alone = estimate_with_missing(table, spec_of(), seed=3).table().set_index("visit")
    assert found.table()["estimate"].item() == pytest.approx(alone.loc["W24", "estimate"])


BAD = [
    ({"deltas": []}, "`deltas` must be one or more finite shifts"),
    ({"deltas": [np.nan]}, "`deltas` must be one or more finite shifts"),
    ({"reference_deltas": [np.inf]}, "`reference_deltas` must be one or more"),
    ({"arm": "placebo"}, "`arm` must be one of active, got 'placebo'"),
    ({"visit": "W36"}, "`visit` must be one of W12, W24, W48, got 'W36'"),
    ({"scope": "all"}, "`scope` must be one of"),
]


@pytest.mark.parametrize(("options", "message"), BAD)
def test_bad_input_is_refused(options, message):
    with pytest.raises(DesignError, match=message):
        tipping_point(small_trial(), spec_of(), **{"deltas": [0.0, 1.0], "seed": 1, **options})


def test_functions_as_analysis_are_refused():
    with pytest.raises(DesignError, match="must be 'ancova' or 'slope' for tipping points"):
        tipping_point(small_trial(), spec_of(analysis=lambda frame: frame), deltas=[1.0], seed=1)


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
