"""Two outcomes together: nlme as stored witness, dense algebra, moments, recovery, bad input."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from properties import assert_covariance_matrix, assert_result_contract
from reference_cases import load_case
from scipy import optimize, stats

from pmsstats.errors import ConvergenceWarning, DesignError, FormulaError
from pmsstats.models.mixed.lmm import fit_lmm
from pmsstats.models.pairs import PairResult, PairSpec, fit_pair
from synthetic import generate_cohort

FORMULAS = (
    "volume ~ year + year:active + (year | subject_id)",
    "score ~ year + (year | subject_id)",
)
SPEC = PairSpec(first=FORMULAS[0], second=FORMULAS[1])
CASES = {
    "reml": SPEC,
    "ml": dataclasses.replace(SPEC, method="ML"),
    "visits": dataclasses.replace(SPEC, residual_correlation=True),
}
SAME_FIT = 1e-6  # relative: Newton's method from numbers that differ by rounding
ROUNDING = 1e-9  # relative: the same algebra in another order
EFFECTS = ("volume: intercept", "volume: year", "score: intercept", "score: year")


def visits() -> pd.DataFrame:
    frame = load_case("pairs_visits").input
    return frame.assign(active=(frame["arm"] == "active").astype(float))


@cache
def fitted(case: str = "reml") -> PairResult:
    return fit_pair(visits(), CASES[case])


def drawn(
    n: int = 200, n_visits: int = 5, rho: float = 0.6, seed: int = 1, missing: float = 0.0
) -> pd.DataFrame:
    """Draw from the model: slopes of volume and score correlate at rho."""
    rng = np.random.default_rng(seed)
    sd = np.array([1.0, 0.06, 0.8, 0.2])
    R = np.eye(4)
    R[1, 3] = R[3, 1] = rho
    R[0, 2] = R[2, 0] = 0.4
    b = rng.multivariate_normal(np.zeros(4), R * np.outer(sd, sd), n)
    year = np.tile(np.arange(n_visits) * 0.75, n)
    who = np.repeat(np.arange(n), n_visits)
    frame = pd.DataFrame({"subject_id": who, "year": year})
    error = rng.normal(size=(len(frame), 2)) * [0.1, 0.3]
    frame["volume"] = 15 + b[who, 0] + (-0.1 + b[who, 1]) * year + error[:, 0]
    frame["score"] = b[who, 2] + (-0.1 + b[who, 3]) * year + error[:, 1]
    for name in ("volume", "score"):
        frame.loc[rng.random(len(frame)) < missing, name] = np.nan
    return frame


SIMPLE = ("volume ~ year + (year | subject_id)", "score ~ year + (year | subject_id)")


# --- another implementation ---------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_likelihood_is_that_of_nlme_or_higher(case):
    expected = load_case("pairs_visits").rows(f"{case}.log_likelihood").iloc[0]
    found = fitted(case).log_likelihood
    assert found >= expected["value"] - 1e-9
    assert found == pytest.approx(expected["value"], rel=expected["rtol"])


def found_values(fit: PairResult) -> dict[str, dict[str, float]]:
    """Return what nlme gave, by quantity and term."""
    fixed = fit.coefficients
    names = (fixed["outcome"] + ": " + fixed["term"]).replace(
        {"volume: year:active": "volume: slope by arm"}
    )
    D = fit.random_covariance
    sd = pd.Series(np.sqrt(np.diag(D)), index=D.index)
    R = D / np.outer(sd, sd)
    blups = fit.blups().set_index("subject_id")
    return {
        "fixed": dict(zip(names, fixed["estimate"], strict=True)),
        "fixed_std_error": dict(zip(names, fixed["std_error"], strict=True)),
        "sd": sd.to_dict(),
        "correlation": {f"{a} with {b}": R.loc[a, b] for a in EFFECTS for b in EFFECTS},
        "residual_sd": dict(zip(("volume", "score"), fit.residual_sd, strict=True)),
        "blup": {f"{i} {name}": blups.loc[i, name] for i in blups.index for name in EFFECTS},
        "residual_correlation": {"visit": fit.residual_correlation},
    }


@pytest.mark.parametrize(
    ("case", "quantity"),
    [
        *((case, q) for case in CASES for q in ("fixed", "fixed_std_error", "sd", "correlation")),
        *((case, q) for case in CASES for q in ("residual_sd", "blup")),
        ("visits", "residual_correlation"),
    ],
)
def test_estimates_equal_those_of_nlme(case, quantity):
    expected = load_case("pairs_visits").rows(f"{case}.{quantity}")
    found = found_values(fitted(case))[quantity]
    for row in expected.itertuples():
        assert found[row.term] == pytest.approx(row.value, rel=row.rtol), row.term


# --- closed form and brute force ----------------------------------------------------------------


def least_squares(frame: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray, float]:
    """Fit each subject's line in balanced data: effects (n, 2), (Z'Z)^-1, residual variance."""
    wide = frame.pivot_table(index="subject_id", columns="year", values=name)
    Z = np.column_stack([np.ones(wide.shape[1]), wide.columns.to_numpy(float)])
    inverse = np.linalg.inv(Z.T @ Z)
    b = wide.to_numpy() @ Z @ inverse
    rest = wide.to_numpy() - b @ Z.T
    return b, inverse, float((rest**2).sum() / (rest.size - b.size))


@pytest.mark.parametrize(("method", "ddof"), [("REML", 1), ("ML", 0)])
def test_balanced_data_have_moment_estimates(method, ddof):
    frame = drawn(n=150)
    fit = fit_pair(frame, PairSpec(first=SIMPLE[0], second=SIMPLE[1], method=method))
    parts = [least_squares(frame, name) for name in ("volume", "score")]
    D = np.cov(np.hstack([parts[0][0], parts[1][0]]).T, ddof=ddof)
    for k, (_, inverse, s2) in enumerate(parts):
        D[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] -= s2 * inverse
    assert np.linalg.eigvalsh(D)[0] > 0  # else the moments are no covariance
    assert fit.random_covariance.to_numpy() == pytest.approx(D, rel=SAME_FIT, abs=1e-8)
    assert np.square(fit.residual_sd) == pytest.approx([part[2] for part in parts], rel=SAME_FIT)
    mean = np.concatenate([part[0].mean(axis=0) for part in parts])
    assert fit.coefficients["estimate"].to_numpy() == pytest.approx(mean, rel=SAME_FIT)


def test_naive_correlation_and_reliability_are_those_of_own_lines():
    frame = drawn(n=60)
    fit = fit_pair(frame, SIMPLE)
    parts = [least_squares(frame, name) for name in ("volume", "score")]
    naive = fit.naive_slope_correlation()
    expected = stats.pearsonr(parts[0][0][:, 1], parts[1][0][:, 1])
    assert naive.estimate == pytest.approx(expected.statistic, rel=SAME_FIT)
    low, high = expected.confidence_interval(0.95)
    assert (naive.conf_low, naive.conf_high) == pytest.approx((low, high), rel=1e-6)
    table = fit.reliability()
    for k, (b, inverse, s2) in enumerate(parts):
        assert table["error_sd"][k] == pytest.approx(np.sqrt(s2 * inverse[1, 1]), rel=SAME_FIT)
        true = b[:, 1].var(ddof=1) - s2 * inverse[1, 1]
        assert table["reliability"][k] == pytest.approx(true / b[:, 1].var(ddof=1), rel=SAME_FIT)
    # in balanced data the corrected correlation is the naive one over the attenuation, exactly
    assert fit.slope_correlation().estimate == pytest.approx(
        naive.estimate / fit.attenuation, rel=SAME_FIT
    )


def dense_deviance(fit: PairResult, D: np.ndarray, s: np.ndarray) -> float:
    """Minus twice the log-likelihood from whole covariance matrices, in the user's units."""
    designs = fit.design.designs
    ids = list(fit.design.subject_ids)
    n = [d.arrays.n_obs for d in designs]
    q = [d.arrays.Z.shape[1] for d in designs]
    Z, start = np.zeros((sum(n), len(ids) * sum(q))), 0
    R, years = np.zeros((sum(n),) * 2), []
    for k, d in enumerate(designs):
        for i in range(n[k]):
            at = ids.index(d.subject_ids[d.arrays.subject[i]]) * sum(q) + k * q[0]
            Z[start + i, at : at + q[k]] = d.arrays.Z[i]
            R[start + i, start + i] = s[k]
        years.append(list(zip(d.rows["subject_id"], d.rows["year"], strict=True)))
        start += n[k]
    if len(s) == 3:
        for i, key in enumerate(years[0]):
            if key in years[1]:
                j = n[0] + years[1].index(key)
                R[i, j] = R[j, i] = s[2]
    X = np.zeros((sum(n), sum(d.arrays.X.shape[1] for d in designs)))
    X[: n[0], : designs[0].arrays.X.shape[1]] = designs[0].arrays.X
    X[n[0] :, designs[0].arrays.X.shape[1] :] = designs[1].arrays.X
    y = np.concatenate([d.arrays.y for d in designs])
    V = Z @ np.kron(np.eye(len(ids)), D) @ Z.T + R
    inverse = np.linalg.inv(V)
    C = X.T @ inverse @ X
    r = y - X @ np.linalg.solve(C, X.T @ inverse @ y)
    value = np.linalg.slogdet(V)[1] + r @ inverse @ r + len(y) * np.log(2 * np.pi)
    if fit.spec.method == "REML":
        value += np.linalg.slogdet(C)[1] - X.shape[1] * np.log(2 * np.pi)
    return float(value)


