"""Variance within and between subjects from repeated measurements: SD, ICC and their intervals.

References
----------
.. [1] Shrout PE, Fleiss JL. Intraclass correlations: uses in assessing rater reliability. Psychol
   Bull 1979;86:420-428. doi:10.1037/0033-2909.86.2.420.
.. [2] McGraw KO, Wong SP. Forming inferences about some intraclass correlation coefficients.
   Psychol Methods 1996;1:30-46. doi:10.1037/1082-989X.1.1.30.
.. [3] Wald A. A note on the analysis of variance with unequal class frequencies. Ann Math Stat
   1940;11:96-100. doi:10.1214/aoms/1177731946.
.. [4] Searle SR, Casella G, McCulloch CE. Variance components. Wiley 1992, section 3.6.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import optimize, stats

__all__ = [
    "Estimate",
    "OneWay",
    "TwoWay",
    "icc_absolute",
    "icc_consistency",
    "icc_one_way",
    "one_way",
    "sd_interval",
    "two_way",
]

_WIDEST = 1e12  # ratio of variances that counts as infinite


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One number with its interval.

    Parameters
    ----------
    value : float
        The estimate; missing where it cannot be made.
    low, high : float
        Ends of the interval.
    df : float
        Degrees of freedom of the variance behind it, where there is one.
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    df: float = np.nan


@dataclass(frozen=True, eq=False, kw_only=True)
class OneWay:
    """One-way analysis of variance between and within subjects.

    Parameters
    ----------
    sizes, means : ndarray, shape (n_subjects,)
        Measurements per subject, and their mean.
    ms_between, ms_within : float
        Mean squares.
    df_between, df_within : int
        Degrees of freedom.
    """

    sizes: np.ndarray
    means: np.ndarray
    ms_between: float
    ms_within: float
    df_between: int
    df_within: int

    @property
    def size(self) -> float:
        """Return ``n0`` of [4], the size that the mean square between subjects stands for."""
        total = self.sizes.sum()
        return float((total - (self.sizes**2).sum() / total) / self.df_between)


def one_way(values: np.ndarray, subject: np.ndarray) -> OneWay:
    """Split variation into between and within subjects.

    Parameters
    ----------
    values : ndarray, shape (n_obs,)
        Measurements.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each, 0 to n_subjects - 1.

    Returns
    -------
    OneWay
        Mean squares are missing where they have no degrees of freedom.
    """
    sizes = np.bincount(subject).astype(float)
    centre = values.mean()
    means = np.bincount(subject, weights=values - centre) / sizes
    within = values - centre - means[subject]
    df_between, df_within = len(sizes) - 1, len(values) - len(sizes)
    grand = (sizes @ means) / sizes.sum()
    return OneWay(
        sizes=sizes,
        means=means + centre,
        ms_between=float(sizes @ (means - grand) ** 2) / df_between if df_between else np.nan,
        ms_within=float(within @ within) / df_within if df_within else np.nan,
        df_between=df_between,
        df_within=df_within,
    )


def sd_interval(mean_square: float, df: float, conf_level: float) -> Estimate:
    """Return a standard deviation with the exact interval of normal errors.

    Parameters
    ----------
    mean_square : float
        Estimated variance.
    df : float
        Its degrees of freedom.
    conf_level : float
        For example 0.95.

    Returns
    -------
    Estimate
        ``s sqrt(df / chi2)`` at both tails.
    """
    if not df > 0:
        return Estimate(value=np.nan)
    sd, tail = float(np.sqrt(mean_square)), (1 - conf_level) / 2
    low, high = (sd * float(np.sqrt(df / stats.chi2.isf(p, df))) for p in (tail, 1 - tail))
    return Estimate(value=sd, low=low, high=high, df=float(df))


def icc_one_way(anova: OneWay, conf_level: float) -> Estimate:
    """Estimate ICC(1,1): the share of variance that is between subjects.

    Parameters
    ----------
    anova : OneWay
        From measurements that are not told apart; subjects may have different numbers of them.
    conf_level : float
        For example 0.95.

    Returns
    -------
    Estimate
        Can be negative, which stands for zero.

    Notes
    -----
    ``(MSB - MSW) / (MSB + (n0 - 1) MSW)``, the analysis-of-variance estimate. The interval is
    exact for any sizes [3]_: the ratio ``rho`` of the variances is where ``sum w_i (m_i - m_w)^2 /
    ((n - 1) MSW)``, with ``w_i = k_i / (1 + k_i rho)``, meets a quantile of F. For equal sizes it
    is that of [1]_ and [2]_. R: ``irr::icc(x, model = "oneway")``.
    """
    b, w, n0 = anova.ms_between, anova.ms_within, anova.size
    if not (anova.df_within > 0 and b + w > 0):
        return Estimate(value=np.nan)
    tail = (1 - conf_level) / 2
    low, high = (
        _wald_ratio(anova, float(stats.f.isf(p, anova.df_between, anova.df_within)))
        for p in (tail, 1 - tail)
    )
    return Estimate(value=float((b - w) / (b + (n0 - 1) * w)), low=low, high=high)


def _wald_ratio(anova: OneWay, target: float) -> float:
    """Return the ICC at which the ratio of mean squares meets a quantile of F [3]."""

    def excess(rho: float) -> float:
        weights = anova.sizes / (1 + anova.sizes * rho)
        middle = (weights @ anova.means) / weights.sum()
        between = float(weights @ (anova.means - middle) ** 2) / anova.df_between
        return between - target * anova.ms_within

    most = float(anova.sizes.max())
    least = -1 / most * (1 - 1e-12)
    if anova.ms_within == 0 or excess(_WIDEST) > 0:
        return 1.0
    if excess(least) < 0:
        return -1 / (most - 1)
    # On the scale of the ICC itself the root lies in a bounded range.
    rho = optimize.brentq(
        lambda icc: excess(icc / (1 - icc)), least / (1 + least), 1 - 1e-12, xtol=1e-14
    )
    return float(rho)


@dataclass(frozen=True, kw_only=True)
class TwoWay:
    """Two-way analysis of variance of complete data, without replication.

    Parameters
    ----------
    n, k : int
        Subjects and repeats.
    ms_rows, ms_columns, ms_error : float
        Mean squares of subjects, repeats, and the rest.
    """

    n: int
    k: int
    ms_rows: float
    ms_columns: float
    ms_error: float


def two_way(table: np.ndarray) -> TwoWay:
    """Split variation into subjects, repeats and the rest.

    Parameters
    ----------
    table : ndarray, shape (n, k)
        One row per subject, one column per repeat, complete.

    Returns
    -------
    TwoWay
        Its mean squares.
    """
    n, k = table.shape
    x = table - table.mean()
    rows, columns = x.mean(axis=1), x.mean(axis=0)
    rest = x - rows[:, None] - columns[None, :]
    return TwoWay(
        n=n,
        k=k,
        ms_rows=k * float(rows @ rows) / (n - 1),
        ms_columns=n * float(columns @ columns) / (k - 1),
        ms_error=float((rest**2).sum()) / ((n - 1) * (k - 1)),
    )


def icc_consistency(anova: TwoWay, conf_level: float) -> Estimate:
    """Estimate ICC(C,1), ICC(3,1) in [1]: agreement apart from a shift that all share.

    Parameters
    ----------
    anova : TwoWay
        Mean squares.
    conf_level : float
        For example 0.95.

    Returns
    -------
    Estimate
        With the exact interval.

    Notes
    -----
    ``(MSR - MSE) / (MSR + (k - 1) MSE)``, table 4 of [2]_; the interval of table 7 there. R:
    ``irr::icc(x, "twoway", "consistency")``.
    """
    n, k, r, e = anova.n, anova.k, anova.ms_rows, anova.ms_error
    if r + e == 0:
        return Estimate(value=np.nan)
    tail, df = (1 - conf_level) / 2, (n - 1, (n - 1) * (k - 1))
    with np.errstate(divide="ignore"):
        ratio = np.float64(r) / e
    low = ratio / stats.f.isf(tail, *df)
    high = ratio * stats.f.isf(tail, *df[::-1])

    def share(F: float) -> float:
        return 1.0 if np.isinf(F) else float((F - 1) / (F + k - 1))

    return Estimate(value=float((r - e) / (r + (k - 1) * e)), low=share(low), high=share(high))


def icc_absolute(anova: TwoWay, conf_level: float) -> Estimate:
    """Estimate ICC(A,1), ICC(2,1) in [1]: agreement, shifts between repeats counted as error.

    Parameters
    ----------
    anova : TwoWay
        Mean squares.
    conf_level : float
        For example 0.95.

    Returns
    -------
    Estimate
        With the interval by Satterthwaite's degrees of freedom.

    Notes
    -----
    ``(MSR - MSE) / (MSR + (k - 1) MSE + k (MSC - MSE) / n)``, table 4 of [2]_; the interval of
    table 7 there. R: ``irr::icc(x, "twoway", "agreement")``.
    """
    n, k = anova.n, anova.k
    r, c, e = anova.ms_rows, anova.ms_columns, anova.ms_error
    below = r + (k - 1) * e + k * (c - e) / n
    if below <= 0:
        return Estimate(value=np.nan)
    icc = (r - e) / below
    if icc >= 1:
        return Estimate(value=1.0, low=1.0, high=1.0)
    a = k * icc / (n * (1 - icc))
    b = 1 + k * icc * (n - 1) / (n * (1 - icc))
    spread = (a * c) ** 2 / (k - 1) + (b * e) ** 2 / ((n - 1) * (k - 1))
    v = (a * c + b * e) ** 2 / spread
    tail, both = (1 - conf_level) / 2, k * c + (k * n - k - n) * e
    f_low, f_high = stats.f.isf(tail, n - 1, v), stats.f.isf(tail, v, n - 1)
    return Estimate(
        value=float(icc),
        low=float(n * (r - f_low * e) / (f_low * both + n * r)),
        high=float(n * (f_high * r - e) / (both + n * f_high * r)),
    )
