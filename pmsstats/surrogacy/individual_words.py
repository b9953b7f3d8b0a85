"""Plain verdicts on Prentice's criteria, which say what a test cannot show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from pmsstats.results import format_interval
from pmsstats.surrogacy.individual_result import ProportionExplained

__all__ = ["verdicts"]


def verdicts(rows: pd.DataFrame, explained: ProportionExplained, conf_level: float) -> list[str]:
    """Say of each row of the table what it shows.

    Parameters
    ----------
    rows : pandas.DataFrame
        Four criteria, the proportion explained, the association within arms.
    explained : ProportionExplained
        The proportion, with its set.
    conf_level : float
        Level that tests are judged at.

    Returns
    -------
    list of str
        One clause per row.
    """
    shown = (rows["p_value"] < 1 - conf_level).tolist()
    missing = "not shown (which is not evidence of no effect)"
    return [
        "met: treatment acts on the surrogate" if shown[0] else missing,
        "met: treatment acts on the outcome" if shown[1] else missing,
        "met: the surrogate goes with the outcome" if shown[2] else missing,
        _fourth(rows.iloc[3], shown, explained),
        _proportion(explained),
        _association(rows.iloc[5]),
    ]


def _fourth(row: pd.Series, shown: list[bool], explained: ProportionExplained) -> str:
    """Judge the criterion that asks for the absence of an effect."""
    if shown[3]:
        return "not met: treatment still acts on the outcome when the surrogate is given"
    if not shown[1]:
        return "says nothing: there was no clear effect on the outcome to be explained"
    ends = np.sort(np.array([row["conf_low"], row["conf_high"]]) / explained.total)
    return (
        "not refuted, which does not show it: a remaining effect from "
        f"{100 * ends[0]:.0f} % to {100 * ends[1]:.0f} % of the whole is compatible with the data"
    )


def _proportion(explained: ProportionExplained) -> str:
    """Judge the proportion explained."""
    if not np.isfinite(explained.estimate):
        return "undefined: there is no effect on the outcome"
    if not explained.stable:
        return (
            "unstable: the effect on the outcome may be zero, so that no value can be excluded "
            "with a bounded interval"
        )
    fieller = explained.fieller
    if fieller.high - fieller.low > 1:
        return "imprecise: the interval is wider than from none to all"
    return f"Fieller's interval {format_interval(explained.estimate, fieller.low, fieller.high)}"


def _association(row: pd.Series) -> str:
    """Say how close surrogate and outcome go together in the same arm."""
    return f"within arms, the surrogate tells {100 * row['estimate']:.0f} % of the outcome"
