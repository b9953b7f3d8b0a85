"""The parts of a description that say how disability comes about, is measured, and is lost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pmsstats.errors import DesignError
from synthetic.parameters import check_range, check_word
from synthetic.processes import FACTORS, LEVELS, RATES, check_factor, shared_variance
from synthetic.values import PerPhenotype

__all__ = [
    "ConversionModel",
    "DisabilityModel",
    "FunctionalSystem",
    "FunctionalSystemsModel",
    "HandModel",
    "InstrumentModel",
    "MissingnessModel",
    "RelapseModel",
    "check_shared_parts",
]

InstrumentScale = Literal["linear", "log"]
Dropout = Literal["none", "mcar", "mar", "mnar"]

AMBULATION = "fs_ambulation"
"""Ambulation score of Neurostatus, 0 to 16, recorded beside the functional systems."""

HAZARD_DRIVERS = (*FACTORS, "age", "duration")
"""What a hazard can load on: the person factors, and the scores of age and disease duration."""

STATE_DRIVERS = (*LEVELS, "age", "duration")
"""What a state at baseline can load on."""


def _check_loadings(
    owner: str, field: str, loadings: Sequence[tuple[str, float]], known: Sequence[str]
) -> None:
    """Refuse loadings on what does not exist, doubled ones, and numbers out of all proportion."""
    for name, value in loadings:
        check_factor(owner, field, name, known)
        check_range(owner, -5, 5, **{f"{field} on {name}": value})
        if [other for other, _ in loadings].count(name) > 1:
            raise DesignError(f"`{field}` of {owner} names {name!r} twice. Keep one.")


@dataclass(frozen=True, kw_only=True)
class DisabilityModel:
    """How disability worsens, on the EDSS scale.

    Parameters
    ----------
    edss_mean, edss_sd : PerPhenotype
        True EDSS at baseline before the inclusion range cuts; patients only.
    edss_low, edss_high : PerPhenotype
        Inclusion range.
    level_loadings : tuple of (str, float)
        Weights of the levels, age and duration in the score (standard normal, higher is worse)
        that places a person on the scale at baseline; the person's own part fills up to variance 1.
    worsening_rate : PerPhenotype
        Mean over subjects of the hazard of a lasting worsening step, per year, at a stage whose
        multiplier is 1.
    loadings : tuple of (str, float)
        Log hazard ratios of a step per standard deviation of the person factors, of age and of
        duration.
    stages : tuple of (float, float)
        From which true EDSS on the hazard is multiplied by what; ascending from 0. The longer
        people stay at a stage, the smaller its multiplier.
    step, late_step : float
        Size of a step from a true EDSS of at most 5.5, and from above.
    rater_sd, late_rater_sd : float
        Spread of a rating around the true EDSS, up to 5.5 and above.

    Raises
    ------
    DesignError
        If a rate or spread is negative, a range is empty or leaves the scale, a loading names no
        factor, or stages do not ascend from 0.
    """

    edss_mean: PerPhenotype
    edss_sd: PerPhenotype
    edss_low: PerPhenotype
    edss_high: PerPhenotype
    level_loadings: tuple[tuple[str, float], ...] = ()
    worsening_rate: PerPhenotype
    loadings: tuple[tuple[str, float], ...] = ()
    stages: tuple[tuple[float, float], ...] = ((0.0, 1.0),)
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
        _check_loadings(owner, "level_loadings", self.level_loadings, STATE_DRIVERS)
        _check_loadings(owner, "loadings", self.loadings, HAZARD_DRIVERS)
        self._check_stages(owner)
        for name, low in self.edss_low.items():
            if not low < self.edss_high.get(name, math.inf):
                raise DesignError(
                    f"`edss_low` of {owner} must be below `edss_high`, got {float(low)!r} and "
                    f"{float(self.edss_high[name])!r} for {name}."
                )

    def _check_stages(self, owner: str) -> None:
        """Refuse stages that do not cover the scale once."""
        starts = [float(start) for start, _ in self.stages]
        if not starts or starts[0] != 0 or sorted(set(starts)) != starts:
            raise DesignError(f"`stages` of {owner} must ascend from 0.0, got {starts!r}.")
        for start, multiplier in self.stages:
            check_range(owner, 0, math.inf, **{f"stages from {start:g}": multiplier})


@dataclass(frozen=True, kw_only=True)
class ConversionModel:
    """How one phenotype becomes another.

    Parameters
    ----------
    ris_to_ppms, rrms_to_spms : float, default 0
        Mean over subjects of the hazard of conversion, per year.
    ris_loadings, rrms_loadings : tuple of (str, float)
        Log hazard ratios per standard deviation of the person factors, of age and of duration.

    Raises
    ------
    DesignError
        If a rate is negative, or a loading names no factor.
    """

    ris_to_ppms: float = 0.0
    rrms_to_spms: float = 0.0
    ris_loadings: tuple[tuple[str, float], ...] = ()
    rrms_loadings: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = "the conversion model"
        check_range(owner, 0, math.inf, ris_to_ppms=self.ris_to_ppms,
                    rrms_to_spms=self.rrms_to_spms)  # fmt: skip
        _check_loadings(owner, "ris_loadings", self.ris_loadings, HAZARD_DRIVERS)
        _check_loadings(owner, "rrms_loadings", self.rrms_loadings, HAZARD_DRIVERS)


@dataclass(frozen=True, kw_only=True)
class RelapseModel:
    """Relapses: a Poisson process with a gamma distributed rate (negative binomial counts).

    Parameters
    ----------
    rate : PerPhenotype
        Mean relapses per year; patients only.
    dispersion : float
        Variance of the rate over subjects, in squares of its mean.
    loadings : tuple of (str, float)
        Weights of the person factors in the score (standard normal, higher is more) behind a
        person's rate; the person's own part fills up to variance 1.
    severity : float
        Mean rise of the EDSS at onset (exponentially distributed).
    recovery_days : float
        Time constant of recovery.
    residual_share : float
        Share of the rise that stays.

    Raises
    ------
    DesignError
        If a rate is negative, a share is not between 0 and 1, or a loading names no factor.
    """

    rate: PerPhenotype
    dispersion: float
    loadings: tuple[tuple[str, float], ...] = ()
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
        _check_loadings(owner, "loadings", self.loadings, FACTORS)


@dataclass(frozen=True, kw_only=True)
class InstrumentModel:
    """One timed or scored test: how it depends on impairment.

    Parameters
    ----------
    measure : str
        Name in the data dictionary, which also says which direction is worse.
    scale : {"linear", "log"}
        Whether all below is in native units or of the logarithm.
    intercept : float
        Mean without impairment.
    slope : float
        Mean change per EDSS point.
    late_slope : float
        Further change per EDSS point above `late_from`.
    late_from : float
        Where it gets steeper.
    own_sd : float
        Between persons of the same impairment.
    level_loadings : tuple of (str, float)
        Weights of the levels, age and duration in the score (standard normal, higher is worse)
        by which persons of the same impairment differ; patients only.
    drift, drift_sd : float
        Mean change per year of patients beyond what the EDSS shows, and its spread.
    rate_loadings : tuple of (str, float)
        Weights of the rates in the score of the person's drift (higher is faster worsening).
    noise_sd : float
        Between repeated tests.
    practice : float
        Final gain by repetition (native units, towards better), half of what is left at a time.
    decimals : int
        Digits after the point.
    low, high : float
        Ends of the scale: values beyond are set to the end.
    unable_above : float
        Impairment above which the test cannot be done; the value is missing.

    Raises
    ------
    DesignError
        If a spread is negative, the range is empty, or a loading names no factor.
    """

    measure: str
    scale: InstrumentScale = "linear"
    intercept: float
    slope: float
    late_slope: float = 0.0
    late_from: float = 4.0
    own_sd: float
    level_loadings: tuple[tuple[str, float], ...] = ()
    drift: float = 0.0
    drift_sd: float = 0.0
    rate_loadings: tuple[tuple[str, float], ...] = ()
    noise_sd: float
    practice: float = 0.0
    decimals: int = 0
    low: float
    high: float
    unable_above: float = math.inf

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = f"instrument {self.measure!r}"
        check_word(owner, "scale", self.scale, get_args(InstrumentScale))
        check_range(owner, 0, math.inf, own_sd=self.own_sd, drift_sd=self.drift_sd,
                    noise_sd=self.noise_sd, practice=self.practice)  # fmt: skip
        _check_loadings(owner, "level_loadings", self.level_loadings, STATE_DRIVERS)
        _check_loadings(owner, "rate_loadings", self.rate_loadings, RATES)
        largest = np.finfo(float).max
        check_range(owner, -largest, largest, intercept=self.intercept, slope=self.slope,
                    late_slope=self.late_slope, drift=self.drift)  # fmt: skip
        if not self.low < self.high:
            raise DesignError(
                f"`low` of {owner} must be below `high`, got {self.low!r} and {self.high!r}."
            )


@dataclass(frozen=True, kw_only=True)
class HandModel:
    """How the hands share the mean of the nine-hole peg test.

    Parameters
    ----------
    mean : float
        Mean of the log ratio of the other hand's time to that of the dominant hand.
    own_sd, drift_sd : float
        Spread of the log ratio between patients, and of its change per year.
    noise_sd : float
        Between repeated tests.

    Raises
    ------
    DesignError
        If a spread is negative.
    """

    mean: float
    own_sd: float
    drift_sd: float
    noise_sd: float

    def __post_init__(self) -> None:
        """Check ranges."""
        check_range("the hands", 0, math.inf, own_sd=self.own_sd, drift_sd=self.drift_sd,
                    noise_sd=self.noise_sd)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class FunctionalSystem:
    """Item response of one functional system.

    Parameters
    ----------
    measure : str
        Name in the data dictionary.
    discrimination : float
        Steepness: logits per standard deviation of impairment.
    thresholds : tuple of float
        Impairment at which grade 1, 2, ... or more is as likely as less; ascending.

    Raises
    ------
    DesignError
        If the discrimination is not positive or thresholds do not ascend.
    """

    measure: str
    discrimination: float
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = f"functional system {self.measure!r}"
        check_range(owner, np.finfo(float).tiny, math.inf, discrimination=self.discrimination)
        if not self.thresholds or (np.diff(self.thresholds) <= 0).any():
            raise DesignError(
                f"`thresholds` of {owner} must ascend, got {tuple(map(float, self.thresholds))!r}."
            )


@dataclass(frozen=True, kw_only=True)
class FunctionalSystemsModel:
    """Which functional systems carry a rated EDSS.

    Parameters
    ----------
    systems : tuple of FunctionalSystem
        The seven systems.
    persistence : float
        Share of the variance of an item's deviation that stays with the person; the rest is new
        at every visit.
    edss_mean, edss_sd : float
        EDSS at which impairment is 0, and EDSS points per standard deviation of impairment.

    Raises
    ------
    DesignError
        If the persistence is not between 0 and 1 or the spread is not positive.
    """

    systems: tuple[FunctionalSystem, ...]
    persistence: float
    edss_mean: float
    edss_sd: float

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = "the functional systems"
        check_range(owner, 0, 1, persistence=self.persistence)
        check_range(owner, 0, 9.5, edss_mean=self.edss_mean)
        check_range(owner, np.finfo(float).tiny, math.inf, edss_sd=self.edss_sd)

    @property
    def measures(self) -> tuple[str, ...]:
        """What is recorded, in column order."""
        return (*(item.measure for item in self.systems), AMBULATION)


@dataclass(frozen=True, kw_only=True)
class MissingnessModel:
    """What is not seen.

    Parameters
    ----------
    missed_visit, missed_scan : float
        Probability that a visit after baseline does not take place, or takes place without its
        scan; independent of everything.
    dropout : {"none", "mcar", "mar", "mnar"}
        Whether subjects leave early, and who leaves more: nobody (completely at random); those
        whose last rating shows a worsening of at least 1 EDSS point (at random); those whose true
        EDSS rises between the last planned visit and the next, which nobody has seen yet (not at
        random).
    dropout_rate : float
        Per year, without worsening.
    dropout_log_hazard : float
        Log hazard ratio of leaving with such a worsening (``"mar"`` and ``"mnar"``).
    death_rate : float
        Per year at the age of 45.
    death_log_hazard_per_year : float
        Rise of the log hazard of death per year of age.

    Raises
    ------
    DesignError
        If a probability is not between 0 and 1 or a rate is negative.
    """

    missed_visit: float = 0.0
    missed_scan: float = 0.0
    dropout: Dropout = "none"
    dropout_rate: float = 0.0
    dropout_log_hazard: float = 0.0
    death_rate: float = 0.0
    death_log_hazard_per_year: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = "the missingness model"
        check_word(owner, "dropout", self.dropout, get_args(Dropout))
        check_range(owner, 0, 1, missed_visit=self.missed_visit, missed_scan=self.missed_scan)
        check_range(owner, 0, math.inf, dropout_rate=self.dropout_rate, death_rate=self.death_rate)
        check_range(owner, -5, 5, dropout_log_hazard=self.dropout_log_hazard)
        check_range(owner, 0, 1, death_log_hazard_per_year=self.death_log_hazard_per_year)


def check_shared_parts(
    matrix: np.ndarray,
    disability: DisabilityModel,
    relapses: RelapseModel,
    instruments: Sequence[InstrumentModel],
) -> None:
    """Check that no score shares more with the person factors than all of it.

    Parameters
    ----------
    matrix : ndarray, shape (n_factors, n_factors)
        Correlations of the person factors.
    disability : DisabilityModel
        Its level loadings.
    relapses : RelapseModel
        Its loadings.
    instruments : sequence of InstrumentModel
        Their level and rate loadings.

    Raises
    ------
    DesignError
        If the shared part of a score has a variance above 1.
    """
    parts = [
        ("the disability model", "level_loadings", disability.level_loadings),
        ("the relapse model", "loadings", relapses.loadings),
    ]
    for model in instruments:
        owner = f"instrument {model.measure!r}"
        parts.append((owner, "level_loadings", model.level_loadings))
        parts.append((owner, "rate_loadings", model.rate_loadings))
    for owner, field, loadings in parts:
        variance = shared_variance(loadings, matrix)
        if variance > 1:
            raise DesignError(
                f"`{field}` of {owner} must add up to a variance of at most 1 under the "
                f"correlations of the population, got {variance:.3g}. Make them smaller."
            )
