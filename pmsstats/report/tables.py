"""The report's tables: results turned to text, column by column, with captions and notes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd

from pmsstats.results import (
    format_interval,
    format_number,
    format_p_value,
    interval_decimals,
)

__all__ = [
    "DAYS_PER_YEAR",
    "ReportTable",
    "association_table",
    "coefficients_table",
    "differences_table",
    "group_label",
    "progression_table",
    "proportionality_table",
    "short_term",
    "slopes_table",
    "variance_table",
]

DAYS_PER_YEAR = 365.25
_MANY_NUMBERS = 5
_SLOPE_SD = (
    "Slopes: one SD is that of the true slopes as the model estimates it, not that of the "
    "estimated slopes."
)
_INTERVAL = ("estimate", "conf_low", "conf_high")
_PERCENT = tuple(f"percent_{name}" for name in _INTERVAL)
_RATIO = ("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high")
_UNGROUPED = {"all", "year", "day", ""}


@dataclass(frozen=True, kw_only=True)
class ReportTable:
    """One table, every cell turned to text.

    Parameters
    ----------
    caption : str
        What it holds; with the interval's level.
    columns : tuple of str
        Headings; the first column names the row.
    rows : tuple of tuple of str
        Cells.
    notes : tuple of str
        What a reader needs to know, under the table.
    layout : {"cards", "scroll"}
        What narrow screens make of it: one card per row, or a box that scrolls sideways.
    text_columns : tuple of int
        Columns that hold words rather than numbers (the first always does).
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    layout: Literal["cards", "scroll"] = "cards"
    text_columns: tuple[int, ...] = ()

    @property
    def is_broad(self) -> bool:
        """Whether so many columns hold numbers that wide screens should give it more room."""
        return len(self.columns) - 1 - len(self.text_columns) >= _MANY_NUMBERS


def group_label(term: Any) -> str:
    """Name a group, also where subjects are not grouped.

    Parameters
    ----------
    term : object
        Group of a result's row.

    Returns
    -------
    str
        For display.

    Examples
    --------
    >>> group_label("all"), group_label("SPMS")
    ('All subjects', 'SPMS')
    """
    return "All subjects" if str(term) in _UNGROUPED else str(term)


def level_text(conf_level: float) -> str:
    """Write a confidence level.

    Parameters
    ----------
    conf_level : float
        Between 0 and 1.

    Returns
    -------
    str
        For example ``"95 % CI"``, with a blank that does not break.
    """
    return f"{100 * conf_level:g}\u00a0% CI"


def _interval(row: Any) -> str:
    """Format the estimate and interval of one row."""
    return format_interval(*(float(row[name]) for name in _INTERVAL))


def _intervals(frame: pd.DataFrame, names: Sequence[str] = _INTERVAL) -> list[str]:
    """Format a column of estimates and intervals, with as many decimals in every row."""
    values = frame[list(names)].to_numpy(dtype=float)
    decimals = max((interval_decimals(*row) for row in values), default=0)
    return [format_interval(*row, decimals=decimals) for row in values]


def _has(frame: pd.DataFrame, column: str) -> bool:
    """Say whether a column exists and holds anything."""
    return column in frame.columns and bool(frame[column].notna().any())


def slopes_table(slopes: pd.DataFrame, *, unit: str, conf_level: float) -> ReportTable:
    """Lay out the annual change per group.

    Parameters
    ----------
    slopes : pandas.DataFrame
        ``term estimate conf_low conf_high p_value baseline percent_estimate percent_conf_low
        percent_conf_high n_subjects``.
    unit : str
        Of the measure; empty where it has none.
    conf_level : float
        Of the intervals.

    Returns
    -------
    ReportTable
        One row per group.
    """
    level = level_text(conf_level)
    has_percent = _has(slopes, "percent_estimate")
    percent = (f"% of baseline per year ({level})",) if has_percent else ()
    cells = [
        slopes["term"].map(group_label),
        slopes["n_subjects"].map(format_number),
        *([slopes["baseline"].map(format_number)] if "baseline" in slopes else []),
        _intervals(slopes),
        *([_intervals(slopes, _PERCENT)] if has_percent else []),
        slopes["p_value"].map(format_p_value),
    ]
    per_year = f"{unit or 'Units'} per year ({level})"
    baseline = (f"Baseline mean{f' ({unit})' if unit else ''}",) if "baseline" in slopes else ()
    return ReportTable(
        caption="Annual change by group",
        columns=("Group", "Subjects", *baseline, per_year, *percent, "p"),
        rows=tuple(zip(*cells, strict=True)),
        notes=("p: test of no change over time.",),
    )


