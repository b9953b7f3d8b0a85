"""Rows, columns and clusters of models of the population mean: scores, counts, yes/no outcomes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, FormulaError, nearest
from pmsstats.models.formulas.design import (
    complete_rows,
    design_matrices,
    formula_variables,
    lost_subjects,
)
from pmsstats.models.formulas.fixed_design import FixedDesign, build_fixed_design, level_notes
from pmsstats.models.formulas.formula import parse_formula
from pmsstats.models.formulas.wilkinson import compile_rhs
from pmsstats.results import Exclusion, exclude

__all__ = [
    "Empirical",
    "PopulationDesign",
    "build_population_design",
    "check_choice",
    "check_enough",
    "check_population_spec",
    "clustered_covariance",
    "log_times",
    "orthogonal_columns",
    "outcome_and_mean",
    "sandwich_notes",
]

Empirical = Literal["CR0", "CR1", "CR3"]
"""Errors from the scatter of subjects: as it is, times G / (G - 1), or corrected for leverage."""

_FEW_SUBJECTS = 40  # below this, sandwich errors without a correction are known to be too small


@dataclass(frozen=True, eq=False, kw_only=True)
class PopulationDesign:
    """Rows that can be used, their columns, and which subject each belongs to.

    Parameters
    ----------
    rows : pandas.DataFrame
        Complete and finite.
    X : ndarray, shape (n_obs, p)
        Of full rank.
    design : FixedDesign
        Makes the same columns from other data.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row.
    subject_ids : tuple
        Subject id of each number.
    exclusions : tuple of Exclusion
        Rows that were left out.
    notes : tuple of str
        Columns and levels that were dropped.
    """

    rows: pd.DataFrame
    X: np.ndarray
    design: FixedDesign
    subject: np.ndarray
    subject_ids: tuple[Any, ...]
    exclusions: tuple[Exclusion, ...]
    notes: tuple[str, ...]

    @property
    def n_obs(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    @property
    def n_subjects(self) -> int:
        """Return the number of subjects."""
        return len(self.subject_ids)

    @property
    def repeats(self) -> bool:
        """Return whether some subject has several rows."""
        return self.n_subjects < self.n_obs


def outcome_and_mean(formula: str) -> tuple[str, str]:
    """Split a formula without random terms.

    Parameters
    ----------
    formula : str
        For example ``"edss ~ year * arm"``.

    Returns
    -------
    outcome, fixed : str
        Left and right of the tilde.

    Raises
    ------
    FormulaError
        If it does not parse, or has a random term.
    """
    parsed = parse_formula(formula)
    if parsed.random_terms:
        raise FormulaError(
            f"This model has no random terms, but the formula holds "
            f"{parsed.random_terms[0].formula()}. Leave it out: rows of one subject are told "
            "apart from others by the column `subject` of the request."
        )
    return parsed.outcome, parsed.fixed


def check_choice(name: str, value: object, options: Sequence[object]) -> None:
    """Refuse a value that is none of the options.

    Parameters
    ----------
    name : str
        Argument.
    value : object
        What was given.
    options : sequence
        What is accepted.

    Raises
    ------
    DesignError
        With the nearest option.
    """
    if value not in options:
        words = [str(option) for option in options]
        raise DesignError(
            f"`{name}` must be one of {', '.join(words)}, got {value!r}."
            f"{nearest(str(value), words)}"
        )


def check_population_spec(outcome: str, fixed: str, conf_level: object) -> None:
    """Check what all requests of this kind have in common.

    Parameters
    ----------
    outcome, fixed : str
        Left and right of the tilde.
    conf_level : float
        Of the intervals.

    Raises
    ------
    FormulaError
        If a formula does not parse, has random terms, or transforms the outcome.
    DesignError
        If the level is none.
    """
    outcome_and_mean(f"{outcome} ~ {fixed}")
    if compile_rhs(outcome).fragments:
        raise FormulaError(
            f"The outcome of this model must be a column as it was recorded, got {outcome!r}. "
            "Make the column first, if it has to be transformed."
        )
    if not isinstance(conf_level, float) or not 0.5 <= conf_level < 1:
        raise DesignError(
            f"`conf_level` must be at least 0.5 and below 1, got {conf_level!r}. "
            "Write 0.95 for 95 %."
        )


def build_population_design(
    data: pd.DataFrame,
    *,
    outcome: str,
    fixed: str,
    subject: str,
    others: Sequence[str] = (),
    stage: str,
) -> PopulationDesign:
    """Keep the rows that can be used, and make the columns of the mean.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per observation.
    outcome, fixed : str
        Left and right of the tilde.
    subject : str
        Column that tells subjects apart.
    others : sequence of str
        Further columns that must be complete (exposure, time).
    stage : str
        The step, for exclusions and messages.

    Returns
    -------
    PopulationDesign
        Complete, finite and of full rank.

    Raises
    ------
    DesignError
        If no row is left.
    FormulaError
        If a column is unknown.
    """
    if not isinstance(data, pd.DataFrame):
        raise DesignError(
            f"`data` must be a pandas DataFrame with one row per observation, got "
            f"{type(data).__name__}."
        )
    if len(data) == 0:
        raise DesignError("The data have no rows, so there is nothing to fit.")
    variables = [*formula_variables(outcome), *formula_variables(fixed), *others]
    rows, exclusions = complete_rows(data, variables, stage=stage, subject=subject)
    rows, not_finite = _finite_rows(rows, fixed, stage, subject)
    exclusions = (*exclusions, *not_finite)
    if len(rows) == 0:
        reasons = "; ".join(f"{e.reason}: {e.n} row(s)" for e in exclusions if e.unit == "row")
        raise DesignError(f"No row is left for the {stage} ({reasons}).")
    X, design = build_fixed_design(fixed, rows)
    codes, ids = pd.factorize(rows[subject], sort=False)
    return PopulationDesign(
        rows=rows,
        X=X,
        design=design,
        subject=codes,
        subject_ids=tuple(ids),
        exclusions=exclusions,
        notes=(*design.notes_on_columns(), *level_notes(design.fixed)),
    )


def _finite_rows(
    rows: pd.DataFrame, fixed: str, stage: str, subject: str
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Leave out rows in which a transform gives no finite number."""
    if len(rows) == 0 or not compile_rhs(fixed).fragments:
        return rows, ()
    matrix, _ = design_matrices(fixed, rows)
    keep = np.isfinite(matrix.to_numpy()).all(axis=1)
    lost = exclude(stage, "row", f"{fixed} is not finite", rows.loc[~keep, subject])
    lost += lost_subjects(stage, rows[subject], keep)
    return rows.loc[keep].reset_index(drop=True), lost


