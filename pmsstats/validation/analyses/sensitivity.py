"""How well a measure sees change: responsiveness, sample sizes, reliability, power."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.validation.analyses.arrays import mean_and_variance
from pmsstats.validation.analyses.base import (
    Estimates,
    FloatArray,
    FollowUp,
    check_choice,
    group_text,
    label_of,
)
from pmsstats.validation.analyses.rates import moments_of_slopes

if TYPE_CHECKING:
    from pmsstats.validation.studies import Studies

__all__ = [
    "Reliability",
    "Responsiveness",
    "SampleSize",
    "SampleSizeRatio",
]

_CONTROLS = ("HC",)


class _TrialSize(FollowUp):
    """An analysis of the size of a trial on annual change, beyond that of controls or in all."""

    versus_hc: bool

    _sides = ("groups", "controls")

    @property
    def controls(self) -> tuple[str, ...]:
        """Phenotypes whose change cannot be treated."""
        return _CONTROLS if self.versus_hc else ()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Scaled:
    """A log standardised rate, and how subjects move it.

    Parameters
    ----------
    mean, sd : ndarray, shape (n_studies,)
        Of annual worsening: of the subjects (less controls), and between them.
    influence, control_influence : ndarray, shape (n_studies, n)
        On log(mean / sd), each divided by its number of subjects.
    """

    mean: FloatArray
    sd: FloatArray
    influence: FloatArray
    control_influence: FloatArray


def _log_standardised_rate(
    studies: Studies, measure: str, groups: tuple[str, ...], versus_hc: bool
) -> _Scaled:
    """Return mean over standard deviation of annual worsening with influence values of its log."""
    chosen = studies.select(groups)
    mean, sd, centred = moments_of_slopes(chosen, measure)
    effect, control = mean, np.zeros((len(mean), 1))
    if versus_hc:
        hc_mean, _, hc_centred = moments_of_slopes(studies.select(_CONTROLS), measure)
        effect = mean - hc_mean
        control = -hc_centred / effect[:, None] / hc_centred.shape[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = ((centred / sd[:, None]) ** 2 - 1) / 2
        influence = (centred / effect[:, None] - spread) / centred.shape[1]
    return _Scaled(mean=effect, sd=sd, influence=influence, control_influence=control)


def _error(*influences: FloatArray) -> FloatArray:
    """Return the standard error from independent sums of influence values."""
    return np.sqrt(sum((i**2).sum(axis=1) for i in influences))


@dataclass(frozen=True, kw_only=True)
class Responsiveness(FollowUp):
    """Mean over standard deviation of annual worsening: that of one measure less another's.

    Parameters
    ----------
    first, second : str
        Measures; the same one where two groups are compared.
    groups : tuple of str
        Phenotypes, taken together.
    versus : tuple of str
        Phenotypes in which the second is taken; `groups` by default.
    """

    first: str
    second: str
    groups: tuple[str, ...]
    versus: tuple[str, ...] = ()

    _reads = ("first", "second")
    _sides = ("groups", "versus")
    units = "SD per year"

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        groups = group_text(self.groups)
        if self.versus:
            return (
                f"responsiveness: {label_of(self.first)} in {groups} less {label_of(self.second)} "
                f"in {group_text(self.versus)}"
            )
        return f"responsiveness: {label_of(self.first)} less {label_of(self.second)}, {groups}"

    def _estimate(self, studies: Studies) -> Estimates:
        """Compute the difference in each study."""
        first, own = _standardised_rate(studies.select(self.groups), self.first)
        other = studies.select(self.versus or self.groups)
        second, theirs = _standardised_rate(other, self.second)
        std_error = _error(own, theirs) if self.versus else _error(own - theirs)
        return Estimates(
            estimate=first - second,
            std_error=std_error,
            df=np.full(len(first), np.inf),
            n=studies.n,
        )


def _standardised_rate(studies: Studies, measure: str) -> tuple[FloatArray, FloatArray]:
    """Return mean over standard deviation of annual worsening, with its influence values."""
    mean, sd, centred = moments_of_slopes(studies, measure)
    with np.errstate(divide="ignore", invalid="ignore"):
        srm, z = mean / sd, centred / sd[:, None]
        return srm, (z - srm[:, None] / 2 * (z**2 - 1)) / centred.shape[1]


@dataclass(frozen=True, kw_only=True)
class SampleSize(_TrialSize):
    """Logarithm of the subjects per arm that a trial on annual change needs.

    Parameters
    ----------
    measure : str
        Outcome of the trial.
    groups : tuple of str
        Phenotypes, taken together.
    effect : float, default 0.5
        Share of the change (beyond that of controls, if so asked) that treatment takes away.
    power : float, default 0.8
        Chance to find it.
    alpha : float, default 0.05
        Two-sided type I error.
    versus_hc : bool, default False
        Whether only change beyond that of controls can be treated.
    against : float, default 1
        Divides the number: the estimate is log(n / against).

    Raises
    ------
    DesignError
        If effect, power, alpha or the reference number is impossible.

    Notes
    -----
    ``n = 2 (z_{1-alpha/2} + z_{power})^2 (sd / (effect mean))^2`` of the slopes of persons seen at
    the visits of the design; missing where the change is not towards worse.
    """

    measure: str
    groups: tuple[str, ...]
    effect: float = 0.5
    power: float = 0.8
    alpha: float = 0.05
    versus_hc: bool = False
    against: float = 1.0

    def __post_init__(self) -> None:
        """Refuse impossible trials."""
        for name in ("power", "alpha"):
            if not 0 < getattr(self, name) < 1:
                raise DesignError(
                    f"`{name}` must lie between 0 and 1, got {getattr(self, name)!r}."
                )
        if not self.effect > 0 or not self.against > 0:
            raise DesignError(
                f"`effect` and `against` must be above 0, got {self.effect!r}, {self.against!r}."
            )

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        return "log n per arm" if self.against == 1 else "log ratio"

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        less = "" if self.against == 1 else f" against {self.against:g}"
        return (
            f"subjects per arm for {100 * self.effect:g} % effect on {label_of(self.measure)}, "
            f"{group_text(self.groups)}{less}"
        )

    def _estimate(self, studies: Studies) -> Estimates:
        """Compute the sample size from each study."""
        scaled = _log_standardised_rate(studies, self.measure, self.groups, self.versus_hc)
        z = stats.norm.ppf(1 - self.alpha / 2) + stats.norm.ppf(self.power)
        with np.errstate(divide="ignore", invalid="ignore"):
            log_rate = np.log(self.effect * scaled.mean / scaled.sd)
        std_error = 2 * _error(scaled.influence, scaled.control_influence)
        return Estimates(
            estimate=np.log(2 * z**2 / self.against) - 2 * log_rate,
            std_error=np.where(np.isfinite(log_rate), std_error, np.nan),
            df=np.full(len(log_rate), np.inf),
            n=studies.n,
        )


@dataclass(frozen=True, kw_only=True)
class SampleSizeRatio(_TrialSize):
    """Logarithm of the ratio of the sample sizes that two measures need.

    Parameters
    ----------
    first, second : str
        Outcomes; the ratio is that of first over second.
    groups : tuple of str
        Phenotypes, taken together.
    second_groups : tuple of str
        Phenotypes in which the second is taken; `groups` by default.
    versus_hc : bool, default False
        Whether only change beyond that of controls can be treated.

    Notes
    -----
    Effect, power and alpha cancel. Missing where a change is not towards worse.
    """

    first: str
    second: str
    groups: tuple[str, ...]
    second_groups: tuple[str, ...] = ()
    versus_hc: bool = False

    _reads = ("first", "second")
    _sides = ("groups", "second_groups", "controls")
    units = "log ratio"

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        pair = f"{label_of(self.first)} over {label_of(self.second)}"
        return f"sample size: {pair}, {group_text(self.groups)}"

    def _estimate(self, studies: Studies) -> Estimates:
        """Compute the ratio from each study."""
        other = self.second_groups or self.groups
        a = _log_standardised_rate(studies, self.first, self.groups, self.versus_hc)
        b = _log_standardised_rate(studies, self.second, other, self.versus_hc)
        with np.errstate(divide="ignore", invalid="ignore"):
            estimate = 2 * (np.log(b.mean / b.sd) - np.log(a.mean / a.sd))
        control = a.control_influence - b.control_influence
        same = other == self.groups
        own = (a.influence - b.influence,) if same else (a.influence, b.influence)
        return Estimates(
            estimate=estimate,
            std_error=np.where(np.isfinite(estimate), 2 * _error(*own, control), np.nan),
            df=np.full(len(estimate), np.inf),
            n=studies.n,
        )


ReliabilityKind = Literal["icc", "cv"]


@dataclass(frozen=True, kw_only=True)
class Reliability(FollowUp):
    """Agreement of two scans a few days apart, less a reference value.

    Parameters
    ----------
    measure : str
        What is measured twice: at the first two visits of the design.
    groups : tuple of str
        Phenotypes, taken together.
    kind : {"icc", "cv"}, default "icc"
        One-way intraclass correlation, or within-person coefficient of variation in percent.
    against : float, default 0
        Reference value, taken away.

    Raises
    ------
    DesignError
        If the kind is unknown.

    Notes
    -----
    Large-sample standard errors of normal data: (1 - icc^2) / sqrt(n - 1), cv / sqrt(2 n).
    """

    measure: str
    groups: tuple[str, ...]
    kind: ReliabilityKind = "icc"
    against: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an unknown kind."""
        check_choice("kind", self.kind, get_args(ReliabilityKind))

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        return "intraclass correlation" if self.kind == "icc" else "%"

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        what = "reliability" if self.kind == "icc" else "coefficient of variation"
        less = f" less {self.against:g}" if self.against else ""
        return f"{what} of {label_of(self.measure)}, {group_text(self.groups)}{less}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the agreement in each study."""
        first, second = (chosen.at(self.measure, year) for year in chosen.years[:2])
        mean = mean_and_variance((first + second) / 2)
        n = mean.n
        within = np.nansum((first - second) ** 2, axis=1) / (2 * n)
        if self.kind == "cv":
            cv = 100 * np.sqrt(within) / np.abs(mean.mean)
            return Estimates(
                estimate=cv - self.against, std_error=cv / np.sqrt(2 * n),
                df=np.full(len(cv), np.inf), n=chosen.n,
            )  # fmt: skip
        between = 2 * mean.variance
        icc = (between - within) / (between + within)
        return Estimates(
            estimate=icc - self.against,
            std_error=(1 - icc**2) / np.sqrt(n - 1),
            df=np.full(len(icc), np.inf),
            n=chosen.n,
        )
