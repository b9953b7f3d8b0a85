"""One published value with its unit, its uncertainty and its source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from pmsstats.errors import SchemaError, nearest
from pmsstats.evidence.citation import Citation

__all__ = ["EvidenceRecord", "Verified"]

Verified = Literal["fulltext", "abstract", "secondary", "memory", "assumption"]
"""Where the value was read: only ``fulltext`` and ``abstract`` may anchor a generator."""


@dataclass(frozen=True, kw_only=True)
class EvidenceRecord:
    """One published value.

    Parameters
    ----------
    id : str
        Name in the catalogue, which starts with the key of its citation.
    measure : str
        What was measured.
    population : str
        On whom.
    quantity : str
        What about it: ``annual_pct_change``, ``baseline_mean``, ...
    value : float
        The number, in `units`.
    units : str
        Of the value, and of its spread.
    citation : Citation
        Where it is printed.
    verified : {"fulltext", "abstract", "secondary", "memory", "assumption"}
        Where whoever entered it has read it.
    sd : float, optional
        Spread between persons.
    se : float, optional
        Standard error of the value.
    ci_low, ci_high : float, optional
        95 % confidence interval of the value.
    n : int, optional
        Participants.
    followup : str
        Duration, or ``"cross-sectional"``.
    note : str
        Design details a user of the value should know.
    derivation : str
        How the value follows from printed numbers; empty where it is printed itself.
    entered_twice : bool
        Whether two people entered it from the source, the second without seeing the first.

    Raises
    ------
    SchemaError
        If a number is not finite, a spread is negative, an interval does not hold its value, or
        `verified` is no known word.
    """

    id: str
    measure: str
    population: str
    quantity: str
    value: float
    units: str
    citation: Citation
    verified: Verified
    sd: float | None = None
    se: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int | None = None
    followup: str = ""
    note: str = ""
    derivation: str = ""
    entered_twice: bool = False

    def __post_init__(self) -> None:
        """Check numbers and vocabulary."""
        if self.verified not in get_args(Verified):
            raise SchemaError(
                f"`verified` of evidence record {self.id!r} must be one of "
                f"{', '.join(get_args(Verified))}, got {self.verified!r}."
                f"{nearest(str(self.verified), get_args(Verified))}"
            )
        self._check_numbers()
        low = -math.inf if self.ci_low is None else self.ci_low
        high = math.inf if self.ci_high is None else self.ci_high
        if not low <= self.value <= high:
            raise SchemaError(
                f"The interval of evidence record {self.id!r} must hold its value, got "
                f"{self.value!r} outside of {[self.ci_low, self.ci_high]!r}."
            )

    def _check_numbers(self) -> None:
        """Refuse what is no finite number, and a negative spread."""
        for name in ("value", "sd", "se", "ci_low", "ci_high"):
            number = getattr(self, name)
            if number is None and name != "value":
                continue
            if isinstance(number, bool) or not isinstance(number, int | float):
                raise SchemaError(
                    f"`{name}` of evidence record {self.id!r} must be a number, got {number!r}."
                )
            if not math.isfinite(number) or (name in ("sd", "se") and number < 0):
                raise SchemaError(
                    f"`{name}` of evidence record {self.id!r} must be finite"
                    f"{' and not negative' if name in ('sd', 'se') else ''}, got {number!r}."
                )

    @property
    def is_anchor(self) -> bool:
        """Whether the value was read at its source, so that a generator may rest on it."""
        return self.verified in ("fulltext", "abstract")
