"""Analyses of completed data sets: arms compared at each visit or by slope, all sets at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.models.missing.layout import DAYS_PER_YEAR

if TYPE_CHECKING:
    from pmsstats.models.missing.imputation import Imputation
    from pmsstats.models.missing.layout import WideVisits

__all__ = ["Estimates", "analyse", "analysis_design", "analysis_outcomes", "compare_arms"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Estimates:
    """Answers of the analysis on each completed data set.

    Parameters
    ----------
    visits, terms : tuple of str, length m
        What is estimated when.
    estimates : ndarray, shape (n_imputations, m)
        In units of the outcome.
    variances : ndarray, shape (n_imputations, m)
        Squared standard errors as if nothing had been imputed.
    df : ndarray, shape (n_imputations, m)
        Degrees of freedom likewise.
    """

    visits: tuple[str, ...]
    terms: tuple[str, ...]
    estimates: np.ndarray
    variances: np.ndarray
    df: np.ndarray


def analyse(imputation: Imputation) -> Estimates:
    """Analyse each completed data set.

    Parameters
    ----------
    imputation : Imputation
        Completed data, and which analysis.

    Returns
    -------
    Estimates
        Differences of each arm from the reference, visit by visit, for ``ancova`` and ``slope``.

    Raises
    ------
    DesignError
        If slopes are wanted without days, or a callable gives no three numbers.
    """
    spec, wide = imputation.spec, imputation.wide
    if callable(spec.analysis):
        return _by_callable(imputation)
    names, outcomes = analysis_outcomes(wide, imputation.completed, spec.analysis)
    X = analysis_design(wide)
    estimates, variances, df = compare_arms(outcomes, X, len(wide.arms), imputation.draws.weights)
    return Estimates(
        visits=tuple(name for name in names for _ in wide.arms[1:]),
        terms=tuple(f"{arm} - {wide.arms[0]}" for _ in names for arm in wide.arms[1:]),
        estimates=estimates,
        variances=variances,
        df=np.full(estimates.shape, df),
    )


def analysis_outcomes(
    wide: WideVisits, completed: np.ndarray, analysis: object
) -> tuple[tuple[str, ...], np.ndarray]:
    """Return what arms are compared by: values at each visit, or slopes.

    Parameters
    ----------
    wide : WideVisits
        For nominal days.
    completed : ndarray, shape (..., n_subjects, n_visits)
        Outcomes.
    analysis : {"ancova", "slope"}
        Which.

    Returns
    -------
    tuple
        Names, and values of shape (..., n_subjects, n_names); slopes are per year.

    Raises
    ------
    DesignError
        If slopes are wanted without days, or of one visit.
    """
    if analysis == "ancova":
        return wide.visits, completed
    year = wide.nominal_days / DAYS_PER_YEAR
    if np.isnan(year).any() or len(year) < 2:
        raise DesignError(
            "`analysis='slope'` needs two visits and a column of days (`day`) with values at each. "
            "Add them, or use analysis='ancova'."
        )
    centred = year - year.mean()
    return ("slope",), (completed @ (centred / (centred @ centred)))[..., None]


def analysis_design(wide: WideVisits) -> np.ndarray:
    """Return the columns of the analysis: intercept, arms, covariates.

    Parameters
    ----------
    wide : WideVisits
        The trial.

    Returns
    -------
    ndarray, shape (n_subjects, n_arms + k)
        The reference arm is the intercept.

    Raises
    ------
    DesignError
        If there are not more subjects than columns.
    """
    arms = np.eye(len(wide.arms))[wide.arm]
    X = np.hstack([np.ones((wide.n_subjects, 1)), arms[:, 1:], wide.covariates])
    if len(X) <= X.shape[1]:
        raise DesignError(
            f"The analysis has {X.shape[1]} parameters, but only {len(X)} subjects. Leave out "
            "covariates."
        )
    return X


def compare_arms(
    outcomes: np.ndarray, X: np.ndarray, n_arms: int, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, float]:
    """Estimate differences from the reference arm by least squares in every data set.

    Parameters
    ----------
    outcomes : ndarray, shape (n_imputations, n_subjects, n_names)
        What is compared.
    X : ndarray, shape (n_subjects, p)
        Intercept, arms, covariates.
    n_arms : int
        Arms, the reference included.
    weights : ndarray, shape (n_imputations, n_subjects), optional
        How often each subject counts.

    Returns
    -------
    tuple
        Estimates and variances, shape (n_imputations, n_names * (n_arms - 1)), arms running
        fastest, and degrees of freedom.
    """
    (M, n, _), p = outcomes.shape, X.shape[1]
    df = float(n - p)
    if weights is None:
        inverse = np.linalg.inv(X.T @ X)
        coefs = inverse @ (X.T @ outcomes)
        spread = np.diag(inverse)[1:n_arms]
    else:
        products = (weights @ (X[:, :, None] * X[:, None, :]).reshape(n, -1)).reshape(M, *[p] * 2)
        inverse = np.linalg.inv(products)
        coefs = inverse @ (X.T @ (outcomes * weights[:, :, None]))
        spread = np.einsum("mii->mi", inverse)[:, None, 1:n_arms]
    rest = outcomes - X @ coefs
    squares = rest**2 if weights is None else rest**2 * weights[:, :, None]
    scale = squares.sum(axis=1) / df
    variances = scale[:, :, None] * spread
    estimates = np.swapaxes(coefs[:, 1:n_arms], 1, 2)
    return estimates.reshape(M, -1), variances.reshape(M, -1), df


def _by_callable(imputation: Imputation) -> Estimates:
    """Hand each completed frame to the user's function."""
    answers = []
    for index in range(imputation.n_imputations):
        answer = imputation.spec.analysis(imputation.frame(index))  # type: ignore[operator]
        try:
            estimate, std_error, df = (float(value) for value in answer)
        except (TypeError, ValueError) as exc:
            raise DesignError(
                "`analysis` must give (estimate, standard error, degrees of freedom) of a "
                f"completed frame, got {answer!r}."
            ) from exc
        answers.append((estimate, std_error**2, df))
    table = np.array(answers)
    return Estimates(
        visits=("all",),
        terms=("analysis",),
        estimates=table[:, :1],
        variances=table[:, 1:2],
        df=table[:, 2:],
    )
