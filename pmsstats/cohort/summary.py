"""Table 1: who is in a cohort, at baseline and over follow-up, by group."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.cohort.rules_tables import BASELINE_DAYS, SCREENING_DAYS, identifying_columns
from pmsstats.cohort.summary_display import headline_text, wide_table
from pmsstats.errors import SchemaError, nearest
from pmsstats.plots.cohort_flow import plot_follow_up
from pmsstats.results import Exclusion, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.cohort.cohort import Cohort
    from pmsstats.provenance import Origin

__all__ = ["MAX_GROUPS", "TOTAL", "CohortSummary", "baseline_values", "summarise_cohort"]

MAX_GROUPS = 12
"""Most values that a grouping column has, or a covariate that is tabulated level by level."""

TOTAL = "Total"
NOT_GIVEN = "(not given)"

STATISTIC_COLUMNS = (
    "section", "variable", "label", "unit", "level", "statistic", "group", "value",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CohortSummary(Result):
    """Counts, baseline values and follow-up, by group and in total.

    Parameters
    ----------
    by : str or None
        The grouping column of the subjects table.
    groups : tuple of str
        Its levels in order, without the total.
    statistics : pandas.DataFrame
        One number per row: ``section variable label unit level statistic group value``.
    observation : pandas.DataFrame
        How many subjects are still to be seen, from each time on: ``group year n_subjects``.
    n_subjects, n_visits : int
        Size of the cohort.
    origin : {"real", "synthetic"}
        Whether the data are real.
    exclusions : tuple of Exclusion
        What reading and selecting left out before.

    Notes
    -----
    There are no p values: in a randomised comparison any baseline difference is due to chance, so
    a test answers no question, and in an observational one importance is not significance [1]_.

    References
    ----------
    .. [1] Vandenbroucke JP et al. Strengthening the Reporting of Observational Studies in
       Epidemiology (STROBE): explanation and elaboration. PLoS Med 2007;4:e297.
       doi:10.1371/journal.pmed.0040297
    """

    by: str | None
    groups: tuple[str, ...]
    statistics: pd.DataFrame
    observation: pd.DataFrame
    n_subjects: int
    n_visits: int
    origin: Origin
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how many subjects and visits there are, and for how long they were followed."""
        return headline_text(self.statistics, self.by, self.groups, self.origin)

    def table(self) -> pd.DataFrame:
        """Return one number per row, in full precision.

        Returns
        -------
        pandas.DataFrame
            ``section variable label unit level statistic group value``; `section` is ``size``,
            ``subject``, ``baseline`` or ``follow_up``; `statistic` is one of ``n n_missing
            percent mean sd median q1 q3 min max n_levels``.
        """
        return self.statistics.copy()

    def display(self) -> pd.DataFrame:
        """Return the table as it is printed: a line per characteristic, a column per group.

        Returns
        -------
        pandas.DataFrame
            Text: ``Characteristic Statistic`` and a column per group, then the total.
        """
        return wide_table(self.statistics, (*self.groups, TOTAL))

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw how many subjects are still seen, over time, by group.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            The current axes by default.
        **kws
            Handed on to :func:`pmsstats.plots.cohort_flow.plot_follow_up`.

        Returns
        -------
        matplotlib.axes.Axes
            One step line per group.
        """
        return plot_follow_up(self.observation, ax=ax, **{"origin": self.origin, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            With ``"schema": "cohort_summary/1"``.
        """
        return {
            "schema": "cohort_summary/1",
            "headline": self.headline(),
            "by": self.by,
            "groups": list(self.groups),
            "n_subjects": self.n_subjects,
            "n_visits": self.n_visits,
            "origin": self.origin,
            "statistics": to_plain(self.statistics),
            "observation": to_plain(self.observation),
            "exclusions": to_plain(self.exclusions),
        }


@dataclass(frozen=True, kw_only=True)
class _Variable:
    """One characteristic: a value per subject, and how to summarise it."""

    section: Literal["subject", "baseline", "follow_up"]
    name: str
    label: str
    unit: str
    kind: Literal["number", "levels", "count"]
    per_subject: pd.Series
    levels: tuple[str, ...] = ()


