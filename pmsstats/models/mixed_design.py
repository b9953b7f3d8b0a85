"""Arrays of a linear mixed model: built from rows, checked, and put on a common scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.columns import independent_columns, within_subjects
from pmsstats.models.design import (
    DesignSpec,
    complete_rows,
    design_matrices,
    formula_variables,
    lost_subjects,
)
from pmsstats.models.fixed_design import FixedDesign, build_fixed_design, level_notes
from pmsstats.models.wilkinson import compile_rhs
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.lmm import LMMSpec

__all__ = [
    "MixedArrays",
    "MixedDesign",
    "build_mixed_design",
]

_INTERCEPT = "Intercept"


@dataclass(frozen=True, eq=False, kw_only=True)
class MixedArrays:
    """The numbers of a linear mixed model with one grouping factor.

    Parameters
    ----------
    y : ndarray, shape (n_obs,)
        Outcome.
    X : ndarray, shape (n_obs, p)
        Fixed effects, of full rank.
    Z : ndarray, shape (n_obs, q)
        Random effects of each row's subject.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row, 0 to n_subjects - 1.
    n_subjects : int
        How many subjects.
    blocks : tuple of tuple of int
        Columns of `Z` whose effects may be correlated with each other.
    """

    y: np.ndarray
    X: np.ndarray
    Z: np.ndarray
    subject: np.ndarray
    n_subjects: int
    blocks: tuple[tuple[int, ...], ...]

    @property
    def n_obs(self) -> int:
        """Number of rows."""
        return len(self.y)

    def mask(self) -> np.ndarray:
        """Return which entries of the random-effects covariance are free: shape (q, q), bool."""
        free = np.zeros((self.Z.shape[1],) * 2, dtype=bool)
        for block in self.blocks:
            free[np.ix_(block, block)] = True
        return free


@dataclass(frozen=True, eq=False, kw_only=True)
class MixedDesign(FixedDesign):
    """A mixed model's arrays with the words that belong to them.

    Parameters
    ----------
    arrays : MixedArrays
        The numbers.
    rows : pandas.DataFrame
        The rows that they were made from.
    subject_ids : tuple
        Subject id of each subject number.
    fixed_names : tuple of str
        Of the columns of `X`.
    random_names : tuple of str
        Of the columns of `Z`; the intercept is ``"intercept"``.
    fixed : DesignSpec
        Makes `X` (with the dropped columns) from other data.
    kept : tuple of int
        Columns of `fixed` that were kept.
    aliasing : ndarray, shape (p, n_dropped)
        The dropped columns as combinations of the kept ones.
    random : tuple of DesignSpec
        Make `Z` from other data.
    exclusions : tuple of Exclusion
        Rows that were left out.
    notes : tuple of str
        What a reader should know: columns and levels that were dropped.
    """

    arrays: MixedArrays
    rows: pd.DataFrame
    subject_ids: tuple[Any, ...]
    random_names: tuple[str, ...]
    random: tuple[DesignSpec, ...]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]

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
        If no row is left, there are too few rows or subjects, nothing varies, or random effects
        cannot be told from the residual.
    """
    if not isinstance(data, pd.DataFrame):
        raise DesignError(
            f"`data` must be a pandas DataFrame with one row per observation, such as "
            f"cohort.visits, got {type(data).__name__}."
        )
    group = _only_group(spec)
    rows, exclusions = _usable_rows(data, spec, group)
    y = _outcome(rows, spec)
    X, fixed = build_fixed_design(spec.fixed, rows)
    made = [design_matrices(term.rhs(), rows) for term in spec.random]
    z_frames = [frame for frame, _ in made]
    randoms = tuple(made_spec for _, made_spec in made)
    codes, ids = pd.factorize(rows[group], sort=False)
    arrays = MixedArrays(
        y=y,
        X=X,
        Z=np.hstack([frame.to_numpy() for frame in z_frames]),
        subject=codes,
        n_subjects=len(ids),
        blocks=_blocks(spec, z_frames, randoms),
    )
    design = MixedDesign(
        arrays=arrays,
        rows=rows,
        subject_ids=tuple(ids),
        fixed_names=fixed.fixed_names,
        random_names=tuple(_random_name(str(c)) for frame in z_frames for c in frame.columns),
        fixed=fixed.fixed,
        kept=fixed.kept,
        aliasing=fixed.aliasing,
        random=randoms,
        exclusions=exclusions,
        notes=(*fixed.notes_on_columns(), *level_notes(fixed.fixed, *randoms)),
    )
    _check_estimable(design, spec)
    return design


def _only_group(spec: LMMSpec) -> str:
    """Return the grouping column; refuse several."""
    groups = list(dict.fromkeys(term.group for term in spec.random))
    if len(groups) > 1:
        raise DesignError(
            f"Random terms must share one grouping column, got {', '.join(groups)}. Crossed and "
            "nested groupings are not offered; enter the second one as a fixed effect."
        )
    return groups[0]


