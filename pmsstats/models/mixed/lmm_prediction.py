"""Predictions of a linear mixed model: random effects, subjects' values, new subjects' values.

References
----------
.. [1] Henderson CR. Best linear unbiased estimation and prediction under a selection model.
   Biometrics 1975;31:423-447. doi:10.2307/2529430.
.. [2] Harville DA. Extension of the Gauss-Markov theorem to include the estimation of random
   effects. Ann Stat 1976;4:384-395. doi:10.1214/aos/1176343414.
.. [3] Laird NM, Ware JH. Random-effects models for longitudinal data. Biometrics 1982;38:963-974.
   doi:10.2307/2529876.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.degrees_of_freedom import NormalInference
from pmsstats.models.fixed_effects.inference import quantile
from pmsstats.models.formulas.design import level_label
from pmsstats.models.mixed.mixed_state import (
    MixedState,
    mixed_state,
    open_directions,
    variance_information,
)
from pmsstats.plots.diagnostics import plot_ranked_intervals
from pmsstats.results import Exclusion, FitLog, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.mixed.lmm import LMMSpec
    from pmsstats.models.mixed.lmm_result import LMMResult

__all__ = [
    "BlupsResult",
    "TargetVariance",
    "blup_covariances",
    "estimate_blups",
    "predict_marginal",
    "predict_subjects",
    "target_variance",
]

_NEW = -1  # code of a subject that the fit has not seen


@dataclass(frozen=True, eq=False, kw_only=True)
class TargetVariance:
    """Prediction-error variances, and how they depend on the variances.

    Parameters
    ----------
    value : ndarray, shape (m,)
        Over ``sigma^2``, on the common scale.
    gradient : ndarray, shape (m, q, q)
        Derivative of `value` in the relative covariance of the random effects.
    """

    value: np.ndarray
    gradient: np.ndarray


def target_variance(
    state: MixedState, x: np.ndarray, z: np.ndarray, subject: np.ndarray
) -> TargetVariance:
    """Find the prediction-error variance of ``x' beta + z' b``, per target.

    Parameters
    ----------
    state : MixedState
        A fitted model.
    x : ndarray, shape (m, p)
        Weights of the fixed effects, on the common scale.
    z : ndarray, shape (m, q)
        Weights of the random effects, on the common scale.
    subject : ndarray of int, shape (m,)
        Whose random effects; -1 for a subject that the fit has not seen.

    Returns
    -------
    TargetVariance
        The uncertainty of the fixed effects is part of it, that of the variances is not.

    Notes
    -----
    For subject i, ``z' (Psi - Psi B_i Psi) z + d' C d`` with ``d = x - A_i' Psi z``: the inverse
    of Henderson's mixed-model equations [1]_ worked out by blocks, which needs no inverse of Psi.
    For a new subject ``z' Psi z + x' C x``. The predictor ``lambda' y`` minimises the variance
    among the unbiased ones [2]_, so its weights count as constants in the derivative:
    ``sum_j u_j' E u_j`` over the other subjects, plus ``(u_i - z)' E (u_i - z)``, where ``u_j =
    Z_j' lambda_j = A_j C d + [j = i] B_i Psi z``.

    References
    ----------
    .. [1] Henderson CR. Best linear unbiased estimation and prediction under a selection model.
       Biometrics 1975;31:423-447. doi:10.2307/2529430.
    .. [2] Harville DA. Extension of the Gauss-Markov theorem to include the estimation of random
       effects. Ann Stat 1976;4:384-395. doi:10.1214/aos/1176343414.
    """
    known = (subject != _NEW)[:, None, None]
    A = np.where(known, state.ZVX[subject], 0.0)
    B = np.where(known, state.ZVZ[subject], 0.0)
    spread = np.where(known, state.conditional[subject], state.psi)
    shrunk = z @ state.psi
    d = x - np.einsum("mqp,mq->mp", A, shrunk)
    e = d @ state.inverse
    value = np.einsum("mq,mqr,mr->m", z, spread, z) + (d * e).sum(axis=1)
    pairs = np.einsum("iap,ibr->apbr", state.ZVX, state.ZVX, optimize=True)
    everyone = np.einsum("mp,apbr,mr->mab", e, pairs, e, optimize=True)
    own = np.einsum("mqp,mp->mq", A, e)
    off = own + np.einsum("mqr,mr->mq", B, shrunk) - z
    gradient = everyone - own[:, :, None] * own[:, None] + off[:, :, None] * off[:, None]
    return TargetVariance(value=value, gradient=gradient)


def blup_covariances(state: MixedState, *, conditional: bool = False) -> np.ndarray:
    """Return each subject's covariance of ``b_hat - b``, in the user's units.

    Parameters
    ----------
    state : MixedState
        A fitted model.
    conditional : bool, default False
        Take the fixed effects as known.

    Returns
    -------
    ndarray, shape (n_subjects, q, q)
        Of the random effects.

    Notes
    -----
    R: ``attr(ranef(model, condVar = TRUE)[[1]], "postVar")`` is the conditional one; SAS: ``Std
    Err Pred`` of ``RANDOM ... / SOLUTION`` is the root of the other's diagonal.
    """
    relative = state.conditional
    if not conditional:
        weights = np.einsum("qr,irp->iqp", state.psi, state.ZVX)
        relative = relative + np.einsum("iqp,ps,irs->iqr", weights, state.inverse, weights)
    inverse = np.linalg.inv(state.back.T) * state.back.scale
    made: np.ndarray = state.sigma2 * inverse @ relative @ inverse.T
    return made


def _degrees(
    fit: LMMResult, state: MixedState, target: TargetVariance, extra: np.ndarray | float = 0.0
) -> np.ndarray | None:
    """Return Satterthwaite's df of prediction-error variances; None for normal quantiles."""
    if isinstance(fit.inference, NormalInference):
        return None
    basis = open_directions(state.psi, state.arrays.blocks)
    covariance = np.linalg.inv(variance_information(state, basis).matrix)
    value = target.value + extra
    slopes = np.column_stack([np.einsum("mab,kab->mk", target.gradient, basis), value])
    with np.errstate(divide="ignore", invalid="ignore"):
        df: np.ndarray = 2 * value**2 / np.einsum("mk,kl,ml->m", slopes, covariance, slopes)
    return df


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BlupsResult(Result):
    """Predicted random effects with their standard errors.

    Parameters
    ----------
    spec : LMMSpec
        The model.
    frame : pandas.DataFrame
        The subject's id, then ``term estimate std_error [df] conf_low conf_high``; one row per
        subject and effect.
    conditional : bool
        Whether the fixed effects were taken as known.
    label, unit : str
        Of the outcome.
    n_subjects : int
        Subjects in the model.
    fit_log : FitLog
        Of the model.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        What the model left out.
    """

    spec: LMMSpec
    frame: pd.DataFrame
    conditional: bool
    label: str
    unit: str
    n_subjects: int
    fit_log: FitLog
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say what was predicted and how far the predictions are shrunk."""
        spread = self.frame.groupby("term", sort=False)["estimate"].std(ddof=0)
        sizes = ", ".join(f"{name} {format_number(sd, 3)}" for name, sd in spread.items())
        made = "synthetic " if self.origin == "synthetic" else ""
        known = "; fixed effects taken as known" if self.conditional else ""
        log = "; singular: a variance is estimated as zero" if self.fit_log.singular else ""
        log += "" if self.fit_log.converged else "; the fit did NOT converge"
        return (
            f"Random effects of {self.label} were predicted for {self.n_subjects} {made}subjects "
            f"(SD of the predictions: {sizes}{known}{log})."
        )

    def table(self) -> pd.DataFrame:
        """Return one row per subject and random effect."""
        return self.frame.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw one effect's predictions in order of size; ``term=`` chooses it."""
        terms = list(dict.fromkeys(self.frame["term"]))
        term = kws.pop("term", terms[0])
        if term not in terms:
            raise DesignError(
                f"`term` must be one of {', '.join(terms)}, got {term!r}."
                f"{nearest(str(term), terms)}"
            )
        mine = self.frame[self.frame["term"] == term]
        options = {"y_label": f"{self.label}: {term}", "origin": self.origin, **kws}
        return plot_ranked_intervals(mine, ax=ax, **options)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "blups_result/1",
            "headline": self.headline(),
            "spec": to_plain(self.spec),
            "conditional": self.conditional,
            "blups": to_plain(self.frame),
            "label": self.label,
            "unit": self.unit,
            "n_subjects": self.n_subjects,
            "fit_log": to_plain(self.fit_log),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def estimate_blups(fit: LMMResult, *, conditional: bool = False) -> BlupsResult:
    """Predict each subject's random effects, with prediction intervals.

    Parameters
    ----------
    fit : LMMResult
        A fitted model with one grouping factor.
    conditional : bool, default False
        Take the fixed effects as known: lme4's conditional standard deviations, which are too
        small as prediction errors.

    Returns
    -------
    BlupsResult
        One row per subject and effect.

    Raises
    ------
    DesignError
        If the model has several grouping factors.

    Notes
    -----
    Standard errors are the roots of the diagonal of ``Var(b_hat - b)``, by Henderson's mixed-model
    equations [1]_, with the variances taken as known: a variance that is estimated as zero gives
    predictions of zero without error. Intervals use Satterthwaite's degrees of
    freedom of these variances (expected information), or normal quantiles where the fit does, and
    always where the fixed effects are taken as known. R: ``lme4::ranef(model, condVar = TRUE)``
    with ``conditional=True``; SAS: ``RANDOM ... / SOLUTION DDFM=SATTERTHWAITE``.

    References
    ----------
    .. [1] Henderson CR. Best linear unbiased estimation and prediction under a selection model.
       Biometrics 1975;31:423-447. doi:10.2307/2529430.
    """
    state = mixed_state(fit)
    names = list(fit.design.random_names)
    n, q = state.modes.shape
    covariances = blup_covariances(state, conditional=conditional)
    std_errors = np.sqrt(np.clip(np.einsum("iqq->iq", covariances), 0.0, None))
    df = None if conditional else _blup_degrees(fit, state)
    half = quantile(fit.spec.conf_level, df) * std_errors.ravel()
    modes = fit.blup_frame[names].to_numpy().ravel()
    frame = pd.DataFrame(
        {
            fit.group: np.repeat(np.array(fit.blup_frame[fit.group], dtype=object), q),
            "term": names * n,
            "estimate": modes,
            "std_error": std_errors.ravel(),
            **({} if df is None else {"df": df}),
            "conf_low": modes - half,
            "conf_high": modes + half,
        }
    )
    return BlupsResult(
        spec=fit.spec,
        frame=frame,
        conditional=conditional,
        label=fit.label,
        unit=fit.unit,
        n_subjects=fit.n_subjects,
        fit_log=fit.fit_log,
        origin=fit.origin,
        exclusions=fit.exclusions,
    )


