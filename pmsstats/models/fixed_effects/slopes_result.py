"""Slopes over time per group, as an answer in numbers and in words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pmsstats.plots.forest import plot_forest
from pmsstats.results import (
    Exclusion,
    FitLog,
    Result,
    format_interval,
    format_number,
    format_p_value,
    to_plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["SlopesResult", "describe_slope", "time_words"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SlopesResult(Result):
    """Mean slopes over time, per group, and their differences.

    Parameters
    ----------
    spec : LMMSpec
        The model they come from.
    by : str, optional
        Group column.
    time : str
        Time column.
    over : tuple of float, optional
        Times between which an average slope was taken.
    baseline_time : float
        When the baseline mean was taken.
    slopes : pandas.DataFrame
        One row per group: ``term estimate std_error [df] statistic p_value conf_low conf_high
        baseline percent_estimate percent_std_error percent_conf_low percent_conf_high
        n_subjects``.
    difference_frame : pandas.DataFrame
        One row per group but the reference, without ``baseline`` and ``n_subjects``.
    label, unit : str
        Of the outcome.
    n_subjects : int
        Subjects in the model.
    depends_on_group : bool
        Whether the model lets the slope differ between the groups at all.
    fit_log : FitLog
        Of the model.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        What the model left out.
    notes : tuple of str
        Those of the model, and one where the reference group is merely the first in the alphabet.
    """

    spec: LMMSpec
    by: str | None
    time: str
    over: tuple[float, float] | None
    baseline_time: float
    slopes: pd.DataFrame
    difference_frame: pd.DataFrame
    label: str
    unit: str
    n_subjects: int
    depends_on_group: bool
    fit_log: FitLog
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()
    notes: tuple[str, ...] = ()

    def headline(self) -> str:
        """Say how the outcome changes in each group, and how the groups differ."""
        rows = self.slopes.to_dict("records")
        words = {"unit": self.unit, "per": time_words(self.time)}
        level = self.spec.conf_level
        if not self.depends_on_group or self.by is None:
            change = describe_slope(rows[0], label=self.label, conf_level=level, **words)
            same = (
                f", the same in all groups: the model has no interaction of {self.time} and "
                f"{self.by}"
                if self.by is not None and len(rows) > 1
                else ""
            )
            return f"{change} in {self.n_subjects} {self._subjects()}{same}{self._caveat()}."
        told = [
            describe_slope(row, label=self.label if i == 0 else "", conf_level=level, **words)
            + f" in {row['term']} (n = {row['n_subjects']})"
            for i, row in enumerate(rows)
        ]
        return f"{'; '.join(told)}{self._compared(words['per'])}{self._caveat()}."

    def _subjects(self) -> str:
        """Name the people, and say where they are made up."""
        return "synthetic subjects" if self.origin == "synthetic" else "subjects"

    def _compared(self, per: str) -> str:
        """Tell the difference of two groups; more are left to the table."""
        if len(self.difference_frame) != 1:
            return ""
        row = self.difference_frame.iloc[0]
        if not math.isfinite(row["estimate"]):
            return ""
        interval = format_interval(row["estimate"], row["conf_low"], row["conf_high"])
        unit = f" {self.unit}" if self.unit else ""
        return f"; difference {row['term']}: {interval}{unit} {per}, p {_p(row['p_value'])}"

    def _caveat(self) -> str:
        """Say what limits trust."""
        parts = [] if self.fit_log.converged else ["the fit did NOT converge"]
        if self.over is not None:
            parts.append(f"average slope from {self.time} {self.over[0]:g} to {self.over[1]:g}")
        if self.origin == "synthetic" and self.by is not None:
            parts.append("synthetic data")
        parts += self.notes
        return f" ({'; '.join(parts)})" if parts else ""

    def table(self) -> pd.DataFrame:
        """Return one row per group."""
        return self.slopes.copy()

    def differences(self) -> pd.DataFrame:
        """Return each group's slope minus that of the reference group.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error [df] statistic p_value conf_low conf_high percent_estimate
            percent_std_error percent_conf_low percent_conf_high``, the latter in percentage
            points of each group's own baseline per unit of time. No row without groups.
        """
        return self.difference_frame.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the slopes with their intervals; ``percent=True`` in percent of baseline."""
        prefix = "percent_" if kws.pop("percent", False) else ""
        unit = "% of baseline" if prefix else self.unit
        frame = pd.DataFrame(
            {
                "label": self.slopes["term"],
                **{
                    name: self.slopes[f"{prefix}{name}"]
                    for name in ("estimate", "conf_low", "conf_high")
                },
                "n": [f"n = {n}" for n in self.slopes["n_subjects"]],
            }
        )
        per = time_words(self.time)
        x_label = f"{self.label}, change {f'in {unit} ' if unit else ''}{per}"
        options = {"reference": 0.0, "x_label": x_label, "origin": self.origin, **kws}
        return plot_forest(frame, ax=ax, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "slopes_result/1",
            "headline": self.headline(),
            "spec": to_plain(self.spec),
            "by": self.by,
            "time": self.time,
            "per": time_words(self.time),
            "over": to_plain(self.over),
            "baseline_time": self.baseline_time,
            "depends_on_group": self.depends_on_group,
            "slopes": to_plain(self.slopes),
            "differences": to_plain(self.difference_frame),
            "label": self.label,
            "unit": self.unit,
            "n_subjects": self.n_subjects,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
            "notes": list(self.notes),
        }


