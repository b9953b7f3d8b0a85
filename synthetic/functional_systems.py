"""The functional systems behind a rated EDSS.

Each system responds to impairment as a graded response model: grade k or more is as likely as less
where impairment passes its k-th threshold. Impairment is the rated EDSS, standardised; what a
system deviates from it stays partly with the person. The grades so proposed are then fitted to the
rating by the scoring table of the scale: the systems that are worst get the grades which that step
asks for, the others stay below. So ratings are those of a cohort without functional systems, and
systems and ratings never contradict each other.

References
----------
.. [1] Novakovic AM, et al. Application of item response theory to modeling of expanded disability
   status scale in clinical trials. AAPS J 2017;19:172-179. doi:10.1208/s12248-016-9977-z
.. [2] Kurtzke JF. Rating neurologic impairment in multiple sclerosis: an expanded disability
   status scale (EDSS). Neurology 1983;33:1444-1452. doi:10.1212/WNL.33.11.1444
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthetic.clinical import AMBULATION, FunctionalSystem, FunctionalSystemsModel
from synthetic.draws import SubjectStreams

__all__ = ["grade_systems"]

_COUNTS_AS = {"fs_visual": (0, 1, 2, 2, 3, 3, 4), "fs_bowel_bladder": (0, 1, 2, 3, 3, 4, 5)}
"""What the recorded grades of these two count as when the step is determined (Neurostatus)."""

_WALK_FROM = (0.0, 3.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0, 7.5, 8.0, 8.5, 9.0, 9.5)
_WALK_SCORE = (0, 1, 2, 3, 4, 5, 8, 10, 11, 12, 13, 14, 15)
"""Ambulation score from each EDSS on: the lowest that implies it; 1 goes with 2.0 to 4.0."""

_REACH = 3.0
"""How far beyond the outer thresholds, in SD of impairment, systems are still told apart."""

_LOWER = 1
"""Grade that the systems which do not make up a step may have at most."""


def grade_systems(
    model: FunctionalSystemsModel | None,
    edss: np.ndarray,
    weeks: tuple[int, ...],
    streams: SubjectStreams,
) -> dict[str, np.ndarray]:
    """Grade the functional systems at every visit.

    Parameters
    ----------
    model : FunctionalSystemsModel or None
        Item responses; None where systems are not recorded.
    edss : ndarray, shape (n_subjects, n_visits)
        Ratings, legal scores; NaN where there are none.
    weeks : tuple of int
        Planned week of each column.
    streams : SubjectStreams
        Random numbers.

    Returns
    -------
    dict of str to ndarray, shape (n_subjects, n_visits)
        Grades by system, and the ambulation score (Neurostatus); NaN where there is no rating.
        Nothing where systems are not recorded.
    """
    if model is None:
        return {}
    rated = np.where(np.isnan(edss), 0.0, edss)
    severity = np.empty((*rated.shape, len(model.systems)))
    free, counts = (np.empty(severity.shape, dtype=np.int64) for _ in range(2))
    for i, item in enumerate(model.systems):
        severity[..., i] = _severity(item, _respond(model, item, rated, weeks, streams))
        free[..., i] = severity[..., i]  # whole part
        counts[..., i] = _counted(item, free[..., i])
    fitted = _fit(counts, np.argsort(-severity, axis=-1), rated)
    grades = {
        item.measure: _record(item, free[..., i], fitted[..., i])
        for i, item in enumerate(model.systems)
    }
    walk = np.array(_WALK_SCORE)[np.searchsorted(_WALK_FROM, rated, side="right") - 1]
    everything = {**grades, AMBULATION: walk}
    return {name: np.where(np.isnan(edss), np.nan, grade) for name, grade in everything.items()}


def _respond(
    model: FunctionalSystemsModel,
    item: FunctionalSystem,
    rated: np.ndarray,
    weeks: tuple[int, ...],
    streams: SubjectStreams,
) -> np.ndarray:
    """Draw the impairment of one system: the person's, and a logistic deviation."""
    own = streams.normal("functional system", item.measure)[:, None]
    new = streams.weekly_normal(("functional system visit", item.measure), weeks).T
    deviation = np.sqrt(model.persistence) * own + np.sqrt(1 - model.persistence) * new
    impairment = (rated - model.edss_mean) / model.edss_sd
    return impairment + _logistic(deviation) / item.discrimination


