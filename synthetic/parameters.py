"""The parts of a cohort's description that say who is in it and what happens to them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pmsstats.errors import DesignError, nearest
from synthetic.inclusion import check_inclusion
from synthetic.processes import PROCESSES, check_factor, correlation_matrix
from synthetic.values import PerPhenotype

__all__ = [
    "Arm",
    "LesionModel",
    "PopulationModel",
    "check_range",
    "check_word",
]


def _numbers(value: Any) -> Iterable[float]:
    """Iterate over a number, or over the numbers by phenotype."""
    return value.values() if isinstance(value, PerPhenotype) else (value,)


def check_range(owner: str, low: float, high: float, **fields: Any) -> None:
    """Check that fields are finite and lie in a closed range.

    Parameters
    ----------
    owner : str
        Whose fields, for the message.
    low, high : float
        The range.
    **fields : float or PerPhenotype
        Fields by name.

    Raises
    ------
    DesignError
        If one does not.
    """
    for name, value in fields.items():
        for number in _numbers(value):
            if not (low <= number <= high and math.isfinite(number)):
                least = "above 0" if 0 < low < sys.float_info.epsilon else f"at least {low:g}"
                wanted = least if math.isinf(high) else f"from {low:g} to {high:g}"
                wanted = wanted if math.isfinite(number) else f"finite and {wanted}"
                raise DesignError(f"`{name}` of {owner} must be {wanted}, got {float(number)!r}.")


def check_word(owner: str, name: str, value: str, words: tuple[str, ...]) -> None:
    """Check that a field is one of some words.

    Parameters
    ----------
    owner, name : str
        Which field, for the message.
    value : str
        What it is.
    words : tuple of str
        What it may be.

    Raises
    ------
    DesignError
        If it is none of them.
    """
    if value not in words:
        raise DesignError(
            f"`{name}` of {owner} must be one of {', '.join(words)}, got {value!r}."
            f"{nearest(str(value), words)}"
        )


@dataclass(frozen=True, kw_only=True)
class PopulationModel:
    """Who is in the cohort.

    Parameters
    ----------
    mix : PerPhenotype
        Shares, which sum to 1; phenotypes are drawn independently per subject.
    female : PerPhenotype
        Share of women.
    age_mean, age_sd : PerPhenotype
        Years, before the age range cuts.
    age_range : tuple of float
        Youngest and oldest.
    duration_mean, duration_sd : PerPhenotype
        Years since first symptoms (gamma distributed, at most age - 15); patients only.
    correlations : tuple of (str, str, float)
        Between person factors (:data:`synthetic.processes.FACTORS`); pairs not named are
        uncorrelated.
    age_included : tuple of float
        Youngest and oldest that are included; unlike `age_range` it takes part of the people, and
        with them the effects of their age.
    duration_included : tuple of float
        Shortest and longest disease duration of the patients included, in years.
    relapse_free_years : float
        Patients are included who had no relapse for so long before baseline (0: not asked for).
    head_size_mean, head_size_sd : float
        Intracranial volume in ml, of men.
    head_size_ratio : float
        Mean of women over that of men.

    Raises
    ------
    DesignError
        If shares do not sum to 1, a spread is negative, a range is empty or leaves nobody of a
        phenotype, or the correlations or the ranges contradict each other.
    """

    mix: PerPhenotype
    female: PerPhenotype
    age_mean: PerPhenotype
    age_sd: PerPhenotype
    age_range: tuple[float, float]
    duration_mean: PerPhenotype
    duration_sd: PerPhenotype
    correlations: tuple[tuple[str, str, float], ...] = ()
    age_included: tuple[float, float] = (0.0, math.inf)
    duration_included: tuple[float, float] = (0.0, math.inf)
    relapse_free_years: float = 0.0
    head_size_mean: float = 1560.0
    head_size_sd: float = 120.0
    head_size_ratio: float = 0.9

    def __post_init__(self) -> None:
        """Check ranges and correlations."""
        check_range("the population", 0, 1, mix=self.mix, female=self.female)
        total = math.fsum(self.mix.values())
        if not math.isclose(total, 1.0, abs_tol=1e-9):
            raise DesignError(f"`mix` of the population must sum to 1, got {total:g}.")
        tiny = np.finfo(float).tiny
        check_range("the population", tiny, math.inf, age_sd=self.age_sd,
                    duration_mean=self.duration_mean, duration_sd=self.duration_sd)  # fmt: skip
        if not 0 <= self.age_range[0] < self.age_range[1] <= 120:
            raise DesignError(
                f"`age_range` of the population must be (youngest, oldest), got {self.age_range!r}."
            )
        check_inclusion(self)
        check_range("the population", 0, math.inf, relapse_free_years=self.relapse_free_years)
        check_range("the population", tiny, math.inf, head_size_sd=self.head_size_sd)
        check_range("the population", tiny, math.inf, head_size_mean=self.head_size_mean,
                    head_size_ratio=self.head_size_ratio)  # fmt: skip
        self.correlation_matrix()

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """Which phenotypes have a positive share, in display order."""
        return tuple(name for name, share in self.mix.items() if share > 0)

    def correlation_matrix(self) -> np.ndarray:
        """Return the correlations of the person factors.

        Returns
        -------
        ndarray, shape (n_factors, n_factors)
            Positive definite, in the order of :data:`synthetic.processes.FACTORS`.

        Raises
        ------
        DesignError
            If a factor is unknown, a correlation is not between -1 and 1, or they contradict
            each other; the message names the pair to change.
        """
        return correlation_matrix(self.correlations)


@dataclass(frozen=True, kw_only=True)
class LesionModel:
    """New lesions: a Poisson process with a gamma distributed rate (negative binomial counts).

    Parameters
    ----------
    rate : PerPhenotype
        Mean new or enlarging T2 lesions per year; patients only.
    dispersion : float
        Variance of the rate over subjects, in squares of its mean.
    relapse_loading : float
        Correlation of the scores (standard normal, higher is more) behind a person's rates of
        lesions and of relapses: one inflammatory activity drives both.
    enhancing_days : float
        How long every new lesion enhances.
    duration_decline : float
        Fall of the log rate per year of disease duration at baseline; the mean over a phenotype
        stays `rate`.
    baseline_ratio : float
        Rate shortly before baseline over that afterwards: patients enter studies when active.
    lesion_ml : float
        Mean volume of an enhancing lesion.
    lesion_ml_sd : float
        Spread of the logarithm of the mean volume of a scan's enhancing lesions.

    Raises
    ------
    DesignError
        If a rate is negative or the loading is not between -1 and 1.
    """

    rate: PerPhenotype
    dispersion: float
    relapse_loading: float
    enhancing_days: float
    duration_decline: float = 0.0
    baseline_ratio: float = 1.0
    lesion_ml: float = 0.1
    lesion_ml_sd: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = "the lesion model"
        check_range(owner, 0, math.inf, rate=self.rate, dispersion=self.dispersion,
                    enhancing_days=self.enhancing_days, baseline_ratio=self.baseline_ratio,
                    lesion_ml=self.lesion_ml, lesion_ml_sd=self.lesion_ml_sd)  # fmt: skip
        check_range(owner, -1, 1, duration_decline=self.duration_decline)
        check_range(owner, -1, 1, relapse_loading=self.relapse_loading)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One arm of a trial.

    Parameters
    ----------
    name : str
        Label.
    share : float
        Probability of being allocated to it; the arms of a cohort sum to 1.
    atrophy_slowing : float
        Share of the mean imaging change that the treatment prevents.
    slowing : tuple of (str, float)
        Processes (:data:`synthetic.processes.PROCESSES`), and the share of the mean imaging change
        they cause beyond that of healthy controls that the treatment prevents; above 1 reverses.
    onset_years : float
        When the effects on imaging change and on worsening begin.
    pseudo_atrophy_pct : float
        Early loss of whole-brain volume that is no atrophy, in percent; positive is loss.
    pseudo_atrophy_years : float
        Its time constant: at that time 63 % of it has come about.
    worsening_hazard_ratio : float
        On lasting worsening steps.
    relapse_rate_ratio : float
        On relapses.
    lesion_rate_ratio : float
        On new lesions, from day 0 on.

    Raises
    ------
    DesignError
        If the share is not between 0 and 1, a ratio is negative, or a process is unknown.
    """

    name: str
    share: float
    atrophy_slowing: float = 0.0
    slowing: tuple[tuple[str, float], ...] = ()
    onset_years: float = 0.0
    pseudo_atrophy_pct: float = 0.0
    pseudo_atrophy_years: float = 0.25
    worsening_hazard_ratio: float = 1.0
    relapse_rate_ratio: float = 1.0
    lesion_rate_ratio: float = 1.0

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = f"arm {self.name!r}"
        check_range(owner, 0, 1, share=self.share)
        check_range(owner, -1, 2, atrophy_slowing=self.atrophy_slowing)
        check_range(owner, 0, math.inf, worsening_hazard_ratio=self.worsening_hazard_ratio,
                    relapse_rate_ratio=self.relapse_rate_ratio,
                    lesion_rate_ratio=self.lesion_rate_ratio)  # fmt: skip
        check_range(owner, 0, math.inf, onset_years=self.onset_years)
        check_range(owner, -20, 20, pseudo_atrophy_pct=self.pseudo_atrophy_pct)
        check_range(owner, np.finfo(float).tiny, math.inf,
                    pseudo_atrophy_years=self.pseudo_atrophy_years)  # fmt: skip
        processes = [process for process, _ in self.slowing]
        for process in processes:
            if processes.count(process) > 1:
                raise DesignError(
                    f"`slowing` of {owner} names {process!r} {processes.count(process)} times. "
                    "Give each process one share."
                )
        for process, share in self.slowing:
            check_factor(owner, "slowing", process, PROCESSES)
            check_range(owner, -2, 2, **{f"slowing.{process}": share})
