"""Normal models of trial-level effects, by (restricted) maximum likelihood, many data sets at once.

A data set is a vector of how often each trial counts, so that a fit, its leave-one-trial-out
companions and its bootstrap replicates are one batch of matrices. Nothing here loops over trials
or replicates.

References
----------
.. [1] van Houwelingen HC, Arends LR, Stijnen T. Advanced methods in meta-analysis: multivariate
   approach and meta-regression. Stat Med 2002;21:589-624. doi:10.1002/sim.1040
.. [2] Buyse M, Molenberghs G, Burzykowski T, Renard D, Geys H. The validation of surrogate
   endpoints in meta-analyses of randomized experiments. Biostatistics 2000;1:49-67.
   doi:10.1093/biostatistics/1.1.49
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from pmsstats.errors import DesignError

__all__ = ["EffectFit", "EffectModel", "fit_effects", "unit_symmetric"]

_STEPS = 200
_HALVINGS = 30
_DECREMENT = 1e-10  # squared standard errors from the maximum
_CHUNK = 250  # data sets at a time, so that the arrays stay small
_FLOOR = 1e-10  # smallest curvature, relative to the largest, that a Newton step divides by


@dataclass(frozen=True, kw_only=True, eq=False)
class EffectModel:
    """Effects of each trial, their sampling error, and what the covariance between trials may be.

    Parameters
    ----------
    effects : ndarray, shape (n_trials, d)
        Estimates of each trial.
    design : ndarray, shape (n_trials, d, p)
        The mean of a trial's effects is ``design @ beta``.
    within : ndarray, shape (n_trials, d, d)
        Known part of their covariance.
    basis : ndarray, shape (n_trials, k, d, d)
        ``V_i = within_i + sum_k phi_k basis_ik``, where ``phi`` stacks the lower triangles, row by
        row, of the unknown covariance matrices.
    sizes : tuple of int
        Their sizes.
    residual_df : ndarray, shape (n_trials,), optional
        Degrees of freedom of `residual_squares`.
    residual_squares : ndarray, shape (n_trials, m, m), optional
        Sums of squares and products of residuals, Wishart with the last covariance matrix as scale.
    """

    effects: np.ndarray
    design: np.ndarray
    within: np.ndarray
    basis: np.ndarray
    sizes: tuple[int, ...]
    residual_df: np.ndarray | None = None
    residual_squares: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class EffectFit:
    """Maxima of the likelihood, one per data set.

    Parameters
    ----------
    beta : ndarray, shape (n_sets, p)
        Means.
    beta_covariance : ndarray, shape (n_sets, p, p)
        Of the means, the variances taken as known.
    phi : ndarray, shape (n_sets, k)
        Lower triangles of the covariance matrices, row by row.
    phi_covariance : ndarray, shape (n_sets, k, k)
        Of `phi`, from the observed information of the Cholesky factors, which is positive definite
        also where a covariance matrix is singular.
    log_likelihood : ndarray, shape (n_sets,)
        Up to constants of the data where residual squares enter; with them otherwise.
    converged : ndarray of bool, shape (n_sets,)
        Whether the next Newton step is nothing.
    """

    beta: np.ndarray
    beta_covariance: np.ndarray
    phi: np.ndarray
    phi_covariance: np.ndarray
    log_likelihood: np.ndarray
    converged: np.ndarray

    def matrix(self, block: int, sizes: tuple[int, ...]) -> np.ndarray:
        """Return one of the covariance matrices, shape (n_sets, size, size).

        Parameters
        ----------
        block : int
            Which.
        sizes : tuple of int
            As in the model.
        """
        start = sum(size * (size + 1) // 2 for size in sizes[:block])
        units = unit_symmetric(sizes[block])
        return np.einsum("rk,kab->rab", self.phi[:, start : start + len(units)], units)


def unit_symmetric(size: int) -> np.ndarray:
    """Return the derivatives of a symmetric matrix with respect to its lower triangle.

    Parameters
    ----------
    size : int
        Rows of the matrix.

    Returns
    -------
    ndarray, shape (size * (size + 1) / 2, size, size)
        Row by row of the triangle.

    Examples
    --------
    >>> unit_symmetric(2)[1].tolist()
    [[0.0, 1.0], [1.0, 0.0]]
    """
    rows, columns = np.tril_indices(size)
    units = np.zeros((len(rows), size, size))
    at = np.arange(len(rows))
    units[at, rows, columns] = 1.0
    units[at, columns, rows] = 1.0
    return units


def fit_effects(
    model: EffectModel, counts: np.ndarray, start: tuple[np.ndarray, ...], *, reml: bool = True
) -> EffectFit:
    """Maximise the likelihood for each data set.

    Parameters
    ----------
    model : EffectModel
        The trials.
    counts : ndarray, shape (n_sets, n_trials)
        How often each trial is in each data set.
    start : tuple of ndarray
        Where to start: one positive definite matrix per unknown covariance.
    reml : bool, default True
        Restricted rather than full likelihood.

    Returns
    -------
    EffectFit
        One maximum per data set.

    Notes
    -----
    Newton's method on the Cholesky factors of the covariance matrices, so that a singular maximum
    (an R2 of one) is an ordinary point; where the curvature is not positive, its absolute value
    is taken. Full likelihood ``-2 l = sum_i log|V_i| + r_i' V_i^-1 r_i``; the restricted one adds
    ``log|sum_i X_i' V_i^-1 X_i|`` [1]_; residual squares add a Wishart term, which
    together is the likelihood of the individual data in [2]_.
    """
    try:
        root = np.concatenate([np.linalg.cholesky(s)[np.tril_indices(len(s))] for s in start])
    except np.linalg.LinAlgError as exc:
        raise DesignError(
            "The effects on surrogate and outcome are copies of each other (their covariance is "
            "singular), so that one says nothing of the other. Check that the two columns are "
            "different measurements."
        ) from exc
    parts = [
        _fit_chunk(model, counts[i : i + _CHUNK], root, reml) for i in range(0, len(counts), _CHUNK)
    ]
    joined = {
        f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(EffectFit)
    }
    return EffectFit(**joined)


def _fit_chunk(model: EffectModel, counts: np.ndarray, start: np.ndarray, reml: bool) -> EffectFit:
    """Run Newton's method on some data sets."""
    theta = np.tile(start, (len(counts), 1))
    converged = np.zeros(len(counts), dtype=bool)
    waiting = np.arange(len(counts))
    for _ in range(_STEPS):
        w = counts[waiting]
        value, slope, curvature, _ = _derivatives(model, theta[waiting], w, reml)
        step, decrement = _newton_step(slope, curvature)
        theta[waiting], moved = _line_search(
            lambda tried, which, w=w: _value(model, tried, w[which], reml)[0],
            theta[waiting], step, value, (slope * step).sum(axis=1),
        )  # fmt: skip
        done = (decrement < _DECREMENT) | ~moved
        converged[waiting[done]] = decrement[done] < 1e-6
        waiting = waiting[~done]
        if not len(waiting):
            break
    value, _, curvature, mean = _derivatives(model, theta, counts, reml)
    phi, jacobian = _products(theta, model.sizes)
    inverse = np.linalg.pinv(curvature, rcond=_FLOOR, hermitian=True)
    return EffectFit(
        beta=mean[0], beta_covariance=mean[1], phi=phi,
        phi_covariance=jacobian @ inverse @ jacobian.transpose(0, 2, 1),
        log_likelihood=-value, converged=converged & np.isfinite(value),
    )  # fmt: skip


