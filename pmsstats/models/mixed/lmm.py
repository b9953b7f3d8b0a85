"""Linear mixed models: a frozen request, one function that fits it, one kind of answer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, FormulaError, nearest
from pmsstats.models.backends import LMM_ENGINES, EngineFit, run_lmm_engine
from pmsstats.models.fixed_effects.degrees_of_freedom import DF_METHODS, DfMethod, Inference
from pmsstats.models.formulas.formula import RandomTerm, formula_variables, parse_formula
from pmsstats.models.mixed.grouped_inference import grouped_inference
from pmsstats.models.mixed.grouped_likelihood import GroupedLikelihood
from pmsstats.models.mixed.lmm_assembly import assemble_lmm
from pmsstats.models.mixed.lmm_result import LMMResult
from pmsstats.models.mixed.mixed_design import MixedDesign, build_mixed_design
from pmsstats.models.mixed.mixed_inference import mixed_inference
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import standardise
from pmsstats.results import Exclusion, FitLog

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["LMMResult", "LMMSpec", "RandomTerm", "fit_lmm"]

Method = Literal["REML", "ML"]
OnFailure = Literal["raise", "warn"]
_DF_WORDS = {
    **dict.fromkeys(("kr", "kenward", "kenwardroger", "pbkrtest"), "kenward-roger"),
    **dict.fromkeys(("satterth", "satt", "lmertest"), "satterthwaite"),
    **dict.fromkeys(("bw", "betwithin"), "between-within"),
    **dict.fromkeys(("z", "asymptotic", "wald"), "normal"),
}  # other programs' words
_WHAT_TO_TRY = (
    "Try fewer random effects, for example (1 | {group}) or (year || {group}); engine={other!r}; "
    "or on_failure='warn' to look at where it stopped."
)


@dataclass(frozen=True, kw_only=True)
class LMMSpec:
    """A linear mixed model, as it is asked for.

    Parameters
    ----------
    outcome : str
        Column that is modelled, or a transform of one (``"log(snfl_pg_ml)"``).
    fixed : str
        Right-hand side of the mean: ``"year * phenotype + age_years"``.
    random : tuple of RandomTerm
        What varies between subjects; at least one.
    method : {"REML", "ML"}, default "REML"
        Restricted or full maximum likelihood.
    conf_level : float, default 0.95
        Of every interval.
    df_method : {"satterthwaite", "kenward-roger", "between-within", "residual", "normal"}
        Where degrees of freedom come from. ``"satterthwaite"``, the default, is lmerTest's;
        ``"kenward-roger"``, pbkrtest's, also adjusts the standard errors and holds its level in
        the smallest samples; ``"normal"`` takes the variances as known.
    weights : str, optional
        Column of positive weights: the residual variance of a row is ``sigma^2 / weight``.

    Raises
    ------
    FormulaError
        If a formula does not parse or asks for more than the allowed transforms.
    DesignError
        If another field is outside of its range.

    Examples
    --------
    >>> spec = LMMSpec.from_formula("thalamus_ml ~ year * phenotype + (year | subject_id)")
    >>> spec.fixed, spec.random[0].correlated
    ('year * phenotype', True)
    """

    outcome: str
    fixed: str
    random: tuple[RandomTerm, ...]
    method: Method = "REML"
    conf_level: float = 0.95
    df_method: DfMethod = "satterthwaite"
    weights: str | None = None

    def __post_init__(self) -> None:
        """Check every field."""
        _check_choice("method", self.method, get_args(Method))
        _check_choice("df_method", self.df_method, DF_METHODS)
        if self.method == "ML" and self.df_method.startswith("kenward-roger"):
            raise DesignError(
                f"`df_method={self.df_method!r}` is defined for restricted likelihood only. Use "
                'method="REML", or df_method="satterthwaite".'
            )
        if not isinstance(self.conf_level, float) or not 0.5 <= self.conf_level < 1:
            raise DesignError(
                f"`conf_level` must be at least 0.5 and below 1, got {self.conf_level!r}. "
                "Write 0.95 for 95 %."
            )
        _check_random(self.random)
        if parse_formula(f"{self.outcome} ~ {self.fixed}").random_terms:
            raise FormulaError(
                f"`fixed` must not hold random terms, got {self.fixed!r}. Give those as `random`, "
                "or the whole formula to LMMSpec.from_formula."
            )

    @classmethod
    def from_formula(
        cls,
        formula: str,
        *,
        method: Method = "REML",
        conf_level: float = 0.95,
        df_method: DfMethod = "satterthwaite",
        weights: str | None = None,
    ) -> LMMSpec:
        """Read a model in lme4's language.

        Parameters
        ----------
        formula : str
            For example ``"thalamus_ml ~ year * phenotype + (year | subject_id)"``.
        method : {"REML", "ML"}, default "REML"
            Restricted or full maximum likelihood.
        conf_level : float, default 0.95
            Of every interval.
        df_method : str, default "satterthwaite"
            Where degrees of freedom come from; see :class:`LMMSpec`.
        weights : str, optional
            Column of positive weights.

        Returns
        -------
        LMMSpec
            The request.

        Raises
        ------
        FormulaError
            If it does not parse, has no random term, or asks for more than the allowed transforms.
        """
        parsed = parse_formula(formula)
        return cls(
            outcome=parsed.outcome,
            fixed=parsed.fixed,
            random=parsed.random_terms,
            method=method,
            conf_level=conf_level,
            df_method=df_method,
            weights=weights,
        )

    @property
    def group(self) -> str:
        """Return the first grouping factor; a fit's own `group` is the one with most levels."""
        return self.random[0].group

    @property
    def variables(self) -> tuple[str, ...]:
        """Return every column that the model uses, the grouping one last."""
        used = [self.outcome, self.fixed, *(term.rhs() for term in self.random)]
        names = [name for rhs in used for name in formula_variables(rhs)]
        names += [self.weights] if self.weights else []
        return tuple(dict.fromkeys([*names, *(c for term in self.random for c in term.columns)]))

    def formula(self) -> str:
        """Return the model in lme4's language."""
        return " + ".join(
            [f"{self.outcome} ~ {self.fixed}", *(term.formula() for term in self.random)]
        )


