"""Calendar dates: read a column in one format, and say which rows are in another."""

from __future__ import annotations

import datetime as dt
import re
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.cohort.issues import concat_issues, flag_rows, flag_table

__all__ = ["SERIAL_FORMATS", "looks_like_dates", "parse_dates", "strptime_format"]

_SERIAL_ORIGINS = {"excel": "1899-12-30", "sas": "1960-01-01", "stata": "1960-01-01"}
SERIAL_FORMATS = tuple(_SERIAL_ORIGINS)
"""Formats of dates that are numbers of days."""

_SERIAL_RANGE = (-60_000, 120_000)  # days: 1735 to 2288 for every origin above
_SHOWN = 3


@dataclass(frozen=True)
class _Style:
    """A way to write dates: what a person calls it, its shape, and its strptime format."""

    name: str
    shape: re.Pattern[str]
    format: str


def _style(name: str, shape: str, strptime: str) -> _Style:
    """Build a style; a time of day behind the date is allowed and ignored."""
    return _Style(name, re.compile(shape + r"(?:[T ]\d{1,2}:\d{2}.*)?", re.IGNORECASE), strptime)


_STYLES = (
    _style("yyyy-mm-dd", r"(\d{4}-\d{1,2}-\d{1,2})", "%Y-%m-%d"),
    _style("yyyy/mm/dd", r"(\d{4}/\d{1,2}/\d{1,2})", "%Y/%m/%d"),
    _style("yyyy.mm.dd", r"(\d{4}\.\d{1,2}\.\d{1,2})", "%Y.%m.%d"),
    _style("yyyymmdd", r"((?:19|20)\d{6})", "%Y%m%d"),
    _style("dd.mm.yyyy", r"(\d{1,2}\.\d{1,2}\.\d{4})", "%d.%m.%Y"),
    _style("dd/mm/yyyy", r"(\d{1,2}/\d{1,2}/\d{4})", "%d/%m/%Y"),
    _style("mm/dd/yyyy", r"(\d{1,2}/\d{1,2}/\d{4})", "%m/%d/%Y"),
    _style("dd-mm-yyyy", r"(\d{1,2}-\d{1,2}-\d{4})", "%d-%m-%Y"),
    _style("mm-dd-yyyy", r"(\d{1,2}-\d{1,2}-\d{4})", "%m-%d-%Y"),
    _style("ddMonyyyy", r"(\d{1,2}[a-z]{3}\d{4})", "%d%b%Y"),
    _style("dd-Mon-yyyy", r"(\d{1,2}-[a-z]{3}-\d{4})", "%d-%b-%Y"),
    _style("dd Mon yyyy", r"(\d{1,2} [a-z]{3} \d{4})", "%d %b %Y"),
    _style("dd.mm.yy", r"(\d{1,2}\.\d{1,2}\.\d{2})", "%d.%m.%y"),
    _style("dd/mm/yy", r"(\d{1,2}/\d{1,2}/\d{2})", "%d/%m/%y"),
    _style("mm/dd/yy", r"(\d{1,2}/\d{1,2}/\d{2})", "%m/%d/%y"),
)
_MONTHS = {
    name: str(number)
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        start=1,
    )
}
_LETTERS = {
    "yyyy": "%Y", "yy": "%y", "mmm": "%b", "mon": "%b",
    "mm": "%m", "m": "%m", "dd": "%d", "d": "%d",
}  # fmt: skip
_SHORT_YEAR = "a year of two digits does not tell the century"


_Fit = tuple[_Style, np.ndarray, np.ndarray]  # a style, what it reads, and where it reads anything


@dataclass(frozen=True, kw_only=True, eq=False)
class Dates:
    """Parsed dates.

    Parameters
    ----------
    dates : pandas.Series
        ``datetime64[ns]`` at midnight, missing where the source is missing or does not parse.
    issues : pandas.DataFrame
        Rows that do not parse, or a column whose format cannot be known.
    """

    dates: pd.Series
    issues: pd.DataFrame


