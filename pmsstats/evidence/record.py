"""One published value with its unit, its uncertainty and its source."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from pmsstats.errors import SchemaError
from pmsstats.evidence.citation import Citation
from pmsstats.evidence.entries import check_word

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
    units : str
        Of its value and of its spread.
    citation : Citation
        Where it is printed.
    verified : {"fulltext", "abstract", "secondary", "memory", "assumption"}
        Where whoever entered it has read it.
    value : float or None
        The number, in `units`; None where the source prints no single number.
    text : str
        What the source says instead of a number: a range, a p value, "no difference".
    sd : float, optional
        Spread between persons.
    se : float, optional
        Standard error of the value.
    ci_low, ci_high : float, optional
        95 % confidence interval of the value.
    n : int, optional
        Participants.
    n_text : str
        What is known of the participants where it is no count: ``"94 studies"``, ``"of 352"``.
    where : str
        Address, table or file that whoever entered it has read.
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
        If there is neither number nor text, or both, a number is not finite, a spread is negative,
        an interval does not hold its value, or `verified` is no known word.
    """

    id: str
    measure: str
    population: str
    quantity: str
    units: str
    citation: Citation
    verified: Verified
    value: float | None = None
    text: str = ""
    sd: float | None = None
    se: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    n: int | None = None
    n_text: str = ""
    where: str = ""
    followup: str = ""
    note: str = ""
    derivation: str = ""
    entered_twice: bool = False

    def __post_init__(self) -> None:
        """Check numbers and vocabulary."""
        check_word(f"evidence record {self.id!r}", "verified", self.verified, get_args(Verified))
        if (self.value is None) == (not self.text):
            raise SchemaError(
                f"Evidence record {self.id!r} must have either a `value` or a `text`, got "
                f"value={self.value!r} and text={self.text!r}."
            )
        self._check_numbers()
        low = -math.inf if self.ci_low is None else self.ci_low
        high = math.inf if self.ci_high is None else self.ci_high
        if self.value is not None and not low <= self.value <= high:
            raise SchemaError(
                f"The interval of evidence record {self.id!r} must hold its value, got "
                f"{self.value!r} outside of {[self.ci_low, self.ci_high]!r}."
            )

    def _check_numbers(self) -> None:
        """Refuse what is no finite number, and a negative spread."""
        for name in ("value", "sd", "se", "ci_low", "ci_high"):
            number = getattr(self, name)
            if number is None:
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
        """Whether there is a number that was read at its source, so that a generator may use it."""
        return self.value is not None and self.verified in ("fulltext", "abstract")

    @property
    def shown(self) -> str:
        """The value with its units and its spread or interval, or the text, for display."""
        if self.value is None:
            return f"{self.text} {self.units}".strip()
        bounds = [_number(b) for b in (self.ci_low, self.ci_high)]
        spread = [
            f"SD {self.sd:g}" if self.sd is not None else "",
            f"SE {self.se:g}" if self.se is not None else "",
            f"95 % CI {bounds[0]} to {bounds[1]}" if bounds != ["?", "?"] else "",
        ]
        known = ", ".join(part for part in spread if part)
        return f"{self.value:g} {self.units}{f' ({known})' if known else ''}"


def _number(bound: float | None) -> str:
    """Write a bound; a question mark where it is not known."""
    return "?" if bound is None else f"{bound:g}"
