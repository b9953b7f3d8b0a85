"""Null distributions of tests on a boundary: mixtures of chi-squared distributions.

References
----------
.. [1] Silvapulle MJ, Sen PK. Constrained Statistical Inference. Wiley 2005, chapter 3.
   doi:10.1002/9781118165614.
.. [2] Beck A, Teboulle M. A fast iterative shrinkage-thresholding algorithm for linear inverse
   problems. SIAM J Imaging Sci 2009;2:183-202. doi:10.1137/080716542.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.seeds import Seed, stream

__all__ = ["EmpiricalNull", "NullDistribution", "mixture_of", "project_on_cones", "simulate_cone"]

_MAX_STEPS = 2000
_PRECISION = 1e-7  # of a projection, relative to a standard error


@dataclass(frozen=True, eq=False, kw_only=True)
class NullDistribution:
    """A mixture of scaled chi-squared distributions.

    Parameters
    ----------
    weight : ndarray, shape (m,)
        Of each part; they add up to one.
    df : ndarray, shape (m,)
        Degrees of freedom of each part; zero for a part that is always zero.
    scale : ndarray, shape (m,)
        What each part is multiplied by.
    n_draws : int, optional
        Parts that were drawn at random; None for a mixture in closed form.
    """

    weight: np.ndarray
    df: np.ndarray
    scale: np.ndarray
    n_draws: int | None = None

    def _tails(self, value: float) -> np.ndarray:
        """Return each part's probability of at least a value above zero."""
        real = (self.df > 0) & (self.scale > 0)
        tails = stats.chi2.sf(value / np.where(real, self.scale, 1.0), np.where(real, self.df, 1.0))
        return np.where(real, tails, 0.0)

    def p_value(self, statistic: float) -> float:
        """Return the probability of at least some statistic.

        Parameters
        ----------
        statistic : float
            At least zero.

        Returns
        -------
        float
            One for a statistic of zero.
        """
        return float(self.weight @ self._tails(statistic)) if statistic > 0 else 1.0

    def mcse(self, statistic: float) -> float | None:
        """Return the Monte Carlo standard error of a p value.

        Parameters
        ----------
        statistic : float
            At least zero.

        Returns
        -------
        float or None
            None for a closed form.
        """
        if self.n_draws is None:
            return None
        spread = self._tails(statistic).std(ddof=1) if statistic > 0 else 0.0
        return float(spread / np.sqrt(self.n_draws))

    def words(self) -> str:
        """Say what the mixture is.

        Returns
        -------
        str
            For example ``"0.5 chi2(1) + 0.5 chi2(2)"``.
        """
        if self.n_draws is not None:
            return f"chi-bar-squared, {self.n_draws} draws"
        parts = zip(self.weight, self.df, strict=True)
        if len(self.weight) == 1:
            return f"chi2({self.df[0]:g})"
        return " + ".join(f"{weight:g} chi2({df:g})" for weight, df in parts)


@dataclass(frozen=True, eq=False, kw_only=True)
class EmpiricalNull:
    """Statistics of data sets that were simulated under the null.

    Parameters
    ----------
    statistics : ndarray, shape (n_draws,)
        One per data set.
    """

    statistics: np.ndarray

    @property
    def n_draws(self) -> int:
        """Return how many data sets there are."""
        return len(self.statistics)

    def p_value(self, statistic: float) -> float:
        """Return the share of data sets with at least some statistic, that of the data among them.

        Parameters
        ----------
        statistic : float
            At least zero.

        Returns
        -------
        float
            ``(1 + k) / (1 + n_draws)``: at least ``1 / (1 + n_draws)``.
        """
        return float((1 + (self.statistics >= statistic).sum()) / (1 + self.n_draws))

    def mcse(self, statistic: float) -> float:
        """Return the Monte Carlo standard error of a p value.

        Parameters
        ----------
        statistic : float
            At least zero.

        Returns
        -------
        float
            Binomial.
        """
        p = self.p_value(statistic)
        return float(np.sqrt(p * (1 - p) / self.n_draws))

    def words(self) -> str:
        """Say what the distribution is.

        Returns
        -------
        str
            For example ``"parametric bootstrap, 999 draws"``.
        """
        return f"parametric bootstrap, {self.n_draws} draws"


def mixture_of(*df: int) -> NullDistribution:
    """Return an equal mixture of chi-squared distributions.

    Parameters
    ----------
    *df : int
        Degrees of freedom of each part; zero for a part that is always zero.

    Returns
    -------
    NullDistribution
        In closed form.

    Examples
    --------
    >>> mixture_of(0, 1).words(), round(mixture_of(0, 1).p_value(2.706), 3)
    ('0.5 chi2(0) + 0.5 chi2(1)', 0.05)
    """
    n = len(df)
    return NullDistribution(
        weight=np.full(n, 1 / n), df=np.array(df, dtype=float), scale=np.ones(n)
    )