@pytest.mark.parametrize("case", ["reml", "ml", "visits"])
def test_likelihood_and_errors_equal_those_of_whole_matrices(case):
    few = visits().query("subject_id < 'S032'")
    fit = fit_pair(few, CASES[case])
    D, s = fit.variances.D, fit.variances.residual
    assert dense_deviance(fit, D, s) == pytest.approx(-2 * fit.log_likelihood, rel=ROUNDING)
    rows, columns = np.tril_indices(4)
    point = np.concatenate([D[rows, columns], s])

    def deviance(x: np.ndarray) -> float:
        full = np.zeros((4, 4))
        full[rows, columns] = full[columns, rows] = x[:10]
        return dense_deviance(fit, full, x[10:])

    sd = np.sqrt(np.diag(D))
    sizes = [
        np.outer(sd, sd)[rows, columns],
        np.array([s[0], s[1], np.sqrt(s[0] * s[1])])[: len(s)],
    ]
    step = 2e-3 * np.concatenate(sizes)
    m = len(point)
    H = np.empty((m, m))
    for i in range(m):
        for j in range(i, m):
            corners = [
                a * b * deviance(point + a * step[i] * np.eye(m)[i] + b * step[j] * np.eye(m)[j])
                for a in (1, -1)
                for b in (1, -1)
            ]
            H[i, j] = H[j, i] = sum(corners) / (4 * step[i] * step[j])
    covariance = 2 * np.linalg.inv(H)
    spread = fit.variances.D_covariance.reshape(4, 4, 4, 4)
    error = np.sqrt([spread[i, j, i, j] for i, j in zip(rows, columns, strict=True)])
    assert error == pytest.approx(np.sqrt(np.diag(covariance)[:10]), rel=2e-3)  # of differences
    residual = np.sqrt(np.diag(fit.variances.residual_covariance))
    assert residual == pytest.approx(np.sqrt(np.diag(covariance)[10:]), rel=2e-3)


