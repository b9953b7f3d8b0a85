"""Multivariate regressions with missing outcomes by restricted likelihood, many at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.missing.moments import PatternSums

__all__ = ["Regressions", "fit_regressions", "generalised_means", "padded_inverses"]

_TOLERANCE = 1e-9  # of the distance to the maximum, in standard errors of the parameters
_MOST_STEPS = 500
_EM_STEPS = 3
_RANK = 1e-9  # smallest eigenvalue of regressors' products, relative to the largest
_FLAT = 1e-13  # smallest eigenvalue of the information, scaled to a diagonal of one
_SINGULAR = 1e-7  # smallest eigenvalue of a correlation matrix that is taken as positive
_SLACK = 1e-9  # by which the deviance may rise through rounding, relative


@dataclass(frozen=True, eq=False, kw_only=True)
class Regressions:
    """Fitted multivariate regressions.

    Parameters
    ----------
    coefs : ndarray, shape (n_replicates, q, n_visits)
        Effects of the regressors by visit.
    covariances : ndarray, shape (n_replicates, n_groups, n_visits, n_visits)
        Of the visits of a subject.
    converged : ndarray of bool, shape (n_replicates,)
        Whether the maximum was found; others hold NaN.
    n_steps : int
        Steps taken by the slowest.
    """

    coefs: np.ndarray
    covariances: np.ndarray
    converged: np.ndarray
    n_steps: int


def fit_regressions(sums: PatternSums, *, start: np.ndarray | None = None) -> Regressions:
    """Fit ``y = B' z + e`` with unstructured covariance to data with missing outcomes.

    Parameters
    ----------
    sums : PatternSums
        Of each replicate.
    start : ndarray, shape (n_groups, n_visits, n_visits), optional
        Covariances to start from.

    Returns
    -------
    Regressions
        By restricted maximum likelihood.

    Notes
    -----
    The mean has every regressor by visit, the covariance is unstructured: an MMRM that is
    saturated in visits. Fisher scoring with the expected information of the likelihood and the
    gradient of the restricted one; where a step does not raise the likelihood or leaves the
    positive definite matrices, a step of the EM algorithm, which does neither [1]_.

    References
    ----------
    .. [1] Jennrich RI, Schluchter MD. Unbalanced repeated-measures models with structured
       covariance matrices. Biometrics 1986;42:805-820. doi:10.2307/2530695.
    """
    usable = _is_determined(sums)
    R, _, q, T = sums.zy.shape
    coefs = np.full((R, q, T), np.nan)
    covariances = np.full((R, sums.n_groups, T, T), np.nan)
    converged = np.zeros(R, dtype=bool)
    rows = np.flatnonzero(usable)
    at = _starts(sums.take(rows), start)
    n_steps = 0
    while len(rows) and n_steps < _MOST_STEPS:
        n_steps += 1
        mine = sums.take(rows)
        point = _evaluate(mine, at)
        done = point.distance < _TOLERANCE
        coefs[rows[done]], covariances[rows[done]] = point.coefs[done], at[done]
        converged[rows[done]] = True
        at = _step(mine, point, at, only_em=start is None and n_steps <= _EM_STEPS)
        left = ~done & point.regular & _is_regular(at, least=_SINGULAR)
        at, rows = at[left], rows[left]
    return Regressions(coefs=coefs, covariances=covariances, converged=converged, n_steps=n_steps)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Point:
    """Deviance, gradient and scoring direction of all replicates at their covariances."""

    coefs: np.ndarray
    deviance: np.ndarray
    gradient: np.ndarray
    direction: np.ndarray
    distance: np.ndarray
    regular: np.ndarray


def padded_inverses(covariances: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Invert the observed block of each covariance, zeros elsewhere.

    Parameters
    ----------
    covariances : ndarray, shape (..., n_patterns, n_visits, n_visits)
        One per pattern.
    masks : ndarray of bool, shape (n_patterns, n_visits)
        Observed visits.

    Returns
    -------
    tuple of ndarray
        Inverses, and logarithms of the determinants.
    """
    both = masks[:, :, None] & masks[:, None, :]
    eye = np.eye(masks.shape[1])
    padded = np.where(both, covariances, eye)
    return np.where(both, np.linalg.inv(padded), 0.0), np.linalg.slogdet(padded)[1]


