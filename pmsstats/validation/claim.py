"""One estimable statement of a finding: the analysis, and what its estimate should be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pmsstats.errors import DesignError, nearest
from pmsstats.validation.analyses.base import Analysis

__all__ = ["Claim", "Expectation"]

Expectation = Literal["lower", "higher", "none"]
"""What the estimate should be: below zero, above zero, or too near to it to matter."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One analysis, with the sign that its estimate should have.

    Parameters
    ----------
    analysis : Analysis
        What is computed, on whom.
    expect : {"lower", "higher", "none"}
        Sign of the estimate; ``"none"`` asks for equivalence with zero.
    margin : float, optional
        Truths nearer to zero than this count as none, in units of the estimate; needed for, and
        allowed with ``"none"`` only.
    published : tuple of float, optional
        Interval of the magnitude, in units of the estimate, where one is printed.
    record : str
        Evidence record of that magnitude.
    label : str
        The quantity in words, for rows and axes; the analysis says its own by default.
    tested : bool, default True
        Whether the cited study reported a test. Where it only stated an order or a number, its
        replicates find it by the sign of their estimate (or, for ``"none"``, inside the margin).

    Raises
    ------
    DesignError
        If the margin is missing, not positive, or out of place, or an interval is empty.
    """

    analysis: Analysis
    expect: Expectation
    margin: float | None = None
    published: tuple[float, float] | None = None
    record: str = ""
    label: str = ""
    tested: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be judged."""
        if not isinstance(self.analysis, Analysis):
            raise DesignError(
                f"`analysis` must be one of pmsstats.validation.analyses, got {self.analysis!r}."
            )
        if self.expect not in get_args(Expectation):
            raise DesignError(
                f"`expect` must be one of {', '.join(get_args(Expectation))}, got {self.expect!r}."
                f"{nearest(str(self.expect), get_args(Expectation))}"
            )
        if (self.margin is not None) != (self.expect == "none"):
            raise DesignError(
                "`margin` says which truths count as none: it is needed where `expect` is 'none', "
                f"and only there, got expect={self.expect!r}, margin={self.margin!r}."
            )
        if self.margin is not None and not self.margin > 0:
            raise DesignError(f"`margin` must be above 0, got {self.margin!r}.")
        if self.published is not None and not self.published[0] <= self.published[1]:
            raise DesignError(f"`published` must be (low, high), got {self.published!r}.")

    @property
    def words(self) -> str:
        """The quantity in words."""
        return self.label or self.analysis.describe()
