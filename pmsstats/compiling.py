"""Numeric functions compiled by numba, where that is installed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["IS_COMPILED", "compiled"]

numba: Any = None
if os.environ.get("PMSSTATS_NO_NUMBA") != "1":
    with contextlib.suppress(ImportError):
        import numba

IS_COMPILED: bool = numba is not None
"""Whether numba is used: where it is installed, unless ``PMSSTATS_NO_NUMBA=1`` forbids it."""


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a numeric function where numba is there.

    Parameters
    ----------
    function : callable
        Of arrays and numbers.

    Returns
    -------
    callable
        Releases the interpreter lock; kept on disk where that can be written to.
    """
    if numba is None:
        return function
    _forget_stale(Path(function.__code__.co_filename))
    options = {"nogil": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # no folder that could keep it
        return numba.njit(**options)(function)


def _forget_stale(module: Path) -> None:
    """Remove kept code that is older than a source: numba only looks at the function's own.

    Compiled functions call those of their own folder, so every module there is a source.
    """
    with contextlib.suppress(OSError, ValueError):
        sources = [Path(__file__), *module.parent.glob("*.py")]
        newest = max(source.stat().st_mtime for source in sources)
        for kept in (module.parent / "__pycache__").glob(f"{module.stem}.*.nbi"):
            if kept.stat().st_mtime < newest:
                kept.unlink(missing_ok=True)
