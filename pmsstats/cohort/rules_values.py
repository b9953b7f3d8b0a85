"""Rules about measured values: legal, possible, plausible, in the right unit, varying."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pmsstats.cohort.rules import Flagger, Rule, RuleInput
from pmsstats.cohort.schema import Measure
from pmsstats.cohort.units import conversion_factor
from pmsstats.results import format_number

__all__ = ["UNIT_CONFUSIONS", "VALUE_RULES", "UnitGuess", "guess_unit"]

UNIT_CONFUSIONS: Mapping[str, tuple[str, ...]] = {
    "ml": ("mm3", "l"),
    "mm3": ("ml",),
    "mm2": ("cm2",),
    "mm": ("cm", "m"),
    "s": ("min", "ms"),
    "ms": ("s",),
    "1/s": ("1/ms",),
    "m": ("ft", "cm"),
    "10^-3 mm2/s": ("mm2/s", "10^-6 mm2/s"),
    "pu": ("fraction",),
    "%": ("fraction",),
    "pg/ml": ("ng/ml", "ug/ml"),
    "ppb": ("ppm",),
    "mmol/l": ("umol/l", "mol/l"),
}
"""What a unit is mistaken for, the likeliest first."""

_PLAIN_CONFUSIONS = (("percent", 1e-2), ("thousandths", 1e-3))  # of what has no unit, such as FA
_POWERS_OF_TEN = tuple(10.0**k for k in (1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6, 9, -9))

_COUNT_UNITS = ("lesions", "foci")  # counts have no decimal point to slip: 1, 1, 12 is one course
_OUTLIER_TOLERANCE = 0.1  # decades: a slip of the decimal point, give or take 25 %
_AGREEMENT = 1.5  # the subject's other values lie within this factor of their median
_VALUE_TOLERANCE = 1e-9  # legal values are steps of a scale, stored as binary fractions

Issues = Iterator[pd.DataFrame]


def _values(given: RuleInput, measure: Measure) -> np.ndarray:
    """Return the values of a measure."""
    return given.visits[measure.name].to_numpy(dtype=float)


def _scale(measure: Measure) -> tuple[float, ...]:
    """Return the only legal values of a measure, if there are few."""
    return measure.values  # noqa: PD011 (a field of Measure, not of a frame)


def _unscaled(given: RuleInput) -> list[Measure]:
    """Return the measures that are no scale of few steps."""
    return [m for m in given.measures if not _scale(m)]


def _check_no_measure(given: RuleInput, flag: Flagger) -> Issues:
    """Report visits without any column that the dictionary knows."""
    if given.usable("visits") and not given.measures:
        columns = ", ".join(map(repr, given.visits.columns[:12]))
        yield flag.table(
            table="visits", message=f"No column of visits is a known measure; it has {columns}."
        )


def _check_near_measure_name(given: RuleInput, flag: Flagger) -> Issues:
    """Report columns that are named almost like a measure."""
    names = {name.casefold(): name for name in given.dictionary}
    ours = {"subject_id", "day", "visit", "year"}
    for column in given.visits.columns:
        if column in given.dictionary or column in ours:
            continue
        close = difflib.get_close_matches(column.casefold(), names, n=1, cutoff=0.92)
        if close and given.usable("visits"):
            yield flag.table(
                table="visits",
                column=column,
                message=f"{column!r} is no measure, but almost one: did you mean "
                f"{names[close[0]]!r}?",
            )


def _check_all_missing_measure(given: RuleInput, flag: Flagger) -> Issues:
    """Report measures without a single value."""
    for measure in given.measures:
        if given.usable("visits") and np.isnan(_values(given, measure)).all():
            yield flag.table(
                table="visits", column=measure.name, message=f"{measure.name} has no value at all."
            )


def _check_constant_measure(given: RuleInput, flag: Flagger) -> Issues:
    """Report measures whose values are all the same."""
    for measure in given.measures:
        values = _values(given, measure)
        found = values[~np.isnan(values)]
        if len(found) > 1 and found.min() == found.max():
            yield flag.table(
                table="visits",
                column=measure.name,
                value=float(found[0]),
                message=f"{measure.name} is {format_number(float(found[0]))} at all "
                f"{len(found):,} visits that have it.",
            )


def _check_illegal_value(given: RuleInput, flag: Flagger) -> Issues:
    """Report values that a scale does not have, such as EDSS 0.5 or 4.3."""
    for measure in [m for m in given.measures if _scale(m)]:
        legal = np.sort(_scale(measure))
        values = _values(given, measure)
        nearest = legal[_nearest_index(legal, values)]
        yield flag.rows(
            given.visits,
            np.abs(values - nearest) > _VALUE_TOLERANCE,
            table="visits",
            column=measure.name,
            message=f"{measure.name} takes only the values {_list_values(legal)}.",
        )


def _nearest_index(legal: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the index of the nearest legal value."""
    middles = (legal[1:] + legal[:-1]) / 2
    return np.searchsorted(middles, np.nan_to_num(values))


