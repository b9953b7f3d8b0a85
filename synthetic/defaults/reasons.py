"""Reasons that many assumed numbers share."""

from __future__ import annotations

__all__ = [
    "AGED",
    "EARLY",
    "PERSONS",
    "PRECISION",
    "SCANNER",
    "SHARES",
    "SLOPES",
    "TIED",
]

PERSONS = "typical spread between persons of one phenotype"
SLOPES = "slopes of persons spread about as much as their mean in patients"
PRECISION = "typical of the method"
SCANNER = "typical of the method between scanners, and smaller at an upgrade of one"
EARLY = "relative to whole brain; early loss is of water, in white matter for the most part"
SHARES = "how the loss divides over the processes is not published"
TIED = "how strongly the processes show is not published"
AGED = (
    "between controls and progressive MS; younger groups lie higher, as controls of their age would"
)