def _newton_step(slope: np.ndarray, curvature: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return downhill steps and their squared lengths in standard errors."""
    values, vectors = np.linalg.eigh(curvature)
    size = np.abs(values)
    size = np.maximum(size, _FLOOR * size.max(axis=1, keepdims=True) + 1e-300)
    turned = np.einsum("rkj,rk->rj", vectors, slope)
    return -np.einsum("rkj,rj->rk", vectors, turned / size), (turned**2 / size).sum(axis=1)


def _line_search(
    value_of: Callable[[np.ndarray, np.ndarray], np.ndarray],
    theta: np.ndarray,
    step: np.ndarray,
    value: np.ndarray,
    expected: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Halve steps until the likelihood rises enough; say which data sets moved."""
    length = np.ones(len(theta))
    moved = np.zeros(len(theta), dtype=bool)
    best = theta.copy()
    for _ in range(_HALVINGS):
        trying = np.flatnonzero(~moved)
        tried = theta[trying] + length[trying, None] * step[trying]
        new = value_of(tried, trying)
        with np.errstate(invalid="ignore"):  # a start without finite slope goes nowhere
            allowed = value[trying] + 1e-4 * length[trying] * expected[trying]
            allowed = allowed + 1e-13 * np.abs(value[trying])
        good = np.isfinite(new) & (new <= allowed)
        best[trying[good]] = tried[good]
        moved[trying[good]] = True
        if moved.all():
            break
        length[trying[~good]] /= 2
    return best, moved


def _factors(theta: np.ndarray, sizes: tuple[int, ...]) -> list[np.ndarray]:
    """Return the Cholesky factors, each of shape (n_sets, size, size)."""
    factors, start = [], 0
    for size in sizes:
        rows, columns = np.tril_indices(size)
        factor = np.zeros((len(theta), size, size))
        factor[:, rows, columns] = theta[:, start : start + len(rows)]
        factors.append(factor)
        start += len(rows)
    return factors


def _products(theta: np.ndarray, sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return phi (n_sets, k) and its derivative with respect to theta (n_sets, k, k)."""
    n_terms = theta.shape[1]
    phi, jacobian = np.empty_like(theta), np.zeros((len(theta), n_terms, n_terms))
    start = 0
    for factor in _factors(theta, sizes):
        rows, columns = np.tril_indices(factor.shape[1])
        stop = start + len(rows)
        phi[:, start:stop] = (factor @ factor.transpose(0, 2, 1))[:, rows, columns]
        for j, (row, column) in enumerate(zip(rows, columns, strict=True)):
            # d(L L') = e_row L_column' + L_column e_row'
            jacobian[:, start:stop, start + j] = (rows == row) * factor[:, columns, column] + (
                columns == row
            ) * factor[:, rows, column]
        start = stop
    return phi, jacobian


def _value(
    model: EffectModel, theta: np.ndarray, counts: np.ndarray, reml: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return the negative log-likelihood, the inverse V, residuals, and the mean with error."""
    phi, _ = _products(theta, model.sizes)
    V = model.within + np.einsum("rk,nkab->rnab", phi, model.basis)
    with np.errstate(all="ignore"):
        sign, log_det = np.linalg.slogdet(V)
        V = np.where((sign > 0)[..., None, None], V, np.eye(V.shape[-1]))
        inverse = np.linalg.inv(V)
        weighted = counts[:, :, None, None] * inverse
        XtV = np.einsum("nap,rnab->rnpb", model.design, weighted)
        precision = np.einsum("rnpb,nbq->rpq", XtV, model.design)
        C = np.linalg.pinv(precision, hermitian=True)
        beta = np.einsum("rpq,rnqb,nb->rp", C, XtV, model.effects)
        residual = model.effects - np.einsum("nap,rp->rna", model.design, beta)
        squares = np.einsum("rna,rnab,rnb->rn", residual, inverse, residual)
        n_values = counts.sum(axis=1) * V.shape[-1]
        value = (counts * (log_det + squares)).sum(axis=1) / 2
        if reml:
            value = value + np.linalg.slogdet(precision)[1] / 2
            n_values = n_values - beta.shape[1]
        value = value + n_values * np.log(2 * np.pi) / 2
        value = value + _wishart_value(model, phi, counts)
    value = np.where(((sign > 0) | (counts == 0)).all(axis=1), value, np.inf)
    return value, inverse, residual, beta, C


def _wishart_parts(
    model: EffectModel, phi: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return units, scale matrix, total degrees of freedom and total squares."""
    units = unit_symmetric(model.sizes[-1])
    scale = np.einsum("rk,kab->rab", phi[:, -len(units) :], units)
    total = np.einsum("rn,nab->rab", counts, model.residual_squares)
    return units, scale, counts @ model.residual_df, total


def _wishart_value(model: EffectModel, phi: np.ndarray, counts: np.ndarray) -> np.ndarray | float:
    """Return the part of the negative log-likelihood that the residual squares give."""
    if model.residual_squares is None:
        return 0.0
    _, scale, df, total = _wishart_parts(model, phi, counts)
    sign, log_det = np.linalg.slogdet(scale)
    safe = np.where((sign > 0)[:, None, None], scale, np.eye(scale.shape[-1]))
    trace = np.einsum("rab,rba->r", np.linalg.inv(safe), total)
    return np.where(sign > 0, (df * log_det + trace) / 2, np.inf)


def _wishart_derivatives(
    model: EffectModel, phi: np.ndarray, counts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient and Hessian of that part, with respect to the last triangle."""
    units, scale, df, total = _wishart_parts(model, phi, counts)
    inverse = np.linalg.inv(scale)
    A = np.einsum("rab,kbc->rkac", inverse, units)
    AS = np.einsum("rkab,rbc,rcd->rkad", A, inverse, total)
    slope = (df[:, None] * np.einsum("rkaa->rk", A) - np.einsum("rkaa->rk", AS)) / 2
    first = -df[:, None, None] * np.einsum("rjab,rkba->rjk", A, A) / 2
    second = np.einsum("rjab,rkba->rjk", A, AS)
    return slope, first + (second + second.transpose(0, 2, 1)) / 2


def _derivatives(
    model: EffectModel, theta: np.ndarray, counts: np.ndarray, reml: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """Return value, gradient and Hessian in theta, and the mean with its error."""
    value, inverse, residual, beta, C = _value(model, theta, counts, reml)
    phi, jacobian = _products(theta, model.sizes)
    A = np.einsum("rnab,nkbc->rnkac", inverse, model.basis)  # V^-1 E_k
    u = np.einsum("rnab,rnb->rna", inverse, residual)
    q = np.einsum("rnkab,rnb->rnka", A, u)  # V^-1 E_k V^-1 r
    w = counts
    slope = (
        np.einsum("rn,rnkaa->rk", w, A)
        - np.einsum("rn,rna,nkab,rnb->rk", w, u, model.basis, u, optimize=True)
    ) / 2
    traces = np.einsum("rn,rnjab,rnkba->rjk", w, A, A, optimize=True)
    bends = np.einsum("rn,rna,nkab,rnjb->rjk", w, u, model.basis, q, optimize=True)
    across = np.einsum("rn,nap,rnka->rkp", w, model.design, q, optimize=True)
    hessian = -traces / 2 + (bends + bends.transpose(0, 2, 1)) / 2
    hessian = hessian - np.einsum("rjp,rpq,rkq->rjk", across, C, across)
    if reml:
        extra = _restriction(model, A, inverse, w, C)
        slope, hessian = slope + extra[0], hessian + extra[1]
    if model.residual_squares is not None:
        wishart = _wishart_derivatives(model, phi, w)
        m = wishart[0].shape[1]
        slope[:, -m:] += wishart[0]
        hessian[:, -m:, -m:] += wishart[1]
    turned = np.einsum("rka,rkl,rlb->rab", jacobian, hessian, jacobian)
    curvature = turned + _bend(slope, model.sizes)
    return value, np.einsum("rk,rka->ra", slope, jacobian), curvature, (beta, C)


def _restriction(
    model: EffectModel, A: np.ndarray, inverse: np.ndarray, w: np.ndarray, C: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient and Hessian of half the log determinant of the precision of the means."""
    VX = np.einsum("rnab,nbp->rnap", inverse, model.design)
    AVX = np.einsum("rnkab,rnbp->rnkap", A, VX)
    M = np.einsum("rn,nap,rnkaq->rkpq", w, model.design, AVX, optimize=True)
    CM = np.einsum("rpq,rkqs->rkps", C, M)
    EVX = np.einsum("nkab,rnbp->rnkap", model.basis, VX)
    second = np.einsum("rn,rnjap,rnkaq,rpq->rjk", w, EVX, AVX, C, optimize=True)
    second = (second + second.transpose(0, 2, 1)) / 2
    first = np.einsum("rjpq,rkqp->rjk", CM, CM)
    return -np.einsum("rkpp->rk", CM) / 2, second - first / 2


def _bend(slope: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    """Return the curvature of the log-likelihood in L that comes from D = L L' alone."""
    n_terms = slope.shape[1]
    made, start = np.zeros((len(slope), n_terms, n_terms)), 0
    for size in sizes:
        rows, columns = np.tril_indices(size)
        units = unit_symmetric(size) / 2
        units[rows == columns] *= 2
        stop = start + len(rows)
        G = np.einsum("rk,kab->rab", slope[:, start:stop], units)  # tr(G dD) = slope' dphi
        same = columns[:, None] == columns
        made[:, start:stop, start:stop] = 2 * same * G[:, rows[:, None], rows]
        start = stop
    return made
