"""A generator's moments beside the published ones."""

from __future__ import annotations

from pmsstats.validation.calibration.calibrate import calibrate
from pmsstats.validation.calibration.result import CalibrationResult
from pmsstats.validation.calibration.target import CalibrationTarget
from pmsstats.validation.calibration.targets import NOT_COMPARED, TARGETS

__all__ = ["NOT_COMPARED", "TARGETS", "CalibrationResult", "CalibrationTarget", "calibrate"]
