"""Group-sequential bounds, with how often a trial stops at which look."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from pmsstats.errors import DesignError
from pmsstats.plots.boundaries import plot_boundaries
from pmsstats.power.group_sequential import GroupSequentialDesign
from pmsstats.power.looks import cumulative_alpha, design_drift, sequential_bounds
from pmsstats.power.sequential import crossing_probabilities
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["BoundariesResult", "boundaries", "update_boundaries"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class BoundariesResult(Result):
    """Bounds of a group-sequential design, and how often a trial stops where.

    Parameters
    ----------
    design : GroupSequentialDesign
        What was asked for.
    information : ndarray, shape (n_looks,)
        Information fractions, of the planned maximum.
    efficacy_z, futility_z : ndarray, shape (n_looks,)
        Stop and claim at or above, stop for futility below; infinite where there is no bound.
    alpha_spent : ndarray, shape (n_looks,)
        Cumulative type I error (ignoring lower bounds unless they bind).
    stop_efficacy_null, stop_futility_null, stop_efficacy, stop_futility : ndarray, (n_looks,)
        Probability to stop at each look without effect and at the drift, lower bounds obeyed.
    drift : float
        Mean of the statistic at information 1 under the alternative.
    power : float
        There.
    expected_information_null, expected_information : float
        Mean information at stopping without effect and at the drift, of the planned maximum.
    inflation_factor : float
        Maximum information over that of a design with one look: what its number of subjects is to
        be multiplied with.
    exclusions : tuple of Exclusion
        None: no data are involved.
    """

    design: GroupSequentialDesign
    information: np.ndarray
    efficacy_z: np.ndarray
    futility_z: np.ndarray
    alpha_spent: np.ndarray
    stop_efficacy_null: np.ndarray
    stop_futility_null: np.ndarray
    stop_efficacy: np.ndarray
    stop_futility: np.ndarray
    drift: float
    power: float
    expected_information_null: float
    expected_information: float
    inflation_factor: float
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def n_looks(self) -> int:
        """Analyses, the last included."""
        return len(self.information)

    @property
    def efficacy_p(self) -> np.ndarray:
        """One-sided p value that each look needs."""
        return ndtr(-self.efficacy_z)

    def headline(self) -> str:
        """Return one sentence with the bounds and the power."""
        bounds = ", ".join(f"{z:.3f}" for z in self.efficacy_z)
        lower = "no futility bounds"
        if self.design.futility is not None:
            lower = f"{'binding' if self.design.binding else 'non-binding'} futility bounds"
        return (
            f"{self.n_looks} {'look' if self.n_looks == 1 else 'looks'} with one-sided type I "
            f"error {format_number(self.design.alpha)} ({self.design.spending}): claim an effect "
            f"at z of {bounds}; {lower}; power {100 * self.power:.1f} % needs "
            f"{self.inflation_factor:.3f} times the subjects of a fixed design, and with that "
            f"effect {self._average():.3f} times on average."
        )

    def _average(self) -> float:
        """Return mean over fixed information at the drift."""
        return self.expected_information * self.inflation_factor

    def table(self) -> pd.DataFrame:
        """Return one row per look."""
        return pd.DataFrame(
            {
                "look": np.arange(1, self.n_looks + 1),
                "information": self.information,
                "efficacy_z": self.efficacy_z,
                "efficacy_p": self.efficacy_p,
                "futility_z": self.futility_z,
                "alpha_spent": self.alpha_spent,
                "stop_efficacy_null": self.stop_efficacy_null,
                "stop_futility_null": self.stop_futility_null,
                "stop_efficacy": self.stop_efficacy,
                "stop_futility": self.stop_futility,
            }
        )

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw both bounds against information.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            The current axes by default.
        **kws : object
            Handed on to :func:`pmsstats.plots.boundaries.plot_boundaries`.
        """
        return plot_boundaries(self.table(), ax=ax, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "boundaries_result/1",
            "design": to_plain(self.design),
            "looks": to_plain(self.table()),
            "drift": self.drift,
            "power": self.power,
            "expected_information_null": self.expected_information_null,
            "expected_information": self.expected_information,
            "inflation_factor": self.inflation_factor,
            "exclusions": to_plain(self.exclusions),
        }


