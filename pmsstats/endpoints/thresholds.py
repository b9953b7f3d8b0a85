"""How much change counts: thresholds as data, compared as the decimal numbers that people wrote."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pmsstats.errors import DesignError

__all__ = [
    "AbsoluteThreshold",
    "Direction",
    "RelativeThreshold",
    "StepThreshold",
    "Threshold",
    "is_reached",
]

Direction = Literal["increase", "decrease"]

# Recorded scores and times are decimals. In units of the last decimal of the limit, all numbers
# compared are integers; while these have at most nine digits (180.00 s against +20 % has six),
# two different ones differ by more than 1e-9 of the larger, and rounding by less than 1e-15. So
# this slack makes ties exactly the decimal ties.
_DECIMAL_SLACK = 1e-9


@dataclass(frozen=True, kw_only=True)
class AbsoluteThreshold:
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

    def required(self, baseline: ArrayLike) -> NDArray[np.float64]:
        """Return the change that counts for each baseline.

        Parameters
        ----------
        baseline : array_like
            Baseline values.

        Returns
        -------
        ndarray
            Same shape and unit; NaN where no change can count.
        """
        return np.full(np.shape(baseline), float(self.change))

    def size(self, unit: str = "") -> str:
        """Write the threshold in short.

        Parameters
        ----------
        unit : str
            Unit of the measure.

        Returns
        -------
        str
            For example ``"0.5 ml"``.
        """
        return _amount(self.change, unit)

    def describe(self, direction: Direction, unit: str = "") -> str:
        """Say what counts, in words.

        Parameters
        ----------
        direction : {"increase", "decrease"}
            The direction that counts.
        unit : str
            Unit of the measure.

        Returns
        -------
        str
            A noun phrase.
        """
        return f"{_article(direction)} from baseline of at least {self.size(unit)}"


@dataclass(frozen=True, kw_only=True)
class RelativeThreshold:
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

    def required(self, baseline: ArrayLike) -> NDArray[np.float64]:
        """Return the change that counts for each baseline.

        Parameters
        ----------
        baseline : array_like
            Baseline values.

        Returns
        -------
        ndarray
            Same shape and unit; NaN where baseline is not above 0.
        """
        value = np.asarray(baseline, dtype=float)
        return np.where(value > 0, value * self.fraction, np.nan)

    def size(self, unit: str = "") -> str:
        """Write the threshold in short.

        Parameters
        ----------
        unit : str
            Unit of the measure.

        Returns
        -------
        str
            For example ``"20 %"``.
        """
        del unit
        return f"{100 * self.fraction:.6g} %"

    def describe(self, direction: Direction, unit: str = "") -> str:
        """Say what counts, in words.

        Parameters
        ----------
        direction : {"increase", "decrease"}
            The direction that counts.
        unit : str
            Unit of the measure.

        Returns
        -------
        str
            A noun phrase.
        """
        return f"{_article(direction)} of at least {self.size(unit)} of the baseline value"


@dataclass(frozen=True, kw_only=True)
class StepThreshold:
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
        try:
            steps = tuple((float(up_to), float(change)) for up_to, change in self.steps)
        except (TypeError, ValueError) as exc:
            raise DesignError(
                "`steps` must be pairs of numbers [baseline up to, change], for example "
                f"[[5.5, 1.0], [inf, 0.5]], got {self.steps!r}."
            ) from exc
        bounds = [up_to for up_to, _ in steps]
        rising = all(low < high for low, high in itertools.pairwise(bounds))
        if not (bounds and rising and bounds[-1] == math.inf):
            raise DesignError(
                "`steps` must have rising upper bounds of the baseline, the last one `inf`, got "
                f"{bounds!r}. Write for example [[5.5, 1.0], [inf, 0.5]]."
            )
        for _, change in steps:
            _require_positive("change", change)
        object.__setattr__(self, "steps", steps)

    def required(self, baseline: ArrayLike) -> NDArray[np.float64]:
        """Return the change that counts for each baseline.

        Parameters
        ----------
        baseline : array_like
            Baseline values.

        Returns
        -------
        ndarray
            Same shape and unit; NaN where baseline is missing.
        """
        value = np.asarray(baseline, dtype=float)
        bounds, changes = np.array(self.steps).T
        slack = _DECIMAL_SLACK * np.abs(value)
        change = changes[np.minimum(np.searchsorted(bounds, value - slack), len(bounds) - 1)]
        return np.where(np.isnan(value), np.nan, change)

    def size(self, unit: str = "") -> str:
        """Write the threshold in short.

        Parameters
        ----------
        unit : str
            Unit of the measure.

        Returns
        -------
        str
            Empty: it depends on the baseline.
        """
        del unit
        return ""

    def describe(self, direction: Direction, unit: str = "") -> str:
        """Say what counts, in words.

        Parameters
        ----------
        direction : {"increase", "decrease"}
            The direction that counts.
        unit : str
            Unit of the measure.

        Returns
        -------
        str
            A noun phrase.
        """
        parts = []
        below = ""
        for up_to, change in self.steps:
            amount = _amount(change, unit)
            if up_to == math.inf:
                parts.append(f"{amount} where it is above {below}" if below else amount)
            elif not below:
                parts.append(f"{amount} where the baseline is {_number(up_to)} or below")
            else:
                parts.append(f"{amount} where it is above {below} up to {_number(up_to)}")
            below = _number(up_to)
        return f"{_article(direction)} from baseline of at least {', and of at least '.join(parts)}"


Threshold = AbsoluteThreshold | RelativeThreshold | StepThreshold


def is_reached(
    value: ArrayLike, baseline: ArrayLike, threshold: Threshold, direction: Direction
) -> NDArray[np.bool_]:
    """Say where a value has changed from baseline by at least the threshold.

    Parameters
    ----------
    value, baseline : array_like
        In the same unit, of shapes that broadcast.
    threshold : AbsoluteThreshold, RelativeThreshold or StepThreshold
        How much change counts.
    direction : {"increase", "decrease"}
        Which change counts.

    Returns
    -------
    ndarray of bool
        False where a value or baseline is missing.

    Notes
    -----
    Numbers are compared as the decimals they stand for: ``0.1 + 0.2`` reaches 0.3, and 20 % is
    reached exactly at 1.2 times the baseline, for all numbers of up to nine digits.
    """
    now = np.asarray(value, dtype=float)
    before = np.asarray(baseline, dtype=float)
    required = threshold.required(before)
    change = (now - before) if direction == "increase" else (before - now)
    scale = np.maximum(np.maximum(np.abs(now), np.abs(before)), required)
    return np.asarray(change >= required - _DECIMAL_SLACK * scale)


def _require_positive(name: str, value: object) -> None:
    """Refuse what is not a finite number above 0."""
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not (number and math.isfinite(value) and value > 0):
        raise DesignError(
            f"`{name}` of a threshold must be a number above 0, got {value!r}. The direction of "
            "the change is given by `direction`, not by a sign."
        )


def _article(direction: Direction) -> str:
    """Put the article before a direction."""
    return "an increase" if direction == "increase" else "a decrease"


def _number(value: float) -> str:
    """Write a number with at least one decimal, as scores are written."""
    return f"{value:.1f}" if value == round(value, 1) else f"{value:.6g}"


def _amount(change: float, unit: str) -> str:
    """Write an amount with its unit."""
    return f"{_number(change)} {unit}" if unit else _number(change)