def _list_values(legal: np.ndarray) -> str:
    """List legal values, shortened."""
    texts = [f"{v:g}" for v in legal]
    return ", ".join(texts if len(texts) <= 6 else [*texts[:4], "...", texts[-1]])


@dataclass(frozen=True)
class UnitGuess:
    """In which unit a measure seems to have come.

    Parameters
    ----------
    factor : float
        What the values must be multiplied by.
    unit : str
        The unit they seem to be in; empty where the factor is only a power of ten.
    """

    factor: float
    unit: str = ""


def guess_unit(values: np.ndarray, measure: Measure) -> UnitGuess | None:
    """Find the factor by which a measure is out of scale, if there is one.

    Parameters
    ----------
    values : ndarray, shape (n_visits,)
        In the unit in which they came, missing ones as NaN.
    measure : Measure
        With its plausible range.

    Returns
    -------
    UnitGuess or None
        The first of :data:`UNIT_CONFUSIONS`, then of the powers of ten, that brings the median of
        the values other than zero into the plausible range; None where it lies there already, or
        no factor helps.

    Examples
    --------
    >>> thalamus = Measure(name="thalamus_ml", label="Thalamus", unit="ml", plausible=(4, 24))
    >>> guess_unit(np.array([15800.0, 16100.0]), thalamus)
    UnitGuess(factor=0.001, unit='mm3')
    """
    low, high = measure.plausible
    found = values[np.isfinite(values) & (values != 0)]
    if measure.kind == "change" or _scale(measure) or not len(found):
        return None
    median = float(np.median(found))
    if low <= median <= high or not np.isfinite([low, high]).all():
        return None
    return next((g for g in _unit_guesses(measure) if low <= median * g.factor <= high), None)


def _unit_guesses(measure: Measure) -> list[UnitGuess]:
    """List the units that a measure may have come in: those often mixed up, then powers of ten."""
    if measure.unit:
        others = UNIT_CONFUSIONS.get(measure.unit, ())
        named = [UnitGuess(conversion_factor(u, measure.unit), u) for u in others]
    else:
        named = [UnitGuess(factor, unit) for unit, factor in _PLAIN_CONFUSIONS]
    return [*named, *map(UnitGuess, _POWERS_OF_TEN)]


def _check_unit_suspect(given: RuleInput, flag: Flagger) -> Issues:
    """Report measures whose values lie wholly out of range, but by a factor between units."""
    for measure in given.measures:
        values = _values(given, measure)
        guess = guess_unit(values, measure)
        if guess is not None:
            median = float(np.nanmedian(values[values != 0]))
            yield flag.table(
                table="visits",
                column=measure.name,
                value=median,
                message=_unit_message(measure, median, guess),
            )


def _unit_message(measure: Measure, median: float, guess: UnitGuess) -> str:
    """Say by which factor a unit looks wrong."""
    times = guess.factor if guess.factor >= 1 else 1 / guess.factor
    size = f"factor {times:g}"
    looks = (
        f"looks like {guess.unit} instead of {measure.unit or 'a plain number'} ({size})"
        if guess.unit
        else f"looks {'too small' if guess.factor > 1 else 'too large'} by a {size}"
    )
    low, high = measure.plausible
    return f"{measure.name} {looks}: its median is {median:.4g}, but {low:g} to {high:g} is usual."


def _scaled(given: RuleInput, measure: Measure) -> np.ndarray:
    """Return values as they would be in the right unit, so that a wrong unit is told only once."""
    values = _values(given, measure)
    guess = guess_unit(values, measure)
    return values if guess is None else values * guess.factor


def _check_impossible_value(given: RuleInput, flag: Flagger) -> Issues:
    """Report values that cannot be, such as negative volumes."""
    for measure in _unscaled(given):
        low, high = measure.possible
        values = _scaled(given, measure)
        yield flag.rows(
            given.visits,
            (values < low) | (values > high),
            table="visits",
            column=measure.name,
            message=f"{measure.name} must {_range_text(low, high)}.",
        )


