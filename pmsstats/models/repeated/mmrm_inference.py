"""Small-sample inference for the fixed effects of a marginal model of repeated measures.

References
----------
.. [1] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
   likelihood. Biometrics 1997;53:983-997. doi:10.2307/2533558.
.. [2] Fai AHT, Cornelius PL. Approximate F-tests of multiple degree of freedom hypotheses in
   generalized least squares analyses of unbalanced split-plot experiments. J Stat Comput Simul
   1996;54:363-378. doi:10.1080/00949659608811740.
.. [3] Schluchter MD, Elashoff JT. Small-sample adjustments to tests with unbalanced repeated
   measures assuming several covariance structures. J Stat Comput Simul 1990;37:69-87.
   doi:10.1080/00949659008811295.
.. [4] SAS Institute. SAS/STAT 15.1 User's Guide: The MIXED Procedure, MODEL statement, option
   DDFM=. 2018.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
from scipy import linalg

from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.degrees_of_freedom import (
    DF_METHODS,
    DfMethod,
    FixedDf,
    Inference,
    KenwardRoger,
    NormalInference,
    Satterthwaite,
    between_within_df,
)
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES
from pmsstats.models.repeated.mmrm_empirical import Empirical, empirical_inference
from pmsstats.models.repeated.mmrm_likelihood import MarginalFit
from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays
from pmsstats.models.repeated.mmrm_profile import MarginalLikelihood, MarginalPoint

__all__ = ["Empirical", "marginal_inference"]


def marginal_inference(
    arrays: RepeatedArrays,
    fit: MarginalFit,
    method: DfMethod,
    empirical: Empirical | None = None,
) -> Inference:
    """Say how precise the fixed effects of a marginal model are.

    Parameters
    ----------
    arrays : RepeatedArrays
        What the model was fitted to.
    fit : MarginalFit
        From :func:`~pmsstats.models.repeated.mmrm_likelihood.fit_marginal`.
    method : str
        How degrees of freedom are found, one of ``DF_METHODS``.
    empirical : {"CR0", "CR2", "CR3"}, optional
        Sandwich covariance instead of the model's; see
        :func:`~pmsstats.models.repeated.mmrm_empirical.empirical_inference`.

    Returns
    -------
    Inference
        In the user's units.

    Raises
    ------
    DesignError
        If the method is unknown, or Kenward and Roger's is asked for with an empirical covariance
        or after a fit by full likelihood.

    Notes
    -----
    Kenward and Roger's adjusted covariance [1]_ is

        ``Phi + 2 Phi { sum_kl W_kl (Q_kl - P_k Phi P_l - R_kl / 4) } Phi``

    with ``Phi = (X' V^-1 X)^-1``, ``P_k = -X' V^-1 V_k V^-1 X``,
    ``Q_kl = X' V^-1 V_k V^-1 V_l V^-1 X``, ``R_kl = X' V^-1 V_kl V^-1 X``. As in SAS (found by
    comparison with its printed results), W is twice the inverse of the *observed* second
    derivatives of ``-2 log L``, and the derivatives are in variances, covariances and
    correlations themselves; R's pbkrtest, and with it
    :func:`~pmsstats.models.mixed.mixed_inference.mixed_inference`, takes the expected ones
    (:data:`~pmsstats.models.fixed_effects.degrees_of_freedom.DfMethod` says how far apart that is).
    So ``kenward-roger`` is SAS's ``DDFM=KR``; ``kenward-roger-linear`` leaves R out, as
    ``DDFM=KR(LINEAR)`` and pbkrtest do. Both are the same where the covariance is linear in its
    parameters: us, toep, cs. ``satterthwaite`` [2]_ takes the same W (``DDFM=SATTERTHWAITE``).

    ``residual`` is ``n - rank(X)``; ``between-within`` [3]_ counts as
    :func:`~pmsstats.models.fixed_effects.degrees_of_freedom.between_within_df` says. SAS's
    ``DDFM=BETWITHIN`` [4]_ is the same for structured covariances; under ``TYPE=UN`` it gives all
    effects the degrees of freedom between subjects, and it splits those within subjects if several
    classifications change there. R's mmrm differs for the intercept alone. A combination has the
    smallest of the degrees of freedom that it uses.
    """
    if method not in DF_METHODS:
        raise DesignError(
            f"df method must be one of {', '.join(DF_METHODS)}; found {method!r}."
            + nearest(str(method), DF_METHODS)
        )
    _refuse_mixture(fit, method, empirical)
    likelihood = MarginalLikelihood(arrays, COVARIANCES[fit.covariance], reml=fit.reml)
    point = likelihood.at(fit.theta / likelihood.units)
    if point is None:
        raise DesignError("expected a fit of these data; found a covariance that does not suit.")
    if method in ("kenward-roger", "kenward-roger-linear"):
        return _kenward_roger(likelihood, point, fit, second=method == "kenward-roger")
    if method == "satterthwaite":
        if empirical is not None:
            return empirical_inference(arrays, likelihood, point, empirical)
        return _satterthwaite(likelihood, point, fit)
    covariance = fit.fixed_covariance
    if empirical is not None:
        covariance = empirical_inference(arrays, likelihood, point, empirical).covariance
    return _counted(arrays, covariance, method)


def _refuse_mixture(fit: MarginalFit, method: str, empirical: str | None) -> None:
    """Raise for what Kenward and Roger's method is not defined for."""
    if empirical is not None and empirical not in get_args(Empirical):
        raise DesignError(
            f"empirical covariance must be one of {', '.join(get_args(Empirical))} or None; found "
            f"{empirical!r}."
        )
    if not method.startswith("kenward-roger"):
        return
    if empirical is not None:
        raise DesignError(
            f"df method {method!r} adjusts the model's covariance; found it together with the "
            f"empirical covariance {empirical!r}. Use 'satterthwaite' or 'between-within'."
        )
    if not fit.reml:
        raise DesignError(
            f"df method {method!r} is derived for restricted likelihood (REML); found a fit by "
            "full likelihood (ML). Fit by REML, or use 'satterthwaite'."
        )


def _counted(arrays: RepeatedArrays, covariance: np.ndarray, method: str) -> Inference:
    """Return inference with degrees of freedom that are counted, or with none."""
    if method == "normal":
        return NormalInference(covariance=covariance)
    n, p = arrays.X.shape
    df = (
        np.full(p, float(n - p))
        if method == "residual"
        else between_within_df(arrays.X, arrays.subject, arrays.n_subjects)
    )
    if (df <= 0).any():
        raise DesignError(
            f"df method {method!r} expects more subjects and rows than fixed effects; found "
            f"{arrays.n_subjects} subjects and {n} rows for {p} fixed effects, which leaves no "
            "degrees of freedom. Use another method."
        )
    return FixedDf(covariance=covariance, per_coefficient=df)


def _satterthwaite(
    likelihood: MarginalLikelihood, point: MarginalPoint, fit: MarginalFit
) -> Satterthwaite:
    """Differentiate the covariance of the fixed effects: ``Phi X' V^-1 V_k V^-1 X Phi``."""
    slopes = likelihood.directions(point.theta).products(point.U)
    return Satterthwaite(
        covariance=fit.fixed_covariance,
        jacobian=_jacobian(likelihood, point, slopes),
        parameter_covariance=fit.theta_covariance,
    )


def _kenward_roger(
    likelihood: MarginalLikelihood, point: MarginalPoint, fit: MarginalFit, *, second: bool
) -> KenwardRoger:
    """Adjust the covariance of the fixed effects [1].

    With fixed effects in which Phi is the identity, whose columns are ``U = V^-1 X``, the sum of
    ``W_kl (Q_kl - R_kl / 4)`` is ``sum_s U_s' M_s U_s`` with one matrix M per pattern.
    """
    directions = likelihood.directions(point.theta)
    W = fit.theta_covariance / np.outer(likelihood.units, likelihood.units)
    slopes = directions.products(point.U)
    inside = directions.weighted(point.P, W)
    if second:
        inside = inside - directions.weighted_second(W) / 4
    p = slopes.shape[1]
    turned = inside[likelihood.patterns.of_subject] @ point.U
    Q = point.U.reshape(-1, p).T @ turned.reshape(-1, p)
    mixed = (W @ slopes.reshape(len(W), -1)).reshape(slopes.shape)
    PP = slopes.reshape(-1, p).T @ mixed.reshape(-1, p)  # each slope is symmetric
    change = 2 * (Q - PP)
    B = _to_units(likelihood, point)
    return KenwardRoger(
        covariance=fit.fixed_covariance + B @ (change + change.T) @ B.T / 2,
        model_covariance=fit.fixed_covariance,
        jacobian=_jacobian(likelihood, point, slopes),
        parameter_covariance=fit.theta_covariance,
    )


def _to_units(likelihood: MarginalLikelihood, point: MarginalPoint) -> np.ndarray:
    """Return B: fixed effects in the user's units are B times those whose Phi is the identity."""
    half = linalg.solve_triangular(point.root, np.eye(len(point.root)), lower=True)
    B: np.ndarray = likelihood.back.scale * linalg.solve_triangular(likelihood.back.R, half.T)
    return B


def _jacobian(
    likelihood: MarginalLikelihood, point: MarginalPoint, slopes: np.ndarray
) -> np.ndarray:
    """Return derivatives of the fixed effects' covariance in the user's units: (k, p, p)."""
    B = _to_units(likelihood, point)
    moved: np.ndarray = B @ slopes @ B.T / likelihood.units[:, None, None]
    return moved
