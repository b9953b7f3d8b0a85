"""Arrays of a model for repeated measures: built from rows, and checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.formulas.design import (
    complete_rows,
    design_matrices,
    formula_variables,
    lost_subjects,
)
from pmsstats.models.formulas.fixed_design import FixedDesign, build_fixed_design, level_notes
from pmsstats.models.formulas.wilkinson import compile_rhs
from pmsstats.models.repeated.mmrm_checks import check_estimable
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES
from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays
from pmsstats.models.repeated.visit_order import order_in_time
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.repeated.mmrm_spec import MMRMSpec

__all__ = ["RepeatedDesign", "build_repeated_design"]

_BY_ORDER = ("toep", "toeph", "ar1", "ar1h", "ad", "adh")


@dataclass(frozen=True, eq=False, kw_only=True)
class RepeatedDesign(FixedDesign):
    """A repeated-measures model's arrays with the words that belong to them.

    Parameters
    ----------
    fixed_names : tuple of str
        Of the columns of `X`.
    fixed : DesignSpec
        Makes `X` (with the dropped columns) from other data.
    kept : tuple of int
        Columns of `fixed` that were kept.
    aliasing : ndarray, shape (p, n_dropped)
        The dropped columns as combinations of the kept ones.
    arrays : RepeatedArrays
        The numbers.
    rows : pandas.DataFrame
        The rows that they were made from.
    subject_ids : tuple
        Subject id of each subject number.
    visits : tuple
        Visit of each visit number, in order; for a spatial covariance the distinct coordinates.
    groups : tuple
        Group of each group number; one, standing for everybody, where the covariance is the same.
    exclusions : tuple of Exclusion
        Rows that were left out.
    notes : tuple of str
        What a reader should know: columns and levels that were dropped, order of visits.
    has_order : bool
        Whether the order of visits in time is known, so that there is a last one.
    """

    arrays: RepeatedArrays
    rows: pd.DataFrame
    subject_ids: tuple[Any, ...]
    visits: tuple[Any, ...]
    groups: tuple[Any, ...]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]
    has_order: bool = True

    def seen_together(self) -> np.ndarray:
        """Count the subjects of each group who have both of two visits.

        Returns
        -------
        ndarray, shape (n_groups, n_visits, n_visits)
            On the diagonal, those who have the visit.
        """
        arrays = self.arrays
        seen = np.zeros((arrays.n_subjects, arrays.n_visits))
        seen[arrays.subject, arrays.visit] = 1.0
        return np.stack(
            [seen[arrays.groups == g].T @ seen[arrays.groups == g] for g in range(arrays.n_groups)]
        )


def build_repeated_design(data: pd.DataFrame, spec: MMRMSpec) -> RepeatedDesign:
    """Make the arrays of a model for repeated measures, and refuse what no covariance could save.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject and visit; visits that were missed have no row, or no outcome.
    spec : MMRMSpec
        The model.

    Returns
    -------
    RepeatedDesign
        Complete, finite and of full rank.

    Raises
    ------
    DesignError
        If no row is left, a subject has two rows at one visit, belongs to two groups, there are
        too few rows or visits, or nothing varies.
    """
    if not isinstance(data, pd.DataFrame):
        raise DesignError(
            f"`data` must be a pandas DataFrame with one row per subject and visit, such as "
            f"cohort.visits, got {type(data).__name__}."
        )
    rows, exclusions = _usable_rows(data, spec)
    outcome, made = design_matrices(f"0 + {spec.outcome}", rows)
    if outcome.shape[1] != 1 or made.levels:
        raise DesignError(
            f"The outcome {spec.outcome!r} must be a column of numbers, but holds "
            f"{first_ids(rows[formula_variables(spec.outcome)[0]])}."
        )
    rows, visit, in_order = _with_visits(rows, spec)
    visits = in_order.levels
    if COVARIANCES[spec.covariance].spatial:
        rows, in_order = _with_named_visits(rows, spec, in_order)
    X, fixed = build_fixed_design(spec.fixed, rows)
    subject, ids = pd.factorize(rows[spec.subject], sort=False)
    _check_one_row_per_visit(rows, spec, subject, visit, len(visits))
    group, groups, group_notes = _groups(rows, spec, subject, len(ids))
    arrays = RepeatedArrays(
        y=outcome.to_numpy()[:, 0],
        X=X,
        subject=subject,
        visit=visit,
        n_subjects=len(ids),
        n_visits=len(visits),
        group=group,
        n_groups=len(groups),
        coordinate=_coordinate(rows, spec),
        weights=None if spec.weights is None else rows[spec.weights].to_numpy(dtype=float),
    )
    notes = (*fixed.notes_on_columns(), *level_notes(fixed.fixed), *in_order.notes, *group_notes)
    notes += _line_note(fixed, spec, len(visits))
    design = RepeatedDesign(
        arrays=arrays,
        rows=rows,
        subject_ids=tuple(ids),
        visits=visits,
        groups=groups,
        fixed_names=fixed.fixed_names,
        fixed=fixed.fixed,
        kept=fixed.kept,
        aliasing=fixed.aliasing,
        exclusions=exclusions,
        notes=tuple(dict.fromkeys(notes)),
        has_order=in_order.is_known,
    )
    check_estimable(design, spec)
    return design


# --- rows -------------------------------------------------------------------------------------


def _usable_rows(data: pd.DataFrame, spec: MMRMSpec) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Keep complete rows with a positive weight, in which every transform gives a finite number."""
    if len(data) == 0:
        raise DesignError("The data have no rows, so there is nothing to fit.")
    stage = f"repeated measures of {spec.outcome}"
    rows, exclusions = complete_rows(data, spec.variables, stage=stage, subject=spec.subject)
    tests = [(f"{side} is not finite", rhs) for side, rhs in _transforms(spec)]
    tests += [] if spec.weights is None else [(f"{spec.weights} is zero", None)]
    for reason, rhs in tests:
        if len(rows):
            keep = _positive(rows, spec) if rhs is None else _finite(rows, rhs)
            exclusions += exclude(stage, "row", reason, rows.loc[~keep, spec.subject])
            exclusions += lost_subjects(stage, rows[spec.subject], keep)
            rows = rows.loc[keep].reset_index(drop=True)
    if len(rows) == 0:
        reasons = "; ".join(f"{e.reason}: {e.n} row(s)" for e in exclusions if e.unit == "row")
        raise DesignError(f"No row is left for the {stage} ({reasons}).")
    return rows, exclusions


