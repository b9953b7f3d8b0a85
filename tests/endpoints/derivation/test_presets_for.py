"""Which presets a cohort has the data for: what the table says, derivation does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from pmsstats.cohort import Cohort
from pmsstats.endpoints import (
    PRESETS,
    CompositeRule,
    ExitEventRule,
    LesionFree,
    VolumeLossRule,
    derive_endpoint,
    presets_table,
    progression_rule,
)
from pmsstats.endpoints.definitions.data_needs import data_needs
from pmsstats.endpoints.derivation.presets_for import presets_for
from pmsstats.errors import SchemaError

CDP12 = progression_rule("cdp12")
MEASURES = {
    "edss": [4.0, 4.0, 5.0, 5.0, 5.0],
    "t25fw_s": [6.0, 6.0, 8.0, 8.0, 8.0],
    "sdmt": [50.0, 50.0, 40.0, 40.0, 40.0],
    "new_t2_count": [0.0, 0.0, 1.0, 0.0, 0.0],
    "gd_lesion_count": [0.0] * 5,
}


def cohort_of(*measures: str, relapses: pd.DataFrame | None = None) -> Cohort:
    """A walks with an EDSS from 4, B with one from 2.5."""
    visits = pd.DataFrame({"subject_id": "A", "day": [0, 84, 168, 252, 336]})
    visits = visits.assign(**{name: MEASURES[name] for name in measures})
    better = visits.assign(subject_id="B", edss=visits["edss"] - 1.5)
    subjects = pd.DataFrame({"subject_id": ["A", "B"]})
    return Cohort(subjects, pd.concat([visits, better]), relapses=relapses)


@pytest.mark.parametrize("measures", [("edss",), ("edss", "t25fw_s"), tuple(MEASURES)])
def test_what_is_called_derivable_is_derived(measures):
    cohort = cohort_of(*measures)
    table = presets_for(cohort).set_index("name")
    assert list(table.index) == list(PRESETS)
    assert table["is_derivable"].nunique() == 2
    for name in table.index[table["is_derivable"]]:
        assert derive_endpoint(cohort, name).n_subjects > 0
    for name, missing in table.loc[~table["is_derivable"], "missing"].items():
        with pytest.raises(SchemaError) as caught:
            derive_endpoint(cohort, name)
        assert any(f"'{column}'" in str(caught.value) for column in missing.split(", "))


def test_a_column_without_values_is_missing():
    cohort = cohort_of("edss", "sdmt")
    visits = cohort.visits.assign(sdmt=np.nan)
    table = presets_for(Cohort(cohort.subjects, visits)).set_index("name")
    assert table.loc["sdmt4", ["is_derivable", "missing"]].tolist() == [False, "sdmt"]


def test_tables_without_rows_are_told():
    table = presets_for(cohort_of("edss")).set_index("name")
    assert table.loc["pira_mueller2023", "empty_tables"] == "relapses"
    assert table.loc["cdp12", "empty_tables"] == ""
    relapses = pd.DataFrame({"subject_id": ["A"], "day": [100]})
    table = presets_for(cohort_of("edss", relapses=relapses)).set_index("name")
    assert (table["empty_tables"].str.contains("relapses")).sum() == 0


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({}, ("edss",)),
        ({"threshold_from": "edss_screening"}, ("edss", "edss_screening")),
        ({"confirmation_visits": "scheduled"}, ("edss", "scheduled")),
        ({"relapse_to_onset_days": 30}, ("edss", "relapses")),
        ({"relapse_to_confirmation_days": (0, 30)}, ("edss", "relapses")),
        ({"classify_relapses": True, "lesion_free": LesionFree()},
         ("edss", "new_t2_count", "gd_lesion_count", "relapses")),
    ],
)  # fmt: skip
def test_needs_of_a_rule(changes, needs):
    assert data_needs(replace(CDP12, **changes)) == needs


def test_needs_of_parts_stand_once():
    exits, loss = ExitEventRule(reasons=("death",)), VolumeLossRule(outcome="brain_volume_ml")
    parts = (CDP12, replace(CDP12, name="late", confirm_weeks=24), exits, loss)
    rule = CompositeRule(name="any", parts=parts)
    assert data_needs(rule) == ("edss", "exits", "brain_volume_ml")


def test_the_table_of_presets_names_the_same():
    outcome = presets_table().set_index("name")["outcome"].str.split(", ").map(set)
    assert outcome.map(len).min() >= 1
    for name, rule in PRESETS.items():
        assert outcome[name] <= set(data_needs(rule))
