"""Which marker shows change best: standardised response means, and how they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from pmsstats.cohort.schema import Measure, default_dictionary
from pmsstats.errors import DesignError
from pmsstats.imaging.paired_bootstrap import (
    STATISTICS,
    ChangeData,
    acceleration,
    bca_interval,
    change_statistics,
    jackknife,
    percentile_interval,
    resample,
)
from pmsstats.imaging.responsiveness_result import ResponsivenessResult
from pmsstats.imaging.spec_options import as_spec
from pmsstats.imaging.subject_changes import SubjectChanges, subject_changes
from pmsstats.models.responses.population_design import check_choice
from pmsstats.results import Exclusion, exclude
from pmsstats.seeds import Seed, stream

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["ResponsivenessResult", "ResponsivenessSpec", "compare_responsiveness"]

Statistic = Literal["srm", "effect_size", "guyatt", "standardised_difference"]
Method = Literal["change", "slope"]
Missing = Literal["common", "pairwise"]
Interval = Literal["bca", "percentile"]
Direction = Literal["worsening", "improvement"]
_FEWEST = 5  # subjects with a change, for a bootstrap to mean anything


@dataclass(frozen=True, kw_only=True)
class ResponsivenessSpec:
    """Which measures are compared, between which times, and how.

    Parameters
    ----------
    measures : tuple of str
        Columns of the measures.
    time : str, default "visit"
        Column of visits or of time.
    between : tuple of two values of `time`, optional
        First and last; needed for ``method="change"``. For slopes: the times between which values
        are used (by default all).
    method : {"change", "slope"}, default "change"
        Change of each subject from first to last, or each subject's least-squares slope.
    subject : str, default "subject_id"
        Column that tells subjects apart.
    group, stable : optional
        Column of groups, and the group whose change is noise (healthy controls, stable patients,
        an untreated arm); responsiveness is that of the others.
    missing : {"common", "pairwise"}, default "common"
        Use only subjects who have all measures, so that like is compared with like; or all that
        each measure has.
    rank_by : {"srm", "effect_size", "guyatt", "standardised_difference"}, default "srm"
        Statistic that measures are ordered by; the last two need `stable`.
    interval : {"bca", "percentile"}, default "bca"
        Kind of the bootstrap intervals.
    direction : {"worsening", "improvement"}, default "worsening"
        Which change is the signal, and so has a positive sign.
    worsening : tuple of (measure, "lower" or "higher")
        Direction that is worse, of measures that the data dictionary does not know.
    n_replicates : int, default 2000
        Bootstrap replicates.
    conf_level : float, default 0.95
        Of every interval.

    Raises
    ------
    DesignError
        If a field is outside of its range.
    """

    measures: tuple[str, ...]
    time: str = "visit"
    between: tuple[Any, Any] | None = None
    method: Method = "change"
    subject: str = "subject_id"
    group: str | None = None
    stable: Any = None
    missing: Missing = "common"
    rank_by: Statistic = "srm"
    interval: Interval = "bca"
    direction: Direction = "worsening"
    worsening: tuple[tuple[str, str], ...] = ()
    n_replicates: int = 2000
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check every field."""
        if not isinstance(self.measures, tuple) or not self.measures:
            raise DesignError(f"`measures` must be a tuple of columns, got {self.measures!r}.")
        if len(set(self.measures)) < len(self.measures):
            raise DesignError(f"`measures` names a column twice: {', '.join(self.measures)}.")
        for name, options in (
            ("method", Method),
            ("missing", Missing),
            ("rank_by", Statistic),
            ("interval", Interval),
            ("direction", Direction),
        ):
            check_choice(name, getattr(self, name), get_args(options))
        for _, side in self.worsening:
            check_choice("worsening", side, ("lower", "higher"))
        self._check_times_and_groups()
        if not isinstance(self.conf_level, float) or not 0.5 <= self.conf_level < 1:
            raise DesignError(
                f"`conf_level` must be at least 0.5 and below 1, got {self.conf_level!r}."
            )
        if not isinstance(self.n_replicates, int) or self.n_replicates < 100:
            raise DesignError(f"`n_replicates` must be at least 100, got {self.n_replicates!r}.")

    def _check_times_and_groups(self) -> None:
        """Check what belongs together."""
        if self.between is None and self.method == "change":
            raise DesignError(
                "`between` names the first and the last visit, as in between=('baseline', "
                "'month 24')."
            )
        if self.between is not None and (
            len(self.between) != 2 or self.between[0] == self.between[1]
        ):
            raise DesignError(f"`between` must be two different times, got {self.between!r}.")
        if (self.group is None) != (self.stable is None):
            raise DesignError("`group` (a column) and `stable` (one of its values) go together.")
        if self.stable is None and self.rank_by in {"guyatt", "standardised_difference"}:
            raise DesignError(
                f"rank_by={self.rank_by!r} compares with a group whose change is noise: give "
                "`group` and `stable`."
            )


