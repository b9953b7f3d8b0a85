"""The preset cdp12_olympus: unconfirmed changes of who left early, on hand-worked subjects.

Witness: ClinicalTrials.gov NCT00087529. Who left treatment early before a change could be confirmed
had progressed; who completed it with an unconfirmed change was censored.
"""

from __future__ import annotations

import pandas as pd
import pytest

from pmsstats.cohort import Cohort
from pmsstats.endpoints import derive_endpoint

# Last visits and reason of exit of subjects with EDSS 4.0 at day 0; onset (None: no event), why.
OLYMPUS_HAND = [
    ("left", [4, 4, 5], "dropout", 168, "a change at the last visit of who left early counts"),
    ("left lower", [4, 4, 4.5], "dropout", None, "half a point from 4.0 is no change"),
    ("left later", [5, 4, 4], "dropout", None, "a change that was lost does not count"),
    ("left after two", [4, 5, 5], "dropout", 126, "84 days later confirm, whoever left"),
    ("left within weeks", [4, 5, 5], "dropout", 168, "42 days do not confirm; it is dated last"),
    ("completed", [4, 4, 5], "completed", None, "who completed is censored"),
    ("died", [4, 4, 5], "death", None, "so is who died"),
    ("stayed", [4, 4, 5], None, None, "and who has not left"),
]


@pytest.fixture(scope="module")
def leavers() -> Cohort:
    visits = pd.concat(
        pd.DataFrame({"subject_id": who, "day": [0, 42, 126, 168], "edss": [4, *scores]})
        for who, scores, *_ in OLYMPUS_HAND
    )
    visits.loc[visits["subject_id"].eq("left after two") & visits["day"].eq(168), "day"] = 210
    exits = [(who, 300, reason) for who, _, reason, *_ in OLYMPUS_HAND if reason]
    table = pd.DataFrame(exits, columns=["subject_id", "day", "reason"])
    return Cohort(visits[["subject_id"]].drop_duplicates(), visits, exits=table)


@pytest.mark.parametrize(
    ("who", "onset"), [(row[0], row[3]) for row in OLYMPUS_HAND], ids=[r[4] for r in OLYMPUS_HAND]
)
def test_olympus_by_hand(leavers: Cohort, who: str, onset: int | None) -> None:
    events = derive_endpoint(leavers, "cdp12_olympus").events.set_index("subject_id")
    assert events["event"][who] == (onset is not None)
    assert events["day_onset"].astype(object).where(events["event"], None)[who] == onset


def test_olympus_adds_what_no_visit_confirmed(leavers: Cohort) -> None:
    olympus, plain = (
        derive_endpoint(leavers, name).episodes.set_index("subject_id")
        for name in ("cdp12_olympus", "cdp12")
    )
    assert plain.index.tolist() == ["left after two"]
    imputed = {"left": True, "left after two": False, "left within weeks": True}
    assert olympus["imputed"].to_dict() == imputed
    assert olympus["day_confirmed"].isna().to_dict() == imputed
