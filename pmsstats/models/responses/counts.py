"""Counts of new lesions or relapses: negative binomial rates per time observed."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError
from pmsstats.models.fixed_effects.degrees_of_freedom import NormalInference
from pmsstats.models.fixed_effects.inference import quantile
from pmsstats.models.responses.counts_result import CountsResult
from pmsstats.models.responses.negative_binomial import (
    dispersion_slope,
    expected_information,
    negative_binomial,
    poisson,
)
from pmsstats.models.responses.newton import Ascent, climb
from pmsstats.models.responses.population_design import (
    PopulationDesign,
    build_population_design,
    check_choice,
    check_enough,
    check_population_spec,
    clustered_covariance,
    orthogonal_columns,
    outcome_and_mean,
    sandwich_notes,
)
from pmsstats.models.responses.population_result import LINKS, tabulate_coefficients
from pmsstats.models.responses.separation import recession_direction, separation_message
from pmsstats.results import Exclusion, FitLog, exclude, format_number

if TYPE_CHECKING:
    from pmsstats.models.backends.statsmodels_counts import CountsStart
    from pmsstats.provenance import Origin

__all__ = ["CountsResult", "CountsSpec", "fit_counts"]

OnFailure = Literal["raise", "warn"]
_LARGE = 8.0  # an effect per SD of a column that calls for a look at separation
_NO_SCATTER = 1e-7  # dispersions below this change no digit of the likelihood


@dataclass(frozen=True, kw_only=True)
class CountsSpec:
    """A negative binomial model, as it is asked for.

    Parameters
    ----------
    outcome : str
        Column of counts.
    fixed : str
        Right-hand side: ``"arm + prior_relapses"``.
    exposure : str, optional
        Column of the time observed (``"years_observed"``); rates are per unit of it. Without
        one every row counts as the same time.
    subject : str, default "subject_id"
        Column that tells subjects apart.
    empirical : {"auto", "CR0", "CR1"} or None, default "auto"
        Errors by subject: the sandwich, or that times ``G / (G - 1)``; None gives model-based
        ones. ``"auto"`` is None where each subject has one row, else ``"CR0"``.
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
    >>> CountsSpec(outcome="relapses", fixed="arm", exposure="years_observed").formula()
    'relapses ~ arm + offset(log(years_observed))'
    """

    outcome: str
    fixed: str
    exposure: str | None = None
    subject: str = "subject_id"
    empirical: Literal["auto", "CR0", "CR1"] | None = "auto"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        check_population_spec(self.outcome, self.fixed, self.conf_level)
        check_choice("empirical", self.empirical, ("auto", "CR0", "CR1", None))

    @classmethod
    def from_formula(
        cls, formula: str, *, exposure: str | None = None, subject: str = "subject_id"
    ) -> CountsSpec:
        """Read a model from its formula.

        Parameters
        ----------
        formula : str
            For example ``"relapses ~ arm"``.
        exposure : str, optional
            Column of the time observed.
        subject : str, default "subject_id"
            Column that tells subjects apart.

        Returns
        -------
        CountsSpec
            The request.

        Raises
        ------
        FormulaError
            If it does not parse, or has random terms.
        """
        outcome, fixed = outcome_and_mean(formula)
        return cls(outcome=outcome, fixed=fixed, exposure=exposure, subject=subject)

    def formula(self) -> str:
        """Return the model as a formula, the exposure as R writes it."""
        offset = f" + offset(log({self.exposure}))" if self.exposure else ""
        return f"{self.outcome} ~ {self.fixed}{offset}"


def fit_counts(
    data: pd.DataFrame,
    spec: CountsSpec | str,
    *,
    exposure: str | None = None,
    on_failure: OnFailure = "raise",
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
) -> CountsResult:
    """Fit a negative binomial model to counts of events.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject (or per subject and period), with the columns that the model names.
    spec : CountsSpec or str
        The model, or its formula.
    exposure : str, optional
        Column of the time observed, where `spec` is a formula.
    on_failure : {"raise", "warn"}, default "raise"
        What to do without a maximum that can be trusted.
    dictionary : mapping of str to Measure, optional
        For the label of the outcome; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out.

    Returns
    -------
    CountsResult
        Rate ratios, dispersion, and rates per group (:meth:`~MeanResult.means`).

    Raises
    ------
    FormulaError
        If the formula names an unknown column, or has random terms.
    DesignError
        If counts are negative or not whole, times are negative, or the data cannot determine
        the model.
    ConvergenceError
        If there is no maximum (a group without any event), and `on_failure` is ``"raise"``.

    Notes
    -----
    The estimand is the ratio of event rates per time observed: ``log(mu / exposure) = x'beta``,
    with variance ``mu + alpha mu^2`` (NB2) and ``alpha`` estimated by maximum likelihood [1]_.
    Rows without any time observed say nothing about a rate, and are left out and counted.
    Model-based errors are from the expected information, as those of ``glm.nb`` are (SAS's default
    is the observed one). Where counts scatter no more than Poisson counts the maximum lies at
    ``alpha = 0``: that is the Poisson model, and the result says so.

    R: ``MASS::glm.nb(relapses ~ arm + offset(log(years_observed)))``, with ``sandwich::vcovCL(fit,
    ~ subject_id, type = "HC0", cadjust = FALSE)`` for errors by subject; SAS: ``PROC GENMOD ...
    DIST=NEGBIN OFFSET=log_years``.

    References
    ----------
    .. [1] Lawless JF. Negative binomial and mixed Poisson regression. Can J Stat
       1987;15:209-225. doi:10.2307/3314912.

    Examples
    --------
    >>> rng = np.random.default_rng(5)
    >>> frame = pd.DataFrame({"subject_id": range(300), "arm": ["active", "placebo"] * 150})
    >>> rate = np.where(frame["arm"] == "placebo", 1.0, 0.5) * rng.gamma(2, 0.5, 300)
    >>> frame["relapses"] = rng.poisson(rate)
    >>> fit = fit_counts(frame, "relapses ~ arm")
    >>> fit.fit_log.converged, fit.n_subjects
    (True, 300)
    """
    if isinstance(spec, str):
        spec = CountsSpec.from_formula(spec, exposure=exposure)
    elif exposure is not None:
        raise DesignError("Give `exposure` inside of the CountsSpec.")
    check_choice("on_failure", on_failure, get_args(OnFailure))
    stage = f"count model of {spec.outcome}"
    design = _design(data, spec, stage)
    counts = _Counts.of(design, spec)
    check_enough(design, design.X.shape[1] + 1, stage=stage)
    empirical = spec.empirical
    if empirical == "auto":
        empirical = "CR0" if design.repeats else None
    fitted = _fit(design, counts, empirical)
    if not fitted.converged or fitted.largest >= _LARGE:
        _judge(fitted, _blame(design, counts), spec, on_failure)
    known = (default_dictionary() if dictionary is None else dictionary).get(
        spec.outcome.strip("`")
    )
    return _result(design, counts, fitted, spec, empirical=empirical).with_context(
        measure=known, origin=origin, prior=tuple(prior_exclusions)
    )


def _design(data: pd.DataFrame, spec: CountsSpec, stage: str) -> PopulationDesign:
    """Leave out rows without any time observed, and build the columns from the others."""
    others = () if spec.exposure is None else (spec.exposure,)
    lost: tuple[Exclusion, ...] = ()
    if spec.exposure is not None and spec.exposure in getattr(data, "columns", ()):
        times = data[spec.exposure]
        if not pd.api.types.is_numeric_dtype(times.dtype):
            raise DesignError(f"`exposure` must be a column of numbers; {spec.exposure!r} is not.")
        if (times < 0).any():
            raise DesignError(
                f"`exposure` must not be negative, but {spec.exposure!r} is in "
                f"{int((times < 0).sum())} row(s)."
            )
        none = (times == 0).to_numpy()
        if spec.subject in data.columns:
            reason = f"{spec.exposure} is 0: no time observed"
            lost = exclude(
                stage, "row", reason, data.loc[none, spec.subject].astype(object).fillna("no id")
            )
            data = data[~none]
    made = build_population_design(
        data, outcome=spec.outcome, fixed=spec.fixed, subject=spec.subject, others=others,
        stage=stage,
    )  # fmt: skip
    return replace(made, exclusions=(*lost, *made.exclusions))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Counts:
    """Counts and log times."""

    y: np.ndarray
    offset: np.ndarray

    @classmethod
    def of(cls, design: PopulationDesign, spec: CountsSpec) -> _Counts:
        """Check that counts are counts."""
        column = design.rows[spec.outcome.strip("`")]
        if not pd.api.types.is_numeric_dtype(column.dtype):
            raise DesignError(f"The outcome {spec.outcome!r} must hold counts; it holds text.")
        y = column.to_numpy(dtype=float)
        bad = (y < 0) | (y != np.round(y))
        if bad.any():
            raise DesignError(
                f"Counts must be whole numbers from 0; {spec.outcome!r} is {y[bad][0]:g} in "
                f"{int(bad.sum())} row(s), first of {design.rows[spec.subject][bad].iloc[0]}. "
                "Give the count and the time observed, not a rate."
            )
        if not y.any():
            raise DesignError(f"No {spec.outcome} in {len(y)} rows, so there is no rate to model.")
        times = np.ones(len(y))
        if spec.exposure is not None:
            times = design.rows[spec.exposure].to_numpy(dtype=float)
        return cls(y=y, offset=np.log(times))


@dataclass(frozen=True, eq=False, kw_only=True)
class _Fitted:
    """The maximum in the user's units."""

    beta: np.ndarray
    covariance: np.ndarray
    model_covariance: np.ndarray
    alpha: float
    log_alpha_error: float
    ascent: Ascent
    start: CountsStart | None
    largest: float

    @property
    def converged(self) -> bool:
        """Return whether this is a maximum."""
        return self.ascent.converged


