"""The EDSS that functional-system scores and ambulation imply.

Up to step 4.0 the EDSS follows from the grades of seven functional systems, up to step 5.0 from
these and from how far a patient walks, and from step 5.5 on from ambulation alone [1]_, [2]_.

References
----------
.. [1] Kurtzke JF. Rating neurologic impairment in multiple sclerosis: an expanded disability
   status scale (EDSS). Neurology 1983;33:1444-1452. doi:10.1212/WNL.33.11.1444
.. [2] Kappos L. Neurostatus scoring: definitions for a standardised, quantified neurological
   examination and assessment of Kurtzke's functional systems and expanded disability status
   scale, version 04/10.2, and scoring table, version 04/10.3.
   https://learn.neurostatus-uhb.com/howtoscore
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pmsstats.endpoints.scores.edss_conventions import (
    CONVERTED_GRADES,
    FS_COLUMNS,
    FS_COMBINATIONS,
    EDSSConvention,
    FSConversion,
    edss_convention,
)
from pmsstats.endpoints.scores.visit_columns import number_column, require_visits
from pmsstats.errors import DesignError, nearest

__all__ = [
    "AMBULATION",
    "derive_edss",
    "functional_system_step",
    "implied_steps",
    "is_ambulation",
    "is_grade",
    "recorded_scores",
]

AMBULATION = "fs_ambulation"
_SYSTEMS = list(FS_COLUMNS)
_CEREBRAL = _SYSTEMS.index("fs_cerebral")


def functional_system_step(
    scores: ArrayLike,
    *,
    conversion: FSConversion = "neurostatus",
    cerebral_one_counts: bool = True,
) -> NDArray[np.float64]:
    """Return the EDSS step that functional systems alone give.

    Parameters
    ----------
    scores : array_like, shape (..., 7)
        Grades in the order of :data:`FS_COLUMNS`: visual, brainstem, pyramidal, cerebellar,
        sensory, bowel and bladder, cerebral.
    conversion : {"neurostatus", "none"}, default "neurostatus"
        Whether visual and bowel and bladder grades are recorded from 0 to 6 and are converted
        before use (visual 2, 3 to 2, 4, 5 to 3, 6 to 4; bowel and bladder 4 to 3, 5 to 4, 6 to
        5), or are used as they stand because they were converted before.
    cerebral_one_counts : bool, default True
        Whether cerebral grade 1 counts towards steps 1.0 and 1.5.

    Returns
    -------
    ndarray, shape (...,)
        From 0.0 to 5.0; NaN where a grade is missing.

    Raises
    ------
    DesignError
        If there are not seven grades, or one is no grade of its system.

    Notes
    -----
    The step is that of the first of :data:`FS_COMBINATIONS` that fits. It never exceeds 5.0: the
    steps from 5.5 on are defined by ambulation.

    Examples
    --------
    >>> functional_system_step([0, 0, 3, 2, 2, 1, 0]).tolist()
    3.5
    >>> functional_system_step([6, 0, 0, 0, 0, 0, 0]).tolist()
    4.0
    """
    grades = np.asarray(scores, dtype=float)
    if grades.ndim == 0 or grades.shape[-1] != len(FS_COLUMNS):
        raise DesignError(
            f"`scores` must have {len(FS_COLUMNS)} grades ({', '.join(FS_COLUMNS)}) along its "
            f"last axis, got shape {grades.shape}."
        )
    if conversion not in get_args(FSConversion):
        raise DesignError(
            f"`conversion` must be 'neurostatus' or 'none', got {conversion!r}."
            f"{nearest(str(conversion), get_args(FSConversion))}"
        )
    illegal = ~(np.isnan(grades) | is_grade(grades))
    if illegal.any():
        column = int(np.nonzero(illegal)[-1][0])
        name = _SYSTEMS[column]
        raise DesignError(
            f"{name} must be a whole grade from 0 to {FS_COLUMNS[name]}, got "
            f"{grades[..., column][illegal[..., column]][0]:g}. {int(illegal.sum())} grade(s) in "
            "all are not; `check_edss` lists them."
        )
    return _step(grades, conversion, counts_one=cerebral_one_counts)


def is_grade(grades: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Say which numbers are grades of their systems.

    Parameters
    ----------
    grades : ndarray, shape (..., 7)
        In the order of :data:`FS_COLUMNS`.

    Returns
    -------
    ndarray of bool
        Same shape; False where missing.
    """
    with np.errstate(invalid="ignore"):
        whole = grades == np.floor(grades)
        inside = (grades >= 0) & (grades <= np.array(list(FS_COLUMNS.values())))
    legal: NDArray[np.bool_] = whole & inside
    return legal


