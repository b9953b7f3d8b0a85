"""The hands of the nine-hole peg test: how the two of them share their mean.

The mean of the hands is drawn as an instrument of its own; here it is divided by a ratio that
differs between patients, drifts, and varies from test to test. So a description that tells the
hands apart leaves their mean as it was, and the mean of the two recorded times is the recorded one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthetic.config import HAND_MEASURES, CohortConfig
from synthetic.draws import SubjectStreams
from synthetic.population import Population
from synthetic.visits import Calendar

__all__ = ["Hands", "draw_hands", "measure_hands"]


@dataclass(frozen=True, kw_only=True)
class Hands:
    """How the hands of all subjects differ; arrays have shape (n_subjects,).

    Parameters
    ----------
    log_ratio : ndarray
        Of the other hand's time to that of the dominant hand, on day 0.
    slope : ndarray
        Its change per year.
    """

    log_ratio: np.ndarray
    slope: np.ndarray


def draw_hands(
    config: CohortConfig, population: Population, streams: SubjectStreams
) -> Hands | None:
    """Draw how the hands differ.

    Parameters
    ----------
    config : CohortConfig
        The model.
    population : Population
        Subjects; the hands of healthy controls differ by the mean alone.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    Hands or None
        None where the hands are not told apart.
    """
    model = config.hands
    if model is None:
        return None
    own = np.where(population.is_patient, streams.normal("hand ratio"), 0.0)
    drift = np.where(population.is_patient, streams.normal("hand drift"), 0.0)
    return Hands(log_ratio=model.mean + model.own_sd * own, slope=model.drift_sd * drift)


def measure_hands(
    config: CohortConfig,
    hands: Hands | None,
    both: np.ndarray | None,
    calendar: Calendar,
    streams: SubjectStreams,
) -> dict[str, np.ndarray]:
    """Take the peg test with each hand.

    Parameters
    ----------
    config : CohortConfig
        The model of the hands, and the instrument ``nhpt_s`` with its digits and its ends.
    hands : Hands or None
        How they differ.
    both : ndarray, shape (n_subjects, n_visits), or None
        Recorded mean of the hands, in seconds.
    calendar : Calendar
        Days.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    dict of str to ndarray, shape (n_subjects, n_visits)
        ``nhpt_dominant_s`` and ``nhpt_nondominant_s``: on the scale of the test, with its digits,
        and of exactly this mean. Nothing where the hands are not told apart.
    """
    if config.hands is None or hands is None or both is None:
        return {}
    test = next(model for model in config.instruments if model.measure == "nhpt_s")
    noise = np.column_stack([streams.normal("hand noise", week) for week in calendar.weeks])
    log_ratio = (
        hands.log_ratio[:, None]
        + hands.slope[:, None] * calendar.year
        + config.hands.noise_sd * noise
    )
    # times m (1 - h) and m (1 + h) have mean m, and this log ratio if h is tanh(log ratio / 2)
    room = np.minimum(both - test.low, test.high - both)
    half = np.clip(both * np.tanh(log_ratio / 2), -room, room)
    dominant = np.round(both - half, test.decimals)
    other = np.round(2 * both - dominant, test.decimals)
    return dict(zip(HAND_MEASURES, (dominant, other), strict=True))