def _blup_degrees(fit: LMMResult, state: MixedState) -> np.ndarray | None:
    """Return the df of every subject's every random effect, subjects slowest."""
    n, q = state.modes.shape
    z = np.tile(state.random_rows(np.eye(q)), (n, 1))
    x = np.zeros((n * q, len(state.fixed)))
    return _degrees(fit, state, target_variance(state, x, z, np.repeat(np.arange(n), q)))


def predict_subjects(fit: LMMResult, newdata: pd.DataFrame) -> pd.DataFrame:
    """Predict the outcome of given subjects at given times.

    Parameters
    ----------
    fit : LMMResult
        A fitted model with one grouping factor.
    newdata : pandas.DataFrame
        Has the subject's id, every variable of the fixed and random part, and the weights' column
        of a weighted model, all complete. Subjects that the fit has not seen are predicted at
        their mean, with all of the variation between subjects in their intervals.

    Returns
    -------
    pandas.DataFrame
        The rows of `newdata` with ``estimate std_error [df] conf_low conf_high`` of the subject's
        own mean, and ``new_std_error new_low new_high`` of another observation, added.

    Raises
    ------
    DesignError
        If a variable is absent or incomplete, a level is unknown, a mean cannot be estimated, a
        subject of the fit is given a level (an arm, a phenotype) that is not theirs, or the model
        has several grouping factors.

    Notes
    -----
    The subject's mean is ``x' beta + z' b``; its prediction-error variance follows from
    Henderson's equations [1]_ [2]_, with the variances taken as known; another observation adds
    ``sigma^2`` (over its weight). Degrees of freedom are Satterthwaite's of that variance, by the
    expected information; normal quantiles where the fit uses those. R: the estimate is
    ``predict(model, newdata, allow.new.levels = TRUE)``; SAS: ``OUTPRED=``.

    References
    ----------
    .. [1] Henderson CR. Best linear unbiased estimation and prediction under a selection model.
       Biometrics 1975;31:423-447. doi:10.2307/2529430.
    .. [2] Laird NM, Ware JH. Random-effects models for longitudinal data. Biometrics
       1982;38:963-974. doi:10.2307/2529876.
    """
    if fit.group not in newdata.columns:
        raise DesignError(
            f"`newdata` needs the column {fit.group!r}, which tells whose values to predict. For "
            "means over subjects use predict(newdata)."
        )
    position = {value: i for i, value in enumerate(fit.blup_frame[fit.group])}
    subject = np.array([position.get(value, _NEW) for value in newdata[fit.group]], dtype=int)
    _check_own_levels(fit, newdata, subject)
    return _predicted(fit, newdata, subject)


