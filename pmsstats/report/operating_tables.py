"""Operating characteristics as tables for readers: one table per question, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from pmsstats.report.tables import ReportTable
from pmsstats.results import format_number

__all__ = ["designs_table", "operating_tables", "plain_sentence", "with_error"]

_FINDS = {
    "success": "The trial ends in success",
    "closed_form": "Finds the effect (power), by the closed form",
    "power": "Finds the effect (power)",
    "type1_error": "Finds an effect where there is none (type I error)",
    "power_given_answer": "Power, among trials whose analysis had an answer",
    "type1_error_given_answer": "Type I error, among trials whose analysis had an answer",
    "disjunctive_power": "Finds one or more of the effects that there are",
    "conjunctive_power": "Finds all effects that there are",
    "familywise_error": "Finds one or more effects where there are none",
    "best_arm_kept": "The best arm goes on to the end",
}
_ESTIMATES = {
    "truth": "True value",
    "mean_estimate": "Mean estimate",
    "bias": "Bias (mean estimate less true value)",
    "relative_bias": "Bias, in per cent of the true value",
    "empirical_se": "Spread of the estimates (empirical standard error)",
    "model_se": "Standard error that the analysis states",
    "model_se_relative_error": "The stated one, compared with the spread",
    "mse": "Mean squared error",
    "coverage": "95 % interval holds the true value (coverage)",
    "bias_eliminated_coverage": "95 % interval holds the mean estimate",
}
_COURSE = {
    "expected_n": "Patients randomised, on average",
    "expected_years": "Years from the first patient to the end, on average",
    "expected_events": "Events at the end, on average",
    "stopped_for_efficacy": "Stops early: effect shown",
    "stopped_for_futility": "Stops early: futile",
    "passed_interim": "Goes on after the interim look",
    "dropped": "Arm is dropped",
    "failed": "The trial gives no answer",
}
_OF_COMPARISONS = frozenset({
    *_ESTIMATES, "power", "type1_error", "power_given_answer", "type1_error_given_answer",
    "closed_form", "passed_interim", "dropped", "best_arm_kept",
})  # fmt: skip
_SIGNED = frozenset({"relative_bias", "model_se_relative_error"})
_RATES = frozenset({
    "success", "closed_form", "power", "type1_error", "power_given_answer",
    "type1_error_given_answer", "disjunctive_power", "conjunctive_power", "familywise_error",
    "best_arm_kept", "coverage", "bias_eliminated_coverage", "stopped_for_efficacy",
    "stopped_for_futility", "passed_interim", "dropped", "failed",
})  # fmt: skip
_WHOLE = "all trials"
_ERRORS = "In brackets: Monte Carlo error."


def operating_tables(
    rows: pd.DataFrame, *, scales: dict[str, str], closed_form: float | None = None
) -> tuple[tuple[str, tuple[ReportTable, ...]], ...]:
    """Lay out operating characteristics by the question that they answer.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``quantity analysis comparison look value mcse n_replicates``.
    scales : dict of str to str
        What the estimates of each analysis are, in words.
    closed_form : float, optional
        Power of the primary analysis by a formula.

    Returns
    -------
    tuple of (str, tuple of ReportTable)
        Question, and its tables. Every row of the frame is in one of them; a row that repeats
        another is said to be the same in a note.
    """
    records = rows.to_dict("records")
    finds = _taken(records, _FINDS)
    course = _taken(records, _COURSE)
    estimates = _taken(records, _ESTIMATES)
    named = {*_FINDS, *_COURSE, *_ESTIMATES}
    others = [row for row in records if row["quantity"] not in named]
    if closed_form is not None:
        finds = _with_closed_form(finds, closed_form)
    finds, same = _without_repeats(finds)
    blocks = [
        ("Does it find what there is?", _long(finds, _FINDS, "How often trials succeed.", same)),
        ("Is the estimate right?", _by_analysis(estimates, scales, records)),
        (
            "How large, how long, and where does it end?",
            _long(_without_single_look(course), _COURSE, "Size and course of the trials.", ()),
        ),
        ("What else was counted", _long(others, {}, "Further quantities.", ())),
    ]
    return tuple((question, tables) for question, tables in blocks if tables)


def with_error(row: dict[Any, Any]) -> str:
    """Write a value with its Monte Carlo error in brackets, rounded to that error.

    Parameters
    ----------
    row : dict
        ``quantity value mcse n_replicates``.

    Returns
    -------
    str
        Shares in per cent; what happened never or always as a count.

    Examples
    --------
    >>> with_error({"quantity": "power", "value": 0.765, "mcse": 0.0042, "n_replicates": 10000})
    '76.5 % (0.42)'
    >>> with_error({"quantity": "failed", "value": 0.0, "mcse": 0.0, "n_replicates": 10000})
    'in none of 10,000'
    """
    value, error, n = float(row["value"]), float(row["mcse"]), row["n_replicates"]
    is_rate = row["quantity"] in _RATES
    if is_rate and error == 0 and n:
        return f"in none of {n:,}" if value == 0 else f"in all of {n:,}"
    is_share = is_rate or row["quantity"] in _SIGNED
    scale, unit = (100.0, " %") if is_share else (1.0, "")
    sign = "+" if row["quantity"] in _SIGNED and value > 0 else ""
    shown, bracket = _rounded(scale * value, scale * error, is_share=is_share)
    return f"{sign}{shown}{unit}{bracket}".replace("-", "\N{MINUS SIGN}")


def _rounded(value: float, error: float, *, is_share: bool) -> tuple[str, str]:
    """Round a value to two digits of its error, but to no more than four digits of its own."""
    if math.isnan(error) or error == 0:
        return (f"{value:.1f}" if is_share else _whole(value)), ""
    places = 1 - math.floor(math.log10(error))
    own = 3 - math.floor(math.log10(abs(value))) if value else places
    digits = max(min(places, own), 1 if is_share else 0)
    least = 10.0**-digits
    if is_share:
        digits = max(places - 1, 1)
        return f"{value:.{digits}f}", f" ({format_number(error, 2)})"
    shown = f"{error:,.{digits}f}" if error >= least / 2 else f"below {least:g}"
    return f"{value:,.{digits}f}", f" ({shown})"


def designs_table(rows: pd.DataFrame) -> ReportTable:
    """Lay designs side by side, one column each.

    Parameters
    ----------
    rows : pandas.DataFrame
        One row per design and comparison: ``design comparison n_replicates``, and per quantity its
        value and ``<quantity>_mcse``.

    Returns
    -------
    ReportTable
        One row per quantity, in words; a dash where a design does not have it. A design with
        several comparisons has a column for the whole trial and one for each of them.
    """
    columns = _design_columns(rows.to_dict("records"))
    words = _FINDS | _ESTIMATES | _COURSE
    quantities = [name for name in words if f"{name}_mcse" in rows]
    return ReportTable(
        caption=f"The designs side by side: primary analysis. {_ERRORS}",
        columns=("What", *(name for name, _ in columns)),
        rows=tuple((words[q], *(_cell_of(cells, q) for _, cells in columns)) for q in quantities),
        layout="scroll",
    )


def _design_columns(records: list[dict[Any, Any]]) -> list[tuple[str, dict[Any, Any]]]:
    """Return the columns of designs: where there are several comparisons, the trial apart."""
    columns: list[tuple[str, dict[Any, Any]]] = []
    for design in dict.fromkeys(record["design"] for record in records):
        mine = [record for record in records if record["design"] == design]
        if len(mine) == 1:
            columns.append((design, mine[0]))
            continue
        columns.append((design, mine[0] | dict.fromkeys(_OF_COMPARISONS, math.nan)))
        trial = (_FINDS.keys() | _COURSE.keys()) - _OF_COMPARISONS
        columns += [
            (f"{design}: {record['comparison']}", record | dict.fromkeys(trial, math.nan))
            for record in mine
        ]
    return columns


def _cell_of(record: dict[Any, Any], quantity: str) -> str:
    """Write one quantity of one design."""
    value, error = record[quantity], record[f"{quantity}_mcse"]
    if math.isnan(value):
        return "\N{EN DASH}"
    cell = {"value": value, "mcse": error, "n_replicates": record["n_replicates"]}
    return with_error({"quantity": quantity, **cell})


def plain_sentence(rows: pd.DataFrame) -> str:
    """Say to a reader without statistics what the trial would do.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``quantity analysis comparison look value``.

    Returns
    -------
    str
        How many of 100 trials would succeed, how many patients and years they would take.
    """
    whole = rows[(rows["look"] == 0) & (rows["comparison"] == "")].set_index("quantity")
    primary = rows[rows["analysis"] == whole.loc["success", "analysis"]]["quantity"]
    share = _of_hundred(100 * float(whole.loc["success", "value"]))
    patients, years = (float(whole.loc[q, "value"]) for q in ("expected_n", "expected_years"))
    if (primary == "type1_error").any() and not (primary == "power").any():
        finding = (
            f"If the treatment does no good, as this scenario assumes, {share} of 100 such trials "
            "would nevertheless claim that it does"
        )
    else:
        comparisons = rows[rows["analysis"] == whole.loc["success", "analysis"]]["comparison"]
        several = len(set(comparisons) - {""}) > 1
        finding = (
            f"If what this scenario assumes is true, {share} of 100 such trials would show that "
            f"{'a' if several else 'the'} treatment works"
        )
    return (
        f"{finding}. On average a trial takes {patients:,.0f} patients and {years:.1f} years from "
        "the first patient to the last result."
    )


def _of_hundred(percent: float) -> str:
    """Write a number of 100 trials."""
    if percent in (0.0, 100.0):
        return "none" if percent == 0 else "all"
    return f"about {percent:.0f}" if 5 <= percent <= 95 else f"about {percent:.1f}"


def _whole(value: float) -> str:
    """Write a number that has no Monte Carlo error."""
    return f"{value:,.0f}" if value == round(value) else format_number(value)


def _taken(records: Iterable[dict[Any, Any]], words: dict[str, str]) -> list[dict[Any, Any]]:
    """Pick quantities, in the order of their words within each analysis."""
    order = list(words)
    picked = [row for row in records if row["quantity"] in words]
    analyses = list(dict.fromkeys(row["analysis"] for row in picked))
    return sorted(
        picked, key=lambda row: (analyses.index(row["analysis"]), order.index(row["quantity"]))
    )


def _with_closed_form(rows: list[dict[Any, Any]], power: float) -> list[dict[Any, Any]]:
    """Put the power of a formula behind the simulated one of the primary analysis."""
    primary = next(row["analysis"] for row in rows if row["quantity"] == "success")
    found = [
        i for i, row in enumerate(rows) if (row["quantity"], row["analysis"]) == ("power", primary)
    ]
    at = found[0] if found else len(rows) - 1
    exact = {"quantity": "closed_form", "value": power, "mcse": math.nan, "n_replicates": 0}
    return [*rows[: at + 1], rows[at] | exact, *rows[at + 1 :]]


def _without_repeats(
    rows: list[dict[Any, Any]],
) -> tuple[list[dict[Any, Any]], tuple[str, ...]]:
    """Leave out shares among trials with an answer where all trials had one, and say so."""
    given = [row for row in rows if str(row["quantity"]).endswith("_given_answer")]
    everyone = max((row["n_replicates"] for row in rows), default=0)
    if not given or any(row["n_replicates"] < everyone for row in given):
        return rows, ()
    kept = [row for row in rows if row not in given]
    return kept, (
        "Every analysis had an answer at the last look of every trial: no trial is missing here.",
    )


def _without_single_look(rows: list[dict[Any, Any]]) -> list[dict[Any, Any]]:
    """Leave out the sum over looks where there is only one look before the end."""
    looks = {row["look"] for row in rows if row["look"]}
    if len(looks) != 1:
        return rows
    at_look = {(row["quantity"], row["comparison"]) for row in rows if row["look"]}
    return [
        row for row in rows if row["look"] or (row["quantity"], row["comparison"]) not in at_look
    ]


def _long(
    rows: Sequence[dict[Any, Any]], words: dict[str, str], caption: str, notes: tuple[str, ...]
) -> tuple[ReportTable, ...]:
    """Write one row per quantity: what, of what, how much."""
    if not rows:
        return ()
    several = len({row["analysis"] for row in rows} - {""}) > 1
    cells = [(_words(row, words), _of(row, several), with_error(row)) for row in rows]
    columns: tuple[str, ...] = ("What", "Of", "Result")
    if {of for _, of, _ in cells} == {_WHOLE}:
        columns, cells = ("What", "Result"), [(what, result) for what, _, result in cells]
    return (
        ReportTable(
            caption=f"{caption} {_ERRORS}",
            columns=columns,
            rows=tuple(cells),
            notes=notes,
            layout="scroll",
            text_columns=(1,) if len(columns) == 3 else (),
        ),
    )


def _words(row: dict[Any, Any], words: dict[str, str]) -> str:
    """Say what a quantity is."""
    return words.get(row["quantity"], str(row["quantity"]).replace("_", " "))


def _of(row: dict[Any, Any], several: bool) -> str:
    """Say which analysis, comparison and look a row is about."""
    analysis = row["analysis"] if several or not row["comparison"] else ""
    parts = [part for part in (analysis, row["comparison"]) if part]
    looks = row["quantity"] in {"stopped_for_efficacy", "stopped_for_futility", "dropped"}
    if row["quantity"] == "passed_interim":
        parts.append(f"look {row['look']}")
    if looks:
        parts = [row["comparison"]] if row["comparison"] else []
        parts.append(f"look {row['look']}" if row["look"] else "any look")
    return ", ".join(parts) or _WHOLE


def _by_analysis(
    rows: list[dict[Any, Any]], scales: dict[str, str], records: list[dict[Any, Any]]
) -> tuple[ReportTable, ...]:
    """Write one table per analysis, with a column per comparison; `records` are all rows."""
    tables = []
    for analysis in dict.fromkeys(row["analysis"] for row in rows):
        mine = [row for row in rows if row["analysis"] == analysis]
        comparisons = list(dict.fromkeys(row["comparison"] for row in mine))
        cells = {(row["quantity"], row["comparison"]): with_error(row) for row in mine}
        scale = f", {scales[analysis]}" if scales.get(analysis) else ""
        rests, counts = _trials_behind(mine, comparisons, records)
        what = f"{analysis}{_when(analysis, records)}{scale}{rests}"
        tables.append(
            ReportTable(
                caption=f"Estimates of {what}. {_ERRORS}",
                columns=("What", *comparisons),
                rows=counts
                + tuple(
                    (words, *(cells.get((name, c), "\N{EN DASH}") for c in comparisons))
                    for name, words in _ESTIMATES.items()
                    if any((name, c) in cells for c in comparisons)
                ),
                layout="scroll",
            )
        )
    return tuple(tables)


def _when(analysis: str, records: list[dict[Any, Any]]) -> str:
    """Say that an analysis is done at interim looks only, where it is."""
    looks = {
        row["look"]
        for row in records
        if row["quantity"] == "passed_interim" and row["analysis"] == analysis
    }
    if not looks:
        return ""
    return " at the interim look" if len(looks) == 1 else " at the interim looks"


def _trials_behind(
    mine: list[dict[Any, Any]], comparisons: list[str], records: list[dict[Any, Any]]
) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """Say on how many trials each column rests, where that is not all: in words, and as a row."""
    total = max(row["n_replicates"] for row in records)
    n = {row["comparison"]: row["n_replicates"] for row in mine if row["quantity"] != "truth"}
    fewer = [c for c in comparisons if n.get(c, 0) < total]
    if not fewer:
        return "", ()
    dropped = {r["comparison"] for r in records if r["quantity"] == "dropped" and r["value"] > 0}
    which = "in which the arm was still there" if dropped & set(fewer) else "with an estimate"
    shares = (f"{n.get(c, 0):,} of {total:,}" for c in comparisons)
    return f", from the trials {which}", (("Trials that it rests on", *shares),)
