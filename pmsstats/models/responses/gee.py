"""Generalised estimating equations: population means of repeated scores, yes/no, counts."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, first_ids
from pmsstats.models.fixed_effects.degrees_of_freedom import NormalInference
from pmsstats.models.responses.population_design import (
    PopulationDesign,
    build_population_design,
    check_choice,
    check_enough,
    check_population_spec,
    log_times,
    orthogonal_columns,
    outcome_and_mean,
    sandwich_notes,
)
from pmsstats.models.responses.population_result import LINKS, MeanResult, tabulate_coefficients
from pmsstats.models.responses.separation import recession_direction, separation_message
from pmsstats.results import Exclusion, FitLog, format_number, to_plain

if TYPE_CHECKING:
    from pmsstats.models.backends.statsmodels_gee import GEEFit
    from pmsstats.provenance import Origin

__all__ = ["GEEResult", "GEESpec", "fit_gee"]

Family = Literal["gaussian", "binomial", "poisson"]
Correlation = Literal["independence", "exchangeable", "ar1"]
OnFailure = Literal["raise", "warn"]
_LINKS = {"gaussian": "identity", "binomial": "logit", "poisson": "log"}
_RATIOS = {"gaussian": None, "binomial": "odds_ratio", "poisson": "rate_ratio"}


@dataclass(frozen=True, kw_only=True)
class GEESpec:
    """Generalised estimating equations, as they are asked for.

    Parameters
    ----------
    outcome : str
        Column that is modelled.
    fixed : str
        Right-hand side: ``"year * arm"``.
    family : {"gaussian", "binomial", "poisson"}, default "gaussian"
        Numbers, yes/no (0 and 1, or true and false), counts; each with its canonical link.
    correlation : {"independence", "exchangeable", "ar1"}, default "exchangeable"
        Working correlation of a subject's rows.
    time : str, optional
        For ``"ar1"``: column of numbers; rows that are ``d`` apart have correlation ``alpha^d``.
    exposure : str, optional
        For ``"poisson"``: column of the time observed; rates are per unit of it.
    subject : str, default "subject_id"
        Column that tells subjects apart.
    empirical : {"CR0", "CR3"} or None, default "CR0"
        Errors by subject: the sandwich, or Mancl and DeRouen's for few subjects. None gives those
        of the working model.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    FormulaError
        If a formula does not parse, or has random terms.
    DesignError
        If another field is outside of its range.

    Examples
    --------
    >>> GEESpec(outcome="relapsed", fixed="year * arm", family="binomial").correlation
    'exchangeable'
    """

    outcome: str
    fixed: str
    family: Family = "gaussian"
    correlation: Correlation = "exchangeable"
    time: str | None = None
    exposure: str | None = None
    subject: str = "subject_id"
    empirical: Literal["CR0", "CR3"] | None = "CR0"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        check_population_spec(self.outcome, self.fixed, self.conf_level)
        check_choice("family", self.family, get_args(Family))
        check_choice("correlation", self.correlation, get_args(Correlation))
        check_choice("empirical", self.empirical, ("CR0", "CR3", None))
        if (self.correlation == "ar1") != (self.time is not None):
            raise DesignError(
                "`time` names the column that says how far apart rows are; correlation='ar1' "
                f"needs it and the others have no use for it, got time={self.time!r} with "
                f"correlation={self.correlation!r}."
            )
        if self.exposure is not None and self.family != "poisson":
            raise DesignError(f"`exposure` is for family='poisson', got {self.family!r}.")

    @classmethod
    def from_formula(
        cls,
        formula: str,
        *,
        family: Family = "gaussian",
        exposure: str | None = None,
        subject: str = "subject_id",
    ) -> GEESpec:
        """Read a model from its formula.

        Parameters
        ----------
        formula : str
            For example ``"relapsed ~ year * arm"``.
        family : {"gaussian", "binomial", "poisson"}, default "gaussian"
            Numbers, yes/no, counts.
        exposure : str, optional
            For ``"poisson"``: column of the time observed.
        subject : str, default "subject_id"
            Column that tells subjects apart.

        Returns
        -------
        GEESpec
            The request.

        Raises
        ------
        FormulaError
            If it does not parse, or has random terms.
        """
        outcome, fixed = outcome_and_mean(formula)
        return cls(outcome=outcome, fixed=fixed, family=family, exposure=exposure, subject=subject)

    def formula(self) -> str:
        """Return the model as a formula, the exposure as R writes it."""
        offset = f" + offset(log({self.exposure}))" if self.exposure else ""
        return f"{self.outcome} ~ {self.fixed}{offset}"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class GEEResult(MeanResult):
    """Solved estimating equations.

    Parameters
    ----------
    spec : GEESpec
        What was asked.
    fit_log : FitLog
        What the engine did.
    group : str
        Column that tells subjects apart.
    n_subjects : int
        Subjects analysed.
    n_obs : int
        Rows analysed.
    coefficients : pandas.DataFrame
        ``term estimate std_error statistic p_value conf_low conf_high`` on the linear scale; with
        ``odds_ratio`` (yes/no) or ``rate_ratio`` (counts) and their ``_low`` and ``_high``.
    inference : Inference
        Covariance of the coefficients.
    data : pandas.DataFrame
        The rows analysed.
    design : FixedDesign
        The columns of the model.
    measure : Measure, optional
        Label and unit of the outcome.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out.
    empirical : {"CR0", "CR3"} or None
        Which standard errors these are.
    model_covariance : ndarray, shape (p, p)
        Of the coefficients, if the working correlation is right.
    ratio : str or None
        What the exponential of a coefficient is called.
    notes : tuple of str
        What a reader should know.
    link : Link
        Identity, logit or log.
    correlation : float
        Of the working model: between any two rows of a subject, or one unit of time apart.
    scale : float
        Mean squared Pearson residual: the residual variance, or overdispersion (1 is none).
    """

    spec: GEESpec
    correlation: float
    scale: float

    def headline(self) -> str:
        """Say the effects on the population mean, and in whom."""
        effects = self._effects_in_words() or "one common mean"
        what = (self.ratio or "effect").replace("_", " ") + "s"
        unit = f" ({self.unit})" if self.unit and self.ratio is None else ""
        working = self.spec.correlation
        if working != "independence":
            working += f" {format_number(self.correlation, 2)}"
        return (
            f"{self.label}{unit} in {self._on_whom()}, {what} in the population: {effects}; "
            f"working correlation {working}; {self._how()}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "gee_result/1",
            **self._fields(),
            "correlation": to_plain(self.correlation),
            "scale": to_plain(self.scale),
        }


def fit_gee(
    data: pd.DataFrame,
    spec: GEESpec | str,
    *,
    family: Family | None = None,
    on_failure: OnFailure = "raise",
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
) -> GEEResult:
    """Solve generalised estimating equations for the population mean of repeated outcomes.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per observation, with the columns that the model names.
    spec : GEESpec or str
        The model, or its formula (then exchangeable, with errors by ``subject_id``).
    family : {"gaussian", "binomial", "poisson"}, optional
        Where `spec` is a formula; ``"gaussian"`` by default.
    on_failure : {"raise", "warn"}, default "raise"
        What to do without a solution that can be trusted.
    dictionary : mapping of str to Measure, optional
        For label and unit of the outcome; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out.

    Returns
    -------
    GEEResult
        Effects on the population mean, with errors that hold whatever the true correlation.

    Raises
    ------
    FormulaError
        If the formula names an unknown column, or has random terms.
    DesignError
        If the outcome is not of its family, two rows of a subject share a time under ``"ar1"``,
        or the data cannot determine the model.
    ConvergenceError
        If there is no solution, and `on_failure` is ``"raise"``.

    Notes
    -----
    The estimand is the effect on the mean over the population [1]_, from rows that are missing
    completely at random: unlike a mixed model, this one is biased by dropout that depends on
    earlier outcomes. The equations are ``sum D_i' V_i^-1 (y_i - mu_i) = 0`` with ``V_i = phi
    A^(1/2) R(alpha) A^(1/2)``; ``phi`` is the mean squared Pearson residual and ``alpha`` the
    least-squares moment of its products over all pairs of rows of a subject. ``"CR0"`` is the
    sandwich; ``"CR3"`` is that with residuals ``(I - H_ii)^-1 r_i`` [2]_, for fewer than some 40
    subjects. Tests and intervals use the normal distribution.

    R: ``geepack::geeglm(y ~ x, id = subject_id, waves = visit, corstr = "exchangeable")``; SAS:
    ``PROC GENMOD; REPEATED SUBJECT=subject_id / TYPE=EXCH`` (which divides ``phi`` by rows less
    coefficients).

    References
    ----------
    .. [1] Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models.
       Biometrika 1986;73:13-22. doi:10.1093/biomet/73.1.13.
    .. [2] Mancl LA, DeRouen TA. A covariance estimator for GEE with improved small-sample
       properties. Biometrics 2001;57:126-134. doi:10.1111/j.0006-341X.2001.00126.x.

    Examples
    --------
    >>> rng = np.random.default_rng(2)
    >>> visits = pd.DataFrame({"subject_id": np.repeat(range(50), 4), "year": [0, 1, 2, 3] * 50})
    >>> level = np.repeat(rng.normal(size=50), 4) - 0.3 * visits["year"]
    >>> visits["walks"] = (level + rng.logistic(size=200) > 0).astype(int)
    >>> fit = fit_gee(visits, "walks ~ year", family="binomial")
    >>> fit.ratio, fit.n_subjects
    ('odds_ratio', 50)
    """
    if isinstance(spec, str):
        spec = GEESpec.from_formula(spec, family=family or "gaussian")
    elif family is not None:
        raise DesignError("Give `family` inside of the GEESpec.")
    check_choice("on_failure", on_failure, get_args(OnFailure))
    stage = f"estimating equations of {spec.outcome}"
    others = tuple(name for name in (spec.time, spec.exposure) if name is not None)
    design = build_population_design(
        data, outcome=spec.outcome, fixed=spec.fixed, subject=spec.subject, others=others,
        stage=stage,
    )  # fmt: skip
    y = _outcome(design, spec)
    check_enough(design, design.X.shape[1], stage=stage)
    fitted = _fit(design, y, spec)
    _judge(fitted, design, y, spec, on_failure=on_failure)
    known = (default_dictionary() if dictionary is None else dictionary).get(
        spec.outcome.strip("`")
    )
    return _result(design, fitted, spec).with_context(
        measure=known, origin=origin, prior=tuple(prior_exclusions)
    )


def _outcome(design: PopulationDesign, spec: GEESpec) -> np.ndarray:
    """Return the outcome as numbers of its family."""
    column = design.rows[spec.outcome.strip("`")]
    kind = column.dtype
    if not (pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)):
        raise DesignError(
            f"The outcome {spec.outcome!r} must hold numbers, but holds {first_ids(column)}. "
            "Write yes/no as 1 and 0."
        )
    y = column.to_numpy(dtype=float)
    wrong = {
        "gaussian": np.zeros(len(y), dtype=bool),
        "binomial": (y != 0) & (y != 1),
        "poisson": (y < 0) | (y != np.round(y)),
    }[spec.family]
    if wrong.any():
        wanted = "0 or 1" if spec.family == "binomial" else "a whole number from 0"
        raise DesignError(
            f"For family={spec.family!r} every {spec.outcome} must be {wanted}; it is "
            f"{y[wrong][0]:g} in {int(wrong.sum())} row(s)."
        )
    if np.ptp(y) == 0:
        raise DesignError(
            f"{spec.outcome} is {y[0]:g} in all {len(y)} rows, so there is nothing to model."
        )
    return y


@dataclass(frozen=True, eq=False, kw_only=True)
class _Fitted:
    """The solution in the user's units."""

    found: GEEFit | None
    beta: np.ndarray
    back: np.ndarray
    scale: float

    def covariance(self, empirical: str | None) -> np.ndarray:
        """Return a covariance in the user's units."""
        found = self.found
        if found is None:
            return np.full((len(self.beta),) * 2, np.nan)
        chosen = {"CR0": found.robust, "CR3": found.corrected, None: found.model_based}[empirical]
        mapped: np.ndarray = self.scale**2 * self.back @ chosen @ self.back.T
        return mapped


