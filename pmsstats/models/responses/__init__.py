"""Other responses: ordinal scores, counts, generalised estimating equations."""

from __future__ import annotations

__all__: list[str] = []