def test_profile_interval_ends_where_the_likelihood_rules_out_what_lies_beyond():
    frame = drawn(n=40, n_visits=4)
    fit = fit_pair(frame, PairSpec(first=SIMPLE[0], second=SIMPLE[1], method="ML"))
    found = fit.slope_correlation("profile")
    assert found.interval == "profile"
    limit = stats.chi2.ppf(0.95, 1)
    start = np.concatenate([np.log(np.sqrt(np.diag(fit.variances.D))), np.zeros(5)])
    start = np.concatenate([start, np.log(fit.residual_sd)])

    def deviance(x: np.ndarray, rho: float) -> float:
        """Hold the correlation of slopes (of volume: 1, of score: 3) in a correlation's root."""
        L = np.eye(4)
        L[1, 0] = rho
        L[2, :2], L[3, :3] = x[4:6], x[6:9]
        L[1, 1] = np.sqrt(1 - rho**2)
        L[2:] /= np.linalg.norm(L[2:], axis=1, keepdims=True)
        order = [2, 0, 3, 1]  # volume: intercept is the third of the root, and so on
        sd = np.exp(x[:4])
        D = (L @ L.T)[np.ix_(order, order)] * np.outer(sd, sd)
        return dense_sums(fit, D, np.exp(2 * x[9:]))

    for end in (found.conf_low, found.conf_high):
        best = optimize.minimize(
            deviance, start, args=(end,), method="BFGS", options={"gtol": 1e-4}
        )
        assert best.fun + 2 * fit.log_likelihood == pytest.approx(limit, rel=1e-3)
    null = optimize.minimize(deviance, start, args=(0.0,), method="BFGS", options={"gtol": 1e-4})
    ratio = null.fun + 2 * fit.log_likelihood
    assert found.statistic == pytest.approx(np.sqrt(ratio), rel=1e-3)