def boundaries(design: GroupSequentialDesign) -> BoundariesResult:
    """Work out the bounds of a design at its planned looks.

    Parameters
    ----------
    design : GroupSequentialDesign
        Looks, error rates and families.

    Returns
    -------
    BoundariesResult
        Bounds, error spent, drift, stopping probabilities, expected information.

    Raises
    ------
    DesignError
        If lower bounds leave no effect with which the design has its power.

    Notes
    -----
    Probabilities come from recursive numerical integration [1]_. Without effect, those of
    stopping obey lower bounds also where these do not bind, so that they add to less than alpha.

    References
    ----------
    .. [1] Jennison C, Turnbull BW. Group sequential methods with applications to clinical trials.
       Chapman & Hall/CRC, 2000: chapters 2, 7 and 19.

    Examples
    --------
    >>> design = GroupSequentialDesign.equally_spaced(5, spending="pocock")
    >>> boundaries(design).efficacy_z.round(3)
    array([2.413, 2.413, 2.413, 2.413, 2.413])
    """
    return _solved(design, design.looks)


def update_boundaries(
    design: GroupSequentialDesign, information_fractions: tuple[float, ...], *, final: bool = False
) -> BoundariesResult:
    """Work out bounds again, with the information that looks had in fact.

    Parameters
    ----------
    design : GroupSequentialDesign
        As planned.
    information_fractions : tuple of float
        Of the looks so far, of the planned maximum. Each stands for a planned look; those after it
        are still to come.
    final : bool, default False
        Whether the last of them is the end of the trial, at which all that is left is spent.

    Returns
    -------
    BoundariesResult
        At the looks so far and those to come; power is that with the drift of the plan.

    Raises
    ------
    DesignError
        If fractions do not rise, or the trial is over without `final`.

    Examples
    --------
    >>> design = GroupSequentialDesign(looks=(0.5, 1.0))
    >>> update_boundaries(design, (0.4,)).efficacy_z.round(3)
    array([3.357, 1.962])
    """
    seen = tuple(float(t) for t in information_fractions)
    if not seen:
        raise DesignError("`information_fractions` is empty. Give those of the looks so far.")
    following = design.looks[min(len(seen), len(design.looks) - 1) :]
    to_come = () if final else tuple(t for t in following if t > seen[-1])
    if not final and not to_come:
        raise DesignError(
            f"`information_fractions` reach {seen[-1]!r}, at or beyond the planned end. Say "
            "`final=True` if this is the last look."
        )
    return _solved(design, seen + to_come)


@lru_cache(maxsize=256)
def _solved(design: GroupSequentialDesign, looks: tuple[float, ...]) -> BoundariesResult:
    """Return bounds and operating characteristics at some looks."""
    t = np.asarray(looks)
    drift = design_drift(design)
    bounds = sequential_bounds(design, t)
    crossing = {
        "fractions": t,
        "efficacy": bounds.efficacy,
        "futility": bounds.futility,
    }
    null = crossing_probabilities(**crossing, drift=0.0)
    alternative = crossing_probabilities(**crossing, drift=drift)
    for values in (t, bounds.efficacy, bounds.futility):
        values.setflags(write=False)
    return BoundariesResult(
        design=design,
        information=t,
        efficacy_z=bounds.efficacy,
        futility_z=bounds.futility,
        alpha_spent=cumulative_alpha(design, t),
        stop_efficacy_null=null.efficacy,
        stop_futility_null=null.futility,
        stop_efficacy=alternative.efficacy,
        stop_futility=alternative.futility,
        drift=drift,
        power=float(alternative.efficacy.sum()),
        expected_information_null=_expected(t, null.efficacy + null.futility),
        expected_information=_expected(t, alternative.efficacy + alternative.futility),
        inflation_factor=(drift / design.fixed_drift) ** 2,
    )


def _expected(t: np.ndarray, stop: np.ndarray) -> float:
    """Return mean information at stopping; all that is left stops at the last look."""
    return float(t[-1] - np.sum((t[-1] - t[:-1]) * stop[:-1]))
