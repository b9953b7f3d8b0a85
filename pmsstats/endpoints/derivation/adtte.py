"""Endpoints as a CDISC ADaM table of time to event (ADTTE), with its sources."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyreadstat

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.composite_rule import CompositeRule
from pmsstats.endpoints.definitions.event_rules import (
    ExitEventRule,
    RecordedEventRule,
    RelapseEventRule,
)
from pmsstats.endpoints.derivation.composite import JOIN
from pmsstats.endpoints.derivation.time_to_event import UNCONFIRMED, EndpointResult
from pmsstats.errors import DesignError, SchemaError, first_ids, nearest

__all__ = ["ADTTE_LABELS", "CENSOR_CODES", "to_adtte", "write_adtte"]

CENSOR_CODES: Mapping[int, str] = {
    0: "event",
    1: "no event up to the last assessment",
    2: "change at the last assessment not confirmed",
    3: "left the study without the event",
    4: "died without the event",
}
"""What CNSR says. Of several that hold, the highest is given, but an unconfirmed change goes
before leaving the study."""

ADTTE_LABELS: Mapping[str, str] = {
    "STUDYID": "Study Identifier",
    "USUBJID": "Unique Subject Identifier",
    "SITEID": "Study Site Identifier",
    "AGE": "Age",
    "SEX": "Sex",
    "TRTP": "Planned Treatment",
    "TRTPN": "Planned Treatment (N)",
    "PARAM": "Parameter",
    "PARAMCD": "Parameter Code",
    "ASEQ": "Analysis Sequence Number",
    "STARTDT": "Time-to-Event Origin Date for Subject",
    "ADT": "Analysis Date",
    "ADY": "Analysis Relative Day",
    "AVAL": "Analysis Value",
    "AVALU": "Analysis Value Unit",
    "CNSR": "Censor",
    "EVNTDESC": "Event or Censoring Description",
    "CNSDTDSC": "Censor Date Description",
    "SRCDOM": "Source Data",
    "SRCVAR": "Source Variable",
    "SRCSEQ": "Source Sequence Number",
    "PMSSTDY": "Relative Day of Time-to-Event Origin",
    "PMSLEFT": "Event Came After (days)",
    "PMSRIGHT": "Event Came Not After (days)",
    "PMSCONDY": "Relative Day of Confirmation",
    "PMSBASE": "Value at Time-to-Event Origin",
    "PMSCLASS": "Relation to Relapses",
    "PMSCOMP": "Part that Completed Composite Event",
    "PMSDEATH": "Time to Death without Event (days)",
}
"""Labels of the variables. Those that begin with PMS are not part of the standard."""

_SUBJECT_VARIABLES = {"site_id": "SITEID", "age_years": "AGE", "sex": "SEX", "arm": "TRTP"}
_TABLES = ("visits", "relapses", "exits", "subjects")
_CODE = re.compile(r"[A-Z_][A-Z0-9_]{0,7}")
_LONGEST_TEXT = 200  # bytes of a text in a SAS transport file, version 5
_WHEN_CENSORED = {
    "visits": "last assessment",
    "exits": "exit from the study",
    "subjects": "as recorded",
}


def to_adtte(
    results: EndpointResult | Iterable[EndpointResult],
    cohort: Cohort,
    *,
    study_id: str,
    param_codes: Mapping[str, str] | None = None,
    start_date: str | None = None,
    subject_variables: Mapping[str, str] | None = None,
    domains: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Turn endpoints to an ADaM table: one row per subject and endpoint.

    Parameters
    ----------
    results : EndpointResult or several
        Derived from `cohort`.
    cohort : Cohort
        Where visits, relapses, exits and subject variables are looked up.
    study_id : str
        STUDYID.
    param_codes : mapping of str to str, optional
        PARAMCD by name of the rule, at most eight capitals, digits and underscores; by default
        made from the name.
    start_date : str, optional
        Column of the subjects table with the date of day 0. Without it there are no dates
        (STARTDT, ADT), and ADY and PMSSTDY place the rows in time.
    subject_variables : mapping of str to str, optional
        Columns of the subjects table and the variables that they become; by default those of
        ``site_id`` (SITEID), ``age_years`` (AGE), ``sex`` (SEX), ``arm`` (TRTP, and TRTPN where
        the arms are ordered) that are there.
    domains : mapping of str to str, optional
        What SRCDOM calls ``visits``, ``relapses``, ``exits`` and ``subjects``: the names of your
        own data sets; by default these words in capitals.

    Returns
    -------
    pandas.DataFrame
        Variables of :data:`ADTTE_LABELS`, by subject in the order of the cohort, then by endpoint.

    Raises
    ------
    DesignError
        If codes are not valid or not unique, or a result is of another cohort.
    SchemaError
        If the subjects table lacks a column, or dates cannot be read.

    Notes
    -----
    The variables are those of the ADaM Basic Data Structure for Time-to-Event Analyses [1]_ and
    the traceability variables of the ADaM Implementation Guide. AVAL is the time from STARTDT to
    ADT in days, so 0 on the same day (some sponsors add 1). Relative days have no day 0: the day
    of day 0 is 1, the one before it -1. CNSR is 0 for events, else a key of
    :data:`CENSOR_CODES`. SRCSEQ numbers the rows of a subject in its source table, in order of
    time: the visit at which the event was first seen or follow-up ended; it is missing where no
    row has that day.

    References
    ----------
    .. [1] CDISC Analysis Data Model Team. The ADaM Basic Data Structure for Time-to-Event
       Analyses, version 1.0. 2012.
    """
    results = [results] if isinstance(results, EndpointResult) else list(results)
    codes = _parameter_codes(results, dict(param_codes or {}))
    names = {table: table.upper() for table in _TABLES} | dict(domains or {})
    rows = _row_numbers(cohort)
    frame = pd.concat([_records(r, cohort, codes, names, rows) for r in results])
    subject = _subject_frame(cohort, subject_variables, start_date)
    frame = frame.merge(subject, on="USUBJID", how="left", validate="many_to_one")
    frame = frame.sort_values("_order", kind="stable").drop(columns="_order")
    frame["ASEQ"] = frame.groupby("USUBJID", sort=False).cumcount() + 1
    frame["STUDYID"] = study_id
    return _arranged(_with_dates(frame)).reset_index(drop=True)


