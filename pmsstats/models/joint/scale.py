"""Scales on which a joint model is fitted, and the way back to the units of the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pmsstats.models.joint.arrays import HazardPoints, JointArrays, MarkerArrays
from pmsstats.models.joint.links import Link

__all__ = ["JointScale", "MarkerScale", "NaturalParameters", "measure_scale"]

_SPANNED = 1e-8  # residual of a constant on the fixed columns that counts as none


@dataclass(frozen=True, kw_only=True, eq=False)
class NaturalParameters:
    """Parameters of a joint model in the units of the data.

    Parameters
    ----------
    beta : ndarray, shape (p,)
        Fixed effects of all markers, one after the other.
    sigma : ndarray, shape (K,)
        Residual standard deviations.
    D : ndarray, shape (q, q)
        Covariance of the random effects of all markers.
    psi : tuple of ndarray
        Per cause: log baseline hazard (one block per stratum), then log hazard ratios of baseline
        covariates. A Weibull block is ``log h = psi_1 + psi_2 log t``.
    alpha : ndarray, shape (n_causes, n_links)
        Associations.
    """

    beta: np.ndarray
    sigma: np.ndarray
    D: np.ndarray
    psi: tuple[np.ndarray, ...]
    alpha: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkerScale:
    """The scale of one marker.

    Parameters
    ----------
    centre, spread : float
        The fit sees ``(y - centre) / spread``.
    fixed : ndarray, shape (p_k, p_k)
        The fit sees the columns ``X @ fixed``, which are orthogonal.
    random : ndarray, shape (q_k, q_k)
        The fit sees the columns ``Z @ random``, which are orthogonal; lower triangular, so that
        Cholesky factors are mapped to Cholesky factors.
    one : ndarray, shape (p_k,)
        Fixed effects of a mean that is 1 everywhere; zeros where there are none.
    """

    centre: float
    spread: float
    fixed: np.ndarray
    random: np.ndarray
    one: np.ndarray


@dataclass(frozen=True, kw_only=True, eq=False)
class JointScale:
    """The scales of a joint model.

    Parameters
    ----------
    markers : tuple of MarkerScale
        One per marker.
    time : float
        Unit of time of the fit.
    covariate_centre, covariate_spread : ndarray, shape (n_covariates,)
        Of the baseline covariates of the hazard.
    links : ndarray, shape (n_links,)
        What a unit of each association of the fit is, in units of the marker as fitted.
    offsets : ndarray, shape (n_links,)
        What the centre of the marker adds to each association.
    marker_of_link : ndarray of int, shape (n_links,)
        Whose they are.
    constants : tuple of ndarray
        Per cause: coefficients of a baseline hazard of 1, a block per stratum.
    is_weibull : bool
        Whether the second coefficient of each block belongs to the logarithm of time.
    """

    markers: tuple[MarkerScale, ...]
    time: float
    covariate_centre: np.ndarray
    covariate_spread: np.ndarray
    links: np.ndarray
    offsets: np.ndarray
    marker_of_link: np.ndarray
    constants: tuple[np.ndarray, ...]
    is_weibull: bool

    def apply(self, raw: JointArrays) -> JointArrays:
        """Put arrays in the units of the data on the scales of the fit.

        Parameters
        ----------
        raw : JointArrays
            In the units of the data.

        Returns
        -------
        JointArrays
            The same, as the fit sees them.
        """
        markers = tuple(
            MarkerArrays(
                y=(marker.y - scale.centre) / scale.spread,
                X=marker.X @ scale.fixed,
                Z=marker.Z @ scale.random,
                subject=marker.subject,
            )
            for marker, scale in zip(raw.markers, self.markers, strict=True)
        )
        return JointArrays(
            n_subjects=raw.n_subjects,
            markers=markers,
            at_risk=self.apply_points(raw.at_risk),
            event=self.apply_points(raw.event, is_event=True),
            event_cause=raw.event_cause,
            interval=self.apply_points(raw.interval),
            entry=self.apply_points(raw.entry),
        )

    def apply_points(self, raw: HazardPoints, *, is_event: bool = False) -> HazardPoints:
        """Put points of time on the scales of the fit.

        Parameters
        ----------
        raw : HazardPoints
            In the units of the data.
        is_event : bool, default False
            Whether weights are ones rather than times.

        Returns
        -------
        HazardPoints
            The same, as the fit sees them.
        """
        m = len(self.covariate_centre)
        basis = tuple(
            np.hstack(
                [
                    part[:, : part.shape[1] - m],
                    (part[:, part.shape[1] - m :] - self.covariate_centre) / self.covariate_spread,
                ]
            )
            for part in raw.basis
        )
        divisor = self.links[:, None, None]
        return HazardPoints(
            subject=raw.subject,
            weight=raw.weight if is_event else raw.weight / self.time,
            basis=basis,
            fixed=raw.fixed @ _block_diagonal([s.fixed for s in self.markers]) / divisor,
            random=raw.random @ _block_diagonal([s.random for s in self.markers]) / divisor,
        )

    def natural(self, theta: np.ndarray) -> NaturalParameters:
        """Turn the parameters of the fit back to the units of the data.

        Parameters
        ----------
        theta : ndarray, shape (n_parameters,)
            Of the fit: fixed effects, log residual standard deviations, log-Cholesky entries of
            the random effects' covariance by rows, hazards, associations. May be complex, for
            derivatives.

        Returns
        -------
        NaturalParameters
            In the units of the data.
        """
        parts = self._split(theta)
        beta = []
        for scale, part in zip(self.markers, parts.beta, strict=True):
            beta.append(scale.spread * (scale.fixed @ part) + scale.centre * scale.one)
        spreads = np.array([scale.spread for scale in self.markers])
        by_effect = np.repeat(spreads, [len(scale.random) for scale in self.markers])
        L = by_effect[:, None] * (_block_diagonal([s.random for s in self.markers]) @ parts.L)
        alpha = parts.alpha / (self.links * spreads[self.marker_of_link])
        psi = tuple(
            self._psi(part, constant, alpha[cause])
            for cause, (part, constant) in enumerate(zip(parts.psi, self.constants, strict=True))
        )
        return NaturalParameters(
            beta=np.concatenate(beta),
            sigma=np.exp(parts.log_sigma) * spreads,
            D=L @ L.T,
            psi=psi,
            alpha=alpha,
        )

    def random_effects(self) -> np.ndarray:
        """Return what turns random effects of the fit to those of the data: shape (q, q)."""
        return _block_diagonal([scale.spread * scale.random for scale in self.markers])

    def log_likelihood(self, value: float, raw: JointArrays) -> float:
        """Turn the log-likelihood of the fit to that of the data in their units.

        Parameters
        ----------
        value : float
            Of the fit.
        raw : JointArrays
            For the numbers of measurements and of events at known times.

        Returns
        -------
        float
            Sum of log densities.
        """
        for marker, scale in zip(raw.markers, self.markers, strict=True):
            value -= len(marker.y) * float(np.log(scale.spread))
        return value - len(raw.event.subject) * float(np.log(self.time))

    def _psi(self, part: np.ndarray, constant: np.ndarray, alpha: np.ndarray) -> np.ndarray:
        """Turn the baseline coefficients of one cause back."""
        n = len(constant)
        covariates = part[n:] / self.covariate_spread
        base = part[:n] - constant * (
            np.log(self.time) + self.covariate_centre @ covariates + self.offsets @ alpha
        )
        if self.is_weibull:  # from log(t / unit) to log(t)
            base = base - constant * np.roll(base, -1) * np.log(self.time)
        return np.concatenate([base, covariates])

    def _split(self, theta: np.ndarray) -> _Parts:
        """Cut the vector of parameters into its parts."""
        sizes = [len(scale.fixed) for scale in self.markers]
        q = sum(len(scale.random) for scale in self.markers)
        K, L = len(self.markers), len(self.links)
        n_psi = [len(c) + len(self.covariate_centre) for c in self.constants]
        ends = np.cumsum([*sizes, K, q * (q + 1) // 2, *n_psi, len(n_psi) * L])
        pieces = np.split(theta, ends[:-1])
        lower = np.zeros((q, q), dtype=theta.dtype)
        lower[np.tril_indices(q)] = pieces[K + 1]
        diagonal = np.arange(q)
        lower[diagonal, diagonal] = np.exp(lower[diagonal, diagonal])
        return _Parts(
            beta=pieces[:K],
            log_sigma=pieces[K],
            L=lower,
            psi=pieces[K + 2 : K + 2 + len(n_psi)],
            alpha=pieces[-1].reshape(len(n_psi), L),
        )


@dataclass(frozen=True, eq=False)
class _Parts:
    """Parts of the vector of parameters of the fit."""

    beta: list[np.ndarray]
    log_sigma: np.ndarray
    L: np.ndarray
    psi: list[np.ndarray]
    alpha: np.ndarray


def measure_scale(
    raw: JointArrays,
    links: Sequence[Link],
    *,
    time: float,
    covariates: np.ndarray,
    constants: tuple[np.ndarray, ...],
    is_weibull: bool,
) -> JointScale:
    """Measure the scales of some data.

    Parameters
    ----------
    raw : JointArrays
        In the units of the data.
    links : sequence of Link
        Their associations.
    time : float
        Typical length of follow-up.
    covariates : ndarray, shape (n_subjects, n_covariates)
        Baseline covariates.
    constants : tuple of ndarray
        Per cause: coefficients of a baseline hazard of 1.
    is_weibull : bool
        Whether the baseline is linear in the logarithm of time.

    Returns
    -------
    JointScale
        With them every number of the fit is of order 1.
    """
    markers = tuple(
        _marker_scale(marker, [link for link in links if link.marker == k])
        for k, marker in enumerate(raw.markers)
    )
    unit = JointScale(
        markers=markers,
        time=time,
        covariate_centre=covariates.mean(axis=0),
        covariate_spread=covariates.std(axis=0),
        links=np.ones(len(links)),
        offsets=np.array(
            [markers[link.marker].centre if link.moves_with_level else 0.0 for link in links]
        ),
        marker_of_link=np.array([link.marker for link in links], dtype=int),
        constants=constants,
        is_weibull=is_weibull,
    )
    points = unit.apply_points(raw.at_risk)
    pairs = zip(points.fixed, points.random, strict=True)
    sizes = [_typical(fixed, random) for fixed, random in pairs]
    return JointScale(**{**vars(unit), "links": np.array(sizes, dtype=float)})


def _marker_scale(marker: MarkerArrays, links: Sequence[Link]) -> MarkerScale:
    """Measure the scale of one marker."""
    one = np.linalg.lstsq(marker.X, np.ones(len(marker.y)), rcond=None)[0]
    is_spanned = np.abs(marker.X @ one - 1.0).max() < _SPANNED
    may_move = is_spanned and all(link.allows_centre for link in links)
    n = len(marker.y)
    R = np.linalg.qr(marker.X, mode="r") / np.sqrt(n)
    flipped = np.linalg.cholesky((marker.Z.T @ marker.Z)[::-1, ::-1] / n)
    return MarkerScale(
        centre=float(marker.y.mean()) if may_move else 0.0,
        spread=float(marker.y.std()),
        fixed=np.linalg.inv(R),
        random=np.linalg.inv(flipped[::-1, ::-1].T),
        one=one if is_spanned else np.zeros(len(one)),
    )


def _typical(fixed: np.ndarray, random: np.ndarray) -> float:
    """Return the typical size of an association: of its random part, if it has one."""
    size = float(np.sqrt((random**2).sum(axis=1).mean())) if len(random) else 0.0
    if size == 0.0:
        size = float(np.sqrt(fixed.var(axis=0).sum())) if len(fixed) else 0.0
    return size if size > 0.0 else 1.0


def _block_diagonal(blocks: Sequence[np.ndarray]) -> np.ndarray:
    """Put square matrices along a diagonal."""
    n = sum(len(block) for block in blocks)
    made = np.zeros((n, n))
    start = 0
    for block in blocks:
        made[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return made