def _transforms(spec: MMRMSpec) -> list[tuple[str, str]]:
    """List the sides of the formula that compute something, with their right-hand sides."""
    sides = [(spec.outcome, f"0 + {spec.outcome}"), (spec.fixed, spec.fixed)]
    return [(shown, rhs) for shown, rhs in sides if compile_rhs(rhs).fragments]


def _finite(rows: pd.DataFrame, rhs: str) -> np.ndarray:
    """Say in which rows every column is finite."""
    matrix, _ = design_matrices(rhs, rows)
    finite: np.ndarray = np.isfinite(matrix.to_numpy()).all(axis=1)
    return finite


def _positive(rows: pd.DataFrame, spec: MMRMSpec) -> np.ndarray:
    """Say which rows have a weight; refuse negative ones."""
    values = rows[spec.weights]
    is_number = pd.api.types.is_numeric_dtype(values.dtype)
    if not is_number or (values < 0).any():
        found = float(values.min()) if is_number else values.iloc[0]
        raise DesignError(
            f"`weights` must be a column of numbers above zero, but {spec.weights!r} holds "
            f"{found!r}."
        )
    positive: np.ndarray = values.to_numpy(dtype=float) > 0
    return positive


# --- visits and groups ------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Order:
    """Visits in order, whether that is their order in time, and what to say about it."""

    levels: tuple[Any, ...]
    is_known: bool = True
    notes: tuple[str, ...] = ()


