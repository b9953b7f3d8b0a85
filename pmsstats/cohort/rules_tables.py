"""Rules about who and when: subjects, visits, relapses, exits, and how they fit together."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
import pandas as pd

from pmsstats.cohort.rules import Flagger, Rule, RuleInput
from pmsstats.cohort.schema import PHENOTYPES
from pmsstats.errors import first_ids

__all__ = [
    "BASELINE_DAYS",
    "SCREENING_DAYS",
    "SHOWN_COLUMNS",
    "TABLE_RULES",
    "identifying_columns",
    "is_identifying",
]

SCREENING_DAYS = 90
"""A visit at most so long before baseline is taken for screening; an earlier one is refused."""

BASELINE_DAYS = 0
"""A baseline visit lies from the start of screening to day 0 and at most so long after it."""

SHOWN_COLUMNS = ("arm", "phenotype", "sex", "site_id")
"""Text columns of subjects whose values are groups, and may be shown however few subjects."""

_CHILDREN = ("visits", "relapses", "exits")
_CONSTANT_COLUMNS = ("arm", "sex")
_GROUP_COLUMNS = ("arm", "phenotype")

Issues = Iterator[pd.DataFrame]


def identifying_columns(subjects: pd.DataFrame) -> list[str]:
    """List the columns of a subjects table that look like names or ids of persons.

    Parameters
    ----------
    subjects : pandas.DataFrame
        One row per subject.

    Returns
    -------
    list of str
        Columns whose values must not be shown; ``subject_id`` and :data:`SHOWN_COLUMNS` are
        never among them.

    Examples
    --------
    >>> identifying_columns(pd.DataFrame({"sex": ["F", "M"], "Name": ["Doe", "Roe"]}))
    ['Name']
    """
    free = [c for c in subjects.columns if c not in ("subject_id", *SHOWN_COLUMNS)]
    return [c for c in free if is_identifying(subjects[c])]


def is_identifying(values: pd.Series) -> bool:
    """Say whether a column holds text (or dates) of its own for most of the subjects.

    Parameters
    ----------
    values : pandas.Series
        One value per subject.

    Returns
    -------
    bool
        True if the distinct values are more than half of the subjects who have one.
    """
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = pd.Series(values.to_numpy())
    found = values.dropna()
    if found.dtype.kind in "biufcmM":  # numbers and true/false; time stamps are only counted
        return False
    if pd.api.types.infer_dtype(found) in ("boolean", "integer", "floating", "mixed-integer-float"):
        return False
    return found.nunique() > len(found) / 2


def _check_identifying_column(given: RuleInput, flag: Flagger) -> Issues:
    """Report columns that look like names or ids of persons, without any of their values."""
    for column in identifying_columns(given.subjects):
        yield flag.table(
            table="subjects",
            column=column,
            message=f"{column!r} has a text of its own for most subjects: it looks like names or "
            "ids, and is not shown in any summary.",
        )


def _check_duplicate_subject(given: RuleInput, flag: Flagger) -> Issues:
    """Report subjects that stand twice with the same content (the later rows)."""
    frame = given.subjects
    repeated = frame["subject_id"].duplicated().to_numpy()
    varying = frame["subject_id"].isin(_varying_ids(frame)).to_numpy()
    yield flag.rows(
        frame,
        repeated & ~varying,
        table="subjects",
        column="subject_id",
        message="This subject is listed twice in the subjects table, with the same content.",
    )


def _varying_ids(frame: pd.DataFrame) -> set[str]:
    """Return subjects whose rows differ in any column."""
    repeated = frame[frame["subject_id"].duplicated(keep=False)]
    distinct = repeated.drop_duplicates()
    return set(distinct.loc[distinct["subject_id"].duplicated(), "subject_id"])


def _check_varying_subject_column(given: RuleInput, flag: Flagger) -> Issues:
    """Report subject columns that change within a subject: two arms, two sexes."""
    frame = given.subjects
    ids = _varying_ids(frame)
    if ids:
        rows = frame[frame["subject_id"].isin(ids)]
        for column in rows.columns.drop("subject_id"):
            yield _flag_varying(rows, column, flag, "subjects")
    visits = given.visits
    for column in [c for c in _CONSTANT_COLUMNS if c in visits and given.usable("visits")]:
        yield _flag_varying(_with_subject_value(given, column), column, flag, "visits")


def _with_subject_value(given: RuleInput, column: str) -> pd.DataFrame:
    """Return the visits' column; a value that contradicts the subjects table varies too."""
    visits = given.visits[["subject_id", column]].astype(object)
    if column not in given.subjects:
        return visits
    own = given.subjects.drop_duplicates("subject_id").set_index("subject_id")[column]
    return visits.assign(recorded=visits["subject_id"].map(own.astype(object)))


