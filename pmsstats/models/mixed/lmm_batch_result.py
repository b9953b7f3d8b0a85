"""What fits of one linear mixed model to many replicates of its outcome answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.models.fixed_effects.batch_result import REASONS, BatchResult
from pmsstats.results import to_plain

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["REASONS", "LMMBatchResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LMMBatchResult(BatchResult):
    """Fits of one linear mixed model to many replicates of its outcome.

    Parameters
    ----------
    spec : LMMSpec
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
    random_names : tuple of str
        Random effects.
    random_covariances : ndarray, shape (n_replicates, q, q)
        Covariances of the random effects.
    residual_sd : ndarray, shape (n_replicates,)
        Within subjects.
    singular : ndarray of bool, shape (n_replicates,)
        Whether a variance, or a combination, is zero there.
    """

    spec: LMMSpec
    random_names: tuple[str, ...]
    random_covariances: np.ndarray
    residual_sd: np.ndarray
    singular: np.ndarray

    def _remarks(self) -> list[str]:
        """Count singular fits."""
        singular = int(self.singular.sum())
        return [f"{singular} of them with a variance of zero"] if singular else []

    def replicates(self) -> pd.DataFrame:
        """Return one row per replicate and term.

        Returns
        -------
        pandas.DataFrame
            ``replicate term estimate std_error df statistic p_value converged singular``.
        """
        repeated = np.repeat(self.singular, len(self.terms))
        return super().replicates().assign(singular=repeated)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "lmm_batch_result/1",
            **self._shared_dict(),
            "random_names": list(self.random_names),
            "random_covariances": to_plain(self.random_covariances),
            "residual_sd": to_plain(self.residual_sd),
            "singular": to_plain(self.singular),
        }