def dense_sums(fit: PairResult, D: np.ndarray, s: np.ndarray) -> float:
    """Minus twice the log-likelihood of complete balanced data: one covariance for everybody."""
    d = fit.design.designs
    n, v = fit.n_subjects, d[0].arrays.n_obs // fit.n_subjects
    Z = d[0].arrays.Z[:v]
    W = np.kron(np.eye(2), Z)
    V = W @ D @ W.T + np.diag(np.repeat(s, v))
    y = np.hstack([part.arrays.y.reshape(n, v) for part in d])
    inverse = np.linalg.inv(V)
    mean = np.linalg.solve(W.T @ inverse @ W, W.T @ inverse @ y.mean(axis=0))
    r = y - W @ mean
    value = n * np.linalg.slogdet(V)[1] + np.einsum("ia,ab,ib->", r, inverse, r)
    return float(value + y.size * np.log(2 * np.pi))


def test_independent_outcomes_have_the_fits_of_each_alone():
    # each subject of volume's data is another one than score's: nothing tells of a covariance
    frame = drawn(n=120, rho=0.0, seed=3)
    fit = fit_pair(frame, SIMPLE)
    alone = [fit_lmm(frame, formula) for formula in SIMPLE]
    assert fit.log_likelihood >= sum(a.log_likelihood for a in alone) - 1e-8
    # cross-covariances are four parameters
    assert fit.log_likelihood - sum(a.log_likelihood for a in alone) < stats.chi2.ppf(1 - 1e-9, 4)


# --- recovery of a known truth ------------------------------------------------------------------

N_REPLICATES = 150


