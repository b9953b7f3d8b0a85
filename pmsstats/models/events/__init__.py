"""Time to events: Cox models, and the checks of all survival data."""

from __future__ import annotations

__all__: list[str] = []
