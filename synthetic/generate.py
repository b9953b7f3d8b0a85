"""Generate a cohort: subjects, visits, relapses, exits, and the truth behind them.

Subjects are drawn block by block (:data:`synthetic.draws.BLOCK`); what a block holds depends on the
description, the seed and its position alone. So a cohort can be made in one piece, in pieces, or by
several processes, and is always the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from pmsstats import evidence
from pmsstats.cohort import Cohort
from pmsstats.errors import DesignError
from pmsstats.seeds import Seed, as_seed_sequence
from synthetic.config import CohortConfig
from synthetic.conversion import Conversion, draw_conversion
from synthetic.draws import BLOCK, SubjectStreams
from synthetic.functional_systems import grade_systems
from synthetic.hands import Hands, draw_hands, measure_hands
from synthetic.imaging import ImagingCourse, draw_courses, early_loss, measure_imaging
from synthetic.instruments import measure_instruments, rate_edss
from synthetic.lesions import Lesions, count_lesions, draw_lesions
from synthetic.missingness import Attendance, draw_attendance
from synthetic.population import Population, draw_population
from synthetic.presets import preset
from synthetic.progression import HIGHEST_EDSS, Progression, draw_progression, true_edss
from synthetic.relapses import Relapses, draw_relapses, relapse_impairment
from synthetic.sites import Scanners, draw_scanners
from synthetic.tables import Part, join_parts, make_part
from synthetic.truth import Truth, true_parameters
from synthetic.visits import Calendar, draw_calendar, visit_labels

__all__ = [
    "CHUNK",
    "Draft",
    "Latent",
    "SyntheticCohort",
    "SyntheticTables",
    "generate_cohort",
    "generate_tables",
    "iter_tables",
]

CHUNK = BLOCK
"""Subjects per piece of :func:`iter_tables`; larger pieces need fresh memory, and so time."""


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
    n_subjects: int | None = None, n_jobs: int = 1,
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
    n_jobs : int, default 1
        Processes, as for :class:`joblib.Parallel`; the cohort is the same whatever it is.

    Returns
    -------
    SyntheticTables
        Raw tables and truth.

    Raises
    ------
    DesignError
        If there is no such preset, the description is impossible, or `n_jobs` is 0 or no whole
        number.
    TypeError
        If no seed is given.
    """
    config = resolve(config, n_subjects)
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int) or n_jobs == 0:
        raise DesignError(
            f"`n_jobs` must be a number of processes from 1, or -1 for all cores, got {n_jobs!r}."
        )
    root = as_seed_sequence(seed)  # type: ignore[arg-type]
    work = [delayed(draw_part)(config, root, *block) for block in _blocks(0, config.n_subjects)]
    parts = Parallel(n_jobs=n_jobs)(work)
    return _tables(config, parts, root, first=0)


