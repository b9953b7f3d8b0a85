"""From a frame to arrays at risk: every check of survival data, and every exclusion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids, nearest
from pmsstats.models.events.partial_likelihood import CountingProcess
from pmsstats.models.formulas.formula import design_matrices, formula_variables
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.models.events.survival_specs import CoxSpec, KMSpec

__all__ = ["CoxData", "KMData", "prepare_cox", "prepare_km"]

_COLLINEAR = 1e-8  # smallest over largest singular value of standardised covariates
_CONSTANT = 1e-12  # standard deviation over largest value


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxData:
    """Rows at risk of a Cox model, checked.

    Parameters
    ----------
    process : CountingProcess
        Times, events, covariates in their own units, strata codes.
    terms : tuple of str
        Names of the covariate columns.
    strata : tuple of str
        Labels of the strata codes; one empty label where there are no strata.
    cluster : ndarray of int, shape (n_rows,), or None
        Cluster codes.
    n_subjects : int
        Distinct subjects.
    exclusions : tuple of Exclusion
        Rows left out.
    """

    process: CountingProcess
    terms: tuple[str, ...]
    strata: tuple[str, ...]
    cluster: np.ndarray | None
    n_subjects: int
    exclusions: tuple[Exclusion, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class KMData:
    """Durations by group, checked.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``duration event group``; group an ordered categorical.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    frame: pd.DataFrame
    exclusions: tuple[Exclusion, ...]


class _Rows:
    """A frame from which rows are dropped for stated reasons; local to one preparation."""

    def __init__(self, data: pd.DataFrame, stage: str, subject: str) -> None:
        self.frame = data.reset_index(drop=True)
        self.stage = stage
        ids = self.frame[subject] if subject in self.frame else self.frame.index + 1
        self.subject = pd.Series(np.asarray(ids).astype(str), index=self.frame.index)
        self.exclusions: tuple[Exclusion, ...] = ()

    def drop(self, mask: pd.Series, reason: str) -> None:
        """Leave out the rows of `mask`, counted."""
        if not mask.any():
            return
        self.exclusions += exclude(self.stage, "row", reason, self.subject[mask])
        self.frame, self.subject = self.frame[~mask], self.subject[~mask]

    def forbid(self, mask: pd.Series, problem: str, remedy: str) -> None:
        """Raise if any row of `mask` is set."""
        if mask.any():
            ids = self.subject[mask]
            raise DesignError(
                f"{problem} in {len(ids)} row(s) of {ids.nunique()} subject(s) "
                f"({first_ids(ids)}). {remedy}"
            )


def _require_columns(data: pd.DataFrame, named: Iterable[tuple[str, str]]) -> None:
    """Raise unless every (argument, column) pair names a column."""
    for argument, column in named:
        if column not in data.columns:
            raise DesignError(
                f"`{argument}` names {column!r}, which is no column of the data."
                f"{nearest(column, data.columns)} They have: {', '.join(map(str, data.columns))}."
            )


def _check_event(rows: _Rows, column: str) -> None:
    """Turn the event column to bool; rows without it are left out."""
    rows.drop(rows.frame[column].isna(), f"{column} missing")
    values = rows.frame[column]
    if not values.isin([0, 1]).all():
        odd = values[~values.isin([0, 1])].tolist()[0]
        raise DesignError(
            f"Column {column!r} must be True/False or 1/0 (1 = the event happened), found {odd!r}. "
            "Recode it."
        )
    rows.frame = rows.frame.assign(**{column: values.astype(bool)})


def _check_time(rows: _Rows, column: str) -> None:
    """Turn a time column to float; rows without it are left out, infinite ones refused."""
    given = rows.frame[column]
    values = pd.to_numeric(given, errors="coerce") if given.dtype == object else given
    is_number = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if not is_number or (values.isna() & given.notna()).any():
        raise DesignError(
            f"Column {column!r} must hold numbers (a time), found {given.dtype} such as "
            f"{given.dropna().tolist()[:1]}. Convert it to days or years first."
        )
    values = pd.Series(values.to_numpy(dtype=float, na_value=np.nan), index=given.index)
    rows.frame = rows.frame.assign(**{column: values})
    rows.drop(values.isna(), f"{column} missing")
    rows.forbid(
        np.isinf(rows.frame[column]), f"Infinite `{column}`", "End follow-up at a finite time."
    )


def _check_duration(rows: _Rows, duration: str, event: str) -> None:
    """Refuse negative durations; leave out those of length zero."""
    _check_time(rows, duration)
    rows.forbid(
        rows.frame[duration] < 0,
        f"Negative `{duration}`",
        "An event before entry is none of this follow-up: leave such subjects out.",
    )
    zero = rows.frame[duration] == 0
    rows.drop(zero & ~rows.frame[event], "no follow-up (duration 0)")
    zero = rows.frame[duration] == 0
    rows.drop(zero, "event at time 0, before any follow-up")


