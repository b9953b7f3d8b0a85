"""Profile likelihood of a correlation between two outcomes' random effects."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from pmsstats.models.kernels.pair_maximum import PairMaximum, climb_pair, lower_basis
from pmsstats.models.kernels.pair_sums import PairSums
from pmsstats.models.pairs.pair_estimates import CorrelationEstimate

__all__ = ["profile_estimate"]

_ALMOST = 1 - 1e-15  # a correlation of 1, whose z would be infinite
_FURTHEST = 7.0  # Fisher's z that counts as a correlation of one: 1 - rho = 2e-6
_CLOSE = 1e-7  # share of the limit by which the deviance may miss it
_LONGEST = 1.0  # of a step in Fisher's z
_MOST_STEPS = 60
_INFLATION = 1e-6  # of a singular covariance, to have a point to start from


@dataclass(eq=False, kw_only=True)
class _Profile:
    """The deviance at held correlations; remembers where the last fit ended."""

    sums: PairSums
    back: np.ndarray
    free: np.ndarray
    eta: np.ndarray

    def __call__(self, z: float) -> tuple[float, float]:
        """Return the deviance with Fisher's z of the correlation held, and its slope in z."""
        rho, rest = float(np.tanh(z)), float(1 / np.cosh(z))
        found = climb_pair(
            self.sums, _held_basis(self.back, rho, rest), self.free, self.eta, escape=False
        )
        self.free, self.eta = found.free, found.eta
        q = len(self.back)
        turn = np.zeros((q, q))
        turn[1, :2] = rest**2, -rho * rest  # derivative of (rho, sqrt(1 - rho^2)) in z
        dF = self.back @ turn * found.free[1]
        slope = found.terms.gradient[: q * q].reshape(q, q)
        return found.terms.deviance, 2 * float(np.sum(slope * (dF @ found.F.T)))


def profile_estimate(
    sums: PairSums,
    found: PairMaximum,
    *,
    a: np.ndarray,
    b: np.ndarray,
    wald: CorrelationEstimate,
    conf_level: float,
) -> CorrelationEstimate:
    """Find the correlations that the likelihood does not rule out.

    Parameters
    ----------
    sums : PairSums
        The data.
    found : PairMaximum
        The fit.
    a, b : ndarray, shape (q,)
        Weights of the two combinations of random effects, on the common scale; one of each
        outcome.
    wald : CorrelationEstimate
        The same from the information, for label, estimate and a first guess.
    conf_level : float
        Of the interval.

    Returns
    -------
    CorrelationEstimate
        Ends are -1 or 1 where the likelihood rules none of them out on that side.

    Notes
    -----
    The covariance is written as ``D = F F'`` with the two combinations first, so that the
    correlation is held by ``F_21 = rho t`` and ``F_22 = sqrt(1 - rho^2) t``; everything else is
    maximised anew at each value [1]_. The p value is that of the likelihood ratio at zero.

    References
    ----------
    .. [1] Venzon DJ, Moolgavkar SH. A method for computing profile-likelihood-based confidence
       intervals. J R Stat Soc C 1988;37:87-94. doi:10.2307/2347496.
    """
    back = _back(a, b)
    z = float(np.clip(np.arctanh(np.clip(wald.estimate, -_ALMOST, _ALMOST)), -_FURTHEST, _FURTHEST))
    start = _started(sums, back, found)
    least = found.terms.deviance
    limit = float(stats.chi2.ppf(conf_level, 1))
    error = wald.std_error / max(1 - wald.estimate**2, 1e-12)
    first = 2.0 * error if np.isfinite(error) else 0.5

    low, high = (
        _end(replace(start), z, side, first=first, least=least, limit=limit) for side in (-1.0, 1.0)
    )
    ratio = max(replace(start)(0.0)[0] - least, 0.0)
    return replace(
        wald,
        conf_low=low,
        conf_high=high,
        statistic=float(np.sign(wald.estimate) * np.sqrt(ratio)),
        p_value=float(stats.chi2.sf(ratio, 1)),
        interval="profile",
    )


def _end(
    profile: _Profile, z: float, side: float, *, first: float, least: float, limit: float
) -> float:
    """Return where the deviance has risen by the limit, as a correlation.

    Newton's method on the root of the rise, which is nearly straight in z, kept between the
    innermost point outside and the outermost inside.
    """
    inside, outside = z, side * np.inf
    at = z + side * first
    for _ in range(_MOST_STEPS):
        at = float(np.clip(at, -_FURTHEST, _FURTHEST))
        deviance, slope = profile(at)
        rise = max(deviance - least, 0.0)
        if abs(rise - limit) <= _CLOSE * limit:
            break
        if rise > limit:
            outside = at
        elif side * at >= _FURTHEST:
            return side
        else:
            inside = at
        at = _next(at, side, rise, side * slope, limit)
        if not side * inside < side * at < side * outside:
            at = (inside + outside) / 2 if np.isfinite(outside) else inside + side * _LONGEST
    return float(np.tanh(at))


def _next(at: float, side: float, rise: float, slope: float, limit: float) -> float:
    """Return the next point of Newton's method on the root of the rise."""
    root = np.sqrt(rise)
    if slope <= 0 or root == 0:
        return at + side * _LONGEST
    step = (np.sqrt(limit) - root) * 2 * root / slope
    return at + side * float(np.clip(step, -_LONGEST, _LONGEST))


def _back(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the map from (a'b, b'b, the rest) to the random effects."""
    top = np.stack([a / np.linalg.norm(a), b / np.linalg.norm(b)])
    _, _, vectors = np.linalg.svd(top)
    inverse: np.ndarray = np.linalg.inv(np.vstack([top, vectors[2:]]))
    return inverse


def _held_basis(back: np.ndarray, rho: float, rest: float) -> np.ndarray:
    """Return the linear map to roots of covariances with one correlation held."""
    q = len(back)
    units = lower_basis(q)
    rows, columns = np.tril_indices(q)
    second = (rows == 1) & (columns == 1)
    units[second, 1, 0], units[second, 1, 1] = rho, rest
    held = units[~((rows == 1) & (columns == 0))]
    made: np.ndarray = back @ held
    return made


def _started(sums: PairSums, back: np.ndarray, found: PairMaximum) -> _Profile:
    """Return a profile that starts from the fit."""
    q = len(back)
    there = np.linalg.inv(back)
    D = there @ found.covariance @ there.T
    D = D + _INFLATION * np.trace(D) / q * np.eye(q)
    L = np.linalg.cholesky(D)
    rows, columns = np.tril_indices(q)
    free = L[rows, columns]
    free[(rows == 1) & (columns == 1)] = np.sqrt(D[1, 1])
    return _Profile(
        sums=sums,
        back=back,
        free=free[~((rows == 1) & (columns == 0))],
        eta=found.eta,
    )
