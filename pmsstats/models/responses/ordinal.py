"""Ordered scores (EDSS) by the cumulative logit model, with errors by subject."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, FormulaError
from pmsstats.models.fixed_effects.degrees_of_freedom import NormalInference
from pmsstats.models.fixed_effects.inference import tabulate_estimates
from pmsstats.models.formulas.fixed_design import FixedDesign
from pmsstats.models.responses.cumulative_logit import cumulative_logit
from pmsstats.models.responses.newton import Ascent, climb
from pmsstats.models.responses.ordinal_result import OrdinalResult
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
from pmsstats.models.responses.population_result import tabulate_coefficients
from pmsstats.models.responses.separation import recession_direction, separation_message
from pmsstats.results import Exclusion, FitLog, format_number

if TYPE_CHECKING:
    from pmsstats.models.backends.statsmodels_ordinal import OrdinalStart
    from pmsstats.provenance import Origin

__all__ = ["OrdinalResult", "OrdinalSpec", "fit_ordinal"]

OnFailure = Literal["raise", "warn"]
_MOST_LEVELS = 60
_LARGE = 8.0  # an effect per SD of a column that calls for a look at separation


@dataclass(frozen=True, kw_only=True)
class OrdinalSpec:
    """A cumulative logit model, as it is asked for.

    Parameters
    ----------
    outcome : str
        Column of ordered scores: numbers, or an ordered categorical.
    fixed : str
        Right-hand side: ``"year * arm + age_years"``. The thresholds take the intercept's place.
    subject : str, default "subject_id"
        Column that tells subjects apart.
    empirical : {"CR0", "CR1"} or None, default "CR0"
        Errors by subject: the sandwich, or that times ``G / (G - 1)``. None gives model-based
        ones, which are right only if each subject has one row.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    FormulaError
        If a formula does not parse, has random terms, or no intercept.
    DesignError
        If another field is outside of its range.

    Examples
    --------
    >>> OrdinalSpec(outcome="edss", fixed="year * arm").formula()
    'edss ~ year * arm'
    """

    outcome: str
    fixed: str
    subject: str = "subject_id"
    empirical: Literal["CR0", "CR1"] | None = "CR0"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        check_population_spec(self.outcome, self.fixed, self.conf_level)
        check_choice("empirical", self.empirical, ("CR0", "CR1", None))

    @classmethod
    def from_formula(cls, formula: str, *, subject: str = "subject_id") -> OrdinalSpec:
        """Read a model from its formula.

        Parameters
        ----------
        formula : str
            For example ``"edss ~ year * arm"``.
        subject : str, default "subject_id"
            Column that tells subjects apart.

        Returns
        -------
        OrdinalSpec
            The request.

        Raises
        ------
        FormulaError
            If it does not parse, or has random terms.
        """
        outcome, fixed = outcome_and_mean(formula)
        return cls(outcome=outcome, fixed=fixed, subject=subject)

    def formula(self) -> str:
        """Return the model as a formula."""
        return f"{self.outcome} ~ {self.fixed}"


@dataclass(frozen=True, eq=False, kw_only=True)
class LocationDesign(FixedDesign):
    """The columns of a model whose thresholds take the place of the intercept.

    Parameters
    ----------
    fixed_names : tuple of str
        Without the intercept.
    fixed : DesignSpec
        Makes all columns, the intercept and the dropped ones included.
    kept : tuple of int
        Columns of `fixed` that were kept, the intercept first.
    aliasing : ndarray, shape (p + 1, n_dropped)
        The dropped columns as combinations of the kept ones.
    """

    def contrasts(self, full: np.ndarray) -> np.ndarray:
        """Express combinations of all design columns in those that have an effect.

        Parameters
        ----------
        full : ndarray, shape (m, n_columns)
            One combination per row.

        Returns
        -------
        ndarray, shape (m, p)
            Without the intercept.
        """
        return super().contrasts(full)[:, 1:]


def fit_ordinal(
    data: pd.DataFrame,
    spec: OrdinalSpec | str,
    *,
    on_failure: OnFailure = "raise",
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
) -> OrdinalResult:
    """Fit a cumulative logit (proportional odds) model to ordered scores.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per observation, with the columns that the model names.
    spec : OrdinalSpec or str
        The model, or its formula (then with errors by ``subject_id``).
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
    OrdinalResult
        Odds ratios of a higher score (for EDSS: of being worse), thresholds, probabilities.

    Raises
    ------
    FormulaError
        If the formula names an unknown column, takes the intercept out, or has random terms.
    DesignError
        If the data cannot determine the model.
    ConvergenceError
        If there is no maximum (some columns tell the scores apart without error), and
        `on_failure` is ``"raise"``.

    Notes
    -----
    The estimand is a difference in the log odds of scoring above any cut point, the same at each
    (test that with :meth:`OrdinalResult.check_proportional_odds`), in the population rather than
    within a person: ``logit P(Y <= k | x) = zeta_k - x'beta`` [1]_. Rows of one subject are
    treated as independent for the estimate, and errors are made right by the sandwich
    ``H^-1 (sum over subjects of s s') H^-1`` [2]_. Levels that nobody has carry no information:
    neighbouring levels meet at one threshold, and a note says so.

    R: ``MASS::polr(ordered(edss) ~ year * arm)`` or ``ordinal::clm`` with ``sandwich::vcovCL(fit,
    ~ subject_id, type = "HC0", cadjust = FALSE)``; SAS: ``PROC GENMOD ... DIST=MULT LINK=CLOGIT;
    REPEATED SUBJECT=subject_id / TYPE=IND`` (there signs are opposite).

    References
    ----------
    .. [1] McCullagh P. Regression models for ordinal data. J R Stat Soc B 1980;42:109-142.
       doi:10.1111/j.2517-6161.1980.tb01109.x.
    .. [2] Liang KY, Zeger SL. Longitudinal data analysis using generalized linear models.
       Biometrika 1986;73:13-22. doi:10.1093/biomet/73.1.13.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> visits = pd.DataFrame({"subject_id": range(200), "arm": ["active", "placebo"] * 100})
    >>> latent = rng.logistic(size=200) + (visits["arm"] == "placebo")
    >>> visits["edss"] = np.select([latent < -1, latent < 1], [3.0, 4.0], 6.0)
    >>> fit = fit_ordinal(visits, "edss ~ arm")
    >>> fit.levels, fit.fit_log.converged
    (('3', '4', '6'), True)
    """
    spec = OrdinalSpec.from_formula(spec) if isinstance(spec, str) else spec
    check_choice("on_failure", on_failure, get_args(OnFailure))
    stage = f"ordinal model of {spec.outcome}"
    design = build_population_design(
        data, outcome=spec.outcome, fixed=spec.fixed, subject=spec.subject, stage=stage
    )
    known = (default_dictionary() if dictionary is None else dictionary).get(
        spec.outcome.strip("`")
    )
    scores = ordinal_scores(design.rows[spec.outcome.strip("`")], spec, known)
    location = location_design(design, spec)
    check_enough(design, len(scores.levels) - 1 + len(location.fixed_names), stage=stage)
    notes = (*design.notes, *scores.notes, *sandwich_notes(design, spec.empirical))
    fitted = _fit(design.X[:, 1:], scores, design.subject, spec)
    if not fitted.ascent.converged or fitted.largest >= _LARGE:
        _judge(fitted, _blame(design.X[:, 1:], scores, location), spec, on_failure)
    made = _result(design, location, scores, fitted, spec)
    return replace(made, notes=notes).with_context(
        measure=known, origin=origin, prior=tuple(prior_exclusions)
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class OrdinalScores:
    """The outcome as levels."""

    level: np.ndarray
    levels: tuple[str, ...]
    notes: tuple[str, ...]


def ordinal_scores(column: pd.Series, spec: OrdinalSpec, known: Measure | None) -> OrdinalScores:
    """Turn the outcome to levels in their order."""
    is_category = isinstance(column.dtype, pd.CategoricalDtype)
    if not is_category and not pd.api.types.is_numeric_dtype(column.dtype):
        raise DesignError(
            f"The outcome {spec.outcome!r} must hold numbers or an ordered categorical, but holds "
            "text, whose order is not known. Make it pandas.Categorical(..., ordered=True)."
        )
    if is_category and not column.cat.ordered:
        raise DesignError(
            f"The outcome {spec.outcome!r} is a categorical without an order. Say "
            ".cat.as_ordered() if its categories stand from low to high."
        )
    found = (
        [c for c in column.cat.categories if (column == c).any()]
        if is_category
        else (sorted(column.unique()))
    )
    if not 2 <= len(found) <= _MOST_LEVELS:
        why = (
            f"every row has {found[0]}" if len(found) == 1
            else f"it has {len(found)} distinct values; fit_lmm() is for continuous outcomes"
        )  # fmt: skip
        raise DesignError(f"The outcome {spec.outcome!r} cannot be modelled as ordered: {why}.")
    expected = column.cat.categories if is_category else known.values if known else ()  # noqa: PD011
    empty = [
        f"{c}" for c in expected if c not in found and (is_category or found[0] < c < found[-1])
    ]
    notes = (f"nobody has {spec.outcome} = {', '.join(empty)}",) if empty else ()
    text = tuple(str(c) if is_category else f"{float(c):g}" for c in found)
    order = {c: i for i, c in enumerate(found)}
    level = np.array([order[c] for c in column.tolist()], dtype=int)
    return OrdinalScores(level=level, levels=text, notes=notes)


def location_design(design: PopulationDesign, spec: OrdinalSpec) -> LocationDesign:
    """Take the intercept out of the columns; refuse models that have none."""
    made = design.design
    if not made.fixed_names or made.fixed_names[0] != "Intercept":
        raise FormulaError(
            f"The thresholds are the intercepts of an ordinal model, so its formula cannot be "
            f"without one, got {spec.fixed!r}. Leave out `0 +` or `- 1`."
        )
    return LocationDesign(
        fixed_names=made.fixed_names[1:],
        fixed=made.fixed,
        kept=made.kept,
        aliasing=made.aliasing,
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class _Fitted:
    """The maximum in the user's units."""

    parameters: np.ndarray
    covariance: np.ndarray
    model_covariance: np.ndarray
    ascent: Ascent
    start: OrdinalStart
    largest: float


def _fit(X: np.ndarray, scores: OrdinalScores, subject: np.ndarray, spec: OrdinalSpec) -> _Fitted:
    """Maximise on centred, orthogonal columns, and map back."""
    from pmsstats.models.backends.statsmodels_ordinal import near_maximum

    n_cuts, centre = len(scores.levels) - 1, X.mean(axis=0)
    standard, back = orthogonal_columns(X - centre)
    start = near_maximum(standard, scores.level, n_cuts + 1)
    ascent = climb(
        lambda theta: cumulative_logit(theta, standard, scores.level, n_cuts + 1), start.parameters
    )
    T = np.eye(len(start.parameters))
    T[n_cuts:, n_cuts:] = back
    T[:n_cuts, n_cuts:] = centre @ back  # zeta = zeta of centred columns + centre'beta
    bread = np.linalg.pinv(ascent.terms.information, rcond=1e-14, hermitian=True)
    robust = bread
    if spec.empirical is not None:
        robust = clustered_covariance(bread, ascent.terms.scores, subject, spec.empirical)
    return _Fitted(
        parameters=T @ ascent.parameters,
        covariance=T @ robust @ T.T,
        model_covariance=T @ bread @ T.T,
        ascent=ascent,
        start=start,
        largest=float(np.abs(ascent.parameters[n_cuts:]).max(initial=0.0)),
    )


def _blame(X: np.ndarray, scores: OrdinalScores, location: LocationDesign) -> tuple[str, ...]:
    """Name the columns that separate the scores without error, if some do."""
    direction = separating_direction(X, scores)
    if direction is None:
        return ()
    size = np.abs(direction[len(scores.levels) - 1 :]) * np.ptp(X, axis=0)
    return tuple(
        name for name, s in zip(location.fixed_names, size, strict=True) if s > 1e-3 * size.max()
    )


def _judge(
    fitted: _Fitted, blamed: tuple[str, ...], spec: OrdinalSpec, on_failure: OnFailure
) -> None:
    """Raise or warn where there is no maximum; say which columns are to blame."""
    if not blamed and fitted.ascent.converged:
        return
    message = (
        f"No maximum of the likelihood of {spec.formula()} was found (it could still rise by "
        f"{fitted.ascent.gain:.1e}). Use fewer terms, or merge rare levels."
    )
    if blamed:
        message = separation_message(spec.formula(), blamed, f"higher from lower {spec.outcome}")
    if on_failure == "raise":
        raise ConvergenceError(message)
    warnings.warn(message, ConvergenceWarning, stacklevel=3)


def separating_direction(X: np.ndarray, scores: OrdinalScores) -> np.ndarray | None:
    """Find a direction along which no row becomes less likely."""
    n_cuts = len(scores.levels) - 1
    cuts = np.eye(n_cuts)
    above = np.hstack([cuts[scores.level[scores.level < n_cuts]], -X[scores.level < n_cuts]])
    below = np.hstack([-cuts[scores.level[scores.level > 0] - 1], X[scores.level > 0]])
    return recession_direction(np.vstack([above, below]))


def _result(
    design: PopulationDesign,
    location: LocationDesign,
    scores: OrdinalScores,
    fitted: _Fitted,
    spec: OrdinalSpec,
) -> OrdinalResult:
    """Put estimates into tables."""
    n_cuts = len(scores.levels) - 1
    effects = slice(n_cuts, None)
    inference = NormalInference(covariance=fitted.covariance[effects, effects])
    lower, upper = scores.levels[:-1], scores.levels[1:]
    thresholds = tabulate_estimates(
        [f"{a}|{b}" for a, b in zip(lower, upper, strict=True)],
        fitted.parameters[:n_cuts],
        np.sqrt(np.diag(fitted.covariance)[:n_cuts]),
        conf_level=spec.conf_level,
    ).drop(columns=["statistic", "p_value"])
    ascent, start = fitted.ascent, fitted.start
    gain = format_number(max(ascent.gain, 0.0), 2)
    return OrdinalResult(
        spec=spec,
        fit_log=FitLog(
            engine="statsmodels",
            engine_version=start.version,
            optimiser=f"{start.optimiser}, then {ascent.n_steps} Newton steps",
            converged=ascent.converged,
            message="; ".join([f"log-likelihood could rise by {gain}", *start.messages]),
            n_evaluations=start.n_evaluations,
            log_likelihood=ascent.terms.log_likelihood,
        ),
        group=spec.subject,
        n_subjects=design.n_subjects,
        n_obs=design.n_obs,
        coefficients=tabulate_coefficients(
            location.fixed_names,
            fitted.parameters[effects],
            inference,
            ratio="odds_ratio",
            conf_level=spec.conf_level,
        ),
        inference=inference,
        model_covariance=fitted.model_covariance[effects, effects],
        empirical=spec.empirical,
        ratio="odds_ratio",
        data=design.rows,
        design=location,
        thresholds=thresholds,
        joint_covariance=fitted.covariance,
        levels=scores.levels,
        level=scores.level,
        subject=design.subject,
        exclusions=design.exclusions,
    )
