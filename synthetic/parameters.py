"""The parts of a cohort's description that say who is in it and what happens to them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pmsstats.errors import DesignError, nearest
from synthetic.values import PerPhenotype

__all__ = [
    "FACTORS",
    "Arm",
    "DisabilityModel",
    "LesionModel",
    "PopulationModel",
    "RelapseModel",
    "check_range",
    "check_word",
]

FACTORS = ("damage", "rate", "disability")
"""Standard normal person factors, higher is worse: neurodegeneration so far, its rate, and
disability at baseline."""


def _numbers(value: Any) -> Iterable[float]:
    """Iterate over a number, or over the numbers by phenotype."""
    return value.values() if isinstance(value, PerPhenotype) else (value,)


def check_range(owner: str, low: float, high: float, **fields: Any) -> None:
    """Check that fields lie in a closed range.

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
            if not low <= number <= high:
                wanted = f"at least {low:g}" if math.isinf(high) else f"from {low:g} to {high:g}"
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
        Between person factors (:data:`FACTORS`); pairs not named are uncorrelated.

    Raises
    ------
    DesignError
        If shares do not sum to 1, a spread is negative, or the correlations contradict each other.
    """

    mix: PerPhenotype
    female: PerPhenotype
    age_mean: PerPhenotype
    age_sd: PerPhenotype
    age_range: tuple[float, float]
    duration_mean: PerPhenotype
    duration_sd: PerPhenotype
    correlations: tuple[tuple[str, str, float], ...] = ()

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
            Positive definite, in the order of :data:`FACTORS`.

        Raises
        ------
        DesignError
            If a factor is unknown, a correlation is not between -1 and 1, or they contradict
            each other; the message names the pair to change.
        """
        matrix = np.eye(len(FACTORS))
        for first, second, value in self.correlations:
            for name in (first, second):
                check_word("the population", "correlations", name, FACTORS)
            if first == second or not -1 < value < 1:
                raise DesignError(
                    "`correlations` of the population must join two different factors by a number "
                    f"between -1 and 1, got {(first, second, float(value))!r}."
                )
            i, j = FACTORS.index(first), FACTORS.index(second)
            matrix[i, j] = matrix[j, i] = value
        _check_positive_definite(matrix)
        return matrix


def _check_positive_definite(matrix: np.ndarray) -> None:
    """Refuse contradictory correlations, and name the pair without which they would agree best."""
    if np.linalg.eigvalsh(matrix)[0] > 1e-10:
        return

    def smallest_without(pair: tuple[int, int]) -> float:
        trial = matrix.copy()
        trial[pair] = trial[pair[::-1]] = 0.0
        return float(np.linalg.eigvalsh(trial)[0])

    pairs = [(i, j) for i in range(len(FACTORS)) for j in range(i) if matrix[i, j] != 0]
    worst = max(pairs, key=smallest_without)
    raise DesignError(
        "`correlations` of the population are not positive definite: "
        f"{FACTORS[worst[1]]!r} and {FACTORS[worst[0]]!r} cannot correlate by "
        f"{matrix[worst]:g} given the other pairs. Bring that one closer to 0."
    )


@dataclass(frozen=True, kw_only=True)
class DisabilityModel:
    """How disability worsens, on the EDSS scale.

    Parameters
    ----------
    edss_mean, edss_sd : PerPhenotype
        True EDSS at baseline before the inclusion range cuts; patients only.
    edss_low, edss_high : PerPhenotype
        Inclusion range.
    worsening_rate : PerPhenotype
        Mean over subjects of the hazard of a lasting worsening step, per year.
    log_hazard_per_sd : float
        Log hazard ratio of a step per standard deviation of the person factor "rate".
    step, late_step : float
        Size of a step from a true EDSS of at most 5.5, and from above.
    rater_sd, late_rater_sd : float
        Spread of a rating around the true EDSS, up to 5.5 and above.

    Raises
    ------
    DesignError
        If a rate or spread is negative, a range is empty or leaves the scale.
    """

    edss_mean: PerPhenotype
    edss_sd: PerPhenotype
    edss_low: PerPhenotype
    edss_high: PerPhenotype
    worsening_rate: PerPhenotype
    log_hazard_per_sd: float
    step: float
    late_step: float
    rater_sd: float
    late_rater_sd: float

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = "the disability model"
        check_range(owner, 0, 9.5, edss_low=self.edss_low, edss_high=self.edss_high)
        check_range(owner, np.finfo(float).tiny, math.inf, edss_sd=self.edss_sd)
        check_range(owner, 0, math.inf, worsening_rate=self.worsening_rate,
                    rater_sd=self.rater_sd, late_rater_sd=self.late_rater_sd)  # fmt: skip
        check_range(owner, 0.5, 9.5, step=self.step, late_step=self.late_step)
        check_range(owner, -5, 5, log_hazard_per_sd=self.log_hazard_per_sd)
        for name, low in self.edss_low.items():
            if not low < self.edss_high.get(name, math.inf):
                raise DesignError(
                    f"`edss_low` of {owner} must be below `edss_high`, got {float(low)!r} and "
                    f"{float(self.edss_high[name])!r} for {name}."
                )


@dataclass(frozen=True, kw_only=True)
class RelapseModel:
    """Relapses: a Poisson process with a gamma distributed rate (negative binomial counts).

    Parameters
    ----------
    rate : PerPhenotype
        Mean relapses per year; patients only.
    dispersion : float
        Variance of the rate over subjects, in squares of its mean.
    severity : float
        Mean rise of the EDSS at onset (exponentially distributed).
    recovery_days : float
        Time constant of recovery.
    residual_share : float
        Share of the rise that stays.

    Raises
    ------
    DesignError
        If a rate is negative or a share is not between 0 and 1.
    """

    rate: PerPhenotype
    dispersion: float
    severity: float
    recovery_days: float
    residual_share: float

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = "the relapse model"
        check_range(owner, 0, math.inf, rate=self.rate, dispersion=self.dispersion,
                    severity=self.severity)  # fmt: skip
        check_range(owner, 1, math.inf, recovery_days=self.recovery_days)
        check_range(owner, 0, 1, residual_share=self.residual_share)


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

    Raises
    ------
    DesignError
        If a rate is negative or the loading is not between -1 and 1.
    """

    rate: PerPhenotype
    dispersion: float
    relapse_loading: float
    enhancing_days: float

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = "the lesion model"
        check_range(owner, 0, math.inf, rate=self.rate, dispersion=self.dispersion,
                    enhancing_days=self.enhancing_days)  # fmt: skip
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
    worsening_hazard_ratio : float
        On lasting worsening steps.
    relapse_rate_ratio : float
        On relapses.
    lesion_rate_ratio : float
        On new lesions, from day 0 on.

    Raises
    ------
    DesignError
        If the share is not between 0 and 1, or a ratio is negative.
    """

    name: str
    share: float
    atrophy_slowing: float = 0.0
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
