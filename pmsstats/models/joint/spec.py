"""The request for a joint model: frozen, checked when it is made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from numbers import Real
from typing import Literal, get_args

import numpy as np

from pmsstats.errors import DesignError, FormulaError, nearest
from pmsstats.models.formulas.formula import formula_variables
from pmsstats.models.mixed.lmm import LMMSpec

__all__ = ["ASSOCIATIONS", "Baseline", "JointSpec"]

Baseline = Literal["weibull", "piecewise", "bspline"]

ASSOCIATIONS = ("none", "value", "slope", "area", "lagged", "random_effects")
"""What of a marker's true trajectory may enter the hazard."""

_OTHER_WORDS = {
    "current_value": "value",
    "td_value": "value",
    "td_extra": "slope",
    "rate": "slope",
    "cumulative": "area",
    "auc": "area",
    "lag": "lagged",
    "shared": "random_effects",
    "random": "random_effects",
}
_ALONG_TIME = frozenset({"slope", "area", "lagged"})


@dataclass(frozen=True, kw_only=True)
class JointSpec:
    """A joint model of longitudinal markers and an event, as it is asked for.

    Parameters
    ----------
    longitudinal : str or tuple of str
        One mixed model per marker in lme4's language, over the longitudinal table:
        ``"log(snfl_pg_ml) ~ year * arm + (year | subject_id)"``. The column right of the bar is
        the subject, in both tables. Random effects of all markers are correlated.
    hazard : str, default "1"
        Right-hand side over the survival table: baseline covariates of the log hazard. With
        several causes each has coefficients of its own.
    association : str or tuple of str, default "value"
        What of the true trajectory enters the log hazard, terms joined by ``+``: ``"value"`` (at
        the same time), ``"slope"`` (its derivative), ``"area"`` (its integral from 0),
        ``"lagged"`` (its value `lag` earlier), ``"random_effects"`` (each as a covariate) or
        ``"none"``. One text for all markers, or one per marker in their order.
    lag : float, optional
        Of ``"lagged"``, in the unit of time; before that time the value at 0 is taken.
    interaction : str, optional
        Right-hand side over the survival table, such as ``"arm"``: every association is also
        multiplied by its columns.
    time : str, default "year"
        Column of the longitudinal table: time of measurement, with the unit and the zero of the
        durations.
    duration, event : str
        Columns of the survival table: time to event or censoring, and whether it happened.
    cause : str, optional
        Column of the survival table with the cause of each event, for competing risks; empty or 0
        where there was no event. The column `event` is then used if it is there.
    lower, upper : str, optional
        Columns of the survival table, in place of `duration` and `event`: the event lies in
        (lower, upper]. Missing or infinite `upper`: no event by `lower`. Equal: known exactly.
    entry : str, optional
        Column of the survival table: from when on a subject was under observation, given that no
        event had happened by then (left truncation).
    baseline : {"bspline", "piecewise", "weibull"}
        Form of the log baseline hazard: cubic B-spline, constant on intervals, or linear in the
        logarithm of time.
    cuts : tuple of float, optional
        Inner cuts of the intervals, or inner knots of the spline, ascending.
    n_intervals : int, optional
        Intervals between knots or cuts where `cuts` is not given; they are placed at quantiles of
        the event times (of the middle of the interval where it is not known exactly). By default
        one per ten events, five at most.
    strata : str, optional
        Column of the survival table whose levels have baseline hazards of their own.
    n_nodes : int, optional
        Gauss-Hermite nodes per random effect; by their number where it is not given.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    FormulaError
        If a formula does not parse.
    DesignError
        If a field is outside of its range, or fields contradict each other.

    Examples
    --------
    >>> spec = JointSpec(
    ...     longitudinal="nfl ~ year * arm + (year | subject_id)",
    ...     hazard="arm",
    ...     association="value + slope",
    ... )
    >>> spec.subject, spec.association
    ('subject_id', (('value', 'slope'),))
    """

    longitudinal: str | tuple[str, ...]
    hazard: str = "1"
    association: str | tuple[str, ...] | tuple[tuple[str, ...], ...] = "value"
    lag: float | None = None
    interaction: str | None = None
    time: str = "year"
    duration: str = "duration"
    event: str = "event"
    cause: str | None = None
    lower: str | None = None
    upper: str | None = None
    entry: str | None = None
    baseline: Baseline = "bspline"
    cuts: tuple[float, ...] | None = None
    n_intervals: int | None = None
    strata: str | None = None
    n_nodes: int | None = None
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field, and give the association its canonical form."""
        formulas = (self.longitudinal,) if isinstance(self.longitudinal, str) else self.longitudinal
        if not isinstance(formulas, tuple) or not formulas:
            raise DesignError(
                "`longitudinal` must be a formula, or a tuple of one per marker, got "
                f"{self.longitudinal!r}."
            )
        object.__setattr__(self, "longitudinal", formulas)
        object.__setattr__(self, "association", _associations(self.association, len(formulas)))
        _check_markers(self.markers, self.time)
        self._check_association()
        self._check_outcome()
        self._check_baseline()
        self._check_numbers()

    @cached_property
    def markers(self) -> tuple[LMMSpec, ...]:
        """Return the mixed model of each marker."""
        return tuple(LMMSpec.from_formula(text, method="ML") for text in self.longitudinal)

    @property
    def subject(self) -> str:
        """Return the column that tells subjects apart, in both tables."""
        return self.markers[0].group

    @property
    def terms(self) -> tuple[tuple[str, ...], ...]:
        """Return the association terms of each marker."""
        return self.association  # type: ignore[return-value]

    @property
    def is_interval_censored(self) -> bool:
        """Whether events are known by intervals."""
        return self.lower is not None

    @property
    def hazard_variables(self) -> tuple[str, ...]:
        """Return the columns of the survival table that the hazard uses."""
        sides = [self.hazard, *([self.interaction] if self.interaction else [])]
        names = [name for rhs in sides for name in formula_variables(rhs)]
        return tuple(dict.fromkeys([*names, *([self.strata] if self.strata else [])]))

    def formula(self) -> str:
        """Return the model in one line."""
        end = f"({self.lower}, {self.upper}]" if self.lower else f"({self.duration}, {self.event})"
        links = "; ".join(" + ".join(terms) for terms in self.terms)
        return f"{'; '.join(self.longitudinal)}; {end} ~ {self.hazard} + [{links}]"

    def _check_association(self) -> None:
        """Refuse associations that this model cannot have."""
        for marker, terms in zip(self.markers, self.terms, strict=True):
            used = {n for rhs in _sides(marker) for n in formula_variables(rhs)}
            wanted = [term for term in terms if term in _ALONG_TIME]
            if wanted and self.time not in used:
                raise DesignError(
                    f"`association` asks for the {wanted[0]} of {marker.outcome}, but its model "
                    f"{marker.formula()!r} does not change with `time` ({self.time!r}). Add "
                    f"{self.time} to its fixed and random part, or ask for 'value'."
                )
        lagged = any("lagged" in terms for terms in self.terms)
        if lagged != (self.lag is not None):
            raise DesignError(
                "`association='lagged'` and `lag` go together, got association="
                f"{self.association!r} and lag={self.lag!r}. Write for example "
                "association='lagged', lag=0.5."
            )
        if self.interaction and all(terms == ("none",) for terms in self.terms):
            raise DesignError("`interaction` needs an association to interact with.")

    def _check_outcome(self) -> None:
        """Refuse fields of the event that contradict each other."""
        if (self.lower is None) != (self.upper is None):
            raise DesignError(
                f"`lower` and `upper` go together, got lower={self.lower!r} and "
                f"upper={self.upper!r}."
            )
        if self.is_interval_censored and self.cause:
            raise DesignError(
                "`cause` is not supported together with `lower` and `upper`: cause-specific "
                "hazards need exact or right-censored times. Analyse one cause, or give "
                "`duration`."
            )
        for name in formula_variables(self.hazard):
            if name in {self.time, self.duration, self.lower, self.upper}:
                raise DesignError(
                    f"`hazard` names {name!r}, the time itself: how the hazard changes with time "
                    "is the baseline's part. Leave it out."
                )

    def _check_baseline(self) -> None:
        """Check the form of the baseline hazard."""
        _one_of("baseline", self.baseline, get_args(Baseline))
        if self.n_intervals is not None and not _is_count(self.n_intervals, 1):
            raise DesignError(
                f"`n_intervals` must be a whole number from 1, got {self.n_intervals!r}."
            )
        if self.cuts is None:
            return
        if self.baseline == "weibull":
            raise DesignError("`cuts` belong to a piecewise or B-spline baseline, not a Weibull.")
        values = self.cuts if isinstance(self.cuts, tuple) else ()
        ascending = all(a < b for a, b in pairwise(values))
        if not values or not all(_is_positive(v) for v in values) or not ascending:
            raise DesignError(
                "`cuts` must be a tuple of positive, ascending times inside of the follow-up, got "
                f"{self.cuts!r}."
            )

    def _check_numbers(self) -> None:
        """Check the numbers."""
        if self.lag is not None and not _is_positive(self.lag):
            raise DesignError(f"`lag` must be a positive time, got {self.lag!r}.")
        if self.n_nodes is not None and not _is_count(self.n_nodes, 2):
            raise DesignError(f"`n_nodes` must be a whole number from 2, got {self.n_nodes!r}.")
        if not isinstance(self.conf_level, float) or not 0.5 <= self.conf_level < 1:
            raise DesignError(
                f"`conf_level` must be at least 0.5 and below 1, got {self.conf_level!r}. "
                "Write 0.95 for 95 %."
            )


def _associations(given: object, n_markers: int) -> tuple[tuple[str, ...], ...]:
    """Read the association of each marker."""
    if isinstance(given, str):
        return (_terms(given),) * n_markers
    each = tuple(given) if isinstance(given, Iterable) else ()
    if len(each) != n_markers:
        raise DesignError(
            "`association` must be a text such as 'value + slope', or a tuple of one such text per "
            f"marker ({n_markers}), got {given!r}."
        )
    return tuple(_terms(one) for one in each)


def _terms(given: object) -> tuple[str, ...]:
    """Read the association of one marker."""
    words = given.split("+") if isinstance(given, str) else list(given)  # type: ignore[call-overload]
    terms = []
    for word in words:
        plain = str(word).strip().lower().replace(" ", "_").replace("-", "_")
        if plain not in ASSOCIATIONS:
            raise DesignError(
                f"`association` may hold {', '.join(ASSOCIATIONS)}, joined by +, got {word!r}."
                f"{nearest(_OTHER_WORDS.get(plain, plain), ASSOCIATIONS)}"
            )
        terms.append(plain)
    if len(set(terms)) < len(terms) or ("none" in terms and len(terms) > 1):
        raise DesignError(
            f"`association` must name each term once, and 'none' alone, got {given!r}."
        )
    return tuple(terms)


def _check_markers(markers: tuple[LMMSpec, ...], time: str) -> None:
    """Refuse random terms that a joint model cannot hold."""
    groups = {term.group for marker in markers for term in marker.random}
    if len(groups) > 1 or len(next(iter(markers)).random[0].columns) > 1:
        raise DesignError(
            "A joint model needs one grouping column, the subject, in all `longitudinal` formulas, "
            f"got {', '.join(sorted(groups))}."
        )
    if any(not term.correlated for marker in markers for term in marker.random) or any(
        len(marker.random) > 1 for marker in markers
    ):
        raise FormulaError(
            "Random effects of a joint model are all correlated: write one term such as "
            "(year | subject_id), not || or several terms."
        )
    names = [marker.outcome for marker in markers]
    if len(set(names)) < len(names):
        raise DesignError(f"`longitudinal` models {names[0]!r} more than once.")
    if time in groups:
        raise DesignError(f"`time` and the subject are the same column, {time!r}.")


def _sides(marker: LMMSpec) -> tuple[str, ...]:
    """Return the right-hand sides of a marker's model."""
    return (marker.fixed, *(term.rhs() for term in marker.random))


def _one_of(name: str, value: object, options: tuple[str, ...]) -> None:
    """Refuse a value that is none of the options."""
    if value not in options:
        raise DesignError(
            f"`{name}` must be one of {', '.join(options)}, got {value!r}."
            f"{nearest(str(value), options)}"
        )


def _is_count(value: object, least: int) -> bool:
    """Say whether a value is a whole number from `least` on."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_positive(value: object) -> bool:
    """Say whether a value is a positive finite number."""
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    return is_number and bool(np.isfinite(float(value))) and float(value) > 0  # type: ignore[arg-type]
