"""The composite rule: an event when one, several or all of other events have happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from pmsstats.endpoints.definitions.event_rules import (
    ExitEventRule,
    LesionEventRule,
    RecordedEventRule,
    RelapseEventRule,
    VolumeLossRule,
)
from pmsstats.endpoints.definitions.field_checks import (
    as_tuple,
    require_choice,
    require_text,
)
from pmsstats.endpoints.definitions.modified import honest_words, modified_rule
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.endpoints.definitions.rule_texts import capital, check_texts, definition, rule_html
from pmsstats.endpoints.definitions.shared_sentences import parts_in_words
from pmsstats.errors import DesignError

__all__ = ["CompositeRule", "PartRule", "rule_title"]

_TIME = (
    "The composite happens on the day on which the part that completes it happened. Time runs "
    "from the latest of the baselines of the parts."
)

MissingPart = Literal["ignore", "exclude"]
CensorAt = Literal["last_of_any", "first_of_any"]


@dataclass(frozen=True, kw_only=True)
class CompositeRule:
    """An event when enough of its parts have happened.

    Parameters
    ----------
    name : str
        Short name.
    parts : tuple of rules
        At least two, of different names: progression rules, event rules, composites.
    require : {"any", "all"} or int, default "any"
        How many parts make the event: one, all of them, or a number from 1 to the number of parts.
    missing_part : {"ignore", "exclude"}
        What becomes of a subject who cannot be assessed for some part (no baseline value of a
        timed test, say): kept on the other parts if these are enough to make the event, or left
        out.
    censor_at : {"last_of_any", "first_of_any"}
        When a subject without the event is censored: on the last day on which any part was
        assessed, or on the last day up to which the composite is known not to have happened (for
        ``require="any"``, the first day on which the assessment of a part ended).
    label : str
        The event in clinical words; by default made from the parts.
    absence_label : str
        What being free of the event is called: ``"NEDA-3"``.
    citation : str
        Source of the definition, with DOI.
    note : str
        Where sources differ, or how this differs from the source.

    Raises
    ------
    DesignError
        If there are fewer than two parts, two have the same name, one is no rule, or `require`
        is none of the above.

    Notes
    -----
    With ``k`` parts required, the event happens on the day of the k-th smallest of the times of
    its parts. Reports of trials with such endpoints seldom say how subjects were handled who
    lacked a part, or whose assessments ended at different times: so both are options.

    Examples
    --------
    >>> relapse = RelapseEventRule()
    >>> death = ExitEventRule(reasons=("death",), name="death")
    >>> either = CompositeRule(name="relapse_or_death", parts=(relapse, death))
    >>> either.n_required, either.title
    (1, 'first relapse or death')
    """

    name: str
    parts: tuple[PartRule, ...]
    require: Literal["any", "all"] | int = "any"
    missing_part: MissingPart = "ignore"
    censor_at: CensorAt = "last_of_any"
    label: str = ""
    absence_label: str = ""
    citation: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        """Check every field."""
        check_texts(self)
        require_text(self, "absence_label", may_be_empty=True)
        owner = f"rule {self.name!r}"
        require_choice(owner, "missing_part", self.missing_part, get_args(MissingPart))
        require_choice(owner, "censor_at", self.censor_at, get_args(CensorAt))
        object.__setattr__(self, "parts", as_tuple(self.parts))
        _check_parts(self)
        _check_number(self)

    def _repr_html_(self) -> str:
        """Show the definition in words."""
        return rule_html(self.title, self.describe())

    def modified(self, **changes: Any) -> CompositeRule:
        """Return a definition with other fields, which says that it was modified.

        Parameters
        ----------
        **changes
            Fields with their new values.

        Returns
        -------
        CompositeRule
            Without label, absence label and citation of its own (unless given), with a note of
            its origin.

        Raises
        ------
        DesignError
            If there is no such field, or fields contradict each other.
        """
        return modified_rule(self, changes)

    @property
    def n_required(self) -> int:
        """How many parts make the event."""
        if isinstance(self.require, str):
            return 1 if self.require == "any" else len(self.parts)
        return int(self.require)

    @property
    def title(self) -> str:
        """The event in clinical words."""
        words = honest_words(self)
        if words.label:
            return words.label
        names = [rule_title(part) for part in self.parts]
        if self.n_required == 1:
            return _listed(names, "or")
        if self.n_required == len(names):
            return _listed(names, "and")
        return f"{self.n_required} of: {_listed(names, 'and')}"

    def describe(self, parts: tuple[str, ...] = ()) -> str:
        """Write the definition as a paragraph.

        Parameters
        ----------
        parts : tuple of str
            The definitions of the parts, where they are better known than from the rules (with
            measures of one's own); by default those of the rules.

        Returns
        -------
        str
            For a protocol or a methods section. What is the same for all progression parts, or
            all parts seen on scans, is said once.
        """
        words = honest_words(self)
        texts = parts or tuple(part.describe() for part in self.parts)
        sentences = (
            f"{capital(self.title)}: {self._requirement()}. {parts_in_words(self.parts, texts)}",
            _TIME,
            self._missing(),
            self._censoring(),
            f"Without the event: {words.absence_label}." if words.absence_label else "",
        )
        return definition(words, " ".join(s for s in sentences if s))

    def _requirement(self) -> str:
        """Say how many parts make the event."""
        n = len(self.parts)
        if self.n_required == 1:
            return f"the first of {n} events"
        return f"all of {n} events" if self.n_required == n else f"{self.n_required} of {n} events"

    def _missing(self) -> str:
        """Say what becomes of subjects who lack a part."""
        if self.missing_part == "exclude" or self.n_required == len(self.parts):
            return "Subjects who cannot be assessed for a part are left out."
        if self.n_required == 1:
            return "Subjects who cannot be assessed for a part are followed for the others."
        return (
            "Subjects who cannot be assessed for a part are followed for the others, if there are "
            f"at least {self.n_required}."
        )

    def _censoring(self) -> str:
        """Say when subjects without the event are censored."""
        if self.censor_at == "last_of_any":
            return "Subjects without it are censored at their last assessment of any part."
        if self.n_required == 1:
            return "Subjects without it are censored when the assessment of the first part ended."
        return (
            "Subjects without it are censored on the last day on which fewer than "
            f"{self.n_required} parts can have happened."
        )


PartRule = (
    ProgressionRule
    | RecordedEventRule
    | ExitEventRule
    | RelapseEventRule
    | LesionEventRule
    | VolumeLossRule
    | CompositeRule
)
"""What can be a part of a composite."""


def rule_title(rule: PartRule) -> str:
    """Name the event of any rule in clinical words.

    Parameters
    ----------
    rule : PartRule
        The rule.

    Returns
    -------
    str
        Its label, or one made from its fields.
    """
    return rule.title() if isinstance(rule, ProgressionRule) else rule.title


def _check_parts(rule: CompositeRule) -> None:
    """Refuse what is no rule, too few rules, and rules of the same name."""
    for part in rule.parts:
        if not isinstance(part, get_args(PartRule)):
            raise DesignError(
                f"`parts` of rule {rule.name!r} must be rules, got {part!r}. Look a preset up by "
                "name before."
            )
    names = [part.name for part in rule.parts]
    if len(names) < 2:
        raise DesignError(
            f"`parts` of rule {rule.name!r} must be at least two rules, got {len(names)}."
        )
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise DesignError(
            f"`parts` of rule {rule.name!r} must have different names, which say what completed "
            f"the composite, but {twice[0]!r} stands twice. Rename one: "
            'dataclasses.replace(part, name="...").'
        )


def _check_number(rule: CompositeRule) -> None:
    """Refuse a number of parts that is none, or more than there are."""
    value, n = rule.require, len(rule.parts)
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not (value in ("any", "all") if isinstance(value, str) else whole and 1 <= value <= n):
        raise DesignError(
            f"`require` of rule {rule.name!r} must be 'any', 'all' or a whole number from 1 to {n} "
            f"(its parts), got {value!r}."
        )


def _listed(names: list[str], word: str) -> str:
    """Join names by commas and a word before the last."""
    return f"{', '.join(names[:-1])} {word} {names[-1]}"
