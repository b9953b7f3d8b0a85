"""Curves without a model: survival, competing causes, and the tests that compare them."""

from __future__ import annotations

__all__: list[str] = []
