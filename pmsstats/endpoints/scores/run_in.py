"""Run-in assessments, left out because patients still learn the test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pandas as pd

from pmsstats.endpoints.scores.visit_columns import number_column, require_visits
from pmsstats.errors import DesignError
from pmsstats.results import Exclusion, exclude

__all__ = ["PREBASELINE_TESTS", "RunInExcluded", "exclude_run_in"]

_STAGE = "run-in"

PREBASELINE_TESTS: Mapping[str, int] = MappingProxyType({"t25fw_s": 1, "pasat3": 3, "nhpt_s": 4})
"""Assessments before baseline that patients need until they no longer improve by practice.

Solari A, Radice D, Manneschi L, Motti L, Montanari E. The multiple sclerosis functional
composite: different practice effects in the three test components. J Neurol Sci 2005:71-74.
https://moh-it.pure.elsevier.com/en/publications/the-multiple-sclerosis-functional-composite-different-practice-ef
Another study found the whole MSFC stable by the fourth administration (Cohen JA, et al.,
Neurology 2000; https://acnpsearch.tweb-dev.unibo.it/singlejournalindex/69479915).
"""


@dataclass(frozen=True, kw_only=True)
class RunInExcluded:
    """Visits without their run-in assessments.

    Parameters
    ----------
    visits : pandas.DataFrame
        The same rows; run-in assessments are missing values now.
    exclusions : tuple of Exclusion
        What was left out.
    """

    visits: pd.DataFrame
    exclusions: tuple[Exclusion, ...]


def exclude_run_in(
    visits: pd.DataFrame, measure: str | Sequence[str], *, n: int = 1
) -> RunInExcluded:
    """Leave out the first assessments of each subject.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per visit: ``subject_id``, ``day`` and the measures.
    measure : str or sequence of str
        Whose assessments are left out, each measure by itself.
    n : int, default 1
        How many per subject; see :data:`PREBASELINE_TESTS`.

    Returns
    -------
    RunInExcluded
        The visits with missing values in place of these assessments, and the counts.

    Raises
    ------
    DesignError
        If a column is absent or holds no numbers, or `n` is no whole number of at least 0.

    Notes
    -----
    Assessments are counted by day, missing ones not among them. Rows stay, as other measures
    were taken then. Choose `n` before looking at the data, and so that the baseline of the trial
    is left: assessments that the protocol calls baseline are no run-in.

    Examples
    --------
    >>> visits = pd.DataFrame(
    ...     {"subject_id": "S1", "day": [-30, 0, 90], "pasat3": [40.0, 45.0, 46.0]}
    ... )
    >>> exclude_run_in(visits, "pasat3", n=1).visits["pasat3"].tolist()
    [nan, 45.0, 46.0]
    """
    if isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 0:
        raise DesignError(f"`n` must be a whole number of assessments, at least 0, got {n!r}.")
    measures = (measure,) if isinstance(measure, str) else tuple(measure)
    require_visits(visits, measures)
    frame = visits.copy()
    ids = visits["subject_id"].reset_index(drop=True)
    order = np.argsort(visits["day"].to_numpy(), kind="stable")
    exclusions: tuple[Exclusion, ...] = ()
    for name in measures:
        known = ~np.isnan(number_column(visits, name))
        by_day = order[known[order]]
        early = np.zeros(len(visits), dtype=bool)
        early[by_day] = ids[by_day].groupby(ids[by_day], observed=True).cumcount().to_numpy() < n
        frame[name] = frame[name].mask(early)
        reason = f"{name}: first {n} assessment(s), run-in"
        exclusions += exclude(_STAGE, "visit", reason, ids[early])
        nothing = ids[early][~ids[early].isin(ids[known & ~early])].drop_duplicates()
        exclusions += exclude(_STAGE, "subject", f"{name}: no assessment after the run-in", nothing)
    return RunInExcluded(visits=frame, exclusions=exclusions)