def _logistic(normal: np.ndarray) -> np.ndarray:
    """Turn standard normal numbers to standard logistic ones, to within 0.0002 of probability.

    The cubic is the inverse of Page's approximation of the normal distribution (J R Stat Soc C
    1977;26:75-76), and several times faster than the exact functions.
    """
    return normal * (1.5976 + 0.070565992 * normal**2)


def _severity(item: FunctionalSystem, response: np.ndarray) -> np.ndarray:
    """Place a response among the thresholds: its grade, and how far it is on the way to the next.

    Grades of all systems are compared by this: it grows steadily, and is k at the k-th threshold.
    """
    thresholds = np.array(item.thresholds, dtype=float)
    ends = thresholds[0] - _REACH, *thresholds, thresholds[-1] + _REACH
    last = np.nextafter(len(thresholds) + 1.0, 0.0)
    return np.interp(response, ends, (0.0, *range(1, len(thresholds) + 1), last))


def _counted(item: FunctionalSystem, grade: np.ndarray) -> np.ndarray:
    """Return what recorded grades count as."""
    table = _COUNTS_AS.get(item.measure)
    return grade if table is None else np.array(table)[grade]


def _record(item: FunctionalSystem, free: np.ndarray, fitted: np.ndarray) -> np.ndarray:
    """Keep a recorded grade that counts as it should; else take the lowest one that does."""
    table = _COUNTS_AS.get(item.measure)
    if table is None:
        return fitted
    return np.where(_counted(item, free) == fitted, free, np.searchsorted(np.array(table), fitted))


def _fit(counts: np.ndarray, worst_first: np.ndarray, rated: np.ndarray) -> np.ndarray:
    """Change grades as little as the step demands that was rated."""
    ranked = np.take_along_axis(counts, worst_first, axis=-1)
    fitted = np.take_along_axis(counts, worst_first, axis=-1)
    for step, rule in _RULES.items():
        here = rated == step
        fitted[here] = rule(ranked[here])
    here = rated >= _RANGE_LIMITED
    fitted[here] = np.minimum(ranked[here], np.floor(rated[here])[:, None])
    out = np.empty_like(fitted)
    np.put_along_axis(out, worst_first, fitted, axis=-1)
    return out


_RANGE_LIMITED = 5.0
"""From here on walking decides: systems alone give 5.0 at most, and none exceeds the EDSS."""


def _pattern(*grades: int, lower: int = _LOWER) -> Callable[[np.ndarray], np.ndarray]:
    """Give the worst systems these grades, and the others `lower` at most."""

    def apply(ranked: np.ndarray) -> np.ndarray:
        out = np.minimum(ranked, lower)
        out[:, : len(grades)] = grades
        return out

    return apply


def _three(ranked: np.ndarray) -> np.ndarray:
    """Step 3.0: one grade 3, or three or four grades 2."""
    several = (ranked[:, 0] < 3) & (ranked[:, 2] >= 2)
    out = np.where(several[:, None], _pattern(2, 2, 2)(ranked), _pattern(3)(ranked))
    out[:, 3] = np.where(several, np.minimum(ranked[:, 3], 2), out[:, 3])
    return out


def _three_and_a_half(ranked: np.ndarray) -> np.ndarray:
    """Step 3.5: one grade 3 with one or two grades 2, or two grades 3, or five grades 2."""
    two = ranked[:, 1] >= 3
    five = (ranked[:, 0] < 3) & (ranked[:, 4] >= 2)
    one = _pattern(3, 2)(ranked)
    one[:, 2] = np.minimum(ranked[:, 2], 2)
    most = np.where(two[:, None], _pattern(3, 3)(ranked), one)
    return np.where(five[:, None], _pattern(2, 2, 2, 2, 2)(ranked), most)


def _four_and_a_half(ranked: np.ndarray) -> np.ndarray:
    """Step 4.5 is reached by walking: systems stay at one grade 4, one grade 3 and grades 2."""
    return np.minimum(ranked, [4, 3, *[2] * (ranked.shape[1] - 2)])


_RULES: dict[float, Callable[[np.ndarray], np.ndarray]] = {
    0.0: _pattern(lower=0),
    1.0: _pattern(1, lower=0),
    1.5: _pattern(1, 1),
    2.0: _pattern(2),
    2.5: _pattern(2, 2),
    3.0: _three,
    3.5: _three_and_a_half,
    4.0: _pattern(4),
    4.5: _four_and_a_half,
}
"""Grades, worst first, that give each step (Neurostatus scoring table)."""
