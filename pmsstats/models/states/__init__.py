"""Multi-state models: movement between disability states seen at visits, and errors of rating."""

from __future__ import annotations

__all__: list[str] = []
