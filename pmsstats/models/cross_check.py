"""A second opinion: one mixed model through every engine that is here, compared digit by digit."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import (
    BackendUnavailableError,
    ConvergenceError,
    ConvergenceWarning,
    DesignError,
    EngineDisagreementWarning,
)
from pmsstats.models.backends import LMM_ENGINES
from pmsstats.models.lmm import LMMSpec, fit_lmm
from pmsstats.models.lmm_result import LMMResult
from pmsstats.plots.agreement_digits import plot_agreement_digits
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["CrossCheckResult", "cross_check"]

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
        ``engine quantity digits required largest_difference term agrees``.
    unavailable : tuple of tuple of str
        Engines that could not be asked, each with the reason.
    n_subjects : int
        Subjects analysed.
    exclusions : tuple of Exclusion
        Rows that were left out of the fit, with reasons.
    """

    spec: LMMSpec
    engine: str
    agreement: pd.DataFrame
    unavailable: tuple[tuple[str, str], ...] = ()
    n_subjects: int = 0
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def agrees(self) -> bool:
        """Whether every engine that could be asked agrees; true where none could."""
        return bool(self.agreement["agrees"].all())

    def headline(self) -> str:
        """Say which engines agree, and to how many digits."""
        if self.agreement.empty:
            why = "; ".join(f"{name}: {reason}" for name, reason in self.unavailable)
            return f"No other engine could check {self.spec.formula()} ({why})."
        parts = [
            f"{name} {_verdict(rows)}"
            for name, rows in self.agreement.groupby("engine", sort=False)
        ]
        left = [f"{name} could not be asked" for name, _ in self.unavailable]
        return f"{self.engine} against {'; '.join([*parts, *left])} ({self.spec.formula()})."

    def table(self) -> pd.DataFrame:
        """Return ``engine quantity digits required largest_difference term agrees``."""
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
            "n_subjects": self.n_subjects,
            "exclusions": to_plain(self.exclusions),
        }


def _verdict(rows: pd.DataFrame) -> str:
    """Say how well one engine agrees."""
    worst = rows.loc[(rows["digits"] - rows["required"]).idxmin()]
    if rows["agrees"].all():
        fixed = rows.loc[rows["quantity"] == "estimate", "digits"].iloc[0]
        return f"agrees (estimates to {fixed:.0f} digits)"
    return (
        f"DISAGREES on {worst['quantity']} of {worst['term']} "
        f"(by {format_number(float(worst['largest_difference']))}, {worst['digits']:.1f} digits)"
    )


def cross_check(fit: LMMResult, *, engines: Sequence[str] | None = None) -> CrossCheckResult:
    """Fit the same model with every other engine, and count the digits on which they agree.

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
        If `fit` is no linear mixed model, or an engine is unknown.

    Warns
    -----
    EngineDisagreementWarning
        If an engine disagrees beyond the tolerance of its optimiser.

    Notes
    -----
    Digits are ``-log10`` of the largest difference over a quantity's size: its own for the
    coefficients' standard errors, degrees of freedom and likelihood; the standard error for the
    coefficients, so that one which happens to be near zero does not count as a disagreement; the
    largest of the same kind for variance components and predicted random effects. Standard errors
    are compared as each engine gives them for known variances; degrees of freedom where the engine
    has its own. In R the same is done by hand, with ``lme4::allFit(model)`` across optimisers and
    ``nlme::lme`` as another program. Engines differ by where their optimisers stop, not by the
    likelihood.
    """
    if not isinstance(fit, LMMResult):
        raise DesignError(
            f"`fit` must be the result of fit_lmm, got {type(fit).__name__}. Other models have one "
            "engine only."
        )
    wanted = [name for name in LMM_ENGINES if name != fit.fit_log.engine]
    tables: list[pd.DataFrame] = []
    unavailable: list[tuple[str, str]] = []
    for name in wanted if engines is None else engines:
        try:
            tables.append(_compare(fit, _refit(fit, name), name))
        except (BackendUnavailableError, ConvergenceError, DesignError) as exc:
            if name not in LMM_ENGINES:
                raise
            unavailable.append((name, str(exc)))
    columns = ["engine", "quantity", "digits", "required", "largest_difference", "term", "agrees"]
    result = CrossCheckResult(
        spec=fit.spec,
        engine=fit.fit_log.engine,
        agreement=(
            pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)
        ),
        unavailable=tuple(unavailable),
        n_subjects=fit.n_subjects,
        exclusions=fit.exclusions,
    )
    if not result.agrees:
        warnings.warn(result.headline(), EngineDisagreementWarning, stacklevel=2)
    return result


