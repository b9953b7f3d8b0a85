"""One generated cohort as arrays: levels, slopes, totals and events of every subject."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort, default_dictionary
from pmsstats.endpoints import (
    ProgressionRule,
    derive_endpoint,
    derive_msfc,
    derive_progression_batch,
    preset,
)
from pmsstats.endpoints.definitions.data_needs import data_needs
from pmsstats.errors import DesignError, nearest
from pmsstats.validation.analyses.base import MSFC, MSFC_PARTS, FloatArray
from pmsstats.validation.analyses.outcomes import CONVERSION, Events
from pmsstats.validation.protocol import CohortTables

__all__ = ["DAYS_PER_YEAR", "CohortArrays", "cohort_arrays", "outcome_measures"]

DAYS_PER_YEAR = 365.25
_SUBJECTS = ("subject_id", "phenotype", "sex", "age_years")
_ROUNDED_YEARS = 0.01  # visits are planned in whole weeks: five years are week 261
_COLUMNS = {"age": "age_years", "duration": "disease_duration_years"}


@dataclass(frozen=True, kw_only=True, eq=False)
class CohortArrays:
    """One cohort, every planned visit of every subject.

    Parameters
    ----------
    tables : CohortTables
        As generated.
    subjects, visits : pandas.DataFrame
        Of the tables, which may give out copies.
    phenotype : ndarray of str, shape (n_subjects,)
        At baseline.
    arm : ndarray of int, shape (n_subjects,)
        Codes of the arms; 0 where there are none.
    arm_names : tuple of str
        Arms, reference first.
    years : tuple of float
        Planned scans.
    day : ndarray, shape (n_subjects, n_visits)
        Actual day of each planned visit, NaN where it was missed.
    planned : ndarray, shape (n_visits,), years
        Planned visits: scans and ratings.
    place : ndarray of int, shape (n_rows,)
        Where the rows of the visits stand in the flattened arrays.
    """

    tables: CohortTables
    subjects: pd.DataFrame
    visits: pd.DataFrame
    phenotype: NDArray[np.str_]
    arm: NDArray[np.int64]
    arm_names: tuple[str, ...]
    years: tuple[float, ...]
    day: FloatArray
    planned: FloatArray
    place: NDArray[np.int64]
    _known: dict[tuple, Any] = field(default_factory=dict, init=False)

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self.phenotype)

    def course(self, measure: str) -> FloatArray:
        """Return a measure at every planned visit.

        Parameters
        ----------
        measure : str
            Its name.

        Returns
        -------
        ndarray, shape (n_subjects, n_visits)
            NaN where missing.

        Raises
        ------
        DesignError
            If the generator did not emit it.
        """
        key = ("course", measure)
        if key not in self._known:
            if measure == MSFC:
                values = self._msfc()
            elif measure in self.visits.columns:
                values = self.visits[measure].to_numpy(float, na_value=np.nan)
            else:
                raise DesignError(
                    f"The generator emitted no {measure!r}.{nearest(measure, self.visits.columns)}"
                )
            self._known[key] = self._spread(values)
        return self._known[key]

    def _spread(self, values: NDArray) -> FloatArray:
        """Place the rows of the visits table in an array of planned visits."""
        course = np.full(self.day.shape, np.nan)
        kept = self.place >= 0
        course.reshape(-1)[self.place[kept]] = values[kept]
        return course

    def _msfc(self) -> NDArray[np.float64]:
        """Derive the functional composite of every visit, the mean of the hands for each hand."""
        visits = self.visits
        frame = visits[["subject_id", "day", *MSFC_PARTS]].rename(
            columns={"nhpt_s": "nhpt_dominant_s"}
        )
        frame["nhpt_nondominant_s"] = frame["nhpt_dominant_s"]
        scored = derive_msfc(frame, "task_force", origin="synthetic").visits
        return frame[["subject_id", "day"]].merge(
            scored[["subject_id", "day", MSFC]], on=["subject_id", "day"], how="left"
        )[MSFC].to_numpy(float)  # fmt: skip

    def at(self, name: str, year: float) -> FloatArray:
        """Return a variable at the planned visit nearest to a time.

        Parameters
        ----------
        name : str
            Measure or variable of the subjects.
        year : float
            Years from baseline.

        Returns
        -------
        ndarray, shape (n_subjects,)
            NaN where missing.
        """
        if name == "female":
            return (self.subjects["sex"] == "F").to_numpy(float)
        if name in _COLUMNS:
            _require_columns("subjects", self.subjects, (_COLUMNS[name],))
            return self.subjects[_COLUMNS[name]].to_numpy(float, na_value=np.nan)
        return self.course(name)[:, int(np.argmin(np.abs(self.planned - year)))]

    def slope(self, measure: str, up_to: float | None) -> FloatArray:
        """Return the annual change of each subject.

        Parameters
        ----------
        measure : str
            What changes.
        up_to : float, optional, years
            Later visits are left out.

        Returns
        -------
        ndarray, shape (n_subjects,), per year
            See :meth:`pmsstats.validation.studies.Studies.slope`.
        """
        key = ("slope", measure, up_to)
        if key not in self._known:
            keep = self.planned <= (np.inf if up_to is None else up_to + _ROUNDED_YEARS)
            value, year = self.course(measure)[:, keep], self.day[:, keep] / DAYS_PER_YEAR
            entry = default_dictionary().get(measure)
            kind = "level" if entry is None else entry.kind
            self._known[key] = _slope(value, year, kind)
        return self._known[key]

    def total(self, measure: str) -> FloatArray:
        """Return the sum of a count over all scans after baseline.

        Parameters
        ----------
        measure : str
            The count.

        Returns
        -------
        ndarray, shape (n_subjects,)
            NaN where no scan has it.
        """
        later = self.course(measure)[:, self.planned > 0]
        known = np.isfinite(later)
        return np.where(known.any(axis=1), np.where(known, later, 0.0).sum(axis=1), np.nan)

    def texts(self, variable: str) -> NDArray[np.str_]:
        """Return a property of the subjects.

        Parameters
        ----------
        variable : str
            Column of the subjects.

        Returns
        -------
        ndarray of str
            As text.

        Raises
        ------
        DesignError
            If there is no such column.
        """
        subjects = self.subjects
        if variable not in subjects.columns:
            raise DesignError(
                f"The generator gives the subjects no {variable!r}."
                f"{nearest(variable, subjects.columns)}"
            )
        return subjects[variable].astype(str).to_numpy(str)

    def event(self, outcome: str, to: str = "") -> Events:
        """Return the first event of each subject.

        Parameters
        ----------
        outcome : str
            Endpoint preset, or ``"conversion"``.
        to : str
            Phenotype to which they convert; any by default.

        Returns
        -------
        Events
            Of shape (n_subjects,).
        """
        key = ("event", outcome, to)
        if key not in self._known:
            if outcome == CONVERSION:
                self._known[key] = self._conversion(to)
            else:
                self._known[key] = self._endpoint(outcome)
        return self._known[key]

    def _conversion(self, to: str) -> Events:
        """Read who converted when."""
        subjects = self.subjects
        last = np.nanmax(self.day, axis=1)
        if "conversion_day" not in subjects.columns:
            return Events(duration=last, happened=np.zeros(len(last), dtype=bool))
        day = subjects["conversion_day"].to_numpy(float, na_value=np.nan)
        happened = np.isfinite(day)
        if to:
            happened &= (subjects["converted_to"].astype(str) == to).to_numpy(bool)
        return Events(duration=np.maximum(np.where(happened, day, last), 1.0), happened=happened)

    def _endpoint(self, outcome: str) -> Events:
        """Derive an endpoint of :mod:`pmsstats.endpoints`."""
        rule = preset(outcome)
        if isinstance(rule, ProgressionRule) and data_needs(rule) == ("edss",):
            return self._edss_progression(rule)
        tables = self.tables
        cohort = tables if isinstance(tables, Cohort) else Cohort(
            tables.subjects, tables.visits, tables.relapses, tables.exits, origin="synthetic"
        )  # fmt: skip
        frame = derive_endpoint(cohort, rule).table().set_index("subject_id")
        frame = frame.reindex(self.subjects["subject_id"])
        return Events(
            duration=frame["duration"].to_numpy(float, na_value=np.nan),
            happened=frame["event"].eq(True).to_numpy(bool),
        )

    def _edss_progression(self, rule: ProgressionRule) -> Events:
        """Scan the EDSS of all subjects at once."""
        seen = np.isfinite(self.course("edss")).any(axis=0)
        day = self.day[:, seen]
        if not (np.diff(day, axis=1) > 0).all():  # also where a visit was missed: NaN
            raise DesignError(
                "Events need every planned visit, on ascending days, but the generator left some "
                "out. Have `for_study(complete=True)` plan no missed visits."
            )
        batch = derive_progression_batch(
            self.course("edss")[:, seen][None], rule, day=day.astype(np.int64)[None]
        )
        return Events(
            duration=np.where(batch.at_risk, batch.duration, np.nan),
            happened=np.asarray(batch.event, dtype=bool),
        )


def _slope(value: FloatArray, year: FloatArray, kind: str) -> FloatArray:
    """Return annual changes by the kind of measure, of subjects with values enough."""
    known = np.isfinite(value) & np.isfinite(year)
    value, year = np.where(known, value, 0.0), np.where(known, year, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "change":
            slope = (value * year).sum(axis=1) / (year**2).sum(axis=1)
        elif kind == "since_last":
            later = year > 0
            slope = (value * later).sum(axis=1) / year.max(axis=1)
        else:
            n = known.sum(axis=1)
            centred = np.where(known, year - (year.sum(axis=1) / n)[:, None], 0.0)
            slope = (value * centred).sum(axis=1) / (centred**2).sum(axis=1)
    return np.where(np.isfinite(slope), slope, np.nan)


def outcome_measures(outcome: str) -> tuple[str, ...]:
    """Return the measures that an event is derived from.

    Parameters
    ----------
    outcome : str
        Endpoint preset, or ``"conversion"``.

    Returns
    -------
    tuple of str
        Their names.
    """
    if outcome == CONVERSION:
        return ()
    needs = data_needs(preset(outcome))
    return tuple(name for name in needs if name not in ("relapses", "exits"))


def cohort_arrays(
    tables: CohortTables, *, years: tuple[float, ...], planned_weeks: tuple[int, ...],
    arm_names: tuple[str, ...] = (),
) -> CohortArrays:  # fmt: skip
    """Lay a cohort out in arrays.

    Parameters
    ----------
    tables : CohortTables
        As generated.
    years : tuple of float
        Planned scans.
    planned_weeks : tuple of int
        Planned visits: scans and ratings.
    arm_names : tuple of str
        Arms, reference first.

    Returns
    -------
    CohortArrays
        A visit belongs to the planned one that it is nearest to; of two, the first counts.

    Raises
    ------
    DesignError
        If the tables lack a column that every analysis reads, or have an arm that nobody asked
        for.
    """
    subjects, visits = tables.subjects, tables.visits
    _require_columns("subjects", subjects, (*_SUBJECTS, *(["arm"] if len(arm_names) > 1 else [])))
    _require_columns("visits", visits, ("subject_id", "day"))
    planned_day = 7.0 * np.asarray(planned_weeks)
    n_visits = len(planned_day)
    who = pd.Index(subjects["subject_id"]).get_indexer(visits["subject_id"])
    day = visits["day"].to_numpy(float)
    if n_visits * len(subjects) == len(visits) and (np.bincount(who) == n_visits).all():
        order = np.lexsort((day, who))
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order))
    else:
        middle = (planned_day[1:] + planned_day[:-1]) / 2
        place = who * n_visits + np.searchsorted(middle, day)
        place = np.where(pd.Series(place).duplicated().to_numpy(), -1, place)
    grid = np.full((len(subjects), n_visits), np.nan)
    grid.reshape(-1)[place[place >= 0]] = day[place >= 0]
    return CohortArrays(
        tables=tables,
        subjects=subjects,
        visits=visits,
        phenotype=subjects["phenotype"].astype(str).to_numpy(str),
        arm=_arm_codes(subjects, arm_names),
        arm_names=arm_names,
        years=years,
        day=grid,
        planned=planned_day / DAYS_PER_YEAR,
        place=place,
    )


def _require_columns(table: str, frame: pd.DataFrame, names: tuple[str, ...]) -> None:
    """Refuse a generator's table that lacks a column."""
    missing = [name for name in names if name not in frame.columns]
    if missing:
        raise DesignError(
            f"The generator's {table} need the column {missing[0]!r} (of {', '.join(names)}), but "
            f"have only {', '.join(map(str, frame.columns[:8]))}. See "
            "`pmsstats.validation.CohortTables`."
        )


def _arm_codes(subjects: pd.DataFrame, arm_names: tuple[str, ...]) -> NDArray[np.int64]:
    """Return the place of each subject's arm among the names."""
    if len(arm_names) < 2:
        return np.zeros(len(subjects), dtype=np.int64)
    codes = pd.Index(arm_names).get_indexer(subjects["arm"].astype(str))
    if (codes < 0).any():
        unknown = subjects["arm"].astype(str)[codes < 0].iloc[0]
        raise DesignError(
            f"The generator has an arm {unknown!r}, which is none of the treatments asked for: "
            f"{', '.join(arm_names)}."
        )
    return codes.astype(np.int64)