def compare_responsiveness(
    data: pd.DataFrame,
    measures: ResponsivenessSpec | Sequence[str],
    *,
    seed: Seed,
    dictionary: Mapping[str, Measure] | None = None,
    origin: Origin = "real",
    prior_exclusions: Sequence[Exclusion] = (),
    **options: Any,
) -> ResponsivenessResult:
    """Ask which of several measures shows change best in the same subjects.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject and visit, with a column per measure.
    measures : ResponsivenessSpec or sequence of str
        What is asked, or the columns.
    seed : int, SeedSequence or Generator
        Of the bootstrap.
    dictionary : mapping of str to Measure, optional
        For labels and directions; the package's own by default.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from.
    prior_exclusions : sequence of Exclusion
        What earlier steps left out.
    **options
        With columns: the other fields of :class:`ResponsivenessSpec` (`time`, `between`, `method`,
        `rank_by`, ...). `worsening` may be a mapping. Not with a spec, which has them.

    Returns
    -------
    ResponsivenessResult
        One row per measure, best first; differences between all pairs; a forest plot.

    Raises
    ------
    DesignError
        If `options` are given beside a spec, a column is absent, the direction of a measure is
        unknown, a subject has two values at one visit, or fewer than five subjects have a change.

    Notes
    -----
    - ``srm``: standardised response mean, mean change over SD of change [1]_: what decides how
      many patients a study within one group needs, as ``1 / srm^2``. Hence
      ``relative_efficiency``: the squared ratio to the measure that comes first; its inverse says
      how many times as many patients a measure needs. It is that of ``srm`` whatever measures are
      ranked by, but for ``rank_by="standardised_difference"``, where it is that of this one: with
      the others it may be above 1. Missing unless both show the wanted direction.
    - ``effect_size``: mean change over SD of the first values [2]_; not defined for measures that
      are changes already.
    - ``guyatt``: mean change over SD of change of stable subjects [3]_.
    - ``standardised_difference``: of mean change from the stable group, over the pooled SD of
      change: what decides the size of a controlled comparison.

    Signs are turned so that worsening (or improvement, see `direction`) is positive, by the data
    dictionary. Subjects are drawn with replacement, within groups, and all measures of a subject
    go with them, so that differences between measures are paired. ``p_best`` is the share of
    replicates in which a measure comes first; it is a description of the bootstrap, not the
    probability of a hypothesis. Intervals of differences to the best are not widened for having
    picked the best.

    No one R or SAS statement gives this. Nearest in R: ``mean(d) / sd(d)`` of the changes as the
    statistic of ``boot::boot(d, statistic, R = 2000, strata = group)``, then ``boot::boot.ci(type =
    "bca")``; in SAS: ``PROC SURVEYSELECT METHOD=URS SAMPRATE=1 REPS=2000``, then ``PROC MEANS`` by
    replicate.

    References
    ----------
    .. [1] Liang MH, Fossel AH, Larson MG. Comparisons of five health status instruments for
       orthopedic evaluation. Med Care 1990;28:632-642. doi:10.1097/00005650-199007000-00008.
    .. [2] Kazis LE, Anderson JJ, Meenan RF. Effect sizes for interpreting changes in health
       status. Med Care 1989;27:S178-S189. doi:10.1097/00005650-198903001-00015.
    .. [3] Guyatt G, Walter S, Norman G. Measuring change over time: assessing the usefulness of
       evaluative instruments. J Chronic Dis 1987;40:171-178. doi:10.1016/0021-9681(87)90069-5.

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> visits = pd.DataFrame({"subject_id": np.repeat(range(60), 2), "year": [0, 2] * 60})
    >>> level = np.repeat(rng.normal(15, 1, 60), 2)
    >>> visits["thalamus_ml"] = level - 0.2 * visits["year"] + rng.normal(0, 0.2, 120)
    >>> visits["sdmt"] = 50 - 0.3 * visits["year"] + rng.normal(0, 4, 120)
    >>> found = compare_responsiveness(
    ...     visits, ["thalamus_ml", "sdmt"], time="year", between=(0, 2), n_replicates=200, seed=1
    ... )
    >>> found.table()["term"].tolist()
    ['thalamus_ml', 'sdmt']
    """
    if isinstance(options.get("worsening"), Mapping):
        options["worsening"] = tuple(options["worsening"].items())
    spec = as_spec(ResponsivenessSpec, measures, options)
    known = default_dictionary() if dictionary is None else dictionary
    found = subject_changes(data, spec, known)
    used, lost = _complete(found, spec)
    oriented = _oriented(used, spec, known)
    rng = stream(seed, "responsiveness")
    replicates = resample(oriented, rng, spec.n_replicates)
    observed = change_statistics(np.ones((1, len(oriented.stable))), oriented)[:, 0]
    left_out = jackknife(oriented) if spec.interval == "bca" else None
    boot = _Bootstrap(
        spec=spec, data=oriented, observed=observed, replicates=replicates, left_out=left_out
    )
    order = _order(boot)
    return ResponsivenessResult(
        spec=spec,
        rows=_table(used, boot, order, spec),
        difference_frame=_differences(boot, order, spec),
        labels={n: known[n].label if n in known else n for n in spec.measures},
        n_subjects=int(used.any_change.sum()),
        n_failed=int(np.isnan(replicates[STATISTICS.index(spec.rank_by)]).any(axis=1).sum()),
        origin=origin,
        exclusions=(*prior_exclusions, *found.exclusions, *lost),
    )


