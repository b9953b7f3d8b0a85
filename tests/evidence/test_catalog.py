"""The catalogue against other entries of the same values, and derived values against arithmetic.

First entry: the shared table, typed by others; the catalogue was made from it, so this comparison
catches slips of copying. Second entry: figures read in abstracts before their value in the table
was seen (``tests/reference/published_figures``); only these count as entered twice.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from pmsstats import evidence

CATALOG = evidence.catalog()
NOT_IN_TABLE = {"wolinsky2004_relapses_ppms"}
"""Read from the abstract itself; the shared table does not have it."""

SECOND_ENTRY = Path(__file__).parents[1] / "reference" / "published_figures" / "second_entry.csv"
SPREADS = ("sd", "se", "ci_low", "ci_high")
TEXTS = ("measure", "population", "quantity", "units", "followup", "verified", "where")

YEAR_NOT_IN_TABLE = ("olympus_registry", "oratorio_extension", "opfer2025")
"""Citations whose year the shared table does not give."""

ABBREVIATED = ("hbm2021", "msdd2017")
"""Citations without authors, whose journal the shared table abbreviates in another way."""

SETTLED = {
    "chataway2014_brain_arm_difference_spms": "the table has the loss spared, the abstract a sign",
    "kapoor2010_ccv_yearly_spms_lamotrigine": "what is printed as SD is negative, so it is none",
    "kapoor2010_ccv_yearly_spms_placebo": "what is printed as SD is negative, so it is none",
} | {
    f"calabrese2010_cerebellar_cortex_mean_{phenotype}": "unlabelled +-, by its size an error"
    for phenotype in ("hc", "cis", "rrms", "spms", "ppms")
}
"""Second entries that differ from the catalogue, and why the catalogue stands."""

PRINTED_DIGITS = 0.006
"""Derived values are given to two decimals."""

ONE_DIGIT = 0.06
"""One derived value is given to one decimal."""


def _number(cell):
    """Read a number; None where there is none."""
    try:
        return float(cell)
    except ValueError:
        return None


def _as_row(record):
    """Write a record as the shared table has it."""
    return (
        *(getattr(record, name) for name in TEXTS),
        record.value,
        record.text,
        *(getattr(record, name) for name in SPREADS),
        record.n,
        record.n_text,
    )


def _from_row(row):
    """Read a row of the shared table in the same order."""
    value, is_count = _number(row["value"]), row["n"].isdigit()
    return (
        *(row[name] for name in TEXTS),
        value,
        row["value"] * (value is None),
        *(_number(row[name]) for name in SPREADS),
        int(row["n"]) if is_count else None,
        row["n"] * (not is_count),
    )


@pytest.fixture(scope="module")
def published_rows(shared_file):
    with shared_file("evidence/published_effects.csv").open(encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle))


@pytest.fixture(scope="module")
def second_entries():
    with SECOND_ENTRY.open(encoding="utf-8", newline="") as handle:
        return {row["id"]: row for row in csv.DictReader(handle)}


def test_ids_start_with_their_citation():
    assert len(CATALOG) >= 300
    for record in CATALOG.values():
        prefix = record.citation.key.split("_")[0]
        assert record.id.startswith(f"{prefix}_"), record.id


def test_catalogue_equals_the_shared_table_row_by_row(published_rows):
    ours = Counter(_as_row(r) for r in CATALOG.values() if r.id not in NOT_IN_TABLE)
    theirs = Counter(_from_row(row) for row in published_rows)
    assert ours - theirs == Counter()
    assert theirs - ours == Counter()


def test_citations_are_those_of_the_shared_table(published_rows):
    by_row = {_from_row(row): row["source"] for row in published_rows}
    ours = (r for r in CATALOG.values() if r.id not in NOT_IN_TABLE)
    named = [r for r in ours if r.citation.key not in ABBREVIATED]
    assert len(named) > 280
    for record in named:
        source = by_row[_as_row(record)].casefold()
        first_word = record.citation.short.rsplit(" ", 1)[0].split(maxsplit=1)[0].casefold()
        assert first_word in source, record.id
        assert str(record.citation.year) in source or record.citation.key in YEAR_NOT_IN_TABLE


def test_only_second_entries_count_as_entered_twice(second_entries):
    claimed = {record.id for record in CATALOG.values() if record.entered_twice}
    assert claimed == set(second_entries)
    assert len(claimed) >= 60


def test_second_entries_agree_with_the_catalogue(second_entries):
    agrees = {}
    for record_id, row in second_entries.items():
        record = CATALOG[record_id]
        read = [_number(row[name]) for name in ("value", *SPREADS)]
        ours = [record.value, *(getattr(record, name) for name in SPREADS)]
        agrees[record_id] = read == ours
    assert {record_id for record_id, same in agrees.items() if not same} == set(SETTLED)


def test_a_settled_difference_is_one_of_sign_or_of_a_spread_left_out(second_entries):
    for record_id in SETTLED:
        assert abs(_number(second_entries[record_id]["value"])) == abs(CATALOG[record_id].value)


def _sd_over_effect(n_per_arm, alpha):
    """Solve n = 2 (sd / effect)^2 (z_alpha/2 + z_beta)^2 at 80 % power."""
    return np.sqrt(n_per_arm / 2) / (norm.ppf(1 - alpha / 2) + norm.ppf(0.8))


def _two_scan_components(n_two_years, reduction):
    """Solve var(change over T years) = T^2 slope^2 + error^2, in multiples of the annual change."""
    at_one = (0.5 * _sd_over_effect(n_two_years / (1 - reduction), 0.05)) ** 2
    at_two = (0.5 * _sd_over_effect(n_two_years, 0.05)) ** 2
    error = (at_one - at_two) / (1 - 1 / 4)
    return np.sqrt(at_one - error), np.sqrt(error)


def _cord_components(sds):
    """Fit the printed squared SDs of percent change on squared years."""
    years = np.array([0.5, 1.0, 1.5, 4.0])
    slope, intercept = np.polyfit(years**2, np.square(sds), 1)
    return np.sqrt(slope), np.sqrt(intercept / 2)


CORD_PLACEBO, CORD_IFN = (2.3, 3.0, 3.3, 4.6), (3.6, 3.3, 3.6, 5.6)

DERIVED = [
    (
        "azevedo2018_thalamus_slope_sd",
        (0.71 - 0.28) * (_sd_over_effect(100, 0.05) + _sd_over_effect(80, 0.10)) / 2,
    ),
    ("altmann2009_pbvc_slope_sd", _two_scan_components(32, 0.44)[0]),
    ("altmann2009_pbvc_error_sd", _two_scan_components(32, 0.44)[1]),
    ("altmann2009_ccv_slope_sd_spms", _two_scan_components(69, 0.55)[0]),
    ("altmann2009_ccv_error_sd_spms", _two_scan_components(69, 0.55)[1]),
    ("altmann2009_nbv_slope_sd_spms", _two_scan_components(273, 0.71)[0]),
    ("altmann2009_nbv_error_sd", _two_scan_components(273, 0.71)[1]),
    ("altmann2009_pbvc_sd_over_mean_spms", 0.5 * _sd_over_effect(32, 0.05)),
    ("altmann2009_ccv_sd_over_mean_spms", 0.5 * _sd_over_effect(69, 0.05)),
    ("altmann2009_nbv_sd_over_mean_spms", 0.5 * _sd_over_effect(273, 0.05)),
    ("cawley2018_cord_sd_over_mean_ppms", 0.5 * _sd_over_effect(57, 0.05)),
    ("cawley2018_cord_sd_over_mean_spms", 0.5 * _sd_over_effect(546, 0.05)),
    ("lin2003_cord_slope_sd", _cord_components(CORD_PLACEBO)[0]),
    ("lin2003_cord_error_sd", _cord_components(CORD_PLACEBO)[1]),
    ("lin2003_cord_slope_sd_ifn", _cord_components(CORD_IFN)[0]),
    ("lin2003_cord_error_sd_ifn", _cord_components(CORD_IFN)[1]),
    ("wolinsky2004_relapses_ppms", 0.039 * 943 / 1904),
]
SD_OF_CHANGE = (1.15 + 2.56) / (2 * norm.ppf(0.975)) / np.sqrt(1 / 52 + 1 / 56)
"""From the printed interval of the difference between two arms (Kapoor 2010)."""


@pytest.mark.parametrize(("record_id", "expected"), DERIVED)
def test_derived_values_follow_from_the_printed_numbers(record_id, expected):
    assert CATALOG[record_id].value == pytest.approx(expected, abs=PRINTED_DIGITS)


def test_sd_of_change_follows_from_the_printed_interval():
    derived = CATALOG["kapoor2010_ccv_change_sd_spms"].value
    assert derived == pytest.approx(SD_OF_CHANGE, abs=ONE_DIGIT)


def test_every_derived_value_is_recomputed_here():
    derived = {record.id for record in CATALOG.values() if record.derivation}
    assert derived == {record_id for record_id, _ in DERIVED} | {"kapoor2010_ccv_change_sd_spms"}
