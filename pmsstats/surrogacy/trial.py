"""Do treatment effects on a marker predict treatment effects on disability: trial level."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.seeds import stream
from pmsstats.surrogacy.effect_covariation import EDGE, errors_in_variables, mixed_model
from pmsstats.surrogacy.effect_regression import MetaRegression, WeightedRegression
from pmsstats.surrogacy.individual import individual_association
from pmsstats.surrogacy.specs import EffectTableSpec, TrialSurrogacySpec
from pmsstats.surrogacy.subject_data import prepare_subjects
from pmsstats.surrogacy.threshold import threshold_effect
from pmsstats.surrogacy.trial_effects import (
    TrialEffects,
    effects_from_subjects,
    effects_from_table,
)
from pmsstats.surrogacy.trial_fit import TrialFit, TrialLevelModel
from pmsstats.surrogacy.trial_result import TrialSurrogacyResult

if TYPE_CHECKING:
    from pmsstats.provenance import Origin
    from pmsstats.seeds import Seed

__all__ = ["surrogacy_trial"]

_WORDS = "trial-level surrogacy"


def surrogacy_trial(
    data: pd.DataFrame,
    spec: TrialSurrogacySpec | EffectTableSpec,
    *,
    seed: Seed,
    origin: Origin = "real",
) -> TrialSurrogacyResult:
    """Relate treatment effects on a clinical outcome to those on a marker, over several trials.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject (with a TrialSurrogacySpec), or one row per trial (EffectTableSpec).
    spec : TrialSurrogacySpec or EffectTableSpec
        Which columns are what.
    seed : int, SeedSequence or Generator
        Of the bootstrap over trials.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    TrialSurrogacyResult
        R2 by every model that the data allow, with intervals, line, surrogate threshold effect,
        heterogeneity, and each trial predicted from the others.

    Raises
    ------
    DesignError
        If fewer than three trials can be used, effects do not vary between trials, or the model
        that was asked for needs more trials than there are.

    Notes
    -----
    The question is how well the true effect on the marker in a new trial tells the true effect on
    the outcome. The models, side by side:

    - ``reduced``: weighted least squares of the estimated effect on the outcome on that on the
      marker, the second stage of the two-stage approach [1]_; errors of the estimates stay in, so
      that R2 and slope are too small.
    - ``full``: the same with the marker's mean in the reference arm as second regressor [1]_.
    - ``meta_regression``: random-effects regression that knows the errors on the outcome; its R2
      is the share of the variance between trials that goes away.
    - ``errors_in_variables``: a normal model of both effects with their known errors [2]_.
    - ``mixed_reduced``, ``mixed_full``: the bivariate mixed model of the subjects [1]_.

    With estimated errors R2 is that of true effects. Asymptotic intervals use the variance
    ``4 R2 (1 - R2)^2 / (N - 3)`` for N trials, cut to 0 and 1, and are poor with few trials;
    those of the bootstrap, which draws trials, are hardly better below ten. The surrogate
    threshold effect is the smallest effect on the marker that predicts a benefit with confidence
    [3]_. An R2 of one on the boundary is a sign of little information, not of a perfect surrogate.

    References
    ----------
    .. [1] Buyse M, Molenberghs G, Burzykowski T, Renard D, Geys H. The validation of surrogate
       endpoints in meta-analyses of randomized experiments. Biostatistics 2000;1:49-67.
       doi:10.1093/biostatistics/1.1.49
    .. [2] van Houwelingen HC, Arends LR, Stijnen T. Advanced methods in meta-analysis:
       multivariate approach and meta-regression. Stat Med 2002;21:589-624. doi:10.1002/sim.1040
    .. [3] Burzykowski T, Buyse M. Surrogate threshold effect: an alternative measure for
       meta-analytic surrogate endpoint validation. Pharm Stat 2006;5:173-186. doi:10.1002/pst.207

    Examples
    --------
    >>> trials = pd.DataFrame(
    ...     {
    ...         "trial_id": list("ABCDEF"),
    ...         "atrophy": [0.10, 0.25, 0.05, 0.40, 0.30, 0.20],
    ...         "log_hr": [-0.12, -0.30, -0.02, -0.46, -0.36, -0.20],
    ...     }
    ... )
    >>> spec = EffectTableSpec(surrogate_effect="atrophy", outcome_effect="log_hr", n_replicates=0)
    >>> found = surrogacy_trial(trials, spec, seed=1)
    >>> round(found.r2_trial, 3), round(found.ste, 3)
    (0.986, 0.077)
    """
    if isinstance(spec, EffectTableSpec):
        effects, association = effects_from_table(data, spec), None
    elif isinstance(spec, TrialSurrogacySpec):
        prepared = prepare_subjects(data, spec, _WORDS)
        effects = effects_from_subjects(prepared, spec)
        usable = np.isin(np.array(prepared.trials)[prepared.trial], effects.trials)
        association = individual_association(prepared.select(usable), spec.conf_level)
    else:
        raise DesignError(
            "`spec` must be a TrialSurrogacySpec (one row per subject) or an EffectTableSpec (one "
            f"row per trial), got {type(spec).__name__}."
        )
    models = _models(effects, spec)
    everyone = np.ones((1, effects.n_trials))
    fits = {name: model.fits(everyone)[0] for name, model in models.items()}
    rows = pd.DataFrame([_row(name, models[name], fits[name], spec, seed) for name in models])
    _require_model(rows, spec, effects)
    return TrialSurrogacyResult(
        spec=spec,
        rows=rows,
        effects=effects,
        fit=fits[spec.model],
        left_out=_leave_one_out(models[spec.model], effects, spec.conf_level),
        heterogeneity=_heterogeneity(effects, fits),
        r2_individual=association,
        exclusions=effects.exclusions,
        origin=origin,
    )


def _models(
    effects: TrialEffects, spec: TrialSurrogacySpec | EffectTableSpec
) -> dict[str, TrialLevelModel]:
    """Return the models that the data allow, in the order of the table."""
    models: dict[str, TrialLevelModel] = {}
    weights = _weights(effects, spec)
    S, T = effects.surrogate, effects.outcome
    models["reduced"] = WeightedRegression(surrogate=S, outcome=T, weights=weights)
    if effects.reference_mean is not None:
        models["full"] = WeightedRegression(
            surrogate=S, outcome=T, weights=weights, extra=effects.reference_mean
        )
    variance = effects.covariance[:, -1, -1]
    if np.isfinite(variance).all():
        models["meta_regression"] = MetaRegression(surrogate=S, outcome=T, variance=variance)
    if np.isfinite(effects.covariance).all():
        models["errors_in_variables"] = errors_in_variables(effects)
    if effects.moments is not None:
        models["mixed_reduced"] = mixed_model(effects.moments, full=False)
        models["mixed_full"] = mixed_model(effects.moments, full=True)
    need = {"full": 4, "mixed_full": 5, "mixed_reduced": 3}
    need |= {"reduced": S.shape[1] + 2, "meta_regression": S.shape[1] + 2}
    need |= {"errors_in_variables": S.shape[1] + 2}
    return {name: m for name, m in models.items() if effects.n_trials >= need[name]}


def _weights(effects: TrialEffects, spec: TrialSurrogacySpec | EffectTableSpec) -> np.ndarray:
    """Return the weights of the two-stage regressions."""
    if spec.weights == "size" and effects.size is not None:
        return effects.size
    if spec.weights == "precision":
        return 1 / effects.covariance[:, -1, -1]
    return np.ones(effects.n_trials)


def _require_model(
    rows: pd.DataFrame, spec: TrialSurrogacySpec | EffectTableSpec, effects: TrialEffects
) -> None:
    """Refuse a request for a model that these trials do not allow."""
    names = rows["term"].tolist() if len(rows) else []
    if spec.model not in names:
        raise DesignError(
            f"`model={spec.model!r}` cannot be fitted to {effects.n_trials} trials of these data; "
            f"possible are: {', '.join(names) or 'none'}."
        )


def _row(
    name: str,
    model: TrialLevelModel,
    fit: TrialFit,
    spec: TrialSurrogacySpec | EffectTableSpec,
    seed: Seed,
) -> dict[str, object]:
    """Tabulate one model."""
    n = len(model.within)
    low, high = _asymptotic(fit.r2, n, spec.conf_level)
    boot = _bootstrap(model, spec, seed)
    ste, why = threshold_effect(fit.line, spec.conf_level, spec.benefit)
    notes = [fit.note, why, *(["few trials: intervals are rough"] if n < 10 else [])]
    slope = fit.line.slopes[0]
    error = float(np.sqrt(max(fit.line.covariance[1, 1], 0.0)))
    return {
        "term": name, "estimate": fit.r2, "conf_low": low, "conf_high": high,
        "boot_low": boot[0], "boot_high": boot[1], "n_failed": boot[2],
        "intercept": fit.line.intercept, "slope": slope, "slope_error": error,
        "residual_sd": float(np.sqrt(fit.line.residual_variance)),
        "ste": ste, "n_trials": n, "note": "; ".join(note for note in notes if note),
    }  # fmt: skip


def _asymptotic(r2: float, n: int, conf_level: float) -> tuple[float, float]:
    """Return the interval from the asymptotic variance of a squared correlation."""
    if n <= 3 or not r2 < EDGE:  # at one, the formula gives an interval without length
        return float("nan"), float("nan")
    half = stats.norm.ppf((1 + conf_level) / 2) * np.sqrt(4 * r2 * (1 - r2) ** 2 / (n - 3))
    return float(max(r2 - half, 0.0)), float(min(r2 + half, 1.0))


def _bootstrap(
    model: TrialLevelModel,
    spec: TrialSurrogacySpec | EffectTableSpec,
    seed: Seed,
) -> tuple[float, float, int]:
    """Return percentiles of R2 over draws of trials, and how many draws gave none."""
    if not spec.n_replicates:
        return float("nan"), float("nan"), 0
    n = len(model.within)
    rng = stream(seed, "trial-level surrogacy")  # the same draws for every model
    counts = rng.multinomial(n, np.full(n, 1 / n), size=spec.n_replicates).astype(float)
    made = model.squared(counts)
    seen = made[np.isfinite(made)]
    failed = spec.n_replicates - len(seen)
    if len(seen) < spec.n_replicates / 2:
        return float("nan"), float("nan"), failed
    tail = (1 - spec.conf_level) / 2
    low, high = np.quantile(seen, [tail, 1 - tail])
    return float(low), float(high), failed


def _leave_one_out(
    model: TrialLevelModel, effects: TrialEffects, conf_level: float
) -> pd.DataFrame:
    """Predict each trial from the others."""
    n = effects.n_trials
    counts = np.ones((n, n)) - np.eye(n)
    fits = model.fits(counts)
    predicted = np.array(
        [_predict(fit, effects.surrogate[i], model.within[i]) for i, fit in enumerate(fits)]
    )
    quantile = np.array([fit.line.quantile(conf_level) for fit in fits])
    half = quantile * np.sqrt(np.maximum(predicted[:, 1], 0.0))
    low, high = predicted[:, 0] - half, predicted[:, 0] + half
    return pd.DataFrame(
        {
            "trial": list(effects.trials),
            "r2_without": [fit.r2 for fit in fits],
            "slope_without": [fit.line.slopes[0] for fit in fits],
            "observed": effects.outcome,
            "predicted": predicted[:, 0],
            "conf_low": low,
            "conf_high": high,
            "inside": (effects.outcome >= low) & (effects.outcome <= high),
        }
    )


def _predict(fit: TrialFit, at: np.ndarray, within: np.ndarray) -> tuple[float, float]:
    """Predict an observed effect on the outcome from observed effects on surrogates."""
    line = fit.line
    x = np.append(1.0, at)
    error = float(x @ line.covariance @ x)
    if fit.mean is None or fit.between is None:
        mean = line.intercept + float(line.slopes @ at)
        return mean, line.residual_variance + float(within[-1, -1]) + error
    V = fit.between + within  # of observed effects: the surrogate's own error shrinks its effect
    slope = np.linalg.solve(V[:-1, :-1], V[:-1, -1])
    mean = float(fit.mean[-1] + slope @ (at - fit.mean[:-1]))
    return mean, float(V[-1, -1] - slope @ V[:-1, -1]) + error


def _heterogeneity(effects: TrialEffects, fits: dict[str, TrialFit]) -> pd.DataFrame:
    """Test whether true effects on the outcome differ between trials, and around the line."""
    variance = effects.covariance[:, -1, -1]
    if not np.isfinite(variance).all() or "meta_regression" not in fits:
        return pd.DataFrame(columns=["term", "statistic", "df", "p_value", "i2", "tau2"])
    X = np.column_stack([np.ones(effects.n_trials), effects.surrogate])
    tau2 = fits["meta_regression"].line.residual_variance
    null = MetaRegression(
        surrogate=effects.surrogate, outcome=effects.outcome, variance=variance
    ).variance_between(np.ones(effects.n_trials))
    return pd.DataFrame(
        [
            _cochran("effects on the outcome", X[:, :1], effects.outcome, variance)
            | {"tau2": null},
            _cochran("around the line", X, effects.outcome, variance) | {"tau2": tau2},
        ]
    )


def _cochran(
    term: str, X: np.ndarray, outcome: np.ndarray, variance: np.ndarray
) -> dict[str, object]:
    """Return Cochran's Q around a fixed-effects regression."""
    root = 1 / np.sqrt(variance)
    solved = np.linalg.lstsq(X * root[:, None], outcome * root, rcond=None)[0]
    Q = float((((outcome - X @ solved) * root) ** 2).sum())
    df = len(outcome) - X.shape[1]
    i2 = max(0.0, 1 - df / Q) if Q > 0 else 0.0
    return {"term": term, "statistic": Q, "df": df, "p_value": float(stats.chi2.sf(Q, df)),
            "i2": i2}  # fmt: skip
