"""Generate a cohort: subjects, visits, relapses, exits, and the truth behind them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats import evidence
from pmsstats.cohort import Cohort
from pmsstats.cohort.schema import PHENOTYPES
from pmsstats.errors import DesignError
from pmsstats.seeds import Seed, as_seed_sequence
from synthetic.config import CohortConfig, preset
from synthetic.draws import SubjectStreams
from synthetic.hands import Hands, draw_hands, measure_hands
from synthetic.imaging import ImagingCourse, draw_courses, measure_imaging
from synthetic.instruments import measure_instruments, rate_edss
from synthetic.lesions import Lesions, count_lesions, draw_lesions
from synthetic.missingness import REASONS, Attendance, draw_attendance
from synthetic.population import Population, draw_population
from synthetic.progression import HIGHEST_EDSS, Progression, draw_progression, true_edss
from synthetic.relapses import Relapses, draw_relapses, relapse_impairment
from synthetic.truth import (
    Truth,
    course_columns,
    hand_columns,
    lesion_columns,
    true_parameters,
)
from synthetic.visits import DAYS_PER_YEAR, Calendar, draw_calendar

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SyntheticCohort", "SyntheticTables", "generate_cohort", "generate_tables"]


class SyntheticCohort(Cohort):
    """A cohort whose truth is known; otherwise an ordinary :class:`pmsstats.cohort.Cohort`.

    Parameters
    ----------
    tables : SyntheticTables
        From :func:`generate_tables`.
    """

    __slots__ = ("_truth",)

    def __init__(self, tables: SyntheticTables) -> None:
        super().__init__(
            tables.subjects, tables.visits, tables.relapses, tables.exits, origin="synthetic"
        )
        self._truth = tables.truth

    @property
    def truth(self) -> Truth:
        """What the generator knows; for evaluations, never for analyses."""
        return self._truth


@dataclass(frozen=True, kw_only=True, eq=False)
class SyntheticTables:
    """The four tables of a cohort before validation, and the truth.

    Parameters
    ----------
    subjects, visits, relapses, exits : pandas.DataFrame
        As :class:`pmsstats.cohort.Cohort` takes them.
    truth : Truth
        What is behind them.
    """

    subjects: pd.DataFrame
    visits: pd.DataFrame
    relapses: pd.DataFrame
    exits: pd.DataFrame
    truth: Truth


def generate_cohort(
    config: CohortConfig | str = "progressive", seed: Seed | None = None, *,
    n_subjects: int | None = None,
) -> SyntheticCohort:  # fmt: skip
    """Generate a validated synthetic cohort.

    Parameters
    ----------
    config : CohortConfig or str, default "progressive"
        A description, or the name of a preset (:data:`synthetic.PRESETS`).
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Required: the same seed and config give the same cohort, and its first 50 subjects are
        those of a cohort of 50.
    n_subjects : int, optional
        Instead of the config's own.

    Returns
    -------
    SyntheticCohort
        With ``origin="synthetic"`` and ``.truth``.

    Raises
    ------
    DesignError
        If there is no such preset, or the description is impossible.
    TypeError
        If no seed is given.

    Warns
    -----
    EvidenceUncheckedWarning
        If the description rests on published values that were not yet entered twice.

    Examples
    --------
    >>> import warnings
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     cohort = generate_cohort("progressive", seed=1, n_subjects=20)
    >>> cohort.n_subjects, cohort.origin
    (20, 'synthetic')
    """
    tables = generate_tables(config, seed, n_subjects=n_subjects)
    evidence.warn_unchecked(
        tables.truth.config.record_ids(), used_by="the synthetic cohort", stacklevel=2
    )
    return SyntheticCohort(tables)


def generate_tables(
    config: CohortConfig | str = "progressive", seed: Seed | None = None, *,
    n_subjects: int | None = None,
) -> SyntheticTables:  # fmt: skip
    """Generate the tables of a cohort without validating them, for simulations.

    Parameters
    ----------
    config : CohortConfig or str, default "progressive"
        As for :func:`generate_cohort`.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Required.
    n_subjects : int, optional
        Instead of the config's own.

    Returns
    -------
    SyntheticTables
        Raw tables and truth.

    Raises
    ------
    DesignError
        If there is no such preset, or the description is impossible.
    TypeError
        If no seed is given.
    """
    config = _resolve(config, n_subjects)
    root = as_seed_sequence(seed)  # type: ignore[arg-type]
    draft = _draw(config, SubjectStreams(root, config.n_subjects))
    ids = np.array([f"S{i:06d}" for i in range(1, config.n_subjects + 1)], dtype=object)
    return SyntheticTables(
        subjects=_subjects(config, draft, ids),
        visits=_visits(draft, ids),
        relapses=_relapses(draft, ids),
        exits=_exits(draft, ids),
        truth=_truth(config, draft, ids, root),
    )


def _resolve(config: CohortConfig | str, n_subjects: int | None) -> CohortConfig:
    """Look up a preset and set the number of subjects."""
    if isinstance(config, str):
        config = preset(config)
    if not isinstance(config, CohortConfig):
        raise DesignError(
            f"`config` must be a CohortConfig or the name of a preset, got {config!r}."
        )
    return config if n_subjects is None else dataclasses.replace(config, n_subjects=n_subjects)


@dataclass(frozen=True, kw_only=True)
class _Draft:
    """Everything that was drawn, as arrays over subjects and planned visits."""

    population: Population
    calendar: Calendar
    progression: Progression
    relapses: Relapses
    lesions: Lesions | None
    hands: Hands | None
    courses: Mapping[str, ImagingCourse]
    attendance: Attendance
    course_edss: np.ndarray
    relapse_edss: np.ndarray
    clinical: Mapping[str, np.ndarray]
    imaging: Mapping[str, np.ndarray]


def _draw(config: CohortConfig, streams: SubjectStreams) -> _Draft:
    """Draw the latent processes, observe them, and take away what is not seen."""
    population = draw_population(config, streams)
    calendar = draw_calendar(config.schedule, streams)
    progression = draw_progression(config, population, streams)
    relapses = draw_relapses(config, population, streams)
    course = true_edss(config.disability, progression, calendar.year)
    extra = relapse_impairment(config.relapses, relapses, calendar.year)
    impairment = np.clip(course + extra, 0.0, HIGHEST_EDSS)
    edss = rate_edss(config.disability, population, impairment, calendar.weeks, streams)
    courses = draw_courses(config, population, streams)
    lesions = draw_lesions(config, population, calendar, streams)
    hands = draw_hands(config, population, streams)
    tests = measure_instruments(config, population, impairment, calendar, streams)
    tests |= measure_hands(config, hands, tests.get("nhpt_s"), calendar, streams)
    attendance = draw_attendance(config.missingness, calendar, edss, streams)
    scans = measure_imaging(courses, calendar, config.schedule.imaging_weeks, streams)
    scans |= count_lesions(lesions, attendance.scanned)
    return _Draft(
        population=population,
        calendar=calendar,
        progression=progression,
        relapses=relapses,
        lesions=lesions,
        hands=hands,
        courses=courses,
        attendance=attendance,
        course_edss=course,
        relapse_edss=extra,
        clinical=_emitted(config, {"edss": edss, **tests}),
        imaging=_emitted(config, scans),
    )


def _emitted(config: CohortConfig, measured: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Keep what the cohort will have, in column order."""
    return {name: measured[name] for name in config.emitted if name in measured}


