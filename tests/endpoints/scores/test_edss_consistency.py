"""Consistency of recorded EDSS; witnesses are hand-worked visits and the MSoutcomes sample."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pmsstats.endpoints.scores.edss_consistency import CHECK_COLUMNS, check_edss
from pmsstats.endpoints.scores.edss_conventions import FS_COLUMNS
from pmsstats.errors import DesignError

SAMPLE_COLUMNS = {
    "ID": "subject_id", "EDSS": "edss", "FSpyr": "fs_pyramidal", "FScrbl": "fs_cerebellar",
    "FSbstem": "fs_brainstem", "FSsens": "fs_sensory", "FSsph": "fs_bowel_bladder",
    "FSvis": "fs_visual", "FScereb": "fs_cerebral", "FSamb": "fs_ambulation",
}  # fmt: skip


def visits(*rows):
    """Return visits with all systems normal but those named, walking unrestricted."""
    normal = dict.fromkeys(FS_COLUMNS, 0.0) | {"fs_ambulation": 0.0}
    return pd.DataFrame(
        [{"subject_id": f"S{n}", "day": 0, **normal, **row} for n, row in enumerate(rows)]
    )


@pytest.mark.parametrize(
    ("row", "severity", "message"),
    [
        ({"edss": 2.0, "fs_pyramidal": 3}, "error", r"EDSS 2.0 .* \(3.0\) .* give 3.0\."),
        ({"edss": 2.5, "fs_pyramidal": 3}, "warning", r"EDSS 2.5 .* give 3.0"),  # one step off
        ({"edss": 0.0, "fs_pyramidal": 1}, "warning", r"EDSS 0.0 .* give 1.0"),  # one step: no 0.5
        ({"edss": 6.0, "fs_ambulation": 8}, "warning", r"ambulation score 8 give 6.5"),
        ({"edss": 4.0, "fs_ambulation": 8}, "error", r"give 6.5"),
        ({"edss": 2.0, "fs_pyramidal": 3, "fs_ambulation": np.nan}, "error",
         r"ambulation \(not recorded\) give 3.0 to 10.0"),
        ({"edss": 1.0, "fs_pyramidal": 3, "fs_visual": np.nan}, "error",
         r"\(incomplete\) .* give 3.0 to 4.5"),
        ({"edss": 4.3}, "error", r"EDSS 4.3 is no score"),
        ({"edss": 0.5}, "error", r"EDSS 0.5 is no score"),
        ({"edss": 0.0, "fs_sensory": 7}, "error", r"fs_sensory is 7, which is no grade from 0 to"),
        ({"edss": 0.0, "fs_ambulation": 17}, "error", r"fs_ambulation is 17, .* 'neurostatus'"),
        ({"edss": 5.5, "fs_pyramidal": 6, "fs_ambulation": 4}, "warning",
         r"below the grade of a single system \(fs_pyramidal 6\)"),
    ],
)  # fmt: skip
def test_each_disagreement_is_told(row, severity, message):
    found = check_edss(visits(row))
    assert list(found.columns) == list(CHECK_COLUMNS)
    assert found["severity"].tolist() == [severity]
    assert found["message"].str.contains(message).all()


@pytest.mark.parametrize(
    "row",
    [
        {"edss": 3.0, "fs_pyramidal": 3},
        {"edss": 7.0, "fs_pyramidal": 3, "fs_ambulation": np.nan},  # walking may be the reason
        {"edss": 2.0, "fs_ambulation": 1},
        {"edss": 4.0, "fs_visual": 6},  # visual 6 counts as 4: no system above the EDSS
        {"edss": np.nan, "fs_pyramidal": 3},  # nothing to check
    ],
)
def test_what_agrees_or_cannot_be_checked_is_not_listed(row):
    assert check_edss(visits(row)).empty


def test_rows_stand_in_the_order_of_the_visits_with_their_index():
    frame = visits({"edss": 4.3, "fs_sensory": 9}, {"edss": 0.0}, {"edss": 1.0}).set_axis([5, 4, 9])
    found = check_edss(frame)
    assert found.index.tolist() == [5, 5, 9]
    assert found["subject_id"].tolist() == ["S0", "S0", "S2"]


def test_the_wrong_ambulation_scale_shows():
    rows = [{"edss": 7.0, "fs_ambulation": 7}, {"edss": 8.0, "fs_ambulation": 9}]
    assert len(check_edss(visits(*rows))) == 2
    assert check_edss(visits(*rows), convention="kurtzke").empty


def test_edss_must_be_there():
    with pytest.raises(DesignError, match="one column 'edss'"):
        check_edss(visits({}))


def test_the_msoutcomes_sample_agrees_but_for_four_visits(data_file):
    frame = pd.read_csv(data_file("msoutcomes_sample.csv")).rename(columns=SAMPLE_COLUMNS)
    frame["day"] = (pd.to_datetime(frame["dateEDSS"]) - pd.Timestamp("1990-01-01")).dt.days
    complete = frame.dropna(subset=["edss", *FS_COLUMNS])
    found = check_edss(complete, convention="kurtzke")
    # its ambulation scores run to 11 and are those of older forms: with them 518 of 522 agree
    assert len(complete) == 522
    assert len(complete.dropna(subset=["fs_ambulation"])) == 308
    assert found[["subject_id", "edss", "edss_low"]].to_numpy().tolist() == [
        ["ipt 05", 2.5, 3.0], ["ipt 24", 1.0, 3.0], ["ipt 26", 3.0, 3.5], ["ipt 32", 2.0, 6.5],
    ]  # fmt: skip
    assert found["severity"].tolist() == ["warning", "error", "warning", "error"]
