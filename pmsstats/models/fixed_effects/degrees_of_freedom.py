"""Small-sample inference for fixed effects: t and F tests by each method of degrees of freedom.

Every method answers the same two questions: how many degrees of freedom has a combination of the
fixed effects, and what is the F test of several combinations at once. What a model has to bring is
the covariance of its fixed effects, the derivatives of that in the variance parameters, and the
covariance of those.

Notes
-----
For one combination Kenward and Roger's degrees of freedom are Satterthwaite's formula with their
covariance of the variance parameters, and their scale is one. For several combinations they do not
depend on how these are written; Satterthwaite's do, because they come from the principal axes of
the combinations as given (pairwise differences have other axes than differences to one arm). The
statistic itself never depends on it.

The same numbers: R ``lmerTest::contestMD`` and ``contest1D``, ``pbkrtest::KRmodcomp`` and
``get_Lb_ddf``; SAS ``CONTRAST`` and ``ESTIMATE`` with the option ``DDFM=`` for the same parts.
Which parts a model brings to Kenward and Roger's method, :data:`DfMethod` says.

References
----------
.. [1] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
   likelihood. Biometrics 1997;53:983-997. doi:10.2307/2533558.
.. [2] Fai AHT, Cornelius PL. Approximate F-tests of multiple degree of freedom hypotheses in
   generalized least squares analyses of unbalanced split-plot experiments. J Stat Comput Simul
   1996;54:363-378. doi:10.1080/00949659608811740.
.. [3] Kuznetsova A, Brockhoff PB, Christensen RHB. lmerTest package: tests in linear mixed effects
   models. J Stat Softw 2017;82(13). doi:10.18637/jss.v082.i13.
.. [4] Halekoh U, Hojsgaard S. A Kenward-Roger approximation and parametric bootstrap methods for
   tests in linear mixed models: the R package pbkrtest. J Stat Softw 2014;59(9).
   doi:10.18637/jss.v059.i09.
.. [5] Schluchter MD, Elashoff JT. Small-sample adjustments to tests with unbalanced repeated
   measures assuming several covariance structures. J Stat Comput Simul 1990;37:69-87.
   doi:10.1080/00949659008811295.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Self, get_args

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
    "between_within_df",
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
``BETWITHIN``, ``RESIDUAL``, and tests that take the variances as known.

The covariance ``W`` of the variance parameters is twice the inverse of an information, which is not
the same one in both models, because each follows the program that its users compare with:

================  ============================  ==================================
model             ``satterthwaite``             ``kenward-roger``, ``...-linear``
================  ============================  ==================================
``fit_mmrm``      observed: SAS                 observed: SAS
``fit_lmm``       observed: R lmerTest          expected: R pbkrtest, as in [1]_
================  ============================  ==================================

The observed information is the second derivative of ``-2 log L`` in the data at hand, the expected
one its mean over data. They differ where data are unbalanced: so the Kenward-Roger standard errors
and degrees of freedom of a mixed model are pbkrtest's, and are not exactly those of SAS's
``DDFM=KR``, nor those of ``fit_mmrm`` for the same marginal model. With random intercepts (``cs``)
and a third of the visits missing, standard errors differ by 2e-5 of themselves and degrees of
freedom by 1 to 2 % in 30 subjects, by less than 1e-6 and by 0.2 % in 300. They are the same in
complete balanced data (``tests/models/fixed_effects/test_degrees_of_freedom.py``)."""

DF_METHODS: tuple[str, ...] = get_args(DfMethod)
_RANK = 1e-10  # share of the largest singular value below which a combination repeats others
_CHANGES = 1e-9  # share of a column's largest value by which it changes within a subject


