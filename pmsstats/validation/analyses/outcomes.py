"""Names of outcomes: events, changes and later levels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pmsstats.endpoints import PRESETS
from pmsstats.errors import DesignError, nearest
from pmsstats.validation.analyses.base import FloatArray

__all__ = ["CONVERSION", "VISIT_WINDOW_DAYS", "Events", "is_event", "split_outcome"]

CONVERSION = "conversion"
"""The event of changing phenotype, as the subjects' table records it."""

VISIT_WINDOW_DAYS = 10.0
"""A visit planned for some time may take place so much later, and still belongs to it."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """First event of each subject of each study.

    Parameters
    ----------
    duration : ndarray, shape (n_studies, n_subjects), days
        To event or last visit; NaN for those not at risk.
    happened : ndarray of bool of the same shape
        Whether it was seen.
    """

    duration: FloatArray
    happened: NDArray[np.bool_]


def is_event(outcome: str) -> bool:
    """Say whether an outcome is an event.

    Parameters
    ----------
    outcome : str
        Name.

    Returns
    -------
    bool
        True for endpoint presets and ``"conversion"``.
    """
    return outcome == CONVERSION or outcome in PRESETS


def split_outcome(outcome: str) -> tuple[str, str]:
    """Split an outcome that is no event into its measure and what is taken of it.

    Parameters
    ----------
    outcome : str
        Such as ``"edss_change"``, ``"msfc_change"``, ``"sdmt_level"``.

    Returns
    -------
    tuple of str
        Measure, and ``"change"`` or ``"level"``.

    Raises
    ------
    DesignError
        If it is neither an event nor of this form.

    Examples
    --------
    >>> split_outcome("msfc_change")
    ('msfc_z', 'change')
    """
    for what in ("change", "level"):
        if outcome.endswith(f"_{what}") and len(outcome) > len(what) + 1:
            name = outcome.removesuffix(f"_{what}")
            return ("msfc_z" if name == "msfc" else name), what
    raise DesignError(
        f"`outcome` must be an endpoint preset such as 'cdp12', '{CONVERSION}', or a measure "
        f"followed by '_change' or '_level', got {outcome!r}.{nearest(outcome, PRESETS)}"
    )