def _complete(
    found: SubjectChanges, spec: ResponsivenessSpec
) -> tuple[SubjectChanges, tuple[Exclusion, ...]]:
    """Keep the subjects who have all measures, if so asked, and enough of each."""
    seen = ~np.isnan(found.change)
    lost: tuple[Exclusion, ...] = ()
    used = found.kept(seen.any(axis=1))
    if spec.missing == "common":
        keep = seen.all(axis=1)
        ids = [s for s, some, every in zip(found.ids, seen.any(axis=1), keep, strict=True)
               if some and not every]  # fmt: skip
        lost = exclude("responsiveness", "subject", "lacks the change of some measure", ids)
        used = found.kept(keep)
    for who, members in (("", ~used.stable), (f" in {spec.stable!r}", used.stable)):
        if who and spec.stable is None:
            continue
        counts = (~np.isnan(used.change[members])).sum(axis=0)
        if counts.min(initial=len(members)) < _FEWEST or not members.any():
            name = spec.measures[int(np.argmin(counts))]
            raise DesignError(
                f"Responsiveness needs at least {_FEWEST} subjects with a change{who}; "
                f"{name!r} has {int(counts.min(initial=0))}"
                + (" together with all other measures. Try missing='pairwise', or leave it out."
                   if spec.missing == "common" else ". Leave it out.")
            )  # fmt: skip
    return used, lost


def _oriented(
    used: SubjectChanges, spec: ResponsivenessSpec, known: Mapping[str, Measure]
) -> ChangeData:
    """Turn signs so that the wanted direction is positive."""
    given = dict(spec.worsening)
    signs = []
    for name in spec.measures:
        side = given.get(name) or (known[name].worsening if name in known else "unspecified")
        if side == "unspecified":
            raise DesignError(
                f"The data dictionary does not say which direction of {name!r} is worse. Give "
                f"worsening={{{name!r}: 'lower'}} or 'higher'."
            )
        signs.append(1.0 if side == "higher" else -1.0)
    sign = np.array(signs) * (1.0 if spec.direction == "worsening" else -1.0)
    return ChangeData(change=used.change * sign, baseline=used.baseline, stable=used.stable)


