"""What a calibration answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.results import Exclusion, Result, to_plain
from pmsstats.validation.calibration.published import GENERATOR_SPREAD

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["COLUMNS", "CalibrationResult"]

COLUMNS = (
    "record", "moment", "population", "source", "verified", "units", "n_persons", "published",
    "published_low", "published_high", "basis", "value", "std_error", "inside", "reason",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CalibrationResult(Result):
    """A generator's moments beside the published ones.

    Parameters
    ----------
    moments : pandas.DataFrame
        One row per published moment: ``record moment population source verified units n_persons
        published published_low published_high basis value std_error inside reason``. `value` is
        that of a very large cohort like the study's, with its Monte Carlo error; `basis` says what
        the published interval rests on; `reason` why the value is outside, or could not be had.
    left_out : pandas.DataFrame
        ``record reason``: published rates that no measure or scenario here corresponds to.
    n : int
        Subjects in each large cohort.
    exclusions : tuple of Exclusion
        Moments that the generator cannot have, by reason.
    """

    moments: pd.DataFrame
    left_out: pd.DataFrame
    n: int
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how many published moments the generator has.

        Returns
        -------
        str
            One sentence.
        """
        inside, total = int(self.moments["inside"].sum()), len(self.moments)
        anchors = self.moments["verified"].isin(["fulltext", "abstract"])
        return (
            f"{inside} of {total} published moments hold the generator's value in their 95 % "
            f"interval ({int(self.moments.loc[anchors, 'inside'].sum())} of {int(anchors.sum())} "
            f"of those read at their source), one set of parameters for all, {self.n:,} subjects "
            f"each; {int(self.moments['basis'].eq(GENERATOR_SPREAD).sum())} intervals rest on the "
            "generator's own spread for want of a printed one. "
            f"{len(self.left_out)} published rates correspond to nothing that is generated."
        )

    def table(self) -> pd.DataFrame:
        """Return the moments (a copy).

        Returns
        -------
        pandas.DataFrame
            Columns as in `moments`.
        """
        return self.moments.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw each value where it lies in its published interval.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws : Any
            Handed to :func:`pmsstats.plots.plot_calibration`.

        Returns
        -------
        matplotlib.axes.Axes
            One row per moment; the interval is scaled to run from -1 to 1.
        """
        from pmsstats.plots import plot_calibration

        frame = self.moments.dropna(subset=["value"]).copy()
        middle = (frame["published_low"] + frame["published_high"]) / 2
        half = (frame["published_high"] - frame["published_low"]) / 2
        frame["position"] = (frame["value"] - middle) / half.where(half > 0, np.nan)
        frame["position_error"] = frame["std_error"] / half.where(half > 0, np.nan)
        return plot_calibration(frame, ax=ax, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return everything as plain JSON types.

        Returns
        -------
        dict
            With ``schema``.
        """
        return to_plain(
            {
                "schema": "calibration_result/1",
                "headline": self.headline(),
                "n": self.n,
                "moments": self.moments,
                "left_out": self.left_out,
                "exclusions": self.exclusions,
            }
        )
