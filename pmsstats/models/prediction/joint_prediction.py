"""Dynamic prediction by a joint model: survival of a subject given what was measured so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.events.rows import check_conf_level
from pmsstats.models.joint.joint import fit_joint
from pmsstats.models.joint.spec import JointSpec
from pmsstats.models.prediction.joint_history import prepare_history
from pmsstats.models.prediction.joint_survival import (
    PosteriorDraws,
    draw_posterior,
    expected_survival,
    lay_out_futures,
)
from pmsstats.models.prediction.survival_prediction import SurvivalPredictionResult
from pmsstats.models.prediction.weighted_quantiles import weighted_quantiles
from pmsstats.seeds import stream

if TYPE_CHECKING:
    from pmsstats.models.joint.data import JointData
    from pmsstats.models.joint.result import JointResult
    from pmsstats.models.prediction.prediction_data import LandmarkHistory, PredictionData
    from pmsstats.seeds import Seed

__all__ = ["FittedJoint", "JointPredictor", "predict_survival"]

_BEYOND = 1e-9  # relative: a horizon at the very end of follow-up


def predict_survival(
    fit: JointResult,
    longitudinal: pd.DataFrame,
    *,
    landmark: float,
    horizons: Sequence[float] | float,
    survival: pd.DataFrame | None = None,
    conf_level: float = 0.95,
    seed: Seed,
    n_draws: int = 200,
) -> SurvivalPredictionResult:
    """Predict survival of subjects who are without event at a landmark, from their history.

    Parameters
    ----------
    fit : JointResult
        The model.
    longitudinal : pandas.DataFrame
        Measurements of the subjects, of the fit or new; those after the landmark are not used,
        and counted.
    landmark : float
        Time up to which there was no event, in the unit of the durations.
    horizons : float or sequence of float
        Times at which survival is predicted; from the landmark on, up to the longest follow-up of
        the fit.
    survival : pandas.DataFrame, optional
        One row per subject to predict, with the baseline covariates; subjects without any
        measurement may stand here. By default the subjects of `longitudinal`, as they are in the
        data of the fit.
    conf_level : float, default 0.95
        Of the intervals.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        For the intervals; the predictions themselves are not random.
    n_draws : int, default 200
        Draws behind the intervals; 0 leaves them out.

    Returns
    -------
    SurvivalPredictionResult
        One row per subject and horizon, and the trajectories.

    Raises
    ------
    DesignError
        If a horizon lies before the landmark or beyond the follow-up of the fit, nobody is at risk,
        a covariate has a level that the fit does not know, or a new subject has no covariates.

    Notes
    -----
    The estimand is ``P(T > u | T > t, y(t))`` for measurements y(t) up to the landmark t. It is
    ``E[S(u | b) / S(t | b)]`` over the posterior of the random effects b given y(t) and T > t [1]_,
    with the parameters at their estimates, by adaptive Gauss-Hermite quadrature. With competing
    risks it is the probability of no event at all.

    The interval holds the middle of the distribution of the subject's own ``S(u | b) / S(t | b)``
    over both the uncertainty of the parameters (asymptotic normal) and of b: see
    :func:`~pmsstats.models.prediction.joint_survival.draw_posterior`. R: ``JM::survfitJM``.

    References
    ----------
    .. [1] Rizopoulos D. Dynamic predictions and prospective accuracy in joint models for
       longitudinal and time-to-event data. Biometrics 2011;67:819-829.
       doi:10.1111/j.1541-0420.2010.01546.x
    """
    check_conf_level(conf_level)
    times = _checked_horizons(fit, landmark, horizons)
    if not isinstance(n_draws, int) or isinstance(n_draws, bool) or n_draws < 0:
        raise DesignError(f"`n_draws` must be a whole number from 0, got {n_draws!r}.")
    history = prepare_history(fit, longitudinal, survival, landmark=landmark)
    futures = lay_out_futures(fit.design, history, times)
    with np.errstate(all="ignore"):
        probability, effects = expected_survival(futures, fit.maximum.theta, fit.spec.n_nodes)
    draws = None
    if n_draws:
        rng = stream(seed, "joint prediction")
        with np.errstate(all="ignore"):
            draws = draw_posterior(
                futures, fit.maximum.theta, fit.maximum.covariance, n_draws=n_draws, rng=rng
            )
    return SurvivalPredictionResult(
        fit=fit,
        landmark=float(landmark),
        horizons=tuple(float(t) for t in times),
        frame=_prediction_frame(
            history,
            fit.spec.subject,
            probability=probability,
            times=times,
            draws=draws,
            conf_level=conf_level,
        ),
        history=history,
        effects=effects,
        draws=draws,
        conf_level=conf_level,
        origin=fit.origin,
        exclusions=history.exclusions,
    )


def _prediction_frame(
    history: JointData,
    subject: str,
    *,
    probability: np.ndarray,
    times: np.ndarray,
    draws: PosteriorDraws | None,
    conf_level: float,
) -> pd.DataFrame:
    """Tabulate the predictions of all subjects."""
    n, K = probability.shape
    frame = pd.DataFrame(
        {
            subject: pd.Series(np.repeat(np.array(history.events.ids, dtype=object), K)),
            "landmark": float(history.events.lower[0]),
            "horizon": np.tile(times, n),
            "model": "joint",
            "survival": probability.ravel(),
        }
    )
    frame[subject] = frame[subject].infer_objects()
    if draws is None:
        return frame
    tail = (1 - conf_level) / 2
    low, high = weighted_quantiles(draws.survival, draws.weight, (tail, 1 - tail))
    return frame.assign(conf_low=low.ravel(), conf_high=high.ravel())


def _checked_horizons(
    fit: JointResult, landmark: float, horizons: Sequence[float] | float
) -> np.ndarray:
    """Refuse horizons that cannot be predicted."""
    times = np.atleast_1d(np.asarray(horizons, dtype=float))
    if not np.isfinite(landmark) or landmark < 0:
        raise DesignError(f"`landmark` must be a time from 0 on, got {landmark!r}.")
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all():
        raise DesignError(f"`horizons` must be one finite time or several, got {horizons!r}.")
    if (np.diff(times) <= 0).any():
        raise DesignError(f"`horizons` must be ascending, got {horizons!r}.")
    if times[0] < landmark:
        raise DesignError(
            f"`horizons` must not lie before the landmark ({landmark:g}), got {times[0]:g}. They "
            "are times on the scale of the durations, not lengths of windows."
        )
    if times[-1] > fit.design.end * (1 + _BEYOND):
        raise DesignError(
            f"`horizons` must not lie beyond the follow-up of the fit ({fit.design.end:g}), got "
            f"{times[-1]:g}: nothing is known of the hazard there."
        )
    return np.minimum(times, fit.design.end)


@dataclass(frozen=True, kw_only=True)
class JointPredictor:
    """Joint model of markers and event, fitted to all training data at once.

    Parameters
    ----------
    spec : JointSpec
        The model; its columns of subject, time, duration and event must be those of the
        comparison.
    """

    spec: JointSpec

    def fit(self, data: PredictionData) -> FittedJoint:
        """Fit the joint model.

        Parameters
        ----------
        data : PredictionData
            Both tables.

        Returns
        -------
        FittedJoint
            Predicts ``P(T > horizon | T > landmark, history)``.

        Raises
        ------
        DesignError
            If columns are not those of the comparison, or the data cannot support the model.
        """
        for name in ("subject", "time", "duration", "event"):
            mine, theirs = getattr(self.spec, name), getattr(data.spec, name)
            if mine != theirs:
                raise DesignError(
                    f"The joint model has {name} {mine!r}, the comparison {theirs!r}: they must "
                    "name the same column."
                )
        return FittedJoint(model=fit_joint(data.longitudinal, data.survival, self.spec))


@dataclass(frozen=True, kw_only=True, eq=False)
class FittedJoint:
    """A fitted :class:`JointPredictor`.

    Parameters
    ----------
    model : JointResult
        The fit.
    """

    model: JointResult

    def predict(self, at: LandmarkHistory, horizons: np.ndarray) -> np.ndarray:
        """Predict survival of subjects at risk.

        Parameters
        ----------
        at : LandmarkHistory
            Subjects at risk at a landmark.
        horizons : ndarray, shape (n_horizons,)
            Times after it.

        Returns
        -------
        ndarray, shape (n_subjects, n_horizons)
            Probabilities; NaN where a covariate is missing.
        """
        fit = self.model
        times = _checked_horizons(fit, at.landmark, horizons)
        outcome = [c for c in (fit.spec.lower, fit.spec.upper, fit.spec.cause) if c]
        subjects = at.subjects.drop(columns=outcome, errors="ignore")
        history = prepare_history(fit, at.history, subjects, landmark=at.landmark)
        futures = lay_out_futures(fit.design, history, times)
        with np.errstate(all="ignore"):
            found, _ = expected_survival(futures, fit.maximum.theta, fit.spec.n_nodes)
        out = np.full((len(at.subjects), len(times)), np.nan)
        out[pd.Index(at.subjects[fit.spec.subject]).get_indexer(history.events.ids)] = found
        return out
