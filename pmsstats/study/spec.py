"""The request of the main job: what a study.toml asks, checked before any table is read."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from pmsstats.association.spec import SlopeVisits
from pmsstats.cohort.mapping import MAPPING_KEYS, CohortMapping, parse_mapping
from pmsstats.cohort.toml_types import NO_OTHER_KEYS, check_toml, raise_problems
from pmsstats.endpoints import AnyRule, preset, rule_from_dict
from pmsstats.errors import DesignError, SchemaError, nearest
from pmsstats.results import to_plain

__all__ = ["AnalysisSpec", "StudySpec", "read_study"]

Engine = Literal["native", "statsmodels", "lme4"]
Random = Literal["slope", "intercept"]
Outcome = AnyRule
STUDY_KEYS = ("title", "acknowledgement", "analysis", *MAPPING_KEYS)


@dataclass(frozen=True, kw_only=True)
class AnalysisSpec:
    """The questions of a study.

    Parameters
    ----------
    measure : str
        The imaging (or other) measure whose trajectory is modelled.
    outcome : ProgressionRule, RecordedEventRule or ExitEventRule
        What counts as the event.
    group : str, optional
        Subject column that is compared.
    groups : tuple of str
        Its values to keep, reference first; empty keeps all in the order of the column.
    covariates : tuple of str
        Subject columns to adjust for.
    engine : {"native", "statsmodels", "lme4"}
        Which program fits the mixed model.
    random : {"slope", "intercept"}, default "slope"
        Whether subjects differ in level and rate of change, or (for two visits per subject, which
        cannot tell a rate from noise) in level only. Then there are no individual slopes, and no
        two-stage association.
    slope_visits : {"all", "until_event"}, default "all"
        Which measurements the individual slopes of the two-stage association use.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    SchemaError
        If a field contradicts another or lies outside of its range.
    """

    measure: str
    outcome: Outcome
    group: str | None = None
    groups: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    engine: Engine = "native"
    random: Random = "slope"
    slope_visits: SlopeVisits = "all"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check ranges and the fit between fields."""
        if not 0.5 <= self.conf_level < 1:
            raise SchemaError(
                f"`conf_level` must be at least 0.5 and below 1, got {self.conf_level!r}. "
                "Write 0.95 for 95 %."
            )
        if self.groups and self.group is None:
            raise SchemaError("`groups` is given without `group`. Say which column they are in.")
        if self.group in self.covariates:
            raise SchemaError(
                f"{self.group!r} is both `group` and one of `covariates`. "
                "Leave it out of the latter."
            )


@dataclass(frozen=True, kw_only=True)
class StudySpec:
    """A study file, read and checked.

    Parameters
    ----------
    title : str
        Heading of the report.
    mapping : CohortMapping
        Where the tables are and what their columns mean.
    analysis : AnalysisSpec
        The questions.
    acknowledgement : str
        Whom to thank for the data; printed in the report.
    source : str
        Name of the study file.
    """

    title: str
    mapping: CohortMapping
    analysis: AnalysisSpec
    acknowledgement: str = ""
    source: str = "study.toml"

    def to_dict(self) -> dict[str, Any]:
        """Return the request in plain JSON types, without the folder it was read from.

        Returns
        -------
        dict
            The same wherever the study file lies.
        """
        mapping = {
            field.name: getattr(self.mapping, field.name)
            for field in fields(self.mapping)
            if field.name != "folder"
        }
        return {
            "schema": "study_spec/1",
            "title": self.title,
            "acknowledgement": self.acknowledgement,
            "source": self.source,
            "mapping": to_plain(mapping),
            "analysis": to_plain(self.analysis),
            "definition": self.analysis.outcome.describe(),
        }


@dataclass(frozen=True, kw_only=True)
class _AnalysisShape:
    """Types of the [analysis] table, before the outcome becomes a rule."""

    __pydantic_config__ = NO_OTHER_KEYS

    measure: str
    outcome: Any
    group: str | None = None
    groups: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    engine: Engine = "native"
    random: Random = "slope"
    slope_visits: SlopeVisits = "all"
    conf_level: float = 0.95


@dataclass(frozen=True, kw_only=True)
class _StudyShape:
    """Types of the part of a study file that is not about its tables."""

    __pydantic_config__ = NO_OTHER_KEYS

    analysis: _AnalysisShape
    title: str = ""
    acknowledgement: str = ""


