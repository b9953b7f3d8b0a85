"""Whether recorded EDSS scores agree with the functional systems recorded beside them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.endpoints.scores.edss import EDSS_SCORES, is_legal_edss
from pmsstats.endpoints.scores.edss_conventions import (
    FS_COLUMNS,
    EDSSConvention,
    FSConversion,
    edss_convention,
)
from pmsstats.endpoints.scores.functional_systems import (
    AMBULATION,
    implied_steps,
    is_ambulation,
    is_grade,
    recorded_scores,
)
from pmsstats.endpoints.scores.visit_columns import number_column, require_visits

__all__ = ["CHECK_COLUMNS", "check_edss"]

CHECK_COLUMNS = (
    "subject_id", "day", "edss", "edss_fs", "edss_low", "edss_high", "severity", "message",
)  # fmt: skip
"""Columns of :func:`check_edss`."""

_EXCEPT = ("fs_visual", "fs_bowel_bladder")  # systems whose grades are converted before use


def check_edss(
    visits: pd.DataFrame,
    *,
    convention: str | EDSSConvention = "neurostatus",
    conversion: FSConversion = "neurostatus",
) -> pd.DataFrame:
    """List visits whose EDSS does not agree with functional systems and ambulation.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit: ``subject_id``, ``day``, ``edss``, and as many as there are of the
        functional systems (see :func:`~pmsstats.endpoints.scores.functional_systems.derive_edss`)
        and ``fs_ambulation``.
    convention : str or EDSSConvention, default "neurostatus"
        How ambulation is scored. If most visits from 6.0 on disagree, it is the other one.
    conversion : {"neurostatus", "none"}, default "neurostatus"
        Of visual and bowel and bladder grades.

    Returns
    -------
    pandas.DataFrame
        One row per disagreement, in the order of `visits` and with its index; columns
        :data:`CHECK_COLUMNS`. ``edss_low`` and ``edss_high`` are the steps that the scores
        allow: a range where some of them are missing. ``severity`` is ``"error"`` for what is no
        score or grade, or is off by more than one step; ``"warning"`` for what is off by one
        step, or lies below the grade of a single system. A visit may stand in several rows.

    Raises
    ------
    DesignError
        If a column is absent or holds no numbers, or the convention is unknown.

    Notes
    -----
    Visits without EDSS, or without any functional system and ambulation score, cannot be checked
    and are not listed. Grades and scores that are none count as missing in what the others imply.
    That no single grade should exceed the EDSS, but for visual and bowel and bladder function, is
    a general rule of Neurostatus. Comparing entries with the rules while they are made lowers
    the number of disagreements [1]_.

    References
    ----------
    .. [1] D'Souza M, et al. Neurostatus e-Scoring against the paper form. Mult Scler.
       doi:10.1177/1352458516657439

    Examples
    --------
    >>> grades = dict.fromkeys(FS_COLUMNS, 0) | {"fs_pyramidal": 3, "fs_ambulation": 0}
    >>> visits = pd.DataFrame([{"subject_id": "S1", "day": 0, "edss": 2.0, **grades}])
    >>> check_edss(visits)["message"].item()
    'EDSS 2.0 is recorded, but functional systems (3.0) and ambulation score 0 give 3.0.'
    """
    chosen = edss_convention(convention)
    require_visits(visits, ["edss"])
    edss = number_column(visits, "edss")
    grades, ambulation = recorded_scores(visits)
    good = is_grade(grades)
    walks = is_ambulation(ambulation, chosen)
    implied = implied_steps(
        np.where(good, grades, np.nan), np.where(walks, ambulation, np.nan), chosen, conversion
    )
    base = visits[["subject_id", "day"]].reset_index(drop=True).assign(edss=edss)
    base = pd.concat([base, implied[["edss_fs", "edss_low", "edss_high"]]], axis=1)
    wrong_grade = ~np.isnan(grades) & ~good
    wrong_walk = ~np.isnan(ambulation) & ~walks
    found = [
        _no_score(base, edss),
        *(_no_grade(base, grades, wrong_grade, column) for column in range(len(FS_COLUMNS))),
        _no_ambulation(base, ambulation, wrong_walk, chosen),
        _off(base, np.where(walks, ambulation, np.nan)),
        _below_a_system(base, np.where(good, grades, np.nan)),
    ]
    rows = pd.concat(found).sort_index(kind="stable")
    return rows.set_axis(visits.index[rows.index])[list(CHECK_COLUMNS)]


def _flagged(
    base: pd.DataFrame,
    where: NDArray[np.bool_],
    severity: str | NDArray[np.str_],
    messages: list[str],
) -> pd.DataFrame:
    """Return the flagged rows with what is wrong."""
    return base[where].assign(severity=severity, message=messages)


def _no_score(base: pd.DataFrame, edss: NDArray[np.float64]) -> pd.DataFrame:
    """Flag what is no score of the scale."""
    where = ~np.isnan(edss) & ~is_legal_edss(edss)
    said = [f"EDSS {value:g} is no score of the scale." for value in edss[where]]
    return _flagged(base, where, "error", said)


def _no_grade(
    base: pd.DataFrame, grades: NDArray[np.float64], wrong: NDArray[np.bool_], column: int
) -> pd.DataFrame:
    """Flag what is no grade of one system."""
    name = list(FS_COLUMNS)[column]
    where = wrong[:, column]
    said = [
        f"{name} is {value:g}, which is no grade from 0 to {FS_COLUMNS[name]}."
        for value in grades[where, column]
    ]
    return _flagged(base, where, "error", said)


def _no_ambulation(
    base: pd.DataFrame,
    ambulation: NDArray[np.float64],
    where: NDArray[np.bool_],
    convention: EDSSConvention,
) -> pd.DataFrame:
    """Flag what is no ambulation score."""
    last = len(convention.ambulation) - 1
    said = [
        f"{AMBULATION} is {value:g}, which is no score from 0 to {last} (convention "
        f"{convention.name!r})."
        for value in ambulation[where]
    ]
    return _flagged(base, where, "error", said)


def _off(base: pd.DataFrame, ambulation: NDArray[np.float64]) -> pd.DataFrame:
    """Flag scores outside of what the others allow."""
    edss, low, high = (base[c].to_numpy() for c in ("edss", "edss_low", "edss_high"))
    nearest_allowed = np.clip(edss, low, high)
    where = is_legal_edss(edss) & (nearest_allowed != edss)
    steps = np.array(EDSS_SCORES)
    distance = np.abs(np.searchsorted(steps, edss) - np.searchsorted(steps, nearest_allowed))
    severity = np.where(distance > 1, "error", "warning")[where]
    said = [
        f"EDSS {row.edss:.1f} is recorded, but {_sources(row.edss_fs, walk)} give "
        f"{_range(row.edss_low, row.edss_high)}."
        for row, walk in zip(base[where].itertuples(), ambulation[where], strict=True)
    ]
    return _flagged(base, where, severity, said)


def _sources(systems: float, walk: float) -> str:
    """Name the scores that imply a step."""
    first = "functional systems"
    first += " (incomplete)" if np.isnan(systems) else f" ({systems:.1f})"
    return f"{first} and ambulation " + (
        "(not recorded)" if np.isnan(walk) else f"score {int(walk)}"
    )


def _range(low: float, high: float) -> str:
    """Write a step or a range of steps."""
    return f"{low:.1f}" if low == high else f"{low:.1f} to {high:.1f}"


def _below_a_system(base: pd.DataFrame, grades: NDArray[np.float64]) -> pd.DataFrame:
    """Flag scores below the grade of one system that the steps allow."""
    names = [name for name in FS_COLUMNS if name not in _EXCEPT]
    counted = grades[:, [list(FS_COLUMNS).index(name) for name in names]]
    highest = np.where(np.isnan(counted), -1.0, counted).max(axis=1)
    edss, low, high = (base[c].to_numpy() for c in ("edss", "edss_low", "edss_high"))
    where = is_legal_edss(edss) & (edss < highest) & (np.clip(edss, low, high) == edss)
    which = np.where(np.isnan(counted), -1.0, counted).argmax(axis=1)
    said = [
        f"EDSS {value:.1f} lies below the grade of a single system ({names[k]} {grade:.0f})."
        for value, k, grade in zip(edss[where], which[where], highest[where], strict=True)
    ]
    return _flagged(base, where, "warning", said)