def _fit(design: PopulationDesign, counts: _Counts, empirical: Any) -> _Fitted:
    """Maximise on orthogonal columns, and map back."""
    from pmsstats.models.backends.statsmodels_counts import near_maximum

    X, back = orthogonal_columns(design.X)
    y, offset, p = counts.y, counts.offset, design.X.shape[1]
    rate = np.log(y.sum() / np.exp(offset).sum())
    first = np.linalg.lstsq(X, np.full(len(y), rate), rcond=None)[0]
    ascent = climb(lambda b: poisson(b, X, y, offset), first)
    start, alpha, log_alpha_error = None, 0.0, np.nan
    if dispersion_slope(y, np.exp(X @ ascent.parameters + offset)) > 0:
        start = near_maximum(X, y, offset, np.append(ascent.parameters, 0.5))
        upper = climb(lambda t: negative_binomial(t, X, y, offset), start.parameters)
        if np.exp(-upper.parameters[-1]) > _NO_SCATTER:
            ascent, alpha = upper, float(np.exp(-upper.parameters[-1]))
            inverse = np.linalg.pinv(upper.terms.information, hermitian=True)
            log_alpha_error = float(np.sqrt(max(inverse[-1, -1], 0.0)))
    beta = ascent.parameters[:p]
    bread = np.linalg.pinv(expected_information(beta, alpha, X, offset), hermitian=True)
    robust = bread
    if empirical is not None:
        robust = clustered_covariance(bread, ascent.terms.scores[:, :p], design.subject, empirical)
    return _Fitted(
        beta=back @ beta,
        covariance=back @ robust @ back.T,
        model_covariance=back @ bread @ back.T,
        alpha=alpha,
        log_alpha_error=log_alpha_error,
        ascent=ascent,
        start=start,
        largest=float(np.abs(X @ beta - rate).max()),
    )


