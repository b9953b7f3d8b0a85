"""Trials with straight lines, drawn with numpy alone."""

from __future__ import annotations

import numpy as np
import pandas as pd


def draw_values(rng, years, model, n, slope, n_replicates):
    """Draw values of one arm, shape (n_replicates, n, n_visits); intercept SD 1 where free."""
    t = np.asarray(years, dtype=float)
    intercept_sd = 1.0 if np.isinf(model.intercept_sd) else model.intercept_sd
    mixed = model.correlation * intercept_sd * model.slope_sd
    G = np.array([[intercept_sd**2, mixed], [mixed, model.slope_sd**2]])
    lines = rng.multivariate_normal([0.0, slope], G, size=(n_replicates, n), method="svd")
    apart = np.abs(t[:, None] - t[None, :])
    R = model.residual_sd**2 * model.serial_correlation**apart
    noise = rng.multivariate_normal(np.zeros(len(t)), R, size=(n_replicates, n), method="svd")
    return lines[..., :1] + lines[..., 1:] * t + noise


def drop_out(rng, values, retention):
    """Lose visits for good, so that the share `retention` is expected at each."""
    luck = rng.uniform(size=values.shape[:2])[..., None]
    return np.where(luck < np.asarray(retention), values, np.nan)


def draw_trial(rng, design, n, effect, n_replicates):
    """Draw both arms of a SlopeDesign, shape (n_replicates, n_0 + n_1, n_visits)."""
    arms = []
    for arm in (0, 1):
        values = draw_values(
            rng, design.schedule.years, design.models[arm], n[arm], arm * effect, n_replicates
        )
        arms.append(drop_out(rng, values, design.retentions[arm]))
    return np.concatenate(arms, axis=1)


def trial_frame(years, n):
    """Return one row per subject and visit, in the order of the draws."""
    subjects = np.repeat(np.arange(sum(n)), len(years))
    return pd.DataFrame(
        {
            "subject_id": subjects,
            "year": np.tile(np.asarray(years, dtype=float), sum(n)),
            "treated": (subjects >= n[0]).astype(float),
        }
    )
