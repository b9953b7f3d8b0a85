"""Fine-Gray regression: covariates and the cumulative incidence of one of several events."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, nearest
from pmsstats.models.events.covariates import (
    check_columns,
    check_event_count,
    covariate_columns,
    right_hand_side,
)
from pmsstats.models.events.fine_gray_result import FineGrayResult
from pmsstats.models.events.rows import (
    Rows,
    as_subjects,
    check_cause,
    check_conf_level,
    check_duration,
    check_one_row,
    require_columns,
)
from pmsstats.models.events.subdistribution import (
    CompetingTimes,
    SubdistributionTerms,
    subdistribution_influence,
    subdistribution_terms,
)
from pmsstats.models.formulas.formula import DesignSpec
from pmsstats.models.maxima import newton_decrement
from pmsstats.models.parametric.ascent import climb_to_top
from pmsstats.models.responses.newton import LikelihoodTerms
from pmsstats.results import Exclusion, FitLog

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["FineGrayResult", "FineGraySpec", "fit_fine_gray"]

_DECREMENT = 1e-8  # squared standard errors from the maximum: beyond, a fit did not converge
_RUNAWAY = 1e2  # standard error per SD of a covariate: beyond, its likelihood has no maximum


@dataclass(frozen=True, kw_only=True)
class FineGraySpec:
    """Request for a Fine-Gray model.

    Parameters
    ----------
    covariates : str or tuple of str
        Right-hand side of a formula (``"arm + log(nfl)"``), or columns; constant in time.
    of : str or int
        Cause whose cumulative incidence is modelled, as it stands in the column `cause`.
    duration : str, default "duration"
        Column of the time to the first event of any cause, or to censoring.
    cause : str, default "cause"
        Column of how follow-up ended: a cause, or censored.
    censored : str or int, optional
        The value of `cause` that means no event; 0 among numbers, ``"censored"`` among text.
    subject : str, default "subject_id"
        Column of subjects, if there is one.
    conf_level : float, default 0.95
        Of the intervals.

    Raises
    ------
    DesignError
        If an option is outside of its range.

    Examples
    --------
    >>> FineGraySpec(covariates="arm", of="progression").rhs()
    'arm'
    """

    covariates: str | tuple[str, ...]
    of: str | int
    duration: str = "duration"
    cause: str = "cause"
    censored: str | int | None = None
    subject: str = "subject_id"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        if not self.rhs().strip():
            raise DesignError(
                "`covariates` must name at least one term; fit_cumulative_incidence needs none."
            )
        check_conf_level(self.conf_level)

    def rhs(self) -> str:
        """Return the covariates as the right-hand side of a formula.

        Returns
        -------
        str
            Columns of a tuple stand in backticks.
        """
        return right_hand_side(self.covariates)


def fit_fine_gray(
    data: pd.DataFrame,
    spec: FineGraySpec,
    *,
    on_failure: Literal["raise", "warn"] = "raise",
    origin: Origin = "real",
) -> FineGrayResult:
    """Fit a proportional subdistribution hazards (Fine-Gray) model.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : FineGraySpec
        Which columns are what.
    on_failure : {"raise", "warn"}, default "raise"
        Whether a fit without a trustworthy maximum is refused, or returned with
        ``fit_log.converged=False`` and a warning.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    FineGrayResult
        Log subdistribution hazard ratios, with robust standard errors.

    Raises
    ------
    DesignError
        If a column is missing or of the wrong kind; a time is negative or infinite; a subject
        stands there twice; the cause `of` or a competing one never occurs; there are fewer events
        than terms; a covariate is infinite, constant or a combination of others.
    ConvergenceError
        If the likelihood has no maximum (separation), or none was found.

    Warns
    -----
    ConvergenceWarning
        If the maximum cannot be trusted and `on_failure` is "warn".

    Notes
    -----
    R: ``cmprsk::crr``; ``survival::finegray`` with ``coxph``; SAS: ``PROC PHREG`` with
    ``EVENTCODE=``.

    ``1 - F(t | x) = {1 - F0(t)}^exp(x' beta)`` [1]_: a ratio above 1 means a higher cumulative
    incidence of the event at every time, through whatever path. It is not a cause-specific hazard
    ratio (Cox model with competing events as censoring), which says how the event's rate among
    those still free of any event differs: a treatment that only prevents death raises the
    incidence of progression, and so the subdistribution hazard, with a cause-specific hazard ratio
    of 1. For causes report the latter, for prognosis this one, and for a trial both.

    Those with a competing event stay at risk with the estimated probability of not having been
    censored since; censoring must not depend on the covariates. Standard errors are Fine and
    Gray's, which take the estimation of these weights into account. Ties as by Breslow.

    References
    ----------
    .. [1] Fine JP, Gray RJ. A proportional hazards model for the subdistribution of a competing
       risk. J Am Stat Assoc 1999;94:496-509. doi:10.1080/01621459.1999.10474144

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame(
    ...     {
    ...         "duration": [5, 8, 9, 12, 14, 20, 21, 30],
    ...         "cause": ["progression", "progression", "censored", "death"] * 2,
    ...         "atrophy": [1.8, 0.9, 1.2, 1.6, 0.4, 0.8, 0.7, 0.6],
    ...     }
    ... )
    >>> fit_fine_gray(data, FineGraySpec(covariates="atrophy", of="progression")).headline()
    'Fine-Gray model of progression in 8 subjects with 4 events and 2 competing events: ...'
    """
    prepared = _prepare(data, spec)
    X = prepared.times.X
    centre, scale = X.mean(axis=0), X.std(axis=0)
    standard = replace(prepared.times, X=(X - centre) / scale)
    with np.errstate(all="ignore"):
        terms, log = _maximise(standard, prepared.terms)
    if log.message and on_failure == "raise":
        raise ConvergenceError(log.message)
    if log.message:
        warnings.warn(log.message, ConvergenceWarning, stacklevel=2)
    influence = subdistribution_influence(standard, terms[1]) @ np.linalg.pinv(
        terms[1].information, hermitian=True
    )
    return FineGrayResult(
        spec=spec,
        fit_log=log,
        beta=terms[0] / scale,
        influence=influence / scale,
        times=replace(standard, X=X - centre),
        centre=centre,
        terms=prepared.terms,
        design=prepared.design,
        n_subjects=len(X),
        n_events=int(standard.is_event.sum()),
        n_competing=int(standard.is_competing.sum()),
        exclusions=prepared.exclusions,
        origin=origin,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Prepared:
    """Checked data."""

    times: CompetingTimes
    terms: tuple[str, ...]
    design: DesignSpec
    exclusions: tuple[Exclusion, ...]


def _prepare(data: pd.DataFrame, spec: FineGraySpec) -> _Prepared:
    """Check the data and sort them by time."""
    require_columns(data, [("duration", spec.duration), ("cause", spec.cause)])
    rows = Rows(data, "Fine-Gray model", spec.subject)
    causes = check_cause(rows, spec.cause, spec.censored)
    code = _code_of(spec, causes)
    check_duration(rows, spec.duration, spec.cause)
    check_one_row(rows)
    X, design = covariate_columns(rows, spec.rhs(), "A Fine-Gray model")
    ended = rows.frame[spec.cause].to_numpy()
    is_event, is_competing = ended == code, (ended != code) & (ended != 0)
    if not is_competing.any():
        raise DesignError(
            f"No event competes with {str(spec.of)!r} in column {spec.cause!r}: a Fine-Gray model "
            "would be a Cox model. Use fit_cox."
        )
    check_event_count(pd.Series(is_event), X.columns)
    check_columns(X, np.zeros(len(X), dtype=int))
    time = rows.frame[spec.duration].to_numpy(dtype=float)
    order = np.argsort(time, kind="stable")
    return _Prepared(
        times=CompetingTimes(
            time=time[order],
            is_event=is_event[order],
            is_competing=is_competing[order],
            X=X.to_numpy(dtype=float)[order],
        ),
        terms=tuple(X.columns),
        design=design,
        exclusions=as_subjects(rows.exclusions),
    )


def _code_of(spec: FineGraySpec, causes: tuple[str, ...]) -> int:
    """Return the code of the cause that is modelled."""
    label = str(spec.of)
    if label not in causes:
        raise DesignError(
            f"`of={spec.of!r}` is no cause in column {spec.cause!r}.{nearest(label, causes)} It "
            f"has: {', '.join(causes)}."
        )
    return causes.index(label) + 1


def _maximise(
    times: CompetingTimes, names: tuple[str, ...]
) -> tuple[tuple[np.ndarray, SubdistributionTerms], FitLog]:
    """Climb from no effect; judge where that ended."""

    def terms_at(beta: np.ndarray) -> LikelihoodTerms:
        terms = subdistribution_terms(times, beta)
        return LikelihoodTerms(
            log_likelihood=terms.log_likelihood,
            scores=terms.score[None, :],
            information=terms.information,
        )

    ascent = climb_to_top(terms_at, np.zeros(times.X.shape[1]))
    terms = subdistribution_terms(times, ascent.parameters)
    problem = _problem(terms, names)
    log = FitLog(
        engine="native", optimiser="Newton-Raphson", converged=not problem, message=problem,
        n_evaluations=ascent.n_steps + 1, log_likelihood=terms.log_likelihood,
    )  # fmt: skip
    return (ascent.parameters, terms), log


def _problem(terms: SubdistributionTerms, names: tuple[str, ...]) -> str:
    """Say why a maximum cannot be trusted; empty if it can."""
    information = terms.information
    if not np.isfinite(information).all() or np.linalg.eigvalsh(information)[0] <= _RUNAWAY**-2:
        weakest = np.abs(np.linalg.eigh(np.nan_to_num(information))[1][:, 0])
        involved = ", ".join(n for n, w in zip(names, weakest, strict=True) if w > 0.3)
        return (
            f"The Fine-Gray model has no finite estimate of {involved}: it separates the subjects "
            "with the event from the others (separation), or hardly varies. Leave it out, or merge "
            "its levels."
        )
    decrement = newton_decrement(terms.score, information)
    if not decrement < _DECREMENT:
        return (
            f"The Fine-Gray model did not converge: the next Newton step would still be "
            f"{np.sqrt(abs(decrement)):.2g} standard errors long. Use fewer covariates."
        )
    return ""
