"""The maximum of two outcomes' likelihood: Newton steps in a root of the covariance.

The covariance of the random effects is ``D = F F'`` with F linear in its free numbers, so that
singular covariances are ordinary points, and a correlation can be held at a value by the choice of
the linear map alone. Residual variances move on the log scale, their correlation on Fisher's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.kernels.pair_likelihood import PairTerms, pair_terms
from pmsstats.models.kernels.pair_sums import PairSums

__all__ = ["PairMaximum", "climb_pair", "lower_basis", "residual_covariance"]

_GAIN = 1e-13  # log-likelihood units that a further step would add
GOOD_ENOUGH = 1e-8
"""Log-likelihood units below which a point counts as a maximum."""
_MOST_STEPS = 100
_MOST_HALVINGS = 30
_MOST_ESCAPES = 8
_LONGEST = 2.0  # of a step in any number; those are of order one
_FLAT = 1e-10  # share of the largest curvature that counts as none
_NULL = 1e-9  # share of the largest eigenvalue of D that counts as zero
_UPHILL = 1e-6  # slope of the deviance out of the boundary that counts as falling


@dataclass(frozen=True, eq=False, kw_only=True)
class PairMaximum:
    """Where the steps ended.

    Parameters
    ----------
    free : ndarray, shape (k,)
        Free numbers of the root.
    eta : ndarray, shape (2,) or (3,)
        Logarithms of the residual SDs, Fisher's z of their correlation.
    F : ndarray, shape (q, q)
        Root of the random effects' covariance.
    residual : ndarray, shape (2,) or (3,)
        Residual variances, and covariance at the same visit.
    terms : PairTerms
        There.
    gain : float
        By how much the log-likelihood could still rise, to second order.
    n_evaluations : int
        Likelihood evaluations.
    """

    free: np.ndarray
    eta: np.ndarray
    F: np.ndarray
    residual: np.ndarray
    terms: PairTerms
    gain: float
    n_evaluations: int

    @property
    def covariance(self) -> np.ndarray:
        """Return the covariance of the random effects, shape (q, q)."""
        return self.F @ self.F.T

    @property
    def singular(self) -> bool:
        """Return whether some combination of random effects does not vary."""
        values = np.linalg.eigvalsh(self.covariance)
        return bool(values[0] <= _NULL * max(values[-1], 1e-300))


def lower_basis(q: int) -> np.ndarray:
    """Return the map from free numbers to lower triangles.

    Parameters
    ----------
    q : int
        Random effects.

    Returns
    -------
    ndarray, shape (q (q + 1) / 2, q, q)
        One unit matrix per free number, row by row.
    """
    rows, columns = np.tril_indices(q)
    basis = np.zeros((len(rows), q, q))
    basis[np.arange(len(rows)), rows, columns] = 1.0
    return basis


def residual_covariance(eta: np.ndarray) -> np.ndarray:
    """Return residual variances, and their covariance, from the numbers that are free.

    Parameters
    ----------
    eta : ndarray, shape (2,) or (3,)
        Logarithms of the SDs, Fisher's z of the correlation.

    Returns
    -------
    ndarray, shape (2,) or (3,)
        ``s1, s2[, c]``.
    """
    variances = np.exp(2 * eta[:2])
    if len(eta) == 2:
        return variances
    return np.append(variances, np.tanh(eta[2]) * np.exp(eta[0] + eta[1]))


def climb_pair(
    sums: PairSums,
    basis: np.ndarray,
    free: np.ndarray,
    eta: np.ndarray,
    *,
    escape: bool = True,
) -> PairMaximum:
    """Go uphill by Newton steps, shortened where they do not rise.

    Parameters
    ----------
    sums : PairSums
        The data.
    basis : ndarray, shape (k, q, q)
        ``F = sum over k of free_k basis_k``.
    free : ndarray, shape (k,)
        Where to start.
    eta : ndarray, shape (2,) or (3,)
        Where to start.
    escape : bool, default True
        Whether to look for ways out where the covariance is singular; only for lower triangles.

    Returns
    -------
    PairMaximum
        Also where no maximum was found: its gain says so.
    """
    found = _newton(sums, basis, np.append(free, eta))
    n_evaluations = found.n_evaluations
    for _ in range(_MOST_ESCAPES if escape else 0):
        start = _way_out(sums, found)
        if start is None:
            break
        found = _newton(sums, basis, np.append(start, found.eta))
        n_evaluations += found.n_evaluations
    if escape and _falling(found) is not None:
        return _judged(found, np.inf, n_evaluations)
    return _judged(found, found.gain, n_evaluations)


def _judged(found: PairMaximum, gain: float, n_evaluations: int) -> PairMaximum:
    """Return a maximum with another gain and count."""
    return PairMaximum(
        free=found.free,
        eta=found.eta,
        F=found.F,
        residual=found.residual,
        terms=found.terms,
        gain=gain,
        n_evaluations=n_evaluations,
    )


def _newton(sums: PairSums, basis: np.ndarray, point: np.ndarray) -> PairMaximum:
    """Step until nothing is to be gained."""
    k, q = len(basis), basis.shape[1]
    flat = basis.reshape(k, q * q)

    def at(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, PairTerms]:
        F, residual = (x[:k] @ flat).reshape(q, q), residual_covariance(x[k:])
        return F, residual, pair_terms(sums, F, residual)

    F, residual, terms = at(point)
    n_evaluations, gain = 1, np.inf
    for _ in range(_MOST_STEPS):
        gradient, hessian = _chained(terms, basis, F, point[k:])
        step, gain = _downhill(gradient, hessian)
        if gain < _GAIN:
            break
        longest = np.abs(step).max()
        step = step * min(1.0, _LONGEST / longest)
        slack = 1e-13 * max(abs(terms.deviance), 1.0)
        for _ in range(_MOST_HALVINGS):
            moved = at(point + step)
            n_evaluations += 1
            if moved[2].deviance <= terms.deviance + slack:
                break
            step = step / 2
        else:
            break
        point, (F, residual, terms) = point + step, moved
    return PairMaximum(
        free=point[:k],
        eta=point[k:],
        F=F,
        residual=residual,
        terms=terms,
        gain=gain,
        n_evaluations=n_evaluations,
    )


def _chained(
    terms: PairTerms, basis: np.ndarray, F: np.ndarray, eta: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Carry derivatives of the deviance over to the numbers that are free."""
    k, q = len(basis), len(F)
    slope = terms.gradient[: q * q].reshape(q, q)
    turned = basis @ F.T
    dD = (turned + turned.transpose(0, 2, 1)).reshape(k, q * q)
    J2, curve = _residual_slopes(eta)
    m = len(eta)
    J = np.zeros((k + m, q * q + m))
    J[:k, : q * q], J[k:, q * q :] = dD, J2
    hessian = J @ terms.hessian @ J.T
    bent = (slope @ basis).reshape(k, q * q)  # <slope, dF_j dF_k'> twice
    hessian[:k, :k] += 2 * bent @ basis.reshape(k, q * q).T
    hessian[k:, k:] += np.tensordot(curve, terms.gradient[q * q :], axes=1)
    return J @ terms.gradient, (hessian + hessian.T) / 2


