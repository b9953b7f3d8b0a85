"""How much change counts: thresholds as data, compared as the decimal numbers that people wrote."""

from __future__ import annotations

import itertools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import reduce
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pmsstats.endpoints.definitions.field_checks import is_number, require_choice
from pmsstats.errors import DesignError

__all__ = [
    "DECIMAL_SLACK",
    "AbsoluteThreshold",
    "CombinedThreshold",
    "Direction",
    "LevelThreshold",
    "RelativeThreshold",
    "StepThreshold",
    "Threshold",
    "decimal_text",
    "is_reached",
]

Direction = Literal["increase", "decrease"]
Take = Literal["smallest", "largest"]

# Recorded scores and times are decimals. In units of the last decimal of the limit, all numbers
# compared are integers; while these have at most nine digits (180.00 s against +20 % has six),
# two different ones differ by more than 1e-9 of the larger, and rounding by less than 1e-15. So
# this slack makes ties exactly the decimal ties.
DECIMAL_SLACK = 1e-9
"""Share of the larger of two numbers by which they may differ and still be the same decimal."""

FloatArray = NDArray[np.float64]


class Threshold(ABC):
    """How much change from baseline counts: what all thresholds can do."""

    def required(self, baseline: ArrayLike, direction: Direction = "increase") -> FloatArray:
        """Return the change that counts for each baseline.

        Parameters
        ----------
        baseline : array_like
            Baseline values.
        direction : {"increase", "decrease"}
            Which change counts; only a level depends on it.

        Returns
        -------
        ndarray
            Same shape and unit, above 0; NaN where baseline is missing or no change can count.

        Raises
        ------
        DesignError
            If the direction is neither.
        """
        require_choice("a threshold", "direction", direction, get_args(Direction))
        value = np.asarray(baseline, dtype=float)
        return np.where(np.isnan(value), np.nan, self._required(value, direction))

    @abstractmethod
    def _required(self, value: FloatArray, direction: Direction) -> FloatArray:
        """Return the change that counts; what is returned for missing values is ignored."""

    def size(self, unit: str = "") -> str:
        """Write the threshold in short.

        Parameters
        ----------
        unit : str
            Unit of the measure.

        Returns
        -------
        str
            For example ``"0.5 ml"``; empty where it depends on the baseline in steps.
        """
        return self._size(unit)

    @abstractmethod
    def _size(self, unit: str) -> str:
        """Write the threshold in short."""

    def describe(self, direction: Direction, unit: str = "", lowest: float = -math.inf) -> str:
        """Say what counts, in words.

        Parameters
        ----------
        direction : {"increase", "decrease"}
            The direction that counts.
        unit : str
            Unit of the measure.
        lowest : float, default -inf
            Lowest value that a baseline can have.

        Returns
        -------
        str
            A noun phrase.
        """
        return self._phrase(direction, unit, lowest)

    def extent(self, unit: str = "", lowest: float = -math.inf) -> str:
        """Say how much counts, whichever the direction.

        Parameters
        ----------
        unit : str
            Unit of the measure.
        lowest : float, default -inf
            Lowest value that a baseline can have.

        Returns
        -------
        str
            What follows "an increase from baseline".
        """
        return self._extent(unit, lowest)

    @abstractmethod
    def _extent(self, unit: str, lowest: float) -> str:
        """Say how much counts."""

    def _phrase(self, direction: Direction, unit: str, lowest: float) -> str:
        """Say what counts: a change from baseline, if nothing else is said."""
        return f"{_article(direction)} from baseline {self._extent(unit, lowest)}"


@dataclass(frozen=True, kw_only=True)
class AbsoluteThreshold(Threshold):
    """The same change for every baseline.

    Parameters
    ----------
    change : float
        Smallest change that counts, in the unit of the measure; above 0.

    Raises
    ------
    DesignError
        If `change` is not a number above 0.

    Examples
    --------
    >>> AbsoluteThreshold(change=0.5).describe("increase")
    'an increase from baseline of at least 0.5'
    """

    change: float

    def __post_init__(self) -> None:
        """Check the change."""
        _require_positive("change", self.change)

    def _required(self, value: FloatArray, direction: Direction) -> FloatArray:
        del direction
        return np.full(value.shape, float(self.change))

    def _size(self, unit: str) -> str:
        return _amount(self.change, unit)

    def _extent(self, unit: str, lowest: float) -> str:
        del lowest
        return f"of at least {self.size(unit)}"


