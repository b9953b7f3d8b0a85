"""Whether effects within subjects are the same at every cut point of an ordered score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.linalg import block_diag

from pmsstats.errors import DesignError
from pmsstats.models.kernels.ordinal_mixed_kernel import OrdinalRows
from pmsstats.models.responses.ordinal_mixed_fit import OrdinalMaximum, maximise_ordinal
from pmsstats.models.responses.population_design import clustered_covariance, orthogonal_columns
from pmsstats.models.responses.proportional_odds import wald_test

if TYPE_CHECKING:
    from pmsstats.models.responses.ordinal_mixed_result import OrdinalMixedResult

__all__ = ["check_mixed_odds"]

_MORE_NODES = 4  # a yes/no outcome says less of a subject than a score, and needs more of them
_GAIN = 1e-6  # log-likelihood units that a fit may miss: nothing beside an error of the test
_MOST_SHIFT = 0.1  # standard errors by which twice the nodes may move an effect, likewise
_LARGE = 8.0  # an effect per SD of a column in a model of its own: separated


def check_mixed_odds(fit: OrdinalMixedResult, *, min_rows: int = 10) -> pd.DataFrame:
    """Test whether each effect is the same at every cut point.

    Parameters
    ----------
    fit : OrdinalMixedResult
        A fitted model.
    min_rows : int, default 10
        Cut points with fewer rows on either side are left out.

    Returns
    -------
    pandas.DataFrame
        ``term statistic df p_value n_cuts``: the whole model (``"all"``), then each effect.

    Raises
    ------
    DesignError
        If there are no effects, fewer than two usable cut points, or as many comparisons as
        subjects.

    Notes
    -----
    A binary mixed model with the same random effects is fitted at each cut point, and a Wald test
    asks whether its effects agree [1]_; the covariance between the fits is the sandwich of the
    subjects' scores in all of them. If the model holds, the latent variable behind every fit is
    one and the same, so that effects agree at every cut point.

    References
    ----------
    .. [1] Brant R. Assessing proportionality in the proportional odds model for ordinal logistic
       regression. Biometrics 1990;46:1171-1178. doi:10.2307/2532457.
    """
    p = len(fit.coefficients)
    if p == 0:
        raise DesignError("The model has no effects, so there are none to compare.")
    standard, back = orthogonal_columns(_centred(fit))
    fits = [made for made in _binary_fits(fit, standard, min_rows) if made is not None]
    if len(fits) < 2:
        raise DesignError(
            f"Effects are compared between cut points with at least {min_rows} rows on either side "
            f"that no column separates; there are {len(fits)}."
        )
    n_differences = (len(fits) - 1) * p
    if n_differences >= fit.n_subjects:
        raise DesignError(
            f"{n_differences} comparisons cannot be made with {fit.n_subjects} subjects. Raise "
            "`min_rows`, or use fewer terms."
        )
    effects, covariance = _together(fits, back, p)
    contrast = np.kron(np.column_stack([-np.ones(len(fits) - 1), np.eye(len(fits) - 1)]), np.eye(p))
    picks = [np.arange(n_differences), *(np.arange(n_differences)[j::p] for j in range(p))]
    rows = [wald_test(contrast[pick], effects, covariance) for pick in picks]
    table = pd.DataFrame(rows, columns=["statistic", "df", "p_value"])
    table.insert(0, "term", ["all", *fit.coefficients["term"]])
    return table.assign(n_cuts=len(fits))


def _centred(fit: OrdinalMixedResult) -> np.ndarray:
    """Return the fixed columns less their means."""
    return fit.design.fixed_matrix(fit.data) - fit.scale.centre


def _binary_fits(
    fit: OrdinalMixedResult, X: np.ndarray, min_rows: int
) -> list[OrdinalMaximum | None]:
    """Fit a binary mixed model at each cut point; None where it has no maximum."""
    order = np.argsort(fit.subject, kind="stable")
    Z, _ = orthogonal_columns(fit.random.matrix(fit.data).to_numpy())
    made = []
    for cut in range(len(fit.levels) - 1):
        above = (fit.level > cut).astype(int)
        if not min_rows <= above.sum() <= len(above) - min_rows:
            continue
        rows = OrdinalRows(
            X=X[order],
            Z=Z[order],
            level=above[order],
            subject=fit.subject[order],
            n_levels=2,
            link=fit.spec.link,
        )
        found = maximise_ordinal(rows, fit.maximum.n_nodes + _MORE_NODES)
        effects = found.theta[1 : 1 + X.shape[1]]
        usable = found.gain < _GAIN and found.estimate_shift < _MOST_SHIFT
        usable = usable and bool(np.abs(effects).max(initial=0.0) < _LARGE)
        made.append(found if usable else None)
    return made


def _together(
    fits: list[OrdinalMaximum], back: np.ndarray, p: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the effects of all cut points, and their joint covariance by subject."""
    bread = block_diag(*[made.covariance for made in fits])
    scores = np.hstack([made.terms.scores for made in fits])
    n = len(scores)
    joint = clustered_covariance(bread, scores, np.arange(n), "CR0")
    m = len(fits[0].theta)
    picks = np.concatenate([np.arange(1, 1 + p) + m * j for j in range(len(fits))])
    T = np.kron(np.eye(len(fits)), back)
    effects = T @ np.concatenate([made.theta for made in fits])[picks]
    return effects, T @ joint[np.ix_(picks, picks)] @ T.T
