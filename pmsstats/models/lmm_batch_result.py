"""What fits of one linear mixed model to many replicates of its outcome answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.degrees_of_freedom import DfMethod
    from pmsstats.models.lmm import LMMSpec

__all__ = ["REASONS", "LMMBatchResult"]

REASONS: Mapping[int, str] = MappingProxyType(
    {
        1: "infinite values",
        2: "too few rows or subjects",
        3: "constant response",
        4: "fixed effects cannot be told apart in the visits that are left",
        5: "the fixed effects describe the response exactly",
        6: "residual variance of zero",
        7: "no maximum found",
    }
)
"""Why a replicate has no answer."""

_ALPHA_LEVELS = 1.0  # a conf_level of 0.95 tests at 1 - 0.95


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LMMBatchResult(Result):
    """Fits of one linear mixed model to many replicates of its outcome.

    Parameters
    ----------
    spec : LMMSpec
        What was asked.
    terms : tuple of str
        Fixed effects, or combinations of them.
    random_names : tuple of str
        Random effects.
    estimates, std_errors, df, statistic, p_values : ndarray, shape (n_replicates, m)
        Of each term; missing where a replicate has no answer. `df` is infinite where the normal
        distribution is used.
    random_covariances : ndarray, shape (n_replicates, q, q)
        Covariances of the random effects.
    residual_sd : ndarray, shape (n_replicates,)
        Within subjects.
    log_likelihood : ndarray, shape (n_replicates,)
        Restricted or full.
    converged : ndarray of bool, shape (n_replicates,)
        Whether the maximum was found.
    singular : ndarray of bool, shape (n_replicates,)
        Whether a variance, or a combination, is zero there.
    reasons : tuple of str
        Of each replicate: empty, or why it has no answer.
    n_obs, n_subjects, n_evaluations : ndarray of int, shape (n_replicates,)
        Rows and subjects with a response; evaluations of the likelihood.
    df_method : str
        How degrees of freedom were found.
    exclusions : tuple of Exclusion
        Always empty: replicates without an answer stay in place, flagged.
    """

    spec: LMMSpec
    terms: tuple[str, ...]
    random_names: tuple[str, ...]
    estimates: np.ndarray
    std_errors: np.ndarray
    df: np.ndarray
    statistic: np.ndarray
    p_values: np.ndarray
    random_covariances: np.ndarray
    residual_sd: np.ndarray
    log_likelihood: np.ndarray
    converged: np.ndarray
    singular: np.ndarray
    reasons: tuple[str, ...]
    n_obs: np.ndarray
    n_subjects: np.ndarray
    n_evaluations: np.ndarray
    df_method: DfMethod
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def n_replicates(self) -> int:
        """Return the number of replicates, those without an answer included."""
        return len(self.converged)

    @property
    def failures(self) -> pd.DataFrame:
        """Return the replicates without an answer: ``replicate reason n_obs n_subjects``."""
        rows = np.flatnonzero(~self.converged)
        return pd.DataFrame(
            {
                "replicate": rows,
                "reason": [self.reasons[i] for i in rows],
                "n_obs": self.n_obs[rows],
                "n_subjects": self.n_subjects[rows],
            }
        )

    def headline(self) -> str:
        """Say how many replicates were fitted, and what went wrong with the others."""
        n, good = self.n_replicates, int(self.converged.sum())
        singular = int(self.singular.sum())
        counted = pd.Series([r for r in self.reasons if r], dtype=object).value_counts(sort=False)
        words = [f"{good} of {n} replicates converged"]
        words += [f"{singular} of them with a variance of zero"] if singular else []
        words += [f"{number} without an answer: {reason}" for reason, number in counted.items()]
        return f"{self.spec.formula()} by {self.spec.method}: {'; '.join(words)}."

    def table(self) -> pd.DataFrame:
        """Return one row per term, over the replicates that converged.

        Returns
        -------
        pandas.DataFrame
            ``term n_replicates n_failed estimate empirical_sd std_error df rejected`` with the
            mean estimate, the standard deviation of the estimates, the mean standard error, the
            mean degrees of freedom and the share of p values below ``1 - conf_level``; each of the
            first three and the last with its Monte Carlo standard error ``mcse_...``.
        """
        used = self.converged
        n = int(used.sum())
        estimates, errors = self.estimates[used], self.std_errors[used]
        sd = estimates.std(axis=0, ddof=1) if n > 1 else np.full(len(self.terms), np.nan)
        alpha = _ALPHA_LEVELS - self.spec.conf_level
        share = _mean(self.p_values[used] < alpha)
        with np.errstate(invalid="ignore", divide="ignore"):
            columns = {
                "term": list(self.terms),
                "n_replicates": n,
                "n_failed": self.n_replicates - n,
                "estimate": _mean(estimates),
                "mcse_estimate": sd / np.sqrt(n),
                "empirical_sd": sd,
                "mcse_empirical_sd": sd / np.sqrt(2.0 * (n - 1.0)) if n > 1 else sd,
                "std_error": _mean(errors),
                "mcse_std_error": (
                    errors.std(axis=0, ddof=1) / np.sqrt(n) if n > 1 else np.full_like(sd, np.nan)
                ),
                "df": _mean(self.df[used]),
                "rejected": share,
                "mcse_rejected": np.sqrt(share * (1 - share) / n) if n else share,
            }
        return pd.DataFrame(columns)

    def replicates(self) -> pd.DataFrame:
        """Return one row per replicate and term.

        Returns
        -------
        pandas.DataFrame
            ``replicate term estimate std_error df statistic p_value converged singular``.
        """
        n, m = self.estimates.shape
        return pd.DataFrame(
            {
                "replicate": np.repeat(np.arange(n), m),
                "term": list(self.terms) * n,
                "estimate": self.estimates.ravel(),
                "std_error": self.std_errors.ravel(),
                "df": self.df.ravel(),
                "statistic": self.statistic.ravel(),
                "p_value": self.p_values.ravel(),
                "converged": np.repeat(self.converged, m),
                "singular": np.repeat(self.singular, m),
            }
        )

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the share of replicates in which each term is significant, with its interval."""
        table = self.table()
        half = 1.96 * table["mcse_rejected"]
        alpha = format_number(_ALPHA_LEVELS - self.spec.conf_level, 2)
        rows = pd.DataFrame(
            {
                "label": table["term"],
                "estimate": table["rejected"],
                "conf_low": (table["rejected"] - half).clip(lower=0.0),
                "conf_high": (table["rejected"] + half).clip(upper=1.0),
                "n": [f"{n} replicates" for n in table["n_replicates"]],
            }
        )
        options = {"x_label": f"Share of replicates with p < {alpha} (95 % Monte Carlo interval)"}
        return plot_forest(rows, ax=ax, **{**options, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "lmm_batch_result/1",
            "spec": to_plain(self.spec),
            "formula": self.spec.formula(),
            "headline": self.headline(),
            "df_method": self.df_method,
            "terms": list(self.terms),
            "random_names": list(self.random_names),
            "table": to_plain(self.table()),
            "estimates": to_plain(self.estimates),
            "std_errors": to_plain(self.std_errors),
            "df": to_plain(self.df),
            "p_values": to_plain(self.p_values),
            "random_covariances": to_plain(self.random_covariances),
            "residual_sd": to_plain(self.residual_sd),
            "log_likelihood": to_plain(self.log_likelihood),
            "converged": to_plain(self.converged),
            "singular": to_plain(self.singular),
            "reasons": list(self.reasons),
            "n_obs": to_plain(self.n_obs),
            "n_subjects": to_plain(self.n_subjects),
        }


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over replicates; missing where there are none."""
    return values.mean(axis=0) if len(values) else np.full(values.shape[1], np.nan)
