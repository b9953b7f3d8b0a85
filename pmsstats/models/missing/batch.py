"""Conditional means for thousands of simulated trials of one design at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError, nearest
from pmsstats.models.missing.moments import sums_of_replicates
from pmsstats.models.missing.regressions import fit_regressions
from pmsstats.models.missing.strategies import STRATEGIES

__all__ = ["ImputedBatch", "impute_batch"]

_BLOCK = 500  # replicates that are worked on together: what bounds memory


@dataclass(frozen=True, eq=False, kw_only=True)
class ImputedBatch:
    """Completed outcomes of many replicates.

    Parameters
    ----------
    completed : ndarray, shape (n_replicates, n_subjects, n_visits)
        Outcomes without gaps; NaN throughout where the model has no fit.
    coefs : ndarray, shape (n_replicates, q, n_visits)
        Means by arm, reference first, then effects of covariates (centred).
    covariances : ndarray, shape (n_replicates, n_visits, n_visits)
        Of the visits of a subject.
    converged : ndarray of bool, shape (n_replicates,)
        Whether the model has a fit.
    differences : ndarray, shape (n_replicates, n_arms - 1, n_visits)
        Differences from the reference arm, adjusted for covariates.
    """

    completed: np.ndarray
    coefs: np.ndarray
    covariances: np.ndarray
    converged: np.ndarray
    differences: np.ndarray


def impute_batch(
    y: np.ndarray,
    arm: np.ndarray,
    *,
    strategy: str = "MAR",
    n_before: np.ndarray | None = None,
    covariates: np.ndarray | None = None,
) -> ImputedBatch:
    """Fill in conditional means in many data sets of one design.

    Parameters
    ----------
    y : ndarray, shape (n_replicates, n_subjects, n_visits)
        Outcome; NaN where it was not seen.
    arm : ndarray of int, shape (n_subjects,)
        0 is the reference.
    strategy : {"MAR", "JR", "CR", "CIR", "LMCF"}, default "MAR"
        For values after the event. Values missed before it are imputed with them, under the same
        joint distribution, as for :func:`~pmsstats.models.missing.imputation.impute`.
    n_before : ndarray of int, shape (n_replicates, n_subjects), optional
        Visits before each subject's event; values seen after it do not inform the model unless
        the strategy is MAR. By default the event is dropout, after the last value seen.
    covariates : ndarray, shape (n_subjects, k), optional
        Known at baseline.

    Returns
    -------
    ImputedBatch
        Replicates whose model has no fit stay in place and are flagged.

    Raises
    ------
    DesignError
        If shapes do not go together, or the strategy is unknown.

    Notes
    -----
    Model and conditional means are those of method ``conditional_mean`` with one covariance;
    errors need a resampling step per replicate and are not given.

    Examples
    --------
    >>> y = np.random.default_rng(7).normal(size=(20, 60, 3))
    >>> y[:, :10, 2] = np.nan
    >>> batch = impute_batch(y, np.arange(60) % 2, strategy="JR")
    >>> batch.completed.shape, bool(batch.converged.all()), batch.differences.shape
    ((20, 60, 3), True, (20, 1, 3))
    """
    own, reference, X = _designs(y, arm, covariates)
    if strategy not in STRATEGIES:
        raise DesignError(
            f"`strategy` must be one of {', '.join(STRATEGIES)}, got {strategy!r}."
            f"{nearest(str(strategy), STRATEGIES)}"
        )
    before = _events(y, n_before)
    stuck = (before == 0) & np.isnan(y).any(axis=2)
    if strategy == "LMCF" and stuck.any():
        raise DesignError(
            f"LMCF needs a visit before the event, but {int(stuck.sum())} subjects of "
            f"{int(stuck.any(axis=1).sum())} replicates have none. Use MAR, JR, CR or CIR."
        )
    blocks = [slice(a, a + _BLOCK) for a in range(0, len(y), _BLOCK)]
    parts = [_one_block(y[block], before[block], own, reference, strategy) for block in blocks]
    completed, coefs, covariances, converged = (
        np.concatenate([part[i] for part in parts]) for i in range(4)
    )
    effects = np.linalg.solve(X.T @ X, X.T @ completed)
    return ImputedBatch(
        completed=completed,
        coefs=coefs,
        covariances=covariances,
        converged=converged,
        differences=effects[:, 1 : int(arm.max()) + 1],
    )


def _designs(
    y: np.ndarray, arm: np.ndarray, covariates: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return regressors of the model in the own and the reference arm, and of the analysis."""
    if np.ndim(y) != 3 or not len(y):
        raise DesignError(
            f"`y` must have shape (n_replicates, n_subjects, n_visits), got {np.shape(y)}."
        )
    n = y.shape[1]
    arm = np.asarray(arm)
    kinds = np.unique(arm)
    whole = np.issubdtype(arm.dtype, np.integer)
    if arm.shape != (n,) or not whole or kinds.tolist() != list(range(len(kinds))):
        raise DesignError(
            f"`arm` must be {n} whole numbers from 0 (reference) without gaps, got shape "
            f"{arm.shape} with values {kinds[:5].tolist()}."
        )
    extra = np.zeros((n, 0)) if covariates is None else np.asarray(covariates, dtype=float)
    if extra.ndim != 2 or len(extra) != n or not np.isfinite(extra).all():
        raise DesignError(
            f"`covariates` must be finite numbers of shape ({n}, k), got shape {extra.shape}."
        )
    extra = extra - extra.mean(axis=0)
    eye = np.eye(len(kinds))
    own, reference = np.hstack([eye[arm], extra]), np.hstack([eye[np.zeros_like(arm)], extra])
    return own, reference, np.hstack([np.ones((n, 1)), eye[arm][:, 1:], extra])


