"""Outcomes on straight lines, one or several, and the hazard of progression that goes with them.

Subject ``i`` has the true value ``b0 + (rate + s_i) t`` plus what the treatment has added by then;
intercepts and slopes are jointly normal, errors are independent between visits. So the mixed model
with random intercept and slope is the true model. With several outcomes their slopes, their
intercepts (what the slope leaves of them) and the errors of a visit correlate; progression has a
constant hazard times ``exp(lp - var(lp) / 2)``, lp adding up the loadings times the standardised
slopes, towards worse: people who lose tissue faster progress earlier.

The effect of treatment on a line, by time t: ``d max(0, t - onset)``, d being minus `slowing` times
the rate beyond ageing, plus `slope_difference`; less ``pseudo_atrophy (1 - exp(-t / c))``, an early
loss that is none (with time constant c).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import DesignError
from synthetic.trial_arms import ABOVE_ZERO, TrialScenario, arm_values, check_names, real
from synthetic.trial_effects import GroupHazards, added, hazards_of_groups
from synthetic.trial_models import Cell, Drawn, Truths
from synthetic.trial_settings import (
    OUTCOME_SETTINGS,
    Outcome,
    cholesky,
    matrix,
    numbers,
    read_marker,
    read_outcome,
    require,
    word,
)
from synthetic.trial_truths import hazard_truths, linear_truths

__all__ = ["SlopeEffects", "SlopesModel", "plan_correlated", "plan_slope"]

_HAZARD_SETTINGS = ("hazard", "hazard_measure", "hazard_loadings")
_CORRELATIONS = ("slope_correlations", "intercept_correlations", "residual_correlations")


@dataclass(frozen=True, kw_only=True)
class SlopeEffects:
    """What treatment adds to one outcome; arrays have shape (n_groups,).

    Parameters
    ----------
    slope : ndarray
        Added to the slope from the onset on, per year.
    onset : ndarray
        Years.
    early : ndarray
        Early loss that is none.
    constant : ndarray
        Its time constant in years.
    """

    slope: np.ndarray
    onset: np.ndarray
    early: np.ndarray
    constant: np.ndarray

    def __call__(self, year: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Return what was added by then."""
        total = self.slope[group] * np.maximum(year - self.onset[group], 0.0)
        if self.early.any():
            total += self.early[group] * np.expm1(-year / self.constant[group])
        return total


