"""What Kaplan-Meier curves answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.results import Exclusion, FitLog, Result, format_number, format_p_value, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.curves.kaplan_meier import KMSpec
    from pmsstats.models.curves.rank_scores import LogRankTest
    from pmsstats.provenance import Origin

__all__ = ["KMResult"]

_YEAR_STEPS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_MAX_TICKS = 7
_EXACT = 1e-9  # a curve that comes this close to one half has reached it


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class KMResult(Result):
    """Kaplan-Meier curves by group.

    Parameters
    ----------
    spec : KMSpec
        The request.
    fit_log : FitLog
        Which program computed; its message says what was not lifelines' own.
    curve_frame : pandas.DataFrame
        ``group duration survival conf_low conf_high n_at_risk n_events n_censored``: a row at 0
        and one at each distinct duration of the group.
    follow_up : pandas.DataFrame
        ``duration event group [entry]``, one row per subject analysed.
    log_rank : LogRankTest, optional
        None with one group, or without events.
    n_subjects, n_events : int
        In all groups.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: KMSpec
    fit_log: FitLog
    curve_frame: pd.DataFrame
    follow_up: pd.DataFrame
    log_rank: LogRankTest | None
    n_subjects: int
    n_events: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the medians by group, in years as in the figure, and whether the groups differ.

        Returns
        -------
        str
            One sentence; the medians of :meth:`table` stay in the unit of the data.
        """
        table = self.table()
        per_year = self._days_per_unit()
        shown = [
            f"{group} {format_number(median / per_year, 3)} years" if np.isfinite(median)
            else f"{group} not reached"
            for group, median in zip(table["group"], table["median"], strict=True)
        ]  # fmt: skip
        test = f"; log-rank p = {format_p_value(self.log_rank.p_value)}" if self.log_rank else ""
        return (
            f"{self.n_events} of {self.n_subjects} subjects had the event; median time to it: "
            f"{', '.join(shown)}{test.replace('= <', '< ')}."
        )

    def table(self) -> pd.DataFrame:
        """Return sizes and median time to event per group.

        Returns
        -------
        pandas.DataFrame
            ``group n_subjects n_events median conf_low conf_high``, times in the unit of the data;
            a median is missing where the curve (a limit, where its interval) stays above one half.

        Notes
        -----
        Where the curve is one half over a stretch, the median is the middle of that stretch. The
        interval holds the times at which the pointwise interval of the curve includes one half
        (Brookmeyer R, Crowley J. Biometrics 1982;38:29-41. doi:10.2307/2530286).
        """
        rows = []
        n_subjects = self.follow_up["group"].value_counts()
        for group, curve in self.curve_frame.groupby("group", observed=True, sort=True):
            last = float(curve["duration"].iloc[-1])
            times = [
                _time_to_half(curve["duration"].to_numpy(), curve[column].to_numpy(), last)
                for column in ("survival", "conf_low", "conf_high")
            ]
            rows.append((str(group), int(n_subjects[group]),
                         int(curve["n_events"].sum()), *times))  # fmt: skip
        columns = ["group", "n_subjects", "n_events", "median", "conf_low", "conf_high"]
        return pd.DataFrame(rows, columns=columns)

    def curves(self) -> pd.DataFrame:
        """Return the curves (a copy).

        Returns
        -------
        pandas.DataFrame
            ``group duration survival conf_low conf_high n_at_risk n_events n_censored``, durations
            in the unit of the data.
        """
        return self.curve_frame.copy()

    def at_risk(self, times: Sequence[float] | None = None) -> pd.DataFrame:
        """Count who is still followed without event just before given times.

        Parameters
        ----------
        times : sequence of float, optional
            In the unit of the data; round numbers of years by default.

        Returns
        -------
        pandas.DataFrame
            ``group duration n_at_risk``.
        """
        at = np.asarray(self._ticks() if times is None else times, dtype=float)
        parts = []
        for group, part in self.follow_up.groupby("group", observed=True, sort=True):
            ordered = np.sort(part["duration"].to_numpy())
            counts = len(ordered) - np.searchsorted(ordered, at, side="left")
            if "entry" in part:
                counts = counts - _still_to_enter(part["entry"].to_numpy(), at)
            parts.append(pd.DataFrame({"group": group, "duration": at, "n_at_risk": counts}))
        counts_frame = pd.concat(parts, ignore_index=True)
        counts_frame["group"] = counts_frame["group"].astype(self.curve_frame["group"].dtype)
        return counts_frame

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the curves in years, with the numbers at risk under the axis.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_survival`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots import plot_survival

        n = self.table().set_index("group")["n_subjects"]
        curves = self.curves()
        curves["n"] = n.loc[curves["group"].astype(str)].to_numpy()
        at_risk = self.at_risk()
        for frame in (curves, at_risk):
            frame["duration"] /= self._days_per_unit()
        return plot_survival(curves, ax=ax, **({"at_risk": at_risk, "origin": self.origin} | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields, medians and numbers at risk.
        """
        return {
            "schema": "km_result/1",
            "spec": to_plain(self.spec),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "medians": to_plain(self.table()),
            "log_rank": to_plain(self.log_rank),
            "curves": to_plain(self.curve_frame),
            "at_risk": to_plain(self.at_risk()),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def _days_per_unit(self) -> float:
        """Return how many units of the data make a year."""
        return DAYS_PER_YEAR if self.spec.duration_unit == "day" else 1.0

    def _ticks(self) -> np.ndarray:
        """Return round numbers of years up to the end of follow-up, in the unit of the data."""
        longest = float(self.follow_up["duration"].max()) / self._days_per_unit()
        step = next((s for s in _YEAR_STEPS if longest / s < _MAX_TICKS), longest / _MAX_TICKS)
        return np.arange(0.0, longest + 1e-9, step) * self._days_per_unit()


def _still_to_enter(entry: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Count who is observed only after given times; at time 0, who enters later than 0."""
    ordered = np.sort(entry)
    before = np.searchsorted(ordered, at, side="left")
    return len(ordered) - np.where(at > 0, before, np.searchsorted(ordered, 0.0, side="right"))


def _time_to_half(duration: np.ndarray, curve: np.ndarray, last: float) -> float:
    """Return when a falling step curve crosses one half; NaN where it does not."""
    at_most = np.flatnonzero(curve <= 0.5 + _EXACT)
    below = np.flatnonzero(curve < 0.5 - _EXACT)
    if not len(at_most):
        return float("nan")
    until = float(duration[below[0]]) if len(below) else last
    return (float(duration[at_most[0]]) + until) / 2