def read_study(path: str | Path) -> StudySpec:
    """Read and check a study.toml; no table is opened yet.

    Parameters
    ----------
    path : str or pathlib.Path
        The file. Paths in it are relative to its folder.

    Returns
    -------
    StudySpec
        The frozen request.

    Raises
    ------
    SchemaError
        If the file is missing, is no TOML, or holds an unknown key, a wrong type or an unknown
        rule: all problems at once, with the nearest name that would be accepted.
    """
    path = Path(path)
    content = _load_toml(path)
    problems = [
        f"{path.name} has no use for the key {key!r}.{nearest(key, STUDY_KEYS)} "
        f"Known: {', '.join(STUDY_KEYS)}."
        for key in content
        if key not in STUDY_KEYS
    ]
    questions = {k: v for k, v in content.items() if k in STUDY_KEYS and k not in MAPPING_KEYS}
    shape, wrong = check_toml(_StudyShape, questions, source=path.name)
    mapping, misfits = _mapping(content, path)
    analysis, misasked = _analysis(shape, mapping, path.name)
    raise_problems([*problems, *wrong, *misfits, *misasked], path.name)
    return StudySpec(
        title=shape.title or path.stem,
        acknowledgement=shape.acknowledgement,
        mapping=mapping,
        analysis=analysis,
        source=path.name,
    )


def _load_toml(path: Path) -> dict[str, Any]:
    """Read TOML, or say in which line it stops being TOML."""
    if not path.is_file():
        near = [p.name for p in path.parent.glob("*.toml")] if path.parent.is_dir() else []
        raise SchemaError(
            f"No study file at {path}.{nearest(path.name, near)} "
            "Give the path of a study.toml (README, 'Your own tables', shows one)."
        )
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except tomllib.TOMLDecodeError as exc:
        raise SchemaError(
            f"{path.name} is not valid TOML: {exc}.{_toml_hint(path, str(exc))}"
        ) from exc
    except UnicodeDecodeError as exc:
        raise SchemaError(f"{path.name} is not UTF-8 text. Save it as UTF-8.") from exc


def _toml_hint(path: Path, error: str) -> str:
    """Guess what went wrong."""
    if path.suffix.lower() != ".toml":
        return " If it is a table, name it in a study.toml and give that file."
    if "Invalid value" in error:
        return ' Text needs plain quotes, as in title = "My study".'
    if "verwrite" in error or "twice" in error:
        return " The same key or [table] stands there twice."
    return ""


def _mapping(content: Mapping[str, Any], path: Path) -> tuple[CohortMapping | None, list[str]]:
    """Check where the tables are; the problems come as text, to stand with the others."""
    about_tables = {key: content[key] for key in MAPPING_KEYS if key in content}
    try:
        return parse_mapping(about_tables, source=path.name, folder=path.parent), []
    except SchemaError as exc:
        return None, _listed(exc)


def _listed(error: SchemaError) -> list[str]:
    """Take the message of several problems apart."""
    first, *rest = str(error).split("\n- ")
    return rest or [first]


def _analysis(
    shape: _StudyShape | None, mapping: CohortMapping | None, source: str
) -> tuple[AnalysisSpec | None, list[str]]:
    """Turn the [analysis] table to a spec: its outcome becomes a rule."""
    if shape is None:
        return None, []
    values = {field.name: getattr(shape.analysis, field.name) for field in fields(AnalysisSpec)}
    try:
        values["outcome"] = _rule(values["outcome"], mapping)
        return AnalysisSpec(**values), []
    except (SchemaError, DesignError) as exc:
        return None, [f"[analysis] in {source}: {exc}"]


def _rule(outcome: object, mapping: CohortMapping | None) -> Outcome:
    """Look up a preset, or build the rule that a table describes."""
    if isinstance(outcome, str):
        return preset(outcome)
    if not isinstance(outcome, dict):
        raise SchemaError(
            f'`outcome` must be the name of a rule, as in "cdp12", or a table, as in '
            f'{{measure = "edss", change = 1.0}}; got {outcome!r}.'
        )
    return rule_from_dict(outcome, dictionary=None if mapping is None else mapping.dictionary)
