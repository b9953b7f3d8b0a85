"""What two slopes have to do with each other, in a sentence."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pmsstats.results import format_number, format_p_value

if TYPE_CHECKING:
    from pmsstats.models.pairs.pair_result import PairResult

__all__ = ["slopes_in_words"]


def slopes_in_words(fit: PairResult) -> str:
    """Say what a subject's slope in one outcome tells of that in the other.

    Parameters
    ----------
    fit : PairResult
        A fit with one random slope per outcome, both of which vary.

    Returns
    -------
    str
        A sentence without its end.
    """
    first, second = fit.labels
    found, naive = fit.slope_correlation(), fit.naive_slope_correlation()
    per_sd = float(fit.slope_regression()["estimate"].iloc[1])
    a = fit.effects.slope_weights(0)
    sd = format_number(float(np.sqrt(a @ fit.variances.D @ a)), 2)
    units = [f" {measure.unit}" if measure and measure.unit else "" for measure in fit.measures]
    per = [_per(fit.effects.slope(k)) for k in (0, 1)]
    side = "higher" if per_sd >= 0 else "lower"
    level = f"{fit.spec.conf_level * 100:g}"
    return (
        f"Per SD of the true slope of {first} ({sd}{units[0]} {per[0]}), that of {second} is "
        f"{format_number(abs(per_sd), 2)}{units[1]} {per[1]} {side}: true slopes correlate at "
        f"{found.estimate:.2f} ({level} % CI {found.conf_low:.2f} to {found.conf_high:.2f}, p "
        f"{_p_words(found.p_value)}), least-squares slopes at {naive.estimate:.2f}"
    )


def _per(slope: str) -> str:
    """Name the unit of time of a slope."""
    return "per year" if slope == "year" else f"per unit of {slope}"


def _p_words(p_value: float) -> str:
    """Write a p value with its sign."""
    shown = format_p_value(p_value)
    return shown.replace("<", "< ") if shown.startswith("<") else f"= {shown}"
