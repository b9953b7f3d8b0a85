"""Repeated measures for tests: real and small arrays, and the model written out in full matrices.

Nothing here uses the package's numerics: entries of every covariance, likelihood, and Kenward and
Roger's adjustment are written down from their definitions, one matrix for all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays

N_VISITS = 4
Entry = Callable[[np.ndarray, int, int, float], float]


def _us(t, i, j, d):
    return t[max(i, j) * (max(i, j) + 1) // 2 + min(i, j)]


def _toeph(t, i, j, d):
    return np.sqrt(t[i] * t[j]) * np.append(1.0, t[N_VISITS:])[abs(i - j)]


ENTRIES: dict[str, Entry] = {
    "us": _us,
    "toep": lambda t, i, j, d: t[abs(i - j)],
    "toeph": _toeph,
    "ar1": lambda t, i, j, d: t[0] * t[1] ** abs(i - j),
    "ar1h": lambda t, i, j, d: np.sqrt(t[i] * t[j]) * t[-1] ** abs(i - j),
    "cs": lambda t, i, j, d: t[0] + t[1] * (i == j),
    "csh": lambda t, i, j, d: np.sqrt(t[i] * t[j]) * t[-1] ** (i != j),
    "ad": lambda t, i, j, d: t[0] * np.prod(t[1 + min(i, j) : 1 + max(i, j)]),
    "adh": lambda t, i, j, d: (
        np.sqrt(t[i] * t[j]) * np.prod(t[N_VISITS + min(i, j) : N_VISITS + max(i, j)])
    ),
    "sp_exp": lambda t, i, j, d: t[0] * np.exp(-d / t[1]),
}
"""Covariance of visits i and j, d apart, of SAS's ``TYPE=``: theta in SAS's parameters."""

THETA: dict[str, tuple[float, ...]] = {
    "us": (1.2, 0.5, 0.9, 0.4, 0.45, 1.1, 0.3, 0.35, 0.6, 1.5),
    "toep": (1.1, 0.5, 0.35, 0.3),
    "toeph": (1.2, 0.9, 1.1, 1.5, 0.5, 0.4, 0.3),
    "ar1": (1.1, 0.6),
    "ar1h": (1.2, 0.9, 1.1, 1.5, 0.6),
    "cs": (0.5, 0.6),
    "csh": (1.2, 0.9, 1.1, 1.5, 0.45),
    "ad": (1.1, 0.6, 0.3, 0.7),
    "adh": (1.2, 0.9, 1.1, 1.5, 0.6, 0.3, 0.7),
    "sp_exp": (1.1, 2.0),
}


def small_arrays(seed: int, *, n_subjects: int = 24, missing: float = 0.2) -> RepeatedArrays:
    """Draw a small trial: correlated outcomes, missing visits, weights, two groups, odd times."""
    rng = np.random.default_rng(seed)
    subject = np.repeat(np.arange(n_subjects), N_VISITS)
    visit = np.tile(np.arange(N_VISITS), n_subjects)
    keep = (rng.random(len(subject)) > missing) | (visit == subject % N_VISITS)
    subject, visit = subject[keep], visit[keep]
    arm = subject % 2
    level = rng.normal(0, 0.8, n_subjects)[subject]
    y = 3 + 0.4 * visit - 0.5 * arm * visit + level + rng.normal(0, 0.7, len(visit))
    covariate = rng.normal(0, 1, n_subjects)[subject]
    X = np.column_stack([np.ones_like(y), visit, arm, arm * visit, covariate])
    return RepeatedArrays(
        y=y,
        X=X,
        subject=subject,
        visit=visit,
        n_subjects=n_subjects,
        n_visits=N_VISITS,
        group=np.arange(n_subjects) % 2,
        coordinate=visit + rng.uniform(-0.3, 0.3, len(visit)),
        weights=rng.uniform(0.5, 2.0, len(visit)),
    )


def plain(arrays: RepeatedArrays) -> RepeatedArrays:
    """Take weights and groups out."""
    return replace(arrays, weights=None, group=None, n_groups=1)


def fev_arrays(frame: pd.DataFrame, *, full: bool) -> RepeatedArrays:
    """Make the arrays of the FEV trial: arm alone, or the full model of the reference case."""
    rows = frame.dropna(subset=["FEV1"]).reset_index(drop=True)
    subject, _ = pd.factorize(rows["USUBJID"])
    visit = rows["VISITN"].to_numpy() - 1
    arm = (rows["ARMCD"] == "TRT").to_numpy(float)
    columns = [np.ones(len(rows)), arm]
    if full:
        race, sex = rows["RACE"], rows["SEX"]
        visits = [(visit == v).astype(float) for v in (1, 2, 3)]
        columns = [columns[0], race == "Black or African American", race == "White"]
        columns += [sex == "Male", arm, *visits, *(arm * v for v in visits)]
    return RepeatedArrays(
        y=rows["FEV1"].to_numpy(),
        X=np.column_stack(columns).astype(float),
        subject=subject,
        visit=visit,
        n_subjects=subject.max() + 1,
        n_visits=N_VISITS,
        group=rows.groupby(subject)["ARMCD"].first().eq("TRT").astype(int).to_numpy(),
        coordinate=rows["VISITN2"].to_numpy(),
        weights=rows["WEIGHT"].to_numpy(),
    )


def dense_covariance(arrays: RepeatedArrays, name: str, theta: np.ndarray) -> np.ndarray:
    """Write down the covariance of all rows, entry by entry."""
    entry = ENTRIES[name]
    parts = np.reshape(theta, (arrays.n_groups, -1))
    roots = np.ones(arrays.n_obs) if arrays.weights is None else np.sqrt(arrays.weights)
    where = np.zeros(arrays.n_obs) if arrays.coordinate is None else arrays.coordinate
    V = np.zeros((arrays.n_obs, arrays.n_obs))
    same = np.tril(arrays.subject[:, None] == arrays.subject[None, :])
    for a, b in np.argwhere(same):
        t = parts[arrays.groups[arrays.subject[a]]]
        gap = abs(where[a] - where[b])
        V[a, b] = entry(t, arrays.visit[a], arrays.visit[b], gap) / (roots[a] * roots[b])
        V[b, a] = V[a, b]
    return V


def dense_projection(V: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return P, and the covariance of the fixed effects."""
    inverse = np.linalg.inv(V)
    phi = np.linalg.inv(X.T @ inverse @ X)
    return inverse - inverse @ X @ phi @ X.T @ inverse, phi


