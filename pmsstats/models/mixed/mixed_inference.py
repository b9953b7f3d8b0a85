"""Small-sample inference for the fixed effects of mixed models with one grouping factor.

Notation: ``V = I + Z Psi Z'`` per subject, in units of the residual variance ``sigma^2``;
``A = Z'V^-1 Z``, ``B = Z'V^-1 X``, ``c = Z'V^-1 r`` with the residuals ``r = y - X beta``;
``Phi = (X'V^-1 X)^-1``. A change of `Psi` in the direction ``D`` changes `V` by ``Z D Z'``; then
``M = sum B'D B`` is by how much ``X'V^-1 X`` falls. Every sum over subjects is a product of two
matrices with a row per subject, so that there is no loop over subjects.

References
----------
.. [1] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
   likelihood. Biometrics 1997;53:983-997. doi:10.2307/2533558.
.. [2] Kuznetsova A, Brockhoff PB, Christensen RHB. lmerTest package: tests in linear mixed effects
   models. J Stat Softw 2017;82(13). doi:10.18637/jss.v082.i13.
.. [3] Halekoh U, Hojsgaard S. A Kenward-Roger approximation and parametric bootstrap methods for
   tests in linear mixed models: the R package pbkrtest. J Stat Softw 2014;59(9).
   doi:10.18637/jss.v059.i09.
.. [4] Harville DA. Maximum likelihood approaches to variance component estimation and to related
   problems. J Am Stat Assoc 1977;72:320-338. doi:10.1080/01621459.1977.10480998.
.. [5] Vandereycken B, Absil P-A, Vandewalle S. A Riemannian geometry with complete geodesics for
   the set of positive semidefinite matrices of fixed rank. IMA J Numer Anal 2013;33:481-514.
   doi:10.1093/imanum/drs006.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.degrees_of_freedom import (
    DF_METHODS,
    DfMethod,
    FixedDf,
    Inference,
    KenwardRoger,
    NormalInference,
    Satterthwaite,
    between_within_df,
)
from pmsstats.models.formulas.columns import sum_by_subject

if TYPE_CHECKING:
    from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood, Solution

__all__ = ["mixed_inference"]

_BOUNDARY = 1e-8  # relative variance that counts as zero, as in the judgement of singular fits
_FLAT = 1e-8  # share of the expected curvature below which a direction is flat (lmerTest: 1e-8)


def mixed_inference(
    likelihood: MixedLikelihood,
    solution: Solution,
    method: DfMethod,
    *,
    columns: np.ndarray | None = None,
) -> Inference:
    """Work out how precise the fixed effects of a mixed model are, by one method.

    Parameters
    ----------
    likelihood : MixedLikelihood
        The model and its data.
    solution : Solution
        Its maximum, from :meth:`MixedLikelihood.solve`.
    method : DfMethod
        ``"satterthwaite"``, ``"kenward-roger"`` (and ``"kenward-roger-linear"``, which is the same
        here, because `V` is linear in variances and covariances), ``"between-within"``,
        ``"residual"`` or ``"normal"``.
    columns : ndarray, shape (n_obs, p), optional
        Fixed effects in the user's columns, which the between-within method has to look at:
        those of the common scale mix them.

    Returns
    -------
    Inference
        On the scale of `solution`; :meth:`Inference.mapped` takes it to others.

    Raises
    ------
    DesignError
        If the method is unknown, Kenward and Roger's is asked for without restricted likelihood,
        or the between-within method lacks `columns`.

    Notes
    -----
    Satterthwaite, as in R ``lmerTest::lmer`` [2]_: the covariance of the variance parameters is
    twice the inverse of the exact second derivative of the deviance, restricted or full. The
    degrees of freedom do not depend on the parameters chosen. On the boundary (a variance, or a
    combination of effects, estimated as zero) lmerTest's parameters, the entries of a Cholesky
    factor, are left with the covariances of the same rank; so is this (curvature of that set:
    [5]_). Directions in which the likelihood is flat, or falls away from a point that is no
    maximum, are left out.

    Kenward-Roger, as in R ``pbkrtest::vcovAdj`` [3]_: the variance parameters are the entries of
    ``sigma^2 Psi`` and ``sigma^2``; their covariance is twice the inverse of the *expected*
    information, as in [1]_; the fixed effects' covariance is ``Phi_A`` of [1]_. SAS's ``DDFM=KR``
    takes the observed information, so that its numbers differ a little in unbalanced data; how much
    :data:`~pmsstats.models.fixed_effects.degrees_of_freedom.DfMethod` says. A singular fit is
    treated like any other, as by pbkrtest: negative variances are not excluded. Where the
    information cannot be inverted its pseudo-inverse is taken.

    ``"residual"``: rows less fixed effects, SAS ``DDFM=RESIDUAL``. ``"between-within"``: see
    :func:`~pmsstats.models.fixed_effects.degrees_of_freedom.between_within_df`.
    """
    if method not in DF_METHODS:
        raise DesignError(
            f"`df_method` must be one of {', '.join(DF_METHODS)}, got {method!r}."
            f"{nearest(str(method), DF_METHODS)}"
        )
    if method == "satterthwaite":
        return _satterthwaite(likelihood, solution)
    if method.startswith("kenward-roger"):
        return _kenward_roger(likelihood, solution)
    if method == "normal":
        return NormalInference(covariance=solution.fixed_covariance)
    df = _counted(likelihood, method, columns)
    return FixedDf(covariance=solution.fixed_covariance, per_coefficient=df)


def _counted(
    likelihood: MixedLikelihood, method: DfMethod, columns: np.ndarray | None
) -> np.ndarray:
    """Count the degrees of freedom of each fixed effect."""
    n, p = likelihood.arrays.X.shape
    if method == "residual":
        return np.full(p, float(n - p))
    if columns is None:
        raise DesignError(
            "df_method='between-within' tells columns that change within subjects from others, so "
            "it needs `columns`, the fixed effects in the user's units."
        )
    return between_within_df(columns, likelihood.arrays.subject, likelihood.arrays.n_subjects)


@dataclass(frozen=True, eq=False)
class _Products:
    """Products with ``V^-1`` at a solution, per subject, in units of ``sigma^2``."""

    ZVZ: np.ndarray  # A: (n_subjects, q, q)
    ZVX: np.ndarray  # B: (n_subjects, q, p)
    scores: np.ndarray  # c / sigma: (n_subjects, q)
    phi: np.ndarray  # (p, p)

    @classmethod
    def of(cls, likelihood: MixedLikelihood, solution: Solution) -> _Products:
        """Add up within subjects."""
        arrays = likelihood.arrays
        X, Z, y = arrays.X, arrays.Z, arrays.y
        sigma = np.sqrt(solution.sigma2)
        both = np.column_stack([Z, X, (y - X @ solution.fixed) / sigma])
        products = np.stack(  # one random effect at a time: less memory
            [sum_by_subject(z[:, None] * both, arrays.subject, arrays.n_subjects) for z in Z.T],
            axis=1,
        )
        q = Z.shape[1]
        # Z'V^-1 = (I + Z'Z Psi)^-1 Z', for any positive semidefinite Psi
        solved = np.linalg.solve(np.eye(q) + products[:, :, :q] @ solution.psi, products)
        A = solved[:, :, :q]
        return cls(
            ZVZ=(A + A.transpose(0, 2, 1)) / 2,
            ZVX=np.ascontiguousarray(solved[:, :, q:-1]),
            scores=np.ascontiguousarray(solved[:, :, -1]),
            phi=solution.fixed_covariance / solution.sigma2,
        )

    @cached_property
    def explained(self) -> np.ndarray:
        """``B Phi B'`` of each subject."""
        shared = self.ZVX @ np.linalg.cholesky(self.phi)
        return shared @ shared.transpose(0, 2, 1)

    def falls(self, directions: np.ndarray) -> np.ndarray:
        """Return ``M`` of each direction: shape (k, p, p)."""
        m, q, p = self.ZVX.shape
        rows = self.ZVX.reshape(m, q * p)
        squares = (rows.T @ rows).reshape(q, p, q, p).transpose(0, 2, 1, 3).reshape(q * q, p * p)
        return (_flat(directions) @ squares).reshape(-1, p, p)

    def traces(self, other: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return ``sum tr(A D_k other D_l)``: shape (k, k)."""
        m, q, _ = self.ZVZ.shape
        pairs = self.ZVZ.reshape(m, q * q).T @ other.reshape(m, q * q)
        around = pairs.reshape(q, q, q, q).transpose(1, 2, 3, 0).reshape(q * q, q * q)
        flat = _flat(directions)
        return flat @ around @ flat.T

    def sizes(self, directions: np.ndarray) -> np.ndarray:
        """Return expected curvatures of the full deviance, which are positive: a scale."""
        return self.traces(self.ZVZ, directions).diagonal()

    def expected(self, falls: np.ndarray, directions: np.ndarray) -> np.ndarray:
        """Return the expected second derivative of the restricted deviance [3]_."""
        phi_falls = self.phi @ falls
        pairs = np.tensordot(phi_falls, phi_falls, axes=([1, 2], [2, 1]))
        return self.traces(self.ZVZ - 2 * self.explained, directions) + pairs


def _flat(directions: np.ndarray) -> np.ndarray:
    """Return each direction as one row."""
    return directions.reshape(len(directions), directions.shape[1] ** 2)


def _satterthwaite(likelihood: MixedLikelihood, solution: Solution) -> Satterthwaite:
    """Return the parts of Satterthwaite's method."""
    products = _Products.of(likelihood, solution)
    tangent = _tangent(likelihood.arrays.blocks, solution)
    falls = products.falls(tangent.directions)
    hessian = _hessian(likelihood, products, tangent, falls)
    sizes = np.append(products.sizes(tangent.directions), hessian[-1, -1])
    covariance = solution.fixed_covariance
    return Satterthwaite(
        covariance=covariance,
        jacobian=_jacobian(covariance, products, falls),
        parameter_covariance=2 * _inverse(hessian, sizes),
    )


def _jacobian(covariance: np.ndarray, products: _Products, falls: np.ndarray) -> np.ndarray:
    """Differentiate ``sigma^2 Phi`` in `Psi` along each direction, then in ``log sigma^2``."""
    return np.concatenate([covariance @ falls @ products.phi, covariance[None]])


@dataclass(frozen=True, eq=False)
class _Tangent:
    """Directions in which the covariance of random effects can change and keep its rank."""

    directions: np.ndarray  # (k, q, q), symmetric
    bend: np.ndarray  # (k, k): the gradient along second derivatives of such paths


def _tangent(blocks: tuple[tuple[int, ...], ...], solution: Solution) -> _Tangent:
    """List the directions block by block, in the principal axes of the covariance.

    A path ``(F + t E)(F + t E)'`` with ``F F' = Psi`` starts along ``E F' + F E'`` and bends by
    ``2 E E'``. Only movements of positive axes into the null space bend against the gradient,
    which is zero along all others at a maximum.
    """
    q = len(solution.psi)
    directions: list[np.ndarray] = []
    into: list[tuple[np.ndarray, int]] = []  # null vector, and which axis moves towards it
    scale: list[float] = []
    for number, block in enumerate(blocks):
        values, vectors = np.linalg.eigh(solution.psi[np.ix_(block, block)])
        axes = np.zeros((q, len(block)))
        axes[list(block)] = vectors
        for i, j in itertools.combinations_with_replacement(range(len(block)), 2):
            if values[j] <= _BOUNDARY:  # ascending: then both are
                continue
            outer = np.outer(axes[:, i], axes[:, j])
            directions.append(outer if i == j else outer + outer.T)
            is_null = values[i] <= _BOUNDARY
            into.append((axes[:, i] * is_null, number * q + j))
            scale.append(values[j])
    if not directions:
        return _Tangent(np.empty((0, q, q)), np.empty((0, 0)))
    null = np.array([vector for vector, _ in into])
    axis = np.array([which for _, which in into])
    bend = 2 * (null @ solution.gradient @ null.T) / np.array(scale)
    return _Tangent(np.array(directions), np.where(axis[:, None] == axis, bend, 0.0))


def _hessian(
    likelihood: MixedLikelihood, products: _Products, tangent: _Tangent, falls: np.ndarray
) -> np.ndarray:
    """Return the second derivative of the deviance in `Psi` and ``log sigma^2`` [4]_."""
    D = tangent.directions
    c, phi = products.scores, products.phi
    m, q, p = products.ZVX.shape
    inner = 2 * c[:, :, None] * c[:, None, :] - products.ZVZ
    if likelihood.reml:
        inner = inner + 2 * products.explained
    u = _flat(D) @ (c.T @ products.ZVX.reshape(m, q * p)).reshape(q * q, p)
    within = products.traces(inner, D) - 2 * u @ phi @ u.T + tangent.bend
    if likelihood.reml:
        phi_falls = phi @ falls
        within = within - np.tensordot(phi_falls, phi_falls, axes=([1, 2], [2, 1]))
    across = _flat(D) @ (c.T @ c).reshape(-1)
    n_free = likelihood.arrays.n_obs - (p if likelihood.reml else 0)
    return np.block([[within, across[:, None]], [across[None], np.array([[float(n_free)]])]])


def _kenward_roger(likelihood: MixedLikelihood, solution: Solution) -> KenwardRoger:
    """Return the parts of Kenward and Roger's method.

    The first variance parameter multiplies all of `V`, so that its derivative is `V` itself; with
    the entries of ``sigma^2 Psi`` it spans what these and ``sigma^2`` span, and as the method does
    not change with linear maps of the parameters, no powers of ``V^-1`` are needed.
    """
    if not likelihood.reml:
        raise DesignError(
            "The method of Kenward and Roger corrects estimates of restricted maximum likelihood, "
            "but the model asks for method='ML'. Use method='REML', or df_method='satterthwaite'."
        )
    products = _Products.of(likelihood, solution)
    D = _entries(likelihood.arrays.blocks, likelihood.arrays.Z.shape[1])
    falls = products.falls(D)
    n, p = likelihood.arrays.X.shape
    information = np.empty((len(D) + 1,) * 2)
    information[0, 0] = n - p
    information[0, 1:] = information[1:, 0] = _flat(D) @ (products.ZVZ - products.explained).sum(
        axis=0
    ).reshape(-1)
    information[1:, 1:] = products.expected(falls, D)
    W = 2 * _inverse(information, np.append(n - p, products.sizes(D)))
    rise = _covariance_of_weights(products, D, falls, W[1:, 1:])
    phi, sigma2 = products.phi, solution.sigma2
    return KenwardRoger(
        covariance=sigma2 * (phi + 2 * phi @ rise @ phi),  # Phi_A of [1]
        model_covariance=sigma2 * phi,
        jacobian=sigma2 * np.concatenate([phi[None], phi @ falls @ phi]),
        parameter_covariance=W,
    )


def _covariance_of_weights(
    products: _Products, D: np.ndarray, falls: np.ndarray, W: np.ndarray
) -> np.ndarray:
    """Return ``sum W_kl (Q_kl - P_k Phi P_l)`` of [1]_; the common factor of `V` adds nothing."""
    m, q, p = products.ZVX.shape
    weights = (_flat(D).T @ W @ _flat(D)).reshape(q, q, q, q).transpose(1, 2, 0, 3)
    middle = products.ZVZ.reshape(m, q * q) @ weights.reshape(q * q, q * q)  # sum W_kl D_k A D_l
    rows = products.ZVX.reshape(m * q, p)
    Q = rows.T @ (middle.reshape(m, q, q) @ products.ZVX).reshape(m * q, p)
    P = (falls @ products.phi @ np.tensordot(W, falls, axes=1)).sum(axis=0)
    total = Q - P
    return (total + total.T) / 2


def _entries(blocks: tuple[tuple[int, ...], ...], q: int) -> np.ndarray:
    """Return the derivative of a covariance in each of its free entries: shape (k, q, q)."""
    pairs = [(i, j) for block in blocks for i in block for j in block if i <= j]
    D = np.zeros((len(pairs), q, q))
    for k, (i, j) in enumerate(pairs):
        D[k, i, j] = D[k, j, i] = 1.0
    return D


def _inverse(curvature: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Invert a curvature, leaving out directions in which it is flat or falls."""
    scale = np.sqrt(sizes)
    values, vectors = np.linalg.eigh(curvature / np.outer(scale, scale))
    steep = values > _FLAT
    kept = vectors[:, steep] / scale[:, None]
    inverse: np.ndarray = (kept / values[steep]) @ kept.T
    return inverse
