"""What a model for repeated measures says in one sentence: the arms at the last visit."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.models.fixed_effects.marginal_means import estimate_means
from pmsstats.models.fixed_effects.reference_grid import is_level
from pmsstats.models.formulas.wilkinson import compile_rhs
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES
from pmsstats.results import format_interval, format_number, format_p_value

if TYPE_CHECKING:
    from pmsstats.models.repeated.mmrm_result import MMRMResult

__all__ = ["default_arm", "default_visit", "describe_last_visit"]

_MOST_ARMS = 4
_ARM = re.compile(
    r"(^|[^a-z])((act|actual|planned|study|trial)_?)?arm(cd|n|s)?([^a-z]|$)"
    r"|trt|treat|alloc|randomi|therap|drug|^rx"
)


def default_arm(fit: MMRMResult) -> str | None:
    """Return the column whose groups are compared when none is named.

    Parameters
    ----------
    fit : MMRMResult
        A fitted model.

    Returns
    -------
    str or None
        A column of the fixed part that is a factor with several levels, or a number with two
        values: the column ``arm``; else, of those in interaction with the visit, the only one, or
        the only one named like an arm (``ARMCD``, ``treatment``), or the only factor; else the one
        that the covariance differs by; else, of all, the only one or the only one named so.
    """
    visit, fixed = default_visit(fit), fit.design.fixed
    times = {visit, fit.spec.visit}
    factors = [n for n, found in fixed.levels.items() if n not in times and len(found) > 1]
    all_of_them = [*factors, *(n for n in _two_valued(fit) if n not in times)]
    crossed = [n for n in all_of_them if visit is not None and _share_a_term(fit, n, visit)]
    for candidates in (
        [name for name in all_of_them if name == "arm"],
        crossed,
        _named_like_an_arm(crossed),
        [name for name in crossed if name in factors],
        [name for name in all_of_them if name == fit.spec.group],
        all_of_them,
        _named_like_an_arm(all_of_them),
    ):
        if len(candidates) == 1:
            return candidates[0]
    return None


def default_visit(fit: MMRMResult) -> str | None:
    """Return the column of the mean that tells visits apart.

    Parameters
    ----------
    fit : MMRMResult
        A fitted model.

    Returns
    -------
    str or None
        The visit of the covariance, if the mean depends on it; else (as where a spatial covariance
        measures time on another column) the only factor that changes within subjects.
    """
    fixed = fit.design.fixed
    if fit.spec.visit in fixed.variables:
        return fit.spec.visit
    ids = fit.data[fit.group]
    changing = [
        name
        for name, found in fixed.levels.items()
        if len(found) > 1 and name != "arm" and _changes_within(fit.data[name], ids)
    ]
    return changing[0] if len(changing) == 1 else None


def _changes_within(values: pd.Series, ids: pd.Series) -> bool:
    """Say whether a column changes within any subject."""
    codes, subject = pd.factorize(values)[0], pd.factorize(ids)[0]
    one = np.zeros(len(codes), dtype=int)
    one[subject] = codes
    return bool((one[subject] != codes).any())


def _two_valued(fit: MMRMResult) -> list[str]:
    """List the numbers of the mean that have two values, such as an arm of 0 and 1."""
    fixed = fit.design.fixed
    numbers = [name for name in fixed.variables if name not in fixed.levels]
    return [name for name in numbers if fit.data[name].nunique() == 2]


def _named_like_an_arm(names: Sequence[str]) -> list[str]:
    """Keep the names that trials give to arms."""
    return [name for name in names if _ARM.search(name.casefold())]


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
        Where no visit is known to be the last, the mean over all of them is compared.
    """
    arm, visit = default_arm(fit), default_visit(fit)
    last = None if visit is None else _last(fit, visit)
    if arm is None:
        return _describe_mean(fit, visit, last)
    crossed = [n for n in fit.design.fixed.variables if n != arm and _share_a_term(fit, arm, n)]
    at = {visit: last} if visit is not None and last is not None and visit in crossed else {}
    means = estimate_means(fit, arm, at=at)
    arms = [_named(fit, arm, level) for level in means.means[arm]]
    rows = means.differences().to_dict("records")
    told = [
        _describe_difference(row, fit, arm=name, reference=arms[0])
        for name, row in zip(arms[1:_MOST_ARMS], rows, strict=False)
    ]
    where = _where(fit, at, [name for name in crossed if name not in at])
    return f"{fit.label}{where} {'; it '.join(told)}"


def _last(fit: MMRMResult, visit: str) -> Any:
    """Return the last visit, if there is one: the level of the mean that comes latest."""
    design = fit.design
    is_spatial = COVARIANCES[fit.structure].spatial
    if not design.has_order or (is_spatial and visit not in design.fixed.levels):
        return None
    if visit == fit.spec.visit:
        return design.fixed.levels.get(visit, design.visits)[-1]
    when = design.arrays.coordinate if is_spatial else design.arrays.visit
    levels = design.fixed.levels[visit]
    return max(levels, key=lambda level: float(when[is_level(fit.data[visit], level)].mean()))


def _where(fit: MMRMResult, at: Mapping[str, Any], others: Sequence[str]) -> str:
    """Say at which values of the columns that the difference depends on it is taken."""
    levels = fit.design.fixed.levels
    words = [f" at {_named(fit, name, value)}" for name, value in at.items()]
    over = [name for name in others if name in levels]
    numbers = [name for name in others if name not in levels]
    words += [f" (mean over {' and '.join(over)})"] if over else []
    means = {name: format_number(float(fit.data[name].mean()), 3) for name in numbers}
    words += [f" at {name} = {value} (its mean)" for name, value in means.items()]
    return " and".join(words) if not over else "".join(words)


def _named(fit: MMRMResult, column: str, value: Any) -> str:
    """Write a level, or the value of a number with the number's name."""
    if column in fit.design.fixed.levels and isinstance(value, str):
        return value
    return f"{column} = {value:g}" if isinstance(value, float | int) else str(value)


def _describe_mean(fit: MMRMResult, visit: str | None, last: Any) -> str:
    """Say what the mean is at the last visit."""
    if visit is None or last is None:
        return f"A model for repeated measures of {fit.label} was fitted"
    where = _named(fit, visit, last)
    means = estimate_means(fit, visit, at={visit: last}).means.iloc[0]
    if not math.isfinite(means["estimate"]):
        return f"The mean of {fit.label} at {where} cannot be estimated"
    return f"{fit.label} at {where} was on average {_amount(means, fit)}"


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
    return (
        f"did not clearly differ between {arm} and {reference}: {arm} minus {reference} is "
        f"{_amount(row, fit, p)}"
    )


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
