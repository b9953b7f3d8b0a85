"""Which marker shows change best, as one table and one figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.imaging.responsiveness import ResponsivenessSpec

__all__ = ["ResponsivenessResult"]

_WORDS = {
    "srm": "standardised response mean",
    "effect_size": "effect size",
    "guyatt": "Guyatt's responsiveness",
    "standardised_difference": "standardised difference from the stable group",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ResponsivenessResult(Result):
    """Responsiveness of several measures in the same subjects.

    Parameters
    ----------
    spec : ResponsivenessSpec
        What was asked.
    rows : pandas.DataFrame
        One row per measure, best first: ``term n_subjects n_missing mean_change sd_change`` (of
        the subjects who are not stable, in the measure's own unit and sign); ``srm srm_low
        srm_high effect_size effect_size_low effect_size_high`` and, with a stable group, the same
        of ``guyatt`` and ``standardised_difference`` (positive in the wanted direction); the
        bootstrap standard error of the statistic that ranks; ``difference difference_low
        difference_high`` to the best; ``relative_efficiency p_best`` (see
        :func:`~pmsstats.imaging.responsiveness.compare_responsiveness`).
    difference_frame : pandas.DataFrame
        ``term estimate std_error conf_low conf_high`` of all pairs, better less worse.
    labels : mapping
        Of the measures.
    n_subjects : int
        Subjects analysed, stable ones included.
    n_failed : int
        Bootstrap replicates in which the statistic that ranks could not be computed for some
        measure.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows and subjects that were left out.
    """

    spec: ResponsivenessSpec
    rows: pd.DataFrame
    difference_frame: pd.DataFrame
    labels: Mapping[str, str]
    n_subjects: int
    n_failed: int = 0
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say which measure shows change best, by how much, and whether that is sure."""
        name, best = self.spec.rank_by, self.rows.iloc[0]
        origin = "synthetic " if self.origin == "synthetic" else ""
        value = format_interval(*(float(best[c]) for c in (name, f"{name}_low", f"{name}_high")))
        lead = (
            f"Of {len(self.rows)} measure{'s' if len(self.rows) > 1 else ''} in "
            f"{self.n_subjects} {origin}subjects, {self.labels[best['term']]} showed "
            f"{self.spec.direction} most clearly ({_WORDS[name]} {value})"
        )
        failed = f"; {self.n_failed} replicates could not be used" if self.n_failed else ""
        return f"{lead}{self._second()}{failed}."

    def _second(self) -> str:
        """Compare the best measure with the next one."""
        if len(self.rows) < 2 or not np.isfinite(self.difference_frame["estimate"].iloc[0]):
            return ""
        second = self.rows.iloc[1]
        row = self.difference_frame.iloc[0]
        gap = format_interval(*(float(row[c]) for c in ("estimate", "conf_low", "conf_high")))
        sure = "clearly ahead of" if row["conf_low"] > 0 else "not clearly ahead of"
        efficiency = float(second["relative_efficiency"])
        more = ""
        sizes = self.spec.rank_by in {"srm", "standardised_difference"}
        if sizes and row["conf_low"] > 0 and efficiency > 0:
            more = f", which would need {format_number(1 / efficiency, 2)} times as many patients"
        return f", {sure} {self.labels[second['term']]} (difference {gap}){more}"

    def table(self) -> pd.DataFrame:
        """Return one row per measure, best first."""
        return self.rows.copy()

    def differences(self) -> pd.DataFrame:
        """Return the differences between all pairs of measures: better less worse.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error conf_low conf_high``, paired bootstrap.
        """
        return self.difference_frame.copy()

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown: text, estimates with their intervals."""
        rows = self.rows
        shown = {
            "Measure": [self.labels[t] for t in rows["term"]],
            "n": rows["n_subjects"].astype(str).tolist(),
        }
        names = [n for n in _WORDS if n in rows]
        for name in [*names, "difference"]:
            heading = "Difference to best" if name == "difference" else _WORDS[name]
            shown[heading[:1].upper() + heading[1:]] = [
                format_interval(*values) if np.isfinite(values[1]) else "\u2013"
                for values in rows[[name, f"{name}_low", f"{name}_high"]].to_numpy(dtype=float)
            ]
        for name, heading in (("relative_efficiency", "Efficiency"), ("p_best", "Came first")):
            shown[heading] = [
                "\u2013" if np.isnan(v) else f"{100 * v:.0f} %" for v in rows[name].astype(float)
            ]
        return pd.DataFrame(shown)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the statistic that ranks, with its intervals, best measure on top."""
        name = self.spec.rank_by
        frame = pd.DataFrame(
            {
                "label": [self.labels[t] for t in self.rows["term"]],
                "estimate": self.rows[name],
                "conf_low": self.rows[f"{name}_low"],
                "conf_high": self.rows[f"{name}_high"],
                "n": [f"n = {n}" for n in self.rows["n_subjects"]],
            }
        )
        words = _WORDS[name]
        options = {
            "reference": 0.0,
            "x_label": f"{words[:1].upper()}{words[1:]} (above 0: {self.spec.direction})",
            "origin": self.origin,
            **kws,
        }
        return plot_forest(frame, ax=ax, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "responsiveness_result/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "measures": to_plain(self.rows),
            "differences": to_plain(self.difference_frame),
            "n_subjects": self.n_subjects,
            "n_failed": self.n_failed,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
