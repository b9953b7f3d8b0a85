"""The cohort: four validated, immutable tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.cohort.columns import as_texts
from pmsstats.cohort.schema import DataDictionary, Measure, default_dictionary
from pmsstats.cohort.validate import coerce_tables, validate_tables
from pmsstats.errors import SchemaError, nearest
from pmsstats.provenance import Origin, Source
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.cohort.summary import CohortSummary

__all__ = ["Cohort"]


class Cohort:
    """Subjects, visits, relapses and exits of a longitudinal study, checked.

    Parameters
    ----------
    subjects : pandas.DataFrame
        One row per subject: ``subject_id`` and any covariates (``arm``, ``phenotype``, ``sex``,
        ``age_years``, ``site_id``, ...).
    visits : pandas.DataFrame
        One row per subject and visit: ``subject_id``, ``day`` (integer, from baseline),
        optionally ``visit`` (label), and one column per measure.
    relapses : pandas.DataFrame, optional
        One row per relapse: ``subject_id``, ``day``.
    exits : pandas.DataFrame, optional
        At most one row per subject: ``subject_id``, ``day``, ``reason`` (``"completed"``,
        ``"dropout"``, ``"death"``, ...).
    dictionary : DataDictionary, optional
        What the measures are; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Synthetic cohorts are labelled as such wherever they are shown.
    sources : sequence of Source
        Input files with their hashes.
    prior_issues : pandas.DataFrame, optional
        Problems that the reader met, to be reported together with those found here.
    exclusions : sequence of Exclusion
        What reading left out.

    Raises
    ------
    SchemaError
        If any rule of severity "error" is broken; ``.failures`` lists all of them.

    Notes
    -----
    The tables are given out as copies: changing one changes nothing here. ``visits`` carries the
    derived column ``year = day / 365.25`` and is sorted by subject and day.

    Examples
    --------
    >>> import pandas as pd
    >>> cohort = Cohort(
    ...     pd.DataFrame({"subject_id": ["S1", "S2"], "phenotype": ["SPMS", "PPMS"]}),
    ...     pd.DataFrame(
    ...         {
    ...             "subject_id": ["S1", "S1", "S2", "S2"],
    ...             "day": [0, 365, 0, 380],
    ...             "edss": [4.0, 4.5, 6.0, 6.0],
    ...         }
    ...     ),
    ... )
    >>> cohort
    <Cohort: 2 subjects, 4 visits, 1 measure (edss)>
    """

    __slots__ = ("_dictionary", "_exclusions", "_issues", "_origin", "_sources", "_tables")

    def __init__(
        self,
        subjects: pd.DataFrame,
        visits: pd.DataFrame,
        relapses: pd.DataFrame | None = None,
        exits: pd.DataFrame | None = None,
        *,
        dictionary: DataDictionary | None = None,
        origin: Origin = "real",
        sources: Sequence[Source] = (),
        prior_issues: pd.DataFrame | None = None,
        exclusions: Sequence[Exclusion] = (),
    ) -> None:
        dictionary = default_dictionary() if dictionary is None else dictionary
        tables, coercion = coerce_tables(subjects, visits, relapses, exits, dictionary=dictionary)
        self._issues = validate_tables(
            tables, dictionary=dictionary, prior_issues=[prior_issues, coercion]
        )
        self._tables = {name: frame.reset_index(drop=True) for name, frame in tables.items()}
        self._dictionary = dictionary
        self._origin: Origin = origin
        self._sources = tuple(sources)
        self._exclusions = tuple(exclusions)

    @property
    def subjects(self) -> pd.DataFrame:
        """One row per subject (a copy)."""
        return self._tables["subjects"].copy()

    @property
    def visits(self) -> pd.DataFrame:
        """One row per subject and visit, sorted by subject and day, with ``year`` (a copy)."""
        return self._tables["visits"].copy()

    @property
    def relapses(self) -> pd.DataFrame:
        """One row per relapse (a copy; may be empty)."""
        return self._tables["relapses"].copy()

    @property
    def exits(self) -> pd.DataFrame:
        """At most one row per subject: when and why follow-up ended (a copy; may be empty)."""
        return self._tables["exits"].copy()

    @property
    def dictionary(self) -> DataDictionary:
        """What the measures are."""
        return self._dictionary

    @property
    def measures(self) -> tuple[Measure, ...]:
        """The measures that stand in the visits table, in its column order."""
        columns = self._tables["visits"].columns
        return tuple(self._dictionary[c] for c in columns if c in self._dictionary)

    @property
    def origin(self) -> Origin:
        """Whether the data are real or synthetic."""
        return self._origin

    @property
    def sources(self) -> tuple[Source, ...]:
        """Input files with their hashes."""
        return self._sources

    @property
    def issues(self) -> pd.DataFrame:
        """Doubtful but usable things, one row each (a copy)."""
        return self._issues.copy()

    @property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """What reading and selecting left out, with reasons."""
        return self._exclusions

    @property
    def n_subjects(self) -> int:
        """Number of subjects."""
        return len(self._tables["subjects"])

    @property
    def n_visits(self) -> int:
        """Number of visits."""
        return len(self._tables["visits"])

    def measure(self, name: str) -> Measure:
        """Return the entry of a measure that is in the data.

        Parameters
        ----------
        name : str
            Column of the visits table.

        Returns
        -------
        Measure
            Its dictionary entry.

        Raises
        ------
        SchemaError
            If the visits table has no such measure.
        """
        present = [m.name for m in self.measures]
        if name not in present:
            raise SchemaError(
                f"These data have no measure {name!r}.{nearest(name, present)} "
                f"They have: {', '.join(present) or 'none'}."
            )
        return self._dictionary[name]

    def select(
        self,
        *,
        subjects: Iterable[str] | None = None,
        where: Mapping[str, Any] | None = None,
        measures: Sequence[str] | None = None,
    ) -> Cohort:
        """Return the part of the cohort that fits.

        Parameters
        ----------
        subjects : iterable of str, optional
            Keep these subject ids.
        where : mapping, optional
            Subject columns to a value, or to a list of values, to keep:
            ``{"phenotype": ["SPMS", "PPMS"]}``.
        measures : sequence of str, optional
            Keep these measures in the visits table.

        Returns
        -------
        Cohort
            A new cohort; subjects left out are recorded in its ``exclusions``.

        Raises
        ------
        SchemaError
            If a column, measure or subject does not exist, or nobody is left.
        """
        table = self._tables["subjects"]
        keep = pd.Series(data=True, index=table.index)
        reasons: list[Exclusion] = []

        def narrow(mask: pd.Series, reason: str) -> None:
            nonlocal keep
            reasons.extend(
                exclude("selection", "subject", reason, table.loc[keep & ~mask, "subject_id"])
            )
            keep = keep & mask

        if subjects is not None:
            wanted = [str(s) for s in subjects]
            unknown = sorted(set(wanted) - set(table["subject_id"]))
            if unknown:
                raise SchemaError(
                    f"`subjects` names {len(unknown)} unknown subject(s), for example "
                    f"{unknown[0]!r}.{nearest(unknown[0], table['subject_id'])}"
                )
            narrow(table["subject_id"].isin(wanted), "not in the list of subjects")
        for column, value in (where or {}).items():
            if column not in table.columns:
                raise SchemaError(
                    f"`where` names {column!r}, which is no column of the subjects table."
                    f"{nearest(column, table.columns)}"
                )
            allowed = (
                [value] if isinstance(value, str) or not isinstance(value, Iterable) else value
            )
            narrow(table[column].isin(list(allowed)), f"{column} is not {value!r}")
        if not keep.any():
            raise SchemaError("The selection keeps no subject. Loosen `where` or `subjects`.")
        return self._restricted(set(table.loc[keep, "subject_id"]), measures, reasons)

    def grouped(self, column: str, levels: Sequence[str]) -> Cohort:
        """Return the subjects of some groups, and give these groups an order.

        Parameters
        ----------
        column : str
            Of the subjects table.
        levels : sequence of str
            Its values to keep, reference first.

        Returns
        -------
        Cohort
            A new cohort whose `column` is an ordered categorical; subjects left out are recorded
            in its ``exclusions``.

        Raises
        ------
        SchemaError
            If there is no such column, or nobody is left.
        """
        table = self._tables["subjects"]
        if column not in table.columns:
            raise SchemaError(
                f"`column` names {column!r}, which is no column of the subjects table."
                f"{nearest(column, table.columns)}"
            )
        label = as_texts(table[column].astype(object))
        kept = label.isin(list(levels))
        if not kept.any():
            raise SchemaError(f"No subject has a {column!r} among {', '.join(levels)}.")
        reason = f"{column} is not one of {', '.join(levels)}"
        left_out = exclude("selection", "subject", reason, table.loc[~kept, "subject_id"])
        ordered = pd.Categorical(label, categories=list(levels), ordered=True)
        arranged = {**self._tables, "subjects": table.assign(**{column: ordered})}
        return self._restricted(set(table.loc[kept, "subject_id"]), None, left_out, arranged)

    def _restricted(
        self,
        ids: set[str],
        measures: Sequence[str] | None,
        reasons: Sequence[Exclusion],
        tables: Mapping[str, pd.DataFrame] | None = None,
    ) -> Cohort:
        """Copy this cohort, or these tables, for some subjects and measures, validated before."""
        new = object.__new__(Cohort)
        tables = {
            name: frame[frame["subject_id"].isin(ids)].reset_index(drop=True)
            for name, frame in (self._tables if tables is None else tables).items()
        }
        if measures is not None:
            wanted = {self.measure(m).name for m in measures}
            dropped = [m.name for m in self.measures if m.name not in wanted]
            tables["visits"] = tables["visits"].drop(columns=dropped)
        for frame in tables.values():
            for column in frame.columns:
                if isinstance(frame[column].dtype, pd.CategoricalDtype):
                    frame[column] = frame[column].cat.remove_unused_categories()
        issues = self._issues
        new._tables = tables
        new._issues = issues[issues["subject_id"].isin(ids) | (issues["subject_id"] == "")]
        new._dictionary = self._dictionary
        new._origin = self._origin
        new._sources = self._sources
        new._exclusions = (*self._exclusions, *reasons)
        return new

    def summary(self, by: str | None = None) -> CohortSummary:
        """Describe the subjects at baseline and their follow-up ("Table 1").

        Parameters
        ----------
        by : str, optional
            Subject column whose groups become columns.

        Returns
        -------
        CohortSummary
            Counts, baseline means and follow-up, by group and in total.

        Raises
        ------
        SchemaError
            If `by` is no column of the subjects table.
        """
        from pmsstats.cohort.summary import summarise_cohort

        return summarise_cohort(self, by=by)

    def __repr__(self) -> str:
        """Show the size."""
        names = [m.name for m in self.measures]
        shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
        plural = "measure" if len(names) == 1 else "measures"
        label = "synthetic, " if self._origin == "synthetic" else ""
        return (
            f"<Cohort: {label}{self.n_subjects} subjects, {self.n_visits} visits, "
            f"{len(names)} {plural} ({shown})>"
        )

    def _repr_html_(self) -> str:
        """Show the summary in a notebook."""
        return self.summary()._repr_html_()
