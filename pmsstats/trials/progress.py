"""How far a simulation is: one line to the terminal, or a call to whoever wants to know."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Progress", "ProgressReporter", "progress_line", "reporter"]

STARTING = "starting (the first run on a machine compiles for up to a minute)"

_SECONDS_BETWEEN_LINES = 0.2
_SECONDS_BETWEEN_LOG_LINES = 10.0


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a simulation stands.

    Parameters
    ----------
    n_done, n_total : int
        Replicates finished, and at most to do, over all scenarios.
    n_resumed : int
        Those of `n_done` that were read from a checkpoint.
    seconds : float
        Since the start.
    power : float
        Share of successes so far (of the scenario last worked on).
    mcse : float
        Its Monte Carlo standard error.
    is_final : bool
        Whether the run is over.
    """

    n_done: int
    n_total: int
    n_resumed: int
    seconds: float
    power: float
    mcse: float
    is_final: bool = False

    @property
    def rate(self) -> float:
        """Replicates per second, those of a checkpoint left out."""
        return (self.n_done - self.n_resumed) / self.seconds if self.seconds > 0 else 0.0

    @property
    def remaining_seconds(self) -> float:
        """Time until the end at this rate; infinite before the first block."""
        return (self.n_total - self.n_done) / self.rate if self.rate > 0 else math.inf


ProgressReporter = Callable[[Progress], None]
"""Is told after each finished block."""


def progress_line(state: Progress) -> str:
    """Say in one line where a simulation stands.

    Parameters
    ----------
    state : Progress
        Where it stands.

    Returns
    -------
    str
        Without a line break.

    Examples
    --------
    >>> progress_line(
    ...     Progress(n_done=500, n_total=2000, n_resumed=0, seconds=10.0, power=0.8, mcse=0.0179)
    ... )
    '500 / 2000 trials, 50 per second, 0:30 left, success 80.0 % (Monte Carlo error 1.8 %)'
    """
    left = state.remaining_seconds
    if state.is_final:
        when = f"done in {_clock(state.seconds)}"
    else:
        when = f"{_clock(left)} left" if math.isfinite(left) else "starting"
    rate = f"{state.rate:.0f}" if state.rate >= 10 else f"{state.rate:.2g}"
    line = f"{state.n_done} / {state.n_total} trials, {rate} per second, {when}"
    if math.isnan(state.power):
        return line
    return f"{line}, success {100 * state.power:.1f} % (Monte Carlo error {100 * state.mcse:.1f} %)"


def _clock(seconds: float) -> str:
    """Show a time as minutes and seconds, with hours where there are some."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def reporter(progress: bool | ProgressReporter | None) -> ProgressReporter:
    """Return who is told.

    Parameters
    ----------
    progress : bool or callable, optional
        A callable is told after each block; True writes to standard error, on one line where that
        is a terminal and every ten seconds where it is a file, and says at once that it starts;
        False is silent; None writes in an interactive session alone.

    Returns
    -------
    callable
        Takes a :class:`Progress`.
    """
    if callable(progress):
        return progress
    wanted = hasattr(sys, "ps1") and sys.stderr.isatty() if progress is None else progress
    if not wanted:
        return _say_nothing
    line = _Line()
    line.write(STARTING, is_last=True)
    return line


def _say_nothing(state: Progress) -> None:
    """Be silent."""


class _Line:
    """One line on standard error, written over and over."""

    def __init__(self) -> None:
        self._last = -math.inf
        self._width = 0

    def __call__(self, state: Progress) -> None:
        """Write the line, not too often."""
        now, on_screen = time.monotonic(), sys.stderr.isatty()
        wait = _SECONDS_BETWEEN_LINES if on_screen else _SECONDS_BETWEEN_LOG_LINES
        if now - self._last < wait and not state.is_final:
            return
        self._last = now
        self.write(progress_line(state), is_last=state.is_final)

    def write(self, line: str, *, is_last: bool = False) -> None:
        """Write over the line before, on a terminal; below it, elsewhere."""
        on_screen = sys.stderr.isatty()
        padded = line.ljust(self._width) if on_screen else line
        self._width = 0 if is_last else len(line)
        end = "\n" if is_last or not on_screen else ""
        sys.stderr.write(("\r" if on_screen else "") + padded + end)
        sys.stderr.flush()
