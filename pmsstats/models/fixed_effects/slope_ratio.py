"""Ratios of slopes: by how much a treatment slows a change, with Fieller's confidence set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.fieller import FiellerSet, fieller_set
from pmsstats.models.fixed_effects.margins import slope_weights
from pmsstats.models.fixed_effects.slope_groups import reference_notes, time_column
from pmsstats.plots.forest import plot_forest
from pmsstats.results import Exclusion, FitLog, Result, format_interval, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.fixed_effects.fixed_result import FixedEffectsResult
    from pmsstats.models.mixed.lmm import LMMSpec
    from pmsstats.models.mixed.lmm_result import LMMResult

__all__ = ["SlowingResult", "estimate_ratio", "estimate_slowing"]


def estimate_ratio(
    fit: FixedEffectsResult,
    numerator: np.ndarray | Mapping[str, float],
    denominator: np.ndarray | Mapping[str, float],
) -> FiellerSet:
    """Estimate the ratio of two combinations of a model's fixed effects.

    Parameters
    ----------
    fit : FixedEffectsResult
        A fitted model.
    numerator, denominator : ndarray, shape (p,), or mapping of str to float
        Weights in the order of the coefficients, or ``{term: weight}``.

    Returns
    -------
    FiellerSet
        At the model's level of confidence.

    Raises
    ------
    DesignError
        If a term is unknown, or the shape does not fit.

    Notes
    -----
    The t quantile has the fit's degrees of freedom of ``numerator - ratio * denominator`` at the
    estimated ratio; where they differ between combinations, the set is approximate in that.
    """
    rows = np.vstack([_weights(fit, numerator), _weights(fit, denominator)])
    values = rows @ fit.coefficients["estimate"].to_numpy()
    covariance = rows @ fit.covariance @ rows.T
    df = None
    if np.isfinite(values).all() and values[1] != 0:
        found = fit.inference.df((rows[0] - values[0] / values[1] * rows[1])[None])
        df = None if found is None else float(found[0])
    return fieller_set(values, covariance, df=df, conf_level=fit.spec.conf_level)


def _weights(fit: FixedEffectsResult, wanted: np.ndarray | Mapping[str, float]) -> np.ndarray:
    """Put one combination into the order of the coefficients."""
    terms = fit.coefficients["term"].tolist()
    if isinstance(wanted, Mapping):
        for name in wanted:
            if name not in terms:
                raise DesignError(
                    f"The model has no term {name!r}.{nearest(str(name), terms)} It has: "
                    f"{', '.join(terms)}."
                )
        return np.array([float(wanted.get(term, 0.0)) for term in terms])
    weights = np.asarray(wanted, dtype=float)
    if weights.shape != (len(terms),):
        raise DesignError(
            f"A combination needs {len(terms)} weights, one for each of {', '.join(terms)}; got "
            f"shape {weights.shape}."
        )
    return weights


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SlowingResult(Result):
    """By how many percent a change is slower in each group than in the first.

    Parameters
    ----------
    spec : LMMSpec
        The model.
    by, time : str
        Group and time column.
    over : tuple of float, optional
        Times between which average slopes were taken.
    reference : str
        The group that the others are compared with.
    frame : pandas.DataFrame
        One row per other group: ``term estimate std_error [df] p_value conf_low conf_high shape
        gap_low gap_high``, in percent.
    sets : tuple of FiellerSet
        The same in words.
    label : str
        Of the outcome.
    n_subjects : int
        Subjects in the model.
    fit_log : FitLog
        Of the model.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        What the model left out.
    notes : tuple of str
        Those of the model, and one where the reference group is merely the first in the alphabet.
    """

    spec: LMMSpec
    by: str
    time: str
    over: tuple[float, float] | None
    reference: str
    frame: pd.DataFrame
    sets: tuple[FiellerSet, ...]
    label: str
    n_subjects: int
    fit_log: FitLog
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()
    notes: tuple[str, ...] = ()

    def headline(self) -> str:
        """Say by how much change is slower, and what the data leave open."""
        pairs = zip(self.frame["term"], self.sets, strict=True)
        told = "; ".join(self._tell(group, found) for group, found in pairs)
        log = "" if self.fit_log.converged else "; the fit did NOT converge"
        made = "synthetic " if self.origin == "synthetic" else ""
        whom = f"{self.n_subjects} {made}subjects"
        notes = "".join(f"; {note}" for note in self.notes)
        return (
            f"Change of {self.label}, compared with {self.reference}: {told} ({whom}{log}{notes})."
        )

    def _tell(self, group: str, found: FiellerSet) -> str:
        """Say it for one group."""
        if not math.isfinite(found.estimate):
            return f"in {group} it cannot be estimated"
        level = f"{100 * self.spec.conf_level:g} % CI"
        if found.shape != "bounded":
            size = format_number(found.estimate, 3)
            return (
                f"slowing in {group} cannot be told in percent, because the change of "
                f"{self.reference} is not clearly different from zero (estimate {size} %; {level} "
                f"by Fieller {found.words()})"
            )
        size, _, limits = format_interval(
            found.estimate, found.conf_low, found.conf_high
        ).partition(" ")
        return f"{size} % slower in {group} ({level} by Fieller {limits.strip('()')})"

    def table(self) -> pd.DataFrame:
        """Return one row per group but the first."""
        return self.frame.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the slowing of each group with its interval, cut by arrows where it has no end."""
        frame = self.frame.rename(columns={"term": "label"})
        x_label = f"{self.label}: slowing against {self.reference} (%)"
        return plot_forest(
            frame, ax=ax, **{"reference": 0.0, "x_label": x_label, "origin": self.origin, **kws}
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "slowing_result/1",
            "headline": self.headline(),
            "spec": to_plain(self.spec),
            "by": self.by,
            "time": self.time,
            "over": to_plain(self.over),
            "reference": self.reference,
            "slowing": to_plain(self.frame),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "label": self.label,
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
            "notes": list(self.notes),
        }


