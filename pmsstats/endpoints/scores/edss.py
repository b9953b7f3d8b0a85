"""The Expanded Disability Status Scale: legal scores and the step that counts as progression."""

from __future__ import annotations

import math
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pmsstats.endpoints.definitions.thresholds import StepThreshold
from pmsstats.errors import DesignError

__all__ = ["EDSS_SCORES", "edss_threshold", "is_legal_edss"]

EDSS_SCORES: tuple[float, ...] = (0.0, *(half / 2 for half in range(2, 21)))
"""0, then 1.0 to 10.0 by 0.5: there is no 0.5. Higher is worse; 10 is death due to MS.

Kurtzke JF. Neurology 1983;33:1444-1452. doi:10.1212/WNL.33.11.1444
"""


_IS_NUMBER = np.frompyfunc(
    lambda item: isinstance(item, Real) and not isinstance(item, bool | np.bool_), 1, 1
)


def is_legal_edss(value: ArrayLike) -> NDArray[np.bool_]:
    """Say which values are scores of the scale.

    Parameters
    ----------
    value : array_like
        Numbers; what is missing, text or true/false is no legal score.

    Returns
    -------
    ndarray of bool
        Same shape.

    References
    ----------
    .. [1] Kurtzke JF. Rating neurologic impairment in multiple sclerosis: an expanded disability
       status scale (EDSS). Neurology 1983;33:1444-1452. doi:10.1212/WNL.33.11.1444

    Examples
    --------
    >>> is_legal_edss([0, 0.5, 1, 4.3, 6.5, 11]).tolist()
    [True, False, True, False, True, False]
    """
    # A plain list is taken cell by cell: beside text or True, numpy turns numbers into it.
    given = np.asarray(value, dtype=None if hasattr(value, "dtype") else object)
    if given.dtype.kind in "iuf":
        return np.isin(given, EDSS_SCORES)
    cells = given.astype(object)
    number = np.asarray(_IS_NUMBER(cells), dtype=bool)
    scores = np.full(cells.shape, np.nan)
    scores[number] = cells[number]
    return np.isin(scores, EDSS_SCORES)


def edss_threshold(full_step_up_to: float = 5.5, *, from_zero: float = 1.0) -> StepThreshold:
    """Return the EDSS increase that counts as progression, by baseline score.

    Parameters
    ----------
    full_step_up_to : float, default 5.5
        Highest baseline from which a whole point is asked; above it half a point is enough.
    from_zero : float, default 1.0
        What is asked from baseline 0; some authors ask 1.5.

    Returns
    -------
    StepThreshold
        The steps.

    Raises
    ------
    DesignError
        If `full_step_up_to` is no legal score, or `from_zero` no step of the scale.

    Notes
    -----
    Sources differ at baseline 5.5. OLYMPUS and ORATORIO ask +1.0 up to and including 5.5 [1]_
    [2]_ (so 5.5 to 6.0 is no event); EXPAND asks +1.0 up to 5.0 and +0.5 from 5.5 [3]_ (so it
    is one). The scale moves by walking range there, and both readings are in use.

    References
    ----------
    .. [1] Hawker K, et al. Ann Neurol 2009;66:460-471. doi:10.1002/ana.21867
    .. [2] Montalban X, et al. N Engl J Med 2017;376:209-220. doi:10.1056/NEJMoa1606468
    .. [3] Kappos L, et al. Lancet 2018;391:1263-1273. doi:10.1016/S0140-6736(18)30475-6

    Examples
    --------
    >>> edss_threshold().required([0, 5.5, 6.0]).tolist()
    [1.0, 1.0, 0.5]
    >>> edss_threshold(5.0, from_zero=1.5).required([0, 1, 5.5]).tolist()
    [1.5, 1.0, 0.5]
    """
    if not is_legal_edss(full_step_up_to):
        raise DesignError(
            f"`full_step_up_to` must be an EDSS score such as 5.0 or 5.5, got {full_step_up_to!r}."
        )
    if not is_legal_edss(from_zero) or from_zero == 0:
        raise DesignError(
            "`from_zero` must be an EDSS score that is reached from 0, such as 1.0 or 1.5, got "
            f"{from_zero!r}."
        )
    upper = ((full_step_up_to, 1.0), (math.inf, 0.5))
    return StepThreshold(steps=upper if from_zero == 1.0 else ((0.0, from_zero), *upper))
