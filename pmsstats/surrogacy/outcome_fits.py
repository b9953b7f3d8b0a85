"""Regressions of one outcome for many weightings of the subjects, and their influence functions.

A bootstrap replicate is a vector of how often each subject was drawn, so that all replicates are
fitted together and nothing loops over them.

References
----------
.. [1] Lin DY, Fleming TR, De Gruttola V. Estimating the proportion of treatment effect explained
   by a surrogate marker. Stat Med 1997;16:1515-1527.
   doi:10.1002/(SICI)1097-0258(19970715)16:13<1515::AID-SIM572>3.0.CO;2-1
.. [2] Therneau TM, Grambsch PM. Modeling Survival Data. Springer 2000, sections 3.3, 7.1.
   doi:10.1007/978-1-4757-3294-8
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.events.cox_diagnostics import score_residuals
from pmsstats.models.events.partial_likelihood import CountingProcess, efron_terms
from pmsstats.surrogacy.specs import OutcomeKind

__all__ = ["OutcomeFit", "coefficients", "draw_within", "fit_outcome", "with_intercept"]

_STEPS = 30
_DECREMENT = 1e-12  # squared standard errors from the maximum
_FAR = 20.0  # log odds or log hazard ratio per SD: beyond, the maximum lies at infinity
_COLLINEAR = 1e-10  # smallest over largest eigenvalue of standardised columns
_CONSTANT = 1e-12  # standard deviation over largest value
_CELLS = 4_000_000  # numbers per array of a chunk: 32 MB


@dataclass(frozen=True, kw_only=True, eq=False)
class OutcomeFit:
    """One regression.

    Parameters
    ----------
    beta : ndarray, shape (n_terms,)
        Coefficients; with an intercept first, except in Cox models.
    covariance : ndarray, shape (n_terms, n_terms)
        Model based.
    influence : ndarray, shape (n_subjects, n_terms)
        How each subject moves the coefficients; cross-products over subjects estimate covariances
        between fits of the same subjects [1]_.
    df : float
        Residual degrees of freedom; infinite where tests are normal.
    log_likelihood : float
        At the maximum (partial, in Cox models).
    """

    beta: np.ndarray
    covariance: np.ndarray
    influence: np.ndarray
    df: float
    log_likelihood: float


def with_intercept(kind: OutcomeKind, columns: np.ndarray) -> np.ndarray:
    """Return the design of a regression: an intercept in front, except in Cox models.

    Parameters
    ----------
    kind : {"continuous", "binary", "survival"}
        What the outcome is.
    columns : ndarray, shape (n_subjects, n_columns)
        Treatment, surrogate, covariates.

    Returns
    -------
    ndarray, shape (n_subjects, n_terms)
        The design.
    """
    if kind == "survival":
        return columns
    return np.column_stack([np.ones(len(columns)), columns])


def fit_outcome(
    kind: OutcomeKind, X: np.ndarray, outcome: np.ndarray, event: np.ndarray, *, what: str
) -> OutcomeFit:
    """Fit a linear, logistic or Cox regression.

    Parameters
    ----------
    kind : {"continuous", "binary", "survival"}
        Which.
    X : ndarray, shape (n_subjects, n_terms)
        From :func:`with_intercept`.
    outcome, event : ndarray, shape (n_subjects,)
        Values or times, and whether times are events.
    what : str
        For messages: ``"treatment effect on the outcome"``.

    Returns
    -------
    OutcomeFit
        Estimates with influence.

    Raises
    ------
    DesignError
        If the columns are collinear, or there are too few subjects or events for them.
    ConvergenceError
        If the likelihood has no maximum (separation).
    """
    n = int(event.sum()) if kind == "survival" else len(X)
    if n <= X.shape[1]:
        raise DesignError(
            f"The {what} has {X.shape[1]} terms, but only {n} "
            f"{'events' if kind == 'survival' else 'subjects'} to estimate them."
        )
    _refuse_collinear(X, kind, what)
    beta, reached = coefficients(kind, np.ones((1, len(X))), X, outcome, event)
    if not reached[0]:
        raise ConvergenceError(
            f"The {what} cannot be estimated: its likelihood has no maximum. Most often all "
            "outcomes of one arm, or of one side of the surrogate, are alike (separation)."
        )
    return _DETAILS[kind](X, outcome, event, beta[0])


def _refuse_collinear(X: np.ndarray, kind: str, what: str) -> None:
    """Refuse columns that are combinations of others."""
    columns = X if kind == "survival" else X[:, 1:]
    centred = columns - columns.mean(axis=0)
    spread = centred.std(axis=0)
    varied = spread > _CONSTANT * np.abs(columns).max(axis=0)
    unit = centred / np.where(varied, spread, 1.0)
    values = np.linalg.eigvalsh(unit.T @ unit / len(unit))
    if not varied.all() or values[0] < _COLLINEAR * values[-1]:
        raise DesignError(
            f"The columns of the {what} are collinear: treatment, surrogate and covariates cannot "
            "be told apart. Leave one out."
        )


def coefficients(
    kind: OutcomeKind, weights: np.ndarray, X: np.ndarray, outcome: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the regression for each weighting of the subjects.

    Parameters
    ----------
    kind : {"continuous", "binary", "survival"}
        Which.
    weights : ndarray, shape (n_sets, n_subjects)
        How often each subject counts.
    X, outcome, event : ndarray
        As in :func:`fit_outcome`.

    Returns
    -------
    beta : ndarray, shape (n_sets, n_terms)
        Coefficients; missing where there is no maximum.
    reached : ndarray of bool, shape (n_sets,)
        Whether there is one.
    """
    scale = X.std(axis=0)
    constant = scale <= np.finfo(float).eps * np.abs(X).max(axis=0)
    scale = np.where(constant, 1.0, scale)
    centre = np.where(constant, 0.0, X.mean(axis=0))  # far from 0 they hide behind the intercept
    chunk = max(1, _CELLS // (X.shape[0] * (X.shape[1] + 1) ** 2))
    fit = _FITS[kind]
    parts = [
        fit(weights[i : i + chunk], (X - centre) / scale, outcome, event)
        for i in range(0, len(weights), chunk)
    ]
    beta, reached = (np.concatenate(part) for part in zip(*parts, strict=True))
    beta = beta / scale
    if constant.any():
        intercept = int(np.argmax(constant))
        beta[:, intercept] -= beta @ centre / X[0, intercept]
    return np.where(reached[:, None], beta, np.nan), reached


def _linear(
    weights: np.ndarray, X: np.ndarray, y: np.ndarray, event: np.ndarray  # noqa: ARG001
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Solve weighted least squares."""
    centre = y.mean()
    XX = (weights @ (X[:, :, None] * X[:, None, :]).reshape(len(X), -1)).reshape(
        len(weights), X.shape[1], X.shape[1]
    )
    Xy = weights @ (X * (y - centre)[:, None])
    beta, reached = _solve(XX, Xy)
    beta[:, 0] += centre  # the intercept is the first column
    return beta, reached


def _solve(A: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Solve symmetric systems; say which were regular."""
    values = np.linalg.eigvalsh(A)
    regular = np.isfinite(values).all(axis=1) & (values[:, 0] > _COLLINEAR * values[:, -1])
    safe = np.where(regular[:, None, None], A, np.eye(A.shape[1]))
    return np.linalg.solve(safe, b[..., None])[..., 0], regular


def _logistic(
    weights: np.ndarray, X: np.ndarray, y: np.ndarray, event: np.ndarray  # noqa: ARG001
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Maximise the logistic likelihood by Newton's method."""
    XX = (X[:, :, None] * X[:, None, :]).reshape(len(X), -1)

    def terms(beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        p = special.expit(beta @ X.T)
        information = ((weights * p * (1 - p)) @ XX).reshape(len(beta), X.shape[1], X.shape[1])
        return (weights * (y - p)) @ X, information

    return _newton(terms, len(weights), X.shape[1])


def _cox(
    weights: np.ndarray, X: np.ndarray, time: np.ndarray, event: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Maximise Efron's partial likelihood; weights of tied events as in section 7.1 of [2]_."""
    order = np.argsort(-time, kind="stable")
    X, time, event, weights = (
        X[order] - X.mean(axis=0),
        time[order],
        event[order],
        weights[:, order],
    )
    n, p = X.shape
    columns = np.column_stack(
        [np.ones(n), X, (X[:, :, None] * X[:, None, :]).reshape(n, -1)]
    )  # risk sums of 1, x, xx'
    row = np.flatnonzero(event)
    at_risk = np.searchsorted(-time, -time[row], side="right") - 1  # last row still at risk
    _, first, tie, count = np.unique(
        -time[row], return_index=True, return_inverse=True, return_counts=True
    )
    fraction = (np.arange(len(row)) - first[tie]) / count[tie]
    own = weights[:, row]
    share = np.add.reduceat(own, first, axis=1)[:, tie] / count[tie]  # mean weight of the tied

    def terms(beta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        risk = (weights * np.exp(np.clip(beta @ X.T, -500, 500)))[:, :, None] * columns
        tied = np.add.reduceat(risk[:, row], first, axis=1)[:, tie]
        sums = np.cumsum(risk, axis=1)[:, at_risk] - fraction[:, None] * tied
        total = np.where(share > 0, sums[..., 0], 1.0)
        mean = sums[..., 1 : p + 1] / total[..., None]
        second = (share / total)[..., None] * sums[..., p + 1 :]
        information = second.sum(axis=1).reshape(len(beta), p, p)
        information -= np.einsum("re,rep,req->rpq", share, mean, mean)
        return own @ X[row] - np.einsum("re,rep->rp", share, mean), information

    return _newton(terms, len(weights), p)


def _newton(terms, n_sets: int, n_terms: int) -> tuple[np.ndarray, np.ndarray]:  # noqa: ANN001
    """Take Newton steps from zero until all sets stand still, or run away."""
    beta, reached = np.zeros((n_sets, n_terms)), np.zeros(n_sets, dtype=bool)
    for _ in range(_STEPS):
        with np.errstate(all="ignore"):
            score, information = terms(beta)
            step, regular = _solve(information, score)
            reached = regular & (np.abs((step * score).sum(axis=1)) < _DECREMENT)
        size = np.abs(step).max(axis=1, keepdims=True)
        beta += np.where(regular[:, None], step, 0.0) * np.minimum(
            1.0, 5.0 / np.maximum(size, 1e-300)
        )
        if (reached | ~regular | (np.abs(beta).max(axis=1) > _FAR)).all():
            break
    return beta, reached & (np.abs(beta).max(axis=1) < _FAR)


def _linear_details(
    X: np.ndarray, y: np.ndarray, event: np.ndarray, beta: np.ndarray  # noqa: ARG001
) -> OutcomeFit:  # fmt: skip
    """Give covariance, influence and likelihood of least squares."""
    residual = y - X @ beta
    df = len(y) - X.shape[1]
    inverse = np.linalg.inv(X.T @ X)
    squares = float(residual @ residual)
    return OutcomeFit(
        beta=beta,
        covariance=inverse * squares / df,
        influence=(X * residual[:, None]) @ inverse,
        df=float(df),
        log_likelihood=_normal_log_likelihood(squares, len(y)),
    )


def _normal_log_likelihood(squares: float, n: int) -> float:
    """Return the maximised normal log-likelihood; infinite for a perfect fit."""
    return float("inf") if squares == 0 else -n / 2 * float(np.log(2 * np.pi * squares / n) + 1)


def _logistic_details(
    X: np.ndarray, y: np.ndarray, event: np.ndarray, beta: np.ndarray  # noqa: ARG001
) -> OutcomeFit:  # fmt: skip
    """Give covariance, influence and likelihood of a logistic regression."""
    predictor = X @ beta
    p = special.expit(predictor)
    inverse = np.linalg.inv((X * (p * (1 - p))[:, None]).T @ X)
    return OutcomeFit(
        beta=beta,
        covariance=inverse,
        influence=(X * (y - p)[:, None]) @ inverse,
        df=float("inf"),
        log_likelihood=float(y @ predictor - np.logaddexp(0, predictor).sum()),
    )


def _cox_details(
    X: np.ndarray, time: np.ndarray, event: np.ndarray, beta: np.ndarray
) -> OutcomeFit:
    """Give covariance, influence and partial likelihood of a Cox model."""
    process = CountingProcess(
        start=np.full(len(time), -np.inf), stop=time, event=event, X=X,
        stratum=np.zeros(len(time), dtype=int),
    )  # fmt: skip
    terms = efron_terms(process, beta)
    inverse = np.linalg.inv(terms.information)
    return OutcomeFit(
        beta=beta,
        covariance=inverse,
        influence=score_residuals(process, terms) @ inverse,
        df=float("inf"),
        log_likelihood=terms.log_likelihood,
    )


_FITS = {"continuous": _linear, "binary": _logistic, "survival": _cox}
_DETAILS = {
    "continuous": _linear_details, "binary": _logistic_details, "survival": _cox_details
}  # fmt: skip


def draw_within(groups: np.ndarray, rng: np.random.Generator, n_replicates: int) -> np.ndarray:
    """Draw subjects with replacement within their group.

    Parameters
    ----------
    groups : ndarray, shape (n_subjects,)
        Group of each subject, such as the arm.
    rng : numpy.random.Generator
        The stream.
    n_replicates : int
        How many replicates.

    Returns
    -------
    ndarray, shape (n_replicates, n_subjects)
        How often each subject was drawn.
    """
    counts = np.zeros((n_replicates, len(groups)))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        even = np.full(len(members), 1 / len(members))
        counts[:, members] = rng.multinomial(len(members), even, size=n_replicates)
    return counts
