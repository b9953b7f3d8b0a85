"""What a joint model answers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from pmsstats.errors import DesignError, nearest
from pmsstats.models.joint.estimates import association_frame
from pmsstats.models.joint.trajectories import baseline_frame, random_effects_frame, value_frame
from pmsstats.models.joint.wording import describe_joint
from pmsstats.results import Exclusion, FitLog, Result, display_frame, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.joint.arrays import JointArrays
    from pmsstats.models.joint.certificate import Certificate
    from pmsstats.models.joint.data import JointData
    from pmsstats.models.joint.layout import JointDesign
    from pmsstats.models.joint.maximise import JointMaximum
    from pmsstats.models.joint.spec import JointSpec
    from pmsstats.models.prediction.survival_prediction import SurvivalPredictionResult
    from pmsstats.provenance import Origin
    from pmsstats.seeds import Seed

__all__ = ["JointResult"]

_EVENT_PARTS = ("association", "hazard")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class JointResult(Result):
    """A fitted joint model.

    Parameters
    ----------
    spec : JointSpec
        What was asked.
    fit_log : FitLog
        What the optimiser did, and whether its answer is a certified maximum.
    estimates : pandas.DataFrame
        ``part marker cause term estimate std_error statistic p_value conf_low conf_high
        hazard_ratio hazard_ratio_low hazard_ratio_high``, with the parts ``longitudinal``,
        ``association``, ``hazard`` and ``baseline``. Associations and hazards are log hazard
        ratios: above 0, more of it goes with earlier events.
    covariance : ndarray, shape (n_estimates, n_estimates)
        Of the estimates, from the observed information.
    variance_components : pandas.DataFrame
        ``part marker term kind estimate std_error conf_low conf_high``.
    start : pandas.DataFrame
        ``part marker cause term two_stage joint``: the two-stage estimate that the fit began
        with, beside the joint one.
    certificate : Certificate
        Why the answer is taken for a maximum.
    n_subjects : int
        Subjects analysed.
    n_obs : tuple of int
        Measurements of each marker.
    n_events : tuple of int
        Events of each cause.
    moments : ndarray, shape (n_links, q, q)
        By which the random effects' covariance is weighted to give the variance of each
        associated quantity.
    data : JointData
        The subjects analysed.
    design : JointDesign
        How arrays are made, of these data and others.
    arrays : JointArrays
        Those of the fit, on its scales.
    maximum : JointMaximum
        Parameters of the fit, on its scales.
    notes : tuple of str
        What a reader should know.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows and subjects left out.
    """

    spec: JointSpec
    fit_log: FitLog
    estimates: pd.DataFrame
    covariance: np.ndarray
    variance_components: pd.DataFrame
    start: pd.DataFrame
    certificate: Certificate
    n_subjects: int
    n_obs: tuple[int, ...]
    n_events: tuple[int, ...]
    moments: np.ndarray
    data: JointData
    design: JointDesign
    arrays: JointArrays
    maximum: JointMaximum
    notes: tuple[str, ...] = ()
    origin: Origin = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def subject_ids(self) -> tuple[Any, ...]:
        """Return the subjects, in the order of every array."""
        return self.data.events.ids

    @property
    def log_likelihood(self) -> float:
        """Return the maximum of the log-likelihood; R: ``logLik(jointFit)``."""
        value = self.fit_log.log_likelihood
        return float("nan") if value is None else float(value)

    @property
    def n_parameters(self) -> int:
        """Return the number of parameters."""
        return len(self.maximum.theta)

    @property
    def aic(self) -> float:
        """Return Akaike's criterion ``-2 logLik + 2 n_parameters``."""
        return -2 * self.log_likelihood + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """Return ``-2 logLik + log(n_subjects) n_parameters``, with subjects as R's JM has it."""
        return -2 * self.log_likelihood + math.log(self.n_subjects) * self.n_parameters

    def headline(self) -> str:
        """Say what a higher marker goes with, in whom, and whether the fit converged."""
        return describe_joint(self)

    def table(self) -> pd.DataFrame:
        """Return all estimates (a copy).

        Returns
        -------
        pandas.DataFrame
            Rows of `estimates`, events first, then standard deviations and correlations (part
            ``variance``). The columns ``marker`` and ``cause`` are there where there are several.
        """
        order = ["association", "hazard", "longitudinal", "baseline"]
        parts = [self.estimates[self.estimates["part"] == part] for part in order]
        frame = pd.concat([*parts, self.variance_components.drop(columns="kind")])
        single = {"marker": len(self.design.markers) == 1, "cause": len(self.design.causes) == 1}
        left_out = [name for name, is_single in single.items() if is_single]
        frame = frame.drop(columns=left_out)
        return frame.fillna({"cause": ""} if "cause" in frame else {}).reset_index(drop=True)

    def association_table(self) -> pd.DataFrame:
        """Return the associations, also per standard deviation between subjects.

        Returns
        -------
        pandas.DataFrame
            ``marker cause term estimate std_error statistic p_value conf_low conf_high
            hazard_ratio hazard_ratio_low hazard_ratio_high sd estimate_per_sd std_error_per_sd
            hazard_ratio_per_sd hazard_ratio_per_sd_low hazard_ratio_per_sd_high``.

        Notes
        -----
        ``sd`` is that of the true quantity between subjects alike in covariates, from the random
        effects' covariance: of the value or slope at time 0, of the area up to the median of
        follow-up; of the value of a marker that does not differ between subjects at time 0 (a
        change from baseline), at the median of follow-up. Its own error is part of the standard
        error per SD.
        """
        is_link = self.estimates["part"] == "association"
        frame = self.estimates[is_link].drop(columns="part").reset_index(drop=True)
        theta, covariance = self.maximum.theta, self.maximum.covariance
        per_sd = association_frame(
            self.design, self.moments, theta, covariance, self.spec.conf_level
        )
        return pd.concat([frame, per_sd], axis=1)

    def display(self) -> pd.DataFrame:
        """Return the table as it is shown, without the statistics.

        Returns
        -------
        pandas.DataFrame
            Text.
        """
        return display_frame(self.table().drop(columns=["statistic"]))

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the hazard ratios of associations (per SD) and of covariates.

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

        options = {
            "reference": 1.0,
            "log": True,
            "x_label": f"Hazard ratio ({100 * self.spec.conf_level:g} % CI)",
            "origin": self.origin,
        }
        return plot_forest(self._forest(), ax=ax, **(options | kws))

    def _forest(self) -> pd.DataFrame:
        """Return the rows of the figure."""
        several = len(self.design.causes) > 1
        columns = {
            "hazard_ratio": "estimate",
            "hazard_ratio_low": "conf_low",
            "hazard_ratio_high": "conf_high",
        }
        links = self.association_table()
        per_sd = {f"{old.replace('ratio', 'ratio_per_sd')}": new for old, new in columns.items()}
        top = links[["term", "cause", *per_sd]].rename(columns=per_sd)
        top["label"] = top["term"] + ", per SD"
        hazard = self.estimates[self.estimates["part"] == "hazard"]
        bottom = hazard[["term", "cause", *columns]].rename(columns=columns)
        bottom["label"] = bottom["term"]
        frame = pd.concat([top, bottom], ignore_index=True)
        if several:
            frame["label"] = frame["cause"] + ": " + frame["label"]
        return frame[["label", "estimate", "conf_low", "conf_high"]]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, without the data.

        Returns
        -------
        dict
            What was asked, estimates, certificate and counts.
        """
        return {
            "schema": "joint_result/1",
            "spec": to_plain(self.spec),
            "fit_log": to_plain(self.fit_log),
            "certificate": to_plain(self.certificate),
            "n_subjects": self.n_subjects,
            "n_obs": list(self.n_obs),
            "n_events": list(self.n_events),
            "log_likelihood": self.log_likelihood,
            "aic": self.aic,
            "bic": self.bic,
            "estimates": to_plain(self.estimates),
            "covariance": to_plain(self.covariance),
            "variance_components": to_plain(self.variance_components),
            "associations": to_plain(self.association_table()),
            "start": to_plain(self.start),
            "notes": list(self.notes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def wald_test(self, terms: Sequence[str], *, part: str | None = None) -> dict[str, float]:
        """Test that some coefficients are all zero.

        Parameters
        ----------
        terms : sequence of str
            Their terms, as in the table; of all causes and markers that have them.
        part : {"longitudinal", "association", "hazard"}, optional
            Where to look, if a term stands in several parts.

        Returns
        -------
        dict
            Keys ``statistic df p_value``: chi-squared.

        Raises
        ------
        DesignError
            If a term is unknown.
        """
        rows = self.estimates["term"].isin(list(terms)) & (self.estimates["part"] != "baseline")
        if part is not None:
            rows &= self.estimates["part"] == part
        found = set(self.estimates.loc[rows, "term"])
        for term in terms:
            if term not in found:
                known = self.estimates.loc[self.estimates["part"] != "baseline", "term"].unique()
                raise DesignError(
                    f"`terms` names {term!r}, which is no coefficient of this model."
                    f"{nearest(str(term), known)} It has: {', '.join(known)}."
                )
        place = np.flatnonzero(rows.to_numpy())
        values = self.estimates["estimate"].to_numpy()[place]
        statistic = float(values @ np.linalg.solve(self.covariance[np.ix_(place, place)], values))
        df = len(place)
        return {"statistic": statistic, "df": df, "p_value": float(stats.chi2.sf(statistic, df))}

    def likelihood_ratio_test(self, smaller: JointResult) -> dict[str, float]:
        """Compare with a model nested in this one.

        Parameters
        ----------
        smaller : JointResult
            The same data, without some of the coefficients.

        Returns
        -------
        dict
            Keys ``statistic df p_value``.

        Raises
        ------
        DesignError
            If the data differ, `smaller` has as many parameters, or its likelihood is higher.

        Notes
        -----
        Twice the difference of log-likelihoods against chi-squared. Not valid for variances of
        random effects, where the hypothesis lies on the boundary.
        """
        same = (self.n_subjects, self.n_obs, self.n_events, self.subject_ids)
        if same != (smaller.n_subjects, smaller.n_obs, smaller.n_events, smaller.subject_ids):
            raise DesignError(
                "`smaller` was fitted to other data: "
                f"{smaller.n_subjects} subjects, {sum(smaller.n_obs)} measurements and "
                f"{sum(smaller.n_events)} events, here {self.n_subjects}, {sum(self.n_obs)} and "
                f"{sum(self.n_events)}. Fit both to the same rows."
            )
        df = self.n_parameters - smaller.n_parameters
        statistic = 2 * (self.log_likelihood - smaller.log_likelihood)
        if df <= 0 or statistic < -1e-4:
            raise DesignError(
                f"`smaller` is not nested in this model: it has {smaller.n_parameters} parameters "
                f"and log-likelihood {smaller.log_likelihood:.3f}, this one {self.n_parameters} "
                f"and {self.log_likelihood:.3f}."
            )
        p_value = float(stats.chi2.sf(max(statistic, 0.0), df))
        return {"statistic": statistic, "df": df, "p_value": p_value}

    def blups(self) -> pd.DataFrame:
        """Return each subject's random effects given measurements and follow-up.

        Returns
        -------
        pandas.DataFrame
            The subject's id, then ``marker term estimate std_error``: mean and standard deviation
            of the posterior at the estimated parameters.
        """
        return random_effects_frame(self)

    def trajectories(self, times: Sequence[float] | None = None) -> pd.DataFrame:
        """Return the true trajectory of each subject, as estimated.

        Parameters
        ----------
        times : sequence of float, optional
            When; by default at 25 times over the follow-up.

        Returns
        -------
        pandas.DataFrame
            The subject's id and time, then ``marker mean estimate std_error``: what subjects with
            these covariates have on average, and this subject's own value with the standard
            deviation of its posterior.
        """
        return value_frame(self, times)

    def baseline_hazard(self, times: Sequence[float] | None = None) -> pd.DataFrame:
        """Return the hazard of a typical subject.

        Parameters
        ----------
        times : sequence of float, optional
            When, above 0; by default at 100 times over the follow-up.

        Returns
        -------
        pandas.DataFrame
            ``cause stratum time hazard conf_low conf_high cumulative_hazard``, per unit of time:
            of a subject with average covariates whose associated quantities stay at their
            average. Intervals on the log scale.
        """
        return baseline_frame(self, times)

    def plot_baseline(self, *, ax: Axes | None = None) -> Axes:
        """Draw the hazard of a typical subject over time.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, optional
            Where to draw; the current axes by default.

        Returns
        -------
        matplotlib.axes.Axes
            The axes.
        """
        from pmsstats.plots.hazards import plot_hazards

        return plot_hazards(self.baseline_hazard(), time=self.spec.time, ax=ax, origin=self.origin)

    def predict_survival(
        self,
        longitudinal: pd.DataFrame,
        *,
        landmark: float,
        horizons: Sequence[float],
        survival: pd.DataFrame | None = None,
        conf_level: float = 0.95,
        seed: Seed,
        n_draws: int = 200,
    ) -> SurvivalPredictionResult:
        """Predict each subject's survival, given measurements up to a time reached without event.

        Parameters
        ----------
        longitudinal : pandas.DataFrame
            Measurements of subjects, of the fit or new; those after `landmark` are not used.
        landmark : float
            Time up to which subjects are known to be free of the event.
        horizons : sequence of float
            Times for which survival is predicted, not before `landmark`.
        survival : pandas.DataFrame, optional
            Baseline covariates of the subjects, where the hazard has some.
        conf_level : float, default 0.95
            Of the intervals.
        seed : int, SeedSequence or Generator
            Of the draws for the intervals; the prediction itself is not random.
        n_draws : int, default 200
            Draws of parameters for the intervals.

        Returns
        -------
        SurvivalPredictionResult
            See :func:`pmsstats.models.prediction.joint_prediction.predict_survival`.
        """
        from pmsstats.models.prediction.joint_prediction import predict_survival

        return predict_survival(
            self,
            longitudinal,
            landmark=landmark,
            horizons=horizons,
            survival=survival,
            conf_level=conf_level,
            seed=seed,
            n_draws=n_draws,
        )
