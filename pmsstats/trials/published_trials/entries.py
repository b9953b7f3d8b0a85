"""Published trials as scenarios: what each takes from its paper, what it assumes, what it found."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

from pmsstats import evidence
from pmsstats.cohort.toml_types import NO_OTHER_KEYS, check_toml, raise_problems
from pmsstats.errors import DesignError, SchemaError, nearest
from pmsstats.trials.scenario import Scenario
from pmsstats.trials.scenario_toml import scenario_from_dict

__all__ = ["LibraryTrial", "PublishedFinding", "library_trial", "parse_trial", "trial_library"]


@dataclass(frozen=True, kw_only=True)
class PublishedFinding:
    """What a paper reported on one comparison, on the scale of the scenario's analysis.

    Parameters
    ----------
    what : str
        In words.
    analysis, comparison : str
        Of the scenario.
    found : {"better", "worse", "no difference"}
        What the paper concluded of the treated arm: significant, or not.
    record : str, optional
        The evidence record of the effect.
    minus : str, optional
        A record to be subtracted from it (value of the treated arm, minus that of the reference).
    scale : {"difference", "ratio"}
        A ratio is compared as its logarithm.
    factor : float
        By which the published number is multiplied, for its unit or sign.
    review : str, optional
        The finding of the review that says so, where no number is printed.
    note : str
        How the paper's quantity differs from the scenario's.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    what: str
    analysis: str
    comparison: str
    found: Literal["better", "worse", "no difference"]
    record: str | None = None
    minus: str | None = None
    scale: Literal["difference", "ratio"] = "difference"
    factor: float = 1.0
    review: str | None = None
    note: str = ""

    @property
    def value(self) -> float:
        """Published effect on the scale of the analysis; not a number where none is printed."""
        return self.interval[0]

    @property
    def interval(self) -> tuple[float, float, float]:
        """Published effect and its 95 % interval, not numbers where they are not printed."""
        if self.record is None:
            return math.nan, math.nan, math.nan
        entry = evidence.record(self.record)
        numbers = [_number(v) for v in (entry.value, entry.ci_low, entry.ci_high)]
        if self.minus is not None:
            numbers = [numbers[0] - _number(evidence.record(self.minus).value), math.nan, math.nan]
        if self.scale == "ratio":
            numbers = [math.log(number) for number in numbers]
        value, low, high = (self.factor * number for number in numbers)
        return value, *(sorted((low, high)) if low == low else (low, high))  # noqa: PLR0124

    @property
    def source(self) -> str:
        """Citation of the record, and how it was read; else what the review says."""
        if self.record is not None:
            entry = evidence.record(self.record)
            return f"{entry.citation.text()} ({entry.verified})"
        if self.review is not None:
            return f"Review, Neurol Ther 2018;7:265-285: {evidence.finding(self.review).statement}"
        return ""


@dataclass(frozen=True, kw_only=True)
class LibraryTrial:
    """A published trial.

    Parameters
    ----------
    name : str
        Short name, as :func:`library_trial` takes it.
    scenario : Scenario
        The trial, as it may be simulated.
    takes : tuple of str
        What is taken from the paper.
    assumes : tuple of str
        What is assumed, because the paper (or what could be read of it) does not say it.
    published : tuple of PublishedFinding
        What it found.
    """

    name: str
    scenario: Scenario
    takes: tuple[str, ...]
    assumes: tuple[str, ...]
    published: tuple[PublishedFinding, ...]

    def __str__(self) -> str:
        """Say what the trial is, what is taken from the paper, and what is assumed."""
        return "\n".join(
            [
                f"{self.scenario.name}. {self.scenario.citation}",
                "Taken from the paper:",
                *(f"- {text}" for text in self.takes),
                "Assumed:",
                *(f"- {text}" for text in self.assumes),
            ]
        )


@dataclass(frozen=True, kw_only=True)
class _Shape:
    """A file of the library, besides the scenario."""

    __pydantic_config__ = NO_OTHER_KEYS

    takes: tuple[str, ...]
    assumes: tuple[str, ...]
    published: tuple[PublishedFinding, ...]
    scenario: dict[str, Any]


def _number(value: float | None) -> float:
    """Return a number, or not a number."""
    return math.nan if value is None else float(value)


@cache
def trial_library() -> Mapping[str, LibraryTrial]:
    """Return all published trials by name.

    Returns
    -------
    mapping of str to LibraryTrial
        In alphabetical order.

    Examples
    --------
    >>> "ms_stat" in trial_library()
    True
    """
    folder = resources.files("pmsstats.trials.published_trials")
    paths = sorted(
        (path for path in folder.iterdir() if path.name.endswith(".toml")), key=lambda p: p.name
    )
    return {
        name: parse_trial(name, path.read_text(encoding="utf-8"))
        for path in paths
        for name in [path.name.removesuffix(".toml")]
    }


def library_trial(name: str) -> LibraryTrial:
    """Return a published trial.

    Parameters
    ----------
    name : str
        One of :func:`trial_library`.

    Returns
    -------
    LibraryTrial
        The trial.

    Raises
    ------
    DesignError
        If there is no such trial; with the nearest one.

    Examples
    --------
    >>> library_trial("ms_stat").scenario.accrual.n_subjects
    140
    """
    library = trial_library()
    if name not in library:
        raise DesignError(
            f"The library has no trial {name!r}.{nearest(str(name), library)} "
            f"There are: {', '.join(library)}."
        )
    return library[name]


def parse_trial(name: str, text: str) -> LibraryTrial:
    """Read one file of the library.

    Parameters
    ----------
    name : str
        Short name.
    text : str
        TOML: ``takes``, ``assumes``, ``[[published]]`` and ``[scenario]``.

    Returns
    -------
    LibraryTrial
        Checked.

    Raises
    ------
    SchemaError
        If anything does not fit; all problems at once.
    """
    source = f"{name}.toml"
    shape, problems = check_toml(_Shape, tomllib.loads(text), source=source)
    raise_problems(problems, source)
    assert shape is not None  # noqa: S101 - for the type checker: problems were raised
    scenario = scenario_from_dict(shape.scenario, source=source)
    for finding in shape.published:
        known = {a.name for a in scenario.analyses}, set(scenario.arm_names[1:])
        if finding.analysis not in known[0] or finding.comparison not in known[1]:
            raise SchemaError(
                f"{source}: {finding.what!r} compares {finding.comparison!r} by "
                f"{finding.analysis!r}, which the scenario does not."
            )
    return LibraryTrial(
        name=name,
        scenario=scenario,
        takes=shape.takes,
        assumes=shape.assumes,
        published=shape.published,
    )
