"""One published moment that a generator should have."""

from __future__ import annotations

from dataclasses import dataclass

from pmsstats.errors import DesignError
from pmsstats.evidence import EvidenceRecord, record
from pmsstats.validation.calibration.moments import Moment
from pmsstats.validation.design import StudyDesign

__all__ = ["CalibrationTarget"]


@dataclass(frozen=True, kw_only=True)
class CalibrationTarget:
    """A published moment, and the study that printed it.

    Parameters
    ----------
    record_id : str
        Evidence record.
    moment : Moment
        What is computed on the generator's cohort.
    design : StudyDesign
        Who took part, when they were seen, inclusion criteria.
    field : {"value", "sd"}, default "value"
        Which number of the record.
    factor : float, default 1.0
        From the units of the record to those of the moment.
    n : int, optional
        Persons, where the record has no count; the design's by default.
    printed : tuple of float, optional
        Interval or range that the source prints in words only, in the units of the moment.
    why : str
        Why a difference is to be expected, where it is.

    Raises
    ------
    DesignError
        If the record does not exist, lacks the number, or prints it in words only without
        `printed`.
    """

    record_id: str
    moment: Moment
    design: StudyDesign
    field: str = "value"
    factor: float = 1.0
    n: int | None = None
    printed: tuple[float, float] | None = None
    why: str = ""

    def __post_init__(self) -> None:
        """Refuse a target without a number."""
        if self.printed is None and getattr(self.record, self.field) is None:
            raise DesignError(
                f"Record {self.record_id!r} has no number in {self.field!r}. Give `printed`, the "
                "range that its source states in words."
            )

    @property
    def record(self) -> EvidenceRecord:
        """The published value."""
        return record(self.record_id)

    @property
    def published(self) -> float | None:
        """The published value, in the units of the moment; None where it is a range."""
        number = getattr(self.record, self.field)
        return None if number is None else self.factor * float(number)

    @property
    def n_persons(self) -> int:
        """Persons in the study."""
        return self.n or self.record.n or self.design.n_subjects
