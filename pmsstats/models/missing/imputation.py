"""Values for the missing ones: given what was seen, under each subject's strategy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from pmsstats.models.missing.deltas import shifts
from pmsstats.models.missing.draws import Draws, draw_models
from pmsstats.models.missing.events import Plan, plan_events
from pmsstats.models.missing.layout import DAYS_PER_YEAR, lay_out
from pmsstats.models.missing.spec import MissingSpec
from pmsstats.models.missing.strategies import STRATEGIES
from pmsstats.seeds import Seed, as_seed_sequence, stream

if TYPE_CHECKING:
    from pmsstats.models.missing.layout import WideVisits

__all__ = ["Imputation", "complete_values", "impute"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Imputation:
    """Completed data sets.

    Parameters
    ----------
    spec : MissingSpec
        What was asked.
    plan : Plan
        What was done to each value.
    draws : Draws
        The imputation models.
    completed : ndarray, shape (n_imputations, n_subjects, n_visits)
        Outcomes without gaps; subjects in the order of ``plan.wide``. Shifts by ``delta`` are in
        them. For conditional means the first is the data's own, and each other a resample's.
    """

    spec: MissingSpec
    plan: Plan
    draws: Draws
    completed: np.ndarray

    @property
    def wide(self) -> WideVisits:
        """Return the trial's arrays."""
        return self.plan.wide

    @property
    def n_imputations(self) -> int:
        """Return the number of completed data sets."""
        return len(self.completed)

    def frame(self, index: int) -> pd.DataFrame:
        """Return one completed data set.

        Parameters
        ----------
        index : int
            Which, from 0.

        Returns
        -------
        pandas.DataFrame
            One row per subject and visit: subject, arm, visit, covariates, outcome, ``imputed``,
            and ``year`` (nominal) where days are known. In a bootstrap sample a subject that was
            drawn again has ``#2``, ``#3`` after its name.
        """
        wide, spec = self.wide, self.spec
        weights = self.draws.weights
        counts = np.ones(wide.n_subjects) if weights is None else weights[index]
        rows = np.repeat(np.arange(wide.n_subjects), counts.astype(int))
        copy = np.arange(len(rows)) - np.searchsorted(rows, rows)
        ids = np.array(wide.subject_ids, dtype=object)[rows]
        ids = [f"{i}#{c + 1}" if c else i for i, c in zip(ids, copy.tolist(), strict=True)]
        T = wide.n_visits
        table = {
            spec.subject: np.repeat(np.array(ids, dtype=object), T),
            spec.arm: pd.Categorical.from_codes(
                np.repeat(wide.arm[rows], T), categories=list(wide.arms), ordered=True
            ),
            spec.visit: pd.Categorical.from_codes(
                np.tile(np.arange(T), len(rows)), categories=list(wide.visits), ordered=True
            ),
            spec.outcome: self.completed[index][rows].ravel(),
            "imputed": self.plan.imputed[rows].ravel(),
        }
        for name in spec.covariates:
            table[name] = wide.baseline[name].to_numpy()[np.repeat(rows, T)]
        if not np.isnan(wide.nominal_days).any():
            table["year"] = np.tile(wide.nominal_days / DAYS_PER_YEAR, len(rows))
        return pd.DataFrame(table)

    def counts(self) -> pd.DataFrame:
        """Count imputed and replaced values.

        Returns
        -------
        pandas.DataFrame
            ``arm event strategy imputation n_subjects n_imputed n_replaced n_set_aside``: one row
            per arm and event with any; values missed between visits have the event ``gap``.
        """
        return _counts(self.plan)


def impute(
    visits: pd.DataFrame,
    spec: MissingSpec,
    *,
    intercurrent: pd.DataFrame | None = None,
    seed: Seed,
) -> Imputation:
    """Impute missing values under the strategies of an estimand.

    Parameters
    ----------
    visits : pandas.DataFrame
        One row per subject and visit after baseline, with the columns that `spec` names. Visits
        that were missed have no row, or no outcome; a subject without any value needs one row.
    spec : MissingSpec
        Outcome, arms, strategies, method.
    intercurrent : pandas.DataFrame, optional
        Intercurrent events: ``subject_id event day`` (or ``visit``, the first one affected).
    seed : int, SeedSequence or Generator
        The root of all randomness.

    Returns
    -------
    Imputation
        Completed data sets; see
        :func:`~pmsstats.models.missing.estimate.estimate_with_missing` for their analysis.

    Raises
    ------
    DesignError
        If data and request do not go together.
    ConvergenceError
        If the imputation model cannot be fitted.

    Notes
    -----
    The imputation model is normal: a mean per arm and visit, effects of covariates per visit, an
    unstructured covariance. Missing values are drawn (or, for conditional means, expected) given
    all kept values of the subject, under the joint distribution of its strategy. Values missed
    before the event that governs a subject are imputed as MAR together with those after it.
    Nothing depends on the order of rows or on what subjects are called.

    Examples
    --------
    >>> rng = np.random.default_rng(7)
    >>> table = pd.DataFrame({"subject_id": np.repeat(range(60), 3)})
    >>> table["visit"] = ["W12", "W24", "W48"] * 60
    >>> table["arm"] = np.where(table["subject_id"] % 2, "active", "placebo")
    >>> table["change"] = rng.normal(size=180) + np.repeat(rng.normal(size=60), 3)
    >>> spec = MissingSpec(outcome="change", reference="placebo", dropout="JR", n_imputations=5)
    >>> impute(table[table.index % 7 != 5], spec, seed=1).completed.shape
    (5, 60, 3)
    """
    root = as_seed_sequence(seed)
    plan = plan_events(lay_out(visits, spec), spec, intercurrent)
    shift = shifts(plan, spec.delta)
    draws = draw_models(plan, spec, seed=root)
    rng = stream(root, "residuals") if draws.is_random else None
    completed = complete_values(plan, draws, rng)
    completed += shift
    _replace(completed, plan, spec)
    return Imputation(spec=spec, plan=plan, draws=draws, completed=completed)


