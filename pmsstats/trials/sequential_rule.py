"""The bounds of a decision rule at the looks that took place."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.special import ndtri

from pmsstats.errors import DesignError
from pmsstats.power.group_sequential import GroupSequentialDesign
from pmsstats.power.looks import sequential_bounds
from pmsstats.power.spending import SPENDING_FAMILIES
from pmsstats.trials.information_at_looks import planned_fraction
from pmsstats.trials.scenario import DecisionRule, Interim, Scenario

__all__ = ["bounds_at", "primary_looks", "sequential_design"]

_POWER = 0.8  # at which an effect is supposed where a futility rule needs one
_FUTILITY = {
    "z",
    "conditional_power",
    "trend",
    "spending",
    "parameter",
    "beta",
    "binding",
    "obeyed",
}


def primary_looks(scenario: Scenario) -> tuple[Interim, ...]:
    """Return the looks at which the trial may stop by its primary analysis.

    Parameters
    ----------
    scenario : Scenario
        With its interim looks.
    """
    name = scenario.decision.analysis
    return tuple(
        look for look in scenario.interims
        if look.rule == "group_sequential" and look.analysis == name
    )  # fmt: skip


@lru_cache(maxsize=256)
def _planned(scenario: Scenario) -> tuple[float, ...]:
    """Return the planned information fractions of these looks, the end included."""
    fractions = tuple(planned_fraction(scenario, look) for look in primary_looks(scenario))
    if any(b <= a for a, b in itertools.pairwise(fractions)):
        raise DesignError(
            "Looks of a group-sequential trial must come with rising information, got "
            f"{', '.join(f'{t:.3g}' for t in fractions)} of the final one. Put them in order."
        )
    return (*fractions, 1.0)


@lru_cache(maxsize=256)
def sequential_design(scenario: Scenario, n_comparisons: int) -> GroupSequentialDesign | None:
    """Return the group-sequential design of a trial.

    Parameters
    ----------
    scenario : Scenario
        With its decision rule.
    n_comparisons : int
        With the reference, between which a Bonferroni correction shares the type I error.

    Returns
    -------
    GroupSequentialDesign or None
        None where nothing may be claimed before the end.

    Raises
    ------
    DesignError
        If the looks are not in order, or a correction for several comparisons goes with one look
        only.
    """
    decision = scenario.decision
    looks = primary_looks(scenario)
    _check_futility(decision)
    if looks and n_comparisons > 1 and decision.multiplicity in {"holm", "dunnett"}:
        raise DesignError(
            f"`multiplicity={decision.multiplicity!r}` is for a single final analysis; with "
            "group-sequential looks use 'bonferroni' or 'none'."
        )
    if decision.boundary == "none" or not looks:
        return None
    shared = n_comparisons if decision.multiplicity == "bonferroni" else 1
    return GroupSequentialDesign(
        looks=_planned(scenario),
        alpha=decision.alpha / shared,
        spending=decision.boundary,
        spending_parameter=decision.boundary_parameter,
        **_futility(decision, len(looks)),
    )


def _check_futility(decision: DecisionRule) -> None:
    """Refuse rules for futility that contradict themselves."""
    rule = decision.futility
    unknown = sorted(set(rule) - _FUTILITY)
    if unknown:
        raise DesignError(
            f"`futility` of the decision has no {unknown[0]!r}. It has: "
            f"{', '.join(sorted(_FUTILITY))}."
        )
    chosen = [name for name in ("z", "conditional_power", "spending") if name in rule]
    if rule and len(chosen) != 1:
        raise DesignError(
            "`futility` of the decision must have one of `z`, `conditional_power` and `spending`, "
            f"got {', '.join(map(repr, chosen)) or 'none'}."
        )
    if decision.boundary == "none" and (rule.get("binding") or "spending" in rule):
        raise DesignError(
            "`futility` by spending or with `binding` needs a `boundary` for efficacy, got "
            "'none'. Use `z` or `conditional_power`."
        )


def _futility(decision: DecisionRule, n_looks: int) -> dict[str, Any]:
    """Return the futility rule in the words of a group-sequential design."""
    rule = decision.futility
    if not rule:
        return {}
    options: dict[str, Any] = {"binding": bool(rule.get("binding", False))}
    options["power"] = 1.0 - float(rule.get("beta", 1.0 - _POWER))
    if "z" in rule:
        bounds = np.broadcast_to(np.asarray(rule["z"], dtype=float), (n_looks,))
        return options | {"futility": "z", "futility_z": tuple(map(float, bounds))}
    if "conditional_power" in rule:
        limit, trend = float(rule["conditional_power"]), rule.get("trend", "design")
        return options | {
            "futility": "conditional_power", "futility_parameter": limit, "futility_trend": trend,
        }  # fmt: skip
    if rule["spending"] not in SPENDING_FAMILIES:
        raise DesignError(
            f"`spending` of the futility rule must be one of {', '.join(SPENDING_FAMILIES)}, got "
            f"{rule['spending']!r}."
        )
    return options | {"futility": rule["spending"], "futility_parameter": rule.get("parameter")}


def bounds_at(
    scenario: Scenario, fractions: list[np.ndarray], n_comparisons: int, *, final: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bounds at the last of the looks so far.

    Parameters
    ----------
    scenario : Scenario
        The trial.
    fractions : list of ndarray, each of shape (n_replicates,)
        Information fractions of its primary looks so far, missing where one did not take place;
        the last are those of this look (of the end: anything).
    n_comparisons : int
        With the reference.
    final : bool
        Whether this is the end.

    Returns
    -------
    efficacy, futility : ndarray, shape (n_replicates,)
        Of the statistic; infinite where there is none. At the end there is none for futility.
    """
    design = sequential_design(scenario, n_comparisons)
    planned = _planned(scenario)
    here = len(fractions) - 1
    n = len(fractions[-1])
    table = np.full((n, len(planned)), np.nan)
    for k, t in enumerate(fractions[: len(planned) - 1]):
        table[:, k] = t
    table[:, -1] = 1.0
    _rising(table, planned, here)
    if design is None:
        return _fixed_bounds(scenario, table[:, here], here, n_comparisons, final=final)
    if final:
        return sequential_bounds(design, table).efficacy[:, -1], np.full(n, -np.inf)
    bounds = sequential_bounds(design, table)
    took_place = ~np.isnan(table[:, here])
    return (
        np.where(took_place, bounds.efficacy[:, here], np.inf),
        np.where(took_place, bounds.futility[:, here], -np.inf),
    )


