"""Power and sample size of a trial with several outcomes, under a multiple-testing procedure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.power.arms import analysed_arms, arm_sizes, smallest_arms, split_arms
from pmsstats.power.normal_regions import correlation_root, grid_probabilities
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
from pmsstats.power.wording import arms_words, dropout_words

__all__ = ["power_multiple", "sample_size_multiple"]

_PROCEDURES = {
    "bonferroni": "Bonferroni's procedure",
    "holm": "Holm's procedure",
    "hochberg": "Hochberg's procedure",
    "fixed_sequence": "tests in a fixed sequence",
    "co_primary": "co-primary outcomes, each tested at the full level",
}
_MOST_STEPWISE, _MOST = 5, 8  # outcomes: the cells of the grid multiply
_LOG2_POINTS = {3: 11, 4: 9, 5: 7, 6: 9, 7: 8, 8: 7}
_CURVE_LOG2_POINTS = 5
_REFERENCES = (
    "Genz A. J Comput Graph Stat 1992;1:141-149. doi:10.1080/10618600.1992.10477010",
    "Holm S. Scand J Stat 1979;6:65-70",
    "Hochberg Y. Biometrika 1988;75:800-802. doi:10.1093/biomet/75.4.800",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Family:
    """Several outcomes, waiting for their subjects."""

    names: tuple[str, ...]
    standardised: np.ndarray  # effects in SD, benefit positive
    root: np.ndarray  # of the correlation matrix
    procedure: str
    win: str
    alpha: float
    sides: int
    ratio: float
    dropout: tuple[float, float]

    def cells(self, arms: tuple[float, float], log2_points: int, scale: float = 1.0) -> np.ndarray:
        """Return the probability of each cell, by set of points; see :func:`_decisions`."""
        first, second = analysed_arms(arms, self.dropout)
        shift = scale * self.standardised / math.sqrt(1 / first + 1 / second)
        edges = _thresholds(self.procedure, len(self.names), self.alpha / self.sides)
        return grid_probabilities(edges - shift[:, None], self.root, log2_points=log2_points)

    def powers(
        self, arms: tuple[float, float], *, scale: float = 1.0, log2_points: int | None = None
    ) -> np.ndarray:
        """Return powers by set of points: of any win, of all, of each outcome, and mean wins."""
        k = len(self.names)
        rejected = _decisions(self.procedure, k)
        points = log2_points or _LOG2_POINTS.get(k, 0)
        chance = self.cells(arms, points, scale)
        chance = chance.reshape(len(chance), -1)
        everything = rejected.all(axis=1)
        anything = everything if self.procedure == "co_primary" else rejected.any(axis=1)
        events = np.column_stack([anything, everything, rejected, rejected.sum(axis=1)])
        return np.clip(chance @ events, 0.0, float(k))

    def power(
        self, arms: tuple[float, float], *, scale: float = 1.0, log2_points: int | None = None
    ) -> float:
        """Return the power of the wanted kind of win."""
        powers = self.powers(arms, scale=scale, log2_points=log2_points)
        return float(powers.mean(axis=0)[self.column])

    @property
    def column(self) -> int:
        """Return where the power of the wanted kind of win stands in :meth:`powers`."""
        return ("any", "all", *self.names).index(self.win)


def _thresholds(procedure: str, k: int, alpha: float) -> np.ndarray:
    """Return where the axes of the z statistics are cut, shape (k, m), ascending."""
    shares = {
        "bonferroni": [k],
        "holm": range(1, k + 1),
        "hochberg": range(1, k + 1),
        "fixed_sequence": [1],
        "co_primary": [1],
    }[procedure]
    return np.tile(stats.norm.isf(alpha / np.array(list(shares))), (k, 1))


def _decisions(procedure: str, k: int) -> np.ndarray:
    """Return which hypotheses are rejected in each cell, shape (n_cells, k).

    A cell says how many thresholds each statistic exceeds, which decides the procedure.
    """
    m = k if procedure in {"holm", "hochberg"} else 1
    exceeded = np.stack(np.indices((m + 1,) * k), axis=-1).reshape(-1, k)
    if procedure in {"bonferroni", "co_primary"}:
        return exceeded == 1
    if procedure == "fixed_sequence":
        return np.cumprod(exceeded, axis=1) == 1
    # The largest statistic against alpha / k, the next against alpha / (k - 1), ...
    order = np.argsort(-exceeded, axis=1, kind="stable")
    passes = np.take_along_axis(exceeded, order, axis=1) >= k - np.arange(k)
    if procedure == "holm":  # down to the first that fails
        ranked = np.cumprod(passes, axis=1) == 1
    else:  # down to the last that passes
        ranked = np.cumsum(passes[:, ::-1], axis=1)[:, ::-1] > 0
    rejected = np.zeros_like(ranked)
    np.put_along_axis(rejected, order, ranked, axis=1)
    return rejected


def power_multiple(
    *,
    n: int | tuple[int, int],
    effects: Sequence[float],
    sd: float | Sequence[float] = 1.0,
    correlation: float | Sequence[Sequence[float]] = 0.0,
    procedure: str = "holm",
    win: str = "any",
    outcomes: Sequence[str] | None = None,
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    dropout: float | tuple[float, float] = 0.0,
) -> PowerResult:
    """Return the power of a trial with several outcomes under a multiple-testing procedure.

    Parameters
    ----------
    n : int or pair of int
        Subjects randomised in both arms together, or per arm, reference first.
    effects : sequence of float
        Per outcome, in its unit: differences of means, signed so that benefit is positive. In a
        fixed sequence, in the order of testing.
    sd : float or sequence of float, default 1
        Standard deviations of what is compared, per outcome.
    correlation : float or square matrix, default 0
        Between outcomes within an arm; a number is that of all pairs.
    procedure : {"holm", "hochberg", "bonferroni", "fixed_sequence", "co_primary"}
        How the error over all outcomes is kept.
    win : str, default "any"
        Which power is the answer: of at least one rejection (``"any"``, disjunctive), of all
        (``"all"``, conjunctive), or of one outcome by its name (marginal). The others are in the
        details.
    outcomes : sequence of str, optional
        Names, by default ``"outcome_1"`` and so on.
    alpha : float, default 0.05
        Type I error over all outcomes.
    sides : {2, 1}
        Of the tests. Only rejections in favour of treatment count, each at ``alpha / sides``.
    ratio : float, default 1
        Treated per reference subject, where `n` is a total.
    dropout : float or pair of float, default 0
        Share of subjects without a final measurement, not analysed.

    Returns
    -------
    PowerResult
        ``solved_for="power"``; its effect is the mean over outcomes, in SD. The details hold
        ``power_any``, ``power_all``, ``power_<outcome>``, ``mean_wins`` (rejections on average)
        and ``integration_error``, the standard error of the powers. Co-primary outcomes succeed
        together or not at all; ``power_<outcome>`` is that of each one's own test.

    Raises
    ------
    DesignError
        If an argument is out of range, lengths differ, the matrix is no correlation matrix, or
        there are more outcomes than the procedure can be computed for (5 for the stepwise ones,
        else 8).

    Notes
    -----
    The statistics are taken as jointly normal with known variances, which suits trials of more
    than about 50 subjects. What a procedure decides depends only on which thresholds each
    statistic exceeds; the probabilities of all cells of that grid are integrated [1]_ and
    summed. For two outcomes this is exact. Hochberg's procedure [3]_ keeps its error where the
    statistics are not negatively correlated; Holm's [2]_ always.

    References
    ----------
    .. [1] Genz A. J Comput Graph Stat 1992;1:141-149. doi:10.1080/10618600.1992.10477010
    .. [2] Holm S. Scand J Stat 1979;6:65-70.
    .. [3] Hochberg Y. Biometrika 1988;75:800-802. doi:10.1093/biomet/75.4.800

    Examples
    --------
    >>> both = power_multiple(n=200, effects=(0.4, 0.4), procedure="co_primary", win="all")
    >>> round(both.power, 4)
    0.6519
    """
    inputs = tuple(locals().items())
    family = _family(
        effects,
        sd,
        correlation,
        outcomes=outcomes,
        procedure=procedure,
        win=win,
        alpha=alpha,
        sides=sides,
        ratio=ratio,
        dropout=dropout,
    )
    arms = arm_sizes(n, ratio)
    return _result(family, arms, "power", family.power(arms), inputs)


def sample_size_multiple(
    *,
    power: float = 0.8,
    effects: Sequence[float],
    sd: float | Sequence[float] = 1.0,
    correlation: float | Sequence[Sequence[float]] = 0.0,
    procedure: str = "holm",
    win: str = "any",
    outcomes: Sequence[str] | None = None,
    alpha: float = 0.05,
    sides: int = 2,
    ratio: float = 1.0,
    dropout: float | tuple[float, float] = 0.0,
) -> PowerResult:
    """Return the number of subjects that gives a trial with several outcomes its power.

    Parameters
    ----------
    power : float, default 0.8
        Wanted, of the kind that `win` says; above `alpha`.
    effects : sequence of float
        Per outcome, benefit positive.
    sd : float or sequence of float, default 1
        Per outcome.
    correlation : float or square matrix, default 0
        Between outcomes.
    procedure : {"holm", "hochberg", "bonferroni", "fixed_sequence", "co_primary"}
        See :func:`power_multiple`.
    win : str, default "any"
        Which power is wanted: ``"any"``, ``"all"``, or the name of an outcome.
    outcomes : sequence of str, optional
        Names.
    alpha : float, default 0.05
        Type I error over all outcomes.
    sides : {2, 1}
        Of the tests.
    ratio : float, default 1
        Treated per reference subject.
    dropout : float or pair of float, default 0
        Share of subjects without a final measurement.

    Returns
    -------
    PowerResult
        ``solved_for="n"``.

    Raises
    ------
    DesignError
        If no outcome that must win has an effect (no number will do), or as for
        :func:`power_multiple`.

    Notes
    -----
    See :func:`power_multiple`.

    References
    ----------
    .. [1] Genz A. J Comput Graph Stat 1992;1:141-149. doi:10.1080/10618600.1992.10477010

    Examples
    --------
    >>> sample_size_multiple(effects=(0.4, 0.4), procedure="co_primary", win="all").n
    (129, 129)
    """
    inputs = tuple(locals().items())
    check_rates(alpha, power, sides)
    family = _family(
        effects,
        sd,
        correlation,
        outcomes=outcomes,
        procedure=procedure,
        win=win,
        alpha=alpha,
        sides=sides,
        ratio=ratio,
        dropout=dropout,
    )
    _check_effects(family)
    total = _solve_total(family, power)
    arms = smallest_arms(family.power, total, power, ratio)
    return _result(family, arms, "n", total, inputs)


def _solve_total(family: _Family, power: float) -> float:
    """Return the subjects before rounding: by few points, and a Newton step by all of them."""

    def coarse(n: float) -> float:
        return family.power(split_arms(n, family.ratio), log2_points=_CURVE_LOG2_POINTS)

    rough = solve_n(coarse, power, low=4.0, high=1e7)
    step = 0.01 * rough
    slope = (coarse(rough + step) - coarse(rough - step)) / (2 * step)
    return rough + (power - family.power(split_arms(rough, family.ratio))) / slope


def _family(
    effects: Sequence[float],
    sd: float | Sequence[float],
    correlation: float | Sequence[Sequence[float]],
    *,
    outcomes: Sequence[str] | None,
    procedure: str,
    win: str,
    alpha: float,
    sides: int,
    ratio: float,
    dropout: float | tuple[float, float],
) -> _Family:
    """Check the arguments of both functions."""
    check_choice("procedure", procedure, tuple(_PROCEDURES))
    check_rates(alpha, sides=sides)
    k = _count(effects, procedure)
    names = outcome_names(outcomes, k)
    check_choice("win", win, ("any", "all", *names))
    sds = sd_of_each(sd, k)
    standardised = [check_real("effects", e) / s for e, s in zip(effects, sds, strict=True)]
    return _Family(
        names=names,
        standardised=np.array(standardised),
        root=correlation_root(correlation_of(correlation, k)),
        procedure=procedure,
        win=win,
        alpha=alpha,
        sides=sides,
        ratio=check_real("ratio", ratio, low=0.0),
        dropout=check_dropout(dropout),
    )


def _count(effects: Sequence[float], procedure: str) -> int:
    """Return the number of outcomes, if it can be computed."""
    k = len(effects) if np.ndim(effects) == 1 else 0
    most = _MOST_STEPWISE if procedure in {"holm", "hochberg"} else _MOST
    if not 2 <= k <= most:
        raise DesignError(
            f"`effects` must hold one number per outcome, from 2 to {most} of them for "
            f"procedure={procedure!r}, got {effects!r}."
        )
    return k


def _check_effects(family: _Family) -> None:
    """Refuse a search for a number of subjects that does not exist."""
    helped = dict(zip(family.names, family.standardised > 0, strict=True))
    needed = {"any": any(helped.values()), "all": all(helped.values())}
    if family.procedure == "co_primary":
        needed["any"] = needed["all"]
    if family.procedure == "fixed_sequence":
        needed["any"] = helped[family.names[0]]
    enough = needed.get(family.win, helped.get(family.win, False))
    if not enough:
        raise DesignError(
            f"`effects` (in SD: {family.standardised.tolist()!r}) leave nothing to find for "
            f"win={family.win!r}: no number of subjects will do. Give benefits as positive numbers."
        )


def _result(
    family: _Family,
    arms: tuple[int, int],
    solved_for: str,
    value: float,
    inputs: tuple[tuple[str, object], ...],
) -> PowerResult:
    """Assemble the answer."""
    sets = family.powers(arms)
    powers, error = sets.mean(axis=0), 0.0
    if len(sets) > 1:
        error = sets.std(axis=0, ddof=1).max() / math.sqrt(len(sets))
    labels = ["power_any", "power_all", *(f"power_{name}" for name in family.names)]
    details = [
        *((label, float(p), "probability") for label, p in zip(labels, powers, strict=False)),
        ("mean_wins", float(powers[-1]), "outcomes"),
        ("integration_error", float(error), "probability"),
        ("n_analysed", sum(analysed_arms(arms, family.dropout)), "subjects"),
    ]
    mean = float(family.standardised.mean())
    return PowerResult(
        method=f"{len(family.names)} outcomes, {_PROCEDURES[family.procedure]}",
        solved_for=solved_for,
        value=value,
        n=arms,
        power=float(powers[family.column]),
        alpha=family.alpha,
        sides=family.sides,
        effect=mean,
        effect_unit="SD (mean of the outcomes)",
        assumptions=_words(family, arms),
        inputs=inputs,
        details=tuple(details),
        curve=_curve(family, arms, mean),
        references=_REFERENCES,
    )


def _words(family: _Family, arms: tuple[int, int]) -> str:
    """Return the assumptions, as one sentence."""
    wins = {"any": "at least one outcome", "all": "all outcomes"}
    if family.procedure == "co_primary":
        wins["any"] = wins["all"]
    correlation = family.root @ family.root.T
    pairs = correlation[np.triu_indices(len(correlation), 1)]
    low, high = (f"{value:.2g}" for value in (pairs.min(), pairs.max()))
    between = low if low == high else f"{low} to {high}"
    side = "one-sided" if family.sides == 1 else "two-sided"
    parts = [
        arms_words(family.ratio, arms),
        f"{len(family.names)} normal outcomes with correlation {between}",
        f"{_PROCEDURES[family.procedure]} at {side} {100 * family.alpha:g} %",
        f"success is a benefit in {wins.get(family.win, family.win)}",
        dropout_words(family.dropout),
    ]
    return ", ".join(parts) + "."


def _curve(family: _Family, arms: tuple[int, int], mean: float) -> pd.DataFrame:
    """Tabulate the power around the design, all effects made larger or smaller together."""
    ratio = arms[1] / arms[0]
    scale_of = mean if mean != 0 else 1.0
    frame = power_curve(
        lambda n, size: family.power(
            split_arms(n, ratio), scale=size / scale_of, log2_points=_CURVE_LOG2_POINTS
        ),
        n_total=sum(arms),
        effect=scale_of,
        n_points=7,
    )
    return frame if mean != 0 else frame.assign(effect=0.0).drop_duplicates(["n", "effect"])
