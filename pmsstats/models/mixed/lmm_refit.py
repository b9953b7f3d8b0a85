"""Fitting a single replicate again, with more care, where the fast way found no maximum."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pmsstats.models.mixed.mixed_design import MixedArrays
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import standardise

if TYPE_CHECKING:
    from pmsstats.models.kernels.lmm_replicate import Fits, Schedule

__all__ = ["fit_with_care"]


def fit_with_care(schedule: Schedule, y: np.ndarray, out: Fits, r: int) -> None:
    """Fit one replicate as a data set of its own, on its own scale.

    Parameters
    ----------
    schedule : Schedule
        What the replicates share.
    y : ndarray, shape (n_rows,)
        The responses of the replicate.
    out : Fits
        Its entry is filled, if this finds a maximum.
    r : int
        Number of the replicate.

    Notes
    -----
    Some in ten thousand data sets with three or more random effects per subject have a maximum so
    close to the boundary that Newton's method circles it; on another scale, or by
    :meth:`~pmsstats.models.mixed.mixed_likelihood.MixedLikelihood.improve`, it is reached.
    """
    from pmsstats.models.kernels.lmm_climb import ascent_at
    from pmsstats.models.kernels.lmm_maximum import conclude, satterthwaite
    from pmsstats.models.mixed import native_lmm
    from pmsstats.models.mixed.covariance_roots import cholesky

    standard, back = standardise(_own_arrays(schedule, y))
    likelihood = MixedLikelihood(standard, reml=schedule.is_reml)
    fit = native_lmm.fit(likelihood)
    if not fit.fit_log.converged:
        return
    patterns = native_lmm.pattern_sums(standard, reml=schedule.is_reml)
    found = conclude(patterns, ascent_at(patterns, cholesky(fit.psi)), 0)
    inverse = np.linalg.inv(back.T)
    out.reason[r], out.is_singular[r] = 0, fit.fit_log.singular
    out.psi[r] = inverse @ fit.psi @ inverse.T
    out.sigma2[r] = back.scale**2 * fit.sigma2
    out.log_likelihood[r] = back.log_likelihood(
        fit.log_likelihood, n_obs=standard.n_obs, reml=schedule.is_reml
    )
    covariance = back.fixed_covariance(fit.fixed_covariance)
    contrasts = schedule.contrasts
    out.estimates[r] = contrasts @ back.fixed(fit.fixed)
    out.variances[r] = np.einsum("ma,ab,mb->m", contrasts, covariance, contrasts)
    in_standard = np.linalg.solve(back.R.T, contrasts.T).T
    out.df[r] = satterthwaite(found, patterns.n_free, np.ascontiguousarray(in_standard))


def _own_arrays(schedule: Schedule, y: np.ndarray) -> MixedArrays:
    """Return the rows of one replicate that have a response."""
    values = y[schedule.order]
    kept = ~np.isnan(values)
    subject = np.repeat(np.arange(len(schedule.first) - 1), np.diff(schedule.first))
    ids, codes = np.unique(subject[kept], return_inverse=True)
    block = np.full(schedule.Z.shape[1], schedule.Z.shape[1])
    np.minimum.at(block, schedule.rows, schedule.columns)  # its first column
    blocks = tuple(tuple(np.flatnonzero(block == start).tolist()) for start in np.unique(block))
    return MixedArrays(
        y=values[kept],
        X=schedule.X[kept],
        Z=schedule.Z[kept],
        subject=codes,
        n_subjects=len(ids),
        blocks=blocks,
    )
