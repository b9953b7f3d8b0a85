"""Ages and disease durations of who is included, which bind each other.

Disease begins at 15 years or later. Where a description has inclusion ranges, the duration of a
person of a given age is gamma distributed and cut at age - 15; the range of durations takes part
of these people, of every age as many as have such a duration. So nobody is moved to the end of a
range, and a study of long disease is one of older people. Without ranges the few whose duration
would be longer than age - 15 have exactly that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import gammainc, gammaincinv, ndtr, ndtri

from pmsstats.cohort.schema import PHENOTYPES
from pmsstats.errors import DesignError

if TYPE_CHECKING:
    from synthetic.parameters import PopulationModel

__all__ = ["check_inclusion", "draw_ages", "draw_durations"]

_YOUNGEST_ONSET = 15.0
_EVERYBODY = (0.0, math.inf)
_FEWEST = 1e-12
"""Smaller shares of a phenotype are below what quantiles of double precision can tell apart."""

_NODES = 2001
"""Quantiles of age between which the included share is taken to change linearly."""

_TINY = np.finfo(float).tiny
_ALMOST_ONE = 1 - np.finfo(float).epsneg


def check_inclusion(model: PopulationModel) -> None:
    """Refuse inclusion ranges that are empty, contradict each other, or include nobody.

    Parameters
    ----------
    model : PopulationModel
        With the ranges.

    Raises
    ------
    DesignError
        If they do; the message says which and what to change.
    """
    for name in ("age_included", "duration_included"):
        low, high = getattr(model, name)
        if not 0 <= low < high:
            raise DesignError(
                f"`{name}` of the population must be (low, high), got {(low, high)!r}."
            )
    if not _oldest(model) > max(model.age_included[0], model.age_range[0]):
        raise DesignError(
            f"`age_included` of the population must overlap its `age_range` "
            f"{model.age_range!r}, got {model.age_included!r}."
        )
    if _is_ranged(model):
        _check_shares(model)


def _check_shares(model: PopulationModel) -> None:
    """Refuse ranges that leave (almost) nobody of a phenotype in the mix."""
    for name in model.phenotypes:
        if name not in model.age_mean or name not in model.age_sd:
            continue  # what has no numbers is refused where all parts are known
        youngest, oldest = _youngest(model, name), _oldest(model)
        if not youngest < oldest:
            raise DesignError(
                f"`duration_included` {model.duration_included!r} and the ages of the population "
                f"up to {oldest:g} contradict each other: disease begins at 15 years or later, so "
                f"that {name} with a duration of {model.duration_included[0]:g} years are "
                f"{youngest:g} or older. Include shorter durations, or older people."
            )
        share = _included_ages(model, PHENOTYPES.index(name))[1][-1]
        if not share >= _FEWEST:
            raise DesignError(
                f"`age_included` {model.age_included!r} and `duration_included` "
                f"{model.duration_included!r} of the population include (almost) nobody of {name}: "
                f"a share of {share:.1g}. Widen them, or take {name} out of `mix`."
            )


def draw_ages(
    model: PopulationModel, phenotype: np.ndarray, score: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn standard normal scores to ages of who is included.

    Parameters
    ----------
    model : PopulationModel
        Ages, ranges.
    phenotype : ndarray of int, shape (n_subjects,)
        Positions in :data:`pmsstats.cohort.PHENOTYPES`.
    score : ndarray, shape (n_subjects,)
        Standard normal; its order within a phenotype is kept.

    Returns
    -------
    age, score : ndarray, shape (n_subjects,)
        Years; and the score that this age has among all of the phenotype, included or not.
    """
    if _is_ranged(model):
        score = _included_scores(model, phenotype, score)
    age = _age(model, phenotype, ndtr(score))
    if _is_ranged(model):
        names = [PHENOTYPES[k] for k in range(len(PHENOTYPES))]
        youngest = np.array([_youngest(model, name) for name in names])[phenotype]
        return np.clip(age, youngest, _oldest(model)), score
    return np.clip(age, *model.age_range), score


