"""What a cohort generator must offer to be checked: a config that can be narrowed, and tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, Self, runtime_checkable

import pandas as pd

from pmsstats.seeds import Seed

__all__ = ["CohortGenerator", "CohortTables", "StudyConfig"]


@runtime_checkable
class CohortTables(Protocol):
    """What a generator returns; a :class:`pmsstats.cohort.Cohort` is one."""

    @property
    def subjects(self) -> pd.DataFrame:
        """One row per subject: ``subject_id phenotype sex age_years``.

        Also ``arm`` where treatments are asked for, ``disease_duration_years`` for analyses that
        read it, ``converted_to conversion_day`` for conversion.
        """

    @property
    def visits(self) -> pd.DataFrame:
        """One row per subject and visit: ``subject_id day``, and a column for each measure."""

    @property
    def relapses(self) -> pd.DataFrame:
        """One row per relapse: ``subject_id day``."""

    @property
    def exits(self) -> pd.DataFrame:
        """One row per subject: ``subject_id day reason``."""


@runtime_checkable
class StudyConfig(Protocol):
    """A generator's description of its cohort, which can be seen through another study."""

    def for_study(
        self,
        *,
        n_subjects: int | None = None,
        mix: Mapping[str, float] | None = None,
        weeks: tuple[int, ...] | None = None,
        imaging_weeks: tuple[int, ...] | None = None,
        measures: tuple[str, ...] | None = None,
        treatments: tuple[str, ...] = (),
        age: tuple[float, float] | None = None,
        edss: tuple[float, float] | None = None,
        duration: tuple[float, float] | None = None,
        relapse_free_years: float | None = None,
        sites: int | None = None,
        complete: bool = True,
        conversion: bool | None = None,
    ) -> Self:
        """Return the same population as another study would have seen it.

        Parameters
        ----------
        n_subjects : int, optional
            How many.
        mix : mapping of str to float, optional
            Share of each phenotype.
        weeks, imaging_weeks : tuple of int, optional
            Planned visits and scans, weeks from baseline.
        measures : tuple of str, optional
            What is emitted.
        treatments : tuple of str
            Names of arms that the generator knows, in equal shares, reference first.
        age, edss, duration : tuple of float, optional
            Lowest and highest value at inclusion (years, EDSS points, years).
        relapse_free_years : float, optional
            Without a relapse for so long before inclusion.
        sites : int, optional
            Number of sites.
        complete : bool, default True
            Without missed visits and dropout.
        conversion : bool, optional
            Whether phenotypes may convert.

        Returns
        -------
        StudyConfig
            Of the same kind; everything else as it was.
        """


class CohortGenerator(Protocol):
    """A function that makes a cohort."""

    def __call__(self, config: Any, seed: Seed) -> CohortTables:
        """Make the cohort that a config describes.

        Parameters
        ----------
        config : StudyConfig
            From :meth:`StudyConfig.for_study`.
        seed : int, numpy.random.SeedSequence or numpy.random.Generator
            The same seed and config give the same cohort.

        Returns
        -------
        CohortTables
            Its tables.
        """
