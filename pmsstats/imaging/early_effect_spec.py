"""A model of an early effect of treatment, as it is asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from pmsstats.errors import DesignError
from pmsstats.imaging.column_labels import quoted

__all__ = ["EARLY", "LATE", "EarlyEffectSpec"]

Shape = Literal["piecewise", "exponential"]
EARLY = "early_part"
"""Column, or start of the columns, of the early effect."""
LATE = "late_part"
"""Column of the time after the knot."""


@dataclass(frozen=True, kw_only=True)
class EarlyEffectSpec:
    """A model of an early effect followed by a constant slope.

    Parameters
    ----------
    outcome : str
        Column that is modelled.
    by : str
        Arm; its first level is the reference.
    shape : {"piecewise", "exponential"}
        A straight line until `knot` and another one after; or one straight line plus
        ``delta (1 - exp(-year / tau))`` in the arms of `early_in`.
    knot : float, optional
        Years, for ``"piecewise"``.
    tau : float, optional
        Years, for ``"exponential"``: known in advance. By default it is estimated.
    tau_range : tuple of float, default (0.05, 1.5)
        Years between which `tau` is looked for.
    early_in : {"treated", "all"}, default "treated"
        Whether the reference arm has an exponential effect too.
    covariates : str, default ""
        Further terms of the mean: ``"age_years + sex"``.
    random : str, default "(year | subject_id)"
        Random terms.
    time : str, default "year"
        Column of years since the start of treatment.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    DesignError
        If `knot` or `tau` is missing, not positive, or given for the other shape.

    Examples
    --------
    >>> EarlyEffectSpec(outcome="brain_ml", by="arm", shape="piecewise", knot=0.5).fixed
    '(early_part + late_part) * arm'
    """

    outcome: str
    by: str
    shape: Shape
    knot: float | None = None
    tau: float | None = None
    tau_range: tuple[float, float] = (0.05, 1.5)
    early_in: Literal["treated", "all"] = "treated"
    covariates: str = ""
    random: str = "(year | subject_id)"
    time: str = "year"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check what the shapes need."""
        if self.shape not in ("piecewise", "exponential"):
            raise DesignError(f"`shape` must be 'piecewise' or 'exponential', got {self.shape!r}.")
        for name, value, owner in (("knot", self.knot, "piecewise"), ("tau", self.tau,
                                                                      "exponential")):  # fmt: skip
            if value is None:
                continue
            if self.shape != owner:
                raise DesignError(f"`{name}` belongs to shape={owner!r}, got {self.shape!r}.")
            if not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
                raise DesignError(f"`{name}` must be a number of years above 0, got {value!r}.")
        if self.shape == "piecewise" and self.knot is None:
            raise DesignError("`knot` must be given for shape='piecewise': years, such as 0.5.")
        low, high = self.tau_range
        if not 0 < low < high < math.inf:
            raise DesignError(f"`tau_range` must be two times, 0 < low < high, got ({low}, {high})")

    @property
    def fixed(self) -> str:
        """Return the mean, in the columns that are made."""
        by, more = quoted(self.by), f" + {self.covariates}" if self.covariates else ""
        if self.shape == "piecewise":
            return f"({EARLY} + {LATE}) * {by}{more}"
        return f"{quoted(self.time)} * {by}{more}"
