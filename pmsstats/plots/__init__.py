"""Axes-level figures on plain frames: whatever they draw is a column of their data."""

from __future__ import annotations

from pmsstats.plots.diagnostics import plot_quantiles, plot_residuals
from pmsstats.plots.forest import plot_forest
from pmsstats.plots.survival import plot_survival
from pmsstats.plots.theme import theme
from pmsstats.plots.trajectories import plot_trajectories

__all__ = [
    "plot_forest",
    "plot_quantiles",
    "plot_residuals",
    "plot_survival",
    "plot_trajectories",
    "theme",
]
