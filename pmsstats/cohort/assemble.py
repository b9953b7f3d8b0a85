"""Join converted files to the four tables, with days counted from one baseline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pmsstats.cohort.convert import Part
from pmsstats.cohort.issues import concat_issues, flag_rows, no_issues
from pmsstats.cohort.layouts import reduce_to_subjects
from pmsstats.cohort.schema import DataDictionary
from pmsstats.results import Exclusion, exclude

__all__ = ["assemble_tables", "drop_empty_visits"]


def assemble_tables(parts: Sequence[Part]) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Join converted files to subjects, visits, relapses and exits.

    Parameters
    ----------
    parts : sequence of Part
        In the order of the mapping.

    Returns
    -------
    tables : dict of str to pandas.DataFrame
        The tables that there are; the index is the line in the (first) file.
    issues : pandas.DataFrame
        Rows that cannot be placed in time, subject columns that vary, unknown subjects.
    """
    by_role = {
        role: sorted(
            (part for part in parts if part.table.role == role),
            key=lambda part: part.table.name != role,
        )
        for role in dict.fromkeys(part.table.role for part in parts)
    }
    baseline = _baseline_dates(by_role["subjects"][0].frame, by_role["visits"])
    tables: dict[str, pd.DataFrame] = {}
    issues: list[pd.DataFrame] = []
    for role in [role for role in by_role if role != "subjects"]:
        frames = []
        for part in by_role[role]:
            frame, found = _count_days(part, baseline)
            frames.append(frame.drop_duplicates() if part.table.shared else frame)
            issues.append(found)
        tables[role] = frames[0]
        for part, frame in zip(by_role[role][1:], frames[1:], strict=True):
            tables[role] = _join_visits(tables[role], frame, part.table.source.match)
    tables["subjects"], found = _join_subjects(by_role["subjects"], by_role["visits"])
    return tables, concat_issues([*issues, found])


def _baseline_dates(subjects: pd.DataFrame, visits: Sequence[Part]) -> pd.Series:
    """Return the date of day 0 by subject: as given, else that of the first dated visit."""
    if "baseline_date" in subjects:
        return subjects.groupby("subject_id")["baseline_date"].first()
    dated = [part.frame for part in visits if "date" in part.frame]
    if not dated:
        return pd.Series(dtype="datetime64[ns]")
    first = pd.concat(dated).dropna(subset=["date"]).sort_values("date", kind="stable")
    first = first.drop_duplicates("subject_id").set_index("subject_id")
    if "day" not in first:
        return first["date"]
    days = pd.to_numeric(first["day"], errors="coerce")
    return first["date"] - pd.to_timedelta(days, unit="D")


def _count_days(part: Part, baseline: pd.Series) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give a part its `day`; rows that cannot have one are reported and go."""
    frame, issues = part.frame, no_issues()
    if "day" not in frame and "year" in frame:
        frame = frame.rename(columns={"year": "day"})  # in days since its conversion
    if "day" not in frame and "date" in frame:
        start = frame["subject_id"].map(baseline)
        lost = (frame["date"].notna() & start.isna()).to_numpy()
        issues = flag_rows(
            "no_baseline_date",
            "error",
            frame,
            lost,
            table=part.table.role,
            column="date",
            message="This subject has no date for day 0: neither a baseline_date in subjects nor "
            "a dated visit.",
        )
        reported = part.issues.loc[part.issues["rule"] == "not_a_date", "row"]
        frame = frame.assign(day=(frame["date"] - start).dt.days)
        frame = frame[~(lost | frame.index.isin(reported))]
    columns = [name for name in frame.columns if name not in ("date", "year")]
    return frame[columns], issues


def _join_visits(visits: pd.DataFrame, added: pd.DataFrame, match: str) -> pd.DataFrame:
    """Add the columns of a further file to the visits; visits that only it has are added too."""
    by_label = match == "visit" and "visit" in visits and "visit" in added
    keys = ["subject_id", "visit" if by_label else "day"]
    for name in keys:
        visits, added = visits.astype({name: object}), added.astype({name: object})
    joined = visits.reset_index(names="row").merge(
        added.reset_index(names="row"), on=keys, how="outer", suffixes=("", "\0added"), sort=False
    )
    for name in ("row", "day", "visit"):
        if f"{name}\0added" in joined:
            joined[name] = _fill(joined, name)
    kept = [name for name in joined.columns if "\0" not in name and name != "row"]
    return joined.set_index(joined["row"].astype(np.int64).rename(None))[kept]


def _fill(joined: pd.DataFrame, name: str) -> pd.Series:
    """Fill a key of the visits from the further file, unless a label would then stand twice."""
    own, other = joined[name].astype(object), joined[f"{name}\0added"].astype(object)
    if name == "visit":
        taken = set(zip(joined["subject_id"], own, strict=True))
        pairs = zip(joined["subject_id"], other, strict=True)
        other = other.where([pair not in taken for pair in pairs], None)
    return own.where(own.notna(), other)


def _join_subjects(
    parts: Sequence[Part], visits: Sequence[Part]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reduce the subjects to one row each and add the columns of further files."""
    frame, issues = _reduce(parts[0], visits)
    found = [issues]
    for part in parts[1:]:
        added, issues = _reduce(part, visits)
        unknown = ~added["subject_id"].isin(set(frame["subject_id"]))
        found += [
            issues,
            flag_rows(
                "unknown_subject",
                "error",
                added,
                unknown,
                table=part.table.name,
                column="subject_id",
                message="The subjects table has no such subject.",
            ),
        ]
        columns = added.drop_duplicates("subject_id").set_index("subject_id")
        columns = columns.reindex(frame["subject_id"])
        frame = frame.assign(**{name: columns[name].array for name in columns.columns})
    return frame.drop(columns="baseline_date", errors="ignore"), concat_issues(found)


def _reduce(part: Part, visits: Sequence[Part]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Reduce a part to one row per subject, where its file has several on purpose."""
    table = part.table
    take = {name: source.take for name, source in table.columns.items()}
    on_purpose = table.shared or table.name != "subjects" or any(take.values())
    if table.source.layout == "adtte" or not on_purpose:
        return part.frame, no_issues()
    day = next((part.frame[name] for name in ("day", "year", "date") if name in part.frame), None)
    if day is None and table.shared:
        own = visits[0].frame
        day = next(own[name] for name in ("day", "year", "date") if name in own)
        day = day.reindex(part.frame.index)
    frame = part.frame.drop(columns=["day", "year", "date"], errors="ignore")
    reduced = reduce_to_subjects(frame, take, day, table=table.role)
    return reduced.frame, reduced.issues


def drop_empty_visits(
    visits: pd.DataFrame, dictionary: DataDictionary
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Leave out visits at which nothing was measured, unless that are all.

    Parameters
    ----------
    visits : pandas.DataFrame
        In our columns.
    dictionary : DataDictionary
        What the measures are.

    Returns
    -------
    visits : pandas.DataFrame
        Those with a value.
    exclusions : tuple of Exclusion
        The others, counted.
    """
    measures = [name for name in visits.columns if name in dictionary]
    empty = np.ones(len(visits), dtype=bool)
    for name in measures:
        empty &= visits[name].isna().to_numpy()
    if not measures or empty.all() or not empty.any():
        return visits, ()
    ids = visits.loc[empty, "subject_id"].fillna("")
    exclusions = exclude("reading visits", "visit", "no value of any measure", ids)
    return visits[~empty], exclusions
