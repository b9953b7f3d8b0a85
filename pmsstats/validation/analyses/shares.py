"""Shares of persons: prevalence, and the commonest of several values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.validation.analyses.base import Analysis, AtVisit, Estimates, group_text, label_of
from pmsstats.validation.analyses.differences import TwoSides

if TYPE_CHECKING:
    from pmsstats.validation.studies import Studies

__all__ = ["CommonestValue", "Prevalence", "Share"]

_POINTS = "percentage points"


@dataclass(frozen=True, kw_only=True)
class Prevalence(TwoSides):
    """Difference between groups of the share of persons above a threshold.

    Parameters
    ----------
    measure : str
        What is dichotomised; presence is above 0.5.
    groups, versus : tuple of str
        Phenotypes; the difference is groups minus versus.
    threshold : float, default 0.5
        In the measure's unit.
    at : float, default 0
        Years from baseline.
    split : tuple of (str, float), optional
        Variable and cut within the groups, instead of `versus`: those below the cut minus others.

    Raises
    ------
    DesignError
        If there are no two sides.

    Notes
    -----
    The test against zero is Pearson's chi-squared test without correction for continuity.
    """

    measure: str
    groups: tuple[str, ...]
    versus: tuple[str, ...] = ()
    threshold: float = 0.5
    at: float = 0.0
    split: tuple[str, float] | None = None

    _reads = ("measure", "cut")
    units = _POINTS

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        return f"share with {label_of(self.measure)} above {self.threshold:g}: {self.sides()}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the difference of shares in each study."""
        first = self.is_first(chosen)
        value = chosen.at(self.measure, self.at)
        known = np.isfinite(value) & np.isfinite(first)
        n = [(known & (first == code)).sum(axis=1) for code in (1, 0)]
        above = [
            (known & (first == code) & (value > self.threshold)).sum(axis=1) for code in (1, 0)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = [a / k for a, k in zip(above, n, strict=True)]
            pooled = (above[0] + above[1]) / (n[0] + n[1])
            error = np.sqrt(sum(p * (1 - p) / k for p, k in zip(share, n, strict=True)))
            null_error = np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1]))
            statistic = (share[0] - share[1]) / null_error
        return Estimates(
            estimate=100 * (share[0] - share[1]),
            std_error=100 * error,
            df=np.full(len(error), np.inf),
            n=chosen.n,
            statistic=statistic,
        )


@dataclass(frozen=True, kw_only=True)
class Share(AtVisit):
    """Share of persons above a threshold, less a reference value.

    Parameters
    ----------
    measure : str
        What is dichotomised.
    groups : tuple of str
        Phenotypes, taken together.
    threshold : float, default 0.5
        In the measure's unit.
    at : float, default 0
        Years from baseline.
    against : float, default 0, percent
        Reference value.
    """

    measure: str
    groups: tuple[str, ...]
    threshold: float = 0.5
    at: float = 0.0
    against: float = 0.0

    units = _POINTS

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        less = f", less {self.against:g} %" if self.against else ""
        return (
            f"share with {label_of(self.measure)} above {self.threshold:g}, "
            f"{group_text(self.groups)}{less}"
        )

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the share in each study."""
        value = chosen.at(self.measure, self.at)
        n = np.isfinite(value).sum(axis=1)
        share = (value > self.threshold).sum(axis=1) / n
        return Estimates(
            estimate=100 * share - self.against,
            std_error=100 * np.sqrt(share * (1 - share) / n),
            df=np.full(len(share), np.inf),
            n=chosen.n,
        )


@dataclass(frozen=True, kw_only=True)
class CommonestValue(Analysis):
    """By how much one value of a property of the subjects is commoner than the next.

    Parameters
    ----------
    variable : str
        Column of the subjects, such as ``"onset_syndrome"``.
    value : str
        The value said to be commonest.
    groups : tuple of str
        Phenotypes, taken together.

    Raises
    ------
    DesignError
        If `variable` or `value` is empty.

    Notes
    -----
    With shares p of the value and q of the commonest other, the variance of p - q in a sample of
    n is ``(p + q - (p - q)^2) / n``.
    """

    variable: str
    value: str
    groups: tuple[str, ...]

    _reads = ()
    units = _POINTS

    def __post_init__(self) -> None:
        """Refuse empty names."""
        if not self.variable or not self.value:
            raise DesignError("`variable` and `value` must not be empty.")

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        name = self.variable.replace("_", " ")
        return f"{name}: {self.value} less the commonest other, {group_text(self.groups)}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the difference of shares in each study."""
        codes, values = chosen.category(self.variable)
        if self.value not in values:
            raise DesignError(
                f"No subject has {self.variable}={self.value!r}; there are: {', '.join(values)}."
            )
        shares = np.stack([(codes == k).mean(axis=1) for k in range(len(values))])
        own = values.index(self.value)
        p, q = shares[own], np.delete(shares, own, axis=0).max(axis=0, initial=0.0)
        return Estimates(
            estimate=100 * (p - q),
            std_error=100 * np.sqrt((p + q - (p - q) ** 2) / chosen.n),
            df=np.full(len(p), np.inf),
            n=chosen.n,
        )
