"""What a cumulative logit model answers: odds ratios, probabilities of levels, proportionality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pmsstats.models.responses.cumulative_logit import level_probabilities
from pmsstats.models.responses.population_result import LINKS, PopulationResult, standardised
from pmsstats.results import to_plain

if TYPE_CHECKING:
    from pmsstats.models.responses.ordinal import OrdinalSpec

__all__ = ["OrdinalResult"]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OrdinalResult(PopulationResult):
    """A fitted cumulative logit model.

    Parameters
    ----------
    spec : OrdinalSpec
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
        ``term estimate std_error statistic p_value conf_low conf_high odds_ratio odds_ratio_low
        odds_ratio_high``: log odds of a higher score, and their exponentials. For EDSS an odds
        ratio above 1 is worse.
    inference : Inference
        Covariance of the effects.
    data : pandas.DataFrame
        The rows analysed.
    design : FixedDesign
        The columns of the model, without an intercept.
    measure : Measure, optional
        Label of the outcome.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out.
    empirical : {"CR0", "CR1"} or None
        Which standard errors these are.
    model_covariance : ndarray, shape (p, p)
        Of the effects, if rows were independent.
    ratio : str
        ``"odds_ratio"``.
    notes : tuple of str
        What a reader should know.
    thresholds : pandas.DataFrame
        ``term estimate std_error conf_low conf_high``: logits of scoring at or below each cut
        point (``"4|4.5"``), where every column is zero.
    joint_covariance : ndarray, shape (n_levels - 1 + p,) * 2
        Of thresholds and effects.
    levels : tuple of str
        Scores that occur, in order.
    level : ndarray of int, shape (n_obs,)
        Level of each row.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row.
    """

    spec: OrdinalSpec
    thresholds: pd.DataFrame
    joint_covariance: np.ndarray
    levels: tuple[str, ...]
    level: np.ndarray
    subject: np.ndarray

    def headline(self) -> str:
        """Say the odds ratios of a higher score, and in whom."""
        effects = self._effects_in_words()
        found = f"odds ratios of a higher score: {effects}" if effects else "thresholds alone"
        return f"{self.label} in {self._on_whom()}, {found}; {self._how()}."

    @property
    def level_counts(self) -> pd.Series:
        """Return how many rows have each score."""
        counts = np.bincount(self.level, minlength=len(self.levels))
        return pd.Series(counts, index=list(self.levels), name="n_obs")

    @property
    def parameters(self) -> np.ndarray:
        """Return thresholds and effects in one array."""
        parts = (self.thresholds, self.coefficients)
        return np.concatenate([part["estimate"].to_numpy(dtype=float) for part in parts])

    def predict(self, newdata: pd.DataFrame) -> pd.DataFrame:
        """Estimate the probability of each score for given values of the covariates.

        Parameters
        ----------
        newdata : pandas.DataFrame
            Has every variable of the model, complete.

        Returns
        -------
        pandas.DataFrame
            Each row of `newdata` once per level, with ``level estimate std_error conf_low
            conf_high``; intervals are symmetric on the logit scale.

        Raises
        ------
        DesignError
            If a variable is absent, or a level of a factor is unknown.

        Notes
        -----
        R: ``predict(ordinal::clm(...), newdata, se.fit = TRUE)`` (with model-based errors).
        """
        X = self.design.fixed_matrix(newdata)
        probabilities, gradients = level_probabilities(self.parameters, X, len(self.levels))
        k = len(self.levels)
        made = self._probabilities(probabilities.ravel(), gradients.reshape(-1, gradients.shape[2]))
        made.insert(0, "level", list(self.levels) * len(newdata))
        clash = [c for c in made if c in newdata.columns]
        repeated = newdata.drop(columns=clash).loc[newdata.index.repeat(k)].reset_index(drop=True)
        return pd.concat([repeated, made], axis=1)

    def means(self, by: str | None = None) -> pd.DataFrame:
        """Estimate the share of each score, if everybody had the same level of a factor.

        Parameters
        ----------
        by : str, optional
            Factor of the model (the arm, say); by default the population as it is.

        Returns
        -------
        pandas.DataFrame
            ``group n_subjects level estimate std_error conf_low conf_high``.

        Notes
        -----
        Standardisation: every row analysed is predicted at each level of `by`, and predictions
        are averaged. R: ``marginaleffects::avg_predictions(fit, variables = by)``.
        """
        parts = []
        for name, rows, n_subjects in standardised(self, by):
            X = self.design.fixed_matrix(rows)
            p, slopes = level_probabilities(self.parameters, X, len(self.levels))
            made = self._probabilities(p.mean(axis=0), slopes.mean(axis=0))
            made.insert(0, "level", list(self.levels))
            made.insert(0, "n_subjects", n_subjects)
            made.insert(0, "group", name)
            parts.append(made)
        return pd.concat(parts, ignore_index=True)

    def _probabilities(self, p: np.ndarray, gradients: np.ndarray) -> pd.DataFrame:
        """Tabulate probabilities with errors by the delta method."""
        variance = np.einsum("ma,ab,mb->m", gradients, self.joint_covariance, gradients)
        error = np.sqrt(np.clip(variance, 0.0, None))
        low, high = LINKS["logit"].interval(p, error, self.spec.conf_level)
        return pd.DataFrame({"estimate": p, "std_error": error, "conf_low": low, "conf_high": high})

    def check_proportional_odds(self, *, min_rows: int = 10) -> pd.DataFrame:
        """Test whether the odds ratios are the same at every cut point.

        Parameters
        ----------
        min_rows : int, default 10
            Cut points with fewer rows on either side are left out.

        Returns
        -------
        pandas.DataFrame
            See :func:`pmsstats.models.responses.proportional_odds.check_proportional_odds`.

        Notes
        -----
        R: ``brant::brant(polr_model)``, which takes rows as independent.
        """
        from pmsstats.models.responses.proportional_odds import check_proportional_odds

        return check_proportional_odds(self, min_rows=min_rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "ordinal_result/1",
            **self._fields(),
            "thresholds": to_plain(self.thresholds),
            "level_counts": to_plain(self.level_counts.to_dict()),
        }