def _step(
    grades: NDArray[np.float64], conversion: FSConversion, *, counts_one: bool
) -> NDArray[np.float64]:
    """Return the step of legal grades."""
    used = grades.copy()
    if conversion == "neurostatus":
        for name, converted in CONVERTED_GRADES.items():
            column = _SYSTEMS.index(name)
            known = ~np.isnan(grades[..., column])
            used[known, column] = np.take(converted, grades[known, column].astype(int))
    if not counts_one:
        used[used[..., _CEREBRAL] == 1, _CEREBRAL] = 0
    at = [np.count_nonzero(used == grade, axis=-1) for grade in (1, 2, 3, 4)]
    counts = np.stack([*at, np.count_nonzero(used >= 5, axis=-1)], axis=-1)
    fits = [(counts >= np.array(row.counts)).all(axis=-1) for row in FS_COMBINATIONS]
    step = np.select(fits, [row.step for row in FS_COMBINATIONS])
    return np.where(np.isnan(grades).any(axis=-1), np.nan, step)


def derive_edss(
    visits: pd.DataFrame,
    *,
    convention: str | EDSSConvention = "neurostatus",
    conversion: FSConversion = "neurostatus",
) -> pd.DataFrame:
    """Derive the EDSS from functional systems and ambulation.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit: ``subject_id``, ``day``, the columns :data:`FS_COLUMNS` and
        ``fs_ambulation``. Columns that are absent count as missing throughout.
    convention : str or EDSSConvention, default "neurostatus"
        Key in :data:`EDSS_CONVENTIONS`, or one of your own.
    conversion : {"neurostatus", "none"}, default "neurostatus"
        See :func:`functional_system_step`.

    Returns
    -------
    pandas.DataFrame
        Index of `visits`; columns

        - ``edss_fs``: the step that the functional systems alone give (0.0 to 5.0);
        - ``edss_ambulation``: the lowest step that ambulation alone implies;
        - ``edss_low edss_high``: the steps between which the EDSS lies, given what is missing;
        - ``edss_derived``: the EDSS where these two agree, else NaN;
        - ``decided_by``: ``"functional systems"``, ``"ambulation"``, ``"both"``, or ``""``.

    Raises
    ------
    DesignError
        If none of the columns is there, a value is no grade, or the convention is unknown.

    Notes
    -----
    The EDSS is the larger of the two steps. It never falls as a grade or the ambulation score
    rises, so that the bounds come from the best and the worst that a missing score can be.

    **Telling walking from the rest.** From step 4.5 on the EDSS is mainly ambulation, so that a
    worsening may be a shorter walk and nothing else. No standard "ambulation-independent EDSS"
    is in use; published analyses ask whether the EDSS and a functional system worsened
    together [1]_, [2]_. Two columns serve that here: ``edss_fs`` does not know ambulation at
    all (a worsening of ``edss`` without one of ``edss_fs`` is a worsening of walking alone),
    and grades of single systems can be asked of a rule by its onset conditions or leading
    systems. ``edss_fs`` cannot exceed 5.0, and pyramidal and cerebellar grades are themselves
    partly about gait: it is free of walking distance, not of the legs.

    References
    ----------
    .. [1] Relationship between sustained disability progression and functional system scores in
       relapsing-remitting multiple sclerosis. Neuroepidemiology 2015;44:16-23.
       https://karger.com/ned/article-abstract/44/1/16/211052
    .. [2] Lorscheider J, et al. Defining secondary progressive multiple sclerosis. Brain 2016.
       https://research.monash.edu/en/publications/defining-secondary-progressive-multiple-sclerosis

    Examples
    --------
    >>> grades = dict.fromkeys(FS_COLUMNS, 1) | {"fs_pyramidal": 3, "fs_ambulation": 4}
    >>> visits = pd.DataFrame([{"subject_id": "S1", "day": 0, **grades}])
    >>> derive_edss(visits)[["edss_fs", "edss_ambulation", "edss_derived"]].to_numpy().tolist()
    [[3.0, 5.5, 5.5]]
    """
    chosen = edss_convention(convention)
    grades, ambulation = recorded_scores(visits)
    known = ~np.isnan(ambulation)
    legal = is_ambulation(ambulation, chosen)
    if (known & ~legal).any():
        raise DesignError(
            f"{AMBULATION} must be a whole score from 0 to {len(chosen.ambulation) - 1} under the "
            f"convention {chosen.name!r}, got {ambulation[known & ~legal][0]:g}. Choose another "
            "`convention`, or correct it; `check_edss` lists such rows."
        )
    functional_system_step(grades, conversion=conversion)  # refuses what is no grade
    return implied_steps(grades, ambulation, chosen, conversion).set_axis(visits.index)


