"""Derivatives of all subjects' covariances at once, and the sums that the likelihood needs of them.

With ``V_m`` the covariance of the subjects of pattern m, ``V_mk`` its derivative in parameter k
and ``P_m`` the inverse of ``V_m`` (zero where a visit is missing), everything from the gradient
to the covariance adjustment of Kenward and Roger is made of five sums over patterns. Where one
matrix ``Sigma`` is behind all patterns of a group, they are first taken over the entries of
``Sigma``, once for all parameters.
"""

from __future__ import annotations

import abc
from dataclasses import dataclass

import numpy as np
from scipy import linalg

from pmsstats.models.repeated.mmrm_covariance import SpatialCovariance
from pmsstats.models.repeated.mmrm_patterns import Patterns
from pmsstats.models.repeated.mmrm_structure import Covariance, VisitCovariance

__all__ = ["Directions", "covariances_at", "directions_at"]


class _Sums(abc.ABC):
    """The sums within one group of subjects, whose k parameters are its own."""

    @abc.abstractmethod
    def inner(self, G: np.ndarray) -> np.ndarray:
        """Return the sums of ``tr(G_m V_mk)``: shape (k,)."""

    @abc.abstractmethod
    def inner_second(self, G: np.ndarray) -> np.ndarray:
        """Return the sums of ``tr(G_m V_mkl)``: shape (k, k)."""

    @abc.abstractmethod
    def cross(self, P: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Return the sums of ``tr(V_mk P_m V_ml Y_m)``, P and Y symmetric: shape (k, k)."""

    @abc.abstractmethod
    def products(self, U: np.ndarray, pattern: np.ndarray) -> np.ndarray:
        """Return the sums over subjects of ``U_s' V_mk U_s``: shape (k, q, q)."""

    @abc.abstractmethod
    def weighted(self, P: np.ndarray, W: np.ndarray) -> np.ndarray:
        """Return ``sum_kl W_kl V_mk P_m V_ml``: shape (n_patterns, T, T)."""

    @abc.abstractmethod
    def weighted_second(self, W: np.ndarray, n_patterns: int) -> np.ndarray:
        """Return ``sum_kl W_kl V_mkl``: shape (n_patterns, T, T)."""


@dataclass(frozen=True, eq=False)
class _SharedSums(_Sums):
    """All patterns are parts of one matrix; first (k, T, T), second (k, k, T, T) or None."""

    first: np.ndarray
    second: np.ndarray | None

    @property
    def _flat(self) -> np.ndarray:
        return self.first.reshape(len(self.first), -1)

    def inner(self, G: np.ndarray) -> np.ndarray:
        total: np.ndarray = self._flat @ G.sum(axis=0).reshape(-1)
        return total

    def inner_second(self, G: np.ndarray) -> np.ndarray:
        k = len(self.first)
        if self.second is None:
            return np.zeros((k, k))
        total: np.ndarray = self.second.reshape(k, k, -1) @ G.sum(axis=0).reshape(-1)
        return total

    def cross(self, P: np.ndarray, Y: np.ndarray) -> np.ndarray:
        m, T = len(P), P.shape[1]
        by_entry = (P.reshape(m, -1).T @ Y.reshape(m, -1)).reshape(T, T, T, T)  # b, c, d, a
        by_entry = by_entry.transpose(3, 0, 1, 2).reshape(T * T, T * T)  # ab, cd
        return self._flat @ by_entry @ self._flat.T

    def products(self, U: np.ndarray, pattern: np.ndarray) -> np.ndarray:  # noqa: ARG002
        S, T, q = U.shape
        wide = U.reshape(S, T * q)
        by_entry = (wide.T @ wide).reshape(T, q, T, q).transpose(0, 2, 1, 3)
        return (self._flat @ by_entry.reshape(T * T, q * q)).reshape(-1, q, q)

    def weighted(self, P: np.ndarray, W: np.ndarray) -> np.ndarray:
        m, T = len(P), P.shape[1]
        by_entry = (self._flat.T @ W @ self._flat).reshape(T, T, T, T)  # a, b, c, d
        by_entry = by_entry.transpose(1, 2, 0, 3).reshape(T * T, T * T)  # bc, ad
        return (P.reshape(m, -1) @ by_entry).reshape(m, T, T)

    def weighted_second(self, W: np.ndarray, n_patterns: int) -> np.ndarray:
        T = self.first.shape[1]
        if self.second is None:
            return np.zeros((n_patterns, T, T))
        total = (W.reshape(-1) @ self.second.reshape(-1, T * T)).reshape(T, T)
        return np.broadcast_to(total, (n_patterns, T, T))


@dataclass(frozen=True, eq=False)
class _OwnSums(_Sums):
    """Every pattern has derivatives of its own: first (k, m, T, T), second (k, k, m, T, T)."""

    first: np.ndarray
    second: np.ndarray

    def inner(self, G: np.ndarray) -> np.ndarray:
        total: np.ndarray = self.first.reshape(len(self.first), -1) @ G.reshape(-1)
        return total

    def inner_second(self, G: np.ndarray) -> np.ndarray:
        k = len(self.first)
        total: np.ndarray = self.second.reshape(k, k, -1) @ G.reshape(-1)
        return total

    def cross(self, P: np.ndarray, Y: np.ndarray) -> np.ndarray:
        k = len(self.first)
        left = (self.first @ P).reshape(k, -1)
        right = (Y @ self.first).reshape(k, -1)  # the transposes of V Y
        return left @ right.T

    def products(self, U: np.ndarray, pattern: np.ndarray) -> np.ndarray:
        q = U.shape[2]
        tall = U.reshape(-1, q).T
        return np.stack([tall @ (V[pattern] @ U).reshape(-1, q) for V in self.first])

    def weighted(self, P: np.ndarray, W: np.ndarray) -> np.ndarray:
        combined = np.tensordot(W, self.first, axes=1)
        total: np.ndarray = (self.first @ P @ combined).sum(axis=0)
        return total

    def weighted_second(self, W: np.ndarray, n_patterns: int) -> np.ndarray:  # noqa: ARG002
        return np.tensordot(W, self.second, axes=2)


@dataclass(frozen=True, eq=False)
class Directions:
    """Derivatives of the covariances in all parameters, group after group.

    Parameters
    ----------
    patterns : Patterns
        Who shares which matrix.
    sums : tuple
        The sums of each group.
    n_each : int
        Parameters per group.
    """

    patterns: Patterns
    sums: tuple[_Sums, ...]
    n_each: int

    def _groups(self) -> list[tuple[_Sums, slice, slice, slice]]:
        """List each group's sums with its patterns, subjects and parameters."""
        k = self.n_each
        return [
            (
                sums,
                self.patterns.pattern_slice(g),
                self.patterns.subject_slice(g),
                slice(g * k, (g + 1) * k),
            )
            for g, sums in enumerate(self.sums)
        ]

    def inner(self, G: np.ndarray) -> np.ndarray:
        """Return the sums of ``tr(G_m V_mk)``.

        Parameters
        ----------
        G : ndarray, shape (n_patterns, T, T)
            Symmetric.

        Returns
        -------
        ndarray, shape (k,)
            One per parameter.
        """
        return np.concatenate([sums.inner(G[where]) for sums, where, _, _ in self._groups()])

    def inner_second(self, G: np.ndarray) -> np.ndarray:
        """Return the sums of ``tr(G_m V_mkl)``.

        Parameters
        ----------
        G : ndarray, shape (n_patterns, T, T)
            Symmetric.

        Returns
        -------
        ndarray, shape (k, k)
            Zero between groups.
        """
        blocks = [sums.inner_second(G[where]) for sums, where, _, _ in self._groups()]
        return np.asarray(linalg.block_diag(*blocks))

    def cross(self, P: np.ndarray, Y: np.ndarray) -> np.ndarray:
        """Return the sums of ``tr(V_mk P_m V_ml Y_m)``.

        Parameters
        ----------
        P, Y : ndarray, shape (n_patterns, T, T)
            Symmetric, zero where a visit is missing.

        Returns
        -------
        ndarray, shape (k, k)
            Zero between groups.
        """
        blocks = [sums.cross(P[where], Y[where]) for sums, where, _, _ in self._groups()]
        return np.asarray(linalg.block_diag(*blocks))

    def products(self, U: np.ndarray) -> np.ndarray:
        """Return the sums over subjects of ``U_s' V_k U_s``.

        Parameters
        ----------
        U : ndarray, shape (n_subjects, T, q)
            In the order of the patterns.

        Returns
        -------
        ndarray, shape (k, q, q)
            One matrix per parameter.
        """
        found = []
        for sums, where, who, _ in self._groups():
            local = self.patterns.of_subject[who] - where.start
            found.append(sums.products(U[who], local))
        return np.concatenate(found)

    def weighted(self, P: np.ndarray, W: np.ndarray) -> np.ndarray:
        """Return ``sum_kl W_kl V_mk P_m V_ml``.

        Parameters
        ----------
        P : ndarray, shape (n_patterns, T, T)
            Symmetric.
        W : ndarray, shape (k, k)
            Weights of pairs of parameters; those between groups do not matter.

        Returns
        -------
        ndarray, shape (n_patterns, T, T)
            One matrix per pattern.
        """
        return np.concatenate(
            [sums.weighted(P[where], W[own, own]) for sums, where, _, own in self._groups()]
        )

    def weighted_second(self, W: np.ndarray) -> np.ndarray:
        """Return ``sum_kl W_kl V_mkl``.

        Parameters
        ----------
        W : ndarray, shape (k, k)
            Weights of pairs of parameters; those between groups do not matter.

        Returns
        -------
        ndarray, shape (n_patterns, T, T)
            One matrix per pattern.
        """
        return np.concatenate(
            [
                sums.weighted_second(W[own, own], where.stop - where.start)
                for sums, where, _, own in self._groups()
            ]
        )


def covariances_at(structure: Covariance, theta: np.ndarray, patterns: Patterns) -> np.ndarray:
    """Return the covariance of each pattern.

    Parameters
    ----------
    structure : Covariance
        What the parameters mean.
    theta : ndarray, shape (n_groups * k,)
        Group after group.
    patterns : Patterns
        Who has which visits.

    Returns
    -------
    ndarray, shape (n_patterns, T, T)
        With ones on the diagonal where a visit is missing.
    """
    T = patterns.n_slots
    by_group = theta.reshape(patterns.n_groups, -1)
    if isinstance(structure, SpatialCovariance):
        assert patterns.distances is not None  # noqa: S101
        full = structure.at(by_group[patterns.group].T[..., None, None], patterns.distances)
    else:
        assert isinstance(structure, VisitCovariance)  # noqa: S101
        full = np.stack([structure.matrix(part, T) for part in by_group])[patterns.group]
    both = patterns.seen[:, :, None] & patterns.seen[:, None, :]
    return np.where(both, full, np.eye(T))


def directions_at(structure: Covariance, theta: np.ndarray, patterns: Patterns) -> Directions:
    """Return the derivatives of the covariance of each pattern.

    Parameters
    ----------
    structure : Covariance
        What the parameters mean.
    theta : ndarray, shape (n_groups * k,)
        Group after group.
    patterns : Patterns
        Who has which visits.

    Returns
    -------
    Directions
        At `theta`.
    """
    T = patterns.n_slots
    by_group = theta.reshape(patterns.n_groups, -1)
    sums: list[_Sums] = []
    for g, part in enumerate(by_group):
        if isinstance(structure, SpatialCovariance):
            assert patterns.distances is not None  # noqa: S101
            distances = patterns.distances[patterns.pattern_slice(g)]
            sums.append(
                _OwnSums(structure.first_at(part, distances), structure.second_at(part, distances))
            )
        else:
            assert isinstance(structure, VisitCovariance)  # noqa: S101
            sums.append(_SharedSums(structure.first(part, T), structure.second(part, T)))
    return Directions(patterns, tuple(sums), by_group.shape[1])
