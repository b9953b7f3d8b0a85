"""Turn what a paper prints to an interval that a generator's true value should lie in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from pmsstats.endpoints.derivation.status import wilson_interval
from pmsstats.evidence import EvidenceRecord

__all__ = ["GENERATOR_SPREAD", "PublishedInterval", "published_interval"]

_LEVEL = 0.95
_Z = float(stats.norm.ppf((1 + _LEVEL) / 2))

GENERATOR_SPREAD = "the generator's own spread"
"""Basis of an interval whose source prints no spread."""

Kind = Literal["mean", "spread", "share", "correlation"]


@dataclass(frozen=True, kw_only=True)
class PublishedInterval:
    """What a paper says about a moment.

    Parameters
    ----------
    low, high : float
        Ends of the 95 % interval, in the units of the moment.
    basis : str
        What the interval rests on, in words.
    """

    low: float
    high: float
    basis: str

    def holds(self, value: float) -> bool:
        """Say whether a value lies in it, ends included.

        Parameters
        ----------
        value : float
            In the same units.

        Returns
        -------
        bool
            False for NaN.
        """
        return self.low <= value <= self.high


def published_interval(
    record: EvidenceRecord, *, kind: Kind, value: float, factor: float, n: int, spread: float
) -> PublishedInterval:
    """Derive the 95 % interval of a published moment, from the best that its record has.

    Parameters
    ----------
    record : EvidenceRecord
        The published value.
    kind : {"mean", "spread", "share", "correlation"}
        Which sampling distribution it has.
    value : float
        The published value, in the units of the moment.
    factor : float
        From the units of the record to those of the moment.
    n : int
        Persons in the study.
    spread : float
        Standard deviation between persons that the generator has, for means that are printed
        without one.

    Returns
    -------
    PublishedInterval
        The printed interval; else from the printed standard error; else from the printed spread,
        or for want of one from the generator's spread, and the size of the study. Shares have
        Wilson's interval, correlations Fisher's, spreads that of a normal sample.
    """
    if record.ci_low is not None and record.ci_high is not None:
        ends = sorted((factor * record.ci_low, factor * record.ci_high))
        return PublishedInterval(low=ends[0], high=ends[1], basis="printed 95 % interval")
    if kind != "mean" and record.se is None:
        low, high = _BY_KIND[kind](value, n)
        return PublishedInterval(low=low, high=high, basis=f"{kind}, n = {n}")
    if record.se is not None:
        error, basis = abs(factor) * record.se, "printed standard error"
    elif record.sd is not None:
        error, basis = abs(factor) * record.sd / math.sqrt(n), f"printed spread, n = {n}"
    else:
        error, basis = spread / math.sqrt(n), GENERATOR_SPREAD
    return PublishedInterval(low=value - _Z * error, high=value + _Z * error, basis=basis)


def _share_interval(percent: float, n: int) -> tuple[float, float]:
    """Return Wilson's interval of a percentage."""
    low, high = wilson_interval(np.array([percent / 100 * n]), np.array([n]), _LEVEL)
    return 100 * float(low[0]), 100 * float(high[0])


def _correlation_interval(r: float, n: int) -> tuple[float, float]:
    """Return Fisher's interval of a correlation."""
    half = _Z / math.sqrt(n - 3)
    return math.tanh(math.atanh(r) - half), math.tanh(math.atanh(r) + half)


def _spread_interval(sd: float, n: int) -> tuple[float, float]:
    """Return the interval of the standard deviation of a normal sample."""
    high, low = stats.chi2.ppf([(1 - _LEVEL) / 2, (1 + _LEVEL) / 2], n - 1)
    return sd * math.sqrt((n - 1) / low), sd * math.sqrt((n - 1) / high)


_BY_KIND = {
    "share": _share_interval,
    "correlation": _correlation_interval,
    "spread": _spread_interval,
}
