"""A feature in units of its residuals: the algebra of ComBat on arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pmsstats.models.mixed.mixed_design import MixedArrays

__all__ = ["StandardisedFeature", "adjust", "centred", "scanner_columns", "standardise_arrays"]


@dataclass(frozen=True, eq=False, kw_only=True)
class StandardisedFeature:
    """One feature in units of its residual standard deviation.

    Parameters
    ----------
    z : ndarray, shape (n_obs,)
        Conditional residual plus scanner effect, over `sigma`.
    kept : ndarray, shape (n_obs,)
        Covariate effects and random effects, at the average scanner; feature units.
    sigma : float
        Feature units.
    scanner : ndarray of int, shape (n_obs,)
        Scanner of each scan.
    residual : ndarray, shape (n_obs,)
        Conditional residuals, feature units.
    position : ndarray of int, shape (n_obs,)
        Row of the data.
    """

    z: np.ndarray
    kept: np.ndarray
    sigma: float
    scanner: np.ndarray
    residual: np.ndarray
    position: np.ndarray


def standardise_arrays(
    arrays: MixedArrays,
    beta: np.ndarray,
    modes: np.ndarray,
    sigma: float,
    *,
    effects: np.ndarray,
    scanner: np.ndarray,
    residual_scale: str,
    position: np.ndarray,
) -> StandardisedFeature:
    """Express values in residual standard deviations around what is kept of them.

    Parameters
    ----------
    arrays : MixedArrays
        The model, the scanner among its fixed effects.
    beta : ndarray, shape (p,)
        Fixed effects.
    modes : ndarray, shape (n_subjects, q)
        Predicted random effects.
    sigma : float
        Residual standard deviation.
    effects : ndarray, shape (n_scanners, p)
        From :func:`scanner_columns`.
    scanner : ndarray of int, shape (n_obs,)
        Scanner of each scan.
    residual_scale : {"REML", "MSR"}
        What to standardise by.
    position : ndarray of int, shape (n_obs,)
        Row of the data.

    Returns
    -------
    StandardisedFeature
        Step 1 and 2 of :func:`~pmsstats.imaging.harmonisation.harmonise`.
    """
    fitted = arrays.X @ beta + (arrays.Z * modes[arrays.subject]).sum(axis=1)
    residual = arrays.y - fitted
    gamma = centred(effects, scanner) @ beta
    if residual_scale == "MSR":
        sigma = float(np.sqrt(np.mean((residual - residual.mean()) ** 2)))
    return StandardisedFeature(
        z=(residual + gamma[scanner]) / sigma,
        kept=fitted - gamma[scanner],
        sigma=sigma,
        scanner=scanner,
        residual=residual,
        position=position,
    )


def scanner_columns(names: Sequence[str], scanner: str, levels: Sequence[str]) -> np.ndarray:
    """Return the scanner effects against the first scanner as combinations of fixed effects.

    Parameters
    ----------
    names : sequence of str
        Of the fixed effects.
    scanner : str
        Column of scanners.
    levels : sequence of str
        Scanners in order.

    Returns
    -------
    ndarray, shape (n_scanners, p)
        One row per scanner; that of the first is zero.
    """
    columns = [f"{scanner}[T.{level}]" for level in levels]
    return np.equal.outer(columns, list(names)).astype(float)


def centred(effects: np.ndarray, scanner: np.ndarray) -> np.ndarray:
    """Express scanner effects against their mean over scans: ``sum n_i gamma_i = 0``.

    Parameters
    ----------
    effects : ndarray, shape (n_scanners, p)
        From :func:`scanner_columns`.
    scanner : ndarray of int, shape (n_obs,)
        Scanner of each scan.

    Returns
    -------
    ndarray, shape (n_scanners, p)
        Combinations of the fixed effects.
    """
    share = np.bincount(scanner, minlength=len(effects)) / len(scanner)
    weights: np.ndarray = effects - share @ effects
    return weights


def adjust(part: StandardisedFeature, gamma: np.ndarray, delta2: np.ndarray) -> np.ndarray:
    """Take the scanner effects out of one feature.

    Parameters
    ----------
    part : StandardisedFeature
        The feature.
    gamma, delta2 : ndarray, shape (n_scanners,)
        Additive effects in residual standard deviations, multiplicative ones as variances.

    Returns
    -------
    ndarray, shape (n_obs,)
        Harmonised values, in units of the feature.
    """
    scale = part.sigma / np.sqrt(delta2)[part.scanner]
    values: np.ndarray = scale * (part.z - gamma[part.scanner]) + part.kept
    return values
