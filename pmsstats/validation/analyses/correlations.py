"""Correlations of levels and of changes, and comparisons of two correlations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from pmsstats.validation.analyses.arrays import correlation, ranks, residuals
from pmsstats.validation.analyses.base import (
    AtVisit,
    Estimates,
    FloatArray,
    FollowUp,
    check_choice,
    group_text,
    label_of,
)
from pmsstats.validation.analyses.outcomes import is_event

if TYPE_CHECKING:
    from pmsstats.validation.studies import Studies

__all__ = ["ChangeCorrelation", "Correlation", "CorrelationContrast", "Method"]

Method = Literal["spearman", "pearson"]


def partial_correlation(
    group_terms: list[FloatArray],
    variables: list[FloatArray],
    partial: list[FloatArray],
    method: str,
) -> tuple[list[FloatArray], FloatArray, int]:
    """Free variables from group differences and covariates.

    Parameters
    ----------
    group_terms : list of ndarray, each of shape (n_studies, n_subjects)
        Indicators of groups whose means (or mean ranks) are removed.
    variables, partial : list of ndarray, each of shape (n_studies, n_subjects)
        What is correlated, and what is held constant.
    method : {"spearman", "pearson"}
        Whether ranks take the place of values.

    Returns
    -------
    tuple
        What is left of each variable, number of complete subjects of each study, and number of
        covariates.
    """
    known = np.isfinite(np.stack([*variables, *partial])).all(axis=0)
    kept = [np.where(known, v, np.nan) for v in (*variables, *partial)]
    if method == "spearman":
        kept = [ranks(v) for v in kept]
    terms = [*group_terms, *kept[len(variables) :]]
    left = [residuals(v, terms) for v in kept[: len(variables)]]
    return left, known.sum(axis=1).astype(float), len(terms)


def correlation_estimates(
    r: FloatArray, n: FloatArray, k: int, method: str, size: int
) -> Estimates:
    """Turn correlations to estimates.

    Parameters
    ----------
    r, n : ndarray, shape (n_studies,)
        Correlations, and complete subjects.
    k : int
        Covariates held constant.
    method : {"spearman", "pearson"}
        Which correlation.
    size : int
        Subjects of a study.

    Returns
    -------
    Estimates
        In units of the correlation; tested by its t statistic.

    Notes
    -----
    Fisher's z has variance 1 / (n - k - 3), and (1 + r^2 / 2) times this for ranks [1]_; the
    standard error of r is (1 - r^2) times that of z.

    References
    ----------
    .. [1] Bonett DG, Wright TA. Sample size requirements for estimating Pearson, Kendall and
       Spearman correlations. Psychometrika 2000;65:23-28. doi:10.1007/BF02294183.
    """
    df = n - k - 2
    inflation = 1 + r**2 / 2 if method == "spearman" else 1.0
    with np.errstate(divide="ignore", invalid="ignore"):
        return Estimates(
            estimate=r,
            std_error=(1 - r**2) * np.sqrt(inflation / (n - k - 3)),
            df=df,
            n=size,
            statistic=r * np.sqrt(df / (1 - r**2)),
        )


@dataclass(frozen=True, kw_only=True)
class Correlation(AtVisit):
    """Correlation of two measures across persons, by default within groups.

    Parameters
    ----------
    first, second : str
        Measures, ``"age"``, ``"duration"`` or ``"msfc_z"``.
    groups : tuple of str
        Phenotypes; their means (or mean ranks) are removed where there are several.
    partial : tuple of str
        What is held constant.
    method : {"spearman", "pearson"}, default "spearman"
        Which correlation.
    at : float, default 0
        Years from baseline, of the first measure and of what is held constant.
    at_second : float, optional
        Years from baseline of the second measure; `at` by default.
    arm : str
        Only subjects of this arm; all by default.
    pooled : bool, default False
        Whether differences between the groups stay in.

    Raises
    ------
    DesignError
        If the method is unknown.
    """

    first: str
    second: str
    groups: tuple[str, ...]
    partial: tuple[str, ...] = ()
    method: Method = "spearman"
    at: float = 0.0
    at_second: float | None = None
    arm: str = ""
    pooled: bool = False

    _reads = ("first", "second", "partial")
    units = "correlation"

    def __post_init__(self) -> None:
        """Refuse an unknown method."""
        check_choice("method", self.method, get_args(Method))

    @property
    def needs_followup(self) -> bool:
        """Whether it reads more than the baseline visit."""
        return max(self.at, self.at_second or 0.0) > 0

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        later = f" at {self.at_second:g} years" if self.at_second else ""
        given = f" given {', '.join(label_of(p) for p in self.partial)}" if self.partial else ""
        within = " (within phenotypes)" if len(self.groups) > 1 and not self.pooled else ""
        return (
            f"{label_of(self.first)} with {label_of(self.second)}{later}{given}, "
            f"{group_text(self.groups)}{within}"
        )

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the correlation in each study."""
        second = self.at if self.at_second is None else self.at_second
        pair = [chosen.at(self.first, self.at), chosen.at(self.second, second)]
        partial = [chosen.at(name, self.at) for name in self.partial]
        groups = [] if self.pooled else chosen.group_terms()
        left, n, k = partial_correlation(groups, pair, partial, self.method)
        return correlation_estimates(correlation(left[0], left[1]), n, k, self.method, chosen.n)


