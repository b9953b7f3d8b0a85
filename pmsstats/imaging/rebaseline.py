"""A new baseline after the early effect of a treatment: earlier visits dropped, time restarted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.margins import DAYS_PER_YEAR
from pmsstats.models.formulas.design import require_columns
from pmsstats.plots.trajectories import plot_trajectories
from pmsstats.results import Exclusion, Result, exclude, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.provenance import Origin

__all__ = ["Rebaselined", "rebaseline"]

_STAGE = "re-baselining"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Rebaselined(Result):
    """Visits from a new baseline on.

    Parameters
    ----------
    data : pandas.DataFrame
        The visits that are left, time restarted at 0; ``rebaseline_year`` is when each subject's
        new baseline was, in years from the old one.
    outcomes : tuple of str
        Measures that a new baseline had to have.
    visit : str, optional
        Label of the new baseline visit.
    at : float, optional
        Time from which the new baseline was looked for, in the unit of `time`.
    subject : str
        Column of subject ids.
    time : {"year", "day"}
        Time column.
    n_subjects : int
        Subjects left.
    n_obs : int
        Visits left.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Visits and subjects that were dropped.
    """

    data: pd.DataFrame
    outcomes: tuple[str, ...]
    visit: str | None
    at: float | None
    subject: str
    time: str
    n_subjects: int
    n_obs: int
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say where the new baseline is, and what was dropped."""
        where = f"visit {self.visit}" if self.visit is not None else f"{self.time} {self.at:g}"
        start = self.data.drop_duplicates(self.subject)["rebaseline_year"]
        lost = {unit: sum(e.n for e in self.exclusions if e.unit == unit)
                for unit in ("visit", "subject")}  # fmt: skip
        origin = "synthetic " if self.origin == "synthetic" else ""
        return (
            f"New baseline at {where} (median {format_number(float(start.median()), 3)} years) for "
            f"{self.n_subjects} {origin}subjects with {self.n_obs} visits; {lost['visit']} earlier "
            f"visits and {lost['subject']} subjects dropped."
        )

    def table(self) -> pd.DataFrame:
        """Return what was dropped, with reasons."""
        return self.excluded()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the trajectories from the new baseline on; ``outcome=`` chooses the measure."""
        outcome = kws.pop("outcome", self.outcomes[0])
        frame = pd.DataFrame(
            {
                "subject_id": self.data[self.subject],
                "year": self.data[self.time] / (DAYS_PER_YEAR if self.time == "day" else 1.0),
                "value": self.data[outcome],
            }
        )
        options = {"y_label": outcome, "x_label": "Years from the new baseline"}
        shown = frame.dropna(subset=["value"])
        return plot_trajectories(shown, ax=ax, **{"origin": self.origin, **options, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "rebaselined/1",
            "headline": self.headline(),
            "outcomes": list(self.outcomes),
            "visit": self.visit,
            "at": self.at,
            "time": self.time,
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def rebaseline(
    data: pd.DataFrame,
    *,
    outcomes: str | tuple[str, ...],
    visit: str | None = None,
    at: float | None = None,
    percent_change: tuple[str, ...] = (),
    subject: str = "subject_id",
    time: str = "year",
    origin: Origin = "real",
) -> Rebaselined:
    """Start follow-up anew at a later visit, so that an early effect of treatment is left behind.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per visit, with subject, time and outcomes; for `visit` also a column ``visit``.
    outcomes : str or tuple of str
        Measures; the new baseline must have all of them.
    visit : str, optional
        Label of the new baseline visit. Give either this or `at`.
    at : float, optional
        Time (in the unit of `time`): the first visit from then on is the new baseline.
    percent_change : tuple of str
        Outcomes that are percent change from the old baseline. They are expressed as change from
        the new one, ``100 ((1 + c / 100) / (1 + c_new / 100) - 1)``, and missing at the new
        baseline itself.
    subject : str, default "subject_id"
        Column of subject ids.
    time : {"year", "day"}, default "year"
        Time column that is restarted; if both are there, both are.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; synthetic ones are labelled.

    Returns
    -------
    Rebaselined
        The visits from the new baseline on, and what was dropped.

    Raises
    ------
    DesignError
        If neither or both of `visit` and `at` are given, a column is absent, no subject has the
        new baseline, or a subject has it twice.

    Notes
    -----
    Anti-inflammatory treatment can reduce brain volume within months by resolving oedema
    ("pseudo-atrophy") [1]_, [2]_; slopes that start before it blame the drug for the loss of
    water. A new baseline is no longer the randomised one: groups are compared among those still
    observed then, with an arm-specific level at the new baseline. So keep the arm's main effect
    in the model, and do not constrain baseline means.

    R (dplyr): ``group_by(id) |> mutate(start = min(year[year >= at & !is.na(y)])) |> filter(year >=
    start) |> mutate(year = year - start)``; SAS: a ``DATA`` step with ``BY id`` and a ``RETAIN`` of
    the start.

    References
    ----------
    .. [1] De Stefano N, Airas L, Grigoriadis N, et al. Clinical relevance of brain volume measures
       in multiple sclerosis. CNS Drugs 2014;28:147-156. doi:10.1007/s40263-014-0140-z.
    .. [2] Vidal-Jordana A, Sastre-Garriga J, Perez-Miralles F, et al. Early brain pseudoatrophy
       while on natalizumab therapy is due to white matter volume changes. Mult Scler
       2013;19:1175-1181. doi:10.1177/1352458512473190.

    Examples
    --------
    >>> visits = pd.DataFrame({"subject_id": ["a"] * 3 + ["b"], "year": [0, 0.5, 1.5, 0]})
    >>> made = rebaseline(visits.assign(brain_ml=1500.0), outcomes="brain_ml", at=0.5)
    >>> made.data["year"].tolist(), made.n_subjects
    ([0.0, 1.0], 1)
    """
    outcomes = (outcomes,) if isinstance(outcomes, str) else tuple(outcomes)
    where = _Where(visit=visit, at=at, subject=subject, time=time)
    _check(data, outcomes, where, percent_change)
    rows = data.dropna(subset=[subject, time])
    exclusions = exclude(
        _STAGE, "visit", f"no {subject} or no {time}",
        data.loc[~data.index.isin(rows.index), subject].fillna("no id"),
    )  # fmt: skip
    first = _new_baselines(rows, outcomes, where)
    start = rows[subject].map(first[time])
    unknown = start.isna()
    gone = rows.loc[unknown, subject].drop_duplicates()
    early = ~unknown & (rows[time] < start)
    exclusions += exclude(_STAGE, "subject", f"no scan at the new baseline ({where.words()})", gone)
    exclusions += exclude(
        _STAGE, "visit", "subject has no new baseline", rows.loc[unknown, subject]
    )
    exclusions += exclude(_STAGE, "visit", "before the new baseline", rows.loc[early, subject])
    kept = rows[~unknown & ~early].copy()
    return Rebaselined(
        data=_restart(kept, first, percent_change, subject, time),
        outcomes=outcomes,
        visit=visit,
        at=at,
        subject=subject,
        time=time,
        n_subjects=int(kept[subject].nunique()),
        n_obs=len(kept),
        origin=origin,
        exclusions=exclusions,
    )


@dataclass(frozen=True, kw_only=True)
class _Where:
    """Which visit is the new baseline, and in which columns to look."""

    visit: str | None
    at: float | None
    subject: str
    time: str

    def words(self) -> str:
        """Name the new baseline."""
        return self.visit if self.visit is not None else f"{self.time} {self.at:g} or later"


def _check(
    data: pd.DataFrame, outcomes: tuple[str, ...], where: _Where, percent_change: tuple[str, ...]
) -> None:
    """Refuse requests that do not say one new baseline."""
    if (where.visit is None) == (where.at is None):
        raise DesignError(
            f"Give one of `visit` and `at`, got visit={where.visit!r} and at={where.at!r}."
        )
    labels = ["visit"] if where.visit is not None else []
    require_columns(data, [where.subject, where.time, *outcomes, *labels])
    strange = [name for name in percent_change if name not in outcomes]
    if strange:
        raise DesignError(
            f"`percent_change` names {strange[0]!r}, which is none of the outcomes "
            f"({', '.join(outcomes)}).{nearest(strange[0], outcomes)}"
        )


def _new_baselines(rows: pd.DataFrame, outcomes: tuple[str, ...], where: _Where) -> pd.DataFrame:
    """Return each subject's new baseline row, by subject id."""
    labelled = where.visit is not None
    there = rows["visit"].astype(str) == where.visit if labelled else rows[where.time] >= where.at
    candidates = rows[there].dropna(subset=list(outcomes)).sort_values(where.time, kind="stable")
    if candidates.empty:
        raise DesignError(f"No subject has {', '.join(outcomes)} at {where.words()}.")
    repeated = candidates[where.subject].duplicated()
    if labelled and repeated.any():
        twice = candidates.loc[repeated, where.subject].iloc[0]
        raise DesignError(
            f"Subject {twice} has visit {where.visit!r} twice. Keep one row per visit."
        )
    return candidates.drop_duplicates(where.subject).set_index(where.subject)


def _restart(
    kept: pd.DataFrame,
    first: pd.DataFrame,
    percent_change: tuple[str, ...],
    subject: str,
    time: str,
) -> pd.DataFrame:
    """Restart time, and express change against the new baseline."""
    ids = kept[subject]
    is_baseline = kept[time].to_numpy() == ids.map(first[time]).to_numpy()
    years = ids.map(first[time]) / (DAYS_PER_YEAR if time == "day" else 1.0)
    changes = {
        name: np.where(
            is_baseline,
            np.nan,
            100 * ((1 + kept[name] / 100) / (1 + ids.map(first[name]) / 100) - 1),
        )
        for name in percent_change
    }
    times = {c: kept[c] - ids.map(first[c]) for c in ("year", "day") if c in kept.columns}
    times[time] = kept[time] - ids.map(first[time])
    return kept.assign(rebaseline_year=years, **times, **changes).reset_index(drop=True)
