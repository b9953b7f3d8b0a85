"""Numbers that were read as text: refused where they would silently become factors."""

from __future__ import annotations

import re
from numbers import Real

import pandas as pd

from pmsstats.errors import DesignError, first_ids

__all__ = ["refuse_numbers_as_text"]

_MISSING = frozenset(
    {"", "nan", "na", "n/a", "n.a.", "n.a", "none", "null", "<na>", "nat", "-", ".", "?", "missing",
     "unknown", "not done", "nd"}
)  # fmt: skip
_CODE = re.compile(r"[0-9]+")
_PADDED = re.compile(r"0[0-9]+")
_TIMES = ("year", "day")  # never codes
_MOST_LEVELS = 12  # of a code: visits, sites, stages
_LEAST_ROWS = 3  # per level of a code, on average
_MOSTLY = 0.9  # share of distinct values that are numbers, from which a column counts as numbers


def refuse_numbers_as_text(values: pd.Series, name: str) -> None:
    """Refuse a text column that holds numbers, and would become a factor of many levels.

    Parameters
    ----------
    values : pandas.Series
        A column that enters a model without ``C()``.
    name : str
        The column, for the message.

    Raises
    ------
    DesignError
        If (nearly) all distinct values are numbers or words for a missing one (``"nan"``,
        ``"n/a"``), unless the column reads as a code.

    Notes
    -----
    What reads as a code stays a factor: two values; at most 12 whole numbers without decimal
    point, with three rows each on average; numbers of one width padded with zeros; the column
    ``visit``, and those whose name ends in ``_id``. ``year`` and ``day`` are never codes, and
    neither is a column in which a word for a missing value stands among the numbers. Categorical
    columns are taken at their word.

    Examples
    --------
    >>> refuse_numbers_as_text(pd.Series(["1", "2", "3"] * 5), "stage")
    >>> refuse_numbers_as_text(pd.Series(["41.5", "38.2", "55.0"] * 5), "age_years")
    Traceback (most recent call last):
    ...
    pmsstats.errors.DesignError: Column 'age_years' holds numbers stored as text ('38.2', ...
    """
    if isinstance(values.dtype, pd.CategoricalDtype) or not _is_text(values):
        return
    found = [v for v in values.unique() if isinstance(v, str | Real) and not isinstance(v, bool)]
    texts = list(dict.fromkeys(map(str, found)))
    gaps = [item for item in texts if item.strip().lower() in _MISSING]
    rest = [item for item in texts if item not in set(gaps)]
    numbers = [item for item in rest if _is_number(item)]
    odd = [item for item in rest if item not in set(numbers)]
    if len(numbers) < 2 or len(numbers) < _MOSTLY * len(rest):
        return
    if not odd and not gaps and _is_code(name, numbers, len(values)):
        return
    strange = [*gaps, *odd]
    among = f"; among them stands {first_ids(map(repr, strange), show=3)}" if strange else ""
    raise DesignError(
        f"Column {name!r} holds numbers stored as text "
        f"({first_ids(map(repr, sorted(numbers)), show=3)}){among}, which would make a factor of "
        f"{len(texts)} levels. Convert it: data[{name!r}] = pd.to_numeric(data[{name!r}], "
        f"errors='coerce'), which leaves missing what is no number. For a factor on purpose write "
        f"C({name}) in the formula."
    )


def _is_text(values: pd.Series) -> bool:
    """Say whether a column may hold text."""
    kind = values.dtype
    return bool(pd.api.types.is_object_dtype(kind) or pd.api.types.is_string_dtype(kind))


def _is_number(text: str) -> bool:
    """Say whether a text reads as a finite number."""
    try:
        return abs(float(text)) < float("inf")
    except ValueError:
        return False


def _is_code(name: str, numbers: list[str], n_rows: int) -> bool:
    """Say whether texts that are numbers read as labels."""
    if name in _TIMES:
        return False
    if len(numbers) == 2 or name == "visit" or name.endswith("_id"):
        return True
    if all(_CODE.fullmatch(text) for text in numbers):
        widths = {len(text) for text in numbers}
        padded = len(widths) == 1 and any(_PADDED.fullmatch(text) for text in numbers)
        few = len(numbers) <= _MOST_LEVELS and n_rows >= _LEAST_ROWS * len(numbers)
        return padded or few
    return False
