"""Ordered scores (EDSS) within subjects: the cumulative model with random effects."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, FormulaError
from pmsstats.models.fixed_effects.degrees_of_freedom import NormalInference
from pmsstats.models.fixed_effects.inference import tabulate_estimates
from pmsstats.models.formulas.columns import independent_columns
from pmsstats.models.formulas.design import DesignSpec, design_matrices, formula_variables
from pmsstats.models.formulas.formula import RandomTerm, parse_formula
from pmsstats.models.kernels.ordinal_mixed_kernel import OrdinalRows
from pmsstats.models.responses.ordinal import (
    OrdinalScores,
    location_design,
    ordinal_scores,
    separating_direction,
)
from pmsstats.models.responses.ordinal_mixed_fit import (
    DEFAULT_NODES,
    OrdinalMaximum,
    maximise_ordinal,
)
from pmsstats.models.responses.ordinal_mixed_result import OrdinalMixedResult, OrdinalScale
from pmsstats.models.responses.population_design import (
    PopulationDesign,
    build_population_design,
    check_choice,
    check_enough,
    check_population_spec,
    orthogonal_columns,
)
from pmsstats.models.responses.population_result import tabulate_coefficients
from pmsstats.models.responses.separation import separation_message
from pmsstats.provenance import package_version
from pmsstats.results import Exclusion, FitLog

if TYPE_CHECKING:
    from pmsstats.models.responses.ordinal import LocationDesign
    from pmsstats.provenance import Origin

__all__ = ["OrdinalMixedResult", "OrdinalMixedSpec", "fit_ordinal_mixed"]

LinkName = Literal["logit", "probit"]
OnFailure = Literal["raise", "warn"]
_VERSION = package_version()
_MOST_NODES = 101
_LARGE = 8.0  # an effect per SD of a column that calls for a look at separation


@dataclass(frozen=True, kw_only=True)
class OrdinalMixedSpec:
    """A cumulative model with random effects, as it is asked for.

    Parameters
    ----------
    outcome : str
        Column of ordered scores: numbers, or an ordered categorical.
    fixed : str
        Right-hand side: ``"year * arm"``. The thresholds take the intercept's place.
    random : RandomTerm
        What varies between subjects: up to three effects.
    link : {"logit", "probit"}, default "logit"
        Distribution of the latent score within a subject.
    n_nodes : int, optional
        Quadrature nodes per random effect; by default 15, 9 or 7 for one, two or three of them.
    min_rows : int, default 0
        Levels with fewer rows are merged with the rarer of their neighbours, and a note says so;
        none are by default.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    FormulaError
        If a formula does not parse, or transforms the outcome.
    DesignError
        If another field is outside of its range.

    Examples
    --------
    >>> OrdinalMixedSpec.from_formula("edss ~ year * arm + (year | subject_id)").formula()
    'edss ~ year * arm + (year | subject_id)'
    """

    outcome: str
    fixed: str
    random: RandomTerm
    link: LinkName = "logit"
    n_nodes: int | None = None
    min_rows: int = 0
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        check_population_spec(self.outcome, self.fixed, self.conf_level)
        check_choice("link", self.link, get_args(LinkName))
        if not isinstance(self.random, RandomTerm) or len(self.random.columns) > 1:
            raise DesignError(
                "`random` must be one random term by one column, such as (year | subject_id), got "
                f"{self.random!r}."
            )
        if not self.random.correlated:
            raise DesignError(
                f"{self.random.formula()} asks for uncorrelated effects; here they are correlated "
                "freely. Write | instead of ||."
            )
        if self.n_nodes is not None and not _is_whole(self.n_nodes, 1, _MOST_NODES):
            raise DesignError(
                f"`n_nodes` must be a whole number from 1 to {_MOST_NODES}, got {self.n_nodes!r}."
            )
        if not _is_whole(self.min_rows, 0, 10**9):
            raise DesignError(f"`min_rows` must be a whole number from 0, got {self.min_rows!r}.")

    @classmethod
    def from_formula(cls, formula: str, **fields: Any) -> OrdinalMixedSpec:
        """Read a model from its formula.

        Parameters
        ----------
        formula : str
            For example ``"edss ~ year * arm + (year | subject_id)"``.
        **fields : object
            Other fields, such as `link`.

        Returns
        -------
        OrdinalMixedSpec
            The request.

        Raises
        ------
        FormulaError
            If it does not parse, or has not one random term.
        """
        parsed = parse_formula(formula)
        if len(parsed.random_terms) != 1:
            raise FormulaError(
                "An ordinal mixed model needs one random term, such as (1 | subject_id) or (year | "
                f"subject_id), got {len(parsed.random_terms)}. fit_ordinal() has none."
            )
        return cls(
            outcome=parsed.outcome, fixed=parsed.fixed, random=parsed.random_terms[0], **fields
        )

    @property
    def subject(self) -> str:
        """Return the column that tells subjects apart."""
        return self.random.columns[0]

    def formula(self) -> str:
        """Return the model in lme4's language."""
        return f"{self.outcome} ~ {self.fixed} + {self.random.formula()}"