@dataclass(frozen=True)
class _Column:
    """A column of dates and where it stands, for messages."""

    frame: pd.DataFrame
    table: str
    name: str
    theirs: str

    @property
    def place(self) -> str:
        """Name the column as the user wrote it."""
        return f"Column {self.theirs!r} of {self.table}"


def parse_dates(
    frame: pd.DataFrame,
    column: str,
    *,
    table: str,
    theirs: str = "",
    format: str | None = None,  # noqa: A002
) -> Dates:
    """Read a column of dates.

    Parameters
    ----------
    frame : pandas.DataFrame
        With `column` and, for messages, ``subject_id``; the index is the source row.
    column : str
        Dates as text, dates or time stamps; the time of day is ignored.
    table : str
        Role of the table, for messages.
    theirs : str, optional
        What the column is called in the file.
    format : str, optional
        A strptime format such as ``"%d.%m.%Y"``, or ``"excel"``, ``"sas"``, ``"stata"`` for
        numbers that count days. By default the one format that fits all values is found; where
        day and month could be swapped, that is an error that asks for `format`.

    Returns
    -------
    Dates
        Dates and issues.

    Examples
    --------
    >>> frame = pd.DataFrame({"subject_id": ["a", "b"], "date": ["31.01.2020", "01.02.2020"]})
    >>> parse_dates(frame, "date", table="visits").dates.dt.strftime("%Y-%m-%d").tolist()
    ['2020-01-31', '2020-02-01']
    """
    where = _Column(frame, table, column, theirs or column)
    values = frame[column]
    if values.dtype.kind == "M":
        return Dates(dates=_midnight(values), issues=concat_issues([]))
    codes, distinct = pd.factorize(values.to_numpy(dtype=object), use_na_sentinel=True)
    parsed, issues = _parse_distinct(distinct, codes, where, format)
    dates = np.append(parsed.astype("datetime64[ns]"), np.datetime64("NaT"))[codes]
    bad = (codes >= 0) & np.isnat(dates)
    if not any((part["severity"] == "error").any() for part in issues):
        if format is not None and bad.any() and (bad == (codes >= 0)).all():
            issues.append(_wrong_format(distinct, where, format))
            bad[:] = False
        issues.append(
            flag_rows(
                "not_a_date", "error", frame, bad, table=table, column=column,
                message=_not_a_date(format),
            )
        )  # fmt: skip
    return Dates(dates=pd.Series(dates, index=frame.index), issues=concat_issues(issues))


def strptime_format(written: str) -> str | None:
    """Turn a format such as DD.MM.YYYY to the one that is meant.

    Parameters
    ----------
    written : str
        What the user wrote.

    Returns
    -------
    str or None
        Format for strptime; None where day, month or year cannot be recognised.

    Examples
    --------
    >>> strptime_format("DD.MM.YYYY"), strptime_format("German")
    ('%d.%m.%Y', None)
    """
    shape = r"(yyyy|yy|mmm|mon|mm?|dd?)([-./ ]?)" * 3
    match = re.fullmatch(shape, written.strip().casefold())
    if match is None:
        return None
    parts = [_LETTERS[word] for word in match.groups()[::2]]
    if {part.lower().replace("b", "m") for part in parts} != {"%d", "%m", "%y"}:
        return None
    return "".join(part + gap for part, gap in zip(parts, match.groups()[1::2], strict=True))


def looks_like_dates(values: pd.Series) -> bool:
    """Say whether all values of a column are dates, or texts that are written like dates.

    Parameters
    ----------
    values : pandas.Series
        As read.

    Returns
    -------
    bool
        False for numbers, even those like 20200131, and where there is no value.
    """
    if values.dtype.kind == "M":
        return True
    distinct = values.dropna().unique() if values.dtype == object else []
    return len(distinct) > 0 and all(_is_written_date(value) for value in distinct)


def _is_written_date(value: Any) -> bool:
    """Say whether a value is a date, or text with the shape of one."""
    if not isinstance(value, str):
        return isinstance(value, dt.date | np.datetime64)
    return not value.isdigit() and any(style.shape.fullmatch(value) for style in _STYLES)


