"""Every definition at once: how an endpoint's definition moves the result."""

from __future__ import annotations

from pmsstats.multiverse.derive import derive_multiverse
from pmsstats.multiverse.result import MultiverseResult
from pmsstats.multiverse.rule_grid import RuleGrid, rule_grid
from pmsstats.multiverse.spec import MultiverseSpec

__all__ = ["MultiverseResult", "MultiverseSpec", "RuleGrid", "derive_multiverse", "rule_grid"]