def generalised_means(
    sums: PatternSums, omega: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Estimate the effects by generalised least squares.

    Parameters
    ----------
    sums : PatternSums
        Of each replicate.
    omega : ndarray, shape (n_replicates, n_patterns, n_visits, n_visits)
        Padded inverses of the covariances.

    Returns
    -------
    tuple of ndarray
        Effects (n_replicates, q, n_visits), their covariance and its inverse
        (n_replicates, n_visits * q, n_visits * q), visit by visit.
    """
    R, _, q, T = sums.zy.shape
    A = np.zeros((R, T, q, T, q))
    for p in range(omega.shape[1]):
        A += omega[:, p, :, None, :, None] * sums.zz[:, p, None, :, None, :]
    A = A.reshape(R, T * q, T * q)
    rhs = np.swapaxes(sums.zy @ omega, -1, -2).sum(axis=1).reshape(R, T * q, 1)
    phi = np.linalg.inv(A)
    coefs = np.swapaxes((phi @ rhs).reshape(R, T, q), 1, 2)
    return coefs, phi, A


def _is_determined(sums: PatternSums) -> np.ndarray:
    """Say in which replicates regressors differ at every visit, and all pairs of visits occur."""
    masks = sums.masks.astype(float)
    by_visit = np.einsum("pt,rpij->rtij", masks, sums.zz)
    good = _is_regular(by_visit)
    for g in range(sums.n_groups):
        mine = sums.group == g
        together = np.einsum("pt,ps,rp->rts", masks[mine], masks[mine], sums.n[:, mine])
        good &= (together > 0).all(axis=(1, 2))
    zy = np.einsum("rpit->rti", sums.zy)
    effects = np.linalg.pinv(by_visit, hermitian=True) @ zy[..., None]
    total = np.einsum("rptt->rt", sums.yy)
    return good & (total - np.einsum("rti,rti->rt", zy, effects[..., 0]) > _RANK * total).all(
        axis=1
    )


def _is_regular(matrices: np.ndarray, *, least: float = _RANK) -> np.ndarray:
    """Say in which replicates all matrices, scaled to a diagonal of one, have full rank."""
    scale = np.sqrt(np.abs(np.einsum("...ii->...i", matrices)))
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = matrices / (scale[..., :, None] * scale[..., None, :])
    unit = np.where(np.isfinite(unit), unit, 0.0)
    return (np.linalg.eigvalsh(unit)[..., 0] > least).all(axis=1)


def _starts(sums: PatternSums, start: np.ndarray | None) -> np.ndarray:
    """Start from given covariances, or from residual variances of each visit by itself."""
    R, _, _, T = sums.zy.shape
    if start is not None:
        return np.broadcast_to(start, (R, sums.n_groups, T, T)).copy()
    own = np.broadcast_to(np.eye(T), (R, len(sums.masks), T, T))
    omega, _ = padded_inverses(own, sums.masks)
    coefs, _, _ = generalised_means(sums, omega)
    squares = np.einsum("rptt,pt->rt", _residual_products(sums, coefs), sums.masks.astype(float))
    variance = squares / np.maximum(sums.n @ sums.masks, 1.0)
    return np.broadcast_to(
        (variance[:, None, :, None] * np.eye(T)), (R, sums.n_groups, T, T)
    ).copy()


def _residual_products(sums: PatternSums, coefs: np.ndarray) -> np.ndarray:
    """Return sums of products of residuals, right at observed visits."""
    B = coefs[:, None]
    cross = np.swapaxes(sums.zy, -1, -2) @ B
    return sums.yy - cross - np.swapaxes(cross, -1, -2) + np.swapaxes(B, -1, -2) @ sums.zz @ B


def _deviance(sums: PatternSums, covariances: np.ndarray) -> np.ndarray:
    """Return minus twice the restricted log-likelihood, up to a constant."""
    omega, log_det = padded_inverses(covariances[:, sums.group], sums.masks)
    coefs, _, A = generalised_means(sums, omega)
    fit = np.einsum("rpts,rpts->r", omega, _residual_products(sums, coefs))
    return (sums.n * log_det).sum(axis=1) + fit + np.linalg.slogdet(A)[1]


def _evaluate(sums: PatternSums, covariances: np.ndarray) -> _Point:
    """Evaluate deviance, its gradient, and the scoring direction."""
    R, _, q, T = sums.zy.shape
    omega, log_det = padded_inverses(covariances[:, sums.group], sums.masks)
    coefs, phi, A = generalised_means(sums, omega)
    rest = _residual_products(sums, coefs)
    deviance = (sums.n * log_det).sum(axis=1) + np.linalg.slogdet(A)[1]
    deviance += np.einsum("rpts,rpts->r", omega, rest)
    # What estimating the means takes away: tr(zz Phi) by pair of visits.
    spread = np.einsum("rpij,rtisj->rpts", sums.zz, phi.reshape(R, T, q, T, q), optimize=True)
    by_pattern = sums.n[..., None, None] * omega - omega @ (rest + spread) @ omega
    gradient = np.stack(
        [by_pattern[:, sums.group == g].sum(axis=1) for g in range(sums.n_groups)], axis=1
    )
    direction, distance, regular = _scoring(sums, omega, gradient)
    return _Point(
        coefs=coefs,
        deviance=deviance,
        gradient=gradient,
        direction=direction,
        distance=distance,
        regular=regular,
    )


def _scoring(
    sums: PatternSums, omega: np.ndarray, gradient: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the step of Fisher scoring, its length in standard errors, and where there is one."""
    R, G, T, _ = gradient.shape
    low = np.tril_indices(T)
    D = np.zeros((len(low[0]), T, T))
    D[np.arange(len(D)), low[0], low[1]] = 1.0
    D[np.arange(len(D)), low[1], low[0]] = 1.0
    D = D.reshape(len(D), T * T)
    direction = np.empty_like(gradient)
    square, regular = np.zeros(R), np.ones(R, dtype=bool)
    for g in range(G):
        mine = np.flatnonzero(sums.group == g)
        outer = np.zeros((R, T, T, T, T))
        for p in mine:
            weighted = sums.n[:, p, None, None] * omega[:, p]
            outer += weighted[:, :, None, :, None] * omega[:, p, None, :, None, :]
        information = D @ outer.reshape(R, T * T, T * T) @ D.T
        regular &= _is_regular(information[:, None], least=_FLAT)
        information = np.where(regular[:, None, None], information, np.eye(len(D)))
        slope = gradient[:, g].reshape(R, T * T) @ D.T
        delta = -np.linalg.solve(information, slope[..., None])[..., 0]
        square += np.einsum("ra,ra->r", -delta, slope) / 2
        direction[:, g] = (delta @ D).reshape(R, T, T)
    return direction, np.where(regular, np.sqrt(np.maximum(square, 0.0)), np.inf), regular


def _step(sums: PatternSums, point: _Point, at: np.ndarray, *, only_em: bool) -> np.ndarray:
    """Take a scoring step where it helps, else one of EM."""
    each = np.stack([sums.n[:, sums.group == g].sum(axis=1) for g in range(sums.n_groups)], axis=1)
    em = at - at @ point.gradient @ at / each[..., None, None]
    if only_em:
        return em
    new = at + point.direction
    positive = (np.linalg.eigvalsh(new)[..., 0] > 0).all(axis=1)
    new = np.where(positive[:, None, None, None], new, em)
    slack = _SLACK * (1 + np.abs(point.deviance))
    better = _deviance(sums, new) <= point.deviance + slack
    return np.where(better[:, None, None, None], new, em)
