"""What every method of an association starts from and gives, and the Cox model they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.association.result import estimates_row
from pmsstats.association.spec import AssociationSpec, Method
from pmsstats.association.trajectories import Trajectories, fit_trajectories, visits_for_slopes
from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.curves.kaplan_meier import KMResult
from pmsstats.models.events.survival import CoxResult, CoxSpec, fit_cox
from pmsstats.models.formulas.formula import formula_variables
from pmsstats.results import Exclusion, exclude

if TYPE_CHECKING:
    from pmsstats.cohort.schema import Measure
    from pmsstats.models.curves.kaplan_meier import KMResult
    from pmsstats.models.joint.result import JointResult
    from pmsstats.models.mixed.lmm import LMMResult
    from pmsstats.models.pairs.pair_result import PairResult
    from pmsstats.provenance import Origin

__all__ = [
    "OUTCOME_COLUMNS",
    "RESERVED_COLUMNS",
    "MethodRun",
    "Task",
    "complete_people",
    "not_estimable",
    "relate",
    "too_few_events",
    "within",
]

OUTCOME_COLUMNS = (
    "outcome_duration", "outcome_event", "outcome_baseline", "outcome_end", "outcome_left",
    "outcome_right",
)  # fmt: skip
"""Follow-up of each subject, in days; between the last two the event came, if it did."""
RESERVED_COLUMNS = (
    *OUTCOME_COLUMNS, "outcome_start", "outcome_stop", "outcome_year",
    "outcome_stratum", "slope", "slope_per_sd", "value",
    "value_per_sd", "tertile",
)  # fmt: skip
"""Names that no covariate may have."""


_NO_SPREAD = 1e-6  # SD of an exposure over that of the measure: below, there is nothing to relate


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """What a method starts from.

    Parameters
    ----------
    spec : AssociationSpec
        The request.
    measure : Measure
        Whose trajectory it is.
    people : pandas.DataFrame
        One row per subject at risk: ``subject_id``, :data:`OUTCOME_COLUMNS` and the columns of the
        subjects table that the spec names.
    visits : pandas.DataFrame
        Their visits: ``subject_id day year``, the measure and that of the outcome, the outcome
        columns, and the group where the mixed model needs it.
    outcome_measure : Measure, optional
        Whose slope correlations relate to; None where the outcome is derived from no measure.
    outcome_label : str
        The event in clinical words.
    origin : {"real", "synthetic"}
        Of the cohort.
    """

    spec: AssociationSpec
    measure: Measure
    people: pd.DataFrame
    visits: pd.DataFrame
    outcome_measure: Measure | None
    outcome_label: str
    origin: Origin

    @cached_property
    def trajectories(self) -> Trajectories:
        """Mixed model of the measure, fitted once for all methods that need it."""
        return fit_trajectories(visits_for_slopes(self, "association")[0], self)

    def has_spread(self, sd: float) -> bool:
        """Say whether an exposure differs between subjects at all.

        Parameters
        ----------
        sd : float
            Its standard deviation; NaN where there is one subject.

        Returns
        -------
        bool
            False also for what is only rounding.
        """
        return bool(sd > _NO_SPREAD * float(self.visits[self.measure.name].std()))


@dataclass(frozen=True, kw_only=True, eq=False)
class MethodRun:
    """What a method gives.

    Parameters
    ----------
    row : dict
        Its row of the estimates.
    model : CoxResult, optional
        None where it has none, or was not estimable.
    joint : JointResult, optional
        Likewise.
    pair : PairResult, optional
        Likewise.
    trajectory : LMMResult, optional
        The mixed model behind it, if it has one.
    slopes : pandas.DataFrame, optional
        ``subject_id slope tertile``.
    tertiles : KMResult, optional
        Curves by third of the slope.
    exclusions : tuple of Exclusion
        What it left out.
    caveats : tuple of str
        What a reader should know.
    """

    row: dict[str, Any]
    model: CoxResult | None = None
    joint: JointResult | None = None
    pair: PairResult | None = None
    trajectory: LMMResult | None = None
    slopes: pd.DataFrame | None = None
    tertiles: KMResult | None = None
    exclusions: tuple[Exclusion, ...] = ()
    caveats: tuple[str, ...] = ()


def within(
    people: pd.DataFrame, ids: pd.Series, reason: str, stage: str
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Keep the subjects that occur among some ids.

    Parameters
    ----------
    people : pandas.DataFrame
        One row per subject.
    ids : pandas.Series
        Subject ids; repeats do no harm.
    reason : str
        Why the others are left out.
    stage : str
        For the exclusions.

    Returns
    -------
    tuple of (pandas.DataFrame, tuple of Exclusion)
        Those kept, and what was left out.
    """
    mask = people["subject_id"].isin(ids)
    return people[mask], exclude(stage, "subject", reason, people.loc[~mask, "subject_id"])


