"""Each subject's own least-squares line, and how its error weakens a correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.kernels.pair_sums import PairSums

__all__ = ["OwnEffects", "own_effects"]

_RANK = 1e-10  # of a subject's sums of squares: fewer distinct visits than effects


@dataclass(frozen=True, eq=False, kw_only=True)
class OwnEffects:
    """A combination of each subject's least-squares effects of one outcome.

    Parameters
    ----------
    deviation : ndarray, shape (n_subjects,)
        From the mean; missing for subjects with too few visits.
    error_factor : ndarray, shape (n_subjects,)
        Error variance of each over the residual variance.
    """

    deviation: np.ndarray
    error_factor: np.ndarray


def own_effects(sums: PairSums, outcome: int, weights: np.ndarray, fixed: np.ndarray) -> OwnEffects:
    """Fit each subject's own line to what the fixed effects leave.

    Parameters
    ----------
    sums : PairSums
        The data, on the common scale.
    outcome : {0, 1}
        Which outcome.
    weights : ndarray, shape (q_k,)
        Of that outcome's effects.
    fixed : ndarray, shape (p,)
        Fixed effects of both outcomes.

    Returns
    -------
    OwnEffects
        On the common scale.
    """
    start = sum(sums.sizes[:outcome])
    part = slice(start, start + sums.sizes[outcome])
    classes = [outcome] + ([2 + outcome] if len(sums.S) > 2 else [])
    S = sums.S[classes][:, :, part, part].sum(axis=0)
    h = sums.H[classes][:, :, part].sum(axis=0) @ np.append(-fixed, 1.0)
    values = np.linalg.eigvalsh(S)
    known = values[:, 0] > _RANK * np.maximum(values[:, -1], 1e-300)
    own, factor = np.full(len(S), np.nan), np.full(len(S), np.nan)
    half = np.linalg.solve(S[known], np.broadcast_to(weights[:, None], (*h[known].shape, 1)))
    own[known] = np.einsum("iq,iq->i", half[..., 0], h[known])
    factor[known] = half[..., 0] @ weights
    return OwnEffects(deviation=own, error_factor=factor)
