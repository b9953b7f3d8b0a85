"""Draw patients whose visits and relapses lie at the edges of what a set of options asks for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

SCORES = np.array([0.0, *np.arange(1.0, 10.5, 0.5)])
STEPS = ([-1, 0, 0, 0, 1, 1, 2], [-2, -1, -1, 0, 0, 1], [-1, 0, 1], [-2, 0, 0, 2])


def draw_patients(
    rng: np.random.Generator, options: dict, n_subjects: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw visits (day, value, delta_value, scheduled) and relapses (day) of some subjects."""
    visits, relapses = [], []
    for subject in range(n_subjects):
        days = visit_days(rng, options)
        values = COURSES[options["outcome"]](rng, len(days))
        values[rng.random(len(days)) < 0.04] = np.nan
        rows = pd.DataFrame({"subject": subject, "day": days, "value": values})
        visits.append(
            rows.assign(
                delta_value=shifted(rng, values) if "valuedelta_col" in options else np.nan,
                scheduled=(rng.random(len(days)) < 0.7).astype(int),
            )
        )
        onsets = relapse_days(rng, options, days)
        relapses.append(pd.DataFrame({"subject": subject, "day": onsets}))
    return pd.concat(visits), pd.concat(relapses).astype(int)


def visit_days(rng: np.random.Generator, options: dict) -> np.ndarray:
    """Draw visits at irregular gaps, many of them just inside or outside of a window."""
    n = int(rng.choice([1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 18], p=[0.02, 0.06, *[0.92 / 9] * 9]))
    days = [int(rng.choice([0, 0, 0, -14, 30]))]
    while len(days) < n:
        gap = int(rng.choice([14, 28, 56, 84, 84, 91, 112, 168, 182, 365]))
        edges = window_edges(options)
        if rng.random() < 0.3:
            start = days[int(rng.integers(max(len(days) - 3, 0), len(days)))]
            gap = start + edges[int(rng.integers(len(edges)))] - days[-1]
        if gap > 0:
            days.append(
                days[-1] + gap + int(rng.integers(-3, 4) * (rng.random() < 0.3) * (gap > 9))
            )
    return np.array(days)


def window_edges(options: dict) -> list[int]:
    """List the first and last days of the windows, and the days beside them."""
    windows = options["conf_days"]
    windows = windows if isinstance(windows, list) else [windows]
    edges = []
    for weeks in windows:
        given = options["conf_tol_days"]
        given = given[str(weeks)] if isinstance(given, dict) else given
        early, late = given if isinstance(given, list) else (given, given)
        edges += [weeks - early + shift for shift in (-1, 0, 1)]
        edges += [] if late == "inf" else [int(weeks + late) + shift for shift in (-1, 0, 1)]
    return [edge for edge in edges if 0 < edge < 600]


def relapse_days(rng: np.random.Generator, options: dict, days: np.ndarray) -> np.ndarray:
    """Draw relapses: some anywhere, some on a visit's day or at an option's distance from it."""
    n = int(rng.choice([0, 0, 1, 1, 2, 3, 5]))
    anywhere = rng.integers(days[0] - 150, days[-1] + 60, n)
    distances = [0, 0, 1, 30, 31, 29, 90, 91]
    for name in ("relapse_to_bl", "relapse_to_event", "relapse_to_conf", "relapse_assoc"):
        value = options.get(name, 0)
        distances += value if isinstance(value, list) else [value]
    near = rng.choice(days, n) + rng.choice([-1, 1], n) * rng.choice(distances, n)
    onsets = np.unique(np.where(rng.random(n) < 0.5, anywhere, near))
    return rng.permutation(onsets) if rng.random() < 0.05 else onsets


def edss(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw a course of EDSS scores."""
    steps = rng.choice(STEPS[int(rng.integers(len(STEPS)))], n)
    start = int(rng.choice([0, 1, 3, 5, 8, 9, 10, 11, 13]))
    return SCORES[np.clip(start + np.cumsum(steps) - steps[0], 0, len(SCORES) - 1)]


def timed(rng: np.random.Generator, n: int, low: float, high: float) -> np.ndarray:
    """Draw a course of seconds that meets 10, 20 and 25 % exactly, again and again."""
    first = round(rng.uniform(low, high), 1)
    factors = [0.8, 0.9, 0.96, 1.0, 1.0, 1.1, 1.2, 1.2, 1.25, 1.3, 1.44]
    drift = np.cumprod(rng.choice([1.0, 1.0, 1.0, 1.2, 0.9], n)) if rng.random() < 0.5 else 1.0
    values = np.round(first * drift * rng.choice(factors, n), 2)
    values[0] = first
    return np.clip(values, low / 2, 170)


def sdmt(rng: np.random.Generator, n: int) -> np.ndarray:
    """Draw a course of SDMT scores."""
    steps = rng.choice([-6, -4, -3, -1, 0, 0, 0, 2, 3, 4], n)
    start = int(rng.choice([8, 15, 20, 30, 38, 45, 60]))
    return np.clip(start + np.cumsum(steps) - steps[0], 3, 95).astype(float)


def shifted(rng: np.random.Generator, values: np.ndarray) -> np.ndarray:
    """Draw the scores that decide how much change counts: at or above the values."""
    raised = np.where(np.isnan(values), 0, values) + rng.choice([0, 0, 1, 2, 2.5], len(values))
    return np.where(raised == 0.5, 1.0, np.clip(raised, 0, 10))


COURSES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "edss": edss,
    "t25fw": lambda rng, n: timed(rng, n, 4, 12),
    "nhpt": lambda rng, n: timed(rng, n, 15, 40),
    "sdmt": sdmt,
}
