"""How precise a mixed model will be, before there are data.

The covariance of the fixed effects is the inverse of the expected information, averaged over who
drops out when; degrees of freedom follow from the expected information about the variances.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError

__all__ = ["FEWEST", "ExpectedFit", "Pattern", "check_sizes", "expect_fit", "invert_information"]

FEWEST = 3
"""Subjects of both arms from which a t-test can estimate a variance."""


_LEAST_DF = 1.0
_NOTHING = 1e-150  # root of an information below which a parameter has none
_NEGATIVE = 1e-8  # rounding of an eigenvalue, of information scaled to 1


@dataclass(frozen=True, eq=False, kw_only=True)
class Pattern:
    """Subjects with the same visits.

    Parameters
    ----------
    arm : int
        Number of their arm, from 0.
    share : float
        Of the arm.
    X : ndarray, shape (n_visits, p)
        Columns of the fixed effects.
    V : ndarray, shape (n_visits, n_visits)
        Covariance of a subject's values.
    derivatives : ndarray, shape (k, n_visits, n_visits)
        Its derivative in each variance parameter.
    """

    arm: int
    share: float
    X: np.ndarray
    V: np.ndarray
    derivatives: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class ExpectedFit:
    """Expected information of one subject of each arm, and what follows for any numbers of them.

    Parameters
    ----------
    contrast : ndarray, shape (p,)
        Combination of the fixed effects that is tested.
    information : ndarray, shape (n_arms, p, p)
        ``X' V^-1 X``, averaged over patterns.
    traces : ndarray, shape (n_arms, k, k)
        ``tr(V^-1 V_i V^-1 V_j)``.
    first : ndarray, shape (n_arms, k, p, p)
        ``X' V^-1 V_i V^-1 X``.
    second : ndarray, shape (n_arms, k, k, p, p)
        ``X' V^-1 V_i V^-1 V_j V^-1 X``.
    """

    contrast: np.ndarray
    information: np.ndarray
    traces: np.ndarray
    first: np.ndarray
    second: np.ndarray

    def covariance(self, n: Sequence[float]) -> np.ndarray:
        """Return the covariance of the fixed effects, shape (p, p).

        Parameters
        ----------
        n : sequence of float
            Subjects of each arm.
        """
        return np.linalg.inv(np.tensordot(np.asarray(n, dtype=float), self.information, axes=1))

    def variance(self, n: Sequence[float]) -> float:
        """Return the variance of the contrast.

        Parameters
        ----------
        n : sequence of float
            Subjects of each arm.
        """
        return float(self.contrast @ self.covariance(n) @ self.contrast)

    def gradient(self, n: Sequence[float]) -> np.ndarray:
        """Return the derivative of that variance in each variance parameter, shape (k,).

        Parameters
        ----------
        n : sequence of float
            Subjects of each arm.
        """
        weighted = self.covariance(n) @ self.contrast
        first = np.tensordot(np.asarray(n, dtype=float), self.first, axes=1)
        return np.einsum("p,kpq,q->k", weighted, first, weighted)

    def parameter_information(self, n: Sequence[float]) -> np.ndarray:
        """Return the expected restricted information about the variance parameters, (k, k).

        Parameters
        ----------
        n : sequence of float
            Subjects of each arm.
        """
        sizes, C = np.asarray(n, dtype=float), self.covariance(n)
        traces, first, second = (
            np.tensordot(sizes, part, axes=1) for part in (self.traces, self.first, self.second)
        )
        k, p = len(traces), len(C)
        lost = 2 * (second.reshape(k * k, p * p) @ C.ravel()).reshape(k, k)  # C is symmetric
        reduced = C @ first
        other = reduced.transpose(0, 2, 1).reshape(k, p * p)
        return 0.5 * (traces - lost + reduced.reshape(k, p * p) @ other.T)

    def df(self, n: Sequence[float]) -> float:
        """Return Satterthwaite's degrees of freedom of the contrast, at least 1.

        Parameters
        ----------
        n : sequence of float
            Subjects of each arm.

        Returns
        -------
        float
            ``2 v^2 / var(v)``, by the delta method with the expected information. Where dropout
            leaves so few that the information is negative in some direction, 1.
        """
        gradient, information = self.gradient(n), self.parameter_information(n)
        if _is_negative(information):
            return _LEAST_DF
        spread = float(gradient @ invert_information(information) @ gradient)
        variance = self.variance(n)
        return max(2 * variance**2 / spread, _LEAST_DF) if spread > 0 else _LEAST_DF


def check_sizes(n: tuple[int, int], test: str) -> None:
    """Refuse arms from which no variance can be estimated.

    Parameters
    ----------
    n : pair of int
        Subjects of the reference and the treated arm.
    test : str
        ``"normal"`` where the variance is taken as known.

    Raises
    ------
    DesignError
        If a t-test is left without degrees of freedom.
    """
    if test != "normal" and sum(n) < FEWEST:
        raise DesignError(
            f"`n={n!r}` is too few to estimate a variance. Randomise at least {FEWEST} in both "
            "arms, or take the variance as known with df='normal'."
        )


def invert_information(information: np.ndarray) -> np.ndarray:
    """Invert an information that may lack directions (two scans cannot tell four variances).

    Parameters
    ----------
    information : ndarray, shape (k, k)
        Symmetric.

    Returns
    -------
    ndarray, shape (k, k)
        Its generalised inverse, zero in directions without information.
    """
    scaled, scales = _scaled(information)
    return np.asarray(np.linalg.pinv(scaled, rcond=1e-10) * scales)


def _scaled(information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the information with a diagonal of 1, -1 or 0, and what it was multiplied by."""
    size = np.sqrt(np.abs(np.diag(information)))
    known = size > _NOTHING
    scale = np.where(known, 1.0, 0.0) / np.where(known, size, 1.0)
    scales = np.outer(scale, scale)
    return information * scales, scales


