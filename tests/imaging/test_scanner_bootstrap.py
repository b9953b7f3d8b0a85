"""Uncertainty of a slope with the harmonisation repeated in every replicate."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from properties import assert_result_contract
from scanner_cases import scans

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.imaging import HarmonisationSpec, bootstrap_harmonised_slopes, harmonise
from pmsstats.models import fit_lmm

SPEC = HarmonisationSpec(
    features=("feature1", "feature2"), model="year * arm + (1 | subject_id)", by="arm",
    residual_scale="MSR",
)  # fmt: skip
ADDITIVE = HarmonisationSpec(
    features=("feature1",), model="year * arm + (1 | subject_id)", by="arm", multiplicative=False
)


@pytest.fixture(scope="module")
def data():
    return scans(seed=31, n_subjects=80, n_features=2)


@pytest.fixture(scope="module")
def found(data):
    return bootstrap_harmonised_slopes(data, SPEC, seed=1, n_replicates=20)


def test_same_seed_gives_the_same_replicates_and_more_extend_them(data, found):
    longer = bootstrap_harmonised_slopes(data, SPEC, seed=1, n_replicates=25)
    np.testing.assert_array_equal(longer.replicates.iloc[:20], found.replicates)
    other = bootstrap_harmonised_slopes(data, SPEC, seed=2, n_replicates=2)
    assert not np.allclose(other.replicates, found.replicates.iloc[:2])


def test_estimates_are_those_of_the_model_of_harmonised_values(data, found):
    made = harmonise(data, SPEC).harmonised()
    fit = fit_lmm(made, "feature1 ~ year * arm + (1 | subject_id)").table().set_index("term")
    table = found.table().set_index("term")
    assert table.loc["placebo", "estimate"] == pytest.approx(fit.loc["year", "estimate"], rel=1e-6)
    row, expected = table.loc["active - placebo"], fit.loc["year:arm[T.active]"]
    assert row["estimate"] == pytest.approx(expected["estimate"], rel=1e-5)
    assert row["std_error_naive"] == pytest.approx(expected["std_error"], rel=1e-6)


def test_summary_is_that_of_the_replicates(found):
    assert found.table()["quantity"].tolist() == ["slope", "slope", "difference"]
    assert "per year (active - placebo)" in found.headline()
    table = found.table().set_index("term")
    draws = found.replicates
    np.testing.assert_allclose(table["std_error"], draws.std(ddof=1)[table.index])
    np.testing.assert_allclose(table["conf_low"], draws.quantile(0.025)[table.index])
    np.testing.assert_allclose(
        table["ratio_to_naive"], table["std_error"] / table["std_error_naive"]
    )


def test_a_replicate_is_the_analysis_of_the_drawn_subjects(data, found):
    from pmsstats.seeds import stream

    order = pd.Index(data["subject_id"].unique())
    sequence = data.groupby("subject_id")["scanner_id"].agg(lambda s: " > ".join(dict.fromkeys(s)))
    arm = data.groupby("subject_id")["arm"].first().astype(str)
    label = (arm + ": " + sequence)[order]
    size = label.map(label.value_counts())
    label = label.where(size >= 10, arm[order] + ": other sequences")
    rng = stream(1, "scanner bootstrap", 0)
    chosen = []
    for name in label.unique():
        ids = np.flatnonzero((label == name).to_numpy())
        chosen.append(rng.choice(ids, size=len(ids)))
    drawn = [
        data[data["subject_id"] == order[i]].assign(subject_id=f"R{k:03d}")
        for k, i in enumerate(np.concatenate(chosen))
    ]
    made = harmonise(pd.concat(drawn, ignore_index=True), SPEC).harmonised()
    fit = fit_lmm(made, "feature1 ~ year * arm + (1 | subject_id)").table().set_index("term")
    expected = [fit.loc["year", "estimate"], fit.loc["year:arm[T.active]", "estimate"]]
    first = found.replicates.loc[0, ["placebo", "active - placebo"]]
    np.testing.assert_allclose(first, expected, rtol=1e-5)


def test_strata_keep_arms_and_sequences_of_scanners(found):
    assert found.strata["n_subjects"].sum() == found.n_subjects == 80
    assert found.strata["stratum"].str.match("(placebo|active): ").all()
    small = found.strata[found.strata["n_subjects"] < 10]
    assert small["stratum"].str.endswith("other sequences").all()


@pytest.mark.slow
def test_inflation_is_what_the_design_says_it_costs_to_estimate_the_shifts():
    data = scans(seed=41, n_subjects=120, n_features=1, noise=np.ones(3))
    found = bootstrap_harmonised_slopes(data, ADDITIVE, seed=3, n_replicates=400)
    table = found.table().set_index("term")
    by_term = found.harmonisation.check.inflation.set_index("term")["inflation"]
    # Both standard errors are from the same draws: their ratio has a Monte Carlo error of less
    # than 1 / sqrt(2 x 400), that of one of them.
    mcse = 1 / np.sqrt(2 * len(found.replicates))
    assert abs(table.loc["placebo", "inflation"] - by_term["year"]) < 4 * mcse
    difference = table.loc["active - placebo", "inflation"]
    assert abs(difference - by_term["year:arm[T.active]"]) < 4 * mcse
    assert abs(table.loc["active - placebo", "ratio_to_naive"] - 1) < 4 * mcse + 0.05


def test_failed_replicates_are_counted_and_too_many_are_refused(data):
    rare = data.copy()
    some = rare["subject_id"].isin(["S000", "S002", "S004"]) & (rare["year"] > 1)
    rare.loc[some, "scanner_id"] = "D"
    with pytest.raises(ConvergenceError, match="a scanner had too few scans"):
        bootstrap_harmonised_slopes(rare, SPEC, seed=1, n_replicates=15, max_failure_rate=0.0)
    found = bootstrap_harmonised_slopes(rare, SPEC, seed=1, n_replicates=15, max_failure_rate=0.9)
    assert found.n_failed == found.failures["a scanner had too few scans"] > 0
    assert len(found.replicates) == 15 - found.n_failed


@pytest.mark.parametrize(
    "options", [{"n_replicates": 1}, {"n_replicates": True}, {"feature": "feature9"}]
)
def test_wrong_requests_are_refused(data, options):
    with pytest.raises(DesignError):
        bootstrap_harmonised_slopes(data, SPEC, seed=1, **options)


def test_result_keeps_the_contract(found):
    assert_result_contract(found)
