"""Moments of a cohort that papers print: levels, changes, shares, correlations."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from pmsstats.validation.analyses import Analysis
from pmsstats.validation.analyses.base import FloatArray, emitted, label_of, unit_of
from pmsstats.validation.analyses.outcomes import VISIT_WINDOW_DAYS
from pmsstats.validation.calibration.published import Kind

if TYPE_CHECKING:
    from pmsstats.validation.studies import Studies

__all__ = [
    "AnnualChange",
    "Attrition",
    "ChangeOver",
    "Coefficient",
    "EventShare",
    "Level",
    "Moment",
    "MomentValue",
    "PositiveShare",
]

Statistic = Literal["mean", "median", "sd", "coefficient of variation"]

_DAYS_PER_WEEK = 7
_MEDIAN_ERROR = float(np.sqrt(np.pi / 2))  # of a normal sample, in errors of its mean


@dataclass(frozen=True, kw_only=True)
class MomentValue:
    """A moment of a large cohort.

    Parameters
    ----------
    value, std_error : float
        The moment and its Monte Carlo error.
    spread : float
        Standard deviation between persons; NaN where there is none to speak of.
    n : int
        Persons behind it.
    """

    value: float
    std_error: float
    spread: float
    n: int


class Moment(abc.ABC):
    """A moment that a paper prints; subclasses are frozen dataclasses of plain fields.

    They say which of their fields name measures (`_reads`), and compute in `_value`.
    """

    arm: str = ""
    """Only subjects of this arm; all by default."""

    _reads: ClassVar[tuple[str, ...]] = ("measure",)

    @property
    @abc.abstractmethod
    def units(self) -> str:
        """Unit of the value."""

    @property
    @abc.abstractmethod
    def kind(self) -> Kind:
        """Which sampling distribution it has in a study."""

    @abc.abstractmethod
    def describe(self) -> str:
        """Return what it is in words, without on whom."""

    @abc.abstractmethod
    def _value(self, chosen: Studies) -> MomentValue:
        """Compute it, of the subjects of the arm."""

    def value(self, studies: Studies) -> MomentValue:
        """Compute it on a large cohort.

        Parameters
        ----------
        studies : Studies
            One study, of all subjects concerned.

        Returns
        -------
        MomentValue
            In :attr:`units`.
        """
        phenotypes = tuple(dict.fromkeys(studies.group.tolist()))
        return self._value(studies.select(phenotypes, arm=self.arm))

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that it reads, as the generator emits them."""
        return emitted(*(getattr(self, field) for field in self._reads))

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Endpoints that it needs, for which disability must be rated often."""
        return ()


def _summary(values: FloatArray, statistic: Statistic) -> MomentValue:
    """Summarise the persons of a study."""
    known = values[np.isfinite(values)]
    n, mean, spread = len(known), float(known.mean()), float(known.std(ddof=1))
    error = spread / np.sqrt(n)
    if statistic == "mean":
        return MomentValue(value=mean, std_error=error, spread=spread, n=n)
    if statistic == "median":
        return MomentValue(
            value=float(np.median(known)), std_error=_MEDIAN_ERROR * error,
            spread=_MEDIAN_ERROR * spread, n=n,
        )  # fmt: skip
    if statistic == "sd":
        return MomentValue(
            value=spread, std_error=spread / np.sqrt(2 * (n - 1)), spread=float("nan"), n=n
        )
    ratio = spread / abs(mean)
    return MomentValue(
        value=ratio, std_error=ratio * np.sqrt(0.5 + ratio**2) / np.sqrt(n),
        spread=ratio * np.sqrt(0.5 + ratio**2), n=n,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class _OfPersons(Moment):
    """A summary of one number per person: `statistic` of `measure` over persons."""

    measure: str
    statistic: Statistic = "mean"

    @property
    def kind(self) -> Kind:
        """Which sampling distribution it has in a study."""
        return "spread" if self.statistic == "sd" else "mean"


@dataclass(frozen=True, kw_only=True)
class Level(_OfPersons):
    """A measure at one time.

    Parameters
    ----------
    measure : str
        Name, or ``"duration"`` (years since first symptoms).
    statistic : {"mean", "median", "sd"}, default "mean"
        Over persons.
    at : float, default 0.0, years
        When.
    """

    at: float = 0.0

    @property
    def units(self) -> str:
        """Unit of the value."""
        return unit_of(self.measure)

    def describe(self) -> str:
        """Return what it is in words."""
        return f"{self.statistic} of {label_of(self.measure)}"

    def _value(self, chosen: Studies) -> MomentValue:
        """Summarise the persons."""
        return _summary(chosen.at(self.measure, self.at), self.statistic)


@dataclass(frozen=True, kw_only=True)
class AnnualChange(_OfPersons):
    """Annual change of a measure, from the least-squares slope of each person.

    Parameters
    ----------
    measure : str
        What changes.
    statistic : {"mean", "median", "sd", "coefficient of variation"}, default "mean"
        Over persons.
    percent : bool, default True
        In percent of the mean at baseline; else in the measure's unit. A measure of change from
        baseline, or of counts since the last scan, keeps its unit.
    arm : str
        Only subjects of this arm; all by default.
    """

    percent: bool = True
    arm: str = ""

    @property
    def units(self) -> str:
        """Unit of the value."""
        if self.statistic == "coefficient of variation":
            return "SD over mean"
        return "% per year" if self.percent else f"{unit_of(self.measure)} per year"

    def describe(self) -> str:
        """Return what it is in words."""
        what = {"mean": "annual change", "median": "median annual change", "sd": "SD of the "
                "annual change", "coefficient of variation": "SD over mean of the annual "
                "change"}[self.statistic]  # fmt: skip
        return f"{what} of {label_of(self.measure)}"

    def _value(self, chosen: Studies) -> MomentValue:
        """Summarise the persons' slopes."""
        slope = chosen.slope(self.measure)
        if self.percent and not chosen.is_change(self.measure):
            slope = 100 * slope / np.nanmean(chosen.at(self.measure, 0.0))
        return _summary(slope, self.statistic)


