"""Visits in a long frame to arrays: one row per subject, one column per scheduled visit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.cohort.coerce import DAYS_PER_YEAR
from pmsstats.errors import DesignError, first_ids, nearest
from pmsstats.models.repeated.visit_order import order_in_time
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.missing.spec import MissingSpec

__all__ = ["DAYS_PER_YEAR", "WideVisits", "distinct_subjects", "lay_out"]

_STAGE = "missing values"


@dataclass(frozen=True, eq=False, kw_only=True)
class WideVisits:
    """The arrays of a trial with missing values.

    Parameters
    ----------
    y : ndarray, shape (n_subjects, n_visits)
        Outcome; NaN where it was not seen.
    arm : ndarray of int, shape (n_subjects,)
        0 is the reference.
    covariates : ndarray, shape (n_subjects, k)
        Baseline covariates, text as indicators, centred at their mean.
    day : ndarray, shape (n_subjects, n_visits)
        When visits took place; the nominal day where they did not; NaN without a column of days.
    subject_ids, arms, visits, covariate_names : tuple of str
        What rows, arms, columns and covariates are called.
    baseline : pandas.DataFrame
        One row per subject, in order: the columns that events and analyses may need.
    exclusions : tuple of Exclusion
        Who was left out.
    """

    y: np.ndarray
    arm: np.ndarray
    covariates: np.ndarray
    day: np.ndarray
    subject_ids: tuple[str, ...]
    arms: tuple[str, ...]
    visits: tuple[str, ...]
    covariate_names: tuple[str, ...]
    baseline: pd.DataFrame
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def n_subjects(self) -> int:
        """Return the number of subjects."""
        return len(self.y)

    @property
    def n_visits(self) -> int:
        """Return the number of scheduled visits."""
        return self.y.shape[1]

    @property
    def nominal_days(self) -> np.ndarray:
        """Return the median day of each visit, shape (n_visits,)."""
        return np.median(self.day, axis=0)

    def regressors(self, *, all_in_reference: bool = False) -> np.ndarray:
        """Return the regressors of the imputation model: one indicator per arm, covariates.

        Parameters
        ----------
        all_in_reference : bool, default False
            As if everybody were in the reference arm.

        Returns
        -------
        ndarray, shape (n_subjects, n_arms + k)
            The same at every visit; effects differ between visits.
        """
        arm = np.zeros_like(self.arm) if all_in_reference else self.arm
        return np.hstack([np.eye(len(self.arms))[arm], self.covariates])

    def take(self, rows: np.ndarray, exclusions: tuple[Exclusion, ...] = ()) -> WideVisits:
        """Choose and order subjects.

        Parameters
        ----------
        rows : ndarray of int or bool
            Which.
        exclusions : tuple of Exclusion
            To be added.

        Returns
        -------
        WideVisits
            Covariates are centred anew.
        """
        ids = np.array(self.subject_ids, dtype=object)[rows]
        covariates = self.covariates[rows]
        return replace(
            self,
            y=self.y[rows],
            arm=self.arm[rows],
            covariates=covariates - covariates.mean(axis=0) if len(covariates) else covariates,
            day=self.day[rows],
            subject_ids=tuple(ids.tolist()),
            baseline=self.baseline.iloc[np.arange(self.n_subjects)[rows]].reset_index(drop=True),
            exclusions=(*self.exclusions, *exclusions),
        )


def lay_out(visits: pd.DataFrame, spec: MissingSpec) -> WideVisits:
    """Put visits into arrays.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per subject and visit, see :class:`~pmsstats.models.missing.spec.MissingSpec`.
    spec : MissingSpec
        Which columns.

    Returns
    -------
    WideVisits
        Subjects in the order in which they are met.

    Raises
    ------
    DesignError
        If a column is absent, a subject has a visit twice, changes arm or covariates, the
        reference arm is unknown, or the order of visits or arms is not told.
    """
    _check_columns(visits, spec)
    visit = _ordered(visits[spec.visit], spec.visit)
    arm = _arms(visits[spec.arm], spec)
    subject, ids = pd.factorize(visits[spec.subject])
    _refuse_repeats(subject, visit.codes, ids, visit.categories, spec)
    baseline = _baseline(visits, subject, ids, spec)
    shape = (len(ids), len(visit.categories))
    day = _days(visits, spec, subject, visit.codes, shape)
    y = np.full(shape, np.nan)
    y[subject, visit.codes] = visits[spec.outcome].to_numpy(dtype=float, na_value=np.nan)
    first = np.unique(subject, return_index=True)[1]
    covariates, names = _covariates(baseline, spec)
    wide = WideVisits(
        y=y,
        arm=arm.codes[first].astype(int),
        covariates=covariates,
        day=day,
        subject_ids=tuple(str(i) for i in ids),
        arms=tuple(str(a) for a in arm.categories),
        visits=tuple(str(v) for v in visit.categories),
        covariate_names=names,
        baseline=baseline,
    )
    return _without_gaps(wide, spec)


def distinct_subjects(rows: np.ndarray, wide: WideVisits) -> str:
    """Name the first subjects of some rows, for a message.

    Parameters
    ----------
    rows : ndarray of int or bool
        Which.
    wide : WideVisits
        Whose names.

    Returns
    -------
    str
        For example ``"S012, S044, S051, ..."``.
    """
    ids = np.array(wide.subject_ids, dtype=object)[rows]
    return first_ids(ids.tolist())


def _check_columns(visits: Any, spec: MissingSpec) -> None:
    """Refuse what is no frame, or lacks columns."""
    if not isinstance(visits, pd.DataFrame):
        raise DesignError(f"`visits` must be a DataFrame, got {type(visits).__name__}.")
    extra = [rule.stratum for rule in spec.strategies if rule.stratum is not None]
    extra += [spec.before_first] if isinstance(spec.before_first, str) else []
    needed = [spec.outcome, spec.arm, spec.visit, spec.subject, *spec.covariates, *extra]
    for name in needed:
        if name not in visits:
            raise DesignError(
                f"`visits` has no column {name!r}.{nearest(name, map(str, visits.columns))} "
                f"It has: {', '.join(map(str, visits.columns))}."
            )
    if not len(visits):
        raise DesignError("`visits` has no rows. Give one per subject and visit.")
    if not pd.api.types.is_numeric_dtype(visits[spec.outcome]):
        raise DesignError(
            f"`outcome` {spec.outcome!r} must be a number, got {visits[spec.outcome].dtype}."
        )
    for name in (spec.subject, spec.visit, spec.arm):
        if visits[name].isna().any():
            raise DesignError(
                f"`visits` has {int(visits[name].isna().sum())} rows without {name!r}. Fill it in, "
                "or leave these rows out."
            )
    if np.isinf(visits[spec.outcome].to_numpy(dtype=float, na_value=np.nan)).any():
        raise DesignError(f"`outcome` {spec.outcome!r} has infinite values. Set them to missing.")


def _ordered(column: pd.Series, name: str) -> pd.Categorical:
    """Return visits as an ordered categorical with the used levels only."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return pd.Categorical(column).remove_unused_categories()
    levels = column.unique().tolist()
    if pd.api.types.is_numeric_dtype(column):
        return pd.Categorical(column, categories=sorted(levels), ordered=True)
    order = order_in_time([str(level) for level in levels])
    if order is None:
        raise DesignError(
            f"`visit` column {name!r} does not tell the order of {levels[:4]!r}. Make it an "
            "ordered categorical: pd.Categorical(values, categories=[...], ordered=True)."
        )
    return pd.Categorical(column.astype(str), categories=list(order), ordered=True)


