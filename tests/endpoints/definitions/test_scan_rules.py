"""Lesions and loss of volume as rules. Witness: sentences written by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pmsstats.endpoints.definitions.scan_rules import (
    LesionEventRule,
    VolumeLossRule,
    scan_sentences,
)
from pmsstats.errors import DesignError


@pytest.mark.parametrize("rule", [LesionEventRule(), VolumeLossRule()], ids=lambda rule: rule.name)
def test_rules_are_frozen_and_can_be_looked_up(rule: object) -> None:
    assert {rule: 1}[dataclasses.replace(rule)] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        rule.name = "other"


def test_one_measure_may_be_named_alone() -> None:
    assert LesionEventRule(measures="gd_lesion_count").measures == ("gd_lesion_count",)


@pytest.mark.parametrize(
    ("rule", "fields", "message"),
    [
        (LesionEventRule, {"measures": ()}, "must name lesion counts"),
        (LesionEventRule, {"measures": (1,)}, "must name lesion counts"),
        (LesionEventRule, {"threshold": -1}, "`threshold` of rule 'lesion'"),
        (LesionEventRule, {"threshold": "0"}, "must be a number of at least 0"),
        (LesionEventRule, {"threshold": float("nan")}, "must be a number of at least 0"),
        (LesionEventRule, {"from_day": -1}, "whole number of days"),
        (LesionEventRule, {"baseline_window_days": 0.5}, "whole number of days"),
        (LesionEventRule, {"from_day": 168, "baseline_window_days": 7}, "has no meaning"),
        (VolumeLossRule, {"from_day": 168, "baseline_window_days": 7}, "has no meaning"),
        (VolumeLossRule, {"outcome": ""}, "`outcome` of a rule must be a text"),
        (VolumeLossRule, {"outcome": "lateral_ventricle_ml"}, "of which more is worse"),
        (VolumeLossRule, {"cutoff_pct_per_year": -0.4}, "without a sign"),
        (VolumeLossRule, {"cutoff_pct_per_year": 100}, "from 0 to 100 % per year"),
        (VolumeLossRule, {"since": "basline"}, "Did you mean 'baseline'"),
        (VolumeLossRule, {"method": "log"}, "one of linear, compound"),
        (VolumeLossRule, {"min_interval_days": None}, "whole number of days"),
    ],
)
def test_rules_are_checked_when_made(rule: type, fields: dict, message: str) -> None:
    with pytest.raises(DesignError, match=message):
        rule(**fields)


def test_days_may_come_from_numpy() -> None:
    assert LesionEventRule(from_day=np.int64(168)).from_day == 168


def test_lesion_definition() -> None:
    assert LesionEventRule(from_day=154).describe() == (
        "First scan with new or enhancing lesions: the first scan after the baseline scan with "
        "`new_t2_count` or `gd_lesion_count` above 0. The baseline scan is the first one at or "
        "after day 154; time runs from day 0 to the scan that shows the event. Subjects without "
        "an event are censored at their last scan that counts."
    )


@pytest.mark.parametrize("rule", [LesionEventRule(), VolumeLossRule(from_day=168)])
def test_sentences_that_scans_share_are_those_of_the_definition(rule: object) -> None:
    assert len(scan_sentences(rule)) == 2
    assert rule.describe().endswith(f". {' '.join(scan_sentences(rule))}")


def test_volume_definition() -> None:
    rule = VolumeLossRule(since="previous", baseline_window_days=14, citation="Someone 2020.")
    assert rule.describe() == (
        "Volume loss above 0.4 % per year: the first scan at which `pbvc_pct` has fallen from the "
        "last scan at least 180 days before by more than 0.4 % per year (linear annualisation; "
        "intervals of fewer than 180 days are not judged). The baseline scan is the last one at "
        "or before day 0, or else the first within 14 days after it; time runs from it (from day "
        "0 where it is not in the data) to the scan that shows the event. Subjects without an "
        "event are censored at their last scan that counts. Source: Someone 2020."
    )
    assert "from the baseline scan by more than" in VolumeLossRule().describe()
