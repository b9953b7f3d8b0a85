"""Who is in the cohort: phenotype, arm, age, sex, disease duration, head size, and the factors.

Inclusion ranges of age and duration (:mod:`synthetic.inclusion`) keep those inside, whose scores
are then a part of the standard normal distribution: a younger cohort has, say, less atrophy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pmsstats.cohort.schema import PHENOTYPES
from synthetic.config import CohortConfig
from synthetic.draws import SubjectStreams
from synthetic.inclusion import draw_ages, draw_durations
from synthetic.parameters import Arm, PopulationModel
from synthetic.processes import FACTORS, shared_variance

__all__ = [
    "Population",
    "arm_effect",
    "draw_population",
    "head_moments",
    "relative_hazard",
    "score",
]


@dataclass(frozen=True, kw_only=True)
class Population:
    """Baseline of all subjects; arrays have shape (n_subjects,) unless stated.

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
        Standard normal within a phenotype before the inclusion range cuts, higher is older.
    duration : ndarray
        Years since first symptoms; NaN for healthy controls.
    duration_score : ndarray
        Likewise standard normal, higher is longer; healthy controls have one too.
    head_size : ndarray
        Intracranial volume, ml.
    head_score : ndarray
        Head size with mean 0 and variance 1 within a phenotype.
    site : ndarray of int
        From 0.
    factors : ndarray, shape (n_factors, n_subjects)
        Person factors in the order of :data:`synthetic.processes.FACTORS`: standard normal,
        correlated, higher is worse.
    stop_year : ndarray, optional
        Years until treatment and its effects end (:mod:`synthetic.stopping`); infinite for who
        goes on. Nobody stops by default.
    """

    phenotype: np.ndarray
    is_patient: np.ndarray
    arm: np.ndarray
    female: np.ndarray
    age: np.ndarray
    age_score: np.ndarray
    duration: np.ndarray
    duration_score: np.ndarray
    head_size: np.ndarray
    head_score: np.ndarray
    site: np.ndarray
    factors: np.ndarray
    stop_year: np.ndarray | None = None

    def factor(self, name: str) -> np.ndarray:
        """Return one person factor, or one of the other scores.

        Parameters
        ----------
        name : str
            One of :data:`synthetic.processes.FACTORS`, or ``"age"``, ``"duration"``,
            ``"head_size"``.

        Returns
        -------
        ndarray, shape (n_subjects,)
            Higher is worse, older, longer, larger.
        """
        if name in FACTORS:
            return self.factors[FACTORS.index(name)]
        scores = {
            "age": self.age_score,
            "duration": self.duration_score,
            "head_size": self.head_score,
        }
        return scores[name]

    def combine(self, loadings: Sequence[tuple[str, float]]) -> np.ndarray:
        """Add up factors by their weights.

        Parameters
        ----------
        loadings : sequence of (str, float)
            Factor, or other score, and weight.

        Returns
        -------
        ndarray, shape (n_subjects,)
            Term by term, so that a subject's sum does not depend on how many others there are
            (as that of a matrix product may, in the last digit).
        """
        total = np.zeros(len(self.phenotype))
        for name, weight in loadings:
            total += float(weight) * self.factor(name)
        return total


def score(
    population: Population,
    loadings: Sequence[tuple[str, float]],
    own: np.ndarray,
    correlations: np.ndarray,
) -> np.ndarray:
    """Mix what is shared and a person's own part to a score of variance 1, higher is worse.

    Parameters
    ----------
    population : Population
        Subjects.
    loadings : sequence of (str, float)
        Weights of the person factors and other scores.
    own : ndarray, shape (n_subjects,)
        Standard normal; becomes the score, in place.
    correlations : ndarray, shape (n_factors, n_factors)
        Of the person factors.

    Returns
    -------
    ndarray, shape (n_subjects,)
        Standard normal: the array `own`.
    """
    own *= np.sqrt(max(1 - shared_variance(loadings, correlations), 0.0))
    for name, weight in loadings:
        own += float(weight) * population.factor(name)
    return own


def relative_hazard(
    config: CohortConfig, population: Population, loadings: Sequence[tuple[str, float]]
) -> np.ndarray:
    """Return every subject's hazard relative to the mean of the phenotype.

    Parameters
    ----------
    config : CohortConfig
        Correlations of the person factors.
    population : Population
        Subjects.
    loadings : sequence of (str, float)
        Log hazard ratios per standard deviation.

    Returns
    -------
    ndarray, shape (n_subjects,)
        Log-normal of mean 1.
    """
    shared = shared_variance(loadings, config.population.correlation_matrix())
    return np.exp(population.combine(loadings) - shared / 2)


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
    age, age_score = draw_ages(model, phenotype, streams.normal("age"))
    uniform = streams.uniform("duration")
    duration, duration_score = draw_durations(model, phenotype, age, uniform)
    female = streams.uniform("sex") < model.female.take(phenotype)
    head_size, head_score = _draw_head(model, streams, phenotype, female)
    n_sites = config.sites.n_sites
    return Population(
        phenotype=phenotype,
        is_patient=phenotype != PHENOTYPES.index("HC"),
        arm=_choose(streams.uniform("arm"), [arm.share for arm in config.arms] or [1.0]),
        female=female,
        age=age,
        age_score=age_score,
        duration=duration,
        duration_score=duration_score,
        head_size=head_size,
        head_score=head_score,
        site=np.minimum((streams.uniform("site") * n_sites).astype(np.int64), n_sites - 1),
        factors=_draw_factors(model, streams),
    )


def _choose(uniform: np.ndarray, shares: list[float]) -> np.ndarray:
    """Pick one of several classes per subject by its share."""
    edges = np.cumsum(shares)
    last = int(np.flatnonzero(shares)[-1])
    return np.minimum(np.searchsorted(edges, uniform, side="right"), last)


def _draw_factors(model: PopulationModel, streams: SubjectStreams) -> np.ndarray:
    """Draw the correlated person factors, shape (n_factors, n_subjects)."""
    root = np.linalg.cholesky(model.correlation_matrix())
    independent = [streams.normal("factor", name) for name in FACTORS]
    factors = np.zeros((len(FACTORS), streams.n_subjects))
    for i, j in np.argwhere(np.tril(root)):  # term by term: see `Population.combine`
        factors[i] += root[i, j] * independent[j]
    return factors


def head_moments(model: PopulationModel) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and SD of the head size by phenotype, which the share of women sets.

    Parameters
    ----------
    model : PopulationModel
        Head size of men, ratio, share of women.

    Returns
    -------
    mean, sd : ndarray, shape (n_phenotypes,)
        Ml; NaN where the model has no number.
    """
    share = model.female.take(np.arange(len(PHENOTYPES)))
    gap = model.head_size_mean * (1 - model.head_size_ratio)
    mean = model.head_size_mean - share * gap
    return mean, np.sqrt(model.head_size_sd**2 + share * (1 - share) * gap**2)


def _draw_head(
    model: PopulationModel, streams: SubjectStreams, phenotype: np.ndarray, female: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Draw head sizes and their scores within the phenotype."""
    own = model.head_size_mean * np.where(female, model.head_size_ratio, 1.0)
    size = own + model.head_size_sd * streams.normal("head size")
    mean, sd = (values[phenotype] for values in head_moments(model))
    return size, (size - mean) / sd


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
