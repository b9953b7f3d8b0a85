"""Cox's partial likelihood on arrays: its value, gradient and curvature, with ties and strata.

The engine in :mod:`pmsstats.models.backends.lifelines_cox` goes close to the maximum; what is
computed here goes the rest of the way, certifies it, and is what
:mod:`pmsstats.models.events.cox_diagnostics` builds on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.maxima import newton_decrement

__all__ = [
    "CountingProcess",
    "CoxEngineFit",
    "EfronTerms",
    "climb",
    "efron_terms",
    "is_regular",
    "monotone_terms",
    "polish",
    "sum_at_risk",
    "sums_from_start",
]

_ROUNDING = 1e-12  # eigenvalues below are sums of cancelled terms
_POLISHED = 1e-20  # squared standard errors from the maximum: beyond double precision
_LEVEL = 1e-13  # relative: rounding of a log-likelihood
_STILL = 1e-12  # standard deviations of a covariate: a step that moves nothing


@dataclass(frozen=True, kw_only=True, eq=False)
class CountingProcess:
    """Rows that are at risk over (start, stop], and whether an event ends them.

    Parameters
    ----------
    start : ndarray, shape (n_rows,)
        Entry, exclusive; ``-inf`` where a row is at risk from the beginning.
    stop : ndarray, shape (n_rows,)
        Exit, inclusive, in the same unit.
    event : ndarray of bool, shape (n_rows,)
        True where an event happened at `stop`.
    X : ndarray, shape (n_rows, n_terms)
        Covariates, constant over the interval.
    stratum : ndarray of int, shape (n_rows,)
        Code of the baseline hazard that a row shares.
    """

    start: np.ndarray
    stop: np.ndarray
    event: np.ndarray
    X: np.ndarray
    stratum: np.ndarray

    def keys(self) -> tuple[np.ndarray, np.ndarray]:
        """Return start and stop as integers that order rows by stratum, then time.

        Returns
        -------
        tuple of ndarray of int64, each of shape (n_rows,)
            A row is at risk at key ``k`` of an event if ``start < k <= stop``: rows of other
            strata never are.
        """
        times = np.unique(np.concatenate([self.start, self.stop]))
        offset = self.stratum.astype(np.int64) * (len(times) + 1)
        return (
            offset + np.searchsorted(times, self.start),
            offset + np.searchsorted(times, self.stop),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class EfronTerms:
    """The factors of Efron's partial likelihood, one per event, ordered by stratum and time.

    Parameters
    ----------
    beta : ndarray, shape (n_terms,)
        Where the likelihood was evaluated.
    row : ndarray of int, shape (n_events,)
        The row that had the event.
    key : ndarray of int64, shape (n_events,)
        Stratum and time of the event, see :meth:`CountingProcess.keys`.
    tie : ndarray of int, shape (n_events,)
        Index of the set of tied events that an event belongs to.
    fraction : ndarray, shape (n_events,)
        Share of the tied events that the denominator leaves out: 0, 1/d, ..., (d-1)/d.
    denominator : ndarray, shape (n_events,)
        Sum of relative hazards at risk, at the centred covariates.
    mean : ndarray, shape (n_events, n_terms)
        Weighted mean of the covariates at risk.
    covariance : ndarray, shape (n_events, n_terms, n_terms)
        Weighted covariance of the covariates at risk.
    relative_hazard : ndarray, shape (n_rows,)
        ``exp((x - mean x)' beta)`` of every row.
    log_likelihood : float
        Sum of the log factors.
    score : ndarray, shape (n_terms,)
        Its gradient.
    information : ndarray, shape (n_terms, n_terms)
        Its negative Hessian.
    """

    beta: np.ndarray
    row: np.ndarray
    key: np.ndarray
    tie: np.ndarray
    fraction: np.ndarray
    denominator: np.ndarray
    mean: np.ndarray
    covariance: np.ndarray
    relative_hazard: np.ndarray
    log_likelihood: float
    score: np.ndarray
    information: np.ndarray

    def decrement(self) -> float:
        """Return how far from the maximum this is, in squared standard errors."""
        return newton_decrement(self.score, self.information)


@dataclass(frozen=True, kw_only=True, eq=False)
class CoxEngineFit:
    """Where an engine ended.

    Parameters
    ----------
    beta : ndarray, shape (n_terms,)
        Log hazard ratios, per unit of the columns given, close to the maximum.
    log_likelihood : float
        Partial log-likelihood near there, by the engine's own count.
    optimiser : str
        Its class and algorithm.
    version : str
        Of the engine.
    messages : tuple of str
        Its warnings, first line each.
    """

    beta: np.ndarray
    log_likelihood: float
    optimiser: str
    version: str
    messages: tuple[str, ...]


def monotone_terms(process: CountingProcess) -> np.ndarray:
    """Find covariates along which the likelihood rises without end.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk.

    Returns
    -------
    ndarray of int, shape (n_terms,)
        1 where every event has the highest value of the covariate among those at risk, -1 where
        every event has the lowest, else 0. Combinations of covariates are not searched.
    """
    start, stop = process.keys()
    is_highest = np.ones(process.X.shape[1], dtype=bool)
    is_lowest = is_highest.copy()
    for row in np.flatnonzero(process.event):
        at_risk = process.X[(start < stop[row]) & (stop >= stop[row])]
        is_highest &= process.X[row] >= at_risk.max(axis=0)
        is_lowest &= process.X[row] <= at_risk.min(axis=0)
    return is_highest.astype(int) - is_lowest.astype(int)


def sum_at_risk(
    start: np.ndarray, stop: np.ndarray, values: np.ndarray, at: np.ndarray
) -> np.ndarray:
    """Sum values over the rows at risk, at each of some times.

    Parameters
    ----------
    start, stop : ndarray, shape (n_rows,)
        Times or keys; a row is at risk at ``t`` if ``start < t <= stop``.
    values : ndarray, shape (n_rows, ...)
        What is summed over rows.
    at : ndarray, shape (n_times,)
        When.

    Returns
    -------
    ndarray, shape (n_times, ...)
        Differences of cumulative sums.
    """
    still_there = _sums_from(stop, values, at)
    if not len(at) or start.max() < at.min():  # nobody enters late
        return still_there
    return still_there - _sums_from(start, values, at)


def _sums_from(key: np.ndarray, values: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Sum `values` over the rows whose key is at least each of `at`."""
    order = np.argsort(-key, kind="stable")
    return sums_from_start(values[order])[np.searchsorted(-key[order], -at, side="right")]


def sums_from_start(values: np.ndarray) -> np.ndarray:
    """Return sums over the first 0, 1, ..., n rows.

    Parameters
    ----------
    values : ndarray, shape (n, ...)
        What is summed.

    Returns
    -------
    ndarray, shape (n + 1, ...)
        Sums of rows i to j - 1 are differences of its rows j and i.

    Examples
    --------
    >>> sums_from_start(np.array([1.0, 2.0, 3.0])).tolist()
    [0.0, 1.0, 3.0, 6.0]
    """
    total = np.zeros((len(values) + 1, *values.shape[1:]))
    np.cumsum(values, axis=0, out=total[1:])
    return total


def efron_terms(process: CountingProcess, beta: np.ndarray) -> EfronTerms:
    """Evaluate Efron's partial likelihood and its derivatives.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk.
    beta : ndarray, shape (n_terms,)
        Log hazard ratios.

    Returns
    -------
    EfronTerms
        One factor per event, their sum, gradient and Hessian.

    Notes
    -----
    With d events tied at one time in one stratum, R at risk and D the tied events, factor
    l = 0, ..., d-1 has the denominator ``sum_R w - (l / d) sum_D w`` with ``w = exp(x' beta)``
    [1]_. Sums over risk sets are differences of cumulative sums, so the cost is that of a sort.

    References
    ----------
    .. [1] Efron B. The efficiency of Cox's likelihood function for censored data. J Am Stat Assoc
       1977;72:557-565. doi:10.1080/01621459.1977.10480613
    """
    start, stop = process.keys()
    centre = process.X.mean(axis=0)
    centred = process.X - centre
    predictor = centred @ beta
    weight = np.exp(predictor)
    moments = (weight, weight[:, None] * centred, weight[:, None, None] * _outer(centred))

    row = np.flatnonzero(process.event)
    row = row[np.argsort(stop[row], kind="stable")]
    key = stop[row]
    at, first, tie, count = np.unique(
        key, return_index=True, return_inverse=True, return_counts=True
    )
    fraction = (np.arange(len(row)) - first[tie]) / count[tie]
    denominator, first_moment, second_moment = (
        sum_at_risk(start, stop, m, at)[tie]
        - _expand(fraction, m.ndim) * np.add.reduceat(m[row], first, axis=0)[tie]
        for m in moments
    )
    mean = first_moment / denominator[:, None]
    covariance = second_moment / denominator[:, None, None] - _outer(mean)
    return EfronTerms(
        beta=beta,
        row=row,
        key=key,
        tie=tie,
        fraction=fraction,
        denominator=denominator,
        mean=mean + centre,
        covariance=covariance,
        relative_hazard=weight,
        log_likelihood=float(predictor[row].sum() - np.log(denominator).sum()),
        score=(centred[row] - mean).sum(axis=0),
        information=covariance.sum(axis=0),
    )


def _outer(x: np.ndarray) -> np.ndarray:
    """Return the outer product of each row with itself."""
    return x[:, :, None] * x[:, None, :]


def _expand(x: np.ndarray, ndim: int) -> np.ndarray:
    """Give a vector trailing axes, to multiply arrays of `ndim` axes by it."""
    return x.reshape(-1, *([1] * (ndim - 1)))


def polish(process: CountingProcess, beta: np.ndarray, *, max_steps: int = 5) -> EfronTerms:
    """Take Newton steps from near the maximum until they no longer matter.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk.
    beta : ndarray, shape (n_terms,)
        Where an engine stopped.
    max_steps : int, default 5
        From near the maximum, each step doubles the number of right digits.

    Returns
    -------
    EfronTerms
        At the last point. Whether that is a maximum is for the caller to check.
    """
    terms = efron_terms(process, beta)
    for _ in range(max_steps):
        if not is_regular(terms.information) or terms.decrement() < _POLISHED:
            break
        beta = terms.beta + np.linalg.solve(terms.information, terms.score)
        terms = efron_terms(process, beta)
    return terms


def climb(process: CountingProcess, *, max_steps: int = 50) -> tuple[EfronTerms, EfronTerms]:
    """Maximise the partial likelihood by Newton's method from no effect.

    Parameters
    ----------
    process : CountingProcess
        Rows at risk; covariates standardised.
    max_steps : int, default 50
        The log-likelihood is concave: few are needed where it has a maximum.

    Returns
    -------
    null, last : EfronTerms
        At zero, and where the steps ended. Whether that is a maximum is for the caller to check.

    Notes
    -----
    A step that would lower the log-likelihood is halved until it does not.
    """
    null = terms = efron_terms(process, np.zeros(process.X.shape[1]))
    for _ in range(max_steps):
        if not is_regular(terms.information) or terms.decrement() < _POLISHED:
            break
        step = np.linalg.solve(terms.information, terms.score)
        candidate = efron_terms(process, terms.beta + step)
        slack = _LEVEL * abs(terms.log_likelihood)
        while not candidate.log_likelihood >= terms.log_likelihood - slack:
            step = step / 2
            if np.abs(step).max() < _STILL:
                return null, terms
            candidate = efron_terms(process, terms.beta + step)
        terms = candidate
    return null, terms


def is_regular(information: np.ndarray) -> bool:
    """Say whether an information matrix is positive definite, beyond rounding.

    Parameters
    ----------
    information : ndarray, shape (n_terms, n_terms)
        Of standardised covariates.

    Returns
    -------
    bool
        False also where an entry is infinite or missing.
    """
    if not np.isfinite(information).all():
        return False
    eigenvalues = np.linalg.eigvalsh(information)
    return bool(eigenvalues[0] > _ROUNDING * eigenvalues[-1] and eigenvalues[0] > _ROUNDING)
