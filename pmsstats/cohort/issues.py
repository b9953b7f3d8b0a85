"""Issues: what is wrong with the tables, one row each, and how to say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.errors import first_ids

__all__ = [
    "ISSUE_COLUMNS",
    "concat_issues",
    "describe_issues",
    "flag_rows",
    "flag_table",
    "no_issues",
    "tally_issues",
]

ISSUE_COLUMNS = (
    "rule", "severity", "table", "row", "subject_id", "column", "value", "message",
)  # fmt: skip
"""Columns of an issue frame.

``row`` is the source row (the index of the frame that was handed in; readers set it to the line
of the file), missing where the issue concerns a whole table; ``subject_id`` is empty where it
concerns nobody in particular.
"""

_SEVERITIES = ("error", "warning")


def no_issues() -> pd.DataFrame:
    """Return an issue frame without rows.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`ISSUE_COLUMNS`.
    """
    return _with_dtypes({column: [] for column in ISSUE_COLUMNS})


def _with_dtypes(columns: Mapping[str, Any]) -> pd.DataFrame:
    """Build an issue frame whose dtypes do not depend on its content."""
    typed = {name: np.asarray(columns[name], dtype=object) for name in ISSUE_COLUMNS}
    typed["row"] = pd.array(columns["row"], dtype="Int64")
    return pd.DataFrame(typed, copy=False)


_NONE = no_issues()


def source_rows(frame: pd.DataFrame) -> np.ndarray:
    """Return the source row of every row: its index where that is integer, else its position.

    Parameters
    ----------
    frame : pandas.DataFrame
        One table.

    Returns
    -------
    numpy.ndarray
        Integers, one per row.
    """
    if pd.api.types.is_integer_dtype(frame.index.dtype):
        return frame.index.to_numpy(dtype=np.int64)
    return np.arange(len(frame), dtype=np.int64)


def flag_rows(
    rule: str,
    severity: str,
    frame: pd.DataFrame,
    bad: np.ndarray | pd.Series,
    *,
    table: str,
    column: str,
    message: str | np.ndarray,
    value: np.ndarray | pd.Series | None = None,
) -> pd.DataFrame:
    """Report some rows of a table, one issue per row.

    Parameters
    ----------
    rule : str
        Name of the rule.
    severity : {"error", "warning"}
        Whether the tables are refused.
    frame : pandas.DataFrame
        The table.
    bad : ndarray of bool, shape (n_rows,)
        Rows to report.
    table, column : str
        Where they are.
    message : str or ndarray of str, shape (n_rows,)
        What is wrong: the same for all, or one for each row of the table.
    value : ndarray, shape (n_rows,), optional
        The offending values; the column's own by default.

    Returns
    -------
    pandas.DataFrame
        Issues.
    """
    where = np.flatnonzero(np.asarray(bad, dtype=bool))
    if not len(where):
        return _NONE.copy()
    where = where[np.argsort(source_rows(frame)[where], kind="stable")]
    if value is None:
        value = frame[column]
    ids = frame["subject_id"].to_numpy(dtype=object)[where] if "subject_id" in frame else ""
    texts = message if isinstance(message, str) else np.asarray(message, dtype=object)[where]
    return _with_dtypes(
        {
            "rule": np.full(len(where), rule, dtype=object),
            "severity": np.full(len(where), severity, dtype=object),
            "table": np.full(len(where), table, dtype=object),
            "row": source_rows(frame)[where],
            "subject_id": np.full(len(where), ids, dtype=object),
            "column": np.full(len(where), column, dtype=object),
            "value": np.asarray(value, dtype=object)[where],
            "message": np.full(len(where), texts, dtype=object),
        }
    )


def flag_table(
    rule: str, severity: str, *, table: str, message: str, column: str = "", value: Any = None
) -> pd.DataFrame:
    """Report something about a whole table or column, as one issue without a row.

    Parameters
    ----------
    rule : str
        Name of the rule.
    severity : {"error", "warning"}
        Whether the tables are refused.
    table : str
        Which table.
    message : str
        What is wrong.
    column : str, optional
        Which column.
    value : object, optional
        What was found.

    Returns
    -------
    pandas.DataFrame
        One issue.
    """
    return _with_dtypes(
        {
            "rule": [rule],
            "severity": [severity],
            "table": [table],
            "row": [pd.NA],
            "subject_id": [""],
            "column": [column],
            "value": [value],
            "message": [message],
        }
    )


def concat_issues(parts: Iterable[pd.DataFrame | None]) -> pd.DataFrame:
    """Join issue frames, errors first; within a severity the order of the parts is kept.

    Parameters
    ----------
    parts : iterable of pandas.DataFrame or None
        Issue frames; None stands for none.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`ISSUE_COLUMNS`, index from 0.
    """
    filled = [part for part in parts if part is not None and len(part)]
    if not filled:
        return no_issues()
    is_error = np.concatenate([part["severity"].to_numpy() == "error" for part in filled])
    order = np.argsort(~is_error, kind="stable")
    joined = {
        name: np.concatenate([part[name].to_numpy(dtype=object) for part in filled])[order]
        for name in ISSUE_COLUMNS
        if name != "row"
    }
    rows = pd.concat([part["row"].astype("Int64") for part in filled])
    return _with_dtypes({**joined, "row": rows.array[order]})


def tally_issues(issues: pd.DataFrame, fixes: Mapping[str, str] | None = None) -> pd.DataFrame:
    """Count issues by rule, worst first.

    Parameters
    ----------
    issues : pandas.DataFrame
        Columns :data:`ISSUE_COLUMNS`.
    fixes : mapping, optional
        What to do, by rule.

    Returns
    -------
    pandas.DataFrame
        One row per rule: ``rule severity tables columns n_issues n_rows n_subjects
        first_subjects first_row first_value first_message fix``; errors before warnings, then by
        extent (whole tables or columns, then number of issues).
    """
    rows = [
        _tally_rule(str(rule), group, (fixes or {}).get(str(rule), ""))
        for rule, group in issues.groupby("rule", sort=False)
    ]
    columns = [
        "rule", "severity", "tables", "columns", "n_issues", "n_rows", "n_subjects",
        "first_subjects", "first_row", "first_value", "first_message", "fix",
    ]  # fmt: skip
    rows.sort(key=_badness)
    frame = pd.DataFrame(rows, columns=columns)
    frame["first_row"] = frame["first_row"].astype("Int64")
    return frame


def _badness(row: Mapping[str, Any]) -> tuple[int, bool, int]:
    """Rank a rule: errors first, then what concerns whole tables or columns, then many rows."""
    return _SEVERITIES.index(row["severity"]), row["n_rows"] > 0, -row["n_issues"]


def _tally_rule(rule: str, group: pd.DataFrame, fix: str) -> dict[str, Any]:
    """Count the issues of one rule."""
    named = group.loc[group["subject_id"] != "", "subject_id"]
    first = group.iloc[0]
    return {
        "rule": rule,
        "severity": "error" if (group["severity"] == "error").any() else "warning",
        "tables": ", ".join(dict.fromkeys(group["table"])),
        "columns": first_ids((c for c in dict.fromkeys(group["column"]) if c), show=5),
        "n_issues": len(group),
        "n_rows": _count_rows(group),
        "n_subjects": named.nunique(),
        "first_subjects": first_ids(named.iloc[:1000]),
        "first_row": None if pd.isna(first["row"]) else int(first["row"]),
        "first_value": first["value"],
        "first_message": first["message"],
        "fix": fix,
    }


def _count_rows(issues: pd.DataFrame) -> int:
    """Count distinct source rows."""
    located = issues.loc[issues["row"].notna(), ["table", "row"]]
    return len(located.drop_duplicates())


def describe_issues(issues: pd.DataFrame, fixes: Mapping[str, str] | None = None) -> str:
    """Say in plain words what is wrong: a count, then one paragraph per rule, worst first.

    Parameters
    ----------
    issues : pandas.DataFrame
        Columns :data:`ISSUE_COLUMNS`.
    fixes : mapping, optional
        What to do, by rule.

    Returns
    -------
    str
        Starts like ``"3 problems in 17 rows of subjects, visits"``.
    """
    tally = tally_issues(issues, fixes)
    tables = ", ".join(dict.fromkeys(issues["table"]))
    n_rows = _count_rows(issues)
    rows = f"{_count(n_rows, 'row')} of {tables}" if n_rows else tables
    split = tally["severity"].value_counts()
    kinds = " and ".join(_count(int(split[s]), s) for s in _SEVERITIES if s in split)
    head = f"{_count(len(tally), 'problem')} in {rows} ({kinds}):"
    return "\n".join(
        [head, *(_describe_rule(row) for row in tally.astype(object).to_dict("records"))]
    )


def _describe_rule(row: Mapping[str, Any]) -> str:
    """Describe one rule of a tally."""
    where = row["tables"] + (f" [{row['columns']}]" if row["columns"] else "")
    size = f"{_count(row['n_rows'], 'row')} of {where}" if row["n_rows"] else where
    who = f", {_count(row['n_subjects'], 'subject')} ({row['first_subjects']})"
    line = f"- {row['severity']} {row['rule']}: {size}{who if row['n_subjects'] else ''}."
    located = not pd.isna(row["first_row"])
    place = f"row {row['first_row']}: " if located else ""
    example = f"  {'First: ' if row['n_issues'] > 1 else ''}{place}{row['first_message']}"
    value = row["first_value"]
    if located and value is not None and not pd.isna(value):
        shown = f"{value:.6g}" if isinstance(value, float) else repr(value)
        example += f" (found {shown})"
    fix = [f"  Fix: {row['fix']}"] if row["fix"] else []
    return "\n".join([line, example, *fix])


def _count(n: int, noun: str) -> str:
    """Write a count with its noun."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
