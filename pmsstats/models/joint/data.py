"""From two tables to the subjects of a joint model: every check, and every exclusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.formulas.design import design_matrices
from pmsstats.models.formulas.formula import formula_variables
from pmsstats.models.joint.event_data import EventData, prepare_events
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.joint.spec import JointSpec
    from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["JointData", "marker_variables", "prepare_joint", "subject_covariates"]

_STAGE = "joint model"
_MOST = 0.5  # share of measurements after the end from which on the units must differ
_LEAST = 0.1  # last measurement over longest follow-up below which the units may differ
_TRAJECTORY = frozenset({"value", "slope", "area", "lagged"})


@dataclass(frozen=True, kw_only=True, eq=False)
class JointData:
    """Subjects, their events and their measurements, checked; subjects in the same order.

    Parameters
    ----------
    events : EventData
        One entry per subject.
    covariates : pandas.DataFrame
        One row per subject: what the markers' models need besides time.
    rows : tuple of DataFrame
        Of each marker: its measurements, sorted by subject.
    codes : tuple of ndarray of int
        Of each marker: subject number of each measurement.
    exclusions : tuple of Exclusion
        Rows and subjects left out.
    notes : tuple of str
        What a reader should know.
    """

    events: EventData
    covariates: pd.DataFrame
    rows: tuple[pd.DataFrame, ...]
    codes: tuple[np.ndarray, ...]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self.events.ids)


def marker_variables(marker: LMMSpec, *, time: str) -> tuple[str, ...]:
    """List the columns that a marker's mean and random effects need besides time.

    Parameters
    ----------
    marker : LMMSpec
        Its model.
    time : str
        The time column.

    Returns
    -------
    tuple of str
        In order of appearance.
    """
    sides = (marker.fixed, *(term.rhs() for term in marker.random))
    names = [name for rhs in sides for name in formula_variables(rhs)]
    return tuple(name for name in dict.fromkeys(names) if name != time)


def prepare_joint(longitudinal: pd.DataFrame, survival: pd.DataFrame, spec: JointSpec) -> JointData:
    """Check the two tables of a joint model, and match their subjects.

    Parameters
    ----------
    longitudinal : pandas.DataFrame
        One row per measurement.
    survival : pandas.DataFrame
        One row per subject.
    spec : JointSpec
        Which columns are what.

    Returns
    -------
    JointData
        Subjects that have an event row and at least one measurement, in the order of `survival`.

    Raises
    ------
    DesignError
        If a table is none, a column is missing or of the wrong kind, times contradict each other,
        most measurements lie after the end of follow-up, covariates of a marker change over time,
        or no two subjects are left.
    """
    _check_tables(longitudinal, survival, spec)
    events, exclusions = prepare_events(survival, spec)
    data = _match(longitudinal, survival, events, spec, exclusions)
    if data.n_subjects < 2:
        raise DesignError(
            "A joint model needs at least two subjects with measurements and follow-up, found "
            f"{data.n_subjects}. {_listed(data.exclusions)}".rstrip()
        )
    return data


def _match(
    longitudinal: pd.DataFrame,
    survival: pd.DataFrame,
    events: EventData,
    spec: JointSpec,
    before: tuple[Exclusion, ...],
) -> JointData:
    """Match measurements with checked events; keep subjects that have both."""
    rows, lost = _measurements(longitudinal, survival, spec)
    rows, strange = _matched(rows, survival, events, spec)
    rows, late = _within_follow_up(rows, events, spec)
    exclusions = before + lost + strange + late
    masks = [_usable(rows, marker, spec) for marker in spec.markers]
    for marker, mask in zip(spec.markers, masks, strict=True):
        reason = f"no {marker.outcome}, or no covariate of its model"
        exclusions += exclude(_STAGE, "row", reason, rows.loc[~mask, spec.subject])
    covariates = subject_covariates(rows, events.ids, spec)
    measured = rows.loc[np.any(masks, axis=0), spec.subject]
    keep, lost = _complete_subjects(measured, events, covariates)
    events = events.take(keep)
    made = [_of_marker(rows[mask], events, spec) for mask in masks]
    return JointData(
        events=events,
        covariates=covariates.loc[keep].reset_index(drop=True),
        rows=tuple(frame for frame, _ in made),
        codes=tuple(codes for _, codes in made),
        exclusions=exclusions + lost,
        notes=_notes(rows, events, spec),
    )


def _check_tables(longitudinal: Any, survival: Any, spec: JointSpec) -> None:
    """Refuse what are no tables, and columns that are not there."""
    for name, table in (("longitudinal", longitudinal), ("survival", survival)):
        if not isinstance(table, pd.DataFrame):
            raise DesignError(f"`{name}` must be a pandas DataFrame, got {type(table).__name__}.")
        if len(table) == 0:
            raise DesignError(f"`{name}` has no rows.")
        if spec.subject not in table.columns:
            raise DesignError(
                f"`{name}` has no column {spec.subject!r}, the subject according to the "
                f"`longitudinal` formula. It has: {', '.join(map(str, table.columns[:12]))}."
            )
    if spec.time not in longitudinal.columns:
        raise DesignError(
            f"`time` names {spec.time!r}, which is no column of `longitudinal`. It has: "
            f"{', '.join(map(str, longitudinal.columns[:12]))}."
        )
    for name in spec.hazard_variables:
        if name not in survival.columns and name in longitudinal.columns:
            raise DesignError(
                f"The hazard names {name!r}, which is a column of `longitudinal` only. A covariate "
                "of the hazard has one value per subject: add it to `survival` (its value at "
                "baseline); or, if it changes over time, make it a marker."
            )


def _measurements(
    longitudinal: pd.DataFrame, survival: pd.DataFrame, spec: JointSpec
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Take the columns that are needed; covariates may stand in the survival table."""
    needed = dict.fromkeys([spec.subject, spec.time])
    for marker in spec.markers:
        needed |= dict.fromkeys(formula_variables(marker.outcome))
        needed |= dict.fromkeys(marker_variables(marker, time=spec.time))
    here = [name for name in needed if name in longitudinal.columns]
    rows = longitudinal[here].reset_index(drop=True)
    elsewhere = [name for name in needed if name not in here and name in survival.columns]
    absent = [name for name in needed if name not in here and name not in elsewhere]
    if absent:
        raise DesignError(
            f"The marker's model names {absent[0]!r}, which is a column of neither table. "
            f"`longitudinal` has: {', '.join(map(str, longitudinal.columns[:12]))}."
        )
    _refuse_contradictions(longitudinal, survival, [n for n in here if n != spec.subject], spec)
    if elsewhere:
        once = survival.drop_duplicates(spec.subject).set_index(spec.subject)[elsewhere]
        rows = rows.join(once, on=spec.subject)
    exclusions: tuple[Exclusion, ...] = ()
    numbers = rows[spec.time]
    if not pd.api.types.is_numeric_dtype(numbers) or pd.api.types.is_bool_dtype(numbers):
        raise DesignError(
            f"Column {spec.time!r} must hold numbers (a time), found {numbers.dtype}. Convert it "
            "to the unit of the durations first."
        )
    has_id = rows[spec.subject].notna()
    has_time = pd.Series(np.isfinite(numbers.to_numpy(dtype=float, na_value=np.nan)), rows.index)
    exclusions += exclude(_STAGE, "row", f"no {spec.subject}", ["no id"] * int((~has_id).sum()))
    timeless = has_id & ~has_time
    exclusions += exclude(_STAGE, "row", f"no {spec.time}", rows.loc[timeless, spec.subject])
    return rows[has_id & has_time].reset_index(drop=True), exclusions


