"""What survival models answer: frozen results of Cox models and Kaplan-Meier curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.models.events.cox_diagnostics import (
    TimeTransform,
    baseline_hazard,
    concordance,
    proportional_hazards_test,
)
from pmsstats.models.events.partial_likelihood import CountingProcess, EfronTerms, efron_terms
from pmsstats.results import (
    Exclusion,
    FitLog,
    Result,
    format_number,
    format_p_value,
    to_plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.events.survival_specs import CoxSpec, KMSpec
    from pmsstats.provenance import Origin

__all__ = ["CoxResult", "KMResult", "LogRankTest"]

_DAYS_PER_YEAR = 365.25
_YEAR_STEPS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0)
_MAX_TICKS = 7
_EXACT = 1e-9  # a curve that comes this close to one half has reached it


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class CoxResult(Result):
    """A fitted Cox model.

    Parameters
    ----------
    spec : CoxSpec
        The request.
    fit_log : FitLog
        What the engine did.
    coefficients : pandas.DataFrame
        ``term estimate std_error statistic p_value conf_low conf_high hazard_ratio
        hazard_ratio_low hazard_ratio_high``; estimates are log hazard ratios, so that above 0
        (hazard ratio above 1) more of the covariate goes with earlier events.
    covariance : ndarray, shape (n_terms, n_terms)
        Of the log hazard ratios; the robust one where a cluster was given.
    model_covariance : ndarray, shape (n_terms, n_terms)
        Inverse information.
    n_subjects, n_obs, n_events : int
        Subjects, rows at risk, events.
    log_likelihood, log_likelihood_null : float
        Efron's partial log-likelihood of the model, and of no covariate effect.
    process : CountingProcess
        The rows analysed, as arrays.
    strata : tuple of str
        Labels of the strata codes in `process`.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows left out.
    """

    spec: CoxSpec
    fit_log: FitLog
    coefficients: pd.DataFrame
    covariance: np.ndarray
    model_covariance: np.ndarray
    n_subjects: int
    n_obs: int
    n_events: int
    log_likelihood: float
    log_likelihood_null: float
    process: CountingProcess
    strata: tuple[str, ...] = ("",)
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the first hazard ratio, on whom, and whether the fit converged.

        Returns
        -------
        str
            One sentence.
        """
        first = self.coefficients.iloc[0]
        columns = ("hazard_ratio", "hazard_ratio_low", "hazard_ratio_high")
        ratio, low, high = (format_number(first[column], 3) for column in columns)
        level = f"{100 * self.spec.conf_level:g} %"
        doubt = "" if self.fit_log.converged else " The fit did NOT converge."
        return (
            f"Cox model of {self.n_subjects} subjects with {self.n_events} events: hazard ratio "
            f"of {first['term']} {ratio} ({level} CI {low} to {high}).{doubt}"
        )

    def table(self) -> pd.DataFrame:
        """Return the estimates (a copy).

        Returns
        -------
        pandas.DataFrame
            One row per term, columns as in `coefficients`.
        """
        return self.coefficients.copy()

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the hazard ratios with their intervals.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_forest`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots import plot_forest

        columns = {
            "term": "label",
            "hazard_ratio": "estimate",
            "hazard_ratio_low": "conf_low",
            "hazard_ratio_high": "conf_high",
        }
        frame = self.coefficients[list(columns)].rename(columns=columns)
        options = {
            "reference": 1.0,
            "log": True,
            "x_label": f"Hazard ratio ({100 * self.spec.conf_level:g} % CI)",
            "origin": self.origin,
        }
        return plot_forest(frame, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the rows analysed.

        Returns
        -------
        dict
            The fields, the concordance and the test of proportional hazards.
        """
        return {
            "schema": "cox_result/1",
            "spec": to_plain(self.spec),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "n_events": self.n_events,
            "log_likelihood": self.log_likelihood,
            "log_likelihood_null": self.log_likelihood_null,
            "concordance": to_plain(self.concordance()),
            "coefficients": to_plain(self.coefficients),
            "covariance": to_plain(self.covariance),
            "proportional_hazards": to_plain(self.check_proportional_hazards()),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def concordance(self) -> float:
        """Return Harrell's C: the share of comparable pairs that the model orders rightly.

        Returns
        -------
        float
            0.5 means no better than chance.
        """
        return concordance(self.process, self._terms())

    def likelihood_ratio_test(self) -> dict[str, float]:
        """Test all terms together.

        Returns
        -------
        dict
            Keys ``statistic df p_value``. Not valid for the robust errors of a cluster.
        """
        statistic = 2 * (self.log_likelihood - self.log_likelihood_null)
        df = len(self.coefficients)
        return {"statistic": statistic, "df": df, "p_value": float(stats.chi2.sf(statistic, df))}

    def check_proportional_hazards(self, transform: TimeTransform = "km") -> pd.DataFrame:
        """Test whether hazard ratios change over time, by Schoenfeld residuals.

        Parameters
        ----------
        transform : {"km", "rank", "log", "identity"}, default "km"
            Function of time that the log hazard ratio is tested to change with.

        Returns
        -------
        pandas.DataFrame
            ``term statistic df p_value``: one row per term, then ``"global"``.

        Notes
        -----
        This is the exact score test of an added interaction with time, as in R's ``cox.zph`` since
        survival 3.0, not the older approximation that assumes a constant variance of covariates.
        """
        test = proportional_hazards_test(self.process, self._terms(), transform)
        return pd.DataFrame(
            {
                "term": [*self.coefficients["term"], "global"],
                "statistic": test.statistic,
                "df": test.df,
                "p_value": test.p_value,
            }
        )

    def baseline(self) -> pd.DataFrame:
        """Return the baseline survival, at the mean of every covariate column.

        Returns
        -------
        pandas.DataFrame
            ``[stratum] duration n_events cumulative_hazard survival``, one row per event time;
            ``stratum`` only where the model has strata.
        """
        steps = baseline_hazard(self.process, self._terms())
        frame = pd.DataFrame(
            {
                "stratum": np.asarray(self.strata)[steps.stratum],
                "duration": steps.time,
                "n_events": steps.n_events,
                "cumulative_hazard": steps.increment,
            }
        )
        frame["cumulative_hazard"] = frame.groupby("stratum")["cumulative_hazard"].cumsum()
        frame["survival"] = np.exp(-frame["cumulative_hazard"])
        return frame if self.spec.strata_columns() else frame.drop(columns="stratum")

    def _terms(self) -> EfronTerms:
        """Evaluate the partial likelihood at the estimate."""
        return efron_terms(self.process, self.coefficients["estimate"].to_numpy())


@dataclass(frozen=True, kw_only=True)
class LogRankTest:
    """Comparison of survival curves.

    Parameters
    ----------
    statistic : float
        Chi-square.
    df : int
        Groups less one.
    p_value : float
        Upper tail.
    """

    statistic: float
    df: int
    p_value: float


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class KMResult(Result):
    """Kaplan-Meier curves by group.

    Parameters
    ----------
    spec : KMSpec
        The request.
    curve_frame : pandas.DataFrame
        ``group duration survival conf_low conf_high n_at_risk n_events n_censored``: a row at 0
        and one at each distinct duration of the group.
    follow_up : pandas.DataFrame
        ``duration event group``, one row per subject analysed.
    log_rank : LogRankTest, optional
        None with one group, or without events.
    n_subjects, n_events : int
        In all groups.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: KMSpec
    curve_frame: pd.DataFrame
    follow_up: pd.DataFrame
    log_rank: LogRankTest | None
    n_subjects: int
    n_events: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    def headline(self) -> str:
        """Say the medians by group, in years as in the figure, and whether the groups differ.

        Returns
        -------
        str
            One sentence; the medians of :meth:`table` stay in the unit of the data.
        """
        table = self.table()
        per_year = self._days_per_unit()
        shown = [
            f"{group} {format_number(median / per_year, 3)} years" if np.isfinite(median)
            else f"{group} not reached"
            for group, median in zip(table["group"], table["median"], strict=True)
        ]  # fmt: skip
        test = f"; log-rank p = {format_p_value(self.log_rank.p_value)}" if self.log_rank else ""
        return (
            f"{self.n_events} of {self.n_subjects} subjects had the event; median time to it: "
            f"{', '.join(shown)}{test.replace('= <', '< ')}."
        )

    def table(self) -> pd.DataFrame:
        """Return sizes and median time to event per group.

        Returns
        -------
        pandas.DataFrame
            ``group n_subjects n_events median conf_low conf_high``, times in the unit of the data;
            a median is missing where the curve (a limit, where its interval) stays above one half.

        Notes
        -----
        Where the curve is one half over a stretch, the median is the middle of that stretch. The
        interval holds the times at which the pointwise interval of the curve includes one half
        (Brookmeyer R, Crowley J. Biometrics 1982;38:29-41. doi:10.2307/2530286).
        """
        rows = []
        for group, curve in self.curve_frame.groupby("group", observed=True, sort=True):
            last = float(curve["duration"].iloc[-1])
            times = [
                _time_to_half(curve["duration"].to_numpy(), curve[column].to_numpy(), last)
                for column in ("survival", "conf_low", "conf_high")
            ]
            rows.append((str(group), int(curve["n_at_risk"].iloc[0]),
                         int(curve["n_events"].sum()), *times))  # fmt: skip
        columns = ["group", "n_subjects", "n_events", "median", "conf_low", "conf_high"]
        return pd.DataFrame(rows, columns=columns)

    def curves(self) -> pd.DataFrame:
        """Return the curves (a copy).

        Returns
        -------
        pandas.DataFrame
            ``group duration survival conf_low conf_high n_at_risk n_events n_censored``, durations
            in the unit of the data.
        """
        return self.curve_frame.copy()

    def at_risk(self, times: Sequence[float] | None = None) -> pd.DataFrame:
        """Count who is still followed without event just before given times.

        Parameters
        ----------
        times : sequence of float, optional
            In the unit of the data; round numbers of years by default.

        Returns
        -------
        pandas.DataFrame
            ``group duration n_at_risk``.
        """
        at = np.asarray(self._ticks() if times is None else times, dtype=float)
        parts = []
        for group, part in self.follow_up.groupby("group", observed=True, sort=True):
            ordered = np.sort(part["duration"].to_numpy())
            counts = len(ordered) - np.searchsorted(ordered, at, side="left")
            parts.append(pd.DataFrame({"group": group, "duration": at, "n_at_risk": counts}))
        counts_frame = pd.concat(parts, ignore_index=True)
        counts_frame["group"] = counts_frame["group"].astype(self.curve_frame["group"].dtype)
        return counts_frame

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the curves in years, with the numbers at risk under the axis.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.
        **kws
            Handed to :func:`pmsstats.plots.plot_survival`.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots import plot_survival

        n = self.table().set_index("group")["n_subjects"]
        curves = self.curves()
        curves["n"] = n.loc[curves["group"].astype(str)].to_numpy()
        at_risk = self.at_risk()
        for frame in (curves, at_risk):
            frame["duration"] /= self._days_per_unit()
        return plot_survival(curves, ax=ax, **({"at_risk": at_risk, "origin": self.origin} | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types.

        Returns
        -------
        dict
            The fields, medians and numbers at risk.
        """
        return {
            "schema": "km_result/1",
            "spec": to_plain(self.spec),
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "medians": to_plain(self.table()),
            "log_rank": to_plain(self.log_rank),
            "curves": to_plain(self.curve_frame),
            "at_risk": to_plain(self.at_risk()),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def _days_per_unit(self) -> float:
        """Return how many units of the data make a year."""
        return _DAYS_PER_YEAR if self.spec.duration_unit == "day" else 1.0

    def _ticks(self) -> np.ndarray:
        """Return round numbers of years up to the end of follow-up, in the unit of the data."""
        longest = float(self.follow_up["duration"].max()) / self._days_per_unit()
        step = next((s for s in _YEAR_STEPS if longest / s < _MAX_TICKS), longest / _MAX_TICKS)
        return np.arange(0.0, longest + 1e-9, step) * self._days_per_unit()


def _time_to_half(duration: np.ndarray, curve: np.ndarray, last: float) -> float:
    """Return when a falling step curve crosses one half; NaN where it does not."""
    at_most = np.flatnonzero(curve <= 0.5 + _EXACT)
    below = np.flatnonzero(curve < 0.5 - _EXACT)
    if not len(at_most):
        return float("nan")
    until = float(duration[below[0]]) if len(below) else last
    return (float(duration[at_most[0]]) + until) / 2
