"""Whether odds ratios are the same at every cut point of an ordered score: Brant's test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats
from scipy.linalg import block_diag
from scipy.special import expit

from pmsstats.errors import DesignError
from pmsstats.models.responses.newton import LikelihoodTerms, climb
from pmsstats.models.responses.population_design import clustered_covariance, orthogonal_columns

if TYPE_CHECKING:
    from pmsstats.models.responses.ordinal_result import OrdinalResult

__all__ = ["check_proportional_odds"]

_LARGE = 8.0  # an effect per SD of a column in a logit of its own: separated


def check_proportional_odds(fit: OrdinalResult, *, min_rows: int = 10) -> pd.DataFrame:
    """Test whether each effect is the same at every cut point.

    Parameters
    ----------
    fit : OrdinalResult
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
        If there are no effects, fewer than two usable cut points, or more comparisons than
        subjects.

    Notes
    -----
    A logistic model is fitted at each cut point, and a Wald test asks whether its effects agree
    [1]_. The covariance between the fits is that of [1]_ for model-based errors; for errors by
    subject it is the sandwich of all fits together, so that repeated visits do not count as
    independent patients. R: ``brant::brant(MASS::polr(...))`` for model-based errors (there with
    probabilities from the separate fits, as here). A small p value in a large study may mean a
    departure that does not matter: look at the effects themselves.

    References
    ----------
    .. [1] Brant R. Assessing proportionality in the proportional odds model for ordinal logistic
       regression. Biometrics 1990;46:1171-1178. doi:10.2307/2532457.
    """
    if len(fit.coefficients) == 0:
        raise DesignError("The model has no effects, so there are no odds ratios to compare.")
    X = np.column_stack([np.ones(fit.n_obs), fit.design.fixed_matrix(fit.data)])
    standard, back = orthogonal_columns(X)
    above = fit.level[:, None] > np.arange(len(fit.levels) - 1)
    rows = np.minimum(above.sum(axis=0), (~above).sum(axis=0))
    fits = [_logit(standard, above[:, k]) for k in np.flatnonzero(rows >= min_rows)]
    usable = [made for made in fits if made is not None]
    if len(usable) < 2:
        raise DesignError(
            f"Proportional odds are compared between cut points with at least {min_rows} rows on "
            f"either side that no column separates; there are {len(usable)}."
        )
    effects, covariance = _together(usable, standard, back, fit)
    p = len(fit.coefficients)
    n_differences = (len(usable) - 1) * p
    if fit.empirical is not None and n_differences >= fit.n_subjects:
        raise DesignError(
            f"{n_differences} comparisons cannot be made with {fit.n_subjects} subjects. Raise "
            "`min_rows`, or use fewer terms."
        )
    differences = np.kron(
        np.column_stack([-np.ones(len(usable) - 1), np.eye(len(usable) - 1)]), np.eye(p)
    )
    terms = ["all", *fit.coefficients["term"]]
    picks = [np.arange(n_differences), *(np.arange(n_differences)[j::p] for j in range(p))]
    rows_out = [wald_test(differences[pick], effects, covariance) for pick in picks]
    table = pd.DataFrame(rows_out, columns=["statistic", "df", "p_value"])
    table.insert(0, "term", terms)
    return table.assign(n_cuts=len(usable))


@dataclass(frozen=True, eq=False, kw_only=True)
class _CutFit:
    """The logistic model of scoring above one cut point."""

    effects: np.ndarray
    mean: np.ndarray
    scores: np.ndarray
    bread: np.ndarray


def _logit(X: np.ndarray, above: np.ndarray) -> _CutFit | None:
    """Fit one logistic model; None if its columns separate the rows."""

    def terms_at(beta: np.ndarray) -> LikelihoodTerms:
        eta = X @ beta
        mean = expit(eta)
        return LikelihoodTerms(
            log_likelihood=float((above * eta - np.logaddexp(0, eta)).sum()),
            scores=(above - mean)[:, None] * X,
            information=X.T @ ((mean * expit(-eta))[:, None] * X),
        )

    found = climb(terms_at, np.zeros(X.shape[1]))
    if not found.converged or np.abs(found.parameters).max() > _LARGE:
        return None
    return _CutFit(
        effects=found.parameters,
        mean=expit(X @ found.parameters),
        scores=found.terms.scores,
        bread=np.linalg.inv(found.terms.information),
    )


def _together(
    fits: list[_CutFit], X: np.ndarray, back: np.ndarray, fit: OrdinalResult
) -> tuple[np.ndarray, np.ndarray]:
    """Return effects of all cut points without intercepts, and their joint covariance."""
    bread = block_diag(*[made.bread for made in fits])
    if fit.empirical is None:
        joint = bread @ _brant_middle(fits, X) @ bread
    else:
        scores = np.hstack([made.scores for made in fits])
        joint = clustered_covariance(bread, scores, fit.subject, fit.empirical)
    T = np.kron(np.eye(len(fits)), back)
    slopes = np.tile(np.arange(X.shape[1]) > 0, len(fits))
    effects = (T @ np.concatenate([made.effects for made in fits]))[slopes]
    return effects, (T @ joint @ T.T)[np.ix_(slopes, slopes)]


def _brant_middle(fits: list[_CutFit], X: np.ndarray) -> np.ndarray:
    """Return the covariance of the scores of all fits, for independent rows [1]."""
    means = np.column_stack([made.mean for made in fits])
    k, m = means.shape[1], X.shape[1]
    higher = np.maximum.outer(np.arange(k), np.arange(k))
    # Scoring above the higher cut point implies scoring above the lower one.
    weights = means[:, higher] - means[:, :, None] * means[:, None, :]
    middle: np.ndarray = np.einsum("ijk,ia,ib->jakb", weights, X, X, optimize=True)
    return middle.reshape(k * m, k * m)


def wald_test(
    L: np.ndarray, effects: np.ndarray, covariance: np.ndarray
) -> tuple[float, int, float]:
    """Test that some combinations are all zero."""
    values = L @ effects
    statistic = float(values @ np.linalg.solve(L @ covariance @ L.T, values))
    return statistic, len(L), float(stats.chi2.sf(statistic, len(L)))