def _is_whole(value: object, low: int, high: int) -> bool:
    """Say whether a value is a whole number within limits."""
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def fit_ordinal_mixed(
    data: pd.DataFrame,
    spec: OrdinalMixedSpec | str,
    *,
    on_failure: OnFailure = "raise",
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
) -> OrdinalMixedResult:
    """Fit a cumulative logit or probit model with random effects of subjects.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per observation, with the columns that the model names.
    spec : OrdinalMixedSpec or str
        The model, or its formula in lme4's language.
    on_failure : {"raise", "warn"}, default "raise"
        What to do without a maximum that can be trusted. ``"warn"`` also warns of singular fits.
    dictionary : mapping of str to Measure, optional
        For label and scale of the outcome; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out.

    Returns
    -------
    OrdinalMixedResult
        Odds ratios of a higher score within a subject (for EDSS: of being worse), variances
        between subjects, probabilities within a subject and in the population.

    Raises
    ------
    FormulaError
        If the formula names an unknown column, or has not one random term.
    DesignError
        If the data cannot determine the model, or scores are off the outcome's scale.
    ConvergenceError
        If there is no maximum, or the quadrature is too coarse for it, and `on_failure` is
        ``"raise"``.

    Notes
    -----
    ``g(P(Y <= k | x, z, b)) = zeta_k - x'beta - z'b`` with ``b ~ N(0, D)`` per subject [1]_, [2]_.
    Odds ratios are conditional: between two visits of one subject, or two subjects alike in all
    that does not stand in the model. They are further from 1 than those of the population, which
    :func:`~pmsstats.models.responses.ordinal.fit_ordinal` estimates, the more so the more subjects
    differ; :meth:`OrdinalMixedResult.predict` gives probabilities of either kind. Scores missing at
    random, given those observed, do not bias it.

    The likelihood is summed over adaptive Gauss-Hermite nodes, held in place for Newton steps with
    exact derivatives and placed anew until nothing moves. The fit is refused if twice as many nodes
    would move an estimate by a fiftieth of its standard error or more.

    R: ``ordinal::clmm(ordered(edss) ~ year * arm + (1 | subject_id), nAGQ = 15)``, which has the
    Laplace approximation only for more than one random effect; SAS: ``PROC GLIMMIX
    METHOD=QUAD(QPOINTS=9) ... DIST=MULT LINK=CLOGIT; RANDOM INTERCEPT YEAR / SUBJECT=subject_id
    TYPE=UN`` (there signs are opposite).

    References
    ----------
    .. [1] Hedeker D, Gibbons RD. A random-effects ordinal regression model for multilevel analysis.
       Biometrics 1994;50:933-944. doi:10.2307/2533433.
    .. [2] McCullagh P. Regression models for ordinal data. J R Stat Soc B 1980;42:109-142.
       doi:10.1111/j.2517-6161.1980.tb01109.x.

    Examples
    --------
    >>> rng = np.random.default_rng(3)
    >>> visits = pd.DataFrame({"subject_id": np.repeat(range(150), 4), "year": [0, 1, 2, 3] * 150})
    >>> latent = 0.6 * visits["year"] + np.repeat(rng.normal(0, 2, 150), 4) + rng.logistic(size=600)
    >>> visits["edss"] = np.select([latent < -1, latent < 1], [3.0, 4.0], 6.0)
    >>> fit = fit_ordinal_mixed(visits, "edss ~ year + (1 | subject_id)")
    >>> bool(fit.coefficients["conf_low"][0] < 0.6 < fit.coefficients["conf_high"][0])
    True
    """
    spec = OrdinalMixedSpec.from_formula(spec) if isinstance(spec, str) else spec
    check_choice("on_failure", on_failure, get_args(OnFailure))
    stage = f"ordinal mixed model of {spec.outcome}"
    design = build_population_design(
        data,
        outcome=spec.outcome,
        fixed=spec.fixed,
        subject=spec.subject,
        others=formula_variables(spec.random.rhs()),
        stage=stage,
    )
    known = (default_dictionary() if dictionary is None else dictionary).get(
        spec.outcome.strip("`")
    )
    column = design.rows[spec.outcome.strip("`")]
    _check_scale(column, spec, known)
    scores = _merged(ordinal_scores(column, spec, known), spec.min_rows)
    location = location_design(design, spec)
    Z, random = _random_columns(design, spec)
    _check_estimable(design, Z, len(scores.levels) - 1 + len(location.fixed_names), stage)
    scale, rows = _standard(design, Z, scores, spec)
    found = maximise_ordinal(rows, spec.n_nodes)
    _judge(found, _blame(rows, design, scores, location, found), spec, on_failure)
    made = _result(design, location, scores, found, spec, scale=scale, random=random)
    return made.with_context(measure=known, origin=origin, prior=tuple(prior_exclusions))


