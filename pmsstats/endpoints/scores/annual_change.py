"""Change per year from scans at unequal intervals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from pmsstats.cohort import Cohort, default_dictionary
from pmsstats.cohort.schema import Measure
from pmsstats.endpoints.scores.visit_columns import number_column, require_visits
from pmsstats.endpoints.scores.volume_loss import (
    BRAIN_VOLUME_LOSS_CUTOFFS,
    VolumeLossCutoff,
    exceeds_loss,
)
from pmsstats.errors import DesignError, nearest
from pmsstats.plots.trajectories import plot_trajectories
from pmsstats.results import Exclusion, Result, exclude, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = [
    "AnnualChange",
    "AnnualMethod",
    "Intervals",
    "annualised_percent_change",
    "derive_annual_change",
]

DAYS_PER_YEAR = 365.25
AnnualMethod = Literal["linear", "compound"]
Intervals = Literal["from_baseline", "between_scans"]

_STAGE = "annual change"


def annualised_percent_change(
    start: ArrayLike,
    end: ArrayLike,
    start_day: ArrayLike,
    end_day: ArrayLike,
    *,
    method: AnnualMethod = "linear",
) -> NDArray[np.float64]:
    """Return the change between two measurements in percent per year.

    Parameters
    ----------
    start, end : array_like
        The measurement at the start and at the end, in the same unit; the shapes of all four
        arguments broadcast.
    start_day, end_day : array_like
        When they were taken, in days; the end not before the start.
    method : {"linear", "compound"}, default "linear"
        Whether the percentage of the start is divided by the years, or the same percentage is
        lost (or gained) in every year.

    Returns
    -------
    ndarray
        Percent per year; negative for a loss. NaN where a value or day is missing or infinite,
        both days are the same, the start is not above 0 (a percentage of it has no meaning), or,
        for ``"compound"``, the end is below 0.

    Raises
    ------
    DesignError
        If `method` is unknown, shapes do not broadcast, or an end lies before its start.

    Notes
    -----
    With ``t`` the interval in years of 365.25 days, ``"linear"`` is ``100 (end - start) /
    (start t)`` and ``"compound"`` is ``100 ((end / start)^(1 / t) - 1)``. The two agree at one
    year. Over unequal intervals only the compound rate is the same for any part of a steady
    decline; the linear rate of a steady decline comes closer to zero the longer the interval.

    Examples
    --------
    >>> annualised_percent_change(1500, 1470, 0, 730.5).round(6).tolist()
    -1.0
    >>> annualised_percent_change(100, 81, 0, 730.5, method="compound").round(6).tolist()
    -10.0
    """
    if method not in get_args(AnnualMethod):
        raise DesignError(
            f"`method` must be 'linear' or 'compound', got {method!r}."
            f"{nearest(str(method), get_args(AnnualMethod))}"
        )
    first, last, years = _broadcast(start, end, start_day, end_day)
    usable = np.isfinite(first) & np.isfinite(last) & np.isfinite(years) & (years > 0) & (first > 0)
    if method == "compound":
        usable &= last >= 0
    with np.errstate(all="ignore"):
        share = last / first
        if method == "linear":
            rate = 100 * (share - 1) / years
        else:
            rate = 100 * np.expm1(np.log(share) / years)
    return np.where(usable & np.isfinite(rate), rate, np.nan)


def _broadcast(
    start: ArrayLike, end: ArrayLike, start_day: ArrayLike, end_day: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return starts, ends and years between them, and refuse intervals that run backwards."""
    given = [np.asarray(a, dtype=float) for a in (start, end, start_day, end_day)]
    try:
        first, last, begin, stop = np.broadcast_arrays(*given)
    except ValueError as exc:
        raise DesignError(
            "`start`, `end`, `start_day` and `end_day` must have shapes that broadcast, got "
            f"{', '.join(str(a.shape) for a in given)}."
        ) from exc
    with np.errstate(invalid="ignore"):
        years = (stop - begin) / DAYS_PER_YEAR
    backwards = years < 0
    if backwards.any():
        raise DesignError(
            f"`end_day` must not lie before `start_day`, but does in {int(backwards.sum())} of "
            f"{backwards.size} intervals (first: {begin[backwards][0]:g} to "
            f"{stop[backwards][0]:g}). Exchange start and end there."
        )
    return first, last, years


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AnnualChange(Result):
    """Change per year of one measure, one row per subject and interval.

    Parameters
    ----------
    changes : pandas.DataFrame
        ``subject_id start_day end_day years start end change change_per_year percent_per_year
        above_cutoff``: values and changes in the unit of the measure, and in percent of the
        start (NaN where zero does not mean none); ``above_cutoff`` is a nullable boolean,
        missing without a cut-off or without a percentage.
    measure : Measure
        What was measured.
    intervals : {"from_baseline", "between_scans"}
        Which intervals.
    method : {"linear", "compound"}
        How percentages were annualised.
    cutoff : VolumeLossCutoff, optional
        The loss that was asked about.
    n_subjects : int
        Subjects with an interval.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Visits and subjects left out, with reasons.
    """

    changes: pd.DataFrame
    measure: Measure
    intervals: Intervals
    method: AnnualMethod
    cutoff: VolumeLossCutoff | None
    n_subjects: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how much the measure changed per year, over how many intervals."""
        where = "In synthetic data, " if self.origin == "synthetic" else ""
        percent = self.changes["percent_per_year"].dropna()
        if len(percent):
            rate = f"{format_number(float(percent.median()), 3)} % per year ({self.method})"
        else:
            typical = float(self.changes["change_per_year"].median())
            rate = f"{format_number(typical, 3)} {self.measure.unit} per year".replace("  ", " ")
        above = ""
        if self.cutoff is not None:
            flags = self.changes["above_cutoff"].dropna()
            above = (
                f"; {int(flags.sum())} of {len(flags)} lose more than "
                f"{self.cutoff.percent_per_year:g} % per year"
            )
        words = self.intervals.replace("_", " ")
        return (
            f"{where}{self.measure.label}: median change {rate}, {len(self.changes)} intervals "
            f"{words} of {self.n_subjects} subjects{above}."
        )

    def table(self) -> pd.DataFrame:
        """Return the changes, one row per subject and interval (a copy)."""
        return self.changes.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the change per year at the end of each interval."""
        percent = self.changes["percent_per_year"].notna().any()
        column = "percent_per_year" if percent else "change_per_year"
        unit = "%" if percent else self.measure.unit
        frame = self.changes[["subject_id"]].assign(
            year=self.changes["end_day"] / DAYS_PER_YEAR, value=self.changes[column]
        )
        label = f"{self.measure.label}, change ({unit} per year)".replace("( ", "(")
        options = {"y_label": label, "x_label": "End of the interval (years)"}
        return plot_trajectories(frame.dropna(), ax=ax, **{**options, "origin": self.origin, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "annual_change/1",
            "headline": self.headline(),
            "measure": self.measure.name,
            "intervals": self.intervals,
            "method": self.method,
            "cutoff": to_plain(self.cutoff),
            "changes": to_plain(self.changes),
            "n_subjects": self.n_subjects,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def derive_annual_change(
    data: Cohort | pd.DataFrame,
    measure: str,
    *,
    intervals: Intervals = "from_baseline",
    method: AnnualMethod = "linear",
    min_interval_days: int = 1,
    rebaseline_day: int | None = None,
    baseline_window_days: int = 0,
    cutoff: str | float | VolumeLossCutoff | None = None,
    origin: Origin = "real",
) -> AnnualChange:
    """Derive the change per year of a measure from scans at unequal intervals.

    Parameters
    ----------
    data : Cohort or pandas.DataFrame
        A cohort, or its visits: ``subject_id``, ``day`` and the measure.
    measure : str
        For example ``"brain_ml"``, ``"pbvc_pct"``, ``"cord_area_c2c3_mm2"``, ``"nawm_mtr_pu"``.
        Measures that are change from baseline already are turned to levels (100 at baseline).
    intervals : {"from_baseline", "between_scans"}, default "from_baseline"
        From the baseline scan to each later one, or from the latest scan that lies at least
        `min_interval_days` before.
    method : {"linear", "compound"}, default "linear"
        See :func:`annualised_percent_change`.
    min_interval_days : int, default 1
        Shorter intervals are left out: the error of a difference is divided by them.
    rebaseline_day : int, optional
        The first scan on or after this day is the baseline, and earlier ones are left out, so
        that an early effect of treatment on water is not read as loss of tissue. By default the
        last scan at or before day 0 is.
    baseline_window_days : int, default 0
        A first scan up to so many days after day 0 serves a subject who has none before.
    cutoff : str, float or VolumeLossCutoff, optional
        A key in :data:`BRAIN_VOLUME_LOSS_CUTOFFS` (``"neda4"``), or a loss in percent per year.
    origin : {"real", "synthetic"}, default "real"
        For a frame; a cohort knows its own.

    Returns
    -------
    AnnualChange
        One row per subject and interval.

    Raises
    ------
    DesignError
        If an option is unknown, the measure is a count since the last scan, or there is no
        interval at all.
    SchemaError
        If the cohort has no such measure.

    Notes
    -----
    ``change_per_year`` is ``(end - start) / t`` with ``t`` in years of 365.25 days, which is
    how magnetisation transfer ratios are usually reported; ``percent_per_year`` is that of
    :func:`annualised_percent_change`. Intervals from baseline overlap: do not average them as if
    they were independent; fit a mixed model for the rate of a group.

    Examples
    --------
    >>> visits = pd.DataFrame(
    ...     {"subject_id": "S1", "day": [0, 365, 1096], "brain_ml": [1500.0, 1494.0, 1482.0]}
    ... )
    >>> made = derive_annual_change(visits, "brain_ml", cutoff="neda4")
    >>> made.changes["percent_per_year"].round(2).tolist(), made.changes["above_cutoff"].tolist()
    ([-0.4, -0.4], [True, False])
    """
    _check_options(intervals, method, min_interval_days)
    visits, known, origin = _measured(data, measure, origin)
    limit = _cutoff(cutoff, known)
    rows, exclusions = _scans(visits, known)
    base, lost = _baselines(rows, visits["subject_id"], rebaseline_day, baseline_window_days)
    frame, short = _intervals(rows, base, intervals, min_interval_days)
    frame = _with_rates(frame, known, method, limit)
    bare = frame["percent_per_year"].isna() & (known.scale == "ratio")
    exclusions += (*lost, *short, *exclude(
        _STAGE, "visit", "no percentage: the start is not above 0", frame["subject_id"][bare]
    ))  # fmt: skip
    return AnnualChange(
        changes=frame,
        measure=known,
        intervals=intervals,
        method=method,
        cutoff=limit,
        n_subjects=int(frame["subject_id"].nunique()),
        origin=origin,
        exclusions=exclusions,
    )


def _check_options(intervals: str, method: str, min_interval_days: int) -> None:
    """Refuse unknown options."""
    for name, value, options in (
        ("intervals", intervals, get_args(Intervals)),
        ("method", method, get_args(AnnualMethod)),
    ):
        if value not in options:
            raise DesignError(
                f"`{name}` must be {' or '.join(map(repr, options))}, got {value!r}."
                f"{nearest(str(value), options)}"
            )
    if not min_interval_days >= 1:
        raise DesignError(f"`min_interval_days` must be at least 1 day, got {min_interval_days!r}.")


def _measured(
    data: Cohort | pd.DataFrame, name: str, origin: Origin
) -> tuple[pd.DataFrame, Measure, Origin]:
    """Return visits, what the measure is, and where the data come from."""
    if isinstance(data, Cohort):
        visits, measure, origin = data.visits, data.measure(name), data.origin
    else:
        require_visits(data, [name])
        visits, measure = data, default_dictionary().get(name) or Measure(name=name, label=name)
    if measure.kind == "since_last":
        raise DesignError(
            f"{name} counts what appeared since the last scan: it has a rate, not a change. Use "
            "`derive_lesion_rate`."
        )
    return visits, measure, origin


def _cutoff(
    cutoff: str | float | VolumeLossCutoff | None, measure: Measure
) -> VolumeLossCutoff | None:
    """Return the cut-off that is asked for."""
    if cutoff is None or isinstance(cutoff, VolumeLossCutoff):
        found = cutoff
    elif isinstance(cutoff, str):
        if cutoff not in BRAIN_VOLUME_LOSS_CUTOFFS:
            raise DesignError(
                f"`cutoff` must be one of {', '.join(BRAIN_VOLUME_LOSS_CUTOFFS)}, or a loss in "
                f"percent per year, got {cutoff!r}.{nearest(cutoff, BRAIN_VOLUME_LOSS_CUTOFFS)}"
            )
        found = BRAIN_VOLUME_LOSS_CUTOFFS[cutoff]
    else:
        found = VolumeLossCutoff(name=f"{cutoff:g} %", percent_per_year=cutoff)
    if found is not None and (measure.worsening == "higher" or measure.scale == "interval"):
        raise DesignError(
            f"A loss in percent has no meaning for {measure.name}, which is "
            f"{'no ratio scale' if measure.scale == 'interval' else 'worse when higher'}. Leave "
            "`cutoff` out."
        )
    return found


def _scans(visits: pd.DataFrame, measure: Measure) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Return visits with a value, by subject and day; a change from baseline becomes a level."""
    values = number_column(visits, measure.name)
    frame = visits[["subject_id", "day"]].assign(value=values, level=values)
    frame = frame.sort_values(["subject_id", "day"], kind="stable", ignore_index=True)
    if measure.kind == "change":
        before = frame[frame["day"] <= 0]
        last = before.index[~before["subject_id"].duplicated(keep="last")]
        frame.loc[last, "value"] = frame.loc[last, "value"].fillna(0.0)
        frame["level"] = 100 + frame["value"]
    empty = frame["value"].isna()
    gone = exclude(_STAGE, "visit", f"no {measure.name}", frame["subject_id"][empty])
    return frame[~empty].reset_index(drop=True), gone


def _baselines(
    rows: pd.DataFrame, everybody: pd.Series, rebaseline_day: int | None, window_days: int
) -> tuple[pd.Series, tuple[Exclusion, ...]]:
    """Return the baseline row of each subject, and who has none."""
    if rebaseline_day is None:
        before = rows[rows["day"] <= 0].drop_duplicates("subject_id", keep="last")
        after = rows[(rows["day"] > 0) & (rows["day"] <= window_days)]
        after = after[~after["subject_id"].isin(before["subject_id"])]
        found = pd.concat([before, after.drop_duplicates("subject_id")])
        words = "no scan at baseline"
    else:
        found = rows[rows["day"] >= rebaseline_day].drop_duplicates("subject_id")
        words = f"no scan on or after day {rebaseline_day}"
    base = pd.Series(found.index, index=found["subject_id"].to_numpy())
    nobody = everybody.drop_duplicates()
    return base, exclude(_STAGE, "subject", words, nobody[~nobody.isin(base.index)])


def _intervals(
    rows: pd.DataFrame, base: pd.Series, intervals: Intervals, min_interval_days: int
) -> tuple[pd.DataFrame, tuple[Exclusion, ...]]:
    """Return one row per interval, and the scans that end none."""
    ids, day = rows["subject_id"], rows["day"].to_numpy(dtype=float)
    first = ids.map(base).to_numpy(dtype=float)
    number = np.arange(len(rows))
    early, later = number < first, number > first
    start = first
    if intervals == "between_scans" and len(rows):
        span = np.ptp(day) + min_interval_days + 1  # subjects lie further apart than any interval
        key = pd.factorize(ids)[0] * 2 * span + (day - day.min())
        latest = np.searchsorted(key, key - min_interval_days, side="right") - 1
        start = np.where(latest >= first, latest, np.nan)
    begins = np.where(later & ~np.isnan(start), start, 0).astype(int)
    long_enough = later & ~np.isnan(start) & (day - day[begins] >= min_interval_days)
    lost = exclude(_STAGE, "visit", "before the baseline", ids[early])
    lost += exclude(
        _STAGE, "visit", f"less than {min_interval_days} day(s) after the start",
        ids[later & ~long_enough],
    )  # fmt: skip
    alone = base.index[~base.index.isin(ids[long_enough])]
    lost += exclude(_STAGE, "subject", "no interval after the baseline", alone)
    begin, end = rows.iloc[begins[long_enough]], rows[long_enough]
    if end.empty:
        raise DesignError(
            "No subject has two scans that make an interval. Loosen the baseline "
            "(`baseline_window_days`, `rebaseline_day`) or `min_interval_days`."
        )
    columns = {"subject_id": end["subject_id"].to_numpy()}
    for name, frame in (("start", begin), ("end", end)):
        columns[f"{name}_day"] = frame["day"].to_numpy()
        columns[name] = frame["value"].to_numpy()
        columns[f"{name}_level"] = frame["level"].to_numpy()
    return pd.DataFrame(columns), lost


def _with_rates(
    frame: pd.DataFrame, measure: Measure, method: AnnualMethod, cutoff: VolumeLossCutoff | None
) -> pd.DataFrame:
    """Add what changed per year."""
    years = (frame["end_day"] - frame["start_day"]).astype(float) / DAYS_PER_YEAR
    percent = annualised_percent_change(
        frame["start_level"], frame["end_level"], frame["start_day"], frame["end_day"],
        method=method,
    )  # fmt: skip
    if measure.scale == "interval":
        percent = np.full(len(frame), np.nan)
    above = pd.array([pd.NA] * len(frame), dtype="boolean")
    if cutoff is not None:
        above = pd.array(exceeds_loss(percent, cutoff), dtype="boolean")
        above[np.isnan(percent)] = pd.NA
    change = frame["end"] - frame["start"]
    made = frame.assign(
        years=years,
        change=change,
        change_per_year=change / years,
        percent_per_year=percent,
        above_cutoff=above,
    )
    return made[
        ["subject_id", "start_day", "end_day", "years", "start", "end", "change",
         "change_per_year", "percent_per_year", "above_cutoff"]
    ]  # fmt: skip