@pytest.mark.slow
def test_truth_is_recovered_and_covered_while_the_naive_correlation_is_attenuated():
    rho = 0.6
    fits = [
        fit_pair(drawn(n=200, rho=rho, seed=100 + k, missing=0.15), SIMPLE)
        for k in range(N_REPLICATES)
    ]
    found = [fit.slope_correlation() for fit in fits]
    estimates = np.array([f.estimate for f in found])
    mcse = estimates.std(ddof=1) / np.sqrt(N_REPLICATES)
    assert abs(estimates.mean() - rho) < 4 * mcse
    covered = np.mean([f.conf_low <= rho <= f.conf_high for f in found])
    assert abs(covered - 0.95) < 4 * np.sqrt(0.95 * 0.05 / N_REPLICATES)
    errors = np.array([f.std_error for f in found])
    assert np.sqrt((errors**2).mean()) == pytest.approx(
        estimates.std(ddof=1), rel=4 / np.sqrt(2 * N_REPLICATES)
    )
    naive = np.array([fit.naive_slope_correlation().estimate for fit in fits])
    expected = rho * np.array([fit.attenuation for fit in fits])
    gap = naive - expected
    assert naive.mean() < 0.7 * rho
    # unequal visits: the mean error variance describes the attenuation up to a few percent
    assert abs(gap.mean()) < 4 * gap.std(ddof=1) / np.sqrt(N_REPLICATES) + 0.03 * rho


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pmsstats.errors.EvidenceUncheckedWarning")
def test_correlation_of_true_slopes_of_synthetic_patients_is_recovered():
    cohort = generate_cohort("progressive", seed=4, n_subjects=1500)
    truth = cohort.truth.subjects
    first, second = "thalamus_ml", "brain_ml"
    frame = cohort.visits.merge(cohort.subjects[["subject_id", "phenotype"]], on="subject_id")
    fit = fit_pair(
        frame,
        tuple(f"{name} ~ year * phenotype + (year | subject_id)" for name in (first, second)),
        origin="synthetic",
    )
    slopes = truth[[f"{first}_slope", f"{second}_slope"]]
    slopes = slopes - slopes.groupby(cohort.subjects["phenotype"].astype(str).to_numpy()).transform(
        "mean"
    )
    found = fit.slope_correlation()
    assert abs(found.estimate - slopes.corr().iloc[0, 1]) < 4 * found.std_error
    assert "synthetic" in fit.headline()


# --- properties ---------------------------------------------------------------------------------


def test_units_change_nothing_but_units():
    frame = visits()
    wild = frame.assign(
        volume=frame["volume"] * 1e6, score=frame["score"] * 1e-5 + 3.0, year=frame["year"] * 365.25
    )
    one, other = fitted(), fit_pair(wild, SPEC)
    assert other.slope_correlation().estimate == pytest.approx(
        one.slope_correlation().estimate, rel=SAME_FIT
    )
    assert other.slope_correlation().conf_low == pytest.approx(
        one.slope_correlation().conf_low, rel=SAME_FIT
    )
    scale = np.array([1e6, 1e6 / 365.25, 1e-5, 1e-5 / 365.25])
    assert np.sqrt(np.diag(other.variances.D)) == pytest.approx(
        np.sqrt(np.diag(one.variances.D)) * scale, rel=SAME_FIT
    )
    ratio = other.slope_regression()["estimate"] / one.slope_regression()["estimate"]
    assert ratio.to_numpy() == pytest.approx([1e-5 / 1e6, 1e-5 / 365.25], rel=SAME_FIT)


def test_order_of_rows_and_of_outcomes_changes_nothing():
    frame = visits()
    shuffled = fit_pair(frame.sample(frac=1, random_state=1), CASES["visits"])
    turned = fit_pair(
        frame, dataclasses.replace(CASES["visits"], first=SPEC.second, second=SPEC.first)
    )
    for other in (shuffled, turned):
        assert other.log_likelihood == pytest.approx(fitted("visits").log_likelihood, rel=ROUNDING)
        assert other.slope_correlation().estimate == pytest.approx(
            fitted("visits").slope_correlation().estimate, rel=SAME_FIT
        )


def test_sign_of_an_outcome_turns_the_correlation():
    turned = fit_pair(visits().assign(score=lambda f: -f["score"]), SPEC)
    one, other = fitted().slope_correlation("profile"), turned.slope_correlation("profile")
    assert (other.estimate, other.conf_low, other.conf_high) == pytest.approx(
        (-one.estimate, -one.conf_high, -one.conf_low), rel=1e-5
    )
    assert other.p_value == pytest.approx(one.p_value, rel=1e-4)