def recorded_scores(visits: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the scores of a visits table, missing where a column is absent.

    Parameters
    ----------
    visits : pandas.DataFrame
        With some of the columns :data:`FS_COLUMNS` and ``fs_ambulation``.

    Returns
    -------
    tuple of ndarray
        Grades, shape (n_visits, 7), and ambulation scores, shape (n_visits,).

    Raises
    ------
    DesignError
        If no such column is there, or one holds no numbers.
    """
    require_visits(visits)
    present = [name for name in (*FS_COLUMNS, AMBULATION) if name in visits.columns]
    if not present:
        raise DesignError(
            f"`visits` needs functional systems ({', '.join(FS_COLUMNS)}) or {AMBULATION}, but "
            "has none of these columns. Rename yours."
        )
    require_visits(visits, present)
    columns = {name: number_column(visits, name) for name in present}
    nothing = np.full(len(visits), np.nan)
    grades = np.column_stack([columns.get(name, nothing) for name in FS_COLUMNS])
    return grades, columns.get(AMBULATION, nothing)


def is_ambulation(ambulation: NDArray[np.float64], convention: EDSSConvention) -> NDArray[np.bool_]:
    """Say which numbers are ambulation scores of a convention.

    Parameters
    ----------
    ambulation : ndarray
        Numbers.
    convention : EDSSConvention
        Its scores are 0, 1, ...

    Returns
    -------
    ndarray of bool
        Same shape; False where missing.
    """
    with np.errstate(invalid="ignore"):
        legal: NDArray[np.bool_] = np.isin(ambulation, np.arange(len(convention.ambulation)))
    return legal


def implied_steps(
    grades: NDArray[np.float64],
    ambulation: NDArray[np.float64],
    convention: EDSSConvention,
    conversion: FSConversion,
) -> pd.DataFrame:
    """Return what legal scores imply, see :func:`derive_edss`.

    Parameters
    ----------
    grades : ndarray, shape (n_visits, 7)
        Grades or missing.
    ambulation : ndarray, shape (n_visits,)
        Ambulation scores or missing.
    convention : EDSSConvention
        How ambulation enters.
    conversion : {"neurostatus", "none"}
        Of visual and bowel and bladder grades.

    Returns
    -------
    pandas.DataFrame
        The columns of :func:`derive_edss`.
    """
    steps = np.array(convention.ambulation)
    walking = np.isnan(ambulation)
    walk = np.where(walking, np.nan, steps[np.where(walking, 0, ambulation).astype(int)])

    def step(filled: NDArray[np.float64]) -> NDArray[np.float64]:
        return _step(filled, conversion, counts_one=convention.cerebral_one_counts)

    systems = step(grades)
    best = step(np.nan_to_num(grades, nan=0.0))
    worst = step(np.where(np.isnan(grades), list(FS_COLUMNS.values()), grades))
    low = np.fmax(best, walk)
    high = np.fmax(worst, np.where(walking, steps[-1], walk))
    decided = np.select([systems > walk, systems < walk, systems == walk],
                        ["functional systems", "ambulation", "both"], "")  # fmt: skip
    return pd.DataFrame(
        {
            "edss_fs": systems,
            "edss_ambulation": walk,
            "edss_low": low,
            "edss_high": high,
            "edss_derived": np.where(low == high, low, np.nan),
            "decided_by": decided,
        }
    )
