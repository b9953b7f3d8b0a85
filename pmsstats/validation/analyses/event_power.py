"""Power of a small trial on confirmed worsening."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from pmsstats.validation.analyses.base import Estimates, FloatArray, FollowUp, group_text

if TYPE_CHECKING:
    from pmsstats.validation.studies import Studies

__all__ = ["OutcomeSensitivity"]


@dataclass(frozen=True, kw_only=True)
class OutcomeSensitivity(FollowUp):
    """Power of a small trial on an event, less the power that trials want, in percentage points.

    Parameters
    ----------
    outcome : str
        Endpoint preset such as ``"cdp12"``.
    groups : tuple of str
        Phenotypes, taken together.
    hazard_ratio : float, default 0.7
        Effect of the treatment.
    n_per_arm : int, default 50
        Size of the trial; it lasts as long as the design's follow-up.
    power : float, default 0.8
        What trials want.
    alpha : float, default 0.05
        Two-sided type I error.

    Notes
    -----
    Log-rank test with d events: ``Phi(|log HR| sqrt(d) / 2 - z_{1-alpha/2})`` (Schoenfeld); a
    share p of events in the reference arm gives ``1 - (1 - p)^HR`` in the other.
    """

    outcome: str
    groups: tuple[str, ...]
    hazard_ratio: float = 0.7
    n_per_arm: int = 50
    power: float = 0.8
    alpha: float = 0.05

    _reads = ()  # those of the outcome are added where it is rated
    _events = ("outcome",)
    units = "percentage points"

    def describe(self) -> str:
        """Return what is estimated, on whom, in words."""
        return (
            f"power of a trial of {self.n_per_arm} per arm on {self.outcome}, hazard ratio "
            f"{self.hazard_ratio:g}, less {100 * self.power:g} %, {group_text(self.groups)}"
        )

    def _estimate(self, chosen: Studies) -> Estimates:
        """Compute the power from each study."""
        events = chosen.event(self.outcome)
        known = np.isfinite(events.duration)
        n = known.sum(axis=1)
        share = (events.happened & known).sum(axis=1) / n
        error = np.sqrt(share * (1 - share) / n)
        low, high = (self._power(np.clip(share + s * error, 0, 1)) for s in (-1, 1))
        return Estimates(
            estimate=100 * (self._power(share) - self.power),
            std_error=100 * (high - low) / 2,
            df=np.full(len(share), np.inf),
            n=chosen.n,
        )

    def _power(self, share: FloatArray) -> FloatArray:
        """Return the power where so many have the event in the reference arm."""
        events = self.n_per_arm * (share + 1 - (1 - share) ** self.hazard_ratio)
        z = np.abs(np.log(self.hazard_ratio)) * np.sqrt(events) / 2
        return stats.norm.cdf(z - stats.norm.ppf(1 - self.alpha / 2))
