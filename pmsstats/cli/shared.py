"""What the commands share: errors as messages, steps as they begin, common options, folders."""

from __future__ import annotations

import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from pmsstats.errors import PMSStatsError, PMSStatsWarning

BAD_INPUT = 2
DEFECT = 1


class Steps:
    """Print each step as it begins, on standard error, with the time since the start."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = 0
        self.start = time.monotonic()

    def __call__(self, label: str) -> None:
        """Announce a step."""
        self.done += 1
        seconds = time.monotonic() - self.start
        click.echo(f"[{self.done}/{self.total}] {seconds:5.1f} s  {label}", err=True)


@contextmanager
def explained(*, verbose: bool) -> Iterator[None]:
    """Turn errors into one message and an exit code, and warnings into notes."""

    def note(message: Warning | str, category: type[Warning], *_: Any, **__: Any) -> None:
        if verbose or issubclass(category, PMSStatsWarning):
            click.echo(f"Note: {message}", err=True)

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always" if verbose else "default")
            warnings.showwarning = note
            yield
    except BrokenPipeError:
        raise
    except (PMSStatsError, OSError) as exc:
        _fail(exc, f"Error: {exc}", BAD_INPUT, verbose=verbose)
    except click.exceptions.ClickException:
        raise
    except Exception as exc:  # noqa: BLE001 - the last line of defence: no traceback unasked
        what = f"{type(exc).__name__}: {exc}"
        told = f"Error: this is a defect in pmsstats, not in your input: {what}"
        _fail(exc, f"{told}\nRun again with --verbose and report it.", DEFECT, verbose=verbose)


def _fail(exc: Exception, message: str, code: int, *, verbose: bool) -> None:
    """Print a message (after the traceback, if asked for) and leave."""
    if verbose:
        traceback.print_exception(exc, file=sys.stderr)
    click.echo(message, err=True)
    sys.exit(code)


def verbose_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--verbose``."""
    text = "Show every warning, and the traceback of an error."
    return click.option("--verbose", is_flag=True, help=text)(command)


def data_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--data``."""
    kind = click.Path(exists=True, file_okay=False, path_type=Path)
    text = "Folder that the tables' paths are relative to [default: that of the study file]."
    return click.option("--data", "data_dir", type=kind, help=text)(command)


def out_option(default: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Add ``--out`` with a default folder."""
    kind = click.Path(file_okay=False, path_type=Path)
    return click.option(
        "--out", "out", type=kind, default=default, show_default=True, help="Folder to write to."
    )


@contextmanager
def folder(out: Path) -> Iterator[None]:
    """Make a folder before the work for it, so that it cannot fail late; leave none if it fails."""
    is_new = not out.exists()
    out.mkdir(parents=True, exist_ok=True)
    try:
        yield
    except BaseException:
        if is_new:
            with suppress(OSError):  # something is in it already, such as a checkpoint
                out.rmdir()
        raise
