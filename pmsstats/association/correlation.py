"""Correlation of the slopes of two measures, naive and corrected for their estimation error."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.association.result import estimates_row
from pmsstats.association.spec import Method, exposure
from pmsstats.association.task import MethodRun, Task
from pmsstats.association.trajectories import least_squares_slopes, slope_formula
from pmsstats.errors import ConvergenceError, DesignError
from pmsstats.models.pairs.pair import fit_pair
from pmsstats.models.pairs.pair_spec import PairSpec
from pmsstats.results import exclude

if TYPE_CHECKING:
    from pmsstats.cohort.schema import Measure

__all__ = ["run_slope_correlation", "run_slope_correlation_corrected"]

_FEWEST = 4  # pairs: Fisher's z has variance 1 / (n - 3)
_RAW_CAVEAT = (
    "Correlation of least-squares slopes: measurement error of both slopes pulls it towards 0."
)
_CORRECTED_CAVEAT = (
    "Correlation of true slopes: the slope of {outcome} is that of a straight line over all "
    "visits, also those after the event."
)


def run_slope_correlation(task: Task) -> MethodRun:
    """Correlate the subjects' own least-squares slopes.

    Parameters
    ----------
    task : Task
        Subjects at risk and their visits.

    Returns
    -------
    MethodRun
        Pearson correlation, both slopes turned towards worse, with Fisher's interval.
    """
    method: Method = "slope_correlation"
    outcome = task.outcome_measure
    if outcome is None:
        return _without_outcome(method, task)
    parts = [
        least_squares_slopes(task.visits[task.visits[m.name].notna()], m).set_index("subject_id")
        for m in (task.measure, outcome)
    ]
    slopes = pd.concat(parts, axis=1, join="inner", keys=["first", "second"])
    missing = task.people.loc[~task.people["subject_id"].isin(slopes.index), "subject_id"]
    reason = f"fewer than two values of {task.measure.label} or of {outcome.label}"
    left_out = exclude(f"association {method}", "subject", reason, missing)
    x, y = (slopes[name]["slope"].to_numpy() for name in ("first", "second"))
    if len(slopes) < _FEWEST or not (x.std() > 0 and y.std() > 0):
        row = _row(method, task, outcome, n_subjects=len(slopes), note="too few slopes that differ")
        return MethodRun(row=row, exclusions=left_out)
    sign = exposure(task.measure, method).sign * exposure(outcome, method).sign
    r = sign * float(np.corrcoef(x, y)[0, 1])
    half = stats.norm.ppf((1 + task.spec.conf_level) / 2) / math.sqrt(len(slopes) - 3)
    z = math.atanh(r)
    statistic = r * math.sqrt((len(slopes) - 2) / (1 - r**2))
    row = _row(
        method,
        task,
        outcome,
        estimate=r,
        std_error=(1 - r**2) / math.sqrt(len(slopes) - 3),
        statistic=statistic,
        p_value=float(2 * stats.t.sf(abs(statistic), len(slopes) - 2)),
        conf_low=math.tanh(z - half),
        conf_high=math.tanh(z + half),
        n_subjects=len(slopes),
    )
    return MethodRun(row=row, exclusions=left_out, caveats=(_RAW_CAVEAT,))


def run_slope_correlation_corrected(task: Task) -> MethodRun:
    """Estimate the correlation of the true slopes by a bivariate mixed model.

    Parameters
    ----------
    task : Task
        Subjects at risk and their visits.

    Returns
    -------
    MethodRun
        Correlation, both slopes turned towards worse, and the model.
    """
    method: Method = "slope_correlation_corrected"
    outcome = task.outcome_measure
    if outcome is None:
        return _without_outcome(method, task)
    stage = f"association {method}"
    neither = task.visits[[task.measure.name, outcome.name]].isna().all(axis=1)
    left_out = exclude(
        stage,
        "visit",
        f"neither {task.measure.label} nor {outcome.label}",
        task.visits.loc[neither, "subject_id"],
    )
    spec = PairSpec(
        first=slope_formula(task.measure, task.spec),
        second=slope_formula(outcome, task.spec),
        conf_level=task.spec.conf_level,
    )
    try:
        pair = fit_pair(task.visits[~neither], spec, origin=task.origin)
        found = pair.slope_correlation()
    except (DesignError, ConvergenceError) as exc:
        n = int(task.visits.loc[~neither, "subject_id"].nunique())
        row = _row(method, task, outcome, n_subjects=n, note=str(exc))
        return MethodRun(row=row, exclusions=left_out)
    sign = exposure(task.measure, method).sign * exposure(outcome, method).sign
    low, high = sorted((sign * found.conf_low, sign * found.conf_high))
    row = _row(
        method,
        task,
        outcome,
        estimate=sign * found.estimate,
        std_error=found.std_error,
        statistic=sign * found.statistic,
        p_value=found.p_value,
        conf_low=low,
        conf_high=high,
        n_subjects=pair.n_subjects,
    )
    return MethodRun(
        row=row,
        pair=pair,
        # a visit with one of the two measures is used
        exclusions=(
            *left_out,
            *(replace(e, stage=stage) for e in pair.exclusions if e.unit == "subject"),
        ),
        caveats=(_CORRECTED_CAVEAT.format(outcome=outcome.label),),
    )


def _row(method: Method, task: Task, outcome: Measure, **values: Any) -> dict[str, Any]:
    """Fill a row of the estimates, named by both slopes."""
    first, second = (exposure(m, method).words for m in (task.measure, outcome))
    term = f"{task.measure.label}: {first.partition(' of ')[0]} with {second}"
    return estimates_row(method, task.measure, **values) | {"term": term, "sd_unit": ""}


def _without_outcome(method: Method, task: Task) -> MethodRun:
    """Say that there is nothing to correlate with."""
    note = (
        f"{task.outcome_label} is derived from no measure with a trajectory; name one in "
        "`outcome_measure`"
    )
    n = int(task.people["subject_id"].nunique())
    return MethodRun(row=estimates_row(method, task.measure, n_subjects=n, note=note))