def draw_durations(
    model: PopulationModel, phenotype: np.ndarray, age: np.ndarray, uniform: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Turn uniform numbers to disease durations of who is included.

    Parameters
    ----------
    model : PopulationModel
        Durations, ranges.
    phenotype : ndarray of int, shape (n_subjects,)
        Positions in :data:`pmsstats.cohort.PHENOTYPES`.
    age : ndarray, shape (n_subjects,)
        From :func:`draw_ages`.
    uniform : ndarray, shape (n_subjects,)
        In [0, 1).

    Returns
    -------
    duration, score : ndarray, shape (n_subjects,)
        Years (NaN for controls); and the standard normal score that this duration has among all of
        the phenotype.
    """
    low, high = model.duration_included
    longest = np.maximum(age - _YOUNGEST_ONSET, low)
    inside = uniform
    if _is_ranged(model):
        floor = np.nan_to_num(_duration_quantile(model, phenotype, low), nan=0.0)
        ceiling = np.nan_to_num(
            _duration_quantile(model, phenotype, np.minimum(high, longest)), nan=1.0
        )
        inside = floor + uniform * (ceiling - floor)
    mean, shape = _gamma(model, phenotype)
    years = gammaincinv(shape, inside) * mean / shape
    score = ndtri(np.clip(inside, _TINY, _ALMOST_ONE))
    return np.clip(years, low, np.minimum(high, longest)), score


def _is_ranged(model: PopulationModel) -> bool:
    """Say whether not everybody of a phenotype is included."""
    return (model.age_included, model.duration_included) != (_EVERYBODY, _EVERYBODY)


def _youngest(model: PopulationModel, name: str) -> float:
    """Return the age of the youngest who are included: patients had time for their disease."""
    youngest = max(model.age_included[0], model.age_range[0])
    ill_for = _YOUNGEST_ONSET + model.duration_included[0]
    return float(youngest if name == "HC" else max(youngest, ill_for))


def _oldest(model: PopulationModel) -> float:
    """Return the age of the oldest who are included."""
    return float(min(model.age_included[1], model.age_range[1]))


def _age_ends(
    model: PopulationModel, phenotype: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return mean and SD of the age before its range cuts, and the quantiles where it does."""
    mean, sd = model.age_mean.take(phenotype), model.age_sd.take(phenotype)
    floor, ceiling = (ndtr((end - mean) / sd) for end in model.age_range)
    return mean, sd, floor, ceiling


def _age(model: PopulationModel, phenotype: np.ndarray, quantile: np.ndarray) -> np.ndarray:
    """Return ages by their quantile among all of the phenotype."""
    mean, sd, floor, ceiling = _age_ends(model, phenotype)
    return mean + sd * ndtri(floor + quantile * (ceiling - floor))


def _gamma(model: PopulationModel, phenotype: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and shape of the gamma distribution of durations; NaN for controls."""
    mean, sd = model.duration_mean.take(phenotype), model.duration_sd.take(phenotype)
    return mean, (mean / sd) ** 2


def _duration_quantile(
    model: PopulationModel, phenotype: np.ndarray, years: np.ndarray | float
) -> np.ndarray:
    """Return the share of the phenotype with a shorter duration; NaN for controls."""
    mean, shape = _gamma(model, phenotype)
    return gammainc(shape, years * shape / mean)


def _included_ages(model: PopulationModel, phenotype: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ascending quantiles of age, and the share of the phenotype included up to each."""
    who = np.full(_NODES, phenotype)
    mean, sd, floor, ceiling = (values[0] for values in _age_ends(model, who))
    ends = np.array([_youngest(model, PHENOTYPES[phenotype]), _oldest(model)])
    quantile = np.linspace(*((ndtr((ends - mean) / sd) - floor) / (ceiling - floor)), _NODES)
    longest = np.maximum(_age(model, who, quantile) - _YOUNGEST_ONSET, 0.0)
    low, high = model.duration_included
    among = np.maximum(_duration_quantile(model, who, longest), _TINY)
    upper = _duration_quantile(model, who, np.minimum(high, longest))
    density = (upper - _duration_quantile(model, who, low)) / among
    density = np.nan_to_num(np.clip(density, 0.0, 1.0), nan=1.0)  # controls have no duration
    steps = np.diff(quantile) * (density[1:] + density[:-1]) / 2
    return quantile, np.concatenate([[0.0], np.cumsum(steps)])


def _included_scores(
    model: PopulationModel, phenotype: np.ndarray, score: np.ndarray
) -> np.ndarray:
    """Move scores of age to those of who is included, in the same order."""
    inside = np.empty(len(score))
    for k in np.unique(phenotype):
        here = phenotype == k
        quantile, share = _included_ages(model, int(k))
        inside[here] = np.interp(ndtr(score[here]) * share[-1], share, quantile)
    return ndtri(np.clip(inside, _TINY, _ALMOST_ONE))
