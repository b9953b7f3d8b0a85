"""What happens to subjects, seen or not, and what examining and scanning everybody would show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synthetic.config import CohortConfig
from synthetic.conversion import Conversion, draw_conversion
from synthetic.draws import SubjectStreams
from synthetic.functional_systems import grade_systems
from synthetic.hands import Hands, draw_hands, measure_hands
from synthetic.imaging import ImagingCourse, draw_courses, early_loss, measure_imaging
from synthetic.instruments import measure_instruments, rate_edss
from synthetic.lesions import Lesions, draw_lesions
from synthetic.population import Population
from synthetic.progression import HIGHEST_EDSS, Progression, draw_progression, true_edss
from synthetic.relapses import Relapses, draw_relapses, relapse_impairment
from synthetic.sites import Scanners, draw_scanners
from synthetic.visits import Calendar, draw_calendar

__all__ = ["Latent", "draw_latent", "examine", "scan"]


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


def draw_latent(config: CohortConfig, streams: SubjectStreams, population: Population) -> Latent:
    """Draw when subjects are due, and what happens to them.

    Parameters
    ----------
    config : CohortConfig
        The description.
    streams : SubjectStreams
        Random numbers.
    population : Population
        Who they are, from the same streams.

    Returns
    -------
    Latent
        Everything that is not observation.
    """
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


def examine(config: CohortConfig, latent: Latent, streams: SubjectStreams) -> dict[str, np.ndarray]:
    """Rate and test everybody at every planned visit.

    Parameters
    ----------
    config : CohortConfig
        The description.
    latent : Latent
        What happens.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    dict of str to ndarray, shape (n_subjects, n_visits)
        Ratings and tests by measure.
    """
    population, calendar, impairment = latent.population, latent.calendar, latent.impairment
    edss = rate_edss(config.disability, population, impairment, calendar.weeks, streams)
    tests = measure_instruments(config, population, impairment, calendar, streams)
    tests |= measure_hands(config, latent.hands, tests.get("nhpt_s"), calendar, streams)
    tests |= grade_systems(config.functional_systems, edss, calendar.weeks, streams)
    return {"edss": edss, **tests}


def scan(config: CohortConfig, latent: Latent, streams: SubjectStreams) -> dict[str, np.ndarray]:
    """Scan everybody at every planned scan.

    Parameters
    ----------
    config : CohortConfig
        The description.
    latent : Latent
        What happens.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    dict of str to ndarray, shape (n_scans, n_subjects)
        Imaging by measure.
    """
    calendar = latent.calendar
    return measure_imaging(
        latent.courses, calendar, config.schedule.imaging_weeks, streams,
        early=early_loss(config, latent.population, calendar.year), scanners=latent.scanners,
    )  # fmt: skip
