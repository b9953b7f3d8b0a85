"""Empirical (sandwich, cluster-robust) covariance of the fixed effects of a marginal model.

References
----------
.. [1] Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models. Biometrika
   1986;73:13-22. doi:10.1093/biomet/73.1.13.
.. [2] Bell RM, McCaffrey DF. Bias reduction in standard errors for linear regression with
   multi-stage samples. Survey Methodology 2002;28:169-181.
.. [3] Pustejovsky JE, Tipton E. Small-sample methods for cluster-robust variance estimation and
   hypothesis testing in fixed effects models. J Bus Econ Stat 2018;36:672-683.
   doi:10.1080/07350015.2016.1247004.
.. [4] Tipton E, Pustejovsky JE. Small-sample adjustments for tests of moderators and model fit
   using robust variance estimation in meta-regression. J Educ Behav Stat 2015;40:604-634.
   doi:10.3102/1076998615606099.
.. [5] Mancl LA, DeRouen TA. A covariance estimator for GEE with improved small-sample properties.
   Biometrics 2001;57:126-134. doi:10.1111/j.0006-341X.2001.00126.x.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np
from scipy import linalg

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.degrees_of_freedom import Inference
from pmsstats.models.repeated.mmrm_directions import covariances_at
from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays
from pmsstats.models.repeated.mmrm_profile import MarginalLikelihood, MarginalPoint

__all__ = ["Empirical", "EmpiricalSatterthwaite", "empirical_inference"]

Empirical = Literal["CR0", "CR2", "CR3"]
"""Sandwich covariances: plain; bias-reduced; with leave-one-subject-out residuals."""

_ALONE = 1e-10  # eigenvalue of I - H below which a subject alone decides on some coefficient


@dataclass(frozen=True, eq=False, kw_only=True)
class EmpiricalSatterthwaite(Inference):
    """Tests with a sandwich covariance; degrees of freedom from its spread under the model.

    Parameters
    ----------
    covariance : ndarray, shape (p, p)
        The sandwich.
    scores : ndarray, shape (n_subjects, T, p)
        What each subject's residuals are multiplied by to make its contribution to a fixed
        effect, times the root of the subject's covariance.
    hats : ndarray, shape (n_subjects, T, p)
        ``root^-1 X (X' V^-1 X)^-1/2``: with its products estimating the fixed effects makes
        residuals of different subjects depend on each other.

    Notes
    -----
    The estimated variance of a combination is a sum of squares of residuals' combinations, one
    per subject, with covariances ``P_st`` under the working model; it has
    ``(sum P_ss)^2 / sum P_st^2`` degrees of freedom [2]_ [3]_. For several combinations it is
    Hotelling's T-squared with the degrees of freedom of [4]_: ``coef_test`` and ``Wald_test``
    (``test = "HTZ"``) of R's clubSandwich.
    """

    label = "empirical covariance, Satterthwaite"
    scores: np.ndarray
    hats: np.ndarray

    def df(self, contrasts: np.ndarray) -> np.ndarray | None:
        """Return Satterthwaite degrees of freedom of each combination [3]_.

        Parameters
        ----------
        contrasts : ndarray, shape (m, p)
            One combination of the fixed effects per row.

        Returns
        -------
        ndarray, shape (m,)
            From the spread of the estimated variance under the working model.
        """
        return np.array([self._eta(row[None]) for row in np.atleast_2d(contrasts)])

    def mapped(self, transform: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Return the same for fixed effects in other units.

        Parameters
        ----------
        transform : callable
            Maps a covariance, shape (p, p), to the new units.

        Returns
        -------
        EmpiricalSatterthwaite
            Of the same kind.
        """
        B = _linear_map(transform, len(self.covariance))
        return replace(
            self, covariance=transform(self.covariance), scores=self.scores @ B.T, hats=self.hats
        )

    def _eta(self, L: np.ndarray) -> float:
        """Return the degrees of freedom of the Wishart that resembles rows L of the sandwich."""
        S, _, p = self.hats.shape
        a = np.einsum("stp,qp->sqt", self.scores, L)
        B = a @ self.hats  # shape (S, q, p)
        N = a @ a.swapaxes(1, 2)
        expected = (N - B @ B.swapaxes(1, 2)).sum(axis=0)
        with np.errstate(divide="ignore", invalid="ignore"):
            values, vectors = np.linalg.eigh(expected)
            turn = (vectors / np.sqrt(values)).T  # so that the expectation is the identity
            B, N = turn @ B, turn @ N @ turn.T
            q = len(L)
            K = (B.reshape(S, -1).T @ B.reshape(S, -1)).reshape(q, p, q, p)
            traces = np.einsum("sqq->s", N)
            squares = (B**2).sum(axis=(1, 2))
            spread = traces @ traces - 2 * traces @ squares + (K**2).sum()
            spread += (N**2).sum() - 2 * (N * (B @ B.swapaxes(1, 2))).sum()
            spread += (K * K.transpose(2, 1, 0, 3)).sum()
            return float(q * (q + 1) / spread)

    def _denominator(self, given: np.ndarray, basis: np.ndarray) -> tuple[float, float]:  # noqa: ARG002
        """Return df and scale of Hotelling's T-squared [4]_; missing where too few are left."""
        eta, q = self._eta(basis), len(basis)
        if not eta > q - 1:
            return np.nan, np.nan
        return eta - q + 1, (eta - q + 1) / eta


def empirical_inference(
    arrays: RepeatedArrays,
    likelihood: MarginalLikelihood,
    point: MarginalPoint,
    kind: Empirical,
) -> EmpiricalSatterthwaite:
    """Estimate the covariance of the fixed effects from the residuals of whole subjects.

    Parameters
    ----------
    arrays : RepeatedArrays
        What the model was fitted to.
    likelihood : MarginalLikelihood
        Of these arrays.
    point : MarginalPoint
        At the estimate.
    kind : {"CR0", "CR2", "CR3"}
        Adjustment ``A_s`` of each subject's residuals, see Notes.

    Returns
    -------
    EmpiricalSatterthwaite
        In the user's units.

    Raises
    ------
    DesignError
        If, for CR2 and CR3, a subject alone decides on a coefficient.

    Notes
    -----
    ``Phi { sum_s X_s' V_s^-1 A_s r_s r_s' A_s' V_s^-1 X_s } Phi`` with residuals ``r_s``. CR0
    [1]_: ``A = I`` (``EMPIRICAL`` option of SAS PROC MIXED). CR2 [2]_ [3]_: ``A = D' G^-1/2 D``,
    ``V = D'D`` (Cholesky), ``G = D (V - X Phi X') D'``, unbiased if V is right. CR3 [5]_:
    ``A = (I - H)^-1``, ``H = X Phi X' V^-1``, close to the jackknife. The same as ``vcovCR`` of
    R's clubSandwich after ``nlme::gls``.
    """
    patterns = likelihood.patterns
    V, X, e = _unweighted(arrays, likelihood, point)
    half = linalg.solve_triangular(point.root, np.eye(len(point.root)), lower=True).T
    X = X @ half  # now Phi is the identity
    lower = np.linalg.cholesky(V)
    PX = np.linalg.solve(V, X)
    adjusted = _adjusted(kind, V, lower, X, PX)
    contributions = (e[:, None, :] @ adjusted)[:, 0]
    to_user = half.T @ np.linalg.inv(likelihood.back.R).T * likelihood.back.scale
    scores = lower.swapaxes(1, 2) @ adjusted @ to_user
    contributions = contributions @ to_user
    assert len(scores) == len(patterns.subjects)  # noqa: S101
    return EmpiricalSatterthwaite(
        covariance=contributions.T @ contributions,
        scores=scores,
        hats=np.linalg.solve(lower, X),
    )


def _unweighted(
    arrays: RepeatedArrays, likelihood: MarginalLikelihood, point: MarginalPoint
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return covariance, fixed columns and residuals of each subject before weighting."""
    patterns = likelihood.patterns
    V = covariances_at(likelihood.structure, point.theta, patterns)[patterns.of_subject]
    X = likelihood.laid[:, :, :-1]
    r = likelihood.laid[:, :, -1] - X @ point.fixed
    if arrays.weights is None:
        return V, X, r
    s = patterns.spread(1 / np.sqrt(arrays.weights)[:, None])[:, :, 0]
    s = np.where(s > 0, s, 1.0)
    return V * s[:, :, None] * s[:, None, :], X * s[:, :, None], r * s


def _adjusted(
    kind: str, V: np.ndarray, lower: np.ndarray, X: np.ndarray, PX: np.ndarray
) -> np.ndarray:
    """Return ``A_s' V_s^-1 X_s``, with columns of X in which Phi is the identity."""
    if kind == "CR0":
        return PX
    hats = np.linalg.solve(lower, X)
    values = 1 - np.linalg.norm(hats, ord=2, axis=(1, 2)) ** 2
    if values.min() < _ALONE:
        raise DesignError(
            f"empirical covariance {kind!r} needs every fixed effect to be estimable without any "
            f"one subject; found {int((values < _ALONE).sum())} subjects who alone decide on one. "
            "Use 'CR0', or join rare categories."
        )
    if kind == "CR3":
        I_H = np.eye(V.shape[1]) - X @ PX.swapaxes(1, 2)
        return np.linalg.solve(I_H.swapaxes(1, 2), PX)
    D = lower.swapaxes(1, 2)
    G = D @ (V - X @ X.swapaxes(1, 2)) @ lower
    values, vectors = np.linalg.eigh(G)
    root = (vectors / np.sqrt(values)[:, None, :]) @ vectors.swapaxes(1, 2)
    made: np.ndarray = lower @ root @ D @ PX
    return made


def _linear_map(transform: Callable[[np.ndarray], np.ndarray], p: int) -> np.ndarray:
    """Recover B (but for its sign) from the map ``C -> B C B'``."""
    units = np.eye(p)
    first = transform(np.outer(units[0], units[0]))
    k = int(np.argmax(np.diag(first)))
    column = first[:, k] / np.sqrt(first[k, k])
    rows = [transform(np.outer(units[0], unit)).T @ column for unit in units]
    return np.stack(rows, axis=1) / (column @ column)
