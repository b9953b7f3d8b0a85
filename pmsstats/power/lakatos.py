"""Expected course of a trial with an event as outcome: at risk, events, and the log-rank test.

Subjects enter over calendar time, may be lost, may stop treatment or take it up, and hazards may
change with time since randomisation, in both arms alike or not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import optimize

from pmsstats.errors import DesignError
from pmsstats.power.piecewise import PiecewiseHazard
from pmsstats.power.solving import check_real

__all__ = [
    "Accrual",
    "ArmCourse",
    "EventTrial",
    "arm_course",
    "average_log_hazard_ratio",
    "log_rank_drift",
    "yearly_hazard",
]

_NODES = 12  # of Gauss and Legendre on a piece where all rates are constant
_LONGEST_PIECE = 1.0  # cumulative hazard per piece, so that the nodes are enough
_MOST_PIECES = 200
_STRONGEST = 30.0  # log hazard ratio on average that is considered
_INSTANT = 1e-12  # years: an analysis at the first entry has a grid as well


@dataclass(frozen=True, kw_only=True)
class Accrual:
    """When subjects enter.

    Parameters
    ----------
    years : float, default 0
        From the first subject to the last; 0 lets all enter at once.
    weights : tuple of float, default (1.0,)
        Relative numbers in equally long parts of it, uniform within each.

    Raises
    ------
    DesignError
        If years or weights are below 0, or all weights are 0.

    Examples
    --------
    >>> Accrual(years=2.0, weights=(1.0, 3.0)).share([0.0, 1.0, 1.5, 5.0])
    array([0.   , 0.25 , 0.625, 1.   ])
    """

    years: float = 0.0
    weights: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        """Refuse what is no accrual."""
        check_real("accrual", self.years, low=0.0, ends="[)", unit="years")
        object.__setattr__(self, "weights", tuple(float(w) for w in self.weights))
        good = all(math.isfinite(w) and w >= 0 for w in self.weights)
        if not (good and sum(self.weights) > 0):
            raise DesignError(
                "`accrual_weights` must be finite, not below 0 and not all 0, got "
                f"{self.weights!r}."
            )

    @property
    def knots(self) -> np.ndarray:
        """Calendar years at which the rate changes, start and end included."""
        return np.linspace(0.0, self.years, len(self.weights) + 1)

    def share(self, calendar_years: object) -> np.ndarray:
        """Return the share of all subjects that has entered.

        Parameters
        ----------
        calendar_years : array_like
            From the first subject's entry.
        """
        t = np.asarray(calendar_years, dtype=float)
        if self.years == 0:
            return np.where(t >= 0, 1.0, 0.0)
        total = np.cumsum([0.0, *self.weights])
        return np.interp(t, self.knots, total / total[-1])


@dataclass(frozen=True, kw_only=True)
class EventTrial:
    """Two arms, an event, and what keeps it from being seen.

    Parameters
    ----------
    hazard : PiecewiseHazard
        Of the reference arm, events per subject-year.
    ratio : PiecewiseHazard
        Hazard ratio of treatment, by time since randomisation.
    accrual : Accrual
        When subjects enter.
    follow_up : float
        Years from the last entry to the analysis.
    lost : tuple of float
        Hazard of being lost per year, reference and treated.
    drop_in, off_treatment : float
        Hazard per year of reference subjects to take treatment up, from when on they have the
        hazard of the treated; and of treated subjects to stop it, and have that of the reference.
    """

    hazard: PiecewiseHazard
    ratio: PiecewiseHazard
    accrual: Accrual
    follow_up: float
    lost: tuple[float, float] = (0.0, 0.0)
    drop_in: float = 0.0
    off_treatment: float = 0.0

    @property
    def duration(self) -> float:
        """Years from the first entry to the analysis."""
        return self.accrual.years + self.follow_up

    def arms(self, calendar_years: float | None = None) -> tuple[ArmCourse, ArmCourse]:
        """Return the expected course of both arms, reference first.

        Parameters
        ----------
        calendar_years : float, optional
            Of the analysis, from the first entry; by default the end.
        """
        at = max(self.duration if calendar_years is None else calendar_years, _INSTANT)
        treated = self.hazard.times(self.ratio)
        grid = _grid(at, self.accrual, (self.hazard, treated))
        return (
            arm_course(grid, (self.hazard, treated), (self.drop_in, self.lost[0])),
            arm_course(grid, (treated, self.hazard), (self.off_treatment, self.lost[1])),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ArmCourse:
    """Expected course of an arm, per subject randomised to it in the end.

    Parameters
    ----------
    weight : ndarray, shape (n_nodes,)
        Years that each node of time since randomisation stands for.
    at_risk : ndarray, shape (n_nodes,)
        Share that is observed and without event.
    rate : ndarray, shape (n_nodes,)
        Events per year.
    """

    weight: np.ndarray
    at_risk: np.ndarray
    rate: np.ndarray

    @property
    def events(self) -> float:
        """Expected events per subject."""
        return float(self.weight @ self.rate)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Grid:
    """Nodes of time since randomisation, on pieces where all is smooth."""

    starts: np.ndarray
    years: np.ndarray
    weight: np.ndarray
    piece: np.ndarray
    entered: np.ndarray


def yearly_hazard(share: float) -> float:
    """Return the hazard with which a share is lost per year.

    Parameters
    ----------
    share : float
        From 0, below 1.
    """
    return -math.log1p(-share)


def _grid(at: float, accrual: Accrual, hazards: tuple[PiecewiseHazard, ...]) -> _Grid:
    """Cut time since randomisation at every break, and put nodes between the cuts."""
    breaks = [b for hazard in hazards for b in hazard.breaks]
    knots = np.unique(np.concatenate([[0.0, at], breaks, at - accrual.knots]))
    knots = knots[(knots >= 0) & (knots <= at)]
    cuts = [knots[:1]]
    for low, high in pairwise(knots):
        steep = max(float(h.at(low)) for h in hazards) * (high - low) / _LONGEST_PIECE
        cuts.append(np.linspace(low, high, min(math.ceil(steep + 0.01), _MOST_PIECES) + 1)[1:])
    edges = np.concatenate(cuts)
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    half = 0.5 * np.diff(edges)
    years = ((0.5 * (edges[1:] + edges[:-1]))[:, None] + half[:, None] * nodes).ravel()
    return _Grid(
        starts=edges[:-1],
        years=years,
        weight=(half[:, None] * weights).ravel(),
        piece=np.repeat(np.arange(len(half)), _NODES),
        entered=accrual.share(at - years),
    )


def arm_course(
    grid: _Grid, hazards: tuple[PiecewiseHazard, PiecewiseHazard], leaving: tuple[float, float]
) -> ArmCourse:
    """Follow an arm through the states of the Markov chain.

    Parameters
    ----------
    grid : _Grid
        Nodes.
    hazards : pair of PiecewiseHazard
        As randomised, and after a change to the treatment of the other arm.
    leaving : pair of float
        Hazards of that change, and of being lost.

    Returns
    -------
    ArmCourse
        At the nodes.

    Notes
    -----
    On a piece with constant rates, those as randomised fall by ``exp(-a s)`` with
    ``a = own + change + lost``, and those who changed follow from one linear equation: the chain
    of [1]_ in steps of no length.

    References
    ----------
    .. [1] Lakatos E. Sample sizes based on the log-rank statistic in complex clinical trials.
       Biometrics 1988;44:229-241. doi:10.2307/2531910
    """
    change, lost = leaving
    own, other = (h.at(grid.starts) for h in hazards)
    steps = np.diff(grid.starts)
    begin = np.zeros((len(grid.starts), 2))
    begin[0] = 1.0, 0.0
    for j, step in enumerate(steps):
        begin[j + 1] = _states(begin[j], (own[j], other[j]), (change, lost), step)
    p = grid.piece
    kept, changed = _states(begin[p].T, (own[p], other[p]), leaving, grid.years - grid.starts[p])
    return ArmCourse(
        weight=grid.weight,
        at_risk=grid.entered * (kept + changed),
        rate=grid.entered * (own[p] * kept + other[p] * changed),
    )


def _states(
    begin: np.ndarray,
    hazards: tuple[np.ndarray, np.ndarray],
    leaving: tuple[float, float],
    step: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the shares as randomised and changed, some time into a piece."""
    (own, other), (change, lost) = hazards, leaving
    gap = (other - own - change) * step
    # (exp(gap) - 1) / gap, which is 1 where both leave at the same rate.
    mean = np.where(np.abs(gap) < 1e-12, 1.0, np.expm1(gap) / np.where(gap == 0, 1.0, gap))
    kept = begin[0] * np.exp(-(own + change + lost) * step)
    came = begin[1] + change * begin[0] * step * mean
    return kept, came * np.exp(-(other + lost) * step)


