"""What an accelerated failure time model answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.formulas.formula import DesignSpec
from pmsstats.models.parametric.error_laws import ErrorLaw
from pmsstats.models.parametric.linear_transformation import (
    TransformationFit,
    TransformationModel,
    estimates_table,
    survival_frame,
    with_ratios,
)
from pmsstats.models.parametric.prediction_rows import check_probabilities, check_times, new_columns
from pmsstats.results import Exclusion, FitLog, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.parametric.aft import AFTSpec
    from pmsstats.provenance import Origin

__all__ = ["AFTResult"]

_WORDS = {
    "weibull": "Weibull",
    "exponential": "Exponential",
    "lognormal": "Log-normal",
    "loglogistic": "Log-logistic",
}
_PROPORTIONAL = ("weibull", "exponential")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class AFTResult(Result):
    """A fitted accelerated failure time model.

    Parameters
    ----------
    spec : AFTSpec
        The request.
    fit_log : FitLog
        What the ascent did.
    working : ndarray, shape (n_terms + 2,)
        ``(1, intercept, beta) / scale``, in which the likelihood was maximised.
    working_covariance : ndarray, shape (n_terms + 2, n_terms + 2)
        Of these; robust where a cluster was given.
    terms : tuple of str
        Covariate columns.
    design : DesignSpec
        Makes them from other data.
    law : ErrorLaw
        Of the standardised log time.
    longest : float
        End of the longest follow-up, in the unit of the data.
    n_subjects, n_events : int
        Subjects; those whose event was seen, exactly or in an interval.
    log_likelihood : float
        Of the times (not of their logarithms), as R's survreg gives it for exact times.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: AFTSpec
    fit_log: FitLog
    working: np.ndarray
    working_covariance: np.ndarray
    terms: tuple[str, ...]
    design: DesignSpec
    law: ErrorLaw
    longest: float
    n_subjects: int
    n_events: int
    log_likelihood: float
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the first time ratio, on whom, and whether the fit converged.

        Returns
        -------
        str
            One sentence.
        """
        who = f"{self.n_subjects} subjects with {self.n_events} events"
        doubt = "" if self.fit_log.converged else " The fit did NOT converge."
        level = f"{100 * self.spec.conf_level:g} % CI"
        if not self.terms:
            median = self.quantiles().iloc[0]
            found = f"median time {_with_interval(median, 'duration', level)}"
        else:
            first = self.table().iloc[0]
            ratio = first[["time_ratio", "time_ratio_low", "time_ratio_high"]].rename(
                {"time_ratio_low": "conf_low", "time_ratio_high": "conf_high"}
            )
            found = f"time ratio of {first['term']} {_with_interval(ratio, 'time_ratio', level)}"
        return f"{_WORDS[self.spec.distribution]} model of {who}: {found}.{doubt}"

    def table(self) -> pd.DataFrame:
        """Return the estimates: covariates, then the intercept and the log scale.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error statistic p_value conf_low conf_high time_ratio
            time_ratio_low time_ratio_high``. The estimate of a covariate is a log time ratio;
            of the last two rows the ratios are missing.
        """
        estimate, covariance = self.estimates()
        names = (*self.terms, "Intercept", "log(scale)")
        frame = estimates_table(names, estimate, np.diag(covariance), self.spec.conf_level)
        frame = with_ratios(frame, "time_ratio")
        frame.loc[len(self.terms) :, [c for c in frame if c.startswith("time_ratio")]] = np.nan
        return frame

    def estimates(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (beta, intercept, log scale) and their covariance, by the delta method.

        Returns
        -------
        estimate : ndarray, shape (n_terms + 2,)
            In the order of :meth:`table`.
        covariance : ndarray, shape (n_terms + 2, n_terms + 2)
            Zero for a scale that is fixed.
        """
        shape, rest = self.working[0], self.working[1:]
        m = len(self.working)
        ratio = rest / shape
        jacobian = np.zeros((m, m))
        jacobian[:-1, 0] = -ratio / shape
        jacobian[:-1, 1:] = np.eye(m - 1) / shape
        jacobian[-1, 0] = -1 / shape
        order = np.array([*range(1, m - 1), 0, m - 1])
        estimate = np.append(ratio, -np.log(shape))[order]
        jacobian = jacobian[order]
        return estimate, jacobian @ self.working_covariance @ jacobian.T

    def hazard_ratios(self) -> pd.DataFrame:
        """Return the hazard ratios of a Weibull or exponential model.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error statistic p_value conf_low conf_high hazard_ratio
            hazard_ratio_low hazard_ratio_high``; the estimate is a log hazard ratio.

        Raises
        ------
        DesignError
            If hazards are not proportional under the distribution.
        """
        if self.spec.distribution not in _PROPORTIONAL:
            raise DesignError(
                f"Hazards are not proportional in a {self.spec.distribution} model: it has no "
                "hazard ratio. Use the time ratios of table(), or distribution='weibull'."
            )
        variance = np.diag(self.working_covariance)[2:]
        frame = estimates_table(self.terms, -self.working[2:], variance, self.spec.conf_level)
        return with_ratios(frame, "hazard_ratio")

    def quantiles(
        self, data: pd.DataFrame | None = None, probabilities: Sequence[float] = (0.5,)
    ) -> pd.DataFrame:
        """Estimate the times by which given shares of subjects have the event.

        Parameters
        ----------
        data : pandas.DataFrame, optional
            Rows of covariates; needed where the model has any.
        probabilities : sequence of float, default (0.5,)
            Shares between 0 and 1; 0.5 is the median time.

        Returns
        -------
        pandas.DataFrame
            ``row probability duration std_error_log conf_low conf_high``; intervals are symmetric
            on the logarithm of time.
        """
        X = new_columns(self.design, self.terms, data)
        shares = check_probabilities(probabilities)
        row = np.repeat(np.arange(len(X)), len(shares))
        share = np.tile(shares, len(X))
        level = np.column_stack([np.ones(len(row)), X[row]])
        shape = self.working[0]
        log_time = (self.law.quantile(1 - share) + level @ self.working[1:]) / shape
        gradient = np.column_stack([-log_time, level]) / shape
        error = np.sqrt(np.einsum("ij,jk,ik->i", gradient, self.working_covariance, gradient))
        half = stats.norm.ppf((1 + self.spec.conf_level) / 2) * error
        return pd.DataFrame(
            {
                "row": row, "probability": share, "duration": np.exp(log_time),
                "std_error_log": error, "conf_low": np.exp(log_time - half),
                "conf_high": np.exp(log_time + half),
            }
        )  # fmt: skip

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
        X = new_columns(self.design, self.terms, data)
        at = check_times(times, self.longest)
        fit = TransformationFit(
            theta=self.working,
            covariance=self.working_covariance,
            log_likelihood=self.log_likelihood,
            fit_log=self.fit_log,
        )
        return survival_frame(fit, self._model(), X, at, self.spec.conf_level)

    def _model(self) -> TransformationModel:
        """Return the model in the units of the data."""

        def point(time: np.ndarray, X: np.ndarray) -> np.ndarray:
            return np.column_stack([np.log(time), -np.ones(len(time)), -X])

        return TransformationModel(
            law=self.law, point=point, slope=point, start=self.working,
            fixed=np.zeros(len(self.working), dtype=bool), names=self.terms,
            is_effect=np.ones(len(self.working), dtype=bool),
        )  # fmt: skip

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the time ratios with their intervals; the survival curve where there are none.

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

        if not self.terms:
            curve = self.predict_survival().assign(group="all", n=self.n_subjects)
            options = {"origin": self.origin, "x_label": "Time from baseline (unit of the data)"}
            return plot_survival(curve, ax=ax, **(options | kws))
        frame = self.table().iloc[: len(self.terms)]
        shown = pd.DataFrame(
            {"label": frame["term"], "estimate": frame["time_ratio"],
             "conf_low": frame["time_ratio_low"], "conf_high": frame["time_ratio_high"]}
        )  # fmt: skip
        options = {
            "reference": 1.0,
            "log": True,
            "x_label": f"Time ratio ({100 * self.spec.conf_level:g} % CI)",
            "origin": self.origin,
        }
        return plot_forest(shown, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields and the estimates.
        """
        return {
            "schema": "aft_result/1",
            "spec": to_plain(self.spec),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "log_likelihood": self.log_likelihood,
            "coefficients": to_plain(self.table()),
            "covariance": to_plain(self.estimates()[1]),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def _with_interval(row: pd.Series, column: str, level: str) -> str:
    """Show an estimate and its interval."""
    value, low, high = (format_number(row[c], 3) for c in (column, "conf_low", "conf_high"))
    return f"{value} ({level} {low} to {high})"