def _check_random(random: Sequence[RandomTerm]) -> None:
    """Refuse a model without random terms, or with the same one twice."""
    if not isinstance(random, tuple) or not all(isinstance(t, RandomTerm) for t in random):
        raise DesignError(f"`random` must be a tuple of RandomTerm, got {random!r}.")
    if not random:
        raise FormulaError(
            "A mixed model needs a random term, such as (1 | subject_id) or (year | subject_id)."
        )
    named = [(term.group, name) for term in random for name in term.terms]
    repeated = [pair for pair in named if named.count(pair) > 1]
    if repeated:
        group, name = repeated[0]
        raise DesignError(
            f"The random effect {name!r} of {group!r} is asked for twice. "
            "Write (0 + year | subject_id) for a slope without another intercept."
        )


def fit_lmm(
    data: pd.DataFrame,
    spec: LMMSpec | str,
    *,
    method: Method | None = None,
    conf_level: float | None = None,
    df_method: DfMethod | None = None,
    weights: str | None = None,
    engine: str = "native",
    on_failure: OnFailure = "raise",
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
) -> LMMResult:
    """Fit a Gaussian linear mixed model.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per observation, with the columns that the model names.
    spec : LMMSpec or str
        The model, or its formula in lme4's language (then by REML, with 95 % intervals, unless
        the next four say otherwise).
    method, conf_level, df_method, weights : optional
        As in :class:`LMMSpec`, where `spec` is a formula; in an LMMSpec they are its own fields.
    engine : {"native", "statsmodels", "lme4"}, default "native"
        Which program maximises the likelihood. ``"native"`` is this package's own. ``"lme4"``
        needs R; degrees of freedom are then lmerTest's own [1]_. ``"statsmodels"`` takes one
        grouping column.
    on_failure : {"raise", "warn"}, default "raise"
        What to do without a maximum that can be trusted. ``"warn"`` also warns of singular fits.
    dictionary : mapping of str to Measure, optional
        For label and unit of the outcome; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out, to be carried along.

    Returns
    -------
    LMMResult
        Estimates, predictions and a log of the fit.

    Raises
    ------
    FormulaError
        If the formula names an unknown column or asks for more than the allowed transforms.
    DesignError
        If the data cannot determine the model: too few rows or subjects, one visit per subject,
        an outcome that does not vary; numbers stored as text; an unknown engine; or an LMMSpec
        together with one of its own fields.
    ConvergenceError
        If no optimiser finds a maximum, and `on_failure` is ``"raise"``.
    BackendUnavailableError
        If the engine is not installed.

    Notes
    -----
    The model is ``y = X beta + Z b + e`` with ``b ~ N(0, Psi)`` per subject and
    ``e ~ N(0, sigma^2)``. The estimate in question is the mean of the outcome in subjects with
    given covariates, had none of them dropped out, if values are missing at random given those
    observed. Standard errors are model based, ``sigma^2 (X' V^-1 X)^-1``, and take the variance
    components as known, as those of ``summary(lme4::lmer(...))`` do; those of
    ``df_method="kenward-roger"`` are adjusted for their having been estimated [2]_.

    The same numbers come from R's ``lmerTest::lmer`` (``summary(model)``; with ``ddf =
    "Kenward-Roger"`` through pbkrtest) and from SAS's ``PROC MIXED`` with ``RANDOM ... / TYPE=UN
    SUBJECT=`` and ``DDFM=SATTERTHWAITE``. SAS's ``DDFM=KR`` takes the observed information of the
    variances where [2]_ and pbkrtest take the expected one: in unbalanced data its degrees of
    freedom differ by a percent or so
    (:data:`~pmsstats.models.fixed_effects.degrees_of_freedom.DfMethod`). With `weights`, pbkrtest
    leaves these out of its adjustment, so that its numbers differ; those given here follow [2]_
    with ``V = Z Psi Z' + sigma^2 W^-1``.

    Knots that ``ns(x, df=...)`` places, and means that ``center(x)`` and ``scale(x)`` take, come
    from the rows that are analysed; R's ``lmer`` takes them from all rows, before those with
    missing values go. Give ``knots=`` and bounds where the two should agree.

    Outcome and columns are put on a common scale before any engine sees them, and the answer is
    mapped back exactly: units of 1e-4 or time in days change nothing. Whether the answer is a
    maximum is judged by the slope of the likelihood, whatever the engine says. A singular fit
    (a variance component of zero) is a maximum, and is reported as such.

    References
    ----------
    .. [1] Kuznetsova A, Brockhoff PB, Christensen RHB. lmerTest package: tests in linear mixed
       effects models. J Stat Softw 2017;82(13). doi:10.18637/jss.v082.i13.
    .. [2] Kenward MG, Roger JH. Small sample inference for fixed effects from restricted maximum
       likelihood. Biometrics 1997;53:983-997. doi:10.2307/2533558.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(7)
    >>> visits = pd.DataFrame({"subject_id": np.repeat(range(40), 4), "year": [0, 1, 2, 3] * 40})
    >>> visits["thalamus_ml"] = 15 - 0.1 * visits["year"] + rng.normal(0, 0.2, 160)
    >>> visits["thalamus_ml"] += np.repeat(rng.normal(0, 1, 40), 4)
    >>> fit = fit_lmm(visits, "thalamus_ml ~ year + (1 | subject_id)")
    >>> fit.n_subjects, fit.fit_log.converged
    (40, True)
    """
    asked = {
        "method": method, "conf_level": conf_level, "df_method": df_method, "weights": weights
    }  # fmt: skip
    spec = _requested(spec, {name: value for name, value in asked.items() if value is not None})
    _check_choice("engine", engine, tuple(LMM_ENGINES))
    _check_choice("on_failure", on_failure, get_args(OnFailure))
    design = build_mixed_design(data, spec)
    standard, back = standardise(design.arrays)
    kind = GroupedLikelihood if standard.others else MixedLikelihood
    likelihood = kind(standard, reml=spec.method == "REML")
    found = run_lmm_engine(engine, likelihood)
    log = replace(
        found.fit_log,
        log_likelihood=back.log_likelihood(
            found.log_likelihood, n_obs=design.arrays.n_obs, reml=likelihood.reml
        ),
    )
    _judge(log, spec, on_failure)
    inference = _inference(likelihood, found, spec, design).mapped(back.fixed_covariance)
    known = default_dictionary() if dictionary is None else dictionary
    fit = assemble_lmm(design, spec, found, inference=inference, back=back, fit_log=log)
    return fit.with_context(
        measure=known.get(spec.outcome.strip("`")), origin=origin, prior=tuple(prior_exclusions)
    )