def _fit(design: PopulationDesign, y: np.ndarray, spec: GEESpec) -> _Fitted:
    """Solve on orthogonal columns (and a scaled outcome where that is linear), and map back."""
    from pmsstats.models.backends import statsmodels_gee

    X, back = orthogonal_columns(design.X)
    rows, order = design.rows, np.argsort(design.subject, kind="stable")
    time = None if spec.time is None else _times(design, spec)
    offset = None if spec.exposure is None else log_times(rows[spec.exposure])
    first, size = np.zeros(X.shape[1]), 1.0
    if spec.family == "gaussian":
        first = np.linalg.lstsq(X, y, rcond=None)[0]
        y = y - X @ first
        size = float(np.sqrt(np.mean(y**2)))
        if size <= 1e-12 * max(float(np.abs(X @ first).max()), 1e-300):
            raise DesignError(f"The model describes {spec.outcome} exactly; nothing is left over.")
    found = statsmodels_gee.fit(
        y[order] / size,
        X[order],
        design.subject[order],
        family=spec.family,
        correlation=spec.correlation,
        time=None if time is None else time[order],
        offset=None if offset is None else offset[order],
        corrected=spec.empirical == "CR3",
    )
    gamma = np.full(X.shape[1], np.nan) if found is None else found.parameters
    return _Fitted(found=found, beta=back @ (first + size * gamma), back=back, scale=size)


