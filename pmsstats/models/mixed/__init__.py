"""Linear mixed models: likelihoods, engines' common ground, inference, batches, criticism."""

from __future__ import annotations

__all__: list[str] = []
