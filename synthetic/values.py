"""Numbers that know their source, and numbers by phenotype."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Self

import numpy as np

from pmsstats import evidence
from pmsstats.cohort.schema import PHENOTYPES
from pmsstats.errors import DesignError, nearest

__all__ = ["ASSUMPTION", "PerPhenotype", "Sourced", "assumed", "derived", "published", "worked_out"]

ASSUMPTION = "assumption"
"""Source of a number that no record backs."""


class Sourced(float):
    """A number with the source that it comes from; otherwise an ordinary float.

    Parameters
    ----------
    value : float
        The number.
    source : str
        ``"assumption"``, or ids of evidence records joined by ``" + "``.
    why : str
        How it follows from the source, or why it is assumed.
    """

    __slots__ = ("source", "why")
    source: str
    why: str

    def __new__(cls, value: float, source: str, why: str = "") -> Self:
        """Make the number."""
        self = super().__new__(cls, value)
        self.source = source
        self.why = why
        return self

    def __getnewargs__(self) -> tuple[float, str, str]:  # type: ignore[override]
        """Give what is needed to copy or unpickle it."""
        return (float(self), self.source, self.why)

    @property
    def record_ids(self) -> tuple[str, ...]:
        """Evidence records behind the number; empty for an assumption."""
        return () if self.source == ASSUMPTION else tuple(self.source.split(" + "))


def assumed(value: float, why: str = "") -> Sourced:
    """Mark a number as an assumption.

    Parameters
    ----------
    value : float
        The number.
    why : str
        What speaks for it.

    Returns
    -------
    Sourced
        With source ``"assumption"``.
    """
    return Sourced(value, ASSUMPTION, why)


def published(record_id: str, field: str = "value") -> Sourced:
    """Take a number as it is printed.

    What a record works out from printed numbers is taken by :func:`worked_out`.

    Parameters
    ----------
    record_id : str
        Evidence record; it must have been read at its source.
    field : {"value", "sd"}, default "value"
        Which of its numbers.

    Returns
    -------
    Sourced
        In the units of the record.

    Raises
    ------
    DesignError
        If the record was not read at its source, lacks this number, or works its value out.

    Examples
    --------
    >>> published("azevedo2018_thalamus_rate_hc").source
    'azevedo2018_thalamus_rate_hc'
    """
    number = _anchor(record_id, field)
    derivation = evidence.record(record_id).derivation
    if field == "value" and derivation:
        raise DesignError(
            f"The value of record {record_id!r} is not printed but worked out ({derivation}). "
            f"Take it by worked_out({record_id!r})."
        )
    return Sourced(number, record_id, "" if field == "value" else f"its {field}")


def worked_out(record_id: str) -> Sourced:
    """Take a value that its record works out from printed numbers.

    Parameters
    ----------
    record_id : str
        Evidence record with a derivation; what it starts from must have been read at its source.

    Returns
    -------
    Sourced
        In the units of the record; ``why`` is the derivation.

    Raises
    ------
    DesignError
        If the record was not read at its source, or its value is printed as it is.

    Examples
    --------
    >>> worked_out("wolinsky2004_relapses_ppms").why
    '3.9 % of 943 had a confirmed relapse in 1904 patient-years'
    """
    number = _anchor(record_id, "value")
    derivation = evidence.record(record_id).derivation
    if not derivation:
        raise DesignError(
            f"The value of record {record_id!r} is printed as it is. Take it by "
            f"published({record_id!r})."
        )
    return Sourced(number, record_id, derivation)


def _anchor(record_id: str, field: str) -> float:
    """Return a number of a record that was read at its source."""
    record = evidence.record(record_id)
    number = getattr(record, field)
    if not record.is_anchor or number is None:
        raise DesignError(
            f"Record {record_id!r} cannot anchor a default: it has {field}={number!r} and was "
            f"verified by {record.verified!r}. Use one read in full text or abstract, or assume."
        )
    return float(number)


def derived(value: float, why: str, *record_ids: str) -> Sourced:
    """Mark a number as computed from records.

    Parameters
    ----------
    value : float
        The number.
    why : str
        The formula, in words.
    *record_ids : str
        Evidence records that it was computed from.

    Returns
    -------
    Sourced
        With the ids joined by ``" + "``.

    Raises
    ------
    DesignError
        If a record was not read at its source, or has no value.
    """
    for record_id in record_ids:
        _anchor(record_id, "value")
    return Sourced(value, " + ".join(record_ids), why)


class PerPhenotype(Mapping[str, float]):
    """An immutable, hashable mapping from phenotype to a number.

    Parameters
    ----------
    **values : float
        By phenotype: ``HC``, ``RIS``, ``CIS``, ``RRMS``, ``SPMS``, ``PPMS``; others may be absent.

    Raises
    ------
    DesignError
        If a name is no phenotype, or a value is no finite number.

    Examples
    --------
    >>> rates = PerPhenotype(HC=-0.28, SPMS=-1.1)
    >>> rates["SPMS"], "PPMS" in rates
    (-1.1, False)
    >>> PerPhenotype(SPSM=1.0)
    Traceback (most recent call last):
    pmsstats.errors.DesignError: Unknown phenotype 'SPSM'. Did you mean 'SPMS'?
    """

    __slots__ = ("_values",)

    def __init__(self, **values: float) -> None:
        for name, value in values.items():
            if name not in PHENOTYPES:
                raise DesignError(f"Unknown phenotype {name!r}.{nearest(name, PHENOTYPES)}")
            if isinstance(value, bool) or not np.isfinite(value):
                raise DesignError(f"The value for phenotype {name} must be finite, got {value!r}.")
        self._values = {name: values[name] for name in PHENOTYPES if name in values}

    def __getitem__(self, name: str) -> float:
        """Return the number of a phenotype."""
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the phenotypes that have a number, in display order."""
        return iter(self._values)

    def __len__(self) -> int:
        """Count the phenotypes that have a number."""
        return len(self._values)

    def __hash__(self) -> int:
        """Hash by content."""
        return hash(tuple(self._values.items()))

    def __repr__(self) -> str:
        """Show as the call that makes it."""
        inside = ", ".join(f"{name}={float(value)!r}" for name, value in self._values.items())
        return f"PerPhenotype({inside})"

    def take(self, phenotype: np.ndarray) -> np.ndarray:
        """Look up the number of every subject.

        Parameters
        ----------
        phenotype : ndarray of int, shape (n_subjects,)
            Positions in :data:`pmsstats.cohort.PHENOTYPES`.

        Returns
        -------
        ndarray, shape (n_subjects,)
            NaN where the phenotype has no number.
        """
        table = np.array([self._values.get(name, np.nan) for name in PHENOTYPES], dtype=float)
        return table[phenotype]