def _blame(design: PopulationDesign, counts: _Counts) -> tuple[str, ...]:
    """Name the columns along which rows without events become ever less likely to have one."""
    none = counts.y == 0
    direction = recession_direction(-design.X[none], design.X[~none])
    if direction is None:
        return ()
    size = np.abs(direction) * np.abs(design.X).max(axis=0)
    names = design.design.fixed_names
    return tuple(n for n, s in zip(names, size, strict=True) if s > 1e-3 * size.max())


def _judge(
    fitted: _Fitted, blamed: tuple[str, ...], spec: CountsSpec, on_failure: OnFailure
) -> None:
    """Raise or warn where there is no maximum."""
    if not blamed and fitted.converged:
        return
    message = (
        f"No maximum of the likelihood of {spec.formula()} was found (it could still rise by "
        f"{fitted.ascent.gain:.1e}). Use fewer terms."
    )
    if blamed:
        message = separation_message(
            spec.formula(), blamed, f"rows without {spec.outcome} (a group has none at all)"
        )
    if on_failure == "raise":
        raise ConvergenceError(message)
    warnings.warn(message, ConvergenceWarning, stacklevel=3)


def _result(
    design: PopulationDesign,
    counts: _Counts,
    fitted: _Fitted,
    spec: CountsSpec,
    *,
    empirical: Any,
) -> CountsResult:
    """Put estimates into tables."""
    inference = NormalInference(covariance=fitted.covariance)
    half = quantile(spec.conf_level) * fitted.log_alpha_error
    notes = (*design.notes, *sandwich_notes(design, empirical))
    if fitted.alpha == 0:
        notes += ("no overdispersion, so this is the Poisson model (dispersion 0)",)
    return CountsResult(
        spec=spec,
        fit_log=_log(fitted),
        group=spec.subject,
        n_subjects=design.n_subjects,
        n_obs=design.n_obs,
        coefficients=tabulate_coefficients(
            design.design.fixed_names,
            fitted.beta,
            inference,
            ratio="rate_ratio",
            conf_level=spec.conf_level,
        ),
        inference=inference,
        model_covariance=fitted.model_covariance,
        empirical=empirical,
        ratio="rate_ratio",
        link=LINKS["log"],
        data=design.rows,
        design=design.design,
        dispersion=fitted.alpha,
        dispersion_interval=(
            float(fitted.alpha * np.exp(-half)),
            float(fitted.alpha * np.exp(half)),
        ),
        n_events=int(counts.y.sum()),
        exposure_total=float(np.exp(counts.offset).sum()),
        notes=notes,
        exclusions=design.exclusions,
    )


def _log(fitted: _Fitted) -> FitLog:
    """Say what was done."""
    ascent, start = fitted.ascent, fitted.start
    said = () if start is None else start.messages
    gain = format_number(max(ascent.gain, 0.0), 2)
    return FitLog(
        engine="native" if start is None else "statsmodels",
        engine_version="" if start is None else start.version,
        optimiser=f"{'' if start is None else start.optimiser + ', then '}{ascent.n_steps} Newton "
        "steps",
        converged=fitted.converged,
        message="; ".join([f"log-likelihood could rise by {gain}", *said]),
        n_evaluations=None if start is None else start.n_evaluations,
        singular=fitted.alpha == 0,
        log_likelihood=ascent.terms.log_likelihood,
    )
