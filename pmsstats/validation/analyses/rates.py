"""Change over time: mean annual change of persons, compared with zero, groups and measures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.validation.analyses.arrays import (
    Ratio,
    influence_error,
    mean_and_variance,
    ratio_to_baseline,
    welch_df,
)
from pmsstats.validation.analyses.base import (
    Estimates,
    FloatArray,
    FollowUp,
    group_text,
    label_of,
    unit_of,
)
from pmsstats.validation.analyses.differences import check_apart, sides_text

if TYPE_CHECKING:
    from pmsstats.validation.studies import Studies

__all__ = ["PairedRateDifference", "Rate", "RateByOutcome", "RateDifference"]


def annual_unit(measure: str, percent: bool) -> str:
    """Return the unit of an annual change.

    Parameters
    ----------
    measure : str
        What changes.
    percent : bool
        Whether in percent of the baseline mean.

    Returns
    -------
    str
        For example ``"% per year"``.
    """
    return "% per year" if percent else f"{unit_of(measure)} per year"


def annual_change(
    studies: Studies, measure: str, *, percent: bool, up_to: float | None = None,
    weight: FloatArray | None = None,
) -> Ratio:  # fmt: skip
    """Estimate the mean annual change of the subjects of each study.

    Parameters
    ----------
    studies : Studies
        Many studies, of the subjects concerned.
    measure : str
        What changes.
    percent : bool
        In percent of the mean at baseline; a measure that is change already, or a count since
        the last scan, is left in its own unit.
    up_to : float, optional, years
        Later visits are left out.
    weight : ndarray, shape (n_studies, n_subjects), optional
        1 for subjects that count, 0 for others.

    Returns
    -------
    Ratio
        Mean, its influence values, and the t statistic of the mean slope.

    Notes
    -----
    The slope of each person is that of least squares; in balanced complete data their mean is the
    fixed effect of time in the model with random intercept and slope.
    """
    slope = studies.slope(measure, up_to)
    if weight is not None:
        slope = np.where(weight > 0, slope, np.nan)
    if not percent or studies.is_change(measure):
        return ratio_to_baseline(slope, None)
    return ratio_to_baseline(slope, studies.at(measure, 0.0))


class _AnnualChange(FollowUp):
    """An analysis whose estimate is a mean annual change, or a difference of two."""

    percent: bool

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        return annual_unit(getattr(self, self._reads[0]), self.percent)


@dataclass(frozen=True, kw_only=True)
class Rate(_AnnualChange):
    """Mean annual change, against none.

    Parameters
    ----------
    measure : str
        What changes.
    groups : tuple of str
        Phenotypes, taken together.
    percent : bool, default True
        In percent of the mean at baseline; else in the measure's unit.
    up_to : float, optional, years
        Later visits are left out.
    arm : str
        Only subjects of this arm; all by default.
    """

    measure: str
    groups: tuple[str, ...]
    percent: bool = True
    up_to: float | None = None
    arm: str = ""

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        arm = f" on {self.arm.replace('_', ' ')}" if self.arm else ""
        return f"annual change of {label_of(self.measure)}, {group_text(self.groups)}{arm}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the mean annual change in each study."""
        rate = annual_change(chosen, self.measure, percent=self.percent, up_to=self.up_to)
        return Estimates(
            estimate=rate.estimate,
            std_error=rate.std_error,
            df=rate.n - 1.0,
            n=chosen.n,
            statistic=rate.statistic,
        )


@dataclass(frozen=True, kw_only=True)
class RateDifference(_AnnualChange):
    """Difference between groups of the mean annual change.

    Parameters
    ----------
    measure : str
        What changes.
    groups, versus : tuple of str
        Phenotypes; the difference is groups minus versus.
    percent : bool, default True
        Each in percent of its own mean at baseline; else in the measure's unit.
    up_to : float, optional, years
        Later visits are left out.

    Raises
    ------
    DesignError
        If a phenotype is on both sides.
    """

    measure: str
    groups: tuple[str, ...]
    versus: tuple[str, ...]
    percent: bool = True
    up_to: float | None = None

    _sides = ("groups", "versus")

    def __post_init__(self) -> None:
        """Refuse a phenotype on both sides."""
        check_apart(self.groups, self.versus)

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        sides = sides_text(self.groups, self.versus)
        return f"annual change of {label_of(self.measure)}: {sides}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the difference in each study."""
        rates = [
            annual_change(chosen.select(side), self.measure, percent=self.percent, up_to=self.up_to)
            for side in (self.groups, self.versus)
        ]
        return two_rates(rates[0], rates[1])