def _is_negative(information: np.ndarray) -> bool:
    """Say whether a direction has negative information: fewer subjects are left than means."""
    scaled, _ = _scaled(information)
    return scaled.size > 0 and float(np.linalg.eigvalsh(scaled)[0]) < -_NEGATIVE


def expect_fit(patterns: Sequence[Pattern], contrast: np.ndarray) -> ExpectedFit:
    """Average the information of one subject of each arm over patterns of visits.

    Parameters
    ----------
    patterns : sequence of Pattern
        Of all arms; a share that is missing from an arm's sum has no data at all.
    contrast : ndarray, shape (p,)
        Combination of the fixed effects that is tested.

    Returns
    -------
    ExpectedFit
        For any numbers of subjects.

    Notes
    -----
    That data are missing is taken to depend on nothing (or on the arm only), and the variance of
    the contrast is taken at the expected numbers of subjects with each pattern [1]_. Degrees of
    freedom use the expected restricted information [2]_, and are exactly ``n - 2`` for the
    difference of two slopes in complete data.

    References
    ----------
    .. [1] Hu N, Mackey H, Thomas R. Power and sample size for random coefficient regression models
       in randomized experiments with monotone missing data. Biom J 2021;63:806-824.
    .. [2] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
       likelihood. Biometrics 1997;53:983-997. doi:10.2307/2533558.
    """
    n_arms = 1 + max(pattern.arm for pattern in patterns)
    p, k = patterns[0].X.shape[1], len(patterns[0].derivatives)
    information, traces = np.zeros((n_arms, p, p)), np.zeros((n_arms, k, k))
    first, second = np.zeros((n_arms, k, p, p)), np.zeros((n_arms, k, k, p, p))
    for pattern in patterns:
        if pattern.share == 0 or len(pattern.X) == 0:
            continue
        arm, share, X = pattern.arm, pattern.share, pattern.X
        inverse = np.linalg.inv(pattern.V)
        scaled = inverse @ pattern.derivatives  # V^-1 V_i
        weighted = inverse @ X
        pushed = scaled @ weighted  # V^-1 V_i V^-1 X
        information[arm] += share * (X.T @ weighted)
        traces[arm] += share * np.einsum("iab,jba->ij", scaled, scaled)
        first[arm] += share * (X.T @ pushed)
        second[arm] += share * np.einsum("iap,ab,jbq->ijpq", pushed, pattern.V, pushed)
    return ExpectedFit(
        contrast=np.asarray(contrast, dtype=float),
        information=information,
        traces=traces,
        first=first,
        second=second,
    )
