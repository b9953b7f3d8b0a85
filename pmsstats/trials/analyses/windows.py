"""Which subjects and visits an analysis looks at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError, nearest
from pmsstats.trials.analyses.comparisons import Comparisons
from pmsstats.trials.analyses.strategies import StrategyDays, strategy_days
from pmsstats.trials.scenario import Scenario, TrialAnalysis, TrialEndpoint

__all__ = ["TrialWindow", "known_at_entry", "open_window"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrialWindow:
    """The subjects and visits of one analysis.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    analysis : TrialAnalysis
        The analysis.
    comparisons : Comparisons
        What is compared.
    data : TrialArrays
        All of it.
    code : ndarray of int, shape (n_replicates, n_subjects)
        Place in ``comparisons.arms``; -1 for those who are not analysed.
    visits : ndarray of int, shape (n_chosen,)
        Places of the visits in the window.
    strategy : StrategyDays
        From when on intercurrent events change what counts.
    n_jobs : int
        Threads.
    """

    scenario: Scenario
    analysis: TrialAnalysis
    comparisons: Comparisons
    data: TrialArrays
    code: np.ndarray
    visits: np.ndarray
    strategy: StrategyDays
    n_jobs: int = 1

    @property
    def endpoint(self) -> TrialEndpoint:
        """Return the endpoint."""
        return self.scenario.endpoint(self.analysis.endpoint)

    @property
    def n_arms(self) -> int:
        """Return how many arms are analysed."""
        return len(self.comparisons.arms)

    @property
    def weeks(self) -> np.ndarray:
        """Return planned weeks of the visits in the window, shape (n_chosen,)."""
        return np.asarray(self.data.weeks, dtype=float)[self.visits]

    @property
    def years(self) -> np.ndarray:
        """Return planned years from the first visit in the window, shape (n_chosen,)."""
        return (self.weeks - self.weeks[0]) * 7 / DAYS_PER_YEAR

    @property
    def days(self) -> np.ndarray:
        """Return days of the visits, of a shape that broadcasts to that of the values."""
        return np.asarray(self.data.day)[..., self.visits]

    def sign(self, endpoint: TrialEndpoint | None = None) -> int:
        """Return 1 where higher values of a measure are the patient's gain, else -1.

        Parameters
        ----------
        endpoint : TrialEndpoint, optional
            That of the analysis by default.
        """
        return 1 if (endpoint or self.endpoint).benefit == "higher" else -1

    def raw(self, measure: str) -> np.ndarray:
        """Return values in the window, whatever the strategy.

        Parameters
        ----------
        measure : str
            By name.

        Returns
        -------
        ndarray, shape (n_replicates, n_subjects, n_chosen)
            A view where that is possible.

        Raises
        ------
        DesignError
            If the data do not have the measure.
        """
        if measure not in self.data.values:
            raise DesignError(
                f"Analysis {self.analysis.name!r} needs {measure!r}, but the generator made "
                f"{', '.join(self.data.values) or 'no measure'}."
                f"{nearest(measure, self.data.values)} It makes what `endpoints` measure: add one "
                f"of {measure!r}."
            )
        values = self.data.values[measure]
        first, last = int(self.visits[0]), int(self.visits[-1])
        return values[..., first : last + 1]  # visits of a window are neighbours

    def values(self, measure: str) -> np.ndarray:
        """Return values in the window, without those that the strategy takes out.

        Parameters
        ----------
        measure : str
            By name.

        Returns
        -------
        ndarray, shape (n_replicates, n_subjects, n_chosen)
            Missing after events with a hypothetical or while-on-treatment strategy.

        Raises
        ------
        DesignError
            If the data do not have the measure.
        """
        return self.strategy.masked(self.raw(measure), self.days)

    def carried(self, measure: str) -> np.ndarray:
        """Return values in the window; the last one on treatment stands for those after stopping.

        Parameters
        ----------
        measure : str
            By name.

        Returns
        -------
        ndarray, shape (n_replicates, n_subjects, n_chosen)
            As :meth:`values`, but for those whose event has the strategy ``while_on_treatment``.

        Raises
        ------
        DesignError
            If the data do not have the measure.
        """
        values = self.values(measure)
        if self.strategy.carry is None:
            return values
        place = np.where(np.isnan(values), 0, np.arange(values.shape[-1]))
        last = np.take_along_axis(values, np.maximum.accumulate(place, axis=-1), axis=-1)
        return np.where(self.strategy.carries(self.days), last, values)

    def covariates(self) -> np.ndarray:
        """Return covariates known at entry.

        Returns
        -------
        ndarray, shape (n_replicates, n_subjects, n_covariates)
            In the order of the analysis.

        Raises
        ------
        DesignError
            If the data do not have one of them.
        """
        names = self.analysis.covariates
        columns = [known_at_entry(self.data, name, "covariates") for name in names]
        shape = (*self.code.shape, 0)
        return np.stack(columns, axis=-1) if columns else np.empty(shape)


def open_window(
    scenario: Scenario,
    analysis: TrialAnalysis,
    data: TrialArrays,
    comparisons: Comparisons,
    *,
    n_jobs: int = 1,
) -> TrialWindow:
    """Choose the subjects and visits of an analysis.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    analysis : TrialAnalysis
        The analysis.
    data : TrialArrays
        What was seen.
    comparisons : Comparisons
        What is compared.
    n_jobs : int, default 1
        Threads.

    Returns
    -------
    TrialWindow
        Subjects outside of the subgroup, or without a value there, are not analysed.

    Raises
    ------
    DesignError
        If there is no visit in the window, a subgroup is about something that is not known at
        entry, or a strategy does not go with the method.
    """
    weeks = np.asarray(data.weeks)
    visits = np.flatnonzero((weeks >= analysis.from_week) & (weeks <= analysis.to_week))
    if not visits.size:
        raise DesignError(
            f"Analysis {analysis.name!r} has no visit from week {analysis.from_week:g} to "
            f"{analysis.to_week:g}. Visits are planned in weeks {', '.join(map(str, data.weeks))}."
        )
    code = comparisons.codes(data.arms, data.arm)
    for name, (low, high) in analysis.subgroup.items():
        value = known_at_entry(data, name, "subgroup")
        code = np.where((value >= low) & (value <= high), code, np.int8(-1))
    return TrialWindow(
        scenario=scenario,
        analysis=analysis,
        comparisons=comparisons,
        data=data,
        code=code,
        visits=visits,
        strategy=strategy_days(scenario, analysis, data),
        n_jobs=n_jobs,
    )


def known_at_entry(data: TrialArrays, name: str, field: str) -> np.ndarray:
    """Return what is known of the subjects at entry, or the first value of a measure.

    Parameters
    ----------
    data : TrialArrays
        What was seen.
    name : str
        A baseline value or measure.
    field : str
        Which field of the analysis asks for it.

    Returns
    -------
    ndarray, shape (n_replicates, n_subjects)
        Values.

    Raises
    ------
    DesignError
        If there is no such thing.
    """
    if name in data.baseline:
        return data.baseline[name]
    if name in data.values:
        return data.values[name][..., 0]
    known = (*data.baseline, *data.values)
    raise DesignError(
        f"`{field}` names {name!r}, but what is known at entry is {', '.join(known) or 'nothing'}."
        f"{nearest(name, known)}"
    )
