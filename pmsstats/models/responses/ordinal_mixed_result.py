"""What an ordinal mixed model answers: odds ratios within subjects, and shares of a population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from scipy.special import expit, ndtr

from pmsstats.errors import DesignError
from pmsstats.models.fixed_effects.inference import quantile
from pmsstats.models.pairs.pair_estimates import correlation_of, fisher_estimate
from pmsstats.models.responses.population_result import LINKS, PopulationResult
from pmsstats.results import format_number, to_plain

if TYPE_CHECKING:
    from pmsstats.models.formulas.design import DesignSpec
    from pmsstats.models.responses.ordinal_mixed import OrdinalMixedSpec
    from pmsstats.models.responses.ordinal_mixed_fit import OrdinalMaximum

__all__ = ["OrdinalMixedResult", "OrdinalScale"]

Kind = Literal["population", "subject"]
_WIDEST = 8.5  # SDs over which the random effects are integrated: 2e-17 lies beyond
_N_POINTS = 401
_ROOT_2_PI = float(np.sqrt(2 * np.pi))
_INTERCEPT = "Intercept"


@dataclass(frozen=True, eq=False, kw_only=True)
class OrdinalScale:
    """The way from the common scale back to the user's units.

    Parameters
    ----------
    centre : ndarray, shape (p,)
        Means of the fixed columns.
    back : ndarray, shape (p, p)
        ``beta = back @ gamma``.
    back_random : ndarray, shape (q, q)
        ``b = back_random @ c`` for random effects c on the common scale.
    """

    centre: np.ndarray
    back: np.ndarray
    back_random: np.ndarray

    def location_map(self, n_cuts: int) -> np.ndarray:
        """Return the linear map of thresholds and effects to the user's units.

        Parameters
        ----------
        n_cuts : int
            Number of thresholds.
        """
        p = len(self.centre)
        T = np.eye(n_cuts + p)
        T[n_cuts:, n_cuts:] = self.back
        T[:n_cuts, n_cuts:] = self.centre @ self.back
        return T


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class OrdinalMixedResult(PopulationResult):
    """A fitted cumulative model with random effects.

    Parameters
    ----------
    spec : OrdinalMixedSpec
        What was asked.
    fit_log : FitLog
        What the optimiser did; its message is the certificate of maximum and quadrature.
    group : str
        Column that tells subjects apart.
    n_subjects : int
        Subjects analysed.
    n_obs : int
        Rows analysed.
    coefficients : pandas.DataFrame
        ``term estimate std_error statistic p_value conf_low conf_high``, with logit link also
        ``odds_ratio odds_ratio_low odds_ratio_high``: of a higher score, within a subject. For
        EDSS an odds ratio above 1 is worse.
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
    empirical : None
        Errors come from the observed information.
    model_covariance : ndarray, shape (p, p)
        Of the effects.
    ratio : str or None
        ``"odds_ratio"`` with logit link.
    notes : tuple of str
        What a reader should know: levels merged, levels nobody has.
    thresholds : pandas.DataFrame
        ``term estimate std_error conf_low conf_high``: cut points (``"4|4.5"``) of the latent
        score of a subject whose random effects are zero.
    levels : tuple of str
        Levels, in order.
    level : ndarray of int, shape (n_obs,)
        Level of each row.
    subject : ndarray of int, shape (n_obs,)
        Subject number of each row.
    subject_ids : tuple
        Subject id of each number.
    random : DesignSpec
        Makes the columns of the random effects from other data.
    scale : OrdinalScale
        The way to the user's units.
    maximum : OrdinalMaximum
        The fit on the common scale.
    """

    spec: OrdinalMixedSpec
    thresholds: pd.DataFrame
    levels: tuple[str, ...]
    level: np.ndarray
    subject: np.ndarray
    subject_ids: tuple[Any, ...]
    random: DesignSpec
    scale: OrdinalScale
    maximum: OrdinalMaximum

    def headline(self) -> str:
        """Say the odds ratios of a higher score within a subject, and in whom."""
        effects = self._effects_in_words()
        what = "odds ratios" if self.ratio else "probit effects"
        found = f"{what} of a higher score within a subject: {effects}"
        if not effects:
            found = "thresholds and variances alone"
        first = self.variance_components().iloc[0]
        between = f"SD between subjects {format_number(float(first['estimate']), 3)}"
        singular = "; singular: some random effect is estimated not to vary"
        tail = singular if self.fit_log.singular else ""
        return f"{self.label} in {self._on_whom()}, {found}; {between}; {self._how()}{tail}."

    @property
    def random_names(self) -> tuple[str, ...]:
        """Return the names of the random effects."""
        return tuple("intercept" if c == _INTERCEPT else str(c) for c in self.random.columns)

    @property
    def random_covariance(self) -> pd.DataFrame:
        """Return the covariance of the random effects, labelled."""
        D, _ = self._covariance()
        return pd.DataFrame(D, index=list(self.random_names), columns=list(self.random_names))

    @property
    def level_counts(self) -> pd.Series:
        """Return how many rows have each level."""
        counts = np.bincount(self.level, minlength=len(self.levels))
        return pd.Series(counts, index=list(self.levels), name="n_obs")

    @property
    def log_likelihood(self) -> float:
        """Return the maximum of the log-likelihood; R: ``logLik(ordinal::clmm(...))``."""
        return float(self.maximum.terms.log_likelihood)

    def variance_components(self) -> pd.DataFrame:
        """Tabulate SDs and correlations of the random effects.

        Returns
        -------
        pandas.DataFrame
            ``term kind estimate std_error conf_low conf_high``: SDs with intervals symmetric on
            the log scale, correlations on Fisher's z; without intervals where the fit is singular.
        """
        D, covariance = self._covariance()
        q = len(D)
        rows = []
        for i, name in enumerate(self.random_names):
            sd = float(np.sqrt(D[i, i]))
            error = (
                float(np.sqrt(covariance[i * q + i, i * q + i])) / (2 * sd) if sd > 0 else np.nan
            )
            half = quantile(self.spec.conf_level) * error / sd if sd > 0 else np.nan
            rows.append((name, "sd", sd, error, sd * np.exp(-half), sd * np.exp(half)))
        unit = np.eye(q)
        for i, j in zip(*np.triu_indices(q, 1), strict=True):
            label = f"{self.random_names[i]} with {self.random_names[j]}"
            rho, error = correlation_of(D, covariance, unit[i], unit[j])
            made = fisher_estimate(
                label, rho, error, n_subjects=self.n_subjects, conf_level=self.spec.conf_level
            )
            rows.append((label, "correlation", rho, made.std_error, made.conf_low, made.conf_high))
        columns = ["term", "kind", "estimate", "std_error", "conf_low", "conf_high"]
        return pd.DataFrame(rows, columns=columns)

    def blups(self) -> pd.DataFrame:
        """Return each subject's random effects: posterior modes, with their errors.

        Returns
        -------
        pandas.DataFrame
            The subject's id, then per effect its mode and ``<effect>_std_error`` (parameters
            taken as known). Higher is worse for EDSS.

        Notes
        -----
        R: ``ordinal::ranef(model)`` and ``condVar(model)``.
        """
        to_user = self.scale.back_random @ self._root()
        modes = self.maximum.nodes.mode @ to_user.T
        spread = to_user @ self.maximum.nodes.covariance @ to_user.T
        columns: dict[str, Any] = {self.group: list(self.subject_ids)}
        for i, name in enumerate(self.random_names):
            columns[name] = modes[:, i]
            columns[f"{name}_std_error"] = np.sqrt(np.clip(spread[:, i, i], 0.0, None))
        return pd.DataFrame(columns)

    def predict(self, newdata: pd.DataFrame, *, kind: Kind = "population") -> pd.DataFrame:
        """Estimate the probability of each level for given values of the covariates.

        Parameters
        ----------
        newdata : pandas.DataFrame
            Has every variable of the model, complete, apart from the subject.
        kind : {"population", "subject"}, default "population"
            The share of all such subjects that have the level; or the probability in a subject
            whose random effects are zero.

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
        Probabilities of the population are those of a subject, averaged over random effects:
        ``E F(zeta_k - x'beta - s t)`` for a standard normal t and ``s^2 = z'D z``. Errors by the
        delta method.
        """
        if kind not in {"population", "subject"}:
            raise DesignError(f"`kind` must be 'population' or 'subject', got {kind!r}.")
        X = self.design.fixed_matrix(newdata)
        Z = self.random.matrix(newdata).to_numpy() if kind == "population" else None
        p, gradients = self._probabilities(X, Z)
        made = self._tabulated(p.ravel(), gradients.reshape(-1, gradients.shape[2]))
        made.insert(0, "level", list(self.levels) * len(newdata))
        clash = [c for c in made if c in newdata.columns]
        repeats = newdata.index.repeat(len(self.levels))
        repeated = newdata.drop(columns=clash).loc[repeats].reset_index(drop=True)
        return pd.concat([repeated, made], axis=1)

    def check_proportional_odds(self, *, min_rows: int = 10) -> pd.DataFrame:
        """Test whether the effects are the same at every cut point.

        Parameters
        ----------
        min_rows : int, default 10
            Cut points with fewer rows on either side are left out.

        Returns
        -------
        pandas.DataFrame
            See :func:`pmsstats.models.responses.ordinal_mixed_odds.check_mixed_odds`.
        """
        from pmsstats.models.responses.ordinal_mixed_odds import check_mixed_odds

        return check_mixed_odds(self, min_rows=min_rows)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "schema": "ordinal_mixed_result/1",
            **self._fields(),
            "thresholds": to_plain(self.thresholds),
            "variance_components": to_plain(self.variance_components()),
            "level_counts": to_plain(self.level_counts.to_dict()),
        }

    def _root(self) -> np.ndarray:
        """Return the root of the covariance on the common scale."""
        q = len(self.scale.back_random)
        L = np.zeros((q, q))
        L[np.tril_indices(q)] = self.maximum.theta[-(q * (q + 1) // 2) :]
        return L

    def _covariance(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the random effects' covariance (q, q), and that of its entries (q * q, q * q)."""
        L, B = self._root(), self.scale.back_random
        q = len(L)
        D = B @ L @ L.T @ B.T
        k = q * (q + 1) // 2
        if self.fit_log.singular:
            return D, np.full((q * q, q * q), np.nan)
        slopes = np.empty((q * q, k))
        for column, (i, j) in enumerate(zip(*np.tril_indices(q), strict=True)):
            turn = np.outer(B[:, i], (B @ L)[:, j])
            slopes[:, column] = (turn + turn.T).ravel()
        return D, slopes @ self.maximum.covariance[-k:, -k:] @ slopes.T

    def _probabilities(self, X: np.ndarray, Z: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return probabilities (n, n_levels) and their gradients in the common scale's numbers."""
        n, k, q = len(X), len(self.levels) - 1, len(self.scale.back_random)
        X = (X - self.scale.centre) @ self.scale.back
        theta, L = self.maximum.theta, self._root()
        p = X.shape[1]
        W = np.zeros((n, q)) if Z is None else Z @ self.scale.back_random
        turned = W @ L
        s = np.linalg.norm(turned, axis=1)
        at = np.linspace(-_WIDEST, _WIDEST, _N_POINTS)
        weight = np.exp(-(at**2) / 2) * (at[1] - at[0]) / _ROOT_2_PI
        below = np.zeros((n, k + 2))
        slopes = np.zeros((n, k + 2, len(theta)))
        below[:, -1] = 1.0
        direction = turned / np.where(s > 0, s, 1.0)[:, None]  # ds/dL_ab = w_a (L'w)_b / s
        a, b = np.tril_indices(q)
        for cut in range(k):
            latent = (theta[cut] - X @ theta[k : k + p])[:, None] - s[:, None] * at
            F, f = _distribution(self.spec.link, latent)
            below[:, cut + 1] = F @ weight
            density = f @ weight
            slopes[:, cut + 1, cut] = density
            slopes[:, cut + 1, k : k + p] = -density[:, None] * X
            wide = -(f @ (weight * at))
            slopes[:, cut + 1, k + p :] = wide[:, None] * W[:, a] * direction[:, b]
        return np.diff(below, axis=1), np.diff(slopes, axis=1)

    def _tabulated(self, p: np.ndarray, gradients: np.ndarray) -> pd.DataFrame:
        """Tabulate probabilities with errors by the delta method."""
        variance = np.einsum("ma,ab,mb->m", gradients, self.maximum.covariance, gradients)
        error = np.sqrt(np.clip(variance, 0.0, None))
        low, high = LINKS["logit"].interval(p, error, self.spec.conf_level)
        return pd.DataFrame({"estimate": p, "std_error": error, "conf_low": low, "conf_high": high})


def _distribution(link: str, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return distribution function and density of the latent score."""
    if link == "logit":
        F = expit(x)
        return F, F * expit(-x)
    return ndtr(x), np.exp(-(x**2) / 2) / _ROOT_2_PI
