"""Landmark data sets: who is at risk at a landmark, and what a marker had shown by then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.events.covariates import right_hand_side
from pmsstats.models.events.rows import (
    Rows,
    as_subjects,
    check_conf_level,
    check_duration,
    check_event,
    check_one_row,
    check_time,
    require_columns,
)
from pmsstats.models.formulas.formula import formula_variables
from pmsstats.results import Exclusion, exclude

__all__ = ["LandmarkRows", "LandmarkSpec", "LandmarkValue", "build_landmark_rows"]

LandmarkValue = Literal["last", "slope", "mean"]
_LEAST_SPREAD = 1e-12  # of measurement times over their size: beyond, no slope


@dataclass(frozen=True, kw_only=True)
class LandmarkSpec:
    """Request for a landmark analysis.

    Parameters
    ----------
    measure : str
        Column of the marker in the measurements.
    landmarks : tuple of float
        Times from which the future is predicted, in the unit of `duration`.
    horizon : float
        How far, in the same unit; follow-up is cut there.
    value : {"last", "slope", "mean"}, default "last"
        What is carried to the landmark: the last value until then, the least-squares slope of all
        values until then (per unit of time; needs two), or their mean.
    covariates : str or tuple of str, default ()
        Baseline covariates, columns of the events.
    strata : str or tuple of str, default ()
        Columns of the events whose combinations have baseline hazards of their own, besides the
        landmarks.
    interaction : bool, default False
        Whether the effect of the marker may change linearly with the landmark.
    duration, event : str, default "duration", "event"
        Columns of the events.
    time : str, default "year"
        Column of the time of a measurement, in the unit of `duration`.
    subject : str, default "subject_id"
        Column of subjects in both.
    max_age : float, optional
        Oldest last measurement that is still carried forward; any by default.
    conf_level : float, default 0.95
        Of the intervals.

    Raises
    ------
    DesignError
        If an option is outside of its range.

    Examples
    --------
    >>> LandmarkSpec(measure="snfl_pg_ml", landmarks=(1.0, 2.0), horizon=2.0).rhs()
    '`snfl_pg_ml`'
    """

    measure: str
    landmarks: tuple[float, ...]
    horizon: float
    value: LandmarkValue = "last"
    covariates: str | tuple[str, ...] = ()
    strata: str | tuple[str, ...] = ()
    interaction: bool = False
    duration: str = "duration"
    event: str = "event"
    time: str = "year"
    subject: str = "subject_id"
    max_age: float | None = None
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        marks = np.asarray(self.landmarks, dtype=float)
        if not len(marks) or not np.isfinite(marks).all() or (marks < 0).any() or not (
            np.diff(marks) > 0
        ).all():  # fmt: skip
            raise DesignError(
                f"`landmarks` must be times of at least 0 in ascending order, got "
                f"{self.landmarks!r}."
            )
        if not 0 < self.horizon < np.inf:
            raise DesignError(f"`horizon` must be above 0, got {self.horizon!r}.")
        if self.value not in ("last", "slope", "mean"):
            raise DesignError(f"`value` must be 'last', 'slope' or 'mean', got {self.value!r}.")
        if self.max_age is not None and not self.max_age >= 0:
            raise DesignError(f"`max_age` must be at least 0, got {self.max_age!r}.")
        if self.interaction and len(marks) < 2:
            raise DesignError("`interaction` needs at least two `landmarks`.")
        check_conf_level(self.conf_level)

    def strata_columns(self) -> tuple[str, ...]:
        """Return the strata as columns.

        Returns
        -------
        tuple of str
            Empty where there are none.
        """
        return (self.strata,) if isinstance(self.strata, str) else self.strata

    def rhs(self, *, interaction: bool = False) -> str:
        """Return the right-hand side of the Cox model.

        Parameters
        ----------
        interaction : bool, default False
            Whether to let the effect of the marker change with the landmark.

        Returns
        -------
        str
            The marker, its interaction, then the covariates.
        """
        parts = [f"`{self.measure}`"]
        parts += [f"`{self.measure}`:landmark"] if interaction else []
        parts += [right_hand_side(self.covariates)] if self.covariates else []
        return " + ".join(parts)


@dataclass(frozen=True, kw_only=True, eq=False)
class LandmarkRows:
    """Stacked landmark data sets.

    Parameters
    ----------
    frame : pandas.DataFrame
        One row per landmark and subject at risk: the subject, ``landmark``, the marker under its
        own name, ``value_age`` (time from the last measurement to the landmark), ``start stop
        event``, the covariates and the strata.
    exclusions : tuple of Exclusion
        Subjects not used at a landmark, and measurements and subjects not used at all.
    """

    frame: pd.DataFrame
    exclusions: tuple[Exclusion, ...]


def build_landmark_rows(
    events: pd.DataFrame, measurements: pd.DataFrame, spec: LandmarkSpec
) -> LandmarkRows:
    """Stack, for each landmark, the subjects still at risk with what the marker had shown.

    Parameters
    ----------
    events : pandas.DataFrame
        One row per subject: duration, event, covariates.
    measurements : pandas.DataFrame
        One row per subject and time: the marker.
    spec : LandmarkSpec
        Which columns are what.

    Returns
    -------
    LandmarkRows
        Rows at risk over (landmark, landmark + horizon].

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind, a subject has several rows of events, or a
        time is negative or infinite.
    """
    subjects = _subjects(events, spec)
    marks = _measurements(measurements, subjects, spec)
    known = set(marks.subject)
    without = [s for s in subjects.subject if s not in known]
    stages = [_at_landmark(s, subjects, marks, spec, known) for s in spec.landmarks]
    return LandmarkRows(
        frame=pd.concat([frame for frame, _ in stages], ignore_index=True),
        exclusions=(
            *as_subjects(subjects.exclusions),
            *marks.exclusions,
            *exclude("landmark", "subject", f"no measurement of {spec.measure}", without),
            *(e for _, exclusions in stages for e in exclusions),
        ),
    )


def _subjects(events: pd.DataFrame, spec: LandmarkSpec) -> Rows:
    """Check the rows of events."""
    named = [("duration", spec.duration), ("event", spec.event), ("subject", spec.subject)]
    require_columns(events, named)
    for column in ("landmark", "start", "stop", "value_age", spec.measure):
        if column in _covariate_names(spec):
            raise DesignError(f"`covariates` cannot have the name {column!r}: rename the column.")
    rows = Rows(events, "landmark", spec.subject)
    check_event(rows, spec.event)
    check_duration(rows, spec.duration, spec.event)
    check_one_row(rows)
    arguments = dict.fromkeys(spec.strata_columns(), "strata")
    arguments |= dict.fromkeys(_covariate_names(spec), "covariates")
    for name, argument in arguments.items():
        require_columns(rows.frame, [(argument, name)])
        rows.drop(rows.frame[name].isna(), f"no {name}")
    return rows


def _covariate_names(spec: LandmarkSpec) -> tuple[str, ...]:
    """Return the columns that the covariates use."""
    return formula_variables(right_hand_side(spec.covariates)) if spec.covariates else ()


def _measurements(measurements: pd.DataFrame, subjects: Rows, spec: LandmarkSpec) -> Rows:
    """Check the measurements; those without use are left out. Sorted by subject and time."""
    named = [("measure", spec.measure), ("time", spec.time), ("subject", spec.subject)]
    require_columns(measurements, named)
    rows = Rows(measurements, "landmark measurements", spec.subject)
    check_time(rows, spec.time)
    rows.drop(rows.frame[spec.measure].isna(), f"no {spec.measure}")
    values = rows.frame[spec.measure]
    if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
        raise DesignError(f"Column {spec.measure!r} must hold numbers, found {values.dtype}.")
    rows.drop(np.isinf(values.astype(float)), f"{spec.measure} is infinite")
    end = rows.subject.map(
        pd.Series(subjects.frame[spec.duration].to_numpy(), index=subjects.subject.to_numpy())
    )
    rows.drop(end.isna(), "subject without a row of events")
    end = end.reindex(rows.frame.index)
    rows.drop(rows.frame[spec.time] > end, "measured after the end of follow-up")
    order = np.lexsort((rows.frame[spec.time].to_numpy(), rows.subject.to_numpy()))
    rows.frame, rows.subject = rows.frame.iloc[order], rows.subject.iloc[order]
    return rows


def _at_landmark(
    landmark: float, subjects: Rows, marks: Rows, spec: LandmarkSpec, known: set[str]
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Build the rows of one landmark."""
    stage = f"landmark {landmark:g}"
    followed = (subjects.frame[spec.duration] > landmark).to_numpy()
    gone = subjects.subject[~followed]
    at_risk, ids = subjects.frame[followed], subjects.subject[followed]
    value, age = _carried(landmark, marks, spec)
    carried = ids.map(value)
    ages = ids.map(age)
    missing = carried.isna() & ids.isin(known)
    few = missing & ages.notna()
    old = carried.notna() & (ages > (np.inf if spec.max_age is None else spec.max_age))
    exclusions = (
        *exclude(stage, "subject", "followed no longer than that", gone),
        *exclude(stage, "subject", f"no {spec.measure} until then", ids[missing & ~few]),
        *exclude(stage, "subject", "fewer than two times of measurement until then", ids[few]),
        *exclude(stage, "subject", f"last {spec.measure} older than {spec.max_age}", ids[old]),
    )
    keep = (carried.notna() & ~old).to_numpy()
    end = at_risk.loc[keep, spec.duration].to_numpy()
    until = landmark + spec.horizon
    columns = {
        spec.subject: ids[keep].to_numpy(),
        "landmark": float(landmark),
        spec.measure: carried[keep].to_numpy(dtype=float),
        "value_age": ages[keep].to_numpy(dtype=float),
        "start": landmark,
        "stop": np.minimum(end, until),
        "event": at_risk.loc[keep, spec.event].to_numpy(dtype=bool) & (end <= until),
    }
    others = (*_covariate_names(spec), *spec.strata_columns())
    columns |= {name: at_risk.loc[keep, name].array for name in others}
    return pd.DataFrame(columns), exclusions


