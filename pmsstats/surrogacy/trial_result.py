"""Trial-level surrogacy as one table and one figure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.plots.surrogacy import plot_predicted_effects, plot_trial_effects
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain
from pmsstats.surrogacy.threshold import prediction_band
from pmsstats.surrogacy.trial_effects import TrialEffects
from pmsstats.surrogacy.trial_fit import TrialFit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin
    from pmsstats.surrogacy.specs import EffectTableSpec, TrialSurrogacySpec

__all__ = ["TrialSurrogacyResult"]

_POINTS = 121  # of the drawn line
_WORDS = {
    "reduced": "weighted regression",
    "full": "weighted regression with the reference mean",
    "meta_regression": "random-effects meta-regression",
    "errors_in_variables": "errors-in-variables model",
    "mixed_reduced": "reduced bivariate mixed model",
    "mixed_full": "full bivariate mixed model",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class TrialSurrogacyResult(Result):
    """How well effects on a marker predict effects on a clinical outcome.

    Parameters
    ----------
    spec : TrialSurrogacySpec or EffectTableSpec
        What was asked.
    rows : pandas.DataFrame
        One row per model: ``term estimate conf_low conf_high`` (R2 with its asymptotic interval)
        ``boot_low boot_high n_failed`` (bootstrap over trials) ``intercept slope slope_error
        residual_sd ste n_trials note``; with several surrogates, `slope` is that of the first.
    effects : TrialEffects
        The first stage.
    fit : TrialFit
        The model that was asked for.
    left_out : pandas.DataFrame
        ``trial r2_without slope_without observed predicted conf_low conf_high inside``: each trial
        predicted from the others.
    heterogeneity : pandas.DataFrame
        ``term statistic df p_value i2 tau2``: Cochran's Q of effects on the outcome, and around
        the line; empty where their errors are not known.
    r2_individual : tuple of three float, optional
        Association within arms and its interval, where the data of subjects were given.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        What was left out.
    """

    spec: TrialSurrogacySpec | EffectTableSpec
    rows: pd.DataFrame
    effects: TrialEffects
    fit: TrialFit
    left_out: pd.DataFrame
    heterogeneity: pd.DataFrame
    r2_individual: tuple[float, float, float] | None = None
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def r2_trial(self) -> float:
        """Return R2 of the model that was asked for."""
        return self.fit.r2

    @property
    def ste(self) -> float:
        """Return the surrogate threshold effect of that model; missing where there is none."""
        return float(self._row()["ste"])

    def _row(self) -> pd.Series:
        """Return the row of the model that was asked for."""
        return self.rows.set_index("term").loc[self.spec.model]

    def headline(self) -> str:
        """Say how much of the effects the marker tells, and which effect on it would do.

        Returns
        -------
        str
            One sentence.
        """
        row, origin = self._row(), "synthetic " if self.origin == "synthetic" else ""
        names = " and ".join(self.effects.surrogates)
        lead = f"In {self.effects.n_trials} {origin}trials, effects on {names}"
        if not np.isfinite(self.r2_trial):
            return f"{lead} cannot be related to effects on the outcome: {row['note']}."
        threshold = (
            f"an effect of at {self._side()} {format_number(self.ste, 3)} predicts a benefit"
            f"{self._beyond()}"
            if np.isfinite(self.ste)
            else "no effect on it, however large, predicts a benefit with confidence"
        )
        if len(self.effects.surrogates) > 1:
            threshold = "no single threshold exists"
        return f"{lead} explained the effects on the outcome with {self._shown(row)}; {threshold}."

    def _side(self) -> str:
        """Say on which side of the threshold a benefit is predicted."""
        rises = self.fit.line.slopes[0] > 0
        return "least" if rises == (self.spec.benefit == "higher") else "most"

    def _beyond(self) -> str:
        """Warn of a threshold that no trial came near."""
        seen = self.effects.surrogate[:, 0]
        if seen.min() <= self.ste <= seen.max():
            return ""
        low, high = (format_number(float(f(seen)), 3) for f in (np.min, np.max))
        return f" (beyond the effects seen, {low} to {high}: an extrapolation)"

    def _shown(self, row: pd.Series) -> str:
        """Write R2 with its interval; on the boundary no interval can be trusted."""
        model = _WORDS[self.spec.model]
        if "boundary" in row["note"]:
            plain = float(self.rows.set_index("term").loc["reduced", "estimate"])
            return (
                f"R2 1 ({model}; on its boundary, too little information to tell it from less; "
                f"{_WORDS['reduced']} gives {format_number(plain, 2)})"
            )
        kind = "boot" if np.isfinite(row["boot_low"]) else "conf"
        shown = format_interval(self.r2_trial, row[f"{kind}_low"], row[f"{kind}_high"], decimals=2)
        return f"R2 {shown} ({model})"

    def table(self) -> pd.DataFrame:
        """Return one row per model (a copy).

        Returns
        -------
        pandas.DataFrame
            Columns as in `rows`.
        """
        return self.rows.copy()

    def trials(self) -> pd.DataFrame:
        """Return the effects of each trial, and how the others predict it.

        Returns
        -------
        pandas.DataFrame
            Columns of :meth:`~pmsstats.surrogacy.trial_effects.TrialEffects.frame` and of
            `left_out`.
        """
        return self.effects.frame().merge(self.left_out, on="trial", validate="one_to_one")

    def line(self, at: np.ndarray | None = None) -> pd.DataFrame:
        """Predict the effect on the outcome in a new trial.

        Parameters
        ----------
        at : ndarray, shape (n,) or (n, n_surrogates), optional
            True effects on the surrogates; a grid over those seen by default (one surrogate).

        Returns
        -------
        pandas.DataFrame
            ``surrogate`` (where there is one) ``estimate conf_low conf_high``.
        """
        grid = self._grid() if at is None else np.asarray(at, dtype=float)
        grid = grid.reshape(len(grid), -1)
        estimate, low, high = prediction_band(self.fit.line, grid, self.spec.conf_level)
        frame = pd.DataFrame({"estimate": estimate, "conf_low": low, "conf_high": high})
        if grid.shape[1] == 1:
            frame.insert(0, "surrogate", grid[:, 0])
        return frame

    def _grid(self) -> np.ndarray:
        """Return effects on the surrogate to draw over: those seen, zero and the threshold."""
        seen = self.effects.surrogate[:, 0]
        ends = np.array([seen.min(), seen.max(), 0.0])
        low, high = ends.min(), ends.max()
        if np.isfinite(self.ste) and low - (high - low) < self.ste < high + (high - low):
            low, high = min(low, self.ste), max(high, self.ste)
        margin = 0.06 * (high - low)
        return np.linspace(low - margin, high + margin, _POINTS)[:, None]

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the trials as bubbles, the line with its prediction band, and the threshold.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_trial_effects` (or, with several surrogates,
            :func:`pmsstats.plots.plot_predicted_effects`).

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        effects = self.effects
        size = np.full(effects.n_trials, np.nan) if effects.size is None else effects.size
        if len(effects.surrogates) > 1:
            frame = self.left_out.assign(n_subjects=size)
            return plot_predicted_effects(frame, ax=ax, **({"origin": self.origin} | kws))
        frame = pd.DataFrame(
            {
                "trial": list(effects.trials),
                "surrogate": effects.surrogate[:, 0],
                "outcome": effects.outcome,
                "n_subjects": size,
            }
        )
        options = {
            "ste": self.ste if np.isfinite(self.ste) else None,
            "x_label": f"Treatment effect on {effects.surrogates[0]}",
            "y_label": "Treatment effect on the outcome "
            f"({'below' if self.spec.benefit == 'lower' else 'above'} 0: benefit)",
            "band_label": f"{100 * self.spec.conf_level:g} % prediction",
            "origin": self.origin,
        }
        return plot_trial_effects(frame, self.line(), ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields.
        """
        return {
            "schema": "trial_surrogacy_result/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "models": to_plain(self.rows),
            "r2_trial": to_plain(self.r2_trial),
            "ste": to_plain(self.ste),
            "r2_individual": to_plain(self.r2_individual),
            "line": to_plain(self.fit.line),
            "trials": to_plain(self.trials()),
            "heterogeneity": to_plain(self.heterogeneity),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
