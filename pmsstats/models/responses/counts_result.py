"""What a model of counts answers: rate ratios, dispersion, rates per group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pmsstats.models.responses.population_result import MeanResult
from pmsstats.results import format_number, to_plain

if TYPE_CHECKING:
    from pmsstats.models.responses.counts import CountsSpec

__all__ = ["CountsResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CountsResult(MeanResult):
    """A fitted negative binomial model.

    Parameters
    ----------
    spec : CountsSpec
        What was asked.
    fit_log : FitLog
        What the engine did; ``singular`` where there is no overdispersion.
    group : str
        Column that tells subjects apart.
    n_subjects : int
        Subjects analysed.
    n_obs : int
        Rows analysed.
    coefficients : pandas.DataFrame
        ``term estimate std_error statistic p_value conf_low conf_high rate_ratio rate_ratio_low
        rate_ratio_high``: log rates, and ratios of rates.
    inference : Inference
        Covariance of the coefficients.
    data : pandas.DataFrame
        The rows analysed.
    design : FixedDesign
        The columns of the model.
    measure : Measure, optional
        Label of the outcome.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out.
    empirical : {"CR0", "CR1"} or None
        Which standard errors these are.
    model_covariance : ndarray, shape (p, p)
        Inverse expected information.
    ratio : str
        ``"rate_ratio"``.
    notes : tuple of str
        What a reader should know.
    link : Link
        Log.
    dispersion : float
        ``alpha`` of the variance ``mu + alpha mu^2``; zero is Poisson.
    dispersion_interval : tuple of float
        Symmetric in ``log(alpha)``; missing at zero.
    n_events : int
        Sum of the counts.
    exposure_total : float
        Sum of the time observed.
    """

    spec: CountsSpec
    dispersion: float
    dispersion_interval: tuple[float, float]
    n_events: int
    exposure_total: float

    def headline(self) -> str:
        """Say the rate ratios, and on how many events of whom."""
        effects = self._effects_in_words()
        per = f" over {format_number(self.exposure_total, 4)} {self.spec.exposure}" if (
            self.spec.exposure
        ) else ""  # fmt: skip
        found = f"rate ratios: {effects}" if effects else "one common rate"
        return f"{self.label}, {self.n_events}{per} in {self._on_whom()}, {found}; {self._how()}."

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "counts_result/1",
            **self._fields(),
            "dispersion": to_plain(self.dispersion),
            "dispersion_interval": to_plain(self.dispersion_interval),
            "n_events": self.n_events,
            "exposure_total": to_plain(self.exposure_total),
        }
