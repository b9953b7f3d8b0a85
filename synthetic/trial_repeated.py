"""A plain model of repeated measurements: jointly normal visits of any covariance."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import DesignError
from synthetic.trial_arms import TrialScenario, arm_values, check_names, real
from synthetic.trial_effects import added
from synthetic.trial_models import Cell, Drawn, Truths
from synthetic.trial_settings import cholesky, is_scan, matrix, numbers, require, word
from synthetic.trial_truths import curve_truths

__all__ = ["RepeatedModel", "plan_repeated"]

_SETTINGS = ("measure", "mean", "sd", "correlations", "correlation", "decay", "covariance", "scan")


@dataclass(frozen=True, kw_only=True)
class VisitEffects:
    """What treatment has added by each visit: straight lines between those named.

    Parameters
    ----------
    years : tuple of ndarray
        By arm: ascending, from 0.
    differences : tuple of ndarray
        What was added by then, in the unit of the measure.
    """

    years: tuple[np.ndarray, ...]
    differences: tuple[np.ndarray, ...]

    def __call__(self, year: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Return what was added by then."""
        total = np.zeros(len(group))
        for k, (years, differences) in enumerate(zip(self.years, self.differences, strict=True)):
            here = group == k
            total[here] = np.interp(year[here], years, differences)
        return total


@dataclass(frozen=True, kw_only=True)
class RepeatedModel:
    """Plan of ``"repeated"``.

    Parameters
    ----------
    scenario : TrialScenario
        What was asked.
    measure : str
        Name.
    mean : ndarray, shape (n_visits,)
        Without treatment.
    root : ndarray, shape (n_visits, n_visits)
        Lower Cholesky factor of the covariance.
    effects : VisitEffects
        Of the arms.
    is_scan : bool
        Whether the measure is taken at scans only.
    """

    scenario: TrialScenario
    measure: str
    mean: np.ndarray
    root: np.ndarray
    effects: VisitEffects
    is_scan: bool

    accumulates = False
    detected_at_visits = False
    purposes: ClassVar[tuple[str, ...]] = ("values",)

    @property
    def measures(self) -> tuple[str, ...]:
        """What it makes."""
        return (self.measure,)

    @property
    def scans(self) -> frozenset[str]:
        """Which of them are taken at scans only."""
        return frozenset((self.measure,) if self.is_scan else ())

    def draw(self, cell: Cell) -> Drawn:
        """Draw a cell.

        Parameters
        ----------
        cell : Cell
            Who.

        Returns
        -------
        Drawn
            The measure; covariance and mean are those of the planned visits, whatever their day.
        """
        path = np.empty(cell.shape)
        cell.streams["values"].standard_normal(out=path)
        room = np.empty(cell.n_subjects)
        weeks = np.array(self.scenario.schedule.weeks, dtype=float)
        for k in range(len(path) - 1, -1, -1):  # from the last: earlier rows are still normals
            path[k] *= self.root[k, k]
            for j in range(k):
                path[k] += np.multiply(path[j], self.root[k, j], out=room)
        for k in range(len(path)):
            path[k] += self.mean[k]
            path[k] += added(
                self.effects, np.array([7 * weeks[k] / DAYS_PER_YEAR]), cell.arm,
                n_arms=len(self.scenario.arms), n_groups=len(self.scenario.arms),
                stop_year=cell.stop_year,
            )  # fmt: skip
        return Drawn(values={self.measure: path})

    def worse(self, drawn: Drawn) -> np.ndarray:
        """Say who is worse than expected at which visit: what dropout may depend on.

        Parameters
        ----------
        drawn : Drawn
            From :meth:`draw`, before anything is taken away.

        Returns
        -------
        ndarray of bool, shape (n_visits, n_subjects)
            The change exceeds the mean of those without treatment, in its direction.
        """
        path = drawn.values[self.measure]
        expected = (self.mean - self.mean[0])[:, None]
        direction = math.copysign(1.0, self.mean[-1] - self.mean[0] or -1.0)
        worse = direction * (path - path[0] - expected) > 0
        worse[0] = False
        return worse

    def truths(self) -> Truths:
        """Return true values of the scenario's analyses as far as there are closed forms."""
        return curve_truths(self.scenario, self.measure, self.effects)


