"""The mission in one call: does the trajectory of a measure go with an outcome, and how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import pandas as pd

from pmsstats.association.result import ESTIMATE_COLUMNS, AssociationResult
from pmsstats.association.spec import METHOD_LABELS, AssociationSpec, Method
from pmsstats.association.task import OUTCOME_COLUMNS, RESERVED_COLUMNS, MethodRun, Task
from pmsstats.association.time_varying import run_time_varying
from pmsstats.association.two_stage import run_two_stage
from pmsstats.cohort import Cohort
from pmsstats.cohort.schema import Measure
from pmsstats.endpoints import EndpointResult, derive_endpoint
from pmsstats.errors import DesignError, nearest
from pmsstats.models.formulas.formula import formula_variables

__all__ = ["associate"]

_METHODS: Mapping[str, Callable[[Task], MethodRun]] = {
    "two_stage": run_two_stage,
    "time_varying": run_time_varying,
}


def associate(
    cohort: Cohort,
    measure: str,
    outcome: EndpointResult | str | Mapping[str, Any] | Any,
    *,
    methods: tuple[Method, ...] = ("two_stage", "time_varying"),
    covariates: str | tuple[str, ...] = (),
    group: str | None = None,
    strata: str | tuple[str, ...] = (),
    slope_model: Literal["common", "by_group"] = "common",
    slope_visits: Literal["all", "until_event"] = "all",
    min_events: int = 5,
    engine: Literal["native", "statsmodels", "lme4"] = "native",
    conf_level: float = 0.95,
) -> AssociationResult:
    """Relate the trajectory of a measure to an outcome, by several methods side by side.

    Parameters
    ----------
    cohort : Cohort
        Subjects and visits.
    measure : str
        Measure whose trajectory is asked about.
    outcome : EndpointResult, rule, str or mapping
        The outcome, derived already or as :func:`pmsstats.endpoints.derive_endpoint` takes it.
    methods : tuple of {"two_stage", "time_varying"}
        Cox models on each subject's slope, and on the current value.
    covariates : str or tuple of str
        Baseline covariates that both Cox models adjust for: columns of the subjects table, or the
        right-hand side of a formula on them.
    group : str, optional
        Column of the subjects table, for `slope_model`.
    strata : str or tuple of str
        Columns of the subjects table whose values have baseline hazards of their own.
    slope_model : {"common", "by_group"}, default "common"
        Whether individual slopes are shrunk towards one mean slope or that of their group.
    slope_visits : {"all", "until_event"}, default "all"
        Which measurements individual slopes may use.
    min_events : int, default 5
        Fewer events than this, and a method is not estimable.
    engine : {"native", "statsmodels", "lme4"}, default "native"
        Of the mixed model.
    conf_level : float, default 0.95
        Of all intervals.

    Returns
    -------
    AssociationResult
        One row per method; a method that these data do not support says why in its note.

    Raises
    ------
    SchemaError
        If the cohort has no such measure.
    DesignError
        If a column is unknown, the measure was never taken in subjects at risk, or no method is
        estimable.
    BackendUnavailableError
        If the engine is not installed.

    Notes
    -----
    All hazard ratios are per standard deviation (SD) towards worse, as the data dictionary says
    which direction that is; for measures where it does not, per SD higher.

    **Two-stage.** A mixed model ``measure ~ year + (year | subject_id)`` (REML) gives each subject
    a slope: the mean slope plus the subject's predicted deviation [1]_. A Cox model then relates
    the hazard of the outcome to that slope. The hazard ratio is per SD of the *true* slopes, as the
    mixed model estimates it (the square root of the slope variance, and of the variance of mean
    slopes where groups have their own): the SD of the predicted slopes, which are shrunken, would
    depend on the number of visits. The error of the slopes is ignored: intervals are too narrow.

    By default slopes use every measurement, also those after the event. That answers whether the
    rate *goes with* the outcome; it does not predict, and it is biased where the event or its
    treatment changes the measure, which the data cannot tell. With ``slope_visits="until_event"``
    the outcome cannot explain the slope, but subjects with early events have few visits and slopes
    shrunken to the mean, so that an association that is there is weakened. In 3,000 synthetic
    subjects (preset "progressive", seed 1, thalamic volume, 12-week confirmed progression) a Cox
    model on the true slopes gives a log hazard ratio of 0.34 per SD; the two options gave 0.42 and
    0.24 (``tests/association/test_recovery.py``). The first is too high because predicted slopes
    borrow from levels, which tell of the same processes, and because those who worsened leave
    earlier. A joint model of both processes uses the visits before the event only and keeps the
    association [2]_.

    **Time-varying.** A Cox model on start-stop intervals relates the hazard at each event to the
    last value measured before that day. The SD is the one between subjects at the start of
    follow-up: of the value at baseline, or of the first one after it. The model answers another
    question than the first: whether a low value, not a fast decline, goes with the outcome.
    Measurement error and ageing of the last value pull its hazard ratio towards 1 [2]_.

    **Thirds.** Kaplan-Meier curves by third of the individual slopes show the same as the two-stage
    model, without assuming proportional hazards.

    References
    ----------
    .. [1] Laird NM, Ware JH. Random-effects models for longitudinal data. Biometrics
       1982;38:963-974. doi:10.2307/2529876
    .. [2] Tsiatis AA, Davidian M. Joint modeling of longitudinal and time-to-event data: an
       overview. Stat Sin 2004;14:809-834.
    """
    spec = AssociationSpec(
        measure=measure,
        methods=methods,
        covariates=covariates,
        strata=strata,
        group=group,
        slope_model=slope_model,
        slope_visits=slope_visits,
        min_events=min_events,
        engine=engine,
        conf_level=conf_level,
    )
    described = cohort.measure(measure)
    endpoint = outcome if isinstance(outcome, EndpointResult) else derive_endpoint(cohort, outcome)
    task = _task(cohort, described, endpoint, spec)
    runs = {method: _METHODS[method](task) for method in spec.methods}
    _require_one(runs, endpoint)
    first = runs.get("two_stage")
    return AssociationResult(
        spec=spec,
        measure=described,
        endpoint=endpoint,
        estimates=pd.DataFrame([run.row for run in runs.values()], columns=list(ESTIMATE_COLUMNS)),
        models={method: run.model for method, run in runs.items() if run.model is not None},
        trajectory=first.trajectory if first else None,
        slopes=_slopes(first),
        tertiles=first.tertiles if first else None,
        caveats=tuple(caveat for run in runs.values() for caveat in run.caveats),
        origin=cohort.origin,
        exclusions=tuple(e for run in runs.values() for e in run.exclusions),
    )


def _task(
    cohort: Cohort, measure: Measure, endpoint: EndpointResult, spec: AssociationSpec
) -> Task:
    """Join follow-up, covariates and measurements of the subjects at risk."""
    columns = _subject_columns(cohort.subjects, spec)
    events = endpoint.table()
    follow_up = pd.DataFrame(
        {
            "subject_id": events["subject_id"],
            "outcome_duration": events["duration"],
            "outcome_event": events["event"],
            "outcome_baseline": events["day_baseline"],
            "outcome_end": events["day_baseline"] + events["duration"],
        }
    )
    people = follow_up.merge(
        cohort.subjects[["subject_id", *columns]], on="subject_id", validate="one_to_one"
    )
    if len(people) < len(events):
        raise DesignError(
            f"`outcome` has {len(events) - len(people)} subject(s) that the cohort has not. Derive "
            "it from this cohort."
        )
    wanted = [*OUTCOME_COLUMNS, *([spec.group] if spec.slope_model == "by_group" else [])]
    visits = cohort.visits[["subject_id", "day", "year", measure.name]].merge(
        people[["subject_id", *wanted]], on="subject_id"
    )
    if not visits[measure.name].notna().any():
        raise DesignError(
            f"No subject at risk for {endpoint.label} has a value of {measure.name!r}. Check its "
            "column, or choose another measure."
        )
    return Task(spec=spec, measure=measure, people=people, visits=visits, origin=cohort.origin)


def _subject_columns(subjects: pd.DataFrame, spec: AssociationSpec) -> list[str]:
    """List the columns of the subjects table that the spec names, all of which must exist."""
    adjustment = spec.adjustment()
    named = [("covariates", c) for c in (formula_variables(adjustment) if adjustment else ())]
    named += [("strata", c) for c in spec.strata_columns()]
    named += [("group", spec.group)] if spec.group else []
    for argument, column in named:
        if column not in subjects.columns:
            raise DesignError(
                f"`{argument}` names {column!r}, which is no column of the subjects table."
                f"{nearest(column, subjects.columns)} It has: "
                f"{', '.join(map(str, subjects.columns))}."
            )
        if column in RESERVED_COLUMNS:
            raise DesignError(
                f"`{argument}` names {column!r}, a name that is used here for the outcome or the "
                "trajectory. Give the column another one."
            )
    return [c for c in dict.fromkeys(column for _, column in named) if c != "subject_id"]


def _require_one(runs: Mapping[str, MethodRun], endpoint: EndpointResult) -> None:
    """Raise if no method was estimable."""
    if all(run.model is None for run in runs.values()):
        reasons = "; ".join(f"{METHOD_LABELS[m]}: {run.row['note']}" for m, run in runs.items())
        raise DesignError(f"The association with {endpoint.label} cannot be estimated. {reasons}")


def _slopes(run: MethodRun | None) -> pd.DataFrame:
    """Return the slopes, or an empty frame of the same columns."""
    if run is None or run.slopes is None:
        return pd.DataFrame(columns=["subject_id", "slope", "tertile"])
    return run.slopes