def summarise_cohort(cohort: Cohort, by: str | None = None) -> CohortSummary:
    """Describe the subjects of a cohort at baseline, and their follow-up.

    Parameters
    ----------
    cohort : Cohort
        Validated tables.
    by : str, optional
        Subject column whose groups become columns.

    Returns
    -------
    CohortSummary
        By group and in total.

    Raises
    ------
    SchemaError
        If `by` is no column of the subjects table, has over :data:`MAX_GROUPS` values, or one
        of them is called "Total", or the column looks like names of persons.

    Notes
    -----
    Subject columns of text that differ between most subjects look like names or ids and are left
    out, see :func:`pmsstats.cohort.rules_tables.identifying_columns`.

    The baseline value of a measure is the last one on day 0 or in the 90 days before, as for the
    endpoints; each measure has its own, so that a scan at screening and a score on day 0 both
    count. Who has none there is counted as missing. Measures
    that are change from baseline have no baseline value. Quartiles interpolate linearly (type 7 of
    Hyndman and Fan). Percentages are of those with a value. Follow-up is from day 0 to the last
    visit.
    """
    subjects = cohort.subjects.set_index("subject_id")
    hidden = identifying_columns(subjects)
    group, groups = _groups(subjects, by)
    visits = cohort.visits
    variables = [
        *_subject_variables(subjects.drop(columns={*hidden, *([by] if by else [])})),
        *_baseline_variables(cohort, visits, subjects.index),
        *_follow_up_variables(cohort, visits, subjects.index),
    ]
    statistics = pd.concat(
        [_size(group, groups, visits), *(_summarise(v, group, groups) for v in variables)],
        ignore_index=True,
    )
    return CohortSummary(
        by=by,
        groups=groups,
        statistics=statistics,
        observation=_observation(visits, group, groups),
        n_subjects=cohort.n_subjects,
        n_visits=cohort.n_visits,
        origin=cohort.origin,
        exclusions=cohort.exclusions,
    )


def _groups(subjects: pd.DataFrame, by: str | None) -> tuple[pd.Series, tuple[str, ...]]:
    """Return the group of each subject, and the groups in order."""
    if by is None:
        return pd.Series(TOTAL, index=subjects.index, dtype=object), ()
    if by not in subjects.columns:
        raise SchemaError(
            f"`by` must be a column of the subjects table, got {by!r}."
            f"{nearest(by, subjects.columns)} It has: {', '.join(subjects.columns) or 'none'}."
        )
    if by in identifying_columns(subjects):
        raise SchemaError(
            f"`by` must be a column of groups, but {by!r} has a text of its own for most subjects: "
            "it looks like names or ids, which are not shown."
        )
    values = subjects[by]
    levels = _levels(values)
    if len(levels) > MAX_GROUPS:
        raise SchemaError(
            f"`by` must have at most {MAX_GROUPS} groups, but {by!r} has {len(levels)} values. "
            "Choose a column of groups such as 'arm', or make classes of this one first."
        )
    if TOTAL in levels:
        raise SchemaError(
            f"{by!r} has a group called {TOTAL!r}, which is the name of the column for everybody. "
            "Rename the group."
        )
    group = values.astype(object).map(_level_text).fillna(NOT_GIVEN)
    unknown = (NOT_GIVEN,) if (group == NOT_GIVEN).any() else ()
    return group, (*levels, *unknown)


