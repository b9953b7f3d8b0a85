"""Models of many replicates: one design for those that share it, or one for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.batch_result import BatchResult
from pmsstats.models.mixed.lmm_batch import fit_lmm_batch
from pmsstats.models.repeated.mmrm_batch import fit_mmrm_batch
from pmsstats.models.repeated.mmrm_spec import MMRMSpec
from pmsstats.trials.analyses.layouts import arm_layouts
from pmsstats.trials.analyses.windows import TrialWindow

__all__ = ["BatchEstimates", "FittedReplicates", "fit_by_layout", "fit_one_by_one"]


@dataclass(frozen=True, kw_only=True, eq=False)
class BatchEstimates:
    """A model of some replicates, and what is wanted of it.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per place and visit.
    formula : str or MMRMSpec
        The model: mixed, or marginal.
    contrasts : ndarray, shape (n_used, p)
        Effects of the comparisons.
    used : ndarray of int, shape (n_used,)
        Which comparisons they are.
    df_method : str
        Degrees of freedom of a mixed model.
    fallback : tuple of MMRMSpec
        Marginal models that are tried, in turn, for replicates without an answer.
    """

    data: pd.DataFrame
    formula: str | MMRMSpec
    contrasts: np.ndarray
    used: np.ndarray
    df_method: str = "satterthwaite"
    fallback: tuple[MMRMSpec, ...] = ()

    def fit(self, responses: np.ndarray, *, n_jobs: int) -> BatchResult:
        """Fit the model to replicates of its outcome.

        Parameters
        ----------
        responses : ndarray, shape (n_replicates, n_rows)
            Missing where there is no value.
        n_jobs : int
            Threads.

        Returns
        -------
        BatchResult
            One entry per replicate.
        """
        if isinstance(self.formula, str):
            return fit_lmm_batch(
                self.data,
                self.formula,
                responses,
                contrasts=self.contrasts,
                df_method=self.df_method,  # type: ignore[arg-type]
                n_jobs=n_jobs,
            )
        return fit_mmrm_batch(
            self.data, self.formula, responses, contrasts=self.contrasts, n_jobs=n_jobs
        )

    def weaker(self) -> Iterator[BatchEstimates]:
        """Yield the models to fall back on.

        Yields
        ------
        BatchEstimates
            In the order of `fallback`.
        """
        for spec in self.fallback:
            yield BatchEstimates(
                data=self.data, formula=spec, contrasts=self.contrasts, used=self.used
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedReplicates:
    """Estimates of all replicates, of shape (n_replicates, n_comparisons).

    Parameters
    ----------
    estimate, std_error, df : ndarray
        Not a number until they are found.
    is_empty : ndarray of bool
        Whether an arm of the comparison has no subject.
    words : ndarray of object, shape (n_replicates, 1)
        Why a model has no answer.
    """

    estimate: np.ndarray
    std_error: np.ndarray
    df: np.ndarray
    is_empty: np.ndarray
    words: np.ndarray = field(repr=False)

    @classmethod
    def room(cls, n: int, k: int) -> FittedReplicates:
        """Allocate room for answers.

        Parameters
        ----------
        n, k : int
            Replicates and comparisons.
        """
        return cls(
            estimate=np.full((n, k), np.nan),
            std_error=np.full((n, k), np.nan),
            df=np.full((n, k), np.nan),
            is_empty=np.ones((n, k), dtype=bool),
            words=np.full((n, 1), "", dtype=object),
        )

    def enter(self, rows: np.ndarray, model: BatchEstimates, fit: BatchResult) -> None:
        """Enter the fits of some replicates.

        Parameters
        ----------
        rows : ndarray of int, shape (n_rows,)
            Which replicates.
        model : BatchEstimates
            What was fitted.
        fit : BatchResult
            The fits.
        """
        at = np.ix_(rows, model.used)
        self.is_empty[at] = False
        self.estimate[at], self.std_error[at] = fit.estimates, fit.std_errors
        self.df[at] = fit.df
        self.words[rows, 0] = fit.reasons

    def cases(self) -> list[tuple[np.ndarray, str]]:
        """Return where models have no answer, and why."""
        reasons = [word for word in dict.fromkeys(self.words.ravel()) if word]
        return [(self.words == word, word) for word in reasons]


def fit_by_layout(
    window: TrialWindow, values: np.ndarray, design: Callable[[np.ndarray], BatchEstimates]
) -> FittedReplicates:
    """Fit a model whose columns depend on arm and visit alone.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.
    values : ndarray, shape (n_replicates, n_subjects, n_visits)
        Of the outcome.
    design : callable
        From the arm of each place to the model.

    Returns
    -------
    FittedReplicates
        All replicates.
    """
    out = FittedReplicates.room(len(values), len(window.comparisons.names))
    for layout in arm_layouts(window.code, window.n_arms):
        model = design(layout.arm)
        if not model.used.size:
            continue
        y = layout.take(values).reshape(len(layout.rows), -1)
        _fit_some(out, layout.rows, model, y, n_jobs=window.n_jobs)
    return out


def fit_one_by_one(
    window: TrialWindow, values: np.ndarray, design: Callable[[int], BatchEstimates]
) -> FittedReplicates:
    """Fit a model whose columns differ from replicate to replicate.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits.
    values : ndarray, shape (n_replicates, n_subjects, n_visits)
        Of the outcome.
    design : callable
        From the number of a replicate to its model; columns may be missing.

    Returns
    -------
    FittedReplicates
        All replicates.

    Notes
    -----
    Rows with a missing covariate, and subjects who are not analysed, are left out.
    """
    out = FittedReplicates.room(len(values), len(window.comparisons.names))
    for row in range(len(values)):
        model = design(row)
        y = values[row].reshape(-1)
        code = np.repeat(window.code[row], values.shape[-1])
        keep = (code >= 0) & ~np.isnan(y) & model.data.notna().all(axis=1).to_numpy()
        if not model.used.size or not keep.any():
            continue
        own = BatchEstimates(
            data=model.data[keep].reset_index(drop=True),
            formula=model.formula,
            contrasts=model.contrasts,
            used=model.used,
            df_method=model.df_method,
            fallback=model.fallback,
        )
        _fit_some(out, np.array([row]), own, y[keep][None], n_jobs=1)
    return out


def _fit_some(
    out: FittedReplicates, rows: np.ndarray, model: BatchEstimates, y: np.ndarray, *, n_jobs: int
) -> None:
    """Fit some replicates, and those without an answer by weaker models."""
    try:
        fit = model.fit(y, n_jobs=n_jobs)
    except DesignError as error:  # too few subjects for the model: the replicate's fate, not ours
        out.is_empty[np.ix_(rows, model.used)] = False
        out.words[rows, 0] = str(error).split(". ")[0]
        return
    out.enter(rows, model, fit)
    for weaker in model.weaker():
        left = np.flatnonzero([reason != "" for reason in fit.reasons])
        if not left.size:
            return
        rows, y = rows[left], y[left]
        fit = weaker.fit(y, n_jobs=n_jobs)
        out.enter(rows, weaker, fit)
