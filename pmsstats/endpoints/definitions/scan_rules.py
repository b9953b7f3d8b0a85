"""Events that scans show: new lesions, and loss of volume."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pmsstats.cohort.schema import default_dictionary
from pmsstats.endpoints.definitions.field_checks import (
    as_tuple,
    is_number,
    require_choice,
    require_text,
)
from pmsstats.endpoints.definitions.rule_texts import (
    capital,
    check_texts,
    definition,
    require_whole_days,
)
from pmsstats.endpoints.scores.annual_change import AnnualMethod
from pmsstats.errors import DesignError

__all__ = ["LesionEventRule", "VolumeLossRule", "scan_sentences"]

Since = Literal["baseline", "previous"]


@dataclass(frozen=True, kw_only=True)
class LesionEventRule:
    """The first scan after baseline with new or enhancing lesions.

    Parameters
    ----------
    measures : tuple of str, default ("new_t2_count", "gd_lesion_count")
        Counts (columns of the visits table). A visit with a value of any of them is a scan.
    threshold : float, default 0
        A scan is active if any of the counts is above this.
    from_day : int, default 0
        Above 0, the first scan at or after this day is a new baseline, and only scans after it
        count ("re-baselining" at week 24, say, by when a treatment works: give the first day of
        that visit's window). Time still runs from day 0.
    baseline_window_days : int, default 0
        How long after day 0 the first scan may still be the baseline scan, for subjects without
        one at or before day 0. Lesions of the baseline scan are no event.
    name : str
        Short name.
    label : str
        The event in clinical words.
    citation : str
        Source of the definition, with DOI.
    note : str
        Where sources differ, or how this differs from the source.

    Raises
    ------
    DesignError
        If a field is of the wrong type or range, or fields contradict each other.

    Notes
    -----
    A lesion appeared at some time after the last scan that counted without one (or the baseline
    scan), and not after the scan that shows it: the interval of the event. Time runs from the
    baseline scan: the last one at or before day 0, or else from day 0.

    Counts of new lesions refer to the scan before. Where that scan is the baseline scan because
    the one at `from_day` was missed, a new lesion may be an early one: so the first scan at or
    after `from_day` is the new baseline, whenever it comes.

    Examples
    --------
    >>> LesionEventRule(measures=("gd_lesion_count",), from_day=154).from_day
    154
    """

    measures: tuple[str, ...] = ("new_t2_count", "gd_lesion_count")
    threshold: float = 0.0
    from_day: int = 0
    baseline_window_days: int = 0
    name: str = "lesion"
    label: str = ""
    citation: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check measures, threshold and days."""
        check_texts(self)
        measures = as_tuple(self.measures)
        if not measures or not all(isinstance(m, str) and m.strip() for m in measures):
            raise DesignError(
                f"`measures` of rule {self.name!r} must name lesion counts (columns of the visits "
                f"table), got {self.measures!r}."
            )
        object.__setattr__(self, "measures", measures)
        if not is_number(self.threshold) or not 0 <= self.threshold < np.inf:
            raise DesignError(
                f"`threshold` of rule {self.name!r} must be a number of at least 0, got "
                f"{self.threshold!r}. A scan is active if a count is above it."
            )
        _check_baseline_days(self)

    @property
    def title(self) -> str:
        """The event in clinical words."""
        return self.label or "first scan with new or enhancing lesions"

    def describe(self) -> str:
        """Write the definition as a paragraph.

        Returns
        -------
        str
            For a protocol or a methods section.
        """
        counts = " or ".join(f"`{m}`" for m in self.measures)
        return definition(
            self,
            f"{capital(self.title)}: the first scan after the baseline scan with {counts} above "
            f"{self.threshold:g}. {' '.join(scan_sentences(self))}",
        )


@dataclass(frozen=True, kw_only=True)
class VolumeLossRule:
    """Loss of volume, in percent per year, above a cut-off.

    Parameters
    ----------
    outcome : str, default "pbvc_pct"
        A volume, or its change from baseline in percent: a column of the visits table.
    cutoff_pct_per_year : float, default 0.4
        A faster loss is an event; one of exactly so much is none.
    since : {"baseline", "previous"}
        Whether loss is counted from the baseline scan, or from the last scan at least
        `min_interval_days` before.
    method : {"linear", "compound"}
        How loss is annualised, see
        :func:`pmsstats.endpoints.scores.annual_change.annualised_percent_change`.
    min_interval_days : int, default 180
        Shortest interval that is annualised: the error of two measurements is multiplied as the
        interval gets shorter. Near the length of the study, only the last scan is judged.
    from_day : int, default 0
        Above 0, the first scan at or after this day is a new baseline (by when fluid shifts under
        a new treatment, "pseudoatrophy", are over). Time still runs from day 0.
    baseline_window_days : int, default 0
        How long after day 0 the first scan may still be the baseline scan, for subjects without
        one at or before day 0.
    name : str
        Short name.
    label : str
        The event in clinical words.
    citation : str
        Source of the definition, with DOI.
    note : str
        Where sources differ, or how this differs from the source.

    Raises
    ------
    DesignError
        If a field is of the wrong type or range, or fields contradict each other.

    Notes
    -----
    NEDA-4 asks for an annualised brain volume loss of at most 0.4 % [1]_. Of the cut-offs between
    people with MS and healthy controls (SIENA), -0.40 % per year had a specificity of 80 %,
    -0.46 % of 90 % and -0.52 % of 95 % [2]_.

    References
    ----------
    .. [1] Guevara C, et al. Prospective assessment of no evidence of disease activity-4 status in
       early disease stages of multiple sclerosis in routine clinical practice. Front Neurol
       2019;10:788. doi:10.3389/fneur.2019.00788
    .. [2] De Stefano N, et al. Establishing pathological cut-offs of brain atrophy rates in
       multiple sclerosis. J Neurol Neurosurg Psychiatry 2016;87:93-99.
       doi:10.1136/jnnp-2014-309903

    Examples
    --------
    >>> VolumeLossRule(cutoff_pct_per_year=0.52).title
    'volume loss above 0.52 % per year'
    """

    outcome: str = "pbvc_pct"
    cutoff_pct_per_year: float = 0.4
    since: Since = "baseline"
    method: AnnualMethod = "linear"
    min_interval_days: int = 180
    from_day: int = 0
    baseline_window_days: int = 0
    name: str = "volume_loss"
    label: str = ""
    citation: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check every field, and that more of the outcome is not worse."""
        check_texts(self)
        require_text(self, "outcome")
        owner = f"rule {self.name!r}"
        require_choice(owner, "since", self.since, get_args(Since))
        require_choice(owner, "method", self.method, get_args(AnnualMethod))
        cutoff = self.cutoff_pct_per_year
        if not is_number(cutoff) or not 0 <= cutoff < 100:
            raise DesignError(
                f"`cutoff_pct_per_year` of {owner} must be a loss from 0 to 100 % per year, "
                f"without a sign, got {cutoff!r}."
            )
        require_whole_days(self, "min_interval_days")
        _check_baseline_days(self)
        known = default_dictionary().get(self.outcome)
        if known is not None and known.worsening == "higher":
            raise DesignError(
                f"`outcome` of {owner} is {self.outcome!r}, of which more is worse: a loss of it "
                "is no progression."
            )

    @property
    def title(self) -> str:
        """The event in clinical words."""
        return self.label or f"volume loss above {self.cutoff_pct_per_year:g} % per year"

    def describe(self) -> str:
        """Write the definition as a paragraph.

        Returns
        -------
        str
            For a protocol or a methods section.
        """
        start = (
            "the baseline scan"
            if self.since == "baseline"
            else f"the last scan at least {self.min_interval_days} days before"
        )
        return definition(
            self,
            f"{capital(self.title)}: the first scan at which `{self.outcome}` has fallen from "
            f"{start} by more than {self.cutoff_pct_per_year:g} % per year ({self.method} "
            f"annualisation; intervals of fewer than {self.min_interval_days} days are not "
            f"judged). {' '.join(scan_sentences(self))}",
        )


def scan_sentences(rule: LesionEventRule | VolumeLossRule) -> tuple[str, ...]:
    """Say what is the baseline scan, from when to when time runs, and when it is censored.

    Parameters
    ----------
    rule : LesionEventRule or VolumeLossRule
        The definition.

    Returns
    -------
    tuple of str
        Sentences.
    """
    return (
        _reference(rule),
        "Subjects without an event are censored at their last scan that counts.",
    )


def _reference(rule: LesionEventRule | VolumeLossRule) -> str:
    """Say which scan is the baseline, and from when time runs."""
    if rule.from_day:
        return (
            f"The baseline scan is the first one at or after day {rule.from_day}; time runs from "
            "day 0 to the scan that shows the event."
        )
    window = rule.baseline_window_days
    late = f", or else the first within {window} days after it" if window else ""
    return (
        f"The baseline scan is the last one at or before day 0{late}; time runs from it (from day "
        "0 where it is not in the data) to the scan that shows the event."
    )


def _check_baseline_days(rule: LesionEventRule | VolumeLossRule) -> None:
    """Check the days that choose the baseline scan, and that only one of them does."""
    require_whole_days(rule, "from_day")
    require_whole_days(rule, "baseline_window_days")
    if rule.from_day and rule.baseline_window_days:
        raise DesignError(
            f"`baseline_window_days` of rule {rule.name!r} has no meaning where the first scan "
            f"from day {rule.from_day} on is the baseline, whenever it comes. Leave one of them 0."
        )