def _rising(table: np.ndarray, planned: tuple[float, ...], here: int) -> None:
    """Leave out looks without new information, and suppose that later ones go as planned."""
    reached = np.zeros(len(table))
    for k in range(table.shape[1] - 1):
        if k > here:
            table[:, k] = planned[k]
        table[:, k] = np.where(table[:, k] > reached, table[:, k], np.nan)
        reached = np.fmax(reached, table[:, k])


def _fixed_bounds(
    scenario: Scenario, t: np.ndarray, here: int, n_comparisons: int, *, final: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds of a trial that claims nothing before its end."""
    decision = scenario.decision
    shared = n_comparisons if decision.multiplicity == "bonferroni" else 1
    critical = float(-ndtri(decision.alpha / shared))
    lower = np.full(len(t), -np.inf)
    if final:
        return np.full(len(t), critical), lower
    rule = decision.futility
    if "z" in rule:
        n_looks = len(primary_looks(scenario))
        lower[:] = np.broadcast_to(np.asarray(rule["z"], dtype=float), (n_looks,))[here]
    elif "conditional_power" in rule:
        lower = _conditional_lower(rule, t, critical)
    return np.full(len(t), np.inf), np.where(np.isnan(t), -np.inf, lower)


def _conditional_lower(rule: Any, t: np.ndarray, critical: float) -> np.ndarray:
    """Return the statistics at which conditional power is at its limit."""
    need = critical + np.sqrt(1.0 - t) * ndtri(float(rule["conditional_power"]))
    if rule.get("trend", "design") == "observed":
        return need * np.sqrt(t)
    drift = critical + ndtri(1.0 - float(rule.get("beta", 1.0 - _POWER)))
    return (need - drift * (1.0 - t)) / np.sqrt(t)
