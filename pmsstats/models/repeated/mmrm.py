"""Models for repeated measures: a frozen request, one function that fits it, one kind of answer."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, nearest
from pmsstats.models.fixed_effects.inference import tabulate_estimates
from pmsstats.models.repeated.mmrm_checks import covariance_problem, range_problem
from pmsstats.models.repeated.mmrm_design import RepeatedDesign, build_repeated_design
from pmsstats.models.repeated.mmrm_inference import marginal_inference
from pmsstats.models.repeated.mmrm_likelihood import MarginalFit, fit_marginal
from pmsstats.models.repeated.mmrm_result import MMRMResult
from pmsstats.models.repeated.mmrm_spec import FALLBACKS, Empirical, Method, MMRMSpec
from pmsstats.provenance import package_version
from pmsstats.results import Exclusion, FitLog

if TYPE_CHECKING:
    from pmsstats.models.fixed_effects.degrees_of_freedom import DfMethod
    from pmsstats.provenance import Origin

__all__ = ["FALLBACKS", "MMRMResult", "MMRMSpec", "fit_mmrm"]

OnFailure = Literal["raise", "warn"]


def fit_mmrm(
    data: pd.DataFrame,
    spec: MMRMSpec | str,
    *,
    method: Method | None = None,
    df_method: DfMethod | None = None,
    empirical: Empirical | None = None,
    weights: str | None = None,
    conf_level: float | None = None,
    fallback: Sequence[str] | None = None,
    on_failure: OnFailure = "raise",
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
) -> MMRMResult:
    """Fit a marginal model for repeated measures (MMRM).

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject and visit, with the columns that the model names. Visits that were
        missed have no row, or no outcome. An ordered categorical fixes the order of visits and
        which arm is the reference; visits that are text are put in the order that their labels
        tell (``Baseline``, ``Month 6``, ``Month 12``), which a note says.
    spec : MMRMSpec or str
        The model, or its formula in the language of R's mmrm (then by REML, with Kenward and
        Roger's degrees of freedom and 95 % intervals, unless the next six arguments say otherwise).
    method : {"REML", "ML"}, optional
        Restricted or full maximum likelihood. This and the next five go with a formula only; a
        :class:`MMRMSpec` has its own.
    df_method : str, optional
        Degrees of freedom.
    empirical : {"CR0", "CR2", "CR3"}, optional
        Sandwich covariance of the fixed effects.
    weights : str, optional
        Column of weights.
    conf_level : float, optional
        Of every interval.
    fallback : sequence of str, optional
        Covariances to try where the first one fails.
    on_failure : {"raise", "warn"}, default "raise"
        What to do without a maximum that can be trusted.
    dictionary : mapping of str to Measure, optional
        For label and unit of the outcome; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out, to be carried along.

    Returns
    -------
    MMRMResult
        Estimates, least-squares means per arm and visit, their differences, a log of the fit.

    Raises
    ------
    FormulaError
        If the formula names an unknown column, has no covariance term, or asks for more than the
        allowed transforms.
    DesignError
        If the data cannot determine the model: two rows of a subject at one visit, visits that
        nobody has both of, too few rows, an outcome that does not vary. Or if options are given
        beside a complete request.
    ConvergenceError
        If neither the covariance nor a fall-back of the request gives a maximum, and `on_failure`
        is ``"raise"``.

    Notes
    -----
    The model is ``y = X beta + e`` with ``e ~ N(0, Sigma)`` over the visits of a subject and
    subjects independent [1]_. The estimand is the mean of the outcome at each visit had nobody
    dropped out, if values are missing at random given those observed; visits that were missed are
    simply absent, nothing is imputed.

    The same as ``mmrm::mmrm(pbvc ~ arm * visit + us(visit | id), method = "Kenward-Roger")`` in R
    (except for the second-order terms, where R's mmrm has other parameters than SAS), as
    ``nlme::gls`` with ``corSymm`` and ``varIdent``, and as SAS::

        PROC MIXED METHOD=REML;
          CLASS subject_id arm visit;
          MODEL pbvc = arm visit arm*visit / DDFM=KR;
          REPEATED visit / SUBJECT=subject_id TYPE=UN;

    with ``GROUP=arm`` where the formula has ``us(visit | arm / subject_id)``.

    Whether the answer is a maximum is judged by the slope and curvature of the likelihood. If it
    is none, the fall-back list of the request (and only that) is tried in order, every attempt is
    written down in ``fit_log.attempts``, and the headline names the covariance that was used.

    References
    ----------
    .. [1] Mallinckrodt CH, Lane PW, Schnell D, Peng Y, Mancuso JP. Recommendations for the primary
       analysis of continuous endpoints in longitudinal clinical trials. Drug Inf J 2008;42:303-319.
       doi:10.1177/009286150804200402.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> visits = pd.DataFrame({"subject_id": np.repeat(range(40), 3)})
    >>> visits["visit"] = ["W12", "W24", "W48"] * 40
    >>> visits["arm"] = np.where(visits["subject_id"] % 2, "active", "placebo")
    >>> visits["pbvc_pct"] = rng.normal(-0.5, 0.4, 120) + np.repeat(rng.normal(0, 0.3, 40), 3)
    >>> fit = fit_mmrm(visits, "pbvc_pct ~ arm * visit + us(visit | subject_id)")
    >>> fit.n_subjects, fit.fit_log.converged, len(fit.differences())
    (40, True, 3)
    """
    options = {
        "method": method,
        "df_method": df_method,
        "empirical": empirical,
        "weights": weights,
        "conf_level": conf_level,
        "fallback": tuple(fallback) if isinstance(fallback, list) else fallback,
    }
    spec = _request(spec, {name: value for name, value in options.items() if value is not None})
    if on_failure not in get_args(OnFailure):
        raise DesignError(
            f"`on_failure` must be one of {', '.join(get_args(OnFailure))}, got {on_failure!r}."
            f"{nearest(str(on_failure), get_args(OnFailure))}"
        )
    design = build_repeated_design(data, spec)
    attempts = _attempt(design, spec)
    _judge(attempts, spec, on_failure)
    known = default_dictionary() if dictionary is None else dictionary
    return _as_result(design, spec, attempts).with_context(
        measure=known.get(spec.outcome.strip("`")), origin=origin, prior=tuple(prior_exclusions)
    )


def _request(spec: MMRMSpec | str, options: Mapping[str, Any]) -> MMRMSpec:
    """Make the request of a formula and its options."""
    if isinstance(spec, str):
        return MMRMSpec.from_formula(spec, **options)
    if not isinstance(spec, MMRMSpec):
        raise DesignError(
            "`spec` must be an MMRMSpec, or a formula such as 'pbvc_pct ~ arm * visit + "
            f"us(visit | subject_id)', got {type(spec).__name__}."
        )
    if options:
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        raise DesignError(
            f"The request is an MMRMSpec, which has these options itself, so put {given} into it: "
            f"dataclasses.replace(spec, {given})."
        )
    return spec


@dataclass(frozen=True, eq=False, kw_only=True)
class _Attempt:
    """One covariance that was tried: a fit, or why there is none."""

    covariance: str
    fit: MarginalFit | None
    refusal: str = ""

    @property
    def converged(self) -> bool:
        return self.fit is not None and self.fit.converged

    def outcome(self) -> str:
        """Say how it ended."""
        if self.fit is None:
            return f"{self.covariance}: refused ({self.refusal})"
        word = "converged" if self.fit.converged else "did not converge"
        return f"{self.covariance}: {word} ({self.fit.message})"


def _attempt(design: RepeatedDesign, spec: MMRMSpec) -> tuple[_Attempt, ...]:
    """Try the covariance, then the fall-backs, until one converges; the last one counts."""
    tried: list[_Attempt] = []
    for covariance in (spec.covariance, *spec.fallback):
        tried.append(_try(design, spec, covariance))
        if tried[-1].converged:
            return tuple(tried)
    return (*tried[1:], tried[0])  # nothing converged: what was asked for is the answer


def _try(design: RepeatedDesign, spec: MMRMSpec, covariance: str) -> _Attempt:
    """Fit one covariance, if the data can determine it."""
    refusal = covariance_problem(design, spec, covariance)
    if refusal is not None:
        return _Attempt(covariance=covariance, fit=None, refusal=refusal)
    try:
        fit = fit_marginal(design.arrays, covariance, reml=spec.method == "REML")
    except DesignError as exc:
        return _Attempt(covariance=covariance, fit=None, refusal=str(exc))
    return _Attempt(covariance=covariance, fit=fit)


def _judge(attempts: Sequence[_Attempt], spec: MMRMSpec, on_failure: OnFailure) -> None:
    """Raise or warn where there is no maximum."""
    last = attempts[-1]
    if last.converged:
        return
    others = "; ".join(attempt.outcome() for attempt in attempts[:-1])
    also = f" Nor was any fall-back a way out: {others}." if others else ""
    if last.fit is None:
        raise DesignError(f"{last.refusal}{also} {_what_to_try(spec)}")
    message = (
        f"No maximum of the likelihood was found for {spec.formula()} ({last.fit.message[:400]})."
        f"{also} {_what_to_try(spec)} Or on_failure='warn' to look at where it stopped."
    )
    if on_failure == "raise":
        raise ConvergenceError(message)
    warnings.warn(message, ConvergenceWarning, stacklevel=3)


def _what_to_try(spec: MMRMSpec) -> str:
    """Say which way out there may be."""
    ways = []
    if spec.group is not None:
        ways.append(f"one covariance for all ({spec.visit} | {spec.subject})")
    if spec.covariance == "us" and not spec.fallback:
        ways.append(f"fallback={FALLBACKS!r}, which is then reported")
    elif spec.covariance not in {"cs", "sp_exp"}:
        ways.append("a covariance with fewer parameters, such as csh or cs")
    ways.append("to join or leave out visits that few subjects have")
    return f"Try {', or '.join(ways)}."


def _as_result(design: RepeatedDesign, spec: MMRMSpec, attempts: Sequence[_Attempt]) -> MMRMResult:
    """Put a fit into tables."""
    used = attempts[-1]
    fit = used.fit
    assert fit is not None  # noqa: S101  (_judge has raised)
    inference = marginal_inference(design.arrays, fit, spec.df_method, empirical=spec.empirical)
    boundary = range_problem(design, fit)
    return MMRMResult(
        spec=spec,
        fit_log=FitLog(
            engine="native",
            engine_version=package_version(),
            optimiser=fit.optimiser,
            converged=fit.converged,
            message=fit.message,
            n_evaluations=fit.n_evaluations,
            singular=boundary is not None,
            log_likelihood=fit.log_likelihood,
            attempts=tuple(a.outcome() for a in attempts) if len(attempts) > 1 else (),
        ),
        group=spec.subject,
        n_subjects=design.arrays.n_subjects,
        n_obs=design.arrays.n_obs,
        coefficients=tabulate_estimates(
            design.fixed_names,
            fit.fixed,
            np.sqrt(np.diag(inference.covariance)),
            df=inference.df(np.eye(len(fit.fixed))),
            conf_level=spec.conf_level,
        ),
        inference=inference,
        data=design.rows,
        design=design,
        structure=used.covariance,
        covariance_parameters=_parameters(design, fit),
        exclusions=design.exclusions,
        boundary=boundary,
    )


def _parameters(design: RepeatedDesign, fit: MarginalFit) -> pd.DataFrame:
    """Tabulate the covariance parameters, with visits named."""
    n_each = len(fit.theta) // len(design.groups)
    names = [_with_visits(name.partition(" of group ")[0], design) for name in fit.theta_names]
    return pd.DataFrame(
        {
            "group": np.repeat([str(group) for group in design.groups], n_each),
            "term": names,
            "estimate": fit.theta,
            "std_error": np.sqrt(np.diag(fit.theta_covariance)),
        }
    )


def _with_visits(name: str, design: RepeatedDesign) -> str:
    """Replace visit numbers in brackets, counted from one, by the visits."""
    return re.sub(
        r"\((\d+)(?:,(\d+))?\)",
        lambda m: f"({', '.join(str(design.visits[int(n) - 1]) for n in m.groups() if n)})",
        name,
    )