def _levels(values: pd.Series) -> tuple[str, ...]:
    """Return the levels that occur, in category order, else sorted."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        present = set(values.dropna())
        return tuple(_level_text(c) for c in values.cat.categories if c in present)
    found = values.dropna().unique().tolist()
    numeric = all(isinstance(v, int | float) for v in found)
    return tuple(map(_level_text, sorted(found) if numeric else sorted(found, key=str)))


def _level_text(value: Any) -> str | None:
    """Name a level."""
    if value is None or pd.isna(value):
        return None
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def _subject_variables(subjects: pd.DataFrame) -> Iterator[_Variable]:
    """Yield the columns of the subjects table."""
    for column in subjects.columns:
        label, unit = _label_of_column(column)
        yield _variable("subject", column, label, unit, subjects[column])


def _label_of_column(column: str) -> tuple[str, str]:
    """Make a label and a unit of a column name."""
    stem, _, end = column.rpartition("_")
    unit = end if stem and end in {"years", "months", "days", "kg", "cm", "ml", "mm", "s"} else ""
    words = (stem if unit else column).replace("_", " ")
    return words[:1].upper() + words[1:], unit


def _variable(
    section: Literal["subject", "baseline", "follow_up"],
    name: str,
    label: str,
    unit: str,
    values: pd.Series,
) -> _Variable:
    """Decide how a column is summarised: as numbers, level by level, or only counted."""
    kind: Literal["number", "levels", "count"] = "number"
    levels: tuple[str, ...] = ()
    if not _is_number(values):
        levels = () if values.dtype.kind in "mM" else _levels(values)
        kind = "levels" if 0 < len(levels) <= MAX_GROUPS else "count"
        values = values.astype(object).map(_level_text)
    return _Variable(
        section=section,
        name=name,
        label=label,
        unit=unit,
        kind=kind,
        per_subject=values,
        levels=levels,
    )


def _is_number(values: pd.Series) -> bool:
    """Say whether a column holds numbers; one of 0 and 1 only is an indicator, not a number."""
    if values.dtype.kind not in "iuf":
        return False
    found = values.dropna()
    return not len(found) or not found.isin([0, 1]).all()


def baseline_values(visits: pd.DataFrame, measure: str) -> pd.Series:
    """Return each subject's baseline value of a measure.

    Parameters
    ----------
    visits : pandas.DataFrame
        ``subject_id day`` and the measure.
    measure : str
        Its column.

    Returns
    -------
    pandas.Series
        Indexed by subject: the last value on day 0 or in the 90 days before. Subjects without one
        are not in it.
    """
    day = visits["day"]
    around = visits.loc[
        visits[measure].notna() & (day >= -SCREENING_DAYS) & (day <= BASELINE_DAYS),
        ["subject_id", "day", measure],
    ]
    ranked = around.assign(distance=around["day"].abs()).sort_values(["distance", "day"])
    return ranked.drop_duplicates("subject_id").set_index("subject_id")[measure]


def _baseline_variables(cohort: Cohort, visits: pd.DataFrame, ids: pd.Index) -> Iterator[_Variable]:
    """Yield the baseline values of all measures that are levels."""
    for measure in cohort.measures:
        if measure.kind == "level":
            values = baseline_values(visits, measure.name).reindex(ids).astype(float)
            if measure.values == (0.0, 1.0):  # noqa: PD011 (a field of Measure)
                values = values.map({0.0: False, 1.0: True})
            yield _variable("baseline", measure.name, measure.label, measure.unit, values)


def _follow_up_variables(
    cohort: Cohort, visits: pd.DataFrame, ids: pd.Index
) -> Iterator[_Variable]:
    """Yield visits and relapses per subject, years of follow-up, and why it ended."""
    n_visits = visits.groupby("subject_id").size().reindex(ids, fill_value=0)
    yield _number("n_visits", "Visits per subject", "", n_visits)
    years = visits.groupby("subject_id")["day"].max().reindex(ids).clip(lower=0) / DAYS_PER_YEAR
    yield _number("follow_up_years", "Follow-up", "years", years)
    relapses = cohort.relapses
    if len(relapses):
        after = relapses[relapses["day"] >= 0].groupby("subject_id").size()
        n_relapses = after.reindex(ids, fill_value=0)
        yield _number("n_relapses", "Relapses per subject after baseline", "", n_relapses)
    exits = cohort.exits
    if len(exits):
        reason = exits.set_index("subject_id")["reason"].reindex(ids)
        yield _variable("follow_up", "exit_reason", "End of follow-up", "", reason)


def _number(name: str, label: str, unit: str, values: pd.Series) -> _Variable:
    """Make a follow-up variable that is a number, even where it is 0 or 1 for all."""
    return _Variable(
        section="follow_up",
        name=name,
        label=label,
        unit=unit,
        kind="number",
        per_subject=values.astype(float),
    )


def _size(group: pd.Series, groups: Sequence[str], visits: pd.DataFrame) -> pd.DataFrame:
    """Count subjects and visits."""
    of_visit = visits["subject_id"].map(group)
    rows = [
        ("size", name, label, "", "", "n", g, float(len(_members(counted, g))))
        for name, label, counted in (
            ("n_subjects", "Subjects", group),
            ("n_visits_total", "Visits", of_visit),
        )
        for g in (*groups, TOTAL)
    ]
    return pd.DataFrame(rows, columns=list(STATISTIC_COLUMNS))


def _members(group: pd.Series, name: str) -> pd.Series:
    """Return the entries of one group, or all of them for the total."""
    return group if name == TOTAL else group[group == name]


def _summarise(variable: _Variable, group: pd.Series, groups: Sequence[str]) -> pd.DataFrame:
    """Summarise one variable in every group and in total."""
    numbers = {"number": _of_numbers, "levels": _of_levels, "count": _of_texts}[variable.kind]
    rows = [
        (
            variable.section,
            variable.name,
            variable.label,
            variable.unit,
            level,
            statistic,
            name,
            float(value),
        )
        for name in (*groups, TOTAL)
        for level, statistic, value in numbers(
            variable.per_subject.loc[_members(group, name).index], variable.levels
        )
    ]
    return pd.DataFrame(rows, columns=list(STATISTIC_COLUMNS))


_Numbers = Iterator[tuple[str, str, float]]


def _of_numbers(values: pd.Series, levels: tuple[str, ...]) -> _Numbers:
    """Yield moments and quantiles of a group."""
    del levels
    found = values.to_numpy(dtype=float)
    found = found[~np.isnan(found)]
    yield "", "n", len(found)
    yield "", "n_missing", len(values) - len(found)
    yield "", "mean", found.mean() if len(found) else np.nan
    yield "", "sd", found.std(ddof=1) if len(found) > 1 else np.nan
    quantiles = np.quantile(found, [0.5, 0.25, 0.75, 0, 1]) if len(found) else np.full(5, np.nan)
    for statistic, value in zip(("median", "q1", "q3", "min", "max"), quantiles, strict=True):
        yield "", statistic, value


def _of_levels(values: pd.Series, levels: tuple[str, ...]) -> _Numbers:
    """Yield how many of a group have each level."""
    n_found = int(values.notna().sum())
    yield "", "n", n_found
    yield "", "n_missing", len(values) - n_found
    for level in levels:
        n_level = int((values == level).sum())
        yield level, "n", n_level
        yield level, "percent", 100 * n_level / n_found if n_found else np.nan


def _of_texts(values: pd.Series, levels: tuple[str, ...]) -> _Numbers:
    """Yield how many different texts a group has."""
    del levels
    yield "", "n", int(values.notna().sum())
    yield "", "n_missing", int(values.isna().sum())
    yield "", "n_levels", values.nunique()


def _observation(visits: pd.DataFrame, group: pd.Series, groups: Sequence[str]) -> pd.DataFrame:
    """Count who is still to be seen: all from day 0 on, one less from each last visit on."""
    last = visits.groupby("subject_id")["day"].max().clip(lower=0)
    of_subject = group.reindex(last.index)
    parts = []
    for name in groups or (TOTAL,):
        days = np.sort(last[_members(of_subject, name).index].to_numpy())
        times = np.unique(days)
        n_after = len(days) - np.searchsorted(days, times, side="right")
        parts.append(
            pd.DataFrame(
                {
                    "group": name,
                    "year": np.append(0, times) / DAYS_PER_YEAR,
                    "n_subjects": np.append(len(days), n_after),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)