def test_outcomes_at_different_visits_are_used():
    frame = drawn(n=150, n_visits=6)
    at = frame["year"].rank(method="dense").astype(int)
    frame.loc[at % 2 == 0, "volume"] = np.nan
    frame.loc[at % 2 == 1, "score"] = np.nan
    fit = fit_pair(frame, SIMPLE)
    assert fit.n_obs == (450, 450)
    assert fit.n_both == 150
    found = fit.slope_correlation()
    assert found.conf_low < 0.6 < found.conf_high
    with pytest.raises(DesignError, match="0 have"):
        fit_pair(frame, PairSpec(first=SIMPLE[0], second=SIMPLE[1], residual_correlation=True))


def test_complete_visits_with_correlated_residuals_have_moment_estimates():
    frame = drawn(n=120)
    shared = np.random.default_rng(5).normal(size=len(frame))
    frame["volume"] += 0.15 * shared
    frame["score"] += 0.2 * shared
    fit = fit_pair(frame, PairSpec(first=SIMPLE[0], second=SIMPLE[1], residual_correlation=True))
    wide = [
        frame.pivot_table(index="subject_id", columns="year", values=v) for v in ("volume", "score")
    ]
    Z = np.column_stack([np.ones(5), wide[0].columns.to_numpy(float)])
    rest = [w.to_numpy() - w.to_numpy() @ Z @ np.linalg.inv(Z.T @ Z) @ Z.T for w in wide]
    S = np.array([[(a * b).sum() for b in rest] for a in rest]) / (120 * 3)
    assert fit.variances.residual == pytest.approx([S[0, 0], S[1, 1], S[0, 1]], rel=SAME_FIT)
    rho = S[0, 1] / np.sqrt(S[0, 0] * S[1, 1])
    assert fit.residual_correlation == pytest.approx(rho, rel=SAME_FIT)
    b = np.hstack([w.to_numpy() @ Z @ np.linalg.inv(Z.T @ Z) for w in wide])
    D = np.cov(b.T) - np.kron(S, np.linalg.inv(Z.T @ Z))
    assert fit.random_covariance.to_numpy() == pytest.approx(D, rel=SAME_FIT, abs=1e-7)


def test_subjects_with_one_outcome_are_kept_and_counted():
    fit = fitted()
    assert (fit.n_subjects, fit.n_both) == (120, 116)
    assert fit.notes == ("3 subject(s) have volume only", "1 subject(s) have score only")
    assert set(fit.blups()["subject_id"]) == set(visits()["subject_id"])
    counted = {(e.stage, e.reason): e.n for e in fit.exclusions}
    frame = visits()
    assert counted == {
        ("pair model, volume", "no volume"): int(frame["volume"].isna().sum()),
        ("pair model, score", "no score"): int(frame["score"].isna().sum()),
    }


def test_subjects_without_either_outcome_are_excluded():
    frame = drawn(n=60)
    frame.loc[frame["subject_id"] == 7, ["volume", "score"]] = np.nan
    fit = fit_pair(frame, SIMPLE)
    lost = [e for e in fit.exclusions if e.unit == "subject"]
    assert [(e.n, e.subject_ids) for e in lost] == [(1, ("7",))]


def test_result_keeps_the_contract():
    fit = fit_pair(visits(), CASES["visits"], origin="synthetic")
    assert_result_contract(fit)
    assert_covariance_matrix(fit.random_covariance.to_numpy())
    assert_covariance_matrix(fit.fixed_covariance)
    assert fit.table()["part"].unique().tolist() == ["mean", "sd", "correlation"]
    assert fit.correlations()["term"].tolist()[:4] == [
        "slope with slope",
        "slope with level",
        "level with slope",
        "level with level",
    ]
    assert "116 with both" in fit.headline()
    assert_result_contract(fit_pair(visits(), ("volume ~ 1 + (1 | subject_id)", SPEC.second)))


def test_regression_of_slopes_is_covariance_over_variance():
    fit = fitted()
    D = fit.random_covariance
    both, variance = D.loc["volume: year", "score: year"], D.loc["volume: year", "volume: year"]
    table = fit.slope_regression().set_index("term")
    assert table.loc["per unit", "estimate"] == pytest.approx(both / variance)
    assert table.loc["per SD", "estimate"] == pytest.approx(both / np.sqrt(variance))
    assert table["p_value"].between(0, 1).all()


