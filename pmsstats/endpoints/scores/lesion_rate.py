"""New or enlarging lesions per year, from counts since the last scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pmsstats.cohort import Cohort
from pmsstats.endpoints.scores.annual_change import DAYS_PER_YEAR
from pmsstats.endpoints.scores.visit_columns import number_column, require_visits
from pmsstats.errors import DesignError, first_ids
from pmsstats.plots.trajectories import plot_trajectories
from pmsstats.results import Exclusion, Result, exclude, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["LesionRate", "derive_lesion_rate"]

_STAGE = "lesion rate"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LesionRate(Result):
    """Lesions per year, one row per subject.

    Parameters
    ----------
    rates : pandas.DataFrame
        ``subject_id n_scans start_day end_day years lesions per_year``: scans that ended an
        interval, first and last day, time covered by the intervals, lesions that appeared in
        them, and their ratio.
    measure : str
        The counts.
    from_day : int
        Day of the scan from which lesions are counted, or the last one before.
    to_day : int, optional
        Last day of a scan that counts.
    n_subjects : int
        Subjects with a rate.
    n_lesions : int
        Lesions counted.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Scans and subjects left out, with reasons.
    """

    rates: pd.DataFrame
    measure: str
    from_day: int
    to_day: int | None
    n_subjects: int
    n_lesions: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how many lesions appeared per year, in how much time."""
        where = "In synthetic data, " if self.origin == "synthetic" else ""
        years = float(self.rates["years"].sum())
        until = f" to day {self.to_day}" if self.to_day is not None else ""
        return (
            f"{where}{self.n_lesions} lesions ({self.measure}) in {format_number(years, 3)} years "
            f"of {self.n_subjects} subjects from day {self.from_day}{until}: "
            f"{format_number(self.n_lesions / years, 3)} per year."
        )

    def table(self) -> pd.DataFrame:
        """Return the rates, one row per subject (a copy)."""
        return self.rates.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw each subject's rate at the end of follow-up."""
        frame = self.rates[["subject_id"]].assign(
            year=self.rates["end_day"] / DAYS_PER_YEAR, value=self.rates["per_year"]
        )
        options = {"y_label": f"{self.measure} per year", "x_label": "Last scan (years)"}
        return plot_trajectories(frame, ax=ax, **{**options, "origin": self.origin, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "lesion_rate/1",
            "headline": self.headline(),
            "measure": self.measure,
            "from_day": self.from_day,
            "to_day": self.to_day,
            "rates": to_plain(self.rates),
            "n_subjects": self.n_subjects,
            "n_lesions": self.n_lesions,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def derive_lesion_rate(
    data: Cohort | pd.DataFrame,
    measure: str = "new_t2_count",
    *,
    from_day: int = 0,
    to_day: int | None = None,
    scan_measure: str | None = None,
    origin: Origin = "real",
) -> LesionRate:
    """Derive new or enlarging lesions per year.

    Parameters
    ----------
    data : Cohort or pandas.DataFrame
        A cohort, or its visits: ``subject_id``, ``day`` and the counts.
    measure : str, default "new_t2_count"
        Lesions that appeared since the scan before.
    from_day : int, default 0
        Lesions are counted from the last scan at or before this day. A later day leaves out what
        appeared before treatment could work (a re-baseline scan).
    to_day : int, optional
        Scans after this day do not count.
    scan_measure : str, optional
        A measure that every scan has, such as ``"t2_lesion_ml"``: visits with either are scans.
        By default visits with a count are, and, where a subject has none at or before
        `from_day`, the last visit there (a first scan has nothing to be compared with).
    origin : {"real", "synthetic"}, default "real"
        For a frame; a cohort knows its own.

    Returns
    -------
    LesionRate
        One row per subject.

    Raises
    ------
    DesignError
        If a column is absent or holds no numbers, a count is negative, the days are in the wrong
        order, or no subject has an interval.
    SchemaError
        If the cohort has no such measure.

    Notes
    -----
    A count belongs to the interval that ends at its scan. The rate is the sum of counts over the
    time that they cover: an interval whose count is missing is left out of both. Counts of scans
    weeks apart and years apart may be pooled so, but fewer scans see fewer lesions that come and
    go (enhancing ones above all). To compare groups, model the counts with the time as offset.

    Examples
    --------
    >>> visits = pd.DataFrame(
    ...     {"subject_id": "S1", "day": [0, 183, 731], "new_t2_count": [np.nan, 3, 1]}
    ... )
    >>> derive_lesion_rate(visits).rates["per_year"].round(2).tolist()
    [2.0]
    """
    if to_day is not None and to_day <= from_day:
        raise DesignError(f"`to_day` ({to_day}) must lie after `from_day` ({from_day}).")
    if isinstance(data, Cohort):
        visits, origin = data.visits, data.origin
        names = [measure] if scan_measure is None else [measure, scan_measure]
        for name in names:
            data.measure(name)
    else:
        visits = data
    scans = _scans(visits, measure, scan_measure, from_day)
    covered, exclusions = _intervals(scans, visits["subject_id"], from_day, to_day)
    rates = _rates(covered)
    return LesionRate(
        rates=rates,
        measure=measure,
        from_day=from_day,
        to_day=to_day,
        n_subjects=len(rates),
        n_lesions=int(rates["lesions"].sum()),
        origin=origin,
        exclusions=exclusions,
    )


def _scans(
    visits: pd.DataFrame, measure: str, scan_measure: str | None, from_day: int
) -> pd.DataFrame:
    """Return the scans by subject and day, with their counts."""
    require_visits(visits, [measure] if scan_measure is None else [measure, scan_measure])
    count = number_column(visits, measure)
    negative = count < 0
    if negative.any():
        raise DesignError(
            f"{measure} must be a count of at least 0, but is {count[negative][0]:g} at "
            f"{int(negative.sum())} visit(s), of {first_ids(visits['subject_id'][negative])}."
        )
    frame = visits[["subject_id", "day"]].assign(count=count)
    frame["is_scan"] = ~np.isnan(count)
    if scan_measure is not None:
        frame["is_scan"] |= ~np.isnan(number_column(visits, scan_measure))
    frame = frame.sort_values(["subject_id", "day"], kind="stable", ignore_index=True)
    if scan_measure is None:
        before = frame[frame["day"] <= from_day]
        scanned = before["subject_id"][before["is_scan"]]
        last = before.drop_duplicates("subject_id", keep="last")
        frame.loc[last.index[~last["subject_id"].isin(scanned)], "is_scan"] = True
    return frame[frame["is_scan"]].reset_index(drop=True)


def _intervals(
    scans: pd.DataFrame, everybody: pd.Series, from_day: int, to_day: int | None
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Return the scans that end a covered interval, with its length, and what is left out."""
    ids, day = scans["subject_id"], scans["day"]
    before = scans[day <= from_day].drop_duplicates("subject_id", keep="last")
    first = ids.map(before.set_index("subject_id")["day"].astype(float).to_dict()).astype(float)
    days = day.astype(float) - day.astype(float).groupby(ids, observed=True).shift()
    after = (day > first).to_numpy()
    late = after & (day > to_day).to_numpy() if to_day is not None else np.zeros(len(scans), bool)
    counted = scans["count"].notna().to_numpy()
    covered = after & ~late & counted
    lost = (
        *exclude(_STAGE, "visit", "scan after the last day", ids[late]),
        *exclude(_STAGE, "visit", "scan without a count: its interval is not covered",
                 ids[after & ~late & ~counted]),
        *exclude(_STAGE, "visit", "scan at or before the first: its count is of earlier lesions",
                 ids[(day <= first).to_numpy() & counted]),
    )  # fmt: skip
    nobody = everybody.drop_duplicates()
    started = nobody.isin(before["subject_id"])
    words = f"no scan at or before day {from_day}"
    lost += exclude(_STAGE, "subject", words, nobody[~started])
    alone = nobody[started & ~nobody.isin(ids[covered])]
    lost += exclude(_STAGE, "subject", "no counted scan after the first", alone)
    if not covered.any():
        raise DesignError(
            "No subject has a scan with a count after a first scan. Check `from_day` and `to_day`,"
            " or name a `scan_measure`."
        )
    return _ended(scans, days, covered), lost


def _ended(scans: pd.DataFrame, days: pd.Series, covered: NDArray[np.bool_]) -> pd.DataFrame:
    """Return covered intervals by the scan that ends them."""
    return scans[covered].assign(
        years=days[covered] / DAYS_PER_YEAR, start_day=scans["day"][covered] - days[covered]
    )


def _rates(covered: pd.DataFrame) -> pd.DataFrame:
    """Sum counts and time by subject."""
    grouped = covered.groupby("subject_id", sort=False, observed=True)
    made = grouped.agg(
        n_scans=("count", "size"),
        start_day=("start_day", "min"),
        end_day=("day", "max"),
        years=("years", "sum"),
        lesions=("count", "sum"),
    ).reset_index()
    whole = {"start_day": int, "end_day": int}
    return made.astype(whole).assign(per_year=made["lesions"] / made["years"])
