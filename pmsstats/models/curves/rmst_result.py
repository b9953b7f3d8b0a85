"""What restricted mean survival times answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.results import Exclusion, Result, format_interval, format_p_value, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.curves.kaplan_meier import KMResult
    from pmsstats.models.curves.rmst import RMSTSpec
    from pmsstats.provenance import Origin

__all__ = ["RMSTResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class RMSTResult(Result):
    """Restricted mean survival times by group.

    Parameters
    ----------
    spec : RMSTSpec
        The request.
    horizon : float
        Time up to which survival was averaged, in the unit of the data.
    means : pandas.DataFrame
        ``group n_subjects n_events mean variance``.
    contrasts : pandas.DataFrame
        What :meth:`table` returns.
    curves : KMResult
        The curves under which the areas were taken.
    n_subjects, n_events : int
        In all groups.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: RMSTSpec
    horizon: float
    means: pd.DataFrame
    contrasts: pd.DataFrame
    curves: KMResult
    n_subjects: int
    n_events: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the mean time without event by group, in years, and the difference.

        Returns
        -------
        str
            One sentence; the numbers of :meth:`table` stay in the unit of the data.
        """
        shown = self.contrasts.assign(
            **{
                column: self.contrasts[column] / self._units_per_year()
                for column in ("estimate", "conf_low", "conf_high")
            }
        )
        means = shown[shown["quantity"] == "mean"]
        parts = [_with_interval(row) for row in means.to_dict("records")]
        differences = [
            f"difference {_with_interval(row)}, p = {format_p_value(row['p_value'])}"
            for row in shown[shown["quantity"] == "difference"].to_dict("records")
        ]
        found = "; ".join([", ".join(parts), *differences]).replace("= <", "< ")
        return (
            f"Mean time without the event within {self.horizon / self._units_per_year():.3g} years "
            f"({self.n_events} events in {self.n_subjects} subjects), in years: {found}."
        )

    def table(self) -> pd.DataFrame:
        """Return means, differences and ratios.

        Returns
        -------
        pandas.DataFrame
            ``quantity term estimate std_error statistic p_value conf_low conf_high``; quantities
            are ``"mean"`` and ``"difference"`` in the unit of the data, ``"ratio"`` of means and
            ``"ratio_lost"`` of the times lost before the horizon. Tests and intervals of ratios
            are made on the log scale, their standard error is that of the ratio itself.
        """
        return self.contrasts.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the curves, with a line at the horizon.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_survival`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes; the line has gid ``"horizon"``.
        """
        from pmsstats.plots.theme import MUTED

        ax = self.curves.plot(ax=ax, **kws)
        horizon = self.horizon / self._units_per_year()
        ax.axvline(horizon, color=MUTED, linewidth=1, linestyle="dotted", gid="horizon")
        ax.set_xlim(0, max(ax.get_xlim()[1], horizon))
        return ax

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields; curves by their medians.
        """
        return {
            "schema": "rmst_result/1",
            "spec": to_plain(self.spec),
            "horizon": self.horizon,
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "means": to_plain(self.means),
            "contrasts": to_plain(self.contrasts),
            "medians": to_plain(self.curves.table()),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def _units_per_year(self) -> float:
        """Return how many units of the data make a year."""
        return DAYS_PER_YEAR if self.spec.duration_unit == "day" else 1.0


def _with_interval(row: dict[str, Any]) -> str:
    """Format one row of the table."""
    return f"{row['term']} {format_interval(row['estimate'], row['conf_low'], row['conf_high'])}"
