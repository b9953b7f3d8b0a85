"""Diagnostics: residuals by Cholesky factors and nlme, checks that find what was put in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from dense_mixed import Dense, expected, postfit, postfit_data, rtol
from properties import assert_result_contract
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models import fit_lmm
from pmsstats.models.mixed.lmm_checks import added_curvature
from pmsstats.models.mixed.lmm_diagnostics import (
    diagnose,
    estimate_residuals,
    innovations,
    quantile_envelope,
    random_effect_checks,
    simulate_innovations,
)
from pmsstats.models.mixed.mixed_state import mixed_state

DENSE = 1e-8  # relative: the same algebra by other matrices
RANDOM = ["(year | subject_id)", "(year || subject_id)", "(1 | subject_id)"]
INTERCEPT = "(1 | subject_id)"


@pytest.mark.parametrize("random", RANDOM)
def test_standardised_residuals_are_those_of_the_cholesky_factor(random):
    fit = postfit(random)
    dense = Dense.of(fit)
    beta, _ = dense.gls()
    r = dense.y - dense.X @ beta
    found = estimate_residuals(fit)
    assert found["marginal"].to_numpy() == pytest.approx(r, rel=1e-6, abs=1e-6)
    for i in range(fit.n_subjects):
        rows = np.flatnonzero(dense.subject == i)
        L = np.linalg.cholesky(dense.V[rows][:, rows])
        scaled = np.linalg.solve(L, r[rows])
        assert found["standardised"].to_numpy()[rows] == pytest.approx(scaled, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("kind", ["marginal", "conditional", "pearson"])
def test_residuals_match_nlme(kind):
    found = estimate_residuals(postfit(INTERCEPT))[kind]
    values = expected(kind)
    assert len(values) == len(found)
    for row, value in values.items():
        assert found[int(row) - 1] == pytest.approx(value, rel=1e-4, abs=1e-6)


def test_distances_match_normalized_residuals_of_gls():
    found = diagnose(postfit(INTERCEPT)).subjects.set_index("subject_id")
    for who, value in expected("distance").items():
        assert found.loc[who, "distance"] == pytest.approx(value, rel=10 * rtol("distance"))
    counts = postfit_data().groupby("subject_id").size()
    assert found["df"].to_dict() == counts.to_dict()


def test_shuffled_rows_keep_their_subjects_order():
    data = postfit_data()
    rank = np.random.default_rng(2).permutation(data["subject_id"].nunique())
    key = data["subject_id"].factorize()[0]
    order = np.lexsort((rank[key], data.groupby("subject_id").cumcount().to_numpy()))
    formula = "thalamus_ml ~ year * arm + age_years + (year | subject_id)"
    found = estimate_residuals(fit_lmm(data.iloc[order], formula))["standardised"].to_numpy()
    plain = estimate_residuals(postfit())["standardised"].to_numpy()
    assert found == pytest.approx(plain[order], abs=1e-5)


def test_standardised_random_effects_have_their_dense_variance():
    fit = postfit()
    dense = Dense.of(fit)
    W = np.linalg.inv(dense.V)
    _, C = dense.gls()
    P = W - W @ dense.X @ C @ dense.X.T @ W
    variance = dense.G @ dense.Z.T @ P @ dense.Z @ dense.G
    modes = dense.G @ dense.Z.T @ P @ dense.y
    standardised, distances = random_effect_checks(mixed_state(fit))
    expect = (modes / np.sqrt(np.diag(variance))).reshape(-1, 2)
    assert standardised == pytest.approx(expect, rel=1e-5, abs=1e-6)
    for i in range(fit.n_subjects):
        part = slice(2 * i, 2 * i + 2)
        b = modes[part]
        distance = b @ np.linalg.solve(variance[part, part], b)
        assert distances["distance"][i] == pytest.approx(distance, rel=1e-5)
        assert distances["df"][i] == 2


def test_a_subject_with_one_visit_has_one_dimension():
    data = postfit_data()
    once = data[(data["subject_id"] != "S04") | (data["year"] == 0)]
    fit = fit_lmm(once, "thalamus_ml ~ year * arm + (year | subject_id)")
    _, distances = random_effect_checks(mixed_state(fit))
    assert distances["df"].iloc[list(fit.design.subject_ids).index("S04")] == 1


def test_added_curvature_is_the_t_of_generalised_least_squares():
    fit = postfit()
    dense = Dense.of(fit)
    year = fit.data["year"].to_numpy()
    X = np.column_stack([dense.X, year**2])
    W = np.linalg.inv(dense.V)
    C = np.linalg.inv(X.T @ W @ X)
    z = (C @ X.T @ W @ dense.y)[-1] / np.sqrt(C[-1, -1])
    assert added_curvature(mixed_state(fit), year) == pytest.approx(z, rel=1e-6)
    curved = fit_lmm(postfit_data(), "thalamus_ml ~ year + {year**2} + (1 | subject_id)")
    assert np.isnan(added_curvature(mixed_state(curved), curved.data["year"].to_numpy()))


def test_the_envelope_is_that_of_simulated_order_statistics():
    n = 15
    drawn = np.sort(np.random.default_rng(1).normal(size=(40_000, n)), axis=1)
    found = quantile_envelope(np.arange(n, dtype=float))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    assert found["conf_low"].to_numpy() == pytest.approx(low, abs=0.05)
    assert found["conf_high"].to_numpy() == pytest.approx(high, abs=0.05)
    assert found["expected"].to_numpy() == pytest.approx(drawn.mean(axis=0), abs=0.02)


def test_simulated_residuals_are_standard_normal_less_the_fixed_effects():
    state = mixed_state(postfit())
    drawn = simulate_innovations(state, 300, seed=1)
    n, p = state.arrays.X.shape
    assert (drawn**2).sum(axis=0).mean() == pytest.approx(n - p, rel=4 / np.sqrt(150 * n))
    assert (drawn == simulate_innovations(state, 300, seed=1)).all()
    one = innovations(state, state.residual)
    assert one == pytest.approx(innovations(state, np.column_stack([state.residual] * 2))[:, 1])


def test_contract_figure_and_simulated_envelope():
    result = diagnose(postfit(), n_simulated=50, seed=1)
    assert_result_contract(result)
    assert len(result.figure().axes) == len(result.panels) == 6
    for panel in result.panels:
        assert result.plot(panel=panel).has_data()
    plain = diagnose(postfit())
    other = result.quantiles["conf_low"] != plain.quantiles["conf_low"]
    assert other[result.quantiles["of"] == "residuals"].any()
    assert not other[result.quantiles["of"] != "residuals"].any()


# What is wrong with the data, and the check that should say so
FAULTS = {
    "outlier": ("residuals: largest (Bonferroni)", lambda d: d["y"] + 8.0 * (d.index == 17)),
    "curve": ("mean: square of year added", lambda d: d["y"] + 0.15 * d["year"] ** 2),
    "skew": (
        "residuals: skewness",
        lambda d: d["y"] + np.random.default_rng(1).exponential(1.5, len(d)),
    ),
    "spread": (
        "residuals: spread against mean (Spearman)",
        lambda d: d["y"] + np.random.default_rng(1).normal(0, 1.5, len(d)) * (d["year"] > 2),
    ),
    "memory": (
        "residuals: correlation with the row before",
        lambda d: d["y"] + memory(len(d)),
    ),
    "odd subject": (
        "subjects: largest distance (Bonferroni)",
        lambda d: d["y"] + 3.0 * ((d["subject_id"] == 5) & (d["year"] % 2 == 0)),
    ),
}


def memory(n):
    e = np.random.default_rng(4).normal(0, 0.6, n)
    made = np.zeros(n)
    for i in range(1, n):
        made[i] = 0.8 * made[i - 1] + e[i]
    return made


def trial(seed=1, n=60, visits=6):
    rng = np.random.default_rng(seed)
    year = np.tile(np.arange(float(visits)), n)
    subject = np.repeat(np.arange(n), visits)
    y = 10 - 0.4 * year + rng.normal(0, 1, n)[subject] + rng.normal(0, 0.5, len(year))
    return pd.DataFrame({"subject_id": subject, "year": year, "y": y})


@pytest.mark.parametrize("fault", FAULTS)
def test_checks_find_what_is_wrong(fault):
    check, spoil = FAULTS[fault]
    data = trial()
    spoiled = diagnose(fit_lmm(data.assign(y=spoil(data)), "y ~ year + (1 | subject_id)"))
    row = spoiled.table().set_index("check").loc[check]
    assert row["p_value"] < 0.01
    assert check in spoiled.headline()


@pytest.mark.slow
def test_checks_hold_their_level_where_nothing_is_wrong():
    n = 150
    tables = [
        diagnose(
            fit_lmm(trial(seed=100 + i, n=40, visits=4), "y ~ year + (1 | subject_id)")
        ).table()
        for i in range(n)
    ]
    p_values = pd.concat(tables).groupby("check")["p_value"]
    shares = p_values.agg(lambda p: (p < 0.05).mean())
    assert (shares < 0.05 + 4 * np.sqrt(0.05 * 0.95 / n)).all()


def test_a_singular_fit_has_no_random_effects_to_check():
    data = trial().assign(y=np.random.default_rng(3).normal(0, 1, 360))
    result = diagnose(fit_lmm(data, "y ~ year + (1 | subject_id)"))
    assert "singular" in result.headline()
    assert set(result.quantiles["of"]) == {"residuals"}
    assert_result_contract(result)


def test_bad_requests_are_refused():
    with pytest.raises(DesignError, match="`time`"):
        diagnose(postfit(), time="arm")
    with pytest.raises(DesignError, match="`seed`"):
        diagnose(postfit(), n_simulated=10)
    with pytest.raises(DesignError, match="Did you mean 'subjects'"):
        diagnose(postfit()).plot(panel="subject")


def test_panels_show_what_the_frames_hold():
    result = diagnose(postfit())
    ax = result.plot(panel="time")
    assert ax.get_xlabel() == "year"
    assert len(ax.lines[-1].get_xdata()) == len(postfit_data())
    assert stats.norm.cdf(result.quantiles["expected"]).max() < 1
