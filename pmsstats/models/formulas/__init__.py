"""Formulas and design matrices: text to columns of full rank, safely."""

from __future__ import annotations

__all__: list[str] = []
