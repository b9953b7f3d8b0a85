"""Trials simulated by the thousand, on as many machines as there are."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Literal, overload

import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.provenance import package_version
from pmsstats.seeds import Seed, as_seed_sequence
from pmsstats.trials.blocks import BlockTask, TrialEngine, default_block_size
from pmsstats.trials.checkpoint import Checkpoint
from pmsstats.trials.comparison import DesignComparison, named_scenarios
from pmsstats.trials.execution import Backend, chosen_backend, execute, worker_count
from pmsstats.trials.gathering import Gathering, StoppingRule
from pmsstats.trials.operating import (
    failure_ledger,
    final_answers,
    operating_characteristics,
)
from pmsstats.trials.progress import Progress, ProgressReporter, reporter
from pmsstats.trials.result import SimulationResult, made_by
from pmsstats.trials.scenario import Scenario
from pmsstats.trials.truths import SUBJECTS_OF_TRUTH, true_values, truth_key

__all__ = ["SimulationRequest", "compare_designs", "simulate_trials", "simulate_with"]


@dataclass(frozen=True, kw_only=True)
class SimulationRequest:
    """How to simulate; see :func:`simulate_trials`.

    Parameters
    ----------
    n_replicates : int
        Trials, at most.
    backend : {"serial", "processes", "dask"}, optional
        Where.
    n_workers : int, optional
        Local processes.
    scheduler : str, optional
        Address of a Dask scheduler.
    block_size : int, optional
        Replicates per task.
    checkpoint : str or pathlib.Path, optional
        Folder.
    target_mcse : float or mapping of str to float, optional
        Monte Carlo standard errors that are small enough.
    min_replicates : int
        Before a target counts.
    progress : bool or callable, optional
        Who is told.
    truth : bool or int
        Whether, or from how many subjects, to find true values.
    keep : {"trials", "estimates"}
        Rows of estimates to keep.
    """

    n_replicates: int = 10_000
    backend: Backend | None = None
    n_workers: int | None = None
    scheduler: str | None = None
    block_size: int | None = None
    checkpoint: str | Path | None = None
    target_mcse: float | Mapping[str, float] | None = None
    min_replicates: int = 1000
    progress: bool | ProgressReporter | None = None
    truth: bool | int = True
    keep: Literal["trials", "estimates"] = "trials"

    def __post_init__(self) -> None:
        """Check what can be checked before any work."""
        chosen_backend(self.backend, self.n_workers, self.scheduler)
        self.rule()
        if self.block_size is not None and (
            isinstance(self.block_size, bool) or self.block_size < 1
        ):
            raise DesignError(f"`block_size` must be 1 or more, got {self.block_size!r}.")
        if self.keep not in {"trials", "estimates"}:
            raise DesignError(f"`keep` must be 'trials' or 'estimates', got {self.keep!r}.")
        if not isinstance(self.truth, bool) and self.truth < 100:
            raise DesignError(
                "`truth` must be True, False or a number of subjects of 100 or more, "
                f"got {self.truth!r}."
            )

    def rule(self) -> StoppingRule:
        """Return when there are enough replicates."""
        target = self.target_mcse
        targets = target if isinstance(target, Mapping) else {"power": target} if target else {}
        if target is not None and not isinstance(target, Mapping) and not target > 0:
            raise DesignError(f"`target_mcse` must be above 0, got {target!r}.")
        return StoppingRule(
            n_replicates=self.n_replicates, targets=targets, min_replicates=self.min_replicates
        )

    @property
    def subjects_of_truth(self) -> int:
        """Return how many subjects the very large trial has; 0: none."""
        if isinstance(self.truth, bool):
            return SUBJECTS_OF_TRUTH if self.truth else 0
        return self.truth


@overload
def simulate_trials(
    scenario: Scenario, generator: Any, n_replicates: int = ..., seed: Seed | None = ...,
    **how: Any,
) -> SimulationResult: ...  # fmt: skip


@overload
def simulate_trials(
    scenario: Sequence[Scenario], generator: Any, n_replicates: int = ...,
    seed: Seed | None = ..., **how: Any,
) -> DesignComparison: ...  # fmt: skip


def simulate_trials(
    scenario: Scenario | Sequence[Scenario],
    generator: Any,
    n_replicates: int = 10_000,
    seed: Seed | None = None,
    *,
    backend: Backend | None = None,
    n_workers: int | None = None,
    scheduler: str | None = None,
    block_size: int | None = None,
    checkpoint: str | Path | None = None,
    target_mcse: float | Mapping[str, float] | None = None,
    min_replicates: int = 1000,
    progress: bool | ProgressReporter | None = None,
    truth: bool | int = True,
    keep: Literal["trials", "estimates"] = "trials",
) -> SimulationResult | DesignComparison:
    """Simulate a trial many times, and say how it behaves.

    Parameters
    ----------
    scenario : Scenario or sequence of Scenario
        The trial; several are simulated together and put side by side.
    generator : callable
        Makes the data: ``generator(scenario, seed, first=, last=, arm=) -> TrialArrays``, as
        ``synthetic.generate_trials``.
    n_replicates : int, default 10000
        Trials to simulate, at most.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Required. The same seed gives the same bytes, wherever and in whatever blocks it runs.
    backend : {"serial", "processes", "dask"}, optional
        Where: in this process, in local ones (joblib's), or on a Dask cluster. By default Dask if
        there is a `scheduler`, processes if `n_workers` is above 1, else this process. Scripts
        that start a local Dask cluster need ``if __name__ == "__main__":``.
    n_workers : int, optional
        Local processes; one per core by default.
    scheduler : str, optional
        Address of a Dask scheduler, ``"tcp://host:8786"``; ``backend="dask"`` without it starts a
        cluster on this machine.
    block_size : int, optional
        Replicates per task; by default so many that a block is small in memory and each worker
        gets several. Results do not depend on it.
    checkpoint : str or pathlib.Path, optional
        Folder that keeps finished blocks. The same call goes on from there; more replicates,
        another block size or backend are welcome, another scenario, seed, generator or version of
        the package is refused.
    target_mcse : float or mapping of str to float, optional
        Stop when the Monte Carlo standard error of the power (float), or of each quantity named,
        is this small in the primary analysis: ``{"power": 0.004, "coverage": 0.003}``. Asked
        after each 500 replicates in their order.
    min_replicates : int, default 1000
        Before that is asked.
    progress : bool or callable, optional
        True writes a line with the time that remains to standard error; a callable is given a
        :class:`Progress` after each block. By default an interactive session alone is told.
    truth : bool or int, default True
        Find the true value of each estimand, from the scenario, the generator, or a very large
        complete trial (of as many subjects as the number says; 200,000 by default).
    keep : {"trials", "estimates"}, default "trials"
        Keep the estimates of every look of each trial, or the final ones alone.

    Returns
    -------
    SimulationResult or DesignComparison
        The latter for several scenarios, in which replicate r of each uses the same streams.

    Raises
    ------
    DesignError
        If arguments contradict each other, the generator cannot make the scenario, or the
        checkpoint is of another run.
    ConvergenceError
        If more analyses fail than the scenario's `max_failure_rate`.
    BackendUnavailableError
        If Dask is not installed, its scheduler does not answer, or workers are lost again and
        again.
    CheckpointError
        If the checkpoint cannot be written.

    Notes
    -----
    The work is cut into blocks of replicates; each stream of random numbers is spawned from the
    seed by what it is for and by its replicates. A block whose worker is lost is computed again by
    another.

    References
    ----------
    .. [1] Morris TP, White IR, Crowther MJ. Using simulation studies to evaluate statistical
       methods. Stat Med 2019;38:2074-2102. doi:10.1002/sim.8086
    """
    request = SimulationRequest(
        n_replicates=n_replicates, backend=backend, n_workers=n_workers, scheduler=scheduler,
        block_size=block_size, checkpoint=checkpoint, target_mcse=target_mcse,
        min_replicates=min_replicates, progress=progress, truth=truth, keep=keep,
    )  # fmt: skip
    root = as_seed_sequence(seed)  # type: ignore[arg-type]  # None is refused there
    _check(scenario)
    return simulate_with(_engine(), scenario, generator, root, request)


def _check(scenario: Scenario | Sequence[Scenario]) -> None:
    """Refuse looks and rules that contradict each other, before any work."""
    from pmsstats.trials.rules import check_rules

    for one in (scenario,) if isinstance(scenario, Scenario) else scenario:
        with _named(one):
            check_rules(one)


@contextmanager
def _named(scenario: Scenario) -> Iterator[None]:
    """Say which scenario an error is about."""
    try:
        yield
    except DesignError as exc:
        raise DesignError(f"In the scenario {scenario.name!r}: {exc}") from exc


def compare_designs(
    designs: Mapping[str, Scenario],
    generator: Any,
    n_replicates: int = 10_000,
    seed: Seed | None = None,
    **how: Any,
) -> DesignComparison:
    """Simulate several designs and put them side by side.

    Parameters
    ----------
    designs : mapping of str to Scenario
        Designs by name.
    generator : callable
        See :func:`simulate_trials`.
    n_replicates : int, default 10000
        Of each design, at most.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Required; all designs use it.
    **how : object
        Further arguments of :func:`simulate_trials`.

    Returns
    -------
    DesignComparison
        With the result of each design.
    """
    return simulate_trials(named_scenarios(designs), generator, n_replicates, seed, **how)


def _engine() -> TrialEngine:
    """Return the steps of a trial; they load compiled code, so they are imported late."""
    from pmsstats.trials.analyses import analyse
    from pmsstats.trials.course import run_block

    return TrialEngine(run_block=run_block, analyse=analyse)


def simulate_with(
    engine: TrialEngine,
    scenario: Scenario | Sequence[Scenario],
    generator: Any,
    seed: Seed,
    request: SimulationRequest,
) -> SimulationResult | DesignComparison:
    """Simulate with given steps.

    Parameters
    ----------
    engine : TrialEngine
        How a block is run, and how an analysis is made.
    scenario : Scenario or sequence of Scenario
        The trial, or several.
    generator : callable
        Makes the data.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Root of every stream.
    request : SimulationRequest
        Everything else.

    Returns
    -------
    SimulationResult or DesignComparison
        See :func:`simulate_trials`.
    """
    root = as_seed_sequence(seed)
    scenarios = (scenario,) if isinstance(scenario, Scenario) else tuple(scenario)
    names = [s.name for s in scenarios]
    if not scenarios or len(set(names)) < len(names):
        raise DesignError(
            f"`scenario` must be one or more with different names (`name`), got {names!r}."
        )
    tasks = [
        BlockTask(
            position=i, scenario=one, generator=generator, root=root, first=0,
            last=request.n_replicates, run_block=engine.run_block, version=package_version(),
        )
        for i, one in enumerate(scenarios)
    ]  # fmt: skip
    tell = reporter(request.progress)
    runs = [
        _opened(task, engine, request, _folder(request, scenarios, task.position)) for task in tasks
    ]
    _run(runs, request, tell)
    identity = made_by(generator, root)
    results = tuple(_finished(run, identity, request) for run in runs)
    if isinstance(scenario, Scenario):
        return results[0]
    return DesignComparison(names=tuple(names), results=results)


def _opened(
    task: BlockTask, engine: TrialEngine, request: SimulationRequest, folder: Path | None
) -> Gathering:
    """Open a scenario's checkpoint, find the truth, and read what is done."""
    kept = None
    if folder is not None:
        kept = Checkpoint(folder, scenario=task.scenario, generator=task.generator, root=task.root)
    with _named(task.scenario):
        truth = _truth(task, engine, request.subjects_of_truth, kept)
    return Gathering(task, rule=request.rule(), truth=truth, checkpoint=kept)


def _folder(request: SimulationRequest, scenarios: Sequence[Scenario], i: int) -> Path | None:
    """Return where a scenario's blocks are kept: each of several has a folder of its own."""
    if request.checkpoint is None:
        return None
    folder = Path(request.checkpoint)
    return folder if len(scenarios) == 1 else folder / f"{i + 1:02d}-{_slug(scenarios[i].name)}"


def _slug(name: str) -> str:
    """Return a name that any file system takes."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "design"


def _truth(
    task: BlockTask, engine: TrialEngine, n_subjects: int, kept: Checkpoint | None
) -> pd.DataFrame | None:
    """Find true values once, whatever the number of runs that a simulation takes."""
    if not n_subjects:
        return None

    def compute() -> pd.DataFrame:
        return true_values(task.scenario, task.generator, task.root, engine, n_subjects=n_subjects)

    return kept.truth(compute, truth_key(task.scenario, n_subjects)) if kept else compute()


def _run(runs: Sequence[Gathering], request: SimulationRequest, tell: ProgressReporter) -> None:
    """Simulate what is still to do."""
    started = time.monotonic()
    backend = chosen_backend(request.backend, request.n_workers, request.scheduler)
    if all(run.is_finished for run in runs):
        tell(_state(runs, runs[-1], started, is_final=True))
        return
    workers = worker_count(backend, request.n_workers)

    def waiting() -> Iterator[BlockTask]:
        for run in runs:
            size = request.block_size or default_block_size(
                run.scenario, request.n_replicates, workers
            )
            yield from run.tasks(size)

    tasks = waiting()
    first = next(tasks)
    done = execute(
        chain([first], tasks),
        backend=backend,
        n_workers=request.n_workers,
        scheduler=request.scheduler,
    )
    with closing(done):
        for task, outcome in done:
            run = runs[task.position]
            run.accept(task, outcome)
            is_final = all(r.is_finished for r in runs)
            tell(_state(runs, run, started, is_final=is_final))
            if is_final:
                return


def _state(
    runs: Sequence[Gathering], last: Gathering, started: float, *, is_final: bool
) -> Progress:
    """Return where a simulation stands."""
    n_done = sum(min(run.n_done, run.n_wanted) for run in runs)
    power = last.n_success / last.n_done if last.n_done else float("nan")
    return Progress(
        n_done=n_done,
        n_total=sum(run.n_wanted for run in runs),
        n_resumed=sum(min(run.n_resumed, run.n_wanted) for run in runs),
        seconds=time.monotonic() - started,
        power=power,
        mcse=(power * (1 - power) / last.n_done) ** 0.5 if last.n_done else float("nan"),
        is_final=is_final,
    )


def _finished(
    run: Gathering, identity: tuple[str, str], request: SimulationRequest
) -> SimulationResult:
    """Sum up a scenario."""
    outcome = run.joined()
    columns = ["analysis", "comparison", "value", "std_error", "source"]
    truth = pd.DataFrame(columns=columns) if run.truth is None else run.truth
    estimates = outcome.estimates
    return SimulationResult(
        scenario=run.scenario,
        generator=identity[0],
        seed=identity[1],
        n_replicates=run.n_wanted,
        n_requested=request.n_replicates,
        stopped_because="target" if run.met_target else "all replicates",
        operating=operating_characteristics(run.scenario, outcome, run.truth),
        truth=truth,
        failures=failure_ledger(outcome),
        estimates=estimates if request.keep == "trials" else final_answers(estimates),
        trials=outcome.trials,
        arms=outcome.arms,
    )