def write_adtte(adtte: pd.DataFrame, path: str | Path) -> None:
    """Write an ADaM table to a text, Parquet or SAS transport file.

    Parameters
    ----------
    adtte : pandas.DataFrame
        From :func:`to_adtte`.
    path : str or pathlib.Path
        Ends in ``.csv``, ``.parquet`` or ``.xpt`` (version 5, with variable labels).

    Raises
    ------
    DesignError
        If the ending is another one.
    """
    path = Path(path)
    if path.suffix == ".csv":
        adtte.to_csv(path, index=False, date_format="%Y-%m-%d")
    elif path.suffix == ".parquet":
        adtte.to_parquet(path, index=False)
    elif path.suffix == ".xpt":
        labels = [ADTTE_LABELS.get(str(c), str(c)) for c in adtte.columns]
        pyreadstat.write_xport(
            _for_transport(adtte), path, table_name="ADTTE", column_labels=labels,
            file_label="Time-to-Event Analysis Dataset", file_format_version=5,
        )  # fmt: skip
    else:
        raise DesignError(
            f"`path` must end in .csv, .parquet or .xpt, got {path.name!r}. SAS data sets "
            "(.sas7bdat) can be made of .xpt files."
        )


def _parameter_codes(results: list[EndpointResult], given: dict[str, str]) -> dict[str, str]:
    """Return the parameter code of each rule, by its name."""
    names = [result.rule.name for result in results]
    for name in given:
        if name not in names:
            raise DesignError(
                f"`param_codes` names {name!r}, which is none of the rules.{nearest(name, names)}"
            )
    if not results or len(set(names)) < len(names):
        raise DesignError(
            f"`results` must be at least one endpoint, of different names, got {names!r}."
        )
    codes = {name: given.get(name, _code_from(name)) for name in names}
    bad = [code for code in codes.values() if not _CODE.fullmatch(code)]
    if bad or len(set(codes.values())) < len(codes):
        raise DesignError(
            "Parameter codes must be of at most eight capitals, digits and underscores, not begin "
            f"with a digit, and differ; got {codes!r}. Give `param_codes`."
        )
    return codes


def _code_from(name: str) -> str:
    """Make a parameter code from the name of a rule."""
    code = re.sub(r"[^A-Z0-9]", "", name.upper())[:8]
    return code if not code[:1].isdigit() else f"P{code}"[:8]


