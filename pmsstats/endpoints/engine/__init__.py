"""Array work: visits sorted by subject and day, scanned by compiled code."""

from __future__ import annotations

__all__: list[str] = []
