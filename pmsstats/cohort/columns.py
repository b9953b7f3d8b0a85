"""Turn the columns of a file into ours: text, labels, dates, numbers in the right unit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.cohort.dates import parse_dates
from pmsstats.cohort.issues import concat_issues, flag_rows, flag_table
from pmsstats.cohort.mapping import DATE_COLUMNS, ColumnSource, target_unit
from pmsstats.cohort.schema import DataDictionary
from pmsstats.cohort.units import conversion_factor
from pmsstats.errors import nearest

__all__ = ["TEXT_COLUMNS", "as_texts", "convert_columns", "guess_type", "unit_factor"]

TEXT_COLUMNS = ("subject_id", "visit", "arm", "phenotype", "sex", "site_id", "reason")
"""Columns that stay text even where they look like numbers (so that 007 stays 007)."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?inf(inity)?", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"[+-]?\d{1,15}")  # exact as a double, too
_LEADING_ZERO = re.compile(r"[+-]?0\d")
_SHOWN = 5
_TRANSFORMS = {"log": np.log, "log10": np.log10, "sqrt": np.sqrt}


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a column is going, and what it may mean there."""

    table: str
    dictionary: DataDictionary
    labels: Mapping[str, Mapping[str, str]]
    typed: bool


def convert_columns(
    raw: pd.DataFrame,
    columns: Mapping[str, ColumnSource],
    *,
    table: str,
    dictionary: DataDictionary,
    labels: Mapping[str, Mapping[str, str]],
    typed: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Build our columns from those of a file.

    Parameters
    ----------
    raw : pandas.DataFrame
        As read; has every source column.
    columns : mapping of str to ColumnSource
        Our name to the source.
    table : str
        Role of the table, for messages.
    dictionary : DataDictionary
        What the measures are.
    labels : mapping of str to mapping of str to str
        By our column name, their label to ours.
    typed : bool, default False
        Whether columns have their types already; else covariates of text that are all numbers
        are read as such.

    Returns
    -------
    frame : pandas.DataFrame
        Our columns, index as in `raw`. What is no number although it must be one is left as it
        is, for coercion to report.
    issues : pandas.DataFrame
        Dates that do not parse, values that a transform does not take, labels that do not occur.
    """
    place = _Place(table=table, dictionary=dictionary, labels=labels, typed=typed)
    ordered = sorted(columns, key=lambda name: name != "subject_id")  # issues name the subject
    named = {name: raw[columns[name].column] for name in ordered}
    frame = pd.DataFrame(named, index=raw.index)
    issues: list[pd.DataFrame] = []
    for name in ordered:
        frame[name], found = _convert(frame, name, columns[name], place)
        issues.extend(found)
    return frame[[*columns]], concat_issues(issues)


def _convert(
    frame: pd.DataFrame, name: str, source: ColumnSource, place: _Place
) -> tuple[pd.Series, list[pd.DataFrame]]:
    """Convert one column by what it is."""
    values = frame[name]
    if name in DATE_COLUMNS:
        dates = parse_dates(
            frame, name, table=place.table, theirs=source.column, format=source.format
        )
        return dates.dates, [dates.issues]
    if name in place.labels:
        return _relabel(values, name, place)
    if name in TEXT_COLUMNS:
        texts = as_texts(values)
        return (texts.str.zfill(source.zero_pad) if source.zero_pad else texts), []
    factor = unit_factor(name, source, place.dictionary)
    if factor != 1.0 or source.transform or name == "year":
        return _scale(frame, name, factor, source, place)
    is_number = name == "day" or (place.table == "visits" and name in place.dictionary)
    return (values if is_number or place.typed else guess_type(values)), []


def as_texts(values: pd.Series) -> pd.Series:
    """Write values as text: 1 and 1.0 as "1"; missing ones stay missing.

    Parameters
    ----------
    values : pandas.Series
        Any dtype.

    Returns
    -------
    pandas.Series
        Text or None; an ordered categorical keeps its order.

    Examples
    --------
    >>> as_texts(pd.Series([1.0, 2.5, None])).tolist()
    ['1', '2.5', None]
    """
    if isinstance(values.dtype, pd.CategoricalDtype) and values.cat.ordered:
        return values
    codes, distinct = pd.factorize(np.asarray(values, dtype=object), use_na_sentinel=True)
    texts = np.array([*(_as_text(value) for value in distinct), None], dtype=object)
    return pd.Series(texts[codes], index=values.index, name=values.name, dtype=object)


