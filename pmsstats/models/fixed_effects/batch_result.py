"""What fits of one model to many replicates of its outcome answer, whatever the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.fixed_effects.degrees_of_freedom import DfMethod

__all__ = ["REASONS", "BatchResult", "BatchSpec"]

REASONS: Mapping[int, str] = MappingProxyType(
    {
        1: "infinite values",
        2: "too few rows or subjects",
        3: "constant response",
        4: "fixed effects cannot be told apart in the visits that are left",
        5: "the fixed effects describe the response exactly",
        6: "residual variance of zero",
        7: "no maximum found",
        8: "covariance cannot be estimated from the visits that are left",
    }
)
"""Why a replicate has no answer."""


class BatchSpec(Protocol):
    """What the request of a model says to the fits of its replicates."""

    @property
    def method(self) -> str:
        """Return which likelihood is maximised."""

    @property
    def conf_level(self) -> float:
        """Return the level of intervals; tests are at one minus that."""

    def formula(self) -> str:
        """Return the model as a formula."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BatchResult(Result):
    """Fits of one model to many replicates of its outcome; the parts that all of them share.

    Parameters
    ----------
    spec : BatchSpec
        What was asked.
    terms : tuple of str
        Fixed effects, or combinations of them.
    estimates, std_errors, df, statistic, p_values : ndarray, shape (n_replicates, m)
        Of each term; missing where a replicate has no answer. `df` is infinite where the normal
        distribution is used.
    log_likelihood : ndarray, shape (n_replicates,)
        Restricted or full.
    converged : ndarray of bool, shape (n_replicates,)
        Whether the maximum was found.
    reasons : tuple of str
        Of each replicate: empty, or why it has no answer.
    n_obs, n_subjects, n_evaluations : ndarray of int, shape (n_replicates,)
        Rows and subjects with a response; evaluations of the likelihood.
    df_method : str
        How degrees of freedom were found.
    exclusions : tuple of Exclusion
        Always empty: replicates without an answer stay in place, flagged.
    """

    spec: BatchSpec
    terms: tuple[str, ...]
    estimates: np.ndarray
    std_errors: np.ndarray
    df: np.ndarray
    statistic: np.ndarray
    p_values: np.ndarray
    log_likelihood: np.ndarray
    converged: np.ndarray
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

    def _remarks(self) -> list[str]:
        """List what else the headline should say of the replicates that converged."""
        return []

    def headline(self) -> str:
        """Say how many replicates were fitted, and what went wrong with the others."""
        counted = pd.Series([r for r in self.reasons if r], dtype=object).value_counts(sort=False)
        words = [f"{int(self.converged.sum())} of {self.n_replicates} replicates converged"]
        words += self._remarks()
        words += [f"{number} without an answer: {reason}" for reason, number in counted.items()]
        return f"{self.spec.formula()} by {self.spec.method}: {'; '.join(words)}."

    def table(self) -> pd.DataFrame:
        """Return one row per term, over the replicates that converged.

        Returns
        -------
        pandas.DataFrame
            ``term n_replicates n_failed estimate mcse_estimate empirical_sd mcse_empirical_sd
            std_error mcse_std_error df rejected mcse_rejected``: means over replicates, the
            standard deviation of the estimates, the share of p values below ``1 - conf_level``,
            and Monte Carlo standard errors of these.
        """
        used = self.converged
        n = int(used.sum())
        errors = self.std_errors[used]
        sd, spread = _deviation(self.estimates[used]), _deviation(errors)
        share = _mean(self.p_values[used] < 1.0 - self.spec.conf_level)
        count = float(n) if n else np.nan
        return pd.DataFrame(
            {
                "term": list(self.terms),
                "n_replicates": n,
                "n_failed": self.n_replicates - n,
                "estimate": _mean(self.estimates[used]),
                "mcse_estimate": sd / np.sqrt(count),
                "empirical_sd": sd,
                "mcse_empirical_sd": sd / np.sqrt(2 * max(n - 1, 1)),
                "std_error": _mean(errors),
                "mcse_std_error": spread / np.sqrt(count),
                "df": _mean(self.df[used]),
                "rejected": share,
                "mcse_rejected": np.sqrt(share * (1 - share) / count),
            }
        )

    def replicates(self) -> pd.DataFrame:
        """Return one row per replicate and term.

        Returns
        -------
        pandas.DataFrame
            ``replicate term estimate std_error df statistic p_value converged``.
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
            }
        )

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the share of replicates in which each term is significant, with its interval."""
        table = self.table()
        half = 1.96 * table["mcse_rejected"]
        alpha = format_number(1.0 - self.spec.conf_level, 2)
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

    def _shared_dict(self) -> dict[str, Any]:
        """Return the part of :meth:`to_dict` that every kind of model has."""
        arrays = (
            "estimates std_errors df p_values log_likelihood converged reasons n_obs n_subjects"
        )
        return {
            "spec": to_plain(self.spec),
            "formula": self.spec.formula(),
            "headline": self.headline(),
            "df_method": self.df_method,
            "terms": list(self.terms),
            "table": to_plain(self.table()),
            **{name: to_plain(getattr(self, name)) for name in arrays.split()},
        }


def _mean(values: np.ndarray) -> np.ndarray:
    """Return the mean over replicates; missing where there are none."""
    return values.mean(axis=0) if len(values) else np.full(values.shape[1], np.nan)


def _deviation(values: np.ndarray) -> np.ndarray:
    """Return the standard deviation over replicates; missing where there are fewer than two."""
    return values.std(axis=0, ddof=1) if len(values) > 1 else np.full(values.shape[1], np.nan)
