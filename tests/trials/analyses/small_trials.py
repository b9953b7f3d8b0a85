"""Single trials worked by hand, and one comparison of two arms."""

from __future__ import annotations

import numpy as np
from trial_cases import scenario_of

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.trials.analyses import analyse
from pmsstats.trials.analyses.comparisons import comparisons_of
from pmsstats.trials.analyses.windows import TrialWindow, open_window
from pmsstats.trials.outcomes import AnalysisBatch
from pmsstats.trials.scenario import TrialAnalysis, TrialEndpoint

__all__ = ["CLOSED", "EDSS", "ENDPOINTS", "FITTED", "INF", "courses", "run", "small", "window"]

INF = np.inf
CLOSED = 1e-9
"""The same formula in another order."""
FITTED = 1e-6
"""Where a likelihood has to be climbed."""
WEEKS = (0, 24, 48)
EDSS = (0, 12, 24, 36, 48)
"""Weeks of :func:`courses`."""
ENDPOINTS = (
    TrialEndpoint(name="latent", measure="edss"),
    TrialEndpoint(name="cdp", measure="edss", rule="cdp12", better="lower"),
    TrialEndpoint(name="hands", measure="nhpt_dominant_s", rule="nhpt20_either", better="lower"),
    TrialEndpoint(name="pira", measure="edss", rule="pira_kappos2020_edss", better="lower"),
    TrialEndpoint(name="wrong", measure="nhpt_dominant_s", rule="cdp12", better="lower"),
)


def small(values, arm, *, weeks=WEEKS, **changes) -> TrialArrays:
    """One trial; values by subject and visit, missing ones as None."""
    array = np.array([[np.nan if v is None else v for v in row] for row in values])[None]
    n, never = len(arm), np.full((1, len(arm)), INF)
    fields = {
        "arms": ("placebo", "active"),
        "arm": np.array([arm]),
        "weeks": weeks,
        "day": 7.0 * np.array(weeks)[None, None],
        "values": {"volume": array},
        "exit_day": np.full((1, n), 7.0 * weeks[-1]),
        "exit_reason": np.zeros((1, n), int),
        "stop_day": never,
        "intercurrent": {},
    }
    return TrialArrays(**{**fields, **changes})


def window(analysis: TrialAnalysis, data: TrialArrays, **fields) -> TrialWindow:
    """What an analysis looks at."""
    fields = {"weeks": data.weeks, "n": data.n_subjects, **fields}
    scenario = scenario_of(analysis, **fields)
    return open_window(scenario, analysis, data, comparisons_of(scenario, analysis, ("active",)))


def run(analysis: TrialAnalysis, data: TrialArrays, **fields) -> AnalysisBatch:
    """The comparison of two arms."""
    fields = {"weeks": data.weeks, "n": data.n_subjects, **fields}
    return analyse(scenario_of(analysis, **fields), analysis, data, arms=("active",))


def courses(values: dict, n: int, event_day=None, **changes) -> TrialArrays:
    """Subjects of one trial, the second half treated; any measures."""
    stop = np.array([changes.pop("stop", [INF] * n)])
    arm = [0] * (n - n // 2) + [1] * (n // 2)
    baseline = {} if event_day is None else {"event_day": np.array([event_day])}
    data = small(
        [[0.0] * 5] * n, arm, weeks=EDSS, stop_day=stop,
        intercurrent={"discontinuation": stop}, baseline=baseline, **changes,
    )  # fmt: skip
    return data.replace(values={k: np.array([v], dtype=float) for k, v in values.items()})
