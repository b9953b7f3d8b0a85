"""From a cohort and a definition to time to event."""

from __future__ import annotations

__all__: list[str] = []