def _range_text(low: float, high: float) -> str:
    """Say which values a hard range allows."""
    if np.isinf(high):
        return f"not be below {low:g}"
    return f"not be above {high:g}" if np.isinf(low) else f"lie between {low:g} and {high:g}"


def _check_implausible_value(given: RuleInput, flag: Flagger) -> Issues:
    """Report values that are possible but unusual."""
    for measure in _unscaled(given):
        values = _scaled(given, measure)
        unusual = (values < measure.plausible[0]) | (values > measure.plausible[1])
        possible = (values >= measure.possible[0]) & (values <= measure.possible[1])
        low, high = measure.plausible
        yield flag.rows(
            given.visits,
            unusual & possible,
            table="visits",
            column=measure.name,
            message=f"{measure.name} is usually between {low:g} and {high:g}.",
        )


def _check_decimal_slip(given: RuleInput, flag: Flagger) -> Issues:
    """Report single values ten, a hundred ... times the subject's other values."""
    levels = [m for m in _unscaled(given) if m.kind == "level"]
    for measure in [m for m in levels if m.unit not in _COUNT_UNITS]:
        values = _values(given, measure)
        bad, usual = decimal_slips(values, given.visit_subject)
        if bad.any():
            texts = np.full(len(values), "", dtype=object)
            texts[bad] = [
                f"This subject's other values of {measure.name} are near {format_number(v)}."
                for v in usual[bad].tolist()
            ]
            yield flag.rows(given.visits, bad, table="visits", column=measure.name, message=texts)


def decimal_slips(values: np.ndarray, subject: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find values that are off by a power of ten within their subject.

    Parameters
    ----------
    values : ndarray, shape (n_visits,)
        One measure, missing ones as NaN.
    subject : ndarray of int, shape (n_visits,)
        Subject number.

    Returns
    -------
    bad : ndarray of bool, shape (n_visits,)
        True where the subject has at least three values, all but this one agree within a factor
        of 1.5 of their median, and this one is 10, 100, 1000 ... times larger or smaller.
    usual : ndarray, shape (n_visits,)
        The subject's median.
    """
    positive = np.where(values > 0, values, np.nan)
    median = pd.Series(positive).groupby(subject).transform("median").to_numpy()
    with np.errstate(invalid="ignore"):
        decades = np.log10(positive / median)
    agrees = np.abs(decades) <= np.log10(_AGREEMENT)
    n = max(int(subject.max(initial=0)) + 1, 1)
    n_values = np.bincount(subject, weights=~np.isnan(values), minlength=n)
    n_agree = np.bincount(subject, weights=agrees, minlength=n)
    alone = (n_values >= 3) & (n_agree == n_values - 1)
    power = np.round(decades)
    slipped = (np.abs(power) >= 1) & (np.abs(decades - power) <= _OUTLIER_TOLERANCE)
    return alone[subject] & slipped, median


VALUE_RULES: tuple[Rule, ...] = (
    Rule(
        name="no_measure",
        severity="warning",
        fix="Map your columns to measures under [columns.visits] (list them with `pmsstats "
        "measures`), or describe your own under [measures.<name>].",
        check=_check_no_measure,
    ),
    Rule(
        name="near_measure_name",
        severity="warning",
        fix="Rename or map the column, if it is this measure.",
        check=_check_near_measure_name,
    ),
    Rule(
        name="all_missing_measure",
        severity="warning",
        fix="Leave the column out, or find out where its values went.",
        check=_check_all_missing_measure,
    ),
    Rule(
        name="constant_measure",
        severity="warning",
        fix="Check the export: a measure that never varies cannot be analysed.",
        check=_check_constant_measure,
    ),
    Rule(
        name="illegal_value",
        severity="error",
        fix="Correct the value at its source, or leave it empty.",
        check=_check_illegal_value,
    ),
    Rule(
        name="unit_suspect",
        severity="error",
        fix='Say in which unit the column is: x_ml = {column = "x", unit = "mm3"} under '
        "[columns.visits]; if the values are right, widen `plausible` under [measures.<name>].",
        check=_check_unit_suspect,
    ),
    Rule(
        name="impossible_value",
        severity="error",
        fix="Correct the value or its unit at the source, or leave it empty.",
        check=_check_impossible_value,
    ),
    Rule(
        name="implausible_value",
        severity="warning",
        fix="Look at these values; if they are right, nothing, or widen `plausible` under "
        "[measures.<name>].",
        check=_check_implausible_value,
    ),
    Rule(
        name="decimal_slip",
        severity="warning",
        fix="Check the decimal point and the unit of these values.",
        check=_check_decimal_slip,
    ),
)
"""Rules about values, in the order in which they are reported."""
