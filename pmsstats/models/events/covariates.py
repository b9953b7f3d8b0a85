"""Covariates of survival models: from a formula to columns, checked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.events.rows import Rows, at_least_two, require_columns
from pmsstats.models.formulas.formula import DesignSpec, design_matrices, formula_variables

__all__ = ["check_columns", "check_event_count", "covariate_columns", "right_hand_side"]

_COLLINEAR = 1e-8  # smallest over largest singular value of standardised covariates
_CONSTANT = 1e-12  # standard deviation over largest value


def right_hand_side(covariates: str | tuple[str, ...]) -> str:
    """Return covariates as the right-hand side of a formula.

    Parameters
    ----------
    covariates : str or tuple of str
        A formula, or columns.

    Returns
    -------
    str
        Columns of a tuple stand in backticks.

    Examples
    --------
    >>> right_hand_side(("age_years", "arm"))
    '`age_years` + `arm`'
    """
    if isinstance(covariates, str):
        return covariates
    return " + ".join(f"`{column}`" for column in covariates)


def covariate_columns(rows: Rows, rhs: str, what: str) -> tuple[pd.DataFrame, DesignSpec]:
    """Build the covariate columns; rows in which a variable is missing are left out.

    Parameters
    ----------
    rows : Rows
        Changed in place.
    rhs : str
        Right-hand side of a formula, with at least one term.
    what : str
        The model, for messages: ``"A Cox model"``.

    Returns
    -------
    X : pandas.DataFrame
        Without an intercept; indexed like ``rows.frame``.
    design : DesignSpec
        Makes the same columns (and an intercept) from other data.

    Raises
    ------
    DesignError
        If a variable is no column, fewer than two subjects are left, there is no term, or a
        covariate is not finite.
    """
    for name in formula_variables(rhs):
        require_columns(rows.frame, [("covariates", name)])
        rows.drop(rows.frame[name].isna(), f"no {name}")
        if pd.api.types.is_float_dtype(rows.frame[name].dtype):
            rows.drop(np.isinf(rows.frame[name].astype(float)), f"{name} is infinite")
    at_least_two(rows, what)
    X, design = design_matrices(rhs, rows.frame)
    X = X.drop(columns="Intercept", errors="ignore").set_index(rows.frame.index)
    if X.shape[1] == 0:
        if design.variables:
            raise DesignError(
                f"The covariate(s) {', '.join(design.variables)} have the same value in all rows, "
                "so they say nothing about the hazard. Leave them out."
            )
        raise DesignError(
            f"`covariates` of {what[0].lower()}{what[1:]} must name at least one term; use fit_km "
            "for none."
        )
    rows.forbid(
        ~np.isfinite(X).all(axis=1),
        f"A covariate of {rhs!r} is no finite number",
        "Correct the values, or the transform (a logarithm needs values above 0).",
    )
    return X, design


def check_event_count(event: pd.Series, terms: Sequence[str]) -> None:
    """Refuse data with too few events for the model to exist.

    Parameters
    ----------
    event : pandas.Series of bool
        One value per row.
    terms : sequence of str
        Names of the covariate columns.

    Raises
    ------
    DesignError
        If there is no event, or fewer events than terms.
    """
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


def check_columns(X: pd.DataFrame, strata: np.ndarray) -> None:
    """Refuse covariates that are constant, or combinations of others, within strata.

    Parameters
    ----------
    X : pandas.DataFrame
        Covariate columns.
    strata : ndarray of int, shape (n_rows,)
        Codes.

    Raises
    ------
    DesignError
        Naming the columns.
    """
    values = X.to_numpy()
    spread = values.std(axis=0)
    _refuse_constant(X, spread <= _CONSTANT * np.abs(values).max(axis=0), "")
    within = _within(values, strata) / spread
    _refuse_constant(X, within.std(axis=0) <= _COLLINEAR, " within every stratum")
    # eigenvectors of the cross-products find the direction; its length is measured on the columns
    _, directions = np.linalg.eigh(within.T @ within)
    length = np.linalg.norm(within @ directions[:, [0, -1]], axis=0)
    if length[0] <= _COLLINEAR * length[1]:
        involved = X.columns[np.abs(directions[:, 0]) > 1e-4]
        raise DesignError(
            f"The covariates {', '.join(involved)} are collinear: one is a combination of the "
            "others, so their hazard ratios cannot be told apart. Leave one out."
        )


def _within(values: np.ndarray, strata: np.ndarray) -> np.ndarray:
    """Subtract the mean of its stratum from each row."""
    n_strata = int(strata.max()) + 1
    count = np.bincount(strata, minlength=n_strata)
    mean = np.column_stack([np.bincount(strata, x, n_strata) / count for x in values.T])
    return values - mean[strata]


def _refuse_constant(X: pd.DataFrame, mask: np.ndarray, where: str) -> None:
    """Raise if a covariate does not vary."""
    if mask.any():
        raise DesignError(
            f"The covariate(s) {', '.join(X.columns[mask])} have the same value in all rows"
            f"{where}, so they say nothing about the hazard. Leave them out."
        )
