"""Arrays of a linear mixed model: built from rows, checked, and put on a common scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.columns import combine_columns, independent_columns, within_subjects
from pmsstats.models.design import (
    DesignSpec,
    complete_rows,
    design_matrices,
    formula_variables,
    lost_subjects,
)
from pmsstats.models.wilkinson import compile_rhs
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.lmm import LMMSpec

__all__ = [
    "MixedArrays",
    "MixedDesign",
    "build_mixed_design",
]

_ESTIMABLE = 1e-6  # relative error below which two columns count as combined
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
class MixedDesign:
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
    fixed_names: tuple[str, ...]
    random_names: tuple[str, ...]
    fixed: DesignSpec
    kept: tuple[int, ...]
    aliasing: np.ndarray
    random: tuple[DesignSpec, ...]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]

    def contrasts(self, full: np.ndarray) -> np.ndarray:
        """Express combinations of all design columns in those that were kept.

        Parameters
        ----------
        full : ndarray, shape (m, n_columns)
            One combination per row, of the columns of `fixed`.

        Returns
        -------
        ndarray, shape (m, p)
            Of the columns that were kept; rows of missing values where a combination cannot be
            estimated because it needs what was dropped.
        """
        kept = full[:, list(self.kept)]
        dropped = np.delete(full, list(self.kept), axis=1)
        size = np.maximum(np.abs(full).max(axis=1, initial=1.0), 1.0)
        off = np.abs(dropped - kept @ self.aliasing).max(axis=1, initial=0.0)
        return np.where((off <= _ESTIMABLE * size)[:, None], kept, np.nan)

    def fixed_matrix(self, data: pd.DataFrame) -> np.ndarray:
        """Make the columns of `X` from other data.

        Parameters
        ----------
        data : pandas.DataFrame
            Has the variables of the fixed part.

        Returns
        -------
        ndarray, shape (n, p)
            In the order of `fixed_names`.

        Raises
        ------
        DesignError
            If the mean of some row cannot be estimated from the data of the fit.
        """
        made = self.contrasts(self.fixed.matrix(data).to_numpy())
        bad = np.isnan(made).any(axis=1)
        if bad.any():
            raise DesignError(
                f"The mean cannot be estimated for {int(bad.sum())} of {len(data)} row(s): the "
                "data of the fit do not hold their combination of values."
            )
        return made

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
    y, fixed_frame, fixed, randoms, z_frames = _matrices(rows, spec)
    kept, dropped = independent_columns(fixed_frame.to_numpy())
    codes, ids = pd.factorize(rows[group], sort=False)
    names = [str(c) for c in fixed_frame.columns]
    arrays = MixedArrays(
        y=y,
        X=fixed_frame.to_numpy()[:, list(kept)],
        Z=np.hstack([frame.to_numpy() for frame in z_frames]),
        subject=codes,
        n_subjects=len(ids),
        blocks=_blocks(spec, z_frames, randoms),
    )
    design = MixedDesign(
        arrays=arrays,
        rows=rows,
        subject_ids=tuple(ids),
        fixed_names=tuple(names[i] for i in kept),
        random_names=tuple(_random_name(str(c)) for frame in z_frames for c in frame.columns),
        fixed=fixed,
        kept=kept,
        aliasing=combine_columns(fixed_frame.to_numpy(), kept, dropped),
        random=randoms,
        exclusions=exclusions,
        notes=(*_dropped_note([names[i] for i in dropped]), *_level_notes(fixed, randoms)),
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


def _matrices(
    rows: pd.DataFrame, spec: LMMSpec
) -> tuple[np.ndarray, pd.DataFrame, DesignSpec, tuple[DesignSpec, ...], list[pd.DataFrame]]:
    """Make outcome, fixed and random columns."""
    outcome, _ = design_matrices(f"0 + {spec.outcome}", rows)
    if outcome.shape[1] != 1:
        raise DesignError(
            f"The outcome {spec.outcome!r} must be a column of numbers, but holds "
            f"{first_ids(rows[formula_variables(spec.outcome)[0]])}."
        )
    fixed_frame, fixed = design_matrices(spec.fixed, rows)
    made = [design_matrices(term.rhs(), rows) for term in spec.random]
    return (
        outcome.to_numpy()[:, 0],
        fixed_frame,
        fixed,
        tuple(made_spec for _, made_spec in made),
        [frame for frame, _ in made],
    )


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


def _dropped_note(names: Sequence[str]) -> tuple[str, ...]:
    """Say which columns were dropped."""
    if not names:
        return ()
    note = f"dropped from the fixed effects, as combinations of earlier ones: {', '.join(names)}"
    return (note,)


def _level_notes(fixed: DesignSpec, random: Sequence[DesignSpec]) -> tuple[str, ...]:
    """Say which levels no row has, and which factors have one level only."""
    specs = (fixed, *random)
    unused = {name: levels for spec in specs for name, levels in spec.unused_levels.items()}
    single = {
        name: levels[0]
        for spec in specs
        for name, levels in spec.levels.items()
        if len(levels) == 1
    }
    return (
        *(
            f"no row has {name} = {first_ids(levels, show=8)}, so that is no level of the model"
            for name, levels in unused.items()
        ),
        *(
            f"every row has {name} = {level}, so {name} has no effect that could be estimated"
            for name, level in single.items()
        ),
    )


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
