"""Slopes of a harmonised measure with the uncertainty of the harmonisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pmsstats.imaging.yearly_slope_weights import slope_unit
from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.imaging.harmonisation_result import HarmonisationResult
    from pmsstats.imaging.harmonisation_spec import HarmonisationSpec

__all__ = ["HarmonisedSlopes"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class HarmonisedSlopes(Result):
    """Slopes of a harmonised measure, with the uncertainty of the harmonisation.

    Parameters
    ----------
    spec : HarmonisationSpec
        The request.
    feature : str
        Whose slopes they are.
    slopes : pandas.DataFrame
        ``quantity term estimate std_error conf_low conf_high std_error_known std_error_naive
        inflation ratio_to_naive``, per year: bootstrap standard error and percentile interval with
        harmonisation repeated in every replicate; the same with harmonised values taken as known;
        the standard error of the mixed model; and the first over the second and third.
    replicates : pandas.DataFrame
        One row per replicate that succeeded, one column per term.
    failures : mapping of str to int
        Replicates that failed, by reason.
    n_replicates : int
        Replicates asked for.
    strata : pandas.DataFrame
        ``stratum n_subjects``: within what subjects were drawn.
    harmonisation : HarmonisationResult
        Of the data as they are.
    n_subjects : int
        Subjects with a scan of the feature.
    n_obs : int
        Their scans.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    """

    spec: HarmonisationSpec
    feature: str
    slopes: pd.DataFrame
    replicates: pd.DataFrame
    failures: Mapping[str, int]
    n_replicates: int
    strata: pd.DataFrame
    harmonisation: HarmonisationResult
    n_subjects: int
    n_obs: int
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def n_failed(self) -> int:
        """Return how many replicates failed."""
        return sum(self.failures.values())

    def headline(self) -> str:
        """Say what the slope is, and by how much harmonisation widens its interval."""
        row = self.slopes.iloc[-1]
        interval = format_interval(row["estimate"], row["conf_low"], row["conf_high"])
        origin = "synthetic " if self.origin == "synthetic" else ""
        return (
            f"Slope of harmonised {self.feature} per {slope_unit(self.spec.time)} ({row['term']}): "
            f"{interval} in {self.n_subjects} {origin}subjects; with the harmonisation repeated in "
            f"each of {len(self.replicates)} bootstrap replicates ({self.n_failed} failed) its "
            f"standard error is {format_number(row['ratio_to_naive'], 3)} times that of a mixed "
            "model that takes the harmonised values as known."
        )

    def table(self) -> pd.DataFrame:
        """Return one row per group's slope and per difference of slopes."""
        return self.slopes.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the slopes with their percentile intervals."""
        rows = self.slopes.rename(columns={"term": "label"})
        options = {"x_label": f"Slope of {self.feature} per {slope_unit(self.spec.time)}",
                   "reference": 0.0}  # fmt: skip
        shown = rows[["label", "estimate", "conf_low", "conf_high"]]
        return plot_forest(shown, ax=ax, **{"origin": self.origin, **options, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "harmonised_slopes/1",
            "spec": to_plain(self.spec),
            "feature": self.feature,
            "headline": self.headline(),
            "slopes": to_plain(self.slopes),
            "failures": to_plain(dict(self.failures)),
            "n_replicates": self.n_replicates,
            "strata": to_plain(self.strata),
            "harmonisation": self.harmonisation.to_dict(),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
