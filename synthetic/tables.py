"""From what was drawn to tables: first per block of subjects, then joined.

A block's measurements are one matrix, a row per measure, and so are those of the whole cohort: they
are copied once, and become the columns of the table of visits as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import PHENOTYPES
from synthetic.config import CohortConfig
from synthetic.missingness import REASONS, Attendance
from synthetic.processes import FACTORS
from synthetic.sites import scanner_names
from synthetic.truth import course_columns, hand_columns, lesion_columns
from synthetic.visits import DAYS_PER_YEAR

if TYPE_CHECKING:
    from synthetic.generate import Draft

__all__ = ["Part", "join_parts", "make_part", "subject_ids"]

_Columns = Mapping[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Tables of consecutive subjects, as arrays.

    Parameters
    ----------
    n_subjects : int
        How many.
    subjects, visits, relapses, exits, true_visits : mapping of str to ndarray
        Columns; ``who`` is the position of the subject in the part.
    measured : ndarray, shape (n_measures, n_rows)
        Measurements at the visits that took place.
    truth : ndarray, shape (n_quantities, n_subjects)
        Latent quantities, named by `quantities`.
    quantities : tuple of str
        Names.
    attrition : mapping of str to int
        What was planned and lost.
    """

    n_subjects: int
    subjects: _Columns
    visits: _Columns
    relapses: _Columns
    exits: _Columns
    true_visits: _Columns
    measured: np.ndarray
    truth: np.ndarray
    quantities: tuple[str, ...]
    attrition: Mapping[str, int]


def make_part(config: CohortConfig, draft: Draft) -> Part:
    """Turn a block that was drawn to columns.

    Parameters
    ----------
    config : CohortConfig
        The description.
    draft : Draft
        Everything that was drawn.

    Returns
    -------
    Part
        Of these subjects.
    """
    truth = _truth(draft)
    n_subjects, n_visits = draft.latent.calendar.day.shape
    who = np.repeat(np.arange(n_subjects), n_visits)
    visit = np.tile(np.arange(n_visits), n_subjects)
    planned = {"who": who, "visit": visit, "day": draft.latent.calendar.day.ravel()}
    attended = draft.attendance.attended.ravel()
    seen = {**planned, **_scanner(draft)}
    if not attended.all():
        seen = {name: values[attended] for name, values in seen.items()}
    return Part(
        n_subjects=n_subjects,
        subjects=_subjects(config, draft),
        visits=seen,
        relapses=_relapses(draft),
        exits={"day": draft.attendance.exit_day, "reason": draft.attendance.reason},
        true_visits={
            **planned,
            "year": draft.latent.calendar.year.ravel(),
            "true_edss": draft.latent.course_edss.ravel(),
            "relapse_edss": draft.latent.relapse_edss.ravel(),
            "attended": attended,
            "scanned": draft.attendance.scanned.ravel(),
        },
        measured=_measured(draft, attended),
        truth=np.array(list(truth.values())),
        quantities=tuple(truth),
        attrition=_attrition(draft.attendance),
    )


def _scanner(draft: Draft) -> dict[str, np.ndarray]:
    """Name the scanner of every planned visit; nothing where there is one."""
    if draft.latent.scanners is None:
        return {}
    return {"scanner_id": scanner_names(draft.latent.scanners).ravel()}


def _subjects(config: CohortConfig, draft: Draft) -> dict[str, np.ndarray]:
    """Return the columns of the subjects."""
    population = draft.latent.population
    columns = {
        "phenotype": np.array(PHENOTYPES, dtype=object)[population.phenotype],
        "sex": np.where(population.female, "F", "M").astype(object),
        "age_years": np.round(population.age, 1),
        "disease_duration_years": np.round(population.duration, 1),
        "head_size_ml": np.round(population.head_size, 1),
    }
    if config.sites.n_sites > 1:
        names = [f"C{k:03d}" for k in range(1, config.sites.n_sites + 1)]
        columns["site_id"] = np.array(names, dtype=object)[population.site]
    if config.arms:
        columns["arm"] = population.arm
    return columns | _conversions(draft)


