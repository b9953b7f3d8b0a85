"""Influence of each subject on a mixed model: what the answer were without him or her.

References
----------
.. [1] Christensen R, Pearson LM, Johnson W. Case-deletion diagnostics for mixed models.
   Technometrics 1992;34:38-45. doi:10.1080/00401706.1992.10485231.
.. [2] Demidenko E, Stukel TA. Influence analysis for linear mixed-effects models. Stat Med
   2005;24:893-909. doi:10.1002/sim.1974.
.. [3] Nieuwenhuis R, te Grotenhuis M, Pelzer B. influence.ME: tools for detecting influential data
   in mixed effects models. R J 2012;4(2):38-47. doi:10.32614/RJ-2012-011.
.. [4] Loy A, Hofmann H. HLMdiag: a suite of diagnostics for hierarchical linear models in R. J Stat
   Softw 2014;56(5). doi:10.18637/jss.v056.i05.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import linalg

from pmsstats.models.formulas.columns import sum_by_subject
from pmsstats.models.mixed.influence_result import InfluenceResult
from pmsstats.models.mixed.mixed_state import MixedState, mixed_state, open_directions

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_result import LMMResult

__all__ = [
    "DeletedVariances",
    "Deletion",
    "delete_subjects",
    "estimate_influence",
    "update_variances",
]

_CELLS_PER_BLOCK = 4_000_000  # numbers held at once: 32 MB
_NEEDED = 1e-8  # share of the information that must be left without a subject


@dataclass(frozen=True, eq=False, kw_only=True)
class Deletion:
    """Fixed effects without each subject, with the variances as they were.

    Parameters
    ----------
    shift : ndarray, shape (n_subjects, p)
        Fixed effects of all less those without the subject, on the common scale.
    inverse : ndarray, shape (n_subjects, p, p)
        ``(X' V^-1 X)^-1`` without the subject.
    n_rows : ndarray, shape (n_subjects,)
        Of each subject.
    cooks_distance, mdffits, covratio, covtrace : ndarray, shape (n_subjects,)
        See :func:`delete_subjects`.
    sum_of_squares : ndarray, shape (n_subjects,)
        ``y' P y`` without the subject.
    """

    shift: np.ndarray
    inverse: np.ndarray
    n_rows: np.ndarray
    cooks_distance: np.ndarray
    mdffits: np.ndarray
    covratio: np.ndarray
    covtrace: np.ndarray
    sum_of_squares: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class DeletedVariances:
    """Variances without each subject, after one step.

    Parameters
    ----------
    psi : ndarray, shape (n_subjects, q, q)
        Covariance of the random effects over `sigma2`, on the common scale.
    sigma2 : ndarray, shape (n_subjects,)
        Residual variance, on the common scale.
    drift : ndarray, shape (n_subjects, p)
        By how much the fixed effects without the subject change with the variances.
    """

    psi: np.ndarray
    sigma2: np.ndarray
    drift: np.ndarray


def delete_subjects(state: MixedState) -> Deletion:
    """Leave out each subject in turn, exactly and without refitting, the variances kept.

    Parameters
    ----------
    state : MixedState
        A fitted model.

    Returns
    -------
    Deletion
        Missing for subjects without whom the fixed effects cannot be estimated.

    Notes
    -----
    With ``M_i = X_i' V_i^-1 X_i`` and ``m_i = X_i' V_i^-1 (y_i - X_i beta)``, what subject i adds
    to the normal equations, ``C_(i) = (C^-1 - M_i)^-1`` and ``beta - beta_(i) = C_(i) m_i`` [1]_.
    Of that difference, d: Cook's distance is ``d' C^-1 d / (p sigma^2)``; MDFFITS has ``C_(i)`` for
    ``C``; COVRATIO is ``det C_(i) / det C`` and COVTRACE ``|tr(C^-1 C_(i)) - p|`` [2]_.

    References
    ----------
    .. [1] Christensen R, Pearson LM, Johnson W. Case-deletion diagnostics for mixed models.
       Technometrics 1992;34:38-45. doi:10.1080/00401706.1992.10485231.
    .. [2] Loy A, Hofmann H. HLMdiag: a suite of diagnostics for hierarchical linear models in R. J
       Stat Softw 2014;56(5). doi:10.18637/jss.v056.i05.
    """
    arrays, r = state.arrays, state.residual
    X, p = arrays.X, arrays.X.shape[1]

    def by_subject(values: np.ndarray) -> np.ndarray:
        return sum_by_subject(values, arrays.subject, arrays.n_subjects)

    Ztr = by_subject(arrays.Z * r[:, None])
    weights = np.einsum("iqr,irp->iqp", state.conditional, state.ZtX)
    M = by_subject(X[:, :, None] * X[:, None, :]) - np.einsum(
        "iqp,iqs->ips", state.ZtX, weights, optimize=True
    )
    m = by_subject(X * r[:, None]) - np.einsum("iqp,iq->ip", weights, Ztr)
    own = by_subject(r**2) - np.einsum("iq,iqr,ir->i", Ztr, state.conditional, Ztr)
    root = np.linalg.cholesky(state.inverse)
    left, vectors = np.linalg.eigh(np.eye(p) - root.T @ M @ root)
    left = np.where(left[:, :1] > _NEEDED, left, np.nan)  # the smallest says whether all are there
    turned = root @ vectors
    shares = np.einsum("ipk,ip->ik", turned, m)
    inverse = np.einsum("ipk,ik,isk->ips", turned, 1 / left, turned, optimize=True)
    scale = p * state.sigma2
    return Deletion(
        shift=np.einsum("ipk,ik->ip", turned, shares / left),
        inverse=inverse,
        n_rows=np.bincount(arrays.subject, minlength=arrays.n_subjects),
        cooks_distance=((shares / left) ** 2).sum(axis=1) / scale,
        mdffits=(shares**2 / left).sum(axis=1) / scale,
        covratio=1 / left.prod(axis=1),
        covtrace=np.abs((1 / left).sum(axis=1) - p),
        sum_of_squares=own.sum() - own - (shares**2 / left).sum(axis=1),
    )


def update_variances(state: MixedState, deletion: Deletion) -> DeletedVariances:
    """Move the variances by one step of Fisher scoring without each subject.

    Parameters
    ----------
    state : MixedState
        A fitted model.
    deletion : Deletion
        From :func:`delete_subjects`.

    Returns
    -------
    DeletedVariances
        Approximate: what a refit would give to first order [1]_. Variances that are zero stay so.

    Notes
    -----
    Score and expected information of the (restricted) likelihood of the other subjects, at the
    variances of all and at the fixed effects without the subject; the latter then follow the
    variances by ``d beta / d psi_k = -C X' V^-1 V_k V^-1 (y - X beta)``. All of it comes from sums
    over all subjects less the subject's own part, so that no other subject is visited again.

    References
    ----------
    .. [1] Demidenko E, Stukel TA. Influence analysis for linear mixed-effects models. Stat Med
       2005;24:893-909. doi:10.1002/sim.1974.
    """
    basis = open_directions(state.psi, state.arrays.blocks)
    n, p = deletion.shift.shape
    n_free = state.n_free - deletion.n_rows
    sigma2 = deletion.sum_of_squares / n_free
    if not len(basis):
        everywhere = np.broadcast_to(state.psi, (n, *state.psi.shape))
        return DeletedVariances(psi=everywhere, sigma2=sigma2, drift=np.zeros((n, p)))
    totals = _parts(state, basis, slice(None), whole=True)
    block = max(1, _CELLS_PER_BLOCK // (len(basis) ** 2 * p**2))
    steps = [
        _fisher_step(
            state, deletion, basis, totals=totals, sigma2=sigma2, which=slice(start, start + block)
        )
        for start in range(0, n, block)
    ]
    change, log_sigma2, drift = (np.concatenate(part) for part in zip(*steps, strict=True))
    psi = state.psi + np.einsum("ik,kab->iab", change, basis)
    values, vectors = np.linalg.eigh(np.nan_to_num(psi))
    psi = np.einsum("iab,ib,icb->iac", vectors, np.clip(values, 0.0, None), vectors)
    psi[np.isnan(log_sigma2)] = np.nan
    return DeletedVariances(psi=psi, sigma2=sigma2 * np.exp(log_sigma2), drift=drift)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Parts:
    """What subjects add to score and information; summed over all of them, or one by one."""

    traces: np.ndarray  # tr(B E_k)
    pairs: np.ndarray  # tr(B E_k B E_l)
    H: np.ndarray  # A' E_k A
    Q: np.ndarray  # A' E_k B E_l A


def _parts(state: MixedState, basis: np.ndarray, which: slice, *, whole: bool) -> _Parts:
    """Work out the parts of some subjects; `whole` adds them up."""
    A, B = state.ZVX[which], state.ZVZ[which]
    each = "" if whole else "i"
    EA = np.einsum("kab,ibp->ikap", basis, A)
    BE = np.einsum("iab,kbc->ikac", B, basis)
    options = {"optimize": True}
    return _Parts(
        traces=np.einsum(f"ikaa->{each}k", BE),
        pairs=np.einsum(f"ikac,ilca->{each}kl", BE, BE, **options),
        H=np.einsum(f"iap,ikas->{each}kps", A, EA, **options),
        Q=np.einsum(f"ikap,iab,ilbs->{each}klps", EA, B, EA, **options),
    )


def _fisher_step(
    state: MixedState,
    deletion: Deletion,
    basis: np.ndarray,
    *,
    totals: _Parts,
    sigma2: np.ndarray,
    which: slice,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the steps of Psi (m, K), of log sigma^2 (m,) and of the fixed effects (m, p)."""
    own = _parts(state, basis, which, whole=False)
    d, C = deletion.shift[which], deletion.inverse[which]
    n_free = (state.n_free - deletion.n_rows[which]).astype(float)
    H = totals.H - own.H
    traces = totals.traces - own.traces
    pairs = totals.pairs - own.pairs
    if state.reml:
        HC = np.einsum("ikps,isr->ikpr", H, C)
        traces = traces - np.einsum("ikpp->ik", HC)
        pairs = pairs - 2 * np.einsum("iklps,isp->ikl", totals.Q - own.Q, C, optimize=True)
        pairs = pairs + np.einsum("ikpr,ilrp->ikl", HC, HC, optimize=True)
    squares, cross = _products(state, basis, d, totals.H, which)
    score = -0.5 * (traces - squares / sigma2[which, None])
    information = 0.5 * (pairs - traces[:, :, None] * traces[:, None] / n_free[:, None, None])
    good = np.isfinite(score).all(axis=1) & np.isfinite(information).all(axis=(1, 2))
    step = np.full(score.shape, np.nan)
    step[good] = (np.linalg.pinv(information[good], hermitian=True) @ score[good, :, None])[..., 0]
    drift = -np.einsum("ips,iks,ik->ip", C, cross, step)
    return step, -(traces * step).sum(axis=1) / n_free, drift


def _products(
    state: MixedState, basis: np.ndarray, d: np.ndarray, H: np.ndarray, which: slice
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``sum_j u_j' E_k u_j`` and ``sum_j A_j' E_k u_j`` over the other subjects.

    Both at the fixed effects without the subject, where ``u_j`` is larger by ``A_j d``.
    """
    u, A = state.scores, state.ZVX
    at_full = np.einsum("ia,kab,ib->k", u, basis, u, optimize=True)
    slope = np.einsum("iap,kab,ib->kp", A, basis, u, optimize=True)
    own = u[which] + np.einsum("iap,ip->ia", A[which], d)
    turned = np.einsum("kab,ib->ika", basis, own)
    moved = np.einsum("kps,is->ikp", H, d)
    squares = at_full + 2 * d @ slope.T + np.einsum("ikp,ip->ik", moved, d)
    squares = squares - np.einsum("ia,ika->ik", own, turned)
    return squares, slope + moved - np.einsum("iap,ika->ikp", A[which], turned)


def estimate_influence(fit: LMMResult) -> InfluenceResult:
    """Say how the answer depends on each subject.

    Parameters
    ----------
    fit : LMMResult
        A fitted model with one grouping factor.

    Returns
    -------
    InfluenceResult
        One row per subject, the most influential first.

    Raises
    ------
    DesignError
        If the model has several grouping factors.

    Notes
    -----
    Fixed effects without a subject are exact for the variances of all subjects (see
    :func:`delete_subjects`); DFBETAS are their differences over the standard errors without the
    subject [1]_. Variances without a subject are approximate (see :func:`update_variances`);
    ``rvc`` is their change over what they are with all subjects [2]_. R:
    ``HLMdiag::case_delete``, ``cooks.distance``, ``covratio``, ``mdffits``, ``rvc``;
    ``influence.ME::dfbetas``; SAS: ``MODEL ... / INFLUENCE(EFFECT=subject ITER=0)``, which also
    updates sigma^2 in its Cook's distance.

    References
    ----------
    .. [1] Nieuwenhuis R, te Grotenhuis M, Pelzer B. influence.ME: tools for detecting influential
       data in mixed effects models. R J 2012;4(2):38-47. doi:10.32614/RJ-2012-011.
    .. [2] Loy A, Hofmann H. HLMdiag: a suite of diagnostics for hierarchical linear models in R. J
       Stat Softw 2014;56(5). doi:10.18637/jss.v056.i05.
    """
    state = mixed_state(fit)
    deletion = delete_subjects(state)
    ids = pd.DataFrame({fit.group: list(fit.design.subject_ids)})
    terms = fit.coefficients["term"].tolist()
    back = state.back
    inverse = back.scale * linalg.solve_triangular(back.R, np.eye(len(back.R)))
    shift = deletion.shift @ inverse.T
    variance = state.sigma2 * np.einsum("ap,ips,as->ia", inverse, deletion.inverse, inverse)
    without = fit.coefficients["estimate"].to_numpy() - shift
    updated = update_variances(state, deletion)
    changes = _relative_changes(fit, state, updated)
    frame = ids.assign(
        n_obs=deletion.n_rows,
        cooks_distance=deletion.cooks_distance,
        mdffits=deletion.mdffits,
        covratio=deletion.covratio,
        covtrace=deletion.covtrace,
        **changes,
    )
    return InfluenceResult(
        spec=fit.spec,
        frame=frame,
        dfbetas_frame=ids.join(pd.DataFrame(shift / np.sqrt(variance), columns=terms)),
        estimates_frame=ids.join(pd.DataFrame(without, columns=terms)),
        updated_frame=ids.join(pd.DataFrame(without + updated.drift @ inverse.T, columns=terms)),
        group=fit.group,
        label=fit.label,
        fit_log=fit.fit_log,
        origin=fit.origin,
        exclusions=fit.exclusions,
    )


def _relative_changes(
    fit: LMMResult, state: MixedState, updated: DeletedVariances
) -> dict[str, np.ndarray]:
    """Return how much each variance changes, as a share of what it is with all subjects."""
    inverse = np.linalg.inv(state.back.T)
    now = np.diag(inverse @ (state.sigma2 * state.psi) @ inverse.T)
    then = np.einsum("ap,ips,as->ia", inverse, updated.psi, inverse) * updated.sigma2[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        changes = np.where(now > 0, then / np.where(now > 0, now, 1.0) - 1, np.nan)
    made = {f"rvc_{name}": changes[:, k] for k, name in enumerate(fit.design.random_names)}
    return {**made, "rvc_residual": updated.sigma2 / state.sigma2 - 1}
