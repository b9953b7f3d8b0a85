"""Direct and indirect effects as one table, one figure, and a curve of what could undo them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.plots.forest import plot_forest
from pmsstats.plots.surrogacy_sensitivity import plot_confounding
from pmsstats.results import Exclusion, Result, format_interval, format_number, to_plain
from pmsstats.surrogacy.hidden_confounding import ConfoundingCurve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin
    from pmsstats.surrogacy.specs import MediationSpec, OutcomeKind

__all__ = ["MediationResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MediationResult(Result):
    """A treatment effect split into direct and indirect.

    Parameters
    ----------
    spec : MediationSpec
        What was asked.
    rows : pandas.DataFrame
        ``term estimate std_error statistic p_value conf_low conf_high boot_low boot_high``:
        natural direct and indirect effect, total effect, proportion mediated. In units of the
        outcome, or excess events per unit of time.
    sensitivity : ConfoundingCurve, optional
        None where no simple form holds (an interaction, a mediator with error).
    arms : tuple of two str
        Reference and treated.
    kind : {"continuous", "binary", "survival"}
        What the outcome is.
    n_subjects : int
        Subjects analysed.
    n_failed : int
        Bootstrap replicates that could not be fitted.
    n_events : int, optional
        Events, of a survival outcome.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: MediationSpec
    rows: pd.DataFrame
    sensitivity: ConfoundingCurve | None
    arms: tuple[str, str]
    kind: OutcomeKind
    n_subjects: int
    n_failed: int = 0
    n_events: int | None = None
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def _interval(self, row: pd.Series) -> tuple[float, float]:
        """Return the bootstrap interval of a row, or the delta one where there is none."""
        if np.isfinite(row["boot_low"]):
            return float(row["boot_low"]), float(row["boot_high"])
        return float(row["conf_low"]), float(row["conf_high"])

    def headline(self) -> str:
        """Say how much of the effect runs through the mediator.

        Returns
        -------
        str
            One sentence.
        """
        indirect, total, share = (self.rows.iloc[i] for i in (1, 2, 3))
        events = "" if self.n_events is None else f" with {self.n_events} events"
        unit = " events per unit of time" if self.spec.survival else ""
        through = format_interval(indirect["estimate"], *self._interval(indirect))
        whole = format_number(float(total["estimate"]), 3)
        sure = self._interval(total)
        percent = (
            f" ({format_number(100 * float(share['estimate']), 2)} %)"
            if sure[0] * sure[1] > 0
            else " (no share is given: the total may be zero)"
        )
        return (
            f"In {self.n_subjects} subjects{events} ({self.arms[1]} against {self.arms[0]}), "
            f"{through}{unit} of a total effect of {whole} runs through "
            f"{self.spec.surrogate}{percent}, if nothing unmeasured causes both it and the outcome."
        )

    def table(self) -> pd.DataFrame:
        """Return the effects (a copy).

        Returns
        -------
        pandas.DataFrame
            Columns as in `rows`.
        """
        return self.rows.copy()

    def confounding(self) -> pd.DataFrame:
        """Return the effects under an unmeasured confounder of growing strength.

        Returns
        -------
        pandas.DataFrame
            ``strength indirect direct``.

        Raises
        ------
        DesignError
            If the model has no simple sensitivity analysis.
        """
        curve = self.sensitivity
        if curve is None:
            raise DesignError(
                "There is no sensitivity analysis with `interaction=True` or `reliability` below "
                "1. Fit the model without them for one."
            )
        return pd.DataFrame(
            {"strength": curve.strength, "indirect": curve.indirect, "direct": curve.direct}
        )

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw direct, indirect and total effect with their intervals.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_forest`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        effects = self.rows.iloc[:3]
        ends = np.array([self._interval(row) for _, row in effects.iterrows()])
        labels = {
            "natural direct effect": "Direct",
            "natural indirect effect": f"Through {self.spec.surrogate}",
            "total effect": "Total",
        }
        frame = pd.DataFrame(
            {
                "label": effects["term"].map(labels),
                "estimate": effects["estimate"],
                "conf_low": ends[:, 0],
                "conf_high": ends[:, 1],
            }
        )
        unit = "excess events per unit of time" if self.spec.survival else "unit of the outcome"
        options = {
            "reference": 0.0,
            "x_label": f"Effect of {self.arms[1]} against {self.arms[0]} ({unit})",
            "origin": self.origin,
        }
        return plot_forest(frame, ax=ax, **(options | kws))

    def plot_sensitivity(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the indirect effect against the strength of an unmeasured confounder.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_confounding`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        frame = self.confounding()
        curve = self.sensitivity
        options = {
            "tipping": None if curve is None else curve.tipping,
            "x_label": "" if curve is None else curve.measure,
            "y_label": f"Indirect effect through {self.spec.surrogate}",
            "origin": self.origin,
        }
        return plot_confounding(frame, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields.
        """
        return {
            "schema": "mediation_result/1",
            "spec": to_plain(self.spec),
            "headline": self.headline(),
            "effects": to_plain(self.rows),
            "sensitivity": to_plain(self.sensitivity),
            "arms": to_plain(self.arms),
            "kind": self.kind,
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "n_failed": self.n_failed,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
