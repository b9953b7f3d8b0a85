"""The catalogue against other entries of the same values, and derived values against arithmetic.

No record counts as entered twice: the catalogue was typed with the shared table in sight. The
comparison catches slips of the keyboard, not of the reading.
"""

from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy.stats import norm

from pmsstats import evidence

CATALOG = evidence.catalog()
NOT_IN_TABLE = {"wolinsky2004_relapses_ppms"}
"""Read from the abstract itself; the shared table does not have it."""

PRINTED_DIGITS = 0.006
"""Derived values are given to two decimals."""


@pytest.fixture(scope="module")
def published_rows(shared_file):
    with shared_file("evidence/published_effects.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


def test_catalogue_is_not_empty_and_starts_ids_with_their_citation():
    assert len(CATALOG) >= 30
    for record in CATALOG.values():
        prefix = record.citation.key.split("_")[0]
        assert record.id.startswith(f"{prefix}_"), record.id


def test_every_record_was_read_at_its_source():
    assert all(record.is_anchor for record in CATALOG.values())


def test_nothing_claims_a_second_entry_that_did_not_happen():
    assert not any(record.entered_twice for record in CATALOG.values())


@pytest.mark.parametrize("record_id", sorted(set(CATALOG) - NOT_IN_TABLE))
def test_record_equals_the_shared_table(record_id, published_rows):
    record = CATALOG[record_id]
    surname = record.citation.short.rsplit(" ", 1)[0]
    rows = [
        row
        for row in published_rows
        if (row["measure"], row["population"], row["quantity"])
        == (record.measure, record.population, record.quantity)
        and surname in row["source"]
    ]
    assert len(rows) == 1
    (row,) = rows
    assert float(row["value"]) == record.value
    for field in ("sd", "se", "ci_low", "ci_high"):
        assert row[field] == "" or float(row[field]) == getattr(record, field)
        assert (row[field] == "") == (getattr(record, field) is None)
    assert row["verified"] == record.verified
    assert row["units"] == record.units
    assert not row["n"].isdigit() or int(row["n"]) == record.n


def _sd_over_effect(n_per_arm, alpha):
    """Solve n = 2 (sd / effect)^2 (z_alpha/2 + z_beta)^2 at 80 % power."""
    return np.sqrt(n_per_arm / 2) / (norm.ppf(1 - alpha / 2) + norm.ppf(0.8))


def _two_scan_components(n_two_years, reduction):
    """Solve var(change over T years) = T^2 slope^2 + error^2, in multiples of the annual change."""
    at_one = (0.5 * _sd_over_effect(n_two_years / (1 - reduction), 0.05)) ** 2
    at_two = (0.5 * _sd_over_effect(n_two_years, 0.05)) ** 2
    error = (at_one - at_two) / (1 - 1 / 4)
    return np.sqrt(at_one - error), np.sqrt(error)


def _cord_components():
    """Fit the printed squared SDs of percent change on squared years."""
    years, sds = np.array([0.5, 1.0, 1.5, 4.0]), np.array([2.3, 3.0, 3.3, 4.6])
    slope, intercept = np.polyfit(years**2, sds**2, 1)
    return np.sqrt(slope), np.sqrt(intercept / 2)


DERIVED = [
    (
        "azevedo2018_thalamus_slope_sd",
        (0.71 - 0.28) * (_sd_over_effect(100, 0.05) + _sd_over_effect(80, 0.10)) / 2,
    ),
    ("altmann2009_pbvc_slope_sd", _two_scan_components(32, 0.44)[0]),
    ("altmann2009_pbvc_error_sd", _two_scan_components(32, 0.44)[1]),
    ("altmann2009_nbv_error_sd", _two_scan_components(273, 0.71)[1]),
    ("lin2003_cord_slope_sd", _cord_components()[0]),
    ("lin2003_cord_error_sd", _cord_components()[1]),
    ("wolinsky2004_relapses_ppms", 0.039 * 943 / 1904),
]


@pytest.mark.parametrize(("record_id", "expected"), DERIVED)
def test_derived_values_follow_from_the_printed_numbers(record_id, expected):
    assert CATALOG[record_id].value == pytest.approx(expected, abs=PRINTED_DIGITS)


def test_every_derived_value_is_recomputed_here():
    derived = {record.id for record in CATALOG.values() if record.derivation}
    assert derived == {record_id for record_id, _ in DERIVED}
