"""What every covariance of repeated measures can do: parameters, matrices, derivatives.

Every structure has two sets of parameters. ``theta`` are those of SAS's ``REPEATED / TYPE=``
statement: variances, covariances and correlations themselves; tables, and the second-order terms
of Kenward and Roger, refer to them. ``free`` are for the optimiser: any real numbers give a
positive definite matrix.
"""

from __future__ import annotations

import abc

import numpy as np

__all__ = ["Covariance", "VisitCovariance"]

_STEP = 1e-200  # of complex-step derivatives: exact to rounding


class Covariance(abc.ABC):
    """A structure of the covariance within subjects.

    Parameters
    ----------
    name : str
        As in ``TYPE=`` of SAS: ``us, toep, toeph, ar1, ar1h, cs, csh, ad, adh, sp_exp``.
    """

    spatial = False

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @abc.abstractmethod
    def names(self, n_visits: int) -> tuple[str, ...]:
        """Return the names of the parameters ``theta``.

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
    def with_units(self, n_visits: int) -> np.ndarray:
        """Return which parameters carry the outcome's unit squared.

        Parameters
        ----------
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray of bool, shape (k,)
            False for correlations and ranges.
        """

    @abc.abstractmethod
    def theta(self, free: np.ndarray, n_visits: int) -> np.ndarray:
        """Return ``theta`` for parameters without bounds.

        Parameters
        ----------
        free : ndarray, shape (k,)
            Any numbers; the function is analytic, so complex ones will do.
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray, shape (k,)
            Of a positive definite covariance.
        """

    @abc.abstractmethod
    def free(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        """Return the parameters without bounds that give ``theta``.

        Parameters
        ----------
        theta : ndarray, shape (k,)
            Variances, covariances, correlations.
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray, shape (k,)
            The inverse of :meth:`theta`.
        """

    def n_parameters(self, n_visits: int) -> int:
        """Return how many parameters there are.

        Parameters
        ----------
        n_visits : int
            How many visits.

        Returns
        -------
        int
            Per group.
        """
        return len(self.names(n_visits))

    def jacobian(self, free: np.ndarray, n_visits: int) -> np.ndarray:
        """Differentiate :meth:`theta`.

        Parameters
        ----------
        free : ndarray, shape (k,)
            Parameters without bounds.
        n_visits : int
            Number of visits.

        Returns
        -------
        ndarray, shape (k, k)
            One row per element of `theta`, exact to rounding (complex steps).
        """
        k = len(free)
        slopes = np.empty((k, k))
        for j in range(k):
            moved = free.astype(complex)
            moved[j] += 1j * _STEP
            slopes[:, j] = self.theta(moved, n_visits).imag / _STEP
        return slopes


class VisitCovariance(Covariance):
    """A structure over numbered visits: one matrix for everybody.

    Parameters
    ----------
    name : str
        As for :class:`Covariance`.
    """

    @abc.abstractmethod
    def matrix(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        """Return the covariance of all visits.

        Parameters
        ----------
        theta : ndarray, shape (k,)
            Variances, covariances, correlations.
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray, shape (n_visits, n_visits)
            ``Sigma``.
        """

    @abc.abstractmethod
    def first(self, theta: np.ndarray, n_visits: int) -> np.ndarray:
        """Return the first derivatives of the covariance in ``theta``.

        Parameters
        ----------
        theta : ndarray, shape (k,)
            Variances, covariances, correlations.
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray, shape (k, n_visits, n_visits)
            One matrix per parameter.
        """

    @abc.abstractmethod
    def second(self, theta: np.ndarray, n_visits: int) -> np.ndarray | None:
        """Return the second derivatives of the covariance in ``theta``.

        Parameters
        ----------
        theta : ndarray, shape (k,)
            Variances, covariances, correlations.
        n_visits : int
            How many visits.

        Returns
        -------
        ndarray, shape (k, k, n_visits, n_visits), or None
            None where the covariance is linear in its parameters.
        """

    @abc.abstractmethod
    def start(self, moments: np.ndarray) -> np.ndarray:
        """Return starting values.

        Parameters
        ----------
        moments : ndarray, shape (n_visits, n_visits)
            Positive definite; from residuals.

        Returns
        -------
        ndarray, shape (k,)
            ``theta`` of a positive definite matrix that resembles `moments`.
        """