def _refit(fit: LMMResult, engine: str) -> LMMResult:
    """Fit the same model to the same rows with another engine."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the comparison tells
        return fit_lmm(fit.data, fit.spec, engine=engine, on_failure="warn")


def _compare(ours: LMMResult, other: LMMResult, engine: str) -> pd.DataFrame:
    """Compare two fits of one model, quantity by quantity."""
    rows = []
    for quantity, read in _QUANTITIES.items():
        a, b = read(ours), read(other)
        if a is None or b is None:
            continue
        difference = (a.value - b.value).abs()
        relative = (difference / a["size"]).where(difference > 0, 0.0)
        worst = int(relative.to_numpy().argmax())
        digits = min(_MOST_DIGITS, -np.log10(max(float(relative.iloc[worst]), 1e-300)))
        rows.append(
            {
                "engine": engine,
                "quantity": quantity,
                "digits": max(digits, 0.0),
                "required": _REQUIRED[quantity],
                "largest_difference": float(difference.iloc[worst]),
                "term": str(a["term"].iloc[worst]),
                "agrees": bool(digits >= _REQUIRED[quantity]),
            }
        )
    return pd.DataFrame(rows)


def _frame(terms: Sequence[Any], values: Any, size: Any = None) -> pd.DataFrame:
    """Put values beside what their differences are measured by: by default themselves."""
    values = np.atleast_1d(np.asarray(values, dtype=float))
    size = np.abs(values) if size is None else np.broadcast_to(size, values.shape)
    tiny = np.finfo(float).tiny
    return pd.DataFrame({"term": list(terms), "value": values, "size": np.maximum(size, tiny)})


def _estimates(fit: LMMResult) -> pd.DataFrame:
    """Return the fixed effects."""
    table = fit.coefficients
    return _frame(table["term"], table["estimate"], table["std_error"])


def _std_errors(fit: LMMResult) -> pd.DataFrame:
    """Return standard errors."""
    return _frame(fit.coefficients["term"], fit.coefficients["std_error"])


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
    size = [
        max(spread[row.group, row.term1] * spread[row.group, row.term2], fit.residual_sd**2 * 1e-6)
        for row in parts.itertuples()
    ]
    return _frame(names, values, np.asarray(size))


def _blups(fit: LMMResult) -> pd.DataFrame:
    """Return predicted random effects; differences are measured by the largest of each kind."""
    wide = fit.blup_frame.set_index(fit.group)
    size = np.maximum(wide.abs().max(axis=0).to_numpy(dtype=float), 1e-6 * fit.residual_sd)
    names = [f"{name} of {i}" for i in wide.index for name in wide.columns]
    values = wide.to_numpy(dtype=float)
    return _frame(names, values.ravel(), np.broadcast_to(size, values.shape).ravel())


_QUANTITIES: dict[str, Callable[[LMMResult], pd.DataFrame | None]] = {
    "estimate": _estimates,
    "std_error": _std_errors,
    "df": _df,
    "log_likelihood": lambda fit: _frame(["model"], fit.fit_log.log_likelihood),
    "residual_sd": lambda fit: _frame(["residual"], fit.residual_sd),
    "variance": _variances,
    "blup": _blups,
}
