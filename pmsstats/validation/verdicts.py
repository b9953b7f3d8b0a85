"""From an estimate with its interval to a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pmsstats.validation.claim import Claim

__all__ = ["NOT_POSSIBLE", "NO_CHECK", "VERDICTS", "claim_verdict", "worst_verdict"]

NOT_POSSIBLE = "not possible"
"""The generator cannot make what the check needs, or the estimate does not exist."""
NO_CHECK = "not checked"
"""A finding about methods, or one without a declared check."""
VERDICTS = ("reproduced", "not reproduced", "contradicted", NOT_POSSIBLE, NO_CHECK)
"""From best to worst; what was not checked comes last."""


def claim_verdict(claim: Claim, low: float, high: float) -> str:
    """Judge a claim by the interval of its estimate.

    Parameters
    ----------
    claim : Claim
        What is expected.
    low, high : float
        Interval of the estimate.

    Returns
    -------
    str
        ``"reproduced"``, ``"not reproduced"``, ``"contradicted"`` or ``"not possible"``.

    Notes
    -----
    A directional claim is reproduced if the interval lies wholly on the expected side of zero and
    meets the published interval, where there is one; contradicted if it lies wholly on the other
    side. A claim of no difference is reproduced if the interval lies within the margin, and
    contradicted if it lies wholly outside.
    """
    if math.isnan(low) or math.isnan(high):
        return NOT_POSSIBLE
    if claim.expect == "none":
        return _equivalence(float(claim.margin or 0.0), low, high)
    if claim.expect == "lower":
        low, high = -high, -low
    if high < 0:
        return "contradicted"
    is_reproduced = low > 0 and _meets(claim, low, high)
    return "reproduced" if is_reproduced else "not reproduced"


def _equivalence(margin: float, low: float, high: float) -> str:
    """Judge a claim of no difference."""
    if -margin <= low and high <= margin:
        return "reproduced"
    return "contradicted" if low > margin or high < -margin else "not reproduced"


def _meets(claim: Claim, low: float, high: float) -> bool:
    """Say whether an interval, turned towards the expectation, meets the published one."""
    if claim.published is None:
        return True
    first, last = claim.published
    if claim.expect == "lower":
        first, last = -last, -first
    return low <= last and high >= first


def worst_verdict(verdicts: Iterable[str]) -> str:
    """Return the verdict of a finding from those of its claims.

    Parameters
    ----------
    verdicts : iterable of str
        Of :data:`VERDICTS`.

    Returns
    -------
    str
        The worst; ``"not checked"`` where there is none.

    Examples
    --------
    >>> worst_verdict(["reproduced", "contradicted", "not reproduced"])
    'contradicted'
    """
    return max(verdicts, key=VERDICTS.index, default=NO_CHECK)
