"""Named definitions, each with its source: one module for each family."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

import pandas as pd

from pmsstats.endpoints.definitions.composite_rule import CompositeRule, PartRule, rule_title
from pmsstats.endpoints.definitions.data_needs import data_needs
from pmsstats.endpoints.definitions.field_checks import as_tuple
from pmsstats.endpoints.definitions.presets.composites import COMPOSITE_RULES
from pmsstats.endpoints.definitions.presets.edss_change import EDSS_RULES, MILESTONE_RULES
from pmsstats.endpoints.definitions.presets.improvement import IMPROVEMENT_RULES
from pmsstats.endpoints.definitions.presets.relapse_independent import PIRA_RULES, RAW_RULES
from pmsstats.endpoints.definitions.presets.secondary_progression import SPMS_RULES
from pmsstats.endpoints.definitions.presets.timed_tests import SDMT_RULES, TIMED_RULES
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.errors import DesignError, nearest

__all__ = ["PRESETS", "preset", "presets_table", "progression_rule"]

_RULES = (
    *EDSS_RULES, *MILESTONE_RULES, *TIMED_RULES, *SDMT_RULES, *COMPOSITE_RULES,
    *IMPROVEMENT_RULES, *PIRA_RULES, *RAW_RULES, *SPMS_RULES,
)  # fmt: skip

PRESETS: Mapping[str, PartRule] = MappingProxyType({rule.name: rule for rule in _RULES})
"""Definitions by name: progression rules and composites. Those of trials take no account of
relapses unless their source does, and confirmation is never early: both are a matter of the
protocol, and one keyword away (:func:`dataclasses.replace`)."""


def preset(name: str) -> PartRule:
    """Look a preset up by name.

    Parameters
    ----------
    name : str
        A key of :data:`PRESETS`.

    Returns
    -------
    ProgressionRule or CompositeRule
        The definition.

    Raises
    ------
    DesignError
        If there is no such preset.

    Examples
    --------
    >>> preset("nep").absence_label
    'NEP'
    """
    if name not in PRESETS:
        raise DesignError(
            f"No endpoint is called {name!r}.{nearest(str(name), PRESETS)} There are "
            f"{', '.join(PRESETS)}; or describe your own in a table (measure, change or relative, "
            "confirm_weeks)."
        )
    return PRESETS[name]


def progression_rule(name: str) -> ProgressionRule:
    """Look a preset up by name, of those that are about one measure.

    Parameters
    ----------
    name : str
        A key of :data:`PRESETS`.

    Returns
    -------
    ProgressionRule
        The definition.

    Raises
    ------
    DesignError
        If there is no such preset, or it is a composite.

    Examples
    --------
    >>> progression_rule("cdp24").title()
    '24-week confirmed EDSS progression'
    """
    rule = preset(name)
    if not isinstance(rule, ProgressionRule):
        parts = ", ".join(part.name for part in rule.parts)
        raise DesignError(
            f"The endpoint {name!r} is a composite of {parts}, not a progression rule of one "
            f"measure. Take it as it is with preset({name!r}), or one of its parts."
        )
    return rule


def presets_table() -> pd.DataFrame:
    """Tabulate the presets, one row each.

    Returns
    -------
    pandas.DataFrame
        Columns ``name``, ``event`` (in words), ``outcome`` (measures that it needs, and
        ``relapses`` and ``exits``), ``confirmation`` (in weeks; empty where there is none),
        ``citation`` and ``note``.

    Examples
    --------
    >>> presets_table().set_index("name").loc["neda3", "outcome"]
    'edss, relapses, new_t2_count, gd_lesion_count'
    """
    return pd.DataFrame(
        [
            {
                "name": rule.name,
                "event": rule_title(rule),
                "outcome": ", ".join(data_needs(rule)),
                "confirmation": " and ".join(dict.fromkeys(_confirmation(rule))),
                "citation": rule.citation,
                "note": rule.note,
            }
            for rule in _RULES
        ]
    )


def _confirmation(rule: PartRule) -> Iterator[str]:
    """Say after how many weeks the parts of a rule are confirmed."""
    if isinstance(rule, CompositeRule):
        for part in rule.parts:
            yield from _confirmation(part)
    elif isinstance(rule, ProgressionRule) and rule.confirm_weeks is not None:
        yield " or ".join(f"{weeks}" for weeks in as_tuple(rule.confirm_weeks)) + " weeks"
