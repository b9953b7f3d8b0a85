"""Checks of a mixed model as an answer: a table with readings, and a figure of several panels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pmsstats.errors import DesignError, nearest
from pmsstats.plots.diagnostics import plot_influence, plot_quantiles, plot_residuals
from pmsstats.results import Exclusion, FitLog, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["DiagnosticsResult"]

_SMALL = 0.05


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class DiagnosticsResult(Result):
    """Whether a mixed model's assumptions hold in its data.

    Parameters
    ----------
    spec : LMMSpec
        The model.
    checks : pandas.DataFrame
        ``check statistic p_value reading``.
    residuals : pandas.DataFrame
        The subject's id, the time column, and ``mean fitted marginal conditional pearson
        standardised``, one row per observation.
    subjects : pandas.DataFrame
        The subject's id and ``distance df p_value``, of the marginal residuals.
    random_effects : pandas.DataFrame
        The subject's id, the standardised random effects, and their ``distance df p_value``.
    quantiles : pandas.DataFrame
        ``of expected observed conf_low conf_high``; `of` is ``"residuals"`` or a random effect.
    time : str, optional
        Time column.
    group : str
        Column of the subject's id.
    label, unit : str
        Of the outcome.
    fit_log : FitLog
        Of the model.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        What the model left out.
    """

    spec: LMMSpec
    checks: pd.DataFrame
    residuals: pd.DataFrame
    subjects: pd.DataFrame
    random_effects: pd.DataFrame
    quantiles: pd.DataFrame
    time: str | None
    group: str
    label: str
    unit: str
    fit_log: FitLog
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def panels(self) -> tuple[str, ...]:
        """Return the panels of :meth:`figure`, each of which :meth:`plot` draws alone."""
        random = [name for name in self.quantiles["of"].unique() if name != "residuals"]
        over = [] if self.time is None else ["time"]
        return ("fitted", *over, "quantiles", *(f"quantiles: {n}" for n in random), "subjects")

    def headline(self) -> str:
        """Say what the checks found."""
        odd = self.checks.loc[self.checks["p_value"] < _SMALL]
        told = "; ".join(f"{c} - {r}" for c, r in zip(odd["check"], odd["reading"], strict=True))
        found = told or "none shows a departure from the model"
        made = "synthetic " if self.origin == "synthetic" else ""
        singular = "; the fit is singular" if self.fit_log.singular else ""
        log = "" if self.fit_log.converged else "; the fit did NOT converge"
        return (
            f"{self.label}, {len(self.checks)} checks on {len(self.subjects)} {made}subjects "
            f"({len(self.residuals)} rows): {found}{singular}{log}."
        )

    def table(self) -> pd.DataFrame:
        """Return one row per check: ``check statistic p_value reading``."""
        return self.checks.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw one panel; ``panel=`` is one of :attr:`panels`, by default ``"quantiles"``."""
        panel = kws.pop("panel", "quantiles")
        if panel not in self.panels:
            raise DesignError(
                f"`panel` must be one of {', '.join(self.panels)}, got {panel!r}."
                f"{nearest(str(panel), self.panels)}"
            )
        options = {"origin": self.origin, **kws}
        if panel in {"fitted", "time"}:
            return self._plot_residuals(panel, ax, options)
        if panel == "subjects":
            data = pd.DataFrame(
                {
                    "label": self.subjects[self.group],
                    "value": -np.log10(np.maximum(self.subjects["p_value"], 1e-300)),
                    "threshold": -np.log10(_SMALL / len(self.subjects)),
                }
            )
            return plot_influence(data, ax=ax, **{"y_label": "Distance: -log10 p", **options})
        of = panel.partition(": ")[2] or "residuals"
        y_label = "Standardised residual" if of == "residuals" else f"Standardised random {of}"
        data = self.quantiles[self.quantiles["of"] == of]
        return plot_quantiles(data, ax=ax, **{"y_label": y_label, **options})

    def _plot_residuals(self, panel: str, ax: Axes | None, options: dict[str, Any]) -> Axes:
        """Draw standardised residuals over the mean or over time."""
        column = "mean" if panel == "fitted" else str(self.time)
        data = pd.DataFrame(
            {"fitted": self.residuals[column], "residual": self.residuals["standardised"]}
        )
        unit = f" ({self.unit})" if self.unit else ""
        x_label = column if panel == "time" else f"Mean of {self.label}{unit}"
        words = {"x_label": x_label, "y_label": "Standardised residual"}
        return plot_residuals(data, ax=ax, **{**words, **options})

    def figure(self) -> Figure:
        """Draw all panels.

        Returns
        -------
        matplotlib.figure.Figure
            Three panels per row.
        """
        n_rows = -(-len(self.panels) // 3)
        figure = Figure(figsize=(10.5, 3.2 * n_rows), layout="constrained")
        for i, panel in enumerate(self.panels):
            self.plot(ax=figure.add_subplot(n_rows, 3, i + 1), panel=panel)
        return figure

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "diagnostics_result/1",
            "headline": self.headline(),
            "spec": to_plain(self.spec),
            "checks": to_plain(self.checks),
            "residuals": to_plain(self.residuals),
            "subjects": to_plain(self.subjects),
            "random_effects": to_plain(self.random_effects),
            "time": self.time,
            "label": self.label,
            "unit": self.unit,
            "fit_log": to_plain(self.fit_log),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