def _requested(spec: LMMSpec | str, asked: Mapping[str, Any]) -> LMMSpec:
    """Read a formula with what was asked beside it; a request holds all of that itself."""
    if isinstance(spec, str):
        return LMMSpec.from_formula(spec, **asked)
    if not isinstance(spec, LMMSpec):
        raise DesignError(
            f"`spec` must be a formula or an LMMSpec, got {type(spec).__name__}. Write for "
            'example "thalamus_ml ~ year * arm + (year | subject_id)".'
        )
    if asked:
        given = ", ".join(f"{name}={value!r}" for name, value in asked.items())
        raise DesignError(
            f"Got {given} beside an LMMSpec, which has its own. Put it in the request: "
            f"LMMSpec(..., {given}), or dataclasses.replace(spec, {given})."
        )
    return spec


def _inference(
    likelihood: MixedLikelihood | GroupedLikelihood,
    found: EngineFit,
    spec: LMMSpec,
    design: MixedDesign,
) -> Inference:
    """Take the engine's own degrees of freedom where it has those asked for, else work them out."""
    if found.inference is not None and spec.df_method == "satterthwaite":
        return found.inference
    if isinstance(likelihood, GroupedLikelihood):
        return grouped_inference(likelihood, likelihood.solve(found.psi), spec.df_method)
    solution = found.solution or likelihood.solve(found.psi)
    return mixed_inference(likelihood, solution, spec.df_method, columns=design.arrays.X)


def _check_choice(name: str, value: object, options: Sequence[str]) -> None:
    """Refuse a value that is none of the options."""
    if value not in options:
        word = str(value).lower()
        meant = _DF_WORDS.get(word.replace("-", "").replace("_", "").replace(" ", ""), word)
        raise DesignError(
            f"`{name}` must be one of {', '.join(options)}, got {value!r}.{nearest(meant, options)}"
        )


def _judge(log: FitLog, spec: LMMSpec, on_failure: OnFailure) -> None:
    """Raise or warn where there is no maximum; warn of a singular one if warnings are wanted."""
    if not log.converged:
        other = "native" if log.engine == "lme4" else "lme4"
        message = (
            f"{log.engine} found no maximum of the likelihood for {spec.formula()} "
            f"({log.message[:300]}). {_WHAT_TO_TRY.format(group=spec.group, other=other)}"
        )
        if on_failure == "raise":
            raise ConvergenceError(message)
        warnings.warn(message, ConvergenceWarning, stacklevel=3)
    elif log.singular and on_failure == "warn":
        warnings.warn(
            f"The fit of {spec.formula()} is singular: a variance component, or a combination of "
            "them, is estimated as zero.",
            ConvergenceWarning,
            stacklevel=3,
        )
