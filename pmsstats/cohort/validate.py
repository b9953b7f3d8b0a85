"""Validation: run every rule on the four tables and report all problems at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from pmsstats.cohort.coerce import coerce_tables
from pmsstats.cohort.issues import (
    ISSUE_COLUMNS,
    concat_issues,
    describe_issues,
    no_issues,
    tally_issues,
)
from pmsstats.cohort.rules import COERCION_RULES, Rule, RuleInput
from pmsstats.cohort.rules_tables import TABLE_RULES
from pmsstats.cohort.rules_values import VALUE_RULES
from pmsstats.cohort.schema import DataDictionary, default_dictionary
from pmsstats.errors import SchemaError

__all__ = [
    "ISSUE_COLUMNS",
    "RULES",
    "coerce_tables",
    "concat_issues",
    "describe",
    "find_issues",
    "no_issues",
    "tally",
    "validate_cohort",
    "validate_tables",
]

RULES: Mapping[str, Rule] = {
    **COERCION_RULES,
    **{rule.name: rule for rule in (*TABLE_RULES, *VALUE_RULES)},
}
"""Every rule by name."""

_WHOLE_TABLE_RULES = frozenset({"missing_column", "empty_table", "date_in_day"})


def validate_tables(
    tables: Mapping[str, pd.DataFrame],
    *,
    dictionary: DataDictionary,
    prior_issues: Iterable[pd.DataFrame | None] = (),
) -> pd.DataFrame:
    """Run every rule on coerced tables and refuse them if any error is found.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        As :func:`coerce_tables` returns them.
    dictionary : DataDictionary
        What the measures are.
    prior_issues : iterable of pandas.DataFrame
        Issues found on the way (by the reader, by coercion), reported together with the new ones.

    Returns
    -------
    pandas.DataFrame
        The warnings: ``rule severity table row subject_id column value message``.

    Raises
    ------
    SchemaError
        If any issue is an error. The message tallies all by rule; ``.failures`` has every row.
    """
    issues = find_issues(tables, dictionary=dictionary, prior_issues=prior_issues)
    if (issues["severity"] == "error").any():
        raise SchemaError(describe(issues), failures=issues)
    return issues


def find_issues(
    tables: Mapping[str, pd.DataFrame],
    *,
    dictionary: DataDictionary,
    prior_issues: Iterable[pd.DataFrame | None] = (),
) -> pd.DataFrame:
    """Run every rule on coerced tables and list what is found, without raising.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        As :func:`coerce_tables` returns them.
    dictionary : DataDictionary
        What the measures are.
    prior_issues : iterable of pandas.DataFrame
        Issues found on the way.

    Returns
    -------
    pandas.DataFrame
        Errors and warnings: ``rule severity table row subject_id column value message``.
    """
    prior = concat_issues(prior_issues)
    given = _rule_input(tables, dictionary, prior)
    found = [part for rule in (*TABLE_RULES, *VALUE_RULES) for part in rule.run(given)]
    return concat_issues([prior, *found])


def _rule_input(
    tables: Mapping[str, pd.DataFrame], dictionary: DataDictionary, prior: pd.DataFrame
) -> RuleInput:
    """Tell the rules what is known to be lost, so that one problem is not reported as several."""
    whole = prior.loc[prior["rule"].isin(_WHOLE_TABLE_RULES), "table"]
    errors = prior[(prior["table"] == "visits") & (prior["severity"] == "error")]
    lost = errors[errors["row"].notna() & ~errors["column"].isin(dictionary)]
    return RuleInput(
        tables,
        dictionary,
        unusable=frozenset(whole),
        incomplete=frozenset(lost["subject_id"]) - {""},
        counts_hold=not (lost["subject_id"] == "").any(),
    )


def validate_cohort(
    subjects: pd.DataFrame,
    visits: pd.DataFrame,
    relapses: pd.DataFrame | None = None,
    exits: pd.DataFrame | None = None,
    *,
    dictionary: DataDictionary | None = None,
) -> pd.DataFrame:
    """Check raw tables with every rule and refuse them if any error is found.

    To list the problems without raising, see :func:`find_issues`.

    Parameters
    ----------
    subjects, visits, relapses, exits : pandas.DataFrame
        See :class:`pmsstats.cohort.Cohort`.
    dictionary : DataDictionary, optional
        What the measures are; the package's own by default.

    Returns
    -------
    pandas.DataFrame
        The warnings: ``rule severity table row subject_id column value message``.

    Raises
    ------
    SchemaError
        If any issue is an error. The message tallies all by rule; ``.failures`` has every row.

    Examples
    --------
    >>> subjects = pd.DataFrame({"subject_id": ["S1", "S2"]})
    >>> visits = pd.DataFrame(
    ...     {
    ...         "subject_id": ["S1", "S1", "S2", "S2"],
    ...         "day": [-10, 0, 0, 90],
    ...         "edss": [4.0, 4.5, 5.0, 5.5],
    ...     }
    ... )
    >>> validate_cohort(subjects, visits)[["rule", "severity", "row", "subject_id"]]
                  rule severity  row subject_id
    0  screening_visit  warning    0         S1
    >>> try:
    ...     validate_cohort(subjects, visits.assign(edss=[4.0, 4.3, 5.0, 5.5]))
    ... except SchemaError as exc:
    ...     print(exc.failures[["rule", "severity", "row", "value"]])
                  rule severity  row value
    0    illegal_value    error    1   4.3
    1  screening_visit  warning    0   -10
    """
    dictionary = default_dictionary() if dictionary is None else dictionary
    tables, coercion = coerce_tables(subjects, visits, relapses, exits, dictionary=dictionary)
    return validate_tables(tables, dictionary=dictionary, prior_issues=[coercion])


def tally(issues: pd.DataFrame) -> pd.DataFrame:
    """Count issues by rule, worst first, each with what to do about it.

    Parameters
    ----------
    issues : pandas.DataFrame
        Columns :data:`ISSUE_COLUMNS`.

    Returns
    -------
    pandas.DataFrame
        See :func:`pmsstats.cohort.issues.tally_issues`.
    """
    return tally_issues(issues, _fixes())


def describe(issues: pd.DataFrame) -> str:
    """Say in plain words what is wrong and what to do about it.

    Parameters
    ----------
    issues : pandas.DataFrame
        Columns :data:`ISSUE_COLUMNS`.

    Returns
    -------
    str
        A count, then one paragraph per rule, worst first.
    """
    return describe_issues(issues, _fixes())


def _fixes() -> dict[str, str]:
    """Return what to do, by rule."""
    return {name: rule.fix for name, rule in RULES.items()}
