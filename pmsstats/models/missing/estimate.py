"""The whole way: impute, analyse each completed data set, pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError
from pmsstats.models.missing.analyses import analyse
from pmsstats.models.missing.imputation import Imputation, impute
from pmsstats.models.missing.pooling import pool
from pmsstats.models.missing.result import ImputationResult
from pmsstats.models.missing.spec import MissingSpec
from pmsstats.provenance import package_version
from pmsstats.results import Exclusion, FitLog, exclude

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pmsstats.provenance import Origin
    from pmsstats.seeds import Seed

__all__ = ["estimate_with_missing", "log_of", "set_aside"]


def estimate_with_missing(
    visits: pd.DataFrame,
    spec: MissingSpec,
    *,
    intercurrent: pd.DataFrame | None = None,
    seed: Seed,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
) -> ImputationResult:
    """Compare arms under strategies for missing values and intercurrent events.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per subject and visit after baseline, with the columns that `spec` names.
    spec : MissingSpec
        Outcome, arms, strategies, method of imputation, analysis.
    intercurrent : pandas.DataFrame, optional
        Intercurrent events: ``subject_id event day`` (or ``visit``, the first one affected).
    seed : int, SeedSequence or Generator
        The root of all randomness.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out, to be carried along.

    Returns
    -------
    ImputationResult
        Differences from the reference arm, with what was imputed for whom.

    Raises
    ------
    DesignError
        If data and request do not go together.
    ConvergenceError
        If the imputation model cannot be fitted.

    Notes
    -----
    The steps are those of R's rbmi [1]_: draws, impute, analyse, pool. Under reference-based
    strategies Rubin's rules and resampling answer different questions: the former keep about the
    information that would be lost under MAR and so overstate the repeated-sampling variance, which
    jackknife and bootstrap estimate.

    References
    ----------
    .. [1] Gower-Page C, Noci A, Wolbers M. rbmi: a R package for standard and reference-based
       multiple imputation methods. J Open Source Softw 2022;7:4251. doi:10.21105/joss.04251.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> table = pd.DataFrame({"subject_id": np.repeat(range(60), 3)})
    >>> table["visit"] = ["W12", "W24", "W48"] * 60
    >>> table["arm"] = np.where(table["subject_id"] % 2, "active", "placebo")
    >>> table["change"] = rng.normal(size=180) + np.repeat(rng.normal(size=60), 3)
    >>> table = table[(table["visit"] != "W48") | (table["subject_id"] > 20)]
    >>> spec = MissingSpec(
    ...     outcome="change", reference="placebo", dropout="JR", method="conditional_mean"
    ... )
    >>> result = estimate_with_missing(table, spec, seed=1)
    >>> result.table()["n_imputed"].tolist()
    [0, 0, 21]
    """
    if not isinstance(spec, MissingSpec):
        raise DesignError(f"`spec` must be a MissingSpec, got {type(spec).__name__}.")
    imputation = impute(visits, spec, intercurrent=intercurrent, seed=seed)
    frame = _with_strategy(pool(analyse(imputation), spec), imputation)
    wide = imputation.wide
    return ImputationResult(
        spec=spec,
        fit_log=log_of(imputation),
        frame=frame,
        imputed=imputation.counts(),
        n_subjects=wide.n_subjects,
        n_visits=wide.n_visits,
        n_imputations=imputation.n_imputations - (imputation.draws.weights is not None),
        arms=wide.arms,
        notes=_notes(imputation),
        origin=origin,
        exclusions=(*prior_exclusions, *wide.exclusions, *set_aside(imputation)),
    )


def log_of(imputation: Imputation) -> FitLog:
    """Say how the imputation model was fitted.

    Parameters
    ----------
    imputation : Imputation
        Completed data.

    Returns
    -------
    FitLog
        Of the fit to all data.
    """
    draws = imputation.draws
    failed = (
        f"; {draws.n_failed} bootstrap samples without a fit left out" if draws.n_failed else ""
    )
    return FitLog(
        engine="native",
        engine_version=package_version(),
        optimiser="Fisher scoring and EM (REML)",
        converged=True,
        message=f"maximum found in {draws.n_steps} steps{failed}",
        n_evaluations=draws.n_steps,
    )


def set_aside(imputation: Imputation) -> tuple[Exclusion, ...]:
    """Record observed values that the strategies set aside.

    Parameters
    ----------
    imputation : Imputation
        Completed data.

    Returns
    -------
    tuple of Exclusion
        One per event.
    """
    plan = imputation.plan
    ids = np.array(plan.wide.subject_ids, dtype=object)
    found: list[Exclusion] = []
    for r, rule in enumerate(plan.rules):
        of = plan.set_aside & (plan.rule == r)[:, None]
        reason = f"observed after {rule.event} ({rule.strategy.replace('_', ' ')})"
        found += exclude("missing values", "visit", reason, sorted(ids[np.nonzero(of)[0]]))
    return tuple(found)


def _with_strategy(frame: pd.DataFrame, imputation: Imputation) -> pd.DataFrame:
    """Add what was done to whom: strategies in words, imputed values per visit."""
    plan, spec = imputation.plan, imputation.spec
    words = [
        f"{rule.event}: {rule.strategy.replace('_', ' ')}, {rule.imputation}"
        for rule in spec.strategies
    ]
    made = plan.imputed.sum(axis=0)
    by_visit = dict(zip(plan.wide.visits, made.tolist(), strict=True))
    at = frame.columns.get_loc("conf_high")
    frame.insert(int(at) + 1, "strategy", "; ".join([*words, f"dropout: {spec.dropout}"]))  # type: ignore[arg-type]
    frame["n_imputed"] = [by_visit.get(visit, int(made.sum())) for visit in frame["visit"]]
    return frame


def _notes(imputation: Imputation) -> tuple[str, ...]:
    """Say what a reader should know."""
    spec, draws, plan = imputation.spec, imputation.draws, imputation.plan
    notes = []
    if spec.delta:
        notes.append("imputed values were shifted by delta")
    if draws.n_failed:
        notes.append(f"{draws.n_failed} bootstrap samples had no fit and were left out")
    n = int(np.isnan(plan.y_kept).all(axis=1).sum())
    if n:
        notes.append(f"{n} subjects have no value of their own at any visit")
    return tuple(notes)
