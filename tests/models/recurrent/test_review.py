"""Review of recurrent events: what no other test would have noticed."""

from __future__ import annotations

import pandas as pd

from pmsstats.models.recurrent.mean_function import MeanFunctionSpec, estimate_mean_function


def test_a_mean_function_begins_where_observation_does() -> None:
    data = pd.DataFrame(
        {"subject_id": ["S1", "S2"], "start": [2.0, 3.0], "stop": [5.0, 6.0], "event": [1, 1]}
    )
    curve = estimate_mean_function(data, MeanFunctionSpec()).curves()
    assert curve["duration"].tolist() == [2.0, 5.0, 6.0]
    assert curve["mean_events"].tolist() == [0.0, 0.5, 1.5]
    assert curve["n_at_risk"].tolist() == [1, 2, 1]
