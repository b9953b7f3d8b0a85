"""Small-sample inference for fixed effects: t and F tests by each method of degrees of freedom.

Every method answers the same two questions: how many degrees of freedom has a combination of the
fixed effects, and what is the F test of several combinations at once. What a model has to bring is
the covariance of its fixed effects, the derivatives of that in the variance parameters, and the
covariance of those.

References
----------
.. [1] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
   likelihood. Biometrics 1997;53:983-997. doi:10.2307/2533558.
.. [2] Fai AHT, Cornelius PL. Approximate F-tests of multiple degree of freedom hypotheses in
   generalized least squares analyses of unbalanced split-plot experiments. J Stat Comput Simul
   1996;54:363-378. doi:10.1080/00949659608811740.
.. [3] Kuznetsova A, Brockhoff PB, Christensen RHB. lmerTest package: tests in linear mixed effects
   models. J Stat Softw 2017;82(13). doi:10.18637/jss.v082.i13.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Self, get_args

import numpy as np
from scipy import stats

__all__ = [
    "DfMethod",
    "FTest",
    "FixedDf",
    "Inference",
    "KenwardRoger",
    "NormalInference",
    "Satterthwaite",
]

DfMethod = Literal[
    "kenward-roger",
    "kenward-roger-linear",
    "satterthwaite",
    "between-within",
    "residual",
    "normal",
]
"""How degrees of freedom are found; SAS's ``DDFM=KR``, ``KR(LINEAR)``, ``SATTERTHWAITE``,
``BETWITHIN``, ``RESIDUAL``, and tests that take the variances as known."""

DF_METHODS: tuple[str, ...] = get_args(DfMethod)
_RANK = 1e-10  # share of the largest eigenvalue below which a combination repeats others


@dataclass(frozen=True, kw_only=True)
class FTest:
    """An F test of several combinations of fixed effects.

    Parameters
    ----------
    statistic : float
        F.
    df_numerator : float
        Number of independent combinations.
    df_denominator : float
        Infinite where the variances are taken as known.
    p_value : float
        Upper tail.
    """

    statistic: float
    df_numerator: float
    df_denominator: float
    p_value: float


@dataclass(frozen=True, eq=False, kw_only=True)
class Inference(abc.ABC):
    """What a fitted model knows about the precision of its fixed effects.

    Parameters
    ----------
    covariance : ndarray, shape (p, p)
        Of the fixed effects, as standard errors use it (Kenward and Roger's: the adjusted one).
    """

    covariance: np.ndarray

    @abc.abstractmethod
    def df(self, contrasts: np.ndarray) -> np.ndarray | None:
        """Return the degrees of freedom of some combinations.

        Parameters
        ----------
        contrasts : ndarray, shape (m, p)
            One combination of the fixed effects per row.

        Returns
        -------
        ndarray, shape (m,), or None
            None where the normal distribution is used.
        """

    @abc.abstractmethod
    def _denominator(self, L: np.ndarray) -> tuple[float, float]:
        """Return denominator df of the F test of rows L (of full rank), and the scale of F."""

    def mapped(self, transform: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Return the same for fixed effects in other units.

        Parameters
        ----------
        transform : callable
            Maps a covariance (or a derivative of one), shape (p, p), to the new units.

        Returns
        -------
        Inference
            Of the same kind.
        """
        return replace(self, covariance=transform(self.covariance))

    def f_test(self, contrasts: np.ndarray, fixed: np.ndarray) -> FTest:
        """Test that some combinations are all zero.

        Parameters
        ----------
        contrasts : ndarray, shape (m, p)
            One combination per row; rows that repeat others are taken into account once.
        fixed : ndarray, shape (p,)
            Estimated fixed effects.

        Returns
        -------
        FTest
            With this method's degrees of freedom.
        """
        L = _independent_rows(np.atleast_2d(np.asarray(contrasts, dtype=float)))
        rank = len(L)
        if rank == 0 or not np.isfinite(L).all():
            return FTest(
                statistic=np.nan, df_numerator=float(rank), df_denominator=np.nan, p_value=np.nan
            )
        values = L @ fixed
        quadratic = float(values @ np.linalg.solve(L @ self.covariance @ L.T, values))
        df, scale = self._denominator(L)
        statistic = scale * quadratic / rank
        spread = stats.f(rank, df) if np.isfinite(df) else stats.chi2(rank, scale=1 / rank)
        return FTest(
            statistic=statistic,
            df_numerator=float(rank),
            df_denominator=df,
            p_value=float(spread.sf(statistic)),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class NormalInference(Inference):
    """Tests that take the variances as known: the normal and the chi-squared distribution.

    Parameters
    ----------
    covariance : ndarray, shape (p, p)
        Of the fixed effects.
    """

    def df(self, contrasts: np.ndarray) -> np.ndarray | None:  # noqa: ARG002
        """Return None: there are none."""
        return None

    def _denominator(self, L: np.ndarray) -> tuple[float, float]:  # noqa: ARG002
        """Return infinity."""
        return np.inf, 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class FixedDf(Inference):
    """Degrees of freedom by counting: residual, or between and within subjects.

    Parameters
    ----------
    covariance : ndarray, shape (p, p)
        Of the fixed effects.
    per_coefficient : ndarray, shape (p,)
        Of each fixed effect; a combination has the smallest of those that it uses.
    """

    per_coefficient: np.ndarray

    def df(self, contrasts: np.ndarray) -> np.ndarray | None:
        """Return the smallest degrees of freedom among the coefficients of each combination."""
        contrasts = np.atleast_2d(contrasts)
        size = np.abs(contrasts).max(axis=1, keepdims=True)
        used = np.abs(contrasts) > _RANK * np.where(size > 0, size, 1.0)
        found: np.ndarray = np.where(used, self.per_coefficient, np.inf).min(axis=1)
        return np.where(np.isfinite(contrasts).all(axis=1) & used.any(axis=1), found, np.nan)

    def _denominator(self, L: np.ndarray) -> tuple[float, float]:
        """Return the smallest of the rows'."""
        df = self.df(L)
        assert df is not None  # noqa: S101
        return float(df.min()), 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class Satterthwaite(Inference):
    """Degrees of freedom by matching the variance of each estimated variance [2]_ [3]_.

    Parameters
    ----------
    covariance : ndarray, shape (p, p)
        Of the fixed effects.
    jacobian : ndarray, shape (k, p, p)
        Derivative of it in each variance parameter.
    parameter_covariance : ndarray, shape (k, k)
        Covariance of the estimated variance parameters.
    """

    jacobian: np.ndarray
    parameter_covariance: np.ndarray

    def df(self, contrasts: np.ndarray) -> np.ndarray | None:
        """Return ``2 v^2 / var(v)`` of each estimated variance ``v``, by the delta method."""
        contrasts = np.atleast_2d(contrasts)
        variance = np.einsum("ma,ab,mb->m", contrasts, self.covariance, contrasts)
        slopes = np.einsum("ma,kab,mb->mk", contrasts, self.jacobian, contrasts)
        spread = np.einsum("mk,kl,ml->m", slopes, self.parameter_covariance, slopes)
        with np.errstate(invalid="ignore", divide="ignore"):  # a combination of nothing has none
            df: np.ndarray = 2 * variance**2 / spread
        return df

    def mapped(self, transform: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Return the same for fixed effects in other units; the parameters keep theirs."""
        return replace(
            self,
            covariance=transform(self.covariance),
            jacobian=np.stack([transform(J) for J in self.jacobian]),
        )

    def _denominator(self, L: np.ndarray) -> tuple[float, float]:
        """Return the df of the F test from those of its independent parts [2]."""
        _, vectors = np.linalg.eigh(L @ self.covariance @ L.T)
        parts = self.df(vectors.T @ L)
        assert parts is not None  # noqa: S101
        if len(parts) == 1 or np.ptp(parts) < 1e-8 * parts.max():
            return float(parts.mean()), 1.0
        large = parts[parts > 2]
        expected = float((large / (large - 2)).sum())
        return (2 * expected / (expected - len(L)) if expected > len(L) else 2.0), 1.0


@dataclass(frozen=True, eq=False, kw_only=True)
class KenwardRoger(Inference):
    """Adjusted covariance, scaled F and degrees of freedom of Kenward and Roger [1]_.

    Parameters
    ----------
    covariance : ndarray, shape (p, p)
        Adjusted for small samples (``Phi_A``); standard errors are its roots.
    model_covariance : ndarray, shape (p, p)
        ``Phi = (X' V^-1 X)^-1``.
    jacobian : ndarray, shape (k, p, p)
        Derivative of `model_covariance` in each variance parameter, ``-Phi P_i Phi`` in [1].
    parameter_covariance : ndarray, shape (k, k)
        Covariance ``W`` of the estimated variance parameters.
    """

    model_covariance: np.ndarray
    jacobian: np.ndarray
    parameter_covariance: np.ndarray

    def df(self, contrasts: np.ndarray) -> np.ndarray | None:
        """Return the degrees of freedom of each combination (as one-row F tests)."""
        contrasts = np.atleast_2d(contrasts)
        variance = np.einsum("ma,ab,mb->m", contrasts, self.model_covariance, contrasts)
        slopes = np.einsum("ma,kab,mb->mk", contrasts, self.jacobian, contrasts)
        spread = np.einsum("mk,kl,ml->m", slopes, self.parameter_covariance, slopes)
        with np.errstate(invalid="ignore", divide="ignore"):
            A = spread / variance**2  # A1 and A2 of [1] are the same for one row
            df, _ = _match_moments(A, A, 1)
        return np.asarray(df)

    def mapped(self, transform: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Return the same for fixed effects in other units; the parameters keep theirs."""
        return replace(
            self,
            covariance=transform(self.covariance),
            model_covariance=transform(self.model_covariance),
            jacobian=np.stack([transform(J) for J in self.jacobian]),
        )

    def _denominator(self, L: np.ndarray) -> tuple[float, float]:
        """Return df and scale that match the mean and variance of F [1]."""
        theta = L.T @ np.linalg.solve(L @ self.model_covariance @ L.T, L)
        products = np.einsum("ab,kbc->kac", theta, self.jacobian)
        traces = np.einsum("kaa->k", products)
        W = self.parameter_covariance
        A1 = float(traces @ W @ traces)
        A2 = float(np.einsum("kl,kab,lba->", W, products, products))
        df, scale = _match_moments(A1, A2, len(L))
        return float(df), float(scale)


def _match_moments(A1: np.ndarray | float, A2: np.ndarray | float, rank: int) -> tuple:
    """Return denominator df and scale of F, section 3 of [1]."""
    B = (A1 + 6 * A2) / (2 * rank)
    with np.errstate(invalid="ignore", divide="ignore"):
        g = ((rank + 1) * A1 - (rank + 4) * A2) / ((rank + 2) * A2)
        below = 3 * rank + 2 * (1 - g)
        c1, c2, c3 = g / below, (rank - g) / below, (rank + 2 - g) / below
        mean = 1 / (1 - A2 / rank)
        variance = (2 / rank) * (1 + c1 * B) / ((1 - c2 * B) ** 2 * (1 - c3 * B))
        rho = variance / (2 * mean**2)
        df = 4 + (rank + 2) / (rank * rho - 1)
        scale = df / (mean * (df - 2))
    return df, scale


def _independent_rows(L: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis of the rows."""
    if not np.isfinite(L).all():
        return L
    _, sizes, rows = np.linalg.svd(L, full_matrices=False)
    basis: np.ndarray = rows[sizes > _RANK * max(sizes.max(initial=0.0), 1e-300)]
    return basis