def test_errors_of_correlations_and_regressions_are_those_of_the_delta_method():
    fit = fitted("visits")
    D, spread = fit.variances.D, fit.variances.D_covariance
    places = [(i, j) for i in range(4) for j in range(i + 1)]

    def error(value: Callable[[np.ndarray], float]) -> float:
        """Differentiate by the entries of the covariance, two equal ones at a time."""
        slopes = np.zeros(16)
        for i, j in places:
            turn = np.zeros((4, 4))
            turn[i, j] = turn[j, i] = 1e-5 * np.sqrt(D[i, i] * D[j, j])
            slope = (value(D + turn) - value(D - turn)) / (2 * turn[i, j])
            slopes[4 * i + j] += slope / 2
            slopes[4 * j + i] += slope / 2
        return float(np.sqrt(slopes @ spread @ slopes))

    expected = error(lambda D: D[1, 3] / np.sqrt(D[1, 1] * D[3, 3]))
    assert fit.slope_correlation().std_error == pytest.approx(expected, rel=1e-6)
    table = fit.slope_regression()["std_error"]
    assert table[0] == pytest.approx(error(lambda D: D[1, 3] / D[1, 1]), rel=1e-6)
    assert table[1] == pytest.approx(error(lambda D: D[1, 3] / np.sqrt(D[1, 1])), rel=1e-6)
    sd = fit.standard_deviations()["std_error"]
    assert sd[3] == pytest.approx(error(lambda D: np.sqrt(D[3, 3])), rel=1e-6)
    found = fit.slope_correlation()
    z, half = np.arctanh(found.estimate), 1.959964 * found.std_error / (1 - found.estimate**2)
    assert np.tanh([z - half, z + half]) == pytest.approx(
        [found.conf_low, found.conf_high], rel=1e-6
    )


def test_error_of_the_residual_correlation_is_that_of_the_delta_method():
    fit = fitted("visits")
    r, spread = fit.variances.residual, fit.variances.residual_covariance

    def rho(r: np.ndarray) -> float:
        return float(r[2] / np.sqrt(r[0] * r[1]))

    slope = [(rho(r + 1e-6 * e) - rho(r - 1e-6 * e)) / 2e-6 for e in np.eye(3)]
    row = fit.table().set_index("term").loc["residuals of a visit"]
    assert row["estimate"] == pytest.approx(rho(r))
    assert row["std_error"] == pytest.approx(np.sqrt(slope @ spread @ slope), rel=1e-5)


# --- singular fits ------------------------------------------------------------------------------


def perfectly_correlated(n: int = 60) -> pd.DataFrame:
    """Slopes of both outcomes are one and the same, so that estimates lie on the boundary."""
    rng = np.random.default_rng(8)
    frame = drawn(n=n, n_visits=4, seed=8)
    slope = rng.normal(0, 1, n)[frame["subject_id"]]
    frame["volume"] = 15 + 0.3 * slope * frame["year"] + rng.normal(0, 0.3, len(frame))
    frame["score"] = 0.2 * slope * frame["year"] + rng.normal(0, 0.3, len(frame))
    return frame


def test_singular_fits_are_maxima_and_say_so():
    frame = perfectly_correlated()
    with pytest.warns(ConvergenceWarning, match="singular"):
        fit = fit_pair(frame, SIMPLE, on_failure="warn")
    assert fit.fit_log.converged
    assert fit.fit_log.singular
    assert "singular" in fit.headline()
    q = fit.maximum.terms.gradient[:16].reshape(4, 4)
    values, vectors = np.linalg.eigh(fit.maximum.covariance)
    null = vectors[:, values < 1e-8 * values[-1]]
    assert np.linalg.eigvalsh(null.T @ q @ null)[0] > -1e-5  # no way out is downhill
    found = fit.slope_correlation()
    assert found.interval == "profile"
    assert found.conf_low < 1.0
    assert found.conf_high == pytest.approx(1.0, abs=1e-3)
    assert np.isnan(found.std_error)


