"""Composites: the first of several events, and endpoints of "no evidence of" any of them."""

from __future__ import annotations

import math
from dataclasses import replace

from pmsstats.endpoints.definitions.composite_rule import CompositeRule
from pmsstats.endpoints.definitions.event_rules import (
    LesionEventRule,
    RelapseEventRule,
    VolumeLossRule,
)
from pmsstats.endpoints.definitions.presets import sources
from pmsstats.endpoints.definitions.presets.edss_change import confirmed_edss
from pmsstats.endpoints.definitions.presets.relapse_independent import (
    KAPPOS_PIRA_NOTE,
    KAPPOS_RAW_NOTE,
    kappos_parts,
    raw_parts,
)
from pmsstats.endpoints.definitions.presets.sources import cite
from pmsstats.endpoints.definitions.presets.timed_tests import twenty_percent
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule

__all__ = ["COMPOSITE_RULES"]


def _tests(weeks: int, *hands: str) -> tuple[ProgressionRule, ...]:
    """Return EDSS, walk and peg test, or the peg test of each hand."""
    end = "" if weeks == 12 else f"_{weeks}"
    return (
        confirmed_edss(f"cdp{weeks}", weeks),
        *(
            twenty_percent(test, weeks, "", name=f"{test}{end}")
            for test in ("t25fw20", *(hands or ("nhpt20",)))
        ),
    )


_HANDS = ("nhpt20_dominant", "nhpt20_nondominant")
_RELAPSE = RelapseEventRule(name="relapse", label="relapse")
_LESION = LesionEventRule(name="lesion", label="new or enlarging T2 or Gd-enhancing lesion")
_VOLUME = VolumeLossRule(name="volume_loss", label="brain volume loss above 0.4 % per year")
_ALL_RELAPSES = "Trials counted protocol-defined relapses; here every relapse of the table counts."
_AGREED = "Sources agree on the three tests and on 20 %."
_LASTING = {"sustain_days": math.inf, "confirm_intermediate": False}

COMPOSITE_RULES = (
    CompositeRule(
        name="ccdp12",
        parts=_tests(12),
        label="12-week composite confirmed disability progression (EDSS, walk or hand)",
        citation=cite(sources.FENHANCE, sources.NEPAD),
        note=(
            f"{_AGREED} The composite of INFORMS had the same tests; its EDSS steps could not be "
            f"verified, nor the wording of FENtrepid. {sources.SCHEDULED}"
        ),
    ),
    CompositeRule(
        name="ccdp24",
        parts=_tests(24),
        label="24-week composite confirmed disability progression (EDSS, walk or hand)",
        citation=cite(sources.ORATORIO_EXTENSION),
        note=_AGREED,
    ),
    *(
        CompositeRule(
            name=f"nhpt20_either{end}",
            parts=_tests(weeks, *_HANDS)[2:],
            label=f"{weeks}-week confirmed 20 % worsening of the 9-Hole Peg Test, either hand",
            citation=cite(sources.EDSS_PLUS),
            note=f"A hand that worsens must itself confirm it. {source}",
        )
        for weeks, end, source in (
            (12, "", "The source confirmed it after 24 weeks."),
            (24, "_24", "ASCEND had the same part, and asked for it at the end as well."),
        )
    ),
    CompositeRule(
        name="edss_plus",
        parts=_tests(24, *_HANDS),
        label="EDSS-Plus: 24-week confirmed progression on EDSS, walk or either hand",
        citation=cite(sources.EDSS_PLUS),
        note="Its EDSS steps could not be verified; taken as in ASCEND.",
    ),
    CompositeRule(
        name="edss_plus_ascend",
        parts=tuple(replace(rule, **_LASTING) for rule in _tests(24, *_HANDS)),
        label="progression on EDSS, walk or either hand, confirmed after 24 weeks and at the end",
        citation=cite(sources.ASCEND),
        note=(
            f"{sources.SIX_MONTHS} ASCEND asked for the change again at week 96, taken here as "
            "the last visit, and compared proportions of subjects, not times."
        ),
    ),
    CompositeRule(
        name="nep",
        parts=_tests(12),
        absence_label="NEP",
        label="evidence of progression (EDSS, walk or hand, 12 weeks)",
        citation=cite(sources.NEPAD),
        note="The same events as ccdp12. CONSONANCE confirmed them after 24 weeks.",
    ),
    CompositeRule(
        name="nepad",
        parts=(*_tests(12), _RELAPSE, _LESION),
        absence_label="NEPAD",
        label="evidence of progression or active disease",
        citation=cite(sources.NEPAD),
        note=f"{_ALL_RELAPSES} CONSONANCE confirmed progression after 24 weeks.",
    ),
    CompositeRule(
        name="neda3",
        parts=(_tests(12)[0], _RELAPSE, _LESION),
        absence_label="NEDA-3",
        label="evidence of disease activity (relapse, 12-week EDSS progression or lesion)",
        citation=cite(sources.NEDA),
        note=(
            "Sources differ on confirmation (ENSEMBLE and STRIVE 24 weeks) and on the EDSS steps, "
            "and some count lesions from a scan on treatment on (`from_day`). " + _ALL_RELAPSES
        ),
    ),
    CompositeRule(
        name="neda4",
        parts=(_tests(12)[0], _RELAPSE, _LESION, _VOLUME),
        absence_label="NEDA-4",
        label="evidence of disease activity, or of brain volume loss above 0.4 % per year",
        citation=cite(sources.NEDA_4, sources.NEDA),
        note=(
            "A loss of exactly 0.4 % per year is no evidence. Loss is judged at every scan 180 "
            "days or more after baseline; analyses at the end of a study judge its last scan "
            "alone (`min_interval_days`). " + _ALL_RELAPSES
        ),
    ),
    *(
        CompositeRule(
            name=f"pira_kappos2020{end}",
            parts=kappos_parts(weeks),
            label=f"{weeks}-week confirmed composite progression independent of relapse activity",
            citation=cite(sources.KAPPOS),
            note=KAPPOS_PIRA_NOTE,
        )
        for weeks, end in ((12, ""), (24, "_24"))
    ),
    CompositeRule(
        name="raw_kappos2020",
        parts=raw_parts(12),
        label="12-week confirmed composite worsening associated with a relapse",
        citation=cite(sources.KAPPOS),
        note=KAPPOS_RAW_NOTE,
    ),
)
"""Composites of the rules of the other modules."""
