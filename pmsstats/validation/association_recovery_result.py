"""What a check of the association methods found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.association.spec import METHODS, AssociationSpec
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.cohort.schema import Measure
    from pmsstats.provenance import Origin

__all__ = ["RECOVERY_COLUMNS", "AssociationRecoveryResult"]

RECOVERY_COLUMNS = (
    "method", "quantity", "n_replicates", "n_failed", "truth", "truth_mcse", "mean_estimate",
    "bias", "bias_mcse", "empirical_se", "model_se", "coverage", "coverage_mcse",
)  # fmt: skip
"""Columns of :meth:`AssociationRecoveryResult.table`."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AssociationRecoveryResult(Result):
    """Bias and coverage of association methods on cohorts whose truth is known.

    Parameters
    ----------
    spec : AssociationSpec
        The request that every replicate was analysed with.
    recovery : pandas.DataFrame
        One row per method, columns :data:`RECOVERY_COLUMNS`: on the scale of the estimate (log
        hazard ratio per SD towards worse, or correlation). Bias is the mean estimate less the
        truth; `empirical_se` the SD of the estimates, `model_se` the root mean square of their
        standard errors; `coverage` the share of intervals that hold the truth. A name with `_mcse`
        is the Monte Carlo error.
    estimates : pandas.DataFrame
        ``method estimate std_error conf_low conf_high note replicate``.
    outcome : str
        The event in clinical words.
    measure : Measure
        Whose trajectory it is.
    n_subjects : int
        Of each replicate.
    n_replicates : int
        Cohorts analysed.
    n_truth : int
        Subjects behind the truth.
    entropy : str
        Of the root seed.
    origin : {"synthetic"}
        Always.
    exclusions : tuple of Exclusion
        Empty: failed replicates are counted in the table.
    """

    spec: AssociationSpec
    recovery: pd.DataFrame
    estimates: pd.DataFrame
    outcome: str
    measure: Measure
    n_subjects: int
    n_replicates: int
    n_truth: int
    entropy: str
    origin: Origin = "synthetic"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say which method comes nearest to the truth, and which is furthest off.

        Returns
        -------
        str
            One sentence.
        """
        ratios = self.recovery[self.recovery["quantity"] == "log hazard ratio"]
        known = ratios[np.isfinite(ratios["bias"])]
        start = (
            f"{self.n_replicates} synthetic cohorts of {self.n_subjects} subjects, "
            f"{self.measure.label} and {self.outcome}"
        )
        if known.empty:
            return f"{start}: no method gave a hazard ratio."
        order = known.iloc[np.argsort(known["bias"].abs().to_numpy())]
        parts = [self._clause(row) for row in order.iloc[[0, -1]].to_dict("records")]
        return f"{start}: nearest to the truth, {parts[0]}; furthest, {parts[1]}."

    def _clause(self, row: dict[str, Any]) -> str:
        """Write what one method gave."""
        mean, truth = (format_number(float(np.exp(row[c])), 3) for c in ("mean_estimate", "truth"))
        return (
            f"{METHODS[row['method']].words} (hazard ratio {mean} on average where {truth} is "
            f"true; {100 * self.spec.conf_level:g} % intervals held it in "
            f"{100 * row['coverage']:.0f} %)"
        )

    def table(self) -> pd.DataFrame:
        """Return bias and coverage by method (a copy).

        Returns
        -------
        pandas.DataFrame
            Columns :data:`RECOVERY_COLUMNS`.
        """
        return self.recovery.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the estimates of every method beside its truth.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_recovery`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes; correlations, which have another scale, are not drawn.
        """
        from pmsstats.plots import plot_recovery

        rows = self.recovery[self.recovery["quantity"] == "log hazard ratio"]
        estimates = self.estimates.groupby("method")["estimate"]
        low, high = estimates.quantile(0.025), estimates.quantile(0.975)
        frame = pd.DataFrame(
            {
                "label": [METHODS[method].label for method in rows["method"]],
                "truth": np.exp(rows["truth"]),
                "estimate": np.exp(rows["mean_estimate"]),
                "low": np.exp(low.loc[rows["method"]].to_numpy(dtype=float)),
                "high": np.exp(high.loc[rows["method"]].to_numpy(dtype=float)),
                "coverage": rows["coverage"],
            }
        )
        options = {
            "x_label": f"Hazard ratio per SD: mean and middle 95 % of {self.n_replicates} cohorts "
            f"of {self.n_subjects}",
            "conf_level": self.spec.conf_level,
            "origin": self.origin,
        }
        return plot_recovery(frame, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields, without the single estimates.
        """
        return {
            "schema": "association_recovery_result/1",
            "spec": to_plain(self.spec),
            "measure": self.measure.name,
            "outcome": self.outcome,
            "n_subjects": self.n_subjects,
            "n_replicates": self.n_replicates,
            "n_truth": self.n_truth,
            "entropy": self.entropy,
            "recovery": to_plain(self.recovery),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