def _flag_varying(rows: pd.DataFrame, column: str, flag: Flagger, table: str) -> pd.DataFrame:
    """Report all rows of subjects for whom a column has several values."""
    values = rows[column].astype(object)
    n_values = values.groupby(rows["subject_id"].to_numpy()).transform("nunique", dropna=False)
    bad = n_values.to_numpy() > 1
    if "recorded" in rows:
        recorded = rows["recorded"]
        bad |= (recorded.notna() & values.notna() & (recorded != values)).to_numpy(dtype=bool)
    return flag.rows(
        rows,
        bad,
        table=table,
        column=column,
        message=f"{column} has more than one value for this subject.",
    )


def _check_subject_id_spelling(given: RuleInput, flag: Flagger) -> Issues:
    """Report ids that fit once leading zeros and case are ignored, as one problem per table."""
    for table in _CHILDREN:
        pairs = respelled_ids(given, table)
        if pairs:
            shown = first_ids(f"{a!r} for {b!r}" for a, b in pairs.items())
            yield flag.table(
                table=table,
                column="subject_id",
                value=next(iter(pairs)),
                message=f"{len(pairs)} subject ids of {table} are unknown as they stand, but fit "
                f"the subjects table when leading zeros and case are ignored: {shown}.",
            )


def respelled_ids(given: RuleInput, table: str) -> dict[str, str]:
    """Pair unknown ids of a table with subjects that are spelled nearly the same.

    Parameters
    ----------
    given : RuleInput
        Canonical tables.
    table : str
        Which table.

    Returns
    -------
    dict of str to str
        Id as it stands there, to the id of the subjects table; only where exactly one fits.
    """
    if not given.usable("subjects", table):
        return {}
    known = given.subjects["subject_id"].unique()
    unknown = sorted(set(given.tables[table]["subject_id"].unique()) - set(known))
    if not unknown:
        return {}
    by_key = pd.Series(known).groupby([_spelling_key(i) for i in known]).agg(list)
    candidates = {i: by_key.get(_spelling_key(i), []) for i in unknown}
    return {i: fits[0] for i, fits in candidates.items() if len(fits) == 1}


def _spelling_key(subject_id: str) -> str:
    """Reduce an id to what is left when case and the zeros before a number are ignored."""
    return re.sub(r"(?<!\d)0+(?=\d)", "", subject_id).casefold()


def _check_unknown_subject(given: RuleInput, flag: Flagger) -> Issues:
    """Report rows of subjects whom the subjects table does not have."""
    if not given.usable("subjects"):
        return
    for table in _CHILDREN:
        frame = given.tables[table]
        known = set(given.subjects["subject_id"]) | set(respelled_ids(given, table))
        yield flag.rows(
            frame,
            ~frame["subject_id"].isin(known),
            table=table,
            column="subject_id",
            message="The subjects table has no such subject.",
        )


def _check_subject_without_visits(given: RuleInput, flag: Flagger) -> Issues:
    """Report subjects who have no visit."""
    if not given.usable("subjects", "visits") or not given.counts_hold:
        return
    frame = given.subjects
    seen = set(given.visits["subject_id"]) | set(respelled_ids(given, "visits").values())
    yield flag.rows(
        frame,
        ~frame["subject_id"].isin(seen | given.incomplete) & ~frame["subject_id"].duplicated(),
        table="subjects",
        column="subject_id",
        message="This subject has no visit.",
    )


def _check_one_subject(given: RuleInput, flag: Flagger) -> Issues:
    """Report a cohort of one."""
    if given.usable("subjects") and len(given.subjects["subject_id"].unique()) == 1:
        yield flag.table(
            table="subjects", column="subject_id", message="There is only one subject."
        )


def _check_one_group(given: RuleInput, flag: Flagger) -> Issues:
    """Report that nobody can be compared with anybody: every group column has one value."""
    present = [c for c in _GROUP_COLUMNS if c in given.subjects]
    levels = {c: given.subjects[c].dropna().unique().tolist() for c in present}
    if present and all(len(v) == 1 for v in levels.values()) and len(given.subjects) > 1:
        shown = " and ".join(f"{c} is {v[0]!r}" for c, v in levels.items())
        yield flag.table(
            table="subjects",
            column=present[0],
            value=levels[present[0]][0],
            message=f"All subjects are in one group: {shown} for everybody.",
        )


def _check_phenotype_spelling(given: RuleInput, flag: Flagger) -> Issues:
    """Report phenotypes that are a known one but for case and punctuation."""
    frame = given.subjects
    if "phenotype" not in frame:
        return
    known = {label.casefold(): label for label in PHENOTYPES}
    labels = frame["phenotype"].cat.categories
    meant = {x: known.get(re.sub(r"[^a-z]", "", x.casefold())) for x in labels}
    odd = {x: label for x, label in meant.items() if label not in {None, x}}
    phenotype = frame["phenotype"].astype(object)
    yield flag.rows(
        frame,
        phenotype.isin(odd),
        table="subjects",
        column="phenotype",
        message=phenotype.map(lambda x: f"Is {odd.get(x)!r} meant?").to_numpy(dtype=object),
    )


