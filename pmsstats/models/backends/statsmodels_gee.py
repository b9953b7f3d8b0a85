"""Generalised estimating equations through statsmodels' GEE.

What GEE does, read from its source (0.15): its own AR(1) fits each value by those before it with
weights, which is nobody else's estimate, and cannot be negative; scale and exchangeable
correlation lose as many degrees of freedom as there are coefficients unless told otherwise. Here
both are the plain moments that R's geepack uses.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import statsmodels
from scipy.optimize import minimize_scalar
from statsmodels.genmod import families
from statsmodels.genmod.cov_struct import CovStruct, Exchangeable, Independence
from statsmodels.genmod.generalized_estimating_equations import GEE

__all__ = ["GEEFit", "fit"]

_FAMILIES = {
    "gaussian": families.Gaussian,
    "binomial": families.Binomial,
    "poisson": families.Poisson,
}
_STILL = 1e-9  # of the estimating equations, per row
_EDGE = 1 - 1e-6


@dataclass(frozen=True, eq=False, kw_only=True)
class GEEFit:
    """What statsmodels found.

    Parameters
    ----------
    parameters : ndarray, shape (p,)
        Effects.
    robust, model_based : ndarray, shape (p, p)
        Covariances: the sandwich, and that of the working model.
    corrected : ndarray, shape (p, p), or None
        Mancl and DeRouen's, where asked for.
    correlation : float
        Of the working model; zero under independence.
    scale : float
        Mean squared Pearson residual.
    converged : bool
        Whether the equations hold.
    version, message : str
        Of statsmodels, and its words.
    n_iterations : int
        Updates of the effects.
    """

    parameters: np.ndarray
    robust: np.ndarray
    model_based: np.ndarray
    corrected: np.ndarray | None
    correlation: float
    scale: float
    converged: bool
    version: str
    message: str
    n_iterations: int


class _MomentAR1(CovStruct):  # type: ignore[misc]
    """Correlation ``alpha ** distance`` in time, by least squares over all pairs of residuals."""

    def __init__(self) -> None:
        super().__init__()
        self.dep_params = 0.0
        self._pairs: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None = None

    def _index(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return rows of each pair, the distance code of each, and the distances."""
        if self._pairs is None:
            first, second, apart, start = [], [], [], 0
            for times in self.model.time_li:
                i, j = np.triu_indices(len(times), k=1)
                first.append(i + start)
                second.append(j + start)
                apart.append(np.abs(times[i, 0] - times[j, 0]))
                start += len(times)
            distances, code = np.unique(np.concatenate(apart), return_inverse=True)
            self._pairs = np.concatenate(first), np.concatenate(second), code, distances
        return self._pairs

    def update(self, params: np.ndarray) -> None:  # noqa: ARG002
        """Minimise the squared distance of residual products from ``alpha ** distance``."""
        first, second, code, distances = self._index()
        if not len(distances):
            return
        residuals = _pearson(self.model)
        products = residuals[first] * residuals[second] / np.mean(residuals**2)
        n = np.bincount(code, minlength=len(distances))
        total = np.bincount(code, weights=products, minlength=len(distances))
        self.dep_params = _least_squares_power(distances, n, total)

    def covariance_matrix(self, expval: np.ndarray, index: int) -> tuple[np.ndarray, bool]:
        """Return the correlation matrix of one subject."""
        times = self.model.time_li[index][:, 0]
        if self.dep_params == 0.0:
            return np.eye(len(expval)), True
        return self.dep_params ** np.abs(times[:, None] - times[None, :]), True


def _pearson(model: GEE) -> np.ndarray:
    """Return residuals in units of the root of the variance function, subject by subject."""
    variance = model.family.variance
    pairs = zip(model.endog_li, model.cached_means, strict=True)
    return np.concatenate([(y - mean) / np.sqrt(variance(mean)) for y, (mean, _) in pairs])


