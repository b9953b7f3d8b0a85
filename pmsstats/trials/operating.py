"""Operating characteristics of a simulated trial, each with its Monte Carlo standard error."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from pmsstats.trials.final_analysis import analyses_at_end
from pmsstats.trials.outcomes import BlockOutcome
from pmsstats.trials.performance import (
    PerformanceMeasure,
    estimate_performance,
    mean_measure,
    share_measure,
)
from pmsstats.trials.scenario import Scenario, TrialAnalysis
from pmsstats.trials.truths import arms_like_reference

__all__ = [
    "HARM_IN_ERRORS",
    "OPERATING_COLUMNS",
    "analyses_that_claim",
    "benefit_sign",
    "failure_ledger",
    "final_answers",
    "operating_characteristics",
]

OPERATING_COLUMNS = (
    "quantity", "analysis", "comparison", "look", "value", "mcse", "n_replicates",
)  # fmt: skip
"""Columns of the table of operating characteristics."""
_LEDGER_COLUMNS = ("analysis", "look", "reason", "n_replicates", "share", "first_replicates")
HARM_IN_ERRORS = 3.0
"""A simulated truth this many of its errors below 0 is taken as harm."""
_NONE_IN_ERRORS = 2.0  # one this near to 0 is taken as none,
_PRECISE_TRUTH = 0.25  # if its error is this part of that of a trial, or less
_REPLICATES_NAMED = 5


def final_answers(estimates: pd.DataFrame) -> pd.DataFrame:
    """Keep the last look of each replicate, analysis and comparison.

    Parameters
    ----------
    estimates : pandas.DataFrame
        As in :class:`BlockOutcome`, sorted by replicate and look.

    Returns
    -------
    pandas.DataFrame
        Its rows that no later look follows.
    """
    keys = ["replicate", "analysis", "comparison"]
    return estimates[~estimates.duplicated(keys, keep="last")].reset_index(drop=True)


def benefit_sign(rows: pd.DataFrame, margin: float = 0.0) -> int:
    """Say which sign of an estimate is the patient's gain.

    Parameters
    ----------
    rows : pandas.DataFrame
        Columns ``estimate std_error z``: a positive `z` is a gain, or a loss below the margin.
    margin : float
        Of non-inferiority, on the scale of the estimate.

    Returns
    -------
    int
        1 or -1.
    """
    gain = rows["z"] - margin / rows["std_error"] if margin else rows["z"]
    return -1 if float(np.nansum(rows["estimate"] * gain)) < 0 else 1


def analyses_that_claim(scenario: Scenario) -> frozenset[str]:
    """Name the analyses by which an effect can be claimed.

    Parameters
    ----------
    scenario : Scenario
        The trial.

    Returns
    -------
    frozenset of str
        The primary one, those done with it where a trial ends, and that of carriers of a marker;
        not those that only guide an interim look.
    """
    carriers = {str(look.options.get("subgroup_analysis")) for look in scenario.interims}
    known = {analysis.name for analysis in scenario.analyses}
    return frozenset({scenario.decision.analysis, *analyses_at_end(scenario), *(carriers & known)})


def operating_characteristics(
    scenario: Scenario, outcome: BlockOutcome, truth: pd.DataFrame | None = None
) -> pd.DataFrame:
    """Sum up simulated trials.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    outcome : BlockOutcome
        Of consecutive replicates, at least one.
    truth : pandas.DataFrame, optional
        Columns ``analysis comparison value std_error``.

    Returns
    -------
    pandas.DataFrame
        Columns ``quantity analysis comparison look value mcse n_replicates``; `look` is 0 for what
        concerns the whole trial. Shares are between 0 and 1.

    Notes
    -----
    A replicate whose analysis failed counts as no success in ``power`` and ``type1_error``; the
    same among replicates with an answer is ``power_given_answer`` and
    ``type1_error_given_answer``. It is a type I error where the true value is no gain (a simulated
    one: within two of its errors of none); where that is not known, in arms that are defined as
    the reference arm is. ``missed_look`` is the share of trials that came to their end without
    having had every look. Analyses
    that only guide an interim look test nothing and have neither; for them ``passed_interim`` is
    the share of all trials in which the comparison was looked at and went on. Estimates are those
    of the last look at which there is one.
    """
    true = _true_values(truth)
    rows = [
        *_comparisons(scenario, outcome, true),
        *_families(scenario, outcome, true),
        *_courses(scenario, outcome),
        *_arms(scenario, outcome, true),
    ]
    records = [
        (quantity, analysis, comparison, look, m.value, m.mcse, m.n_replicates)
        for quantity, analysis, comparison, look, m in rows
    ]
    return pd.DataFrame(records, columns=list(OPERATING_COLUMNS))


_Row = tuple[str, str, str, int, PerformanceMeasure]
_Truth = dict[tuple[str, str], tuple[float, float]]


def _true_values(truth: pd.DataFrame | None) -> _Truth:
    """Look up value and standard error by analysis and comparison."""
    if truth is None:
        return {}
    columns = (truth[name] for name in ("analysis", "comparison", "value", "std_error"))
    return {
        (a, c): (float(value), float(error))
        for a, c, value, error in zip(*columns, strict=True)
        if not math.isnan(value)
    }


def _is_null(scenario: Scenario, true: _Truth, name: str, rows: pd.DataFrame) -> bool:
    """Say whether a rejection would be an error: there is no gain, or a loss of the margin."""
    analysis = scenario.analysis(name)
    comparison = str(rows["comparison"].iloc[0])
    known = true.get((name, comparison))
    if known is None:
        known = _defined_truth(scenario, analysis, comparison)
    if known is None:
        return False
    value, error = known
    margin = float(analysis.options.get("margin", 0.0))
    above = benefit_sign(rows, margin) * value + margin
    is_precise = error < _PRECISE_TRUTH * float(rows["std_error"].median())
    is_none = abs(above) <= _NONE_IN_ERRORS * error and is_precise
    return above == 0 or is_none or above < -HARM_IN_ERRORS * error


def _defined_truth(
    scenario: Scenario, analysis: TrialAnalysis, comparison: str
) -> tuple[float, float] | None:
    """Return 0 for an arm that is defined as the reference arm is; None where nobody knows."""
    if analysis.true_value is not None or analysis.options.get("by") == "factor":
        return None
    return (0.0, 0.0) if comparison in arms_like_reference(scenario) else None


def _ids(outcome: BlockOutcome) -> np.ndarray:
    """Return the replicates, ascending."""
    return outcome.trials["replicate"].to_numpy()


def _happened(replicates: np.ndarray, rows: pd.DataFrame, column: str = "rejected") -> np.ndarray:
    """Say of each replicate whether some row of it is marked."""
    marked = rows["replicate"].to_numpy()[rows[column].to_numpy(dtype=bool)]
    hit = np.zeros(len(replicates), dtype=bool)
    hit[marked - replicates[0]] = True
    return hit


def _groups(scenario: Scenario, estimates: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Return the rows of each analysis and comparison, in the order of the scenario."""
    analyses = {analysis.name: i for i, analysis in enumerate(scenario.analyses)}
    order, last = scenario.comparison_order, len(estimates)
    by = estimates.groupby(["analysis", "comparison"], sort=False)
    groups = [(str(analysis), str(comparison), rows) for (analysis, comparison), rows in by]
    return sorted(groups, key=lambda g: (analyses.get(g[0], last), order.get(g[1], last)))


