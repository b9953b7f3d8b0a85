"""Trajectories and events that share random effects: the truth of joint models, drawn directly.

The generator of whole cohorts (:mod:`synthetic.generate`) lets latent processes act on disability;
here the hazard is exactly the one that a joint model assumes, so that bias and coverage can be held
against the parameters themselves. Nothing is shared with the estimators: the event time comes from
inverting the cumulative hazard on a fine grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.seeds import Seed, stream

__all__ = ["SharedEffectsConfig", "SharedEffectsData", "generate_shared_effects"]

_N_GRID = 2001
"""Points on which a cumulative hazard is tabulated; halving them moves no event time by 1e-4 SD."""


@dataclass(frozen=True, kw_only=True)
class SharedEffectsConfig:
    """A joint model of one marker and one event, with all its parameters.

    Parameters
    ----------
    n_subjects : int, default 300
        How many; half of them treated.
    visit_years : tuple of float
        Planned measurements, in years from baseline.
    level_mean, slope_mean : float
        Mean of the marker at baseline, and of its change per year.
    level_sd, slope_sd, correlation : float
        SD of both between subjects, and their correlation.
    error_sd : float
        SD of a measurement around the subject's line.
    association : {"value", "slope"}
        What acts on the hazard: the true current value, or the true slope.
    log_hazard : float
        Log hazard ratio per unit of it.
    arm_slope, arm_log_hazard : float
        What treatment adds to the mean slope, and to the log hazard directly.
    log_rate, shape : float
        Weibull baseline hazard ``exp(log_rate) shape t^(shape - 1)``, t in years.
    end_years : float
        End of follow-up.
    dropout_rate : float
        Hazard of leaving before, per year, independent of everything.

    Raises
    ------
    DesignError
        If a number is out of its range.
    """

    n_subjects: int = 300
    visit_years: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0)
    level_mean: float = 0.0
    slope_mean: float = -0.5
    level_sd: float = 1.0
    slope_sd: float = 0.5
    correlation: float = 0.2
    error_sd: float = 0.4
    association: Literal["value", "slope"] = "value"
    log_hazard: float = -0.5
    arm_slope: float = 0.0
    arm_log_hazard: float = 0.0
    log_rate: float = -1.5
    shape: float = 1.2
    end_years: float = 3.0
    dropout_rate: float = 0.05

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.association not in ("value", "slope"):
            raise DesignError(
                f"`association` must be 'value' or 'slope', got {self.association!r}."
            )
        positive = ("n_subjects", "level_sd", "slope_sd", "error_sd", "shape", "end_years")
        for name in positive:
            if not getattr(self, name) > 0:
                raise DesignError(f"`{name}` must be above 0, got {getattr(self, name)!r}.")
        if not -1 < self.correlation < 1:
            raise DesignError(f"`correlation` must lie between -1 and 1, got {self.correlation!r}.")
        years = self.visit_years
        if not years or years[0] < 0 or any(b <= a for a, b in pairwise(years)):
            raise DesignError(f"`visit_years` must ascend from 0 or later, got {years!r}.")
        if self.dropout_rate < 0:
            raise DesignError(f"`dropout_rate` must be at least 0, got {self.dropout_rate!r}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class SharedEffectsData:
    """What was drawn.

    Parameters
    ----------
    config : SharedEffectsConfig
        The parameters.
    longitudinal : pandas.DataFrame
        ``subject_id year arm marker``: measurements up to the event or the end of follow-up.
    survival : pandas.DataFrame
        ``subject_id arm duration event lower upper``, years: the event at `duration`, or, as seen
        at visits, after `lower` and up to `upper` (infinite where it was not seen).
    truth : pandas.DataFrame
        ``subject_id level slope event_year``: each subject's line, and when the event would happen
        if nobody left (infinite where that is after the end of follow-up).
    """

    config: SharedEffectsConfig
    longitudinal: pd.DataFrame
    survival: pd.DataFrame
    truth: pd.DataFrame


def generate_shared_effects(
    config: SharedEffectsConfig | None = None, seed: Seed | None = None
) -> SharedEffectsData:
    """Draw a marker and an event that share each subject's line.

    Parameters
    ----------
    config : SharedEffectsConfig, optional
        Default parameters where None.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator
        Required.

    Returns
    -------
    SharedEffectsData
        Both tables, and the truth.

    Raises
    ------
    TypeError
        If no seed is given.

    Notes
    -----
    Subject i has a line ``m_i(t) = level_i + slope_i t``, level and slope bivariate normal; the
    hazard is ``h_i(t) = exp(log_rate + arm_log_hazard arm_i + log_hazard f_i(t)) shape
    t^(shape - 1)`` with ``f_i(t) = m_i(t)`` or ``slope_i``. The event time solves ``H_i(t) = e``
    with e standard exponential.

    Examples
    --------
    >>> data = generate_shared_effects(SharedEffectsConfig(n_subjects=50), seed=1)
    >>> data.survival["subject_id"].nunique(), list(data.longitudinal.columns)
    (50, ['subject_id', 'year', 'arm', 'marker'])
    """
    config = SharedEffectsConfig() if config is None else config
    if seed is None:
        raise TypeError("`seed` must be given, so that the data can be reproduced.")
    n = config.n_subjects
    ids = np.array([f"S{i + 1:05d}" for i in range(n)])
    arm = np.arange(n) % 2
    level, slope = _lines(config, arm, seed)
    event_year = _event_years(config, arm, level, slope, seed)
    leaving = np.full(n, np.inf)
    if config.dropout_rate > 0:
        leaving = stream(seed, "dropout").exponential(1 / config.dropout_rate, n)
    end = np.minimum(leaving, config.end_years)
    event = event_year <= end
    duration = np.where(event, event_year, end)
    labels = pd.Categorical.from_codes(arm, ["placebo", "active"], ordered=True)
    lower, upper = _seen(config, event_year, end)
    survival = pd.DataFrame(
        {
            "subject_id": ids, "arm": labels, "duration": duration, "event": event, "lower": lower,
            "upper": upper,
        }
    )  # fmt: skip
    return SharedEffectsData(
        config=config,
        longitudinal=_measurements(config, survival, level, slope, seed),
        survival=survival,
        truth=pd.DataFrame(
            {"subject_id": ids, "level": level, "slope": slope, "event_year": event_year}
        ),
    )


def _lines(
    config: SharedEffectsConfig, arm: np.ndarray, seed: Seed
) -> tuple[np.ndarray, np.ndarray]:
    """Draw levels and slopes."""
    z = stream(seed, "lines").standard_normal((2, len(arm)))
    level = config.level_mean + config.level_sd * z[0]
    rest = np.sqrt(1 - config.correlation**2)
    own = config.correlation * z[0] + rest * z[1]
    return level, config.slope_mean + config.arm_slope * arm + config.slope_sd * own


def _event_years(
    config: SharedEffectsConfig, arm: np.ndarray, level: np.ndarray, slope: np.ndarray, seed: Seed
) -> np.ndarray:
    """Invert the cumulative hazard; infinite where the event is not reached by the end."""
    # in u = t^shape the baseline hazard is constant, so that the integrand is smooth at 0 too
    u = np.linspace(0.0, config.end_years**config.shape, _N_GRID)
    year = u ** (1 / config.shape)
    threshold = stream(seed, "events").exponential(1.0, len(arm))
    log_base = config.log_rate + config.arm_log_hazard * arm
    found = np.full(len(arm), np.inf)
    for block in np.array_split(np.arange(len(arm)), max(1, len(arm) // 500)):
        f = slope[block, None] + 0 * year
        if config.association == "value":
            f = level[block, None] + slope[block, None] * year
        rate = np.exp(log_base[block, None] + config.log_hazard * f)
        total = np.zeros_like(rate)
        total[:, 1:] = np.cumsum((rate[:, 1:] + rate[:, :-1]) / 2, axis=1) * (u[1] - u[0])
        found[block] = _crossing(total, u, threshold[block]) ** (1 / config.shape)
    return found


def _crossing(total: np.ndarray, u: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """Find where rising rows reach their thresholds, by linear interpolation."""
    index = (total < threshold[:, None]).sum(axis=1)
    reached = index < total.shape[1]
    right = np.clip(index, 1, total.shape[1] - 1)
    row = np.arange(len(total))
    low, high = total[row, right - 1], total[row, right]
    share = (threshold - low) / (high - low)
    return np.where(reached, u[right - 1] + share * (u[right] - u[right - 1]), np.inf)


def _seen(
    config: SharedEffectsConfig, event_year: np.ndarray, end: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return between which visits the event was seen: after the first, up to the second."""
    visits = np.asarray(config.visit_years)
    attended = visits[None, :] <= end[:, None]
    free = attended & (visits[None, :] < event_year[:, None])
    lower = np.where(free, visits, 0.0).max(axis=1)
    after = attended & (visits[None, :] >= event_year[:, None])
    upper = np.where(after, visits, np.inf).min(axis=1)
    return lower, upper


def _measurements(
    config: SharedEffectsConfig,
    survival: pd.DataFrame,
    level: np.ndarray,
    slope: np.ndarray,
    seed: Seed,
) -> pd.DataFrame:
    """Measure every subject up to the event or the end."""
    n, visits = config.n_subjects, np.asarray(config.visit_years)
    error = config.error_sd * stream(seed, "errors").standard_normal((n, len(visits)))
    value = level[:, None] + slope[:, None] * visits + error
    row, column = np.nonzero(visits[None, :] <= survival["duration"].to_numpy()[:, None])
    return pd.DataFrame(
        {
            "subject_id": survival["subject_id"].to_numpy()[row],
            "year": visits[column],
            "arm": survival["arm"].iloc[row].reset_index(drop=True),
            "marker": value[row, column],
        }
    )
