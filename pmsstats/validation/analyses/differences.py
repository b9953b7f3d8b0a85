"""Differences between groups, and between measures of the same persons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.validation.analyses.arrays import (
    linear_fit,
    mean_and_variance,
    pooled_correlation,
    pooled_sd,
)
from pmsstats.validation.analyses.base import (
    AtVisit,
    Estimates,
    FloatArray,
    group_text,
    label_of,
    unit_of,
)

if TYPE_CHECKING:
    from pmsstats.validation.studies import Studies

__all__ = ["Difference", "DifferenceContrast", "PairedDifference"]


def check_apart(groups: tuple[str, ...], versus: tuple[str, ...]) -> None:
    """Refuse a phenotype on both sides of a comparison.

    Parameters
    ----------
    groups, versus : tuple of str
        Phenotypes on either side.

    Raises
    ------
    DesignError
        If one stands in both.
    """
    both = sorted(set(groups) & set(versus))
    if both:
        raise DesignError(f"{', '.join(both)} stands in `groups` and in `versus`.")


def sides_text(groups: tuple[str, ...], versus: tuple[str, ...]) -> str:
    """Name the two sides of a comparison.

    Parameters
    ----------
    groups, versus : tuple of str
        Phenotypes.

    Returns
    -------
    str
        For example ``"PPMS minus HC"``.
    """
    return f"{group_text(groups)} minus {group_text(versus)}"


class TwoSides(AtVisit):
    """A comparison of `groups` with `versus`, or of those below a cut with others.

    Raises
    ------
    DesignError
        If there are no two sides, or a phenotype is on both.
    """

    versus: tuple[str, ...]
    split: tuple[str, float] | None = None
    """Variable and cut within the groups."""

    _sides = ("groups", "versus")

    def __post_init__(self) -> None:
        """Refuse a comparison without two sides."""
        if not self.groups or bool(self.versus) == (self.split is not None):
            raise DesignError(
                "A comparison needs `groups`, and either `versus` (other groups) or `split` (a "
                f"cut within the groups), got groups={self.groups!r}, versus={self.versus!r}, "
                f"split={self.split!r}."
            )
        check_apart(self.groups, self.versus)

    @property
    def cut(self) -> tuple[str, ...]:
        """Variable that splits, if any."""
        return (self.split or ())[:1]

    def sides(self) -> str:
        """Return the two sides in words."""
        if self.split is None:
            return sides_text(self.groups, self.versus)
        name, cut = self.split
        return f"{label_of(name)} below {cut:g} minus others, {group_text(self.groups)}"

    def is_first(self, chosen: Studies) -> FloatArray:
        """Return 1 for the subjects on the first side, 0 for the others.

        Parameters
        ----------
        chosen : Studies
            Many studies, of the subjects compared.

        Returns
        -------
        ndarray, shape (n_studies, n_subjects)
            NaN where the variable that splits is missing.
        """
        if self.split is None:
            first = np.isin(chosen.group, self.groups).astype(float)
            return np.broadcast_to(first, chosen.shape)
        value = chosen.at(self.split[0], self.at)
        return np.where(np.isnan(value), np.nan, (value < self.split[1]).astype(float))


@dataclass(frozen=True, kw_only=True)
class Difference(TwoSides):
    """Adjusted difference of means between groups, from a linear model.

    Parameters
    ----------
    measure : str
        What is compared.
    groups, versus : tuple of str
        Phenotypes; the difference is groups minus versus.
    at : float, default 0
        Years from baseline.
    adjust : tuple of str
        Covariates: ``"age"``, ``"female"``, ``"duration"`` or measures.
    standardise : bool, default True
        In standard deviations within the two sides, pooled; else in the measure's unit.
    split : tuple of (str, float), optional
        Variable and cut within the groups, instead of `versus`: those below the cut minus others.

    Raises
    ------
    DesignError
        If there are no two sides.
    """

    measure: str
    groups: tuple[str, ...]
    versus: tuple[str, ...] = ()
    at: float = 0.0
    adjust: tuple[str, ...] = ("age", "female")
    standardise: bool = True
    split: tuple[str, float] | None = None

    _reads = ("measure", "covariates", "cut")

    @property
    def covariates(self) -> tuple[str, ...]:
        """Covariates of the model, without the variable that splits."""
        return tuple(a for a in self.adjust if self.split is None or a != self.split[0])

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        return "SD" if self.standardise else unit_of(self.measure)

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        when = f" at {self.at:g} years" if self.at else ""
        return f"{label_of(self.measure)}{when}: {self.sides()}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the difference in each study."""
        first = self.is_first(chosen)
        y = chosen.at(self.measure, self.at)
        covariates = [chosen.at(name, self.at) for name in self.covariates]
        fit = linear_fit(y, [first, *covariates])
        if not self.standardise:
            return Estimates(estimate=fit.beta[:, 1], std_error=fit.std_error[:, 1], df=fit.df,
                             n=chosen.n)  # fmt: skip
        sd, df = pooled_sd(y, first)
        d = fit.beta[:, 1] / sd
        with np.errstate(divide="ignore", invalid="ignore"):
            statistic = fit.beta[:, 1] / fit.std_error[:, 1]
        # variance of d = b / s: (se / s)^2 + d^2 / (2 df)
        std_error = np.hypot(fit.std_error[:, 1] / sd, d / np.sqrt(2 * df))
        return Estimates(
            estimate=d, std_error=std_error, df=fit.df, n=chosen.n, statistic=statistic
        )