def simulate_cone(
    covariance: np.ndarray, sizes: Sequence[int], *, n_free: int, n_draws: int, seed: Seed
) -> NullDistribution:
    """Simulate the null distribution of several variances and covariances.

    Parameters
    ----------
    covariance : ndarray, shape (d, d)
        Of the estimates of the cones' entries, were they free: of each matrix the upper triangle,
        row by row.
    sizes : sequence of int
        Rows of each covariance matrix that must be positive semidefinite.
    n_free : int
        Further parameters, which may have any value.
    n_draws : int
        How many draws.
    seed : int, SeedSequence or Generator
        Of the draws.

    Returns
    -------
    NullDistribution
        One part per draw.

    Notes
    -----
    The statistic is ``||P z||^2 + Q``, with ``z ~ N(0, covariance)``, P the projection on the
    cones in the metric of the inverse covariance, and ``Q ~ chi2(n_free)`` [1]_. The length of
    the whole normal vector is independent of its direction and has a chi-squared square, so that
    only the direction is drawn: ``(||P z||^2 + Q) / (||z||^2 + Q)`` scales ``chi2(d + n_free)``.

    References
    ----------
    .. [1] Silvapulle MJ, Sen PK. Constrained Statistical Inference. Wiley 2005, chapter 3.
       doi:10.1002/9781118165614.
    """
    if n_draws < 100:
        raise DesignError(f"`n_draws` must be at least 100, got {n_draws!r}.")
    rng = stream(seed, "chi-bar-squared")
    normal = rng.standard_normal((n_draws, len(covariance)))
    draws = normal @ np.linalg.cholesky(covariance).T
    metric = np.linalg.inv(covariance)
    projected = project_on_cones(draws, metric, sizes)
    inside = np.einsum("na,ab,nb->n", projected, metric, projected)
    free = rng.chisquare(n_free, n_draws) if n_free else np.zeros(n_draws)
    ratio = (inside + free) / ((normal**2).sum(axis=1) + free)
    return NullDistribution(
        weight=np.full(n_draws, 1 / n_draws),
        df=np.full(n_draws, float(len(covariance) + n_free)),
        scale=np.clip(ratio, 0.0, 1.0),
        n_draws=n_draws,
    )


def project_on_cones(draws: np.ndarray, metric: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """Project vectors on a product of cones of positive semidefinite matrices.

    Parameters
    ----------
    draws : ndarray, shape (n, d)
        Upper triangles of symmetric matrices, row by row, one matrix after the other.
    metric : ndarray, shape (d, d)
        Positive definite; distances are ``(x - y)' metric (x - y)``.
    sizes : sequence of int
        Rows of each matrix.

    Returns
    -------
    ndarray, shape (n, d)
        The nearest points of the cones, by accelerated projected gradients [1]_.

    References
    ----------
    .. [1] Beck A, Teboulle M. A fast iterative shrinkage-thresholding algorithm for linear
       inverse problems. SIAM J Imaging Sci 2009;2:183-202. doi:10.1137/080716542.
    """
    stretch = np.concatenate([_stretch(size) for size in sizes])  # to Frobenius lengths
    M = metric / np.outer(stretch, stretch)
    target = draws * stretch
    step = 1.0 / np.linalg.eigvalsh(M)[-1]
    enough = _PRECISION * np.sqrt(1.0 / np.diag(M)).min()
    point = ahead = _nearest_semidefinite(target, stretch, sizes)
    momentum = 1.0
    for _ in range(_MAX_STEPS):
        new = _nearest_semidefinite(ahead - step * (ahead - target) @ M, stretch, sizes)
        moved = float(np.abs(new - point).max(initial=0.0))
        faster = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        uphill = ((ahead - new) * (new - point)).sum(axis=1, keepdims=True) > 0
        ahead = new + np.where(uphill, 0.0, (momentum - 1) / faster) * (new - point)
        point, momentum = new, faster
        if moved < enough:
            break
    return point / stretch


def _stretch(size: int) -> np.ndarray:
    """Return the lengths of the upper triangle's entries: off the diagonal they count twice."""
    rows, columns = np.triu_indices(size)
    return np.where(rows == columns, 1.0, np.sqrt(2.0))


def _nearest_semidefinite(
    values: np.ndarray, stretch: np.ndarray, sizes: Sequence[int]
) -> np.ndarray:
    """Set negative eigenvalues of each matrix to zero."""
    made = np.empty_like(values)
    start = 0
    for size in sizes:
        part = slice(start, start + size * (size + 1) // 2)
        start = part.stop
        if size == 1:
            made[:, part] = np.clip(values[:, part], 0.0, None)
            continue
        rows, columns = np.triu_indices(size)
        matrix = np.empty((len(values), size, size))
        matrix[:, rows, columns] = matrix[:, columns, rows] = values[:, part] / stretch[part]
        roots, vectors = np.linalg.eigh(matrix)
        clipped = np.clip(roots, 0.0, None)
        matrix = np.einsum("nab,nb,ncb->nac", vectors, clipped, vectors)
        made[:, part] = matrix[:, rows, columns] * stretch[part]
    return made
