"""Linear mixed models: a frozen request, one function that fits it, one kind of answer."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import ConvergenceError, ConvergenceWarning, DesignError, FormulaError, nearest
from pmsstats.models.backends import LMM_ENGINES, EngineFit, run_lmm_engine
from pmsstats.models.degrees_of_freedom import DF_METHODS, DfMethod, NormalInference
from pmsstats.models.formula import RandomTerm, formula_variables, parse_formula
from pmsstats.models.inference import tabulate_estimates
from pmsstats.models.lmm_result import LMMResult
from pmsstats.models.mixed_design import MixedDesign, build_mixed_design
from pmsstats.models.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed_scale import StandardScale, standardise
from pmsstats.results import Exclusion, FitLog

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["LMMResult", "LMMSpec", "RandomTerm", "fit_lmm"]

Method = Literal["REML", "ML"]
OnFailure = Literal["raise", "warn"]
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
        ``"kenward-roger"``, pbkrtest's and SAS's ``DDFM=KR``, also adjusts the standard errors
        and holds its level in the smallest samples; ``"normal"`` takes the variances as known.
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
        """Return the column that tells subjects apart."""
        return self.random[0].group

    @property
    def variables(self) -> tuple[str, ...]:
        """Return every column that the model uses, the grouping one last."""
        used = [self.outcome, self.fixed, *(term.rhs() for term in self.random)]
        names = [name for rhs in used for name in formula_variables(rhs)]
        names += [self.weights] if self.weights else []
        return tuple(dict.fromkeys([*names, *(term.group for term in self.random)]))

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
    engine: str = "statsmodels",
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
        The model, or its formula in lme4's language (then by REML, with 95 % intervals).
    engine : {"statsmodels", "lme4"}, default "statsmodels"
        Which program maximises the likelihood. ``"lme4"`` needs R; its tests and intervals use
        Satterthwaite's degrees of freedom [1]_. ``"statsmodels"`` has none, so it uses the normal
        distribution, which is too optimistic below some 50 subjects per group.
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
        an outcome that does not vary, or an unknown engine.
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
    components as known, as those of ``summary(lme4::lmer(...))`` do.

    Outcome and columns are put on a common scale before any engine sees them, and the answer is
    mapped back exactly: units of 1e-4 or time in days change nothing. Whether the answer is a
    maximum is judged by the slope of the likelihood, whatever the engine says. A singular fit
    (a variance component of zero) is a maximum, and is reported as such.

    References
    ----------
    .. [1] Kuznetsova A, Brockhoff PB, Christensen RHB. lmerTest package: tests in linear mixed
       effects models. J Stat Softw 2017;82(13). doi:10.18637/jss.v082.i13.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> visits = pd.DataFrame({"subject_id": np.repeat(range(40), 4), "year": [0, 1, 2, 3] * 40})
    >>> visits["thalamus_ml"] = 15 - 0.1 * visits["year"] + rng.normal(0, 0.2, 160)
    >>> visits["thalamus_ml"] += np.repeat(rng.normal(0, 1, 40), 4)
    >>> fit = fit_lmm(visits, "thalamus_ml ~ year + (1 | subject_id)")
    >>> fit.n_subjects, fit.fit_log.converged
    (40, True)
    """
    spec = LMMSpec.from_formula(spec) if isinstance(spec, str) else spec
    _check_choice("engine", engine, tuple(LMM_ENGINES))
    _check_choice("on_failure", on_failure, get_args(OnFailure))
    design = build_mixed_design(data, spec)
    standard, back = standardise(design.arrays)
    likelihood = MixedLikelihood(standard, reml=spec.method == "REML")
    found = run_lmm_engine(engine, likelihood)
    log = replace(
        found.fit_log,
        log_likelihood=back.log_likelihood(
            found.log_likelihood, n_obs=design.arrays.n_obs, reml=likelihood.reml
        ),
    )
    _judge(log, spec, on_failure)
    known = default_dictionary() if dictionary is None else dictionary
    return _in_user_units(design, spec, found, back, log).with_context(
        measure=known.get(spec.outcome.strip("`")), origin=origin, prior=tuple(prior_exclusions)
    )


def _check_choice(name: str, value: object, options: Sequence[str]) -> None:
    """Refuse a value that is none of the options."""
    if value not in options:
        raise DesignError(
            f"`{name}` must be one of {', '.join(options)}, got {value!r}."
            f"{nearest(str(value), options)}"
        )


def _judge(log: FitLog, spec: LMMSpec, on_failure: OnFailure) -> None:
    """Raise or warn where there is no maximum; warn of a singular one if warnings are wanted."""
    if not log.converged:
        other = next(name for name in LMM_ENGINES if name != log.engine)
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


def _in_user_units(
    design: MixedDesign, spec: LMMSpec, found: EngineFit, back: StandardScale, log: FitLog
) -> LMMResult:
    """Map an engine's answer back and put it into tables."""
    inference = (found.inference or NormalInference(covariance=found.fixed_covariance)).mapped(
        back.fixed_covariance
    )
    psi = back.random_covariance(found.sigma2 * found.psi)
    modes = back.random(found.modes)
    return LMMResult(
        spec=spec,
        fit_log=log,
        group=spec.group,
        n_subjects=design.arrays.n_subjects,
        n_obs=design.arrays.n_obs,
        coefficients=tabulate_estimates(
            design.fixed_names,
            back.fixed(found.fixed),
            np.sqrt(np.diag(inference.covariance)),
            df=inference.df(np.eye(len(inference.covariance))),
            conf_level=spec.conf_level,
        ),
        inference=inference,
        variance_components=_variance_components(design, spec.group, psi),
        residual_sd=back.scale * float(np.sqrt(found.sigma2)),
        blup_frame=pd.DataFrame(
            {
                spec.group: list(design.subject_ids),
                **dict(zip(design.random_names, modes.T, strict=True)),
            }
        ),
        data=design.rows,
        design=design,
        exclusions=design.exclusions,
    )


def _variance_components(design: MixedDesign, group: str, psi: np.ndarray) -> pd.DataFrame:
    """Tabulate variances, covariances and correlations of the random effects."""
    names = design.random_names
    sd = np.sqrt(np.diag(psi))
    rows: list[tuple[str, str, str, float, str]] = [
        (group, name, name, float(psi[i, i]), "variance") for i, name in enumerate(names)
    ]
    pairs = [(i, j) for block in design.arrays.blocks for i in block for j in block if i < j]
    for kind in ("covariance", "correlation"):
        for i, j in pairs:
            scale = sd[i] * sd[j] if kind == "correlation" else 1.0
            value = float(psi[i, j] / scale) if scale > 0 else float("nan")
            rows.append((group, names[i], names[j], value, kind))
    return pd.DataFrame(rows, columns=["group", "term1", "term2", "estimate", "kind"])
