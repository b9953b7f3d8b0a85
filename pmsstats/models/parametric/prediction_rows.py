"""Checks of what a prediction is asked for: covariates of new rows, times, probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.formulas.formula import DesignSpec

__all__ = ["check_probabilities", "check_times", "new_columns"]

_N_TIMES = 101


def new_columns(design: DesignSpec, terms: Sequence[str], data: pd.DataFrame | None) -> np.ndarray:
    """Make covariate columns from new data.

    Parameters
    ----------
    design : DesignSpec
        Of the fit.
    terms : sequence of str
        Columns wanted.
    data : pandas.DataFrame, optional
        Complete rows; may be left out where the model has no covariates.

    Returns
    -------
    ndarray, shape (n, n_terms)
        One empty row for a model without covariates and data.

    Raises
    ------
    DesignError
        If data are needed and not given, incomplete, or of unknown levels.
    """
    if data is None:
        if terms:
            raise DesignError(
                f"`data` must give the covariates to predict for: {', '.join(design.variables)}."
            )
        return np.zeros((1, 0))
    return design.matrix(data)[list(terms)].to_numpy(dtype=float).reshape(len(data), len(terms))


def check_times(times: Sequence[float] | None, longest: float) -> np.ndarray:
    """Return the times of a prediction.

    Parameters
    ----------
    times : sequence of float, optional
        As asked for; evenly from 0 to the end of follow-up by default.
    longest : float
        End of follow-up.

    Returns
    -------
    ndarray, shape (n_times,)
        In the unit of the data.

    Raises
    ------
    DesignError
        If one is negative or not finite.
    """
    if times is None:
        return np.linspace(0.0, longest, _N_TIMES)
    at = np.atleast_1d(np.asarray(times, dtype=float))
    bad = at[~(np.isfinite(at) & (at >= 0))]
    if len(bad) or not len(at):
        raise DesignError(
            f"`times` must be finite numbers of at least 0, got {bad[0] if len(bad) else times!r}."
        )
    return at


def check_probabilities(probabilities: Sequence[float]) -> np.ndarray:
    """Return the probabilities of quantiles.

    Parameters
    ----------
    probabilities : sequence of float
        As asked for.

    Returns
    -------
    ndarray, shape (n,)
        Between 0 and 1.

    Raises
    ------
    DesignError
        If one is not.
    """
    shares = np.atleast_1d(np.asarray(probabilities, dtype=float))
    if not (len(shares) and ((shares > 0) & (shares < 1)).all()):
        raise DesignError(f"`probabilities` must lie between 0 and 1, got {probabilities!r}.")
    return shares
