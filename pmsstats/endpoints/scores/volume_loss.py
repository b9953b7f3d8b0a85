"""How much brain volume loss per year counts as pathological."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pmsstats.errors import DesignError

__all__ = ["BRAIN_VOLUME_LOSS_CUTOFFS", "VolumeLossCutoff", "exceeds_loss"]

_SLACK = 1e-9  # relative; a loss of exactly the cut-off is not above it


@dataclass(frozen=True, kw_only=True)
class VolumeLossCutoff:
    """A loss per year above which brain volume loss counts as pathological.

    Parameters
    ----------
    name : str
        Key in :data:`BRAIN_VOLUME_LOSS_CUTOFFS`.
    percent_per_year : float
        Loss in percent per year, above 0; more than this is above the cut-off.
    citation : str
        Where it comes from.
    note : str
        What to know.

    Raises
    ------
    DesignError
        If the loss is not a number above 0.
    """

    name: str
    percent_per_year: float
    citation: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check the loss."""
        loss = self.percent_per_year
        number = isinstance(loss, Real) and not isinstance(loss, bool)
        if not (number and math.isfinite(loss) and loss > 0):
            raise DesignError(
                f"`percent_per_year` of a cut-off must be a loss above 0, without sign, got "
                f"{loss!r}."
            )


_DE_STEFANO = (
    "De Stefano N, et al. Establishing pathological cut-offs of brain atrophy rates in multiple "
    "sclerosis. J Neurol Neurosurg Psychiatry 2016;87:93-99."
)

BRAIN_VOLUME_LOSS_CUTOFFS: Mapping[str, VolumeLossCutoff] = MappingProxyType(
    {
        "neda4": VolumeLossCutoff(
            name="neda4",
            percent_per_year=0.4,
            citation=(
                "Guevara C, et al. Front Neurol 2019;10:788. doi:10.3389/fneur.2019.00788; the "
                "same in CNS Drugs 2018;32:75-84. doi:10.1007/s40263-017-0482-4"
            ),
            note="NEDA-4 asks for a loss of at most 0.4 % per year, SIENA or alike.",
        ),
        "specificity_80": VolumeLossCutoff(
            name="specificity_80", percent_per_year=0.40, citation=_DE_STEFANO,
            note="SIENA; 80 % of healthy controls lose less.",
        ),
        "specificity_90": VolumeLossCutoff(
            name="specificity_90", percent_per_year=0.46, citation=_DE_STEFANO,
            note="SIENA; 90 % of healthy controls lose less.",
        ),
        "specificity_95": VolumeLossCutoff(
            name="specificity_95", percent_per_year=0.52, citation=_DE_STEFANO,
            note="SIENA; 95 % of healthy controls lose less.",
        ),
    }
)  # fmt: skip
"""Cut-offs by name. They hold for whole-brain loss over years, not for one noisy interval."""


def exceeds_loss(
    percent_per_year: ArrayLike, cutoff: float | VolumeLossCutoff
) -> NDArray[np.bool_]:
    """Say where a loss per year is above a cut-off.

    Parameters
    ----------
    percent_per_year : array_like
        Changes, negative for a loss.
    cutoff : float or VolumeLossCutoff
        Loss in percent per year, without sign.

    Returns
    -------
    ndarray of bool
        False where the change is missing, or the loss is exactly the cut-off.

    Raises
    ------
    DesignError
        If the cut-off is not a number above 0.

    Examples
    --------
    >>> exceeds_loss([-0.39, -0.4, -0.41], 0.4).tolist()
    [False, False, True]
    """
    if not isinstance(cutoff, VolumeLossCutoff):
        cutoff = VolumeLossCutoff(name="", percent_per_year=cutoff)
    limit = cutoff.percent_per_year
    with np.errstate(invalid="ignore"):
        return np.asarray(-np.asarray(percent_per_year, dtype=float) > limit * (1 + _SLACK))