def time_words(time: str) -> str:
    """Say what a slope is per.

    Parameters
    ----------
    time : str
        Time column.

    Returns
    -------
    str
        ``"per year"`` for ``year`` and ``day`` (slopes over days are given per year).
    """
    return "per year" if time in {"year", "day"} else f"per unit of {time}"


def describe_slope(
    row: Mapping[str, Any] | pd.Series, *, label: str, unit: str, per: str, conf_level: float
) -> str:
    """Say in words how an outcome changes.

    Parameters
    ----------
    row : mapping
        With ``estimate conf_low conf_high`` and optionally ``percent_estimate``.
    label : str
        What changes; empty to go on in a list.
    unit : str
        Its unit.
    per : str
        For example ``"per year"``.
    conf_level : float
        Of the interval.

    Returns
    -------
    str
        For example ``"Thalamus volume fell by 0.062 ml per year (95 % CI 0.053 to 0.071; 0.80 % of
        baseline)"``. Where the interval holds zero: ``"... did not clearly change: ..."``.

    Examples
    --------
    >>> row = {"estimate": -0.062, "conf_low": -0.071, "conf_high": -0.053}
    >>> describe_slope(row, label="Volume", unit="ml", per="per year", conf_level=0.95)
    'Volume fell by 0.0620 ml per year (95 % CI 0.0530 to 0.0710)'
    """
    estimate, low, high = (float(row[k]) for k in ("estimate", "conf_low", "conf_high"))
    if not math.isfinite(estimate):
        return f"{label} change cannot be estimated".strip()
    share = float(row.get("percent_estimate", math.nan))
    verb = "did not clearly change:"
    if high < 0:
        estimate, low, high, share, verb = -estimate, -high, -low, -share, "fell by"
    elif low > 0:
        verb = "rose by"
    size, _, limits = format_interval(estimate, low, high).partition(" ")
    amount = f"{size} {unit}".strip()
    percent = f"; {format_number(share, 3)} % of baseline" if math.isfinite(share) else ""
    interval = f"{100 * conf_level:g} % CI {limits.strip('()')}"
    return f"{label} {verb} {amount} {per} ({interval}{percent})".strip()


def _p(p_value: float) -> str:
    """Write a p value after its letter."""
    text = format_p_value(p_value)
    return text if text.startswith("<") else f"= {text}"
