"""What survival curves of interval-censored events answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.results import Exclusion, Result, format_number, format_p_value, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.curves.rank_scores import LogRankTest
    from pmsstats.models.curves.turnbull import TurnbullSpec
    from pmsstats.provenance import Origin

__all__ = ["TurnbullResult"]

_EXACT = 1e-9  # a curve that comes this close to one half has reached it


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TurnbullResult(Result):
    """Survival curves of interval-censored events by group.

    Parameters
    ----------
    spec : TurnbullSpec
        The request.
    curve_frame : pandas.DataFrame
        ``group lower upper mass survival [conf_low conf_high]``: the curve falls by `mass` within
        (lower, upper], to `survival` at upper; where within, the data do not say. Between the
        intervals it is flat. An infinite upper holds what lies beyond follow-up.
    follow_up : pandas.DataFrame
        ``lower upper group``, one row per subject analysed.
    test : LogRankTest or None
        That groups have the same survival; None with one group.
    log_likelihood : float
        Of all groups.
    shortfall : float
        Upper bound of what the log-likelihood of a group lacks to its maximum.
    converged : bool
        Whether the shortfall is small enough.
    n_subjects : int
        In all groups.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: TurnbullSpec
    curve_frame: pd.DataFrame
    follow_up: pd.DataFrame
    test: LogRankTest | None
    log_likelihood: float
    shortfall: float
    converged: bool
    n_subjects: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say between which times the median lies, by group, in years.

        Returns
        -------
        str
            One sentence.
        """
        table = self.table()
        parts = []
        for row in table.to_dict("records"):
            low, high = row["median_low"] / self._per_year(), row["median_high"] / self._per_year()
            parts.append(f"{row['group']} {_range(low, high)}")
        n_events = int(self.n_subjects - table["n_right"].sum())
        test = f"; log-rank score test p = {format_p_value(self.test.p_value)}" if self.test else ""
        failed = "" if self.converged else " (did NOT converge)"
        return (
            f"{n_events} of {self.n_subjects} subjects had the event; median "
            f"time to it{failed}: {', '.join(parts)}{test.replace('= <', '< ')}."
        )

    def table(self) -> pd.DataFrame:
        """Return sizes and median time to event per group.

        Returns
        -------
        pandas.DataFrame
            ``group n_subjects n_exact n_left n_interval n_right median_low median_high``; the
            median lies in the interval from `median_low` to `median_high`, in the unit of the
            data: where the curve passes one half in one of its falls, the data do not say where;
            where it is one half over a stretch, all of it is given. Missing where the curve stays
            above one half.
        """
        rows = []
        for group, part in self.follow_up.groupby("group", observed=True, sort=True):
            lower, upper = part["lower"].to_numpy(), part["upper"].to_numpy()
            right, exact = np.isinf(upper), lower == upper
            left = (lower == 0) & ~right & ~exact
            curve = self.curve_frame[self.curve_frame["group"] == group]
            rows.append((str(group), len(part), int(exact.sum()), int(left.sum()),
                         int((~right & ~exact & ~left).sum()), int(right.sum()),
                         *_median(curve)))  # fmt: skip
        columns = ["group", "n_subjects", "n_exact", "n_left", "n_interval", "n_right"]
        return pd.DataFrame(rows, columns=[*columns, "median_low", "median_high"])

    def curves(self) -> pd.DataFrame:
        """Return the curves (a copy).

        Returns
        -------
        pandas.DataFrame
            ``group lower upper mass survival [conf_low conf_high]``, times in the unit of the
            data.
        """
        return self.curve_frame.copy()

    def at(self, times: Sequence[float]) -> pd.DataFrame:
        """Return between which values survival lies at given times.

        Parameters
        ----------
        times : sequence of float
            In the unit of the data.

        Returns
        -------
        pandas.DataFrame
            ``group duration survival_low survival_high``: equal except within an interval in
            which the curve falls.
        """
        at = np.asarray(times, dtype=float)
        parts = []
        for group, curve in self.curve_frame.groupby("group", observed=True, sort=True):
            mass = np.concatenate([[0.0], np.cumsum(curve["mass"].to_numpy())])
            exact = curve["lower"].to_numpy() == curve["upper"].to_numpy()
            begun = curve["lower"].to_numpy() < at[:, None]
            begun |= exact & (curve["lower"].to_numpy() == at[:, None])
            ended = curve["upper"].to_numpy() <= at[:, None]
            parts.append(
                pd.DataFrame(
                    {
                        "group": group,
                        "duration": at,
                        "survival_low": np.maximum(1.0 - mass[begun.sum(axis=1)], 0.0),
                        "survival_high": np.maximum(1.0 - mass[ended.sum(axis=1)], 0.0),
                    }
                )
            )
        frame = pd.concat(parts, ignore_index=True)
        frame["group"] = frame["group"].astype(self.curve_frame["group"].dtype)
        return frame

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the curves in years; where a curve is not determined, a box shows its fall.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.turnbull.plot_turnbull`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots.turnbull import plot_turnbull

        curves = self.curves()
        n = self.follow_up["group"].value_counts()
        curves["n"] = n.loc[curves["group"]].to_numpy()
        for column in ("lower", "upper"):
            curves[column] /= self._per_year()
        finite = self.follow_up[["lower", "upper"]].to_numpy()
        last = float(finite[np.isfinite(finite)].max()) / self._per_year()
        return plot_turnbull(curves, ax=ax, **({"last": last, "origin": self.origin} | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields, and the medians.
        """
        return {
            "schema": "turnbull_result/1",
            "spec": to_plain(self.spec),
            "n_subjects": self.n_subjects,
            "medians": to_plain(self.table()),
            "curves": to_plain(self.curve_frame),
            "test": to_plain(self.test),
            "log_likelihood": self.log_likelihood,
            "shortfall": self.shortfall,
            "converged": self.converged,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def _per_year(self) -> float:
        """Return how many units of the data make a year."""
        return DAYS_PER_YEAR if self.spec.duration_unit == "day" else 1.0


def _median(curve: pd.DataFrame) -> tuple[float, float]:
    """Return the ends of the stretch in which the curve passes one half."""
    survival = curve["survival"].to_numpy()
    reached = int(np.flatnonzero(survival <= 0.5 + _EXACT)[0])
    below = int(np.flatnonzero(survival < 0.5 - _EXACT)[0])
    low = float(curve["lower"].iloc[reached])
    if np.isinf(curve["upper"].iloc[reached]):
        return float("nan"), float("nan")
    # one half over a stretch: up to where it falls further
    high = curve["upper"].iloc[reached] if below == reached else curve["lower"].iloc[below]
    return low, float(high)


def _range(low: float, high: float) -> str:
    """Write the bounds of a median."""
    if np.isnan(low):
        return "not reached"
    if low == high:
        return f"{format_number(low, 3)} years"
    return f"{format_number(low, 3)} to {format_number(high, 3)} years"