def test_slopes_that_do_not_vary_have_no_correlation():
    rng = np.random.default_rng(11)
    frame = drawn(n=50, n_visits=4, seed=2)
    who, visit = frame["subject_id"], frame.groupby("subject_id").cumcount()
    bend = np.array([1, -1, -1, 1])[visit]  # without any slope: less than chance alone would give
    frame["score"] = rng.normal(size=50)[who] + bend * rng.normal(1, 0.3, 50)[who]
    fit = fit_pair(frame, SIMPLE)
    assert fit.fit_log.converged
    assert fit.random_covariance.loc["score: year", "score: year"] == 0
    with pytest.raises(DesignError, match="'year' of score is estimated not to vary"):
        fit.slope_correlation()
    assert fit.correlations()["estimate"].isna().any()
    assert_result_contract(fit)
    alone = [fit_lmm(frame, formula) for formula in SIMPLE]
    assert fit.log_likelihood >= sum(a.log_likelihood for a in alone) - 1e-8


# --- bad input ----------------------------------------------------------------------------------

REFUSED = [
    (lambda f: f, (SIMPLE[0], SIMPLE[0]), "same outcome"),
    (lambda f: f, (SIMPLE[0], "score ~ year + (year | arm)"), "Use one column in both"),
    (lambda f: f, (SIMPLE[0], "score ~ year + (year || subject_id)"), r"Write \| instead"),
    (lambda f: f.assign(score=2.0), SIMPLE, "nothing to model"),
    (lambda f: f.assign(score=np.nan), SIMPLE, "No row is left"),
    (lambda f: f.drop(columns="score"), SIMPLE, "score"),
    (lambda f: f.drop(columns="year"), SIMPLE, "year"),
    (lambda f: f[f["year"] < 0.1], SIMPLE, "one row"),
    (lambda f: f[f["subject_id"].isin(range(4))], SIMPLE, "both"),
    (
        lambda f: f.assign(score=f["score"].where(f["subject_id"] < 3)),
        SIMPLE,
        "both volume and score",
    ),
]


@pytest.mark.parametrize(("change", "formulas", "message"), REFUSED)
def test_bad_input_is_refused(change, formulas, message):
    frame = drawn(n=30, n_visits=4).assign(arm="one")
    with pytest.raises(DesignError, match=message):
        fit_pair(change(frame), formulas)


def test_bad_requests_are_refused():
    with pytest.raises(FormulaError, match="random term"):
        fit_pair(drawn(n=20), ("volume ~ year", SIMPLE[1]))
    with pytest.raises(DesignError, match="two formulas"):
        fit_pair(drawn(n=20), "volume ~ year + (year | subject_id)")
    with pytest.raises(DesignError, match="`method`"):
        PairSpec(first=SIMPLE[0], second=SIMPLE[1], method="reml")
    with pytest.raises(DesignError, match="`residual_correlation`"):
        PairSpec(first=SIMPLE[0], second=SIMPLE[1], residual_correlation="yes")
    with pytest.raises(DesignError, match="`on_failure`"):
        fit_pair(drawn(n=20), SIMPLE, on_failure="ignore")
    with pytest.raises(DesignError, match="DataFrame"):
        fit_pair([1, 2], SIMPLE)


def test_slopes_are_asked_for_in_a_model_without_time():
    fit = fit_pair(drawn(n=40), ("volume ~ year + (1 | subject_id)", SIMPLE[1]))
    with pytest.raises(DesignError, match="varies in level only"):
        fit.slope_correlation()
    assert -1 < fit.correlation("intercept", "year").estimate < 1
    with pytest.raises(DesignError, match="random effects intercept"):
        fit.correlation("year", "year")
    with pytest.raises(DesignError, match="`interval`"):
        fit.correlation("intercept", "year", interval="wald")