@dataclass(frozen=True, kw_only=True)
class RelativeThreshold(Threshold):
    """A share of the baseline value.

    Parameters
    ----------
    fraction : float
        Smallest change that counts, as a fraction of baseline: 0.2 is 20 %.

    Raises
    ------
    DesignError
        If `fraction` is not a number above 0.

    Notes
    -----
    Change relative to a baseline of zero or below has no meaning: such subjects are not at risk.

    Examples
    --------
    A walk of 6.0 s is 20 % worse than one of 5.0 s, whatever binary fractions say:

    >>> twenty = RelativeThreshold(fraction=0.2)
    >>> bool(is_reached(6.0, 5.0, twenty, "increase"))
    True
    """

    fraction: float

    def __post_init__(self) -> None:
        """Check the fraction."""
        _require_positive("fraction", self.fraction)

    def _required(self, value: FloatArray, direction: Direction) -> FloatArray:
        del direction
        return np.where(value > 0, value * self.fraction, np.nan)

    def _size(self, unit: str) -> str:
        del unit
        return f"{100 * self.fraction:.6g} %"

    def _extent(self, unit: str, lowest: float) -> str:
        del lowest
        return f"of at least {self.size(unit)} of the baseline value"

    def _phrase(self, direction: Direction, unit: str, lowest: float) -> str:
        return f"{_article(direction)} {self._extent(unit, lowest)}"


@dataclass(frozen=True, kw_only=True)
class StepThreshold(Threshold):
    """A change that depends on the baseline value, in steps.

    Parameters
    ----------
    steps : tuple of tuple of float
        Pairs ``(up_to, change)``: `change` counts where baseline is at most `up_to`, and above
        the pair before. The last `up_to` is infinite.

    Raises
    ------
    DesignError
        If there is no step, the bounds do not rise to infinity, or a change is not above 0.

    Examples
    --------
    >>> pivotal = StepThreshold(steps=((5.5, 1.0), (float("inf"), 0.5)))
    >>> pivotal.required([4.0, 5.5, 6.0]).tolist()
    [1.0, 1.0, 0.5]
    """

    steps: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """Check bounds and changes, and store them as tuples."""
        steps = _number_pairs(self.steps)
        bounds = [up_to for up_to, _ in steps]
        rising = all(low < high for low, high in itertools.pairwise(bounds))
        if not (bounds and rising and bounds[-1] == math.inf and -math.inf not in bounds):
            raise DesignError(
                "`steps` must have rising upper bounds of the baseline, the last one `inf`, got "
                f"{bounds!r}. Write for example [[5.5, 1.0], [inf, 0.5]]."
            )
        for _, change in steps:
            _require_positive("change", change)
        object.__setattr__(self, "steps", steps)

    def _required(self, value: FloatArray, direction: Direction) -> FloatArray:
        del direction
        bounds, changes = np.array(self.steps).T
        slack = DECIMAL_SLACK * np.abs(value)
        return changes[np.minimum(np.searchsorted(bounds, value - slack), len(bounds) - 1)]

    def _size(self, unit: str) -> str:
        del unit
        return ""

    def _extent(self, unit: str, lowest: float) -> str:
        parts = []
        below = ""
        for up_to, change in self.steps:
            amount = _amount(change, unit)
            bound = f"{up_to:g}" if up_to == lowest else decimal_text(up_to)
            if up_to == math.inf:
                parts.append(f"{amount} where it is above {below}" if below else amount)
            elif not below:
                or_below = " or below" * (up_to > lowest)
                parts.append(f"{amount} where the baseline is {bound}{or_below}")
            else:
                parts.append(f"{amount} where it is above {below} up to {bound}")
            below = bound
        return f"of at least {', and of at least '.join(parts)}"


@dataclass(frozen=True, kw_only=True)
class LevelThreshold(Threshold):
    """A level that is reached or not, whatever the baseline: a milestone.

    Parameters
    ----------
    level : float
        In the unit of the measure. Subjects whose baseline has reached it are not at risk.

    Raises
    ------
    DesignError
        If `level` is not a finite number.

    Examples
    --------
    >>> six = LevelThreshold(level=6.0)
    >>> six.required([4.0, 5.5, 6.0]).tolist()
    [2.0, 0.5, nan]
    >>> six.describe("increase")
    'a value of 6.0 or more'
    """

    level: float

    def __post_init__(self) -> None:
        """Check the level."""
        if not (is_number(self.level) and math.isfinite(self.level)):
            raise DesignError(f"`level` of a threshold must be a number, got {self.level!r}.")

    def _required(self, value: FloatArray, direction: Direction) -> FloatArray:
        away = self.level - value if direction == "increase" else value - self.level
        scale = np.maximum(np.abs(value), abs(self.level))
        return np.where(away > DECIMAL_SLACK * scale, away, np.nan)

    def _size(self, unit: str) -> str:
        return _amount(self.level, unit)

    def _extent(self, unit: str, lowest: float) -> str:
        del lowest
        return f"to {self.size(unit)}"

    def _phrase(self, direction: Direction, unit: str, lowest: float) -> str:
        del lowest
        more = "more" if direction == "increase" else "less"
        return f"a value of {self.size(unit)} or {more}"


