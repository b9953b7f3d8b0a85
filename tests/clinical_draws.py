"""Draws of the clinical side of the generator, without tables: for tests of its parts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from synthetic import CohortConfig, MissingnessModel, PerPhenotype, defaults
from synthetic.conversion import Conversion, draw_conversion
from synthetic.draws import SubjectStreams
from synthetic.population import Population, draw_population
from synthetic.progression import Progression, draw_progression, true_edss
from synthetic.relapses import Relapses, draw_relapses
from synthetic.visits import Calendar, draw_calendar

__all__ = ["PATIENTS", "Draws", "changed", "draw", "only"]

PATIENTS = ("RRMS", "SPMS", "PPMS")


@dataclass(frozen=True, kw_only=True)
class Draws:
    """Latent quantities of a cohort."""

    config: CohortConfig
    streams: SubjectStreams
    population: Population
    calendar: Calendar
    conversion: Conversion | None
    progression: Progression
    relapses: Relapses
    course: np.ndarray

    @property
    def steps(self) -> np.ndarray:
        """Years of the steps, infinite where there are no more, with at least one column."""
        return np.column_stack([self.progression.steps, np.full(len(self.population.age), np.inf)])


def only(*phenotypes: str):
    """Return a population of these phenotypes in equal shares."""
    share = 1.0 / len(phenotypes)
    return dataclasses.replace(
        defaults.POPULATION, mix=PerPhenotype(**dict.fromkeys(phenotypes, share))
    )


def changed(**fields) -> CohortConfig:
    """Return a description without imaging and without anything missing, with other parts."""
    return CohortConfig(**{"imaging": (), "missingness": MissingnessModel(), **fields})


def draw(config: CohortConfig, seed: int, n_subjects: int) -> Draws:
    """Draw the latent quantities that the clinical measures rest on."""
    config = dataclasses.replace(config, n_subjects=n_subjects)
    streams = SubjectStreams(np.random.SeedSequence(seed), n_subjects)
    population = draw_population(config, streams)
    calendar = draw_calendar(config.schedule, streams)
    conversion = draw_conversion(config, population, streams)
    progression = draw_progression(config, population, streams, conversion)
    return Draws(
        config=config,
        streams=streams,
        population=population,
        calendar=calendar,
        conversion=conversion,
        progression=progression,
        relapses=draw_relapses(config, population, streams),
        course=true_edss(config.disability, progression, calendar.year),
    )
