"""Blocks of replicates: how a simulation is cut into tasks, and what a task hands back."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.provenance import package_version
from pmsstats.seeds import REPLICATES_PER_CELL
from pmsstats.trials.outcomes import AnalysisBatch, BlockOutcome
from pmsstats.trials.scenario import Scenario

__all__ = [
    "COLUMNS",
    "BlockTask",
    "TrialEngine",
    "check_outcome",
    "compute_block",
    "cut_blocks",
    "default_block_size",
    "join_outcomes",
    "missing_ranges",
    "until",
]

_TEXT = "object"
COLUMNS: dict[str, dict[str, str]] = {
    "estimates": {
        "replicate": "int64", "look": "int64", "analysis": _TEXT, "comparison": _TEXT,
        "estimate": "float64", "std_error": "float64", "df": "float64", "z": "float64",
        "conf_low": "float64", "conf_high": "float64", "information": "float64",
        "n_reference": "int64", "n_treated": "int64", "n_events": "int64",
        "calendar_year": "float64", "boundary": "float64", "rejected": "bool", "reason": _TEXT,
    },
    "trials": {
        "replicate": "int64", "n_enrolled": "int64", "duration_years": "float64",
        "n_looks": "int64", "stopped_for": _TEXT, "success": "bool", "failed": "bool",
        "reason": _TEXT,
    },
    "arms": {
        "replicate": "int64", "arm": _TEXT, "n_enrolled": "int64", "dropped_at": "int64",
        "rejected": "bool",
    },
}  # fmt: skip
"""Columns of the frames of a :class:`BlockOutcome`, with their types."""
_KEYS = {
    "estimates": ["replicate", "look", "analysis", "comparison"],
    "trials": ["replicate"],
    "arms": ["replicate", "arm"],
}
_VALUES_PER_BLOCK = 2**21  # measured values: 16 MB, so that a block stays small beside the code
_LARGEST_BLOCK = 1000
_BLOCKS_PER_WORKER = 4  # so that no worker waits long for the last


@dataclass(frozen=True, kw_only=True)
class TrialEngine:
    """The two steps that a simulation repeats.

    Parameters
    ----------
    run_block : callable
        ``run_block(scenario, generator, root, first, last) -> BlockOutcome``.
    analyse : callable
        ``analyse(scenario, analysis, data, arms=names) -> AnalysisBatch``: gives the true value of
        an estimand from a very large trial.
    """

    run_block: Callable[..., BlockOutcome]
    analyse: Callable[..., AnalysisBatch]


@dataclass(frozen=True, kw_only=True, eq=False)
class BlockTask:
    """Some consecutive replicates of one scenario: what a worker gets.

    Parameters
    ----------
    position : int
        Which scenario, where there are several.
    scenario : Scenario
        The trial.
    generator : callable
        Makes the data.
    root : numpy.random.SeedSequence
        From which every stream is spawned.
    first, last : int
        First replicate, and the one after the last.
    run_block : callable
        See :class:`TrialEngine`.
    version : str
        Of the package that asks.
    """

    position: int
    scenario: Scenario
    generator: Any
    root: np.random.SeedSequence
    first: int
    last: int
    run_block: Callable[..., BlockOutcome]
    version: str


def compute_block(task: BlockTask) -> BlockOutcome:
    """Simulate the replicates of a task.

    Parameters
    ----------
    task : BlockTask
        What to simulate.

    Returns
    -------
    BlockOutcome
        Checked, in the order and the types of :data:`COLUMNS`.

    Raises
    ------
    DesignError
        If this is a worker with another version of the package, or the outcome is not of these
        replicates.
    """
    if _own_version() != task.version:
        raise DesignError(
            f"A worker has pmsstats {_own_version()}, but version {task.version} asks it to "
            "simulate. Install the same version on every machine."
        )
    outcome = task.run_block(task.scenario, task.generator, task.root, task.first, task.last)
    return check_outcome(outcome, task.first, task.last)


def check_outcome(outcome: BlockOutcome, first: int, last: int) -> BlockOutcome:
    """Bring the frames of a block into one order and one set of types.

    Parameters
    ----------
    outcome : BlockOutcome
        Of a block.
    first, last : int
        Its replicates.

    Returns
    -------
    BlockOutcome
        Rows sorted by replicate and look, otherwise in their order; a missing text is the empty
        one.

    Raises
    ------
    DesignError
        If a column or a replicate is missing, or one is there twice or too many.
    """
    frames = {name: _typed(name, getattr(outcome, name)) for name in COLUMNS}
    found = frames["trials"]["replicate"].to_numpy()
    if not np.array_equal(found, np.arange(first, last)):
        raise DesignError(
            f"A block of trials must hold each of the replicates {first} to {last - 1} once, found "
            f"{len(found)} rows. The checkpoint or the code that ran the block is at fault."
        )
    for name in ("estimates", "arms"):
        replicates = frames[name]["replicate"].to_numpy()
        if len(replicates) and not first <= replicates[0] <= replicates[-1] < last:
            raise DesignError(f"`{name}` of a block holds replicates outside {first} to {last}.")
    return BlockOutcome(**frames)


def _typed(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame with the declared columns and types, sorted by replicate and look."""
    lacking = [column for column in COLUMNS[name] if column not in frame]
    if lacking:
        raise DesignError(f"`{name}` of a block of trials lacks the column {lacking[0]!r}.")
    columns: dict[str, np.ndarray] = {}
    keys = np.zeros(len(frame), dtype=np.int64)  # each combination of the key columns is a number
    for column, kind in COLUMNS[name].items():
        values = frame[column].to_numpy()
        columns[column], codes = _text(values) if kind == _TEXT else (values.astype(kind), None)
        if column in _KEYS[name]:
            codes = columns[column] - columns[column].min(initial=0) if codes is None else codes
            keys = keys * (int(codes.max(initial=0)) + 1) + codes
    if len(np.unique(keys)) < len(keys):
        raise DesignError(f"`{name}` of a block of trials repeats a {' and '.join(_KEYS[name])}.")
    by = [columns[key] for key in ("look", "replicate") if key in columns]  # the last counts most
    order = np.lexsort(by)
    if (order[1:] < order[:-1]).any():
        columns = {column: values[order] for column, values in columns.items()}
    return pd.DataFrame(columns, copy=False)


