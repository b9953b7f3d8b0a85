"""Verdicts on all findings: table, sentence and figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pmsstats.plots.verdicts import plot_verdicts
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain
from pmsstats.validation.verdicts import NO_CHECK, VERDICTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CLAIM_COLUMNS", "EvidenceChecksResult"]

CLAIM_COLUMNS = (
    "finding", "claim", "estimate", "std_error", "conf_low", "conf_high", "units", "expected",
    "margin", "published_low", "published_high", "record", "verdict", "n_subjects", "reason",
)  # fmt: skip
"""Columns of the table of claims."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EvidenceChecksResult(Result):
    """What a generator's population says to each finding of the review.

    Parameters
    ----------
    claims : pandas.DataFrame
        One row per claim of each finding that has a check, columns :data:`CLAIM_COLUMNS`.
    verdicts : pandas.DataFrame
        One row per finding: ``finding section statement verdict n_claims note reason``.
    n_subjects : int
        Subjects of each phenotype.
    conf_level : float
        Of the intervals.
    entropy : str
        Of the seed.
    origin : {"synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        None: cohorts are complete, and what cannot be checked stands in the tables.
    """

    claims: pd.DataFrame
    verdicts: pd.DataFrame
    n_subjects: int
    conf_level: float
    entropy: str
    origin: Literal["synthetic"] = "synthetic"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings by verdict, from best to worst."""
        found = self.verdicts["verdict"].value_counts()
        return {name: int(found.get(name, 0)) for name in VERDICTS}

    def headline(self) -> str:
        """Say how many findings are reproduced."""
        counts = self.counts
        checked = len(self.verdicts) - counts[NO_CHECK]
        others = ", ".join(f"{n} {name}" for name, n in list(counts.items())[1:-1] if n)
        rest = f" ({others})" if others else ""
        unchecked = counts[NO_CHECK]
        tail = f"; {unchecked} more are not checked, each with its reason" if unchecked else ""
        return (
            f"{counts['reproduced']} of {checked} checked findings are reproduced{rest} by the "
            f"generator, with {self.n_subjects:,} subjects in the largest group of each{tail}. "
            f"{self._magnitudes()}"
        )

    def _magnitudes(self) -> str:
        """Say how many claims are about more than a direction."""
        printed = self.claims["published_low"].notna().sum()
        return (
            f"Of {len(self.claims)} claims, {printed} must overlap a printed magnitude too; the "
            "others are about direction, or no difference, alone."
        )

    def table(self) -> pd.DataFrame:
        """Return one row per claim, and one per finding that was not checked.

        Returns
        -------
        pandas.DataFrame
            Columns :data:`CLAIM_COLUMNS`.
        """
        unchecked = self.verdicts[self.verdicts["n_claims"] == 0]
        if unchecked.empty:
            return self.claims.copy()
        rows = [
            {
                "finding": row.finding, "claim": row.statement, "verdict": row.verdict,
                "n_subjects": 0, "reason": row.reason, "units": "", "expected": "", "record": "",
            }
            for row in unchecked.itertuples()
        ]  # fmt: skip
        extra = pd.DataFrame(rows).reindex(columns=list(CLAIM_COLUMNS))
        if self.claims.empty:
            return extra
        numbers = self.claims.select_dtypes("number").columns
        extra[numbers] = extra[numbers].astype(self.claims[numbers].dtypes.to_dict())
        return pd.concat([self.claims, extra], ignore_index=True)

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown: estimate with its interval in one column.

        Returns
        -------
        pandas.DataFrame
            Of text: ``finding claim estimate units expected published verdict reason``.
        """
        frame = self.table()
        shown = frame[["finding", "claim", "units", "verdict", "reason"]].copy()
        shown.insert(
            2, "estimate",
            [format_interval(*v) for v in frame[["estimate", "conf_low", "conf_high"]].to_numpy()],
        )  # fmt: skip
        shown.insert(4, "expected", [_expected_text(row) for row in frame.itertuples()])
        return shown

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the verdicts by section of the review.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where; the current axes by default.
        **kws : dict
            Handed to :func:`pmsstats.plots.verdicts.plot_verdicts`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        return plot_verdicts(self.verdicts, ax=ax, origin=self.origin, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            ``schema n_subjects conf_level entropy counts verdicts claims``.
        """
        return {
            "schema": "evidence_checks_result/1",
            "headline": self.headline(),
            "n_subjects": self.n_subjects,
            "conf_level": self.conf_level,
            "entropy": self.entropy,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
            "counts": self.counts,
            "verdicts": to_plain(self.verdicts),
            "claims": to_plain(self.claims),
        }


def _expected_text(row: Any) -> str:
    """Say what was expected of a claim."""
    if not row.expected:
        return ""
    if row.expected == "none":
        return f"none, within {format_number(float(row.margin))}"
    if pd.isna(row.published_low):
        return str(row.expected)
    low, high = (format_number(float(v), 3) for v in (row.published_low, row.published_high))
    return f"{row.expected}, published {low} to {high}"