def iter_tables(
    config: CohortConfig | str = "progressive", seed: Seed | None = None, *,
    n_subjects: int | None = None, chunk: int = CHUNK,
) -> Iterator[SyntheticTables]:  # fmt: skip
    """Generate the tables of a cohort piece by piece, without ever holding all of it.

    Parameters
    ----------
    config : CohortConfig or str, default "progressive"
        As for :func:`generate_cohort`.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Required.
    n_subjects : int, optional
        Instead of the config's own.
    chunk : int
        Subjects per piece, rounded up to whole blocks of :data:`synthetic.draws.BLOCK`.

    Returns
    -------
    iterator of SyntheticTables
        Of consecutive subjects; put together they are :func:`generate_tables`.

    Raises
    ------
    DesignError
        If there is no such preset, the description is impossible, or `chunk` is not positive.
    TypeError
        If no seed is given.
    """
    config = resolve(config, n_subjects)
    if chunk < 1:
        raise DesignError(f"`chunk` must be at least 1, got {chunk!r}.")
    root = as_seed_sequence(seed)  # type: ignore[arg-type]
    size = -(-chunk // BLOCK) * BLOCK
    return (
        tables_between(config, root, first, min(first + size, config.n_subjects))
        for first in range(0, config.n_subjects, size)
    )


def tables_between(
    config: CohortConfig, root: np.random.SeedSequence, first: int, last: int
) -> SyntheticTables:
    """Generate the tables of some consecutive subjects.

    Parameters
    ----------
    config : CohortConfig
        The description.
    root : numpy.random.SeedSequence
        From the seed.
    first, last : int
        Position of the first subject, the start of a block, and of the one after the last.

    Returns
    -------
    SyntheticTables
        Of these subjects.
    """
    parts = [draw_part(config, root, *block) for block in _blocks(first, last)]
    return _tables(config, parts, root, first=first)


def _blocks(first: int, last: int) -> Iterator[tuple[int, int]]:
    """Iterate over blocks, with how many subjects each has."""
    for start in range(first, last, BLOCK):
        yield start // BLOCK, min(BLOCK, last - start)


def draw_part(
    config: CohortConfig, root: np.random.SeedSequence, block: int, n_subjects: int
) -> Part:
    """Draw one block.

    Parameters
    ----------
    config : CohortConfig
        The description.
    root : numpy.random.SeedSequence
        From the seed.
    block, n_subjects : int
        Which block, and how many of its subjects.

    Returns
    -------
    Part
        Its tables, as arrays.
    """
    return make_part(config, _draw(config, SubjectStreams(root, n_subjects, block)))


def resolve(config: CohortConfig | str, n_subjects: int | None) -> CohortConfig:
    """Look up a preset and set the number of subjects.

    Parameters
    ----------
    config : CohortConfig or str
        Description or name.
    n_subjects : int or None
        Instead of its own.

    Returns
    -------
    CohortConfig
        The description.

    Raises
    ------
    DesignError
        If there is no such preset, or it is no description.
    """
    if isinstance(config, str):
        config = preset(config)
    if not isinstance(config, CohortConfig):
        raise DesignError(
            f"`config` must be a CohortConfig or the name of a preset, got {config!r}."
        )
    return config if n_subjects is None else dataclasses.replace(config, n_subjects=n_subjects)


@dataclass(frozen=True, kw_only=True)
class Latent:
    """What happens, seen or not, as arrays over subjects and planned visits.

    Parameters
    ----------
    population : Population
        Who the subjects are.
    calendar : Calendar
        When their visits are.
    conversion : Conversion or None
        Who converts when.
    progression : Progression
        Baseline and lasting steps.
    relapses : Relapses
        Relapses.
    lesions : Lesions or None
        New lesions.
    hands : Hands or None
        How the hands differ.
    scanners : Scanners or None
        Sites and upgrades.
    courses : mapping of str to ImagingCourse
        True course of every imaging measure that is emitted.
    course_edss, relapse_edss : ndarray, shape (n_subjects, n_visits)
        Lasting EDSS, and what relapses add to it.
    """

    population: Population
    calendar: Calendar
    conversion: Conversion | None
    progression: Progression
    relapses: Relapses
    lesions: Lesions | None
    hands: Hands | None
    scanners: Scanners | None
    courses: Mapping[str, ImagingCourse]
    course_edss: np.ndarray
    relapse_edss: np.ndarray

    @property
    def impairment(self) -> np.ndarray:
        """Lasting EDSS and what relapses add to it."""
        return np.clip(self.course_edss + self.relapse_edss, 0.0, HIGHEST_EDSS)


@dataclass(frozen=True, kw_only=True)
class Draft:
    """Everything that was drawn: what happens, and what is written down.

    Parameters
    ----------
    latent : Latent
        What happens.
    attendance : Attendance
        Which visits and scans take place.
    emitted : tuple of str
        Measures of the cohort, in column order.
    clinical : mapping of str to ndarray, shape (n_subjects, n_visits)
        Ratings, tests and counts of lesions by measure.
    scans : mapping of str to ndarray, shape (n_scans, n_subjects)
        Imaging by measure.
    scan_columns : ndarray of int
        Planned visits with a scan.
    """

    latent: Latent
    attendance: Attendance
    emitted: tuple[str, ...]
    clinical: Mapping[str, np.ndarray]
    scans: Mapping[str, np.ndarray]
    scan_columns: np.ndarray


def _draw(config: CohortConfig, streams: SubjectStreams) -> Draft:
    """Draw the latent processes, observe them, and take away what is not seen."""
    latent = _draw_latent(config, streams)
    ratings = _examine(config, latent, streams)
    attendance = draw_attendance(
        config.missingness, latent.calendar, ratings["edss"], streams,
        course=latent.course_edss, age=latent.population.age,
    )  # fmt: skip
    return Draft(
        latent=latent,
        attendance=attendance,
        emitted=config.emitted,
        clinical=ratings | count_lesions(latent.lesions, attendance.scanned),
        scans=_scan(config, latent, streams),
        scan_columns=latent.calendar.columns(config.schedule.imaging_weeks),
    )


def _draw_latent(config: CohortConfig, streams: SubjectStreams) -> Latent:
    """Draw who the subjects are, when they are due, and what happens to them."""
    population = draw_population(config, streams)
    calendar = draw_calendar(config.schedule, streams)
    conversion = draw_conversion(config, population, streams)
    progression = draw_progression(config, population, streams, conversion)
    relapses = draw_relapses(config, population, streams)
    return Latent(
        population=population,
        calendar=calendar,
        conversion=conversion,
        progression=progression,
        relapses=relapses,
        lesions=draw_lesions(config, population, calendar, streams),
        hands=draw_hands(config, population, streams),
        scanners=draw_scanners(config, population, calendar, streams),
        courses=draw_courses(config, population, streams, conversion),
        course_edss=true_edss(config.disability, progression, calendar.year),
        relapse_edss=relapse_impairment(config.relapses, relapses, calendar.year),
    )


def _examine(
    config: CohortConfig, latent: Latent, streams: SubjectStreams
) -> dict[str, np.ndarray]:
    """Rate and test everybody at every planned visit."""
    population, calendar, impairment = latent.population, latent.calendar, latent.impairment
    edss = rate_edss(config.disability, population, impairment, calendar.weeks, streams)
    tests = measure_instruments(config, population, impairment, calendar, streams)
    tests |= measure_hands(config, latent.hands, tests.get("nhpt_s"), calendar, streams)
    tests |= grade_systems(config.functional_systems, edss, calendar.weeks, streams)
    return {"edss": edss, **tests}


def _scan(config: CohortConfig, latent: Latent, streams: SubjectStreams) -> dict[str, np.ndarray]:
    """Scan everybody at every planned scan."""
    calendar = latent.calendar
    return measure_imaging(
        latent.courses, calendar, config.schedule.imaging_weeks, streams,
        early=early_loss(config, latent.population, calendar.year), scanners=latent.scanners,
    )  # fmt: skip


def _tables(
    config: CohortConfig, parts: list[Part], root: np.random.SeedSequence, *, first: int
) -> SyntheticTables:
    """Join the parts of consecutive subjects, with their truth."""
    joined = join_parts(config, parts, first, visit_labels(config.schedule.weeks))
    entropy = root.entropy if isinstance(root.entropy, list | tuple) else (root.entropy,)
    return SyntheticTables(
        subjects=joined.subjects,
        visits=joined.visits,
        relapses=joined.relapses,
        exits=joined.exits,
        truth=Truth(
            config=config,
            seed=tuple(int(v) for v in (*entropy, *root.spawn_key) if v is not None),
            parameters=true_parameters(config),
            subjects=joined.true_subjects,
            visits=joined.true_visits,
            attrition=joined.attrition,
        ),
    )
