"""Accuracy of predicted risks at one landmark and horizon, with influence functions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.models.prediction.inverse_censoring import CensoringWeights

__all__ = ["MEASURES", "Accuracy", "estimate_measures"]

MEASURES = (
    "auc",
    "brier",
    "scaled_brier",
    "observed_expected",
    "calibration_intercept",
    "calibration_slope",
)
"""Measures of accuracy, in the order of :class:`Accuracy`."""

_STEPS = 50
_REACHED = 1e-10  # Newton decrement: squared standard errors per subject
_RUNAWAY = 15.0  # log cumulative hazard ratio per SD: beyond, there is no maximum
_OVERFLOW = 50.0  # log cumulative hazards: beyond, the risk is 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Accuracy:
    """Measures of accuracy of several models on the same subjects.

    Parameters
    ----------
    estimate : ndarray, shape (n_models, n_measures)
        In the order of :data:`MEASURES`; NaN where a measure does not exist.
    influence : ndarray, shape (n_models, n_measures, n_subjects)
        Of each subject; ``sqrt(sum(influence^2) / (n (n - 1)))`` is a standard error, also of
        differences between models.
    """

    estimate: np.ndarray
    influence: np.ndarray

    def std_error(self) -> np.ndarray:
        """Return the standard errors, shape (n_models, n_measures)."""
        return _root_mean_square(self.influence)

    def difference(self, model: int, reference: int) -> tuple[np.ndarray, np.ndarray]:
        """Return differences of two models with their standard errors.

        Parameters
        ----------
        model, reference : int
            Positions; the second is subtracted from the first.

        Returns
        -------
        tuple of ndarray, each of shape (n_measures,)
            Estimate and standard error, which takes the models as given.
        """
        estimate = self.estimate[model] - self.estimate[reference]
        return estimate, _root_mean_square(self.influence[model] - self.influence[reference])


def _root_mean_square(influence: np.ndarray) -> np.ndarray:
    """Turn influences to standard errors."""
    n = influence.shape[-1]
    return np.sqrt((influence**2).sum(axis=-1) / (n * (n - 1)))


def estimate_measures(risk: np.ndarray, weights: CensoringWeights) -> Accuracy:
    """Estimate how well predicted risks discriminate and how well they are calibrated.

    Parameters
    ----------
    risk : ndarray, shape (n_models, n_subjects)
        Predicted probability of the event between landmark and horizon.
    weights : CensoringWeights
        Of the same subjects.

    Returns
    -------
    Accuracy
        Each model's measures and influences.

    Notes
    -----
    With D the event by the horizon, W the weight and p the predicted risk:

    - ``auc``: the probability that a subject with the event had a higher predicted risk than one
      without it by then (cumulative / dynamic; ties count one half) [1]_. Who had a competing
      event is one of those without.
    - ``brier``: ``mean W (D - p)^2`` [2]_; lower is better.
    - ``scaled_brier``: ``1 - brier / brier0``, the share of the Brier score of the one risk for
      all, the observed share, that the model takes away. 0 is no use, 1 perfect, below 0 harmful.
    - ``observed_expected``: ``mean W D / mean p``: above 1, too few events were predicted.
    - ``calibration_intercept, calibration_slope``: of ``cloglog P(D) = a + cloglog p`` and of
      ``cloglog P(D) = a + b cloglog p``, weighted binomial fits. A slope below 1 means
      predictions too extreme. Missing where a risk is 0 or 1, and without a finite maximum (the
      slope also where all risks are equal).

    Every influence contains the estimation of the weights [3]_; that of the models is not in it.
    scikit-survival has the AUC and the Brier score without standard errors, comparisons and
    competing risks, hence this code; R: ``riskRegression::Score(conservative = FALSE)``.

    References
    ----------
    .. [1] Blanche P, Dartigues JF, Jacqmin-Gadda H. Estimating and comparing time-dependent areas
       under receiver operating characteristic curves for censored event times with competing
       risks. Stat Med 2013;32:5381-5397. doi:10.1002/sim.5958
    .. [2] Gerds TA, Schumacher M. Consistent estimation of the expected Brier score in general
       survival models with right-censored event times. Biom J 2006;48:1029-1040.
       doi:10.1002/bimj.200610301
    .. [3] Blanche P, Proust-Lima C, Loubere L, Berr C, Dartigues JF, Jacqmin-Gadda H. Quantifying
       and comparing dynamic predictive accuracy of joint models for longitudinal marker and
       time-to-event in presence of censoring and competing risks. Biometrics 2015;71:102-113.
       doi:10.1111/biom.12232
    """
    estimate = np.empty((len(risk), len(MEASURES)))
    influence = np.empty((len(risk), len(MEASURES), risk.shape[1]))
    for i, p in enumerate(risk):
        auc, brier = _auc(p, weights), _brier(p, weights)
        parts = (auc, *brier, _observed_expected(p, weights), *_recalibration(p, weights))
        for j, (value, by_subject) in enumerate(parts):
            estimate[i, j], influence[i, j] = value, by_subject
    return Accuracy(estimate=estimate, influence=influence)


def _auc(p: np.ndarray, weights: CensoringWeights) -> tuple[float, np.ndarray]:
    """Estimate the area under the curve, by ranks."""
    case = np.where(weights.case, weights.weight, 0.0)
    control = np.where(weights.case, 0.0, weights.weight)
    below = _share_below(p, control)
    above = 1.0 - _share_below(p, case)
    mean_case, mean_control = case.mean(), control.mean()
    auc = float(case @ below / case.sum())
    # the ratio is flat in both totals, so that only deviations from it are left
    f = np.where(weights.case, (below - auc) / mean_case, (above - auc) / mean_control)
    return auc, weights.influence(f)


def _share_below(p: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return the weighted share of subjects with a lower value; equal ones count one half."""
    order = np.argsort(p, kind="stable")
    total = np.concatenate([[0.0], np.cumsum(weight[order])])
    lower = total[np.searchsorted(p[order], p, side="left")]
    upto = total[np.searchsorted(p[order], p, side="right")]
    return (lower + upto) / (2 * total[-1])