def _arms(column: pd.Series, spec: MissingSpec) -> pd.Categorical:
    """Return arms as a categorical, the reference first."""
    is_categorical = isinstance(column.dtype, pd.CategoricalDtype)
    found = pd.Categorical(column).remove_unused_categories()
    levels = [str(level) for level in found.categories]
    if spec.reference is None and not is_categorical:
        raise DesignError(
            f"`reference` must name the arm that others are compared with, as column {spec.arm!r} "
            f"is no ordered categorical; it has {', '.join(levels)}."
        )
    reference = levels[0] if spec.reference is None else spec.reference
    if reference not in levels:
        raise DesignError(
            f"`reference` must be an arm of column {spec.arm!r}, got {reference!r}."
            f"{nearest(reference, levels)} It has: {', '.join(levels)}."
        )
    if len(levels) < 2:
        raise DesignError(f"`arm` needs two arms to compare, found only {levels[0]!r}.")
    rest = [level for level in levels if level != reference]
    return pd.Categorical(column.astype(str), categories=[reference, *rest])


def _refuse_repeats(
    subject: np.ndarray, visit: np.ndarray, ids: Any, visits: Any, spec: MissingSpec
) -> None:
    """Refuse two rows of a subject at one visit."""
    keys = pd.MultiIndex.from_arrays([subject, visit])
    again = keys.duplicated()
    if again.any():
        named = [f"{ids[s]} at {visits[v]}" for s, v in keys[again][:3]]
        raise DesignError(
            f"`visits` must have each {spec.visit} once per subject, but {int(again.sum())} rows "
            f"repeat one ({', '.join(named)}). Keep one row per visit."
        )


