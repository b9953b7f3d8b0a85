"""Does a baseline measure forecast what follows: worsening, change, or conversion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.validation.analyses.arrays import linear_fit, mean_and_variance, residuals
from pmsstats.validation.analyses.base import (
    Estimates,
    FloatArray,
    FollowUp,
    group_text,
    label_of,
)
from pmsstats.validation.analyses.cox import fit_hazards
from pmsstats.validation.analyses.outcomes import (
    CONVERSION,
    VISIT_WINDOW_DAYS,
    Events,
    is_event,
    split_outcome,
)

if TYPE_CHECKING:
    from pmsstats.validation.studies import Studies

__all__ = ["ConversionPrediction", "Prediction"]

_DAYS_PER_YEAR = 365.25


def scored_worse(studies: Studies, measure: str) -> FloatArray:
    """Return the baseline values in standard deviations within groups, higher for worse.

    Parameters
    ----------
    studies : Studies
        Many studies, of the subjects concerned.
    measure : str
        What is scored.

    Returns
    -------
    ndarray, shape (n_studies, n_subjects)
        Of mean 0 within each group.
    """
    value = studies.at(measure, 0.0) * studies.worse_sign(measure)
    left = residuals(value, studies.group_terms())
    sd = np.sqrt(mean_and_variance(left).variance)
    with np.errstate(divide="ignore", invalid="ignore"):
        return left / sd[:, None]


def censored(events: Events, horizon: float | None, last: float) -> Events:
    """End follow-up at a horizon.

    Parameters
    ----------
    events : Events
        First events.
    horizon : float, optional, years
        None leaves them as they are. A visit planned for then counts, though it may come some
        days late.
    last : float, years
        Last planned visit: a horizon from then on leaves events as they are.

    Returns
    -------
    Events
        Those later are not seen.
    """
    if horizon is None or horizon >= last:
        return events
    end = horizon * _DAYS_PER_YEAR + VISIT_WINDOW_DAYS
    return Events(
        duration=np.minimum(events.duration, end),
        happened=events.happened & (events.duration <= end),
    )


def hazard_estimates(
    studies: Studies, events: Events, scored: FloatArray, adjust: list[FloatArray]
) -> Estimates:
    """Fit the log hazard ratio per standard deviation in each study, groups as strata.

    Parameters
    ----------
    studies : Studies
        Many studies, of the subjects concerned.
    events : Events
        Their first events.
    scored : ndarray, shape (n_studies, n_subjects)
        What predicts.
    adjust : list of ndarray of the same shape
        Further covariates.

    Returns
    -------
    Estimates
        Of the first covariate.
    """
    fit = fit_hazards(events, [scored, *adjust], studies.strata())
    return Estimates(
        estimate=fit.beta[:, 0],
        std_error=fit.std_error[:, 0],
        df=np.full(len(fit.beta), np.inf),
        n=studies.n,
    )


@dataclass(frozen=True, kw_only=True)
class Prediction(FollowUp):
    """Association of a baseline measure with what follows, towards worse.

    Parameters
    ----------
    measure : str
        What predicts, in standard deviations within groups, higher for worse.
    outcome : str
        An endpoint preset such as ``"cdp12"`` (log hazard ratio of a Cox model), or a measure
        followed by ``"_change"`` or ``"_level"`` such as ``"edss_change"``, ``"msfc_change"``
        (standard deviations of change or level at the horizon, higher for worse).
    groups : tuple of str
        Phenotypes; strata of the Cox model, else their means are removed.
    horizon : float, optional, years
        End of follow-up; that of the design by default.
    adjust : tuple of str
        Further covariates at baseline.

    Raises
    ------
    DesignError
        If the outcome is unknown.
    """

    measure: str
    outcome: str
    groups: tuple[str, ...]
    horizon: float | None = None
    adjust: tuple[str, ...] = ()

    _reads = ("measure", "follows", "adjust")

    def __post_init__(self) -> None:
        """Refuse an unknown outcome."""
        if not is_event(self.outcome):
            split_outcome(self.outcome)

    @property
    def follows(self) -> tuple[str, ...]:
        """Measure whose change or level is the outcome, if that is no event."""
        return () if self.outcomes else split_outcome(self.outcome)[:1]

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Events that it reads."""
        return (self.outcome,) if is_event(self.outcome) else ()

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        return "log hazard ratio per SD" if self.outcomes else "SD per SD"

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        within = f" within {self.horizon:g} years" if self.horizon else ""
        what = self.outcome if self.outcomes else self.outcome.replace("_", " ")
        return f"worse {label_of(self.measure)} and {what}{within}, {group_text(self.groups)}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the association in each study."""
        scored = scored_worse(chosen, self.measure)
        adjust = [chosen.at(name, 0.0) for name in self.adjust]
        if self.outcomes:
            events = censored(chosen.event(self.outcome), self.horizon, chosen.years[-1])
            return hazard_estimates(chosen, events, scored, adjust)
        return self._linear(chosen, scored, adjust)

    def _linear(self, chosen: Studies, scored: FloatArray, adjust: list[FloatArray]) -> Estimates:
        """Regress a change or a later level on the score."""
        measure, what = split_outcome(self.outcome)
        later = chosen.years[-1] if self.horizon is None else self.horizon
        value = chosen.at(measure, later)
        if what == "change" and not chosen.is_change(measure):
            value = value - chosen.at(measure, 0.0)
        groups = chosen.group_terms()
        value = residuals(value * chosen.worse_sign(measure), groups)
        fit = linear_fit(value, [scored, *groups, *adjust])
        sd = np.sqrt(mean_and_variance(np.where(np.isfinite(scored), value, np.nan)).variance)
        return Estimates(
            estimate=fit.beta[:, 1] / sd,
            std_error=fit.std_error[:, 1] / sd,
            df=fit.df,
            n=chosen.n,
        )


@dataclass(frozen=True, kw_only=True)
class ConversionPrediction(FollowUp):
    """Log hazard ratio of converting to another phenotype, per standard deviation towards worse.

    Parameters
    ----------
    measure : str
        What predicts.
    groups : tuple of str
        Phenotypes from which subjects convert; strata of the Cox model.
    to : str
        Phenotype to which they convert; any by default.
    horizon : float, optional, years
        End of follow-up; that of the design by default.
    """

    measure: str
    groups: tuple[str, ...]
    to: str = ""
    horizon: float | None = None

    units = "log hazard ratio per SD"

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Events that it reads."""
        return (CONVERSION,)

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        to = f" to {self.to}" if self.to else ""
        return f"worse {label_of(self.measure)} and conversion{to}, {group_text(self.groups)}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the association in each study."""
        events = censored(chosen.event(CONVERSION, self.to), self.horizon, chosen.years[-1])
        return hazard_estimates(chosen, events, scored_worse(chosen, self.measure), [])
