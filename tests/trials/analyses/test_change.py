"""Changes at a visit under strategies: worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from trial_cases import analysis_of

from tests.trials.analyses.small_trials import CLOSED, INF, run, small

STOPS = np.array([[INF, INF, INF, 168.0, 200.0, INF]])


RESCUE = np.array([[INF, INF, INF, INF, 100.0, INF]])


ROWS = [
    [10.0, 9.0, 8.0], [10.0, 9.5, 8.5], [10.0, 9.9, 9.0], [10.0, 9.7, 6.0], [10.0, 9.2, 5.0],
    [10.0, 9.6, 9.2],
]  # fmt: skip


STOPPED = small(
    ROWS, [0, 0, 0, 1, 1, 1], intercurrent={"discontinuation": STOPS, "rescue": RESCUE}
)  # fmt: skip


CASES = [
    ("a value on the day of stopping counts", {"discontinuation": "hypothetical"}, {"week": 24},
     np.mean([-0.3, -0.8, -0.4]) - np.mean([-1.0, -0.5, -0.1])),
    ("who stops after the visit has not failed", {"discontinuation": "composite"},
     {"week": 24, "failure_change": -9.0}, np.mean([-9.0, -0.8, -0.4]) - np.mean([-1, -0.5, -0.1])),
    ("nothing is carried past an event with another strategy",
     {"discontinuation": "while_on_treatment", "rescue": "hypothetical"}, {},
     np.mean([-0.3, -0.8]) - np.mean([-2.0, -1.5, -1.0])),
]  # fmt: skip


@pytest.mark.parametrize(("what", "strategies", "options", "expected"), CASES,
                         ids=[c[0] for c in CASES])  # fmt: skip
def test_changes_by_hand(what, strategies, options, expected):
    analysis = analysis_of("change", strategies=strategies, options=options)
    batch = run(analysis, STOPPED, events=("discontinuation", "rescue"))
    assert batch.estimate[0, 0] == pytest.approx(expected, rel=CLOSED)
