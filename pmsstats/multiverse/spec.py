"""What a multiverse asks of each definition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pmsstats.errors import DesignError, nearest

__all__ = ["MultiverseSpec", "Scale"]

Scale = Literal["sd", "unit"]


@dataclass(frozen=True, kw_only=True)
class MultiverseSpec:
    """Request for one analysis under many definitions.

    Parameters
    ----------
    by : str or None
        Column of the subjects table whose hazard ratio is asked for: groups, the first of which
        is the reference, or numbers. None asks for shares and times only.
    adjust : str or tuple of str
        Columns of the subjects table that the Cox model adjusts for, or the right-hand side of a
        formula on them.
    strata : str or tuple of str
        Columns of the subjects table whose values have baseline hazards of their own.
    per : {"sd", "unit"}
        Whether the hazard ratio of a number is per standard deviation or per unit.
    at_years : float
        When the Kaplan-Meier share is taken.
    primary : str
        Name of the definition that stands for the published or planned analysis; may be empty.
    conf_level : float
        Of all intervals.

    Raises
    ------
    DesignError
        If an option is outside of its vocabulary or range.
    """

    by: str | None = "arm"
    adjust: str | tuple[str, ...] = ()
    strata: str | tuple[str, ...] = ()
    per: Scale = "sd"
    at_years: float = 2.0
    primary: str = ""
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        if self.per not in get_args(Scale):
            raise DesignError(
                f"`per` must be one of {', '.join(get_args(Scale))}, got {self.per!r}."
                f"{nearest(str(self.per), get_args(Scale))}"
            )
        if not 0 < self.conf_level < 1:
            raise DesignError(f"`conf_level` must lie between 0 and 1, got {self.conf_level!r}.")
        if not self.at_years > 0:
            raise DesignError(f"`at_years` must be years above 0, got {self.at_years!r}.")
        if self.by is None and (self.adjust or self.strata):
            raise DesignError(
                "`adjust` and `strata` belong to a hazard ratio, but `by` is None. Name the column "
                "that is compared, or leave them out."
            )

    def adjustment(self) -> str:
        """Return what is adjusted for as the right-hand side of a formula.

        Returns
        -------
        str
            Empty where there is none.
        """
        if isinstance(self.adjust, str):
            return self.adjust
        return " + ".join(f"`{column}`" for column in self.adjust)

    def strata_columns(self) -> tuple[str, ...]:
        """Return the strata as columns.

        Returns
        -------
        tuple of str
            Empty where there are none.
        """
        return (self.strata,) if isinstance(self.strata, str) else tuple(self.strata)

    @property
    def has_ratio(self) -> bool:
        """Whether a hazard ratio is asked for."""
        return self.by is not None