def _wrong_format(
    distinct: np.ndarray,
    where: _Column,
    format: str,  # noqa: A002
) -> pd.DataFrame:
    """Report, once, that a format fits no value of the column."""
    texts = np.array([_as_text(value) for value in distinct], dtype=object)
    n_read = {style: int((~np.isnat(_parse_style(texts, style))).sum()) for style in _STYLES}
    best = max(n_read.values())
    fitting = [style for style, n in n_read.items() if n == best and n]
    options = " or ".join(f'format = "{style.format}" ({style.name})' for style in fitting)
    advice = f" Write {options}." if fitting else ""
    return flag_table(
        "not_a_date", "error", table=where.table, column=where.name, value=texts[0],
        message=f"{where.place} has no date of the form {format!r}, which the column mapping asks "
        f"for, but such as {texts[0]!r}.{advice}",
    )  # fmt: skip


def _not_a_date(format: str | None) -> str:  # noqa: A002
    """Say what a value should have been."""
    if format is None:
        return (
            "This is no date. Write it in full as yyyy-mm-dd (a date known to the month only "
            "needs a day), or leave it empty."
        )
    return f"This is no date of the form {format!r}, which the column mapping asks for."


def _midnight(values: pd.Series) -> pd.Series:
    """Drop the time of day and the time zone."""
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        values = values.dt.tz_localize(None)
    return values.dt.normalize().astype("datetime64[ns]")


def _parse_distinct(
    distinct: np.ndarray,
    codes: np.ndarray,
    where: _Column,
    format: str | None,  # noqa: A002
) -> tuple[np.ndarray, list[pd.DataFrame]]:
    """Parse the distinct values of a column."""
    dates = np.array([_as_date(value) for value in distinct], dtype="datetime64[D]")
    written = np.isnat(dates)
    if not written.any():
        return dates, []
    if format in _SERIAL_ORIGINS:
        dates[written] = _from_serial(distinct[written], _SERIAL_ORIGINS[format])
        return dates, []
    texts = np.array([_as_text(value) for value in distinct[written]], dtype=object)
    if format is not None:
        dates[written] = _strptime(texts, format)
        return dates, []
    n_rows = np.bincount(codes[codes >= 0], minlength=len(distinct))[written]
    dates[written], issues = _find_style(texts, n_rows, where)
    return dates, issues


def _as_date(value: Any) -> np.datetime64:
    """Return a value that is a date already; NaT if it is text or a number."""
    if isinstance(value, dt.datetime | dt.date | np.datetime64 | pd.Timestamp):
        return np.datetime64(pd.Timestamp(value).tz_localize(None).normalize(), "D")
    return np.datetime64("NaT")


def _as_text(value: Any) -> str:
    """Write a value as text; 20200131.0 as 20200131."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value).strip()


def _from_serial(values: np.ndarray, origin: str) -> np.ndarray:
    """Turn day numbers to dates; NaT where a value is no day number of the last centuries."""
    numbers = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(dtype=float)
    usable = (numbers >= _SERIAL_RANGE[0]) & (numbers <= _SERIAL_RANGE[1])
    days = np.where(usable, np.floor(np.nan_to_num(numbers)), 0).astype("timedelta64[D]")
    return np.where(usable, np.datetime64(origin, "D") + days, np.datetime64("NaT"))


def _strptime(texts: np.ndarray, format: str) -> np.ndarray:  # noqa: A002
    """Parse texts in one format; NaT where that fails."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pandas warns about formats, we report rows
        try:
            parsed = pd.to_datetime(pd.Series(texts, dtype=object), format=format, errors="coerce")
        except (ValueError, TypeError):
            return np.full(len(texts), np.datetime64("NaT"))
    if isinstance(parsed.dtype, pd.DatetimeTZDtype):
        parsed = parsed.dt.tz_localize(None)
    return parsed.to_numpy(dtype="datetime64[D]")