def dense_log_likelihood(
    arrays: RepeatedArrays, name: str, theta: np.ndarray, *, reml: bool
) -> float:
    """Evaluate the (restricted) log-likelihood at the best fixed effects."""
    V = dense_covariance(arrays, name, theta)
    P, phi = dense_projection(V, arrays.X)
    n, p = arrays.X.shape
    deviance = np.linalg.slogdet(V)[1] + arrays.y @ P @ arrays.y + n * np.log(2 * np.pi)
    return -0.5 * (deviance - reml * (np.linalg.slogdet(phi)[1] + p * np.log(2 * np.pi)))


def steps(theta: np.ndarray, h: float) -> np.ndarray:
    """Return one small step per parameter."""
    return np.diag(h * np.maximum(np.abs(theta), 0.1))


def gradient_of(f: Callable[[np.ndarray], np.ndarray], theta: np.ndarray, h: float) -> np.ndarray:
    """Differentiate by central differences of fourth order; shape (k, ...)."""
    return np.stack(
        [
            (8 * (f(theta + s) - f(theta - s)) - (f(theta + 2 * s) - f(theta - 2 * s)))
            / (12 * s.sum())
            for s in steps(theta, h)
        ]
    )


def dense_derivatives(
    arrays: RepeatedArrays, name: str, theta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Differentiate the covariance of all rows, once and twice, by differences."""

    def covariance(t):
        return dense_covariance(arrays, name, t)

    def halves(f, t):  # central differences of second order
        return np.stack([(f(t + s) - f(t - s)) / (2 * s.sum()) for s in steps(theta, 3e-4)])

    first = gradient_of(covariance, theta, 1e-3)
    return first, halves(lambda t: halves(covariance, t), theta)


def dense_hessian(
    arrays: RepeatedArrays,
    name: str,
    theta: np.ndarray,
    derivatives: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Return second derivatives of minus twice the restricted log-likelihood (Harville 1977)."""
    first, second = derivatives or dense_derivatives(arrays, name, theta)
    P, _ = dense_projection(dense_covariance(arrays, name, theta), arrays.X)
    e = P @ arrays.y
    k = len(theta)
    H = np.empty((k, k))
    for i, j in np.ndindex(k, k):
        H[i, j] = (
            -np.trace(P @ first[i] @ P @ first[j])
            + 2 * e @ first[i] @ P @ first[j] @ e
            + np.trace(P @ second[i, j])
            - e @ second[i, j] @ e
        )
    return H


def dense_kenward_roger(
    arrays: RepeatedArrays, name: str, theta: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Return the adjusted covariances, the slopes ``Phi P_k Phi`` and W of Kenward and Roger."""
    first, second = dense_derivatives(arrays, name, theta)
    inverse = np.linalg.inv(dense_covariance(arrays, name, theta))
    _, phi = dense_projection(dense_covariance(arrays, name, theta), arrays.X)
    W = 2 * np.linalg.inv(dense_hessian(arrays, name, theta, (first, second)))
    half = inverse @ arrays.X
    P = [-half.T @ V @ half for V in first]
    linear, curved = np.zeros_like(phi), np.zeros_like(phi)
    for i, j in np.ndindex(W.shape):
        linear += W[i, j] * (half.T @ first[i] @ inverse @ first[j] @ half - P[i] @ phi @ P[j])
        curved += W[i, j] * (half.T @ second[i, j] @ half)
    adjusted = {
        "kenward-roger": phi + 2 * phi @ (linear - curved / 4) @ phi,
        "kenward-roger-linear": phi + 2 * phi @ linear @ phi,
    }
    return adjusted, np.stack([phi @ part @ phi for part in P]), W