def complete_people(
    people: pd.DataFrame, spec: AssociationSpec, stage: str
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Keep the subjects that have follow-up, every covariate and a stratum.

    Parameters
    ----------
    people : pandas.DataFrame
        One row per subject.
    spec : AssociationSpec
        Names covariates and strata.
    stage : str
        For the exclusions.

    Returns
    -------
    tuple of (pandas.DataFrame, tuple of Exclusion)
        Those kept, and what was left out.
    """
    adjustment = spec.adjustment()
    columns = [*(formula_variables(adjustment) if adjustment else ()), *spec.strata_columns()]
    checks: list[tuple[Callable[[pd.DataFrame], pd.Series], str]] = [
        (lambda d: d["outcome_duration"] <= 0, "no follow-up (duration 0)"),
        *((lambda d, c=c: _missing(d[c]), f"no {c}") for c in columns),
    ]
    left_out: tuple[Exclusion, ...] = ()
    for is_bad, reason in checks:
        mask = is_bad(people)
        left_out += exclude(stage, "subject", reason, people.loc[mask, "subject_id"])
        people = people[~mask]
    return people, left_out


def _missing(values: pd.Series) -> pd.Series:
    """Say which values are missing, or infinite."""
    return values.isna() | values.isin([np.inf, -np.inf])


def not_estimable(method: Method, task: Task, data: pd.DataFrame, reason: str) -> dict[str, Any]:
    """Fill the row of a method that is not estimable.

    Parameters
    ----------
    method : str
        The method.
    task : Task
        What it started from.
    data : pandas.DataFrame
        ``subject_id outcome_event`` as far as it got.
    reason : str
        Why it got no further.

    Returns
    -------
    dict
        Estimates missing, counts and note filled.
    """
    return estimates_row(
        method,
        task.measure,
        n_subjects=int(data["subject_id"].nunique()),
        n_events=int(data["outcome_event"].sum()),
        note=reason,
    )


def relate(
    method: Method,
    task: Task,
    data: pd.DataFrame,
    *,
    term: str,
    sd: float,
    no_spread: str,
    times: Mapping[str, str],
) -> tuple[dict[str, Any], CoxResult | None, tuple[Exclusion, ...]]:
    """Fit the Cox model of a method, or say why it cannot be.

    Parameters
    ----------
    method : str
        The method.
    task : Task
        What it started from.
    data : pandas.DataFrame
        Rows at risk, with the exposure per SD as column `term` and all covariates.
    term : str
        The exposure's column.
    sd : float
        Its SD, in its unit.
    no_spread : str
        What to say where that is zero.
    times : mapping
        The time arguments of CoxSpec.

    Returns
    -------
    tuple of (dict, CoxResult or None, tuple of Exclusion)
        The row of the estimates, the model, and what it left out.
    """
    reason = too_few_events(data, task.spec) or ("" if task.has_spread(sd) else no_spread)
    if reason:
        return not_estimable(method, task, data, reason), None, ()
    adjustment = task.spec.adjustment()
    spec = CoxSpec(
        covariates=f"{term} + {adjustment}" if adjustment else term,
        event="outcome_event",
        strata=task.spec.strata_columns(),
        conf_level=task.spec.conf_level,
        **times,
    )
    try:
        model = fit_cox(data, spec, origin=task.origin)
    except (DesignError, ConvergenceError) as exc:
        return not_estimable(method, task, data, str(exc)), None, ()
    row = estimates_row(
        method,
        task.measure,
        **model.table().set_index("term").loc[term].to_dict(),
        sd=sd,
        n_subjects=model.n_subjects,
        n_events=model.n_events,
    )
    stage = f"association {method}"
    return row, model, tuple(replace(e, stage=stage) for e in model.exclusions)


def too_few_events(data: pd.DataFrame, spec: AssociationSpec) -> str:
    """Say so if there are too few events.

    Parameters
    ----------
    data : pandas.DataFrame
        ``subject_id outcome_event``.
    spec : AssociationSpec
        Says how many are needed.

    Returns
    -------
    str
        Empty if there are enough.
    """
    n_events = int(data["outcome_event"].sum())
    if n_events >= spec.min_events:
        return ""
    return (
        f"only {n_events} event(s) among {data['subject_id'].nunique()} subject(s) with data; at "
        f"least {spec.min_events} are needed"
    )
