"""Which presets a cohort has the data for."""

from __future__ import annotations

import pandas as pd

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.composite_rule import rule_title
from pmsstats.endpoints.definitions.data_needs import data_needs
from pmsstats.endpoints.definitions.presets import PRESETS

__all__ = ["presets_for"]

_TABLES = ("relapses", "exits")


def presets_for(cohort: Cohort) -> pd.DataFrame:
    """Tabulate which presets can be derived from a cohort.

    Parameters
    ----------
    cohort : Cohort
        The data.

    Returns
    -------
    pandas.DataFrame
        One row per preset, in the order of :func:`~pmsstats.endpoints.presets_table`: ``name``,
        ``event`` (in words), ``is_derivable``, ``missing`` (columns of the visits table that it
        needs, but that are absent or empty), ``empty_tables`` (of ``relapses`` and ``exits`` those
        that it reads, but that have no row).

    Notes
    -----
    An empty table is no obstacle: perhaps nobody relapsed. But if relapses were not recorded,
    every worsening counts as independent of relapses. For lesion counts one of several measures
    would do where a rule names several; a rule is called derivable if it has all of them.

    Examples
    --------
    >>> cohort = Cohort(
    ...     pd.DataFrame({"subject_id": ["A"]}),
    ...     pd.DataFrame({"subject_id": ["A", "A"], "day": [0, 84], "edss": [4.0, 4.5]}),
    ... )
    >>> table = presets_for(cohort).set_index("name")
    >>> table.loc[["cdp12", "t25fw20"], ["is_derivable", "missing"]].to_numpy().tolist()
    [[True, ''], [False, 't25fw_s']]
    """
    visits = cohort.visits
    present = {str(column) for column in visits.columns if visits[column].notna().any()}
    empty = {name for name in _TABLES if getattr(cohort, name).empty}
    rows = []
    for rule in PRESETS.values():
        needs = data_needs(rule)
        missing = [name for name in needs if name not in present and name not in _TABLES]
        rows.append(
            {
                "name": rule.name,
                "event": rule_title(rule),
                "is_derivable": not missing,
                "missing": ", ".join(missing),
                "empty_tables": ", ".join(name for name in needs if name in empty),
            }
        )
    return pd.DataFrame(rows)