def _subjects(config: CohortConfig, draft: _Draft, ids: np.ndarray) -> pd.DataFrame:
    """Tabulate the subjects."""
    population = draft.population
    columns = {
        "subject_id": ids,
        "phenotype": np.array(PHENOTYPES, dtype=object)[population.phenotype],
        "sex": np.where(population.female, "F", "M").astype(object),
        "age_years": np.round(population.age, 1),
        "disease_duration_years": np.round(population.duration, 1),
    }
    if config.arms:
        names = [arm.name for arm in config.arms]
        columns["arm"] = pd.Categorical.from_codes(population.arm, names, ordered=True)
    return pd.DataFrame(columns)


def _planned(draft: _Draft, ids: np.ndarray) -> dict[str, np.ndarray | pd.Categorical]:
    """Return the key columns of all planned visits, subject by subject."""
    n_subjects, n_visits = draft.calendar.day.shape
    codes = np.tile(np.arange(n_visits), n_subjects)
    return {
        "subject_id": np.repeat(ids, n_visits),
        "visit": pd.Categorical.from_codes(codes, list(draft.calendar.labels), ordered=True),
        "day": draft.calendar.day.ravel(),
    }


def _visits(draft: _Draft, ids: np.ndarray) -> pd.DataFrame:
    """Tabulate what was seen; a visit that did not take place has no row."""
    scanned = draft.attendance.scanned
    measured = {name: values.ravel() for name, values in draft.clinical.items()}
    for name, values in draft.imaging.items():
        measured[name] = np.where(scanned, values, np.nan).ravel()
    frame = pd.DataFrame({**_planned(draft, ids), **measured})
    return frame[draft.attendance.attended.ravel()].reset_index(drop=True)


