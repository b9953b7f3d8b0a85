"""Models of both effects at once: errors in variables, and the bivariate mixed models.

References
----------
.. [1] van Houwelingen HC, Arends LR, Stijnen T. Advanced methods in meta-analysis: multivariate
   approach and meta-regression. Stat Med 2002;21:589-624. doi:10.1002/sim.1040
.. [2] Buyse M, Molenberghs G, Burzykowski T, Renard D, Geys H. The validation of surrogate
   endpoints in meta-analyses of randomized experiments. Biostatistics 2000;1:49-67.
   doi:10.1093/biostatistics/1.1.49
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pmsstats.surrogacy.effect_model import EffectFit, EffectModel, fit_effects, unit_symmetric
from pmsstats.surrogacy.threshold import PredictionLine
from pmsstats.surrogacy.trial_effects import TrialEffects, TrialMoments
from pmsstats.surrogacy.trial_fit import TrialFit

__all__ = ["EDGE", "EffectCovariation", "errors_in_variables", "mixed_model"]

_NOTHING = 1e-6  # of a standardised variance: zero
EDGE = 1 - 1e-6
"""An R2 from here on is one: a maximum on the boundary."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EffectCovariation:
    """A normal model of all effects of a trial.

    Parameters
    ----------
    model : EffectModel
        Effects in units of `scale`.
    scale : ndarray, shape (d,)
        Unit of each effect.
    random : tuple of int
        Positions, among the effects, of those that vary between trials: predictors first, in the
        order of the first covariance matrix; the effect on the outcome last.
    n_surrogates : int
        How many of the predictors are effects on surrogates; they stand just before the last.
    start : tuple of ndarray
        Where to start.
    fewest : int
        Trials below which the covariance matrix cannot be estimated.
    unused : int, default 0
        How many of `random`, in front, are no predictors.
    """

    model: EffectModel
    scale: np.ndarray
    random: tuple[int, ...]
    n_surrogates: int
    start: tuple[np.ndarray, ...]
    fewest: int
    unused: int = 0

    @property
    def within(self) -> np.ndarray:
        """Return the sampling covariance of the effects on surrogates and outcome, per trial."""
        at = np.array(self.random[-self.n_surrogates - 1 :])
        known = self.model.within
        if len(self.model.sizes) > 1:  # residual covariance, at its pooled estimate
            units = unit_symmetric(self.model.sizes[1])
            rows, columns = np.tril_indices(self.model.sizes[1])
            pooled = self.start[1][rows, columns]
            known = known + np.einsum("k,nkab->nab", pooled, self.model.basis[:, -len(units) :])
        scale = self.scale[at]
        return known[:, at[:, None], at] * np.outer(scale, scale)

    def _maximise(self, counts: np.ndarray) -> EffectFit:
        """Maximise the restricted likelihood."""
        return fit_effects(self.model, counts, self.start)

    def squared(self, counts: np.ndarray) -> np.ndarray:
        """Return R2 for many weightings of the trials.

        Parameters
        ----------
        counts : ndarray, shape (n_sets, n_trials)
            How often each trial counts.

        Returns
        -------
        ndarray, shape (n_sets,)
            Missing where effects do not vary between trials, or where too few trials are left.
        """
        found = self._maximise(counts)
        D = found.matrix(0, self.model.sizes)[:, self.unused :, self.unused :]
        enough = (counts > 0).sum(axis=1) >= self.fewest
        return np.where(enough & found.converged, _explained(D), np.nan)

    def fits(self, counts: np.ndarray) -> list[TrialFit]:
        """Fit several weightings of the trials.

        Parameters
        ----------
        counts : ndarray, shape (n_sets, n_trials)
            How often each trial counts.

        Returns
        -------
        list of TrialFit
            Their lines are for true effects in a new trial, at the mean of the other predictors.
        """
        found = self._maximise(counts)
        return [self._assemble(found, r, float(counts[r].sum())) for r in range(len(counts))]

    def _assemble(self, found: EffectFit, r: int, n_trials: float) -> TrialFit:
        """Turn one maximum to R2 and line, in the units of the effects."""
        u, random = self.unused, np.array(self.random[self.unused :])
        D = found.matrix(0, self.model.sizes)[r, u:, u:]
        mean = found.beta[r][random]
        C = found.beta_covariance[r][random[:, None], random]
        slope, slope_covariance = _slope(D, _phi_covariance(found, r, len(self.random), u))
        turn = np.append(-slope, 1.0)
        scale = self.scale[random]
        keep = np.arange(len(slope))[-self.n_surrogates :]
        unit = scale[-1] / scale[keep]
        slopes, centre = slope[keep] * unit, mean[keep] * scale[keep]
        V = slope_covariance[np.ix_(keep, keep)] * np.outer(unit, unit)
        covariance = np.zeros((len(keep) + 1, len(keep) + 1))
        covariance[0, 0] = turn @ C @ turn * scale[-1] ** 2 + centre @ V @ centre
        covariance[0, 1:] = covariance[1:, 0] = -V @ centre
        covariance[1:, 1:] = V
        rest = D[-1, -1] - slope @ D[:-1, -1]
        effects = np.append(keep, len(slope))
        converged = bool(found.converged[r])
        r2 = float(_explained(D[None])[0]) if converged else float("nan")
        return TrialFit(
            r2=r2,
            line=PredictionLine(
                intercept=float(mean[-1] * scale[-1] - slopes @ centre),
                slopes=slopes,
                covariance=covariance,
                residual_variance=max(float(rest), 0.0) * scale[-1] ** 2,
                df=max(n_trials - len(slope) - 1, 1.0),
            ),
            note=_note(D, r2, converged=converged),
            mean=(mean * scale)[effects],
            between=(D * np.outer(scale, scale))[np.ix_(effects, effects)],
        )