def complete_values(plan: Plan, draws: Draws, rng: np.random.Generator | None) -> np.ndarray:
    """Fill the gaps of every subject in every draw.

    Parameters
    ----------
    plan : Plan
        Kept values, strategies.
    draws : Draws
        Parameters.
    rng : numpy.random.Generator, optional
        For residuals; without it the conditional means are filled in.

    Returns
    -------
    ndarray, shape (n_draws, n_subjects, n_visits)
        Replaced values are filled too, as if MAR; they are overwritten later.
    """
    wide = plan.wide
    own = wide.regressors()
    reference = wide.regressors(all_in_reference=True)
    completed = np.broadcast_to(plan.y_kept, (len(draws.coefs), *plan.y_kept.shape)).copy()
    n_groups = draws.covariances.shape[1]
    cov_reference = draws.covariances[:, 0]
    for rows, name, before in _cells(plan):
        arm = int(wide.arm[rows[0]]) if n_groups > 1 else 0
        cov_own = draws.covariances[:, arm] if arm else cov_reference
        mu_own, mu_reference = own[rows] @ draws.coefs, reference[rows] @ draws.coefs
        mu, sigma = STRATEGIES[name](mu_own, mu_reference, cov_own, cov_reference, before)
        gap = np.isnan(plan.y_kept[rows[0]])
        values = _conditional(plan.y_kept[rows], gap, mu, sigma, rng)
        completed[:, rows[:, None], np.flatnonzero(gap)] = values
    return completed


def _cells(plan: Plan) -> list[tuple[np.ndarray, str, int]]:
    """List subjects that share arm, strategy, event visit and gaps."""
    gaps = np.isnan(plan.y_kept)
    names = list(STRATEGIES)
    code = np.array([names.index(name) for name in plan.strategy])
    before = np.where(code > 0, plan.n_before, 0)  # MAR looks at no event
    keys = np.column_stack([plan.wide.arm, code, before, gaps])
    found, member = np.unique(keys, axis=0, return_inverse=True)
    return [
        (np.flatnonzero(member.ravel() == i), names[int(key[1])], int(key[2]))
        for i, key in enumerate(found)
        if key[3:].any()
    ]


def _conditional(
    y: np.ndarray,
    gap: np.ndarray,
    mu: np.ndarray,
    sigma: np.ndarray,
    rng: np.random.Generator | None,
) -> np.ndarray:
    """Return values at the gaps given the others, shape (n_draws, n_subjects, n_gaps)."""
    seen = ~gap
    slopes = np.linalg.solve(sigma[:, seen][:, :, seen], sigma[:, seen][:, :, gap])
    values: np.ndarray = mu[..., gap] + (y[:, seen] - mu[..., seen]) @ slopes
    if rng is None:
        return values
    rest = sigma[:, gap][:, :, gap] - sigma[:, gap][:, :, seen] @ slopes
    noise = rng.standard_normal(values.shape)
    return values + noise @ np.swapaxes(np.linalg.cholesky(rest), -1, -2)


def _replace(completed: np.ndarray, plan: Plan, spec: MissingSpec) -> None:
    """Put failure values, and last values on treatment, in place."""
    named = np.array([*(rule.strategy for rule in plan.rules), ""], dtype=object)[plan.rule]
    for r, rule in enumerate(plan.rules):
        if rule.strategy == "composite":
            completed[:, (plan.rule == r)[:, None] & plan.replaced] = rule.failure_value
    for i in np.flatnonzero(named == "while_on_treatment"):
        at = int(plan.n_before[i])
        completed[:, i, at:] = completed[:, i, at - 1, None] if at else _start(plan, spec, int(i))


def _start(plan: Plan, spec: MissingSpec, row: int) -> float:
    """Return the value that holds before the first visit."""
    if isinstance(spec.before_first, str):
        return float(plan.wide.baseline[spec.before_first].iloc[row])
    return float(spec.before_first or 0.0)


def _counts(plan: Plan) -> pd.DataFrame:
    """Count values per arm and event."""
    wide, after, aside = plan.wide, plan.after, plan.set_aside
    between = plan.imputed & ~after
    rows = []
    for a, arm in enumerate(wide.arms):
        mine = wide.arm == a
        for r, rule in enumerate(plan.rules):
            of = mine & (plan.rule == r)
            made = (plan.imputed & after)[of]
            rows.append((
                arm, rule.event, rule.strategy, rule.imputation, int(of.sum()), int(made.sum()),
                int(plan.replaced[of].sum()), int(aside[of].sum()),
            ))  # fmt: skip
        gaps = between[mine]
        n = int(gaps.any(axis=1).sum())
        rows.append((arm, "gap", "hypothetical", "MAR", n, int(gaps.sum()), 0, 0))
    columns = ["arm", "event", "strategy", "imputation", "n_subjects", "n_imputed"]
    table = pd.DataFrame(rows, columns=[*columns, "n_replaced", "n_set_aside"])
    return table[table["n_subjects"] > 0].reset_index(drop=True)
