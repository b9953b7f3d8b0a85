"""What a flexible parametric survival model answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.formulas.formula import DesignSpec
from pmsstats.models.parametric.linear_transformation import (
    TransformationFit,
    TransformationModel,
    estimates_table,
    survival_frame,
    with_ratios,
)
from pmsstats.models.parametric.prediction_rows import check_times, new_columns
from pmsstats.results import Exclusion, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.parametric.flexible import FlexibleSpec
    from pmsstats.provenance import Origin

__all__ = ["FlexibleResult"]

_RATIOS = {"hazard": "hazard_ratio", "odds": "odds_ratio"}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FlexibleResult(Result):
    """A fitted flexible parametric survival model.

    Parameters
    ----------
    spec : FlexibleSpec
        The request.
    fit : TransformationFit
        Parameters of the standardised design: spline columns, covariates, changes with time.
    model : TransformationModel
        Makes that design.
    centre, scale : ndarray, shape (n_terms,)
        Mean and standard deviation of the covariate columns.
    knots : tuple of float
        In the unit of the data, boundary knots first and last.
    terms : tuple of str
        Covariate columns.
    varying : tuple of int
        Positions of those whose effect changes with time.
    design : DesignSpec
        Makes them from other data.
    longest : float
        End of the longest follow-up.
    n_subjects, n_events : int
        Subjects; those whose event was seen, exactly or in an interval.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: FlexibleSpec
    fit: TransformationFit
    model: TransformationModel
    centre: np.ndarray
    scale: np.ndarray
    knots: tuple[float, ...]
    terms: tuple[str, ...]
    varying: tuple[int, ...]
    design: DesignSpec
    longest: float
    n_subjects: int
    n_events: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the first effect, on whom, and whether the fit converged.

        Returns
        -------
        str
            One sentence.
        """
        who = f"{self.n_subjects} subjects with {self.n_events} events"
        doubt = "" if self.fit.fit_log.converged else " The fit did NOT converge."
        start = f"Flexible {self.spec.scale} model ({self.spec.df} df) of {who}"
        table = self.table()
        if not self.terms:
            last = self.predict_survival(times=[self.longest]).iloc[0]
            shown = [format_number(last[c], 3) for c in ("survival", "conf_low", "conf_high")]
            found = f"survival at {format_number(self.longest, 3)}"
            return f"{start}: {found} {self._interval(shown)}.{doubt}"
        if not len(table):
            changing = ", ".join(self.terms[j] for j in self.varying)
            return f"{start}: the effect of {changing} changes with time.{doubt}"
        first = table.iloc[0]
        name = _RATIOS.get(self.spec.scale)
        columns = (name, f"{name}_low", f"{name}_high") if name else (
            "estimate", "conf_low", "conf_high")  # fmt: skip
        words = name.replace("_", " ") if name else "probit shift"
        shown = [format_number(first[c], 3) for c in columns]
        return f"{start}: {words} of {first['term']} {self._interval(shown)}.{doubt}"

    def _interval(self, shown: Sequence[str]) -> str:
        """Write an estimate with its interval."""
        return f"{shown[0]} ({100 * self.spec.conf_level:g} % CI {shown[1]} to {shown[2]})"

    @property
    def fit_log(self) -> Any:
        """Return what the ascent did."""
        return self.fit.fit_log

    @property
    def log_likelihood(self) -> float:
        """Return the log-likelihood of the times."""
        return self.fit.log_likelihood

    def table(self) -> pd.DataFrame:
        """Return the effects that hold at all times.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error statistic p_value conf_low conf_high`` and, on the hazard
            (odds) scale, ``hazard_ratio`` (``odds_ratio``) with ``_low`` and ``_high``. Effects
            that change with time are given by :meth:`hazard_ratio` instead.
        """
        first = self.spec.df + 1
        constant = [j for j in range(len(self.terms)) if j not in self.varying]
        at = [first + j for j in constant]
        scale = self.scale[constant]
        frame = estimates_table(
            tuple(self.terms[j] for j in constant),
            self.fit.theta[at] / scale,
            np.diag(self.fit.covariance)[at] / scale**2,
            self.spec.conf_level,
        )
        name = _RATIOS.get(self.spec.scale)
        return with_ratios(frame, name) if name else frame

    def predict_survival(
        self, data: pd.DataFrame | None = None, times: Sequence[float] | None = None
    ) -> pd.DataFrame:
        """Estimate the probability of no event until some times.

        Parameters
        ----------
        data : pandas.DataFrame, optional
            Rows of covariates; needed where the model has any.
        times : sequence of float, optional
            In the unit of the data; 101 from 0 to the end of follow-up by default.

        Returns
        -------
        pandas.DataFrame
            ``row duration survival conf_low conf_high``.
        """
        return survival_frame(
            self.fit, self.model, self._standard(data), check_times(times, self.longest),
            self.spec.conf_level,
        )  # fmt: skip

    def hazards(
        self, data: pd.DataFrame | None = None, times: Sequence[float] | None = None
    ) -> pd.DataFrame:
        """Estimate the hazard at some times.

        Parameters
        ----------
        data : pandas.DataFrame, optional
            Rows of covariates; needed where the model has any.
        times : sequence of float, optional
            Above 0, in the unit of the data; 100 up to the end of follow-up by default.

        Returns
        -------
        pandas.DataFrame
            ``row duration hazard conf_low conf_high``, per unit of time; intervals are symmetric
            on the log scale.
        """
        X = self._standard(data)
        at = _positive(check_times(times, self.longest))
        row, when = np.repeat(np.arange(len(X)), len(at)), np.tile(at, len(X))
        value, gradient = self._log_hazard(when, X[row])
        low, high = self._limits(value, gradient)
        return pd.DataFrame(
            {"row": row, "duration": when, "hazard": np.exp(value),
             "conf_low": np.exp(low), "conf_high": np.exp(high)}
        )  # fmt: skip

    def hazard_ratio(
        self, data: pd.DataFrame, reference: pd.DataFrame, times: Sequence[float] | None = None
    ) -> pd.DataFrame:
        """Estimate how many times the hazard of one kind of subject is that of another, over time.

        Parameters
        ----------
        data, reference : pandas.DataFrame
            One row of covariates each.
        times : sequence of float, optional
            Above 0, in the unit of the data; 100 up to the end of follow-up by default.

        Returns
        -------
        pandas.DataFrame
            ``duration hazard_ratio conf_low conf_high``.

        Raises
        ------
        DesignError
            If either holds more or fewer rows than one.
        """
        if len(data) != 1 or len(reference) != 1:
            raise DesignError(
                f"`data` and `reference` must have one row each, got {len(data)} and "
                f"{len(reference)}."
            )
        at = _positive(check_times(times, self.longest))
        pairs = [self._standard(frame).repeat(len(at), axis=0) for frame in (data, reference)]
        (a, gradient_a), (b, gradient_b) = (self._log_hazard(at, X) for X in pairs)
        low, high = self._limits(a - b, gradient_a - gradient_b)
        return pd.DataFrame(
            {"duration": at, "hazard_ratio": np.exp(a - b), "conf_low": np.exp(low),
             "conf_high": np.exp(high)}
        )  # fmt: skip

    def _log_hazard(self, time: np.ndarray, X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the log hazard and its derivative with respect to the parameters."""
        point, slope = self.model.point(time, X), self.model.slope(time, X)
        z, pace = point @ self.fit.theta, slope @ self.fit.theta
        law = self.model.law
        with np.errstate(all="ignore"):
            value = law.log_density(z) - law.log_survival(z) + np.log(pace) - np.log(time)
            by_z = law.density_slopes(z)[0] - law.survival_slopes(z)[0]
            return value, by_z[:, None] * point + slope / pace[:, None]

    def _limits(self, value: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the limits of values by the delta method."""
        variance = np.einsum("ij,jk,ik->i", gradient, self.fit.covariance, gradient)
        half = stats.norm.ppf((1 + self.spec.conf_level) / 2) * np.sqrt(np.maximum(variance, 0.0))
        return value - half, value + half

    def _standard(self, data: pd.DataFrame | None) -> np.ndarray:
        """Return standardised covariate columns of new rows."""
        return (new_columns(self.design, self.terms, data) - self.centre) / self.scale

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the effects with their intervals; the survival curve where there are none.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_forest` (or ``plot_survival``).

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots import plot_forest, plot_survival

        table = self.table()
        if not self.terms:
            curve = self.predict_survival().assign(group="all", n=self.n_subjects)
            options = {"origin": self.origin, "x_label": "Time from baseline (unit of the data)"}
            return plot_survival(curve, ax=ax, **(options | kws))
        name = _RATIOS.get(self.spec.scale)
        ends = (name, f"{name}_low", f"{name}_high") if name else (
            "estimate", "conf_low", "conf_high")  # fmt: skip
        shown = table[["term", *ends]].set_axis(
            ["label", "estimate", "conf_low", "conf_high"], axis=1
        )
        words = name.replace("_", " ").capitalize() if name else "Probit shift"
        options = {
            "reference": 1.0 if name else 0.0,
            "log": bool(name),
            "x_label": f"{words} ({100 * self.spec.conf_level:g} % CI)",
            "origin": self.origin,
        }
        return plot_forest(shown, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields, the effects and the parameters of the standardised design.
        """
        return {
            "schema": "flexible_result/1",
            "spec": to_plain(self.spec),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "log_likelihood": self.log_likelihood,
            "knots": to_plain(self.knots),
            "coefficients": to_plain(self.table()),
            "parameters": dict(zip(self.model.names, to_plain(self.fit.theta), strict=True)),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def _positive(times: np.ndarray) -> np.ndarray:
    """Leave time 0 out, where a hazard may be infinite."""
    positive = times[times > 0]
    if not len(positive):
        raise DesignError("`times` must hold a time above 0: at 0 a hazard may be infinite.")
    return positive