def _explained(D: np.ndarray) -> np.ndarray:
    """Return the share of the last variance that the other effects explain, per matrix."""
    spread = np.sqrt(np.maximum(np.einsum("rpp->rp", D), 0.0))
    varied = (spread**2 > _NOTHING).all(axis=1)
    safe = np.where(varied[:, None], spread, 1.0)
    R = D / (safe[:, :, None] * safe[:, None, :])
    inverse = np.linalg.pinv(R[:, :-1, :-1], rcond=_NOTHING, hermitian=True)
    r2 = np.einsum("rp,rpq,rq->r", R[:, :-1, -1], inverse, R[:, :-1, -1])
    return np.where(varied, np.clip(r2, 0.0, 1.0), np.nan)


def _phi_covariance(found: EffectFit, r: int, size: int, unused: int) -> np.ndarray:
    """Return the covariance of the lower triangle of the predictors and the outcome."""
    rows, columns = np.tril_indices(size)
    used = np.flatnonzero((rows >= unused) & (columns >= unused))
    return found.phi_covariance[r][np.ix_(used, used)]


def _slope(D: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the regression of the last effect on the others, with its covariance (delta)."""
    inverse = np.linalg.pinv(D[:-1, :-1], rcond=_NOTHING, hermitian=True)
    slope = inverse @ D[:-1, -1]
    units = unit_symmetric(len(D))
    # d(D_ss^-1 d_st) = D_ss^-1 (d d_st - dD_ss slope)
    jacobian = (units[:, :-1, -1] - units[:, :-1, :-1] @ slope) @ inverse
    return slope, jacobian.T @ covariance @ jacobian


def _note(D: np.ndarray, r2: float, *, converged: bool) -> str:
    """Say what to distrust in a fit."""
    if not converged:
        return "did not converge"
    if not np.isfinite(r2):
        return "effects do not vary between trials beyond sampling error"
    if r2 > EDGE or np.linalg.eigvalsh(D)[0] < _NOTHING * np.linalg.eigvalsh(D)[-1]:
        return "on the boundary: the data cannot tell this from a smaller value"
    return ""


def errors_in_variables(effects: TrialEffects) -> EffectCovariation:
    """Return the model of estimated effects with known sampling errors [1]_.

    Parameters
    ----------
    effects : TrialEffects
        With all covariances.

    Returns
    -------
    EffectCovariation
        Effects on surrogates, then on the outcome.
    """
    both = np.column_stack([effects.surrogate, effects.outcome])
    n, d = both.shape
    scale = both.std(axis=0)
    model = EffectModel(
        effects=both / scale,
        design=np.tile(np.eye(d), (n, 1, 1)),
        within=effects.covariance / np.outer(scale, scale),
        basis=np.tile(unit_symmetric(d), (n, 1, 1, 1)),
        sizes=(d,),
    )
    return EffectCovariation(
        model=model, scale=scale, random=tuple(range(d)), n_surrogates=d - 1,
        start=(_start(model.effects),), fewest=d + 1,
    )  # fmt: skip


def _start(standard: np.ndarray) -> np.ndarray:
    """Return half of the covariance of the estimates, kept away from singular."""
    d = standard.shape[1]
    return 0.5 * np.cov(standard.T).reshape(d, d) + 0.05 * np.eye(d)


def mixed_model(moments: TrialMoments, *, full: bool) -> EffectCovariation:
    """Return the bivariate mixed model of the data of subjects [2]_.

    Parameters
    ----------
    moments : TrialMoments
        Sufficient statistics of each trial.
    full : bool
        Whether intercepts vary between trials too (four random effects), or only treatment
        effects (two).

    Returns
    -------
    EffectCovariation
        Its R2 is that of [2]_: of effects on the outcome given the surrogate's intercept and effect
        (full), or given its effect only.

    Notes
    -----
    Subject j of trial i has ``S = mu_S + m_Si + (alpha + a_i) Z + e_S`` and ``T = mu_T + m_Ti +
    (beta + b_i) Z + e_T``, with the random effects normal with covariance D and residuals with
    covariance Sigma; Z is -1/2 and 1/2. Given Sigma, least squares in each trial and its residual
    squares are sufficient, so that the likelihood is that of ``N(., D + Sigma x (W'W)^-1)`` and a
    Wishart distribution: exact, and as fast for a million subjects as for a hundred.
    """
    squares, df = moments.squares.sum(axis=0), moments.df.sum()
    pooled = squares / df
    n = len(moments.df)
    unit = np.sqrt(np.diag(pooled))
    scale = np.repeat(unit, 2)  # (S intercept, S effect, T intercept, T effect)
    random = (2, 0, 1, 3) if full else (1, 3)
    standard = moments.coefficients / scale
    load = np.eye(4)[:, list(random)]
    D_units = load @ unit_symmetric(len(random)) @ load.T
    cross = np.einsum("kab,ncd->nkacbd", unit_symmetric(2), moments.unscaled)
    basis = np.concatenate([np.tile(D_units, (n, 1, 1, 1)), cross.reshape(n, 3, 4, 4)], axis=1)
    model = EffectModel(
        effects=standard, design=np.tile(np.eye(4), (n, 1, 1)), within=np.zeros((n, 4, 4)),
        basis=basis, sizes=(len(random), 2), residual_df=moments.df,
        residual_squares=moments.squares / np.outer(unit, unit),
    )  # fmt: skip
    return EffectCovariation(
        model=model, scale=scale, random=random, n_surrogates=1,
        start=(_start(standard[:, list(random)]), pooled / np.outer(unit, unit)),
        fewest=len(random) + 1,
        unused=1 if full else 0,
    )  # fmt: skip
