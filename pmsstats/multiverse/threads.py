"""The same work on many items, in as many threads as asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["in_threads"]

Item = TypeVar("Item")
Answer = TypeVar("Answer")


def in_threads(
    function: Callable[[Item], Answer], items: Sequence[Item], n_jobs: int
) -> list[Answer]:
    """Apply a function to all items, in as many threads as asked for.

    Parameters
    ----------
    function : callable
        Of one item.
    items : sequence
        What it is applied to.
    n_jobs : int
        Threads; one is the caller's own.

    Returns
    -------
    list
        Answers in the order of the items.
    """
    if n_jobs == 1:
        return [function(item) for item in items]
    with ThreadPoolExecutor(max_workers=n_jobs) as pool:
        return list(pool.map(function, items))
