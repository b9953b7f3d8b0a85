"""Requests for survival models: frozen, checked when they are made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pmsstats.errors import DesignError
from pmsstats.models.events.covariates import right_hand_side
from pmsstats.models.events.rows import check_conf_level

__all__ = ["CoxSpec"]


@dataclass(frozen=True, kw_only=True)
class CoxSpec:
    """Request for a Cox model.

    Parameters
    ----------
    covariates : str or tuple of str
        Right-hand side of a formula (``"arm + log(nfl)"``), or columns.
    duration : str, default "duration"
        Column of the time to event or censoring, in any unit; not read where `start` and `stop`
        are given.
    start, stop : str, optional
        Columns of the interval (start, stop] over which a row is at risk and its covariates hold.
        Both or neither. A late first `start` is delayed entry (left truncation).
    event : str, default "event"
        Column that is true where the event happened at the end of the row.
    strata : str or tuple of str, optional
        Columns whose combinations have baseline hazards of their own.
    cluster : str, optional
        Column of units within which rows may depend on each other (the subject, the site);
        gives robust standard errors [1]_.
    subject : str, default "subject_id"
        Column of subjects, for counting and to find overlapping intervals; may be absent from
        right-censored data, where each row then is a subject.
    ties : {"efron"}
        Treatment of tied events.
    conf_level : float, default 0.95
        Of the intervals.

    Raises
    ------
    DesignError
        If an option is outside of its range.

    References
    ----------
    .. [1] Lin DY, Wei LJ. The robust inference for the Cox proportional hazards model. J Am Stat
       Assoc 1989;84:1074-1078. doi:10.1080/01621459.1989.10478874

    Examples
    --------
    >>> CoxSpec(covariates=("age_years", "arm"), strata="site_id").rhs()
    '`age_years` + `arm`'
    """

    covariates: str | tuple[str, ...]
    duration: str = "duration"
    start: str | None = None
    stop: str | None = None
    event: str = "event"
    strata: str | tuple[str, ...] = ()
    cluster: str | None = None
    subject: str = "subject_id"
    ties: Literal["efron"] = "efron"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        if (self.start is None) != (self.stop is None):
            raise DesignError(
                f"`start` and `stop` go together, got start={self.start!r} and stop={self.stop!r}."
            )
        if not self.rhs().strip():
            raise DesignError("`covariates` must name at least one term; fit_km needs none.")
        if self.ties != "efron":
            raise DesignError(
                f"`ties` must be 'efron', got {self.ties!r}: the engine knows no other method, and "
                "none is more accurate but the exact one."
            )
        check_conf_level(self.conf_level)

    @property
    def has_entry(self) -> bool:
        """Whether rows are intervals.

        Returns
        -------
        bool
            True where `start` and `stop` are given.
        """
        return self.start is not None

    def rhs(self) -> str:
        """Return the covariates as the right-hand side of a formula.

        Returns
        -------
        str
            Columns of a tuple stand in backticks.
        """
        return right_hand_side(self.covariates)

    def strata_columns(self) -> tuple[str, ...]:
        """Return the strata as columns.

        Returns
        -------
        tuple of str
            Empty where there are none.
        """
        return (self.strata,) if isinstance(self.strata, str) else self.strata

    def time_columns(self) -> tuple[tuple[str, str], ...]:
        """Return the time arguments that are read, with their columns.

        Returns
        -------
        tuple of tuple of str
            ``(argument, column)`` pairs.
        """
        if self.start is None or self.stop is None:
            return (("duration", self.duration),)
        return (("start", self.start), ("stop", self.stop))