def _check_intervals(rows: _Rows, start: str, stop: str) -> None:
    """Refuse empty, reversed and overlapping intervals."""
    _check_time(rows, start)
    _check_time(rows, stop)
    rows.forbid(
        rows.frame[stop] <= rows.frame[start],
        f"`{stop}` not after `{start}`",
        "Each row is at risk over (start, stop]; merge or leave out intervals without length.",
    )
    order = pd.DataFrame(
        {"subject": rows.subject, "start": rows.frame[start], "stop": rows.frame[stop]}
    ).sort_values(["subject", "start", "stop"])
    before = order.groupby("subject", sort=False)["stop"].shift()
    overlapping = (order["start"] < before).reindex(rows.frame.index)
    rows.forbid(
        overlapping, "Overlapping intervals", "A subject is at risk in one row at any one time."
    )


def _check_one_row(rows: _Rows, spec: CoxSpec | KMSpec) -> None:
    """Refuse repeated subjects in right-censored data without a cluster."""
    if getattr(spec, "cluster", None) is None:
        rows.forbid(
            rows.subject.duplicated(keep=False),
            "More than one row per subject",
            "Give a Cox model `start` and `stop` for time-varying data, or a `cluster`.",
        )


def _at_least_two(rows: _Rows, what: str) -> None:
    """Refuse data in which nobody can be compared."""
    n = rows.subject.nunique()
    if n < 2:
        left_out = sum(e.n for e in rows.exclusions)
        raise DesignError(
            f"{what} needs at least two subjects, found {n}"
            f"{f' after {left_out} row(s) were left out' if left_out else ''}. "
            f"{'; '.join(f'{e.n}: {e.reason}' for e in rows.exclusions)}".rstrip()
        )


def prepare_cox(data: pd.DataFrame, spec: CoxSpec) -> CoxData:
    """Check the data of a Cox model and lay them out as a counting process.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject, or per subject and interval.
    spec : CoxSpec
        Which columns are what.

    Returns
    -------
    CoxData
        Arrays, labels and exclusions.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind; times are negative, infinite, reversed or
        overlapping; there are fewer than two subjects, no events, or fewer events than terms; a
        covariate is infinite, constant or a combination of others.
    FormulaError
        If the covariates do not parse.
    """
    named = [("event", spec.event), *((name, column) for name, column in spec.time_columns())]
    named += [("strata", column) for column in spec.strata_columns()]
    named += [("cluster", spec.cluster)] if spec.cluster else []
    named += [("subject", spec.subject)] if spec.has_entry else []
    _require_columns(data, named)
    rows = _Rows(data, "Cox model", spec.subject)
    _check_event(rows, spec.event)
    if spec.has_entry:
        _check_intervals(rows, str(spec.start), str(spec.stop))
    else:
        _check_duration(rows, spec.duration, spec.event)
        _check_one_row(rows, spec)
    for column in (*spec.strata_columns(), *([spec.cluster] if spec.cluster else [])):
        rows.drop(rows.frame[column].isna(), f"no {column}")
    X = _covariates(rows, spec)
    strata, labels = _strata_codes(rows.frame, spec.strata_columns())
    _check_events(rows.frame[spec.event], X.columns)
    _check_columns(X, strata)
    return CoxData(
        process=_process(rows.frame, spec, X, strata),
        terms=tuple(X.columns),
        strata=labels,
        cluster=pd.factorize(rows.frame[spec.cluster])[0] if spec.cluster else None,
        n_subjects=int(rows.subject.nunique()),
        exclusions=rows.exclusions if spec.has_entry else _as_subjects(rows.exclusions),
    )


def _process(
    frame: pd.DataFrame, spec: CoxSpec, X: pd.DataFrame, strata: np.ndarray
) -> CountingProcess:
    """Collect the arrays."""
    stop = frame[spec.stop if spec.has_entry else spec.duration].to_numpy(dtype=float)
    start = frame[spec.start].to_numpy(dtype=float) if spec.has_entry else -np.inf
    return CountingProcess(
        start=np.broadcast_to(start, stop.shape).copy(),
        stop=stop,
        event=frame[spec.event].to_numpy(dtype=bool),
        X=X.to_numpy(dtype=float),
        stratum=strata,
    )


def _covariates(rows: _Rows, spec: CoxSpec) -> pd.DataFrame:
    """Build the covariate columns; rows in which a variable is missing are left out."""
    for name in formula_variables(spec.rhs()):
        _require_columns(rows.frame, [("covariates", name)])
        rows.drop(rows.frame[name].isna(), f"no {name}")
        if pd.api.types.is_float_dtype(rows.frame[name].dtype):
            rows.drop(np.isinf(rows.frame[name].astype(float)), f"{name} is infinite")
    _at_least_two(rows, "A Cox model")
    X, _ = design_matrices(spec.rhs(), rows.frame)
    X = X.drop(columns="Intercept", errors="ignore").set_index(rows.frame.index)
    if X.shape[1] == 0:
        raise DesignError(
            "`covariates` of a Cox model must name at least one term; use fit_km for none."
        )
    rows.forbid(
        ~np.isfinite(X).all(axis=1),
        f"A covariate of {spec.rhs()!r} is no finite number",
        "Correct the values, or the transform (a logarithm needs values above 0).",
    )
    return X


