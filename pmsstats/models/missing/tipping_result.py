"""What a search for tipping points answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.models.missing.result import describe_spec, headline_of_row
from pmsstats.plots.tipping import plot_tipping
from pmsstats.results import Exclusion, FitLog, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.missing.spec import MissingSpec
    from pmsstats.provenance import Origin

__all__ = ["TippingPointResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TippingPointResult(Result):
    """How the comparison of arms depends on shifts of imputed values.

    Parameters
    ----------
    spec : MissingSpec
        What was asked.
    fit_log : FitLog
        How the imputation model was fitted.
    frame : pandas.DataFrame
        One row per pair of shifts: ``delta delta_reference term estimate std_error [df statistic]
        p_value conf_low conf_high [fraction_missing mcse] significant``.
    tips : tuple of float
        Shifts of `arm` at which the p value crosses ``1 - conf_level``, nearest to zero first;
        the reference arm is not shifted. Empty where it crosses nowhere.
    searched : tuple of float
        Between which shifts.
    unshifted : mapping
        The row without shifts.
    arm, reference, visit : str
        What was compared where.
    n_subjects : int
        Subjects analysed.
    n_shifted : tuple of int
        Subjects whose values were shifted, in `arm` and in the reference arm.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Who and what was left out.
    """

    spec: MissingSpec
    fit_log: FitLog
    frame: pd.DataFrame
    tips: tuple[float, ...]
    searched: tuple[float, float]
    unshifted: Mapping[str, Any]
    arm: str
    reference: str
    visit: str
    n_subjects: int
    n_shifted: tuple[int, int]
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say what changes the conclusion."""
        row = pd.Series({**self.unshifted, "visit": self.visit})
        start = headline_of_row(row, self.spec.outcome, self.spec.conf_level)
        return f"{start} in {self.n_subjects} subjects; {self._tip_words()}."

    def _tip_words(self) -> str:
        """Say by how much imputed values must be shifted."""
        alpha = 1 - self.spec.conf_level
        was = float(self.unshifted["p_value"]) < alpha
        whom = f"imputed values of {self.n_shifted[0]} subjects in arm {self.arm}"
        if not self.tips:
            low, high = (format_number(value) for value in self.searched)
            kept = "significance is kept" if was else "significance is not reached"
            return f"{kept} whatever shift from {low} to {high} is added to {whom}"
        verb = "lost" if was else "reached"
        shown = " or ".join(f"{value:+.4g}" for value in self.tips)
        return f"significance is {verb} once {shown} is added to {whom}"

    def table(self) -> pd.DataFrame:
        """Return one row per pair of shifts, in full precision."""
        return self.frame.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the estimate against the shift, or significance over both shifts."""
        return plot_tipping(
            self.frame,
            tips=self.tips,
            x_label=f"Shift of imputed {self.spec.outcome} in arm {self.arm}",
            y_label=f"Shift of imputed {self.spec.outcome} in arm {self.reference}",
            estimate_label=f"Difference in {self.spec.outcome}, {self.arm} - {self.reference}",
            origin=self.origin,
            ax=ax,
            **kws,
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "tipping_point_result/1",
            "headline": self.headline(),
            "spec": describe_spec(self.spec),
            "grid": to_plain(self.frame),
            "tips": list(self.tips),
            "searched": list(self.searched),
            "unshifted": to_plain(self.unshifted),
            "arm": self.arm,
            "reference": self.reference,
            "visit": self.visit,
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_shifted": list(self.n_shifted),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
