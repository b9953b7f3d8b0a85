"""Events that can happen again: rate models, mean number of events."""

from __future__ import annotations

__all__: list[str] = []
