"""Two-stage models: the effect on the outcome regressed on the estimated effect on the surrogate.

References
----------
.. [1] Buyse M, Molenberghs G, Burzykowski T, Renard D, Geys H. The validation of surrogate
   endpoints in meta-analyses of randomized experiments. Biostatistics 2000;1:49-67.
   doi:10.1093/biostatistics/1.1.49
.. [2] Tibaldi F, Cortinas Abrahantes J, Molenberghs G, et al. Simplified hierarchical linear
   models for the evaluation of surrogate endpoints. J Stat Comput Simul 2003;73:643-658.
   doi:10.1080/0094965031000062177
.. [3] Knapp G, Hartung J. Improved tests for a random effects meta-regression with a single
   covariate. Stat Med 2003;22:2693-2710. doi:10.1002/sim.1482
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.surrogacy.effect_model import EffectFit, EffectModel, fit_effects
from pmsstats.surrogacy.threshold import PredictionLine
from pmsstats.surrogacy.trial_fit import TrialFit

__all__ = ["MetaRegression", "WeightedRegression"]

_SINGULAR = 1e-10  # smallest over largest eigenvalue of the standardised cross-products
_START = 0.5  # of the variance between trials: somewhere inside


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightedRegression:
    """Weighted least squares of one effect on the other: the reduced and the full model of [2]_.

    Parameters
    ----------
    surrogate : ndarray, shape (n_trials, n_surrogates)
        Effects on surrogates.
    outcome : ndarray, shape (n_trials,)
        Effects on the outcome.
    weights : ndarray, shape (n_trials,)
        Of trials; their scale does not matter.
    extra : ndarray, shape (n_trials,), optional
        Mean of the surrogate in the reference arm, which the full model has beside its effect; the
        line is then that at the mean of these.
    """

    surrogate: np.ndarray
    outcome: np.ndarray
    weights: np.ndarray
    extra: np.ndarray | None = None

    @property
    def within(self) -> np.ndarray:
        """Return zeros: the residual variance has all errors in it."""
        k = self.surrogate.shape[1] + 1
        return np.zeros((len(self.outcome), k, k))

    def _columns(self) -> np.ndarray:
        """Return the standardised regressors, without intercept."""
        extra = [] if self.extra is None else [self.extra]
        return np.column_stack([self.surrogate, *extra])

    def _solve(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return coefficients, inverse cross-products, residual and total squares of each set."""
        columns = self._columns()
        X = np.column_stack([np.ones(len(columns)), columns])
        w = counts * self.weights / self.weights.mean()
        XX = np.einsum("rn,np,nq->rpq", w, X, X)
        root = np.sqrt(np.maximum(np.einsum("rpp->rp", XX), 1e-300))
        unit = XX / (root[:, :, None] * root[:, None, :])
        values = np.linalg.eigvalsh(unit)
        regular = values[:, 0] > _SINGULAR * values[:, -1]
        safe = np.where(regular[:, None, None], unit, np.eye(X.shape[1]))
        inverse = np.linalg.inv(safe) / (root[:, :, None] * root[:, None, :])
        beta = np.einsum("rpq,rn,nq,n->rp", inverse, w, X, self.outcome)
        residual = self.outcome - beta @ X.T
        centre = (w @ self.outcome) / np.maximum(w.sum(axis=1), 1e-300)
        total = (w * (self.outcome - centre[:, None]) ** 2).sum(axis=1)
        beta = np.where(regular[:, None], beta, np.nan)
        return beta, inverse, (w * residual**2).sum(axis=1), total

    def squared(self, counts: np.ndarray) -> np.ndarray:
        """Return R2 for many weightings of the trials.

        Parameters
        ----------
        counts : ndarray, shape (n_sets, n_trials)
            How often each trial counts.

        Returns
        -------
        ndarray, shape (n_sets,)
            Missing where fewer different trials than coefficients and one are left.
        """
        beta, _, squares, total = self._solve(counts)
        enough = (counts > 0).sum(axis=1) > beta.shape[1]
        good = enough & np.isfinite(beta).all(axis=1) & (total > 0)
        return np.where(good, 1 - squares / np.where(total > 0, total, 1.0), np.nan)

    def fits(self, counts: np.ndarray) -> list[TrialFit]:
        """Fit several weightings of the trials.

        Parameters
        ----------
        counts : ndarray, shape (n_sets, n_trials)
            How often each trial counts.

        Returns
        -------
        list of TrialFit
            Their lines are for a new trial of average weight.
        """
        beta, inverse, squares, _ = self._solve(counts)
        r2, df = self.squared(counts), counts.sum(axis=1) - beta.shape[1]
        return [
            TrialFit(r2=float(r2[r]), line=self._line(counts[r], beta[r], inverse[r], v, df[r]))
            for r, v in enumerate(squares / np.where(df > 0, df, np.nan))
        ]

    def _line(
        self,
        counts: np.ndarray,
        beta: np.ndarray,
        inverse: np.ndarray,
        variance: float,
        df: float,
    ) -> PredictionLine:
        """Return the line in the effects on surrogates."""
        turn = np.eye(len(beta))[: self.surrogate.shape[1] + 1]
        if self.extra is not None:
            w = counts * self.weights
            turn[0, -1] = w @ self.extra / w.sum()  # the line at the mean of the reference arms
        coefficients = turn @ beta
        return PredictionLine(
            intercept=float(coefficients[0]),
            slopes=coefficients[1:],
            covariance=turn @ inverse @ turn.T * variance,
            residual_variance=float(variance),
            df=float(df) if df > 0 else float("nan"),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class MetaRegression:
    """Random-effects meta-regression, by restricted likelihood with the errors of [3]_.

    Parameters
    ----------
    surrogate : ndarray, shape (n_trials, n_surrogates)
        Effects on surrogates, taken as known.
    outcome : ndarray, shape (n_trials,)
        Effects on the outcome.
    variance : ndarray, shape (n_trials,)
        Their sampling variances.
    """

    surrogate: np.ndarray
    outcome: np.ndarray
    variance: np.ndarray

    @property
    def within(self) -> np.ndarray:
        """Return the sampling variances of the effects on the outcome."""
        k = self.surrogate.shape[1] + 1
        made = np.zeros((len(self.outcome), k, k))
        made[:, -1, -1] = self.variance
        return made

    def _model(self, X: np.ndarray) -> EffectModel:
        """Return the model with given regressors, on the scale of the outcome's spread."""
        scale = self.outcome.std()
        n = len(self.outcome)
        return EffectModel(
            effects=(self.outcome / scale)[:, None],
            design=X[:, None, :],
            within=(self.variance / scale**2)[:, None, None],
            basis=np.ones((n, 1, 1, 1)),
            sizes=(1,),
        )

    def _regressors(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return intercept and standardised effects on surrogates, with centre and scale."""
        centre, scale = self.surrogate.mean(axis=0), self.surrogate.std(axis=0)
        X = (self.surrogate - centre) / scale
        return np.column_stack([np.ones(len(X)), X]), centre, scale

    def _fit(self, counts: np.ndarray, X: np.ndarray) -> EffectFit:
        """Maximise the restricted likelihood."""
        return fit_effects(self._model(X), counts, (np.full((1, 1), _START),))

    def variance_between(self, counts: np.ndarray) -> float:
        """Return the variance of true effects on the outcome between trials, without surrogates.

        Parameters
        ----------
        counts : ndarray, shape (n_trials,)
            How often each trial counts.

        Returns
        -------
        float
            By restricted likelihood.
        """
        found = self._fit(counts[None], self._regressors()[0][:, :1])
        return float(found.phi[0, 0]) * float(self.outcome.std()) ** 2

    def squared(self, counts: np.ndarray) -> np.ndarray:
        """Return the share of the variance between trials that goes away, for many weightings.

        Parameters
        ----------
        counts : ndarray, shape (n_sets, n_trials)
            How often each trial counts.

        Returns
        -------
        ndarray, shape (n_sets,)
            At least 0; missing where there is no variance between trials, or too few trials.
        """
        X = self._regressors()[0]
        enough = (counts > 0).sum(axis=1) > X.shape[1]
        with_it, without = self._fit(counts, X), self._fit(counts, X[:, :1])
        tau2, tau2_null = with_it.phi[:, 0], without.phi[:, 0]
        some = tau2_null > 1e-8  # of the variance of the estimates: not zero
        made = 1 - tau2 / np.where(some, tau2_null, 1.0)
        good = enough & some & with_it.converged & without.converged
        return np.where(good, np.maximum(made, 0.0), np.nan)

    def fits(self, counts: np.ndarray) -> list[TrialFit]:
        """Fit several weightings of the trials.

        Parameters
        ----------
        counts : ndarray, shape (n_sets, n_trials)
            How often each trial counts.

        Returns
        -------
        list of TrialFit
            Their lines are for the true effect in a new trial.
        """
        found, r2 = self._fit(counts, self._regressors()[0]), self.squared(counts)
        return [
            TrialFit(
                r2=float(r2[r]),
                line=self._line(found, r, counts[r]),
                note=(
                    "" if np.isfinite(r2[r])
                    else "no variance between trials beyond sampling error"
                ),
            )
            for r in range(len(counts))
        ]  # fmt: skip

    def _line(self, found: EffectFit, r: int, counts: np.ndarray) -> PredictionLine:
        """Return the line of one weighting, in the unit of the effects."""
        X, centre, scale = self._regressors()
        spread = self.outcome.std()
        tau2 = float(found.phi[r, 0]) * spread**2
        df = float(counts.sum() - X.shape[1])
        residual = self.outcome - X @ (found.beta[r] * spread)
        squares = (counts * residual**2 / (self.variance + tau2)).sum()
        factor = squares / df if df > 0 else np.nan  # of the covariance, by [3]
        turn = np.eye(X.shape[1])
        turn[0, 1:] = -centre / scale
        turn[np.arange(1, len(turn)), np.arange(1, len(turn))] = 1 / scale
        coefficients = turn @ found.beta[r] * spread
        return PredictionLine(
            intercept=float(coefficients[0]),
            slopes=coefficients[1:],
            covariance=turn @ found.beta_covariance[r] @ turn.T * spread**2 * factor,
            residual_variance=tau2,
            df=df if df > 0 else float("nan"),
        )
