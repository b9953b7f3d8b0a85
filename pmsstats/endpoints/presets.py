"""Named definitions, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from pmsstats.endpoints.edss import edss_threshold
from pmsstats.endpoints.rule import ProgressionRule
from pmsstats.endpoints.thresholds import RelativeThreshold
from pmsstats.errors import DesignError, nearest

__all__ = ["PRESETS", "progression_rule"]

_OLYMPUS = "Hawker K, et al. (OLYMPUS). Ann Neurol 2009;66:460-471. doi:10.1002/ana.21867"
_ORATORIO = (
    "Montalban X, et al. (ORATORIO). N Engl J Med 2017;376:209-220. doi:10.1056/NEJMoa1606468"
)
_EXPAND = "Kappos L, et al. (EXPAND). Lancet 2018;391:1263-1273. doi:10.1016/S0140-6736(18)30475-6"
_NEPAD = "Wolinsky JS, et al. (ORATORIO). Ann Neurol 2018;84:527-536. doi:10.1002/ana.25313"
_EXTENSION = (
    "Wolinsky JS, et al. (ORATORIO). Lancet Neurol 2020;19:998-1009. "
    "doi:10.1016/S1474-4422(20)30342-2"
)
_NOT_IMPUTED = (
    "OLYMPUS also counted subjects who left treatment after an unconfirmed change as having "
    "progressed; here they are censored."
)
_THREE_MONTHS = "The trial asked for 3 months, taken here as 12 weeks."


def _edss(weeks: int, citation: str, note: str = "") -> ProgressionRule:
    """EDSS progression with a whole point up to baseline 5.5."""
    return ProgressionRule(
        name=f"cdp{weeks}",
        outcome="edss",
        threshold=edss_threshold(5.5),
        direction="increase",
        confirm_weeks=weeks,
        label=f"{weeks}-week confirmed EDSS progression",
        citation=citation,
        note=note,
    )


def _twenty_percent(name: str, outcome: str, test: str, weeks: int, source: str) -> ProgressionRule:
    """Worsening of a timed test by 20 % of baseline."""
    return ProgressionRule(
        name=name,
        outcome=outcome,
        threshold=RelativeThreshold(fraction=0.2),
        direction="increase",
        confirm_weeks=weeks,
        label=f"{weeks}-week confirmed 20 % worsening of the {test}",
        citation=source,
    )


_T25FW, _NHPT = "Timed 25-Foot Walk", "9-Hole Peg Test"

_RULES = (
    _edss(12, f"{_OLYMPUS}; {_ORATORIO}.", _NOT_IMPUTED),
    _edss(24, f"{_ORATORIO}."),
    ProgressionRule(
        name="cdp12_expand",
        outcome="edss",
        threshold=edss_threshold(5.0),
        direction="increase",
        confirm_weeks=12,
        label="12-week confirmed EDSS progression (half a point from 5.5)",
        citation=f"{_EXPAND}.",
        note=_THREE_MONTHS,
    ),
    _twenty_percent("t25fw20", "t25fw_s", _T25FW, 12, f"{_NEPAD}."),
    _twenty_percent("t25fw20_24", "t25fw_s", _T25FW, 24, f"{_EXTENSION}."),
    _twenty_percent("nhpt20", "nhpt_s", _NHPT, 12, f"{_NEPAD}."),
    _twenty_percent("nhpt20_24", "nhpt_s", _NHPT, 24, f"{_EXTENSION}."),
)

PRESETS: Mapping[str, ProgressionRule] = MappingProxyType({rule.name: rule for rule in _RULES})
"""Definitions by name. None takes account of relapses, and confirmation is never early: both
are a matter of the protocol, and one keyword away (:func:`dataclasses.replace`)."""


def progression_rule(name: str) -> ProgressionRule:
    """Look a preset up by name.

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
        If there is no such preset.

    Examples
    --------
    >>> progression_rule("cdp24").title()
    '24-week confirmed EDSS progression'
    """
    if name not in PRESETS:
        raise DesignError(
            f"No endpoint is called {name!r}.{nearest(str(name), PRESETS)} There are "
            f"{', '.join(PRESETS)}; or describe your own in a table (measure, change or relative, "
            "confirm_weeks)."
        )
    return PRESETS[name]
