"""Replication probability of every finding: table, sentences and figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.plots.replication import plot_replication
from pmsstats.results import Exclusion, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["REPLICATION_COLUMNS", "ReplicationResult"]

REPLICATION_COLUMNS = (
    "finding", "section", "statement", "design", "n_subjects", "followup_years", "source",
    "expected", "probability", "mcse", "n_failed", "truth", "verdict", "reason",
)  # fmt: skip
"""Columns of the table of findings."""

_USUAL_POWER = 0.8


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class ReplicationResult(Result):
    """How often a study of the cited size would find what it reported.

    Parameters
    ----------
    findings : pandas.DataFrame
        One row per finding, columns :data:`REPLICATION_COLUMNS`; the probability is missing where
        the study could not be simulated.
    n_replicates : int
        Studies simulated for each.
    alpha : float
        Two-sided level of the tests.
    entropy : str
        Of the seed.
    origin : {"synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        None: cohorts are complete, and what cannot be checked stands in the tables.
    """

    findings: pd.DataFrame
    n_replicates: int
    alpha: float
    entropy: str
    origin: Literal["synthetic"] = "synthetic"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how many of the studies were likely to find what they reported."""
        known = self.findings["probability"].dropna()
        if known.empty:
            return "No study could be simulated; the reasons stand in the table."
        likely = int((known >= _USUAL_POWER).sum())
        missing = len(self.findings) - len(known)
        tail = f" {missing} could not be simulated." if missing else ""
        return (
            f"{likely} of {len(known)} studies would find again, in at least "
            f"{100 * _USUAL_POWER:g} % of repetitions at their own size, what they reported "
            f"(median {100 * known.median():.0f} %; {self.n_replicates} repetitions each).{tail}"
        )

    def table(self) -> pd.DataFrame:
        """Return one row per finding.

        Returns
        -------
        pandas.DataFrame
            Columns :data:`REPLICATION_COLUMNS`, and ``n_replicates sentence``.
        """
        return self.findings.assign(
            n_replicates=self.n_replicates,
            sentence=[self._sentence(row) for row in self.findings.itertuples()],
        )

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown.

        Returns
        -------
        pandas.DataFrame
            Of text: ``finding design expected probability truth verdict``.
        """
        frame = self.findings
        shown = frame[["finding", "design", "expected", "truth", "verdict"]].copy()
        pairs = frame[["probability", "mcse"]].to_numpy(float)
        texts = [
            "\u2013" if np.isnan(p) else f"{100 * p:.0f} % (\u00b1 {196 * e:.0f})" for p, e in pairs
        ]
        shown.insert(3, "probability", texts)
        return shown

    def _sentence(self, row: Any) -> str:
        """Say the probability of one finding in plain words."""
        if np.isnan(row.probability):
            return f"A study of {row.design} could not be simulated: {row.reason}"
        what = {
            "effect": "find the reported effect",
            "no effect": "report no effect",
            "both": "report all that was reported",
        }[row.expected]
        return (
            f"A study of {row.design} would {what} in {100 * row.probability:.0f} % of repetitions "
            f"(Monte Carlo error {100 * row.mcse:.1f} points); the truth in this population is "
            f"{row.truth} ({row.verdict})."
        )

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the probability of each finding, sorted.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where; the current axes by default.
        **kws : dict
            Handed to :func:`pmsstats.plots.replication.plot_replication`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        return plot_replication(self.findings, ax=ax, origin=self.origin, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            ``schema headline n_replicates alpha entropy origin findings``.
        """
        return {
            "schema": "replication_result/1",
            "headline": self.headline(),
            "n_replicates": self.n_replicates,
            "alpha": self.alpha,
            "entropy": self.entropy,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
            "findings": to_plain(self.table()),
        }
