"""What survival models answer: frozen results of Cox models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError
from pmsstats.models.events.cox_diagnostics import (
    TimeTransform,
    baseline_hazard,
    concordance,
    martingale_residuals,
    proportional_hazards_test,
)
from pmsstats.models.events.cox_prediction import cox_survival
from pmsstats.models.events.partial_likelihood import CountingProcess, EfronTerms, efron_terms
from pmsstats.models.events.rows import require_columns
from pmsstats.models.events.survival_data import stratum_labels
from pmsstats.models.parametric.prediction_rows import check_times, new_columns
from pmsstats.results import (
    Exclusion,
    FitLog,
    Result,
    format_number,
    to_plain,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.events.survival_specs import CoxSpec
    from pmsstats.models.formulas.formula import DesignSpec
    from pmsstats.provenance import Origin

__all__ = ["CoxResult"]


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
    design : DesignSpec
        Makes the covariate columns from other data.
    row : ndarray of int, shape (n_obs,)
        Where each row analysed stands in the data.
    strata : tuple of str
        Labels of the strata codes in `process`.
    cluster : ndarray of int, shape (n_obs,), or None
        Cluster codes of the rows.
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
    design: DesignSpec
    row: np.ndarray
    strata: tuple[str, ...] = ("",)
    cluster: np.ndarray | None = None
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

    def predict_survival(
        self, data: pd.DataFrame, times: Sequence[float] | None = None
    ) -> pd.DataFrame:
        """Estimate the probability of no event until some times, for given covariates.

        Parameters
        ----------
        data : pandas.DataFrame
            Rows of covariates, taken to stay the same; with the strata columns, where the model
            has strata.
        times : sequence of float, optional
            In the unit of the data; 101 from 0 to the end of follow-up by default. With delayed
            entry survival is conditional on being free of the event at the first entry.

        Returns
        -------
        pandas.DataFrame
            ``row duration survival conf_low conf_high``. Missing beyond the follow-up of the
            stratum; intervals are symmetric for log(-log S), and take the covariance of the log
            hazard ratios from the table (the robust one, with a cluster).

        Raises
        ------
        DesignError
            If a covariate or stratum is missing or unknown, or a time is negative.

        Notes
        -----
        R: ``survfit(fit, newdata, conf.type = "log-log")``. The cumulative hazard is Breslow's
        with Efron's ties; its variance is that of Tsiatis [1]_.

        References
        ----------
        .. [1] Tsiatis AA. A large sample study of Cox's regression model. Ann Stat 1981;9:93-108.
           doi:10.1214/aos/1176345335
        """
        X = new_columns(self.design, tuple(self.coefficients["term"]), data)
        stratum = self._stratum_of(data)
        at = check_times(times, float(self.process.stop.max()))
        return cox_survival(
            self.process, self._terms(), self.covariance, X=X, stratum=stratum, at=at,
            conf_level=self.spec.conf_level,
        )  # fmt: skip

    def _stratum_of(self, data: pd.DataFrame) -> np.ndarray:
        """Return the strata codes of new rows."""
        columns = self.spec.strata_columns()
        require_columns(data, [("strata", column) for column in columns])
        labels = stratum_labels(data, columns) if columns else ("",) * len(data)
        unknown = [label for label in labels if label not in self.strata]
        if unknown:
            raise DesignError(
                f"The stratum {unknown[0]!r} was not in the data of the model, which has: "
                f"{', '.join(self.strata[:8])}{', ...' if len(self.strata) > 8 else ''}."
            )
        return np.array([self.strata.index(label) for label in labels], dtype=int)

    def residuals(self) -> pd.DataFrame:
        """Return martingale and deviance residuals of each row analysed.

        Returns
        -------
        pandas.DataFrame
            ``row duration event martingale deviance``; `row` is the position in the data.
            Martingale residuals are observed less expected events: plotted against a covariate
            they show its shape. Deviance residuals are the same made more symmetric.

        Notes
        -----
        R: ``residuals(fit, "martingale")``, ``"deviance"`` [1]_; sum over the rows of a subject
        where it has several.

        References
        ----------
        .. [1] Therneau TM, Grambsch PM, Fleming TR. Martingale-based residuals for survival
           models. Biometrika 1990;77:147-160. doi:10.1093/biomet/77.1.147
        """
        martingale = martingale_residuals(self.process, self._terms())
        event = self.process.event
        expected = np.where(event, 1.0 - martingale, 1.0)
        deviance = np.sign(martingale) * np.sqrt(
            np.maximum(-2.0 * (martingale + event * np.log(expected)), 0.0)
        )
        return pd.DataFrame(
            {
                "row": self.row,
                "duration": self.process.stop,
                "event": event,
                "martingale": martingale,
                "deviance": deviance,
            }
        )

    def _terms(self) -> EfronTerms:
        """Evaluate the partial likelihood at the estimate."""
        return efron_terms(self.process, self.coefficients["estimate"].to_numpy())
