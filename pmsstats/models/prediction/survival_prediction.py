"""What a dynamic prediction answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, first_ids
from pmsstats.models.prediction.weighted_quantiles import weighted_quantiles
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes

    from pmsstats.models.joint.data import JointData
    from pmsstats.models.joint.result import JointResult
    from pmsstats.models.prediction.joint_survival import PosteriorDraws
    from pmsstats.provenance import Origin

__all__ = ["SurvivalPredictionResult"]

_GRID = 60  # times at which a trajectory is drawn


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class SurvivalPredictionResult(Result):
    """Survival of subjects from a landmark on, given their history.

    Parameters
    ----------
    fit : JointResult
        The model that predicts.
    landmark : float
        Time up to which there was no event.
    horizons : tuple of float
        Times of prediction.
    frame : pandas.DataFrame
        The subject's id, then ``landmark horizon model survival [conf_low conf_high]``.
    history : JointData
        The subjects, and what was measured of them by the landmark.
    effects : ndarray, shape (n_subjects, q)
        Posterior means of the random effects, on the scale of the fit.
    draws : PosteriorDraws, optional
        Behind the intervals.
    conf_level : float
        Of the intervals.
    origin : {"real", "synthetic"}
        Where the data of the fit come from.
    exclusions : tuple of Exclusion
        Measurements that were not used, and subjects that were not predicted.
    """

    fit: JointResult
    landmark: float
    horizons: tuple[float, ...]
    frame: pd.DataFrame
    history: JointData
    effects: np.ndarray
    draws: PosteriorDraws | None
    conf_level: float = 0.95
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def n_subjects(self) -> int:
        """Return the number of subjects that were predicted."""
        return self.history.n_subjects

    def headline(self) -> str:
        """Say how predicted survival spreads over the subjects at the last horizon.

        Returns
        -------
        str
            One sentence.
        """
        last = self.frame[self.frame["horizon"] == self.horizons[-1]]["survival"]
        made = "synthetic " if self.origin == "synthetic" else ""
        doubt = "" if self.fit.fit_log.converged else "; the fit did NOT converge"
        if self.n_subjects == 1:
            row = self.frame.iloc[-1]
            limits = ""
            if self.draws is not None:
                low, high = (format_number(100 * row[c], 3) for c in ("conf_low", "conf_high"))
                limits = f" ({100 * self.conf_level:g} % interval {low} to {high})"
            return (
                f"Without event at {self.landmark:g}, this {made}subject is so at "
                f"{self.horizons[-1]:g} with a probability of "
                f"{format_number(100 * row['survival'], 3)} %{limits}{doubt}."
            )
        low, middle, high = (format_number(100 * q, 3) for q in last.quantile([0.1, 0.5, 0.9]))
        return (
            f"Of {self.n_subjects} {made}subjects without event at {self.landmark:g}, the median "
            f"probability of being so at {self.horizons[-1]:g} is {middle} % (one in ten below "
            f"{low} %, one in ten above {high} %){doubt}."
        )

    def table(self) -> pd.DataFrame:
        """Return the predictions (a copy).

        Returns
        -------
        pandas.DataFrame
            As `frame`.
        """
        return self.frame.copy()

    def trajectories(
        self, times: Sequence[float] | None = None, *, subject: object = None
    ) -> pd.DataFrame:
        """Predict the true values of the markers, and those of new measurements.

        Parameters
        ----------
        times : sequence of float, optional
            When; the landmark and the horizons by default.
        subject : object, optional
            The id of one subject; everyone by default.

        Returns
        -------
        pandas.DataFrame
            The subject's id, then ``marker year_or_time estimate [conf_low conf_high new_low
            new_high]`` with the name of the time column: the true value and its interval, and the
            interval of a measurement with its error. On the scale of the formula's outcome.

        Raises
        ------
        DesignError
            If the subject was not predicted, or a time is beyond the follow-up of the fit.
        """
        at = (
            np.unique([self.landmark, *self.horizons])
            if times is None
            else np.asarray(times, float)
        )
        if at.max() > self.fit.design.end * (1 + 1e-9):
            raise DesignError(
                f"`times` must not lie beyond the follow-up of the fit "
                f"({self.fit.design.end:g}), got {at.max():g}."
            )
        who = np.arange(self.n_subjects) if subject is None else self._position(subject)
        parts = [self._marker_frame(k, who, at) for k in range(len(self.fit.spec.markers))]
        return pd.concat(parts, ignore_index=True)

    def _position(self, subject: object) -> np.ndarray:
        """Find one subject."""
        ids = self.history.events.ids
        if subject not in ids:
            raise DesignError(
                f"`subject` {subject!r} was not predicted; there are {first_ids(ids)}."
            )
        return np.array([ids.index(subject)])

    def _marker_frame(self, k: int, who: np.ndarray, at: np.ndarray) -> pd.DataFrame:
        """Predict one marker at all times of some subjects."""
        fit = self.fit
        marker, natural = fit.design.markers[k], fit.design.scale.natural(fit.maximum.theta)
        rows = np.repeat(who, len(at))
        columns = marker.value(self.history.covariates, rows, np.tile(at, len(who)))
        fixed, random = self._places(k)
        to_natural = self._effects_scale(k)
        estimate = columns.fixed @ natural.beta[fixed]
        estimate += (columns.random * (self.effects[rows][:, random] @ to_natural.T)).sum(axis=1)
        frame = pd.DataFrame(
            {
                fit.spec.subject: np.array(self.history.events.ids, dtype=object)[rows],
                "marker": marker.name,
                fit.spec.time: np.tile(at, len(who)),
                "estimate": estimate,
            }
        )
        if self.draws is None:
            return frame
        drawn = [fit.design.scale.natural(theta) for theta in self.draws.theta]
        beta = np.array([parts.beta[fixed] for parts in drawn])
        sigma = np.array([parts.sigma[k] for parts in drawn])
        b = self.draws.effects[:, :, random] @ to_natural.T
        means = beta @ columns.fixed.T + np.einsum("mq,lmq->lm", columns.random, b[:, rows])
        weight = self.draws.weight[:, rows]
        tail = (1 - self.conf_level) / 2
        low, high = weighted_quantiles(means, weight, (tail, 1 - tail))
        new_low, new_high = _with_error(means, weight, sigma, (tail, 1 - tail))
        return frame.assign(conf_low=low, conf_high=high, new_low=new_low, new_high=new_high)

    def _places(self, k: int) -> tuple[slice, slice]:
        """Return where the fixed and the random effects of a marker stand."""
        made = []
        for names in (self.fit.design.fixed_names, self.fit.design.random_names):
            first = sum(len(part) for part in names[:k])
            made.append(slice(first, first + len(names[k])))
        return made[0], made[1]

    def _effects_scale(self, k: int) -> np.ndarray:
        """Return what turns random effects of the fit to units of the data."""
        scale = self.fit.design.scale.markers[k]
        return scale.spread * scale.random

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw one subject: measurements, trajectory up to the last horizon, survival.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            ``subject=`` (its id, the first by default) and ``marker=`` (its number, 0 by default);
            the rest is handed to :func:`pmsstats.plots.prediction_course.plot_prediction_course`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes of the marker; survival has an axis of its own on the right.
        """
        from pmsstats.plots.prediction_course import plot_prediction_course

        subject = kws.pop("subject", self.history.events.ids[0])
        k = kws.pop("marker", 0)
        position = self._position(subject)
        marker, time = self.fit.design.markers[k], self.fit.spec.time
        rows = self.history.rows[k][self.history.codes[k] == position[0]]
        first = min(0.0, *rows[time].tolist()) if len(rows) else 0.0
        grid = np.linspace(first, max(self.horizons[-1], self.landmark), _GRID)
        course = self.trajectories(np.union1d(grid, self.landmark), subject=subject)
        course = course[course["marker"] == marker.name].rename(columns={time: "time"})
        seen = pd.DataFrame(
            {"time": rows[time], "value": marker.outcome(rows) if len(rows) else []}
        )
        curve = self.frame[self.frame[self.fit.spec.subject] == subject].rename(
            columns={"horizon": "time"}
        )
        options = {
            "landmark": self.landmark,
            "x_label": time.capitalize(),
            "y_label": marker.name,
            "origin": self.origin,
        }
        return plot_prediction_course(seen, course, curve, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the draws.

        Returns
        -------
        dict
            The fields.
        """
        return {
            "schema": "survival_prediction_result/1",
            "headline": self.headline(),
            "model": self.fit.spec.formula(),
            "landmark": self.landmark,
            "horizons": list(self.horizons),
            "predictions": to_plain(self.frame),
            "n_subjects": self.n_subjects,
            "n_draws": 0 if self.draws is None else len(self.draws.theta),
            "conf_level": self.conf_level,
            "fit_log": to_plain(self.fit.fit_log),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def _with_error(
    means: np.ndarray, weight: np.ndarray, sigma: np.ndarray, levels: tuple[float, float]
) -> np.ndarray:
    """Return quantiles of draws with a normal error added, without drawing that error.

    Each draw is replaced by the middles of 21 slices of equal probability of its normal error.
    """
    from scipy import stats

    slices = 21
    offsets = stats.norm.ppf((np.arange(slices) + 0.5) / slices)
    spread = (means[:, None] + sigma[:, None, None] * offsets[:, None]).reshape(
        len(means) * slices, -1
    )
    return weighted_quantiles(spread, np.repeat(weight / slices, slices, axis=0), levels)