def _times(design: PopulationDesign, spec: GEESpec) -> np.ndarray:
    """Return the times of an autoregressive correlation; each subject has each once."""
    column = design.rows[spec.time]
    if not pd.api.types.is_numeric_dtype(column.dtype):
        raise DesignError(f"`time` must be a column of numbers; {spec.time!r} is not.")
    repeated = design.rows.duplicated([spec.subject, str(spec.time)])
    if repeated.any():
        raise DesignError(
            f"correlation='ar1' needs each {spec.time} once per subject, but "
            f"{int(repeated.sum())} row(s) repeat one, of "
            f"{first_ids(design.rows.loc[repeated, spec.subject])}."
        )
    return column.to_numpy(dtype=float)


def _judge(
    fitted: _Fitted,
    design: PopulationDesign,
    y: np.ndarray,
    spec: GEESpec,
    *,
    on_failure: OnFailure,
) -> None:
    """Raise or warn where the equations have no solution that can be trusted."""
    found = fitted.found
    most = int(np.bincount(design.subject).max())
    valid = found is not None and (
        spec.correlation != "exchangeable" or found.correlation > -1 / max(most - 1, 1)
    )
    large = found is not None and np.abs(design.X @ fitted.beta).max() > 15
    blamed = _blame(design, y, spec) if found is None or not found.converged or large else ()
    if valid and found is not None and found.converged and not blamed:
        return
    message = (
        f"No solution of the estimating equations of {spec.formula()} was found. Try "
        "correlation='independence', or fewer terms."
    )
    if found is not None and not valid:
        message = (
            f"The exchangeable correlation of {spec.formula()} is estimated as "
            f"{found.correlation:.3f}, which is impossible for {most} rows of one subject. Use "
            "correlation='independence'."
        )
    if blamed:
        message = separation_message(spec.formula(), blamed, f"{spec.outcome} from none")
    if on_failure == "raise":
        raise ConvergenceError(message)
    warnings.warn(message, ConvergenceWarning, stacklevel=3)


