"""Fit a marginal model of repeated measures by (restricted) maximum likelihood."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import linalg

from pmsstats.errors import DesignError, nearest
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES
from pmsstats.models.repeated.mmrm_directions import covariances_at
from pmsstats.models.repeated.mmrm_optimise import Optimum, maximise
from pmsstats.models.repeated.mmrm_patterns import RepeatedArrays, unobserved_pairs
from pmsstats.models.repeated.mmrm_profile import MarginalLikelihood, MarginalPoint
from pmsstats.models.repeated.mmrm_refusals import refuse_unusable
from pmsstats.models.repeated.mmrm_starts import starting_values
from pmsstats.models.repeated.mmrm_structure import Covariance

__all__ = [
    "MarginalFit",
    "MarginalLikelihood",
    "MarginalPoint",
    "RepeatedArrays",
    "fit_marginal",
    "unobserved_pairs",
]

_UNIDENTIFIED = 1e-11  # eigenvalue of the information, scaled to a diagonal of one
_SINGULAR = 1e-9  # smallest eigenvalue of a correlation matrix that is taken as positive


@dataclass(frozen=True, eq=False, kw_only=True)
class MarginalFit:
    """A fitted marginal model, in the user's units.

    Parameters
    ----------
    covariance : str
        Name of the structure.
    reml : bool
        Whether by restricted likelihood.
    theta : ndarray, shape (k,)
        Variances, covariances and correlations, group after group.
    theta_names : tuple of str
        What they are; visits and groups are counted from one.
    theta_covariance : ndarray, shape (k, k)
        Twice the inverse of the observed second derivatives of ``-2 log L``; missing where they
        are not positive definite.
    covariances : ndarray, shape (n_groups, n_visits, n_visits), or None
        Of the repeated measures; None for a spatial one.
    fixed : ndarray, shape (p,)
        Estimated fixed effects.
    fixed_covariance : ndarray, shape (p, p)
        ``(X' V^-1 X)^-1``, without any adjustment.
    log_likelihood : float
        Maximised, with all constants; see :func:`fit_marginal`.
    converged : bool
        Whether this is a maximum.
    message : str
        How the search ended, and what to try if it failed.
    gradient_norm : float
        Distance to the maximum in standard errors of ``theta``:
        ``sqrt(g' H^-1 g / 2)``, whatever the units.
    n_evaluations : int
        Of the likelihood.
    optimiser : str
        What found it.
    n_parameters : int
        Of the covariance; the fixed effects are not counted.
    """

    covariance: str
    reml: bool
    theta: np.ndarray
    theta_names: tuple[str, ...]
    theta_covariance: np.ndarray
    covariances: np.ndarray | None
    fixed: np.ndarray
    fixed_covariance: np.ndarray
    log_likelihood: float
    converged: bool
    message: str
    gradient_norm: float
    n_evaluations: int
    optimiser: str
    n_parameters: int


def fit_marginal(arrays: RepeatedArrays, covariance: str, *, reml: bool) -> MarginalFit:
    """Fit a marginal model of repeated measures.

    Parameters
    ----------
    arrays : RepeatedArrays
        The numbers.
    covariance : str
        One of ``us, toep, toeph, ar1, ar1h, cs, csh, ad, adh, sp_exp``.
    reml : bool
        Restricted or full likelihood.

    Returns
    -------
    MarginalFit
        The best point found, with an honest word on whether it is a maximum.

    Raises
    ------
    DesignError
        If the data cannot tell the parameters: too few rows, nothing varies, visits that nobody
        has together.

    Notes
    -----
    The restricted log-likelihood is that of SAS PROC MIXED, nlme and R's mmrm,

        ``-2 l = log|V| + log|X' V^-1 X| + r' V^-1 r + (n - p) log(2 pi)``

    without the term ``-log|X'X|`` that some programs add; it therefore changes by a constant if
    the columns of X are recombined. Weights: see :class:`RepeatedArrays`.
    """
    structure = _structure(covariance)
    refuse_unusable(arrays, structure)
    likelihood = MarginalLikelihood(arrays, structure, reml=reml)
    starts = starting_values(likelihood.laid, likelihood.patterns, structure)
    _refuse_unidentified(likelihood, starts[0])
    return _as_fit(likelihood, arrays, maximise(_Objective(likelihood), starts))


class _Objective:
    """The deviance as a function of parameters without bounds."""

    def __init__(self, likelihood: MarginalLikelihood) -> None:
        self._likelihood = likelihood
        self._T = likelihood.patterns.n_slots
        self._groups = likelihood.patterns.n_groups

    def theta(self, free: np.ndarray) -> np.ndarray:
        parts = free.reshape(self._groups, -1)
        return np.concatenate([self._likelihood.structure.theta(f, self._T) for f in parts])

    def value(self, free: np.ndarray) -> tuple[float, MarginalPoint | None]:
        with np.errstate(over="ignore", invalid="ignore"):
            point = self._likelihood.at(self.theta(free))
        return (np.inf, None) if point is None else (point.deviance, point)

    def is_edge(self, point: MarginalPoint) -> bool:
        return point.left < _SINGULAR

    def slopes(
        self, free: np.ndarray, point: MarginalPoint
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return gradient, observed and expected second derivatives.

        The curvature of ``theta`` in the free parameters is left out of the second; it is
        multiplied by the gradient, and so does not matter near the maximum.
        """
        parts = free.reshape(self._groups, -1)
        J = linalg.block_diag(*[self._likelihood.structure.jacobian(f, self._T) for f in parts])
        slopes = self._likelihood.slopes(point)
        return J.T @ slopes.gradient, J.T @ slopes.observed @ J, J.T @ slopes.expected @ J


def _structure(covariance: str) -> Covariance:
    if covariance not in COVARIANCES:
        raise DesignError(
            f"covariance must be one of {', '.join(COVARIANCES)}; found {covariance!r}."
            + nearest(str(covariance), COVARIANCES)
        )
    return COVARIANCES[covariance]


def _refuse_unidentified(likelihood: MarginalLikelihood, free: np.ndarray) -> None:
    """Raise where the data say nothing about some combination of parameters."""
    theta = _Objective(likelihood).theta(free)
    point = likelihood.at(theta)
    if point is None:
        return
    nP = likelihood.patterns.counts[:, None, None] * point.P
    information = likelihood.directions(theta).cross(point.P, nP)
    scale = np.sqrt(np.maximum(np.diag(information), np.finfo(float).tiny))
    values, vectors = np.linalg.eigh(information / np.outer(scale, scale))
    if values[0] > _UNIDENTIFIED:
        return
    names = _names(likelihood)
    involved = [names[i] for i in np.flatnonzero(np.abs(vectors[:, 0]) > 0.1)]
    raise DesignError(
        f"covariance {likelihood.structure.name!r} has parameters that these visits cannot tell "
        f"apart: {', '.join(involved)}. Are there visits, or distances between visits, that no "
        "subject has? Choose a covariance with fewer parameters."
    )


def _names(likelihood: MarginalLikelihood) -> tuple[str, ...]:
    """Return the names of all parameters."""
    names = likelihood.structure.names(likelihood.patterns.n_slots)
    groups = range(1, likelihood.patterns.n_groups + 1)
    if len(groups) == 1:
        return names
    return tuple(f"{name} of group {g}" for g in groups for name in names)


def _as_fit(likelihood: MarginalLikelihood, arrays: RepeatedArrays, found: Optimum) -> MarginalFit:
    """Say everything in the user's units."""
    point = found.point
    units = likelihood.units
    theta = point.theta * units
    observed = likelihood.slopes(point).observed
    spatial = likelihood.structure.spatial
    fit = MarginalFit(
        covariance=likelihood.structure.name,
        reml=likelihood.reml,
        theta=theta,
        theta_names=_names(likelihood),
        theta_covariance=_twice_inverse(observed) * np.outer(units, units),
        covariances=None if spatial else _matrices(likelihood, theta),
        fixed=likelihood.back.fixed(point.fixed),
        fixed_covariance=likelihood.back.fixed_covariance(point.fixed_covariance),
        log_likelihood=likelihood.log_likelihood(point),
        converged=found.converged,
        message=found.message,
        gradient_norm=found.distance,
        n_evaluations=found.n_evaluations,
        optimiser=found.optimiser,
        n_parameters=len(theta),
    )
    return _doubt_singular(fit, likelihood, arrays)


def _matrices(likelihood: MarginalLikelihood, theta: np.ndarray) -> np.ndarray:
    """Return the covariance of each group."""
    T = likelihood.patterns.n_slots
    parts = theta.reshape(likelihood.patterns.n_groups, -1)
    return np.stack([likelihood.structure.matrix(part, T) for part in parts])  # type: ignore[attr-defined]


def _twice_inverse(observed: np.ndarray) -> np.ndarray:
    """Return ``2 H^-1``, missing where H is not positive definite."""
    scale = np.sqrt(np.abs(np.diag(observed))) + np.finfo(float).tiny
    try:
        root = np.linalg.cholesky(observed / np.outer(scale, scale))
    except np.linalg.LinAlgError:
        return np.full_like(observed, np.nan)
    inverse = np.linalg.inv(root)
    return np.asarray(2 * (inverse.T @ inverse) / np.outer(scale, scale))


def _doubt_singular(
    fit: MarginalFit, likelihood: MarginalLikelihood, arrays: RepeatedArrays
) -> MarginalFit:
    """Call a fit with a singular covariance, or without precision, not converged."""
    V = covariances_at(likelihood.structure, fit.theta / likelihood.units, likelihood.patterns)
    s = np.sqrt(np.einsum("mtt->mt", V))
    smallest = float(np.linalg.eigvalsh(V / (s[:, :, None] * s[:, None, :])).min())
    if smallest < _SINGULAR:
        message = (
            f"no maximum inside: the likelihood still rises as covariance {fit.covariance!r} "
            f"becomes singular (smallest eigenvalue of the correlations {smallest:.1e}, "
            f"{arrays.n_subjects} subjects, {fit.n_parameters} parameters). Try a covariance with "
            "fewer parameters."
        )
        return replace(fit, converged=False, message=message)
    if fit.converged and not np.isfinite(fit.theta_covariance).all():
        message = "stopped at a saddle: second derivatives are not positive definite."
        return replace(fit, converged=False, message=message)
    return fit
