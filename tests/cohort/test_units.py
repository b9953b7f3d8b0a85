"""Units: factors are the definitions of the units (SI brochure; Julian year of 365.25 days)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pmsstats.cohort.schema import default_dictionary
from pmsstats.cohort.units import conversion_factor, convertible_units, unit_of_name
from pmsstats.errors import SchemaError

# unit, into, factor by definition
DEFINITIONS = [
    ("mm3", "ml", 1e-3),
    ("mm^3", "ml", 1e-3),
    ("mm\u00b3", "ml", 1e-3),
    ("cm3", "ml", 1.0),
    ("\u00b5l", "ml", 1e-3),
    ("L", "ml", 1e3),
    ("mL", "ml", 1.0),
    ("cm2", "mm2", 1e2),
    ("mm\u00b2", "cm2", 1e-2),
    ("minutes", "s", 60.0),
    ("ms", "s", 1e-3),
    ("hours", "s", 3600.0),
    ("weeks", "days", 7.0),
    ("months", "days", 365.25 / 12),
    ("years", "days", 365.25),
    ("Year", "days", 365.25),
    ("fraction", "%", 100.0),
    ("percent", "fraction", 0.01),
    ("fraction", "pu", 100.0),
    ("ng/l", "pg/ml", 1.0),
    ("ug/L", "pg/ml", 1e3),
    ("ng/mL", "pg/ml", 1e3),
    ("umol/l", "mmol/l", 1e-3),
    ("cm", "mm", 10.0),
    ("feet", "m", 0.3048),
    ("ppm", "ppb", 1e3),
    ("Hz", "1/s", 1.0),
    ("1/ms", "1/s", 1e3),
    ("mm2/s", "10^-3 mm2/s", 1e3),
    ("um2/ms", "10^-3 mm2/s", 1.0),
    ("10^-6 mm2/s", "10^-3 mm2/s", 1e-3),
    ("x10-3 mm2/s", "10^-3 mm2/s", 1.0),
]
EXACT = 1e-15  # factors are products of few decimals, correct to the last bit or two


@pytest.mark.parametrize(("unit", "into", "factor"), DEFINITIONS)
def test_factor_is_the_definition(unit: str, into: str, factor: float) -> None:
    assert conversion_factor(unit, into) == pytest.approx(factor, rel=EXACT)


@given(st.sampled_from(["ml", "mm2", "days", "pg/ml", "%", "s", "10^-3 mm2/s"]), st.data())
def test_there_and_back_again(into: str, data: st.DataObject) -> None:
    unit = data.draw(st.sampled_from(convertible_units(into)))
    product = conversion_factor(unit, into) * conversion_factor(into, unit)
    assert product == pytest.approx(1.0, rel=1e-14)  # two roundings to 15 digits


REFUSED = [
    ("mm2", "ml", ["measures area", "measures volume", "mm3", "cm3"]),
    ("mll", "ml", ["no known unit", "Did you mean 'ml'?", "mm3"]),
    ("mm3", "", ["has no unit"]),
    ("mm3", "lesions", ["nothing converts"]),
]


@pytest.mark.parametrize(("unit", "into", "said"), REFUSED)
def test_wrong_unit_lists_what_converts(unit: str, into: str, said: list[str]) -> None:
    with pytest.raises(SchemaError) as caught:
        conversion_factor(unit, into)
    for part in [repr(unit), *said]:
        assert part in str(caught.value)


COUNTED = {"", "lesions", "foci", "letters"}  # counts have nothing to convert from


def test_every_unit_of_the_dictionary_converts() -> None:
    units = {measure.unit for measure in default_dictionary().values()} - COUNTED
    assert units
    alone = [unit for unit in units if convertible_units(unit) == (unit,)]
    assert alone == []


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("age_years", "years"),
        ("snfl_pg_ml", "pg/ml"),
        ("thalamus_ml", "ml"),
        ("sex", ""),
        ("s", ""),
    ],
)
def test_unit_of_a_name(name: str, unit: str) -> None:
    assert unit_of_name(name) == unit
