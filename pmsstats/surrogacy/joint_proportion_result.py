"""The share of a treatment effect that a trajectory explains, over time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["JointSurrogacyResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class JointSurrogacyResult(Result):
    """A treatment effect on an event, direct and through a trajectory.

    Parameters
    ----------
    rows : pandas.DataFrame
        One row per time: ``time total total_error direct direct_error indirect indirect_error``
        (log hazard ratios) ``estimate conf_low conf_high stable`` (the share explained; no
        interval where the total may be zero).
    arms : tuple of two str
        Reference and treated.
    markers : tuple of str
        Of the joint model.
    n_subjects, n_events : int
        Subjects and events.
    conf_level : float
        Of the intervals.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows and subjects left out of the joint model.
    """

    rows: pd.DataFrame
    arms: tuple[str, str]
    markers: tuple[str, ...]
    n_subjects: int
    n_events: int
    conf_level: float
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say which share of the effect the trajectory explains at the last time.

        Returns
        -------
        str
            One sentence.
        """
        last = self.rows.iloc[-1]
        lead = (
            f"In {self.n_subjects} subjects with {self.n_events} events ({self.arms[1]} against "
            f"{self.arms[0]}), the trajectory of {' and '.join(self.markers)} "
        )
        when = f"at time {format_number(float(last['time']), 3)}"
        if not last["stable"]:
            return (
                f"{lead}explains no definite share of the treatment effect {when}, which cannot be "
                "told from zero."
            )
        ends = (100 * float(last[c]) for c in ("estimate", "conf_low", "conf_high"))
        return f"{lead}explains {format_interval(*ends, decimals=0)} % of the effect {when}."

    def table(self) -> pd.DataFrame:
        """Return the effects over time (a copy).

        Returns
        -------
        pandas.DataFrame
            Columns as in `rows`.
        """
        return self.rows.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the share explained at each time.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_forest`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        rows = self.rows
        stable = rows["stable"].to_numpy(bool)
        frame = pd.DataFrame(
            {
                "label": [f"Time {format_number(float(t), 3)}" for t in rows["time"]],
                "estimate": rows["estimate"],
                "conf_low": np.where(stable, rows["conf_low"], -np.inf),
                "conf_high": np.where(stable, rows["conf_high"], np.inf),
            }
        )
        options = {
            "reference": 0.0,
            "percent": True,
            "x_label": "Share of the treatment effect through the trajectory",
            "origin": self.origin,
        }
        return plot_forest(frame, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields.
        """
        return {
            "schema": "joint_surrogacy_result/1",
            "headline": self.headline(),
            "effects": to_plain(self.rows),
            "arms": to_plain(self.arms),
            "markers": to_plain(self.markers),
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "conf_level": self.conf_level,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
