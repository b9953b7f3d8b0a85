"""One finding of the review as an executable check."""

from __future__ import annotations

from dataclasses import dataclass

from pmsstats.errors import DesignError
from pmsstats.validation.claim import Claim
from pmsstats.validation.design import StudyDesign

__all__ = ["Check"]


@dataclass(frozen=True, kw_only=True)
class Check:
    """A finding, the claims that it makes, and the design of the study behind it.

    Parameters
    ----------
    finding : str
        Id in the evidence registry.
    claims : tuple of Claim
        All must hold.
    design : StudyDesign
        Of the cited study.
    note : str
        What a reader of the verdict must know: a stand-in for what tables cannot carry, a finding
        that contradicts another.

    Raises
    ------
    DesignError
        If there is no claim, or the design lacks a group or a follow-up that a claim needs.
    """

    finding: str
    claims: tuple[Claim, ...]
    design: StudyDesign
    note: str = ""

    def __post_init__(self) -> None:
        """Refuse claims that the design cannot carry."""
        if not self.claims:
            raise DesignError(f"Check {self.finding!r} has no claim.")
        for claim in self.claims:
            problem = claim.analysis.problem(self.design)
            if problem:
                raise DesignError(f"Check {self.finding!r}: {claim.words}: {problem}")

    @property
    def measures(self) -> tuple[str, ...]:
        """Measures that the generator must offer, each once."""
        names = (name for claim in self.claims for name in claim.analysis.measures)
        return tuple(dict.fromkeys(names))
