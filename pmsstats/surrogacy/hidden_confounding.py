"""How an unmeasured cause of both mediator and outcome would change an indirect effect."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.surrogacy.additive_hazards import fit_additive_hazards
from pmsstats.surrogacy.specs import MediationSpec
from pmsstats.surrogacy.subject_data import SubjectData

__all__ = ["ConfoundingCurve", "confounding_curve"]

_POINTS = 73
_REACH = 0.9  # largest correlation of residuals that is shown
_BEYOND = 1.5  # of the strength that takes the indirect effect to zero


@dataclass(frozen=True, kw_only=True, eq=False)
class ConfoundingCurve:
    """Indirect effect against the strength of an unmeasured cause of mediator and outcome.

    Parameters
    ----------
    measure : str
        What the strength is, in words.
    strength : ndarray, shape (n_points,)
        Strengths; 0 is none.
    indirect : ndarray, shape (n_points,)
        Natural indirect effect, were there a confounder of that strength.
    direct : ndarray, shape (n_points,)
        Natural direct effect; the total, which is randomised, stays.
    tipping : float
        Strength at which the indirect effect is zero.
    """

    measure: str
    strength: np.ndarray
    indirect: np.ndarray
    direct: np.ndarray
    tipping: float


def confounding_curve(data: SubjectData, spec: MediationSpec) -> ConfoundingCurve | None:
    """Work out the sensitivity of an indirect effect to an unmeasured confounder.

    Parameters
    ----------
    data : SubjectData
        The subjects.
    spec : MediationSpec
        The request.

    Returns
    -------
    ConfoundingCurve or None
        None with an interaction, or a mediator measured with error, for which no simple form
        holds.

    Notes
    -----
    Continuous outcome: with residuals of mediator and outcome correlated by ``rho`` given
    treatment and mediator, the indirect effect is ``b s_1 / s_2 (r - rho sqrt((1 - r^2) / (1 -
    rho^2)))``, where ``r`` is the correlation of the residuals of outcome and mediator given
    treatment only, and ``s_1``, ``s_2`` are their SDs (the linear structural equation model of
    [1]_); it is zero at ``rho = r``.

    Survival outcome: let U be standard normal given treatment, act on the hazard by ``lambda`` per
    SD, and have correlation ``q`` with the mediator given treatment. Then ``E[exp(-lambda U t) | M,
    Z]`` changes the baseline hazard and adds ``lambda q (M - E[M | Z]) / s`` to the hazard, ``s``
    being the residual SD of the mediator: the additive model still holds, with ``lambda q / s`` too
    much for the mediator. The true indirect effect is ``b (t2 - lambda q / s)``, and strength is
    ``lambda q``.

    References
    ----------
    .. [1] Imai K, Keele L, Yamamoto T. Identification, inference and sensitivity analysis for
       causal mediation effects. Stat Sci 2010;25:51-71. doi:10.1214/10-STS321
    """
    if spec.interaction or spec.reliability < 1:
        return None
    X = np.column_stack([np.ones(data.n_subjects), data.treated, data.covariates])
    effect, mediator = _residuals(X, data.surrogate)
    if spec.survival:
        return _survival_curve(data, effect, mediator, X.shape[1])
    total, outcome = _residuals(X, data.outcome)
    r = float(np.corrcoef(mediator, outcome)[0, 1])
    ratio = float(outcome.std() / mediator.std())
    rho = np.linspace(-_REACH, _REACH, _POINTS)
    indirect = effect * ratio * (r - rho * np.sqrt((1 - r**2) / (1 - rho**2)))
    return ConfoundingCurve(
        measure="Correlation of the residuals of mediator and outcome",
        strength=rho, indirect=indirect, direct=total - indirect, tipping=r,
    )  # fmt: skip


def _residuals(X: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the effect of treatment and the residuals of a linear regression."""
    beta = np.linalg.lstsq(X, y, rcond=None)[0]
    return float(beta[1]), y - X @ beta


def _survival_curve(
    data: SubjectData, effect: float, mediator: np.ndarray, n_terms: int
) -> ConfoundingCurve:
    """Work out the curve for additive hazards."""
    W = np.column_stack([data.treated, data.surrogate, data.covariates])
    theta = fit_additive_hazards(W, data.outcome, data.event).beta
    s = float(np.sqrt(mediator @ mediator / (len(mediator) - n_terms)))
    tipping = float(theta[1]) * s
    strength = np.linspace(-_BEYOND, _BEYOND, _POINTS) * abs(tipping)
    indirect = effect * (theta[1] - strength / s)
    total = float(theta[0] + effect * theta[1])
    return ConfoundingCurve(
        measure="Excess events per unit of time and SD of the confounder, "
        "times its correlation with the mediator",
        strength=strength, indirect=indirect, direct=total - indirect, tipping=tipping,
    )  # fmt: skip
