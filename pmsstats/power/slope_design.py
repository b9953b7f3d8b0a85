"""A trial that compares slopes: how precise each analysis of it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.arms import split_arms
from pmsstats.power.by_precision import power_by_precision
from pmsstats.power.expected_fit import FEWEST, ExpectedFit, expect_fit
from pmsstats.power.schedule import VisitSchedule, retention_of_arms
from pmsstats.power.slope_variance import (
    SlopeModel,
    Working,
    slope_covariance_marginal,
    slope_patterns,
    subject_slope_variance,
    two_scan_variance,
)
from pmsstats.power.solving import check_choice, check_rates, check_real
from pmsstats.power.wording import arms_words, level_words

__all__ = ["SlopeDesign", "SlopeDf", "SlopeMethod"]

SlopeMethod = Literal["gls", "hu_mackey_thomas", "edland", "two_scans", "diggle", "liu_liang"]
"""How slopes are compared; :func:`pmsstats.power.slope.power_slope` says what each is."""

SlopeDf = Literal["satterthwaite", "subjects", "normal"]
"""Distribution of the test statistic."""

_MIXED = ("gls", "hu_mackey_thomas")
_DEFAULT_DF: dict[str, SlopeDf] = {
    "gls": "satterthwaite",
    "hu_mackey_thomas": "satterthwaite",
    "edland": "subjects",
    "two_scans": "subjects",
    "diggle": "normal",
    "liu_liang": "normal",
}
_METHOD_WORDS = {
    "gls": "a mixed model with random slopes and a mean at baseline for each arm",
    "hu_mackey_thomas": "a mixed model with random slopes and one mean at baseline for both arms",
    "edland": "subjects' own least-squares slopes",
    "two_scans": "the yearly change from the first to the last scan",
    "diggle": "generalised least squares with a known covariance",
    "liu_liang": "an estimating equation",
}
_DF_WORDS = {
    "satterthwaite": "t-test with Satterthwaite's df",
    "subjects": "t-test with two df less than subjects who have a change",
    "normal": "normal test",
}

Sizes = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class SlopeDesign:
    """Visits, variances, dropout and analysis of a trial that compares slopes.

    Parameters
    ----------
    schedule : VisitSchedule
        Planned visits.
    models : pair of SlopeModel
        Of the reference and the treated arm.
    method : SlopeMethod
        Analysis.
    dropout : float or pair of float
        Share of those still in the trial that leaves in each year.
    retention : tuple of float, or a pair of such, optional
        Share seen at each visit instead.
    working : {"true", "independence", "exchangeable"}
        Weights of the estimating equation.
    df : SlopeDf, optional
        Distribution of the test statistic; by default that of the method.
    alpha, sides, ratio : float, int, float
        Type I error, sides of the test, treated per reference subject.

    Raises
    ------
    DesignError
        If an option is unknown, or the method cannot take dropout or unequal variances.
    """

    schedule: VisitSchedule
    models: tuple[SlopeModel, SlopeModel]
    method: SlopeMethod = "gls"
    dropout: float | tuple[float, float] = 0.0
    retention: tuple[float, ...] | tuple[tuple[float, ...], tuple[float, ...]] | None = None
    working: Working = "true"
    df: SlopeDf | None = None
    alpha: float = 0.05
    sides: int = 2
    ratio: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be analysed so."""
        check_choice("method", self.method, get_args(SlopeMethod))
        check_choice("working", self.working, get_args(Working))
        if self.df is not None:
            check_choice("df", self.df, get_args(SlopeDf))
        check_rates(self.alpha, sides=self.sides)
        check_real("ratio", self.ratio, low=0.0)
        incomplete = min(self.retentions[0][-1], self.retentions[1][-1]) < 1
        if self.method == "diggle" and (incomplete or self.models[0] != self.models[1]):
            raise DesignError(
                "method='diggle' is for complete data and the same variances in both arms. Use "
                "method='gls', which is the same formula with dropout and unequal variances."
            )
        if self.method == "liu_liang" and self.models[0].has_free_intercepts:
            raise DesignError(
                "method='liu_liang' weights values and not changes, so that the model needs "
                "`intercept_sd`, the SD between subjects at baseline."
            )

    @cached_property
    def retentions(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Share of each arm that is still seen at each visit."""
        return retention_of_arms(self.schedule.years, self.dropout, self.retention)

    @property
    def test(self) -> SlopeDf:
        """Distribution of the test statistic."""
        return _DEFAULT_DF[self.method] if self.df is None else self.df

    # --- precision ------------------------------------------------------------------------

    @cached_property
    def _precision(self) -> Callable[[Sizes], tuple[float, float]]:
        """Return variance and Satterthwaite's df by the subjects of both arms."""
        if self.method in _MIXED:
            return self._mixed_precision()
        return self._arm_precision()

    def _mixed_precision(self) -> Callable[[Sizes], tuple[float, float]]:
        """Return the precision of a mixed model."""
        fit = self._mixed_fit()
        return lambda n: (fit.variance(n), fit.df(n))

    def _mixed_fit(self) -> ExpectedFit:
        """Return the expected information of a mixed model."""
        patterns, contrast = slope_patterns(
            self.schedule.years,
            self.models,
            self.retentions,
            common_baseline=self.method == "hu_mackey_thomas",
        )
        return expect_fit(patterns, contrast)

    def _arm_precision(self) -> Callable[[Sizes], tuple[float, float]]:
        """Return the precision of a difference between two arms with a variance each."""
        variances, shares = zip(*map(self._arm, self.models, self.retentions), strict=True)
        pooled = self.models[0] == self.models[1]

        def precision(n: Sizes) -> tuple[float, float]:
            seen = [size * share for size, share in zip(n, shares, strict=True)]
            parts = [v / m for v, m in zip(variances, seen, strict=True)]
            spread = sum(p**2 / max(m - 1, 0.5) for p, m in zip(parts, seen, strict=True))
            return sum(parts), (sum(seen) - 2 if pooled else sum(parts) ** 2 / spread)

        return precision

    def _arm(self, model: SlopeModel, retention: Sequence[float]) -> tuple[float, float]:
        """Return the variance of a subject's part in the slope, and the share who have one."""
        years = self.schedule.years
        if self.method == "edland":
            return subject_slope_variance(years, model, retention)
        if self.method == "two_scans":
            return two_scan_variance(years, model, retention)
        working = self.working if self.method == "liu_liang" else "true"
        return slope_covariance_marginal(years, model, retention, working=working), 1.0

    def precision(self, n: Sizes) -> tuple[float, float]:
        """Return the variance of the estimated difference and its degrees of freedom.

        Parameters
        ----------
        n : pair of float
            Subjects randomised to the reference and the treated arm.

        Returns
        -------
        tuple of float
            In squared units per year; the degrees of freedom are at least 1, and infinite for a
            normal test.
        """
        variance, df = self._precision(n)
        if self.test == "normal":
            return variance, math.inf
        if self.test == "subjects":
            df = sum(size * share for size, share in zip(n, self._followed, strict=True)) - 2
        return variance, max(df, 1.0)

    @property
    def _followed(self) -> tuple[float, ...]:
        """Share of each arm that counts as a subject: with a change to analyse."""
        visit = -1 if self.method == "two_scans" else 1
        return tuple(retention[visit] for retention in self.retentions)

    def variance_gradient(self, n: Sizes) -> tuple[float, np.ndarray]:
        """Return the variance and its derivative in the variances of a model shared by both arms.

        Parameters
        ----------
        n : pair of float
            Subjects randomised to the reference and the treated arm.

        Returns
        -------
        float
            In squared units per year.
        ndarray, shape (4,)
            In residual variance, variance of slopes, variance of intercepts, their covariance.

        Raises
        ------
        DesignError
            If the arms differ, intercepts are free, or the method is no analysis of slopes.
        """
        model = self.models[0]
        if self.models[1] != model or model.has_free_intercepts or self.method == "liu_liang":
            raise DesignError("Derivatives need one model with `intercept_sd` for both arms.")
        variance = self.precision(n)[0]
        if self.method in _MIXED:
            return variance, self._mixed_fit().gradient(n)
        double = replace(model, slope_sd=math.sqrt(2) * model.slope_sd)
        steeper = replace(self, models=(double, double))
        by_slopes = (steeper.precision(n)[0] - variance) / model.slope_sd**2
        by_errors = (variance - by_slopes * model.slope_sd**2) / model.residual_sd**2
        return variance, np.array([by_errors, by_slopes, 0.0, 0.0])  # linear in both

    def power_of(self) -> Callable[[Sizes, float], float]:
        """Return power by the subjects of both arms and the effect.

        Returns
        -------
        callable
            Of ``(n_reference, n_treated)`` and the difference of slopes. A one-sided test looks
            in the direction of the effect.
        """
        return power_by_precision(
            self.precision, is_estimable=self._is_estimable, alpha=self.alpha, sides=self.sides
        )

    def _is_estimable(self, n: Sizes) -> bool:
        """Return whether anything is left to estimate a variance from, where the test needs it."""
        return self.test == "normal" or sum(n) >= FEWEST

    def split(self, n_total: float) -> Sizes:
        """Return the subjects of both arms, without rounding.

        Parameters
        ----------
        n_total : float
            In both arms together.
        """
        return split_arms(n_total, self.ratio)

    def with_schedule(self, schedule: VisitSchedule) -> SlopeDesign:
        """Return the same design with other visits.

        Parameters
        ----------
        schedule : VisitSchedule
            The other visits.
        """
        return replace(self, schedule=schedule)

    # --- words ----------------------------------------------------------------------------

    def words(self, unit: str, arms: tuple[float, float]) -> str:
        """Return one sentence that says what the numbers rest on.

        Parameters
        ----------
        unit : str
            Of the outcome.
        arms : pair of float
            Subjects randomised to the reference and the treated arm.
        """
        method = _METHOD_WORDS[self.method]
        if self.method == "liu_liang":
            method += f" weighted by {_WEIGHT_WORDS[self.working]}"
        test = level_words(self.alpha, self.sides, _DF_WORDS[self.test])
        return (
            f"{arms_words(self.ratio, arms)}, slopes compared by {method} ({test}), "
            f"{self.schedule.words()}, "
            f"{self._model_words()} (in {unit}, slopes per year), {self._dropout_words()}."
        )

    def _model_words(self) -> str:
        """Say the variances."""
        reference, treated = self.models
        if reference == treated:
            return f"{reference.words()} in both arms"
        return f"{reference.words()} in the reference arm and {treated.words()} in the treated arm"

    def _dropout_words(self) -> str:
        """Say who is lost, and what becomes of their scans."""
        shares = [100 * (1 - retention[-1]) for retention in self.retentions]
        if max(shares) <= 0:
            return "every scan of every subject made"
        kept = "not analysed" if self.method == "two_scans" else "their scans until then analysed"
        lost = f"{shares[0]:.3g} %"
        if shares[0] != shares[1]:
            lost = f"{shares[0]:.3g} % of the reference and {shares[1]:.3g} % of the treated arm"
        return f"{lost} lost before the last scan for reasons unrelated to the disease, {kept}"


_WEIGHT_WORDS = {
    "true": "the true covariance",
    "independence": "no covariance",
    "exchangeable": "an exchangeable covariance",
}
