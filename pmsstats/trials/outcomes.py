"""What an analysis of many replicates answers, and what a block of simulated trials leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

__all__ = ["AnalysisBatch", "BlockOutcome"]


@dataclass(frozen=True, kw_only=True, eq=False)
class AnalysisBatch:
    """One analysis of many replicates: an estimate per replicate and comparison with the reference.

    Parameters
    ----------
    comparisons : tuple of str
        What is compared with the reference: names of arms, or of factors.
    estimate, std_error : ndarray, shape (n_replicates, n_comparisons)
        On the scale of the analysis (log hazard ratio, difference of slopes per year, ...); not a
        number where there is no answer.
    df : ndarray, shape (n_replicates, n_comparisons)
        Degrees of freedom; infinite for normal tests.
    z : ndarray, shape (n_replicates, n_comparisons)
        Normal quantile of the one-sided p value: positive where the treatment is better.
    information : ndarray, shape (n_replicates, n_comparisons)
        Inverse squared standard error, or events / 4 for log-rank tests.
    n_reference, n_treated, n_events : ndarray of int, shape (n_replicates, n_comparisons)
        Subjects analysed, and events of both arms (0 for other endpoints).
    reason : ndarray of str (object), shape (n_replicates, n_comparisons)
        Why there is no answer; empty where there is one.
    truth_sign : int
        1 where a positive estimate means that the treatment is better, else -1.
    """

    comparisons: tuple[str, ...]
    estimate: np.ndarray
    std_error: np.ndarray
    df: np.ndarray
    z: np.ndarray
    information: np.ndarray
    n_reference: np.ndarray
    n_treated: np.ndarray
    n_events: np.ndarray
    reason: np.ndarray
    truth_sign: int = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockOutcome:
    """What a block of simulated trials leaves behind, as tidy frames.

    Parameters
    ----------
    estimates : pandas.DataFrame
        One row per replicate, look, analysis and comparison: ``replicate look analysis comparison
        estimate std_error df z conf_low conf_high information n_reference n_treated n_events
        calendar_year boundary rejected reason``; `look` counts from 1, the last row of a
        replicate's primary analysis is its final answer.
    trials : pandas.DataFrame
        One row per replicate: ``replicate n_enrolled duration_years n_looks stopped_for success
        failed reason``; `stopped_for` is ``"end"``, ``"efficacy"`` or ``"futility"``.
    arms : pandas.DataFrame
        One row per replicate and arm: ``replicate arm n_enrolled dropped_at rejected``;
        `dropped_at` is the look (0: never).
    """

    estimates: pd.DataFrame
    trials: pd.DataFrame
    arms: pd.DataFrame