def _baseline(
    visits: pd.DataFrame, subject: np.ndarray, ids: Any, spec: MissingSpec
) -> pd.DataFrame:
    """Return what is constant in each subject, and refuse what is not."""
    names = [spec.arm, *spec.covariates]
    names += [rule.stratum for rule in spec.strategies if rule.stratum is not None]
    names += [spec.before_first] if isinstance(spec.before_first, str) else []
    names = list(dict.fromkeys(names))
    groups = visits[names].groupby(subject, sort=True)
    changing = groups.nunique(dropna=True).gt(1)
    for name in names:
        bad = changing.index[changing[name]].tolist()
        if bad:
            raise DesignError(
                f"`visits` must have one {name!r} per subject, but {len(bad)} subjects have "
                f"several ({first_ids([str(ids[i]) for i in bad])}). Use the value at baseline."
            )
    table = groups.first().reset_index(drop=True)
    table.insert(0, spec.subject, np.asarray(ids))
    return table


def _covariates(baseline: pd.DataFrame, spec: MissingSpec) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return covariates as numbers: text becomes indicators of all but the first level."""
    columns: list[np.ndarray] = []
    names: list[str] = []
    for name in spec.covariates:
        column = baseline[name]
        gap = column.isna().to_numpy()
        if pd.api.types.is_numeric_dtype(column):
            columns.append(column.to_numpy(dtype=float, na_value=np.nan))
            names.append(name)
            continue
        found = pd.Categorical(column).remove_unused_categories()
        for code, level in enumerate(found.categories[1:], start=1):
            columns.append(np.where(gap, np.nan, found.codes == code))
            names.append(f"{name} {level}")
    return np.column_stack(columns) if columns else np.zeros((len(baseline), 0)), tuple(names)


def _days(
    visits: pd.DataFrame,
    spec: MissingSpec,
    subject: np.ndarray,
    visit: np.ndarray,
    shape: tuple[int, int],
) -> np.ndarray:
    """Return when visits took place, or would have: then the median day of the others."""
    day = np.full(shape, np.nan)
    if spec.day not in visits:
        return day
    day[subject, visit] = visits[spec.day].to_numpy(dtype=float, na_value=np.nan)
    known = (~np.isnan(day)).any(axis=0)
    nominal = np.full(shape[1], np.nan)
    nominal[known] = np.nanmedian(day[:, known], axis=0)
    if (np.diff(nominal[known]) <= 0).any():
        raise DesignError(
            f"`day` column {spec.day!r} must rise from visit to visit, but the median days are "
            f"{nominal.tolist()}. Check the order of visits."
        )
    return np.where(np.isnan(day), nominal, day)


def _without_gaps(wide: WideVisits, spec: MissingSpec) -> WideVisits:
    """Leave out subjects without covariates or outside of a stratum; centre the rest."""
    keep = np.ones(wide.n_subjects, dtype=bool)
    exclusions: list[Exclusion] = []
    for name in spec.covariates:
        gap = wide.baseline[name].isna().to_numpy() & keep
        exclusions += _left_out(wide, gap, f"no {name} at baseline")
        keep &= ~gap
    for rule in spec.strategies:
        if rule.stratum is None:
            continue
        inside = wide.baseline[rule.stratum].fillna(value=False).astype(bool).to_numpy()
        reason = f"outside of the principal stratum {rule.stratum} of {rule.event}"
        exclusions += _left_out(wide, ~inside & keep, reason)
        keep &= inside
    if not keep.any():
        raise DesignError(
            "No subject is left: " + "; ".join(f"{e.n} with {e.reason}" for e in exclusions) + "."
        )
    return wide.take(keep, tuple(exclusions))


def _left_out(wide: WideVisits, rows: np.ndarray, reason: str) -> tuple[Exclusion, ...]:
    """Record subjects that are left out."""
    ids = np.array(wide.subject_ids, dtype=object)[rows]
    return exclude(_STAGE, "subject", reason, ids.tolist())
