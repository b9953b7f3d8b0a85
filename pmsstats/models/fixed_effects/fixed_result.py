"""What every model with fixed effects answers: tables, contrasts, F tests, predicted means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

import numpy as np
import pandas as pd

from pmsstats.models.fixed_effects.inference import tabulate_estimates
from pmsstats.models.formulas.contrasts import contrast_weights
from pmsstats.results import Exclusion, FitLog, Result

if TYPE_CHECKING:
    from pmsstats.cohort.schema import Measure
    from pmsstats.models.fixed_effects.anova import AnovaResult
    from pmsstats.models.fixed_effects.degrees_of_freedom import FTest, Inference
    from pmsstats.models.fixed_effects.means_result import Held, MeansResult, Weighting
    from pmsstats.models.formulas.fixed_design import FixedDesign

__all__ = ["FixedEffectsResult", "FixedEffectsSpec"]


class FixedEffectsSpec(Protocol):
    """What the request of a model with fixed effects says."""

    @property
    def outcome(self) -> str:
        """Return the column that is modelled, or a transform of one."""

    @property
    def fixed(self) -> str:
        """Return the right-hand side of the mean."""

    @property
    def conf_level(self) -> float:
        """Return the level of every interval."""

    def formula(self) -> str:
        """Return the model as a formula."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class FixedEffectsResult(Result):
    """A fitted model with fixed effects; the parts that all of them share.

    Parameters
    ----------
    spec : FixedEffectsSpec
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
    design : FixedDesign
        The columns of the model, and how to make such from other data.
    measure : Measure, optional
        Label and unit of the outcome, where the data dictionary knows it.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    """

    spec: FixedEffectsSpec
    fit_log: FitLog
    group: str
    n_subjects: int
    n_obs: int
    coefficients: pd.DataFrame
    inference: Inference
    data: pd.DataFrame
    design: FixedDesign
    measure: Measure | None = None
    origin: Literal["real", "synthetic"] = "real"
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def covariance(self) -> np.ndarray:
        """Return the covariance of the fixed effects, shape (p, p), that standard errors use."""
        return self.inference.covariance

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
    ) -> Self:
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
        FixedEffectsResult
            A new one, of the same kind.
        """
        return replace(self, measure=measure, origin=origin, exclusions=(*prior, *self.exclusions))

    def _on_whom(self) -> str:
        """Count subjects, rows, and rows left out."""
        lost = sum(e.n for e in self.exclusions if e.unit == "row")
        left_out = f", {lost} {'row' if lost == 1 else 'rows'} left out" if lost else ""
        origin = "synthetic " if self.origin == "synthetic" else ""
        return f"{self.n_subjects} {origin}subjects ({self.n_obs} rows{left_out})"

    def table(self) -> pd.DataFrame:
        """Return the fixed effects: ``term estimate std_error [df] statistic p_value ...``."""
        return self.coefficients.copy()

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
        terms = self.coefficients["term"].tolist()
        names, weights = contrast_weights(contrasts, terms, labels=labels)
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
        return tabulate_estimates(
            names,
            weights @ beta,
            np.sqrt(np.clip(variance, 0.0, None)),
            df=self.inference.df(weights),
            conf_level=self.spec.conf_level,
        )

    def f_test(
        self,
        contrasts: np.ndarray | Sequence[Any] | Mapping[str, Any],
    ) -> FTest:
        """Test that several combinations of the fixed effects are all zero.

        Parameters
        ----------
        contrasts : array_like, shape (p,) or (m, p), or mapping
            As for :meth:`contrast`.

        Returns
        -------
        FTest
            Statistic, both degrees of freedom, p value.

        Raises
        ------
        DesignError
            If a term is unknown, or the shape does not fit.

        Notes
        -----
        R: ``lmerTest::contestMD(model, L)``, ``pbkrtest::KRmodcomp``, ``mmrm::df_md``; SAS: the
        ``CONTRAST`` statement.
        """
        _, weights = contrast_weights(contrasts, self.coefficients["term"].tolist())
        return self.inference.f_test(weights, self.coefficients["estimate"].to_numpy())

    def anova(self) -> AnovaResult:
        """Test each term of the model: type III F tests.

        Returns
        -------
        AnovaResult
            ``term statistic df_numerator df_denominator p_value``; see
            :func:`pmsstats.models.fixed_effects.anova.anova`.
        """
        from pmsstats.models.fixed_effects.anova import anova

        return anova(self)

    def marginal_means(
        self,
        by: str | Sequence[str],
        *,
        at: Held | None = None,
        weights: Weighting = "equal",
    ) -> MeansResult:
        """Estimate means per level of some columns, the others balanced (least-squares means).

        Parameters
        ----------
        by : str or sequence of str
            Columns of the model.
        at : mapping, optional
            Values at which others are held, such as ``{"year": 2.0}``.
        weights : {"equal", "proportional"}, default "equal"
            Weight of the levels of other factors.

        Returns
        -------
        MeansResult
            With ``.differences(...)``; see
            :func:`pmsstats.models.fixed_effects.marginal_means.estimate_means`.
        """
        from pmsstats.models.fixed_effects.marginal_means import estimate_means

        return estimate_means(self, by, at=at, weights=weights)

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
