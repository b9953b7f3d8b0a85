"""Numbers of subjects that are planned anew at a look."""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.power.reestimation import blinded_sample_size, promising_zone_sample_size
from pmsstats.seeds import REPLICATES_PER_CELL, replicate_cells
from pmsstats.trials.enrol import allocation_block, planned_places
from pmsstats.trials.information_at_looks import planned_fraction
from pmsstats.trials.questions import ask
from pmsstats.trials.records import Answers
from pmsstats.trials.scenario import Interim
from pmsstats.trials.stages import first_stage
from pmsstats.trials.trial_state import TrialState

__all__ = ["dummy_arms", "extend", "plan_by_effect", "plan_by_variance"]


def plan_by_effect(state: TrialState, interim: Interim, answers: Answers) -> None:
    """Raise the number of subjects where the result so far is promising.

    Parameters
    ----------
    state : TrialState
        Changed: places, entries and the first stage.
    interim : Interim
        Options: `n_planned`, `n_max` (all places by default), `conditional_power` to reach (0.9),
        `lowest` at which the result is promising (0.36), `combination` (true: stages are weighed
        as planned, which keeps the type I error; false: they are pooled, which does not).
    answers : Answers
        Of the primary analysis.

    References
    ----------
    .. [1] Mehta CR, Pocock SJ. Adaptive increase in sample size when interim results are
       promising: a practical guide with examples. Stat Med 2011;30:3267-3284.
       doi:10.1002/sim.4102
    """
    scenario, options = state.scenario, interim.options
    planned = planned_places(scenario)
    share = planned_fraction(scenario, interim)
    z = np.nan_to_num(answers.z[:, 0], nan=0.0)  # an analysis that failed promises nothing
    zone = promising_zone_sample_size(
        z,
        first_n=int(np.clip(round(share * planned), 1, planned - 1)),
        planned_n=planned,
        largest_n=_largest(state, interim),
        target=float(options.get("conditional_power", 0.9)),
        lowest=float(options.get("lowest", 0.36)),
        critical=float(-ndtri(scenario.decision.alpha)),
    )
    if options.get("combination", True):
        state.stage = first_stage(state, answers, share)
    extend(state, answers.replicates, zone.n, answers.year)


def plan_by_variance(
    state: TrialState,
    interim: Interim,
    data: TrialArrays,
    replicates: np.ndarray,
    year: np.ndarray,
) -> None:
    """Fit the number of subjects to the variance seen, without knowing who got what.

    Parameters
    ----------
    state : TrialState
        Changed: places and entries.
    interim : Interim
        Options: `n_planned`, `n_max` (all places by default), `n_min` (`n_planned`), `effect` (on
        the scale of the estimate) and `power` that the trial is for.
    data : TrialArrays
        Of these trials at the look.
    replicates : ndarray of int, shape (n_asked,)
        Ascending positions.
    year : ndarray, shape (n_asked,)
        Calendar time.

    Raises
    ------
    DesignError
        If the effect is missing or 0.

    Notes
    -----
    The standard error of the blinded data is that of the analysis with arms drawn by lot: the
    outcome's variance about the mean of all subjects together, whatever the analysis.
    """
    scenario, options = state.scenario, interim.options
    effect, power = float(options.get("effect", 0.0)), float(options.get("power", 0.8))
    if effect == 0.0:
        raise DesignError(
            f"Interim {interim.name!r} needs the `effect` that the trial is for among its options, "
            "on the scale of the estimate and not 0: no number of subjects will do for none."
        )
    planned, largest = planned_places(scenario), _largest(state, interim)
    drawn = dummy_arms(state, data, replicates)
    blinded = ask(state, interim.analysis, drawn, replicates, year)
    known = blinded.numbers["information"][:, 0] * _balance(data.arm) / _balance(drawn.arm)
    needed = ((-ndtri(scenario.decision.alpha) + ndtri(power)) / effect) ** 2
    ratio = planned_fraction(scenario, interim) * needed / known
    n = blinded_sample_size(
        np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0),
        planned_variance=1.0,
        planned_n=planned,
        largest_n=largest,
        smallest_n=int(options.get("n_min", planned)),
    )
    extend(state, replicates, n, year)


def _largest(state: TrialState, interim: Interim) -> int:
    """Return the most subjects that a look may ask for."""
    places = state.scenario.accrual.n_subjects
    largest = int(interim.options.get("n_max", places))
    planned = planned_places(state.scenario)
    if not planned <= largest <= places:
        raise DesignError(
            f"`n_max` of interim {interim.name!r} must be from `n_planned` ({planned}) to the "
            f"{places} places of the accrual, got {largest!r}."
        )
    return largest


def _balance(arm: np.ndarray) -> np.ndarray:
    """Return what the sizes of two arms do to the information, shape (n_replicates,)."""
    reference, treated = np.sum(arm == 0, axis=1), np.sum(arm == 1, axis=1)
    return np.maximum(reference * treated, 1) / np.maximum(reference + treated, 1)


def dummy_arms(state: TrialState, data: TrialArrays, replicates: np.ndarray) -> TrialArrays:
    """Replace the arms by others drawn by lot in the same ratio.

    Parameters
    ----------
    state : TrialState
        With the root of its streams.
    data : TrialArrays
        Of some trials.
    replicates : ndarray of int, shape (n_asked,)
        Their positions.

    Returns
    -------
    TrialArrays
        Nobody's place was filled or emptied.
    """
    block = allocation_block([arm.ratio for arm in state.scenario.arms])
    drawn = np.empty(state.filled.shape, dtype=np.int8)
    last = state.first + state.n_replicates
    for generator, kept, place in replicate_cells(state.root, state.first, last, "blinding"):
        lots = generator.random((REPLICATES_PER_CELL, drawn.shape[1]))[kept]
        drawn[place] = block[(lots * len(block)).astype(np.intp)]
    return data.replace(arm=np.where(data.arm >= 0, drawn[replicates], np.int8(-1)))


def extend(state: TrialState, replicates: np.ndarray, n: np.ndarray, year: np.ndarray) -> None:
    """Recruit so many subjects.

    Parameters
    ----------
    state : TrialState
        Changed: places, and entries of those who were not planned.
    replicates : ndarray of int, shape (n_asked,)
        Positions.
    n : ndarray of int, shape (n_asked,)
        Subjects in all; those already in stay.
    year : ndarray, shape (n_asked,)
        Of the look. Where recruitment was over, it begins again then.
    """
    planned = planned_places(state.scenario)
    entry = np.array(state.entry_year)
    place = np.arange(entry.shape[1])
    there = np.sum(state.filled[replicates] & (entry[replicates] <= year[:, None]), axis=1)
    limit = np.maximum(n, there)
    if planned < entry.shape[1]:
        pause = np.maximum(year - entry[replicates, planned], 0.0)
        entry[replicates] += np.where(place >= planned, pause[:, None], 0.0)
    filled = state.filled.copy()
    filled[replicates] = place < limit[:, None]
    state.entry_year = entry
    state.fill(filled)
