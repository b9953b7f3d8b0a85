"""Covariance of the visits of a subject, as a design assumes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.solving import check_real

__all__ = ["VisitCovariance"]

_ASYMMETRY = 1e-8


@dataclass(frozen=True, kw_only=True)
class VisitCovariance:
    """Covariance of a subject's values at the visits of a trial.

    Parameters
    ----------
    values : tuple of tuple of float
        Square, symmetric, positive definite, in squared units of the outcome, visits in order.
    label : str
        Says where it comes from.

    Raises
    ------
    DesignError
        If it is no covariance.

    Examples
    --------
    >>> VisitCovariance.cs(sd=2.0, correlation=0.5, n_visits=2).values
    ((4.0, 2.0), (2.0, 4.0))
    """

    values: tuple[tuple[float, ...], ...]
    label: str = "unstructured"

    def __post_init__(self) -> None:
        """Refuse what is no covariance."""
        V = np.asarray(self.values, dtype=float)
        if V.ndim != 2 or V.shape[0] != V.shape[1] or not np.isfinite(V).all():
            raise DesignError(
                "A covariance of visits must be a square table of finite numbers, got shape "
                f"{V.shape}."
            )
        largest = np.abs(V).max()
        if np.abs(V - V.T).max() > _ASYMMETRY * largest:
            raise DesignError("A covariance of visits must be symmetric, and this one is not.")
        if np.linalg.eigvalsh(V).min() <= 1e-12 * largest:
            raise DesignError(
                "A covariance of visits must be positive definite: no variance of zero, no "
                f"combination of visits without variance. Got {self.values!r}."
            )

    @classmethod
    def us(cls, matrix: np.ndarray | Sequence[Sequence[float]]) -> Self:
        """Take any covariance, as :meth:`MMRMResult.visit_covariance` gives it.

        Parameters
        ----------
        matrix : array_like, shape (n_visits, n_visits)
            In squared units of the outcome.

        Returns
        -------
        VisitCovariance
            Unstructured.
        """
        values = np.asarray(matrix, dtype=float)
        if values.ndim != 2:
            raise DesignError(f"`matrix` must be a square table, got shape {values.shape}.")
        return cls(values=tuple(map(tuple, values.tolist())))

    @classmethod
    def cs(cls, *, sd: float | Sequence[float], correlation: float, n_visits: int = 0) -> Self:
        """Let every two visits correlate alike (compound symmetry).

        Parameters
        ----------
        sd : float or sequence of float
            Standard deviation, of all visits or one per visit (then the structure is ``csh``).
        correlation : float
            Between any two visits of a subject.
        n_visits : int
            Number of visits, where `sd` is one number.

        Returns
        -------
        VisitCovariance
            Compound symmetric.
        """
        sds = _per_visit(sd, n_visits)
        check_real("correlation", correlation, low=-1.0, high=1.0)
        R = np.full((len(sds), len(sds)), float(correlation))
        np.fill_diagonal(R, 1.0)
        return cls._of(sds, R, f"compound symmetric (correlation {correlation:.3g})")

    @classmethod
    def ar1(cls, *, sd: float | Sequence[float], correlation: float, n_visits: int = 0) -> Self:
        """Let the correlation fall from visit to visit by one factor.

        Parameters
        ----------
        sd : float or sequence of float
            Standard deviation, of all visits or one per visit (then the structure is ``ar1h``).
        correlation : float
            Between neighbouring visits of a subject.
        n_visits : int
            Number of visits, where `sd` is one number.

        Returns
        -------
        VisitCovariance
            Autoregressive.
        """
        sds = _per_visit(sd, n_visits)
        check_real("correlation", correlation, low=-1.0, high=1.0)
        order = np.arange(len(sds))
        R = np.power(float(correlation), np.abs(order[:, None] - order[None, :]))
        return cls._of(sds, R, f"autoregressive (correlation {correlation:.3g} of neighbours)")

    @classmethod
    def _of(cls, sds: np.ndarray, correlation: np.ndarray, label: str) -> Self:
        """Build from standard deviations and correlations."""
        V = correlation * np.outer(sds, sds)
        return cls(values=tuple(map(tuple, V.tolist())), label=label)

    @property
    def n_visits(self) -> int:
        """Number of visits."""
        return len(self.values)

    def matrix(self) -> np.ndarray:
        """Return the covariance, shape (n_visits, n_visits)."""
        return np.array(self.values, dtype=float)


def _per_visit(sd: float | Sequence[float], n_visits: int) -> np.ndarray:
    """Return one standard deviation per visit."""
    if np.ndim(sd) == 0:
        if n_visits < 1:
            raise DesignError(
                f"One `sd` for all visits needs `n_visits`, their number, got {n_visits!r}."
            )
        sds = [sd] * n_visits
    else:
        sds = list(sd)  # type: ignore[arg-type]
    return np.array([check_real("sd", value, low=0.0) for value in sds])  # type: ignore[arg-type]
