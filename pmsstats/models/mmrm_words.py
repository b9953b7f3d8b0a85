"""What a model for repeated measures says in one sentence: the arms at the last visit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pmsstats.models.marginal_means import estimate_means
from pmsstats.models.wilkinson import compile_rhs
from pmsstats.results import format_interval, format_p_value

if TYPE_CHECKING:
    from pmsstats.models.mmrm_result import MMRMResult

__all__ = ["default_arm", "describe_last_visit"]

_MOST_ARMS = 4


def default_arm(fit: MMRMResult) -> str | None:
    """Return the factor whose groups are compared when none is named.

    Parameters
    ----------
    fit : MMRMResult
        A fitted model.

    Returns
    -------
    str or None
        A factor of the fixed part with several levels: the column ``arm``; else the only one in
        interaction with the visit; else the one that the covariance differs by; else the only one.
    """
    visit, levels = fit.spec.visit, fit.design.fixed.levels
    factors = [name for name, found in levels.items() if name != visit and len(found) > 1]
    crossed = [name for name in factors if _share_a_term(fit, name, visit)]
    for candidates in (["arm"], crossed, [fit.spec.group], factors):
        if len(candidates) == 1 and candidates[0] in factors:
            return candidates[0]
    return None


def _share_a_term(fit: MMRMResult, one: str, other: str) -> bool:
    """Say whether two columns stand in one term of the mean."""
    rhs = compile_rhs(fit.spec.fixed)
    columns = {alias: name for (name, _), alias in rhs.aliases.items()}
    for term in rhs.terms:
        names: set[str | None] = set()
        for part in term:
            fragment = rhs.fragments.get(part)
            names |= set(fragment.variables) if fragment else {columns.get(part)}
        if {one, other} <= names:
            return True
    return False


def describe_last_visit(fit: MMRMResult) -> str:
    """Say how the arms differ at the last visit, or what the mean is there.

    Parameters
    ----------
    fit : MMRMResult
        A fitted model.

    Returns
    -------
    str
        For example ``"FEV1 at VIS4 was on average 4.40 higher (95 % CI ...) in TRT than in PBO"``.
    """
    arm, visit = default_arm(fit), fit.spec.visit
    levels = fit.design.fixed.levels
    last = levels[visit][-1] if visit in levels else None
    if arm is None:
        return _describe_mean(fit, last)
    crossed = [n for n in fit.design.fixed.variables if n != arm and _share_a_term(fit, arm, n)]
    at_last = visit in crossed and last is not None
    means = estimate_means(fit, arm, at={visit: last} if at_last else None)
    where = f" at {last}" if at_last else ""
    others = [name for name in crossed if name != visit or visit not in levels]
    where += f" (mean over {' and '.join(others)})" if others else ""
    arms = means.means[arm].tolist()
    rows = means.differences().to_dict("records")
    told = [
        _describe_difference(row, fit, arm=str(name), reference=str(arms[0]))
        for name, row in zip(arms[1:_MOST_ARMS], rows, strict=False)
    ]
    return f"{fit.label}{where} {'; it '.join(told)}"


def _describe_mean(fit: MMRMResult, last: Any) -> str:
    """Say what the mean is at the last visit."""
    visit = fit.spec.visit
    if last is None:
        return f"A model for repeated measures of {fit.label} was fitted"
    means = estimate_means(fit, visit, at={visit: last}).means.iloc[0]
    if not math.isfinite(means["estimate"]):
        return f"The mean of {fit.label} at {last} cannot be estimated"
    return f"{fit.label} at {last} was on average {_amount(means, fit)}"


def _describe_difference(
    row: Mapping[str, Any], fit: MMRMResult, *, arm: str, reference: str
) -> str:
    """Say how one arm differs from the reference."""
    estimate, low, high = (row[name] for name in ("estimate", "conf_low", "conf_high"))
    if not math.isfinite(estimate):
        return f"cannot be compared between {arm} and {reference}"
    p = f", p {_p(row['p_value'])}"
    if low > 0:
        return f"was on average {_amount(row, fit, p, 'higher ')}in {arm} than in {reference}"
    if high < 0:
        turned = {"estimate": -estimate, "conf_low": -high, "conf_high": -low}
        return f"was on average {_amount(turned, fit, p, 'lower ')}in {arm} than in {reference}"
    return f"did not clearly differ between {arm} and {reference}: {_amount(row, fit, p)}"


def _amount(row: Mapping[str, Any], fit: MMRMResult, p: str = "", word: str = "") -> str:
    """Write an estimate with unit and interval."""
    shown = format_interval(row["estimate"], row["conf_low"], row["conf_high"])
    size, _, limits = shown.partition(" ")
    unit = f" {fit.unit}" if fit.unit else ""
    if not math.isfinite(row["conf_low"]):
        return f"{size}{unit} (no interval)"
    level = f"{100 * fit.spec.conf_level:g} % CI"
    return f"{size}{unit} {word}({level} {limits.strip('()')}{p}){' ' if word else ''}"


def _p(p_value: float) -> str:
    """Write a p value after its letter."""
    text = format_p_value(p_value)
    return text if text.startswith("<") else f"= {text}"
