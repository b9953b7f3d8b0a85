"""What a linear mixed model answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.inference import tabulate_estimates
from pmsstats.plots.trajectories import plot_trajectories
from pmsstats.results import Exclusion, FitLog, Result, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.cohort.schema import Measure
    from pmsstats.models.backends import Satterthwaite
    from pmsstats.models.lmm import LMMSpec
    from pmsstats.models.margins import SlopesResult
    from pmsstats.models.mixed_design import MixedDesign

__all__ = ["LMMResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class LMMResult(Result):
    """A fitted linear mixed model.

    Parameters
    ----------
    spec : LMMSpec
        What was asked.
    fit_log : FitLog
        What the engine did, and whether its answer is a maximum.
    n_subjects : int
        Subjects analysed.
    n_obs : int
        Rows analysed.
    coefficients : pandas.DataFrame
        Fixed effects: ``term estimate std_error [df] statistic p_value conf_low conf_high``.
    covariance : ndarray, shape (p, p)
        Of the fixed effects, in the order of `coefficients`.
    variance_components : pandas.DataFrame
        Of the random effects: ``group term1 term2 estimate kind``, with the kinds ``variance``,
        ``covariance`` and ``correlation``.
    residual_sd : float
        Within subjects, in units of the outcome.
    blup_frame : pandas.DataFrame
        Predicted random effects: the subject's id and one column per effect.
    data : pandas.DataFrame
        The rows analysed.
    design : MixedDesign
        The arrays of the model, and how to make such from other data.
    satterthwaite : Satterthwaite, optional
        For degrees of freedom of contrasts, where the engine offers them.
    measure : Measure, optional
        Label and unit of the outcome, where the data dictionary knows it.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    """

    spec: LMMSpec
    fit_log: FitLog
    n_subjects: int
    n_obs: int
    coefficients: pd.DataFrame
    covariance: np.ndarray
    variance_components: pd.DataFrame
    residual_sd: float
    blup_frame: pd.DataFrame
    data: pd.DataFrame
    design: MixedDesign
    satterthwaite: Satterthwaite | None = None
    measure: Measure | None = None
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader should know: columns and levels that were dropped."""
        return self.design.notes

    @property
    def label(self) -> str:
        """Return the name of the outcome, in words where the dictionary has some."""
        return self.measure.label if self.measure else self.spec.outcome.strip("`")

    @property
    def unit(self) -> str:
        """Return the unit of the outcome; empty where there is none."""
        return self.measure.unit if self.measure else ""

    def with_context(
        self,
        *,
        measure: Measure | None,
        origin: Literal["real", "synthetic"],
        prior: tuple[Exclusion, ...],
    ) -> LMMResult:
        """Return a copy that knows its outcome and where its data come from.

        Parameters
        ----------
        measure : Measure, optional
            Entry of the data dictionary.
        origin : {"real", "synthetic"}
            Of the data.
        prior : tuple of Exclusion
            What earlier steps left out.

        Returns
        -------
        LMMResult
            A new one.
        """
        return replace(self, measure=measure, origin=origin, exclusions=(*prior, *self.exclusions))

    def headline(self) -> str:
        """Say how the outcome changes, in whom, and whether the fit converged."""
        from pmsstats.models.trajectory_frames import describe_average_slope

        change = describe_average_slope(self) or f"A mixed model of {self.label} was fitted"
        return f"{change} in {self._on_whom()}; {self._how()}."

    def _on_whom(self) -> str:
        """Count subjects, rows, and rows left out."""
        lost = sum(e.n for e in self.exclusions if e.unit == "row")
        left_out = f", {lost} {'row' if lost == 1 else 'rows'} left out" if lost else ""
        origin = "synthetic " if self.origin == "synthetic" else ""
        return f"{self.n_subjects} {origin}subjects ({self.n_obs} rows{left_out})"

    def _how(self) -> str:
        """Name method and engine, and anything that went wrong."""
        log = self.fit_log
        words = [f"{self.spec.method} {'converged' if log.converged else 'did NOT converge'}"]
        words += [log.engine]
        if log.singular:
            words += ["singular: some variance between subjects is estimated as zero"]
        return "; ".join([", ".join(words), *self.notes])

    def table(self) -> pd.DataFrame:
        """Return the fixed effects: ``term estimate std_error [df] statistic p_value ...``."""
        return self.coefficients.copy()

    def blups(self) -> pd.DataFrame:
        """Return each subject's predicted deviation from the mean.

        Returns
        -------
        pandas.DataFrame
            The subject's id, and one column per random effect (``intercept``, ``year``, ...).

        Notes
        -----
        Best linear unbiased predictions: shrunk towards zero, the more so the fewer visits a
        subject has. R: ``ranef(model)``.
        """
        return self.blup_frame.copy()

    def slopes(
        self, by: str | None = None, *, time: str = "year", over: tuple[float, float] | None = None
    ) -> SlopesResult:
        """Estimate the mean slope over time, overall or per group.

        Parameters
        ----------
        by : str, optional
            Column whose groups are told apart.
        time : str, default "year"
            Time column.
        over : tuple of float, optional
            Give the average slope between these two times; needed where change is not linear.

        Returns
        -------
        SlopesResult
            See :func:`pmsstats.models.margins.estimate_slopes`.
        """
        from pmsstats.models.margins import estimate_slopes

        return estimate_slopes(self, by=by, time=time, over=over)

    def individual_slopes(
        self, time: str = "year", *, over: tuple[float, float] | None = None
    ) -> pd.DataFrame:
        """Predict each subject's own slope: the mean one of such subjects plus their deviation.

        Parameters
        ----------
        time : str, default "year"
            Time column.
        over : tuple of float, optional
            Give the average slope between these two times; needed where change is not linear.

        Returns
        -------
        pandas.DataFrame
            The subject's id, ``intercept`` (at time zero) and ``slope`` (per year for the columns
            ``year`` and ``day``, else per unit of time). Covariates are those of the subject's
            first row.
        """
        from pmsstats.models.margins import individual_slopes

        return individual_slopes(self, time=time, over=over)

    def means(
        self,
        by: str | None = None,
        *,
        time: str = "year",
        at: Sequence[float] | None = None,
    ) -> pd.DataFrame:
        """Estimate the mean over time, overall or per group, at average covariates.

        Parameters
        ----------
        by : str, optional
            Column whose groups are told apart.
        time : str, default "year"
            Time column.
        at : sequence of float, optional
            Times; by default 25 between the first and the last time of each group.

        Returns
        -------
        pandas.DataFrame
            Columns ``group``, the time column, ``estimate std_error [df] conf_low conf_high``.
        """
        from pmsstats.models.margins import mean_curves

        return mean_curves(self, by=by, time=time, at=at)

    def contrast(
        self,
        contrasts: np.ndarray | Sequence[Any] | Mapping[str, Any],
        *,
        labels: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """Estimate combinations of the fixed effects.

        Parameters
        ----------
        contrasts : array_like, shape (p,) or (m, p), or mapping
            Weights in the order of the coefficients; or ``{term: weight}`` for one combination; or
            ``{label: {term: weight}}`` for several.
        labels : sequence of str, optional
            Names of the rows, where `contrasts` is an array.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error [df] statistic p_value conf_low conf_high``.

        Raises
        ------
        DesignError
            If a term is unknown, or the shape does not fit.
        """
        names, weights = self._weights(contrasts, labels)
        return self.estimate(names, weights)

    def estimate(self, names: Sequence[str], weights: np.ndarray) -> pd.DataFrame:
        """Tabulate combinations of the fixed effects that are given as weights.

        Parameters
        ----------
        names : sequence of str
            One per combination.
        weights : ndarray, shape (m, p)
            Missing in rows that cannot be estimated.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error [df] statistic p_value conf_low conf_high``.
        """
        beta = self.coefficients["estimate"].to_numpy()
        variance = np.einsum("ma,ab,mb->m", weights, self.covariance, weights)
        df = None
        if self.satterthwaite is not None:
            df = self.satterthwaite.df(weights, self.covariance)
        return tabulate_estimates(
            names,
            weights @ beta,
            np.sqrt(np.clip(variance, 0.0, None)),
            df=df,
            conf_level=self.spec.conf_level,
        )

    def _weights(
        self, contrasts: Any, labels: Sequence[str] | None
    ) -> tuple[list[str], np.ndarray]:
        """Turn any form of contrasts to names and weights."""
        terms = self.coefficients["term"].tolist()
        if isinstance(contrasts, Mapping):
            several = all(isinstance(value, Mapping) for value in contrasts.values())
            named = contrasts if several else {" ".join(map(str, contrasts)): contrasts}
            weights = np.array([_by_term(entry, terms) for entry in named.values()])
            return [str(name) for name in named], weights
        weights = np.atleast_2d(np.asarray(contrasts, dtype=float))
        if weights.shape[1] != len(terms) or not np.isfinite(weights).all():
            raise DesignError(
                f"`contrasts` must have {len(terms)} finite weights per row, one for each of "
                f"{', '.join(terms)}; got shape {weights.shape}."
            )
        names = list(labels) if labels is not None else [f"C{i + 1}" for i in range(len(weights))]
        if len(names) != len(weights):
            raise DesignError(f"`labels` has {len(names)} name(s) for {len(weights)} contrast(s).")
        return names, weights

    def predict(self, newdata: pd.DataFrame) -> pd.DataFrame:
        """Estimate the mean of the outcome for given values of the covariates.

        Parameters
        ----------
        newdata : pandas.DataFrame
            Has every variable of the fixed part, complete. The subject is not needed: this is the
            mean over subjects, with the interval of that mean.

        Returns
        -------
        pandas.DataFrame
            The rows of `newdata` with ``estimate std_error [df] conf_low conf_high`` added.

        Raises
        ------
        DesignError
            If a variable is absent, a level is unknown, or a mean cannot be estimated.
        """
        made = self.estimate(["" for _ in range(len(newdata))], self.design.fixed_matrix(newdata))
        keep = [c for c in ("estimate", "std_error", "df", "conf_low", "conf_high") if c in made]
        clash = [c for c in keep if c in newdata.columns]
        return pd.concat([newdata.drop(columns=clash).reset_index(drop=True), made[keep]], axis=1)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw each subject's values and the fitted mean; ``by=`` and ``time=`` choose columns."""
        from pmsstats.models.trajectory_frames import trajectory_frames

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
            "notes": list(self.notes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


def _by_term(entry: Mapping[str, float], terms: Sequence[str]) -> list[float]:
    """Put named weights into the order of the coefficients."""
    for name in entry:
        if name not in terms:
            raise DesignError(
                f"The model has no term {name!r}.{nearest(str(name), terms)} It has: "
                f"{', '.join(terms)}."
            )
    return [float(entry.get(term, 0.0)) for term in terms]
