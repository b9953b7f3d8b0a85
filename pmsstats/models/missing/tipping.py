"""Tipping points: how much worse unseen values must be for the conclusion to change."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import optimize

from pmsstats.errors import DesignError, nearest
from pmsstats.models.missing.analyses import analysis_design, analysis_outcomes, compare_arms
from pmsstats.models.missing.deltas import shifts
from pmsstats.models.missing.estimate import log_of, set_aside
from pmsstats.models.missing.imputation import Imputation, impute
from pmsstats.models.missing.pooling import pool_resamples, pool_rubin
from pmsstats.models.missing.spec import DeltaAdjustment, MissingSpec
from pmsstats.models.missing.tipping_result import TippingPointResult

if TYPE_CHECKING:
    from pmsstats.provenance import Origin
    from pmsstats.seeds import Seed

__all__ = ["tipping_point"]

_Scope = Literal["after_event", "imputed"]


def tipping_point(
    visits: pd.DataFrame,
    spec: MissingSpec,
    *,
    deltas: Sequence[float],
    reference_deltas: Sequence[float] = (0.0,),
    arm: str | None = None,
    visit: str | None = None,
    scope: _Scope = "after_event",
    intercurrent: pd.DataFrame | None = None,
    seed: Seed,
    origin: Origin = "real",
) -> TippingPointResult:
    """Shift imputed values of one or both arms over a grid, and find where significance changes.

    Parameters
    ----------
    visits : pandas.DataFrame
        As for :func:`~pmsstats.models.missing.estimate.estimate_with_missing`.
    spec : MissingSpec
        The analysis; shifts come on top of its own ``delta``. Not with a function as analysis.
    deltas : sequence of float
        Shifts of imputed values of `arm`, in units of the outcome, the same at all visits.
    reference_deltas : sequence of float, default (0.0,)
        Shifts in the reference arm; every pair with `deltas` is looked at.
    arm : str, optional
        The arm that is compared with the reference; by default the only other one.
    visit : str, optional
        Where arms are compared; by default the last visit (with slopes there is no choice).
    scope : {"after_event", "imputed"}, default "after_event"
        See :class:`~pmsstats.models.missing.spec.DeltaAdjustment`.
    intercurrent : pandas.DataFrame, optional
        Intercurrent events.
    seed : int, SeedSequence or Generator
        The root of all randomness. All shifts share their imputations.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from.

    Returns
    -------
    TippingPointResult
        The grid, and the shifts at which the p value crosses ``1 - conf_level``.

    Raises
    ------
    DesignError
        If a shift is not finite, an arm or visit unknown, or the analysis is a function.

    Notes
    -----
    Estimates are linear in the shifts and residual sums of squares quadratic, so nothing is
    analysed twice. Tipping points are sought between the smallest and the largest of `deltas`,
    with imputed values of the reference arm as they are: the nearest to no shift on either side.

    References
    ----------
    .. [1] Yan X, Lee S, Li N. Missing data handling methods in medical device clinical trials.
       J Biopharm Stat 2009;19:1085-1098.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> table = pd.DataFrame({"subject_id": np.repeat(range(80), 2)})
    >>> table["visit"] = ["W24", "W48"] * 80
    >>> table["arm"] = np.where(table["subject_id"] % 2, "active", "placebo")
    >>> table["change"] = rng.normal(size=160) + (table["subject_id"] % 2)
    >>> table = table[(table["visit"] != "W48") | (table["subject_id"] > 24)]
    >>> spec = MissingSpec(outcome="change", reference="placebo", method="conditional_mean")
    >>> found = tipping_point(table, spec, deltas=[-6.0, 0.0, 6.0], seed=1)
    >>> len(found.tips), len(found.table())
    (1, 3)
    """
    grid = _grid(deltas, reference_deltas)
    if callable(spec.analysis):
        raise DesignError(
            "`analysis` must be 'ancova' or 'slope' for tipping points, got a function. Loop over "
            "spec.delta with estimate_with_missing instead."
        )
    imputation = impute(visits, spec, intercurrent=intercurrent, seed=seed)
    pooled = _shifted(imputation, arm, visit, scope)
    table = pooled.at(grid)
    alpha = 1 - spec.conf_level
    table["significant"] = table["p_value"] < alpha
    low, high = float(min(deltas)), float(max(deltas))
    none = pooled.at(np.zeros((1, 2))).iloc[0]
    return TippingPointResult(
        spec=spec,
        fit_log=log_of(imputation),
        frame=table,
        tips=_tips(pooled.excess_p(alpha), low, high),
        searched=(low, high),
        unshifted=none.to_dict(),
        arm=pooled.arm,
        reference=imputation.wide.arms[0],
        visit=pooled.visit,
        n_subjects=imputation.wide.n_subjects,
        n_shifted=pooled.n_shifted,
        origin=origin,
        exclusions=(*imputation.wide.exclusions, *set_aside(imputation)),
    )


def _grid(deltas: Sequence[float], reference_deltas: Sequence[float]) -> np.ndarray:
    """Return every pair of shifts, shape (n, 2)."""
    for name, values in (("deltas", deltas), ("reference_deltas", reference_deltas)):
        numbers = np.asarray(values, dtype=float)
        if numbers.ndim != 1 or not len(numbers) or not np.isfinite(numbers).all():
            raise DesignError(
                f"`{name}` must be one or more finite shifts in units of the outcome, got "
                f"{values!r}."
            )
    pairs = [
        (float(a), float(b)) for b in sorted(set(reference_deltas)) for a in sorted(set(deltas))
    ]
    return np.array(pairs)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Shifted:
    """Everything that estimates under any shift are made of."""

    spec: MissingSpec
    arm: str
    visit: str
    term: str
    n_shifted: tuple[int, int]
    base: np.ndarray  # (M,) estimates without shifts
    slopes: np.ndarray  # (M or 1, 2) what a unit shift adds to them
    squares: np.ndarray  # (M, 3, 3) products of residuals: without shifts, unit shifts
    factor: float  # of the variance
    df: float

    def at(self, pairs: np.ndarray) -> pd.DataFrame:
        """Pool the estimates at shifts of shape (n, 2)."""
        estimates = self.base[:, None] + self.slopes @ pairs.T
        terms = (self.term,) * len(pairs)
        if self.spec.method == "conditional_mean":
            table = pool_resamples(
                estimates, terms, variance=self.spec.variance, interval=self.spec.interval,
                conf_level=self.spec.conf_level,
            )  # fmt: skip
        else:
            full = np.column_stack([np.ones(len(pairs)), pairs])
            rss = np.einsum("ga,mab,gb->mg", full, self.squares, full)
            table = pool_rubin(
                estimates, rss * self.factor, np.full(estimates.shape, self.df), terms,
                conf_level=self.spec.conf_level,
            )  # fmt: skip
        table.insert(0, "delta", pairs[:, 0])
        table.insert(1, "delta_reference", pairs[:, 1])
        return table

    def excess_p(self, alpha: float) -> Callable[[float], float]:
        """Return the function of the active arm's shift that is zero at a tipping point."""
        return lambda delta: float(self.at(np.array([[delta, 0.0]]))["p_value"].iloc[0]) - alpha


