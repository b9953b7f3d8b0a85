"""What fits of one marginal model to many replicates of its outcome answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pmsstats.models.fixed_effects.batch_result import REASONS, BatchResult
from pmsstats.results import to_plain

if TYPE_CHECKING:
    from pmsstats.models.repeated.mmrm_spec import MMRMSpec

__all__ = ["REASONS", "MMRMBatchResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MMRMBatchResult(BatchResult):
    """Fits of one marginal model for repeated measures to many replicates of its outcome.

    Parameters
    ----------
    spec : MMRMSpec
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
    parameter_names : tuple of str
        Of the covariance; visits and groups are counted from one.
    parameters : ndarray, shape (n_replicates, k)
        Variances, covariances and correlations.
    """

    spec: MMRMSpec
    parameter_names: tuple[str, ...]
    parameters: np.ndarray

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "mmrm_batch_result/1",
            **self._shared_dict(),
            "parameter_names": list(self.parameter_names),
            "parameters": to_plain(self.parameters),
        }
