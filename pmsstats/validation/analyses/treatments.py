"""Effect of a treatment on a measure: active minus reference arm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from pmsstats.validation.analyses.arrays import linear_fit, mean_and_variance
from pmsstats.validation.analyses.base import (
    Estimates,
    FloatArray,
    FollowUp,
    check_choice,
    group_text,
    label_of,
    unit_of,
)
from pmsstats.validation.analyses.rates import annual_change, annual_unit, two_rates

if TYPE_CHECKING:
    from pmsstats.validation.studies import Studies

__all__ = ["TreatmentEffect"]

EffectKind = Literal["rate", "change", "count"]


@dataclass(frozen=True, kw_only=True)
class TreatmentEffect(FollowUp):
    """Difference between arms: active minus reference.

    Parameters
    ----------
    measure : str
        What is compared.
    groups : tuple of str
        Phenotypes, taken together.
    kind : {"rate", "change", "count"}, default "rate"
        Annual change; change from baseline adjusted for baseline; or logarithm of the ratio of
        mean counts after baseline.
    percent : bool, default True
        Rate and change in percent of the mean at baseline; else in the measure's unit.
    at : float, optional, years
        Visit of the change; the last by default.

    Raises
    ------
    DesignError
        If the kind is unknown.
    """

    measure: str
    groups: tuple[str, ...]
    kind: EffectKind = "rate"
    percent: bool = True
    at: float | None = None

    needs_arms = 2

    def __post_init__(self) -> None:
        """Refuse an unknown kind."""
        check_choice("kind", self.kind, get_args(EffectKind))

    @property
    def units(self) -> str:
        """Unit of the estimate."""
        if self.kind == "count":
            return "log ratio"
        if self.kind == "rate":
            return annual_unit(self.measure, self.percent)
        return "% of baseline" if self.percent else unit_of(self.measure)

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        what = {"rate": "annual change of ", "change": "change of ", "count": ""}[self.kind]
        return f"{what}{label_of(self.measure)}: active minus reference, {group_text(self.groups)}"

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the effect in each study."""
        active = np.broadcast_to((chosen.arm > 0).astype(float), chosen.shape)
        if self.kind == "count":
            return self._counts(chosen, active)
        if self.kind == "change":
            return self._change(chosen, active)
        rates = [
            annual_change(chosen, self.measure, percent=self.percent, weight=active == code)
            for code in (1.0, 0.0)
        ]
        return two_rates(rates[0], rates[1])

    def _change(self, chosen: Studies, active: FloatArray) -> Estimates:
        """Fit the analysis of covariance of change."""
        later = chosen.years[-1] if self.at is None else self.at
        value, terms, factor = chosen.at(self.measure, later), [active], np.ones(len(active))
        if not chosen.is_change(self.measure):
            baseline = chosen.at(self.measure, 0.0)
            value, terms = value - baseline, [active, baseline]
            if self.percent:
                factor = 100 / mean_and_variance(baseline).mean
        fit = linear_fit(value, [*terms, *chosen.group_terms()])
        return Estimates(
            estimate=fit.beta[:, 1] * factor,
            std_error=fit.std_error[:, 1] * np.abs(factor),
            df=fit.df,
            n=chosen.n,
        )

    def _counts(self, chosen: Studies, active: FloatArray) -> Estimates:
        """Compare mean counts after baseline, with their own variances."""
        total = chosen.total(self.measure)
        moments = [mean_and_variance(np.where(active == code, total, np.nan)) for code in (1, 0)]
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = sum(m.variance / m.n / m.mean**2 for m in moments)
            estimate = np.log(moments[0].mean / moments[1].mean)
        keep = np.isfinite(estimate)
        return Estimates(
            estimate=np.where(keep, estimate, np.nan),
            std_error=np.where(keep, np.sqrt(variance), np.nan),
            df=np.full(len(estimate), np.inf),
            n=chosen.n,
        )
