"""Arrays of a linear mixed model: built from rows, checked, and put on a common scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.formulas.design import (
    DesignSpec,
    complete_rows,
    design_matrices,
    formula_variables,
    lost_subjects,
    require_columns,
)
from pmsstats.models.formulas.fixed_design import FixedDesign, build_fixed_design, level_notes
from pmsstats.models.formulas.wilkinson import compile_rhs
from pmsstats.models.mixed.mixed_checks import check_estimable, repeated_rows
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.formulas.formula import RandomTerm
    from pmsstats.models.mixed.lmm import LMMSpec

__all__ = [
    "GroupingArrays",
    "GroupingDesign",
    "MixedArrays",
    "MixedDesign",
    "build_mixed_design",
]

_INTERCEPT = "Intercept"


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupingArrays:
    """The random effects of a further grouping factor.

    Parameters
    ----------
    name : str
        The factor, for messages.
    codes : ndarray of int, shape (n_obs,)
        Level number of each row, 0 to n_levels - 1.
    n_levels : int
        How many levels.
    Z : ndarray, shape (n_obs, q)
        Random effects of each row's level.
    blocks : tuple of tuple of int
        Columns of `Z` whose effects may be correlated with each other.
    """

    name: str
    codes: np.ndarray
    n_levels: int
    Z: np.ndarray
    blocks: tuple[tuple[int, ...], ...]

    def mask(self) -> np.ndarray:
        """Return which entries of the random-effects covariance are free: shape (q, q), bool."""
        return _free_entries(self.Z.shape[1], self.blocks)


@dataclass(frozen=True, eq=False, kw_only=True)
class MixedArrays:
    """The numbers of a linear mixed model.

    Parameters
    ----------
    y : ndarray, shape (n_obs,)
        Outcome.
    X : ndarray, shape (n_obs, p)
        Fixed effects, of full rank.
    Z : ndarray, shape (n_obs, q)
        Random effects of each row's subject.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row, 0 to n_subjects - 1. With several grouping factors this is the
        one with the most levels.
    n_subjects : int
        How many subjects.
    blocks : tuple of tuple of int
        Columns of `Z` whose effects may be correlated with each other.
    weights : ndarray, shape (n_obs,), optional
        Precision weights: the residual variance of a row is ``sigma^2 / weight``, as in lme4.
    others : tuple of GroupingArrays
        Further grouping factors, nested in or crossed with the subjects.
    """

    y: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    subject: np.ndarray
    n_subjects: int
    blocks: tuple[tuple[int, ...], ...]
    weights: np.ndarray | None = None
    others: tuple[GroupingArrays, ...] = ()

    @property
    def n_obs(self) -> int:
        """Number of rows."""
        return len(self.y)

    def mask(self) -> np.ndarray:
        """Return which entries of the random-effects covariance are free: shape (q, q), bool."""
        return _free_entries(self.Z.shape[1], self.blocks)


def _free_entries(q: int, blocks: Sequence[Sequence[int]]) -> np.ndarray:
    """Say which entries of a covariance of q effects are free."""
    free = np.zeros((q, q), dtype=bool)
    for block in blocks:
        free[np.ix_(block, block)] = True
    return free


@dataclass(frozen=True, eq=False, kw_only=True)
class GroupingDesign:
    """The words that belong to the random effects of one grouping factor.

    Parameters
    ----------
    group : str
        The factor: a column of the design's rows.
    ids : tuple
        Of each level number: its value in that column.
    random_names : tuple of str
        Of the columns of `Z`; the intercept is ``"intercept"``.
    random : tuple of DesignSpec
        Make `Z` from other data.
    blocks : tuple of tuple of int
        Columns of `Z` whose effects may be correlated with each other.
    """

    group: str
    ids: tuple[Any, ...]
    random_names: tuple[str, ...]
    random: tuple[DesignSpec, ...]
    blocks: tuple[tuple[int, ...], ...]

    def random_matrix(self, data: pd.DataFrame) -> np.ndarray:
        """Make the columns of `Z` from other data.

        Parameters
        ----------
        data : pandas.DataFrame
            Has the variables of the random part.

        Returns
        -------
        ndarray, shape (n, q)
            In the order of `random_names`.
        """
        return np.hstack([spec.matrix(data).to_numpy() for spec in self.random])


@dataclass(frozen=True, eq=False, kw_only=True)
class MixedDesign(FixedDesign):
    """A mixed model's arrays with the words that belong to them.

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
    arrays : MixedArrays
        The numbers.
    rows : pandas.DataFrame
        The rows that they were made from. A grouping factor that combines columns, such as
        ``site_id:subject_id``, is a column of them.
    subject_ids : tuple
        Subject id of each subject number.
    random_names : tuple of str
        Of the columns of `Z`; the intercept is ``"intercept"``.
    random : tuple of DesignSpec
        Make `Z` from other data.
    exclusions : tuple of Exclusion
        Rows that were left out.
    notes : tuple of str
        What a reader should know: columns and levels that were dropped.
    groupings : tuple of GroupingDesign
        Every grouping factor: that of the subjects, then `arrays.others`, by falling number of
        levels.
    """

    arrays: MixedArrays
    rows: pd.DataFrame
    subject_ids: tuple[Any, ...]
    random_names: tuple[str, ...]
    random: tuple[DesignSpec, ...]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]
    groupings: tuple[GroupingDesign, ...]

    @property
    def group(self) -> str:
        """Return the column of `rows` that tells subjects apart: the factor with most levels."""
        return self.groupings[0].group

    def random_matrix(self, data: pd.DataFrame) -> np.ndarray:
        """Make the columns of `Z` from other data.

        Parameters
        ----------
        data : pandas.DataFrame
            Has the variables of the random part.

        Returns
        -------
        ndarray, shape (n, q)
            In the order of `random_names`.
        """
        return self.groupings[0].random_matrix(data)


def build_mixed_design(data: pd.DataFrame, spec: LMMSpec) -> MixedDesign:
    """Make the arrays of a mixed model, and refuse what cannot be estimated.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per observation.
    spec : LMMSpec
        The model.

    Returns
    -------
    MixedDesign
        Complete, finite and of full rank.

    Raises
    ------
    DesignError
        If no row is left, there are too few rows, subjects or groups, nothing varies, weights are
        not positive, or random effects cannot be told from the residual or from each other.
    """
    if not isinstance(data, pd.DataFrame):
        raise DesignError(
            f"`data` must be a pandas DataFrame with one row per observation, such as "
            f"cohort.visits, got {type(data).__name__}."
        )
    rows, exclusions = _usable_rows(data, spec)
    y = _outcome(rows, spec)
    X, fixed = build_fixed_design(spec.fixed, rows)
    rows, made = _groupings(rows, spec)
    (main, main_arrays), others = made[0], made[1:]
    arrays = MixedArrays(
        y=y,
        X=X,
        Z=main_arrays.Z,
        subject=main_arrays.codes,
        n_subjects=main_arrays.n_levels,
        blocks=main.blocks,
        weights=_weights(rows, spec),
        others=tuple(numbers for _, numbers in others),
    )
    random_specs = [made_spec for words, _ in made for made_spec in words.random]
    design = MixedDesign(
        arrays=arrays,
        rows=rows,
        subject_ids=main.ids,
        fixed_names=fixed.fixed_names,
        random_names=main.random_names,
        fixed=fixed.fixed,
        kept=fixed.kept,
        aliasing=fixed.aliasing,
        random=main.random,
        exclusions=exclusions,
        notes=(
            *fixed.notes_on_columns(),
            *level_notes(fixed.fixed, *random_specs),
            *repeated_rows(rows, arrays, main.group),
        ),
        groupings=tuple(words for words, _ in made),
    )
    check_estimable(design, spec)
    return design


def _usable_rows(data: pd.DataFrame, spec: LMMSpec) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Keep complete rows in which every transform gives a finite number."""
    if len(data) == 0:
        raise DesignError("The data have no rows, so there is nothing to fit.")
    stage = f"mixed model of {spec.outcome}"
    grouping = tuple(dict.fromkeys(c for term in spec.random for c in term.columns))
    subject = _most_levels(data, grouping)
    variables = (*_variables(spec), *grouping)
    rows, exclusions = complete_rows(data, variables, stage=stage, subject=subject)
    named = [(spec.outcome, f"0 + {spec.outcome}"), (spec.fixed, spec.fixed)]
    named += [(term.rhs(), term.rhs()) for term in spec.random]
    for shown, rhs in named:
        if len(rows) == 0 or not compile_rhs(rhs).fragments:
            continue
        matrix, _ = design_matrices(rhs, rows)
        keep = np.isfinite(matrix.to_numpy()).all(axis=1)
        if keep.all():
            continue
        exclusions += exclude(stage, "row", f"{shown} is not finite", rows.loc[~keep, subject])
        exclusions += lost_subjects(stage, rows[subject], keep)
        rows = rows.loc[keep].reset_index(drop=True)
    if len(rows) == 0:
        reasons = "; ".join(f"{e.reason}: {e.n} row(s)" for e in exclusions if e.unit == "row")
        raise DesignError(f"No row is left for the {stage} ({reasons}).")
    return rows, exclusions


