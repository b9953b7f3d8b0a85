"""Coercion: bring the columns of the four tables to their types, and report what will not go."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.cohort.issues import concat_issues, source_rows
from pmsstats.cohort.rules import COERCION_RULES, Flagger, as_object
from pmsstats.cohort.schema import PHENOTYPES, TABLE_COLUMNS, DataDictionary, Measure
from pmsstats.errors import SchemaError

__all__ = ["DAYS_PER_YEAR", "MAX_DAY", "MISSING_CODES", "coerce_tables"]

DAYS_PER_YEAR = 365.25
MAX_DAY = 36525
"""A day further than 100 years from baseline is refused: it is a calendar date read as a number."""

MISSING_CODES = frozenset({"", ".", "na", "n/a", "#n/a", "nan", "none", "null", "missing", "<na>"})
"""Text that stands for a missing number, in any case."""

_MISSING_LABELS = frozenset({"", ".", "na", "n/a", "#n/a", "nan", "<na>"})  # "none" may be a label
_REFERENCE_ARMS = ("placebo", "control", "reference", "sham", "standard")
_LABEL_COLUMNS = ("arm", "phenotype", "sex", "site_id", "reason", "visit")
_YEAR_TOLERANCE = 0.01  # a file may hold `year` with few decimals
_DATE_TEXT = re.compile(r"\d{1,4}([-/.])\d{1,2}\1\d{1,4}|\d{1,2}[- ][A-Za-z]{3}[- ]\d{2,4}")


@dataclass
class _Collector:
    """Issues of one table, gathered while its columns are coerced."""

    table: str
    frame: pd.DataFrame
    issues: list[pd.DataFrame] = field(default_factory=list)

    def flag(self, rule: str) -> Flagger:
        return COERCION_RULES[rule].flag

    def rows(self, rule: str, bad: np.ndarray, *, column: str, message: Any, **kws: Any) -> None:
        """Report rows."""
        if bad.any():
            self.issues.append(
                self.flag(rule).rows(
                    self.frame, bad, table=self.table, column=column, message=message, **kws
                )
            )

    def whole(self, rule: str, *, message: str, column: str = "", value: Any = None) -> None:
        """Report the table or one of its columns."""
        self.issues.append(
            self.flag(rule).table(table=self.table, column=column, message=message, value=value)
        )


def coerce_tables(
    subjects: pd.DataFrame,
    visits: pd.DataFrame,
    relapses: pd.DataFrame | None = None,
    exits: pd.DataFrame | None = None,
    *,
    dictionary: DataDictionary,
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Bring tables to canonical columns, types and order.

    Parameters
    ----------
    subjects, visits : pandas.DataFrame
        See :class:`pmsstats.cohort.Cohort`. An integer index is taken for the source row.
    relapses, exits : pandas.DataFrame, optional
        None gives empty tables with the required columns.
    dictionary : DataDictionary
        Which columns of visits are measures.

    Returns
    -------
    tables : dict of str to pandas.DataFrame
        ``subjects visits relapses exits``: `subject_id` text; `day` int64; measures float64;
        `visit`, `arm` ordered and `phenotype` unordered categoricals; visits with `year`; all
        sorted by subject (and day), with the source row as index.
    issues : pandas.DataFrame
        What could not be coerced. Rows without a usable subject or day are left out of the
        tables, and each is an issue of severity "error", so no cohort is made without them.
    """
    given = {"subjects": subjects, "visits": visits, "relapses": relapses, "exits": exits}
    tables: dict[str, pd.DataFrame] = {}
    issues: list[pd.DataFrame] = []
    for name, frame in given.items():
        tables[name], found = _coerce_table(name, frame, dictionary)
        issues.extend(found)
    return tables, concat_issues(issues)


