"""Missing values imputed by conditional means, and the change compared at the last visit."""

from __future__ import annotations

import numpy as np

from pmsstats.errors import DesignError
from pmsstats.models.missing.batch import impute_batch
from pmsstats.trials.analyses.answers import NO_SUBJECTS, answer, first_reason
from pmsstats.trials.analyses.layouts import arm_layouts, count_by_arm
from pmsstats.trials.analyses.least_squares import least_squares_batch
from pmsstats.trials.analyses.options import check_options, choice, option
from pmsstats.trials.analyses.windows import TrialWindow
from pmsstats.trials.outcomes import AnalysisBatch

__all__ = ["analyse_imputed"]

_STRATEGIES = ("MAR", "JR", "CR", "CIR", "LMCF")
_GROUPS = 20


def analyse_imputed(window: TrialWindow) -> AnalysisBatch:
    """Compare imputed values at the last visit, adjusted for the first, in each replicate.

    Parameters
    ----------
    window : TrialWindow
        Subjects and visits; those without a value at the first visit are left out.

    Returns
    -------
    AnalysisBatch
        Units of the measure.

    Raises
    ------
    DesignError
        If factors are to be compared, strategies differ, or an option is unknown.

    Notes
    -----
    Conditional means under a multivariate normal model with a mean per arm and visit take the
    place of missing values [1]_ (:func:`~pmsstats.models.missing.batch.impute_batch`). Values
    after an intercurrent event with a strategy of imputation (``"JR"``, ``"CR"``, ``"CIR"``,
    ``"LMCF"``) are imputed by it; other missing ones by option ``strategy`` (``"MAR"`` by default),
    and only one of the two can be another than ``"MAR"``. Errors are those of a jackknife that
    leaves out one of option ``n_groups`` (20) groups of subjects at a time and repeats both steps
    [2]_; the t test has as many degrees of freedom, less one.

    References
    ----------
    .. [1] Wolbers M, Noci A, Delmar P, Gower-Page C, Yiu S, Bartlett JW. Standard and
       reference-based conditional mean imputation. Pharm Stat 2022;21:1246-1257.
       doi:10.1002/pst.2234
    .. [2] Kott PS. The delete-a-group jackknife. J Off Stat 2001;17:521-526.
    """
    check_options(window.analysis, "strategy", "n_groups")
    if window.comparisons.by_factor or window.analysis.covariates:
        raise DesignError(
            f"Analysis {window.analysis.name!r} by imputation compares arms, without covariates. "
            "Leave `by` and `covariates` out."
        )
    values = window.values(window.endpoint.measure)
    complete = (window.code >= 0) & ~np.isnan(values[..., 0])
    code = np.where(complete, window.code, np.int8(-1))
    counts = count_by_arm(code, complete, window.n_arms)
    n_comparisons = len(window.comparisons.names)
    n_groups = _n_groups(window)
    estimate, error = np.full((2, len(code), n_comparisons), np.nan)
    few = (counts < n_groups).any(axis=1)
    strategy, before = _events(window, values)
    for layout in arm_layouts(np.where(few[:, None], np.int8(-1), code), window.n_arms, exact=True):
        if not layout.arm.size:
            continue
        seen = None if before is None else layout.take(before).astype(np.int64)
        found = _jackknife(layout.take(values), layout.arm, seen, strategy, n_groups)
        estimate[layout.rows], error[layout.rows] = found
    return answer(
        window.comparisons,
        estimate=estimate,
        std_error=error,
        df=n_groups - 1,
        counts=counts,
        reason=first_reason(
            estimate.shape,
            ((counts == 0).any(axis=1)[:, None], NO_SUBJECTS),
            (few[:, None], "fewer subjects in an arm than groups of the jackknife"),
            (np.isnan(error), "no fit of the imputation model"),
        ),
        truth_sign=window.sign(),
    )


def _n_groups(window: TrialWindow) -> int:
    """Return the number of groups of the jackknife."""
    groups = option(window.analysis, "n_groups", _GROUPS)
    if not isinstance(groups, int) or groups < 2:
        raise DesignError(
            f"Option `n_groups` of analysis {window.analysis.name!r} must be a whole number of 2 "
            f"or more, got {groups!r}."
        )
    return groups


def _events(window: TrialWindow, values: np.ndarray) -> tuple[str, np.ndarray | None]:
    """Return the strategy of imputation, and visits before the event (None: before leaving)."""
    asked = choice(window.analysis, "strategy", _STRATEGIES)
    named = set(window.analysis.strategies.values()) - {"treatment_policy", "hypothetical"}
    event = window.strategy.reference_based
    if event is None:
        return asked, None
    if asked != "MAR" or len(named) > 1:
        raise DesignError(
            f"Analysis {window.analysis.name!r} asks for several strategies of imputation: "
            f"{', '.join(sorted({asked, *named} - {'MAR'}))}. Choose one."
        )
    days = np.broadcast_to(window.days, values.shape)
    return named.pop(), (days <= event[..., None]).sum(axis=-1).astype(float)


def _jackknife(
    y: np.ndarray, arm: np.ndarray, before: np.ndarray | None, strategy: str, n_groups: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return differences and their standard errors, of shape (n_rows, n_comparisons)."""
    whole = _differences(y, arm, before, strategy)
    start = np.searchsorted(arm, arm)
    group = (np.arange(len(arm)) - start) % n_groups
    parts = []
    for g in range(n_groups):
        keep = group != g
        kept = None if before is None else before[:, keep]
        parts.append(_differences(y[:, keep], arm[keep], kept, strategy))
    left_out = np.stack(parts)
    spread = ((left_out - left_out.mean(axis=0)) ** 2).sum(axis=0)
    return whole, np.sqrt((n_groups - 1) / n_groups * spread)


def _differences(
    y: np.ndarray, arm: np.ndarray, before: np.ndarray | None, strategy: str
) -> np.ndarray:
    """Impute, and compare the last visit adjusted for the first."""
    batch = impute_batch(y, arm, strategy=strategy, n_before=before)
    completed = batch.completed
    treated = (arm[:, None] == np.arange(1, arm.max() + 1)).astype(float)
    columns = np.broadcast_to(treated, (len(y), *treated.shape))
    X = np.concatenate([columns, completed[..., :1]], axis=2)
    there = np.isfinite(completed).all(axis=2)
    fit = least_squares_batch(X, completed[..., -1], there)
    found = fit.estimate[:, : treated.shape[1]]
    return np.where(batch.converged[:, None], found, np.nan)
