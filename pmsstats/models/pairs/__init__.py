"""Two outcomes together: bivariate mixed models, and how their true slopes go together."""

from __future__ import annotations

from pmsstats.models.pairs.pair import fit_pair
from pmsstats.models.pairs.pair_result import PairResult
from pmsstats.models.pairs.pair_spec import PairSpec

__all__ = ["PairResult", "PairSpec", "fit_pair"]