def _as_text(value: Any) -> str:
    """Write one value as text."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)


def _relabel(values: pd.Series, name: str, place: _Place) -> tuple[pd.Series, list[pd.DataFrame]]:
    """Translate labels; the order of the translations becomes the order of the groups."""
    labels = place.labels[name]
    texts = as_texts(values).astype(object)
    translated = texts.map(labels).where(texts.isin(list(labels)), texts)
    found = [text for text in pd.unique(texts) if text is not None]
    issues = [
        flag_table(
            "unused_label", "warning", table=place.table, column=name, value=label,
            message=f"[labels.{name}] translates {label!r}, which does not occur."
            f"{nearest(label, found)}",
        )
        for label in labels
        if label not in found
    ]  # fmt: skip
    if name in place.dictionary:
        return translated, issues
    issues.extend(_unmapped_labels(texts, name, place))
    if name == "reason":
        return translated, issues
    used = set(translated.dropna())
    listed = [ours for ours in dict.fromkeys(labels.values()) if ours in used]
    rest = sorted(used.difference(listed))
    dtype = pd.CategoricalDtype([*listed, *rest], ordered=True)
    return translated.astype(dtype), issues


def _unmapped_labels(texts: pd.Series, name: str, place: _Place) -> list[pd.DataFrame]:
    """Report values that no label translates, and that are none of ours either."""
    labels = place.labels[name]
    counts = texts[~texts.isin([*labels, *labels.values()])].value_counts(sort=False)
    if not len(counts):
        return []
    shown = [f"{v!r} ({n} row{'' if n == 1 else 's'})" for v, n in counts.head(_SHOWN).items()]
    message = (
        f"{len(counts)} {'value' if len(counts) == 1 else 'values'} of {name} "
        f"{'is' if len(counts) == 1 else 'are'} not in [labels.{name}]: {', '.join(shown)}"
        f"{', ...' if len(counts) > _SHOWN else ''}; "
        f"{'it stays a group of its' if len(counts) == 1 else 'they stay groups of their'} own."
    )
    return [
        flag_table("unmapped_label", "warning", table=place.table, column=name, message=message)
    ]


def unit_factor(name: str, source: ColumnSource, dictionary: DataDictionary) -> float:
    """Return what the values are multiplied by.

    Parameters
    ----------
    name : str
        Our column name.
    source : ColumnSource
        With the unit of the file.
    dictionary : DataDictionary
        What the measures are.

    Returns
    -------
    float
        1 where nothing is converted.
    """
    unit = source.unit or ("years" if name == "year" else None)
    return 1.0 if unit is None else conversion_factor(unit, target_unit(name, dictionary))


def _scale(
    frame: pd.DataFrame, name: str, factor: float, source: ColumnSource, place: _Place
) -> tuple[pd.Series, list[pd.DataFrame]]:
    """Convert the unit and transform; leave what is no number as it is."""
    values = frame[name]
    numbers, unreadable = _numbers(values)
    numbers = numbers * factor
    issues = []
    if source.transform is not None:
        bad = (numbers < 0) | ((numbers == 0) & (source.transform != "sqrt"))
        issues.append(
            flag_rows(
                "not_transformable", "error", frame, bad, table=place.table, column=name,
                message=f"There is no {source.transform} of this value.",
            )
        )  # fmt: skip
        numbers = _TRANSFORMS[source.transform](np.where(bad, np.nan, numbers))
    if name in ("day", "year"):
        numbers = np.round(numbers)
    scaled = pd.Series(numbers, index=values.index)
    return (
        scaled.astype(object).where(~unreadable, values) if unreadable.any() else scaled
    ), issues


def _numbers(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Read numbers, each distinct text once; also say which values are neither that nor missing."""
    if values.dtype.kind in "iuf":
        return values.to_numpy(dtype=float), np.zeros(len(values), dtype=bool)
    codes, distinct = pd.factorize(np.asarray(values, dtype=object), use_na_sentinel=True)
    fits = np.array([_NUMBER.fullmatch(str(value)) is not None for value in distinct], dtype=bool)
    numbers = np.full(len(distinct) + 1, np.nan)
    numbers[:-1][fits] = distinct[fits].astype(float)
    return numbers[codes], np.append(~fits, [False])[codes]


def guess_type(values: pd.Series) -> pd.Series:
    """Read a covariate of text as numbers or true/false if all of it is so, else leave it.

    Parameters
    ----------
    values : pandas.Series
        As read.

    Returns
    -------
    pandas.Series
        Numbers, true/false, or the same texts.
    """
    if values.dtype != object:
        return values
    distinct = values.dropna().unique()
    texts = [str(value) for value in distinct]
    if not texts or any(_LEADING_ZERO.match(text) for text in texts):
        return values
    if all(text.casefold() in ("true", "false") for text in texts):
        truth = {value: str(value).casefold() == "true" for value in distinct}
        mapped = values.map(truth)
        return mapped.astype(bool) if values.notna().all() else mapped.astype(object)
    numbers, unreadable = _numbers(values)
    if unreadable.any():
        return values
    whole = values.notna().all() and all(_WHOLE_NUMBER.fullmatch(text) for text in texts)
    return pd.Series(numbers, index=values.index).astype(np.int64 if whole else float)
