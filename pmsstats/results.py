"""The contract of every answer: a result that tabulates, plots, serialises and shows itself."""

from __future__ import annotations

import abc
import dataclasses
import enum
import html
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ROWS_SHOWN = 60
_ROWS_SHOWN_OF_MORE = 10

__all__ = [
    "Exclusion",
    "FitLog",
    "Result",
    "exclude",
    "exclusions_table",
    "format_interval",
    "format_number",
    "format_p_value",
    "interval_decimals",
    "to_plain",
]


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """Rows, visits or subjects that a step left out, and why.

    Parameters
    ----------
    stage : str
        The step, for example ``"endpoint cdp12"``.
    unit : {"row", "visit", "subject"}
        What is counted.
    reason : str
        One plain clause, for example ``"no EDSS at baseline"``.
    n : int
        How many were left out.
    subject_ids : tuple of str
        Whose they were; each once, in table order.
    """

    stage: str
    unit: Literal["row", "visit", "subject"]
    reason: str
    n: int
    subject_ids: tuple[str, ...] = ()


def exclude(
    stage: str, unit: Literal["row", "visit", "subject"], reason: str, subject_ids: Iterable[object]
) -> tuple[Exclusion, ...]:
    """Record an exclusion, if anything was excluded.

    Parameters
    ----------
    stage, unit, reason : str
        See :class:`Exclusion`.
    subject_ids : iterable
        One entry per left-out unit (so a subject with two left-out visits stands there twice).

    Returns
    -------
    tuple of Exclusion
        Of length one, or empty where nothing was left out: concatenate them.
    """
    ids = [str(i) for i in subject_ids]
    if not ids:
        return ()
    distinct = tuple(dict.fromkeys(ids))
    return (Exclusion(stage=stage, unit=unit, reason=reason, n=len(ids), subject_ids=distinct),)


def exclusions_table(exclusions: Iterable[Exclusion]) -> pd.DataFrame:
    """Tabulate exclusions.

    Parameters
    ----------
    exclusions : iterable of Exclusion
        In the order of the steps.

    Returns
    -------
    pandas.DataFrame
        Columns ``stage unit reason n n_subjects first_subjects``.
    """
    rows = [
        (e.stage, e.unit, e.reason, e.n, len(e.subject_ids), first_ids(e.subject_ids))
        for e in exclusions
    ]
    columns = ["stage", "unit", "reason", "n", "n_subjects", "first_subjects"]
    return pd.DataFrame(rows, columns=columns)


@dataclass(frozen=True, kw_only=True)
class FitLog:
    """What the optimiser did, so that a reader can distrust it.

    Parameters
    ----------
    engine : str
        The program that fitted, for example ``"statsmodels"``.
    engine_version : str
        Its version.
    optimiser : str
        Its optimiser.
    converged : bool
        Whether the engine says that it reached an optimum.
    message : str
        The engine's own words.
    n_evaluations : int, optional
        Likelihood evaluations, where the engine tells.
    singular : bool
        Whether a variance component lies on the boundary.
    log_likelihood : float, optional
        At the optimum (the restricted one under REML).
    r_messages : tuple of str
        Messages and warnings that R printed.
    attempts : tuple of str
        Optimisers or starting points tried before, with their outcome.
    """

    engine: str
    engine_version: str = ""
    optimiser: str = ""
    converged: bool
    message: str = ""
    n_evaluations: int | None = None
    singular: bool = False
    log_likelihood: float | None = None
    r_messages: tuple[str, ...] = ()
    attempts: tuple[str, ...] = ()


