"""Markov models in continuous time of states seen at visits, with errors of rating."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceError, ConvergenceWarning
from pmsstats.models.states.multistate_data import prepare_states
from pmsstats.models.states.multistate_estimates import coefficient_table
from pmsstats.models.states.multistate_fit import Maximum, maximise
from pmsstats.models.states.multistate_layout import lay_out_parameters
from pmsstats.models.states.multistate_result import MultistateResult
from pmsstats.models.states.multistate_spec import MultistateSpec
from pmsstats.results import Exclusion, FitLog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pmsstats.models.states.multistate_data import StatesData
    from pmsstats.models.states.multistate_layout import Layout
    from pmsstats.provenance import Origin

__all__ = ["MultistateResult", "MultistateSpec", "fit_multistate"]


def fit_multistate(
    data: pd.DataFrame,
    spec: MultistateSpec,
    *,
    on_failure: Literal["raise", "warn"] = "raise",
    prior_exclusions: Iterable[Exclusion] = (),
    origin: Origin = "real",
) -> MultistateResult:
    """Fit a Markov model of movements between states that are seen only at visits.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per visit.
    spec : MultistateSpec
        States, transitions, errors of rating, covariates, and which columns are what.
    on_failure : {"raise", "warn"}, default "raise"
        Whether a fit without a trustworthy maximum is refused, or returned with
        ``fit_log.converged=False`` and a warning.
    prior_exclusions : iterable of Exclusion
        What was left out before; listed first in the result.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    MultistateResult
        Intensities, hazard ratios and errors of rating, with what was left out.

    Raises
    ------
    DesignError
        If the data cannot support the model; the conditions stand at
        :func:`~pmsstats.models.states.multistate_data.prepare_states`.
    ConvergenceError
        If the likelihood has no maximum (an intensity of 0, parameters that cannot be told
        apart), or none was found.

    Warns
    -----
    ConvergenceWarning
        If the maximum cannot be trusted and `on_failure` is "warn".

    Notes
    -----
    R: ``msm::msm(state ~ year, subject, data, qmatrix, ematrix, deathexact)``.

    A person in state r moves to state s with intensity ``q_rs exp(x' beta_rs)``. With the matrix Q
    of intensities (rows summing to 0), the probabilities of the states after time t are the
    matrix ``exp(Q t)`` [1]_: what happened between two visits is not seen, and need not be. Visits
    are taken as planned without regard to the state. A death at an exact time contributes the
    density ``sum_r exp(Q t)_{.r} q_{r,death}``. With misclassification the true states are a
    hidden Markov chain, rated s with probability ``e_rs`` [2]_: a rating that goes up and comes
    back is then explained as an error rather than as worsening and improvement. The likelihood is
    summed over all true courses by the forward recursion; its derivatives are exact. Standard
    errors are those of the observed information. The maximum is certified: the Newton decrement
    must be below 1e-8 squared standard errors, and the information regular. Where the maximum has
    an initial probability of 0, that is no parameter any more; intensities of 0 are refused.

    References
    ----------
    .. [1] Kalbfleisch JD, Lawless JF. The analysis of panel data under a Markov assumption. J Am
       Stat Assoc 1985;80:863-871. doi:10.1080/01621459.1985.10478195
    .. [2] Jackson CH, Sharples LD, Thompson SG, Duffy SW, Couto E. Multistate Markov models for
       disease progression with classification error. J R Stat Soc D 2003;52:193-209.
       doi:10.1111/1467-9884.00351

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame(
    ...     {
    ...         "subject_id": ["A", "A", "A", "B", "B", "B", "C", "C"],
    ...         "year": [0, 1, 2, 0, 1, 2, 0, 1],
    ...         "state": [1, 1, 2, 1, 2, 2, 1, 1],
    ...     }
    ... )
    >>> spec = MultistateSpec(states=(1, 2), transitions="progressive")
    >>> fit_multistate(data, spec).intensities()[["estimate", "conf_low", "conf_high"]].round(3)
       estimate  conf_low  conf_high
    0     0.693     0.169       2.85
    """
    prepared = prepare_states(data, spec)
    layout, maximum = _maximise(lay_out_parameters(prepared, spec), prepared)
    if maximum.problem and on_failure == "raise":
        raise ConvergenceError(maximum.problem)
    if maximum.problem:
        warnings.warn(maximum.problem, ConvergenceWarning, stacklevel=2)
    covariance = _covariance(maximum)
    return MultistateResult(
        spec=spec,
        fit_log=_fit_log(maximum),
        coefficients=coefficient_table(layout, maximum.theta, covariance, spec.conf_level),
        theta=maximum.theta,
        covariance=covariance,
        n_subjects=len(prepared.subject_ids),
        n_obs=len(prepared.rows),
        log_likelihood=maximum.log_likelihood,
        newton_decrement=maximum.decrement,
        condition=maximum.condition,
        layout=layout,
        data=prepared,
        exclusions=(*prior_exclusions, *prepared.exclusions),
        origin=origin,
    )


def _maximise(layout: Layout, data: StatesData) -> tuple[Layout, Maximum]:
    """Find the maximum; where it has no share of some states at the first visit, without them."""
    maximum = maximise(layout, data)
    smaller = layout.without_initial(maximum.flat)
    return (layout, maximum) if smaller is layout else _maximise(smaller, data)


def _covariance(maximum: Maximum) -> np.ndarray:
    """Return the inverse of the information; not a number where a problem forbids it."""
    if maximum.problem:
        return np.full_like(maximum.information, np.nan)
    inverse = np.linalg.inv(maximum.information)
    return (inverse + inverse.T) / 2


def _fit_log(maximum: Maximum) -> FitLog:
    """Record what the optimiser did."""
    return FitLog(
        engine="native",
        optimiser="L-BFGS-B, then Newton",
        converged=not maximum.problem,
        message=maximum.problem,
        n_evaluations=maximum.n_evaluations,
        log_likelihood=maximum.log_likelihood,
        attempts=maximum.attempts,
    )
