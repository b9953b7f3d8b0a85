"""Cox regression behind the result contract."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError
from pmsstats.models.events.cox_diagnostics import score_residuals
from pmsstats.models.events.partial_likelihood import (
    CountingProcess,
    CoxEngineFit,
    EfronTerms,
    climb,
    is_regular,
    monotone_terms,
    polish,
)
from pmsstats.models.events.survival_data import prepare_cox
from pmsstats.models.events.survival_results import CoxResult
from pmsstats.models.events.survival_specs import CoxSpec
from pmsstats.results import FitLog

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["CoxResult", "CoxSpec", "fit_cox"]

_DECREMENT = 1e-8  # squared standard errors from the maximum: beyond, a fit did not converge
_AGREED = 1e-2  # standard errors, or log-likelihood units: more is no rounding
_RUNAWAY = 1e2  # standard error per SD of a covariate: beyond, its likelihood has no maximum


def fit_cox(
    data: pd.DataFrame,
    spec: CoxSpec,
    *,
    engine: Literal["lifelines", "native"] = "lifelines",
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
    engine : {"lifelines", "native"}, default "lifelines"
        Whether lifelines, an independent program, looks for the maximum too. "native" gives the
        same numbers in a fraction of the time: for loops over many fits.
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
    likelihood [1]_. Newton's method climbs on standardised covariates; lifelines [2]_ starts from
    there and says, by its own evaluation of the likelihood, where the maximum is; Newton steps go
    on from its answer, and the last one certifies the maximum: the Newton decrement must be below
    1e-8 squared standard errors. Started from no effect, lifelines stops about 1e-3 standard errors
    short. Should it end elsewhere than Newton's method, ``fit_log.message`` says so. Rows of zero
    length carry no follow-up and are left out, counted. Two times tie if they are equal as numbers.

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
    _check_engine(engine)
    prepared = prepare_cox(data, spec)
    scale = prepared.process.X.std(axis=0)
    standard = replace(
        prepared.process, X=(prepared.process.X - prepared.process.X.mean(axis=0)) / scale
    )
    with np.errstate(all="ignore"):  # a runaway estimate overflows; it is judged below
        null, last = climb(standard)
        found = _confirm(standard, last, prepared.terms, engine)
        terms = polish(standard, found.beta) if engine == "lifelines" else last
        problem = _problem(standard, terms, prepared.terms)
    if problem and on_failure == "raise":
        raise ConvergenceError(problem)
    if problem:
        warnings.warn(problem, ConvergenceWarning, stacklevel=2)
    model = _invert(terms.information)
    covariance = _robust(standard, terms, model, prepared.cluster)
    return CoxResult(
        spec=spec,
        fit_log=_fit_log(found, terms, problem, engine),
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
        design=prepared.design,
        row=prepared.row,
        strata=prepared.strata,
        cluster=prepared.cluster,
        exclusions=prepared.exclusions,
        origin=origin,
    )


def _check_engine(engine: str) -> None:
    """Refuse engines that are not known."""
    if engine not in ("lifelines", "native"):
        raise DesignError(f"`engine` must be 'lifelines' or 'native', got {engine!r}.")


def _confirm(
    process: CountingProcess, last: EfronTerms, names: tuple[str, ...], engine: str
) -> CoxEngineFit:
    """Let the engine look for the maximum from where Newton's method ended."""
    if engine == "native":
        return CoxEngineFit(
            beta=last.beta,
            log_likelihood=last.log_likelihood,
            optimiser="Newton-Raphson, Efron ties",
            version=_own_version(),
            messages=(),
        )
    symptom = _symptom(last, names)
    found = _maximise(process, names, None if symptom else last.beta)
    return found if symptom else replace(found, messages=(*_doubts(found, last), *found.messages))


def _doubts(found: CoxEngineFit, last: EfronTerms) -> tuple[str, ...]:
    """Say where lifelines, started at our maximum, sees it elsewhere."""
    step = found.beta - last.beta
    distance = float(np.sqrt(step @ last.information @ step))
    difference = found.log_likelihood - last.log_likelihood
    if distance < _AGREED and abs(difference) < _AGREED:
        return ()
    doubt = (
        f"lifelines disagrees: it ended {distance:.2g} standard errors from the maximum of the "
        f"package's own likelihood, at a log-likelihood that differs by {difference:.2g}"
    )
    return (doubt,)


@cache
def _own_version() -> str:
    """Return the version of this package: read once, from a file."""
    return version("pmsstats")


def _maximise(
    process: CountingProcess, names: tuple[str, ...], start: np.ndarray | None
) -> CoxEngineFit:
    """Run lifelines; where it gives up, say why in our words."""
    # loaded here because lifelines takes a second to import
    from pmsstats.models.backends.lifelines_cox import maximise_partial_likelihood

    try:
        return maximise_partial_likelihood(process, start)
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
    decrement = terms.decrement()
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


def _fit_log(found: CoxEngineFit, terms: EfronTerms, problem: str, engine: str) -> FitLog:
    """Record what the engine did."""
    return FitLog(
        engine=engine,
        engine_version=found.version,
        optimiser=found.optimiser,
        converged=not problem,
        message="; ".join((*([problem] if problem else []), *found.messages)),
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
