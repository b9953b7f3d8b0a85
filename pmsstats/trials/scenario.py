"""A trial as one frozen object: who, under what, seen when, analysed how, stopped by which rule."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.cohort.toml_types import NO_OTHER_KEYS
from pmsstats.errors import DesignError, nearest
from pmsstats.trials.scenario_analyses import (
    AnalysisMethod,
    DecisionRule,
    Interim,
    TrialAnalysis,
    TrialEndpoint,
)
from pmsstats.trials.scenario_parts import (
    Accrual,
    IntercurrentEvent,
    TrialArm,
    TrialDropout,
    TrialPopulation,
    TrialSchedule,
)

__all__ = [
    "Accrual",
    "AnalysisMethod",
    "DecisionRule",
    "IntercurrentEvent",
    "Interim",
    "Scenario",
    "TrialAnalysis",
    "TrialArm",
    "TrialDropout",
    "TrialEndpoint",
    "TrialPopulation",
    "TrialSchedule",
]


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One trial, as it may be simulated.

    Parameters
    ----------
    name : str
        Title.
    population : TrialPopulation
        Who is recruited.
    arms : tuple of TrialArm
        Reference first.
    accrual : Accrual
        How many, how fast.
    schedule : TrialSchedule
        When they are seen.
    endpoints : tuple of TrialEndpoint
        What is measured.
    analyses : tuple of TrialAnalysis
        How it is analysed.
    decision : DecisionRule
        When it is a success.
    dropout : TrialDropout
        What is not seen.
    intercurrent : tuple of IntercurrentEvent
        What may happen to treatment.
    interims : tuple of Interim
        In the order in which they take place.
    max_failure_rate : float
        Share of replicates whose analysis may fail before the simulation stops.
    citation : str
        Where the numbers come from.

    Raises
    ------
    DesignError
        If parts contradict each other.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    name: str
    population: TrialPopulation
    arms: tuple[TrialArm, ...]
    accrual: Accrual
    schedule: TrialSchedule
    endpoints: tuple[TrialEndpoint, ...]
    analyses: tuple[TrialAnalysis, ...]
    decision: DecisionRule
    dropout: TrialDropout = TrialDropout()  # noqa: RUF009 (immutable)
    intercurrent: tuple[IntercurrentEvent, ...] = ()
    interims: tuple[Interim, ...] = ()
    max_failure_rate: float = 0.01
    citation: str = ""

    def __hash__(self) -> int:
        """Equal scenarios have the same content, and so the same hash."""
        return hash(self.fingerprint)

    def __post_init__(self) -> None:
        """Check what the parts cannot check alone."""
        self._check_arms()
        endpoints = _distinct("endpoints", self.endpoints)
        analyses = _distinct("analyses", self.analyses)
        _distinct("interims", self.interims)
        _distinct("intercurrent", self.intercurrent)
        for analysis in self.analyses:
            for name in (analysis.endpoint, *analysis.endpoints):
                _known(f"`endpoint` of analysis {analysis.name!r}", name, endpoints)
            for name in analysis.strategies:
                events = tuple(event.name for event in self.intercurrent)
                _known(f"`strategies` of analysis {analysis.name!r}", name, events)
        _known("`analysis` of the decision", self.decision.analysis, analyses)
        for interim in self.interims:
            _known(f"`analysis` of interim {interim.name!r}", interim.analysis, analyses)
            self._check_interim(interim)
        if not 0 <= self.max_failure_rate <= 1:
            raise DesignError(
                f"`max_failure_rate` must be a share from 0 to 1, got {self.max_failure_rate!r}."
            )

    def _check_arms(self) -> None:
        """Refuse a trial without a comparison."""
        if len(self.arms) < 2:
            raise DesignError(f"`arms` must be two or more, got {len(self.arms)}.")
        names = _distinct("arms", self.arms)
        if self.arms[0].opens_year > 0:
            raise DesignError(f"The reference arm {names[0]!r} must be open from the start.")
        late = [
            a.name for a in self.arms if a.opens_year > 0 and a.opens_year >= self.accrual.years
        ]
        if late:
            raise DesignError(
                f"Arm {late[0]!r} has no patients: it opens when recruitment is over "
                f"(after {self.accrual.years:g} years)."
            )
        for event in self.intercurrent:
            for name in event.rates:
                _known(f"`rates` of {event.name!r}", name, names)

    def _check_interim(self, interim: Interim) -> None:
        """Refuse an interim after the end, or by a week without a visit."""
        end = self.planned_years
        if interim.week is not None and interim.week not in self.schedule.weeks:
            raise DesignError(
                f"`week` of interim {interim.name!r} must be one of the visits in weeks "
                f"{', '.join(map(str, self.schedule.weeks))}, got {interim.week:g}."
            )
        if interim.at == "year" and interim.value >= end:
            raise DesignError(
                f"Interim {interim.name!r} is planned in year {interim.value:g}, but the trial "
                f"ends in year {end:g}. Move it before the end."
            )
        if interim.at == "enrolled" and interim.value > self.accrual.n_subjects:
            raise DesignError(
                f"Interim {interim.name!r} waits for {interim.value:g} subjects, but "
                f"{self.accrual.n_subjects} are recruited."
            )
        final = self.decision
        if interim.at == "events" and final.final == "events":
            same = interim.analysis == final.analysis
            if same and interim.value >= (final.final_value or math.inf):
                raise DesignError(
                    f"Interim {interim.name!r} waits for {interim.value:g} events, but the trial "
                    f"ends after {final.final_value:g}."
                )

    @property
    def planned_years(self) -> float:
        """Calendar years until the planned end: recruitment and the follow-up of the last."""
        if self.decision.final == "year":
            return float(self.decision.final_value or 0)
        return self.accrual.years + 7 * self.schedule.weeks[-1] / DAYS_PER_YEAR

    @property
    def arm_names(self) -> tuple[str, ...]:
        """Names of the arms, reference first."""
        return tuple(arm.name for arm in self.arms)

    @property
    def comparison_order(self) -> dict[str, int]:
        """Return the place of each comparison: arms, then factors, as they are listed."""
        factors = [factor for arm in self.arms for factor in arm.factors]
        names = dict.fromkeys([*self.arm_names[1:], *factors])
        return {name: i for i, name in enumerate(names)}

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that the generator has to make, each once."""
        return tuple(dict.fromkeys(endpoint.measure for endpoint in self.endpoints))

    def endpoint(self, name: str) -> TrialEndpoint:
        """Return an endpoint by name.

        Parameters
        ----------
        name : str
            One that the scenario has.

        Returns
        -------
        TrialEndpoint
            The endpoint.
        """
        return next(e for e in self.endpoints if e.name == name)

    def analysis(self, name: str) -> TrialAnalysis:
        """Return an analysis by name.

        Parameters
        ----------
        name : str
            One that the scenario has.

        Returns
        -------
        TrialAnalysis
            The analysis.
        """
        return next(a for a in self.analyses if a.name == name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types: what differs from the defaults, as in ``scenario.toml``."""
        return _plain(self)

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that the simulated numbers depend on: all but name and citation."""
        content = {k: v for k, v in self.to_dict().items() if k not in {"name", "citation"}}
        text = json.dumps(content, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def _plain(part: Any) -> dict[str, Any]:
    """Return the fields of a part that differ from their defaults."""
    found = {}
    for entry in dataclasses.fields(part):
        value = getattr(part, entry.name)
        default = entry.default
        if entry.default_factory is not dataclasses.MISSING:
            default = entry.default_factory()
        if default is dataclasses.MISSING or value != default:
            found[entry.name] = _plain_value(value)
    return found


def _plain_value(value: Any) -> Any:
    """Return a value of a part as JSON has it; infinity as the text that TOML reads back."""
    if dataclasses.is_dataclass(value):
        return _plain(value)
    if isinstance(value, Mapping):
        return {str(key): _plain_value(entry) for key, entry in value.items()}
    if isinstance(value, tuple | list):
        return [_plain_value(entry) for entry in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return float(value) if isinstance(value, float) else value


def _distinct(field_name: str, parts: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the names of parts, each of which must be another."""
    names = tuple(part.name for part in parts)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise DesignError(f"`{field_name}` must have different names, got {twice[0]!r} twice.")
    return names


def _known(where: str, name: str, names: tuple[str, ...]) -> None:
    """Refuse a name that is none of those declared."""
    if name not in names:
        listed = ", ".join(map(repr, names)) or "none"
        raise DesignError(f"{where} names {name!r}, but there are {listed}.{nearest(name, names)}")