@dataclass(frozen=True, eq=False, kw_only=True)
class _Bootstrap:
    """Estimates with their replicates."""

    spec: ResponsivenessSpec
    data: ChangeData
    observed: np.ndarray
    replicates: np.ndarray
    left_out: np.ndarray | None

    def interval(self, statistic: int, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return intervals of combinations of the measures (rows of weights) of one statistic."""
        replicates = _combine(self.replicates[statistic], weights)
        if self.left_out is None:
            return percentile_interval(replicates, self.spec.conf_level)
        left_out = _combine(self.left_out[statistic], weights)
        return bca_interval(
            replicates,
            _combine(self.observed[statistic][None], weights)[0],
            acceleration(left_out, self.data),
            self.spec.conf_level,
        )


def _combine(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Combine measures; measures of weight zero may be missing."""
    missing = np.isnan(values).astype(float) @ (weights != 0).T.astype(float) > 0
    return np.where(missing, np.nan, np.nan_to_num(values) @ weights.T)


def _order(boot: _Bootstrap) -> np.ndarray:
    """Return the positions of the measures, best first, those that cannot be estimated last."""
    values = boot.observed[STATISTICS.index(boot.spec.rank_by)]
    return np.argsort(-np.where(np.isnan(values), -np.inf, values), kind="stable")


def _table(
    used: SubjectChanges, boot: _Bootstrap, order: np.ndarray, spec: ResponsivenessSpec
) -> pd.DataFrame:
    """Tabulate the measures, best first."""
    moving = used.change[~used.stable]
    rank = STATISTICS.index(spec.rank_by)
    n = (~np.isnan(moving)).sum(axis=0)
    columns: dict[str, Any] = {
        "term": list(spec.measures),
        "n_subjects": n,
        "n_missing": len(moving) - n,
        "mean_change": np.nanmean(moving, axis=0),
        "sd_change": np.nanstd(moving, axis=0, ddof=1),
    }
    each = np.eye(len(spec.measures))
    for i, name in enumerate(STATISTICS[: 4 if spec.stable is not None else 2]):
        low, high = boot.interval(i, each)
        columns |= {name: boot.observed[i], f"{name}_low": low, f"{name}_high": high}
        if i == rank:
            columns[f"{name}_std_error"] = np.nanstd(boot.replicates[i], axis=0, ddof=1)
    to_best = each - each[order[0]]
    low, high = boot.interval(rank, to_best)
    own = np.arange(len(each)) == order[0]
    columns["difference"] = _combine(boot.observed[rank][None], to_best)[0]
    columns["difference_low"] = np.where(own, np.nan, low)
    columns["difference_high"] = np.where(own, np.nan, high)
    columns["relative_efficiency"] = _relative_efficiency(boot, order[0])
    complete = ~np.isnan(boot.replicates[rank]).any(axis=1)
    first = boot.replicates[rank][complete].argmax(axis=1)
    columns["p_best"] = np.bincount(first, minlength=len(each)) / max(len(first), 1)
    return pd.DataFrame(columns).iloc[order].reset_index(drop=True)


def _relative_efficiency(boot: _Bootstrap, first: int) -> np.ndarray:
    """Return how many patients the measure that comes first needs, over those each one needs."""
    by = "srm" if boot.spec.rank_by != "standardised_difference" else boot.spec.rank_by
    values = boot.observed[STATISTICS.index(by)]
    wanted = (values > 0) & (values[first] > 0)
    efficiency: np.ndarray = np.where(wanted, (values / values[first]) ** 2, np.nan)
    return efficiency


def _differences(boot: _Bootstrap, order: np.ndarray, spec: ResponsivenessSpec) -> pd.DataFrame:
    """Tabulate the differences between all pairs of measures, better less worse."""
    rank = STATISTICS.index(spec.rank_by)
    pairs = [(a, b) for i, a in enumerate(order) for b in order[i + 1 :]]
    each = np.eye(len(spec.measures))
    weights = np.array([each[a] - each[b] for a, b in pairs]).reshape(-1, len(each))
    low, high = boot.interval(rank, weights)
    names = spec.measures
    return pd.DataFrame(
        {
            "term": [f"{names[a]} - {names[b]}" for a, b in pairs],
            "estimate": _combine(boot.observed[rank][None], weights)[0],
            "std_error": np.nanstd(_combine(boot.replicates[rank], weights), axis=0, ddof=1),
            "conf_low": low,
            "conf_high": high,
        }
    )
