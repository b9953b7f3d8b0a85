"""What a batch of replicates is asked with: a design without outcome, and a matrix of responses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.results import Exclusion

__all__ = ["check_n_jobs", "checked_responses", "design_without_outcome"]


class _Spec(Protocol):
    """What a request says about its columns."""

    @property
    def outcome(self) -> str:
        """Return the outcome."""

    @property
    def variables(self) -> tuple[str, ...]:
        """Return every column that the model uses."""


class _Design(Protocol):
    """What a design says about its rows."""

    @property
    def rows(self) -> pd.DataFrame:
        """Return the rows that are used."""

    @property
    def exclusions(self) -> tuple[Exclusion, ...]:
        """Return what was left out."""


Spec = TypeVar("Spec", bound=_Spec)
Design = TypeVar("Design", bound=_Design)


def check_n_jobs(n_jobs: int) -> None:
    """Refuse what is no number of threads.

    Parameters
    ----------
    n_jobs : int
        At least 1.

    Raises
    ------
    DesignError
        If it is not.
    """
    if isinstance(n_jobs, bool) or not isinstance(n_jobs, int | np.integer) or n_jobs < 1:
        raise DesignError(f"`n_jobs` must be a number of threads of at least 1, got {n_jobs!r}.")


def checked_responses(responses: np.ndarray, n_rows: int) -> np.ndarray:
    """Return the responses as one array of numbers.

    Parameters
    ----------
    responses : array_like, shape (n_replicates, n_rows)
        Missing where a visit was missed.
    n_rows : int
        Of the design.

    Returns
    -------
    ndarray of float, shape (n_replicates, n_rows)
        Contiguous.

    Raises
    ------
    DesignError
        If the shape is another.
    """
    y = np.ascontiguousarray(responses, dtype=float)
    if y.ndim != 2 or y.shape[1] != n_rows:
        raise DesignError(
            f"`responses` must have one row per replicate and one column per row of the design, "
            f"so shape (n_replicates, {n_rows}); got {y.shape}."
        )
    return y


def design_without_outcome(
    build: Callable[[pd.DataFrame, Spec], Design], data: pd.DataFrame, spec: Spec
) -> Design:
    """Build a design with a stand-in for the outcome, and refuse an incomplete one.

    Parameters
    ----------
    build : callable
        Makes the design of a model from data and request.
    data : pandas.DataFrame
        One row per scheduled observation.
    spec : LMMSpec or MMRMSpec
        The request.

    Returns
    -------
    MixedDesign or RepeatedDesign
        Of all rows.

    Raises
    ------
    DesignError
        If `data` is no frame or has incomplete rows, or the outcome is more than a name.
    """
    name = spec.outcome.strip("`")
    if not isinstance(data, pd.DataFrame):
        raise DesignError(
            f"`data` must be a pandas DataFrame with one row per scheduled observation, got "
            f"{type(data).__name__}."
        )
    if name not in spec.variables:
        raise DesignError(
            f"The outcome of a batch must be a plain name, got {spec.outcome!r}. Transform the "
            "responses themselves."
        )
    stand_in = np.random.default_rng(0).normal(size=len(data))
    design = build(data.assign(**{name: stand_in}), spec)
    left_out = len(data) - len(design.rows)
    if left_out:
        reasons = "; ".join(f"{e.reason}: {e.n}" for e in design.exclusions if e.unit == "row")
        raise DesignError(
            f"{left_out} of {len(data)} rows of the design are incomplete ({reasons}). Drop them, "
            "and the same columns of `responses`. Missed visits are missing values in "
            "`responses`, not in `data`."
        )
    return design