def _residual_slopes(eta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return first (m, m) and second (m, m, m) derivatives of the residuals' covariance."""
    m = len(eta)
    r = residual_covariance(eta)
    J, curve = np.zeros((m, m)), np.zeros((m, m, m))
    for a in (0, 1):
        J[a, a], curve[a, a, a] = 2 * r[a], 4 * r[a]
    if m == 3:
        rho = np.tanh(eta[2])
        size, up = np.exp(eta[0] + eta[1]), 1 - rho**2
        J[:, 2] = r[2], r[2], size * up
        curve[:2, :2, 2] = r[2]
        curve[2, :2, 2] = curve[:2, 2, 2] = size * up
        curve[2, 2, 2] = -2 * size * rho * up
    return J, curve


def _downhill(gradient: np.ndarray, hessian: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the Newton step, curvatures made positive, and what it gains in log-likelihood."""
    values, vectors = np.linalg.eigh(hessian)
    along = vectors.T @ gradient
    floor = _FLAT * max(float(np.abs(values).max(initial=0.0)), 1e-300)
    curved = np.abs(values) > floor
    scaled = np.where(curved, along / np.where(curved, np.abs(values), 1.0), 0.0)
    return -vectors @ scaled, float(along @ scaled) / 4


def _falling(found: PairMaximum) -> np.ndarray | None:
    """Return an effect without variance whose variance would rather be larger than zero."""
    D = found.covariance
    q = len(D)
    values, vectors = np.linalg.eigh(D)
    null = vectors[:, values <= _NULL * max(values[-1], 1e-300)]
    if null.shape[1] == 0:
        return None
    slope = found.terms.gradient[: q * q].reshape(q, q)
    slopes, inside = np.linalg.eigh(null.T @ slope @ null)
    return null @ inside[:, 0] if slopes[0] < -_UPHILL else None


def _way_out(sums: PairSums, found: PairMaximum) -> np.ndarray | None:
    """Return a point off the boundary with a smaller deviance; None at a maximum."""
    v = _falling(found)
    if v is None:
        return None
    q = len(found.F)
    outer = np.outer(v, v).ravel()
    slope = float(outer @ found.terms.gradient[: q * q])
    curvature = float(outer @ found.terms.hessian[: q * q, : q * q] @ outer)
    size = -slope / curvature if curvature > 0 else 0.1
    for _ in range(_MOST_HALVINGS):
        D = found.covariance + size * outer.reshape(q, q)
        values, vectors = np.linalg.eigh(D)
        upper = np.linalg.qr((vectors * np.sqrt(np.clip(values, 0.0, None))).T, mode="r")
        F = (upper * np.where(np.diag(upper) < 0, -1.0, 1.0)[:, None]).T
        if pair_terms(sums, F, found.residual).deviance < found.terms.deviance:
            return F[np.tril_indices(q)]
        size /= 4
    return None