def _parse_style(texts: np.ndarray, style: _Style) -> np.ndarray:
    """Parse texts of one style; NaT where a text is not of its shape or no real date."""
    matches = [style.shape.fullmatch(text) for text in texts]
    parts = np.array([m[1].lower() if m else "" for m in matches], dtype=object)
    if "%b" in style.format:  # month names in English whatever the locale
        parts = np.array([re.sub("[a-z]{3}", _month_number, p) for p in parts], dtype=object)
    return _strptime(
        parts, style.format.replace("%b", "%m") if "%b" in style.format else style.format
    )


def _month_number(match: re.Match[str]) -> str:
    """Replace the name of a month by its number of two digits."""
    return _MONTHS.get(match[0], "00").zfill(2)


def _find_style(
    texts: np.ndarray, n_rows: np.ndarray, where: _Column
) -> tuple[np.ndarray, list[pd.DataFrame]]:
    """Find the one style that fits; report a mixture, or an order that cannot be known."""
    parsed = [(style, _parse_style(texts, style)) for style in _STYLES]
    fits = [
        (style, dates, ~np.isnat(dates)) for style, dates in parsed if not np.isnat(dates).all()
    ]
    nothing = np.full(len(texts), np.datetime64("NaT"), dtype="datetime64[D]")
    if not fits:
        return nothing, []
    best = max(int(n_rows[ok].sum()) for _, _, ok in fits)
    top = [fit for fit in fits if int(n_rows[fit[2]].sum()) == best]
    style, dates, ok = top[0]
    if style.format.endswith("%y"):
        message = f"{where.place} has dates such as {texts[ok][0]!r}: {_SHORT_YEAR}."
        return nothing, [_unknowable(where, f"{message} {_ask_format(style)}", texts[ok][0])]
    others = [
        fit
        for fit in top[1:]
        if fit[0].shape.pattern == style.shape.pattern and (fit[2] == ok).all()
    ]
    if others:
        return nothing, [_ambiguous(texts, ok, style, others[0][0], where)]
    rest = [fit for fit in fits if fit[0] is not style and (fit[2] & ~ok).any()]
    if rest:
        return nothing, _mixed(texts, n_rows, fits, where)
    return dates, []


def _ask_format(*styles: _Style) -> str:
    """Say how to write the format down."""
    options = " or ".join(f'format = "{style.format}" ({style.name})' for style in styles)
    return f'Add to its mapping {options}, as in {{column = "...", format = "..."}}.'


def _unknowable(where: _Column, message: str, value: str) -> pd.DataFrame:
    """Report a column whose format has to be given."""
    return flag_table(
        "date_order_unknown", "error", table=where.table, column=where.name, message=message,
        value=value,
    )  # fmt: skip


def _ambiguous(
    texts: np.ndarray, ok: np.ndarray, style: _Style, other: _Style, where: _Column
) -> pd.DataFrame:
    """Report a column in which day and month could be swapped throughout."""
    example = texts[ok][0]
    message = (
        f"{where.place} has dates such as {example!r}, which fit both {style.name} and "
        f"{other.name}, so day and month cannot be told apart. {_ask_format(style, other)}"
    )
    return _unknowable(where, message, example)


def _mixed(
    texts: np.ndarray, n_rows: np.ndarray, fits: list[_Fit], where: _Column
) -> list[pd.DataFrame]:
    """Report a column that mixes styles: how many rows of each, and the rows of the rarer ones."""
    left = np.ones(len(texts), dtype=bool)
    parts = []
    fits = sorted(fits, key=lambda fit: -int(n_rows[fit[2]].sum()))
    for style, _, ok in fits:
        own = ok & left
        if own.any():
            parts.append(f"{n_rows[own].sum()} as {style.name} (such as {texts[own][0]!r})")
        left &= ~own
    message = (
        f"{where.place} has dates in {len(parts)} formats: {'; '.join(parts)}. Write all of them "
        "in one format, best as yyyy-mm-dd."
    )
    whole = flag_table(
        "mixed_dates", "error", table=where.table, column=where.name, message=message
    )
    rows = flag_rows(
        "mixed_dates",
        "error",
        where.frame,
        where.frame[where.name].map(_as_text, na_action="ignore").isin(set(texts[~fits[0][2]])),
        table=where.table,
        column=where.name,
        message="This date is not written as most in its column are.",
    )
    return [whole, rows]
