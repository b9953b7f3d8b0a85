"""A trial analysed by a mixed model for repeated measures: how precise it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.arms import split_arms
from pmsstats.power.by_precision import power_by_precision
from pmsstats.power.expected_fit import FEWEST, ExpectedFit, Pattern, expect_fit
from pmsstats.power.schedule import checked_retention, last_visit_shares
from pmsstats.power.solving import check_choice, check_rates, check_real
from pmsstats.power.visit_covariance import VisitCovariance
from pmsstats.power.wording import arms_words, level_words

__all__ = ["BaselineUse", "MMRMDesign", "MMRMDf", "unstructured_derivatives"]

BaselineUse = Literal["none", "covariate", "change"]
"""What the analysis does with the first visit of the covariance."""

MMRMDf = Literal["satterthwaite", "subjects", "normal"]
"""Distribution of the test statistic."""

_MOST_VISITS = 10  # whose unstructured covariance is differentiated
_DF_WORDS = {
    "satterthwaite": "t-test with Satterthwaite's df",
    "subjects": "t-test with {less} df less than subjects at the last visit",
    "normal": "normal test",
}
_BASELINE_WORDS = {
    "none": "the outcome itself",
    "covariate": "the outcome, with its baseline value at each visit as covariate",
    "change": "change from baseline",
}

Sizes = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class MMRMDesign:
    """Covariance, retention and analysis of a trial with repeated measures.

    Parameters
    ----------
    covariances : pair of VisitCovariance
        Of the reference and the treated arm; with `baseline` other than ``"none"`` the first
        visit is baseline.
    retentions : pair of tuple of float
        Share seen at each analysed visit.
    contrast : tuple of float
        Weights of the analysed visits in what is compared.
    baseline : BaselineUse
        What is done with the first visit.
    df : MMRMDf
        Distribution of the test statistic.
    alpha, sides, ratio : float, int, float
        Type I error, sides of the test, treated per reference subject.

    Raises
    ------
    DesignError
        If an option is unknown, or numbers of visits do not agree.
    """

    covariances: tuple[VisitCovariance, VisitCovariance]
    retentions: tuple[tuple[float, ...], tuple[float, ...]]
    contrast: tuple[float, ...]
    baseline: BaselineUse = "none"
    df: MMRMDf = "satterthwaite"
    alpha: float = 0.05
    sides: int = 2
    ratio: float = 1.0

    def __post_init__(self) -> None:
        """Refuse what cannot be analysed so."""
        check_choice("baseline", self.baseline, get_args(BaselineUse))
        check_choice("df", self.df, get_args(MMRMDf))
        check_rates(self.alpha, sides=self.sides)
        check_real("ratio", self.ratio, low=0.0)
        if self.covariances[0].n_visits != self.covariances[1].n_visits:
            raise DesignError("`covariance` must have the same visits in both arms.")
        if self.n_visits < 1:
            raise DesignError(
                f"`baseline={self.baseline!r}` needs baseline and a later visit in `covariance`."
            )
        for retention in self.retentions:
            checked_retention(retention, self.n_visits)
        if len(self.contrast) != self.n_visits or not any(self.contrast):
            raise DesignError(
                f"`contrast` must have one weight for each of {self.n_visits} analysed visits, not "
                f"all of them zero, got {self.contrast!r}."
            )
        if self.df == "satterthwaite" and self.n_visits > _MOST_VISITS:
            raise DesignError(
                f"df='satterthwaite' is offered for up to {_MOST_VISITS} visits, got "
                f"{self.n_visits}. Use df='subjects'."
            )

    @property
    def n_visits(self) -> int:
        """Number of analysed visits."""
        return self.covariances[0].n_visits - (self.baseline != "none")

    def analysed(self, arm: int) -> np.ndarray:
        """Return the covariance of what is analysed in an arm, shape (n_visits, n_visits).

        Parameters
        ----------
        arm : {0, 1}
            Reference or treated.
        """
        V = self.covariances[arm].matrix()
        if self.baseline == "none":
            return V
        later, first = V[1:, 1:], V[1:, :1]
        if self.baseline == "change":
            return np.asarray(later - first - first.T + V[0, 0])
        return np.asarray(later - first @ first.T / V[0, 0])

    @cached_property
    def fit(self) -> ExpectedFit:
        """Expected information, of means per arm and visit."""
        m, shared = self.n_visits, self.covariances[0] == self.covariances[1]
        patterns = []
        for arm, retention in enumerate(self.retentions):
            V = self.analysed(arm)
            dV = unstructured_derivatives(m) if self.df == "satterthwaite" else np.zeros((0, m, m))
            if not shared:
                nothing = np.zeros_like(dV)
                dV = np.concatenate([dV, nothing] if arm == 0 else [nothing, dV])
            for last, share in enumerate(last_visit_shares(retention)):
                k = last + 1
                X = np.zeros((k, 2 * m))
                X[:, arm * m : arm * m + k] = np.eye(k)
                patterns.append(
                    Pattern(
                        arm=arm, share=float(share), X=X, V=V[:k, :k], derivatives=dV[:, :k, :k]
                    )
                )
        weights = np.asarray(self.contrast, dtype=float)
        return expect_fit(patterns, np.concatenate([-weights, weights]))

    def precision(self, n: Sizes) -> tuple[float, float]:
        """Return the variance of the estimated contrast and its degrees of freedom.

        Parameters
        ----------
        n : pair of float
            Subjects randomised to the reference and the treated arm.

        Returns
        -------
        tuple of float
            In squared units of the outcome; the degrees of freedom are at least 1, and infinite
            for a normal test.
        """
        variance, df = self.fit.variance(n), math.inf
        slopes = int(self.baseline == "covariate")
        seen = sum(self._seen_last(n))
        if self.df == "subjects":
            df = max(seen - 2 - slopes, 1.0)
        elif self.df == "satterthwaite":
            df = max(self.fit.df(n) - slopes, 1.0)
        if slopes:
            # Chance differences at baseline: E[(mean difference)^2 / sum of squares] of a normal
            # covariate is (1 / n_1 + 1 / n_2) / (n - 4), of the n subjects seen last, from whom
            # the slope at that visit is estimated.
            variance *= 1 + 1 / max(seen - 4, 1.0)
        return variance, df

    def _seen_last(self, n: Sizes) -> tuple[float, ...]:
        """Return the subjects of each arm who are seen at the last visit, on average."""
        return tuple(size * shares[-1] for size, shares in zip(n, self.retentions, strict=True))

    def is_estimable(self, n: Sizes) -> bool:
        """Return whether there are subjects enough to estimate the variances that the test uses.

        Parameters
        ----------
        n : pair of float
            Subjects randomised to the reference and the treated arm.

        Returns
        -------
        bool
            An unstructured covariance takes as many residual degrees of freedom at the last visit
            as it has visits, in all subjects or, where each arm has its own, in each arm.
        """
        if self.df == "normal":
            return True
        seen = self._seen_last(n)
        if self.df == "subjects":
            return sum(n) >= FEWEST
        if self.covariances[0] == self.covariances[1]:
            return sum(seen) - 2 - (self.baseline == "covariate") >= self.n_visits - 1e-9
        return min(seen) - 1 >= self.n_visits - 1e-9

    def check_estimable(self, n: Sizes) -> None:
        """Refuse arms that leave a variance unknown.

        Parameters
        ----------
        n : pair of float
            Subjects randomised to the reference and the treated arm.

        Raises
        ------
        DesignError
            If :meth:`is_estimable` says so.
        """
        if not self.is_estimable(n):
            raise DesignError(
                f"`n={n!r}` is too few to estimate a variance for each of {self.n_visits} visits "
                "and how they correlate. Randomise more, or take them as known with df='normal'."
            )

    def power_of(self) -> Callable[[Sizes, float], float]:
        """Return power by the subjects of both arms and the effect.

        Returns
        -------
        callable
            Of ``(n_reference, n_treated)`` and the effect. A one-sided test looks in the
            direction of the effect.
        """
        return power_by_precision(
            self.precision, is_estimable=self.is_estimable, alpha=self.alpha, sides=self.sides
        )

    def split(self, n_total: float) -> Sizes:
        """Return the subjects of both arms, without rounding.

        Parameters
        ----------
        n_total : float
            In both arms together.
        """
        return split_arms(n_total, self.ratio)

    def inflation(self, arm: int) -> float:
        """Return by what dropout multiplies the variance of an arm (the phi of Lu, Luo and Chen).

        Parameters
        ----------
        arm : {0, 1}
            Reference or treated.

        Returns
        -------
        float
            1 in complete data, and at most the inverse of the retention at the last visit.
        """
        m, weights = self.n_visits, np.asarray(self.contrast, dtype=float)
        own = slice(arm * m, arm * m + m)
        covariance = np.linalg.inv(self.fit.information[arm][own, own])
        return float((weights @ covariance @ weights) / (weights @ self.analysed(arm) @ weights))

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
        less = "three" if self.baseline == "covariate" else "two"
        test = level_words(self.alpha, self.sides, _DF_WORDS[self.df].format(less=less))
        return (
            f"{arms_words(self.ratio, arms)}, {self._contrast_words()} compared by a mixed model "
            f"for repeated measures of {_BASELINE_WORDS[self.baseline]} ({test}), "
            f"{self.n_visits} visits after randomisation analysed, {self._covariance_words(unit)}, "
            f"{self._retention_words()}."
        )

    def _contrast_words(self) -> str:
        """Say what is compared."""
        *others, last = self.contrast
        if last == 1 and not any(others):
            return "means at the last visit"
        return f"visits weighted {', '.join(f'{weight:g}' for weight in self.contrast)}"

    def _covariance_words(self, unit: str) -> str:
        """Say the covariance, and the standard deviation at the last visit."""
        reference, treated = (f"{math.sqrt(V.matrix()[-1, -1]):.4g}" for V in self.covariances)
        sd = f"{reference} {unit}".strip()
        if self.covariances[0] == self.covariances[1]:
            return f"covariance {self.covariances[0].label} with SD {sd} at the last visit"
        return (
            f"SD {sd} at the last visit in the reference and {treated} in the treated arm, each "
            "arm with its own covariance"
        )

    def _retention_words(self) -> str:
        """Say who is lost."""
        lost = [100 * (1 - retention[-1]) for retention in self.retentions]
        if max(lost) <= 0:
            return "nobody lost"
        shown = f"{lost[0]:.3g} %"
        if lost[0] != lost[1]:
            shown = f"{lost[0]:.3g} % of the reference and {lost[1]:.3g} % of the treated arm"
        return f"{shown} lost before the last visit, at random, their earlier visits analysed"


def unstructured_derivatives(m: int) -> np.ndarray:
    """Return the derivatives of a covariance of visits in its own elements.

    Parameters
    ----------
    m : int
        Number of visits.

    Returns
    -------
    ndarray, shape (m * (m + 1) / 2, m, m)
        In the order of the lower triangle, row by row.
    """
    pairs = [(i, j) for i in range(m) for j in range(i + 1)]
    found = np.zeros((len(pairs), m, m))
    for number, (i, j) in enumerate(pairs):
        found[number, i, j] = found[number, j, i] = 1.0
    return found
