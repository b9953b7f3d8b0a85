"""Frames drawn from a fitted joint model: random effects, trajectories, the hazard over time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError

if TYPE_CHECKING:
    from pmsstats.models.joint.result import JointResult

__all__ = ["baseline_frame", "random_effects_frame", "value_frame"]

_N_TIMES = 25
_N_HAZARD_TIMES = 100


def random_effects_frame(fit: JointResult) -> pd.DataFrame:
    """Tabulate the posterior of each subject's random effects.

    Parameters
    ----------
    fit : JointResult
        A fit.

    Returns
    -------
    pandas.DataFrame
        The subject's id, then ``marker term estimate std_error``.
    """
    mean, covariance = _posterior(fit)
    sd = np.sqrt(np.maximum(np.diagonal(covariance, axis1=1, axis2=2), 0.0))
    names = [(m.name, name) for m in fit.design.markers for name in m.mixed.random_names]
    n, q = mean.shape
    return pd.DataFrame(
        {
            fit.spec.subject: np.repeat(np.asarray(fit.subject_ids, dtype=object), q),
            "marker": np.tile([marker for marker, _ in names], n),
            "term": np.tile([name for _, name in names], n),
            "estimate": mean.ravel(),
            "std_error": sd.ravel(),
        }
    ).infer_objects()


def value_frame(fit: JointResult, times: Sequence[float] | None) -> pd.DataFrame:
    """Tabulate each subject's true trajectory, as estimated.

    Parameters
    ----------
    fit : JointResult
        A fit.
    times : sequence of float or None
        When; over the follow-up by default.

    Returns
    -------
    pandas.DataFrame
        The subject's id and time, then ``marker mean estimate std_error``.
    """
    when = _times(times, np.linspace(0.0, fit.design.end, _N_TIMES))
    n = fit.n_subjects
    subject, time = np.repeat(np.arange(n), len(when)), np.tile(when, n)
    effects, covariance = _posterior(fit)
    natural = fit.design.scale.natural(fit.maximum.theta)
    frames, p, q = [], 0, 0
    for marker in fit.design.markers:
        columns = marker.value(fit.data.covariates, subject, time)
        width, depth = columns.fixed.shape[1], columns.random.shape[1]
        mean = columns.fixed @ natural.beta[p : p + width]
        own = np.einsum("nq,nq->n", columns.random, effects[subject, q : q + depth])
        block = covariance[subject, q : q + depth, q : q + depth]
        variance = np.einsum("ni,nij,nj->n", columns.random, block, columns.random)
        frames.append(
            pd.DataFrame(
                {
                    fit.spec.subject: np.asarray(fit.subject_ids, dtype=object)[subject],
                    fit.spec.time: time,
                    "marker": marker.name,
                    "mean": mean,
                    "estimate": mean + own,
                    "std_error": np.sqrt(np.maximum(variance, 0.0)),
                }
            ).infer_objects()
        )
        p, q = p + width, q + depth
    return pd.concat(frames, ignore_index=True)


def baseline_frame(fit: JointResult, times: Sequence[float] | None) -> pd.DataFrame:
    """Tabulate the hazard of a typical subject.

    Parameters
    ----------
    fit : JointResult
        A fit.
    times : sequence of float or None
        When; over the follow-up by default.

    Returns
    -------
    pandas.DataFrame
        ``cause stratum time hazard conf_low conf_high cumulative_hazard``.

    Notes
    -----
    On the scales of the fit covariates are 0 at their average; associated quantities are held at
    the average, over time at risk, of what the fixed effects say. That level is taken as known.
    """
    end = fit.design.end
    when = _times(times, end * np.arange(1, _N_HAZARD_TIMES + 1) / _N_HAZARD_TIMES)
    if (when <= 0).any():
        raise DesignError(f"`times` of a hazard must be above 0, got {when.min():g}.")
    frames = []
    for cause, label in enumerate(fit.design.causes):
        for code, level in enumerate(fit.design.hazard.levels):
            frame = _one_hazard(fit, cause, code, when)
            frame.insert(0, "stratum", str(level))
            frame.insert(0, "cause", label)
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _one_hazard(fit: JointResult, cause: int, stratum: int, when: np.ndarray) -> pd.DataFrame:
    """Tabulate the hazard of one cause in one stratum."""
    log_h, se = _log_hazard(fit, cause, stratum, when)
    z = stats.norm.isf((1 - fit.spec.conf_level) / 2)
    fine = np.union1d(when, when.max() * np.linspace(0, 1, 1001)[1:] ** 2)
    middle, _ = _log_hazard(fit, cause, stratum, 0.5 * (fine + np.append(0.0, fine[:-1])))
    cumulative = np.cumsum(np.exp(middle) * np.diff(fine, prepend=0.0))
    return pd.DataFrame(
        {
            "time": when,
            "hazard": np.exp(log_h),
            "conf_low": np.exp(log_h - z * se),
            "conf_high": np.exp(log_h + z * se),
            "cumulative_hazard": cumulative[np.searchsorted(fine, when)],
        }
    )


def _log_hazard(
    fit: JointResult, cause: int, stratum: int, when: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the log hazard, per unit of time, and its standard error."""
    design, maximum = fit.design, fit.maximum
    shape = maximum.shape
    n_covariates = len(design.scale.covariate_centre)
    basis = design.hazard.basis(
        cause, np.full(len(when), stratum), np.zeros((len(when), n_covariates)), when
    )
    at_risk = fit.arrays.at_risk
    weight = at_risk.weight / max(at_risk.weight.sum(), 1e-300)
    levels = np.einsum("t,mtp,p->m", weight, at_risk.fixed, maximum.beta)
    first = shape.alpha.start + cause * shape.n_links
    G = np.zeros((len(when), shape.n_theta))
    G[:, shape.psi[cause]] = basis
    G[:, first : first + shape.n_links] = levels
    variance = np.einsum("ti,ij,tj->t", G, maximum.covariance, G)
    value = G @ maximum.theta - np.log(design.scale.time)
    return value, np.sqrt(np.maximum(variance, 0.0))


def _posterior(fit: JointResult) -> tuple[np.ndarray, np.ndarray]:
    """Return means (n, q) and covariances (n, q, q) of random effects in units of the data."""
    back = fit.design.scale.random_effects()
    mean = fit.maximum.posterior_mean @ back.T
    return mean, back @ fit.maximum.posterior_covariance @ back.T


def _times(given: Sequence[float] | None, default: np.ndarray) -> np.ndarray:
    """Check times."""
    if given is None:
        return default
    times = np.unique(np.asarray(given, dtype=float))
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all():
        raise DesignError(f"`times` must be finite numbers, at least one, got {given!r}.")
    return times