def _variables(spec: LMMSpec) -> tuple[str, ...]:
    """List the columns that must be complete, those of the grouping factors apart."""
    sides = [spec.outcome, spec.fixed, *(term.rhs() for term in spec.random)]
    weights = getattr(spec, "weights", None)
    names = [name for rhs in sides for name in formula_variables(rhs)]
    return tuple(dict.fromkeys([*names, *([weights] if weights else [])]))


def _most_levels(data: pd.DataFrame, columns: Sequence[str]) -> str:
    """Return the column that tells most units apart, by which exclusions are listed."""
    if len(columns) == 1:
        return columns[0]
    require_columns(data, columns)
    return max(columns, key=lambda name: data[name].nunique())


def _weights(rows: pd.DataFrame, spec: LMMSpec) -> np.ndarray | None:
    """Return the precision weights, checked; None where there are none."""
    name = getattr(spec, "weights", None)
    if name is None:
        return None
    values = rows[name]
    if not pd.api.types.is_numeric_dtype(values.dtype) or values.dtype == bool:
        raise DesignError(f"`weights` must be a column of positive numbers, but {name!r} is not.")
    weights: np.ndarray = values.to_numpy(dtype=float)
    bad = ~(weights > 0)
    if bad.any():
        raise DesignError(
            f"`weights` must be positive, but {int(bad.sum())} row(s) of {name!r} are not (the "
            f"first: {weights[bad][0]:g}). Drop the rows that should not count."
        )
    return weights


