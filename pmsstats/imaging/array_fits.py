"""Mixed models fitted to arrays again and again: replicates and profiles without formulas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import standardise

if TYPE_CHECKING:
    from pmsstats.models.mixed.mixed_design import MixedArrays

__all__ = ["ArrayFit", "fit_arrays"]


@dataclass(frozen=True, eq=False, kw_only=True)
class ArrayFit:
    """What a repeated fit is asked for, in the user's units.

    Parameters
    ----------
    fixed : ndarray, shape (p,)
        Fixed effects.
    modes : ndarray, shape (n_subjects, q)
        Predicted random effects.
    sigma : float
        Residual standard deviation.
    log_likelihood : float
        Restricted or full.
    converged : bool
        Whether it is a maximum.
    """

    fixed: np.ndarray
    modes: np.ndarray
    sigma: float
    log_likelihood: float
    converged: bool


def fit_arrays(arrays: MixedArrays, *, reml: bool = True) -> ArrayFit:
    """Fit a mixed model with one grouping factor to arrays.

    Parameters
    ----------
    arrays : MixedArrays
        In the user's units; `X` of full rank.
    reml : bool, default True
        Restricted or full maximum likelihood.

    Returns
    -------
    ArrayFit
        Also where no maximum was found.
    """
    from pmsstats.models.mixed import native_lmm  # loads numba, which only those who fit need

    standard, back = standardise(arrays)
    found = native_lmm.fit(MixedLikelihood(standard, reml=reml))
    return ArrayFit(
        fixed=back.fixed(found.fixed),
        modes=back.random(found.modes),
        sigma=back.scale * float(np.sqrt(found.sigma2)),
        log_likelihood=back.log_likelihood(found.log_likelihood, n_obs=arrays.n_obs, reml=reml),
        converged=found.fit_log.converged,
    )
