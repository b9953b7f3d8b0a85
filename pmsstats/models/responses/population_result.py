"""What models of scores, counts and yes/no outcomes answer: ratios, and means of the population."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from pmsstats.errors import DesignError, nearest
from pmsstats.models.fixed_effects.fixed_result import FixedEffectsResult
from pmsstats.models.fixed_effects.inference import quantile, tabulate_estimates
from pmsstats.models.fixed_effects.reference_grid import is_level
from pmsstats.results import format_number, to_plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pmsstats.models.fixed_effects.degrees_of_freedom import Inference
    from pmsstats.models.responses.population_design import Empirical

__all__ = [
    "LINKS",
    "Link",
    "MeanResult",
    "PopulationResult",
    "ratio_table",
    "standardised",
    "tabulate_coefficients",
]

_INTERCEPT = "Intercept"
_MOST_NAMED = 3
_MOST_LEVELS = 50
_ERROR_WORDS = {
    None: "model-based errors",
    "CR0": "errors robust by subject",
    "CR1": "errors robust by subject (CR1)",
    "CR3": "errors robust by subject (Mancl-DeRouen)",
}


@dataclass(frozen=True)
class Link:
    """How the linear scale of a model belongs to the scale of its outcome.

    Parameters
    ----------
    name : {"identity", "log", "logit"}
        Its name.
    """

    name: str

    def mean(self, eta: np.ndarray) -> np.ndarray:
        """Map the linear scale to the mean.

        Parameters
        ----------
        eta : ndarray
            Linear scale.

        Returns
        -------
        ndarray
            Means.
        """
        eta = np.asarray(eta, dtype=float)
        return {"identity": lambda e: e, "log": np.exp, "logit": expit}[self.name](eta)

    def linear(self, mean: np.ndarray) -> np.ndarray:
        """Map means to the linear scale.

        Parameters
        ----------
        mean : ndarray
            Means.

        Returns
        -------
        ndarray
            Linear scale.
        """
        with np.errstate(divide="ignore"):
            return {"identity": lambda m: m, "log": np.log, "logit": logit}[self.name](mean)

    def slope(self, mean: np.ndarray) -> np.ndarray:
        """Return the derivative of the mean in the linear scale.

        Parameters
        ----------
        mean : ndarray
            Means.

        Returns
        -------
        ndarray
            Of the same shape.
        """
        mean = np.asarray(mean, dtype=float)
        return {
            "identity": np.ones_like,
            "log": lambda m: m,
            "logit": lambda m: m * (1 - m),
        }[self.name](mean)

    def interval(
        self, mean: np.ndarray, std_error: np.ndarray, conf_level: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return an interval of means that is symmetric on the linear scale.

        Parameters
        ----------
        mean, std_error : ndarray
            On the scale of the outcome.
        conf_level : float
            For example 0.95.

        Returns
        -------
        low, high : ndarray
            Ends, on the scale of the outcome.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            half = quantile(conf_level) * std_error / self.slope(mean)
        middle = self.linear(mean)
        return self.mean(middle - half), self.mean(middle + half)


LINKS = {name: Link(name) for name in ("identity", "log", "logit")}
"""Links by name."""


def ratio_table(table: pd.DataFrame, ratio: str | None) -> pd.DataFrame:
    """Add the exponentials of estimates and their intervals to a table.

    Parameters
    ----------
    table : pandas.DataFrame
        ``term estimate ... conf_low conf_high``.
    ratio : str or None
        Name of the ratio, for example ``"odds_ratio"``; None adds nothing.

    Returns
    -------
    pandas.DataFrame
        With ``<ratio> <ratio>_low <ratio>_high``; missing for the intercept, which is no ratio.
    """
    if ratio is None:
        return table
    is_ratio = table["term"].to_numpy() != _INTERCEPT
    added = {}
    with np.errstate(over="ignore"):
        for column, name in (("estimate", ""), ("conf_low", "_low"), ("conf_high", "_high")):
            values = np.exp(table[column].to_numpy(dtype=float))
            added[f"{ratio}{name}"] = np.where(is_ratio, values, np.nan)
    return table.assign(**added)


def tabulate_coefficients(
    names: Sequence[str],
    estimates: np.ndarray,
    inference: Inference,
    *,
    ratio: str | None,
    conf_level: float,
) -> pd.DataFrame:
    """Tabulate coefficients with their ratios.

    Parameters
    ----------
    names : sequence of str
        Of the coefficients.
    estimates : ndarray, shape (p,)
        On the linear scale.
    inference : Inference
        Their covariance.
    ratio : str or None
        See :func:`ratio_table`.
    conf_level : float
        Of the intervals.

    Returns
    -------
    pandas.DataFrame
        ``term estimate std_error statistic p_value conf_low conf_high`` and the ratio.
    """
    variance = np.diag(inference.covariance)
    made = tabulate_estimates(
        names,
        estimates,
        np.sqrt(np.where(variance >= 0, variance, np.nan)),  # where there is no solution
        df=inference.df(np.eye(len(estimates))),
        conf_level=conf_level,
    )
    return ratio_table(made, ratio)


def standardised(fit: FixedEffectsResult, by: str | None) -> list[tuple[str, pd.DataFrame, int]]:
    """Return the rows analysed as if every one of them had the same level of a factor.

    Parameters
    ----------
    fit : FixedEffectsResult
        A fitted model.
    by : str or None
        Column of its mean; None leaves the rows as they are.

    Returns
    -------
    list of tuple
        For each level: its name, the rows, and how many subjects were observed at it.

    Raises
    ------
    DesignError
        If the mean does not depend on that column, or it has too many values.
    """
    rows = fit.data
    if by is None:
        return [("all", rows, fit.n_subjects)]
    fixed = fit.design.fixed
    if by not in fixed.variables:
        raise DesignError(
            f"`by` must be a column of the model's mean, got {by!r}."
            f"{nearest(by, fixed.variables)} The mean is {fit.spec.fixed}."
        )
    levels = fixed.levels.get(by) or tuple(sorted(rows[by].unique()))
    if len(levels) > _MOST_LEVELS:
        raise DesignError(f"{by!r} has {len(levels)} values; name a factor, or use predict().")
    dtype = object if pd.api.types.is_bool_dtype(rows[by].dtype) else rows[by].dtype
    out = []
    for level in levels:
        column = pd.Series([level] * len(rows), index=rows.index, dtype=dtype)
        n_subjects = int(rows.loc[is_level(rows[by], level), fit.group].nunique())
        out.append((str(level), rows.assign(**{by: column}), n_subjects))
    return out


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class PopulationResult(FixedEffectsResult):
    """A fitted model of the population mean; the parts that all of them share.

    Parameters
    ----------
    spec : FixedEffectsSpec
        What was asked.
    fit_log : FitLog
        What the engine did.
    group : str
        Column that tells subjects apart.
    n_subjects : int
        Subjects analysed.
    n_obs : int
        Rows analysed.
    coefficients : pandas.DataFrame
        ``term estimate std_error statistic p_value conf_low conf_high`` on the linear scale, and
        the ratio with its interval.
    inference : Inference
        Covariance of the coefficients.
    data : pandas.DataFrame
        The rows analysed.
    design : FixedDesign
        The columns of the model, and how to make such from other data.
    measure : Measure, optional
        Label and unit of the outcome.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out, with reasons.
    empirical : {"CR0", "CR1", "CR3"} or None
        Which standard errors these are: by subject, or model-based (None).
    model_covariance : ndarray, shape (p, p)
        Of the coefficients, if the model is right.
    ratio : str or None
        What the exponential of a coefficient is called: ``"odds_ratio"``, ``"rate_ratio"``.
    notes : tuple of str
        What a reader should know.
    """

    empirical: Empirical | None
    model_covariance: np.ndarray
    ratio: str | None
    notes: tuple[str, ...] = ()

    def estimate(self, names: Sequence[str], weights: np.ndarray) -> pd.DataFrame:
        """Tabulate combinations of the coefficients, with their ratios.

        Parameters
        ----------
        names : sequence of str
            One per combination.
        weights : ndarray, shape (m, p)
            Missing in rows that cannot be estimated.

        Returns
        -------
        pandas.DataFrame
            ``term estimate std_error statistic p_value conf_low conf_high`` and the ratio.
        """
        return ratio_table(super().estimate(names, weights), self.ratio)

    def plot(self, *, ax: Axes | None = None, **kws: Any) -> Axes:
        """Draw the ratios (or the effects, where there are none) with their intervals."""
        from pmsstats.plots import plot_forest

        stem = self.ratio or "estimate"
        ends = (f"{stem}_low", f"{stem}_high") if self.ratio else ("conf_low", "conf_high")
        rows = self.coefficients[self.coefficients["term"] != _INTERCEPT]
        rows = rows if len(rows) else self.coefficients
        columns = {"term": "label", stem: "estimate", ends[0]: "conf_low", ends[1]: "conf_high"}
        level = f"{100 * self.spec.conf_level:g} % CI"
        what = stem.replace("_", " ").capitalize() if self.ratio else f"Effect on {self.label}"
        options = {
            "reference": 1.0 if self.ratio else 0.0,
            "log": bool(self.ratio) and bool((rows[stem] > 0).any()),
            "x_label": f"{what} ({level})",
            "origin": self.origin,
        }
        return plot_forest(rows[list(columns)].rename(columns=columns), ax=ax, **(options | kws))

    def _effects_in_words(self) -> str:
        """Name the first few effects with their intervals."""
        stem = self.ratio or "estimate"
        ends = (f"{stem}_low", f"{stem}_high") if self.ratio else ("conf_low", "conf_high")
        rows = self.coefficients[self.coefficients["term"] != _INTERCEPT]
        words = []
        for _, row in rows.head(_MOST_NAMED).iterrows():
            value, low, high = (format_number(float(row[c]), 3) for c in (stem, *ends))
            words.append(f"{row['term']} {value} ({low} to {high})")
        more = f" and {len(rows) - _MOST_NAMED} more" if len(rows) > _MOST_NAMED else ""
        return ", ".join(words) + more

    def _how(self) -> str:
        """Say which errors these are, and anything that went wrong."""
        log = self.fit_log
        state = "converged" if log.converged else "did NOT converge"
        level = f"{100 * self.spec.conf_level:g} % intervals"
        return "; ".join([f"{level}, {_ERROR_WORDS[self.empirical]}", state, *self.notes])

    def _fields(self) -> dict[str, Any]:
        """Return what the dictionaries of all these results have in common."""
        return {
            "spec": to_plain(self.spec),
            "formula": self.spec.formula(),
            "headline": self.headline(),
            "fit_log": to_plain(self.fit_log),
            "n_subjects": self.n_subjects,
            "n_obs": self.n_obs,
            "coefficients": to_plain(self.coefficients),
            "empirical": self.empirical,
            "covariance": to_plain(self.covariance),
            "model_covariance": to_plain(self.model_covariance),
            "notes": list(self.notes),
            "origin": self.origin,
            "exclusions": to_plain(self.exclusions),
        }


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class MeanResult(PopulationResult):
    """A fitted model of a mean through a link.

    Parameters
    ----------
    spec : FixedEffectsSpec
        What was asked.
    fit_log : FitLog
        What the engine did.
    group : str
        Column that tells subjects apart.
    n_subjects : int
        Subjects analysed.
    n_obs : int
        Rows analysed.
    coefficients : pandas.DataFrame
        On the linear scale, with the ratio.
    inference : Inference
        Covariance of the coefficients.
    data : pandas.DataFrame
        The rows analysed.
    design : FixedDesign
        The columns of the model.
    measure : Measure, optional
        Label and unit of the outcome.
    origin : {"real", "synthetic"}
        Where the data come from.
    exclusions : tuple of Exclusion
        Rows that were left out.
    empirical : {"CR0", "CR1", "CR3"} or None
        Which standard errors these are.
    model_covariance : ndarray, shape (p, p)
        Of the coefficients, if the model is right.
    ratio : str or None
        What the exponential of a coefficient is called.
    notes : tuple of str
        What a reader should know.
    link : Link
        From the linear scale to the mean.
    """

    link: Link

    def predict(self, newdata: pd.DataFrame) -> pd.DataFrame:
        """Estimate the mean (a rate, a probability) for given values of the covariates.

        Parameters
        ----------
        newdata : pandas.DataFrame
            Has every variable of the mean, complete. Rates are per unit of the exposure.

        Returns
        -------
        pandas.DataFrame
            The rows of `newdata` with ``estimate std_error conf_low conf_high`` added; intervals
            are symmetric on the linear scale.

        Raises
        ------
        DesignError
            If a variable is absent, a level is unknown, or a mean cannot be estimated.

        Notes
        -----
        R: ``predict(fit, newdata, type = "response", se.fit = TRUE)``, ``marginaleffects::
        predictions``.
        """
        X = self.design.fixed_matrix(newdata)
        mean = self.link.mean(X @ self.coefficients["estimate"].to_numpy())
        gradient = self.link.slope(mean)[:, None] * X
        made = self._means(mean, gradient)
        clash = [c for c in made if c in newdata.columns]
        return pd.concat([newdata.drop(columns=clash).reset_index(drop=True), made], axis=1)

    def means(self, by: str | None = None) -> pd.DataFrame:
        """Estimate the mean of the population, if all of it had the same level of a factor.

        Parameters
        ----------
        by : str, optional
            Factor of the model (the arm, say); by default the population as it is.

        Returns
        -------
        pandas.DataFrame
            ``group n_subjects estimate std_error conf_low conf_high``; rates are per unit of the
            exposure.

        Notes
        -----
        Standardisation: every row analysed is predicted at each level, and predictions are
        averaged; errors by the delta method, for the covariates as observed. R:
        ``marginaleffects::avg_predictions(fit, variables = by)``; Stata: ``margins``.
        """
        beta = self.coefficients["estimate"].to_numpy()
        groups, means, gradients, counts = [], [], [], []
        for name, rows, n_subjects in standardised(self, by):
            X = self.design.fixed_matrix(rows)
            mean = self.link.mean(X @ beta)
            groups.append(name)
            counts.append(n_subjects)
            means.append(mean.mean())
            gradients.append((self.link.slope(mean)[:, None] * X).mean(axis=0))
        made = self._means(np.array(means), np.array(gradients))
        return pd.concat([pd.DataFrame({"group": groups, "n_subjects": counts}), made], axis=1)

    def _means(self, mean: np.ndarray, gradient: np.ndarray) -> pd.DataFrame:
        """Tabulate means with errors by the delta method."""
        variance = np.einsum("ma,ab,mb->m", gradient, self.covariance, gradient)
        error = np.sqrt(np.clip(variance, 0.0, None))
        low, high = self.link.interval(mean, error, self.spec.conf_level)
        return pd.DataFrame(
            {"estimate": mean, "std_error": error, "conf_low": low, "conf_high": high}
        )