class Result(abc.ABC):
    """Base of every answer.

    Subclasses are frozen dataclasses (``eq=False, repr=False``) that declare their fields and
    give :meth:`headline`, :meth:`table`, :meth:`plot` and :meth:`to_dict`; text and HTML display
    follow from these. Rounding happens only in display.
    """

    exclusions: tuple[Exclusion, ...] = ()

    def __post_init__(self) -> None:
        """Refuse data that come from neither people nor a generator."""
        origin = getattr(self, "origin", "real")
        if origin not in {"real", "synthetic"}:
            raise DesignError(
                f"`origin` must be 'real' or 'synthetic', where the data come from, got {origin!r}."
            )

    @abc.abstractmethod
    def headline(self) -> str:
        """Say in one sentence what was found, on whom, and whether it converged."""

    @abc.abstractmethod
    def table(self) -> pd.DataFrame:
        """Return a fresh table of the result, in full precision."""

    @abc.abstractmethod
    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the result on `ax` (the current axes by default) and return it."""

    @abc.abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, with the key ``"schema"`` naming their layout."""

    def excluded(self) -> pd.DataFrame:
        """Tabulate what was left out on the way to this result, with reasons.

        Returns
        -------
        pandas.DataFrame
            Columns ``stage unit reason n n_subjects first_subjects``.
        """
        return exclusions_table(self.exclusions)

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown: text, rounded.

        Returns
        -------
        pandas.DataFrame
            Of text; by default the shape of :meth:`table`.
        """
        return display_frame(self.table())

    def __repr__(self) -> str:
        """Show the headline."""
        return f"<{type(self).__name__}: {self.headline()}>"

    def __str__(self) -> str:
        """Show the headline and the table."""
        shown, note = _shortened(self.display())
        return "\n".join([self.headline(), "", shown.to_string(index=False), *note])

    def _repr_html_(self) -> str:
        """Show headline and table in a notebook; every label is escaped."""
        shown, note = _shortened(self.display())
        table = shown.to_html(index=False, border=0, escape=True)
        return "\n".join([f"<p>{html.escape(self.headline())}</p>", table, *note])


def _shortened(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Cut a long table to its first rows, and say so."""
    if len(frame) <= _MOST_ROWS_SHOWN:
        return frame, []
    note = f"The first {_ROWS_SHOWN_OF_MORE} of {len(frame)} rows; table() has them all."
    return frame.head(_ROWS_SHOWN_OF_MORE), [note]


def format_number(value: Any, digits: int = 4) -> str:
    """Format one number for display, to significant digits.

    Parameters
    ----------
    value : float, int, bool or other
        Missing values give an en dash; what is no number is turned to text.
    digits : int, default 4
        Significant digits; integers are shown whole.

    Returns
    -------
    str
        Text with a true minus sign left as ASCII hyphen.

    Examples
    --------
    >>> format_number(-0.123456), format_number(1234567), format_number(12345.6)
    ('-0.1235', '1234567', '12346')
    >>> format_number(float("nan"))
    '\u2013'
    """
    if _is_missing(value):
        return "\u2013"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if not isinstance(value, float | np.floating):
        return str(value)
    if math.isinf(value):
        return "\u221e" if value > 0 else "-\u221e"
    exponent = math.floor(math.log10(abs(value))) if value != 0 else digits - 1
    if exponent < -4 or exponent > 8:
        return f"{value:.{digits - 1}e}"
    return f"{value:.{max(digits - 1 - exponent, 0)}f}"


def _is_missing(value: Any) -> bool:
    """Say whether a scalar is one of the spellings of "missing"."""
    if isinstance(value, float | np.floating):
        return math.isnan(value)
    return value is None or value is pd.NA or value is pd.NaT


def format_p_value(p_value: float) -> str:
    """Format a p value: three decimals, ``<0.001`` below that.

    Parameters
    ----------
    p_value : float
        Between 0 and 1.

    Returns
    -------
    str
        For example ``"0.034"``.

    Examples
    --------
    >>> format_p_value(0.0341), format_p_value(2e-7)
    ('0.034', '<0.001')
    """
    if p_value is None or math.isnan(p_value):
        return "\u2013"
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