def _check_impossible_age(given: RuleInput, flag: Flagger) -> Issues:
    """Report ages that no person has."""
    frame = given.subjects
    if "age_years" in frame and frame["age_years"].dtype.kind in "if":
        age = frame["age_years"].to_numpy(dtype=float)
        yield flag.rows(
            frame,
            (age < 0) | (age > 120),
            table="subjects",
            column="age_years",
            message="age_years must lie between 0 and 120.",
        )


def _check_duplicate_visit(given: RuleInput, flag: Flagger) -> Issues:
    """Report all visits that share their subject and day."""
    frame = given.visits
    yield flag.rows(
        frame,
        _repeats(given.visit_subject, frame["day"].to_numpy()),
        table="visits",
        column="day",
        message="This subject has several visits on this day.",
    )


def _check_duplicate_visit_label(given: RuleInput, flag: Flagger) -> Issues:
    """Report visits that share their subject and label, but not their day."""
    frame = given.visits
    labels = frame["visit"].cat.codes.to_numpy()
    same_day = _repeats(given.visit_subject, frame["day"].to_numpy())
    yield flag.rows(
        frame,
        (labels >= 0) & _repeats(given.visit_subject, labels) & ~same_day,
        table="visits",
        column="visit",
        message="This subject has several visits of this label, on different days.",
    )