def _check_own_levels(fit: LMMResult, newdata: pd.DataFrame, subject: np.ndarray) -> None:
    """Refuse subjects with another arm or phenotype than they have in the data of the fit."""
    own = fit.design.arrays.subject
    known = np.flatnonzero(subject != _NEW)
    for name in fit.design.fixed.levels:
        if name not in newdata.columns or not len(known):
            continue
        levels = _labels(fit.data[name])
        first = pd.Series(levels).groupby(own).agg(["first", "nunique"])
        if first["nunique"].max() > 1:
            continue  # it changes over time
        theirs = first["first"].to_numpy()[subject[known]]
        given = _labels(newdata[name].iloc[known])
        wrong = np.flatnonzero(theirs != given)
        if len(wrong):
            i = wrong[0]
            who = newdata[fit.group].iloc[known[i]]
            raise DesignError(
                f"{len(wrong)} row(s) of `newdata` give a subject another {name!r} than in the "
                f"data of the fit: {who} has {theirs[i]!r} there and {given[i]!r} here. A "
                "prediction for a subject uses what was seen of that subject; for the mean of "
                f"such subjects had {name} been another, use predict_marginal(newdata)."
            )


def _labels(column: pd.Series) -> np.ndarray:
    """Return each row's level, whatever kind of number or text it is stored as."""
    labels: np.ndarray = np.array([str(level_label(item)) for item in column], dtype=object)
    return labels