def differences_table(differences: pd.DataFrame, *, unit: str, conf_level: float) -> ReportTable:
    """Lay out the differences in annual change against the first group.

    Parameters
    ----------
    differences : pandas.DataFrame
        ``term estimate conf_low conf_high p_value`` and optionally the same in percent.
    unit : str
        Of the measure.
    conf_level : float
        Of the intervals.

    Returns
    -------
    ReportTable
        One row per comparison.
    """
    level = level_text(conf_level)
    has_percent = _has(differences, "percent_estimate")
    percent = (f"% of baseline per year ({level})",) if has_percent else ()
    cells = [
        differences["term"].map(str),
        _intervals(differences),
        *([_intervals(differences, _PERCENT)] if has_percent else []),
        differences["p_value"].map(format_p_value),
    ]
    return ReportTable(
        caption="Differences in annual change",
        columns=("Comparison", f"{unit or 'Units'} per year ({level})", *percent, "p"),
        rows=tuple(zip(*cells, strict=True)),
        notes=("p: test of no difference; not adjusted for the number of comparisons.",),
    )


def coefficients_table(coefficients: pd.DataFrame, *, conf_level: float) -> ReportTable:
    """Lay out the fixed effects of the trajectory model.

    Parameters
    ----------
    coefficients : pandas.DataFrame
        ``term estimate std_error [df] statistic p_value conf_low conf_high``.
    conf_level : float
        Of the intervals.

    Returns
    -------
    ReportTable
        One row per term.
    """
    extra = [c for c in ("std_error", "df", "statistic") if _has(coefficients, c)]
    headings = {"std_error": "Standard error", "df": "df", "statistic": "Statistic"}
    rows = [
        (
            str(row["term"]),
            _interval(row),
            *(format_number(row[c], 3) for c in extra),
            format_p_value(row["p_value"]),
        )
        for row in coefficients.to_dict("records")
    ]
    return ReportTable(
        caption="Fixed effects of the trajectory model",
        columns=(
            "Term",
            f"Estimate ({level_text(conf_level)})",
            *(headings[c] for c in extra),
            "p",
        ),
        rows=tuple(rows),
        layout="scroll",
    )


def variance_table(components: pd.DataFrame, residual_sd: float, unit: str) -> ReportTable:
    """Lay out the spread between and within subjects.

    Parameters
    ----------
    components : pandas.DataFrame
        ``group term1 term2 estimate kind``; variances are shown as standard deviations,
        covariances as the correlations that stand beside them.
    residual_sd : float
        Within subjects.
    unit : str
        Of the measure; empty where it has none.

    Returns
    -------
    ReportTable
        One row per component, the residual last.
    """
    rows = []
    for row in components[components["kind"] != "covariance"].to_dict("records"):
        is_variance = row["kind"] == "variance"
        terms = [str(row["term1"]), *([] if is_variance else [str(row["term2"])])]
        value = math.sqrt(row["estimate"]) if is_variance else row["estimate"]
        kind = "standard deviation" if is_variance else str(row["kind"])
        rows.append((" and ".join(terms), f"between {row['group']}", kind, format_number(value)))
    rows.append(("residual", "within", "standard deviation", format_number(residual_sd)))
    of = f"Standard deviations are in the unit of the measure ({unit}), of a slope per year."
    return ReportTable(
        caption="Spread between and within subjects",
        columns=("Term", "Level", "Kind", "Estimate"),
        rows=tuple(rows),
        notes=(of,) if unit else (),
        text_columns=(1, 2),
    )


def _is_text(value: object) -> bool:
    """Say whether a cell holds something."""
    return bool(pd.notna(value)) and str(value) != ""


def progression_table(table: pd.DataFrame, *, conf_level: float) -> ReportTable:
    """Lay out events and median time to event by group.

    Parameters
    ----------
    table : pandas.DataFrame
        ``group n_subjects n_events median conf_low conf_high``, times in days.
    conf_level : float
        Of the intervals.

    Returns
    -------
    ReportTable
        One row per group, times in years.
    """
    years = table[["median", "conf_low", "conf_high"]] / DAYS_PER_YEAR
    reached = _intervals(years, tuple(years.columns))
    medians = [
        text if math.isfinite(median) else "not reached"
        for text, median in zip(reached, years["median"], strict=True)
    ]
    counts = [table[column].map(format_number) for column in ("n_subjects", "n_events")]
    cells = [table["group"].map(group_label), *counts, medians]
    return ReportTable(
        caption="Events and median time to event, by group",
        columns=("Group", "Subjects", "Events", f"Median, years ({level_text(conf_level)})"),
        rows=tuple(zip(*cells, strict=True)),
        notes=("Not reached: the curve stays above one half; \u2013: that limit is not reached.",),
    )


