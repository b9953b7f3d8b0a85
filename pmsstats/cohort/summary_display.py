"""Table 1 in print: text cells, rounded, one column per group."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import pandas as pd

__all__ = ["headline_text", "wide_table"]

_Cell = Mapping[tuple[str, str, str], float]  # (level, statistic, group) -> value
_DASH = "\u2013"


def headline_text(
    statistics: pd.DataFrame, by: str | None, groups: Sequence[str], origin: str
) -> str:
    """Say how many subjects and visits there are, and for how long they were followed.

    Parameters
    ----------
    statistics : pandas.DataFrame
        As :class:`pmsstats.cohort.summary.CohortSummary` holds them.
    by : str or None
        Grouping column.
    groups : sequence of str
        Its levels.
    origin : {"real", "synthetic"}
        Of the data.

    Returns
    -------
    str
        One sentence.
    """
    values = statistics.set_index(["variable", "level", "statistic", "group"])["value"]
    follow_up = {s: values["follow_up_years", "", s, "Total"] for s in ("median", "min", "max")}
    split = ", ".join(f"{g}: {values['n_subjects', '', 'n', g]:,.0f}" for g in groups)
    n_subjects = values["n_subjects", "", "n", "Total"]
    n_visits = values["n_visits_total", "", "n", "Total"]
    return (
        f"{'Synthetic cohort of ' if origin == 'synthetic' else ''}"
        f"{_plural(n_subjects, 'subject')}"
        f"{f' ({by}: {split})' if by else ''} with {_plural(n_visits, 'visit')}, followed for a "
        f"median of {follow_up['median']:.1f} years (range {follow_up['min']:.1f} to "
        f"{follow_up['max']:.1f})."
    )


def _plural(n: float, noun: str) -> str:
    """Write a count with its noun."""
    return f"{n:,.0f} {noun}" + ("" if n == 1 else "s")


def wide_table(statistics: pd.DataFrame, groups: Sequence[str]) -> pd.DataFrame:
    """Lay statistics out as text, a line per characteristic and statistic.

    Parameters
    ----------
    statistics : pandas.DataFrame
        ``section variable label unit level statistic group value``.
    groups : sequence of str
        Columns, in order.

    Returns
    -------
    pandas.DataFrame
        Text: ``Characteristic Statistic``, then one column per group.
    """
    lines = [
        line
        for _, block in statistics.groupby(["section", "variable"], sort=False)
        for line in _lines(block, groups)
    ]
    return pd.DataFrame(lines, columns=["Characteristic", "Statistic", *groups])


def _lines(block: pd.DataFrame, groups: Sequence[str]) -> list[list[str]]:
    """Lay out one characteristic."""
    keys = zip(block["level"], block["statistic"], block["group"], strict=True)
    cells = dict(zip(keys, block["value"], strict=True))
    first = block.iloc[0]
    label = f"{first['label']} ({first['unit']})" if first["unit"] else first["label"]
    if first["section"] == "baseline":
        label += " at baseline"
    rows = _rows(block, cells, groups)
    missing = [cells.get(("", "n_missing", g), 0.0) for g in groups]
    if any(missing):
        rows.append(("missing", [f"{n:,.0f}" for n in missing]))
    names = [label, *[""] * (len(rows) - 1)]
    return [[name, text, *values] for name, (text, values) in zip(names, rows, strict=True)]


def _rows(block: pd.DataFrame, cells: _Cell, groups: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Choose the lines of one characteristic by the statistics that it has."""
    statistics = set(block["statistic"])
    if "mean" in statistics:
        last = ("range", _range) if block["section"].iloc[0] == "follow_up" else None
        writers = [("mean (SD)", _mean_sd), ("median [IQR]", _median_iqr), *filter(None, [last])]
        return [(text, [write(cells, g) for g in groups]) for text, write in writers]
    if "percent" in statistics:
        levels = dict.fromkeys(level for level in block["level"] if level)
        return [(f"{x}, n (%)", [_share(cells, x, g) for g in groups]) for x in levels]
    text, key = ("distinct values", "n_levels") if "n_levels" in statistics else ("n", "n")
    return [(text, [f"{cells['', key, g]:,.0f}" for g in groups])]


def _writer(*statistics: str) -> Callable[[_Cell, str], list[float]]:
    """Return a function that looks up some statistics of a group."""
    return lambda cells, group: [cells["", s, group] for s in statistics]


def _mean_sd(cells: _Cell, group: str) -> str:
    """Write mean (SD), with two significant digits of the SD."""
    mean, sd = _writer("mean", "sd")(cells, group)
    if math.isnan(mean):
        return _DASH
    digits = decimals(sd if sd > 0 else mean)
    return f"{mean:,.{digits}f} ({_DASH if math.isnan(sd) else f'{sd:,.{digits}f}'})"


def _median_iqr(cells: _Cell, group: str) -> str:
    """Write median [quartiles]."""
    median, low, high = _writer("median", "q1", "q3")(cells, group)
    if math.isnan(median):
        return _DASH
    digits = 0 if _whole(median, low, high) else decimals(high - low if high > low else median)
    return f"{median:,.{digits}f} [{low:,.{digits}f} to {high:,.{digits}f}]"


def _range(cells: _Cell, group: str) -> str:
    """Write the range."""
    low, high = _writer("min", "max")(cells, group)
    if math.isnan(low):
        return _DASH
    digits = 0 if _whole(low, high) else decimals(high)
    return f"{low:,.{digits}f} to {high:,.{digits}f}"


def _whole(*values: float) -> bool:
    """Say whether all values are whole numbers."""
    return all(value == round(value) for value in values)


def _share(cells: _Cell, level: str, group: str) -> str:
    """Write how many have a level, and their share."""
    n, percent = cells[level, "n", group], cells[level, "percent", group]
    return f"{n:,.0f} ({_DASH if math.isnan(percent) else f'{percent:.0f}'})"


def decimals(spread: float) -> int:
    """Return how many decimals show two significant digits of a spread.

    Parameters
    ----------
    spread : float
        A standard deviation or interquartile range.

    Returns
    -------
    int
        From 0 to 6.

    Examples
    --------
    >>> decimals(112.0), decimals(9.1), decimals(0.052)
    (0, 1, 3)
    """
    if not math.isfinite(spread) or spread == 0:
        return 1
    return min(max(1 - math.floor(math.log10(abs(spread))), 0), 6)
