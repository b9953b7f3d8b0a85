"""Each subject's change in each measure: between two visits, or as a slope."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import Measure
from pmsstats.errors import DesignError, first_ids, nearest
from pmsstats.models.formulas.design import require_columns
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.imaging.responsiveness import ResponsivenessSpec

__all__ = ["SubjectChanges", "subject_changes"]


@dataclass(frozen=True, eq=False, kw_only=True)
class SubjectChanges:
    """Changes in the units of the measures.

    Parameters
    ----------
    ids : tuple
        Subject of each row.
    change : ndarray, shape (n_subjects, n_measures)
        Last less first value, or slope per unit of time; missing where there is none.
    baseline : ndarray, shape (n_subjects, n_measures)
        First values, where there is a change; missing for measures that are changes already.
    stable : ndarray of bool, shape (n_subjects,)
        Subjects of the group whose change is noise.
    exclusions : tuple of Exclusion
        Rows and subjects that were left out.
    """

    ids: tuple[Any, ...]
    change: np.ndarray
    baseline: np.ndarray
    stable: np.ndarray
    exclusions: tuple[Exclusion, ...]

    @property
    def any_change(self) -> np.ndarray:
        """Return which subjects have a change in some measure."""
        found: np.ndarray = ~np.isnan(self.change).all(axis=1)
        return found

    def kept(self, keep: np.ndarray) -> SubjectChanges:
        """Return only some subjects.

        Parameters
        ----------
        keep : ndarray of bool, shape (n_subjects,)
            Which.

        Returns
        -------
        SubjectChanges
            A new one.
        """
        return replace(
            self,
            ids=tuple(s for s, k in zip(self.ids, keep, strict=True) if k),
            change=self.change[keep],
            baseline=self.baseline[keep],
            stable=self.stable[keep],
        )


def subject_changes(
    data: pd.DataFrame, spec: ResponsivenessSpec, known: Mapping[str, Measure]
) -> SubjectChanges:
    """Compute every subject's change in every measure.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject and visit.
    spec : ResponsivenessSpec
        Which measures, and between which times.
    known : mapping of str to Measure
        Tells which measures are changes from baseline already: their change is their last value,
        less the first one only where there is one, and their slope goes through the origin.

    Returns
    -------
    SubjectChanges
        In the order in which subjects are met.

    Raises
    ------
    DesignError
        If a column is absent or holds no numbers, a time does not occur, or a subject has two
        rows at one time or is in two groups.
    """
    groups = [spec.group] if spec.group is not None else []
    require_columns(data, [*spec.measures, spec.time, spec.subject, *groups])
    for name in spec.measures:
        kind = data[name].dtype
        if not pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind):
            raise DesignError(f"The measure {name!r} must be a column of numbers.")
    needed = [spec.subject, spec.time, *groups]
    usable = data[needed].notna().all(axis=1)
    reason = f"no {' or '.join(needed)}"
    lost = exclude(
        "responsiveness",
        "row",
        reason,
        data.loc[~usable, spec.subject].astype(object).fillna("no id"),
    )
    rows = data.loc[usable]
    codes, ids = pd.factorize(rows[spec.subject], sort=False)
    values = rows[list(spec.measures)].to_numpy(dtype=float, na_value=np.nan)
    infinite = np.isinf(values)
    lost += exclude(
        "responsiveness",
        "row",
        "a measure is infinite",
        rows.loc[infinite.any(axis=1), spec.subject],
    )
    values = np.where(infinite, np.nan, values)
    is_change = np.array([n in known and known[n].kind == "change" for n in spec.measures])
    of = _two_visits if spec.method == "change" else _slopes
    change, baseline = of(rows, codes, values, spec, is_change=is_change)
    baseline = np.where(np.isnan(change) | is_change, np.nan, baseline)
    gone = np.isnan(change).all(axis=1)
    lost += exclude(
        "responsiveness", "subject", "no change in any measure",
        [s for s, g in zip(ids, gone, strict=True) if g],
    )  # fmt: skip
    return SubjectChanges(
        ids=tuple(ids), change=change, baseline=baseline, stable=_stable(rows, codes, ids, spec),
        exclusions=lost,
    )  # fmt: skip


def _stable(
    rows: pd.DataFrame, codes: np.ndarray, ids: pd.Index, spec: ResponsivenessSpec
) -> np.ndarray:
    """Say which subjects belong to the stable group."""
    if spec.group is None:
        return np.zeros(len(ids), dtype=bool)
    column = rows[spec.group]
    options = [str(value) for value in column.unique()]
    if str(spec.stable) not in options:
        raise DesignError(
            f"`stable` must be a value of {spec.group!r} ({', '.join(options)}), got "
            f"{spec.stable!r}.{nearest(str(spec.stable), options)}"
        )
    group = pd.factorize(column)[0]
    low, high = np.full(len(ids), group.max()), np.full(len(ids), group.min())
    np.minimum.at(low, codes, group)
    np.maximum.at(high, codes, group)
    if (low != high).any():
        raise DesignError(
            f"Each subject belongs to one {spec.group}, but {int((low != high).sum())} are in "
            f"several: {first_ids(np.asarray(ids)[low != high])}."
        )
    stable = np.zeros(len(ids), dtype=bool)
    stable[codes[(column.astype(str) == str(spec.stable)).to_numpy()]] = True
    return stable


def _two_visits(
    rows: pd.DataFrame,
    codes: np.ndarray,
    values: np.ndarray,
    spec: ResponsivenessSpec,
    *,
    is_change: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return last less first value, and the first value."""
    if spec.between is None:
        raise DesignError("`between` is needed for method='change'.")
    ends = []
    for when in spec.between:
        at = (rows[spec.time] == when).to_numpy()
        if not at.any():
            times = [str(t) for t in rows[spec.time].unique()]
            raise DesignError(
                f"`between` names {when!r}, but {spec.time!r} never is that."
                f"{nearest(str(when), times)} It is: {first_ids(times, show=8)}."
            )
        twice = rows.loc[at].duplicated([spec.subject])
        if twice.any():
            raise DesignError(
                f"Each subject needs one row at {spec.time} {when!r}, but {int(twice.sum())} "
                f"row(s) repeat one, of {first_ids(rows.loc[at].loc[twice, spec.subject])}."
            )
        found = np.full((codes.max() + 1, values.shape[1]), np.nan)
        found[codes[at]] = values[at]
        ends.append(found)
    first, last = ends
    start = np.where(is_change & np.isnan(first), 0.0, first)
    return last - start, first


