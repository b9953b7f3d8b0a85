"""The true value of each estimand: known, or from a very large complete trial."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from pmsstats.cohort.trial_arrays import TrialArrays
from pmsstats.results import to_plain
from pmsstats.seeds import REPLICATES_PER_CELL
from pmsstats.trials.blocks import TrialEngine
from pmsstats.trials.questions import without_trial_options
from pmsstats.trials.scenario import Accrual, Scenario, TrialAnalysis, TrialArm, TrialDropout

__all__ = [
    "SUBJECTS_OF_TRUTH",
    "arms_like_reference",
    "complete_trial",
    "null_arms",
    "true_values",
    "truth_key",
]

SUBJECTS_OF_TRUTH = 200_000
"""Subjects of the very large trial, unless the user asks for others."""
_COLUMNS = ("analysis", "comparison", "value", "std_error", "source")
_SLOW = {"model", "function", "imputation"}  # a fit or more per replicate: not in a large trial
_SUBJECTS_TO_COMPARE = 250  # per replicate of a cell: 5,000 in all
_STREAM = 0x74727574  # "trut": none of the streams of replicates


def true_values(
    scenario: Scenario,
    generator: Any,
    root: np.random.SeedSequence,
    engine: TrialEngine,
    *,
    n_subjects: int = SUBJECTS_OF_TRUTH,
) -> pd.DataFrame:
    """Find the true value of every analysis and comparison.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    generator : callable
        Makes the data; its ``truth(scenario)``, where it has one, knows true values by analysis
        and arm.
    root : numpy.random.SeedSequence
        From which the streams of the large trial are spawned, apart from those of replicates.
    engine : TrialEngine
        Analyses.
    n_subjects : int
        Of the large trial.

    Returns
    -------
    pandas.DataFrame
        Columns ``analysis comparison value std_error source``; `source` is ``"given"`` (by
        :class:`TrialAnalysis`), ``"no effect"`` (the generator makes the same data in both arms),
        ``"generator"``, ``"large trial"`` or ``"unknown"`` (an analysis too slow for a large
        trial: give its `true_value`).

    Notes
    -----
    The large trial has no dropout, no missed visits and no interim; all arms are open from the
    start and all subjects are followed to the last visit. Intercurrent events stay, and are dealt
    with as each analysis says: the value is that of the estimand, without missing data. It is cut
    into as many trials as share a stream, whose estimates are averaged.
    """
    root = np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, _STREAM))
    null = null_arms(scenario, generator, root)
    told = generator.truth(scenario) if hasattr(generator, "truth") else {}
    found: list[tuple[str, str, float, float, str]] = []
    large: TrialArrays | None = None
    for analysis in scenario.analyses:
        rows = _known(scenario, analysis, null, told.get(analysis.name) or {})
        if rows is None and analysis.method in _SLOW:
            rows = [(n, math.nan, math.nan, "unknown") for n in _names(scenario, analysis)]
        if rows is None:
            large = large or complete_trial(scenario, generator, root, n_subjects)
            rows = _simulated(scenario, analysis, large, engine, null)
        found += [(analysis.name, *row) for row in rows]
    return pd.DataFrame(found, columns=list(_COLUMNS)).astype(
        {"value": "float64", "std_error": "float64"}
    )


def truth_key(scenario: Scenario, n_subjects: int) -> str:
    """Return what true values depend on beside the identity of a checkpoint.

    Parameters
    ----------
    scenario : Scenario
        Whose analyses may give values.
    n_subjects : int
        Of the large trial.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    given = [analysis.true_value for analysis in scenario.analyses]
    text = json.dumps([to_plain(given), n_subjects])
    return hashlib.sha256(text.encode()).hexdigest()


_Known = tuple[str, float, float, str]


def _known(
    scenario: Scenario,
    analysis: TrialAnalysis,
    null: frozenset[str],
    told: Mapping[str, float | None],
) -> list[_Known] | None:
    """Return values that need no simulation; None where one is lacking."""
    names = _names(scenario, analysis)
    if analysis.true_value is not None:
        return [(name, float(analysis.true_value), 0.0, "given") for name in names]
    rows: list[_Known] = []
    for name in names:
        value = told.get(name)
        if name in null:
            rows.append((name, 0.0, 0.0, "no effect"))
        elif value is not None:
            rows.append((name, float(value), 0.0, "generator"))
        else:
            return None
    return rows


def _names(scenario: Scenario, analysis: TrialAnalysis) -> tuple[str, ...]:
    """Return what is compared with the reference: arms, or factors."""
    if analysis.options.get("by") != "factor":
        return scenario.arm_names[1:]
    return tuple(dict.fromkeys(factor for arm in scenario.arms for factor in arm.factors))


def _complete(scenario: Scenario, n_subjects: int) -> Scenario:
    """Return the trial without dropout, interims and staggered entry."""
    return replace(
        scenario,
        arms=tuple(replace(arm, opens_year=0.0, closes_year=math.inf) for arm in scenario.arms),
        accrual=Accrual(n_subjects=n_subjects),
        dropout=TrialDropout(),
        interims=(),
        decision=replace(scenario.decision, final="followed", final_value=None),
    )


