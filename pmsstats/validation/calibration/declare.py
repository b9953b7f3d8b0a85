"""How a published moment is declared: inclusion criteria of the trials, and visits."""

from __future__ import annotations

from typing import Any

from pmsstats.validation.calibration.moments import Moment
from pmsstats.validation.calibration.target import CalibrationTarget
from pmsstats.validation.design import StudyDesign

__all__ = [
    "ALL_MS",
    "ANNUAL",
    "ASCEND",
    "CONFIRMED",
    "EUROPEAN",
    "INFORMS",
    "MS_STAT",
    "OLYMPUS",
    "ORATORIO",
    "PROMESS",
    "PROMISE",
    "RELAPSING_TRIAL",
    "SPRINT",
    "target",
]

ANNUAL = (0.0, 1.0, 2.0)
CONFIRMED = (0.0, 1.0, 2.0, 3.0)

# Age and EDSS at inclusion. The EDSS of PROMISE is that of its evidence record; the others are how
# the trials are commonly described, not read at their sources: assumptions.
OLYMPUS = {"age": (18.0, 65.0), "edss": (2.0, 6.5)}
PROMISE = {"age": (30.0, 65.0), "edss": (3.0, 5.0)}
INFORMS = {"age": (25.0, 65.0), "edss": (3.5, 6.0)}
ASCEND = {"age": (18.0, 58.0), "edss": (3.0, 6.5)}
ORATORIO = {"age": (18.0, 55.0), "edss": (3.0, 6.5)}
PROMESS = {"age": (18.0, 65.0), "edss": (4.0, 6.5)}
MS_STAT = {"age": (18.0, 65.0), "edss": (4.0, 6.5)}
SPRINT = {"age": (21.0, 65.0), "edss": (3.0, 6.5)}
EUROPEAN = {"age": (18.0, 55.0), "edss": (3.0, 6.5)}
RELAPSING_TRIAL = {"age": (18.0, 55.0), "edss": (0.0, 5.5)}

ALL_MS = {"RRMS": 50, "SPMS": 25, "PPMS": 25}


def target(
    record_id: str,
    moment: Moment,
    groups: dict[str, int],
    years: tuple[float, ...] = (0.0,),
    *,
    field: str = "value",
    factor: float = 1.0,
    n: int | None = None,
    printed: tuple[float, float] | None = None,
    why: str = "",
    **design: Any,
) -> CalibrationTarget:
    """Declare one published moment.

    Parameters
    ----------
    record_id : str
        Evidence record.
    moment : Moment
        What is computed.
    groups : dict of str to int
        Phenotypes and numbers of the study.
    years : tuple of float, default (0.0,)
        Its scans.
    field : {"value", "sd"}, default "value"
        Which number of the record.
    factor : float, default 1.0
        From the units of the record to those of the moment.
    n : int, optional
        Persons, where the record has no count.
    printed : tuple of float, optional
        Interval or range that the source prints in words.
    why : str
        Why a difference is to be expected.
    **design : Any
        Further fields of :class:`~pmsstats.validation.design.StudyDesign`.

    Returns
    -------
    CalibrationTarget
        The declaration.
    """
    return CalibrationTarget(
        record_id=record_id,
        moment=moment,
        field=field,
        factor=factor,
        n=n,
        printed=printed,
        why=why,
        design=StudyDesign(groups=tuple(groups.items()), years=years, **design),
    )
