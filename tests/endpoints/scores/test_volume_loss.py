"""Cut-offs of brain volume loss; witnesses are the abstracts in which they stand."""

from __future__ import annotations

import numpy as np
import pytest

from pmsstats.endpoints.scores.volume_loss import (
    BRAIN_VOLUME_LOSS_CUTOFFS,
    VolumeLossCutoff,
    exceeds_loss,
)
from pmsstats.errors import DesignError


def test_published_cutoffs():
    # NEDA-4: a loss of at most 0.4 %; De Stefano 2016: 80, 90 and 95 % specificity
    assert {n: c.percent_per_year for n, c in BRAIN_VOLUME_LOSS_CUTOFFS.items()} == {
        "neda4": 0.4, "specificity_80": 0.40, "specificity_90": 0.46, "specificity_95": 0.52,
    }  # fmt: skip
    assert all(name == c.name and c.citation for name, c in BRAIN_VOLUME_LOSS_CUTOFFS.items())


@pytest.mark.parametrize(
    ("change", "above"),
    [(-0.41, True), (-0.4, False), (-0.39, False), (0.0, False), (0.5, False), (np.nan, False)],
)
def test_more_than_the_cutoff_is_above(change, above):
    assert exceeds_loss(change, 0.4) == above


@pytest.mark.parametrize("days", [365.25, 730.5, 1461.0])
def test_exactly_the_cutoff_is_not_above_whatever_binary_fractions_say(days):
    years = days / 365.25
    losses = [100 * ((1500 - 1500 * 0.004 * years) - 1500) / 1500 / years for _ in range(3)]
    assert not exceeds_loss(losses, 0.4).any()


@pytest.mark.parametrize("loss", [0, -0.4, np.nan, np.inf, True, "0.4"])
def test_a_cutoff_is_a_loss_without_sign(loss):
    with pytest.raises(DesignError, match="must be a loss above 0, without sign"):
        VolumeLossCutoff(name="own", percent_per_year=loss)