@dataclass(frozen=True, kw_only=True)
class FTest:
    """An F test of several combinations of fixed effects.

    Parameters
    ----------
    statistic : float
        F; missing where a combination could not be estimated.
    df_numerator : float
        Number of independent combinations.
    df_denominator : float
        Infinite where the variances are taken as known; missing where no F distribution has the
        moments (far too few subjects).
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

    label: ClassVar[str]
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
    def _denominator(self, given: np.ndarray, basis: np.ndarray) -> tuple[float, float]:
        """Return denominator df and scale of the F test of rows `given`, which `basis` spans."""

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
        given = np.atleast_2d(np.asarray(contrasts, dtype=float))
        if not np.isfinite(given).all():
            return _missing_test(np.nan)
        basis = _independent_rows(given)
        rank = len(basis)
        covariance = basis @ self.covariance @ basis.T
        if rank == 0 or not (np.diag(covariance) > 0).all():
            return _missing_test(rank)
        sizes = np.sqrt(np.diag(covariance))  # against rows of very different units
        values = basis @ fixed / sizes
        quadratic = float(values @ np.linalg.solve(covariance / np.outer(sizes, sizes), values))
        df, scale = self._denominator(given, basis)
        statistic = scale * quadratic / rank
        if np.isposinf(df):
            p_value = stats.chi2.sf(rank * statistic, rank)
        else:
            p_value = stats.f.sf(statistic, rank, df)
        return FTest(
            statistic=statistic,
            df_numerator=float(rank),
            df_denominator=df,
            p_value=float(p_value),
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class NormalInference(Inference):
    """Tests that take the variances as known: the normal and the chi-squared distribution.

    Parameters
    ----------
    covariance : ndarray, shape (p, p)
        Of the fixed effects.
    """

    label = "variances taken as known"

    def df(self, contrasts: np.ndarray) -> np.ndarray | None:  # noqa: ARG002
        """Return None: there are none.

        Parameters
        ----------
        contrasts : ndarray, shape (m, p)
            One combination of the fixed effects per row.

        Returns
        -------
        ndarray, shape (m,) or None
            None.
        """
        return None

    def _denominator(self, given: np.ndarray, basis: np.ndarray) -> tuple[float, float]:  # noqa: ARG002
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

    label = "counted degrees of freedom"
    per_coefficient: np.ndarray

    def df(self, contrasts: np.ndarray) -> np.ndarray | None:
        """Return the smallest degrees of freedom among the coefficients of each combination.

        Parameters
        ----------
        contrasts : ndarray, shape (m, p)
            One combination of the fixed effects per row.

        Returns
        -------
        ndarray, shape (m,)
            Missing where no coefficient is used.
        """
        contrasts = np.atleast_2d(contrasts)
        size = np.abs(contrasts) * np.sqrt(self.covariance.diagonal())  # whatever the units
        used = size > _RANK * size.max(axis=1, keepdims=True)
        found: np.ndarray = np.where(used, self.per_coefficient, np.inf).min(axis=1)
        return np.where(np.isfinite(contrasts).all(axis=1) & used.any(axis=1), found, np.nan)

    def _denominator(self, given: np.ndarray, basis: np.ndarray) -> tuple[float, float]:  # noqa: ARG002
        """Return the smallest of the rows'."""
        df = self.df(given)
        assert df is not None  # noqa: S101
        return float(np.nanmin(df)), 1.0


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

    label = "Satterthwaite"
    jacobian: np.ndarray
    parameter_covariance: np.ndarray

    def df(self, contrasts: np.ndarray) -> np.ndarray | None:
        """Return ``2 v^2 / var(v)`` of each estimated variance ``v``, by the delta method.

        Parameters
        ----------
        contrasts : ndarray, shape (m, p)
            One combination of the fixed effects per row.

        Returns
        -------
        ndarray, shape (m,)
            Missing where no coefficient is used.
        """
        return _moment_df(contrasts, self.covariance, self.jacobian, self.parameter_covariance)

    def mapped(self, transform: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Return the same for fixed effects in other units; the variance parameters keep theirs.

        Parameters
        ----------
        transform : callable
            Maps a covariance (or a derivative of one), shape (p, p), to the new units.

        Returns
        -------
        Inference
            Of the same kind.
        """
        return replace(
            self,
            covariance=transform(self.covariance),
            jacobian=np.stack([transform(J) for J in self.jacobian]),
        )

    def _denominator(self, given: np.ndarray, basis: np.ndarray) -> tuple[float, float]:
        """Return the df whose F has the mean of that of the independent parts [2]_."""
        _, vectors = np.linalg.eigh(given @ self.covariance @ given.T)
        parts = self.df(vectors[:, len(given) - len(basis) :].T @ given)
        assert parts is not None  # noqa: S101
        if len(parts) == 1:
            return float(parts[0]), 1.0
        if not (parts > 2).all():  # F of such a part has no mean: 2, or their own, as in [3]
            alike = np.ptp(parts) < 1e-8 or np.isnan(parts).any()
            return (float(parts.mean()) if alike else 2.0), 1.0
        excess = float((2 / (parts - 2)).sum())  # sum of parts / (parts - 2), less their number
        return (2 * (len(parts) + excess) / excess if excess > 0 else np.inf), 1.0


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

    label = "Kenward-Roger"
    model_covariance: np.ndarray
    jacobian: np.ndarray
    parameter_covariance: np.ndarray

    def df(self, contrasts: np.ndarray) -> np.ndarray | None:
        """Return the degrees of freedom of each combination, as of one-row F tests.

        Parameters
        ----------
        contrasts : ndarray, shape (m, p)
            One combination of the fixed effects per row.

        Returns
        -------
        ndarray, shape (m,)
            Missing where no coefficient is used.
        """
        # With one row A1 = A2 = A, and section 3 of [1] comes down to df = 2 / A, scale 1.
        return _moment_df(
            contrasts, self.model_covariance, self.jacobian, self.parameter_covariance
        )

    def mapped(self, transform: Callable[[np.ndarray], np.ndarray]) -> Self:
        """Return the same for fixed effects in other units; the variance parameters keep theirs.

        Parameters
        ----------
        transform : callable
            Maps a covariance (or a derivative of one), shape (p, p), to the new units.

        Returns
        -------
        Inference
            Of the same kind.
        """
        return replace(
            self,
            covariance=transform(self.covariance),
            model_covariance=transform(self.model_covariance),
            jacobian=np.stack([transform(J) for J in self.jacobian]),
        )

    def _denominator(self, given: np.ndarray, basis: np.ndarray) -> tuple[float, float]:  # noqa: ARG002
        """Return df and scale that match the mean and variance of F [1]_."""
        covariance = basis @ self.model_covariance @ basis.T
        sizes = np.sqrt(np.diag(covariance))
        rows = basis / sizes[:, None]
        theta = rows.T @ np.linalg.solve(covariance / np.outer(sizes, sizes), rows)
        products = theta @ self.jacobian
        traces = np.trace(products, axis1=1, axis2=2)
        pairs = np.tensordot(products, products, axes=([1, 2], [2, 1]))
        W = self.parameter_covariance
        return _match_moments(float(traces @ W @ traces), float((W * pairs).sum()), len(basis))


def between_within_df(X: np.ndarray, subject: np.ndarray, n_subjects: int) -> np.ndarray:
    """Count the degrees of freedom of each fixed effect, between or within subjects.

    Parameters
    ----------
    X : ndarray, shape (n_obs, p)
        Fixed effects in the user's columns, of full rank.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row, 0 to n_subjects - 1.
    n_subjects : int
        How many subjects.

    Returns
    -------
    ndarray, shape (p,)
        For a column that changes within any subject: rows less subjects less such columns. For
        the others, the intercept among them: subjects less columns of that kind.

    Notes
    -----
    The residual degrees of freedom are divided in two [5]_: SAS's ``DDFM=BETWITHIN``. R's
    ``nlme::lme`` and ``mmrm`` (``method = "Between-Within"``) count in the same way, except that
    they give the intercept, alone, those within subjects.
    """
    first = np.empty((n_subjects, X.shape[1]))
    first[subject[::-1]] = X[::-1]  # of several rows, the first is written last
    size = np.abs(X).max(axis=0, initial=0.0)
    changes = (np.abs(X - first[subject]) > _CHANGES * size).any(axis=0)
    within = len(X) - n_subjects - np.count_nonzero(changes)
    between = n_subjects - np.count_nonzero(~changes)
    return np.where(changes, within, between).astype(float)


def _missing_test(rank: float) -> FTest:
    """Return the test of what cannot be tested."""
    return FTest(statistic=np.nan, df_numerator=float(rank), df_denominator=np.nan, p_value=np.nan)


def _moment_df(
    contrasts: np.ndarray, covariance: np.ndarray, jacobian: np.ndarray, W: np.ndarray
) -> np.ndarray:
    """Return ``2 v^2 / var(v)`` of the estimated variance ``v`` of each combination."""
    contrasts = np.atleast_2d(contrasts)
    variance = ((contrasts @ covariance) * contrasts).sum(axis=1)
    slopes = ((contrasts @ jacobian) * contrasts).sum(axis=2)  # shape (k, m)
    spread = ((W @ slopes) * slopes).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # a combination of nothing has none
        df: np.ndarray = 2 * variance**2 / spread
    return df


def _match_moments(A1: float, A2: float, rank: int) -> tuple[float, float]:
    """Return denominator df and scale of F: section 3 of [1]_, zeros handled as in [4]_."""
    if A2 <= 0:
        return np.inf, 1.0
    if rank == 1:
        return 2 / A2, 1.0
    B = (A1 + 6 * A2) / (2 * rank)
    g = ((rank + 1) * A1 - (rank + 4) * A2) / ((rank + 2) * A2)
    below = 3 * rank + 2 * (1 - g)
    V0 = 1 + B * g / below
    V1 = 1 - B * (rank - g) / below
    V2 = 1 - B * (rank + 2 - g) / below
    rest = 1 - A2 / rank  # one over the mean of F
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = 1.0 if max(abs(rest), abs(V1)) < 1e-14 else np.float64(rest) / V1
        rho = ratio**2 * (0.0 if abs(V0) < 1e-10 else V0) / np.float64(V2) / rank
        df = float(4 + (rank + 2) / np.float64(rank * rho - 1))
    if not df > 0:
        return np.nan, 1.0
    return df, (1.0 if np.isinf(df) or abs(df - 2) < 0.01 else df * rest / (df - 2))


def _independent_rows(L: np.ndarray) -> np.ndarray:
    """Return rows that span the same space, as few as possible."""
    columns = np.abs(L).max(axis=0, initial=0.0)
    columns = np.where(columns > 0, columns, 1.0)
    scaled = L / columns
    rows = np.linalg.norm(scaled, axis=1, keepdims=True)
    _, sizes, basis = np.linalg.svd(scaled / np.where(rows > 0, rows, 1.0), full_matrices=False)
    independent: np.ndarray = basis[sizes > _RANK * sizes.max(initial=1e-300)] * columns
    return independent
