"""Definitions of endpoints, as checked and frozen data."""

from __future__ import annotations

__all__: list[str] = []
