"""The parts of a cohort's description that say how and when its subjects are observed."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from pmsstats.cohort.schema import DataDictionary, default_dictionary
from pmsstats.errors import DesignError
from synthetic.parameters import check_range, check_word
from synthetic.values import PerPhenotype

__all__ = [
    "HandModel",
    "ImagingModel",
    "InstrumentModel",
    "MissingnessModel",
    "ScheduleModel",
    "known_measures",
    "worse_sign",
]

ImagingScale = Literal["linear", "log", "change"]
InstrumentScale = Literal["linear", "log"]
Dropout = Literal["none", "mcar", "mar"]


@functools.cache
def known_measures() -> DataDictionary:
    """Return the data dictionary, read once.

    Returns
    -------
    DataDictionary
        The package's own.
    """
    return default_dictionary()


def worse_sign(measure: str) -> float:
    """Say in which direction a measure worsens.

    Parameters
    ----------
    measure : str
        Name in the data dictionary.

    Returns
    -------
    float
        -1 where lower is worse, else 1.
    """
    return -1.0 if known_measures()[measure].worsening == "lower" else 1.0


@dataclass(frozen=True, kw_only=True)
class ImagingModel:
    """One imaging measure: where it starts, how it moves, how well it is measured.

    Parameters
    ----------
    measure : str
        Name in the data dictionary, which also says which direction is worse.
    scale : {"linear", "log", "change"}
        Straight lines in native units, straight lines of the logarithm, or change from baseline
        in percent (no value at baseline, and no `mean`).
    mean : PerPhenotype
        At baseline, native units.
    sd : float
        Between persons of a phenotype: native units, or of the logarithm.
    rate_pct : PerPhenotype
        Mean change per year in percent of the phenotype's mean baseline.
    rate_sd_pct : float
        Between persons of a phenotype.
    error_sd : float
        Scan-rescan error: native units, of the logarithm, or percentage points.
    damage_loading, age_loading : float
        Correlation of the baseline with the person factor "damage", and with age (older is
        worse); their squares sum to at most 1.
    rate_loading : float
        Correlation of the person's rate with the person factor "rate".
    process : str
        Measures that name the same process share the person's own part of the rate; the measure
        itself by default.

    Raises
    ------
    DesignError
        If a spread is negative, a loading is not between -1 and 1, or the loadings leave less
        than nothing for the person's own part.
    """

    measure: str
    scale: ImagingScale = "linear"
    mean: PerPhenotype = PerPhenotype()  # noqa: RUF009 (immutable)
    sd: float = 0.0
    rate_pct: PerPhenotype
    rate_sd_pct: float
    error_sd: float
    damage_loading: float = 0.0
    age_loading: float = 0.0
    rate_loading: float = 0.0
    process: str = ""

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = f"imaging measure {self.measure!r}"
        check_word(owner, "scale", self.scale, get_args(ImagingScale))
        check_range(owner, 0, math.inf, sd=self.sd, rate_sd_pct=self.rate_sd_pct,
                    error_sd=self.error_sd)  # fmt: skip
        check_range(owner, -1, 1, damage_loading=self.damage_loading,
                    age_loading=self.age_loading, rate_loading=self.rate_loading)  # fmt: skip
        if self.damage_loading**2 + self.age_loading**2 > 1:
            raise DesignError(
                f"`damage_loading` and `age_loading` of {owner} must have squares that sum to at "
                f"most 1, got {float(self.damage_loading)!r} and {float(self.age_loading)!r}."
            )
        if self.scale != "change":
            check_range(owner, np.finfo(float).tiny, math.inf, mean=self.mean)


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
    drift, drift_sd : float
        Mean change per year of patients beyond what the EDSS shows, and its spread.
    rate_loading : float
        Correlation of the person's drift with the person factor "rate".
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
        If a spread is negative or the range is empty.
    """

    measure: str
    scale: InstrumentScale = "linear"
    intercept: float
    slope: float
    late_slope: float = 0.0
    late_from: float = 4.0
    own_sd: float
    drift: float = 0.0
    drift_sd: float = 0.0
    rate_loading: float = 0.0
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
        check_range(owner, -1, 1, rate_loading=self.rate_loading)
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
class ScheduleModel:
    """When subjects are seen.

    Parameters
    ----------
    weeks : tuple of int
        Planned visits, ascending from 0.
    imaging_weeks, cognition_weeks : tuple of int
        Visits with a scan, and with SDMT and PASAT: some of `weeks`.
    window_days : float
        A visit takes place at most so long before or after its planned day.
    window_sd : float
        Spread of its day, in days, before the window cuts.

    Raises
    ------
    DesignError
        If visits are out of order, do not start at 0, or have overlapping windows.
    """

    weeks: tuple[int, ...]
    imaging_weeks: tuple[int, ...]
    cognition_weeks: tuple[int, ...]
    window_days: float
    window_sd: float

    def __post_init__(self) -> None:
        """Check order and windows."""
        gaps = np.diff(self.weeks)
        if not self.weeks or self.weeks[0] != 0 or (gaps <= 0).any():
            raise DesignError(f"`weeks` of the schedule must ascend from 0, got {self.weeks!r}.")
        check_range("the schedule", 0, math.inf, window_days=self.window_days,
                    window_sd=self.window_sd)  # fmt: skip
        if len(gaps) and 2 * self.window_days >= 7 * gaps.min():
            raise DesignError(
                f"`window_days` of the schedule must keep visits apart that are {gaps.min()} weeks "
                f"from each other, got {self.window_days!r}."
            )
        for name in ("imaging_weeks", "cognition_weeks"):
            extra = sorted(set(getattr(self, name)) - set(self.weeks))
            if extra:
                raise DesignError(
                    f"`{name}` of the schedule must be some of `weeks`, got also {extra[0]!r}."
                )

    @property
    def horizon_years(self) -> float:
        """Latest day on which anybody may be seen, in years."""
        return (7 * self.weeks[-1] + self.window_days + 1) / 365.25


@dataclass(frozen=True, kw_only=True)
class MissingnessModel:
    """What is not seen.

    Parameters
    ----------
    missed_visit, missed_scan : float
        Probability that a visit after baseline does not take place, or takes place without its
        scan; independent of everything.
    dropout : {"none", "mcar", "mar"}
        Whether subjects leave early, and whether more do so once their last rating shows a
        worsening of at least 1 EDSS point.
    dropout_rate : float
        Per year, without worsening.
    dropout_log_hazard : float
        Log hazard ratio of leaving after such a worsening (``"mar"`` only).
    death_rate : float
        Per year.

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

    def __post_init__(self) -> None:
        """Check ranges."""
        owner = "the missingness model"
        check_word(owner, "dropout", self.dropout, get_args(Dropout))
        check_range(owner, 0, 1, missed_visit=self.missed_visit, missed_scan=self.missed_scan)
        check_range(owner, 0, math.inf, dropout_rate=self.dropout_rate, death_rate=self.death_rate)
