"""EDSS bands of a cohort as states: from visits and exits to the frame of a multi-state model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.cohort.cohort import Cohort

__all__ = ["DEAD", "MILESTONES", "EDSSBands", "derive_edss_bands"]

MILESTONES = (4.0, 6.0, 7.0)
"""EDSS at which a band begins: limited walking without aid, walking with aid, wheelchair [1]_.

References
----------
.. [1] Confavreux C, Vukusic S, Moreau T, Adeleine P. Relapses and progression of disability in
   multiple sclerosis. N Engl J Med 2000;343:1430-1438. doi:10.1056/NEJM200011163432001
"""

DEAD = "dead"
"""The state of death."""

_STAGE = "EDSS bands"
_HALF_STEP = 0.5
_HIGHEST = 9.5  # 10 is death due to multiple sclerosis


@dataclass(frozen=True, kw_only=True, eq=False)
class EDSSBands:
    """Visits as bands of the EDSS.

    Parameters
    ----------
    frame : pandas.DataFrame
        ``subject_id year state edss`` and every column of the subjects table; state is an ordered
        categorical. A death is a row of its own, without EDSS, on its day.
    states : tuple of str
        The bands from the mildest, and death last where anybody died.
    death : str or None
        The state of death, where there is one.
    exclusions : tuple of Exclusion
        Visits left out, with reasons.
    """

    frame: pd.DataFrame
    states: tuple[str, ...]
    death: str | None
    exclusions: tuple[Exclusion, ...] = ()


def derive_edss_bands(cohort: Cohort, *, cuts: Sequence[float] = MILESTONES) -> EDSSBands:
    """Turn the EDSS of every visit to a band, and deaths to a state.

    Parameters
    ----------
    cohort : Cohort
        Visits with ``edss``, exits with the reason ``"death"``.
    cuts : sequence of float, default (4, 6, 7)
        First score of every band but the mildest, ascending.

    Returns
    -------
    EDSSBands
        A frame for :func:`~pmsstats.models.states.multistate.fit_multistate`.

    Raises
    ------
    DesignError
        If the cohort has no EDSS, or the cuts are no ascending scores.

    Notes
    -----
    An EDSS of 10 is death, counted as such on the day of the visit where no exit says so. Visits
    without EDSS, and those on or after the day of death, are left out, counted.

    Examples
    --------
    >>> import pandas as pd
    >>> from pmsstats.cohort import Cohort
    >>> subjects = pd.DataFrame({"subject_id": ["A"], "phenotype": ["SPMS"]})
    >>> visits = pd.DataFrame({"subject_id": "A", "day": [0, 365], "edss": [3.5, 6.0]})
    >>> derive_edss_bands(Cohort(subjects, visits)).frame[["day", "state"]]
       day          state
    0    0    EDSS 0-3.5
    1  365    EDSS 6-6.5
    """
    edges = _checked_cuts(cuts)
    if "edss" not in cohort.visits.columns:
        raise DesignError(
            "`cohort` has no visits column 'edss', from which the bands are made. It has: "
            f"{', '.join(map(str, cohort.visits.columns))}."
        )
    seen = cohort.visits[["subject_id", "day", "edss"]].copy()
    missing = seen["edss"].isna()
    exclusions = exclude(_STAGE, "visit", "no edss", seen.loc[missing, "subject_id"])
    seen = seen[~missing]
    death_day = _deaths(cohort, seen)
    late = seen["day"] >= seen["subject_id"].map(death_day).astype(float)
    is_death_rating = seen["edss"] > _HIGHEST
    exclusions += exclude(
        _STAGE, "visit", "on or after the day of death",
        seen.loc[late & ~is_death_rating, "subject_id"],
    )  # fmt: skip
    seen = seen[~late]
    bands = _labels(edges)
    band = np.array(bands)[np.searchsorted(edges, seen["edss"].to_numpy(float), side="right")]
    followed = death_day[death_day.index.isin(seen["subject_id"])]
    dead = pd.DataFrame({"subject_id": followed.index, "day": followed.to_numpy(), "state": DEAD})
    states = (*bands, *((DEAD,) if len(dead) else ()))
    frame = pd.concat([seen.assign(state=band), dead.astype({"day": seen["day"].dtype})])
    frame = frame.assign(
        state=pd.Categorical(frame["state"], categories=states, ordered=True),
        year=frame["day"] / 365.25,
    )
    frame = frame.sort_values(["subject_id", "day"]).merge(
        cohort.subjects, on="subject_id", how="left", validate="many_to_one"
    )
    return EDSSBands(
        frame=frame,
        states=states,
        death=DEAD if len(dead) else None,
        exclusions=exclusions,
    )


def _checked_cuts(cuts: Sequence[float]) -> np.ndarray:
    """Return the cuts as an array, if they are ascending scores of the EDSS."""
    edges = np.asarray(cuts, dtype=float)
    steps = edges / _HALF_STEP
    is_right = edges.ndim == 1 and len(edges) > 0 and (np.diff(edges) > 0).all()
    if not (is_right and (steps == np.round(steps)).all() and 1 <= edges[0] <= edges[-1] < 10):
        raise DesignError(
            f"`cuts` must be ascending scores of the EDSS between 1 and 9.5, got {cuts!r}."
        )
    return edges


def _labels(edges: np.ndarray) -> tuple[str, ...]:
    """Name the bands."""
    lows = [0.0, *edges]
    highs = [*(edges - _HALF_STEP), _HIGHEST]
    return tuple(
        f"EDSS {low:g}" if low == high else f"EDSS {low:g}-{high:g}"
        for low, high in zip(lows, highs, strict=True)
    )


def _deaths(cohort: Cohort, seen: pd.DataFrame) -> pd.Series:
    """Return the day of death of those who died, by subject."""
    days = seen.loc[seen["edss"] > _HIGHEST].groupby("subject_id")["day"].min()
    if cohort.exits is not None and len(cohort.exits):
        died = cohort.exits[cohort.exits["reason"].astype(str) == "death"]
        days = pd.concat([died.set_index("subject_id")["day"], days])
    return days[~days.index.duplicated()].astype(float)