def _conversions(draft: Draft) -> dict[str, np.ndarray]:
    """Return what subjects convert to before they leave, and when."""
    if draft.latent.conversion is None:
        return {}
    day = np.ceil(draft.latent.conversion.year * DAYS_PER_YEAR)
    seen = day <= draft.attendance.exit_day
    names = np.array(PHENOTYPES, dtype=object)[draft.latent.conversion.phenotype]
    return {
        "converted_to": np.where(seen, names, None),
        "conversion_day": np.where(seen, day, np.nan),
    }


def _measured(draft: Draft, attended: np.ndarray) -> np.ndarray:
    """Gather measurements, a row per measure, at the visits that took place."""
    n_subjects, n_visits = draft.latent.calendar.day.shape
    out = np.empty((len(draft.emitted), n_subjects, n_visits))
    unseen = ~draft.attendance.scanned
    hides = bool(unseen[:, draft.scan_columns].any())
    is_full = len(draft.scan_columns) == n_visits
    for row, name in zip(out, draft.emitted, strict=True):
        if name in draft.clinical:
            row[:] = draft.clinical[name]
            continue
        if not is_full:
            row.fill(np.nan)
        row[:, draft.scan_columns] = draft.scans[name].T
        if hides:
            row[unseen] = np.nan
    flat = out.reshape(len(out), -1)
    return flat if attended.all() else np.ascontiguousarray(flat[:, attended])


def _relapses(draft: Draft) -> dict[str, np.ndarray]:
    """Return relapses up to exit; two that begin on one day are one."""
    years = draft.latent.relapses.years
    day = np.ceil(np.where(np.isfinite(years), years, 1e6) * DAYS_PER_YEAR).astype(np.int64)
    first = np.ones(day.shape, dtype=bool)
    first[:, 1:] = np.diff(day, axis=1) > 0
    who, k = np.nonzero(first & (day <= draft.attendance.exit_day[:, None]))
    return {"who": who, "day": day[who, k]}


def _truth(draft: Draft) -> dict[str, np.ndarray]:
    """Return latent quantities of the subjects."""
    population, progression = draft.latent.population, draft.latent.progression
    steps = progression.steps
    first = steps[:, 0] if steps.shape[1] else np.full(len(population.age), np.inf)
    years = (
        {} if draft.latent.conversion is None else {"conversion_year": draft.latent.conversion.year}
    )
    return {
        **dict(zip(FACTORS, population.factors, strict=True)),
        "age_score": population.age_score,
        "duration_score": population.duration_score,
        "head_size_score": population.head_score,
        "worsening_hazard": progression.hazard,
        "relapse_rate": draft.latent.relapses.rate,
        "baseline_edss": progression.baseline,
        "first_step_year": np.where(np.isfinite(first), first, np.nan),
        **{name: np.where(np.isfinite(year), year, np.nan) for name, year in years.items()},
        **course_columns(draft.latent.courses),
        **lesion_columns(draft.latent.lesions),
        **hand_columns(draft.latent.hands),
    }


def _attrition(attendance: Attendance) -> dict[str, int]:
    """Count what was planned and what was lost to what."""
    after = ~(attendance.attended | attendance.missed)
    left_by = attendance.reason[:, None] == np.arange(len(REASONS))
    return {
        "planned visits": attendance.attended.size,
        "visits that took place": int(attendance.attended.sum()),
        "visits missed": int(attendance.missed.sum()),
        "visits after dropout": int((after & left_by[:, 1:2]).sum()),
        "visits after death": int((after & left_by[:, 2:3]).sum()),
    }


def subject_ids(first: int, n_subjects: int) -> np.ndarray:
    """Name consecutive subjects.

    Parameters
    ----------
    first : int
        Position of the first in the cohort, from 0.
    n_subjects : int
        How many.

    Returns
    -------
    ndarray of object, shape (n_subjects,)
        ``"S000001"`` for position 0.
    """
    return np.char.mod("S%06d", np.arange(first + 1, first + n_subjects + 1)).astype(object)


