"""Axes-level figures on plain frames: whatever they draw is a column of their data."""

from __future__ import annotations

from pmsstats.plots.agreement import plot_bland_altman
from pmsstats.plots.agreement_digits import plot_agreement_digits
from pmsstats.plots.calibration import plot_calibration
from pmsstats.plots.course import plot_course
from pmsstats.plots.diagnostics import (
    plot_draws,
    plot_influence,
    plot_quantiles,
    plot_ranked_intervals,
    plot_residuals,
    plot_tails,
)
from pmsstats.plots.f_tests import plot_f_tests
from pmsstats.plots.forest import plot_forest
from pmsstats.plots.means import plot_means
from pmsstats.plots.replication import plot_replication
from pmsstats.plots.replication_overview import plot_replication_overview
from pmsstats.plots.specification_curve import plot_choices, plot_specification_curve
from pmsstats.plots.survival import plot_survival
from pmsstats.plots.theme import PALETTE, PALETTE_DARK, theme
from pmsstats.plots.trajectories import plot_trajectories
from pmsstats.plots.verdicts import plot_verdicts

__all__ = [
    "PALETTE",
    "PALETTE_DARK",
    "plot_agreement_digits",
    "plot_bland_altman",
    "plot_calibration",
    "plot_choices",
    "plot_course",
    "plot_draws",
    "plot_f_tests",
    "plot_forest",
    "plot_influence",
    "plot_means",
    "plot_quantiles",
    "plot_ranked_intervals",
    "plot_replication",
    "plot_replication_overview",
    "plot_residuals",
    "plot_specification_curve",
    "plot_survival",
    "plot_tails",
    "plot_trajectories",
    "plot_verdicts",
    "theme",
]
