"""Power of a trial whose several outcomes are combined into one effect."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.power.arms import analysed_arms, arm_sizes, smallest_arms, split_arms
from pmsstats.power.normal_regions import correlation_root
from pmsstats.power.rejection import rejection_probability
from pmsstats.power.result import PowerResult
from pmsstats.power.several_outcomes import correlation_of, outcome_names, sd_of_each
from pmsstats.power.solving import (
    check_choice,
    check_dropout,
    check_rates,
    check_real,
    power_curve,
    solve_n,
)
from pmsstats.power.wording import arms_words, dropout_words, level_words

__all__ = ["power_combination", "sample_size_combination"]

_COMBINED = {
    "ols": "equal weights of standardised effects",
    "gls": "weights of least variance of standardised effects",
    "optimal": "the weights of most power for these effects",
    "given": "given weights of standardised effects",
}
_MOST = 20
_FEWEST = 3  # subjects analysed: a pooled variance needs as many
_REFERENCES = (
    "O'Brien PC. Biometrics 1984;40:1079-1087. doi:10.2307/2531158",
    "medRxiv 2026. doi:10.64898/2026.06.26.26356667",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Combination:
    """Several outcomes in one effect, waiting for their subjects."""

    names: tuple[str, ...]
    standardised: np.ndarray  # effects in SD, benefit positive
    correlation: np.ndarray
    weights: np.ndarray  # of the standardised effects; sum of 1
    combine: str
    alpha: float
    sides: int
    ratio: float
    dropout: tuple[float, float]

    @property
    def effect(self) -> float:
        """Combined effect, in its own SD between subjects."""
        spread = self.weights @ self.correlation @ self.weights
        return float(self.weights @ self.standardised / math.sqrt(spread))

    def power_of(self, effect: float, arms: tuple[float, float]) -> float:
        """Return the power for an effect in SD."""
        first, second = analysed_arms(arms, self.dropout)
        drift = effect / math.sqrt(1 / first + 1 / second)
        df = first + second - 2
        if df < 1 - 1e-9:
            return 0.0  # nothing is left to estimate a variance from
        return float(rejection_probability(drift, alpha=self.alpha, sides=self.sides, df=df))

    def power(self, arms: tuple[float, float]) -> float:
        """Return the power of the combined effect."""
        return self.power_of(self.effect, arms)


def power_combination(
    *,
    n: int | tuple[int, int],
    effects: Sequence[float],
    sd: float | Sequence[float] = 1.0,
    correlation: float | Sequence[Sequence[float]] = 0.0,
    combine: str = "ols",
    weights: Sequence[float] | None = None,
    outcomes: Sequence[str] | None = None,
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    dropout: float | tuple[float, float] = 0.0,
) -> PowerResult:
    """Return the power of one effect that combines several outcomes.

    Parameters
    ----------
    n : int or pair of int
        Subjects randomised in both arms together, or per arm, reference first.
    effects : sequence of float
        Per outcome, in its unit, signed so that benefit is positive: differences of means, or of
        slopes.
    sd : float or sequence of float, default 1
        Standard deviation of one subject's value of what is compared, per outcome. For slopes, the
        SD of a slope as it is estimated from the scans of one subject.
    correlation : float or square matrix, default 0
        Between outcomes within an arm; a number is that of all pairs.
    combine : {"ols", "gls", "optimal"}
        Equal weights of the standardised effects, weights of least variance, or those of most
        power for `effects` [1]_.
    weights : sequence of float, optional
        Weights of the standardised effects instead of equal ones (with ``combine="ols"``).
    outcomes : sequence of str, optional
        Names, by default ``"outcome_1"`` and so on.
    alpha : float, default 0.05
        Type I error.
    sides : {2, 1}
        Of the test.
    ratio : float, default 1
        Treated per reference subject, where `n` is a total.
    dropout : float or pair of float, default 0
        Share of subjects that are not analysed.

    Returns
    -------
    PowerResult
        ``solved_for="power"``; its effect is the combined one, in its own SD. The details hold
        ``power_<outcome>``, that of each outcome alone at the full level, and ``weight_<outcome>``.

    Raises
    ------
    DesignError
        If an argument is out of range, lengths differ, the matrix is no correlation matrix, or all
        weights are 0.

    Notes
    -----
    With standardised effects d, their correlation R and weights w the statistic has drift
    ``w'd / sqrt(w'R w (1 / n_0 + 1 / n_1))``. Equal weights are O'Brien's ordinary least squares,
    ``w = R^-1 1`` his generalised ones [1]_, and ``w = R^-1 d`` maximises the drift for the assumed
    effects; if the true ones differ, it need not. The OCTOPUS platform proposes such a combination
    of whole-brain atrophy with three clinical outcomes for its interim decision [2]_; which weights
    it uses is not in the published abstract.

    References
    ----------
    .. [1] O'Brien PC. Biometrics 1984;40:1079-1087. doi:10.2307/2531158
    .. [2] Using MRI whole brain atrophy and clinically reported outcomes in combination to assess
       interim treatment response in multi-arm multi-stage trials in progressive multiple
       sclerosis. medRxiv 2026. doi:10.64898/2026.06.26.26356667

    Examples
    --------
    >>> one = power_combination(n=250, effects=(0.37, 0.0), combine="optimal")
    >>> both = power_combination(n=250, effects=(0.37, 0.2), combine="optimal")
    >>> round(one.power, 3), round(both.power, 3)
    (0.83, 0.912)
    """
    inputs = tuple(locals().items())
    plan = _plan(
        effects, sd, correlation, combine=combine, weights=weights, outcomes=outcomes, alpha=alpha,
        sides=sides, ratio=ratio, dropout=dropout,
    )  # fmt: skip
    arms = arm_sizes(n, plan.ratio)
    kept = sum(analysed_arms(arms, plan.dropout))
    if kept < _FEWEST - 1e-9:
        raise DesignError(
            f"`n={n!r}` leaves {kept:g} subjects to analyse, too few to "
            f"estimate a variance. Randomise enough for {_FEWEST} in both arms."
        )
    return _result(plan, arms, "power", plan.power(arms), inputs)


def sample_size_combination(
    *,
    power: float = 0.8,
    effects: Sequence[float],
    sd: float | Sequence[float] = 1.0,
    correlation: float | Sequence[Sequence[float]] = 0.0,
    combine: str = "ols",
    weights: Sequence[float] | None = None,
    outcomes: Sequence[str] | None = None,
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    dropout: float | tuple[float, float] = 0.0,
) -> PowerResult:
    """Return the number of subjects that gives a combination of outcomes its power.

    Parameters
    ----------
    power : float, default 0.8
        Wanted; above `alpha`.
    effects : sequence of float
        Per outcome, benefit positive.
    sd : float or sequence of float, default 1
        Per outcome.
    correlation : float or square matrix, default 0
        Between outcomes.
    combine : {"ols", "gls", "optimal"}
        See :func:`power_combination`.
    weights : sequence of float, optional
        Of the standardised effects.
    outcomes : sequence of str, optional
        Names.
    alpha : float, default 0.05
        Type I error.
    sides : {2, 1}
        Of the test.
    ratio : float, default 1
        Treated per reference subject.
    dropout : float or pair of float, default 0
        Share of subjects that are not analysed.

    Returns
    -------
    PowerResult
        ``solved_for="n"``.

    Raises
    ------
    DesignError
        If the combined effect is no benefit (no number will do), or as for
        :func:`power_combination`.

    Notes
    -----
    See :func:`power_combination`.

    References
    ----------
    .. [1] O'Brien PC. Biometrics 1984;40:1079-1087. doi:10.2307/2531158

    Examples
    --------
    >>> sample_size_combination(effects=(0.3, 0.3), correlation=0.5, combine="ols").n
    (132, 132)
    """
    inputs = tuple(locals().items())
    check_rates(alpha, power, sides)
    plan = _plan(
        effects, sd, correlation, combine=combine, weights=weights, outcomes=outcomes, alpha=alpha,
        sides=sides, ratio=ratio, dropout=dropout,
    )  # fmt: skip
    if plan.effect <= 0:
        raise DesignError(
            f"`effects` combine to {plan.effect:.3g} SD: no number of subjects will do. Give "
            "benefits as positive numbers, or other weights."
        )
    total = solve_n(lambda n: plan.power(split_arms(n, plan.ratio)), power, low=4.0, high=1e9)
    return _result(plan, smallest_arms(plan.power, total, power, plan.ratio), "n", total, inputs)


def _plan(
    effects: Sequence[float],
    sd: float | Sequence[float],
    correlation: float | Sequence[Sequence[float]],
    *,
    combine: str,
    weights: Sequence[float] | None,
    outcomes: Sequence[str] | None,
    alpha: float,
    sides: int,
    ratio: float,
    dropout: float | tuple[float, float],
) -> _Combination:
    """Check the arguments of both functions."""
    check_choice("combine", combine, ("ols", "gls", "optimal"))
    check_rates(alpha, sides=sides)
    k = len(effects) if np.ndim(effects) == 1 else 0
    if not 2 <= k <= _MOST:
        raise DesignError(f"`effects` must hold 2 to {_MOST} numbers, got {effects!r}.")
    standardised = np.array(
        [check_real("effects", e) / s for e, s in zip(effects, sd_of_each(sd, k), strict=True)]
    )
    matrix = correlation_of(correlation, k)
    correlation_root(matrix)  # refuses what is no correlation matrix
    return _Combination(
        names=outcome_names(outcomes, k),
        standardised=standardised,
        correlation=matrix,
        weights=_weights(standardised, matrix, combine, weights),
        combine=combine if weights is None else "given",
        alpha=alpha,
        sides=sides,
        ratio=check_real("ratio", ratio, low=0.0),
        dropout=check_dropout(dropout),
    )


def _weights(
    standardised: np.ndarray, correlation: np.ndarray, combine: str, given: Sequence[float] | None
) -> np.ndarray:
    """Return the weights of the standardised effects, of absolute sum 1."""
    k = len(standardised)
    if given is not None:
        weights = np.array([check_real("weights", w) for w in given])
        if combine != "ols" or len(weights) != k:
            raise DesignError(
                f'`weights` must be {k} numbers, with combine="ols", got {given!r} with '
                f"combine={combine!r}."
            )
    elif combine == "ols":
        weights = np.ones(k)
    else:
        target = np.ones(k) if combine == "gls" else standardised
        weights = np.linalg.lstsq(correlation, target, rcond=None)[0]
    total = np.abs(weights).sum()
    if total == 0:
        raise DesignError("All weights are 0: no outcome has an effect, so there is nothing to do.")
    return weights / total


def _result(
    plan: _Combination,
    arms: tuple[int, int],
    solved_for: str,
    value: float,
    inputs: tuple[tuple[str, object], ...],
) -> PowerResult:
    """Assemble the answer."""
    alone = [plan.power_of(effect, arms) for effect in plan.standardised]
    details = (
        *((f"power_{k}", p, "probability") for k, p in zip(plan.names, alone, strict=True)),
        *((f"weight_{k}", float(w), "") for k, w in zip(plan.names, plan.weights, strict=True)),
        ("n_analysed", sum(analysed_arms(arms, plan.dropout)), "subjects"),
    )

    def power_of(n: float, effect: float) -> float:
        return plan.power_of(effect, split_arms(n, arms[1] / arms[0]))

    return PowerResult(
        method=f"{len(plan.names)} outcomes combined, {_COMBINED[plan.combine]}",
        solved_for=solved_for,
        value=value,
        n=arms,
        power=plan.power(arms),
        alpha=plan.alpha,
        sides=plan.sides,
        effect=plan.effect,
        effect_unit="SD of the combination",
        assumptions=_words(plan, arms),
        inputs=inputs,
        details=details,
        curve=power_curve(power_of, n_total=sum(arms), effect=plan.effect),
        references=_REFERENCES,
    )


def _words(plan: _Combination, arms: tuple[int, int]) -> str:
    """Return the assumptions, as one sentence."""
    pairs = plan.correlation[np.triu_indices(len(plan.names), 1)]
    low, high = (f"{value:.2g}" for value in (pairs.min(), pairs.max()))
    parts = [
        arms_words(plan.ratio, arms),
        f"{len(plan.names)} normal outcomes with correlation "
        + (low if low == high else f"{low} to {high}"),
        f"combined with {_COMBINED[plan.combine]} that are fixed beforehand",
        level_words(plan.alpha, plan.sides, "t-test"),
        dropout_words(plan.dropout),
    ]
    return ", ".join(parts) + "."
