"""Intervals of published magnitudes, worked out from the registry's records."""

from __future__ import annotations

import math

from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.evidence import EvidenceRecord, record

__all__ = [
    "correlation_interval",
    "difference_interval",
    "printed_interval",
    "standardised_interval",
]

Z = float(stats.norm.ppf(0.975))
"""Half width of a 95 % interval in standard errors."""


def printed_interval(record_id: str) -> tuple[float, float]:
    """Return the interval that a record prints.

    Parameters
    ----------
    record_id : str
        Evidence record with an interval.

    Returns
    -------
    tuple of float
        Low and high end.

    Raises
    ------
    DesignError
        If it prints none.
    """
    found = record(record_id)
    if found.ci_low is None or found.ci_high is None:
        raise DesignError(f"Evidence record {record_id!r} has no interval.")
    return found.ci_low, found.ci_high


def correlation_interval(record_id: str) -> tuple[float, float]:
    """Return the 95 % interval of a correlation, by Fisher's transformation.

    Parameters
    ----------
    record_id : str
        Evidence record of a correlation with its number of subjects.

    Returns
    -------
    tuple of float
        Low and high end.
    """
    found = record(record_id)
    middle, half = math.atanh(_number(found, "value")), Z / math.sqrt(_number(found, "n") - 3)
    return math.tanh(middle - half), math.tanh(middle + half)


def difference_interval(first_id: str, second_id: str) -> tuple[float, float]:
    """Return the 95 % interval of the difference of two independent values.

    Parameters
    ----------
    first_id, second_id : str
        Evidence records with a standard error or an interval; first minus second.

    Returns
    -------
    tuple of float
        Low and high end.
    """
    first, second = record(first_id), record(second_id)
    middle = _number(first, "value") - _number(second, "value")
    half = Z * math.hypot(_std_error(first), _std_error(second))
    return middle - half, middle + half


def standardised_interval(first_id: str, second_id: str) -> tuple[float, float]:
    """Return the 95 % interval of a standardised difference of two means.

    Parameters
    ----------
    first_id, second_id : str
        Evidence records with SD and number of subjects; first minus second.

    Returns
    -------
    tuple of float
        Low and high end, in pooled SD.

    Notes
    -----
    Large-sample variance ``1/m + 1/n + d^2 / (2 (m + n))`` of Hedges and Olkin [1]_.

    References
    ----------
    .. [1] Hedges LV, Olkin I. Statistical Methods for Meta-Analysis. Academic Press, 1985, ch. 5.
    """
    first, second = record(first_id), record(second_id)
    m, n = _number(first, "n"), _number(second, "n")
    pooled = ((m - 1) * _number(first, "sd") ** 2 + (n - 1) * _number(second, "sd") ** 2) / (
        m + n - 2
    )
    middle = (_number(first, "value") - _number(second, "value")) / math.sqrt(pooled)
    half = Z * math.sqrt(1 / m + 1 / n + middle**2 / (2 * (m + n)))
    return middle - half, middle + half


def _std_error(found: EvidenceRecord) -> float:
    """Return the standard error of a record's value, from its interval where it prints that."""
    if found.se is not None:
        return found.se
    low, high = printed_interval(found.id)
    return (high - low) / (2 * Z)


def _number(found: EvidenceRecord, name: str) -> float:
    """Return a number that the record must have."""
    number = getattr(found, name)
    if number is None:
        raise DesignError(f"Evidence record {found.id!r} has no `{name}`.")
    return float(number)
