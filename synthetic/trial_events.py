"""Plain models of events: time to one event, and counts of many.

Events have a piecewise constant hazard, times the ratio of the arm from its onset on. Counts are
negative binomial: a Poisson process whose rate differs between subjects by a gamma factor of mean 1
and variance `dispersion`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import DesignError
from synthetic.draws import poisson_counts
from synthetic.trial_arms import ABOVE_ZERO, TrialScenario, arm_values, check_names, real
from synthetic.trial_effects import GroupHazards, hazards_of_groups
from synthetic.trial_models import Cell, Drawn, Truths
from synthetic.trial_settings import is_scan, numbers, require, word
from synthetic.trial_truths import hazard_truths, rate_truths

__all__ = ["CountsModel", "EventModel", "plan_counts", "plan_events"]

_OBSERVED = ("exact", "visits")


@dataclass(frozen=True, kw_only=True)
class EventModel:
    """Plan of ``"event_times"``.

    Parameters
    ----------
    scenario : TrialScenario
        What was asked.
    measure : str
        What the event is called.
    hazards : GroupHazards
        By arm.
    detected_at_visits : bool
        Whether events are dated to the first visit that took place after them.
    """

    scenario: TrialScenario
    measure: str
    hazards: GroupHazards
    detected_at_visits: bool

    accumulates = False
    scans: ClassVar[frozenset[str]] = frozenset()
    purposes: ClassVar[tuple[str, ...]] = ("event",)

    @property
    def measures(self) -> tuple[str, ...]:
        """What it makes."""
        return (self.measure,)

    def draw(self, cell: Cell) -> Drawn:
        """Draw a cell.

        Parameters
        ----------
        cell : Cell
            Who.

        Returns
        -------
        Drawn
            Whether the event has happened by each visit, and its day.
        """
        waited = cell.streams["event"].standard_exponential(cell.n_subjects)
        day = DAYS_PER_YEAR * self.hazards.year(waited, cell.arm, cell.stop_year)
        return Drawn(values={self.measure: np.where(day <= cell.day, 1.0, 0.0)}, event_day=day)

    def worse(self, drawn: Drawn) -> np.ndarray:
        """Say who is worse at which visit: who has had the event.

        Parameters
        ----------
        drawn : Drawn
            From :meth:`draw`, before anything is taken away.

        Returns
        -------
        ndarray of bool, shape (n_visits, n_subjects)
            False at the first visit.
        """
        return drawn.values[self.measure] > 0

    def truths(self) -> Truths:
        """Return true values of the scenario's analyses as far as there are closed forms."""
        if self.detected_at_visits:
            return {}  # ties pull the estimate of a Cox model to 0
        return hazard_truths(self.scenario, self.measure, self.hazards)


@dataclass(frozen=True, kw_only=True)
class CountsModel:
    """Plan of ``"counts"``.

    Parameters
    ----------
    scenario : TrialScenario
        What was asked.
    measure : str
        What is counted.
    rates : GroupHazards
        By arm.
    dispersion : float
        Variance of the rate over subjects, in squares of its mean.
    """

    scenario: TrialScenario
    measure: str
    rates: GroupHazards
    dispersion: float

    accumulates = True
    detected_at_visits = False

    @property
    def measures(self) -> tuple[str, ...]:
        """What it makes."""
        return (self.measure,)

    @property
    def scans(self) -> frozenset[str]:
        """Which of them are taken at scans only."""
        return frozenset((self.measure,) if is_scan(self.measure) else ())

    @property
    def purposes(self) -> tuple[str, ...]:
        """Streams that it draws from."""
        return ("counts", "frailty") if self.dispersion else ("counts",)

    def draw(self, cell: Cell) -> Drawn:
        """Draw a cell.

        Parameters
        ----------
        cell : Cell
            Who.

        Returns
        -------
        Drawn
            Events since the planned visit before; none at the first.
        """
        frailty = 1.0
        if self.dispersion:
            shape = 1 / self.dispersion
            frailty = cell.streams["frailty"].standard_gamma(shape, cell.n_subjects) / shape
        counts = np.zeros(cell.shape)
        before = np.zeros(cell.n_subjects)
        for k in range(1, len(counts)):
            year = np.broadcast_to(cell.year[k], (cell.n_subjects,))
            by_now = self.rates.under(year, cell.arm, cell.stop_year)
            uniform = cell.streams["counts"].random(cell.n_subjects)
            counts[k] = poisson_counts(uniform, frailty * np.maximum(by_now - before, 0.0))
            before = by_now
        return Drawn(values={self.measure: counts})

    def worse(self, drawn: Drawn) -> np.ndarray:
        """Say who is worse at which visit: who has had events since the visit before.

        Parameters
        ----------
        drawn : Drawn
            From :meth:`draw`, before anything is taken away.

        Returns
        -------
        ndarray of bool, shape (n_visits, n_subjects)
            False at the first visit.
        """
        return drawn.values[self.measure] > 0

    def truths(self) -> Truths:
        """Return true values of the scenario's analyses as far as there are closed forms."""
        return rate_truths(self.scenario, self.measure, self.rates)


