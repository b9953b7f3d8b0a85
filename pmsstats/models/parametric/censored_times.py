"""From a frame to censored times: every check of a parametric model's data, every exclusion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.events.covariates import check_columns, covariate_columns, right_hand_side
from pmsstats.models.events.rows import (
    Rows,
    as_subjects,
    at_least_two,
    check_bounds,
    check_conf_level,
    check_duration,
    check_event,
    check_one_row,
    check_time,
    require_columns,
)
from pmsstats.models.formulas.formula import DesignSpec, design_matrices
from pmsstats.results import Exclusion

__all__ = ["CensoredTimes", "CensoredTimesSpec", "prepare_times"]


@dataclass(frozen=True, kw_only=True)
class CensoredTimesSpec:
    """Which columns hold the times, and which the covariates, of a parametric model.

    Parameters
    ----------
    covariates : str or tuple of str, default ()
        Right-hand side of a formula (``"arm + log(nfl)"``), or columns; none by default.
    duration : str, default "duration"
        Column of the time to event or censoring; not read where `lower` and `upper` are given.
    event : str, default "event"
        Column that is true where the event happened at `duration`; likewise.
    lower, upper : str, optional
        Columns between which the event happened: the last visit without it and the first with it.
        Equal where the time is known; `lower` 0 or missing where it happened before `upper`;
        `upper` missing or infinite where it had not happened by `lower`. Both or neither.
    entry : str, optional
        Column of the time from which a subject was observed (left truncation); 0 by default.
    cluster : str, optional
        Column of units within which rows may depend on each other; gives robust standard errors.
    subject : str, default "subject_id"
        Column of subjects, if there is one.
    conf_level : float, default 0.95
        Of the intervals.

    Raises
    ------
    DesignError
        If an option is outside of its range.
    """

    covariates: str | tuple[str, ...] = ()
    duration: str = "duration"
    event: str = "event"
    lower: str | None = None
    upper: str | None = None
    entry: str | None = None
    cluster: str | None = None
    subject: str = "subject_id"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        if (self.lower is None) != (self.upper is None):
            raise DesignError(
                f"`lower` and `upper` go together, got lower={self.lower!r} and "
                f"upper={self.upper!r}."
            )
        check_conf_level(self.conf_level)

    def rhs(self) -> str:
        """Return the covariates as the right-hand side of a formula.

        Returns
        -------
        str
            ``"1"`` where there are none.
        """
        return right_hand_side(self.covariates).strip() or "1"

    def columns(self) -> tuple[tuple[str, str], ...]:
        """Return the arguments that name columns to be read, with these.

        Returns
        -------
        tuple of tuple of str
            ``(argument, column)`` pairs.
        """
        interval = (("lower", self.lower), ("upper", self.upper))
        exact = (("duration", self.duration), ("event", self.event))
        named = (exact if self.lower is None else interval) + (
            ("entry", self.entry),
            ("cluster", self.cluster),
        )
        return tuple((argument, column) for argument, column in named if column is not None)


@dataclass(frozen=True, kw_only=True, eq=False)
class CensoredTimes:
    """Times and covariates, checked.

    Parameters
    ----------
    lower, upper : ndarray, shape (n_rows,)
        The event happened in (lower, upper], at that time where they are equal, not by `lower`
        where `upper` is infinite.
    entry : ndarray, shape (n_rows,)
        When observation began; 0 for most.
    X : ndarray, shape (n_rows, n_terms)
        Covariates in their own units.
    terms : tuple of str
        Their names.
    design : DesignSpec
        Makes them (and an intercept) from other data.
    cluster : ndarray of int, shape (n_rows,), or None
        Cluster codes.
    n_subjects : int
        Distinct subjects.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    lower: np.ndarray
    upper: np.ndarray
    entry: np.ndarray
    X: np.ndarray
    terms: tuple[str, ...]
    design: DesignSpec
    cluster: np.ndarray | None
    n_subjects: int
    exclusions: tuple[Exclusion, ...]

    @property
    def happened(self) -> np.ndarray:
        """Return whether the event was seen, exactly or in an interval."""
        return np.isfinite(self.upper)

    def typical(self) -> np.ndarray:
        """Return a time near each event: itself, or the middle of its interval.

        Returns
        -------
        ndarray, shape (n_events,)
            Of the rows that :attr:`happened`.
        """
        return (self.lower + self.upper)[self.happened] / 2


