"""From estimates and standard errors to what an analysis of many replicates answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import special

from pmsstats.trials.analyses.comparisons import Comparisons
from pmsstats.trials.outcomes import AnalysisBatch

__all__ = ["answer", "first_reason", "first_sentence", "join_answers", "normal_quantile"]

_LEAST = 1e-300  # p values below cannot be told from 0

NO_SUBJECTS = "no subject with a value in an arm"


def normal_quantile(statistic: np.ndarray, df: np.ndarray) -> np.ndarray:
    """Return the normal quantiles that have the one-sided p values of t statistics.

    Parameters
    ----------
    statistic : ndarray
        Of any shape.
    df : ndarray
        Degrees of freedom; infinite where the statistic is normal.

    Returns
    -------
    ndarray
        With the sign of the statistic, exact in both tails.
    """
    tail = special.stdtr(np.where(np.isinf(df), 1.0, df), -np.abs(statistic))
    exact = -special.ndtri(np.maximum(tail, _LEAST))
    return np.where(np.isinf(df), statistic, np.copysign(exact, statistic))


def first_reason(shape: tuple[int, ...], *cases: tuple[np.ndarray, str]) -> np.ndarray:
    """Return the first of several reasons that applies.

    Parameters
    ----------
    shape : tuple of int
        Of the answer.
    *cases : tuple of ndarray of bool and str
        Where a reason applies, and its words; broadcast to the shape.

    Returns
    -------
    ndarray of object
        Words; empty where none applies.
    """
    reason = np.full(shape, "", dtype=object)
    for where, words in reversed(cases):
        reason[np.broadcast_to(where, shape)] = words
    return reason


def first_sentence(failure: Exception) -> str:
    """Return what an error says first: the reason of a failed replicate.

    Parameters
    ----------
    failure : Exception
        As caught.

    Returns
    -------
    str
        Without what to do about it; the kind of error where it says nothing.
    """
    return str(failure).split(". ")[0] or type(failure).__name__


def answer(
    comparisons: Comparisons,
    *,
    estimate: np.ndarray,
    std_error: np.ndarray,
    counts: np.ndarray,
    reason: np.ndarray,
    truth_sign: int,
    df: np.ndarray | float = np.inf,
    z: np.ndarray | None = None,
    n_events: np.ndarray | None = None,
) -> AnalysisBatch:
    """Test estimates, and put them together.

    Parameters
    ----------
    comparisons : Comparisons
        What was compared.
    estimate, std_error : ndarray, shape (n_replicates, n_comparisons)
        Treated minus reference.
    counts : ndarray of int, shape (n_replicates, n_arms)
        Subjects analysed.
    reason : ndarray of object, shape (n_replicates, n_comparisons)
        Why there is no answer; empty where there is one.
    truth_sign : int
        1 where a positive estimate means that the treatment is better, else -1.
    df : ndarray or float
        Degrees of freedom, infinite for normal tests.
    z : ndarray, optional
        Statistic, positive where the treatment is better; from the estimate by default.
    n_events : ndarray of int, optional
        Of both arms.

    Returns
    -------
    AnalysisBatch
        Without numbers where there is a reason, or where a number is not finite.
    """
    shape = estimate.shape
    df = np.broadcast_to(np.asarray(df, dtype=float), shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = truth_sign * estimate / std_error
        score = normal_quantile(statistic, df) if z is None else z
        information = 1.0 / std_error**2
    good = np.isfinite(estimate) & np.isfinite(std_error) & (std_error > 0) & np.isfinite(score)
    reason = np.where(good | (reason != ""), reason, "no finite estimate")
    good &= reason == ""
    return AnalysisBatch(
        comparisons=comparisons.names,
        **{
            name: np.where(good, value, np.nan)
            for name, value in (
                ("estimate", estimate),
                ("std_error", std_error),
                ("df", df),
                ("z", score),
                ("information", information),
            )
        },
        n_reference=comparisons.n_without(counts),
        n_treated=comparisons.n_with(counts),
        n_events=np.zeros(shape, dtype=np.int64) if n_events is None else n_events,
        reason=reason,
        truth_sign=truth_sign,
    )


def join_answers(answers: Sequence[AnalysisBatch]) -> AnalysisBatch:
    """Put answers about different comparisons of the same replicates side by side.

    Parameters
    ----------
    answers : sequence of AnalysisBatch
        In the order wanted.

    Returns
    -------
    AnalysisBatch
        With all comparisons.
    """
    arrays = (
        "estimate", "std_error", "df", "z", "information", "n_reference", "n_treated", "n_events",
        "reason",
    )  # fmt: skip
    return AnalysisBatch(
        comparisons=tuple(name for a in answers for name in a.comparisons),
        truth_sign=answers[0].truth_sign,
        **{name: np.concatenate([getattr(a, name) for a in answers], axis=1) for name in arrays},
    )