def format_interval(
    estimate: float, low: float, high: float, digits: int = 3, *, decimals: int | None = None
) -> str:
    """Format an estimate with its interval, with as many decimals for all three.

    Parameters
    ----------
    estimate, low, high : float
        In the same unit.
    digits : int, default 3
        Significant digits of the largest of the three in size; never fewer than two of the
        estimate.
    decimals : int, optional
        Decimals to use instead, so that a column agrees; see :func:`interval_decimals`.

    Returns
    -------
    str
        For example ``"-0.62 (-0.71 to -0.53)"``.

    Examples
    --------
    >>> format_interval(-0.6234, -0.7123, -0.5345)
    '-0.623 (-0.712 to -0.534)'
    >>> format_interval(-0.6234, -0.7123, -0.5345, decimals=1)
    '-0.6 (-0.7 to -0.5)'
    """
    values = [v for v in (estimate, low, high) if v is not None and math.isfinite(v)]
    if not values or estimate is None or math.isnan(estimate):
        return "\u2013"
    largest = max(abs(v) for v in values)
    if largest == 0:
        return "0 (0 to 0)"
    if not -4 <= math.floor(math.log10(largest)) <= 8:
        shown = [format_number(value, digits) for value in (estimate, low, high)]
        return f"{shown[0]} ({shown[1]} to {shown[2]})"
    if decimals is None:
        decimals = interval_decimals(estimate, low, high, digits)

    def fixed(value: float) -> str:
        return f"{value:.{decimals}f}" if math.isfinite(value) else format_number(value)

    return f"{fixed(estimate)} ({fixed(low)} to {fixed(high)})"


def interval_decimals(estimate: float, low: float, high: float, digits: int = 3) -> int:
    """Return how many decimals an estimate and its interval need.

    Parameters
    ----------
    estimate, low, high : float
        In the same unit.
    digits : int, default 3
        See :func:`format_interval`.

    Returns
    -------
    int
        From 0 to 6; the largest of a column makes its rows agree.

    Examples
    --------
    >>> interval_decimals(1.8312, 1.2811, 2.6)
    2
    """
    sizes = [abs(v) for v in (estimate, low, high) if v is not None and math.isfinite(v) and v]
    if not sizes:
        return 0
    needed = digits - 1 - math.floor(math.log10(max(sizes)))
    if estimate and math.isfinite(estimate):
        needed = max(needed, 1 - math.floor(math.log10(abs(estimate))))
    return min(max(needed, 0), 6)


def display_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """Turn every cell of a table to display text.

    Parameters
    ----------
    frame : pandas.DataFrame
        Full precision.

    Returns
    -------
    pandas.DataFrame
        Text, same shape.
    """
    columns = {
        name: [
            (format_p_value if name == "p_value" else format_number)(value)
            for value in frame[name].tolist()
        ]
        for name in frame.columns
    }
    return pd.DataFrame(columns, columns=list(frame.columns))


def to_plain(value: Any) -> Any:
    """Turn dataclasses, arrays and frames to plain JSON types.

    Parameters
    ----------
    value : object
        Scalars, sequences, mappings, dataclasses, numpy and pandas objects.

    Returns
    -------
    object
        Nested dict, list, str, int, float, bool, None; a frame becomes a list of records;
        missing and infinite numbers become None and ``"inf"`` / ``"-inf"``.

    Raises
    ------
    TypeError
        If a value has no plain form.

    Examples
    --------
    >>> to_plain({"x": np.float64(1.5), "y": np.array([1, 2])})
    {'x': 1.5, 'y': [1, 2]}
    """
    if isinstance(value, str):
        return str(value)
    if isinstance(value, enum.Enum):
        return to_plain(value.value)
    if value is None or value is pd.NA or isinstance(value, _NUMBERS | pd.Timestamp | type(pd.NaT)):
        return _scalar_to_plain(value)
    return _container_to_plain(value)


_NUMBERS = bool | np.bool_ | int | np.integer | float | np.floating


def _scalar_to_plain(value: Any) -> bool | int | float | str | None:
    """Turn a number, a time stamp or a missing value to a plain JSON type."""
    if _is_missing(value):
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    number = float(value)
    return number if math.isfinite(number) else ("inf" if number > 0 else "-inf")


def _container_to_plain(value: Any) -> Any:
    """Turn what holds other values to plain JSON types."""
    if isinstance(value, pd.DataFrame):
        return [to_plain(record) for record in value.to_dict("records")]
    if isinstance(value, pd.Series | pd.Index | np.ndarray):
        return [to_plain(item) for item in value.tolist()]
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Iterable):
        return [to_plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no plain JSON form: {value!r}")
