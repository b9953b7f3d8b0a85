"""One scenario's blocks as they come in: stored, put in order, and enough at some point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceError, DesignError, nearest
from pmsstats.trials.blocks import BlockTask, cut_blocks, join_outcomes, missing_ranges, until
from pmsstats.trials.checkpoint import Checkpoint
from pmsstats.trials.operating import failure_ledger, operating_characteristics
from pmsstats.trials.outcomes import BlockOutcome
from pmsstats.trials.scenario import Scenario

__all__ = ["REPLICATES_PER_CHECK", "Gathering", "StoppingRule"]

REPLICATES_PER_CHECK = 500
"""Whether to stop is asked after each so many replicates, in their order: on every machine after
the same ones."""
_SILENT_LOOK = 0.5  # share of analyses at a look without an answer from which it is no look
_CLEARLY_TOO_MANY = 3.0  # binomial standard errors, before all replicates are done
_NAMES_OF_POWER = ("power", "type1_error", "success")
_SHARES = (
    *_NAMES_OF_POWER, "coverage", "bias_eliminated_coverage", "familywise_error",
    "disjunctive_power", "conjunctive_power",
)  # fmt: skip
_TARGETS = (
    *_SHARES, "bias", "relative_bias", "mse", "mean_estimate", "empirical_se", "model_se",
    "model_se_relative_error", "expected_n", "expected_years",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StoppingRule:
    """When there are enough replicates.

    Parameters
    ----------
    n_replicates : int
        At most.
    targets : mapping of str to float
        Largest Monte Carlo standard error, by operating characteristic; empty: never stop early.
    min_replicates : int
        At least, before a target counts.

    Raises
    ------
    DesignError
        If a number is out of range, or a target has no such name.
    """

    n_replicates: int
    targets: Mapping[str, float] = field(default_factory=dict)
    min_replicates: int = 1000

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("n_replicates", "min_replicates"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise DesignError(f"`{name}` must be a whole number above 0, got {value!r}.")
        for name, error in self.targets.items():
            if name not in _TARGETS:
                raise DesignError(
                    f"`target_mcse` names {name!r}, but there are {', '.join(_TARGETS)}."
                    f"{nearest(name, _TARGETS)}"
                )
            if not 0 < error < math.inf:
                raise DesignError(
                    f"`target_mcse` of {name!r} must be above 0, got {error!r}. With 0, no number "
                    "of replicates will do."
                )


class Gathering:
    """The blocks of one scenario.

    Parameters
    ----------
    task : BlockTask
        All replicates as one task, to be cut.
    rule : StoppingRule
        When there are enough.
    truth : pandas.DataFrame, optional
        True values.
    checkpoint : Checkpoint, optional
        Where finished blocks are stored, and from which they are read at the start.
    """

    def __init__(
        self,
        task: BlockTask,
        *,
        rule: StoppingRule,
        truth: pd.DataFrame | None,
        checkpoint: Checkpoint | None,
    ) -> None:
        self.task, self.rule, self.truth, self.checkpoint = task, rule, truth, checkpoint
        self.n_resumed = 0
        self.n_success = 0
        self.n_done = 0
        self.met_target = False
        self._enough_at: int | None = None
        self._checked = 0
        self._failed: list[np.ndarray] = []
        self._blocks: dict[tuple[int, int], BlockOutcome] = {}
        for first, last in checkpoint.blocks() if checkpoint else ():
            outcome = checkpoint.read(first, last) if checkpoint else None
            if outcome is not None and first < rule.n_replicates:
                self.n_resumed += self._add(until(outcome, rule.n_replicates), first, last)
        self._check()

    @property
    def scenario(self) -> Scenario:
        """Return the trial."""
        return self.task.scenario

    @property
    def is_finished(self) -> bool:
        """Return whether there are enough replicates."""
        return self._enough_at is not None

    @property
    def n_wanted(self) -> int:
        """Return how many replicates there will be, as far as is known."""
        return self.rule.n_replicates if self._enough_at is None else self._enough_at

    def tasks(self, block_size: int) -> Iterator[BlockTask]:
        """Yield what is still to be simulated, until there is enough.

        Parameters
        ----------
        block_size : int
            Replicates per task.

        Yields
        ------
        BlockTask
            In the order of replicates.
        """
        ranges = missing_ranges(self.rule.n_replicates, sorted(self._blocks))
        for first, last in cut_blocks(ranges, block_size):
            if self.is_finished:
                return
            task = self.task
            yield BlockTask(
                position=task.position,
                scenario=task.scenario,
                generator=task.generator,
                root=task.root,
                first=first,
                last=last,
                run_block=task.run_block,
                version=task.version,
            )

    def accept(self, task: BlockTask, outcome: BlockOutcome) -> None:
        """Store a finished block, and ask whether there are enough.

        Parameters
        ----------
        task : BlockTask
            Whose answer it is.
        outcome : BlockOutcome
            The answer; left aside where there are enough without it.

        Raises
        ------
        ConvergenceError
            If more analyses failed than the scenario allows.
        """
        if self.is_finished:
            return
        if self.checkpoint is not None:
            self.checkpoint.write(outcome, task.first, task.last)
        self._add(outcome, task.first, task.last)
        self._check()

    def _add(self, outcome: BlockOutcome, first: int, last: int) -> int:
        """Keep a block; return how many replicates it has."""
        self._blocks[first, min(last, self.rule.n_replicates)] = outcome
        trials = outcome.trials
        self._failed.append(trials["replicate"].to_numpy()[trials["failed"].to_numpy()])
        self.n_done += len(trials)
        self.n_success += int(outcome.trials["success"].sum())
        return len(outcome.trials)

    def _frontier(self) -> int:
        """Return up to which replicate all are there."""
        missing = missing_ranges(self.rule.n_replicates, sorted(self._blocks))
        return missing[0][0] if missing else self.rule.n_replicates

    def _check(self) -> None:
        """Ask at each of the fixed numbers of replicates that were reached."""
        frontier, n_all = self._frontier(), self.rule.n_replicates
        while not self.is_finished and self._checked < frontier:
            n = min(self._checked + REPLICATES_PER_CHECK, n_all)
            if n > frontier:
                return
            self._checked = n
            self._refuse_failures(n)
            if n == min(REPLICATES_PER_CHECK, n_all):
                self._refuse_silent_looks(n)
            if n == n_all:
                self._enough_at = n
            elif self._has_target(n):
                self._enough_at, self.met_target = n, True

    def joined(self, last: int | None = None) -> BlockOutcome:
        """Return the replicates before `last` in order; by default all that count.

        Parameters
        ----------
        last : int, optional
            First replicate to leave out.

        Returns
        -------
        BlockOutcome
            Of consecutive replicates from 0.
        """
        end = self.n_wanted if last is None else last
        blocks = [self._blocks[key] for key in sorted(self._blocks) if key[0] < end]
        return until(join_outcomes(blocks), end)

    def _refuse_failures(self, n: int) -> None:
        """Stop where too many analyses failed."""
        allowed, n_all = self.scenario.max_failure_rate, self.rule.n_replicates
        failed = sum(int((replicates < n).sum()) for replicates in self._failed)
        limit = allowed * n_all
        if n < n_all:
            margin = _CLEARLY_TOO_MANY * math.sqrt(n * allowed * (1 - allowed))
            limit = min(limit, allowed * n + margin)
        if failed <= limit:
            return
        ledger = failure_ledger(self.joined(n))
        rows = ledger[ledger["analysis"] == ""].sort_values("n_replicates", ascending=False)
        reasons = "; ".join(
            f"{row.reason} ({row.n_replicates}, first in {row.first_replicates})"
            for row in rows.itertuples()
        )
        raise ConvergenceError(
            f"The analysis failed in {failed} of the first {n} trials of {self.scenario.name!r}, "
            f"more than `max_failure_rate` {allowed:g} allows: {reasons}. Change the analysis, or "
            "allow more in the scenario."
        )

    def _refuse_silent_looks(self, n: int) -> None:
        """Stop where the analysis of an interim look mostly has no answer: it could not decide."""
        guiding = {look.analysis: look.name for look in self.scenario.interims}
        rows = self.joined(n).estimates
        rows = rows[rows["analysis"].isin(guiding) & (rows["look"] <= len(self.scenario.interims))]
        silent = (rows["reason"] != "").groupby([rows["analysis"], rows["look"]]).mean()
        silent = silent[silent > _SILENT_LOOK]
        if silent.empty:
            return
        (name, look), share = silent.index[0], float(silent.iloc[0])
        at = rows[(rows["analysis"] == name) & (rows["look"] == look) & (rows["reason"] != "")]
        raise ConvergenceError(
            f"In {100 * share:.0f} % of the first {n} trials of {self.scenario.name!r} the "
            f"analysis {name!r} had no answer at look {look}: {at['reason'].mode().iloc[0]}. Let "
            f"interim {guiding[name]!r} come later, or decide it by another analysis."
        )

    def _has_target(self, n: int) -> bool:
        """Say whether every target is met by the first replicates."""
        rule = self.rule
        if not rule.targets or n < rule.min_replicates:
            return False
        table = operating_characteristics(self.scenario, self.joined(n), self.truth)
        return all(self._error(table, name) <= error for name, error in rule.targets.items())

    def _error(self, table: pd.DataFrame, name: str) -> float:
        """Return the largest Monte Carlo standard error of a quantity; infinite where unknown."""
        names = _NAMES_OF_POWER if name in _NAMES_OF_POWER else (name,)
        ours = table["analysis"].isin(["", self.scenario.decision.analysis])
        rows = table[ours & table["quantity"].isin(names) & (table["look"] == 0)]
        if rows.empty or rows["mcse"].isna().any():
            return math.inf
        if name in _SHARES:
            return max(_cautious_error(row) for row in rows.to_dict("records"))
        return float(rows["mcse"].max())


def _cautious_error(row: Mapping[Any, Any]) -> float:
    """Return the error of a share with two successes and two failures more, if that is larger.

    Without them a share of 0 or 1 would have no error after however few replicates.
    """
    n = row["n_replicates"]
    share = (row["value"] * n + 2) / (n + 4)
    return max(math.sqrt(share * (1 - share) / (n + 4)), row["mcse"])
