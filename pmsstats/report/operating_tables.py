"""Operating characteristics as tables for readers: one table per question, in plain words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
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
    "missed_look": "An interim look never came",
    "failed": "The trial has no final answer",
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
    "stopped_for_futility", "passed_interim", "dropped", "missed_look", "failed",
})  # fmt: skip
_AS_RATIO = {"truth": "True value, as {}", "mean_estimate": "Mean estimate, as {}"}
_SAME_AS_SUCCESS = ("disjunctive_power", "familywise_error")
_WHOLE = "all trials"
_ERRORS = "In brackets: Monte Carlo error."


def operating_tables(
    rows: pd.DataFrame,
    *,
    scales: Mapping[str, str],
    ratios: Mapping[str, str] | None = None,
    closed_form: float | None = None,
) -> tuple[tuple[str, tuple[ReportTable, ...]], ...]:
    """Lay out operating characteristics by the question that they answer.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``quantity analysis comparison look value mcse n_replicates``.
    scales : mapping of str to str
        What the estimates of each analysis are, in words.
    ratios : mapping of str to str, optional
        For analyses whose estimates are logarithms of a ratio: which, as ``"hazard ratio"``.
    closed_form : float, optional
        Power of the primary analysis by a formula.

    Returns
    -------
    tuple of (str, tuple of ReportTable)
        Question, and its tables. Every row of the frame is in one of them; a row that repeats
        another is said to be the same in a note.
    """
    records = [row for row in rows.to_dict("records") if _says_something(row)]
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
        ("Is the estimate right?", _by_analysis(estimates, scales, ratios or {}, records)),
        (
            "How large, how long, and where does it end?",
            _long(_without_single_look(course), _COURSE, "Size and course of the trials.", ()),
        ),
        ("What else was counted", _long(others, {}, "Further quantities.", ())),
    ]
    return tuple((question, tables) for question, tables in blocks if tables)


def _says_something(row: dict[Any, Any]) -> bool:
    """Say whether a row is worth a line: looks that all took place need none."""
    return row["quantity"] != "missed_look" or row["value"] > 0


def with_error(row: dict[Any, Any]) -> str:
    """Write a value with its Monte Carlo error in brackets, rounded to that error.

    Parameters
    ----------
    row : dict
        ``quantity value mcse n_replicates``.

    Returns
    -------
    str
        Shares in per cent; what happened never or always as a count. ``"no answer"`` where no
        trial had one.

    Examples
    --------
    >>> with_error({"quantity": "power", "value": 0.765, "mcse": 0.0042, "n_replicates": 10000})
    '76.5 % (0.42)'
    >>> with_error({"quantity": "failed", "value": 0.0, "mcse": 0.0, "n_replicates": 10000})
    'in none of 10,000'
    """
    value, error, n = float(row["value"]), float(row["mcse"]), row["n_replicates"]
    if math.isnan(value):
        return "no answer"
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
        One row per quantity, in words; a dash where a design does not have it. What concerns one
        of several comparisons of a design has a row of its own.
    """
    designs = {name: part.to_dict("records") for name, part in rows.groupby("design", sort=False)}
    lines: list[tuple[str, ...]] = []
    for quantity, words in (_FINDS | _ESTIMATES | _COURSE).items():
        if f"{quantity}_mcse" in rows and not _adds_nothing(rows, quantity):
            lines += _quantity_lines(quantity, words, designs)
    return ReportTable(
        caption=f"The designs side by side: primary analysis. {_ERRORS}",
        columns=("What", *map(str, designs)),
        rows=tuple(lines),
        notes=("Bias is in the unit of each design's own estimates.",) if "bias" in rows else (),
        layout="scroll",
    )


