"""Short ways to write a claim, and the margins below which a truth counts as none."""

from __future__ import annotations

from typing import Any

from pmsstats.validation.analyses.base import Analysis
from pmsstats.validation.claim import Claim

__all__ = [
    "PROGRESSIVE",
    "SMALL_CORRELATION",
    "SMALL_DIFFERENCE",
    "higher",
    "lower",
    "no_effect",
]

PROGRESSIVE = ("SPMS", "PPMS")
"""The phenotypes that the review calls progressive."""

SMALL_DIFFERENCE = 0.2
"""SD. The usual bound of a small difference; two groups of 50 see it in one study out of six."""

SMALL_CORRELATION = 0.2
"""Correlation. 4 % of the variance is shared; with 40 patients it is seen in one study of four."""


def lower(analysis: Analysis, **fields: Any) -> Claim:
    """Claim that an estimate is below zero.

    Parameters
    ----------
    analysis : Analysis
        What is estimated.
    **fields : Any
        Other fields of the claim.

    Returns
    -------
    Claim
        The claim.
    """
    return Claim(analysis=analysis, expect="lower", **fields)


def higher(analysis: Analysis, **fields: Any) -> Claim:
    """Claim that an estimate is above zero.

    Parameters
    ----------
    analysis : Analysis
        What is estimated.
    **fields : Any
        Other fields of the claim.

    Returns
    -------
    Claim
        The claim.
    """
    return Claim(analysis=analysis, expect="higher", **fields)


def no_effect(analysis: Analysis, margin: float, **fields: Any) -> Claim:
    """Claim that an estimate is too near to zero to matter.

    Parameters
    ----------
    analysis : Analysis
        What is estimated.
    margin : float
        Nearer to zero than this is none.
    **fields : Any
        Other fields of the claim.

    Returns
    -------
    Claim
        The claim.
    """
    return Claim(analysis=analysis, expect="none", margin=margin, **fields)
