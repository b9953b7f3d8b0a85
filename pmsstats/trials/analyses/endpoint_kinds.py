"""Whether an endpoint is a time to an event or a measure, and which methods go with which."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.errors import DesignError
from pmsstats.trials.analyses.windows import TrialWindow
from pmsstats.trials.scenario import TrialEndpoint

__all__ = ["EVENT_METHODS", "LATENT", "MEASURE_METHODS", "check_endpoints", "is_event", "refuse"]

LATENT = "event_day"
"""Baseline value that holds the day of the event, where the generator draws it as such."""
EVENT_METHODS = ("log_rank", "cox", "proportion", "function")
"""Methods for times to an event."""
MEASURE_METHODS = (
    "random_slope", "mmrm", "ancova", "change", "counts", "multivariate", "imputation", "model",
    "function",
)  # fmt: skip
"""Methods for measures: values at visits, or counts of events between them."""


def check_endpoints(window: TrialWindow) -> None:
    """Refuse a method that is for endpoints of another kind.

    Parameters
    ----------
    window : TrialWindow
        With the analysis.

    Raises
    ------
    DesignError
        If times to an event are analysed as a measure, or a measure as times to an event.

    Notes
    -----
    An endpoint with a rule is a time to an event. Without one it is if its measure says, at every
    visit, whether the ``event_day`` that the generator gives has come (0 or 1). Where no measure
    of the data says that, the ``event_day`` may be that of any endpoint without a rule.
    """
    analysis = window.analysis
    for name in analysis.endpoints or (analysis.endpoint,):
        endpoint = window.scenario.endpoint(name)
        if analysis.method not in EVENT_METHODS and is_event(window.data, endpoint):
            refuse(window, endpoint, is_event=True)
        if analysis.method not in MEASURE_METHODS and _is_measure(window.data, endpoint):
            refuse(window, endpoint, is_event=False)


def is_event(data: TrialArrays, endpoint: TrialEndpoint) -> bool:
    """Say whether an endpoint is a time to an event.

    Parameters
    ----------
    data : TrialArrays
        What was seen.
    endpoint : TrialEndpoint
        With a rule, or a measure that may show the events that were drawn.

    Returns
    -------
    bool
        False for measures, and where the data do not tell.
    """
    return endpoint.rule is not None or _shows_events(data, endpoint.measure)


def refuse(window: TrialWindow, endpoint: TrialEndpoint, *, is_event: bool) -> NoReturn:
    """Say that a method and an endpoint do not go together, and what would.

    Parameters
    ----------
    window : TrialWindow
        With the analysis.
    endpoint : TrialEndpoint
        One of its endpoints.
    is_event : bool
        Whether that is a time to an event.

    Raises
    ------
    DesignError
        Always.
    """
    analysis = window.analysis
    where = f"endpoint {endpoint.name!r} of analysis {analysis.name!r}"
    if is_event:
        what = f"to {endpoint.rule!r}" if endpoint.rule else "to an event"
        also = "" if endpoint.rule is None else (
            f" To analyse {endpoint.measure!r} itself, add an endpoint without `rule`."
        )  # fmt: skip
        raise DesignError(
            f"Method {analysis.method!r} is for measures, but {where} is a time {what}. Take one "
            f"of: {', '.join(EVENT_METHODS)}.{also}"
        )
    shown = [name for name in window.data.values if _shows_events(window.data, name)]
    because = (
        f"the {LATENT!r} that the generator gives is that of {shown[0]!r}" if shown
        else f"the generator gives no {LATENT!r}"
    )  # fmt: skip
    raise DesignError(
        f"Method {analysis.method!r} is for times to an event, but {where} has no `rule`, and "
        f"{because}. Name a definition of progression, such as 'cdp24'; or take one of: "
        f"{', '.join(MEASURE_METHODS)}."
    )


def _is_measure(data: TrialArrays, endpoint: TrialEndpoint) -> bool:
    """Say whether no event can be that of an endpoint."""
    if endpoint.rule is not None:
        return False
    if LATENT not in data.baseline:
        return True
    if endpoint.measure in data.values and _agrees(data, endpoint.measure, 1):
        return False
    return any(_shows_events(data, name) for name in data.values if name != endpoint.measure)


def _shows_events(data: TrialArrays, measure: str) -> bool:
    """Say whether a measure is 1 from the day of the event on, and 0 before; some must have one."""
    if LATENT not in data.baseline or measure not in data.values:
        return False
    if not _agrees(data, measure, 1) or not _agrees(data, measure, data.n_replicates):
        return False
    return bool((data.values[measure] == 1).any())


def _agrees(data: TrialArrays, measure: str, n: int) -> bool:
    """Say of the first replicates whether values and days of events never contradict."""
    day, values = np.asarray(data.day)[:n], data.values[measure][:n]
    happened = data.baseline[LATENT][:n, :, None] <= day
    return bool(((values == happened) | np.isnan(values)).all())
