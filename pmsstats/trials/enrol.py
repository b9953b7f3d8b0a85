"""Who enters a trial when, and under which treatment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.seeds import REPLICATES_PER_CELL, Seed, replicate_cells
from pmsstats.trials.scenario import Scenario

__all__ = ["Enrolment", "allocation_block", "enrol", "expected_entries", "planned_places"]

_LARGEST_PART = 12  # of a ratio of allocation written in whole numbers
_SMALLEST_BLOCK = 4  # a block of two would give every second allocation away


@dataclass(frozen=True, kw_only=True, eq=False)
class Enrolment:
    """Who enters when, in the order of entry.

    Parameters
    ----------
    entry_year : ndarray, shape (n_replicates, n_subjects)
        Years from the opening of the trial, ascending.
    arm : ndarray of int8, shape (n_replicates, n_subjects)
        Position among the arms of the scenario; -1 where there was nothing to be randomised to.
        A broadcast row where all replicates have the same.
    """

    entry_year: np.ndarray
    arm: np.ndarray


def enrol(
    scenario: Scenario,
    seed: Seed,
    first: int,
    last: int,
    *,
    entry_year: np.ndarray | None = None,
    dropped_year: np.ndarray | None = None,
) -> Enrolment:
    """Recruit and randomise the subjects of some replicates.

    Parameters
    ----------
    scenario : Scenario
        With its accrual and the times at which its arms open and close.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        The root.
    first, last : int
        First replicate, and the one after the last.
    entry_year : ndarray, shape (n_replicates, n_subjects), optional
        Of a recruitment that was changed on the way; drawn by default.
    dropped_year : ndarray, shape (n_replicates, n_arms), optional
        When each arm was given up, infinite by default: later recruits are randomised among the
        arms that are left, and nothing else changes.

    Returns
    -------
    Enrolment
        The same for a replicate whatever others are asked for.

    Raises
    ------
    DesignError
        If an arm is not expected to get a single subject.

    Notes
    -----
    Permuted blocks keep the ratio among the arms that are open. Where entries decide nothing (no
    interim look, no arm that opens late, an end when all are followed), subjects are exchangeable
    and blocks are not permuted: all replicates then share one row of arms.

    Examples
    --------
    >>> from pmsstats.trials.scenario import (
    ...     Accrual,
    ...     DecisionRule,
    ...     TrialAnalysis,
    ...     TrialArm,
    ...     TrialEndpoint,
    ...     TrialPopulation,
    ...     TrialSchedule,
    ... )
    >>> trial = Scenario(
    ...     name="small",
    ...     population=TrialPopulation(),
    ...     arms=(TrialArm(name="placebo"), TrialArm(name="treated", ratio=2)),
    ...     accrual=Accrual(n_subjects=6, years=1.0),
    ...     schedule=TrialSchedule(weeks=(0, 52)),
    ...     endpoints=(TrialEndpoint(name="brain", measure="brain_ml"),),
    ...     analyses=(TrialAnalysis(name="change", endpoint="brain", method="change"),),
    ...     decision=DecisionRule(analysis="change"),
    ... )
    >>> found = enrol(trial, 1, 0, 1)
    >>> found.arm.tolist()
    [[0, 1, 1, 0, 1, 1]]
    >>> found.entry_year.round(2).tolist()
    [[0.08, 0.25, 0.42, 0.58, 0.75, 0.92]]
    """
    _check_every_arm_expected(scenario)
    if entry_year is None:
        entry_year = _entries(scenario, seed, first, last)
    if _entries_decide(scenario) or dropped_year is not None:
        arm = _allocate(scenario, (seed, first, last), entry_year, dropped_year)
    else:
        row = _row_in_ratio([arm.ratio for arm in scenario.arms], scenario.accrual.n_subjects)
        arm = np.broadcast_to(row, (last - first, len(row)))
    return Enrolment(entry_year=entry_year, arm=arm)


def planned_places(scenario: Scenario) -> int:
    """Return how many subjects are to be randomised if no interim look changes it.

    Parameters
    ----------
    scenario : Scenario
        Whose looks may have ``n_planned`` among their options.

    Returns
    -------
    int
        All places by default.

    Raises
    ------
    DesignError
        If there are not so many places, or looks contradict each other.
    """
    found = {
        int(look.options["n_planned"]) for look in scenario.interims if "n_planned" in look.options
    }
    if len(found) > 1:
        raise DesignError(f"`n_planned` of the looks must agree, got {sorted(found)}.")
    n = found.pop() if found else scenario.accrual.n_subjects
    if not 2 <= n <= scenario.accrual.n_subjects:
        raise DesignError(
            f"`n_planned` must be at least 2 and at most the {scenario.accrual.n_subjects} places "
            f"of the accrual, got {n!r}. `n_subjects` of the accrual is the most that a design may "
            "reach."
        )
    return n


def expected_entries(scenario: Scenario) -> np.ndarray:
    """Return when each subject is expected to enter.

    Parameters
    ----------
    scenario : Scenario
        With its accrual.

    Returns
    -------
    ndarray, shape (n_subjects,)
        Years from the opening of the trial, ascending.
    """
    accrual = scenario.accrual
    place = (np.arange(accrual.n_subjects) + 0.5) / accrual.n_subjects
    if accrual.pattern != "ramp":
        return place * accrual.years
    half = 0.5 * accrual.ramp_years  # what the start brings, in years at the full rate
    reached = place * (accrual.years - half)
    early = np.sqrt(2.0 * accrual.ramp_years * reached)
    return np.where(reached < half, early, reached + half)


def _entries(scenario: Scenario, seed: Seed, first: int, last: int) -> np.ndarray:
    """Return the entries of some replicates."""
    accrual = scenario.accrual
    shape = (last - first, accrual.n_subjects)
    if accrual.pattern != "poisson" or accrual.years == 0:
        return np.broadcast_to(expected_entries(scenario), shape)
    entries = np.empty(shape)
    for generator, kept, place in replicate_cells(seed, first, last, "accrual"):
        gaps = generator.standard_exponential((REPLICATES_PER_CELL, shape[1]))[kept]
        np.cumsum(gaps, axis=1, out=entries[place])
    entries *= accrual.years / accrual.n_subjects
    return entries


def _entries_decide(scenario: Scenario) -> bool:
    """Say whether it matters in which order subjects enter."""
    accrual = scenario.accrual
    moving = any(arm.opens_year > 0 or np.isfinite(arm.closes_year) for arm in scenario.arms)
    early = scenario.decision.final != "followed"
    return bool(scenario.interims) or moving or early or accrual.allocation == "simple"


def allocation_block(ratios: list[float]) -> np.ndarray:
    """Return the smallest block that keeps a ratio of allocation.

    Parameters
    ----------
    ratios : list of float
        Of the arms; 0 for those that are closed.

    Returns
    -------
    ndarray of int8
        Position of the arm of each place in the block, ascending, and twice if it is shorter than
        four.

    Examples
    --------
    >>> allocation_block([1.0, 0.0, 2.0]).tolist()
    [0, 2, 2, 0, 2, 2]
    """
    least = min(r for r in ratios if r > 0)
    parts = [Fraction(r / least).limit_denominator(_LARGEST_PART) for r in ratios]
    common = int(np.lcm.reduce([part.denominator for part in parts]))
    counts = np.array([int(part * common) for part in parts])
    counts //= np.gcd.reduce(counts)
    block = np.repeat(np.arange(len(ratios), dtype=np.int8), counts)
    return np.tile(block, 2) if len(block) < _SMALLEST_BLOCK else block


def _row_in_ratio(ratios: list[float], n: int) -> np.ndarray:
    """Return blocks that are not permuted, the last one cut off as near to the ratio as can be."""
    block = allocation_block(ratios)
    row = np.resize(block, n)
    rest = n % len(block)
    if rest:
        wanted = rest * np.bincount(block, minlength=len(ratios)) / len(block)
        counts = wanted.astype(int)
        largest_parts = np.argsort(counts - wanted, kind="stable")
        counts[largest_parts[: rest - counts.sum()]] += 1
        row[n - rest :] = np.repeat(np.arange(len(ratios), dtype=np.int8), counts)
    return row


def _allocate(
    scenario: Scenario,
    cells: tuple[Seed, int, int],
    entry: np.ndarray,
    dropped: np.ndarray | None,
) -> np.ndarray:
    """Randomise each subject among the arms that are open at entry."""
    arm = np.full(entry.shape, -1, dtype=np.int8)
    mask = _open_arms(scenario, entry, dropped)
    blocks = _blocks_of(scenario, np.unique(mask))
    longest = max((len(block) for block in blocks.values()), default=0)
    keys = _keys(*cells, entry.shape[1] + longest)
    place = _by_chance if scenario.accrual.allocation == "simple" else _in_blocks
    for code, block in blocks.items():
        place(arm, np.broadcast_to(mask == code, entry.shape), block, keys)
    return arm


def _open_arms(scenario: Scenario, entry: np.ndarray, dropped: np.ndarray | None) -> np.ndarray:
    """Return which arms are open at each entry, as bits of a whole number."""
    thin = entry[:1] if entry.strides[0] == 0 and dropped is None else entry
    mask = np.zeros(thin.shape, dtype=np.int64)
    for position, arm in enumerate(scenario.arms):
        is_open = (thin >= arm.opens_year) & (thin < arm.closes_year)
        if dropped is not None:
            is_open &= thin <= dropped[:, position : position + 1]
        mask |= is_open.astype(np.int64) << position
    return mask


def _blocks_of(scenario: Scenario, masks: np.ndarray) -> Mapping[int, np.ndarray]:
    """Return a block for each set of open arms; none where nothing can be compared."""
    blocks = {}
    for code in map(int, masks):
        if code & 1 and code != 1:
            ratios = [a.ratio if code >> i & 1 else 0.0 for i, a in enumerate(scenario.arms)]
            blocks[code] = allocation_block(ratios)
    return blocks


def _keys(seed: Seed, first: int, last: int, n_keys: int) -> np.ndarray:
    """Return random numbers that order the places of blocks."""
    keys = np.empty((last - first, n_keys), dtype=np.float32)
    for generator, kept, place in replicate_cells(seed, first, last, "allocation"):
        # A row each, so that a longer one starts as a shorter one does.
        drawn = generator.random((n_keys, REPLICATES_PER_CELL), dtype=np.float32)
        keys[place] = drawn.T[kept]
    return keys


def _by_chance(arm: np.ndarray, members: np.ndarray, block: np.ndarray, keys: np.ndarray) -> None:
    """Give each member the arm of a place of the block drawn at random."""
    drawn = block[(keys[:, : arm.shape[1]] * len(block)).astype(np.intp)]
    np.copyto(arm, drawn, where=members)


def _in_blocks(arm: np.ndarray, members: np.ndarray, block: np.ndarray, keys: np.ndarray) -> None:
    """Give members, in the order of entry, the places of permuted blocks."""
    n_blocks = -(-members.shape[1] // len(block))
    used = keys[:, : members.shape[1]]
    if not members.all():
        # Members come first with the keys of their own places, then those after them: a block that
        # is broken off keeps the order that it had.
        later = np.maximum.accumulate(members, axis=1)
        order = np.argsort(2 - members.astype(np.int8) - later, axis=1, kind="stable")
        used = np.take_along_axis(used, order, axis=1)
    used = np.concatenate([used, keys[:, members.shape[1] :]], axis=1)
    used = used[:, : n_blocks * len(block)].reshape(len(keys), n_blocks, len(block))
    drawn = block[np.argsort(used, axis=2)].reshape(len(keys), -1)
    rank = np.cumsum(members, axis=1) - 1
    drawn = np.take_along_axis(drawn, np.maximum(rank, 0), axis=1)
    np.copyto(arm, drawn, where=members)


def _check_every_arm_expected(scenario: Scenario) -> None:
    """Refuse a trial in which an arm is not expected to get a subject."""
    planned = planned_places(scenario)
    mask = _open_arms(scenario, expected_entries(scenario)[None, :planned], None)[0]
    expected = np.zeros(len(scenario.arms))
    for code, block in _blocks_of(scenario, np.unique(mask)).items():
        share = np.bincount(block, minlength=len(expected)) / len(block)
        expected += share * np.count_nonzero(mask == code)
    for arm, n in zip(scenario.arms, expected, strict=True):
        if n < 1.0:
            raise DesignError(
                f"Arm {arm.name!r} has no patients: {n:.2g} of the {planned} subjects are expected "
                "in it. Recruit more, raise its `ratio`, or let it open earlier."
            )
