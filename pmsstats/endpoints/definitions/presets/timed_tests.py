"""Confirmed worsening of walking speed, hand function and processing speed."""

from __future__ import annotations

from typing import Any

from pmsstats.endpoints.definitions.presets import sources
from pmsstats.endpoints.definitions.presets.sources import cite
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.thresholds import (
    AbsoluteThreshold,
    RelativeThreshold,
    Threshold,
)

__all__ = ["SDMT_RULES", "TIMED_RULES", "twenty_percent"]

_TESTS = {
    "t25fw20": ("t25fw_s", "Timed 25-Foot Walk"),
    "nhpt20": ("nhpt_s", "9-Hole Peg Test"),
    "nhpt20_dominant": ("nhpt_dominant_s", "9-Hole Peg Test, dominant hand"),
    "nhpt20_nondominant": ("nhpt_nondominant_s", "9-Hole Peg Test, other hand"),
}
_HANDS = (
    "Sources differ on the hands: the measure `nhpt_s` is the mean of both; ASCEND took either "
    "hand, confirmed on the same one (nhpt20_either)."
)
_ONE_HAND = "One of the two hands of EDSS-Plus and ASCEND; either of them is nhpt20_either."
_UNCONFIRMED_SOURCE = "That it must be confirmed, and after how long, is chosen here."


def twenty_percent(test: str, weeks: int, citation: str, **options: Any) -> ProgressionRule:
    """Make a rule of confirmed worsening of a timed test by 20 % of baseline.

    Parameters
    ----------
    test : {"t25fw20", "nhpt20", "nhpt20_dominant", "nhpt20_nondominant"}
        Which test, as the name of its 12-week rule.
    weeks : int
        To confirmation.
    citation : str
        Of the rule.
    **options
        Further fields of the rule.

    Returns
    -------
    ProgressionRule
        The rule.
    """
    outcome, words = _TESTS[test]
    fixed: dict[str, Any] = {
        "name": test if weeks == 12 else f"{test}_{weeks}",
        "label": f"{weeks}-week confirmed 20 % worsening of the {words}",
    }
    return ProgressionRule(
        outcome=outcome,
        threshold=RelativeThreshold(fraction=0.2),
        direction="increase",
        confirm_weeks=weeks,
        citation=citation,
        **{**fixed, **options},
    )


def _sdmt(name: str, threshold: Threshold, size: str, citation: str, note: str) -> ProgressionRule:
    """Make a rule of confirmed worsening of the SDMT."""
    return ProgressionRule(
        name=name,
        outcome="sdmt",
        threshold=threshold,
        direction="decrease",
        confirm_weeks=24,
        label=f"24-week confirmed worsening of the SDMT by {size}",
        citation=citation,
        note=note,
    )


_WALK_NOTE = "EXPAND and HERCULES used the same change, confirmed after 3 months."
TIMED_RULES = (
    twenty_percent("t25fw20", 12, cite(sources.NEPAD), note=_WALK_NOTE),
    twenty_percent("t25fw20", 24, cite(sources.ORATORIO_EXTENSION)),
    twenty_percent("nhpt20", 12, cite(sources.NEPAD), note=_HANDS),
    twenty_percent("nhpt20", 24, cite(sources.ORATORIO_EXTENSION), note=_HANDS),
    *(
        twenty_percent(f"nhpt20_{hand}", weeks, cite(sources.EDSS_PLUS), note=note)
        for hand in ("dominant", "nondominant")
        for weeks, note in (
            (12, f"{_ONE_HAND} They confirmed it after 24 weeks."),
            (24, _ONE_HAND),
        )
    ),
)
"""Worsening of timed tests by 20 % of baseline."""

SDMT_RULES = (
    _sdmt(
        "sdmt4",
        AbsoluteThreshold(change=4.0),
        "4 points",
        cite(sources.SDMT_EXPAND, sources.SDMT_RELIABLE),
        f"{sources.SIX_MONTHS} 4 points are clinically important by employment anchors, but "
        "within the error of measurement of one person (see sdmt8).",
    ),
    _sdmt(
        "sdmt8",
        AbsoluteThreshold(change=8.0),
        "8 points",
        cite(sources.SDMT_RELIABLE),
        f"The source finds 8 points or more a reliable decline. {_UNCONFIRMED_SOURCE}",
    ),
    _sdmt(
        "sdmt10",
        RelativeThreshold(fraction=0.1),
        "10 %",
        "",
        "10 % of baseline is in use beside 20 % (msprog takes 4 points or 20 %); no primary "
        f"source was verified. {_UNCONFIRMED_SOURCE}",
    ),
)
"""Worsening of processing speed. Practice effects work against all of them."""
