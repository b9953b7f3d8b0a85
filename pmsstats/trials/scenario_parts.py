"""Who is in a trial, under what, and when they are seen: parts of a scenario."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pmsstats.cohort.toml_types import NO_OTHER_KEYS
from pmsstats.errors import DesignError

__all__ = [
    "Accrual",
    "IntercurrentEvent",
    "TrialArm",
    "TrialDropout",
    "TrialPopulation",
    "TrialSchedule",
]


@dataclass(frozen=True, kw_only=True)
class TrialPopulation:
    """Who is recruited, and which generator makes them.

    Parameters
    ----------
    model : str
        What the generator knows by this name: a preset such as ``"ppms_trial"``, or
        ``"random_slope"`` and the other plain models of :func:`synthetic.generate_trials`.
    settings : mapping of str to object
        What the model is told: inclusion criteria of a preset (``age``, ``edss``, ``duration``,
        ...), parameters of a plain model.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    model: str = "ppms_trial"
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TrialArm:
    """One arm.

    Parameters
    ----------
    name : str
        Label; the first arm of a scenario is the reference.
    ratio : float
        Its share of the recruits, relative to the other arms that are open.
    treatment : str, optional
        A treatment that the generator knows by name.
    effects : mapping of str to float, or to a mapping of str to float
        What the treatment does, mechanism by mechanism; goes before what `treatment` says. The
        names are the generator's (:class:`synthetic.Arm`: ``atrophy_slowing``, ``slowing`` by
        process, ``worsening_hazard_ratio``, ``onset_years``, ``pseudo_atrophy_pct``, ...).
    factors : tuple of str
        Treatments that it gets, in a factorial trial.
    opens_year, closes_year : float
        Calendar years, from the opening of the trial, between which it recruits.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    name: str
    ratio: float = 1.0
    treatment: str | None = None
    effects: Mapping[str, Any] = field(default_factory=dict)
    factors: tuple[str, ...] = ()
    opens_year: float = 0.0
    closes_year: float = math.inf

    def __post_init__(self) -> None:
        """Check ranges."""
        if not (self.ratio > 0 and math.isfinite(self.ratio)):
            raise DesignError(
                f"`ratio` of arm {self.name!r} must be above 0, or nobody is allocated to it, "
                f"got {self.ratio!r}. Leave the arm out instead."
            )
        for name, value in self.effects.items():
            inside = value.items() if isinstance(value, Mapping) else ((name, value),)
            for key, number in inside:
                if isinstance(number, bool) or not isinstance(number, int | float):
                    raise DesignError(
                        f"Effect {key!r} of arm {self.name!r} must be a number, got {number!r}."
                    )
        if not 0 <= self.opens_year < self.closes_year:
            raise DesignError(
                f"Arm {self.name!r} must open at 0 or later and before it closes, got "
                f"`opens_year` {self.opens_year!r} and `closes_year` {self.closes_year!r}."
            )


@dataclass(frozen=True, kw_only=True)
class Accrual:
    """Who enters when.

    Parameters
    ----------
    n_subjects : int
        Subjects to randomise, all arms together; the most that a design may reach.
    years : float
        How long recruitment takes; 0: all enter on the first day.
    pattern : {"uniform", "poisson", "ramp"}
        Evenly spaced, as a Poisson process of the same mean rate, or evenly after a start in which
        the rate rises linearly.
    ramp_years : float
        Length of that start.
    allocation : {"blocks", "simple"}
        Permuted blocks that keep the ratio, or each subject by chance.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    n_subjects: int
    years: float = 0.0
    pattern: Literal["uniform", "poisson", "ramp"] = "uniform"
    ramp_years: float = 0.0
    allocation: Literal["blocks", "simple"] = "blocks"

    def __post_init__(self) -> None:
        """Check ranges."""
        n = self.n_subjects
        if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 2:
            raise DesignError(f"`n_subjects` must be a whole number of 2 or more, got {n!r}.")
        if not 0 <= self.years < math.inf:
            raise DesignError(f"`years` of the accrual must be 0 or more, got {self.years!r}.")
        if self.pattern == "ramp" and not 0 < self.ramp_years <= self.years:
            raise DesignError(
                f"`ramp_years` must be above 0 and at most `years` ({self.years!r}), "
                f"got {self.ramp_years!r}."
            )


