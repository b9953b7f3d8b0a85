"""The event table as shown: witnesses are rows worked by hand."""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest

from pmsstats.cohort import Cohort
from pmsstats.endpoints import derive_endpoint
from pmsstats.endpoints.derivation.event_display import event_display

COHORT = Cohort(
    pd.DataFrame({"subject_id": ["S1", "S2", "S3"]}),
    pd.DataFrame(
        {
            "subject_id": ["S1"] * 4 + ["S2"] * 2 + ["S3"] * 2,
            "day": [0, 84, 170, 260, 0, 90, 0, 90],
            "edss": [4.0, 4.5, 5.0, 5.0, 3.5, 3.5, 3.5, 5.0],
        }
    ),
    relapses=pd.DataFrame({"subject_id": ["S1"], "day": [200]}),
    exits=pd.DataFrame({"subject_id": ["S2"], "day": [100], "reason": ["dropout"]}),
)


def test_progression_by_hand() -> None:
    shown = event_display(derive_endpoint(COHORT, "cdp12").events)
    assert list(shown.columns) == [
        "subject_id", "baseline_value", "status", "duration", "interval", "day_confirmed", "reason",
    ]  # fmt: skip
    assert shown.to_numpy().tolist() == [
        ["S1", "4", "event", "170", "85 to 170", "260", ""],
        ["S2", "3.5", "censored", "90", "", "", "no event up to the last visit; left: dropout"],
        ["S3", "3.5", "censored", "90", "", "", "change at the last visit not confirmed"],
    ]


def test_an_event_seen_exactly_has_one_day() -> None:
    shown = event_display(derive_endpoint(COHORT, {"kind": "relapse", "name": "relapse"}).events)
    assert shown["interval"].tolist() == ["200", "", ""]
    assert "baseline_value" not in shown


@pytest.mark.parametrize("column", ["relapse_class", "component"])
def test_columns_are_shown_where_somebody_has_a_value(column: str) -> None:
    result = derive_endpoint(COHORT, "cdp12")
    events = result.events.assign(**{column: ["RAW", "", ""]})
    assert event_display(events)[column].tolist() == ["RAW", "", ""]
    assert column not in event_display(dataclasses.replace(result).events)


def test_a_result_shows_itself_so() -> None:
    result = derive_endpoint(COHORT, "cdp12")
    pd.testing.assert_frame_equal(result.display(), event_display(result.events))
    assert "<th>interval</th>" in result._repr_html_()
    assert "interval_left" not in result._repr_html_()
