"""The declared checks: one for each finding of the review that tables can carry."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pmsstats.errors import DesignError
from pmsstats.validation.check import Check
from pmsstats.validation.checks import (
    cerebellum,
    cord,
    cord_atrophy,
    cortex,
    deep_grey,
    outlook,
    trials_atrophy,
    trials_tissue,
    white_matter,
)

__all__ = ["CHECKS", "by_finding"]


def by_finding(*parts: tuple[Check, ...]) -> Mapping[str, Check]:
    """Join declared checks.

    Parameters
    ----------
    *parts : tuple of Check
        Checks of one section each.

    Returns
    -------
    mapping of str to Check
        By id of the finding, in order; read-only.

    Raises
    ------
    DesignError
        If a finding has two checks.
    """
    joined: dict[str, Check] = {}
    for check in (check for part in parts for check in part):
        if check.finding in joined:
            raise DesignError(f"Finding {check.finding!r} has two checks. Join their claims.")
        joined[check.finding] = check
    return MappingProxyType(joined)


CHECKS: Mapping[str, Check] = by_finding(
    white_matter.CHECKS,
    cortex.CHECKS,
    trials_tissue.CHECKS,
    trials_atrophy.CHECKS,
    cord.CHECKS,
    cord_atrophy.CHECKS,
    cerebellum.CHECKS,
    deep_grey.CHECKS,
    outlook.CHECKS,
)
"""All of them, by id of the finding."""
