"""One Cox model per definition, fitted on arrays; what cannot be estimated says why."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models import CoxSpec, fit_cox
from pmsstats.models.events.partial_likelihood import (
    CountingProcess,
    EfronTerms,
    is_regular,
    polish,
)
from pmsstats.multiverse.comparison import Comparison

__all__ = ["FEW_EVENTS", "RatioFit", "fit_ratios", "wald_table"]

FEW_EVENTS = 5
"""A hazard ratio that rests on fewer events than this is marked, and left out of ranges."""

_STEPS = 25
_DECREMENT = 1e-12  # squared standard errors from the maximum
_ENGINE = threading.Lock()
_RUNAWAY = 1e2  # standard error per SD: beyond, the likelihood has no maximum


@dataclass(frozen=True, kw_only=True, eq=False)
class RatioFit:
    """The log hazard ratios of one definition.

    Parameters
    ----------
    estimate, std_error : ndarray, shape (n_terms,)
        Of the terms that are compared; missing (NaN) where a note says why.
    notes : tuple of str
        One per term: why it was not estimated, or that it rests on few events; else empty.
    """

    estimate: NDArray[np.float64]
    std_error: NDArray[np.float64]
    notes: tuple[str, ...]

    @property
    def few_events(self) -> NDArray[np.bool_]:
        """Which terms were estimated, but from fewer than :data:`FEW_EVENTS` events."""
        return ~np.isnan(self.estimate) & np.array([bool(note) for note in self.notes])


def fit_ratios(
    duration: NDArray[np.int32],
    event: NDArray[np.bool_],
    at_risk: NDArray[np.bool_],
    comparison: Comparison,
) -> RatioFit:
    """Fit the Cox model of one definition.

    Parameters
    ----------
    duration : ndarray of int, shape (n_subjects,), days
        To event or censoring.
    event, at_risk : ndarray of bool, shape (n_subjects,)
        Whether it happened, and who can be assessed.
    comparison : Comparison
        The covariates of the same subjects.

    Returns
    -------
    RatioFit
        A group without an event (or without anybody at risk) has no hazard ratio; the others are
        estimated without it. Where the two groups of a term (or, of a number, all subjects) have
        fewer than :data:`FEW_EVENTS` events, the estimate has a note.

    Notes
    -----
    Newton's method from zero on Efron's partial likelihood; each maximum is certified by its
    Newton decrement and information. What is not certified is asked again of
    :func:`pmsstats.models.fit_cox`, whose words are the note where it refuses, too.
    """
    notes = _group_notes(event, at_risk, comparison)
    n_compared = len(comparison.terms)
    keep = np.array([not note for note in notes] + [True] * (comparison.X.shape[1] - n_compared))
    fit = RatioFit(
        estimate=np.full(n_compared, np.nan), std_error=np.full(n_compared, np.nan), notes=notes
    )
    if not keep[:n_compared].any():
        return fit
    dead = [j + 1 for j, note in enumerate(notes) if note and comparison.has_groups]
    rows = np.flatnonzero(at_risk & ~np.isin(comparison.group, dead))
    process = _process(duration, event, rows, comparison, keep)
    names = [name for name, kept in zip(comparison.columns, keep, strict=True) if kept]
    beta, std_error, problem = _estimate(process, names)
    placed = _placed(fit, np.flatnonzero(keep[:n_compared]), beta, std_error, problem)
    return replace(placed, notes=_few_notes(placed, event & at_risk, comparison))


def _few_notes(fit: RatioFit, event: NDArray[np.bool_], comparison: Comparison) -> tuple[str, ...]:
    """Say which of the terms that were estimated rest on few events."""
    counts = [int(event.sum())] * len(fit.notes)
    if comparison.has_groups:
        by_group = np.bincount(comparison.group[event], minlength=len(comparison.groups))
        counts = [int(by_group[0] + n) for n in by_group[1:]]
    return tuple(
        note or (f"only {n} event{'s' * (n != 1)}" if n < FEW_EVENTS else "")
        for note, n in zip(fit.notes, counts, strict=True)
    )


def _group_notes(
    event: NDArray[np.bool_], at_risk: NDArray[np.bool_], comparison: Comparison
) -> tuple[str, ...]:
    """Say for each term why counts alone rule it out; empty where they do not."""
    if not (event & at_risk).any():
        return ("no event",) * len(comparison.terms)
    if not comparison.has_groups:
        return ("",) * len(comparison.terms)
    reasons = [
        _group_note(name, event[at_risk & (comparison.group == code)])
        for code, name in enumerate(comparison.groups)
    ]
    return tuple(reasons[0] or reason for reason in reasons[1:])


def _group_note(name: str, event: NDArray[np.bool_]) -> str:
    """Say why a group rules a hazard ratio out."""
    if not len(event):
        return f"nobody at risk in {name}"
    return "" if event.any() else f"no event in {name}"


def _process(
    duration: NDArray[np.int32],
    event: NDArray[np.bool_],
    rows: NDArray[np.int64],
    comparison: Comparison,
    keep: NDArray[np.bool_],
) -> CountingProcess:
    """Lay the subjects at risk out for the partial likelihood."""
    return CountingProcess(
        start=np.full(len(rows), -np.inf),
        stop=duration[rows].astype(float),
        event=event[rows],
        X=comparison.X[np.ix_(rows, keep)],
        stratum=comparison.stratum[rows],
    )


def _estimate(
    process: CountingProcess, names: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """Maximise the partial likelihood; return estimates, standard errors and what is wrong."""
    scale = process.X.std(axis=0)
    if (scale > 0).all() and process.event.sum() >= len(scale):
        standard = (process.X - process.X.mean(axis=0)) / scale
        with np.errstate(all="ignore"):
            terms = polish(_with(process, standard), np.zeros(len(scale)), max_steps=_STEPS)
            if _is_maximum(terms):
                error = np.sqrt(np.diag(np.linalg.inv(terms.information)))
                return terms.beta / scale, error / scale, ""
    return _second_opinion(process, names)


def _with(process: CountingProcess, X: NDArray[np.float64]) -> CountingProcess:
    """Return the same follow-up with other covariates."""
    return CountingProcess(
        start=process.start, stop=process.stop, event=process.event, X=X, stratum=process.stratum
    )


def _is_maximum(terms: EfronTerms) -> bool:
    """Say whether a point is a maximum that can be trusted."""
    if not (is_regular(terms.information) and np.isfinite(terms.beta).all()):
        return False
    errors = np.sqrt(np.diag(np.linalg.inv(terms.information)))
    return bool((errors < _RUNAWAY).all() and terms.decrement() < _DECREMENT)


def _second_opinion(
    process: CountingProcess, names: list[str]
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    """Ask fit_cox, which says in words what cannot be estimated.

    One thread at a time: its engine sets the warnings of the whole process aside.
    """
    data = pd.DataFrame(process.X, columns=names)
    data["_duration"], data["_event"] = process.stop, process.event
    data["_stratum"] = process.stratum
    spec = CoxSpec(
        covariates=tuple(names), duration="_duration", event="_event", strata="_stratum",
        subject="_subject",
    )  # fmt: skip
    missing = np.full(len(names), np.nan)
    try:
        with _ENGINE:
            fit = fit_cox(data, spec)
    except (DesignError, ConvergenceError) as exc:
        return missing, missing, str(exc)
    return (
        fit.coefficients["estimate"].to_numpy(),
        fit.coefficients["std_error"].to_numpy(),
        "",
    )


def _placed(
    empty: RatioFit,
    where: NDArray[np.int64],
    beta: NDArray[np.float64],
    std_error: NDArray[np.float64],
    problem: str,
) -> RatioFit:
    """Put the estimates of the terms that were fitted beside those that could not be."""
    estimate, error = empty.estimate.copy(), empty.std_error.copy()
    estimate[where], error[where] = beta[: len(where)], std_error[: len(where)]
    notes = list(empty.notes)
    for j in where:
        notes[j] = problem
    return RatioFit(estimate=estimate, std_error=error, notes=tuple(notes))


def wald_table(
    estimate: NDArray[np.float64], std_error: NDArray[np.float64], conf_level: float
) -> pd.DataFrame:
    """Tabulate log hazard ratios with Wald intervals and hazard ratios.

    Parameters
    ----------
    estimate, std_error : ndarray, shape (n_rows,)
        Missing where not estimable.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``estimate std_error statistic p_value conf_low conf_high hazard_ratio hazard_ratio_low
        hazard_ratio_high``.
    """
    half = stats.norm.ppf((1 + conf_level) / 2) * std_error
    statistic = estimate / std_error
    with np.errstate(over="ignore"):
        ratios = np.exp([estimate, estimate - half, estimate + half])
    return pd.DataFrame(
        {
            "estimate": estimate,
            "std_error": std_error,
            "statistic": statistic,
            "p_value": 2 * stats.norm.sf(np.abs(statistic)),
            "conf_low": estimate - half,
            "conf_high": estimate + half,
            "hazard_ratio": ratios[0],
            "hazard_ratio_low": ratios[1],
            "hazard_ratio_high": ratios[2],
        }
    )