def association_table(
    table: pd.DataFrame, *, conf_level: float, adjustment: str = ""
) -> ReportTable:
    """Lay out the hazard ratios of every method side by side.

    Parameters
    ----------
    table : pandas.DataFrame
        ``method label quantity term estimate conf_low conf_high hazard_ratio hazard_ratio_low
        hazard_ratio_high p_value sd sd_unit n_subjects n_events note``; a note says why a method
        was not estimable.
    conf_level : float
        Of the intervals.
    adjustment : str
        What the hazard ratios are adjusted for and stratified by, and what not.

    Returns
    -------
    ReportTable
        One row per method.
    """
    sd = [
        f"{format_number(size, 3)} {_unit_text(unit)}".strip() if pd.notna(size) else "\u2013"
        for size, unit in zip(table["sd"], table["sd_unit"], strict=True)
    ]
    cells = [
        table["label"],
        table["term"].map(short_term),
        _ratios_or_correlations(table),
        table["p_value"].map(format_p_value),
        sd,
        table["n_subjects"].map(format_number),
        [
            format_number(n) if quantity != "correlation" else "\u2013"
            for n, quantity in zip(table["n_events"], table["quantity"], strict=True)
        ],
    ]
    level = level_text(conf_level)
    correlated = (table["quantity"] == "correlation").any()
    what = "Hazard ratio, or correlation r" if correlated else "Hazard ratio"
    columns = ("Method", "Unit", f"{what} ({level})", "p", "One SD is", "Subjects", "Events")
    missing = [
        f"{row['label']}: not estimable, {row['note']}"
        for row in table.to_dict("records")
        if _is_text(row["note"])
    ]
    ratios = f"Hazard ratios are {adjustment}." if adjustment else ""
    has_slope = bool((table["sd"].notna() & table["label"].str.contains("slope")).any())
    tested = "a ratio of 1, or a correlation of 0" if correlated else "a ratio of 1"
    notes = (f"A ratio above 1 means: events come sooner. p: test of {tested}.", ratios)
    return ReportTable(
        caption="Association of trajectory and outcome, by method",
        columns=columns,
        rows=tuple(zip(*cells, strict=True)),
        notes=(*filter(None, notes), *((_SLOPE_SD,) if has_slope else ()), *missing),
        text_columns=(1,),
    )


def _ratios_or_correlations(table: pd.DataFrame) -> list[str]:
    """Write the hazard ratio of each row, or its correlation."""
    ratios = _intervals(table, _RATIO)
    correlations = _intervals(table, _INTERVAL)
    return [
        f"r = {correlation}" if quantity == "correlation" and not _is_text(note) else ratio
        for ratio, correlation, quantity, note in zip(
            ratios, correlations, table["quantity"], table["note"], strict=True
        )
    ]


def short_term(term: object) -> str:
    """Return a term without the measure in front, which the section names anyway.

    Parameters
    ----------
    term : object
        For example ``"Thalamus volume: per SD faster decline"``.

    Returns
    -------
    str
        What follows the last colon.

    Examples
    --------
    >>> short_term("Thalamus volume: per SD faster decline")
    'per SD faster decline'
    """
    return str(term).rpartition(": ")[2]


def proportionality_table(tests: pd.DataFrame) -> ReportTable:
    """Lay out the tests of proportional hazards.

    Parameters
    ----------
    tests : pandas.DataFrame
        ``method label term statistic df p_value``.

    Returns
    -------
    ReportTable
        One row per method and term.
    """
    n_rows = tests.groupby("method")["term"].transform("size")
    tests = tests[(tests["term"] != "global") | (n_rows > 2)]  # of one term it is the same test
    cells = [
        tests["label"],
        tests["term"].str.replace("_per_sd", ", per SD"),
        [format_number(float(value), 3) for value in tests["statistic"]],
        tests["df"].map(format_number),
        tests["p_value"].map(format_p_value),
    ]
    return ReportTable(
        caption="Does the hazard ratio change over time?",
        columns=("Method", "Term", "Chi-square", "df", "p"),
        rows=tuple(zip(*cells, strict=True)),
        notes=("A small p speaks against a ratio that is constant over time.",),
        text_columns=(1,),
    )


def _unit_text(unit: object) -> str:
    """Return a unit, or nothing."""
    return str(unit) if _is_text(unit) else ""
