"""Which program tests whether groups differ: lifelines where it can, else our own scores."""

from __future__ import annotations

from importlib.metadata import version
from typing import Literal

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.models.curves.rank_scores import (
    LogRankTest,
    RankScores,
    RankWeights,
    judge_scores,
)
from pmsstats.results import FitLog

__all__ = ["Engine", "check_engine", "compare_curves", "record_engine"]

Engine = Literal["lifelines", "native"]
"""Which program computes."""


def check_engine(engine: str) -> None:
    """Refuse engines that are not known.

    Parameters
    ----------
    engine : str
        As a user gave it.

    Raises
    ------
    DesignError
        Naming those that are.
    """
    if engine not in ("lifelines", "native"):
        raise DesignError(f"`engine` must be 'lifelines' or 'native', got {engine!r}.")


def compare_curves(
    scores: RankScores,
    duration: np.ndarray,
    event: np.ndarray,
    group: np.ndarray,
    *,
    weights: RankWeights = "log_rank",
    engine: Engine = "lifelines",
    beyond: str = "",
) -> tuple[LogRankTest, str]:
    """Test whether groups have the same hazard.

    Parameters
    ----------
    scores : RankScores
        Of the same data.
    duration : ndarray, shape (n_subjects,)
        End of follow-up.
    event : ndarray of bool, shape (n_subjects,)
        True where it ends with the event.
    group : ndarray of int, shape (n_subjects,)
        Codes from 0, all of which occur.
    weights : RankWeights, default "log_rank"
        Of the times.
    engine : {"lifelines", "native"}, default "lifelines"
        Whether lifelines is asked at all.
    beyond : str, default ""
        What of the request lifelines does not know: ``"strata"``; empty if it knows all.

    Returns
    -------
    test : LogRankTest
        By lifelines, unless something is beyond it or a group is at risk at no event, where it
        counts too many degrees of freedom.
    note : str
        Why lifelines was asked for but did not test; empty otherwise.
    """
    own = judge_scores(scores)
    if engine == "native":
        return own, ""
    reason = beyond or (
        "a group without anybody at risk at an event" if own.df < len(scores.score) - 1 else ""
    )
    if reason:
        return own, f"test by the package's own scores: lifelines has none for {reason}"
    # loaded here because lifelines takes a second to import
    from pmsstats.models.backends.lifelines_km import compare_groups

    return compare_groups(duration, event, group, weights), ""


def record_engine(engine: Engine, *notes: str) -> FitLog:
    """Record which program computed, and what it left to the package.

    Parameters
    ----------
    engine : {"lifelines", "native"}
        The program.
    *notes : str
        What was not its own; empty ones are passed over.

    Returns
    -------
    FitLog
        Of a closed form: there is nothing that could fail to converge.
    """
    return FitLog(
        engine=engine,
        engine_version=version("lifelines") if engine == "lifelines" else "",
        optimiser="closed form",
        converged=True,
        message="; ".join(note for note in notes if note),
    )
