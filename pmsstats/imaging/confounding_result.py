"""What the check of scanner confounding answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.plots.scanners import plot_scanner_calendar
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.imaging.harmonisation_spec import HarmonisationSpec
    from pmsstats.models.mixed.lmm import LMMResult

__all__ = ["ScannerConfounding"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ScannerConfounding(Result):
    """How far scanner effects are tied up with time and groups.

    Parameters
    ----------
    spec : HarmonisationSpec
        The request.
    scanners : pandas.DataFrame
        One row per scanner: ``scanner n_scans n_subjects n_subjects_shared first last
        explained_by_time explained_by_group explained_by_both``: subjects who were also scanned on
        another one; first and last time; share of its use that follows from time, group, or both.
    inflation : pandas.DataFrame
        One row per feature and term of the mean that holds time or `by`, and for the average slope
        (over groups, from first to last time): ``feature term std_error_without std_error
        inflation``, in units of the feature. Empty where the design was refused before any
        model.
    problems : tuple of str
        Reasons to refuse, one clause each; empty where harmonisation may go ahead.
    notes : tuple of str
        What a reader should know all the same.
    fits : mapping of str to LMMResult
        The mixed model of each feature with the scanner as a fixed effect.
    scans : pandas.DataFrame
        ``scanner time group`` of every scan, for the figure.
    n_subjects : int
        Subjects with a scan.
    n_obs : int
        Scans.
    exclusions : tuple of Exclusion
        Rows that were left out.
    """

    spec: HarmonisationSpec
    scanners: pd.DataFrame
    inflation: pd.DataFrame
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    fits: Mapping[str, LMMResult]
    scans: pd.DataFrame
    n_subjects: int
    n_obs: int
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def is_confounded(self) -> bool:
        """Say whether harmonisation is refused."""
        return bool(self.problems)

    @property
    def worst(self) -> float:
        """Return the largest inflation of a standard error; 1 where none was computed."""
        return float(self.inflation["inflation"].max()) if len(self.inflation) else 1.0

    def headline(self) -> str:
        """Say whether scanner effects can be told from time and groups."""
        on = f"{len(self.scanners)} scanners, {self.n_subjects} subjects, {self.n_obs} scans"
        if self.problems:
            return f"Harmonisation is refused ({on}): {'; '.join(self.problems)}."
        told = (
            f"Scanner effects can be told from time ({on}): estimating them widens the standard "
            f"errors of slopes and group differences by a factor of at most "
            f"{format_number(self.worst, 3)}"
        )
        return "; ".join([told, *self.notes]) + "."

    def table(self) -> pd.DataFrame:
        """Return one row per scanner."""
        return self.scanners.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw when each scanner was in use, by group."""
        label = "Years" if self.spec.time == "year" else self.spec.time
        rounded = self.scans.assign(time=self.scans["time"].astype(float).round(1))
        counts = rounded.groupby(["scanner", "time", "group"], observed=True).size()
        return plot_scanner_calendar(
            counts.reset_index(name="n"), ax=ax, **{"x_label": label, **kws}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "scanner_confounding/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "scanners": to_plain(self.scanners),
            "inflation": to_plain(self.inflation),
            "problems": list(self.problems),
            "notes": list(self.notes),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "exclusions": to_plain(self.exclusions),
        }