@dataclass(frozen=True, kw_only=True)
class SlopesModel:
    """Plan of ``"random_slope"`` and ``"correlated_outcomes"``.

    Parameters
    ----------
    scenario : TrialScenario
        What was asked.
    outcomes : tuple of Outcome
        In order.
    effects : tuple of SlopeEffects
        Of each.
    roots : tuple of ndarray, shape (n_outcomes, n_outcomes)
        Lower Cholesky factors of the correlations of slopes, intercepts, errors.
    marker_share : float or None
        Share of subjects with the marker.
    hazards : GroupHazards or None
        Of progression.
    hazard_measure : str
        What progression is called.
    loadings : tuple of float
        Of the log hazard on the standardised slopes, per outcome.
    """

    scenario: TrialScenario
    outcomes: tuple[Outcome, ...]
    effects: tuple[SlopeEffects, ...]
    roots: tuple[np.ndarray, np.ndarray, np.ndarray]
    marker_share: float | None
    hazards: GroupHazards | None = None
    hazard_measure: str = "progression"
    loadings: tuple[float, ...] = ()

    accumulates = False
    detected_at_visits = False

    @property
    def measures(self) -> tuple[str, ...]:
        """What it makes."""
        names = tuple(outcome.measure for outcome in self.outcomes)
        return names if self.hazards is None else (*names, self.hazard_measure)

    @property
    def scans(self) -> frozenset[str]:
        """Which of them are taken at scans only."""
        return frozenset(outcome.measure for outcome in self.outcomes if outcome.is_scan)

    @property
    def purposes(self) -> tuple[str, ...]:
        """Streams that it draws from."""
        marker = () if self.marker_share is None else ("marker",)
        return ("values", *marker) if self.hazards is None else ("values", "event", *marker)

    def draw(self, cell: Cell) -> Drawn:
        """Draw a cell.

        Parameters
        ----------
        cell : Cell
            Who.

        Returns
        -------
        Drawn
            Arrays.
        """
        n_visits, n_subjects = cell.shape
        n_outcomes = len(self.outcomes)
        normal = np.empty((2 + n_visits, n_outcomes, n_subjects))
        cell.streams["values"].standard_normal(out=normal)
        slopes, own, errors = _mix(self.roots, normal[0], normal[1], normal[2:])
        group, baseline = self._groups(cell)
        values = {}
        for k, outcome in enumerate(self.outcomes):
            path = errors[:, k]
            self._add_course(cell, outcome, path, (slopes[k], own[k]))
            for j, year in enumerate(cell.year):
                path[j] += self._added(cell, k, year, group)
            values[outcome.measure] = path
        if self.hazards is None:
            return Drawn(values=values, baseline=baseline)
        event_day = self._event_day(cell, slopes, group)
        values[self.hazard_measure] = np.where(event_day <= cell.day, 1.0, 0.0)
        if self.hazard_measure not in self.scenario.measures:
            return Drawn(values=values, baseline=baseline)  # no endpoint has these events
        return Drawn(values=values, baseline=baseline, event_day=event_day)

    def _groups(self, cell: Cell) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Return the group of every subject, and the marker."""
        if self.marker_share is None:
            return cell.arm, {}
        negative = cell.streams["marker"].random(cell.n_subjects) >= self.marker_share
        group = cell.arm + len(self.scenario.arms) * negative
        return group, {"marker": 1.0 - negative}

    def _add_course(
        self, cell: Cell, outcome: Outcome, path: np.ndarray,
        scores: tuple[np.ndarray, np.ndarray],
    ) -> None:  # fmt: skip
        """Turn standard normal errors to a course without treatment, in place."""
        slope_score, own_score = scores
        share = math.sqrt(1 - outcome.correlation**2)
        start = (outcome.intercept_sd * outcome.correlation) * slope_score
        start += (outcome.intercept_sd * share) * own_score
        start += outcome.intercept
        slope = outcome.slope_sd * slope_score
        slope += outcome.rate
        room = np.empty_like(slope)
        for j, year in enumerate(cell.year):
            path[j] *= outcome.residual_sd
            path[j] += start
            path[j] += np.multiply(slope, year, out=room)

    def _added(self, cell: Cell, outcome: int, year: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Return what treatment has added to an outcome by a visit."""
        effects = self.effects[outcome]
        return added(
            effects, year, group,
            n_arms=len(self.scenario.arms), n_groups=len(effects.slope), stop_year=cell.stop_year,
        )  # fmt: skip

    def _event_day(self, cell: Cell, slopes: np.ndarray, group: np.ndarray) -> np.ndarray:
        """Draw progression; faster where slopes are worse."""
        waited = cell.streams["event"].standard_exponential(cell.n_subjects)
        signs = np.array([outcome.worse for outcome in self.outcomes])
        weights = signs * np.array(self.loadings)
        variance = float(np.sum((self.roots[0].T @ weights) ** 2))
        log_ratio = np.full(cell.n_subjects, -0.5 * variance)
        for weight, score in zip(weights, slopes, strict=True):
            if weight:
                log_ratio += weight * score
        waited /= np.exp(log_ratio)
        return DAYS_PER_YEAR * self.hazards.year(waited, group, cell.stop_year)  # type: ignore[union-attr]

    def worse(self, drawn: Drawn) -> np.ndarray:
        """Say who is worse than expected at which visit: what dropout may depend on.

        Parameters
        ----------
        drawn : Drawn
            From :meth:`draw`, before anything is taken away.

        Returns
        -------
        ndarray of bool, shape (n_visits, n_subjects)
            The first outcome changed more than the mean of those without treatment.
        """
        outcome = self.outcomes[0]
        path = drawn.values[outcome.measure]
        weeks = np.array(self.scenario.schedule.weeks, dtype=float)
        expected = outcome.rate * weeks[:, None] * 7 / DAYS_PER_YEAR
        worse = outcome.worse * (path - path[0] - expected) > 0
        worse[0] = False
        return worse

    def truths(self) -> Truths:
        """Return true values of the scenario's analyses as far as there are closed forms."""
        curves = {o.measure: effect for o, effect in zip(self.outcomes, self.effects, strict=True)}
        is_marginal = self.hazards is not None and not any(self.loadings)
        found = linear_truths(self.scenario, curves, self.marker_share)
        if is_marginal and self.marker_share is None:
            found |= hazard_truths(self.scenario, self.hazard_measure, self.hazards)  # type: ignore[arg-type]
        return found


