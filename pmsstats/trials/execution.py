"""Where blocks are computed: in this process, in local ones, or on a Dask cluster.

The three give the same numbers. A worker that is lost takes its blocks with it; they are computed
anew by another one. Blocks that take little time travel several together, as a parcel; each stays a
block of its own, with its own answer.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import time
import uuid
from collections import Counter
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal, Protocol, TypeAlias

from pmsstats.errors import BackendUnavailableError, DesignError
from pmsstats.trials.blocks import BlockTask, compute_block
from pmsstats.trials.outcomes import BlockOutcome

__all__ = ["Backend", "chosen_backend", "execute", "worker_count"]

Backend: TypeAlias = Literal["serial", "processes", "dask"]
"""Where blocks are computed."""

Finished: TypeAlias = tuple[BlockTask, BlockOutcome]
_MOST_LOSSES = 3  # a block that outlives no worker so often is at fault itself
_PARCELS_WAITING_PER_WORKER = 3  # handed out, so that a worker never waits for the next
_SECONDS_PER_PARCEL = 0.2  # much more than to send it, much less than anyone minds to wait
_SCENARIOS_REMEMBERED = 8  # by a worker
_SECONDS_TO_CONNECT = 5
_SECONDS_IDLE = 120
_QUIET_CLUSTER = {
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.monitor-interval": "2s",
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
    "distributed.scheduler.active-memory-manager.start": False,
}  # what a local cluster watches of itself, many times less often than by default
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


def chosen_backend(
    backend: Backend | None, n_workers: int | None, scheduler: str | None
) -> Backend:
    """Say where blocks are computed, and refuse a contradiction.

    Parameters
    ----------
    backend : {"serial", "processes", "dask"}, optional
        What the user asks for; by default Dask with a scheduler, processes with more than one
        worker, and this process otherwise.
    n_workers : int, optional
        Processes.
    scheduler : str, optional
        Address of a Dask scheduler, as ``"tcp://host:8786"``.

    Returns
    -------
    {"serial", "processes", "dask"}
        The backend.

    Raises
    ------
    DesignError
        If the arguments contradict each other or name no backend.
    """
    if backend not in {None, "serial", "processes", "dask"}:
        raise DesignError(f"`backend` must be 'serial', 'processes' or 'dask', got {backend!r}.")
    if n_workers is not None and (isinstance(n_workers, bool) or n_workers < 1):
        raise DesignError(f"`n_workers` must be 1 or more, got {n_workers!r}.")
    if scheduler is not None and backend not in {None, "dask"}:
        raise DesignError(
            f"`scheduler` is the address of a Dask cluster, but `backend` is {backend!r}. Leave "
            "one of them out."
        )
    if scheduler is not None and n_workers is not None:
        raise DesignError(
            f"`n_workers` ({n_workers!r}) starts local processes, but the cluster of `scheduler` "
            "has its own. Leave one of them out."
        )
    if backend == "serial" and n_workers not in {None, 1}:
        raise DesignError(
            f"`backend='serial'` has one process, but `n_workers` is {n_workers!r}. Ask for "
            "`backend='processes'`."
        )
    if backend is not None:
        return backend
    if scheduler is not None:
        return "dask"
    return "serial" if n_workers in {None, 1} else "processes"


def worker_count(backend: Backend, n_workers: int | None) -> int:
    """Return how many processes work.

    Parameters
    ----------
    backend : {"serial", "processes", "dask"}
        Where.
    n_workers : int, optional
        What the user asks for; the cores of this machine by default.

    Returns
    -------
    int
        At least 1; for a cluster elsewhere the cores of this machine, as a guess.
    """
    import joblib

    return 1 if backend == "serial" else n_workers or joblib.cpu_count()


def execute(
    tasks: Iterable[BlockTask],
    *,
    backend: Backend,
    n_workers: int | None = None,
    scheduler: str | None = None,
) -> Generator[Finished, None, None]:
    """Compute blocks, one task after the other as they are asked for.

    Parameters
    ----------
    tasks : iterable of BlockTask
        Pulled as workers become free, so that it may end early.
    backend : {"serial", "processes", "dask"}
        Where.
    n_workers : int, optional
        Local processes; the cores of this machine by default.
    scheduler : str, optional
        Address of a Dask scheduler; a local cluster by default.

    Returns
    -------
    generator of (BlockTask, BlockOutcome)
        Each task with its answer, in the order in which they are finished. Close it to take back
        what no worker has begun.

    Raises
    ------
    BackendUnavailableError
        If Dask is not installed, no scheduler answers, or blocks lose their workers again and
        again.
    """
    if backend == "serial":
        return _serial(tasks)
    if backend == "processes":
        return _pooled(tasks, _LocalProcesses(worker_count(backend, n_workers)))
    return _pooled(tasks, _DaskCluster(n_workers, scheduler))


def _serial(tasks: Iterable[BlockTask]) -> Generator[Finished, None, None]:
    """Compute in this process, with one thread as in every other."""
    with _one_thread():
        for task in tasks:
            yield task, compute_block(task)


def _one_thread() -> contextlib.AbstractContextManager[Any]:
    """Keep linear algebra from starting threads, where the means are installed.

    Sums of several threads are rounded otherwise than those of one.
    """
    if os.environ.get("OMP_NUM_THREADS") == "1":  # as in local processes and Dask's own
        return contextlib.nullcontext()
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return contextlib.nullcontext()
    return threadpool_limits(1)


class _Parcels:
    """Tasks on their way to workers: some of one scenario at a time, what they share packed once.

    Parameters
    ----------
    tasks : iterable of BlockTask
        Pulled as parcels are asked for.
    """

    def __init__(self, tasks: Iterable[BlockTask]) -> None:
        self._source = iter(tasks)
        self._next = next(self._source, None)
        self._packed: tuple[BlockTask, bytes] | None = None
        self._size = 1

    def take(self) -> list[BlockTask]:
        """Return the next tasks; none where there are no more."""
        if self._packed and self._next and not _same_work(self._packed[0], self._next):
            self._size = 1  # another scenario may take longer
        parcel: list[BlockTask] = []
        while self._next is not None and len(parcel) < self._size:
            if parcel and not _same_work(parcel[0], self._next):
                break
            parcel.append(self._next)
            self._next = next(self._source, None)
        return parcel

    def shared(self, task: BlockTask) -> bytes:
        """Return what a task has in common with others of its scenario, packed."""
        from joblib.externals.loky.backend.reduction import dumps  # of functions of a script, too

        if self._packed is None or not _same_work(self._packed[0], task):
            self._packed = task, bytes(dumps(task))
        return self._packed[1]

    def learn(self, parcel: list[BlockTask], seconds: float) -> None:
        """Send more blocks at once where they take little time."""
        fitting = int(_SECONDS_PER_PARCEL * len(parcel) / max(seconds, 1e-6))
        self._size = max(1, min(fitting, 2 * self._size))


def _same_work(one: BlockTask, other: BlockTask) -> bool:
    """Say whether tasks differ by their replicates alone."""
    return all(
        getattr(one, name) is getattr(other, name)
        for name in ("scenario", "generator", "root", "run_block")
    ) and (one.position, one.version) == (other.position, other.version)


@lru_cache(maxsize=_SCENARIOS_REMEMBERED)
def _unpacked(shared: bytes) -> BlockTask:
    """Unpack a scenario once per worker."""
    task: BlockTask = pickle.loads(shared)  # noqa: S301  # of the process that asks
    return task


def _compute_parcel(shared: bytes, ranges: tuple[tuple[int, int], ...]) -> bytes:
    """Compute in a worker; bytes travel faster than frames, which a scheduler would measure."""
    task, started = _unpacked(shared), time.perf_counter()
    with _one_thread():
        outcomes = [compute_block(replace(task, first=a, last=b)) for a, b in ranges]
    answer = outcomes, time.perf_counter() - started
    return pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)


class _Pool(Protocol):
    """Workers that take parcels and may be lost."""

    n_at_once: int
    losses: tuple[type[BaseException], ...]

    def submit(self, shared: bytes, ranges: tuple[tuple[int, int], ...]) -> Any: ...

    def first_done(self, futures: Collection[Any]) -> Collection[Any]: ...

    def close(self, futures: Collection[Any]) -> None: ...


def _pooled(tasks: Iterable[BlockTask], pool: _Pool) -> Generator[Finished, None, None]:
    """Keep a pool of workers busy; submit the blocks of a lost worker again, one by one."""
    parcels = _Parcels(tasks)
    waiting: dict[Any, list[BlockTask]] = {}
    lost: Counter[tuple[int, int]] = Counter()

    def submit(parcel: list[BlockTask]) -> None:
        ranges = tuple((task.first, task.last) for task in parcel)
        waiting[pool.submit(parcels.shared(parcel[0]), ranges)] = parcel

    try:
        while True:
            while len(waiting) < pool.n_at_once and (parcel := parcels.take()):
                submit(parcel)
            if not waiting:
                return
            again: list[BlockTask] = []
            for future in pool.first_done(waiting.keys()):
                parcel = waiting.pop(future)
                try:
                    packed = future.result()
                except pool.losses as exc:
                    _count_loss(lost, parcel, exc)
                    again += parcel
                    continue
                outcomes, seconds = pickle.loads(packed)  # noqa: S301  # of our own worker
                parcels.learn(parcel, seconds)
                yield from zip(parcel, outcomes, strict=True)
            for task in again:
                submit([task])
    finally:
        pool.close(waiting.keys())


def _count_loss(
    lost: Counter[tuple[int, int]], parcel: list[BlockTask], exc: BaseException
) -> None:
    """Give up a block that outlived no worker."""
    for task in parcel:
        lost[task.position, task.first] += 1
        if lost[task.position, task.first] <= _MOST_LOSSES:
            continue
        raise BackendUnavailableError(
            f"The worker with the replicates {task.first} to {task.last - 1} was lost "
            f"{lost[task.position, task.first]} times ({type(exc).__name__}), perhaps for want of "
            "memory. Ask for a smaller `block_size` or fewer workers; with a `checkpoint` the "
            "finished blocks are kept."
        ) from exc


class _LocalProcesses:
    """Processes of this machine, kept for the next simulation while they are warm."""

    def __init__(self, n_workers: int) -> None:
        from concurrent.futures import CancelledError
        from concurrent.futures.process import BrokenProcessPool

        from joblib.externals.loky.process_executor import ShutdownExecutorError

        self.n_workers = n_workers
        self._executor: Any = None
        self.n_at_once = _PARCELS_WAITING_PER_WORKER * n_workers
        self.losses: tuple[type[BaseException], ...] = (
            BrokenProcessPool, CancelledError, ShutdownExecutorError,
        )  # fmt: skip

    def submit(self, shared: bytes, ranges: tuple[tuple[int, int], ...]) -> Any:
        """Hand out a parcel; a broken pool is replaced by a new one."""
        from joblib.executor import get_memmapping_executor  # the one that joblib.Parallel uses

        for attempt in range(_MOST_LOSSES + 1):
            if self._executor is None:
                self._executor = get_memmapping_executor(
                    self.n_workers, timeout=_SECONDS_IDLE, env=_ONE_THREAD
                )
            try:
                return self._executor.submit(_compute_parcel, shared, ranges)
            except self.losses:  # broken since it was got
                self._executor = None
                if attempt == _MOST_LOSSES:
                    raise
        raise AssertionError

    def first_done(self, futures: Collection[Any]) -> Collection[Any]:
        """Wait for at least one."""
        from concurrent.futures import FIRST_COMPLETED, wait

        return wait(futures, return_when=FIRST_COMPLETED).done

    def close(self, futures: Collection[Any]) -> None:
        """Take back what no worker has begun."""
        for future in futures:
            future.cancel()


class _DaskCluster:
    """Workers of a Dask cluster, on this machine or on others."""

    def __init__(self, n_workers: int | None, scheduler: str | None) -> None:
        distributed = _import_distributed()
        self._wait = distributed.wait
        self._stack = contextlib.ExitStack()
        if scheduler is None:
            scheduler = self._stack.enter_context(_local_cluster(worker_count("dask", n_workers)))
        self._client = self._stack.enter_context(_connected(scheduler))
        self._run = uuid.uuid4().hex  # names tasks, draws nothing
        self._n_submitted = self._ask_again_at = 0
        self._n_threads = 2
        self.losses: tuple[type[BaseException], ...] = (distributed.scheduler.KilledWorker,)

    @property
    def n_at_once(self) -> int:
        """Return how many tasks may wait: workers of a cluster come and go."""
        if self._n_submitted >= self._ask_again_at:
            self._n_threads = max(sum(self._client.nthreads().values()), 2)
            self._ask_again_at = self._n_submitted + self._n_threads
        return _PARCELS_WAITING_PER_WORKER * self._n_threads

    def submit(self, shared: bytes, ranges: tuple[tuple[int, int], ...]) -> Any:
        """Hand out a parcel; Dask itself moves it when its worker is lost."""
        self._n_submitted += 1
        key = f"trials-{self._run}-{self._n_submitted}"
        return self._client.submit(_compute_parcel, shared, ranges, key=key, pure=False)

    def first_done(self, futures: Collection[Any]) -> Collection[Any]:
        """Wait for at least one; notice a scheduler that has gone."""
        from asyncio import CancelledError as LoopCancelledError
        from concurrent.futures import CancelledError

        try:
            with self._client.as_current():
                return self._wait(list(futures), return_when="FIRST_COMPLETED").done
        except (CancelledError, LoopCancelledError, OSError) as exc:
            raise BackendUnavailableError(
                "The Dask scheduler went away during the simulation. With a `checkpoint` the "
                "finished blocks are kept: run again when the cluster is back."
            ) from exc

    def close(self, futures: Collection[Any]) -> None:
        """Take back what is not finished, and stop what was started here."""
        with contextlib.suppress(OSError, TimeoutError), self._stack:
            self._client.cancel(list(futures), force=True)


def _import_distributed() -> Any:
    """Return the Dask scheduler's library."""
    try:
        import distributed
        import distributed.scheduler
    except ImportError as exc:
        raise BackendUnavailableError(
            "`backend='dask'` needs Dask, which is not installed. Install the extra: "
            "pip install 'pmsstats[dask]', or ask for `backend='processes'`."
        ) from exc
    return distributed