def _events(y: np.ndarray, n_before: np.ndarray | None) -> np.ndarray:
    """Return visits before the event: those given, or up to the last value."""
    T = y.shape[2]
    if n_before is None:
        seen = ~np.isnan(y)
        return np.where(seen.any(axis=2), T - np.argmax(seen[:, :, ::-1], axis=2), 0)
    before = np.asarray(n_before)
    if before.shape != y.shape[:2] or (before < 0).any() or (before > T).any():
        raise DesignError(
            f"`n_before` must be whole numbers from 0 to {T} of shape {y.shape[:2]}, got shape "
            f"{before.shape}."
        )
    return before


def _one_block(
    y: np.ndarray, before: np.ndarray, own: np.ndarray, reference: np.ndarray, strategy: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fit and complete a block of replicates."""
    after = np.arange(y.shape[2]) >= before[:, :, None]
    informing = y if strategy == "MAR" else np.where(after, np.nan, y)
    fit = fit_regressions(sums_of_replicates(informing, own, np.zeros(len(own), dtype=int)))
    sigma = np.where(fit.converged[:, None, None], fit.covariances[:, 0], np.eye(y.shape[2]))
    coefs = np.where(fit.converged[:, None, None], fit.coefs, np.nan)
    mu_own, mu_reference = own @ coefs, reference @ coefs
    completed = y.copy()
    for at, rows, gap in _cells(y, np.where(strategy == "MAR", 0, before)):
        # One row per replicate and subject here: means are (n_cell, 1, n_visits).
        cov, seen = sigma[rows[0]], ~gap
        name = strategy if at < y.shape[2] else "MAR"  # a gap without an event
        mu, _ = STRATEGIES[name](mu_own[rows][:, None], mu_reference[rows][:, None], cov, cov, at)
        slopes = np.linalg.solve(cov[:, seen][:, :, seen], cov[:, seen][:, :, gap])
        off = y[rows][:, None, seen] - mu[..., seen]
        values = (mu[..., gap] + off @ slopes)[:, 0]
        completed[rows[0][:, None], rows[1][:, None], np.flatnonzero(gap)] = values
    completed[~fit.converged] = np.nan
    covariances = np.where(fit.converged[:, None, None], fit.covariances[:, 0], np.nan)
    return completed, coefs, covariances, fit.converged


def _cells(
    y: np.ndarray, before: np.ndarray
) -> list[tuple[int, tuple[np.ndarray, np.ndarray], np.ndarray]]:
    """List event visit, rows and gaps of replicates and subjects that share them."""
    gaps = np.isnan(y)
    T = y.shape[2]
    code = (gaps @ (1 << np.arange(T, dtype=np.int64))) * (T + 1) + before
    code = np.where(gaps.any(axis=2), code, -1)
    cells = []
    for value in np.unique(code[code >= 0]).tolist():
        rows = np.nonzero(code == value)
        cells.append((int(value % (T + 1)), (rows[0], rows[1]), gaps[rows[0][0], rows[1][0]]))
    return cells