def plan_repeated(scenario: TrialScenario) -> RepeatedModel:
    """Read a scenario of repeated measurements.

    Parameters
    ----------
    scenario : TrialScenario
        Model ``"repeated"``. Settings: ``mean`` (a number per planned visit); ``covariance`` (a
        matrix), or ``sd`` (a number, or one per visit) with ``correlations`` (a matrix) or
        ``correlation`` (of any two visits, or of neighbours with ``decay = true``: its power by
        their distance in visits); ``measure``, ``scan``. Effects: ``difference`` (at the last
        visit; it grows in a straight line), and ``difference_w24`` (at week 24, and so on; lines
        between).

    Returns
    -------
    RepeatedModel
        The plan.

    Raises
    ------
    DesignError
        If a setting or effect is unknown, missing or out of range.
    """
    settings, model = scenario.population.settings, "repeated"
    check_names("setting", settings, _SETTINGS, model)
    require(settings, ("mean",), model)
    weeks = scenario.schedule.weeks
    measure = word("measure", settings.get("measure", "outcome"))
    return RepeatedModel(
        scenario=scenario,
        measure=measure,
        mean=numbers("mean", settings["mean"], length=len(weeks)),
        root=cholesky("covariance", _covariance(settings, len(weeks))),
        effects=_read_effects(scenario),
        is_scan=is_scan(measure, settings.get("scan")),
    )


def _covariance(settings: Any, size: int) -> np.ndarray:
    """Read the covariance of the visits."""
    if "covariance" in settings:
        others = [n for n in ("sd", "correlations", "correlation", "decay") if n in settings]
        if others:
            raise DesignError(f"Give `covariance` or `{others[0]}`, not both.")
        return matrix("covariance", settings["covariance"], size)
    require(settings, ("mean", "sd"), "repeated")
    given = settings["sd"]
    spread = [given] * size if isinstance(given, int | float) else given
    sd = numbers("sd", spread, length=size)
    if (sd <= 0).any():
        raise DesignError(f"`sd` must be above 0, got {given!r}.")
    if "correlations" in settings:
        correlations = matrix("correlations", settings["correlations"], size)
    else:
        common = real("correlation", settings.get("correlation", 0.0), -1.0, 1.0)
        apart = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
        power = apart if settings.get("decay", False) else np.minimum(apart, 1)
        correlations = np.sign(common) ** power * np.abs(common) ** power
    return sd[:, None] * correlations * sd


def _read_effects(scenario: TrialScenario) -> VisitEffects:
    """Read differences by arm."""
    weeks = scenario.schedule.weeks
    names = ("difference", *(f"difference_w{week}" for week in weeks[1:]))
    any_number: tuple[float | None, float, float] = (None, -math.inf, math.inf)
    known = dict.fromkeys(names, any_number)
    values = arm_values(scenario, known, "repeated")
    years, differences = [], []
    for arm in range(len(scenario.arms)):
        named = {week: values[f"difference_w{week}"][arm] for week in weeks[1:]}
        last = values["difference"][arm]
        if last is not None and named[weeks[-1]] is not None:
            raise DesignError(
                f"Arm {scenario.arms[arm].name!r} has `difference` and "
                f"`difference_w{weeks[-1]}`, which both say what it is at the last visit."
            )
        named[weeks[-1]] = last if last is not None else named[weeks[-1]]
        points = {0: 0.0} | {week: value for week, value in named.items() if value is not None}
        years.append(np.array(list(points)) * 7 / DAYS_PER_YEAR)
        differences.append(np.array(list(points.values())))
    return VisitEffects(years=tuple(years), differences=tuple(differences))