@dataclass(frozen=True, kw_only=True)
class CombinedThreshold(Threshold):
    """Several thresholds, of which the smallest or the largest change counts.

    Parameters
    ----------
    parts : tuple of AbsoluteThreshold, RelativeThreshold, StepThreshold
        At least two of them, each kind once.
    take : {"smallest", "largest"}
        Which of the changes they ask for counts: the smallest means any of the parts, the
        largest all of them.

    Raises
    ------
    DesignError
        If there are fewer than two parts, one is of another kind or of the same kind as
        another, or `take` is neither.

    Notes
    -----
    Where a part cannot be met (a share of a baseline of zero), the smallest is that of the
    others, and for the largest no change can count.

    Examples
    --------
    >>> either = CombinedThreshold(
    ...     parts=(RelativeThreshold(fraction=0.2), AbsoluteThreshold(change=4))
    ... )
    >>> either.required([10, 20, 50]).tolist()
    [2.0, 4.0, 4.0]
    """

    parts: tuple[AbsoluteThreshold | RelativeThreshold | StepThreshold, ...]
    take: Take = "smallest"

    def __post_init__(self) -> None:
        """Check parts and choice, and store the parts as a tuple."""
        require_choice("a CombinedThreshold", "take", self.take, get_args(Take))
        kinds = (AbsoluteThreshold, RelativeThreshold, StepThreshold)
        parts = tuple(self.parts) if isinstance(self.parts, list | tuple) else ()
        found = [type(part) for part in parts]
        if len(parts) < 2 or not set(found) <= set(kinds) or len(set(found)) < len(found):
            raise DesignError(
                "`parts` of a CombinedThreshold must be two or three of AbsoluteThreshold, "
                "RelativeThreshold and StepThreshold, each once (of two changes, or two shares, "
                f"the same one would always count), got {self.parts!r}."
            )
        object.__setattr__(self, "parts", parts)

    def _required(self, value: FloatArray, direction: Direction) -> FloatArray:
        choose = np.fmin if self.take == "smallest" else np.maximum  # fmin passes over NaN
        return reduce(choose, [part.required(value, direction) for part in self.parts])

    def _size(self, unit: str) -> str:
        sizes = [part.size(unit) for part in self.parts]
        return f"{_joined(sizes, 'or')}, {self._which}" if all(sizes) else ""

    def _extent(self, unit: str, lowest: float) -> str:
        extents = [part.extent(unit, lowest) for part in self.parts]
        return f"{_joined(extents, 'or')}, {self._which}"

    @property
    def _which(self) -> str:
        """Say which of the parts counts."""
        words = ("smaller", "larger") if len(self.parts) == 2 else ("smallest", "largest")
        return f"whichever is {words[self.take == 'largest']}"


def is_reached(
    value: ArrayLike, baseline: ArrayLike, threshold: Threshold, direction: Direction
) -> NDArray[np.bool_]:
    """Say where a value has changed from baseline by at least the threshold.

    Parameters
    ----------
    value, baseline : array_like
        In the same unit, of shapes that broadcast.
    threshold : AbsoluteThreshold, RelativeThreshold, StepThreshold, ...
        How much change counts.
    direction : {"increase", "decrease"}
        Which change counts.

    Returns
    -------
    ndarray of bool
        False where a value or baseline is missing, and where no change can count.

    Raises
    ------
    DesignError
        If the direction is neither.

    Notes
    -----
    Numbers are compared as the decimals they stand for: ``0.1 + 0.2`` reaches 0.3, and 20 % is
    reached exactly at 1.2 times the baseline, for all numbers of up to nine digits.
    """
    now = np.asarray(value, dtype=float)
    before = np.asarray(baseline, dtype=float)
    required = threshold.required(before, direction)
    change = (now - before) if direction == "increase" else (before - now)
    scale = np.maximum(np.maximum(np.abs(now), np.abs(before)), required)
    return np.asarray(change >= required - DECIMAL_SLACK * scale)


def decimal_text(value: float) -> str:
    """Write a number with at least one decimal, as scores are written.

    Parameters
    ----------
    value : float
        The number.

    Returns
    -------
    str
        For example ``"6.0"`` or ``"0.25"``.
    """
    return f"{value:.1f}" if value == round(value, 1) else f"{value:.6g}"


def _number_pairs(steps: object) -> tuple[tuple[float, float], ...]:
    """Return steps as pairs of floats, or say how they are written."""
    try:
        pairs = tuple((up_to, change) for up_to, change in steps)  # type: ignore[attr-defined]
    except (TypeError, ValueError):
        pairs = ((None, None),)
    if not all(is_number(number) for pair in pairs for number in pair):
        raise DesignError(
            "`steps` must be pairs of numbers [baseline up to, change], for example "
            f"[[5.5, 1.0], [inf, 0.5]], got {steps!r}."
        )
    return tuple((float(up_to), float(change)) for up_to, change in pairs)


def _require_positive(name: str, value: object) -> None:
    """Refuse what is not a finite number above 0."""
    if not (is_number(value) and math.isfinite(value) and value > 0):
        raise DesignError(
            f"`{name}` of a threshold must be a number above 0, got {value!r}. The direction of "
            "the change is given by `direction`, not by a sign."
        )


def _article(direction: Direction) -> str:
    """Put the article before a direction."""
    return "an increase" if direction == "increase" else "a decrease"


def _joined(words: list[str], last: str) -> str:
    """Join with commas, the last with a word."""
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def _amount(change: float, unit: str) -> str:
    """Write an amount with its unit."""
    return f"{decimal_text(change)} {unit}" if unit else decimal_text(change)
