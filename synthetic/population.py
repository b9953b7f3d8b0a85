"""Who is in the cohort: phenotype, arm, age, sex, disease duration, and the person factors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincinv

from pmsstats.cohort.schema import PHENOTYPES
from synthetic.config import CohortConfig
from synthetic.draws import SubjectStreams, truncated_normal
from synthetic.parameters import FACTORS, Arm, PopulationModel

__all__ = ["Population", "arm_effect", "draw_population"]

_YOUNGEST_ONSET = 15.0


@dataclass(frozen=True, kw_only=True)
class Population:
    """Baseline of all subjects; every array has shape (n_subjects,).

    Parameters
    ----------
    phenotype : ndarray of int
        Positions in :data:`pmsstats.cohort.PHENOTYPES`.
    is_patient : ndarray of bool
        False for healthy controls.
    arm : ndarray of int
        Positions in the arms; 0 where there are none.
    female : ndarray of bool
        Sex.
    age : ndarray
        Years.
    age_score : ndarray
        Standard normal, higher is older.
    duration : ndarray
        Years since first symptoms; NaN for healthy controls.
    damage, rate, disability : ndarray
        Person factors: standard normal, correlated, higher is worse.
    """

    phenotype: np.ndarray
    is_patient: np.ndarray
    arm: np.ndarray
    female: np.ndarray
    age: np.ndarray
    age_score: np.ndarray
    duration: np.ndarray
    damage: np.ndarray
    rate: np.ndarray
    disability: np.ndarray


def draw_population(config: CohortConfig, streams: SubjectStreams) -> Population:
    """Draw the subjects.

    Parameters
    ----------
    config : CohortConfig
        Whom.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    Population
        Arrays over subjects.
    """
    model = config.population
    shares = [model.mix.get(name, 0.0) for name in PHENOTYPES]
    phenotype = _choose(streams.uniform("phenotype"), shares)
    is_patient = phenotype != PHENOTYPES.index("HC")
    age_score = streams.normal("age")
    age = truncated_normal(
        age_score, model.age_mean.take(phenotype), model.age_sd.take(phenotype), *_ages(model)
    )
    factors = _draw_factors(model, streams)
    return Population(
        phenotype=phenotype,
        is_patient=is_patient,
        arm=_choose(streams.uniform("arm"), [arm.share for arm in config.arms] or [1.0]),
        female=streams.uniform("sex") < model.female.take(phenotype),
        age=age,
        age_score=age_score,
        duration=_draw_duration(model, streams, phenotype, age),
        **dict(zip(FACTORS, factors, strict=True)),
    )


def _choose(uniform: np.ndarray, shares: list[float]) -> np.ndarray:
    """Pick one of several classes per subject by its share."""
    edges = np.cumsum(shares)
    last = int(np.flatnonzero(shares)[-1])
    return np.minimum(np.searchsorted(edges, uniform, side="right"), last)


def _ages(model: PopulationModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the youngest and oldest age as arrays."""
    youngest, oldest = model.age_range
    return np.asarray(youngest), np.asarray(oldest)


def _draw_factors(model: PopulationModel, streams: SubjectStreams) -> np.ndarray:
    """Draw the correlated person factors, shape (n_factors, n_subjects)."""
    independent = np.stack([streams.normal("factor", name) for name in FACTORS])
    return np.linalg.cholesky(model.correlation_matrix()) @ independent


def _draw_duration(
    model: PopulationModel, streams: SubjectStreams, phenotype: np.ndarray, age: np.ndarray
) -> np.ndarray:
    """Draw years since first symptoms: gamma distributed, onset not before adolescence."""
    mean, sd = model.duration_mean.take(phenotype), model.duration_sd.take(phenotype)
    shape = (mean / sd) ** 2
    years = gammaincinv(shape, streams.uniform("duration")) * mean / shape
    return np.minimum(years, age - _YOUNGEST_ONSET)


def arm_effect(config: CohortConfig, population: Population, effect: str) -> np.ndarray:
    """Look up an effect of every subject's treatment.

    Parameters
    ----------
    config : CohortConfig
        With the arms.
    population : Population
        Who is in which.
    effect : str
        Field of :class:`synthetic.parameters.Arm`.

    Returns
    -------
    ndarray, shape (n_subjects,)
        The effect; that of no treatment where there are no arms.
    """
    arms = config.arms or (Arm(name="none", share=1.0),)
    return np.array([float(getattr(arm, effect)) for arm in arms])[population.arm]
