"""Progression independent of relapse activity (PIRA) and relapse-associated worsening (RAW)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pmsstats.endpoints.definitions.conditions import RelapseFree
from pmsstats.endpoints.definitions.presets import sources
from pmsstats.endpoints.definitions.presets.edss_change import confirmed_edss
from pmsstats.endpoints.definitions.presets.sources import cite
from pmsstats.endpoints.definitions.presets.timed_tests import twenty_percent
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.scores.edss import edss_threshold

__all__ = [
    "KAPPOS_PIRA_NOTE",
    "KAPPOS_RAW_NOTE",
    "PIRA_RULES",
    "RAW_RULES",
    "kappos_parts",
    "raw_parts",
]

_NO_RAW_FIRST = (
    "Relapses count by these intervals alone: an onset within 90 days after a relapse is not "
    "called RAW first, as some programs do."
)
_KAPPOS: dict[str, Any] = {
    "events": "first_pira",
    "rebaseline_after_relapse": True,
    "relapse_to_baseline_days": (30, 0),
    "raw_days": (0, 0),
    "relapse_free": RelapseFree(reference=(0, None), onset=(None, 30), confirmation=(30, 30)),
}
KAPPOS_PIRA_NOTE = (
    "An abstract of the analysis has a second definition, without the 30 days after confirmation. "
    f"OPERA took protocol-defined relapses; here every relapse counts. {_NO_RAW_FIRST}"
)
KAPPOS_RAW_NOTE = (
    "An earlier worsening of another kind moves the baseline, so that it is not seen again as one "
    "after a later relapse; whether OPERA did so could not be verified. OPERA took "
    "protocol-defined relapses; here every relapse counts."
)
_MSPROG_STEPS = (
    "The EDSS steps (1.5 points from 0, 1.0 up to 5.0, 0.5 above) are those of msprog, in whose "
    "vignette this definition stands; those of the source could not be verified."
)


def _pira(
    name: str, author: str, weeks: int | tuple[int, ...], steps: float, **options: Any
) -> ProgressionRule:
    """Make a rule of EDSS progression independent of relapse activity, with a roving baseline."""
    fixed: dict[str, Any] = {
        "events": "first_pira", "baseline": "roving", "confirm_weeks": weeks,
        "label": f"EDSS progression independent of relapse activity, {author}",
    }  # fmt: skip
    threshold = edss_threshold(steps, from_zero=1.5)
    return ProgressionRule(
        name=name, outcome="edss", threshold=threshold, direction="increase", **{**fixed, **options}
    )


def _three_tests(name: str, words: str, weeks: int, **options: Any) -> tuple[ProgressionRule, ...]:
    """Apply options to the three tests of OPERA."""
    end = "" if weeks == 12 else f"_{weeks}"
    tests = {
        "edss": confirmed_edss("edss", weeks),
        "t25fw": twenty_percent("t25fw20", weeks, ""),
        "nhpt": twenty_percent("nhpt20", weeks, ""),
    }
    return tuple(
        replace(rule, name=f"{name}_{test}{end}", label=f"{rule.label}, {words}", **options)
        for test, rule in tests.items()
    )


def kappos_parts(weeks: int) -> tuple[ProgressionRule, ...]:
    """Return the parts of PIRA by Kappos 2020: EDSS, walk and peg test.

    Parameters
    ----------
    weeks : int
        To confirmation.

    Returns
    -------
    tuple of ProgressionRule
        In this order.
    """
    return _three_tests("pira_kappos2020", "independent of relapse activity", weeks, **_KAPPOS)


def raw_parts(weeks: int) -> tuple[ProgressionRule, ...]:
    """Return the parts of RAW by Kappos 2020: EDSS, walk and peg test.

    Parameters
    ----------
    weeks : int
        To confirmation.

    Returns
    -------
    tuple of ProgressionRule
        In this order.
    """
    return _three_tests(
        "raw_kappos2020",
        "associated with a relapse",
        weeks,
        events="first_raw",
        baseline="roving_worsening",
    )


PIRA_RULES = (
    *(
        replace(kappos_parts(weeks)[0], citation=cite(sources.KAPPOS), note=KAPPOS_PIRA_NOTE)
        for weeks in (12, 24)
    ),
    _pira(
        "pira_mueller2023",
        "Mueller 2023",
        (12, 24),
        5.0,
        relapse_free=RelapseFree(onset=(90, 30), confirmation=(90, 30)),
        citation=cite(sources.MUELLER_2023),
        note=(
            "How long the review asks for confirmation could not be verified: it is taken from "
            f"12 weeks on, and reported for 24 as well. {_MSPROG_STEPS}"
        ),
    ),
    _pira(
        "pira_mueller2023_specific",
        "Mueller 2023",
        (12, 24),
        5.0,
        raw_days=(0, 0),
        relapse_free=RelapseFree(reference=(0, None), onset=(None, None), confirmation=(None, 0)),
        label="EDSS progression independent of relapse activity, Mueller 2023, high specificity",
        citation=cite(sources.MUELLER_2023),
        note=(
            "The variant for high specificity. Confirmation as in pira_mueller2023. "
            f"{_MSPROG_STEPS} {_NO_RAW_FIRST}"
        ),
    ),
    _pira(
        "pira_mueller2025",
        "Mueller 2025",
        26,
        5.5,
        baseline_visit="first",
        rebaseline_after_relapse=True,
        relapse_to_baseline_days=(30, 0),
        raw_days=(0, 0),
        relapse_free=RelapseFree(
            reference=(0, None), onset=(None, 0), confirmation=(30, 0), reference_visit="last"
        ),
        citation=cite(sources.MUELLER_2025),
        note=(
            "The source compared confirmation after 6, 12 and 24 months, and by the threshold or "
            "the level at onset; which of them it recommends could not be verified: here 6 months "
            "(26 weeks) and the threshold. Steps and the 30 days from a relapse to a new baseline "
            f"are those of MSoutcomes 0.2.1, the program of this group. {_NO_RAW_FIRST}"
        ),
    ),
    _pira(
        "pira_portaccio2025",
        "Portaccio 2025",
        24,
        5.0,
        baseline_visit="first",
        relapse_free=RelapseFree(onset=(90, 30), confirmation=(0, 0)),
        citation=cite(sources.PORTACCIO),
        note=(
            "The best of 18 definitions by prediction of EDSS 6.0. The EDSS steps (1.5 points "
            "from 0, 1.0 up to 5.0, 0.5 above) could not be verified."
        ),
    ),
)
"""PIRA on the EDSS; the composite of Kappos 2020 stands among the composites."""

RAW_RULES = (replace(raw_parts(12)[0], citation=cite(sources.KAPPOS), note=KAPPOS_RAW_NOTE),)
"""RAW on the EDSS; the composite of Kappos 2020 stands among the composites."""