def _text(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return texts as an array of str, empty where missing, and a number for each text."""
    listed = values.tolist()
    codes = {text: i for i, text in enumerate(dict.fromkeys(listed))}
    if all(type(text) is str for text in codes):
        return values.astype(object, copy=False), np.array([codes[text] for text in listed], int)
    numbers, texts = pd.factorize(np.asarray(values, dtype=object), use_na_sentinel=True)
    names = np.array([*map(str, texts), ""], dtype=object)
    numbers = np.where(numbers < 0, len(texts), numbers)
    return names[numbers], numbers


@cache
def _own_version() -> str:
    """Return the version of the package here, read once."""
    return package_version()


def default_block_size(scenario: Scenario, n_replicates: int, n_workers: int) -> int:
    """Return how many replicates a task gets where the user does not say.

    Parameters
    ----------
    scenario : Scenario
        Whose subjects, visits and measures fill the memory.
    n_replicates : int
        To simulate.
    n_workers : int
        Processes.

    Returns
    -------
    int
        Multiple of the replicates that share a stream; results do not depend on it.
    """
    per_trial = scenario.accrual.n_subjects * len(scenario.schedule.weeks)
    by_memory = _VALUES_PER_BLOCK // (per_trial * max(len(scenario.measures), 1))
    fair = n_replicates if n_workers == 1 else -(-n_replicates // (_BLOCKS_PER_WORKER * n_workers))
    size = min(_LARGEST_BLOCK, by_memory, fair)
    return max(size // REPLICATES_PER_CELL, 1) * REPLICATES_PER_CELL


def missing_ranges(n_replicates: int, done: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the replicates that are still to be simulated.

    Parameters
    ----------
    n_replicates : int
        Wanted, counted from 0.
    done : iterable of (int, int)
        First replicate, and the one after the last, of finished blocks, ascending and apart.

    Returns
    -------
    list of (int, int)
        Ascending ranges.

    Examples
    --------
    >>> missing_ranges(100, [(0, 20), (40, 60)])
    [(20, 40), (60, 100)]
    """
    missing, reached = [], 0
    for first, last in done:
        if reached < min(first, n_replicates):
            missing.append((reached, min(first, n_replicates)))
        reached = max(reached, last)
    return [*missing, (reached, n_replicates)] if reached < n_replicates else missing


def cut_blocks(ranges: Iterable[tuple[int, int]], block_size: int) -> list[tuple[int, int]]:
    """Cut ranges of replicates into blocks.

    Parameters
    ----------
    ranges : iterable of (int, int)
        First replicate, and the one after the last.
    block_size : int
        At most so many each; blocks begin at its multiples, so that streams are drawn once.

    Returns
    -------
    list of (int, int)
        In order.

    Examples
    --------
    >>> cut_blocks([(0, 50), (70, 100)], 40)
    [(0, 40), (40, 50), (70, 80), (80, 100)]
    """
    blocks: list[tuple[int, int]] = []
    for first, last in ranges:
        inner = range((first // block_size + 1) * block_size, last, block_size)
        edges = [first, *inner, last]
        blocks += itertools.pairwise(edges)
    return blocks


def join_outcomes(outcomes: Iterable[BlockOutcome]) -> BlockOutcome:
    """Put blocks below each other.

    Parameters
    ----------
    outcomes : iterable of BlockOutcome
        In the order of their replicates; at least one.

    Returns
    -------
    BlockOutcome
        The same bytes for any cut into blocks.
    """
    blocks = list(outcomes)
    if len(blocks) == 1:
        return blocks[0]
    frames = {
        name: pd.concat([getattr(block, name) for block in blocks], ignore_index=True)
        for name in COLUMNS
    }
    return BlockOutcome(**frames)


def until(outcome: BlockOutcome, last: int) -> BlockOutcome:
    """Keep the replicates before a given one.

    Parameters
    ----------
    outcome : BlockOutcome
        Sorted by replicate.
    last : int
        First replicate to leave out.

    Returns
    -------
    BlockOutcome
        Without a copy where nothing is left out.
    """
    frames = {}
    for name in COLUMNS:
        frame = getattr(outcome, name)
        n_rows = int(np.searchsorted(frame["replicate"].to_numpy(), last))
        frames[name] = frame if n_rows == len(frame) else frame.iloc[:n_rows]
    return BlockOutcome(**frames)