@dataclass(frozen=True, kw_only=True)
class DifferenceContrast(TwoSides):
    """Which of two measures separates two sides more: one standardised difference less another.

    Parameters
    ----------
    first, second : str
        Measures of the same persons.
    groups, versus : tuple of str
        Phenotypes; each difference is groups minus versus, in pooled standard deviations.
    at : float, default 0
        Years from baseline.
    adjust : tuple of str
        Covariates.

    Raises
    ------
    DesignError
        If there are no two sides.

    Notes
    -----
    Both are divided by their standard deviation within sides, and the difference of the two
    scores is regressed on the side. With r the correlation within sides, the estimated standard
    deviations add ``(d1^2 + d2^2 - 2 r^2 d1 d2) / (2 df)`` to the variance.
    """

    first: str
    second: str
    groups: tuple[str, ...]
    versus: tuple[str, ...]
    at: float = 0.0
    adjust: tuple[str, ...] = ("age", "female")

    _reads = ("first", "second", "adjust")
    units = "SD"

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        return f"{self.sides()}: {label_of(self.first)} less {label_of(self.second)}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the contrast in each study."""
        indicator = self.is_first(chosen)
        pair = [chosen.at(name, self.at) for name in (self.first, self.second)]
        both = np.isfinite(pair[0]) & np.isfinite(pair[1])
        pair = [np.where(both, y, np.nan) for y in pair]
        scores = []
        for y in pair:
            sd, df = pooled_sd(y, indicator)
            scores.append(y / sd[:, None])
        covariates = [chosen.at(name, self.at) for name in self.adjust]
        fits = [linear_fit(z, [indicator, *covariates]) for z in (*scores, scores[0] - scores[1])]
        d1, d2 = fits[0].beta[:, 1], fits[1].beta[:, 1]
        r = pooled_correlation(pair[0], pair[1], indicator)
        extra = (d1**2 + d2**2 - 2 * r**2 * d1 * d2) / (2 * df)
        std_error = np.sqrt(fits[2].std_error[:, 1] ** 2 + extra)
        return Estimates(estimate=d1 - d2, std_error=std_error, df=fits[2].df, n=chosen.n)


@dataclass(frozen=True, kw_only=True)
class PairedDifference(AtVisit):
    """Mean difference of two measures of the same persons.

    Parameters
    ----------
    first, second : str
        Measures in one unit; the difference is first minus second.
    groups : tuple of str
        Phenotypes, taken together.
    at : float, default 0
        Years from baseline.
    standardise : bool, default True
        In standard deviations of the difference; else in the measures' unit.
    factor : float, default 1
        Multiplies the second: 0.5 asks whether the first is more than half of the second.
    """

    first: str
    second: str
    groups: tuple[str, ...]
    at: float = 0.0
    standardise: bool = True
    factor: float = 1.0

    _reads = ("first", "second")

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        return "SD" if self.standardise else unit_of(self.first)

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        times = "" if self.factor == 1 else f"{self.factor:g} times "
        pair = f"{label_of(self.first)} minus {times}{label_of(self.second)}"
        return f"{pair}, {group_text(self.groups)}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the mean difference in each study."""
        second = self.factor * chosen.at(self.second, self.at)
        moments = mean_and_variance(chosen.at(self.first, self.at) - second)
        df = moments.n - 1
        native = np.sqrt(moments.variance / moments.n)
        if not self.standardise:
            return Estimates(estimate=moments.mean, std_error=native, df=df, n=chosen.n)
        sd = np.sqrt(moments.variance)
        d = moments.mean / sd
        return Estimates(
            estimate=d,
            std_error=np.sqrt(1 / moments.n + d**2 / (2 * df)),
            df=df,
            n=chosen.n,
            statistic=moments.mean / native,
        )
