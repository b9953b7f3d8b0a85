"""From many answers to one: Rubin's rules, jackknife and bootstrap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.models.fixed_effects.inference import tabulate_estimates

if TYPE_CHECKING:
    from pmsstats.models.missing.analyses import Estimates
    from pmsstats.models.missing.spec import MissingSpec

__all__ = ["barnard_rubin", "pool", "pool_resamples", "pool_rubin"]

_SAME = 1e-20  # variance between imputations, relative to that within: rounding of equal answers


def pool(found: Estimates, spec: MissingSpec) -> pd.DataFrame:
    """Pool the answers as the method asks.

    Parameters
    ----------
    found : Estimates
        Of each completed data set.
    spec : MissingSpec
        Method, variance, interval, level.

    Returns
    -------
    pandas.DataFrame
        ``visit term estimate std_error [df statistic] p_value conf_low conf_high``, and under
        Rubin's rules ``fraction_missing`` (of the information) and ``mcse``.
    """
    if spec.method == "conditional_mean":
        table = pool_resamples(
            found.estimates, found.terms, variance=spec.variance, interval=spec.interval,
            conf_level=spec.conf_level,
        )  # fmt: skip
    else:
        table = pool_rubin(
            found.estimates, found.variances, found.df, found.terms, conf_level=spec.conf_level
        )
    table.insert(0, "visit", list(found.visits))
    return table


def pool_rubin(
    estimates: np.ndarray,
    variances: np.ndarray,
    df: np.ndarray,
    terms: tuple[str, ...],
    *,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Pool by Rubin's rules with the degrees of freedom of Barnard and Rubin.

    Parameters
    ----------
    estimates, variances, df : ndarray, shape (n_imputations, m)
        Of each completed data set; `df` as if nothing had been missing.
    terms : tuple of str
        What is estimated.
    conf_level : float, default 0.95
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``term estimate std_error df statistic p_value conf_low conf_high fraction_missing mcse``:
        the fraction of information that is missing, and the Monte Carlo error of the estimate.

    Notes
    -----
    Where all imputations give the same answer (nothing was missing) the degrees of freedom are
    those of the complete data.

    References
    ----------
    .. [1] Barnard J, Rubin DB. Small-sample degrees of freedom with multiple imputation.
       Biometrika 1999;86:948-955. doi:10.1093/biomet/86.4.948.
    """
    M = len(estimates)
    estimate, within = estimates.mean(axis=0), variances.mean(axis=0)
    between = estimates.var(axis=0, ddof=1)
    between = np.where(between > _SAME * within, between, 0.0)
    total = within + (1 + 1 / M) * between
    pooled_df = barnard_rubin(within, between, df.mean(axis=0), M)
    table = tabulate_estimates(terms, estimate, np.sqrt(total), df=pooled_df, conf_level=conf_level)
    increase = (1 + 1 / M) * between / within
    fraction = (increase + 2 / (pooled_df + 3)) / (1 + increase)
    table["fraction_missing"] = np.where(between > 0, fraction, 0.0)
    table["mcse"] = np.sqrt(between / M)
    return table


def barnard_rubin(
    within: np.ndarray, between: np.ndarray, df_complete: np.ndarray, n_imputations: int
) -> np.ndarray:
    """Return the degrees of freedom of Barnard and Rubin (1999, eq. 3).

    Parameters
    ----------
    within, between : ndarray
        Mean variance, and variance of estimates between imputations.
    df_complete : ndarray
        Had nothing been missing; infinite for a normal distribution.
    n_imputations : int
        At least 2.

    Returns
    -------
    ndarray
        Those of the complete data where nothing varies between imputations.
    """
    share = (1 + 1 / n_imputations) * between / (within + (1 + 1 / n_imputations) * between)
    with np.errstate(divide="ignore", invalid="ignore"):
        old = (n_imputations - 1) / share**2
        observed = (df_complete + 1) / (df_complete + 3) * df_complete * (1 - share)
        observed = np.where(np.isinf(df_complete), np.inf, observed)
        df = 1 / (1 / old + 1 / observed)
    return np.where(share > 0, df, df_complete)


def pool_resamples(
    estimates: np.ndarray,
    terms: tuple[str, ...],
    *,
    variance: str = "jackknife",
    interval: str = "normal",
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Take the estimate from the data, and its error from jackknife or bootstrap.

    Parameters
    ----------
    estimates : ndarray, shape (1 + n_resamples, m)
        The data's own first.
    terms : tuple of str
        What is estimated.
    variance : {"jackknife", "bootstrap"}
        What the resamples are.
    interval : {"normal", "percentile"}
        For the bootstrap.
    conf_level : float, default 0.95
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``term estimate std_error [statistic] p_value conf_low conf_high``; p values of percentile
        intervals count the samples on the other side of zero.
    """
    own, rest = estimates[0], estimates[1:]
    n = len(rest)
    spread = ((rest - rest.mean(axis=0)) ** 2).sum(axis=0)
    factor = (n - 1) / n if variance == "jackknife" else 1 / (n - 1)
    table = tabulate_estimates(terms, own, np.sqrt(factor * spread), conf_level=conf_level)
    if interval == "normal":
        return table
    tail = (1 - conf_level) / 2
    table["conf_low"], table["conf_high"] = np.quantile(rest, [tail, 1 - tail], axis=0)
    beyond = np.minimum((rest <= 0).sum(axis=0), (rest >= 0).sum(axis=0))
    table["p_value"] = np.minimum(2 * (beyond + 1) / (n + 1), 1.0)
    return table.drop(columns="statistic")