def _quantity_lines(
    quantity: str, words: str, designs: Mapping[Any, list[dict[Any, Any]]]
) -> list[tuple[str, ...]]:
    """Write one quantity of each design; of several comparisons one line each."""
    lines: dict[str, dict[Any, str]] = {words: {}}  # designs with one comparison first
    for name, records in designs.items():
        several = quantity in _OF_COMPARISONS and len(records) > 1
        for record in records if several else records[:1]:
            label = f"{words}: {record['comparison']}" if several else words
            lines.setdefault(label, {})[name] = _cell_of(record, quantity)
    dash = "\N{EN DASH}"
    table = [
        (label, *(cells.get(name, dash) for name in designs)) for label, cells in lines.items()
    ]
    return [line for line in table if set(line[1:]) != {dash}]


def _adds_nothing(rows: pd.DataFrame, quantity: str) -> bool:
    """Say whether a quantity repeats success in every design, or is 0 and need not be said."""
    if quantity == "missed_look":
        return not (rows[quantity] > 0).any()
    if quantity not in _SAME_AS_SUCCESS or "success" not in rows:
        return False
    other = next(name for name in _SAME_AS_SUCCESS if name != quantity)
    has = rows[quantity].notna()
    alone = rows[other].isna() if other in rows else has
    return bool((alone & (rows[quantity] == rows["success"]))[has].all())


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
    if percent < 0.5:
        return "fewer than 1"
    return "more than 99" if percent >= 99.5 else f"about {percent:.0f}"


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
    """Leave out what says the same as another row, and say so."""
    notes = []
    given = [row for row in rows if str(row["quantity"]).endswith("_given_answer")]
    everyone = max((row["n_replicates"] for row in rows), default=0)
    if given and all(row["n_replicates"] == everyone for row in given):
        rows = [row for row in rows if row not in given]
        notes.append(
            "Every analysis had an answer at the last look of every trial: no trial is missing "
            "here."
        )
    success = [row["value"] for row in rows if row["quantity"] == "success"]
    any_of = [row for row in rows if row["quantity"] in _SAME_AS_SUCCESS]
    if len(any_of) == 1 and [any_of[0]["value"]] == success:
        rows = [row for row in rows if row is not any_of[0]]
        same = _FINDS[any_of[0]["quantity"]]
        notes.append(f"The trial ends in success where it {same[:1].lower()}{same[1:]}.")
    return rows, tuple(notes)


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
    rows: list[dict[Any, Any]],
    scales: Mapping[str, str],
    ratios: Mapping[str, str],
    records: list[dict[Any, Any]],
) -> tuple[ReportTable, ...]:
    """Write one table per analysis, with a column per comparison; `records` are all rows."""
    tables = []
    for analysis in dict.fromkeys(row["analysis"] for row in rows):
        mine = [row for row in rows if row["analysis"] == analysis]
        comparisons = list(dict.fromkeys(row["comparison"] for row in mine))
        scale = f", {scales[analysis]}" if scales.get(analysis) else ""
        rests, counts = _trials_behind(mine, comparisons, records)
        what = f"{analysis}{_when(analysis, records)}{scale}{rests}"
        tables.append(
            ReportTable(
                caption=f"Estimates of {what}. {_ERRORS}",
                columns=("What", *comparisons),
                rows=counts + _estimate_lines(mine, comparisons, ratios.get(analysis, "")),
                layout="scroll",
            )
        )
    return tuple(tables)


def _estimate_lines(
    mine: list[dict[Any, Any]], comparisons: list[str], ratio: str
) -> tuple[tuple[str, ...], ...]:
    """Write one line per quantity; behind the logarithm of a ratio, the ratio."""
    cells = {(row["quantity"], row["comparison"]): row for row in mine}
    dash = "\N{EN DASH}"
    lines = []
    for name, words in _ESTIMATES.items():
        found = [cells.get((name, c)) for c in comparisons]
        if not any(found):
            continue
        lines.append((words, *(with_error(row) if row else dash for row in found)))
        if ratio and name in _AS_RATIO:
            shown = (_ratio(row["value"]) if row else dash for row in found)
            lines.append((_AS_RATIO[name].format(ratio), *shown))
    return tuple(lines)


def _ratio(log_value: float) -> str:
    """Write the ratio of a logarithm."""
    value = math.exp(log_value)
    return format_number(value, 2 if value < 1 else 3)


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
