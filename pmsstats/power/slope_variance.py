"""Variance of a difference between mean slopes, by each way to analyse the scans."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import linalg

from pmsstats.errors import DesignError
from pmsstats.power.expected_fit import Pattern
from pmsstats.power.schedule import last_visit_shares
from pmsstats.power.solving import check_real

__all__ = [
    "SlopeModel",
    "Working",
    "score_information",
    "slope_covariance_marginal",
    "slope_patterns",
    "subject_slope_variance",
    "two_scan_variance",
]

Working = Literal["independence", "exchangeable", "true"]
"""Covariance that weights a subject's scans in an estimating equation."""


@dataclass(frozen=True, kw_only=True)
class SlopeModel:
    """How subjects of an arm differ in their straight lines, and scans from the lines.

    Parameters
    ----------
    slope_sd : float
        Standard deviation of slopes between subjects, in units of the outcome per year.
    residual_sd : float
        Of a scan about its subject's line, in units of the outcome.
    intercept_sd : float, default infinity
        Of subjects' values at baseline. The default stands for "large against everything else":
        only change within subjects counts, whatever the baseline.
    correlation : float
        Between a subject's intercept and slope.
    serial_correlation : float
        Of residuals a year apart; at ``t`` years ``serial_correlation ** t``.

    Raises
    ------
    DesignError
        If a standard deviation is negative, `residual_sd` is zero, or a correlation is not
        possible.

    Notes
    -----
    Where the outcome is percent change from a first scan, each follow-up shares the error of that
    scan: give the values as measured, baseline included, and the residual SD of one scan.
    """

    slope_sd: float
    residual_sd: float
    intercept_sd: float = math.inf
    correlation: float = 0.0
    serial_correlation: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no covariance."""
        check_real("slope_sd", self.slope_sd, low=0.0, ends="[)")
        check_real("residual_sd", self.residual_sd, low=0.0)
        if self.intercept_sd != math.inf:
            check_real("intercept_sd", self.intercept_sd, low=0.0, ends="[)")
        check_real("correlation", self.correlation, low=-1.0, high=1.0, ends="[]")
        check_real("serial_correlation", self.serial_correlation, low=0.0, high=1.0, ends="[)")
        needless = self.intercept_sd in (0.0, math.inf) or self.slope_sd == 0
        if self.correlation != 0 and needless:
            raise DesignError(
                f"`correlation={self.correlation!r}` needs intercepts and slopes that vary, got "
                f"intercept_sd={self.intercept_sd!r} and slope_sd={self.slope_sd!r}. Give "
                "`intercept_sd`, or leave the correlation out."
            )

    @classmethod
    def exchangeable(cls, *, sd: float, correlation: float) -> SlopeModel:
        """Describe visits that all have one variance and one correlation.

        Parameters
        ----------
        sd : float
            Standard deviation of a value, between and within subjects together.
        correlation : float
            Between any two visits of a subject, from 0 to below 1.

        Returns
        -------
        SlopeModel
            Without variation of slopes.
        """
        check_real("sd", sd, low=0.0)
        check_real("correlation", correlation, low=0.0, high=1.0, ends="[)")
        return cls(
            slope_sd=0.0,
            residual_sd=sd * math.sqrt(1 - correlation),
            intercept_sd=sd * math.sqrt(correlation),
        )

    @property
    def has_free_intercepts(self) -> bool:
        """Whether values at baseline are taken to say nothing about change."""
        return math.isinf(self.intercept_sd)

    def residual_covariance(self, years: Sequence[float]) -> np.ndarray:
        """Return the covariance of residuals, shape (n_visits, n_visits).

        Parameters
        ----------
        years : sequence of float
            Of the visits.
        """
        t = np.asarray(years, dtype=float)
        apart = np.abs(t[:, None] - t[None, :])
        return self.residual_sd**2 * np.power(self.serial_correlation, apart)

    def covariance(self, years: Sequence[float]) -> np.ndarray:
        """Return the covariance of a subject's values, shape (n_visits, n_visits).

        Parameters
        ----------
        years : sequence of float
            Of the visits.

        Returns
        -------
        ndarray, shape (n_visits, n_visits)
            With an infinite `intercept_sd`: without the intercepts.
        """
        t = np.asarray(years, dtype=float)
        intercept = 0.0 if self.has_free_intercepts else self.intercept_sd
        mixed = self.correlation * intercept * self.slope_sd
        lines = intercept**2 + mixed * (t[:, None] + t[None, :])
        return lines + self.slope_sd**2 * np.outer(t, t) + self.residual_covariance(t)

    def derivatives(
        self, years: Sequence[float], *, random_slopes: bool | None = None
    ) -> np.ndarray:
        """Return the derivatives of the covariance in the variances that a fit estimates.

        Parameters
        ----------
        years : sequence of float
            Of the visits.
        random_slopes : bool, optional
            Whether the fit has them; by default where `slope_sd` is above 0.

        Returns
        -------
        ndarray, shape (k, n_visits, n_visits)
            Residual variance; variance of slopes; variance of intercepts; their covariance: as
            far as they are fitted. The serial correlation counts as known.
        """
        t = np.asarray(years, dtype=float)
        slopes = self.slope_sd > 0 if random_slopes is None else random_slopes
        parts = [self.residual_covariance(t) / self.residual_sd**2]
        parts += [np.outer(t, t)] if slopes else []
        parts += [np.ones((len(t), len(t)))] if not self.has_free_intercepts else []
        both = slopes and not self.has_free_intercepts
        parts += [t[:, None] + t[None, :]] if both else []
        return np.stack(parts)

    def words(self) -> str:
        """Return words that say the standard deviations."""
        text = f"SD {self.slope_sd:.4g} of slopes and {self.residual_sd:.4g} of a scan"
        if not self.has_free_intercepts:
            text += f", {self.intercept_sd:.4g} of intercepts"
        if self.correlation:
            text += f" (correlation {self.correlation:.3g} with slopes)"
        if self.serial_correlation:
            text += f", residuals a year apart correlated {self.serial_correlation:.3g}"
        return text


# --- by a mixed model -----------------------------------------------------------------------


def slope_patterns(
    years: Sequence[float],
    models: tuple[SlopeModel, SlopeModel],
    retentions: tuple[Sequence[float], Sequence[float]],
    *,
    common_baseline: bool,
) -> tuple[list[Pattern], np.ndarray]:
    """Describe what a mixed model with random slopes will see of two arms.

    Parameters
    ----------
    years : sequence of float
        Planned visits.
    models : pair of SlopeModel
        Of the reference and the treated arm; the same variances are fitted to both where they
        are equal, else each arm has its own.
    retentions : pair of sequence of float
        Share still seen at each visit.
    common_baseline : bool
        Whether the arms share one mean at baseline.

    Returns
    -------
    list of Pattern
        One per arm and last visit.
    ndarray, shape (p,)
        Picks the difference of slopes.

    Notes
    -----
    With free intercepts a subject's values are replaced by their contrasts, which is the limit of
    an infinite variance of intercepts; then it makes no difference whether baselines are shared.
    """
    t = np.asarray(years, dtype=float)
    free = models[0].has_free_intercepts
    if free != models[1].has_free_intercepts:
        raise DesignError(
            "`intercept_sd` must be given for both arms or for neither, got "
            f"{models[0].intercept_sd!r} and {models[1].intercept_sd!r}."
        )
    shared = models[0] == models[1]
    fitted = [len(model.derivatives(t)) for model in models]
    patterns: list[Pattern] = []
    for arm, (model, retention) in enumerate(zip(models, retentions, strict=True)):
        shares = last_visit_shares(retention)
        for last in np.flatnonzero(shares):
            seen = t[: last + 1]
            X = _columns(seen, arm, free=free, common_baseline=common_baseline)
            V, dV = model.covariance(seen), model.derivatives(seen)
            if free:
                K = _contrasts(last + 1)
                X, V, dV = K @ X, K @ V @ K.T, K @ dV @ K.T
            if not shared:
                nothing = np.zeros((fitted[1 - arm], *dV.shape[1:]))
                dV = np.concatenate([dV, nothing] if arm == 0 else [nothing, dV])
            patterns.append(Pattern(arm=arm, share=float(shares[last]), X=X, V=V, derivatives=dV))
    contrast = np.zeros(patterns[0].X.shape[1])
    contrast[-1] = 1.0
    return patterns, contrast


def _columns(t: np.ndarray, arm: int, *, free: bool, common_baseline: bool) -> np.ndarray:
    """Return intercept, arm (unless baselines are shared), year, and year in the treated arm."""
    ones = np.ones_like(t)
    columns = [t, arm * t]
    if not free:
        columns = [ones, *([] if common_baseline else [arm * ones]), *columns]
    return np.column_stack(columns)


def _contrasts(m: int) -> np.ndarray:
    """Return orthonormal combinations of `m` values that no intercept enters, (m - 1, m)."""
    return np.asarray(linalg.null_space(np.ones((1, m))).T) if m > 1 else np.zeros((0, 1))


# --- by subjects' own slopes ----------------------------------------------------------------


def subject_slope_variance(
    years: Sequence[float], model: SlopeModel, retention: Sequence[float]
) -> tuple[float, float]:
    """Return the variance of subjects' own least-squares slopes.

    Parameters
    ----------
    years : sequence of float
        Planned visits.
    model : SlopeModel
        Of the arm.
    retention : sequence of float
        Share still seen at each visit.

    Returns
    -------
    tuple of float
        Variance of a slope, averaged over subjects with at least two scans, and their share.

    Notes
    -----
    In complete data with independent residuals ``slope_sd^2 + residual_sd^2 / sum((t - mean)^2)``
    [1]_. Every slope has the same weight, so that the few scans of those who leave early cost
    more than they bring: with dropout an additional early scan can raise this variance, because
    more subjects then have a slope.

    References
    ----------
    .. [1] Ard MC, Edland SD. Power calculations for clinical trials in Alzheimer's disease.
       J Alzheimers Dis 2011;26 Suppl 3:369-377.
    """
    t = np.asarray(years, dtype=float)
    shares = last_visit_shares(retention)
    total, seen = 0.0, 0.0
    for last in range(1, len(t)):
        own = t[: last + 1]
        weights = own - own.mean()
        weights /= weights @ weights
        error = weights @ model.residual_covariance(own) @ weights
        total += shares[last] * (model.slope_sd**2 + error)
        seen += shares[last]
    return total / seen, float(seen)


def two_scan_variance(
    years: Sequence[float], model: SlopeModel, retention: Sequence[float]
) -> tuple[float, float]:
    """Return the variance of the change per year from the first to the last scan.

    Parameters
    ----------
    years : sequence of float
        Planned visits.
    model : SlopeModel
        Of the arm.
    retention : sequence of float
        Share still seen at each visit.

    Returns
    -------
    tuple of float
        Variance, and the share of subjects who have the last scan.
    """
    ends = np.array([years[0], years[-1]], dtype=float)
    weights = np.array([-1.0, 1.0]) / (ends[1] - ends[0])
    error = weights @ model.residual_covariance(ends) @ weights
    return float(model.slope_sd**2 + error), float(retention[-1])


# --- by estimating equations ----------------------------------------------------------------


def slope_covariance_marginal(
    years: Sequence[float],
    model: SlopeModel,
    retention: Sequence[float],
    *,
    working: Working = "true",
) -> float:
    """Return the variance of an arm's mean slope per subject, by an estimating equation.

    Parameters
    ----------
    years : sequence of float
        Planned visits.
    model : SlopeModel
        Of the arm, with a finite `intercept_sd`.
    retention : sequence of float
        Share still seen at each visit.
    working : {"true", "independence", "exchangeable"}
        Covariance by which scans are weighted; ``"exchangeable"`` has the mean variance and the
        mean correlation of the planned visits.

    Returns
    -------
    float
        ``A^-1 B A^-1`` with ``A = sum X' W^-1 X`` and ``B = sum X' W^-1 V W^-1 X``.
    """
    t = np.asarray(years, dtype=float)
    true = model.covariance(t)
    weights = _working_covariance(true, working)
    bread, meat = np.zeros((2, 2)), np.zeros((2, 2))
    for last, share in enumerate(last_visit_shares(retention)):
        seen = slice(last + 1)
        X = np.column_stack([np.ones(last + 1), t[seen]])
        weighted = np.linalg.solve(weights[seen, seen], X)
        bread += share * (X.T @ weighted)
        meat += share * (weighted.T @ true[seen, seen] @ weighted)
    inverse = np.linalg.inv(bread)
    return float((inverse @ meat @ inverse)[1, 1])


def _working_covariance(true: np.ndarray, working: Working) -> np.ndarray:
    """Return the covariance that weights the scans."""
    if working == "true":
        return true
    m = len(true)
    if working == "independence":
        return np.eye(m)
    sd = np.sqrt(np.diag(true))
    correlation = true / np.outer(sd, sd)
    mean = (correlation.sum() - m) / (m * (m - 1))
    return (1 - mean) * np.eye(m) + mean


def score_information(
    tested: Sequence[np.ndarray],
    nuisance: Sequence[np.ndarray],
    covariances: Sequence[np.ndarray],
    shares: Sequence[float],
) -> np.ndarray:
    """Return the information per subject about tested parameters, nuisance ones allowed for.

    Parameters
    ----------
    tested : sequence of ndarray, shape (n_visits, p)
        Columns of the tested parameters, one array per kind of subject.
    nuisance : sequence of ndarray, shape (n_visits, q)
        Columns of the other parameters.
    covariances : sequence of ndarray, shape (n_visits, n_visits)
        Of a subject's values.
    shares : sequence of float
        Of all subjects that are of each kind; they add up to 1.

    Returns
    -------
    ndarray, shape (p, p)
        For a difference ``d`` and ``n`` subjects the test has noncentrality ``n d' S d`` on ``p``
        degrees of freedom (eq. 4 of [1]_, for a linear model).

    References
    ----------
    .. [1] Liu G, Liang KY. Sample size calculations for studies with correlated observations.
       Biometrics 1997;53:937-947. doi:10.2307/2533554.
    """
    p, q = tested[0].shape[1], nuisance[0].shape[1]
    cross, inner = np.zeros((p, q)), np.zeros((q, q))
    kinds = list(zip(tested, nuisance, covariances, shares, strict=True))
    for U, W, V, share in kinds:
        weighted = np.linalg.solve(V, W)
        cross += share * (U.T @ weighted)
        inner += share * (W.T @ weighted)
    onto = np.linalg.solve(inner, cross.T)
    found = np.zeros((p, p))
    for U, W, V, share in kinds:
        left = U - W @ onto
        found += share * (left.T @ np.linalg.solve(V, left))
    return found