def _shifted(imputation: Imputation, arm: str | None, visit: str | None, scope: _Scope) -> _Shifted:
    """Analyse completed data and unit shifts once."""
    spec, wide, plan = imputation.spec, imputation.wide, imputation.plan
    arm = _only_arm(wide.arms, arm)
    a = wide.arms.index(arm)
    names, outcomes = analysis_outcomes(wide, imputation.completed, spec.analysis)
    at = len(names) - 1 if visit is None else _place(names, visit)
    X, weights = analysis_design(wide), imputation.draws.weights
    units = np.stack([
        shifts(plan, (DeltaAdjustment(arm=name, values=1.0, scope=scope),))
        for name in (arm, wide.arms[0])
    ])  # fmt: skip
    unit = np.swapaxes(analysis_outcomes(wide, units, spec.analysis)[1][..., at], 0, 1)
    y = outcomes[..., at : at + 1]
    base, _, df = compare_arms(y, X, len(wide.arms), weights)
    repeated = np.broadcast_to(unit, (1 if weights is None else len(y), *unit.shape))
    added, _, _ = compare_arms(repeated, X, len(wide.arms), weights)
    k = len(wide.arms) - 1
    return _Shifted(
        spec=spec,
        arm=arm,
        visit=names[at],
        term=f"{arm} - {wide.arms[0]}",
        n_shifted=(int((units[0] != 0).any(axis=1).sum()), int((units[1] != 0).any(axis=1).sum())),
        base=base[:, a - 1],
        slopes=added[:, [a - 1, k + a - 1]],
        squares=_residual_products(y, unit, X),
        factor=float(np.linalg.inv(X.T @ X)[a, a] / df),
        df=df,
    )


def _residual_products(y: np.ndarray, unit: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Return products of residuals of outcomes and unit shifts, shape (M, 3, 3)."""
    joined = np.concatenate([y, np.broadcast_to(unit, (len(y), *unit.shape))], axis=-1)
    rest = joined - X @ np.linalg.solve(X.T @ X, X.T @ joined)
    return np.swapaxes(rest, 1, 2) @ rest


def _only_arm(arms: tuple[str, ...], arm: str | None) -> str:
    """Return the arm that is compared with the reference."""
    if arm is None and len(arms) == 2:
        return arms[1]
    if arm not in arms[1:]:
        raise DesignError(
            f"`arm` must be one of {', '.join(arms[1:])}, got {arm!r}.{nearest(str(arm), arms[1:])}"
        )
    return arm


def _place(names: tuple[str, ...], visit: str) -> int:
    """Look up a visit."""
    if visit not in names:
        raise DesignError(
            f"`visit` must be one of {', '.join(names)}, got {visit!r}.{nearest(str(visit), names)}"
        )
    return names.index(visit)


def _tips(excess: Callable[[float], float], low: float, high: float) -> tuple[float, ...]:
    """Find the crossings nearest to no shift, on either side."""
    found = []
    for end in (low, high):
        steps = np.linspace(0.0, end, 41)
        values = [excess(float(step)) for step in steps] if end else []
        for i in range(len(values) - 1):
            if values[i] * values[i + 1] < 0:
                root = optimize.brentq(excess, *sorted((steps[i], steps[i + 1])), xtol=1e-10)
                found.append(float(root))
                break
    return tuple(sorted(found, key=math.fabs))
