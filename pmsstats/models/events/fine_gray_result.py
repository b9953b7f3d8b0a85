"""What a Fine-Gray model answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.models.events.subdistribution import (
    CompetingTimes,
    cumulative_incidence_influence,
    subdistribution_terms,
)
from pmsstats.models.formulas.formula import DesignSpec
from pmsstats.models.parametric.linear_transformation import estimates_table, with_ratios
from pmsstats.models.parametric.prediction_rows import check_times, new_columns
from pmsstats.results import Exclusion, FitLog, Result, format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.events.fine_gray import FineGraySpec
    from pmsstats.provenance import Origin

__all__ = ["FineGrayResult"]

_RATIO = "subdistribution_hazard_ratio"


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FineGrayResult(Result):
    """A fitted Fine-Gray model.

    Parameters
    ----------
    spec : FineGraySpec
        The request.
    fit_log : FitLog
        What the ascent did.
    beta : ndarray, shape (n_terms,)
        Log subdistribution hazard ratios.
    influence : ndarray, shape (n_subjects, n_terms)
        Of each subject on `beta`; its cross-product is the robust covariance.
    times : CompetingTimes
        The subjects analysed, by time, with centred covariates.
    centre : ndarray, shape (n_terms,)
        Mean of the covariate columns.
    terms : tuple of str
        Covariate columns.
    design : DesignSpec
        Makes them from other data.
    n_subjects, n_events, n_competing : int
        Subjects; those with the event of interest, and with another one.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Subjects left out.
    """

    spec: FineGraySpec
    fit_log: FitLog
    beta: np.ndarray
    influence: np.ndarray
    times: CompetingTimes
    centre: np.ndarray
    terms: tuple[str, ...]
    design: DesignSpec
    n_subjects: int
    n_events: int
    n_competing: int
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def covariance(self) -> np.ndarray:
        """Return the robust covariance of the log subdistribution hazard ratios."""
        return self.influence.T @ self.influence

    def headline(self) -> str:
        """Say the first ratio, on whom, and whether the fit converged.

        Returns
        -------
        str
            One sentence.
        """
        first = self.table().iloc[0]
        shown = [format_number(first[f"{_RATIO}{end}"], 3) for end in ("", "_low", "_high")]
        doubt = "" if self.fit_log.converged else " The fit did NOT converge."
        return (
            f"Fine-Gray model of {self.spec.of} in {self.n_subjects} subjects with "
            f"{self.n_events} events and {self.n_competing} competing events: subdistribution "
            f"hazard ratio of {first['term']} {shown[0]} ({100 * self.spec.conf_level:g} % CI "
            f"{shown[1]} to {shown[2]}).{doubt}"
        )

    def table(self) -> pd.DataFrame:
        """Return the estimates.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error statistic p_value conf_low conf_high
            subdistribution_hazard_ratio`` with ``_low`` and ``_high``; errors are robust.
        """
        frame = estimates_table(
            self.terms, self.beta, np.diag(self.covariance), self.spec.conf_level
        )
        return with_ratios(frame, _RATIO)

    def predict_incidence(
        self, data: pd.DataFrame, times: Sequence[float] | None = None
    ) -> pd.DataFrame:
        """Estimate the probability that the event has happened by some times.

        Parameters
        ----------
        data : pandas.DataFrame
            Rows of covariates.
        times : sequence of float, optional
            In the unit of the data; 101 from 0 to the end of follow-up by default.

        Returns
        -------
        pandas.DataFrame
            ``row duration incidence conf_low conf_high``. Intervals are symmetric for
            log(-log(1 - incidence)), and missing before the first event.
        """
        X = new_columns(self.design, self.terms, data) - self.centre
        at = check_times(times, float(self.times.time[-1]))
        terms = subdistribution_terms(self.times, self.beta)
        steps = np.concatenate([[0.0], np.cumsum(terms.increments)])
        total = steps[np.searchsorted(terms.at, at, side="right")]
        started = total > 0
        quantile = stats.norm.ppf((1 + self.spec.conf_level) / 2)
        parts = []
        for row, x in enumerate(X):
            error = np.full(len(at), np.nan)
            influence = cumulative_incidence_influence(
                self.times, terms, self.influence, x, at[started]
            )
            error[started] = np.sqrt((influence**2).sum(axis=0))
            hazard = total * np.exp(x @ self.beta)
            low, high = hazard * np.exp(-quantile * error), hazard * np.exp(quantile * error)
            parts.append(
                pd.DataFrame(
                    {"row": row, "duration": at, "incidence": -np.expm1(-hazard),
                     "conf_low": -np.expm1(-low), "conf_high": -np.expm1(-high)}
                )
            )  # fmt: skip
        return pd.concat(parts, ignore_index=True)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the ratios with their intervals.

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

        columns = ["term", _RATIO, f"{_RATIO}_low", f"{_RATIO}_high"]
        shown = self.table()[columns].set_axis(
            ["label", "estimate", "conf_low", "conf_high"], axis=1
        )
        options = {
            "reference": 1.0,
            "log": True,
            "x_label": f"Subdistribution hazard ratio ({100 * self.spec.conf_level:g} % CI)",
            "origin": self.origin,
        }
        return plot_forest(shown, ax=ax, **(options | kws))

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the rows analysed.

        Returns
        -------
        dict
            The fields and the estimates.
        """
        return {
            "schema": "fine_gray_result/1",
            "spec": to_plain(self.spec),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_events": self.n_events,
            "n_competing": self.n_competing,
            "coefficients": to_plain(self.table()),
            "covariance": to_plain(self.covariance),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
