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
    Analysis,
    Estimates,
    FloatArray,
    emitted,
    group_text,
    label_of,
    unit_of,
)

if TYPE_CHECKING:
    from pmsstats.validation.studies import Studies

__all__ = ["Difference", "DifferenceContrast", "PairedDifference"]


def check_sides(groups: tuple[str, ...], versus: tuple[str, ...], split: object) -> None:
    """Refuse a comparison that has no two sides.

    Parameters
    ----------
    groups, versus : tuple of str
        Phenotypes on either side.
    split : object
        Cut within the groups, or None.

    Raises
    ------
    DesignError
        If there are no two sides, or a phenotype is on both.
    """
    if not groups or bool(versus) == (split is not None):
        raise DesignError(
            "A comparison needs `groups`, and either `versus` (other groups) or `split` (a cut "
            f"within the groups), got groups={groups!r}, versus={versus!r}, split={split!r}."
        )
    both = sorted(set(groups) & set(versus))
    if both:
        raise DesignError(f"{', '.join(both)} stands in `groups` and in `versus`.")


def sides_text(
    groups: tuple[str, ...], versus: tuple[str, ...], split: tuple[str, float] | None
) -> str:
    """Name the two sides of a comparison.

    Parameters
    ----------
    groups, versus : tuple of str
        Phenotypes.
    split : tuple of (str, float), optional
        Variable and cut.

    Returns
    -------
    str
        For example ``"PPMS minus HC"``.
    """
    if split is None:
        return f"{group_text(groups)} minus {group_text(versus)}"
    return f"{label_of(split[0])} below {split[1]:g} minus others, {group_text(groups)}"


def side(
    studies: Studies,
    groups: tuple[str, ...],
    versus: tuple[str, ...],
    split: tuple[str, float] | None,
    at: float,
) -> tuple[Studies, FloatArray]:
    """Return the subjects compared, and 1 for those on the first side.

    Parameters
    ----------
    studies : Studies
        Many studies.
    groups, versus : tuple of str
        Phenotypes on either side.
    split : tuple of (str, float), optional
        Variable and cut: the first side is below it.
    at : float, years
        When the variable is read.

    Returns
    -------
    tuple of Studies and ndarray, shape (n_studies, n_subjects)
        Those of the groups named, and 1.0 or 0.0 (NaN where the variable is missing).
    """
    chosen = studies.select((*groups, *versus))
    if split is None:
        first = np.isin(chosen.group, groups).astype(float)
        return chosen, np.broadcast_to(first, chosen.shape)
    value = chosen.at(split[0], at)
    return chosen, np.where(np.isnan(value), np.nan, (value < split[1]).astype(float))


@dataclass(frozen=True, kw_only=True)
class Difference(Analysis):
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

    def __post_init__(self) -> None:
        """Refuse a comparison without two sides."""
        check_sides(self.groups, self.versus, self.split)

    @property
    def covariates(self) -> tuple[str, ...]:
        """Covariates of the model, without the variable that splits."""
        return tuple(a for a in self.adjust if self.split is None or a != self.split[0])

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that it reads."""
        return emitted(self.measure, *self.covariates, *(self.split or ())[:1])

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """Phenotypes that it needs."""
        return (*self.groups, *self.versus)

    @property
    def needs_followup(self) -> bool:
        """Whether it reads more than the baseline visit."""
        return self.at > 0

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        return "SD" if self.standardise else unit_of(self.measure)

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        when = f" at {self.at:g} years" if self.at else ""
        sides = sides_text(self.groups, self.versus, self.split)
        return f"{label_of(self.measure)}{when}: {sides}"

    def estimate(self, studies: Studies) -> Estimates:
        """Compute the difference in each study.

        Parameters
        ----------
        studies : Studies
            Many studies.

        Returns
        -------
        Estimates
            One for each.
        """
        chosen, first = side(studies, self.groups, self.versus, self.split, self.at)
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
class DifferenceContrast(Analysis):
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

    def __post_init__(self) -> None:
        """Refuse a comparison without two sides."""
        check_sides(self.groups, self.versus, None)

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that it reads."""
        return emitted(self.first, self.second, *self.adjust)

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """Phenotypes that it needs."""
        return (*self.groups, *self.versus)

    @property
    def needs_followup(self) -> bool:
        """Whether it reads more than the baseline visit."""
        return self.at > 0

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        return "SD"

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        return (
            f"{sides_text(self.groups, self.versus, None)}: {label_of(self.first)} less "
            f"{label_of(self.second)}"
        )

    def estimate(self, studies: Studies) -> Estimates:
        """Compute the contrast in each study.

        Parameters
        ----------
        studies : Studies
            Many studies.

        Returns
        -------
        Estimates
            One for each.
        """
        chosen, indicator = side(studies, self.groups, self.versus, None, self.at)
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
class PairedDifference(Analysis):
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

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that it reads."""
        return emitted(self.first, self.second)

    @property
    def phenotypes(self) -> tuple[str, ...]:
        """Phenotypes that it needs."""
        return self.groups

    @property
    def needs_followup(self) -> bool:
        """Whether it reads more than the baseline visit."""
        return self.at > 0

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        return "SD" if self.standardise else unit_of(self.first)

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        times = "" if self.factor == 1 else f"{self.factor:g} times "
        pair = f"{label_of(self.first)} minus {times}{label_of(self.second)}"
        return f"{pair}, {group_text(self.groups)}"

    def estimate(self, studies: Studies) -> Estimates:
        """Compute the mean difference in each study.

        Parameters
        ----------
        studies : Studies
            Many studies.

        Returns
        -------
        Estimates
            One for each.
        """
        chosen = studies.select(self.groups)
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