def estimate_slowing(
    fit: LMMResult,
    *,
    by: str,
    time: str | None = None,
    over: tuple[float, float] | None = None,
    reference: Any = None,
) -> SlowingResult:
    """Estimate by how many percent a change is slower in each group than in a reference group.

    Parameters
    ----------
    fit : LMMResult
        A fitted model in which the groups' slopes may differ.
    by : str
        Group column.
    time : str, optional
        Time column; by default ``year``, or else that of
        :func:`~pmsstats.models.fixed_effects.slope_groups.time_column`.
    over : tuple of float, optional
        Two times: compare the average slopes between them.
    reference : str, optional
        Group that the others are compared with; by default the first level of `by`.

    Returns
    -------
    SlowingResult
        With Fieller's confidence sets, and the delta method's standard error beside them.

    Raises
    ------
    DesignError
        If there are no two groups, the model gives them one slope, or change is not linear and
        `over` is absent.

    Notes
    -----
    ``100 * (1 - slope / slope of the reference)``, of the slopes that
    :func:`~pmsstats.models.fixed_effects.margins.estimate_slopes` gives. ``p_value`` is that of
    equal slopes: the same question as whether slowing is zero. A slowing above 100 % is a change of
    direction.
    """
    time = time_column(fit, time)
    labels, weights = slope_weights(fit, by=by, time=time, over=over, reference=reference)
    if len(labels) < 2 or np.allclose(weights, weights[0], equal_nan=True):
        raise DesignError(
            f"The model {fit.spec.formula()} gives all groups of {by!r} one slope over {time!r}, "
            f"so none is slower. Add the interaction {time} * {by}."
        )
    sets = tuple(estimate_ratio(fit, row, weights[0]).slowing() for row in weights[1:])
    tests = fit.estimate(labels[1:], weights[1:] - weights[0])
    return SlowingResult(
        spec=fit.spec,
        by=by,
        time=time,
        over=over,
        reference=labels[0],
        frame=_tabulate(labels[1:], sets, tests["p_value"].to_numpy()),
        sets=sets,
        label=fit.label,
        n_subjects=fit.n_subjects,
        fit_log=fit.fit_log,
        origin=fit.origin,
        exclusions=fit.exclusions,
        notes=(*fit.notes, *reference_notes(fit, by, labels, reference)),
    )


def _tabulate(
    labels: tuple[str, ...], sets: tuple[FiellerSet, ...], p_values: np.ndarray
) -> pd.DataFrame:
    """Tabulate confidence sets."""
    columns = ["estimate", "std_error", "df", "conf_low", "conf_high", "shape"]
    frame = pd.DataFrame(
        {name: [getattr(s, name) for s in sets] for name in [*columns, "gap_low", "gap_high"]}
    )
    frame.insert(0, "term", list(labels))
    frame.insert(4, "p_value", p_values)
    return frame.drop(columns="df") if frame["df"].isna().all() else frame
