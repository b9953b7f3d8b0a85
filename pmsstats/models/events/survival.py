"""Survival models: Cox regression and Kaplan-Meier curves behind the result contract."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import ConvergenceError, ConvergenceWarning
from pmsstats.models.events.cox_diagnostics import score_residuals
from pmsstats.models.events.partial_likelihood import (
    CountingProcess,
    EfronTerms,
    efron_terms,
    is_regular,
    monotone_terms,
    newton_decrement,
    polish,
)
from pmsstats.models.events.survival_data import KMData, prepare_cox, prepare_km
from pmsstats.models.events.survival_results import CoxResult, KMResult, LogRankTest
from pmsstats.models.events.survival_specs import CoxSpec, KMSpec
from pmsstats.results import Exclusion, FitLog

if TYPE_CHECKING:
    from pmsstats.models.backends.lifelines_cox import CoxEngineFit
    from pmsstats.provenance import Origin

__all__ = ["CoxResult", "CoxSpec", "KMResult", "KMSpec", "LogRankTest", "fit_cox", "fit_km"]

_DECREMENT = 1e-8  # squared standard errors from the maximum: beyond, a fit did not converge
_RUNAWAY = 1e2  # standard error per SD of a covariate: beyond, its likelihood has no maximum


def fit_cox(
    data: pd.DataFrame,
    spec: CoxSpec,
    *,
    on_failure: Literal["raise", "warn"] = "raise",
    origin: Origin = "real",
) -> CoxResult:
    """Fit a Cox proportional-hazards model.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject (`duration`), or per subject and interval (`start`, `stop`).
    spec : CoxSpec
        Which columns are what.
    on_failure : {"raise", "warn"}, default "raise"
        Whether a fit without a trustworthy maximum is refused, or returned with
        ``fit_log.converged=False`` and a warning.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    CoxResult
        Log hazard ratios and hazard ratios, with what was left out.

    Raises
    ------
    DesignError
        If the data cannot support the model; the conditions stand at
        :func:`~pmsstats.models.events.survival_data.prepare_cox`.
    ConvergenceError
        If the likelihood has no maximum (separation), or none was found.

    Warns
    -----
    ConvergenceWarning
        If the maximum cannot be trusted and `on_failure` is "warn".

    Notes
    -----
    R: ``survival::coxph(Surv(...) ~ ..., ties = "efron")``; SAS: ``PROC PHREG``.

    The hazard of a row in stratum s is ``h_s(t) exp(x' beta)``; beta maximises Efron's partial
    likelihood [1]_. Covariates are standardised for the engine (lifelines) and the estimates
    turned back. The engine stops about 1e-3 standard errors short of the maximum; Newton steps on
    an independent evaluation of the likelihood go the rest of the way, and certify it: the
    Newton decrement must be below 1e-8 squared standard errors. Rows of zero length carry no
    follow-up and are left out, counted. Two times tie if they are equal as numbers.

    References
    ----------
    .. [1] Efron B. The efficiency of Cox's likelihood function for censored data. J Am Stat Assoc
       1977;72:557-565. doi:10.1080/01621459.1977.10480613

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame(
    ...     {
    ...         "duration": [5, 8, 9, 12, 14, 20, 21, 30],
    ...         "event": [True, True, False, True, True, False, True, False],
    ...         "atrophy": [1.8, 0.9, 1.2, 1.6, 0.4, 0.8, 0.7, 0.6],
    ...     }
    ... )
    >>> fit_cox(data, CoxSpec(covariates="atrophy")).headline()
    'Cox model of 8 subjects with 5 events: hazard ratio of atrophy 10.4 (95 % CI 0.670 to 161).'
    """
    prepared = prepare_cox(data, spec)
    scale = prepared.process.X.std(axis=0)
    standard = replace(
        prepared.process, X=(prepared.process.X - prepared.process.X.mean(axis=0)) / scale
    )
    engine = _maximise(standard, prepared.terms)
    with np.errstate(all="ignore"):  # a runaway estimate overflows; it is judged below
        terms = polish(standard, engine.beta)
        problem = _problem(standard, terms, prepared.terms)
    if problem and on_failure == "raise":
        raise ConvergenceError(problem)
    if problem:
        warnings.warn(problem, ConvergenceWarning, stacklevel=2)
    model = _invert(terms.information)
    covariance = _robust(standard, terms, model, prepared.cluster)
    null = efron_terms(standard, np.zeros_like(terms.beta))
    return CoxResult(
        spec=spec,
        fit_log=_fit_log(engine, terms, problem),
        coefficients=_coefficients(
            prepared.terms,
            terms.beta / scale,
            _root(np.diag(covariance)) / scale,
            spec.conf_level,
        ),
        covariance=covariance / np.outer(scale, scale),
        model_covariance=model / np.outer(scale, scale),
        n_subjects=prepared.n_subjects,
        n_obs=len(standard.stop),
        n_events=int(standard.event.sum()),
        log_likelihood=terms.log_likelihood,
        log_likelihood_null=null.log_likelihood,
        process=prepared.process,
        strata=prepared.strata,
        exclusions=prepared.exclusions,
        origin=origin,
    )


def _maximise(process: CountingProcess, names: tuple[str, ...]) -> CoxEngineFit:
    """Run the engine; where it gives up, say why in our words."""
    # loaded here because lifelines takes a second to import
    from pmsstats.models.backends.lifelines_cox import maximise_partial_likelihood

    try:
        return maximise_partial_likelihood(process)
    except ConvergenceError as exc:
        reason = _separation(process, names) or "The Cox model found no maximum. "
        raise ConvergenceError(f"{reason}(lifelines: {exc})") from exc


def _problem(process: CountingProcess, terms: EfronTerms, names: tuple[str, ...]) -> str:
    """Say why a maximum cannot be trusted; empty if it can."""
    symptom = _symptom(terms, names)
    return (_separation(process, names) or symptom) if symptom else ""


def _symptom(terms: EfronTerms, names: tuple[str, ...]) -> str:
    """Look for signs that the likelihood has no maximum, or that it was not reached."""
    information = terms.information
    if not is_regular(information):
        return "The information matrix of the Cox model is singular. Use fewer covariates."
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    if np.any(errors > _RUNAWAY):
        return (
            f"The hazard ratio of {names[int(np.argmax(errors))]} cannot be estimated: a "
            "combination of the covariates hardly varies, or separates the subjects with an event "
            "from the others at risk. Use fewer covariates."
        )
    decrement = newton_decrement(terms)
    if not decrement < _DECREMENT:
        return (
            f"The Cox model did not converge: the next Newton step would still be "
            f"{np.sqrt(abs(decrement)):.2g} standard errors long. Use fewer covariates."
        )
    return ""


def _separation(process: CountingProcess, names: tuple[str, ...]) -> str:
    """Name the covariates whose hazard ratio is 0 or infinite; empty if there are none."""
    signs = monotone_terms(process)
    parts = [
        f"at every event, {name} has its {'highest' if sign > 0 else 'lowest'} value at risk"
        for name, sign in zip(names, signs, strict=True)
        if sign
    ]
    if not parts:
        return ""
    n_events = int(process.event.sum())
    return (
        f"The hazard ratio is not finite (separation): {'; '.join(parts)} ({n_events} events). "
        "Leave the term out, or merge its levels. "
    )


def _invert(information: np.ndarray) -> np.ndarray:
    """Return the covariance of the estimates; missing where there is none."""
    if not np.isfinite(information).all():
        return np.full_like(information, np.nan)
    return np.linalg.pinv(information, hermitian=True)


def _root(variance: np.ndarray) -> np.ndarray:
    """Return standard errors; missing where a singular fit gives no variance."""
    return np.sqrt(np.where(variance > 0, variance, np.nan))


def _robust(
    process: CountingProcess, terms: EfronTerms, model: np.ndarray, cluster: np.ndarray | None
) -> np.ndarray:
    """Return the covariance: the model's, or the sandwich over clusters."""
    if cluster is None:
        return model
    influence = score_residuals(process, terms) @ model
    summed = np.zeros((int(cluster.max()) + 1, influence.shape[1]))
    np.add.at(summed, cluster, influence)
    return summed.T @ summed


def _fit_log(engine: CoxEngineFit, terms: EfronTerms, problem: str) -> FitLog:
    """Record what the engine did."""
    return FitLog(
        engine="lifelines",
        engine_version=engine.version,
        optimiser=engine.optimiser,
        converged=not problem,
        message="; ".join((*([problem] if problem else []), *engine.messages)),
        log_likelihood=terms.log_likelihood,
    )


def _coefficients(
    names: tuple[str, ...], beta: np.ndarray, std_error: np.ndarray, conf_level: float
) -> pd.DataFrame:
    """Tabulate estimates with Wald intervals."""
    half = stats.norm.ppf((1 + conf_level) / 2) * std_error
    statistic = beta / std_error
    with np.errstate(over="ignore"):
        ratios = np.exp([beta, beta - half, beta + half])
    return pd.DataFrame(
        {
            "term": names,
            "estimate": beta,
            "std_error": std_error,
            "statistic": statistic,
            "p_value": 2 * stats.norm.sf(np.abs(statistic)),
            "conf_low": beta - half,
            "conf_high": beta + half,
            "hazard_ratio": ratios[0],
            "hazard_ratio_low": ratios[1],
            "hazard_ratio_high": ratios[2],
        }
    )


def fit_km(
    data: pd.DataFrame,
    spec: KMSpec | None = None,
    *,
    prior_exclusions: Iterable[Exclusion] = (),
    origin: Origin = "real",
) -> KMResult:
    """Estimate Kaplan-Meier curves, one per group, and compare them by the log-rank test.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : KMSpec, optional
        Which columns are what; ``duration`` and ``event``, one curve, by default.
    prior_exclusions : iterable of Exclusion
        What was left out before; listed first in the result.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    KMResult
        Curves, medians, numbers at risk and the log-rank test.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind, times are negative or infinite, or nobody is
        left.

    Notes
    -----
    R: ``survival::survfit(Surv(...) ~ group)``, ``survdiff``; SAS: ``PROC LIFETEST``.

    The curve is the probability of no event up to and including a time, were nobody censored; it
    assumes that those censored would have fared as those still followed. Intervals are pointwise,
    by Greenwood's variance of log(-log S) [1]_. Subjects without follow-up (duration 0) are left
    out, counted.

    References
    ----------
    .. [1] Kalbfleisch JD, Prentice RL. The Statistical Analysis of Failure Time Data. 2nd ed.
       Wiley 2002, section 1.4. doi:10.1002/9781118032985

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [90, 180, 365, 400], "event": [True, False, True, False]})
    >>> fit_km(data).table()
      group  n_subjects  n_events  median  conf_low  conf_high
    0   all           4         2   365.0      90.0        NaN
    """
    spec = KMSpec() if spec is None else spec
    prepared = prepare_km(data, spec)
    return KMResult(
        spec=spec,
        curve_frame=_curves(prepared, spec.conf_level),
        follow_up=prepared.frame,
        log_rank=_log_rank(prepared.frame),
        n_subjects=len(prepared.frame),
        n_events=int(prepared.frame["event"].sum()),
        exclusions=(*prior_exclusions, *prepared.exclusions),
        origin=origin,
    )


def _curves(prepared: KMData, conf_level: float) -> pd.DataFrame:
    """Estimate each group's curve."""
    from pmsstats.models.backends.lifelines_km import estimate_curve

    parts = [
        estimate_curve(
            part["duration"].to_numpy(), part["event"].to_numpy(), conf_level=conf_level
        ).assign(group=str(group))
        for group, part in prepared.frame.groupby("group", observed=True, sort=True)
    ]
    curves = pd.concat(parts, ignore_index=True)
    levels = prepared.frame["group"].cat.categories
    curves["group"] = pd.Categorical(curves["group"], categories=levels, ordered=True)
    columns = ["group", "duration", "survival", "conf_low", "conf_high"]
    return curves[[*columns, "n_at_risk", "n_events", "n_censored"]]


def _log_rank(frame: pd.DataFrame) -> LogRankTest | None:
    """Compare the groups, if there are two and any event."""
    from pmsstats.models.backends.lifelines_km import compare_groups

    group = frame["group"].cat.codes.to_numpy()
    if len(np.unique(group)) < 2 or not frame["event"].any():
        return None
    statistic, df, p_value = compare_groups(
        frame["duration"].to_numpy(), frame["event"].to_numpy(), group
    )
    return LogRankTest(statistic=statistic, df=df, p_value=p_value)
