"""What a trial measures, how it is analysed, and when it stops: the parts of a scenario."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pmsstats.cohort.schema import default_dictionary
from pmsstats.cohort.toml_types import NO_OTHER_KEYS
from pmsstats.errors import DesignError
from pmsstats.power.spending import CLASSICAL, SPENDING_FAMILIES, check_family

__all__ = [
    "AnalysisMethod",
    "DecisionRule",
    "Interim",
    "TrialAnalysis",
    "TrialEndpoint",
]

AnalysisMethod = Literal[
    "random_slope", "mmrm", "ancova", "change", "log_rank", "cox", "counts", "proportion",
    "multivariate", "imputation", "model", "function",
]  # fmt: skip
"""How an endpoint is analysed, see :class:`TrialAnalysis`."""


@dataclass(frozen=True, kw_only=True)
class TrialEndpoint:
    """What is measured or derived.

    Parameters
    ----------
    name : str
        Label.
    measure : str
        Measure that the generator makes, as ``"cord_area_c2c3_mm2"`` or ``"edss"``.
    rule : str, optional
        A definition of progression, as ``"cdp24"``: the endpoint is then the time to it.
    better : {"higher", "lower"}, optional
        Which direction of the measure is the patient's gain: by default the one that the data
        dictionary gives, and higher for measures that it does not have. A time to progression is
        better if it is longer.

    Raises
    ------
    DesignError
        If `better` contradicts the data dictionary.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    name: str
    measure: str
    rule: str | None = None
    better: Literal["higher", "lower"] | None = None

    def __post_init__(self) -> None:
        """Refuse a direction that is known to be the other one."""
        known = self._known_benefit
        if None not in (self.better, known) and self.better != known:
            raise DesignError(
                f"`better` of endpoint {self.name!r} is {self.better!r}, but {known} values of "
                f"{self.measure!r} are better (`pmsstats measures {self.measure}`). Leave `better` "
                "out."
            )

    @property
    def benefit(self) -> Literal["higher", "lower"]:
        """Return which direction of the measure is the patient's gain."""
        return self.better or self._known_benefit or "higher"

    @property
    def _known_benefit(self) -> Literal["higher", "lower"] | None:
        """Return the direction that the data dictionary gives, if it has the measure."""
        measure = default_dictionary().get(self.measure)
        if measure is None or measure.worsening == "unspecified":
            return None
        return "lower" if measure.worsening == "higher" else "higher"


@dataclass(frozen=True, kw_only=True)
class TrialAnalysis:
    """How an endpoint is analysed.

    Parameters
    ----------
    name : str
        Label.
    endpoint : str
        Name of a :class:`TrialEndpoint`; for ``"multivariate"`` the first of `endpoints`.
    method : str
        ``"random_slope"`` (difference of slopes, random intercepts and slopes, REML),
        ``"mmrm"`` (difference at the last visit), ``"ancova"`` and ``"change"`` (change at a visit
        with and without the baseline as covariate), ``"log_rank"``, ``"cox"`` (time to
        progression), ``"counts"`` (negative binomial), ``"proportion"`` (with progression),
        ``"multivariate"`` (several outcomes in one mixed model, combined), ``"imputation"``
        (multiple imputation), ``"model"`` (any mixed model by formula, one fit per replicate),
        ``"function"`` (whatever a function of yours computes, one call per replicate). Times to an
        event, that is endpoints with a rule or drawn as such, go with ``"log_rank"``, ``"cox"``,
        ``"proportion"`` and ``"function"``; measures with the others and ``"function"``.
    endpoints : tuple of str
        Of a multivariate analysis.
    from_week, to_week : float
        Visits outside are left out; the first one left is the baseline (how pseudo-atrophy is kept
        out of the window, or let in).
    covariates : tuple of str
        Known at entry.
    formula : str, optional
        Of ``"model"``.
    strategies : mapping of str to str
        Intercurrent event and how the estimand deals with it: ``treatment_policy`` (default),
        ``hypothetical``, ``while_on_treatment``, ``composite``; for imputation also ``JR``,
        ``CR``, ``CIR``, ``LMCF``. A principal stratum cannot be asked for.
    subgroup : mapping of str to list of float
        Ranges of baseline values: only these subjects are analysed.
    options : mapping of str to object
        Further options of the method.
    true_value : float, optional
        The estimand's true value, on the scale of the estimate; by default that of the generator,
        or that of a very large complete trial. Of ``"imputation"``, ``"model"`` and ``"function"``,
        which are too slow for such a trial, it is not known unless given here, or the arms do not
        differ: then there are no bias and no coverage.

    Notes
    -----
    By ``"function"`` any model can be simulated: joint models, accelerated failure times,
    restricted means, competing risks, recurrent events, or one of your own. Option ``function``,
    ``"package.module:name"``, names a function that can be imported, here and by every worker
    (its directory on ``PYTHONPATH``). For each replicate it is called as
    ``function(visits, subjects, **options)``, with all further options by name:

    - `visits` has one row per visit with a value of the endpoint's measure: ``subject_id``, ``arm``
      (categorical, reference first), ``year``, ``week``, the measures, ``baseline`` and what is
      known at entry.
    - `subjects` has one row per subject: ``subject_id``, ``arm``, what is known at entry and, if
      the endpoint is a time to an event, ``duration`` (years from the start of the window) and
      ``event``.

    It returns a DataFrame, or a list of mappings, with ``comparison`` (name of the arm),
    ``estimate``, ``std_error`` and, for a t test, ``df``. Estimates are tested against 0; option
    ``benefit`` (``"higher"`` or ``"lower"``) says which are the patient's gain, where it is not
    what the endpoint says is better or, for times to an event, fewer events. What the function
    does is no part of the scenario: after a change to it, start a simulation anew, without its
    checkpoint. See :func:`~pmsstats.trials.analyses.function.analyse_function`.

    Of ``"proportion"``, option ``missing`` says what is made of who leaves early:
    ``"kaplan_meier"`` (default), ``"no_event"``, ``"event"`` or ``"excluded"``. All but the first
    are biased by dropout; see :func:`~pmsstats.trials.analyses.proportion.analyse_proportion`.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    name: str
    endpoint: str
    method: AnalysisMethod
    endpoints: tuple[str, ...] = ()
    from_week: float = 0.0
    to_week: float = math.inf
    covariates: tuple[str, ...] = ()
    formula: str | None = None
    strategies: Mapping[str, str] = field(default_factory=dict)
    subgroup: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    true_value: float | None = None


_COUNTED = {"events": "events", "enrolled": "subjects who have entered"}


@dataclass(frozen=True, kw_only=True)
class Interim:
    """A look before the end.

    Parameters
    ----------
    name : str
        Label.
    at : {"year", "enrolled", "followed", "events", "information"}
        What `value` counts: calendar years; subjects randomised; share of all subjects who reached
        `week`; events of `analysis`; share of the final information.
    value : float
        When the look takes place.
    analysis : str
        Which analysis decides.
    rule : {"group_sequential", "select_arms", "sample_size", "enrichment"}
        Stop for efficacy or futility; drop arms (and go on with those that pass); re-estimate the
        number of subjects; restrict to a subgroup.
    week : float, optional
        For ``"followed"``; the last visit by default.
    options : mapping of str to object
        Of the rule: ``threshold`` (one-sided p value that an arm must be below to go on),
        ``keep`` (at most so many arms), ``n_max``, ``conditional_power``, ``blinded``,
        ``subgroup``, ``binding``, ...
    """

    __pydantic_config__ = NO_OTHER_KEYS

    name: str
    at: Literal["year", "enrolled", "followed", "events", "information"]
    value: float
    analysis: str
    rule: Literal["group_sequential", "select_arms", "sample_size", "enrichment"]
    week: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check ranges."""
        if not (self.value > 0 and math.isfinite(self.value)):
            raise DesignError(
                f"`value` of interim {self.name!r} must be above 0, got {self.value!r}."
            )
        if self.at in {"events", "enrolled"} and self.value % 1:
            raise DesignError(
                f"`value` of interim {self.name!r} counts {_COUNTED[self.at]}: it must be a whole "
                f"number, got {self.value!r}."
            )
        if self.at in {"followed", "information"} and self.value >= 1:
            raise DesignError(
                f"Interim {self.name!r} must come before the end: `value` is a share below 1, "
                f"got {self.value!r}."
            )


