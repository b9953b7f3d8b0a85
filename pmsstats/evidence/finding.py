"""One statement of the review, as a record that a check can refer to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pmsstats.errors import SchemaError
from pmsstats.evidence.entries import check_word

__all__ = ["Direction", "Finding", "FindingKind", "FindingStatus"]

FindingKind = Literal[
    "cross_sectional_difference",
    "longitudinal_change",
    "correlation",
    "prediction",
    "prevalence",
    "treatment_effect",
    "reproducibility",
    "sample_size",
]
"""What sort of statement it is."""

Direction = Literal[
    "lower",
    "higher",
    "positive_corr",
    "negative_corr",
    "predicts_worse",
    "no_difference",
    "none",
]
"""What is said of the first measure; ``none``: no relation, or no direction printed."""

FindingStatus = Literal["simulable", "method_only"]
"""Whether tables of measurements over time can carry it."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One finding of the review (Neurol Ther 2018;7:265-285), in words of our own.

    Parameters
    ----------
    id : str
        Name in the catalogue: ``"nawm-mtr-below-hc-ppms"``.
    statement : str
        What the review says, as one sentence.
    section : str
        Where: ``wm``, ``cortex``, ``cord``, ``cerebellum``, ``dgm``, ``trials`` or ``outlook``.
    technique, compartment : str
        As in the data dictionary.
    measures : tuple of str
        Names in the data dictionary, the one that `direction` speaks of first.
    population : str
        Phenotypes: ``"SPMS vs RRMS"``.
    kind : str
        One of :data:`FindingKind`.
    direction : str
        One of :data:`Direction`: of the first measure, or of its change, in which a faster loss
        is lower. With a correlation, of the first measure with disability or the named partner.
    status : {"simulable", "method_only"}
        Whether tables of measurements over time can carry it.
    comparator : str
        With whom, what or when it is compared; empty where nothing is.
    magnitude : str
        As the review prints it; empty where it prints none.
    references : tuple of int
        Numbers in the review's list of references; empty where it gives none.
    reason : str
        Why it cannot be simulated.
    entered_twice : bool
        Whether two people entered it, the second without seeing the first, and differences
        were settled by the text.
    note : str
        How entries differed and were settled; errors of the review.

    Raises
    ------
    SchemaError
        If a word is not in its vocabulary, there is no statement, `measures` or `references` are
        no tuples, or `reason` is there without need, or missing.
    """

    id: str
    statement: str
    section: str
    technique: str
    compartment: str
    measures: tuple[str, ...]
    population: str
    kind: FindingKind
    direction: Direction
    status: FindingStatus
    comparator: str = ""
    magnitude: str = ""
    references: tuple[int, ...] = ()
    reason: str = ""
    entered_twice: bool = False
    note: str = ""

    def __post_init__(self) -> None:
        """Check vocabulary and completeness."""
        whose = f"finding {self.id!r}"
        check_word(whose, "kind", self.kind, get_args(FindingKind))
        check_word(whose, "direction", self.direction, get_args(Direction))
        check_word(whose, "status", self.status, get_args(FindingStatus))
        if not self.statement:
            raise SchemaError(f"`statement` of {whose} must say what was found, got ''.")
        for name in ("measures", "references"):
            if not isinstance(getattr(self, name), tuple):
                raise SchemaError(
                    f"`{name}` of {whose} must be a tuple, got {getattr(self, name)!r}."
                )
        if bool(self.reason) != (self.status == "method_only"):
            raise SchemaError(
                f"`reason` of {whose} must say why it is method_only, and be empty otherwise, got "
                f"status={self.status!r} and reason={self.reason!r}."
            )

    @property
    def is_simulable(self) -> bool:
        """Whether tables of measurements over time can carry it."""
        return self.status == "simulable"
