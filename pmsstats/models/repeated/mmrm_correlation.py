"""Structures of the correlations of repeated measures, with their derivatives.

References
----------
.. [1] Zimmerman DL, Nunez-Anton VA. Antedependence models for longitudinal data. Chapman and
   Hall/CRC, 2009. doi:10.1201/9781420064278.
.. [2] Barndorff-Nielsen O, Schou G. On the parametrization of autoregressive models by partial
   autocorrelations. J Multivar Anal 1973;3:408-419. doi:10.1016/0047-259X(73)90030-4.
"""

# ruff: noqa: ARG002 (all structures have the same methods; few need every argument)

from __future__ import annotations

import abc

import numpy as np

__all__ = [
    "ANTEDEPENDENT",
    "AUTOREGRESSIVE",
    "EXCHANGEABLE",
    "TOEPLITZ",
    "Correlation",
    "autocorrelations",
    "lag_masks",
    "partial_autocorrelations",
    "visit_lags",
]

_INSIDE = 0.98  # share of the way to the bound at which a starting value is stopped


class Correlation(abc.ABC):
    """A structure of correlations ``R(rho)``, to be scaled by one or several variances."""

    @abc.abstractmethod
    def names(self, n_visits: int) -> tuple[str, ...]:
        """Return the names of the correlations.

        Parameters
        ----------
        n_visits : int
            How many visits.

        Returns
        -------
        tuple of str
            Visits are counted from one.
        """

    @abc.abstractmethod
    def matrix(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        """Return the correlations of all visits.

        Parameters
        ----------
        rho : ndarray, shape (m,)
            Correlations.
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray, shape (n_visits, n_visits)
            ``R``.
        """

    @abc.abstractmethod
    def first(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        """Return the first derivatives of ``R``.

        Parameters
        ----------
        rho : ndarray, shape (m,)
            Correlations.
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray, shape (m, n_visits, n_visits)
            One matrix per parameter.
        """

    @abc.abstractmethod
    def second(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        """Return the second derivatives of ``R``.

        Parameters
        ----------
        rho : ndarray, shape (m,)
            Correlations.
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray, shape (m, m, n_visits, n_visits)
            One matrix per pair of parameters.
        """

    @abc.abstractmethod
    def start(self, correlation: np.ndarray) -> np.ndarray:
        """Return starting values.

        Parameters
        ----------
        correlation : ndarray, shape (n_visits, n_visits)
            Empirical.

        Returns
        -------
        ndarray, shape (m,)
            Of a positive definite matrix that resembles it.
        """

    def inner(self, free: np.ndarray, n_visits: int) -> np.ndarray:
        """Return correlations from numbers without bounds.

        Parameters
        ----------
        free : ndarray, shape (m,)
            Any numbers, or complex ones near the real line.
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray, shape (m,)
            Of a positive definite matrix.
        """
        return np.tanh(free)

    def outer(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        """Return the numbers without bounds that give some correlations.

        Parameters
        ----------
        rho : ndarray, shape (m,)
            Correlations.
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray, shape (m,)
            The inverse of :meth:`inner`.
        """
        return np.arctanh(rho)


class _Autoregressive(Correlation):
    """``rho ** |i - j|``."""

    def names(self, n_visits: int) -> tuple[str, ...]:
        return ("correlation",)

    def matrix(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        return rho[0] ** visit_lags(n_visits)

    def first(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        d = visit_lags(n_visits)
        return (d * rho[0] ** np.maximum(d - 1, 0))[None]

    def second(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        d = visit_lags(n_visits)
        return (d * (d - 1) * rho[0] ** np.maximum(d - 2, 0))[None, None]

    def start(self, correlation: np.ndarray) -> np.ndarray:
        neighbours = np.diag(correlation, 1)
        return _clip(np.array([neighbours.mean() if len(neighbours) else 0.0]))


class _Exchangeable(Correlation):
    """The same correlation everywhere, at least ``-1 / (n_visits - 1)``."""

    def names(self, n_visits: int) -> tuple[str, ...]:
        return ("correlation",)

    def matrix(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        return rho[0] + (1 - rho[0]) * np.eye(n_visits)

    def first(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        return (1 - np.eye(n_visits))[None]

    def second(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        return np.zeros((1, 1, n_visits, n_visits))

    def start(self, correlation: np.ndarray) -> np.ndarray:
        T = len(correlation)
        pairs = correlation[np.tril_indices(T, -1)]
        mean = float(pairs.mean()) if len(pairs) else 0.0
        return np.array([np.clip(mean, _INSIDE * self._low(T), _INSIDE)])

    def inner(self, free: np.ndarray, n_visits: int) -> np.ndarray:
        low = self._low(n_visits)
        return low + (1 - low) * (1 + np.tanh(free)) / 2

    def outer(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        low = self._low(n_visits)
        return np.arctanh(2 * (rho - low) / (1 - low) - 1)

    @staticmethod
    def _low(n_visits: int) -> float:
        return -1.0 / max(n_visits - 1, 1)


class _Toeplitz(Correlation):
    """One correlation for each distance; free: partial autocorrelations [2]_."""

    def names(self, n_visits: int) -> tuple[str, ...]:
        return tuple(f"correlation(lag {d})" for d in range(1, n_visits))

    def matrix(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        values: np.ndarray = np.concatenate([[1.0], rho])[visit_lags(n_visits)]
        return values

    def first(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        return lag_masks(n_visits)[1:]

    def second(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        return np.zeros((n_visits - 1, n_visits - 1, n_visits, n_visits))

    def start(self, correlation: np.ndarray) -> np.ndarray:
        means = [np.mean(np.diag(correlation, d)) for d in range(1, len(correlation))]
        partial = partial_autocorrelations(np.array(means))
        return autocorrelations(_clip(partial))

    def inner(self, free: np.ndarray, n_visits: int) -> np.ndarray:
        return autocorrelations(np.tanh(free))

    def outer(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        return np.arctanh(partial_autocorrelations(rho))


class _Antedependent(Correlation):
    """Products of the correlations of successive visits [1]_."""

    def names(self, n_visits: int) -> tuple[str, ...]:
        return tuple(f"correlation({i},{i + 1})" for i in range(1, n_visits))

    def matrix(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        return self._products(rho, n_visits, ())

    def first(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        m = n_visits - 1
        found = [self._products(rho, n_visits, (k,)) for k in range(m)]
        return np.array(found).reshape(m, n_visits, n_visits)

    def second(self, rho: np.ndarray, n_visits: int) -> np.ndarray:
        m = n_visits - 1
        found = np.zeros((m, m, n_visits, n_visits))
        for k in range(m):
            for j in range(k):
                found[j, k] = found[k, j] = self._products(rho, n_visits, (j, k))
        return found

    def start(self, correlation: np.ndarray) -> np.ndarray:
        return _clip(np.diag(correlation, 1))

    @staticmethod
    def _products(rho: np.ndarray, n_visits: int, without: tuple[int, ...]) -> np.ndarray:
        """Multiply the correlations between two visits; differentiated in some of them."""
        i, j = np.indices((n_visits, n_visits))
        k = np.arange(n_visits - 1)[:, None, None]
        between = (np.minimum(i, j) <= k) & (k < np.maximum(i, j))
        factors = np.where(between, rho[:, None, None], 1.0)
        factors[list(without)] = between[list(without)]
        product: np.ndarray = factors.prod(axis=0)
        return product


def visit_lags(n_visits: int) -> np.ndarray:
    """Return the distance between each two visits.

    Parameters
    ----------
    n_visits : int
        How many visits.

    Returns
    -------
    ndarray of int, shape (n_visits, n_visits)
        In visits.
    """
    i = np.arange(n_visits)
    return np.abs(i[:, None] - i[None, :])


def lag_masks(n_visits: int) -> np.ndarray:
    """Return where two visits are some distance apart.

    Parameters
    ----------
    n_visits : int
        How many visits.

    Returns
    -------
    ndarray, shape (n_visits, n_visits, n_visits)
        One matrix of zeros and ones per distance.
    """
    return (visit_lags(n_visits) == np.arange(n_visits)[:, None, None]).astype(float)


def _clip(correlations: np.ndarray) -> np.ndarray:
    """Keep starting values off the bounds."""
    return np.clip(correlations, -_INSIDE, _INSIDE)


def autocorrelations(partial: np.ndarray) -> np.ndarray:
    """Return autocorrelations from partial ones, by Durbin and Levinson's recursion [2]_.

    Parameters
    ----------
    partial : ndarray, shape (m,)
        Between minus one and one.

    Returns
    -------
    ndarray, shape (m,)
        By distance, from one on.
    """
    rho = np.zeros_like(partial)
    weights = np.empty(0, dtype=partial.dtype)  # of the best linear prediction from the last n
    error = 1.0
    for n, p in enumerate(partial):
        rho[n] = weights @ rho[:n][::-1] + p * error
        weights = np.concatenate([weights - p * weights[::-1], [p]])
        error = error * (1 - p * p)
    return rho


def partial_autocorrelations(rho: np.ndarray) -> np.ndarray:
    """Return partial autocorrelations, the inverse of :func:`autocorrelations`.

    Parameters
    ----------
    rho : ndarray, shape (m,)
        Autocorrelations by distance.

    Returns
    -------
    ndarray, shape (m,)
        Stopped just inside of minus one and one, where no positive definite matrix has `rho`.
    """
    partial = np.zeros_like(rho)
    weights = np.empty(0)
    error = 1.0
    for n, r in enumerate(rho):
        p = (r - weights @ rho[:n][::-1]) / error
        partial[n] = np.clip(p, -1 + 1e-12, 1 - 1e-12)
        weights = np.concatenate([weights - partial[n] * weights[::-1], [partial[n]]])
        error *= 1 - partial[n] ** 2
    return partial


EXCHANGEABLE = _Exchangeable()
TOEPLITZ = _Toeplitz()
AUTOREGRESSIVE = _Autoregressive()
ANTEDEPENDENT = _Antedependent()
