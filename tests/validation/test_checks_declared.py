"""What holds of every declared check of white matter, cortex and trials of tissue.

Witness: the shared list of findings (which rows are simulable) and the direction of each finding
in the registry.
"""

from __future__ import annotations

import pytest
from review_checks import DIRECTIONAL, expectations, simulable_ids

from pmsstats.cohort import default_dictionary
from pmsstats.evidence import finding
from pmsstats.validation.checks import cortex, trials_tissue, white_matter

TISSUE = ("mtr", "dti", "mrs", "dir_psir", "pet_tspo")
ROWS = [
    (white_matter.CHECKS, ("wm",), ()),
    (cortex.CHECKS, ("cortex",), ()),
    (trials_tissue.CHECKS, ("trials",), TISSUE),
]
CHECKS = {check.finding: check for checks, _, _ in ROWS for check in checks}
NONE = [name for name in CHECKS if finding(name).direction == "no_difference"]
POINTED = [name for name in CHECKS if finding(name).direction in DIRECTIONAL]


@pytest.mark.parametrize(("checks", "sections", "techniques"), ROWS)
def test_every_simulable_row_has_one_check(shared_file, checks, sections, techniques):
    path = shared_file("evidence/review_findings.csv")
    rows = simulable_ids(path, sections, techniques)
    assert sorted(check.finding for check in checks) == sorted(rows)


@pytest.mark.parametrize("name", NONE)
def test_no_difference_is_claimed_as_equivalence(name):
    assert expectations(CHECKS[name]) == {"none"}


@pytest.mark.parametrize("name", POINTED)
def test_a_direction_is_claimed_as_a_direction(name):
    assert "none" not in expectations(CHECKS[name])


@pytest.mark.parametrize("name", CHECKS)
def test_the_registry_calls_it_simulable(name):
    assert finding(name).status == "simulable"


@pytest.mark.parametrize("name", CHECKS)
def test_measures_are_known_and_the_design_has_a_source(name):
    check = CHECKS[name]
    source = check.design.source
    assert set(check.measures) <= set(default_dictionary())
    assert "assumed" in source or "abstract" in source