def _comparisons(scenario: Scenario, outcome: BlockOutcome, true: _Truth) -> Iterator[_Row]:
    """Yield rejections and the behaviour of estimates, by analysis and comparison."""
    replicates = _ids(outcome)
    tested = analyses_that_claim(scenario)
    for analysis, comparison, rows in _groups(scenario, outcome.estimates):
        known = true.get((analysis, comparison))
        usable = rows[np.isfinite(rows["estimate"]) & np.isfinite(rows["std_error"])]
        if analysis in tested:
            name = "type1_error" if _is_null(scenario, true, analysis, rows) else "power"
            rejected = _happened(replicates, rows)
            answered = np.zeros(len(replicates), dtype=bool)
            answered[usable["replicate"].to_numpy() - replicates[0]] = True
            yield name, analysis, comparison, 0, share_measure(rejected)
            yield f"{name}_given_answer", analysis, comparison, 0, share_measure(rejected[answered])
        else:
            yield from _passed(outcome, rows)
        last = usable[~usable["replicate"].duplicated(keep="last")]
        columns = (last[c].to_numpy() for c in ("estimate", "std_error", "conf_low", "conf_high"))
        value, error = known or (math.nan, 0.0)
        if known is not None:
            exact = PerformanceMeasure(value=value, mcse=error, n_replicates=len(replicates))
            yield "truth", analysis, comparison, 0, exact
        for quantity, measure in estimate_performance(
            *columns, truth=value, truth_error=error
        ).items():
            yield quantity, analysis, comparison, 0, measure


def _passed(outcome: BlockOutcome, rows: pd.DataFrame) -> Iterator[_Row]:
    """Yield in how many trials a comparison went on after the looks that only an analysis guides.

    At each look, of all trials: those that stopped before, or did not look, did not pass.
    """
    replicates, trials = _ids(outcome), outcome.trials
    analysis, comparison = str(rows["analysis"].iloc[0]), str(rows["comparison"].iloc[0])
    dropped_at = np.zeros(len(replicates), dtype=np.int64)
    arms = outcome.arms[outcome.arms["arm"] == comparison]
    dropped_at[arms["replicate"].to_numpy() - replicates[0]] = arms["dropped_at"].to_numpy()
    n_looks = trials["n_looks"].to_numpy()
    for look, here in rows.groupby("look", sort=True):
        looked = here["replicate"].to_numpy() - replicates[0]
        passed = np.zeros(len(replicates), dtype=bool)
        passed[looked] = (n_looks[looked] > look) & (dropped_at[looked] != look)
        yield "passed_interim", analysis, comparison, int(str(look)), share_measure(passed)


