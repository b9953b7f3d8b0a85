"""One statistic for every time that a benchmark prints: the median of several runs."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable

import numba


def median_seconds(call: Callable[[], object], repeats: int) -> float:
    """Run some times; return the median of the seconds."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def machine() -> str:
    """Say on how many cores, and with how many threads, this is measured."""
    blas = os.environ.get("OMP_NUM_THREADS", "all")
    return f"{os.cpu_count()} cores; {blas} BLAS thread(s); numba {numba.__version__}"