def _records(
    result: EndpointResult,
    cohort: Cohort,
    codes: Mapping[str, str],
    names: Mapping[str, str],
    rows: pd.DataFrame,
) -> pd.DataFrame:
    """Return the records of one endpoint."""
    events = result.events
    unknown = ~events["subject_id"].isin(cohort.subjects["subject_id"])
    if unknown.any():
        raise DesignError(
            f"The endpoint {result.rule.name!r} has {int(unknown.sum())} subject(s) that are not "
            f"in `cohort` ({first_ids(events.loc[unknown, 'subject_id'])}). Give the cohort that "
            "it was derived from."
        )
    code = _censor_codes(events)
    day = events["day_baseline"] + events["duration"]
    source = _sources(result, day, rows)
    right = events["interval_right"]
    return pd.DataFrame(
        {
            "USUBJID": events["subject_id"],
            "PARAM": f"Time to {result.label} (days)"[:_LONGEST_TEXT],
            "PARAMCD": codes[result.rule.name],
            "AVAL": events["duration"].astype(float),
            "AVALU": "DAYS",
            "CNSR": code,
            "EVNTDESC": _descriptions(result, code),
            "CNSDTDSC": source["table"].map(_WHEN_CENSORED).fillna("").where(code > 0, ""),
            "SRCDOM": source["table"].map(names).fillna(""),
            "SRCVAR": source["variable"],
            "SRCSEQ": source["number"],
            "ADY": _relative_day(day),
            "PMSSTDY": _relative_day(events["day_baseline"]),
            "PMSLEFT": events["interval_left"],
            "PMSRIGHT": right.where(np.isfinite(right)),
            "PMSCONDY": _relative_day(events["day_confirmed"]),
            "PMSBASE": events["baseline_value"].astype(float),
            "PMSCLASS": events["relapse_class"],
            "PMSCOMP": events["component"],
            "PMSDEATH": events["death_duration"].astype("Float64").astype(float),
            "_start": events["day_baseline"],
        }
    )


def _censor_codes(events: pd.DataFrame) -> pd.Series:
    """Return CNSR."""
    code = pd.Series(1, index=events.index)
    code[~events["exit_reason"].astype(str).str.casefold().isin(["", "completed"])] = 3
    code[events["censor_reason"] == UNCONFIRMED] = 2
    code[events["status"] == "death"] = 4
    return code.mask(events["event"], 0)


def _descriptions(result: EndpointResult, code: pd.Series) -> pd.Series:
    """Return EVNTDESC."""
    component = result.events["component"]
    made_by = component.where(component == "", ": " + component)
    event = (result.label[:1].upper() + result.label[1:] + made_by).str.slice(0, _LONGEST_TEXT)
    return event.where(code == 0, code.map(CENSOR_CODES))


def _relative_day(day: pd.Series) -> pd.Series:
    """Count days without a day 0: day 0 is 1, the one before it -1."""
    number = day.astype("Float64").astype(float)
    return number + (number >= 0)


def _row_numbers(cohort: Cohort) -> pd.DataFrame:
    """Give each subject's rows in visits, relapses and exits a number, in order of time."""
    tables = {"visits": cohort.visits, "relapses": cohort.relapses, "exits": cohort.exits}
    numbered = [
        pd.DataFrame(
            {
                "table": table,
                "subject_id": frame["subject_id"].astype(object),
                "day": frame["day"].astype("int64"),
                "number": frame.groupby("subject_id").cumcount() + 1,
            }
        )
        for table, frame in tables.items()
    ]
    found = pd.concat([part for part in numbered if len(part)])
    return found.drop_duplicates(["table", "subject_id", "day"])


def _sources(result: EndpointResult, day: pd.Series, rows: pd.DataFrame) -> pd.DataFrame:
    """Find the row that made each event, or ended follow-up: ``table variable number``."""
    events = result.events
    source = pd.DataFrame({"table": "", "variable": "", "number": np.nan}, index=events.index)
    if isinstance(result.rule, RecordedEventRule):
        return source.assign(table="subjects", variable=result.rule.duration)
    keys = pd.DataFrame({"subject_id": events["subject_id"], "day": day})
    for wanted, tables in _where_to_look(result):
        for table in tables:
            found = keys.merge(rows[rows["table"] == table], how="left", on=["subject_id", "day"])
            number = pd.Series(found["number"].to_numpy(), index=events.index)
            new = wanted & (source["table"] == "") & number.notna()
            source.loc[new, "table"] = table
            source.loc[new, "variable"] = "DAY"
            source.loc[new, "number"] = number[new]
    return source