@contextlib.contextmanager
def _local_cluster(n_workers: int) -> Iterator[str]:
    """Start a cluster on this machine; yield its address."""
    import logging

    import dask
    import distributed

    try:
        with dask.config.set(_QUIET_CLUSTER):
            cluster = distributed.LocalCluster(
                n_workers=n_workers,
                threads_per_worker=1,
                processes=True,
                dashboard_address=":0",  # any free port: two clusters may stand side by side
                silence_logs=logging.CRITICAL,
            )
    except RuntimeError as exc:
        raise BackendUnavailableError(
            f"A local Dask cluster did not start ({exc}). A script that starts one must keep its "
            'work below `if __name__ == "__main__":`, because its workers import it.'
        ) from exc
    with cluster:
        yield cluster.scheduler_address


@contextlib.contextmanager
def _connected(scheduler: str) -> Iterator[Any]:
    """Connect to a scheduler, or say in seconds that it does not answer."""
    import distributed

    try:
        client = distributed.Client(scheduler, timeout=_SECONDS_TO_CONNECT, set_as_default=False)
    except (OSError, ValueError) as exc:
        raise BackendUnavailableError(
            f"No Dask scheduler answers at `scheduler={scheduler!r}` within "
            f"{_SECONDS_TO_CONNECT} s ({exc}). Check the address and that it runs, or leave "
            "`scheduler` out to start a local cluster."
        ) from exc
    with client:
        yield client
