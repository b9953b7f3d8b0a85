"""What a linear mixed model answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.fixed_result import FixedEffectsResult
from pmsstats.plots.trajectories import plot_trajectories
from pmsstats.results import to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.fixed_effects.margins import SlopesResult
    from pmsstats.models.fixed_effects.slope_ratio import SlowingResult
    from pmsstats.models.mixed.bootstrap_result import BootstrapResult
    from pmsstats.models.mixed.diagnostics_result import DiagnosticsResult
    from pmsstats.models.mixed.influence_result import InfluenceResult
    from pmsstats.models.mixed.lmm import LMMSpec
    from pmsstats.models.mixed.lmm_bootstrap import Statistic
    from pmsstats.models.mixed.lmm_prediction import BlupsResult
    from pmsstats.models.mixed.mixed_design import MixedDesign
    from pmsstats.seeds import Seed

__all__ = ["LMMResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LMMResult(FixedEffectsResult):
    """A fitted linear mixed model.

    Parameters
    ----------
    spec : LMMSpec
        What was asked.
    fit_log : FitLog
        What the engine did, and whether its answer is a maximum.
    group : str
        Column that tells subjects apart.
    n_subjects : int
        Subjects analysed.
    n_obs : int
        Rows analysed.
    coefficients : pandas.DataFrame
        Fixed effects: ``term estimate std_error [df] statistic p_value conf_low conf_high``.
    inference : Inference
        Their covariance, and the degrees of freedom of any combination of them.
    data : pandas.DataFrame
        The rows analysed.
    design : MixedDesign
        The arrays of the model, and how to make such from other data.
    measure : Measure, optional
        Label and unit of the outcome, where the data dictionary knows it.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    variance_components : pandas.DataFrame
        Of the random effects: ``group term1 term2 estimate kind``, with the kinds ``variance``,
        ``covariance`` and ``correlation``.
    residual_sd : float
        Within subjects, in units of the outcome.
    blup_frame : pandas.DataFrame
        Predicted random effects: the subject's id and one column per effect.
    other_blups : mapping of str to DataFrame
        The same of each further grouping factor, by its name.
    """

    spec: LMMSpec
    variance_components: pd.DataFrame
    residual_sd: float
    blup_frame: pd.DataFrame
    other_blups: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    design: MixedDesign

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader should know: columns and levels that were dropped."""
        return self.design.notes

    @property
    def log_likelihood(self) -> float:
        """Return the maximum of the (restricted) log-likelihood; R: ``logLik(model)``."""
        value = self.fit_log.log_likelihood
        return float("nan") if value is None else float(value)

    @property
    def n_parameters(self) -> int:
        """Return the number of parameters, as R counts the ``df`` of ``logLik(model)``.

        Fixed effects that were kept, free (co)variances of the random effects (also those that
        are estimated as zero) and the residual variance; the same under REML and ML.
        """
        blocks = [len(block) for words in self.design.groupings for block in words.blocks]
        return len(self.coefficients) + sum(n * (n + 1) // 2 for n in blocks) + 1

    @property
    def aic(self) -> float:
        """Return Akaike's criterion ``-2 logLik + 2 n_parameters``; R: ``AIC(model)``.

        Of REML fits with different fixed effects neither this nor :attr:`bic` can be compared:
        fit them with ``method="ML"``. SAS counts covariance parameters only under REML.
        """
        return -2 * self.log_likelihood + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """Return ``-2 logLik + log(n_obs) n_parameters``; R: ``BIC(model)``.

        With the number of rows, as lme4 does, also under REML; SAS takes that of subjects.
        """
        return -2 * self.log_likelihood + math.log(self.n_obs) * self.n_parameters

    def headline(self) -> str:
        """Say how the outcome changes, in whom, and whether the fit converged."""
        from pmsstats.models.fixed_effects.trajectory_frames import describe_average_slope

        change = describe_average_slope(self) or f"A mixed model of {self.label} was fitted"
        return f"{change} in {self._on_whom()}; {self._how()}."

    def _how(self) -> str:
        """Name method and engine, and anything that went wrong."""
        log = self.fit_log
        words = [f"{self.spec.method} {'converged' if log.converged else 'did NOT converge'}"]
        words += [log.engine]
        if log.singular:
            words += ["singular: some variance between subjects is estimated as zero"]
        return "; ".join([", ".join(words), *self.notes])

    def blups(self, group: str | None = None) -> pd.DataFrame:
        """Return each subject's predicted deviation from the mean.

        Parameters
        ----------
        group : str, optional
            Grouping factor; by default that of the subjects.

        Returns
        -------
        pandas.DataFrame
            The subject's id, and one column per random effect (``intercept``, ``year``, ...).

        Raises
        ------
        DesignError
            If the model has no such grouping factor.

        Notes
        -----
        Best linear unbiased predictions: shrunk towards zero, the more so the fewer visits a
        subject has. R: ``ranef(model)``; SAS: ``SOLUTION`` of ``RANDOM``. With standard errors:
        :func:`~pmsstats.models.mixed.lmm_prediction.estimate_blups`.
        """
        frames = {self.group: self.blup_frame, **self.other_blups}
        if group is not None and group not in frames:
            raise DesignError(
                f"`group` must be one of {', '.join(frames)}, got {group!r}."
                f"{nearest(group, frames)}"
            )
        return frames[self.group if group is None else group].copy()

    def slopes(
        self,
        by: str | None = None,
        *,
        time: str | None = None,
        over: tuple[float, float] | None = None,
        reference: Any = None,
    ) -> SlopesResult:
        """Estimate the mean slope over time, overall or per group.

        Parameters
        ----------
        by : str, optional
            Column whose groups are told apart.
        time : str, optional
            Time column; by default ``year``, or the model's own.
        over : tuple of float, optional
            Give the average slope between these two times; needed where change is not linear.
        reference : str, optional
            Group from which differences are taken; by default the first one.

        Returns
        -------
        SlopesResult
            See :func:`pmsstats.models.fixed_effects.margins.estimate_slopes`.

        Notes
        -----
        R: ``emmeans::emtrends(model, ~ group, var = "year")``; SAS: ``ESTIMATE`` of the slopes.
        """
        from pmsstats.models.fixed_effects.margins import estimate_slopes

        return estimate_slopes(self, by=by, time=time, over=over, reference=reference)

    def individual_slopes(
        self, time: str | None = None, *, over: tuple[float, float] | None = None
    ) -> pd.DataFrame:
        """Predict each subject's own slope: the mean one of such subjects plus their deviation.

        Parameters
        ----------
        time : str, optional
            Time column; by default ``year``, or the model's own.
        over : tuple of float, optional
            Give the average slope between these two times; needed where change is not linear.

        Returns
        -------
        pandas.DataFrame
            The subject's id, ``intercept`` (at time zero) and ``slope`` (per year for the columns
            ``year`` and ``day``, else per unit of time). Covariates are those of the subject's
            first row.

        Notes
        -----
        R: ``coef(model)$subject_id``; SAS: ``ESTIMATE ... | year 1 / SUBJECT 1``.
        """
        from pmsstats.models.fixed_effects.margins import individual_slopes

        return individual_slopes(self, time=time, over=over)

    def means(
        self,
        by: str | None = None,
        *,
        time: str | None = None,
        at: Sequence[float] | None = None,
    ) -> pd.DataFrame:
        """Estimate the mean over time, overall or per group, at average covariates.

        Parameters
        ----------
        by : str, optional
            Column whose groups are told apart.
        time : str, optional
            Time column; by default ``year``, or the model's own.
        at : sequence of float, optional
            Times; by default 25 between the first and the last time of each group.

        Returns
        -------
        pandas.DataFrame
            Columns ``group``, the time column, ``estimate std_error [df] conf_low conf_high``.

        Notes
        -----
        R: ``emmeans::emmeans(model, ~ group, at = list(year = ...))``; SAS: ``LSMEANS / AT year=``.
        """
        from pmsstats.models.fixed_effects.margins import mean_curves

        return mean_curves(self, by=by, time=time, at=at)

    def slowing(
        self,
        by: str,
        *,
        time: str | None = None,
        over: tuple[float, float] | None = None,
        reference: Any = None,
    ) -> SlowingResult:
        """Estimate by how many percent each group's change is slower than a reference group's.

        Parameters
        ----------
        by : str
            Column whose groups are compared.
        time : str, optional
            Time column; by default ``year``, or the model's own.
        over : tuple of float, optional
            Take average slopes between these two times.
        reference : str, optional
            Group that the others are compared with; by default the first one.

        Returns
        -------
        SlowingResult
            With Fieller's intervals; see
            :func:`pmsstats.models.fixed_effects.slope_ratio.estimate_slowing`.

        Notes
        -----
        R: ``mratios::sci.ratio.gen`` for the same linear combinations.
        """
        from pmsstats.models.fixed_effects.slope_ratio import estimate_slowing

        return estimate_slowing(self, by=by, time=time, over=over, reference=reference)

    def random_effects(self, *, conditional: bool = False) -> BlupsResult:
        """Predict each subject's deviation from the mean, with standard errors.

        Parameters
        ----------
        conditional : bool, default False
            Take the fixed effects as known, as lme4 does.

        Returns
        -------
        BlupsResult
            See :func:`pmsstats.models.mixed.lmm_prediction.estimate_blups`.
        """
        from pmsstats.models.mixed.lmm_prediction import estimate_blups

        return estimate_blups(self, conditional=conditional)

    def predict_subjects(self, newdata: pd.DataFrame) -> pd.DataFrame:
        """Predict the values of given subjects at given times (conditional on their visits).

        Parameters
        ----------
        newdata : pandas.DataFrame
            Has the subject and every variable of the model.

        Returns
        -------
        pandas.DataFrame
            See :func:`pmsstats.models.mixed.lmm_prediction.predict_subjects`.

        Notes
        -----
        R: ``predict(model, newdata)``, which gives no errors; SAS: ``OUTP=`` of ``MODEL``.
        """
        from pmsstats.models.mixed.lmm_prediction import predict_subjects

        return predict_subjects(self, newdata)

    def predict_marginal(self, newdata: pd.DataFrame) -> pd.DataFrame:
        """Predict means, with their intervals and those of a new subject's value.

        Parameters
        ----------
        newdata : pandas.DataFrame
            Has every variable of the model, apart from the subject.

        Returns
        -------
        pandas.DataFrame
            See :func:`pmsstats.models.mixed.lmm_prediction.predict_marginal`.

        Notes
        -----
        R: ``predict(model, newdata, re.form = NA)``; SAS: ``OUTPM=`` of ``MODEL``.
        """
        from pmsstats.models.mixed.lmm_prediction import predict_marginal

        return predict_marginal(self, newdata)

    def residuals(self) -> pd.DataFrame:
        """Return marginal, conditional and standardised residuals, one row per observation.

        Returns
        -------
        pandas.DataFrame
            See :func:`pmsstats.models.mixed.lmm_diagnostics.estimate_residuals`.

        Notes
        -----
        R: ``nlme::residuals.lme(model, type = "normalized")``; SAS: ``VCIRY`` and ``RESIDUAL``.
        """
        from pmsstats.models.mixed.lmm_diagnostics import estimate_residuals

        return estimate_residuals(self)

    def diagnose(
        self, *, time: str | None = None, n_simulated: int = 0, seed: Seed | None = None
    ) -> DiagnosticsResult:
        """Hold residuals and random effects against what the model assumes.

        Parameters
        ----------
        time : str, optional
            Time column.
        n_simulated : int, default 0
            Data sets that are simulated for the envelopes; none by default.
        seed : int, SeedSequence or Generator, optional
            Of the simulation.

        Returns
        -------
        DiagnosticsResult
            See :func:`pmsstats.models.mixed.lmm_diagnostics.diagnose`.

        Notes
        -----
        R: ``plot(model)``, ``qqnorm(ranef(model))``; SAS: ``PLOTS=(RESIDUALPANEL)``.
        """
        from pmsstats.models.mixed.lmm_diagnostics import diagnose

        return diagnose(self, time=time, n_simulated=n_simulated, seed=seed)

    def influence(self) -> InfluenceResult:
        """Say what each subject's absence would change.

        Returns
        -------
        InfluenceResult
            See :func:`pmsstats.models.mixed.influence.estimate_influence`.

        Notes
        -----
        R: ``influence.ME::influence(model, "subject_id")``; SAS: ``INFLUENCE / EFFECT=``.
        """
        from pmsstats.models.mixed.influence import estimate_influence

        return estimate_influence(self)

    def bootstrap(
        self,
        statistic: Statistic | None = None,
        *,
        contrasts: Mapping[str, Mapping[str, float]] | None = None,
        n_replicates: int = 999,
        seed: Seed,
        n_jobs: int = 1,
    ) -> BootstrapResult:
        """Draw data from this fit, fit the model again, and see how the estimates vary.

        Parameters
        ----------
        statistic : callable, optional
            ``statistic(fixed, variances) -> {name: value}``: further numbers.
        contrasts : mapping, optional
            ``{label: {term: weight}}``: combinations of the fixed effects.
        n_replicates : int, default 999
            How many data sets.
        seed : int, SeedSequence or Generator
            Of the data sets.
        n_jobs : int, default 1
            Threads; the answer does not depend on it.

        Returns
        -------
        BootstrapResult
            See :func:`pmsstats.models.mixed.lmm_bootstrap.bootstrap_lmm`.

        Notes
        -----
        R: ``lme4::bootMer(model, fixef, nsim = 999)``.
        """
        from pmsstats.models.mixed.lmm_bootstrap import bootstrap_lmm

        return bootstrap_lmm(
            self, statistic, contrasts=contrasts, n_replicates=n_replicates, seed=seed,
            n_jobs=n_jobs,
        )  # fmt: skip

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw each subject's values and the fitted mean; ``by=`` and ``time=`` choose columns."""
        from pmsstats.models.fixed_effects.trajectory_frames import trajectory_frames

        by, time = kws.pop("by", None), kws.pop("time", None)
        frames = trajectory_frames(self, by=by, time=time)
        label = self.measure.axis_label if self.measure else self.label
        options = {"y_label": label, "origin": self.origin, "x_label": frames.x_label, **kws}
        return plot_trajectories(
            frames.data, fitted=frames.fitted, group=frames.group, ax=ax, **options
        )

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "lmm_result/1",
            "spec": to_plain(self.spec),
            "formula": self.spec.formula(),
            "headline": self.headline(),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "coefficients": to_plain(self.coefficients),
            "covariance": to_plain(self.covariance),
            "variance_components": to_plain(self.variance_components),
            "residual_sd": to_plain(self.residual_sd),
            "blups": to_plain(self.blup_frame),
            "other_blups": to_plain(self.other_blups),
            "notes": list(self.notes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }
