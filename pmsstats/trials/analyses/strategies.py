"""What intercurrent events do to the data of an analysis (ICH E9 R1)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.trials.scenario import Scenario, TrialAnalysis

__all__ = ["StrategyDays", "strategy_days"]

_POLICY = "treatment_policy"
_CUTS = ("hypothetical", "while_on_treatment")
_REFERENCE_BASED = ("JR", "CR", "CIR", "LMCF")
_ALLOWED = {
    "random_slope": _CUTS,
    "mmrm": _CUTS,
    "change": (*_CUTS, "composite"),
    "ancova": (*_CUTS, "composite"),
    "log_rank": (*_CUTS, "composite"),
    "cox": (*_CUTS, "composite"),
    "proportion": (*_CUTS, "composite"),
    "counts": _CUTS,
    "multivariate": _CUTS,
    "imputation": ("hypothetical", *_REFERENCE_BASED),
    "model": _CUTS,
    "function": (*_CUTS, "composite"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class StrategyDays:
    """Days from which a strategy changes what counts.

    Each is None, or of shape (n_replicates, n_subjects) and infinite for those without such an
    event.

    Parameters
    ----------
    cut : ndarray, optional
        Values after it are left out (hypothetical, while on treatment, reference-based).
    carry : ndarray, optional
        The last value until then stands for those after it (while on treatment).
    failure : ndarray, optional
        The event itself is a failure (composite).
    reference_based : ndarray, optional
        After it the course is imputed: from the reference arm, or from the own mean at it (LMCF).
    """

    cut: np.ndarray | None = None
    carry: np.ndarray | None = None
    failure: np.ndarray | None = None
    reference_based: np.ndarray | None = None

    def masked(self, values: np.ndarray, days: np.ndarray) -> np.ndarray:
        """Take out what was measured after the day of the cut.

        Parameters
        ----------
        values : ndarray, shape (n_replicates, n_subjects, n_chosen)
            Of some visits.
        days : ndarray
            When they took place; broadcasts to the shape of the values.

        Returns
        -------
        ndarray, shape (n_replicates, n_subjects, n_chosen)
            The same array where nothing is to be cut.
        """
        if self.cut is None or not np.isfinite(self.cut).any():
            return values
        return np.where(days > self.cut[..., None], np.nan, values)

    def carries(self, days: np.ndarray) -> np.ndarray:
        """Say for which visits the last value on treatment stands (nowhere without `carry`).

        Parameters
        ----------
        days : ndarray, broadcasting to (n_replicates, n_subjects, n_chosen)
            When they took place.

        Returns
        -------
        ndarray of bool, shape (n_replicates, n_subjects, n_chosen)
            False where an event with another strategy came first: what was measured after it is
            left out, and nothing takes its place.
        """
        if self.carry is None or self.cut is None:
            return np.zeros(np.shape(days), dtype=bool)
        is_first = self.carry <= self.cut
        return (days > self.carry[..., None]) & is_first[..., None]


def strategy_days(scenario: Scenario, analysis: TrialAnalysis, data: TrialArrays) -> StrategyDays:
    """Find from which day on the strategies of an analysis change what counts.

    Parameters
    ----------
    scenario : Scenario
        With its intercurrent events.
    analysis : TrialAnalysis
        With a strategy per event; treatment policy where nothing is said.
    data : TrialArrays
        With the days of the events.

    Returns
    -------
    StrategyDays
        The first event of those with the same strategy.

    Raises
    ------
    DesignError
        If the method cannot follow a strategy, or strategies differ while the data only know the
        first of all events.
    """
    asked = {
        event.name: analysis.strategies.get(event.name, _POLICY) for event in scenario.intercurrent
    }
    allowed = (_POLICY, *_ALLOWED[analysis.method])
    for name, strategy in asked.items():
        if strategy not in allowed:
            raise DesignError(
                f"Method {analysis.method!r} of analysis {analysis.name!r} cannot deal with "
                f"{name!r} by the strategy {strategy!r}. It knows: {', '.join(allowed)}."
            )
    if set(asked.values()) <= {_POLICY}:
        return StrategyDays()
    _check_known(analysis, asked, data)
    return StrategyDays(
        cut=_first(data, asked, (*_CUTS, *_REFERENCE_BASED)),
        carry=_first(data, asked, ("while_on_treatment",)),
        failure=_first(data, asked, ("composite",)),
        reference_based=_first(data, asked, _REFERENCE_BASED),
    )


def _check_known(analysis: TrialAnalysis, asked: dict[str, str], data: TrialArrays) -> None:
    """Refuse different strategies for events that the data do not tell apart."""
    unknown = [name for name in asked if name not in data.intercurrent]
    if unknown and len(set(asked.values())) > 1:
        raise DesignError(
            f"`strategies` of analysis {analysis.name!r} differ, but the data have no day of "
            f"{unknown[0]!r}, only that of the first of all events. Give the same strategy to all "
            "of them, or let the generator fill `intercurrent`."
        )


def _first(
    data: TrialArrays, asked: dict[str, str], strategies: tuple[str, ...]
) -> np.ndarray | None:
    """Return the day of the first event with one of some strategies."""
    names = [name for name, strategy in asked.items() if strategy in strategies]
    if not names:
        return None
    days = [data.intercurrent.get(name, data.stop_day) for name in names]
    return np.minimum.reduce(days)