def _groupings(
    rows: pd.DataFrame, spec: LMMSpec
) -> tuple[pd.DataFrame, list[tuple[GroupingDesign, GroupingArrays]]]:
    """Make every grouping factor, the one with the most levels first."""
    groups = dict.fromkeys(term.group for term in spec.random)
    made = []
    for group in groups:
        terms = [term for term in spec.random if term.group == group]
        if group not in rows.columns:
            rows = rows.assign(**{group: _combination(rows, terms[0].columns)})
        made.append(_grouping(rows, group, terms))
    made.sort(key=lambda pair: -pair[1].n_levels)
    return rows, made


def _combination(rows: pd.DataFrame, columns: Sequence[str]) -> pd.Series:
    """Label the combinations of some columns, as lme4 does: ``"site:subject"``."""
    parts = [rows[name].astype(str) for name in columns]
    labels = parts[0].str.cat(parts[1:], sep=":") if len(parts) > 1 else rows[columns[0]]
    if labels.nunique() < rows[list(columns)].drop_duplicates().shape[0]:
        raise DesignError(
            f"Different combinations of {' and '.join(columns)} read the same when joined with a "
            "colon. Take the colons out of their values."
        )
    return labels


def _grouping(
    rows: pd.DataFrame, group: str, terms: Sequence[RandomTerm]
) -> tuple[GroupingDesign, GroupingArrays]:
    """Make the random effects of one grouping factor."""
    made = [design_matrices(term.rhs(), rows) for term in terms]
    frames = [frame for frame, _ in made]
    randoms = tuple(made_spec for _, made_spec in made)
    codes, ids = pd.factorize(rows[group], sort=False)
    blocks = _blocks(terms, frames, randoms)
    words = GroupingDesign(
        group=group,
        ids=tuple(ids),
        random_names=tuple(_random_name(str(c)) for frame in frames for c in frame.columns),
        random=randoms,
        blocks=blocks,
    )
    Z = np.hstack([frame.to_numpy() for frame in frames])
    return words, GroupingArrays(name=group, codes=codes, n_levels=len(ids), Z=Z, blocks=blocks)


def _outcome(rows: pd.DataFrame, spec: LMMSpec) -> np.ndarray:
    """Make the outcome's column."""
    outcome, _ = design_matrices(f"0 + {spec.outcome}", rows)
    if outcome.shape[1] != 1:
        raise DesignError(
            f"The outcome {spec.outcome!r} must be a column of numbers, but holds "
            f"{first_ids(rows[formula_variables(spec.outcome)[0]])}."
        )
    return outcome.to_numpy()[:, 0]


def _blocks(
    terms: Sequence[RandomTerm], frames: Sequence[pd.DataFrame], made: Sequence[DesignSpec]
) -> tuple[tuple[int, ...], ...]:
    """List the columns of `Z` that may be correlated with each other."""
    blocks: list[tuple[int, ...]] = []
    start = 0
    for term, frame, made_spec in zip(terms, frames, made, strict=True):
        if not term.correlated and made_spec.levels:
            raise DesignError(
                f"{term.formula()} asks for uncorrelated effects of the levels of "
                f"{next(iter(made_spec.levels))!r}, which depends on how they are coded. Use | "
                "instead of ||."
            )
        columns = range(start, start + frame.shape[1])
        blocks += [tuple(columns)] if term.correlated else [(column,) for column in columns]
        start += frame.shape[1]
    return tuple(blocks)


def _random_name(name: str) -> str:
    """Name a random effect."""
    return "intercept" if name == _INTERCEPT else name
