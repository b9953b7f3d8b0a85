"""Inverse-probability-of-censoring weights at a horizon, and what estimating them costs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["CensoringWeights", "censoring_weights"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CensoringWeights:
    """Weights that make the subjects whose status at a horizon is known stand for all.

    Parameters
    ----------
    weight : ndarray, shape (n_subjects,)
        Inverse of the probability of being uncensored as long as the subject was; 0 for those
        who were censored by the horizon without an event. Their mean is 1.
    case : ndarray of bool, shape (n_subjects,)
        True for an event of the cause of interest up to the horizon.
    last : ndarray of int, shape (n_subjects,)
        How many of `at` a subject's weight depends on: the censoring times before its event, or
        up to the horizon.
    exposed : ndarray of int, shape (n_subjects,)
        How many of `at` a subject was at risk of censoring at.
    censored_at : ndarray of int, shape (n_subjects,)
        Position in `at` of the subject's own censoring; -1 where there was none.
    at_risk, n_censored : ndarray, shape (n_times,)
        Subjects at risk of censoring at each distinct censoring time up to the horizon (those
        with an event at the same time are not), and those censored.
    remaining : float
        Probability of being uncensored at the horizon.
    """

    weight: np.ndarray
    case: np.ndarray
    last: np.ndarray
    exposed: np.ndarray
    censored_at: np.ndarray
    at_risk: np.ndarray
    n_censored: np.ndarray
    remaining: float

    def influence(self, values: np.ndarray) -> np.ndarray:
        """Return each subject's influence on weighted means, the weights being estimated.

        Parameters
        ----------
        values : ndarray, shape (..., n_subjects)
            What is averaged with the weights.

        Returns
        -------
        ndarray, shape (..., n_subjects)
            Sums to about 0 over subjects; ``sqrt(sum(influence^2)) / n_subjects`` is the standard
            error of ``mean(weight * values)``.

        Notes
        -----
        ``W_j f_j - theta`` for the average itself, plus ``integral h(v) / y(v) dM_j(v)`` for the
        Kaplan-Meier estimate of the censoring distribution, with M_j the subject's censoring
        martingale, y(v) the share of subjects at risk and h(v) the part of theta that rests on
        weights beyond v [1]_.

        References
        ----------
        .. [1] Blanche P, Proust-Lima C, Loubere L, Berr C, Dartigues JF, Jacqmin-Gadda H.
           Quantifying and comparing dynamic predictive accuracy of joint models for longitudinal
           marker and time-to-event in presence of censoring and competing risks. Biometrics
           2015;71:102-113. doi:10.1111/biom.12232
        """
        weighted = self.weight * values
        n, m = weighted.shape[-1], len(self.at_risk)
        direct = weighted - weighted.mean(axis=-1, keepdims=True)
        if m == 0:
            return direct
        flat = weighted.reshape(-1, n)
        beyond = np.stack([np.bincount(self.last, row, m + 1) for row in flat])
        # h(v_l): the weighted values of subjects whose weight depends on time l
        h = (beyond.sum(axis=1, keepdims=True) - np.cumsum(beyond, axis=1))[:, :m] / n
        # derivative of log(1 - dLambda) by one subject's censoring, n times
        step = h * n / np.maximum(self.at_risk - self.n_censored, 1.0)
        drift = np.zeros((len(flat), m + 1))
        np.cumsum(step * self.n_censored / self.at_risk, axis=1, out=drift[:, 1:])
        own = np.where(self.censored_at >= 0, step[:, self.censored_at], 0.0)
        made = own - drift[:, self.exposed]
        return direct + made.reshape(weighted.shape)


def censoring_weights(duration: np.ndarray, cause: np.ndarray, horizon: float) -> CensoringWeights:
    """Weight subjects by the inverse of the Kaplan-Meier probability of not being censored.

    Parameters
    ----------
    duration : ndarray, shape (n_subjects,)
        Follow-up from the landmark, above 0.
    cause : ndarray of int, shape (n_subjects,)
        0 censored, 1 the event of interest, 2 and more competing events.
    horizon : float
        On the scale of `duration`.

    Returns
    -------
    CensoringWeights
        For status at the horizon.

    Notes
    -----
    With G(t) the probability of being uncensored at t, the weight is ``1 / G(T-)`` for an event at
    ``T <= horizon`` and ``1 / G(horizon)`` for subjects followed beyond it. At equal times events
    come before censoring, so that weighted and Kaplan-Meier (Aalen-Johansen) shares of events
    agree exactly.

    Examples
    --------
    >>> weights = censoring_weights(np.array([1.0, 2.0, 3.0, 4.0]), np.array([1, 0, 1, 0]), 3.5)
    >>> weights.weight.round(6).tolist(), weights.case.tolist()
    ([1.0, 0.0, 1.5, 1.5], [True, False, True, False])
    """
    censored = (cause == 0) & (duration <= horizon)
    at, n_censored = np.unique(duration[censored], return_counts=True)
    later = len(duration) - np.searchsorted(np.sort(duration), at, side="left")
    tied = np.sort(duration[cause > 0])
    with_event = np.searchsorted(tied, at, side="right") - np.searchsorted(tied, at, side="left")
    at_risk = later - with_event
    G = np.concatenate([[1.0], np.cumprod(1.0 - n_censored / at_risk)])
    happened = (cause > 0) & (duration <= horizon)
    last = np.where(happened, np.searchsorted(at, duration, side="left"), len(at))
    known = happened | (duration > horizon)
    weight = np.zeros(len(duration))
    weight[known] = 1.0 / G[last[known]]
    own = np.searchsorted(at, duration, side="left")
    return CensoringWeights(
        weight=weight,
        case=happened & (cause == 1),
        last=last,
        exposed=np.where(cause > 0, own, np.searchsorted(at, duration, side="right")),
        censored_at=np.where(censored, own, -1),
        at_risk=at_risk.astype(float),
        n_censored=n_censored.astype(float),
        remaining=float(G[-1]),
    )