@dataclass(frozen=True, kw_only=True)
class DecisionRule:
    """When the trial counts as a success.

    Parameters
    ----------
    analysis : str
        The analysis of the primary endpoint.
    alpha : float
        One-sided type I error.
    boundary : str
        How it is spent over the looks: ``"none"`` (all at the end), ``"obrien_fleming"``,
        ``"pocock"``, ``"ld_obrien_fleming"``, ``"ld_pocock"``, ``"wang_tsiatis"``,
        ``"kim_demets"``, ``"hwang_shih_decani"``.
    boundary_parameter : float, optional
        Of the last three.
    futility : mapping of str to object
        Non-binding unless ``binding`` is true: ``z``, or ``conditional_power``, or ``spending``
        and ``beta``.
    multiplicity : {"none", "bonferroni", "holm", "dunnett"}
        Over the comparisons with the reference.
    final : {"events", "followed", "year"}
        The end: after `final_value` events of the primary analysis, when everybody has reached the
        last visit (or left), or in a calendar year.
    final_value : float, optional
        Events or calendar years.
    """

    __pydantic_config__ = NO_OTHER_KEYS

    analysis: str
    alpha: float = 0.025
    boundary: str = "none"
    boundary_parameter: float | None = None
    futility: Mapping[str, Any] = field(default_factory=dict)
    multiplicity: Literal["none", "bonferroni", "holm", "dunnett"] = "none"
    final: Literal["events", "followed", "year"] = "followed"
    final_value: float | None = None

    def __post_init__(self) -> None:
        """Check ranges."""
        if not 0 < self.alpha < 0.5:
            raise DesignError(
                f"`alpha` is the one-sided type I error, above 0 and below 0.5, got {self.alpha!r}."
            )
        check_family(
            "boundary",
            self.boundary,
            self.boundary_parameter,
            ("none", *CLASSICAL, *SPENDING_FAMILIES),
        )
        if self.final == "followed" and self.final_value is not None:
            raise DesignError(
                "`final_value` goes with `final = 'events'` or 'year'; with 'followed' the trial "
                f"ends when everybody was seen, got {self.final_value!r}."
            )
        if self.final == "events" and (self.final_value or 0) % 1:
            raise DesignError(
                f"`final_value` must be a whole number of events, got {self.final_value!r}."
            )
        if self.final != "followed" and not (self.final_value and self.final_value > 0):
            raise DesignError(
                f"`final_value` must say how many with `final={self.final!r}`, "
                f"got {self.final_value!r}."
            )