def predict_marginal(fit: LMMResult, newdata: pd.DataFrame) -> pd.DataFrame:
    """Predict the mean over subjects, and the value of a new subject.

    Parameters
    ----------
    fit : LMMResult
        A fitted model with one grouping factor.
    newdata : pandas.DataFrame
        Has every variable of the fixed and random part, and the weights' column of a weighted
        model, all complete.

    Returns
    -------
    pandas.DataFrame
        The rows of `newdata` with ``estimate std_error [df] conf_low conf_high`` of the mean over
        subjects (as :meth:`LMMResult.predict`), and ``new_std_error new_low new_high`` of one
        observation of a new subject, added.

    Raises
    ------
    DesignError
        If a variable is absent or incomplete, a level is unknown, a mean cannot be estimated, or
        the model has several grouping factors.

    Notes
    -----
    A new subject's observation has the variance ``x' Var(beta) x + z' Psi z + sigma^2``. R: the
    estimate is ``predict(model, newdata, re.form = NA)``; SAS: ``OUTPREDM=``.
    """
    subject = np.full(len(newdata), _NEW)
    new = _predicted(fit, newdata, subject)
    mean = fit.predict(newdata)
    return mean.assign(**{name: new[name] for name in ("new_std_error", "new_low", "new_high")})


def _predicted(fit: LMMResult, newdata: pd.DataFrame, subject: np.ndarray) -> pd.DataFrame:
    """Predict rows of known subjects and of new ones."""
    state = mixed_state(fit)
    x, z = fit.design.fixed_matrix(newdata), fit.design.random_matrix(newdata)
    modes = fit.blup_frame[list(fit.design.random_names)].to_numpy()
    own = np.where((subject == _NEW)[:, None], 0.0, modes[subject])
    estimate = x @ fit.coefficients["estimate"].to_numpy() + (z * own).sum(axis=1)
    target = target_variance(state, state.fixed_rows(x), state.random_rows(z), subject)
    extra = 1.0 / _row_weights(fit, newdata)
    size = fit.residual_sd
    std_error, new_error = size * np.sqrt(target.value), size * np.sqrt(target.value + extra)
    df = _degrees(fit, state, target)
    half = quantile(fit.spec.conf_level, df) * std_error
    new_half = quantile(fit.spec.conf_level, _degrees(fit, state, target, extra)) * new_error
    made = {
        "estimate": estimate,
        "std_error": std_error,
        **({} if df is None else {"df": df}),
        "conf_low": estimate - half,
        "conf_high": estimate + half,
        "new_std_error": new_error,
        "new_low": estimate - new_half,
        "new_high": estimate + new_half,
    }
    clash = [name for name in made if name in newdata.columns]
    return newdata.drop(columns=clash).reset_index(drop=True).assign(**made)


def _row_weights(fit: LMMResult, newdata: pd.DataFrame) -> np.ndarray:
    """Return the weight of each row: one, or the column that the model names."""
    name = getattr(fit.spec, "weights", None)
    if name is None:
        return np.ones(len(newdata))
    if name not in newdata.columns:
        raise DesignError(f"`newdata` needs the column {name!r}: the model is weighted by it.")
    weights = newdata[name].to_numpy(dtype=float)
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise DesignError(f"The weights {name!r} of `newdata` must be finite and above zero.")
    return weights
