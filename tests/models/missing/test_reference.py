"""Against R: conditional means by gls, a posterior sampled in R, Rubin's rules by mitools."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from reference_cases import load_case

from pmsstats.models.missing import MissingSpec, estimate_with_missing
from pmsstats.models.missing.pooling import pool_rubin

STRATEGIES = ("MAR", "JR", "CR", "CIR", "LMCF")
CASE = load_case("missing_strategies")
MANY = 2000  # imputations: the tolerances in expected.csv count on it
EVENTS = (
    CASE.input.dropna(subset=["first_affected"])
    .drop_duplicates("subject_id")
    .assign(event="stopped", visit=lambda d: d["first_affected"])[["subject_id", "event", "visit"]]
)


def answer(strategy: str, **options) -> pd.DataFrame:
    spec = MissingSpec(
        outcome="change", reference="placebo", strategies={"stopped": strategy},
        **{"covariates": ("base",), **options},
    )  # fmt: skip
    result = estimate_with_missing(CASE.input, spec, intercurrent=EVENTS, seed=20261123)
    return result.table().set_index("visit")


def assert_agrees(table: pd.DataFrame, prefix: str, columns: tuple[str, ...]) -> None:
    for column in columns:
        rows = CASE.rows(f"{prefix}.{column}")
        found = table.loc[rows["term"], column].to_numpy()
        np.testing.assert_array_less(
            np.abs(found - rows["value"]), rows["rtol"] * np.abs(rows["value"]), column
        )


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_conditional_means_and_jackknife_agree_with_gls(strategy):
    table = answer(strategy, method="conditional_mean")
    assert_agrees(table, f"conditional.{strategy}", ("estimate", "std_error"))


@pytest.mark.parametrize("strategy", ["JR", "CR", "CIR"])
def test_a_covariance_per_arm_is_spliced_as_in_the_paper(strategy):
    table = answer(strategy, method="conditional_mean", covariance_by_arm=True, covariates=())
    assert_agrees(table, f"by_arm.{strategy}", ("estimate",))


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_posterior_imputations_agree_with_a_sampler_in_r(strategy):
    table = answer(strategy, method="bayes", n_imputations=MANY, burn_in=30)
    assert_agrees(table, f"bayes.{strategy}", ("estimate", "std_error", "df"))


def test_rubins_rules_agree_with_mitools():
    case = load_case("missing_pooling")
    values = case.input["estimate"].to_numpy()[:, None]
    squares = case.input["std_error"].to_numpy()[:, None] ** 2
    found = pool_rubin(values, squares, np.full(values.shape, np.inf), ("x",)).iloc[0]
    assert len(case.expected) == 6
    for row in case.expected.itertuples():
        assert found[row.quantity] == pytest.approx(row.value, rel=row.rtol)
