"""A fitted mixed model as arrays: what predictions, tests and influence are worked out from.

Notation, on the common scale and in units of the residual variance ``sigma^2``: per subject
``V = I + Z Psi Z'``; ``A = Z' V^-1 X``, ``B = Z' V^-1 Z``, ``u = Z' V^-1 (y - X beta)``; over all
subjects ``C = (X' V^-1 X)^-1``.

References
----------
.. [1] Harville DA. Maximum likelihood approaches to variance component estimation and to related
   problems. J Am Stat Assoc 1977;72:320-338. doi:10.1080/01621459.1977.10480998.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg

from pmsstats.errors import DesignError
from pmsstats.models.formulas.columns import sum_by_subject
from pmsstats.models.mixed.mixed_scale import StandardScale, standardise

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_result import LMMResult
    from pmsstats.models.mixed.mixed_design import MixedArrays

__all__ = [
    "MixedState",
    "VarianceInformation",
    "evaluate_state",
    "mixed_state",
    "open_directions",
    "random_covariance",
    "variance_information",
]

_BOUNDARY = 1e-8  # relative variance below which lme4 too calls a fit singular


@dataclass(frozen=True, eq=False, kw_only=True)
class MixedState:
    """Everything about a fit that depends on its variances, on the common scale.

    Parameters
    ----------
    arrays : MixedArrays
        On the common scale.
    back : StandardScale
        The way to the user's units.
    reml : bool
        Restricted or full likelihood.
    psi : ndarray, shape (q, q)
        Covariance of the random effects over `sigma2`.
    sigma2 : float
        Residual variance.
    fixed : ndarray, shape (p,)
        Generalised least-squares estimates.
    inverse : ndarray, shape (p, p)
        ``C = (X' V^-1 X)^-1``.
    ZtZ, ZtX : ndarray, shape (n_subjects, q, q) and (n_subjects, q, p)
        Sums of products.
    conditional : ndarray, shape (n_subjects, q, q)
        ``Psi - Psi B Psi``: variance of the random effects given the data, over `sigma2`.
    ZVZ, ZVX, scores : ndarray, shape (n_subjects, q, q), (n_subjects, q, p), (n_subjects, q)
        ``B``, ``A`` and ``u``.
    residual : ndarray, shape (n_obs,)
        ``y - X beta``.
    row_weights : ndarray, shape (n_obs,), optional
        Whose roots the rows of `arrays` were multiplied by.
    """

    arrays: MixedArrays
    back: StandardScale
    reml: bool
    psi: np.ndarray
    sigma2: float
    fixed: np.ndarray
    inverse: np.ndarray
    ZtZ: np.ndarray
    ZtX: np.ndarray
    conditional: np.ndarray
    ZVZ: np.ndarray
    ZVX: np.ndarray
    scores: np.ndarray
    residual: np.ndarray
    row_weights: np.ndarray | None = None

    @property
    def n_free(self) -> int:
        """Return rows less fixed effects under REML, rows under ML."""
        return self.arrays.n_obs - (self.arrays.X.shape[1] if self.reml else 0)

    @property
    def modes(self) -> np.ndarray:
        """Return the predicted random effects, shape (n_subjects, q)."""
        predicted: np.ndarray = self.scores @ self.psi
        return predicted

    def fixed_rows(self, rows: np.ndarray) -> np.ndarray:
        """Express rows of fixed columns on the common scale.

        Parameters
        ----------
        rows : ndarray, shape (m, p)
            In the user's units.

        Returns
        -------
        ndarray, shape (m, p)
            To be used with `fixed` and `inverse`.
        """
        made: np.ndarray = linalg.solve_triangular(self.back.R, rows.T, trans="T").T
        return made

    def random_rows(self, rows: np.ndarray) -> np.ndarray:
        """Express rows of random-effects columns on the common scale.

        Parameters
        ----------
        rows : ndarray, shape (m, q)
            In the user's units.

        Returns
        -------
        ndarray, shape (m, q)
            To be used with `modes` and `psi`.
        """
        made: np.ndarray = linalg.solve_triangular(self.back.T, rows.T, trans="T").T
        return made


@dataclass(frozen=True, eq=False, kw_only=True)
class VarianceInformation:
    """Expected information on ``Psi = sum_k psi_k E_k`` (over sigma^2) and on ``log sigma^2``.

    Parameters
    ----------
    pairs : ndarray, shape (K, K)
        ``tr(P V_k P V_l)``, with ``V^-1`` for ``P`` under ML.
    traces : ndarray, shape (K,)
        ``tr(P V_k)``.
    n_free : int
        ``tr(P V)``.
    """

    pairs: np.ndarray
    traces: np.ndarray
    n_free: int

    @property
    def matrix(self) -> np.ndarray:
        """Return the information matrix, shape (K + 1, K + 1); ``log sigma^2`` is last."""
        corner = np.array([[float(self.n_free)]])
        return 0.5 * np.block([[self.pairs, self.traces[:, None]], [self.traces[None], corner]])

    @property
    def profiled(self) -> np.ndarray:
        """Return the information on Psi that is left when ``sigma^2`` is unknown, (K, K)."""
        left: np.ndarray = 0.5 * (self.pairs - np.outer(self.traces, self.traces) / self.n_free)
        return left


def mixed_state(fit: LMMResult) -> MixedState:
    """Rebuild the arrays of a fit on the common scale, at its variances.

    Parameters
    ----------
    fit : LMMResult
        A fitted model with one grouping factor.

    Returns
    -------
    MixedState
        With its sums of products per subject.

    Raises
    ------
    DesignError
        If the model has several grouping factors.
    """
    arrays = fit.design.arrays
    if getattr(arrays, "others", ()):
        raise DesignError(
            f"This is offered for models with one grouping factor, but {fit.spec.formula()} has "
            "several. Enter the others as fixed effects, or leave them out."
        )
    standard, back = standardise(arrays)
    sigma2 = (fit.residual_sd / back.scale) ** 2
    psi = back.T @ random_covariance(fit) @ back.T.T / (back.scale**2 * sigma2)
    state = evaluate_state(standard, back, psi, sigma2, reml=fit.spec.method == "REML")
    return replace(state, row_weights=getattr(arrays, "weights", None))


def random_covariance(fit: LMMResult) -> np.ndarray:
    """Return the covariance of a subject's random effects in the user's units.

    Parameters
    ----------
    fit : LMMResult
        A fitted model.

    Returns
    -------
    ndarray, shape (q, q)
        In the order of ``fit.design.random_names``.
    """
    position = {name: i for i, name in enumerate(fit.design.random_names)}
    psi = np.zeros((len(position),) * 2)
    parts = fit.variance_components
    wanted = parts["kind"].isin(["variance", "covariance"]) & (parts["group"] == fit.group)
    for one, two, value in parts.loc[wanted, ["term1", "term2", "estimate"]].itertuples(
        index=False, name=None
    ):
        i, j = position[one], position[two]
        psi[i, j] = psi[j, i] = value
    return psi


def evaluate_state(
    arrays: MixedArrays, back: StandardScale, psi: np.ndarray, sigma2: float, *, reml: bool
) -> MixedState:
    """Work out everything that depends on the variances.

    Parameters
    ----------
    arrays : MixedArrays
        On the common scale.
    back : StandardScale
        The way to the user's units.
    psi : ndarray, shape (q, q)
        Covariance of the random effects over `sigma2`.
    sigma2 : float
        Residual variance.
    reml : bool
        Restricted or full likelihood.

    Returns
    -------
    MixedState
        With generalised least-squares estimates at these variances.
    """
    X, Z, y = arrays.X, arrays.Z, arrays.y
    both = np.column_stack([X, y])
    ZtZ, ZtXy = (
        sum_by_subject(values, arrays.subject, arrays.n_subjects)
        for values in (Z[:, :, None] * Z[:, None, :], Z[:, :, None] * both[:, None, :])
    )
    # Z' V^-1 = (I + Z'Z Psi)^-1 Z', and Psi - Psi B Psi = Psi (I + Z'Z Psi)^-1: no cancellation
    shrink = np.linalg.inv(np.eye(len(psi)) + ZtZ @ psi)
    conditional = psi @ shrink
    conditional = (conditional + conditional.transpose(0, 2, 1)) / 2
    products = both.T @ both - np.einsum("iqa,iqr,irb->ab", ZtXy, conditional, ZtXy, optimize=True)
    inverse = np.linalg.inv(products[:-1, :-1])
    fixed = inverse @ products[:-1, -1]
    ZVXy = shrink @ ZtXy
    ZVX = ZVXy[:, :, :-1]
    return MixedState(
        arrays=arrays,
        back=back,
        reml=reml,
        psi=psi,
        sigma2=sigma2,
        fixed=fixed,
        inverse=(inverse + inverse.T) / 2,
        ZtZ=ZtZ,
        ZtX=ZtXy[:, :, :-1],
        conditional=conditional,
        ZVZ=shrink @ ZtZ,
        ZVX=ZVX,
        scores=ZVXy[:, :, -1] - ZVX @ fixed,
        residual=y - X @ fixed,
    )


def open_directions(psi: np.ndarray, blocks: Sequence[Sequence[int]]) -> np.ndarray:
    """Return symmetric matrices that span the changes of Psi that keep its rank.

    Parameters
    ----------
    psi : ndarray, shape (q, q)
        Relative covariance of the random effects.
    blocks : sequence of sequence of int
        Effects that may be correlated with each other.

    Returns
    -------
    ndarray, shape (K, q, q)
        For a regular `psi` as many as it has parameters; fewer where a variance, or a
        combination of effects, is zero.
    """
    q = len(psi)
    found: list[np.ndarray] = []
    for block in blocks:
        values, vectors = np.linalg.eigh(psi[np.ix_(block, block)])
        full = np.zeros((q, len(block)))
        full[list(block)] = vectors
        full = full[:, values > _BOUNDARY]
        for i in range(full.shape[1]):
            for j in range(i + 1):
                outer = np.outer(full[:, i], full[:, j])
                found.append((outer + outer.T) / 2)
    return np.array(found).reshape(-1, q, q)


def variance_information(state: MixedState, basis: np.ndarray) -> VarianceInformation:
    """Work out the expected information on the variances [1]_.

    Parameters
    ----------
    state : MixedState
        At some variances.
    basis : ndarray, shape (K, q, q)
        Symmetric matrices ``E_k``, the directions in which Psi may change.

    Returns
    -------
    VarianceInformation
        Of the restricted likelihood, or the full one.

    Notes
    -----
    Between subjects i and j, ``Z_i' P Z_j = [i = j] B_i - A_i C A_j'``, so that
    ``tr(P V_k P V_l) = sum_i tr(B_i E_k B_i E_l) - 2 sum_i tr(B_i E_k A_i C A_i' E_l) +
    tr(H_k C H_l C)`` with ``H_k = sum_i A_i' E_k A_i``.

    References
    ----------
    .. [1] Harville DA. Maximum likelihood approaches to variance component estimation and to
       related problems. J Am Stat Assoc 1977;72:320-338. doi:10.1080/01621459.1977.10480998.
    """
    B, A, C = state.ZVZ, state.ZVX, state.inverse
    BE = np.einsum("iab,kbc->ikac", B, basis)
    pairs = np.einsum("ikac,ilca->kl", BE, BE)
    traces = np.einsum("ikaa->k", BE)
    if state.reml:
        ACA = np.einsum("iap,pr,ibr->iab", A, C, A, optimize=True)
        pairs = pairs - 2 * np.einsum("ikac,icb,lba->kl", BE, ACA, basis, optimize=True)
        HC = np.einsum("iap,kab,ibr,rs->kps", A, basis, A, C, optimize=True)
        pairs = pairs + np.einsum("kps,lsp->kl", HC, HC)
        traces = traces - np.einsum("kpp->k", HC)
    return VarianceInformation(pairs=(pairs + pairs.T) / 2, traces=traces, n_free=state.n_free)
