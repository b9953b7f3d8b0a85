"""Empirical Bayes estimates of scanner effects: the numeric part of ComBat, on arrays.

References
----------
.. [1] Johnson WE, Li C, Rabinovic A. Adjusting batch effects in microarray expression data using
   empirical Bayes methods. Biostatistics 2007;8:118-127. doi:10.1093/biostatistics/kxj037.
.. [2] Beer JC, Tustison NJ, Cook PA, et al. Longitudinal ComBat: a method for harmonizing
   longitudinal multi-scanner imaging data. NeuroImage 2020;220:117129.
   doi:10.1016/j.neuroimage.2020.117129.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.errors import ConvergenceError

__all__ = ["ScannerMoments", "ScannerPriors", "estimate_priors", "scanner_moments", "shrink"]

_MOST_ITERATIONS = 1000
_SETTLED = 1e-12  # largest relative change of an estimate in one iteration


@dataclass(frozen=True, eq=False, kw_only=True)
class ScannerMoments:
    """What the standardised values of each scanner and feature look like.

    Parameters
    ----------
    n : ndarray, shape (n_scanners, n_features)
        Scans.
    gamma : ndarray, shape (n_scanners, n_features)
        Mean, in residual standard deviations.
    delta2 : ndarray, shape (n_scanners, n_features)
        Variance, with divisor ``n - 1``.
    """

    n: np.ndarray
    gamma: np.ndarray
    delta2: np.ndarray


@dataclass(frozen=True, eq=False, kw_only=True)
class ScannerPriors:
    """How the effects of one scanner vary between features; arrays of shape (n_scanners,).

    Parameters
    ----------
    gamma_bar, tau2 : ndarray
        Mean and variance of the additive effects: a normal distribution.
    delta2_bar, delta2_variance : ndarray
        Mean and variance of the multiplicative effects: an inverse gamma distribution.
    """

    gamma_bar: np.ndarray
    tau2: np.ndarray
    delta2_bar: np.ndarray
    delta2_variance: np.ndarray

    @property
    def shape(self) -> np.ndarray:
        """Return lambda, the shape of the inverse gamma distribution; infinite without spread."""
        with np.errstate(divide="ignore"):
            found: np.ndarray = self.delta2_bar**2 / self.delta2_variance + 2.0
        return found

    @property
    def scale(self) -> np.ndarray:
        """Return theta, the scale of the inverse gamma distribution; infinite without spread."""
        return self.delta2_bar * (self.shape - 1.0)


def scanner_moments(z: np.ndarray, scanner: np.ndarray, n_scanners: int) -> ScannerMoments:
    """Take mean and variance of one feature's standardised values per scanner.

    Parameters
    ----------
    z : ndarray, shape (n_obs,)
        Standardised values.
    scanner : ndarray of int, shape (n_obs,)
        Scanner of each, 0 to n_scanners - 1; every one occurs at least twice.
    n_scanners : int
        How many.

    Returns
    -------
    ScannerMoments
        Arrays of shape (n_scanners, 1).
    """
    n = np.bincount(scanner, minlength=n_scanners).astype(float)
    gamma = np.bincount(scanner, weights=z, minlength=n_scanners) / n
    squares = np.bincount(scanner, weights=(z - gamma[scanner]) ** 2, minlength=n_scanners)
    return ScannerMoments(n=n[:, None], gamma=gamma[:, None], delta2=(squares / (n - 1))[:, None])


def estimate_priors(moments: ScannerMoments) -> ScannerPriors:
    """Estimate the priors by the method of moments, across features.

    Parameters
    ----------
    moments : ScannerMoments
        Of at least two features.

    Returns
    -------
    ScannerPriors
        One per scanner.

    Notes
    -----
    Section 3.2 of [1]_: mean and variance (divisor ``n_features - 1``) of the estimates across
    features; ``lambda = (m^2 + 2 s^2) / s^2`` and ``theta = (m^3 + m s^2) / s^2``.

    References
    ----------
    .. [1] Johnson WE, Li C, Rabinovic A. Adjusting batch effects in microarray expression data
       using empirical Bayes methods. Biostatistics 2007;8:118-127.
       doi:10.1093/biostatistics/kxj037.
    """
    return ScannerPriors(
        gamma_bar=moments.gamma.mean(axis=1),
        tau2=moments.gamma.var(axis=1, ddof=1),
        delta2_bar=moments.delta2.mean(axis=1),
        delta2_variance=moments.delta2.var(axis=1, ddof=1),
    )


def shrink(moments: ScannerMoments, priors: ScannerPriors) -> tuple[np.ndarray, np.ndarray]:
    """Shrink scanner effects to what that scanner does to the other features.

    Parameters
    ----------
    moments : ScannerMoments
        Unshrunk estimates.
    priors : ScannerPriors
        From :func:`estimate_priors`.

    Returns
    -------
    gamma, delta2 : ndarray, shape (n_scanners, n_features)
        Posterior means.

    Raises
    ------
    ConvergenceError
        If the two equations do not settle.

    Notes
    -----
    The fixed point of [1]_::

        gamma*  = (n tau^2 gamma + delta*^2 gamma_bar) / (n tau^2 + delta*^2)
        delta*^2 = (theta + sum (z - gamma*)^2 / 2) / (lambda + n / 2 - 1)

    with numerator and denominator of the second multiplied by the prior variance, so that it also
    holds where the features agree exactly. Same algorithm as longCombat (paper and public source),
    not compared with the package itself, which stops after 30 rounds of the same two equations.

    References
    ----------
    .. [1] Johnson WE, Li C, Rabinovic A. Adjusting batch effects in microarray expression data
       using empirical Bayes methods. Biostatistics 2007;8:118-127.
       doi:10.1093/biostatistics/kxj037.
    """
    n, gamma_hat = moments.n, moments.gamma
    within = (n - 1) * moments.delta2
    tau2, centre = priors.tau2[:, None], priors.gamma_bar[:, None]
    mean, spread = priors.delta2_bar[:, None], priors.delta2_variance[:, None]
    gamma, delta2 = gamma_hat, moments.delta2
    for _ in range(_MOST_ITERATIONS):
        new_gamma = (n * tau2 * gamma_hat + delta2 * centre) / (n * tau2 + delta2)
        squares = within + n * (gamma_hat - new_gamma) ** 2  # sum of (z - gamma*)^2
        new_delta2 = (mean * (mean**2 + spread) + spread * squares / 2) / (
            mean**2 + spread + spread * n / 2
        )
        change = max(np.abs(new_gamma - gamma).max(), np.abs(new_delta2 / delta2 - 1).max())
        gamma, delta2 = new_gamma, new_delta2
        if change < _SETTLED:
            return gamma, delta2
    raise ConvergenceError(
        f"The empirical Bayes estimates of the scanner effects did not settle in "
        f"{_MOST_ITERATIONS} iterations (last change {change:.1g}). Use `shrink=False`, and look "
        "at the features for one that is nearly constant on a scanner."
    )
