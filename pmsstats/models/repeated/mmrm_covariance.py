"""Covariances of repeated measures by name.

References
----------
.. [1] SAS Institute. SAS/STAT 15.1 User's Guide: The MIXED Procedure, REPEATED statement. 2018.
.. [2] Pinheiro JC, Bates DM. Unconstrained parametrizations for variance-covariance matrices.
   Stat Comput 1996;6:289-296. doi:10.1007/BF00140873.
"""

# ruff: noqa: ARG002 (all structures have the same methods; few need every argument)

from __future__ import annotations

import functools
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from pmsstats.models.repeated.mmrm_correlation import (
    ANTEDEPENDENT,
    AUTOREGRESSIVE,
    EXCHANGEABLE,
    TOEPLITZ,
    Correlation,
    autocorrelations,
    lag_masks,
    partial_autocorrelations,
    visit_lags,
)
from pmsstats.models.repeated.mmrm_structure import Covariance, VisitCovariance

__all__ = ["COVARIANCES", "Covariance", "SpatialCovariance", "VisitCovariance"]


class _Unstructured(VisitCovariance):
    """Every variance and covariance by itself; linear in ``theta``; free: log-Cholesky [2]_."""

    def names(self, n_visits: int) -> tuple[str, ...]:
        rows, columns = _lower(n_visits)
        return tuple(
            f"variance({i + 1})" if i == j else f"covariance({i + 1},{j + 1})"
            for i, j in zip(rows, columns, strict=True)
        )

    def with_units(self, n_visits: int) -> np.ndarray:
        return np.ones(n_visits * (n_visits + 1) // 2, dtype=bool)

    def matrix(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        lower = np.zeros((n_visits, n_visits))
        lower[_lower(n_visits)] = theta
        return lower + np.tril(lower, -1).T

    def first(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        return _unit_entries(n_visits)

    def second(self, theta: np.ndarray, n_visits: int) -> None:
        return None

    def theta(self, free: np.ndarray, n_visits: int) -> np.ndarray:
        lower = np.zeros((n_visits, n_visits), dtype=free.dtype)
        lower[_lower(n_visits)] = free
        np.fill_diagonal(lower, np.exp(np.diag(lower)))
        made: np.ndarray = (lower @ lower.T)[_lower(n_visits)]
        return made

    def jacobian(self, free: np.ndarray, n_visits: int) -> np.ndarray:
        """Differentiate ``L L'`` in the entries of L, those on the diagonal in their logarithms."""
        rows, columns = _lower(n_visits)
        lower = np.zeros((n_visits, n_visits))
        lower[rows, columns] = free
        np.fill_diagonal(lower, np.exp(np.diag(lower)))
        k = np.arange(len(rows))
        moved = np.zeros((len(rows), n_visits, n_visits))
        moved[k, rows, columns] = np.where(rows == columns, lower[rows, columns], 1.0)
        half = moved @ lower.T
        slopes: np.ndarray = (half + half.swapaxes(1, 2))[:, rows, columns].T
        return slopes

    def free(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        lower = np.linalg.cholesky(self.matrix(theta, n_visits))
        np.fill_diagonal(lower, np.log(np.diag(lower)))
        found: np.ndarray = lower[_lower(n_visits)]
        return found

    def start(self, moments: np.ndarray) -> np.ndarray:
        values: np.ndarray = moments[_lower(len(moments))]
        return values


class _Banded(VisitCovariance):
    """Toeplitz: one covariance for each distance between visits; linear in ``theta``."""

    def names(self, n_visits: int) -> tuple[str, ...]:
        return ("variance", *(f"covariance(lag {d})" for d in range(1, n_visits)))

    def with_units(self, n_visits: int) -> np.ndarray:
        return np.ones(n_visits, dtype=bool)

    def matrix(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        values: np.ndarray = theta[visit_lags(n_visits)]
        return values

    def first(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        return lag_masks(n_visits)

    def second(self, theta: np.ndarray, n_visits: int) -> None:
        return None

    def theta(self, free: np.ndarray, n_visits: int) -> np.ndarray:
        return np.exp(free[0]) * np.concatenate([[1.0], autocorrelations(np.tanh(free[1:]))])

    def free(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        partial = partial_autocorrelations(theta[1:] / theta[0])
        return np.concatenate([[np.log(theta[0])], np.arctanh(partial)])

    def start(self, moments: np.ndarray) -> np.ndarray:
        variance, correlation = _mean_variance(moments)
        by_lag = TOEPLITZ.start(correlation)
        return variance * np.concatenate([[1.0], by_lag])


class _CompoundSymmetry(VisitCovariance):
    """Compound symmetry as SAS has it: a common covariance and a residual variance; linear."""

    def names(self, n_visits: int) -> tuple[str, ...]:
        return ("covariance", "residual variance")

    def with_units(self, n_visits: int) -> np.ndarray:
        return np.ones(2, dtype=bool)

    def matrix(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        return theta[0] + theta[1] * np.eye(n_visits)

    def first(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        return np.stack([np.ones((n_visits, n_visits)), np.eye(n_visits)])

    def second(self, theta: np.ndarray, n_visits: int) -> None:
        return None

    def theta(self, free: np.ndarray, n_visits: int) -> np.ndarray:
        variance, rho = np.exp(free[0]), EXCHANGEABLE.inner(free[1:], n_visits)[0]
        return variance * np.array([rho, 1 - rho])

    def free(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        total = theta.sum()
        rho = theta[:1] / total
        return np.concatenate([[np.log(total)], EXCHANGEABLE.outer(rho, n_visits)])

    def start(self, moments: np.ndarray) -> np.ndarray:
        variance, correlation = _mean_variance(moments)
        rho = EXCHANGEABLE.start(correlation)[0]
        return variance * np.array([rho, 1 - rho])


class _Scaled(VisitCovariance):
    """Correlations with one variance or one per visit: ``s_i s_j R_ij``, ``theta = (s^2, rho)``."""

    def __init__(self, name: str, correlation: Correlation, *, by_visit: bool) -> None:
        super().__init__(name)
        self.correlation = correlation
        self.by_visit = by_visit

    def _n_variances(self, n_visits: int) -> int:
        return n_visits if self.by_visit else 1

    def _split(self, theta: np.ndarray, n_visits: int) -> tuple[np.ndarray, np.ndarray]:
        m = self._n_variances(n_visits)
        return theta[:m], theta[m:]

    def names(self, n_visits: int) -> tuple[str, ...]:
        variances = (
            tuple(f"variance({i + 1})" for i in range(n_visits)) if self.by_visit else ("variance",)
        )
        return (*variances, *self.correlation.names(n_visits))

    def with_units(self, n_visits: int) -> np.ndarray:
        return np.arange(self.n_parameters(n_visits)) < self._n_variances(n_visits)

    def matrix(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        variances, rho = self._split(theta, n_visits)
        s = np.broadcast_to(np.sqrt(variances), (n_visits,))
        return np.outer(s, s) * self.correlation.matrix(rho, n_visits)

    def first(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        variances, rho = self._split(theta, n_visits)
        s = np.broadcast_to(np.sqrt(variances), (n_visits,))
        by_variance = self._shares(variances, n_visits) * self.matrix(theta, n_visits)
        by_rho = np.outer(s, s) * self.correlation.first(rho, n_visits)
        return np.concatenate([by_variance, by_rho])

    def second(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        variances, rho = self._split(theta, n_visits)
        s = np.broadcast_to(np.sqrt(variances), (n_visits,))
        sigma = self.matrix(theta, n_visits)
        by_rho = np.outer(s, s) * self.correlation.first(rho, n_visits)
        shares = self._shares(variances, n_visits)
        m, k = len(variances), len(theta)
        found = np.zeros((k, k, n_visits, n_visits))
        found[:m, :m] = shares[:, None] * shares[None, :] * sigma
        own = np.arange(m)
        found[own, own] -= shares / variances[:, None, None] * sigma
        found[:m, m:] = shares[:, None] * by_rho
        found[m:, :m] = found[:m, m:].swapaxes(0, 1)
        found[m:, m:] = np.outer(s, s) * self.correlation.second(rho, n_visits)
        return found

    def _shares(self, variances: np.ndarray, n_visits: int) -> np.ndarray:
        """Differentiate ``log(s_i s_j)`` in each variance: shape (m, n_visits, n_visits)."""
        if not self.by_visit:
            return np.full((1, n_visits, n_visits), 1 / variances[0])
        own = np.eye(n_visits) / (2 * variances[:, None])
        return own[:, :, None] + own[:, None, :]

    def theta(self, free: np.ndarray, n_visits: int) -> np.ndarray:
        logs, rest = self._split(free, n_visits)
        return np.concatenate([np.exp(logs), self.correlation.inner(rest, n_visits)])

    def free(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        variances, rho = self._split(theta, n_visits)
        return np.concatenate([np.log(variances), self.correlation.outer(rho, n_visits)])

    def start(self, moments: np.ndarray) -> np.ndarray:
        variance, correlation = _mean_variance(moments)
        variances = np.diag(moments) if self.by_visit else np.array([variance])
        return np.concatenate([variances, self.correlation.start(correlation)])


class SpatialCovariance(Covariance):
    """Exponential decay with distance: ``sigma^2 exp(-d / range)``, ``theta = (sigma^2, range)``.

    Parameters
    ----------
    name : str
        ``sp_exp``.

    Notes
    -----
    ``TYPE=SP(EXP)`` of SAS; ``corExp`` of R's nlme without nugget.
    """

    spatial = True

    def names(self, n_visits: int = 0) -> tuple[str, ...]:
        """Return the names of the two parameters.

        Parameters
        ----------
        n_visits : int
            Does not matter.

        Returns
        -------
        tuple of str
            Variance and range.
        """
        return ("variance", "range")

    def with_units(self, n_visits: int = 0) -> np.ndarray:
        """Return that the variance has the outcome's unit squared.

        Parameters
        ----------
        n_visits : int
            Does not matter.

        Returns
        -------
        ndarray of bool, shape (2,)
            The range has the distances' unit.
        """
        return np.array([True, False])

    def theta(self, free: np.ndarray, n_visits: int = 0) -> np.ndarray:
        """Return variance and range.

        Parameters
        ----------
        free : ndarray, shape (2,)
            Their logarithms.
        n_visits : int
            Does not matter.

        Returns
        -------
        ndarray, shape (2,)
            The exponentials.
        """
        return np.exp(free)

    def free(self, theta: np.ndarray, n_visits: int = 0) -> np.ndarray:
        """Return the logarithms of variance and range.

        Parameters
        ----------
        theta : ndarray, shape (2,)
            Variance and range.
        n_visits : int
            Does not matter.

        Returns
        -------
        ndarray, shape (2,)
            The inverse of :meth:`theta`.
        """
        return np.log(theta)

    def at(self, theta: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Return the covariances at some distances.

        Parameters
        ----------
        theta : ndarray, shape (2,)
            Variance and range.
        distances : ndarray
            Of any shape.

        Returns
        -------
        ndarray
            Of the same shape.
        """
        return theta[0] * np.exp(-distances / theta[1])

    def first_at(self, theta: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Return the first derivatives of :meth:`at`.

        Parameters
        ----------
        theta : ndarray, shape (2,)
            Variance and range.
        distances : ndarray
            Of any shape.

        Returns
        -------
        ndarray, shape (2, ...)
            In variance and range.
        """
        V = self.at(theta, distances)
        return np.stack([V / theta[0], V * distances / theta[1] ** 2])

    def second_at(self, theta: np.ndarray, distances: np.ndarray) -> np.ndarray:
        """Return the second derivatives of :meth:`at`.

        Parameters
        ----------
        theta : ndarray, shape (2,)
            Variance and range.
        distances : ndarray
            Of any shape.

        Returns
        -------
        ndarray, shape (2, 2, ...)
            In variance and range.
        """
        V = self.at(theta, distances)
        slope = distances / theta[1] ** 2
        mixed = V * slope / theta[0]
        last = V * (slope**2 - 2 * slope / theta[1])
        return np.stack([np.stack([np.zeros_like(V), mixed]), np.stack([mixed, last])])


@functools.cache
def _lower(n_visits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and columns of the lower triangle, row by row."""
    return np.tril_indices(n_visits)


@functools.cache
def _unit_entries(n_visits: int) -> np.ndarray:
    """Return the derivatives of a symmetric matrix in its lower triangle, row by row."""
    rows, columns = _lower(n_visits)
    k = np.arange(len(rows))
    units = np.zeros((len(rows), n_visits, n_visits))
    units[k, rows, columns] = units[k, columns, rows] = 1.0
    units.flags.writeable = False
    return units


def _mean_variance(moments: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean variance and the correlations of a covariance matrix."""
    variances = np.diag(moments)
    s = np.sqrt(variances)
    return float(variances.mean()), moments / np.outer(s, s)


COVARIANCES: Mapping[str, Covariance] = MappingProxyType(
    {
        "us": _Unstructured("us"),
        "toep": _Banded("toep"),
        "toeph": _Scaled("toeph", TOEPLITZ, by_visit=True),
        "ar1": _Scaled("ar1", AUTOREGRESSIVE, by_visit=False),
        "ar1h": _Scaled("ar1h", AUTOREGRESSIVE, by_visit=True),
        "cs": _CompoundSymmetry("cs"),
        "csh": _Scaled("csh", EXCHANGEABLE, by_visit=True),
        "ad": _Scaled("ad", ANTEDEPENDENT, by_visit=False),
        "adh": _Scaled("adh", ANTEDEPENDENT, by_visit=True),
        "sp_exp": SpatialCovariance("sp_exp"),
    }
)
"""Structures by name; ``h``: with a variance for every visit, as SAS and R's mmrm name them."""
