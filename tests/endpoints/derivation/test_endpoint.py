"""The one door to all endpoints: a rule, a table, or the name of a preset."""

from __future__ import annotations

import pandas as pd
import pytest

from pmsstats.cohort import Cohort, Measure, default_dictionary
from pmsstats.endpoints import (
    PRESETS,
    CompositeRule,
    ExitEventRule,
    LesionEventRule,
    RecordedEventRule,
    RelapseEventRule,
    VolumeLossRule,
    derive_endpoint,
)
from pmsstats.errors import DesignError

OWN = default_dictionary().extend(
    Measure(name="rating", label="Clinical rating", worsening="higher"),
)
DEATH = ExitEventRule(reasons=("death",))


@pytest.fixture
def cohort() -> Cohort:
    """S1 progresses at day 84 (confirmed 168), has everything else and dies; S2 has nothing."""
    return Cohort(
        pd.DataFrame({"subject_id": ["S1", "S2"], "days": [84, 168], "happened": [1, 0]}),
        pd.DataFrame(
            {
                "subject_id": ["S1"] * 3 + ["S2"] * 3,
                "day": [0, 84, 168] * 2,
                "edss": [4.0, 5.0, 5.0, 4.0, 4.0, 4.5],
                "rating": [1.0, 1.5, 1.5, 1.0, 1.0, 1.0],
                "new_t2_count": [0, 0, 2, 0, 0, 0],
                "thalamus_ml": [14.0, 14.0, 13.5, 14.0, 14.0, 14.0],
            }
        ),
        relapses=pd.DataFrame({"subject_id": ["S1"], "day": [100]}),
        exits=pd.DataFrame({"subject_id": ["S1"], "day": [170], "reason": ["death"]}),
        dictionary=OWN,
    )


@pytest.mark.parametrize(
    ("rule", "duration"),
    [
        ("cdp12", 84),
        (PRESETS["cdp12"], 84),
        ({"preset": "cdp12"}, 84),
        ({"measure": "rating", "change": 0.5, "confirm_weeks": 12}, 84),
        ({"kind": "recorded", "duration": "days", "event": "happened"}, 84),
        (RecordedEventRule(duration="days", event="happened"), 84),
        ({"kind": "exit", "reasons": ["death"]}, 170),
        (DEATH, 170),
        ({"kind": "relapse"}, 100),
        (RelapseEventRule(), 100),
        ({"kind": "lesion", "measures": ["new_t2_count"]}, 168),
        (LesionEventRule(measures=("new_t2_count",)), 168),
        ({"kind": "volume_loss", "measure": "thalamus_ml", "min_interval_days": 90}, 168),
        (VolumeLossRule(outcome="thalamus_ml", min_interval_days=90), 168),
        ({"kind": "composite", "name": "one", "parts": ["cdp12", {"kind": "relapse"}]}, 84),
        (CompositeRule(name="both", parts=(PRESETS["cdp12"], DEATH), require="all"), 170),
    ],
)
def test_one_door(rule: object, duration: int, cohort: Cohort) -> None:
    events = derive_endpoint(cohort, rule).table()
    assert events["event"].tolist() == [True, False]
    assert events["duration"].tolist() == [duration, 168]


@pytest.mark.parametrize("rule", [12, None, ["cdp12"]])
def test_what_is_no_rule(rule: object, cohort: Cohort) -> None:
    with pytest.raises(DesignError, match="must be a rule, the name of a preset, or a table"):
        derive_endpoint(cohort, rule)