def two_rates(first: Ratio, second: Ratio) -> Estimates:
    """Compare the rates of different subjects, with Welch's degrees of freedom.

    Parameters
    ----------
    first, second : Ratio
        The rates.

    Returns
    -------
    Estimates
        First minus second.
    """
    return Estimates(
        estimate=first.estimate - second.estimate,
        std_error=np.hypot(first.std_error, second.std_error),
        df=welch_df(first.std_error, first.n, second.std_error, second.n),
        n=int((first.n + second.n).max()),
    )


@dataclass(frozen=True, kw_only=True)
class PairedRateDifference(_AnnualChange):
    """Mean annual change of one measure minus that of another, in the same persons.

    Parameters
    ----------
    first, second : str
        Measures.
    groups : tuple of str
        Phenotypes, taken together.
    percent : bool, default True
        Each in percent of its own mean at baseline; else in the measures' unit.
    magnitude : bool, default False
        Each counted in its direction of worsening, so that "higher" means faster worsening of the
        first.
    up_to : float, optional, years
        Later visits are left out.
    """

    first: str
    second: str
    groups: tuple[str, ...]
    percent: bool = True
    magnitude: bool = False
    up_to: float | None = None

    _reads = ("first", "second")

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        what = "annual worsening" if self.magnitude else "annual change"
        pair = f"{label_of(self.first)} minus {label_of(self.second)}"
        return f"{what} of {pair}, {group_text(self.groups)}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the difference in each study."""
        names = (self.first, self.second)
        rates = [
            annual_change(chosen, name, percent=self.percent, up_to=self.up_to) for name in names
        ]
        signs = [chosen.worse_sign(name) if self.magnitude else 1.0 for name in names]
        influence = signs[0] * rates[0].influence - signs[1] * rates[1].influence
        return Estimates(
            estimate=signs[0] * rates[0].estimate - signs[1] * rates[1].estimate,
            std_error=influence_error(influence),
            df=np.minimum(rates[0].n, rates[1].n) - 1.0,
            n=chosen.n,
        )


@dataclass(frozen=True, kw_only=True)
class RateByOutcome(_AnnualChange):
    """Mean annual change of those who had an outcome, less that of those who had not.

    Parameters
    ----------
    measure : str
        What changes.
    outcome : str
        Preset of :mod:`pmsstats.endpoints` such as ``"cdp12"``, or ``"conversion"``.
    groups : tuple of str
        Phenotypes, taken together.
    percent : bool, default True
        In percent of the mean at baseline of each side; else in the measure's unit.
    ratio : bool, default False
        Logarithm of the ratio of the two rates, instead of their difference.
    up_to : float, optional, years
        Change after that is left out; the outcome counts over the whole follow-up.
    """

    measure: str
    outcome: str
    groups: tuple[str, ...]
    percent: bool = True
    ratio: bool = False
    up_to: float | None = None

    _events = ("outcome",)

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        return "log ratio" if self.ratio else super().units

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        how = "ratio of" if self.ratio else "difference of"
        return (
            f"{how} annual change of {label_of(self.measure)} with and without {self.outcome}, "
            f"{group_text(self.groups)}"
        )

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the comparison in each study."""
        event = chosen.event(self.outcome)
        had = np.where(np.isfinite(event.duration), event.happened, np.nan)
        rates = [
            annual_change(
                chosen, self.measure, percent=self.percent, up_to=self.up_to, weight=had == code
            )
            for code in (1.0, 0.0)
        ]
        compared = two_rates(rates[0], rates[1])
        if not self.ratio:
            return compared
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = [r.std_error / r.estimate for r in rates]
            log_ratio = np.log(rates[0].estimate / rates[1].estimate)
        return Estimates(
            estimate=log_ratio, std_error=np.hypot(*relative), df=compared.df, n=chosen.n
        )


def moments_of_slopes(studies: Studies, measure: str) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return mean, standard deviation and centred values of the slopes of persons.

    Parameters
    ----------
    studies : Studies
        Many studies, of the subjects concerned.
    measure : str
        What changes; counted in its direction of worsening.

    Returns
    -------
    tuple of ndarray
        Mean and standard deviation of each study, and each person's value less the mean (0 where
        it is missing).
    """
    slope = studies.slope(measure) * studies.worse_sign(measure)
    moments = mean_and_variance(slope)
    centred = np.nan_to_num(slope - moments.mean[:, None])
    return moments.mean, np.sqrt(moments.variance), centred
