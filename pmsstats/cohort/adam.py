"""CDISC ADaM: subject-level (ADSL), basic data structure (BDS) and time-to-event (ADTTE) tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.cohort.issues import concat_issues, flag_rows
from pmsstats.cohort.layouts import Pivoted
from pmsstats.cohort.mapping import CohortMapping, ColumnSource, TableSource
from pmsstats.cohort.schema import Measure
from pmsstats.errors import SchemaError
from pmsstats.results import exclude

if TYPE_CHECKING:
    from pmsstats.cohort.cohort import Cohort

__all__ = ["ADAM_COLUMNS", "observed_records", "read_adam"]

ADAM_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "adsl": {
        "subject_id": "USUBJID", "arm": "TRT01P", "age_years": "AGE", "sex": "SEX",
        "site_id": "SITEID",
    },
    "bds": {"subject_id": "USUBJID", "visit": "AVISIT", "day": "ADY"},
    "adtte": {"subject_id": "USUBJID"},
}  # fmt: skip
"""By layout, our columns and the ADaM variables that they are by default."""


def read_adam(
    adsl: str | Path,
    bds: Mapping[str | Path, Mapping[str, str]],
    *,
    measures: Sequence[Measure] = (),
    events: Mapping[str, str] | None = None,
    adtte: str | Path | None = None,
    arm: str = "TRT01P",
    keep: Mapping[str, str] | None = None,
    match: str = "visit",
) -> Cohort:
    """Read a cohort from ADaM tables.

    Parameters
    ----------
    adsl : str or pathlib.Path
        Subject-level table.
    bds : mapping of path to mapping of str to str
        By BDS table, its parameters (PARAMCD) and the measures that they are.
    measures : sequence of Measure
        Measures that the package does not know.
    events : mapping of str to str, optional
        By prefix of the new subject columns, the PARAMCD in `adtte`: ``{"ttde": "TTDE"}`` makes
        ``ttde_day`` and ``ttde_event``.
    adtte : str or pathlib.Path, optional
        Time-to-event table, needed for `events`.
    arm : str, default "TRT01P"
        Variable of ADSL with the treatment.
    keep : mapping of str to str, optional
        Records of the BDS tables to keep, for example ``{"ANL01FL": "Y"}``. The others are
        counted in the cohort's exclusions.
    match : {"visit", "day"}
        Whether values of several parameters stand in one row if they share AVISIT, or ADY.

    Returns
    -------
    Cohort
        Arms with the reference first; every reading decision in ``exclusions`` and ``issues``.

    Raises
    ------
    SchemaError
        If a file, variable or parameter is missing, or the tables break a rule.

    Notes
    -----
    ADaM study days have no day 0 (the day before day 1 is -1), so ``day = ADY - 1`` from day 1
    on, and ``day = ADY`` before. Records flagged as baseline (ABLFL) are put on day 0, and those
    that were moved by it are listed in ``issues``; other records before day 0 are left out.
    Records that were not observed (DTYPE is filled: carried forward, averaged, ...) are left out
    unless `keep` names DTYPE. Each is counted in ``exclusions``.
    """
    from pmsstats.cohort.io import read_cohort

    tables = {"subjects": TableSource(path=str(adsl), layout="adsl")}
    columns = {"subjects": {"arm": ColumnSource(column=arm)}}
    kept = {name: (value,) for name, value in (keep or {}).items()}
    for i, (path, parameters) in enumerate(bds.items()):
        name = "visits" if i == 0 else f"visits_{i + 1}"
        tables[name] = TableSource(
            path=str(path), layout="bds", keep=kept, match=match,
            adds_to=None if i == 0 else "visits",
        )  # fmt: skip
        columns[name] = {measure: ColumnSource(column=code) for code, measure in parameters.items()}
    if events and adtte is None:
        raise SchemaError("`events` needs `adtte`: the path of the time-to-event table.")
    for prefix, code in (events or {}).items():
        tables[f"events_{prefix}"] = TableSource(
            path=str(adtte), layout="adtte", keep={"PARAMCD": (code,)}, adds_to="subjects",
            duration=f"{prefix}_day", event=f"{prefix}_event",
        )  # fmt: skip
    return read_cohort(
        CohortMapping(
            tables=tables, columns=columns, measures=tuple(measures), source="read_adam",
        )
    )  # fmt: skip


def observed_records(
    raw: pd.DataFrame,
    keys: pd.DataFrame,
    *,
    kept: Collection[str],
    study_day: bool,
    table: str,
    stage: str,
) -> Pivoted:
    """Leave out records that were not observed, and count days from baseline.

    Parameters
    ----------
    raw : pandas.DataFrame
        A BDS table.
    keys : pandas.DataFrame
        Its ``subject_id``, time and visit, same index.
    kept : collection of str
        Variables on which the caller already chose records.
    study_day : bool
        Whether ``keys.day`` is ADY; else it is taken as it is.
    table, stage : str
        For issues and exclusions.

    Returns
    -------
    Pivoted
        The keys of the records that stay, with ``day`` counted from baseline.
    """
    exclusions = ()
    if "DTYPE" in raw and "DTYPE" not in kept:
        derived = raw["DTYPE"].notna().to_numpy()
        for kind, ids in keys.loc[derived, "subject_id"].groupby(raw["DTYPE"].astype(str)):
            exclusions += exclude(stage, "row", f"not observed (DTYPE is {kind})", ids.fillna(""))
        raw, keys = raw[~derived], keys[~derived]
    if not study_day:
        return Pivoted(frame=keys, issues=concat_issues([]), exclusions=exclusions)
    ady = pd.to_numeric(keys["day"], errors="coerce").to_numpy(dtype=float)
    days = np.where(ady > 0, ady - 1, ady)
    flags = raw["ABLFL"] if "ABLFL" in raw else pd.Series("", index=raw.index)
    baseline = (flags == "Y").to_numpy()
    before = (days < 0) & ~baseline & bool(baseline.any())
    issues = _flag_days(keys, ady, days, baseline, table)
    days = np.where(baseline, 0, days)
    numbers = pd.Series(days, index=keys.index).astype(object).where(
        ~(np.isnan(days) & keys["day"].notna()), keys["day"]
    )  # fmt: skip
    exclusions += exclude(
        stage, "row", "before baseline and not flagged as baseline",
        keys.loc[before, "subject_id"].fillna(""),
    )  # fmt: skip
    frame = keys.assign(day=numbers)[~before]
    return Pivoted(frame=frame, issues=issues, exclusions=exclusions)


def _flag_days(
    keys: pd.DataFrame, ady: np.ndarray, days: np.ndarray, baseline: np.ndarray, table: str
) -> pd.DataFrame:
    """Report study day 0, which ADaM does not have, and baseline records that are moved."""
    return concat_issues(
        [
            flag_rows(
                "study_day_zero", "error", keys, ady == 0, table=table, column="day",
                message="ADaM study days have no day 0: the first day is 1, the one before it -1.",
            ),
            flag_rows(
                "baseline_moved", "warning", keys, baseline & (days != 0) & ~np.isnan(days),
                table=table, column="day", value=days,
                message="A record flagged as baseline is put on day 0.",
            ),
        ]
    )  # fmt: skip
