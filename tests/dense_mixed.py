"""Mixed models by dense matrices, and the trial of the case lmm_postfit: witnesses of many tests.

Everything here is written out from the definitions, in the user's units: ``V = Z G Z' + R`` of all
rows at once, Henderson's equations, generalised least squares with rows left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from reference_cases import ReferenceCase, load_case

from pmsstats.models import LMMResult, LMMSpec, fit_lmm

ARMS = ["placebo", "active"]
FIXED = "thalamus_ml ~ year * arm + age_years"


@dataclass(frozen=True, kw_only=True)
class Dense:
    """All rows of one model."""

    y: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    G: np.ndarray
    R: np.ndarray
    subject: np.ndarray
    q: int

    @classmethod
    def of(cls, fit: LMMResult) -> Dense:
        arrays = fit.design.arrays
        n, q = arrays.Z.shape
        wide = np.zeros((n, arrays.n_subjects * q))
        for row, who in enumerate(arrays.subject):
            wide[row, who * q : (who + 1) * q] = arrays.Z[row]
        weights = np.ones(n) if arrays.weights is None else arrays.weights
        return cls(
            y=arrays.y,
            X=arrays.X,
            Z=wide,
            G=np.kron(np.eye(arrays.n_subjects), random_covariance(fit)),
            R=fit.residual_sd**2 * np.diag(1 / weights),
            subject=arrays.subject,
            q=q,
        )

    @property
    def V(self) -> np.ndarray:  # noqa: N802
        return self.Z @ self.G @ self.Z.T + self.R

    def gls(self, rows: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Return fixed effects of some rows, and their covariance."""
        W = np.linalg.inv(self.V[rows][:, rows])
        X, y = self.X[rows], self.y[rows]
        C = np.linalg.inv(X.T @ W @ X)
        return C @ X.T @ W @ y, C

    def henderson(self) -> np.ndarray:
        """Return the inverse of the mixed-model equations: fixed effects first."""
        W = np.linalg.inv(self.R)
        both = np.hstack([self.X, self.Z])
        M = both.T @ W @ both
        p = self.X.shape[1]
        M[p:, p:] += np.linalg.inv(self.G)
        return np.linalg.inv(M)


def random_covariance(fit: LMMResult) -> np.ndarray:
    """Return the covariance of the random effects of a subject."""
    names = list(fit.design.random_names)
    G = np.zeros((len(names),) * 2)
    parts = fit.variance_components[fit.variance_components["kind"] != "correlation"]
    for row in parts.itertuples():
        i, j = names.index(row.term1), names.index(row.term2)
        G[i, j] = G[j, i] = row.estimate
    return G


@cache
def postfit_case() -> ReferenceCase:
    return load_case("lmm_postfit")


@cache
def postfit_data() -> pd.DataFrame:
    frame = postfit_case().input
    return frame.assign(arm=pd.Categorical(frame["arm"], categories=ARMS, ordered=True))


@cache
def postfit(
    random: str = "(year | subject_id)", method: str = "REML", fixed: str = FIXED
) -> LMMResult:
    spec = LMMSpec.from_formula(f"{fixed} + {random}", method=method)
    return fit_lmm(postfit_data(), spec)


def expected(quantity: str) -> dict[str, float]:
    rows = postfit_case().rows(f"reml.{quantity}")
    return dict(zip(rows["term"].astype(str), rows["value"], strict=True))


def rtol(quantity: str) -> float:
    return float(postfit_case().rows(f"reml.{quantity}")["rtol"].iloc[0])
