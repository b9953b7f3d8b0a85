"""What cumulative incidence of competing causes answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.results import Exclusion, Result, format_p_value, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.curves.cumulative_incidence import CumulativeIncidenceSpec
    from pmsstats.provenance import Origin

__all__ = ["CumulativeIncidenceResult"]

_ESTIMATES = ["incidence", "std_error", "conf_low", "conf_high", "one_minus_km"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CumulativeIncidenceResult(Result):
    """Cumulative incidence of competing causes by group.

    Parameters
    ----------
    spec : CumulativeIncidenceSpec
        The request.
    causes : tuple of str
        Labels of the causes, in their order.
    curve_frame : pandas.DataFrame
        ``group cause duration incidence std_error conf_low conf_high one_minus_km event_free
        n_at_risk n_events``: for each group and cause a row at 0 and one at each distinct duration.
    tests : pandas.DataFrame
        ``cause statistic df p_value`` of Gray's tests; empty with one group or delayed entry.
    groups : pandas.DataFrame
        ``group n_subjects last``; last is the end of follow-up.
    n_subjects, n_events : int
        In all groups; events of any cause.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: CumulativeIncidenceSpec
    causes: tuple[str, ...]
    curve_frame: pd.DataFrame
    tests: pd.DataFrame
    groups: pd.DataFrame
    n_subjects: int
    n_events: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the incidence of each cause by group, at the time of the table.

        Returns
        -------
        str
            One sentence.
        """
        table = self.table()
        parts = []
        for cause in self.causes:
            rows = table[table["cause"] == cause]
            shown = [
                f"{row['group']} {100 * row['estimate']:.1f} %" if len(rows) > 1
                else f"{100 * row['estimate']:.1f} %"
                for row in rows.to_dict("records")
            ]  # fmt: skip
            test = self.tests.loc[self.tests["cause"] == cause, "p_value"]
            gray = f" (Gray p = {format_p_value(test.item())})" if len(test) else ""
            parts.append(f"{cause} {', '.join(shown)}{gray.replace('= <', '< ')}")
        years = float(table["duration"].iloc[0]) / self._units_per_year()
        return (
            f"Cumulative incidence within {years:.3g} years among {self.n_subjects} subjects with "
            f"{self.n_events} events: {'; '.join(parts)}."
        )

    def table(self) -> pd.DataFrame:
        """Return the incidence at the last time to which all groups were followed.

        Returns
        -------
        pandas.DataFrame
            ``group cause duration n_subjects n_events estimate std_error conf_low conf_high
            one_minus_km``; events are those of all follow-up, `one_minus_km` is what Kaplan-Meier
            would give with the other causes taken for censoring.
        """
        at = self.at([float(self.groups["last"].min())])
        n_subjects = self.groups.set_index("group")["n_subjects"]
        n_events = self.curve_frame.groupby(["group", "cause"], observed=True)["n_events"].sum()
        at.insert(3, "n_subjects", [int(n_subjects[group]) for group in at["group"]])
        keys = zip(at["group"], at["cause"], strict=True)
        at.insert(4, "n_events", [int(n_events[key]) for key in keys])
        return at

    def at(self, times: float | Sequence[float]) -> pd.DataFrame:
        """Return the incidence at given times.

        Parameters
        ----------
        times : float or sequence of float
            In the unit of the data.

        Returns
        -------
        pandas.DataFrame
            ``group cause duration estimate std_error conf_low conf_high one_minus_km``; missing
            past the end of follow-up of a group.
        """
        at = np.atleast_1d(np.asarray(times, dtype=float))
        parts = []
        curves = self.curve_frame.groupby(["group", "cause"], observed=True, sort=True)
        for (group, cause), curve in curves:
            step = np.searchsorted(curve["duration"].to_numpy(), at, side="right") - 1
            values = curve[_ESTIMATES].iloc[np.maximum(step, 0)].reset_index(drop=True)
            unknown = (step < 0) | (at > float(curve["duration"].iloc[-1]))
            values[unknown] = np.nan
            values.insert(0, "group", group)
            values.insert(1, "cause", cause)
            values.insert(2, "duration", at)
            parts.append(values)
        frame = pd.concat(parts, ignore_index=True).rename(columns={"incidence": "estimate"})
        for column in ("group", "cause"):
            frame[column] = frame[column].astype(self.curve_frame[column].dtype)
        return frame

    def curves(self) -> pd.DataFrame:
        """Return the curves (a copy).

        Returns
        -------
        pandas.DataFrame
            ``group cause duration incidence std_error conf_low conf_high one_minus_km event_free
            n_at_risk n_events``, durations in the unit of the data.
        """
        return self.curve_frame.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the incidence of each cause in each group, in years.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.cumulative_incidence.plot_cumulative_incidence`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots.cumulative_incidence import plot_cumulative_incidence

        curves = self.curves()
        n = self.groups.set_index("group")["n_subjects"]
        curves["n"] = n.loc[curves["group"]].to_numpy()
        curves["duration"] /= self._units_per_year()
        return plot_cumulative_incidence(curves, ax=ax, **({"origin": self.origin} | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields.
        """
        return {
            "schema": "cumulative_incidence_result/1",
            "spec": to_plain(self.spec),
            "causes": list(self.causes),
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "groups": to_plain(self.groups),
            "tests": to_plain(self.tests),
            "curves": to_plain(self.curve_frame),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def _units_per_year(self) -> float:
        """Return how many units of the data make a year."""
        return DAYS_PER_YEAR if self.spec.duration_unit == "day" else 1.0
