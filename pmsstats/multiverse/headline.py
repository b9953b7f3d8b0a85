"""A multiverse in one sentence: ranges, which side the intervals favour, the option that counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pmsstats.multiverse.direction import IMPROVEMENT, WORSENING
from pmsstats.multiverse.hazard_ratios import FEW_EVENTS
from pmsstats.results import format_number

__all__ = ["count_words", "influence_words", "range_words", "ratio_words", "share_words"]


def count_words(n_rules: int, n_distinct: int, n_left_out: int) -> str:
    """Say how many definitions there are.

    Parameters
    ----------
    n_rules, n_distinct : int
        All, and without those that are another one under a second name.
    n_left_out : int
        Those that could not be derived.

    Returns
    -------
    str
        For example ``"41 definitions (1 more under a second name, 2 more left out)"``.
    """
    twins = n_rules - n_distinct
    notes = [f"{twins:,} more under a second name"] if twins else []
    notes += [f"{n_left_out:,} more left out"] if n_left_out else []
    words = f"{n_distinct:,} definition{'s' * (n_distinct != 1)}"
    return f"{words} ({', '.join(notes)})" if notes else words


def ratio_words(rows: pd.DataFrame, *, term: str, sides: tuple[str, str], primary: str = "") -> str:
    """Say the range of a term's hazard ratios, and whom their intervals favour.

    Parameters
    ----------
    rows : pandas.DataFrame
        One row per definition: ``rule change hazard_ratio hazard_ratio_low hazard_ratio_high
        few_events note``.
    term : str
        What the hazard ratios are of.
    sides : tuple of str
        Whom a hazard ratio below 1 favours where the event is a worsening, and the others.
    primary : str
        Definition whose hazard ratio is said as well.

    Returns
    -------
    str
        A clause. Hazard ratios that rest on few events are counted, but not in the range.
    """
    term = term.replace("`", "")
    known = rows[rows["hazard_ratio"].notna()]
    stated = known[~known["few_events"]]
    missing = _missing_words(len(known) - len(stated), len(rows) - len(known))
    if known.empty:
        why = rows["note"].iloc[0].split(". ")[0].rstrip(".")
        return f"hazard ratio of {term} not estimable ({why})".replace("`", "")
    if stated.empty:
        return f"hazard ratio of {term} not stated ({', '.join(missing)})"
    first = known.loc[known["rule"] == primary, "hazard_ratio"]
    own = [f"{ratio:.{_decimals(ratio)}f} under {primary}" for ratio in first]
    return f"hazard ratio of {term} " + ", ".join(
        [_ranges(stated), *own, *_side_words(stated, sides), *missing]
    )


def _missing_words(n_few: int, n_missing: int) -> list[str]:
    """Count hazard ratios that are not in the range."""
    words = [f"{n_few:,} more with fewer than {FEW_EVENTS} events"] if n_few else []
    return words + ([f"{n_missing:,} not estimable"] if n_missing else [])


def _ranges(rows: pd.DataFrame) -> str:
    """Say the range of hazard ratios: of worsenings and of improvements apart."""
    changes = list(dict.fromkeys(rows["change"]))
    if len(changes) == 1:
        return range_words(rows["hazard_ratio"])
    apart = [(c, rows.loc[rows["change"] == c, "hazard_ratio"]) for c in changes]
    return ", ".join(f"{range_words(values)} for {c} (n = {len(values):,})" for c, values in apart)


def _side_words(rows: pd.DataFrame, sides: tuple[str, str]) -> list[str]:
    """Count the intervals that favour either side, by what the events are for the patient."""
    low, high = rows["hazard_ratio_low"] > 1, rows["hazard_ratio_high"] < 1
    worse, better = rows["change"] == WORSENING, rows["change"] == IMPROVEMENT
    n = int((worse | better).sum())
    if not n:
        return [f"{high.sum():,} of {len(rows):,} intervals below 1, {low.sum():,} above"]
    first, second = (worse & high) | (better & low), (worse & low) | (better & high)
    words = [f"{first.sum():,} of {n:,} intervals favour {sides[0]}, {second.sum():,} {sides[1]}"]
    rest = len(rows) - n
    return words + ([f"{rest:,} more are neither worsening nor improvement"] if rest else [])


def share_words(shares: pd.Series) -> str:
    """Say the range of shares of subjects with the event.

    Parameters
    ----------
    shares : pandas.Series
        From 0 to 1; missing ones are left out.

    Returns
    -------
    str
        A clause, in percent.
    """
    return f"share of subjects with the event {range_words(100 * shares, 1, ' %')}"


def range_words(
    values: Sequence[float] | pd.Series, decimals: int | None = None, unit: str = ""
) -> str:
    """Write the lowest, highest and middle of some numbers, all with as many decimals.

    Parameters
    ----------
    values : sequence of float
        Missing ones are left out.
    decimals : int, optional
        By default two, and more where the lowest number needs them for two digits.
    unit : str
        After each end.

    Returns
    -------
    str
        For example ``"0.71 to 0.95 (median 0.80)"``.

    Examples
    --------
    >>> range_words([0.712, 0.8, 0.9487])
    '0.71 to 0.95 (median 0.80)'
    >>> range_words([0.172, 16.4, 66.8], 1, " %")
    '0.2 to 66.8 % (median 16.4 %)'
    """
    known = pd.Series(values, dtype=float).dropna()
    if known.empty:
        return format_number(math.nan)
    decimals = _decimals(float(known.min())) if decimals is None else decimals
    low, high, middle = (f"{f:.{decimals}f}" for f in (known.min(), known.max(), known.median()))
    if low == high:
        return f"{low}{unit}"
    return f"{low} to {high}{unit} (median {middle}{unit})"


def _decimals(lowest: float) -> int:
    """Return how many decimals show two digits of a number; at least two."""
    return int(np.clip(1 - math.floor(math.log10(lowest)), 2, 5)) if lowest > 0 else 2


def influence_words(influence: pd.DataFrame) -> list[str]:
    """Say which option moves the result most, if several can be compared.

    Parameters
    ----------
    influence : pandas.DataFrame
        From :func:`~pmsstats.multiverse.influence.option_influence`.

    Returns
    -------
    list of str
        One clause, or none.
    """
    has_ratio = "mean_change_log_hr" in influence
    changes = influence["mean_change_log_hr" if has_ratio else "mean_change_share"]
    if changes.notna().sum() < 2 or not changes.iloc[0] > 0:
        return []
    top, change = influence["option"].iloc[0], changes.iloc[0]
    if not has_ratio:
        return [f"{top} moves it most, by {100 * change:.1f} points on average"]
    factor = format_number(float(np.exp(change)), 3)
    return [f"{top} moves the hazard ratio most, by a factor of {factor} on average"]
