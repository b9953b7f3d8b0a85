"""From a frame to arrays at risk: every check of survival data, and every exclusion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.models.events.covariates import (
    check_columns,
    check_event_count,
    covariate_columns,
)
from pmsstats.models.events.partial_likelihood import CountingProcess
from pmsstats.models.events.rows import (
    Rows,
    as_subjects,
    check_duration,
    check_event,
    check_intervals,
    check_one_row,
    require_columns,
)
from pmsstats.models.formulas.formula import DesignSpec
from pmsstats.results import Exclusion

if TYPE_CHECKING:
    from pmsstats.models.events.survival_specs import CoxSpec

__all__ = ["CoxData", "prepare_cox", "stratum_labels"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxData:
    """Rows at risk of a Cox model, checked.

    Parameters
    ----------
    process : CountingProcess
        Times, events, covariates in their own units, strata codes.
    terms : tuple of str
        Names of the covariate columns.
    design : DesignSpec
        Makes them from other data.
    strata : tuple of str
        Labels of the strata codes; one empty label where there are no strata.
    cluster : ndarray of int, shape (n_rows,), or None
        Cluster codes.
    row : ndarray of int, shape (n_rows,)
        Where each row stands in the data.
    n_subjects : int
        Distinct subjects.
    exclusions : tuple of Exclusion
        Rows left out.
    """

    process: CountingProcess
    terms: tuple[str, ...]
    design: DesignSpec
    strata: tuple[str, ...]
    cluster: np.ndarray | None
    row: np.ndarray
    n_subjects: int
    exclusions: tuple[Exclusion, ...]


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
    require_columns(data, named)
    rows = Rows(data, "Cox model", spec.subject)
    check_event(rows, spec.event)
    if spec.has_entry:
        check_intervals(rows, str(spec.start), str(spec.stop))
    else:
        check_duration(rows, spec.duration, spec.event)
        check_one_row(rows, spec.cluster)
    for column in (*spec.strata_columns(), *([spec.cluster] if spec.cluster else [])):
        rows.drop(rows.frame[column].isna(), f"no {column}")
    X, design = covariate_columns(rows, spec.rhs(), "A Cox model")
    strata, labels = _strata_codes(rows.frame, spec.strata_columns())
    check_event_count(rows.frame[spec.event], X.columns)
    # strata without events say nothing of a hazard ratio
    eventful = np.bincount(strata, rows.frame[spec.event].to_numpy(dtype=float))[strata] > 0
    check_columns(X[eventful], strata[eventful])
    return CoxData(
        process=_process(rows.frame, spec, X, strata),
        terms=tuple(X.columns),
        design=design,
        strata=labels,
        cluster=pd.factorize(rows.frame[spec.cluster])[0] if spec.cluster else None,
        row=rows.frame.index.to_numpy(),
        n_subjects=int(rows.subject.nunique()),
        exclusions=rows.exclusions if spec.has_entry else as_subjects(rows.exclusions),
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


def _strata_codes(
    frame: pd.DataFrame, columns: Sequence[str]
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Give each stratum a number, in sorted order, and a label."""
    if not columns:
        return np.zeros(len(frame), dtype=int), ("",)
    grouped = frame.groupby(list(columns), observed=True, sort=True)
    labels = stratum_labels(grouped.size().index.to_frame(index=False), columns)
    return grouped.ngroup().to_numpy(), labels


def stratum_labels(frame: pd.DataFrame, columns: Sequence[str]) -> tuple[str, ...]:
    """Name the stratum of each row.

    Parameters
    ----------
    frame : pandas.DataFrame
        Holds the columns.
    columns : sequence of str
        Strata; may be none.

    Returns
    -------
    tuple of str
        For example ``"arm=active, site_id=3"``; empty texts where there are no strata.
    """
    return tuple(
        ", ".join(f"{c}={v}" for c, v in zip(columns, values, strict=True))
        for values in frame[list(columns)].itertuples(index=False)
    )