def complete_trial(
    scenario: Scenario, generator: Any, root: np.random.SeedSequence, n_subjects: int
) -> TrialArrays:
    """Draw a very large trial in which everybody is seen to the end.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    generator : callable
        Makes the data.
    root : numpy.random.SeedSequence
        Of its streams.
    n_subjects : int
        In all.

    Returns
    -------
    TrialArrays
        Of as many trials as share a stream, which together have `n_subjects` subjects or a few
        more; arms in the ratio of the scenario.
    """
    per_trial = max(-(-n_subjects // REPLICATES_PER_CELL), 2 * len(scenario.arms))
    ends = np.cumsum([arm.ratio for arm in scenario.arms])
    places = (np.arange(per_trial) + 0.5) / per_trial * ends[-1]
    arm = np.broadcast_to(np.searchsorted(ends, places), (REPLICATES_PER_CELL, per_trial))
    return _draw(_complete(scenario, per_trial), generator, root, arm)


def _draw(
    scenario: Scenario, generator: Any, root: np.random.SeedSequence, arm: np.ndarray
) -> TrialArrays:
    """Draw the replicates that share the first stream."""
    data: TrialArrays = generator(scenario, root, first=0, last=REPLICATES_PER_CELL, arm=arm)
    return data


def null_arms(scenario: Scenario, generator: Any, root: np.random.SeedSequence) -> frozenset[str]:
    """Find arms in which everything happens as in the reference arm.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    generator : callable
        Gives the same people under whatever arm.
    root : numpy.random.SeedSequence
        Of its streams.

    Returns
    -------
    frozenset of str
        Arms in which the same people have, number for number, the same data.
    """
    small = _complete(scenario, _SUBJECTS_TO_COMPARE)
    shape = (REPLICATES_PER_CELL, _SUBJECTS_TO_COMPARE)
    everybody = [np.broadcast_to(k, shape) for k in range(len(scenario.arms))]
    reference = _draw(small, generator, root, everybody[0])
    null = [
        name
        for k, name in enumerate(scenario.arm_names[1:], start=1)
        if _same(reference, _draw(small, generator, root, everybody[k]))
    ]
    return frozenset(null)


def arms_like_reference(scenario: Scenario) -> frozenset[str]:
    """Find arms that are defined as the reference arm is: nothing in them can have an effect.

    Parameters
    ----------
    scenario : Scenario
        The trial.

    Returns
    -------
    frozenset of str
        Arms with the same treatment, effects, factors and rates of intercurrent events. Effects
        of size 0, and ratios of 1, are none. There may be further arms without an effect, which
        :func:`null_arms` finds from data.
    """
    reference = _definition(scenario, scenario.arms[0])
    others = scenario.arms[1:]
    return frozenset(arm.name for arm in others if _definition(scenario, arm) == reference)


def _definition(scenario: Scenario, arm: TrialArm) -> tuple[Any, ...]:
    """Return what can make an arm differ from another."""
    effects = dict(arm.effects)
    if arm.treatment is None:  # else an effect of size 0 takes away one of the treatment
        effects = {name: size for name, size in effects.items() if not _does_nothing(name, size)}
    rates = tuple(event.rates.get(arm.name, event.rate) for event in scenario.intercurrent)
    return arm.treatment, effects, arm.factors, rates


def _does_nothing(name: str, size: Any) -> bool:
    """Say whether an effect is none: a ratio of 1, anything else of size 0."""
    if isinstance(size, Mapping):
        return all(_does_nothing(name, value) for value in size.values())
    return bool(size == (1 if name.endswith("ratio") else 0))


def _same(one: TrialArrays, other: TrialArrays) -> bool:
    """Say whether two sets of data are the same, number for number."""
    fields = ("exit_day", "exit_reason", "stop_day")
    pairs = [(getattr(one, name), getattr(other, name)) for name in fields]
    for field in ("values", "baseline", "intercurrent"):
        mine, theirs = getattr(one, field), getattr(other, field)
        pairs += [(mine[name], theirs[name]) for name in mine]
    pairs += list(zip(one.relapses, other.relapses, strict=True))
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs)


def _simulated(
    scenario: Scenario,
    analysis: TrialAnalysis,
    data: TrialArrays,
    engine: TrialEngine,
    null: frozenset[str],
) -> list[_Known]:
    """Average the estimates of a large trial."""
    complete = _complete(scenario, data.n_subjects)
    bare = without_trial_options(scenario, analysis.name)
    batch = engine.analyse(complete, bare, data, arms=scenario.arm_names[1:])
    rows: list[_Known] = []
    for k, name in enumerate(batch.comparisons):
        estimate, error = batch.estimate[:, k], batch.std_error[:, k]
        answered = np.isfinite(estimate) & np.isfinite(error)
        n = int(answered.sum())
        if name in null:
            rows.append((name, 0.0, 0.0, "no effect"))
        elif n == 0:
            rows.append((name, math.nan, math.nan, "unknown"))
        else:
            mean_error = math.sqrt(float(np.mean(error[answered] ** 2)) / n)
            rows.append((name, float(np.mean(estimate[answered])), mean_error, "large trial"))
    return rows