def plan_events(scenario: TrialScenario) -> EventModel:
    """Read a scenario of time to an event.

    Parameters
    ----------
    scenario : TrialScenario
        Model ``"event_times"``. Settings: ``hazard`` per year (a number, or a list with
        ``breaks``, the years from which the second and further ones hold), ``measure``
        (``"progression"`` by default), ``observed`` (``"exact"``, or ``"visits"``: dated to the
        first visit that took place after it). Effects: ``hazard_ratio``, ``onset_years``.

    Returns
    -------
    EventModel
        The plan.

    Raises
    ------
    DesignError
        If a setting or effect is unknown, missing or out of range.
    """
    settings, model = scenario.population.settings, "event_times"
    check_names("setting", settings, ("measure", "hazard", "breaks", "observed"), model)
    require(settings, ("hazard",), model)
    observed = settings.get("observed", "exact")
    if observed not in _OBSERVED:
        raise DesignError(f"`observed` must be one of {', '.join(_OBSERVED)}, got {observed!r}.")
    return EventModel(
        scenario=scenario,
        measure=word("measure", settings.get("measure", "progression")),
        hazards=_read_rates(scenario, model, "hazard", "hazard_ratio"),
        detected_at_visits=observed == "visits",
    )


def plan_counts(scenario: TrialScenario) -> CountsModel:
    """Read a scenario of counts.

    Parameters
    ----------
    scenario : TrialScenario
        Model ``"counts"``. Settings: ``rate`` per year (a number, or a list with ``breaks``),
        ``dispersion`` (0 by default: Poisson), ``measure`` (``"new_t2_count"`` by default).
        Effects: ``rate_ratio``, ``onset_years``.

    Returns
    -------
    CountsModel
        The plan.

    Raises
    ------
    DesignError
        If a setting or effect is unknown, missing or out of range.
    """
    settings, model = scenario.population.settings, "counts"
    check_names("setting", settings, ("measure", "rate", "breaks", "dispersion"), model)
    require(settings, ("rate",), model)
    measure = word("measure", settings.get("measure", "new_t2_count"))
    if measure == "relapses":
        raise DesignError(
            "The model 'counts' counts events at visits; `measure` cannot be 'relapses', which "
            "have days of their own. Take another name, as 'relapse_count'."
        )
    return CountsModel(
        scenario=scenario,
        measure=measure,
        rates=_read_rates(scenario, model, "rate", "rate_ratio"),
        dispersion=real("dispersion", settings.get("dispersion", 0.0), 0.0, 1e6),
    )


def _read_rates(scenario: TrialScenario, model: str, name: str, ratio: str) -> GroupHazards:
    """Read a piecewise constant rate and what the arms make of it."""
    settings: Mapping[str, Any] = scenario.population.settings
    known: dict[str, tuple[float | None, float, float]] = {
        ratio: (1.0, ABOVE_ZERO, math.inf),
        "onset_years": (0.0, 0.0, math.inf),
    }
    values = arm_values(scenario, known, model)
    given = settings[name]
    is_one = isinstance(given, int | float) and not isinstance(given, bool)
    rates = numbers(name, [given] if is_one else given)
    later = numbers("breaks", settings.get("breaks", ()))
    if len(rates) != len(later) + 1 or (rates < 0).any():
        raise DesignError(
            f"`{name}` must be 0 or more, one number more than `breaks`, got {given!r} with "
            f"{len(later)} breaks."
        )
    if (np.diff([0.0, *later]) <= 0).any():
        raise DesignError(f"`breaks` must ascend from above 0, got {settings['breaks']!r}.")
    return hazards_of_groups(
        np.array([0.0, *later]), rates,
        ratios=np.array(values[ratio]), onsets=np.array(values["onset_years"]),
        n_arms=len(scenario.arms),
    )  # fmt: skip
