"""Fine and Gray's partial likelihood of the subdistribution hazard, on arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pmsstats.models.curves.product_limit import ProductLimit, product_limit
from pmsstats.models.events.partial_likelihood import sums_from_start

__all__ = [
    "CompetingTimes",
    "SubdistributionTerms",
    "cumulative_incidence_influence",
    "subdistribution_influence",
    "subdistribution_terms",
]


@dataclass(frozen=True, kw_only=True, eq=False)
class CompetingTimes:
    """Times sorted in ascending order, with how each ended.

    Parameters
    ----------
    time : ndarray, shape (n,)
        Ascending.
    is_event, is_competing : ndarray of bool, shape (n,)
        Whether the event of interest, or another that prevents it, ended the follow-up; neither
        where it was censored.
    X : ndarray, shape (n, n_terms)
        Covariates.
    """

    time: np.ndarray
    is_event: np.ndarray
    is_competing: np.ndarray
    X: np.ndarray

    @property
    def is_censored(self) -> np.ndarray:
        """Return whose follow-up ended without event."""
        return ~(self.is_event | self.is_competing)

    def first_at(self, time: np.ndarray) -> np.ndarray:
        """Return the position of the first subject whose time is not before each of some times.

        Parameters
        ----------
        time : ndarray, shape (m,)
            When.

        Returns
        -------
        ndarray of int, shape (m,)
            Those from there on are at risk.
        """
        return np.searchsorted(self.time, time, side="left")

    def censoring_survival(self, time: np.ndarray) -> np.ndarray:
        """Return the Kaplan-Meier probability of not being censored before some times.

        Parameters
        ----------
        time : ndarray, shape (m,)
            When.

        Returns
        -------
        ndarray, shape (m,)
            Events count as the end of observation of the censoring time.
        """
        survival = np.concatenate([[1.0], self._censoring.survival])
        return survival[np.searchsorted(self._censoring.table.time, time, side="left")]

    @cached_property
    def _censoring(self) -> ProductLimit:
        """Return the curve of censoring, the same at every step of a climb."""
        return product_limit(self.time, self.is_censored)


@dataclass(frozen=True, kw_only=True, eq=False)
class SubdistributionTerms:
    """The partial likelihood at one point, and its parts.

    Parameters
    ----------
    at : ndarray, shape (n_times,)
        Distinct times of the event of interest.
    n_events : ndarray of int, shape (n_times,)
        Events there.
    weight : ndarray, shape (n_times,)
        Probability of not being censored before.
    own_weight : ndarray, shape (n,)
        The same at each subject's own time.
    hazard : ndarray, shape (n,)
        ``exp(x' beta)``.
    denominator : ndarray, shape (n_times,)
        Weighted sum of hazards at risk.
    mean : ndarray, shape (n_times, n_terms)
        Weighted mean of covariates at risk.
    log_likelihood : float
        Breslow's, for ties.
    score : ndarray, shape (n_terms,)
        Its gradient.
    information : ndarray, shape (n_terms, n_terms)
        Its negative Hessian.
    """

    at: np.ndarray
    n_events: np.ndarray
    weight: np.ndarray
    own_weight: np.ndarray
    hazard: np.ndarray
    denominator: np.ndarray
    mean: np.ndarray
    log_likelihood: float
    score: np.ndarray
    information: np.ndarray

    @property
    def increments(self) -> np.ndarray:
        """Return the jumps of the baseline cumulative subdistribution hazard."""
        return self.n_events / self.denominator


def subdistribution_terms(times: CompetingTimes, beta: np.ndarray) -> SubdistributionTerms:
    """Evaluate the weighted partial likelihood.

    Parameters
    ----------
    times : CompetingTimes
        The data.
    beta : ndarray, shape (n_terms,)
        Log subdistribution hazard ratios.

    Returns
    -------
    SubdistributionTerms
        At `beta`.

    Notes
    -----
    At an event at t, those still followed are at risk with weight 1, and those who had a competing
    event at T < t with weight ``G(t-) / G(T-)``, G being the Kaplan-Meier curve of censoring [1]_:
    so many of them would still be followed, had the other event not happened. Both sums are
    cumulative, so the cost is that of a sort.

    References
    ----------
    .. [1] Fine JP, Gray RJ. A proportional hazards model for the subdistribution of a competing
       risk. J Am Stat Assoc 1999;94:496-509. doi:10.1080/01621459.1999.10474144
    """
    X = times.X
    hazard = np.exp(X @ beta)
    at, n_events = np.unique(times.time[times.is_event], return_counts=True)
    weight, own_weight = times.censoring_survival(at), times.censoring_survival(times.time)
    first = times.first_at(at)
    gone = np.where(times.is_competing, hazard / own_weight, 0.0)

    def at_risk(columns: np.ndarray) -> np.ndarray:
        shape = (-1, *([1] * (columns.ndim - 1)))
        followed = sums_from_start((hazard.reshape(shape) * columns)[::-1])[::-1][first]
        counted = sums_from_start(gone.reshape(shape) * columns)[first]
        return followed + weight.reshape(shape) * counted

    denominator = at_risk(np.ones(len(X)))
    mean = at_risk(X) / denominator[:, None]
    second = at_risk(X[:, :, None] * X[:, None, :]) / denominator[:, None, None]
    covariance = second - mean[:, :, None] * mean[:, None, :]
    events = X[times.is_event]
    return SubdistributionTerms(
        at=at,
        n_events=n_events,
        weight=weight,
        own_weight=own_weight,
        hazard=hazard,
        denominator=denominator,
        mean=mean,
        log_likelihood=float((events @ beta).sum() - n_events @ np.log(denominator)),
        score=events.sum(axis=0) - n_events @ mean,
        information=np.einsum("k,kij->ij", n_events, covariance),
    )


def subdistribution_influence(times: CompetingTimes, terms: SubdistributionTerms) -> np.ndarray:
    """Return the influence of each subject on the score, that of estimated weights included.

    Parameters
    ----------
    times : CompetingTimes
        The data.
    terms : SubdistributionTerms
        At the maximum.

    Returns
    -------
    ndarray, shape (n, n_terms)
        ``eta + psi`` of Fine and Gray [1]_, section 4; summed squares, between two inverse
        informations, give the robust covariance.

    References
    ----------
    .. [1] Fine JP, Gray RJ. A proportional hazards model for the subdistribution of a competing
       risk. J Am Stat Assoc 1999;94:496-509. doi:10.1080/01621459.1999.10474144
    """
    step = terms.increments
    until = np.searchsorted(terms.at, times.time, side="right")
    eta = _expected(times, terms, until, step, step[:, None] * terms.mean)
    event = np.flatnonzero(times.is_event)
    eta[event] += times.X[event] - terms.mean[until[event] - 1]
    later = terms.weight * step
    return eta + _weight_influence(times, terms, later, later[:, None] * terms.mean)


def _expected(
    times: CompetingTimes,
    terms: SubdistributionTerms,
    until: np.ndarray,
    step: np.ndarray,
    drift: np.ndarray,
) -> np.ndarray:
    """Return minus the integral of (x - mean) weight exp(x' beta) d Lambda of each subject."""
    plain, plain_drift = sums_from_start(step), sums_from_start(drift)
    weighted = sums_from_start(terms.weight * step)
    weighted_drift = sums_from_start(terms.weight[:, None] * drift)
    own = plain[until][:, None] * times.X - plain_drift[until]
    after = (weighted[-1] - weighted[until])[:, None] * times.X
    after -= weighted_drift[-1] - weighted_drift[until]
    share = np.where(times.is_competing, 1.0 / terms.own_weight, 0.0)
    return -terms.hazard[:, None] * (own + share[:, None] * after)


def _weight_influence(
    times: CompetingTimes, terms: SubdistributionTerms, later: np.ndarray, later_drift: np.ndarray
) -> np.ndarray:
    """Return psi: what each subject adds through the censoring curve."""
    at, lost = np.unique(times.time[times.is_censored], return_counts=True)
    first = times.first_at(at)
    share = np.where(times.is_competing, terms.hazard / terms.own_weight, 0.0)
    gone = sums_from_start(share)[first]
    gone_x = sums_from_start(share[:, None] * times.X)[first]
    ahead = np.searchsorted(terms.at, at, side="left")
    rest, rest_drift = sums_from_start(later), sums_from_start(later_drift)
    q = gone_x * (rest[-1] - rest[ahead])[:, None]
    q -= gone[:, None] * (rest_drift[-1] - rest_drift[ahead])
    return _through_censoring(times, at, lost, q)


def _through_censoring(
    times: CompetingTimes, at: np.ndarray, lost: np.ndarray, q: np.ndarray
) -> np.ndarray:
    """Integrate q / (number at risk) over each subject's censoring martingale."""
    at_risk = (len(times.time) - times.first_at(at))[:, None]
    per_subject = q / at_risk
    passed = sums_from_start(per_subject * lost[:, None] / at_risk)
    psi = -passed[np.searchsorted(at, times.time, side="right")]
    censored = times.is_censored
    psi[censored] += per_subject[np.searchsorted(at, times.time[censored])]
    return psi


def cumulative_incidence_influence(
    times: CompetingTimes, terms: SubdistributionTerms, beta_influence: np.ndarray,
    x: np.ndarray, when: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Return the influence of each subject on the log cumulative subdistribution hazard at x.

    Parameters
    ----------
    times : CompetingTimes
        The data.
    terms : SubdistributionTerms
        At the maximum.
    beta_influence : ndarray, shape (n, n_terms)
        Influence on the estimate: that on the score times the inverse information.
    x : ndarray, shape (n_terms,)
        Covariates to predict for.
    when : ndarray, shape (n_when,)
        Times, none before the first event.

    Returns
    -------
    ndarray, shape (n, n_when)
        Sums of squares over subjects are variances.
    """
    until = np.searchsorted(terms.at, when, side="right")
    step = terms.increments
    total = sums_from_start(step)[until]
    drift = total[:, None] * x - sums_from_start(step[:, None] * terms.mean)[until]
    influence = beta_influence @ drift.T
    rate = step / terms.denominator
    plain, weighted = sums_from_start(rate), sums_from_start(terms.weight * rate)
    own = np.searchsorted(terms.at, times.time, side="right")
    seen = np.minimum(own[:, None], until[None, :])
    after = np.maximum(weighted[until][None, :] - weighted[own][:, None], 0.0)
    share = np.where(times.is_competing, 1.0 / terms.own_weight, 0.0)
    influence -= terms.hazard[:, None] * (plain[seen] + share[:, None] * after)
    event = np.flatnonzero(times.is_event)
    jump = 1.0 / terms.denominator[own[event] - 1]
    influence[event] += jump[:, None] * (own[event][:, None] <= until[None, :])
    at, lost = np.unique(times.time[times.is_censored], return_counts=True)
    gone = sums_from_start(np.where(times.is_competing, terms.hazard / terms.own_weight, 0.0))
    ahead = np.searchsorted(terms.at, at, side="left")
    rest = np.maximum(weighted[until][None, :] - weighted[ahead][:, None], 0.0)
    q = gone[times.first_at(at)][:, None] * rest
    influence += _through_censoring(times, at, lost, q)
    return influence / total
