"""Time to events: Cox models, Kaplan-Meier curves."""

from __future__ import annotations

__all__: list[str] = []