def _matched(
    rows: pd.DataFrame, survival: pd.DataFrame, events: EventData, spec: JointSpec
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Leave out measurements of subjects without follow-up."""
    known = rows[spec.subject].isin(events.ids)
    if not known.any():
        raise DesignError(
            f"No subject of `longitudinal` ({first_ids(rows[spec.subject])}) is among those of "
            f"`survival` with follow-up ({first_ids(events.ids)}). Are the ids of the same kind "
            f"(text or numbers)?"
        )
    is_listed = rows[spec.subject].isin(survival[spec.subject])
    strange = rows.loc[~known & ~is_listed, spec.subject]
    lost = exclude(_STAGE, "row", "subject has no follow-up in the survival table", strange)
    left_out = rows.loc[~known & is_listed, spec.subject]  # counted with the reason before
    lost += exclude(_STAGE, "row", "subject was left out by its survival row", left_out)
    lost += exclude(
        _STAGE,
        "subject",
        "measurements, but no follow-up in the survival table",
        strange.drop_duplicates(),
    )
    return rows[known].reset_index(drop=True), lost


def _within_follow_up(
    rows: pd.DataFrame, events: EventData, spec: JointSpec
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Leave out measurements after the event or the end of follow-up."""
    end = pd.Series(events.end, index=list(events.ids))
    late = rows[spec.time].to_numpy(dtype=float) > end.reindex(rows[spec.subject]).to_numpy()
    if len(late) and late.mean() > _MOST:
        raise DesignError(
            f"{int(late.sum())} of {len(rows)} measurements lie after their subject's event or end "
            f"of follow-up. Have {spec.time!r} (up to {rows[spec.time].max():g}) and the durations "
            f"(up to {events.end.max():g}) the same unit, days or years, and the same zero?"
        )
    reason = "measured after the event or the end of follow-up"
    lost = exclude(_STAGE, "row", reason, rows.loc[late, spec.subject])
    return rows[~late].reset_index(drop=True), lost


def _refuse_contradictions(
    longitudinal: pd.DataFrame, survival: pd.DataFrame, names: Sequence[str], spec: JointSpec
) -> None:
    """Refuse covariates that both tables hold, and that differ between them."""
    used = formula_variables(spec.hazard) if spec.hazard != "1" else ()
    used = {*used, *(formula_variables(spec.interaction) if spec.interaction else ())}
    for name in names:
        if name not in survival.columns or name not in used:
            continue
        once = survival.drop_duplicates(spec.subject).set_index(spec.subject)[name]
        there = longitudinal[spec.subject].map(once.astype(object))
        here = longitudinal[name].astype(object)
        differs = here.notna() & there.notna() & (here != there)
        if differs.any():
            ids = longitudinal.loc[differs, spec.subject].astype(str)
            raise DesignError(
                f"Column {name!r} stands in both tables with different values, for "
                f"{ids.nunique()} subject(s) ({first_ids(ids)}). The hazard needs one value per "
                "subject: correct the tables, or rename one column."
            )


def subject_covariates(rows: pd.DataFrame, ids: Sequence[Any], spec: JointSpec) -> pd.DataFrame:
    """Take each subject's values of what the markers' models need besides time.

    Parameters
    ----------
    rows : pandas.DataFrame
        Measurements.
    ids : sequence
        Subjects.
    spec : JointSpec
        The model.

    Returns
    -------
    pandas.DataFrame
        One row per subject, in the order of `ids`; missing where no row has a value.

    Raises
    ------
    DesignError
        If a covariate of a marker whose trajectory enters the hazard changes over time.
    """
    names = dict.fromkeys(
        name for marker in spec.markers for name in marker_variables(marker, time=spec.time)
    )
    grouped = rows.groupby(spec.subject, sort=False, observed=True)
    for marker, terms in zip(spec.markers, spec.terms, strict=True):
        if not _TRAJECTORY & set(terms):
            continue
        for name in marker_variables(marker, time=spec.time):
            n_values = grouped[name].nunique()
            several = n_values > 1
            if several.any():
                raise DesignError(
                    f"{name!r} changes over time in {int(several.sum())} subject(s) "
                    f"({first_ids(several.index[several])}), but the true {marker.outcome} is "
                    "needed at any time. Use its value at baseline, or the time itself "
                    f"({spec.time!r})."
                )
    index = pd.Index(list(ids))
    return pd.DataFrame({name: grouped[name].first().reindex(index) for name in names}, index=index)


def _usable(rows: pd.DataFrame, marker: LMMSpec, spec: JointSpec) -> np.ndarray:
    """Say which measurements of a marker are complete, and finite after every transform."""
    needed = [*formula_variables(marker.outcome), *marker_variables(marker, time=spec.time)]
    usable = rows[needed].notna().all(axis=1).to_numpy()
    sides = (f"0 + {marker.outcome}", marker.fixed, *(term.rhs() for term in marker.random))
    for rhs in sides:
        if not usable.any():
            break
        matrix, _ = design_matrices(rhs, rows.loc[usable])
        usable[np.flatnonzero(usable)] = np.isfinite(matrix.to_numpy()).all(axis=1)
    return usable


def _complete_subjects(
    measured: pd.Series, events: EventData, covariates: pd.DataFrame
) -> tuple[np.ndarray, tuple[Exclusion, ...]]:
    """Say which subjects have a measurement and every covariate."""
    ids = pd.Series(list(events.ids))
    keep = ids.isin(measured).to_numpy()
    exclusions = exclude(_STAGE, "subject", "follow-up, but no usable measurement", ids[~keep])
    for name in covariates.columns:
        has_value = covariates[name].notna().to_numpy()
        exclusions += exclude(_STAGE, "subject", f"no {name}", ids[keep & ~has_value])
        keep = keep & has_value
    return keep, exclusions


def _of_marker(
    rows: pd.DataFrame, events: EventData, spec: JointSpec
) -> tuple[pd.DataFrame, np.ndarray]:
    """Sort the measurements of one marker by subject."""
    place = pd.Series(np.arange(len(events.ids)), index=list(events.ids))
    known = rows[rows[spec.subject].isin(events.ids)]
    codes = place.reindex(known[spec.subject]).to_numpy()
    order = np.argsort(codes, kind="stable")
    return known.iloc[order].reset_index(drop=True), codes[order].astype(int)


def _notes(rows: pd.DataFrame, events: EventData, spec: JointSpec) -> tuple[str, ...]:
    """Say what is unusual, though allowed."""
    notes = []
    early = int((rows[spec.time] < 0).sum())
    if early:
        notes.append(f"{early} measurement(s) before time 0 are used as they are")
    last, end = float(rows[spec.time].max()), float(events.end.max(initial=0.0))
    if last < _LEAST * end:
        notes.append(
            f"measurements end at {last:g}, follow-up at {end:g}: do {spec.time!r} and the "
            "durations have the same unit? Trajectories are continued to the end of follow-up"
        )
    return tuple(notes)


def _listed(exclusions: Sequence[Exclusion]) -> str:
    """List what was left out."""
    return "; ".join(f"{e.n} {e.unit}(s): {e.reason}" for e in exclusions)