def _usable_rows(
    data: pd.DataFrame, spec: LMMSpec, group: str
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Keep complete rows in which every transform gives a finite number."""
    if len(data) == 0:
        raise DesignError("The data have no rows, so there is nothing to fit.")
    stage = f"mixed model of {spec.outcome}"
    rows, exclusions = complete_rows(data, spec.variables, stage=stage, subject=group)
    named = [(spec.outcome, f"0 + {spec.outcome}"), (spec.fixed, spec.fixed)]
    named += [(term.rhs(), term.rhs()) for term in spec.random]
    for shown, rhs in named:
        if len(rows) == 0 or not compile_rhs(rhs).fragments:
            continue
        matrix, _ = design_matrices(rhs, rows)
        keep = np.isfinite(matrix.to_numpy()).all(axis=1)
        exclusions += exclude(stage, "row", f"{shown} is not finite", rows.loc[~keep, group])
        exclusions += lost_subjects(stage, rows[group], keep)
        rows = rows.loc[keep].reset_index(drop=True)
    if len(rows) == 0:
        reasons = "; ".join(f"{e.reason}: {e.n} row(s)" for e in exclusions if e.unit == "row")
        raise DesignError(f"No row is left for the {stage} ({reasons}).")
    return rows, exclusions


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
    spec: LMMSpec, frames: Sequence[pd.DataFrame], made: Sequence[DesignSpec]
) -> tuple[tuple[int, ...], ...]:
    """List the columns of `Z` that may be correlated with each other."""
    blocks: list[tuple[int, ...]] = []
    start = 0
    for term, frame, made_spec in zip(spec.random, frames, made, strict=True):
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


def _check_estimable(design: MixedDesign, spec: LMMSpec) -> None:
    """Refuse designs in which the parameters cannot be told apart."""
    arrays = design.arrays
    n_random = arrays.Z.shape[1]
    n_parameters = arrays.X.shape[1] + sum(len(b) * (len(b) + 1) // 2 for b in arrays.blocks) + 1
    if arrays.n_subjects < 2:
        raise DesignError(
            f"The mixed model of {spec.outcome} needs several subjects to tell variation between "
            f"them from variation within, but the data have one ({design.subject_ids[0]})."
        )
    if arrays.n_obs == arrays.n_subjects:
        raise DesignError(
            f"Every subject has one row with {spec.outcome}, so neither change nor variation "
            f"within subjects can be estimated ({arrays.n_subjects} subjects). A mixed model needs "
            "repeated visits."
        )
    if arrays.X.shape[1] == 0:
        raise DesignError("The model has no fixed effect left. Keep at least an intercept.")
    if arrays.n_obs <= n_parameters:
        raise DesignError(
            f"{arrays.n_obs} rows cannot determine {n_parameters} parameters "
            f"({arrays.X.shape[1]} fixed effects). Use fewer terms or more visits."
        )
    if arrays.n_obs <= n_random * arrays.n_subjects:
        raise DesignError(
            f"{arrays.n_obs} rows of {arrays.n_subjects} subjects cannot tell {n_random} random "
            f"effects per subject ({', '.join(design.random_names)}) from the residual. Use "
            f"(1 | {spec.random[0].group}), or subjects with more visits."
        )
    _check_random_columns(design)
    _check_variation(design, spec)


def _check_random_columns(design: MixedDesign) -> None:
    """Refuse random effects that say the same as others."""
    for block in design.arrays.blocks:
        _, dropped = independent_columns(design.arrays.Z[:, list(block)])
        if dropped:
            name = design.random_names[block[dropped[0]]]
            raise DesignError(
                f"The random effect {name!r} is constant or repeats another one, so the two cannot "
                "be told apart. Leave it out of the random term."
            )


def _check_variation(design: MixedDesign, spec: LMMSpec) -> None:
    """Refuse outcomes that the model describes without any residual."""
    arrays = design.arrays
    y, X, Z = arrays.y, arrays.X, arrays.Z
    if np.ptp(y) == 0:
        raise DesignError(
            f"{spec.outcome} is {y[0]:g} in all {arrays.n_obs} rows, so there is nothing to model."
        )
    size = np.linalg.norm(y - y.mean())
    fitted = np.linalg.norm(y - X @ np.linalg.lstsq(X, y, rcond=None)[0])
    if fitted <= 1e-10 * size:
        raise DesignError(
            f"The fixed effects describe {spec.outcome} exactly, so no variance can be estimated."
        )
    parts = within_subjects(np.column_stack([y, X]), Z, arrays.subject, arrays.n_subjects)
    within = np.linalg.norm(
        parts[:, 0] - parts[:, 1:] @ np.linalg.lstsq(parts[:, 1:], parts[:, 0], rcond=1e-9)[0]
    )
    if within <= 1e-9 * size:
        raise DesignError(
            f"The random effects of each subject ({', '.join(design.random_names)}) describe "
            f"{spec.outcome} exactly, so the residual variance is zero and the likelihood has no "
            "maximum. Check whether values were carried forward, or use fewer random effects."
        )
