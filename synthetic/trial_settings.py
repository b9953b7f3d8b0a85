"""Settings of the plain models of trials, read and checked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pmsstats.errors import DesignError
from synthetic.observation import known_measures
from synthetic.trial_arms import TrialScenario, check_names, real

__all__ = [
    "OUTCOME_SETTINGS",
    "Outcome",
    "cholesky",
    "is_scan",
    "matrix",
    "numbers",
    "read_marker",
    "read_outcome",
    "require",
    "word",
]

_NOT_SCANNED = ("clinical", "fluid")

OUTCOME_SETTINGS = (
    "measure", "intercept", "rate", "ageing_rate", "intercept_sd", "slope_sd", "correlation",
    "residual_sd", "scan",
)  # fmt: skip
"""What describes an outcome of straight lines."""


def word(name: str, value: object) -> str:
    """Check that a setting is a name.

    Parameters
    ----------
    name : str
        For the message.
    value : object
        What was given.

    Returns
    -------
    str
        The name.

    Raises
    ------
    DesignError
        If it is no text, or empty.
    """
    if not isinstance(value, str) or not value:
        raise DesignError(f"`{name}` must be a name, got {value!r}.")
    return value


def numbers(name: str, value: object, *, length: int | None = None) -> np.ndarray:
    """Check that a setting is a list of finite numbers.

    Parameters
    ----------
    name : str
        For the message.
    value : object
        What was given.
    length : int, optional
        How many there must be.

    Returns
    -------
    ndarray, shape (n,)
        The numbers.

    Raises
    ------
    DesignError
        If they are none, or not as many.
    """
    if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
        raise DesignError(f"`{name}` must be a list of numbers, got {value!r}.")
    found = np.array([real(f"{name}[{k}]", entry) for k, entry in enumerate(value)])
    if length is not None and len(found) != length:
        raise DesignError(f"`{name}` must have {length} numbers, got {len(found)}.")
    return found


def matrix(name: str, value: object, size: int) -> np.ndarray:
    """Check that a setting is a symmetric matrix.

    Parameters
    ----------
    name : str
        For the message.
    value : object
        What was given: a list of rows.
    size : int
        Rows and columns.

    Returns
    -------
    ndarray, shape (size, size)
        The matrix.

    Raises
    ------
    DesignError
        If it is none, of another size, or not symmetric.
    """
    if not isinstance(value, Sequence | np.ndarray) or len(value) != size:
        raise DesignError(f"`{name}` must be a list of {size} rows, got {value!r}.")
    found = np.array([numbers(f"{name}[{k}]", row, length=size) for k, row in enumerate(value)])
    if not np.allclose(found, found.T, rtol=1e-10, atol=1e-12):
        raise DesignError(f"`{name}` must be symmetric, got {value!r}.")
    return found


def cholesky(name: str, value: np.ndarray) -> np.ndarray:
    """Return the lower Cholesky factor of a matrix.

    Parameters
    ----------
    name : str
        For the message.
    value : ndarray, shape (n, n)
        Symmetric.

    Returns
    -------
    ndarray, shape (n, n)
        Lower triangular.

    Raises
    ------
    DesignError
        If the matrix is not positive definite.
    """
    try:
        return np.linalg.cholesky(value)
    except np.linalg.LinAlgError as error:
        smallest = float(np.linalg.eigvalsh(value)[0])
        raise DesignError(
            f"`{name}` must be positive definite, but its smallest eigenvalue is {smallest:.3g}. "
            "Bring its correlations closer to 0."
        ) from error


def is_scan(measure: str, setting: object = None) -> bool:
    """Say whether a measure is taken at visits with a scan only.

    Parameters
    ----------
    measure : str
        Name.
    setting : object
        What the settings say; by default the data dictionary decides, and a measure that it does
        not have is taken at every visit.

    Returns
    -------
    bool
        True for images.

    Raises
    ------
    DesignError
        If the setting is neither True nor False.
    """
    if setting is None:
        dictionary = known_measures()
        return measure in dictionary and dictionary[measure].technique not in _NOT_SCANNED
    if not isinstance(setting, bool):
        raise DesignError(f"`scan` of {measure!r} must be true or false, got {setting!r}.")
    return setting


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A measure on straight lines: random intercept and slope, independent errors.

    Parameters
    ----------
    measure : str
        Name.
    intercept : float
        Mean at entry, in the unit of the measure.
    rate : float
        Mean change per year in who has no treatment.
    ageing_rate : float
        Mean change per year in healthy people of that age, which no treatment slows.
    intercept_sd, slope_sd : float
        Between subjects; of the slope per year.
    correlation : float
        Between intercept and slope.
    residual_sd : float
        Of every measurement.
    is_scan : bool
        Whether it is taken at scans only.
    """

    measure: str
    intercept: float
    rate: float
    ageing_rate: float
    intercept_sd: float
    slope_sd: float
    correlation: float
    residual_sd: float
    is_scan: bool

    @property
    def worse(self) -> float:
        """Direction of worsening: of the mean change, or of the data dictionary where it is 0."""
        if self.rate:
            return math.copysign(1.0, self.rate)
        dictionary = known_measures()
        is_higher = self.measure in dictionary and dictionary[self.measure].worsening == "higher"
        return 1.0 if is_higher else -1.0