def _families(scenario: Scenario, outcome: BlockOutcome, true: _Truth) -> Iterator[_Row]:
    """Yield what concerns all comparisons of the primary analysis together."""
    replicates, primary = _ids(outcome), scenario.decision.analysis
    yield "success", primary, "", 0, share_measure(outcome.trials["success"].to_numpy())
    groups = [(c, rows) for a, c, rows in _groups(scenario, outcome.estimates) if a == primary]
    if len(groups) < 2:
        return
    hits = {c: _happened(replicates, rows) for c, rows in groups}
    null = [c for c, rows in groups if _is_null(scenario, true, primary, rows)]
    real = [c for c in hits if c not in null]
    if null:
        errors = np.any([hits[c] for c in null], axis=0)
        yield "familywise_error", primary, "", 0, share_measure(errors)
    if real:
        found = np.array([hits[c] for c in real])
        yield "disjunctive_power", primary, "", 0, share_measure(found.any(axis=0))
        yield "conjunctive_power", primary, "", 0, share_measure(found.all(axis=0))


def _courses(scenario: Scenario, outcome: BlockOutcome) -> Iterator[_Row]:
    """Yield size, duration and where trials end."""
    trials, primary = outcome.trials, scenario.decision.analysis
    yield "expected_n", "", "", 0, mean_measure(trials["n_enrolled"].to_numpy(dtype=float))
    yield "expected_years", "", "", 0, mean_measure(trials["duration_years"].to_numpy())
    final = final_answers(outcome.estimates[outcome.estimates["analysis"] == primary])
    most = final.groupby("replicate", sort=False)["n_events"].max().to_numpy(dtype=float)
    if most.any():
        yield "expected_events", primary, "", 0, mean_measure(most)
    stopped, looks = trials["stopped_for"].to_numpy(), trials["n_looks"].to_numpy()
    if scenario.interims:
        missed = (stopped == "end") & (looks <= len(scenario.interims))
        yield "missed_look", "", "", 0, share_measure(missed)
    for kind in ("efficacy", "futility"):
        for look in range(len(scenario.interims) + 1) if scenario.interims else ():
            here = (stopped == kind) & ((look == 0) | (looks == look))
            yield f"stopped_for_{kind}", primary, "", look, share_measure(here)
    yield "failed", "", "", 0, share_measure(trials["failed"].to_numpy())


def _arms(scenario: Scenario, outcome: BlockOutcome, true: _Truth) -> Iterator[_Row]:
    """Yield which arms are dropped, and whether the best one goes on to the end."""
    if not any(interim.rule == "select_arms" for interim in scenario.interims):
        return
    replicates, primary = _ids(outcome), scenario.decision.analysis
    looks = range(len(scenario.interims) + 1)
    kept: dict[str, np.ndarray] = {}
    for arm in scenario.arm_names[1:]:
        rows = outcome.arms[outcome.arms["arm"] == arm]
        at = np.zeros(len(replicates), dtype=np.int64)
        at[rows["replicate"].to_numpy() - replicates[0]] = rows["dropped_at"].to_numpy()
        kept[arm] = at == 0
        for look in looks:
            here = at > 0 if look == 0 else at == look
            yield "dropped", primary, arm, look, share_measure(here)
    best = _best_arm(outcome, true, primary, tuple(kept))
    if best is not None:
        yield "best_arm_kept", primary, best, 0, share_measure(kept[best])


def _best_arm(
    outcome: BlockOutcome, true: _Truth, primary: str, arms: tuple[str, ...]
) -> str | None:
    """Return the arm with the largest true gain; None where that is not known, or tied."""
    values = [true.get((primary, arm)) for arm in arms]
    if any(value is None for value in values):
        return None
    rows = outcome.estimates[outcome.estimates["analysis"] == primary]
    gains = [benefit_sign(rows) * value[0] for value in values if value is not None]
    largest = max(gains)
    return arms[gains.index(largest)] if gains.count(largest) == 1 and largest > 0 else None


def failure_ledger(outcome: BlockOutcome) -> pd.DataFrame:
    """Count failed analyses by reason.

    Parameters
    ----------
    outcome : BlockOutcome
        Of all replicates.

    Returns
    -------
    pandas.DataFrame
        Columns ``analysis look reason n_replicates share first_replicates``. Rows with an empty
        `analysis` count trials without a final answer; the others analyses, at each look.
    """
    trials, estimates = outcome.trials, outcome.estimates
    failed = trials.loc[trials["failed"], ["replicate", "reason"]].assign(analysis="", look=0)
    without = estimates.loc[estimates["reason"] != "", ["replicate", "reason", "analysis", "look"]]
    both = pd.concat([failed, without], ignore_index=True)
    both = both.drop_duplicates(["analysis", "look", "reason", "replicate"])
    records = []
    for (analysis, look, reason), rows in both.groupby(["analysis", "look", "reason"], sort=True):
        ids = rows["replicate"].tolist()
        shown = ", ".join(map(str, ids[:_REPLICATES_NAMED]))
        more = ", ..." if len(ids) > _REPLICATES_NAMED else ""
        share = len(ids) / len(trials)
        records.append((analysis, look, reason, len(ids), share, shown + more))
    return pd.DataFrame(records, columns=list(_LEDGER_COLUMNS))
