"""Whether the event of a definition is a worsening: each kind of rule, by hand."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from pmsstats.cohort import Cohort, Measure
from pmsstats.cohort.schema import default_dictionary
from pmsstats.endpoints import (
    AbsoluteThreshold,
    CompositeRule,
    ExitEventRule,
    LesionEventRule,
    ProgressionRule,
    RecordedEventRule,
    RelapseEventRule,
    VolumeLossRule,
    preset,
    progression_rule,
)
from pmsstats.errors import SchemaError
from pmsstats.multiverse.direction import change_of

CDP12, CDI12 = progression_rule("cdp12"), progression_rule("cdi12")
RELAPSE, DEATH = RelapseEventRule(), ExitEventRule(reasons=("death",), name="death")
LEFT = ExitEventRule(reasons=("death", "dropout"))
RECORDED = RecordedEventRule(duration="days", event="seen")


def composite(*parts) -> CompositeRule:
    return CompositeRule(name="composite", parts=parts)


def two_points(outcome: str, direction: str) -> ProgressionRule:
    return ProgressionRule(
        name="own", outcome=outcome, threshold=AbsoluteThreshold(change=2.0), direction=direction
    )


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    visits = pd.DataFrame(
        {"subject_id": ["A", "A"], "day": [0, 84], "edss": 4.0, "sdmt": 50.0, "mood": 3.0}
    )
    own = Measure(name="mood", label="Mood")
    return Cohort(
        pd.DataFrame({"subject_id": ["A"]}),
        visits,
        dictionary=default_dictionary().extend(own),
    )


@pytest.mark.parametrize(
    ("rule", "change", "why"),
    [
        (CDP12, "worsening", "a higher EDSS is worse"),
        (CDI12, "improvement", "a lower one is better"),
        (replace(CDP12, events="first_either"), "mixed", "whichever comes first"),
        (two_points("sdmt", "decrease"), "worsening", "fewer symbols are worse"),
        (two_points("sdmt", "increase"), "improvement", "more are better"),
        (two_points("mood", "decrease"), "worsening", "the dictionary does not say: as the rule"),
        (RELAPSE, "worsening", "relapse"),
        (LesionEventRule(), "worsening", "lesions"),
        (VolumeLossRule(), "worsening", "loss"),
        (DEATH, "worsening", "death"),
        (LEFT, "unspecified", "dropout has many reasons"),
        (RECORDED, "unspecified", "nobody said what was recorded"),
        (composite(CDP12, RELAPSE, DEATH), "worsening", "all are"),
        (composite(CDP12, CDI12), "mixed", "they differ"),
        (composite(CDP12, CDI12, RECORDED), "unspecified", "one of them is"),
        (composite(composite(CDI12, two_points("sdmt", "increase")), CDP12), "mixed", "nested"),
    ],
)  # fmt: skip
def test_change(cohort, rule, change, why):
    assert change_of(rule, cohort) == change, why


def test_a_measure_that_was_not_taken(cohort):
    with pytest.raises(SchemaError, match="t25fw_s"):
        change_of(preset("t25fw20"), cohort)
