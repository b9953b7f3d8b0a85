"""What an early effect of treatment does to slopes that ignore it: closed form."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.imaging.early_effect import EarlyShape, early_course
from pmsstats.plots.apparent_slowing import plot_apparent_slowing
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PseudoAtrophyBias", "PseudoAtrophyScenario", "pseudo_atrophy_bias"]

ANALYSES = ("all visits, straight line", "new baseline", "piecewise", "exponential")
_N_CURVE = 21


@dataclass(frozen=True, kw_only=True)
class PseudoAtrophyScenario:
    """A two-arm trial in which treatment has an early effect besides slowing the slope.

    Parameters
    ----------
    years : tuple of float
        Visits, ascending, the first at 0; at least three.
    slope : float
        Change per year in the reference arm, in units of the outcome; not 0.
    slowing : float
        Share of `slope` that treatment takes away: 0.3 for 30 % slowing.
    early_change : float
        What the early effect amounts to in the treated arm, in units of the outcome; of the sign
        of `slope` where it looks like worsening.
    shape : {"step", "ramp", "exponential"}, default "exponential"
        See :func:`~pmsstats.imaging.early_effect.early_course`.
    duration : float
        Years until it is complete, or the time constant of the exponential; 0 for a step that is
        complete at the first visit.
    observed : tuple of float, optional
        Share of subjects still observed at each visit, falling from 1, the same in both arms and
        unrelated to outcome. All by default.
    intercept_sd, slope_sd : float, default 0
        Of the random effects, uncorrelated.
    error_sd : float, default 1
        Of a scan. With all three left alone, standard errors count scan error only.
    rebaseline_at : float
        Years: the first visit from then on is the new baseline.
    knot : float
        Years, of the piecewise analysis.
    tau : float, optional
        Years, of the exponential analysis; `duration` by default.

    Raises
    ------
    DesignError
        If anything is out of range, or too few visits are left for an analysis.
    """

    years: tuple[float, ...]
    slope: float
    slowing: float
    early_change: float
    shape: EarlyShape = "exponential"
    duration: float
    observed: tuple[float, ...] | None = None
    intercept_sd: float = 0.0
    slope_sd: float = 0.0
    error_sd: float = 1.0
    rebaseline_at: float
    knot: float
    tau: float | None = None

    def __post_init__(self) -> None:
        """Check what every analysis needs."""
        years = np.asarray(self.years, dtype=float)
        if len(years) < 3 or years[0] != 0 or not (np.diff(years) > 0).all():
            raise DesignError(
                f"`years` must be at least three visits, ascending from 0, got {self.years!r}."
            )
        if self.slope == 0 or not math.isfinite(self.slope):
            raise DesignError("`slope` must not be 0: there would be nothing to slow.")
        if self.error_sd <= 0 or min(self.intercept_sd, self.slope_sd) < 0:
            raise DesignError("`error_sd` must be above 0, the other SDs at least 0.")
        early_course(years, self.shape, self.duration)
        if not self.assumed_tau > 0:
            raise DesignError("`tau` must be given, above 0 years, where `duration` is 0.")
        if (years >= self.rebaseline_at).sum() < 2:
            raise DesignError(
                f"`rebaseline_at`={self.rebaseline_at:g} leaves fewer than two visits."
            )
        if not (years > self.knot).any() or not ((years > 0) & (years <= self.knot)).any():
            raise DesignError(
                f"`knot`={self.knot:g} must have visits after baseline on both sides."
            )
        self._check_observed()

    def _check_observed(self) -> None:
        """Check the shares of subjects that are still observed."""
        shares = np.asarray(self.shares)
        falls = (np.diff(shares) <= 0).all() and shares[0] == 1 and shares[-1] > 0
        if len(shares) != len(self.years) or not falls:
            raise DesignError(
                f"`observed` must have one share per visit, falling from 1 and above 0, got "
                f"{self.observed!r} for {len(self.years)} visits."
            )

    @property
    def assumed_tau(self) -> float:
        """Return the time constant that the exponential analysis assumes."""
        return self.duration if self.tau is None else self.tau

    @property
    def shares(self) -> tuple[float, ...]:
        """Return the share of subjects still observed at each visit."""
        return (1.0,) * len(self.years) if self.observed is None else self.observed


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PseudoAtrophyBias(Result):
    """Expected slopes and slowing by each analysis, beside the truth.

    Parameters
    ----------
    scenario : PseudoAtrophyScenario
        The truth.
    expected : pandas.DataFrame
        One row per analysis: ``analysis slope_reference slope_treated difference true_difference
        bias slowing_pct true_slowing_pct slowing_bias_pct relative_std_error``; the last is the
        standard error of the difference over that of the straight line through all visits.
    curve : pandas.DataFrame
        ``analysis early_change slowing_pct`` for early effects of up to one and a half times the
        one in the scenario.
    exclusions : tuple of Exclusion
        None: there are no data.
    """

    scenario: PseudoAtrophyScenario
    expected: pd.DataFrame
    curve: pd.DataFrame
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say what the straight line makes of the slowing."""
        rows = self.expected.set_index("analysis")
        naive = rows.loc[ANALYSES[0]]
        others = ", ".join(
            f"{name} {format_number(float(rows.loc[name, 'slowing_pct']), 3)} %"
            for name in ANALYSES[1:]
        )
        return (
            f"With an early change of {self.scenario.early_change:g} under treatment a true "
            f"slowing of {naive['true_slowing_pct']:.3g} % looks like "
            f"{format_number(float(naive['slowing_pct']), 3)} % in a straight line through all "
            f"visits ({others})."
        )

    def table(self) -> pd.DataFrame:
        """Return one row per analysis."""
        return self.expected.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the apparent slowing against the size of the early effect."""
        return plot_apparent_slowing(
            self.curve, truth=100 * self.scenario.slowing, ax=ax,
            **{"x_label": "Early change under treatment, units of the outcome", **kws},
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "pseudo_atrophy_bias/1",
            "scenario": to_plain(self.scenario),
            "headline": self.headline(),
            "expected": to_plain(self.expected),
            "curve": to_plain(self.curve),
            "exclusions": to_plain(self.exclusions),
        }


def pseudo_atrophy_bias(scenario: PseudoAtrophyScenario) -> PseudoAtrophyBias:
    """Work out what slope and slowing each analysis expects under an early effect of treatment.

    Parameters
    ----------
    scenario : PseudoAtrophyScenario
        Visits, true slopes, early effect, and where the analyses put new baseline and knot.

    Returns
    -------
    PseudoAtrophyBias
        Expected slopes, their bias, and what each analysis costs in precision.

    Notes
    -----
    Each analysis estimates the slope of an arm by generalised least squares, a linear function of
    the means at the visits, so its expectation is that function of the true means::

        E(slope) = [ (sum_p w_p X_p' V_p^-1 X_p)^-1  sum_p w_p X_p' V_p^-1 mu_p ]_slope

    over the patterns p of visits attended, with shares w_p and ``V = error_sd^2 I + Z Psi Z'``.
    Without dropout and with columns of ``Z`` among those of ``X`` this is ordinary least squares,
    whatever the variances. For a straight line through all visits ``t`` the bias is then

        ``early_change * sum (t - mean t) h(t) / sum (t - mean t)^2``

    with `h` the course of the early effect. A new baseline is free of bias once the early effect
    is complete; the piecewise model where it is a ramp that ends at the knot; the exponential one
    where it is exponential with the `tau` of the analysis. In the last, only the treated arm has an
    early effect.

    ``relative_std_error`` squared is by how many times more subjects an analysis needs.

    No R or SAS statement gives this. Nearest in R: ``coef(lm(mu ~ year))`` per arm, with ``mu`` the
    true means at the visits, which is the straight line's expectation where nobody leaves.

    References
    ----------
    .. [1] De Stefano N, Airas L, Grigoriadis N, et al. Clinical relevance of brain volume measures
       in multiple sclerosis. CNS Drugs 2014;28:147-156. doi:10.1007/s40263-014-0140-z.
    .. [2] Vidal-Jordana A, Sastre-Garriga J, Perez-Miralles F, et al. Early brain pseudoatrophy
       while on natalizumab therapy is due to white matter volume changes. Mult Scler
       2013;19:1175-1181. doi:10.1177/1352458512473190.

    Examples
    --------
    >>> scenario = PseudoAtrophyScenario(
    ...     years=(0, 0.5, 1, 1.5, 2),
    ...     slope=-0.6,
    ...     slowing=0.3,
    ...     early_change=-0.2,
    ...     shape="step",
    ...     duration=0.5,
    ...     rebaseline_at=0.5,
    ...     knot=0.5,
    ... )
    >>> made = pseudo_atrophy_bias(scenario).table()
    >>> made["slowing_pct"].round(1).tolist()[:2]
    [16.7, 30.0]
    """
    expected = _expected(scenario)
    factors = np.linspace(0.0, 1.5, _N_CURVE)
    curves = [
        _expected(replace(scenario, early_change=f * scenario.early_change))[
            ["analysis", "slowing_pct"]
        ].assign(early_change=f * scenario.early_change)
        for f in factors
    ]
    curve = pd.concat(curves, ignore_index=True)[["analysis", "early_change", "slowing_pct"]]
    return PseudoAtrophyBias(scenario=scenario, expected=expected, curve=curve)


def _expected(scenario: PseudoAtrophyScenario) -> pd.DataFrame:
    """Tabulate the expectation of every analysis."""
    year = np.asarray(scenario.years, dtype=float)
    true = np.array([scenario.slope, scenario.slope * (1 - scenario.slowing)])
    course = early_course(year, scenario.shape, scenario.duration)
    means = true[:, None] * year + np.array([[0.0], [scenario.early_change]]) * course
    rows = []
    for name in ANALYSES:
        arms = [_columns(name, scenario, year, treated=treated) for treated in (False, True)]
        found = [expected_slope(year, X, use, mean, scenario)
                 for (X, use), mean in zip(arms, means, strict=True)]  # fmt: skip
        slopes = np.array([slope for slope, _ in found])
        rows.append((name, *slopes, slopes[1] - slopes[0], sum(v for _, v in found)))
    made = pd.DataFrame(
        rows, columns=["analysis", "slope_reference", "slope_treated", "difference", "variance"]
    )
    made["true_difference"] = true[1] - true[0]
    made["bias"] = made["difference"] - made["true_difference"]
    made["slowing_pct"] = 100 * (1 - made["slope_treated"] / made["slope_reference"])
    made["true_slowing_pct"] = 100 * scenario.slowing
    made["slowing_bias_pct"] = made["slowing_pct"] - made["true_slowing_pct"]
    made["relative_std_error"] = np.sqrt(made["variance"] / made["variance"].iloc[0])
    return made.drop(columns="variance")


def _columns(
    analysis: str, scenario: PseudoAtrophyScenario, year: np.ndarray, *, treated: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the design of one arm, the slope in its second column, and the visits it uses."""
    use = np.ones(len(year), dtype=bool)
    columns = [np.ones_like(year), year]
    if analysis == "new baseline":
        use = year >= scenario.rebaseline_at
    elif analysis == "piecewise":
        late = np.maximum(year - scenario.knot, 0.0)
        columns = [np.ones_like(year), late, np.minimum(year, scenario.knot)]
    elif analysis == "exponential" and treated:
        columns.append(early_course(year, "exponential", scenario.assumed_tau))
    return np.column_stack(columns), use


def expected_slope(
    year: np.ndarray,
    X: np.ndarray,
    use: np.ndarray,
    mean: np.ndarray,
    scenario: PseudoAtrophyScenario,
) -> tuple[float, float]:
    """Return expectation and variance (times subjects per arm) of an arm's slope.

    Parameters
    ----------
    year : ndarray, shape (n_visits,)
        Visits.
    X : ndarray, shape (n_visits, p)
        Design of the arm; the slope is in the second column.
    use : ndarray of bool, shape (n_visits,)
        Visits that the analysis uses.
    mean : ndarray, shape (n_visits,)
        True means.
    scenario : PseudoAtrophyScenario
        Variances and shares observed.

    Returns
    -------
    tuple of float
        By generalised least squares over the patterns of dropout.
    """
    Z = np.column_stack([np.ones_like(year), year])
    psi = np.diag([scenario.intercept_sd**2, scenario.slope_sd**2])
    V = scenario.error_sd**2 * np.eye(len(year)) + Z @ psi @ Z.T
    shares = np.append(np.asarray(scenario.shares, dtype=float), 0.0)
    information, score = np.zeros((X.shape[1],) * 2), np.zeros(X.shape[1])
    for last, weight in enumerate(shares[:-1] - shares[1:]):
        seen = np.flatnonzero(use & (np.arange(len(year)) <= last))
        if weight > 0 and len(seen):
            half = np.linalg.solve(V[np.ix_(seen, seen)], X[seen]).T
            information += weight * half @ X[seen]
            score += weight * half @ mean[seen]
    if np.linalg.matrix_rank(information) < X.shape[1]:
        raise DesignError("Too few visits to tell the early effect from the slope.")
    covariance = np.linalg.inv(information)
    return float((covariance @ score)[1]), float(covariance[1, 1])
