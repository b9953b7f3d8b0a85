"""Rows that a block of trials leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy.special import stdtrit

__all__ = ["Answers", "Records", "confidence_limits"]

_NUMBERS = (
    "estimate",
    "std_error",
    "df",
    "z",
    "information",
    "n_reference",
    "n_treated",
    "n_events",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """What an analysis answered at a look, for the replicates that were asked.

    Parameters
    ----------
    analysis : str
        Its name.
    comparisons : tuple of str
        With the reference.
    replicates : ndarray of int, shape (n_asked,)
        Positions in the block.
    asked : ndarray of bool, shape (n_asked, n_comparisons)
        Comparisons that were still going on.
    z : ndarray, shape (n_asked, n_comparisons)
        Statistics, positive where the treatment is better; missing without answer.
    numbers : dict of str to ndarray, each of shape (n_asked, n_comparisons)
        All numbers of an :class:`~pmsstats.trials.outcomes.AnalysisBatch`, `z` included.
    reason : ndarray of object, shape (n_asked, n_comparisons)
        Why there is no answer.
    year : ndarray, shape (n_asked,)
        Calendar time.
    truth_sign : int
        1 where a positive estimate means that the treatment is better, else -1.
    """

    analysis: str
    comparisons: tuple[str, ...]
    replicates: np.ndarray
    asked: np.ndarray
    z: np.ndarray
    numbers: dict[str, np.ndarray]
    reason: np.ndarray
    year: np.ndarray
    truth_sign: int = 1


def confidence_limits(
    estimate: np.ndarray, std_error: np.ndarray, df: np.ndarray, *, alpha: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return confidence limits of level 1 - 2 alpha, whatever the looks before.

    Parameters
    ----------
    estimate, std_error, df : ndarray
        Of one shape; infinite degrees of freedom for normal limits.
    alpha : float
        One-sided.

    Returns
    -------
    low, high : ndarray
        Of the same shape.
    """
    finite = np.isfinite(df)
    # The normal quantile is the t quantile of very many degrees of freedom.
    quantile = stdtrit(np.where(finite, df, 1e15), 1.0 - alpha)
    half = np.where(np.isnan(df), np.nan, quantile) * std_error
    return estimate - half, estimate + half


@dataclass(kw_only=True, eq=False)
class Records:
    """Rows of answers, look by look.

    Parameters
    ----------
    first : int
        Number of the first replicate.
    parts : list of dict
        Columns of rows so far.
    """

    first: int
    parts: list[dict[str, np.ndarray]] = field(default_factory=list)

    def add(
        self,
        answers: Answers,
        *,
        look: np.ndarray,
        boundary: np.ndarray,
        rejected: np.ndarray,
        alpha: float,
    ) -> None:
        """Write down the answers of a look.

        Parameters
        ----------
        answers : Answers
            Of one analysis.
        look : ndarray of int, shape (n_asked,)
            Counted from 1.
        boundary : ndarray, shape (n_asked, n_comparisons)
            With which the statistics were compared.
        rejected : ndarray of bool, shape (n_asked, n_comparisons)
            Whether an effect was claimed.
        alpha : float
            Of the confidence limits, one-sided.
        """
        row, column = np.nonzero(answers.asked)
        numbers = {name: answers.numbers[name][row, column] for name in _NUMBERS}
        low, high = confidence_limits(
            numbers["estimate"], numbers["std_error"], numbers["df"], alpha=alpha
        )
        names = np.array(answers.comparisons, dtype=object)
        self.parts.append(
            {
                "replicate": answers.replicates[row] + self.first,
                "look": look[row],
                "analysis": np.full(len(row), answers.analysis, dtype=object),
                "comparison": names[column],
                **numbers,
                "conf_low": low,
                "conf_high": high,
                "calendar_year": answers.year[row],
                "boundary": boundary[row, column],
                "rejected": rejected[row, column],
                "reason": answers.reason[row, column],
            }
        )

    def frame(self) -> pd.DataFrame:
        """Return all rows, sorted by replicate and look, analyses in the order of asking."""
        columns = [
            "replicate", "look", "analysis", "comparison", "estimate", "std_error", "df", "z",
            "conf_low", "conf_high", "information", "n_reference", "n_treated", "n_events",
            "calendar_year", "boundary", "rejected", "reason",
        ]  # fmt: skip
        joined = {
            name: self.parts[0][name]
            if len(self.parts) == 1
            else np.concatenate([part[name] for part in self.parts])
            for name in columns
        }
        order = np.lexsort([joined["look"], joined["replicate"]])
        if not (order[1:] > order[:-1]).all():
            joined = {name: value[order] for name, value in joined.items()}
        return pd.DataFrame(joined, copy=False)
