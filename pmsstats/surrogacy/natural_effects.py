"""How much of a treatment effect runs through a mediator: natural direct and indirect effects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.seeds import stream
from pmsstats.surrogacy.additive_hazards import additive_coefficients, fit_additive_hazards
from pmsstats.surrogacy.hidden_confounding import confounding_curve
from pmsstats.surrogacy.mediation_result import MediationResult
from pmsstats.surrogacy.outcome_fits import coefficients, draw_within, fit_outcome, with_intercept
from pmsstats.surrogacy.specs import MediationSpec
from pmsstats.surrogacy.subject_data import SubjectData, prepare_subjects

if TYPE_CHECKING:
    from pmsstats.provenance import Origin
    from pmsstats.seeds import Seed

__all__ = ["mediation"]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Paths:
    """Coefficients behind the effects, of one set or of many (leading axis)."""

    reference: np.ndarray  # mean of the mediator in the reference arm
    on_mediator: np.ndarray  # of treatment on the mediator
    direct: np.ndarray  # of treatment on the outcome, given the mediator
    of_mediator: np.ndarray  # of the mediator on the outcome
    product: np.ndarray  # of the interaction; zero where there is none


def mediation(
    data: pd.DataFrame, spec: MediationSpec, *, seed: Seed, origin: Origin = "real"
) -> MediationResult:
    """Split a treatment effect into what runs through a mediator and what does not.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject; the mediator (a slope, say) measured before the outcome.
    spec : MediationSpec
        Which columns are what.
    seed : int, SeedSequence or Generator
        Of the bootstrap.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    MediationResult
        Natural direct and indirect effect, total and share, with a sensitivity analysis.

    Raises
    ------
    DesignError
        If the data cannot support it; the conditions stand at
        :func:`~pmsstats.surrogacy.subject_data.prepare_subjects`.

    Notes
    -----
    Treatment is randomised; the mediator is not. The effects are causal only if nothing but the
    covariates causes both the mediator and the outcome; the sensitivity analysis says how strong
    an unmeasured cause of both would have to be.

    The mediator is linear in treatment, with effect b1. With a continuous outcome ``T = t0 + t1 Z +
    t2 M + t3 Z M`` the natural direct effect is ``t1 + t3 E[M(0)]`` and the natural indirect effect
    ``(t2 + t3) b1`` [1]_. A survival outcome has additive
    hazards ``h0(t) + t1 Z + t2 M``: direct effect t1, indirect ``t2 b1``, both in excess events
    per unit of time [2]_. Unlike hazard ratios these add up to the total, and are not confined to
    rare events, which worsening of disability is not. Errors are by the delta method: the
    two regressions are independent given their models.

    A mediator measured with error is diluted: with `reliability` below one the indirect effect is
    divided by it, and the direct effect is the rest of the total.

    References
    ----------
    .. [1] Valeri L, VanderWeele TJ. Mediation analysis allowing for exposure-mediator
       interactions and causal interpretation. Psychol Methods 2013;18:137-150.
       doi:10.1037/a0031034
    .. [2] Lange T, Hansen JV. Direct and indirect effects in a survival context. Epidemiology
       2011;22:575-581. doi:10.1097/EDE.0b013e31821c680c

    Examples
    --------
    >>> rng = np.random.default_rng(5)
    >>> arm = np.repeat(["placebo", "active"], 300)
    >>> slope = -0.8 + 0.3 * (arm == "active") + rng.normal(0, 0.4, 600)
    >>> trial = pd.DataFrame({"arm": arm, "slope": slope})
    >>> trial["year"] = rng.exponential(1 / (0.25 - 0.15 * np.clip(slope, -1.6, 1.6)))
    >>> trial["worse"] = trial["year"] < 2.5
    >>> trial["year"] = trial["year"].clip(upper=2.5)
    >>> spec = MediationSpec(
    ...     surrogate="slope",
    ...     duration="year",
    ...     event="worse",
    ...     reference="placebo",
    ...     n_replicates=100,
    ... )
    >>> found = mediation(trial, spec, seed=1)
    >>> found.rows["term"].tolist()[:2]
    ['natural direct effect', 'natural indirect effect']
    """
    prepared = prepare_subjects(data, spec, "mediation")
    paths, covariance = _estimate(prepared, spec)
    point = _effects(paths, spec.reliability)
    rows = _frame(point, _gradients(paths, spec.reliability), covariance, spec.conf_level)
    replicates = _replicates(prepared, spec, seed)
    rows[["boot_low", "boot_high"]] = _percentiles(replicates, spec.conf_level)
    return MediationResult(
        spec=spec,
        rows=rows,
        sensitivity=confounding_curve(prepared, spec),
        n_failed=int((~np.isfinite(replicates).all(axis=1)).sum()),
        arms=prepared.arms,
        kind=prepared.kind,
        n_subjects=prepared.n_subjects,
        n_events=int(prepared.event.sum()) if spec.survival else None,
        exclusions=prepared.exclusions,
        origin=origin,
    )


def _designs(data: SubjectData, spec: MediationSpec) -> tuple[np.ndarray, np.ndarray]:
    """Return the designs of mediator and outcome; covariates are centred."""
    C = data.covariates - data.covariates.mean(axis=0)
    Z, M = data.treated, data.surrogate
    product = [Z * M] if spec.interaction else []
    outcome = np.column_stack([Z, M, *product, C])
    kind = "survival" if spec.survival else "continuous"
    return with_intercept("continuous", np.column_stack([Z, C])), with_intercept(kind, outcome)


def _paths(beta: np.ndarray, theta: np.ndarray, spec: MediationSpec) -> _Paths:
    """Name the coefficients of mediator and outcome; the last axis holds the terms."""
    theta = theta if spec.survival else theta[..., 1:]
    product = theta[..., 2] if spec.interaction else np.zeros_like(theta[..., 0])
    return _Paths(
        reference=beta[..., 0], on_mediator=beta[..., 1], direct=theta[..., 0],
        of_mediator=theta[..., 1], product=product,
    )  # fmt: skip


def _estimate(data: SubjectData, spec: MediationSpec) -> tuple[_Paths, np.ndarray]:
    """Fit both regressions; return the coefficients and the covariance of the five."""
    X, W = _designs(data, spec)
    everyone = np.ones(data.n_subjects, dtype=bool)
    mediator = fit_outcome("continuous", X, data.surrogate, everyone, what="mediator model")
    if spec.survival:
        hazards = fit_additive_hazards(W, data.outcome, data.event)
        theta, spread, at = hazards.beta, hazards.covariance, [0, 1]
    else:
        fit = fit_outcome("continuous", W, data.outcome, everyone, what="outcome model")
        theta, spread, at = fit.beta, fit.covariance, [1, 2, *([3] if spec.interaction else [])]
    covariance = np.zeros((5, 5))
    covariance[:2, :2] = mediator.covariance[:2, :2]
    covariance[2 : 2 + len(at), 2 : 2 + len(at)] = spread[np.ix_(at, at)]
    return _paths(mediator.beta, theta, spec), covariance


def _effects(paths: _Paths, reliability: float) -> np.ndarray:
    """Return direct, indirect, total and share; the last axis has length four."""
    indirect = (paths.of_mediator + paths.product) * paths.on_mediator
    direct = paths.direct + paths.product * paths.reference
    total = direct + indirect
    indirect = indirect / reliability
    with np.errstate(divide="ignore", invalid="ignore"):
        share = indirect / total
    return np.stack([total - indirect, indirect, total, share], axis=-1)


def _gradients(paths: _Paths, reliability: float) -> np.ndarray:
    """Return the derivatives of the effects (4 rows) in the five coefficients."""
    b0, b1, t2, t3 = (
        float(v) for v in (paths.reference, paths.on_mediator, paths.of_mediator, paths.product)
    )
    observed = np.array([0.0, t2 + t3, 0.0, b1, b1])  # of the indirect effect before correction
    total = np.array([t3, 0.0, 1.0, 0.0, b0]) + observed
    indirect = observed / reliability
    _, NIE, TE, _ = _effects(paths, reliability)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = indirect / TE - NIE / TE**2 * total
    return np.stack([total - indirect, indirect, total, share])


def _frame(
    point: np.ndarray, gradients: np.ndarray, covariance: np.ndarray, conf_level: float
) -> pd.DataFrame:
    """Tabulate the effects with delta-method errors."""
    error = np.sqrt(np.einsum("ij,jk,ik->i", gradients, covariance, gradients))
    half = stats.norm.ppf((1 + conf_level) / 2) * error
    statistic = point / error
    frame = pd.DataFrame(
        {
            "term": [
                "natural direct effect", "natural indirect effect", "total effect",
                "proportion mediated",
            ],
            "estimate": point,
            "std_error": error,
            "statistic": statistic,
            "p_value": 2 * stats.norm.sf(np.abs(statistic)),
            "conf_low": point - half,
            "conf_high": point + half,
        }
    )  # fmt: skip
    frame.loc[3, ["statistic", "p_value"]] = np.nan  # a share has no null value
    return frame


def _replicates(data: SubjectData, spec: MediationSpec, seed: Seed) -> np.ndarray:
    """Return the effects of each bootstrap replicate."""
    if not spec.n_replicates:
        return np.empty((0, 4))
    weights = draw_within(data.treated, stream(seed, "mediation"), spec.n_replicates)
    X, W = _designs(data, spec)
    everyone = np.ones(data.n_subjects, dtype=bool)
    beta, _ = coefficients("continuous", weights, X, data.surrogate, everyone)
    if spec.survival:
        theta = additive_coefficients(weights, W, data.outcome, data.event)
    else:
        theta, _ = coefficients("continuous", weights, W, data.outcome, everyone)
    return _effects(_paths(beta, theta, spec), spec.reliability)


def _percentiles(replicates: np.ndarray, conf_level: float) -> np.ndarray:
    """Return the percentile intervals, shape (4, 2); missing without replicates."""
    seen = replicates[np.isfinite(replicates).all(axis=1)]
    if not len(seen):
        return np.full((4, 2), np.nan)
    tail = (1 - conf_level) / 2
    return np.quantile(seen, [tail, 1 - tail], axis=0).T