def read_outcome(settings: Mapping[str, Any], model: str) -> Outcome:
    """Read the description of an outcome.

    Parameters
    ----------
    settings : mapping of str to object
        By name: ``measure``, ``rate``, ``intercept_sd``, ``slope_sd``, ``residual_sd``; and where
        they are not 0 ``intercept``, ``ageing_rate``, ``correlation``; ``scan``.
    model : str
        Whose, for messages.

    Returns
    -------
    Outcome
        Checked.

    Raises
    ------
    DesignError
        If a setting is unknown, missing or out of range.
    """
    check_names("setting of an outcome", settings, OUTCOME_SETTINGS, model)
    needed = ("measure", "rate", "intercept_sd", "slope_sd", "residual_sd")
    require(settings, needed, model)
    measure = word("measure", settings["measure"])
    spreads = {
        name: real(name, settings[name], 0.0, math.inf)
        for name in ("intercept_sd", "slope_sd", "residual_sd")
    }
    return Outcome(
        measure=measure,
        intercept=real("intercept", settings.get("intercept", 0.0)),
        rate=real("rate", settings["rate"]),
        ageing_rate=real("ageing_rate", settings.get("ageing_rate", 0.0)),
        correlation=real("correlation", settings.get("correlation", 0.0), -1.0, 1.0),
        is_scan=is_scan(measure, settings.get("scan")),
        **spreads,
    )


def require(settings: Mapping[str, Any], needed: Sequence[str], model: str) -> None:
    """Refuse a description that lacks something.

    Parameters
    ----------
    settings : mapping of str to object
        What was given.
    needed : sequence of str
        What there must be.
    model : str
        Whose.

    Raises
    ------
    DesignError
        If something lacks; with all that is needed.
    """
    missing = [name for name in needed if name not in settings]
    if missing:
        raise DesignError(
            f"The model {model!r} needs the setting {missing[0]!r}. It needs: {', '.join(needed)}."
        )


def read_marker(scenario: TrialScenario, settings: Mapping[str, Any]) -> float | None:
    """Read the share of subjects with a baseline marker.

    Parameters
    ----------
    scenario : TrialScenario
        With the arms.
    settings : mapping of str to object
        ``marker_share`` or nothing.

    Returns
    -------
    float or None
        None where no marker is described.

    Raises
    ------
    DesignError
        If it is no share, or an arm has an effect by a marker that nobody has.
    """
    if "marker_share" in settings:
        return real("marker_share", settings["marker_share"], 0.0, 1.0)
    for arm in scenario.arms:
        if "effect_in_negatives" in arm.effects:
            raise DesignError(
                f"`effect_in_negatives` of arm {arm.name!r} needs the setting `marker_share`."
            )
    return None
