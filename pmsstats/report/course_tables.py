"""The course of simulated trials for readers: looks, arms, and analyses without an answer."""

from __future__ import annotations

import math
from typing import Any, Protocol

import pandas as pd

from pmsstats.report.operating_tables import with_error
from pmsstats.report.tables import ReportTable
from pmsstats.results import format_number

__all__ = ["CourseView", "course_tables", "failure_sentence", "silence_sentence", "silent_table"]

_DASH = "\N{EN DASH}"
_BECAME = {
    "no_answer": "had no final answer",
    "efficacy": "stopped early, effect shown",
    "futility": "stopped early, futile",
    "answered": "had a final answer at the end",
}


class CourseView(Protocol):
    """What the page needs of the course of simulated trials."""

    n_replicates: int
    looks: pd.DataFrame
    arms: pd.DataFrame
    silent: pd.DataFrame
    places: str


def course_tables(course: CourseView) -> tuple[ReportTable, ...]:
    """Lay out when looks took place, and how many patients each arm had.

    Parameters
    ----------
    course : CourseView
        With frames as :class:`~pmsstats.trials.trial_course.TrialCourse` has them.

    Returns
    -------
    tuple of ReportTable
        Looks, and arms.
    """
    return _looks(course), _arms(course)


def _looks(course: CourseView) -> ReportTable:
    """Write one row per look."""
    rows = [
        (
            str(row["label"]),
            _of(row["n_replicates"], course.n_replicates),
            _years(row),
            _DASH if math.isnan(row["n_enrolled"]) else f"{row['n_enrolled']:,.0f}",
        )
        for row in course.looks.to_dict("records")
    ]
    ranges = any("(" in year for _, _, year, _ in rows)
    middle = ", middle 90 % in brackets" if ranges else ""
    return ReportTable(
        caption=f"Looks: calendar time from the first day of recruitment (median{middle}).",
        columns=("Look", "Takes place in", "Year", "Patients enrolled by then, on average"),
        rows=tuple(rows),
        layout="cards",
    )


def _years(row: dict[Any, Any]) -> str:
    """Write when a look takes place, with its range where that differs."""
    low, middle, high = (row[name] for name in ("year_low", "year_median", "year_high"))
    if math.isnan(middle):
        return _DASH
    if f"{low:.1f}" == f"{high:.1f}":
        return f"{middle:.2f}"
    return f"{middle:.2f} ({low:.1f} to {high:.1f})"


def _arms(course: CourseView) -> ReportTable:
    """Write one row per arm."""
    frame = course.arms
    ended = bool((frame["n_at_end"] - frame["n_enrolled"]).abs().max() > 0)
    rows = [
        (
            str(row["arm"]),
            f"{row['ratio']:g}",
            _patients(row, course.n_replicates),
            *((_mean(row["n_at_end"]),) if ended else ()),
        )
        for row in frame.to_dict("records")
    ]
    last = ("In trials that go to the planned end",) if ended else ()
    return ReportTable(
        caption="Arms: patients randomised, on average. In brackets: Monte Carlo error.",
        columns=("Arm", "Allocation ratio", "Patients", *last),
        rows=tuple(rows),
        notes=(course.places,) if course.places else (),
        layout="cards",
    )


def _patients(row: dict[Any, Any], n: int) -> str:
    """Write a mean number of patients with its Monte Carlo error."""
    cell = {"quantity": "expected_n", "value": row["n_enrolled"], "mcse": row["mcse"]}
    return with_error(cell | {"n_replicates": n})


def _mean(value: float) -> str:
    """Write a mean number of patients."""
    if math.isnan(value):
        return _DASH
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"


def _of(n: int, total: int) -> str:
    """Write how many of all trials."""
    return f"all {total:,} trials" if n == total else f"{n:,} of {total:,} trials"


def _share(n: int, total: int, noun: str = "") -> str:
    """Write how many of all trials, with the share."""
    return f"{n:,} of {total:,}{noun} ({format_number(100 * n / total, 2)} %)"


def silent_table(course: CourseView) -> ReportTable | None:
    """Lay out which analysis had no answer, and what became of these trials.

    Parameters
    ----------
    course : CourseView
        With `silent`.

    Returns
    -------
    ReportTable or None
        Nothing where every analysis had an answer.
    """
    if course.silent.empty:
        return None
    rows = [
        (
            f"{row['analysis']}, look {row['look']}",
            _share(row["n_replicates"], course.n_replicates),
            str(row["reason"]),
            "; ".join(f"{row[name]:,} {words}" for name, words in _BECAME.items() if row[name]),
            str(row["first_replicates"]),
        )
        for row in course.silent.to_dict("records")
    ]
    return ReportTable(
        caption="Analyses without an answer.",
        columns=("Analysis", "Trials", "Reason", "What became of these trials", "First of them"),
        rows=tuple(rows),
        layout="cards",
        text_columns=(2, 3, 4),
    )


def failure_sentence(course: CourseView, n_failed: int) -> str:
    """Say how many trials had no final answer, and for what reason most of them.

    Parameters
    ----------
    course : CourseView
        With `silent`.
    n_failed : int
        Trials without a final answer.

    Returns
    -------
    str
        Empty where every trial had one.
    """
    if not n_failed:
        return ""
    text = f"{_share(n_failed, course.n_replicates, ' trials')} had no final answer"
    if course.silent.empty:
        return f"{text}."
    worst = course.silent.loc[course.silent["no_answer"].idxmax()]
    return f"{text}, most of them because of the analysis {worst['analysis']!r}: {worst['reason']}."


def silence_sentence(course: CourseView, n_failed: int) -> str:
    """Say which analysis had no answer in trials that had a final one.

    Parameters
    ----------
    course : CourseView
        With `silent`.
    n_failed : int
        Trials without a final answer.

    Returns
    -------
    str
        Empty where there is none such, or where trials without a final answer are said anyway.
    """
    if n_failed or course.silent.empty:
        return ""
    worst = course.silent.loc[course.silent["n_replicates"].idxmax()]
    return (
        f"The analysis {worst['analysis']!r} had no answer at look {worst['look']} in "
        f"{_share(worst['n_replicates'], course.n_replicates, ' trials')}: {worst['reason']}. "
        "No trial was left without a final answer."
    )
