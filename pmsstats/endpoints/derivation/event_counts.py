"""Number of events per subject, for models of recurrent events."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.field_checks import require_choice
from pmsstats.endpoints.definitions.progression_rule import ProgressionRule
from pmsstats.errors import DesignError, first_ids

if TYPE_CHECKING:
    from pmsstats.endpoints.derivation.time_to_event import EndpointResult

__all__ = ["count_events"]

_CHANGES = ("worsening", "improvement")
_CLASSES = ("", "RAW", "PIRA", "undetermined")
_DAYS_PER_YEAR = 365.25


def count_events(
    cohort: Cohort,
    result: EndpointResult,
    *,
    change: str = "worsening",
    relapse_class: str = "",
) -> pd.DataFrame:
    """Count the events of each subject.

    Parameters
    ----------
    cohort : Cohort
        Of which the result was derived: it tells how long each subject was followed.
    result : EndpointResult
        Of a progression rule with ``events="multiple"``.
    change : {"worsening", "improvement"}
        Which changes.
    relapse_class : {"", "RAW", "PIRA", "undetermined"}
        Only worsenings of this class; all by default.

    Returns
    -------
    pandas.DataFrame
        One row per subject at risk, in the order of the result: ``subject_id``, ``n_events``
        (int, 0 included), ``years`` (from time zero to the last value of the outcome, whatever
        happened in between; above 0).

    Raises
    ------
    DesignError
        If the rule stops at its first event or is no progression rule, a choice is unknown, or
        the result is of another cohort.

    Notes
    -----
    ``duration`` of the result is no exposure here: it ends at the first event. Time counts in
    full, also that between an onset and the visit from which the next one is looked for.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from pmsstats.endpoints import derive_progression, progression_rule
    >>> cohort = Cohort(
    ...     pd.DataFrame({"subject_id": ["S1"]}),
    ...     pd.DataFrame(
    ...         {
    ...             "subject_id": "S1",
    ...             "day": [0, 180, 360, 540, 731],
    ...             "edss": [4.0, 5.0, 5.0, 6.0, 6.0],
    ...         }
    ...     ),
    ... )
    >>> rule = replace(progression_rule("cdp12"), events="multiple", baseline="roving")
    >>> count_events(cohort, derive_progression(cohort, rule)).round(2).to_dict("records")
    [{'subject_id': 'S1', 'n_events': 2, 'years': 2.0}]
    """
    rule = result.rule
    if not isinstance(rule, ProgressionRule) or rule.events != "multiple":
        raise DesignError(
            f"`result` must be of a progression rule with events='multiple', but {rule.name!r} "
            f"({type(rule).__name__}) looks for one event per subject: fit its time to event, or "
            "derive it again with events='multiple'."
        )
    require_choice("`count_events`", "change", change, _CHANGES)
    require_choice("`count_events`", "relapse_class", relapse_class, _CLASSES)
    episodes = result.episodes
    wanted = episodes["change"] == change
    if relapse_class:
        wanted &= episodes["relapse_class"] == relapse_class
    counts = episodes.loc[wanted, "subject_id"].value_counts()
    ids = result.events["subject_id"]
    end = ids.map(_last_days(cohort, rule.outcome))
    _require_same_cohort(result, end)
    days = end.astype(float) - result.events["day_baseline"]
    return pd.DataFrame(
        {
            "subject_id": ids.to_numpy(),
            "n_events": ids.map(counts).fillna(0).astype("int64").to_numpy(),
            "years": (days / _DAYS_PER_YEAR).to_numpy(),
        }
    )


def _last_days(cohort: Cohort, outcome: str) -> pd.Series:
    """Return the day of each subject's last value."""
    cohort.measure(outcome)
    visits = cohort.visits
    measured = visits[visits[outcome].notna()]
    return measured.groupby("subject_id", observed=True)["day"].max()


def _require_same_cohort(result: EndpointResult, end: pd.Series) -> None:
    """Refuse a cohort whose follow-up does not fit the result."""
    events = result.events
    bad = ~(end >= events["day_baseline"] + events["duration"])
    if bad.any():
        raise DesignError(
            f"`cohort` is not the one that the result was derived from: {int(bad.sum())} "
            f"subject(s) are not in it or have no value after their event "
            f"({first_ids(events.loc[bad, 'subject_id'])})."
        )
