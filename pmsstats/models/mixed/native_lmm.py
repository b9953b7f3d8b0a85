"""The native engine of linear mixed models: Newton's method on sums over patterns of subjects."""

from __future__ import annotations

import numpy as np

from pmsstats.compiling import IS_COMPILED
from pmsstats.models.backends import EngineFit
from pmsstats.models.formulas.columns import sum_by_subject
from pmsstats.models.kernels.lmm_maximum import GOOD_ENOUGH, maximise
from pmsstats.models.kernels.lmm_patterns import Patterns, group_products
from pmsstats.models.mixed.grouped_fit import fit_grouped
from pmsstats.models.mixed.grouped_likelihood import GroupedLikelihood
from pmsstats.models.mixed.mixed_design import MixedArrays
from pmsstats.models.mixed.mixed_likelihood import MixedLikelihood, Solution
from pmsstats.provenance import package_version
from pmsstats.results import FitLog

__all__ = ["fit", "pattern_sums"]

_VERSION = package_version()  # reading it takes as long as a fit
_SAME = 1e-12  # relative difference of Z'Z that makes no difference
_FEW = 1e6  # numbers that may well be kept, which saves multiplying them anew
_WORTH_GROUPING = 0.5  # patterns per subject from which on there is nothing to share


def fit(likelihood: MixedLikelihood | GroupedLikelihood) -> EngineFit:
    """Maximise the likelihood of a mixed model.

    Parameters
    ----------
    likelihood : MixedLikelihood or GroupedLikelihood
        The model and its data, on the common scale.

    Returns
    -------
    EngineFit
        With a log that tells by how much the log-likelihood could still rise.

    Notes
    -----
    Subjects with the same random columns share their part of the covariance, so that an evaluation
    costs a few small matrices per pattern of visits. From a moment estimate, Newton steps in the
    Cholesky factor of the covariance, with exact first and second derivatives, reach the maximum
    in a few evaluations. The maximum is then judged by other code
    (:meth:`~pmsstats.models.mixed.mixed_likelihood.MixedLikelihood.certify`), and climbed for by
    another method where it is found wanting. R: ``lme4::lmer``.
    """
    if isinstance(likelihood, GroupedLikelihood):
        return fit_grouped(likelihood)
    patterns = pattern_sums(likelihood.arrays, reml=likelihood.reml)
    found = maximise(patterns)
    solution = likelihood.solve(_snapped(found.psi))
    certificate = likelihood.certify(solution)
    words = [f"log-likelihood could rise by {certificate.gain:.1e}"]
    attempts = [f"Newton: {words[0]}"]
    if not certificate.gain < GOOD_ENOUGH:
        start = found.psi if np.isfinite(found.log_likelihood) else likelihood.starts()[0]
        solution = likelihood.solve(likelihood.improve(start))
        certificate = likelihood.certify(solution)
        words = [f"log-likelihood could rise by {certificate.gain:.1e}", "L-BFGS-B was needed"]
        attempts.append(f"L-BFGS-B: {words[0]}")
    return _engine_fit(
        solution,
        FitLog(
            engine="native",
            engine_version=_VERSION,
            optimiser="Newton" if len(words) == 1 else "Newton, then L-BFGS-B",
            converged=certificate.gain < GOOD_ENOUGH,
            message="; ".join(words),
            n_evaluations=int(found.n_evaluations),
            singular=certificate.singular,
            attempts=tuple(attempts),
        ),
    )


def _snapped(psi: np.ndarray) -> np.ndarray:
    """Make variances that are zero but for rounding zero."""
    return np.where(np.abs(psi) > 1e-14 * max(np.abs(psi).max(), 1.0), psi, 0.0)


def _engine_fit(solution: Solution, log: FitLog) -> EngineFit:
    """Hand over what was found."""
    return EngineFit(
        psi=solution.psi,
        fixed=solution.fixed,
        fixed_covariance=solution.fixed_covariance,
        sigma2=solution.sigma2,
        log_likelihood=solution.log_likelihood,
        modes=solution.modes,
        fit_log=log,
        solution=solution,
    )


def pattern_sums(arrays: MixedArrays, *, reml: bool) -> Patterns:
    """Sum products of the columns within subjects, and over subjects with the same ``Z'Z``.

    Parameters
    ----------
    arrays : MixedArrays
        On the common scale, with one grouping factor.
    reml : bool
        Restricted or full.

    Returns
    -------
    Patterns
        Sums over patterns where enough subjects share them; else one pattern per subject.
    """
    B = np.column_stack([arrays.X, arrays.y])
    Z, n_subjects = arrays.Z, arrays.n_subjects
    S = sum_by_subject(Z[:, :, None] * Z[:, None, :], arrays.subject, n_subjects)
    H = sum_by_subject(Z[:, :, None] * B[:, None, :], arrays.subject, n_subjects)
    q, P = H.shape[1:]
    n_packed = P * (P + 1) // 2
    rows, columns = np.nonzero(np.tril(arrays.mask()))
    count, T = np.ones(n_subjects), np.empty((0, q * (q + 1) // 2, n_packed))
    first, member = _same_patterns(S)
    n_numbers = len(first) * T.shape[1] * n_packed
    if IS_COMPILED and (n_numbers < _FEW or len(first) <= _WORTH_GROUPING * n_subjects):
        T = group_products(H, member, len(first))
        S, H = S[first], np.empty((0, q, P))
        count = np.bincount(member).astype(float)
    return Patterns(
        S=np.ascontiguousarray(S),
        count=count,
        T=T,
        H=np.ascontiguousarray(H),
        squares=(B.T @ B)[np.triu_indices(P)],
        n_obs=float(arrays.n_obs),
        n_free=float(arrays.n_obs - (P - 1 if reml else 0)),
        is_reml=bool(reml),
        rows=np.ascontiguousarray(rows),
        columns=np.ascontiguousarray(columns),
    )


def _same_patterns(S: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the first subject of each distinct ``Z'Z``, and the pattern of each subject."""
    flat = S.reshape(len(S), -1)
    step = max(float(np.abs(flat).max()), 1e-300) * _SAME
    weights = np.random.default_rng(0).integers(1, 2**62, flat.shape[1]) | 1
    with np.errstate(over="ignore"):
        key = (np.rint(flat / step).astype(np.int64) * weights).sum(axis=1)
    _, first, member = np.unique(key, return_index=True, return_inverse=True)
    if np.abs(flat - flat[first][member]).max() > 2 * step:  # different ones with the same key
        return np.arange(len(S)), np.arange(len(S))
    return first, member
