"""What the data of a mixed model must offer, so that its parameters can be told apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.formulas.columns import independent_columns, within_subjects

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm import LMMSpec
    from pmsstats.models.mixed.mixed_design import MixedArrays, MixedDesign

__all__ = ["check_estimable", "repeated_rows"]

_FEW = 64  # subjects that settle most often whether the outcome varies


def check_estimable(design: MixedDesign, spec: LMMSpec) -> None:
    """Refuse designs in which the parameters cannot be told apart.

    Parameters
    ----------
    design : MixedDesign
        The model's arrays and names.
    spec : LMMSpec
        The model, for messages.

    Raises
    ------
    DesignError
        If there are too few rows, subjects or groups, columns or groupings repeat each other, or
        nothing varies that could be modelled.
    """
    arrays = design.arrays
    n_random = arrays.Z.shape[1]
    blocks = [block for words in design.groupings for block in words.blocks]
    n_parameters = arrays.X.shape[1] + sum(len(b) * (len(b) + 1) // 2 for b in blocks) + 1
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
    if np.bincount(arrays.subject).max() <= n_random:
        raise DesignError(
            f"{arrays.n_obs} rows of {arrays.n_subjects} subjects, at most {n_random} of each, "
            f"cannot tell {n_random} random effects per subject ({', '.join(design.random_names)}) "
            f"from the residual. Use (1 | {design.group}), or subjects with more visits."
        )
    _check_groupings(design)
    _check_random_columns(design)
    _check_variation(design, spec)


def repeated_rows(rows: pd.DataFrame, arrays: MixedArrays, group: str) -> tuple[str, ...]:
    """Say which rows are there twice, equal in all columns.

    Parameters
    ----------
    rows : pandas.DataFrame
        The rows analysed, whatever columns they have.
    arrays : MixedArrays
        Their numbers.
    group : str
        Column that tells subjects apart.

    Returns
    -------
    tuple of str
        One sentence, or nothing.
    """
    if np.diff(np.sort(arrays.y)).all():  # no two rows with one outcome
        return ()
    order = np.lexsort((arrays.y, arrays.subject))
    same = (np.diff(arrays.subject[order]) == 0) & (np.diff(arrays.y[order]) == 0)
    if not same.any():
        return ()
    alike = np.unique(np.append(order[:-1][same], order[1:][same]))
    some = rows.iloc[alike].astype(str)  # as text, because not every value can be compared
    twice = some[some.duplicated()]
    if twice.empty:
        return ()
    ids = rows.loc[twice.index, group]
    note = (
        f"{len(twice)} row(s) repeat another one in all columns and count twice (of "
        f"{first_ids(ids)}): drop them with data.drop_duplicates() if they are the same visit"
    )
    return (note,)


def _check_groupings(design: MixedDesign) -> None:
    """Refuse further grouping factors that say nothing, or the same as another one."""
    codes = [design.arrays.subject]
    for words, other in zip(design.groupings[1:], design.arrays.others, strict=True):
        q = other.Z.shape[1]
        if other.n_levels < 2:
            raise DesignError(
                f"Every row has {words.group} = {words.ids[0]}, so variation between its groups "
                f"cannot be estimated. Leave its random term out."
            )
        if other.n_levels < q:
            raise DesignError(
                f"{other.n_levels} groups of {words.group} cannot determine {q} random effects "
                f"({', '.join(words.random_names)}). Use (1 | {words.group}), or enter it as a "
                "fixed effect."
            )
        for before, earlier in zip(design.groupings, codes, strict=False):
            pairs = np.unique(np.column_stack([earlier, other.codes]), axis=0)
            if len(pairs) == other.n_levels == len(before.ids):
                raise DesignError(
                    f"The random terms group the rows in the same way by {before.group} and by "
                    f"{words.group}, so the two cannot be told apart. Leave one of them out."
                )
        codes.append(other.codes)


def _check_random_columns(design: MixedDesign) -> None:
    """Refuse random effects that say the same as others."""
    matrices = (design.arrays.Z, *(other.Z for other in design.arrays.others))
    for words, Z in zip(design.groupings, matrices, strict=True):
        for block in words.blocks:
            _, dropped = independent_columns(Z[:, list(block)])
            if dropped:
                name = words.random_names[block[dropped[0]]]
                raise DesignError(
                    f"The random effect {name!r} is constant or repeats another one, so the two "
                    "cannot be told apart. Leave it out of the random term."
                )


def _check_variation(design: MixedDesign, spec: LMMSpec) -> None:
    """Refuse outcomes that the model describes without any residual."""
    arrays = design.arrays
    y, X = arrays.y, arrays.X
    if np.ptp(y) == 0:
        raise DesignError(
            f"{spec.outcome} is {y[0]:g} in all {arrays.n_obs} rows, so there is nothing to model."
        )
    size = float(np.linalg.norm(y - y.mean()))
    if _within(arrays, arrays.subject < _FEW) > 1e-9 * size:
        return  # more rows only add to it
    fitted = np.linalg.norm(y - X @ np.linalg.lstsq(X, y, rcond=None)[0])
    if fitted <= 1e-10 * size:
        raise DesignError(
            f"The fixed effects describe {spec.outcome} exactly, so no variance can be estimated."
        )
    if _within(arrays, np.ones(arrays.n_obs, dtype=bool)) <= 1e-9 * size:
        raise DesignError(
            f"The random effects of each subject ({', '.join(design.random_names)}) describe "
            f"{spec.outcome} exactly, so the residual variance is zero and the likelihood has no "
            "maximum. Check whether values were carried forward, or use fewer random effects."
        )


def _within(arrays: MixedArrays, keep: np.ndarray) -> float:
    """Return the size of what fixed and subjects' effects leave of the outcome in some rows."""
    subject = arrays.subject[keep]
    sizes = np.linalg.norm(arrays.X, axis=0)
    values = np.column_stack([arrays.y, arrays.X / sizes])[keep]
    parts = within_subjects(values, arrays.Z[keep], subject, int(subject.max()) + 1)
    weights = np.linalg.lstsq(parts[:, 1:], parts[:, 0], rcond=1e-9)[0]
    return float(np.linalg.norm(parts[:, 0] - parts[:, 1:] @ weights))
