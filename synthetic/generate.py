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
from synthetic.draws import BLOCK, SubjectStreams
from synthetic.latent import Latent, draw_latent, examine, scan
from synthetic.lesions import count_lesions
from synthetic.missingness import Attendance, draw_attendance
from synthetic.population import draw_population
from synthetic.presets import preset
from synthetic.tables import Part, join_parts, make_part
from synthetic.truth import Truth, true_parameters
from synthetic.visits import visit_labels

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
    latent = draw_latent(config, streams, draw_population(config, streams))
    ratings = examine(config, latent, streams)
    attendance = draw_attendance(
        config.missingness, latent.calendar, ratings["edss"], streams,
        course=latent.course_edss, age=latent.population.age,
    )  # fmt: skip
    return Draft(
        latent=latent,
        attendance=attendance,
        emitted=config.emitted,
        clinical=ratings | count_lesions(latent.lesions, attendance.scanned),
        scans=scan(config, latent, streams),
        scan_columns=latent.calendar.columns(config.schedule.imaging_weeks),
    )


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
