"""Likelihood of times that are seen exactly, in intervals or not at all, for linear predictors.

A model is ``S(t | x) = S0(z)`` with ``z = b(log t, x)' theta`` linear in the parameters and S0 a
known law: accelerated failure times have ``b = (log t, -1, -x)``, Royston-Parmar models a spline
of ``log t``. Both are fitted by this one function.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.parametric.error_laws import ErrorLaw
from pmsstats.models.responses.newton import LikelihoodTerms

__all__ = ["CensoredRows", "censored_terms"]


@dataclass(frozen=True, kw_only=True, eq=False)
class CensoredRows:
    """Design of every time that the likelihood looks at; each row of data is of one kind.

    Parameters
    ----------
    n_rows : int
        Rows of data.
    exact, right, left, between, late : ndarray of int
        Positions of rows whose event time is known; of those without event until a time; with
        one before a time; with one between two times; and of those (of any kind) that entered
        late.
    exact_point, exact_slope : ndarray, shape (n_exact, m)
        Design at the event, and its derivative with respect to log time.
    exact_log_time : ndarray, shape (n_exact,)
        Logarithm of the event time.
    right_point : ndarray, shape (n_right, m)
        Design at the last time without event.
    left_point : ndarray, shape (n_left, m)
        Design at the first time with the event.
    lower_point, upper_point : ndarray, shape (n_between, m)
        Design at both ends of the interval.
    late_point : ndarray, shape (n_late, m)
        Design at entry.
    """

    n_rows: int
    exact: np.ndarray
    right: np.ndarray
    left: np.ndarray
    between: np.ndarray
    late: np.ndarray
    exact_point: np.ndarray
    exact_slope: np.ndarray
    exact_log_time: np.ndarray
    right_point: np.ndarray
    left_point: np.ndarray
    lower_point: np.ndarray
    upper_point: np.ndarray
    late_point: np.ndarray


class _Sums:
    """Collects contributions to the log-likelihood and its derivatives; local to one evaluation."""

    def __init__(self, n_rows: int, m: int) -> None:
        self.value = 0.0
        self.scores = np.zeros((n_rows, m))
        self.information = np.zeros((m, m))

    def add(self, rows: np.ndarray, value: np.ndarray, score: np.ndarray) -> None:
        """Add values and scores of distinct rows."""
        self.value += float(value.sum())
        self.scores[rows] += score

    def bend(self, left: np.ndarray, curvature: np.ndarray, right: np.ndarray) -> None:
        """Subtract a second derivative."""
        self.information -= left.T @ (curvature[:, None] * right)


def censored_terms(theta: np.ndarray, rows: CensoredRows, law: ErrorLaw) -> LikelihoodTerms:
    """Evaluate the log-likelihood, each row's score, and the information.

    Parameters
    ----------
    theta : ndarray, shape (m,)
        Parameters.
    rows : CensoredRows
        The data.
    law : ErrorLaw
        Of z.

    Returns
    -------
    LikelihoodTerms
        The value is minus infinity or NaN where `theta` gives no distribution (a survival curve
        that rises where an event was seen).

    Notes
    -----
    With ``z(t) = b(log t)' theta`` and ``z'`` its derivative with respect to log time, a row adds
    ``log g(z) + log z' - log t`` for an event at t, ``log S0(z)`` for none until t,
    ``log(1 - S0(z))`` for one before t, ``log(S0(z_L) - S0(z_R))`` for one between L and R, and
    subtracts ``log S0(z)`` at its entry. All but the last are concave in theta, as the laws are
    log-concave [1]_, so that Newton's method cannot be caught by a lesser maximum.

    References
    ----------
    .. [1] Pratt JW. Concavity of the log likelihood. J Am Stat Assoc 1981;76:103-106.
       doi:10.1080/01621459.1981.10477613
    """
    sums = _Sums(rows.n_rows, len(theta))
    with np.errstate(all="ignore"):
        _add_exact(sums, theta, rows, law)
        _add_survival(sums, rows.right, rows.right_point, theta, law, sign=1.0)
        _add_survival(sums, rows.late, rows.late_point, theta, law, sign=-1.0)
        _add_left(sums, theta, rows, law)
        _add_between(sums, theta, rows, law)
    return LikelihoodTerms(
        log_likelihood=sums.value, scores=sums.scores, information=sums.information
    )


def _add_exact(sums: _Sums, theta: np.ndarray, rows: CensoredRows, law: ErrorLaw) -> None:
    """Add events at known times."""
    z, pace = rows.exact_point @ theta, rows.exact_slope @ theta
    pace = np.where(pace > 0, pace, np.nan)
    first, second = law.density_slopes(z)
    by_pace = rows.exact_slope / pace[:, None]
    score = first[:, None] * rows.exact_point + by_pace
    sums.add(rows.exact, law.log_density(z) + np.log(pace) - rows.exact_log_time, score)
    sums.bend(rows.exact_point, second, rows.exact_point)
    sums.information += by_pace.T @ by_pace


def _add_survival(
    sums: _Sums,
    where: np.ndarray,
    point: np.ndarray,
    theta: np.ndarray,
    law: ErrorLaw,
    *,
    sign: float,
) -> None:
    """Add (or with sign -1 subtract) survival until a time."""
    z = point @ theta
    first, second = law.survival_slopes(z)
    sums.add(where, sign * law.log_survival(z), sign * first[:, None] * point)
    sums.bend(point, sign * second, point)


def _add_left(sums: _Sums, theta: np.ndarray, rows: CensoredRows, law: ErrorLaw) -> None:
    """Add events before a time."""
    z = rows.left_point @ theta
    log_happened = np.log(-np.expm1(law.log_survival(z)))
    ratio = np.exp(law.log_density(z) - log_happened)
    sums.add(rows.left, log_happened, ratio[:, None] * rows.left_point)
    curvature = ratio * law.density_slopes(z)[0] - ratio**2
    sums.bend(rows.left_point, curvature, rows.left_point)


def _add_between(sums: _Sums, theta: np.ndarray, rows: CensoredRows, law: ErrorLaw) -> None:
    """Add events between two times."""
    low, high = rows.lower_point @ theta, rows.upper_point @ theta
    log_low, log_high = law.log_survival(low), law.log_survival(high)
    log_happened = log_low + np.log(-np.expm1(log_high - log_low))
    at_low = np.exp(law.log_density(low) - log_happened)
    at_high = np.exp(law.log_density(high) - log_happened)
    score = at_high[:, None] * rows.upper_point - at_low[:, None] * rows.lower_point
    sums.add(rows.between, log_happened, score)
    sums.bend(rows.upper_point, at_high * law.density_slopes(high)[0] - at_high**2,
              rows.upper_point)  # fmt: skip
    sums.bend(rows.lower_point, -at_low * law.density_slopes(low)[0] - at_low**2, rows.lower_point)
    cross = at_low * at_high
    sums.bend(rows.upper_point, cross, rows.lower_point)
    sums.bend(rows.lower_point, cross, rows.upper_point)