def log_rank_drift(
    arms: tuple[ArmCourse, ArmCourse], n: tuple[float, float]
) -> tuple[float, float, float]:
    """Give the mean of the log-rank statistic.

    Parameters
    ----------
    arms : pair of ArmCourse
        Reference and treated.
    n : pair of float
        Subjects in each.

    Returns
    -------
    tuple of float
        Mean of the standardised statistic (below 0 where the treated have fewer events), expected
        events less those expected without effect in the treated arm, and its variance.

    Notes
    -----
    With at-risk ratio ``phi`` and hazard ratio ``theta``, eq. 2 of [1]_: sums over deaths of
    ``phi theta / (1 + phi theta) - phi / (1 + phi)`` over the root of those of
    ``phi / (1 + phi)^2``.

    References
    ----------
    .. [1] Lakatos E. Sample sizes based on the log-rank statistic in complex clinical trials.
       Biometrics 1988;44:229-241. doi:10.2307/2531910
    """
    first, second = (n[i] * arms[i].at_risk for i in (0, 1))
    rates = tuple(n[i] * arms[i].rate for i in (0, 1))
    weight, total = arms[0].weight, rates[0] + rates[1]
    at_risk = first + second
    share = second / np.where(at_risk > 0, at_risk, 1.0)
    score = float(weight @ (rates[1] - total * share))
    variance = float(weight @ (total * share * (1.0 - share)))
    return (score / math.sqrt(variance) if variance > 0 else 0.0), score, variance


