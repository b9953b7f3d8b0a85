"""The negative binomial likelihood (NB2), and the Poisson one at its edge, with derivatives.

References
----------
.. [1] Lawless JF. Negative binomial and mixed Poisson regression. Can J Stat 1987;15:209-225.
   doi:10.2307/3314912.
.. [2] Dean CB. Testing for overdispersion in Poisson and binomial regression models. J Am Stat
   Assoc 1992;87:451-457. doi:10.1080/01621459.1992.10475225.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma, gammaln, polygamma

from pmsstats.models.responses.newton import LikelihoodTerms

__all__ = ["dispersion_slope", "expected_information", "negative_binomial", "poisson"]

_MOST = 700.0  # exponents beyond this are no numbers


def poisson(
    parameters: np.ndarray, X: np.ndarray, y: np.ndarray, offset: np.ndarray
) -> LikelihoodTerms:
    """Evaluate the Poisson log-likelihood of ``log mean = x'beta + offset``.

    Parameters
    ----------
    parameters : ndarray, shape (p,)
        Effects.
    X : ndarray, shape (n_obs, p)
        Columns.
    y : ndarray, shape (n_obs,)
        Counts.
    offset : ndarray, shape (n_obs,)
        Log of the time observed.

    Returns
    -------
    LikelihoodTerms
        With all constants.
    """
    eta = np.clip(X @ parameters + offset, -_MOST, _MOST)
    mu = np.exp(eta)
    return LikelihoodTerms(
        log_likelihood=float((y * eta - mu - gammaln(y + 1)).sum()),
        scores=(y - mu)[:, None] * X,
        information=X.T @ (mu[:, None] * X),
    )


def negative_binomial(
    parameters: np.ndarray, X: np.ndarray, y: np.ndarray, offset: np.ndarray
) -> LikelihoodTerms:
    """Evaluate the log-likelihood with variance ``mu + alpha mu^2`` [1]_.

    Parameters
    ----------
    parameters : ndarray, shape (p + 1,)
        Effects, then ``log(theta)`` with ``theta = 1 / alpha``.
    X : ndarray, shape (n_obs, p)
        Columns.
    y : ndarray, shape (n_obs,)
        Counts.
    offset : ndarray, shape (n_obs,)
        Log of the time observed.

    Returns
    -------
    LikelihoodTerms
        With all constants; observed information.
    """
    theta = float(np.exp(np.clip(parameters[-1], -_MOST, _MOST)))
    eta = np.clip(X @ parameters[:-1] + offset, -_MOST, _MOST)
    mu = np.exp(eta)
    share = 1 / (1 + mu / theta)
    logs = gammaln(y + theta) - gammaln(theta) - gammaln(y + 1)
    logs += y * (eta - np.log(theta)) - (y + theta) * np.log1p(mu / theta)
    in_theta = digamma(y + theta) - digamma(theta) - np.log1p(mu / theta) + (mu - y) / (mu + theta)
    curve = polygamma(1, y + theta) - polygamma(1, theta) + 1 / theta
    curve += -2 / (mu + theta) + (y + theta) / (mu + theta) ** 2
    mixed = theta * mu * (y - mu) / (mu + theta) ** 2
    p = X.shape[1]
    information = np.empty((p + 1, p + 1))
    information[:p, :p] = X.T @ ((mu * share**2 * (1 + y / theta))[:, None] * X)
    information[p, :p] = information[:p, p] = -(mixed @ X)
    information[p, p] = -float((theta**2 * curve + theta * in_theta).sum())
    return LikelihoodTerms(
        log_likelihood=float(logs.sum()),
        scores=np.column_stack([((y - mu) * share)[:, None] * X, theta * in_theta]),
        information=information,
    )


def expected_information(
    beta: np.ndarray, alpha: float, X: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """Return the expected information of the effects.

    Parameters
    ----------
    beta : ndarray, shape (p,)
        Effects.
    alpha : float
        Dispersion; zero is Poisson.
    X : ndarray, shape (n_obs, p)
        Columns.
    offset : ndarray, shape (n_obs,)
        Log of the time observed.

    Returns
    -------
    ndarray, shape (p, p)
        ``X' W X`` with ``W = mu / (1 + alpha mu)``. That of effects and dispersion is zero [1]_,
        so the dispersion's own error does not enter: as in R's ``MASS::glm.nb``.
    """
    mu = np.exp(X @ beta + offset)
    information: np.ndarray = X.T @ ((mu / (1 + alpha * mu))[:, None] * X)
    return information


def dispersion_slope(y: np.ndarray, mu: np.ndarray) -> float:
    """Return the slope of the log-likelihood in the dispersion, at none.

    Parameters
    ----------
    y, mu : ndarray, shape (n_obs,)
        Counts, and their Poisson means.

    Returns
    -------
    float
        Zero or below: the counts scatter no more than Poisson counts do [2]_.
    """
    return float(((y - mu) ** 2 - y).sum() / 2)