def _check_scale(column: pd.Series, spec: OrdinalMixedSpec, known: Measure | None) -> None:
    """Refuse scores that the outcome's scale does not have."""
    allowed = known.values if known else ()  # noqa: PD011
    if not allowed or not pd.api.types.is_numeric_dtype(column.dtype):
        return
    off = column[~column.isin(allowed)]
    if len(off):
        raise DesignError(
            f"{len(off)} row(s) have {spec.outcome} off its scale ("
            f"{', '.join(f'{v:g}' for v in sorted(off.unique())[:5])}), which has "
            f"{allowed[0]:g}, {allowed[1]:g}, ..., {allowed[-1]:g}. Correct or drop them, or give "
            "`dictionary={}` for a score of another kind."
        )


def _merged(scores: OrdinalScores, min_rows: int) -> OrdinalScores:
    """Merge levels with too few rows with the rarer of their neighbours."""
    groups = [[i] for i in range(len(scores.levels))]
    counts = list(np.bincount(scores.level, minlength=len(groups)))
    while len(groups) > 2 and min(counts) < min_rows:
        i = int(np.argmin(counts))
        sides = [j for j in (i - 1, i + 1) if 0 <= j < len(groups)]
        low = min(i, min(sides, key=lambda j: counts[j]))
        groups[low] += groups.pop(low + 1)
        counts[low] += counts.pop(low + 1)
    if len(groups) == len(scores.levels):
        return scores
    names = tuple(
        scores.levels[g[0]] if len(g) == 1 else f"{scores.levels[g[0]]} to {scores.levels[g[-1]]}"
        for g in groups
    )
    number = np.array([k for k, group in enumerate(groups) for _ in group])
    merged = [name for name, group in zip(names, groups, strict=True) if len(group) > 1]
    note = f"merged, with fewer than {min_rows} rows: {', '.join(merged)}"
    return replace(scores, level=number[scores.level], levels=names, notes=(*scores.notes, note))


def _random_columns(
    design: PopulationDesign, spec: OrdinalMixedSpec
) -> tuple[np.ndarray, DesignSpec]:
    """Make the columns of the random effects; refuse those that repeat each other."""
    frame, made = design_matrices(spec.random.rhs(), design.rows)
    Z = frame.to_numpy()
    if not np.isfinite(Z).all():
        bad = int((~np.isfinite(Z).all(axis=1)).sum())
        raise DesignError(
            f"{spec.random.formula()} gives no finite number in {bad} row(s). Drop those rows."
        )
    if Z.shape[1] not in DEFAULT_NODES:
        raise DesignError(
            f"{spec.random.formula()} has {Z.shape[1]} effects per subject; the quadrature takes "
            f"1 to {max(DEFAULT_NODES)}."
        )
    _, dropped = independent_columns(Z)
    if dropped:
        raise DesignError(
            f"The random effect {frame.columns[dropped[0]]!r} is constant or repeats another one. "
            "Leave it out of the random term."
        )
    return Z, made