@dataclass(frozen=True, kw_only=True)
class Joined:
    """Joined tables, as frames."""

    subjects: pd.DataFrame
    visits: pd.DataFrame
    relapses: pd.DataFrame
    exits: pd.DataFrame
    true_subjects: pd.DataFrame
    true_visits: pd.DataFrame
    attrition: pd.DataFrame


def join_parts(
    config: CohortConfig, parts: Sequence[Part], first: int, labels: tuple[str, ...]
) -> Joined:
    """Join the parts of consecutive subjects.

    Parameters
    ----------
    config : CohortConfig
        The description.
    parts : sequence of Part
        In order.
    first : int
        Position of the first subject in the cohort.
    labels : tuple of str
        Names of the visits.

    Returns
    -------
    Joined
        Frames.
    """
    ids = subject_ids(first, sum(part.n_subjects for part in parts))
    starts = np.cumsum([0, *(part.n_subjects for part in parts)])
    true_subjects = _block([part.truth for part in parts], parts[0].quantities)
    true_subjects.insert(0, "subject_id", ids)
    visits = _block([part.measured for part in parts], config.emitted)
    keys = _keyed([part.visits for part in parts], starts, ids, labels)
    for place, (name, values) in enumerate(keys.items()):
        visits.insert(place, name, values)
    exits = _stack([part.exits for part in parts])
    exits["reason"] = np.array(REASONS, dtype=object)[exits["reason"]]
    names = list(parts[0].attrition)
    counts = [sum(part.attrition[name] for part in parts) for name in names]
    return Joined(
        subjects=_joined_subjects(config, parts, ids),
        visits=visits,
        relapses=pd.DataFrame(_keyed([part.relapses for part in parts], starts, ids, labels)),
        exits=pd.DataFrame({"subject_id": ids, **exits}),
        true_subjects=true_subjects,
        true_visits=pd.DataFrame(
            _keyed([part.true_visits for part in parts], starts, ids, labels), copy=False
        ),
        attrition=pd.DataFrame({"what": names, "n": counts}),
    )


def _joined_subjects(config: CohortConfig, parts: Sequence[Part], ids: np.ndarray) -> pd.DataFrame:
    """Join the tables of subjects, arms as an ordered categorical."""
    columns: dict[str, np.ndarray | pd.Categorical] = {
        "subject_id": ids,
        **_stack([part.subjects for part in parts]),
    }
    if config.arms:
        names = [arm.name for arm in config.arms]
        columns["arm"] = pd.Categorical.from_codes(columns["arm"], names, ordered=True)
    return pd.DataFrame(columns)


def _stack(parts: Sequence[_Columns]) -> dict[str, np.ndarray]:
    """Join columns end to end."""
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _keyed(
    parts: Sequence[_Columns], starts: np.ndarray, ids: np.ndarray, labels: tuple[str, ...]
) -> dict[str, np.ndarray | pd.Categorical]:
    """Join columns, with subjects and visits by name."""
    stacked = _stack(parts)
    lengths = [len(part["who"]) for part in parts]
    who = stacked.pop("who") + np.repeat(starts[:-1], lengths)
    columns: dict[str, np.ndarray | pd.Categorical] = {"subject_id": ids[who]}
    for name, values in stacked.items():
        is_visit = name == "visit"
        columns[name] = (
            pd.Categorical.from_codes(values, list(labels), ordered=True) if is_visit else values
        )
    return columns


def _block(parts: list[np.ndarray], names: Sequence[str]) -> pd.DataFrame:
    """Join matrices with a row per column of the frame, which then is the matrix as it is."""
    if len(parts) == 1:
        return pd.DataFrame(parts[0].T, columns=list(names), copy=False)
    out = np.empty((len(names), sum(part.shape[1] for part in parts)))
    start = 0
    for part in parts:
        out[:, start : start + part.shape[1]] = part
        start += part.shape[1]
    return pd.DataFrame(out.T, columns=list(names), copy=False)
