"""The mapping of all declared checks, and what holds of each of its later sections.

Witness: the shared list of findings (which rows are simulable), and the direction of each finding
in the registry.
"""

from __future__ import annotations

import pandas as pd
import pytest
from review_checks import DIRECTIONAL, expectations

from pmsstats.cohort import default_dictionary
from pmsstats.errors import DesignError
from pmsstats.evidence import finding
from pmsstats.validation.checks import (
    CHECKS,
    by_finding,
    cerebellum,
    cord,
    cord_atrophy,
    deep_grey,
    outlook,
    trials_atrophy,
)

MODULES = (cord, cord_atrophy, cerebellum, deep_grey, outlook, trials_atrophy)
MINE = {check.finding: check for module in MODULES for check in module.CHECKS}
NONE = [name for name in MINE if finding(name).direction == "no_difference"]
POINTED = [name for name in MINE if finding(name).direction in DIRECTIONAL]
assert NONE
assert POINTED


def test_every_simulable_finding_has_one_check(shared_file):
    rows = pd.read_csv(
        shared_file("evidence/review_findings.csv"), dtype=str, keep_default_na=False
    )
    simulable = rows.loc[rows["simulable"].str.startswith("yes"), "id"]
    assert sorted(CHECKS) == sorted(simulable)


def test_a_finding_with_two_checks_is_refused():
    with pytest.raises(DesignError, match="has two checks"):
        by_finding(cord.CHECKS, cord.CHECKS)


@pytest.mark.parametrize("name", NONE)
def test_no_difference_is_claimed_as_equivalence(name):
    assert expectations(MINE[name]) == {"none"}


@pytest.mark.parametrize("name", POINTED)
def test_a_direction_is_claimed_as_a_direction(name):
    assert "none" not in expectations(MINE[name])


@pytest.mark.parametrize("name", MINE)
def test_the_registry_calls_it_simulable(name):
    assert finding(name).status == "simulable"


@pytest.mark.parametrize("name", MINE)
def test_measures_are_known(name):
    assert set(MINE[name].measures) <= set(default_dictionary())


@pytest.mark.parametrize("name", MINE)
def test_the_design_says_where_it_was_read(name):
    source = MINE[name].design.source
    assert any(word in source for word in ("abstract", "assumed", "randomised", "analysed"))
