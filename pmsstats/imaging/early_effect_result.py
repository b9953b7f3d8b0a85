"""What a model with an early effect answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd

from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.imaging.early_effect_spec import EarlyEffectSpec
    from pmsstats.models.mixed.lmm import LMMResult

__all__ = ["EarlyEffectResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class EarlyEffectResult(Result):
    """Slopes with an early effect taken apart from them.

    Parameters
    ----------
    spec : EarlyEffectSpec
        The request.
    estimates : pandas.DataFrame
        ``quantity term is_difference estimate std_error [df] statistic p_value conf_low
        conf_high``. Quantities: ``late slope`` and ``early slope`` (piecewise) or ``slope`` and
        ``early effect`` (exponential), per arm and as difference from the first arm.
    tau : float, optional
        Years; given or estimated. None for a piecewise model.
    tau_interval : tuple of float, optional
        Profile-likelihood interval; an end at which the likelihood had not fallen far enough
        within ``tau_range`` is 0 or infinite. None where `tau` was given.
    profile : pandas.DataFrame
        ``tau log_likelihood``, by ML; empty where nothing was profiled.
    fit : LMMResult
        The mixed model. With an estimated `tau` it has the derivative of the mean in `tau` as a
        column, so that standard errors carry the uncertainty of `tau`.
    n_subjects, n_obs : int
        Analysed.
    notes : tuple of str
        What a reader should know.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    """

    spec: EarlyEffectSpec
    estimates: pd.DataFrame
    tau: float | None
    tau_interval: tuple[float, float] | None
    profile: pd.DataFrame
    fit: LMMResult
    n_subjects: int
    n_obs: int
    notes: tuple[str, ...] = ()
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the difference of the slopes after the early effect, and what that was."""
        spec = self.spec
        rows = self.estimates[self.estimates["is_difference"]]
        told = [
            f"difference in {row['quantity']} ({row['term']}) "
            + format_interval(row["estimate"], row["conf_low"], row["conf_high"])
            for row in rows.to_dict("records")
        ]
        origin = "synthetic " if self.origin == "synthetic" else ""
        parts = [
            (
                f"{spec.outcome} in {self.n_subjects} {origin}subjects ({self.n_obs} rows), "
                f"{self._how()}: {', '.join(told)}"
            ),
            *self.notes,
        ]
        return "; ".join(parts) + "."

    def _how(self) -> str:
        """Name the shape."""
        if self.tau is None:
            return f"piecewise linear with a knot at {self.spec.knot:g} years"
        if self.tau_interval is None:
            return f"exponential early effect, tau {self.tau:g} years as given"
        low, high = (format_number(float(v), 3) for v in self.tau_interval)
        return f"exponential early effect, tau {self.tau:.3g} ({low} to {high}) years"

    def table(self) -> pd.DataFrame:
        """Return one row per quantity and arm."""
        return self.estimates.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw every quantity with its interval."""
        rows = self.estimates.assign(
            label=self.estimates["quantity"] + ", " + self.estimates["term"]
        )[["label", "estimate", "conf_low", "conf_high"]]
        options = {"x_label": f"{self.spec.outcome} (per year; early effect: in all)",
                   "reference": 0.0}  # fmt: skip
        return plot_forest(rows, ax=ax, **{"origin": self.origin, **options, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "early_effect_result/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "estimates": to_plain(self.estimates),
            "tau": self.tau,
            "tau_interval": to_plain(self.tau_interval),
            "profile": to_plain(self.profile),
            "fit": self.fit.to_dict(),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "notes": list(self.notes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
