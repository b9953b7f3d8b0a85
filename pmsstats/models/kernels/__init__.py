"""Inner loops, compiled by numba where that is installed."""

from __future__ import annotations

__all__: list[str] = []
