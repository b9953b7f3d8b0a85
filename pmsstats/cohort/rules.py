"""What a rule is: a name, a severity, a check of the tables, and what to do when it is broken."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np
import pandas as pd

from pmsstats.cohort.issues import flag_rows, flag_table
from pmsstats.cohort.schema import DataDictionary, Measure

__all__ = ["COERCION_RULES", "Flagger", "Rule", "RuleInput"]

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class RuleInput:
    """The tables as the rules see them.

    Parameters
    ----------
    tables : mapping of str to pandas.DataFrame
        Canonical tables, visits sorted by subject and day; the index is the source row.
    dictionary : DataDictionary
        What the measures are.
    unusable : frozenset of str
        Tables that already failed as a whole (no rows, or a required column is missing), about
        which there is nothing more to say.
    incomplete : frozenset of str
        Subjects of whom visits were already reported and left out, so that counting the others
        says nothing.
    counts_hold : bool
        Whether visits can be counted by subject: not where some have no subject id.
    """

    tables: Mapping[str, pd.DataFrame]
    dictionary: DataDictionary
    unusable: frozenset[str] = frozenset()
    incomplete: frozenset[str] = frozenset()
    counts_hold: bool = True

    def usable(self, *names: str) -> bool:
        """Say whether none of these tables failed as a whole.

        Parameters
        ----------
        *names : str
            Tables.

        Returns
        -------
        bool
            True where all of them can be checked.
        """
        return not self.unusable.intersection(names)

    @property
    def subjects(self) -> pd.DataFrame:
        """The subjects table."""
        return self.tables["subjects"]

    @property
    def visits(self) -> pd.DataFrame:
        """The visits table, sorted by subject and day."""
        return self.tables["visits"]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Measures of the visits table."""
        return tuple(self.dictionary[c] for c in self.visits.columns if c in self.dictionary)

    @cached_property
    def visit_subject(self) -> np.ndarray:
        """Subject number of each visit, shape (n_visits,), ascending."""
        codes, _ = pd.factorize(self.visits["subject_id"])
        return codes

    @property
    def is_first_visit(self) -> np.ndarray:
        """Whether a visit is the first of its subject, shape (n_visits,)."""
        return np.diff(self.visit_subject, prepend=-1) > 0

    @cached_property
    def is_complete(self) -> np.ndarray:
        """Whether no other visit of the subject was left out, shape (n_visits,)."""
        return ~self.visits["subject_id"].isin(self.incomplete).to_numpy() & self.counts_hold

    @cached_property
    def exit_day(self) -> pd.Series:
        """Day of exit by subject id, missing days left out, the last of several."""
        exits = self.tables["exits"]
        return exits.groupby("subject_id")["day"].max()


@dataclass(frozen=True)
class Flagger:
    """Report issues under one rule.

    Parameters
    ----------
    rule : str
        Its name.
    severity : {"error", "warning"}
        Its severity.
    """

    rule: str
    severity: Severity

    @property
    def rows(self) -> Callable[..., pd.DataFrame]:
        """Report rows, see :func:`pmsstats.cohort.issues.flag_rows`."""
        return partial(flag_rows, self.rule, self.severity)

    @property
    def table(self) -> Callable[..., pd.DataFrame]:
        """Report a table or column, see :func:`pmsstats.cohort.issues.flag_table`."""
        return partial(flag_table, self.rule, self.severity)


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A named way for data to be wrong.

    Parameters
    ----------
    name : str
        As it stands in issue frames.
    severity : {"error", "warning"}
        Errors refuse the tables; warnings are kept with the cohort.
    fix : str
        What to do about it, for a newcomer.
    check : callable, optional
        ``check(given, flag)`` yields issue frames; None where reading or coercion reports it.
    """

    name: str
    severity: Severity
    fix: str
    check: Callable[[RuleInput, Flagger], Iterable[pd.DataFrame]] | None = None

    @property
    def flag(self) -> Flagger:
        """The reporter of this rule."""
        return Flagger(self.name, self.severity)

    def run(self, given: RuleInput) -> list[pd.DataFrame]:
        """Check the tables.

        Parameters
        ----------
        given : RuleInput
            Canonical tables.

        Returns
        -------
        list of pandas.DataFrame
            Issue frames.
        """
        return [] if self.check is None else list(self.check(given, self.flag))


def _rule(name: str, fix: str) -> Rule:
    """Declare an error that reading or coercion reports."""
    return Rule(name=name, severity="error", fix=fix)


_COERCION: tuple[Rule, ...] = (
    _rule(
        "missing_column",
        "Add the column, or say under [columns.<table>] of study.toml which of yours it is.",
    ),
    _rule(
        "duplicate_column",
        "Give every column a name of its own; only the first of the same name was looked at.",
    ),
    _rule(
        "empty_table",
        "Check that the file is the right one and that its rows were exported, not only its "
        "header.",
    ),
    _rule("missing_subject_id", "Fill in the subject's id, or delete the row at its source."),
    _rule(
        "missing_day",
        "Fill in the day or date, or delete the row at its source: without it the row has no "
        "place in time.",
    ),
    _rule(
        "fractional_day",
        "`day` counts whole days from baseline. If yours are years or months, map them with "
        'their unit in study.toml: year = {column = "...", unit = "years"}.',
    ),
    _rule(
        "day_out_of_range",
        "`day` counts days from baseline. If yours is a calendar date (20200131, or a "
        'spreadsheet\'s 43861), map it in study.toml as date = "...".',
    ),
    _rule(
        "date_in_day",
        '`day` counts days from baseline. Map dates in study.toml as date = "...", and '
        "baseline is each subject's first visit; in Python, subtract the baseline date and take "
        "`.dt.days`.",
    ),
    _rule(
        "not_a_number",
        "Write numbers with a decimal point and nothing else; leave missing values empty. For "
        "decimal commas, set the delimiter and decimal of the file.",
    ),
    _rule("infinite_value", "Leave impossible or failed measurements empty."),
    Rule(
        name="replaced_year",
        severity="warning",
        fix="Rename your column (`calendar_year`), if it means something else.",
    ),
)

COERCION_RULES: Mapping[str, Rule] = {rule.name: rule for rule in _COERCION}
"""Rules that are checked while columns are brought to their types."""


def as_object(values: Any) -> np.ndarray:
    """Return values as an object array, missing ones as None.

    Parameters
    ----------
    values : pandas.Series
        Any dtype.

    Returns
    -------
    numpy.ndarray
        Objects.
    """
    array = np.asarray(values, dtype=object)
    return np.where(pd.isna(array), None, array)
