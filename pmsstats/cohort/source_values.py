"""Say the values of issues as the user's file has them, not as they were converted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from pmsstats.cohort.columns import unit_factor
from pmsstats.cohort.convert import Part
from pmsstats.cohort.mapping import target_unit
from pmsstats.cohort.schema import DataDictionary

__all__ = ["SourceUnit", "source_units", "tell_source_values"]

_VALUE_RULES = (
    "illegal_value", "impossible_value", "implausible_value", "decimal_slip", "impossible_age",
)  # fmt: skip
_MISSING_LIKE = (-9.0, -99.0, -999.0, 999.0, 9999.0)
_DIGITS = 12  # of a value that is converted back: fewer than a double has, so that -999 is -999


@dataclass(frozen=True, kw_only=True)
class SourceUnit:
    """How a column was converted.

    Parameters
    ----------
    theirs, ours : str
        Unit in the file, and here.
    factor : float
        What the values were multiplied by.
    """

    theirs: str
    ours: str
    factor: float


def source_units(
    parts: Sequence[Part], dictionary: DataDictionary
) -> dict[tuple[str, str], SourceUnit]:
    """List the columns whose unit was converted.

    Parameters
    ----------
    parts : sequence of Part
        Converted files.
    dictionary : DataDictionary
        What the measures are.

    Returns
    -------
    dict of (str, str) to SourceUnit
        By table and column; transformed columns are not in it.
    """
    return {
        (part.table.role, name): SourceUnit(
            theirs=source.unit, ours=target_unit(name, dictionary), factor=factor
        )
        for part in parts
        for name, source in part.table.columns.items()
        if source.unit and not source.transform
        if (factor := unit_factor(name, source, dictionary)) != 1.0
    }


def tell_source_values(
    issues: pd.DataFrame, units: Mapping[tuple[str, str], SourceUnit]
) -> pd.DataFrame:
    """Put the file's own values into issues, and hint at codes for missing.

    Parameters
    ----------
    issues : pandas.DataFrame
        What the rules found in converted tables.
    units : mapping of (str, str) to SourceUnit
        By table and column.

    Returns
    -------
    pandas.DataFrame
        The same issues: `value` as in the file, and a `message` that says both; a value such as
        -999 that comes more than once is said to look like a code for missing.
    """
    about_values = issues["rule"].isin(_VALUE_RULES).to_numpy()
    if not about_values.any():
        return issues
    told = issues.copy()
    rows = told[about_values]
    found = [
        _tell(table, column, value, message, units)
        for table, column, value, message in zip(
            rows["table"], rows["column"], rows["value"], rows["message"], strict=True
        )
    ]
    values = pd.Series([value for value, _ in found], index=rows.index, dtype=object)
    messages = pd.Series([text for _, text in found], index=rows.index, dtype=object)
    coded = values.isin(_MISSING_LIKE)
    times = values.groupby([rows["table"], rows["column"], values.map(str)]).transform("size")
    for i in rows.index[coded & (times > 1)]:
        code = _format_code(values[i])
        messages[i] += (
            f" {code} looks like a code for missing: list it under missing = [{code}] of "
            f"[tables.{rows['table'][i]}]."
        )
    told.loc[rows.index, "value"] = values
    told.loc[rows.index, "message"] = messages
    return told


def _format_code(value: float) -> str:
    """Write a code, a whole number, as it stands in a file."""
    return f"{value:.0f}"


def _tell(
    table: str,
    column: str,
    value: Any,
    message: str,
    units: Mapping[tuple[str, str], SourceUnit],
) -> tuple[Any, str]:
    """Turn one value back to the file's unit."""
    unit = units.get((table, column))
    if unit is None or not isinstance(value, int | float) or pd.isna(value):
        return value, message
    theirs = float(f"{value / unit.factor:.{_DIGITS}g}")
    shown = f"{theirs:.6g} {unit.theirs}, which is {value:.6g} {unit.ours}"
    return theirs, f"{message} The file has {shown}."