def _with_visits(rows: pd.DataFrame, spec: MMRMSpec) -> tuple[pd.DataFrame, np.ndarray, _Order]:
    """Give each row the number of its visit, and let the mean have visits in the same order."""
    values = rows[spec.visit]
    if pd.api.types.is_datetime64_any_dtype(values.dtype):
        raise DesignError(
            f"Column {spec.visit!r} holds dates. Visits are planned occasions such as W12, the "
            "same for all; with sp_exp use `year` or `day`, the time since baseline."
        )
    codes, levels, unused = _numbered(values)
    order = _in_time(values, levels, spec)
    if order.levels != levels:
        place = {level: i for i, level in enumerate(order.levels)}
        codes = np.array([place[level] for level in levels], dtype=int)[codes]
        made = pd.Categorical.from_codes(codes, categories=list(order.levels), ordered=True)
        rows = rows.assign(**{spec.visit: made})
    return rows, codes, replace(order, notes=_unused_note(spec.visit, unused) + order.notes)


def _with_named_visits(
    rows: pd.DataFrame, spec: MMRMSpec, order: _Order
) -> tuple[pd.DataFrame, _Order]:
    """Where time is a number, put text of the mean that names visits into order too."""
    for name in formula_variables(spec.fixed):
        values = rows[name]
        if _is_given(values) or (values.groupby(rows[spec.subject]).nunique() < 2).all():
            continue
        _, levels, _ = _numbered(values)
        found = _in_time(values, levels, replace(spec, visit=name, fallback=()))
        if found.levels != levels:
            made = pd.Categorical(values, categories=list(found.levels), ordered=True)
            rows = rows.assign(**{name: made})
            order = replace(order, notes=(*order.notes, *found.notes))
    return rows, order


def _is_given(values: pd.Series) -> bool:
    """Say whether a column has an order of its own: that of its categories, or of numbers."""
    return isinstance(values.dtype, pd.CategoricalDtype) or not any(
        isinstance(value, str) for value in values.unique()
    )


def _in_time(values: pd.Series, levels: tuple[Any, ...], spec: MMRMSpec) -> _Order:
    """Order text by what it says of time; leave numbers and categories that were put in order.

    Unordered categories in alphabetical order are what ``astype("category")`` makes of text, and
    are put in order if they tell it.
    """
    labels = [str(level) for level in levels]
    is_text = not _is_given(values)
    is_alphabetical = (
        isinstance(values.dtype, pd.CategoricalDtype)
        and not values.cat.ordered
        and all(isinstance(level, str) for level in levels)
        and labels == sorted(labels)
    )
    if len(levels) < 2 or not (is_text or is_alphabetical):
        return _Order(levels=levels)
    found = order_in_time(labels)
    if found is None:
        return _untold(levels, spec) if is_text else _Order(levels=levels)
    if list(found) == labels:
        return _Order(levels=levels)
    by_label = dict(zip(labels, levels, strict=True))
    return _Order(
        levels=tuple(by_label[label] for label in found),
        notes=(
            (
                f"{spec.visit} is text, taken in the order that its labels tell: "
                f"{_listed(found)}; for another one make it an ordered categorical"
            ),
        ),
    )


def _untold(levels: tuple[Any, ...], spec: MMRMSpec) -> _Order:
    """Keep the alphabet where that does not matter; refuse where the model depends on order."""
    shown = _listed([str(level) for level in levels])
    by_order = [name for name in (spec.covariance, *spec.fallback) if name in _BY_ORDER]
    if by_order:
        raise DesignError(
            f"Column {spec.visit!r} is text ({shown}) that does not tell the order of visits in "
            f"time, and {by_order[0]} depends on the order of visits. Make it an ordered "
            "categorical: pd.Categorical(values, categories=[...], ordered=True)."
        )
    return _Order(
        levels=levels,
        is_known=False,
        notes=(
            (
                f"{spec.visit} is text that does not tell the order of visits ({shown}), so none "
                "is taken as the last; make it an ordered categorical"
            ),
        ),
    )


def _listed(labels: Sequence[str]) -> str:
    """Write the first few visits."""
    return ", ".join(labels[:6]) + (", ..." if len(labels) > 6 else "")