def _slopes(
    rows: pd.DataFrame,
    codes: np.ndarray,
    values: np.ndarray,
    spec: ResponsivenessSpec,
    *,
    is_change: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return each subject's least-squares slope in each measure, and the first value."""
    if not pd.api.types.is_numeric_dtype(rows[spec.time].dtype):
        raise DesignError(f"For slopes `time` must be a column of numbers; {spec.time!r} is not.")
    time = rows[spec.time].to_numpy(dtype=float)
    inside = np.isfinite(time)
    if spec.between is not None:
        inside &= (time >= spec.between[0]) & (time <= spec.between[1])
    n_subjects, n_measures = int(codes.max()) + 1, values.shape[1]
    change = np.full((n_subjects, n_measures), np.nan)
    first = np.full((n_subjects, n_measures), np.nan)
    order = np.argsort(-time, kind="stable")  # so that the earliest is written last
    for j in range(n_measures):
        seen = inside & ~np.isnan(values[:, j])
        c, t, y = codes[seen], time[seen], values[seen, j]
        if not is_change[j]:  # changes start at zero: their lines go through the origin
            n = np.maximum(np.bincount(c, minlength=n_subjects), 1)
            t = t - (np.bincount(c, weights=t, minlength=n_subjects) / n)[c]
            y = y - (np.bincount(c, weights=y, minlength=n_subjects) / n)[c]
        spread = np.bincount(c, weights=t * t, minlength=n_subjects)
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.bincount(c, weights=t * y, minlength=n_subjects) / spread
        scale = 1e-20 * float((time[inside] ** 2).max(initial=0.0))
        change[:, j] = np.where(spread > scale, slope, np.nan)
        late_first = order[seen[order]]
        first[codes[late_first], j] = values[late_first, j]
    return change, first
