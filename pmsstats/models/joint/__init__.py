"""Joint models of longitudinal markers and events: trajectories that share their effects."""

from __future__ import annotations

__all__: list[str] = []