def average_log_hazard_ratio(arms: tuple[ArmCourse, ArmCourse], n: tuple[float, float]) -> float:
    """Return what a Cox model with treatment alone estimates in a large trial.

    Parameters
    ----------
    arms : pair of ArmCourse
        Reference and treated.
    n : pair of float
        Subjects in each.

    Returns
    -------
    float
        The log hazard ratio, if that is one throughout; else an average of it; 0 without events.

    Notes
    -----
    The root in ``b`` of the expected score of the partial likelihood [1]_: with at-risk ratio
    ``phi``, deaths of the treated less those of both arms times
    ``phi exp(b) / (1 + phi exp(b))``.

    References
    ----------
    .. [1] Struthers CA, Kalbfleisch JD. Misspecified proportional hazard models. Biometrika
       1986;73:363-369. doi:10.1093/biomet/73.2.363
    """
    first, second = (n[i] * arms[i].at_risk for i in (0, 1))
    treated = arms[1].weight * n[1] * arms[1].rate
    total = arms[0].weight * n[0] * arms[0].rate + treated
    seen = total > 0

    def score(b: float) -> float:
        tilted = second[seen] * math.exp(b)
        return float(treated.sum() - total[seen] @ (tilted / (first[seen] + tilted)))

    if abs(score(0.0)) <= 1e-14 * total.sum():
        return 0.0
    if score(-_STRONGEST) <= 0 or score(_STRONGEST) >= 0:
        return math.copysign(_STRONGEST, score(0.0))  # an arm without events
    return float(optimize.brentq(score, -_STRONGEST, _STRONGEST, xtol=1e-12))