def _check_estimable(design: PopulationDesign, Z: np.ndarray, n_location: int, stage: str) -> None:
    """Refuse too few rows or subjects, and one row per subject."""
    q = Z.shape[1]
    check_enough(design, n_location + q * (q + 1) // 2, stage=stage)
    if not design.repeats:
        raise DesignError(
            f"Every subject has one row, so the {stage} cannot tell variation between subjects "
            "from that within. fit_ordinal() takes one row per subject."
        )
    if design.n_subjects <= q * (q + 1) // 2:
        raise DesignError(
            f"{design.n_subjects} subjects cannot determine the variances of {q} random effects. "
            "Use (1 | subject), or more subjects."
        )


def _standard(
    design: PopulationDesign, Z: np.ndarray, scores: OrdinalScores, spec: OrdinalMixedSpec
) -> tuple[OrdinalScale, OrdinalRows]:
    """Sort rows by subject, and put columns on a common scale."""
    X = design.X[:, 1:]
    centre = X.mean(axis=0)
    standard, back = orthogonal_columns(X - centre)
    standard_Z, back_random = orthogonal_columns(Z)
    order = np.argsort(design.subject, kind="stable")
    rows = OrdinalRows(
        X=standard[order],
        Z=standard_Z[order],
        level=scores.level[order],
        subject=design.subject[order],
        n_levels=len(scores.levels),
        link=spec.link,
    )
    return OrdinalScale(centre=centre, back=back, back_random=back_random), rows


def _blame(
    rows: OrdinalRows,
    design: PopulationDesign,
    scores: OrdinalScores,
    location: LocationDesign,
    found: OrdinalMaximum,
) -> tuple[str, ...]:
    """Name the columns that separate the scores without error, if some do."""
    _, beta, _ = rows.split(found.theta)
    if found.converged and np.abs(beta).max(initial=0.0) < _LARGE:
        return ()
    X = design.X[:, 1:]
    direction = separating_direction(X, scores)
    if direction is None:
        return ()
    size = np.abs(direction[len(scores.levels) - 1 :]) * np.ptp(X, axis=0)
    return tuple(
        name for name, s in zip(location.fixed_names, size, strict=True) if s > 1e-3 * size.max()
    )


def _judge(
    found: OrdinalMaximum, blamed: tuple[str, ...], spec: OrdinalMixedSpec, on_failure: OnFailure
) -> None:
    """Raise or warn where there is no maximum; warn of a singular one if warnings are wanted."""
    if blamed:
        message = separation_message(spec.formula(), blamed, f"higher from lower {spec.outcome}")
    elif not found.converged:
        message = (
            f"No maximum of the likelihood of {spec.formula()} that can be trusted was found "
            f"({found.message}). Give more nodes (`n_nodes={2 * found.n_nodes}`), fewer random "
            "effects, or merge rare levels (`min_rows=5`)."
        )
    elif found.singular and on_failure == "warn":
        message = (
            f"The fit of {spec.formula()} is singular: some combination of the random effects is "
            "estimated not to vary."
        )
    else:
        return
    if on_failure == "raise":
        raise ConvergenceError(message)
    warnings.warn(message, ConvergenceWarning, stacklevel=3)


def _result(
    design: PopulationDesign,
    location: LocationDesign,
    scores: OrdinalScores,
    found: OrdinalMaximum,
    spec: OrdinalMixedSpec,
    *,
    scale: OrdinalScale,
    random: DesignSpec,
) -> OrdinalMixedResult:
    """Map estimates back to the user's units, and put them into tables."""
    k, p = len(scores.levels) - 1, len(location.fixed_names)
    T = scale.location_map(k)
    estimates = T @ found.theta[: k + p]
    covariance = T @ found.covariance[: k + p, : k + p] @ T.T
    inference = NormalInference(covariance=covariance[k:, k:])
    cuts = zip(scores.levels[:-1], scores.levels[1:], strict=True)
    thresholds = tabulate_estimates(
        [f"{a}|{b}" for a, b in cuts],
        estimates[:k],
        np.sqrt(np.diag(covariance)[:k]),
        conf_level=spec.conf_level,
    ).drop(columns=["statistic", "p_value"])
    ratio = "odds_ratio" if spec.link == "logit" else None
    return OrdinalMixedResult(
        spec=spec,
        fit_log=FitLog(
            engine="native",
            engine_version=_VERSION,
            optimiser=f"Newton, {found.n_nodes} adaptive Gauss-Hermite nodes per effect",
            converged=found.converged,
            message=found.message,
            n_evaluations=found.n_evaluations,
            singular=found.singular,
            log_likelihood=found.terms.log_likelihood,
        ),
        group=spec.subject,
        n_subjects=design.n_subjects,
        n_obs=design.n_obs,
        coefficients=tabulate_coefficients(
            location.fixed_names,
            estimates[k:],
            inference,
            ratio=ratio,
            conf_level=spec.conf_level,
        ),
        inference=inference,
        model_covariance=inference.covariance,
        empirical=None,
        ratio=ratio,
        data=design.rows,
        design=location,
        notes=(*design.notes, *scores.notes),
        thresholds=thresholds,
        levels=scores.levels,
        level=scores.level,
        subject=design.subject,
        subject_ids=design.subject_ids,
        random=random,
        scale=scale,
        maximum=found,
        exclusions=design.exclusions,
    )
