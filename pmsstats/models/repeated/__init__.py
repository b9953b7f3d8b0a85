"""Mixed models for repeated measures: covariance structures, likelihood, inference, batches."""

from __future__ import annotations

__all__: list[str] = []
