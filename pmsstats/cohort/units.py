"""Units of measurement: which convert into which, and by what factor."""

from __future__ import annotations

from pmsstats.errors import SchemaError, nearest

__all__ = ["conversion_factor", "convertible_units", "unit_of_name"]

_DAY = 86_400.0
_MONTH = 365.25 / 12 * _DAY

# Size of each unit in the base unit of its dimension, which comes first.
_DIMENSIONS: dict[str, dict[str, float]] = {
    "volume": {
        "ml": 1.0, "cm3": 1.0, "cc": 1.0, "l": 1e3, "dl": 1e2, "cl": 1e1, "ul": 1e-3, "mm3": 1e-3,
        "nl": 1e-6, "dm3": 1e3,
    },
    "area": {"mm2": 1.0, "cm2": 1e2, "dm2": 1e4, "m2": 1e6, "um2": 1e-6},
    "length": {
        "mm": 1.0, "cm": 1e1, "dm": 1e2, "m": 1e3, "km": 1e6, "um": 1e-3, "nm": 1e-6, "ft": 304.8,
        "in": 25.4,
    },
    "mass": {"g": 1.0, "kg": 1e3, "mg": 1e-3, "ug": 1e-6, "ng": 1e-9, "pg": 1e-12},
    "time": {
        "s": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0, "days": _DAY,
        "weeks": 7 * _DAY, "months": _MONTH, "years": 12 * _MONTH,
    },
    "rate": {"1/s": 1.0, "hz": 1.0, "khz": 1e3, "1/ms": 1e3, "1/min": 1 / 60},
    "diffusivity": {
        "10^-3 mm2/s": 1.0, "um2/ms": 1.0, "mm2/s": 1e3, "cm2/s": 1e5, "m2/s": 1e9,
        "um2/s": 1e-3, "10^-6 mm2/s": 1e-3, "10^-9 m2/s": 1.0, "10^-4 mm2/s": 0.1,
    },
    "share": {"%": 1.0, "pu": 1.0, "fraction": 1e2, "permille": 0.1},
    "susceptibility": {"ppb": 1.0, "ppm": 1e3},
    "mass concentration": {
        "pg/ml": 1.0, "fg/ml": 1e-3, "ng/ml": 1e3, "ug/ml": 1e6, "mg/ml": 1e9, "pg/l": 1e-3,
        "ng/l": 1.0, "ug/l": 1e3, "mg/l": 1e6, "g/l": 1e9, "ng/dl": 1e1, "ug/dl": 1e4,
        "mg/dl": 1e7, "g/dl": 1e10,
    },
    "amount concentration": {
        "mmol/l": 1.0, "mol/l": 1e3, "umol/l": 1e-3, "nmol/l": 1e-6, "pmol/l": 1e-9,
        "mmol/ml": 1e3, "umol/ml": 1.0,
    },
}  # fmt: skip

_UNITS = {
    unit: (dimension, size)
    for dimension, units in _DIMENSIONS.items()
    for unit, size in units.items()
}

_SPELLINGS = {
    "sec": "s", "secs": "s", "second": "s", "seconds": "s", "msec": "ms", "milliseconds": "ms",
    "minute": "min", "minutes": "min", "mins": "min", "hour": "h", "hours": "h", "d": "days",
    "day": "days", "w": "weeks", "week": "weeks", "wk": "weeks", "wks": "weeks",
    "month": "months", "mo": "months", "y": "years", "yr": "years", "yrs": "years",
    "year": "years", "a": "years", "pct": "%", "percent": "%", "per cent": "%",
    "percentage units": "pu", "proportion": "fraction", "ratio": "fraction",
    "litre": "l", "liter": "l", "litres": "l", "liters": "l", "millilitre": "ml",
    "milliliter": "ml", "microlitre": "ul", "microliter": "ul", "metre": "m", "meter": "m",
    "metres": "m", "meters": "m", "feet": "ft", "foot": "ft", "inch": "in", "inches": "in",
    "s-1": "1/s", "sec-1": "1/s", "ms-1": "1/ms", "mumol/l": "umol/l",
}  # fmt: skip
_TYPOGRAPHY = str.maketrans(
    {"\u00b5": "u", "\u03bc": "u", "\u00b2": "2", "\u00b3": "3", "\u207b": "-", "\u00b9": "1"}
)
_POWERS = {"1e-3 ": "10^-3 ", "x10-3 ": "10^-3 ", "10-3 ": "10^-3 ", "10-6 ": "10^-6 "}


def _canonical(unit: str) -> str:
    """Bring a unit to the spelling of the table: case, micro sign, superscripts, long names."""
    text = " ".join(unit.translate(_TYPOGRAPHY).casefold().replace("*", " ").split())
    for written, power in _POWERS.items():
        text = text.replace(written, power)
    if not text.startswith("10^"):
        text = text.replace("^", "")
    return _SPELLINGS.get(text, text)


def convertible_units(unit: str) -> tuple[str, ...]:
    """List the units that convert into a unit.

    Parameters
    ----------
    unit : str
        For example ``"ml"``.

    Returns
    -------
    tuple of str
        All units of its dimension; only itself if it is not in the table.

    Examples
    --------
    >>> convertible_units("mm2")
    ('mm2', 'cm2', 'dm2', 'm2', 'um2')
    """
    name = _canonical(unit)
    return tuple(_DIMENSIONS[_UNITS[name][0]]) if name in _UNITS else (unit,)


def conversion_factor(unit: str, into: str) -> float:
    """Return the factor that turns values in one unit into another.

    Parameters
    ----------
    unit : str
        Unit of the values; case, the micro sign, superscripts and long names do not matter.
    into : str
        Unit that is wanted.

    Returns
    -------
    float
        Multiply by it.

    Raises
    ------
    SchemaError
        If the unit is unknown, or does not measure the same thing.

    Examples
    --------
    >>> conversion_factor("mm3", "ml"), conversion_factor("minutes", "s")
    (0.001, 60.0)
    """
    found, wanted = _canonical(unit), _canonical(into)
    if found == wanted:
        return 1.0
    listed = ", ".join(convertible_units(into))
    if wanted not in _UNITS:
        raise SchemaError(
            f"{unit!r} cannot be converted: the measure "
            + (f"is in {into!r}, into which nothing converts." if into else "has no unit.")
        )
    if found not in _UNITS:
        hint = nearest(found, [*_UNITS, *_SPELLINGS])
        raise SchemaError(f"{unit!r} is no known unit.{hint} Into {into!r} convert: {listed}.")
    if _UNITS[found][0] != _UNITS[wanted][0]:
        raise SchemaError(
            f"{unit!r} measures {_UNITS[found][0]}, but {into!r} measures {_UNITS[wanted][0]}. "
            f"Into {into!r} convert: {listed}."
        )
    return _round_ratio(_UNITS[found][1], _UNITS[wanted][1])


def _round_ratio(size: float, wanted: float) -> float:
    """Divide without the rounding error of sizes such as 0.1, so that 1000 mm3 are 1 ml."""
    return float(f"{size / wanted:.15g}")


def unit_of_name(column: str) -> str:
    """Return the unit that the end of a column name states.

    Parameters
    ----------
    column : str
        For example ``"age_years"``.

    Returns
    -------
    str
        For example ``"years"``; empty if the name ends in no unit.

    Examples
    --------
    >>> unit_of_name("disease_duration_years"), unit_of_name("sex")
    ('years', '')
    """
    parts = column.split("_")
    for n in (2, 1):
        ending = parts[-n:] if len(parts) > n else []
        unit = _canonical("/".join(ending))
        if unit in _UNITS:
            return unit
    return ""