@dataclass(frozen=True, kw_only=True)
class ChangeOver(_OfPersons):
    """Change of a measure between two scans.

    Parameters
    ----------
    measure : str
        What changes.
    statistic : {"mean", "median", "sd"}, default "mean"
        Over persons.
    until : float, years
        The later scan.
    since : float, default 0.0, years
        The earlier one.
    percent : bool, default True
        Of each person's earlier value; else in the measure's unit.
    arm : str
        Only subjects of this arm; all by default.
    """

    until: float
    since: float = 0.0
    percent: bool = True
    arm: str = ""

    @property
    def units(self) -> str:
        """Unit of the value."""
        return "%" if self.percent else unit_of(self.measure)

    def describe(self) -> str:
        """Return what it is in words."""
        spread = "SD of the " if self.statistic == "sd" else ""
        middle = "median " if self.statistic == "median" else ""
        return (
            f"{spread}{middle}change of {label_of(self.measure)}, year {self.since:g} to "
            f"{self.until:g}"
        )

    def _value(self, chosen: Studies) -> MomentValue:
        """Summarise the persons' changes."""
        late = chosen.at(self.measure, self.until)
        early = chosen.at(self.measure, self.since)
        if chosen.is_change(self.measure):
            change = late - (early if self.since > 0 else 0.0)
        else:
            change = 100 * (late / early - 1) if self.percent else late - early
        return _summary(change, self.statistic)


class _Percentage(Moment):
    """A percentage of persons."""

    units = "%"
    kind = "share"


def _share(happened: FloatArray) -> MomentValue:
    """Return a percentage with its Monte Carlo error."""
    share, n = float(happened.mean()), len(happened)
    spread = 100 * np.sqrt(share * (1 - share))
    return MomentValue(value=100 * share, std_error=spread / np.sqrt(n), spread=spread, n=n)


@dataclass(frozen=True, kw_only=True)
class PositiveShare(_Percentage):
    """Share of persons in whom a measure is above zero at baseline.

    Parameters
    ----------
    measure : str
        Presence or count.
    """

    measure: str

    def describe(self) -> str:
        """Return what it is in words."""
        return f"share with {label_of(self.measure)}"

    def _value(self, chosen: Studies) -> MomentValue:
        """Count."""
        found = chosen.at(self.measure, 0.0)
        return _share((found[np.isfinite(found)] > 0).astype(float))


@dataclass(frozen=True, kw_only=True)
class EventShare(_Percentage):
    """Share of persons at risk with an event by some time, without attrition.

    Parameters
    ----------
    outcome : str
        Endpoint preset.
    weeks : int
        By when the event begins, the visit planned for then included; follow-up goes on until it
        can be confirmed.
    arm : str
        Only subjects of this arm; all by default.
    """

    outcome: str
    weeks: int
    arm: str = ""

    _reads = ()  # those of the outcome are added where it is rated

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Endpoints that it needs."""
        return (self.outcome,)

    def describe(self) -> str:
        """Return what it is in words."""
        return f"{self.outcome} by week {self.weeks}"

    def _value(self, chosen: Studies) -> MomentValue:
        """Count; nobody leaves before, so the share is the Kaplan-Meier estimate."""
        events = chosen.event(self.outcome)
        at_risk = np.isfinite(events.duration)
        early = events.happened & (
            events.duration <= _DAYS_PER_WEEK * self.weeks + VISIT_WINDOW_DAYS
        )
        return _share(early[at_risk].astype(float))


@dataclass(frozen=True, kw_only=True)
class Attrition(_Percentage):
    """Share of persons who leave early, deaths aside.

    Parameters
    ----------
    weeks : int
        By when.
    """

    weeks: int

    measures = ("edss",)  # dropout may depend on it

    def describe(self) -> str:
        """Return what it is in words."""
        return f"left the study by week {self.weeks}"

    def _value(self, chosen: Studies) -> MomentValue:
        """Count the exits before the planned end."""
        exits = pd.concat([c.tables.exits for c in chosen.cohorts], ignore_index=True)
        gone = (exits["reason"] == "dropout") & (exits["day"] < _DAYS_PER_WEEK * self.weeks)
        return _share(gone.to_numpy(float))


@dataclass(frozen=True, kw_only=True)
class Coefficient(Moment):
    """The estimate of an analysis of the checks, such as a correlation or a difference of rates.

    Parameters
    ----------
    analysis : Analysis
        What is estimated, on whom.
    """

    analysis: Analysis

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that it reads."""
        return self.analysis.measures

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Endpoints that it needs."""
        return self.analysis.outcomes

    @property
    def units(self) -> str:
        """Unit of the value."""
        return self.analysis.units

    @property
    def kind(self) -> Kind:
        """Which sampling distribution it has in a study."""
        return "correlation" if self.units == "correlation" else "mean"

    def describe(self) -> str:
        """Return what it is in words."""
        return self.analysis.describe()

    def _value(self, chosen: Studies) -> MomentValue:
        """Run the analysis."""
        found = self.analysis.estimate(chosen)
        error = float(found.std_error[0])
        return MomentValue(
            value=float(found.estimate[0]), std_error=error,
            spread=error * np.sqrt(found.n), n=found.n,
        )  # fmt: skip
