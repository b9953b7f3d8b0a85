"""Restricted mean survival time: the mean time without event up to a horizon.

lifelines has the mean but no standard error of it: the variance that it returns is that of the
time itself (1.40 in a sample of 200 whose mean has the squared standard error 0.0075). So areas and
their variances are taken here, from the package's own product limit.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.curves.at_risk import segments
from pmsstats.models.curves.kaplan_meier import KMResult, KMSpec, fit_km
from pmsstats.models.curves.product_limit import product_limit
from pmsstats.models.curves.rmst_result import RMSTResult
from pmsstats.models.events.rows import check_conf_level
from pmsstats.results import Exclusion

if TYPE_CHECKING:
    from pmsstats.provenance import Origin

__all__ = ["RMSTResult", "RMSTSpec", "rmst"]


_NO_TIME = 1e-12  # share of the longer of two times that is only rounding


@dataclass(frozen=True, kw_only=True)
class RMSTSpec:
    """Request for restricted mean survival times.

    Parameters
    ----------
    horizon : float, optional
        Time up to which survival is averaged, in the unit of `duration`; by default the latest
        that all groups allow. Choose it before seeing the curves.
    duration : str, default "duration"
        Column of the time to event or censoring.
    event : str, default "event"
        Column that is true where the event happened.
    entry : str, optional
        Column of the time from which a subject is observed (delayed entry).
    by : str, optional
        Column of groups; the first is the reference of differences and ratios.
    extend : bool, default False
        Whether a horizon past the follow-up of a group is allowed: its curve then stays where it
        ended, which overstates the mean.
    subject : str, default "subject_id"
        Column of subjects, if there is one.
    duration_unit : {"day", "year"}, default "day"
        Unit of `duration`; figures are drawn in years.
    conf_level : float, default 0.95
        Of the intervals.

    Raises
    ------
    DesignError
        If an option is outside of its range.
    """

    horizon: float | None = None
    duration: str = "duration"
    event: str = "event"
    entry: str | None = None
    by: str | None = None
    extend: bool = False
    subject: str = "subject_id"
    duration_unit: Literal["day", "year"] = "day"
    conf_level: float = 0.95

    def __post_init__(self) -> None:
        """Check the options."""
        if self.horizon is not None and not 0 < self.horizon < float("inf"):
            raise DesignError(f"`horizon` must be a time above 0, got {self.horizon!r}.")
        if self.duration_unit not in ("day", "year"):
            raise DesignError(
                f"`duration_unit` must be 'day' or 'year', got {self.duration_unit!r}."
            )
        check_conf_level(self.conf_level)


def rmst(
    data: pd.DataFrame,
    spec: RMSTSpec | None = None,
    *,
    prior_exclusions: Iterable[Exclusion] = (),
    origin: Origin = "real",
) -> RMSTResult:
    """Estimate restricted mean survival times, and compare groups by them.

    Parameters
    ----------
    data : pandas.DataFrame
        One row per subject.
    spec : RMSTSpec, optional
        Which columns are what, and the horizon; one group up to its last time by default.
    prior_exclusions : iterable of Exclusion
        What was left out before; listed first in the result.
    origin : {"real", "synthetic"}, default "real"
        Where the data come from; figures say so.

    Returns
    -------
    RMSTResult
        Means by group; differences, ratios of means and ratios of time lost.

    Raises
    ------
    DesignError
        If the data are not fit for Kaplan-Meier curves, there is no event, or the horizon lies
        past the follow-up of a group and `extend` is false.

    Notes
    -----
    R: ``survRM2::rmst2``, ``print(survfit(...), rmean = horizon)``.

    The estimand is ``E min(T, horizon)``, the area under the survival curve [1]_: it needs no
    proportional hazards. With A(t) the area from t to the horizon, its variance is ``sum A(t)^2 d
    / (n (n - d))`` over event times [2]_. Ratios are compared on the log scale. Where the last
    subject of a group has the event, its curve is 0 from there, and any horizon is allowed.

    References
    ----------
    .. [1] Royston P, Parmar MKB. Restricted mean survival time: an alternative to the hazard
       ratio. BMC Med Res Methodol 2013;13:152. doi:10.1186/1471-2288-13-152
    .. [2] Klein JP, Moeschberger ML. Survival Analysis. 2nd ed. Springer 2003, section 4.5.
       doi:10.1007/b97377

    Examples
    --------
    >>> import pandas as pd
    >>> data = pd.DataFrame({"duration": [1, 2, 3, 4], "event": [True, True, False, True]})
    >>> table = rmst(data, RMSTSpec(horizon=4)).table()
    >>> table[["quantity", "term", "estimate"]]
      quantity term  estimate
    0     mean  all      2.75
    """
    spec = RMSTSpec() if spec is None else spec
    km = fit_km(
        data, _km_spec(spec), engine="native", prior_exclusions=prior_exclusions, origin=origin
    )
    if not km.n_events:
        raise DesignError(
            f"No event among {km.n_subjects} subject(s): the mean would be the horizon itself, "
            "without a standard error. Check the outcome."
        )
    horizon = _horizon(km, spec)
    means = _means(km.follow_up, horizon)
    return RMSTResult(
        spec=spec,
        horizon=horizon,
        means=means,
        contrasts=_contrasts(means, horizon, spec.conf_level),
        curves=km,
        n_subjects=km.n_subjects,
        n_events=km.n_events,
        exclusions=km.exclusions,
        origin=origin,
    )


def _km_spec(spec: RMSTSpec) -> KMSpec:
    """Ask for the curves under which areas are taken."""
    return KMSpec(
        duration=spec.duration,
        event=spec.event,
        entry=spec.entry,
        by=spec.by,
        subject=spec.subject,
        duration_unit=spec.duration_unit,
        conf_level=spec.conf_level,
    )


def _horizon(km: KMResult, spec: RMSTSpec) -> float:
    """Return the horizon, refusing one that a group was not followed to."""
    last = km.follow_up.groupby("group", observed=True, sort=True)["duration"].max()
    ends = km.curves().groupby("group", observed=True, sort=True)["survival"].last()
    allowed = last.where(ends > 0, np.inf)
    latest = float(allowed.min()) if np.isfinite(allowed.min()) else float(last.max())
    if spec.horizon is None:
        return latest
    short = allowed[allowed < spec.horizon]
    if len(short) and not spec.extend:
        raise DesignError(
            f"`horizon` must not lie past the follow-up of a group, got {spec.horizon!r}, but "
            f"{', '.join(f'{group} ends at {time:g}' for group, time in short.items())}. The "
            f"largest allowed is {latest:g}; `extend=True` lets a curve stay where it ended."
        )
    return float(spec.horizon)


def _means(follow_up: pd.DataFrame, horizon: float) -> pd.DataFrame:
    """Take the area under each curve, and its variance."""
    group = follow_up["group"].cat.codes.to_numpy(dtype=np.int64)
    entry = follow_up["entry"].to_numpy() if "entry" in follow_up else None
    event = follow_up["event"].to_numpy()
    curve = product_limit(follow_up["duration"].to_numpy(), event, group, entry)
    rows = []
    for part in segments(curve.table.stratum):
        inside = curve.table.time[part] < horizon
        time = np.concatenate([[0.0], curve.table.time[part][inside], [horizon]])
        level = np.concatenate([[1.0], curve.survival[part][inside]])
        pieces = level * np.diff(time)
        beyond = np.cumsum(pieces[::-1])[::-1][1:]  # area from each time to the horizon
        # at the last event of a group the term is infinite, but nothing lies beyond
        terms = np.where(beyond > 0, curve.greenwood[part][inside], 0.0)
        variance = float(np.sum(beyond**2 * terms))
        rows.append((pieces.sum(), variance))
    levels = follow_up["group"].cat.categories
    means = pd.DataFrame(rows, columns=["mean", "variance"])
    means.insert(0, "group", pd.Categorical(levels, categories=levels, ordered=True))
    means.insert(1, "n_subjects", np.bincount(group))
    means.insert(2, "n_events", np.bincount(group[event], minlength=len(levels)))
    return means


def _contrasts(means: pd.DataFrame, horizon: float, conf_level: float) -> pd.DataFrame:
    """Compare each group with the first."""
    z = float(stats.norm.ppf((1 + conf_level) / 2))
    names = [str(group) for group in means["group"]]
    mean, variance = means["mean"].to_numpy(), means["variance"].to_numpy()
    rows = [
        _row("mean", name, m, np.sqrt(v), z=z, at=None)
        for name, m, v in zip(names, mean, variance, strict=True)
    ]
    for j in range(1, len(names)):
        term = f"{names[j]} - {names[0]}"
        error = float(np.sqrt(variance[j] + variance[0]))
        rows.append(_row("difference", term, mean[j] - mean[0], error, z=z))
    for quantity, value in (("ratio", mean), ("ratio_lost", horizon - mean)):
        for j in range(1, len(names)):
            term = f"{names[j]} / {names[0]}"
            rows.append(_ratio_row(quantity, term, value[[j, 0]], variance[[j, 0]], z))
    columns = ["quantity", "term", "estimate", "std_error", "statistic", "p_value"]
    return pd.DataFrame(rows, columns=[*columns, "conf_low", "conf_high"])


def _row(
    quantity: str,
    term: str,
    estimate: float,
    error: float,
    *,
    z: float,
    at: float | None = 0.0,
) -> tuple[object, ...]:
    """Return one estimate with its Wald test against `at`; means are not tested."""
    statistic = (estimate - at) / error if at is not None and error > 0 else np.nan
    p_value = 2 * stats.norm.sf(abs(statistic))
    low, high = estimate - z * error, estimate + z * error
    return quantity, term, estimate, error, statistic, p_value, low, high


def _ratio_row(
    quantity: str, term: str, value: np.ndarray, variance: np.ndarray, z: float
) -> tuple[object, ...]:
    """Return a ratio, tested and with an interval on the log scale."""
    if (value <= _NO_TIME * np.abs(value).max()).any():  # 0, but for rounding
        return quantity, term, *([np.nan] * 6)
    log = float(np.log(value[0] / value[1]))
    error = float(np.sqrt(np.sum(variance / value**2)))
    _, _, _, _, statistic, p_value, low, high = _row(quantity, term, log, error, z=z)
    ratio = float(np.exp(log))
    return quantity, term, ratio, ratio * error, statistic, p_value, np.exp(low), np.exp(high)