def _least_squares_power(distances: np.ndarray, n: np.ndarray, total: np.ndarray) -> float:
    """Return the ``a`` that minimises ``sum n a^(2 d) - 2 a^d total``."""
    whole = bool((distances == np.round(distances)).all())

    def loss(a: float) -> float:
        power = a**distances
        return float((n * power**2 - 2 * power * total).sum())

    low = -_EDGE if whole else 0.0
    grid = np.linspace(low, _EDGE, 201)
    at = int(np.argmin([loss(a) for a in grid]))
    left, right = grid[max(at - 1, 0)], grid[min(at + 1, len(grid) - 1)]
    found = minimize_scalar(loss, bounds=(left, right), method="bounded", options={"xatol": 1e-13})
    return _polished(float(found.x), distances, n, total)


def _polished(a: float, d: np.ndarray, n: np.ndarray, total: np.ndarray) -> float:
    """Take Newton steps on the slope: a minimum is only found to half of the digits."""
    for _ in range(20):
        with np.errstate(all="ignore"):
            power, first = a**d, d * a ** (d - 1)
            second = d * (d - 1) * a ** np.where(d == 1, 0, d - 2)
            slope = (2 * first * (n * power - total)).sum()
            curve = (2 * (n * first**2 + second * (n * power - total))).sum()
            step = slope / curve
        if not np.isfinite(step) or curve <= 0 or not abs(a - step) < _EDGE:
            return a
        a -= step
        if abs(step) < 1e-15:
            break
    return a


_CORRELATIONS: dict[str, Any] = {
    "independence": Independence,
    "exchangeable": Exchangeable,
    "ar1": _MomentAR1,
}


def fit(
    y: np.ndarray,
    X: np.ndarray,
    subject: np.ndarray,
    *,
    family: str,
    correlation: str,
    time: np.ndarray | None,
    offset: np.ndarray | None,
    corrected: bool,
) -> GEEFit | None:
    """Solve the equations with statsmodels.

    Parameters
    ----------
    y : ndarray, shape (n_obs,)
        Outcome.
    X : ndarray, shape (n_obs, p)
        Columns on a common scale.
    subject : ndarray of int, shape (n_obs,)
        Subject of each row.
    family : {"gaussian", "binomial", "poisson"}
        Variance function, with its canonical link.
    correlation : {"independence", "exchangeable", "ar1"}
        Working correlation.
    time : ndarray, shape (n_obs,), optional
        For ``"ar1"``.
    offset : ndarray, shape (n_obs,), optional
        Log of the time observed.
    corrected : bool
        Whether Mancl and DeRouen's covariance is wanted.

    Returns
    -------
    GEEFit or None
        None where a matrix was singular.
    """
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        model = GEE(y, X, groups=subject, time=time, family=_FAMILIES[family](),
                    cov_struct=_CORRELATIONS[correlation](), offset=offset)  # fmt: skip
        try:
            found = model.fit(
                maxiter=300,
                ctol=_STILL * len(y),
                ddof_scale=0,
                cov_type="bias_reduced" if corrected else "robust",
            )
        except (np.linalg.LinAlgError, ValueError, FloatingPointError):
            return None
    if found is None or not np.isfinite(found.params).all():
        return None
    scale = float(np.mean(_pearson(model) ** 2))
    dependence = found.cov_struct.dep_params
    return GEEFit(
        parameters=np.asarray(found.params),
        robust=np.asarray(found.cov_robust),
        model_based=np.asarray(found.cov_naive) * (scale / float(found.scale)),
        corrected=np.asarray(found.cov_robust_bc) if corrected else None,
        correlation=0.0 if correlation == "independence" else float(dependence),
        scale=scale,
        converged=bool(found.converged),
        version=statsmodels.__version__,
        message="; ".join(dict.fromkeys(str(w.message) for w in caught)),
        n_iterations=len(found.fit_history["params"]),
    )
