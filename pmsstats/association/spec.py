"""What an association asks, and the words for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from pmsstats.cohort.schema import Measure
from pmsstats.errors import DesignError, nearest

__all__ = [
    "DEFAULT_METHODS",
    "METHODS",
    "METHOD_LABELS",
    "METHOD_WORDS",
    "AssociationSpec",
    "Exposure",
    "Method",
    "MethodWords",
    "exposure",
]

Method = Literal[
    "slope_correlation",
    "slope_correlation_corrected",
    "two_stage_raw",
    "two_stage",
    "risk_set",
    "landmark",
    "joint_slope",
    "time_varying",
    "joint_value",
]
Engine = Literal["native", "statsmodels", "lme4"]
SlopeVisits = Literal["all", "until_event"]
SlopeModel = Literal["common", "by_group"]
EventTimes = Literal["observed", "interval"]


@dataclass(frozen=True, kw_only=True)
class MethodWords:
    """A method in words.

    Parameters
    ----------
    label : str
        For tables and figures.
    words : str
        Inside a sentence.
    about : {"slope", "value"}
        The property of the trajectory that it relates to the outcome.
    estimate : {"log hazard ratio", "correlation"}
        What it estimates.
    """

    label: str
    words: str
    about: Literal["slope", "value"]
    estimate: Literal["log hazard ratio", "correlation"] = "log hazard ratio"


METHODS: Mapping[str, MethodWords] = {
    "slope_correlation": MethodWords(
        label="Correlation of slopes (least squares)",
        words="correlation of least-squares slopes",
        about="slope",
        estimate="correlation",
    ),
    "slope_correlation_corrected": MethodWords(
        label="Correlation of slopes (bivariate mixed model)",
        words="correlation of true slopes, bivariate mixed model",
        about="slope",
        estimate="correlation",
    ),
    "two_stage_raw": MethodWords(
        label="Two-stage Cox (least-squares slopes)",
        words="two-stage Cox on least-squares slopes",
        about="slope",
    ),
    "two_stage": MethodWords(
        label="Two-stage Cox (predicted slopes)",
        words="two-stage Cox on predicted slopes",
        about="slope",
    ),
    "risk_set": MethodWords(
        label="Two-stage Cox (slopes predicted anew in each risk set)",
        words="two-stage Cox with risk-set calibration",
        about="slope",
    ),
    "landmark": MethodWords(
        label="Landmark Cox (slope up to the landmark)",
        words="landmark Cox",
        about="slope",
    ),
    "joint_slope": MethodWords(
        label="Joint model (true slope)", words="joint model of the true slope", about="slope"
    ),
    "time_varying": MethodWords(
        label="Time-varying Cox (last measured value)", words="time-varying Cox", about="value"
    ),
    "joint_value": MethodWords(
        label="Joint model (true current value)",
        words="joint model of the true current value",
        about="value",
    ),
}
"""All methods, in the order in which they are best read: slopes first, then values."""
DEFAULT_METHODS: tuple[Method, ...] = (
    "slope_correlation",
    "slope_correlation_corrected",
    "two_stage_raw",
    "two_stage",
    "landmark",
    "joint_slope",
    "time_varying",
    "joint_value",
)
"""Methods that are compared unless others are asked for."""
METHOD_LABELS: dict[str, str] = {name: method.label for name, method in METHODS.items()}
"""Names of the methods for tables and figures."""
METHOD_WORDS: dict[str, str] = {name: method.words for name, method in METHODS.items()}
"""Names of the methods inside a sentence."""


@dataclass(frozen=True, kw_only=True)
class AssociationSpec:
    """Request for the association of a trajectory with an outcome.

    Parameters
    ----------
    measure : str
        Column of the visits table.
    methods : tuple of str
        Keys of :data:`METHODS`, in the order in which they are reported.
    covariates : str or tuple of str
        Baseline covariates that the hazard models adjust for: columns of the subjects table, or the
        right-hand side of a formula on them.
    strata : str or tuple of str
        Columns of the subjects table whose values have baseline hazards of their own.
    group : str, optional
        Column of the subjects table that `slope_model` refers to.
    slope_model : {"common", "by_group"}, default "common"
        Whether individual slopes are shrunk towards one mean slope, or towards that of the
        subject's group.
    slope_visits : {"all", "until_event"}, default "all"
        Whether individual slopes use measurements up to the day of the event (or of the end of
        follow-up for the outcome), or later ones too. Joint, landmark and risk-set methods never
        use later ones.
    outcome_measure : str, optional
        Measure whose slope the correlations relate to; by default the measure that the outcome is
        derived from.
    landmarks : tuple of float, optional
        Years from the outcome's baseline at which the landmark method starts its clock; by
        default one, at half of the longest follow-up, but no later than 2 years.
    event_times : {"observed", "interval"}, default "observed"
        Whether joint models take the event at the visit that showed it, or anywhere between that
        and the visit before.
    min_events : int, default 5
        Fewer events than this, and no hazard ratio is given.
    engine : {"native", "statsmodels", "lme4"}, default "native"
        Of the mixed model.
    conf_level : float, default 0.95
        Of all intervals.

    Raises
    ------
    DesignError
        If an option is outside of its vocabulary or range, or ``by_group`` has no group.
    """

    measure: str
    methods: tuple[Method, ...] = DEFAULT_METHODS
    covariates: str | tuple[str, ...] = ()
    strata: str | tuple[str, ...] = ()
    group: str | None = None
    slope_model: SlopeModel = "common"
    slope_visits: SlopeVisits = "all"
    outcome_measure: str | None = None
    landmarks: tuple[float, ...] | None = None
    event_times: EventTimes = "observed"
    min_events: int = 5
    engine: Engine = "native"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        if not self.methods or isinstance(self.methods, str):
            raise DesignError(
                f"`methods` must be a tuple of one or more of {', '.join(METHOD_LABELS)}, got "
                f"{self.methods!r}."
            )
        for method in self.methods:
            _check("methods", method, tuple(METHOD_LABELS))
        _check("slope_model", self.slope_model, get_args(SlopeModel))
        _check("slope_visits", self.slope_visits, get_args(SlopeVisits))
        _check("engine", self.engine, get_args(Engine))
        _check("event_times", self.event_times, get_args(EventTimes))
        self._check_numbers()
        if self.slope_model == "by_group" and self.group is None:
            raise DesignError("`slope_model='by_group'` needs `group`, a column of the subjects.")

    def _check_numbers(self) -> None:
        """Check the numeric options."""
        if not 0 < self.conf_level < 1:
            raise DesignError(f"`conf_level` must lie between 0 and 1, got {self.conf_level!r}.")
        if self.min_events < 1:
            raise DesignError(f"`min_events` must be at least 1, got {self.min_events!r}.")
        marks = () if self.landmarks is None else self.landmarks
        if self.landmarks is not None and (not marks or not all(mark > 0 for mark in marks)):
            raise DesignError(
                "`landmarks` must be one or more years after the outcome's baseline, above 0, got "
                f"{self.landmarks!r}."
            )

    def adjustment(self) -> str:
        """Return the covariates as the right-hand side of a formula.

        Returns
        -------
        str
            Empty where there are none.
        """
        if isinstance(self.covariates, str):
            return self.covariates
        return " + ".join(f"`{column}`" for column in self.covariates)

    def strata_columns(self) -> tuple[str, ...]:
        """Return the strata as columns.

        Returns
        -------
        tuple of str
            Empty where there are none.
        """
        return (self.strata,) if isinstance(self.strata, str) else self.strata


def _check(name: str, value: str, allowed: tuple[str, ...]) -> None:
    """Raise unless an option is one of those that there are."""
    if value not in allowed:
        raise DesignError(
            f"`{name}` must be one of {', '.join(allowed)}, got {value!r}."
            f"{nearest(str(value), allowed)}"
        )


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """One property of a trajectory, turned so that more of it is worse.

    Parameters
    ----------
    sign : int
        1, or -1 where lower values are worse.
    words : str
        The direction in clinical words: ``"faster decline of Thalamus volume"``.
    term : str
        For tables: ``"Thalamus volume: per SD faster decline"``.
    unit : str
        Of the exposure; may be empty.
    thirds : tuple of str
        Labels of its thirds, from the lowest oriented value to the highest.
    """

    sign: int
    words: str
    term: str
    unit: str
    thirds: tuple[str, str, str]


_SLOPE_WORDS = {
    "lower": "faster decline",
    "higher": "faster increase",
    "unspecified": "higher slope",
}
_VALUE_WORDS = {"lower": "lower", "higher": "higher", "unspecified": "higher"}
_SLOPE_THIRDS = {
    "lower": ("slowest decline", "middle third", "fastest decline"),
    "higher": ("slowest increase", "middle third", "fastest increase"),
    "unspecified": ("lowest slope", "middle third", "highest slope"),
}


def exposure(measure: Measure, method: Method) -> Exposure:
    """Orient a measure's slope, or its value, towards worse, and find the words.

    Parameters
    ----------
    measure : Measure
        Its `worsening` gives the direction; "unspecified" keeps the sign.
    method : str
        Key of :data:`METHODS`, which says whether it concerns the slope or the value.

    Returns
    -------
    Exposure
        Sign, words and unit.
    """
    if METHODS[method].about == "slope":
        direction = _SLOPE_WORDS[measure.worsening]
        words, term = f"{direction} of {measure.label}", f"per SD {direction}"
        unit = f"{measure.unit}/year" if measure.unit else "per year"
    else:
        direction = _VALUE_WORDS[measure.worsening]
        words, term = f"{direction} {measure.label}", f"per SD {direction} value"
        unit = measure.unit
    return Exposure(
        sign=-1 if measure.worsening == "lower" else 1,
        words=words,
        term=f"{measure.label}: {term}",
        unit=unit,
        thirds=_SLOPE_THIRDS[measure.worsening],
    )
