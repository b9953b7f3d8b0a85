"""Axes-level figures on plain frames: whatever they draw is a column of their data."""

from __future__ import annotations

from pmsstats.plots.agreement import plot_bland_altman
from pmsstats.plots.agreement_digits import plot_agreement_digits
from pmsstats.plots.boundaries import plot_boundaries
from pmsstats.plots.calibration import plot_calibration
from pmsstats.plots.course import plot_course
from pmsstats.plots.cumulative_incidence import plot_cumulative_incidence
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
from pmsstats.plots.hazards import plot_hazards
from pmsstats.plots.mean_events import plot_mean_events
from pmsstats.plots.means import plot_means
from pmsstats.plots.operating import plot_designs, plot_estimates, plot_rejections, plot_stopping
from pmsstats.plots.power import plot_power_contours, plot_power_curve
from pmsstats.plots.prediction_accuracy import plot_prediction_accuracy, plot_prediction_calibration
from pmsstats.plots.prediction_course import plot_prediction_course
from pmsstats.plots.published import plot_published
from pmsstats.plots.recovery import plot_recovery
from pmsstats.plots.replication import plot_replication
from pmsstats.plots.replication_overview import plot_replication_overview
from pmsstats.plots.specification_curve import plot_choices, plot_specification_curve
from pmsstats.plots.states import plot_state_shares, plot_transitions
from pmsstats.plots.surrogacy import plot_predicted_effects, plot_trial_effects
from pmsstats.plots.surrogacy_sensitivity import plot_confounding
from pmsstats.plots.survival import plot_survival
from pmsstats.plots.theme import PALETTE, PALETTE_DARK, theme
from pmsstats.plots.tipping import plot_tipping
from pmsstats.plots.trajectories import plot_trajectories
from pmsstats.plots.turnbull import plot_turnbull
from pmsstats.plots.verdicts import plot_verdicts

__all__ = [
    "PALETTE",
    "PALETTE_DARK",
    "plot_agreement_digits",
    "plot_bland_altman",
    "plot_boundaries",
    "plot_calibration",
    "plot_choices",
    "plot_confounding",
    "plot_course",
    "plot_cumulative_incidence",
    "plot_designs",
    "plot_draws",
    "plot_estimates",
    "plot_f_tests",
    "plot_forest",
    "plot_hazards",
    "plot_influence",
    "plot_mean_events",
    "plot_means",
    "plot_power_contours",
    "plot_power_curve",
    "plot_predicted_effects",
    "plot_prediction_accuracy",
    "plot_prediction_calibration",
    "plot_prediction_course",
    "plot_published",
    "plot_quantiles",
    "plot_ranked_intervals",
    "plot_recovery",
    "plot_rejections",
    "plot_replication",
    "plot_replication_overview",
    "plot_residuals",
    "plot_specification_curve",
    "plot_state_shares",
    "plot_stopping",
    "plot_survival",
    "plot_tails",
    "plot_tipping",
    "plot_trajectories",
    "plot_transitions",
    "plot_trial_effects",
    "plot_turnbull",
    "plot_verdicts",
    "theme",
]