@dataclass(frozen=True, kw_only=True)
class TrialSchedule:
    """When each subject is seen, in weeks from entry.

    Parameters
    ----------
    weeks : tuple of int
        Planned visits, ascending from 0.
    imaging_weeks : tuple of int, optional
        Those with a scan; all of them by default.
    window_days : float
        A visit takes place at most so long before or after its day.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    weeks: tuple[int, ...]
    imaging_weeks: tuple[int, ...] | None = None
    window_days: float = 0.0

    def __post_init__(self) -> None:
        """Check order."""
        weeks = self.weeks
        if len(weeks) < 2 or weeks[0] != 0 or any(a >= b for a, b in itertools.pairwise(weeks)):
            raise DesignError(
                "`weeks` of the schedule must start at 0 and ascend, with two visits or more, "
                f"got {weeks!r}."
            )
        strange = sorted(set(self.imaging_weeks or ()) - set(weeks))
        if strange:
            raise DesignError(f"`imaging_weeks` must be some of `weeks`, got also {strange[0]!r}.")
        if not 0 <= self.window_days < 3.5 * min(b - a for a, b in itertools.pairwise(weeks)):
            raise DesignError(
                f"`window_days` must be 0 or more and keep visits apart, got {self.window_days!r}."
            )


@dataclass(frozen=True, kw_only=True)
class TrialDropout:
    """What is not seen.

    Parameters
    ----------
    share : float
        Of the subjects, who leave before the last planned visit, where nothing else makes them
        leave: a constant hazard. Under ``"mar"`` and ``"mnar"`` that of those who never worsen.
    mechanism : {"mcar", "mar", "mnar"}
        Who leaves more, as :class:`synthetic.MissingnessModel` says.
    log_hazard : float
        Log hazard ratio of leaving after (or, under ``"mnar"``, before) a worsening.
    missed_visit, missed_scan : float
        Probability that a visit after the first, or its scan, does not take place.
    death_rate : float
        Per year.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    share: float = 0.0
    mechanism: Literal["mcar", "mar", "mnar"] = "mcar"
    log_hazard: float = 0.0
    missed_visit: float = 0.0
    missed_scan: float = 0.0
    death_rate: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("share", "missed_visit", "missed_scan"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise DesignError(
                    f"`{name}` of the dropout must be a share from 0 to below 1, got {value!r}."
                    + (" 20 % is 0.2." if value > 1 else "")
                )
        if not 0 <= self.death_rate < math.inf:
            raise DesignError(f"`death_rate` must be 0 or more, got {self.death_rate!r}.")


@dataclass(frozen=True, kw_only=True)
class IntercurrentEvent:
    """Something after randomisation that changes what a measurement means (ICH E9 R1).

    Parameters
    ----------
    name : str
        As ``"discontinuation"`` or ``"rescue"``.
    rate : float
        Per year, in arms that `rates` does not name.
    rates : mapping of str to float
        By arm.
    effect_after : {"stops", "continues"}
        Whether the treatment effect ends with it (the course then goes on as in the reference arm).
    seen_after : float
        Share of those with the event who are seen after it.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    name: str = "discontinuation"
    rate: float = 0.0
    rates: Mapping[str, float] = field(default_factory=dict)
    effect_after: Literal["stops", "continues"] = "stops"
    seen_after: float = 1.0

    def __post_init__(self) -> None:
        """Check ranges."""
        for value in (self.rate, *self.rates.values()):
            if not 0 <= value < math.inf:
                raise DesignError(f"The rate of {self.name!r} must be 0 or more, got {value!r}.")
        if not 0 <= self.seen_after <= 1:
            raise DesignError(
                f"`seen_after` of {self.name!r} must be a share from 0 to 1, "
                f"got {self.seen_after!r}."
            )