def _where_to_look(result: EndpointResult) -> list[tuple[pd.Series, tuple[str, ...]]]:
    """Say, for groups of subjects, in which tables the day of the event or the end may be."""
    event, component = result.events["event"], result.events["component"]
    exits_first = isinstance(result.rule, ExitEventRule | RelapseEventRule)
    ends = ("exits", "visits") if exits_first else ("visits", "exits")
    if not isinstance(result.rule, CompositeRule):
        return [(event, _event_tables(result.rule)), (~event, ends)]
    first = component.str.split(JOIN, regex=False).str[0]
    made = [(event & (first == p.name), _event_tables(p)) for p in result.rule.parts]
    return [*made, (~event, ends)]


def _event_tables(rule: Any) -> tuple[str, ...]:
    """Say which tables make the events of a rule."""
    if isinstance(rule, CompositeRule):
        return tuple(dict.fromkeys(t for part in rule.parts for t in _event_tables(part)))
    if isinstance(rule, RelapseEventRule):
        return ("relapses",)
    if isinstance(rule, ExitEventRule):
        return ("exits",)
    return () if isinstance(rule, RecordedEventRule) else ("visits",)


def _subject_frame(
    cohort: Cohort, variables: Mapping[str, str] | None, start_date: str | None
) -> pd.DataFrame:
    """Return the subject variables, the date of day 0 and the order of subjects."""
    subjects = cohort.subjects
    given = _SUBJECT_VARIABLES if variables is None else variables
    chosen = {k: v for k, v in given.items() if variables is not None or k in subjects.columns}
    for column in (*chosen, *([start_date] if start_date else [])):
        if column not in subjects.columns:
            raise SchemaError(
                f"The subjects table has no column {column!r}.{nearest(column, subjects.columns)}"
            )
    frame = pd.DataFrame({"USUBJID": subjects["subject_id"], "_order": np.arange(len(subjects))})
    for column, variable in chosen.items():
        values = subjects[column]
        if isinstance(values.dtype, pd.CategoricalDtype):
            if variable == "TRTP":
                frame["TRTPN"] = (values.cat.codes + 1.0).where(values.notna())
            values = values.astype(object)
        frame[variable] = values
    if start_date is not None:
        frame["_date"] = _dates(subjects[start_date], start_date)
    return frame


def _dates(values: pd.Series, name: str) -> pd.Series:
    """Read the dates of day 0, without time of day and zone."""
    wrong = f"`start_date` names {name!r}, which must hold dates such as 2014-01-31, but "
    if pd.api.types.is_numeric_dtype(values):
        raise SchemaError(f"{wrong}it holds numbers.")
    try:
        dates = pd.to_datetime(values, format="ISO8601")
    except (ValueError, TypeError) as exc:
        raise SchemaError(f"{wrong}holds {values.dropna().iloc[0]!r} ({exc}).") from exc
    return dates.dt.tz_localize(None).dt.normalize()


def _with_dates(frame: pd.DataFrame) -> pd.DataFrame:
    """Add STARTDT and ADT where the date of day 0 is known."""
    if "_date" in frame:
        frame["STARTDT"] = frame["_date"] + pd.to_timedelta(frame["_start"], unit="D")
        frame["ADT"] = frame["STARTDT"] + pd.to_timedelta(frame["AVAL"], unit="D")
    return frame


def _arranged(frame: pd.DataFrame) -> pd.DataFrame:
    """Put the variables in the order of their labels, and those of the user behind the subject."""
    own = [c for c in frame.columns if c not in ADTTE_LABELS and not c.startswith("_")]
    known = [c for c in ADTTE_LABELS if c in frame.columns]
    return frame[[*known[:2], *own, *known[2:]]]


def _for_transport(adtte: pd.DataFrame) -> pd.DataFrame:
    """Turn columns to what a SAS transport file holds: texts, numbers, dates."""
    columns = {}
    for name in adtte.columns:
        values = adtte[name]
        if values.dtype.kind == "M":
            columns[name] = values.dt.date.astype(object).where(values.notna(), None)
        elif values.dtype.kind in "iufb":
            columns[name] = values.astype(float)
        else:
            columns[name] = values.astype(object).where(values.notna(), "").astype(str)
    return pd.DataFrame(columns)
