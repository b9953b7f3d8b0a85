"""Checks of a mixed model: residuals, random effects, and whole subjects.

References
----------
.. [1] Fitzmaurice GM, Laird NM, Ware JH. Applied Longitudinal Analysis, 2nd ed. Wiley 2011,
   chapter 10. doi:10.1002/9781119513469.
.. [2] Lange N, Ryan L. Assessing normality in random effects models. Ann Stat 1989;17:624-642.
   doi:10.1214/aos/1176347130.
.. [3] Harvey AC. Forecasting, Structural Time Series Models and the Kalman Filter. Cambridge
   University Press 1990, chapter 3. doi:10.1017/CBO9781107049994.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.trajectory_frames import default_time
from pmsstats.models.formulas.columns import sum_by_subject
from pmsstats.models.mixed.diagnostics_result import DiagnosticsResult
from pmsstats.models.mixed.lmm_checks import tabulate_checks
from pmsstats.models.mixed.mixed_state import MixedState, mixed_state
from pmsstats.seeds import Seed, stream

if TYPE_CHECKING:
    from pmsstats.models.mixed.lmm_result import LMMResult

__all__ = [
    "diagnose",
    "estimate_residuals",
    "innovations",
    "quantile_envelope",
    "random_effect_checks",
    "simulate_innovations",
    "subject_distances",
]

_RANK = 1e-8  # share of the largest eigenvalue below which a variance counts as zero


def innovations(state: MixedState, residuals: np.ndarray) -> np.ndarray:
    """Scale residuals by the Cholesky factor of their covariance, within subjects.

    Parameters
    ----------
    state : MixedState
        A fitted model.
    residuals : ndarray, shape (n_obs,) or (n_obs, k)
        ``y - X beta``, on the common scale.

    Returns
    -------
    ndarray, shape of `residuals`
        ``L^-1 (y - X beta) / sigma`` with ``L L' = V``: independent, with a variance of one, were
        the parameters known. Each is what a row adds to the subject's rows before it.

    Notes
    -----
    Worked out by predicting each row from the earlier ones of its subject (a Kalman filter whose
    state, the random effects, does not move [1]_), so that no matrix of a subject's size is made.

    References
    ----------
    .. [1] Harvey AC. Forecasting, Structural Time Series Models and the Kalman Filter. Cambridge
       University Press 1990, chapter 3. doi:10.1017/CBO9781107049994.
    """
    arrays = state.arrays
    values = residuals.reshape(len(residuals), -1)
    order = np.argsort(arrays.subject, kind="stable")
    sizes = np.bincount(arrays.subject, minlength=arrays.n_subjects)
    first = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    spread = np.broadcast_to(state.psi, (arrays.n_subjects, *state.psi.shape)).copy()
    centre = np.zeros((arrays.n_subjects, len(state.psi), values.shape[1]))
    made = np.empty_like(values)
    for visit in range(int(sizes.max())):
        who = np.flatnonzero(sizes > visit)
        rows = order[first[who] + visit]
        z = arrays.Z[rows]
        reach = np.einsum("nab,nb->na", spread[who], z)
        variance = 1.0 + (z * reach).sum(axis=1)
        news = values[rows] - np.einsum("na,nak->nk", z, centre[who])
        made[rows] = news / np.sqrt(variance)[:, None]
        gain = reach / variance[:, None]
        centre[who] += gain[:, :, None] * news[:, None]
        spread[who] -= gain[:, :, None] * reach[:, None]
    return (made / np.sqrt(state.sigma2)).reshape(residuals.shape)


def estimate_residuals(fit: LMMResult) -> pd.DataFrame:
    """Return residuals of each kind.

    Parameters
    ----------
    fit : LMMResult
        A fitted model with one grouping factor.

    Returns
    -------
    pandas.DataFrame
        In the order of ``fit.data``: the subject's id; ``mean`` (of the population) and
        ``fitted`` (of the subject); ``marginal`` and ``conditional``, the outcome less each of
        them; ``pearson``, the conditional one over the residual SD; and ``standardised``, the
        marginal one scaled by the Cholesky factor of its covariance within the subject, in the
        order of the subject's rows.

    Raises
    ------
    DesignError
        If the model has several grouping factors.

    Notes
    -----
    Marginal residuals of a subject are correlated; conditional ones are shrunk together with the
    random effects. Only the standardised ones should look like independent standard normal
    values, whatever the model [1]_. R: ``residuals(lme, level = 0:1)`` and, of the same model as
    ``gls``, ``type = "normalized"``; SAS: ``OUTPM=``, ``OUTP=`` and ``VCIRY``.

    References
    ----------
    .. [1] Fitzmaurice GM, Laird NM, Ware JH. Applied Longitudinal Analysis, 2nd ed. Wiley 2011,
       chapter 10. doi:10.1002/9781119513469.
    """
    return _residual_frame(fit, mixed_state(fit))


def _residual_frame(fit: LMMResult, state: MixedState) -> pd.DataFrame:
    """Tabulate residuals of each kind."""
    arrays = fit.design.arrays
    mean = arrays.X @ fit.coefficients["estimate"].to_numpy()
    modes = fit.blup_frame[list(fit.design.random_names)].to_numpy()
    fitted = mean + (arrays.Z * modes[arrays.subject]).sum(axis=1)
    root_weights = 1.0 if arrays.weights is None else np.sqrt(arrays.weights)
    return pd.DataFrame(
        {
            fit.group: fit.data[fit.group].to_numpy(),
            "mean": mean,
            "fitted": fitted,
            "marginal": arrays.y - mean,
            "conditional": arrays.y - fitted,
            "pearson": (arrays.y - fitted) * root_weights / fit.residual_sd,
            "standardised": innovations(state, state.residual),
        }
    )


def subject_distances(state: MixedState, standardised: np.ndarray) -> pd.DataFrame:
    """Measure how far each subject's values are from what the model expects of them.

    Parameters
    ----------
    state : MixedState
        A fitted model.
    standardised : ndarray, shape (n_obs,)
        From :func:`innovations`.

    Returns
    -------
    pandas.DataFrame
        ``distance df p_value``, one row per subject: the squared Mahalanobis distance ``r' V^-1 r
        / sigma^2`` of the marginal residuals, and the chi-squared probability of a larger one.
    """
    n = state.arrays.n_subjects
    distance = sum_by_subject(standardised**2, state.arrays.subject, n)
    df = np.bincount(state.arrays.subject, minlength=n)
    return pd.DataFrame({"distance": distance, "df": df, "p_value": stats.chi2.sf(distance, df)})


def random_effect_checks(state: MixedState) -> tuple[np.ndarray, pd.DataFrame]:
    """Standardise the predicted random effects.

    Parameters
    ----------
    state : MixedState
        A fitted model.

    Returns
    -------
    standardised : ndarray, shape (n_subjects, q)
        Predictions (in the user's units) over the standard deviation that they have under the
        model; missing where that is zero.
    distances : pandas.DataFrame
        ``distance df p_value`` of each subject's predictions together.

    Notes
    -----
    ``Var(b_hat) = Psi Z' P Z Psi``, which is ``Psi`` less the variance of the prediction error
    [1]_. Predictions are weighted sums of residuals too, so that they look more normal than the
    random effects are.

    References
    ----------
    .. [1] Lange N, Ryan L. Assessing normality in random effects models. Ann Stat 1989;17:624-642.
       doi:10.1214/aos/1176347130.
    """
    inside = state.ZVZ - np.einsum(
        "iqp,ps,irs->iqr", state.ZVX, state.inverse, state.ZVX, optimize=True
    )
    inverse = np.linalg.inv(state.back.T)
    map_back = inverse @ state.psi
    variance = state.sigma2 * map_back @ inside @ map_back.T
    modes = state.modes @ inverse.T
    size = np.einsum("iqq->iq", variance)
    enough = _RANK * np.diag(inverse @ state.psi @ inverse.T) * state.sigma2
    good = size > np.maximum(enough, 0)
    standardised = np.where(good, modes / np.sqrt(np.where(good, size, 1.0)), np.nan)
    scaled = variance / np.sqrt(np.where(good, size, 1.0))[:, :, None]
    scaled = scaled / np.sqrt(np.where(good, size, 1.0))[:, None]
    scaled = np.where(good[:, :, None] & good[:, None], scaled, 0.0)  # a correlation matrix
    values, vectors = np.linalg.eigh(scaled)
    counts = values > _RANK * np.maximum(values[:, -1:], 0)
    turned = np.einsum("iqk,iq->ik", vectors, np.nan_to_num(standardised))
    distance = np.where(counts, turned**2 / np.where(counts, values, 1.0), 0.0).sum(axis=1)
    df = counts.sum(axis=1)
    p_value = np.where(df > 0, stats.chi2.sf(distance, np.maximum(df, 1)), np.nan)
    return standardised, pd.DataFrame({"distance": distance, "df": df, "p_value": p_value})


def simulate_innovations(state: MixedState, n_simulated: int, seed: Seed) -> np.ndarray:
    """Simulate standardised residuals of data that follow the model.

    Parameters
    ----------
    state : MixedState
        A fitted model; its variances are kept, its fixed effects estimated again.
    n_simulated : int
        How many data sets.
    seed : int, SeedSequence or Generator
        Of the data sets.

    Returns
    -------
    ndarray, shape (n_obs, n_simulated)
        As from :func:`innovations`.
    """
    arrays = state.arrays
    rng = stream(seed, "residuals")
    values, vectors = np.linalg.eigh(state.psi)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    effects = rng.standard_normal((arrays.n_subjects, len(root), n_simulated))
    y = np.einsum("nq,qr,nrk->nk", arrays.Z, root, effects[arrays.subject], optimize=True)
    y = np.sqrt(state.sigma2) * (y + rng.standard_normal((arrays.n_obs, n_simulated)))
    Zty = sum_by_subject(arrays.Z[:, :, None] * y[:, None], arrays.subject, arrays.n_subjects)
    shrunk = np.einsum("iqp,iqr,irk->pk", state.ZtX, state.conditional, Zty, optimize=True)
    return innovations(state, y - arrays.X @ (state.inverse @ (arrays.X.T @ y - shrunk)))


def quantile_envelope(
    values: np.ndarray, *, conf_level: float = 0.95, simulated: np.ndarray | None = None
) -> pd.DataFrame:
    """Put values beside the normal quantiles that they should have.

    Parameters
    ----------
    values : ndarray, shape (n,)
        Should be standard normal; missing ones are left out.
    conf_level : float, default 0.95
        Of the envelope, at each point.
    simulated : ndarray, shape (n, n_simulated), optional
        Values under the model; by default the envelope is that of independent standard normal
        values.

    Returns
    -------
    pandas.DataFrame
        ``expected observed conf_low conf_high``, sorted.

    Notes
    -----
    The i-th of n ordered uniform values follows ``Beta(i, n + 1 - i)``; its quantiles, through
    the normal quantile function, are the envelope.
    """
    observed = np.sort(values[np.isfinite(values)])
    n = len(observed)
    rank = np.arange(1, n + 1)
    tails = np.array([(1 - conf_level) / 2, (1 + conf_level) / 2])
    if simulated is None:
        low, high = (stats.norm.ppf(stats.beta.ppf(tail, rank, n + 1 - rank)) for tail in tails)
    else:
        low, high = np.quantile(np.sort(simulated, axis=0), tails, axis=1)
    return pd.DataFrame(
        {
            "expected": stats.norm.ppf((rank - 0.375) / (n + 0.25)),
            "observed": observed,
            "conf_low": low,
            "conf_high": high,
        }
    )


def diagnose(
    fit: LMMResult, *, time: str | None = None, n_simulated: int = 0, seed: Seed | None = None
) -> DiagnosticsResult:
    """Check a fitted model: distribution of residuals and random effects, time, odd subjects.

    Parameters
    ----------
    fit : LMMResult
        A fitted model with one grouping factor.
    time : str, optional
        Time column; by default the one that the model's slopes are over.
    n_simulated : int, default 0
        Data sets from which the envelope of the residuals' quantiles is simulated; by default it
        is that of independent normal values.
    seed : int, SeedSequence or Generator, optional
        Of these; needed only then.

    Returns
    -------
    DiagnosticsResult
        One row per check, with its reading in words, and a figure of several panels.

    Raises
    ------
    DesignError
        If the model has several grouping factors, `time` is no number in the data, or a seed is
        needed.

    Notes
    -----
    R: ``plot(model)``, ``qqnorm(ranef(model))``; SAS: ``PLOTS=(RESIDUALPANEL)``.

    The checks use residuals scaled by the Cholesky factor of their covariance [1]_, which should
    be independent and standard normal, and predictions of the random effects over their standard
    deviations [2]_. A p value says whether a deviation could be chance, not whether it matters;
    with many rows every model is wrong.

    References
    ----------
    .. [1] Fitzmaurice GM, Laird NM, Ware JH. Applied Longitudinal Analysis, 2nd ed. Wiley 2011,
       chapter 10. doi:10.1002/9781119513469.
    .. [2] Lange N, Ryan L. Assessing normality in random effects models. Ann Stat 1989;17:624-642.
       doi:10.1214/aos/1176347130.
    """
    state = mixed_state(fit)
    time = time or default_time(fit)
    if time is not None and (
        time not in fit.data.columns or not pd.api.types.is_numeric_dtype(fit.data[time])
    ):
        raise DesignError(f"`time` must be a column of numbers in the data, got {time!r}.")
    rows = _residual_frame(fit, state)
    if time is not None:
        rows.insert(1, time, fit.data[time].to_numpy())
    simulated = None
    if n_simulated:
        if seed is None:
            raise DesignError("A simulated envelope needs a `seed`, so that it can be drawn again.")
        simulated = simulate_innovations(state, n_simulated, seed)
    standardised, random_distances = random_effect_checks(state)
    names = list(fit.design.random_names)
    ids = pd.DataFrame({fit.group: list(fit.design.subject_ids)})
    subjects = ids.join(subject_distances(state, rows["standardised"].to_numpy()))
    effects = ids.join(pd.DataFrame(standardised, columns=names)).join(random_distances)
    return DiagnosticsResult(
        spec=fit.spec,
        checks=tabulate_checks(
            fit, state, rows=rows, subjects=subjects, effects=effects, time=time
        ),
        residuals=rows,
        subjects=subjects,
        random_effects=effects,
        quantiles=_quantiles(rows, effects, names, fit.spec.conf_level, simulated),
        time=time,
        group=fit.group,
        label=fit.label,
        unit=fit.unit,
        fit_log=fit.fit_log,
        origin=fit.origin,
        exclusions=fit.exclusions,
    )


def _quantiles(
    rows: pd.DataFrame,
    effects: pd.DataFrame,
    names: list[str],
    conf_level: float,
    simulated: np.ndarray | None,
) -> pd.DataFrame:
    """Tabulate quantiles of residuals and of each random effect that varies."""
    values = rows["standardised"].to_numpy()
    parts = [quantile_envelope(values, conf_level=conf_level, simulated=simulated)]
    parts[0].insert(0, "of", "residuals")
    for name in names:
        if effects[name].notna().any():
            part = quantile_envelope(effects[name].to_numpy(), conf_level=conf_level)
            part.insert(0, "of", name)
            parts.append(part)
    return pd.concat(parts, ignore_index=True)