def _blame(design: PopulationDesign, y: np.ndarray, spec: GEESpec) -> tuple[str, ...]:
    """Name the columns that separate yes from no, or rows without events."""
    X, direction = design.X, None
    if spec.family == "binomial":
        direction = recession_direction(np.where(y > 0, 1.0, -1.0)[:, None] * X)
    elif spec.family == "poisson":
        direction = recession_direction(-X[y == 0], X[y > 0])
    if direction is None:
        return ()
    size = np.abs(direction) * np.abs(X).max(axis=0)
    names = design.design.fixed_names
    return tuple(n for n, s in zip(names, size, strict=True) if s > 1e-3 * size.max())


def _result(design: PopulationDesign, fitted: _Fitted, spec: GEESpec) -> GEEResult:
    """Put estimates into tables."""
    found = fitted.found
    inference = NormalInference(covariance=fitted.covariance(spec.empirical))
    ratio = _RATIOS[spec.family]
    return GEEResult(
        spec=spec,
        fit_log=FitLog(
            engine="statsmodels",
            engine_version="" if found is None else found.version,
            optimiser="iteratively reweighted, moments of residuals",
            converged=found is not None and found.converged,
            message="a matrix was singular" if found is None else found.message,
            n_evaluations=None if found is None else found.n_iterations,
        ),
        group=spec.subject,
        n_subjects=design.n_subjects,
        n_obs=design.n_obs,
        coefficients=tabulate_coefficients(
            design.design.fixed_names,
            fitted.beta,
            inference,
            ratio=ratio,
            conf_level=spec.conf_level,
        ),
        inference=inference,
        model_covariance=fitted.covariance(None),
        empirical=spec.empirical,
        ratio=ratio,
        link=LINKS[_LINKS[spec.family]],
        data=design.rows,
        design=design.design,
        correlation=np.nan if found is None else found.correlation,
        scale=np.nan if found is None else found.scale * fitted.scale**2,
        notes=(*design.notes, *sandwich_notes(design, spec.empirical)),
        exclusions=design.exclusions,
    )