def check_enough(design: PopulationDesign, n_parameters: int, *, stage: str) -> None:
    """Refuse fewer rows than parameters, and a single subject.

    Parameters
    ----------
    design : PopulationDesign
        The rows.
    n_parameters : int
        To be estimated.
    stage : str
        For the message.

    Raises
    ------
    DesignError
        If there is too little.
    """
    if design.n_subjects < 2:
        raise DesignError(
            f"The {stage} needs several subjects, but the data have one "
            f"({design.subject_ids[0]}). Is the right column given as `subject`?"
        )
    if design.n_obs <= n_parameters:
        raise DesignError(
            f"{design.n_obs} rows cannot determine the {n_parameters} parameters of the {stage}. "
            "Use fewer terms, or more rows."
        )


def log_times(column: pd.Series) -> np.ndarray:
    """Return the log of the time observed.

    Parameters
    ----------
    column : pandas.Series
        The exposure of each row.

    Returns
    -------
    ndarray, shape (n_obs,)
        Its natural logarithm.

    Raises
    ------
    DesignError
        If a time is not above zero.
    """
    times = column.to_numpy(dtype=float)
    if (times <= 0).any():
        raise DesignError(
            f"`exposure` must be above 0, but {column.name!r} is not in "
            f"{int((times <= 0).sum())} row(s). Leave those rows out: they say nothing of a rate."
        )
    return np.log(times)


def clustered_covariance(
    bread: np.ndarray, scores: np.ndarray, subject: np.ndarray, kind: Empirical
) -> np.ndarray:
    """Estimate a covariance from the scatter of subjects' scores: the sandwich.

    Parameters
    ----------
    bread : ndarray, shape (m, m)
        Inverse information.
    scores : ndarray, shape (n_obs, m)
        Derivative of each row's log-likelihood in the parameters.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row.
    kind : {"CR0", "CR1"}
        Without a correction, or times ``G / (G - 1)`` for ``G`` subjects.

    Returns
    -------
    ndarray, shape (m, m)
        ``bread (sum over subjects of s s') bread``.

    Notes
    -----
    R: ``sandwich::vcovCL(fit, ~ subject, type = "HC0", cadjust = (kind == "CR1"))``; SAS:
    ``REPEATED subject=...`` with an independent working correlation (CR0).

    References
    ----------
    .. [1] Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models.
       Biometrika 1986;73:13-22. doi:10.1093/biomet/73.1.13.
    """
    n_subjects = int(subject.max()) + 1
    totals = np.zeros((n_subjects, scores.shape[1]))
    np.add.at(totals, subject, scores)
    half = totals @ bread
    factor = n_subjects / (n_subjects - 1) if kind == "CR1" else 1.0
    covariance: np.ndarray = factor * half.T @ half
    return covariance


def sandwich_notes(design: PopulationDesign, empirical: str | None) -> tuple[str, ...]:
    """Say where errors by subject cannot be trusted, or are needed.

    Parameters
    ----------
    design : PopulationDesign
        The rows.
    empirical : str or None
        Kind of the errors.

    Returns
    -------
    tuple of str
        One sentence each.
    """
    if empirical is None and design.repeats:
        return ("errors are model-based although subjects have several rows",)
    if empirical in {"CR0", "CR1"} and design.repeats and design.n_subjects < _FEW_SUBJECTS:
        few = f"errors by subject from only {design.n_subjects} subjects are too small on average"
        return (few,)
    return ()


def orthogonal_columns(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Put columns on a common scale, so that units of 1e-4 or time in days change nothing.

    Parameters
    ----------
    X : ndarray, shape (n_obs, p)
        Of full rank.

    Returns
    -------
    standard : ndarray, shape (n_obs, p)
        Orthogonal, mean square one.
    back : ndarray, shape (p, p)
        ``beta = back @ gamma`` where ``X @ beta = standard @ gamma``.
    """
    if X.shape[1] == 0:
        return X, np.empty((0, 0))
    length = np.linalg.norm(X, axis=0)
    Q, R = np.linalg.qr(X / length)
    root = np.sqrt(len(X))
    return Q * root, np.linalg.solve(R, np.eye(len(R))) / length[:, None] * root