def _mix(
    roots: tuple[np.ndarray, np.ndarray, np.ndarray],
    slopes: np.ndarray,
    own: np.ndarray,
    errors: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Correlate outcomes, which lie in the last axis but one: term by term, see `Population`."""
    mixed = []
    for root, independent in zip(roots, (slopes, own, errors), strict=True):
        if len(root) == 1 or np.array_equal(root, np.eye(len(root))):
            mixed.append(independent)
            continue
        out = np.zeros_like(independent)
        for i, j in np.argwhere(np.tril(root)):
            out[..., i, :] += root[i, j] * independent[..., j, :]
        mixed.append(out)
    return mixed[0], mixed[1], mixed[2]


def plan_slope(scenario: TrialScenario) -> SlopesModel:
    """Read a scenario of one outcome on straight lines.

    Parameters
    ----------
    scenario : TrialScenario
        Model ``"random_slope"``. Settings as :func:`synthetic.trial_settings.read_outcome`, and
        ``marker_share``. Effects: ``slowing``, ``slope_difference``, ``onset_years``,
        ``pseudo_atrophy``, ``pseudo_atrophy_years``, ``effect_in_negatives`` (share of all these
        effects that subjects without the marker have).

    Returns
    -------
    SlopesModel
        The plan.

    Raises
    ------
    DesignError
        If a setting or effect is unknown, missing or out of range.
    """
    settings, model = scenario.population.settings, "random_slope"
    check_names("setting", settings, (*OUTCOME_SETTINGS, "marker_share"), model)
    described = {name: value for name, value in settings.items() if name != "marker_share"}
    outcome = read_outcome({"measure": "outcome", **described}, model)
    known = _known_effects((outcome,), has_hazard=False)
    one = np.eye(1)
    return SlopesModel(
        scenario=scenario,
        outcomes=(outcome,),
        effects=_read_effects(scenario, (outcome,), arm_values(scenario, known, model)),
        roots=(one, one, one),
        marker_share=read_marker(scenario, settings),
    )


def plan_correlated(scenario: TrialScenario) -> SlopesModel:
    """Read a scenario of several outcomes on straight lines, with or without progression.

    Parameters
    ----------
    scenario : TrialScenario
        Model ``"correlated_outcomes"``. Settings: ``outcomes`` (a list, each as
        :func:`synthetic.trial_settings.read_outcome`), ``slope_correlations``,
        ``intercept_correlations``, ``residual_correlations`` (matrices in that order; uncorrelated
        by default), ``hazard`` of progression per year, ``hazard_measure`` (its name),
        ``hazard_loadings`` (by outcome, log hazard ratio per SD of the slope towards worse),
        ``marker_share``. Effects as in :func:`plan_slope`: ``slowing`` of all outcomes, and
        ``slowing_<measure>`` (goes first), ``slope_difference_<measure>``,
        ``pseudo_atrophy_<measure>``; ``hazard_ratio``.

    Returns
    -------
    SlopesModel
        The plan.

    Raises
    ------
    DesignError
        If a setting or effect is unknown, missing, out of range, or correlations contradict each
        other.
    """
    settings, model = scenario.population.settings, "correlated_outcomes"
    known = ("outcomes", *_CORRELATIONS, *_HAZARD_SETTINGS, "marker_share")
    check_names("setting", settings, known, model)
    require(settings, ("outcomes",), model)
    outcomes = tuple(read_outcome(described, model) for described in settings["outcomes"])
    has_hazard = "hazard" in settings
    values = arm_values(scenario, _known_effects(outcomes, has_hazard=has_hazard), model)
    plan = SlopesModel(
        scenario=scenario,
        outcomes=outcomes,
        effects=_read_effects(scenario, outcomes, values),
        roots=_roots(settings, len(outcomes)),
        marker_share=read_marker(scenario, settings),
        **(_read_hazard(scenario, outcomes, values) if has_hazard else {}),
    )
    if not outcomes or len(set(plan.measures)) < len(plan.measures):
        raise DesignError(
            f"`outcomes` must be one or more with different measures, got {plan.measures!r}."
        )
    return plan


def _roots(settings: Mapping[str, Any], size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read the correlations between outcomes."""
    found = []
    for name in _CORRELATIONS:
        value = matrix(name, settings[name], size) if name in settings else np.eye(size)
        if not np.allclose(np.diag(value), 1.0):
            raise DesignError(f"`{name}` must have 1 on its diagonal, got {settings[name]!r}.")
        found.append(cholesky(name, value))
    return found[0], found[1], found[2]


def _known_effects(
    outcomes: tuple[Outcome, ...], *, has_hazard: bool
) -> dict[str, tuple[float | None, float, float]]:
    """List the effects that arms may have: default, lowest, highest value."""
    shift = (0.0, -math.inf, math.inf)
    known: dict[str, tuple[float | None, float, float]] = {
        "slowing": (0.0, -2.0, 2.0),
        "onset_years": (0.0, 0.0, math.inf),
        "pseudo_atrophy_years": (0.25, ABOVE_ZERO, 1e6),
        "effect_in_negatives": (1.0, -2.0, 2.0),
    }
    if len(outcomes) == 1:
        known |= {"slope_difference": shift, "pseudo_atrophy": shift}
    else:
        for outcome in outcomes:
            known[f"slowing_{outcome.measure}"] = (None, -2.0, 2.0)
            known[f"slope_difference_{outcome.measure}"] = shift
            known[f"pseudo_atrophy_{outcome.measure}"] = shift
    if has_hazard:
        known["hazard_ratio"] = (1.0, ABOVE_ZERO, math.inf)
    return known


def _read_effects(
    scenario: TrialScenario, outcomes: tuple[Outcome, ...], values: Mapping[str, list[float | None]]
) -> tuple[SlopeEffects, ...]:
    """Turn the effects of arms to what is added to every outcome, by group."""
    has_marker = "marker_share" in scenario.population.settings
    onset = np.array(values["onset_years"], dtype=float)
    constant = np.array(values["pseudo_atrophy_years"], dtype=float)
    share = np.array(values["effect_in_negatives"], dtype=float)
    found = []
    for outcome in outcomes:
        end = "" if len(outcomes) == 1 else f"_{outcome.measure}"
        own = values.get(f"slowing{end}", values["slowing"])
        slowing = [
            total if mine is None else mine
            for mine, total in zip(own, values["slowing"], strict=True)
        ]
        slope = -np.array(slowing, dtype=float) * (outcome.rate - outcome.ageing_rate)
        slope += np.array(values[f"slope_difference{end}"], dtype=float)
        early = np.array(values[f"pseudo_atrophy{end}"], dtype=float)
        found.append(
            SlopeEffects(
                slope=_by_class(slope, slope * share, has_marker=has_marker),
                onset=_by_class(onset, onset, has_marker=has_marker),
                early=_by_class(early, early * share, has_marker=has_marker),
                constant=_by_class(constant, constant, has_marker=has_marker),
            )
        )
    return tuple(found)


def _by_class(positive: np.ndarray, negative: np.ndarray, *, has_marker: bool) -> np.ndarray:
    """Put values of arms in the order of the groups."""
    return np.concatenate([positive, negative]) if has_marker else positive


def _read_hazard(
    scenario: TrialScenario, outcomes: tuple[Outcome, ...], values: Mapping[str, list[float | None]]
) -> dict[str, Any]:
    """Read the hazard of progression, its name and its loadings."""
    settings = scenario.population.settings
    names = tuple(outcome.measure for outcome in outcomes)
    given = settings.get("hazard_loadings", {})
    check_names("outcome in `hazard_loadings`", given, names, "correlated_outcomes")
    log_ratio = np.log(np.array(values["hazard_ratio"], dtype=float))
    share = np.array(values["effect_in_negatives"], dtype=float)
    has_marker = "marker_share" in settings
    onset = np.array(values["onset_years"], dtype=float)
    return {
        "hazards": hazards_of_groups(
            np.zeros(1),
            numbers("hazard", [real("hazard", settings["hazard"], 0.0, math.inf)]),
            ratios=np.exp(_by_class(log_ratio, log_ratio * share, has_marker=has_marker)),
            onsets=_by_class(onset, onset, has_marker=has_marker),
            n_arms=len(scenario.arms),
        ),
        "hazard_measure": word("hazard_measure", settings.get("hazard_measure", "progression")),
        "loadings": tuple(
            real(f"hazard_loadings.{name}", given.get(name, 0.0), -5, 5) for name in names
        ),
    }