def prepare_times(data: pd.DataFrame, spec: CensoredTimesSpec, what: str) -> CensoredTimes:
    """Check the data of a parametric model.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : CensoredTimesSpec
        Which columns are what.
    what : str
        The model, for messages: ``"An accelerated failure time model"``.

    Returns
    -------
    CensoredTimes
        Arrays and exclusions.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind; a time is negative; an interval is reversed,
        or ends before entry; there are fewer than two subjects, fewer events than parameters, or
        a covariate is infinite, constant or a combination of others.
    """
    require_columns(data, spec.columns())
    rows = Rows(data, what.partition(" ")[2], spec.subject)
    if spec.lower is None or spec.upper is None:
        lower, upper = _exact_columns(rows, spec)
    else:
        lower, upper = spec.lower, spec.upper
        check_bounds(rows, lower, upper)
    _check_entry(rows, spec.entry, lower, upper)
    check_one_row(rows, spec.cluster)
    if spec.cluster is not None:
        rows.drop(rows.frame[spec.cluster].isna(), f"no {spec.cluster}")
    X, design = _covariates(rows, spec.rhs(), what)
    _check_events(np.isfinite(rows.frame[upper].to_numpy()), X.shape[1] + 1)
    entry = rows.frame[spec.entry].to_numpy() if spec.entry else np.zeros(len(rows.frame))
    return CensoredTimes(
        lower=np.maximum(rows.frame[lower].to_numpy(), entry),
        upper=rows.frame[upper].to_numpy(),
        entry=entry,
        X=X.to_numpy(dtype=float),
        terms=tuple(X.columns),
        design=design,
        cluster=pd.factorize(rows.frame[spec.cluster])[0] if spec.cluster else None,
        n_subjects=int(rows.subject.nunique()),
        exclusions=as_subjects(rows.exclusions),
    )


def _exact_columns(rows: Rows, spec: CensoredTimesSpec) -> tuple[str, str]:
    """Check durations and events; return the columns of their limits."""
    check_event(rows, spec.event)
    check_duration(rows, spec.duration, spec.event)
    limits = (f"{spec.duration} (at least)", f"{spec.duration} (at most)")
    time, event = rows.frame[spec.duration], rows.frame[spec.event]
    rows.frame = rows.frame.assign(**{limits[0]: time, limits[1]: time.where(event, np.inf)})
    return limits


def _check_entry(rows: Rows, entry: str | None, lower: str, upper: str) -> None:
    """Refuse events before entry; leave out those who leave as they enter."""
    if entry is None:
        return
    check_time(rows, entry)
    rows.forbid(rows.frame[entry] < 0, f"Negative `{entry}`", "Time starts at 0: shift the origin.")
    censored = np.isinf(rows.frame[upper])
    end = rows.frame[upper].where(~censored, rows.frame[lower])
    rows.forbid(
        end < rows.frame[entry],
        f"End of follow-up before `{entry}`",
        "An event before entry was not observed: leave such subjects out, or correct the times.",
    )
    rows.drop(end == rows.frame[entry], f"no follow-up after {entry}")


def _covariates(rows: Rows, rhs: str, what: str) -> tuple[pd.DataFrame, DesignSpec]:
    """Build the covariate columns, if any are asked for."""
    if rhs != "1":
        X, design = covariate_columns(rows, rhs, what)
        check_columns(X, np.zeros(len(X), dtype=int))
        return X, design
    at_least_two(rows, what)
    X, design = design_matrices(rhs, rows.frame)
    return X.drop(columns="Intercept"), design


def _check_events(happened: np.ndarray, n_parameters: int) -> None:
    """Refuse data with fewer events than parameters."""
    n_events = int(happened.sum())
    if n_events == 0:
        raise DesignError(
            f"No event among {len(happened)} row(s): nothing can be estimated. Check the outcome."
        )
    if n_events < n_parameters:
        raise DesignError(
            f"{n_events} event(s) cannot support {n_parameters} or more parameters. Use fewer "
            "covariates."
        )
