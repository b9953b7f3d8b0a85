"""Who is compared with whom: the covariates of every Cox model, made once from the subjects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort
from pmsstats.errors import DesignError, first_ids, nearest
from pmsstats.models.formulas.formula import design_matrices, formula_variables
from pmsstats.multiverse.choices import choice_labels
from pmsstats.multiverse.spec import MultiverseSpec
from pmsstats.results import Exclusion, exclude, format_number

__all__ = ["ALL", "Comparison", "comparison_of"]

ALL = "all"
"""The group of everybody, where no groups are compared."""

_STAGE = "multiverse"
_MOST_GROUPS = 12


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """The subjects that are analysed, with their covariates.

    Parameters
    ----------
    subject_ids : ndarray of str, shape (n_subjects,)
        In the order of the subjects table.
    X : ndarray, shape (n_subjects, n_terms)
        Covariates of the Cox model: first those whose hazard ratio is asked for.
    columns : tuple of str
        Their names.
    terms : tuple of str
        Names of the first of them, whose hazard ratios are reported; empty where none is.
    group : ndarray of int, shape (n_subjects,)
        Code of each subject's group.
    groups : tuple of str
        Their names, the reference first; ``("all",)`` where none are compared.
    stratum : ndarray of int, shape (n_subjects,)
        Code of the baseline hazard.
    exclusions : tuple of Exclusion
        Subjects without a value in a column that is needed.
    """

    subject_ids: NDArray[np.str_]
    X: NDArray[np.float64]
    columns: tuple[str, ...]
    terms: tuple[str, ...]
    group: NDArray[np.int64]
    groups: tuple[str, ...]
    stratum: NDArray[np.int64]
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def has_groups(self) -> bool:
        """Whether groups are compared."""
        return len(self.groups) > 1


def comparison_of(cohort: Cohort, spec: MultiverseSpec) -> Comparison:
    """Collect the subjects and covariates of a comparison.

    Parameters
    ----------
    cohort : Cohort
        With the columns that the request names.
    spec : MultiverseSpec
        The request.

    Returns
    -------
    Comparison
        Of the subjects who have all of the columns; the others are counted.

    Raises
    ------
    DesignError
        If a column is unknown, nobody has all of them, there is only one group, or the column
        that is compared does not vary.
    """
    people, exclusions = _complete(cohort.subjects, spec)
    first, terms, group, groups = _compared(people, spec)
    adjustment = spec.adjustment()
    others = pd.DataFrame(index=people.index)
    if adjustment:
        matrix, _ = design_matrices(adjustment, people)
        others = matrix.drop(columns="Intercept", errors="ignore")
    strata = list(spec.strata_columns())
    stratum = people.groupby(strata, observed=True).ngroup().to_numpy() if strata else None
    return Comparison(
        subject_ids=people["subject_id"].to_numpy(dtype=object),
        X=np.column_stack([first, others.to_numpy(dtype=float)]),
        columns=(*terms, *map(str, others.columns)),
        terms=terms,
        group=group,
        groups=groups,
        stratum=np.zeros(len(people), dtype=np.int64) if stratum is None else stratum,
        exclusions=exclusions,
    )


def _complete(
    subjects: pd.DataFrame, spec: MultiverseSpec
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Keep the subjects who have every column that is needed."""
    adjustment = spec.adjustment()
    named = [("by", spec.by)] if spec.by is not None else []
    named += [("adjust", c) for c in (formula_variables(adjustment) if adjustment else ())]
    named += [("strata", c) for c in spec.strata_columns()]
    exclusions: tuple[Exclusion, ...] = ()
    people = subjects
    for argument, column in named:
        _require_column(subjects, argument, column)
        if argument != "by" and column == spec.by:
            raise DesignError(f"`{argument}` names {column!r}, which is compared. Leave it out.")
        values = people[column]
        missing = values.isna().to_numpy()
        if pd.api.types.is_float_dtype(values.dtype):
            missing |= np.isinf(values.to_numpy(dtype=float, na_value=np.nan))
        exclusions += exclude(_STAGE, "subject", f"no {column}", people["subject_id"][missing])
        people = people[~missing]
    if people.empty:
        reasons = "; ".join(f"{e.reason}: {e.n} ({first_ids(e.subject_ids)})" for e in exclusions)
        raise DesignError(
            f"No subject has all of {', '.join(c for _, c in named)} ({reasons}). Fill the columns "
            "in, or leave one out."
        )
    return people.reset_index(drop=True), exclusions


def _require_column(subjects: pd.DataFrame, argument: str, column: object) -> None:
    """Refuse what is no column of the subjects table."""
    if column in subjects.columns and column != "subject_id":
        return
    none = " With by=None no groups are compared." if argument == "by" else ""
    raise DesignError(
        f"`{argument}` names {column!r}, which is no column of the subjects table that could be "
        f"compared.{nearest(str(column), subjects.columns)} It has: "
        f"{', '.join(c for c in map(str, subjects.columns) if c != 'subject_id') or 'none'}.{none}"
    )


def _compared(
    people: pd.DataFrame, spec: MultiverseSpec
) -> tuple[NDArray[np.float64], tuple[str, ...], NDArray[np.int64], tuple[str, ...]]:
    """Return covariates, their names, group codes and group names of what is compared."""
    nobody = np.zeros(len(people), dtype=np.int64)
    if spec.by is None:
        return np.empty((len(people), 0)), (), nobody, (ALL,)
    values = people[spec.by]
    if _is_quantity(values):
        number, term = _number(values, spec)
        return number[:, None], (term,), nobody, (ALL,)
    code, names = _groups(values, spec.by)
    dummies = (code[:, None] == np.arange(1, len(names))).astype(float)
    return dummies, tuple(f"{name} vs {names[0]}" for name in names[1:]), code, names


def _is_quantity(values: pd.Series) -> bool:
    """Say whether a column holds numbers of more than two values: two are groups."""
    is_number = pd.api.types.is_numeric_dtype(values.dtype)
    return is_number and not pd.api.types.is_bool_dtype(values.dtype) and values.nunique() != 2


def _number(values: pd.Series, spec: MultiverseSpec) -> tuple[NDArray[np.float64], str]:
    """Return a number in the unit of its hazard ratio, and what that is."""
    number = values.to_numpy(dtype=float)
    sd = float(number.std(ddof=1)) if len(number) > 1 else 0.0
    if not sd > 0:
        raise DesignError(
            f"`by` names {spec.by!r}, which is {format_number(float(number[0]))} for all "
            f"{len(number)} subjects: there is nothing to compare."
        )
    if spec.per == "unit":
        return number, f"{spec.by} (per unit)"
    return (number - number.mean()) / sd, f"{spec.by} (per SD of {format_number(sd, 3)})"


def _groups(values: pd.Series, by: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Return group codes and names: in the order of a categorical, else sorted."""
    if isinstance(values.dtype, pd.CategoricalDtype):
        present = values.cat.remove_unused_categories().cat
        code, levels = present.codes.to_numpy(), present.categories
    else:
        code, levels = pd.factorize(values, sort=True)
    if not 2 <= len(levels) <= _MOST_GROUPS:
        raise DesignError(
            f"`by` names {by!r}, which has {len(levels)} group(s) ({first_ids(levels)}), but a "
            f"comparison needs 2 to {_MOST_GROUPS}. Use another column, or by=None for shares and "
            "times only."
        )
    return code.astype(np.int64), tuple(choice_labels(list(levels)))
