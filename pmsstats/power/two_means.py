"""The power function of two means: which variance, which test, which subjects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.arms import analysed_arms, split_arms
from pmsstats.power.clusters import ClusterDesign
from pmsstats.power.rejection import (
    ancova_rejection_probability,
    rejection_probability,
    welch_rejection_probability,
)
from pmsstats.power.solving import check_choice, check_dropout, check_rates, check_real
from pmsstats.power.wording import arms_words, dropout_words, level_words, sd_words

__all__ = ["ANALYSES", "METHODS", "TwoMeans", "analysed_sd"]

ANALYSES = ("change", "final", "ancova")
METHODS = ("t", "normal")
_FEWEST = 2.0  # subjects analysed per arm: a variance needs as many
_FEWEST_NORMAL = 0.01  # in both arms: with known variances any number will do
_ANALYSIS_WORDS = {
    "change": "the change",
    "final": "the final measurement",
    "ancova": "the final measurement adjusted for baseline",
}


def analysed_sd(
    sd: float | tuple[float, float] | None,
    sd_single: float | tuple[float, float] | None,
    correlation: float | None,
    analysis: str,
) -> tuple[float, float]:
    """Return the standard deviation of what is compared, per arm.

    Parameters
    ----------
    sd : float or pair of float, optional
        Of the change from baseline.
    sd_single : float or pair of float, optional
        Of a single measurement, the same at baseline and at the end.
    correlation : float, optional
        Between both, within an arm.
    analysis : {"change", "final", "ancova"}
        What is compared.

    Returns
    -------
    tuple of float
        Of the change; of the final measurement; or of its residual about the regression on
        baseline.

    Raises
    ------
    DesignError
        If not exactly one of both deviations is given, or the correlation is missing.

    Notes
    -----
    With SD ``s`` of one measurement and correlation ``rho``, the variances are
    ``2 (1 - rho) s^2``, ``s^2`` and ``(1 - rho^2) s^2`` [1]_.

    References
    ----------
    .. [1] Frison L, Pocock SJ. Stat Med 1992;11:1685-1704. doi:10.1002/sim.4780111304
    """
    check_choice("analysis", analysis, ANALYSES)
    if (sd is None) == (sd_single is None):
        raise DesignError(
            "Give either `sd` (of the change) or `sd_single` (of one measurement, with "
            f"`correlation`), got sd={sd!r} and sd_single={sd_single!r}."
        )
    name, given = ("sd", sd) if sd is not None else ("sd_single", sd_single)
    pair = _pair(name, given)
    if sd is not None and analysis == "change":
        return pair
    if sd is None and analysis == "final":
        return pair
    if correlation is None:
        raise DesignError(
            f"`analysis={analysis!r}` from `{name}` needs `correlation`, that of the measurements "
            "at baseline and at the end. Give it."
        )
    rho = check_real("correlation", correlation, low=-1.0, high=1.0)
    change = 2 * (1 - rho)
    factor = {"change": change, "final": 1.0, "ancova": 1 - rho**2}[analysis]
    factor /= change if sd is not None else 1.0
    return pair[0] * math.sqrt(factor), pair[1] * math.sqrt(factor)


def _pair(name: str, value: Any) -> tuple[float, float]:
    """Return one positive number per arm."""
    values = (value, value) if np.ndim(value) == 0 else tuple(value)
    if len(values) != 2:
        raise DesignError(
            f"`{name}` must be one number, or one per arm (reference first), got {value!r}."
        )
    return check_real(name, values[0], low=0.0), check_real(name, values[1], low=0.0)


@dataclass(frozen=True, kw_only=True)
class TwoMeans:
    """A comparison of two means, waiting for its subjects and its effect.

    Parameters
    ----------
    sd : pair of float
        Of what is compared, per arm, reference first.
    analysis : {"change", "final", "ancova"}
        What is compared.
    method : {"t", "normal"}
        Exact t-test, or normal approximation with known variances.
    alpha : float
        Type I error.
    sides : int
        1 or 2.
    ratio : float
        Treated per reference subject.
    dropout : pair of float
        Share per arm without a final measurement, not analysed.
    cluster : ClusterDesign, optional
        Sites.

    Raises
    ------
    DesignError
        If a value is out of range, or sites or an adjustment meet arms of unequal variance.
    """

    sd: tuple[float, float]
    analysis: str
    method: str
    alpha: float
    sides: int
    ratio: float
    dropout: tuple[float, float]
    cluster: ClusterDesign | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        check_choice("method", self.method, METHODS)
        check_rates(self.alpha, sides=self.sides)
        check_dropout(self.dropout)
        check_real("ratio", self.ratio, low=0.0)
        if self.cluster is not None and not isinstance(self.cluster, ClusterDesign):
            raise DesignError(f"`cluster` must be a ClusterDesign, got {self.cluster!r}.")
        if not self.equal_variances and (self.cluster is not None or self.analysis == "ancova"):
            what = "`cluster`" if self.cluster is not None else "`analysis='ancova'`"
            raise DesignError(
                f"{what} needs the same variance in both arms, got SDs {self.sd!r}. Give one "
                "number, the larger to be safe."
            )

    @property
    def equal_variances(self) -> bool:
        """Return whether both arms vary as much."""
        return self.sd[0] == self.sd[1]

    @property
    def name(self) -> str:
        """Return the name of the test."""
        if self.method == "normal":
            return "z-test"
        return "t-test" if self.equal_variances else "Welch t-test"

    def fewest(self) -> float:
        """Return the smallest number of subjects in both arms that can be analysed."""
        if self.method == "normal":
            return _FEWEST_NORMAL
        shares = (1 / (1 + self.ratio), self.ratio / (1 + self.ratio))
        least = max(_FEWEST / k for k in analysed_arms(shares, self.dropout))
        if self.cluster is None and self.analysis != "ancova":
            return least
        return max(least, self._fewest_by_df())

    def _fewest_by_df(self) -> float:
        """Return the subjects in both arms that leave one degree of freedom."""

        def df(n: float) -> float:
            return self.df(split_arms(n, self.ratio))

        per_subject = df(1.0) - df(0.0)  # it is linear in the subjects
        if per_subject <= 0:
            raise DesignError(
                f"`cluster={self.cluster!r}` leaves no degrees of freedom, however many sites "
                "there are. Give larger sites."
            )
        return (1 - df(0.0)) / per_subject

    def df(self, arms: tuple[float, float]) -> float:
        """Return the residual degrees of freedom of the test with one variance.

        Parameters
        ----------
        arms : pair of float
            Subjects randomised, reference first.
        """
        kept = sum(analysed_arms(arms, self.dropout))
        covariates = 1 if self.analysis == "ancova" else 0
        if self.cluster is None:
            return kept - 2 - covariates
        retained = kept / sum(arms) if kept else 1.0
        return self.cluster.degrees_of_freedom(sum(arms), retained=retained) - covariates

    def std_error(self, arms: tuple[float, float]) -> float:
        """Return that of the difference, were the mean baselines of both arms the same.

        Parameters
        ----------
        arms : pair of float
            Subjects randomised, reference first.
        """
        first, second = analysed_arms(arms, self.dropout)
        variance = self.sd[0] ** 2 / first + self.sd[1] ** 2 / second
        if self.cluster is not None:
            retained = (first + second) / sum(arms)
            variance *= self.cluster.variance_factor(ratio=second / first, retained=retained)
        return math.sqrt(variance)

    def power(self, arms: tuple[float, float], effect: float) -> float:
        """Return the power, on the side of the effect if the test has one side.

        Parameters
        ----------
        arms : pair of float
            Subjects randomised, reference first.
        effect : float
            Treated minus reference.
        """
        kept, size = analysed_arms(arms, self.dropout), abs(effect)
        options: dict[str, Any] = {"alpha": self.alpha, "sides": self.sides}
        if self.method == "normal":
            return float(rejection_probability(size / self.std_error(arms), **options))
        if min(kept) < _FEWEST - 1e-9:
            return 0.0
        if not self.equal_variances:
            return welch_rejection_probability(size, sd=self.sd, arms=kept, **options)
        df = self.df(arms)
        if df < 1 - 1e-9:
            return 0.0
        shift = size / self.std_error(arms)
        if self.analysis == "ancova":
            return ancova_rejection_probability(shift, df=df, **options)
        return float(rejection_probability(shift, df=df, **options))

    def words(self, unit: str, arms: tuple[float, float]) -> str:
        """Return the assumptions, as one sentence.

        Parameters
        ----------
        unit : str
            Of the standard deviations.
        arms : pair of float
            Subjects randomised, reference first.

        Returns
        -------
        str
            The sentence.
        """
        what = f"{self.name} of {_ANALYSIS_WORDS[self.analysis]}"
        residual = "residual " if self.analysis == "ancova" else ""
        parts = [
            arms_words(self.ratio, arms),
            level_words(self.alpha, self.sides, what),
            residual + sd_words(self.sd, unit),
            dropout_words(self.dropout),
        ]
        if self.analysis == "ancova":
            parts.append("chance differences at baseline averaged over")
        if self.cluster is not None:
            parts.append(self.cluster.words())
        return ", ".join(parts) + "."
