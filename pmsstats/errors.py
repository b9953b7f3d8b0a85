"""Exception and warning classes, and the wording helpers that every message shares."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "BackendUnavailableError",
    "ConvergenceError",
    "ConvergenceWarning",
    "DataQualityWarning",
    "DesignError",
    "EngineDisagreementWarning",
    "EvidenceUncheckedWarning",
    "FormulaError",
    "PMSStatsError",
    "PMSStatsWarning",
    "RenamedWarning",
    "SchemaError",
    "first_ids",
    "nearest",
]


class PMSStatsError(Exception):
    """Root of every error that this package raises on purpose."""


class SchemaError(PMSStatsError, ValueError):
    """Input tables or files break the data dictionary.

    Parameters
    ----------
    message : str
        What was expected, what was found, where, and what to do.
    failures : pandas.DataFrame, optional
        One row per problem: ``rule severity table row subject_id column value message``.
        None where the problem lies before any table (a missing file, say).
    """

    def __init__(self, message: str, failures: pd.DataFrame | None = None) -> None:
        super().__init__(message)
        self.failures = failures


class DesignError(PMSStatsError, ValueError):
    """A request (spec, rule, design) cannot be carried out on these data."""


class FormulaError(DesignError):
    """A model formula does not parse, or asks for more than the allow-list of transforms."""


class ConvergenceError(PMSStatsError, RuntimeError):
    """An optimiser did not reach an optimum that can be trusted."""


class BackendUnavailableError(PMSStatsError, ImportError):
    """An optional engine (R, a Python extra) is not installed; the message says what to install."""


class PMSStatsWarning(UserWarning):
    """Root of every warning that this package issues."""


class ConvergenceWarning(PMSStatsWarning):
    """A fit is returned although its optimiser did not converge, or lies on a boundary."""


class DataQualityWarning(PMSStatsWarning):
    """Tables are usable, but something in them looks wrong."""


class EngineDisagreementWarning(PMSStatsWarning):
    """Two engines give different answers to the same model, beyond what their optimisers allow."""


class EvidenceUncheckedWarning(PMSStatsWarning):
    """A published value is used that was not yet entered twice."""


class RenamedWarning(PMSStatsWarning):
    """A former name still works, but will be refused in the next release."""


def nearest(name: str, options: Iterable[str]) -> str:
    """Suggest the closest of some names, as the tail of an error message.

    Parameters
    ----------
    name : str
        What the user wrote.
    options : iterable of str
        What would have been accepted.

    Returns
    -------
    str
        ``" Did you mean 'x'?"``, or the empty string where nothing comes close.

    Examples
    --------
    >>> nearest("thalamus_m", ["thalamus_ml", "edss"])
    " Did you mean 'thalamus_ml'?"
    >>> nearest("cord_area", ["cord_fa", "cord_area_c2c3_mm2"])
    " Did you mean 'cord_area_c2c3_mm2'?"
    """
    by_folded = {str(option).casefold(): str(option) for option in options}
    wanted = name.casefold()
    begun = [option for option in by_folded if len(wanted) > 2 and option.startswith(wanted)]
    matches = begun[:1] or difflib.get_close_matches(wanted, list(by_folded), n=1, cutoff=0.6)
    return f" Did you mean {by_folded[matches[0]]!r}?" if matches else ""


def first_ids(ids: Iterable[object], show: int = 3) -> str:
    """List the first few distinct ids, for a message.

    Parameters
    ----------
    ids : iterable
        Subject ids, in the order in which they were met; repeats are dropped.
    show : int, default 3
        How many to name.

    Returns
    -------
    str
        For example ``"S012, S044, S051, ..."``.

    Examples
    --------
    >>> first_ids(["S1", "S1", "S2", "S3", "S4"])
    'S1, S2, S3, ...'
    """
    distinct = list(dict.fromkeys(str(i) for i in ids))
    return ", ".join(distinct[:show]) + (", ..." if len(distinct) > show else "")