def _repeats(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Say which pairs occur more than once."""
    return pd.DataFrame({"first": first, "second": second}).duplicated(keep=False).to_numpy()


def _check_screening_visit(given: RuleInput, flag: Flagger) -> Issues:
    """Report visits shortly before baseline."""
    day = given.visits["day"].to_numpy()
    yield flag.rows(
        given.visits,
        (day < 0) & (day >= -SCREENING_DAYS),
        table="visits",
        column="day",
        message=f"Visit at most {SCREENING_DAYS} days before baseline, taken for screening.",
    )


def _check_visit_before_baseline(given: RuleInput, flag: Flagger) -> Issues:
    """Report visits long before baseline."""
    day = given.visits["day"].to_numpy()
    yield flag.rows(
        given.visits,
        day < -SCREENING_DAYS,
        table="visits",
        column="day",
        message=f"Visit more than {SCREENING_DAYS} days before baseline (day 0).",
    )


def _check_no_baseline_visit(given: RuleInput, flag: Flagger) -> Issues:
    """Report the first visit of subjects who have none around day 0."""
    frame = given.visits
    day = frame["day"].to_numpy()
    around = (day >= -SCREENING_DAYS) & (day <= BASELINE_DAYS)
    has_one = np.isin(given.visit_subject, given.visit_subject[around])
    yield flag.rows(
        frame,
        ~has_one & given.is_first_visit & given.is_complete,
        table="visits",
        column="day",
        message=f"First visit of a subject without any from day -{SCREENING_DAYS} to day "
        f"{BASELINE_DAYS}.",
    )


def _check_one_visit(given: RuleInput, flag: Flagger) -> Issues:
    """Report subjects with a single visit."""
    n_visits = np.bincount(given.visit_subject)
    yield flag.rows(
        given.visits,
        (n_visits[given.visit_subject] == 1) & given.is_complete,
        table="visits",
        column="day",
        message="The only visit of this subject: no change can be estimated.",
    )


def _check_after_exit(given: RuleInput, flag: Flagger) -> Issues:
    """Report visits and relapses after the subject's exit."""
    for table in ("visits", "relapses"):
        frame = given.tables[table]
        last = frame["subject_id"].map(given.exit_day).to_numpy(dtype=float)
        yield flag.rows(
            frame,
            frame["day"].to_numpy() > last,
            table=table,
            column="day",
            message="Lies after the day on which this subject left the study.",
        )


def _check_several_exits(given: RuleInput, flag: Flagger) -> Issues:
    """Report all exits of subjects who leave more than once."""
    frame = given.tables["exits"]
    yield flag.rows(
        frame,
        frame["subject_id"].duplicated(keep=False),
        table="exits",
        column="subject_id",
        message="This subject leaves the study more than once.",
    )


def _check_exit_before_baseline(given: RuleInput, flag: Flagger) -> Issues:
    """Report exits before day 0."""
    frame = given.tables["exits"]
    yield flag.rows(
        frame, frame["day"] < 0, table="exits", column="day", message="Exit before baseline."
    )


def _check_missing_exit_reason(given: RuleInput, flag: Flagger) -> Issues:
    """Report exits without a reason."""
    frame = given.tables["exits"]
    yield flag.rows(
        frame,
        frame["reason"].isna(),
        table="exits",
        column="reason",
        message="It is not said why this subject left.",
    )


def _check_duplicate_relapse(given: RuleInput, flag: Flagger) -> Issues:
    """Report all relapses that share their subject and day."""
    frame = given.tables["relapses"]
    yield flag.rows(
        frame,
        frame.duplicated(["subject_id", "day"], keep=False),
        table="relapses",
        column="day",
        message="This subject has several relapses on this day.",
    )


TABLE_RULES: tuple[Rule, ...] = (
    Rule(
        name="duplicate_subject",
        severity="error",
        fix="Keep one row per subject in the subjects table.",
        check=_check_duplicate_subject,
    ),
    Rule(
        name="identifying_column",
        severity="warning",
        fix="Leave the column out of the file: an analysis needs no names. If it holds groups, "
        "make fewer of them.",
        check=_check_identifying_column,
    ),
    Rule(
        name="varying_subject_column",
        severity="error",
        fix="Correct the value at its source. What changes over time (age at the visit, say) "
        "belongs into the visits table.",
        check=_check_varying_subject_column,
    ),
    Rule(
        name="subject_id_spelling",
        severity="error",
        fix="Spell ids the same in all tables. Most often one table was saved with ids as numbers, "
        "which loses leading zeros: export or read that column as text in every table.",
        check=_check_subject_id_spelling,
    ),
    Rule(
        name="unknown_subject",
        severity="error",
        fix="Add these subjects to the subjects table, or delete their rows at the source.",
        check=_check_unknown_subject,
    ),
    Rule(
        name="subject_without_visits",
        severity="warning",
        fix="Nothing, if they never came; they count as subjects but enter no analysis.",
        check=_check_subject_without_visits,
    ),
    Rule(
        name="one_subject",
        severity="warning",
        fix="Nothing can be compared or generalised from one subject; add more to analyse.",
        check=_check_one_subject,
    ),
    Rule(
        name="one_group",
        severity="warning",
        fix="Nothing, if this is a single-group study; comparisons are left out.",
        check=_check_one_group,
    ),
    Rule(
        name="phenotype_spelling",
        severity="warning",
        fix='Map the label under [labels.phenotype] of study.toml: "spms" = "SPMS".',
        check=_check_phenotype_spelling,
    ),
    Rule(
        name="impossible_age",
        severity="error",
        fix="Correct the age, or leave it empty. A year of birth is not an age.",
        check=_check_impossible_age,
    ),
    Rule(
        name="duplicate_visit",
        severity="error",
        fix="Keep one row per subject and day; several measures of one day share a row.",
        check=_check_duplicate_visit,
    ),
    Rule(
        name="duplicate_visit_label",
        severity="error",
        fix="Give each visit of a subject its own label, leave labels of unscheduled visits empty, "
        "or leave the column `visit` out.",
        check=_check_duplicate_visit_label,
    ),
    Rule(
        name="screening_visit",
        severity="warning",
        fix="Nothing, if these are screening visits; else correct the day.",
        check=_check_screening_visit,
    ),
    Rule(
        name="visit_before_baseline",
        severity="error",
        fix="Correct the day, or count days from the first visit (mapping a date column does "
        "that), or delete these visits at their source.",
        check=_check_visit_before_baseline,
    ),
    Rule(
        name="no_baseline_visit",
        severity="warning",
        fix="Check that day 0 is baseline for these subjects; they have no baseline value in "
        "Table 1 and are not at risk for endpoints, unless a rule has `baseline_window_days`.",
        check=_check_no_baseline_visit,
    ),
    Rule(
        name="one_visit",
        severity="warning",
        fix="Nothing, if they came once; they do not inform rates of change.",
        check=_check_one_visit,
    ),
    Rule(
        name="after_exit",
        severity="error",
        fix="Correct one of the two days. `exits` holds the end of follow-up, not of treatment.",
        check=_check_after_exit,
    ),
    Rule(
        name="several_exits",
        severity="error",
        fix="Keep one exit per subject: the end of follow-up and its reason.",
        check=_check_several_exits,
    ),
    Rule(
        name="exit_before_baseline",
        severity="error",
        fix="Correct the day, or leave out subjects who never reached baseline.",
        check=_check_exit_before_baseline,
    ),
    Rule(
        name="missing_exit_reason",
        severity="warning",
        fix="Fill in the reason (completed, dropout, death, ...); until then it counts as unknown.",
        check=_check_missing_exit_reason,
    ),
    Rule(
        name="duplicate_relapse",
        severity="warning",
        fix="Delete the copy, if it is the same relapse; each row counts as one.",
        check=_check_duplicate_relapse,
    ),
)
"""Rules about subjects and time, in the order in which they are reported."""
