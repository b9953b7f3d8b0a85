"""Arms that are given up at a look, and where their places go."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from pmsstats.errors import DesignError
from pmsstats.trials.records import Answers
from pmsstats.trials.scenario import Interim
from pmsstats.trials.trial_state import EFFICACY, FUTILITY, TrialState

__all__ = ["give_up", "passing", "select_arms", "stop_without_arms"]


def passing(z: np.ndarray, asked: np.ndarray, *, bound: float, keep: int | None) -> np.ndarray:
    """Say which arms go on.

    Parameters
    ----------
    z : ndarray, shape (n_replicates, n_comparisons)
        Statistics; missing where an analysis failed: such an arm goes on, after all others.
    asked : ndarray of bool, shape of `z`
        Arms that were still there.
    bound : float
        Which the statistic must reach.
    keep : int, optional
        At most so many arms, the best ones.

    Returns
    -------
    ndarray of bool, shape of `z`
        Whether an arm goes on.

    Examples
    --------
    >>> z = np.array([[0.2, 1.5, 0.9]])
    >>> passing(z, np.full((1, 3), True), bound=0.5, keep=1).tolist()
    [[False, True, False]]
    """
    good = asked & ~(z < bound)
    if keep is None:
        return good
    merit = np.where(good, np.where(np.isnan(z), -1e300, z), -np.inf)
    rank = np.argsort(np.argsort(-merit, axis=1, kind="stable"), axis=1)
    return good & (rank < keep)


def select_arms(state: TrialState, interim: Interim, answers: Answers) -> np.ndarray:
    """Give up arms without enough effect on the interim outcome.

    Parameters
    ----------
    state : TrialState
        Changed: arms, places and trials that end.
    interim : Interim
        Options: `threshold` (one-sided p value to be below), `keep` (at most so many arms),
        `arms` (names of those that are judged, as where an arm that opened late has a look of its
        own; by default all that are open, the others go on) and `places` (``"reallocate"`` gives
        later recruits to the arms left, ``"close"`` does not recruit those who would have got the
        arm).
    answers : Answers
        Of the interim outcome.

    Returns
    -------
    ndarray, shape (n_asked, n_comparisons)
        Bound of the statistics; missing where arms are only ranked.

    Raises
    ------
    DesignError
        If options are out of range.

    References
    ----------
    .. [1] Royston P, Parmar MKB, Qian W. Novel designs for multi-arm clinical trials with survival
       outcomes with an application in ovarian cancer. Stat Med 2003;22:2239-2256.
       doi:10.1002/sim.1430
    """
    threshold, keep = interim.options.get("threshold"), interim.options.get("keep")
    if threshold is None and keep is None:
        raise DesignError(
            f"Interim {interim.name!r} selects arms, but says neither `threshold` (one-sided p "
            "value) nor `keep` (number of arms)."
        )
    if threshold is not None and not 0.0 < float(threshold) < 1.0:
        raise DesignError(
            f"`threshold` of interim {interim.name!r} must be a p value between 0 and 1, got "
            f"{threshold!r}."
        )
    if keep is not None and not 1 <= int(keep) <= len(state.comparisons):
        raise DesignError(
            f"`keep` of interim {interim.name!r} must be from 1 to the number of treated arms, "
            f"{len(state.comparisons)}, got {keep!r}."
        )
    bound = -np.inf if threshold is None else float(-ndtri(float(threshold)))
    judged = answers.asked & _judged(state, interim, answers.year)
    good = passing(answers.z, judged, bound=bound, keep=keep)
    give_up(state, interim, answers, judged & ~good)
    stop_without_arms(state, answers.replicates)
    return np.full(answers.z.shape, np.nan if np.isinf(bound) else bound)


def _judged(state: TrialState, interim: Interim, year: np.ndarray) -> np.ndarray:
    """Return which arms a look may give up: those that it names and that are open by then."""
    chosen = interim.options.get("arms", state.comparisons)
    arms = state.scenario.arms[1:]
    named = np.array([arm.name in chosen for arm in arms])
    return named & (year[:, None] > [arm.opens_year for arm in arms])


def give_up(state: TrialState, interim: Interim, answers: Answers, dropped: np.ndarray) -> None:
    """Close arms to further recruits.

    Parameters
    ----------
    state : TrialState
        Changed.
    interim : Interim
        With `places` among its options.
    answers : Answers
        At whose look this happens.
    dropped : ndarray of bool, shape (n_asked, n_comparisons)
        Comparisons that do not go on.

    Raises
    ------
    DesignError
        If `places` is something else.
    """
    places = interim.options.get("places", "reallocate")
    if places not in {"reallocate", "close"}:
        raise DesignError(
            f"`places` of interim {interim.name!r} must be 'reallocate' or 'close', got {places!r}."
        )
    if not dropped.any():
        return
    who = answers.replicates
    ended = np.zeros(state.active.shape, dtype=bool)
    ended[who] = dropped
    state.close(ended)
    state.dropped_at[who] = np.where(dropped, state.n_looks[who][:, None], state.dropped_at[who])
    if not state.by_arm:
        return
    closed = np.zeros(state.dropped_year.shape, dtype=bool)
    closed[who, 1:] = dropped
    year = np.full(state.n_replicates, np.inf)
    year[who] = answers.year
    state.dropped_year = np.where(closed, year[:, None], state.dropped_year)
    if places == "reallocate":
        state.reallocate(year)
        return
    arm = state.everybody.arm
    late = state.entry_year > np.take_along_axis(state.dropped_year, arm.astype(np.intp), axis=1)
    state.fill(state.filled & ~late)


def stop_without_arms(state: TrialState, replicates: np.ndarray) -> None:
    """End trials in which nothing is left to compare.

    Parameters
    ----------
    state : TrialState
        Changed.
    replicates : ndarray of int
        To look at.
    """
    done = replicates[~state.active[replicates].any(axis=1)]
    claimed = state.rejected[done].any(axis=1)
    state.stop(done[claimed], EFFICACY)
    state.stop(done[~claimed], FUTILITY)
