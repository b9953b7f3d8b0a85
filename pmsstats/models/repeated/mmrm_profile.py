"""Marginal model of repeated measures: (restricted) likelihood and its derivatives.

``y_s = X_s beta + error`` with covariance ``V_s`` for subject s, a part of ``Sigma(theta)``. The
fixed effects are profiled out. With ``P = V^-1 - V^-1 X (X' V^-1 X)^-1 X' V^-1`` and ``e = P y``,
minus twice the restricted log-likelihood has [1]_ [2]_

    gradient  ``tr(P V_k) - e' V_k e``
    Hessian   ``-tr(P V_k P V_l) + 2 e' V_k P V_l e + tr(P V_kl) - e' V_kl e``

(for the full likelihood ``V^-1`` replaces P in the traces). No loop over subjects or parameters:
see :mod:`~pmsstats.models.repeated.mmrm_directions`.

References
----------
.. [1] Harville DA. Maximum likelihood approaches to variance component estimation and to related
   problems. J Am Stat Assoc 1977;72:320-338. doi:10.1080/01621459.1977.10480998.
.. [2] Wolfinger R, Tobias R, Sall J. Computing Gaussian likelihoods and their derivatives for
   general linear mixed models. SIAM J Sci Comput 1994;15:1294-1310. doi:10.1137/0915079.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from pmsstats.models.mixed.mixed_design import MixedArrays
from pmsstats.models.mixed.mixed_scale import StandardScale, standardise
from pmsstats.models.repeated.mmrm_directions import Directions, covariances_at, directions_at
from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays, find_patterns
from pmsstats.models.repeated.mmrm_structure import Covariance

__all__ = ["MarginalLikelihood", "MarginalPoint", "Slopes", "common_scale"]

_LOG_2_PI = float(np.log(2 * np.pi))


@dataclass(frozen=True, eq=False, kw_only=True)
class MarginalPoint:
    """Everything that follows from one ``theta``.

    Parameters
    ----------
    theta : ndarray, shape (k,)
        Covariance parameters.
    deviance : float
        Minus twice the (restricted) log-likelihood, with all constants.
    fixed : ndarray, shape (p,)
        Generalised least-squares estimates.
    root : ndarray, shape (p, p)
        Lower triangle R with ``X' V^-1 X = R R'``.
    P : ndarray, shape (n_patterns, T, T)
        Inverse of each pattern's covariance, zero where a visit is missing.
    U : ndarray, shape (n_subjects, T, p)
        ``V^-1 X R'^-1``, whose squares make ``V^-1 X (X' V^-1 X)^-1 X' V^-1``.
    e : ndarray, shape (n_subjects, T)
        ``V^-1 (y - X beta)``.
    left : float, default 1.0
        Smallest share of a visit's variance that the visits before it leave unexplained: near
        zero, the covariance is singular.
    """

    theta: np.ndarray
    deviance: float
    fixed: np.ndarray
    root: np.ndarray
    P: np.ndarray
    U: np.ndarray
    e: np.ndarray
    left: float = 1.0

    @property
    def fixed_covariance(self) -> np.ndarray:
        """``(X' V^-1 X)^-1``: shape (p, p)."""
        inverse = linalg.solve_triangular(self.root, np.eye(len(self.root)), lower=True)
        covariance: np.ndarray = inverse.T @ inverse
        return covariance


@dataclass(frozen=True, eq=False, kw_only=True)
class Slopes:
    """Derivatives of the deviance in ``theta``.

    Parameters
    ----------
    gradient : ndarray, shape (k,)
        First derivatives.
    observed, expected : ndarray, shape (k, k)
        Second derivatives, and their expectation.
    """

    gradient: np.ndarray
    observed: np.ndarray
    expected: np.ndarray


class MarginalLikelihood:
    """Profiled (restricted) likelihood of one data set on a common scale.

    Parameters
    ----------
    arrays : RepeatedArrays
        In the user's units; weights are taken into the rows here.
    structure : Covariance
        Of the repeated measures.
    reml : bool
        Restricted or full.

    Raises
    ------
    DesignError
        If there are too few rows, or nothing varies around the fixed effects.
    """

    def __init__(self, arrays: RepeatedArrays, structure: Covariance, *, reml: bool) -> None:
        self.structure = structure
        self.reml = reml
        self.patterns = find_patterns(arrays, spatial=structure.spatial)
        self.standard, self.back, log_weights = common_scale(arrays)
        self._log_weights = float(log_weights.sum())
        self.laid = self.patterns.spread(np.column_stack([self.standard.X, self.standard.y]))
        n, p = arrays.X.shape
        self._n_free = n - p if reml else n

    @property
    def units(self) -> np.ndarray:
        """What to multiply ``theta`` by to have it in the user's units: shape (k,)."""
        carries = self.structure.with_units(self.patterns.n_slots)
        return np.tile(np.where(carries, self.back.scale**2, 1.0), self.patterns.n_groups)

    def at(self, theta: np.ndarray) -> MarginalPoint | None:
        """Evaluate at one ``theta`` (on the common scale).

        Parameters
        ----------
        theta : ndarray, shape (k,)
            Covariance parameters, group after group.

        Returns
        -------
        MarginalPoint or None
            None where a covariance is not positive definite.
        """
        V = covariances_at(self.structure, theta, self.patterns)
        if not np.isfinite(V).all():
            return None
        try:
            lower = np.linalg.cholesky(V)
        except np.linalg.LinAlgError:
            return None
        pivots = np.einsum("mtt->mt", lower)
        log_det = 2 * self.patterns.counts @ np.log(pivots).sum(axis=1)
        left = float((pivots**2 / np.einsum("mtt->mt", V)).min())
        seen = self.patterns.seen
        inverse = np.linalg.inv(lower)
        P = (inverse.swapaxes(1, 2) @ inverse) * (seen[:, :, None] & seen[:, None, :])
        point = self._profile(theta, P, float(log_det))
        return None if point is None else replace(point, left=left)

    def _profile(self, theta: np.ndarray, P: np.ndarray, log_det: float) -> MarginalPoint | None:
        """Put in the best fixed effects."""
        q = self.laid.shape[2]
        weighted = P[self.patterns.of_subject] @ self.laid
        products = self.laid.reshape(-1, q).T @ weighted.reshape(-1, q)
        try:
            root = np.linalg.cholesky(products[:-1, :-1])
        except np.linalg.LinAlgError:
            return None
        fixed = linalg.cho_solve((root, True), products[:-1, -1])
        around = np.append(-fixed, 1.0)
        e = weighted @ around
        deviance = log_det + float((e * (self.laid @ around)).sum()) + self._n_free * _LOG_2_PI
        if self.reml:
            deviance += 2 * float(np.log(np.diag(root)).sum())
        half = linalg.solve_triangular(root, np.eye(q - 1), lower=True).T
        return MarginalPoint(
            theta=theta,
            deviance=deviance,
            fixed=fixed,
            root=root,
            P=P,
            U=weighted[:, :, :-1] @ half,
            e=e,
        )

    def directions(self, theta: np.ndarray) -> Directions:
        """Return the derivatives of the covariances.

        Parameters
        ----------
        theta : ndarray, shape (k,)
            Covariance parameters, group after group.

        Returns
        -------
        Directions
            At `theta`.
        """
        return directions_at(self.structure, theta, self.patterns)

    def slopes(self, point: MarginalPoint) -> Slopes:
        """Differentiate the deviance twice.

        Parameters
        ----------
        point : MarginalPoint
            From :meth:`at`.

        Returns
        -------
        Slopes
            Exact.
        """
        directions = self.directions(point.theta)
        nP = self.patterns.counts[:, None, None] * point.P
        E = self.patterns.sum_subjects(point.e[:, :, None] * point.e[:, None, :])
        C = self.patterns.sum_subjects(point.U @ point.U.swapaxes(1, 2)) if self.reml else 0.0
        G = nP - E - C  # the derivative in the matrices themselves
        between = directions.products(np.concatenate([point.U, point.e[:, :, None]], axis=2))
        b = between[:, :-1, -1]
        A = between[:, :-1, :-1].reshape(len(b), -1)
        traces = directions.cross(point.P, nP - 2 * C) + (A @ A.T if self.reml else 0.0)
        squares = directions.cross(point.P, E) - b @ b.T
        return Slopes(
            gradient=directions.inner(G),
            observed=2 * squares - traces + directions.inner_second(G),
            expected=traces,
        )

    def log_likelihood(self, point: MarginalPoint) -> float:
        """Return the log-likelihood of the outcome in the user's units.

        Parameters
        ----------
        point : MarginalPoint
            From :meth:`at`.

        Returns
        -------
        float
            With all constants.
        """
        value = self.back.log_likelihood(
            -0.5 * point.deviance, n_obs=len(self.standard.y), reml=self.reml
        )
        return value + self._log_weights


def common_scale(arrays: RepeatedArrays) -> tuple[MixedArrays, StandardScale, np.ndarray]:
    """Take weights into the rows, then make numbers of about one.

    Parameters
    ----------
    arrays : RepeatedArrays
        In the user's units.

    Returns
    -------
    standard : MixedArrays
        Least-squares residuals of unit size, orthogonal columns.
    back : StandardScale
        The way back.
    log_weights : ndarray, shape (n_obs,)
        What each row adds to the log-likelihood for its weight.
    """
    y, X, log_weights = arrays.y, arrays.X, np.zeros(arrays.n_obs)
    if arrays.weights is not None:
        roots = np.sqrt(arrays.weights)
        y, X, log_weights = y * roots, X * roots[:, None], np.log(roots)
    rows = MixedArrays(
        y=y,
        X=X,
        Z=np.ones((len(y), 1)),  # there are no random effects; the scale needs a column
        subject=arrays.subject,
        n_subjects=arrays.n_subjects,
        blocks=((0,),),
    )
    return *standardise(rows), log_weights
