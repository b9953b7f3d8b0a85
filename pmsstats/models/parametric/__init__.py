"""Parametric models of times to events: accelerated failure times, flexible hazards."""

from __future__ import annotations

__all__: list[str] = []
