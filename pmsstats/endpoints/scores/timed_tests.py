"""Timed tests from their trials: means, tests that could not be done, missing trials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pmsstats.endpoints.scores.task_failure import task_failure_convention
from pmsstats.endpoints.scores.timed_test_spec import HandMean, TimedTestSpec
from pmsstats.endpoints.scores.trials import CombinedTrials, changes_table, combine_trials
from pmsstats.endpoints.scores.visit_columns import require_visits
from pmsstats.errors import DesignError, first_ids
from pmsstats.plots.trajectories import plot_trajectories
from pmsstats.results import Exclusion, Result, exclude, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["TimedTests", "derive_timed_tests", "failed_column", "mean_of_hands"]

_STAGE = "timed tests"
_HANDS = ("nhpt_dominant_s", "nhpt_nondominant_s")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TimedTests(Result):
    """Timed tests made of their trials, and all that was changed on the way.

    Parameters
    ----------
    visits : pandas.DataFrame
        The visits with a column per test in seconds, ``nhpt_s`` where both hands are there, and
        beside each a column such as ``t25fw_failed`` (bool) that says whether its value stands
        for a test that could not be done.
    spec : TimedTestSpec
        How they were made.
    measures : tuple of str
        The tests.
    changes : pandas.DataFrame
        One row per value that does not simply stand there: ``subject_id day measure column
        reason recorded value``.
    n_subjects : int
        Subjects with any test.
    n_visits : int
        Visits with any test.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Visits without a test, with reasons.
    """

    visits: pd.DataFrame
    spec: TimedTestSpec
    measures: tuple[str, ...]
    changes: pd.DataFrame
    n_subjects: int
    n_visits: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how many tests there are, and how many values were changed."""
        where = "In synthetic data, " if self.origin == "synthetic" else ""
        convention = task_failure_convention(self.spec.failure).name
        failed = sum(int(self.visits[failed_column(m)].sum()) for m in self.measures)
        n_tests = sum(int(self.visits[m].notna().sum()) for m in self.measures)
        return (
            f"{where}{n_tests} results of {', '.join(self.measures)} at {self.n_visits} visits of "
            f"{self.n_subjects} subjects; {failed} stand for tests that could not be done "
            f"(convention: {convention}), and {len(self.changes)} values needed a decision."
        )

    def table(self) -> pd.DataFrame:
        """Return how often each decision was taken.

        Returns
        -------
        pandas.DataFrame
            Columns ``measure reason n n_subjects``.
        """
        grouped = self.changes.groupby(["measure", "reason"], sort=False)["subject_id"]
        return grouped.agg(n="size", n_subjects="nunique").reset_index()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the course of a test; ``measure=`` chooses which."""
        measure = kws.pop("measure", self.measures[0])
        frame = self.visits[["subject_id"]].assign(
            year=self.visits["day"].to_numpy(dtype=float) / 365.25,
            value=self.visits[measure].to_numpy(dtype=float),
        )
        options = {"y_label": f"{measure.removesuffix('_s')} (s)", "origin": self.origin}
        return plot_trajectories(frame.dropna(), ax=ax, **{**options, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "timed_tests/1",
            "headline": self.headline(),
            "spec": to_plain(self.spec),
            "measures": list(self.measures),
            "changes": to_plain(self.changes),
            "n_subjects": self.n_subjects,
            "n_visits": self.n_visits,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def failed_column(measure: str) -> str:
    """Return the name of the column that tells failed tests of a measure.

    Parameters
    ----------
    measure : str
        For example ``"t25fw_s"``.

    Returns
    -------
    str
        For example ``"t25fw_failed"``.
    """
    return f"{measure.removesuffix('_s')}_failed"


def mean_of_hands(
    dominant: ArrayLike, nondominant: ArrayLike, *, hands: HandMean = "mean_of_times"
) -> NDArray[np.float64]:
    """Return the time of the nine-hole peg test of both hands together.

    Parameters
    ----------
    dominant, nondominant : array_like
        Seconds, above 0; same shape.
    hands : {"mean_of_times", "mean_of_reciprocals"}, default "mean_of_times"
        The mean of the two times, as in 20 % worsening endpoints, or the time whose reciprocal
        is the mean of the two reciprocals, as in the MSFC (the harmonic mean: a hand that takes
        very long adds little to it).

    Returns
    -------
    ndarray
        Seconds; NaN where a hand is missing.

    Examples
    --------
    >>> mean_of_hands(20.0, 30.0).tolist()
    25.0
    >>> mean_of_hands(20.0, 60.0, hands="mean_of_reciprocals").round(6).tolist()
    30.0
    """
    first, second = (np.asarray(hand, dtype=float) for hand in (dominant, nondominant))
    if hands == "mean_of_times":
        return np.asarray((first + second) / 2)
    with np.errstate(divide="ignore"):
        return np.asarray(2 / (1 / first + 1 / second))


def derive_timed_tests(
    visits: pd.DataFrame, spec: TimedTestSpec | None = None, *, origin: Origin = "real"
) -> TimedTests:
    """Make timed tests of their trials.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit: ``subject_id``, ``day`` and the columns of trials, in seconds. Cells
        may be numbers, or texts and codes that the spec explains.
    spec : TimedTestSpec, optional
        Columns, codes and conventions.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.

    Returns
    -------
    TimedTests
        The visits with the tests, and every value that was changed, with the reason.

    Raises
    ------
    DesignError
        If there are no trials, a test lacks one of its columns or stands in `visits` already, a
        cell is neither time, text nor code, or a time is not above 0.

    Notes
    -----
    A test is the mean of its trials: of two walks over 25 feet, and of two trials of each hand
    of the nine-hole peg test [1]_. Trials longer than the time limit of the test (180 s, 300 s)
    are used as they stand, and told; 777, 888 and 999 are told as likely codes.

    R: ``rowMeans(cbind(trial1, trial2), na.rm = TRUE)`` after recoding; SAS: ``MEAN(OF trial1
    trial2)``.

    References
    ----------
    .. [1] Fischer JS, Rudick RA, Cutter GR, Reingold SC. The Multiple Sclerosis Functional
       Composite measure (MSFC): an integrated approach to MS clinical outcome assessment. Mult
       Scler 1999;5:244-250.

    Examples
    --------
    >>> visits = pd.DataFrame(
    ...     {
    ...         "subject_id": ["S1", "S2"],
    ...         "day": [0, 0],
    ...         "t25fw_trial1_s": ["5.8", "unable"],
    ...         "t25fw_trial2_s": ["6.2", "unable"],
    ...     }
    ... )
    >>> derive_timed_tests(visits).visits["t25fw_s"].tolist()
    [6.0, 180.0]
    """
    spec = TimedTestSpec() if spec is None else spec
    trials = _trials_present(visits, spec)
    require_visits(visits, [column for columns in trials.values() for column in columns])
    tests = {
        measure: combine_trials(visits, measure, columns, spec)
        for measure, columns in trials.items()
    }
    made = {
        name: column
        for measure, test in tests.items()
        for name, column in ((measure, test.value), (failed_column(measure), test.failed))
    }
    changes = [change for test in tests.values() for change in test.changes]
    exclusions = [e for measure, test in tests.items() for e in _left_out(visits, measure, test)]
    if all(hand in tests for hand in _HANDS):
        times = [tests[hand].value for hand in _HANDS]
        made["nhpt_s"] = mean_of_hands(times[0], times[1], hands=spec.hands)
        made["nhpt_failed"] = (tests[_HANDS[0]].failed | tests[_HANDS[1]].failed) & ~np.isnan(
            made["nhpt_s"]
        )
        one = np.isnan(times[0]) != np.isnan(times[1])
        exclusions += exclude(
            _STAGE, "visit", "one hand missing: no nhpt_s", visits["subject_id"][one]
        )
    _refuse_overwriting(visits, made)
    frame = visits.assign(**made)
    measures = tuple(name for name in made if not name.endswith("_failed"))
    any_test = frame[list(measures)].notna().any(axis=1)
    return TimedTests(
        visits=frame,
        spec=spec,
        measures=measures,
        changes=changes_table(visits, changes),
        n_subjects=int(visits["subject_id"][any_test].nunique()),
        n_visits=int(any_test.sum()),
        origin=origin,
        exclusions=tuple(exclusions),
    )


def _trials_present(visits: pd.DataFrame, spec: TimedTestSpec) -> dict[str, tuple[str, ...]]:
    """Return the tests whose trials are in the data."""
    require_visits(visits)
    present = {m: columns for m, columns in spec.trials if set(visits.columns) & set(columns)}
    if not present:
        wanted = [column for _, columns in spec.trials for column in columns]
        raise DesignError(
            f"`visits` has none of the columns of trials ({first_ids(wanted, show=6)}). Name "
            "yours in `trials` of the spec."
        )
    return present


def _refuse_overwriting(visits: pd.DataFrame, made: dict[str, Any]) -> None:
    """Refuse results that stand in the data already."""
    there = [name for name in made if name in visits.columns]
    if there:
        raise DesignError(
            f"`visits` already has the column {there[0]!r}, which is made of trials here. Drop it, "
            "or give it another name."
        )


def _left_out(visits: pd.DataFrame, measure: str, test: CombinedTrials) -> tuple[Exclusion, ...]:
    """Count visits without a result of a test."""
    return exclude(
        _STAGE, "visit", f"no {measure}", visits["subject_id"][np.isnan(test.value)]
    )  # fmt: skip
