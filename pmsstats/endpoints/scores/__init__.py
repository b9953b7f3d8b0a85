"""Scores from what was measured: EDSS, functional systems, timed tests, MSFC, annual change."""

from __future__ import annotations

__all__: list[str] = []
