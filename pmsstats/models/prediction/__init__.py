"""Dynamic prediction of events: survival given a history, and how good such predictions are."""

from __future__ import annotations

__all__: list[str] = []