def _relapses(draft: _Draft, ids: np.ndarray) -> pd.DataFrame:
    """Tabulate relapses up to exit; two that begin on one day are one."""
    years = draft.relapses.years
    day = np.ceil(np.where(np.isfinite(years), years, 1e6) * DAYS_PER_YEAR).astype(np.int64)
    who, k = np.nonzero(day <= draft.attendance.exit_day[:, None])
    frame = pd.DataFrame({"subject_id": ids[who], "day": day[who, k]})
    return frame.drop_duplicates(ignore_index=True)


def _exits(draft: _Draft, ids: np.ndarray) -> pd.DataFrame:
    """Tabulate exits, one per subject."""
    attendance = draft.attendance
    reason = np.array(REASONS, dtype=object)[attendance.reason]
    return pd.DataFrame({"subject_id": ids, "day": attendance.exit_day, "reason": reason})


def _truth(
    config: CohortConfig, draft: _Draft, ids: np.ndarray, root: np.random.SeedSequence
) -> Truth:
    """Gather the truth."""
    entropy = root.entropy if isinstance(root.entropy, list | tuple) else (root.entropy,)
    return Truth(
        config=config,
        seed=tuple(int(v) for v in (*entropy, *root.spawn_key) if v is not None),
        parameters=true_parameters(config),
        subjects=_true_subjects(draft, ids),
        visits=_true_visits(draft, ids),
        attrition=_attrition(draft),
    )


def _true_subjects(draft: _Draft, ids: np.ndarray) -> pd.DataFrame:
    """Tabulate latent quantities of the subjects."""
    population, progression = draft.population, draft.progression
    steps = progression.steps
    first = steps[:, 0] if steps.shape[1] else np.full(len(ids), np.inf)
    return pd.DataFrame(
        {
            "subject_id": ids,
            "damage": population.damage,
            "rate": population.rate,
            "disability": population.disability,
            "worsening_hazard": progression.hazard,
            "relapse_rate": draft.relapses.rate,
            "baseline_edss": progression.baseline,
            "first_step_year": np.where(np.isfinite(first), first, np.nan),
            **course_columns(draft.courses),
            **lesion_columns(draft.lesions),
            **hand_columns(draft.hands),
        }
    )


def _true_visits(draft: _Draft, ids: np.ndarray) -> pd.DataFrame:
    """Tabulate latent quantities at all planned visits."""
    return pd.DataFrame(
        {
            **_planned(draft, ids),
            "year": draft.calendar.year.ravel(),
            "true_edss": draft.course_edss.ravel(),
            "relapse_edss": draft.relapse_edss.ravel(),
            "attended": draft.attendance.attended.ravel(),
            "scanned": draft.attendance.scanned.ravel(),
        }
    )


def _attrition(draft: _Draft) -> pd.DataFrame:
    """Count what was planned and what was lost to what."""
    attendance = draft.attendance
    after = ~(attendance.attended | attendance.missed)
    left_by = attendance.reason[:, None] == np.arange(len(REASONS))
    rows = [
        ("planned visits", attendance.attended.size),
        ("visits that took place", int(attendance.attended.sum())),
        ("visits missed", int(attendance.missed.sum())),
        ("visits after dropout", int((after & left_by[:, 1:2]).sum())),
        ("visits after death", int((after & left_by[:, 2:3]).sum())),
    ]
    return pd.DataFrame(rows, columns=["what", "n"])