def _carried(landmark: float, marks: Rows, spec: LandmarkSpec) -> tuple[pd.Series, pd.Series]:
    """Return what each subject's marker had shown by a landmark, and its age."""
    seen = (marks.frame[spec.time] <= landmark).to_numpy()
    subject = marks.subject[seen].to_numpy()
    time = marks.frame.loc[seen, spec.time].to_numpy(dtype=float)
    value = marks.frame.loc[seen, spec.measure].to_numpy(dtype=float)
    frame = pd.DataFrame({"subject": subject, "time": time, "value": value})
    grouped = frame.groupby("subject", sort=False)
    age = landmark - grouped["time"].last()
    if spec.value == "slope":
        return _slopes(frame), age
    return (grouped["value"].last() if spec.value == "last" else grouped["value"].mean()), age


def _slopes(frame: pd.DataFrame) -> pd.Series:
    """Return each subject's least-squares slope; missing with fewer than two times."""
    centred = frame[["time", "value"]] - frame.groupby("subject", sort=False)[
        ["time", "value"]
    ].transform("mean")
    products = pd.DataFrame(
        {
            "subject": frame["subject"],
            "cross": centred["time"] * centred["value"],
            "square": centred["time"] ** 2,
        }
    )
    sums = products.groupby("subject", sort=False)[["cross", "square"]].sum()
    size = max(float(np.abs(frame["time"]).max()) if len(frame) else 0.0, 1e-300)
    return sums["cross"] / sums["square"].where(sums["square"] > _LEAST_SPREAD * size**2)
