"""Free of an event at a day: "no evidence of progression", NEPAD, NEDA-3, NEDA-4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtri

from pmsstats.cohort import Cohort
from pmsstats.endpoints.definitions.composite_rule import PartRule, rule_title
from pmsstats.endpoints.definitions.field_checks import as_tuple, is_number
from pmsstats.endpoints.definitions.from_table import rule_from_dict
from pmsstats.endpoints.definitions.modified import definition_name
from pmsstats.endpoints.definitions.presets import preset
from pmsstats.endpoints.derivation.known_times import KnownTimes, known_times
from pmsstats.endpoints.derivation.time_to_event import is_death
from pmsstats.errors import DesignError, SchemaError, nearest
from pmsstats.plots.forest import plot_forest
from pmsstats.provenance import Origin
from pmsstats.results import Exclusion, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.seeds import Seed

__all__ = ["StatusResult", "derive_status", "wilson_interval"]

EVIDENCE, FREE, UNKNOWN = "evidence", "no evidence", "unknown"
"""What ``statuses.status`` can say."""

_CONVENTIONS = ("left out", "counted as evidence")
_ALL = "all subjects"
TextArray = NDArray[np.object_]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class StatusResult(Result):
    """Who is free of an event at a day, and their share.

    Parameters
    ----------
    rule : rule
        The event.
    label : str
        What being free of it is called.
    definition : str
        The event as a paragraph.
    day, window_days : int
        At which day from time zero, and how many days the visit of that day may be early or late.
    statuses : pandas.DataFrame
        One row per subject of the cohort, in its order: ``subject_id``, ``group``, ``status``
        (``"evidence"``, ``"no evidence"`` or ``"unknown"``), ``reason`` (why it is unknown, or
        that an exit counts as evidence; else empty).
    shares : pandas.DataFrame
        See :meth:`table`.
    conf_level : float
        Of the intervals.
    n_subjects, n_free, n_evidence, n_unknown : int
        All subjects, and those of each status.
    origin : {"real", "synthetic"}
        Of the cohort.
    exclusions : tuple of Exclusion
        Visits and rows that the parts of the rule did not use.
    """

    rule: PartRule
    label: str
    definition: str
    day: int
    window_days: int
    statuses: pd.DataFrame
    shares: pd.DataFrame
    conf_level: float
    n_subjects: int
    n_free: int
    n_evidence: int
    n_unknown: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say how many were free of the event, and how many could not be judged.

        Returns
        -------
        str
            One sentence.
        """
        judged = self.n_free + self.n_evidence
        where = "In synthetic data, " if self.origin == "synthetic" else ""
        share = f" ({100 * self.n_free / judged:.0f} %)" if judged else ""
        least = f"{100 * self.n_free / self.n_subjects:.0f} % if they count as evidence"
        rest = f"; {self.n_unknown} more could not be judged ({least})" if self.n_unknown else ""
        return (
            f"{where}{self.n_free} of {judged} subjects{share} had {self.label} up to day "
            f"{self.day} (definition: {definition_name(self.rule)}){rest}."
        )

    def table(self) -> pd.DataFrame:
        """Return the shares, one row per group and convention (a copy).

        Returns
        -------
        pandas.DataFrame
            Columns ``group`` (an ordered categorical: arms in their order), ``unknown`` (whether
            subjects of unknown status are ``"left out"`` or ``"counted as evidence"``),
            ``n_subjects`` (that the share is of), ``n_free``, ``n_evidence``, ``n_unknown``,
            ``estimate`` (share of subjects free of the event), ``conf_low``, ``conf_high``.
        """
        return self.shares.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the shares with their intervals.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.forest.plot_forest`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        data = self.shares.assign(
            label=self.shares["group"].astype(str) + ", unknown " + self.shares["unknown"],
            n=[f"{free} of {n}" for free, n in self.shares[["n_free", "n_subjects"]].to_numpy()],
        )
        kws.setdefault("x_label", f"Subjects with {self.label} up to day {self.day}")
        kws.setdefault("percent", True)
        kws.setdefault("origin", self.origin)
        return plot_forest(data, ax=ax, **kws)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            Keys ``schema rule label definition day window_days conf_level origin n_subjects
            n_free n_evidence n_unknown shares statuses exclusions``.
        """
        plain = (
            "label", "definition", "day", "window_days", "conf_level", "origin", "n_subjects",
            "n_free", "n_evidence", "n_unknown", "shares", "statuses", "exclusions",
        )  # fmt: skip
        return {
            "schema": "status_result/1",
            "rule": {"type": type(self.rule).__name__, **to_plain(self.rule)},
            **{name: to_plain(getattr(self, name)) for name in plain},
        }


def derive_status(
    cohort: Cohort,
    rule: PartRule | str | Mapping[str, Any],
    day: int,
    *,
    window_days: int = 0,
    exits_as_evidence: str | tuple[str, ...] = (),
    by: str | None = None,
    conf_level: float = 0.95,
    seed: Seed | None = None,
) -> StatusResult:
    """Derive who is free of an event at a day.

    Parameters
    ----------
    cohort : Cohort
        With what the rule needs.
    rule : rule, str or mapping
        The event, as for :func:`pmsstats.endpoints.derive_endpoint`.
    day : int
        Days from time zero.
    window_days : int, default 0
        How many days the visit of that day may be early or late: events up to `window_days` after
        the day are evidence, and follow-up may end so many days before it.
    exits_as_evidence : tuple of str
        Reasons of exits (``"death"``, ``"lack of efficacy"``) that make the status of a subject
        evidence where it would be unknown.
    by : str, optional
        Subject column whose groups are tabulated.
    conf_level : float, default 0.95
        Of the intervals.
    seed : int, numpy.random.SeedSequence or numpy.random.Generator, optional
        For rules that draw at random.

    Returns
    -------
    StatusResult
        The status of every subject of the cohort, and the share free of the event both ways:
        subjects of unknown status left out, and counted as evidence.

    Raises
    ------
    DesignError
        If an argument is out of range, or the rule cannot be understood or applied.
    SchemaError
        If the cohort lacks a measure or column.

    Notes
    -----
    One event up to the day is evidence, whatever else was assessed. To be free of it, a subject
    must have been assessed for all parts of a composite that could have completed it, up to the
    day: who was not scanned is not free of lesions. Two kinds of subjects are unknown from their
    last assessment without the event on: those in whom it was seen only later (a lesion on the
    next scan may have been there by the day), and those whose last visit shows a change that
    nobody could confirm. Whatever the rule's own ``missing_part`` and
    ``censor_at`` say, the status is unknown then.

    Analyses differ in what they do with unknown statuses. That of OPERA I and II left out
    subjects free of evidence who discontinued for reasons unrelated to efficacy [1]_; the share
    that counts every unknown status as evidence is a lower bound.

    The intervals are those of Wilson [2]_.

    References
    ----------
    .. [1] Ocrelizumab effect on NEDA in patient subgroups of OPERA I and OPERA II (abstract
       THUR-179).
    .. [2] Wilson EB. Probable inference, the law of succession, and statistical inference. J Am
       Stat Assoc 1927;22:209-212.
    """
    if isinstance(rule, Mapping):
        rule = rule_from_dict(rule, dictionary=cohort.dictionary)
    rule = preset(rule) if isinstance(rule, str) else rule
    _check_request(day, window_days, conf_level)
    known = known_times(cohort, rule, seed=seed)
    status = _status(known, day, window_days)
    statuses = pd.DataFrame(
        {
            "subject_id": cohort.subjects["subject_id"],
            "group": _groups(cohort, by),
            "status": status,
            "reason": np.where(status == UNKNOWN, _reasons(cohort, known, day - window_days), ""),
        }
    )
    _count_exits(cohort, statuses, as_tuple(exits_as_evidence))
    counts = statuses["status"].value_counts()
    return StatusResult(
        rule=rule,
        label=getattr(rule, "absence_label", "") or f"no {rule_title(rule)}",
        definition=known.definition,
        day=day,
        window_days=window_days,
        statuses=statuses,
        shares=_shares(statuses, conf_level),
        conf_level=conf_level,
        n_subjects=len(statuses),
        n_free=int(counts.get(FREE, 0)),
        n_evidence=int(counts.get(EVIDENCE, 0)),
        n_unknown=int(counts.get(UNKNOWN, 0)),
        origin=cohort.origin,
        exclusions=known.exclusions,
    )


def wilson_interval(
    count: NDArray[Any], n: NDArray[Any], conf_level: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return Wilson's interval of proportions.

    Parameters
    ----------
    count, n : array_like of int
        Successes, and of how many; of the same shape.
    conf_level : float
        Between 0 and 1.

    Returns
    -------
    low, high : ndarray of float
        NaN where `n` is 0.

    Notes
    -----
    With ``z`` the standard normal quantile and ``p = count / n``, the ends are ``(p + z^2 / 2n
    -/+ z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n)``.

    Examples
    --------
    >>> low, high = wilson_interval([8], [10], 0.95)
    >>> low.round(4).item(), high.round(4).item()
    (0.4902, 0.9433)
    """
    count, n = np.asarray(count, dtype=float), np.asarray(n, dtype=float)
    z2 = ndtri((1 + conf_level) / 2) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        p = count / n
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (p * (1 - p) / n + z2 / (4 * n**2))) / (1 + z2 / n)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)


def _check_request(day: int, window_days: int, conf_level: float) -> None:
    """Refuse days and levels that are out of range."""
    whole = all(is_number(v) and v % 1 == 0 for v in (day, window_days))
    if not whole or not 0 <= window_days < day:
        raise DesignError(
            "`day` and `window_days` must be whole numbers of days, the window shorter than the "
            f"time to the day, got {day!r} and {window_days!r}."
        )
    if not is_number(conf_level) or not 0 < conf_level < 1:
        raise DesignError(f"`conf_level` must be between 0 and 1, got {conf_level!r}.")


def _groups(cohort: Cohort, by: str | None) -> TextArray | str:
    """Return the group of each subject."""
    if by is None:
        return _ALL
    if by not in cohort.subjects.columns:
        raise SchemaError(
            f"`by` names {by!r}, which is no column of the subjects table."
            f"{nearest(by, cohort.subjects.columns)}"
        )
    column = cohort.subjects[by]
    text = column.astype(object).where(column.notna(), f"no {by}").astype(str)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        return text.to_numpy(dtype=object)
    levels = [str(level) for level in column.cat.categories]
    levels += [] if column.notna().all() else [f"no {by}"]
    return pd.Categorical(text, categories=levels, ordered=True)


def _status(known: KnownTimes, day: int, window: int) -> TextArray:
    """Say who had the event, who had not, and of whom it is unknown."""
    happened = known.event_day - known.day_zero
    free = known.free_until - known.day_zero
    evidence = (happened >= 0) & (happened <= day + window)
    absent = (free >= day - window) & (happened > day + window)
    return np.where(evidence, EVIDENCE, np.where(absent, FREE, UNKNOWN)).astype(object)


def _reasons(cohort: Cohort, known: KnownTimes, days: int) -> TextArray:
    """Say why a status is unknown: death, exit, or parts that were not assessed for so long."""
    ids = cohort.subjects["subject_id"]
    exits = cohort.exits.drop_duplicates("subject_id").set_index("subject_id")
    gone = (ids.map(exits["day"]) - known.day_zero < days).to_numpy()
    why = ids.map(exits["reason"].astype(object)).fillna("no reason given").to_numpy(dtype=object)
    before = "left before: " + why.astype(str).astype(object)
    left = np.where(is_death(why), "died before", before)
    early = np.isfinite(known.event_day) & (known.event_day < known.day_zero)
    reason = np.where(gone, left, known.why_unknown(known.day_zero + days))
    return np.where(early, "had the event before time zero", reason)


def _count_exits(cohort: Cohort, statuses: pd.DataFrame, reasons: tuple[str, ...]) -> None:
    """Make the status of subjects who left for some reasons evidence, where it was unknown."""
    exits = cohort.exits.drop_duplicates("subject_id").set_index("subject_id")["reason"]
    left = statuses["subject_id"].map(exits.astype(object))
    turned = (statuses["status"] == UNKNOWN) & left.isin(reasons)
    statuses.loc[turned, "reason"] = "left the study: " + left[turned].astype(str)
    statuses.loc[turned, "status"] = EVIDENCE


def _ordered_groups(index: pd.Index) -> pd.Categorical:
    """Return the groups of a table of counts in its order."""
    names = [str(name) for name in index]
    return pd.Categorical(names, categories=names, ordered=True)


def _shares(statuses: pd.DataFrame, conf_level: float) -> pd.DataFrame:
    """Tabulate the shares by group, both ways."""
    counts = pd.crosstab(statuses["group"], statuses["status"])
    counts = counts.reindex(columns=[FREE, EVIDENCE, UNKNOWN], fill_value=0)
    table = pd.DataFrame(
        {
            "group": _ordered_groups(counts.index).repeat(2),
            "unknown": list(_CONVENTIONS) * len(counts),
            "n_subjects": (counts[FREE] + counts[EVIDENCE]).to_numpy().repeat(2),
            "n_free": counts[FREE].to_numpy().repeat(2),
            "n_evidence": counts[EVIDENCE].to_numpy().repeat(2),
            "n_unknown": counts[UNKNOWN].to_numpy().repeat(2),
        }
    )
    table.loc[table["unknown"] == _CONVENTIONS[1], "n_subjects"] += table["n_unknown"]
    judged = table["n_subjects"].where(table["n_subjects"] > 0).astype(float)
    low, high = wilson_interval(table["n_free"], table["n_subjects"], conf_level)
    return table.assign(estimate=table["n_free"] / judged, conf_low=low, conf_high=high)
