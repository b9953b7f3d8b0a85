"""What a model for repeated measures answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.fixed_result import FixedEffectsResult
from pmsstats.models.fixed_effects.marginal_means import estimate_means
from pmsstats.models.repeated.mmrm_covariance import COVARIANCES
from pmsstats.models.repeated.mmrm_directions import covariances_at
from pmsstats.models.repeated.mmrm_patterns import find_patterns
from pmsstats.models.repeated.mmrm_words import default_arm, default_visit, describe_last_visit
from pmsstats.plots.forest import plot_forest
from pmsstats.results import to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.fixed_effects.means_result import Comparison, Held, MeansResult, Weighting
    from pmsstats.models.fixed_effects.multiplicity import Adjustment
    from pmsstats.models.repeated.mmrm_design import RepeatedDesign
    from pmsstats.models.repeated.mmrm_spec import MMRMSpec

__all__ = ["MMRMResult"]

_MOST_COORDINATES = 60
_MOST_NUMBERED_VISITS = 12
_TIMES_DRAWN = 5
_DF_WORDS = {
    "kenward-roger": "Kenward-Roger df",
    "kenward-roger-linear": "Kenward-Roger df (linear)",
    "satterthwaite": "Satterthwaite df",
    "between-within": "between-within df",
    "residual": "residual df",
    "normal": "normal distribution",
}


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MMRMResult(FixedEffectsResult):
    """A fitted model for repeated measures.

    Parameters
    ----------
    spec : MMRMSpec
        What was asked.
    fit_log : FitLog
        What the optimiser did, whether its answer is a maximum, and which covariances were tried
        before.
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
    design : RepeatedDesign
        The arrays of the model, and how to make such from other data.
    measure : Measure, optional
        Label and unit of the outcome, where the data dictionary knows it.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    structure : str
        The covariance that was used: the one asked for, or a fall-back.
    covariance_parameters : pandas.DataFrame
        ``group term estimate std_error``, as SAS parametrises them: variances, covariances and
        correlations; with covariances by group one set per group.
    boundary : str, optional
        What it means that a covariance parameter lies on its boundary, where one does.
    """

    spec: MMRMSpec
    design: RepeatedDesign
    structure: str
    covariance_parameters: pd.DataFrame
    boundary: str | None = None

    # --- words ----------------------------------------------------------------------------

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what a reader should know: what was dropped, order of visits, boundaries."""
        return (*self.design.notes, *([self.boundary] if self.boundary else []))

    def headline(self) -> str:
        """Say how the arms differ at the last visit, in whom, and how that was found."""
        return f"{describe_last_visit(self)} in {self._on_whom()}; {self._how()}."

    def _how(self) -> str:
        """Name method, covariance and degrees of freedom, and anything that went wrong."""
        spec, log = self.spec, self.fit_log
        by_group = f" by {spec.group}" if spec.group is not None else ""
        words = [
            f"{spec.method} {'converged' if log.converged else 'did NOT converge'}",
            f"covariance {self.structure}{by_group}",
            _DF_WORDS[spec.df_method],
            *([f"{spec.empirical} standard errors"] if spec.empirical else []),
        ]
        instead = (
            [f"{self.structure} was used instead of {spec.covariance}, which could not be fitted"]
            if self.structure != spec.covariance
            else []
        )
        return "; ".join([", ".join(words), *instead, *self.notes])

    # --- covariance of the visits ---------------------------------------------------------

    def visit_covariance(self, group: Any = None) -> pd.DataFrame:
        """Return the estimated covariance of the visits of a subject.

        Parameters
        ----------
        group : object, optional
            Which group's, where the covariance differs between groups.

        Returns
        -------
        pandas.DataFrame
            Square, rows and columns named by visit (by time, for ``sp_exp``), for weights of one.

        Raises
        ------
        DesignError
            If the group is unknown or not said, or a spatial covariance has too many times.

        Notes
        -----
        R: ``mmrm::VarCorr(model)``, ``nlme::getVarCov``; SAS: ``REPEATED / R``.
        """
        visits = list(self.design.visits)
        theta = self._theta(group)
        structure = COVARIANCES[self.structure]
        if structure.spatial:
            if len(visits) > _MOST_COORDINATES:
                raise DesignError(
                    f"{self.spec.visit} has {len(visits)} values, so the covariance of all pairs "
                    "is no readable table. See covariance_parameters: variance * exp(-distance / "
                    "range)."
                )
            where = np.asarray(visits, dtype=float)
            matrix = structure.at(theta, np.abs(where[:, None] - where[None, :]))  # type: ignore[attr-defined]
        else:
            matrix = structure.matrix(theta, len(visits))  # type: ignore[attr-defined]
        return pd.DataFrame(matrix, index=visits, columns=visits)

    def visit_correlation(self, group: Any = None) -> pd.DataFrame:
        """Return the estimated correlation of the visits of a subject.

        Parameters
        ----------
        group : object, optional
            Which group's, where the covariance differs between groups.

        Returns
        -------
        pandas.DataFrame
            Square, rows and columns named by visit.

        Notes
        -----
        SAS: ``REPEATED / RCORR``.
        """
        covariance = self.visit_covariance(group)
        sd = np.sqrt(np.diag(covariance))
        return covariance / np.outer(sd, sd)

    def _theta(self, group: Any) -> np.ndarray:
        """Return the covariance parameters of one group."""
        groups = {str(name): name for name in self.design.groups}
        if group is None and len(groups) == 1:
            group = self.design.groups[0]
        if str(group) not in groups:
            raise DesignError(
                f"`group` must be one of {', '.join(groups)}, got {group!r}."
                f"{nearest(str(group), groups)}"
            )
        mine = self.covariance_parameters["group"].astype(str) == str(group)
        return self.covariance_parameters.loc[mine, "estimate"].to_numpy()

    @property
    def n_parameters(self) -> int:
        """Return the number of parameters that the information criteria count."""
        fixed = len(self.coefficients) if self.spec.method == "ML" else 0
        return len(self.covariance_parameters) + fixed

    @property
    def aic(self) -> float:
        """Return Akaike's criterion as SAS counts it: ``-2 l + 2 d``; smaller is better.

        Returns
        -------
        float
            With ``l`` the (restricted) log-likelihood and ``d`` the number of covariance
            parameters, plus under ML that of the fixed effects. R's nlme counts the latter under
            REML too. Under REML only models with the same fixed effects compare.
        """
        return -2 * float(self.fit_log.log_likelihood or math.nan) + 2 * self.n_parameters

    @property
    def bic(self) -> float:
        """Return Schwarz's criterion as SAS counts it: ``-2 l + d log(n)``; smaller is better.

        Returns
        -------
        float
            As :attr:`aic`; ``n`` is the number of subjects (R's nlme takes rows).
        """
        deviance = -2 * float(self.fit_log.log_likelihood or math.nan)
        return deviance + self.n_parameters * math.log(self.n_subjects)

    # --- means ----------------------------------------------------------------------------

    def means(
        self,
        by: str | Sequence[str] | None = None,
        *,
        at: Held | None = None,
        weights: Weighting = "equal",
    ) -> MeansResult:
        """Estimate least-squares means, by default per arm and visit.

        Parameters
        ----------
        by : str or sequence of str, optional
            Columns whose combinations are told apart.
        at : mapping, optional
            Values at which covariates are held instead of at their mean.
        weights : {"equal", "proportional"}, default "equal"
            How levels of other factors are averaged over.

        Returns
        -------
        MeansResult
            See :func:`pmsstats.models.fixed_effects.marginal_means.estimate_means`.

        Raises
        ------
        DesignError
            If `by` is not said and the mean has neither an arm nor visits to tell apart, or a
            column is unknown.
        """
        names = by if by is not None else self._default_by()
        if not names:
            raise DesignError(
                f"Name the columns to take means by: by=... {self._columns(names=())}"
            )
        return estimate_means(self, names, at=at, weights=weights)

    def _default_by(self) -> tuple[str, ...]:
        """Return arm and visit, as far as the mean depends on them and tells them apart."""
        visit = default_visit(self)
        told = visit if visit is not None and self._is_told(visit) else None
        return tuple(name for name in (default_arm(self), told) if name is not None)

    def _is_told(self, visit: str) -> bool:
        """Say whether visits are few enough to have a mean each."""
        if visit in self.design.fixed.levels:
            return True
        is_spatial = COVARIANCES[self.structure].spatial
        return not is_spatial and len(self.design.visits) <= _MOST_NUMBERED_VISITS

    def _columns(self, names: Sequence[str]) -> str:
        """Say which columns the mean depends on, as the tail of a message."""
        fixed = self.design.fixed
        factors = [name for name in fixed.levels if name not in names]
        numbers = [name for name in fixed.variables if name not in fixed.levels]
        words = [f"factors: {', '.join(factors)}"] if factors else []
        words += [f"numbers: {', '.join(numbers)}"] if numbers else []
        advice = (
            f" A number that stands for groups is written C({numbers[0]}) in the formula; of any "
            f"other name values: by={numbers[0]!r}, at={{{numbers[0]!r}: [...]}}."
            if numbers
            else ""
        )
        if not words:
            return f"But the mean of this model ({self.spec.fixed}) depends on no column."
        return f"The mean of this model depends on {'; '.join(words)}.{advice}"

    def differences(
        self,
        of: str | None = None,
        *,
        reference: Any = None,
        method: Comparison = "reference",
        adjust: Adjustment | None = None,
        at: Held | None = None,
        weights: Weighting = "equal",
    ) -> pd.DataFrame:
        """Estimate differences between arms within visits.

        Parameters
        ----------
        of : str, optional
            Factor whose groups are compared; by default the arm.
        reference : object, optional
            Group that the others are compared with; by default the first.
        method : {"reference", "pairwise", "consecutive"}, default "reference"
            Which groups are compared.
        adjust : {"bonferroni", "holm", "sidak", "tukey"}, optional
            Adjust for several comparisons at the same visit; ``"tukey"`` for all pairs only.
        at : mapping, optional
            Values at which covariates are held instead of at their mean.
        weights : {"equal", "proportional"}, default "equal"
            How levels of other factors are averaged over.

        Returns
        -------
        pandas.DataFrame
            ``term``, the visit, ``estimate std_error [df] statistic p_value conf_low conf_high``;
            see :meth:`pmsstats.models.fixed_effects.means_result.MeansResult.differences`.

        Raises
        ------
        DesignError
            If there is no such factor.
        """
        of = of or default_arm(self)
        visit = default_visit(self)
        if of is None:
            times = [visit] if visit is not None else []
            raise DesignError(
                f"Name the column whose groups to compare: of=... {self._columns(names=times)}"
            )
        with_visit = visit is not None and visit != of and self._is_told(visit)
        means = self.means((of, visit) if with_visit else of, at=at, weights=weights)  # type: ignore[arg-type]
        return means.differences(of, reference=reference, method=method, adjust=adjust)

    # --- residuals ------------------------------------------------------------------------

    def residuals(self) -> pd.DataFrame:
        """Return fitted values and residuals of the rows analysed.

        Returns
        -------
        pandas.DataFrame
            The subject's and the visit's column, ``fitted``, ``residual``, ``standardised`` (over
            its standard deviation) and ``normalised``.

        Notes
        -----
        Normalised residuals of a subject are ``C^-1 r`` with ``C C' = V``: if the model holds they
        are independent with variance one. R: ``residuals(model, type = "normalized")``; SAS:
        ``MODEL / VCIRY``.
        """
        arrays, spec = self.design.arrays, self.spec
        fitted = arrays.X @ self.coefficients["estimate"].to_numpy()
        left = arrays.y - fitted
        weighted = left if arrays.weights is None else left * np.sqrt(arrays.weights)
        structure = COVARIANCES[self.structure]
        patterns = find_patterns(arrays, spatial=structure.spatial)
        theta = self.covariance_parameters["estimate"].to_numpy()
        V = covariances_at(structure, theta, patterns)[patterns.of_subject]
        laid = patterns.spread(weighted[:, None])
        seen = patterns.rows >= 0
        rows = patterns.rows[seen]
        scaled = np.linalg.solve(np.linalg.cholesky(V), laid)[:, :, 0]
        single = laid[:, :, 0] / np.sqrt(np.einsum("stt->st", V))
        standardised, normalised = np.empty_like(left), np.empty_like(left)
        standardised[rows], normalised[rows] = single[seen], scaled[seen]
        return pd.DataFrame(
            {
                spec.subject: self.data[spec.subject],
                spec.visit: self.data[spec.visit],
                "fitted": fitted,
                "residual": left,
                "standardised": standardised,
                "normalised": normalised,
            }
        )

    # --- figure and export ----------------------------------------------------------------

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw least-squares means over visits per arm; ``by=`` chooses other columns.

        Over a time that is a number, the mean is drawn at five times from the first to the last.
        Where the mean depends on neither arm nor visit, the coefficients but the intercept.
        """
        by = kws.pop("by", None)
        visit = default_visit(self)
        if by is None and visit is not None and not self._is_told(visit):
            return self._plot_over_time(visit, ax, kws)
        by = by or self._default_by()
        if by:
            over_visits = {"x": visit} if visit in by else {}
            return self.means(by).plot(ax=ax, **{**over_visits, **kws})
        frame = self.coefficients.rename(columns={"term": "label"})
        slopes = frame[frame["label"] != "Intercept"]
        options = {"x_label": f"Effect on {self.label}", "origin": self.origin, **kws}
        if len(slopes):
            return plot_forest(slopes, ax=ax, **{"reference": 0.0, **options})
        return plot_forest(frame, ax=ax, **{**options, "x_label": f"Mean {self.label}"})

    def _plot_over_time(self, visit: str, ax: Axes | None, kws: Mapping[str, Any]) -> Axes:
        """Draw the mean of each arm at a few times between the first and the last."""
        times = self.data[visit].to_numpy(dtype=float)
        grid = np.linspace(times.min(), times.max(), _TIMES_DRAWN).round(6).tolist()
        arm = default_arm(self)
        means = self.means((arm, visit) if arm else visit, at={visit: grid})
        return means.plot(ax=ax, **{"x": visit, "show_n": False, "joined": True, **kws})

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "mmrm_result/1",
            "spec": to_plain(self.spec),
            "formula": self.spec.formula(),
            "headline": self.headline(),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "n_visits": len(self.design.visits),
            "structure": self.structure,
            "coefficients": to_plain(self.coefficients),
            "covariance": to_plain(self.covariance),
            "covariance_parameters": to_plain(self.covariance_parameters),
            "visits": to_plain([str(visit) for visit in self.design.visits]),
            "visit_covariances": self._covariances_to_plain(),
            "aic": to_plain(self.aic),
            "bic": to_plain(self.bic),
            "boundary": self.boundary,
            "notes": list(self.notes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }

    def _covariances_to_plain(self) -> Mapping[str, Any] | None:
        """Return the matrix of each group; None where the covariance is spatial."""
        if COVARIANCES[self.structure].spatial:
            return None
        return {
            str(group): to_plain(self.visit_covariance(group).to_numpy())
            for group in self.design.groups
        }
