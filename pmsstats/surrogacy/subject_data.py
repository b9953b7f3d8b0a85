"""From a table of subjects to arrays: every check, and every exclusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.events.rows import (
    Rows,
    as_subjects,
    check_duration,
    check_event,
    check_one_row,
    groups_of,
    require_columns,
)
from pmsstats.results import Exclusion
from pmsstats.surrogacy.specs import OutcomeKind, SubjectSpec, TrialSurrogacySpec

__all__ = ["SubjectData", "prepare_subjects"]

_FEWEST = 5  # subjects per arm in one trial, for a regression on treatment and surrogate
_CONSTANT = 1e-12  # standard deviation over largest value


@dataclass(frozen=True, kw_only=True, eq=False)
class SubjectData:
    """Subjects of two arms, checked.

    Parameters
    ----------
    kind : {"continuous", "binary", "survival"}
        What the outcome is.
    treated : ndarray, shape (n_subjects,)
        1.0 in the treated arm, 0.0 in the reference arm.
    surrogate : ndarray, shape (n_subjects,)
        In its own unit.
    covariates : ndarray, shape (n_subjects, n_covariates)
        In their own units.
    outcome : ndarray, shape (n_subjects,)
        The outcome, or the time to the event or to censoring.
    event : ndarray of bool, shape (n_subjects,)
        Whether the event happened; all True where the outcome is none.
    arms : tuple of two str
        Reference and treated.
    trial : ndarray of int, shape (n_subjects,)
        Codes of trials; all 0 where there is one.
    trials : tuple of str
        Their names.
    exclusions : tuple of Exclusion
        Subjects left out.
    subject_ids : ndarray of str, shape (n_subjects,)
        Who they are.
    """

    kind: OutcomeKind
    treated: np.ndarray
    surrogate: np.ndarray
    covariates: np.ndarray
    outcome: np.ndarray
    event: np.ndarray
    arms: tuple[str, str]
    trial: np.ndarray
    trials: tuple[str, ...]
    exclusions: tuple[Exclusion, ...]
    subject_ids: np.ndarray

    @property
    def n_subjects(self) -> int:
        """Return the number of subjects."""
        return len(self.treated)

    def select(self, members: np.ndarray) -> SubjectData:
        """Return some of the subjects.

        Parameters
        ----------
        members : ndarray of bool or int
            Which.

        Returns
        -------
        SubjectData
            With the same names.
        """
        return SubjectData(
            kind=self.kind, treated=self.treated[members], surrogate=self.surrogate[members],
            covariates=self.covariates[members], outcome=self.outcome[members],
            event=self.event[members], arms=self.arms, trial=self.trial[members],
            trials=self.trials, exclusions=self.exclusions, subject_ids=self.subject_ids[members],
        )  # fmt: skip


def prepare_subjects(data: pd.DataFrame, spec: SubjectSpec, stage: str) -> SubjectData:
    """Check a table of subjects and lay it out as arrays.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : SubjectSpec
        Which columns are what.
    stage : str
        The step, as exclusions name it.

    Returns
    -------
    SubjectData
        Arrays, names and exclusions.

    Raises
    ------
    DesignError
        If a column is missing or no number; a subject has two rows; there are not two arms, or
        there are more and none are named; an arm has fewer than five subjects; the surrogate or
        the outcome does not vary; or nobody had the event.
    """
    _require(data, spec)
    rows = Rows(data, stage, spec.subject)
    _check_outcome(rows, spec)
    for column in (spec.surrogate, *spec.covariates):
        _check_number(rows, column)
    trial = getattr(spec, "trial", None)
    for column in (spec.arm, *([trial] if trial else [])):
        rows.drop(rows.frame[column].isna(), f"no {column}")
    _refuse_none(rows)
    arms = _two_arms(rows, spec)
    _check_unique(rows, trial)
    codes = groups_of(rows.frame, trial)
    kind = _kind(rows.frame, spec)
    frame = rows.frame
    prepared = SubjectData(
        kind=kind,
        treated=(frame[spec.arm].astype(str) == arms[1]).to_numpy(dtype=float),
        surrogate=frame[spec.surrogate].to_numpy(dtype=float),
        covariates=frame[list(spec.covariates)].to_numpy(dtype=float),
        outcome=frame[spec.duration or spec.outcome].to_numpy(dtype=float),
        event=frame[spec.event].to_numpy(bool) if spec.event else np.ones(len(frame), dtype=bool),
        arms=arms,
        trial=codes.codes.astype(int),
        trials=tuple(codes.categories),
        exclusions=as_subjects(rows.exclusions),
        subject_ids=rows.subject.to_numpy(),
    )
    _check_values(prepared, spec)
    return prepared


def _require(data: pd.DataFrame, spec: SubjectSpec) -> None:
    """Refuse columns that do not exist."""
    named = [("surrogate", spec.surrogate), ("arm", spec.arm)]
    named += [(n, c) for n in ("outcome", "duration", "event", "trial")
              if (c := getattr(spec, n, None)) is not None]  # fmt: skip
    require_columns(data, [*named, *(("covariates", c) for c in spec.covariates)])


def _check_outcome(rows: Rows, spec: SubjectSpec) -> None:
    """Check the clinical outcome."""
    if spec.duration is not None and spec.event is not None:
        check_event(rows, spec.event)
        check_duration(rows, spec.duration, spec.event)
    elif spec.outcome is not None:
        _check_number(rows, spec.outcome)


def _check_number(rows: Rows, column: str) -> None:
    """Turn a column to float; rows without it are left out, infinite ones refused."""
    given = rows.frame[column]
    if not pd.api.types.is_numeric_dtype(given.dtype):
        raise DesignError(
            f"Column {column!r} must hold numbers, found {given.dtype} such as "
            f"{given.dropna().tolist()[:1]}. Convert it first."
        )
    values = pd.Series(given.to_numpy(dtype=float, na_value=np.nan), index=given.index)
    rows.frame = rows.frame.assign(**{column: values})
    rows.drop(values.isna(), f"{column} missing")
    rows.forbid(
        np.isinf(rows.frame[column]),
        f"Infinite `{column}`",
        "Correct the values, or its transform.",
    )


def _refuse_none(rows: Rows) -> None:
    """Refuse a table of which nobody is left."""
    if rows.frame.empty:
        reasons = "; ".join(f"{e.n}: {e.reason}" for e in rows.exclusions) or "the table is empty"
        raise DesignError(f"No subject has all values ({reasons}). Check the columns.")


def _two_arms(rows: Rows, spec: SubjectSpec) -> tuple[str, str]:
    """Return reference and treated arm; subjects of other arms are left out."""
    levels = [str(level) for level in groups_of(rows.frame, spec.arm).categories]
    for name in ("reference", "treated"):
        asked = getattr(spec, name)
        if asked is not None and str(asked) not in levels:
            raise DesignError(
                f"`{name}={asked!r}` is no level of {spec.arm!r}, which has: {', '.join(levels)}."
            )
    named = [None if a is None else str(a) for a in (spec.reference, spec.treated)]
    if len(levels) < 2 or (named[0] is not None and named[0] == named[1]):
        raise DesignError(
            f"A treatment effect needs two arms, found {', '.join(levels) or 'none'} in "
            f"{spec.arm!r} (reference={spec.reference!r}, treated={spec.treated!r})."
        )
    if len(levels) > 2 and None in named:
        raise DesignError(
            f"Column {spec.arm!r} has {len(levels)} arms ({', '.join(levels)}): name the two that "
            "are compared with `reference` and `treated`."
        )
    reference = named[0] or next(level for level in levels if level != named[1])
    treated = named[1] or next(level for level in levels if level != reference)
    for level in levels:
        if level not in (reference, treated):
            rows.drop(rows.frame[spec.arm].astype(str) == level, f"arm {level} is not compared")
    return reference, treated


def _check_unique(rows: Rows, trial: str | None) -> None:
    """Refuse repeated subjects; two trials may use the same number for different people."""
    if trial is None:
        check_one_row(rows)
        return
    keys = rows.frame[trial].astype(str) + "\0" + rows.subject
    rows.forbid(
        keys.duplicated(keep=False),
        "More than one row per subject and trial",
        "Reduce repeated measurements to one value per subject (a change, a slope) first.",
    )


def _kind(frame: pd.DataFrame, spec: SubjectSpec) -> OutcomeKind:
    """Tell what the outcome is."""
    if spec.survival:
        return "survival"
    binary = frame[spec.outcome].isin([0, 1]).all()
    if spec.kind == "binary" and not binary:
        odd = frame.loc[~frame[spec.outcome].isin([0, 1]), spec.outcome].tolist()[0]
        raise DesignError(
            f"Column {spec.outcome!r} must be 0 or 1 for kind='binary', found {odd!r}."
        )
    return spec.kind or ("binary" if binary else "continuous")


def _check_values(data: SubjectData, spec: SubjectSpec) -> None:
    """Refuse data in which nothing can be compared."""
    if not isinstance(spec, TrialSurrogacySpec):
        for value, arm in enumerate(data.arms):
            n = int((data.treated == value).sum())
            if n < _FEWEST:
                raise DesignError(
                    f"Each arm needs at least {_FEWEST} subjects with all values, found {n} in "
                    f"arm {arm!r}."
                )
    for name, column, values in (
        ("surrogate", spec.surrogate, data.surrogate),
        ("outcome", spec.outcome or spec.duration, data.outcome),
    ):
        if not values.std() > _CONSTANT * np.abs(values).max(initial=0.0):
            raise DesignError(
                f"`{name}` ({column!r}) has the same value in all {data.n_subjects} subjects, so "
                "that treatment cannot act on it. Check the column."
            )
    if data.kind == "survival" and not data.event.any():
        raise DesignError(
            f"No event among {data.n_subjects} subjects ({spec.event!r}): an effect on it cannot "
            "be estimated."
        )
