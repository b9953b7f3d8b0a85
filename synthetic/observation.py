"""The parts of a cohort's description that say how and when its subjects are observed."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from numbers import Integral
from typing import Literal, get_args

import numpy as np

from pmsstats.cohort.schema import DataDictionary, default_dictionary
from pmsstats.errors import DesignError
from synthetic.parameters import check_range, check_word
from synthetic.processes import LEVEL_DRIVERS, PROCESSES, RATES, check_factor
from synthetic.values import PerPhenotype

__all__ = [
    "ImagingModel",
    "ScheduleModel",
    "SiteModel",
    "known_measures",
    "worse_sign",
]

ImagingScale = Literal["linear", "log", "change", "count", "presence"]
RateUnit = Literal["percent", "native"]
Method = Literal["", "registration", "segmentation", "manual", "count", "map", "spectrum", "tracer"]


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
        Name in the data dictionary, which also says which direction is worse (higher, where it
        says nothing).
    scale : {"linear", "log", "change", "count", "presence"}
        Straight lines in native units; straight lines of the logarithm; change from baseline in
        percent (no value at baseline, and no `mean`); as "log" and then rounded to whole numbers;
        or whether a person's score, which moves in a straight line, is above a threshold (1 or 0).
    mean : PerPhenotype
        At baseline, native units; the share of ones for "presence".
    sd : float
        Between persons of a phenotype: native units, or of the logarithm ("log", "count"); always
        1 for "presence", where it may be left out.
    rate_pct : PerPhenotype
        Mean change per year in percent of the phenotype's mean baseline; of the logarithm times
        100 ("log", "count"); of the score in hundredths of its SD ("presence").
    rate_unit : {"percent", "native"}
        "native": `rate_pct` and `rate_sd_pct` are in native units per year, for measures on the
        linear scale whose mean may be near 0.
    rate_sd_pct : float
        Between persons of a phenotype, in the unit of `rate_pct`.
    error_sd : float
        Scan-rescan error: native units, of the logarithm, percentage points ("change"), or of the
        score ("presence").
    level_loadings : tuple of (str, float)
        Weights of the standardised baseline, higher is worse, on
        :data:`synthetic.processes.LEVEL_DRIVERS`. The person's own part fills up to variance 1.
    rate_loadings : tuple of (str, float)
        Weights of the standardised rate on :data:`synthetic.processes.RATES`, likewise.
    drivers : tuple of (str, float)
        Processes, and the share of the mean change beyond that of healthy controls that each
        causes, which treatments act on; by default in proportion to the squared `rate_loadings`,
        or neurodegeneration alone if there are none.
    process : str
        Measures that name the same process share the person's own part of the rate; the measure
        itself by default.
    own_level : str
        Measures that name the same word share the person's own part of the baseline; the measure
        itself by default.
    method : str
        How it is processed, which `error_sd` refers to: "registration", "segmentation", "manual",
        "count", "map", "spectrum", "tracer".
    scanner_sd, upgrade_sd : float
        Spread of the offset of a site's scanner, and of its shift at an upgrade: percent of the
        mean, of the logarithm times 100, or native units if `rate_unit` is "native".
    pseudo_atrophy : float
        How much of an arm's early loss of volume this measure takes on; 1 for the whole brain.

    Raises
    ------
    DesignError
        If a spread is negative, a loading is not between -1 and 1 or names no factor, shares do
        not sum to 1, or a mean lies outside its scale.
    """

    measure: str
    scale: ImagingScale = "linear"
    mean: PerPhenotype = PerPhenotype()  # noqa: RUF009 (immutable)
    sd: float = 0.0
    rate_pct: PerPhenotype
    rate_unit: RateUnit = "percent"
    rate_sd_pct: float
    error_sd: float
    level_loadings: tuple[tuple[str, float], ...] = ()
    rate_loadings: tuple[tuple[str, float], ...] = ()
    drivers: tuple[tuple[str, float], ...] = ()
    process: str = ""
    own_level: str = ""
    method: Method = ""
    scanner_sd: float = 0.0
    upgrade_sd: float = 0.0
    pseudo_atrophy: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges and names."""
        owner = f"imaging measure {self.measure!r}"
        check_word(owner, "scale", self.scale, get_args(ImagingScale))
        check_word(owner, "rate_unit", self.rate_unit, get_args(RateUnit))
        check_word(owner, "method", self.method, get_args(Method))
        check_range(owner, 0, math.inf, sd=self.sd, rate_sd_pct=self.rate_sd_pct,
                    error_sd=self.error_sd, scanner_sd=self.scanner_sd,
                    upgrade_sd=self.upgrade_sd)  # fmt: skip
        check_range(owner, -5, 5, pseudo_atrophy=self.pseudo_atrophy)
        self._check_loadings(owner)
        self._check_drivers(owner)
        self._check_scale(owner)

    def _check_loadings(self, owner: str) -> None:
        """Refuse loadings on unknown factors, twice on one, or beyond 1."""
        for field, known in (("level_loadings", LEVEL_DRIVERS), ("rate_loadings", RATES)):
            pairs = getattr(self, field)
            names = [name for name, _ in pairs]
            for name, value in pairs:
                check_factor(owner, field, name, known)
                check_range(owner, -1, 1, **{f"{field}.{name}": value})
                if names.count(name) > 1:
                    raise DesignError(f"`{field}` of {owner} name {name!r} twice. Keep one.")

    def _check_drivers(self, owner: str) -> None:
        """Refuse unknown processes and shares that do not sum to 1."""
        for name, share in self.drivers:
            check_factor(owner, "drivers", name, PROCESSES)
            check_range(owner, 0, 1, **{f"drivers.{name}": share})
        total = math.fsum(share for _, share in self.drivers)
        if self.drivers and not math.isclose(total, 1.0, abs_tol=1e-9):
            raise DesignError(f"The shares of `drivers` of {owner} must sum to 1, got {total:g}.")

    def _check_scale(self, owner: str) -> None:
        """Refuse what does not go with the scale."""
        if self.rate_unit == "native" and self.scale != "linear":
            raise DesignError(
                f"`rate_unit` of {owner} can be 'native' on the linear scale only, "
                f"got scale {self.scale!r}."
            )
        if self.scale == "presence":
            check_range(owner, 0, 1, mean=self.mean)
            if self.sd not in (0, 1):
                raise DesignError(
                    f"`sd` of {owner} must be 1 or left out on the scale 'presence', "
                    f"got {float(self.sd)!r}."
                )
        elif self.scale != "change" and self.rate_unit == "percent":
            check_range(owner, np.finfo(float).tiny, math.inf, mean=self.mean)

    @property
    def driver_shares(self) -> tuple[tuple[str, float], ...]:
        """Share of the disease-related mean change by process; sums to 1."""
        if self.drivers:
            return self.drivers
        squares = {name.removesuffix("_rate"): float(w) ** 2 for name, w in self.rate_loadings}
        total = math.fsum(squares.values())
        if total == 0:
            return (("neurodegeneration", 1.0),)
        return tuple((name, square / total) for name, square in squares.items())


@dataclass(frozen=True, kw_only=True)
class SiteModel:
    """Where subjects are seen, each site with a scanner of its own.

    Parameters
    ----------
    n_sites : int
        How many; subjects are spread evenly at random. One site has no offsets.
    upgrade_share : float
        Share of the sites whose scanner is upgraded at some time in the planned follow-up.

    Raises
    ------
    DesignError
        If there is no site, or the share is not between 0 and 1.
    """

    n_sites: int = 1
    upgrade_share: float = 0.0

    def __post_init__(self) -> None:
        """Check ranges."""
        if isinstance(self.n_sites, bool) or not isinstance(self.n_sites, int) or self.n_sites < 1:
            raise DesignError(
                f"`n_sites` of the sites must be a whole number from 1, got {self.n_sites!r}."
            )
        check_range("the sites", 0, 1, upgrade_share=self.upgrade_share)


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
        If weeks are no whole numbers, are out of order or do not start at 0, or windows overlap.
    """

    weeks: tuple[int, ...]
    imaging_weeks: tuple[int, ...]
    cognition_weeks: tuple[int, ...]
    window_days: float
    window_sd: float

    def __post_init__(self) -> None:
        """Check order and windows."""
        self._check_whole_weeks()
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

    def _check_whole_weeks(self) -> None:
        """Refuse weeks that are no whole numbers."""
        for name in ("weeks", "imaging_weeks", "cognition_weeks"):
            for week in getattr(self, name):
                if isinstance(week, bool) or not isinstance(week, Integral):
                    raise DesignError(
                        f"`{name}` of the schedule must be whole numbers, got {week!r}. Plan "
                        "visits in whole weeks; `window_days` spreads them over days."
                    )

    @property
    def horizon_years(self) -> float:
        """Latest day on which anybody may be seen, in years."""
        return (7 * self.weeks[-1] + self.window_days + 1) / 365.25