def _coerce_table(
    name: str, frame: pd.DataFrame | None, dictionary: DataDictionary
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Coerce one table."""
    if frame is None:
        return _empty_table(name), []
    if not isinstance(frame, pd.DataFrame):
        raise SchemaError(f"`{name}` must be a pandas DataFrame, got {type(frame).__name__}.")
    frame = frame.set_axis(source_rows(frame), axis=0)
    frame.columns = [str(c) for c in frame.columns]
    log = _Collector(name, frame)
    frame = log.frame = _first_of_each_column(frame, log)
    if not _has_required(frame, log):
        return _empty_table(name), log.issues
    frame = log.frame = frame.assign(subject_id=_text_ids(frame["subject_id"]))
    columns = {c: _coerce_column(c, frame[c], dictionary, log) for c in frame.columns}
    usable = _check_subject_id(frame, log)
    if "day" in columns:
        usable &= ~np.isnan(columns["day"])
        _check_year(columns, log)
    return _arrange(name, pd.DataFrame(columns, index=frame.index)[usable]), log.issues


def _empty_table(name: str) -> pd.DataFrame:
    """Return a table without rows, with its required columns."""
    dtypes = {"subject_id": object, "day": np.int64, "reason": object}
    columns = {c: pd.Series(dtype=dtypes[c]) for c in TABLE_COLUMNS[name]}
    frame = pd.DataFrame(columns, index=pd.Index([], dtype=np.int64))
    return _arrange(name, frame)


def _first_of_each_column(frame: pd.DataFrame, log: _Collector) -> pd.DataFrame:
    """Report repeated column names and go on with the first of each."""
    repeated = frame.columns.duplicated()
    for column in dict.fromkeys(frame.columns[repeated]):
        n = int((frame.columns == column).sum())
        log.whole("duplicate_column", column=column, message=f"{n} columns are called {column!r}.")
    return frame.loc[:, ~repeated] if repeated.any() else frame


def _has_required(frame: pd.DataFrame, log: _Collector) -> bool:
    """Report missing required columns, or a table without rows that must have some."""
    missing = [c for c in TABLE_COLUMNS[log.table] if c not in frame.columns]
    for column in missing:
        log.whole(
            "missing_column",
            column=column,
            message=f"The {log.table} table has no column {column!r}; it has "
            f"{', '.join(map(repr, frame.columns[:12])) or 'none'}.",
        )
    if not missing and not len(frame) and log.table in {"subjects", "visits"}:
        log.whole("empty_table", message=f"The {log.table} table has a header but no rows.")
        return False
    return not missing


def _check_subject_id(frame: pd.DataFrame, log: _Collector) -> np.ndarray:
    """Report rows without a subject; return which rows have one."""
    missing = (frame["subject_id"] == "").to_numpy()
    log.rows(
        "missing_subject_id", missing, column="subject_id", message="This row has no subject id."
    )
    return ~missing


def _text_ids(values: pd.Series) -> np.ndarray:
    """Turn ids to text: 1 and 1.0 give "1", white space is stripped, missing gives ""."""
    codes, distinct = pd.factorize(np.asarray(values, dtype=object), use_na_sentinel=True)
    texts = np.array([*(_text_id(v) for v in distinct), ""], dtype=object)
    return texts[codes]


def _text_id(value: Any) -> str:
    """Turn one id to text."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = str(value).strip()
    return "" if text.casefold() in _MISSING_LABELS else text


def _check_year(columns: dict[str, Any], log: _Collector) -> None:
    """Report a column `year` that is about to be replaced, and is something else."""
    if log.table != "visits" or "year" not in columns:
        return
    own = _numbers(log.frame["year"])[0]
    derived = columns["day"] / DAYS_PER_YEAR
    if (np.abs(own - derived) > _YEAR_TOLERANCE).any():
        log.whole(
            "replaced_year",
            column="year",
            message="visits has a column `year` that is not day / 365.25; it is replaced.",
        )


def _coerce_column(
    column: str, values: pd.Series, dictionary: DataDictionary, log: _Collector
) -> Any:
    """Coerce one column by what it is."""
    if column == "subject_id":
        return values.to_numpy(dtype=object)
    if column == "day":
        return _whole_days(values, log)
    if log.table == "visits" and column in dictionary:
        return _measure_values(values, dictionary[column], log)
    if column in _LABEL_COLUMNS:
        return _labels(values)
    return _covariate(values, log)


def _whole_days(values: pd.Series, log: _Collector) -> np.ndarray:
    """Read days from baseline; every row that has none is reported and comes back missing."""
    if _is_date_like(values):
        log.whole(
            "date_in_day",
            column="day",
            value=str(values.iloc[0]),
            message="`day` holds dates or time stamps, but it must count days from baseline.",
        )
        return np.full(len(values), np.nan)
    days, unreadable = _numbers(values)
    infinite = np.isinf(days)
    missing = np.isnan(days) & ~unreadable
    far = np.abs(days) > MAX_DAY
    fractional = ~(missing | unreadable | infinite | far) & (days != np.round(days))
    for rule, bad, message in (
        ("not_a_number", unreadable, "`day` must be a whole number of days from baseline."),
        ("infinite_value", infinite, "`day` is infinite."),
        ("missing_day", missing, "This row has no day."),
        ("day_out_of_range", far & ~infinite, "More than 100 years from baseline."),
        ("fractional_day", fractional, "`day` must be a whole number."),
    ):
        log.rows(rule, bad, column="day", message=message, value=as_object(values))
    return np.where(unreadable | infinite | far | fractional, np.nan, days)


def _is_date_like(values: pd.Series) -> bool:
    """Say whether a column holds dates, time stamps or durations."""
    if values.dtype.kind in "mM" or isinstance(values.dtype, pd.DatetimeTZDtype):
        return True
    if values.dtype.kind != "O":
        return False
    first = values.loc[values.notna()].head(20).tolist()
    return bool(first) and all(_is_date(value) for value in first)


def _is_date(value: Any) -> bool:
    """Say whether a single value is a date, a duration, or the text of a date."""
    if isinstance(value, str):
        return bool(_DATE_TEXT.match(value.strip()))
    return isinstance(value, dt.date | dt.timedelta | np.datetime64)


def _numbers(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Read numbers; return them, and which values are neither numbers nor missing."""
    if values.dtype.kind in "bmMc":
        return np.full(len(values), np.nan), np.ones(len(values), dtype=bool)
    if values.dtype.kind in "iuf":
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        return numbers, np.zeros(len(values), dtype=bool)
    codes, distinct = pd.factorize(np.asarray(values, dtype=object), use_na_sentinel=True)
    read = [_number(v) for v in distinct]
    numbers = np.array([*(np.nan if r is None else r for r in read), np.nan])
    unreadable = np.array([*(r is None for r in read), False])
    return numbers[codes], unreadable[codes]


def _number(value: Any) -> float | None:
    """Read one number; None if it is none."""
    if isinstance(value, bool | np.bool_ | dt.date | np.datetime64):
        return None
    if isinstance(value, str):
        value = value.strip()
        if value.casefold() in MISSING_CODES:
            return float("nan")
        if "_" in value:  # Python reads "1_000" as a number, but data do not mean it
            return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _measure_values(values: pd.Series, measure: Measure, log: _Collector) -> np.ndarray:
    """Read a measure; what is no finite number is reported and comes back missing."""
    if _is_boolean(values) and set(measure.values) == {0.0, 1.0}:
        return values.astype(object).map({True: 1.0, False: 0.0}).to_numpy(dtype=float)
    return _finite(values, measure.name, log, f"{measure.label} must be a number.")


def _is_boolean(values: pd.Series) -> bool:
    """Say whether a column holds true and false only."""
    return bool(pd.api.types.is_bool_dtype(values.dtype)) or (
        values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) == "boolean"
    )


def _finite(values: pd.Series, column: str, log: _Collector, message: str) -> np.ndarray:
    """Read finite numbers."""
    numbers, unreadable = _numbers(values)
    infinite = np.isinf(numbers)
    shown = as_object(values) if (unreadable | infinite).any() else None
    log.rows("not_a_number", unreadable, column=column, message=message, value=shown)
    log.rows(
        "infinite_value", infinite, column=column, message="The value is infinite.", value=shown
    )
    return np.where(infinite, np.nan, numbers)


def _labels(values: pd.Series) -> Any:
    """Turn labels to stripped text, numbers like 1.0 to "1"; an ordered categorical keeps order."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        old = values.cat.categories
        texts = pd.Series([_text_id(c) for c in old], dtype=object)
        usable = texts[texts != ""].drop_duplicates()
        labels = np.append(texts.to_numpy(dtype=object), None)[values.cat.codes]
        labels = np.where(labels == "", None, labels)
        return pd.Categorical(labels, categories=list(usable), ordered=values.cat.ordered)
    texts = _text_ids(values)
    return np.where(texts == "", None, texts).astype(object)


def _covariate(values: pd.Series, log: _Collector) -> Any:
    """Keep a further column: numbers as numbers, everything else as text or as it is."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        return values.array
    if values.dtype.kind in "mMb":
        return values.to_numpy()
    if values.dtype.kind in "iu" and not values.hasnans:
        return values.to_numpy(dtype=np.int64)
    if values.dtype.kind in "iuf":
        return _finite(values, str(values.name), log, f"{values.name} must be a number.")
    return _object_covariate(values, log)


def _object_covariate(values: pd.Series, log: _Collector) -> Any:
    """Bring a column of Python objects to numbers, true/false, or text."""
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind in {"integer", "floating", "mixed-integer-float", "decimal"}:
        return _finite(values, str(values.name), log, f"{values.name} must be a number.")
    if kind in {"boolean", "date", "datetime", "datetime64"}:
        return as_object(values)
    return _labels(values)


def _arrange(name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """Set category orders, derive `visit` and `year`, and sort."""
    frame = _sorted(frame)
    if "day" in frame:
        frame["day"] = frame["day"].astype(np.int64)
    if "arm" in frame:
        frame["arm"] = _categorical(frame["arm"], arm_order, ordered=True, keep=True)
    if "phenotype" in frame:
        frame["phenotype"] = _categorical(frame["phenotype"], phenotype_order, ordered=False)
    if name == "visits":
        frame = _with_visit_labels(frame)
        frame["year"] = frame["day"] / DAYS_PER_YEAR
    return frame


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    """Sort by subject and day, ties by source row, so that the input's row order is forgotten."""
    codes, _ = pd.factorize(frame["subject_id"], sort=True)
    days = frame["day"].to_numpy() if "day" in frame else np.zeros(len(frame))
    order = np.lexsort((frame.index.to_numpy(), days, codes))
    return frame.iloc[order].copy(deep=False)


def _categorical(
    values: pd.Series,
    order: Callable[[Iterable[str]], list[str]],
    *,
    ordered: bool,
    keep: bool = False,
) -> pd.Categorical:
    """Make a categorical in its conventional order; an ordered one keeps its own, as may others."""
    if isinstance(values.dtype, pd.CategoricalDtype) and (values.cat.ordered or keep):
        return pd.Categorical(values, ordered=True).remove_unused_categories()
    labels = order(values.dropna().unique().tolist())
    return pd.Categorical(values.astype(object), categories=labels, ordered=ordered)


def arm_order(labels: Iterable[str]) -> list[str]:
    """Order arms: placebo or control first, then alphabetically.

    Parameters
    ----------
    labels : iterable of str
        Names of the arms.

    Returns
    -------
    list of str
        Reference arm first.

    Examples
    --------
    >>> arm_order(["Active 10 mg", "Placebo", "Active 5 mg"])
    ['Placebo', 'Active 10 mg', 'Active 5 mg']
    """
    return sorted(labels, key=lambda label: (_reference_rank(label), label))


def _reference_rank(label: str) -> int:
    """Rank an arm by how surely it is the reference."""
    words = label.casefold()
    return next((i for i, w in enumerate(_REFERENCE_ARMS) if w in words), len(_REFERENCE_ARMS))


def phenotype_order(labels: Iterable[str]) -> list[str]:
    """Order phenotypes: those of :data:`PHENOTYPES` in its order, then others alphabetically.

    Parameters
    ----------
    labels : iterable of str
        Phenotype labels.

    Returns
    -------
    list of str
        Healthy controls first.

    Examples
    --------
    >>> phenotype_order(["PPMS", "Other", "HC", "SPMS"])
    ['HC', 'SPMS', 'PPMS', 'Other']
    """
    known: Sequence[str] = PHENOTYPES
    return sorted(labels, key=lambda x: (known.index(x) if x in known else len(known), x))


def _with_visit_labels(frame: pd.DataFrame) -> pd.DataFrame:
    """Order visit labels by their median day, or number the visits of each subject."""
    if "visit" in frame:
        frame["visit"] = _categorical(frame["visit"], _by_median_day(frame), ordered=True)
        return frame
    number = frame.groupby("subject_id", sort=False).cumcount().to_numpy()
    labels = [f"V{i + 1}" for i in range(int(number.max(initial=-1)) + 1)]
    visit = pd.Categorical.from_codes(number, categories=labels, ordered=True)
    frame.insert(frame.columns.get_loc("day") + 1, "visit", visit)
    return frame


def _by_median_day(frame: pd.DataFrame) -> Callable[[Iterable[str]], list[str]]:
    """Return a function that orders visit labels by the median day of their visits."""
    days = frame["day"].groupby(frame["visit"].astype(object).to_numpy()).median()

    def order(labels: Iterable[str]) -> list[str]:
        return sorted(labels, key=lambda label: (days[label], label))

    return order
