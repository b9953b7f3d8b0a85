"""The mission in one call: does the trajectory of a measure go with an outcome, and how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import pandas as pd

from pmsstats.association.correlation import (
    run_slope_correlation,
    run_slope_correlation_corrected,
)
from pmsstats.association.joint_models import run_joint_slope, run_joint_value
from pmsstats.association.landmark import run_landmark
from pmsstats.association.result import ESTIMATE_COLUMNS, AssociationResult
from pmsstats.association.risk_set import run_risk_set
from pmsstats.association.spec import DEFAULT_METHODS, METHOD_LABELS, AssociationSpec, Method
from pmsstats.association.task import OUTCOME_COLUMNS, RESERVED_COLUMNS, MethodRun, Task
from pmsstats.association.time_varying import run_time_varying
from pmsstats.association.two_stage import run_two_stage, run_two_stage_raw
from pmsstats.cohort import Cohort
from pmsstats.cohort.schema import Measure
from pmsstats.endpoints import EndpointResult, derive_endpoint
from pmsstats.errors import DesignError, nearest
from pmsstats.models.formulas.formula import formula_variables

__all__ = ["associate"]

_METHODS: Mapping[str, Callable[[Task], MethodRun]] = {
    "slope_correlation": run_slope_correlation,
    "slope_correlation_corrected": run_slope_correlation_corrected,
    "two_stage_raw": run_two_stage_raw,
    "two_stage": run_two_stage,
    "risk_set": run_risk_set,
    "landmark": run_landmark,
    "joint_slope": run_joint_slope,
    "time_varying": run_time_varying,
    "joint_value": run_joint_value,
}


def associate(
    cohort: Cohort,
    measure: str,
    outcome: EndpointResult | str | Mapping[str, Any] | Any,
    *,
    methods: tuple[Method, ...] = DEFAULT_METHODS,
    covariates: str | tuple[str, ...] = (),
    group: str | None = None,
    strata: str | tuple[str, ...] = (),
    slope_model: Literal["common", "by_group"] = "common",
    slope_visits: Literal["all", "until_event"] = "all",
    outcome_measure: str | None = None,
    landmarks: tuple[float, ...] | None = None,
    event_times: Literal["observed", "interval"] = "observed",
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
    methods : tuple of str
        Keys of :data:`pmsstats.association.spec.METHODS`; all but ``"risk_set"`` by default.
    covariates : str or tuple of str
        Baseline covariates that the hazard models adjust for: columns of the subjects table, or
        the right-hand side of a formula on them.
    group : str, optional
        Column of the subjects table, for `slope_model`.
    strata : str or tuple of str
        Columns of the subjects table whose values have baseline hazards of their own.
    slope_model : {"common", "by_group"}, default "common"
        Whether individual slopes are shrunk towards one mean slope or that of their group.
    slope_visits : {"all", "until_event"}, default "all"
        Which measurements the two-stage slopes may use.
    outcome_measure : str, optional
        Measure whose slope is correlated with that of `measure`; by default the one that the
        outcome is derived from.
    landmarks : tuple of float, optional
        Years from the outcome's baseline for the landmark method; by default half of the longest
        follow-up, but no later than 2.
    event_times : {"observed", "interval"}, default "observed"
        Whether joint models take the event at the visit that showed it, or anywhere between that
        visit and the one before.
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
    which direction that is; for measures where it does not, per SD higher. For slopes the SD is
    that of the *true* slopes, as a mixed model estimates it: that of least-squares slopes would
    grow with measurement error, that of predicted slopes shrink with the number of visits.

    Methods on the **slope**, from crude to best founded:

    - ``two_stage_raw``: a Cox model on each subject's least-squares slope, as if it were known.
      Its error pulls the hazard ratio towards 1.
    - ``two_stage``: regression calibration [1]_. A mixed model ``measure ~ year + (year |
      subject_id)`` (REML) predicts each subject's slope [2]_, and a Cox model takes the prediction
      for the truth. By default the slopes use every measurement, also those after the event. That
      answers whether the rate *goes with* the outcome; it does not predict, and is biased where
      the event or its treatment changes the measure. With ``slope_visits="until_event"`` subjects
      with early events have few visits and slopes shrunken to the mean, so that an association
      that is there is weakened.
    - ``risk_set``: slopes are predicted anew as time goes on, from the past of those still at risk
      [3]_.
    - ``landmark``: slopes from measurements up to the landmark, events after it [4]_. The only one
      whose hazard ratio is one of prediction.
    - ``joint_slope``: the mixed model and the hazard in one likelihood [5]_. It uses measurements
      up to the event only, allows for the error of the slopes and for the dropout that the event
      causes. Slope and level both act on the hazard, and the estimate is the total association of
      the slope (:func:`pmsstats.models.estimate_total_association`): without holding levels equal,
      as in the other methods. It is unbiased where its assumptions hold: straight courses, normal
      random effects, a hazard that depends on nothing else that goes with them.

    Methods on the **current value** answer another question, whether a low value, not a fast
    decline, goes with the outcome:

    - ``time_varying``: a Cox model on the last value measured before each day, per SD between
      subjects at the start of follow-up. Error and age of that value pull the ratio towards 1.
    - ``joint_value``: the joint model of the true current value, per SD of true values at baseline.

    **Correlation of slopes**, of `measure` and of `outcome_measure`, both turned towards worse:
    ``slope_correlation`` is Pearson's of least-squares slopes, pulled towards 0 by the error of
    both; ``slope_correlation_corrected`` that of the true slopes in a bivariate mixed model [6]_.

    How biased each is under a known truth, and what its interval covers, is found by
    :func:`pmsstats.validation.check_association`. In 3,000 synthetic subjects (preset
    "progressive", seed 1, thalamic volume, 12-week confirmed progression) a Cox model on the true
    slopes gives a log hazard ratio of 0.34 per SD; two-stage gave 0.42 with all visits and 0.24
    with those until the event (``tests/association/test_recovery.py``): predicted slopes borrow
    from levels, which tell of the same processes, and those who worsened leave earlier.

    **Thirds.** Kaplan-Meier curves by third of the predicted slopes show the same as the two-stage
    model, without assuming proportional hazards.

    References
    ----------
    .. [1] Prentice RL. Covariate measurement errors and parameter estimation in a failure time
       regression model. Biometrika 1982;69:331-342. doi:10.1093/biomet/69.2.331
    .. [2] Laird NM, Ware JH. Random-effects models for longitudinal data. Biometrics
       1982;38:963-974. doi:10.2307/2529876
    .. [3] Xie SX, Wang CY, Prentice RL. A risk set calibration method for failure time regression
       by using a covariate reliability sample. J R Stat Soc B 2001;63:855-870.
       doi:10.1111/1467-9868.00317
    .. [4] van Houwelingen HC. Dynamic prediction by landmarking in event history analysis.
       Scand J Stat 2007;34:70-85. doi:10.1111/j.1467-9469.2006.00529.x
    .. [5] Wulfsohn MS, Tsiatis AA. A joint model for survival and longitudinal data measured with
       error. Biometrics 1997;53:330-339. doi:10.2307/2533118
    .. [6] Shah A, Laird N, Schoenfeld D. A random-effects model for multiple characteristics with
       possibly missing data. J Am Stat Assoc 1997;92:775-779. doi:10.1080/01621459.1997.10474030
    """
    spec = AssociationSpec(
        measure=measure,
        methods=methods,
        covariates=covariates,
        strata=strata,
        group=group,
        slope_model=slope_model,
        slope_visits=slope_visits,
        outcome_measure=outcome_measure,
        landmarks=landmarks,
        event_times=event_times,
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
        outcome_measure=task.outcome_measure,
        estimates=pd.DataFrame([run.row for run in runs.values()], columns=list(ESTIMATE_COLUMNS)),
        models={method: run.model for method, run in runs.items() if run.model is not None},
        joint_models={method: run.joint for method, run in runs.items() if run.joint is not None},
        pair=next((run.pair for run in runs.values() if run.pair is not None), None),
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
            "outcome_left": events["interval_left"],
            "outcome_right": events["interval_right"],
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
    other = _outcome_measure(cohort, endpoint, spec)
    values = [measure.name, *([other.name] if other and other.name != measure.name else [])]
    visits = cohort.visits[["subject_id", "day", "year", *values]].merge(
        people[["subject_id", *wanted]], on="subject_id"
    )
    if not visits[measure.name].notna().any():
        raise DesignError(
            f"No subject at risk for {endpoint.label} has a value of {measure.name!r}. Check its "
            "column, or choose another measure."
        )
    return Task(
        spec=spec,
        measure=measure,
        people=people,
        visits=visits,
        outcome_measure=other,
        outcome_label=endpoint.label,
        origin=cohort.origin,
    )


def _outcome_measure(
    cohort: Cohort, endpoint: EndpointResult, spec: AssociationSpec
) -> Measure | None:
    """Find the measure whose trajectory stands for the outcome: named, or the endpoint's own."""
    if spec.outcome_measure is not None:
        if spec.outcome_measure == spec.measure:
            raise DesignError(
                f"`outcome_measure` is {spec.measure!r}, the measure itself. Name another one."
            )
        return cohort.measure(spec.outcome_measure)
    name = getattr(endpoint.rule, "outcome", None)
    return cohort.measure(name) if name in cohort.visits and name != spec.measure else None


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
    if all(run.row["note"] for run in runs.values()):
        reasons = "; ".join(f"{METHOD_LABELS[m]}: {run.row['note']}" for m, run in runs.items())
        raise DesignError(f"The association with {endpoint.label} cannot be estimated. {reasons}")


def _slopes(run: MethodRun | None) -> pd.DataFrame:
    """Return the slopes, or an empty frame of the same columns."""
    if run is None or run.slopes is None:
        return pd.DataFrame(columns=["subject_id", "slope", "tertile"])
    return run.slopes
