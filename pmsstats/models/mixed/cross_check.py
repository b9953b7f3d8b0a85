"""A second opinion: one mixed model through every engine that is here, compared digit by digit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import (
    BackendUnavailableError,
    ConvergenceError,
    ConvergenceWarning,
    DesignError,
    EngineDisagreementWarning,
    nearest,
)
from pmsstats.models.backends import LMM_ENGINES, EngineFit, ask_lmm_engine
from pmsstats.models.fixed_effects.degrees_of_freedom import (
    Inference,
    KenwardRoger,
    NormalInference,
)
from pmsstats.models.mixed.grouped_fit import certify_any
from pmsstats.models.mixed.grouped_likelihood import GroupedLikelihood
from pmsstats.models.mixed.lmm import LMMSpec, fit_lmm
from pmsstats.models.mixed.lmm_assembly import assemble_lmm
from pmsstats.models.mixed.lmm_result import LMMResult
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood
from pmsstats.models.mixed.mixed_scale import StandardScale, standardise
from pmsstats.plots.agreement_digits import plot_agreement_digits
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.mixed.mixed_design import MixedDesign

__all__ = ["CrossCheckResult", "cross_check"]

_COLUMNS = ("engine", "quantity", "digits", "required", "largest_difference", "term", "agrees",
            "stopped_below")  # fmt: skip
_MOST_DIGITS = 15.0  # of a double
_REQUIRED = {
    "estimate": 5.0,
    "std_error": 5.0,
    "df": 2.0,
    "log_likelihood": 6.0,
    "residual_sd": 5.0,
    "variance": 3.0,
    "blup": 3.0,
}
"""Digits below which two engines disagree. Optimisers stop some 1e-7 of a likelihood from its
maximum, which is 1e-4 to 1e-3 of a variance; lmerTest takes df from differences."""
_REQUIRED_OF = {"statsmodels": {"estimate": 4.0, "std_error": 4.0, "residual_sd": 4.0}}
"""Of MixedLM, which is judged as it stops, where lme4 is asked to go on: it ends when the slope in
the roots of the variances is below 1e-8, and near a root of zero, up to 1e-6 log-likelihood units
below the maximum. That is 1e-3 of a variance's standard error, 1e-4 of it, and half of that in what
are roots of variances."""
_STILL_RISES = 1e-8  # log-likelihood units to gain where an engine stopped: more than rounding
_SMALL = 0.01
"""Share of the residual SD below which a random effect counts as small: differences are measured
by it where a variance is zero. That is far within the standard error of any variance."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CrossCheckResult(Result):
    """Agreement of engines on one mixed model.

    Parameters
    ----------
    spec : LMMSpec
        The model.
    engine : str
        Engine of the fit that was checked.
    agreement : pandas.DataFrame
        ``engine quantity digits required largest_difference term agrees stopped_below``; the last
        is by how many log-likelihood units the engine stopped below the maximum, where that
        accounts for all differences.
    unavailable : tuple of tuple of str
        Engines that could not be asked, each with the reason.
    missing : tuple of tuple of str
        Engine and quantity, where an engine fitted the model but could not compute it.
    n_subjects : int
        Subjects analysed.
    exclusions : tuple of Exclusion
        Rows that were left out of the fit, with reasons.
    """

    spec: LMMSpec
    engine: str
    agreement: pd.DataFrame
    unavailable: tuple[tuple[str, str], ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    n_subjects: int = 0
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every engine that could be asked agrees; true where none could."""
        return bool(self.agreement["agrees"].all())

    def headline(self) -> str:
        """Say which engines agree, to how many digits, and which stopped below the maximum."""
        if self.agreement.empty:
            why = "; ".join(f"{name}: {reason}" for name, reason in self.unavailable)
            return f"No other engine could check {self.spec.formula()} ({why})."
        parts = [
            f"{name} {_verdict(rows)}{self._lacks(str(name))}"
            for name, rows in self.agreement.groupby("engine", sort=False)
        ]
        left = [f"{name} could not be asked" for name, _ in self.unavailable]
        return f"{self.engine} against {'; '.join([*parts, *left])} ({self.spec.formula()})."

    def _lacks(self, engine: str) -> str:
        """Say what an engine could not compute."""
        names = [quantity for name, quantity in self.missing if name == engine]
        return f", {', '.join(names)} not available" if names else ""

    def table(self) -> pd.DataFrame:
        """Return one row per engine and quantity; columns as in `agreement`."""
        return self.agreement.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the digits of agreement per quantity and engine."""
        return plot_agreement_digits(self.agreement, ax=ax, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "cross_check_result/1",
            "headline": self.headline(),
            "spec": to_plain(self.spec),
            "engine": self.engine,
            "agreement": to_plain(self.agreement),
            "unavailable": [
                {"engine": name, "reason": reason} for name, reason in self.unavailable
            ],
            "missing": [{"engine": name, "quantity": what} for name, what in self.missing],
            "n_subjects": self.n_subjects,
            "exclusions": to_plain(self.exclusions),
        }


def _verdict(rows: pd.DataFrame) -> str:
    """Say how well one engine agrees."""
    worst = rows.loc[(rows["digits"] - rows["required"]).idxmin()]
    if rows["agrees"].all():
        fixed = rows.loc[rows["quantity"] == "estimate", "digits"].iloc[0]
        return f"agrees (estimates to {fixed:.0f} digits)"
    difference = (
        f"{worst['quantity']} of {worst['term']} "
        f"(by {format_number(float(worst['largest_difference']))}, {worst['digits']:.1f} digits)"
    )
    if np.isnan(worst["stopped_below"]):
        return f"DISAGREES on {difference}"
    below = format_number(float(worst["stopped_below"]))
    return f"stopped {below} log-likelihood units below, and so differs on {difference}"


def cross_check(fit: LMMResult, *, engines: Sequence[str] | None = None) -> CrossCheckResult:
    """Ask every other engine for its own numbers of one model, and count the digits that agree.

    Parameters
    ----------
    fit : LMMResult
        The fit to be checked.
    engines : sequence of str, optional
        Engines to ask; by default all but the one that made `fit`.

    Returns
    -------
    CrossCheckResult
        Digits of agreement per engine and quantity; engines that are not installed, or do not
        take this model, are listed with the reason.

    Raises
    ------
    DesignError
        If `fit` is no linear mixed model, an engine is unknown, or it is the one that made `fit`.

    Warns
    -----
    EngineDisagreementWarning
        If an engine disagrees beyond the tolerance of its optimiser, also where all that it did
        was to stop too early.

    Notes
    -----
    What is compared is what the other program says, not what this package makes of it. From
    statsmodels: MixedLM's ``fe_params``, ``llf``, ``cov_re``, ``scale``, ``random_effects`` and
    ``cov_params()`` where it stopped, without the steps that ``fit_lmm(engine="statsmodels")``
    adds. From lme4: ``fixef``, ``vcov``, ``logLik``, ``VarCorr``, ``sigma``, ``ranef``, and
    lmerTest's degrees of freedom. Both see the columns on the common scale, from which their
    numbers are mapped back. What an engine cannot compute (MixedLM has neither likelihood nor
    predictions where a variance is zero) is listed as missing; what it does not compute itself is
    not compared: degrees of freedom and errors by Kenward and Roger's method are this package's
    for every engine. A fit by ``engine="statsmodels"`` was finished by this package: against
    ``"native"`` it is a second maximisation, but no second program.

    Digits are ``-log10`` of the largest difference over a quantity's size: its own for the
    coefficients' standard errors, degrees of freedom and likelihood; the standard error for the
    coefficients, so that one which happens to be near zero does not count as a disagreement; the
    largest of the same kind for variance components and predicted random effects. Standard errors
    are those for known variances, which for MixedLM are the conditional ones out of
    ``cov_params()``; its ``bse_fe`` are other ones by definition, larger by some percent.

    An engine *stopped below* where the slope of the likelihood at its answer says that more can be
    gained, its likelihood is lower, and all of its numbers are those of its own covariance of the
    random effects. In R the same is done by hand, with ``lme4::allFit(model)`` across optimisers
    and ``nlme::lme`` as another program.
    """
    if not isinstance(fit, LMMResult):
        raise DesignError(
            f"`fit` must be the result of fit_lmm, got {type(fit).__name__}. Other models have one "
            "engine only."
        )
    made = fit.fit_log.engine
    wanted = [name for name in LMM_ENGINES if name != made] if engines is None else list(engines)
    _check_engines(wanted, made)
    agreement, unavailable, missing = _ask_all(fit, wanted)
    result = CrossCheckResult(
        spec=fit.spec,
        engine=made,
        agreement=agreement,
        unavailable=tuple(unavailable),
        missing=tuple(missing),
        n_subjects=fit.n_subjects,
        exclusions=fit.exclusions,
    )
    if not result.agrees:
        warnings.warn(result.headline(), EngineDisagreementWarning, stacklevel=2)
    return result


def _ask_all(
    fit: LMMResult, engines: Sequence[str]
) -> tuple[pd.DataFrame, list[tuple[str, str]], list[tuple[str, str]]]:
    """Compare with each engine; list engines that gave no answer, and quantities not given."""
    tables = [pd.DataFrame(columns=_COLUMNS)]
    unavailable: list[tuple[str, str]] = []
    missing: list[tuple[str, str]] = []
    for name in engines:
        try:
            answer, below = _ask(fit, name)
        except (BackendUnavailableError, ConvergenceError, DesignError) as exc:
            unavailable.append((name, str(exc)))
            continue
        table = _compare(fit, answer, name)
        absent = table["digits"].isna()
        missing += [(name, str(quantity)) for quantity in table.loc[absent, "quantity"]]
        tables.append(table[~absent].assign(stopped_below=below))
    return pd.concat(tables[1:] or tables, ignore_index=True), unavailable, missing


def _check_engines(wanted: Sequence[str], made: str) -> None:
    """Refuse engines that do not exist, or that gave the first opinion."""
    for name in wanted:
        if name not in LMM_ENGINES:
            raise DesignError(
                f"`engines` must be among {', '.join(LMM_ENGINES)}, got {name!r}."
                f"{nearest(str(name), LMM_ENGINES)}"
            )
        if name == made:
            raise DesignError(
                f"`engines` names {name!r}, which made this fit: that would be no second opinion. "
                f"Ask {' or '.join(repr(other) for other in LMM_ENGINES if other != made)}."
            )


def _ask(fit: LMMResult, engine: str) -> tuple[LMMResult, float]:
    """Return another engine's own numbers, and by how much it stopped below the maximum."""
    if engine == "native":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the comparison tells
            return fit_lmm(fit.data, fit.spec, engine=engine, on_failure="warn"), float("nan")
    standard, back = standardise(fit.design.arrays)
    kind = GroupedLikelihood if standard.others else MixedLikelihood
    likelihood = kind(standard, reml=fit.spec.method == "REML")
    found = ask_lmm_engine(engine, likelihood)
    answer = _in_user_units(fit.design, fit.spec, found, back)
    return answer, _stopped_below(fit, answer, likelihood, found, back)


def _in_user_units(
    design: MixedDesign, spec: LMMSpec, found: EngineFit, back: StandardScale
) -> LMMResult:
    """Map an engine's numbers back, adding none: without its own df there are none."""
    value = back.log_likelihood(
        found.log_likelihood, n_obs=design.arrays.n_obs, reml=spec.method == "REML"
    )
    inference: Inference = found.inference or NormalInference(covariance=found.fixed_covariance)
    return assemble_lmm(
        design,
        spec,
        found,
        inference=inference.mapped(back.fixed_covariance),
        back=back,
        fit_log=replace(found.fit_log, log_likelihood=value),
    )


def _stopped_below(
    fit: LMMResult,
    answer: LMMResult,
    likelihood: MixedLikelihood | GroupedLikelihood,
    found: EngineFit,
    back: StandardScale,
) -> float:
    """Return how far below an engine stopped if that explains its numbers; else missing."""
    solution = likelihood.solve(found.psi)
    there = replace(
        found,
        inference=None,
        fixed=solution.fixed,
        fixed_covariance=solution.fixed_covariance,
        sigma2=solution.sigma2,
        log_likelihood=solution.log_likelihood,
        modes=solution.modes,
    )
    here = _in_user_units(fit.design, fit.spec, there, back)
    table = _compare(here, answer, answer.fit_log.engine)
    ours, theirs = fit.fit_log.log_likelihood, here.fit_log.log_likelihood
    if ours is None or theirs is None or not table["agrees"].all():
        return float("nan")
    rises = certify_any(likelihood, solution).gain > _STILL_RISES
    return ours - theirs if rises and ours - theirs > _STILL_RISES else float("nan")


def _compare(ours: LMMResult, other: LMMResult, engine: str) -> pd.DataFrame:
    """Compare two fits of one model; quantities that the other lacks have no digits."""
    rows = []
    required = {**_REQUIRED, **_REQUIRED_OF.get(engine, {})}
    for quantity, read in _QUANTITIES.items():
        a, b = read(ours), read(other)
        if a is None or b is None or (quantity == "df" and not _has_two_df(ours, other)):
            continue
        difference = (a["value"] - b["value"]).abs()
        relative = (difference / a["size"]).where(difference > 0, 0.0)
        worst = int(relative.to_numpy().argmax())
        digits = min(_MOST_DIGITS, -np.log10(max(float(relative.iloc[worst]), 1e-300)))
        digits = float("nan") if b["value"].isna().any() else max(digits, 0.0)
        rows.append(
            {
                "engine": engine,
                "quantity": quantity,
                "digits": digits,
                "required": required[quantity],
                "largest_difference": float(difference.iloc[worst]),
                "term": str(a["term"].iloc[worst]),
                "agrees": not digits < required[quantity],
            }
        )
    return pd.DataFrame(rows)


def _has_two_df(ours: LMMResult, other: LMMResult) -> bool:
    """Say whether degrees of freedom come from two programs: lmerTest's, and this package's."""
    engines = {ours.fit_log.engine, other.fit_log.engine}
    return ours.spec.df_method == "satterthwaite" and "lme4" in engines and len(engines) == 2


def _frame(terms: Sequence[Any], values: Any, size: Any = None) -> pd.DataFrame:
    """Put values beside what their differences are measured by: by default themselves."""
    values = np.atleast_1d(np.asarray(values, dtype=float))
    size = np.abs(values) if size is None else np.broadcast_to(size, values.shape)
    tiny = np.finfo(float).tiny
    return pd.DataFrame({"term": list(terms), "value": values, "size": np.maximum(size, tiny)})


def _estimates(fit: LMMResult) -> pd.DataFrame:
    """Return the fixed effects."""
    return _frame(fit.coefficients["term"], fit.coefficients["estimate"], _known_errors(fit))


def _std_errors(fit: LMMResult) -> pd.DataFrame:
    """Return standard errors for known variances."""
    return _frame(fit.coefficients["term"], _known_errors(fit))


def _known_errors(fit: LMMResult) -> np.ndarray:
    """Return standard errors as they are, but Kenward and Roger's before the adjustment."""
    if isinstance(fit.inference, KenwardRoger):
        return np.sqrt(np.diag(fit.inference.model_covariance))
    return fit.coefficients["std_error"].to_numpy(dtype=float)


def _df(fit: LMMResult) -> pd.DataFrame | None:
    """Return degrees of freedom, where there are some."""
    table = fit.coefficients
    return _frame(table["term"], table["df"]) if "df" in table else None


def _variances(fit: LMMResult) -> pd.DataFrame:
    """Return variances and covariances of the random effects."""
    parts = fit.variance_components
    parts = parts[parts["kind"] != "correlation"]
    names = parts["group"] + ": " + parts["term1"] + " | " + parts["term2"]
    values = parts["estimate"].to_numpy(dtype=float)
    spread = {
        (row.group, row.term1): np.sqrt(max(row.estimate, 0.0))
        for row in parts[parts["kind"] == "variance"].itertuples()
    }
    spread = {key: max(sd, _small_effects(fit)[key]) for key, sd in spread.items()}
    size = [
        spread[row.group, row.term1] * spread[row.group, row.term2] for row in parts.itertuples()
    ]
    return _frame(names, values, np.asarray(size))


def _blups(fit: LMMResult) -> pd.DataFrame:
    """Return predicted random effects; differences are measured by the largest of each kind."""
    wide = fit.blup_frame.set_index(fit.group)
    small = [_small_effects(fit)[fit.group, name] for name in wide.columns]
    size = np.maximum(wide.abs().max(axis=0).to_numpy(dtype=float), small)
    names = [f"{name} of {i}" for i in wide.index for name in wide.columns]
    values = wide.to_numpy(dtype=float)
    return _frame(names, values.ravel(), np.broadcast_to(size, values.shape).ravel())


def _small_effects(fit: LMMResult) -> dict[tuple[str, str], float]:
    """Return the effects that move a typical row by a small share of the residual SD."""
    arrays = fit.design.arrays
    columns = (arrays.Z, *(other.Z for other in arrays.others))
    return {
        (words.group, name): _SMALL * fit.residual_sd / float(np.sqrt(np.mean(column**2)))
        for words, Z in zip(fit.design.groupings, columns, strict=True)
        for name, column in zip(words.random_names, Z.T, strict=True)
    }


_QUANTITIES: dict[str, Callable[[LMMResult], pd.DataFrame | None]] = {
    "estimate": _estimates,
    "std_error": _std_errors,
    "df": _df,
    "log_likelihood": lambda fit: _frame(["model"], fit.fit_log.log_likelihood),
    "residual_sd": lambda fit: _frame(["residual"], fit.residual_sd),
    "variance": _variances,
    "blup": _blups,
}