def _brier(
    p: np.ndarray, weights: CensoringWeights
) -> tuple[tuple[float, np.ndarray], tuple[float, np.ndarray]]:
    """Estimate the Brier score, and the share of the null model's that it saves."""
    case, W = weights.case.astype(float), weights.weight
    observed, total = float((W * case).mean()), float(W.mean())
    scores = np.array([(case - p) ** 2, (case - observed) ** 2])
    brier, null = (W * scores).mean(axis=1)
    own = weights.influence(scores)
    # the null model's risk is estimated too
    of_null = own[1] - 2 * (observed - observed * total) * weights.influence(case)
    scaled = -(own[0] - brier / null * of_null) / null
    return (float(brier), own[0]), (float(1 - brier / null), scaled)


def _observed_expected(p: np.ndarray, weights: CensoringWeights) -> tuple[float, np.ndarray]:
    """Estimate the ratio of observed to expected events."""
    case = weights.case.astype(float)
    expected = float(p.mean())
    if expected <= 0:
        return np.nan, np.full(len(p), np.nan)
    ratio = float((weights.weight * case).mean()) / expected
    return ratio, (weights.influence(case) - ratio * (p - expected)) / expected


def _recalibration(
    p: np.ndarray, weights: CensoringWeights
) -> tuple[tuple[float, np.ndarray], tuple[float, np.ndarray]]:
    """Estimate the calibration intercept (slope 1), and the slope (free intercept)."""
    missing = (np.nan, np.full(len(p), np.nan))
    if not ((p > 0) & (p < 1)).all():
        return missing, missing
    x = np.log(-np.log1p(-p))
    ones = np.ones_like(x)
    intercept = _weighted_cloglog(ones[None], x, weights)
    spread = x.std()
    if spread <= 1e-9 * max(1.0, float(np.abs(x).max())):
        return intercept, missing
    z = (x - x.mean()) / spread
    slope, influence = _weighted_cloglog(np.array([z, ones]), 0.0, weights)
    return intercept, (slope / spread, influence / spread)


def _weighted_cloglog(
    X: np.ndarray, offset: np.ndarray | float, weights: CensoringWeights
) -> tuple[float, np.ndarray]:
    """Fit weighted binary outcomes with a complementary log-log link; return the first coefficient.

    The score of one subject is ``x (D mu' / mu - (1 - D) exp(eta))`` with ``mu' / mu = exp(eta -
    exp(eta)) / (1 - exp(-exp(eta)))``: log mu = log(1 - exp(-exp(eta))), log(1 - mu) = -exp(eta).
    """
    case, W, n = weights.case, weights.weight, X.shape[1]
    share = float(np.clip((W * case).mean() / W.mean(), 1e-6, 1 - 1e-6))
    beta = np.zeros(len(X))
    beta[-1] = np.log(-np.log1p(-share)) - float(np.mean(offset))
    for _ in range(_STEPS):
        hazard = np.exp(np.minimum(beta @ X + offset, _OVERFLOW))
        ratio = hazard / np.expm1(np.minimum(hazard, 700.0))
        score = np.where(case, ratio, -hazard)
        curve = np.where(case, -ratio * (1 - hazard - ratio), hazard)
        information = (X * (W * curve)) @ X.T / n
        mean = X @ (W * score) / n
        if not np.isfinite(information).all() or np.linalg.cond(information) > 1e12:
            break
        inverse = np.linalg.inv(information)
        if mean @ inverse @ mean < _REACHED**2:
            return float(beta[0]), weights.influence(inverse[0] @ X * score)
        step = inverse @ mean
        beta = beta + step / max(1.0, float(np.abs(step).max()))
        if np.abs(beta).max() > _RUNAWAY:
            break
    return np.nan, np.full(n, np.nan)