def _line_note(fixed: FixedDesign, spec: MMRMSpec, n_visits: int) -> tuple[str, ...]:
    """Say that visits are numbers in the mean and occasions in the covariance."""
    visit = spec.visit
    is_number = visit in fixed.fixed.numbers and visit not in fixed.fixed.levels
    if COVARIANCES[spec.covariance].spatial or not is_number or n_visits < 3:
        return ()
    is_bent = any(visit in f.variables for f in compile_rhs(spec.fixed).fragments.values())
    shape = "curve" if is_bent else "straight line"
    note = (
        f"{visit} is a number: the mean is a {shape} over it, while the covariance takes its "
        f"{n_visits} values as visits; for a mean of its own at each visit write C({visit}) in "
        "the mean"
    )
    return (note,)


def _numbered(values: pd.Series) -> tuple[np.ndarray, tuple[Any, ...], tuple[Any, ...]]:
    """Return the number of each row's level, the levels in order, and those that no row has."""
    codes, found = pd.factorize(values)
    items = list(found)
    if isinstance(values.dtype, pd.CategoricalDtype):
        present = set(items)
        levels = [c for c in values.cat.categories if c in present]
        unused = tuple(c for c in values.cat.categories if c not in present)
    else:
        levels = sorted(items, key=lambda item: (isinstance(item, str), item))
        unused = ()
    place = {level: i for i, level in enumerate(levels)}
    return np.array([place[item] for item in items], dtype=int)[codes], tuple(levels), unused


def _unused_note(name: str, unused: Sequence[Any]) -> tuple[str, ...]:
    """Say which levels no row has, in the words of the fixed part."""
    if not unused:
        return ()
    return (f"no row has {name} = {first_ids(unused, show=8)}, so that is no level of the model",)


def _check_one_row_per_visit(
    rows: pd.DataFrame, spec: MMRMSpec, subject: np.ndarray, visit: np.ndarray, n_visits: int
) -> None:
    """Refuse subjects with two rows at one visit."""
    cell = subject.astype(np.int64) * n_visits + visit
    _, first, counts = np.unique(cell, return_index=True, return_counts=True)
    if (counts == 1).all():
        return
    repeated = rows.iloc[np.sort(first[counts > 1])]
    n_subjects = repeated[spec.subject].nunique()
    pairs = zip(repeated[spec.subject], repeated[spec.visit], strict=True)
    shown = first_ids(f"{subject_id} at {when}" for subject_id, when in pairs)
    raise DesignError(
        f"covariance={spec.covariance!r} needs each visit once per subject, but {n_subjects} "
        f"subject(s) repeat one ({shown}). Keep one row per subject and {spec.visit}, or average "
        "them."
    )


def _groups(
    rows: pd.DataFrame, spec: MMRMSpec, subject: np.ndarray, n_subjects: int
) -> tuple[np.ndarray | None, tuple[Any, ...], tuple[str, ...]]:
    """Give each subject the number of its group; return these, the groups, and notes."""
    if spec.group is None:
        return None, ("all",), ()
    codes, groups, unused = _numbered(rows[spec.group])
    of_subject = np.zeros(n_subjects, dtype=int)
    of_subject[subject] = codes
    several = of_subject[subject] != codes
    if several.any():
        ids = rows.loc[several, spec.subject]
        raise DesignError(
            f"Covariances by {spec.group!r} need each subject in one group, but {ids.nunique()} "
            f"subject(s) change it ({first_ids(ids)})."
        )
    notes = _unused_note(spec.group, unused)
    if len(groups) == 1:
        notes += (f"every row has {spec.group} = {groups[0]}, so there is one covariance",)
    return of_subject, groups, notes


def _coordinate(rows: pd.DataFrame, spec: MMRMSpec) -> np.ndarray | None:
    """Return where each row lies in time, for a spatial covariance."""
    if not COVARIANCES[spec.covariance].spatial:
        return None
    values = rows[spec.visit]
    if not pd.api.types.is_numeric_dtype(values.dtype) or values.dtype == bool:
        raise DesignError(
            f"sp_exp measures time on {spec.visit!r}, which must hold numbers such as years, but "
            f"it holds {first_ids(values)}."
        )
    return values.to_numpy(dtype=float)
