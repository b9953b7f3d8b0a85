"""Tables of estimates: standard errors, tests and intervals in canonical columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import special

__all__ = ["quantile", "tabulate_estimates"]


def tabulate_estimates(
    terms: Sequence[str],
    estimates: np.ndarray,
    std_errors: np.ndarray,
    *,
    df: np.ndarray | None = None,
    conf_level: float = 0.95,
) -> pd.DataFrame:
    """Tabulate estimates with tests of zero and confidence intervals.

    Parameters
    ----------
    terms : sequence of str
        One name per estimate.
    estimates, std_errors : ndarray, shape (m,)
        Missing where something could not be estimated.
    df : ndarray, shape (m,), optional
        Degrees of freedom of the t distribution; without them the normal one is used.
    conf_level : float, default 0.95
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        Columns ``term estimate std_error [df] statistic p_value conf_low conf_high``.

    Examples
    --------
    >>> table = tabulate_estimates(["year"], np.array([-0.5]), np.array([0.1]))
    >>> [round(float(table.loc[0, c]), 3) for c in ("statistic", "conf_low", "conf_high")]
    [-5.0, -0.696, -0.304]
    """
    estimates = np.asarray(estimates, dtype=float)
    std_errors = np.asarray(std_errors, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimates / std_errors
    half = quantile(conf_level, df) * std_errors
    columns = {
        "term": list(terms),
        "estimate": estimates,
        "std_error": std_errors,
        **({} if df is None else {"df": np.asarray(df, dtype=float)}),
        "statistic": statistic,
        "p_value": 2 * _lower_tail(-np.abs(statistic), df),
        "conf_low": estimates - half,
        "conf_high": estimates + half,
    }
    return pd.DataFrame(columns)


def quantile(conf_level: float, df: np.ndarray | None = None) -> np.ndarray | float:
    """Return how many standard errors an interval reaches to each side.

    Parameters
    ----------
    conf_level : float
        For example 0.95.
    df : ndarray, optional
        Degrees of freedom; without them the normal distribution is used.

    Returns
    -------
    float or ndarray
        For example 1.96.
    """
    upper = 0.5 + conf_level / 2
    return float(special.ndtri(upper)) if df is None else special.stdtrit(df, upper)


def _lower_tail(statistic: np.ndarray, df: np.ndarray | None) -> np.ndarray:
    """Return the distribution function of t, or of the normal distribution."""
    tail: np.ndarray = special.ndtr(statistic) if df is None else special.stdtr(df, statistic)
    return tail