@dataclass(frozen=True, kw_only=True)
class ChangeCorrelation(FollowUp):
    """Correlation of the annual changes of two measures across persons.

    Parameters
    ----------
    first : str
        Measure.
    second : str
        Measure, or an endpoint preset such as ``"cdp12"``: 1 for those who had it, 0 for others.
    groups : tuple of str
        Phenotypes; their means (or mean ranks) are removed where there are several.
    method : {"spearman", "pearson"}, default "spearman"
        Which correlation.
    arm : str
        Only subjects of this arm; all by default.

    Raises
    ------
    DesignError
        If the method is unknown.
    """

    first: str
    second: str
    groups: tuple[str, ...]
    method: Method = "spearman"
    arm: str = ""

    _reads = ("changes",)
    units = "correlation"

    def __post_init__(self) -> None:
        """Refuse an unknown method."""
        check_choice("method", self.method, get_args(Method))

    @property
    def changes(self) -> tuple[str, ...]:
        """Measures whose change is read: the second may be an event."""
        return (self.first,) if self.outcomes else (self.first, self.second)

    @property
    def outcomes(self) -> tuple[str, ...]:
        """Events that it reads."""
        return (self.second,) if is_event(self.second) else ()

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        other = self.second if self.outcomes else f"change of {label_of(self.second)}"
        return f"change of {label_of(self.first)} with {other}, {group_text(self.groups)}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the correlation in each study."""
        if self.outcomes:
            event = chosen.event(self.second)
            second = np.where(np.isfinite(event.duration), event.happened, np.nan)
        else:
            second = chosen.slope(self.second)
        pair = [chosen.slope(self.first), second]
        left, n, k = partial_correlation(chosen.group_terms(), pair, [], self.method)
        return correlation_estimates(correlation(left[0], left[1]), n, k, self.method, chosen.n)


@dataclass(frozen=True, kw_only=True)
class CorrelationContrast(AtVisit):
    """Which of two measures correlates more with a third, in the same persons.

    Parameters
    ----------
    first, second : str
        Measures that compete.
    other : str
        What they are correlated with.
    groups : tuple of str
        Phenotypes; their means (or mean ranks) are removed where there are several.
    magnitude : bool, default True
        Whether the strengths are compared, whatever the signs.
    method : {"spearman", "pearson"}, default "spearman"
        Which correlation.
    at : float, default 0
        Years from baseline.

    Raises
    ------
    DesignError
        If the method is unknown.

    Notes
    -----
    Difference of Fisher's z, with the covariance of two correlations that share a variable [1]_.

    References
    ----------
    .. [1] Dunn OJ, Clark V. Correlation coefficients measured on the same individuals. J Am Stat
       Assoc 1969;64:366-377. doi:10.1080/01621459.1969.10500981.
    """

    first: str
    second: str
    other: str
    groups: tuple[str, ...]
    magnitude: bool = True
    method: Method = "spearman"
    at: float = 0.0

    _reads = ("first", "second", "other")
    units = "Fisher z"

    def __post_init__(self) -> None:
        """Refuse an unknown method."""
        check_choice("method", self.method, get_args(Method))

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        return (
            f"correlation with {label_of(self.other)}: {label_of(self.first)} less "
            f"{label_of(self.second)}, {group_text(self.groups)}"
        )

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the contrast in each study."""
        values = [chosen.at(name, self.at) for name in (self.first, self.second, self.other)]
        left, n, k = partial_correlation(chosen.group_terms(), values, [], self.method)
        r13, r23 = correlation(left[0], left[2]), correlation(left[1], left[2])
        r12 = correlation(left[0], left[1])
        if self.magnitude:
            r12 = r12 * np.sign(r13) * np.sign(r23)
            r13, r23 = np.abs(r13), np.abs(r23)
        inflation = 1 + (r13**2 + r23**2) / 4 if self.method == "spearman" else 1.0
        variance = (2 - 2 * _covariance(r12, r13, r23)) * inflation / (n - k - 3)
        return Estimates(
            estimate=np.arctanh(r13) - np.arctanh(r23),
            std_error=np.sqrt(variance),
            df=np.full(len(n), np.inf),
            n=chosen.n,
        )


def _covariance(r12: FloatArray, r13: FloatArray, r23: FloatArray) -> FloatArray:
    """Return the correlation of two Fisher z that share a variable (Dunn and Clark 1969)."""
    shared = 1 - r13**2 - r23**2
    psi = r12 * shared - 0.5 * r13 * r23 * (shared - r12**2)
    return psi / ((1 - r13**2) * (1 - r23**2))