def _strata_codes(
    frame: pd.DataFrame, columns: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Give each stratum a number, in sorted order, and a label."""
    if not columns:
        return np.zeros(len(frame), dtype=int), ("",)
    grouped = frame.groupby(list(columns), observed=True, sort=True)
    labels = [
        ", ".join(f"{c}={v}" for c, v in zip(columns, values, strict=True))
        for values in grouped.size().index.to_frame(index=False).itertuples(index=False)
    ]
    return grouped.ngroup().to_numpy(), tuple(labels)


def _check_events(event: pd.Series, terms: Sequence[str]) -> None:
    """Refuse data with too few events for the model to exist."""
    n_events = int(event.sum())
    if n_events == 0:
        raise DesignError(
            f"No event among {len(event)} row(s): a hazard ratio cannot be estimated. Check the "
            "outcome, or describe the follow-up with fit_km."
        )
    if n_events < len(terms):
        raise DesignError(
            f"{n_events} event(s) cannot support {len(terms)} terms ({', '.join(terms)}). "
            "Use fewer covariates."
        )


def _check_columns(X: pd.DataFrame, strata: np.ndarray) -> None:
    """Refuse covariates that are constant, or combinations of others, within strata."""
    values = X.to_numpy()
    spread = values.std(axis=0)
    _refuse_constant(X, spread <= _CONSTANT * np.abs(values).max(axis=0), "")
    code = pd.Series(strata, index=X.index)
    within = (X - X.groupby(code).transform("mean")).to_numpy() / spread
    _refuse_constant(X, within.std(axis=0) <= _COLLINEAR, " within every stratum")
    _, singular, directions = np.linalg.svd(within, full_matrices=False)
    if singular[-1] <= _COLLINEAR * singular[0]:
        involved = X.columns[np.abs(directions[-1]) > 1e-4]
        raise DesignError(
            f"The covariates {', '.join(involved)} are collinear: one is a combination of the "
            "others, so their hazard ratios cannot be told apart. Leave one out."
        )


def _refuse_constant(X: pd.DataFrame, mask: np.ndarray, where: str) -> None:
    """Raise if a covariate does not vary."""
    if mask.any():
        raise DesignError(
            f"The covariate(s) {', '.join(X.columns[mask])} have the same value in all rows"
            f"{where}, so they say nothing about the hazard. Leave them out."
        )


def prepare_km(data: pd.DataFrame, spec: KMSpec) -> KMData:
    """Check the data of Kaplan-Meier curves.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : KMSpec
        Which columns are what.

    Returns
    -------
    KMData
        Durations, events, groups and exclusions.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind, times are negative or infinite, or nobody is
        left.
    """
    named = [("duration", spec.duration), ("event", spec.event)]
    _require_columns(data, named + ([("by", spec.by)] if spec.by else []))
    rows = _Rows(data, "Kaplan-Meier", spec.subject)
    _check_event(rows, spec.event)
    _check_duration(rows, spec.duration, spec.event)
    _check_one_row(rows, spec)
    if spec.by:
        rows.drop(rows.frame[spec.by].isna(), f"no {spec.by}")
    if rows.frame.empty:
        reasons = "; ".join(f"{e.n}: {e.reason}" for e in rows.exclusions)
        raise DesignError(
            f"Kaplan-Meier curves need at least one subject, found none. {reasons}".rstrip()
        )
    frame = pd.DataFrame(
        {
            "duration": rows.frame[spec.duration],
            "event": rows.frame[spec.event],
            "group": _groups(rows.frame, spec.by),
        }
    ).reset_index(drop=True)
    return KMData(frame=frame, exclusions=_as_subjects(rows.exclusions))


def _groups(frame: pd.DataFrame, by: str | None) -> pd.Categorical:
    """Return the groups that occur, in their order, labelled with text."""
    if by is None:
        return pd.Categorical(["all"] * len(frame), ordered=True)
    values = frame[by]
    if isinstance(values.dtype, pd.CategoricalDtype):
        levels = [c for c in values.cat.categories if (values == c).any()]
    else:
        levels = sorted(values.unique())
    return pd.Categorical(
        values.astype(str), categories=[str(level) for level in levels], ordered=True
    )


def _as_subjects(exclusions: Iterable[Exclusion]) -> tuple[Exclusion, ...]:
    """Count subjects, in data with one row per subject."""
    return tuple(
        Exclusion(stage=e.stage, unit="subject", reason=e.reason, n=e.n, subject_ids=e.subject_ids)
        for e in exclusions
    )
